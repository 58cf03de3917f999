//! What a person sees: characters, each with how it looks.

use std::fmt::Write;
use std::rc::Rc;

pub const BOLD: u16 = 1;
pub const ITALIC: u16 = 2;
pub const UNDERLINE: u16 = 4;
pub const STRUCK: u16 = 8;
pub const SPOILER: u16 = 16;
pub const CODE: u16 = 32;
pub const HEADING: u16 = 64;
pub const QUOTE: u16 = 128;
pub const SMALL: u16 = 256;

/// A character as it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glyph {
    pub c: char,
    /// The bits above.
    pub style: u16,
    /// Where a click on it leads, if it is the label of a link.
    pub link: Option<Rc<str>>,
}

/// What is seen, with the tags of HTML where the look changes.
pub fn tagged(glyphs: &[Glyph]) -> String {
    const TAGS: [(u16, &str); 9] = [
        (QUOTE, "quote"),
        (HEADING, "h"),
        (SMALL, "small"),
        (BOLD, "b"),
        (ITALIC, "i"),
        (UNDERLINE, "u"),
        (STRUCK, "s"),
        (SPOILER, "spoiler"),
        (CODE, "code"),
    ];
    let mut out = String::new();
    let mut open: Vec<String> = Vec::new();
    let close_to = |open: &mut Vec<String>, length: usize, out: &mut String| {
        while open.len() > length {
            let tag = open.pop().unwrap_or_default();
            let _ = write!(out, "</{}>", tag.split(' ').next().unwrap_or_default());
        }
    };
    for glyph in glyphs {
        let mut tags: Vec<String> =
            TAGS.iter().filter(|(bit, _)| glyph.style & bit > 0).map(|(_, tag)| (*tag).to_owned()).collect();
        tags.extend(glyph.link.iter().map(|link| format!("a {link}")));
        let same = open.iter().zip(&tags).take_while(|(a, b)| a == b).count();
        close_to(&mut open, same, &mut out);
        for tag in tags.drain(same..) {
            let _ = write!(out, "<{tag}>");
            open.push(tag);
        }
        out.push(glyph.c);
    }
    close_to(&mut open, 0, &mut out);
    out
}

/// The symbol of a control character other than white space; any other character as it is.
pub fn symbol(c: char) -> char {
    match c {
        '\0' => '\u{fffd}',
        '\u{7f}' => '␡',
        c if c.is_ascii_control() && !c.is_whitespace() => char::from_u32(0x2400 + u32::from(c)).unwrap_or(c),
        c => c,
    }
}
