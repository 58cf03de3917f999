//! The first step: blocks. Finds out what each line is, makes fences Discord's, and applies the dialect.
//!
//! A scanner takes lines as they come. A paragraph, the text of a list item, and a table are held back until the line that
//! ends them; the lines of a code block are not. So whatever is in the [`Document`] never changes.

mod code;
mod prose;

use std::ops::Range;

use super::dialect::{self, Lists};
use super::document::{Document, LineKind};
use super::line::{self, closing, columns, heading, is_list_item, is_rule, opening, start};
use super::references::{self, References, Survey};
use super::table::Table;
use code::{CODE_INDENT, Code, dedent, quoted};

/// Scans a text that may arrive in pieces.
pub struct Scanner {
    source: String,
    survey: Survey,
    surveyed: LinesTaken,
    blocks: Blocks,
    scanned: LinesTaken,
}

impl Scanner {
    /// At the beginning of a text.
    pub fn new(dialect: bool) -> Self {
        let blocks = Blocks { dialect, after_blank: true, ..Blocks::default() };
        let (surveyed, scanned) = (LinesTaken::default(), LinesTaken::default());
        Self { source: String::new(), survey: Survey::default(), surveyed, blocks, scanned }
    }

    /// Takes what comes next.
    pub fn push(&mut self, piece: &str) {
        self.source.push_str(piece);
        self.survey(false);
        let settled =
            if self.blocks.dialect { self.survey.settled(&self.blocks.references) } else { usize::MAX };
        self.scan(settled, false);
    }

    /// Takes the end of the text.
    pub fn finish(&mut self) {
        self.survey(true);
        self.scan(usize::MAX, true);
        if let Some(start) = self.blocks.comment.take() {
            // It was not one after all.
            self.blocks.no_comments = true;
            self.scanned = LinesTaken { next: start, searched: start };
            self.scan(usize::MAX, true);
        }
        self.blocks.end(&self.source);
    }

    /// What has been scanned so far, up to the last line that can no longer change.
    pub fn document(&self) -> &Document {
        &self.blocks.document
    }

    /// The length of the source so far.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    fn survey(&mut self, all: bool) {
        if !self.blocks.dialect {
            return;
        }
        while let Some(line) = self.surveyed.take(&self.source, all) {
            self.survey.line(&self.source, line, &mut self.blocks.references);
        }
        if all {
            self.survey.end_paragraph(&self.source, &mut self.blocks.references);
        }
    }

    fn scan(&mut self, settled: usize, all: bool) {
        while self.scanned.next < settled
            && let Some(line) = self.scanned.take(&self.source, all)
        {
            self.blocks.line(&self.source, line);
        }
    }
}

/// How far the lines of a text have been taken.
#[derive(Default)]
struct LinesTaken {
    /// Where the first line begins that has not been taken yet.
    next: usize,
    /// There is no line end before this.
    searched: usize,
}

impl LinesTaken {
    /// The next line, without its end; `all`: the last one needs none.
    fn take(&mut self, source: &str, all: bool) -> Option<Range<usize>> {
        let bytes = source.as_bytes();
        let (end, next) = match memchr::memchr2(b'\n', b'\r', &bytes[self.searched..]) {
            Some(found) => {
                let end = self.searched + found;
                // It may be half a line end.
                if bytes[end] == b'\r' && end + 1 == bytes.len() && !all {
                    self.searched = end;
                    return None;
                }
                (end, end + if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 })
            }
            None if all && self.next < bytes.len() => (bytes.len(), bytes.len()),
            None => {
                self.searched = bytes.len();
                return None;
            }
        };
        let line = self.next..end;
        (self.next, self.searched) = (next, next);
        Some(line)
    }
}

/// The blocks so far. All ranges are in bytes of the source.
#[derive(Default)]
struct Blocks {
    dialect: bool,
    document: Document,
    /// The code block that is open.
    code: Option<Code>,
    /// The lines of the paragraph that may continue.
    paragraph: Vec<Range<usize>>,
    /// What has been dropped as a whole since the last line that was written.
    hole: Option<Range<usize>>,
    /// Where a comment began.
    comment: Option<usize>,
    /// No comment ends after this.
    no_comments: bool,
    /// Whether the previous line was blank, or there was none.
    after_blank: bool,
    /// Whether the previous block was code.
    after_code: bool,
    lists: Lists,
    references: References,
}

/// What a group of lines is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProseKind {
    Paragraph,
    /// `## …`
    Heading(usize),
    /// A line with an underline that ends here.
    Title {
        level: usize,
        underline: usize,
    },
}

/// The longest text, in bytes, that an underline makes a heading.
const TITLE: usize = 200;

