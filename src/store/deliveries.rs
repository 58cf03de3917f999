//! Deliveries: what is to be said in answer to a message, part by part, and what of it is posted.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Continuation, Millis, Store, StoreError, TurnState, TurnThread, continuations};
use crate::domain::{ChannelId, MessageId, Outcome, UserId};

/// What is to be said in answer to a message, and is not all said yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it is said.
    pub channel: ChannelId,
    /// The message that is answered.
    pub answered: MessageId,
    /// Whether that is where it is said, so that the answer can be a reply to it.
    pub is_reply: bool,
    /// Who wrote that message: the one person whom the answer may notify.
    pub author: UserId,
    /// When it was written down.
    pub written: Millis,
    /// All parts in order, including posted ones, but not spare ones; never empty.
    pub parts: Vec<StoredPart>,
    /// What its last part offers: a usage limit has refused the turn.
    pub continuation: Option<Continuation>,
}

/// One Discord message of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Its place, from 1.
    pub number: u32,
    /// What it says; if Discord refused its text, the replacement.
    pub text: String,
    /// Whether Discord refused its text, which is kept.
    pub refused: bool,
    /// The content of the file that comes with it.
    pub file: Option<String>,
    /// The Discord message, once posted.
    pub posted: Option<MessageId>,
}

/// A file in place of the last parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The text of the part that carries the file, which is the last one.
    pub text: String,
    pub content: String,
    /// How many parts come before it. The others are spare: they are only posted if Discord refuses the file.
    pub after: usize,
}

/// How a delivery ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// Discord refused it, and why. Its turn has then failed.
    Refused(String),
    /// Nobody wants the rest of it.
    Stopped,
}

/// The state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Not all parts are posted.
    Open,
    /// All parts that somebody wanted are posted.
    Done,
    /// Discord would not take it, and why.
    Refused(String),
}

/// Writes the parts as an open delivery; without parts there is nothing to deliver.
pub(super) fn write(
    tx: &Transaction<'_>,
    message: MessageId,
    parts: &[String],
    file: Option<&FilePart>,
) -> rusqlite::Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO deliveries (message, state, written) VALUES (?1, 'open', ?2)";
    tx.prepare_cached(sql)?.execute(params![message, Millis::now()])?;
    let sql = "INSERT INTO parts (message, number, text, file, spare) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = tx.prepare_cached(sql)?;
    let mut number = 0_u32;
    for (place, text) in parts.iter().enumerate() {
        let spare = file.is_some_and(|file| place >= file.after);
        number += 1;
        statement.execute(params![message, number, text, None::<String>, spare])?;
    }
    if let Some(FilePart { text, content, .. }) = file {
        statement.execute(params![message, number + 1, text, content, false])?;
    }
    Ok(())
}

/// What is to be posted, in order.
fn parts(tx: &Transaction<'_>, message: MessageId) -> rusqlite::Result<Vec<StoredPart>> {
    let sql = "SELECT number, coalesce(instead, text), instead IS NOT NULL, file, posted FROM parts
               WHERE message = ?1 AND NOT spare ORDER BY number";
    let mut statement = tx.prepare_cached(sql)?;
    let parts = statement.query_map([message], |row| {
        Ok(StoredPart {
            number: row.get(0)?,
            text: row.get(1)?,
            refused: row.get(2)?,
            file: row.get(3)?,
            posted: row.get(4)?,
        })
    })?;
    parts.collect()
}

/// The state of the delivery for this message; `None` if there was nothing to say.
pub(super) fn state(tx: &Transaction<'_>, message: MessageId) -> rusqlite::Result<Option<DeliveryState>> {
    let mut statement = tx.prepare_cached("SELECT state, reason FROM deliveries WHERE message = ?1")?;
    let found = statement
        .query_row([message], |row| Ok(DeliveryState::from_columns(row.get_ref(0)?.as_str()?, row.get(1)?)));
    found.optional()
}

