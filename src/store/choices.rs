//! What channels have chosen for themselves.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError};
use crate::domain::{ChannelId, PermissionMode};

/// What a channel has chosen, in place of what its project says. It counts from its next turn on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelChoice {
    /// The model, as the CLI takes it; `None` is the project's.
    pub model: Option<String>,
    /// The permission mode; `None` is the project's.
    pub permission_mode: Option<PermissionMode>,
}

/// One thing that a channel chooses; `None` takes the choice back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewChoice {
    /// The model.
    Model(Option<String>),
    /// The permission mode.
    PermissionMode(Option<PermissionMode>),
}

impl Store {
    /// What the channel has chosen; nothing by default.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn choice(&self, channel: ChannelId) -> Result<ChannelChoice, StoreError> {
        self.step(move |tx| Ok(choice(tx, channel)?)).await
    }

    /// Writes what the channel chooses, and returns what it had chosen before. The other choice stays as it is.
    ///
    /// # Errors
    /// Where the database fails: nothing is chosen then.
    pub async fn set_choice(&self, channel: ChannelId, new: NewChoice) -> Result<ChannelChoice, StoreError> {
        self.step(move |tx| {
            let before = choice(tx, channel)?;
            let mut after = before.clone();
            match new {
                NewChoice::Model(model) => after.model = model,
                NewChoice::PermissionMode(mode) => after.permission_mode = mode,
            }
            if after == ChannelChoice::default() {
                tx.prepare_cached("DELETE FROM choices WHERE channel = ?1")?.execute([channel])?;
            } else {
                let sql =
                    "INSERT OR REPLACE INTO choices (channel, model, permission_mode) VALUES (?1, ?2, ?3)";
                tx.prepare_cached(sql)?.execute(params![channel, after.model, after.permission_mode])?;
            }
            Ok(before)
        })
        .await
    }
}

pub(super) fn choice(tx: &Transaction<'_>, channel: ChannelId) -> rusqlite::Result<ChannelChoice> {
    let mut statement = tx.prepare_cached("SELECT model, permission_mode FROM choices WHERE channel = ?1")?;
    let found = statement
        .query_row([channel], |row| Ok(ChannelChoice { model: row.get(0)?, permission_mode: row.get(1)? }));
    Ok(found.optional()?.unwrap_or_default())
}
