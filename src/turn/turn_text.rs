//! From what a turn has to say to the parts that are written down. No I/O.
//!
//! Claude's text and the bot's own words are laid out apart from each other: a sentence of the bot never ends up in a
//! code block that Claude left open, nor in the file that a long answer becomes.

use std::num::NonZeroUsize;

use crate::agent::{Denial, Remedy};
use crate::domain::{Format, Outcome};
use crate::outbox::Outbox;
use crate::store::{FilePart, Finished, SessionUpdate};
use crate::text;
use crate::words;

/// Discord takes files of up to 10 MiB from a bot; this leaves some room for the rest of the request.
const FILE_AT_MOST: usize = 10_000_000;

/// How much of an answer is posted as messages; the rest goes into a file. `None`: no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Most {
    /// In messages.
    pub parts: Option<NonZeroUsize>,
    /// In bytes of Claude's text.
    pub bytes: Option<NonZeroUsize>,
}

/// Everything that the person gets.
#[derive(Debug, Clone, Default)]
pub struct TurnText {
    /// Claude's text, byte for byte: the answer, or what was written so far. May be empty, like all here.
    pub answer: String,
    /// What went wrong, as the bot says it.
    pub sentence: String,
    /// Lines of small text.
    pub notes: Vec<String>,
    /// A further such line, which is left out where it would take a message of its own.
    pub footer: Option<String>,
}

impl TurnText {
    /// Redacted. This comes before splitting, because half a token in a part would not be recognized.
    pub fn redacted(self, outbox: &Outbox) -> Self {
        let redact = |text: &String| outbox.redact(text).into_owned();
        Self {
            answer: redact(&self.answer),
            sentence: redact(&self.sentence),
            notes: self.notes.iter().map(redact).collect(),
            footer: self.footer.as_ref().map(redact),
        }
    }

    /// How the turn ends.
    ///
    /// An answer of more than `most.parts` parts is posted in that many messages: as many of its parts as leave room
    /// for a last one, and that one has a file with the whole of it, and says so. What the bot itself says stands in
    /// that message, too. An answer of exactly `most.parts` parts never becomes a file, even where a note below it
    /// takes a message more: nobody wants to open a file for a note.
    ///
    /// Where Discord refuses the file, the parts that it stands for are posted after all. An answer of more than
    /// `most.bytes` bytes comes as a file in any case, and has a sentence in place of those parts.
    pub fn finished(
        mut self,
        outcome: Outcome,
        session: Option<SessionUpdate>,
        format: &Format,
        most: Most,
    ) -> Finished {
        let capped = most.bytes.map(NonZeroUsize::get).filter(|&most| self.answer.len() > most);
        let bytes = self.answer.len();
        let posted = beginning(&self.answer, capped.unwrap_or(bytes));
        let mut parts: Vec<String> = text::parts(posted, format).into_iter().map(|part| part.text).collect();
        if parts.is_empty() && self.sentence.is_empty() && outcome == Outcome::Answered {
            self.sentence = words::no_words();
        }
        // What stands beside the file, and after how many parts.
        let in_file = match (capped, most.parts) {
            (Some(_), most) => {
                let after = most.map_or(parts.len(), |most| parts.len().min(most.get() - 1));
                parts.truncate(after);
                Some((words::only_in_file(bytes), after))
            }
            (None, Some(most)) if parts.len() > most.get() => {
                let after = most.get() - 1;
                Some((words::in_file(after, parts.len()), after))
            }
            (None, _) => None,
        };
        let file = in_file.and_then(|(line, after)| {
            let content = filed(&self.answer);
            let line = if content.len() < bytes { words::cut_in_file(bytes, content.len()) } else { line };
            let text = self.below(&line);
            if fits(&text) {
                return Some(FilePart { text: self.with_footer(text), content, after });
            }
            // The notes do not fit into one message: better no file than a lost note. But over the cap there has to be
            // a file, so they come before it.
            capped?;
            parts.extend(own_parts(&self.below("")));
            (self.sentence, self.notes) = (String::new(), Vec::new());
            Some(FilePart { text: line, content, after: parts.len() })
        });
        // What is posted where Discord refused the file.
        let own = match (capped, &file) {
            (Some(_), _) => self.below(&words::too_long(bytes)),
            (None, Some(_)) => self.below(&words::file_refused()),
            (None, None) => self.below(""),
        };
        match &file {
            // Parts before the file are posted as they are; it stands for the others alone.
            Some(_) if capped.is_some() => parts.extend(own_parts(&self.with_footer(own))),
            _ => self.append(&mut parts, own),
        }
        Finished { outcome, parts, file, session, usage: None, offer: None }
    }

