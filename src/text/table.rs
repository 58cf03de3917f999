//! Tables, which Discord does not have. A narrow one becomes aligned columns in a code block, a wide one a list of its rows.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::clean::{controls, tidy};
use super::dialect::{self, Swap, swap};
use super::document::{Document, LineKind};
use super::html;
use super::inline::{self, Span, SpanKind};
use super::line::{list_marker, start};
use super::links;
use super::math;
use super::meaning;
use super::references::References;
use super::{LIMIT, ZERO_WIDTH};

/// The columns that a common phone shows in a line of code. Discord's app for Android has room for about 37 on a screen 393
/// points wide, by its own measures (margins of 84, a font of 13.6 points); a narrow screen has 33, a wide one 40.
const WIDEST: usize = 36;

/// If no row takes more columns of text than this, each becomes one line of a list.
const ROW: usize = 80;

/// The spaces between two columns.
const GAP: usize = 2;

/// A table in a paragraph.
pub struct Table {
    /// Which line of the paragraph is its header.
    pub first: usize,
    quote: String,
    columns: Vec<Align>,
    header: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    /// Where it ends in the source.
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Center,
    Right,
}

/// One cell.
struct Cell {
    /// Where its text is in the source, without the white space around it.
    range: Range<usize>,
    /// Its text as code, without markers.
    bare: Vec<Swap>,
    /// The columns that this takes.
    width: usize,
    /// How much of that a list does not show: the targets of links.
    hidden: usize,
    /// Its text in a list, with nothing escaped.
    rich: Vec<Swap>,
    has_link: bool,
    /// Whether some of it is read from right to left: such columns would trade places in a line.
    is_rtl: bool,
}

impl Table {
    /// The table in these lines, if there is one: a line of cells above a line of as many dashes. A header without rows counts
    /// only if it can be shown as columns.
    pub fn find(source: &str, lines: &[Range<usize>], references: &References) -> Option<Self> {
        let first = lines.windows(2).position(|pair| {
            let (head, rule) = (&source[pair[0].clone()], &source[pair[1].clone()]);
            head.contains('|')
                && aligns(rule).is_some_and(|aligns| {
                    split(head, 0, aligns.len()).len() == aligns.len()
                        && list_marker(head.trim_start()).is_none()
                })
        })?;
        let mut columns = aligns(&source[lines[first + 1].clone()])?;
        let row = |line: &Range<usize>| -> Vec<Cell> {
            let cells = split(&source[line.clone()], line.start, columns.len());
            cells.into_iter().map(|range| Cell::new(source, range, references)).collect()
        };
        let header = row(&lines[first]);
        let rows: Vec<_> = lines[first + 2..].iter().map(row).collect();
        let most = rows.iter().map(Vec::len).max().unwrap_or(0);
        columns.resize(columns.len().max(most), Align::Left);
        let quote = "> ".repeat(start(&source[lines[first].clone()]).quotes);
        let end = lines.last()?.end;
        let table = Self { first, quote, columns, header, rows, end };
        (!table.rows.is_empty() || table.widths().is_some()).then_some(table)
    }

    /// Writes it; the document is at the beginning of its first line.
    pub fn write(&self, source: &str, document: &mut Document) {
        match self.widths() {
            Some(widths) => self.write_columns(source, document, &widths),
            None => self.write_list(source, document),
        }
    }

    /// The widths of its columns; `None` if they cannot be shown in a code block.
    fn widths(&self) -> Option<Vec<usize>> {
        let mut cells = self.rows.iter().chain([&self.header]).flatten();
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        let width = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        // There could be any number of characters without width, such as accents, and each part repeats the header.
        let header: usize = self.header.iter().map(|cell| cell.range.len()).sum();
        let fits = width <= WIDEST && header <= LIMIT / 2;
        (fits && !cells.any(|cell| cell.has_link || cell.is_rtl)).then_some(widths)
    }

