//! What an MCP server wants of a person, as it is shown to them.
//!
//! All but its name was chosen by the server: its words stand in code, an address as a browser reads it, which Discord does
//! not make a link of there.

use super::{QuestionBody, QuestionContent, Sentence};
use crate::agent::{ElicitationRequest, Elicited, EntryKind, FormEntry};
use crate::view::visible;

impl QuestionBody {
    pub(super) fn of_elicitation(elicitation: &ElicitationRequest, redact: &impl Fn(&str) -> String) -> Self {
        let who = Sentence::default().own("The MCP server ").others(&redact(&elicitation.server));
        let message = redact(&elicitation.message);
        let note = |mark: &str| Sentence::default().own("-# ").own(mark);
        match &elicitation.wants {
            Elicited::Link(link) => {
                let address = redact(&link.address);
                let mut notes = vec![note("It leads to ").others(&link.host)];
                if address != link.address {
                    notes.push(note("⚠️ What looks like a secret is not shown."));
                }
                notes.push(note("The server says: ").others(message.trim()));
                let head = who.own(" wants you to open this address yourself, and to say when you have:");
                let content = QuestionContent::Code("txt".to_owned(), visible::block(&address));
                Self { head, content, notes }
            }
            Elicited::Form(entries) => {
                let mut notes: Vec<_> = entries.iter().map(|entry| of_entry(entry, redact)).collect();
                if entries.iter().any(|entry| !entry.is_choice()) {
                    notes.push(note("What you write goes to that server: no passwords and no keys."));
                }
                let head = who.own(" asks:");
                Self {
                    head,
                    content: QuestionContent::Code("txt".to_owned(), visible::block(&message)),
                    notes,
                }
            }
        }
    }
}

/// What is to be given.
fn of_entry(entry: &FormEntry, redact: &impl Fn(&str) -> String) -> Sentence {
    let required = if entry.required { ": " } else { " (may be left out): " };
    let line = Sentence::default().own("-# • ").others(&redact(entry.title())).own(required);
    let line = line.own(&entry.kind.wanted());
    let line = match &entry.kind {
        EntryKind::Choice { options, .. } => {
            let with = |line: Sentence, (place, label): (usize, &str)| {
                line.own(if place == 0 { ": " } else { ", " }).others(&redact(label))
            };
            options.iter().map(|option| option.label.as_str()).enumerate().fold(line, with)
        }
        EntryKind::Text { .. } | EntryKind::Number { .. } => line,
    };
    match &entry.description {
        Some(description) => line.own(". ").others(redact(description).trim()),
        None => line,
    }
}
