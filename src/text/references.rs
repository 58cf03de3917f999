//! Links by reference: `[label]: target` defines what `[text][label]`, `[label][]` and `[label]` lead to.
//!
//! A definition may stand anywhere, and mostly stands behind its uses. So a text is surveyed before it is scanned, and of
//! a text that is still growing nothing is scanned from the first paragraph on that may use what is not defined yet, or
//! that defines what is not used yet. At the end of the text everything is decided.
//!
//! Labels are compared as CommonMark does: without regard to case and to the width of white space; of several
//! definitions the first one counts. One that is used is left out; one that is not stays as text, because its target may
//! be all that the author had to say, unless it is a comment (`[//]: # (…)`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::inline::Ticks;
use super::line::{CodeIndent, Opening, closing, columns, heading, is_list_item, is_rule, opening};

/// CommonMark's limit of a label, in bytes here.
const LABEL: usize = 999;

/// What has been defined and used so far.
#[derive(Debug, Default)]
pub struct References {
    targets: HashMap<String, Arc<str>>,
    used: HashSet<String>,
    /// The footnotes that are defined; nothing before the survey, when any may be.
    notes: Option<HashSet<String>>,
}

impl References {
    /// The target of this label.
    pub fn target(&self, label: &str) -> Option<&Arc<str>> {
        // No text without definitions pays for them.
        if self.targets.is_empty() { None } else { self.targets.get(&key(label)?) }
    }

    /// Whether `[^label]` is a footnote.
    pub fn has_note(&self, label: &str) -> bool {
        self.notes.as_ref().is_none_or(|notes| note_key(label).is_some_and(|key| notes.contains(&key)))
    }

    /// Whether nobody misses this definition.
    pub fn is_dispensable(&self, definition: &LinkDefinition<'_>) -> bool {
        let is_comment = matches!(definition.target, "#" | "");
        is_comment || (self.targets.contains_key(&definition.label) && self.used.contains(&definition.label))
    }
}

/// `[label]: target "title"`
#[derive(Debug, PartialEq, Eq)]
pub struct LinkDefinition<'a> {
    /// As it is compared.
    pub label: String,
    pub target: &'a str,
    /// How many lines it takes.
    pub lines: usize,
}

/// A label as it is compared; `None` if it is none, or that of a footnote.
fn key(label: &str) -> Option<String> {
    let label = label.trim();
    if label.is_empty() || label.len() > LABEL || label.starts_with('^') {
        return None;
    }
    let words: Vec<&str> = label.split_whitespace().collect();
    // Case folding, as near as the standard library comes to it.
    Some(words.join(" ").to_lowercase().to_uppercase())
}

/// The label of a footnote as it is compared.
fn note_key(label: &str) -> Option<String> {
    let is_label = (1..=LABEL).contains(&label.len()) && !label.contains(char::is_whitespace);
    is_label.then(|| label.to_lowercase().to_uppercase())
}

/// The footnote that this line defines: `[^label]: …`
fn note(line: &str) -> Option<String> {
    let text = inner(line).strip_prefix("[^")?;
    let end = label_end(text)?;
    text[end + 1..].starts_with(':').then(|| note_key(&text[..end])).flatten()
}

/// Where the label ends whose text begins here: there are no brackets in it.
pub fn label_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at).filter(|_| at <= LABEL) {
        match byte {
            b']' => return Some(at),
            b'[' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The text of a line without quote marks and indentation.
fn inner(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '>']).trim_end()
}

/// The definition that these lines begin with.
pub fn definition<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<LinkDefinition<'a>> {
    let mut lines = lines.into_iter().map(inner);
    let text = lines.next()?.strip_prefix('[')?;
    let end = label_end(text)?;
    let label = key(&text[..end])?;
    let mut rest = text[end + 1..].strip_prefix(':')?.trim_start();
    let mut count = 1;
    if rest.is_empty() {
        rest = lines.next().filter(|line| !line.is_empty())?;
        count += 1;
    }
    let (target, after) = match rest.strip_prefix('<') {
        Some(inner) => inner.split_once('>')?,
        None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
    };
    if after.trim().is_empty() {
        count += usize::from(lines.next().is_some_and(is_title));
    } else if !after.starts_with(char::is_whitespace) || !is_title(after.trim()) {
        return None;
    }
    Some(LinkDefinition { label, target, lines: count })
}

