//! The Lua side: routing.lua, triggers.lua and hooks.lua become a [`ScriptSet`], which decides what happens to a
//! message.
//!
//! # Theory of operation
//! A script set is one generation of all Lua files. [`ScriptSet::load`] runs them once, in a VM of their own, and decodes
//! everything that they return into our own types; mistakes are found there, and a set with an error never comes into
//! being. Only a few functions remain to be called at run time: the trigger and `route` about a message, the hooks about a
//! turn. They are called on the set's own thread, with plain tables, under a budget of time and memory (`vm`), so a script
//! can waste its budget and nothing else.
//!
//! Commands are different: each is a coroutine in a VM that only commands use (`commands`).
//!
//! Data in, decision out: scripts get no objects, no callbacks, no files and no network.

mod budget;
mod command;
mod commands;
mod context;
mod data;
mod effect;
mod env_from;
mod facts;
mod footer;
mod hooks;
mod lint;
mod own_places;
mod pattern;
mod permission;
mod problem;
mod project;
mod routing;
mod run_as;
mod tool_rule;
mod triggers;
mod vm;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mlua::serde::SerializeOptions;
use mlua::{Lua, LuaSerdeExt};
use serde::Serialize;

use crate::config;
use crate::domain::{
    Allow, ChannelId, Choice, Command, GuildId, Limits, Message, Project, ProjectName, Route, SpendingBudget,
    UserId, Work,
};
use crate::worker::{Panicked, Worker};

use commands::CommandSet;
pub use commands::{CommandCall, CommandStep, SuspendedCommand};
use data::{BadValue, Data};
pub use effect::{
    Changed, CtxFunction, Effect, NextTurn, ProjectInfo, QueueEntry, Reloaded, SessionFacts, StatusFacts,
    TurnRequest, UsageFacts, UsageRow, YES,
};
use facts::MessageFacts;
use hooks::HookSet;
pub use hooks::{HookAnswer, RequestFacts, ScriptDecision, TurnFacts};
use lint::CalledFunction;
use problem::LuaFailure;
pub use problem::{EntryPoint, FailureKind, ScriptError, ScriptProblem, Severity};
use routing::{Context, Routing};
use triggers::Triggers;
use vm::{Budget, Vm};

/// The names of the files, without their extension.
const ROUTING: &str = "routing";
const TRIGGERS: &str = "triggers";
const HOOKS: &str = "hooks";

/// All Lua files, loaded together as one generation.
///
/// Clones share one set. Its thread and its VM end with the last clone, after the calls in progress.
#[derive(Clone)]
pub struct ScriptSet {
    rules: Arc<Rules>,
    scripts: Worker<RuleRunner>,
    commands: CommandSet,
}

impl fmt::Debug for ScriptSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a project's environment may contain secrets.
        let names: Vec<_> = self.rules.routing.projects.keys().collect();
        f.debug_struct("ScriptSet").field("projects", &names).finish_non_exhaustive()
    }
}

/// A usable set, and what its operator should know about it.
#[derive(Debug)]
pub struct Loaded {
    /// The set.
    pub set: ScriptSet,
    /// What in it cannot work, such as a project whose directory is missing.
    pub warnings: Vec<ScriptProblem>,
}

/// What the scripts returned when they were loaded.
struct Rules {
    routing: Routing,
    triggers: Triggers,
    has_route: bool,
    hooks: HookSet,
    /// The files, as errors name them.
    routing_file: String,
    triggers_file: String,
    hooks_file: String,
}

