//! The rules of the dialect, case by case: what is written, and what a person must see.

use super::sense::seen;

/// Sees that each source is seen as it must be.
fn check(cases: &[(&str, &str)]) {
    let faults: Vec<String> = cases
        .iter()
        .filter(|(source, expected)| seen(source) != *expected)
        .map(|(source, expected)| {
            format!("{source}\n  must be seen as  {expected}\n  but is          {}", seen(source))
        })
        .collect();
    assert!(faults.is_empty(), "{} of {} faults:\n{}", faults.len(), cases.len(), faults.join("\n"));
    for (source, _) in cases {
        super::check(source, &crate::domain::Format::default()).unwrap();
    }
}

#[test]
fn links_by_reference() {
    check(&[
        ("[a][1]\n\n[1]: https://a.b/c", "<a https://a.b/c>a</a>"),
        ("[1]: https://a.b/c\n\nthe [a][1].", "the <a https://a.b/c>a</a>."),
        (
            "[a][] and [A]\n\n[a]: <https://a.b/c> \"title\"",
            "<a https://a.b/c>a</a> and <a https://a.b/c>A</a>",
        ),
        ("[x][Foo\tBar]\n\n[foo bar]: https://a.b", "<a https://a.b>x</a>"),
        ("[x][straße]\n\n[STRASSE]: https://a.b", "<a https://a.b>x</a>"),
        ("[x][1] [y][2]\n\n[1]: https://a.b\n[2]: https://c.d", "<a https://a.b>x</a> <a https://c.d>y</a>"),
        ("[x][1]\n\n[1]: https://first.b\n\n[1]: https://second.b", "<a https://first.b>x</a>"),
        (
            "![alt][i] ![i]\n\n[i]: https://a.b/c.png",
            "<a https://a.b/c.png>alt</a> <a https://a.b/c.png>i</a>",
        ),
        ("[![alt][i]][l]\n\n[i]: https://a.b/c.png\n[l]: https://a.b", "<a https://a.b>alt</a>"),
        ("**[x][1]** `[x][1]`\n\n[1]: https://a.b", "<b><a https://a.b>x</a></b> <code>[x][1]</code>"),
        ("[`T_a`]\n\n[`T_a`]: https://a.b/T_a", "<code><a https://a.b/T_a>T_a</a></code>"),
        ("[`x`]: crate::x\n\nsee [`x`]", "see <code>x</code> (<code>crate::x</code>)"),
        ("[up][top] [me][mail]\n\n[top]: #top\n[mail]: mailto:a@b.c", "up me (<code>a@b.c</code>)"),
        ("[a.b][1]\n\n[1]: https://a.b/", "https://a.b/"),
        (
            "[x][missing] [y] a[0] \\[z]\n\n[z]: https://a.b\n\n[z]",
            "[x][missing] [y] a[0] [z]\n\n<a https://a.b>z</a>",
        ),
        (
            "Sources\n\n[1]: https://a.b/c_d\n[2]: https://e.f",
            "Sources\n\n[1]: https://a.b/c_d\n[2]: https://e.f",
        ),
        ("[//]: # (a comment)\n\ntext", "text"),
        ("text\n[1]: https://a.b", "text\n[1]: https://a.b"),
        ("```\n[1]: https://a.b\n```\n[x][1]", "<code>[1]: https://a.b</code>\n[x][1]"),
        ("> [x][1]\n>\n> [1]: https://a.b", "<quote><a https://a.b>x</a></quote>"),
        ("- [x][1]\n\n  [1]: https://a.b\n- y", "<a https://a.b>x</a>\n\ny"),
        ("[wiki][1]\n\n[1]: https://a.b/A_(b) 'c'", "<a https://a.b/A_(b)>wiki</a>"),
        ("[x][1]\n\n[1]:\n  https://a.b\n  \"title\"\n\ny", "<a https://a.b>x</a>\n\ny"),
        ("| a |\n|---|\n| [x][1] |\n\n[1]: https://a.b", "<b>a:</b> <a https://a.b>x</a>"),
    ]);
}

#[test]
fn odd_links() {
    check(&[
        ("[![a](https://b.c/d.svg)](\nhttps://e.f)", "<a https://e.f>a</a>"),
        ("[a](  https://e.f  )", "<a https://e.f>a</a>"),
        ("Hello![a](https://b.c) and !", "Hello!<a https://b.c>a</a> and !"),
        ("vec![0; 3] and assert![x]", "vec![0; 3] and assert![x]"),
        ("[a||b](https://c.d) [a|b](https://c.d)", "<a https://c.d>a||b</a> <a https://c.d>a|b</a>"),
        ("[![LICENSE](https://a.b/c.svg)](LICENSE)", "LICENSE"),
        ("*[x][1]*\n\n[1]: https://a.b/*/c", "<a https://a.b/*/c>x</a>"),
        ("` ``` ` is a fence, ```` ```rs ```` too", "<code>```</code> is a fence, <code>```rs </code> too"),
        ("a[^1] b[^2]\n\n[^1]: note", "a[1] b[^2]\n\n<small>[1] note</small>"),
        ("[^missing]", "[^missing]"),
        ("Mail <a_b@c.d>, <e@f.g>.", "Mail a_b@c.d, e@f.g."),
        (
            "| a | b |\n|--|--|\n| [x](https://c.d/e|f) | y |",
            "<b>a:</b> <a https://c.d/e|f>x</a> · <b>b:</b> y",
        ),
    ]);
}

