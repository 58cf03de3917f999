//! `moonlane doctor`, as the operator sees it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use moonlane::local::{Id, LocalDiscord, Right};
use tokio::process::Command;

use crate::messages_api::MessagesApi;
use crate::real_claude::claude;
use crate::separate::{Process, bot_on, clean};
use crate::support::{MOONLANE, Setup, Stage, copy_program, routing_with};

/// Three channels, by the names that they have in the local Discord.
const ROUTED: &str = r#"return {
    projects = { here = { dir = "WORK" } },
    channels = { ["GENERAL"] = "here", ["QUIET"] = "here", ["THREAD"] = "here" },
}"#;

async fn stage(setup: Setup) -> Stage {
    let stage = Stage::without_bot(setup).await;
    let general = stage.discord.channel("general");
    let ids = [("GENERAL", general), ("QUIET", stage.discord.channel("quiet"))];
    let thread = ("THREAD", stage.discord.thread(general, "idea"));
    let file = stage.root().join("scripts/routing.lua");
    let mut routing = std::fs::read_to_string(&file).unwrap();
    for (name, id) in ids.into_iter().chain([thread]) {
        routing = routing.replace(name, &id.to_string());
    }
    std::fs::write(file, routing).unwrap();
    stage
}

async fn routed() -> Stage {
    stage(Setup { routing: ROUTED.to_owned(), ..Setup::default() }).await
}

/// Runs it with this change to its surroundings, and gives its exit code and what it said.
pub async fn doctor(stage: &Stage, change: impl FnOnce(&mut Command)) -> (Option<i32>, String) {
    let mut command = clean(MOONLANE, stage.root());
    command.args(["doctor", "--root"]).arg(stage.root());
    command.env("DISCORD_TOKEN", stage.discord.token());
    command.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    command.env("CLAUDE_CONFIG_DIR", stage.root().join("claude"));
    change(&mut command);
    let mut process = Process::start(&mut command);
    let code = process.ended().await.code();
    (code, scrubbed(&process.said(), stage.root(), &stage.discord))
}

fn scrubbed(said: &str, root: &Path, discord: &LocalDiscord) -> String {
    // What root hears is another test's, and so is what there is of control groups.
    let others = ["runs as root", "the user is not root", "control group"];
    let here = |line: &&str| !others.iter().any(|other| line.contains(other));
    let lines: Vec<&str> = said.lines().filter(here).collect();
    let said = lines.join("\n").replace(root.to_str().unwrap(), "ROOT").replace(discord.url(), "URL");
    regex::Regex::new("[0-9]{17,20}").unwrap().replace_all(&said, "ID").into_owned()
}

/// Its exit code, and its lines that are not fine.
async fn troubles(stage: &Stage, change: impl FnOnce(&mut Command)) -> String {
    let (code, said) = doctor(stage, change).await;
    let lines = said.lines().filter(|line| !line.starts_with('✓')).map(|line| format!("\n{line}"));
    format!("exit code {}{}", code.unwrap(), lines.collect::<String>())
}

#[tokio::test]
async fn where_all_is_well_every_line_says_so_and_nothing_is_changed() {
    let stage = routed().await;
    let before = files(stage.root());
    let ours = |file: &String| !matches!(file.as_str(), "home" | "tmp");
    let (code, said) = doctor(&stage, |_| {}).await;
    insta::assert_snapshot!(said, @"
    ✓ configuration
    ✓ scripts: 1 project, 3 channels
    ✓ time limits
    ✓ other processes of this user cannot look into the bot
    ✓ the kernel has everything needed to end agents reliably
    ✓ database ROOT/moonlane.db: created at the first start
    ✓ Discord takes the token: the bot is moonlane
    ✓ message content intent: not needed
    ✓ channel #general (ID): every permission
    ✓ channel #quiet (ID): every permission
    ✓ channel #idea (ID): every permission
    ✓ project here: Claude Code 2.1.330, logged in by nothing: it is the demo agent
    Everything is in place.
    ");
    assert_eq!(code, Some(0));
    let after = files(stage.root());
    assert_eq!(before, after.into_iter().filter(ours).collect::<Vec<_>>());
    assert_eq!(stage.agent_log(), []);
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        }
        found.push(name);
    }
    found.sort();
    found
}

