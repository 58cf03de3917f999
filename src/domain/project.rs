//! Projects: where agents work, how, for whom, and within what limits.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Approve, Busy, DENIED_FILES, FooterField, MicroUsd, RoleId, SpendingBudget, ThreadMode, UserId, Verbosity,
};

/// The name of a project in routing.lua.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProjectName(pub String);

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A named place to work, as defined in routing.lua and completed by the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// The directory that agents work in; absolute, but it need not exist.
    pub dir: PathBuf,
    /// The model, as the CLI takes it; `None`: the CLI chooses.
    pub model: Option<String>,
    /// The models that may be chosen instead of its own; `None`: any.
    pub models: Option<Vec<String>>,
    /// What Claude may do without asking; `None`: the CLI's settings decide.
    pub permission_mode: Option<PermissionMode>,
    /// The permission modes that may be chosen instead of its own; `None`: any but those that must be listed.
    pub permission_modes: Option<Vec<PermissionMode>>,
    /// The exact set of built-in tools; `None`: the CLI's own.
    pub tools: Option<Vec<String>>,
    /// Rules for what is allowed without asking, such as `Bash(git *)`.
    pub allowed_tools: Vec<String>,
    /// Tools that are taken away.
    pub disallowed_tools: Vec<String>,
    /// Appended to Claude Code's own system prompt.
    pub system_prompt: Option<String>,
    /// Which settings files the CLI reads.
    pub setting_sources: Vec<SettingSource>,
    /// How hard the model thinks; `None`: the CLI decides.
    pub effort: Option<Effort>,
    /// The model to use when the first one is busy, or several, separated by commas.
    pub fallback_model: Option<String>,
    /// How many round trips to the model a turn may take: at least 1.
    pub max_turns: Option<u32>,
    /// What a turn may cost, more than nothing. The CLI checks it after each round trip.
    pub max_usd: Option<MicroUsd>,
    /// More directories that Claude may work in; absolute, but they need not exist.
    pub add_dirs: Vec<PathBuf>,
    /// MCP servers in addition to those in the CLI's own settings.
    pub mcp_config: Vec<Source>,
    /// Settings in addition to those of `setting_sources`.
    pub settings: Option<Source>,
    /// Whether the CLI runs restricted: no shell and no WebFetch unless `tools` names them, no settings files.
    pub restricted: bool,
    /// What keeps its agents from the rest of this machine.
    pub sandbox: Option<Sandbox>,
    /// The user that its agents run as; `None`: the bot's own.
    pub run_as: Option<RunAs>,
    /// What is put before the configured command, such as a container's `exec`; may be empty. Directory and environment are
    /// then those of this prefix, and it decides what the agent gets of them.
    pub command: Vec<String>,
    /// Variables added to the agent's environment.
    pub env: BTreeMap<String, String>,
    /// Variables whose values are secrets that stand elsewhere. None of them is in `env`.
    pub env_from: BTreeMap<String, SecretSource>,
    /// The time limits: those of the configuration, unless the project overrides them.
    pub limits: Limits,
    /// A code block of an answer with more lines than this becomes a file; `None`: never.
    pub file_over: Option<NonZeroUsize>,
    /// Whether Claude may hand over files.
    pub send_files: bool,
    /// Which files it may not, whatever they hold.
    pub deny_files: Vec<String>,
    /// Which of Claude's texts are the answer.
    pub answer: AnswerForm,
    /// What becomes of a message that comes while a turn runs in its channel.
    pub busy: Busy,
    /// How many of the messages before a prompt go with it.
    pub context: usize,
    /// Whether a message opens a thread.
    pub thread: ThreadMode,
    /// How its text becomes parts.
    pub format: Format,
    /// An answer with more parts than this is cut short, and all of it is attached as a file; `None`: never.
    pub max_parts: Option<NonZeroUsize>,
    /// What an answer has beyond this many bytes is only in the file; `None`: no limit.
    pub max_bytes: Option<NonZeroUsize>,
    /// What its channels see of a turn at work, unless they choose something else.
    pub live: Verbosity,
    /// What stands in small text below its answers; nothing where this is empty.
    pub footer: Vec<FooterField>,
    /// What its turns may cost within 24 hours.
    pub budget: SpendingBudget,
    /// Who may work here; replaces the global rule.
    pub allow: Option<Allow>,
    /// Who may answer Claude's questions, besides whoever asked it.
    pub approvers: Allow,
    /// Whether whoever asked may answer Claude's questions, too.
    pub approve: Approve,
    /// Whether the hook `on_permission` may allow what Claude asks leave for; it may always deny.
    pub scripts_may_allow: bool,
}

