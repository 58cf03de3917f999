//! Markdown as Claude writes it → the parts that Discord shows. Pure: no I/O, no errors.
//!
//! # Theory of operation
//! There are two steps, which can be read separately. [`scan`] turns the source into blocks: it finds out what each line is,
//! rewrites what Discord would misread, and keeps track of where each byte comes from ([`document`]). [`layout`] cuts the
//! blocks into parts. Both continue where they stopped when more of the text arrives ([`Splitter`]); a part that was returned
//! never changes.
//!
//! # The cut
//! From worst to best: after a heading · within a word · between words · between sentences · before an indented line, or
//! after a line that ends with a colon · between lines · before a list item or after a blank line of code · between blocks ·
//! before a heading. The furthest cut wins unless a better one fills the part at least half as far (`layout::choose`). A code
//! block, a link, a code span, an address, a mention or emphasis is not cut if it fits in one part. Emphasis and code that do
//! not fit are closed at the cut and reopened after it, and the characters for that are counted before the cut is chosen.
//!
//! # The laws
//! - A part has 1 to [`LIMIT`] UTF-16 units, is not blank, and has no white space at its ends, where Discord would trim it.
//! - Every code block that begins in a part ends in it, as Discord counts.
//! - The parts' sources tile the source. A part's text without [`Part::added`] is its source without
//!   [`Part::dropped`], byte for byte.
//! - Without the dialect, nothing is dropped but white space and what makes a fence Discord's (`~~~`, more than three
//!   backticks, an endless info string) or a character that Discord does not take (NUL); and nothing is added but
//!   what goes on over a cut (fences, quote marks, emphasis) and U+200B.
//! - With it, every line of code arrives byte for byte, and every word of prose in order; and what Discord shows is what
//!   CommonMark means.
//! - A part that is split again stays as it is.
//! - A text that comes in pieces gives the parts of the whole.
//!
//! # The dialect
//! | Markdown | becomes |
//! | --- | --- |
//! | table | aligned columns in a code block, repeated header; a wide one `- **header:** value`, row by row |
//! | `####` to `######`, underlined headings | a bold line; `#`, `##` |
//! | `![alt](url)`, also in a link | `[alt](url)`; in a link, `alt` |
//! | a link to what is not http; whose label is its address | label and target; the address |
//! | `- [ ]`, `- [x]`; `+`; `1)`; `1.` `1.` `1.` | `- ☐`, `- ☑`; `-`; `1.`; counted |
//! | `---` | a thin line |
//! | `<!-- … -->`; `<details>`, `<summary>` | nothing; a bold line and the body |
//! | `[^1]`, `[^1]: …` | `[1]`, and a line of small text in the same place |
//! | code by indentation; a fence in a list item | a fence at the start of its line, code dedented |
//! | an info string | its language |
//! | `>>> ` | `> ` |
//! | `_a_`, `__a__`, `~a~` | `*a*`, `**a**`, `~~a~~` |
//! | `<b>`, `<code>`, `<br>`, `<a href>`, `<img>`, `<sup>` and the like; `&lt;` | what they mean |
//! | `[a][1]`, `[a][]`, `[a]` with `[1]: …` | the link; the definition is left out |
//! | `$…$`, `\(…\)`; `$$…$$`, `\[…\]` | code, in Unicode where that is exact; a block of code |
//! | a control character, but in ` ```ansi ` | its symbol |
//! | a letter that Discord would take for a marker | `\` before it |

mod blocks;
mod clean;
mod cut;
mod dialect;
mod discord;
mod document;
mod html;
mod inline;
mod layout;
mod line;
mod links;
mod math;
mod meaning;
mod references;
mod runs;
mod scan;
mod show;
mod table;
mod title;
mod token;

use std::ops::Range;

pub use blocks::{LongBlock, long_blocks};
pub use line::fitting;
pub use show::ruled;
pub use title::title;

use crate::domain::Format;
use layout::{Next, PartStart};
use scan::Scanner;

/// The most UTF-16 units in a part. Discord counts code points, of which there are never more than units.
pub const LIMIT: usize = 2000;

/// Longer indentations of text are cut to this, and behind more nested markers there are no fences: nobody means them, and it
/// keeps short what a part must repeat.
const INDENT: usize = 40;

/// A zero-width space, which keeps Discord from interpreting what comes next, or from trimming white space.
const ZERO_WIDTH: &str = "\u{200b}";

/// One Discord message of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub text: String,
    /// The bytes of the source that it represents.
    pub source: Range<usize>,
    /// The byte ranges of `text` that are not from the source, in order.
    pub added: Vec<Range<usize>>,
    /// The byte ranges of the source, within [`Part::source`], that are not in `text`, in order.
    pub dropped: Vec<Range<usize>>,
}

/// Splits a Markdown text into parts; a blank one has no parts.
pub fn parts(markdown: &str, format: &Format) -> Vec<Part> {
    let mut splitter = Splitter::new(*format);
    splitter.scanner.push(markdown);
    splitter.finish()
}

/// Splits a text that is still growing.
pub struct Splitter {
    format: Format,
    scanner: Scanner,
    /// Where the next part begins; `None` once all parts are out.
    place: Option<PartStart>,
}

impl Splitter {
    /// At the beginning of a text.
    pub fn new(format: Format) -> Self {
        Self { format, scanner: Scanner::new(format.dialect), place: Some(PartStart::START) }
    }

    /// Takes the next piece of the text. Returns the parts that can no longer change and have not been returned before.
    pub fn push(&mut self, piece: &str) -> Vec<Part> {
        self.scanner.push(piece);
        self.take(false)
    }

    /// Ends the text. Returns the remaining parts.
    pub fn finish(mut self) -> Vec<Part> {
        self.scanner.finish();
        self.take(true)
    }

    fn take(&mut self, complete: bool) -> Vec<Part> {
        let mut parts = Vec::new();
        while let Some(place) = self.place {
            let document = self.scanner.document();
            match layout::next(document, place, self.scanner.len(), complete, self.format.max_lines) {
                Next::Part(part, next) => {
                    parts.push(part);
                    self.place = next;
                }
                Next::Later => break,
            }
        }
        parts
    }
}

/// A line of small text (`-# …`), for remarks of the bot about an answer.
pub fn small(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    format!("-# {}", words.join(" "))
}

/// What went wrong, and below it the short id by which it can be found in the log.
pub fn with_id(sentence: &str, id: &str) -> String {
    format!("{sentence}\n{}", small(&format!("id {id}")))
}

/// The length in UTF-16 units, which [`LIMIT`] is about.
pub fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.bytes().map(line::units_of).sum() }
}

#[cfg(test)]
mod laws;
