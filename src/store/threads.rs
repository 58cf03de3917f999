//! Turns in threads of their own: the message is in a channel, and everything else in the thread that is opened from it.
//!
//! A turn is written down before its thread stands, so that a bot that dies in between opens it after its next start. Until then the
//! turn's lane has the id that the thread will get, which is that of the message it is opened from; of a prompt that the
//! bot is yet to post, the turn's own id stands in for it.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError};
use crate::domain::{ChannelId, MessageId};

/// Where a turn's message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnThread {
    /// In the turn's channel.
    None,
    /// In this channel. The turn's own is the thread that is to be opened from the message.
    Coming(ChannelId),
    /// In this channel. The turn's own is a thread that stands.
    Open(ChannelId),
}

impl TurnThread {
    /// From the columns `asked_in` and `thread_open`.
    pub(super) fn from_columns(asked_in: Option<ChannelId>, is_open: bool) -> Self {
        match (asked_in, is_open) {
            (None, _) => Self::None,
            (Some(channel), false) => Self::Coming(channel),
            (Some(channel), true) => Self::Open(channel),
        }
    }

    /// The columns `asked_in` and `thread_open`.
    pub(super) fn columns(self) -> (Option<ChannelId>, bool) {
        match self {
            Self::None => (None, false),
            Self::Coming(channel) => (Some(channel), false),
            Self::Open(channel) => (Some(channel), true),
        }
    }

    /// The channel that the message is in; `channel` is the turn's own.
    pub fn asked_in(self, channel: ChannelId) -> ChannelId {
        match self {
            Self::None => channel,
            Self::Coming(asked_in) | Self::Open(asked_in) => asked_in,
        }
    }

    /// The channel that takes what is to be said now; `channel` is the turn's own.
    pub fn said_in(self, channel: ChannelId) -> ChannelId {
        match self {
            Self::None | Self::Open(_) => channel,
            Self::Coming(asked_in) => asked_in,
        }
    }

    /// Whether the message is elsewhere, so that nothing can be a reply to it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open(_))
    }
}

impl Store {
    /// Records that the turn's thread stands, and is this one. From now on it is the turn's channel.
    ///
    /// # Errors
    /// If the database fails: nothing is written then.
    pub async fn thread_stands(&self, message: MessageId, thread: ChannelId) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE turns SET thread_open = 1 WHERE message = ?1 AND asked_in IS NOT NULL";
            if tx.prepare_cached(sql)?.execute([message])? > 0 {
                let sql = "UPDATE messages SET channel = ?2 WHERE id = ?1";
                tx.prepare_cached(sql)?.execute(params![message, thread])?;
            }
            Ok(())
        })
        .await
    }

    /// Records that the turn gets no thread: its channel is the one that its message is in.
    ///
    /// # Errors
    /// If the database fails: nothing is written then.
    pub async fn has_no_thread(&self, message: MessageId) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE messages SET channel = coalesce(
                           (SELECT asked_in FROM turns WHERE message = ?1 AND NOT thread_open), channel)
                       WHERE id = ?1";
            tx.prepare_cached(sql)?.execute([message])?;
            let sql = "UPDATE turns SET asked_in = NULL WHERE message = ?1 AND NOT thread_open";
            tx.prepare_cached(sql)?.execute([message])?;
            Ok(())
        })
        .await
    }

    /// The last turn that was asked in this channel before this message.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn turn_before(
        &self,
        asked_in: ChannelId,
        before: MessageId,
    ) -> Result<Option<MessageId>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT coalesce(prompt_message, message) FROM turns JOIN messages ON id = message
                       WHERE message < ?2 AND coalesce(asked_in, channel) = ?1
                       ORDER BY message DESC LIMIT 1";
            Ok(tx.prepare_cached(sql)?.query_row(params![asked_in, before], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// The thread that was opened from this message of the channel; `None` where the bot has opened none, or not yet.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn thread_from(
        &self,
        message: MessageId,
        asked_in: ChannelId,
    ) -> Result<Option<ChannelId>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT channel FROM turns JOIN messages ON id = message
                       WHERE channel = ?1 AND asked_in = ?2 AND thread_open LIMIT 1";
            let mut statement = tx.prepare_cached(sql)?;
            Ok(statement.query_row(params![message, asked_in], |row| row.get(0)).optional()?)
        })
        .await
    }
}

/// The channel that a thread belongs to.
pub(super) fn parent(tx: &Transaction<'_>, channel: ChannelId) -> rusqlite::Result<Option<ChannelId>> {
    // Of a thread that the bot has just opened, no event may have told yet. It has the id of the message that it was
    // opened from.
    let sql = "SELECT coalesce((SELECT parent FROM places WHERE channel = ?1),
                               (SELECT asked_in FROM turns WHERE message = ?1 AND thread_open))";
    tx.prepare_cached(sql)?.query_one([channel], |row| row.get(0))
}
