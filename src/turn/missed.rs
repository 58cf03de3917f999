//! Messages written while the bot was not connected: handled like new ones, but not too many and none too old.

use std::collections::HashMap;

use tracing::debug;

use super::{Settled, Turns, intake};
use crate::domain::{ChannelId, Message, MessageId, Route};
use crate::script::{ScriptError, ScriptSet};
use crate::words;

/// How many missed messages of one channel are taken in.
const MOST: usize = 50;

/// How much of what was missed is taken in so far, channel by channel.
#[derive(Default)]
pub struct Bounds(HashMap<ChannelId, Count>);

#[derive(Default)]
struct Count {
    taken: usize,
    told_of_age: bool,
    told_of_number: bool,
}

impl Bounds {
    /// Takes in a missed message. Of those that are too old, or too many, one in each channel is answered with a line.
    pub async fn take(&mut self, turns: &Turns, message: Message, too_old: bool) {
        let id = message.id;
        // It came through before, and may have been answered.
        if turns.store.knows(id).await.unwrap_or(false) {
            return debug!(id = %id.short(), "missed, but known already");
        }
        let scripts = turns.scripts.borrow().clone();
        let decided = scripts.decide(message.clone()).await;
        let Some(let_in) = wanted(turns, &scripts, &message, &decided).await else {
            return turns.settled(id, Settled::Ignored);
        };
        let count = self.0.entry(message.channel_id).or_default();
        let (told, line): (_, fn() -> String) = match (too_old, count.taken) {
            (true, _) => (&mut count.told_of_age, words::missed_too_old),
            (false, MOST..) => (&mut count.told_of_number, words::missed_too_many),
            (false, _) => {
                count.taken += 1;
                return intake::act(turns, &scripts, message, decided, true).await;
            }
        };
        match std::mem::replace(told, true) {
            false => drop(intake::answer(turns, &message, let_in, &line()).await),
            true => turns.settled(id, Settled::Ignored),
        }
    }

    /// All that was missed in this channel is taken in.
    pub fn forget(&mut self, channel: ChannelId) {
        self.0.remove(&channel);
    }
}

/// That its author is let in, where anything would come of the message.
async fn wanted(
    turns: &Turns,
    scripts: &ScriptSet,
    message: &Message,
    decided: &Result<Route, ScriptError>,
) -> Option<intake::LetIn> {
    match decided {
        Ok(Route::NotForMe) => None,
        Ok(Route::Turn(work)) => intake::let_in(turns, scripts, message, Some(work)).await,
        Ok(Route::Unrouted) | Err(_) if !message.mentions_me => None,
        Ok(Route::Unrouted | Route::Reply(_)) | Err(_) => intake::let_in(turns, scripts, message, None).await,
    }
}

/// How far each channel has been read, not yet written to the store. Writing late does no harm: a message that is read
/// twice is recognized by its id.
#[derive(Default)]
pub struct SeenUpTo(HashMap<ChannelId, MessageId>);

impl SeenUpTo {
    /// This channel has been read up to this message.
    pub fn up_to(&mut self, channel: ChannelId, message: MessageId) {
        let seen = self.0.entry(channel).or_insert(message);
        *seen = message.max(*seen);
    }

    /// Writes it to the store. What cannot be written is kept for the next time.
    pub async fn write(&mut self, turns: &Turns) {
        if self.0.is_empty() {
            return;
        }
        let seen = self.0.iter().map(|(channel, message)| (*channel, *message)).collect();
        match turns.store.advance_places(seen).await {
            Ok(()) => self.0.clear(),
            Err(error) => debug!(%error, "cannot record yet how far channels were read"),
        }
    }
}
