//! What stands in a channel.

use serde::de::IgnoredAny;

use super::{Kind, Outbox, Refused, wire};
use crate::domain::{ChannelId, MessageId, UserId};

/// The message is gone.
const UNKNOWN_MESSAGE: u32 = 10_008;
/// The most messages that Discord gives per call.
const PAGE: usize = 100;

/// A message of the bot's own, as it stands in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its id.
    pub id: MessageId,
    /// Its text, trimmed as Discord trims it.
    pub content: String,
    /// The message that it replies to.
    pub reply_to: Option<MessageId>,
    /// Whether it was posted without a sound.
    pub silent: bool,
}

/// A page of a channel's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What the bot has posted, oldest first. The answers of commands are not among it.
    pub own: Vec<Posted>,
    /// The last message of this page, whoever wrote it, where more may follow it.
    pub goes_on_after: Option<MessageId>,
}

impl Outbox {
    /// What stands in the channel after the message `after`: the next 100 messages of it, and which of them `me` has
    /// posted.
    ///
    /// # Errors
    /// See [`Refused`]; above all, the bot may not be allowed to see the channel.
    pub async fn history(&self, channel: ChannelId, after: MessageId, me: UserId) -> Result<Page, Refused> {
        let path = format!("/channels/{channel}/messages?after={after}&limit={PAGE}");
        let messages: Vec<wire::Written> = self.get(Kind::History, channel.get(), path).await?;
        let last = messages.iter().map(|message| message.id).max();
        let goes_on_after = last.filter(|last| messages.len() >= PAGE && *last > after);
        let own = messages.into_iter().filter(|message| message.author.id == me);
        let mut own: Vec<_> = own.filter_map(wire::Written::posted).collect();
        own.sort_by_key(|message| message.id);
        Ok(Page { own, goes_on_after })
    }

    /// Whether a message still stands in the channel.
    ///
    /// # Errors
    /// See [`Refused`], but for that it does not.
    pub async fn stands(&self, channel: ChannelId, message: MessageId) -> Result<bool, Refused> {
        let path = format!("/channels/{channel}/messages/{message}");
        match self.get::<IgnoredAny>(Kind::History, channel.get(), path).await {
            Ok(_) => Ok(true),
            Err(refused) if refused.code() == Some(UNKNOWN_MESSAGE) => Ok(false),
            Err(refused) => Err(refused),
        }
    }
}
