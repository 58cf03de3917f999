//! A message that ends the turn before it: `busy = "interrupt"`, and what its author does by a button.
//!
//! The turn that runs is stopped as by Stop, by whoever may do that, and nobody else: who asked for it, and operators. The
//! message goes next, ahead of those that wait; any other keeps its place. Where the project has it so, the messages of one
//! person keep the order in which they were written; by the button, the one that was chosen goes first.

use tracing::info;

use super::task::Task;
use super::{Stopped, Turns, budget};
use crate::domain::{Busy, MessageId};
use crate::lane::Overtakes;
use crate::store::TurnRow;

/// Ends the turn that runs in the channel of a message that has just come, where its project has it so and its author may.
/// Otherwise, and where that turn is ending already, the message waits like any other.
pub async fn interrupt(turns: &Turns, task: Task) {
    // Discord has yet to say whether the author is let in.
    if !task.let_in || task.recovered {
        return;
    }
    let Ok(Some(row)) = turns.store.turn(task.message).await else { return };
    let scripts = turns.scripts.borrow().clone();
    let project = scripts.project(&row.turn.project).filter(|project| project.busy == Busy::Interrupt);
    let Some(project) = project else { return };
    let Some(running) = turns.running(task.channel).filter(|running| *running != task.message) else {
        return;
    };
    let Ok(Some(other)) = turns.store.turn(running).await else { return };
    if other.turn.author.id != task.author {
        turns.gate.refresh_for(task.author).await;
        if !turns.gate.is_operator(&scripts, task.author) {
            return info!(turn = %running.short(), "not interrupted: the author may not stop it");
        }
    }
    if !matches!(budget::refusal(turns, task.author, project).await, Ok(None)) {
        return info!(turn = %running.short(), "not interrupted: there is no budget for what would go next");
    }
    turns.end_for(running, task.message, Overtakes::Others).await;
}

/// Why a turn is not stopped for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInstead {
    /// It is ending already, or over.
    EndsAlready,
    /// The other one would not begin: no budget is left for it.
    Spent,
}

impl Turns {
    /// Stops a turn at work, and lets one that waits in its lane go next. Whoever asks for it must be allowed to.
    ///
    /// # Errors
    /// Why nothing changes.
    pub async fn go_instead(&self, running: MessageId, waiting: MessageId) -> Result<(), NotInstead> {
        if let Ok(Some(TurnRow { turn, .. })) = self.store.turn(waiting).await {
            let project = self.scripts.borrow().project(&turn.project).cloned();
            if let Some(project) = project
                && let Ok(Some(_)) = budget::refusal(self, turn.author.id, &project).await
            {
                return Err(NotInstead::Spent);
            }
        }
        let ends = self.end_for(running, waiting, Overtakes::All).await;
        ends.then_some(()).ok_or(NotInstead::EndsAlready)
    }

    async fn end_for(&self, running: MessageId, waiting: MessageId, overtakes: Overtakes) -> bool {
        let Ok(Some(row)) = self.store.turn(waiting).await else { return false };
        let Some(stop) = self.stops().get(&running).cloned() else { return false };
        if stop.is_closed() || stop.reason().is_some() {
            return false;
        }
        // First, so that nobody else begins in between.
        self.lanes.advance(row.turn.channel, waiting, overtakes);
        info!(turn = %running.short(), by = %waiting.short(), "stopped for another one");
        self.stop(running).await == Some(Stopped::Work)
    }
}
