//! What a person reads where the real Claude Code may not, or cannot, do what was asked: over a Messages API of our
//! own, as in [`crate::real_claude`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moonlane::local::{LocalDiscord, UseCommand};
use serde_json::json;

use crate::real_claude::Real;
use crate::separate::{Process, bot_on};
use crate::support::within;

const CURL: &str = r#"TOOL:Bash:{"command": "curl http://127.0.0.1:1/x"}"#;
const PUSH: &str = r#"TOOL:Bash:{"command": "git push origin"}"#;

/// What the bot says below the answer, with these keys of the project, where nobody answers a question.
async fn notes(keys: &str, prompt: &str) -> String {
    let real = Real::with(&format!("limits = {{ question = 0.05 }}, {keys}")).await;
    let answer = real.ask(prompt).await;
    real.bot.stop().await;
    answer.lines().filter(|line| line.starts_with("-# ")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_is_refused_a_tool_and_the_note_says_by_what() {
    let deny = r#"settings = [[{ "permissions": { "deny": ["Bash(curl *)"] } }]],"#;
    let told = notes(deny, CURL).await;
    insta::assert_snapshot!(told, @"-# Forbidden by a rule in Claude Code's settings: `Bash(curl http://127.0.0.1:1/x)`");

    let deny_read = r#"settings = [[{ "permissions": { "deny": ["Read(./secret)"] } }]],"#;
    let told = notes(deny_read, r#"TOOL:Read:{"file_path": "secret"}"#).await;
    insta::assert_snapshot!(told, @"-# Forbidden by a rule in Claude Code's settings: `Read(secret)`");

    let told = notes(r#"disallowed_tools = { "Bash(curl *)" },"#, CURL).await;
    insta::assert_snapshot!(told, @"-# Forbidden by a rule: `Bash(curl http://127.0.0.1:1/x)`. It is in `projects.here.disallowed_tools` in routing.lua, or in Claude Code's settings");

    // It is allowed, and a rule wants a person to be asked all the same.
    let ask =
        r#"allowed_tools = { "Bash" }, settings = [[{ "permissions": { "ask": ["Bash(git push *)"] } }]],"#;
    let told = notes(ask, PUSH).await;
    insta::assert_snapshot!(told, @"-# Forbidden by a rule in Claude Code's settings: `Bash(git push origin)`");

    let hook = r#"settings = [[{ "hooks": { "PreToolUse": [{ "hooks": [
        { "type": "command", "command": "echo no curl >&2; exit 2" }] }] } }]],"#;
    let told = notes(hook, CURL).await;
    insta::assert_snapshot!(told, @"-# Refused by a hook in Claude Code's settings: `Bash(curl http://127.0.0.1:1/x)`");

    let fetch = r#"TOOL:WebFetch:{"url": "https://site.example/x", "prompt": "x"}"#;
    let told = notes("", fetch).await;
    insta::assert_snapshot!(told, @"-# Not allowed here: `WebFetch(https://site.example/x)`. To allow it, add `WebFetch(domain:site.example)` to `projects.here.allowed_tools` in routing.lua");

    let told = notes(r#"allowed_tools = { "Bash" },"#, r#"TOOL:Bash:{"command": "rm -rf ~"}"#).await;
    insta::assert_snapshot!(told, @"-# Not done, because Claude Code asks before this whatever is allowed: `Bash(rm -rf ~)`");
}

