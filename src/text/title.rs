//! A title of one line, from the first words of a text.

use super::line;

/// The most UTF-16 units of a title. Discord takes 100 for the name of a thread; its list of channels shows far fewer.
const MOST: usize = 80;

/// The first words of a text without markup and mentions, for a name; `None` where there are none.
pub fn title(text: &str) -> Option<String> {
    let mut is_code = false;
    let words = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    let plain = words.map(plain).find(|line| line.chars().any(char::is_alphanumeric))?;
    if super::units(&plain) <= MOST {
        return Some(plain);
    }
    let mut end = line::fitting(&plain, MOST - 1);
    // Whole words, unless the last one is most of it.
    if let Some(space) = plain[..end].rfind(' ').filter(|space| *space > end / 2) {
        end = space;
    }
    Some(format!("{}…", plain[..end].trim_end()))
}

/// The words of a line.
fn plain(line: &str) -> String {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || ">#*-".contains(c));
    let mut words = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let taken = match reference(rest) {
            Some((length, shown)) => {
                words.push_str(shown);
                length
            }
            None => match ["**", "~~", "||", "`"].into_iter().find(|mark| rest.starts_with(*mark)) {
                Some(mark) => mark.len(),
                None => {
                    words.push(if is_unseen(next) { ' ' } else { next });
                    next.len_utf8()
                }
            },
        };
        rest = &rest[taken..];
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What Discord shows in place of `<…>`: how long that is, and what stands for it here. A mention does not work in a name.
fn reference(text: &str) -> Option<(usize, &str)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>').filter(|end| *end > 0 && !inner[..*end].contains(char::is_whitespace))?;
    let inner = &inner[..end];
    let shown = match inner.as_bytes()[0] {
        b'@' | b'#' | b'/' => "",
        b':' => inner.rsplit_once(':')?.0.trim_matches(':'),
        _ if inner.starts_with("a:") => inner[2..].rsplit_once(':')?.0,
        _ if inner.starts_with("t:") => "",
        _ => return None,
    };
    Some((end + 2, shown))
}

/// What would change the look of the words around it.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_title_is_the_first_words_without_markup_and_mentions() {
        let titles = [
            "Fix the parser",
            "\n\n  ## **Fix** the `parser`\nIt is broken.",
            "> quoted words",
            "```rust\nfn main() {}\n```\nWhat is this?",
            "<@231200000000000001> look at <#231200000000000004> <:moon:231200000000000009> now",
            "keep snake_case, __init__ and a < b > c",
            "one\u{202e}two\u{200b}three\u{7}four",
            "Please find out why the integration tests in the third stage of the pipeline have been failing since Monday",
            "Größenänderung: 月が綺麗ですね、この関数の意味を説明してください",
            "https://example.org/a/very/long/address/without/any/space/that/goes/on/and/on/and/on/for/ever",
            "…",
            "",
        ];
        let shown: Vec<_> =
            titles.iter().map(|text| title(text).unwrap_or_else(|| "(none)".to_owned())).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        Fix the parser
        Fix the parser
        quoted words
        What is this?
        look at moon now
        keep snake_case, __init__ and a < b > c
        one two three four
        Please find out why the integration tests in the third stage of the pipeline…
        Größenänderung: 月が綺麗ですね、この関数の意味を説明してください
        https://example.org/a/very/long/address/without/any/space/that/goes/on/and/on/a…
        (none)
        (none)
        ");
    }

    proptest! {
        #[test]
        fn discord_takes_every_title(text in any::<String>(), marks in "[<>@#:*`|~ a-z0-9\n]{0,200}") {
            for text in [text, marks] {
                let Some(title) = title(&text) else { continue };
                prop_assert!((1..=MOST).contains(&super::super::units(&title)), "{title:?}");
                prop_assert_eq!(title.trim(), &title);
                prop_assert!(!title.chars().any(is_unseen));
            }
        }
    }
}
