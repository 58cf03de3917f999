//! Resumes at start what an earlier bot left unfinished, in the order of the messages.

use std::time::Duration;

use tracing::info;

use super::step::Step;
use super::task::Task;
use super::{Turns, enter, shown};
use crate::domain::Outcome;
use crate::store::{Remaining, StoreError, Unfinished};
use crate::words;

/// If the bot was away for longer than this, turns that waited for it do not run; their people are told.
const AWAY_TOO_LONG: Duration = Duration::from_secs(2 * 60 * 60);

/// Lets every unfinished turn and delivery enter its lane again.
pub async fn recover(turns: &Turns) -> Result<(), StoreError> {
    let left = turns.store.unfinished().await?;
    if !left.is_empty() {
        info!(count = left.len(), "resuming what the last run left unfinished");
    }
    shown::sweep(turns).await?;
    // Both times come from the machine's clock. If it was set back, this is zero.
    let away = turns.store.left().and_then(|left| left.elapsed().ok()).unwrap_or_default();
    for unfinished in left {
        let step = step(&unfinished, away);
        let Unfinished { message, channel, thread, author, prompt_message, .. } = unfinished;
        let task = Task { message, channel, thread, author, prompt_message, recovered: true, let_in: true };
        enter::enter(turns, task, step);
    }
    Ok(())
}

fn step(unfinished: &Unfinished, away: Duration) -> Step {
    match unfinished.stage {
        Remaining::Undelivered => Step::Deliver,
        Remaining::Running(Some(why)) | Remaining::Waiting(Some(why)) => Step::Cancel(why),
        Remaining::Running(None) => Step::Tell(Outcome::Interrupted, words::interrupted()),
        Remaining::Waiting(None) if away > AWAY_TOO_LONG => {
            Step::Tell(Outcome::Interrupted, words::too_old())
        }
        // Whether its project still exists and its author still has access is checked when it begins.
        Remaining::Waiting(None) => Step::Ask(None),
    }
}
