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
        // A little more than fits, so that the rules see what comes next.
        let seen = &text[..self.fit + fitting(&text[self.fit..], 100)];
        let mut found = None;
        for (start, _) in seen.split_sentence_bound_indices().skip(1) {
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
        // Those rules do not know markers: `**It is so.** Then …`
        let after = found.map_or(0, |(_, next)| next.min(self.fit));
        let marked = text[after..self.fit].rmatch_indices(char::is_whitespace).find_map(|(space, _)| {
            let end = text[..after + space].trim_end().len();
            let marked = text[..end].ends_with(['*', '_', '~', '|']) && ends_sentence(&text[..end]);
            let next = text.len() - text[end..].trim_start().len();
            (marked && end > self.indent() && next < text.len() && (self.solid)(end).is_none())
                .then_some((end, next))
        });
        marked.or(found)
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
        let boundaries = seen.grapheme_indices(true).map(|(offset, _)| from + offset);
        let usable = |&offset: &usize| offset > from && (anywhere || (self.solid)(offset).is_none());
        boundaries.take_while(|&offset| offset <= self.fit).filter(usable).last()
    }
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
