//! What stands within lines: code spans, links, mentions, emphasis. Here for what must not be torn, and for what
//! the dialect rewrites.
//!
//! The rules are CommonMark's where Discord's are the same, and simpler where the difference does not matter for a
//! cut: what counts as emphasis here and does not for Discord is kept whole, which does no harm. Every step is
//! linear in the text, also for text made to be slow.

use std::collections::HashMap;
use std::ops::Range;

use super::LIMIT;

/// Something within lines; its range is in bytes of the scanned text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it stands, with its markers.
    pub range: Range<usize>,
    /// What it is.
    pub kind: SpanKind,
}

/// What a span is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanKind {
    /// `` `code` `` between this many backticks.
    Code(usize),
    /// `[label](target)`, or with a `!` before it.
    Link { image: bool, label: Range<usize> },
    /// `<https://…>`, `<@1>`, `<:emoji:1>`, `<t:1>` and the like.
    Angle,
    /// `<!-- … -->`
    Comment,
    /// `[^1]`
    Note,
    /// Emphasis, strike-through or a spoiler, between markers of this many bytes.
    Run(usize),
    /// Markers that belong to nothing, which Discord may take for the beginning of something.
    Loose,
}

/// Everything in a text that is one paragraph, heading or list item; outer spans before what they hold.
pub fn spans(text: &str) -> Vec<Span> {
    let mut reader =
        Reader { text, spans: Vec::new(), openers: Vec::new(), brackets: Vec::new(), marks: Vec::new() };
    let ticks = if text.contains('`') { Ticks::new(text) } else { Ticks::default() };
    let bytes = text.as_bytes();
    let mut comments = true;
    let mut escaped = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii_punctuation) => {
                escaped = at + 2;
                escaped
            }
            b'`' => reader.code(at, &ticks),
            b'<' if text[at..].starts_with("<!--") && comments => match text[at + 4..].find("-->") {
                Some(end) => reader.push(at..at + 4 + end + 3, SpanKind::Comment),
                None => {
                    comments = false;
                    at + 1
                }
            },
            b'<' => reader.angle(at),
            b'[' => {
                let image = at > escaped && bytes[at - 1] == b'!';
                reader.brackets.push(Bracket { at, image, openers: reader.openers.len() });
                at + 1
            }
            b']' => reader.bracket(at),
            b'*' | b'_' | b'~' | b'|' => reader.delimiters(at, byte),
            // Underscores and stars in a bare address are no markers.
            b':' if bytes[at..].starts_with(b"://") => {
                let ends = |&b: &u8| b.is_ascii_whitespace() || b"<>`\"')]*|".contains(&b);
                bytes[at..].iter().position(ends).map_or(bytes.len(), |length| at + length)
            }
            _ => at + 1,
        };
    }
    reader.note_loose();
    reader.spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    reader.spans
}

/// The runs of three or more backticks: where they begin, and how long they are.
pub fn long_ticks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    tick_runs(text).filter(|&(_, length)| length >= 3)
}

fn tick_runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|&b| b == b'`')?;
        let length = run_length(bytes, start);
        at = start + length;
        Some((start, length))
    })
}

fn run_length(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|&&b| b == bytes[at]).count()
}

/// For each run of backticks, the next one of the same length.
#[derive(Default)]
struct Ticks(HashMap<usize, Option<usize>>);

impl Ticks {
    fn new(text: &str) -> Self {
        let runs: Vec<_> = tick_runs(text).collect();
        let mut later = HashMap::new();
        Self(runs.into_iter().rev().map(|(at, length)| (at, later.insert(length, at))).collect())
    }
}

/// A `[` that is not closed yet.
struct Bracket {
    at: usize,
    image: bool,
    /// How many openers stood before it.
    openers: usize,
}

/// Markers that may begin a run.
struct Opener {
    mark: u8,
    at: usize,
    left: usize,
}

struct Reader<'a> {
    text: &'a str,
    spans: Vec<Span>,
    openers: Vec<Opener>,
    brackets: Vec<Bracket>,
    /// The markers that Discord may look at.
    marks: Vec<Range<usize>>,
}

