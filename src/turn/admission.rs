//! Whether a turn may begin: its author may have been shut out while it waited.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use super::said::{Most, Said};
use super::story::{Task, asker, cancelled, finish, tell_end, unwanted};
use super::written::until_written;
use super::{Stop, StopReason, Turns, words};
use crate::domain::{Format, Outcome, Project};
use crate::gate;
use crate::lane::Ticket;
use crate::store::{StoreError, Turn, TurnRow, TurnState, Unwanted};

/// How long a turn holds its slot while Discord is asked who somebody is.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// The turn as stored now and its project, if its author may ask there now. Otherwise the turn's end is written, unless
/// it has ended already or is left for the next start. While Discord does not answer, the turn waits without a slot.
pub async fn still_admitted(
    turns: &Turns,
    task: Task,
    ticket: &mut Ticket,
    stop: &Stop,
) -> Result<Option<(Turn, Arc<Project>)>, StoreError> {
    let mut wait = gate::ASK_AGAIN;
    let (mut notes, mut stepped_back) = (Vec::new(), false);
    loop {
        let row = until_written(turns, &stop.token, || turns.store.turn(task.message)).await?;
        let Some(TurnRow { turn, state: TurnState::Waiting, .. }) = row else { return Ok(None) };
        notes.splice(.., asker(&turn));
        let scripts = turns.scripts.borrow().clone();
        let Some(project) = scripts.project(&turn.project).cloned() else {
            tell_end(turns, task, Outcome::Failed, words::project_gone(&turn.project)).await?;
            return Ok(None);
        };
        let let_in = {
            let asked = turns.gate.lets_begin(&scripts, &project, turn.channel, turn.author.id);
            tokio::pin!(asked);
            loop {
                tokio::select! {
                    biased;
                    () = stop.token.cancelled() => break None,
                    let_in = &mut asked => break Some(let_in),
                    () = sleep(ASK_WITHIN), if !stepped_back => {
                        stepped_back = true;
                        ticket.step_back();
                    }
                }
            }
        };
        match let_in {
            None => break,
            Some(Ok(true)) if stepped_back => {
                ticket.come_back();
                tokio::select! {
                    biased;
                    () = stop.token.cancelled() => break,
                    () = ticket.starts() => stepped_back = false,
                }
                // Until now it has waited again.
                continue;
            }
            Some(Ok(true)) => return Ok(Some((turn, project))),
            Some(Ok(false)) => {
                info!(author = %turn.author.id, "not begun: `allow` in routing.lua does not let the author in there now");
                match task.let_in {
                    true => tell_end(turns, task, Outcome::Cancelled, words::let_in_no_more()).await?,
                    false => finish(turns, task, unwanted(Unwanted::Deleted)).await?,
                }
                return Ok(None);
            }
            Some(Err(error)) => {
                warn!(%error, "cannot tell whether the author still has access; next try in {wait:?}");
            }
        }
        if !std::mem::replace(&mut stepped_back, true) {
            ticket.step_back();
        }
        tokio::select! {
            () = stop.token.cancelled() => break,
            () = sleep(wait) => wait = (wait * 2).min(gate::ASK_AGAIN_AT_MOST),
        }
    }
    // A deleted message's turn has ended already; at shutdown it is left for the next start.
    if stop.reason() == Some(StopReason::Asked) {
        let said = Said { notes, ..cancelled(Unwanted::Stopped) };
        finish(turns, task, said.finished(Outcome::Cancelled, None, &Format::default(), Most::default()))
            .await?;
    }
    Ok(None)
}
