//! The words of moonlane as plain data: ids, messages, projects, routes, turns.
//!
//! Nothing here does I/O, and nothing here knows the types of Discord, Lua, SQLite or the CLI: each outer module converts at
//! its edge.

mod approve;
mod arrival;
mod blank;
mod deny;
mod footer;
mod form;
mod grants;
mod interaction;
mod live;
mod project;
mod quoted;
mod reply;
mod usage;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::oneshot;

#[cfg(test)]
pub(crate) use form::tests as form_tests;

pub use approve::Approve;
pub use arrival::{Busy, ThreadMode};
pub use blank::{is_blank, shows_nothing};
pub use deny::{DENIED_FILES, denying};
pub use footer::FooterField;
pub use form::{Form, FormField, FormMisfit, FormValues, LONGEST_LABEL, LONGEST_PLACEHOLDER, MOST_FIELDS};
pub use grants::SessionGrants;
pub use interaction::{
    Choice, Command, CommandOption, Interaction, InteractionKind, InteractionToken, Invocation, NamedChannel,
    NamedRole, OptionKind, OptionValue, Permission, Subcommand,
};
pub use live::Verbosity;
pub use project::{
    Allow, AnswerForm, Effort, Format, GateTimes, Ids, Limits, LiveTimes, MAX_BYTES, MAX_PARTS,
    PermissionMode, Project, ProjectName, RunAs, Sandbox, SecretSource, SettingSource, Share, Source, TOOLS,
    is_model_name,
};
pub use quoted::{Extra, QuoteOrigin, Quoted};
pub use reply::{
    Action, Button, ButtonStyle, Controls, Dialog, DialogButton, DialogEnd, Embed, EmbedField, File,
    MOST_MENUS, MOST_OPTIONS, Reply, Row, Select, SelectOption,
};
pub use usage::{
    Compaction, ContextFill, SpendingBudget, Tokens, TurnUsage, UsageBy, UsagePeriod, turn_cost,
};

/// A text that should be a Discord id but is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Discord id: expected 1 to 20 digits, not 0, as a string")]
pub struct BadId(pub String);

macro_rules! snowflake {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        ///
        /// A Discord snowflake. In Lua and JSON it is a string, because a double cannot hold it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number; 0 is not an id.
            pub fn new(id: u64) -> Option<Self> {
                (id != 0).then_some(Self(id))
            }

            /// When Discord created it: in milliseconds since the start of 2015, by Discord's clock. See
            /// <https://discord.com/developers/docs/reference#snowflakes>.
            pub fn made(self) -> u64 {
                self.0 >> 22
            }

            /// The number itself, for where it is needed (SQLite, serenity).
            pub fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let id = digits.then(|| text.parse().ok()).flatten();
                id.and_then(Self::new).ok_or_else(|| BadId(text.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

snowflake! {
    /// A channel or a thread: the address of one conversation.
    ChannelId,
    /// A message; also the key of the turn that it starts.
    MessageId,
    /// A person, or a bot.
    UserId,
    /// A role in a guild.
    RoleId,
    /// A guild (a "server").
    GuildId,
    /// The use of a command, or the press of a button.
    InteractionId,
    /// The bot's Discord application, which commands are registered for.
    ApplicationId,
}

impl MessageId {
    /// A short form of the id for people: six characters, in the text of an error and in its log lines.
    ///
    /// It keeps the low bits, which differ between any two messages in the same hour.
    pub fn short(self) -> String {
        short(self.0)
    }
}

impl MessageId {
    /// The first id that a message of this time can have. Discord's ids count milliseconds from the start of 2015:
    /// <https://discord.com/developers/docs/reference#snowflakes>.
    pub fn first_at(time: SystemTime) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_420_070_400_000);
        let since = time.duration_since(start).unwrap_or_default().as_millis();
        Self(u64::try_from(since).unwrap_or(u64::MAX >> 22).clamp(1, u64::MAX >> 22) << 22)
    }
}

impl MessageId {
    /// The thread that is opened from this message: Discord gives it the same id.
    pub fn thread(self) -> ChannelId {
        ChannelId(self.0)
    }
}

impl ChannelId {
    /// An id less than those of all messages in this channel: a channel is older than its messages.
    pub fn before_all(self) -> MessageId {
        MessageId(self.0)
    }
}

impl InteractionId {
    /// As [`MessageId::short`], for the use of a command.
    pub fn short(self) -> String {
        short(self.0)
    }
}

fn short(id: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    // The low 12 bits count within one process and millisecond and are nearly always 0; above them is the time in
    // milliseconds (with ten bits for worker and process in between).
    let mixed = (id >> 22) ^ (id & 0x3f_ffff).wrapping_mul(0x9E37_79B1);
    (0..6).rev().map(|i| char::from(DIGITS[(mixed >> (5 * i)) as usize & 31])).collect()
}

/// What a person wrote in Discord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's id.
    pub id: MessageId,
    /// The channel or thread that it is in.
    pub channel_id: ChannelId,
    /// The channel that a thread belongs to; `None` outside threads.
    pub parent_channel_id: Option<ChannelId>,
    /// The channel's name without `#`; empty if Discord has not told it.
    pub channel_name: String,
    /// The tags of the forum's post that it is in.
    pub channel_tags: Vec<String>,
    /// Whether it is in a thread that the bot has opened, and the bot may read what does not mention it.
    pub in_own_thread: bool,
    /// The guild it was written in.
    pub guild_id: GuildId,
    /// Who wrote it.
    pub author: Author,
    /// The text without the mention of the bot, and with other mentions readable as `@name` and `#name`.
    pub text: String,
    /// The text exactly as Discord sent it.
    pub raw_text: String,
    /// Whether it mentions the bot: by name, by the bot's own role, or by a reply that pings; never by @everyone.
    pub mentions_me: bool,
    /// The files attached to it.
    pub attachments: Vec<Attachment>,
    /// The message that it replies to. Scripts are not told about it.
    pub reply_to: Option<MessageId>,
    /// What that says, or what this message forwards. Scripts are not told about it.
    pub quoted: Option<Quoted>,
    /// What else it contains. Scripts are not told about it.
    pub extras: Vec<Extra>,
}

