//! What the message says in which Claude asks something.
//!
//! Whoever reads it decides about what is run, and what it shows was chosen by Claude, or by whoever has got words in front of
//! Claude. So all of that stands in code or is neutralised (`visible`), nothing of it is left out silently, and what is too long
//! is attached as a whole.

mod elicitation;

use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use similar::{Algorithm, ChangeTag};

use super::visible;
use crate::agent::{
    ChoiceQuestion, Grant, PermissionRequest, Question, QuestionAbout, RequestedCall, Subagent,
};
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
/// What is shown of a path or a name in the first line, and of a note, where not all of the question fits.
const SHORT_NAME: usize = 100;
const SHORT_NOTE: usize = 60;
/// How long all notes may be there.
const MOST_NOTES: usize = 900;
/// The time to look for the shortest diff.
const DIFF: Duration = Duration::from_millis(100);

/// Draws a question for the person whose turn it is. Paths are shown relative to `dir`. `redact` takes secrets out; it gets
/// each text whole.
pub fn draw(
    question: &Question,
    asker: UserId,
    dir: &Path,
    redact: impl Fn(&str) -> String,
) -> DrawnQuestion {
    let body = QuestionBody::of(question, dir, &redact);
    let mention = format!("<@{asker}> ");
    let whole = format!("{mention}{}", body.whole());
    if text::units(&whole) <= LONGEST {
        return DrawnQuestion { text: whole, file: None };
    }
    let file = File { name: body.file_name().to_owned(), content: body.in_file() };
    let text = format!("{mention}{}", body.short(LONGEST - mention.len()));
    DrawnQuestion { text, file: Some(file) }
}

/// A sentence of the bot's, with words of others in it.
#[derive(Default)]
struct Sentence(Vec<Words>);

enum Words {
    Own(String),
    /// They are shown in code.
    Others(String),
}

impl Sentence {
    fn own(mut self, words: &str) -> Self {
        self.0.push(Words::Own(words.to_owned()));
        self
    }

    fn others(mut self, words: &str) -> Self {
        self.0.push(Words::Others(words.to_owned()));
        self
    }

    fn whole(&self) -> String {
        let shown = |words: &Words| match words {
            Words::Own(words) => words.clone(),
            Words::Others(words) => visible::line(words),
        };
        self.0.iter().map(shown).collect()
    }

    /// With at most so much of the words of others; what is left out is in the file.
    fn short(&self, most: usize, file: &str) -> String {
        let mut out = String::new();
        let mut is_all = true;
        for words in &self.0 {
            match words {
                Words::Own(words) => out.push_str(words),
                Words::Others(words) => {
                    let (shown, is_whole) = visible::short_line(words, most);
                    out.push_str(&shown);
                    is_all &= is_whole;
                }
            }
        }
        if is_all { out } else { format!("{out} (all of it is in `{file}`)") }
    }
}

/// What a question says, in the order in which it is shown.
struct QuestionBody {
    head: Sentence,
    content: QuestionContent,
    notes: Vec<Sentence>,
}

enum QuestionContent {
    /// A block in this language.
    Code(String, String),
    /// Markdown that hides nothing, and the same as it was written.
    Plan { shown: String, written: String },
    /// The same with and without previews, and as plain text.
    Choices { shown: String, short: String, written: String },
}

