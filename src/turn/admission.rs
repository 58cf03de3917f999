//! Whether a turn may begin: its author may have lost access while it waited.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::ending::{asker, cancelled, finish, tell_end, unwanted};
use super::task::Task;
use super::turn_text::{Most, TurnText};
use super::written::until_written;
use super::{Stop, StopReason, Turns};
use crate::domain::{ChannelId, Format, Outcome, Project};
use crate::gate;
use crate::lane::Ticket;
use crate::store::{StoreError, Turn, TurnRow, TurnState, Unwanted};
use crate::words;

/// How long a turn holds its slot while Discord looks up its author.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// The turn as stored now and its project, if its author may ask there now. Otherwise the turn's end is written, unless
/// it has ended already or is left for the next start. While Discord does not answer, the turn waits without a slot.
pub async fn still_admitted(
    turns: &Turns,
    task: Task,
    ticket: &mut Ticket,
    stop: &Stop,
) -> Result<Option<(Turn, Arc<Project>)>, StoreError> {
    let mut notes = Vec::new();
    loop {
        let row = until_written(turns, &stop.token, || turns.store.turn(task.message)).await?;
        let Some(TurnRow { turn, state: TurnState::Waiting, .. }) = row else { return Ok(None) };
        notes.splice(.., asker(&turn));
        let answered = until_judged(turns, &turn, task.said_in());
        let answered = tokio::select! {
            biased;
            () = stop.token.cancelled() => break,
            answered = ticket.aside_after(ASK_WITHIN, answered) => answered,
        };
        match answered {
            (Some((project, true)), true) => return Ok(Some((turn, project))),
            (Some((_, false)), true) => {
                info!(author = %turn.author.id, "not started: `allow` in routing.lua no longer lets the author in there");
                match task.let_in {
                    true => tell_end(turns, task, Outcome::Cancelled, words::let_in_no_more()).await?,
                    false => finish(turns, task, unwanted(Unwanted::Deleted)).await?,
                }
                return Ok(None);
            }
            (None, true) => {
                tell_end(turns, task, Outcome::Failed, words::project_gone(&turn.project)).await?;
                return Ok(None);
            }
            // It gave up its slot meanwhile, so the answer may be out of date.
            (_, false) => tokio::select! {
                biased;
                () = stop.token.cancelled() => break,
                () = ticket.starts() => {}
            },
        }
    }
    // A deleted message's turn has ended already; at shutdown it is left for the next start.
    if stop.reason() == Some(StopReason::Asked) {
        let said = TurnText { notes, ..cancelled(Unwanted::Stopped) };
        finish(turns, task, said.finished(Outcome::Cancelled, None, &Format::default(), Most::default()))
            .await?;
    }
    Ok(None)
}

/// The turn's project, and whether its author may ask there now, by the newest scripts; `None` where there is no such project
/// any more. Asks until Discord answers.
pub async fn until_judged(turns: &Turns, turn: &Turn, channel: ChannelId) -> Option<(Arc<Project>, bool)> {
    let asks = || async {
        let scripts = turns.scripts.borrow().clone();
        let Some(project) = scripts.project(&turn.project).cloned() else { return Ok(None) };
        let let_in = turns.gate.lets_begin(&scripts, &project, channel, turn.author.id).await?;
        Ok(Some((project, let_in)))
    };
    gate::until_answered("whether the author still has access", asks).await
}
