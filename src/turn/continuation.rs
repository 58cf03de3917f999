//! Going on with a turn that a usage limit has refused, once the limit is reset.
//!
//! # Theory of operation
//! A refused turn ends as a failed one, and an offer is written with its end. The last part of its answer shows what has
//! come of the offer, and has the buttons for it: it is posted, found again and edited from what the store holds. A press
//! is written down first, then shown. What is wanted is kept in the store, too; once it is due, one step of the store
//! accepts the turn that goes on, under an id that was chosen with the press, and notes that it has begun. From there on it
//! is a turn like any other: it enters its lane, and passes whatever guards the beginning of a turn. So a bot that dies
//! between any two of these steps goes on with the next one.
//!
//! Time is the machine's clock, which is looked at again at least every [`LOOK_EVERY`]: it may be set.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{error, info};

use super::refused_turns::{TRY_AGAIN, look_again, show_all};
use super::step::Step;
use super::task::Task;
use super::{Turns, enter};
use crate::logging::chain;
use crate::store::Millis;
use crate::words::limit as words;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Waits until one is due.
pub async fn until_due(turns: &Turns) {
    let mut next = turns.0.continues.subscribe();
    loop {
        let due = *next.borrow_and_update();
        let left = due.map(|due| due.0.saturating_sub(Millis::now().0));
        if left.is_some_and(|left| left <= 0) {
            return;
        }
        let left = left.map_or(LOOK_EVERY, |left| Duration::from_millis(left.unsigned_abs()));
        tokio::select! {
            changed = next.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
            () = sleep(left.min(LOOK_EVERY)) => {}
        }
    }
}

/// Accepts what is due, and has it enter its lane.
pub async fn begin_due(turns: &Turns) {
    let begun = match turns.store.begin_continuations(Millis::now(), words::CONTINUE.to_owned()).await {
        Ok(begun) => begun,
        Err(error) => {
            error!(error = chain(&error), "no turn can go on yet");
            let later = Millis::now().0.saturating_add(TRY_AGAIN.as_millis() as i64);
            turns.0.continues.send_replace(Some(Millis(later)));
            return;
        }
    };
    for turn in begun {
        info!(id = %turn.message.short(), channel = %turn.channel, "goes on after a usage limit");
        enter::enter(turns, Task::of_waiting(&turn), Step::Ask(None));
    }
    look_again(turns).await;
    show_all(turns);
}

/// Takes up what an earlier bot has left: what is wanted, and what is not shown yet.
pub async fn recover(turns: &Turns) {
    look_again(turns).await;
    show_all(turns);
}
