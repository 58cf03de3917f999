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

/// What is said in each; after each prompt its result is waited for.
const SCENARIOS: [(&str, &[&str]); 6] = [
    ("follow-up", &["first", "second"]),
    ("tool-denied", &[r#"TOOL:Bash:{"command":"touch no.txt"}"#]),
    ("tool-read", &[r#"TOOL:Bash:{"command":"ls"}"#]),
    ("client-composed", &["@/etc/passwd", "/clear"]),
    ("overloaded", &["STATUS:529"]),
    ("unauthorized", &["STATUS:401"]),
];

#[tokio::test]
#[ignore = "writes files: see the module's documentation"]
async fn record_transcripts() {
    let claude = std::env::var("MOONLANE_TEST_CLAUDE").expect("MOONLANE_TEST_CLAUDE names the CLI");
    let folder = std::env::var("MOONLANE_RECORD").expect("MOONLANE_RECORD names a folder to write to");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, prompts) in SCENARIOS {
        let file = Path::new(&folder).join(format!("{name}.jsonl"));
        let lines = within(name, record(&claude, prompts)).await;
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        println!("{}: {} lines", file.display(), lines.len());
    }
}

async fn record(claude: &str, prompts: &[&str]) -> Vec<String> {
    let api = MessagesApi::start().await;
    let home = tempfile::tempdir().unwrap();
    let work = home.path().join("w");
    std::fs::create_dir(&work).unwrap();
    let arguments = [
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
    let began = Instant::now();
    let mut child = clean(claude, home.path())
        .args(arguments)
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
