//! What turns show in Discord besides their answers, until it is known to be gone.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, TurnThread};
use crate::domain::{ChannelId, MessageId};

/// Something that a turn shows in Discord besides its answer, and that must be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The turn.
    pub message: MessageId,
    pub channel: ChannelId,
    /// Where its message is.
    pub thread: TurnThread,
    /// The message that it answers.
    pub prompt_message: MessageId,
    /// Whether that message may have the ⏳ reaction.
    pub hourglass: bool,
    /// The message that shows it at work.
    pub live_line: Option<ShownMessage>,
    /// The message that says what can be done about it while it waits.
    pub notice: Option<ShownMessage>,
}

/// A message that stands there for a while: a live line, a notice, the board. The next bot looks for one that is coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownMessage {
    /// It may be in the channel, or about to be.
    Coming,
    Stands(MessageId),
}

impl Store {
    /// What ended and running turns have left in Discord besides their answers.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn shown(&self) -> Result<Vec<Shown>, StoreError> {
        self.step(|tx| {
            let sql =
                "SELECT message, channel, hourglass, live_line, notice, coalesce(prompt_message, message),
                           asked_in, thread_open
                       FROM turns JOIN messages ON id = message
                       WHERE (hourglass = 1 OR live_line IS NOT NULL OR notice IS NOT NULL)
                           AND turns.state <> 'waiting'
                       ORDER BY message";
            let mut statement = tx.prepare(sql)?;
            let found = statement.query_map((), |row| {
                Ok(Shown {
                    message: row.get(0)?,
                    channel: row.get(1)?,
                    hourglass: row.get(2)?,
                    live_line: row.get(3)?,
                    notice: row.get(4)?,
                    prompt_message: row.get(5)?,
                    thread: TurnThread::from_columns(row.get(6)?, row.get(7)?),
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What shows the turn at work, or that it waits.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn live_line(&self, message: MessageId) -> Result<Option<ShownMessage>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT live_line FROM turns WHERE message = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([message], |row| row.get(0)).optional()?.flatten())
        })
        .await
    }

    /// Records whether a message may show ⏳: true before it does, false once it is known to be gone.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_hourglass(&self, message: MessageId, shown: bool) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE turns SET hourglass = ?2 WHERE message = ?1";
            tx.prepare_cached(sql)?.execute(params![message, shown])?;
            Ok(())
        })
        .await
    }

    /// What shows the turn at work: before it is posted, once it stands there, and once it is seen to be gone (`None`).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_live_line(
        &self,
        message: MessageId,
        line: Option<ShownMessage>,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE turns SET live_line = ?2 WHERE message = ?1";
            tx.prepare_cached(sql)?.execute(params![message, line])?;
            Ok(())
        })
        .await
    }

    /// The notice of a turn that waits, if there may be one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn notice(&self, message: MessageId) -> Result<Option<ShownMessage>, StoreError> {
        self.step(move |tx| {
            let mut statement = tx.prepare_cached("SELECT notice FROM turns WHERE message = ?1")?;
            Ok(statement.query_row([message], |row| row.get(0)).optional()?.flatten())
        })
        .await
    }

    /// Records the notice, as [`Store::set_live_line`] does.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_notice(
        &self,
        message: MessageId,
        notice: Option<ShownMessage>,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE turns SET notice = ?2 WHERE message = ?1";
            tx.prepare_cached(sql)?.execute(params![message, notice])?;
            Ok(())
        })
        .await
    }
}
