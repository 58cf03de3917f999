//! The second step: where to cut.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::cut::{CuttableLine, ends_sentence};
use super::document::{Document, LineKind, quote_prefix};
use super::line::{fits, fitting, is_block_start};
use super::{INDENT, LIMIT, Part, ZERO_WIDTH, units};

/// How good a cut is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// After a heading, which would be separated from its text.
    Orphan,
    /// Within a word.
    Grapheme,
    /// Between words.
    Word,
    /// Between sentences.
    Sentence,
    /// Between lines, but within a sentence, before an indented line, or after a line that announces something.
    Loose,
    /// Between lines of text, or of a code block that does not fit in a part.
    Line,
    /// Before an item of a list, or after a blank line of code.
    Item,
    /// Between blocks.
    Block,
    /// Before a heading.
    Heading,
}

/// A last part with fewer units than this is avoided if possible.
const SHORT: usize = 200;

/// A place where a part can begin: an offset in the document's text, and the line it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartStart {
    /// The number of the line.
    pub line: usize,
    /// In bytes.
    pub offset: usize,
}

impl PartStart {
    /// Where the first part begins.
    pub const START: Self = Self { line: 0, offset: 0 };
}

/// A place where a part can end.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// How good it is.
    pub quality: Quality,
    /// The units of the part if it ends here.
    pub fill: usize,
    /// Where its text ends.
    pub end: usize,
    /// Where the next part begins.
    pub next: PartStart,
}

/// Which of the cuts to take.
///
/// A part is filled as far as possible, unless there is a better cut. A better cut wins if it fills the part at least half as
/// far as the furthest one does. One before a heading has to fill it two thirds as far; otherwise it counts as one between
/// blocks. Nobody likes an answer whose last part is a single line: if so little is left that this could happen (`rest`, in
/// units), a third is enough, and a cut that leaves less than [`SHORT`] is taken only if there is no other. A heading is
/// separated from its text only if there is no other way.
fn choose(cuts: &[Cut], rest: Option<usize>) -> Option<Cut> {
    let usable = |cut: &&Cut| cut.quality > Quality::Orphan;
    let Some(furthest) = cuts.iter().filter(usable).map(|cut| cut.fill).max() else {
        return cuts.last().copied();
    };
    let enough = |cut: &&Cut| cut.fill * if rest.is_some() { 3 } else { 2 } >= furthest;
    let value = |cut: &Cut| {
        let leaves_enough = rest.is_none_or(|rest| rest >= cut.fill + SHORT);
        let quality = match cut.quality {
            Quality::Heading if rest.is_none() && 3 * cut.fill < 2 * furthest => Quality::Block,
            quality => quality,
        };
        // Better a short last part than a torn sentence.
        (leaves_enough && quality > Quality::Loose, quality, cut.fill)
    };
    cuts.iter().filter(usable).filter(enough).max_by_key(|cut| value(cut)).copied()
}

/// What comes next.
pub enum Next {
    /// A part, and where the one after it begins.
    Part(Part, Option<PartStart>),
    /// More of the text is needed.
    Later,
}

/// The part that begins here. `source` is the length of the source; `complete` means that no more will come.
pub fn next(
    document: &Document,
    begin: PartStart,
    source: usize,
    complete: bool,
    max_lines: Option<NonZeroUsize>,
) -> Next {
    if document.lines.is_empty() {
        return Next::Later;
    }
    let (begin, from) = match begin {
        // Discord would trim it.
        PartStart::START => {
            let offset = document.text.len() - document.text.trim_start().len();
            (PartStart { line: document.lines.partition_point(|line| line.range.end <= offset), offset }, 0)
        }
        _ => (begin, document.source_at(begin.offset)),
    };
    let lead = lead(document, begin);
    if rest_fits(document, begin, &lead, max_lines) {
        if !complete {
            return Next::Later;
        }
        return Next::Part(last_part(document, begin, &lead, from..source), None);
    }
    let (_, end) = rest(document, begin);
    let left = &document.text[begin.offset..end];
    let short = fits(left, LIMIT + SHORT).then(|| units(left));
    if short.is_some() && !complete {
        return Next::Later;
    }
    match cuts(document, begin, &lead, complete, max_lines).map(|cuts| choose(&cuts, short)) {
        Some(Some(cut)) => {
            let until = document.source_at(cut.next.offset);
            let tail = tail(document, begin, &cut);
            let part = document.part(&lead, begin.offset..cut.end, &tail, from..until);
            Next::Part(part, Some(cut.next))
        }
        // There is nowhere to cut: it is taller than it should be, but must not be torn for that.
        _ if complete => Next::Part(last_part(document, begin, &lead, from..source), None),
        _ => Next::Later,
    }
}

