//! A message's text as a person reads it: the mention of the bot taken out, other mentions as names. Pure.
//!
//! Inside code Discord shows everything as it was typed, and so it stays here, byte for byte.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::domain::{ChannelId, RoleId, UserId};

/// What a mention in the text refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mention {
    User(UserId),
    Role(RoleId),
    Channel(ChannelId),
}

/// What to put in place of a mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// The bot itself: nothing.
    Me,
    /// Its name, with `@` or `#`.
    Name(String),
    /// It stays as it is.
    Unknown,
}

/// <https://discord.com/developers/docs/reference#message-formatting>
static MARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<(?:@!?(?<user>\d+)|@&(?<role>\d+)|#(?<channel>\d+)|a?:(?<emoji>\w+):\d+)>")
        .expect("a constant pattern")
});

/// The text with every mention and custom emoji outside code replaced by what `read` says.
pub(super) fn readable(text: &str, read: impl Fn(Mention) -> Reading) -> String {
    let code = code_spans(text);
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for mark in MARK.captures_iter(text) {
        let range = mark.get(0).map_or(0..0, |whole| whole.range());
        if code.iter().any(|span| span.contains(&range.start)) {
            continue;
        }
        let reading = match mention(&mark) {
            Some(mention) => read(mention),
            None => {
                mark.name("emoji").map_or(Reading::Unknown, |e| Reading::Name(format!(":{}:", e.as_str())))
            }
        };
        match reading {
            Reading::Unknown => {}
            Reading::Name(name) => {
                result.push_str(&text[done..range.start]);
                result.push_str(&name);
                done = range.end;
            }
            Reading::Me => {
                result.push_str(&text[done..range.start]);
                done = cut(text, range.end, &mut result);
            }
        }
    }
    result.push_str(&text[done..]);
    result
}

fn mention(mark: &Captures<'_>) -> Option<Mention> {
    let id = |name| mark.name(name).map(|id| id.as_str());
    None.or_else(|| id("user")?.parse().ok().map(Mention::User))
        .or_else(|| id("role")?.parse().ok().map(Mention::Role))
        .or_else(|| id("channel")?.parse().ok().map(Mention::Channel))
}

/// Closes the gap that a mention leaves between `before` and `text[end..]`; returns where the text goes on.
fn cut(text: &str, end: usize, before: &mut String) -> usize {
    let blank = [' ', '\t'];
    let spaced = before.ends_with(blank) || text[end..].starts_with(blank);
    before.truncate(before.trim_end_matches(blank).len());
    let rest = text[end..].trim_start_matches(blank);
    if rest.trim_start().is_empty() {
        before.truncate(before.trim_end().len());
        return text.len();
    }
    let line_begins = before.is_empty() || before.ends_with('\n');
    let line_ends = rest.starts_with(['\r', '\n']);
    let rest = match (line_begins, line_ends) {
        // The line held nothing else: it goes. The indentation of the next one stays.
        (true, true) if before.is_empty() => rest.trim_start_matches(['\r', '\n']),
        (true, true) => rest.strip_prefix("\r\n").unwrap_or(&rest[1..]),
        (false, false) => {
            if spaced {
                before.push(' ');
            }
            rest
        }
        _ => rest,
    };
    text.len() - rest.len()
}

/// Where code stands: between three backticks, or between runs of one or two. What is never closed is no code.
fn code_spans(text: &str) -> Vec<Range<usize>> {
    let run_at = |at: usize| text[at..].bytes().take_while(|byte| *byte == b'`').count();
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let run = run_at(start);
        let inside = start + run.min(3);
        let end = if run >= 3 {
            text[inside..].find("```").map(|found| inside + found + 3)
        } else {
            closing(text, inside, run, run_at)
        };
        match end {
            Some(end) => {
                spans.push(start..end);
                at = end;
            }
            None => at = start + run,
        }
    }
    spans
}

