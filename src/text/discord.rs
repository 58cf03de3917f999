//! What Discord has that Markdown has not: mentions, times, emoji. Only what is complete; anything else in angle brackets
//! is text to Discord, too.
//!
//! Source: Discord's developer documentation, "Message Formatting".

/// The places of a server that `<id:…>` leads to.
const PLACES: [&str; 5] = ["browse", "customize", "guide", "home", "linked-roles"];

/// Whether Discord shows something else for `<…>` with this in it.
pub fn is_angle(inner: &str) -> bool {
    let named = |text: &str| text.rsplit_once(':').is_some_and(|(name, id)| !name.is_empty() && is_id(id));
    if let Some(time) = inner.strip_prefix("t:") {
        let (seconds, style) = time.split_once(':').unwrap_or((time, "f"));
        let seconds = seconds.strip_prefix('-').unwrap_or(seconds);
        let digits = (1..=13).contains(&seconds.len()) && seconds.bytes().all(|b| b.is_ascii_digit());
        return digits && matches!(style, "t" | "T" | "d" | "D" | "f" | "F" | "s" | "S" | "R");
    }
    if let Some(place) = inner.strip_prefix("id:") {
        return PLACES.contains(&place);
    }
    if let Some(command) = inner.strip_prefix('/') {
        return named(command);
    }
    if let Some(emoji) = inner.strip_prefix("a:").or(inner.strip_prefix(':')) {
        return named(emoji) && !emoji.contains(char::is_whitespace);
    }
    let mention = inner.strip_prefix("@!").or(inner.strip_prefix("@&")).or(inner.strip_prefix(['@', '#']));
    mention.is_some_and(is_id)
}

/// Whether this may be an id of Discord.
fn is_id(text: &str) -> bool {
    (15..=21).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_complete_is_discords() {
        let own = [
            "@100000000000000001",
            "@!100000000000000001",
            "@&100000000000000001",
            "#100000000000000001",
            ":moon:100000000000000001",
            "a:moon_2:100000000000000001",
            "/deploy status:100000000000000001",
            "t:1700000000",
            "t:-1:R",
            "id:guide",
        ];
        assert_eq!(own.map(is_angle), [true; 10]);
        let text =
            ["@1", "@some_user", "#general", "t:now:R", "t:1:x", "id:x_y", ":moon:", "a:b", "/x", "br"];
        assert_eq!(text.map(is_angle), [false; 10]);
    }
}
