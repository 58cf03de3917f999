//! What a message holds or refers to besides its author's own words.

use serde::{Deserialize, Serialize};

use super::{Attachment, MessageId};

/// What a message can contain besides text and files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extra {
    /// A sticker, by its name.
    Sticker(String),
    Poll {
        question: String,
        answers: Vec<String>,
    },
    /// What a bot, or Discord for a link, has put into a frame: its title, its text, its fields.
    Embed(Vec<String>),
    /// The attached file is something that was said; how long it is, in whole seconds.
    Voice {
        seconds: u32,
    },
}

/// A message that another one replies to or forwards, as it was when that one was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    pub origin: QuoteOrigin,
    /// With mentions readable.
    pub text: String,
    pub attachments: Vec<Attachment>,
    pub extras: Vec<Extra>,
}

/// Where a quoted message comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuoteOrigin {
    /// Somebody replied to it in the same channel.
    Reply {
        message: MessageId,
        /// The name as shown in this guild.
        author: String,
        /// Whether the bot itself wrote it.
        is_mine: bool,
    },
    /// It was forwarded; Discord does not say who wrote it.
    Forward,
}

impl Quoted {
    /// Whether nothing of it is known: Discord withholds the content of messages that do not mention the bot, where it may not
    /// read them (<https://discord.com/developers/docs/events/gateway#message-content-intent>).
    pub fn is_withheld(&self) -> bool {
        self.text.trim().is_empty() && self.attachments.is_empty() && self.extras.is_empty()
    }
}
