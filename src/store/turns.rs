//! Turns: from an accepted message to its outcome.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use tracing::error;

use super::deliveries::{self, DeliveryState, FilePart};
use super::prompt_message::PromptMessage;
use super::threads::TurnThread;
use super::values::Json;
use super::{Accepted, Millis, Offer, Store, StoreError, continuations, usage};
use crate::domain::{
    Attachment, Author, ChannelId, Message, MessageId, MicroUsd, Outcome, ProjectName, Quoted, SessionId,
    TurnUsage, UserId, Work,
};

/// A message that starts a turn, and what the turn should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The message, and so the turn.
    pub message: MessageId,
    /// Its lane's channel.
    pub channel: ChannelId,
    /// Where its message is.
    pub thread: TurnThread,
    /// Who wrote it, as seen then.
    pub author: Author,
    /// The project it works in.
    pub project: ProjectName,
    /// What to ask.
    pub prompt: String,
    /// A model for this turn, in place of the project's.
    pub model: Option<String>,
    /// Whether to forget the channel's session first.
    pub fresh: bool,
    /// The files attached to the message.
    pub attachments: Vec<Attachment>,
    /// What the message replies to or forwards.
    pub quoted: Option<Quoted>,
    /// The message that is answered.
    pub prompt_message: PromptMessage,
    /// When the bot took it.
    pub accepted: Millis,
}

/// What a turn should do after its message was edited: as in [`Turn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnEdit {
    pub project: ProjectName,
    pub prompt: String,
    pub model: Option<String>,
    pub fresh: bool,
    pub attachments: Vec<Attachment>,
    pub quoted: Option<Quoted>,
}

impl TurnEdit {
    /// What the scripts decided for the edited message, and what it holds now.
    pub fn of(work: Work, message: &Message) -> Self {
        let Work { project, prompt, model, fresh, .. } = work;
        let (attachments, quoted) = (message.attachments.clone(), message.quoted.clone());
        Self { project: project.name.clone(), prompt, model, fresh, attachments, quoted }
    }
}

/// What is to be said in answer to a message that starts no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectReply {
    /// The message that is answered.
    pub message: MessageId,
    pub channel: ChannelId,
    /// Who wrote it, as seen then.
    pub author: Author,
    /// The answer, part by part.
    pub parts: Vec<String>,
    /// When the bot took it.
    pub accepted: Millis,
}

/// Where a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnState {
    /// It is written and has not begun.
    Waiting,
    /// An agent works on it.
    Running,
    /// It is on its way into the turn that runs, or in it.
    Offered,
    /// It is over, though perhaps not everything has been posted.
    Ended(Outcome),
}

/// Everything that the store knows of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnRow {
    /// What it is to do.
    pub turn: Turn,
    /// Where it is.
    pub state: TurnState,
    /// Where its answer is; `None` as long as, or where, there is nothing to say.
    pub delivery: Option<DeliveryState>,
    /// What it has used; `None` until it has ended, and where no agent got its prompt.
    pub usage: Option<TurnUsage>,
}

/// The result of [`Store::cancel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// It was waiting, and has ended now as cancelled.
    Cancelled,
    /// It is running: stop its agent, then it ends through [`Store::finish`].
    Running,
    /// It had ended before, or the message never started a turn.
    TooLate,
}

/// Why a turn is to end although it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// Its message is gone: nobody is to hear of it.
    Deleted,
    Stopped,
}

/// What came of [`Store::begin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It runs now.
    Begun,
    /// Its message was edited meanwhile; this is how it stands now, still waiting.
    Edited(Box<Turn>),
    /// It no longer waits.
    Gone,
}

/// How a turn ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub outcome: Outcome,
    /// What to say, part by part; may be empty.
    pub parts: Vec<String>,
    /// A file that is posted in place of the last of them.
    pub file: Option<FilePart>,
    /// What the last result said of the session; `None` where there was no result.
    pub session: Option<SessionUpdate>,
    /// What it has used; `None` where nothing is known of that.
    pub usage: Option<TurnUsage>,
    /// It was refused by a usage limit, and may go on later.
    pub offer: Option<Offer>,
}

/// What a result says of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionUpdate {
    /// Its id, which may have become another one.
    pub id: SessionId,
    /// What the session has cost in all (`total_cost_usd`); `None` where the agent does not say.
    pub cost: Option<MicroUsd>,
}

