//! What stands within lines: code spans, links, mentions, emphasis. Here for what must not be torn, and for what
//! the dialect rewrites.
//!
//! The rules are CommonMark's, with GFM's strike-through, but for tokens ([`token`]), whose stars and underscores are
//! letters. Every step is linear in the text, also for text made to be slow.

use std::ops::Range;
use std::sync::Arc;

use super::LIMIT;
use super::discord;
use super::html;
use super::line::fitting;
use super::links;
use super::math;
use super::references::{self, References};
use super::runs::{self, DelimiterRun};
use super::token;

/// Something inside lines; its range is in bytes of the scanned text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it is, including its markers.
    pub range: Range<usize>,
    pub kind: SpanKind,
}

/// What a span is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanKind {
    /// `` `code` `` between this many backticks.
    Code(usize),
    /// `[label](target)`, or with a `!` before it.
    Link {
        image: bool,
        label: Range<usize>,
        /// The target of a link by reference, `[label][1]`, which stands elsewhere.
        reference: Option<Arc<str>>,
    },
    /// `<https://…>`, `<@1>`, `<:emoji:1>`, `<t:1>` and the like.
    Angle,
    /// Either bracket of `<me@example.com>`, which is more than a person is to see.
    Bracket,
    /// `<!-- … -->`
    Comment,
    /// `<br>` and the like.
    Tag,
    /// `<b>…</b>`: the lengths of the two tags, and what Discord has for them.
    Tagged {
        /// Of the first one and of the last one.
        tags: [usize; 2],
        /// The marker.
        with: &'static str,
    },
    /// `<code>…</code>`, with what is within.
    HtmlCode(Range<usize>),
    /// `&lt;`
    Entity(char),
    /// `[^1]`
    Note,
    /// `$…$` and the like, with what is within.
    Math { inner: Range<usize>, display: bool },
    /// Emphasis, strike-through or a spoiler, between markers of this many bytes.
    Run(usize),
    /// `\*`
    Escape,
    /// `https://…`, as it is.
    Address,
    /// A letter that Discord may take for a marker.
    Loose,
}

/// Everything in a text that is one paragraph, heading or list item; outer spans come before inner ones.
pub fn spans(text: &str) -> Vec<Span> {
    read(text, &References::default(), false)
}

/// The same, with what only the dialect rewrites: links by reference, and formulas.
pub fn spans_with(text: &str, references: &References) -> Vec<Span> {
    read(text, references, true)
}

/// Which bytes may begin something.
const MAY_BEGIN: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"\\`<&[]*_~|:$";
    let mut number = 0;
    while number < marks.len() {
        table[marks[number] as usize] = true;
        number += 1;
    }
    table
};

fn read(text: &str, references: &References, formulas: bool) -> Vec<Span> {
    let mut reader = Reader {
        text,
        references,
        spans: Vec::new(),
        runs: Vec::new(),
        brackets: Vec::new(),
        inactive: 0,
        loose: Vec::new(),
        taken: Vec::new(),
        tags: Vec::new(),
    };
    let ticks = if text.contains('`') { Ticks::new(text) } else { Ticks::default() };
    let bytes = text.as_bytes();
    let mut comments = true;
    let mut escaped = 0;
    let mut at = 0;
    while let Some(skipped) =
        bytes.get(at..).and_then(|rest| rest.iter().position(|&b| MAY_BEGIN[usize::from(b)]))
    {
        at += skipped;
        let byte = bytes[at];
        if formulas
            && matches!(byte, b'$' | b'\\')
            && let Some(math) = math::find(text, at)
        {
            let kind = SpanKind::Math { inner: math.inner, display: math.display };
            at = reader.push(math.range, kind);
            continue;
        }
        at = match byte {
            b'\\' => {
                escaped = reader.backslash(at);
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
            b'&' => match html::reference(&text[at..]) {
                Some((length, c)) => reader.push(at..at + length, SpanKind::Entity(c)),
                None => at + 1,
            },
            b'[' => {
                // A word and `!` is an exclamation.
                let after_word = || text[..at - 1].ends_with(char::is_alphanumeric);
                let image = at > escaped && bytes[at - 1] == b'!' && !after_word();
                reader.brackets.push(Bracket { at, image, runs: reader.runs.len() });
                at + 1
            }
            b']' => reader.bracket(at),
            b'*' | b'_' | b'~' | b'|' => reader.run(at, byte),
            b':' if bytes[at..].starts_with(b"://") => reader.address(at),
            _ => at + 1,
        };
    }
    reader.pair(0);
    reader.note_loose();
    reader.spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    reader.spans
}

/// How long a bare address is that begins here, or with the `://` in it: to white space, a mark that no address has, or a
/// bracket that closes nothing; without punctuation at its end.
pub fn address_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let ends = |c: char| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' if depth == 0 => return true,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        c.is_whitespace() || "<>`\"*|".contains(c)
    };
    let end = text.find(ends).unwrap_or(text.len());
    text[..end].trim_end_matches(|c| ".,:;!?'_~".contains(c)).len()
}

