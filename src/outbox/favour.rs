//! What a turn can do without: "is typing" and reactions. A channel that forbids one is not asked again for a while.

use std::time::Duration;

use reqwest::Method;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::call::Call;
use super::{CallKind, Outbox, Refused};
use crate::domain::{ChannelId, MessageId};

/// Something that a turn can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Favour {
    Typing,
    Reactions,
    Replies,
}

/// Whether a favour was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reacted {
    Yes,
    /// It is certain that it was not, and will not be.
    No,
    /// Discord did not say; it may still happen.
    Perhaps,
}

/// How long a channel's refusal is remembered: permissions change rarely, but they do.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// How long it may take to learn whether the bot may type.
const MAY_TYPE_WITHIN: Duration = Duration::from_secs(10);

impl Outbox {
    /// Shows "is typing" for ten seconds. Best effort.
    pub async fn typing(&self, channel: ChannelId) {
        let path = format!("/channels/{channel}/typing");
        let call = Call { method: Method::POST, ..Call::get(CallKind::Typing, channel.get(), path) };
        self.favour(Favour::Typing, channel, call, Duration::from_secs(2)).await;
    }

    /// Shows "is typing" for ten seconds, where the bot may write in the channel.
    ///
    /// # Errors
    /// See [`Refused`]; most likely it may not. Gives up after ten seconds.
    pub async fn may_type(&self, channel: ChannelId) -> Result<(), Refused> {
        let call = Call {
            method: Method::POST,
            give_up_after: Some(MAY_TYPE_WITHIN),
            ..Call::get(CallKind::MayType, channel.get(), format!("/channels/{channel}/typing"))
        };
        self.0.sender.send(call).await
    }

    /// Puts a reaction on a message, unless it is `unwanted` before it is its turn; `emoji` is the Unicode character. Best
    /// effort; says whether it is there.
    pub async fn react(
        &self,
        channel: ChannelId,
        message: MessageId,
        emoji: &str,
        unwanted: CancellationToken,
    ) -> Reacted {
        let call = Call {
            method: Method::PUT,
            unwanted,
            ..Call::get(CallKind::React, channel.get(), own_reaction(channel, message, emoji))
        };
        self.favour(Favour::Reactions, channel, call, Duration::from_secs(30)).await
    }

    /// Takes the bot's reaction off a message again.
    ///
    /// # Errors
    /// See [`Refused`]; most likely the message or the reaction does not exist.
    pub async fn unreact(&self, channel: ChannelId, message: MessageId, emoji: &str) -> Result<(), Refused> {
        let path = own_reaction(channel, message, emoji);
        let call = Call { method: Method::DELETE, ..Call::get(CallKind::React, channel.get(), path) };
        self.0.sender.send(call).await
    }

    /// Does something that a turn can do without: if late, it is dropped; if forbidden, that is remembered; a failure
    /// is only logged.
    async fn favour(&self, favour: Favour, channel: ChannelId, call: Call, limit: Duration) -> Reacted {
        if self.is_forbidden(favour, channel) {
            return Reacted::No;
        }
        let call = Call { give_up_after: Some(limit), ..call };
        match timeout(limit, self.0.sender.send(call)).await {
            Ok(Ok(())) => Reacted::Yes,
            Ok(Err(refused)) => {
                debug!(%channel, ?favour, "not done: {refused}");
                // A 404 for a reaction means the message, which says nothing about the next one.
                let gone = favour == Favour::Typing && matches!(refused, Refused::NotFound { .. });
                if gone || matches!(refused, Refused::Forbidden { .. }) {
                    self.forbid(favour, channel);
                }
                match refused {
                    Refused::GaveUp { sent: true, .. } => Reacted::Perhaps,
                    _ => Reacted::No,
                }
            }
            Err(_) => {
                debug!(%channel, ?favour, "dropped: not done within {limit:?}");
                Reacted::Perhaps
            }
        }
    }

    pub(super) fn is_forbidden(&self, favour: Favour, channel: ChannelId) -> bool {
        self.0.forbidden.lock().get(&(favour, channel)).is_some_and(|until| *until > Instant::now())
    }

    pub(super) fn forbid(&self, favour: Favour, channel: ChannelId) {
        let (mut forbidden, now) = (self.0.forbidden.lock(), Instant::now());
        forbidden.retain(|_, until| *until > now);
        forbidden.insert((favour, channel), now + REMEMBERED);
    }
}

fn own_reaction(channel: ChannelId, message: MessageId, emoji: &str) -> String {
    let emoji: String = emoji.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/channels/{channel}/messages/{message}/reactions/{emoji}/@me")
}
