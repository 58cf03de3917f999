//! What shows nothing.

/// Whether a text shows nothing: it is empty, or only white space and invisible characters.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || shows_nothing(c))
}

/// Unicode's `Default_Ignorable_Code_Point` (DerivedCoreProperties, which reserves ranges for it, so that it hardly ever
/// grows), and the empty braille pattern, which no such property names.
pub fn shows_nothing(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_what_shows_nothing() {
        assert!(is_blank("") && is_blank(" \n\u{3000}\u{a0}") && is_blank("\u{200b}\u{2060} \u{feff}"));
        assert!(is_blank("\u{2800}\u{3164}\u{ad}\u{fe0f}\u{e0020}\u{115f}\u{202e}\u{206f}\u{ffa0}"));
        assert!(!is_blank("\u{200b}.") && !is_blank("👍") && !is_blank("⠁") && !is_blank("ᄀ"));
    }
}