impl Blocks {
    fn line(&mut self, source: &str, line: Range<usize>) {
        let text = &source[line.clone()];
        if let Some(start) = self.comment {
            if let Some(end) = text.find("-->").map(|found| line.start + found + 3) {
                self.comment = None;
                self.leave_out(start..end);
                if !source[end..line.end].trim().is_empty() {
                    self.line(source, end..line.end);
                }
            }
            return;
        }
        if let Some(mut code) = self.code.take() {
            let goes_on = match &mut code.fence {
                // A quote ends before the first line without a mark, and with it whatever is open inside.
                Some(fence) if fence.quotes > 0 && !text.trim_start().starts_with('>') => false,
                Some(fence) if closing(quoted(text, fence.quotes), fence.mark, fence.run, fence.column) => {
                    return self.close(source, &code, Some(line));
                }
                Some(fence) => fence.quotes > 0 || !fence.indent.ends_before(text, fence.column),
                None if text.trim().is_empty() => {
                    // It is part of the block only if more code follows.
                    self.code = Some(code);
                    return;
                }
                None => columns(start(text).indent) >= CODE_INDENT,
            };
            if goes_on {
                self.code_line(source, line, &code);
                self.code = Some(code);
                return;
            }
            self.close(source, &code, None);
            self.after_blank = true;
        }
        self.text_line(source, line);
    }

    /// A line outside code.
    fn text_line(&mut self, source: &str, line: Range<usize>) {
        let whole = &source[line.clone()];
        let text = whole.trim_start();
        let indent = columns(&whole[..whole.len() - text.len()]);
        let after_blank = std::mem::replace(&mut self.after_blank, text.is_empty());
        if self.dialect && text.starts_with("<!--") && self.comment_line(source, &line, text) {
            return;
        }
        if text.is_empty() {
            self.end_paragraph(source);
        } else if let Some(fence) = opening(whole)
            && !(self.is_indented_code(indent, after_blank) && fence.start.markers.is_empty())
        {
            self.end_paragraph(source);
            self.open(source, line, &fence);
        } else if self.is_indented_code(indent, after_blank) {
            self.open_indented(source, line);
        } else if let Some(level) = self.underline(source, text) {
            let title = std::mem::take(&mut self.paragraph);
            self.lists.end_at(indent);
            self.write(source, &title, ProseKind::Title { level, underline: line.end });
        } else if let Some(level) = heading(text) {
            self.end_paragraph(source);
            self.lists.end_at(indent);
            self.write(source, &[line], ProseKind::Heading(level));
        } else if is_rule(text) {
            self.end_paragraph(source);
            self.lists.end_at(indent);
            self.rule(source, line);
        } else {
            if (after_blank || self.after_code) && !is_list_item(text) {
                self.lists.end_at(indent);
            }
            self.after_code = false;
            if self.begins_paragraph(source, whole) {
                self.end_paragraph(source);
            }
            self.paragraph.push(line);
        }
    }

    /// Whether a line of text begins a new paragraph.
    fn begins_paragraph(&self, source: &str, line: &str) -> bool {
        let (Some(first), Some(last)) = (self.paragraph.first(), self.paragraph.last()) else { return false };
        let (first, this) = (start(&source[first.clone()]), start(line));
        let item =
            this.markers.contains(|c: char| c != '>' && !c.is_whitespace()) && !self.is_text(source, line);
        // A paragraph in a quote may continue without the mark.
        let quote = match (first.quotes > 0, this.quotes > 0) {
            (true, false) => !self.dialect || start(&source[last.clone()]).rest.is_empty(),
            (false, quoted) => quoted,
            (true, true) => false,
        };
        let details =
            self.dialect && (dialect::is_details(this.rest) || dialect::is_whole_details(first.rest));
        let note = this.rest.starts_with("[^");
        let definition = self.dialect
            && start(&source[last.clone()]).rest.is_empty()
            && references::definition([line]).is_some();
        item || quote || details || note || definition
    }

    /// Whether a line is text of the paragraph, though it looks like an item: `7.` begins no list there.
    fn is_text(&self, source: &str, line: &str) -> bool {
        let Some(first) = self.paragraph.first().map(|first| start(&source[first.clone()])) else {
            return false;
        };
        // What is indented like the text of an item belongs to it.
        let text = columns(first.indent) + first.markers.len();
        let is_within = first.quotes == 0 && (text > 0 || !self.lists.is_open());
        self.dialect && is_within && line::is_later_item(line) && columns(start(line).indent) >= text
    }

    /// The level of the heading that this line makes of what is held back.
    fn underline(&self, source: &str, text: &str) -> Option<usize> {
        let first = self.paragraph.first().filter(|_| self.dialect)?;
        let quoted = source[first.clone()].trim_start().starts_with('>');
        let inner = text.strip_prefix('>').filter(|_| quoted).map_or(text, str::trim_start);
        let is_within = quoted == text.starts_with('>') && (!quoted || self.paragraph.len() == 1);
        line::underline(inner).filter(|_| is_within && self.is_title(source))
    }

