//! The table that commands know as `ctx`.

use std::collections::BTreeMap;
use std::sync::Arc;

use mlua::{Lua, LuaSerdeExt};
use serde::Serialize;

use super::{CommandCall, CommandFile, tools};
use crate::domain::{Author, GuildId, NamedChannel, NamedRole, OptionValue};
use crate::script::problem::LuaFailure;
use crate::script::vm::Vm;
use crate::script::{effect, plain};

/// The function of `ctx.lua` that makes a `ctx`, in the VM's registry.
const MAKE_CTX: &str = "moonlane.ctx";

/// A use of a command. Most of its functions ask the bot for something: they wait for the answer, and raise an error if the
/// bot refuses; what a script does not catch, the person is told. They take one value, or a table of keys whose first item
/// is that value. One use of a command can call them 500 times in all.
#[derive(Serialize)]
pub struct CtxFacts<'a> {
    pub command: &'a str,
    pub subcommand: Option<&'a str>,
    pub args: BTreeMap<&'a str, Arg<'a>>,
    /// Who used the command.
    pub user: &'a Author,
    pub channel: NamedChannel,
    /// nil in direct messages.
    pub guild_id: Option<GuildId>,
}

/// The value of an option.
///
/// Lua: `any`
#[derive(Serialize)]
#[serde(untagged)]
pub enum Arg<'a> {
    Text(&'a str),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Person(&'a Author),
    Channel(&'a NamedChannel),
    Role(&'a NamedRole),
}

impl<'a> CtxFacts<'a> {
    pub fn of(call: &'a CommandCall) -> Self {
        let args = call.invocation.options.iter().map(|(name, value)| {
            let arg = match value {
                OptionValue::Text(text) => Arg::Text(text),
                OptionValue::Integer(number) => Arg::Integer(*number),
                OptionValue::Number(number) => Arg::Number(*number),
                OptionValue::Boolean(on) => Arg::Boolean(*on),
                OptionValue::User(person) => Arg::Person(person),
                OptionValue::Channel(channel) => Arg::Channel(channel),
                OptionValue::Role(role) => Arg::Role(role),
            };
            (name.as_str(), arg)
        });
        Self {
            command: &call.invocation.command,
            subcommand: call.invocation.subcommand.as_deref(),
            args: args.collect(),
            user: &call.author,
            channel: NamedChannel {
                id: call.channel_id,
                name: call.channel_name.clone(),
                parent_id: call.parent_channel_id,
            },
            guild_id: call.guild_id,
        }
    }
}

/// The table that scripts know as `ctx`.
pub fn ctx(lua: &Lua, call: &CommandCall, suggesting: bool) -> mlua::Result<mlua::Table> {
    let facts: mlua::Value = lua.to_value_with(&CtxFacts::of(call), plain())?;
    let make: mlua::Function = lua.named_registry_value(MAKE_CTX)?;
    // How the tables among the arguments are named in errors, and written as mentions.
    let kinds = call.invocation.options.iter().filter_map(|(name, value)| match value {
        OptionValue::User(_) => Some((name.as_str(), "user")),
        OptionValue::Channel(_) => Some((name.as_str(), "channel")),
        OptionValue::Role(_) => Some((name.as_str(), "role")),
        _ => None,
    });
    let kinds = lua.create_table_from(kinds)?;
    make.call((facts, call.permissions.to_string(), suggesting, kinds))
}

/// Runs `ctx.lua` in a new VM.
pub fn make_ctx(vm: &mut Vm, entries: &Arc<[CommandFile]>) -> Result<(), LuaFailure> {
    vm.run(|lua| {
        let (yields, yieldable) = Vm::coroutine(lua)?;
        let names: Vec<&str> = effect::names().collect();
        let tools = tools::table(lua, entries)?;
        let chunk = lua.load(include_str!("ctx.lua")).set_name("=ctx");
        let make: mlua::Function = chunk.call((yields, yieldable, names, tools, Vm::natives(lua)?))?;
        lua.set_named_registry_value(MAKE_CTX, make)
    })
}