/// The part with everything that is left.
fn last_part(document: &Document, begin: PartStart, lead: &str, source: Range<usize>) -> Part {
    let (_, end) = rest(document, begin);
    document.part(lead, begin.offset..end, "", source)
}

/// The lines that are left, and where their text ends.
fn rest(document: &Document, begin: PartStart) -> (usize, usize) {
    let last =
        document.lines[begin.line..].iter().rposition(|line| line.kind != LineKind::Blank).unwrap_or(0);
    let end = document.lines[begin.line + last].range.end;
    (last + 1, begin.offset + document.text[begin.offset..end].trim_end().len())
}

/// Whether everything from here on goes into one part.
fn rest_fits(document: &Document, begin: PartStart, lead: &str, max_lines: Option<NonZeroUsize>) -> bool {
    let (lines, end) = rest(document, begin);
    let lines = lead.matches('\n').count() + lines;
    let room = LIMIT - units(lead);
    max_lines.is_none_or(|most| lines <= most.get()) && fits(&document.text[begin.offset..end], room)
}

/// What the part that begins here needs before its text.
pub fn lead(document: &Document, begin: PartStart) -> String {
    let line = &document.lines[begin.line];
    let text = &document.text[begin.offset..line.range.end];
    // What makes the start of a block is short, and the rest of the line may be as long as the document.
    let text = &text[..fitting(text, 2 * INDENT)];
    let before = &document.text[line.range.start..begin.offset];
    if let LineKind::Code(block) = line.kind {
        let block = &document.blocks[block];
        // The rest of a quoted line is now a line of its own; Discord would drop a blank first line.
        let quote = if before.is_empty() { "" } else { &block.quote };
        let guard = if text.is_empty() { ZERO_WIDTH } else { "" };
        return format!("{}{quote}{guard}", block.reopened());
    }
    let open = side_by_side(document.open_at(begin.offset).into_iter());
    if !before.trim().is_empty() {
        let quote = quote_prefix(before);
        let guard = if open.is_empty() && is_block_start(text) { ZERO_WIDTH } else { "" };
        return format!("{}{guard}{}", quote.trim_start(), parted(open, text));
    }
    match line.kind {
        _ if !open.is_empty() => parted(open, text),
        // On a line of its own, or Discord would no longer see a list.
        LineKind::Item if text.starts_with([' ', '\t']) => format!("{ZERO_WIDTH}\n"),
        LineKind::Text | LineKind::Item if text.starts_with(char::is_whitespace) => ZERO_WIDTH.to_owned(),
        _ => String::new(),
    }
}

/// Markers that a cut closes or opens again; three tildes would be a fence.
fn side_by_side<'a>(markers: impl Iterator<Item = &'a str>) -> String {
    markers.fold(String::new(), |all, marker| {
        let guard = if all.ends_with('~') && marker.starts_with('~') { ZERO_WIDTH } else { "" };
        all + guard + marker
    })
}

/// A marker that is opened again and one of the text are not to be read as one.
fn parted(open: String, text: &str) -> String {
    if touch(&open, text) { open + ZERO_WIDTH } else { open }
}

/// Whether a marker ends the one that the other one begins with, too.
fn touch(before: &str, after: &str) -> bool {
    before.chars().next_back().is_some_and(|c| "`*_~|".contains(c) && after.starts_with(c))
}

