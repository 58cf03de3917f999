//! The laws of the splitter, for any source and any format, as one function: [`check`].
//!
//! [`alignment`] checks that the parts are the source, byte for byte, apart from what they say was added and dropped. That
//! gives a map from each byte of the source to the place where it arrived, on which the rest builds: what may be added and
//! dropped, what may be torn, and what an independent Markdown parser ([`oracle`]) takes for code and prose. [`discord`] reads
//! a part as Discord does.
//!
//! The laws are checked with generated documents ([`generate`]), with the fixtures and their snapshots ([`fixtures`]), with
//! any folder ([`corpus`]), and with named cases ([`named`]); [`wrong`] makes sure that each law can be broken. The fuzz target
//! includes this file and what it needs in its own crate, hence each `cfg(test)`.

mod alignment;
#[cfg(test)]
mod client;
#[cfg(test)]
mod corpus;
mod discord;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod look;
#[cfg(test)]
mod lookalike;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod meant;
#[cfg(test)]
mod named;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sense;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod wrong;

use std::ops::Range;

use super::{LIMIT, Part, Splitter, parts, units};
use crate::domain::Format;
use alignment::{Map, Spot};

/// Anything up to this long (in UTF-16 units) is never torn: it fits in a part together with everything that a cut may have to
/// add around it.
const WHOLE: usize = 1500;

/// A source, and what became of it.
struct Case<'a> {
    source: &'a str,
    format: &'a Format,
    parts: &'a [Part],
    /// Where each byte of the source arrived.
    map: &'a Map,
    /// The code blocks of each part, as Discord reads them.
    blocks: &'a [Vec<discord::Block>],
}

/// Checks all laws; the error begins with the name of the law.
#[cfg(test)]
pub fn check(source: &str, format: &Format) -> Result<(), String> {
    judge(source, format, &parts(source, format), true)
}

/// Checks the laws that need no parser, for texts that nobody would call Markdown and about which two parsers may disagree.
pub fn check_form(source: &str, format: &Format) -> Result<(), String> {
    judge(source, format, &parts(source, format), false)
}

#[cfg_attr(not(test), expect(unused_variables, reason = "only the tests have a parser to ask"))]
fn judge(source: &str, format: &Format, parts: &[Part], with_oracle: bool) -> Result<(), String> {
    // With the dialect, a document that is not blank may have nothing to show; then the oracle has nothing either.
    if parts.is_empty() && !format.dialect && !source.trim().is_empty() {
        return Err("size: nothing is left of the text".to_owned());
    }
    for (number, part) in parts.iter().enumerate() {
        size(part).map_err(|fault| format!("{fault} (part {number})\n{}", part.text))?;
    }
    let map = alignment::align(source, parts)?;
    let blocks = parts.iter().map(|part| discord::blocks(&part.text)).collect::<Result<Vec<_>, _>>()?;
    let case = Case { source, format, parts, map: &map, blocks: &blocks };
    headings(&case)?;
    added(&case)?;
    if !format.dialect {
        dropped(&case)?;
    }
    graphemes(&case)?;
    #[cfg(test)]
    if with_oracle {
        oracle::check(&case)?;
    }
    again(&case)?;
    pieces(&case)
}

/// A part has 1 to [`LIMIT`] units, and nothing that Discord would trim.
fn size(part: &Part) -> Result<(), String> {
    let length = units(&part.text);
    if length > LIMIT {
        return Err(format!("size: {length} units"));
    }
    if part.text.trim().is_empty() {
        return Err("size: blank".to_owned());
    }
    if part.text.trim() != part.text {
        return Err("size: white space at an end".to_owned());
    }
    Ok(())
}