impl QuestionBody {
    fn of(question: &Question, dir: &Path, redact: &impl Fn(&str) -> String) -> Self {
        let who = match &question.subagent {
            None => Sentence::default().own("Claude"),
            Some(Subagent { kind, task, .. }) if kind.is_empty() && task.is_empty() => {
                Sentence::default().own("A subagent of Claude")
            }
            Some(Subagent { kind, task, .. }) => {
                let who = Sentence::default().own("The subagent ").others(&redact(kind));
                who.own(" (").others(&redact(task)).own(")")
            }
        };
        match &question.about {
            QuestionAbout::Permission(permission) => Self::of_permission(permission, who, dir, redact),
            QuestionAbout::Choices(questions) => {
                let shown = |with_previews| of_choices(questions, redact, visible::plain, with_previews);
                let content = QuestionContent::Choices {
                    shown: shown(true),
                    short: shown(false),
                    written: of_choices(questions, redact, visible::in_one_line, true),
                };
                Self { head: who.own(" asks:"), content, notes: Vec::new() }
            }
            QuestionAbout::Elicitation(elicitation) => Self::of_elicitation(elicitation, redact),
            QuestionAbout::Plan(plan) if plan.trim().is_empty() => {
                let head = who.own(" has a plan, but has written none down.");
                Self {
                    head,
                    content: QuestionContent::Code("md".to_owned(), String::new()),
                    notes: Vec::new(),
                }
            }
            QuestionAbout::Plan(plan) => {
                let plan = redact(plan);
                let content =
                    QuestionContent::Plan { shown: visible::markdown(&plan), written: visible::prose(&plan) };
                Self { head: who.own(" has a plan:"), content, notes: Vec::new() }
            }
        }
    }

    fn of_permission(
        permission: &PermissionRequest,
        who: Sentence,
        dir: &Path,
        redact: &impl Fn(&str) -> String,
    ) -> Self {
        let who = who.own(" wants to ");
        let note = |mark: &str| Sentence::default().own("-# ").own(mark);
        let mut notes = Vec::new();
        let (head, language, code) = match &permission.call {
            RequestedCall::Command(command) => {
                (who.own("run a command:"), "sh".to_owned(), visible::command(&redact(command)))
            }
            RequestedCall::Edit { path, old, new, all } => {
                let everywhere = if *all { " (everywhere in it):" } else { ":" };
                let head = who.own("edit ").others(&shown_path(path, dir)).own(everywhere);
                (head, "diff".to_owned(), diff(&redact(old), &redact(new)))
            }
            RequestedCall::Write { path, content } => {
                let head = who.own("write ").others(&shown_path(path, dir)).own(":");
                (head, language_of(path), visible::block(&redact(content)))
            }
            RequestedCall::Cell { path, source, told } => {
                let head = who.own("change a cell of ").others(&shown_path(path, dir)).own(":");
                notes.extend(told.iter().map(|told| note("").others(told)));
                (head, "py".to_owned(), visible::block(&redact(source)))
            }
            RequestedCall::Other(input) => {
                // Text by text, for the escapes of JSON would hide a secret.
                let redacted = serde_json::from_str(input).map(|value| redacted(value, redact));
                let pretty = redacted.and_then(|value| serde_json::to_string_pretty(&value));
                let input = pretty.unwrap_or_else(|_| redact(input));
                let head = who.own("use ").others(&permission.name).own(":");
                (head, "json".to_owned(), visible::block(&input))
            }
        };
        if let Some(real) = path_of(&permission.call).and_then(|path| leads_to(path, dir)) {
            notes.push(note("⚠️ The path leads to ").others(&real));
        }
        if permission.call.texts().into_iter().any(|text| redact(text) != text) {
            notes.push(note("⚠️ What looks like a secret is not shown."));
        }
        let danger = if permission.is_dangerous { "⚠️ " } else { "" };
        notes.extend(permission.reason.iter().map(|reason| note(danger).others(redact(reason).trim())));
        if permission.reason.is_none() && permission.is_dangerous {
            notes.push(note("⚠️ Claude Code takes this for dangerous."));
        }
        match &permission.grant {
            Some(Grant::Rules(rules)) => {
                let more = note("“Allow for this session” also allows");
                let told = |told: Sentence, rule: &String| told.own(" ").others(rule);
                notes.push(rules.iter().fold(more, told));
            }
            Some(Grant::AcceptEdits) => {
                notes.push(note("“Allow for this session” also allows all other edits in this project."));
            }
            None => {}
        }
        notes.extend(permission.blocked.iter().map(|path| note("Path: ").others(&path.to_string_lossy())));
        if permission.name.starts_with("mcp__") && permission.tool != permission.name {
            notes.push(note("It calls itself ").others(&redact(&permission.tool)));
        }
        notes.extend(permission.timeout.iter().map(|it| note("It may take (ms): ").others(&redact(it))));
        notes
            .extend(permission.purpose.iter().map(|purpose| note("Claude: ").others(redact(purpose).trim())));
        Self { head, content: QuestionContent::Code(language, code), notes }
    }

