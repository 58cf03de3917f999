//! Records transcripts of the real CLI, for when a new version comes out:
//!
//! ```text
//! MOONLANE_TEST_CLAUDE=…/claude MOONLANE_RECORD=DIR cargo test --test it record -- --ignored --nocapture
//! ```
//!
//! Each scenario is one process and becomes one file in DIR, in the form of `tests/fixtures/transcripts`: a line on how
//! it was run, then every line that went in and came out, with the seconds since the start. Put them among the
//! fixtures under names that begin with a letter of their own, run the tests, and read what the snapshots of the
//! stories say. Then add the version to the table in ARCHITECTURE.md.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::messages_api::MessagesApi;
use crate::separate::clean;
use crate::support::within;

/// A name; what is said, where after each prompt its result is waited for; and more arguments.
type Scenario = (&'static str, &'static [&'static str], &'static [&'static str]);

const CURL: &[&str] = &[r#"TOOL:Bash:{"command":"curl http://127.0.0.1:1/x"}"#];
const PUSH: &[&str] = &[r#"TOOL:Bash:{"command":"git push origin"}"#];

const SCENARIOS: &[Scenario] = &[
    ("follow-up", &["first", "second"], &[]),
    ("tool-denied", &[r#"TOOL:Bash:{"command":"touch no.txt"}"#], &[]),
    ("tool-read", &[r#"TOOL:Bash:{"command":"ls"}"#], &[]),
    ("client-composed", &["@/etc/passwd", "/clear"], &[]),
    ("overloaded", &["STATUS:529"], &[]),
    ("unauthorized", &["STATUS:401"], &[]),
    // Why a tool may not be used.
    ("w1-rule-deny", CURL, &[r#"--settings={"permissions":{"deny":["Bash(curl *)"]}}"#]),
    (
        "w1-rule-deny-read",
        &[r#"TOOL:Read:{"file_path":"secret.txt"}"#],
        &[r#"--settings={"permissions":{"deny":["Read(./secret.txt)"]}}"#],
    ),
    ("w1-rule-disallowed", CURL, &["--disallowedTools=Bash(curl *)"]),
    (
        "w1-rule-ask",
        PUSH,
        &["--allowedTools=Bash", r#"--settings={"permissions":{"ask":["Bash(git push *)"]}}"#],
    ),
    (
        "w1-rule-ask-in-several",
        &[r#"TOOL:Bash:{"command":"git push origin && touch x"}"#],
        &[r#"--settings={"permissions":{"ask":["Bash(git push *)"]}}"#],
    ),
    ("w1-several-unallowed", &[r#"TOOL:Bash:{"command":"ls && touch a && git push"}"#], &[]),
    ("w1-outside", &[r#"TOOL:Read:{"file_path":"/etc/hostname"}"#], &[]),
    (
        "w1-outside-write",
        &[r#"TOOL:Write:{"file_path":"/home/u-other/x","content":"x"}"#],
        &["--permission-mode=acceptEdits"],
    ),
    // The rule that is suggested for it does not help.
    (
        "w1-outside-bash",
        &[r#"TOOL:Bash:{"command":"touch /var/lib/x"}"#],
        &["--permission-mode=acceptEdits", "--allowedTools=Bash(touch *)"],
    ),
    ("w1-write", &[r#"TOOL:Write:{"file_path":"x","content":"x"}"#], &[]),
    ("w1-fetch", &[r#"TOOL:WebFetch:{"url":"https://site.example/x","prompt":"x"}"#], &[]),
    ("w1-unchecked", &[r#"TOOL:Bash:{"command":"for i in $X; do rm $i; done"}"#], &[]),
    ("w1-dont-ask", CURL, &["--permission-mode=dontAsk"]),
    ("w1-dangerous", &[r#"TOOL:Bash:{"command":"rm -rf ~"}"#], &["--allowedTools=Bash"]),
    (
        "w1-plan-write",
        &[r#"TOOL:Write:{"file_path":"/etc/x","content":"x"}"#],
        &["--permission-mode=plan", "--allowedTools=Write"],
    ),
    ("w1-plan-bash", &[r#"TOOL:Bash:{"command":"touch x"}"#], &["--permission-mode=plan"]),
    (
        "w1-hook-deny",
        CURL,
        &[
            r#"--settings={"hooks":{"PreToolUse":[{"hooks":[{"type":"command","command":"echo no curl >&2; exit 2"}]}]}}"#,
        ],
    ),
    (
        "w1-hook-ask",
        PUSH,
        &[
            "--allowedTools=Bash",
            r#"--settings={"hooks":{"PreToolUse":[{"hooks":[{"type":"command","command":"echo '{\"hookSpecificOutput\":{\"hookEventName\":\"PreToolUse\",\"permissionDecision\":\"ask\"}}'"}]}]}}"#,
        ],
    ),
    // A hook on prompts.
    (
        "w2-hook-refuses",
        &["hello", "again"],
        &[
            r#"--settings={"hooks":{"UserPromptSubmit":[{"hooks":[{"type":"command","command":"/bin/sh -c 'echo no questions on Fridays >&2; exit 2'"}]}]}}"#,
        ],
    ),
    (
        "w2-hook-refuses-silently",
        &["hello"],
        &[r#"--settings={"hooks":{"UserPromptSubmit":[{"hooks":[{"type":"command","command":"exit 2"}]}]}}"#],
    ),
    (
        "w2-hook-blocks",
        &["hello"],
        &[
            r#"--settings={"hooks":{"UserPromptSubmit":[{"hooks":[{"type":"command","command":"echo '{\"decision\":\"block\",\"reason\":\"Tickets only.\"}'"}]}]}}"#,
        ],
    ),
    (
        "w2-hook-stops",
        &["hello"],
        &[
            r#"--settings={"hooks":{"UserPromptSubmit":[{"hooks":[{"type":"command","command":"echo '{\"continue\":false,\"stopReason\":\"Closed for today.\"}'"}]}]}}"#,
        ],
    ),
    // What is a matter of the account.
    (
        "w3-credit",
        &[
            "STATUS:400:Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        ],
        &[],
    ),
    ("w3-payment", &["STATUS:402:Your payment has failed"], &[]),
    ("w3-disabled", &["STATUS:400:This organization has been disabled."], &[]),
    ("w3-disabled-403", &["STATUS:403:This organization has been disabled."], &[]),
    (
        "w3-login-off",
        &["STATUS:403:OAuth authentication is currently not allowed for this organization."],
        &[],
    ),
    (
        "w3-spend-limit",
        &[
            "STATUS:400:You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        ],
        &[],
    ),
    // What makes every later question fail, too.
    (
        "w4-signature",
        &["POISON:messages.1.content.0: Invalid `signature` in `thinking` block", "and now?"],
        &[],
    ),
    (
        "w4-thinking",
        &[
            "POISON:messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        ],
        &[],
    ),
    (
        "w4-image-size",
        &[
            "POISON:messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
        ],
        &[],
    ),
    (
        "w4-image-dimensions",
        &[
            "POISON:messages.2.content.1.image.source.base64.data: At least one of the image dimensions exceed max allowed size for many-image requests: 2000 pixels",
        ],
        &[],
    ),
    ("w4-image-removed", &["POISON:Could not process image"], &[]),
    ("w4-document", &["POISON:messages.0.content.0.document.source: The PDF specified was not valid."], &[]),
    (
        "w4-tool-history",
        &[
            "POISON:messages.3: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_01. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ],
        &[],
    ),
    ("w4-unknown", &["POISON:messages: text content blocks must be non-empty", "and now?"], &[]),
];

#[tokio::test]
#[ignore = "writes files: see the module's documentation"]
async fn record_transcripts() {
    let claude = std::env::var("MOONLANE_TEST_CLAUDE").expect("MOONLANE_TEST_CLAUDE names the CLI");
    let folder = std::env::var("MOONLANE_RECORD").expect("MOONLANE_RECORD names a folder to write to");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, prompts, arguments) in SCENARIOS {
        let file = Path::new(&folder).join(format!("{name}.jsonl"));
        let lines = within(name, record(&claude, prompts, arguments)).await;
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        println!("{}: {} lines", file.display(), lines.len());
    }
}

async fn record(claude: &str, prompts: &[&str], more: &[&str]) -> Vec<String> {
    let api = MessagesApi::start().await;
    let home = tempfile::tempdir().unwrap();
    let work = home.path().join("w");
    std::fs::create_dir(&work).unwrap();
    let mut arguments = vec![
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--permission-prompt-tool",
        "stdio",
        "--include-partial-messages",
    ];
    arguments.extend(more);
    let began = Instant::now();
    let mut child = clean(claude, home.path())
        .args(&arguments)
        .current_dir(&work)
        .env("ANTHROPIC_BASE_URL", api.url())
        .env("ANTHROPIC_API_KEY", "sk-ant-dummy")
        .env("CLAUDE_CODE_MAX_RETRIES", "2")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")
        .env("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    // Nothing of this machine is to stand in a fixture.
    let neutral = |text: &str| text.replace(home.path().to_str().unwrap(), "/home/u");
    let line = |direction: &str, event: &Value| {
        let seconds = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        neutral(&json!({ "_dir": direction, "_t": seconds, "ev": event }).to_string())
    };

    let mut lines = Vec::new();
    for prompt in prompts {
        let message = json!({ "type": "user", "message": { "role": "user", "content": prompt }, "client_composed": true });
        lines.push(line("in", &message));
        stdin.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        while let Some(text) = stdout.next_line().await.unwrap() {
            let event: Value = serde_json::from_str(&text).unwrap();
            lines.push(line("out", &event));
            if event["type"] == "control_request" {
                let id = &event["request_id"];
                let answer = json!({ "behavior": "deny", "message": "not here" });
                let answer = json!({ "subtype": "success", "request_id": id, "response": answer });
                let answer = json!({ "type": "control_response", "response": answer });
                lines.push(line("in", &answer));
                stdin.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            }
            if event["type"] == "result" {
                break;
            }
        }
    }
    drop(stdin);
    while let Ok(Some(text)) = stdout.next_line().await {
        lines.push(line("out", &serde_json::from_str(&text).unwrap()));
    }
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).await.unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(10), child.wait()).await.unwrap().unwrap().code();
    let harness = json!({ "_harness": { "args": arguments, "exit": exit, "stderr": stderr } });
    lines.insert(0, neutral(&harness.to_string()));
    lines
}
