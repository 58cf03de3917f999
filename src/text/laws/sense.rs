//! Cases of the law of meaning that have a name: what is written, and what a person must see.

use super::{client, look, parts};
use crate::domain::Format;

/// What is seen of all parts.
pub fn seen(source: &str) -> String {
    let parts = parts(source, &Format::default());
    let shown: Vec<String> = parts.iter().map(|part| look::tagged(&client::shown(&part.text))).collect();
    shown.join("\n").replace('\u{200b}', "")
}

const CASES: &[(&str, &str)] = &[
    ("user_id was renamed to id_ to", "user_id was renamed to id_ to"),
    (
        "Accepts *args and **kwargs, then calls f(*args, **kwargs) and g(*args).",
        "Accepts *args and **kwargs, then calls f(*args, **kwargs) and g(*args).",
    ),
    ("name*, mail*", "name*, mail*"),
    ("an __init__.py file when __name__ is __main__", "an __init__.py file when __name__ is __main__"),
    ("find . -name \"*.md\" -o -name \"*.mdx\"", "find . -name \"*.md\" -o -name \"*.mdx\""),
    ("2**10 or 2**20", "2**10 or 2**20"),
    ("[https://example.com/a_b](https://example.com/a_b)", "https://example.com/a_b"),
    ("[example.com](https://example.com/)", "https://example.com/"),
    ("**[https://a.b/c](https://a.b/d)** x", "<b>https://a.b/d</b> x"),
    ("[us](mailto:a@example.com)", "us (<code>a@example.com</code>)"),
    ("[a@b.c](mailto:a@b.c) [x](vscode://file/a_b)", "a@b.c x (<code>vscode://file/a_b</code>)"),
    (
        "[wiki](https://example.com/A_(b)) and [_x_](https://example.com)",
        "<a https://example.com/A_(b)>wiki</a> and <i><a https://example.com>x</a></i>",
    ),
    ("(see https://example.com/a_b_, or `c_`)", "(see https://example.com/a_b_, or <code>c_</code>)"),
    ("&lt;T&gt; &amp;c. &#42;a&#42; &copy; &unknown; a & b;", "<T> &c. *a* © &unknown; a & b;"),
    ("a<br>b<br/>\nc", "a\nb\nc"),
    ("- a<br>b", "a\n  b"),
    ("> a<br>b", "<quote>a\nb</quote>"),
    ("<a href=\"https://example.com/x\">site</a>", "<a https://example.com/x>site</a>"),
    ("<b>a <i>b</i></b> <u>c</u> <del>d</del>", "<b>a <i>b</i></b> <u>c</u> <s>d</s>"),
    (
        "Press <kbd>Ctrl</kbd>+<kbd>C</kbd>, <code>Vec&lt;*T&gt;</code>",
        "Press <code>Ctrl</code>+<code>C</code>, <code>Vec<*T></code>",
    ),
    ("x<sup>2</sup> H<sub>2</sub>O e<sup>i π</sup>", "x² H₂O e^(i π)"),
    (
        "see <img src=\"https://a.b/c.png\" alt=\"a picture\"> here",
        "see <a https://a.b/c.png>a picture</a> here",
    ),
    ("a Vec<T_a> and Map<K_b, V>", "a Vec<T_a> and Map<K_b, V>"),
    (
        "| a_b_ | *c* |\n|--|--|\n| `*x` \\*y | f(*a, **b) &lt; <kbd>k</kbd> |",
        "<code>a_b_   c\n─────  ──────────────\n*x *y  f(*a, **b) < k</code>",
    ),
    ("-# small\n> > deep\n> -# x", "-# small\n<quote>deep\n-# x</quote>"),
    ("\\**kwargs", "**kwargs"),
    ("if a || b || c then", "if a || b || c then"),
    ("new SQLITE_OPEN_* =>", "new SQLITE_OPEN_* =>"),
    ("from_bits_(truncate)", "from_bits_(truncate)"),
    ("rm *.o and cp src/*.c", "rm *.o and cp src/*.c"),
    ("count(*) … USING(*)", "count(*) … USING(*)"),
    ("C:\\_work\\_temp", "C:\\_work\\_temp"),
    ("^(foo|bar)||baz$", "^(foo|bar)||baz$"),
];

#[test]
fn a_person_sees_what_was_meant() {
    let faults: Vec<String> = CASES
        .iter()
        .filter(|(source, expected)| seen(source) != *expected)
        .map(|(source, expected)| {
            format!("{source}\n  must be seen as  {expected}\n  but is          {}", seen(source))
        })
        .collect();
    println!("{} of {} cases are shown as meant", CASES.len() - faults.len(), CASES.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
