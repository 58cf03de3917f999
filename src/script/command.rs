//! What a file in `commands/` returns: one slash command, decoded and checked. The structs here are the format:
//! their fields are the keys that a script may use. Whatever Discord would refuse when the command is registered is
//! refused here, with its limits as in its documentation ("Application Commands").

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use super::data::{self, BadValue, Data, Function, kind, shown};
use super::permission::permission;
use crate::domain::{Choice, Command, CommandOption, OptionKind, OptionValue, Subcommand};

/// How many commands can be registered.
pub const MAX_COMMANDS: usize = 100;
/// How many options, subcommands or choices stand in one list.
const MAX_LISTED: usize = 25;
/// The characters of all names, descriptions and values of one command together.
const MAX_CHARS: usize = 8000;
/// The characters of a description, of a choice's name, and of a choice's value where it is a text.
const MAX_LINE: usize = 100;
/// The longest text that an option can be.
const MAX_TEXT: f64 = 6000.0;
/// The greatest number, in both directions: all whole numbers up to it are exact doubles.
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
pub fn decode(value: &mlua::Value) -> Result<Command, BadValue> {
    let form = "must end with `return { name = …, description = …, run = function(ctx, args) … end }`";
    if !matches!(value, mlua::Value::Table(_)) {
        return Err(BadValue::here(format!("{form}; it returned {}", kind(value))));
    }
    let raw: RawCommand = match data::read_code(value)? {
        Some(data @ (Data::Map(_) | Data::Empty)) => data::decode(data)?,
        _ => return Err(BadValue::here(format!("{form}; it returned a list"))),
    };
    check_name(&raw.name).map_err(|e| e.under("name"))?;
    check_line(&raw.description).map_err(|e| e.under("description"))?;
    let permission =
        raw.permission.as_deref().map(permission).transpose().map_err(|e| e.under("permission"))?;
    match (&raw.run, raw.subcommands.is_empty()) {
        (None, true) => {
            return Err(BadValue::here("`run` is missing: `run = function(ctx, args) … end`"));
        }
        (Some(_), false) => {
            let problem = "a command with subcommands cannot be used by itself; put `run` into each of them";
            return Err(BadValue::here(problem).under("run"));
        }
        _ => {}
    }
    if !raw.subcommands.is_empty() && !raw.options.is_empty() {
        let problem = "a command with subcommands has none of its own; put them into the subcommands";
        return Err(BadValue::here(problem).under("options"));
    }
    let options = options(raw.options).map_err(|e| e.under("options"))?;
    let subcommands = subcommands(raw.subcommands).map_err(|e| e.under("subcommands"))?;
    let command = Command {
        name: raw.name,
        description: raw.description,
        options,
        subcommands,
        permission,
        guild_only: raw.guild_only,
    };
    match chars(&command) {
        ..=MAX_CHARS => Ok(command),
        chars => Err(BadValue::here(format!(
            "all names, descriptions and values of a command together have at most {MAX_CHARS} characters, not {chars}"
        ))),
    }
}

fn subcommands(raw: Vec<RawSubcommand>) -> Result<Vec<Subcommand>, BadValue> {
    check_count(raw.len())?;
    let mut seen = BTreeMap::new();
    let each = (1..).zip(raw).map(|(place, raw)| {
        let at = |key: &'static str| move |problem: BadValue| problem.under(key);
        let checked = check_name(&raw.name).and_then(|()| only_once(&raw.name, place, &mut seen));
        let result = checked.map_err(at("name")).and_then(|()| {
            check_line(&raw.description).map_err(at("description"))?;
            if raw.run.is_none() {
                return Err(BadValue::here("`run` is missing: `run = function(ctx, args) … end`"));
            }
            let options = options(raw.options).map_err(at("options"))?;
            Ok(Subcommand { name: raw.name, description: raw.description, options })
        });
        result.map_err(|e| e.under(&format!("[{place}]")))
    });
    each.collect()
}

