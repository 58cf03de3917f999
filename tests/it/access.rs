//! Who is let in, as it is when it counts.

use std::fs;
use std::path::Path;

use moonlane::local::{Id, What};

use crate::doctor::doctor;
use crate::separate::{Process, bot_on, clean};
use crate::support::{ANSWERED, MOONLANE, Setup, Stage, routing_with, within};

/// A project that works where this Lua table says, and nothing else.
fn working_in(keys: &str) -> String {
    format!(r#"return {{ projects = {{ here = {{ {keys} }} }}, route = function() return "here" end }}"#)
}

/// A stage whose bot tells its operators in `#ops`.
async fn with_operators(routing: &str) -> (Stage, Id) {
    let setup = Setup { routing: routing.to_owned(), ..Setup::default() };
    let mut stage = Stage::without_bot(setup).await;
    let ops = stage.discord.channel("ops");
    let file = stage.root().join("config/moonlane.toml");
    let config = format!("[scripts]\nnotify_channel = \"{ops}\"\n{}", fs::read_to_string(&file).unwrap());
    fs::write(&file, config).unwrap();
    stage.start().await;
    (stage, ops)
}

/// Waits for this post of the bot in a channel, counted from 0.
async fn posted_in(stage: &Stage, channel: Id, place: usize) -> String {
    let posted = stage.discord.wait_for(|log| {
        let mut posts = log.iter().filter_map(|event| match &event.what {
            What::Posted(message) if message.channel == channel && message.by_bot => Some(&message.content),
            _ => None,
        });
        posts.nth(place).cloned()
    });
    within("a post", posted).await
}

#[tokio::test]
async fn no_project_works_where_the_gate_is_decided() {
    let stage = Stage::without_bot(Setup::default()).await;
    fs::write(stage.root().join("token"), stage.discord.token()).unwrap();
    let config = fs::read_to_string(stage.root().join("config/moonlane.toml")).unwrap();
    let config =
        format!("[discord]\ntoken_file = 'secrets/token'\n[store]\npath = 'data/moonlane.db'\n{config}");
    fs::write(stage.root().join("config/moonlane.toml"), config).unwrap();
    for dir in ["data", "secrets", "links"] {
        fs::create_dir(stage.root().join(dir)).unwrap();
    }
    fs::rename(stage.root().join("token"), stage.root().join("secrets/token")).unwrap();
    std::os::unix::fs::symlink("../scripts", stage.root().join("links/there")).unwrap();

    let mut said = String::new();
    for keys in [
        r#"dir = ".""#,
        r#"dir = "config""#,
        r#"dir = "data""#,
        r#"dir = "secrets""#,
        r#"dir = "links/there""#,
        r#"dir = "work", add_dirs = { "work", "data/.." }"#,
        r#"dir = "/""#,
    ] {
        stage.save("routing.lua", &working_in(keys));
        let mut check = clean(MOONLANE, stage.root());
        let output = check.args(["check", "--root"]).arg(stage.root()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{keys}");
        said.push_str(
            &String::from_utf8(output.stdout).unwrap().replace(stage.root().to_str().unwrap(), "ROOT"),
        );
    }
    insta::assert_snapshot!(said, @r#"
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from ROOT, and so let anybody in; name a directory that does not hold it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the configuration (ROOT/config/moonlane.toml) from ROOT/config, and so let anybody in; name a directory that does not hold it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the database (ROOT/data/moonlane.db) from ROOT/data, and so let anybody in; name a directory that does not hold it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the token (ROOT/secrets/token) from ROOT/secrets, and so let anybody in; name a directory that does not hold it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from ROOT/links/there, and so let anybody in; name a directory that does not hold it, such as "work"
    scripts/routing.lua: projects.here.add_dirs[2]: Claude could change the scripts (ROOT/scripts) from ROOT/data/.., and so let anybody in; name a directory that does not hold it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from /, and so let anybody in; name a directory that does not hold it, such as "work"
    "#);
    let mut start = Process::start(&mut bot_on(&stage));
    assert_eq!(start.ended().await.code(), Some(2), "{}", start.said());
    let (code, said) = doctor(&stage, |_| {}).await;
    assert!(
        code == Some(1) && said.contains("✗ scripts/routing.lua: projects.here.dir: Claude could change"),
        "{said}"
    );
}

#[tokio::test]
async fn a_reload_does_not_let_an_agent_work_where_the_gate_is_decided() {
    let (stage, ops) = with_operators(&routing_with("")).await;
    stage.save("routing.lua", &routing_with("").replace("WORK", stage.root().to_str().unwrap()));
    let told = posted_in(&stage, ops, 0).await.replace(stage.root().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(told, @r#"
    ⚠️ The scripts are not reloaded; generation 1 stays live.
    ```
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from ROOT, and so let anybody in; name a directory that does not hold it, such as "work"
    ```
    "#);
    assert_eq!(stage.reloader().generation(), 1);
}

#[tokio::test]
async fn the_shipped_scripts_work_in_a_folder_that_is_made_at_start() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/routing.lua");
    fs::copy(shipped, stage.root().join("scripts/routing.lua")).unwrap();
    fs::remove_dir(stage.work()).unwrap();
    let (code, said) = doctor(&stage, |_| {}).await;
    assert!(code == Some(0) && said.contains("✓ project here: Claude Code"), "{said}");
    assert!(!stage.work().exists(), "doctor changes nothing");
    stage.start().await;
    let message = stage.say("general", "CWD");
    assert_eq!(stage.settled(message).await, ANSWERED);
    assert!(stage.work().is_dir());
}

#[tokio::test]
async fn a_reload_that_opens_more_is_told_with_what_and_by_which_file() {
    let closed = r#"local people = require "people"
        return {
            allow = people,
            projects = { here = { dir = "WORK" }, vault = { dir = "WORK", allow = { users = { "41" } } } },
            route = function() return "here" end,
        }"#;
    let setup = Setup { routing: "return {}".to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let ops = stage.discord.channel("ops");
    let config = fs::read_to_string(stage.root().join("config/moonlane.toml")).unwrap();
    let config = format!("[scripts]\nnotify_channel = \"{ops}\"\n{config}");
    fs::write(stage.root().join("config/moonlane.toml"), config).unwrap();
    stage.save("people.lua", r#"return { users = { "40" }, operators = { "90" } }"#);
    stage.save("routing.lua", closed);
    let bot = Process::ready(&mut bot_on(&stage)).await;
    // Less is no news.
    stage.save("people.lua", r#"return { users = { "40" } }"#);
    stage.save("people.lua", r#"return { users = { "40", "44" }, roles = { "50" }, operators = { "91" } }"#);
    let told = posted_in(&stage, ops, 0).await;
    insta::assert_snapshot!(told, @"
    🔓 The scripts open more than before, changed in scripts/people.lua:
    ```
    allow.users has 44 now
    allow.roles has 50 now
    operators has 91 now
    ```
    ");
    bot.line("scripts/people.lua").await;
    assert!(bot.said().contains("open more than before: allow.users has 44 now"), "{}", bot.said());
    let open =
        closed.replace(r#"allow = { users = { "41" } }"#, r#"command = { "env" }, env = { KEY = "secret" }"#);
    stage.save("routing.lua", &open);
    let told = posted_in(&stage, ops, 1).await;
    insta::assert_snapshot!(told, @"
    🔓 The scripts open more than before, changed in scripts/routing.lua:
    ```
    projects.vault.allow.users has 40, 44 now
    projects.vault.allow.roles has 50 now
    projects.vault.command has changed
    projects.vault.env has changed
    ```
    ");
    bot.stop().await;
}