fn is_title(text: &str) -> bool {
    let marks = [('"', '"'), ('\'', '\''), ('(', ')')];
    marks.iter().any(|&(open, close)| {
        text.strip_prefix(open).and_then(|text| text.strip_suffix(close)).is_some_and(|title| {
            !title.replace("\\\\", "").replace(&format!("\\{close}"), "").contains(close)
        })
    })
}

/// Reads ahead of the scan: what is defined, and what may be used.
#[derive(Debug, Default)]
pub struct Survey {
    /// The fence of the code block that is open: its mark, its length, its column, and whether it is in a quote.
    fence: Option<(u8, usize, usize, bool)>,
    /// How its code is indented.
    indent: CodeIndent,
    /// The lines of the paragraph so far.
    paragraph: Vec<Range<usize>>,
    /// Where labels stand that wait for their definitions, and definitions for their uses.
    open: VecDeque<(usize, Awaited)>,
}

#[derive(Debug)]
enum Awaited {
    Definition(String),
    Use(String),
    Note(String),
}

impl Survey {
    /// Takes a line.
    pub fn line(&mut self, source: &str, line: Range<usize>, references: &mut References) {
        let text = &source[line.clone()];
        if let Some((mark, run, column, quoted)) = self.fence {
            let ends = if quoted {
                !text.trim_start().starts_with('>')
            } else {
                !closing(text, mark, run, column) && self.indent.ends_before(text, column)
            };
            let text = if quoted { inner(text) } else { text };
            if ends || closing(text, mark, run, column) {
                self.fence = None;
            }
            if !ends {
                return;
            }
        }
        let plain = inner(text);
        let notes = references.notes.get_or_insert_default();
        if let Some(label) = note(text) {
            notes.insert(label);
            self.end_paragraph(source, references);
            self.paragraph.push(line);
        } else if let Some(Opening { start, mark, run, .. }) = opening(text) {
            self.end_paragraph(source, references);
            let column = columns(&text[..text.len() - start.rest.len()]);
            self.indent = CodeIndent::default();
            self.fence = Some((mark, run, column, start.quotes > 0));
        } else if plain.is_empty() || is_rule(plain) || plain.starts_with("<!--") {
            self.end_paragraph(source, references);
        } else if is_list_item(plain) || self.begins_quote(source, text) {
            self.end_paragraph(source, references);
            self.paragraph.push(line);
        } else if heading(plain).is_some() {
            self.end_paragraph(source, references);
            self.paragraph.push(line);
            self.end_paragraph(source, references);
        } else {
            self.paragraph.push(line);
        }
    }

    /// Whether a quote begins with this line.
    fn begins_quote(&self, source: &str, line: &str) -> bool {
        let is_quoted = |line: &str| line.trim_start().starts_with('>');
        is_quoted(line) && self.paragraph.last().is_some_and(|last| !is_quoted(&source[last.clone()]))
    }

