//! The Lua side: routing.lua, triggers.lua and hooks.lua become a [`ScriptSet`], which decides what happens to a
//! message.
//!
//! # Theory of operation
//! A script set is one generation of all Lua files. [`ScriptSet::load`] runs them once, in a VM of their own,
//! and decodes everything that they return into our own types; whatever can be wrong is found there, and a
//! set with a problem never comes to be. What is left to ask at run time are a few functions: the trigger and
//! `route` about a message, the hooks about a turn. They are called on the set's own thread, with plain tables,
//! under a budget of time and memory (`vm`), so that a script can waste its budget and nothing else.
//!
//! Commands are a third thing: each is a coroutine in a VM of its own kind (`commands`).
//!
//! Data in, decision out: scripts get no objects, no callbacks, no files and no network.

mod command;
mod commands;
mod data;
mod effect;
mod facts;
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
    Allow, ChannelId, Choice, Command, GuildId, Limits, Message, Project, ProjectName, Route, UserId, Work,
};
use crate::worker::{Panicked, Worker};

use commands::CommandSet;
pub use commands::{CommandCall, CommandStep, SuspendedCommand};
use data::{BadValue, Data};
pub use effect::{
    Changed, CtxFunction, Effect, ProjectInfo, QueueEntry, Reloaded, SessionFacts, StatusFacts, TurnRequest,
    YES,
};
use facts::MessageFacts;
use hooks::HookSet;
pub use hooks::TurnFacts;
use problem::LuaFailure;
pub use problem::{EntryPoint, FailureKind, ScriptError, ScriptProblem, Severity};
use routing::{Context, Routing};
use triggers::Triggers;
use vm::{Budget, Vm};

/// The names of the files, without their ending.
const ROUTING: &str = "routing";
const TRIGGERS: &str = "triggers";
const HOOKS: &str = "hooks";

/// All Lua files, loaded together as one generation.
///
/// A clone is the same set. Its thread and its VM end with the last clone, after the calls under way.
#[derive(Clone)]
pub struct ScriptSet {
    rules: Arc<Rules>,
    scripts: Worker<RuleRunner>,
    commands: CommandSet,
}

impl fmt::Debug for ScriptSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a project's environment may hold secrets.
        let names: Vec<_> = self.rules.routing.projects.keys().collect();
        f.debug_struct("ScriptSet").field("projects", &names).finish_non_exhaustive()
    }
}

/// A set that can be used, and what an operator should know about it.
#[derive(Debug)]
pub struct Loaded {
    /// The set.
    pub set: ScriptSet,
    /// What cannot work in it, such as a project whose directory is missing.
    pub warnings: Vec<ScriptProblem>,
}

/// Everything that the scripts say without being asked.
struct Rules {
    routing: Routing,
    triggers: Triggers,
    has_route: bool,
    hooks: HookSet,
    /// How errors name the files.
    routing_file: String,
    triggers_file: String,
    hooks_file: String,
}

impl ScriptSet {
    /// Reads routing.lua, triggers.lua, hooks.lua if it is there, and what they `require`, and checks all that they say.
    ///
    /// Blocks for as long as the files run, at most the time limit for each of them. `limits` are those of
    /// a project that sets none; `root` is where relative project directories start.
    ///
    /// # Errors
    /// Every problem that was found, warnings among them: at least the first of each file and each project.
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
        // A link that leads nowhere is a mistake, not an absent file.
        let has_hooks = dir.join(format!("{HOOKS}.lua")).symlink_metadata().is_ok();
        let mut vm = Vm::new(dir.clone(), shown.clone(), budget).map_err(folder_problem)?;

