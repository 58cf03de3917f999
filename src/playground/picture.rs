//! Pictures, in terminals that draw them by kitty's protocol
//! (<https://sw.kovidgoyal.net/kitty/graphics-protocol/>): kitty itself, Ghostty, WezTerm and Konsole.
//!
//! Only PNG: the protocol takes no other kind of file, and to decode the others would be all that the program needs a library of
//! pictures for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How many rows of the terminal a picture takes.
const ROWS: u32 = 12;
/// How much of a picture one escape sequence may hold, in characters of base64.
const CHUNK: usize = 4096;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Whether the terminal says by these variables that it draws pictures. A multiplexer in between would lose them.
pub(super) fn can_draw(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    let is_multiplexed = ["TMUX", "STY"].iter().any(is_set);
    let is_known = ["KITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR", "KONSOLE_VERSION"].iter().any(is_set)
        || variable("TERM_PROGRAM").is_some_and(|name| name == "WezTerm");
    is_known && !is_multiplexed
}

/// What draws a picture where the cursor is; `None` where it is no PNG.
pub(super) fn drawn(picture: &[u8]) -> Option<String> {
    if !picture.starts_with(PNG) {
        return None;
    }
    let encoded = STANDARD.encode(picture);
    let mut drawn = String::new();
    let mut left = encoded.as_str();
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(left.len().min(CHUNK));
        // Quietly (q=2): the terminal's answer would be taken for what the person types.
        let how = if drawn.is_empty() { format!("a=T,f=100,q=2,r={ROWS},") } else { String::new() };
        let more = u8::from(!rest.is_empty());
        drawn += &format!("\x1b_G{how}m={more};{chunk}\x1b\\");
        left = rest;
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_draws_is_known_by_its_variables() {
        let of = |set: &[(&str, &str)]| {
            can_draw(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(&[("KITTY_WINDOW_ID", "1")]) && of(&[("TERM_PROGRAM", "WezTerm")]));
        assert!(!of(&[]) && !of(&[("KITTY_WINDOW_ID", "")]) && !of(&[("TERM_PROGRAM", "Apple_Terminal")]));
        assert!(!of(&[("KITTY_WINDOW_ID", "1"), ("TMUX", "/tmp/tmux-0/default,1,0")]));
    }

    #[test]
    fn a_picture_goes_in_pieces_that_the_terminal_takes() {
        for length in [0, 1, 3064, 3065, 10_000] {
            let picture = [PNG, &vec![7; length]].concat();
            let drawn = drawn(&picture).unwrap();
            let pieces: Vec<(&str, &str)> = drawn
                .split_terminator("\x1b\\")
                .map(|piece| piece.strip_prefix("\x1b_G").unwrap().split_once(';').unwrap())
                .collect();
            let (last, others) = pieces.split_last().unwrap();
            assert!(last.0.ends_with("m=0") && others.iter().all(|piece| piece.0.ends_with("m=1")));
            assert!(pieces[0].0.starts_with("a=T,f=100,q=2,"));
            assert!(others.iter().all(|piece| piece.1.len() == CHUNK) && last.1.len() <= CHUNK);
            let whole: String = pieces.iter().map(|piece| piece.1).collect();
            assert_eq!(STANDARD.decode(whole).unwrap(), picture);
        }
        assert_eq!(drawn(b"GIF89a"), None);
    }
}
