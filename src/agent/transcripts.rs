//! Every recorded run of the real CLI, replayed: what a person would have been shown of it.
//!
//! The files are told apart by the first letter of their names: a formats, b sessions, c several turns, d control
//! requests, e permissions, f failures, g prompts and flags, h a session's own file (no events), m, n, q, w and z later
//! ones (w: what advice is given of), `old` the version 2.0.76.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use super::Progress;
use super::denial::{Denial, Remedy};
use super::events::{AgentEvent, PASSED_OVER, read};
use super::failure::Failure;
use super::lifecycle::PromptId;
use super::story::Story;
use super::trouble::SessionTrouble;
use crate::domain::{AnswerForm, TurnUsage};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");

/// One run: what went in and came out.
struct Recorded {
    name: String,
    harness: Value,
    lines: Vec<TranscriptLine>,
}

enum TranscriptLine {
    /// A prompt or a control request that was sent.
    In(Value),
    Out(Vec<u8>),
}

fn recorded() -> Vec<Recorded> {
    let mut files: Vec<_> = std::fs::read_dir(FOLDER).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| open(file)).collect()
}

fn open(file: &Path) -> Recorded {
    let bytes = std::fs::read(file).unwrap();
    let mut lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let harness: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
    let unwrapped = |line: &[u8]| {
        // A line of a run with both directions is wrapped, with its direction; a very long one was cut off.
        let wrapped: Value = serde_json::from_slice(line).unwrap_or_default();
        match wrapped["_dir"].as_str() {
            Some("in") => TranscriptLine::In(wrapped["ev"].clone()),
            Some(_) => TranscriptLine::Out(wrapped["ev"].to_string().into_bytes()),
            None if line.starts_with(br#"{"_dir": "in""#) => TranscriptLine::In(Value::Null),
            None => TranscriptLine::Out(line.to_vec()),
        }
    };
    Recorded {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        harness: harness["_harness"].clone(),
        lines: lines.map(unwrapped).collect(),
    }
}

/// The failure that a recorded run shows first.
pub fn failure_of(name: &str) -> Failure {
    let run = open(&Path::new(FOLDER).join(name).with_extension("jsonl"));
    let mut story = Story::new(AnswerForm::Last);
    for recorded in &run.lines {
        let TranscriptLine::Out(line) = recorded else { continue };
        let event = read(line);
        match event {
            AgentEvent::Result(result) => match story.conclude(*result) {
                Err(failure) => return failure,
                Ok(_) => story = Story::new(AnswerForm::Last),
            },
            event => drop(story.take(event)),
        }
        if let Some(failure) = story.failed_early() {
            return failure;
        }
    }
    let (exit, stderr) =
        (run.harness["exit"].to_string(), run.harness["stderr"].as_str().unwrap().to_owned());
    match run.lines.is_empty() {
        true => Failure::of_start(exit, stderr),
        false => Failure::of_end(exit, stderr),
    }
}

/// What happened in a recorded run, as far as a channel would see it.
pub enum Replayed {
    Step(Progress),
    /// Somebody stopped it.
    Stopped,
    /// The turn has ended, with these words.
    Ended(String),
}

/// What happened in a recorded run, step by step.
pub fn replayed(name: &str) -> Vec<Replayed> {
    let run = open(&Path::new(FOLDER).join(name).with_extension("jsonl"));
    let mut story = Story::new(AnswerForm::Last);
    let (mut told, mut is_stopped) = (Vec::new(), false);
    for line in &run.lines {
        let event = match line {
            TranscriptLine::In(sent) if sent["request"]["subtype"] == "interrupt" => {
                is_stopped = true;
                told.push(Replayed::Stopped);
                continue;
            }
            TranscriptLine::In(_) => continue,
            TranscriptLine::Out(line) => read(line),
        };
        match event {
            AgentEvent::Result(_) if is_stopped => told.push(Replayed::Ended(story.partial())),
            AgentEvent::Result(result) => {
                let end = story.conclude(*result);
                let ended = end.unwrap_or_else(|failure| failure.sentence());
                told.push(Replayed::Ended(ended));
            }
            event => {
                told.extend(story.take(event).into_iter().map(Replayed::Step));
                continue;
            }
        }
        (story, is_stopped) = (Story::new(AnswerForm::Last), false);
    }
    told
}

/// What the turns of a recorded run have used, as far as results tell it.
pub fn usage_of(name: &str) -> Vec<TurnUsage> {
    let run = open(&Path::new(FOLDER).join(name).with_extension("jsonl"));
    let mut story = Story::new(AnswerForm::Last);
    let mut used = Vec::new();
    for line in &run.lines {
        let TranscriptLine::Out(line) = line else { continue };
        match read(line) {
            AgentEvent::Result(result) => {
                story.note(&result);
                used.push(story.usage());
                story = Story::new(AnswerForm::Last);
            }
            event => drop(story.take(event)),
        }
    }
    used
}

/// What a person would be shown, a line for each thing.
fn shown(run: &Recorded) -> String {
    let mut told = format!("## {}\n", run.name);
    let mut line = |sign: &str, text: &str| {
        let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        let mut text: String = text.trim().replace('\n', " ⏎ ").chars().map(shown).collect();
        if let Some((end, _)) = text.char_indices().nth(160) {
            text.truncate(end);
            text.push('…');
        }
        writeln!(told, "{sign} {text}").unwrap();
    };
    let one = |denial: &Denial| {
        let what = denial.what.as_ref().map_or(String::new(), |what| format!("({what})"));
        let remedy = match &denial.remedy {
            Remedy::Untold => String::new(),
            remedy => format!(" {remedy:?}"),
        };
        format!("{}{what} {:?}{remedy}", denial.tool, denial.reason)
    };
    let mut story = Story::new(AnswerForm::Last);
    let mut asked: Vec<Denial> = Vec::new();
    let mut prompts: Vec<PromptId> = Vec::new();
    let mut session = None;
    let mut stopped = false;
    let mut ended = false;
    for recorded in &run.lines {
        let event = match recorded {
            TranscriptLine::In(sent) => {
                if sent["type"] == "user" {
                    let content = &sent["message"]["content"];
                    line(">", content.as_str().map_or(content.to_string(), str::to_owned).as_str());
                    prompts.extend(sent["uuid"].as_str().and_then(|id| id.parse().ok()).map(PromptId));
                } else if sent["request"]["subtype"] == "interrupt" {
                    stopped = true;
                    line(">", "(stop)");
                }
                continue;
            }
            TranscriptLine::Out(bytes) => read(bytes),
        };
        match event {
            AgentEvent::Result(result) => {
                // Where the recording gave its prompts no id, any result that was asked for is the answer.
                let ours = result.answers(PromptId::random()) || prompts.iter().any(|id| result.answers(*id));
                for denial in &result.permission_denials {
                    asked
                        .iter()
                        .filter(|asked| asked.id == denial.id)
                        .for_each(|asked| story.deny(asked.clone()));
                    story.deny(denial.clone());
                }
                if session.is_some() && session != result.session_id {
                    line("·", "(another session)");
                }
                session.clone_from(&result.session_id);
                if !ours {
                    line("·", "(a turn that nobody asked for)");
                } else if let Some(trouble) = SessionTrouble::find(&result.errors.join("\n")) {
                    line("·", &format!("(session: {trouble:?})"));
                } else if result.failed() && stopped
                    || result.terminal_reason.as_deref().is_some_and(|why| why.starts_with("aborted"))
                {
                    line("·", &format!("(interrupted) {}", story.partial()));
                } else {
                    match story.conclude(*result) {
                        Ok(answer) if answer.trim().is_empty() => line("=", "(no words)"),
                        Ok(answer) => line("=", &answer),
                        Err(failure) => {
                            if !story.partial().is_empty() {
                                line("=", &format!("(so far) {}", story.partial()));
                            }
                            line("⚠", &failure.sentence());
                        }
                    }
                }
                if !story.denied().is_empty() && ours {
                    let denied: Vec<_> = story.denied().iter().map(one).collect();
                    line("-#", &format!("not allowed: {}", denied.join(", ")));
                }
                story = Story::new(AnswerForm::Last);
                stopped = false;
                ended = true;
            }
            AgentEvent::Unreadable { .. } => line("?", "(a line that is no event)"),
            AgentEvent::Unknown { kind } => line("?", &format!("(unknown: {kind})")),
            AgentEvent::Elicits { server, .. } => line("·", &format!("({server} asks people)")),
            AgentEvent::OtherRequest { subtype, .. } => line("·", &format!("(refused a request: {subtype})")),
            AgentEvent::WritesLost => line("·", "(the disk is full; in the log)"),
            // Some were allowed; the result names those that were not.
            AgentEvent::MayIUse { denial, .. } => {
                line("·", &format!("(asks: may I use {}?)", denial.tool));
                asked.push(denial);
            }
            event => {
                if let AgentEvent::Fallback(fallback) = &event {
                    line("·", &format!("({} in place of {})", fallback.to, fallback.from));
                }
                for step in story.take(event) {
                    match step {
                        Progress::Tool { name, .. } => line("·", &format!("{name}…")),
                        Progress::Retrying { trouble, attempt, of } => {
                            line("-#", &trouble.sentence(attempt, of));
                        }
                        _ => {}
                    }
                }
                if let Some(failure) = story.failed_early() {
                    line("⚠", &failure.sentence());
                    ended = true;
                    break;
                }
            }
        }
    }
    let (exit, stderr) = (run.harness["exit"].to_string(), run.harness["stderr"].as_str().unwrap_or(""));
    if !ended {
        if !story.partial().is_empty() {
            line("=", &format!("(so far) {}", story.partial()));
        }
        match SessionTrouble::find(stderr) {
            Some(trouble) => line("·", &format!("(session: {trouble:?})")),
            None if run.lines.is_empty() => line("⚠", &Failure::of_start(exit, stderr.to_owned()).sentence()),
            None => line("⚠", &Failure::of_end(exit, stderr.to_owned()).sentence()),
        }
    }
    told
}

#[test]
fn every_transcript_tells_its_story() {
    let mut groups = BTreeMap::<String, String>::new();
    let mut count = 0;
    for run in recorded().iter().filter(|run| !run.name.starts_with("h1-")) {
        let letters: String = run.name.chars().take_while(|c| c.is_ascii_alphabetic()).collect();
        let group = groups.entry(format!("story-{letters}")).or_default();
        *group += &shown(run);
        group.push('\n');
        count += 1;
    }
    println!("{count} transcripts were replayed");
    assert!(count >= 225, "{count}");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/agent"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        for (group, stories) in groups {
            insta::assert_snapshot!(group, stories);
        }
    });
}

