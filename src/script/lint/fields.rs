//! Fields that scripts read of what their functions are given, and that are not there: `message.txet`.
//!
//! What a function is given is read from the type file, which is written from the Rust sources. Which functions the bot calls
//! is known from the values that the files returned, so this finds each by its line. It follows a parameter through the
//! function's own body only, and not where the body gives its name to something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::{Word, declared, is_name, moved};
use crate::nearest::nearest;
use crate::script::hooks;
use crate::script::problem::{ScriptProblem, Severity};

const TYPES: &str = include_str!("../../../scripts/types/moonlane.d.lua");

/// The types of the fields that each class of the type file has.
type Classes = BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>;

static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let mut classes = Classes::new();
    let mut class = "";
    for line in TYPES.lines() {
        if let Some(name) = line.strip_prefix("---@class (exact) ") {
            class = name;
        } else if let Some((key, kind)) =
            line.strip_prefix("---@field ").and_then(|field| field.split_once(' '))
        {
            classes.entry(class).or_default().insert(key.trim_end_matches('?'), kind);
        }
    }
    classes
});

/// The fields of a value of this type, where it is a table that has no others.
fn fields_of(kind: &str) -> Option<(&'static str, &'static BTreeMap<&'static str, &'static str>)> {
    let name = kind.split(' ').next()?.trim_end_matches('?');
    CLASSES.get_key_value(name).map(|(name, fields)| (*name, fields))
}

