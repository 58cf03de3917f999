//! What a file in `commands/` returns: one slash command, decoded and checked. The structs here are the format: their fields
//! are the keys that a script can use. Whatever Discord would refuse when the command is registered is refused here already,
//! by the limits in Discord's documentation ("Application Commands").

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use super::data::{self, BadValue, Data, Found, Function, kind, shown};
use super::permission::permission;
use crate::domain::{Choice, Command, CommandOption, OptionKind, OptionValue, Subcommand};

/// How many commands can be registered.
pub const MAX_COMMANDS: usize = 100;
/// How many options, subcommands or choices a list can have.
const MAX_LISTED: usize = 25;
/// The characters in all names, descriptions and values of a command together.
const MAX_CHARS: usize = 8000;
/// The characters in a description, in a choice's name, and in a choice's value if it is a string.
const MAX_LINE: usize = 100;
/// The greatest length of a string option.
const MAX_TEXT: f64 = 6000.0;
/// The greatest number, in either direction: whole numbers up to it are exact as doubles.
const MAX_NUMBER: f64 = 9_007_199_254_740_992.0;

/// What a file in commands/ returns: one slash command. It has either `run`, or subcommands that do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawCommand {
    /// 1 to 32 lower-case letters, digits, `-` or `_`.
    name: String,
    /// 1 to 100 characters.
    description: String,
    /// At most 25, the required ones first.
    #[serde(default)]
    options: Vec<RawOption>,
    /// At most 25; the command itself then has neither options nor `run`.
    #[serde(default)]
    subcommands: Vec<RawSubcommand>,
    /// What a person needs to use it: Discord's name of the permission in lower case, such as "manage_messages".
    permission: Option<String>,
    /// Whether it is kept out of direct messages.
    #[serde(default)]
    guild_only: bool,
    /// What it does.
    ///
    /// Lua: `fun(ctx: Ctx, args: table<string, any>)`
    run: Option<Function>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawSubcommand {
    name: String,
    description: String,
    /// At most 25, the required ones first.
    #[serde(default)]
    options: Vec<RawOption>,
    /// What it does; never absent.
    ///
    /// Lua: `fun(ctx: Ctx, args: table<string, any>)`
    run: Option<Function>,
}

/// Something that is given with a command. It is in `args` under its name; a user is there as a Person, a channel as a
/// Channel, a role as a Role.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawOption {
    /// As for a command.
    name: String,
    /// As for a command.
    description: String,
    /// "string" by default.
    #[serde(default)]
    r#type: OptionKind,
    /// Whether Discord insists on it.
    #[serde(default)]
    required: bool,
    /// The only values, for strings and numbers: at most 25.
    choices: Option<Vec<ValueOrChoice>>,
    /// The least number, or the least length of a string.
    min: Option<f64>,
    /// The greatest number, or the greatest length of a string.
    max: Option<f64>,
    /// Suggests values while somebody types; the first 25 count.
    ///
    /// Lua: `fun(ctx: SuggestCtx, typed: string): (string|number|Choice)[]?`
    autocomplete: Option<Function>,
}

/// A value alone, which is its own name, or both.
///
/// Lua: `string|number|Choice`
enum ValueOrChoice {
    Value(RawValue),
    Named(RawChoice),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawChoice {
    /// What people see.
    name: String,
    /// What the command gets.
    value: RawValue,
}

/// The value of a choice.
///
/// Lua: `string|number`
enum RawValue {
    Text(String),
    Number(f64),
}

impl<'de> Deserialize<'de> for ValueOrChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChoiceVisitor;

