//! The law of meaning: what Discord's client shows ([`client`]) is what the author meant ([`meant`]).

use std::collections::HashSet;

use super::look::{BOLD, CODE, Glyph, HEADING, ITALIC, QUOTE, SMALL, STRUCK, symbol, tagged};
use super::meant::{Meant, meant};
use super::{Part, client};

/// So much is printed before and after a difference.
const AROUND: usize = 40;

/// Sees that these parts show what the source means.
pub fn check(source: &str, parts: &[Part]) -> Result<(), String> {
    let mut shown: Vec<Glyph> = parts.iter().flat_map(|part| client::shown(&part.text)).collect();
    shown = compared(shown);
    let mut at = 0;
    let mut free = false;
    let all = meant(source);
    for (number, stretch) in all.iter().enumerate() {
        match stretch {
            Meant::Text(text) => {
                let text = compared(text.clone());
                let same = |from: usize| shown[from..].iter().zip(&text).take_while(|(a, b)| a == b).count();
                let last = number + 1 == all.len();
                let found = if free && last {
                    // It is the end that is meant.
                    shown.len().checked_sub(text.len()).filter(|&from| from >= at && same(from) == text.len())
                } else if free {
                    (at..=shown.len()).find(|&from| same(from) == text.len())
                } else {
                    Some(at)
                };
                // The nearest is shown, if nothing is the same.
                let nearest = || (at..=shown.len()).max_by_key(|&from| (same(from), std::cmp::Reverse(from)));
                let from = found.or_else(nearest).unwrap_or(at);
                let length = same(from);
                if found.is_none() || length < text.len() {
                    let begin = length.saturating_sub(AROUND);
                    let cut = |glyphs: &[Glyph], start: usize, end: usize| {
                        tagged(&glyphs[start.min(glyphs.len())..end.min(glyphs.len())])
                    };
                    return Err(format!(
                        "meaning: meant is\n  {}\nshown is\n  {}",
                        cut(&text, begin, length + AROUND),
                        cut(&shown, from + begin, from + length + AROUND)
                    ));
                }
                at = from + length;
                free &= text.is_empty();
            }
            Meant::Words(words) => {
                let rest: String = shown[at..].iter().map(|glyph| glyph.c).collect();
                let targets: HashSet<&str> =
                    shown[at..].iter().filter_map(|glyph| glyph.link.as_deref()).collect();
                // A part of a link's target is one in a cell to CommonMark, if there is a `|` in it.
                let is_there =
                    |word: &str| rest.contains(word) || targets.iter().any(|target| target.contains(word));
                if let Some(word) = words.iter().find(|word| !is_there(word)) {
                    return Err(format!("meaning: the word {word:?} is not shown"));
                }
                free = true;
            }
        }
    }
    if at < shown.len() && !free {
        return Err(format!(
            "meaning: more is shown:\n  {}",
            tagged(&shown[at..shown.len().min(at + AROUND)])
        ));
    }
    Ok(())
}

/// What is compared of it.
fn compared(glyphs: Vec<Glyph>) -> Vec<Glyph> {
    let is_seen = |glyph: &Glyph| {
        let is_rule = glyph.c == '─' && glyph.style & CODE == 0;
        !glyph.c.is_whitespace() && glyph.c != '\u{200b}' && !is_rule
    };
    let mask = |mut glyph: Glyph| {
        glyph.style &= !(QUOTE | SMALL);
        if glyph.style & CODE > 0 {
            glyph.style &= !(BOLD | ITALIC | STRUCK | HEADING);
        }
        if glyph.style & HEADING > 0 {
            glyph.style &= !BOLD;
        }
        glyph.c = symbol(glyph.c);
        glyph
    };
    glyphs.into_iter().filter(is_seen).map(mask).collect()
}
