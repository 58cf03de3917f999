//! The laws of the splitter over generated documents, its named cases, and the snapshots of the fixtures.

use proptest::prelude::*;

use super::{LIMIT, Part, parts, scan, small, units};
use crate::domain::Format;

fn texts(markdown: &str) -> Vec<String> {
    parts(markdown, &Format::default()).into_iter().map(|part| part.text).collect()
}

/// The part without what the split added.
fn own(part: &Part) -> String {
    let mut text = part.text.clone();
    for added in part.added.iter().rev() {
        text.replace_range(added.clone(), "");
    }
    text
}

/// Whether a line opens or closes a block in a scanned text. Simpler than the scanner, and independent of it.
fn toggles(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| " \t>-*+.)".contains(c) || c.is_ascii_digit());
    rest.strip_prefix("```").is_some_and(|info| !info.contains('`'))
}

/// The laws that hold for every text.
fn check(source: &str) -> Result<(), TestCaseError> {
    let document = scan::scan(source).text;
    let parts = parts(source, &Format::default());
    prop_assert_eq!(parts.is_empty(), source.trim().is_empty());
    let mut rest = document.as_str();
    let mut inside = false;
    for (number, part) in parts.iter().enumerate() {
        let text = part.text.as_str();
        prop_assert!(units(text) <= LIMIT, "{} units in part {number}", units(text));
        prop_assert!(!text.trim().is_empty(), "part {number} is blank");
        prop_assert_eq!(text.trim(), text, "white space around part {}", number);
        prop_assert!(
            text.split('\n').filter(|line| toggles(line)).count() % 2 == 0,
            "part {number} leaves a fence open:\n{text}"
        );
        prop_assert_eq!(texts(text), [text], "part {} split again", number);

        let own = own(part);
        let at = rest.find(own.as_str());
        prop_assert!(at.is_some(), "part {number} is not in the source:\n{own}");
        let gap = &rest[..at.unwrap_or(0)];
        prop_assert!(gap.trim().is_empty(), "part {number} leaves out {gap:?}");
        prop_assert!(!inside || gap.is_empty() || gap == "\n", "part {number} leaves out {gap:?} of code");
        rest = &rest[gap.len() + own.len()..];
        inside ^= own.split('\n').filter(|line| toggles(line)).count() % 2 == 1;
    }
    prop_assert!(rest.trim().is_empty(), "left over: {rest:?}");
    Ok(())
}

/// A block of a generated document, and the code lines that must arrive.
#[derive(Debug, Clone)]
struct Piece {
    markdown: String,
    code: Vec<String>,
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => "[a-zA-Z]{1,12}[,.:?!]?",
        2 => "[a-z/?=&]{0,60}".prop_map(|path| format!("https://example.org/{}", path.repeat(4))),
        2 => "`[a-z_ ()]{1,30}`",
        2 => "\\*\\*[a-z ]{1,20}\\*\\*",
        1 => (1_usize..700).prop_map(|n| "torn?no".repeat(n)),
        1 => Just("👨‍👩‍👧‍👦🇨🇭🇯🇵e\u{301}".repeat(40)),
        2 => "[月光道路語]{1,80}[。、]?",
        1 => "[שלוםעולם]{1,20}",
        2 => prop_oneof![Just("#"), Just("-"), Just(">"), Just("1."), Just("-#"), Just("*")].prop_map(str::to_owned),
    ]
}

fn prose(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let space = prop_oneof![15 => Just(" "), 1 => Just("\n"), 1 => Just("   ")];
    prop::collection::vec((word(), space), words).prop_map(|words| {
        words.into_iter().map(|(word, space)| word + space).collect::<String>().trim().to_owned()
    })
}

fn code_line() -> impl Strategy<Value = String> {
    prop_oneof![
        10 => "[ ]{0,12}[a-z(){};= ]{0,60}",
        2 => Just(String::new()),
        1 => (1_usize..500).prop_map(|n| "QmFzZTY0".repeat(n)),
        1 => "\t[月🌙a-z👨‍👩‍👧]{0,80}  ",
        1 => Just("# not a heading".to_owned()),
        1 => Just("~~~".to_owned()),
        1 => Just("``` within".to_owned()),
    ]
}

fn code() -> impl Strategy<Value = Piece> {
    let fence = prop_oneof![6 => Just("```"), 1 => Just("~~~~"), 1 => Just("`````")];
    let info = prop_oneof![4 => Just(""), 8 => Just("rust"), 1 => Just("python title=\"a b\"")];
    let before = prop_oneof![8 => Just(""), 1 => Just("   "), 1 => Just("> ")];
    let lines = prop_oneof![3 => prop::collection::vec(code_line(), 0..12), 1 => prop::collection::vec(code_line(), 30..80)];
    (fence, info, before, lines).prop_map(|(fence, info, before, code)| {
        let code: Vec<String> = code.into_iter().map(|line| format!("{before}{line}")).collect();
        let lines = code.iter().map(|line| format!("{line}\n")).collect::<String>();
        let markdown = format!("{before}{fence}{info}\n{lines}{before}{fence}");
        Piece { markdown, code }
    })
}

