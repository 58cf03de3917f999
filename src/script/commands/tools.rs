//! What `ctx` can do by itself, without asking the core: time, regular expressions, JSON, and what commands there are.
//!
//! Each gives `true` and its answer, or `false` and what is wrong: `ctx.lua` raises that where the script called.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mlua::{IntoLuaMulti, Lua, LuaSerdeExt, MultiValue};
use regex::Regex;
use serde::Serialize;

use super::Entry;
use super::ctx::plain;
use crate::domain::{Command, CommandOption, OptionKind};
use crate::nearest::nearest;
use crate::script::data::{self, Data, kind};
use crate::script::effect;
use crate::script::pattern;
use crate::script::permission::permission;

/// How much a compiled regular expression may take, in bytes.
const MAX_REGEX: usize = 128 * 1024;
/// How long a text may be that a regular expression looks at, in bytes: more than the longest message. With
/// [`MAX_REGEX`], the worst pattern takes half a second for it.
const MAX_TEXT: usize = 16_000;
/// How many regular expressions are kept compiled.
const KEPT: usize = 16;
/// The longest JSON text that is read.
const MAX_JSON: usize = 1024 * 1024;

/// What is in `ctx` besides the effects.
const OWN: [&str; 11] = [
    "now",
    "regex",
    "json",
    "may",
    "commands",
    "user",
    "channel",
    "guild_id",
    "command",
    "subcommand",
    "args",
];

/// The table `tools` of `ctx.lua`.
pub fn table(lua: &Lua, entries: &Arc<[Entry]>) -> mlua::Result<mlua::Table> {
    let tools = lua.create_table()?;
    tools.raw_set(
        "now",
        lua.create_function(|_, ()| {
            Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
        })?,
    )?;
    let kept = Mutex::new(Vec::new());
    tools.raw_set(
        "regex",
        lua.create_function(move |lua, (pattern, text): (mlua::Value, mlua::Value)| {
            answer(lua, find(lua, &kept, &pattern, &text)?)
        })?,
    )?;
    tools.raw_set(
        "encode",
        lua.create_function(|lua, value: mlua::Value| {
            let json = data::read(&value).map_err(|bad| told("encode", &bad));
            answer(lua, json.map(|data| data.map_or(serde_json::Value::Null, json_of).to_string()))
        })?,
    )?;
    tools.raw_set(
        "decode",
        lua.create_function(|lua, text: mlua::Value| answer(lua, read_json(lua, &text)?))?,
    )?;
    tools.raw_set(
        "may",
        lua.create_function(|lua, (bits, name): (Option<mlua::LuaString>, mlua::Value)| {
            answer(lua, may(bits.as_ref(), &name))
        })?,
    )?;
    let entries = Arc::clone(entries);
    tools.raw_set(
        "commands",
        lua.create_function(move |lua, bits: Option<mlua::LuaString>| {
            let facts: Result<Vec<CommandFacts<'_>>, String> = bits_of(bits.as_ref())
                .map(|bits| entries.iter().map(|entry| CommandFacts::of(&entry.command, bits)).collect());
            answer(lua, facts.and_then(|facts| lua.to_value_with(&facts, plain()).map_err(|e| e.to_string())))
        })?,
    )?;
    tools.raw_set(
        "unknown",
        lua.create_function(|_, key: mlua::Value| {
            let name = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
            let known = effect::NAMES.iter().map(|(name, _)| *name).chain(OWN);
            let hint = match nearest(&name, known) {
                Some(near) => format!(", did you mean `{near}`?"),
                None => "; types/moonlane.d.lua lists what it has".to_owned(),
            };
            Ok(format!("`ctx` has no {}{hint}", kind(&key)))
        })?,
    )?;
    Ok(tools)
}

fn answer(lua: &Lua, result: Result<impl mlua::IntoLua, String>) -> mlua::Result<MultiValue> {
    match result {
        Ok(value) => (true, value).into_lua_multi(lua),
        Err(problem) => (false, data::told(problem)).into_lua_multi(lua),
    }
}

fn told(function: &str, bad: &data::BadValue) -> String {
    match bad.path.as_str() {
        "" => format!("ctx.json.{function}: {}", bad.message),
        path => format!("ctx.json.{function}: {path}: {}", bad.message),
    }
}

