//! Documents made up by proptest: Markdown-shaped, so that they reach what is special, and built from small pieces
//! that shrink one by one. How often they reach it is counted and printed.

use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::TestRunner;

use super::super::{LIMIT, units};
use super::{check, check_form, discord, parts};
use crate::domain::Format;

/// What a block has that is worth counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trait {
    LongBlock,
    FenceInFence,
    NestedCode,
    WideTable,
    LongEmphasis,
    Cjk,
    JoinedEmoji,
}

const TRAITS: [(Trait, &str); 7] = [
    (Trait::LongBlock, "over-long block"),
    (Trait::FenceInFence, "fence inside a fence"),
    (Trait::NestedCode, "nested list with code"),
    (Trait::WideTable, "wide table"),
    (Trait::LongEmphasis, "over-long emphasis"),
    (Trait::Cjk, "CJK"),
    (Trait::JoinedEmoji, "joined emoji"),
];

/// A block of a document.
#[derive(Debug, Clone)]
struct Piece {
    markdown: String,
    traits: Vec<Trait>,
}

type Pieces = BoxedStrategy<Piece>;

fn plain(markdown: String) -> Piece {
    Piece { markdown, traits: Vec::new() }
}

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(choices).prop_map(str::to_owned)
}

/// A word, or something else that should not be torn. None of them has an emphasis marker or three backticks.
fn word() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        24 => "[a-zA-Z]{1,12}[,.:?!]?",
        2 => "https://example\\.org/[a-z]{1,20}/[a-z0-9.]{0,60}[a-z]",
        1 => (1_usize..20).prop_map(|n| format!("<https://example.org/?q={}>", "word+".repeat(n))),
        2 => "`[a-z_() ]{0,30}[a-z]`",
        1 => "`` [a-z]{1,9}`[a-z]{1,9} ``",
        2 => ("[a-z ]{0,30}[a-z]", 1_usize..12).prop_map(|(t, n)| format!("[x{t}](https://example.org/{})", "path/".repeat(n))),
        2 => one_of(&["<@123456789012345678>", "<#123456789012345678>", "<@&9876543210>", "<:party:123456789012345678>",
                      "<a:wave:123456789012345678>", "<t:1618953630:R>", "</play it:1234>"]),
        2 => one_of(&["naïve", "e\u{301}te\u{301}", "Zu\u{308}rich", "n\u{303}o\u{308}", "5 €", "½", "“so”", "a—b", "…"]),
        2 => "[月光道路語]{1,30}[。、]?",
        1 => "[שלוםעולם]{1,20}",
        1 => "[ابتثجح]{1,20}؟?",
        1 => (0_usize..4, 1_usize..12).prop_map(|(which, n)| emoji(which).repeat(n)),
        1 => one_of(&["&amp;", "\\*", "\\`", "\\_", "a_b_c", "3 < 4", "2 > 1", "$x^2$", "[^1]", "(c)", "C#", "-", "+1", "a&b"]),
    ]
}

fn emoji(which: usize) -> &'static str {
    ["👨‍👩‍👧‍👦", "🇨🇭", "👍🏽", "🏳️‍🌈"][which]
}

fn words(count: std::ops::Range<usize>) -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(word(), count).prop_map(|words| words.join(" "))
}

/// Words, and emphasis around some of them, in two levels.
fn phrases(count: std::ops::Range<usize>) -> impl Strategy<Value = String> + Clone {
    let marker = || prop::sample::select(&["**", "*", "~~", "||", "***", "__"][..]);
    let bold = (marker(), "[a-z]{1,5}", words(0..6))
        .prop_map(|(m, a, b)| format!("{m}{} z{m}", format!("{a} {b}").trim()));
    let nested =
        ("[a-z]{1,9}", words(1..4), "[a-z]{1,9}").prop_map(|(a, b, c)| format!("**{a} *i {b} j* {c}**"));
    let phrase = prop_oneof![12 => word(), 2 => bold, 1 => nested];
    let space = prop_oneof![20 => Just(" "), 2 => Just("\n"), 1 => Just("  ")];
    prop::collection::vec((phrase, space), count).prop_map(|phrases| {
        let text: String = phrases.into_iter().map(|(phrase, space)| phrase + space).collect();
        // What begins a block at the start of a line would be one.
        let lines =
            text.trim().split('\n').map(|line| line.trim_start_matches(['-', '+', '>', ' ']).trim_end());
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    })
}

