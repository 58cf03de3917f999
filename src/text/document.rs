//! A text on its way from Markdown to parts: the result of the scan, and where each byte comes from.
//!
//! The scan goes through the source once, from beginning to end, and says of each piece either "keep" or "replace by this". So
//! the document knows exactly which of its bytes come from where in the source, and nothing can be lost or moved.

use std::ops::Range;

use super::dialect::Swap;
use super::inline::{Span, SpanKind};
use super::line::{fits, start};
use super::{INDENT, LIMIT, Part, ZERO_WIDTH, units};

/// How deeply nested emphasis is still closed and reopened at cuts.
const OPEN_RUNS: usize = 4;

/// A scanned text.
#[derive(Debug, Default)]
pub struct Document {
    /// What will be posted, apart from the cuts; `\n` is the only line end, and neither the first nor the last line is blank.
    pub text: String,
    /// All lines in order.
    pub lines: Vec<Line>,
    /// The code blocks in order; [`LineKind`] counts them.
    pub blocks: Vec<CodeBlock>,
    /// Ranges of `text` that must not be cut because they fit in a part: in order, and none within another.
    solids: Vec<Range<usize>>,
    /// Emphasis that does not fit in a part, ordered by its beginning.
    runs: Vec<CutEmphasis>,
    /// The differences from the source, in order.
    edits: Vec<Replacement>,
    /// How much of the source has been used.
    at: usize,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it is in [`Document::text`], without its line end.
    pub range: Range<usize>,
    pub kind: LineKind,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// White space outside code.
    Blank,
    /// A heading, or a short line by itself that is all bold.
    Heading,
    /// The first line of a list item.
    Item,
    /// Anything else outside code.
    Text,
    /// The opening line of this code block.
    Open(usize),
    /// A line of code in this block.
    Code(usize),
    /// The closing line of this block.
    Close(usize),
}

/// What a part must repeat to continue a code block.
#[derive(Debug)]
pub struct CodeBlock {
    /// The markers of the block quote that it is in, or nothing.
    pub quote: String,
    pub info: String,
    /// The lines of a table's header, each with its line end; empty if it is not a table.
    pub header: String,
    /// The UTF-16 units of its opening line, here or repeated, without the line end.
    pub opening: usize,
    /// The units of its closing line, here or added, with the line end before it.
    pub closing: usize,
    /// The units of the code so far, with a line end before each line.
    pub code: usize,
    /// Whether all its code is blank, which Discord does not show as code.
    pub blank: bool,
    /// Whether its closing line is there.
    pub closed: bool,
}

impl CodeBlock {
    /// The line that reopens it, and the header.
    pub fn reopened(&self) -> String {
        format!("{}```{}\n{}", self.quote, self.info, self.header)
    }

    /// What closes it after a line of code.
    pub fn closed(&self) -> String {
        format!("\n{}```", self.quote)
    }

    /// Whether it fits in one part and so must not be split.
    pub fn fits_whole(&self) -> bool {
        self.opening + self.code + self.closing <= LIMIT
    }

    /// Whether this line fits in one part between its fences.
    pub fn fits(&self, line: &str) -> bool {
        self.opening + units(&self.header) + units(line) + 1 + self.closing <= LIMIT
    }
}

/// Emphasis that is closed at a cut and reopened after it.
#[derive(Debug)]
struct CutEmphasis {
    range: Range<usize>,
    /// The length of its marker in bytes, which is the same at both ends.
    marker: usize,
}

/// `source` became `text`.
#[derive(Debug)]
struct Replacement {
    source: Range<usize>,
    text: Range<usize>,
}

/// Writing, in the order of the source.
impl Document {
    /// How much of the source has been used.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Keeps the source as it is, up to here.
    pub fn keep_to(&mut self, source: &str, to: usize) {
        if self.edits.last().is_some_and(|edit| edit.text.end == self.text.len()) {
            self.part_marks(&source[self.at..to]);
        }
        self.text.push_str(&source[self.at..to]);
        self.at = to;
    }

    /// Writes this in place of the source up to here.
    pub fn swap_to(&mut self, to: usize, with: &str) {
        if to == self.at && with.is_empty() {
            return;
        }
        self.part_marks(with);
        let start = self.text.len();
        self.text.push_str(with);
        self.edits.push(Replacement { source: self.at..to, text: start..self.text.len() });
        self.at = to;
    }

    /// Marks that did not stand side by side must not come together.
    fn part_marks(&mut self, next: &str) {
        if ['`', '~'].iter().any(|&mark| next.starts_with(mark) && self.text.ends_with(mark)) {
            self.put(ZERO_WIDTH);
        }
    }

    /// Writes something that is not in the source.
    pub fn put(&mut self, text: &str) {
        self.swap_to(self.at, text);
    }

    /// Drops the source, up to here.
    pub fn skip_to(&mut self, to: usize) {
        self.swap_to(to, "");
    }

