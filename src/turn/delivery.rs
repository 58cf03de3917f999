//! Posting what is to be said, part by part, with the ledger kept: a crash anywhere leaves a delivery that goes on
//! at the first part that is not posted, under the same nonce.

use std::sync::Arc;

use tracing::{error, warn};

use super::Turns;
use crate::domain::{ChannelId, MessageId};
use crate::logging::chain;
use crate::outbox::Post;
use crate::store::{DeliveryEnd, StoreError};

/// Posts what the ledger holds for this message. Returns when all is posted, or refused for good.
pub async fn deliver(turns: &Turns, message: MessageId) {
    if let Err(error) = deliver_parts(turns, message).await {
        // What is not recorded as posted is taken up at the next start.
        error!(error = chain(&error), "a delivery was not finished");
    }
}

async fn deliver_parts(turns: &Turns, message: MessageId) -> Result<(), StoreError> {
    let Some(delivery) = turns.store.undelivered(message).await? else { return Ok(()) };
    let speaking = turns.speaking(delivery.channel);
    let _only_speaker = speaking.lock().await;
    let last = delivery.parts.len();
    for (place, part) in delivery.parts.into_iter().enumerate() {
        if part.posted.is_some() {
            continue;
        }
        let is_last = place + 1 == last;
        let post = Post {
            content: part.text,
            nonce: nonce(message, part.number),
            reply_to: (place == 0 || is_last).then_some(message),
            notify: is_last,
        };
        match turns.outbox.post(delivery.channel, post).await {
            Ok(posted) => turns.store.posted(message, part.number, posted).await?,
            Err(refused) => {
                warn!(error = %refused, part = part.number, "Discord refused a part; the delivery is closed");
                let end = DeliveryEnd::Refused(refused.to_string());
                return turns.store.close_delivery(message, end).await.map(drop);
            }
        }
    }
    turns.store.close_delivery(message, DeliveryEnd::Done).await.map(drop)
}

/// Says one thing that the store could not take.
pub async fn post_unwritten(turns: &Turns, channel: ChannelId, message: MessageId, content: String) {
    let post = Post { content, nonce: nonce(message, 0), reply_to: Some(message), notify: true };
    if let Err(refused) = turns.outbox.post(channel, post).await {
        warn!(error = %refused, "Discord refused a message");
    }
}

/// At most 25 characters, as Discord demands: an id has up to 20, and parts are counted from 1.
fn nonce(message: MessageId, part: u32) -> String {
    format!("{message}-{part}")
}

impl Turns {
    /// The lock that is held while one text is posted in the channel.
    fn speaking(&self, channel: ChannelId) -> Arc<tokio::sync::Mutex<()>> {
        // Insertions and removals of whole entries only: sound even after a panic.
        let mut speaking = self.0.speaking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        speaking.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(speaking.entry(channel).or_default())
    }
}
