//! The bot's token, and who may read it: an agent, which is a process of the same user, may not.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use moonlane::local::Options;

use crate::separate::{Process, bot_on, clean};
use crate::support::{MOONLANE, Setup, Stage, copy_program, write_program};

/// Somebody who is not root and owns nothing.
const NOBODY: u32 = 65534;

/// Gives the whole folder to somebody.
fn give(folder: &Path, to: u32) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give(&path, to);
        } else {
            chown(path, Some(to), Some(to)).unwrap();
        }
    }
    chown(folder, Some(to), Some(to)).unwrap();
}

/// An agent that tries to read what processes are told, writes down what it found, and then answers as usual.
const SPY: &str = r#"#!/bin/sh
bot=$(cat bot.pid) shown=$(cat shown.pid)
{
    tr '\0' '\n' < /proc/$bot/environ && echo "read the bot's environment"
    true < /proc/$bot/mem && echo "opened the bot's memory"
    tr '\0' '\n' < /proc/$shown/environ
    # Whatever else there is: a process between the bot and this one, for example.
    grep -lFf token /proc/[0-9]*/environ
} > found 2>&1
exec PROGRAM demo-agent "$@"
"#;

#[tokio::test]
async fn an_agent_can_read_the_token_nowhere_though_it_is_the_same_user() {
    let token = format!("token.of.{}", uuid::Uuid::new_v4());
    let discord = Options { token: token.clone(), ..Setup::default().discord };
    let stage =
        Stage::without_bot(Setup { agent: vec!["./spy".to_owned()], discord, ..Setup::default() }).await;
    let (folder, work) = (stage.root(), stage.work());
    // The program itself may stand where only its builder may look.
    let program = folder.join("moonlane");
    copy_program(&program);
    write_program(&folder.join("spy"), &SPY.replace("PROGRAM", program.to_str().unwrap()));
    std::fs::write(work.join("token"), &token).unwrap();

    let mut shown = clean("sleep", folder);
    shown.arg("60").env("SHOWN", "to everybody");
    let mut bot = clean(&program, folder);
    bot.args(["run", "--root"]).arg(folder).env("DISCORD_TOKEN", &token);
    bot.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        give(folder, NOBODY);
        shown.uid(NOBODY).gid(NOBODY);
        bot.uid(NOBODY).gid(NOBODY);
    }
    let shown = shown.spawn().unwrap();
    std::fs::write(work.join("shown.pid"), shown.id().unwrap().to_string()).unwrap();
    let bot = Process::ready(&mut bot).await;
    std::fs::write(work.join("bot.pid"), bot.pid().to_string()).unwrap();

    let question = stage.say("general", "TEXT:as usual");
    stage.parts_posted(question, 1).await;
    assert_eq!(stage.answer(question), "as usual");
    let found = std::fs::read_to_string(work.join("found")).unwrap();
    assert!(found.contains("to everybody"), "the spy can read what is readable:\n{found}");
    for secret in ["the bot's environment", "the bot's memory", &token] {
        assert!(!found.contains(secret), "the spy got {secret}:\n{found}");
    }
    assert!(!found.lines().any(|line| line.starts_with("/proc/")), "the token is in a process:\n{found}");
    assert!(!bot.said().contains("WARN"), "{}", bot.said());
    bot.stop().await;
}

