//! Whether a turn's message was edited or deleted while the bot was not connected.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::task::Task;
use super::{Turns, edits};
use crate::domain::{Reread, Stands};
use crate::lane::Ticket;
use crate::store::PromptMessage;

/// How long to wait for Discord; after that the message counts as unchanged.
const WITHIN: Duration = Duration::from_secs(10);
/// How long the turn holds its slot meanwhile.
const WITH_SLOT: Duration = Duration::from_secs(1);

/// Catches up on an edit or a deletion of the message of a turn that may run now. Turns keep their order unless Discord
/// is slow.
pub async fn catch_up(turns: &Turns, task: Task, ticket: &mut Ticket) {
    let (answered, _) = ticket.aside_after(WITH_SLOT, timeout(WITHIN, stands(turns, task))).await;
    match answered {
        Ok(Some(Stands::Deleted)) => edits::deleted(turns, vec![task.message]).await,
        Ok(Some(Stands::Edited(message))) => {
            let stop = turns.stops().get(&message.id).cloned();
            if let Some(stop) = stop {
                edits::edited(turns, stop, *message).await;
            }
        }
        Ok(Some(Stands::Unchanged) | None) | Err(_) => {}
    }
}

/// `None`: Discord does not say.
async fn stands(turns: &Turns, task: Task) -> Option<Stands> {
    let channel = task.asked_in();
    if task.prompt_message == PromptMessage::Theirs {
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
