//! Makes visible what a text hides: a person has to see what they allow.
//!
//! A mark stands in `⟨⟩`, which the text itself cannot contain unmarked. The rule for look-alikes: a letter that looks like an
//! ASCII one is marked where its word holds an ASCII letter or nothing but look-alikes. Other words of other scripts stay.

use std::fmt::Write;

/// Letters of other scripts that look like ASCII ones.
const LETTERS: &str = "аеорсухіјѕһԁԛԝӏкАВЕКМНОРСТХУІЈЅԌΑΒΕΖΗΙΚΜΝΟΡΤΥΧορνικαυгɡɑıօոսցքհӀ";
/// What looks like ASCII punctuation.
const SIGNS: &str = "∕⁄⧸․‐‑‒−∶꞉ː;‚ǀ∣⎜ⵏ＿ꓸ⟨⟩ˋʹʼˈ∗⁎∼˜";
/// Longer runs of spaces and tabs are counted, for they push what follows out of sight.
const MOST_BLANKS: usize = 40;
/// The same of line ends.
const MOST_LINE_ENDS: usize = 6;

/// The text for a code block, which it cannot end. Line ends and tabs stay.
pub fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if is_blank(first) {
            let run = prefix(rest, is_blank);
            blanks(run, &mut out);
            run.len()
        } else if first == '`' {
            let run = prefix(rest, |c| c == '`');
            // Two of them end no block.
            if run.len() < 3 {
                out.push_str(run)
            } else {
                run.chars().for_each(|c| mark(c, &mut out))
            }
            run.len()
        } else if first.is_alphanumeric() {
            let run = prefix(rest, char::is_alphanumeric);
            word(run, &mut out);
            run.len()
        } else {
            let before = text[..text.len() - rest.len()].chars().next_back();
            let joins_emoji = matches!(first, '\u{200d}' | '\u{fe0f}') && before.is_some_and(is_emoji);
            if !joins_emoji && (hides(first) || SIGNS.contains(first)) {
                mark(first, &mut out);
            } else {
                out.push(first);
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    out
}

/// The text in one line of code, which it cannot end.
pub fn line(text: &str) -> String {
    let mut out = String::new();
    for c in block(text).chars() {
        if matches!(c, '\n' | '\t' | '`') { mark(c, &mut out) } else { out.push(c) }
    }
    format!("`{out}`")
}

fn word(word: &str, out: &mut String) {
    let looks = |c: char| LETTERS.contains(c);
    let is_mixed = word.chars().any(|c| c.is_ascii_alphabetic());
    let is_disguised = word.chars().filter(|c| c.is_alphabetic()).all(looks);
    for c in word.chars() {
        // Wide and mathematical forms of ASCII letters.
        let is_form = matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}');
        match is_form || hides(c) || (looks(c) && (is_mixed || is_disguised)) {
            true => {
                if !hides(c) {
                    out.push(c);
                }
                mark(c, out);
            }
            false => out.push(c),
        }
    }
}

fn blanks(run: &str, out: &mut String) {
    let count = |wanted: char| run.chars().filter(|c| *c == wanted).count();
    let (ends, tabs, spaces) = (count('\n'), count('\t'), count(' '));
    if ends <= MOST_LINE_ENDS && spaces + tabs <= MOST_BLANKS {
        return out.push_str(run);
    }
    let end = if ends > 0 { "\n" } else { "" };
    let _ = write!(out, "{end}⟨blank: {ends} line ends, {tabs} tabs, {spaces} spaces⟩{end}");
}

fn prefix(text: &str, which: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !which(c)).unwrap_or(text.len())]
}

fn mark(c: char, out: &mut String) {
    match c {
        '\r' => out.push('␍'),
        '\n' => out.push('␊'),
        '\t' => out.push('␉'),
        '\u{1b}' => out.push('␛'),
        _ => drop(write!(out, "⟨U+{:04X}⟩", u32::from(c))),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}')
}

/// Nothing is seen of it, or it changes how others are seen.
fn hides(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_hides_is_marked_and_other_scripts_stay() {
        assert_eq!(block("a\rb\u{202e}c\u{200b}"), "a␍b⟨U+202E⟩c⟨U+200B⟩");
        assert_eq!(block("cat p\u{430}sswd"), "cat pа⟨U+0430⟩sswd");
        assert_eq!(block("/etc\u{2215}x"), "/etc⟨U+2215⟩x");
        assert_eq!(block("```\n``"), "⟨U+0060⟩⟨U+0060⟩⟨U+0060⟩\n``");
        for stays in ["отчёт.txt", "报告.txt", "naïve café", "👩‍💻 ❤️", "a\n\tb"] {
            assert_eq!(block(stays), stays);
        }
        assert_eq!(block(&format!("a{}b", " ".repeat(200))), "a⟨blank: 0 line ends, 0 tabs, 200 spaces⟩b");
        assert_eq!(
            block(&format!("a{}b", "\n".repeat(500))),
            "a\n⟨blank: 500 line ends, 0 tabs, 0 spaces⟩\nb"
        );
    }

    proptest! {
        #[test]
        fn nothing_ends_the_block_or_stays_hidden(text in "(\\PC|[`\\n\\r\\t \u{202e}\u{200b}]){0,200}") {
            let shown = block(&text);
            prop_assert!(!shown.contains("```"));
            let hidden = shown.contains(['\r', '\u{202e}', '\u{200b}']);
            prop_assert!(!hidden);
            for c in text.chars().filter(|c| !is_blank(*c)) {
                let mut marked = String::new();
                mark(c, &mut marked);
                prop_assert!(shown.contains(c) || shown.contains(&marked), "{c:?}");
            }
        }
    }
}
