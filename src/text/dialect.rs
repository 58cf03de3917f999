//! Rewrites what Discord does not show as something that it does. Each conversion is a small function that says which piece of
//! the source becomes what; only [`super::table`] needs more.

use std::borrow::Cow;
use std::ops::Range;

use super::ZERO_WIDTH;
use super::html;
use super::inline::{Span, SpanKind, long_ticks};
use super::line::{columns, is_rule, list_marker};

/// A rule of Markdown.
pub const RULE: &str = "──────────";

/// A piece of the source, and its replacement.
#[derive(Debug, PartialEq, Eq)]
pub struct Swap {
    /// In bytes of the source.
    pub range: Range<usize>,
    /// What is written instead.
    pub with: Cow<'static, str>,
}

/// A swap of this range.
pub fn swap(range: Range<usize>, with: impl Into<Cow<'static, str>>) -> Swap {
    Swap { range, with: with.into() }
}

/// The open lists, for numbering their items.
#[derive(Debug, Default)]
pub struct Lists {
    open: Vec<List>,
    /// Whether there was code or a table since the last item.
    cut: bool,
    /// The columns that Discord should count from.
    left: usize,
}

#[derive(Debug)]
struct List {
    indent: usize,
    /// The items before the last one.
    count: u32,
    /// Whether each has the number 1.
    ones: bool,
    /// Whether it is a footnote rather than a list.
    note: bool,
}

impl Lists {
    /// Whether the next line may belong to an item.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Notes a line that is not an item: what is not indented further than a marker is outside of its list.
    pub fn end_at(&mut self, indent: usize) {
        self.open.retain(|list| list.indent < indent);
    }

    /// Notes the definition of a footnote: what is indented belongs to it, as to an item.
    pub fn note(&mut self, indent: usize) {
        self.open.push(List { indent, count: 0, ones: false, note: true });
    }

    /// Whether a paragraph in this column belongs to a footnote.
    pub fn in_note(&self, indent: usize) -> bool {
        self.open.last().is_some_and(|list| list.note && list.indent < indent)
    }

    /// Notes an item with this marker. Returns its number if that differs from the one written: in `1.`, `1.`, `1.` every item
    /// counts, but Discord loses count at the first block between them.
    fn number(&mut self, indent: usize, marker: &str) -> Option<u32> {
        self.open.retain(|list| list.indent <= indent + 1);
        let written = marker.trim_end_matches(['.', ')']).parse().ok();
        match self.open.last_mut() {
            Some(list) if indent <= list.indent + 1 => {
                list.count = list.count.saturating_add(1);
                list.ones &= written == Some(1);
                list.ones.then_some(list.count + 1)
            }
            _ => {
                self.open.push(List { indent, count: 0, ones: written == Some(1), note: false });
                None
            }
        }
    }

    /// The markers of an item, with the number that it has.
    pub fn item(&mut self, text: &str, indent: &str, at: usize, swaps: &mut Vec<Swap>) {
        let Some((marker, _)) = list_marker(text) else { return };
        match self.number(columns(indent), marker) {
            Some(number) => swaps.push(swap(at..at + marker.len(), format!("{number}."))),
            None => marker_mark(marker, at, swaps),
        }
        task(text, at, swaps);
        rule(text, at, swaps);
    }

    /// Notes code or a table, which for Discord ends every list.
    pub fn cut(&mut self) {
        self.cut = true;
    }

    /// How far to move a line in this column to the left: after a cut, Discord counts the columns of a list from the first item
    /// that follows.
    pub fn shift(&mut self, indent: usize, is_item: bool) -> usize {
        if self.open.is_empty() {
            (self.cut, self.left) = (false, 0);
        } else if self.cut && !is_item {
            return indent;
        } else if self.cut || (is_item && indent < self.left) {
            (self.cut, self.left) = (false, indent);
        }
        self.left
    }
}

/// `+` → `-`, `1)` → `1.`
fn marker_mark(marker: &str, at: usize, swaps: &mut Vec<Swap>) {
    let end = at + marker.len();
    if marker == "+" {
        swaps.push(swap(at..end, "-"));
    } else if marker.ends_with(')') {
        swaps.push(swap(end - 1..end, "."));
    }
}

/// `- [ ]` → `- ☐`, `- [x]` → `- ☑`
fn task(text: &str, at: usize, swaps: &mut Vec<Swap>) {
    let Some((_, rest)) = list_marker(text) else { return };
    let task = rest.trim_start();
    let done = match task.get(..3) {
        Some("[ ]") => "☐",
        Some("[x]" | "[X]") => "☑",
        _ => return,
    };
    if task[3..].is_empty() || task[3..].starts_with([' ', '\t']) {
        let at = at + text.len() - task.len();
        swaps.push(swap(at..at + 3, done));
    }
}

/// `* ---` → `* ──────────`
fn rule(text: &str, at: usize, swaps: &mut Vec<Swap>) {
    let Some((_, rest)) = list_marker(text) else { return };
    let mark = rest.trim();
    if is_rule(mark) {
        let at = at + text.len() - rest.trim_start().len();
        swaps.push(swap(at..at + mark.len(), RULE));
    }
}