/// The end of the next run of exactly `run` backticks.
fn closing(text: &str, from: usize, run: usize, run_at: impl Fn(usize) -> usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = text[at..].find('`') {
        let length = run_at(at + found);
        at += found + length;
        if length == run {
            return Some(at);
        }
    }
    None
}

/// `@name` or `#name`, with nothing in it that would read as another mention.
pub(super) fn named(sign: char, name: &str) -> Reading {
    if name.is_empty() { Reading::Unknown } else { Reading::Name(format!("{sign}{name}")) }
}

/// The first of these names that says something.
pub(super) fn first_name<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> Cow<'a, str> {
    let names = names.into_iter().flatten();
    names.map(str::trim).find(|name| !name.is_empty()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mention: Mention) -> Reading {
        match mention {
            Mention::User(id) if id.get() == 1 => Reading::Me,
            Mention::Role(id) if id.get() == 2 => Reading::Me,
            Mention::User(id) if id.get() == 3 => named('@', "Ann Bee"),
            Mention::Role(id) if id.get() == 4 => named('@', "crew"),
            Mention::Channel(id) if id.get() == 5 => named('#', "général"),
            _ => Reading::Unknown,
        }
    }

    #[test]
    fn the_bot_goes_and_the_others_are_named() {
        for (typed, expected) in [
            ("<@1> do it", "do it"),
            ("<@!1>do it", "do it"),
            ("do <@&2> it", "do it"),
            ("do it <@1>", "do it"),
            ("  <@1>   ", ""),
            ("<@1>", ""),
            ("<@1> <@1>\t<@&2> do", "do"),
            ("hey<@1>, do", "hey, do"),
            ("a\n<@1>\nb", "a\nb"),
            ("a\n\n<@1> b", "a\n\nb"),
            ("a <@1>\nb", "a\nb"),
            ("<@1>\r\n\n    indented", "    indented"),
            ("<@1> ask <@3> and <@&4> in <#5>", "ask @Ann Bee and @crew in #général"),
            (
                "<@77> <@&77> <#77> <@0> <@99999999999999999999999>",
                "<@77> <@&77> <#77> <@0> <@99999999999999999999999>",
            ),
            ("<:ok_1:12> <a:spin:34> <:: 12>", ":ok_1: :spin: <:: 12>"),
            ("<t:1618953630:R> </cmd:12> <id:guide> a<b", "<t:1618953630:R> </cmd:12> <id:guide> a<b"),
            ("  two  spaces  stay  ", "  two  spaces  stay  "),
            ("@everyone <@1>", "@everyone"),
            ("日本<@1>語 <@3>", "日本語 @Ann Bee"),
        ] {
            assert_eq!(readable(typed, read), expected, "{typed:?}");
        }
    }

    #[test]
    fn code_stays_as_it_was_typed() {
        for (typed, expected) in [
            ("<@1> ```rs\n a  <@1>\n\n<#5>```  ", "```rs\n a  <@1>\n\n<#5>```  "),
            ("`<@3>` <@3> ``a ` <@1>``", "`<@3>` @Ann Bee ``a ` <@1>``"),
            ("it`s <@3>", "it`s @Ann Bee"),
            ("```open <@1>", "```open"),
            ("``` <@3> `` <@3> ``` <@1>", "``` <@3> `` <@3> ```"),
            ("`a`` <@3>", "`a`` @Ann Bee"),
        ] {
            assert_eq!(readable(typed, read), expected, "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_the_rest_of_it_survives(
            pieces in prop::collection::vec("<@1>|<@&2>|`{1,4}|[ \n\ta-zé<>@#]{0,4}", 0..12)
        ) {
            let typed = pieces.concat();
            let text = readable(&typed, read);
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let without = |text: &str| solid(text).replace("<@1>", "").replace("<@&2>", "");
            prop_assert_eq!(without(&text), without(&typed));
            if !typed.contains("<@") {
                prop_assert_eq!(text, typed);
            }
        }
    }
}