        let routing_file = format!("{shown}/{ROUTING}.lua");
        let triggers_file = format!("{shown}/{TRIGGERS}.lua");
        let hooks_file = format!("{shown}/{HOOKS}.lua");
        let mut problems = Vec::new();
        let mut has_route = false;
        let routing = vm.module(ROUTING).map_err(|failure| ScriptProblem::in_code(&routing_file, failure));
        let routing = match routing {
            Ok(value) => {
                let context = Context { root, limits, file: &routing_file, own: &config.own };
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
            Ok(value) => triggers::decode(&value, &triggers_file, &mut problems),
            Err(failure) => {
                problems.push(ScriptProblem::in_code(&triggers_file, failure));
                None
            }
        };
        let mut hooks = HookSet::default();
        if has_hooks {
            match vm.module(HOOKS) {
                Ok(value) => hooks = hooks::decode(&value, &hooks_file, &mut problems),
                Err(failure) => problems.push(ScriptProblem::in_code(&hooks_file, failure)),
            }
        }
        problems.extend(vm.lint());
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
            folder_problem(LuaFailure::new(FailureKind::Gone, format!("no thread for the scripts: {e}")))
        })?;
        let set = Self { rules: Arc::new(rules), scripts, commands };
        Ok(Loaded { set, warnings: problems })
    }

    /// Whether the message is for the bot, and where it goes: the trigger, then the channel's entry, then its
    /// parent's, then the `route` function.
    ///
    /// # Errors
    /// Where a script fails, runs into a limit, or returns what cannot be used. Only this message is lost.
    pub async fn decide(&self, message: Message) -> Result<Route, ScriptError> {
        let rules = Arc::clone(&self.rules);
        let decision = self.scripts.call(move |scripts| scripts.decide(&rules, &message)).await;
        decision.unwrap_or_else(|gone| Err(panicked(gone)))
    }

    /// Where a message goes that is for the bot: as [`ScriptSet::decide`] without the trigger.
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

    /// As [`ScriptSet::decide`], and what the trigger alone made of the message: the prompt, where it is for the bot.
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

    /// Starts a command; permission and gate are the caller's business. Ask only for what [`ScriptSet::commands`]
    /// has: anything else fails.
    pub async fn call(&self, call: CommandCall) -> CommandStep {
        self.commands.call(call).await
    }

    /// What to suggest while somebody types in this option: at most 25.
    ///
    /// # Errors
    /// As [`ScriptSet::decide`]; also where the option has no suggestions.
    pub async fn autocomplete(&self, call: CommandCall, option: String) -> Result<Vec<Choice>, ScriptError> {
        self.commands.autocomplete(call, option).await
    }

    /// Who is let in where a project has no rule of its own.
    pub fn allow(&self) -> &Allow {
        &self.rules.routing.allow
    }

    /// Who may administer the bot, besides its owner.
    pub fn operators(&self) -> &[UserId] {
        &self.rules.routing.operators
    }

    /// The guilds in which the bot does anything; `None` where the scripts leave it open.
    pub fn guilds(&self) -> Option<&[GuildId]> {
        self.rules.routing.guilds.as_deref()
    }

    /// All projects, in the order of their names.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.rules.routing.projects.values()
    }

    /// The project with this name.
    pub fn project(&self, name: &ProjectName) -> Option<&Arc<Project>> {
        self.rules.routing.projects.get(name)
    }

    /// The channels that have an entry of their own, in the order of their ids.
    pub fn channels(&self) -> Vec<ChannelId> {
        let mut channels: Vec<_> = self.rules.routing.channels.keys().copied().collect();
        channels.sort();
        channels
    }

    /// How many channels have an entry of their own.
    pub fn routed_channels(&self) -> usize {
        self.rules.routing.channels.len()
    }

    /// Whether a `route` function is asked about channels without an entry.
    pub fn has_route_function(&self) -> bool {
        self.rules.has_route
    }

    /// Whether the triggers need the content of messages that do not mention the bot, for which Discord has a
    /// privileged intent: prefixes, patterns, `all_messages_in` and functions do.
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

    /// What the bot is asked, if the message is for it.
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
            return Ok(Route::Turn(Work { project, prompt, model: None, fresh: false }));
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

    /// Calls into what the file of this module returned, and gives the result as plain data: a value of the
    /// VM would not outlive it, and the VM may be replaced here.
    fn call(
        &mut self,
        name: &str,
        code: impl FnOnce(&Lua, mlua::Value) -> mlua::Result<mlua::Value>,
    ) -> Result<Result<Option<Data>, BadValue>, LuaFailure> {
        let module = self.vm.module(name)?;
        let result = self.vm.run(|lua| code(lua, module).map(|value| data::read(&value)));
        let out_of_memory = matches!(&result, Err(LuaFailure { kind: FailureKind::OutOfMemory, .. }));
        if out_of_memory || self.vm.is_full() {
            tracing::warn!("the scripts start afresh, because they have used up their memory");
            match self.vm.afresh() {
                Ok(vm) => self.vm = vm,
                Err(failure) => tracing::error!(%failure, "cannot start the scripts afresh"),
            }
        }
        result
    }
}

/// The table of a value for scripts, such as `message`: what is `None` is nil, and ids are strings.
fn strict_table(lua: &Lua, name: &str, value: &impl Serialize) -> mlua::Result<mlua::Value> {
    let dress: mlua::Function = Vm::natives(lua)?.raw_get("dress")?;
    dress.call((name, lua.to_value_with(value, plain())?))
}

/// What is `None` is nil, and tables have no metatables.
fn plain() -> SerializeOptions {
    SerializeOptions::new()
        .serialize_none_to_null(false)
        .serialize_unit_to_null(false)
        .set_array_metatable(false)
}

#[cfg(test)]
mod tests;
