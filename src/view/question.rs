//! What the message says in which Claude asks something.

use std::path::Path;

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
        QuestionAbout::Choices(questions) => (format!("{who} asks:"), of_choices(questions, &redact)),
        QuestionAbout::Plan(plan) => (format!("{who} has a plan:"), redact(plan)),
    };
    let head = format!("<@{asker}> {head}");
    let whole = format!("{head}\n{body}");
    if text::units(&whole) <= LONGEST {
        return DrawnQuestion { text: whole, file: None };
    }
    let file = File { name: "question.md".to_owned(), content: body };
    DrawnQuestion { text: format!("{head} all of it is in the file."), file: Some(file) }
}

fn of_permission(
    permission: &PermissionRequest,
    who: &str,
    dir: &Path,
    redact: impl Fn(&str) -> String,
) -> (String, String) {
    let block = |language: &str, code: &str| format!("```{language}\n{code}\n```");
    let shown = |path: &str| {
        let inside = Path::new(path).strip_prefix(dir).ok().and_then(Path::to_str);
        inside.unwrap_or(path).to_owned()
    };
    let (what, body) = match &permission.call {
        RequestedCall::Command(command) => ("run a command".to_owned(), block("sh", &redact(command))),
        RequestedCall::Edit { path, old, new, .. } => {
            let minus = redact(old).lines().map(|line| format!("-{line}\n")).collect::<String>();
            let plus = redact(new).lines().map(|line| format!("+{line}\n")).collect::<String>();
            (format!("edit `{}`", shown(path)), block("diff", &format!("{minus}{plus}")))
        }
        RequestedCall::Write { path, content } => {
            (format!("write `{}`", shown(path)), block("", &redact(content)))
        }
        RequestedCall::Other(input) => (format!("use {}", permission.tool), block("json", &redact(input))),
    };
    let purpose = permission.purpose.iter().map(|purpose| text::small(&redact(purpose)));
    let reason = permission.reason.iter().map(|reason| {
        let mark = if permission.is_dangerous { "⚠️ " } else { "" };
        text::small(&format!("{mark}{}", redact(reason)))
    });
    let lines: Vec<String> = std::iter::once(body).chain(purpose).chain(reason).collect();
    (format!("{who} wants to {what}:"), lines.join("\n"))
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
