//! What CommonMark does not know of the source, said in CommonMark before it is read: formulas are code, and markers that
//! are letters have stand-ins, which are put back ([`own`]) where they are seen.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::super::inline::address_length;
use super::super::math;
use super::super::token;

/// Where the stand-ins begin: characters of nobody's, for those that are no markup.
const STAND_INS: u32 = 0xf_0000;

fn stand_in(c: char) -> char {
    char::from_u32(STAND_INS + u32::from(c)).unwrap_or(c)
}

/// The character that this stands for, or itself.
pub fn own(c: char) -> char {
    u32::from(c).checked_sub(STAND_INS).and_then(char::from_u32).unwrap_or(c)
}

/// The source with formulas as code, in Unicode where they are exactly that.
pub fn with_formulas(source: String) -> String {
    if !source.contains(['$', '\\']) {
        return source;
    }
    let mut code: std::collections::VecDeque<Range<usize>> = std::collections::VecDeque::new();
    for (event, range) in Parser::new_ext(&source, OPTIONS).into_offset_iter() {
        if matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock)) {
            code.push_back(range);
        }
    }
    // So many that they pair with none of the source.
    let runs: std::collections::HashSet<usize> = source.split(|c| c != '`').map(str::len).collect();
    let ticks = "`".repeat((1..).find(|length| !runs.contains(length)).unwrap_or(1));
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        while code.front().is_some_and(|range| range.end <= at) {
            code.pop_front();
        }
        if let Some(range) = code.front().filter(|range| range.start <= at) {
            out += &source[at..range.end];
            at = range.end;
        } else if let Some(formula) = math::find(&source, at).filter(|_| matches!(c, '$' | '\\')) {
            let inner = &source[formula.inner];
            out +=
                &format!("{ticks}{}{ticks}", math::exact(inner).unwrap_or_else(|| inner.trim().to_owned()));
            at = formula.range.end;
        } else {
            let escaped = if c == '\\' { source[at + 1..].chars().next() } else { None };
            out.push(c);
            out.extend(escaped);
            at += c.len_utf8() + escaped.map_or(0, char::len_utf8);
        }
    }
    out
}

/// The source with stand-ins for all markers that are letters.
pub fn without_tokens(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        // Between angle brackets it is a link that needs no help.
        if let Some(length) = rest.strip_prefix("<http").and_then(|_| rest.find(['>', ' ', '\n']))
            && rest[length..].starts_with('>')
        {
            out += &rest[..length];
            at += length;
            continue;
        }
        let length = match c {
            'h' if rest.starts_with("https://") || rest.starts_with("http://") => address_length(rest),
            '*' | '_' => rest.bytes().take_while(|&b| b == c as u8).count(),
            '\\' if !token::is_path_mark(source, at) => {
                1 + rest[1..].chars().next().filter(char::is_ascii_punctuation).map_or(0, char::len_utf8)
            }
            c => c.len_utf8(),
        };
        let literal = match c {
            '*' | '_' => token::is_literal(source, at..at + length),
            'h' => length > 1,
            // A word and `!` is an exclamation, whatever follows.
            '!' => rest[1..].starts_with('[') && source[..at].ends_with(char::is_alphanumeric),
            '\\' => token::is_path_mark(source, at),
            // Between letters of scripts without spaces, markers are markers whatever stops beside them.
            '\u{3001}'..='\u{303f}' | '\u{ff01}'..='\u{ff65}' => true,
            _ => false,
        };
        let mut escapes = false;
        out.extend(rest[..length].chars().map(|c| {
            // What is no letter of an address stays.
            let stays = length > 1 && rest.starts_with('h') && (escapes || matches!(c, '\\' | '='));
            escapes = c == '\\' && !escapes;
            if literal && !stays { stand_in(c) } else { c }
        }));
        at += length;
    }
    out
}

/// What Discord's readers and Claude know beside CommonMark.
pub const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// The source with stand-ins for what begins a definition that nothing refers to.
pub fn with_unused_definitions(mut source: String) -> String {
    let fold =
        |label: &str| label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().to_uppercase();
    let mut parser = Parser::new_ext(&source, OPTIONS);
    let mut used = std::collections::HashSet::new();
    for event in parser.by_ref() {
        if let Event::Start(Tag::Link { id, .. } | Tag::Image { id, .. }) = event {
            used.insert(fold(&id));
        }
    }
    let definitions = parser.reference_definitions().iter();
    let unused = definitions
        .filter(|(label, definition)| !used.contains(&fold(label)) && !matches!(&*definition.dest, "#" | ""));
    let mut places: Vec<Range<usize>> = unused.map(|(_, definition)| definition.span.clone()).collect();
    places.sort_by_key(|place| place.start);
    for place in places.into_iter().rev() {
        let open = source[place.clone()].find('[').map_or(place.start, |at| place.start + at);
        // What stands beside it stays what it is.
        source.insert_str(place.end, "\n\n");
        source.replace_range(open..=open, &format!("\n\n{}", stand_in('[')));
    }
    source
}
