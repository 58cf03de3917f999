//! What triggers.lua returns: which messages are for the bot, and what their prompt is.

use regex::Regex;
use serde::Deserialize;

use super::data::{self, BadValue, Data, Id, ids, kind};
use super::pattern;
use super::problem::ScriptProblem;
use crate::domain::{ChannelId, Message};

/// The largest compiled pattern, in bytes. Patterns only search messages, which Discord keeps short.
const MAX_REGEX: usize = 256 * 1024;

/// What triggers.lua returns: a table, or a function that returns the prompt, or nil if the message is not for the bot.
///
/// Lua Triggers: `TriggerTable|fun(message: Message): string?`
#[derive(Debug)]
pub enum Triggers {
    /// A function decides.
    Function,
    /// A table decides.
    Table(TriggerTable),
}

/// The table form of triggers.lua, compiled.
#[derive(Debug)]
pub struct TriggerTable {
    mention: bool,
    own_threads: bool,
    prefixes: Vec<String>,
    patterns: Vec<Regex>,
    all_messages_in: Vec<ChannelId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table or a function")]
pub(super) struct RawTriggerTable {
    /// Messages that mention the bot; true by default.
    mention: bool,
    /// Messages in threads that the bot has opened, if it may read them, unless they begin with a mention of somebody else; true
    /// by default.
    own_threads: bool,
    /// Messages that begin with one of these; the prompt is the rest.
    prefixes: Vec<String>,
    /// Messages that match one of these regular expressions, in Rust's syntax, of at most 1000 bytes each; the prompt is
    /// the first group if there is one.
    patterns: Vec<String>,
    /// Every message in these channels and their threads.
    all_messages_in: Vec<Id<ChannelId>>,
}

impl Default for RawTriggerTable {
    fn default() -> Self {
        Self {
            mention: true,
            own_threads: true,
            prefixes: Vec::new(),
            patterns: Vec::new(),
            all_messages_in: Vec::new(),
        }
    }
}

/// Decodes what triggers.lua returned.
pub fn decode(value: &mlua::Value, file: &str, problems: &mut Vec<ScriptProblem>) -> Option<Triggers> {
    let mut bad = |problem: BadValue| problems.push(ScriptProblem::in_value(file, problem));
    let raw: RawTriggerTable = match value {
        mlua::Value::Function(_) => return Some(Triggers::Function),
        mlua::Value::Table(_) => {
            let mut found = Vec::new();
            let raw = data::decode_all_lua(value, &mut found);
            found.into_iter().for_each(&mut bad);
            raw?
        }
        other => {
            let form = "must end with `return { mention = true }` or return a function";
            bad(BadValue::here(format!("{form}; it returned {}", kind(other))));
            return None;
        }
    };
    let mut patterns = Vec::new();
    for (place, pattern) in (1..).zip(&raw.patterns) {
        match pattern::compile(pattern, MAX_REGEX) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => bad(BadValue::here(problem).under(&format!("patterns[{place}]"))),
        }
    }
    for (place, prefix) in (1..).zip(&raw.prefixes) {
        if prefix.trim().is_empty() {
            let message = "an empty prefix fits every message; use `all_messages_in` for that";
            bad(BadValue::here(message).under(&format!("prefixes[{place}]")));
        }
    }
    let all_messages_in = ids(raw.all_messages_in);
    if !raw.mention && raw.prefixes.is_empty() && raw.patterns.is_empty() && all_messages_in.is_empty() {
        problems.push(ScriptProblem::warning(
            file,
            "",
            "the bot answers nothing: there is no mention, prefix, pattern or channel",
        ));
    }
    let RawTriggerTable { mention, own_threads, prefixes, .. } = raw;
    let table = TriggerTable { mention, own_threads, prefixes, patterns, all_messages_in };
    Some(Triggers::Table(table))
}

impl TriggerTable {
    /// The prompt, if the message is for the bot.
    pub fn prompt(&self, message: &Message) -> Option<String> {
        let text = message.text.as_str();
        if self.mention && message.mentions_me {
            return Some(text.to_owned());
        }
        // Without a mention of the bot, one at the beginning is of somebody else.
        if self.own_threads && message.in_own_thread && !message.raw_text.trim_start().starts_with("<@") {
            return Some(text.to_owned());
        }
        if let Some(rest) = self.prefixes.iter().find_map(|prefix| text.strip_prefix(prefix.as_str())) {
            return Some(rest.trim().to_owned());
        }
        for pattern in &self.patterns {
            if let Some(found) = pattern.captures(text) {
                let prompt = match pattern.captures_len() {
                    1 => text,
                    _ => found.get(1).map_or("", |group| group.as_str()),
                };
                return Some(prompt.to_owned());
            }
        }
        let here = [Some(message.channel_id), message.parent_channel_id];
        let all = here.into_iter().flatten().any(|channel| self.all_messages_in.contains(&channel));
        all.then(|| text.to_owned())
    }

    /// Whether only messages that mention the bot can match: every bot gets the content of those.
    pub fn only_mentions(&self) -> bool {
        self.prefixes.is_empty() && self.patterns.is_empty() && self.all_messages_in.is_empty()
    }
}

/// What a trigger function returned: the prompt, or nil (or false: `return message.mentions_me and …`).
pub fn prompt(value: Option<Data>) -> Result<Option<String>, BadValue> {
    match value {
        None | Some(Data::Bool(false)) => Ok(None),
        Some(Data::Text(prompt)) => Ok(Some(prompt)),
        Some(other) => Err(BadValue::here(format!("expected the prompt (a string) or nil, found {other}"))),
    }
}
