//! What scripts are told of a message.

use serde::Serialize;

use crate::domain::{Attachment, Author, GuildId, Message, MessageId, NamedChannel};

/// The table `message`.
#[derive(Serialize)]
pub struct MessageFacts<'a> {
    id: MessageId,
    channel: NamedChannel,
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
            channel: NamedChannel {
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
