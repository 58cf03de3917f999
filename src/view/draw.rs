//! The view as Discord's Markdown: a few lines of small text, in which nothing that Claude or a tool says can ping, show a
//! preview, or break out of its place.

use std::path::Path;

use super::{Doing, ToolAction, ToolCall, View};
use crate::agent::{Todo, TodoStatus};
use crate::text;

/// The longest line of what Claude said, and of what a tool does, in characters.
const LONGEST_SAID: usize = 300;
const LONGEST_CALL: usize = 120;
/// How many things to do are listed, and how long each may be.
const MOST_TODOS: usize = 8;
const LONGEST_TODO: usize = 100;

/// How each line begins, behind the mark of small text.
const WORKING: &str = "⚙ Working";
const STOPPING: &str = "⏹ Stopping…";
const WAITING: &str = "⏳ Waiting for a slot";
const ASKING: &str = "⏸ Waiting for";

/// Whether this text looks like a live line.
pub fn is_line(text: &str) -> bool {
    let heads = [WORKING, STOPPING, WAITING, ASKING];
    text.strip_prefix("-# ").is_some_and(|text| heads.iter().any(|head| text.starts_with(head)))
}

/// The live line of a turn that waits for a slot, with its place among those that do.
pub fn waiting(place: usize) -> String {
    text::small(&format!("{WAITING}, place {place}"))
}

impl View {
    /// The text of the live line: at most 2000 characters. Paths are shown relative to `dir`.
    pub fn draw(&self, dir: &Path) -> String {
        let mut lines = vec![self.head()];
        if let Some(said) = &self.said {
            lines.push(shortened(&plain(said), LONGEST_SAID));
        }
        lines.extend(self.counts());
        let details = self.details.as_ref();
        if let Some(thinking) = details.and_then(|details| details.thinking()) {
            lines.push(format!("💭 {thinking}"));
        }
        for call in &self.calls {
            lines.push(draw_call(call, dir));
            lines.extend(details.and_then(|details| details.of_call(&call.id)));
        }
        lines.extend(draw_todos(&self.todos));
        match self.subagents {
            0 => {}
            1 => lines.push("1 subagent at work".to_owned()),
            count => lines.push(format!("{count} subagents at work")),
        }
        match &self.state {
            Doing::Retrying { trouble, attempt, of } => lines.push(trouble.sentence(*attempt, *of)),
            Doing::Compacting => lines.push("Making room in the context…".to_owned()),
            Doing::Working | Doing::Stopping => {}
        }
        let mut drawn = String::new();
        for line in &lines {
            let line = text::small(line);
            if text::units(&drawn) + 1 + text::units(&line) > text::LIMIT {
                break;
            }
            if !drawn.is_empty() {
                drawn.push('\n');
            }
            drawn.push_str(&line);
        }
        drawn
    }

    fn head(&self) -> String {
        match self.state {
            Doing::Stopping => STOPPING.to_owned(),
            _ if self.waits => match self.asker {
                Some(asker) => format!("{ASKING} <@{asker}>, started <t:{}:R>", self.since),
                None => format!("{ASKING} an answer, started <t:{}:R>", self.since),
            },
            // It counts by itself, so time alone is no reason for an edit.
            _ => format!("{WORKING}, started <t:{}:R>", self.since),
        }
    }

    /// How much was read and searched.
    fn counts(&self) -> Option<String> {
        let times = |count: usize, one: &str, more: &str| match count {
            0 => None,
            1 => Some(one.to_owned()),
            count => Some(more.replace("{}", &count.to_string())),
        };
        let read = times(self.files_read, "read a file", "read {} files");
        let searched = times(self.searches, "searched once", "searched {} times");
        match (read, searched) {
            (Some(read), Some(searched)) => Some(format!("{read}, {searched}")),
            (one, other) => one.or(other),
        }
    }
}

fn draw_call(call: &ToolCall, dir: &Path) -> String {
    let mark = if call.is_running { "▸" } else { "✓" };
    let (running, done, what) = match &call.action {
        ToolAction::Run(command) => ("Running", "Ran", command.as_str()),
        ToolAction::Edit(path) => ("Editing", "Edited", path.as_str()),
        ToolAction::SearchWeb(query) => ("Searching the web for", "Searched the web for", query.as_str()),
        ToolAction::Fetch(url) => ("Reading", "Read", url.as_str()),
        ToolAction::Delegate(about) => ("Subagent:", "Subagent:", about.as_str()),
        ToolAction::Skill(name) => ("Using the skill", "Used the skill", name.as_str()),
        ToolAction::Other(name) => ("Using", "Used", name.as_str()),
        // Not listed.
        ToolAction::Read | ToolAction::Search | ToolAction::Housekeeping => ("", "", ""),
    };
    let verb = if call.is_running { running } else { done };
    let room = LONGEST_CALL - verb.len();
    let what = match &call.action {
        ToolAction::Edit(_) => path_in(what, dir),
        _ => what.to_owned(),
    };
    let what = one_line(&what);
    let what = match call.action {
        // What a command does to what often stands at its end.
        ToolAction::Run(_) | ToolAction::Edit(_) => shortened_in_the_middle(&what, room),
        _ => shortened(&what, room),
    };
    match what.is_empty() {
        true => format!("{mark} {verb}"),
        false => format!("{mark} {verb} {}", code(&what)),
    }
}

/// Where there are too many, what is done already is left out first.
fn draw_todos(todos: &[Todo]) -> Vec<String> {
    let mut shown: Vec<&Todo> = todos.iter().collect();
    while shown.len() > MOST_TODOS
        && let Some(done) = shown.iter().position(|todo| todo.status == TodoStatus::Completed)
    {
        shown.remove(done);
    }
    let mut lines = Vec::new();
    let more_done = todos.len() - shown.len();
    if more_done > 0 {
        lines.push(format!("☑ {more_done} more done"));
    }
    for todo in shown.iter().take(MOST_TODOS) {
        let mark = match todo.status {
            TodoStatus::Pending => '☐',
            TodoStatus::InProgress => '▣',
            TodoStatus::Completed => '☑',
        };
        lines.push(format!("{mark} {}", shortened(&plain(&todo.subject), LONGEST_TODO)));
    }
    let more_to_do = shown.len().saturating_sub(MOST_TODOS);
    if more_to_do > 0 {
        lines.push(format!("☐ {more_to_do} more to do"));
    }
    lines
}

/// A path below `dir` without it.
fn path_in(path: &str, dir: &Path) -> String {
    match Path::new(path).strip_prefix(dir) {
        Ok(inside) => inside.to_string_lossy().into_owned(),
        Err(_) => path.to_owned(),
    }
}

/// The text on one line, without characters that are not seen or turn the line around.
pub(super) fn one_line(text: &str) -> String {
    let visible = |c: char| match c {
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => None,
        c if c.is_control() => Some(' '),
        c => Some(c),
    };
    let text: String = text.chars().filter_map(visible).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same, with nothing in it that Discord would read as markup or as a mention.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '[' | ']' | '#' | '@') {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

/// As inline code, which nothing within can end.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// Cut at the end of a word, where it is longer than `longest` characters.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(longest) else { return text.to_owned() };
    let cut = &text[..end];
    let cut = match cut.rfind(' ') {
        Some(word) if word > end / 2 => &cut[..word],
        // Not between a backslash and what it guards.
        _ => cut.trim_end_matches('\\'),
    };
    format!("{cut}…")
}

/// With its middle left out, where it is longer than `longest` characters.
fn shortened_in_the_middle(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let half = (longest - 1) / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(length - half).collect();
    format!("{head}…{tail}")
}
