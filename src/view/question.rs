//! What the message says in which Claude asks something.

use std::path::Path;

use serde_json::Value;

use super::visible;
use crate::agent::{ChoiceQuestion, PermissionRequest, Question, QuestionAbout, RequestedCall};
use crate::domain::{File, UserId};
use crate::text;

/// A question as it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnQuestion {
    /// At most 1,800 characters, so that there is room for what becomes of it.
    pub text: String,
    /// All of it, where that is longer.
    pub file: Option<File>,
}

/// The longest text of a question's message, in UTF-16 code units.
const LONGEST: usize = 1800;

/// Draws a question for the person whose turn it is. Paths are shown relative to `dir`. `redact` takes secrets out; it gets
/// each text whole.
pub fn draw(
    question: &Question,
    asker: UserId,
    dir: &Path,
    redact: impl Fn(&str) -> String,
) -> DrawnQuestion {
    let who = if question.subagent.is_some() { "A subagent of Claude" } else { "Claude" };
    let (head, body) = match &question.about {
        QuestionAbout::Permission(permission) => of_permission(permission, who, dir, &redact),
        QuestionAbout::Choices(questions) => {
            (format!("{who} asks:"), QuestionBody::markdown(of_choices(questions, &redact)))
        }
        QuestionAbout::Plan(plan) => (format!("{who} has a plan:"), QuestionBody::markdown(redact(plan))),
    };
    let head = format!("<@{asker}> {head}");
    let whole = format!("{head}\n{}", body.joined());
    if text::units(&whole) <= LONGEST {
        return DrawnQuestion { text: whole, file: None };
    }
    let name = if matches!(question.about, QuestionAbout::Plan(_)) { "plan.md" } else { "question.txt" };
    let file = File { name: name.to_owned(), content: format!("{head}\n\n{}", body.joined()) };
    // Whatever is long in it is shown as code, in which nothing acts.
    let language = if body.language.is_empty() { "md" } else { body.language };
    let (begin, middle, end) = ends(&body.code, 600, 300);
    let shown = match middle {
        0 => fenced(language, begin),
        _ => format!(
            "{}\n**… {middle} characters are left out here: read all of it in `{name}` before you decide …**\n{}",
            fenced(language, begin),
            fenced(language, end)
        ),
    };
    let (first, left, _) = ends(&head, 200, 0);
    let head = if left == 0 { head.clone() } else { format!("{}…` (all of it is in `{name}`)", first) };
    let mut lines = vec![head, shown];
    for note in &body.notes {
        let (first, left, _) = ends(note, 100, 0);
        lines.push(if left == 0 { note.clone() } else { format!("{first}…` (all of it is in `{name}`)") });
    }
    DrawnQuestion { text: lines.join("\n"), file: Some(file) }
}

/// What stands below the first line.
struct QuestionBody {
    code: String,
    /// Of the block; empty where it is Markdown instead.
    language: &'static str,
    notes: Vec<String>,
}

impl QuestionBody {
    fn joined(&self) -> String {
        let code = match self.language {
            "" => self.code.clone(),
            language => fenced(language, &self.code),
        };
        std::iter::once(code).chain(self.notes.iter().cloned()).collect::<Vec<_>>().join("\n")
    }

    fn markdown(code: String) -> Self {
        Self { code, language: "", notes: Vec::new() }
    }
}

fn fenced(language: &str, code: &str) -> String {
    format!("```{language}\n{}\n```", code.replace("```", "``\u{2060}`"))
}

/// The beginning and the end of a text, in UTF-16 code units at most, and how many characters are between them.
fn ends(text: &str, head: usize, tail: usize) -> (&str, usize, &str) {
    if text::units(text) <= head + tail {
        return (text, 0, "");
    }
    let begin = text::fitting(text, head);
    let mut units = 0;
    let fits = text.chars().rev().take_while(|c| {
        units += c.len_utf16();
        units <= tail
    });
    let end = text.len() - fits.map(char::len_utf8).sum::<usize>();
    (&text[..begin], text[begin..end].chars().count(), &text[end..])
}

