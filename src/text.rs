//! Markdown as Claude writes it → the parts that Discord shows. Pure: no I/O, no state, no errors.
//!
//! # Theory of operation
//! Two steps, to be read separately:
//!
//! 1. `scan` goes through the source line by line and knows for each line what it is: blank, heading, text,
//!    or the opening, content or closing of a code block. On the way it writes what Discord would misread in
//!    Discord's own way, and all that concerns fences: every fence becomes ` ``` `, a literal ` ``` ` within
//!    code is broken up by zero-width spaces, a block that is open at the end is closed.
//! 2. `layout` cuts the scanned document into parts. It looks at all places where the part that begins here
//!    could end, each with a quality, and `layout::choose` weighs quality against fullness.
//!
//! # The laws
//! - A part holds 1 to [`LIMIT`] UTF-16 units, is not blank, and has no white space at its ends, since Discord
//!   trims it there.
//! - Every code block that begins in a part ends in it.
//! - The parts without what the split added ([`Part::added`]) are the scanned document in order; what is
//!   missing between two of them is white space, and within code at most the one newline of the cut.
//! - A part is one part when it is split again.

mod layout;
mod scan;

use std::ops::Range;

use crate::domain::Format;

/// The most UTF-16 units in a part. Discord counts code points, of which there are never more.
pub const LIMIT: usize = 2000;

/// One Discord message of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What to post.
    pub text: String,
    /// Byte ranges of `text` that stand there only because of the cut: a reopened or closed fence, a
    /// zero-width space that keeps an indentation.
    pub added: Vec<Range<usize>>,
}

/// Splits a Markdown text into parts; a blank one has none.
pub fn parts(markdown: &str, _format: &Format) -> Vec<Part> {
    layout::lay_out(&scan::scan(markdown))
}

/// A line of small text (`-# …`), for what the bot says about an answer.
pub fn small(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    format!("-# {}", words.join(" "))
}

/// The length that Discord's limit is about.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod laws;
