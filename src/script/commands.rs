//! The commands of a script set: their definitions, and what drives them.
//!
//! # Theory of operation
//! The `run` of a command is a coroutine, in a VM and on a thread that only commands use, so that a slow command delays no
//! message. It runs until it ends or asks for an effect: that is a *slice*, and only slices are on the clock. To ask is to
//! yield the effect's name and a plain table (`commands/ctx.lua`), which become an [`Effect`]. Whoever gets it in a
//! [`CommandStep`] performs it and gives the answer to [`SuspendedCommand::resume`], which is the next slice. Between slices the
//! coroutine costs some memory and nothing else. A mistake in the table itself is raised within the same slice, at the line
//! that asked.
//!
//! The number of effects in one use of a command is limited ([`runner::MAX_EFFECTS`]), so that a loop of them ends too.
//!
//! A [`SuspendedCommand`] keeps the thread alive, and with it the script set's commands: a command ends on the set it began
//! with. Dropping it ends the coroutine.
//!
//! A VM whose memory is still full after a slice is replaced: new calls get a new VM from the same sources, and whatever is
//! suspended in the old one continues there as far as its memory allows. There are at most two VMs: when the second one has
//! to be replaced as well, commands still suspended in the first are ended, and fail when they are resumed.

mod ctx;
mod runner;
mod tools;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

#[cfg(test)]
pub(super) use ctx::CtxFacts;
#[cfg(test)]
pub(super) use runner::MAX_EFFECTS;
#[cfg(test)]
pub(super) use tools::{CommandInfo, names as tool_names};

use super::command;
use super::data::{BadValue, shown};
use super::effect::Effect;
use super::lint::CalledFunction;
use super::problem::{EntryPoint, FailureKind, LuaFailure, ScriptError, ScriptProblem};
use super::vm::{Budget, Vm};
use crate::domain::{Author, ChannelId, Choice, Command, GuildId, Interaction, Invocation};
use crate::worker::Worker;
use runner::{Runner, Yielded};

/// The folder of the commands in the script folder.
const FOLDER: &str = "commands";

/// A use of a command, with everything that the script is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandCall {
    /// The command, and what was given.
    pub invocation: Invocation,
    /// Who uses it.
    pub author: Author,
    /// The channel or thread.
    pub channel_id: ChannelId,
    /// The channel that a thread belongs to.
    pub parent_channel_id: Option<ChannelId>,
    /// The channel's name without `#`; empty if Discord has not told it.
    pub channel_name: String,
    /// The guild; none in direct messages.
    pub guild_id: Option<GuildId>,
    /// What the person may do in that channel, as Discord's bits.
    pub permissions: u64,
    /// Whether it runs however many commands are suspended.
    pub first: bool,
}

impl CommandCall {
    /// The use of a command that this interaction is.
    pub fn new(interaction: &Interaction, invocation: Invocation) -> Self {
        Self {
            invocation,
            author: interaction.author.clone(),
            channel_id: interaction.channel_id,
            parent_channel_id: interaction.parent_channel_id,
            channel_name: interaction.channel_name.clone(),
            guild_id: interaction.guild_id,
            permissions: interaction.permissions,
            first: false,
        }
    }
}

/// What a command has come to.
#[derive(Debug)]
pub enum CommandStep {
    /// It asks for this, and waits for the answer.
    Effect(Effect, SuspendedCommand),
    /// It has ended.
    Done,
    /// It has failed, which ends it.
    Failed(ScriptError),
}

/// A command that is waiting for the answer to its effect. Dropping this ends it.
pub struct SuspendedCommand {
    worker: Worker<Runner>,
    id: u64,
    resumed: bool,
}

impl fmt::Debug for SuspendedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SuspendedCommand").field(&self.id).finish()
    }
}

impl SuspendedCommand {
    /// Resumes with the answer to the effect. An error is raised at the line that asked.
    ///
    /// If the script does not catch the error, it becomes [`ScriptError::refusal`]; so word it for people.
    pub async fn resume(mut self, answer: Result<serde_json::Value, String>) -> CommandStep {
        // From here on the job ends it, even if nobody is waiting for the job.
        self.resumed = true;
        let id = self.id;
        step(&self.worker, move |runner| runner.resume(id, answer)).await
    }
}

impl Drop for SuspendedCommand {
    fn drop(&mut self) {
        if !self.resumed {
            let id = self.id;
            self.worker.tell(move |runner| runner.end(id));
        }
    }
}

/// All commands of a script set.
#[derive(Clone)]
pub(super) struct CommandSet {
    entries: Arc<[CommandFile]>,
    definitions: Arc<[Arc<Command>]>,
    /// `None` if there are no commands.
    worker: Option<Worker<Runner>>,
}

/// A command and its file.
pub(super) struct CommandFile {
    command: Arc<Command>,
    /// The file, as `require` names it.
    module: String,
    /// The file, as errors name it.
    file: String,
}

/// The limits of commands.
#[derive(Clone, Copy)]
pub(super) struct CommandLimits {
    pub budget: Budget,
    /// How many commands may be suspended at once.
    pub waiting: usize,
}