fn of_permission(
    permission: &PermissionRequest,
    who: &str,
    dir: &Path,
    redact: impl Fn(&str) -> String,
) -> (String, QuestionBody) {
    let code = |text: &str| visible::block(&redact(text));
    let shown = |path: &str| {
        let inside = Path::new(path).strip_prefix(dir).ok().and_then(Path::to_str);
        visible::line(inside.unwrap_or(path))
    };
    let (what, language, body) = match &permission.call {
        RequestedCall::Command(command) => ("run a command".to_owned(), "sh", code(command)),
        RequestedCall::Edit { path, old, new, all } => {
            let signed = |sign: &str, text: &str| {
                code(text).split('\n').map(|line| format!("{sign}{line}\n")).collect::<String>()
            };
            let everywhere = if *all { " (everywhere in it)" } else { "" };
            let diff = format!("{}{}", signed("-", old), signed("+", new));
            (format!("edit {}{everywhere}", shown(path)), "diff", diff.trim_end_matches('\n').to_owned())
        }
        RequestedCall::Write { path, content } => (format!("write {}", shown(path)), "txt", code(content)),
        RequestedCall::Other(input) => {
            // Text by text, for the escapes of JSON would hide a secret.
            let redacted = serde_json::from_str(input).map(|value| redacted(value, &redact));
            let pretty = redacted.and_then(|value| serde_json::to_string_pretty(&value));
            let input = pretty.unwrap_or_else(|_| redact(input));
            (format!("use {}", visible::line(&permission.tool)), "json", visible::block(&input))
        }
    };
    let note = |mark: &str, text: &str| format!("-# {mark}{}", visible::line(&redact(text.trim())));
    let mut notes = Vec::new();
    notes.extend(permission.purpose.iter().map(|purpose| note("Claude: ", purpose)));
    let danger = if permission.is_dangerous { "⚠️ " } else { "" };
    notes.extend(permission.reason.iter().map(|reason| note(danger, reason)));
    if permission.reason.is_none() && permission.is_dangerous {
        notes.push("-# ⚠️ Claude Code takes this for dangerous.".to_owned());
    }
    notes.extend(
        permission.blocked.iter().map(|path| format!("-# Path: {}", visible::line(&path.to_string_lossy()))),
    );
    (format!("{who} wants to {what}:"), QuestionBody { code: body, language, notes })
}

fn redacted(value: Value, redact: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(redact(&text)),
        Value::Array(values) => values.into_iter().map(|value| redacted(value, redact)).collect(),
        Value::Object(keys) => {
            let mut all = serde_json::Map::new();
            for (key, value) in keys {
                let mut key = redact(&key);
                // Two secrets may look the same now.
                while all.contains_key(&key) {
                    key.push('*');
                }
                all.insert(key, redacted(value, redact));
            }
            Value::Object(all)
        }
        other => other,
    }
}

fn of_choices(questions: &[ChoiceQuestion], redact: impl Fn(&str) -> String) -> String {
    let mut lines = Vec::new();
    for question in questions {
        lines.push(format!("**{}**", redact(&question.question)));
        for (number, option) in question.options.iter().enumerate() {
            let label = redact(&option.label);
            match option.description.is_empty() {
                true => lines.push(format!("{}. {label}", number + 1)),
                false => lines.push(format!("{}. {label}: {}", number + 1, redact(&option.description))),
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::QuestionId;

    fn drawn(call: RequestedCall) -> DrawnQuestion {
        let permission = PermissionRequest {
            tool: "Tool".to_owned(),
            name: "Tool".to_owned(),
            input: Value::Null,
            call,
            purpose: Some("x".repeat(9000)),
            reason: Some("`@everyone` https://example.org".repeat(90)),
            is_dangerous: true,
            blocked: Some("/b".repeat(3000).into()),
            grant: None,
        };
        let about = QuestionAbout::Permission(Box::new(permission));
        let question = Question { id: QuestionId("1".to_owned()), subagent: None, about };
        draw(&question, UserId::new(1).unwrap(), Path::new("/p"), str::to_owned)
    }

    #[test]
    fn a_long_call_is_whole_in_its_file_and_the_message_says_so() {
        let command = format!("echo {}; rm -rf /tmp/x", "a```".repeat(25_000));
        let calls = [
            RequestedCall::Command(command.clone()),
            RequestedCall::Edit {
                path: "p".repeat(5000),
                old: String::new(),
                new: command.clone(),
                all: true,
            },
            RequestedCall::Other(serde_json::json!({ "x": command }).to_string()),
        ];
        for call in calls {
            let DrawnQuestion { text, file } = drawn(call);
            assert!(text::units(&text) <= LONGEST, "{}", text::units(&text));
            assert!(
                text.contains("characters are left out here") && text.contains("rm -rf /tmp/x"),
                "{text}"
            );
            assert_eq!(text.matches("```").count(), 4, "{text}");
            assert!(file.is_some_and(|file| file.content.contains(&visible::block(&command))));
        }
    }
}
