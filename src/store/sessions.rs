//! Sessions: which conversation of Claude Code a channel and project continue.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, params};

use super::places::{self, ChannelRow};
use super::values::Dir;
use super::{Millis, Store, StoreError};
use crate::domain::{ChannelId, MicroUsd, ProjectName, SessionId};

/// The session of a channel and project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Claude Code's id of it.
    pub id: SessionId,
    /// Whether there was a result: only then is there something to resume.
    pub live: bool,
    /// The directory it was begun in, and must be resumed from.
    pub dir: PathBuf,
    /// How many turns it has answered.
    pub turns: u32,
    /// What it has cost in all, as the CLI last reported.
    pub cost: MicroUsd,
    /// When it was begun or last gave a result.
    pub last_used: Millis,
}

/// A session, and where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub channel: ChannelId,
    pub project: ProjectName,
    pub session: Session,
}

/// The most sessions that are listed: they become one answer to a script.
pub const MAX_SESSIONS: usize = 500;

/// The columns that [`session`] reads.
const COLUMNS: &str = "id, live, dir, turns, cost, last_used";

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        live: row.get("live")?,
        dir: row.get::<_, Dir>("dir")?.0,
        turns: row.get("turns")?,
        cost: row.get("cost")?,
        last_used: row.get("last_used")?,
    })
}

impl Store {
    /// The session of this channel and project, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn session(
        &self,
        channel: ChannelId,
        project: &ProjectName,
    ) -> Result<Option<Session>, StoreError> {
        let project = project.clone();
        self.step(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM sessions WHERE channel = ?1 AND project = ?2");
            Ok(tx.prepare_cached(&sql)?.query_row(params![channel, project], session).optional()?)
        })
        .await
    }

    /// The newest [`MAX_SESSIONS`] sessions, the one that was used last first, with their channels.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn sessions(&self) -> Result<Vec<(SessionRow, ChannelRow)>, StoreError> {
        self.step(|tx| {
            let sql = format!(
                "SELECT channel, project, {COLUMNS} FROM sessions
                 ORDER BY last_used DESC, channel, project LIMIT {MAX_SESSIONS}"
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let found = statement.query_map((), |row| {
                let (channel, project) = (row.get("channel")?, row.get("project")?);
                Ok(SessionRow { channel, project, session: session(row)? })
            })?;
            let with_channel = |row: SessionRow| {
                let channel = places::row(tx, row.channel)?;
                Ok((row, channel))
            };
            Ok(found.map(|row| row.and_then(with_channel)).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records that a new session begins here; it replaces an earlier one.
    ///
    /// It is not live until [`Store::finish`] brings its first result. Write it before the agent starts, so
    /// that an id of which the CLI may know is never used twice.
    ///
    /// # Errors
    /// If the database fails, or another channel or project has this session.
    pub async fn put_session(
        &self,
        channel: ChannelId,
        project: &ProjectName,
        id: SessionId,
        dir: PathBuf,
    ) -> Result<(), StoreError> {
        let project = project.clone();
        self.step(move |tx| {
            // Not REPLACE: that would take an id away from another channel.
            let sql = "INSERT INTO sessions (channel, project, id, dir, live, turns, cost, last_used)
                       VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5)
                       ON CONFLICT (channel, project) DO UPDATE SET id = excluded.id, dir = excluded.dir,
                           live = 0, turns = 0, cost = 0, last_used = excluded.last_used";
            let mut statement = tx.prepare_cached(sql)?;
            statement.execute(params![channel, project, id, Dir::column(&dir), Millis::now()])?;
            Ok(())
        })
        .await
    }

    /// Forgets the session of this channel and project. Returns whether there was one.
    ///
    /// A turn that is still running in it ends as usual, and does not bring it back.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_session(
        &self,
        channel: ChannelId,
        project: &ProjectName,
    ) -> Result<bool, StoreError> {
        let project = project.clone();
        self.step(move |tx| {
            let sql = "DELETE FROM sessions WHERE channel = ?1 AND project = ?2";
            Ok(tx.prepare_cached(sql)?.execute(params![channel, project])? > 0)
        })
        .await
    }
}
