//! What was chosen and typed for a question before it is answered, and labels that are as long as Discord takes them.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{FormValues, UserId};
use crate::store::QuestionKey;
use crate::text;

/// The most characters of a button's label, and of an entry of a menu and its description.
pub const LONGEST_BUTTON: usize = 80;
pub const LONGEST_ENTRY: usize = 100;

/// What was chosen from menus so far: the numbers of the options, by the number of the question.
pub type Picks = BTreeMap<usize, Vec<usize>>;

/// What was chosen and typed for open questions, before it is sent.
#[derive(Debug, Default)]
pub struct Unsent {
    pub picks: HashMap<QuestionKey, Picks>,
    /// What somebody has filled in that did not do; only they see it again.
    pub typed: HashMap<(QuestionKey, UserId), FormValues>,
}

impl Unsent {
    /// Forgets what was for this question.
    pub fn forget(&mut self, key: QuestionKey) {
        self.picks.remove(&key);
        self.typed.retain(|(of, _), _| *of != key);
    }
}

/// As much of the text as Discord takes there, with a mark where it is cut.
pub fn cut(text: &str, most: usize) -> String {
    // Discord counts UTF-16 in some places; nothing counts more.
    match text::units(text) <= most {
        true => text.to_owned(),
        false => format!("{}…", &text[..text::fitting(text, most - 1)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }
}
