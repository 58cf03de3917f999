//! What scripts are told of Discord: the same table for the same thing, wherever it stands.

use serde::Serialize;

use crate::domain::{Attachment, Author, ChannelId, GuildId, Message, MessageId};

/// A channel or a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelFacts {
    /// Its id.
    pub id: ChannelId,
    /// Its name without `#`; empty where Discord has not told it.
    pub name: String,
    /// The channel that a thread belongs to.
    pub parent_id: Option<ChannelId>,
}

/// The table `message`.
#[derive(Serialize)]
pub struct MessageFacts<'a> {
    id: MessageId,
    channel: ChannelFacts,
    guild_id: GuildId,
    author: &'a Author,
    text: &'a str,
    raw_text: &'a str,
    mentions_me: bool,
    attachments: &'a [Attachment],
}

impl<'a> From<&'a Message> for MessageFacts<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: message.id,
            channel: ChannelFacts {
                id: message.channel_id,
                name: message.channel_name.clone(),
                parent_id: message.parent_channel_id,
            },
            guild_id: message.guild_id,
            author: &message.author,
            text: &message.text,
            raw_text: &message.raw_text,
            mentions_me: message.mentions_me,
            attachments: &message.attachments,
        }
    }
}