/// A heading does not end a part while there is more to come, unless the part has nothing but headings, and marks of empty
/// quotes before them: a cut before those would leave it empty.
fn headings(case: &Case) -> Result<(), String> {
    let is_heading = |line: &&str| {
        let level = line.len() - line.trim_start_matches('#').len();
        // A heading that is cut itself ends where it must.
        (1..=3).contains(&level) && line[level..].starts_with(' ') && units(line) <= WHOLE
    };
    let is_bold = |line: &str| line.starts_with("**") && line.ends_with("**");
    let is_empty_quote = |line: &str| line.chars().all(|c| c == '>' || c.is_whitespace());
    for (part, blocks) in case.parts.iter().zip(case.blocks).rev().skip(1) {
        let code_ends = blocks.last().map_or(0, |block| block.range.end);
        let mut lines = part.text[code_ends..].rsplit('\n').filter(|line| !line.trim().is_empty()).peekable();
        if lines.peek().is_some_and(is_heading)
            && (code_ends > 0
                || !lines.all(|line| line.starts_with('#') || is_bold(line) || is_empty_quote(line)))
        {
            return Err(format!("heading: it ends the part\n{}", part.text));
        }
    }
    Ok(())
}

/// Nothing is made up: with the dialect, each added word is one of the source; without, only what opens, closes and separates
/// is added.
fn added(case: &Case) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    // The name of a column is added without its markers.
    let plain = case.source.replace(['*', '_', '~', '|', '`'], "");
    let has_formula = ["$", "\\(", "\\["].iter().any(|mark| case.source.contains(mark));
    let is_in_source = |word: &str| case.source.contains(word) || plain.contains(word);
    for part in case.parts {
        for range in &part.added {
            let text = &part.text[range.clone()];
            if !case.format.dialect && !is_markup(text, case.source) {
                return Err(format!("added: {text:?} in\n{}", part.text));
            }
            for word in text.split(|c: char| !c.is_alphanumeric()) {
                // One that is raised or lowered, too; and what a character reference stands for.
                let is_number = word.chars().all(|c| c.is_numeric() || c == 'ⁿ')
                    || (word.chars().count() == 1 && case.source.contains(';'));
                // An image without an alt text is called that.
                // Formulas have letters and figures for commands.
                let of_formula =
                    |c: char| has_formula && matches!(c, 'Α'..='ϵ' | '⁰'..='⁹' | '¹' | '²' | '³');
                let is_known = || word.split(of_formula).all(|piece| piece.is_empty() || is_in_source(piece));
                if !is_number && word != "image" && seen.insert(word) && !is_known() {
                    return Err(format!(
                        "added: the word {word:?} is not in the source; it is in\n{}",
                        part.text
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Whether this is only fences with an info string of the source, quote markers, emphasis markers, code span markers, white
/// space, U+200B, and U+FFFD for a NUL.
fn is_markup(text: &str, source: &str) -> bool {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("```") {
            let info = after.split('\n').next().unwrap_or(after);
            if !source.replace('`', "").contains(info) {
                return false;
            }
            rest = &after[info.len()..];
        } else if c.is_whitespace()
            || "\u{200b}>*_~|`".contains(c)
            || (c == '\u{fffd}' && source.contains('\0'))
        {
            rest = &rest[c.len_utf8()..];
        } else {
            return false;
        }
    }
    true
}

/// Without the dialect, only this is dropped: white space (line ends only where parts are cut), whatever of a fence is not
/// ` ``` `, the rest of an info string that is too long, and NULs.
fn dropped(case: &Case) -> Result<(), String> {
    for part in case.parts {
        for range in &part.dropped {
            let text = &case.source[range.clone()];
            let fault = |why: &str| Err(format!("dropped: {why}: {text:?} from the part\n{}", part.text));
            let within = range.start > part.source.start && range.end < part.source.end;
            let before = &case.source[part.source.start..range.start];
            let after = &case.source[range.end..part.source.end];
            if within && text.contains('\n') && !before.trim().is_empty() && !after.trim().is_empty() {
                return fault("a line end");
            }
            let of_fence = |c: char, at: usize| {
                let start = case.source[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1);
                let line = case.source[start..].split(['\n', '\r']).next().unwrap_or_default();
                let rest = line.trim_start_matches(|c: char| " \t>-*+.)".contains(c) || c.is_ascii_digit());
                let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~')).unwrap_or('`');
                let info = rest.trim_start_matches(mark);
                let fence = rest.len() - info.len();
                fence >= 3
                    && (c == '`'
                        || (c == '~' && at < start + line.len() - info.len())
                        || units(info) > 40
                        || info.contains('`'))
            };
            for (offset, c) in text.char_indices() {
                if !c.is_whitespace() && c != '\0' && !of_fence(c, range.start + offset) {
                    return fault("no white space and no fence");
                }
            }
        }
    }
    Ok(())
}

/// No cut goes through a grapheme cluster, unless that is longer than [`WHOLE`].
fn graphemes(case: &Case) -> Result<(), String> {
    for cut in case.map.cuts(case.source) {
        let cursor = |at| unicode_segmentation::GraphemeCursor::new(at, case.source.len(), true);
        // A cursor that has the whole text never asks for more.
        if !matches!(cursor(cut).is_boundary(case.source, 0), Ok(false)) {
            continue;
        }
        let start = cursor(cut).prev_boundary(case.source, 0).ok().flatten().unwrap_or(0);
        let end = cursor(cut).next_boundary(case.source, 0).ok().flatten().unwrap_or(case.source.len());
        if units(&case.source[start..end]) <= WHOLE {
            return Err(format!("torn: the grapheme {:?}", &case.source[start..end]));
        }
    }
    Ok(())
}

/// Splitting a part again gives that one part.
fn again(case: &Case) -> Result<(), String> {
    let format = Format { dialect: false, ..*case.format };
    for part in case.parts {
        let texts: Vec<String> = parts(&part.text, &format).into_iter().map(|part| part.text).collect();
        if texts != [part.text.as_str()] {
            let source = &case.source[floor(case.source, part.source.start.saturating_sub(40))..];
            let source: String = source.chars().take(100).collect();
            return Err(format!("again: the part\n{}\nbecomes\n{texts:#?}\naround {source:?}", part.text));
        }
    }
    Ok(())
}

/// The text gives the same parts in whatever pieces it arrives.
fn pieces(case: &Case) -> Result<(), String> {
    let source = case.source;
    // A linear congruential generator, seeded with the text, so that every run has the same pieces.
    let mut state =
        source.bytes().fold(source.len() as u64, |state, byte| state.wrapping_mul(31) + u64::from(byte));
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    let mut ways = Vec::new();
    if source.len() <= 600 {
        ways.push(source.char_indices().map(|(at, _)| at).skip(1).collect::<Vec<_>>());
    }
    for count in [1, 7, 40] {
        let mut at: Vec<usize> = (0..count).map(|_| floor(source, random(source.len() + 1))).collect();
        at.sort_unstable();
        ways.push(at);
    }
    // Text really arrives line by line, and line ends in two pieces are where it goes wrong.
    if source.len() <= 20_000 {
        ways.push(source.match_indices(['\r', '\n']).map(|(at, _)| at + 1).collect());
    }
    for ends in ways {
        let mut splitter = Splitter::new(*case.format);
        let mut found = Vec::new();
        let mut from = 0;
        for end in ends.iter().copied().chain([source.len()]) {
            found.extend(splitter.push(&source[from..end]));
            from = end;
        }
        found.extend(splitter.finish());
        if found != case.parts {
            let odd = found
                .iter()
                .zip(case.parts)
                .position(|(a, b)| a != b)
                .unwrap_or(found.len().min(case.parts.len()));
            return Err(format!(
                "pieces: {} parts instead of {} with pieces that end at {ends:?}; part {odd} is\n{:?}\ninstead of\n{:?}",
                found.len(),
                case.parts.len(),
                found.get(odd),
                case.parts.get(odd),
            ));
        }
    }
    Ok(())
}

/// The character that this byte belongs to.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The ranges of the text that are not white space.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        match tokens.last_mut() {
            Some(last) if last.end == at => last.end += c.len_utf8(),
            _ => tokens.push(at..at + c.len_utf8()),
        }
    }
    tokens
}
