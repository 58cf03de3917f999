//! `run_as`: agents as another user of this machine, seen from inside of them.
//!
//! Only root, or who has some of its rights, can start processes as another user; elsewhere these tests skip.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::process::Command;

use crate::commands::{add_shipped, said};
use crate::doctor::doctor;
use crate::separate::{Process, bot_on, clean};
use crate::support::{MOONLANE, Setup, Stage, copy_program, processes_with, within, write_program};
use moonlane::domain::Outcome;
use moonlane::turn::Settled;

/// A user as `/etc/passwd` has it.
#[derive(Debug, Clone)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

fn user(name: &str) -> Option<User> {
    let all = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = all.lines().find(|line| line.split(':').next() == Some(name))?;
    let field = |place| line.split(':').nth(place);
    let number = |place| field(place)?.parse().ok();
    Some(User { name: name.to_owned(), uid: number(2)?, gid: number(3)?, home: field(5)?.to_owned() })
}

/// Two users who own nothing here: one for agents, and one for a bot that is not root.
fn users() -> Option<(User, User)> {
    let found = user("nobody").zip(user("daemon")).filter(|_| geteuid().is_root());
    if found.is_none() {
        eprintln!("skipped: this takes root, and the users `nobody` and `daemon`");
    }
    found
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The project `theirs`, whose agents are another user's, and `ours`, whose agents are the bot's own.
fn routing(user: &User, keys: &str) -> String {
    let name = &user.name;
    format!(
        r#"return {{
            projects = {{
                theirs = {{
                    dir = "WORK/theirs", run_as = "{name}", {keys}
                    env = {{ DEMO_AGENT_LOG = "LOG", CLAUDE_CONFIG_DIR = "WORK/theirs/claude" }},
                }},
                ours = {{ dir = "WORK/ours", env = {{ DEMO_AGENT_LOG = "LOG", CLAUDE_CONFIG_DIR = "WORK/ours/claude" }} }},
            }},
            route = function(message) return message.channel.name == "quiet" and "ours" or "theirs" end,
        }}"#
    )
}

