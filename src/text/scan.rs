//! The first step: what each line is, and fences as Discord understands them.
//!
//! CommonMark's fences are runs of three or more backticks or tildes, and a block ends at a run of the same
//! kind that is at least as long. Discord knows three backticks only, wherever they stand.

use std::ops::Range;

use super::{LIMIT, units};

/// Longer indentations of text are cut to this, and deeper nests of markers are no fence: nobody means them,
/// and what a part must repeat stays short.
pub const INDENT: usize = 40;
/// Longer info strings are cut to this many UTF-16 units.
const INFO: usize = 80;
/// Keeps Discord from seeing what it would otherwise see, or from trimming what is to stay.
pub const ZERO_WIDTH: &str = "\u{200b}";

/// A scanned text.
#[derive(Debug, Default)]
pub struct Document {
    /// The source, with fences in Discord's way and `\n` as the only line end; its first and last line are
    /// not blank.
    pub text: String,
    /// All lines in order.
    pub lines: Vec<Line>,
    /// The code blocks in order; [`Kind`] counts them.
    pub blocks: Vec<Block>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it stands in [`Document::text`], without its line end.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// White space outside code.
    Blank,
    /// `# …`
    Heading,
    /// Anything else outside code.
    Text,
    /// A line of text that starts like a fence and is none (a code span in three backticks): cut in two, its
    /// first half would be one.
    FenceLike,
    /// The opening line of this code block.
    Open(usize),
    /// A line of code in this block.
    Code(usize),
    /// The closing line of this block.
    Close(usize),
}

/// What a part must repeat to go on with a code block.
#[derive(Debug)]
pub struct Block {
    /// The markers of the block quote it stands in, or nothing.
    pub quote: String,
    /// The info string.
    pub info: String,
    /// The UTF-16 units of its opening line, here or repeated, without the line end.
    pub opening: usize,
    /// The units of its closing line, here or added, with the line end before it.
    pub closing: usize,
    /// The units of the code itself, with a line end before each line.
    pub code: usize,
}

impl Block {
    /// The line that opens it again.
    pub fn reopened(&self) -> String {
        format!("{}```{}\n", self.quote, self.info)
    }

    /// What closes it after a line of code.
    pub fn closed(&self) -> String {
        format!("\n{}```", self.quote)
    }

    /// Whether it fits in one part, and so must not be split.
    pub fn fits_whole(&self) -> bool {
        self.fits(self.code)
    }

    /// Whether this much code fits in one part between its fences.
    pub fn fits(&self, code: usize) -> bool {
        self.opening + code + self.closing <= LIMIT
    }
}

/// An opening fence in the source.
struct Fence<'a> {
    start: Start<'a>,
    mark: char,
    run: usize,
    info: String,
}

/// How a line starts, before its text: indentation, quote and list markers.
struct Start<'a> {
    indent: &'a str,
    markers: &'a str,
    /// How many of the markers are quote markers.
    quotes: usize,
    rest: &'a str,
}

impl Start<'_> {
    /// What stands before a fence, kept short.
    fn before_fence(&self) -> String {
        let indent = if self.indent.len() > INDENT { "" } else { self.indent };
        format!("{indent}{}", self.markers)
    }
}

/// Scans a text.
pub fn scan(source: &str) -> Document {
    let source = source.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    let mut document = Document::default();
    let mut open: Option<Fence<'_>> = None;

    for line in source.trim_end().split('\n') {
        // A quote ends with the first line that is not marked, and with it what is open within.
        if let Some(fence) =
            open.take_if(|fence| fence.start.quotes > 0 && !line.trim_start().starts_with('>'))
        {
            document.close(&quote_of(&fence), "");
        }
        if let Some(fence) = &open {
            match closing(line, fence) {
                Some(before) => {
                    document.close(&quote_of(fence), before);
                    open = None;
                }
                None => document.code(line),
            }
        } else if let Some(fence) = opening(line) {
            document.open(&fence);
            open = Some(fence);
        } else {
            document.text(line);
        }
    }
    if let Some(fence) = &open {
        document.close(&quote_of(fence), "");
    }
    document
}

impl Document {
    fn push(&mut self, line: &str, kind: Kind) {
        let blank_start = self.lines.is_empty() && kind == Kind::Blank;
        if blank_start {
            return;
        }
        if !self.lines.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        // Discord trims the very first indentation anyway.
        self.text.push_str(if self.lines.is_empty() { line.trim_start() } else { line });
        self.lines.push(Line { range: start..self.text.len(), kind });
    }

