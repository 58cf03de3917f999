//! What channels have chosen for themselves.

use rusqlite::{OptionalExtension, Transaction, params};

use super::threads::parent;
use super::{Store, StoreError, Turn};
use crate::domain::{ChannelId, PermissionMode, Project, Verbosity};

/// What a channel has chosen, in place of what its project says. It counts from its next turn on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelChoice {
    /// The model, as the CLI takes it; `None` is the project's.
    pub model: Option<String>,
    /// The permission mode; `None` is the project's.
    pub permission_mode: Option<PermissionMode>,
    /// What it sees of a turn at work; `None` is the project's.
    pub verbosity: Option<Verbosity>,
}

impl ChannelChoice {
    /// The part of it that the project accepts now.
    #[must_use]
    pub fn within(self, project: &Project) -> Self {
        Self {
            model: self.model.filter(|model| project.takes_model(model)),
            permission_mode: self.permission_mode.filter(|mode| project.takes_mode(*mode)),
            verbosity: self.verbosity,
        }
    }

    /// The model of a turn for which its route or command chose `routed`, as far as its project takes it: that one, else the
    /// channel's; `None` is the project's.
    pub fn model_of_turn(&self, routed: Option<&String>, project: &Project) -> Option<String> {
        let chosen = routed.into_iter().chain(&self.model);
        chosen.into_iter().find(|model| project.takes_model(model)).cloned()
    }
}

impl Turn {
    /// The model that was chosen for it, as far as its project takes it: by its route or command, else by its channel.
    pub fn chosen_model(&self, choice: &ChannelChoice, project: &Project) -> Option<String> {
        choice.model_of_turn(self.model.as_ref(), project)
    }
}

/// One thing that a channel chooses; `None` takes the choice back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewChoice {
    Model(Option<String>),
    PermissionMode(Option<PermissionMode>),
    Verbosity(Option<Verbosity>),
}

impl Store {
    /// Writes what the channel chooses, and returns what counted there before and what counts now. Its other choices stay as
    /// they are. A choice of the permission mode takes the place of one that was allowed for a session.
    ///
    /// # Errors
    /// If the database fails; then nothing changes.
    pub async fn set_choice(
        &self,
        channel: ChannelId,
        new: NewChoice,
    ) -> Result<(ChannelChoice, ChannelChoice), StoreError> {
        self.step(move |tx| {
            let before = choice_there(tx, channel)?;
            set_choice(tx, channel, new)?;
            Ok((before, choice_there(tx, channel)?))
        })
        .await
    }
}

pub(super) fn set_choice(tx: &Transaction<'_>, channel: ChannelId, new: NewChoice) -> rusqlite::Result<()> {
    let mut after = choice(tx, channel)?;
    match new {
        NewChoice::Model(model) => after.model = model,
        NewChoice::PermissionMode(mode) => {
            after.permission_mode = mode;
            let sql = "DELETE FROM grants WHERE kind = 'mode'
                           AND session IN (SELECT id FROM sessions WHERE channel = ?1)";
            tx.prepare_cached(sql)?.execute([channel])?;
        }
        NewChoice::Verbosity(verbosity) => after.verbosity = verbosity,
    }
    if after == ChannelChoice::default() {
        tx.prepare_cached("DELETE FROM choices WHERE channel = ?1")?.execute([channel])?;
    } else {
        let ChannelChoice { model, permission_mode, verbosity } = after;
        let sql = "INSERT OR REPLACE INTO choices (channel, model, permission_mode, verbosity) VALUES (?1, ?2, ?3, ?4)";
        tx.prepare_cached(sql)?.execute(params![channel, model, permission_mode, verbosity])?;
    }
    Ok(())
}

/// What the channel has chosen; nothing by default.
fn choice(tx: &Transaction<'_>, channel: ChannelId) -> rusqlite::Result<ChannelChoice> {
    let sql = "SELECT model, permission_mode, verbosity FROM choices WHERE channel = ?1";
    let found = tx.prepare_cached(sql)?.query_row([channel], |row| {
        Ok(ChannelChoice { model: row.get(0)?, permission_mode: row.get(1)?, verbosity: row.get(2)? })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// What counts there: of a thread, its own choices before those of its channel.
pub(super) fn choice_there(tx: &Transaction<'_>, channel: ChannelId) -> rusqlite::Result<ChannelChoice> {
    let own = choice(tx, channel)?;
    let Some(parent) = parent(tx, channel)? else { return Ok(own) };
    let of_parent = choice(tx, parent)?;
    Ok(ChannelChoice {
        model: own.model.or(of_parent.model),
        permission_mode: own.permission_mode.or(of_parent.permission_mode),
        verbosity: own.verbosity.or(of_parent.verbosity),
    })
}