impl ScriptSet {
    /// Runs routing.lua, triggers.lua, hooks.lua if it exists, and whatever they `require`, and checks what they return.
    ///
    /// Blocks while the files run, for at most the time limit each. `limits` are those of a project that sets none;
    /// relative project directories start at `root`.
    ///
    /// # Errors
    /// Every problem that was found, warnings included: at least the first in each file and each project.
    pub fn load(
        config: &config::ScriptsConfig,
        root: &Path,
        limits: &Limits,
    ) -> Result<Loaded, Vec<ScriptProblem>> {
        let shown = match config.dir.strip_prefix(root) {
            Ok(dir) if dir.as_os_str().is_empty() => ".".to_owned(),
            Ok(dir) => dir.display().to_string(),
            Err(_) => config.dir.display().to_string(),
        };
        let budget = Budget {
            time: config.time_limit,
            // mlua takes 0 for no limit at all.
            memory: usize::try_from(config.memory_limit.as_u64()).unwrap_or(usize::MAX).max(1),
        };
        let folder_problem = |failure: LuaFailure| vec![ScriptProblem::in_code(&shown, failure)];
        let dir = config.dir.canonicalize().map_err(|e| {
            let message = match e.kind() {
                std::io::ErrorKind::NotFound => {
                    "the script folder does not exist; correct `--root` or `scripts.dir`".to_owned()
                }
                _ => format!("the script folder cannot be read: {e}"),
            };
            folder_problem(LuaFailure::new(FailureKind::Failed, message))
        })?;
        // A dangling link is a mistake, not an absent file.
        let has_hooks = dir.join(format!("{HOOKS}.lua")).symlink_metadata().is_ok();
        let mut vm = Vm::new(dir.clone(), shown.clone(), budget).map_err(folder_problem)?;

        let routing_file = format!("{shown}/{ROUTING}.lua");
        let triggers_file = format!("{shown}/{TRIGGERS}.lua");
        let hooks_file = format!("{shown}/{HOOKS}.lua");
        let mut problems = Vec::new();
        let mut called = Vec::new();
        let mut has_route = false;
        let routing = vm.module(ROUTING).map_err(|failure| ScriptProblem::in_code(&routing_file, failure));
        let routing = match routing {
            Ok(value) => {
                called.extend(CalledFunction::of_routing(&value));
                let context = Context { root, limits, file: &routing_file, config };
                let (routing, route) = routing::decode(&value, &context, &mut problems);
                has_route = route;
                routing::warn(&routing, has_route, &context, &mut problems);
                Some(routing)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let triggers = match vm.module(TRIGGERS) {
            Ok(value) => {
                called.extend(CalledFunction::of_triggers(&value));
                triggers::decode(&value, &triggers_file, &mut problems)
            }
            Err(failure) => {
                problems.push(ScriptProblem::in_code(&triggers_file, failure));
                None
            }
        };
        let mut hooks = HookSet::default();
        if has_hooks {
            match vm.module(HOOKS) {
                Ok(value) => {
                    called.extend(CalledFunction::of_hooks(&value));
                    hooks = hooks::decode(&value, &hooks_file, &mut problems);
                }
                Err(failure) => problems.push(ScriptProblem::in_code(&hooks_file, failure)),
            }
        }
        problems.extend(vm.lint(&called));
        let limits = commands::CommandLimits { budget, waiting: config.max_waiting };
        let commands = CommandSet::load(&dir, &shown, limits, &mut problems).map_err(folder_problem)?;
        // Several files may require one that is broken, and what is found by reading may also be met by running.
        let mut told = HashSet::new();
        problems.retain(|it| told.insert((it.file.clone(), it.line, it.path.clone(), it.message.clone())));

        let (Some(routing), Some(triggers)) = (routing, triggers) else { return Err(problems) };
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        vm.seal();
        let rules = Rules { routing, triggers, has_route, hooks, routing_file, triggers_file, hooks_file };
        let scripts = Worker::spawn("scripts", RuleRunner { vm }).map_err(|e| {
            folder_problem(LuaFailure::new(
                FailureKind::Gone,
                format!("cannot start the scripts' thread: {e}"),
            ))
        })?;
        let set = Self { rules: Arc::new(rules), scripts, commands };
        Ok(Loaded { set, warnings: problems })
    }

    /// Whether the message is for the bot, and where it goes: first the trigger, then the channel's entry, its parent's, and
    /// the `route` function.
    ///
    /// # Errors
    /// If a script fails, hits a limit, or returns something unusable. Only this message is lost.
    pub async fn decide(&self, message: Message) -> Result<Route, ScriptError> {
        let rules = Arc::clone(&self.rules);
        let decision = self.scripts.call(move |scripts| scripts.decide(&rules, &message)).await;
        decision.unwrap_or_else(|gone| Err(panicked(gone)))
    }

    /// Where a message that is for the bot goes: [`ScriptSet::decide`] without the trigger.
    ///
    /// # Errors
    /// As [`ScriptSet::decide`].
    pub async fn route(&self, message: Message) -> Result<Route, ScriptError> {
        let rules = Arc::clone(&self.rules);
        let decision = self.scripts.call(move |scripts| {
            let prompt = message.text.clone();
            scripts.place(&rules, &message, prompt)
        });
        decision.await.unwrap_or_else(|gone| Err(panicked(gone)))
    }

    /// As [`ScriptSet::decide`], together with what the trigger made of the message: the prompt, if it is for the bot.
    ///
    /// # Errors
    /// As [`ScriptSet::decide`].
    pub async fn explain(&self, message: Message) -> Result<(Option<String>, Route), ScriptError> {
        let rules = Arc::clone(&self.rules);
        let decision = self.scripts.call(move |scripts| {
            let Some(prompt) = scripts.prompt(&rules, &message)? else { return Ok((None, Route::NotForMe)) };
            let route = scripts.place(&rules, &message, prompt.clone())?;
            Ok((Some(prompt), route))
        });
        decision.await.unwrap_or_else(|gone| Err(panicked(gone)))
    }

    /// The commands, in the order of their files.
    pub fn commands(&self) -> &[Arc<Command>] {
        self.commands.definitions()
    }

    /// Starts a command, one of [`ScriptSet::commands`]; anything else fails. Checking permission and gate is up to the
    /// caller.
    pub async fn call(&self, call: CommandCall) -> CommandStep {
        self.commands.call(call).await
    }

    /// What to suggest to somebody who is typing in this option: at most 25.
    ///
    /// # Errors
    /// As [`ScriptSet::decide`]; also if the option has no `autocomplete`.
    pub async fn autocomplete(&self, call: CommandCall, option: String) -> Result<Vec<Choice>, ScriptError> {
        self.commands.autocomplete(call, option).await
    }

    /// Who is let in if a project has no rule of its own.
    pub fn allow(&self) -> &Allow {
        &self.rules.routing.allow
    }

    /// Who may administer the bot, besides its owner.
    pub fn operators(&self) -> &[UserId] {
        &self.rules.routing.operators
    }

    /// What turns in all projects together may cost.
    pub fn budget(&self) -> SpendingBudget {
        self.rules.routing.budget
    }

    /// The guilds in which the bot does anything; `None` if the scripts do not say.
    pub fn guilds(&self) -> Option<&[GuildId]> {
        self.rules.routing.guilds.as_deref()
    }

    /// All projects, sorted by name.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.rules.routing.projects.values()
    }

    /// The project with this name.
    pub fn project(&self, name: &ProjectName) -> Option<&Arc<Project>> {
        self.rules.routing.projects.get(name)
    }

    /// The channels that have an entry of their own, sorted by id.
    pub fn channels(&self) -> Vec<ChannelId> {
        let mut channels: Vec<_> = self.rules.routing.channels.keys().copied().collect();
        channels.sort();
        channels
    }

    /// How many channels have an entry of their own.
    pub fn routed_channels(&self) -> usize {
        self.rules.routing.channels.len()
    }

    /// Whether there is a `route` function for channels without an entry.
    pub fn has_route_function(&self) -> bool {
        self.rules.has_route
    }

    /// Whether that function decides in this channel, or in this thread of a channel.
    pub fn is_routed_by_function(&self, channel: ChannelId, parent: Option<ChannelId>) -> bool {
        let channels = &self.rules.routing.channels;
        let has_entry =
            channels.contains_key(&channel) || parent.is_some_and(|parent| channels.contains_key(&parent));
        self.rules.has_route && !has_entry
    }

    /// Whether the triggers need the content of messages that do not mention the bot, which takes a privileged intent:
    /// prefixes, patterns, `all_messages_in` and functions do.
    pub fn needs_message_content(&self) -> bool {
        match &self.rules.triggers {
            Triggers::Function => true,
            Triggers::Table(table) => !table.only_mentions(),
        }
    }
}

fn panicked(panicked: Panicked) -> ScriptError {
    let failure = LuaFailure::new(FailureKind::Gone, format!("the script set: {panicked}"));
    ScriptError::new(EntryPoint::Trigger, failure)
}

/// What runs on the set's own thread.
struct RuleRunner {
    vm: Vm,
}

impl RuleRunner {
    fn decide(&mut self, rules: &Rules, message: &Message) -> Result<Route, ScriptError> {
        match self.prompt(rules, message)? {
            Some(prompt) => self.place(rules, message, prompt),
            None => Ok(Route::NotForMe),
        }
    }

