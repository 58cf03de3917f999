//! How the real Claude Code fails, and what a person then reads: over a Messages API of our own, as in
//! [`crate::real_claude`].

use crate::messages_api::MessagesApi;
use crate::real_claude::{Real, claude};
use crate::separate::{Process, bot_on, clean};
use crate::support::{MOONLANE, Setup, Stage};

/// What a person reads of a failure, on one line and without the id.
async fn sentence(real: &Real, prompt: &str) -> String {
    let answer = real.ask(prompt).await;
    answer.replace("\n-# id ID", "").replace('\n', " ⏎ ")
}

async fn sentences(real: &Real, prompts: &[&str]) -> String {
    let mut told = Vec::new();
    for prompt in prompts {
        told.push(format!("{prompt}: {}", sentence(real, prompt).await));
    }
    told.join("\n")
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_tells_what_the_api_says() {
    let mut real = Real::open().await;
    let prompts = [
        "STATUS:400",
        "STATUS:403",
        "STATUS:404",
        "STATUS:413",
        "STATUS:429",
        "STATUS:500",
        "STATUS:529",
        "CUT",
        "STATUS:401",
    ];
    insta::assert_snapshot!(sentences(&real, &prompts).await, @r#"
    STATUS:400: ⚠️ Anthropic refused this with status 400. Please rephrase it; if that fails too, ask in a new thread, where the conversation starts over.
    STATUS:403: ⚠️ Anthropic refused this as forbidden. Whoever runs this bot has to check what the account may do.
    STATUS:404: ⚠️ The model set for this project or channel doesn't exist, or isn't available to this account. Choose another one for the channel, or correct `model` in routing.lua.
    STATUS:413: ⚠️ This is more text than Claude can take at once. Please send less, or continue in a new thread, where the conversation starts over.
    STATUS:429: ⚠️ Anthropic's rate limit has been reached. Please ask again in a few minutes.
    STATUS:500: ⚠️ Anthropic's servers are failing at the moment. Please ask again in a few minutes.
    STATUS:529: ⚠️ Anthropic is overloaded at the moment. Please ask again in a few minutes.
    CUT: ⚠️ The connection to Anthropic kept breaking off. Please ask again; if it keeps happening, whoever runs this bot has to check the network.
    STATUS:401: ⚠️ Claude Code isn't logged in where I run. Whoever runs this bot has to run `claude` there and log in, or renew its key.
    "#);
    assert_eq!(real.ask("Better now?").await, "you said: Better now?");
    real.api = MessagesApi::start().await;
    insta::assert_snapshot!(sentence(&real, "Is anybody there?").await, @"⚠️ I can't reach Anthropic from where I run. Please ask again later; if it keeps happening, whoever runs this bot has to check the network.");
    real.bot.stop().await;
}

/// That it has begun is told before the API is asked.
#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_with_a_slow_api_is_not_taken_for_deaf() {
    let real = Real::with(r#"limits = { wake = "2s", silence = "5s" },"#).await;
    insta::assert_snapshot!(sentence(&real, "STALL").await, @"⚠️ Claude said nothing for 5 seconds, so I stopped it. Please ask again; the conversation is kept.");
    assert_eq!(real.agents_started(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_is_stopped_by_safeguards_and_nobody_reads_what_it_had_said() {
    let real = Real::open().await;
    insta::assert_snapshot!(sentence(&real, "REFUSE").await, @"⚠️ Anthropic's safeguards stopped this answer. Please rephrase it, or ask in a new thread, where the conversation starts over.");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_reaches_its_limits() {
    const TOOL: &str = r#"TOOL:Bash:{"command": "ls"}"#;
    let real = Real::with("max_turns = 1,").await;
    insta::assert_snapshot!(sentence(&real, TOOL).await, @"⚠️ Claude reached the limit of steps in one turn. Ask me to go on, and I'll continue from here.");
    real.bot.stop().await;
    let real = Real::with("max_usd = 0.00001,").await;
    insta::assert_snapshot!(sentence(&real, TOOL).await, @"⚠️ The budget for this project is spent. Whoever runs this bot can raise `max_usd` in routing.lua.");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_falls_back_to_another_model() {
    // It falls back only after two repetitions.
    let keys = r#"model = "opus", fallback_model = "haiku",
        settings = [[{ "env": { "CLAUDE_CODE_MAX_RETRIES": "3" } }]],"#;
    let real = Real::with(keys).await;
    insta::assert_snapshot!(sentence(&real, "BUSY:opus").await, @"you said: BUSY:opus ⏎  ⏎ -# `claude-opus-5-5` was overloaded, so `claude-haiku-5-5` took over");
    insta::assert_snapshot!(sentence(&real, "BUSY:claude").await, @"⚠️ Anthropic is overloaded at the moment, and so is the fallback model. Please ask again in a few minutes.");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_does_not_start() {
    let real = Real::with(r#"settings = "WORK/none.json","#).await;
    insta::assert_snapshot!(sentence(&real, "hi").await, @"⚠️ Claude Code can't find this project's settings. Correct `settings` in routing.lua.");
    real.bot.stop().await;

    let mut real = Real::open().await;
    real.bot.stop().await;
    real.bot = Process::ready(&mut bot_on(&real.stage)).await;
    insta::assert_snapshot!(sentence(&real, "without a key").await, @"⚠️ Claude Code isn't logged in where I run. Whoever runs this bot has to run `claude` there and log in, or renew its key.");
    real.bot.stop().await;

    // Without more repetitions than these the CLI would end the turn itself.
    let real = Real::with(r#"settings = [[{ "env": { "CLAUDE_CODE_MAX_RETRIES": "9" } }]],"#).await;
    insta::assert_snapshot!(sentence(&real, "STATUS:401").await, @"⚠️ Claude Code isn't logged in where I run. Whoever runs this bot has to run `claude` there and log in, or renew its key.");
    assert_eq!(real.api.requests("STATUS:401").len(), 3);
    real.bot.stop().await;

    if rustix::process::getuid().is_root() {
        let real = Real::with("").await;
        let routing = real.stage.root().join("scripts/routing.lua");
        let text = std::fs::read_to_string(&routing).unwrap();
        std::fs::write(&routing, text.replace(r#""default""#, r#""bypassPermissions""#)).unwrap();
        real.bot.stop().await;
        let bot = Real::start(&real.stage).await;
        let real = Real { bot, ..real };
        insta::assert_snapshot!(sentence(&real, "hi").await, @"⚠️ The permission mode `bypassPermissions` isn't possible as root. Choose another `permission_mode` in routing.lua, or run me as another user.");
        real.bot.stop().await;
    }
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_session_used_in_a_terminal_is_told_and_what_was_said_there_is_known() {
    let real = Real::open().await;
    assert_eq!(real.ask("The word is fernweh.").await, "you said: The word is fernweh.");
    let session = real.api.asked("fernweh").await.session;
    let claude = claude();
    let terminal = clean(claude, real.stage.root())
        .current_dir(real.stage.work())
        .envs([("ANTHROPIC_BASE_URL", real.api.url()), ("ANTHROPIC_API_KEY", "sk-ant-dummy")])
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .args(["-p", "--resume", &session, "And wanderlust."])
        .output()
        .await
        .unwrap();
    assert!(terminal.status.success(), "{terminal:?}");
    insta::assert_snapshot!(real.ask("Which words?").await, @"
    you said: Which words?

    -# This conversation has also been used outside Discord since my last answer; I continued from there
    ");
    let request = real.api.asked("Which words?").await;
    for said in ["fernweh", "wanderlust"] {
        assert!(request.conversation().contains(said), "{}", request.conversation());
    }
    // Ours is the newest now, after a stopped turn and a restart too.
    assert_eq!(real.ask("Again?").await, "you said: Again?");
    let question = real.stage.say("general", "STALL");
    real.api.asked("STALL").await;
    real.stage.discord.delete(question);
    assert_eq!(real.ask("And again?").await, "you said: And again?");
    real.bot.stop().await;
    let bot = Real::start(&real.stage).await;
    let real = Real { bot, ..real };
    assert_eq!(real.ask("Still?").await, "you said: Still?");
    real.bot.stop().await;
}

/// `initialize` is answered without a version: `--version` decides.
#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_version_that_is_not_told_at_the_start_is_asked_for() {
    let untold = "exec \"$0\" demo-agent \"$@\" | sed -u 's/,\"claude_code_version\":\"[^\"]*\"//; s/\"claude_code_version\":\"[^\"]*\",//'";
    let agent = |version: &str| {
        let script = format!(r#"case "$*" in *--version*) {version}; exit;; esac; {untold}"#);
        ["sh", "-c", &script, MOONLANE].map(str::to_owned).to_vec()
    };
    let setup = |version| Setup { agent: agent(version), ..Setup::default() };
    let mut stage = Stage::with(setup(r#"echo "2.1.330 (Claude Code)""#)).await;
    assert_eq!(stage.ask("general", "TEXT:I am new enough").await, "I am new enough");
    let mut stage = Stage::with(setup("true")).await;
    insta::assert_snapshot!(stage.ask("general", "TEXT:who am I?").await, @"
    ⚠️ Claude Code doesn't report its version where I run, and I need 2.1.330 or newer. Whoever runs this bot has to check what `claude --version` prints there.
    -# id ID
    ");
}

/// Two ways in which old versions show their age.
#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn an_old_version_is_refused_with_both_versions() {
    let unknown_option = "echo \"error: unknown option '--system-prompt-snapshot=off'\" >&2; exit 1";
    let no_version = "exec \"$0\" demo-agent \"$@\" | sed -u 's/,\"claude_code_version\":\"[^\"]*\"//; s/\"claude_code_version\":\"[^\"]*\",//'";
    for fails in [unknown_option, no_version] {
        let script =
            format!(r#"case "$*" in *--version*) echo "2.0.76 (Claude Code)"; exit;; esac; {fails}"#);
        let agent = ["sh", "-c", &script, MOONLANE].map(str::to_owned).to_vec();
        let mut stage = Stage::with(Setup { agent, ..Setup::default() }).await;
        let answer = stage.ask("general", "hi").await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer, @"
            ⚠️ Claude Code is too old where I run: it is 2.0.76, and I need 2.1.330 or newer. Whoever runs this bot has to update it.
            -# id ID
            ");
        }
    }
}
