//! What the beginning of a line says about it.
//!
//! CommonMark's fences are runs of three or more backticks or tildes, and a block ends at a run of the same kind that is at
//! least as long. Discord only knows three backticks, wherever they are.

use super::{INDENT, units};

/// Longer info strings are cut to this many UTF-16 units.
const INFO: usize = 80;

/// How a line starts, before its text: indentation, quote and list markers.
#[derive(Debug, Clone, Copy)]
pub struct LineStart<'a> {
    /// White space.
    pub indent: &'a str,
    /// Everything from there to the text.
    pub markers: &'a str,
    /// How many of the markers are quote markers.
    pub quotes: usize,
    /// The text.
    pub rest: &'a str,
}

/// How this line starts.
pub fn start(line: &str) -> LineStart<'_> {
    let text = line.trim_start();
    let mut rest = text;
    let mut quotes = 0;
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            quotes += 1;
            rest = after.trim_start();
        } else if let Some((_, after)) = list_marker(rest) {
            rest = after.trim_start();
        } else {
            break;
        }
    }
    let indent = &line[..line.len() - text.len()];
    LineStart { indent, markers: &text[..text.len() - rest.len()], quotes, rest }
}

/// The list marker that a text begins with, and what follows it.
pub fn list_marker(text: &str) -> Option<(&str, &str)> {
    let after = match text.strip_prefix(['-', '*', '+']) {
        Some(after) => after,
        None => {
            let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = text.len() - after.len();
            after.strip_prefix(['.', ')']).filter(|_| (1..10).contains(&digits))?
        }
    };
    after.starts_with([' ', '\t']).then(|| text.split_at(text.len() - after.len()))
}

/// Whether the line begins with a number that cannot begin a list within a paragraph: any but 1.
pub fn is_later_item(line: &str) -> bool {
    let marker = list_marker(line.trim_start()).and_then(|(marker, _)| marker.strip_suffix(['.', ')']));
    marker.is_some_and(|number| number.parse() != Ok(1))
}

/// Whether the line is an item of a list.
pub fn is_list_item(line: &str) -> bool {
    list_marker(line.trim_start()).is_some()
}

/// The level of a heading, 1 to 6.
pub fn heading(text: &str) -> Option<usize> {
    let after = text.trim_start_matches('#');
    let level = text.len() - after.len();
    ((1..=6).contains(&level) && (after.is_empty() || after.starts_with([' ', '\t']))).then_some(level)
}

/// Whether the line is a rule: three or more of one mark, and nothing else.
pub fn is_rule(text: &str) -> bool {
    let Some(mark @ ('-' | '*' | '_')) = text.chars().next() else { return false };
    let marks = text.chars().filter(|c| !c.is_whitespace());
    text.chars().all(|c| c == mark || c.is_whitespace()) && marks.take(3).count() == 3
}

/// The heading level that this line gives to the one before it.
pub fn underline(line: &str) -> Option<usize> {
    let text = line.trim_end();
    let all = |mark| !text.is_empty() && text.chars().all(|c| c == mark);
    if all('=') { Some(1) } else { all('-').then_some(2) }
}

/// The width of white space in columns; a tab reaches to the next multiple of four.
pub fn columns(indent: &str) -> usize {
    indent.chars().fold(0, |column, c| if c == '\t' { column / 4 * 4 + 4 } else { column + 1 })
}

/// The opening line of a code block.
#[derive(Debug)]
pub struct Opening<'a> {
    /// What comes before the fence.
    pub start: LineStart<'a>,
    /// A backtick or a tilde.
    pub mark: u8,
    /// How many there are.
    pub run: usize,
    /// The part of the info string that is kept; it begins after the fence and white space.
    pub info: &'a str,
}

/// Whether and how this line opens a code block.
pub fn opening(line: &str) -> Option<Opening<'_>> {
    let start = start(line);
    let mark = *start.rest.as_bytes().first().filter(|mark| matches!(mark, b'`' | b'~'))?;
    let run = start.rest.bytes().take_while(|&b| b == mark).count();
    let info = start.rest[run..].trim();
    // Before a fence there is nothing but marks, spaces and tabs: any other white space is text.
    let is_text = |c: char| c.is_whitespace() && !matches!(c, ' ' | '\t');
    if start.indent.contains(is_text) || start.markers.contains(is_text) {
        return None;
    }
    // More backticks after the fence make it a code span.
    if run < 3 || (mark == b'`' && info.contains('`')) || start.markers.len() > INDENT {
        return None;
    }
    let short = &info[..fitting(info, INFO)];
    Some(Opening { start, mark, run, info: short.split('`').next().unwrap_or_default().trim_end() })
}

/// Whether this line, without the marks of its quote, closes a block that was opened in this column.
pub fn closing(line: &str, mark: u8, run: usize, column: usize) -> bool {
    let rest = line.trim_start_matches([' ', '\t']);
    let length = rest.bytes().take_while(|&b| b == mark).count();
    let indent = columns(&line[..line.len() - rest.len()]);
    length >= run && rest[length..].trim().is_empty() && indent < column + 4
}

/// How the code of a block is indented, compared with its fence.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum CodeIndent {
    /// There is none yet.
    #[default]
    Unknown,
    /// All of it like the fence, or further.
    Like,
    /// Not all of it.
    Less,
}

impl CodeIndent {
    /// Takes the next line of a block whose fence is in this column. Returns whether the block has ended before it: the code
    /// was indented like the item that it is in, and another item begins. Code that is not indented like its fence goes on.
    pub fn ends_before(&mut self, line: &str, column: usize) -> bool {
        let text = line.trim_start();
        if text.is_empty() {
            return false;
        }
        let is_like = columns(&line[..line.len() - text.len()]) >= column;
        let ends = column > 1 && !is_like && *self == Self::Like && list_marker(text).is_some();
        *self = if is_like && *self != Self::Less { Self::Like } else { Self::Less };
        ends
    }
}

/// What a line of code that shows a language to Discord may hold.
pub fn language(info: &str) -> &str {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "_+-.#".contains(c));
    info.split(ends).next().unwrap_or_default()
}

/// Whether a text from the middle of a line would mean something else at the start of one.
pub fn is_block_start(text: &str) -> bool {
    let start = start(text);
    let fence = start.rest.starts_with("```") || start.rest.starts_with("~~~");
    !start.markers.is_empty() || heading(text).is_some() || text.starts_with("-#") || fence
}

/// How many bytes of the text are at most this many UTF-16 units.
pub fn fitting(text: &str, mut room: usize) -> usize {
    let bytes = text.as_bytes();
    if bytes[..room.min(bytes.len())].is_ascii() {
        return room.min(bytes.len());
    }
    for (offset, &byte) in bytes.iter().enumerate() {
        let units = units_of(byte);
        if units > room {
            return offset;
        }
        room -= units;
    }
    text.len()
}

/// The UTF-16 units of a text that this byte of it stands for: each character has one byte that continues no other, and those of
/// four bytes have two units.
pub fn units_of(byte: u8) -> usize {
    usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0)
}

/// Whether the text has at most this many UTF-16 units; does not count all of a long one.
pub fn fits(text: &str, room: usize) -> bool {
    text.len() <= room || (text.len() <= 3 * room && units(text) <= room)
}
