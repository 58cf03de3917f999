//! HTML within prose: what Discord has something for becomes that, and any other tag stays as it is written.

use std::ops::Range;

use super::ZERO_WIDTH;
use super::dialect::{Swap, swap};
use super::inline::{Span, SpanKind};
use super::line::{fitting, is_block_start};
use super::links::{self, LinkForm};

/// A tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// How long it is.
    pub length: usize,
    /// Its name.
    pub name: &'a str,
    /// Whether it closes what another one opens.
    pub closes: bool,
    /// What stands behind its name.
    pub attributes: &'a str,
}

/// No character reference is longer: `&CounterClockwiseContourIntegral;`.
const LONGEST_NAME: usize = 33;

/// No tag is longer.
const LONGEST: usize = 500;

/// The tag that a text begins with.
pub fn tag(text: &str) -> Option<Tag<'_>> {
    let inner = text.strip_prefix('<')?;
    let closes = inner.starts_with('/');
    let name = &inner[usize::from(closes)..];
    let length = name.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
    let rest = &name[length..];
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !rest.starts_with(['>', '/', ' ', '\t', '\n'])
    {
        return None;
    }
    let at = attributes(&rest[..fitting(rest, LONGEST)], closes)?;
    let length = text.len() - rest.len() + at + 1;
    let attributes = rest[..at].trim_end_matches('/');
    Some(Tag { length, name: &name[..name.len() - rest.len()], closes, attributes })
}

/// Where the `>` is that ends these attributes; `None` if they are none to CommonMark. `closes`: there must be none.
fn attributes(text: &str, closes: bool) -> Option<usize> {
    let mut rest = text;
    loop {
        let inner = rest.trim_start();
        let at = text.len() - inner.len();
        if inner.starts_with('>') {
            return Some(at);
        }
        if closes {
            return None;
        }
        if inner.starts_with("/>") {
            return Some(at + 1);
        }
        let name = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        let after = inner.trim_start_matches(name);
        if inner.len() == rest.len() || after.len() == inner.len() {
            return None;
        }
        rest = match after.trim_start().strip_prefix('=').map(str::trim_start) {
            None => after,
            Some(value) => match value.chars().next()? {
                mark @ ('"' | '\'') => value[1..].split_once(mark)?.1,
                _ => {
                    let ends = |c: char| c.is_whitespace() || "\"'=<>`".contains(c);
                    let after = value.trim_start_matches(|c| !ends(c));
                    if after.len() == value.len() || after.starts_with(['"', '\'', '=', '<', '`']) {
                        return None;
                    }
                    after
                }
            },
        };
    }
}

impl Tag<'_> {
    /// Whether this is its name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The markers that it is in Discord.
    pub fn marker(&self) -> Option<&'static str> {
        let markers = [
            ("b", "**"),
            ("strong", "**"),
            ("i", "*"),
            ("em", "*"),
            ("u", "__"),
            ("ins", "__"),
            ("s", "~~"),
            ("del", "~~"),
            ("strike", "~~"),
        ];
        markers.iter().find(|(name, _)| self.is(name)).map(|(_, marker)| *marker)
    }

    /// Whether it is code to Discord.
    pub fn is_code(&self) -> bool {
        ["code", "kbd", "tt", "samp"].iter().any(|name| self.is(name))
    }

    /// Whether it is something that this module writes by itself.
    pub fn is_known(&self) -> bool {
        ["br", "a", "img", "sub", "sup"].iter().any(|name| self.is(name))
    }

    /// What is seen in place of an image.
    fn alt(&self) -> String {
        let alt = self.attribute("alt").map(|alt| self.attributes[alt].trim().replace(['[', ']'], ""));
        alt.filter(|alt| !alt.is_empty()).unwrap_or_else(|| "image".to_owned())
    }

    /// Where the value of an attribute stands in `attributes`.
    fn attribute(&self, name: &str) -> Option<Range<usize>> {
        let lower = self.attributes.to_ascii_lowercase();
        let mut from = 0;
        while let Some(found) = lower[from..].find(name) {
            let at = from + found;
            from = at + name.len();
            let rest = self.attributes[from..].trim_start();
            if !lower[..at].ends_with([' ', '\n', '"', '\'']) || !rest.starts_with('=') {
                continue;
            }
            let value = rest[1..].trim_start();
            let start = self.attributes.len() - value.len();
            return Some(match value.chars().next() {
                Some(mark @ ('"' | '\'')) => start + 1..start + 1 + value[1..].find(mark)?,
                _ => start..start + value.find(char::is_whitespace).unwrap_or(value.len()),
            });
        }
        None
    }
}

