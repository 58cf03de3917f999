//! Makes visible what a text hides: a person has to see what they allow.
//!
//! A mark stands in `⟨⟩`, which the text itself cannot contain unmarked. The rule for look-alikes: a letter that looks like an
//! ASCII one is marked where its word holds an ASCII letter or nothing but look-alikes. Other words of other scripts stay.
//! Letters that are written from right to left stay in their place in the line: U+200E stands around them.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

/// Letters of other scripts that look like ASCII ones.
const LETTERS: &str = "аеорсухіјѕһԁԛԝӏкАВЕКМНОРСТХУІЈЅԌΑΒΕΖΗΙΚΜΝΟΡΤΥΧορνικαυгɡɑıօոսցքհӀ";
/// What looks like ASCII punctuation.
const SIGNS: &str = "\u{37e}∕⁄⧸․‐‑‒−∶꞉ː‚ǀ∣⎜ⵏ＿ꓸ⟨⟩ˋʹʼˈ∗⁎∼˜ǃ";
/// What looks like the quotes of a shell, but is none to it.
const QUOTES: &str = "‘’‛“”„‟′″´";
/// Longer runs of spaces and tabs are counted, for they push what follows out of sight.
const MOST_BLANKS: usize = 40;
/// The same of line ends.
const MOST_LINE_ENDS: usize = 6;
/// The most UTF-16 units of a name in a sentence.
const LONGEST_NAME: usize = 100;
/// More marks on one letter reach into other lines.
const MOST_ON_A_LETTER: usize = 4;

/// The text for a code block, which it cannot end. Line ends and tabs stay.
pub fn block(text: &str) -> String {
    marked(text, SIGNS)
}

/// The same of what a shell runs.
pub fn command(text: &str) -> String {
    marked(text, &format!("{SIGNS}{QUOTES}"))
}

/// The text in one line of code, which it cannot end.
pub fn line(text: &str) -> String {
    in_code(&one_line(text))
}

/// The same where at most this many UTF-16 units of it are shown; whether it is all.
pub fn short_line(text: &str, most: usize) -> (String, bool) {
    let shown = one_line(text);
    let (begin, left_out, end) = ends(&shown, most / 2, most / 2);
    match left_out {
        0 => (in_code(begin), true),
        _ => (in_code(&format!("{begin}…{end}")), false),
    }
}

/// The same of a name in a sentence.
pub fn name(text: &str) -> String {
    short_line(text, LONGEST_NAME).0
}

fn in_code(line: &str) -> String {
    if line.is_empty() { "`⟨nothing⟩`".to_owned() } else { format!("`{line}`") }
}

fn one_line(text: &str) -> String {
    let mut out = String::new();
    let before = text.len() - text.trim_start_matches(' ').len();
    let inner = text.trim_matches(' ');
    (0..before).for_each(|_| mark(' ', &mut out));
    for c in command(inner).chars() {
        if matches!(c, '\n' | '\t' | '`') { mark(c, &mut out) } else { out.push(c) }
    }
    (before + inner.len()..text.len()).for_each(|_| mark(' ', &mut out));
    out
}

/// A text in words, such as Markdown: of it, only what is not seen is marked.
pub fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut on_a_letter = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied();
        // Persian and Indian words have joiners within.
        let is_within = matches!(c, '\u{200c}' | '\u{200d}')
            && [before, after].iter().all(|c| c.is_some_and(|c| !c.is_ascii() && c.is_alphanumeric()));
        let is_blank = is_blank(c) || (c.is_whitespace() && c.width().is_some_and(|width| width > 0));
        on_a_letter = if c.width() == Some(0) { on_a_letter + 1 } else { 0 };
        let stays =
            is_blank || is_within || is_on_letter(before, c, on_a_letter) || joins_emoji(before, c, after);
        match stays || !hides(c) {
            true => out.push(c),
            false => mark(c, &mut out),
        }
        before = Some(c);
    }
    out
}

