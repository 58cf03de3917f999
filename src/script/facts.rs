//! What triggers and `route` are told about a message.

use serde::Serialize;

use crate::domain::{Attachment, Author, ChannelId, GuildId, Message, MessageId};

/// What a person wrote in Discord.
#[derive(Serialize)]
pub struct MessageFacts<'a> {
    id: MessageId,
    channel: MessageChannelFacts<'a>,
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

/// The channel or thread of a message. `tostring` of it is the mention.
#[derive(Serialize)]
pub struct MessageChannelFacts<'a> {
    id: ChannelId,
    /// Its name without `#`; empty if Discord has not told it.
    name: &'a str,
    /// The channel or forum that a thread belongs to.
    parent_id: Option<ChannelId>,
    /// Whether it is a thread that the bot has opened, and the bot may read what does not mention it.
    own_thread: bool,
    /// The names of the tags of a forum's post.
    tags: &'a [String],
}

impl<'a> From<&'a Message> for MessageFacts<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: message.id,
            channel: MessageChannelFacts {
                id: message.channel_id,
                name: &message.channel_name,
                parent_id: message.parent_channel_id,
                own_thread: message.in_own_thread,
                tags: &message.channel_tags,
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
