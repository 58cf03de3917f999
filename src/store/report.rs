//! All that is known of one turn, for people at a terminal. It only reads, so a bot may have the file open.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::open::{self, OpenError};
use super::questions::QuestionReport;
use super::{TurnRow, grants, questions, schema, turns};
use crate::domain::{MessageId, SessionGrants, SessionId, UserId};

/// A turn, and what was decided in it.
#[derive(Debug)]
pub struct TurnReport {
    pub row: TurnRow,
    /// What Claude has asked, in order.
    pub asked: Vec<QuestionReport>,
    /// What people have allowed for the conversation that its channel has now.
    pub allowed: SessionGrants,
    /// How those were called last who asked or decided.
    pub names: BTreeMap<UserId, String>,
}

/// The turn of this id, long or short, in the database at `path`; `None` where there is none.
///
/// # Errors
/// If the database cannot be read, or was written by another version of this program.
pub fn report(path: &Path, id: &str) -> Result<Option<TurnReport>, OpenError> {
    open::examine(path)?;
    let failed = |error| open::from_sqlite(path, error);
    let mut connection = open::open_reading(path).map_err(failed)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if version < schema::VERSION {
        let detail = "an older moonlane has written it: start this one once".to_owned();
        return Err(OpenError::Unusable { file: path.display().to_string(), detail });
    }
    read(&mut connection, id).map_err(failed)
}

fn read(connection: &mut Connection, id: &str) -> rusqlite::Result<Option<TurnReport>> {
    let tx = connection.transaction()?;
    let known = {
        let mut statement = tx.prepare("SELECT message FROM turns ORDER BY message DESC")?;
        let all = statement.query_map((), |row| row.get::<_, MessageId>(0))?;
        all.collect::<rusqlite::Result<Vec<_>>>()?
    };
    let is_it = |turn: &&MessageId| turn.to_string() == id || turn.short() == id;
    let Some(turn) = known.iter().find(is_it) else { return Ok(None) };
    let Some(row) = turns::row(&tx, *turn)? else { return Ok(None) };
    let asked = questions::of_turn(&tx, *turn)?;
    let sql = "SELECT id FROM sessions WHERE channel = ?1 AND project = ?2";
    let session: Option<SessionId> =
        tx.query_row(sql, params![row.turn.channel, row.turn.project], |row| row.get(0)).optional()?;
    let allowed = session.map_or(Ok(SessionGrants::default()), |session| grants::of(&tx, session))?;
    let mut names = BTreeMap::from([(row.turn.author.id, row.turn.author.name.clone())]);
    for person in asked.iter().filter_map(QuestionReport::person) {
        let sql = "SELECT author_name FROM messages WHERE author = ?1 ORDER BY accepted DESC LIMIT 1";
        names.extend(tx.query_row(sql, [person], |row| Ok((person, row.get(0)?))).optional()?);
    }
    Ok(Some(TurnReport { row, asked, allowed, names }))
}