    /// Keeps the source up to here, but for these swaps, which are in order. One whose beginning another has covered is
    /// left out, but what is to go goes.
    pub fn apply(&mut self, source: &str, to: usize, swaps: &[Swap]) {
        for swap in swaps {
            if swap.range.start >= self.at {
                self.keep_to(source, swap.range.start);
                self.swap_to(swap.range.end, &swap.with);
            } else if swap.with.is_empty() && swap.range.end > self.at {
                self.skip_to(swap.range.end);
            }
        }
        self.keep_to(source, to.max(self.at));
    }

    /// Keeps quote marks up to here, each with a space after it, which is added if it is missing.
    pub fn keep_marks(&mut self, source: &str, to: usize) {
        while self.at < to {
            match &source.as_bytes()[self.at..to] {
                [b'>', b' ', ..] => self.keep_to(source, self.at + 2),
                [b'>', ..] => {
                    self.keep_to(source, self.at + 1);
                    self.put(" ");
                }
                _ => self.skip_to(self.at + 1),
            }
        }
    }

    /// Ends a line that began at `start` in [`Document::text`].
    pub fn end_line(&mut self, start: usize, kind: LineKind) {
        if let LineKind::Code(block) = kind {
            let block = &mut self.blocks[block];
            let line = &self.text[start..];
            block.code += units(line) + 1;
            let code = if block.quote.is_empty() { line } else { line.trim_start_matches(['>', ' ']) };
            block.blank &= code.is_empty();
        }
        self.lines.push(Line { range: start..self.text.len(), kind });
    }

    /// Ends the lines that were written from `start` on; `kind` says what a line is by its text.
    pub fn end_lines(&mut self, start: usize, kind: impl Fn(&str) -> LineKind) {
        let mut begin = start;
        for line in self.text[start..].split('\n') {
            let range = begin..begin + line.len();
            begin = range.end + 1;
            self.lines.push(Line { range, kind: kind(line) });
        }
    }

    /// Begins a code block, whose opening line is yet to be written. `header` may come later.
    pub fn begin_block(&mut self, quote: String, info: String, opening: usize) -> usize {
        let closing = units(&quote) + 4;
        let opening = opening.max(units(&quote) + 3 + units(&info));
        let header = String::new();
        self.blocks.push(CodeBlock {
            quote,
            info,
            header,
            opening,
            closing,
            code: 0,
            blank: true,
            closed: false,
        });
        self.blocks.len() - 1
    }

    /// If all lines of a block are blank, makes the last one visible in Discord; adds one if there is none.
    pub fn guard_blank(&mut self, block: usize, quote: &str) {
        match self.lines.last_mut() {
            Some(Line { kind: LineKind::Code(_), range }) => {
                let start = range.start;
                self.lines.pop();
                self.put(ZERO_WIDTH);
                self.lines.push(Line { range: start..self.text.len(), kind: LineKind::Code(block) });
                self.blocks[block].code += 1;
            }
            _ => {
                self.put("\n");
                let start = self.text.len();
                self.put(quote);
                self.put(ZERO_WIDTH);
                self.end_line(start, LineKind::Code(block));
            }
        }
    }

    /// Notes what must not be torn in the text from `start` on, which is a paragraph, and what to reopen if it is.
    pub fn note_spans(&mut self, start: usize, spans: &[Span]) {
        let prefix = units(quote_prefix(&self.text[start..]));
        let first = self.solids.len();
        let mut covered = start;
        let mut open: Vec<(usize, usize)> = Vec::new();
        for span in spans
            .iter()
            .filter(|span| !matches!(span.kind, SpanKind::Loose | SpanKind::Address | SpanKind::Bracket))
        {
            let range = start + span.range.start..start + span.range.end;
            open.retain(|&(end, _)| end > range.start);
            let around: usize = open.iter().map(|&(_, marker)| 2 * marker).sum();
            let marker = match span.kind {
                SpanKind::Code(marker) | SpanKind::Run(marker) => Some(marker).filter(|&marker| marker <= 3),
                _ => None,
            };
            // What can be reopened gives way to the words at its ends.
            let whole = if marker.is_some() { self.with_words(&range) } else { range.clone() };
            if fits(&self.text[whole], LIMIT - prefix - around) {
                if range.end > covered {
                    covered = range.end;
                    self.solids.push(range);
                }
            } else if let Some(marker) = marker.filter(|_| open.len() < OPEN_RUNS) {
                // A marker is not a marker without what is next to it.
                let first = self.text[range.start + marker..].chars().next().map_or(0, char::len_utf8);
                let last = self.text[..range.end - marker].chars().next_back().map_or(0, char::len_utf8);
                self.solids.push(range.start..range.start + marker + first);
                self.solids.push(range.end - marker - last..range.end);
                open.push((range.end, marker));
                self.runs.push(CutEmphasis { range, marker });
            }
        }
        self.solids[first..].sort_by_key(|range| range.start);
        let noted = self.solids.split_off(first);
        for range in noted {
            match self.solids[first..].last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => self.solids.push(range),
            }
        }
    }
}