fn piece() -> impl Strategy<Value = Piece> {
    let plain = |markdown: String| Piece { markdown, code: Vec::new() };
    let list = prop::collection::vec((0_usize..4, prose(1..12)), 1..30).prop_map(|items| {
        let items = items
            .into_iter()
            .map(|(depth, text)| format!("{}- {}", "  ".repeat(depth), text.replace('\n', " ")));
        items.collect::<Vec<_>>().join("\n")
    });
    let table = (2_usize..60, prose(1..5)).prop_map(|(rows, cell)| {
        let row = format!("| {} | x |\n", cell.replace('\n', " "));
        row.repeat(rows).trim_end().to_owned()
    });
    prop_oneof![
        6 => prose(1..80).prop_map(plain),
        1 => prose(100..300).prop_map(plain),
        3 => (1_usize..7, "[A-Za-z ]{1,60}").prop_map(move |(n, t)| plain(format!("{} {t}", "#".repeat(n)))),
        4 => code(),
        3 => list.prop_map(plain),
        1 => table.prop_map(plain),
    ]
}

fn document() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec(piece(), 0..9)
}

/// Fewer cases than usual, for they are large; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        default
    } else {
        ProptestConfig { cases: 64, ..default }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_laws_hold_for_markdown(pieces in document(), crlf in any::<bool>()) {
        let blocks: Vec<&str> = pieces.iter().map(|piece| piece.markdown.as_str()).collect();
        let mut source = blocks.join("\n\n");
        if crlf {
            source = source.replace('\n', "\r\n");
        }
        check(&source)?;

        // Prose has no three backticks here, so that Discord's own way of counting says the same.
        for text in texts(&source) {
            prop_assert!(text.matches("```").count() % 2 == 0, "{text}");
        }

        // Each code line arrives as it was; only three backticks in a row cannot stand in a block.
        let arrived: String = parts(&source, &Format::default()).iter().map(own).collect();
        let joined = arrived.replace(['\n', '\u{200b}'], "");
        let mut rest = joined.as_str();
        for line in pieces.iter().flat_map(|piece| &piece.code) {
            let at = rest.find(line.as_str());
            prop_assert!(at.is_some(), "lost: {line:?}");
            rest = &rest[at.unwrap_or(0) + line.len()..];
        }
        let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !"`~\u{200b}".contains(*c)).collect::<String>();
        prop_assert_eq!(solid(&joined), solid(&source));
    }

    #[test]
    fn the_laws_hold_for_any_text(source in "(```|~~~|````|> |- |1\\. |# |\n|\n\n|[a-z]{1,9}|`| |    |[a ]{900}|\r\n|\t|月|\u{200b}|\u{0}|:\n){0,60}") {
        check(&source)?;
    }

    #[test]
    fn the_laws_hold_for_noise(source in "\\PC{0,2500}") {
        check(&source)?;
    }
}

/// Parts under rulers with their place and length; what the split added stands in ⟦ ⟧.
fn ruled(parts: &[Part]) -> String {
    let mut out = String::new();
    for (number, part) in parts.iter().enumerate() {
        let mut text = part.text.clone();
        for added in part.added.iter().rev() {
            text.insert(added.end, '⟧');
            text.insert(added.start, '⟦');
        }
        // A zero-width space is no use to a reader.
        let text = text.replace('\u{200b}', "␣");
        out += &format!("── {}/{} ── {} ──\n{text}\n", number + 1, parts.len(), units(&part.text));
    }
    out
}

#[test]
fn the_fixtures_are_split_like_this_and_keep_the_laws() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/text");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/text"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        for file in files {
            let source = std::fs::read_to_string(&file).unwrap();
            check(&source).unwrap();
            insta::assert_snapshot!(file.file_stem().unwrap().to_str().unwrap(), ruled(&parts(&source, &Format::default())));
        }
    });
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
    // The best one is not worth a part that is nearly empty.
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
        ("- ```sh\n  ls\n  ```", "- ```sh\n  ls\n  ```"),
        ("```not a fence``` but a span", "```not a fence``` but a span"),
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
    check(&source).unwrap();
}

#[test]
fn small_text_is_one_line() {
    assert_eq!(small(" denied:\n`Bash` "), "-# denied: `Bash`");
}