/// What a part that ends with this cut needs after its text.
fn tail(document: &Document, begin: PartStart, cut: &Cut) -> String {
    if let LineKind::Code(block) = document.lines[cut.next.line].kind {
        let guard = if shows_no_code(document, begin, cut.next) { ZERO_WIDTH } else { "" };
        return format!("{guard}{}", document.blocks[block].closed());
    }
    let closing = side_by_side(document.open_at(cut.next.offset).into_iter().rev());
    if touch(&document.text[..cut.end], &closing) { format!("{ZERO_WIDTH}{closing}") } else { closing }
}

/// Whether the part from here to there would end with a code block that has only blank lines, which Discord would not show as
/// code. A part that continues a block has its guard at the beginning.
fn shows_no_code(document: &Document, begin: PartStart, end: PartStart) -> bool {
    let goes_on = matches!(document.lines[begin.line].kind, LineKind::Code(_));
    let is_torn = end.offset > document.lines[end.line].range.start;
    let before = document.lines[begin.line..end.line].iter().rev();
    let mut code = before.take_while(|line| matches!(line.kind, LineKind::Code(_)));
    !goes_on && !is_torn && code.all(|line| is_blank_code(&document.text[line.range.clone()]))
}

/// Every cut for a part that begins here; the last ones are in the first line that does not fit. `None` if everything fits so
/// far, or if what comes later could change them.
fn cuts(
    document: &Document,
    begin: PartStart,
    lead: &str,
    complete: bool,
    max_lines: Option<NonZeroUsize>,
) -> Option<Vec<Cut>> {
    let mut cuts = Vec::new();
    let mut passed: Vec<(PartStart, usize)> = Vec::new();
    let lead_lines = lead.matches('\n').count();
    let known = begin.line + rest(document, begin).0;
    let mut used = units(lead);
    // Whether the code block has only blank lines so far, which Discord would not show as code.
    let mut blank = false;
    let mut offset = begin.offset;
    for (number, line) in document.lines.iter().enumerate().skip(begin.line) {
        let text = &document.text[offset..line.range.end];
        let place = PartStart { line: number, offset };
        let (trimmed, closing) = match line.kind {
            LineKind::Code(block) => (text, document.blocks[block].closing),
            _ => (text.trim_end(), document.closing_within(line.range.end..line.range.end)),
        };
        let fence = usize::from(matches!(line.kind, LineKind::Code(_)));
        let lines = lead_lines + number - begin.line + 1 + fence;
        let too_many = max_lines.is_some_and(|most| lines > most.get() && !cuts.is_empty());
        if !complete && number >= known {
            return None;
        }
        if too_many || used + closing > LIMIT || !fits(trimmed, LIMIT - closing - used) {
            if let LineKind::Open(block) | LineKind::Code(block) = line.kind
                && !complete
                && !document.blocks[block].closed
                && document.blocks[block].fits_whole()
            {
                // It may still fit whole, or not.
                return None;
            }
            // What must not be torn may begin several lines before.
            if let Some(solid) = document.solid_at(offset).filter(|solid| solid.start > begin.offset)
                && let Some(&(place, used)) =
                    passed.iter().rev().find(|(place, _)| place.offset < solid.start)
            {
                let forced = cuts.is_empty();
                cuts.extend(cuts_within(document, place, used, solid.start, forced));
            }
            if !too_many {
                let forced = cuts.is_empty();
                cuts.extend(cuts_within(document, place, used, line.range.end, forced));
            }
            free_announcement(document, number, &mut cuts);
            if cuts.is_empty() {
                cuts.extend(before_quoted_blank(document, number, &passed));
            }
            if cuts.is_empty() && offset > begin.offset {
                let end = match line.kind {
                    LineKind::Code(_) => offset - 1,
                    _ => begin.offset + document.text[begin.offset..offset].trim_end().len(),
                };
                cuts.push(Cut { quality: Quality::Grapheme, fill: used, end, next: place });
            }
            return Some(cuts);
        }
        match line.kind {
            LineKind::Open(_) => blank = true,
            LineKind::Code(_) => blank &= is_blank_code(text),
            _ => blank = false,
        }
        let size = units(text);
        if let Some((quality, next)) = boundary(document, number).filter(|_| !blank) {
            let own = if trimmed.len() == text.len() { size } else { units(trimmed) };
            cuts.push(Cut { quality, fill: used + own + closing, end: offset + trimmed.len(), next });
        }
        passed.push((place, used));
        used += size + 1;
        offset = line.range.end + 1;
    }
    None
}

