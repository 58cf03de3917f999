//! Files that Claude has handed over: written down before they are posted, so that each is posted once.

use rusqlite::params;

use super::values::Json;
use super::{Millis, Store, StoreError};
use crate::domain::{ChannelId, MessageId};

/// Files that come as one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedFiles {
    /// The turn in which they were handed over, and the number of the call in it, from 1.
    pub turn: MessageId,
    pub number: u32,
    pub channel: ChannelId,
    /// What the message says; may be empty.
    pub caption: String,
    /// The names of the files, which are those of their copies, too.
    pub names: Vec<String>,
    pub written: Millis,
}

impl Store {
    /// Writes down files that are about to be posted.
    ///
    /// # Errors
    /// If the database fails: they must not be posted then.
    pub async fn hand_over(&self, files: HandedFiles) -> Result<(), StoreError> {
        self.step(move |tx| {
            let HandedFiles { turn, number, channel, caption, names, written } = files;
            let sql = "INSERT INTO handed_files (turn, number, channel, caption, names, written, state)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open')";
            tx.prepare_cached(sql)?.execute(params![turn, number, channel, caption, Json(names), written])?;
            Ok(())
        })
        .await
    }

    /// Records what became of them: the message that they are in, or that Discord refused them (`None`).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn handed_over(
        &self,
        turn: MessageId,
        number: u32,
        posted: Option<MessageId>,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let state = if posted.is_some() { "posted" } else { "refused" };
            let sql = "UPDATE handed_files SET state = ?3, posted = ?4 WHERE turn = ?1 AND number = ?2";
            tx.prepare_cached(sql)?.execute(params![turn, number, state, posted])?;
            Ok(())
        })
        .await
    }

    /// Those of which nobody knows yet what became of them, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn files_to_post(&self) -> Result<Vec<HandedFiles>, StoreError> {
        self.step(|tx| {
            let sql = "SELECT turn, number, channel, caption, names, written FROM handed_files
                       WHERE state = 'open' ORDER BY written, turn, number";
            let mut statement = tx.prepare_cached(sql)?;
            let found = statement.query_map((), |row| {
                Ok(HandedFiles {
                    turn: row.get(0)?,
                    number: row.get(1)?,
                    channel: row.get(2)?,
                    caption: row.get(3)?,
                    names: row.get::<_, Json<_>>(4)?.0,
                    written: row.get(5)?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}