    fn open(&mut self, fence: &Fence<'_>) {
        let quote = quote_of(fence);
        let line = format!("{}```{}", fence.start.before_fence(), fence.info);
        let opening = units(&line).max(units(&quote) + 3 + units(&fence.info));
        let closing = units(&quote) + 4;
        self.blocks.push(Block { quote, info: fence.info.clone(), opening, closing, code: 0 });
        self.push(&line, Kind::Open(self.blocks.len() - 1));
    }

    fn code(&mut self, line: &str) {
        let line = if line.contains("```") { broken(line) } else { line.to_owned() };
        let number = self.blocks.len() - 1;
        self.blocks[number].code += units(&line) + 1;
        self.push(&line, Kind::Code(number));
    }

    fn close(&mut self, quote: &str, indent: &str) {
        let line = format!("{indent}{quote}```");
        let number = self.blocks.len() - 1;
        let block = &mut self.blocks[number];
        block.closing = block.closing.max(units(&line) + 1);
        self.push(&line, Kind::Close(number));
    }

    fn text(&mut self, line: &str) {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        let indent = if indent.len() > INDENT { &" ".repeat(INDENT) } else { indent };
        if text.is_empty() {
            self.push("", Kind::Blank);
        } else if is_heading(text) {
            self.push(&format!("{indent}{text}"), Kind::Heading);
        } else if is_fence_like(text) && units(text) <= LIMIT {
            self.push(&format!("{indent}{text}"), Kind::FenceLike);
        } else if is_fence_like(text) {
            self.push(&format!("{indent}{ZERO_WIDTH}{text}"), Kind::Text);
        } else {
            self.push(&format!("{indent}{text}"), Kind::Text);
        }
    }
}

/// The quote markers that a line of this fence's block needs.
fn quote_of(fence: &Fence<'_>) -> String {
    "> ".repeat(fence.start.quotes)
}

/// The line with no three backticks in a row.
fn broken(line: &str) -> String {
    line.replace("``", &format!("`{ZERO_WIDTH}`"))
}

fn opening(line: &str) -> Option<Fence<'_>> {
    let start = start(line);
    let mark = start.rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let run = start.rest.chars().take_while(|&c| c == mark).count();
    let info = start.rest[run..].trim();
    // Backticks after three backticks: that is a code span.
    if run < 3 || (mark == '`' && info.contains('`')) || start.markers.len() > INDENT {
        return None;
    }
    let mut left = INFO;
    let short = info.chars().filter(|&c| c != '`').take_while(|c| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    });
    let info = short.collect::<String>().trim().to_owned();
    Some(Fence { start, mark, run, info })
}

/// Where the line closes the block of this fence: its indentation, as far as it is kept.
fn closing<'a>(line: &'a str, fence: &Fence<'_>) -> Option<&'a str> {
    let quoted = fence.start.quotes > 0;
    let rest = line.trim_start_matches(|c: char| matches!(c, ' ' | '\t') || (quoted && c == '>'));
    let run = rest.chars().take_while(|&c| c == fence.mark).count();
    let indent = &line[..line.len() - rest.len()];
    let kept = if quoted || indent.len() > INDENT { "" } else { indent };
    (run >= fence.run && rest[run..].trim().is_empty()).then_some(kept)
}

fn start(line: &str) -> Start<'_> {
    let text = line.trim_start();
    let mut rest = text;
    let mut quotes = 0;
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            quotes += 1;
            rest = after.trim_start();
        } else if let Some(after) = after_list_marker(rest) {
            rest = after.trim_start();
        } else {
            break;
        }
    }
    let indent = &line[..line.len() - text.len()];
    Start { indent, markers: &text[..text.len() - rest.len()], quotes, rest }
}

fn after_list_marker(text: &str) -> Option<&str> {
    let after = match text.strip_prefix(['-', '*', '+']) {
        Some(after) => after,
        None => {
            let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = text.len() - after.len();
            after.strip_prefix(['.', ')']).filter(|_| (1..10).contains(&digits))?
        }
    };
    after.starts_with([' ', '\t']).then_some(after)
}

/// Whether the line is an item of a list.
pub fn is_list_item(line: &str) -> bool {
    after_list_marker(line.trim_start()).is_some()
}

fn is_heading(line: &str) -> bool {
    let after = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - after.len())) && (after.is_empty() || after.starts_with([' ', '\t']))
}

fn is_fence_like(line: &str) -> bool {
    let rest = start(line).rest;
    rest.starts_with("```") || rest.starts_with("~~~")
}

/// Whether a text that stood in the middle of a line would mean something else at the start of one.
pub fn is_block_start(text: &str) -> bool {
    let start = start(text);
    !start.markers.is_empty() || is_heading(text) || text.starts_with("-#") || is_fence_like(text)
}