/// `ctx:regex(pattern, text)`: nil, or what was found: `[0]` all of it, `[1]`… the groups, and those with a name.
fn find(
    lua: &Lua,
    kept: &Mutex<Vec<Regex>>,
    pattern: &mlua::Value,
    text: &mlua::Value,
) -> mlua::Result<Result<mlua::Value, String>> {
    let problem = |problem: String| Ok(Err(format!("ctx:regex: {problem}")));
    let (pattern, text) = match (data::read(pattern), data::read(text)) {
        (Ok(Some(Data::Text(pattern))), Ok(Some(Data::Text(text)))) => (pattern, text),
        (Err(bad), _) | (_, Err(bad)) => return problem(bad.message),
        _ => return problem("write ctx:regex(pattern, text), both strings".to_owned()),
    };
    if text.len() > MAX_TEXT {
        return problem(format!("the text has more than {MAX_TEXT} bytes"));
    }
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let regex = match kept.iter().position(|regex| regex.as_str() == pattern) {
        Some(place) => kept.remove(place),
        None => match pattern::compile(&pattern, MAX_REGEX) {
            Ok(regex) => regex,
            Err(bad) => return problem(bad),
        },
    };
    let found = lua.create_table()?;
    let captures = regex.captures(&text);
    for (place, group) in captures.iter().flat_map(|captures| captures.iter().enumerate()) {
        found.raw_set(place, group.map(|group| group.as_str()))?;
    }
    for name in regex.capture_names().flatten() {
        let group = captures.as_ref().and_then(|captures| captures.name(name));
        found.raw_set(name, group.map(|group| group.as_str()))?;
    }
    let none = captures.is_none();
    kept.truncate(KEPT - 1);
    kept.insert(0, regex);
    Ok(Ok(if none { mlua::Nil } else { mlua::Value::Table(found) }))
}

fn read_json(lua: &Lua, text: &mlua::Value) -> mlua::Result<Result<mlua::Value, String>> {
    let problem = |problem: String| Ok(Err(format!("ctx.json.decode: {problem}")));
    let mlua::Value::String(text) = text else {
        return problem(format!("expected a string, found {}", kind(text)));
    };
    let bytes = text.as_bytes();
    if bytes.len() > MAX_JSON {
        return problem(format!("the text has more than {} KiB", MAX_JSON / 1024));
    }
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(value) => lua.to_value_with(&value, plain()).map(Ok),
        Err(e) => problem(e.to_string()),
    }
}

fn json_of(data: Data) -> serde_json::Value {
    use serde_json::Value;
    match data {
        Data::Bool(b) => Value::from(b),
        #[expect(clippy::cast_possible_truncation, reason = "whole, and small enough to be exact")]
        Data::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => Value::from(n as i64),
        Data::Number(n) => Value::from(n),
        Data::Text(text) => Value::from(text),
        Data::List(items) => items.into_iter().map(json_of).collect(),
        Data::Map(fields) => fields.into_iter().map(|(key, value)| (key, json_of(value))).collect(),
        Data::Empty => Value::Object(serde_json::Map::new()),
        Data::Function => Value::Null,
    }
}

fn may(bits: Option<&mlua::LuaString>, name: &mlua::Value) -> Result<bool, String> {
    let bits = bits_of(bits)?;
    let Some(name) = name.as_string() else {
        return Err(format!("ctx:may: expected the name of a permission, found {}", kind(name)));
    };
    let needed = permission(&name.to_string_lossy()).map_err(|bad| format!("ctx:may: {}", bad.message))?;
    Ok(needed.is_in(bits))
}

/// The bits cross as text: a double could not hold all 64.
fn bits_of(bits: Option<&mlua::LuaString>) -> Result<u64, String> {
    let bits = bits.and_then(|bits| bits.to_string_lossy().parse().ok());
    bits.ok_or_else(|| "write it with a colon, such as ctx:may(\"manage_messages\")".to_owned())
}

/// A command, as scripts see it.
#[derive(Serialize)]
pub struct CommandFacts<'a> {
    name: &'a str,
    description: &'a str,
    options: Vec<OptionFacts<'a>>,
    subcommands: Vec<SubcommandFacts<'a>>,
    permission: Option<&'static str>,
    guild_only: bool,
    /// Whether the person who uses the present command may use this one.
    allowed: bool,
}

/// A subcommand, as scripts see it.
#[derive(Serialize)]
pub struct SubcommandFacts<'a> {
    name: &'a str,
    description: &'a str,
    options: Vec<OptionFacts<'a>>,
}

/// An option, as scripts see it.
#[derive(Serialize)]
pub struct OptionFacts<'a> {
    name: &'a str,
    description: &'a str,
    r#type: OptionKind,
    required: bool,
}

impl<'a> CommandFacts<'a> {
    /// The facts about this command for somebody with these permissions.
    pub fn of(command: &'a Command, permissions: u64) -> Self {
        let subcommands = command.subcommands.iter().map(|sub| SubcommandFacts {
            name: &sub.name,
            description: &sub.description,
            options: options(&sub.options),
        });
        Self {
            name: &command.name,
            description: &command.description,
            options: options(&command.options),
            subcommands: subcommands.collect(),
            permission: command.permission.map(|permission| permission.name),
            guild_only: command.guild_only,
            allowed: command.permission.is_none_or(|needed| needed.is_in(permissions)),
        }
    }
}

fn options(options: &[CommandOption]) -> Vec<OptionFacts<'_>> {
    let facts = options.iter().map(|option| OptionFacts {
        name: &option.name,
        description: &option.description,
        r#type: option.kind,
        required: option.required,
    });
    facts.collect()
}
