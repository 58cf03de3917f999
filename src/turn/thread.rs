//! The thread of a turn's own: which turns get one, and how it is opened.
//!
//! The turn is written down and has entered its lane before its thread stands, and nothing is said or shown before. A bot that dies in between
//! opens the thread after its next start; Discord opens one thread per message, however often it is asked. Where none can be
//! opened, the turn moves to the lane of the channel that its message is in.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::admission::until_judged;
use super::task::Task;
use super::written::until_written;
use super::{Stop, Turns, edits};
use crate::domain::{ChannelId, Message, ThreadMode, Work};
use crate::lane::{LanePosition, Ticket};
use crate::logging::chain;
use crate::outbox::Refused;
use crate::store::{PromptMessage, StoreError, TurnRow, TurnState, TurnThread};
use crate::text;
use crate::words;

/// The wait before Discord is asked again for a thread; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long the turn waits until its author is in the thread.
const ADDED_WITHIN: Duration = Duration::from_secs(3);

/// The channel of a turn that is about to be accepted, and where its message is then.
///
/// # Errors
/// If the database fails.
pub async fn place(
    turns: &Turns,
    message: &Message,
    work: &Work,
    prompt_message: PromptMessage,
) -> Result<(ChannelId, TurnThread), StoreError> {
    let here = message.channel_id;
    let opens = match prompt_message {
        PromptMessage::Theirs => work.project.thread != ThreadMode::Never,
        PromptMessage::Coming | PromptMessage::Posted(_) => work.in_thread,
    };
    if !opens || message.parent_channel_id.is_some() {
        return Ok((here, TurnThread::None));
    }
    if work.project.thread == ThreadMode::Task
        && let Some(replied) = message.reply_to
        && let Some(thread) = turns.store.thread_from(replied, here).await?
    {
        return Ok((thread, TurnThread::Open(here)));
    }
    Ok((message.id.thread(), TurnThread::Coming(here)))
}

/// Opens the thread of a turn that is to have one and has none yet, if its author may still ask there. Otherwise, and where
/// Discord opens none, the turn goes on in the lane of the channel that its message is in. Nothing changes where it is stopped
/// before.
pub async fn open(
    turns: &Turns,
    task: &mut Task,
    ticket: &mut Ticket,
    place: &mut LanePosition,
    stop: &Stop,
) {
    let TurnThread::Coming(asked_in) = task.thread else { return };
    let opened = tokio::select! {
        biased;
        () = stop.token.cancelled() => return,
        () = turns.0.ending.cancelled() => return,
        opened = try_to_open(turns, *task, asked_in, ticket) => opened,
    };
    let (channel, thread) = match opened {
        Opened::Thread(thread) => (thread, TurnThread::Open(asked_in)),
        Opened::Nothing => (asked_in, TurnThread::None),
        Opened::Gone => return edits::deleted(turns, vec![task.asked()]).await,
    };
    let write = || async {
        match thread {
            TurnThread::Open(_) => turns.store.thread_stands(task.message, channel).await,
            _ => turns.store.has_no_thread(task.message).await,
        }
    };
    if until_written(turns, &stop.token, write).await.is_err() {
        return;
    }
    task.thread = thread;
    if channel != task.channel {
        task.channel = channel;
        (*place, *ticket) = turns.lanes.enter(channel, task.message, task.author);
    }
}

/// What came of the attempt to open a thread.
enum Opened {
    Thread(ChannelId),
    /// There is none, for good.
    Nothing,
    /// The message to open it from is deleted.
    Gone,
}

async fn try_to_open(turns: &Turns, task: Task, asked_in: ChannelId, ticket: &mut Ticket) -> Opened {
    let Ok(Some(TurnRow { turn, state: TurnState::Waiting, .. })) = turns.store.turn(task.message).await
    else {
        return Opened::Nothing;
    };
    let is_certain = task.let_in && !task.recovered;
    if !is_certain
        && !ticket.aside(until_judged(turns, &turn, asked_in)).await.is_some_and(|(_, is_let_in)| is_let_in)
    {
        return Opened::Nothing;
    }
    let neutral = words::thread_of(&turn.author.name);
    let mut name = text::title(&turns.outbox.redact(&turn.prompt)).unwrap_or_else(|| neutral.clone());
    let mut wait = FIRST_WAIT;
    loop {
        match turns.outbox.open_thread_from(asked_in, task.asked(), &name).await {
            Ok(thread) => {
                let added = turns.outbox.add_to_thread(thread, task.author);
                match timeout(ADDED_WITHIN, added).await {
                    Ok(Ok(())) => {}
                    Ok(Err(refused)) => debug!(%refused, "the author is not added to the thread"),
                    Err(_) => debug!("the author was not added to the thread in time"),
                }
                info!(%thread, "has a thread");
                return Opened::Thread(thread);
            }
            Err(refused) if refused.is_of_what_is_gone() => return Opened::Gone,
            Err(refused @ (Refused::GaveUp { .. } | Refused::Token)) => {
                warn!(error = chain(&refused), "a thread cannot be opened now; next try in {wait:?}");
                ticket.aside(sleep(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            // Some word in it may be what Discord does not take.
            Err(Refused::Invalid { why, .. }) if name != neutral => {
                debug!(why, "Discord refused a thread; it is tried with another name");
                name.clone_from(&neutral);
            }
            Err(refused) => {
                warn!(error = %refused, "Discord opens no thread here; the turn stays in the channel");
                return Opened::Nothing;
            }
        }
    }
}
