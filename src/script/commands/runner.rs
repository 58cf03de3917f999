//! What runs on the commands' own thread: their VMs, and the suspended coroutines.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mlua::thread::ThreadStatus;
use mlua::{IntoLuaMulti, Lua, LuaSerdeExt, MultiValue, Thread};

use super::ctx::{ctx, make_ctx};
use super::{CommandCall, CommandFile, CommandLimits};
use crate::domain::{Choice, Command, OptionKind, OptionValue};
use crate::nearest::nearest;
use crate::script::command;
use crate::script::data::{self, shown};
use crate::script::effect::{self, Effect};
use crate::script::plain;
use crate::script::problem::{EntryPoint, FailureKind, LuaFailure, ScriptError};
use crate::script::vm::Vm;

/// The largest answer to an effect, as JSON, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// How many effects one use of a command may ask for. Each begins a new slice, so no time limit would end a loop of them.
pub(in crate::script) const MAX_EFFECTS: u32 = 500;

/// What runs on the commands' own thread.
pub struct Runner {
    entries: Arc<[CommandFile]>,
    limits: CommandLimits,
    /// The VMs by number; new calls run in the newest.
    vms: BTreeMap<u64, Vm>,
    waiting: HashMap<u64, Coroutine>,
    last_id: u64,
}

struct Coroutine {
    thread: Thread,
    /// The number of its VM.
    vm: u64,
    /// Its command.
    place: usize,
    /// How many effects it has asked for.
    effects: u32,
}

/// A coroutine has asked for an effect, and is suspended.
pub struct Yielded {
    pub id: u64,
    pub effect: Effect,
}

impl Runner {
    /// `vm` has loaded the files of all `entries`.
    pub fn new(mut vm: Vm, entries: Arc<[CommandFile]>, limits: CommandLimits) -> Result<Self, LuaFailure> {
        make_ctx(&mut vm, &entries)?;
        let (vms, waiting) = (BTreeMap::from([(1, vm)]), HashMap::new());
        Ok(Self { entries, limits, vms, waiting, last_id: 0 })
    }

    /// Starts the command at this index.
    pub fn start(&mut self, place: usize, call: &CommandCall) -> Result<Option<Yielded>, ScriptError> {
        let entries = Arc::clone(&self.entries);
        let entry = &entries[place];
        let failed = |failure: LuaFailure| ScriptError::new(EntryPoint::Command, failure.or_in(&entry.file));
        if self.waiting.len() >= self.limits.waiting && !call.first {
            let limit = self.limits.waiting;
            let message = format!("{limit} commands are already waiting (`scripts.max_waiting`)");
            return Err(failed(LuaFailure::new(FailureKind::Busy, message)));
        }
        let number = self.newest();
        let vm = self.vms.get_mut(&number).ok_or_else(|| failed(no_vm()))?;
        let begun = vm.module(&entry.module).and_then(|module| {
            vm.run(|lua| {
                let run = run_function(&module, &entry.command, call.invocation.subcommand.as_deref())?;
                let ctx = ctx(lua, call, false)?;
                let args = ctx.raw_get::<mlua::Value>("args")?;
                Ok((lua.create_thread(run)?, (ctx, args).into_lua_multi(lua)?))
            })
        });
        let (thread, args) = match begun {
            Ok(begun) => begun,
            Err(failure) => {
                self.look_after(number);
                return Err(failed(failure));
            }
        };
        let coroutine = Coroutine { thread, vm: number, place, effects: 0 };
        self.slice(coroutine, |_| Ok(args), None)
    }

    /// Resumes the coroutine that is waiting for this answer.
    pub fn resume(
        &mut self,
        id: u64,
        answer: Result<serde_json::Value, String>,
    ) -> Result<Option<Yielded>, ScriptError> {
        let Some(coroutine) = self.waiting.remove(&id) else {
            let message = "ended while it was waiting, because the commands ran out of memory twice \
                           (`scripts.memory_limit`)";
            return Err(ScriptError::new(
                EntryPoint::Command,
                LuaFailure::new(FailureKind::OutOfMemory, message),
            ));
        };
        let answer = match answer {
            Ok(answer) if answer.to_string().len() > MAX_ANSWER => {
                Err(format!("the answer is longer than {} KiB", MAX_ANSWER / 1024))
            }
            answer => answer,
        };
        let refused = answer.as_ref().err().cloned();
        let args = move |lua: &Lua| match &answer {
            Ok(answer) => (true, lua.to_value_with(answer, plain())?).into_lua_multi(lua),
            Err(problem) => (false, problem.as_str()).into_lua_multi(lua),
        };
        self.slice(coroutine, args, refused)
    }