#[tokio::test]
async fn it_may_be_asked_while_the_bot_runs() {
    let stage = routed().await;
    let bot = Process::ready(&mut bot_on(&stage)).await;
    let (code, said) = doctor(&stage, |_| {}).await;
    assert_eq!(code, Some(0), "{said}");
    let pid = bot.pid();
    assert!(
        said.contains(&format!("✓ database ROOT/moonlane.db: in use by a running bot (process {pid})")),
        "{said}"
    );
    bot.stop().await;
}

#[tokio::test]
async fn permissions_are_missed_where_they_are_missing() {
    let stage = routed().await;
    let (general, quiet) = (stage.discord.channel("general"), stage.discord.channel("quiet"));
    stage.discord.forbid(general, Right::History);
    stage.discord.forbid(general, Right::React);
    stage.discord.forbid(general, Right::Attach);
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 0
    ⚠ channel #general (ID): give the bot's role Read Message History (without it, its answers are no replies), Attach Files (without it, long answers come as many messages), Add Reactions (without it, nobody sees that a message waits)
    ⚠ channel #idea (ID): give the bot's role Read Message History (without it, its answers are no replies), Attach Files (without it, long answers come as many messages), Add Reactions (without it, nobody sees that a message waits)
    Everything is in place.
    ");
    stage.discord.forbid(general, Right::Post);
    stage.discord.forbid(quiet, Right::View);
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 1
    ✗ channel #general (ID): give the bot's role Send Messages (without it, it cannot answer), Send Messages in Threads (without it, it cannot answer in threads), Read Message History (without it, its answers are no replies), Attach Files (without it, long answers come as many messages), Add Reactions (without it, nobody sees that a message waits)
    ✗ channel ID: the bot cannot see it: give it View Channel there, or invite it to that server with https://discord.com/oauth2/authorize?client_id=ID&scope=bot&permissions=309237746752
    ✗ channel #idea (ID): give the bot's role Send Messages in Threads (without it, it cannot answer in threads), Read Message History (without it, its answers are no replies), Attach Files (without it, long answers come as many messages), Add Reactions (without it, nobody sees that a message waits)
    3 things are wrong.
    ");
    stage.discord.delete_channel(quiet);
    stage.discord.allow(general, Right::Post);
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 1
    ⚠ channel #general (ID): give the bot's role Read Message History (without it, its answers are no replies), Attach Files (without it, long answers come as many messages), Add Reactions (without it, nobody sees that a message waits)
    ✗ channel ID: there is none; correct `channels` in routing.lua
    ⚠ channel #idea (ID): give the bot's role Read Message History (without it, its answers are no replies), Attach Files (without it, long answers come as many messages), Add Reactions (without it, nobody sees that a message waits)
    1 thing is wrong.
    ");
}