    /// Takes a comment at the beginning of a line. Returns whether there was one.
    fn comment_line(&mut self, source: &str, line: &Range<usize>, text: &str) -> bool {
        let start = line.end - text.len();
        // `<!-->` is not one yet.
        match text[4..].find("-->").map(|found| start + 4 + found + 3) {
            Some(end) if source[end..line.end].trim().is_empty() => {
                self.end_paragraph(source);
                self.leave_out(start..line.end);
                true
            }
            None if !self.no_comments => {
                self.end_paragraph(source);
                self.comment = Some(start);
                true
            }
            _ => false,
        }
    }

    fn leave_out(&mut self, range: Range<usize>) {
        let start = self.hole.take().map_or(range.start, |hole| hole.start);
        self.hole = Some(start..range.end);
    }

    /// Goes to the beginning of a line, which is here in the source. Returns where it begins in the text. Line ends in between
    /// are kept. `code`: blank lines among them belong to this block.
    fn begin_line(&mut self, source: &str, here: usize, code: Option<usize>) -> usize {
        let document = &mut self.document;
        if document.lines.is_empty() {
            self.hole = None;
            document.skip_to(here);
            return document.text.len();
        }
        let mut until = here;
        if let Some(hole) = self.hole.take() {
            // The wider of the two gaps is enough.
            let breaks = |range: Range<usize>| source[range].bytes().filter(|&b| b == b'\n').count();
            if breaks(document.at()..hole.start) < breaks(hole.end..here) {
                document.skip_to(hole.end);
            } else {
                until = hole.start;
            }
        }
        let mut first = true;
        while let Some(found) = source[document.at()..until].find(['\n', '\r']) {
            let end = document.at() + found;
            let begin = document.text.len();
            if first {
                document.skip_to(end);
            } else {
                match code {
                    Some(block) => {
                        dedent(document, source, end, CODE_INDENT);
                        document.keep_to(source, end);
                        document.end_line(begin, LineKind::Code(block));
                    }
                    None => {
                        document.skip_to(end);
                        document.end_line(begin, LineKind::Blank);
                    }
                }
            }
            first = false;
            match &source.as_bytes()[end..] {
                [b'\r', b'\n', ..] => {
                    document.skip_to(end + 1);
                    document.keep_to(source, end + 2);
                }
                [b'\r', ..] => document.swap_to(end + 1, "\n"),
                _ => document.keep_to(source, end + 1),
            }
        }
        if first {
            document.put("\n");
        }
        document.skip_to(here);
        document.text.len()
    }

    /// Writes the lines that have been held back.
    fn end_paragraph(&mut self, source: &str) {
        let mut lines = std::mem::take(&mut self.paragraph);
        if self.dialect {
            lines.drain(..self.definitions(source, &lines));
        }
        let table = if self.dialect { Table::find(source, &lines, &self.references) } else { None };
        match table {
            Some(table) => {
                if table.first > 0 {
                    self.write(source, &lines[..table.first], ProseKind::Paragraph);
                }
                self.lists.cut();
                self.begin_line(source, lines[table.first].start, None);
                table.write(source, &mut self.document);
            }
            None if lines.is_empty() => {}
            None => self.write(source, &lines, ProseKind::Paragraph),
        }
    }

    /// Takes the definitions that these lines begin with. Returns how many lines they have.
    fn definitions(&mut self, source: &str, lines: &[Range<usize>]) -> usize {
        let mut from = 0;
        while let Some(found) = references::definition(lines[from..].iter().map(|line| &source[line.clone()]))
        {
            let own = &lines[from..from + found.lines];
            if self.references.is_dispensable(&found) {
                self.leave_out(own[0].start..own[own.len() - 1].end);
            } else {
                // It does not refer to itself.
                let references = std::mem::take(&mut self.references);
                self.write(source, own, ProseKind::Paragraph);
                self.references = references;
            }
            from += found.lines;
        }
        from
    }

    /// Whether what is held back is a little plain text, which an underline makes a heading.
    fn is_title(&self, source: &str) -> bool {
        let (Some(first), Some(last)) = (self.paragraph.first(), self.paragraph.last()) else { return false };
        let start = start(&source[first.clone()]);
        let unmarked = matches!(start.markers.trim_end(), "" | ">") && start.indent.is_empty();
        let plain = unmarked && !start.rest.starts_with('|');
        let lines = self.paragraph.iter().map(|line| &source[line.clone()]);
        let plain = plain && references::definition(lines).is_none();
        // What is longer than that is text above a rule, whatever CommonMark says.
        plain && last.end - first.start <= TITLE
    }

    /// Whether a line indented like this is code without fences.
    fn is_indented_code(&self, indent: usize, after_blank: bool) -> bool {
        self.dialect
            && indent >= CODE_INDENT
            && after_blank
            && self.paragraph.is_empty()
            && !self.lists.is_open()
    }

    /// The end of the text.
    fn end(&mut self, source: &str) {
        self.end_paragraph(source);
        if let Some(code) = self.code.take() {
            self.close(source, &code, None);
        }
    }
}
