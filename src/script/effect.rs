//! Everything that a command can ever cause: one enum. A script asks for an effect by calling a function of its `ctx`, the
//! core performs it, and the answer, or an error, goes back to the line that asked.
//!
//! Everything is checked here as far as possible without Discord: lengths and counts are within its limits.

mod choices;
mod decode;
mod threads;
mod usage;
mod values;

use serde::Serialize;

use crate::domain::{
    Author, ChannelId, Dialog, MessageId, NamedChannel, PermissionMode, ProjectName, Reply, SessionId,
    UsageBy, UsagePeriod, Verbosity,
};

#[cfg(test)]
pub(super) use decode::accepted_keys;
pub(super) use decode::decode;
pub use usage::{UsageFacts, UsageRow};

/// One thing that a command asks the core to do: what each is, and what its answer is, stands with the [`CtxFunction`]
/// of the same name. The core answers with JSON, `null` where there is nothing to tell. Where a variant has a channel,
/// none means the one in which the command was used.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// See [`CtxFunction::Reply`].
    Reply(Reply),
    /// See [`CtxFunction::Edit`].
    Edit(Reply),
    /// See [`CtxFunction::Defer`].
    Defer {
        /// Whether only the person who used the command will see the answer.
        ephemeral: bool,
    },
    /// See [`CtxFunction::Confirm`]; of the dialog's values, [`YES`] means yes.
    Confirm(Dialog),
    /// See [`CtxFunction::Choose`].
    Choose(Dialog),
    /// See [`CtxFunction::Session`]. The answer is a [`SessionFacts`].
    Session {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::NextTurn`]. The answer is a [`NextTurn`].
    NextTurn {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::Sessions`]. The answer is a list of [`SessionFacts`].
    Sessions,
    /// See [`CtxFunction::ResetSession`]. The answer is a [`SessionFacts`].
    ResetSession {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::SetModel`]. The answer is a [`Changed`].
    SetModel {
        /// Where.
        channel: Option<ChannelId>,
        /// None: the project's own.
        model: Option<String>,
    },
    /// See [`CtxFunction::SetPermissionMode`]. The answer is a [`Changed`].
    SetPermissionMode {
        /// Where.
        channel: Option<ChannelId>,
        /// None: the project's own.
        mode: Option<String>,
    },
    /// See [`CtxFunction::Verbosity`]. The answer is a [`Verbosity`].
    Verbosity {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::SetVerbosity`]. The answer is a [`Changed`].
    SetVerbosity {
        /// Where.
        channel: Option<ChannelId>,
        /// None: the project's own.
        verbosity: Option<Verbosity>,
    },
    /// See [`CtxFunction::SetBoard`].
    SetBoard {
        /// Where; none: nowhere.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::Stop`]. The answer is a [`QueueEntry`].
    Stop {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::Queue`]. The answer is a list of [`QueueEntry`].
    Queue {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// See [`CtxFunction::TakeOut`].
    TakeOut {
        /// Which turn.
        turn: MessageId,
    },
    /// See [`CtxFunction::Ask`].
    Ask(TurnRequest),
    /// See [`CtxFunction::OpenThread`]. The answer is a [`NamedChannel`].
    OpenThread {
        /// Its name.
        name: String,
    },
    /// See [`CtxFunction::Send`].
    Send {
        /// Where.
        channel: ChannelId,
        /// What is said.
        text: String,
    },
    /// See [`CtxFunction::Projects`]. The answer is a list of [`ProjectInfo`].
    Projects,
    /// See [`CtxFunction::Status`]. The answer is a [`StatusFacts`].
    Status,
    /// See [`CtxFunction::Usage`]. The answer is a [`UsageFacts`].
    Usage { period: UsagePeriod, by: UsageBy },
    /// See [`CtxFunction::Reload`]. The answer is a [`Reloaded`].
    Reload,
}

/// A function of `ctx` that asks for an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtxFunction {
    /// Answers the command; called again, says one more thing.
    ///
    /// Lua: `fun(self: Ctx, reply: string|Say)`
    Reply,
    /// Replaces what was said last.
    ///
    /// Lua: `fun(self: Ctx, edit: string|Say)`
    Edit,
    /// Tells the person that the answer will take a while.
    ///
    /// Lua: `fun(self: Ctx, defer?: Defer)`
    Defer,
    /// Asks yes or no with two buttons, and waits; nil if nobody answers in time.
    ///
    /// Lua: `fun(self: Ctx, confirm: string|Confirm): boolean?`
    Confirm,
    /// Offers options as buttons or a menu, and waits. Gives the value of the chosen one, or nil if nobody chooses in time.
    ///
    /// Lua: `fun(self: Ctx, choose: Choose): string?`
    Choose,
    /// The session that the next turn would continue, here or in the given channel, in the project that an empty message
    /// would go to now; nil if there is none.
    ///
    /// Lua: `fun(self: Ctx, channel?: Id): Session?`
    Session,
    /// What this person's next turn would use, here or in the given channel, if they wrote an empty message now; nil if that
    /// would start none.
    ///
    /// Lua: `fun(self: Ctx, channel?: Id): NextTurn?`
    NextTurn,
    /// All sessions, newest first, at most 500.
    ///
    /// Lua: `fun(self: Ctx): Session[]`
    Sessions,
    /// Forgets that session, so that the next turn starts afresh. Gives what it was; nil if there was none.
    ///
    /// Lua: `fun(self: Ctx, channel?: Id): Session?`
    ResetSession,
    /// Sets the channel's model from the next turn on, across restarts; false goes back to the project's own. Raises unless
    /// the project's `models` allow it.
    ///
    /// Lua: `fun(self: Ctx, model: string|false|SetModel): Changed`
    SetModel,
    /// Does the same for the permission mode, which the project's `permission_modes` must allow.
    ///
    /// Lua: `fun(self: Ctx, mode: PermissionMode|false|SetMode): Changed`
    SetPermissionMode,
    /// What the channel sees of a turn at work; nil where it has no project and has chosen nothing.
    ///
    /// Lua: `fun(self: Ctx, channel?: Id): Verbosity?`
    Verbosity,
    /// Sets that from the next turn on, across restarts; false goes back to the project's `live`.
    ///
    /// Lua: `fun(self: Ctx, verbosity: Verbosity|false|SetVerbosity): Changed`
    SetVerbosity,
    /// Shows all turns in one message in this channel, which is kept up to date; false takes it away. Only operators may. Gives
    /// whether there was one before.
    ///
    /// Lua: `fun(self: Ctx, board: Id|false|SetBoard): boolean`
    SetBoard,
    /// Ends the running turn, or the rest of its answer. Gives that turn; nil if none was running. Only who asked, and operators, may.
    ///
    /// Lua: `fun(self: Ctx, channel?: Id): QueueEntry?`
    Stop,
    /// The turns that are running and waiting, in order.
    ///
    /// Lua: `fun(self: Ctx, channel?: Id): QueueEntry[]`
    Queue,
    /// Takes a turn of this person's out of the queue. Gives whether it was still waiting.
    ///
    /// Lua: `fun(self: Ctx, turn: Id): boolean`
    TakeOut,
    /// Starts a turn as this person, whatever the trigger says. Gives the turn's id.
    ///
    /// Lua: `fun(self: Ctx, ask: string|Ask): Id`
    Ask,
    /// Opens a thread in the channel where the command is used, and adds this person to it. Gives the thread.
    ///
    /// Lua: `fun(self: Ctx, open_thread: string|OpenThread): Channel`
    OpenThread,
    /// Says something in a channel that has a project.
    ///
    /// Lua: `fun(self: Ctx, send: Send)`
    Send,
    /// All projects.
    ///
    /// Lua: `fun(self: Ctx): ProjectInfo[]`
    Projects,
    /// How the bot is doing.
    ///
    /// Lua: `fun(self: Ctx): Status`
    Status,
    /// What turns have used: those of this person, for operators everybody's.
    ///
    /// Lua: `fun(self: Ctx, usage?: UsagePeriod|UsageQuery): Usage`
    Usage,
    /// Reloads the scripts; only operators may.
    ///
    /// Lua: `fun(self: Ctx): Reloaded`
    Reload,
}

/// Every function with its name, and the key that its value stands for when it is given alone; empty if there is none.
pub const FUNCTIONS: [(CtxFunction, &str, &str); 24] = [
    (CtxFunction::Reply, "reply", "text"),
    (CtxFunction::Edit, "edit", "text"),
    (CtxFunction::Defer, "defer", ""),
    (CtxFunction::Confirm, "confirm", "text"),
    (CtxFunction::Choose, "choose", "text"),
    (CtxFunction::Session, "session", "channel"),
    (CtxFunction::NextTurn, "next_turn", "channel"),
    (CtxFunction::Sessions, "sessions", ""),
    (CtxFunction::ResetSession, "reset_session", "channel"),
    (CtxFunction::SetModel, "set_model", "model"),
    (CtxFunction::SetPermissionMode, "set_permission_mode", "mode"),
    (CtxFunction::Verbosity, "verbosity", "channel"),
    (CtxFunction::SetVerbosity, "set_verbosity", "verbosity"),
    (CtxFunction::SetBoard, "set_board", "channel"),
    (CtxFunction::Stop, "stop", "channel"),
    (CtxFunction::Queue, "queue", "channel"),
    (CtxFunction::TakeOut, "take_out", "turn"),
    (CtxFunction::Ask, "ask", "prompt"),
    (CtxFunction::OpenThread, "open_thread", "name"),
    (CtxFunction::Send, "send", "text"),
    (CtxFunction::Projects, "projects", ""),
    (CtxFunction::Status, "status", ""),
    (CtxFunction::Usage, "usage", "period"),
    (CtxFunction::Reload, "reload", ""),
];

/// The names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(_, name, _)| *name)
}

/// The values of the two buttons of [`Effect::Confirm`].
pub const YES: &str = "yes";
const NO: &str = "no";

/// A turn to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRequest {
    /// What to ask; not empty.
    pub prompt: String,
    /// In place of the channel's project.
    pub project: Option<ProjectName>,
    /// For this turn, in place of the channel's or the project's.
    pub model: Option<String>,
    /// Whether to forget the session first.
    pub fresh: bool,
    /// Whether it gets a thread of its own.
    pub thread: bool,
}

/// A channel's conversation with Claude in one project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionFacts {
    /// Claude Code's id of it, which `claude --resume` takes in the project's directory.
    pub id: SessionId,
    /// Where it is.
    pub channel: NamedChannel,
    /// The project's name.
    pub project: ProjectName,
    /// The model of the next turn; nil: the CLI chooses.
    pub model: Option<String>,
    /// The permission mode of the next turn; nil: the CLI's settings decide.
    pub permission_mode: Option<PermissionMode>,
    /// How many turns it has answered.
    pub turns: u32,
    /// What it has cost in dollars, as the CLI estimates it.
    pub cost_usd: f64,
    /// When it began or last gave a result, in seconds since 1970.
    pub last_used: f64,
    /// How many turns are waiting in the channel.
    pub waiting: usize,
    /// Whether a turn is running in the channel.
    pub running: bool,
}

/// A turn that is running or waiting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueEntry {
    /// The id of the message or command that asked.
    pub id: MessageId,
    /// Who asked.
    pub user: Author,
    /// The beginning of the prompt.
    pub prompt: String,
    /// Whether it is running; otherwise it is waiting.
    pub running: bool,
    /// Whether it is on its way into the turn that runs, or in it; then it is not running by itself.
    pub steered: bool,
    /// Whether the work is done and the answer is being posted.
    pub answering: bool,
    /// How long it has been there.
    pub seconds: f64,
}

/// A project, as commands see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectInfo {
    /// Its name.
    pub name: ProjectName,
    /// nil: the CLI chooses.
    pub model: Option<String>,
    /// nil: the CLI's settings decide.
    pub permission_mode: Option<PermissionMode>,
}

/// What a turn would use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextTurn {
    /// Its project.
    pub project: ProjectName,
    /// Its model: the one that `route` gives, else the channel's choice, else the project's; nil: Claude Code chooses.
    pub model: Option<String>,
    /// Its permission mode: the channel's choice, else the project's; nil: Claude Code's settings decide.
    pub permission_mode: Option<PermissionMode>,
    /// Whether `route` makes it forget the session.
    pub fresh: bool,
    /// Whether the function `route` decides here, so that a message's text may lead to something else.
    pub by_route: bool,
}

/// What a setting was, and what it is now; nil where the project sets none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The old value.
    pub before: Option<String>,
    /// The value from the next turn on.
    pub after: Option<String>,
}

/// How the bot is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusFacts {
    /// The bot's version.
    pub version: String,
    /// How long it has been running, in seconds.
    pub uptime: f64,
    /// Which script set since the start is live, counted from 1.
    pub generation: u64,
    /// How many turns are running, over all channels.
    pub running: usize,
    /// How many turns are waiting.
    pub waiting: usize,
}

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// The generation that is live now.
    pub generation: u64,
    /// What is wrong with the files; with an error among it, the previous set stays live.
    pub problems: Vec<String>,
    /// Whether the files are live.
    pub live: bool,
}

/// An answer of each kind, by its name in Lua, without whatever may be absent.
#[cfg(test)]
pub(super) fn least_answers(channel: NamedChannel, user: Author) -> Vec<(&'static str, serde_json::Value)> {
    use serde_json::json;
    let project = ProjectName(String::new());
    let next = NextTurn {
        project: project.clone(),
        model: None,
        permission_mode: None,
        fresh: false,
        by_route: false,
    };
    let session = SessionFacts {
        id: SessionId::random(),
        channel,
        project: project.clone(),
        model: None,
        permission_mode: None,
        turns: 0,
        cost_usd: 0.0,
        last_used: 0.0,
        waiting: 0,
        running: false,
    };
    let id = MessageId::new(1).expect("1 is an id");
    let (prompt, version) = (String::new(), String::new());
    let entry =
        QueueEntry { id, user, prompt, running: false, steered: false, answering: false, seconds: 0.0 };
    vec![
        ("Session", json!(session)),
        ("NextTurn", json!(next)),
        ("QueueEntry", json!(entry)),
        ("ProjectInfo", json!(ProjectInfo { name: project, model: None, permission_mode: None })),
        ("Changed", json!(Changed { before: None, after: None })),
        ("Status", json!(StatusFacts { version, uptime: 0.0, generation: 1, running: 0, waiting: 0 })),
        ("Usage", json!(UsageFacts::default())),
        ("UsageRow", json!(UsageRow::default())),
        ("Reloaded", json!(Reloaded { generation: 1, problems: Vec::new(), live: true })),
    ]
}
