//! Reading what is in a channel.

use serde::de::IgnoredAny;

use super::{CallKind, Outbox, Refused, wire};
use crate::domain::{ChannelId, MessageId, UserId};

/// The most messages that Discord gives per call.
pub(super) const PAGE: usize = 100;

/// A message of the bot's own, as it is in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub id: MessageId,
    /// Its text, trimmed as Discord trims it.
    pub content: String,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// Whether it was posted without a sound.
    pub silent: bool,
    /// The ids of what can be pressed below it.
    pub custom_ids: Vec<String>,
    /// The names of the files that came with it.
    pub files: Vec<String>,
}

/// What the bot has posted in a channel, read page by page.
pub struct History<'a> {
    outbox: &'a Outbox,
    channel: ChannelId,
    me: UserId,
    /// Where the next page begins; `None` once everything is read.
    after: Option<MessageId>,
}

impl Outbox {
    /// What `me`, the bot, has posted in the channel after this message.
    pub fn history(&self, channel: ChannelId, after: MessageId, me: UserId) -> History<'_> {
        History { outbox: self, channel, me, after: Some(after) }
    }

    /// Whether a message is still in the channel.
    ///
    /// # Errors
    /// See [`Refused`]; a missing message is no error.
    pub async fn stands(&self, channel: ChannelId, message: MessageId) -> Result<bool, Refused> {
        let path = format!("/channels/{channel}/messages/{message}");
        match self.get::<IgnoredAny>(CallKind::History, channel.get(), path).await {
            Ok(_) => Ok(true),
            Err(refused) if refused.is_of_what_is_gone() => Ok(false),
            Err(refused) => Err(refused),
        }
    }
}

impl History<'_> {
    /// What the bot has posted among the next 100 messages, oldest first; `None` where there are no more. The answers
    /// to commands are not included.
    ///
    /// # Errors
    /// See [`Refused`]; above all, the bot may not be allowed to see the channel.
    pub async fn next(&mut self) -> Result<Option<Vec<Posted>>, Refused> {
        let Some(after) = self.after else { return Ok(None) };
        let channel = self.channel;
        let path = format!("/channels/{channel}/messages?after={after}&limit={PAGE}");
        let messages: Vec<wire::Written> = self.outbox.get(CallKind::History, channel.get(), path).await?;
        let last = messages.iter().map(|message| message.id).max();
        self.after = last.filter(|last| messages.len() >= PAGE && *last > after);
        let own = messages.into_iter().filter(|message| message.author.id == self.me);
        let mut own: Vec<_> = own.filter_map(wire::Written::posted).collect();
        own.sort_by_key(|message| message.id);
        Ok(Some(own))
    }
}
