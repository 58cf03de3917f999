//! A message as Discord's client shows it: a model of its parser, written anew, without a look at the splitter.
//!
//! The client's Markdown is an extension of the library simple-markdown: at each place the rules are tried in order,
//! and the first that matches wins. The sources of each rule:
//! - `escape`, `em`, `strong`, `u`, `autolink`, `url`, `link`, `inlineCode`: simple-markdown's README and default
//!   rules (Khan Academy, MIT), confirmed by Discord's own SimpleAST for Android (`SimpleMarkdownRules.kt`): the
//!   longest of `em`, `strong` and `u` wins; underscores of `em` need no word's edge before them, but one behind.
//! - code blocks, quotes, spoilers, strike-through, headings, small text, mentions: the rules that public
//!   re-implementations share (npm `discord-markdown-parser`), and Discord's help pages "Markdown Text 101",
//!   "Spoiler Tags".
//! - masked links only for http and https, and with no address in the label: reports of users.
//! - lists: the marker is taken off at the beginning of a line, and nothing else is done.

use std::rc::Rc;

use super::look::{BOLD, CODE, Glyph, HEADING, ITALIC, QUOTE, SMALL, SPOILER, STRUCK, UNDERLINE};

/// What a person sees of a message.
pub fn shown(message: &str) -> Vec<Glyph> {
    let mut client = Client { out: Vec::new() };
    client.read(message, &Look::default(), true);
    client.out
}

/// What stays as it is.
const SHRUG: &str = "¯\\_(ツ)_/¯";

#[derive(Debug, Clone, Default)]
struct Look {
    style: u16,
    link: Option<Rc<str>>,
}

impl Look {
    fn with(&self, style: u16) -> Self {
        Self { style: self.style | style, link: self.link.clone() }
    }
}

struct Client {
    out: Vec<Glyph>,
}

/// What an inline rule has found: how long it is, what is within, and how that looks.
struct Found<'a> {
    length: usize,
    inner: &'a str,
    style: u16,
}

impl Client {
    fn push(&mut self, text: &str, look: &Look) {
        self.out.extend(text.chars().map(|c| Glyph { c, style: look.style, link: look.link.clone() }));
    }

    fn read(&mut self, text: &str, look: &Look, mut at_line: bool) {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if at_line && let Some(length) = self.block(rest, look) {
                at += length;
                // What a marker was taken off is still the beginning of a line.
                continue;
            }
            let length = self.inline(rest, look);
            at_line = text[..at + length].ends_with('\n');
            at += length;
        }
    }

    /// What only begins a line; how much it took.
    fn block(&mut self, rest: &str, look: &Look) -> Option<usize> {
        if look.style & QUOTE == 0
            && let Some((length, inner)) = quote(rest)
        {
            self.read(&inner, &look.with(QUOTE), true);
            return Some(length);
        }
        let line_end = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let line = &rest[..line_end];
        let text = line.trim_start_matches(' ');
        let level = text.bytes().take_while(|&b| b == b'#').count();
        if (1..=3).contains(&level) && text[level..].starts_with(' ') && !text[level..].trim().is_empty() {
            self.read(text[level..].trim_start_matches(' '), &look.with(HEADING), false);
            return Some(line_end);
        }
        if let Some(small) = line.strip_prefix("-# ").filter(|small| !small.trim().is_empty()) {
            self.read(small, &look.with(SMALL), false);
            return Some(line_end);
        }
        let marker = list_marker(line)?;
        // An item without a text is none.
        (!line[marker..].trim().is_empty()).then_some(marker)
    }

    /// One step within a line; how much it took.
    fn inline(&mut self, rest: &str, look: &Look) -> usize {
        let first = rest.chars().next().map_or(1, char::len_utf8);
        if rest.starts_with("```")
            && let Some((length, code)) = code_block(rest)
        {
            self.push(code, &look.with(CODE));
            return length;
        }
        if rest.starts_with(SHRUG) {
            self.push(SHRUG, look);
            return SHRUG.len();
        }
        if let Some(c) = rest.strip_prefix('\\').and_then(|after| after.chars().next())
            && !c.is_ascii_alphanumeric()
            && !c.is_whitespace()
        {
            self.push(&rest[1..1 + c.len_utf8()], look);
            return 1 + c.len_utf8();
        }
        if rest.starts_with('<')
            && let Some((length, shown)) = angle(rest)
        {
            self.push(shown, look);
            return length;
        }
        if let Some(length) = url(rest) {
            self.push(&rest[..length], look);
            return length;
        }
        if rest.starts_with('[')
            && let Some((length, label, target)) = link(rest)
        {
            let link = Some(unescaped(target).into());
            self.read(label, &Look { style: look.style, link }, false);
            return length;
        }
        if let Some(found) = emphasis(rest) {
            self.read(found.inner, &look.with(found.style), false);
            return found.length;
        }
        if rest.starts_with('`')
            && let Some((length, code)) = inline_code(rest)
        {
            self.push(code, &look.with(CODE));
            return length;
        }
        self.push(&rest[..first], look);
        first
    }
}