impl Project {
    /// A project that sets nothing but where it is; its agents read all settings files.
    pub fn new(name: ProjectName, dir: PathBuf, limits: Limits) -> Self {
        Self {
            name,
            dir,
            model: None,
            models: None,
            permission_mode: None,
            permission_modes: None,
            tools: None,
            allowed_tools: Vec::new(),
            disallowed_tools: Vec::new(),
            system_prompt: None,
            setting_sources: vec![SettingSource::User, SettingSource::Project, SettingSource::Local],
            effort: None,
            fallback_model: None,
            max_turns: None,
            max_usd: None,
            add_dirs: Vec::new(),
            mcp_config: Vec::new(),
            settings: None,
            restricted: false,
            sandbox: None,
            run_as: None,
            command: Vec::new(),
            env: BTreeMap::new(),
            env_from: BTreeMap::new(),
            limits,
            file_over: None,
            send_files: true,
            deny_files: DENIED_FILES.map(str::to_owned).to_vec(),
            answer: AnswerForm::default(),
            busy: Busy::default(),
            context: 0,
            thread: ThreadMode::default(),
            format: Format::default(),
            max_parts: Some(MAX_PARTS),
            max_bytes: Some(MAX_BYTES),
            live: Verbosity::default(),
            footer: FooterField::DEFAULT.to_vec(),
            budget: SpendingBudget::default(),
            allow: None,
            approvers: Allow::default(),
            approve: Approve::default(),
            scripts_may_allow: false,
        }
    }

    /// Whether its agents get the tool that hands files over. The bot reads files as its own user, so not where they run as another.
    pub fn sends_files(&self) -> bool {
        self.send_files && self.run_as.is_none()
    }

    /// The directories in which Claude may work, its own first.
    pub fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.dir).chain(&self.add_dirs)
    }

    /// Whether this model may be chosen here, in place of the project's own.
    pub fn takes_model(&self, model: &str) -> bool {
        let listed = self.models.as_ref().is_none_or(|models| models.iter().any(|it| it == model));
        is_model_name(model) && listed || self.model.as_deref() == Some(model)
    }

    /// Whether this permission mode may be chosen here, in place of the project's own.
    pub fn takes_mode(&self, mode: PermissionMode) -> bool {
        let listed = match &self.permission_modes {
            Some(modes) => modes.contains(&mode),
            None => !mode.must_be_listed(),
        };
        listed || self.permission_mode == Some(mode)
    }
}

/// Whether this looks like the name of a model, as the CLI and the providers behind it use them.
pub fn is_model_name(name: &str) -> bool {
    let may_be = |c: char| c.is_ascii_alphanumeric() || "-_.:/@[]".contains(c);
    name.len() <= 200 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(may_be)
}

/// Claude Code's own tools: those of the recorded sessions (2.1.330 and 2.0.76), and what its rules call them otherwise.
pub const TOOLS: [&str; 44] = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "CronCreate",
    "CronDelete",
    "CronList",
    "Edit",
    "EnterPlanMode",
    "EnterWorktree",
    "ExitPlanMode",
    "ExitWorktree",
    "Glob",
    "Grep",
    "KillShell",
    "LSP",
    "ListAgents",
    "ListMcpResourcesTool",
    "Monitor",
    "MultiEdit",
    "NotebookEdit",
    "PushNotification",
    "Read",
    "ReadMcpResourceTool",
    "RemoteTrigger",
    "ReportFindings",
    "ScheduleWakeup",
    "SendMessage",
    "Skill",
    "SlashCommand",
    "StructuredOutput",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Workflow",
    "Write",
];

/// What Claude may do without asking, by Claude Code's own names.
///
/// They are those of `--permission-mode`, and of `set_permission_mode` over the control protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    Default,
    AcceptEdits,
    Plan,
    DontAsk,
    Auto,
    BypassPermissions,
}

impl PermissionMode {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Default, Self::AcceptEdits, Self::Plan, Self::DontAsk, Self::Auto, Self::BypassPermissions];

    /// Whether it is only chosen where a project lists it: in these, commands run of which no person and no rule has heard.
    pub fn must_be_listed(self) -> bool {
        matches!(self, Self::Auto | Self::BypassPermissions)
    }

    /// The name as the CLI takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::AcceptEdits => "acceptEdits",
            Self::Plan => "plan",
            Self::DontAsk => "dontAsk",
            Self::Auto => "auto",
            Self::BypassPermissions => "bypassPermissions",
        }
    }
}

/// How hard the model thinks.
///
/// The names are those of `--effort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// The name as the CLI takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }
}

/// Settings or MCP servers for the CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a file; absolute, but it need not exist.
    File(PathBuf),
    /// As JSON: one object.
    Json(String),
}

/// Where a secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In this variable of the bot's own environment.
    Variable(String),
    /// In this file; absolute, but it need not exist.
    File(PathBuf),
}

/// What keeps agents from the rest of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// bubblewrap, which must be installed
    Bwrap,
}

/// A user of this machine that agents run as, as it was when the scripts were loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// The login name.
    pub name: String,
    /// The user and the groups that processes get.
    pub ids: Ids,
    /// The home directory; it need not exist.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// A user, as the kernel knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The user's number; never that of root.
    pub user: u32,
    /// The number of the user's own group.
    pub group: u32,
    /// The numbers of all of the user's groups.
    pub groups: Vec<u32>,
}