impl CommandSet {
    /// Loads all files in the folder `commands` of `dir`, which errors name as `shown`. Problems are added to `problems`; if
    /// any are, do not use the result.
    pub fn load(
        dir: &Path,
        shown: &str,
        limits: CommandLimits,
        problems: &mut Vec<ScriptProblem>,
    ) -> Result<Self, LuaFailure> {
        let none = Self { entries: Arc::new([]), definitions: Arc::new([]), worker: None };
        let folder = format!("{shown}/{FOLDER}");
        let files = match files(&dir.join(FOLDER)) {
            Ok(files) => files,
            Err(message) => {
                problems.push(ScriptProblem::in_code(&folder, LuaFailure::new(FailureKind::Failed, message)));
                return Ok(none);
            }
        };
        if files.is_empty() {
            return Ok(none);
        }
        let mut vm = Vm::new(dir.to_owned(), shown.to_owned(), limits.budget)?;
        let mut entries: Vec<CommandFile> = Vec::new();
        let mut called = Vec::new();
        for name in files {
            let module = format!("{FOLDER}/{name}");
            let file = format!("{shown}/{module}.lua");
            let value = match vm.module(&module) {
                Ok(value) => value,
                Err(failure) => {
                    problems.push(ScriptProblem::in_code(&file, failure));
                    continue;
                }
            };
            called.extend(CalledFunction::of_command(&value));
            let decoded = command::decode(&value).and_then(|command| {
                match entries.iter().find(|other| other.command.name == command.name) {
                    None => Ok(command),
                    Some(other) => Err(vec![command::named_twice(&command.name, &other.file)]),
                }
            });
            match decoded {
                Ok(command) => entries.push(CommandFile { command: Arc::new(command), module, file }),
                Err(bad) => problems.extend(bad.into_iter().map(|bad| ScriptProblem::in_value(&file, bad))),
            }
        }
        if entries.len() > command::MAX_COMMANDS {
            let message = format!(
                "there are {1} commands, but Discord takes at most {0}",
                command::MAX_COMMANDS,
                entries.len()
            );
            problems.push(ScriptProblem::in_value(&folder, BadValue::here(message)));
        }
        problems.extend(vm.lint(&called));
        vm.seal();
        let definitions = entries.iter().map(|entry| Arc::clone(&entry.command)).collect();
        let entries: Arc<[CommandFile]> = entries.into();
        let runner = Runner::new(vm, Arc::clone(&entries), limits)?;
        let worker = Worker::spawn("commands", runner).map_err(|e| {
            LuaFailure::new(FailureKind::Gone, format!("cannot start the commands' thread: {e}"))
        })?;
        Ok(Self { entries, definitions, worker: Some(worker) })
    }

    pub fn definitions(&self) -> &[Arc<Command>] {
        &self.definitions
    }

    pub async fn call(&self, call: CommandCall) -> CommandStep {
        let (worker, place) = match self.find(&call.invocation) {
            Ok(found) => found,
            Err(failure) => return CommandStep::Failed(ScriptError::new(EntryPoint::Command, failure)),
        };
        step(&worker, move |runner| runner.start(place, &call)).await
    }

    pub async fn autocomplete(&self, call: CommandCall, option: String) -> Result<Vec<Choice>, ScriptError> {
        let failed = |failure| ScriptError::new(EntryPoint::Autocomplete, failure);
        let (worker, place) = self.find(&call.invocation).map_err(failed)?;
        let suggestions = worker.call(move |runner| runner.suggest(place, &call, &option)).await;
        suggestions.unwrap_or_else(|e| Err(LuaFailure::new(FailureKind::Gone, e.to_string()))).map_err(failed)
    }

    /// The commands' thread, and the index of this one.
    fn find(&self, invocation: &Invocation) -> Result<(Worker<Runner>, usize), LuaFailure> {
        let place = self.entries.iter().position(|entry| entry.command.name == invocation.command);
        let (Some(place), Some(worker)) = (place, self.worker.clone()) else {
            let message = format!("there is no command {}", shown(&invocation.command));
            return Err(LuaFailure::new(FailureKind::Failed, message));
        };
        Ok((worker, place))
    }
}

/// The names of the files in the folder, without their extension, sorted; none if there is no folder.
fn files(folder: &Path) -> Result<Vec<String>, String> {
    let cannot = |e: std::io::Error| format!("cannot be read: {e}");
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => return Err("is not a folder".to_owned()),
        Err(e) => return Err(cannot(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(cannot)?.file_name();
        let Some(file) = file.to_str() else { return Err(format!("{file:?} has a name that is not UTF-8")) };
        // Editors keep files of their own there, such as `.#reset.lua`.
        if let Some(name) = file.strip_suffix(".lua").filter(|name| !name.starts_with('.')) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

async fn step(
    worker: &Worker<Runner>,
    job: impl FnOnce(&mut Runner) -> Result<Option<Yielded>, ScriptError> + Send + 'static,
) -> CommandStep {
    // Made on the thread: if nobody waits for the job any more, dropping its result ends the coroutine.
    let at = worker.clone();
    let result = worker.call(move |runner| match job(runner) {
        Ok(Some(Yielded { id, effect })) => {
            CommandStep::Effect(effect, SuspendedCommand { worker: at, id, resumed: false })
        }
        Ok(None) => CommandStep::Done,
        Err(error) => CommandStep::Failed(error),
    });
    result.await.unwrap_or_else(|e| gone(&e.to_string()))
}

fn gone(reason: &str) -> CommandStep {
    CommandStep::Failed(ScriptError::new(EntryPoint::Command, LuaFailure::new(FailureKind::Gone, reason)))
}