        impl<'de> Visitor<'de> for ChoiceVisitor {
            type Value = ValueOrChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or { name = …, value = … }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ValueOrChoice, E> {
                Ok(ValueOrChoice::Value(RawValue::Text(text.to_owned())))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<ValueOrChoice, E> {
                Ok(ValueOrChoice::Value(RawValue::Number(number)))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ValueOrChoice, A::Error> {
                RawChoice::deserialize(MapAccessDeserializer::new(map)).map(ValueOrChoice::Named)
            }
        }

        deserializer.deserialize_any(ChoiceVisitor)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl Visitor<'_> for ValueVisitor {
            type Value = RawValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawValue, E> {
                Ok(RawValue::Text(text.to_owned()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<RawValue, E> {
                Ok(RawValue::Number(number))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Decodes what the file of a command returned.
///
/// # Errors
/// Every problem that it has.
pub fn decode(value: &mlua::Value) -> Result<Command, Vec<BadValue>> {
    let mut found = Found::default();
    match command(value, &mut found) {
        Some(command) if found.0.is_empty() => Ok(command),
        _ => Err(found.0),
    }
}

fn command(value: &mlua::Value, found: &mut Found) -> Option<Command> {
    let form = "must end with `return { name = …, description = …, run = function(ctx, args) … end }`";
    if !matches!(value, mlua::Value::Table(_)) {
        found.add("", BadValue::here(format!("{form}; it returned {}", kind(value))));
        return None;
    }
    let raw: RawCommand = match data::read_all(value, &mut found.0)? {
        data @ (Data::Map(_) | Data::Empty) => data::decode_all(data, &mut found.0)?,
        _ => {
            found.add("", BadValue::here(format!("{form}; it returned a list")));
            return None;
        }
    };
    found.or((), "name", check_name(&raw.name));
    found.or((), "description", check_line(&raw.description));
    let permission = found.or_none("permission", raw.permission.as_deref().map(permission));
    match (&raw.run, raw.subcommands.is_empty()) {
        (None, true) => found.add("", BadValue::here(NO_RUN)),
        (Some(_), false) => {
            let problem = "a command with subcommands cannot be used on its own; put `run` into each of them";
            found.add("run", BadValue::here(problem));
        }
        _ => {}
    }
    if !raw.subcommands.is_empty() && !raw.options.is_empty() {
        let problem = "a command with subcommands has no options of its own; put them into the subcommands";
        found.add("options", BadValue::here(problem));
    }
    let command = Command {
        name: raw.name,
        description: raw.description,
        options: options(raw.options, "options", found),
        subcommands: subcommands(raw.subcommands, found),
        permission,
        guild_only: raw.guild_only,
    };
    let chars = chars(&command);
    if chars > MAX_CHARS {
        let problem = format!(
            "all names, descriptions and values of a command together have at most {MAX_CHARS} characters, not {chars}"
        );
        found.add("", BadValue::here(problem));
    }
    Some(command)
}

const NO_RUN: &str = "`run` is missing: `run = function(ctx, args) … end`";

fn subcommands(raw: Vec<RawSubcommand>, found: &mut Found) -> Vec<Subcommand> {
    found.or((), "subcommands", check_count(raw.len()));
    let mut seen = BTreeMap::new();
    let each = (1..).zip(raw).map(|(place, raw)| {
        let at = |key: &str| format!("subcommands[{place}]{key}");
        let name = check_name(&raw.name).and_then(|()| only_once(&raw.name, place, &mut seen));
        found.or((), &at(".name"), name);
        found.or((), &at(".description"), check_line(&raw.description));
        if raw.run.is_none() {
            found.add(&at(""), BadValue::here(NO_RUN));
        }
        let options = options(raw.options, &at(".options"), found);
        Subcommand { name: raw.name, description: raw.description, options }
    });
    each.collect()
}

fn options(raw: Vec<RawOption>, path: &str, found: &mut Found) -> Vec<CommandOption> {
    found.or((), path, check_count(raw.len()));
    let mut seen = BTreeMap::new();
    let mut optional: Option<String> = None;
    let mut options = Vec::new();
    for (place, raw) in (1..).zip(raw) {
        let at = format!("{path}[{place}]");
        let name = check_name(&raw.name).and_then(|()| only_once(&raw.name, place, &mut seen));
        found.or((), &format!("{at}.name"), name);
        match &optional {
            Some(before) if raw.required => {
                let problem = format!("required options come first; move it before {}", shown(before));
                found.add(&format!("{at}.required"), BadValue::here(problem));
            }
            None if !raw.required => optional = Some(raw.name.clone()),
            _ => {}
        }
        options.push(option(raw, &at, found));
    }
    options
}

fn option(raw: RawOption, path: &str, found: &mut Found) -> CommandOption {
    let at = |key: &str| format!("{path}.{key}");
    found.or((), &at("description"), check_line(&raw.description));
    let kind = raw.r#type;
    let only_for_values = || match kind {
        OptionKind::String | OptionKind::Integer | OptionKind::Number => Ok(()),
        _ => Err(BadValue::here("is only for the types string, integer and number")),
    };
    let autocomplete = raw.autocomplete.is_some();
    if autocomplete {
        let alone = match raw.choices {
            Some(_) => Err(BadValue::here("cannot be combined with `choices`; leave out one of them")),
            None => Ok(()),
        };
        found.or((), &at("autocomplete"), only_for_values().and(alone));
    }
    let mut choices = Vec::new();
    if let Some(raw) = raw.choices {
        let checked = only_for_values().and_then(|()| check_count(raw.len()));
        choices = found.or(Vec::new(), &at("choices"), checked.and_then(|()| self::choices(raw, kind)));
        let mut seen = BTreeMap::new();
        for (place, choice) in (1..).zip(&choices) {
            let path = at(&format!("choices[{place}].name"));
            found.or((), &path, only_once(&choice.name, place, &mut seen));
        }
    }
    for (key, bound) in [("min", raw.min), ("max", raw.max)] {
        if let Some(bound) = bound {
            found.or((), &at(key), only_for_values().and_then(|()| check_bound(key, bound, kind)));
        }
    }
    if let (Some(min), Some(max)) = (raw.min, raw.max)
        && min > max
    {
        let problem = format!("must not be greater than `max`, which is {max}");
        found.add(&at("min"), BadValue::here(problem));
    }
    CommandOption {
        name: raw.name,
        description: raw.description,
        kind,
        required: raw.required,
        choices,
        min: raw.min,
        max: raw.max,
        autocomplete,
    }
}

/// What an `autocomplete` function returned, as suggestions for an option of this kind; only the first 25.
pub fn suggestions(value: Option<Data>, kind: OptionKind) -> Result<Vec<Choice>, BadValue> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if !matches!(value, Data::List(_) | Data::Empty) {
        return Err(BadValue::here(format!("expected a list of suggestions or nil, found {value}")));
    }
    let mut raw: Vec<ValueOrChoice> = data::decode(value)?;
    // Scripts need not count.
    raw.truncate(MAX_LISTED);
    choices(raw, kind)
}

fn choices(raw: Vec<ValueOrChoice>, kind: OptionKind) -> Result<Vec<Choice>, BadValue> {
    let each = (1..).zip(raw).map(|(place, raw)| {
        let result = match raw {
            ValueOrChoice::Named(raw) => check_line(&raw.name)
                .map_err(|e| e.under("name"))
                .and_then(|()| Ok((raw.name, choice(raw.value, kind).map_err(|e| e.under("value"))?))),
            ValueOrChoice::Value(raw) => {
                let name = match &raw {
                    RawValue::Text(text) => text.clone(),
                    RawValue::Number(number) => number.to_string(),
                };
                choice(raw, kind).map(|value| (name, value))
            }
        };
        let named = result.map(|(name, value)| Choice { name, value });
        named.map_err(|e| e.under(&format!("[{place}]")))
    });
    each.collect()
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be in range and whole")]
fn choice(raw: RawValue, kind: OptionKind) -> Result<OptionValue, BadValue> {
    match (raw, kind) {
        (RawValue::Text(text), OptionKind::String) => {
            check_line(&text)?;
            Ok(OptionValue::Text(text))
        }
        (RawValue::Number(number), OptionKind::Integer) => {
            check_number(number, true)?;
            Ok(OptionValue::Integer(number as i64))
        }
        (RawValue::Number(number), OptionKind::Number) => {
            check_number(number, false)?;
            Ok(OptionValue::Number(number))
        }
        (RawValue::Text(text), _) => Err(BadValue::here(format!(
            "expected a number, as the option's type says, found {}",
            shown(&text)
        ))),
        (RawValue::Number(number), _) => Err(BadValue::here(format!(
            "expected a string, as the option's type says, found the number {number}"
        ))),
    }
}

fn check_bound(key: &str, bound: f64, kind: OptionKind) -> Result<(), BadValue> {
    let least = if key == "min" { 0.0 } else { 1.0 };
    match kind {
        OptionKind::String if bound.fract() != 0.0 || !(least..=MAX_TEXT).contains(&bound) => {
            let rule = "of a string limits its length: a whole number from";
            Err(BadValue::here(format!("{rule} {least} to {MAX_TEXT}")))
        }
        OptionKind::String => Ok(()),
        kind => check_number(bound, kind == OptionKind::Integer),
    }
}

fn check_number(number: f64, whole: bool) -> Result<(), BadValue> {
    if !(-MAX_NUMBER..=MAX_NUMBER).contains(&number) {
        return Err(BadValue::here("must be a number between -2^53 and 2^53"));
    }
    if whole && number.fract() != 0.0 {
        return Err(BadValue::here("must be a whole number, as the option's type says"));
    }
    Ok(())
}

/// Discord's own expression. Besides, whatever has a lower-case form must be in it.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$").expect("it is a constant, and tests use it")
});

/// Whether this can be the name of a command, subcommand or option.
fn check_name(name: &str) -> Result<(), BadValue> {
    let fits = |name: &str| NAME.is_match(name) && name.to_lowercase() == name;
    if fits(name) {
        return Ok(());
    }
    let rule = "a name consists of 1 to 32 lower-case letters, digits, `-` or `_`";
    let better: String = name.trim().to_lowercase().split_whitespace().collect::<Vec<_>>().join("-");
    Err(BadValue::here(match fits(&better) {
        true => format!("{rule}: {better:?}"),
        false => format!("{rule}; found {}", shown(name)),
    }))
}

fn check_line(text: &str) -> Result<(), BadValue> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Err(BadValue::here("must not be empty")),
        ..=MAX_LINE => Ok(()),
        chars => Err(BadValue::here(format!("has at most {MAX_LINE} characters, not {chars}"))),
    }
}

fn check_count(count: usize) -> Result<(), BadValue> {
    match count {
        ..=MAX_LISTED => Ok(()),
        _ => Err(BadValue::here(format!("there are at most {MAX_LISTED}, not {count}"))),
    }
}

fn only_once(name: &str, place: usize, seen: &mut BTreeMap<String, usize>) -> Result<(), BadValue> {
    match seen.insert(name.to_owned(), place) {
        None => Ok(()),
        Some(first) => Err(BadValue::here(format!("{} is already the name of number {first}", shown(name)))),
    }
}

/// The characters as Discord counts them.
fn chars(command: &Command) -> usize {
    let both = |name: &str, description: &str| name.chars().count() + description.chars().count();
    let value = |choice: &Choice| match &choice.value {
        OptionValue::Text(text) => both(&choice.name, text),
        _ => choice.name.chars().count(),
    };
    let option = |option: &CommandOption| {
        both(&option.name, &option.description) + option.choices.iter().map(value).sum::<usize>()
    };
    let options = |options: &[CommandOption]| options.iter().map(option).sum::<usize>();
    let subcommand = |sub: &Subcommand| both(&sub.name, &sub.description) + options(&sub.options);
    both(&command.name, &command.description)
        + options(&command.options)
        + command.subcommands.iter().map(subcommand).sum::<usize>()
}

/// The problem that another file already has a command of this name.
pub fn named_twice(name: &str, other: &str) -> BadValue {
    BadValue::here(format!("{other} has a command {} already", shown(name))).under("name")
}