/// A stage that the user may pass through, with a folder of its own in it. The agent writes down what it finds.
async fn stage(user: &User, keys: &str) -> Stage {
    let config = "[discord]\ntoken_file = \"token\"\n".to_owned();
    let setup =
        Setup { routing: routing(user, keys), config, agent: vec!["./spy".to_owned()], ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let root = stage.root();
    set(root, 0o755);
    fs::write(root.join("token"), stage.discord.token()).unwrap();
    set(&root.join("token"), 0o600);
    // The program itself may stand where only its builder may look.
    copy_program(&root.join("moonlane"));
    write_program(&root.join("spy"), &SPY.replace("ROOT", root.to_str().unwrap()));
    fs::create_dir(root.join("home")).unwrap();
    fs::write(root.join("home/key"), "x").unwrap();
    set(&root.join("home/key"), 0o600);
    fs::write(root.join("agent.log"), "").unwrap();
    set(&root.join("agent.log"), 0o666);
    for dir in ["theirs", "ours"] {
        let dir = stage.work().join(dir);
        fs::create_dir(&dir).unwrap();
        fs::hard_link(root.join("moonlane"), dir.join("moonlane")).unwrap();
    }
    chown(stage.work().join("theirs"), Some(user.uid), Some(user.gid)).unwrap();
    stage
}

const SPY: &str = r#"#!/bin/sh
{
    echo "ids $(id -u) $(id -g) groups $(id -G)"
    echo "in $(pwd) home $HOME user $USER tmp ${TMPDIR:-none}"
    echo capabilities $(grep -hE '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | cut -f2)
    cat ROOT/moonlane.db > /dev/null && echo read the database
    cat ROOT/token > /dev/null && echo read the token
    cat ROOT/home/key > /dev/null && echo read a key of the user of the bot
    echo '-- x' >> ROOT/scripts/routing.lua && echo wrote the scripts
    true > ROOT/scripts/commands.lua && echo made a script
    echo '# x' >> ROOT/config/moonlane.toml && echo wrote the configuration
    true > ROOT/new && echo wrote beside them
    true > made && echo wrote in the project
    kill -0 $PPID && echo may end its guard
    kill -0 $(cut -d' ' -f4 /proc/$PPID/stat) && echo may end the bot
    cat /proc/$PPID/environ > /dev/null && echo read the environment of its guard
} > found 2> /dev/null
exec ./moonlane demo-agent "$@"
"#;

/// Who this process is: real user and group, and its other groups.
fn owner(pid: u32) -> (u32, u32, Vec<u32>) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let numbers = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    let (uids, gids) = (numbers("Uid:"), numbers("Gid:"));
    assert!(uids.iter().all(|uid| *uid == uids[0]) && gids.iter().all(|gid| *gid == gids[0]), "{status}");
    (uids[0], gids[0], numbers("Groups:"))
}

#[tokio::test]
async fn an_agent_is_another_user_and_gets_at_nothing_of_the_bots() {
    let Some((nobody, _)) = users() else { return };
    let stage = stage(&nobody, "").await;
    let before = fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap();
    let bot = Process::ready(bot_on(&stage).env_remove("DISCORD_TOKEN").env("LANG", "C")).await;
    let question = stage.say("general", "TEXT:as usual");
    stage.parts_posted(question, 1).await;
    assert_eq!(stage.answer(question), "as usual", "{}", bot.said());
    let found = fs::read_to_string(stage.work().join("theirs/found")).unwrap();
    let found = found.replace(stage.root().to_str().unwrap(), "ROOT");
    let ids = format!("{0} {1} groups {1}\n", nobody.uid, nobody.gid);
    let found = found.replace(&ids, "OF THE USER\n").replace(&format!("home {}", nobody.home), "home HOME");
    insta::assert_snapshot!(found, @"
    ids OF THE USER
    in ROOT/work/theirs home HOME user nobody tmp none
    capabilities 0000000000000000 0000000000000000 0000000000000000 0000000000000000
    wrote in the project
    ");
    assert_eq!(fs::metadata(stage.work().join("theirs/made")).unwrap().uid(), nobody.uid);

    // One of the bot's own user, here root, gets at all of it: the spy can find what there is to find.
    let question = stage.say("quiet", "TEXT:as usual");
    stage.parts_posted(question, 1).await;
    let found = fs::read_to_string(stage.work().join("ours/found")).unwrap();
    let found = [
        "read the database",
        "read the token",
        "read a key",
        "wrote the scripts",
        "made a script",
        "wrote beside them",
    ]
    .into_iter()
    .chain(["may end its guard", "may end the bot", "read the environment of its guard"])
    .find(|what| !found.contains(what));
    assert_eq!(found, None);
    assert_ne!(fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap(), before);
    bot.stop().await;
}

#[tokio::test]
async fn stop_ends_all_that_another_user_has_started() {
    let Some((nobody, _)) = users() else { return };
    let mut stage = stage(&nobody, "").await;
    add_shipped(&stage);
    stage.start().await;
    let prompt = "DEAF ;; FORK ;; SETSID ;; STALL";
    let running = stage.say("general", prompt);
    let agent = stage.prompted(prompt).await;
    let own = |pid: u32| owner(pid).0 == nobody.uid;
    assert!(own(agent.pid));
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.pid)).unwrap();
    let numbers: Vec<u32> =
        stat.rsplit_once(") ").unwrap().1.split(' ').skip(1).take(3).map(|n| n.parse().unwrap()).collect();
    assert_eq!(numbers[1..], [agent.pid, agent.pid], "a group and a session of its own");
    let theirs = within("its children", async {
        loop {
            let theirs: Vec<u32> = stage.agent_processes().into_iter().filter(|&pid| own(pid)).collect();
            if theirs.len() >= 3 {
                return theirs;
            }
            tokio::task::yield_now().await;
        }
    });
    theirs.await;
    let told = said(&stage, "owner", "stop", &[]).await;
    assert_eq!(told.content, format!("Stopped the turn of <@{}>.", stage.discord.owner()));
    assert_eq!(stage.settled(running).await, Settled::Ended(Outcome::Cancelled));
    stage.no_agent_is_left().await;
    stage.stop().await;
}

#[tokio::test]
async fn no_agent_of_another_user_outlives_a_bot_that_is_killed() {
    let Some((nobody, _)) = users() else { return };
    let stage = stage(&nobody, "").await;
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    let prompt = "DEAF ;; FORK ;; SETSID ;; STALL";
    stage.say("general", prompt);
    let agent = stage.prompted(prompt).await;
    assert_eq!(owner(agent.pid).0, nobody.uid);
    bot.kill().await;
    stage.no_agent_is_left().await;
}

