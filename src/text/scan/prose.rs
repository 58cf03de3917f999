//! Prose: paragraphs, items, headings and rules.

use std::ops::Range;

use super::super::ZERO_WIDTH;
use super::super::clean::{clean, controls};
use super::super::dialect::{self, Swap, swap};
use super::super::document::LineKind;
use super::super::html;
use super::super::inline::{self, Span, SpanKind};
use super::super::line::{self, columns, is_list_item};
use super::super::links;
use super::super::math;
use super::super::meaning;
use super::{Blocks, ProseKind};

impl Blocks {
    /// Writes a paragraph or a heading.
    pub fn write(&mut self, source: &str, lines: &[Range<usize>], kind: ProseKind) {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return };
        let at = first.end - source[first.clone()].trim_start().len();
        let text = &source[at..last.end];
        let mut end = last.end;
        let mut spans =
            if self.dialect { inline::spans_with(text, &self.references) } else { inline::spans(text) };
        if kind == ProseKind::Paragraph
            && let [Span { range, kind: SpanKind::Math { inner, display: true } }] = spans.as_slice()
            && text[range.end..].trim().is_empty()
            && range.start == 0
        {
            return self.formula(source, first.start, at + inner.start..at + inner.end, end);
        }
        let mut swaps = Vec::new();
        clean(source, lines, at, &mut swaps);
        if self.dialect {
            if kind == ProseKind::Paragraph && dialect::is_details(text) {
                // Of two that swap the same tag, the first one does.
                dialect::details(text, at, &mut swaps);
            }
            controls(text, at, &mut swaps);
            links::write(text, at, &spans, &mut swaps);
            math::write(at, text, &spans, &mut swaps);
            dialect::hard_breaks(source, lines, &mut swaps);
            dialect::comments(text, at, &spans, &mut swaps);
            dialect::long_code(text, at, &spans, &mut swaps);
            dialect::note_marks(at, &spans, &mut swaps);
            let line = new_line(text, &source[first.start..at], kind != ProseKind::Paragraph);
            html::write(text, at, &spans, &line, &mut swaps);
            let bold = matches!(kind, ProseKind::Heading(4..));
            meaning::write(text, at, &spans, bold, &mut swaps);
            let quoted = text.starts_with('>');
            for line in lines {
                dialect::quote(&source[line.clone()], line.start, quoted, &mut swaps);
                dialect::small_mark(&source[line.clone()], line.start, &mut swaps);
            }
            match kind {
                ProseKind::Heading(level) => dialect::heading(text, at, level, &mut swaps),
                ProseKind::Title { level, underline } => {
                    for pair in lines.windows(2) {
                        swaps.push(swap(pair[0].end..pair[1].start, " "));
                    }
                    let begin = at + text.len() - text.trim_start_matches(['>', ' ']).len();
                    swaps.push(swap(begin..begin, if level == 1 { "# " } else { "## " }));
                    swaps.push(swap(end..underline, ""));
                    end = underline;
                }
                ProseKind::Paragraph if dialect::is_details(text) => {}
                ProseKind::Paragraph if dialect::note(source, lines, at, &spans, &mut swaps) => {
                    self.lists.note(columns(&source[first.start..at]));
                }
                ProseKind::Paragraph
                    if !is_list_item(text) && self.lists.in_note(columns(&source[first.start..at])) =>
                {
                    dialect::small(source, lines, &mut swaps);
                }
                ProseKind::Paragraph => {
                    for line in &lines[1..] {
                        dialect::no_item(&source[line.clone()], line.start, &mut swaps);
                    }
                    self.lists.item(text, &source[first.start..at], at, &mut swaps);
                }
            }
            self.shift(source, lines, is_list_item(text), &mut swaps);
        }
        swaps.sort_by_key(|swap| (swap.range.start, swap.range.end));
        // Two that keep the same marks apart are one.
        swaps.dedup_by(|a, b| a == b && a.range.is_empty() && a.with == ZERO_WIDTH);
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
        let heading = kind != ProseKind::Paragraph || is_bold_title(&document.text[from..], &spans);
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

    /// Writes a formula as a block of code. It begins a paragraph here, and ends there.
    fn formula(&mut self, source: &str, here: usize, inner: Range<usize>, end: usize) {
        let begin = self.begin_line(source, here, None);
        self.lists.cut();
        let document = &mut self.document;
        document.put("```");
        let block = document.begin_block(String::new(), String::new(), 0);
        document.end_line(begin, LineKind::Open(block));
        let text = source[inner.clone()].trim();
        let start = inner.end - source[inner].trim_start().len();
        if let Some(exact) = math::exact(text).filter(|_| !text.contains('\n')) {
            document.put("\n");
            let begin = document.text.len();
            document.swap_to(start + text.len(), &exact);
            document.end_line(begin, LineKind::Code(block));
        } else {
            let mut at = start;
            for line in text.split('\n') {
                let next = at + line.len() + 1;
                document.put("\n");
                let begin = document.text.len();
                document.skip_to(at + line.len() - line.trim_start().len());
                document.keep_to(source, at + line.trim_end().len());
                document.end_line(begin, LineKind::Code(block));
                at = next;
            }
        }
        document.skip_to(end);
        document.put("\n");
        let begin = document.text.len();
        document.put("```");
        document.end_line(begin, LineKind::Close(block));
        document.blocks[block].closed = true;
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
    pub fn rule(&mut self, source: &str, line: Range<usize>) {
        if self.dialect {
            self.lists.cut();
            let begin = self.begin_line(source, line.start, None);
            self.document.swap_to(line.end, dialect::RULE);
            self.document.end_line(begin, LineKind::Text);
        } else {
            self.write(source, &[line], ProseKind::Paragraph);
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
        } else if swap.with.is_empty() {
            at = at.max(swap.range.end);
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