/// A cut within the last visible line, if the next part would otherwise begin with a blank line of quoted code: nothing can
/// guard that line before a quote mark, so something has to go with it.
fn before_quoted_blank(document: &Document, overflow: usize, passed: &[(PartStart, usize)]) -> Option<Cut> {
    let text = |line: usize| &document.text[document.lines[line].range.clone()];
    let LineKind::Code(block) = document.lines[overflow].kind else { return None };
    let block = &document.blocks[block];
    if block.quote.is_empty() || !is_blank_code(text(overflow)) {
        return None;
    }
    let &(begin, used) = passed.iter().rev().find(|(place, _)| !is_blank_code(text(place.line)))?;
    let line = &document.text[begin.offset..document.lines[begin.line].range.end];
    let (last, _) = line.char_indices().next_back()?;
    let end = end_in_code(line, last);
    let fill = used + units(&line[..end]) + block.closing;
    let end = begin.offset + end;
    let cut =
        Cut { quality: Quality::Grapheme, fill, end, next: PartStart { line: begin.line, offset: end } };
    let is_code = document.lines[begin.line].kind == document.lines[overflow].kind;
    (is_code && end > begin.offset).then_some(cut)
}

/// A line that announces something which does not fit into the same part need not wait for it.
fn free_announcement(document: &Document, overflow: usize, cuts: &mut [Cut]) {
    let [.., last] = cuts else { return };
    let follower = last.next.line;
    if last.quality != Quality::Loose || follower > overflow {
        return;
    }
    let announced = match document.lines[follower].kind {
        LineKind::Open(block) if document.blocks[block].fits_whole() => {
            let block = &document.blocks[block];
            block.opening + block.code + block.closing
        }
        LineKind::Text | LineKind::Item if follower == overflow => {
            let text = &document.text[document.lines[follower].range.clone()];
            units(&text[..fitting(text, LIMIT)])
        }
        _ => return,
    };
    let end = last.end;
    let line = document.lines[..follower].iter().rposition(|line| line.range.start < end).unwrap_or(0);
    let announcement = units(&document.text[document.lines[line].range.start..end]);
    if announcement + announced > LIMIT {
        cuts[cuts.len() - 1].quality = Quality::Block;
    }
}

/// Whether a line of code has nothing but the marks of its quote.
fn is_blank_code(line: &str) -> bool {
    line.trim_start_matches(['>', ' ']).trim().is_empty()
}

/// The cut after this line, if there may be one.
fn boundary(document: &Document, number: usize) -> Option<(Quality, PartStart)> {
    let line = &document.lines[number];
    if matches!(line.kind, LineKind::Blank | LineKind::Open(_)) {
        return None;
    }
    let (following, next) =
        document.lines.iter().enumerate().skip(number + 1).find(|(_, line)| line.kind != LineKind::Blank)?;
    if document.solid_at(line.range.end).is_some() {
        return None;
    }
    let text = &document.text[next.range.clone()];
    let this = document.text[line.range.clone()].trim_end();
    let indented = text.starts_with(char::is_whitespace);
    let gap = following > number + 1;
    let quality = match (line.kind, next.kind) {
        // Discord drops blank lines at the beginning of a block.
        (LineKind::Code(_), LineKind::Code(_)) if is_blank_code(text) => return None,
        (LineKind::Code(block), LineKind::Code(_)) if !document.blocks[block].fits_whole() => {
            // In a terminal session, a command and its output belong together.
            if is_blank_code(this) || text.starts_with("$ ") { Quality::Item } else { Quality::Line }
        }
        (LineKind::Code(_), _) => return None,
        // One that fits in no part belongs to nothing.
        (LineKind::Heading, _) if fits(this, LIMIT) => Quality::Orphan,
        (_, LineKind::Heading) => Quality::Heading,
        (LineKind::Text | LineKind::Item, _) if this.ends_with([':', '：']) => Quality::Loose,
        (LineKind::Item, LineKind::Open(_)) => Quality::Loose,
        // What comes before code mostly says what it is.
        (LineKind::Text, LineKind::Open(_)) => Quality::Line,
        (_, LineKind::Item) if indented => Quality::Line,
        (_, LineKind::Text) if indented => Quality::Loose,
        (LineKind::Item, LineKind::Item) => Quality::Item,
        (LineKind::Close(_), _) => Quality::Block,
        (_, LineKind::Item) if this.starts_with(char::is_whitespace) => Quality::Item,
        _ if gap => Quality::Block,
        (LineKind::Text, LineKind::Text) if !ends_sentence(this) => Quality::Loose,
        _ => Quality::Line,
    };
    // The indentation of a fence or a heading means nothing to Discord. A quote mark comes before what is reopened.
    let skipped = match next.kind {
        LineKind::Code(_) => 0,
        LineKind::Text | LineKind::Item if document.open_at(next.range.start).is_empty() => 0,
        LineKind::Text | LineKind::Item => quote_prefix(text).len().max(text.len() - text.trim_start().len()),
        _ => text.len() - text.trim_start().len(),
    };
    Some((quality, PartStart { line: following, offset: next.range.start + skipped }))
}