#[tokio::test]
async fn the_notify_channel_is_one_that_the_bot_can_post_in() {
    let config = "[scripts]\nnotify_channel = 'OPS'\n".to_owned();
    let stage = stage(Setup { config, ..Setup::default() }).await;
    let ops = stage.discord.channel("ops");
    let thread = stage.discord.thread(ops, "scripts");
    let file = stage.root().join("config/moonlane.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let name = |channel: Id| std::fs::write(&file, text.replace("OPS", &channel.to_string())).unwrap();
    let lines = async || {
        let (code, said) = doctor(&stage, |_| {}).await;
        let about: Vec<&str> = said.lines().filter(|line| line.contains("notify")).collect();
        format!("exit code {}\n{}", code.unwrap(), about.join("\n"))
    };
    name(ops);
    // It answers nobody there.
    stage.discord.forbid(ops, Right::History);
    insta::assert_snapshot!(lines().await, @"
    exit code 0
    ✓ notify channel #ops (ID): the bot can post there
    ");
    // It hears of what is wrong with the scripts, so it is looked at also where something is.
    std::fs::write(stage.root().join("scripts/triggers.lua"), "return {").unwrap();
    stage.discord.forbid(ops, Right::Post);
    insta::assert_snapshot!(lines().await, @"
    exit code 1
    ✗ notify channel #ops (ID): give the bot's role View Channel and Send Messages; without them nobody there hears what is wrong with the scripts
    ");
    name(thread);
    insta::assert_snapshot!(lines().await, @"
    exit code 1
    ✗ notify channel #scripts (ID): give the bot's role View Channel and Send Messages in Threads; without them nobody there hears what is wrong with the scripts
    ");
    stage.discord.forbid(ops, Right::View);
    insta::assert_snapshot!(lines().await, @"
    exit code 1
    ✗ notify channel ID: the bot cannot see it: give it View Channel there, or invite it to that server with https://discord.com/oauth2/authorize?client_id=ID&scope=bot&permissions=309237746752
    ");
    stage.discord.delete_channel(ops);
    name(ops);
    insta::assert_snapshot!(lines().await, @"
    exit code 1
    ✗ notify channel ID: there is none; correct `scripts.notify_channel` in config/moonlane.toml
    ");
}

#[tokio::test]
async fn what_a_project_loses_without_the_message_content_intent_is_named() {
    for (keys, line) in [
        (
            "context = { messages = 5 },",
            "✗ message content intent: without it the `context` of a project tells nothing",
        ),
        (
            "thread = 'task',",
            "⚠ message content intent: off, so the bot has to be mentioned in its own threads, too",
        ),
    ] {
        let stage = stage(Setup { routing: routing_with(keys), ..Setup::default() }).await;
        let told = troubles(&stage, |_| {}).await;
        assert!(told.contains(line), "{told}");
    }
}

#[tokio::test]
async fn a_token_or_an_intent_that_discord_does_not_take_is_named() {
    let triggers = r#"return { prefixes = { "!ask " } }"#.to_owned();
    let stage = stage(Setup { triggers, ..Setup::default() }).await;
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 1
    ✗ message content intent: the triggers need it: switch it on in the Developer Portal (your application → Bot → Privileged Gateway Intents → Message Content Intent), or let the triggers answer mentions only
    1 thing is wrong.
    ");
    insta::assert_snapshot!(troubles(&stage, |it| { it.env("DISCORD_TOKEN", "not.the.token"); }).await, @"
    exit code 1
    ✗ Discord refused the token: copy the current one from the Developer Portal (your application → Bot → Reset Token)
    1 thing is wrong.
    ");
    insta::assert_snapshot!(troubles(&stage, |it| { it.env_remove("DISCORD_TOKEN"); }).await, @"
    exit code 1
    ✗ environment variable DISCORD_TOKEN: not set; put the bot's token there, or name a file in `discord.token_file`
    1 thing is wrong.
    ");
    stage.discord.stop();
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 1
    ✗ Discord at URL does not answer as it should: gave up: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
    1 thing is wrong.
    ");
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_named() {
    let with = |agent: &[&str]| {
        stage(Setup { agent: agent.iter().map(ToString::to_string).collect(), ..Setup::default() })
    };
    let none = with(&["no-such-claude"]).await;
    insta::assert_snapshot!(troubles(&none, |_| {}).await, @"
    exit code 1
    ✗ project here: Claude Code isn't installed where I run. Whoever runs this bot has to install it, or set `agent.command`. (the program `no-such-claude` does not exist)
    1 thing is wrong.
    ");
    let old = r#"case "$*" in *--version*) echo "2.0.76 (Claude Code)";; *) echo "error: unknown option" >&2; exit 1;; esac"#;
    let old = with(&["sh", "-c", old, "claude"]).await;
    insta::assert_snapshot!(troubles(&old, |_| {}).await, @"
    exit code 1
    ✗ project here: Claude Code is too old where I run: it is 2.0.76, and I need 2.1.330 or newer. Whoever runs this bot has to update it. (Claude Code 2.0.76 is older than 2.1.330)
    1 thing is wrong.
    ");
    let stranger = r#"read request; echo '{"type":"control_response","response":{"subtype":"success","request_id":"1","response":{"claude_code_version":"2.1.330","account":{"tokenSource":"none","apiProvider":"firstParty"}}}}'; cat > /dev/null"#;
    let stranger = with(&["sh", "-c", stranger]).await;
    insta::assert_snapshot!(troubles(&stranger, |_| {}).await, @"
    exit code 1
    ✗ project here: Claude Code 2.1.330 is not logged in: run `claude` as this user and log in, or set ANTHROPIC_API_KEY
    1 thing is wrong.
    ");
}

#[tokio::test]
async fn directories_scripts_settings_and_the_database_are_looked_at() {
    let config = "[limits]\nturn = '5m'\n[store]\npath = 'nowhere/moonlane.db'\n".to_owned();
    let routing = routing_with("}, gone = { dir = 'gone', limits = { turn = '1h', tool = '1m' }");
    let stage = stage(Setup { routing, config, ..Setup::default() }).await;
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 1
    ✗ scripts/routing.lua: projects.gone.dir: ROOT/gone does not exist
    ⚠ config/moonlane.toml: limits: silence (10m) never takes effect, because turn (5m) is shorter
    ⚠ config/moonlane.toml: limits: tool (30m) never takes effect, because turn (5m) is shorter
    ⚠ project gone: limits: tool (1m) is shorter than silence (10m), so a tool gets less time than Claude itself to be silent
    ✗ database ROOT/nowhere cannot be opened: No such file or directory (os error 2): let this user read and write there, or name another file in `[store] path`
    2 things are wrong.
    ");

    std::fs::write(stage.root().join("config/moonlane.toml"), "[agnet]\n[agent]\nmax_running = 0\n").unwrap();
    std::fs::write(stage.root().join("scripts/triggers.lua"), "return {").unwrap();
    std::fs::write(stage.root().join("moonlane.db"), "Dear diary, this is no database at all.").unwrap();
    insta::assert_snapshot!(troubles(&stage, |_| {}).await, @"
    exit code 1
    ✗ config/moonlane.toml: agnet: unknown key `agnet`, did you mean `agent`?
    ✗ config/moonlane.toml: agent.max_running: must be at least 1
    ✗ scripts/routing.lua: projects.gone.dir: ROOT/gone does not exist
    ✗ scripts/triggers.lua:1: Expected identifier when parsing expression, got <eof>
    ✗ database ROOT/moonlane.db is damaged (file is not a database): put a backup in its place, or move it away to start empty
    5 things are wrong.
    ");
}

#[tokio::test]
async fn root_and_a_token_for_everybody_are_warnings() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be root");
        return;
    }
    let config = "[discord]\ntoken_file = 'token'\n".to_owned();
    let stage = stage(Setup { config, ..Setup::default() }).await;
    std::fs::write(stage.root().join("token"), stage.discord.token()).unwrap();
    let mut command = clean(MOONLANE, stage.root());
    command.args(["doctor", "--root"]).arg(stage.root());
    command.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    let mut process = Process::start(&mut command);
    assert_eq!(process.ended().await.code(), Some(0), "warnings are no failures");
    let said = process.said().replace(stage.root().to_str().unwrap(), "ROOT");
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with('⚠')).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
    ⚠ moonlane runs as root, and so does every agent without `run_as`: each can read the bot's token and change everything on this machine; give the bot a user of its own
    ⚠ ROOT/token can be read by agents without `run_as`, for they run as the same user: put the token into the environment variable that `discord.token_env` names (systemd's `EnvironmentFile=` takes it from a file that only root reads)
    ");

    // As somebody else, who may read the token file, but not write where the database is to be.
    let program = stage.root().join("moonlane");
    copy_program(&program);
    std::fs::set_permissions(stage.root(), PermissionsExt::from_mode(0o755)).unwrap();
    chown(stage.root().join("home"), Some(65534), Some(65534)).unwrap();
    let mut command = clean(&program, stage.root());
    command.args(["doctor", "--root"]).arg(stage.root()).uid(65534).gid(65534);
    command.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    let mut process = Process::start(&mut command);
    assert_eq!(process.ended().await.code(), Some(1));
    let said = process.said().replace(stage.root().to_str().unwrap(), "ROOT");
    assert!(said.contains("✓ the user is not root"), "{said}");
    assert!(said.contains("✗ database ROOT cannot be opened: Permission denied"), "{said}");
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn the_real_claude_tells_its_login_without_a_call() {
    let api = MessagesApi::start().await;
    let stage = stage(Setup { agent: vec![claude()], ..Setup::default() }).await;
    let with = |key: &str, value: &str| {
        let (key, value, url) = (key.to_owned(), value.to_owned(), api.url().to_owned());
        move |command: &mut Command| {
            command.env(key, value).env("ANTHROPIC_BASE_URL", url).env_remove("CLAUDE_CONFIG_DIR");
        }
    };
    let last = |said: String| said.lines().find(|line| line.contains("project ")).unwrap_or(&said).to_owned();
    for (key, value) in
        [("ANTHROPIC_API_KEY", "sk-ant-dummy"), ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-dummy")]
    {
        let said = last(doctor(&stage, with(key, value)).await.1);
        eprintln!("{said}");
        assert!(said.starts_with("✓ project here: Claude Code 2.") && said.ends_with(key), "{said}");
    }
    let (code, said) = doctor(&stage, with("LC_TIME", "C")).await;
    assert_eq!(code, Some(1));
    assert!(last(said.clone()).contains("is not logged in: run `claude`"), "{said}");
    assert_eq!(api.requests("").len(), 0, "nothing was spent");
    assert!(!stage.root().join("home/.claude/projects").exists(), "no session was made");
}

#[tokio::test]
async fn a_token_that_lies_about_is_found_and_not_shown() {
    let token = format!("token.of.{}", uuid::Uuid::new_v4());
    let discord = moonlane::local::Options { token: token.clone(), ..Setup::default().discord };
    let stage = stage(Setup { routing: ROUTED.to_owned(), discord, ..Setup::default() }).await;
    assert_eq!(troubles(&stage, |_| {}).await, "exit code 0\nEverything is in place.");
    let (home, work) = (stage.root().join("home"), stage.work());
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join(".bash_history"), format!("ls\nDISCORD_TOKEN={token} moonlane run\n")).unwrap();
    std::fs::write(work.join(".env"), "DISCORD_TOKEN=another\n").unwrap();
    std::fs::write(stage.root().join(".env.local"), format!("DISCORD_TOKEN={token}\n")).unwrap();
    let found = troubles(&stage, |_| {}).await;
    assert!(!found.contains(&token), "{found}");
    insta::assert_snapshot!(found, @"
    exit code 0
    ⚠ ROOT/.env.local holds the bot's token, and agents can read it: delete it there, make a new token in the Developer Portal, and keep that in a file that only root reads (systemd's `EnvironmentFile=`)
    ⚠ ROOT/home/.bash_history holds the bot's token, and agents can read it: delete it there, make a new token in the Developer Portal, and keep that in a file that only root reads (systemd's `EnvironmentFile=`)
    Everything is in place.
    ");

    // A shell that was given the token, and waits for the bot.
    std::fs::remove_file(home.join(".bash_history")).unwrap();
    std::fs::remove_file(stage.root().join(".env.local")).unwrap();
    let mut shell = clean("sh", stage.root());
    let doctor = r#""$0" doctor --root .; true"#;
    shell.args(["-c", doctor, MOONLANE]).env("DISCORD_TOKEN", &token);
    shell.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    let mut process = Process::start(&mut shell);
    let pid = process.pid();
    process.ended().await;
    let said = process.said();
    let said = said.lines().find(|line| line.contains("the environment of process")).expect("a warning");
    assert!(!said.contains(&token), "{said}");
    insta::assert_snapshot!(said.replace(&pid.to_string(), "PID"), @"⚠ the environment of process PID (sh), from which the bot was started, holds the bot's token, and agents can read it: start the bot as a service that gets the token from a file that only root reads (systemd's `EnvironmentFile=`), or let that process end");
}
