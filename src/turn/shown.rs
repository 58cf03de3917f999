//! What a turn shows in Discord besides its answer: the ⏳ and the notice of one that waits, and the line of one at work.
//!
//! None is part of an answer, so none is in the ledger. But all are in the store from before they are shown
//! until they are known to be gone: whatever fails or dies in between, the next attempt or the next bot removes them.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Turns;
use super::buttons::ButtonId;
use super::task::Task;
use crate::domain::{ChannelId, MessageId, Row};
use crate::logging::chain;
use crate::outbox::{Notify, Post, Posted, Reacted, Refused};
use crate::store::{Shown, ShownMessage, StoreError};
use crate::view;

/// The reaction on a waiting message.
const WAITING: &str = "⏳";

/// By then Discord has carried out a call that it did not answer, or never will.
const LATE: Duration = Duration::from_secs(60);
/// The wait before a removal is retried; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long the post of a message may take. An answer that comes meanwhile waits for it.
const POSTED_WITHIN: Duration = Duration::from_secs(3);
/// How long one removal of a message may take.
const REMOVED_WITHIN: Duration = Duration::from_secs(3);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// The reaction on a message whose turn waits.
pub struct Hourglass {
    task: Task,
    /// `None` where an earlier bot showed it.
    shown: Option<JoinHandle<Reacted>>,
    /// Cancelled where it is too late to show it.
    over: CancellationToken,
}

impl Hourglass {
    /// Shows it. It is in the store already, unless an earlier bot accepted the message.
    pub fn show(turns: &Turns, task: Task) -> Self {
        let (of_task, over) = (turns.clone(), CancellationToken::new());
        let unwanted = over.clone();
        let show = async move {
            if task.recovered
                && let Err(error) = of_task.store.set_hourglass(task.message, true).await
            {
                warn!(error = chain(&error), "⏳ is not shown: it could not be removed later");
                return Reacted::No;
            }
            of_task.outbox.react(task.asked_in(), task.asked(), WAITING, unwanted).await
        };
        Self { task, shown: Some(turns.0.tasks.spawn(show)), over }
    }

    /// What an earlier bot may have shown.
    pub fn left_behind(task: Task) -> Self {
        Self { task, shown: None, over: CancellationToken::new() }
    }

    /// Removes it, without making the turn wait.
    pub fn remove(self, turns: &Turns) {
        let of_task = turns.clone();
        self.over.cancel();
        turns.0.tasks.spawn(async move {
            // Not before it has been added.
            let shown = match self.shown {
                Some(shown) => shown.await.unwrap_or(Reacted::Perhaps),
                None => Reacted::Yes,
            };
            let (channel, message, prompt_message) =
                (self.task.asked_in(), self.task.message, self.task.asked());
            // An earlier bot may have shown it.
            if shown == Reacted::No && !self.task.recovered {
                return forget_hourglass(&of_task, message).await;
            }
            if shown == Reacted::Perhaps {
                // Discord may still add it after the removal.
                is_gone(&of_task, channel, Left::Hourglass(prompt_message)).await;
                tokio::select! {
                    () = of_task.0.ending.cancelled() => return,
                    () = sleep(LATE) => {}
                }
            }
            remove_hourglass(&of_task, channel, message, prompt_message).await;
        });
    }
}

/// A message that shows a turn and is no part of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownAs {
    /// What it does, or that it waits for a slot.
    LiveLine,
    /// That it waits behind another of its channel.
    Notice,
}

/// What came of a try to post one.
pub enum Attempt {
    Posted(MessageId),
    /// Discord has not said whether it has posted it.
    Unclear,
    /// Not now: what is said goes first, or the database fails.
    NotNow,
    /// It is too late for it.
    Over,
    /// It does not stand, and this is why.
    Refused(Refused),
}