    /// The prompt, if the message is for the bot.
    fn prompt(&mut self, rules: &Rules, message: &Message) -> Result<Option<String>, ScriptError> {
        self.trigger(rules, message).map_err(|failure| {
            let failure = failure.or_in(&rules.triggers_file);
            ScriptError::new(EntryPoint::Trigger, failure)
        })
    }

    /// Where a message that is for the bot goes.
    fn place(&mut self, rules: &Rules, message: &Message, prompt: String) -> Result<Route, ScriptError> {
        let channels = &rules.routing.channels;
        let parent = || message.parent_channel_id.and_then(|parent| channels.get(&parent));
        if let Some(project) = channels.get(&message.channel_id).or_else(parent) {
            let project = Arc::clone(project);
            return Ok(Route::Turn(Work { project, prompt, model: None, fresh: false, in_thread: false }));
        }
        if !rules.has_route {
            return Ok(Route::Unrouted);
        }
        self.route(rules, message, prompt).map_err(|failure| {
            let failure = failure.or_in(&rules.routing_file);
            ScriptError::new(EntryPoint::Route, failure)
        })
    }

    fn trigger(&mut self, rules: &Rules, message: &Message) -> Result<Option<String>, LuaFailure> {
        let file = &rules.triggers_file;
        let result = match &rules.triggers {
            Triggers::Table(table) => return Ok(table.prompt(message)),
            Triggers::Function => self.call(TRIGGERS, |lua, module| {
                let trigger: mlua::Function = lua.unpack(module)?;
                trigger.call(strict_table(lua, "message", &MessageFacts::from(message))?)
            })?,
        };
        result.and_then(triggers::prompt).map_err(|bad| LuaFailure::bad_value(file, bad.under("trigger()")))
    }