/// Each advice is followed, and then the same call is allowed.
#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn what_is_advised_to_allow_a_call_allows_it() {
    let told = notes("", CURL).await;
    insta::assert_snapshot!(told, @"-# Not allowed here: `Bash(curl http://127.0.0.1:1/x)`. To allow it, add `Bash(curl http://127.0.0.1:1/x)` to `projects.here.allowed_tools` in routing.lua");
    assert_eq!(notes(r#"allowed_tools = { "Bash(curl http://127.0.0.1:1/x)" },"#, CURL).await, "");

    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap();
    std::fs::write(outside.join("there"), "x").unwrap();
    let path = |name: &str| outside.join(name).display().to_string();
    let calls = [
        format!("TOOL:Read:{}", json!({ "file_path": path("there") })),
        format!("TOOL:Write:{}", json!({ "file_path": path("new"), "content": "x" })),
        format!("TOOL:Bash:{}", json!({ "command": format!("touch {}", path("touched")) })),
    ];
    let mode = r#"permission_mode = "acceptEdits","#;
    let mut told = Vec::new();
    for call in &calls {
        told.push(notes(mode, call).await.replace(outside.to_str().unwrap(), "OUTSIDE"));
        let added = format!("{mode} add_dirs = {{ {outside:?} }},");
        assert_eq!(notes(&added, call).await, "", "{call}");
    }
    insta::assert_snapshot!(told.join("\n"), @"
    -# Outside the project's directory: `Read(there)`. To allow it, add its directory to `projects.here.add_dirs` in routing.lua
    -# Outside the project's directory: `Write(new)`. To allow it, add its directory to `projects.here.add_dirs` in routing.lua
    -# Outside the project's directory: `Bash(touch OUTSIDE/touched)`. To allow it, add its directory to `projects.here.add_dirs` in routing.lua
    ");

    let write = r#"TOOL:Write:{"file_path": "a", "content": "x"}"#;
    insta::assert_snapshot!(notes("", write).await, @r#"-# Not allowed here: `Write(a)`. To allow it, set `projects.here.permission_mode` to `"acceptEdits"` in routing.lua"#);
    assert_eq!(notes(mode, write).await, "");
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_refuses_a_prompt_by_a_hook_and_only_its_reason_is_told() {
    let hook = r#"settings = [[{ "hooks": { "UserPromptSubmit": [{ "hooks": [
        { "type": "command", "command": "cat >/dev/null; echo \"Tickets *only*.\" >&2; exit 2" }] }] } }]],"#;
    let real = Real::with(hook).await;
    insta::assert_snapshot!(real.ask("The secret is fernweh.").await, @"
    ⚠️ A hook of this project blocked the question: Tickets only.
    -# id ID
    ");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_tells_what_is_wrong_with_the_account() {
    let real = Real::open().await;
    let credit = "STATUS:400:Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to \
                  upgrade or purchase credits.";
    insta::assert_snapshot!(real.ask(credit).await, @"
    ⚠️ The account that Claude Code uses can't pay for this: its credit is used up, or a payment failed. Whoever runs this bot has to check its billing.
    -# id ID
    ");
    insta::assert_snapshot!(real.ask("STATUS:400:This organization has been disabled.").await, @"
    ⚠️ Anthropic has disabled the organization whose account Claude Code uses. Whoever runs this bot has to take it up with Anthropic, or log in with another account.
    -# id ID
    ");
    assert_eq!(real.ask("and now?").await, "you said: and now?");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_conversation_that_the_api_does_not_take_is_told_and_reset_begins_another() {
    let mut real = Real::open().await;
    let poison = "POISON:messages.1.content.0: Invalid `signature` in `thinking` block";
    let without = real.ask(poison).await;
    assert!(!without.contains("/reset"), "there is no such command: {without}");
    let commands = real.stage.root().join("scripts/commands");
    std::fs::create_dir_all(&commands).unwrap();
    std::fs::write(
        commands.join("reset.lua"),
        r#"return { name = "reset", description = "Start afresh", run = function(ctx)
            ctx:reset_session()
            ctx:reply "Done."
        end }"#,
    )
    .unwrap();
    real.bot.stop().await;
    real.bot = Real::start(&real.stage).await;
    insta::assert_snapshot!(real.ask("And now?").await, @"
    ⚠️ This conversation contains part of Claude's thinking that Anthropic doesn't accept, so every further question in it may fail too. Please ask in a new thread, where the conversation starts over.
    -# id ID

    -# `/reset` starts a new conversation in this channel
    ");
    let discord = &real.stage.discord;
    let registered = |discord: &LocalDiscord| (!discord.commands().is_empty()).then_some(());
    within("the registration", discord.wait_until(registered)).await;
    let mut used = UseCommand::new(discord.channel("general"), discord.owner(), "reset");
    used.opened = true;
    let used = discord.use_command(used).unwrap();
    within("the reset", discord.response_message(used)).await;
    assert_eq!(real.ask("And now?").await, "you said: And now?");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_login_that_another_process_renews_costs_no_turn() {
    let keys = r#"settings = [[{ "env": { "CLAUDE_CODE_MAX_RETRIES": "3" } }]],"#;
    let mut real = Real::with(keys).await;
    real.bot.stop().await;
    let folder = real.stage.root().join("home/.claude");
    std::fs::create_dir_all(&folder).unwrap();
    let renew = |token: &str| {
        let expires = SystemTime::now() + Duration::from_secs(3600);
        let login = json!({ "claudeAiOauth": {
            "accessToken": token, "refreshToken": "none", "subscriptionType": "max",
            "expiresAt": expires.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
            "scopes": ["user:inference", "user:profile"],
        } });
        std::fs::write(folder.join(".credentials.json"), login.to_string()).unwrap();
    };
    renew("stale");
    real.bot = Process::ready(&mut bot_on(&real.stage)).await;
    let question = real.stage.say("general", "LOGIN:stale");
    real.api.asked("LOGIN:stale").await;
    renew("fresh");
    assert_eq!(real.answer(question).await, "you said: LOGIN:stale");
    real.bot.stop().await;
}
