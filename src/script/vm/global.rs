//! The table `moonlane`, which all scripts have, hooks included: time, regular expressions, JSON, and the log.
//!
//! Each function returns `true` and its answer, or `false` and what is wrong, which `natives.lua` raises at the caller's
//! line.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use mlua::{IntoLuaMulti, Lua, LuaSerdeExt, MultiValue};
use parking_lot::Mutex;
use regex::Regex;
use serde::Deserialize;

use super::{Clock, place};
use crate::nearest::nearest;
use crate::script::data::{self, BadValue, Data, kind};
use crate::script::{lint, pattern, plain};

/// The largest compiled regular expression, in bytes.
const MAX_REGEX: usize = 128 * 1024;
/// The longest text that a regular expression searches, in bytes: longer than any message. With [`MAX_REGEX`], the worst
/// pattern takes half a second.
const MAX_TEXT: usize = 16_000;
/// How many compiled regular expressions are kept.
const KEPT: usize = 16;
/// The longest JSON text that is decoded, in bytes.
const MAX_JSON: usize = 1024 * 1024;
/// The longest line for the log, in bytes.
const MAX_LOG: usize = 2000;
/// How a time is formatted by default.
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M";
/// The longest format, in bytes.
const MAX_FORMAT: usize = 200;

/// A function of `moonlane`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script) enum MoonlaneFunction {
    /// The time, in seconds since 1970.
    ///
    /// Lua: `fun(): number`
    Now,
    /// What this regular expression, in Rust's syntax, finds first: `[0]` is all of it, `[1]` the first group; nil if it
    /// finds nothing. A pattern has at most 1000 bytes and 20 groups, a text 16,000 bytes.
    ///
    /// Lua: `fun(pattern: string, text: string): table?`
    Regex,
    /// The value as JSON.
    ///
    /// Lua: `fun(value: any): string`
    JsonEncode,
    /// The value of a JSON text.
    ///
    /// Lua: `fun(text: string): any`
    JsonDecode,
    /// The time as text: in strftime's format, "%Y-%m-%d %H:%M" by default, and in a zone such as "Europe/Paris", UTC by
    /// default.
    ///
    /// Lua: `fun(seconds: number, format?: string, zone?: string): string`
    TimeFormat,
    /// Writes a line to the log; `{ line, level = "warn" }` says how important it is. A call can write 50
    /// lines, including those of `print`; the rest are dropped.
    ///
    /// Lua: `fun(line: string|Log)`
    Log,
}

/// Every function with its name, and the key that its value stands for when it is given alone; empty if there is none.
pub(in crate::script) const MOONLANE: [(MoonlaneFunction, &str, &str); 6] = [
    (MoonlaneFunction::Now, "now", ""),
    (MoonlaneFunction::Regex, "regex", ""),
    (MoonlaneFunction::JsonEncode, "json.encode", ""),
    (MoonlaneFunction::JsonDecode, "json.decode", ""),
    (MoonlaneFunction::TimeFormat, "time.format", ""),
    (MoonlaneFunction::Log, "log", "text"),
];

/// The table `tools` of `natives.lua`.
pub(super) fn tools(lua: &Lua, clock: Arc<Clock>) -> mlua::Result<mlua::Table> {
    let tools = lua.create_table()?;
    let functions = lua.create_table()?;
    for (function, name, _) in MOONLANE {
        functions.raw_set(name, implementation(function, lua, &clock)?)?;
    }
    tools.raw_set("functions", functions)?;
    let unknown = |_: &Lua, (table, key, mut known): (String, mlua::Value, Vec<String>)| {
        let name = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
        if let Some(now) = lint::moved(&name, known.iter().any(|key| key == "author")) {
            return Ok(format!("`{table}.{name}` is now `{table}.{now}`"));
        }
        known.sort();
        let hint = match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => format!(", did you mean `{near}`?"),
            None => format!("; it has {}", known.join(", ")),
        };
        Ok(format!("`{table}` has no {}{hint}", kind(&key)))
    };
    tools.raw_set("unknown", lua.create_function(unknown)?)?;
    let not_there = |_: &Lua, (path, known): (mlua::Value, Vec<String>)| {
        let path = path.as_string().map(|path| path.to_string_lossy()).unwrap_or_default();
        Ok(data::one_line(lint::not_there(&path, known.iter().map(String::as_str))))
    };
    tools.raw_set("not_there", lua.create_function(not_there)?)?;
    let is_absent = |_: &Lua, name: mlua::Value| {
        Ok(name.as_string().is_some_and(|name| lint::is_absent(&name.to_string_lossy())))
    };
    tools.raw_set("is_absent", lua.create_function(is_absent)?)?;
    Ok(tools)
}

fn implementation(function: MoonlaneFunction, lua: &Lua, clock: &Arc<Clock>) -> mlua::Result<mlua::Function> {
    match function {
        MoonlaneFunction::Now => lua.create_function(|lua, ()| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            answer(lua, Ok(now.as_secs_f64()))
        }),
        MoonlaneFunction::Regex => {
            let kept = Mutex::new(Vec::new());
            lua.create_function(move |lua, (pattern, text): (mlua::Value, mlua::Value)| {
                answer(lua, find(lua, &kept, &pattern, &text)?)
            })
        }
        MoonlaneFunction::JsonEncode => lua.create_function(|lua, value: mlua::Value| {
            let json = data::read(&value).map_err(|bad| in_function("json.encode", &bad));
            answer(lua, json.map(|data| data.map_or(serde_json::Value::Null, json_of).to_string()))
        }),
        MoonlaneFunction::JsonDecode => {
            lua.create_function(|lua, text: mlua::Value| answer(lua, read_json(lua, &text)?))
        }
        MoonlaneFunction::TimeFormat => {
            lua.create_function(|lua, (seconds, format, zone): (mlua::Value, mlua::Value, mlua::Value)| {
                answer(lua, time(&seconds, &format, &zone).map_err(|problem| format_problem(&problem)))
            })
        }
        MoonlaneFunction::Log => {
            let clock = Arc::clone(clock);
            lua.create_function(move |lua, value: mlua::Value| {
                answer(lua, log(lua, &clock, &value).map(|()| mlua::Nil))
            })
        }
    }
}