    /// Takes the end of a paragraph.
    pub fn end_paragraph(&mut self, source: &str, references: &mut References) {
        let lines = std::mem::take(&mut self.paragraph);
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return };
        // Most have none, and this is quick.
        if memchr::memchr(b'[', &source.as_bytes()[first.start..last.end]).is_none() {
            return;
        }
        let mut from = 0;
        while let Some(found) = definition(lines[from..].iter().map(|line| &source[line.clone()])) {
            self.open.push_back((lines[from].start, Awaited::Use(found.label.clone())));
            from += found.lines;
            references.targets.entry(found.label).or_insert_with(|| written(found.target).into());
        }
        let Some(rest) = lines.get(from) else { return };
        for awaited in uses(&source[rest.start..last.end]) {
            if let Awaited::Definition(label) = &awaited {
                references.used.insert(label.clone());
            }
            self.open.push_back((first.start, awaited));
        }
    }

    /// Up to where the scan may go: there is nothing before that could still change.
    pub fn settled(&mut self, references: &References) -> usize {
        let is_there = |awaited: &Awaited| match awaited {
            Awaited::Definition(label) => references.targets.contains_key(label),
            Awaited::Use(label) => references.used.contains(label),
            Awaited::Note(label) => references.notes.as_ref().is_some_and(|notes| notes.contains(label)),
        };
        while self.open.front().is_some_and(|(_, awaited)| is_there(awaited)) {
            self.open.pop_front();
        }
        let waiting = self.open.front().map_or(usize::MAX, |(at, _)| *at);
        waiting.min(self.paragraph.first().map_or(usize::MAX, |line| line.start))
    }
}

/// What may be used here: text between two brackets that no target follows.
fn uses(text: &str) -> Vec<Awaited> {
    let bytes = text.as_bytes();
    let mut uses = Vec::new();
    let mut open = None;
    let mut at = 0;
    let next_tick =
        |from: usize| memchr::memchr(b'`', bytes.get(from..).unwrap_or_default()).map(|at| from + at);
    let mut tick = next_tick(0);
    let ticks = if tick.is_some() { Ticks::new(text) } else { Ticks::default() };
    while let Some(found) = memchr::memchr3(b'[', b']', b'\\', bytes.get(at..).unwrap_or_default()) {
        // What is in code is used by nobody.
        if tick.is_some_and(|tick| tick < at) {
            tick = next_tick(at);
        }
        if let Some(begin) = tick.filter(|&tick| tick < at + found) {
            at = ticks.end(text, begin);
            continue;
        }
        at += found;
        match (bytes[at], open) {
            (b'[', _) => open = Some(at + 1),
            (b']', Some(begin)) => {
                open = None;
                let label = &text[begin..at];
                if let Some(note) = label.strip_prefix('^') {
                    uses.extend(note_key(note).map(Awaited::Note));
                } else if bytes.get(at + 1) != Some(&b'(') {
                    uses.extend(key(label).map(Awaited::Definition));
                }
            }
            (b'\\', _) => at += 1,
            _ => {}
        }
        at += 1;
    }
    uses
}

/// A target as it is written in place of its label: it comes from elsewhere, where nothing has cleaned it.
fn written(target: &str) -> String {
    let target = unescaped(target).replace(char::is_control, "");
    // No address has a backtick but in this form, and three of them would be a fence.
    if target.starts_with("http") { target.replace('`', "%60") } else { target }
}

/// A target without its backslashes.
fn unescaped(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    let mut chars = target.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' || !chars.peek().is_some_and(char::is_ascii_punctuation) {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_one_as_in_commonmark() {
        let cases = [
            ("[a]: b", Some(("A", "b", 1))),
            ("> [A  b\t]: <c d> 'e'", Some(("A B", "c d", 1))),
            ("[ß]:\n  x\n  \"a title\"\nmore", Some(("SS", "x", 3))),
            ("[a]: b \"c\"\n(d)", Some(("A", "b", 1))),
            ("[a\\]]: #", Some(("A\\]", "#", 1))),
            ("[a]: b c", None),
            ("[a]: b \"c\" d", None),
            ("[a] : b", None),
            ("[^a]: b", None),
            ("[ ]: b", None),
            ("[a[b]: c", None),
            ("[a]:", None),
        ];
        for (text, expected) in cases {
            let found = definition(text.split('\n'));
            let found = found.as_ref().map(|found| (found.label.as_str(), found.target, found.lines));
            assert_eq!(found, expected, "{text}");
        }
    }
}
