//! What an earlier bot left unfinished, taken up at start in the order of the messages.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::story::{Step, Task};
use super::{Turns, intake, words};
use crate::domain::Outcome;
use crate::store::{Millis, Stage, StoreError, Unfinished};

/// A turn that waited longer than this is not run any more: its person is told.
const WAITED_TOO_LONG: Duration = Duration::from_secs(2 * 60 * 60);

/// Lets every unfinished turn and delivery enter its lane again.
pub async fn recover(turns: &Turns) -> Result<(), StoreError> {
    let left = turns.store.unfinished().await?;
    if !left.is_empty() {
        info!(count = left.len(), "taking up what the last run left unfinished");
    }
    let now = Millis::now();
    for unfinished in left {
        let step = step(turns, &unfinished, now).await?;
        let task = Task { message: unfinished.message, channel: unfinished.channel, recovered: true };
        intake::enter(turns, task, step);
    }
    Ok(())
}

async fn step(turns: &Turns, unfinished: &Unfinished, now: Millis) -> Result<Step, StoreError> {
    let waited = Duration::from_millis(now.0.saturating_sub(unfinished.accepted.0).try_into().unwrap_or(0));
    let turn = match unfinished.stage {
        Stage::Undelivered => return Ok(Step::Deliver),
        Stage::Running => return Ok(Step::Tell(Outcome::Interrupted, words::interrupted())),
        Stage::Waiting if waited > WAITED_TOO_LONG => {
            return Ok(Step::Tell(Outcome::Interrupted, words::too_old()));
        }
        Stage::Waiting => turns.store.turn(unfinished.message).await?,
    };
    let Some(row) = turn else { return Ok(Step::Deliver) };
    Ok(match turns.scripts.borrow().project(&row.turn.project) {
        Some(project) => Step::Ask(Arc::clone(project)),
        None => Step::Tell(Outcome::Failed, words::project_gone(&row.turn.project)),
    })
}