/// `> …` in as many lines as there are, or `>>> …` to the end: how long, and what is within.
fn quote(rest: &str) -> Option<(usize, String)> {
    let text = rest.trim_start_matches(' ');
    if let Some(all) = text.strip_prefix(">>> ") {
        return Some((rest.len(), all.to_owned()));
    }
    let mut length = 0;
    let mut inner = String::new();
    for line in rest.split_inclusive('\n') {
        let Some(text) = line.trim_start_matches(' ').strip_prefix("> ") else { break };
        inner += text;
        length += line.len();
    }
    (length > 0).then_some((length, inner))
}

fn list_marker(line: &str) -> Option<usize> {
    let text = line.trim_start_matches(' ');
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let after = match text.strip_prefix(['-', '*']) {
        Some(after) => after,
        None if digits > 0 => text[digits..].strip_prefix('.')?,
        None => return None,
    };
    let rest = after.trim_start_matches(' ');
    (rest.len() < after.len()).then_some(line.len() - rest.len())
}

/// ` ```lang\n…``` `
fn code_block(rest: &str) -> Option<(usize, &str)> {
    let open = |from: usize| {
        let begin = from + rest[from..].len() - rest[from..].trim_start_matches('\n').len();
        let first = rest[begin..].chars().next()?.len_utf8();
        let end = begin + first + rest[begin + first..].find("```")?;
        Some((end + 3, rest[begin..end].trim_end_matches('\n')))
    };
    let info = rest[3..].split('\n').next()?;
    let named = !info.is_empty() && info.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.#".contains(&b));
    if named
        && rest.len() > 3 + info.len()
        && let Some(found) = open(3 + info.len())
    {
        return Some(found);
    }
    open(3)
}

/// `<https://…>`, and what Discord shows as something else, here as it is.
fn angle(rest: &str) -> Option<(usize, &str)> {
    let inner = &rest[1..rest.find('>')?];
    if inner.contains([' ', '<', '\n']) && !inner.starts_with('/') {
        return None;
    }
    let digits = |text: &str| (15..=21).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if inner.contains(":/") && !inner.starts_with(':') && !inner.starts_with('/') {
        return Some((inner.len() + 2, inner));
    }
    let id = inner.trim_start_matches(['@', '#', '&', '!']);
    let is_mention = inner.starts_with(['@', '#']) && digits(id);
    let named = inner.strip_prefix("a:").or(inner.strip_prefix(':')).or(inner.strip_prefix('/'));
    let is_named = named.and_then(|named| named.rsplit_once(':')).is_some_and(|(_, id)| digits(id));
    // Discord's developer documentation, "Message Formatting": anything else is text.
    let (time, style) = inner.split_once(':').map_or(("", ""), |(kind, time)| match kind {
        "t" => time.split_once(':').unwrap_or((time, "f")),
        _ => ("", ""),
    });
    let seconds = time.strip_prefix('-').unwrap_or(time);
    let is_time = !seconds.is_empty()
        && seconds.bytes().all(|b| b.is_ascii_digit())
        && matches!(style, "t" | "T" | "d" | "D" | "f" | "F" | "s" | "S" | "R");
    let places = ["id:browse", "id:customize", "id:guide", "id:home", "id:linked-roles"];
    let is_other = is_time || places.contains(&inner);
    (is_mention || is_named || is_other).then(|| (inner.len() + 2, &rest[..inner.len() + 2]))
}

fn url(rest: &str) -> Option<usize> {
    let start = ["https://", "http://"].iter().find(|start| rest.starts_with(**start))?.len();
    let end = rest.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(rest.len());
    let address = rest[..end].trim_end_matches(['.', ',', ':', ';', '"', '\'', ')', ']']);
    // There are two characters at least.
    (rest[start.min(address.len())..address.len()].chars().count() >= 2).then_some(address.len())
}