#[test]
fn html_within_lines() {
    check(&[
        ("[<img alt=\"a\" src=\"https://b.c/d.svg\">](https://e.f)", "<a https://e.f>a</a>"),
        ("<a href=\"https://e.f\"><img src=\"https://b.c/d.svg\" alt=\"a\"></a>", "<a https://e.f>a</a>"),
        ("x <a href='https://e.f'>https://e.f</a> y", "x https://e.f y"),
        ("x <a href=src/main.rs>main</a> y", "x main (<code>src/main.rs</code>) y"),
        ("x <a name=\"top\"></a>y", "x y"),
        ("x <img src=https://b.c/d?e=f> y", "x <img src=https://b.c/d?e=f> y"),
        ("H<sub>2</sub>O, 10<sup>-3</sup>, x<sub>i,j</sub>", "H₂O, 10⁻³, x_(i,j)"),
        ("a&emsp;b &rarr; &Ccedil; &nosuch; &#x1F600;", "a\u{2003}b → Ç &nosuch; 😀"),
        ("a < b and c > d, a <b and <c", "a < b and c > d, a <b and <c"),
    ]);
}

#[test]
fn what_looks_like_a_mention_or_a_block_and_is_none() {
    check(&[
        (
            "<@some_user> and <#a_channel>, <t:a_b> <id:x_y>",
            "<@some_user> and <#a_channel>, <t:a_b> <id:x_y>",
        ),
        ("<@100000000000000001> <t:1700000000:R>", "<@100000000000000001> <t:1700000000:R>"),
        ("It was built in\n1984. That is all.", "It was built in\n1984. That is all."),
        ("1. a\n2. b\n7. c", "a\nb\nc"),
        ("- up to\n  32. Similar\n- b", "up to\n  32. Similar\nb"),
        ("Title\n-\ntext", "<h>Title\n</h>text"),
        ("Title\n=\ntext", "<h>Title\n</h>text"),
        ("> Title\n> ---\n> text", "<quote><h>Title\n</h>text</quote>"),
        ("* ---\n* b", "──────────\nb"),
        ("> > a\n> > - b\n> c", "<quote>a\nb\nc</quote>"),
        ("a \u{1b}[31mred\u{1b}[0m \u{7} \u{7f}", "a ␛[31mred␛[0m ␇ ␡"),
        ("```\n\u{1b}[31mred\n```", "<code>␛[31mred</code>"),
        ("```ansi\n\u{1b}[31mred\n```", "<code>\u{1b}[31mred</code>"),
    ]);
}

#[test]
fn formulas_are_code_and_prices_are_prose() {
    check(&[
        ("$a_1 + b_1$ and $x_{ij}$", "<code>a_1 + b_1</code> and <code>x_{ij}</code>"),
        ("so $x^2 \\le \\alpha$, for all $n$.", "so <code>x² ≤ α</code>, for all <code>n</code>."),
        ("\\(O(n^k)\\) and \\(n\\)", "<code>O(n^k)</code> and <code>n</code>"),
        ("$$\\sum_{i=1}^{n} i_k$$", "<code>\\sum_{i=1}^{n} i_k</code>"),
        ("It is\n\n\\[\nE = mc^{2}\n\\]\n\nso.", "It is\n\n<code>E = mc^{2}</code>\n\nso."),
        ("so $$x^2$$ here", "so <code>x²</code> here"),
        ("- for $k_i$: \\[ a_{1} \\]", "for <code>k_i</code>: <code>a_{1}</code>"),
        ("**$a^b$**", "<b><code>a^b</code></b>"),
        ("| f | g |\n|---|---|\n| $x^2$ | $a_{1}$ |", "<code>f   g\n──  ─────\nx²  a_{1}</code>"),
        ("$5 and $10, or 3$ to 4$", "$5 and $10, or 3$ to 4$"),
        ("$HOME/$USER, $PATH: ${A_B}", "$HOME/$USER, $PATH: ${A_B}"),
        ("`$a_1$` \\$a_1\\$ \\[WIP\\]", "<code>$a_1$</code> $a_1$ [WIP]"),
        ("grep \\(a\\|b\\) and ^foo$ or ^bar$", "grep (a|b) and ^foo$ or ^bar$"),
        ("$(date) $1 $@ $? $$ $! $#", "$(date) $1 $@ $? $$ $! $#"),
    ]);
}