#[tokio::test]
async fn the_bots_files_are_its_own_and_what_agents_make_is_as_its_user_wants_it() {
    let stage = Stage::without_bot(Setup { agent: vec!["./maker".to_owned()], ..Setup::default() }).await;
    let maker = format!("#!/bin/sh\n: > made\nexec {MOONLANE} demo-agent \"$@\"\n");
    write_program(&stage.root().join("maker"), &maker);
    let bot = bot_on(&stage);
    let mut shell = clean("sh", stage.root());
    shell.args(["-c", r#"umask 027; exec "$@""#, "sh"]).arg(bot.as_std().get_program());
    shell.args(bot.as_std().get_args());
    shell.env("DISCORD_TOKEN", stage.discord.token()).env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    let bot = Process::ready(&mut shell).await;
    let question = stage.say("general", "TEXT:as usual");
    stage.parts_posted(question, 1).await;

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let entries = std::fs::read_dir(stage.root()).unwrap().map(|entry| entry.unwrap().path());
    let own: Vec<_> = entries.filter(|path| path.to_str().unwrap().contains("moonlane.db")).collect();
    assert!(own.len() >= 4, "database, log, lock and the agents' lock: {own:?}");
    for path in own {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert_eq!(mode(&stage.work().join("made")), 0o640);
    bot.stop().await;
}

#[tokio::test]
async fn a_directory_that_the_bot_may_not_enter_is_a_sentence() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make a directory that the bot's user may not enter");
        return;
    }
    let stage = Stage::without_bot(Setup { agent: vec!["true".to_owned()], ..Setup::default() }).await;
    let folder = stage.root();
    let program = folder.join("moonlane");
    copy_program(&program);
    give(folder, NOBODY);
    chown(stage.work(), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(stage.work(), PermissionsExt::from_mode(0o700)).unwrap();
    let mut bot = clean(&program, folder);
    bot.args(["run", "--root"]).arg(folder).env("DISCORD_TOKEN", stage.discord.token());
    bot.env("MOONLANE_DISCORD__API_URL", stage.discord.url()).uid(NOBODY).gid(NOBODY);
    let bot = Process::ready(&mut bot).await;
    let question = stage.say("general", "hello");
    stage.parts_posted(question, 1).await;
    insta::assert_snapshot!(stage.answer(question), @"
    ⚠️ I'm not allowed to read this project's directory. Whoever runs this bot has to allow it, or correct `dir` in routing.lua.
    -# id ID
    ");
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_agents_can_read_is_told_at_the_start() {
    let config = "[discord]\ntoken_file = \"token\"\n".to_owned();
    let stage = Stage::without_bot(Setup { config, ..Setup::default() }).await;
    let file = stage.root().join("token");
    std::fs::write(&file, stage.discord.token()).unwrap();
    let bot = Process::ready(bot_on(&stage).env_remove("DISCORD_TOKEN")).await;
    let line = bot.line("can be read by agents").await;
    let line = line.split_once(" WARN ").unwrap().1.replace(stage.root().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(line, @"moonlane: ROOT/token can be read by agents without `run_as`, for they run as the same user: put the token into the environment variable that `discord.token_env` names (systemd's `EnvironmentFile=` takes it from a file that only root reads)");
    let root = rustix::process::geteuid().is_root();
    assert_eq!(bot.said().contains("runs as root"), root, "{}", bot.said());
    bot.stop().await;

    // A pipe can be read once, and that was the bot.
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let token = stage.discord.token().to_owned();
    let writer = std::thread::spawn(move || std::fs::write(file, token).unwrap());
    let bot = Process::ready(bot_on(&stage).env_remove("DISCORD_TOKEN")).await;
    writer.join().unwrap();
    assert!(!bot.said().contains("can be read by agents"), "{}", bot.said());
    bot.stop().await;
}

#[tokio::test]
async fn no_secret_is_posted_not_even_in_two_halves() {
    let token = format!("token.of.{}", uuid::Uuid::new_v4());
    let discord = Options { token: token.clone(), ..Setup::default().discord };
    let mut stage = Stage::with(Setup { discord, ..Setup::default() }).await;
    let question = stage.say("general", &format!("TEXT:it is `{token}`, is it not?"));
    stage.parts_posted(question, 1).await;
    assert_eq!(stage.answer(question), "it is `[redacted]`, is it not?");

    // A line without a space is cut anywhere: here in the middle of the secret.
    for before in [1950, 1980, 1990] {
        let known = format!("ghp_{}", "a8Bk3ZxQ7m".repeat(4));
        let question =
            stage.say("general", &format!("TEXT:{}/{known}/{}", "x".repeat(before), "y".repeat(60)));
        stage.parts_posted(question, 2).await;
        let said = stage.answer(question).replace('\n', "");
        assert!(said.contains("[redacted]") && !said.contains("ghp_"), "{said}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn what_an_agent_writes_to_stderr_forges_no_line_of_the_log() {
    let stage = Stage::without_bot(Setup { agent: vec!["./forger".to_owned()], ..Setup::default() }).await;
    let forged = "2026-01-01T00:00:00.000000Z  INFO moonlane: everybody is let in";
    let forger = format!(
        "#!/bin/sh\nprintf 'no\\n{forged}\\r\\033[2J\\n%s' \"$(head -c 9000 /dev/zero | tr '\\0' x)\" >&2\nexit 3\n"
    );
    write_program(&stage.root().join("forger"), &forger);
    let bot = Process::ready(&mut bot_on(&stage)).await;
    let question = stage.say("general", "hello");
    stage.parts_posted(question, 1).await;
    let line = bot.line("the turn failed").await;
    assert!(line.chars().count() < 3000, "{line}");
    let said = bot.said();
    assert!(!said.contains('\u{1b}') && !said.lines().any(|line| line.starts_with("2026-01-01")), "{said}");
    bot.stop().await;
}

#[tokio::test]
async fn what_an_agent_hides_from_the_guard_that_it_kills_ends_with_it() {
    if let Err(why) = moonlane::agent::cgroup::own() {
        eprintln!("skipped: no control group can be made here: {why}");
        return;
    }
    let stage = Stage::without_bot(Setup { agent: vec!["./escape".to_owned()], ..Setup::default() }).await;
    let escape = "#!/bin/sh\nenv -i setsid sh -c 'echo $$ > away; exec sleep 300' &\n\
        while ! [ -s away ]; do sleep 0.01; done\nkill -9 $PPID\nsleep 300\n";
    write_program(&stage.root().join("escape"), escape);
    let bot = Process::ready(&mut bot_on(&stage)).await;
    let question = stage.say("general", "hello");
    stage.parts_posted(question, 1).await;
    bot.line("had left in its control group").await;
    let away = std::fs::read_to_string(stage.work().join("away")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", away.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "it lives: {stat}");
    bot.stop().await;
}

#[tokio::test]
async fn an_agent_in_a_sandbox_finds_its_project_and_nothing_of_the_bots() {
    let works = std::process::Command::new("bwrap").args(["--ro-bind", "/", "/", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        eprintln!("skipped: bubblewrap is not installed, or may not be used here");
        return;
    }
    let routing = r#"return {
        projects = { here = { dir = "WORK", sandbox = "bwrap" } },
        route = function() return "here" end,
    }"#;
    let agent = vec!["./explorer".to_owned()];
    let setup = Setup { agent, routing: routing.to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let root = stage.root().display();
    let explorer = format!(
        "#!/bin/sh\n\
        {{ ls -A {root}; ls -A $HOME; ls -d /proc/[0-9]* | wc -l; cat {root}/scripts/routing.lua\n\
        touch $CLAUDE_CONFIG_DIR/written && echo wrote to the folder of Claude\n\
        touch /usr/written || echo wrote nothing to /usr; }} > found 2>&1\n\
        exec {MOONLANE} demo-agent \"$@\"\n"
    );
    write_program(&stage.root().join("explorer"), &explorer);
    let claude = stage.root().join("claude");
    std::fs::create_dir_all(stage.root().join("home")).unwrap();
    std::fs::write(stage.root().join("home/.secret"), "x").unwrap();
    let bot = Process::ready(bot_on(&stage).env("CLAUDE_CONFIG_DIR", &claude)).await;
    let question = stage.say("general", "TEXT:as usual");
    stage.parts_posted(question, 1).await;
    assert_eq!(stage.answer(question), "as usual", "{}", bot.said());
    let found = std::fs::read_to_string(stage.work().join("found")).unwrap();
    assert!(claude.join("written").exists() && found.contains("wrote to the folder of Claude"), "{found}");
    assert!(found.contains("wrote nothing to /usr"), "{found}");
    for hidden in ["moonlane.db", "config", "scripts\n", ".secret", "projects ="] {
        assert!(!found.contains(hidden), "{hidden} is there:\n{found}");
    }
    bot.stop().await;
}