impl Store {
    /// What is still to be posted in answer to this message; `None` if there is nothing left.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn undelivered(&self, message: MessageId) -> Result<Option<Delivery>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT channel, author, written, coalesce(prompt_message, id), asked_in,
                           coalesce(thread_open, 0)
                       FROM deliveries JOIN messages ON id = deliveries.message
                       LEFT JOIN turns ON turns.message = id
                       WHERE id = ?1 AND deliveries.state = 'open'";
            let mut statement = tx.prepare_cached(sql)?;
            let found = statement
                .query_row([message], |row| {
                    let thread = TurnThread::from_columns(row.get(4)?, row.get(5)?);
                    Ok(Delivery {
                        channel: thread.said_in(row.get(0)?),
                        author: row.get(1)?,
                        written: row.get(2)?,
                        answered: row.get(3)?,
                        is_reply: !thread.is_open(),
                        parts: Vec::new(),
                        continuation: None,
                    })
                })
                .optional()?;
            let Some(delivery) = found else { return Ok(None) };
            let (parts, continuation) = (parts(tx, message)?, continuations::state(tx, message)?);
            Ok(Some(Delivery { parts, continuation, ..delivery }))
        })
        .await
    }

    /// Discord refused the file: the spare parts replace the part that carries it. Returns all parts afterwards; if
    /// there is no such part, or it is posted, nothing changes.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn without_file(&self, message: MessageId) -> Result<Vec<StoredPart>, StoreError> {
        self.step(move |tx| {
            let sql = "DELETE FROM parts WHERE message = ?1 AND file IS NOT NULL AND posted IS NULL";
            if tx.prepare_cached(sql)?.execute([message])? > 0 {
                tx.prepare_cached("UPDATE parts SET spare = 0 WHERE message = ?1")?.execute([message])?;
            }
            Ok(parts(tx, message)?)
        })
        .await
    }

    /// Replaces the text of a part that Discord refused; the original is kept. Returns all parts afterwards.
    ///
    /// # Errors
    /// If there is no such part, or it is posted, or the database fails.
    pub async fn say_instead(
        &self,
        message: MessageId,
        part: u32,
        text: String,
    ) -> Result<Vec<StoredPart>, StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE parts SET instead = ?3 WHERE message = ?1 AND number = ?2 AND posted IS NULL";
            match tx.prepare_cached(sql)?.execute(params![message, part, text])? {
                0 => Err(StoreError::NoSuchPart(message, part)),
                _ => Ok(parts(tx, message)?),
            }
        })
        .await
    }

    /// Records that a part is posted, as `posted`; the last one closes the delivery. A second call changes nothing: the
    /// first id stays.
    ///
    /// # Errors
    /// If there is no such part, or the database fails.
    pub async fn posted(&self, message: MessageId, part: u32, posted: MessageId) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE parts SET posted = coalesce(posted, ?3) WHERE message = ?1 AND number = ?2";
            if tx.prepare_cached(sql)?.execute(params![message, part, posted])? == 0 {
                return Err(StoreError::NoSuchPart(message, part));
            }
            let sql =
                "UPDATE deliveries SET state = 'done' WHERE message = ?1 AND state = 'open' AND NOT EXISTS
                       (SELECT 1 FROM parts WHERE message = ?1 AND posted IS NULL AND NOT spare)";
            tx.prepare_cached(sql)?.execute([message])?;
            Ok(())
        })
        .await
    }

    /// Closes the delivery for this message before all of it is posted. Returns whether it was open. If Discord refused
    /// it, its turn has failed. The rest is not posted any more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn close_delivery(&self, message: MessageId, end: DeliveryEnd) -> Result<bool, StoreError> {
        self.step(move |tx| {
            if state(tx, message)? != Some(DeliveryState::Open) {
                return Ok(false);
            }
            let mut close =
                tx.prepare_cached("UPDATE deliveries SET state = ?2, reason = ?3 WHERE message = ?1")?;
            match end {
                DeliveryEnd::Stopped => {
                    let sql = "UPDATE parts SET spare = 1 WHERE message = ?1 AND posted IS NULL";
                    tx.prepare_cached(sql)?.execute([message])?;
                    close.execute(params![message, "done", None::<String>])?;
                }
                DeliveryEnd::Refused(reason) => {
                    close.execute(params![message, "refused", reason])?;
                    let sql = "UPDATE turns SET state = ?2 WHERE message = ?1";
                    tx.prepare_cached(sql)?.execute(params![message, TurnState::Ended(Outcome::Failed)])?;
                }
            }
            Ok(true)
        })
        .await
    }
}
