//! Named cases.

use super::super::small;
use super::{check, parts, units};
use crate::domain::Format;

fn texts(markdown: &str) -> Vec<String> {
    parts(markdown, &Format::default()).into_iter().map(|part| part.text).collect()
}

#[test]
fn nothing_short_and_exact_lengths() {
    for blank in ["", " ", "\n\r\n\t", "\u{3000}\n"] {
        assert_eq!(parts(blank, &Format::default()), []);
    }
    let short = "# Title\n\n- *a*  \n  - b\n\n\n```rust\nfn  x() {}\n```\nend";
    assert_eq!(texts(&format!("\n {short} \n")), [short]);
    assert_eq!(texts(&short.replace('\n', "\r\n")), [short]);
    assert_eq!(texts("a\0b"), ["a\u{fffd}b"]);
    assert_eq!(texts(&"x".repeat(2000)), ["x".repeat(2000)]);
    assert_eq!(texts(&"x".repeat(2001)), ["x".repeat(2000), "x".to_owned()]);
    assert_eq!(texts(&"🌙".repeat(1001)), ["🌙".repeat(1000), "🌙".to_owned()]);
}

#[test]
fn the_best_cut_wins_in_this_order() {
    let a = |n: usize| "a".repeat(n);
    // A heading, a blank line, a line, a sentence, a space: each is taken before the ones after it.
    let cases = [
        format!("{}\n\n{}\n# H\n{}", a(900), a(800), a(1000)),
        format!("{}\n{}\n\n{}\n{}", a(900), a(800), a(250), a(1000)),
        format!("{}\n{}\n{}. A {}", a(900), a(800), a(250), a(1000)),
        format!("{} {}. Then {} {}", a(900), a(800), a(250), a(1000)),
        format!("{} {} {}", a(900), a(800), a(1000)),
    ];
    for (number, source) in cases.iter().enumerate() {
        let length = units(&texts(source)[0]);
        assert!((1701..1704).contains(&length), "case {number}: {length}");
    }
    // The best cut is not worth a nearly empty part.
    let source = format!("{}\n\n{} {}", a(300), a(1600), a(500));
    assert_eq!(texts(&source), [format!("{}\n\n{}", a(300), a(1600)), a(500)]);
    // A word that fits in a part is not torn, though that part stays half empty.
    assert_eq!(texts(&format!("{} {}", a(200), a(1999 - 10))), [a(200), a(1989)]);
}

#[test]
fn a_heading_goes_with_its_text() {
    let source = format!("{}\n\n## H\n\n{}", "a ".repeat(900), "b".repeat(400));
    assert_eq!(texts(&source)[1], format!("## H\n\n{}", "b".repeat(400)));
}

#[test]
fn a_block_that_fits_is_kept_whole_and_one_that_does_not_is_reopened() {
    let code = "let x = 1;\n".repeat(180);
    let block = format!("```rust\n{code}```");
    assert_eq!(
        texts(&format!("Before it.\n\n{block}\n\n{}", "a".repeat(300))),
        ["Before it.".to_owned(), block, "a".repeat(300)]
    );

    let long = texts(&format!("```rust\n{code}{code}```"));
    assert_eq!(long.len(), 2);
    assert!(long.iter().all(|text| text.starts_with("```rust\nlet") && text.ends_with(";\n```")));

    // The opening at the very limit: no empty block before the cut.
    for before in 1988..2001 {
        let texts = texts(&format!("{}\n```sh\nls\n```", "a".repeat(before)));
        assert_eq!(texts.last().unwrap(), "```sh\nls\n```", "{before}");
    }
}

#[test]
fn odd_fences_become_discords() {
    let cases = [
        ("~~~sh\nls\n~~~", "```sh\nls\n```"),
        ("````md\n```\nx\n```\n````", "```md\n`\u{200b}``\nx\n`\u{200b}``\n```"),
        ("```\nopen", "```\nopen\n```"),
        ("> ```\n> x\nafter", "> ```\n> x\n> ```\nafter"),
        ("- ```sh\n  ls\n  ```", "- \u{200b}\n```sh\nls\n```"),
        ("```sh\n```", "```sh\n\u{200b}\n```"),
        ("```not a fence``` but a span", "`not a fence` but a span"),
    ];
    for (source, expected) in cases {
        assert_eq!(texts(source), [expected]);
    }
    let long = texts(&format!("```{}\n{}\n```", "info".repeat(2000), "x\n".repeat(1500)));
    assert!(long.len() == 2 && long[1].starts_with(&format!("```{}\nx", "info".repeat(20))));
}