    fn file_name(&self) -> &'static str {
        if matches!(self.content, QuestionContent::Plan { .. }) { "plan.md" } else { "question.txt" }
    }

    fn whole(&self) -> String {
        let shown = match &self.content {
            QuestionContent::Code(language, code) => fenced(language, code),
            QuestionContent::Plan { shown, .. } => closed(shown),
            QuestionContent::Choices { shown, .. } => shown.clone(),
        };
        let notes = self.notes.iter().map(Sentence::whole);
        [self.head.whole(), shown].into_iter().chain(notes).collect::<Vec<_>>().join("\n")
    }

    fn in_file(&self) -> String {
        let written = match &self.content {
            // Not without its fence: a note could be forged in it.
            QuestionContent::Code(language, code) => fenced(language, code),
            QuestionContent::Plan { written, .. } => return written.clone(),
            QuestionContent::Choices { written, .. } => written.clone(),
        };
        let notes: Vec<_> = self.notes.iter().map(Sentence::whole).collect();
        format!("{}\n\n{written}\n\n{}", self.head.whole(), notes.join("\n")).trim_end().to_owned()
    }

    /// At most this long.
    fn short(&self, room: usize) -> String {
        let name = self.file_name();
        let head = self.head.short(SHORT_NAME, name);
        // Of what is no code, nothing may end the block, either.
        let in_block = |written: &str| written.replace("``", "`\u{200b}`");
        let (language, code) = match &self.content {
            QuestionContent::Code(language, code) => (language.as_str(), code.clone()),
            QuestionContent::Plan { written, .. } => ("md", in_block(written)),
            QuestionContent::Choices { short, written, .. } => {
                let shown = format!("{head}\n{short}\n-# With previews in `{name}`");
                if text::units(&shown) <= room {
                    return shown;
                }
                ("md", in_block(written))
            }
        };
        let mut notes = String::new();
        for note in self.notes.iter().map(|note| note.short(SHORT_NOTE, name)) {
            if text::units(&notes) + text::units(&note) > MOST_NOTES {
                notes += &format!("-# More is in `{name}`\n");
                break;
            }
            notes += &format!("{note}\n");
        }
        let left = room.saturating_sub(text::units(&head) + text::units(&notes) + 160);
        let (begin, left_out, end) = visible::ends(&code, left * 2 / 3, left / 3);
        let shown = match left_out {
            0 => fenced(language, begin),
            _ => format!(
                "{}\n**… {left_out} characters are left out here: read all of it in `{name}` before you decide …**\n{}",
                fenced(language, &format!("{begin}…")),
                // Its first line may be the end of one, and what it begins with no sign of a diff.
                fenced(
                    language,
                    &format!(
                        "…{}{end}",
                        if code[..code.len() - end.len()].ends_with('\n') { "\n" } else { "" }
                    )
                )
            ),
        };
        format!("{head}\n{shown}\n{notes}").trim_end().to_owned()
    }
}

impl RequestedCall {
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Command(command) => vec![command],
            Self::Edit { old, new, .. } => vec![old, new],
            Self::Write { content, .. } => vec![content],
            Self::Cell { source, .. } => vec![source],
            Self::Other(input) => vec![input],
        }
    }
}

/// Discord shows the language of a block that is empty as what is in it.
fn fenced(language: &str, code: &str) -> String {
    match code.trim_matches('\n').is_empty() {
        true if code.is_empty() => "-# (nothing)".to_owned(),
        true => format!("-# ({} empty lines)", code.len() + 1),
        false => format!("```{language}\n{code}\n```"),
    }
}