/// Reading.
impl Document {
    /// This range, extended by the words in which it begins and ends and by the indentation of its line; a short one is
    /// returned as it is.
    fn with_words(&self, range: &Range<usize>) -> Range<usize> {
        if range.len() < LIMIT / 2 {
            return range.clone();
        }
        let (before, after) = self.text.split_at(range.start);
        let after = &after[range.len()..];
        let of_word = |c: &char| !c.is_whitespace();
        let start: usize = before.chars().rev().take(LIMIT).take_while(of_word).map(char::len_utf8).sum();
        let end: usize = after.chars().take(LIMIT).take_while(of_word).map(char::len_utf8).sum();
        let line = before[..before.len() - start].trim_end_matches([' ', '\t']);
        // The line end stands in for the guard that keeps the indentation at the beginning of a part.
        let start = if line.ends_with('\n') { line.len() - 1 } else { range.start - start };
        start..range.end + end
    }

    /// The range around this place that must not be cut.
    pub fn solid_at(&self, offset: usize) -> Option<&Range<usize>> {
        let after = self.solids.partition_point(|range| range.start < offset);
        self.solids[..after].last().filter(|range| offset < range.end)
    }

    /// The markers of the emphasis that a cut here has to close, outermost first.
    pub fn open_at(&self, offset: usize) -> Vec<&str> {
        let after = self.runs.partition_point(|run| run.range.start < offset);
        let open = self.runs[..after].iter().filter(|run| offset < run.range.end);
        open.map(|run| &self.text[run.range.start..run.range.start + run.marker]).collect()
    }

    /// The units that it takes at most to close the emphasis at a cut in this range.
    pub fn closing_within(&self, range: Range<usize>) -> usize {
        let before = self.runs.partition_point(|run| run.range.start < range.end);
        let open = self.runs[..before].iter().filter(|run| range.start < run.range.end);
        // The innermost may have to be kept apart from one of the text.
        open.map(|run| run.marker + 1).sum()
    }

    /// The part that consists of `lead`, this range of the text, and `tail`, and represents this range of the source.
    pub fn part(&self, lead: &str, range: Range<usize>, tail: &str, source: Range<usize>) -> Part {
        let mut part = Part {
            text: format!("{lead}{}{tail}", &self.text[range.clone()]),
            source: source.clone(),
            added: Vec::new(),
            dropped: Vec::new(),
        };
        let (mut kept, mut dropped) = (0, source.start);
        let mut keep = |text: Range<usize>, source_start: usize| {
            if text.is_empty() {
                return;
            }
            note(&mut part.added, kept..text.start);
            note(&mut part.dropped, dropped..source_start);
            kept = text.end;
            dropped = source_start + text.len();
        };
        // Between two edits, text and source are the same.
        let first = self.edits.partition_point(|edit| edit.text.end <= range.start);
        let before = self.edits[..first].last();
        let (mut text_at, mut source_at) = before.map_or((0, 0), |edit| (edit.text.end, edit.source.end));
        let end = Replacement { source: 0..0, text: range.end..range.end };
        for edit in self.edits[first..].iter().chain([&end]) {
            let from = text_at.max(range.start);
            let to = edit.text.start.min(range.end);
            if from < to {
                let shift = lead.len();
                keep(from - range.start + shift..to - range.start + shift, source_at + (from - text_at));
            }
            if edit.text.start >= range.end {
                break;
            }
            (text_at, source_at) = (edit.text.end, edit.source.end);
        }
        note(&mut part.added, kept..part.text.len());
        note(&mut part.dropped, dropped..source.end);
        part
    }

    /// The place in the source that this place in the text comes from, with what was left out right before it.
    pub fn source_at(&self, offset: usize) -> usize {
        let later = self.edits.partition_point(|edit| edit.text.start < offset);
        match (self.edits.get(later), self.edits[..later].last()) {
            (Some(edit), _) if edit.text.start == offset => edit.source.start,
            (_, Some(edit)) if offset >= edit.text.end => edit.source.end + (offset - edit.text.end),
            (_, Some(edit)) => edit.source.end,
            (_, None) => offset,
        }
    }
}

fn note(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    if !range.is_empty() {
        ranges.push(range);
    }
}

/// The quote markers that a line begins with, with the white space around them; none if there are too many to be meant.
pub fn quote_prefix(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    if start(line).quotes == 0 {
        return "";
    }
    let rest = line.trim_start_matches(['>', ' ', '\t']);
    let prefix = &line[..line.len() - rest.len()];
    if prefix.len() > INDENT { "" } else { prefix }
}