/// The types of the parameters of a function, in the words of the type file.
fn parameter_types(kind: &'static str) -> Vec<&'static str> {
    let parameters = kind.split_once("fun(").and_then(|(_, rest)| rest.split_once(')'));
    let each = parameters.map_or("", |(parameters, _)| parameters).split(", ");
    each.map(|parameter| parameter.split_once(": ").map_or("", |(_, kind)| kind)).collect()
}

/// A function of a script that the bot calls.
pub struct CalledFunction {
    /// Its file, as errors name it.
    file: String,
    line: usize,
    parameters: usize,
    /// The key under which the file returned it.
    key: &'static str,
    types: Vec<&'static str>,
}

impl CalledFunction {
    fn new(function: &mlua::Function, key: &'static str, kind: &'static str) -> Option<Self> {
        let info = function.info();
        Some(Self {
            file: info.source?.trim_start_matches('@').to_owned(),
            line: info.line_defined?,
            parameters: info.num_params.into(),
            key,
            types: parameter_types(kind),
        })
    }

    /// The function under this key of a table that is of this class.
    fn under(table: &mlua::Table, class: &str, key: &'static str) -> Option<Self> {
        let function = table.raw_get::<mlua::Function>(key).ok()?;
        Self::new(&function, key, CLASSES.get(class)?.get(key)?)
    }

    /// `route`, of what routing.lua returned.
    pub fn of_routing(value: &mlua::Value) -> Vec<Self> {
        value.as_table().and_then(|table| Self::under(table, "Routing", "route")).into_iter().collect()
    }

    /// The function that triggers.lua returned.
    pub fn of_triggers(value: &mlua::Value) -> Vec<Self> {
        let kind = TYPES.lines().find_map(|line| line.strip_prefix("---@alias Triggers "));
        let function = value.as_function().and_then(|function| Self::new(function, "", kind?));
        function.into_iter().collect()
    }

    /// The hooks of what hooks.lua returned.
    pub fn of_hooks(value: &mlua::Value) -> Vec<Self> {
        let Some(table) = value.as_table() else { return Vec::new() };
        hooks::keys().into_iter().filter_map(|key| Self::under(table, "Hooks", key)).collect()
    }

    /// The functions of what a command's file returned.
    pub fn of_command(value: &mlua::Value) -> Vec<Self> {
        fn items(table: &mlua::Table, key: &str) -> Vec<mlua::Table> {
            let list = table.raw_get::<mlua::Table>(key);
            list.map(|list| list.sequence_values().flatten().collect()).unwrap_or_default()
        }
        fn suggesting(command: &mlua::Table) -> impl Iterator<Item = CalledFunction> {
            let options = items(command, "options").into_iter();
            options.filter_map(|option| CalledFunction::under(&option, "Option", "autocomplete"))
        }
        let Some(command) = value.as_table() else { return Vec::new() };
        let mut found: Vec<Self> = Self::under(command, "Command", "run").into_iter().collect();
        found.extend(suggesting(command));
        for subcommand in items(command, "subcommands") {
            found.extend(Self::under(&subcommand, "Subcommand", "run"));
            found.extend(suggesting(&subcommand));
        }
        found
    }

    /// Where its `function` is among the words of its file, if there is no doubt.
    fn find(&self, words: &[Word<'_>]) -> Option<usize> {
        let text = |place: Option<usize>| place.and_then(|it| words.get(it)).map_or("", |word| word.text);
        let is_it = |place: &usize| {
            words[*place].text == "function"
                && words[*place].line == self.line
                && parameters(&words[*place..]).is_some_and(|(names, _)| names.len() == self.parameters)
        };
        let on_its_line: Vec<usize> = (0..words.len()).filter(is_it).collect();
        if let [only] = on_its_line[..] {
            return Some(only);
        }
        let has_key = |place: &usize| {
            text(place.checked_sub(1)) == "="
                && text(place.checked_sub(2)) == self.key
                && !self.key.is_empty()
        };
        let with_key: Vec<usize> = on_its_line.into_iter().filter(has_key).collect();
        if let [only] = with_key[..] { Some(only) } else { None }
    }
}

/// What this file reads of what its functions are given, and that is not there.
pub fn unknown_fields(file: &str, words: &[Word<'_>], called: &[CalledFunction]) -> Vec<ScriptProblem> {
    let mut problems = Vec::new();
    let mut told = BTreeSet::new();
    for function in called.iter().filter(|function| function.file == file) {
        let Some(start) = function.find(words) else { continue };
        let Some((names, head)) = parameters(&words[start..]) else { continue };
        // With the end of its head.
        let body = body(&words[start..]).get(head - 1..).unwrap_or_default();
        let rebound = declared(body);
        for (name, kind) in names.into_iter().zip(&function.types) {
            if fields_of(kind).is_none() || rebound.contains(name) || is_assigned(name, body) {
                continue;
            }
            for (place, _) in body.iter().enumerate().filter(|(_, word)| word.text == name) {
                let Some((line, path, message)) = unknown_field(body, place, kind) else { continue };
                if told.insert(path) {
                    problems.push(ScriptProblem {
                        file: file.to_owned(),
                        line: u32::try_from(line).ok(),
                        path: None,
                        message,
                        severity: Severity::Error,
                    });
                }
            }
        }
    }
    problems
}

/// The first field that is not there of what is looked up from this word on: its line, its path, and the problem.
fn unknown_field(words: &[Word<'_>], place: usize, kind: &str) -> Option<(usize, String, String)> {
    let text = |place: usize| words.get(place).map_or("", |word| word.text);
    if place > 0 && [".", ":", "::", "->"].contains(&text(place - 1)) {
        return None;
    }
    let mut path = text(place).to_owned();
    let (mut place, mut kind) = (place, kind);
    while let Some((name, fields)) = fields_of(kind) {
        let (sign, field) = (text(place + 1), text(place + 2));
        // What a script sets itself is there.
        let is_set = text(place + 3) == "=";
        if ![".", ":"].contains(&sign) || !is_name(field) || is_set {
            return None;
        }
        let Some(of_field) = fields.get(field) else {
            let known = fields.keys().copied();
            let takes_effects = name == "SuggestCtx" && CLASSES["Ctx"].contains_key(field);
            let hint = match (moved(field, fields.contains_key("author")), nearest(field, known.clone())) {
                _ if takes_effects => " in autocomplete, which can only suggest values".to_owned(),
                (Some(now), _) => format!("; it is now `{path}.{now}`"),
                (None, Some(near)) => format!(", did you mean `{path}{sign}{near}`?"),
                (None, None) if fields.len() > 10 => "; types/moonlane.d.lua lists what there is".to_owned(),
                (None, None) => format!("; there is `{}`", known.collect::<Vec<_>>().join("`, `")),
            };
            let line = words.get(place + 2).map_or(0, |word| word.line);
            let wrong = format!("{path}{sign}{field}");
            return Some((line, wrong.clone(), format!("there is no `{wrong}`{hint}")));
        };
        path = format!("{path}{sign}{field}");
        (place, kind) = (place + 2, of_field);
    }
    None
}

/// Whether the variable of this name gets another value. Keys of tables are no variables.
fn is_assigned(name: &str, words: &[Word<'_>]) -> bool {
    let is_key = |before: &str| [".", "{", ",", ";"].contains(&before);
    words.windows(3).any(|it| it[1].text == name && it[2].text == "=" && !is_key(it[0].text))
}

/// The names of the parameters of the function that begins here, and how many words its head has. `None` for a method, for
/// what it is given comes behind `self`.
fn parameters<'a>(words: &[Word<'a>]) -> Option<(Vec<&'a str>, usize)> {
    let open = words.iter().position(|word| word.text == "(")?;
    if words[..open].iter().any(|word| word.text == ":") {
        return None;
    }
    let (mut names, mut depth) = (Vec::new(), 0);
    for (place, word) in words.iter().enumerate().skip(open) {
        match word.text {
            "(" | "{" | "<" | "[" => depth += 1,
            ")" | "}" | ">" | "]" => depth -= 1,
            name if depth == 1 && ["(", ","].contains(&words[place - 1].text) && is_name(name) => {
                names.push(name);
            }
            _ => {}
        }
        if depth == 0 {
            return Some((names, place + 1));
        }
    }
    None
}

/// The function that begins here, with its `end`.
fn body<'w, 'a>(words: &'w [Word<'a>]) -> &'w [Word<'a>] {
    // Of each block that is open, whether it is an `if` that gives a value; that one has no `end`.
    let mut open = Vec::new();
    let mut else_of_value = false;
    for (place, word) in words.iter().enumerate() {
        match word.text {
            "function" | "do" | "repeat" => open.push(false),
            "if" => {
                let before = place.checked_sub(1).map_or("", |before| words[before].text);
                open.push(match before {
                    "then" => open.last() == Some(&true),
                    "else" => else_of_value,
                    "return" | "and" | "or" | "not" | "in" | "until" | "while" | "if" | "elseif" => true,
                    before => SIGNS_BEFORE_A_VALUE.contains(&before),
                });
            }
            "else" => {
                else_of_value = open.last() == Some(&true);
                if else_of_value {
                    open.pop();
                }
            }
            "end" | "until" => {
                open.pop();
                if open.is_empty() {
                    return &words[..=place];
                }
            }
            _ => {}
        }
    }
    words
}

const SIGNS_BEFORE_A_VALUE: [&str; 22] = [
    "=", "(", ",", "{", "[", "+", "-", "*", "/", "%", "^", "#", "..", "==", "~=", "<", ">", "<=", ">=", "~",
    "&", "|",
];

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    fn told(source: &str, key: &'static str, kind: &'static str) -> String {
        let line = source.lines().position(|line| line.contains("function")).unwrap() + 1;
        let words = words(source);
        let start = words.iter().position(|word| word.text == "function").unwrap();
        let parameters = parameters(&words[start..]).unwrap().0.len();
        let called =
            CalledFunction { file: "x.lua".to_owned(), line, parameters, key, types: parameter_types(kind) };
        unknown_fields("x.lua", &words, &[called]).iter().map(|problem| format!("{problem}\n")).collect()
    }

    const ROUTE: &str = "fun(message: Message, prompt: string): string?";

    #[test]
    fn what_is_not_there_is_found_however_it_is_looked_up() {
        let wrong = r#"return { route = function(message: any, prompt)
  local n = if message.txet == "" then 1 elseif prompt then 2 else if n then 3 else 4
  if message.author.nmae == "x" then return message.channel:mention() end
  local id = 5 if id then return `{message.chanel.id} {if id then "a" else message.foo}` end
  while true do repeat print(function(x) return x end, message.channel.parnet_id) until true end
  return { message = message.mentions, text = message.txet, prompt = prompt.text }
end, other = function(text) return message.none end }"#;
        insta::assert_snapshot!(told(wrong, "route", ROUTE), @"
        x.lua:2: there is no `message.txet`, did you mean `message.text`?
        x.lua:3: there is no `message.author.nmae`, did you mean `message.author.name`?
        x.lua:3: there is no `message.channel:mention`; there is `id`, `name`, `own_thread`, `parent_id`, `tags`
        x.lua:4: there is no `message.chanel`, did you mean `message.channel`?
        x.lua:4: there is no `message.foo`; there is `attachments`, `author`, `channel`, `guild_id`, `id`, `mentions_me`, `raw_text`, `text`
        x.lua:5: there is no `message.channel.parnet_id`, did you mean `message.channel.parent_id`?
        x.lua:6: there is no `message.mentions`, did you mean `message.mentions_me`?
        ");
    }

    #[test]
    fn what_may_be_there_is_left() {
        let right = r#"return { route = function(message, prompt)
  message.mine = 1
  local id, at = message.channel.parent_id or message.channel.id, message.attachments[1].nmae
  if message.text:match("x") or other.message.txet then return message.author.roles.first end
  return { message = 1, ask(message):txet() }
end }"#;
        assert_eq!(told(right, "route", ROUTE), "");
        for rebound in [
            "function(message) local message = other() return message.txet end",
            "function(message) message = other() return message.txet end",
            "function(message) for _, message in all do print(message.txet) end end",
            "function(message) return each(function(message) return message.txet end) end",
        ] {
            assert_eq!(told(rebound, "", ROUTE), "", "{rebound}");
        }
    }
}
