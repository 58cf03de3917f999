//! Turns that a usage limit has refused, and that somebody may want to go on once it is reset.
//!
//! The session holds the refused prompts, so one turn goes on with all of them: however many want it, a session has one
//! continuation. It is accepted in the same step in which those that wanted it have it.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Millis, PromptMessage, Store, StoreError, Turn, turns};
use crate::domain::{ChannelId, MessageId, ProjectName, SessionId};

/// What may come of a refused turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The session that holds its prompt.
    pub session: SessionId,
    /// When the limit is reset, in Unix seconds.
    pub resets: u64,
}

/// What has come of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// Nobody has decided. The reset, in Unix seconds.
    Offered(u64),
    /// It goes on then.
    Wanted(Millis),
    /// Nobody wants it. The reset, in Unix seconds.
    Left(u64),
    /// A turn goes on with it.
    Begun,
    /// Its session or the message that it answers is gone.
    Dropped,
}

/// A refused turn, with what is needed to show what has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTurn {
    pub message: MessageId,
    pub channel: ChannelId,
    pub continuation: Continuation,
    /// The last part of its answer.
    pub text: String,
    /// The message that it is, where that is known.
    pub posted: Option<MessageId>,
}

const COLUMNS: &str = "continuations.state, continuations.resets, continuations.due";

fn from_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Continuation> {
    let (state, resets, due): (String, i64, Option<Millis>) =
        (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
    let resets = resets.cast_unsigned();
    Ok(match (&*state, due) {
        ("offered", _) => Continuation::Offered(resets),
        ("wanted", Some(due)) => Continuation::Wanted(due),
        ("left", _) => Continuation::Left(resets),
        ("begun", _) => Continuation::Begun,
        _ => Continuation::Dropped,
    })
}

impl Continuation {
    fn column(self) -> &'static str {
        match self {
            Self::Offered(_) => "offered",
            Self::Wanted(_) => "wanted",
            Self::Left(_) => "left",
            Self::Begun => "begun",
            Self::Dropped => "dropped",
        }
    }
}

/// Writes an offer, where the session is there.
pub(super) fn offer(tx: &Transaction<'_>, message: MessageId, offer: Offer) -> rusqlite::Result<()> {
    let sql = "INSERT INTO continuations (message, session, resets, state) SELECT ?1, ?2, ?3, 'offered'
               WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND live = 1)";
    tx.prepare_cached(sql)?.execute(params![message, offer.session, offer.resets.cast_signed()])?;
    Ok(())
}

/// What has come of a turn's offer; `None` where there was none.
pub(super) fn state(tx: &Transaction<'_>, message: MessageId) -> rusqlite::Result<Option<Continuation>> {
    let sql = format!("SELECT {COLUMNS} FROM continuations WHERE message = ?1");
    tx.prepare_cached(&sql)?.query_row([message], |row| from_columns(row, 0)).optional()
}

fn refused(tx: &Transaction<'_>, which: &str, message: MessageId) -> rusqlite::Result<Vec<RefusedTurn>> {
    let sql = format!(
        "SELECT continuations.message, channel, coalesce(instead, text), posted, {COLUMNS} FROM continuations
         JOIN messages ON id = continuations.message
         JOIN parts ON parts.message = continuations.message AND number =
             (SELECT max(number) FROM parts WHERE parts.message = continuations.message AND NOT spare)
         WHERE {which} ORDER BY continuations.message"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let found = statement.query_map([message], |row| {
        Ok(RefusedTurn {
            message: row.get(0)?,
            channel: row.get(1)?,
            text: row.get(2)?,
            posted: row.get(3)?,
            continuation: from_columns(row, 4)?,
        })
    })?;
    found.collect()
}

