//! Runs of markers, and what they begin and end: emphasis, strike-through, spoilers.
//!
//! The rules are CommonMark's, with GFM's strike-through, but for tokens ([`token`]), whose stars and underscores are
//! letters. A spoiler, which neither has, yields to what it would cross, and holds no other.

use std::cmp::Reverse;
use std::ops::Range;

use super::inline::run_length;
use super::token;

/// A delimiter run.
#[derive(Clone, Copy)]
pub struct DelimiterRun {
    /// The byte that it is made of.
    pub mark: u8,
    at: usize,
    length: usize,
    /// The markers that are not used yet.
    left: usize,
    opens: bool,
    closes: bool,
}

impl DelimiterRun {
    /// The run that stands here; `None` if it neither opens nor closes anything.
    pub fn new(text: &str, Range { start: at, end }: Range<usize>, mark: u8) -> Option<Self> {
        let length = end - at;
        let bytes = text.as_bytes();
        let back = bytes[..at].iter().rev().take_while(|&&b| Some(&b) == bytes[..at].last()).count();
        // To its neighbours, a marker that is a letter of a token is a letter.
        let is_letter = |c: char, run: Range<usize>| {
            matches!(c, '*' | '_') && !text[..run.start].ends_with('\\') && token::is_literal(text, run)
        };
        let letter = |c: Option<char>, run| c.map(|c| if is_letter(c, run) { 'x' } else { c });
        let before = letter(text[..at].chars().next_back(), at - back..at);
        let after = letter(text[end..].chars().next(), end..end + run_length(bytes, end));
        let space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let mark_or_space = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || is_punctuation(c));
        let is_left = !space(after) && (!mark_or_space(after) || mark_or_space(before));
        let is_right = !space(before) && (!mark_or_space(before) || mark_or_space(after));
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let (opens, closes) = match mark {
            // One tilde begins or ends nothing within a word: `HEAD~2`.
            b'_' | b'~' if mark == b'_' || length == 1 => (
                is_left && (!is_right || before.is_some_and(is_punctuation)),
                is_right && (!is_left || after.is_some_and(is_punctuation)),
            ),
            // CommonMark has no spoilers: each marker touches what it hides on its inner side only.
            b'|' => (!space(after) && !word(before), !space(before) && !word(after)),
            _ => (is_left, is_right),
        };
        (opens || closes).then_some(Self { mark, at, length, left: length, opens, closes })
    }

    /// Whether what this one opens can be closed by that one.
    fn fits(&self, closer: &Self) -> bool {
        let both = (self.opens && self.closes) || (closer.opens && closer.closes);
        let thirds = both
            && (self.length + closer.length).is_multiple_of(3)
            && !(self.length.is_multiple_of(3) && closer.length.is_multiple_of(3));
        self.mark == closer.mark
            && match self.mark {
                b'*' | b'_' => !thirds,
                _ => self.length == closer.length,
            }
    }
}

/// The emphasis among these runs, which are in order: where it is, and how long its markers are.
pub fn emphasis(runs: Vec<DelimiterRun>) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut openers: Vec<DelimiterRun> = Vec::new();
    for mut run in runs {
        while run.closes && run.left > 0 {
            let Some(place) = openers.iter().rposition(|opener| opener.fits(&run)) else { break };
            let opener = &mut openers[place];
            let marker = match run.mark {
                b'*' | b'_' => opener.left.min(run.left).min(2),
                _ => run.length,
            };
            opener.left -= marker;
            let start = opener.at + opener.left;
            let keep = place + usize::from(opener.left > 0);
            openers.truncate(keep);
            let end = run.at + run.length - run.left + marker;
            run.left -= marker;
            found.push((start..end, marker));
        }
        if run.opens && run.left > 0 {
            // So few can be open at once that looking through them takes no time.
            if openers.len() >= 64 {
                openers.remove(0);
            }
            openers.push(run);
        }
    }
    found
}

/// The spoilers among these runs, which are in order: none within another, and none that crosses one of these other looks.
pub fn spoilers(bars: &[DelimiterRun], mut looks: Vec<Range<usize>>) -> Vec<(Range<usize>, usize)> {
    looks.sort_unstable_by_key(|range| (range.start, Reverse(range.end)));
    let mut looks = looks.into_iter().peekable();
    let mut around: Vec<Range<usize>> = Vec::new();
    let mut found = Vec::new();
    // Where the last opener stands, and the look that it is in.
    let mut opener: Option<(usize, Option<usize>)> = None;
    for bar in bars {
        while let Some(look) = looks.next_if(|look| look.start < bar.at) {
            around.retain(|outer| outer.end > look.start);
            around.push(look);
        }
        around.retain(|outer| outer.end > bar.at);
        let within = around.last().map(|look| look.start);
        opener = match opener {
            Some((open, outer)) if bar.closes && outer == within => {
                found.push((open..bar.at + bar.length, bar.length));
                None
            }
            _ if bar.opens => Some((bar.at, within)),
            earlier => earlier,
        };
    }
    found
}

/// Punctuation and symbols, as CommonMark takes them; but for those of scripts without spaces, where a marker stands
/// between two letters more often than not.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    !c.is_alphanumeric()
        && !c.is_whitespace()
        && matches!(c, '\u{a1}'..='\u{bf}' | '×' | '÷' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
            | '\u{20a0}'..='\u{20cf}' | '\u{2100}'..='\u{2bff}' | '\u{2e00}'..='\u{2e7f}'
            | '\u{1f000}'..='\u{1faff}')
        && c != '\u{ad}'
}