/// One of Claude Code's settings files.
///
/// The names are those of `--setting-sources`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// `~/.claude/settings.json`
    User,
    /// `.claude/settings.json` and CLAUDE.md in the project
    Project,
    /// `.claude/settings.local.json` in the project
    Local,
}

impl SettingSource {
    /// The name as the CLI takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
        }
    }
}

/// Which of Claude's texts are the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerForm {
    /// every text after the last tool call
    #[default]
    Last,
    /// every text
    All,
}

/// How Markdown becomes parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Whether what Discord does not show (tables, task lists, images …) is rewritten as something that it does.
    pub dialect: bool,
    /// Parts are kept shorter than this many lines where nothing is torn, because phones fold very tall messages.
    pub max_lines: Option<NonZeroUsize>,
}

impl Format {
    /// For texts that were written for Discord: what the bot itself says, and what scripts do.
    pub const AS_WRITTEN: Self = Self { dialect: false, max_lines: None };
}

impl Default for Format {
    fn default() -> Self {
        Self { dialect: true, max_lines: None }
    }
}

/// How many bytes of an answer are posted by default.
pub const MAX_BYTES: NonZeroUsize = NonZeroUsize::new(200 * 1024).expect("200 KB is not 0");

/// How many parts an answer may have by default.
pub const MAX_PARTS: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");

/// How long each stage of a turn may take before the agent is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From starting the agent to its first sign of readiness.
    pub start: Duration,
    /// From a prompt to the first sign that the agent has begun with it.
    pub wake: Duration,
    /// Without any event, while no tool is running.
    pub silence: Duration,
    /// Without any event, while a tool is running.
    pub tool: Duration,
    /// The whole turn.
    pub turn: Duration,
    /// From the result to idle, and from closing stdin to the exit.
    pub after_result: Duration,
    /// How long after the reset of a usage limit a turn goes on at most; at random, so that not all begin at once. May be 0.
    pub continue_spread: Duration,
    /// How long Claude waits for leave to use a tool and for a word on its plan, and an MCP server for a person.
    pub question: Duration,
    /// How long it waits for an answer to what it asks; `None`: for as long as it takes.
    pub question_choice: Option<Duration>,
}

/// How long Discord's word about people counts, at the gate.
#[derive(Debug, Clone, Copy)]
pub struct GateTimes {
    /// How long it counts for a person who is to be let in.
    pub fresh: Duration,
    /// How often owners are looked up when nobody needs them.
    pub owners_every: Duration,
}

impl Default for GateTimes {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(60), owners_every: Duration::from_secs(10 * 60) }
    }
}

/// When the live line of a turn is shown, and how often it is edited; and when one that waits is told of.
#[derive(Debug, Clone, Copy)]
pub struct LiveTimes {
    /// A turn that is over sooner has none.
    pub shown_after: Duration,
    /// The shortest pause between two edits, at the beginning of a turn.
    pub least_pause: Duration,
    /// The pause in long turns.
    pub most_pause: Duration,
    /// How long a message waits before it is told what its author can do about it.
    pub notice_after: Duration,
}

impl Default for LiveTimes {
    fn default() -> Self {
        Self {
            shown_after: Duration::from_secs(2),
            least_pause: Duration::from_millis(1500),
            most_pause: Duration::from_secs(5),
            notice_after: Duration::from_secs(3),
        }
    }
}

impl LiveTimes {
    /// The pause after an edit: the longer the turn lasts, the less a second matters to whoever looks.
    pub fn pause(&self, elapsed: Duration) -> Duration {
        (self.least_pause + elapsed / 15).min(self.most_pause)
    }
}

/// What one person can take up, so that others get their share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many of their turns run at once, over all channels.
    pub running: usize,
    /// How many of their messages wait in one channel.
    pub waiting: usize,
    /// How many messages of theirs are taken in within a minute.
    pub per_minute: usize,
    /// How many uses of commands of theirs are in progress at once; operators' are not counted.
    pub commands: usize,
    /// How many of these may be waiting for a press.
    pub dialogs: usize,
}

/// Who is let in. The owner of the Discord application always is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allow {
    /// These people.
    pub users: Vec<UserId>,
    /// Everybody with one of these roles.
    pub roles: Vec<RoleId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_of_ten_minutes_takes_no_more_than_140_calls() {
        let times = LiveTimes::default();
        let edits = |minutes: u64| {
            let (mut at, mut edits) = (times.shown_after, 0);
            while at < Duration::from_secs(60 * minutes) {
                at += times.pause(at);
                edits += 1;
            }
            edits
        };
        // Typing, the line, its end, the answer.
        assert!(edits(10) + 4 <= 140, "{}", edits(10));
        assert!(edits(1) + 4 <= 25, "{}", edits(1));
    }
}
