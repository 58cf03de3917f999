//! What goes in and out of a local Discord, as its users see it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::world::{File, FileFault, Id, Message, Owner, Poll};

/// How a local Discord behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether calls are limited as Discord limits them. If not, the answers carry no rate-limit headers either.
    pub rate_limits: RateLimits,
    /// Who owns the application.
    pub owner: Owner,
    /// Whether the message-content intent is switched on in the "developer portal". Where it is not, as with every new
    /// application, an IDENTIFY that asks for it is closed with 4014.
    pub message_content: bool,
    /// How often the gateway wants a heartbeat.
    pub heartbeat: Duration,
    /// How long an interaction waits to be acknowledged.
    pub acknowledge: Duration,
    /// How long the token of an interaction lives.
    pub interaction_token: Duration,
    /// The bot's token.
    pub token: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            rate_limits: RateLimits::On,
            owner: Owner::User,
            message_content: false,
            heartbeat: Duration::from_millis(41_250),
            acknowledge: Duration::from_secs(3),
            interaction_token: Duration::from_secs(15 * 60),
            token: "local.discord.token-that-opens-nothing-else".to_owned(),
        }
    }
}

/// Whether calls are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimits {
    /// As Discord does it.
    On,
    /// Not at all, but for the names of channels: two changes in ten minutes each.
    Off,
}

/// Something that happened, in the order in which it happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// In which channel or thread, if in one.
    pub channel: Option<Id>,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A message was posted, by whomever.
    Posted(Message),
    /// A message was edited; this is its new state.
    Edited(Message),
    /// A message was deleted.
    Deleted(Id),
    /// Somebody reacted.
    ReactionAdded {
        /// The message.
        message: Id,
        /// Who.
        user: Id,
        /// A Unicode emoji, or `name:id`.
        emoji: String,
    },
    /// Somebody took a reaction back.
    ReactionRemoved {
        /// The message.
        message: Id,
        /// Who.
        user: Id,
        /// A Unicode emoji, or `name:id`.
        emoji: String,
    },
    /// Somebody opened a thread: the event's channel.
    ThreadOpened {
        /// The channel or forum that it is in.
        parent: Id,
        /// Who.
        by: Id,
    },
    /// A thread, which is the event's channel, was renamed, closed, reopened, or changed otherwise: see
    /// [`LocalDiscord::thread_state`](super::LocalDiscord::thread_state).
    ThreadChanged,
    /// The bot types.
    Typing {
        /// Who: the bot.
        user: Id,
    },
    /// Somebody used a command, typed in an option, pressed a button, chose in a menu or submitted a form.
    Interacted {
        /// The interaction.
        interaction: Id,
        /// Who.
        user: Id,
    },
    /// The bot acknowledged an interaction: [`LocalDiscord::response`](super::LocalDiscord::response) says how. A
    /// message that answers it was posted, or edited, before.
    Acknowledged {
        /// The interaction.
        interaction: Id,
    },
    /// The bot has a session on the gateway: READY and GUILD_CREATE, or what it missed and RESUMED, are on their way.
    Connected {
        /// Whether it resumed its old session.
        resumed: bool,
    },
    /// A connection of the bot to the gateway ended.
    Disconnected,
}

/// A REST call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method, such as `POST`.
    pub method: String,
    /// The path under /api/v10, with its query.
    pub path: String,
    /// The status of its answer; `None` until there is one, and for ever if the connection was dropped.
    pub status: Option<u16>,
    /// When it came in.
    pub at: Instant,
}

/// What can go wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// It is answered with this status, and nothing happens.
    Status(u16),
    /// It is answered with 429.
    RateLimited {
        /// How long the bot is to wait.
        after: Duration,
        /// Whether this is about all calls.
        global: bool,
    },
    /// The connection ends before anything happens.
    DropBefore,
    /// It takes effect, and the connection ends without an answer.
    DropAfter,
    /// It takes effect this much later, and is then answered.
    Delay(Duration),
}

/// What a person writes. Begin with [`Say::new`] and set what differs.
#[derive(Debug, Clone)]
pub struct Say {
    /// The channel or thread.
    pub channel: Id,
    /// Who writes.
    pub user: Id,
    /// What; it may be empty.
    pub text: String,
    /// Put a mention of the bot before the text.
    pub mention: bool,
    /// Put a mention of the bot's own role before the text.
    pub by_role: bool,
    /// Put `@everyone` before the text.
    pub everyone: bool,
    /// The message that this one replies to.
    pub reply_to: Option<Id>,
    /// Whether the reply pings its author, as it does unless a person switches it off.
    pub reply_pings: bool,
    /// Files.
    pub files: Vec<File>,
    /// How single files are served badly, by their names.
    pub file_faults: Vec<(String, FileFault)>,
    /// Whether the bot is told the names of the files as they are; Discord cleans them.
    pub raw_names: bool,
    /// This is a voice message of this length: its file is the recording.
    pub voice: Option<Duration>,
    /// The message that this one forwards; then it has no text of its own.
    pub forward_of: Option<Id>,
    /// Stickers, by their names.
    pub stickers: Vec<String>,
    /// A poll.
    pub poll: Option<Poll>,
    /// Embeds as Discord gives them. Only bots and webhooks can post any.
    pub embeds: Vec<Value>,
    /// Post it through a webhook, which is then its author in place of the user.
    pub webhook: bool,
    /// Give what comes through the webhook the user's own id, which no webhook of the real Discord can do.
    pub forged: bool,
    /// Discord's number of the message's type; 7, for one, says that the user joined. A reply is always 19.
    pub kind: u8,
}

impl Say {
    /// An ordinary message.
    pub fn new(channel: Id, user: Id, text: impl Into<String>) -> Self {
        Self {
            channel,
            user,
            text: text.into(),
            mention: false,
            by_role: false,
            everyone: false,
            reply_to: None,
            reply_pings: true,
            files: Vec::new(),
            file_faults: Vec::new(),
            raw_names: false,
            voice: None,
            forward_of: None,
            stickers: Vec::new(),
            poll: None,
            embeds: Vec::new(),
            webhook: false,
            forged: false,
            kind: 0,
        }
    }

    /// A message that mentions the bot.
    pub fn to_bot(channel: Id, user: Id, text: impl Into<String>) -> Self {
        Self { mention: true, ..Self::new(channel, user, text) }
    }
}