    /// Ends a suspended coroutine.
    pub fn end(&mut self, id: u64) {
        if let Some(Coroutine { thread, vm, .. }) = self.waiting.remove(&id) {
            drop(thread);
            self.drop_unused(vm);
        }
    }

    /// Runs a coroutine until it asks for an effect or ends.
    fn slice(
        &mut self,
        coroutine: Coroutine,
        args: impl FnOnce(&Lua) -> mlua::Result<MultiValue>,
        refused: Option<String>,
    ) -> Result<Option<Yielded>, ScriptError> {
        let Coroutine { thread, vm: number, place, effects } = coroutine;
        let entries = Arc::clone(&self.entries);
        let Some(vm) = self.vms.get_mut(&number) else {
            return Err(ScriptError::new(EntryPoint::Command, no_vm()));
        };
        let result = vm.run(|lua| {
            let mut args = args(lua)?;
            loop {
                let yielded: MultiValue = thread.resume(args)?;
                if thread.status() != ThreadStatus::Resumable {
                    return Ok(None);
                }
                match asked(&yielded) {
                    Ok(effect) => return Ok(Some(effect)),
                    Err(problem) => args = (false, problem).into_lua_multi(lua)?,
                }
            }
        });
        let result = match result {
            Ok(Some(_)) if effects == MAX_EFFECTS => Err(too_many_effects(vm, &thread)),
            result => result,
        };
        let waiting = match result {
            Ok(Some(effect)) => {
                self.last_id += 1;
                let effects = effects + 1;
                self.waiting.insert(self.last_id, Coroutine { thread, vm: number, place, effects });
                Ok(Some(Yielded { id: self.last_id, effect }))
            }
            // What it held must be garbage before the VM's memory is measured.
            ended => {
                drop(thread);
                ended.map(|_| None)
            }
        };
        self.look_after(number);
        self.drop_unused(number);
        waiting.map_err(|failure| {
            let entry = &entries[place];
            // Only if the script passed it on unchanged; what it raises itself is not meant for people.
            let is_unchanged = |refused: &String| {
                let folder = entry.file.strip_suffix(&format!("{}.lua", entry.module)).unwrap_or_default();
                data::one_line(refused.clone()) == failure.message
                    && failure.file.as_ref().is_none_or(|file| file.starts_with(folder))
            };
            let refusal = refused.filter(is_unchanged);
            ScriptError { refusal, ..ScriptError::new(EntryPoint::Command, failure.or_in(&entry.file)) }
        })
    }

    /// What the `autocomplete` of this option suggests.
    pub fn suggest(
        &mut self,
        place: usize,
        call: &CommandCall,
        option: &str,
    ) -> Result<Vec<Choice>, LuaFailure> {
        let entries = Arc::clone(&self.entries);
        let entry = &entries[place];
        let number = self.newest();
        let vm = self.vms.get_mut(&number).ok_or_else(no_vm)?;
        let mut kind = OptionKind::String;
        let result = vm.module(&entry.module).and_then(|module| {
            vm.run(|lua| {
                let subcommand = call.invocation.subcommand.as_deref();
                let (suggest, of) = autocomplete_function(&module, &entry.command, subcommand, option)?;
                kind = of;
                let given = call.invocation.options.iter().find(|(name, _)| name == option);
                let typed = match given.map(|(_, value)| value) {
                    Some(OptionValue::Text(text)) => text.clone(),
                    Some(OptionValue::Integer(number)) => number.to_string(),
                    Some(OptionValue::Number(number)) => number.to_string(),
                    _ => String::new(),
                };
                let value: mlua::Value = suggest.call((ctx(lua, call, true)?, typed))?;
                Ok(data::read(&value))
            })
        });
        self.look_after(number);
        let suggestions = result.map_err(|e| e.or_in(&entry.file))?;
        let suggestions = suggestions.and_then(|value| command::suggestions(value, kind));
        suggestions.map_err(|bad| LuaFailure::bad_value(&entry.file, bad.under("autocomplete()")))
    }

    fn newest(&self) -> u64 {
        self.vms.keys().next_back().copied().unwrap_or_default()
    }

