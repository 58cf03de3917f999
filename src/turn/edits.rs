//! Edits and deletions of messages whose turns are under way.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::written::until_written;
use super::{Stop, StopReason, Turns, prompt, refused_turns};
use crate::domain::{ChannelId, Message, MessageId, Route, Work};
use crate::lane::LaneView;
use crate::logging::chain;
use crate::store::{TurnEdit, Unwanted};

/// If its turn still waits, an edited message is asked with its new text, in the project that this routes to. Whether
/// its author's roles allow that is checked when the turn begins.
pub async fn edited(turns: &Turns, stop: Arc<Stop>, message: Message) {
    if stop.turn != message.id {
        return debug!("an edit changes nothing in the turn that goes on with the message's own");
    }
    let scripts = turns.scripts.borrow().clone();
    let id = message.id;
    let may_ask = |work: &Work| {
        prompt::has_content(&work.prompt, &message)
            && !turns.gate.excludes(&scripts, Some(&work.project), &message.author)
    };
    let decided = scripts.decide(message.clone()).await;
    let edit = match decided.map(|route| prompt::with_extras(route, &message)) {
        Ok(Route::Turn(work)) if may_ask(&work) => Some(TurnEdit::of(work, &message)),
        // It no longer asks for anything here, or may not: treated as deleted, but only while it waits.
        Ok(_) => None,
        Err(error) => {
            return warn!(id = %id.short(), error = %error, "an edited message keeps its first text: the scripts failed");
        }
    };
    let (turns_of_task, stop_of_task) = (turns.clone(), Arc::clone(&stop));
    let write = move || {
        let (turns, stop, edit) = (turns_of_task.clone(), Arc::clone(&stop_of_task), edit.clone());
        async move {
            // What is on its way into another turn is asked for back first; where it is in there, the edit comes too late.
            stop.recall().await;
            match edit {
                Some(edit) => drop(turns.store.edit(id, edit).await?),
                None if turns.store.cancel_waiting(id).await? => drop(stop.stop(StopReason::Deleted)),
                None => {}
            }
            Ok(())
        }
    };
    // After an earlier edit that is still being retried, which would undo this one.
    let mut edits = Box::pin(Arc::clone(&stop.edits).lock_owned());
    let free = edits.as_mut().now_or_never();
    // The agent answers at once or never; the messages after this one do not wait for it.
    if free.is_some() && !stop.offered.borrow().is_open() {
        let Err(error) = write().await else { return };
        error!(id = %id.short(), error = chain(&error), "an edit could not be written down yet");
    }
    let turns_of_task = turns.clone();
    turns.0.tasks.spawn(async move {
        let _edits = match free {
            Some(edits) => edits,
            None => edits.await,
        };
        let _ = until_written(&turns_of_task, &stop.token, write).await;
    });
}

/// The turns of deleted messages do not begin; a running one is stopped.
pub async fn deleted(turns: &Turns, messages: Vec<MessageId>) {
    for id in messages {
        refused_turns::deleted(turns, id).await;
        let Some(stop) = turns.stops().get(&id).cloned() else { continue };
        let id = stop.turn;
        if let Err(error) = turns.store.cancel(id, Unwanted::Deleted).await {
            error!(id = %id.short(), error = chain(&error), "a deletion could not be written down yet");
            // The turn and its stop may be gone by then, but without this it would run after a restart.
            let (turns_of_task, for_ever) = (turns.clone(), CancellationToken::new());
            turns.0.tasks.spawn(async move {
                let cancel = || turns_of_task.store.cancel(id, Unwanted::Deleted);
                let _ = until_written(&turns_of_task, &for_ever, cancel).await;
            });
        }
        stop.stop(StopReason::Deleted);
    }
}

/// Channels were deleted, and with them their messages and conversations.
pub async fn channels_deleted(turns: &Turns, channels: Vec<ChannelId>) {
    info!(?channels, "gone");
    let lanes = turns.lanes.view().into_iter().filter(|lane| channels.contains(&lane.channel));
    let there = |lane: LaneView| {
        let waiting = lane.waiting.into_iter().map(|(turn, _)| turn);
        lane.running.map(|(turn, ..)| turn).into_iter().chain(waiting).collect::<Vec<_>>()
    };
    deleted(turns, lanes.flat_map(there).collect()).await;
    for channel in channels {
        turns.agents.close(channel);
    }
}
