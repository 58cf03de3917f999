//! What triggers and `route` are told about a message.

use serde::Serialize;

use crate::domain::{Attachment, Author, GuildId, Message, MessageId, NamedChannel};

/// What a person wrote in Discord.
#[derive(Serialize)]
pub struct MessageFacts<'a> {
    id: MessageId,
    channel: NamedChannel,
    guild_id: GuildId,
    author: &'a Author,
    /// The text without the mention of the bot; other mentions read as @name and #name.
    text: &'a str,
    /// The text exactly as Discord sent it.
    raw_text: &'a str,
    /// Whether it mentions the bot: by name, by the bot's own role, or by a reply that pings; never by @everyone.
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