fn answer(lua: &Lua, result: Result<impl mlua::IntoLua, String>) -> mlua::Result<MultiValue> {
    match result {
        Ok(value) => (true, value).into_lua_multi(lua),
        Err(problem) => (false, data::one_line(problem)).into_lua_multi(lua),
    }
}

fn in_function(function: &str, bad: &BadValue) -> String {
    match bad.path.as_str() {
        "" => format!("moonlane.{function}: {}", bad.message),
        path => format!("moonlane.{function}: {path}: {}", bad.message),
    }
}

/// `moonlane.regex(pattern, text)`: nil, or what was found: `[0]` all of it, `[1]`… the groups, and those with a name.
fn find(
    lua: &Lua,
    kept: &Mutex<Vec<Regex>>,
    pattern: &mlua::Value,
    text: &mlua::Value,
) -> mlua::Result<Result<mlua::Value, String>> {
    let problem = |problem: String| Ok(Err(format!("moonlane.regex: {problem}")));
    let (pattern, text) = match (data::read(pattern), data::read(text)) {
        (Ok(Some(Data::Text(pattern))), Ok(Some(Data::Text(text)))) => (pattern, text),
        (Err(bad), _) | (_, Err(bad)) => return problem(bad.message),
        _ => return problem("write moonlane.regex(pattern, text), both strings".to_owned()),
    };
    if text.len() > MAX_TEXT {
        return problem(format!("the text is longer than {MAX_TEXT} bytes"));
    }
    let mut kept = kept.lock();
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
    let problem = |problem: String| Ok(Err(format!("moonlane.json.decode: {problem}")));
    let mlua::Value::String(text) = text else {
        return problem(format!("expected a string, found {}", kind(text)));
    };
    let bytes = text.as_bytes();
    if bytes.len() > MAX_JSON {
        return problem(format!("the text is longer than {} KiB", MAX_JSON / 1024));
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

fn format_problem(problem: &str) -> String {
    format!("moonlane.time.format: {problem}")
}

/// `moonlane.time.format(seconds, format?, zone?)`.
fn time(seconds: &mlua::Value, format: &mlua::Value, zone: &mlua::Value) -> Result<String, String> {
    let seconds = match seconds {
        #[expect(clippy::cast_precision_loss, reason = "Luau's numbers are doubles already")]
        mlua::Value::Integer(seconds) => *seconds as f64,
        mlua::Value::Number(seconds) => *seconds,
        other => return Err(format!("expected seconds since 1970, found {}", kind(other))),
    };
    let format = text_or(format, TIME_FORMAT, "a format such as \"%H:%M\"")?;
    if format.len() > MAX_FORMAT {
        return Err(format!("the format has more than {MAX_FORMAT} bytes"));
    }
    let zone = text_or(zone, "UTC", "a time zone such as \"Europe/Paris\"")?;
    let zone = match zone.as_str() {
        "UTC" => TimeZone::UTC,
        name => TimeZone::get(name).map_err(|_| format!("there is no time zone {}", data::shown(name)))?,
    };
    let nanoseconds = seconds * 1e9;
    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused by `Timestamp`")]
    let time = Timestamp::from_nanosecond(nanoseconds as i128)
        .map_err(|_| format!("{seconds} seconds are not a time"))?;
    jiff::fmt::strtime::format(format.as_bytes(), &ZonedDateTime::new(time, zone)).map_err(|e| e.to_string())
}

fn text_or(value: &mlua::Value, default: &str, what: &str) -> Result<String, String> {
    match data::read(value) {
        Ok(None) => Ok(default.to_owned()),
        Ok(Some(Data::Text(text))) => Ok(text),
        Ok(Some(other)) => Err(format!("expected {what}, found {other}")),
        Err(bad) => Err(bad.message),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::script) struct RawLog {
    /// The line.
    text: String,
    /// "info" by default.
    #[serde(default)]
    level: LogLevel,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::script) enum LogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// `moonlane.log "text"`, or with a `level`.
fn log(lua: &Lua, clock: &Clock, value: &mlua::Value) -> Result<(), String> {
    let raw = data::read_with_first(value, "text").and_then(data::decode::<RawLog>);
    let RawLog { text, level } = raw.map_err(|bad| in_function("log", &bad))?;
    if !clock.may_print() {
        return Ok(());
    }
    // The levels below are the function in `natives.lua` and the script.
    let (script, line) = place(lua, 2);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = data::cut(text, MAX_LOG);
    match level {
        LogLevel::Debug => tracing::debug!(target: "moonlane::script", script, line, "{text}"),
        LogLevel::Info => tracing::info!(target: "moonlane::script", script, line, "{text}"),
        LogLevel::Warn => tracing::warn!(target: "moonlane::script", script, line, "{text}"),
        LogLevel::Error => tracing::error!(target: "moonlane::script", script, line, "{text}"),
    }
    Ok(())
}