/// `7. x` at the start of a line that is no item: `7\. x`
pub fn no_item(line: &str, at: usize, swaps: &mut Vec<Swap>) {
    let text = line.trim_start_matches([' ', '\t', '>']);
    if let Some((marker, _)) = list_marker(text)
        && marker.ends_with('.')
    {
        let dot = at + line.len() - text.len() + marker.len() - 1;
        swaps.push(swap(dot..dot, "\\"));
    }
}

/// `#### T` → `**T**`; the closing `#`s of any heading are dropped.
pub fn heading(text: &str, at: usize, level: usize, swaps: &mut Vec<Swap>) {
    let title = text[level..].trim();
    let closing = title.trim_end_matches('#');
    let closed = closing.len() < title.len() && (closing.is_empty() || closing.ends_with([' ', '\t']));
    let title = if closed { closing.trim_end() } else { title };
    let begin = text.len() - text[level..].trim_start().len();
    let end = begin + title.len();
    if level <= 3 && !title.is_empty() {
        if end < text.trim_end().len() {
            swaps.push(swap(at + end..at + text.len(), ""));
        }
        return;
    }
    let marker = if title.is_empty() { "" } else { "**" };
    swaps.push(swap(at..at + begin, marker));
    swaps.push(swap(at + end..at + text.len(), marker));
}

/// `<!-- … -->` is dropped, together with the space that would then be one too many.
pub fn comments(text: &str, at: usize, spans: &[Span], swaps: &mut Vec<Swap>) {
    let blank = [' ', '\t'];
    let mut comments: Vec<Range<usize>> = Vec::new();
    for span in spans.iter().filter(|span| span.kind == SpanKind::Comment) {
        match comments.last_mut() {
            // Several in a row are dropped as one.
            Some(last) if text[last.end..span.range.start].trim_matches(blank).is_empty() => {
                last.end = span.range.end;
            }
            _ => comments.push(span.range.clone()),
        }
    }
    for Range { mut start, mut end } in comments {
        let (before, after) = (&text[..start], &text[end..]);
        if before.is_empty() || before.ends_with([' ', '\t', '\n']) {
            end = text.len() - after.trim_start_matches(blank).len();
        }
        let is_stop = text[end..].starts_with(['\n', '\r', '.', ',', ';', ':', '!', '?']);
        if text[end..].is_empty() || (is_stop && !text[end..].starts_with("![")) {
            start = before.trim_end_matches(blank).len();
        }
        swaps.push(swap(at + start..at + end, ""));
    }
}

/// A backslash at the end of a line means a line end only in Markdown.
pub fn hard_breaks(source: &str, lines: &[Range<usize>], swaps: &mut Vec<Swap>) {
    for line in &lines[..lines.len() - 1] {
        let text = &source[line.clone()];
        if text.ends_with('\\') && !text.ends_with("\\\\") {
            let left = text[..text.len() - 1].trim_end().len();
            swaps.push(swap(line.start + left..line.end, ""));
        }
    }
}

/// A code span between three or more backticks gets as few as possible, because Discord would take it for a block. Three
/// within one are kept apart from one another for the same reason, and then two end it.
pub fn long_code(text: &str, at: usize, spans: &[Span], swaps: &mut Vec<Swap>) {
    for span in spans {
        let SpanKind::Code(marker) = span.kind else { continue };
        let Range { start, end } = span.range;
        let inner = &text[start + marker..end - marker];
        let is_long = inner.contains("```");
        let shorter = match marker {
            _ if is_long => "``",
            1 | 2 => continue,
            _ if inner.contains("``") => continue,
            _ if inner.contains('`') => "``",
            _ => "`",
        };
        for (place, length) in long_ticks(inner) {
            let begin = at + start + marker + place;
            swaps.extend((begin + 1..begin + length).map(|place| swap(place..place, ZERO_WIDTH)));
        }
        if shorter.len() != marker {
            swaps.push(swap(at + start..at + start + marker, shorter));
            swaps.push(swap(at + end - marker..at + end, shorter));
        }
    }
}

/// `[^1]` → `[1]`.
pub fn note_marks(at: usize, spans: &[Span], swaps: &mut Vec<Swap>) {
    for span in spans.iter().filter(|span| span.kind == SpanKind::Note) {
        let mark = at + span.range.start + 1;
        swaps.push(swap(mark..mark + 1, ""));
    }
}

/// A definition `[^1]: x` → `-# [1] x` in the same place. Returns whether these lines are one.
pub fn note(source: &str, lines: &[Range<usize>], at: usize, spans: &[Span], swaps: &mut Vec<Swap>) -> bool {
    let Some(Span { range, kind: SpanKind::Note }) = spans.first() else { return false };
    let colon = at + range.end;
    if range.start > 0 || !source[colon..].starts_with(':') {
        return false;
    }
    swaps.push(swap(at..at, "-# "));
    swaps.push(swap(colon..colon + 1, ""));
    small(source, &lines[1..], swaps);
    true
}