/// The runs of three or more backticks: where they begin, and how long they are.
pub fn long_ticks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    tick_runs(text).filter(|&(_, length)| length >= 3)
}

fn tick_runs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + memchr::memchr(b'`', &bytes[at..])?;
        let length = run_length(bytes, start);
        at = start + length;
        Some((start, length))
    })
}

/// How many of the byte here stand side by side.
pub fn run_length(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|&&b| b == bytes[at]).count()
}

/// The runs of backticks in order, each with the next one of the same length.
#[derive(Default)]
pub struct Ticks(Vec<(usize, Option<usize>)>);

impl Ticks {
    /// Of this text.
    pub fn new(text: &str) -> Self {
        let mut runs: Vec<(usize, usize)> = tick_runs(text).collect();
        let longest = runs.iter().map(|&(_, length)| length).max().unwrap_or(0);
        let mut later = vec![None; longest + 1];
        runs.reverse();
        let mut next: Vec<_> = runs.into_iter().map(|(at, length)| (at, later[length].replace(at))).collect();
        next.reverse();
        Self(next)
    }

    /// Where the run is that closes the one here.
    fn next(&self, at: usize) -> Option<usize> {
        let place = self.0.binary_search_by_key(&at, |&(start, _)| start).ok()?;
        self.0[place].1
    }

    /// Where the code ends that begins with the backticks here, or else these.
    pub fn end(&self, text: &str, at: usize) -> usize {
        let end = self.next(at).unwrap_or(at);
        end + run_length(text.as_bytes(), at)
    }
}

/// A `[` that has not been closed yet.
struct Bracket {
    at: usize,
    image: bool,
    /// How many runs stood before it.
    runs: usize,
}

struct Reader<'a> {
    text: &'a str,
    references: &'a References,
    spans: Vec<Span>,
    runs: Vec<DelimiterRun>,
    brackets: Vec<Bracket>,
    /// The brackets up to here begin no link: one is within them.
    inactive: usize,
    /// The characters that are none of CommonMark's markers, and that Discord may take for one.
    loose: Vec<Range<usize>>,
    /// The markers of spans among them.
    taken: Vec<Range<usize>>,
    /// The tags that may begin a span: where, how long, and the name.
    tags: Vec<(usize, usize, String)>,
}