fn line(count: std::ops::Range<usize>) -> impl Strategy<Value = String> + Clone {
    phrases(count).prop_map(|text| text.replace('\n', " "))
}

fn prose() -> Pieces {
    let torn = prop_oneof![
        (250_usize..700).prop_map(|n| "torn?no".repeat(n)),
        (60_usize..200).prop_map(|n| "月光の道路は、長い語です。".repeat(n)),
        (60_usize..120).prop_map(|n| "👨‍👩‍👧‍👦🇨🇭🇯🇵e\u{301}👍🏽".repeat(n)),
    ];
    prop_oneof![6 => phrases(1..80), 1 => phrases(100..300), 1 => torn].prop_map(plain).boxed()
}

fn long_emphasis() -> Pieces {
    let marker = prop::sample::select(&["**", "*", "~~", "||", "***"][..]);
    (marker, 180_usize..600, words(1..9), words(0..9))
        .prop_map(|(marker, n, begin, end)| {
            let text = format!("{begin} x{} x{marker} {end}", " and on it goes".repeat(n));
            Piece {
                markdown: format!("Begin {marker}y {text}").trim_end().to_owned(),
                traits: vec![Trait::LongEmphasis],
            }
        })
        .boxed()
}

fn heading() -> Pieces {
    let atx = (1_usize..7, line(1..8), one_of(&["", "", "", " #", " ##"]))
        .prop_map(|(level, text, end)| format!("{} {text}{end}", "#".repeat(level)));
    let setext = (line(1..8), one_of(&["===", "---"])).prop_map(|(text, under)| format!("T {text}\n{under}"));
    let bare = one_of(&["#", "##", "#x", "####### seven"]);
    prop_oneof![8 => atx, 2 => setext, 1 => bare].prop_map(plain).boxed()
}

fn code_line() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        12 => "[ ]{0,12}[a-z(){};=|*_~ ]{0,60}",
        2 => Just(String::new()),
        1 => (1_usize..500).prop_map(|n| "QmFzZTY0".repeat(n)),
        1 => "\t[月🌙a-z]{0,80}  ",
        1 => one_of(&["# not a heading", "~~", "- no item", "| no | table |", "<!-- kept -->", "[^1]: x", "----", "> no quote",
                      "![a](b)", "``", "<details>", "\u{200b}x", "- [ ] no task", "1) one", "a **b", "a ||b"]),
    ]
}

fn code_lines() -> impl Strategy<Value = Vec<String>> + Clone {
    prop_oneof![5 => prop::collection::vec(code_line(), 0..12), 1 => prop::collection::vec(code_line(), 40..120)]
}

fn info() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => Just(String::new()),
        8 => one_of(&["rust", "sh", "c++", "python title=\"a b\"", " json"]),
        1 => (1_usize..700).prop_map(|n| "info".repeat(n)),
    ]
}

fn fence() -> Pieces {
    fence_open(0.0)
}

/// A code block that nothing closes this often.
fn fence_open(open: f64) -> Pieces {
    let fence = one_of(&["```", "```", "```", "```", "~~~", "~~~~", "`````"]);
    (fence, info(), code_lines(), one_of(&["", "", "", "", "  "]), prop::bool::weighted(open))
        .prop_map(|(fence, info, lines, indent, open)| {
            let lines: String = lines.iter().map(|line| format!("{indent}{line}\n")).collect();
            plain(
                format!(
                    "{indent}{fence}{info}\n{lines}{}",
                    if open { String::new() } else { format!("{indent}{fence}") }
                )
                .trim_end()
                .to_owned(),
            )
        })
        .boxed()
}

