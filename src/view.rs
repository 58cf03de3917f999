//! What a turn shows while it works: a pure value, made from what the agent does, and drawn as the text of the live line.
//!
//! A view knows nothing of Discord but its Markdown, and keeps no more than it shows, but for the last text.

mod board;
mod details;
mod draw;
pub mod footer;
mod question;
mod visible;

use std::collections::VecDeque;

use crate::agent::{EndedCall, Progress, Todo, ToolAction, Trouble};
use crate::domain::UserId;
pub use board::{BoardTurn, Standing, draw_board, is_board};
use details::Details;
pub use draw::{is_line, waiting};
pub use question::{DrawnQuestion, draw as draw_question};
pub use visible::{in_one_line as visible_words, line as visible_line, name as visible_short_line};

/// How many of the last calls are listed.
const CALLS: usize = 5;
/// The same where each is shown with what went into it and came out of it.
const DETAILED_CALLS: usize = 3;

/// What a turn has done so far, as far as people in the channel care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// When it began, in Unix seconds.
    since: u64,
    /// Whose turn it is, where that is known.
    asker: Option<UserId>,
    state: Doing,
    /// It waits for somebody to answer a question.
    waits: bool,
    /// What Claude said it is doing, before its last call of a tool.
    said: Option<String>,
    /// What it has said since, whole: that may be the answer already, which nobody is shown here.
    said_since: Option<String>,
    /// The last calls of tools, the oldest first; reading and searching is only counted.
    calls: VecDeque<ToolCall>,
    files_read: usize,
    searches: usize,
    todos: Vec<Todo>,
    subagents: usize,
    /// What is shown besides, where all of it is wanted.
    details: Option<Details>,
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ToolCall {
    id: String,
    action: ToolAction,
    is_running: bool,
}

/// What goes on at this moment, where that is not the usual work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Working,
    Retrying {
        trouble: Trouble,
        attempt: u32,
        of: u32,
    },
    /// Room is made in the context.
    Compacting,
    /// Somebody has stopped it.
    Stopping,
}

impl View {
    /// Of a turn that begins at this time, in Unix seconds.
    pub fn new(since: u64) -> Self {
        Self {
            since,
            asker: None,
            state: Doing::Working,
            waits: false,
            said: None,
            said_since: None,
            calls: VecDeque::new(),
            files_read: 0,
            searches: 0,
            todos: Vec::new(),
            subagents: 0,
            details: None,
        }
    }

    /// The same of a turn of which all is shown.
    pub fn detailed(since: u64) -> Self {
        Self { details: Some(Details::default()), ..Self::new(since) }
    }

    /// The same, with the person to name where it waits for an answer.
    pub fn of(self, asker: UserId) -> Self {
        Self { asker: Some(asker), ..self }
    }

    /// Takes in one step; whether there is anything new to be shown. `redact` takes secrets out of what others said; it gets
    /// each text whole, for half a secret is not recognized as one.
    pub fn take(&mut self, step: &Progress, redact: impl Fn(&str) -> String) -> bool {
        let before = (self.state, self.subagents, self.waits);
        if self.state != Doing::Stopping {
            self.state = match step {
                Progress::Retrying { trouble, attempt, of } => {
                    Doing::Retrying { trouble: *trouble, attempt: *attempt, of: *of }
                }
                Progress::Compacting(true) => Doing::Compacting,
                _ => Doing::Working,
            };
        }
        let has_changed = match step {
            Progress::Said(text) => {
                self.said_since = Some(text.clone());
                false
            }
            Progress::Tool { id, name, action, input } => {
                let has_said = self.note_said(&redact);
                match &mut self.details {
                    None => self.call(id, action, redact) || has_said,
                    Some(details) => {
                        details.called(id, name, input, &redact);
                        // Nothing is only counted.
                        let action = match action {
                            ToolAction::Read | ToolAction::Search => &ToolAction::Other(name.clone()),
                            action => action,
                        };
                        self.call(id, action, redact) || has_said
                    }
                }
            }
            Progress::ToolsEnded { calls } => self.end(calls, redact),
            Progress::Thought(text) => match &mut self.details {
                Some(details) => {
                    details.thought(text, redact);
                    true
                }
                None => false,
            },
            Progress::Todos(todos) => {
                let todo = |todo: &Todo| Todo { subject: kept(&redact(&todo.subject)), ..todo.clone() };
                self.todos = todos.iter().map(todo).collect();
                true
            }
            Progress::TakenBack => {
                self.said_since = None;
                self.said.take().is_some()
            }
            Progress::Subagents(count) => {
                self.subagents = *count;
                false
            }
            Progress::Waits(waits) => {
                self.waits = *waits;
                false
            }
            Progress::Asked(_)
            | Progress::SendsFiles(_)
            | Progress::Withdrawn(_)
            | Progress::Started { .. }
            | Progress::Ready
            | Progress::Prompted
            | Progress::Text(_)
            | Progress::TookIn(_)
            | Progress::GaveBack(_)
            | Progress::Retrying { .. }
            | Progress::Compacting(_) => false,
        };
        has_changed || before != (self.state, self.subagents, self.waits)
    }

    /// Somebody has stopped it. From now on it says so, whatever else happens.
    pub fn stop(&mut self) {
        self.state = Doing::Stopping;
    }

    /// How many calls of tools there were, and all that is known of them, as plain text; `None` where not all of it is
    /// shown, or there was nothing.
    pub fn whole(&self) -> Option<(usize, String)> {
        let details = self.details.as_ref()?;
        Some((details.calls(), details.file()?))
    }

    /// What was said is shown once a tool follows; whether there was anything.
    fn note_said(&mut self, redact: impl Fn(&str) -> String) -> bool {
        let Some(said) = self.said_since.take() else { return false };
        if let Some(details) = &mut self.details {
            details.said(&said, &redact);
        }
        self.said = Some(kept(&redact(&said)));
        true
    }

    fn call(&mut self, id: &str, action: &ToolAction, redact: impl Fn(&str) -> String) -> bool {
        let most = if self.details.is_some() { DETAILED_CALLS } else { CALLS };
        match action {
            ToolAction::Read => self.files_read += 1,
            ToolAction::Search => self.searches += 1,
            ToolAction::Housekeeping => return false,
            action => {
                if self.calls.len() == most {
                    self.calls.pop_front();
                }
                self.calls.push_back(ToolCall {
                    id: id.to_owned(),
                    action: action.map(|text| kept(&redact(text))),
                    is_running: true,
                });
            }
        }
        true
    }

    fn end(&mut self, ended: &[EndedCall], redact: impl Fn(&str) -> String) -> bool {
        if let Some(details) = &mut self.details {
            ended.iter().for_each(|call| details.ended(call, &redact));
        }
        let mut has_changed = false;
        for call in &mut self.calls {
            if call.is_running && ended.iter().any(|ended| ended.id == call.id) {
                call.is_running = false;
                has_changed = true;
            }
        }
        has_changed
    }
}

/// As much of a text as can ever be shown: its beginning and its end.
fn kept(text: &str) -> String {
    const HALF: usize = 400;
    match (text.char_indices().nth(HALF), text.char_indices().rev().nth(HALF)) {
        (Some((head, _)), Some((tail, _))) if head < tail => format!("{}…{}", &text[..head], &text[tail..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
