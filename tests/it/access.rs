//! Who is let in, as it is when it counts.

use std::fs;
use std::path::Path;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, Id, Say, What};
use moonlane::turn::Settled;

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
    stage.configure(&format!("[scripts]\nnotify_channel = \"{ops}\"\n"));
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
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from ROOT, and so let anybody in; choose a directory that does not contain it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the configuration (ROOT/config/moonlane.toml) from ROOT/config, and so let anybody in; choose a directory that does not contain it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the database (ROOT/data/moonlane.db) from ROOT/data, and so let anybody in; choose a directory that does not contain it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the token (ROOT/secrets/token) from ROOT/secrets, and so let anybody in; choose a directory that does not contain it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from ROOT/links/there, and so let anybody in; choose a directory that does not contain it, such as "work"
    scripts/routing.lua: projects.here.add_dirs[2]: Claude could change the scripts (ROOT/scripts) from ROOT/data/.., and so let anybody in; choose a directory that does not contain it, such as "work"
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from /, and so let anybody in; choose a directory that does not contain it, such as "work"
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
    ⚠️ The scripts were not reloaded; generation 1 stays live.
    ```
    scripts/routing.lua: projects.here.dir: Claude could change the scripts (ROOT/scripts) from ROOT, and so let anybody in; choose a directory that does not contain it, such as "work"
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
    🔓 The scripts now allow more than before, changed in scripts/people.lua:
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
    🔓 The scripts now allow more than before, changed in scripts/routing.lua:
    ```
    projects.vault.allow.users has 40, 44 now
    projects.vault.allow.roles has 50 now
    projects.vault.command has changed
    projects.vault.env has changed
    ```
    ");
    bot.stop().await;
}

/// Lets these people into `here`, and nobody but the owner into `vault`; what says VAULT goes there, with another model
/// and a new session.
fn two_projects(allow: &str) -> String {
    format!(
        r#"return {{
            allow = {{ {allow} }},
            projects = {{
                here = {{ dir = "WORK", env = {{ DEMO_AGENT_LOG = "LOG" }} }},
                vault = {{ dir = "WORK", env = {{ DEMO_AGENT_LOG = "LOG" }}, allow = {{}} }},
            }},
            route = function(message, prompt)
                if not prompt:match("VAULT") then return "here" end
                return {{ project = "vault", model = "opus", fresh = true }}
            end,
        }}"#
    )
}

async fn let_in(allow: impl Fn(&Stage) -> String) -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.save("routing.lua", &two_projects(&allow(&stage)));
    stage.start().await;
    stage
}

fn by_name(stage: &Stage) -> String {
    format!(r#"users = {{ "{}" }}"#, stage.discord.user("ada"))
}

fn by_role(stage: &Stage) -> String {
    let (ada, role) = (stage.discord.user("ada"), stage.discord.role("crew"));
    stage.discord.give_role(ada, role);
    format!(r#"roles = {{ "{role}" }}"#)
}

async fn reload(stage: &Stage, allow: &str) {
    stage.save("routing.lua", &two_projects(allow));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
}

/// What somebody reads who was let in when they asked, and is not when the turn would begin.
const NO_MORE: &str =
    "⚠️ You no longer have access here, so I didn't start. Ask whoever runs this bot.\n-# id ID";
const CANCELLED: Settled = Settled::Ended(Outcome::Cancelled);

/// Whether an agent has got anything that contains this.
fn asked(stage: &Stage, what: &str) -> bool {
    stage.agent_log().iter().any(|event| event.prompt.as_deref().is_some_and(|prompt| prompt.contains(what)))
}

#[tokio::test]
async fn who_is_let_in_no_more_when_a_turn_would_begin_is_told_so_and_asks_nothing() {
    let mut stage = let_in(by_name).await;
    let running = stage.held("general").await;
    let waiting = stage.say_as("ada", "general", "TEXT:waiting");
    let edited = stage.say_as("ada", "general", "TEXT:edited");
    stage.reacted(edited, "⏳").await;
    reload(&stage, "").await;
    // Nobody may ask for it, so it is as if it had been deleted.
    stage.discord.edit(edited, &format!("<@{}> TEXT:edited later", stage.discord.bot_id()));
    assert_eq!(stage.settled(edited).await, CANCELLED);
    stage.let_go("done").await;
    assert_eq!(stage.settled(running).await, ANSWERED);
    assert_eq!(stage.settled(waiting).await, CANCELLED);
    assert_eq!((stage.answer(waiting).as_str(), stage.answer(edited).as_str()), (NO_MORE, ""));
    assert!(!asked(&stage, "waiting") && !asked(&stage, "edited"));
}

#[tokio::test]
async fn a_restart_lets_nobody_in_who_was_shut_out_meanwhile() {
    let mut stage = let_in(by_name).await;
    stage.held("general").await;
    let waiting = stage.say_as("ada", "general", "TEXT:waiting");
    let owners = stage.say("general", "TEXT:from a former owner");
    stage.reacted(owners, "⏳").await;
    stage.stop().await;
    stage.save("routing.lua", &two_projects(""));
    stage.discord.hand_over(stage.discord.user("eve"));
    stage.start().await;
    for message in [waiting, owners] {
        assert_eq!(stage.settled(message).await, CANCELLED);
        assert_eq!(stage.answer(message), NO_MORE);
    }
    assert!(!asked(&stage, "TEXT:"));
    let new = stage.say_as("eve", "general", "TEXT:from the new owner");
    assert_eq!(stage.settled(new).await, ANSWERED);
}

#[tokio::test]
async fn a_role_that_is_taken_while_a_turn_waits_lets_nobody_in() {
    let mut stage = let_in(by_role).await;
    let (ada, role) = (stage.discord.user("ada"), stage.discord.role("crew"));
    let first = stage.held("general").await;
    let kept = stage.say_as("ada", "general", "TEXT:kept");
    stage.reacted(kept, "⏳").await;
    // Discord fails for a while when it is asked who she is: nobody is let in or shut out by that.
    stage.discord.fail_next(2, Fault::Status(502), "/members/");
    stage.let_go("done").await;
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(kept).await, ANSWERED);
    assert_eq!(stage.answer(kept), "kept");

    let second = stage.say("general", "SLEEP:0.5 ;; TEXT:second");
    let waiting = stage.say_as("ada", "general", "TEXT:waiting");
    stage.reacted(waiting, "⏳").await;
    stage.discord.take_role(ada, role);
    assert_eq!(stage.settled(second).await, ANSWERED);
    assert_eq!(stage.settled(waiting).await, CANCELLED);
    assert_eq!(stage.answer(waiting), NO_MORE);
    assert!(!asked(&stage, "waiting"));
}

#[tokio::test]
async fn an_edit_goes_where_its_new_words_go_and_only_who_is_let_in_there_may_do_it() {
    let mut stage = let_in(by_role).await;
    let bot = stage.discord.bot_id();
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let first = stage.held("general").await;
    let hers = stage.say_as("ada", "general", "TEXT:hers");
    let better = stage.say_as("ada", "general", "TEXT:better");
    let mine = stage.say("general", "TEXT:mine");
    stage.reacted(mine, "⏳").await;
    stage.discord.edit(hers, &format!("<@{bot}> TEXT:hers VAULT"));
    stage.discord.edit(better, &format!("<@{bot}> TEXT:better words"));
    stage.discord.edit(mine, &format!("<@{bot}> SAY ;; MODE ;; TEXT:VAULT"));
    assert_eq!(stage.settled(hers).await, CANCELLED);
    stage.let_go("done").await;
    for message in [first, better, mine] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    assert_eq!(stage.answer(better), "better words");
    assert_eq!(stage.answer(mine), "(nothing was said before)\n\nopus default\n\nVAULT");
    assert!(!asked(&stage, "hers"));
}

#[tokio::test]
async fn an_edit_that_mentions_the_bot_at_last_starts_its_turn_once() {
    let mut stage = let_in(by_name).await;
    let (bot, general) = (stage.discord.bot_id(), stage.discord.channel("general"));
    let [ada, eve] = ["ada", "eve"].map(|name| stage.discord.user(name));
    let hers = stage.discord.say(Say::new(general, ada, "TEXT:no mention"));
    let strangers = stage.discord.say(Say::new(general, eve, "TEXT:no mention"));
    for message in [strangers, hers] {
        assert_eq!(stage.settled(message).await, Settled::Ignored);
        stage.forget_settled(message);
        stage.discord.edit(message, &format!("<@{bot}> TEXT:hello"));
    }
    assert_eq!(stage.settled(strangers).await, Settled::Ignored);
    assert_eq!(stage.settled(hers).await, ANSWERED);
    for text in ["TEXT:again", "TEXT:and again"] {
        stage.discord.edit(hers, &format!("<@{bot}> {text}"));
    }
    assert_eq!(stage.ask("general", "TEXT:last").await, "last");
    assert_eq!(stage.answer(hers), "hello");
    assert!(!asked(&stage, "again"));
}

#[tokio::test]
async fn direct_messages_are_turned_away_once_a_day() {
    let mut stage = Stage::open().await;
    let eve = stage.discord.user("eve");
    let direct = stage.discord.direct(eve);
    for text in ["TEXT:one", "TEXT:two"] {
        stage.discord.say(Say::to_bot(direct, eve, text));
    }
    assert_eq!(
        posted_in(&stage, direct, 0).await,
        "I don't take direct messages. Mention me in a server channel instead."
    );
    assert_eq!(stage.ask("general", "TEXT:here").await, "here");
    assert_eq!(stage.discord.messages(direct).iter().filter(|message| message.by_bot).count(), 1);
}

#[tokio::test]
async fn what_is_asked_while_discord_does_not_say_whether_an_owner_is_there_waits_for_its_word() {
    let mut stage = let_in(by_name).await;
    let route = two_projects(&by_name(&stage)).replace(
        "if not prompt",
        "if prompt:match('HINT') then return { reply = 'a hint' } end\n if not prompt",
    );
    stage.save("routing.lua", &route);
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    stage.discord.fail_next(1000, Fault::Status(403), "/members/");
    let asked_for = stage.say_as("ada", "general", "TEXT:here");
    let hint = stage.say_as("ada", "other", "HINT");
    let owners = stage.say("thread", "TEXT:of the owner");
    assert_eq!(stage.settled(owners).await, ANSWERED);
    assert!(!asked(&stage, "here") && stage.parts(asked_for).is_empty() && stage.parts(hint).is_empty());
    stage.discord.heal();
    assert_eq!(stage.settled(asked_for).await, ANSWERED);
    assert_eq!(stage.answer(asked_for), "here");
    assert_eq!(stage.settled(hint).await, Settled::Said);
    assert_eq!(stage.answer(hint), "a hint");
}

#[tokio::test]
async fn who_turns_out_to_be_where_no_owner_is_hears_nothing() {
    let mut stage = let_in(by_name).await;
    stage.discord.fail_next(1000, Fault::Status(403), "/members/");
    let question = stage.say_as("ada", "general", "TEXT:never");
    let owners = stage.say("other", "TEXT:of the owner");
    assert_eq!(stage.settled(owners).await, ANSWERED);
    reload(&stage, &format!(r#"{}, guilds = {{ "1" }}"#, by_name(&stage))).await;
    assert_eq!(stage.settled(question).await, CANCELLED);
    assert!(stage.parts(question).is_empty() && !asked(&stage, "never"));
}

#[tokio::test]
async fn the_bot_does_nothing_in_a_guild_that_is_not_listed() {
    let mut stage = let_in(by_name).await;
    let guild = stage.discord.guild();
    for (listed, settled) in [("1", Settled::Ignored), (guild.to_string().as_str(), ANSWERED)] {
        reload(&stage, &format!(r#"{}, guilds = {{ "{listed}" }}"#, by_name(&stage))).await;
        for person in ["ada", "owner"] {
            let message = stage.say_as(person, "general", "TEXT:here");
            assert_eq!(stage.settled(message).await, settled, "{person} in {listed}");
        }
    }
}
