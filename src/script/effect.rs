//! Everything that a command can ever cause: one enum. A script asks for an effect by a function of its `ctx`, the
//! core performs it, and the answer, or an error, goes back to the line that asked.
//!
//! All of it is checked here as far as that is possible without Discord: lengths and counts are within its limits.

mod decode;
mod values;

use serde::Serialize;

use crate::domain::{Author, ChannelId, Dialog, MessageId, NamedChannel, PermissionMode, ProjectName, Reply};

#[cfg(test)]
pub(super) use decode::{
    RawAsk, RawChoose, RawConfirm, RawDefer, RawEmbed, RawField, RawFile, RawLink, RawPick, RawSay, RawSend,
    RawSetMode, RawSetModel, RawWho,
};
pub(super) use decode::{decode, names};

/// One thing that a command asks the core to do. Where a variant has a channel, none means the one that the command
/// was used in.
///
/// The core answers with JSON; what that is stands with each variant, `null` where nothing is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer the command, or say one more thing.
    Reply(Reply),
    /// Put this in the place of the answer.
    Edit(Reply),
    /// Tell the person that the answer will take a while.
    Defer {
        /// Whether only the person who used the command sees the answer.
        ephemeral: bool,
    },
    /// Ask yes or no: the dialog's values are [`YES`] and another. The answer is `true`, `false`, or `null` where nobody
    /// answered in time.
    Confirm(Dialog),
    /// Let a person choose. The answer is the value that was chosen, or `null` where nobody chose in time.
    Choose(Dialog),
    /// Which session the next turn of a channel goes on with, as it routes now. The answer is a [`SessionFacts`], or
    /// `null` where there is none.
    Session {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// All sessions. The answer is a list of [`SessionFacts`].
    Sessions,
    /// Forget a channel's session. The answer is what it was, a [`SessionFacts`], or `null` where there was none.
    ResetSession {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// From the next turn on, use this model. The answer is a [`Changed`].
    SetModel {
        /// Where.
        channel: Option<ChannelId>,
        /// None: the project's own.
        model: Option<String>,
    },
    /// From the next turn on, use this permission mode. The answer is a [`Changed`].
    SetPermissionMode {
        /// Where.
        channel: Option<ChannelId>,
        /// None: the project's own.
        mode: Option<String>,
    },
    /// End the running turn. The answer is the turn, a [`QueueEntry`], or `null` where none runs.
    Stop {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// Who runs and who waits in a channel's lane. The answer is a list of [`QueueEntry`], in order.
    Queue {
        /// Where.
        channel: Option<ChannelId>,
    },
    /// Take a waiting turn out of its lane; only its own person may. The answer is whether it was still waiting.
    TakeOut {
        /// Which.
        turn: MessageId,
    },
    /// Start a turn as the person who used the command; the gate is asked. The answer is its id, a string.
    Ask(TurnRequest),
    /// Say something in a channel that routes.
    Send {
        /// Where.
        channel: ChannelId,
        /// What; it may become several messages.
        text: String,
    },
    /// All projects. The answer is a list of [`ProjectInfo`].
    Projects,
    /// How the bot is. The answer is a [`StatusFacts`].
    Status,
    /// Read the scripts again, if the person is an operator. The answer is a [`Reloaded`].
    Reload,
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
}

/// A session, as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionFacts {
    /// Where.
    pub channel: NamedChannel,
    /// The name of its project.
    pub project: ProjectName,
    /// The model that the next turn uses; none: the CLI chooses.
    pub model: Option<String>,
    /// The permission mode that the next turn uses; none: the CLI's settings say.
    pub permission_mode: Option<PermissionMode>,
    /// How many turns it has answered.
    pub turns: u32,
    /// What it has cost, in dollars, as the CLI estimates it.
    pub cost_usd: f64,
    /// When it was begun or last gave a result, in seconds since 1970.
    pub last_used: f64,
    /// How many turns wait in the channel.
    pub waiting: usize,
    /// Whether a turn runs in the channel.
    pub running: bool,
}

/// A turn in a lane, as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueEntry {
    /// Its id: that of the message that it answers.
    pub id: MessageId,
    /// Whose it is.
    pub user: Author,
    /// The beginning of the prompt.
    pub prompt: String,
    /// Whether it runs; else it waits.
    pub running: bool,
    /// Whether its work is done, and its answer is being posted.
    pub answering: bool,
    /// For how long it has been there, in seconds.
    pub seconds: f64,
}

/// A project, as scripts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectInfo {
    /// Its name.
    pub name: ProjectName,
    /// None: the CLI chooses.
    pub model: Option<String>,
    /// None: the CLI's settings say.
    pub permission_mode: Option<PermissionMode>,
}

/// What a setting was, and what it is now; none: the project's own, and the project says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Before.
    pub before: Option<String>,
    /// From the next turn on.
    pub after: Option<String>,
}

/// How the bot is, as scripts see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusFacts {
    /// The bot's version.
    pub version: String,
    /// For how long it has been running, in seconds.
    pub uptime: f64,
    /// The number of the newest script set since the start, from 1.
    pub generation: u64,
    /// How many turns run, over all channels.
    pub running: usize,
    /// How many turns wait.
    pub waiting: usize,
}

/// What came of reading the scripts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// The number of the script set that is live now.
    pub generation: u64,
    /// What is wrong with the files; where there is an error among it, the set that was live still is.
    pub problems: Vec<String>,
    /// Whether the files are live.
    pub live: bool,
}
