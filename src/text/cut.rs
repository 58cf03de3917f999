//! Places to cut within one line.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::LIMIT;
use super::line::{fits, fitting};

/// A line, or the rest of one, of which a part takes the beginning.
pub struct CuttableLine<'a> {
    pub text: &'a str,
    /// How many bytes of it fit into the part.
    pub fit: usize,
    /// The range around a place that must not be cut through.
    pub solid: &'a dyn Fn(usize) -> Option<Range<usize>>,
}

impl CuttableLine<'_> {
    /// The bytes of white space that it begins with.
    pub fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// The last gap between words that begins at `fit` or before: where it begins and where it ends.
    pub fn last_space(&self) -> Option<(usize, usize)> {
        let at_limit = self.text[self.fit..].chars().next().filter(|c| c.is_whitespace());
        let mut limit = self.fit + at_limit.map_or(0, char::len_utf8);
        loop {
            let space = self.text[..limit].rfind(char::is_whitespace)?;
            let end = self.text[..space].trim_end().len();
            if end <= self.indent() {
                return None;
            }
            let next = self.text.len() - self.text[end..].trim_start().len();
            match (self.solid)(end) {
                Some(solid) => limit = solid.start,
                None if next < self.text.len() => return Some((end, next)),
                None => limit = end,
            }
        }
    }

    /// The last gap between sentences that begins at `fit` or before.
    pub fn last_sentence(&self) -> Option<(usize, usize)> {
        let text = self.text;
        let found = self.last_plain_sentence();
        // Those rules do not know markers: `**It is so.** Then …`
        let after = found.map_or(0, |(_, next)| next.min(self.fit));
        let marked = text[after..self.fit].rmatch_indices(char::is_whitespace).find_map(|(space, _)| {
            let end = text[..after + space].trim_end().len();
            if !text[..end].ends_with(['*', '_', '~', '|']) || !ends_sentence(&text[..end]) {
                return None;
            }
            let next = text.len() - text[end..].trim_start().len();
            (end > self.indent() && next < text.len() && (self.solid)(end).is_none()).then_some((end, next))
        });
        marked.or(found)
    }

    /// The same by Unicode's rules alone. They cost more than anything else here, and so they are applied from the last mark on
    /// that may end a sentence, and to more and more of the text until one does.
    fn last_plain_sentence(&self) -> Option<(usize, usize)> {
        // A little more than fits, so that the rules see what comes next.
        let seen = self.fit + fitting(&self.text[self.fit..], 100);
        // White space behind the gap may be such a mark.
        let mut until = seen - self.text[self.fit..seen].trim_start().len();
        let mut length = 0;
        loop {
            let mark = self.text[..until].rfind(may_end_sentence)?;
            let far = floor(self.text, mark.min(self.fit.saturating_sub(length)));
            let start = sentence_window(&self.text[..far]);
            let found = self.last_sentence_of(start..seen);
            if found.is_some() || start == 0 {
                return found;
            }
            until = start;
            length = NEAR.max(4 * length);
        }
    }

    /// The last gap between sentences within this range.
    fn last_sentence_of(&self, range: Range<usize>) -> Option<(usize, usize)> {
        let text = self.text;
        let mut found = None;
        for (offset, _) in text[range.clone()].split_sentence_bound_indices().skip(1) {
            let start = range.start + offset;
            let end = text[..start].trim_end().len();
            if end > self.fit {
                break;
            }
            // `?` in a URL does not end a sentence; a full-width stop needs no space after it.
            let ideographic = !text[..start].ends_with(|c: char| c.is_ascii());
            let next = text.len() - text[start..].trim_start().len();
            let gap = end < start || (ideographic && is_between_graphemes(text, start));
            if gap && end > 0 && next < text.len() && (self.solid)(end).is_none() {
                found = Some((end, next));
            }
        }
        found
    }

    /// The end of the last token in a line of data, after a comma, a bracket or a space, if it is not too far back.
    pub fn last_token(&self) -> Option<usize> {
        let near = self.fit - self.fit / 4;
        let tokens = self.text[..self.fit].rmatch_indices([',', ';', ' ', '}', ']', ')', '>', '&']);
        let mut ends = tokens.map(|(at, token)| at + token.len()).take_while(|&end| end >= near);
        ends.find(|&end| is_between_graphemes(self.text, end))
    }

    /// Whether the word that begins here, together with everything in it that must not be cut, has at most this many units.
    pub fn word_fits(&self, start: usize, room: usize) -> bool {
        let mut end = start;
        while end - start <= 3 * LIMIT {
            let rest = &self.text[end..];
            let rest = &rest[..fitting(rest, LIMIT + 1)];
            end += rest.find(char::is_whitespace).unwrap_or(rest.len());
            match (self.solid)(end) {
                Some(solid) if solid.end < self.text.len() => end = solid.end,
                // It continues in the next line, and fits on its own.
                Some(_) => return fits(&self.text[start..], room),
                None => return fits(&self.text[start..end], room),
            }
        }
        false
    }

    /// The last boundary between graphemes after `from` and up to `fit` that may be cut; with `anywhere`, even one that may not.
    pub fn last_grapheme(&self, from: usize, anywhere: bool) -> Option<usize> {
        let seen = &self.text[from..self.fit + fitting(&self.text[self.fit..], 100)];
        let mut limit = self.fit.checked_sub(from)?;
        loop {
            let offset = from + boundary_until(seen, limit)?;
            match (self.solid)(offset) {
                Some(solid) if !anywhere => limit = solid.start.checked_sub(from)?,
                _ => return Some(offset),
            }
        }
    }
}