/// A fence inside a longer one, or one of the other kind.
fn fence_in_fence() -> Pieces {
    let pairs =
        prop::sample::select(&[("````", "```"), ("~~~", "```"), ("```", "~~~"), ("`````", "````")][..]);
    (pairs, info(), code_lines(), code_lines())
        .prop_map(|((outer, inner), info, before, within)| {
            let (before, within) = (before.join("\n"), within.join("\n"));
            let markdown = format!("{outer}{info}\n{before}\n{inner}sh\n{within}\n{inner}\n{outer}");
            Piece { markdown, traits: vec![Trait::FenceInFence] }
        })
        .boxed()
}

fn indented_code() -> Pieces {
    prop::collection::vec(code_line(), 1..9)
        .prop_map(|lines| {
            // Without dialect it is no code to Discord, and its markers would be emphasis.
            let code: Vec<String> =
                lines.iter().map(|line| format!("    {}", line.replace(['*', '|', '~'], "/"))).collect();
            plain(format!("It is:\n\n    x\n{}\n    y", code.join("\n")))
        })
        .boxed()
}

/// `text`, with `first` before its first line and as much space before the others.
fn item(first: &str, text: &str) -> String {
    let rest = " ".repeat(first.len());
    let lines = text.split('\n').enumerate().map(|(number, line)| match number {
        0 => format!("{first}{line}"),
        _ if line.is_empty() => String::new(),
        _ => format!("{rest}{line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn marker() -> impl Strategy<Value = String> + Clone {
    one_of(&["- ", "* ", "+ ", "1. ", "1) ", "7. ", "- [ ] ", "- [x] ", "10. "])
}

fn list() -> Pieces {
    let inner = (marker(), prop::collection::vec(line(1..12), 1..5));
    (marker(), prop::collection::vec((line(1..14), prop::option::weighted(0.3, inner)), 1..16), any::<bool>())
        .prop_map(|(marker, items, loose)| {
            let items = items.iter().map(|(text, inner)| match inner {
                None => item(&marker, text),
                Some((inner, texts)) => {
                    let inner: Vec<String> = texts.iter().map(|text| item(inner, text)).collect();
                    let indent = marker.find(['[']).unwrap_or(marker.len());
                    let inner = item(&" ".repeat(indent), &inner.join("\n"));
                    format!("{}\n{inner}", item(&marker, text))
                }
            });
            plain(items.collect::<Vec<_>>().join(if loose { "\n\n" } else { "\n" }))
        })
        .boxed()
}

/// Code within an item within an item, once in a while with the fence on the marker's line. It is always closed: to
/// CommonMark an open one ends with its item, but code that is not indented like its item is more usual.
fn nested_code() -> Pieces {
    let outer = prop::sample::select(&["- ", "1. ", "* ", "12. "][..]);
    // Only such an item may come right after a line of text.
    let inner = prop::sample::select(&["- ", "1. ", "* "][..]);
    (outer, inner, line(1..9), line(1..9), fence_open(0.0), prop::bool::weighted(0.2), line(1..20))
        .prop_map(|(outer, inner, first, second, code, bare, after)| {
            // An item without a text is an underline to CommonMark.
            let second = if second.is_empty() { "x".to_owned() } else { second };
            let second = if bare && !code.markdown.starts_with(' ') {
                code.markdown
            } else {
                format!("{second}\n{}", code.markdown)
            };
            let nested = item(outer, &format!("{first}\n{}", item(inner, &second)));
            Piece { markdown: format!("{nested}\n{outer}{after}"), traits: vec![Trait::NestedCode] }
        })
        .boxed()
}

fn quote() -> Pieces {
    let inside = prop_oneof![3 => prose(), 2 => fence(), 1 => list(), 1 => nested_code()];
    (one_of(&["> ", "> ", "> > "]), prop::collection::vec(inside, 1..3))
        .prop_map(|(marker, pieces)| {
            let traits = pieces.iter().flat_map(|piece| piece.traits.clone()).collect();
            let blocks: Vec<&str> = pieces.iter().map(|piece| piece.markdown.as_str()).collect();
            let text = blocks.join("\n\n");
            let lines: Vec<String> =
                text.split('\n').map(|line| format!("{marker}{line}").trim_end().to_owned()).collect();
            Piece { markdown: lines.join("\n"), traits }
        })
        .boxed()
}

fn table() -> Pieces {
    let short = || prop_oneof![6 => "[a-zA-Z]{1,6}", 1 => "[月光道路]{1,4}", 1 => Just(" ".to_owned()), 1 => Just("👨‍👩‍👧‍👦".to_owned())];
    let long =
        || prop_oneof![2 => line(1..4).prop_map(|text| text.replace('|', "/")), 1 => "[a-zA-Z ]{20,60}"];
    let narrow =
        (1_usize..4).prop_flat_map(move |columns| rows(short().boxed(), columns, 1..40)).prop_map(plain);
    let wide = (3_usize..8)
        .prop_flat_map(move |columns| rows(long().boxed(), columns, 1..30))
        .prop_map(|markdown| Piece { markdown, traits: vec![Trait::WideTable] });
    prop_oneof![narrow, wide].boxed()
}

fn rows(cell: BoxedStrategy<String>, columns: usize, rows: std::ops::Range<usize>) -> BoxedStrategy<String> {
    let row = prop::collection::vec(cell, columns);
    let align = prop::sample::select(&["---", ":--", ":-:", "--:"][..]);
    (row.clone(), align, prop::collection::vec(row, rows))
        .prop_map(move |(head, align, rows)| {
            let row = |cells: &[String]| format!("| {} |", cells.join(" | "));
            let mut lines = vec![row(&head), row(&vec![align.to_owned(); columns])];
            lines.extend(rows.iter().map(|cells| row(cells)));
            lines.join("\n")
        })
        .boxed()
}

fn other() -> Pieces {
    let small = one_of(&[
        "---",
        "***",
        "* * *",
        "___",
        "<!-- a comment -->",
        "<!--\nmany\n\nlines\n-->",
        "<br>",
        "-# small",
        ">>> all",
    ]);
    let details = (line(1..5), prose()).prop_map(|(t, p)| {
        format!("<details>\n<summary>{}</summary>\n\n{}\n\n</details>", t.replace(['<', '>'], ""), p.markdown)
    });
    let footnote =
        (line(1..9), 1_usize..3).prop_map(|(text, n)| format!("A note[^{n}] here.\n\n[^{n}]: {text}"));
    let image = ("[a-z ]{1,20}[a-z]", one_of(&["", " \"title\""]))
        .prop_map(|(alt, title)| format!("![i{alt}](https://example.org/i.png{title}) and [![b{alt}](https://ci.org/b.svg)](https://ci.org/)"));
    let reference = Just("See [the docs][ref].\n\n[ref]: https://example.org/ref".to_owned());
    prop_oneof![4 => small, 1 => details, 1 => footnote, 1 => image, 1 => reference].prop_map(plain).boxed()
}

fn document() -> impl Strategy<Value = (Vec<Piece>, &'static str)> {
    let piece = Union::new_weighted(vec![
        (12, prose()),
        (5, heading()),
        (6, fence()),
        (3, fence_in_fence()),
        (2, indented_code()),
        (4, list()),
        (3, nested_code()),
        (3, quote()),
        (5, table()),
        (3, long_emphasis()),
        (5, other()),
    ]);
    let ends = prop_oneof![8 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r")];
    // Only the last one may be open: it would make code of what follows, and prose of what stands in code there.
    let last = prop::option::weighted(0.1, fence_open(1.0));
    (prop::collection::vec(piece, 0..9), last, ends).prop_map(|(mut pieces, last, end)| {
        pieces.extend(last);
        (pieces, end)
    })
}

/// The document, and whether it has balanced emphasis.
fn source(pieces: &[Piece], end: &str) -> String {
    let blocks: Vec<&str> = pieces.iter().map(|piece| piece.markdown.as_str()).collect();
    blocks.join("\n\n").replace('\n', end)
}

fn traits(pieces: &[Piece]) -> Vec<Trait> {
    let mut traits: Vec<Trait> = pieces.iter().flat_map(|piece| piece.traits.clone()).collect();
    let any = |holds: &dyn Fn(&str) -> bool| pieces.iter().any(|piece| holds(&piece.markdown));
    let seen = [
        (Trait::LongBlock, any(&|text| units(text) > LIMIT)),
        (Trait::Cjk, any(&|text| text.contains(['月', '光', '道', '路', '語']))),
        (Trait::JoinedEmoji, any(&|text| text.contains("👨‍👩‍👧‍👦") || text.contains("🏳️‍🌈"))),
    ];
    traits.extend(seen.iter().filter(|(_, seen)| *seen).map(|(which, _)| *which));
    traits
}

/// Markers that open and close in the source do so in each part. Only for documents in which they are nothing else:
/// no code span, cell, or indented code that is made here has one.
fn emphasis(source: &str, format: &Format) -> Result<(), String> {
    for part in parts(source, format) {
        let mut text = part.text.clone();
        for block in discord::blocks(&part.text)?.iter().rev() {
            text.replace_range(block.range.clone(), "");
        }
        let is_rule = |line: &&str| !line.is_empty() && line.chars().all(|c| " >*".contains(c));
        let text: Vec<&str> = text.lines().filter(|line| !is_rule(line)).collect();
        let text = text.join("\n");
        for marker in ["**", "~~", "||"] {
            if text.matches(marker).count() % 2 == 1 {
                return Err(format!("emphasis: {marker} is left open in\n{}", part.text));
            }
        }
    }
    Ok(())
}

fn both(source: &str, check: fn(&str, &Format) -> Result<(), String>) -> Result<(), TestCaseError> {
    for dialect in [false, true] {
        let format = Format { dialect, ..Format::default() };
        check(source, &format).map_err(|fault| TestCaseError::fail(format!("dialect {dialect}: {fault}")))?;
    }
    Ok(())
}

/// Fewer cases than usual, for they are large; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 4_000, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        default
    } else {
        ProptestConfig { cases: 64, ..default }
    }
}

/// What is asked of many documents; of few it would be a matter of luck.
const MANY: u32 = 10_000;

#[test]
fn the_laws_hold_for_markdown() {
    let config = config();
    let cases = config.cases;
    let seen = std::cell::RefCell::new([0_u32; TRAITS.len()]);
    let result = TestRunner::new(config).run(&document(), |(pieces, end)| {
        let source = source(&pieces, end);
        both(&source, check)?;
        both(&source, emphasis)?;
        let traits = traits(&pieces);
        for (count, (which, _)) in seen.borrow_mut().iter_mut().zip(TRAITS) {
            *count += u32::from(traits.contains(&which));
        }
        Ok(())
    });
    if let Err(fault) = result {
        panic!("{fault}");
    }
    println!("{cases} documents, of which");
    for (count, (_, name)) in seen.borrow().iter().zip(TRAITS) {
        let percent = 100.0 * f64::from(*count) / f64::from(cases.max(1));
        println!("  {percent:4.1} % have {name}");
        assert!(cases < MANY || percent >= 5.0, "too few have {name}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_laws_hold_with_few_lines((pieces, end) in document(), lines in 5_usize..40) {
        let format = Format { max_lines: std::num::NonZeroUsize::new(lines), ..Format::default() };
        check(&source(&pieces, end), &format).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_laws_hold_for_any_text(source in "(```|~~~|````|> |- |1\\. |# |\n|\n\n|[a-z]{1,9}|`| |    |[a ]{900}|\r\n|\r|\t|月|\u{200b}|\u{0}|:\n|\\*\\*|\\||--|<!--|-->|\\[x\\]|!\\[|\\]\\(|<details>|\\[\\^1\\]|~|~~|_|__|\\*|\\\\|<|&lt;|https://a\\.b/|`|\\(|\\)){0,60}") {
        both(&source, check_form)?;
    }

    #[test]
    fn the_laws_hold_for_markers_without_end(source in "[ab~*`_|\\\\]{1500,2600}") {
        both(&source, check_form)?;
    }

    #[test]
    fn the_laws_hold_for_noise(source in "\\PC{0,2500}") {
        both(&source, check_form)?;
    }
}
