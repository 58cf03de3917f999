//! moonlane as its operator has it: processes, signals, exit codes, and what the log says.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use moonlane::local::{DropGateway, Fault, LocalDiscord, What};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::busy::Stopwatch;
use crate::separate::{Process, bot_on, clean};
use crate::support::{MOONLANE, Setup, Stage, routing_with, within};

/// A stage whose bot will be a process of its own.
async fn stage() -> Stage {
    Stage::without_bot(Setup::default()).await
}

/// Starts a bot that cannot run, and gives its exit code and its last words.
async fn fails(command: &mut Command) -> (Option<i32>, String) {
    let mut bot = Process::start(command);
    let code = bot.ended().await.code();
    let said = bot.said();
    let last = said.lines().find(|line| line.starts_with("moonlane: ")).unwrap_or(&said);
    (code, last.to_owned())
}

#[tokio::test]
async fn the_commands_that_the_local_discord_prints_bring_an_answer() {
    let stage = stage().await;
    let discord =
        Process::start(clean(MOONLANE, stage.root()).args(["local-discord", "--listen", "127.0.0.1:0"]));
    let run = discord.line("DISCORD_TOKEN=").await;
    let say = discord.line("/control/say").await;
    let messages = discord.line("/control/messages").await;
    let bot = Process::ready(clean("sh", stage.root()).args(["-c", &format!("exec env {run}")])).await;

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (say, body) = say.strip_prefix("curl ").and_then(|line| line.split_once(" -d ")).unwrap();
    let said = http.post(say).body(body.trim_matches('\'').to_owned()).send().await.unwrap();
    let said: Value = said.error_for_status().unwrap().json().await.unwrap();
    let messages = messages.trim_start_matches("curl ").trim_matches('\'');
    let answered = async {
        loop {
            let all: Vec<Value> = http.get(messages).send().await.unwrap().json().await.unwrap();
            if let Some(answer) = all.into_iter().find(|message| message["by_bot"] == true) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = within("an answer", answered).await;
    assert_eq!(answer["reply_to"], said["id"]);
    bot.stop().await;
}

#[tokio::test]
async fn the_line_ready_has_the_name_the_channels_and_an_invite() {
    let ready = async |routing: String| {
        let stage = Stage::without_bot(Setup { routing, ..Setup::default() }).await;
        let bot = Process::ready(&mut bot_on(&stage)).await;
        let line = bot.line(" ready ").await;
        let (_, line) = line.split_once(" INFO ").unwrap();
        bot.stop().await;
        let ids = regex::Regex::new("client_id=[0-9]{17,20}&").unwrap();
        ids.replace(line, "client_id=ID&").into_owned()
    };
    insta::assert_snapshot!(ready(routing_with("")).await, @"moonlane::bot: ready name=moonlane channels=every channel (routing.lua has a route function) invite=https://discord.com/oauth2/authorize?client_id=ID&scope=bot&permissions=309237746752");
    let two = r#"return { projects = { here = { dir = "WORK" } }, channels = { ["123"] = "here", ["124"] = "here" } }"#;
    insta::assert_snapshot!(ready(two.to_owned()).await, @"moonlane::bot: ready name=moonlane channels=2 invite=https://discord.com/oauth2/authorize?client_id=ID&scope=bot&permissions=309237746752");
}

/// Whether this process is there, and no zombie.
pub fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

/// The ids of the agents that the bot has started.
fn agents(bot: &Process) -> Vec<String> {
    let said = bot.said();
    let lines = said.lines().filter_map(|line| line.split_once("started an agent")?.1.split_once("pid="));
    lines.map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned()).collect()
}

async fn a_signal_ends_it(signal: Signal) {
    let stage = stage().await;
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    let idle = stage.say("idle", "TEXT:done");
    stage.parts_posted(idle, 1).await;
    let running = stage.say("running", "TEXT:So far ;; STALL");
    let deaf = stage.say("deaf", "DEAF ;; FORK ;; STALL");
    stage.prompted("TEXT:So far ;; STALL").await;
    stage.prompted("DEAF ;; FORK ;; STALL").await;
    let waiting = stage.say("deaf", "TEXT:later");
    stage.reacted(waiting, "⏳").await;
    let agents = agents(&bot);
    assert!(agents.len() == 3 && agents.iter().all(|pid| lives(pid)), "{agents:?}");

    let began = Stopwatch::start();
    bot.signal(signal);
    let status = bot.ended().await;
    assert!(began.is_within(Duration::from_secs(10)), "{began:?}");
    assert_eq!(status.code(), Some(0), "{}", bot.said());
    assert!(agents.iter().all(|pid| !lives(pid)));
    insta::allow_duplicates! {
        insta::assert_snapshot!(stage.answer(running), @"
        So far

        ⚠️ I was stopped while working on this, so it isn't finished. Check what was done, then ask again.
        -# id ID
        ");
        insta::assert_snapshot!(stage.answer(deaf), @"
        ⚠️ I was stopped while working on this, so it isn't finished. Check what was done, then ask again.
        -# id ID
        ");
    }
    assert!(stage.parts(waiting).is_empty());

    let bot = Process::ready(&mut bot_on(&stage)).await;
    stage.parts_posted(waiting, 1).await;
    assert_eq!(stage.answer(waiting), "later");
    bot.stop().await;
    for told in [idle, running, deaf, waiting] {
        assert_eq!(stage.parts(told).len(), 1, "everybody hears it once");
    }
}

#[tokio::test]
async fn sigterm_ends_it_and_who_is_worked_for_is_told() {
    a_signal_ends_it(Signal::TERM).await;
}

#[tokio::test]
async fn ctrl_c_ends_it_and_who_is_worked_for_is_told() {
    a_signal_ends_it(Signal::INT).await;
}

#[tokio::test]
async fn it_ends_in_time_while_discord_hangs_and_says_the_rest_later() {
    let stage = stage().await;
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    stage.discord.fail_next(1, Fault::Delay(Duration::from_secs(60)), "/messages");
    let question = stage.say("general", "DEAF ;; NOIDLE ;; TEXT:late");
    bot.line("ends outcome=Answered").await;
    stage.discord.drop_gateway(DropGateway::Silence);
    let began = Stopwatch::start();
    bot.signal(Signal::TERM);
    assert_eq!(bot.ended().await.code(), Some(0), "{}", bot.said());
    assert!(began.is_within(Duration::from_secs(10)), "{began:?}:\n{}", bot.said());

    let bot = Process::ready(&mut bot_on(&stage)).await;
    let posts = |discord: &LocalDiscord| {
        let calls = discord.calls();
        let posts = calls.iter().filter(|call| call.method == "POST" && call.path.ends_with("/messages"));
        (posts.count() == 2).then_some(())
    };
    within("a second try", stage.discord.wait_until(posts)).await;
    bot.stop().await;
    assert_eq!(stage.parts(question).len(), 1, "Discord had it, and was only slow to say so");
}

#[tokio::test]
async fn a_signal_ends_it_while_it_starts() {
    let stage = stage().await;
    stage.discord.stop();
    let bot = Process::start(&mut bot_on(&stage));
    bot.line("next try in").await;
    let began = Stopwatch::start();
    bot.stop().await;
    assert!(began.is_within(Duration::from_secs(5)), "{began:?}");
}

#[tokio::test]
async fn triggers_that_need_the_message_content_say_where_to_switch_it_on() {
    let triggers = r#"return { mention = true, prefixes = { "!ask " } }"#.to_owned();
    let stage = Stage::without_bot(Setup { triggers, ..Setup::default() }).await;
    let (code, words) = fails(&mut bot_on(&stage)).await;
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(words, @"moonlane: Discord does not let this bot read the text of all messages, which the triggers need: switch it on in the Developer Portal (your application → Bot → Privileged Gateway Intents → Message Content Intent), or let the triggers answer mentions only");
}

#[tokio::test]
async fn a_token_that_discord_refuses_ends_it_with_a_sentence() {
    let stage = stage().await;
    let (code, words) = fails(bot_on(&stage).env("DISCORD_TOKEN", "not.the.token")).await;
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(words, @"moonlane: Discord refused the token: copy the current one from the Developer Portal (your application → Bot → Reset Token)");
    let (code, words) = fails(bot_on(&stage).env_remove("DISCORD_TOKEN")).await;
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(words, @"moonlane: environment variable DISCORD_TOKEN: not set; put the bot's token there, or name a file in `discord.token_file`");
}

#[tokio::test]
async fn a_discord_that_is_not_there_ends_it_with_a_sentence() {
    let stage = stage().await;
    stage.discord.stop();
    let (code, words) = fails(&mut bot_on(&stage)).await;
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(words.replace(stage.discord.url(), "URL"), @"moonlane: Discord at URL does not answer as it should: gave up: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)");
}

#[tokio::test]
async fn two_bots_do_not_share_a_store() {
    let stage = stage().await;
    let bot = Process::ready(&mut bot_on(&stage)).await;
    let (code, words) = fails(&mut bot_on(&stage)).await;
    assert_eq!(code, Some(1));
    let words = words.replace(&bot.pid().to_string(), "PID").replace(stage.root().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(words, @"moonlane: ROOT/moonlane.db is in use by process PID: stop that one first, or give this one its own `[store] path`");
    bot.stop().await;
}

#[tokio::test]
async fn an_agent_gets_what_is_allowed_of_the_environment_and_never_the_token() {
    let config = r#"[agent]
        pass_env = ["PASSED", "DISCORD_TOKEN", "MOONLANE_SECRET"]"#;
    let stage = Stage::without_bot(Setup { config: config.to_owned(), ..Setup::default() }).await;
    let mut command = bot_on(&stage);
    command.env("PASSED", "1").env("NOT_PASSED", "1").env("MOONLANE_SECRET", "1").env("LC_TIME", "C");
    command.env("ANTHROPIC_MODEL", "x").env("CLAUDE_CODE_SESSION_ID", "of-another").env("https_proxy", "x");
    // Keys and programs of the operator's own session stand behind these two.
    command.env("SSH_AUTH_SOCK", "/s").env("XDG_RUNTIME_DIR", "/r").env("XDG_DATA_HOME", "/d");
    let bot = Process::ready(&mut command).await;
    stage.parts_posted(stage.say("general", "TEXT:here"), 1).await;
    let [agent] = &agents(&bot)[..] else { panic!("{}", bot.said()) };
    let environment = std::fs::read(format!("/proc/{agent}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    assert!(!environment.contains(stage.discord.token()));
    let mut names: Vec<_> = environment.split('\0').filter_map(|it| Some(it.split_once('=')?.0)).collect();
    names.sort();
    insta::assert_snapshot!(names.join(" "), @"ANTHROPIC_MODEL CLAUDE_CODE_DISABLE_BACKGROUND_TASKS CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS CLAUDE_CODE_ENABLE_TODO_TOOLS CLAUDE_LANE_MARK DEMO_AGENT_LOG DISABLE_AUTOUPDATER DISABLE_ERROR_REPORTING DISABLE_TELEMETRY HOME LC_TIME PASSED PATH TMPDIR XDG_DATA_HOME https_proxy");
    bot.stop().await;
}

#[tokio::test]
async fn the_log_never_holds_the_token() {
    let stage = stage().await;
    let mut command = bot_on(&stage);
    command.env("MOONLANE_LOG__LEVEL", "trace").env("RUST_BACKTRACE", "1");
    let bot = Process::ready(&mut command).await;
    let question = stage.say("general", "LONG:3000");
    stage.parts_posted(question, 2).await;
    // Known already, which is a line of the level debug.
    assert!(stage.discord.redeliver(question));
    let resumed = |discord: &LocalDiscord| {
        let resumed =
            |event: &moonlane::local::Event| matches!(event.what, What::Connected { resumed: true });
        discord.log().iter().any(resumed).then_some(())
    };
    stage.discord.drop_gateway(DropGateway::Cut);
    within("a resume", stage.discord.wait_until(resumed)).await;
    stage.discord.fail_next(2, Fault::Status(500), "POST /channels");
    stage.parts_posted(stage.say("general", "ERR:500"), 1).await;
    bot.signal(Signal::TERM);
    let mut bot = bot;
    bot.ended().await;
    let log = bot.said();
    assert!(log.contains(" DEBUG ") && log.contains("next try in"), "{log}");
    assert!(!log.contains(stage.discord.token()), "{log}");

    let mut bot = Process::start(command.env("DISCORD_TOKEN", "an.other.secret-token"));
    assert_eq!(bot.ended().await.code(), Some(1));
    assert!(!bot.said().contains("an.other"), "{}", bot.said());
}

#[tokio::test]
async fn a_command_ends_quietly_when_nobody_reads_what_it_prints() {
    let stage = stage().await;
    let commands: [&[&str]; 7] = [
        &["--help"],
        &["run", "--help"],
        &["check"],
        &["doctor"],
        &["try", "--channel", "5", "hello"],
        &["format", "config/moonlane.toml"],
        &["local-discord", "--listen", "127.0.0.1:0"],
    ];
    for arguments in commands {
        let mut command = clean(MOONLANE, stage.root());
        command.current_dir(stage.root()).args(arguments);
        // Not a pipe, of which what another test starts just now may hold the reading end for a moment.
        let (reader, writer) = UnixStream::pair().unwrap();
        reader.shutdown(Shutdown::Both).unwrap();
        command.stdout(OwnedFd::from(writer)).stderr(Stdio::piped());
        // `output` would read it.
        let ended = within("its end", command.spawn().unwrap().wait_with_output()).await.unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.is_empty(), "{arguments:?}: {said}");
        // What a command prints is no matter to the parser, which prints its help.
        let code = if arguments.contains(&"--help") { 0 } else { 141 };
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_playground_refuses_a_line_that_is_no_text_and_goes_on() {
    let stage = stage().await;
    let mut command = clean(MOONLANE, stage.root());
    command.arg("playground").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut playground = command.spawn().unwrap();
    playground.stdin.take().unwrap().write_all(b"caf\xe9\nhello\n").await.unwrap();
    let ended = within("its end", playground.wait_with_output()).await.unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(said.contains("\n· not sent: this line is not valid UTF-8\n@owner: hello\n"), "{said}");
    assert!(said.contains("── moonlane in #general"), "{said}");
    assert_eq!(ended.status.code(), Some(1), "not all of the input was asked");
}

#[tokio::test]
async fn the_local_discord_listens_to_other_machines_only_where_that_is_said() {
    let stage = stage().await;
    let local = |arguments: &[&str]| {
        let mut command = clean(MOONLANE, stage.root());
        command.args(["local-discord", "--listen", "0.0.0.0:0"]).args(arguments);
        command
    };
    let (code, refusal) = fails(&mut local(&[])).await;
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(refusal, @"moonlane: --listen 0.0.0.0:0: other machines can reach this address, and whoever does can speak as anybody; listen on 127.0.0.1, or say --expose if that is what you want");
    let open = Process::start(&mut local(&["--expose", "--root", "/srv/my bot"]));
    let run = open.line("DISCORD_TOKEN=").await;
    assert!(run.ends_with(" run --root '/srv/my bot'"), "{run}");
}

#[tokio::test]
async fn the_help_says_where_the_token_goes_and_what_exposing_opens() {
    let stage = stage().await;
    let help = async |command: &str| {
        let ended = clean(MOONLANE, stage.root()).args([command, "--help"]).output().await.unwrap();
        let help = String::from_utf8(ended.stdout).unwrap();
        help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(help("run").await, @r"
    Run the bot, with its token in the environment variable DISCORD_TOKEN.

    `[discord]` in config/moonlane.toml names another variable (`token_env`), or a file (`token_file`).

    Usage: moonlane run [OPTIONS]

    Options:
          --root <DIR>
              The directory that holds config/ and scripts/

              [default: .]

      -h, --help
              Print help (see a summary with '-h')
    ");
    insta::assert_snapshot!(help("local-discord").await, @r"
    Run a local Discord alone, to try the bot against

    Usage: moonlane local-discord [OPTIONS]

    Options:
          --listen <ADDRESS>  The address to listen on [default: 127.0.0.1:4800]
          --root <DIR>        The directory that holds config/ and scripts/ [default: .]
          --expose            Listen on an address that other machines reach, too: whoever reaches it can read all that is said there and speak as anybody, so a bot that runs against it works for them, as the user that runs the bot
      -h, --help              Print help
    ");
}

#[tokio::test]
async fn the_playground_ends_quietly_when_nobody_reads_on() {
    let stage = stage().await;
    let mut command = clean(MOONLANE, stage.root());
    command.arg("playground").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut playground = command.spawn().unwrap();
    let mut lines = BufReader::new(playground.stdout.take().unwrap()).lines();
    within("the banner", lines.next_line()).await.unwrap();
    drop(lines);
    playground.stdin.take().unwrap().write_all(b"hello\n").await.unwrap();
    let ended = within("its end", playground.wait_with_output()).await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
