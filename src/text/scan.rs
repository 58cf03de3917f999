//! The first step: blocks. Finds out what each line is, makes fences Discord's, and applies the dialect.
//!
//! A scanner takes lines as they come. A paragraph, the text of a list item, and a table are held back until the line that
//! ends them; the lines of a code block are not. So whatever is in the [`Document`] never changes.

mod code;

use std::ops::Range;

use super::clean::clean;
use super::dialect::{self, Lists, Swap, swap};
use super::document::{Document, LineKind};
use super::html;
use super::inline::{self, Span, SpanKind};
use super::line::{self, closing, columns, heading, is_list_item, is_rule, opening, start};
use super::links;
use super::meaning;
use super::table::Table;
use code::{CODE_INDENT, Code, dedent, quoted};

/// Scans a text that may arrive in pieces.
pub struct Scanner {
    source: String,
    /// Where the first line begins that has not been taken yet.
    next: usize,
    /// There is no line end before this.
    searched: usize,
    blocks: Blocks,
}

impl Scanner {
    /// At the beginning of a text.
    pub fn new(dialect: bool) -> Self {
        let blocks = Blocks { dialect, after_blank: true, ..Blocks::default() };
        Self { source: String::new(), next: 0, searched: 0, blocks }
    }

    /// Takes what comes next.
    pub fn push(&mut self, piece: &str) {
        self.source.push_str(piece);
        self.take_lines(false);
    }

