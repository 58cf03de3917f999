//! What a person reads where the real Claude Code may not, or cannot, do what was asked: over a Messages API of our
//! own, as in [`crate::real_claude`].

use crate::real_claude::Real;

const CURL: &str = r#"TOOL:Bash:{"command": "curl http://127.0.0.1:1/x"}"#;
const PUSH: &str = r#"TOOL:Bash:{"command": "git push origin"}"#;

/// What the bot says below the answer, with these keys of the project.
async fn notes(keys: &str, prompt: &str) -> Option<String> {
    let real = Real::with(keys).await?;
    let answer = real.ask(prompt).await;
    real.bot.stop().await;
    Some(answer.lines().filter(|line| line.starts_with("-# ")).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn claude_is_refused_a_tool_and_the_note_says_by_what() {
    let deny = r#"settings = [[{ "permissions": { "deny": ["Bash(curl *)"] } }]],"#;
    let Some(told) = notes(deny, CURL).await else { return };
    insta::assert_snapshot!(told, @"-# Forbidden by a rule in Claude Code's settings: `Bash(curl http://127.0.0.1:1/x)`");

    let deny_read = r#"settings = [[{ "permissions": { "deny": ["Read(./secret)"] } }]],"#;
    let told = notes(deny_read, r#"TOOL:Read:{"file_path": "secret"}"#).await.unwrap();
    insta::assert_snapshot!(told, @"-# Forbidden by a rule in Claude Code's settings: `Read(secret)`");

    let told = notes(r#"disallowed_tools = { "Bash(curl *)" },"#, CURL).await.unwrap();
    insta::assert_snapshot!(told, @"-# Forbidden by a rule: `Bash(curl http://127.0.0.1:1/x)`. It stands in `projects.here.disallowed_tools` in routing.lua, or in Claude Code's settings");

    // It is allowed, and a rule wants a person to be asked all the same.
    let ask =
        r#"allowed_tools = { "Bash" }, settings = [[{ "permissions": { "ask": ["Bash(git push *)"] } }]],"#;
    let told = notes(ask, PUSH).await.unwrap();
    insta::assert_snapshot!(told, @"-# Forbidden by a rule in Claude Code's settings: `Bash(git push origin)`");

    let hook = r#"settings = [[{ "hooks": { "PreToolUse": [{ "hooks": [
        { "type": "command", "command": "echo no curl >&2; exit 2" }] }] } }]],"#;
    let told = notes(hook, CURL).await.unwrap();
    insta::assert_snapshot!(told, @"-# Refused by a hook in Claude Code's settings: `Bash(curl http://127.0.0.1:1/x)`");

    let told = notes(r#"allowed_tools = { "Bash" },"#, r#"TOOL:Bash:{"command": "rm -rf ~"}"#).await.unwrap();
    insta::assert_snapshot!(told, @"-# Not done, because Claude Code asks about it whatever is allowed: `Bash(rm -rf ~)`");
}