/// Waits until none of these processes is left.
async fn gone(what: &str, left: impl Fn() -> Vec<u32>) {
    let none_left = async {
        while !left().is_empty() {
            // Nothing tells of another's child.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(&format!("{what} to be gone"), none_left).await;
}

/// What `check` says about the project, with the stage's folder as `ROOT`.
async fn checked(stage: &Stage, change: impl FnOnce(&mut Command)) -> String {
    let mut check = clean(MOONLANE, stage.root());
    check.args(["check", "--root"]).arg(stage.root());
    change(&mut check);
    let output = check.output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap().replace(stage.root().to_str().unwrap(), "ROOT");
    let said = said.replace("scripts/routing.lua: projects.theirs.", "");
    assert_eq!(output.status.code(), Some(if said.starts_with("configuration") { 0 } else { 2 }), "{said}");
    said
}

#[tokio::test]
async fn what_stands_open_to_that_user_is_told_with_what_closes_it() {
    let Some((nobody, _)) = users() else { return };
    let stage = stage(&nobody, "add_dirs = { \"WORK/ours\" }, settings = \"config/claude.json\",").await;
    let at = |path: &str| stage.root().join(path);
    fs::write(at("moonlane.db"), "").unwrap();
    fs::write(at("moonlane.db-wal"), "").unwrap();
    fs::write(at("config/claude.json"), "{}").unwrap();
    fs::create_dir(at("scripts/commands")).unwrap();
    fs::write(
        at("scripts/commands/hi.lua"),
        "return { name = 'hi', description = 'x', run = function() end }",
    )
    .unwrap();
    for file in ["moonlane.db", "moonlane.db-wal"] {
        set(&at(file), 0o600);
    }
    let mut told = checked(&stage, |_| {}).await;
    for (path, mode) in [
        ("moonlane.db", 0o644),
        ("moonlane.db-wal", 0o604),
        ("token", 0o602),
        ("scripts/routing.lua", 0o646),
        ("scripts/commands", 0o757),
        ("scripts/commands/hi.lua", 0o666),
        ("config/moonlane.toml", 0o666),
        ("config", 0o777),
        ("", 0o777),
        ("work/theirs", 0o070),
        ("work/ours", 0o700),
        ("work", 0o744),
        ("config/claude.json", 0o640),
    ] {
        let before = fs::metadata(at(path)).unwrap().mode();
        set(&at(path), mode);
        told.push_str(&checked(&stage, |_| {}).await);
        set(&at(path), before);
    }
    // The group counts, and so does the owner, whatever the bits say.
    chown(at("token"), None, Some(nobody.gid)).unwrap();
    set(&at("token"), 0o640);
    told.push_str(&checked(&stage, |_| {}).await);
    chown(at("token"), Some(nobody.uid), Some(0)).unwrap();
    set(&at("token"), 0);
    told.push_str(&checked(&stage, |_| {}).await);
    for user in ["root", "no such user"] {
        stage.save("routing.lua", &routing(&User { name: user.to_owned(), ..nobody.clone() }, ""));
        told.push_str(&checked(&stage, |_| {}).await);
    }
    insta::assert_snapshot!(told, @r#"
    configuration and scripts are fine
    run_as: the user nobody can read the database (ROOT/moonlane.db): `chmod o-r ROOT/moonlane.db`
    run_as: the user nobody can read the database (ROOT/moonlane.db-wal): `chmod o-r ROOT/moonlane.db-wal`
    run_as: the user nobody can change the token (ROOT/token): `chmod o-w ROOT/token`
    run_as: the user nobody can change the scripts (ROOT/scripts/routing.lua): `chmod o-w ROOT/scripts/routing.lua`
    run_as: the user nobody can change the scripts (ROOT/scripts/commands): `chmod o-w ROOT/scripts/commands`
    run_as: the user nobody can change the scripts (ROOT/scripts/commands/hi.lua): `chmod o-w ROOT/scripts/commands/hi.lua`
    run_as: the user nobody can change the configuration (ROOT/config/moonlane.toml): `chmod o-w ROOT/config/moonlane.toml`
    run_as: the user nobody can change the configuration (ROOT/config/moonlane.toml): `chmod o-w ROOT/config`
    run_as: the user nobody can change the scripts (ROOT/scripts): `chmod o-w ROOT`
    dir: the user nobody (`run_as`) may not enter ROOT/work/theirs: `chmod u+x ROOT/work/theirs`, or give it another owner or group
    add_dirs[1]: the user nobody (`run_as`) may not enter ROOT/work/ours: `chmod o+x ROOT/work/ours`, or give it another owner or group
    dir: the user nobody (`run_as`) may not enter ROOT/work/theirs: `chmod o+x ROOT/work`, or give it another owner or group
    add_dirs[1]: the user nobody (`run_as`) may not enter ROOT/work/ours: `chmod o+x ROOT/work`, or give it another owner or group
    settings: the user nobody (`run_as`) may not read ROOT/config/claude.json: `chmod o+r ROOT/config/claude.json`, or give it another owner or group
    run_as: the user nobody can read the token (ROOT/token): `chmod g-r ROOT/token`
    run_as: the user nobody can read the token (ROOT/token): give ROOT/token another owner
    run_as: must not be root; choose a user that owns nothing but the project
    run_as: there is no user "no such user" on this machine
    "#);
}

#[tokio::test]
async fn neither_a_start_nor_a_reload_nor_doctor_takes_what_stands_open() {
    let Some((nobody, _)) = users() else { return };
    let stage = stage(&nobody, "").await;
    let token = stage.root().join("token");
    set(&token, 0o644);
    let sentence = "scripts/routing.lua: projects.theirs.run_as: the user nobody can read the token";
    let mut start = Process::start(&mut bot_on(&stage));
    assert_eq!(start.ended().await.code(), Some(2));
    assert!(start.said().contains(sentence), "{}", start.said());
    let (code, said) = doctor(&stage, |_| {}).await;
    assert!(code == Some(1) && said.contains(&format!("✗ {sentence}")), "{said}");

    set(&token, 0o600);
    let (code, said) = doctor(&stage, |_| {}).await;
    assert!(said.contains("✓ project theirs: Claude Code 2.1.330 as nobody, logged in"), "{said}");
    assert_eq!(code, Some(0), "{said}");
    let bot = Process::ready(&mut bot_on(&stage)).await;
    set(&token, 0o644);
    stage.save("routing.lua", &routing(&nobody, "model = 'opus',"));
    bot.line(&format!("{sentence} ")).await;
    bot.stop().await;
}

/// A group of the bot's that is no business of another user.
const OTHER: u32 = 4_000_000;

/// The program as this user, with these capabilities, as systemd's `AmbientCapabilities=` gives them.
fn as_user(stage: &Stage, user: &User, capabilities: &str) -> Command {
    let mut command = clean("setpriv", stage.root());
    command
        .arg(format!("--reuid={}", user.uid))
        .arg(format!("--regid={}", user.gid))
        .arg(format!("--groups={OTHER}"));
    if !capabilities.is_empty() {
        command.arg(format!("--inh-caps={capabilities}")).arg(format!("--ambient-caps={capabilities}"));
    }
    command.arg(stage.root().join("moonlane"));
    command
}

fn bot_of(stage: &Stage, user: &User, capabilities: &str) -> Command {
    let mut command = as_user(stage, user, capabilities);
    command.args(["run", "--root"]).arg(stage.root());
    command.env("DISCORD_TOKEN", stage.discord.token());
    command.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    command
}

/// Gives the stage to the bot's user, but for what is another's.
fn give(folder: &Path, to: &User) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("work/theirs") {
            continue;
        }
        if path.is_dir() {
            give(&path, to);
        }
        chown(path, Some(to.uid), Some(to.gid)).unwrap();
    }
    chown(folder, Some(to.uid), Some(to.gid)).unwrap();
}

fn has_bwrap() -> bool {
    let works = std::process::Command::new("bwrap").args(["--ro-bind", "/", "/", "true"]).status();
    let has = works.is_ok_and(|status| status.success());
    if !has {
        eprintln!("skipped: bubblewrap is not installed, or may not be used here");
    }
    has
}

fn has_setpriv() -> bool {
    let has = std::process::Command::new("setpriv").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: this takes `setpriv`");
    }
    has
}

