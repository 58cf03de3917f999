//! What channels have chosen for themselves.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, Turn};
use crate::domain::{ChannelId, PermissionMode, Project};

/// What a channel has chosen, in place of what its project says. It counts from its next turn on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelChoice {
    /// The model, as the CLI takes it; `None` is the project's.
    pub model: Option<String>,
    /// The permission mode; `None` is the project's.
    pub permission_mode: Option<PermissionMode>,
}

impl ChannelChoice {
    /// The part of it that the project accepts now.
    #[must_use]
    pub fn within(self, project: &Project) -> Self {
        Self {
            model: self.model.filter(|model| project.takes_model(model)),
            permission_mode: self.permission_mode.filter(|mode| project.takes_mode(*mode)),
        }
    }
}

impl Turn {
    /// The model that was chosen for it, as far as its project takes it: by its route or command, else by its channel.
    pub fn chosen_model(&self, choice: &ChannelChoice, project: &Project) -> Option<String> {
        let chosen = [&self.model, &choice.model].into_iter().flatten();
        chosen.into_iter().find(|model| project.takes_model(model)).cloned()
    }
}

/// One thing that a channel chooses; `None` takes the choice back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewChoice {
    Model(Option<String>),
    PermissionMode(Option<PermissionMode>),
}

impl Store {
    /// Writes what the channel chooses, and returns what it had chosen before. The other choice stays as it is.
    ///
    /// # Errors
    /// If the database fails; then nothing changes.
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

/// What the channel has chosen; nothing by default.
pub(super) fn choice(tx: &Transaction<'_>, channel: ChannelId) -> rusqlite::Result<ChannelChoice> {
    let mut statement = tx.prepare_cached("SELECT model, permission_mode FROM choices WHERE channel = ?1")?;
    let found = statement
        .query_row([channel], |row| Ok(ChannelChoice { model: row.get(0)?, permission_mode: row.get(1)? }));
    Ok(found.optional()?.unwrap_or_default())
}
