//! How the question of a turn stands in Discord, where nobody listened for a while.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::task::Task;
use super::{Turns, intake};
use crate::domain::{Reread, Stands};
use crate::lane::Ticket;
use crate::store::Question;

/// How long Discord is asked; then the message is taken to stand as it did.
const WITHIN: Duration = Duration::from_secs(10);
/// How long the turn holds its slot meanwhile.
const WITH_SLOT: Duration = Duration::from_secs(1);

/// Takes in what Discord has not told: that the message of a turn, which may run now, was edited or deleted. Turns keep
/// their order unless Discord is slow.
pub async fn catch_up(turns: &Turns, task: Task, ticket: &mut Ticket) {
    let (answered, _) = ticket.aside_after(WITH_SLOT, timeout(WITHIN, stands(turns, task))).await;
    match answered {
        Ok(Some(Stands::Deleted)) => intake::deleted(turns, vec![task.message]).await,
        Ok(Some(Stands::Edited(message))) => intake::edited(turns, *message).await,
        Ok(Some(Stands::Unchanged) | None) | Err(_) => {}
    }
}

/// `None`: Discord does not say.
async fn stands(turns: &Turns, task: Task) -> Option<Stands> {
    let channel = task.channel;
    if task.question == Question::Theirs {
        let (answer, answered) = oneshot::channel();
        // Nobody reads it when the bot is stopping.
        drop(turns.rereads.send(Reread { channel, message: task.message, answer }));
        if let Ok(stands) = answered.await {
            return Some(stands);
        }
        // Perhaps the channel is gone, and nobody reads anything there.
    }
    // Nobody else can edit a message of the bot's own.
    let stands = turns.outbox.stands(channel, task.asked()).await.ok()?;
    Some(if stands { Stands::Unchanged } else { Stands::Deleted })
}
