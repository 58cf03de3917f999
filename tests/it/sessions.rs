//! Which session a turn goes on in, and that no two channels ever share one.

use std::fs;
use std::io::Write;

use moonlane::local::Say;

use crate::support::{AgentEvent, MOONLANE, Setup, Stage};

/// The session of the agent that got this prompt.
fn session(stage: &Stage, prompt: &str) -> String {
    let is_it = |event: &AgentEvent| event.event == "prompt" && event.prompt.as_deref() == Some(prompt);
    stage.agent_log().into_iter().find(is_it).expect("the prompt").session
}

#[tokio::test]
async fn the_session_of_the_latest_result_is_the_one_that_goes_on() {
    let mut stage = Stage::open().await;
    stage.ask("general", "TEXT:one").await;
    // As the CLI does at `/clear`.
    assert_eq!(stage.ask("general", "CLEAR ;; TEXT:two").await, "two");
    assert_eq!(stage.ask("general", "SAY").await, "CLEAR");
    stage.stop().await;
    stage.start().await;
    assert_eq!(
        stage.ask("general", "SAY ;; TEXT:after").await,
        "CLEAR\n\nafter".replace("CLEAR", "CLEAR\nSAY")
    );
    assert_eq!(session(&stage, "SAY"), session(&stage, "SAY ;; TEXT:after"));
    assert_ne!(session(&stage, "TEXT:one"), session(&stage, "SAY"));
}

#[tokio::test]
async fn a_thread_has_another_session_than_its_channel() {
    let mut stage = Stage::open().await;
    let channel = stage.discord.channel("general");
    let thread = stage.discord.thread(channel, "aside");
    for (place, prompt) in [(channel, "TEXT:1"), (thread, "TEXT:2"), (channel, "TEXT:3"), (thread, "SAY")] {
        let question = stage.discord.say(Say::to_bot(place, stage.discord.owner(), prompt));
        stage.settled(question).await;
        if prompt == "SAY" {
            assert_eq!(stage.answer(question), "TEXT:2");
        }
    }
    assert_eq!(session(&stage, "TEXT:1"), session(&stage, "TEXT:3"));
    assert_ne!(session(&stage, "TEXT:1"), session(&stage, "TEXT:2"));
}

/// The bot died before the first result, and what the CLI has of the session cannot be resumed.
#[tokio::test]
async fn a_new_session_that_is_in_use_and_not_found_begins_without_a_word() {
    let script = r#"
        case "$*" in
            *--resume*) echo "No conversation found with session ID: x" >&2; exit 1;;
        esac
        if mkdir once 2>/dev/null; then echo "Error: Session ID x is already in use." >&2; exit 1; fi
        exec "$0" demo-agent "$@"
    "#;
    let agent = ["sh", "-c", script, MOONLANE].map(str::to_owned).to_vec();
    let mut stage = Stage::with(Setup { agent, ..Setup::default() }).await;
    assert_eq!(stage.ask("general", "TEXT:here I am").await, "here I am");
}

#[tokio::test]
async fn a_session_that_was_used_in_a_terminal_is_told_once_and_resumed() {
    let mut stage = Stage::with(Setup {
        routing: r#"return {
            projects = { here = { dir = "WORK", env = { DEMO_AGENT_LOG = "LOG", CLAUDE_CONFIG_DIR = "WORK/config" } } },
            route = function() return "here" end,
        }"#
        .to_owned(),
        ..Setup::default()
    })
    .await;
    stage.ask("general", "TEXT:one").await;
    let folder = stage.work().join("config/projects/-srv");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}.jsonl", session(&stage, "TEXT:one")));
    let mut file = fs::File::options().append(true).create(true).open(path).unwrap();
    let mut prompt = |id: &str| {
        writeln!(file, r#"{{"type":"user","promptSource":"typed","uuid":"{id}","message":{{}}}}"#).unwrap();
    };
    prompt("2b0a33c5-8dd8-43a1-a2ef-9fb1bbd2fd35");
    insta::assert_snapshot!(stage.ask("general", "TEXT:two").await, @"
    two

    -# This conversation has also been used outside Discord since my last answer; I continued from there
    ");
    // Ours, as the real CLI would have written it.
    prompt("6d6f6f6e-8dd8-43a1-a2ef-9fb1bbd2fd35");
    assert_eq!(stage.ask("general", "SAY").await, "TEXT:one\nTEXT:two");
    let starts = stage.agent_log().iter().filter(|event| event.event == "start").count();
    assert_eq!(starts, 2, "a process does not see what another one wrote");
}
