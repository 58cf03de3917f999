//! What CommonMark means, in Discord's words: markers that Discord takes otherwise are changed, and letters that it
//! would take for markers are escaped.
//!
//! Discord's parser tries its rules at each place of a message, over paragraphs, quotes and blocks of code alike:
//! - `*…*` begins before anything but white space, and ends behind it; it holds no other `*` but in pairs.
//! - `_…_` begins anywhere, and ends where no letter, digit or underscore of ASCII follows; it holds no other `_` but
//!   in pairs.
//! - `**`, `__`, `~~` and `||` begin and end anywhere, and hold anything.
//! - All of them are tried before code spans: a marker in a code span ends what began before it.
//! - A bare address goes on to the next white space, whatever stands there.
//!
//! So of all these characters none stays that is a letter, except a `*` between spaces: even the `_` of `user_id` may
//! be paired with one in a block of code that is not written yet. Italics are always `*…*`. Emphasis that code within
//! it would end is left out.

use std::ops::Range;

use super::ZERO_WIDTH;
use super::dialect::{Swap, swap};
use super::inline::{Span, SpanKind};

/// Writes a text, which begins at `at`, as Discord shows it. `bold`: all of it is bold already.
pub fn write(text: &str, at: usize, spans: &[Span], bold: bool, swaps: &mut Vec<Swap>) {
    let runs = Runs::new(text, spans, bold);
    runs.write(text, at, swaps);
    // An address ends before what is escaped behind it.
    addresses(text, at, spans, &runs, swaps);
    letters(text, at, spans, &runs, swaps);
}

/// Emphasis.
struct Emphasis {
    range: Range<usize>,
    /// The lengths of its markers in the source.
    marker: [usize; 2],
    /// What Discord has for it; nothing where it is left out.
    with: &'static str,
}

struct Runs(Vec<Emphasis>);

impl Runs {
    fn new(text: &str, spans: &[Span], bold: bool) -> Self {
        let opaque = spans.iter().filter_map(|span| opaque(text, span));
        let hostile: Vec<(usize, &str)> = opaque.filter(|(_, text)| text.contains(['*', '~', '|'])).collect();
        let mut runs: Vec<Emphasis> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for span in spans {
            let range = span.range.clone();
            let (marker, with) = match (&span.kind, text.as_bytes()[range.start]) {
                (&SpanKind::Run(marker), b'~') => ([marker; 2], "~~"),
                (&SpanKind::Run(marker), b'|') => ([marker; 2], "||"),
                (SpanKind::Run(1), _) => ([1; 2], "*"),
                (SpanKind::Run(_), _) => ([2; 2], "**"),
                (&SpanKind::Tagged { tags, with }, _) => (tags, with),
                _ => continue,
            };
            open.retain(|&run| runs[run].range.end > range.start);
            // What overlaps cannot be written.
            let overlaps = open.iter().any(|&run| runs[run].range.end < range.end);
            let is_open =
                overlaps || open.iter().any(|&run| runs[run].with == with) || (bold && with == "**");
            let ended = || {
                let first = hostile.partition_point(|(start, _)| *start < range.start);
                let mut within = hostile[first..].iter().take_while(|(start, _)| *start < range.end);
                within.any(|(_, text)| text.contains(with))
            };
            let inner = range.start + marker[0]..range.end - marker[1];
            let with = if is_open || ended() || is_blank(text, inner, spans) { "" } else { with };
            open.push(runs.len());
            runs.push(Emphasis { range, marker, with });
        }
        Self(runs)
    }

    /// The emphasis that this place is in.
    fn innermost(&self, at: usize) -> Option<&Emphasis> {
        let before = self.0.partition_point(|run| run.range.start <= at);
        // Deep nests are nobody's meaning.
        self.0[..before].iter().rev().take(64).find(|run| run.range.end > at && !run.with.is_empty())
    }

    fn write(&self, text: &str, at: usize, swaps: &mut Vec<Swap>) {
        let mut ends: Vec<(usize, &'static str)> = Vec::new();
        for run in &self.0 {
            let Range { start, end } = run.range;
            for range in [start..start + run.marker[0], end - run.marker[1]..end] {
                if text[range.clone()] != *run.with {
                    swaps.push(swap(at + range.start..at + range.end, run.with));
                }
            }
            if !run.with.is_empty() {
                ends.push((end, run.with));
            }
        }
        ends.sort_unstable();
        for run in self.0.iter().filter(|run| !run.with.is_empty()) {
            // Markers of two that stand side by side are not to be read as one.
            let touches = |&(end, with): &(usize, &str)| {
                end == run.range.start && with.as_bytes()[0] == run.with.as_bytes()[0]
            };
            let place = ends.partition_point(|&(end, _)| end < run.range.start);
            if ends[place..].first().is_some_and(touches) {
                swaps.push(swap(at + run.range.start..at + run.range.start, ZERO_WIDTH));
            }
        }
    }
}

/// Whether nothing is left of this without comments.
fn is_blank(text: &str, range: Range<usize>, spans: &[Span]) -> bool {
    if !text[range.clone()].starts_with("<!--") {
        return false;
    }
    let first = spans.partition_point(|span| span.range.start < range.start);
    let mut at = range.start;
    for span in spans[first..].iter().filter(|span| span.kind == SpanKind::Comment) {
        if span.range.start >= range.end || !text[at..span.range.start].trim().is_empty() {
            break;
        }
        at = span.range.end;
    }
    text[at.min(range.end)..range.end].trim().is_empty()
}

/// What of a span Discord takes as it is, and CommonMark too, and where that stands.
fn opaque<'a>(text: &'a str, span: &'a Span) -> Option<(usize, &'a str)> {
    let own = |range: Range<usize>| Some((range.start, &text[range]));
    match &span.kind {
        SpanKind::Code(_)
        | SpanKind::Math { .. }
        | SpanKind::HtmlCode(_)
        | SpanKind::Angle
        | SpanKind::Address => own(span.range.clone()),
        SpanKind::Link { label, reference: Some(target), .. } => Some((label.end, target)),
        SpanKind::Link { label, .. } if text[label.end..].starts_with("](") => own(label.end..span.range.end),
        _ => None,
    }
}

/// Escapes the letters that Discord would take for markers.
fn letters(text: &str, at: usize, spans: &[Span], runs: &Runs, swaps: &mut Vec<Swap>) {
    let bytes = text.as_bytes();
    for span in spans.iter().filter(|span| span.kind == SpanKind::Loose) {
        let place = span.range.start;
        let space = |b: Option<&u8>| b.is_none_or(u8::is_ascii_whitespace);
        let (before, after) = (place.checked_sub(1).map(|at| &bytes[at]), bytes.get(place + 1));
        let stands_alone = bytes[place] == b'*' && space(before) && space(after);
        if !stands_alone || runs.innermost(place).is_some() {
            swaps.push(swap(at + place..at + place, "\\"));
        }
    }
}

/// Puts an address in angle brackets where Discord would take markers behind it for a part of it.
fn addresses(text: &str, at: usize, spans: &[Span], runs: &Runs, swaps: &mut Vec<Swap>) {
    for span in spans.iter().filter(|span| span.kind == SpanKind::Address) {
        let Range { start, end } = span.range;
        let enclosing = runs.innermost(start).map(|run| run.range.end - run.marker[1]);
        let rest = &text[end..enclosing.unwrap_or(text.len()).max(end)];
        let touching = rest.split(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default();
        if touching.contains(['*', '_', '~', '|', '`', '\\']) {
            swaps.push(swap(at + start..at + start, "<"));
            swaps.push(swap(at + end..at + end, ">"));
        }
    }
}