    /// Puts what the bot says into the last part if it fits there, else into one of its own.
    fn append(&self, parts: &mut Vec<String>, own: String) {
        let last = parts.last().map(|last| joined(&[last, &own], "\n\n")).filter(|both| fits(both));
        match (parts.last_mut(), last) {
            (Some(place), Some(both)) => *place = self.with_footer(both),
            _ if own.is_empty() => {}
            _ => parts.extend(own_parts(&self.with_footer(own))),
        }
    }

    /// What the bot says, or the last part of an answer that ends with it, and below it the footer, if that fits.
    fn with_footer(&self, text: String) -> String {
        let Some(footer) = &self.footer else { return text };
        let follows_small_text = text.lines().next_back().is_some_and(|line| line.starts_with("-# "));
        let between = if follows_small_text { "\n" } else { "\n\n" };
        let with_footer = joined(&[&text, footer], between);
        if fits(&with_footer) { with_footer } else { text }
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

/// Denied calls, redacted before they are shortened: half a secret would not be recognized.
pub fn redacted(outbox: &Outbox, denied: &[Denial]) -> Vec<Denial> {
    let redacted = |denial: &Denial| {
        let what = denial.what.as_deref().map(|what| outbox.redact(what).into_owned());
        let remedy = match &denial.remedy {
            // A rule that cannot be shown whole is of no use.
            Remedy::Rules(rules) if rules.iter().any(|rule| outbox.redact(rule) != **rule) => {
                Remedy::Rules(Vec::new())
            }
            remedy => remedy.clone(),
        };
        Denial { what, remedy, ..denial.clone() }
    };
    denied.iter().map(redacted).collect()
}

/// The answer as a file, which ends with a line that says so where not all of it has room.
fn filed(answer: &str) -> String {
    if answer.len() <= FILE_AT_MOST {
        return answer.to_owned();
    }
    let room = FILE_AT_MOST - words::file_ends().len() - 3;
    format!("{}\n\n{}\n", beginning(answer, room), words::file_ends())
}

/// As much of a text as fits into so many bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    let fits = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..fits.unwrap_or_default()]
}

/// What the bot itself says, as parts.
fn own_parts(own: &str) -> impl Iterator<Item = String> {
    text::parts(own, &Format::AS_WRITTEN).into_iter().map(|part| part.text)
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

    fn finished(said: TurnText, max_parts: usize) -> Finished {
        let most = Most { parts: NonZeroUsize::new(max_parts), bytes: None };
        said.finished(Outcome::Answered, None, &Format::default(), most)
    }

    fn turn_text(answer: String, notes: &[&str]) -> TurnText {
        TurnText { answer, notes: notes.iter().map(|&note| note.to_owned()).collect(), ..TurnText::default() }
    }

    #[test]
    fn what_the_bot_says_follows_the_answer_in_the_same_part_if_it_fits() {
        let failed = TurnText {
            sentence: "⚠️ Broken.".to_owned(),
            ..turn_text("Hello.\n".to_owned(), &["-# a", "-# b"])
        };
        assert_eq!(finished(failed, 8).parts, ["Hello.\n\n⚠️ Broken.\n\n-# a\n-# b"]);
        assert_eq!(
            finished(turn_text("Hello.".to_owned(), &["-# a", "-# b"]), 8).parts,
            ["Hello.\n\n-# a\n-# b"]
        );
        let long = finished(turn_text(answer(1), &["-# Not allowed here"]), 8);
        assert_eq!(long.parts, [answer(1), "-# Not allowed here".to_owned()]);
    }

    #[test]
    fn a_footer_stands_last_and_never_takes_a_message_of_its_own() {
        let said = |answer: &str, notes: &[&str]| TurnText {
            footer: Some("-# 12s".to_owned()),
            ..turn_text(answer.to_owned(), notes)
        };
        assert_eq!(finished(said("Hello.\n", &[]), 8).parts, ["Hello.\n\n-# 12s"]);
        assert_eq!(finished(said("Hello.", &["-# a", "-# b"]), 8).parts, ["Hello.\n\n-# a\n-# b\n-# 12s"]);
        // What ends with a block of code stays one.
        assert_eq!(finished(said("```\nx\n```", &[]), 8).parts, ["```\nx\n```\n\n-# 12s"]);

        let (full, long) = (answer(1), answer(3));
        assert_eq!(finished(said(&full, &[]), 8).parts, [full.as_str()], "there is no room for it");
        assert_eq!(finished(said(&full, &["-# note"]), 8).parts, [&full, "-# note\n-# 12s"]);
        let just = "x".repeat(2000 - "\n\n-# 12s".len());
        assert_eq!(finished(said(&just, &[]), 8).parts, [format!("{just}\n\n-# 12s")]);
        let note = format!("-# {}", "y".repeat(40));
        let room = "x".repeat(2000 - 2 - note.len());
        assert_eq!(
            finished(said(&room, &[&note]), 8).parts,
            [format!("{room}\n\n{note}")],
            "for the note alone"
        );

        // Beside the file, and below what is posted in its place.
        let Finished { parts, file, .. } = finished(said(&long, &[]), 2);
        let file = file.unwrap();
        assert!(file.text.starts_with("-# The rest") && file.text.ends_with("\n-# 12s"), "{}", file.text);
        assert!(parts[3].ends_with("\n-# 12s"), "{}", parts[3]);
        assert_eq!(file.content, long, "the file is Claude's text alone");
    }

    #[test]
    fn an_answer_without_anything_to_post_is_said_to_be_none() {
        let none = words::no_words();
        assert_eq!(finished(TurnText::default(), 8).parts, [none.as_str()]);
        assert_eq!(finished(turn_text(" \n".to_owned(), &["-# a"]), 8).parts, [format!("{none}\n\n-# a")]);
        let cancelled =
            TurnText::default().finished(Outcome::Cancelled, None, &Format::default(), Most::default());
        assert_eq!(cancelled.parts, [""; 0]);
    }

    #[test]
    fn a_sentence_is_never_inside_a_block_that_claude_left_open() {
        let cut = TurnText {
            sentence: "⚠️ Stopped.".to_owned(),
            ..turn_text("```rust\nfn main() {".to_owned(), &[])
        };
        assert_eq!(finished(cut, 8).parts, ["```rust\nfn main() {\n```\n\n⚠️ Stopped."]);
    }

    #[test]
    fn more_parts_than_allowed_become_a_file_and_its_message() {
        for (parts, most) in [(9, 8), (3, 2), (2, 1), (40, 1)] {
            let Finished { parts: all, file, .. } =
                finished(turn_text(answer(parts) + "\n", &["-# note"]), most);
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
        assert_eq!(finished(turn_text(answer(8), &[]), 8).file, None);
        // Whatever it takes to say the note.
        let noted = finished(turn_text(answer(8), &["-# note"]), 8);
        assert_eq!((noted.parts.len(), noted.file), (9, None));
        assert_eq!(finished(turn_text(answer(200), &[]), 0).file, None, "no limit");
    }

    #[test]
    fn no_note_is_lost_to_a_file() {
        let note = format!("-# {}", "tool ".repeat(300));
        let noted = finished(turn_text(answer(9), &[&note, &note]), 8);
        assert_eq!((noted.file, noted.parts.len()), (None, 11));
    }

    fn capped(answer: &str, parts: usize, bytes: usize, notes: &[&str]) -> Finished {
        let most = Most { parts: NonZeroUsize::new(parts), bytes: NonZeroUsize::new(bytes) };
        turn_text(answer.to_owned(), notes).finished(Outcome::Answered, None, &Format::default(), most)
    }

    #[test]
    fn an_answer_over_the_cap_is_only_in_the_file_and_a_sentence_where_there_is_none() {
        let long = answer(300);
        let Finished { parts, file, .. } = capped(&long, 8, 200 * 1024, &["-# note"]);
        let file = file.unwrap();
        assert_eq!((file.after, parts.len()), (7, 8));
        assert_eq!(file.content, long);
        insta::assert_snapshot!(file.text, @"
        -# This answer is 586 KB long: the full text is in `answer.md`
        -# note
        ");
        insta::assert_snapshot!(parts[7], @"
        This answer is 586 KB long. That's too much for messages, and Discord refused it as a file, for which my role needs Attach Files. Ask me for the rest in pieces.
        -# note
        ");

        // Without a limit in messages as many as the cap has room for are posted, and then the file.
        let Finished { parts, file, .. } = capped(&long, 0, 20 * 1024, &[]);
        let after = file.unwrap().after;
        assert!((10..=12).contains(&after) && parts.len() == after + 1, "{after} {}", parts.len());

        // No note is lost: those that have no room beside the file come before it.
        let note = format!("-# {}", "tool ".repeat(300));
        let Finished { parts, file, .. } = capped(&long, 8, 200 * 1024, &[&note, &note]);
        let file = file.unwrap();
        assert_eq!((file.after, parts.len()), (9, 10));
        assert_eq!(parts[7..9].concat().matches("tool").count(), 600);

        // At the cap, and without one, everything is as it was.
        assert_eq!(capped(&long, 8, long.len(), &[]).parts.len(), 301);
        assert_eq!(capped(&long, 8, 0, &[]).parts.len(), 301);
    }

    #[test]
    fn a_file_is_never_larger_than_discord_takes_and_says_where_it_was_cut() {
        let huge = "月".repeat(FILE_AT_MOST / 3 + 10);
        let file = capped(&huge, 8, 200 * 1024, &[]).file.unwrap();
        assert!(file.content.len() <= FILE_AT_MOST && file.content.len() > FILE_AT_MOST - 10);
        assert!(file.content.ends_with(&format!("月\n\n{}\n", words::file_ends())));
        insta::assert_snapshot!(file.text, @"-# This answer is 9.5 MB long, more than Discord accepts: the first 9.5 MB are in `answer.md`");
    }
}