#[test]
fn what_discord_would_trim_or_misread_at_the_start_of_a_part_is_kept() {
    let long = "a".repeat(1500);
    assert_eq!(texts(&format!("{long}\n    deep {long}"))[1], format!("\u{200b}    deep {long}"));
    assert_eq!(texts(&format!("- {long}\n  - {long}"))[1], format!("\u{200b}\n  - {long}"));
    assert_eq!(texts(&format!("{} # not a heading", "a".repeat(1999)))[1], "\u{200b}# not a heading");
}

#[test]
fn a_sentence_may_end_in_a_line_separator() {
    // The space after it belongs to neither sentence.
    let source = format!("{}\u{2028} {}", "a".repeat(1500), "b".repeat(1000));
    check(&source, &Format::default()).unwrap();
}

#[test]
fn small_text_is_one_line() {
    assert_eq!(small(" denied:\n`Bash` "), "-# denied: `Bash`");
}

#[test]
fn what_discord_does_not_know_becomes_what_it_knows() {
    let cases = [
        ("#### Four", "**Four**"),
        ("##### A **b** ##", "**A b**"),
        ("## Two ##", "## Two"),
        ("Title\n=====\ntext", "# Title\ntext"),
        ("Title\n---", "## Title"),
        ("a\n\n---\n\nb", "a\n\n──────────\n\nb"),
        ("- [ ] a\n- [x] b\n- [X] c\n- [y] d", "- ☐ a\n- ☑ b\n- ☑ c\n- [y] d"),
        ("+ a\n1) b", "- a\n1. b"),
        ("1. a\n1. b\n1. c", "1. a\n2. b\n3. c"),
        ("3. a\n7. b", "3. a\n7. b"),
        ("![alt](https://a.b/c.png)", "[alt](https://a.b/c.png)"),
        ("![](https://a.b/c.png)", "[image](https://a.b/c.png)"),
        ("[![alt](https://a.b/c.svg)](https://a.b)", "[alt](https://a.b)"),
        ("[main](src/main.rs) [src/a.rs](src/a.rs) [up](#top)", "main (`src/main.rs`) src/a.rs up"),
        ("f[a](x) stays", "f[a](x) stays"),
        ("[https://a.b/c](https://a.b/c)x", "<https://a.b/c>x"),
        ("a <!-- b --> c", "a c"),
        ("a\n\n<!-- b\n\nc -->\n\nd", "a\n\nd"),
        ("a <!-- never closed", "a <!-- never closed"),
        ("<!-- a --> <!-- b -->\ntext", "text"),
        ("<details>\n<summary>T</summary>\n\nbody\n</details>", "**T**\n\nbody"),
        ("a[^1]\n\n[^1]: b", "a[1]\n\n-# [1] b"),
        ("a\n\n    code *here*\n\nb", "a\n\n```\ncode *here*\n```\n\nb"),
        ("1. a:\n   ```sh\n   ls\n     -l\n   ```\n2. b", "1. a:\n```sh\nls\n  -l\n```\n2. b"),
        ("```rust,ignore\nx\n```", "```rust\nx\n```"),
        ("> a\n>\n>b\nc", "> a\n> \n> b\n> c"),
        (">>> a", "> a"),
        ("a\\\nb", "a\nb"),
        ("a || b **c", "a \\|\\| b \\*\\*c"),
        ("`a || b` x_1 2 * 3", "`a || b` x\\_1 2 * 3"),
        ("| a | b |\n|---|--:|\n| **x** | 1 |\n| yy | 22 |", "```\na    b\n──  ──\nx    1\nyy  22\n```"),
        ("| a |\n|---|\n| [x](https://a.b) |", "- **a:** [x](https://a.b)"),
        (
            "| a | b |\n|--|--|\n| [x](https://a.b) | |\n| y | |",
            "- **a:** [x](https://a.b) · **b:**\n- **a:** y",
        ),
        ("| [a](https://a.b) | b |\n|--|--|\n| | |", "- **[a](https://a.b):** · **b:**"),
        ("| **月**語 | b |\n|--|--|\n| [x](https://a.b) | y |", "- **月語:** [x](https://a.b) · **b:** y"),
        ("- a\n\t<!----> <!---->\nb", "- a\n\nb"),
        ("```\n#### a | b\n- [ ] c\n```", "```\n#### a | b\n- [ ] c\n```"),
    ];
    for (source, expected) in cases {
        assert_eq!(texts(source), [expected], "{source}");
        check(source, &Format::default()).unwrap();
        // None of that if the project wants its Markdown as it is, apart from fences and blank ends.
        let plain = parts(source, &Format { dialect: false, ..Format::default() });
        assert!(source.contains("```") || plain[0].text == source, "{source}");
    }
}