/// Markdown that hides nothing: links show where they lead, and there are no spoilers, no mentions and no small text.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = '\n';
    let mut begins = true;
    for c in prose(text).chars() {
        let acts = match before {
            '|' => c == '|',
            ']' => matches!(c, '(' | '['),
            '<' => matches!(c, '@' | '#' | ':' | '/' | 'a' | 't' | 'i'),
            '-' => c == '#' && begins,
            '@' => matches!(c, 'e' | 'h'),
            _ => false,
        };
        if acts {
            out.push('\u{200b}');
        }
        out.push(c);
        // Also behind the marks of quotes and lists.
        begins = c == '\n' || (begins && !c.is_alphanumeric());
        before = c;
    }
    // Discord takes a word behind a fence for a language, and shows no other.
    let is_language = |info: &str| info.len() <= 10 && info.chars().all(|c| c.is_ascii_alphanumeric());
    let shown = |line: &str| match line.split_once("```") {
        Some((before, info)) if !is_language(info) => format!("{before}```\u{200b}{info}"),
        _ => line.to_owned(),
    };
    out.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// A text in words, in which nothing acts as Markdown.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in in_one_line(text).chars() {
        if c.is_ascii_punctuation()
            && !matches!(c, ',' | ';' | '?' | '!' | '"' | '\'' | '%' | '&' | '=' | '$' | '/')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A text in words, in one line; for buttons, menus and forms, too, in which there is no Markdown.
pub fn in_one_line(text: &str) -> String {
    let mut out = String::new();
    for c in prose(text).chars() {
        if matches!(c, '\n' | '\t') { mark(c, &mut out) } else { out.push(c) }
    }
    out
}

/// The beginning and the end of what is visible, in UTF-16 units at most, and how many characters are between them. No mark and
/// no escape sequence is cut in two.
pub fn ends(text: &str, head: usize, tail: usize) -> (&str, usize, &str) {
    if crate::text::units(text) <= head + tail {
        return (text, 0, "");
    }
    let mut begin = crate::text::fitting(text, head);
    for (opens, closes) in [('⟨', is_end_of_mark as fn(char) -> bool), ('␛', is_end_of_sequence)] {
        if let Some(start) = text[..begin].rfind(opens)
            && !text[start..begin].chars().skip(1).any(closes)
        {
            begin = start;
        }
    }
    let mut units = 0;
    let fits = text.chars().rev().take_while(|c| {
        units += c.len_utf16();
        units <= tail
    });
    let mut end = text.len() - fits.map(char::len_utf8).sum::<usize>();
    for (opens, closes) in [('␛', is_end_of_sequence as fn(char) -> bool), ('⟨', is_end_of_mark)] {
        if let Some(start) = text[..end].rfind(opens)
            && let Some(length) = text[start..].char_indices().skip(1).find(|(_, c)| closes(*c))
            && start + length.0 >= end
        {
            end = start + length.0 + length.1.len_utf8();
        }
    }
    let end = end.max(begin);
    (&text[..begin], text[begin..end].chars().count(), &text[end..])
}

fn is_end_of_mark(c: char) -> bool {
    c == '⟩'
}

/// Of an escape sequence.
fn is_end_of_sequence(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\n' | '␇' | '␛')
}

fn marked(text: &str, signs: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    let mut on_a_letter = 0;
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
            on_a_letter = if first.width() == Some(0) { on_a_letter + 1 } else { 0 };
            let after = rest.chars().nth(1);
            let stays = is_on_letter(before, first, on_a_letter) || joins_emoji(before, first, after);
            if !stays && (hides(first) || signs.contains(first)) {
                mark(first, &mut out);
            } else {
                out.push(first);
            }
            first.len_utf8()
        };
        if first.is_alphanumeric() || is_blank(first) {
            on_a_letter = 0;
        }
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    in_place(&out)
}

