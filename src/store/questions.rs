//! What Claude has asked people, what became of it, and who decided.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use super::choices::{NewChoice, set_choice};
use super::{Millis, PromptMessage, Store, StoreError, Turn, TurnThread, turns};
use crate::domain::{ChannelId, MessageId, PermissionMode, SessionId, UserId};

/// Identifies a question for good; buttons carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionKey(pub i64);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// Leave for a call of a tool.
    Permission,
    /// A choice.
    Choices,
    /// Whether a plan is good.
    Plan,
    /// What an MCP server wants of a person.
    Elicitation,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionState {
    /// Nobody has answered.
    Open,
    Allowed,
    AllowedForSession,
    AllowedAlways,
    Denied,
    /// Chosen, told in words, or done.
    Answered,
    /// A person wants to answer neither yes nor no.
    Dismissed,
    /// Nobody answered in time.
    Expired,
    /// It was too long for a message, and Discord took no file.
    NotShown,
    /// Claude wants no answer any more: its turn was stopped or is over.
    Withdrawn,
    /// The bot was restarted before anybody answered.
    Left,
    /// The same, and somebody has had it go on since.
    Resumed,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    Person(UserId),
    /// A script of the project.
    Script,
    /// The time limit.
    Time,
    /// Nobody had to.
    Nobody,
}

/// How a question ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionEnd {
    pub state: QuestionState,
    pub by: Decider,
    /// Why it is denied, in the words of who decided.
    pub reason: Option<String>,
    /// The message that answers it.
    pub reply: Option<MessageId>,
}

impl QuestionEnd {
    /// Without a word, and not by a message.
    pub fn new(state: QuestionState, by: Decider) -> Self {
        Self { state, by, reason: None, reply: None }
    }
}

/// A question that is about to be posted.
#[derive(Debug, Clone)]
pub struct NewQuestion {
    pub turn: MessageId,
    /// The session that waits for the answer.
    pub session: SessionId,
    pub kind: QuestionKind,
    /// What its message says, without the line that tells what became of it.
    pub text: String,
    /// All of it in a form of the asker's own, so that it can be answered after a restart.
    pub body: String,
}

/// What comes of a press on a question that a restart has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumption {
    /// This turn goes on with it.
    Begins(Box<Turn>),
    /// Its conversation is gone.
    Gone,
    /// It was decided before.
    TooLate,
}

/// A question as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredQuestion {
    pub key: QuestionKey,
    pub turn: MessageId,
    pub channel: ChannelId,
    /// Whose turn it is.
    pub asker: UserId,
    pub kind: QuestionKind,
    pub text: String,
    pub body: String,
    /// The message that asks; `None` until it is known to be posted.
    pub posted: Option<MessageId>,
    pub state: QuestionState,
    pub decided_by: Option<Decider>,
    /// The permission mode of the next turn, where the answer to a plan was about it.
    pub mode: Option<PermissionMode>,
}

/// A question with its times, and why it was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionReport {
    pub question: StoredQuestion,
    pub asked: Millis,
    pub decided: Option<Millis>,
    /// In the words of who decided.
    pub reason: Option<String>,
}

impl QuestionReport {
    /// The person who decided, where it was one.
    pub fn person(&self) -> Option<UserId> {
        match self.question.decided_by {
            Some(Decider::Person(person)) => Some(person),
            _ => None,
        }
    }
}

const COLUMNS: &str =
    "questions.id, questions.turn, messages.channel, messages.author, questions.kind, questions.text,
    questions.body, questions.posted, questions.state, questions.source, questions.person, questions.mode";
const FROM: &str = "FROM questions JOIN messages ON messages.id = questions.turn";

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredQuestion> {
    let source: Option<String> = row.get(9)?;
    Ok(StoredQuestion {
        key: QuestionKey(row.get(0)?),
        turn: row.get(1)?,
        channel: row.get(2)?,
        asker: row.get(3)?,
        kind: row.get(4)?,
        text: row.get(5)?,
        body: row.get(6)?,
        posted: row.get(7)?,
        state: row.get(8)?,
        decided_by: match (source.as_deref(), row.get(10)?) {
            (Some("person"), Some(person)) => Some(Decider::Person(person)),
            (Some("script"), _) => Some(Decider::Script),
            (Some("time"), _) => Some(Decider::Time),
            (Some(_), _) => Some(Decider::Nobody),
            (None, _) => None,
        },
        mode: row.get(11)?,
    })
}