/// Something that a bot left behind when it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    pub message: MessageId,
    pub channel: ChannelId,
    /// Where its message is.
    pub thread: TurnThread,
    pub author: UserId,
    /// The message that is answered.
    pub prompt_message: PromptMessage,
    /// What is left to do.
    pub stage: Remaining,
}

/// What is left to do for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// Its turn has not begun; `Some` where somebody has stopped it all the same.
    Waiting(Option<Unwanted>),
    /// Its turn was running, so it is to end: as interrupted, unless nobody wanted it any more.
    Running(Option<Unwanted>),
    /// Not all parts of its answer are posted.
    Undelivered,
}

impl Store {
    /// Writes a message that starts a turn. The message id is the key. `hourglass`: it has to wait, and its message is
    /// about to show so.
    ///
    /// # Errors
    /// If the database fails: the message is not accepted then.
    pub async fn accept(&self, turn: Turn, hourglass: bool) -> Result<Accepted, StoreError> {
        self.step(move |tx| Ok(if insert(tx, &turn, hourglass)? { Accepted::New } else { Accepted::Known }))
            .await
    }

    /// Writes what is to be said in answer to a message that starts no turn. The message id is the key.
    ///
    /// # Errors
    /// If the database fails: nothing is to be said then.
    pub async fn say(&self, said: DirectReply) -> Result<Accepted, StoreError> {
        self.step(move |tx| {
            if !insert_message(tx, said.message, said.channel, &said.author, said.accepted)? {
                return Ok(Accepted::Known);
            }
            deliveries::write(tx, said.message, &said.parts, None)?;
            Ok(Accepted::New)
        })
        .await
    }

    /// Replaces what a turn that has not begun is to ask; whether it was still waiting.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn edit(&self, message: MessageId, edit: TurnEdit) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE turns SET project = ?2, prompt = ?3, model = ?4, fresh = ?5, attachments = ?6,
                           quoted = ?7
                       WHERE message = ?1 AND state = 'waiting'";
            let TurnEdit { project, prompt, model, fresh, attachments, quoted } = edit;
            let (attachments, quoted) = (Json(attachments), quoted.map(Json));
            let mut statement = tx.prepare_cached(sql)?;
            let changed =
                statement.execute(params![message, project, prompt, model, fresh, attachments, quoted])?;
            Ok(changed > 0)
        })
        .await
    }

    /// Ends a turn that has not begun, as cancelled. Of one that runs it is written why it is to end, should the bot
    /// not live to see it; the first reason counts.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn cancel(&self, message: MessageId, why: Unwanted) -> Result<Cancel, StoreError> {
        self.step(move |tx| match state(tx, message)? {
            Some(TurnState::Waiting) => {
                set_state(tx, message, TurnState::Ended(Outcome::Cancelled))?;
                Ok(Cancel::Cancelled)
            }
            Some(TurnState::Running | TurnState::Offered) => {
                note_unwanted(tx, message, why)?;
                Ok(Cancel::Running)
            }
            Some(TurnState::Ended(_)) | None => Ok(Cancel::TooLate),
        })
        .await
    }

    /// Ends a turn that has not begun, as cancelled; whether it did. Nothing changes for one that runs.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn cancel_waiting(&self, message: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let waits = state(tx, message)? == Some(TurnState::Waiting);
            if waits {
                set_state(tx, message, TurnState::Ended(Outcome::Cancelled))?;
            }
            Ok(waits)
        })
        .await
    }

    /// Records why a turn is to end, even if it is only about to begin.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn note_unwanted(&self, message: MessageId, why: Unwanted) -> Result<(), StoreError> {
        self.step(move |tx| Ok(note_unwanted(tx, message, why)?)).await
    }

    /// Makes a waiting turn a running one, if it still stands as `turn` has it. From then on an agent may get the
    /// prompt.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin(&self, turn: Turn) -> Result<Begin, StoreError> {
        self.step(move |tx| match row(tx, turn.message)? {
            Some(TurnRow { turn: stored, state: TurnState::Waiting, .. }) if stored == turn => {
                set_state(tx, turn.message, TurnState::Running)?;
                Ok(Begin::Begun)
            }
            Some(TurnRow { turn: edited, state: TurnState::Waiting, .. }) => {
                Ok(Begin::Edited(Box::new(edited)))
            }
            _ => Ok(Begin::Gone),
        })
        .await
    }

    /// Ends a turn: outcome, usage, session and what is to be said, in one step. Whether it was this call that
    /// ended it; if it had ended before, nothing changes.
    ///
    /// A waiting turn may be ended like this too (told that it is too old, say). The session becomes live with
    /// this id, unless it was forgotten meanwhile.
    ///
    /// # Errors
    /// If the database fails: the turn has not ended then.
    pub async fn finish(&self, message: MessageId, end: Finished) -> Result<bool, StoreError> {
        self.step(move |tx| Ok(finish_turn(tx, message, end)?)).await
    }

    /// What an earlier bot left to do, in the order in which the messages were written.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.step(|tx| {
            let sql =
                "SELECT id, channel, author, turns.state, unwanted, coalesce(ours, 0), prompt_message, asked_in,
                           coalesce(thread_open, 0) FROM messages
                       LEFT JOIN turns ON turns.message = id
                       LEFT JOIN deliveries ON deliveries.message = id
                       WHERE turns.state IN ('waiting', 'running') OR deliveries.state = 'open'";
            let mut statement = tx.prepare(sql)?;
            let found = statement.query_map((), |row| {
                let stage = match row.get(3)? {
                    Some(TurnState::Waiting) => Remaining::Waiting(row.get(4)?),
                    Some(TurnState::Running | TurnState::Offered) => Remaining::Running(row.get(4)?),
                    Some(TurnState::Ended(_)) | None => Remaining::Undelivered,
                };
                let prompt_message = PromptMessage::from_columns(row.get(5)?, row.get(6)?);
                let thread = TurnThread::from_columns(row.get(7)?, row.get(8)?);
                let (message, channel, author) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Unfinished { message, channel, thread, author, prompt_message, stage })
            })?;
            let mut unfinished = found.collect::<Result<Vec<_>, _>>()?;
            unfinished.sort_by_key(|one| one.message);
            Ok(unfinished)
        })
        .await
    }

    /// The session that has what this message says: it was asked there, or the bot has said it there. `None` where none is
    /// known.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn session_with(&self, said: MessageId) -> Result<Option<SessionId>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT session FROM turns WHERE message IN
                           (SELECT message FROM parts WHERE posted = ?1
                            UNION SELECT message FROM turns WHERE prompt_message = ?1 UNION SELECT ?1)
                       ORDER BY session IS NULL LIMIT 1";
            let mut statement = tx.prepare_cached(sql)?;
            Ok(statement.query_row([said], |row| row.get(0)).optional()?.flatten())
        })
        .await
    }

    /// All that is known of a turn; `None` where the message started none (or it was pruned).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn turn(&self, message: MessageId) -> Result<Option<TurnRow>, StoreError> {
        self.step(move |tx| Ok(row(tx, message)?)).await
    }
}