    fn width(&self, column: usize) -> usize {
        let rows = self.rows.iter().chain([&self.header]);
        rows.filter_map(|row| row.get(column)).map(|cell| cell.width).max().unwrap_or(0).max(1)
    }

    fn write_columns(&self, source: &str, document: &mut Document, widths: &[usize]) {
        let begin = document.text.len();
        document.put(&self.quote);
        document.put("```");
        let block = document.begin_block(self.quote.clone(), String::new(), 0);
        document.end_line(begin, LineKind::Open(block));
        let begin = self.write_row(source, document, widths, &self.header, block);

        document.put("\n");
        let rule = document.text.len();
        document.put(&self.quote);
        let rules: Vec<_> = widths.iter().map(|&width| "─".repeat(width)).collect();
        document.put(&rules.join(&" ".repeat(GAP)));
        document.end_line(rule, LineKind::Code(block));
        document.blocks[block].header = format!("{}\n", &document.text[begin..]);

        for row in &self.rows {
            self.write_row(source, document, widths, row, block);
        }
        document.skip_to(self.end);
        document.put("\n");
        let begin = document.text.len();
        document.put(&self.quote);
        document.put("```");
        document.end_line(begin, LineKind::Close(block));
        document.blocks[block].closed = true;
    }

    /// Writes one row as a line of code. Returns where it begins.
    fn write_row(
        &self,
        source: &str,
        document: &mut Document,
        widths: &[usize],
        row: &[Cell],
        block: usize,
    ) -> usize {
        document.put("\n");
        let begin = document.text.len();
        document.put(&self.quote);
        let mut pending = 0;
        for (column, cell) in row.iter().enumerate() {
            let left = widths[column] - cell.width;
            let before = match self.columns[column] {
                Align::Left => 0,
                Align::Center => left / 2,
                Align::Right => left,
            };
            if cell.width > 0 {
                document.skip_to(cell.range.start);
                document.put(&" ".repeat(pending + before));
                document.apply(source, cell.range.end, &cell.bare);
                pending = 0;
            } else {
                pending += before;
            }
            pending += left - before + GAP;
        }
        document.end_line(begin, LineKind::Code(block));
        begin
    }

    /// `- **header:** value`, followed by the row's other values, in lines of their own if it would get too long.
    fn write_list(&self, source: &str, document: &mut Document) {
        let names: Vec<String> = self.header.iter().map(|cell| cell.shown(source)).collect();
        let width = |row: &Vec<Cell>| -> usize {
            let name = |column: usize| names.get(column).map_or(0, |name| name.width() + 5);
            row.iter()
                .enumerate()
                .map(|(column, cell)| name(column) + cell.width.saturating_sub(cell.hidden))
                .sum()
        };
        let widest = self.rows.iter().map(width).max().unwrap_or(0);
        let between = if widest <= ROW { " · " } else { "\n" };
        let lines = document.lines.len();
        for entries in self.items(&names) {
            if document.lines.len() > lines {
                document.put("\n");
            }
            self.write_item(source, document, &entries, between);
        }
        document.skip_to(self.end);
        for number in lines..document.lines.len() {
            let range = document.lines[number].range.clone();
            let spans = inline::spans(&document.text[range.clone()]);
            document.note_spans(range.start, &spans);
        }
    }

