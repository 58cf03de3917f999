//! The board: where it is to stand, and what is left of earlier ones.

use rusqlite::{OptionalExtension, params};

use super::{ShownMessage, Store, StoreError};
use crate::domain::{ChannelId, GuildId, InteractionId, MessageId};

/// A board that stands, is about to, or is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoardRow {
    /// The use of the command that asked for it.
    pub asked: MessageId,
    pub channel: ChannelId,
    /// The message, once it is known to stand there.
    pub message: ShownMessage,
    /// Whether it is the one that is to stand; there is one at most.
    pub is_wanted: bool,
}

impl Store {
    /// All boards, the one that is wanted last.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn boards(&self) -> Result<Vec<BoardRow>, StoreError> {
        self.step(|tx| {
            let mut statement = tx.prepare_cached(
                "SELECT asked, channel, message, wanted FROM boards ORDER BY wanted, asked",
            )?;
            let found = statement.query_map((), |row| {
                let (asked, channel, message) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(BoardRow { asked, channel, message, is_wanted: row.get(3)? })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// From now on the board is wanted in this channel, or nowhere; whether there was one before. Nothing is posted yet.
    ///
    /// # Errors
    /// If the database fails; then nothing changes.
    pub async fn want_board(
        &self,
        wanted: Option<ChannelId>,
        asked: InteractionId,
    ) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let before = tx.prepare_cached("UPDATE boards SET wanted = 0 WHERE wanted = 1")?.execute(())?;
            if let Some(channel) = wanted {
                let sql =
                    "INSERT OR REPLACE INTO boards (asked, channel, message, wanted) VALUES (?1, ?2, ?3, 1)";
                tx.prepare_cached(sql)?.execute(params![
                    asked.get().cast_signed(),
                    channel,
                    ShownMessage::Coming
                ])?;
            }
            Ok(before > 0)
        })
        .await
    }

    /// The board stands there.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note_board(&self, asked: MessageId, message: MessageId) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE boards SET message = ?2 WHERE asked = ?1";
            tx.prepare_cached(sql)?.execute(params![asked, message])?;
            Ok(())
        })
        .await
    }

    /// The board is gone.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_board(&self, asked: MessageId) -> Result<(), StoreError> {
        self.step(move |tx| {
            tx.prepare_cached("DELETE FROM boards WHERE asked = ?1")?.execute([asked])?;
            Ok(())
        })
        .await
    }

    /// The guild of a channel, where it has one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn guild_of(&self, channel: ChannelId) -> Result<Option<GuildId>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT guild FROM places WHERE channel = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([channel], |row| row.get(0)).optional()?)
        })
        .await
    }
}
