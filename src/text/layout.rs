//! The second step: where to cut.

use unicode_segmentation::UnicodeSegmentation;

use super::scan::{Block, Document, INDENT, Kind, ZERO_WIDTH, is_block_start, is_list_item};
use super::{LIMIT, Part, units};

/// How good a cut is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    /// After a heading: it would stand alone, away from its text.
    Orphan,
    /// Within a word.
    Grapheme,
    /// Between words.
    Word,
    /// Between sentences.
    Sentence,
    /// Between lines, but before an indented one, or between code and the line that announces it.
    Loose,
    /// Between lines of text, or of a code block that fits in no part.
    Line,
    /// Between blocks.
    Block,
    /// Before a heading.
    Heading,
}

/// A place where a part can begin: an offset in the document's text, and the line it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    offset: usize,
}

/// A place where a part can end.
#[derive(Debug, Clone, Copy)]
struct Cut {
    quality: Quality,
    /// The units of the part if it ends here.
    fill: usize,
    /// Where its text ends.
    end: usize,
    /// Where the next part begins.
    next: Place,
}

/// Which of the cuts to take.
///
/// A part is filled as far as it goes, unless that costs a better cut. A better one wins if it fills the part at
/// least half as far as the furthest one does; before a heading it must be three quarters, since there is
/// nearly always a good cut between blocks too. A heading is left alone only where there is no other way.
fn choose(cuts: &[Cut]) -> Option<Cut> {
    let usable = |cut: &&Cut| cut.quality > Quality::Orphan;
    let Some(furthest) = cuts.iter().filter(usable).map(|cut| cut.fill).max() else {
        return cuts.last().copied();
    };
    let enough = |cut: &&Cut| match cut.quality {
        Quality::Heading => 4 * cut.fill >= 3 * furthest,
        _ => 2 * cut.fill >= furthest,
    };
    cuts.iter().filter(usable).filter(enough).max_by_key(|cut| (cut.quality, cut.fill)).copied()
}

/// Cuts a document into parts.
pub fn lay_out(document: &Document) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut place = (!document.lines.is_empty()).then_some(Place { line: 0, offset: 0 });
    while let Some(begin) = place {
        let lead = lead(document, begin);
        let cut = cuts(document, begin, &lead).and_then(|cuts| choose(&cuts));
        parts.push(part(document, begin, lead, cut));
        place = cut.map(|cut| cut.next);
    }
    parts
}

/// The part from here to the cut, or to the end of the document.
fn part(document: &Document, begin: Place, lead: String, cut: Option<Cut>) -> Part {
    let end = cut.map_or(document.text.len(), |cut| cut.end);
    let tail = cut.map_or(String::new(), |cut| tail(document, cut.next));
    let mut added = Vec::new();
    if !lead.is_empty() {
        added.push(0..lead.len());
    }
    let mut text = lead + &document.text[begin.offset..end];
    if !tail.is_empty() {
        added.push(text.len()..text.len() + tail.len());
    }
    text += &tail;
    Part { text, added }
}

/// What the part that begins here needs before its text.
fn lead(document: &Document, begin: Place) -> String {
    let line = &document.lines[begin.line];
    let text = &document.text[begin.offset..line.range.end];
    // What makes the start of a block is short, and the rest of the line may be as long as the document.
    let text = &text[..fitting(text, 2 * INDENT)];
    match line.kind {
        Kind::Code(block) => {
            let block = &document.blocks[block];
            // The rest of a quoted line is a line of its own now.
            let within = begin.offset > line.range.start;
            block.reopened() + if within { &block.quote } else { "" }
        }
        _ if !document.text[line.range.start..begin.offset].trim().is_empty() => {
            if is_block_start(text) {
                ZERO_WIDTH.to_owned()
            } else {
                String::new()
            }
        }
        // On a line of its own, or Discord would no longer see a list.
        Kind::Text if text.starts_with([' ', '\t']) && is_list_item(text) => format!("{ZERO_WIDTH}\n"),
        Kind::Text if text.starts_with(char::is_whitespace) => ZERO_WIDTH.to_owned(),
        _ => String::new(),
    }
}

/// What the part before needs after its text if the next one begins here.
fn tail(document: &Document, next: Place) -> String {
    match document.lines[next.line].kind {
        Kind::Code(block) => document.blocks[block].closed(),
        _ => String::new(),
    }
}

/// Every cut for a part that begins here, the last ones in the first line that does not fit; `None` if the
/// rest of the document fits.
fn cuts(document: &Document, begin: Place, lead: &str) -> Option<Vec<Cut>> {
    let mut cuts = Vec::new();
    let mut used = units(lead);
    let mut offset = begin.offset;
    for (number, line) in document.lines.iter().enumerate().skip(begin.line) {
        let text = &document.text[offset..line.range.end];
        let last = number + 1 == document.lines.len();
        let trimmed = if matches!(line.kind, Kind::Code(_)) { text } else { text.trim_end() };
        let room = match line.kind {
            Kind::Code(block) => LIMIT - document.blocks[block].closing,
            _ => LIMIT,
        };
        // Not by counting the whole line: it may be as long as the document.
        if used > room || fitting(trimmed, room - used) < trimmed.len() {
            cuts.extend(cuts_within(document, Place { line: number, offset }, used, room, cuts.is_empty()));
            return Some(cuts);
        }
        if !last && let Some((quality, next)) = boundary(document, number) {
            let fill = used + units(trimmed) + (LIMIT - room);
            cuts.push(Cut { quality, fill, end: offset + trimmed.len(), next });
        }
        used += units(text) + 1;
        offset = line.range.end + 1;
    }
    None
}