fn options(raw: Vec<RawOption>) -> Result<Vec<CommandOption>, BadValue> {
    check_count(raw.len())?;
    let mut seen = BTreeMap::new();
    let mut optional: Option<String> = None;
    let mut options = Vec::new();
    for (place, raw) in (1..).zip(raw) {
        let name = raw.name.clone();
        let option = option(raw).and_then(|option| {
            only_once(&name, place, &mut seen).map_err(|e| e.under("name"))?;
            match &optional {
                Some(before) if option.required => {
                    let problem = format!("required options come first; move it before {}", shown(before));
                    Err(BadValue::here(problem).under("required"))
                }
                _ => Ok(option),
            }
        });
        let option = option.map_err(|e| e.under(&format!("[{place}]")))?;
        if !option.required {
            optional.get_or_insert(name);
        }
        options.push(option);
    }
    Ok(options)
}

fn option(raw: RawOption) -> Result<CommandOption, BadValue> {
    let at = |key: &'static str| move |problem: BadValue| problem.under(key);
    check_name(&raw.name).map_err(at("name"))?;
    check_line(&raw.description).map_err(at("description"))?;
    let kind = raw.r#type;
    let only_for_values = || match kind {
        OptionKind::String | OptionKind::Integer | OptionKind::Number => Ok(()),
        _ => Err(BadValue::here("is for the types string, integer and number only")),
    };
    let autocomplete = raw.autocomplete.is_some();
    if autocomplete {
        only_for_values().map_err(at("autocomplete"))?;
        if raw.choices.is_some() {
            let problem = "is not possible together with `choices`: leave out one of them";
            return Err(BadValue::here(problem).under("autocomplete"));
        }
    }
    let mut choices = Vec::new();
    if let Some(raw) = raw.choices {
        only_for_values().map_err(at("choices"))?;
        check_count(raw.len()).map_err(at("choices"))?;
        choices = self::choices(raw, kind).map_err(at("choices"))?;
        let mut seen = BTreeMap::new();
        for (place, choice) in (1..).zip(&choices) {
            let path = format!("choices[{place}].name");
            only_once(&choice.name, place, &mut seen).map_err(|e| e.under(&path))?;
        }
    }
    for (key, bound) in [("min", raw.min), ("max", raw.max)] {
        if let Some(bound) = bound {
            only_for_values().and_then(|()| check_bound(key, bound, kind)).map_err(|e| e.under(key))?;
        }
    }
    if let (Some(min), Some(max)) = (raw.min, raw.max)
        && min > max
    {
        return Err(BadValue::here(format!("must not be greater than `max`, which is {max}")).under("min"));
    }
    Ok(CommandOption {
        name: raw.name,
        description: raw.description,
        kind,
        required: raw.required,
        choices,
        min: raw.min,
        max: raw.max,
        autocomplete,
    })
}

/// What an `autocomplete` function returned, as suggestions for an option of this kind: the first 25.
pub fn suggestions(value: Option<Data>, kind: OptionKind) -> Result<Vec<Choice>, BadValue> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if !matches!(value, Data::List(_) | Data::Empty) {
        return Err(BadValue::here(format!("expected a list of suggestions or nil, found {value}")));
    }
    let mut raw: Vec<ValueOrChoice> = data::decode(value)?;
    // A script may leave it to Discord how many there can be.
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
            let rule = "of a string is its length: a whole number from";
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

/// Discord's own expression; what has a lower-case form must be in it.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$").expect("it is a constant that the tests use")
});

/// Whether this can be the name of a command, subcommand or option.
fn check_name(name: &str) -> Result<(), BadValue> {
    let fits = |name: &str| NAME.is_match(name) && name.to_lowercase() == name;
    if fits(name) {
        return Ok(());
    }
    let rule = "a name has 1 to 32 lower-case letters, digits, `-` or `_`";
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
        Some(first) => Err(BadValue::here(format!("{} is also the name of number {first}", shown(name)))),
    }
}

/// The characters that Discord counts.
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

/// That another file has a command of this name already.
pub fn named_twice(name: &str, other: &str) -> BadValue {
    BadValue::here(format!("{other} has a command {} already", shown(name))).under("name")
}