/// The text with what is written from right to left kept in its place.
fn in_place(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}');
    let mut out = String::with_capacity(text.len());
    let mut is_turned = false;
    for c in text.chars() {
        if turns(c) != is_turned {
            out.push(IN_PLACE);
            is_turned = !is_turned;
        }
        out.push(c);
    }
    if is_turned {
        out.push(IN_PLACE);
    }
    out
}

/// Has what is next to it written from left to right.
const IN_PLACE: char = '\u{200e}';

fn word(word: &str, out: &mut String) {
    let looks = |c: char| LETTERS.contains(c);
    let is_mixed = word.chars().any(|c| c.is_ascii_alphabetic());
    let is_disguised = word.chars().filter(|c| c.is_alphabetic()).all(looks);
    for c in word.chars() {
        let is_strange =
            is_form(c) || (is_mixed && is_like_latin(c)) || (looks(c) && (is_mixed || is_disguised));
        match is_strange || hides(c) {
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

/// Forms of ASCII letters (wide, mathematical, Roman numerals), and scripts whose letters look like them.
fn is_form(c: char) -> bool {
    matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2100}'..='\u{214f}' | '\u{2160}'..='\u{217f}'
        | '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' | '\u{a4d0}'..='\u{a4ff}' | '\u{2c80}'..='\u{2cff}'
        | '\u{1d00}'..='\u{1d7f}' | '\u{10400}'..='\u{1044f}')
}

/// Letters among which some look like ASCII ones: phonetic, Cyrillic, Armenian, Georgian, Tifinagh.
fn is_like_latin(c: char) -> bool {
    matches!(c, '\u{250}'..='\u{2af}' | '\u{400}'..='\u{58f}' | '\u{10a0}'..='\u{10ff}' | '\u{1c80}'..='\u{1cbf}'
        | '\u{1d80}'..='\u{1dbf}' | '\u{2c60}'..='\u{2dff}' | '\u{a640}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}')
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
        ' ' => out.push('␠'),
        '\u{7}' => out.push('␇'),
        '\u{1b}' => out.push('␛'),
        _ => drop(write!(out, "⟨U+{:04X}⟩", u32::from(c))),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

/// Whether it is the mark of a script on one of its letters, and not one of too many.
fn is_on_letter(before: Option<char>, c: char, number: usize) -> bool {
    let is_one = matches!(c, '\u{483}'..='\u{1aaf}')
        && !matches!(
            c,
            '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        );
    is_one && c.width() == Some(0) && number <= MOST_ON_A_LETTER && before.is_some_and(|c| !c.is_ascii())
}

/// Whether it makes one emoji of its neighbours, or of the one before it.
fn joins_emoji(before: Option<char>, c: char, after: Option<char>) -> bool {
    let is_emoji = |c: Option<char>| {
        let is_it = |c| matches!(c, '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{25aa}'..='\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b55}' | '\u{1f000}'..='\u{1faff}');
        c.is_some_and(is_it)
    };
    match c {
        '\u{fe0f}' => is_emoji(before),
        '\u{200d}' => (is_emoji(before) || before == Some('\u{fe0f}')) && is_emoji(after),
        _ => false,
    }
}

/// Nothing is seen of it, it changes how others are seen, or it looks like a mark.
fn hides(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || c.width() == Some(0) && !c.is_alphanumeric()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2400}'..='\u{2426}' | '⟨' | '⟩'
                | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}'
                | '\u{f0000}'..='\u{10ffff}'
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
        for (hidden, shown) in [
            // Accents that are not part of their letter, which make another path of the same look
            ("cafe\u{301}", "cafe⟨U+0301⟩"),
            ("a\u{338}", "a⟨U+0338⟩"),
            ("\u{2764}\u{fe0f}\u{fe0f}x\u{200d}", "❤\u{fe0f}⟨U+FE0F⟩x⟨U+200D⟩"),
            ("👩\u{200d}ls", "👩⟨U+200D⟩ls"),
            ("␍⟨U+202E⟩", "⟨U+240D⟩⟨U+27E8⟩U+202E⟨U+27E9⟩"),
            ("\u{1b}[31m\u{9b}1m\u{7}", "␛[31m⟨U+009B⟩1m␇"),
            ("ᏢᎪ", "Ꮲ⟨U+13E2⟩Ꭺ⟨U+13AA⟩"),
            ("ⅼs", "ⅼ⟨U+217C⟩s"),
            ("ѵpn", "ѵ⟨U+0475⟩pn"),
        ] {
            assert_eq!(block(hidden), shown);
        }
        assert_eq!(command("echo ’a’"), "echo ⟨U+2019⟩a⟨U+2019⟩");
        let ascii: String = (' '..='~').collect();
        for stays in
            [ascii.as_str(), "отчёт.txt", "报告.txt", "naïve café’s", "👩‍💻 ❤️", "a\n\tb", "สวัสดีครับ", "हिन्दी"]
        {
            assert_eq!(block(stays), stays);
        }
        assert_eq!(block(&format!("a{}b", " ".repeat(200))), "a⟨blank: 0 line ends, 0 tabs, 200 spaces⟩b");
        assert_eq!(
            block(&format!("a{}b", "\n".repeat(500))),
            "a\n⟨blank: 500 line ends, 0 tabs, 0 spaces⟩\nb"
        );
    }

    #[test]
    fn what_is_written_from_right_to_left_stays_in_its_place() {
        assert_eq!(block("rm א/ב x"), "rm \u{200e}א\u{200e}/\u{200e}ב\u{200e} x");
    }

    #[test]
    fn a_path_in_a_line_ends_where_it_is_seen_to_end() {
        assert_eq!(line(" /etc/passwd  "), "`␠/etc/passwd␠␠`");
        assert_eq!(line("a`b\nc"), "`a⟨U+0060⟩b␊c`");
        assert_eq!(line(""), "`⟨nothing⟩`");
        assert_eq!(line("  "), "`␠␠`");
    }

    #[test]
    fn a_text_in_words_keeps_its_letters_and_hides_nothing() {
        for stays in [
            "**a** _b_\n- l’eau\u{a0}!",
            "می\u{200c}خواهم",
            "שלום",
            "e\u{301}".replace('\u{301}', "").as_str(),
        ] {
            assert_eq!(prose(stays), stays);
        }
        assert_eq!(prose("a\u{202e}b\u{200b}\u{1b}[0m"), "a⟨U+202E⟩b⟨U+200B⟩␛[0m");
        let shown = markdown("||a|| [x](https://e.org) <@1> @everyone\n-# small\n> -# b");
        assert_eq!(
            shown.replace('\u{200b}', "·"),
            "|·|a|·| [x]·(https://e.org) <·@1> @·everyone\n-·# small\n> -·# b"
        );
        assert_eq!(
            markdown("```rs\na\n```\n```rm-rf-home\nb\n```"),
            "```rs\na\n```\n```\u{200b}rm-rf-home\nb\n```"
        );
        assert_eq!(plain("*a* `b`\n# c"), "\\*a\\* \\`b\\`␊\\# c");
    }

    #[test]
    fn no_mark_and_no_sequence_is_cut_in_two() {
        let text = block("abc\u{202e}\u{1b}[31mdef\u{202e}ghi");
        assert_eq!(text, "abc⟨U+202E⟩␛[31mdef⟨U+202E⟩ghi");
        for head in 0..text.chars().count() {
            for tail in 0..(text.chars().count() - head) {
                let (begin, left_out, end) = ends(&text, head, tail);
                assert_eq!(begin.chars().count() + left_out + end.chars().count(), text.chars().count());
                for side in [begin, end] {
                    assert_eq!(side.matches('⟨').count(), side.matches('⟩').count(), "{side}");
                    assert_eq!(side.matches('␛').count(), side.matches("␛[31m").count(), "{side}");
                    assert!(!side.starts_with(['3', '1', 'm', '[']), "{side}");
                }
            }
        }
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