impl Reader<'_> {
    /// Notes a span. Returns where it ends.
    fn push(&mut self, range: Range<usize>, kind: SpanKind) -> usize {
        let end = range.end;
        self.spans.push(Span { range, kind });
        end
    }

    fn backslash(&mut self, at: usize) -> usize {
        let next = self.text[at + 1..].chars().next();
        match next {
            Some(c) if c.is_ascii_punctuation() && !token::is_path_mark(self.text, at) => {
                self.push(at..at + 2, SpanKind::Escape)
            }
            // To Discord it escapes whatever is no letter, digit or space of ASCII.
            Some(c) if !c.is_ascii_alphanumeric() && !c.is_whitespace() => {
                self.loose.push(at..at + 1);
                at + 1
            }
            _ => at + 1,
        }
    }

    fn code(&mut self, at: usize, ticks: &Ticks) -> usize {
        let length = run_length(self.text.as_bytes(), at);
        match ticks.next(at) {
            Some(end) => self.push(at..end + length, SpanKind::Code(length)),
            None => {
                self.loose.push(at..at + length);
                at + length
            }
        }
    }

    fn angle(&mut self, at: usize) -> usize {
        let rest = &self.text[at + 1..];
        let link = ["https://", "http://", "mailto:"].iter().any(|start| rest.starts_with(start));
        if !link && let Some(tag) = html::tag(&self.text[at..]) {
            return self.tag(at, &tag);
        }
        let ends = |b: u8| b == b'>' || b == b'<' || b == b'\n' || (b == b' ' && !rest.starts_with('/'));
        let longest = if link { LIMIT } else { 100 };
        match rest.bytes().take(longest).position(ends) {
            Some(length)
                if rest.as_bytes()[length] == b'>' && (link || discord::is_angle(&rest[..length])) =>
            {
                self.push(at..at + length + 2, SpanKind::Angle)
            }
            Some(length) if rest.as_bytes()[length] == b'>' && is_mail(&rest[..length]) => {
                self.push(at + 1 + length..at + 2 + length, SpanKind::Bracket);
                self.push(at..at + 1, SpanKind::Bracket)
            }
            _ => at + 1,
        }
    }

    fn tag(&mut self, at: usize, tag: &html::Tag<'_>) -> usize {
        let end = at + tag.length;
        if tag.is_code() && !tag.closes {
            let rest = &self.text[end..];
            let rest = &rest[..fitting(rest, LIMIT)];
            let close = format!("</{}>", tag.name);
            return match rest.find(&close).filter(|&length| length > 0 && !rest[..length].contains("``")) {
                Some(length) => {
                    let inner = end..end + length;
                    self.push(at..inner.end + close.len(), SpanKind::HtmlCode(inner))
                }
                None => self.letters(at..end),
            };
        }
        if let Some(with) = tag.marker() {
            if !tag.closes {
                self.tags.push((at, tag.length, tag.name.to_ascii_lowercase()));
                return end;
            }
            let name = tag.name.to_ascii_lowercase();
            if let Some(place) = self.tags.iter().rposition(|(_, _, other)| *other == name) {
                let (start, length, _) = self.tags.swap_remove(place);
                self.tags.truncate(place);
                return self.push(start..end, SpanKind::Tagged { tags: [length, tag.length], with });
            }
            return end;
        }
        if tag.is_known() { self.push(at..end, SpanKind::Tag) } else { self.letters(at..end) }
    }

    /// Notes that this is nothing but text.
    fn letters(&mut self, range: Range<usize>) -> usize {
        let marks = |b: u8| b"*_~|`".contains(&b);
        self.loose.extend(range.clone().filter(|&at| marks(self.text.as_bytes()[at])).map(|at| at..at + 1));
        range.end
    }

    /// A bare address whose `://` stands here: underscores and stars in it are no markers.
    fn address(&mut self, at: usize) -> usize {
        let end = at + address_length(&self.text[at..]);
        let start = ["https", "http"].iter().find(|scheme| self.text[..at].ends_with(**scheme));
        let end = end.max(at + 3);
        match start {
            Some(scheme) => self.push(at - scheme.len()..end, SpanKind::Address),
            None => at + 3,
        }
    }

    fn bracket(&mut self, at: usize) -> usize {
        let Some(open) = self.brackets.pop() else { return at + 1 };
        let label = open.at + 1..at;
        let active = open.image || self.brackets.len() >= self.inactive;
        self.inactive = self.inactive.min(self.brackets.len());
        let inline = links::target_end(self.text, at + 1).map(|end| (end, None));
        if let Some((end, reference)) = inline.or_else(|| self.reference(&label)).filter(|_| active) {
            // Markers that are opened inside a label cannot be closed outside.
            self.pair(open.runs);
            if !open.image {
                self.inactive = self.brackets.len();
            }
            let start = open.at - usize::from(open.image);
            self.push(start..end, SpanKind::Link { image: open.image, label, reference })
        } else {
            let text = &self.text[label];
            let note =
                text.strip_prefix('^').filter(|note| !note.is_empty() && !note.contains(char::is_whitespace));
            if note.is_some_and(|note| self.references.has_note(note)) {
                self.push(open.at..at + 1, SpanKind::Note);
            }
            at + 1
        }
    }

    /// Where the link by reference ends that has this text, and its target.
    fn reference(&self, label: &Range<usize>) -> Option<(usize, Option<Arc<str>>)> {
        let own = || self.references.target(&self.text[label.clone()]).filter(|_| self.is_label(label));
        let after = &self.text[label.end + 1..];
        let (target, end) = match after.strip_prefix('[').and_then(references::label_end) {
            Some(0) => (own()?, label.end + 3),
            Some(length) => (self.references.target(&after[1..=length])?, label.end + 3 + length),
            None => (own()?, label.end + 1),
        };
        Some((end, Some(Arc::clone(target))))
    }

    /// Whether there are no brackets in this text.
    fn is_label(&self, text: &Range<usize>) -> bool {
        references::label_end(&self.text[text.start..]) == Some(text.len())
    }

    /// Notes the markers that no span has taken.
    fn note_loose(&mut self) {
        let mut taken: Vec<usize> = std::mem::take(&mut self.taken).into_iter().flatten().collect();
        taken.sort_unstable();
        for place in std::mem::take(&mut self.loose).into_iter().flatten() {
            if taken.binary_search(&place).is_err() {
                self.push(place..place + 1, SpanKind::Loose);
            }
        }
    }

    fn run(&mut self, at: usize, mark: u8) -> usize {
        let length = run_length(self.text.as_bytes(), at);
        let end = at + length;
        if mark == b'|' && length == 1 {
            return end;
        }
        let literal = matches!(mark, b'*' | b'_') && token::is_literal(self.text, at..end);
        if mark != b'~' || length > 1 {
            self.loose.push(at..end);
        }
        if literal || (matches!(mark, b'~' | b'|') && length > 2) {
            return end;
        }
        self.runs.extend(DelimiterRun::new(self.text, at..end, mark));
        end
    }

    /// Finds the emphasis and the spoilers among the runs from this one on, and forgets them.
    fn pair(&mut self, from: usize) {
        let runs = self.runs.split_off(from.min(self.runs.len()));
        let (bars, runs): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.mark == b'|');
        let mut found = runs::emphasis(runs);
        if bars.len() > 1 {
            let mut around: Vec<Range<usize>> = found.iter().map(|(range, _)| range.clone()).collect();
            if from == 0 {
                let is_look = |span: &&Span| matches!(span.kind, SpanKind::Run(_) | SpanKind::Tagged { .. });
                around.extend(self.spans.iter().filter(is_look).map(|span| span.range.clone()));
            }
            found.extend(runs::spoilers(&bars, around));
        }
        for (range, marker) in found {
            self.taken.extend([range.start..range.start + marker, range.end - marker..range.end]);
            self.push(range, SpanKind::Run(marker));
        }
    }
}

/// Whether this is an address of mail, as between CommonMark's angle brackets.
fn is_mail(text: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let of_host = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && name.chars().all(of_name) && !host.is_empty() && host.chars().all(of_host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let shown =
            |span: &Span| !matches!(span.kind, SpanKind::Loose | SpanKind::Address | SpanKind::Escape);
        let spans = spans(text).into_iter().filter(shown);
        spans.map(|span| &text[span.range]).collect()
    }

    #[test]
    fn what_stands_in_a_line_is_found() {
        let cases: &[(&str, &[&str])] = &[
            ("a `b` ``c ` d`` `", &["`b`", "``c ` d``"]),
            ("[a](b) ![c](d \"e)\") [![f](g)](h)", &["[a](b)", "![c](d \"e)\")", "[![f](g)](h)", "![f](g)"]),
            ("[a](b(c)d) [no] (x) [no](a b) [a](\nb)", &["[a](b(c)d)", "[a](\nb)"]),
            (
                "<@100000000000000001> <t:1:R> <@1> <https://a.b> <no> a < b",
                &["<@100000000000000001>", "<t:1:R>", "<https://a.b>"],
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
