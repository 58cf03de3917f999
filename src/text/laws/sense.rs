//! Cases of the law of meaning that have a name: what is written, and what a person must see.

use super::{client, look, parts};
use crate::domain::Format;

/// What is seen of all parts.
pub fn seen(source: &str) -> String {
    let parts = parts(source, &Format::default());
    let shown: Vec<String> = parts.iter().map(|part| look::tagged(&client::shown(&part.text))).collect();
    shown.join("\n").replace('\u{200b}', "")
}

pub const CASES: &[(&str, &str)] = &[
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
    // A look within itself, looks that cross, and looks that code within would end.
    ("*a _b_ c*", "<i>a b c</i>"),
    ("**a __b__ c**", "<b>a b c</b>"),
    ("*a ||b* c||", "<i>a ||b</i> c||"),
    ("**a `x**y` b**", "a <code>x**y</code> b"),
    ("*a*_b_", "<i>a</i><i>b</i>"),
    ("x **<!-- a -->** y", "x  y"),
    ("*a * b*", "<i>a * b</i>"),
    // Operators.
    ("2**3**4 and 2**3**5", "2**3**4 and 2**3**5"),
    ("a*b + c*d", "a*b + c*d"),
    ("2 * 3 * 4 = 24", "2 * 3 * 4 = 24"),
    ("a_1 + b_1 = c_1", "a_1 + b_1 = c_1"),
    ("x **= 2; y *= 3", "x **= 2; y *= 3"),
    // Globs and paths.
    ("**/*.ts, **/*.tsx and !**/*.d.ts", "**/*.ts, **/*.tsx and !**/*.d.ts"),
    ("use std::*; and use lib-*, too", "use std::*; and use lib-*, too"),
    ("src/* and tests/*", "src/* and tests/*"),
    ("*/15 * * * * and */5 * * * *", "*/15 * * * * and */5 * * * *"),
    ("the patterns .*b and a.*c", "the patterns .*b and a.*c"),
    ("quoted: '*' or \"*\"", "quoted: '*' or \"*\""),
    (".\\_build\\_a and \\\\host\\_share\\_b", ".\\_build\\_a and \\\\host\\_share\\_b"),
    // Names.
    ("obj.__dict__ and __call__()", "obj.__dict__ and __call__()"),
    ("__foo_bar__ is a name, __two words__ is not", "__foo_bar__ is a name, <b>two words</b> is not"),
    ("_private and _other are names", "_private and _other are names"),
    ("a_ b_ c_", "a_ b_ c_"),
    ("snake_case_name and *emphasis* and CONST_NAME", "snake_case_name and <i>emphasis</i> and CONST_NAME"),
    // C, Rust and shell.
    ("char *p, **argv; void *q = f(*p);", "char *p, **argv; void *q = f(*p);"),
    ("|| x + 1 and |a, b| a || b", "|| x + 1 and |a, b| a || b"),
    (
        "scope.spawn(move || run()).join().unwrap_or_else(|| 0)",
        "scope.spawn(move || run()).join().unwrap_or_else(|| 0)",
    ),
    ("make || true; [ -f x ] || exit 1", "make || true; [ -f x ] || exit 1"),
    (
        "**Note:** `a || b` is ||a secret||, a || b is not",
        "<b>Note:</b> <code>a || b</code> is <spoiler>a secret</spoiler>, a || b is not",
    ),
    ("~5 % of ~10 GB in ~/x", "~5 % of ~10 GB in ~/x"),
    // What begins a line for Discord and not for CommonMark.
    ("\\# no heading\n\n\\> no quote\n\n\\- no item", "# no heading\n\n> no quote\n\n- no item"),
    ("in\n-# small, written so", "in\n-# small, written so"),
    // Links in emphasis and emphasis in links.
    (
        "**see [a_b](https://a.b/c_d)**, or *https://a.b/_x_*",
        "<b>see <a https://a.b/c_d>a_b</a></b>, or <i>https://a.b/_x_</i>",
    ),
    (
        "[`a*b`](https://a.b) and [*c*](https://d.e)",
        "<code><a https://a.b>a*b</a></code> and <i><a https://d.e>c</a></i>",
    ),
    ("a[i](x) and b[j](y)", "a[i](x) and b[j](y)"),
    // What no form of a link's target has without a backslash, and a label that Discord finds no end of.
    ("[x][1]\n\n[1]: https://a.b/c)d", "<a https://a.b/c)d>x</a>"),
    ("[x][1]\n\n[1]: https://a.b/(c", "<a https://a.b/(c>x</a>"),
    ("[a `[` b](https://c.d)", "a <code>[</code> b (https://c.d)"),
    // A link in a raised figure.
    ("a<sup>[1](https://a.b)</sup>", "a<a https://a.b>¹</a>"),
    (
        "a<sup><a href=\"https://a.b\">12</a></sup> b<sup>[c](https://d.e)</sup>",
        "a<a https://a.b>¹²</a> b^(<a https://d.e>c</a>)",
    ),
    // The dollar of make, twice in a line.
    ("$$ is a dollar: echo $$f", "$$ is a dollar: echo $$f"),
    // Names of the preprocessor, patterns, and operators, in which CommonMark sees a pair.
    ("__GNUC__ is defined", "__GNUC__ is defined"),
    ("\\b\\w+_\\b finds id_ or x", "\\b\\w+_\\b finds id_ or x"),
    ("[*_~|] and [^]_] are sets", "[*_~|] and [^]_] are sets"),
    ("(ptr->*member)() and .* bind", "(ptr->*member)() and .* bind"),
    // Comments behind a line end, before an image, and before what would begin a block.
    ("> q <br> <!-- c -->", "<quote>q</quote>"),
    ("w https://a.b/c <!-- c --> ![i](https://a.b/i.png)", "w https://a.b/c <a https://a.b/i.png>i</a>"),
    ("w <br> <!-- c --> > out", "w \n> out"),
    ("w <br>&nbsp;> out", "w \n > out"),
    // Code beside a formula, and with another look in it.
    ("``a``$b$", "<code>a</code><code>b</code>"),
    ("<code>is<i>foo</i></code>, <code>Vec<b></code>", "<code>isfoo</code>, <code>Vec<b></code>"),
    // Looks that cross: the second is text.
    ("*a ||b* c||", "<i>a ||b</i> c||"),
    ("||a *b|| c*", "||a <i>b|| c</i>"),
    // Items with nothing in them, and code that ends with its item.
    ("- a\n-\n- \n- b", "a\n-\n- \nb"),
    ("- a\n  ```\n  b\n  ``` (c)\n- d", "a\n<code>b\n``` (c)</code>\nd"),
    // A quote ends what would be a definition, and a target may have what is code elsewhere.
    ("[x]:\n> https://a.b\n\n[x]", "[x]:\n<quote>https://a.b\n</quote>\n[x]"),
    ("[x][1]\n\n[1]: a```b", "x (a```b)"),
    ("[x][1]\n\n[1]: https://a.b/```c", "<a https://a.b/%60%60%60c>x</a>"),
    // Prices and mail.
    ("$5 and $10, 5 < 6 > 4", "$5 and $10, 5 < 6 > 4"),
    ("From: a_b@c.d <a_b@c.d>", "From: a_b@c.d a_b@c.d"),
    ("<alice> hi, *waves* at bob_ and _carol", "<alice> hi, <i>waves</i> at bob_ and _carol"),
    // A star that is a letter is one to the underscore beside it, too.
    ("_private, name_* and other_*", "_private, name_* and other_*"),
    ("git diff HEAD~2 HEAD~1, but ~this~ is struck", "git diff HEAD~2 HEAD~1, but <s>this</s> is struck"),
    (
        "+refs/heads/*:refs/remotes/origin/* and refs/pull/*/head",
        "+refs/heads/*:refs/remotes/origin/* and refs/pull/*/head",
    ),
    // What would begin a block behind a line end.
    ("a<br>> b<br>* c<br># d<br>1. e", "a\n> b\n* c\n# d\n1. e"),
    ("&lt;https://a.b/c> and &lt;T>", "<https://a.b/c> and <T>"),
    ("<code>a`b</code>", "<code>a`b</code>"),
    // Cells.
    ("| a |\n|--|\n| <b>x</b> y |", "<code>a\n───\nx y</code>"),
    ("| a |\n|--|\n| &lt;T&gt; &#42;x |", "<code>a\n──────\n<T> *x</code>"),
    ("| a |\n|--|\n| x \\| y |", "<code>a\n─────\nx | y</code>"),
    (
        "| a | b |\n|--|--|\n| [x](https://a.b) | user_id was id_ to |",
        "<b>a:</b> <a https://a.b>x</a> · <b>b:</b> user_id was id_ to",
    ),
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
