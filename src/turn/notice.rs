//! The notice of a message that waits behind another of its channel: what its author can do about it.
//!
//! Like the live line it is no part of an answer, so it is not in the ledger, but it is in the store from before it is
//! posted until it is seen to be gone. It goes when the turn begins, or will not begin any more; what a bot that is killed
//! leaves behind, the next one removes ([`shown`]).

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::buttons::{ButtonId, WaitingWish};
use super::task::Task;
use super::{Turns, shown};
use crate::domain::{ButtonStyle, MessageId, Row};
use crate::logging::chain;
use crate::outbox::{Notify, Post, Refused};
use crate::store::ShownMessage;
use crate::words;

/// How long the post may take; after that it is looked for where it is to be removed.
const POSTED_WITHIN: Duration = Duration::from_secs(3);

fn buttons(turn: MessageId) -> Row {
    let button = |wish, label| ButtonId::Waiting(turn, wish).button(label, ButtonStyle::Secondary);
    Row::Buttons(vec![
        button(WaitingWish::SendNow, words::SEND_NOW),
        button(WaitingWish::Instead, words::STOP_THAT),
        button(WaitingWish::TakeOut, words::TAKE_IT_OUT),
    ])
}

/// Shows that a message waits; the notice goes away when this is dropped.
pub struct Notice(CancellationToken);

impl Notice {
    /// Nothing is shown before the message has waited for a while, and nothing ever unless `may_begin`. What an earlier bot
    /// has shown of it is removed.
    pub fn start(turns: &Turns, task: Task, may_begin: bool) -> Self {
        let over = CancellationToken::new();
        if !may_begin {
            over.cancel();
        }
        turns.0.tasks.spawn(follow(turns.clone(), task, over.clone()));
        Self(over)
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn follow(turns: Turns, task: Task, over: CancellationToken) {
    if task.recovered
        && let Ok(Some(left)) = turns.store.notice(task.message).await
    {
        shown::remove_notice(&turns, task.channel, task.message, task.asked(), left).await;
    }
    tokio::select! {
        () = over.cancelled() => return,
        () = sleep(turns.live_times.notice_after) => {}
    }
    let stands = loop {
        // What waits for a slot has its place shown by its live line.
        if turns.running(task.channel).is_none_or(|running| running == task.message) {
            return;
        }
        match post(&turns, task, &over).await {
            Attempt::Stands(stands) => break stands,
            Attempt::Never => return,
            Attempt::NoRoom => tokio::select! {
                () = over.cancelled() => return,
                () = sleep(turns.live_times.notice_after) => {}
            },
        }
    };
    over.cancelled().await;
    shown::remove_notice(&turns, task.channel, task.message, task.asked(), stands).await;
}

/// What came of a try to post the notice.
enum Attempt {
    /// It stands, or perhaps it does.
    Stands(ShownMessage),
    /// What is said went first.
    NoRoom,
    /// None stands, and none will.
    Never,
}

async fn post(turns: &Turns, task: Task, over: &CancellationToken) -> Attempt {
    let Task { message, channel, .. } = task;
    if !turns.outbox.has_room(channel) {
        return Attempt::NoRoom;
    }
    if let Err(error) = turns.store.set_notice(message, Some(ShownMessage::Coming)).await {
        warn!(error = chain(&error), "no notice is posted that could not be removed later");
        return Attempt::Never;
    }
    if over.is_cancelled() {
        shown::forget_notice(turns, message).await;
        return Attempt::Never;
    }
    let post = Post {
        content: words::waits_for_a_turn(),
        nonce: format!("w-{message}"),
        reply_to: Some(task.asked()),
        notify: Notify::Nobody,
        file: None,
        rows: vec![buttons(message)],
    };
    match timeout(POSTED_WITHIN, turns.outbox.show(channel, post)).await {
        Ok(Ok(posted)) => {
            let stands = ShownMessage::Stands(posted);
            if let Err(error) = turns.store.set_notice(message, Some(stands)).await {
                debug!(error = chain(&error), "cannot record where the notice is");
            }
            Attempt::Stands(stands)
        }
        Ok(Err(Refused::GaveUp { sent: false, .. })) => {
            shown::forget_notice(turns, message).await;
            Attempt::NoRoom
        }
        Ok(Err(Refused::GaveUp { .. })) | Err(_) => Attempt::Stands(ShownMessage::Coming),
        Ok(Err(refused)) => {
            debug!(%refused, "the notice was not posted");
            shown::forget_notice(turns, message).await;
            Attempt::Never
        }
    }
}
