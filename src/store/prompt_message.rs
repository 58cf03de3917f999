//! Which message a turn answers: the author's own, or one that the bot posts for an author who used a command.

use rusqlite::params;

use super::{Store, StoreError};
use crate::domain::MessageId;

/// The message that a turn answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptMessage {
    /// The author's own: its id is the turn's.
    Theirs,
    /// The bot's, because the author asked by a command; not known to be posted yet.
    Coming,
    /// The same, already posted. A reply to it notifies nobody.
    Posted(MessageId),
}

impl PromptMessage {
    /// From the columns `ours` and `prompt_message`.
    pub(super) fn from_columns(ours: bool, posted: Option<MessageId>) -> Self {
        match (ours, posted) {
            (false, _) => Self::Theirs,
            (true, None) => Self::Coming,
            (true, Some(posted)) => Self::Posted(posted),
        }
    }

    /// The columns `ours` and `prompt_message`.
    pub(super) fn columns(self) -> (bool, Option<MessageId>) {
        match self {
            Self::Theirs => (false, None),
            Self::Coming => (true, None),
            Self::Posted(posted) => (true, Some(posted)),
        }
    }

    /// The message's id for this turn; the turn's own id if that message is not posted yet.
    pub fn id(self, turn: MessageId) -> MessageId {
        match self {
            Self::Posted(posted) => posted,
            Self::Theirs | Self::Coming => turn,
        }
    }
}

impl Store {
    /// Records the message that a command's prompt was posted as.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_prompt_message(&self, message: MessageId, posted: MessageId) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE turns SET prompt_message = ?2 WHERE message = ?1 AND ours = 1";
            tx.prepare_cached(sql)?.execute(params![message, posted])?;
            Ok(())
        })
        .await
    }

    /// Whether a message of the bot is recorded as some part of some delivery, or as the prompt of some turn.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn is_known(&self, posted: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM parts WHERE posted = ?1)
                           OR EXISTS (SELECT 1 FROM turns WHERE prompt_message = ?1)
                           OR EXISTS (SELECT 1 FROM questions WHERE posted = ?1)
                           OR EXISTS (SELECT 1 FROM handed_files WHERE posted = ?1)";
            Ok(tx.prepare_cached(sql)?.query_one([posted], |row| row.get(0))?)
        })
        .await
    }
}