/// Posts one silently, unless it is `over` before that; whatever comes of it, the store knows.
pub async fn post(
    turns: &Turns,
    task: Task,
    shown: ShownAs,
    content: String,
    rows: Vec<Row>,
    over: &CancellationToken,
) -> Attempt {
    let (message, channel) = (task.message, task.said_in());
    if !turns.outbox.has_room(channel) {
        return Attempt::NotNow;
    }
    if let Err(error) = record(turns, message, shown, Some(ShownMessage::Coming)).await {
        warn!(error = chain(&error), ?shown, "not posted: it could not be removed later");
        return Attempt::NotNow;
    }
    if over.is_cancelled() {
        forget(turns, message, shown).await;
        return Attempt::Over;
    }
    let prefix = match shown {
        ShownAs::LiveLine => 'r',
        ShownAs::Notice => 'w',
    };
    let post = Post {
        content,
        nonce: format!("{prefix}-{message}"),
        reply_to: task.reply_to(),
        notify: Notify::Nobody,
        file: None,
        rows,
    };
    match timeout(POSTED_WITHIN, turns.outbox.show(channel, post)).await {
        Ok(Ok(posted)) => {
            if let Err(error) = record(turns, message, shown, Some(ShownMessage::Stands(posted))).await {
                debug!(error = chain(&error), ?shown, "cannot record where it stands");
            }
            Attempt::Posted(posted)
        }
        Ok(Err(Refused::GaveUp { sent: true, .. })) | Err(_) => Attempt::Unclear,
        Ok(Err(refused)) => {
            debug!(%refused, ?shown, "not posted");
            forget(turns, message, shown).await;
            match refused {
                Refused::GaveUp { .. } => Attempt::NotNow,
                _ => Attempt::Refused(refused),
            }
        }
    }
}

/// Records that it does not stand in the channel.
pub async fn forget(turns: &Turns, turn: MessageId, shown: ShownAs) {
    if let Err(error) = record(turns, turn, shown, None).await {
        debug!(error = chain(&error), ?shown, "cannot record that it is gone");
    }
}

async fn record(
    turns: &Turns,
    turn: MessageId,
    shown: ShownAs,
    stands: Option<ShownMessage>,
) -> Result<(), StoreError> {
    match shown {
        ShownAs::LiveLine => turns.store.set_live_line(turn, stands).await,
        ShownAs::Notice => turns.store.set_notice(turn, stands).await,
    }
}

/// Removes what earlier turns have left behind, in the background.
pub async fn sweep(turns: &Turns) -> Result<(), StoreError> {
    for left in turns.store.shown().await? {
        // Each for itself: what Discord has not answered is looked for once more a minute later.
        turns.0.tasks.spawn(remove(turns.clone(), left));
    }
    Ok(())
}

async fn remove(turns: Turns, left: Shown) {
    let Shown { message, channel, thread, prompt_message, hourglass, live_line, notice } = left;
    let reply_to = (!thread.is_open()).then_some(prompt_message);
    if hourglass {
        remove_hourglass(&turns, thread.asked_in(channel), message, prompt_message).await;
    }
    match live_line {
        Some(ShownMessage::Stands(line)) => remove_live_line(&turns, channel, message, line).await,
        Some(ShownMessage::Coming) => {
            find_live_line(&turns, channel, message, prompt_message, reply_to).await;
        }
        None => {}
    }
    if let Some(notice) = notice {
        remove_notice(&turns, channel, message, prompt_message, notice).await;
    }
}

/// What is left to be removed.
#[derive(Clone, Copy)]
enum Left {
    /// The reaction on this message.
    Hourglass(MessageId),
    /// This message.
    Message(MessageId),
}

async fn remove_hourglass(turns: &Turns, channel: ChannelId, turn: MessageId, prompt_message: MessageId) {
    if is_gone(turns, channel, Left::Hourglass(prompt_message)).await {
        forget_hourglass(turns, turn).await;
    }
}

async fn forget_hourglass(turns: &Turns, turn: MessageId) {
    if let Err(error) = turns.store.set_hourglass(turn, false).await {
        debug!(error = chain(&error), "cannot record that there is no ⏳");
    }
}

/// Removes the message that showed the turn at work.
pub async fn remove_live_line(turns: &Turns, channel: ChannelId, turn: MessageId, line: MessageId) {
    if is_gone(turns, channel, Left::Message(line)).await {
        forget(turns, turn, ShownAs::LiveLine).await;
    }
}

/// Removes what an earlier bot has shown of a turn that waits again.
pub async fn remove_left_behind(turns: &Turns, task: Task) {
    let Task { channel, message, .. } = task;
    match turns.store.live_line(message).await {
        Ok(Some(ShownMessage::Stands(line))) => remove_live_line(turns, channel, message, line).await,
        Ok(Some(ShownMessage::Coming)) => {
            find_live_line(turns, channel, message, task.asked(), task.reply_to()).await;
        }
        Ok(None) => {}
        Err(error) => debug!(error = chain(&error), "cannot tell what an earlier bot has shown"),
    }
}