/// The furthest cuts within a line, at most up to this offset, if it may be cut at all. `forced`: there is no other cut.
fn cuts_within(document: &Document, begin: PartStart, used: usize, until: usize, forced: bool) -> Vec<Cut> {
    let line = &document.lines[begin.line];
    let text = &document.text[begin.offset..line.range.end];
    let closing = match line.kind {
        LineKind::Code(block) => document.blocks[block].closing,
        _ => document.closing_within(begin.offset..line.range.end),
    };
    let fit = fitting(text, LIMIT.saturating_sub(used + closing)).min(until.saturating_sub(begin.offset));
    let cut = |quality, end: usize, next: usize| Cut {
        quality,
        fill: used + units(&text[..end]) + closing,
        end: begin.offset + end,
        next: PartStart { line: begin.line, offset: begin.offset + next },
    };
    if fit == 0 {
        return Vec::new();
    }
    match line.kind {
        LineKind::Code(block) => {
            let block = &document.blocks[block];
            let torn = begin.offset > line.range.start || !block.fits(&document.text[line.range.clone()]);
            if !torn {
                return Vec::new();
            }
            let end = end_in_code(text, fit);
            return vec![cut(Quality::Grapheme, end, end)];
        }
        LineKind::Heading if !forced => return Vec::new(),
        LineKind::Text | LineKind::Item | LineKind::Heading => {}
        LineKind::Blank | LineKind::Open(_) | LineKind::Close(_) => return Vec::new(),
    }

    let solid = |offset: usize| {
        let range = document.solid_at(begin.offset + offset)?;
        Some(range.start.saturating_sub(begin.offset)..range.end - begin.offset)
    };
    let room = CuttableLine { text, fit, solid: &solid };
    let mut cuts = Vec::new();
    if let Some((end, next)) = room.last_sentence() {
        cuts.push(cut(Quality::Sentence, end, next));
    }
    let word = room.last_space();
    if let Some((end, next)) = word {
        cuts.push(cut(Quality::Word, end, next));
    }
    let start = word.map_or(room.indent(), |(_, next)| next);
    if start >= fit {
        return cuts;
    }
    let around =
        units(&lead(document, PartStart { line: begin.line, offset: begin.offset + start })) + closing;
    let forced = forced && cuts.is_empty();
    if forced || !room.word_fits(start, LIMIT.saturating_sub(around)) {
        let hard = || forced.then(|| room.last_grapheme(start, true).unwrap_or(fit));
        if let Some(end) = room.last_grapheme(start, false).or_else(hard) {
            let next = text.len() - text[end..].trim_start().len();
            let end = text[..end].trim_end().len();
            if end > 0 && next < text.len() {
                cuts.push(cut(Quality::Grapheme, end, next));
            }
        }
    }
    cuts
}

/// Where to cut a line of code of which this many bytes fit.
fn end_in_code(line: &str, fit: usize) -> usize {
    let room = CuttableLine { text: line, fit, solid: &|_| None };
    room.last_token().or(room.last_grapheme(0, true)).unwrap_or(fit)
}