    /// What the items of the list show: for each row that is not empty, the name and the cell of each column with something in
    /// it. The first item also names the columns that are empty everywhere.
    fn items<'a>(&'a self, names: &'a [String]) -> Vec<Vec<(&'a str, Option<&'a Cell>)>> {
        let name = |column: usize| names.get(column).map(String::as_str).unwrap_or_default();
        let filled = |row: &'a Vec<Cell>| {
            let cells = row.iter().enumerate().filter(|(_, cell)| !cell.range.is_empty());
            cells.map(|(column, cell)| (name(column), Some(cell))).collect::<Vec<_>>()
        };
        let mut items: Vec<_> = self.rows.iter().map(filled).filter(|item| !item.is_empty()).collect();
        if items.is_empty() {
            items.push(Vec::new());
        }
        let is_filled =
            |row: &Vec<Cell>, column: usize| row.get(column).is_some_and(|cell| !cell.range.is_empty());
        for column in 0..names.len() {
            if !name(column).is_empty() && !self.rows.iter().any(|row| is_filled(row, column)) {
                items[0].push((name(column), None));
            }
        }
        items
    }

    /// One item of the list, with `between` between its values.
    fn write_item(
        &self,
        source: &str,
        document: &mut Document,
        entries: &[(&str, Option<&Cell>)],
        between: &str,
    ) {
        let mut begin = document.text.len();
        let mut kind = LineKind::Item;
        if entries.is_empty() {
            document.put("-");
        }
        for (place, (name, cell)) in entries.iter().enumerate() {
            if place > 0 {
                if between == "\n" {
                    document.end_line(begin, kind);
                    begin = document.text.len() + between.len();
                    kind = LineKind::Text;
                }
                document.put(between);
            }
            if let Some(cell) = cell {
                document.skip_to(cell.range.start);
            }
            if document.text.len() == begin {
                document.put(&self.quote);
                document.put(if place == 0 { "- " } else { "  " });
            }
            if !name.is_empty() {
                let colon = if name.ends_with(['?', '!', ':']) { "" } else { ":" };
                document.put(&format!("**{name}{colon}**"));
            }
            let Some(cell) = cell else { continue };
            // What has no name is one.
            let bold = if name.is_empty() && place == 0 && cell.bare.is_empty() { "**" } else { "" };
            document.put(if name.is_empty() { bold } else { " " });
            document.apply(source, cell.range.end, &cell.rich);
            document.put(bold);
        }
        document.end_line(begin, if entries.is_empty() { LineKind::Text } else { kind });
    }
}