/// What was asked in a turn, in order.
pub(super) fn of_turn(tx: &Transaction<'_>, turn: MessageId) -> rusqlite::Result<Vec<QuestionReport>> {
    let sql = format!(
        "SELECT {COLUMNS}, questions.asked, questions.decided, questions.reason {FROM} WHERE questions.turn = ?1
         ORDER BY questions.id"
    );
    let report = |row: &Row<'_>| {
        let (asked, decided, reason) = (row.get(12)?, row.get(13)?, row.get(14)?);
        Ok(QuestionReport { question: stored(row)?, asked, decided, reason })
    };
    tx.prepare_cached(&sql)?.query_map([turn], report)?.collect()
}

impl Store {
    /// Writes down a question before it is posted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_question(&self, new: NewQuestion) -> Result<QuestionKey, StoreError> {
        self.step(move |tx| {
            let sql = "INSERT INTO questions (turn, session, kind, text, body, asked)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let NewQuestion { turn, session, kind, text, body } = new;
            tx.prepare_cached(sql)?.execute(params![turn, session, kind, text, body, Millis::now()])?;
            Ok(QuestionKey(tx.last_insert_rowid()))
        })
        .await
    }

    /// Records the message that asks.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_question_posted(
        &self,
        question: QuestionKey,
        posted: MessageId,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE questions SET posted = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![question, posted])?;
            Ok(())
        })
        .await
    }

    /// Writes down what became of an open question; whether it was open. The first decision counts.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn decide_question(&self, question: QuestionKey, end: QuestionEnd) -> Result<bool, StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE questions SET state = ?2, source = ?3, person = ?4, decided = ?5, reason = ?6, reply = ?7
                       WHERE id = ?1 AND state = 'open'";
            let (source, person) = match end.by {
                Decider::Person(person) => ("person", Some(person)),
                Decider::Script => ("script", None),
                Decider::Time => ("time", None),
                Decider::Nobody => ("nobody", None),
            };
            let decided =
                params![question, end.state, source, person, Millis::now(), end.reason, end.reply];
            Ok(tx.prepare_cached(sql)?.execute(decided)? > 0)
        })
        .await
    }

    /// Records the permission mode of the next turn, as the answer to a plan has it, and where it is a new one, that the
    /// channel has chosen it.
    ///
    /// # Errors
    /// If the database fails: nothing is chosen then.
    pub async fn set_mode_by_plan(
        &self,
        question: QuestionKey,
        channel: ChannelId,
        next: PermissionMode,
        is_new: bool,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE questions SET mode = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![question, next])?;
            if is_new {
                set_choice(tx, channel, NewChoice::PermissionMode(Some(next)))?;
            }
            Ok(())
        })
        .await
    }

    /// Accepts a turn with this prompt, under this id, that goes on where a question was left by a restart: in one step with
    /// noting that, so it happens once. `pressed` is the message that asks.
    ///
    /// # Errors
    /// If the database fails: nothing is accepted then.
    pub async fn resume_question(
        &self,
        question: QuestionKey,
        by: UserId,
        pressed: MessageId,
        turn: MessageId,
        prompt: String,
    ) -> Result<Resumption, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT turn, session FROM questions WHERE id = ?1 AND state = 'left'";
            let left = tx
                .prepare_cached(sql)?
                .query_row([question], |row| Ok((row.get::<_, MessageId>(0)?, row.get::<_, SessionId>(1)?)));
            let Some((asked_in, session)) = left.optional()? else { return Ok(Resumption::TooLate) };
            let is_there = "SELECT 1 FROM sessions WHERE id = ?1 AND channel = ?2 AND project = ?3";
            let before = match turns::row(tx, asked_in)?.map(|row| row.turn) {
                Some(turn)
                    if tx.prepare_cached(is_there)?.exists(params![
                        session,
                        turn.channel,
                        turn.project
                    ])? =>
                {
                    turn
                }
                _ => return Ok(Resumption::Gone),
            };
            let sql = "UPDATE questions SET state = 'resumed', source = 'person', person = ?2, decided = ?3,
                           posted = coalesce(posted, ?4) WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![question, by, Millis::now(), pressed])?;
            let turn = Turn {
                message: turn,
                prompt,
                fresh: false,
                attachments: Vec::new(),
                quoted: None,
                prompt_message: PromptMessage::Posted(pressed),
                thread: TurnThread::None,
                accepted: Millis::now(),
                ..before
            };
            match turns::insert(tx, &turn, false)? {
                true => Ok(Resumption::Begins(Box::new(turn))),
                false => Ok(Resumption::TooLate),
            }
        })
        .await
    }

    /// A question; `None` where it is forgotten.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn question(&self, question: QuestionKey) -> Result<Option<StoredQuestion>, StoreError> {
        self.step(move |tx| {
            let sql = format!("SELECT {COLUMNS} {FROM} WHERE questions.id = ?1");
            Ok(tx.prepare_cached(&sql)?.query_row([question], stored).optional()?)
        })
        .await
    }

    /// Whether this message has answered a question: Discord may deliver it again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn has_answered(&self, reply: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            Ok(tx.prepare_cached("SELECT 1 FROM questions WHERE reply = ?1")?.exists([reply])?)
        })
        .await
    }

    /// What an earlier bot has left: the questions that it left open are left from now on, and returned with all others
    /// whose message does not show what became of them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leave_questions(&self) -> Result<Vec<StoredQuestion>, StoreError> {
        self.step(move |tx| {
            let left =
                "UPDATE questions SET state = 'left', source = 'nobody', decided = ?1 WHERE state = 'open'";
            tx.execute(left, [Millis::now()])?;
            let sql = format!(
                "SELECT {COLUMNS} {FROM} WHERE questions.state = 'open' OR questions.state <> questions.shown
                 ORDER BY questions.id"
            );
            let mut statement = tx.prepare(&sql)?;
            Ok(statement.query_map((), stored)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records that the message of a question shows this state.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_question_shown(
        &self,
        question: QuestionKey,
        shown: QuestionState,
    ) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE questions SET shown = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![question, shown])?;
            Ok(())
        })
        .await
    }
}

