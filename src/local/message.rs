//! Messages and their files as plain data.

use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

use super::id::Id;

/// A message as it stands in a channel now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Its id.
    pub id: Id,
    /// The channel or thread that it stands in.
    pub channel: Id,
    /// Who wrote it: a user, or the webhook.
    pub author: Id,
    /// Whether it was the bot under test; not for what Discord itself says of it, such as that it opened a thread.
    pub by_bot: bool,
    /// The text, trimmed as Discord trims it.
    pub content: String,
    /// Discord's number of its type: 0 is an ordinary message, 19 a reply, 7 a join, 18 tells of a thread, 21 begins one.
    pub kind: u8,
    /// The message that it replies to.
    pub reply_to: Option<Id>,
    /// The message that it forwards, as it was then.
    pub forwarded: Option<Box<Message>>,
    /// Of a message that tells of a thread (18): the thread.
    pub tells_of: Option<Id>,
    /// Discord's flags, such as [`SUPPRESS_EMBEDS`] and [`SUPPRESS_NOTIFICATIONS`].
    pub flags: u64,
    /// The nonce that its author gave it.
    pub nonce: Option<String>,
    /// The users that it mentions, as far as `allowed_mentions` lets it, and the author of the message that it replies to
    /// if the reply pings.
    pub mentions: Vec<Id>,
    /// The roles that it mentions, likewise.
    pub mention_roles: Vec<Id>,
    /// Whether it mentions everybody.
    pub mention_everyone: bool,
    /// The users that get a notification for it: the mentioned ones, unless the message was posted silently. An
    /// edit changes nothing here, for it notifies nobody.
    pub pinged: Vec<Id>,
    /// The files.
    pub attachments: Vec<Attachment>,
    /// The stickers.
    pub stickers: Vec<Sticker>,
    /// The poll.
    pub poll: Option<Poll>,
    /// The reactions on it now: which emoji, by whom.
    pub reactions: Vec<(String, Id)>,
    /// Embeds, as they were sent.
    pub embeds: Vec<serde_json::Value>,
    /// Components (buttons …), as they were sent, with Discord's numbers as their `id`.
    pub components: Vec<serde_json::Value>,
    /// The webhook that posted it; for an answer to an interaction that is the application.
    pub webhook: Option<Id>,
    /// The interaction that it answers, if it does.
    pub interaction: Option<Id>,
    /// The only person who sees it, if it is ephemeral. The bot cannot fetch it, react to it or reply to it.
    pub ephemeral_to: Option<Id>,
    /// When its text was last changed.
    #[serde(skip)]
    pub edited: Option<SystemTime>,
    /// When it was posted.
    #[serde(skip)]
    pub at: Instant,
}

impl Message {
    /// An empty ordinary message.
    pub(super) fn new(id: Id, channel: Id, author: Id) -> Self {
        Self {
            id,
            channel,
            author,
            by_bot: false,
            content: String::new(),
            kind: 0,
            reply_to: None,
            forwarded: None,
            tells_of: None,
            flags: 0,
            nonce: None,
            mentions: Vec::new(),
            mention_roles: Vec::new(),
            mention_everyone: false,
            pinged: Vec::new(),
            attachments: Vec::new(),
            stickers: Vec::new(),
            poll: None,
            reactions: Vec::new(),
            embeds: Vec::new(),
            components: Vec::new(),
            webhook: None,
            interaction: None,
            ephemeral_to: None,
            edited: None,
            at: Instant::now(),
        }
    }
}

/// The flag of a message that hides the previews of links.
pub const SUPPRESS_EMBEDS: u64 = 1 << 2;
/// The flag of a silent message: it mentions, but notifies nobody.
pub const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;

/// The flag of a message that only one person sees.
pub const EPHEMERAL: u64 = 1 << 6;
/// The flag of a deferred answer: people see that the bot is thinking.
pub const LOADING: u64 = 1 << 7;

/// The type of the message that tells the channel of a new thread.
pub(super) const TELLS_OF_THREAD: u8 = 18;
/// The type of a thread's first message, where it was opened from a message of its channel.
pub(super) const STARTER: u8 = 21;

/// The flag of a message from which a thread was opened.
pub const HAS_THREAD: u64 = 1 << 5;
/// The flag of a voice message.
pub const VOICE_MESSAGE: u64 = 1 << 13;

/// A sticker on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sticker {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// What is asked.
    pub question: String,
    /// What can be answered.
    pub answers: Vec<String>,
}

/// A file on a message. Its bytes are served under its URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Its id.
    pub id: Id,
    /// The file name.
    pub name: String,
    /// The media type, if it is known.
    pub content_type: Option<String>,
    /// The size in bytes.
    pub size: usize,
    /// Where it is served.
    pub url: String,
    /// Of a picture, its width and height in pixels.
    pub pixels: Option<(u32, u32)>,
    /// Of a voice message, how long it is.
    pub voice: Option<Duration>,
}

/// What can go wrong with a file that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFault {
    /// It is answered with this status, such as 404 or 500.
    Status(u16),
    /// It redirects to this address.
    Redirect(String),
    /// Its bytes come one by one, a tenth of a second apart.
    Slow,
    /// Its bytes come, and then nothing: the answer never ends.
    NeverEnds,
    /// So many zeros follow its own bytes.
    MoreBytes(usize),
    /// So many bytes are missing at its end, though the answer is whole.
    FewerBytes(usize),
    /// The connection ends after so many bytes.
    CutAfter(usize),
}

/// A file before it is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The file name.
    pub name: String,
    /// The media type. None: Discord guesses it from the name, and if it cannot, there is none.
    pub content_type: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}
