//! Code blocks: whatever opens one in Markdown becomes ` ``` ` at the start of a line, which is all that Discord knows.

use std::ops::Range;

use super::super::clean::{controls, tidy};
use super::super::document::{Document, LineKind};
use super::super::line::{self, CodeIndent, LineStart, Opening, columns};
use super::super::{INDENT, ZERO_WIDTH, units};
use super::Blocks;

/// The indentation of a code block without fences.
pub const CODE_INDENT: usize = 4;

/// An open code block.
pub struct Code {
    /// Its number.
    pub block: usize,
    /// How many columns of indentation its lines lose.
    pub strip: usize,
    /// The fence that opened it; `None` if it is indented.
    pub fence: Option<Fence>,
}

/// What the closing fence must be like.
pub struct Fence {
    /// A backtick or a tilde.
    pub mark: u8,
    /// The least number of them.
    pub run: usize,
    /// The marks of its quote.
    pub quotes: usize,
    /// The column of the opening fence.
    pub column: usize,
    /// How the code so far is indented.
    pub indent: CodeIndent,
}

impl Blocks {
    /// Writes the opening line of a code block.
    pub fn open(&mut self, source: &str, line: Range<usize>, fence: &Opening<'_>) {
        let LineStart { indent, markers, quotes, .. } = fence.start;
        let quote = "> ".repeat(quotes);
        let info = if self.dialect { line::language(fence.info) } else { fence.info };
        let text = line.start + indent.len();
        let mark = text + markers.len();
        let info_at = line.end - source[mark + fence.run..line.end].trim_start().len();
        let in_item = markers.contains(|c: char| c != '>' && !c.is_whitespace());

        let first = self.document.lines.is_empty();
        let mut begin = self.begin_line(source, if first { text } else { line.start }, None);
        if self.dialect {
            if in_item {
                self.marker_line(source, begin, line.start..mark, &quote);
                begin = self.document.text.len() - quote.len();
            } else {
                self.document.skip_to(text);
                if quotes > 0 {
                    self.document.keep_marks(source, mark);
                }
            }
            self.document.skip_to(mark);
        } else {
            if indent.len() > INDENT {
                self.document.skip_to(text);
            }
            self.document.keep_to(source, mark);
        }
        if fence.mark == b'`' && fence.run == 3 {
            self.document.keep_to(source, mark + 3);
        } else {
            self.document.swap_to(mark + fence.run, "```");
        }
        self.document.skip_to(info_at.max(self.document.at()));
        let end = self.document.at() + info.len();
        self.document.keep_to(source, end);
        self.document.skip_to(line.end);

        let opening = units(&self.document.text[begin..]);
        let block = self.document.begin_block(quote, info.to_owned(), opening);
        self.document.end_line(begin, LineKind::Open(block));
        let column = columns(quoted(&source[line.start..mark], quotes));
        let strip = if self.dialect { column } else { 0 };
        self.code = Some(Code {
            block,
            strip,
            fence: Some(Fence {
                mark: fence.mark,
                run: fence.run,
                quotes,
                column,
                indent: CodeIndent::default(),
            }),
        });
    }

    /// Puts the marker of an item that begins with a code block on a line of its own, because Discord only knows fences at the
    /// start of a line.
    fn marker_line(&mut self, source: &str, begin: usize, marker: Range<usize>, quote: &str) {
        let text = source[marker.clone()].trim_end();
        let at = marker.end - source[marker.clone()].trim_start().len();
        let mut swaps = Vec::new();
        let indent = &source[marker.start..at];
        self.lists.item(&source[at..marker.end], indent, at, &mut swaps);
        self.document.apply(source, marker.start + text.len(), &swaps);
        // An item without text is not one.
        self.document.put(&format!(" {ZERO_WIDTH}"));
        self.document.end_line(begin, LineKind::Item);
        self.document.put("\n");
        self.document.put(quote);
    }

    /// Puts fences around code that has none.
    pub fn open_indented(&mut self, source: &str, line: Range<usize>) {
        let begin = self.begin_line(source, line.start, None);
        self.document.put("```");
        let block = self.document.begin_block(String::new(), String::new(), 3);
        self.document.end_line(begin, LineKind::Open(block));
        let code = Code { block, strip: CODE_INDENT, fence: None };
        self.code_line(source, line, &code);
        self.code = Some(code);
    }

    pub fn code_line(&mut self, source: &str, line: Range<usize>, code: &Code) {
        let (block, strip) = (code.block, code.strip);
        let quotes = code.fence.as_ref().map_or(0, |fence| fence.quotes);
        let begin = self.begin_line(source, line.start, Some(block));
        if self.dialect && quotes > 0 {
            let code = line.end - quoted(&source[line.clone()], quotes).len();
            self.document.keep_marks(source, code);
        }
        dedent(&mut self.document, source, line.end, strip);
        let mut swaps = Vec::new();
        let from = self.document.at();
        tidy(&source[from..line.end], from, &mut swaps);
        if self.dialect && self.document.blocks[block].info != "ansi" {
            controls(&source[from..line.end], from, &mut swaps);
            swaps.sort_by_key(|swap| (swap.range.start, swap.range.end));
        }
        self.document.apply(source, line.end, &swaps);
        self.document.end_line(begin, LineKind::Code(block));
    }

    /// Closes the code block, with this line of the source or with one of our own.
    pub fn close(&mut self, source: &str, code: &Code, line: Option<Range<usize>>) {
        let block = code.block;
        let quote = self.document.blocks[block].quote.clone();
        if self.document.blocks[block].blank {
            // For Discord, a block without lines is not one.
            self.document.guard_blank(block, &quote);
        }
        let begin = match &line {
            Some(line) => self.begin_line(source, line.start, Some(block)),
            None => {
                self.document.put("\n");
                self.document.text.len()
            }
        };
        match (line, &code.fence) {
            (Some(line), Some(fence)) => {
                let text = &source[line.clone()];
                let mark = line.end - text.trim_start_matches([' ', '\t', '>']).len();
                if fence.quotes > 0 {
                    self.document.keep_marks(source, mark);
                } else {
                    self.document.skip_to(mark);
                }
                if source[mark..line.end] == *"```" {
                    self.document.keep_to(source, line.end);
                } else {
                    self.document.swap_to(line.end, "```");
                }
            }
            _ => {
                self.document.put(&quote);
                self.document.put("```");
            }
        }
        self.document.end_line(begin, LineKind::Close(block));
        // `1.` after it continues the count, because there is nothing but code in between.
        self.after_code = true;
        self.lists.cut();
        self.document.blocks[block].closed = true;
    }
}

/// What comes after this many quote marks, each with the space after it.
pub fn quoted(line: &str, quotes: usize) -> &str {
    (0..quotes).fold(line, |rest, _| match rest.trim_start().strip_prefix('>') {
        Some(rest) => rest.strip_prefix(' ').unwrap_or(rest),
        None => rest,
    })
}

/// Drops white space of this many columns.
pub fn dedent(document: &mut Document, source: &str, end: usize, strip: usize) {
    let mut left = strip;
    while left > 0 {
        let at = document.at();
        match source.as_bytes()[at..end].first() {
            Some(b' ') => {
                document.skip_to(at + 1);
                left -= 1;
            }
            Some(b'\t') => {
                let width = CODE_INDENT - (strip - left) % CODE_INDENT;
                document.swap_to(at + 1, &" ".repeat(width.saturating_sub(left)));
                left = left.saturating_sub(width);
            }
            _ => return,
        }
    }
}