/// How much of the end of a text is searched at least, in bytes, if the first mark ends no sentence.
const NEAR: usize = 200;

/// Whether Unicode has a sentence end behind this character: certainly not if this is false.
fn may_end_sentence(c: char) -> bool {
    match c {
        '\n' | '\r' | '!' | '.' | '?' | '\u{85}' => true,
        ..'\u{580}'
        | '\u{3003}'..'\u{a000}'
        | '\u{ac00}'..'\u{fe10}'
        | '\u{fe20}'..'\u{fe50}'
        | '\u{1f000}'.. => false,
        '\u{2000}'..'\u{2e00}' => matches!(c, '\u{2024}'..'\u{2050}' | '\u{2cf9}'..='\u{2cfb}'),
        _ => true,
    }
}

/// Where in this text, or else at its beginning, sentences can be sought without what comes before: at a letter, since the
/// rules look back at marks and spaces only.
fn sentence_window(text: &str) -> usize {
    text.rfind(|c: char| c.is_ascii_alphabetic() || matches!(c, '\u{4e00}'..='\u{9fff}')).unwrap_or(0)
}

/// The last place up to this one that is not within a character.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The last boundary between graphemes up to `limit`, but for the beginning.
fn boundary_until(text: &str, limit: usize) -> Option<usize> {
    // A cursor that has the whole text never asks for more.
    let mut cursor = GraphemeCursor::new(limit, text.len(), true);
    let is_boundary = limit > 0 && cursor.is_boundary(text, 0).unwrap_or(false);
    let last = if is_boundary { Some(limit) } else { cursor.prev_boundary(text, 0).ok().flatten() };
    last.filter(|&at| at > 0)
}

/// Whether a cut here tears no grapheme.
fn is_between_graphemes(text: &str, at: usize) -> bool {
    // A cursor that has the whole text never asks for more.
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(false)
}

/// Whether a sentence ends with this text, whatever markers come after it.
pub fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['*', '_', '~', '|', '`', '"', '\'', ')', '”', '’', '」', '）']);
    text.ends_with(['.', '!', '?', ':', ';', '…', '。', '！', '？', '：', '；'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_sentence_ends_unseen() {
        let ends = |c: &char| format!("a{c} B").split_sentence_bounds().count() > 1;
        let unseen = (0..=0x0010_ffff).filter_map(char::from_u32).filter(ends);
        assert_eq!(unseen.filter(|&c| !may_end_sentence(c)).collect::<String>(), "");
    }

    proptest! {
        #[test]
        fn the_end_of_a_text_has_the_sentences_of_the_whole(
            text in "([abAB] ?|[.!?。] ?|[\")] ?|\u{301}|\u{ad}|\u{200d}|👩|🇩|,|:|1| |\r|\n|[月火]|ア|https://a\\.b/\\?c|\\*){0,400}",
            part in 0.0..=1.0,
            from in 0_usize..50,
        ) {
            let fit = floor(&text, (text.len() as f64 * part) as usize);
            let solid = |at: usize| {
                let (start, end) = (floor(&text, at / 7 * 7), floor(&text, (at / 7 * 7 + 5).min(text.len())));
                (start < at && at < end).then_some(start..end)
            };
            let line = CuttableLine { text: &text, fit, solid: &solid };
            let seen = fit + fitting(&text[fit..], 100);
            prop_assert_eq!(line.last_plain_sentence(), line.last_sentence_of(0..seen));

            let from = floor(&text, from.min(fit));
            let places = text[from..seen].grapheme_indices(true).map(|(offset, _)| from + offset);
            let places: Vec<usize> = places.filter(|&at| at > from && at <= fit).collect();
            let mut free = places.iter().copied().filter(|&at| solid(at).is_none());
            prop_assert_eq!(line.last_grapheme(from, false), free.next_back());
            prop_assert_eq!(line.last_grapheme(from, true), places.last().copied());
        }
    }
}
