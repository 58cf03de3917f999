//! Finding a message that the bot may have posted before it was recorded.

use super::Turns;
use crate::domain::{ChannelId, MessageId};
use crate::logging::chain;
use crate::outbox::{Posted, Refused};

/// The first message of the bot's own after this one that looks like it and belongs to nothing that is recorded.
///
/// # Errors
/// If Discord does not show the channel, or the database fails: then it may be there all the same.
pub async fn find(
    turns: &Turns,
    channel: ChannelId,
    after: MessageId,
    looks_like_it: impl Fn(&Posted) -> bool,
) -> Result<Option<MessageId>, Refused> {
    let mut history = turns.outbox.history(channel, after, turns.me);
    while let Some(own) = history.next().await? {
        for posted in own.into_iter().filter(&looks_like_it) {
            let is_known = turns.store.is_known(posted.id).await.map_err(|error| {
                let why = format!("cannot tell whether it is posted: {}", chain(&error));
                Refused::GaveUp { why, sent: false }
            })?;
            if !is_known {
                return Ok(Some(posted.id));
            }
        }
    }
    Ok(None)
}
