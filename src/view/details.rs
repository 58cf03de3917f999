//! What a turn shows besides where all of it is wanted: what goes into each tool and comes out of it, and what Claude
//! thinks. The newest of it stands folded in the live line; the whole is a text file.

use std::collections::VecDeque;
use std::fmt::Write;

use serde_json::Value;

use super::draw::{code, one_line, shortened};
use crate::agent::EndedCall;

/// How much is kept of one text, in characters.
const LONGEST: usize = 1500;
/// How much is kept in all, in bytes; then the oldest is left out.
const MOST: usize = 200 * 1024;
/// Of a longer text only this beginning is looked at, in bytes.
const LOOKED_AT: usize = 64 * 1024;
/// In what was cut there, this much at the end may be half of a secret. No secret is longer.
const UNSURE: usize = 16 * 1024;
/// How long what stands folded in the line may be, in characters.
const LONGEST_INPUT: usize = 120;
const LONGEST_OUTPUT: usize = 160;
const LONGEST_THOUGHT: usize = 250;

/// What has happened, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    steps: VecDeque<DetailStep>,
    /// The bytes in them.
    size: usize,
    /// How many older ones were left out.
    left_out: usize,
    calls: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DetailStep {
    Thought(String),
    Said(String),
    Call { id: String, name: String, input: String, output: Option<CallOutput> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CallOutput {
    text: String,
    has_failed: bool,
}

impl Details {
    pub fn thought(&mut self, text: &str, redact: impl Fn(&str) -> String) {
        self.push(DetailStep::Thought(kept(text, redact)));
    }

    pub fn said(&mut self, text: &str, redact: impl Fn(&str) -> String) {
        self.push(DetailStep::Said(kept(text, redact)));
    }

    pub fn called(&mut self, id: &str, name: &str, input: &Value, redact: impl Fn(&str) -> String) {
        self.calls += 1;
        // Key by key, for the escapes of JSON would hide a secret.
        let input = match redacted(input, &redact) {
            Value::Object(keys) => {
                let line = |(key, value): (&String, &Value)| format!("{key}: {}", plain_text(value));
                keys.iter().map(line).collect::<Vec<_>>().join("\n")
            }
            Value::Null => String::new(),
            other => plain_text(&other),
        };
        let (id, name, input) = (id.to_owned(), redact(name), shortened_text(&input));
        self.push(DetailStep::Call { id, name, input, output: None });
    }

    pub fn ended(&mut self, ended: &EndedCall, redact: impl Fn(&str) -> String) {
        let call = self.steps.iter_mut().rev().find_map(|step| match step {
            DetailStep::Call { id, output, .. } if *id == ended.id => Some(output),
            _ => None,
        });
        if let Some(output @ None) = call {
            let text = kept(&ended.output, redact);
            self.size += text.len();
            *output = Some(CallOutput { text, has_failed: ended.has_failed });
            self.leave_out();
        }
    }

    fn push(&mut self, step: DetailStep) {
        self.size += step.size();
        self.steps.push_back(step);
        self.leave_out();
    }

    fn leave_out(&mut self) {
        while self.size > MOST
            && let Some(oldest) = self.steps.pop_front()
        {
            self.size -= oldest.size();
            self.left_out += 1;
        }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// The latest thought, folded, where nothing has followed it.
    pub fn thinking(&self) -> Option<String> {
        match self.steps.back() {
            Some(DetailStep::Thought(thought)) => {
                Some(folded(&shortened(&one_line(thought), LONGEST_THOUGHT)))
            }
            _ => None,
        }
    }

    /// What went into a call and came out of it, folded.
    pub fn of_call(&self, wanted: &str) -> Option<String> {
        let call = self.steps.iter().rev().find_map(|step| match step {
            DetailStep::Call { id, input, output, .. } if id == wanted => Some((input, output)),
            _ => None,
        });
        let (input, output) = call?;
        let mut shown = shortened(&one_line(&input.replace('\n', " · ")), LONGEST_INPUT);
        if let Some(CallOutput { text, has_failed }) = output {
            let arrow = if *has_failed { "✗" } else { "→" };
            let text = shortened(&one_line(text), LONGEST_OUTPUT);
            shown = format!("{shown} {arrow} {}", if text.is_empty() { "(nothing)" } else { &text });
        }
        (!shown.trim().is_empty()).then(|| folded(shown.trim()))
    }

    /// All of it as plain text; `None` where no tool was called and nothing thought.
    pub fn file(&self) -> Option<String> {
        let is_work = |step: &DetailStep| !matches!(step, DetailStep::Said(_));
        if !self.steps.iter().any(is_work) {
            return None;
        }
        let mut file = String::new();
        if self.left_out > 0 {
            let _ = writeln!(file, "(earlier steps left out: {})\n", self.left_out);
        }
        for step in &self.steps {
            step.write(&mut file);
            file.push('\n');
        }
        Some(file)
    }
}

impl DetailStep {
    fn size(&self) -> usize {
        match self {
            Self::Thought(text) | Self::Said(text) => text.len(),
            Self::Call { id, name, input, output } => {
                id.len() + name.len() + input.len() + output.as_ref().map_or(0, |output| output.text.len())
            }
        }
    }

    fn write(&self, file: &mut String) {
        match self {
            Self::Thought(text) => section(file, "Thinking", text),
            Self::Said(text) => section(file, "Claude", text),
            Self::Call { name, input, output, .. } => {
                section(file, name, input);
                if let Some(CallOutput { text, has_failed }) = output {
                    section(file, if *has_failed { "→ failed" } else { "→" }, text);
                }
            }
        }
    }
}

/// A heading, and the text indented below it, so that nothing in it looks like a heading.
fn section(file: &mut String, heading: &str, text: &str) {
    let _ = writeln!(file, "{}", one_line(heading));
    for line in text.lines() {
        let shown: String = line.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        let _ = writeln!(file, "    {}", shown.trim_end());
    }
}

/// As a spoiler, which nothing within can end: code inside of it is no markup, and no bar stands beside another.
fn folded(text: &str) -> String {
    format!("||{}||", code(&text.replace("||", "¦¦")))
}

/// A value as people read it.
fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn redacted(value: &Value, redact: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(kept(text, redact)),
        Value::Array(values) => values.iter().map(|value| redacted(value, redact)).collect(),
        Value::Object(keys) => {
            let key = |(key, value): (&String, &Value)| (kept(key, redact), redacted(value, redact));
            Value::Object(keys.iter().map(key).collect())
        }
        other => other.clone(),
    }
}

/// What is kept of a text: without secrets, and shortened after that, for half a secret is not recognized as one.
fn kept(text: &str, redact: impl Fn(&str) -> String) -> String {
    if text.len() <= LOOKED_AT {
        return shortened_text(&redact(text));
    }
    let beginning = redact(up_to(text, LOOKED_AT));
    let sure = up_to(&beginning, beginning.len().saturating_sub(UNSURE));
    shortened_text(&format!("{sure}\n… ({} KB in all)", text.len() / 1024))
}

/// At most so many bytes of a text.
fn up_to(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Its beginning and its end, where it is long.
fn shortened_text(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let (head, tail) = (LONGEST * 2 / 3, LONGEST / 3);
    let beginning: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{beginning}\n…\n{end}")
}