#[test]
fn a_part_is_out_as_soon_as_nothing_can_change_it() {
    let source = "A line of prose that is not too long.\n\n".repeat(200);
    let whole = parts(&source, &Format::default());
    let mut splitter = super::super::Splitter::new(Format::default());
    let mut early = 0;
    let mut read = 0;
    for line in source.split_inclusive('\n') {
        read += line.len();
        for part in splitter.push(line) {
            assert_eq!(part, whole[early]);
            // It only waits for what could make the next part a short one, and for the paragraph after that.
            assert!(read < part.source.end + 400, "part {early} came after {read} bytes");
            early += 1;
        }
    }
    assert_eq!(early, whole.len() - 1);
    assert_eq!(splitter.finish(), whole[early..]);
}

#[test]
fn a_block_that_is_cut_after_a_blank_line_alone_is_still_seen_as_one() {
    // The line fits in a part, but not together with the blank one above it.
    let (info, line) = ("info".repeat(20), "x".repeat(1912));
    let source = format!("```{info}\n\n{line}\ny\n```");
    for dialect in [true, false] {
        let format = Format { dialect, ..Format::default() };
        super::check(&source, &format).unwrap();
        assert_eq!(parts(&source, &format)[0].text, format!("```{info}\n\u{200b}\n```"));
    }
}

#[test]
fn a_header_that_no_part_could_repeat_is_shown_without_columns() {
    let accents = format!("a{}", "\u{301}".repeat(2500));
    for source in [
        format!("| {} |\n|--|", "a ".repeat(1000)),
        format!("| {accents} |\n|--|"),
        format!("| {accents} |\n|--|\n| b |"),
    ] {
        check(&source, &Format::default()).unwrap();
        assert!(!texts(&source)[0].contains("```"), "{source}");
    }
}

/// What the laws have found, reduced.
#[test]
fn what_stands_close_together_is_not_torn() {
    let (words, line) = ("aa ".repeat(800), "b".repeat(1900));
    let cases = [
        // A heading that fits in no part ends one where it ends: the one after it goes with its block.
        format!("# {words}\n# :\n```\n{}", "x".repeat(1700)),
        // A danda ends a sentence, but not where a vowel sign belongs to it.
        format!("{} \u{a8cf}\u{eb3}{}", "a".repeat(1500), "b".repeat(1000)),
        // The same for a comma in code.
        format!("```\n{},\u{301}{}\n```", "a".repeat(1900), "b".repeat(1900)),
        // Before a blank line at the end of quoted code there can be no cut.
        format!("> > - A\n> >   ```\n> >   {}\n> >\n> >   ```\n> > - b", "QmFzZTY0".repeat(247)),
        format!("> > ```{}\n> > {}\n> >\n> >\n> > ```", "info".repeat(3), "QmFzZTY0".repeat(245)),
        // Emphasis nearly as long as a part gives way to the word that it ends in.
        format!(
            "It is:\n\n    x\n    ___;\n    {}\n     a=;_(_a\n    {}\n    ;_(_(\n    y",
            "b".repeat(1336),
            "c".repeat(632)
        ),
        // Behind a vertical tab there is no fence.
        "\u{b}````\n``\u{c}".to_owned(),
        // Two that are opened again, of two tildes and of one, are no fence.
        format!("~~a ~b {words}c~ d~~"),
        format!("It is:\n\n    x\n    __a\n    {line}{}\n    == (_;a==;(_;_(\n    y", "c".repeat(70)),
    ];
    for source in cases {
        for dialect in [true, false] {
            check(&source, &Format { dialect, ..Format::default() }).unwrap();
        }
    }
}
