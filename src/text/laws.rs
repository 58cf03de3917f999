//! The laws of the splitter over generated documents, its named cases, and the snapshots of the fixtures.

use proptest::prelude::*;

use super::{LIMIT, Part, parts, scan, small, units};

fn texts(markdown: &str) -> Vec<String> {
    parts(markdown).into_iter().map(|part| part.text).collect()
}

/// The part without what the split added.
fn own(part: &Part) -> String {
    let mut text = part.text.clone();
    for added in part.added.iter().rev() {
        text.replace_range(added.clone(), "");
    }
    text
}

/// Where a line of a scanned text leaves us: inside or outside a block. Independent of the scanner, and simpler,
/// since only three backticks are left.
fn toggles(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| " \t>-*+.)".contains(c) || c.is_ascii_digit());
    rest.strip_prefix("```").is_some_and(|info| !info.contains('`'))
}

fn check(source: &str) -> Result<(), TestCaseError> {
    let document = scan::scan(source).text;
    let parts = parts(source);
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
        let at = if inside {
            rest.find(own.as_str())
        } else {
            rest.trim_start().find(own.as_str()).map(|_| rest.len() - rest.trim_start().len())
        };
        let at = if own.starts_with([' ', '\t']) { rest.find(own.as_str()) } else { at };
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
        2 => "https://[a-z]{1,30}\\.org/[a-z/?=&]{0,300}",
        2 => "`[a-z_ ()]{1,30}`",
        2 => "\\*\\*[a-z ]{1,20}\\*\\*",
        1 => "[a-z]{1,4000}",
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
        1 => "[a-zA-Z0-9+/]{100,3000}",
        1 => "\t[月🌙a-z👨‍👩‍👧]{0,200}  ",
        1 => Just("# not a heading".to_owned()),
        1 => Just("~~~".to_owned()),
        1 => Just("``` within".to_owned()),
    ]
}

fn code() -> impl Strategy<Value = Piece> {
    let fence = prop_oneof![6 => Just("```"), 1 => Just("~~~~"), 1 => Just("`````")];
    let info = prop_oneof![4 => Just(""), 8 => Just("rust"), 1 => Just("python title=\"a b\"")];
    let before = prop_oneof![8 => Just(""), 1 => Just("   "), 1 => Just("> ")];
    let lines = prop_oneof![3 => prop::collection::vec(code_line(), 0..12), 1 => prop::collection::vec(code_line(), 30..120)];
    (fence, info, before, lines).prop_map(|(fence, info, before, code)| {
        let code: Vec<String> = code.into_iter().map(|line| format!("{before}{line}")).collect();
        let markdown = format!("{before}{fence}{info}\n{}\n{before}{fence}", code.join("\n"));
        // Without a line of code the line between the fences is one, an empty one.
        Piece { markdown, code }
    })
}

fn piece() -> impl Strategy<Value = Piece> {
    let plain = |markdown: String| Piece { markdown, code: Vec::new() };
    let list = prop::collection::vec((0_usize..4, prose(1..25)), 1..40).prop_map(|items| {
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
        1 => prose(100..500).prop_map(plain),
        3 => (1_usize..7, "[A-Za-z ]{1,60}").prop_map(move |(n, t)| plain(format!("{} {t}", "#".repeat(n)))),
        4 => code(),
        3 => list.prop_map(plain),
        1 => table.prop_map(plain),
    ]
}

fn document() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec(piece(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_for_markdown(pieces in document(), crlf in any::<bool>()) {
        let blocks: Vec<&str> = pieces.iter().map(|piece| piece.markdown.as_str()).collect();
        let mut source = blocks.join("\n\n");
        if crlf {
            source = source.replace('\n', "\r\n");
        }
        check(&source)?;

        // Each code line arrives as it was; only three backticks in a row cannot stand in a block.
        let mut arrived = String::new();
        let mut inside = false;
        for part in parts(&source) {
            let own = own(&part);
            if !inside || !arrived.ends_with('\n') && !own.is_empty() {
                arrived += "\u{0}";
            }
            inside ^= own.split('\n').filter(|line| toggles(line)).count() % 2 == 1;
            arrived += &own;
        }
        let joined = arrived.replace(['\u{0}', '\n'], "").replace('\u{200b}', "");
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
    fn the_laws_hold_for_noise(source in "\\PC{0,3000}") {
        check(&source)?;
    }
}