/// Lines of small text.
pub fn small(source: &str, lines: &[Range<usize>], swaps: &mut Vec<Swap>) {
    for line in lines {
        let text = source[line.clone()].trim_start();
        let indent = line.len() - text.len();
        // Where nothing is left but a line end, there is no small text.
        let is_end = html::tag(text).is_some_and(|tag| tag.is("br") && text[tag.length..].trim().is_empty());
        swaps.push(swap(line.start..line.start + indent, if is_end { "" } else { "-# " }));
    }
}

/// `-# ` begins small text to Discord only, and so it is text.
pub fn small_mark(line: &str, at: usize, swaps: &mut Vec<Swap>) {
    let text = line.trim_start_matches([' ', '\t', '>']);
    if text.starts_with("-# ") {
        let at = at + line.len() - text.len();
        swaps.push(swap(at..at, "\\"));
    }
}

/// Discord's quotes are lines with one `>` and a space: `>x` → `> x`, `>` → `> `, and `>>> `, which quotes all that
/// follows, → `> `. `quoted`: the line belongs to a quote, whether it has a mark or not.
pub fn quote(line: &str, at: usize, quoted: bool, swaps: &mut Vec<Swap>) {
    let text = line.trim_start();
    let at = at + line.len() - text.len();
    if text.starts_with(">>>") {
        let marks = text.len() - text.trim_start_matches(['>', ' ']).len();
        swaps.push(swap(at..at + marks, "> "));
    } else if let Some(inner) = text.strip_prefix('>') {
        if inner.trim_start().starts_with('>') {
            // There is one level only.
            let marks = text.len() - text.trim_start_matches(['>', ' ']).len();
            swaps.push(swap(at + 1..at + marks, " "));
        } else if !inner.starts_with(' ') {
            swaps.push(swap(at + 1..at + 1, " "));
        }
        let inner = text.trim_start_matches(['>', ' ']);
        let item = inner.trim_start();
        let at = at + text.len() - item.len();
        if is_rule(item) {
            swaps.push(swap(at..at + item.len(), RULE));
        } else if let Some((marker, _)) = list_marker(item) {
            marker_mark(marker, at, swaps);
            task(item, at, swaps);
        }
    } else if quoted && !text.starts_with('>') {
        swaps.push(swap(at..at, "> "));
    }
}

/// Whether this is such a line and leaves nothing open for the next one.
pub fn is_whole_details(text: &str) -> bool {
    let open = tag_end(text, "<summary").is_some() && !text.to_ascii_lowercase().contains("</summary");
    is_details(text) && !open
}

/// Whether a line is about a `<details>` block.
pub fn is_details(text: &str) -> bool {
    text.starts_with('<') && TAGS.iter().any(|tag| tag_end(text, tag).is_some())
}

const TAGS: [&str; 4] = ["<details", "</details", "<summary", "</summary"];

fn tag_end(text: &str, tag: &str) -> Option<usize> {
    let rest =
        text.get(..tag.len()).filter(|start| start.eq_ignore_ascii_case(tag)).map(|_| &text[tag.len()..])?;
    rest.starts_with(['>', ' ']).then(|| rest.find('>')).flatten().map(|end| tag.len() + end + 1)
}

/// `<summary>T</summary>` → `**T**`; the other tags are dropped.
pub fn details(text: &str, at: usize, swaps: &mut Vec<Swap>) {
    let mut here = 0;
    let mut title = None;
    while let Some(start) = text[here..].find('<').map(|found| here + found) {
        here = start + 1;
        let rest = &text[start..];
        if let Some(end) = tag_end(rest, "<summary").map(|end| start + end) {
            let end = text.len() - text[end..].trim_start().len();
            title = Some((end, swaps.len()));
            swaps.push(swap(at + start..at + end, ""));
            here = end;
        } else if let Some(end) = tag_end(rest, "</summary").map(|end| start + end) {
            let (begin, opening) = title.take().unwrap_or((start, swaps.len()));
            let inner = text[begin..start].trim_end();
            let bold = !inner.is_empty() && !inner.contains("**");
            if bold {
                swaps[opening].with = "**".into();
            }
            let gap = start - (begin + inner.len()).min(start);
            let body = text[end..].chars().next().is_some_and(|c| c != '\n' && c != '\r');
            let closing = match (bold, body) {
                (true, true) => "**\n",
                (true, false) => "**",
                (false, true) => "\n",
                (false, false) => "",
            };
            swaps.push(swap(at + start - gap..at + end, closing));
            here = end;
        } else if let Some(end) = ["<details", "</details"].iter().find_map(|tag| tag_end(rest, tag)) {
            swaps.push(swap(at + start..at + start + end, ""));
            here = start + end;
        } else if let Some(tag) = ["<b>", "</b>", "<strong>", "</strong>"]
            .iter()
            .find(|tag| title.is_some() && rest.starts_with(**tag))
        {
            // The title is bold as a whole.
            swaps.push(swap(at + start..at + start + tag.len(), ""));
            here = start + tag.len();
        } else if let Some(tag) =
            ["<code>", "</code>"].iter().find(|tag| title.is_some() && rest.starts_with(**tag))
        {
            swaps.push(swap(at + start..at + start + tag.len(), "`"));
            here = start + tag.len();
        }
    }
}
