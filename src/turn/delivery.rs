//! Posting what is to be said, part by part, with the ledger kept.
//!
//! A crash anywhere leaves a delivery that goes on at the first part that is not recorded as posted. That one part
//! may stand in the channel all the same: the bot died between Discord's answer and the record. Its nonce makes
//! Discord answer with the message that is there, but Discord forgets nonces after some minutes; so a delivery that
//! is taken up again looks for the part in the channel first.
//!
//! The same holds for a delivery that is stuck, because Discord is away for longer than the outbox tries, or the
//! database fails: it waits and is taken up again, and its lane stays closed, so that answers keep their order.
//!
//! The last part of a long answer has a file in place of further parts. These are in the ledger as well, as spare ones:
//! where Discord refuses the file, one step of the store puts them in its place, and from then on they are parts like
//! all others. So a crash before that step tries the file again, and one after it goes on with them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::{Turns, words};
use crate::domain::{ChannelId, File, MessageId};
use crate::logging::chain;
use crate::outbox::{Notify, Post, Refused};
use crate::store::{Delivery, DeliveryEnd, StoreError};

/// The wait before a delivery that is stuck is tried again; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// How often a delivery is tried over which the database fails. One that can never be written must not close its
/// lane for ever; Discord is waited for as long as it takes.
const DATABASE_TRIES: u32 = 10;

/// Why a delivery does not go on for now.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("the ledger cannot be read or written")]
    Store(#[from] StoreError),
    /// Nothing but [`is_passing`] ones.
    #[error("Discord takes nothing now")]
    Discord(#[source] Refused),
}

/// Posts what the ledger holds for this message. Returns when all is posted or refused for good, however long that
/// takes, or when the bot stops.
pub async fn deliver(turns: &Turns, channel: ChannelId, message: MessageId) {
    until_delivered(turns, channel, message, false).await;
}

/// Goes on with a delivery that an earlier bot has begun.
pub async fn take_up(turns: &Turns, channel: ChannelId, message: MessageId) {
    until_delivered(turns, channel, message, true).await;
}

/// `may_stand`: the first part that is not recorded as posted may be in the channel.
async fn until_delivered(turns: &Turns, channel: ChannelId, message: MessageId, mut may_stand: bool) {
    let speaking = turns.speaking(channel);
    let _only_speaker = speaking.lock().await;
    let mut wait = FIRST_WAIT;
    let mut database_tries = 0;
    while let Err(stuck) = go_on(turns, message, may_stand).await {
        database_tries += u32::from(matches!(stuck, Stuck::Store(_)));
        if matches!(stuck, Stuck::Store(StoreError::Closed)) || database_tries == DATABASE_TRIES {
            return error!(error = chain(&stuck), "a delivery is left for the next start");
        }
        error!(error = chain(&stuck), "a delivery is stuck; next try in {wait:?}");
        tokio::select! {
            () = turns.0.ending.cancelled() => return,
            () = sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
        may_stand = true;
    }
}

async fn go_on(turns: &Turns, message: MessageId, may_stand: bool) -> Result<(), Stuck> {
    let Some(mut delivery) = turns.store.undelivered(message).await? else { return Ok(()) };
    if may_stand {
        find_posted(turns, message, &mut delivery).await?;
    }
    post_parts(turns, message, delivery).await
}

/// Whether Discord, or the token, may be back later.
fn is_passing(refused: &Refused) -> bool {
    matches!(refused, Refused::GaveUp { .. } | Refused::Token)
}

/// Records the first part that is not recorded, if it stands in the channel.
async fn find_posted(turns: &Turns, message: MessageId, delivery: &mut Delivery) -> Result<(), Stuck> {
    let before = delivery.parts.iter().filter_map(|part| part.posted).next_back().unwrap_or(message);
    let Some(part) = delivery.parts.iter_mut().find(|part| part.posted.is_none()) else { return Ok(()) };
    let written = match turns.outbox.written_since(delivery.channel, before, turns.me).await {
        Ok(written) => written,
        Err(refused) if is_passing(&refused) => return Err(Stuck::Discord(refused)),
        Err(refused) => {
            debug!(error = %refused, "the channel's history is not to be had; the nonce has to do");
            return Ok(());
        }
    };
    for (posted, content) in written {
        // Another answer may have the same words; the ledger knows it as such.
        if content.trim() == part.text.trim() && !turns.store.is_part(posted).await? {
            part.posted = Some(posted);
            return Ok(turns.store.posted(message, part.number, posted).await?);
        }
    }
    Ok(())
}

async fn post_parts(turns: &Turns, message: MessageId, delivery: Delivery) -> Result<(), Stuck> {
    let in_its_place = words::failure(&words::part_refused(), message);
    let mut parts = delivery.parts;
    let mut place = 0;
    while let Some(part) = parts.get(place) {
        if part.posted.is_some() {
            place += 1;
            continue;
        }
        let number = part.number;
        let is_last = place + 1 == parts.len();
        let file = part.file.clone();
        let has_file = file.is_some();
        let post = Post {
            content: part.text.clone(),
            nonce: nonce(message, number),
            reply_to: (place == 0 || is_last).then_some(message),
            notify: if is_last { Notify::Person(delivery.author) } else { Notify::Nobody },
            file: file.map(|content| File { name: words::ANSWER_FILE.to_owned(), content }),
        };
        match turns.outbox.post(delivery.channel, post).await {
            Ok(posted) => {
                turns.store.posted(message, number, posted).await?;
                place += 1;
            }
            Err(refused) if is_passing(&refused) => return Err(Stuck::Discord(refused)),
            // Too large, or no right to attach files, or whatever else: a person who asked wants the answer, however
            // many messages it takes. What else is wrong here will refuse the next part, too.
            Err(refused) if has_file => {
                warn!(error = %refused, "Discord refused the file of a long answer; all of it is posted as messages");
                parts = turns.store.without_file(message).await?;
            }
            // It is these words that Discord does not like (a link, AutoMod); the others may do.
            Err(refused @ Refused::Invalid { .. }) if part.text != in_its_place => {
                warn!(error = %refused, part = number, "Discord refused the words of a part; they are left out");
                parts = turns.store.reword(message, number, in_its_place.clone()).await?;
            }
            Err(refused) => {
                warn!(error = %refused, part = number, "Discord refused a part; the delivery is closed");
                let end = DeliveryEnd::Refused(refused.to_string());
                turns.store.close_delivery(message, end).await?;
                return Ok(());
            }
        }
    }
    turns.store.close_delivery(message, DeliveryEnd::Done).await?;
    Ok(())
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