#[tokio::test]
async fn a_bot_that_is_not_root_needs_three_capabilities_and_hands_on_none() {
    let Some((nobody, daemon)) = users().filter(|_| has_setpriv()) else { return };
    let stage = stage(&nobody, "").await;
    let mut command = bot_of(&stage, &daemon, "+setuid,+setgid,+kill");
    give(stage.root(), &daemon);
    set(&stage.work().join("theirs"), 0o700);
    let mut bot = Process::ready(&mut command).await;
    assert!(!bot.said().contains("may not start agents"), "{}", bot.said());
    let nothing = "0000000000000000";
    for (channel, dir, user) in [("general", "theirs", &nobody), ("quiet", "ours", &daemon)] {
        let question = stage.say(channel, "TEXT:as usual");
        stage.parts_posted(question, 1).await;
        assert_eq!(stage.answer(question), "as usual", "{}", bot.said());
        let found = fs::read_to_string(stage.work().join(dir).join("found")).unwrap();
        let others = if dir == "ours" { format!(" {OTHER}") } else { String::new() };
        let ids = format!("ids {} {} groups {}{others}\n", user.uid, user.gid, user.gid);
        assert!(found.contains(&ids), "{found}");
        assert!(found.contains(&format!("capabilities {}\n", [nothing; 4].join(" "))), "{found}");
        assert_eq!(found.contains("read the token"), dir == "ours", "{found}");
        assert_eq!(found.contains("may end its guard"), dir == "ours", "{found}");
        // It holds the right that an agent must not get at.
        assert!(!found.contains("read the environment of its guard"), "{found}");
    }
    // A guard that was killed: the bot may not look for a mark in the environment of another user's process.
    let question = stage.say("general", "SLEEP:600");
    let agent = stage.prompted("SLEEP:600").await;
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.pid)).unwrap();
    let guard: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    kill_process(Pid::from_raw(guard).unwrap(), Signal::KILL).unwrap();
    stage.parts_posted(question, 1).await;
    gone("the agent", || stage.agent_processes().into_iter().filter(|pid| *pid == agent.pid).collect()).await;

    let prompt = "DEAF ;; FORK ;; SETSID ;; STALL";
    stage.say("general", prompt);
    let agent = stage.prompted(prompt).await;
    assert_eq!(owner(agent.pid), (nobody.uid, nobody.gid, vec![nobody.gid]));
    bot.signal(Signal::KILL);
    bot.ended().await;
    stage.no_agent_is_left().await;
}

