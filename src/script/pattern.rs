//! The regular expressions of scripts, kept so small that matching takes negligible time.
//!
//! Nothing can interrupt a match. How long it can take grows with the size of the compiled expression, with the number of
//! its groups (each state carries them along) and with the text. The pattern itself is limited, too, because parsing takes a
//! thousand times its length in memory before the compiled size is known.

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1000;
/// The most groups in a pattern.
const MAX_GROUPS: usize = 20;
/// The size of the tables that make matching quick, in bytes; without them, every byte of a text costs a visit to every
/// state.
const TABLES: usize = 1024 * 1024;

/// Compiles a pattern to at most `size` bytes, or says what is wrong with it.
pub fn compile(pattern: &str, size: usize) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
    }
    let regex = RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(TABLES).build();
    let regex = regex.map_err(|problem| {
        // The message has several lines, with a caret; the last one says what is wrong.
        let text = problem.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!("not a regular expression: {}", last.trim_start_matches("error: "))
    })?;
    if regex.captures_len() - 1 > MAX_GROUPS {
        return Err(format!(
            "the pattern has more than {MAX_GROUPS} groups; write (?:…) for those that you do not need"
        ));
    }
    Ok(regex)
}
