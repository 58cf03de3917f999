//! Regular expressions of scripts, held so small that matching takes no time worth speaking of.
//!
//! Nothing can interrupt a match. How long it may take grows with the size of the compiled expression, with the
//! number of its groups (each state carries them along) and with the text. The pattern itself is bounded because
//! reading it takes a thousand times its length in memory, before its compiled size can be seen.

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1000;
/// The most groups in a pattern.
const MAX_GROUPS: usize = 20;
/// What the tables may take that make matching quick, in bytes; without them every byte of a text costs a visit to every
/// state.
const TABLES: usize = 1024 * 1024;

/// The regular expression that this pattern means, or what is wrong with it. Compiled it takes up to `size` bytes.
pub fn compile(pattern: &str, size: usize) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the pattern has more than {MAX_PATTERN} bytes"));
    }
    let regex = RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(TABLES).build();
    let regex = regex.map_err(|problem| {
        // It spans several lines, with a caret; the last says what is wrong.
        let text = problem.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!("not a regular expression: {}", last.trim_start_matches("error: "))
    })?;
    if regex.captures_len() - 1 > MAX_GROUPS {
        return Err(format!(
            "the pattern has more than {MAX_GROUPS} groups; write (?:…) where you need none"
        ));
    }
    Ok(regex)
}