/// A person. `tostring` of it is the mention.
///
/// Lua class: `Person`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Author {
    /// The person's id.
    pub id: UserId,
    /// The name as shown in this guild.
    pub name: String,
    /// The person's roles in this guild.
    pub roles: Vec<RoleId>,
    /// Whether this is a bot (or a webhook); such messages never start a turn.
    pub bot: bool,
}

/// A file attached to a message.
///
/// Its content is not here: it is fetched when the turn starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file name as uploaded.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The media type that Discord detected, such as "text/plain; charset=utf-8".
    pub content_type: Option<String>,
    /// Where to fetch it.
    pub url: String,
    /// Whether it is the recording of a voice message.
    #[serde(default)]
    pub voice: bool,
}

/// What the scripts decided for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Not meant for the bot.
    NotForMe,
    /// Meant for the bot, but `channels` has no entry for it, and there is no `route` function.
    Unrouted,
    /// Meant for the bot, and answered by the scripts themselves.
    Reply(String),
    /// A turn in a project.
    Turn(Work),
}

/// What a turn is to do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub project: Arc<Project>,
    /// What to ask; may be empty (just a mention).
    pub prompt: String,
    /// The model for this turn, instead of the project's.
    pub model: Option<String>,
    /// Whether to forget the channel's session first.
    pub fresh: bool,
    /// Whether it gets a thread of its own where it is asked by a command; of a message the project decides.
    pub in_thread: bool,
}

/// Claude Code's own id of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionId(pub uuid::Uuid);

impl SessionId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An amount of money in millionths of a US dollar, as the CLI estimates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// From the CLI's floating-point dollars; anything but a positive number counts as nothing.
    pub fn from_dollars(dollars: f64) -> Self {
        let micros = (dollars * 1e6).round();
        // `as` saturates: NaN and negative numbers become 0, huge ones u64::MAX.
        Self(micros as u64)
    }
}

/// In dollars, with all six places.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A file of a message that the agent does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadFile {
    pub name: String,
    pub why: UnreadReason,
}

/// Why the agent does not get a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadReason {
    /// It has more than so many bytes.
    TooLarge { bytes: u64 },
    /// With those before it, it has more than so many bytes.
    TooMuch { bytes: u64 },
    /// Discord does not have it any more.
    Lost,
    /// It could not be had from Discord.
    NotFetched,
    /// It is longer than Discord said.
    NotAsAnnounced,
    /// The disk did not take it.
    NotKept,
    /// It is kept, but the project's agents run as a user who cannot read it there.
    NotReadable,
    /// It is a voice message, and nobody has heard what it says.
    NotTranscribed,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Answered,
    /// Something went wrong, and the person was told what.
    Failed,
    /// Nobody wants the answer any more: the message was deleted, or the turn was stopped.
    Cancelled,
    /// The bot stopped or died before its end.
    Interrupted,
    /// It was put into the turn that ran, and is answered there.
    Steered,
}

/// What reaches the bot from Discord, in the order in which Discord sent it.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// Somebody wrote a message. Bots' and webhooks' messages are marked `author.bot`.
    Message(Message),
    /// All that was missed in this channel is taken in.
    MissedAll(ChannelId),
    /// All that was said in this channel up to this message is told, or does not concern the bot.
    Told(ChannelId, MessageId),
    /// These channels and threads are gone, or the bot has been removed from their guild.
    Gone(Vec<ChannelId>),
    /// Somebody edited a message; this is its new state.
    Edited(Message),
    Deleted(Vec<MessageId>),
    /// Channels, threads, roles or permissions have changed: what Discord refused before, it may take now.
    Changed,
    /// A new session with Discord has begun. It does not tell which messages were edited or deleted before it.
    Anew,
}

/// What was said in a channel while nobody listened, oldest first. What is said now goes before it, but for that in the
/// same channel, which is not told before all that was missed is taken in.
#[derive(Debug)]
pub enum Missed {
    /// Somebody wrote this.
    Message {
        /// The message, as it stands now.
        message: Box<Message>,
        /// It is too old to be answered.
        too_old: bool,
    },
    /// All up to a message is told.
    UpTo {
        channel: ChannelId,
        message: MessageId,
        /// Hears when it is taken in.
        taken_in: oneshot::Sender<()>,
    },
}

/// A request to read a message again, because nobody listened when it may have been edited or deleted.
#[derive(Debug)]
pub struct Reread {
    pub channel: ChannelId,
    pub message: MessageId,
    /// Takes the answer; dropped where Discord does not give one.
    pub answer: oneshot::Sender<Stands>,
}

/// How a message stands now.
#[derive(Debug, Clone, PartialEq)]
pub enum Stands {
    /// As it was written.
    Unchanged,
    /// As its author has edited it since it was written.
    Edited(Box<Message>),
    Deleted,
}