/// `[label](https://…)`: how long, the label, the target.
fn link(rest: &str) -> Option<(usize, &str, &str)> {
    let bytes = rest.as_bytes();
    // The label: one level of brackets, or a `]` that another one follows before the next `[`.
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'[' => at += rest[at..].find(']')? + 1,
            b']' if bytes.get(at + 1) == Some(&b'(') => break,
            b']' => {
                let next = rest[at + 1..].find(['[', ']']).map(|next| bytes[at + 1 + next]);
                if next != Some(b']') {
                    return None;
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    let label = rest.get(1..at)?;
    let mut here = at + 2;
    here += rest.get(here..)?.len() - rest[here..].trim_start().len();
    let in_angle = rest[here..].starts_with('<');
    here += usize::from(in_angle);
    let begin = here;
    let mut depth = 0;
    let end = loop {
        match *bytes.get(here)? {
            b'\\' => here += 2,
            b'(' => {
                depth += 1;
                here += 1;
            }
            b')' if depth > 0 => {
                depth -= 1;
                here += 1;
            }
            b')' => break here,
            b'>' if in_angle => break here,
            b if b.is_ascii_whitespace() => break here,
            _ => here += 1,
        }
    };
    let target = rest.get(begin..end)?;
    let mut tail = end + usize::from(in_angle);
    let after = rest.get(tail..)?.trim_start();
    if let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        tail = rest.len() - after.len() + 1;
        tail += rest[tail..].find(quote)? + 1;
    }
    tail += rest[tail..].len() - rest[tail..].trim_start().len();
    let masked = target.starts_with("https://") || target.starts_with("http://");
    let honest = !label.contains("://") && !label.trim().is_empty();
    (bytes.get(tail) == Some(&b')') && masked && honest).then_some((tail + 1, label, target))
}

/// A target without its backslashes: simple-markdown's `unescapeUrl`.
fn unescaped(target: &str) -> String {
    let mut out = String::new();
    let mut chars = target.chars().peekable();
    while let Some(c) = chars.next() {
        let escapes = |next: &char| !next.is_ascii_alphanumeric() && !next.is_whitespace();
        if c != '\\' || !chars.peek().is_some_and(escapes) {
            out.push(c);
        }
    }
    out
}

/// The longest of what may begin here.
fn emphasis(rest: &str) -> Option<Found<'_>> {
    let mut best: Option<Found<'_>> = None;
    // In the order of who wins a tie.
    for found in [italic(rest), paired(rest, b'*', BOLD), paired(rest, b'_', UNDERLINE)].into_iter().flatten()
    {
        if best.as_ref().is_none_or(|best| found.length > best.length) {
            best = Some(found);
        }
    }
    best.or_else(|| struck(rest)).or_else(|| {
        let end = rest.strip_prefix("||").filter(|after| after.len() > 2)?;
        let first = end.chars().next()?.len_utf8();
        let length = first + end[first..].find("||")?;
        Some(Found { length: length + 4, inner: &end[..length], style: SPOILER })
    })
}

fn italic(rest: &str) -> Option<Found<'_>> {
    let bytes = rest.as_bytes();
    let found = |end: usize| Some(Found { length: end + 1, inner: &rest[1..end], style: ITALIC });
    let step = |at: usize| rest[at..].chars().next().map_or(1, char::len_utf8);
    let mut at = 1;
    match bytes[0] {
        b'_' => loop {
            let byte = *bytes.get(at)?;
            let next = bytes.get(at + 1).copied();
            let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            match byte {
                b'_' if at > 1 && !next.is_some_and(is_word) => return found(at),
                b'_' if next == Some(b'_') => at += 2,
                b'_' => return None,
                b'\\' => at += 1 + rest.get(at + 1..)?.chars().next()?.len_utf8(),
                _ => at += step(at),
            }
        },
        b'*' => {
            if bytes.get(1).is_none_or(|_| rest[1..].starts_with(char::is_whitespace)) {
                return None;
            }
            let mut after_space = false;
            loop {
                let byte = *bytes.get(at)?;
                let double = bytes.get(at + 1) == Some(&b'*');
                match byte {
                    b'*' if double => {
                        at += 2;
                        after_space = false;
                    }
                    b'*' if at > 1 && !after_space => return found(at),
                    b'*' => return None,
                    b'\\' => {
                        at += 1 + rest.get(at + 1..)?.chars().next()?.len_utf8();
                        after_space = false;
                    }
                    _ => {
                        after_space = rest[at..].starts_with(char::is_whitespace);
                        at += step(at);
                    }
                }
            }
        }
        _ => None,
    }
}

