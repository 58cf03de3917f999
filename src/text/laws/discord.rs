//! How Discord reads the fences in a message, written independently of the splitter.
//!
//! Discord pairs the ` ``` ` in a message from beginning to end, wherever they are:
//! ` ```(lang\n)?\n*([^\n][^]*?)\n*``` `. A pair whose first one begins a line (after quote and list markers) and
//! whose second one is in a later line is a code block here; any other pair is a code span.

use std::ops::Range;

/// A code block as Discord shows it.
#[derive(Debug)]
pub struct Block {
    /// Its whole text, from the opening fence to the closing one.
    pub range: Range<usize>,
    /// Each of its lines in the message, without the quote markers that the opening line has, too.
    pub lines: Vec<Range<usize>>,
}

/// The code blocks of a message; an error if Discord sees other blocks than a person who reads line by line.
pub fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let fences: Vec<usize> = text.match_indices("```").map(|(at, _)| at).collect();
    if fences.len() % 2 == 1 {
        return Err(format!("fences: {} ``` are an odd number:\n{text}", fences.len()));
    }
    let mut blocks = Vec::new();
    for pair in fences.chunks(2) {
        let (open, close) = (pair[0], pair[1]);
        let line = line_of(text, open);
        let info = &text[open + 3..line.end];
        if close < line.end || !is_lead(&text[line.start..open]) || info.contains('`') {
            continue;
        }
        let last = line_of(text, close);
        if !is_lead(&text[last.start..close]) || !text[close + 3..last.end].trim().is_empty() {
            return Err(format!("fences: a block ends within the line {:?}:\n{text}", &text[last]));
        }
        let content = line.end + 1..last.start;
        if info.is_empty() && text[content.clone()].trim_matches('\n').is_empty() {
            return Err(format!("fences: Discord takes the end of an empty block for its text:\n{text}"));
        }
        let quotes = text[line.start..open].matches('>').count();
        let mut lines = Vec::new();
        let mut at = content.start;
        while at < content.end {
            let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
            lines.push(without_quotes(text, at..end, quotes));
            at = end + 1;
        }
        blocks.push(Block { range: open..close + 3, lines });
    }
    let mut at = 0;
    for line in text.split('\n') {
        let fence = at + line.len() - line.trim_start_matches(is_marker).len();
        let paired = |block: &Block| block.range.start == fence || block.range.end == fence + 3;
        if toggles(line) && !blocks.iter().any(paired) {
            return Err(format!("fences: the line {line:?} opens or closes no block:\n{text}"));
        }
        at += line.len() + 1;
    }
    Ok(blocks)
}

/// Whether a person takes this line for the beginning or the end of a block.
fn toggles(line: &str) -> bool {
    let rest = line.trim_start_matches(is_marker);
    is_lead(&line[..line.len() - rest.len()])
        && rest.strip_prefix("```").is_some_and(|info| !info.contains('`'))
}

fn is_marker(c: char) -> bool {
    " \t>-*+.)".contains(c) || c.is_ascii_digit()
}

/// Whether this is nothing but white space, quote markers and list markers.
pub fn is_lead(text: &str) -> bool {
    text.replace('>', " ").split_whitespace().all(|marker| {
        let number = marker.strip_suffix(['.', ')']);
        matches!(marker, "-" | "*" | "+")
            || number.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
    })
}

fn line_of(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    start..text[at..].find('\n').map_or(text.len(), |length| at + length)
}

fn without_quotes(text: &str, mut line: Range<usize>, quotes: usize) -> Range<usize> {
    for _ in 0..quotes {
        let Some(rest) = text[line.clone()].trim_start_matches([' ', '\t']).strip_prefix('>') else {
            break;
        };
        line.start = line.end - rest.strip_prefix(' ').unwrap_or(rest).len();
    }
    line
}

#[test]
fn blocks_are_read_as_discord_reads_them() {
    let lines = |text: &str| -> Vec<Vec<String>> {
        let blocks = blocks(text).unwrap();
        blocks.iter().map(|b| b.lines.iter().map(|line| text[line.clone()].to_owned()).collect()).collect()
    };
    assert_eq!(
        lines("a\n```sh\nls\n\n  b\n```\n```x``` and\n> ```\n> > c\n> ```"),
        [vec!["ls", "", "  b"], vec!["> c"]]
    );
    assert_eq!(lines("1. ```\n   a\n   ```"), [["   a"]]);
    for wrong in
        ["```", "```\n```", "```\na\n``` b", "a ``` b\n```sh\nls\n```\nc ``` d", "a ```\n```sh\n```\n```"]
    {
        assert!(blocks(wrong).is_err(), "{wrong}");
    }
}