/// Every type that was ever seen is read or knowingly passed over, and the list has nothing that is read.
#[test]
fn every_type_in_the_transcripts_is_known() {
    let mut kinds = BTreeMap::<String, usize>::new();
    let mut garbled = Vec::new();
    let runs = recorded();
    for run in runs.iter().filter(|run| !run.name.starts_with("h1-")) {
        for line in &run.lines {
            let TranscriptLine::Out(line) = line else { continue };
            let event = read(line);
            assert!(!matches!(event, AgentEvent::Unknown { .. }), "{event:?} in {}", run.name);
            if let AgentEvent::Unreadable { .. } = event {
                garbled.push(run.name.as_str());
                continue;
            }
            let value: Value = serde_json::from_slice(line).unwrap();
            let kind =
                [&value["type"], &value["subtype"]].map(|word| word.as_str().unwrap_or_default()).join("/");
            *kinds.entry(kind).or_default() += 1;
            // In another order of its keys it is the same event.
            if let Some(object) = value.as_object() {
                let keys = object.iter().rev();
                let turned = keys.map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
                let turned = format!("{{{}}}", turned.collect::<Vec<_>>().join(","));
                assert_eq!(read(turned.as_bytes()), event, "in {}", run.name);
            }
        }
    }
    garbled.dedup();
    println!("{} events of {} types", kinds.values().sum::<usize>(), kinds.len());
    // Outputs of other formats, and lines that the recorder cut off.
    let expected = [
        "a2-text",
        "d1-control",
        "f9-maxturns-text",
        "g12-budget-text",
        "g18-hook-callback",
        "g2-argv-dashdash",
    ];
    assert_eq!(garbled, expected);
    for (kind, why) in PASSED_OVER {
        assert!(!why.is_empty());
        let (kind, subtype) = kind.split_once('/').unwrap_or((kind, ""));
        let line = serde_json::json!({ "type": kind, "subtype": subtype }).to_string();
        assert_eq!(read(line.as_bytes()), AgentEvent::PassedOver, "{kind}/{subtype}");
    }
}
