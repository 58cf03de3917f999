//! The notice of a message that waits behind another of its channel: what its author can do about it.
//!
//! Like the live line it is no part of an answer, so it is not in the ledger, but it is in the store from before it is
//! posted until it is seen to be gone. It goes when the turn begins, or will not begin any more; what a bot that is killed
//! leaves behind, the next one removes ([`shown`]).

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::buttons::{ButtonId, WaitingWish};
use super::shown::{Attempt, ShownAs};
use super::task::Task;
use super::{Turns, shown};
use crate::domain::{ButtonStyle, MessageId, Row};
use crate::store::ShownMessage;
use crate::words;

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
        let (words, rows) = (words::waits_for_a_turn(), vec![buttons(task.message)]);
        match shown::post(&turns, task, ShownAs::Notice, words, rows, &over).await {
            Attempt::Posted(posted) => break ShownMessage::Stands(posted),
            Attempt::Unclear => break ShownMessage::Coming,
            Attempt::Over | Attempt::Refused(_) => return,
            Attempt::NotNow => tokio::select! {
                () = over.cancelled() => return,
                () = sleep(turns.live_times.notice_after) => {}
            },
        }
    };
    over.cancelled().await;
    shown::remove_notice(&turns, task.channel, task.message, task.asked(), stands).await;
}
