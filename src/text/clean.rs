//! What is done to every text, with the dialect or without: replacing what Discord refuses or misreads.

use std::ops::Range;

use super::dialect::{Swap, swap};
use super::inline::long_ticks;
use super::{INDENT, ZERO_WIDTH};

/// Cleans line ends, NULs, long indentations and what Discord would mistake for a fence, in these lines, whose text begins at
/// `at`.
pub fn clean(source: &str, lines: &[Range<usize>], at: usize, swaps: &mut Vec<Swap>) {
    for pair in lines.windows(2) {
        let gap = pair[0].end..pair[1].start;
        match &source[gap.clone()] {
            "\n" => {}
            "\r" => swaps.push(swap(gap, "\n")),
            _ => swaps.push(swap(gap.start..gap.end - 1, "")),
        }
    }
    for line in lines {
        let text = &source[line.clone()];
        let indent = text.len() - text.trim_start().len();
        if indent > INDENT {
            swaps.push(swap(line.start..line.start + indent, " ".repeat(INDENT)));
        }
    }
    let end = lines.last().map_or(at, |line| line.end);
    tidy(&source[at..end], at, swaps);
}

/// Breaks up runs of three backticks, which Discord takes for fences wherever they are, and replaces NULs, which it refuses.
pub fn tidy(text: &str, at: usize, swaps: &mut Vec<Swap>) {
    for (start, length) in long_ticks(text) {
        let places = (start + 1..start + length).step_by(2);
        swaps.extend(places.map(|place| swap(at + place..at + place, ZERO_WIDTH)));
    }
    let nuls = memchr::memchr_iter(0, text.as_bytes());
    swaps.extend(nuls.map(|place| swap(at + place..at + place + 1, "\u{fffd}")));
    swaps.sort_by_key(|swap| (swap.range.start, swap.range.end));
}

/// Shows each control character, which nobody would see, as its symbol: ESC as `␛`. A NUL is none of these.
pub fn controls(text: &str, at: usize, swaps: &mut Vec<Swap>) {
    // Most have none, and this is quick.
    let may_be = |b: u8| b == 0x7f || (b < b' ' && b != b'\n');
    if !text.bytes().fold(false, |any, b| any | may_be(b)) {
        return;
    }
    for (place, byte) in text.bytes().enumerate() {
        let symbol = match byte {
            b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => continue,
            0x01..=0x1f => char::from_u32(0x2400 + u32::from(byte)),
            0x7f => Some('␡'),
            _ => continue,
        };
        swaps.extend(symbol.map(|symbol| swap(at + place..at + place + 1, symbol.to_string())));
    }
}