/// The cut after this line, if there may be one.
fn boundary(document: &Document, number: usize) -> Option<(Quality, Place)> {
    let line = &document.lines[number];
    if matches!(line.kind, Kind::Blank | Kind::Open(_)) {
        return None;
    }
    let (following, next) =
        document.lines.iter().enumerate().skip(number + 1).find(|(_, line)| line.kind != Kind::Blank)?;
    let text = &document.text[next.range.clone()];
    let announces = document.text[line.range.clone()].trim_end().ends_with(':');
    let quality = match (line.kind, next.kind) {
        (Kind::Code(block), Kind::Code(_)) if !document.blocks[block].fits_whole() => Quality::Line,
        (Kind::Code(_), _) => return None,
        (Kind::Heading, _) => Quality::Orphan,
        (_, Kind::Heading) => Quality::Heading,
        (_, Kind::Open(_)) if announces => Quality::Loose,
        (_, Kind::Text | Kind::FenceLike) if text.starts_with(char::is_whitespace) => Quality::Loose,
        (Kind::Close(_), _) | (_, Kind::Open(_)) => Quality::Block,
        _ if following > number + 1 => Quality::Block,
        _ => Quality::Line,
    };
    // The indentation of a fence or a heading means nothing to Discord.
    let indent = match next.kind {
        Kind::Text | Kind::Code(_) => 0,
        _ => text.len() - text.trim_start().len(),
    };
    Some((quality, Place { line: following, offset: next.range.start + indent }))
}

/// The furthest cuts within the first line that does not fit, as far as it may be cut at all: one between
/// sentences, one between words, and one within a word that fits in no part. `forced`: there is no other cut.
fn cuts_within(document: &Document, begin: Place, used: usize, room: usize, forced: bool) -> Vec<Cut> {
    let line = &document.lines[begin.line];
    let text = &document.text[begin.offset..line.range.end];
    let fit = fitting(text, room.saturating_sub(used));
    let cut = |quality, end: usize, next: usize| Cut {
        quality,
        fill: used + units(&text[..end]) + (LIMIT - room),
        end: begin.offset + end,
        next: Place { line: begin.line, offset: begin.offset + next },
    };
    let may_be_cut = match line.kind {
        Kind::Text => true,
        Kind::Heading | Kind::FenceLike => forced,
        Kind::Code(block) => {
            let line_fits = |block: &Block| block.fits(units(&document.text[line.range.clone()]) + 1);
            begin.offset > line.range.start || !line_fits(&document.blocks[block])
        }
        Kind::Blank | Kind::Open(_) | Kind::Close(_) => false,
    };
    if !may_be_cut || fit == 0 {
        return Vec::new();
    }
    if matches!(line.kind, Kind::Code(_)) {
        let end = last_grapheme(text, 0, fit);
        return vec![cut(Quality::Grapheme, end, end)];
    }

    let mut cuts = Vec::new();
    if let Some((end, next)) = last_sentence(text, fit) {
        cuts.push(cut(Quality::Sentence, end, next));
    }
    let word = last_space(text, fit);
    if let Some((end, next)) = word {
        cuts.push(cut(Quality::Word, end, next));
    }
    let indent = text.len() - text.trim_start().len();
    let word_start = word.map_or(indent, |(_, next)| next);
    let too_long = text[word_start..]
        .chars()
        .take_while(|c| !c.is_whitespace())
        .scan(0, |sum, c| {
            *sum += c.len_utf16();
            Some(*sum)
        })
        .any(|sum| sum >= LIMIT);
    if word_start < fit && (too_long || (forced && word.is_none())) {
        let end = last_grapheme(text, word_start, fit);
        cuts.push(cut(Quality::Grapheme, end, end));
    }
    cuts
}

/// How many bytes of the text are at most this many units.
fn fitting(text: &str, mut room: usize) -> usize {
    for (offset, c) in text.char_indices() {
        if c.len_utf16() > room {
            return offset;
        }
        room -= c.len_utf16();
    }
    text.len()
}

/// The last gap between words that begins at `fit` or before: where it begins and where it ends.
fn last_space(text: &str, fit: usize) -> Option<(usize, usize)> {
    let at_limit = text[fit..].starts_with(char::is_whitespace);
    let end = if at_limit { fit } else { text[..fit].rfind(char::is_whitespace)? };
    let end = text[..end].trim_end().len();
    let next = text.len() - text[end..].trim_start().len();
    (end > 0 && next < text.len()).then_some((end, next))
}

/// The last gap between sentences that begins at `fit` or before.
fn last_sentence(text: &str, fit: usize) -> Option<(usize, usize)> {
    // A little more than fits, so that the rules see what follows.
    let seen = &text[..fit + fitting(&text[fit..], 100)];
    let mut found = None;
    for (start, _) in seen.split_sentence_bound_indices().skip(1) {
        let end = text[..start].trim_end().len();
        if end > fit {
            break;
        }
        // `?` in a URL ends no sentence; a full-width stop needs no space after it.
        let ideographic = !text[..start].ends_with(|c: char| c.is_ascii());
        let next = text.len() - text[start..].trim_start().len();
        if end > 0 && next < text.len() && (end < start || ideographic) {
            found = Some((end, next));
        }
    }
    found
}

/// The last boundary between graphemes in `from..=fit`; where a single one is longer than that, `fit` itself.
fn last_grapheme(text: &str, from: usize, fit: usize) -> usize {
    let seen = &text[from..fit + fitting(&text[fit..], 100)];
    let boundaries = seen.grapheme_indices(true).map(|(offset, _)| from + offset);
    let last = boundaries.take_while(|&offset| offset <= fit).last();
    last.filter(|&offset| offset > from).unwrap_or(fit)
}
