//! Posting what is to be said, part by part, with the ledger kept.
//!
//! A crash anywhere leaves a delivery that goes on at the first part that is not recorded as posted. That one part
//! may stand in the channel all the same: the bot died between Discord's answer and the record. Its nonce makes
//! Discord answer with the message that is there, but Discord forgets nonces after some minutes; so a delivery that
//! is taken up again looks for the part in the channel first.
//!
//! The last part of a long answer has a file in place of further parts. These are in the ledger as well, as spare ones:
//! where Discord refuses the file, one step of the store puts them in its place, and from then on they are parts like
//! all others. So a crash before that step tries the file again, and one after it goes on with them.

use std::sync::Arc;

use tracing::{debug, error, warn};

use super::{Turns, words};
use crate::domain::{ChannelId, File, MessageId};
use crate::logging::chain;
use crate::outbox::{Notify, Post, Refused};
use crate::store::{Delivery, DeliveryEnd, StoreError};

/// Posts what the ledger holds for this message. Returns when all is posted, or refused for good.
pub async fn deliver(turns: &Turns, message: MessageId) {
    let delivered = async {
        match turns.store.undelivered(message).await? {
            Some(delivery) => post_parts(turns, message, delivery).await,
            None => Ok(()),
        }
    };
    note(delivered.await);
}

/// Goes on with a delivery that an earlier bot has begun.
pub async fn take_up(turns: &Turns, message: MessageId) {
    let delivered = async {
        let Some(mut delivery) = turns.store.undelivered(message).await? else { return Ok(()) };
        find_posted(turns, message, &mut delivery).await?;
        post_parts(turns, message, delivery).await
    };
    note(delivered.await);
}

fn note(delivered: Result<(), StoreError>) {
    if let Err(error) = delivered {
        // What is not recorded as posted is taken up at the next start.
        error!(error = chain(&error), "a delivery was not finished");
    }
}

/// Records the first part that is not recorded, if it stands in the channel.
async fn find_posted(turns: &Turns, message: MessageId, delivery: &mut Delivery) -> Result<(), StoreError> {
    let before = delivery.parts.iter().filter_map(|part| part.posted).next_back().unwrap_or(message);
    let Some(part) = delivery.parts.iter_mut().find(|part| part.posted.is_none()) else { return Ok(()) };
    let written = match turns.outbox.written_since(delivery.channel, before, turns.me).await {
        Ok(written) => written,
        Err(refused) => {
            debug!(error = %refused, "the channel's history is not to be had; the nonce has to do");
            return Ok(());
        }
    };
    for (posted, content) in written {
        // Another answer may have the same words; the ledger knows it as such.
        if content.trim() == part.text.trim() && !turns.store.is_part(posted).await? {
            part.posted = Some(posted);
            return turns.store.posted(message, part.number, posted).await;
        }
    }
    Ok(())
}

async fn post_parts(turns: &Turns, message: MessageId, delivery: Delivery) -> Result<(), StoreError> {
    let speaking = turns.speaking(delivery.channel);
    let _only_speaker = speaking.lock().await;
    let mut parts = delivery.parts;
    let mut place = 0;
    while let Some(part) = parts.get(place) {
        if part.posted.is_some() {
            place += 1;
            continue;
        }
        let is_last = place + 1 == parts.len();
        let file = part.file.clone();
        let has_file = file.is_some();
        let post = Post {
            content: part.text.clone(),
            nonce: nonce(message, part.number),
            reply_to: (place == 0 || is_last).then_some(message),
            notify: if is_last { Notify::Person(delivery.author) } else { Notify::Nobody },
            file: file.map(|content| File { name: words::ANSWER_FILE.to_owned(), content }),
        };
        match turns.outbox.post(delivery.channel, post).await {
            Ok(posted) => {
                turns.store.posted(message, part.number, posted).await?;
                place += 1;
            }
            // Discord, or the token, may be back at the next start.
            Err(refused @ (Refused::GaveUp { .. } | Refused::Token)) => {
                error!(error = %refused, part = part.number, "a part could not be posted; it stays in the ledger");
                return Ok(());
            }
            // Too large, or no right to attach files, or whatever else: a person who asked wants the answer, however
            // many messages it takes. What else is wrong here will refuse the next part, too.
            Err(refused) if has_file => {
                warn!(error = %refused, "Discord refused the file of a long answer; all of it is posted as messages");
                parts = turns.store.without_file(message).await?;
            }
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
    let post = Post {
        content,
        nonce: nonce(message, 0),
        reply_to: Some(message),
        notify: Notify::Channel,
        file: None,
    };
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
