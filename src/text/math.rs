//! Formulas of LaTeX, which Discord does not have: they become code, in which each character is seen.
//!
//! # The rule
//! `$$…$$`, `\[…\]` and `\(…\)` are formulas, and so is `$…$` where
//! - the first `$` touches what follows, and no letter, digit, `$` or backslash before it;
//! - the second touches what comes before, and no letter, digit, `$`, `{` or `(` behind it;
//! - what is between them is on one line and is none of the shell's variables (`$HOME/$USER`) and no prose.
//!
//! `$$…$$` within a line is none either, if it is prose (`$$ is a dollar: $$f`).
//!
//! Prices (`$5 and $10`) and escaped brackets (`\[WIP\]`) are none of these.

use std::ops::Range;

use super::dialect::{Swap, swap};
use super::inline::{Span, SpanKind};
use super::line::fits;

/// No formula is longer, in UTF-16 units.
const LONGEST: usize = 1500;

/// A formula.
#[derive(Debug, PartialEq, Eq)]
pub struct Formula {
    /// With its marks.
    pub range: Range<usize>,
    pub inner: Range<usize>,
    /// Whether it is to stand by itself.
    pub display: bool,
}

/// The formula that begins with this `$` or backslash.
pub fn find(text: &str, at: usize) -> Option<Formula> {
    let rest = &text[at..];
    let (open, close, display) =
        [("$$", "$$", true), ("\\[", "\\]", true), ("\\(", "\\)", false), ("$", "$", false)]
            .into_iter()
            .find(|(open, _, _)| rest.starts_with(open))?;
    let before = text[..at].chars().next_back();
    if before.is_some_and(|c| c == '\\' || c == '$' || (open == "$" && c.is_alphanumeric())) {
        return None;
    }
    let begin = at + open.len();
    let length = match open {
        "$" | "$$" => until_dollar(&text[begin..], open),
        _ => until_bracket(&text[begin..], open, close),
    }?;
    let inner = &text[begin..begin + length];
    let end = begin + length + close.len();
    let is_formula = match open {
        "$$" => {
            let alone = at == 0 && text[end..].trim().is_empty();
            let apart = !text[end..].starts_with(|c: char| c.is_alphanumeric() || "${(_".contains(c));
            !inner.trim().is_empty() && (alone || (apart && (is_marked(inner) || longest_word(inner) <= 2)))
        }
        "$" => {
            let touches = !(inner.starts_with(char::is_whitespace) || inner.ends_with(char::is_whitespace));
            let apart =
                text[end..].chars().next().is_none_or(|c| !c.is_alphanumeric() && !"${(_".contains(c));
            touches && apart && is_inline(inner)
        }
        _ => is_marked(inner) || (open == "\\(" && is_short(inner)),
    };
    (is_formula && fits(inner, LONGEST)).then(|| Formula {
        range: at..end,
        inner: begin..begin + length,
        display,
    })
}

/// How long the formula is that `$` or `$$` closes. Nothing is looked at beyond the next `$`, so that a text full of them
/// is read only once.
fn until_dollar(text: &str, mark: &str) -> Option<usize> {
    let end = text.find(['$', '`', '\0'])?;
    let inner = &text[..end];
    let broken = if mark == "$" { inner.contains('\n') } else { inner.contains("\n\n") };
    (text[end..].starts_with(mark) && !broken && !inner.ends_with('\\') && !inner.contains("\\|"))
        .then_some(end)
}

/// How long the formula is that this bracket closes. Nothing is looked at beyond the next bracket that opens one.
fn until_bracket(text: &str, open: &str, close: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find(['\\', '$', '`', '\0', '\n'])?;
        let rest = &text[at..];
        if rest.starts_with(close) {
            return Some(at);
        }
        if rest.starts_with(open) || rest.starts_with("\\|") || rest.starts_with("\n\n") {
            return None;
        }
        at += match rest.as_bytes()[0] {
            b'\n' => 1,
            // With whatever is escaped, such as another backslash: `\\[1em]` opens nothing.
            b'\\' => 1 + rest[1..].chars().next()?.len_utf8(),
            _ => return None,
        };
    }
}

/// Whether there is something that only formulas have.
fn is_marked(inner: &str) -> bool {
    let bytes = inner.as_bytes();
    let command =
        bytes.windows(2).any(|pair| pair[0] == b'\\' && (pair[1].is_ascii_alphabetic() || pair[1] == b'\\'));
    command
        || inner.contains(['^', '='])
        || bytes.windows(2).any(|pair| pair[0] == b'_' && (pair[1] == b'{' || pair[1].is_ascii_digit()))
}

/// Whether this is a name or a call: `n`, `O(n)`.
fn is_short(inner: &str) -> bool {
    let inner = inner.trim();
    !inner.is_empty() && longest_word(inner) <= 2 && !inner.contains(char::is_whitespace)
}

fn is_inline(inner: &str) -> bool {
    let name = inner.bytes().take_while(u8::is_ascii_alphabetic).count();
    let is_variable = name > 2 && !inner[name..].starts_with('(');
    let is_price = inner.starts_with(|c: char| c.is_ascii_digit()) && inner.contains(' ');
    if is_marked(inner) {
        return !is_variable || inner.contains(['\\', '^', '=']);
    }
    let operates = inner.contains(['+', '-', '<', '>', '*', '/', '|', ',', '_']);
    !is_variable && !is_price && longest_word(inner) <= 2 && (operates || is_short(inner))
}

/// The letters of the longest word that is no command.
fn longest_word(inner: &str) -> usize {
    inner.split(|c: char| !c.is_alphabetic()).map(|word| word.chars().count()).max().unwrap_or(0)
}

