//! Wrong splits, each of which breaks one law: a law that cannot be broken proves nothing.

use std::ops::Range;

use super::{Part, judge};
use crate::domain::Format;

/// A source and its parts, from one text: `┃` between the parts, what is added in `⟦ ⟧`, what is dropped in `⟪ ⟫`.
fn read(marked: &str) -> (String, Vec<Part>) {
    let mut source = String::new();
    let parts = marked.split('┃').map(|marked| {
        let start = source.len();
        let (mut text, mut added, mut dropped) = (String::new(), Vec::new(), Vec::new());
        let (mut is_added, mut is_dropped) = (false, false);
        for c in marked.chars() {
            let range = |text: &str| -> Range<usize> { text.len()..text.len() };
            match c {
                '⟦' => (is_added, added) = (true, [added, vec![range(&text)]].concat()),
                '⟪' => (is_dropped, dropped) = (true, [dropped, vec![range(&source)]].concat()),
                '⟧' => is_added = false,
                '⟫' => is_dropped = false,
                c => {
                    if !is_dropped {
                        text.push(c);
                    }
                    if !is_added {
                        source.push(c);
                    }
                    let end =
                        if is_added { added.last_mut() } else { dropped.last_mut().filter(|_| is_dropped) };
                    if let Some(range) = end {
                        range.end += c.len_utf8();
                    }
                }
            }
        }
        Part { text, source: start..source.len(), added, dropped }
    });
    let parts = parts.collect();
    (source, parts)
}

/// Which law these parts break.
fn broken(marked: &str, dialect: bool) -> String {
    let (source, parts) = read(marked);
    name(judge(&source, &Format { dialect, ..Format::default() }, &parts, true))
}

fn name(result: Result<(), String>) -> String {
    result.map_or_else(|fault| fault.split(':').next().unwrap_or_default().to_owned(), |()| "none".to_owned())
}

#[test]
fn each_law_can_be_broken() {
    let long = "a".repeat(2001);
    let block = "x".repeat(1600);
    let cases = [
        ("size", long.as_str()),
        ("size", "⟪a⟫"),
        ("size", "a ┃b"),
        ("size", "a⟪ ⟫┃\n┃b"),
        ("fences", "```\na"),
        ("fences", "```\n```"),
        ("fences", "```\na\n```⟪\n⟫b"),
        ("fences", "a ``` b\n```\nc\n```\nd ``` e"),
        ("heading", "a\n# b⟪\n⟫┃c"),
        ("heading", "```\na\n```\n# b⟪\n⟫┃c"),
        ("none", "# b\n## c"),
        ("added", "a⟦b⟧"),
        ("added", "⟦- ⟧a"),
        ("added", "⟦```sh\n⟧a⟦\n```⟧"),
        ("dropped", "a⟪b⟫"),
        ("dropped", "a⟪~~~⟫"),
        ("dropped", "a\n⟪\n⟫b"),
        ("dropped", "```r⟪us⟫t\na\n```"),
        ("torn", "ab┃cd"),
        ("torn", "e┃\u{301}"),
        ("torn", "a 🇨┃🇭 b"),
        ("torn", "a👨\u{200d}┃👩"),
        ("torn", "[a⟪ ⟫┃b](https://example.org)"),
        ("torn", "`a⟪ ⟫┃b`"),
        ("torn", "**a⟪ ⟫⟦**⟧┃⟦**⟧b**"),
        ("prose", "a⟦**⟧b"),
        ("code", "```\na⟦ ⟧\n```"),
        ("code", "```\na⟪ ⟫\n```"),
        ("code", "```\nab⟦\n```⟧┃⟦```\n⟧cd\n```"),
        ("code", "```\na⟦\n```⟧⟪\n⟫┃⟦```\n⟧b\n```"),
        ("code", "```\na⟦\n```⟧⟪\n\n⟫┃⟦```\n⟧b\n```"),
        ("code", "~~~\na\n~~~"),
        ("again", "a\u{0}"),
        ("pieces", "a b⟪\n⟫┃c"),
    ];
    for (law, marked) in cases {
        assert_eq!(broken(marked, false), law, "{marked}");
    }
    let dialect = [
        ("prose", "a ⟪b⟫ c"),
        ("prose", "a ⟪b⟫ c ⟦b⟧"),
        ("prose", "⟪<details><summary>⟫⟪T⟫⟪</summary>⟫x⟪</details>⟫"),
        ("prose", "[a]⟪(https://example.org)⟫"),
        ("prose", "![⟪a⟫](https://example.org/)"),
        ("prose", "⟪| a | b |\n|---|---|\n| c |⟫a b c⟪ d |⟫"),
        ("added", "⟪| a | b |\n|---|---|\n| c | d |⟫⟦a b c e⟧"),
        ("prose", "⟪| a | b |\n|---|---|\n| c | d |⟫⟦a b c⟧"),
        ("prose", "x⟪<!-- -->⟫y⟪z⟫"),
        ("code", "⟦```\n⟧    a⟦\n```⟧"),
        ("code", "- b\n  ```\n  a\n  ```"),
        ("pieces", "- [ ] a"),
        ("prose", "a\n⟪7⟫⟦8⟧, b"),
    ];
    for (law, marked) in dialect {
        assert_eq!(broken(marked, true), law, "{marked}");
    }
    let row = "| ".to_owned() + &"a ".repeat(30) + "|";
    assert_eq!(broken(&format!("⟦```\n⟧{row}⟪\n|---|⟫⟦\n```⟧"), true), "table");
    // A cut line of code has nothing added but the fences.
    assert_eq!(broken(&format!("```\n{block}⟦\n```⟧┃⟦```\n⟧ ⟦ ⟧{block}\n```"), false), "code");
}

#[test]
fn the_map_must_be_true() {
    let part = |text: &str, source, added: &[Range<usize>], dropped: &[Range<usize>]| Part {
        text: text.to_owned(),
        source,
        added: added.to_vec(),
        dropped: dropped.to_vec(),
    };
    let (empty, beyond) = (0..0, 1..3);
    let cases = [
        ("tiling", part("a", 0..1, &[], &[])),
        ("tiling", part("b", 1..2, &[], &[])),
        ("exactness", part("ac", 0..2, &[], &[])),
        ("exactness", part("abb", 0..2, &[], &[])),
        ("ranges", part("ab", 0..2, &[empty], &[])),
        ("ranges", part("ab", 0..2, &[1..2, 0..1], &[])),
        ("ranges", part("a", 0..2, &[], &[beyond])),
    ];
    for (law, part) in cases {
        let parts = [part];
        assert_eq!(name(judge("ab", &Format::default(), &parts, true)), law, "{parts:?}");
    }
}
