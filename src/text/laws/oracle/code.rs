//! Code: its lines arrive byte for byte and in order.

use std::ops::Range;

use super::super::discord::Block;
use super::super::{WHOLE, units};
use super::{Case, Oracle, line_start};

/// A code block as CommonMark sees it.
#[derive(Debug, Default)]
pub struct Code {
    pub range: Range<usize>,
    pub lines: Vec<String>,
    pub fenced: bool,
    /// In a list item.
    pub nested: bool,
    pub info: String,
}

impl Oracle {
    /// The code blocks of the parts are those of the source, line by line.
    pub fn code(&self, case: &Case) -> Result<(), String> {
        let mut arrived = case
            .blocks
            .iter()
            .enumerate()
            .flat_map(|(part, blocks)| blocks.iter().map(move |block| (part, block)))
            .filter(|(part, block)| self.is_code(case, *part, block))
            .flat_map(|(part, block)| {
                let last = block.lines.len();
                let line = move |(number, range): (usize, &Range<usize>)| Line {
                    text: without_breaks(case, part, range.clone()),
                    block: (part, block.range.start),
                    is_last: number + 1 == last,
                    is_filler: last == 1 && case.parts[part].text[range.clone()].ends_with('\u{200b}') && {
                        let text = without_breaks(case, part, range.clone());
                        text.trim_matches(['>', ' ']).is_empty()
                    },
                };
                block.lines.iter().enumerate().map(line)
            })
            // Discord does not see a block without lines, so one without any gets U+200B (`is_filler`).
            .peekable();
        for code in &self.code {
            if code.lines.is_empty() {
                arrived.next_if(|line| line.is_filler);
            }
            let mut blocks = std::collections::BTreeSet::new();
            for line in &code.lines {
                let fault =
                    |what: &str| Err(format!("code: {what} {line:?} of the block at {:?}", code.range));
                let indented = code.indentation(case.source) > 0;
                let slack = match case.format.dialect {
                    false => usize::MAX,
                    true if line.contains('\t') || case.source[code.range.clone()].contains('\t') => {
                        usize::MAX
                    }
                    true if indented && !code.nested => 3,
                    true => 0,
                };
                let mut rest = line.as_str();
                loop {
                    let Some(found) = arrived.next() else { return fault("lost is") };
                    let is_first = rest.len() == line.len();
                    blocks.insert(found.block);
                    match arrives(rest, &found.text, if is_first { slack } else { 0 }) {
                        Some("") => break,
                        Some(left) if found.is_last && !found.text.is_empty() => {
                            if units(line) <= WHOLE {
                                return fault("torn is");
                            }
                            rest = left;
                        }
                        _ => return fault(&format!("{:?} stands in the place of", found.text)),
                    }
                }
            }
            let length = units(&code.lines.join("\n")) + units(&code.info).min(100);
            if blocks.len() > 1
                && length + code.indentation(case.source) * code.lines.len() <= WHOLE
                && case.format.max_lines.is_none()
            {
                return Err(format!("code: the block at {:?} fits in a part and is split", code.range));
            }
        }
        match arrived.next() {
            Some(line) => {
                Err(format!("code: {:?} in part {} is no code of the source", line.text, line.block.0))
            }
            None => Ok(()),
        }
    }

    /// Whether this block of a part contains code of the source, rather than a table or the text of an HTML block.
    fn is_code(&self, case: &Case, part: usize, block: &Block) -> bool {
        let origin = case.map.origins[part][block.range.clone()].iter().flatten().next();
        // All blank lines and fences may be written anew.
        let blank = |range: &Range<usize>| {
            case.parts[part].text[range.clone()].trim_matches('\u{200b}').trim().is_empty()
        };
        match origin {
            Some(at) => self.code.iter().any(|code| code.range.contains(at)),
            None => block.lines.iter().all(blank),
        }
    }
}

/// A line of code as it arrived.
struct Line {
    text: String,
    /// The part, and the place in it.
    block: (usize, usize),
    is_last: bool,
    /// Nothing but what was added.
    is_filler: bool,
}

impl Code {
    pub fn finish(&mut self, source: &str, dialect: bool) {
        let text = self.lines.concat().replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
        // A control character is seen as its symbol, but where it is a colour.
        let is_kept = !dialect || self.info.split_whitespace().next() == Some("ansi");
        let symbol = |c: char| if is_kept { c } else { super::super::look::symbol(c) };
        let text: String = text.chars().map(symbol).collect();
        self.lines = if text.is_empty() {
            Vec::new()
        } else {
            text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned).collect()
        };
        if !self.is_closed(source) {
            while self.lines.last().is_some_and(|line| line.trim().is_empty()) {
                self.lines.pop();
            }
            if let Some(last) = self.lines.last_mut() {
                last.truncate(last.trim_end().len());
            }
        }
    }

    fn is_closed(&self, source: &str) -> bool {
        let text = source[self.range.clone()].trim_end();
        let open = text.trim_start();
        let Some(c @ ('`' | '~')) = open.chars().next() else { return false };
        let length = open.len() - open.trim_start_matches(c).len();
        let Some((_, last)) = text.rsplit_once(['\n', '\r']) else { return false };
        let last = last.trim_start_matches([' ', '\t', '>']);
        last.len() >= length && last.chars().all(|other| other == c)
    }

    /// How many spaces come before the fence or the code.
    fn indentation(&self, source: &str) -> usize {
        let before = &source[line_start(source, self.range.start)..self.range.start];
        before.len() - before.trim_end_matches(' ').len()
    }
}

/// What is left of an expected line after the one that arrived, which may have this much white space before it.
fn arrives<'a>(expected: &'a str, arrived: &str, slack: usize) -> Option<&'a str> {
    let indent = arrived.len() - arrived.trim_start_matches([' ', '\t']).len();
    let candidates = || (0..=indent.min(slack)).map(|offset| &arrived[offset..]);
    if candidates().any(|arrived| arrived == expected) {
        return Some("");
    }
    candidates().find_map(|arrived| expected.strip_prefix(arrived).filter(|_| !arrived.is_empty()))
}

/// A line of a part, without any added U+200B.
fn without_breaks(case: &Case, part: usize, range: Range<usize>) -> String {
    let origins = &case.map.origins[part];
    let chars = case.parts[part].text[range.clone()].char_indices();
    chars.filter(|(at, c)| *c != '\u{200b}' || origins[range.start + at].is_some()).map(|(_, c)| c).collect()
}