    /// Replaces the VM if what has just run has left it without memory.
    fn look_after(&mut self, number: u64) {
        let newest = self.newest();
        let Some(vm) = self.vms.get_mut(&number) else { return };
        if number != newest || !vm.is_full() {
            return;
        }
        tracing::warn!("the commands' VM is out of memory and is replaced");
        let fresh = vm.afresh().and_then(|mut vm| make_ctx(&mut vm, &self.entries).map(|()| vm));
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(failure) => {
                tracing::error!(%failure, "cannot replace the commands' VM");
                return;
            }
        };
        let ended = self.waiting.len();
        self.waiting.retain(|_, coroutine| coroutine.vm == number);
        let ended = ended - self.waiting.len();
        if ended > 0 {
            tracing::warn!(ended, "ended waiting commands to free their memory");
        }
        self.vms.retain(|other, _| *other == number);
        self.vms.insert(number + 1, fresh);
        self.drop_unused(number);
    }

    /// Drops a VM that was replaced and in which nothing is suspended any more.
    fn drop_unused(&mut self, number: u64) {
        if number != self.newest() && !self.waiting.values().any(|coroutine| coroutine.vm == number) {
            self.vms.remove(&number);
        }
    }
}

fn no_vm() -> LuaFailure {
    LuaFailure::new(FailureKind::Gone, "the commands have no VM")
}

/// A command that keeps asking is ended like one that keeps running, at the line that asked.
fn too_many_effects(vm: &mut Vm, thread: &Thread) -> LuaFailure {
    let failure =
        LuaFailure::new(FailureKind::TimedOut, format!("called more than {MAX_EFFECTS} functions of `ctx`"));
    let traceback = vm.run(|lua| {
        let debug: mlua::Table = lua.globals().get("debug")?;
        debug.get::<mlua::Function>("traceback")?.call::<String>(thread)
    });
    traceback.map_or(failure.clone(), |traceback| failure.traced(&traceback))
}

/// The effect that a coroutine asks for, or what is wrong with it, worded for the line that asked.
fn asked(yielded: &MultiValue) -> Result<Effect, String> {
    let name = match yielded.front() {
        Some(mlua::Value::String(name)) => name.to_string_lossy(),
        _ => return Err("this is no effect".to_owned()),
    };
    let value = yielded.get(1).unwrap_or(&mlua::Nil);
    effect::decode(&name, value).map_err(|bad| match bad.path.as_str() {
        "" => data::one_line(format!("ctx:{name}: {}", bad.message)),
        path => data::one_line(format!("ctx:{name}: {path}: {}", bad.message)),
    })
}

/// The function of a command, or of one of its subcommands.
fn run_function(
    module: &mlua::Value,
    command: &Command,
    subcommand: Option<&str>,
) -> mlua::Result<mlua::Function> {
    part(module, command, subcommand)?.raw_get("run")
}

/// The function that suggests values for this option, and the option's kind.
fn autocomplete_function(
    module: &mlua::Value,
    command: &Command,
    subcommand: Option<&str>,
    option: &str,
) -> mlua::Result<(mlua::Function, OptionKind)> {
    let options = match subcommand {
        None => &command.options,
        Some(name) => {
            let sub = command.subcommands.iter().find(|sub| sub.name == name);
            sub.map(|sub| &sub.options).ok_or_else(|| no_part("subcommand", name, &[]))?
        }
    };
    let place = options.iter().position(|known| known.name == option && known.autocomplete);
    let place = place.ok_or_else(|| no_part("autocomplete for the option", option, &[]))?;
    let tables: mlua::Table = part(module, command, subcommand)?.raw_get("options")?;
    let table: mlua::Table = tables.raw_get(place + 1)?;
    Ok((table.raw_get("autocomplete")?, options[place].kind))
}

/// The table of a command, or of one of its subcommands.
fn part(module: &mlua::Value, command: &Command, subcommand: Option<&str>) -> mlua::Result<mlua::Table> {
    let table =
        module.as_table().cloned().ok_or_else(|| mlua::Error::runtime("the file returned no table"))?;
    let names: Vec<&str> = command.subcommands.iter().map(|sub| sub.name.as_str()).collect();
    match subcommand {
        None if names.is_empty() => Ok(table),
        None => Err(no_part("subcommand", "", &names)),
        Some(name) => {
            let place = names.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| no_part("subcommand", name, &names))?;
            table.raw_get::<mlua::Table>("subcommands")?.raw_get(place + 1)
        }
    }
}

/// Discord names something that is not in the definition: it still has an older one.
fn no_part(what: &str, name: &str, known: &[&str]) -> mlua::Error {
    let hint = nearest(name, known.iter().copied()).map(|near| format!("; there is {near:?}"));
    mlua::Error::runtime(format!("there is no {what} {}{}", shown(name), hint.unwrap_or_default()))
}
