//! What people have allowed for a whole session.

use rusqlite::{Transaction, params};

use super::{Store, StoreError};
use crate::domain::{PermissionMode, SessionGrants, SessionId};

impl Store {
    /// Adds to what is allowed in a session; nothing, where it is reset by now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn add_grants(&self, session: SessionId, grants: SessionGrants) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "INSERT OR IGNORE INTO grants (session, kind, what)
                       SELECT id, ?2, ?3 FROM sessions WHERE id = ?1";
            let mut statement = tx.prepare_cached(sql)?;
            for rule in grants.rules {
                statement.execute(params![session, "rule", rule])?;
            }
            if grants.accept_edits {
                statement.execute(params![session, "mode", PermissionMode::AcceptEdits])?;
            }
            Ok(())
        })
        .await
    }

    /// What is allowed in a session.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn grants(&self, session: SessionId) -> Result<SessionGrants, StoreError> {
        self.step(move |tx| Ok(of(tx, session)?)).await
    }
}

/// What is allowed in a session.
pub(super) fn of(tx: &Transaction<'_>, session: SessionId) -> rusqlite::Result<SessionGrants> {
    let mut grants = SessionGrants::default();
    let mut statement = tx.prepare_cached("SELECT kind, what FROM grants WHERE session = ?1")?;
    let mut rows = statement.query([session])?;
    while let Some(row) = rows.next()? {
        match row.get::<_, String>(0)?.as_str() {
            "rule" => grants.rules.push(row.get(1)?),
            _ => grants.accept_edits |= row.get::<_, PermissionMode>(1)? == PermissionMode::AcceptEdits,
        }
    }
    Ok(grants)
}