/// Commands, and the characters that they are exactly.
const COMMANDS: [(&str, char); 37] = [
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("delta", 'δ'),
    ("epsilon", 'ϵ'),
    ("theta", 'θ'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("pi", 'π'),
    ("rho", 'ρ'),
    ("sigma", 'σ'),
    ("tau", 'τ'),
    ("phi", 'ϕ'),
    ("omega", 'ω'),
    ("Gamma", 'Γ'),
    ("Delta", 'Δ'),
    ("Theta", 'Θ'),
    ("Lambda", 'Λ'),
    ("Sigma", 'Σ'),
    ("Phi", 'Φ'),
    ("Omega", 'Ω'),
    ("to", '→'),
    ("rightarrow", '→'),
    ("Rightarrow", '⇒'),
    ("le", '≤'),
    ("leq", '≤'),
    ("ge", '≥'),
    ("geq", '≥'),
    ("ne", '≠'),
    ("neq", '≠'),
    ("approx", '≈'),
    ("times", '×'),
    ("cdot", '⋅'),
    ("pm", '±'),
    ("infty", '∞'),
    ("in", '∈'),
    ("equiv", '≡'),
];

/// The formula in Unicode, if it is exactly that: `x^2 \le \alpha` → `x² ≤ α`.
pub fn exact(inner: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = inner.trim();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
                let (name, after) = rest.split_at(length);
                out.push(COMMANDS.iter().find(|(own, _)| *own == name).map(|(_, c)| *c)?);
                rest = after;
            }
            '^' => {
                let digit = rest.chars().next().and_then(|c| c.to_digit(10))?;
                out.push("⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize)?);
                rest = &rest[1..];
            }
            c if c.is_ascii_alphanumeric() || " +-=<>(),.:!/|".contains(c) => out.push(c),
            _ => return None,
        }
    }
    Some(out)
}

/// Formulas as code within a line.
pub fn write(at: usize, text: &str, spans: &[Span], swaps: &mut Vec<Swap>) {
    for span in spans {
        let SpanKind::Math { inner, .. } = &span.kind else { continue };
        code(text, at, span.range.clone(), inner.clone(), "`", swaps);
    }
}

/// One formula between these marks.
pub fn code(
    text: &str,
    at: usize,
    range: Range<usize>,
    inner: Range<usize>,
    mark: &'static str,
    swaps: &mut Vec<Swap>,
) {
    let plain = text[inner.clone()].trim();
    if let Some(exact) = exact(plain).filter(|exact| exact != plain) {
        swaps.push(swap(at + range.start..at + range.end, format!("{mark}{exact}{mark}")));
        return;
    }
    let begin = inner.end - text[inner.clone()].trim_start().len();
    let end = inner.start + text[inner.clone()].trim_end().len();
    swaps.push(swap(at + range.start..at + begin, mark));
    swaps.push(swap(at + end..at + range.end, mark));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// The formulas in a text, read from left to right.
    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(place) = text[at..].find(['$', '\\']).map(|place| at + place) {
            at = match find(text, place) {
                Some(formula) => {
                    found.push(&text[formula.inner]);
                    formula.range.end
                }
                None => place + 1,
            };
        }
        found
    }

    #[test]
    fn formulas_are_found_and_prices_and_variables_are_not() {
        let cases: &[(&str, &[&str])] = &[
            ("$a_1 + b_1$ and $x_{ij}$", &["a_1 + b_1", "x_{ij}"]),
            ("$n$, $O(n)$, $n-1$ and $\\alpha$.", &["n", "O(n)", "n-1", "\\alpha"]),
            ("\\(x^2\\) and \\(n\\) but \\(no formula\\)", &["x^2", "n"]),
            ("\\[ E = mc^2 \\] but \\[WIP\\] and \\[x\\]", &[" E = mc^2 "]),
            ("$$\\sum_{i=1}^n i$$", &["\\sum_{i=1}^n i"]),
            ("$$speed$$", &["speed"]),
            ("$$ is a dollar: echo $$f", &[]),
            ("$5 and $10, $20/month or 30$, US$5, $5-$7, $100k", &[]),
            ("$HOME/$USER $PATH: ${A}_${B} $(ls) $NODE_ENV$ $$ $?", &[]),
            ("^foo$ and ^bar$ /^$/ $('a').on($('b'))", &[]),
            ("it costs $5 (or 6$) a month", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(&found(text), expected, "{text}");
        }
    }

    #[test]
    fn marks_that_close_nothing_take_hardly_longer_than_formulas() {
        // Of the processor, which may have more to do than this.
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let time = |mark: &str| {
            let text = mark.repeat(300_000 / mark.len());
            let begun = used();
            let formulas = found(&text).len();
            (used() - begun, formulas)
        };
        let (usual, formulas) = time("$x$ ");
        assert_eq!(formulas, 75_000);
        for mark in ["$a ", "$$ ", "\\( ", "\\[x ", "\\(\\[", "$a\n"] {
            let (long, formulas) = time(mark);
            assert_eq!(formulas, 0, "{mark:?}");
            assert!(long < 10 * usual, "{mark:?}: {long:?}, and formulas {usual:?}");
        }
    }

    #[test]
    fn what_is_exactly_unicode_becomes_that() {
        let cases = [
            ("x^2 \\le \\alpha", Some("x² ≤ α")),
            ("f: A \\to B", Some("f: A → B")),
            ("A \\to B", Some("A → B")),
            ("x_1", None),
            ("x^{10}", None),
            ("x^n", None),
            ("\\frac12", None),
            ("n", Some("n")),
        ];
        for (inner, expected) in cases {
            assert_eq!(exact(inner).as_deref(), expected, "{inner}");
        }
    }
}