/// Writes a waiting turn; whether its message was not there yet.
pub(super) fn insert(tx: &Transaction<'_>, turn: &Turn, hourglass: bool) -> rusqlite::Result<bool> {
    let Turn { message, channel, author, project, prompt, model, fresh, prompt_message, accepted, .. } = turn;
    if !insert_message(tx, *message, *channel, author, *accepted)? {
        return Ok(false);
    }
    let (ours, posted) = prompt_message.columns();
    let (asked_in, is_open) = turn.thread.columns();
    let (attachments, quoted) = (Json(&turn.attachments), turn.quoted.as_ref().map(Json));
    let sql = "INSERT INTO turns (message, project, prompt, model, fresh, attachments, quoted, ours, prompt_message,
                                  asked_in, thread_open, state, hourglass)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'waiting', ?12)";
    let values = params![
        message,
        project,
        prompt,
        model,
        fresh,
        attachments,
        quoted,
        ours,
        posted,
        asked_in,
        is_open,
        hourglass
    ];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(true)
}

/// See [`Store::finish`].
pub(super) fn finish_turn(tx: &Transaction<'_>, message: MessageId, end: Finished) -> rusqlite::Result<bool> {
    let Some(TurnRow { turn, state, .. }) = row(tx, message)? else { return Ok(false) };
    if let TurnState::Ended(_) = state {
        return Ok(false);
    }
    if let Some(update) = end.session {
        update_session(tx, turn.channel, &turn.project, update)?;
    }
    set_state(tx, message, TurnState::Ended(end.outcome))?;
    if let Some(update) = end.session {
        let mut statement = tx.prepare_cached("UPDATE turns SET session = ?2 WHERE message = ?1")?;
        statement.execute(params![message, update.id])?;
    }
    match state {
        // An agent had it, so it has used something, whether that is known or not.
        TurnState::Running => usage::write(tx, message, Millis::now(), &end.usage.unwrap_or_default())?,
        TurnState::Offered => {
            tx.prepare_cached("UPDATE turns SET steered_into = NULL WHERE message = ?1")?
                .execute([message])?;
        }
        TurnState::Waiting | TurnState::Ended(_) => {}
    }
    deliveries::write(tx, message, &end.parts, end.file.as_ref())?;
    if let Some(offer) = end.offer {
        continuations::offer(tx, message, offer)?;
    }
    Ok(true)
}