impl Store {
    /// A turn that was refused; `None` where nothing was offered.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn refused_turn(&self, message: MessageId) -> Result<Option<RefusedTurn>, StoreError> {
        self.step(move |tx| Ok(refused(tx, "continuations.message = ?1", message)?.pop())).await
    }

    /// Those of which the channel does not show yet what has come of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn refused_turns_to_show(&self) -> Result<Vec<RefusedTurn>, StoreError> {
        let first = MessageId::new(1).expect("1 is not 0");
        self.step(move |tx| {
            Ok(refused(tx, "shown <> continuations.state AND posted IS NOT NULL AND ?1 = ?1", first)?)
        })
        .await
    }

    /// Records what the channel shows.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_shown_continuation(
        &self,
        message: MessageId,
        shown: Continuation,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE continuations SET shown = ?2 WHERE message = ?1";
            tx.prepare_cached(sql)?.execute(params![message, shown.column()])?;
            Ok(())
        })
        .await
    }

    /// Somebody wants a refused turn to go on at `due`, as a turn with this id; where another one of its session is wanted
    /// already, with that one. Whether it was still on offer.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn want_continuation(
        &self,
        message: MessageId,
        turn: MessageId,
        due: Millis,
    ) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT turn, due FROM continuations WHERE state = 'wanted'
                       AND session = (SELECT session FROM continuations WHERE message = ?1)";
            let same = tx
                .prepare_cached(sql)?
                .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (turn, due) = same.unwrap_or((turn, due));
            let sql = "UPDATE continuations SET state = 'wanted', turn = ?2, due = ?3
                       WHERE message = ?1 AND state = 'offered'";
            Ok(tx.prepare_cached(sql)?.execute(params![message, turn, due])? > 0)
        })
        .await
    }

    /// Nobody wants a refused turn to go on; whether that was still to be decided.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leave_continuation(&self, message: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE continuations SET state = 'left', turn = NULL, due = NULL
                       WHERE message = ?1 AND state IN ('offered', 'wanted')";
            Ok(tx.prepare_cached(sql)?.execute([message])? > 0)
        })
        .await
    }

    /// The message that it answers is deleted: its refused turn does not go on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn drop_continuation_of(&self, prompt_message: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE continuations SET state = 'dropped', turn = NULL, due = NULL
                       WHERE state IN ('offered', 'wanted') AND message IN (SELECT message FROM turns
                           WHERE message = ?1 AND ours = 0 OR prompt_message = ?1)";
            Ok(tx.prepare_cached(sql)?.execute([prompt_message])? > 0)
        })
        .await
    }

    /// When the next one is due.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_continuation(&self) -> Result<Option<Millis>, StoreError> {
        self.step(|tx| {
            let sql = "SELECT min(due) FROM continuations WHERE state = 'wanted'";
            Ok(tx.prepare_cached(sql)?.query_one((), |row| row.get(0))?)
        })
        .await
    }

    /// Accepts one turn with this prompt for each session in which one is due, in one step with noting that it has begun.
    /// Where the session is no longer there, it is dropped.
    ///
    /// # Errors
    /// If the database fails: nothing is accepted then.
    pub async fn begin_continuations(&self, now: Millis, prompt: String) -> Result<Vec<Turn>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT message, session, turn FROM continuations WHERE state = 'wanted' AND due <= ?1
                       ORDER BY due, message";
            let due: Vec<(MessageId, SessionId, MessageId)> = tx
                .prepare_cached(sql)?
                .query_map([now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            let mut begun = Vec::new();
            for (message, session, turn) in due {
                if !matches!(state(tx, message)?, Some(Continuation::Wanted(_))) {
                    // Another one of its session was before it.
                    continue;
                }
                let refused = turns::row(tx, message)?.map(|row| row.turn);
                let refused = match refused {
                    Some(refused) if is_live(tx, session, refused.channel, &refused.project)? => refused,
                    _ => {
                        settle(tx, session, Continuation::Dropped)?;
                        continue;
                    }
                };
                settle(tx, session, Continuation::Begun)?;
                let prompt_message = PromptMessage::Posted(refused.prompt_message.id(refused.message));
                let turn = Turn {
                    message: turn,
                    prompt: prompt.clone(),
                    fresh: false,
                    attachments: Vec::new(),
                    quoted: None,
                    prompt_message,
                    accepted: now,
                    ..refused
                };
                if turns::insert(tx, &turn, false)? {
                    begun.push(turn);
                }
            }
            Ok(begun)
        })
        .await
    }

    /// Whether this turn goes on with refused ones.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_continuation(&self, turn: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            Ok(tx.prepare_cached("SELECT 1 FROM continuations WHERE turn = ?1")?.exists([turn])?)
        })
        .await
    }

    /// Whether a warning of a limit of this kind, which is reset then (in Unix seconds), is the first one for its window. Of
    /// any number of callers exactly one is told so.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_first_warning(&self, kind: String, resets: u64) -> Result<bool, StoreError> {
        /// Two resets that are closer than this, in seconds, are those of one window.
        const SAME: i64 = 600;
        self.step(move |tx| {
            let sql = "INSERT INTO limit_warnings (kind, resets) VALUES (?1, ?2) ON CONFLICT (kind) DO UPDATE
                       SET resets = excluded.resets WHERE abs(limit_warnings.resets - excluded.resets) >= ?3";
            Ok(tx.prepare_cached(sql)?.execute(params![kind, resets.cast_signed(), SAME])? > 0)
        })
        .await
    }
}

fn is_live(
    tx: &Transaction<'_>,
    session: SessionId,
    channel: ChannelId,
    project: &ProjectName,
) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sessions WHERE id = ?1 AND channel = ?2 AND project = ?3 AND live = 1";
    tx.prepare_cached(sql)?.exists(params![session, channel, project])
}

/// All that are wanted in the session.
fn settle(tx: &Transaction<'_>, session: SessionId, end: Continuation) -> rusqlite::Result<()> {
    let sql = "UPDATE continuations SET state = ?2 WHERE session = ?1 AND state = 'wanted'";
    tx.prepare_cached(sql)?.execute(params![session, end.column()])?;
    Ok(())
}