/// Markdown in which all code ends, as Discord sees it: what comes below is no part of it.
fn closed(markdown: &str) -> String {
    let fences = markdown.matches("```").count();
    let ticks = markdown.matches('`').count() - 3 * fences;
    let end = if fences % 2 == 1 { "\n```" } else { "" };
    let tick = if ticks % 2 == 1 { "`" } else { "" };
    format!("{markdown}{tick}{end}")
}

fn path_of(call: &RequestedCall) -> Option<&str> {
    match call {
        RequestedCall::Edit { path, .. }
        | RequestedCall::Write { path, .. }
        | RequestedCall::Cell { path, .. } => Some(path),
        RequestedCall::Command(_) | RequestedCall::Other(_) => None,
    }
}

/// Whether nothing in it is left out or goes back.
fn is_straight(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A path in the project without its folder, and any other one as it is.
fn shown_path(path: &str, dir: &Path) -> String {
    let inside = dir.to_str().and_then(|dir| path.strip_prefix(dir)).and_then(|rest| rest.strip_prefix('/'));
    inside.filter(|inside| is_straight(inside)).unwrap_or(path).to_owned()
}

/// Where a path leads that is longer than it has to be.
fn leads_to(path: &str, dir: &Path) -> Option<String> {
    if is_straight(path.strip_prefix('/').unwrap_or(path)) {
        return None;
    }
    let mut real = PathBuf::new();
    for component in dir.join(path).components() {
        match component {
            Component::ParentDir => drop(real.pop()),
            Component::CurDir => {}
            other => real.push(other),
        }
    }
    Some(real.to_string_lossy().into_owned())
}

/// The language that Discord highlights a file in. No escape sequence may act.
fn language_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let is_one = (1..=10).contains(&extension.len()) && extension.chars().all(|c| c.is_ascii_alphanumeric());
    if is_one && extension != "ansi" { extension } else { "txt".to_owned() }
}

/// Every line of both, with a sign before each.
fn diff(old: &str, new: &str) -> String {
    let (old, new) = (visible::block(old), visible::block(new));
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let deadline = Some(Instant::now() + DIFF);
    let steps = similar::capture_diff_slices_deadline(Algorithm::Myers, &old, &new, deadline);
    let changes = steps.iter().flat_map(|step| step.iter_changes(&old, &new));
    let signed = |tag: ChangeTag, line: &str| match tag {
        ChangeTag::Equal => format!(" {line}"),
        ChangeTag::Delete => format!("-{line}"),
        ChangeTag::Insert => format!("+{line}"),
    };
    changes.map(|change| signed(change.tag(), change.value())).collect::<Vec<_>>().join("\n")
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

/// All questions with their options, in this form of a text in one line.
fn of_choices(
    questions: &[ChoiceQuestion],
    redact: impl Fn(&str) -> String,
    plain: fn(&str) -> String,
    with_previews: bool,
) -> String {
    let shown = |text: &str| plain(&redact(text));
    let mut lines = Vec::new();
    for question in questions {
        if !question.header.trim().is_empty() && question.header != question.question {
            lines.push(format!("-# {}", shown(&question.header)));
        }
        // A line of it never looks like an option.
        let asked = redact(&question.question);
        let asked = asked.split('\n').filter(|line| !line.trim().is_empty());
        lines.extend(asked.map(|line| format!("**{}**", plain(line))));
        for (number, option) in question.options.iter().enumerate() {
            let label = shown(&option.label);
            match option.description.is_empty() {
                true => lines.push(format!("{}. {label}", number + 1)),
                false => lines.push(format!("{}. {label}: {}", number + 1, shown(&option.description))),
            }
            if let Some(preview) = option.preview.as_ref().filter(|_| with_previews) {
                lines.push(fenced("md", &visible::block(&redact(preview))));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests;