impl Cell {
    fn new(source: &str, range: Range<usize>, references: &References) -> Self {
        let text = &source[range.clone()];
        let at = range.start;
        let (mut bare, mut rich) = (Vec::new(), Vec::new());
        let mut has_link = false;
        let mut hidden = 0;
        let spans = inline::spans_with(text, references);
        links::write(text, at, &spans, &mut rich);
        math::write(at, text, &spans, &mut rich);
        dialect::long_code(text, at, &spans, &mut rich);
        meaning::write(text, at, &spans, false, &mut rich);
        for span in &spans {
            let Range { start, end } = span.range;
            match span.kind.clone() {
                SpanKind::Code(marker) | SpanKind::Run(marker) => {
                    bare.push(swap(at + start..at + start + marker, ""));
                    bare.push(swap(at + end - marker..at + end, ""));
                }
                SpanKind::Comment => {
                    bare.push(swap(at + start..at + end, ""));
                    rich.push(swap(at + start..at + end, ""));
                }
                SpanKind::Link { label, .. } => {
                    has_link = true;
                    hidden += end - label.end + label.start - start;
                }
                SpanKind::Escape => {
                    if text.as_bytes()[start + 1] != b'|' {
                        bare.push(swap(at + start..at + start + 1, ""));
                    }
                }
                SpanKind::Tagged { tags, .. } => {
                    bare.push(swap(at + start..at + start + tags[0], ""));
                    bare.push(swap(at + end - tags[1]..at + end, ""));
                }
                SpanKind::HtmlCode(inner) => {
                    bare.push(swap(at + start..at + inner.start, ""));
                    bare.push(swap(at + inner.end..at + end, ""));
                }
                SpanKind::Math { inner, .. } => {
                    math::code(text, at, span.range.clone(), inner, "", &mut bare);
                }
                SpanKind::Entity(c) => bare.push(swap(at + start..at + end, c.to_string())),
                SpanKind::Bracket
                | SpanKind::Tag
                | SpanKind::Angle
                | SpanKind::Address
                | SpanKind::Note
                | SpanKind::Loose => {}
            }
        }
        has_link |= text.contains("://") || text.contains("<img ") || text.contains("<a ");
        let mut both = Vec::new();
        both.extend(text.match_indices("\\|").map(|(place, _)| swap(at + place..at + place + 1, "")));
        html::write(text, at, &spans, " / ", &mut both);
        tidy(text, at, &mut both);
        controls(text, at, &mut both);
        let is_rtl = text
            .chars()
            .any(|c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'));
        let mut cell = Self { range, bare, width: 0, hidden, rich, has_link, is_rtl };
        for swaps in [&mut cell.bare, &mut cell.rich] {
            swaps.extend(both.iter().map(|s| swap(s.range.clone(), s.with.clone())));
            // What keeps marks apart stands before what escapes them.
            swaps.sort_by_key(|swap| (swap.range.start, swap.range.end, swap.with != ZERO_WIDTH));
        }
        cell.width = cell.shown(source).width();
        cell
    }

    /// The text without markers.
    fn shown(&self, source: &str) -> String {
        let mut document = Document::default();
        document.skip_to(self.range.start);
        document.apply(source, self.range.end, &self.bare);
        document.text
    }
}

/// The alignments that a line of dashes specifies.
fn aligns(line: &str) -> Option<Vec<Align>> {
    let text = line.trim_start_matches(['>', ' ', '\t']).trim_end();
    if !text.contains('-')
        || !text.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ' | '\t'))
        || !text.contains('|')
    {
        return None;
    }
    let inner = text.strip_prefix('|').unwrap_or(text);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let cells = inner.split('|').map(|cell| {
        let cell = cell.trim();
        let dashes = cell.trim_start_matches(':').trim_end_matches(':');
        let valid = !dashes.is_empty() && dashes.chars().all(|c| c == '-');
        valid.then(|| match (cell.starts_with(':'), cell.ends_with(':')) {
            (true, true) => Align::Center,
            (false, true) => Align::Right,
            _ => Align::Left,
        })
    });
    cells.collect()
}

/// The cells of a line that begins at `at` in the source. A `|` in a code span or a link separates cells too, unless it is escaped, as
/// on GitHub; but if there are `expected` cells only when such spans are kept whole, that is what was meant.
fn split(line: &str, at: usize, expected: usize) -> Vec<Range<usize>> {
    let text = line.trim_start_matches(['>', ' ', '\t']);
    let at = at + line.len() - text.len();
    let text = text.trim_end();
    let strict = split_at(text, at, &[]);
    if strict.len() == expected || !text.contains(['`', '[']) {
        return strict;
    }
    let is_whole = |span: &Span| matches!(span.kind, SpanKind::Code(_) | SpanKind::Link { .. });
    let spans: Vec<_> = inline::spans(text).into_iter().filter(is_whole).map(|span| span.range).collect();
    let whole = split_at(text, at, &spans);
    if whole.len() == expected { whole } else { strict }
}

fn split_at(text: &str, at: usize, whole: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut cells = Vec::new();
    let mut begin = 0;
    let mut escaped = false;
    let mut skip = whole.iter().peekable();
    for (place, byte) in text.bytes().enumerate() {
        while skip.next_if(|range| range.end <= place).is_some() {}
        let within = skip.peek().is_some_and(|range| range.contains(&place));
        if byte == b'|' && !escaped && !within {
            if place > 0 {
                cells.push(begin..place);
            }
            begin = place + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    if begin < text.len() {
        cells.push(begin..text.len());
    }
    let trimmed = cells.into_iter().map(|cell| {
        let inner = &text[cell.clone()];
        let start = cell.start + inner.len() - inner.trim_start().len();
        at + start..at + start + inner.trim().len()
    });
    trimmed.collect()
}
