//! The law of meaning for generated documents whose words look like markup, or are markup that nobody has closed:
//! identifiers, globs, shell, mathematics, half-open markers, look-alike links, HTML, references.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use pulldown_cmark::{Event, Parser};

use super::{meaning, parts};
use crate::domain::Format;

type Words = BoxedStrategy<String>;

fn one_of(choices: &'static [&'static str]) -> Words {
    prop::sample::select(choices).prop_map(str::to_owned).boxed()
}

fn identifier() -> Words {
    prop_oneof![
        "[a-z]{1,4}_[a-z]{1,4}",
        "[a-z]{1,4}_",
        "_[a-z]{1,4}",
        "_[a-z]{1,3}_[a-z]{1,3}",
        "[a-z]{1,3}__[a-z]{1,3}",
        "self\\._[a-z]{1,4}",
        "[a-z]{1,3}_[a-z]{1,2}_\\([a-z]{1,2}\\)",
        one_of(&["__init__", "__main__", "__name__", "__all__", "__a_b__", "__x1__", "user_id", "id_"]),
    ]
    .boxed()
}

fn glob() -> Words {
    prop_oneof![
        "\\*\\.[a-z]{1,3}",
        "\\*\\*/\\*\\.[a-z]{1,3}",
        "[a-z]{1,4}/\\*",
        "[a-z]{1,3}[_-]\\*",
        one_of(&["std::*", "\"*.md\"", "(*)", "*/5", "src/*.c", "*args", "**kwargs", "f(*args, **kwargs)"]),
    ]
    .boxed()
}

fn shell() -> Words {
    one_of(&[
        "a || b",
        "|| true",
        "x && y",
        "2>&1",
        "HEAD~2",
        "HEAD~1",
        "$HOME",
        "~/x",
        "-- *.o",
        "\"$@\"",
        "#!/bin/sh",
        "> out",
        "a | b",
        "${x}",
        "!$",
        "cmd;",
    ])
}

fn mathematics() -> Words {
    prop_oneof![
        "2\\*\\*[0-9]{1,2}",
        "[a-z]\\*[a-z]",
        "[a-z] \\* [a-z]",
        one_of(&["$5", "a < b", "x > 1", "~5 %", "-1", "1.5", "2**3**4"]),
    ]
    .boxed()
}

fn half_open() -> Words {
    one_of(&[
        "*", "**", "_", "__", "~", "~~", "||", "`", "``", "*a", "b*", "**a", "b**", "_a", "b_", "~~a", "||a",
        "b||", "[", "](", "[a", "!", "\\", "\\*", "\\_", "***", "<", ">", "&",
    ])
}

fn link() -> Words {
    one_of(&[
        "[https://a.b/c_d](https://a.b/c_d)",
        "[a.b](https://a.b/)",
        "[t](https://a.b/x_y_)",
        "[us](mailto:a@b.c)",
        "https://a.b/c_d_",
        "<https://a.b/_x_>",
        "[f](src/a_b.rs)",
        "[x](#y)",
        "[`a_b`](https://a.b)",
        "![i](https://a.b/i.png)",
        "(https://a.b/c)",
        "https://a.b/c*d",
        "[w](https://a.b/A_(b))",
        "[a *b* c](https://a.b)",
        "[a][1]",
        "[1]",
        "[a][missing]",
        "[^missing]",
    ])
}

fn html() -> Words {
    one_of(&[
        "<b>x</b>",
        "<i>y z</i>",
        "<br>",
        "&lt;T&gt;",
        "&#42;a&#42;",
        "<kbd>K</kbd>",
        "<T>",
        "Vec<T>",
        "&amp;",
        "&nbsp;",
        "<!-- c -->",
        "<code>a_b</code>",
    ])
}

fn emphasis() -> Words {
    one_of(&[
        "*a b*",
        "**c d**",
        "_e f_",
        "__g h__",
        "~~i j~~",
        "||k l||",
        "***m***",
        "`n_o`",
        "**p *q* r**",
        "`*`",
        "**s**.",
        "*t*,",
        "(**u**)",
        "*a **b** c*",
        "**a `x**y` b**",
        "*a*_b_",
    ])
}

/// Words, some of which look like markup.
fn line(count: std::ops::Range<usize>) -> impl Strategy<Value = String> + Clone {
    let word = prop_oneof![
        10 => "[a-z]{1,6}[,.]?",
        3 => emphasis(),
        2 => identifier(),
        2 => glob(),
        2 => shell(),
        2 => mathematics(),
        2 => half_open(),
        2 => link(),
        2 => html(),
    ];
    prop::collection::vec(word, count).prop_map(|words| words.join(" "))
}

fn document() -> impl Strategy<Value = String> {
    let cell =
        prop_oneof!["[a-z]{1,6}", identifier(), glob(), emphasis()].prop_map(|cell| cell.replace('|', "/"));
    let block = prop_oneof![
        // HTML at the beginning of a line would be a block.
        5 => line(2..13).prop_map(|line| format!("w {line}")),
        2 => prop::collection::vec(line(1..7), 1..4).prop_map(|lines| format!("- w {}", lines.join("\n- w "))),
        1 => line(1..6).prop_map(|line| format!("## T {line}")),
        1 => line(1..7).prop_map(|line| format!("> q {line}")),
        1 => (cell.clone(), cell).prop_map(|(a, b)| format!("| h | i |\n|---|---|\n| {a} | {b} |")),
    ];
    prop::collection::vec(block, 1..4)
        .prop_map(|blocks| format!("See [r][1].\n\n{}\n\n[1]: https://a.b/_ref_", blocks.join("\n\n")))
}

/// Whether there is code that would end emphasis around it: then that is left out, and the look is not the one that is meant.
fn has_hostile_code(source: &str) -> bool {
    Parser::new(source).any(|event| matches!(event, Event::Code(code) if code.contains(['*', '~', '|'])))
}

/// A few of them; `PROPTEST_CASES` sets another number.
#[test]
fn look_alikes_are_shown_as_they_are_meant() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = config.cases;
    let left_out = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&document(), |source| {
        if has_hostile_code(&source) {
            left_out.set(left_out.get() + 1);
            return Ok(());
        }
        meaning::check(&source, &parts(&source, &Format::default())).map_err(TestCaseError::fail)
    });
    if let Err(fault) = result {
        panic!("{fault}");
    }
    println!(
        "{cases} documents, {} with code that would end emphasis; the others are shown as they are meant",
        left_out.get()
    );
    assert!(left_out.get() * 2 < cases, "most are left out");
}
