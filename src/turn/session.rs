//! Which session a turn belongs to.

use super::Turns;
use super::spent::CostBefore;
use super::steer::GoesOn;
use crate::agent::SessionStart;
use crate::domain::{MicroUsd, Project, SessionId};
use crate::store::{Session, StoreError, Turn};

/// The session that a turn continues.
pub struct OpenedSession {
    pub session: SessionStart,
    pub before: CostBefore,
    /// It is new because the project's directory has changed.
    pub moved: bool,
}

/// The session of a turn with which the agent has begun. Where it was reset meanwhile, it is not brought back.
pub async fn of_begun(turns: &Turns, turn: &Turn, begun: &GoesOn) -> Result<OpenedSession, StoreError> {
    let stored = turns.store.session(turn.channel, &turn.project).await?;
    let (id, cost) =
        stored.map_or((begun.before.session, MicroUsd::default()), |stored| (stored.id, stored.cost));
    Ok(OpenedSession {
        session: SessionStart::Live(id),
        before: CostBefore { session: id, cost },
        moved: false,
    })
}

/// The session for this turn. A new one is stored before any agent hears of it.
pub async fn open(turns: &Turns, turn: &Turn, project: &Project) -> Result<OpenedSession, StoreError> {
    let stored = turns.store.session(turn.channel, &project.name).await?;
    let moved = stored.as_ref().is_some_and(|session| session.live && session.dir != project.dir);
    if let Some(Session { id, live, cost, .. }) =
        stored.filter(|session| !turn.fresh && session.dir == project.dir)
    {
        let session = if live { SessionStart::Live(id) } else { SessionStart::New(id) };
        return Ok(OpenedSession { session, before: CostBefore { session: id, cost }, moved: false });
    }
    let id = SessionId::random();
    turns.store.put_session(turn.channel, &project.name, id, project.dir.clone()).await?;
    let before = CostBefore { session: id, cost: MicroUsd::default() };
    Ok(OpenedSession { session: SessionStart::New(id), before, moved: moved && !turn.fresh })
}