#[tokio::test]
async fn a_bot_without_the_right_says_what_is_missing_and_serves_the_other_projects() {
    let Some((nobody, daemon)) = users().filter(|_| has_setpriv()) else { return };
    let stage = stage(&nobody, "").await;
    for capabilities in ["", "+setuid,+setgid"] {
        let mut command = bot_of(&stage, &daemon, capabilities);
        give(stage.root(), &daemon);
        let bot = Process::ready(&mut command).await;
        let line = bot.line("may not start agents as another user").await;
        assert!(line.contains("WARN") && line.contains("projects.theirs.run_as"), "{line}");
        if capabilities.is_empty() {
            let question = stage.say("general", "TEXT:as usual");
            stage.parts_posted(question, 1).await;
            insta::assert_snapshot!(stage.answer(question), @"
            ⚠️ Claude Code can't be started where I run. Whoever runs this bot can find the reason in the log.
            -# id ID
            ");
            let line = bot.line("the turn failed").await;
            assert!(line.contains("it may not be started as nobody: Operation not permitted"), "{line}");
            assert!(!stage.work().join("theirs/found").exists(), "it ran as somebody else");
        }
        let question = stage.say("quiet", "TEXT:as usual");
        stage.parts_posted(question, 1).await;
        assert_eq!(stage.answer(question), "as usual");
        bot.stop().await;
    }
    let told = checked(&stage, |check| {
        *check = as_user(&stage, &daemon, "");
        check.args(["check", "--root"]).arg(stage.root());
    });
    insta::assert_snapshot!(told.await, @r#"run_as: moonlane, the way it was started here, may not start agents as another user: start it with `AmbientCapabilities=CAP_SETUID CAP_SETGID CAP_KILL` (systemd), or write `command = { "sudo", … }` instead of `run_as` (scripts/README.md says how)"#);
    stage.save("routing.lua", &routing(&daemon, ""));
    let told = checked(&stage, |check| {
        *check = as_user(&stage, &daemon, "");
        check.args(["check", "--root"]).arg(stage.root());
    });
    insta::assert_snapshot!(told.await, @"run_as: is the user that moonlane itself runs as; choose another one, or remove `run_as`");
}

#[tokio::test]
async fn a_change_of_the_user_begins_with_another_agent() {
    let Some((nobody, daemon)) = users() else { return };
    let mut stage = stage(&nobody, "").await;
    // Everybody may write there.
    set(&stage.work().join("theirs"), 0o777);
    stage.start().await;
    stage.ask("general", "TEXT:one").await;
    stage.save("routing.lua", &routing(&daemon, ""));
    stage.reloader().reload_now().await.unwrap();
    stage.ask("general", "TEXT:two").await;
    let uid = |pid: u32| owner(pid).0;
    let starts: Vec<_> = stage.agent_log().into_iter().filter(|event| event.event == "start").collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert_eq!(uid(starts[1].pid), daemon.uid);
    stage.stop().await;
}

#[tokio::test]
async fn a_sandbox_holds_another_user_too() {
    let Some((nobody, _)) = users().filter(|_| has_bwrap()) else { return };
    let stage = stage(&nobody, "sandbox = \"bwrap\",").await;
    // Bubblewrap may not look where the database is now; and it is all the more out of sight.
    let private = stage.root().join("private");
    fs::create_dir(&private).unwrap();
    set(&private, 0o700);
    let script = routing(&nobody, "sandbox = \"bwrap\",").replace("DEMO_AGENT_LOG = \"LOG\",", "");
    stage.save("routing.lua", &script);
    let spy = r#"#!/bin/sh
{
    id -u
    ls -A ROOT ROOT/scripts
    cat ROOT/token
    [ $(ls -d /proc/[0-9]* | wc -l) -lt 10 ] && echo few processes
} > found 2>&1
exec ./moonlane demo-agent "$@"
"#;
    fs::write(stage.root().join("spy"), spy.replace("ROOT", stage.root().to_str().unwrap())).unwrap();
    let mut bot = bot_on(&stage);
    bot.env("MOONLANE_STORE__PATH", private.join("store/moonlane.db"));
    fs::create_dir(private.join("store")).unwrap();
    let mut bot = Process::ready(&mut bot).await;
    let question = stage.say("general", "TEXT:as usual");
    stage.parts_posted(question, 1).await;
    assert_eq!(stage.answer(question), "as usual", "{}", bot.said());
    let found = fs::read_to_string(stage.work().join("theirs/found")).unwrap();
    let found = found.replace(&nobody.uid.to_string(), "UID").replace(stage.root().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(found, @"
    UID
    ROOT:
    scripts
    spy
    token
    work

    ROOT/scripts:
    cat: ROOT/token: Permission denied
    few processes
    ");

    let folder = format!("CLAUDE_CONFIG_DIR={}", stage.work().join("theirs/claude").display());
    let agents = || processes_with(&folder);
    let theirs = |pid: &u32| owner(*pid).0 == nobody.uid;
    assert!(agents().iter().filter(|pid| theirs(pid)).count() >= 2, "bubblewrap, and the agent");
    bot.kill().await;
    gone("all of it", agents).await;
}

#[tokio::test]
async fn a_bot_that_is_not_root_has_a_sandbox_without_the_folders_that_it_may_not_look_into() {
    let Some((nobody, daemon)) = users().filter(|_| has_setpriv() && has_bwrap()) else { return };
    let stage = stage(&nobody, "").await;
    let script = r#"return {
        projects = { ours = { dir = "WORK/ours", sandbox = "bwrap", env = { CLAUDE_CONFIG_DIR = "WORK/ours/claude" } } },
        route = function() return "ours" end,
    }"#;
    stage.save("routing.lua", script);
    let mut bot = bot_of(&stage, &daemon, "");
    give(stage.root(), &daemon);
    let private = stage.root().join("private");
    fs::create_dir_all(private.join("bin")).unwrap();
    set(&private, 0o700);
    bot.env("PATH", format!("{}:{}", private.join("bin").display(), std::env::var("PATH").unwrap()));
    let bot = Process::ready(&mut bot).await;
    let question = stage.say("general", "TEXT:as usual");
    stage.parts_posted(question, 1).await;
    assert_eq!(stage.answer(question), "as usual", "{}", bot.said());
    let found = fs::read_to_string(stage.work().join("ours/found")).unwrap();
    assert!(found.contains("wrote in the project"), "{found}");
    assert!(!found.contains("read the database") && !found.contains("read a key"), "{found}");
    // What it wrote elsewhere was gone with the sandbox.
    assert!(!stage.root().join("new").exists());
    assert!(!fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap().contains("-- x"));
    bot.stop().await;
}
