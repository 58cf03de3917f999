//! From what a turn has to say to the parts that are written down. No I/O.
//!
//! Claude's text and the bot's own words are laid out apart from each other: a sentence of the bot never ends up in a
//! code block that Claude left open, nor in the file that a long answer becomes.

use std::num::NonZeroUsize;

use super::words;
use crate::domain::{Format, Outcome};
use crate::outbox::Outbox;
use crate::store::{FilePart, Finished, SessionUpdate};
use crate::text;

/// The bot's own words are written for Discord.
const OWN: Format = Format { dialect: false, max_lines: None };

/// All that the person gets.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Claude's text, byte for byte: the answer, or what was written so far. May be empty, like all here.
    pub answer: String,
    /// What went wrong, as the bot says it.
    pub sentence: String,
    /// Lines of small text.
    pub notes: Vec<String>,
}

impl Said {
    /// Without secrets: before it is split, for a part never shows that half of a token is one.
    pub fn redacted(self, outbox: &Outbox) -> Self {
        let redact = |text: &String| outbox.redact(text).into_owned();
        Self {
            answer: redact(&self.answer),
            sentence: redact(&self.sentence),
            notes: self.notes.iter().map(redact).collect(),
        }
    }

    /// How the turn ends.
    ///
    /// An answer of more than `max_parts` parts is posted in `max_parts` messages: as many of its parts as leave room
    /// for a last one, and that one has a file with the whole of it, and says so. What the bot itself says stands in
    /// that message, too. An answer of exactly `max_parts` parts never becomes a file, even where a note below it
    /// takes a message more: nobody wants to open a file for a note.
    pub fn finished(
        mut self,
        outcome: Outcome,
        session: Option<SessionUpdate>,
        format: &Format,
        max_parts: Option<NonZeroUsize>,
    ) -> Finished {
        let mut parts: Vec<String> =
            text::parts(&self.answer, format).into_iter().map(|part| part.text).collect();
        if parts.is_empty() && self.sentence.is_empty() && outcome == Outcome::Answered {
            self.sentence = words::no_words();
        }
        let file = max_parts.filter(|most| parts.len() > most.get()).and_then(|most| {
            let after = most.get() - 1;
            let text = self.below(&words::in_file(after, parts.len()));
            // More notes than fit into one message: rather no file than one of them lost.
            fits(&text).then(|| FilePart { text, content: self.answer.clone(), after })
        });
        // Parts that the file stands for are posted after all only where Discord refused it.
        let own = self.below(&if file.is_some() { words::file_refused() } else { String::new() });
        append(&mut parts, &own);
        Finished { outcome, parts, file, session }
    }

    /// What the bot says below the answer; `line` comes first.
    fn below(&self, line: &str) -> String {
        let notes = self.notes.join("\n");
        match self.sentence.is_empty() {
            true => joined(&[line, &notes], "\n"),
            false => joined(&[line, &self.sentence, &notes], "\n\n"),
        }
    }
}

/// Into the last part if it fits there, else into one of its own.
fn append(parts: &mut Vec<String>, own: &str) {
    if own.is_empty() {
        return;
    }
    let last = parts.last().map(|last| joined(&[last, own], "\n\n")).filter(|both| fits(both));
    match (parts.last_mut(), last) {
        (Some(place), Some(both)) => *place = both,
        _ => parts.extend(text::parts(own, &OWN).into_iter().map(|part| part.text)),
    }
}

fn fits(text: &str) -> bool {
    text.encode_utf16().count() <= text::LIMIT
}

fn joined(texts: &[&str], between: &str) -> String {
    let texts: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
    texts.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of so many parts.
    fn answer(parts: usize) -> String {
        let paragraph = "x".repeat(1995);
        vec![paragraph; parts].join("\n\n")
    }

    fn finished(said: Said, max_parts: usize) -> Finished {
        said.finished(Outcome::Answered, None, &Format::default(), NonZeroUsize::new(max_parts))
    }

    fn said(answer: String, notes: &[&str]) -> Said {
        Said { answer, notes: notes.iter().map(|&note| note.to_owned()).collect(), ..Said::default() }
    }

    #[test]
    fn what_the_bot_says_follows_the_answer_in_the_same_part_if_it_fits() {
        let failed =
            Said { sentence: "⚠️ Broken.".to_owned(), ..said("Hello.\n".to_owned(), &["-# a", "-# b"]) };
        assert_eq!(finished(failed, 8).parts, ["Hello.\n\n⚠️ Broken.\n\n-# a\n-# b"]);
        assert_eq!(finished(said("Hello.".to_owned(), &["-# a", "-# b"]), 8).parts, ["Hello.\n\n-# a\n-# b"]);
        let long = finished(said(answer(1), &["-# Not allowed here"]), 8);
        assert_eq!(long.parts, [answer(1), "-# Not allowed here".to_owned()]);
    }

    #[test]
    fn an_answer_without_anything_to_post_is_said_to_be_none() {
        let none = words::no_words();
        assert_eq!(finished(Said::default(), 8).parts, [none.as_str()]);
        assert_eq!(finished(said(" \n".to_owned(), &["-# a"]), 8).parts, [format!("{none}\n\n-# a")]);
        let cancelled = Said::default().finished(Outcome::Cancelled, None, &Format::default(), None);
        assert_eq!(cancelled.parts, [""; 0]);
    }

    #[test]
    fn a_sentence_is_never_inside_a_block_that_claude_left_open() {
        let cut =
            Said { sentence: "⚠️ Stopped.".to_owned(), ..said("```rust\nfn main() {".to_owned(), &[]) };
        assert_eq!(finished(cut, 8).parts, ["```rust\nfn main() {\n```\n\n⚠️ Stopped."]);
    }

    #[test]
    fn more_parts_than_allowed_become_a_file_and_its_message() {
        for (parts, most) in [(9, 8), (3, 2), (2, 1), (40, 1)] {
            let Finished { parts: all, file, .. } = finished(said(answer(parts) + "\n", &["-# note"]), most);
            let file = file.unwrap();
            assert_eq!((file.after, file.content), (most - 1, answer(parts) + "\n"));
            assert!(file.text.contains("`answer.md`") && file.text.ends_with("\n-# note"), "{}", file.text);
            assert_eq!(all.len(), parts + 1, "all parts and what the bot says below them: {all:?}");
            assert!(
                all[parts].contains("Attach Files") && all[parts].ends_with("\n-# note"),
                "{}",
                all[parts]
            );
        }
        assert_eq!(finished(said(answer(8), &[]), 8).file, None);
        // Whatever it takes to say the note.
        let noted = finished(said(answer(8), &["-# note"]), 8);
        assert_eq!((noted.parts.len(), noted.file), (9, None));
        assert_eq!(finished(said(answer(200), &[]), 0).file, None, "no limit");
    }

    #[test]
    fn no_note_is_lost_to_a_file() {
        let note = format!("-# {}", "tool ".repeat(300));
        let noted = finished(said(answer(9), &[&note, &note]), 8);
        assert_eq!((noted.file, noted.parts.len()), (None, 11));
    }
}
