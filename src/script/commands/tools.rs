//! What `ctx` can do without asking the core: check a permission, and list the commands.
//!
//! Each function returns `true` and its answer, or `false` and what is wrong, which `ctx.lua` raises at the caller's line.

use std::sync::Arc;

use mlua::{IntoLuaMulti, Lua, LuaSerdeExt, MultiValue};
use serde::Serialize;

use super::CommandFile;
use crate::domain::{Command, CommandOption, OptionKind};
use crate::nearest::nearest;
use crate::script::data::{self, kind};
use crate::script::permission::permission;
use crate::script::{effect, plain};

/// A function of `ctx` that asks the core for nothing, so that `autocomplete` can use it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CtxTool {
    /// Whether the person has this Discord permission here, such as "manage_messages".
    ///
    /// Lua: `fun(self: Ctx, permission: string): boolean`
    May,
    /// All commands.
    ///
    /// Lua: `fun(self: Ctx): CommandInfo[]`
    Commands,
}

/// Every one with its name, and the name of its value.
const TOOLS: [(CtxTool, &str, &str); 2] =
    [(CtxTool::May, "may", "permission"), (CtxTool::Commands, "commands", "")];

/// What is in `ctx` besides functions.
const FACTS: [&str; 6] = ["user", "channel", "guild_id", "command", "subcommand", "args"];

/// What `ctx` used to have, and what to write now.
const MOVED: [(&str, &str); 5] = [
    ("follow_up", "ctx:reply"),
    ("now", "moonlane.now"),
    ("regex", "moonlane.regex"),
    ("json", "moonlane.json"),
    ("log", "moonlane.log"),
];

/// The names of the functions that need no effect.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(_, name, _)| *name)
}

/// The table `tools` of `ctx.lua`.
pub fn table(lua: &Lua, entries: &Arc<[CommandFile]>) -> mlua::Result<mlua::Table> {
    let tools = lua.create_table()?;
    let own = lua.create_table()?;
    for (tool, name, _) in TOOLS {
        own.raw_set(name, implementation(tool, lua, entries)?)?;
    }
    tools.raw_set("own", own)?;
    tools.raw_set(
        "unknown",
        lua.create_function(|_, key: mlua::Value| {
            let name = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
            if let Some((_, now)) = MOVED.iter().find(|(old, _)| *old == name) {
                return Ok(format!("`ctx.{name}` is now `{now}`"));
            }
            let known = effect::names().chain(names()).chain(FACTS);
            let hint = match nearest(&name, known) {
                Some(near) => format!(", did you mean `{near}`?"),
                None => "; types/moonlane.d.lua lists what it has".to_owned(),
            };
            Ok(format!("`ctx` has no {}{hint}", kind(&key)))
        })?,
    )?;
    Ok(tools)
}

/// A function that is called with the bits of the person's permissions, and the value that it was given.
fn implementation(tool: CtxTool, lua: &Lua, entries: &Arc<[CommandFile]>) -> mlua::Result<mlua::Function> {
    match tool {
        CtxTool::May => lua.create_function(|lua, (bits, name): (Option<mlua::LuaString>, mlua::Value)| {
            answer(lua, may(bits.as_ref(), &name))
        }),
        CtxTool::Commands => {
            let entries = Arc::clone(entries);
            lua.create_function(move |lua, bits: Option<mlua::LuaString>| {
                let facts: Result<Vec<CommandInfo<'_>>, String> = bits_of(bits.as_ref())
                    .map(|bits| entries.iter().map(|entry| CommandInfo::of(&entry.command, bits)).collect());
                answer(
                    lua,
                    facts.and_then(|facts| lua.to_value_with(&facts, plain()).map_err(|e| e.to_string())),
                )
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

fn may(bits: Option<&mlua::LuaString>, name: &mlua::Value) -> Result<bool, String> {
    let bits = bits_of(bits)?;
    let Some(name) = name.as_string() else {
        return Err(format!("ctx:may: expected the name of a permission, found {}", kind(name)));
    };
    let needed = permission(&name.to_string_lossy()).map_err(|bad| format!("ctx:may: {}", bad.message))?;
    Ok(needed.is_in(bits))
}

/// The bits are passed as text, because a double cannot hold all 64.
fn bits_of(bits: Option<&mlua::LuaString>) -> Result<u64, String> {
    let bits = bits.and_then(|bits| bits.to_string_lossy().parse().ok());
    bits.ok_or_else(|| "write it with a colon, such as ctx:may(\"manage_messages\")".to_owned())
}

/// A command, as other commands see it.
#[derive(Serialize)]
pub struct CommandInfo<'a> {
    name: &'a str,
    description: &'a str,
    options: Vec<OptionInfo<'a>>,
    subcommands: Vec<SubcommandInfo<'a>>,
    /// The permission that it takes.
    permission: Option<&'static str>,
    guild_only: bool,
    /// Whether this person has the permission.
    allowed: bool,
}

#[derive(Serialize)]
pub struct SubcommandInfo<'a> {
    name: &'a str,
    description: &'a str,
    options: Vec<OptionInfo<'a>>,
}

#[derive(Serialize)]
pub struct OptionInfo<'a> {
    name: &'a str,
    description: &'a str,
    r#type: OptionKind,
    required: bool,
}

impl<'a> CommandInfo<'a> {
    /// The facts about this command for somebody with these permissions.
    pub fn of(command: &'a Command, permissions: u64) -> Self {
        let subcommands = command.subcommands.iter().map(|sub| SubcommandInfo {
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

fn options(options: &[CommandOption]) -> Vec<OptionInfo<'_>> {
    let facts = options.iter().map(|option| OptionInfo {
        name: &option.name,
        description: &option.description,
        r#type: option.kind,
        required: option.required,
    });
    facts.collect()
}
