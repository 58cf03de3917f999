//! "Did you mean": serde's errors about unknown keys and values, worded for operators.

/// The longest word that is compared, in bytes: the time grows with its square.
const MAX_WORD: usize = 100;

/// The candidate that `word` was most likely meant to be, if one is near enough; `None` for a long word.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}

/// The candidate that `word` misspells, where it is so near that it would be no name of its own.
pub fn misspelt<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let near = |candidate: &&str| match strsim::osa_distance(&word.to_lowercase(), &candidate.to_lowercase())
    {
        0 => true,
        1 => candidate.len() > 3,
        2 => candidate.len() > 7,
        _ => false,
    };
    candidates.into_iter().find(near)
}

/// Rewords serde's message about an unknown field or variant to name the nearest valid one, or all valid ones if none is
/// near; returns any other message as it is.
///
/// serde words these as ``unknown field `a`, expected one of `b`, `c` `` (or ``expected `b` ``).
pub fn reword(message: &str) -> String {
    let (what, rest) = if let Some(rest) = message.strip_prefix("unknown field ") {
        ("key", rest)
    } else if let Some(rest) = message.strip_prefix("unknown variant ") {
        ("value", rest)
    } else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let Some(word) = quoted.next() else { return message.to_owned() };
    let valid: Vec<&str> = quoted.collect();
    match nearest(word, valid.iter().copied()) {
        Some(near) => format!("unknown {what} `{word}`, did you mean `{near}`?"),
        None if valid.is_empty() => format!("unknown {what} `{word}`; none is allowed here"),
        None => format!("unknown {what} `{word}`; valid are `{}`", valid.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_like_none() {
        let word = |length: usize| "timeout".repeat(length)[..length].to_owned();
        let [longest, longer] = [word(100), word(101)];
        assert_eq!(nearest(&longest, [longest.as_str()]), Some(longest.as_str()));
        assert_eq!(nearest(&longer, [longer.as_str()]), None);
    }

    #[test]
    fn a_near_key_is_suggested_and_a_far_one_gets_the_list() {
        assert_eq!(
            reword("unknown field `timout`, expected one of `name`, `timeout`"),
            "unknown key `timout`, did you mean `timeout`?"
        );
        assert_eq!(
            reword("unknown field `zzz`, expected `name` or `timeout`"),
            "unknown key `zzz`; valid are `name`, `timeout`"
        );
        assert_eq!(
            reword("unknown variant `acceptedits`, expected one of `plan`, `acceptEdits`"),
            "unknown value `acceptedits`, did you mean `acceptEdits`?"
        );
        assert_eq!(reword("unknown field `x`, there are no fields"), "unknown key `x`; none is allowed here");
        assert_eq!(reword("invalid type: integer"), "invalid type: integer");
    }
}