impl Reader<'_> {
    /// Notes a span; returns where it ends.
    fn push(&mut self, range: Range<usize>, kind: SpanKind) -> usize {
        let end = range.end;
        self.spans.push(Span { range, kind });
        end
    }

    fn code(&mut self, at: usize, ticks: &Ticks) -> usize {
        let length = run_length(self.text.as_bytes(), at);
        match ticks.0.get(&at) {
            Some(&Some(end)) => self.push(at..end + length, SpanKind::Code(length)),
            _ => at + length,
        }
    }

    fn angle(&mut self, at: usize) -> usize {
        let rest = &self.text[at + 1..];
        let link = ["https://", "http://", "mailto:"].iter().any(|start| rest.starts_with(start));
        let discord = ["@", "#", ":", "a:", "t:", "id:", "/"].iter().any(|start| rest.starts_with(start));
        if !link && !discord {
            return at + 1;
        }
        let longest = if link { LIMIT } else { 100 };
        let ends = |b: u8| b == b'>' || b == b'<' || b == b'\n' || (b == b' ' && !rest.starts_with('/'));
        match rest.bytes().take(longest).position(ends) {
            Some(length) if rest.as_bytes()[length] == b'>' => {
                self.push(at..at + length + 2, SpanKind::Angle)
            }
            _ => at + 1,
        }
    }

    fn bracket(&mut self, at: usize) -> usize {
        let Some(open) = self.brackets.pop() else { return at + 1 };
        let label = open.at + 1..at;
        if let Some(end) = target_end(self.text, at + 1) {
            // Markers that are open within a label cannot be closed outside.
            self.openers.truncate(open.openers);
            let start = open.at - usize::from(open.image);
            self.push(start..end, SpanKind::Link { image: open.image, label })
        } else {
            let text = &self.text[label];
            if text.len() > 1 && text.starts_with('^') && !text.contains(char::is_whitespace) {
                self.push(open.at..at + 1, SpanKind::Note);
            }
            at + 1
        }
    }

    /// Notes the markers that no run has taken.
    fn note_loose(&mut self) {
        let mut taken = std::collections::HashSet::new();
        for span in &self.spans {
            if let SpanKind::Run(marker) = span.kind {
                taken.extend(
                    (0..marker).flat_map(|byte| [span.range.start + byte, span.range.end - 1 - byte]),
                );
            }
        }
        for place in
            std::mem::take(&mut self.marks).into_iter().flatten().filter(|place| !taken.contains(place))
        {
            self.push(place..place + 1, SpanKind::Loose);
        }
    }

    fn delimiters(&mut self, at: usize, mark: u8) -> usize {
        let length = run_length(self.text.as_bytes(), at);
        let end = at + length;
        if matches!(mark, b'~' | b'|') && length == 1 {
            return end;
        }
        let before = self.text[..at].chars().next_back();
        let after = self.text[end..].chars().next();
        let solid = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        let word = |c: Option<char>| mark == b'_' && c.is_some_and(char::is_alphanumeric);
        let pair = !matches!(mark, b'~' | b'|') || length == 2;
        let opens = pair && solid(after) && !word(before);
        let closes = pair && solid(before) && !word(after);

        // Discord lets two markers stand beside white space, and what it opens ends wherever the next two are.
        if length >= 2 || opens {
            self.marks.push(at..end);
        }
        let mut left = length;
        while closes && left > 0 {
            let Some(place) = self.openers.iter().rposition(|opener| opener.mark == mark) else { break };
            let opener = &mut self.openers[place];
            let marker = if opener.left >= 2 && left >= 2 { 2 } else { 1 };
            opener.left -= marker;
            let start = opener.at + opener.left;
            let keep = place + usize::from(opener.left > 0);
            self.openers.truncate(keep);
            self.push(start..end - left + marker, SpanKind::Run(marker));
            left -= marker;
        }
        if opens && left > 0 {
            // Only so many can be open at once that looking through them takes no time.
            if self.openers.len() >= 64 {
                self.openers.remove(0);
            }
            self.openers.push(Opener { mark, at: end - left, left });
        }
        end
    }
}

/// Where the target of a link ends whose `(` may stand here.
fn target_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'(') {
        return None;
    }
    let mut depth = 1;
    let mut quote = None;
    let mut angle = bytes.get(at + 1) == Some(&b'<');
    let mut here = at + 1;
    while let Some(&byte) = bytes.get(here) {
        match (byte, quote) {
            (b'\n' | b'\r', _) => return None,
            // A link in a target is none, and each text is looked through once only.
            (b']', _) if bytes.get(here + 1) == Some(&b'(') => return None,
            (b'\\', _) => here += 1,
            (_, Some(mark)) if byte == mark => quote = None,
            (_, Some(_)) => {}
            (b'>', None) => angle = false,
            (_, None) if angle => {}
            // White space comes before a title or the end only.
            (b' ', None) => match bytes[here..].iter().find(|&&b| b != b' ') {
                Some(&mark @ (b'"' | b'\'')) => {
                    here += bytes[here..].iter().position(|&b| b == mark)?;
                    quote = Some(mark);
                }
                Some(b')') => {}
                _ => return None,
            },
            (b'(', None) => depth += 1,
            (b')', None) => {
                depth -= 1;
                if depth == 0 {
                    return Some(here + 1);
                }
            }
            _ => {}
        }
        here += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let spans = spans(text).into_iter().filter(|span| span.kind != SpanKind::Loose);
        spans.map(|span| &text[span.range]).collect()
    }

    #[test]
    fn what_stands_in_a_line_is_found() {
        let cases: &[(&str, &[&str])] = &[
            ("a `b` ``c ` d`` `", &["`b`", "``c ` d``"]),
            ("[a](b) ![c](d \"e)\") [![f](g)](h)", &["[a](b)", "![c](d \"e)\")", "[![f](g)](h)", "![f](g)"]),
            ("[a](b(c)d) [no] (x) [no](a b)", &["[a](b(c)d)"]),
            (
                "<@1> <:moon:1> <a:b:1> <t:1:R> <https://a.b> <no> a < b",
                &["<@1>", "<:moon:1>", "<a:b:1>", "<t:1:R>", "<https://a.b>"],
            ),
            ("a <!-- b --> c <!-- d", &["<!-- b -->"]),
            ("[^1] [^a b]", &["[^1]"]),
            (
                "*a* **b** ***c*** _d_ __e__ ~~f~~ ||g||",
                &["*a*", "**b**", "***c***", "**c**", "_d_", "__e__", "~~f~~", "||g||"],
            ),
            ("a * b * c 2 ** 3 snake_case_name ~~~", &[]),
            ("**a *b* c** *a **b***", &["**a *b* c**", "*b*", "*a **b***", "**b**"]),
            ("\\*a\\* https://a.b/c_d_e *f", &[]),
            ("`*a` b* **強調**です", &["`*a`", "**強調**"]),
        ];
        for (text, expected) in cases {
            assert_eq!(&found(text), expected, "{text}");
        }
    }
}