/// `**…**` or `__…__`
fn paired(rest: &str, mark: u8, style: u16) -> Option<Found<'_>> {
    let bytes = rest.as_bytes();
    let is = |at: usize| bytes.get(at) == Some(&mark);
    if !is(0) || !is(1) {
        return None;
    }
    let mut at = 2;
    while at < bytes.len() {
        if at > 2 && is(at) && is(at + 1) && !is(at + 2) {
            return Some(Found { length: at + 2, inner: &rest[2..at], style });
        }
        at += match bytes[at] {
            b'\\' => 1 + rest.get(at + 1..)?.chars().next()?.len_utf8(),
            _ => rest[at..].chars().next()?.len_utf8(),
        };
    }
    None
}

fn struck(rest: &str) -> Option<Found<'_>> {
    let after = rest.strip_prefix("~~")?;
    let first = after.chars().next()?.len_utf8();
    let length = first + after[first..].find("~~")?;
    Some(Found { length: length + 4, inner: &after[..length], style: STRUCK })
}

/// So many backticks, something that ends with none, and as many again; fewer of them if that fails.
fn inline_code(rest: &str) -> Option<(usize, &str)> {
    let run = rest.bytes().take_while(|&b| b == b'`').count();
    for ticks in (1..=run).rev() {
        let mut at = ticks;
        while let Some(found) = rest[at..].find('`') {
            let start = at + found;
            let length = rest[start..].bytes().take_while(|&b| b == b'`').count();
            if length == ticks && start > ticks {
                let code = &rest[ticks..start];
                let code = match code.strip_prefix(' ') {
                    Some(inner) if inner.trim_start_matches(' ').starts_with('`') => inner,
                    _ => code,
                };
                let code = match code.strip_suffix(' ') {
                    Some(inner) if inner.trim_end_matches(' ').ends_with('`') => inner,
                    _ => code,
                };
                return Some((start + ticks, code));
            }
            at = start + length;
        }
    }
    None
}

#[test]
fn the_client_is_modelled_as_it_is_described() {
    let cases = [
        (
            "*a* _b_ **c** __d__ ~~e~~ ||f|| `g`",
            "<i>a</i> <i>b</i> <b>c</b> <u>d</u> <s>e</s> <spoiler>f</spoiler> <code>g</code>",
        ),
        ("***a*** ***b* c** ***d** e*", "<b><i>a</i></b> <b><i>b</i> c</b> <b><i>d</i></b><i> e</i>"),
        // What CommonMark would not take for emphasis.
        ("user_id was renamed to id_ to", "user<i>id was renamed to id</i> to"),
        ("snake_case_name and *args, *kw", "snake_case_name and *args, *kw"),
        ("f(*a, **b) g(*c) *", "f(<i>a, **b) g(</i>c) *"),
        ("2 * 3 * 4, * a*", "2 * 3 * 4, * a*"),
        ("a || b || c", "a <spoiler> b </spoiler> c"),
        ("** a **", "<b> a </b>"),
        ("\\*a\\* \\_b\\_ \\a \\é", "*a* _b_ \\a é"),
        ("`` a`b `` `` ` `` ```x```", "<code> a`b </code> <code>`</code> <code>x</code>"),
        ("**a `x**y` b**", "<b>a `x</b>y` b**"),
        ("a\n# h\n-# s\n#x\n#### y\n- i\n1. *j*", "a\n<h>h\n</h><small>s\n</small>#x\n#### y\ni\n<i>j</i>"),
        ("> a\n> *b*\nc", "<quote>a\n<i>b</i>\n</quote>c"),
        (">>> a\nb", "<quote>a\nb</quote>"),
        (
            "[a](https://a.b) [b](mailto:c) [https://d](https://d)",
            "<a https://a.b>a</a> [b](mailto:c) [https://d](https://d)",
        ),
        ("[**a**](<https://a.b> \"t\") <https://c.d/_e_>", "<b><a https://a.b>a</a></b> https://c.d/_e_"),
        ("https://a.b/c_d_ *e*", "https://a.b/c_d_ <i>e</i>"),
        ("```rs\nlet *a* = b;\n```c", "<code>let *a* = b;</code>c"),
        ("<@123456789012345678> <t:1:R> ¯\\_(ツ)_/¯ &lt;", "<@123456789012345678> <t:1:R> ¯\\_(ツ)_/¯ &lt;"),
    ];
    for (message, expected) in cases {
        assert_eq!(super::look::tagged(&shown(message)), expected, "{message}");
    }
}
