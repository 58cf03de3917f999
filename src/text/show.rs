//! Parts in a form for people to read: what `moonlane format` prints and the snapshots show.

use std::fmt::Write;
use std::ops::Range;

use super::{Part, units};

/// Parts under rulers with their number and their length in UTF-16 units, `── 2/3 ── 1987 ──`. What the split added is
/// in ⟦ ⟧, and a zero-width space is shown as ␣.
pub fn ruled(parts: &[Part]) -> String {
    let mut out = String::new();
    for (number, part) in parts.iter().enumerate() {
        let _ = writeln!(out, "── {}/{} ── {} ──", number + 1, parts.len(), units(&part.text));
        let mut shown = 0;
        for &Range { start, end } in &part.added {
            show(&part.text[shown..start], &mut out);
            out.push('⟦');
            show(&part.text[start..end], &mut out);
            out.push('⟧');
            shown = end;
        }
        show(&part.text[shown..], &mut out);
        out.push('\n');
    }
    out
}

fn show(text: &str, out: &mut String) {
    out.extend(text.chars().map(|c| if c == '\u{200b}' { '␣' } else { c }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_text_and_what_cannot_be_seen_are_marked() {
        assert_eq!(ruled(&[]), "");
        let text = "```\na`\u{200b}``🌙\n```".to_owned();
        let added = vec![0..4, 6..9, text.len() - 4..text.len()];
        let part = |text: String, added| Part { text, source: 0..0, added, dropped: Vec::new() };
        insta::assert_snapshot!(ruled(&[part(text, added), part("b\u{200b}".to_owned(), Vec::new())]), @"
        ── 1/2 ── 15 ──
        ⟦```
        ⟧a`⟦␣⟧``🌙⟦
        ```⟧
        ── 2/2 ── 2 ──
        b␣
        ");
    }
}