impl ToSql for QuestionKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

/// Each value with its text in the column.
const KINDS: [(QuestionKind, &str); 4] = [
    (QuestionKind::Permission, "permission"),
    (QuestionKind::Choices, "choices"),
    (QuestionKind::Plan, "plan"),
    (QuestionKind::Elicitation, "elicitation"),
];
const STATES: [(QuestionState, &str); 12] = [
    (QuestionState::Open, "open"),
    (QuestionState::Allowed, "allowed"),
    (QuestionState::AllowedForSession, "allowed_for_session"),
    (QuestionState::AllowedAlways, "allowed_always"),
    (QuestionState::Denied, "denied"),
    (QuestionState::Answered, "answered"),
    (QuestionState::Dismissed, "dismissed"),
    (QuestionState::Expired, "expired"),
    (QuestionState::NotShown, "not_shown"),
    (QuestionState::Withdrawn, "withdrawn"),
    (QuestionState::Left, "left"),
    (QuestionState::Resumed, "resumed"),
];

fn to_text<T: PartialEq>(table: &'static [(T, &'static str)], value: &T) -> ToSqlOutput<'static> {
    // Every value is in its table: the tests go through them.
    table.iter().find(|(known, _)| known == value).map_or("", |(_, text)| text).into()
}

fn from_text<T: Copy>(table: &[(T, &str)], value: ValueRef<'_>) -> FromSqlResult<T> {
    let text = value.as_str()?;
    table.iter().find(|(_, known)| *known == text).map(|(value, _)| *value).ok_or(FromSqlError::InvalidType)
}

impl ToSql for QuestionKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(to_text(&KINDS, self))
    }
}

impl FromSql for QuestionKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        from_text(&KINDS, value)
    }
}

impl ToSql for QuestionState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(to_text(&STATES, self))
    }
}

impl FromSql for QuestionState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        from_text(&STATES, value)
    }
}