/// Removes the message that showed the turn at work, if it is there: the bot died while it posted it, or Discord did not
/// answer in time. `reply_to`: what it replies to.
pub async fn find_live_line(
    turns: &Turns,
    channel: ChannelId,
    turn: MessageId,
    prompt_message: MessageId,
    reply_to: Option<MessageId>,
) {
    let is_it = |posted: &Posted| {
        let is_of_turn = posted.reply_to == reply_to
            || posted.custom_ids.iter().any(|id| ButtonId::parse(id) == Some(ButtonId::Stop(turn)));
        posted.silent && is_of_turn && view::is_line(&posted.content)
    };
    if find_and_remove(turns, channel, prompt_message, is_it).await {
        forget(turns, turn, ShownAs::LiveLine).await;
    }
}

/// Removes the notice of a turn that waits no more.
pub async fn remove_notice(
    turns: &Turns,
    channel: ChannelId,
    turn: MessageId,
    prompt_message: MessageId,
    notice: ShownMessage,
) {
    let is_it = |posted: &Posted| {
        posted
            .custom_ids
            .iter()
            .any(|id| matches!(ButtonId::parse(id), Some(ButtonId::Waiting(of, _)) if of == turn))
    };
    let gone = match notice {
        ShownMessage::Stands(notice) => is_gone(turns, channel, Left::Message(notice)).await,
        ShownMessage::Coming => find_and_remove(turns, channel, prompt_message, is_it).await,
    };
    if gone {
        forget(turns, turn, ShownAs::Notice).await;
    }
}

/// Removes a message below the message that the turn answers, if it is there; whether it is surely gone. What Discord carries out late is looked
/// for once more.
async fn find_and_remove(
    turns: &Turns,
    channel: ChannelId,
    prompt_message: MessageId,
    is_it: impl Fn(&Posted) -> bool,
) -> bool {
    let mut looked = 0;
    loop {
        match look_for(turns, channel, prompt_message, &is_it).await {
            Some(Some(found)) => return is_gone(turns, channel, Left::Message(found)).await,
            Some(None) if looked > 0 => return true,
            Some(None) => looked += 1,
            None => {}
        }
        tokio::select! {
            // The next bot looks for it.
            () = turns.0.ending.cancelled() => return false,
            () = sleep(LATE) => {}
        }
    }
}

/// Finds a message of the bot's below the message that the turn answers, however long Discord takes to say; `None` where it is not there, or the
/// bot stops. What Discord carries out late is looked for once more.
pub async fn find(
    turns: &Turns,
    channel: ChannelId,
    prompt_message: MessageId,
    is_it: impl Fn(&Posted) -> bool,
) -> Option<MessageId> {
    let mut looked = 0;
    loop {
        match look_for(turns, channel, prompt_message, &is_it).await {
            Some(Some(found)) => return Some(found),
            Some(None) if looked > 0 => return None,
            Some(None) => looked += 1,
            None => {}
        }
        tokio::select! {
            // The next bot looks for it.
            () = turns.0.ending.cancelled() => return None,
            () = sleep(LATE) => {}
        }
    }
}

/// Finds a message by its look. `None` where Discord or the database does not say.
async fn look_for(
    turns: &Turns,
    channel: ChannelId,
    prompt_message: MessageId,
    is_it: impl Fn(&Posted) -> bool,
) -> Option<Option<MessageId>> {
    let mut history = turns.outbox.history(channel, prompt_message, turns.me);
    while let Some(own) = history.next().await.ok()? {
        for posted in own {
            if is_it(&posted) && !turns.store.is_known(posted.id).await.ok()? {
                return Some(Some(posted.id));
            }
        }
    }
    Some(None)
}

/// Retries a removal until Discord has done it or says that there is nothing to remove. False if it is forbidden, or
/// the bot stops: then the next bot tries.
async fn is_gone(turns: &Turns, channel: ChannelId, left: Left) -> bool {
    let mut wait = FIRST_WAIT;
    loop {
        let removed = match left {
            Left::Hourglass(message) => turns.outbox.unreact(channel, message, WAITING).await,
            // Whatever else is to be said there waits meanwhile.
            Left::Message(line) => match timeout(REMOVED_WITHIN, turns.outbox.delete(channel, line)).await {
                Ok(removed) => removed,
                Err(_) => Err(Refused::GaveUp { why: "no answer in time".to_owned(), sent: true }),
            },
        };
        match removed {
            Ok(()) | Err(Refused::NotFound { .. }) => return true,
            Err(refused @ (Refused::GaveUp { .. } | Refused::Token)) => {
                debug!(%refused, "not removed; next try in {wait:?}");
            }
            Err(refused) => {
                debug!(%refused, "not removed");
                return false;
            }
        }
        tokio::select! {
            () = turns.0.ending.cancelled() => return false,
            () = sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
        }
    }
}
