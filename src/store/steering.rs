//! Turns that are put into the turn that runs.
//!
//! While a message is on its way to the agent it counts as running, for the agent may have begun with it; a bot that dies
//! then tells its person so, and it is not asked again. What became of it is written in one step with the end of the turn
//! that it was sent to.

use rusqlite::params;

use super::turns::{finish_turn, row, set_state};
use super::{Finished, Store, StoreError, Turn, TurnRow, TurnState};
use crate::domain::{MessageId, Outcome};

/// What became of a turn that was sent to the one that ran, once that one is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteeringEnd {
    /// It is answered there.
    Steered,
    /// It was too late for that turn, and the agent has begun with it as a turn of its own.
    GoesOn,
    /// The agent has not begun with it: it waits as before.
    Waits,
    /// It went into that turn, and nothing is said there.
    Lost,
}

impl Store {
    /// Sends a waiting turn to one that runs: from now on the agent may have it. False, and nothing changes, unless the turn
    /// still stands as `turn` has it, and the other one runs.
    ///
    /// # Errors
    /// If the database fails: nothing has changed then.
    pub async fn offer(&self, turn: Turn, to: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let is_as_known = row(tx, turn.message)?
                .is_some_and(|stored| stored.state == TurnState::Waiting && stored.turn == turn);
            let runs = row(tx, to)?.is_some_and(|other| other.state == TurnState::Running);
            if !is_as_known || !runs {
                return Ok(false);
            }
            let sql = "UPDATE turns SET state = 'running', steered_into = ?2 WHERE message = ?1";
            tx.prepare_cached(sql)?.execute(params![turn.message, to])?;
            Ok(true)
        })
        .await
    }

    /// The agent has given a turn back: it waits as before, or, where nobody wants it any more, has ended.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_back(&self, message: MessageId) -> Result<(), StoreError> {
        self.step(move |tx| match row(tx, message)? {
            Some(TurnRow { state: TurnState::Offered, .. }) => Ok(settle(tx, message, SteeringEnd::Waits)?),
            _ => Ok(()),
        })
        .await
    }

    /// As [`Store::finish`], and in the same step what became of the turns that were sent to this one; those that are not
    /// named wait.
    ///
    /// # Errors
    /// If the database fails: nothing has ended then.
    pub async fn finish_with(
        &self,
        message: MessageId,
        end: Finished,
        sent: Vec<(MessageId, SteeringEnd)>,
    ) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let offered: Vec<MessageId> = tx
                .prepare_cached("SELECT message FROM turns WHERE steered_into = ?1 AND state = 'running'")?
                .query_map([message], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for turn in offered {
                let end = sent.iter().find(|(sent, _)| *sent == turn);
                settle(tx, turn, end.map_or(SteeringEnd::Waits, |(_, end)| *end))?;
            }
            Ok(finish_turn(tx, message, end)?)
        })
        .await
    }
}

fn settle(tx: &rusqlite::Transaction<'_>, turn: MessageId, end: SteeringEnd) -> rusqlite::Result<()> {
    let sql = match end {
        // Its own task ends it, or the next bot.
        SteeringEnd::Lost => return Ok(()),
        SteeringEnd::Steered => return set_state(tx, turn, TurnState::Ended(Outcome::Steered)),
        SteeringEnd::GoesOn => "UPDATE turns SET steered_into = NULL WHERE message = ?1",
        SteeringEnd::Waits => {
            "UPDATE turns SET steered_into = NULL, state = iif(unwanted IS NULL, 'waiting', 'cancelled')
             WHERE message = ?1"
        }
    };
    tx.prepare_cached(sql)?.execute([turn])?;
    Ok(())
}