    fn route(&mut self, rules: &Rules, message: &Message, prompt: String) -> Result<Route, LuaFailure> {
        let file = &rules.routing_file;
        let result = self.call(ROUTING, |lua, module| {
            let routing: mlua::Table = lua.unpack(module)?;
            let route: mlua::Function = routing.raw_get("route")?;
            route.call((strict_table(lua, "message", &MessageFacts::from(message))?, prompt.as_str()))
        })?;
        result
            .and_then(|value| routing::route(value, &rules.routing.projects, prompt))
            .map_err(|bad| LuaFailure::bad_value(file, bad.under("route()")))
    }

    /// Calls into what the file of this module returned. The result is plain data, because a Lua value would not outlive its
    /// VM, which may be replaced here.
    fn call(
        &mut self,
        name: &str,
        code: impl FnOnce(&Lua, mlua::Value) -> mlua::Result<mlua::Value>,
    ) -> Result<Result<Option<Data>, BadValue>, LuaFailure> {
        let module = self.vm.module(name)?;
        let result = self.vm.run(|lua| code(lua, module).map(|value| data::read(&value)));
        let out_of_memory = matches!(&result, Err(LuaFailure { kind: FailureKind::OutOfMemory, .. }));
        if out_of_memory || self.vm.is_full() {
            tracing::warn!("the scripts' VM is out of memory and is replaced");
            match self.vm.afresh() {
                Ok(vm) => self.vm = vm,
                Err(failure) => tracing::error!(%failure, "cannot replace the scripts' VM"),
            }
        }
        result
    }
}

/// A value as a table for scripts, such as `message`; reading a key that it does not have is an error there.
fn strict_table(lua: &Lua, name: &str, value: &impl Serialize) -> mlua::Result<mlua::Value> {
    let dress: mlua::Function = Vm::natives(lua)?.raw_get("dress")?;
    dress.call((name, lua.to_value_with(value, plain())?))
}

/// `None` becomes nil, and lists get no metatable.
fn plain() -> SerializeOptions {
    SerializeOptions::new()
        .serialize_none_to_null(false)
        .serialize_unit_to_null(false)
        .set_array_metatable(false)
}

#[cfg(test)]
mod tests;