/// The author in three columns from this one on. Bots start no turns.
fn author(row: &Row<'_>, first: usize) -> rusqlite::Result<Author> {
    let roles = row.get::<_, Json<_>>(first + 2)?.0;
    Ok(Author { id: row.get(first)?, name: row.get(first + 1)?, roles, bot: false })
}

/// Whether the message was not there yet.
fn insert_message(
    tx: &Transaction<'_>,
    message: MessageId,
    channel: ChannelId,
    author: &Author,
    accepted: Millis,
) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO messages (id, channel, author, author_name, author_roles, accepted)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let mut statement = tx.prepare_cached(sql)?;
    let roles = Json(&author.roles);
    Ok(statement.execute(params![message, channel, author.id, author.name, roles, accepted])? > 0)
}

fn state(tx: &Transaction<'_>, message: MessageId) -> rusqlite::Result<Option<TurnState>> {
    let mut statement = tx.prepare_cached("SELECT state, steered_into FROM turns WHERE message = ?1")?;
    statement.query_row([message], |row| TurnState::from_columns(row.get(0)?, row.get(1)?)).optional()
}

fn note_unwanted(tx: &Transaction<'_>, message: MessageId, why: Unwanted) -> rusqlite::Result<()> {
    let sql = "UPDATE turns SET unwanted = coalesce(unwanted, ?2) WHERE message = ?1";
    tx.prepare_cached(sql)?.execute(params![message, why])?;
    Ok(())
}

pub(super) fn set_state(tx: &Transaction<'_>, message: MessageId, state: TurnState) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached("UPDATE turns SET state = ?2 WHERE message = ?1")?;
    statement.execute(params![message, state])?;
    Ok(())
}

pub(super) fn row(tx: &Transaction<'_>, message: MessageId) -> rusqlite::Result<Option<TurnRow>> {
    let delivery = deliveries::state(tx, message)?;
    let usage = usage::row(tx, message)?;
    let sql =
        "SELECT channel, author, author_name, author_roles, project, prompt, model, fresh, attachments, ours,
                      prompt_message, accepted, state, steered_into, quoted, asked_in, thread_open
               FROM turns JOIN messages ON id = message WHERE message = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([message], |row| {
        Ok(TurnRow {
            turn: Turn {
                message,
                channel: row.get(0)?,
                thread: TurnThread::from_columns(row.get(15)?, row.get(16)?),
                author: author(row, 1)?,
                project: row.get(4)?,
                prompt: row.get(5)?,
                model: row.get(6)?,
                fresh: row.get(7)?,
                attachments: row.get::<_, Json<_>>(8)?.0,
                quoted: row.get::<_, Option<Json<_>>>(14)?.map(|quoted| quoted.0),
                prompt_message: PromptMessage::from_columns(row.get(9)?, row.get(10)?),
                accepted: row.get(11)?,
            },
            state: TurnState::from_columns(row.get(12)?, row.get(13)?)?,
            delivery,
            usage,
        })
    });
    found.optional()
}

/// Makes the session live.
fn update_session(
    tx: &Transaction<'_>,
    channel: ChannelId,
    project: &ProjectName,
    update: SessionUpdate,
) -> rusqlite::Result<()> {
    // Two lanes must never work in one session. The other one had it first; this one begins anew.
    let sql = "SELECT 1 FROM sessions WHERE id = ?3 AND NOT (channel = ?1 AND project = ?2)";
    if tx.prepare_cached(sql)?.exists(params![channel, project, update.id])? {
        error!(%channel, session = %update.id, "the agent continued in another channel's session; this channel begins a new one");
        let sql = "DELETE FROM sessions WHERE channel = ?1 AND project = ?2";
        tx.prepare_cached(sql)?.execute(params![channel, project])?;
        return Ok(());
    }

    // No row: somebody had the session forgotten while the turn ran, and forgotten it stays.
    let sql =
        "UPDATE sessions SET id = ?3, live = 1, turns = turns + 1, cost = coalesce(?4, cost), last_used = ?5
               WHERE channel = ?1 AND project = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    statement.execute(params![channel, project, update.id, update.cost, Millis::now()])?;
    Ok(())
}