    /// Takes the end of the text.
    pub fn finish(&mut self) {
        self.take_lines(true);
        if let Some(start) = self.blocks.comment.take() {
            // It was not one after all.
            self.blocks.no_comments = true;
            (self.next, self.searched) = (start, start);
            self.take_lines(true);
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

    fn take_lines(&mut self, all: bool) {
        while let Some((end, next)) = self.line_end(all) {
            self.blocks.line(&self.source, self.next..end);
            (self.next, self.searched) = (next, next);
        }
        self.searched = self.source.len().saturating_sub(1).max(self.next);
    }

    /// Where the next line ends, and where the one after it begins.
    fn line_end(&self, all: bool) -> Option<(usize, usize)> {
        let bytes = self.source.as_bytes();
        match memchr::memchr2(b'\n', b'\r', &bytes[self.searched..]).map(|found| self.searched + found) {
            // It may be half a line end.
            Some(end) if bytes[end] == b'\r' && end + 1 == bytes.len() && !all => None,
            Some(end) => Some((end, end + if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 })),
            None => (all && self.next < bytes.len()).then_some((bytes.len(), bytes.len())),
        }
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
}

/// What a group of lines is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
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
        if let Some(code) = self.code.take() {
            let goes_on = match &code.fence {
                // A quote ends before the first line without a mark, and with it whatever is open inside.
                Some(fence) if fence.quotes > 0 && !text.trim_start().starts_with('>') => false,
                Some(fence) if closing(quoted(text, fence.quotes), fence.mark, fence.run, fence.column) => {
                    return self.close(source, &code, Some(line));
                }
                Some(_) => true,
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
        } else if let Some(level) = line::underline(text).filter(|_| self.dialect && self.is_title(source)) {
            let title = std::mem::take(&mut self.paragraph);
            self.lists.end_at(indent);
            self.write(source, &title, Form::Title { level, underline: line.end });
        } else if let Some(level) = heading(text) {
            self.end_paragraph(source);
            self.lists.end_at(indent);
            self.write(source, &[line], Form::Heading(level));
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
        let item = this.markers.contains(|c: char| c != '>' && !c.is_whitespace());
        // A paragraph in a quote may continue without the mark.
        let quote = match (first.quotes > 0, this.quotes > 0) {
            (true, false) => !self.dialect || start(&source[last.clone()]).rest.is_empty(),
            (false, quoted) => quoted,
            (true, true) => false,
        };
        let details =
            self.dialect && (dialect::is_details(this.rest) || dialect::is_whole_details(first.rest));
        let note = this.rest.starts_with("[^");
        item || quote || details || note
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
        let lines = std::mem::take(&mut self.paragraph);
        let table = if self.dialect { Table::find(source, &lines) } else { None };
        match table {
            Some(table) => {
                if table.first > 0 {
                    self.write(source, &lines[..table.first], Form::Paragraph);
                }
                self.lists.cut();
                self.begin_line(source, lines[table.first].start, None);
                table.write(source, &mut self.document);
            }
            None if lines.is_empty() => {}
            None => self.write(source, &lines, Form::Paragraph),
        }
    }

    /// Writes a paragraph or a heading.
    fn write(&mut self, source: &str, lines: &[Range<usize>], form: Form) {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return };
        let at = first.end - source[first.clone()].trim_start().len();
        let text = &source[at..last.end];
        let mut end = last.end;
        let mut spans = inline::spans(text);
        let mut swaps = Vec::new();
        clean(source, lines, at, &mut swaps);
        if self.dialect {
            if form == Form::Paragraph && dialect::is_details(text) {
                // Of two that swap the same tag, the first one does.
                dialect::details(text, at, &mut swaps);
            }
            links::write(text, at, &spans, &mut swaps);
            dialect::hard_breaks(source, lines, &mut swaps);
            dialect::comments(text, at, &spans, &mut swaps);
            dialect::long_code(text, at, &spans, &mut swaps);
            dialect::note_marks(at, &spans, &mut swaps);
            let line = new_line(text, &source[first.start..at], form != Form::Paragraph);
            html::write(text, at, &spans, &line, &mut swaps);
            let bold = matches!(form, Form::Heading(4..));
            meaning::write(text, at, &spans, bold, &mut swaps);
            let quoted = text.starts_with('>');
            for line in lines {
                dialect::quote(&source[line.clone()], line.start, quoted, &mut swaps);
                dialect::small_mark(&source[line.clone()], line.start, &mut swaps);
            }
            match form {
                Form::Heading(level) => dialect::heading(text, at, level, &mut swaps),
                Form::Title { level, underline } => {
                    for pair in lines.windows(2) {
                        swaps.push(swap(pair[0].end..pair[1].start, " "));
                    }
                    swaps.push(swap(at..at, if level == 1 { "# " } else { "## " }));
                    swaps.push(swap(end..underline, ""));
                    end = underline;
                }
                Form::Paragraph if dialect::is_details(text) => {}
                Form::Paragraph if dialect::note(source, lines, at, &spans, &mut swaps) => {
                    self.lists.note(columns(&source[first.start..at]));
                }
                Form::Paragraph
                    if !is_list_item(text) && self.lists.in_note(columns(&source[first.start..at])) =>
                {
                    dialect::small(source, lines, &mut swaps);
                }
                Form::Paragraph => {
                    self.lists.item(text, &source[first.start..at], at, &mut swaps);
                }
            }
            self.shift(source, lines, is_list_item(text), &mut swaps);
        }
        swaps.sort_by_key(|swap| (swap.range.start, swap.range.end));
        if !swaps.is_empty() && is_empty(text, applied(source, at..end, &swaps).trim()) {
            self.leave_out(first.start..end);
            return;
        }

        let here = if self.document.lines.is_empty() { at } else { first.start };
        let begin = self.begin_line(source, here, None);
        self.document.apply(source, end, &swaps);
        let document = &mut self.document;
        let written = &document.text[begin..];
        let from = begin + written.len() - written.trim_start().len();
        if !swaps.is_empty() {
            spans = inline::spans(&document.text[from..]);
        }
        let heading = form != Form::Paragraph || is_bold_title(&document.text[from..], &spans);
        document.end_lines(begin, |line| match line.trim() {
            "" => LineKind::Blank,
            // For a reader it is a blank line, too.
            ">" if self.dialect => LineKind::Blank,
            _ if heading => LineKind::Heading,
            // What stood before it was left out.
            text if line::heading(text).is_some_and(|level| level <= 3) => LineKind::Heading,
            text if is_list_item(text) => LineKind::Item,
            _ => LineKind::Text,
        });
        document.note_spans(from, &spans);
    }

    /// Moves lines of a list to the left where Discord would not see what they belong to.
    fn shift(&mut self, source: &str, lines: &[Range<usize>], is_item: bool, swaps: &mut Vec<Swap>) {
        let indent = |line: &Range<usize>| {
            let text = &source[line.clone()];
            text.len() - text.trim_start_matches(' ').len()
        };
        let by = self.lists.shift(lines.first().map_or(0, indent), is_item);
        for line in lines {
            let by = by.min(indent(line));
            if by > 0 {
                swaps.push(swap(line.start..line.start + by, ""));
            }
        }
    }

    /// Writes a rule, a line of its own.
    fn rule(&mut self, source: &str, line: Range<usize>) {
        if self.dialect {
            self.lists.cut();
            let begin = self.begin_line(source, line.start, None);
            self.document.swap_to(line.end, dialect::RULE);
            self.document.end_line(begin, LineKind::Text);
        } else {
            self.write(source, &[line], Form::Paragraph);
        }
    }

    /// Whether what is held back is a little plain text, which an underline makes a heading.
    fn is_title(&self, source: &str) -> bool {
        let (Some(first), Some(last)) = (self.paragraph.first(), self.paragraph.last()) else { return false };
        let start = start(&source[first.clone()]);
        let plain =
            start.markers.is_empty() && start.indent.is_empty() && !start.rest.starts_with(['|', '[']);
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

/// What a new line within this text begins with: the mark of its quote, or the indentation of its item.
fn new_line(text: &str, indent: &str, is_heading: bool) -> String {
    match line::list_marker(text) {
        _ if is_heading => " ".to_owned(),
        Some((marker, _)) => format!("\n{indent}{}", " ".repeat(marker.len() + 1)),
        None if text.starts_with('>') => "\n> ".to_owned(),
        None => format!("\n{indent}"),
    }
}

/// Whether nothing is left of a text but the marker of an item.
fn is_empty(text: &str, left: &str) -> bool {
    left.is_empty()
        || (left.len() < text.len()
            && line::list_marker(&format!("{left} ")).is_some_and(|(_, rest)| rest.trim().is_empty()))
}

fn applied(source: &str, range: Range<usize>, swaps: &[Swap]) -> String {
    let mut text = String::new();
    let mut at = range.start;
    for swap in swaps.iter().filter(|swap| swap.range.start >= range.start) {
        if swap.range.start >= at {
            text += &source[at..swap.range.start];
            text += &swap.with;
            at = swap.range.end;
        }
    }
    text + &source[at.min(range.end)..range.end]
}

/// A short line that is all bold is meant as a heading.
fn is_bold_title(text: &str, spans: &[Span]) -> bool {
    let text = text.trim_end();
    let whole = |span: &Span| {
        span.kind == SpanKind::Run(2)
            && span.range.start == 0
            && text[span.range.end.min(text.len())..].len() <= 1
    };
    text.len() <= 100 && text.starts_with("**") && !text.contains('\n') && spans.first().is_some_and(whole)
}