/// Line ends, links, images, small figures, code. `line`: what a new line of this text begins with.
pub fn write(text: &str, at: usize, spans: &[Span], line: &str, swaps: &mut Vec<Swap>) {
    let mut open: Vec<(usize, Tag<'_>)> = Vec::new();
    let mut link_end = 0;
    for (number, span) in spans.iter().enumerate() {
        let Range { start, end } = span.range;
        match &span.kind {
            SpanKind::Link { image: false, .. } => link_end = link_end.max(end),
            SpanKind::Bracket => swaps.push(swap(at + start..at + end, "")),
            SpanKind::Entity(c) => entity(text, at, start..end, *c, swaps),
            SpanKind::HtmlCode(inner) => {
                let ticks = if text[inner.clone()].contains('`') { "``" } else { "`" };
                swaps.push(swap(at + start..at + inner.start, ticks));
                let place = at + inner.start;
                for range in looks(&text[inner.clone()]) {
                    swaps.push(swap(place + range.start..place + range.end, ""));
                }
                for (range, c) in entities(&text[inner.clone()]) {
                    swaps.push(swap(place + range.start..place + range.end, c.to_string()));
                }
                swaps.push(swap(at + inner.end..at + end, ticks));
            }
            SpanKind::Tag => {
                let Some(tag) = tag(&text[start..]) else { continue };
                if tag.is("br") {
                    let after = text[end..].trim_start_matches([' ', '\t']);
                    let seen = seen_from(text, text.len() - after.len(), &spans[number + 1..]);
                    let ends = seen.is_empty() || seen.starts_with(['\n', '\r']);
                    // What follows is text, whatever it would be at the start of a line.
                    let guard = if line.contains('\n') && is_block_start(seen) { ZERO_WIDTH } else { "" };
                    let with = if ends { String::new() } else { format!("{line}{guard}") };
                    swaps.push(swap(at + start..at + text.len() - after.len(), with));
                } else if tag.is("img") && (start < link_end || open.iter().any(|(_, tag)| tag.is("a"))) {
                    swaps.push(swap(at + start..at + end, tag.alt()));
                } else if tag.is("img") {
                    image(text, at, start, &tag, swaps);
                } else if !tag.closes {
                    open.push((start, tag));
                } else if let Some(place) = open.iter().rposition(|(_, other)| other.is(tag.name)) {
                    let (begin, opening) = open.swap_remove(place);
                    open.truncate(place);
                    let inner = begin + opening.length..start;
                    if tag.is("a") {
                        anchor(text, at, (begin, &opening), inner, end, swaps);
                    } else {
                        let first = spans.partition_point(|span| span.range.start < inner.start);
                        let link = spans[first..number].iter().find(|span| span.range == inner);
                        figures(text, at, (begin, &opening), inner, (end, link), swaps);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The text from here on without comments and spaces of any kind; `spans` are those behind this place.
fn seen_from<'a>(text: &'a str, mut at: usize, spans: &[Span]) -> &'a str {
    let mut spans = spans.iter();
    loop {
        let rest = text[at..].trim_start_matches([' ', '\t']);
        at = text.len() - rest.len();
        let hidden = |span: &&Span| match span.kind {
            SpanKind::Comment => true,
            SpanKind::Entity(c) => c.is_whitespace(),
            _ => false,
        };
        match spans.next().filter(|span| span.range.start == at).filter(hidden) {
            Some(span) => at = span.range.end,
            None => return rest,
        }
    }
}

fn image(text: &str, at: usize, start: usize, tag: &Tag<'_>, swaps: &mut Vec<Swap>) {
    let begin = start + text[start..].find(tag.attributes).unwrap_or_default();
    let alt = tag.alt();
    let Some(src) = tag.attribute("src") else { return };
    let target = &tag.attributes[src.clone()];
    let src = begin + src.start..begin + src.end;
    let (open, close) = match links::shown(&alt, target) {
        LinkForm::Masked => (format!("[{alt}]("), ")"),
        LinkForm::Address => (String::new(), ""),
        LinkForm::Label | LinkForm::Both => (format!("{alt} (`"), "`)"),
    };
    swaps.push(swap(at + start..at + src.start, open));
    swaps.push(swap(at + src.end..at + start + tag.length, close));
}

/// `<a href="…">label</a>`
fn anchor(
    text: &str,
    at: usize,
    (begin, tag): (usize, &Tag<'_>),
    label: Range<usize>,
    end: usize,
    swaps: &mut Vec<Swap>,
) {
    let target = tag.attribute("href").map(|href| &tag.attributes[href]).unwrap_or_default();
    let words = &text[label.clone()];
    let is_image = self::tag(words.trim_start()).is_some_and(|tag| tag.is("img"));
    let seen = if is_image { "image" } else { words };
    let (open, close) = match links::shown(seen, target) {
        LinkForm::Masked => ("[", format!("]({target})")),
        LinkForm::Address if words == target => ("<", ">".to_owned()),
        LinkForm::Address => {
            swaps.push(swap(at + begin..at + end, format!("<{target}>")));
            return;
        }
        LinkForm::Label => ("", String::new()),
        LinkForm::Both if target.starts_with("http") => ("", format!(" (<{target}>)")),
        LinkForm::Both => ("", format!(" (`{}`)", links::address(target))),
    };
    swaps.push(swap(at + begin..at + label.start, open));
    swaps.push(swap(at + label.end..at + end, close));
}

/// `<sub>2</sub>` → `₂`, and where Unicode has none, `_(…)`; `^(…)` for `<sup>`.
fn figures(
    text: &str,
    at: usize,
    (begin, tag): (usize, &Tag<'_>),
    inner: Range<usize>,
    (end, link): (usize, Option<&Span>),
    swaps: &mut Vec<Swap>,
) {
    let small = |c: char| {
        let (from, to) = if tag.is("sub") {
            ("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
        } else {
            ("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
        };
        from.chars().position(|other| other == c).and_then(|place| to.chars().nth(place))
    };
    let raised = |range: &Range<usize>| text[range.clone()].chars().map(small).collect::<Option<String>>();
    let label = match link.map(|span| &span.kind) {
        Some(SpanKind::Link { image: false, label, .. }) => Some(label.clone()),
        _ => self::tag(&text[inner.clone()])
            .filter(|tag| tag.is("a") && text[inner.clone()].ends_with("</a>"))
            .map(|tag| inner.start + tag.length..inner.end - "</a>".len()),
    };
    let label = label.and_then(|label| raised(&label).map(|figures| (label, figures)));
    match (raised(&inner), label) {
        (Some(figures), _) => swaps.push(swap(at + begin..at + end, figures)),
        // The link stays around them.
        (None, Some((label, figures))) => {
            swaps.push(swap(at + begin..at + inner.start, ""));
            swaps.push(swap(at + label.start..at + label.end, figures));
            swaps.push(swap(at + inner.end..at + end, ""));
        }
        (None, None) => {
            swaps.push(swap(at + begin..at + inner.start, if tag.is("sub") { "\\_(" } else { "^(" }));
            swaps.push(swap(at + inner.end..at + end, ")"));
        }
    }
}

/// A character reference, as the character that it stands for.
fn entity(text: &str, at: usize, range: Range<usize>, c: char, swaps: &mut Vec<Swap>) {
    let after = &text[range.end..];
    let begins = c != '<' || after.starts_with(|c: char| c.is_ascii_alphabetic() || "@#:/".contains(c));
    let guard = if "*_~|`\\>#-[".contains(c) || (c == '<' && begins) { "\\" } else { "" };
    swaps.push(swap(at + range.start..at + range.end, format!("{guard}{c}")));
}

/// The tags in code that would give it another look, which code does not have.
fn looks(code: &str) -> Vec<Range<usize>> {
    let mut open: Vec<(Range<usize>, &str)> = Vec::new();
    let mut pairs = Vec::new();
    for (at, _) in code.match_indices('<') {
        let Some(tag) = tag(&code[at..]).filter(|tag| tag.marker().is_some()) else { continue };
        let own = at..at + tag.length;
        if !tag.closes {
            open.push((own, tag.name));
        } else if let Some((opening, _)) = open.pop_if(|(_, name)| tag.is(name)) {
            pairs.extend([opening, own]);
        }
    }
    pairs
}

/// The character references in a text, and what they stand for.
fn entities(text: &str) -> Vec<(Range<usize>, char)> {
    let places = text.match_indices('&').map(|(at, _)| at);
    places.filter_map(|at| reference(&text[at..]).map(|(length, c)| (at..at + length, c))).collect()
}

/// The character reference that a text begins with: how long it is, and the character.
pub fn reference(text: &str) -> Option<(usize, char)> {
    let length = text.bytes().take(LONGEST_NAME).position(|b| b == b';' || b == b' ')?;
    let name = text[1..].get(..length - 1).filter(|_| text[length..].starts_with(';'))?;
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control())?
        }
        None => {
            let decoded = html_escape::decode_html_entities(&text[..=length]);
            let mut chars = decoded.chars();
            chars.next().filter(|_| chars.next().is_none())?
        }
    };
    // What takes no place, or only that of a space, is none.
    Some((length + 1, if c == '\u{a0}' { ' ' } else { c }))
}
