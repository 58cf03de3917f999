//! What must survive a crash: accepted messages, turns, deliveries, sessions, what
//! channels have chosen, and which guilds have commands. One SQLite file.
//!
//! # Theory of operation
//! Everything happens on one thread that owns the only connection, so every method is one uninterrupted step, and its
//! effect is on disk when it returns (`synchronous = FULL`). Each method is one transaction: all or nothing. Dropping
//! its future does not stop the step.
//!
//! A turn goes `waiting → running → ended`, and a delivery `open → closed`; there is no way back and no second
//! end. If a step can no longer be taken, the returned value says so, and nothing changes.
//!
//! Where to look: `schema` explains the tables; `turns`, `prompt_message`, `questions`, `deliveries`, `shown`, `sessions`, `grants`, `choices`, `usage` and
//! `command_guilds` hold the methods; `open` decides which file is fit to be used, and `report` reads one that a bot may have open.

mod board;
mod choices;
mod command_guilds;
mod continuations;
mod deliveries;
mod grants;
mod handed;
mod open;
mod places;
mod prompt_message;
mod questions;
mod report;
mod schema;
mod sessions;
mod shown;
mod steering;
mod threads;
mod turns;
mod usage;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{Transaction, TransactionBehavior};

pub use board::BoardRow;
pub use choices::{ChannelChoice, NewChoice};
pub use continuations::{Continuation, Offer, RefusedTurn};
pub use deliveries::{Delivery, DeliveryEnd, DeliveryState, FilePart, StoredPart};
pub use handed::HandedFiles;
pub use open::{Holder, OpenError, look};
pub use places::{ChannelRow, SeenChannel};
pub use prompt_message::PromptMessage;
pub use questions::{
    Decider, NewQuestion, QuestionEnd, QuestionKey, QuestionKind, QuestionReport, QuestionState, Resumption,
    StoredQuestion,
};
pub use report::{TurnReport, report};
pub use sessions::{MAX_SESSIONS, Session, SessionRow};
pub use shown::{Shown, ShownMessage};
pub use steering::SteeringEnd;
pub use threads::TurnThread;
pub use turns::{
    Begin, Cancel, DirectReply, Finished, Remaining, SessionUpdate, Turn, TurnEdit, TurnRow, TurnState,
    Unfinished, Unwanted,
};
pub use usage::{Exhausted, SpendingLimit, UsageSum};

use crate::domain::MessageId;
use crate::worker::{Panicked, Worker};

/// A point in time, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub i64);

impl Millis {
    /// The time now, by the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Whether a message is new. Of any number of callers exactly one gets `New`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is written now; the caller continues with it.
    New,
    /// It was written before; nothing has changed, and somebody else handles it.
    Known,
}

/// Why a step could not be taken. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// [`Store::close`] was called.
    #[error("the store is closed")]
    Closed,
    /// SQLite failed: a full disk, a file taken away. Or the step panicked, see [`Store::panicked`].
    #[error("the database failed")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("message {0} has no part {1}")]
    NoSuchPart(MessageId, u32),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Panicked> for StoreError {
    fn from(panicked: Panicked) -> Self {
        Self::Database(panicked.into())
    }
}

/// A handle to the store; clones share one connection.
#[derive(Clone)]
pub struct Store {
    /// `None` once closed.
    worker: Worker<Option<open::Database>>,
    left: Option<SystemTime>,
    /// The folder of the file.
    dir: Arc<Path>,
}

impl Store {
    /// Opens the file at `path`, or creates it, and forgets what is over and older than 30 days.
    ///
    /// # Errors
    /// If another process has it, it is damaged, newer or not ours, or the system does not allow it. A file
    /// that was there is left untouched then.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let database = open::Database::open(path)?;
        let left = database.left;
        let worker = Worker::spawn("store", Some(database)).map_err(|e| OpenError::Unusable {
            file: path.display().to_string(),
            detail: format!("no thread: {e}"),
        })?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).into();
        Ok(Self { worker, left, dir })
    }

    /// Forgets what is over and older than 30 days, as [`Store::open`] does. Returns how many messages that was.
    ///
    /// # Errors
    /// If the database fails: nothing is forgotten then.
    pub async fn forget_old(&self) -> Result<usize, StoreError> {
        self.forget_old_at(Millis::now()).await
    }

    async fn forget_old_at(&self, now: Millis) -> Result<usize, StoreError> {
        self.step(move |tx| Ok(open::forget_old(tx, now)?)).await
    }

    /// Closes the file and gives up the lock, for all clones. Earlier steps are completed first.
    ///
    /// Nothing is lost without it: it only says when the file is free for the next process.
    pub async fn close(&self) {
        // Dropping a connection cannot fail.
        let _ = self.worker.call(|database| drop(database.take())).await;
    }

    /// Resolves once a step has panicked, which is a bug, with the panic's message. The step was rolled back and others
    /// are possible, but the state of the rest is unknown.
    pub async fn panicked(&self) -> String {
        self.worker.panicked().await
    }

    /// How many bytes are free on the database's disk; `None` if the system does not say.
    pub fn room(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&*self.dir).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// When an earlier bot was last seen alive, to the minute; `None` if there was none.
    pub fn left(&self) -> Option<SystemTime> {
        self.left
    }

    /// Marks that the bot is alive, for [`Store::left`] of the next one.
    pub fn mark_alive(&self) {
        self.worker.tell(|database| database.iter().for_each(open::Database::mark_alive));
    }

    /// Runs one step as one transaction on the store's thread.
    async fn step<R: Send + 'static>(
        &self,
        step: impl FnOnce(&Transaction<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.worker
            .call(move |database| {
                let connection = &mut database.as_mut().ok_or(StoreError::Closed)?.connection;
                let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let result = step(&tx)?;
                tx.commit()?;
                Ok(result)
            })
            .await?
    }
}

#[cfg(test)]
impl Store {
    /// A step with a mistake in it.
    pub async fn panic(&self) {
        let _ = self.step(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        Attachment, Author, ChannelId, Compaction, ContextFill, Extra, MicroUsd, Outcome, PermissionMode,
        ProjectName, QuoteOrigin, Quoted, RoleId, SessionId, Tokens, TurnUsage, UsageBy, UserId, Verbosity,
    };

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("moonlane.db")).unwrap();
        (dir, store)
    }

    fn message(id: u64) -> MessageId {
        MessageId::new(id).unwrap()
    }

    fn turn(id: u64) -> Turn {
        Turn {
            message: message(id),
            channel: ChannelId::new(7).unwrap(),
            thread: TurnThread::None,
            author: Author {
                id: UserId::new(u64::MAX).unwrap(),
                name: "Ada 🌙".to_owned(),
                roles: vec![RoleId::new(5).unwrap()],
                bot: false,
            },
            project: ProjectName("here".to_owned()),
            prompt: "NUL \0, quote ', 月".to_owned(),
            model: Some("opus".to_owned()),
            fresh: true,
            attachments: vec![Attachment {
                name: "a.txt".to_owned(),
                size: u64::MAX,
                content_type: None,
                url: "https://x/?a=b&c".to_owned(),
                voice: true,
            }],
            quoted: Some(Quoted {
                origin: QuoteOrigin::Reply { message: message(5), author: "ann".to_owned(), is_mine: false },
                text: "before".to_owned(),
                attachments: Vec::new(),
                extras: vec![Extra::Voice { seconds: 3 }],
            }),
            prompt_message: PromptMessage::Coming,
            accepted: Millis(i64::MAX),
        }
    }

    fn direct_reply(id: u64, parts: &[&str]) -> DirectReply {
        let Turn { message, channel, author, accepted, .. } = turn(id);
        DirectReply { message, channel, author, parts: strings(parts), accepted }
    }

    fn finished(outcome: Outcome, parts: &[&str]) -> Finished {
        Finished { outcome, parts: strings(parts), file: None, session: None, usage: None, offer: None }
    }

    fn strings(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|&part| part.to_owned()).collect()
    }

    async fn begin(store: &Store, id: u64) {
        let turn = store.turn(message(id)).await.unwrap().unwrap().turn;
        assert_eq!(store.begin(turn).await.unwrap(), Begin::Begun);
    }

    fn edit(prompt: &str) -> TurnEdit {
        let Turn { project, model, fresh, .. } = turn(1);
        TurnEdit { project, prompt: prompt.to_owned(), model, fresh, attachments: Vec::new(), quoted: None }
    }

    async fn state(store: &Store, id: u64) -> TurnState {
        store.turn(message(id)).await.unwrap().unwrap().state
    }

    #[tokio::test]
    async fn a_turn_goes_from_accepted_to_delivered_and_every_field_comes_back() {
        let (_dir, store) = store();
        assert_eq!(store.accept(turn(1), false).await.unwrap(), Accepted::New);
        assert_eq!(state(&store, 1).await, TurnState::Waiting);

        assert_eq!(store.begin(turn(1)).await.unwrap(), Begin::Begun);
        assert_eq!(state(&store, 1).await, TurnState::Running);
        assert_eq!(store.undelivered(message(1)).await.unwrap(), None);

        assert!(store.finish(message(1), finished(Outcome::Answered, &["one", "two"])).await.unwrap());
        let delivery = store.undelivered(message(1)).await.unwrap().unwrap();
        assert_eq!((delivery.answered, delivery.author), (message(1), turn(1).author.id));
        let texts: Vec<_> = delivery.parts.iter().map(|p| (p.number, p.text.as_str(), p.posted)).collect();
        assert_eq!(texts, [(1, "one", None), (2, "two", None)]);

        store.posted(message(1), 1, message(11)).await.unwrap();
        store.posted(message(1), 1, message(99)).await.unwrap();
        let delivery = store.undelivered(message(1)).await.unwrap().unwrap();
        assert_eq!(delivery.parts[0].posted, Some(message(11)), "the first id stays");
        assert_eq!(store.turn(message(1)).await.unwrap().unwrap().delivery, Some(DeliveryState::Open));

        store.posted(message(1), 2, message(12)).await.unwrap();
        assert!(!store.close_delivery(message(1), DeliveryEnd::Stopped).await.unwrap(), "it is done");
        assert_eq!(store.undelivered(message(1)).await.unwrap(), None);
        let row = store.turn(message(1)).await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.delivery),
            (TurnState::Ended(Outcome::Answered), Some(DeliveryState::Done))
        );
    }

    #[tokio::test]
    async fn of_many_callers_with_one_message_exactly_one_gets_new() {
        let (_dir, store) = store();
        let callers = (0..40).map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                if i % 2 == 0 {
                    store.accept(turn(1), false).await
                } else {
                    store.say(direct_reply(1, &["hint"])).await
                }
            })
        });
        let mut new = 0;
        for caller in callers.collect::<Vec<_>>() {
            new += usize::from(caller.await.unwrap().unwrap() == Accepted::New);
        }
        assert_eq!(new, 1);
    }

    #[tokio::test]
    async fn what_must_not_happen_is_refused_and_changes_nothing() {
        let (_dir, store) = store();
        let answered = || finished(Outcome::Answered, &["answer"]);
        // Nothing is known of message 9.
        assert_eq!(store.begin(turn(9)).await.unwrap(), Begin::Gone);
        assert_eq!(store.cancel(message(9), Unwanted::Deleted).await.unwrap(), Cancel::TooLate);
        assert!(!store.edit(message(9), edit("x")).await.unwrap());
        assert!(!store.finish(message(9), answered()).await.unwrap());
        assert!(!store.close_delivery(message(9), DeliveryEnd::Stopped).await.unwrap());
        assert!(matches!(store.posted(message(9), 1, message(2)).await, Err(StoreError::NoSuchPart(..))));
        assert_eq!(store.turn(message(9)).await.unwrap(), None);

        store.accept(turn(1), false).await.unwrap();
        assert_eq!(store.begin(turn(1)).await.unwrap(), Begin::Begun);
        assert_eq!(store.begin(turn(1)).await.unwrap(), Begin::Gone, "begun twice");
        assert_eq!(store.cancel(message(1), Unwanted::Deleted).await.unwrap(), Cancel::Running);
        assert!(!store.edit(message(1), edit("late")).await.unwrap());
        assert_eq!(state(&store, 1).await, TurnState::Running);

        assert!(store.finish(message(1), answered()).await.unwrap());
        assert!(!store.finish(message(1), finished(Outcome::Failed, &["other"])).await.unwrap());
        assert_eq!(store.cancel(message(1), Unwanted::Deleted).await.unwrap(), Cancel::TooLate);
        assert_eq!(store.begin(turn(1)).await.unwrap(), Begin::Gone);
        assert!(!store.edit(message(1), edit("late")).await.unwrap());
        assert_eq!(store.accept(turn(1), false).await.unwrap(), Accepted::Known);
        assert_eq!(store.say(direct_reply(1, &["hint"])).await.unwrap(), Accepted::Known);
        assert_eq!(state(&store, 1).await, TurnState::Ended(Outcome::Answered));
        let delivery = store.undelivered(message(1)).await.unwrap().unwrap();
        assert_eq!(delivery.parts.len(), 1);
        assert_eq!(delivery.parts[0].text, "answer");
        assert!(matches!(store.posted(message(1), 2, message(2)).await, Err(StoreError::NoSuchPart(_, 2))));
    }

    #[tokio::test]
    async fn a_waiting_turn_is_asked_as_edited_or_not_at_all() {
        let (_dir, store) = store();
        for id in [1, 2] {
            store.accept(turn(id), false).await.unwrap();
        }
        assert!(store.edit(message(1), edit("edited")).await.unwrap());
        let Begin::Edited(edited) = store.begin(turn(1)).await.unwrap() else { panic!("it was edited") };
        assert_eq!((edited.prompt.as_str(), edited.attachments.len()), ("edited", 0));
        assert_eq!(state(&store, 1).await, TurnState::Waiting);
        assert_eq!(store.begin(*edited).await.unwrap(), Begin::Begun);

        assert!(store.cancel_waiting(message(2)).await.unwrap());
        assert!(!store.cancel_waiting(message(2)).await.unwrap(), "it has ended");
        assert_eq!(store.begin(turn(2)).await.unwrap(), Begin::Gone);
        assert_eq!(state(&store, 2).await, TurnState::Ended(Outcome::Cancelled));
    }

    #[tokio::test]
    async fn a_file_stands_for_the_last_parts_until_it_is_refused() {
        let (_dir, store) = store();
        let file = FilePart { text: "see the file".to_owned(), content: "1\0\n2 月".to_owned(), after: 1 };
        for id in [1, 2] {
            store.accept(turn(id), false).await.unwrap();
            let end = finished(Outcome::Answered, &["one", "two", "three"]);
            let end = Finished { file: Some(file.clone()), ..end };
            assert!(store.finish(message(id), end).await.unwrap());
        }
        let part = |number, text: &str, file: Option<&str>, posted: Option<u64>| StoredPart {
            number,
            text: text.to_owned(),
            refused: false,
            file: file.map(str::to_owned),
            posted: posted.map(message),
        };
        let with_file =
            |posted| vec![part(1, "one", None, Some(11)), part(4, "see the file", Some("1\0\n2 月"), posted)];
        let without = |posted| {
            let rest = [part(2, "two", None, posted), part(3, "three", None, None)];
            [vec![part(1, "one", None, Some(11))], rest.to_vec()].concat()
        };
        let parts = async |id| store.undelivered(message(id)).await.unwrap().unwrap().parts;
        for id in [1, 2] {
            store.posted(message(id), 1, message(11)).await.unwrap();
            assert_eq!(parts(id).await, with_file(None));
        }

        // Once posted it cannot be refused any more.
        store.posted(message(1), 4, message(14)).await.unwrap();
        assert_eq!(store.without_file(message(1)).await.unwrap(), with_file(Some(14)));
        assert_eq!(store.undelivered(message(1)).await.unwrap(), None);

        assert_eq!(store.without_file(message(2)).await.unwrap(), without(None));
        store.posted(message(2), 2, message(12)).await.unwrap();
        assert_eq!(store.without_file(message(2)).await.unwrap(), without(Some(12)));
        assert_eq!(parts(2).await, without(Some(12)));
        store.posted(message(2), 3, message(13)).await.unwrap();
        assert_eq!(store.undelivered(message(2)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_refused_delivery_fails_its_turn_and_closes_once() {
        let (_dir, store) = store();
        store.accept(turn(1), false).await.unwrap();
        begin(&store, 1).await;
        store.finish(message(1), finished(Outcome::Answered, &["answer"])).await.unwrap();
        let refused = || DeliveryEnd::Refused("403".to_owned());
        assert!(store.close_delivery(message(1), refused()).await.unwrap());
        assert!(!store.close_delivery(message(1), DeliveryEnd::Stopped).await.unwrap());
        let row = store.turn(message(1)).await.unwrap().unwrap();
        assert_eq!(row.state, TurnState::Ended(Outcome::Failed));
        assert_eq!(row.delivery, Some(DeliveryState::Refused("403".to_owned())));

        store.say(direct_reply(2, &["hint"])).await.unwrap();
        assert!(store.close_delivery(message(2), refused()).await.unwrap());
        assert_eq!(store.undelivered(message(2)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn after_a_kill_everything_unfinished_is_there_in_order() {
        let (dir, store) = store();
        for id in [5, 3, 1, 8] {
            store.accept(turn(id), false).await.unwrap();
        }
        begin(&store, 3).await;
        begin(&store, 5).await;
        store.finish(message(5), finished(Outcome::Answered, &["one", "two"])).await.unwrap();
        store.posted(message(5), 1, message(51)).await.unwrap();
        store.cancel(message(8), Unwanted::Deleted).await.unwrap();
        store.say(direct_reply(4, &["hint"])).await.unwrap();
        store.say(direct_reply(6, &[])).await.unwrap();

        // What a process that is killed now leaves behind.
        let killed = dir.path().join("killed.db");
        for suffix in ["", "-wal", "-shm"] {
            let name = |base: &str| dir.path().join(format!("{base}.db{suffix}"));
            std::fs::copy(name("moonlane"), name("killed")).unwrap();
        }
        let after = Store::open(&killed).unwrap();
        let found = after.unfinished().await.unwrap();
        let found: Vec<_> = found.iter().map(|one| (one.message.get(), one.stage)).collect();
        assert_eq!(
            found,
            [
                (1, Remaining::Waiting(None)),
                (3, Remaining::Running(None)),
                (4, Remaining::Undelivered),
                (5, Remaining::Undelivered)
            ]
        );
        let delivery = after.undelivered(message(5)).await.unwrap().unwrap();
        assert_eq!(delivery.parts.iter().map(|p| p.posted).collect::<Vec<_>>(), [Some(message(51)), None]);
        assert!(after.finish(message(3), finished(Outcome::Interrupted, &["sorry"])).await.unwrap());
        assert_eq!(
            after.accept(turn(3), false).await.unwrap(),
            Accepted::Known,
            "delivered again after the restart"
        );
    }

    #[tokio::test]
    async fn why_a_running_turn_is_to_end_is_known_after_a_kill_and_the_first_reason_counts() {
        let (_dir, store) = store();
        for id in [1, 2, 3] {
            store.accept(turn(id), false).await.unwrap();
            begin(&store, id).await;
        }
        for why in [Unwanted::Stopped, Unwanted::Deleted] {
            assert_eq!(store.cancel(message(1), why).await.unwrap(), Cancel::Running);
        }
        store.cancel(message(2), Unwanted::Deleted).await.unwrap();
        assert!(!store.cancel_waiting(message(3)).await.unwrap());
        let stages: Vec<_> = store.unfinished().await.unwrap().into_iter().map(|one| one.stage).collect();
        let unwanted = [Some(Unwanted::Stopped), Some(Unwanted::Deleted), None];
        assert_eq!(stages, unwanted.map(Remaining::Running));
    }

    #[tokio::test]
    async fn the_prompt_of_a_command_is_answered_where_it_stands() {
        let (_dir, store) = store();
        store.accept(turn(1), false).await.unwrap();
        let theirs = Turn { prompt_message: PromptMessage::Theirs, ..turn(2) };
        store.accept(theirs.clone(), false).await.unwrap();
        for id in [1, 2] {
            store.set_prompt_message(message(id), message(10 + id)).await.unwrap();
            store.finish(message(id), finished(Outcome::Answered, &["x"])).await.unwrap();
        }
        assert_eq!(
            store.turn(message(1)).await.unwrap().unwrap().turn.prompt_message,
            PromptMessage::Posted(message(11))
        );
        assert_eq!(store.turn(message(2)).await.unwrap().unwrap().turn, theirs);
        let reply_to = async |id| store.undelivered(message(id)).await.unwrap().unwrap().answered;
        assert_eq!((reply_to(1).await, reply_to(2).await), (message(11), message(2)));
        let known = async |id| store.is_known(message(id)).await.unwrap();
        assert!(known(11).await && !known(12).await);
    }

    #[tokio::test]
    async fn what_a_turn_shows_is_known_until_it_is_gone() {
        let (_dir, store) = store();
        for id in [1, 2, 3] {
            store.accept(turn(id), id != 3).await.unwrap();
        }
        assert_eq!(store.shown().await.unwrap(), [], "what waits shows so rightly");
        for id in [1, 2, 3] {
            begin(&store, id).await;
        }
        store.set_live_line(message(2), Some(ShownMessage::Coming)).await.unwrap();
        store.set_live_line(message(3), Some(ShownMessage::Stands(message(30)))).await.unwrap();
        store.finish(message(2), finished(Outcome::Answered, &[])).await.unwrap();
        let shown = |id, hourglass, live_line| Shown {
            message: message(id),
            channel: turn(id).channel,
            thread: TurnThread::None,
            prompt_message: message(id),
            hourglass,
            live_line,
            notice: None,
        };
        let (coming, stands) = (Some(ShownMessage::Coming), Some(ShownMessage::Stands(message(30))));
        assert_eq!(
            store.shown().await.unwrap(),
            [shown(1, true, None), shown(2, true, coming), shown(3, false, stands)]
        );
        for id in [1, 2, 3] {
            store.set_hourglass(message(id), false).await.unwrap();
            store.set_live_line(message(id), None).await.unwrap();
        }
        assert_eq!(store.shown().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_session_becomes_live_by_a_result_which_tells_what_it_has_cost() {
        let (_dir, store) = store();
        let (channel, project) = (turn(1).channel, turn(1).project);
        let (first, second) = (SessionId::random(), SessionId::random());
        assert_eq!(store.session(channel, &project).await.unwrap(), None);
        store.put_session(channel, &project, first, PathBuf::from("/a b/月")).await.unwrap();
        let session = store.session(channel, &project).await.unwrap().unwrap();
        assert_eq!((session.id, session.live, session.turns), (first, false, 0));
        assert_eq!(session.dir, PathBuf::from("/a b/月"));

        // The id of the result, its cumulative cost, and what is known of that afterwards.
        let results =
            [(first, Some(100), 100), (first, None, 100), (first, Some(40), 40), (second, Some(30), 30)];
        for (id, (session_id, total, known)) in (1..).zip(results) {
            store.accept(turn(id), false).await.unwrap();
            begin(&store, id).await;
            let session = Some(SessionUpdate { id: session_id, cost: total.map(MicroUsd) });
            let end = Finished { session, ..finished(Outcome::Answered, &[]) };
            store.finish(message(id), end).await.unwrap();
            let session = store.session(channel, &project).await.unwrap().unwrap();
            assert_eq!((session.id, session.cost), (session_id, MicroUsd(known)), "turn {id}");
        }
        let session = store.session(channel, &project).await.unwrap().unwrap();
        assert_eq!((session.id, session.live, session.turns), (second, true, 4));
        assert_eq!(session.cost, MicroUsd(30));

        let other = ProjectName("other".to_owned());
        assert_eq!(store.session(channel, &other).await.unwrap(), None);
        assert!(!store.forget_session(channel, &other).await.unwrap());
        store.put_session(channel, &project, first, PathBuf::from("/b")).await.unwrap();
        let session = store.session(channel, &project).await.unwrap().unwrap();
        assert_eq!((session.id, session.live, session.turns, session.cost), (first, false, 0, MicroUsd(0)));
    }

    #[tokio::test]
    async fn what_a_turn_has_used_is_written_with_its_end_and_is_unknown_where_nobody_told() {
        let (_dir, store) = store();
        let used = TurnUsage {
            cost: Some(MicroUsd(0)),
            tokens: Some(Tokens { input: 1, output: 2, cache_read: u64::MAX >> 1, cache_write: 0 }),
            duration: Some(Duration::from_millis(1234)),
            model: Some("opus".to_owned()),
            tools: Some(7),
            context: Some(ContextFill { used: 9, window: Some(10) }),
            compaction: Some(Compaction { from: 154_000, to: 31_000 }),
        };
        let windowless =
            TurnUsage { context: Some(ContextFill { used: 9, window: None }), ..TurnUsage::default() };
        let told = [Some(used.clone()), Some(windowless.clone()), None];
        for (id, usage) in (1..).zip(told) {
            store.accept(turn(id), false).await.unwrap();
            begin(&store, id).await;
            assert_eq!(store.turn(message(id)).await.unwrap().unwrap().usage, None, "it is not over");
            let end = Finished { usage, ..finished(Outcome::Failed, &[]) };
            assert!(store.finish(message(id), end.clone()).await.unwrap());
            assert!(!store.finish(message(id), end).await.unwrap(), "it has ended already");
        }
        let usage = async |id| store.turn(message(id)).await.unwrap().unwrap().usage;
        assert_eq!(usage(1).await, Some(used.clone()));
        assert_eq!(usage(2).await, Some(windowless));
        assert_eq!(usage(3).await, Some(TurnUsage::default()), "an agent had it");

        // No agent got the prompt.
        store.accept(turn(4), false).await.unwrap();
        let end = Finished { usage: Some(used), ..finished(Outcome::Cancelled, &[]) };
        assert!(store.finish(message(4), end).await.unwrap());
        assert_eq!(usage(4).await, None);
    }

    /// A turn that ended now, of this person in this channel and project, with this cost.
    async fn spent(store: &Store, id: u64, person: u64, project: &str, channel: u64, cost: Option<u64>) {
        let author =
            Author { id: UserId::new(person).unwrap(), name: format!("p{person} {id}"), ..turn(1).author };
        let (project, channel) = (ProjectName(project.to_owned()), ChannelId::new(channel).unwrap());
        store.accept(Turn { author, project, channel, ..turn(id) }, false).await.unwrap();
        begin(store, id).await;
        let usage = TurnUsage {
            cost: cost.map(MicroUsd),
            tokens: cost.map(|cost| Tokens { input: cost, output: 2, cache_read: 3, cache_write: 4 }),
            duration: Some(Duration::from_millis(500)),
            tools: Some(2),
            ..TurnUsage::default()
        };
        let end = Finished { usage: Some(usage), ..finished(Outcome::Answered, &[]) };
        assert!(store.finish(message(id), end).await.unwrap());
        // No two of the same millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    #[tokio::test]
    async fn usage_is_summed_up_by_whatever_is_asked_for() {
        let (_dir, store) = store();
        spent(&store, 1, 1, "site", 7, Some(30)).await;
        spent(&store, 2, 2, "site", 8, Some(50)).await;
        spent(&store, 3, 2, "docs", 8, None).await;
        spent(&store, 4, 1, "docs", 8, Some(60)).await;
        let place = SeenChannel {
            channel: ChannelId::new(8).unwrap(),
            guild: crate::domain::GuildId::new(1).unwrap(),
            name: "den".to_owned(),
            parent: None,
            owner: None,
            archived: false,
            seen: message(1),
        };
        store.learn_places(vec![place]).await.unwrap();
        let sums = async |whose: Option<u64>, by| {
            let sums = store.usage(Millis(0), whose.and_then(UserId::new), by).await.unwrap();
            sums.into_iter()
                .map(|(name, sum)| format!("{name}: {} {} {}", sum.turns, sum.untold, sum.cost.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(sums(None, UsageBy::Project).await, ["site: 2 0 80", "docs: 2 1 60"]);
        assert_eq!(sums(None, UsageBy::User).await, ["p1 4: 2 0 90", "p2 3: 2 1 50"], "the latest names");
        assert_eq!(sums(None, UsageBy::Channel).await, ["den: 3 1 110", "7: 1 0 30"]);
        assert_eq!(sums(Some(2), UsageBy::Project).await, ["site: 1 0 50", "docs: 1 1 0"]);
        assert_eq!(sums(Some(9), UsageBy::Project).await, [""; 0]);
        let later = Millis(Millis::now().0 + 1);
        assert_eq!(store.usage(later, None, UsageBy::User).await.unwrap(), []);
        let all = store.usage(Millis(0), None, UsageBy::User).await.unwrap()[0].1;
        assert_eq!(all.tokens, Tokens { input: 90, output: 4, cache_read: 6, cache_write: 8 });
        assert_eq!((all.tools, all.duration), (4, Duration::from_secs(1)));

        // More than an integer holds is no error.
        for id in 5..8 {
            spent(&store, id, 3, "site", 7, Some(u64::MAX)).await;
        }
        assert!(store.usage(Millis(0), None, UsageBy::User).await.unwrap()[0].1.cost.0 > 1 << 62);
    }

    #[tokio::test]
    async fn a_limit_is_reached_by_what_it_is_about_and_the_one_that_opens_last_counts() {
        let (_dir, store) = store();
        spent(&store, 1, 1, "site", 7, Some(30)).await;
        spent(&store, 2, 2, "docs", 7, Some(50)).await;
        spent(&store, 3, 2, "docs", 7, None).await;
        let limit = |project: Option<&str>, person: Option<u64>, most| SpendingLimit {
            project: project.map(|name| ProjectName(name.to_owned())),
            person: person.and_then(UserId::new),
            most: MicroUsd(most),
        };
        let exhausted =
            async |limits: &[SpendingLimit], now| store.exhausted(limits.to_vec(), now).await.unwrap();
        let now = Millis::now();
        for (limit, is_reached) in [
            (limit(None, None, 80), true),
            (limit(None, None, 81), false),
            (limit(Some("site"), None, 30), true),
            (limit(Some("site"), None, 31), false),
            (limit(None, Some(2), 50), true),
            (limit(Some("site"), Some(2), 1), false),
            (limit(Some("docs"), Some(2), 50), true),
        ] {
            let found = exhausted(std::slice::from_ref(&limit), now).await;
            assert_eq!(found.map(|found| found.limit), is_reached.then_some(limit));
        }
        let both = [limit(Some("docs"), None, 1), limit(Some("site"), None, 1)];
        let last = exhausted(&both, now).await.unwrap();
        assert_eq!(last.limit, both[0]);
        assert!(last.opens > now && last.opens <= Millis(now.0 + 86_400_000));
        assert_eq!(exhausted(&both, last.opens).await, None, "it has opened");
        assert!(exhausted(&both, Millis(last.opens.0 - 1)).await.is_some());
        assert_eq!(exhausted(&[], now).await, None);
    }

    #[tokio::test]
    async fn a_session_forgotten_while_its_turn_runs_stays_forgotten() {
        let (_dir, store) = store();
        let (channel, project) = (turn(1).channel, turn(1).project);
        let id = SessionId::random();
        store.put_session(channel, &project, id, PathBuf::from("/")).await.unwrap();
        store.accept(turn(1), false).await.unwrap();
        begin(&store, 1).await;
        assert!(store.forget_session(channel, &project).await.unwrap());
        let session = Some(SessionUpdate { id, cost: Some(MicroUsd(u64::MAX)) });
        let end = Finished { session, ..finished(Outcome::Answered, &["answer"]) };
        assert!(store.finish(message(1), end).await.unwrap());
        assert_eq!(store.session(channel, &project).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_session_is_in_one_lane_at_a_time() {
        let (_dir, store) = store();
        let (here, project) = (turn(1).channel, turn(1).project);
        let there = ChannelId::new(8).unwrap();
        let (first, second) = (SessionId::random(), SessionId::random());
        store.put_session(here, &project, first, PathBuf::from("/")).await.unwrap();
        store.put_session(there, &project, second, PathBuf::from("/")).await.unwrap();
        // Neither is given the other's, nor takes it away.
        assert!(store.put_session(there, &project, first, PathBuf::from("/")).await.is_err());
        assert!(
            store.put_session(here, &ProjectName("other".into()), first, PathBuf::from("/")).await.is_err()
        );
        let id = |session: Option<Session>| session.map(|session| session.id);
        assert_eq!(id(store.session(here, &project).await.unwrap()), Some(first));
        assert_eq!(id(store.session(there, &project).await.unwrap()), Some(second));

        // The agent here tells that it went on in the other's: this channel begins anew, and the turn is kept.
        store.accept(turn(1), false).await.unwrap();
        begin(&store, 1).await;
        let session = Some(SessionUpdate { id: second, cost: Some(MicroUsd(5)) });
        let end = Finished { session, ..finished(Outcome::Answered, &["answer"]) };
        assert!(store.finish(message(1), end).await.unwrap());
        assert_eq!(id(store.session(here, &project).await.unwrap()), None);
        assert_eq!(id(store.session(there, &project).await.unwrap()), Some(second));
    }

    #[tokio::test]
    async fn sessions_are_listed_the_latest_first() {
        let (_dir, store) = store();
        assert_eq!(store.sessions().await.unwrap(), []);
        let [first, second] = [SessionId::random(), SessionId::random()];
        let (channel, project) = (turn(1).channel, turn(1).project);
        let there = ChannelId::new(u64::MAX).unwrap();
        store.put_session(channel, &project, first, PathBuf::from("/a")).await.unwrap();
        // Otherwise both are of the same millisecond.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        store.put_session(there, &project, second, PathBuf::from("/b")).await.unwrap();
        let listed = async || {
            let rows = store.sessions().await.unwrap();
            rows.into_iter()
                .map(|(row, _)| (row.channel, row.session.id, row.session.turns))
                .collect::<Vec<_>>()
        };
        assert_eq!(listed().await, [(there, second, 0), (channel, first, 0)]);

        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        store.accept(turn(1), false).await.unwrap();
        begin(&store, 1).await;
        let session = Some(SessionUpdate { id: first, cost: Some(MicroUsd(70)) });
        let end = Finished { session, ..finished(Outcome::Answered, &[]) };
        store.finish(message(1), end).await.unwrap();
        assert_eq!(listed().await, [(channel, first, 1), (there, second, 0)]);
        let model = NewChoice::Model(Some("opus".to_owned()));
        store.set_choice(channel, model).await.unwrap();
        let (row, ChannelRow { choice, .. }) = store.sessions().await.unwrap().remove(0);
        assert_eq!(choice.model.as_deref(), Some("opus"));
        assert_eq!((&row.project, row.session.cost), (&project, MicroUsd(70)));
        assert_eq!(Some(row.session), store.session(channel, &project).await.unwrap());

        assert!(store.forget_session(channel, &project).await.unwrap());
        assert_eq!(listed().await, [(there, second, 0)]);

        // The newest only, however many there are.
        for number in 1..=MAX_SESSIONS as u64 {
            let channel = ChannelId::new(number).unwrap();
            store.put_session(channel, &project, SessionId::random(), PathBuf::from("/a")).await.unwrap();
        }
        assert_eq!(listed().await.len(), MAX_SESSIONS);
    }

    #[tokio::test]
    async fn what_a_channel_chooses_is_kept_until_it_is_taken_back() {
        let (dir, store) = store();
        let [here, there] = [7, u64::MAX].map(|id| ChannelId::new(id).unwrap());
        let nothing = ChannelChoice::default();
        assert_eq!(store.channel(here).await.unwrap().choice, nothing);

        let opus = ChannelChoice { model: Some("opus".to_owned()), ..nothing.clone() };
        let model = |name: &str| NewChoice::Model(Some(name.to_owned()));
        assert_eq!(store.set_choice(here, model("opus")).await.unwrap().0, nothing);
        assert_eq!(store.channel(here).await.unwrap().choice, opus);
        for mode in ["default", "acceptEdits", "plan", "dontAsk", "auto", "bypassPermissions"] {
            let mode: PermissionMode = serde_json::from_value(mode.into()).unwrap();
            store.set_choice(here, NewChoice::PermissionMode(Some(mode))).await.unwrap();
            let chosen = store.channel(here).await.unwrap().choice;
            assert_eq!(chosen, ChannelChoice { permission_mode: Some(mode), ..opus.clone() });
        }
        assert_eq!(store.channel(there).await.unwrap().choice, nothing);
        store.set_choice(there, model("haiku")).await.unwrap();

        store.close().await;
        let again = Store::open(&dir.path().join("moonlane.db")).unwrap();
        let bypass = Some(PermissionMode::BypassPermissions);
        let both = ChannelChoice { permission_mode: bypass, ..opus };
        assert_eq!(again.channel(here).await.unwrap().choice, both);
        assert_eq!(again.set_choice(here, NewChoice::Model(None)).await.unwrap().0, both);
        let mode = ChannelChoice { permission_mode: bypass, ..nothing.clone() };
        assert_eq!(again.set_choice(here, NewChoice::PermissionMode(None)).await.unwrap().0, mode);
        assert_eq!(again.set_choice(here, NewChoice::PermissionMode(None)).await.unwrap().0, nothing);
        for verbosity in [Verbosity::Off, Verbosity::Line, Verbosity::Full] {
            again.set_choice(here, NewChoice::Verbosity(Some(verbosity))).await.unwrap();
            let alone = ChannelChoice { verbosity: Some(verbosity), ..nothing.clone() };
            assert_eq!(again.channel(here).await.unwrap().choice, alone);
        }
        assert_eq!(again.channel(there).await.unwrap().choice.model.as_deref(), Some("haiku"));
    }

    #[tokio::test]
    async fn a_step_that_panics_is_taken_back_and_told() {
        let (_dir, store) = store();
        store.accept(turn(1), false).await.unwrap();
        let broken = store.step(|tx| -> Result<(), StoreError> {
            tx.execute("DELETE FROM messages", ())?;
            panic!("on purpose");
        });
        let error = broken.await.unwrap_err();
        assert!(matches!(error, StoreError::Database(_)), "it is tried again: {error:?}");
        assert_eq!(store.panicked().await, "on purpose");
        assert_eq!(state(&store, 1).await, TurnState::Waiting);
        begin(&store, 1).await;
    }

    #[tokio::test]
    async fn a_closed_store_says_so_and_frees_the_file() {
        let (dir, store) = store();
        store.accept(turn(1), false).await.unwrap();
        let clone = store.clone();
        store.close().await;
        store.close().await;
        assert!(matches!(clone.accept(turn(2), false).await, Err(StoreError::Closed)));
        let again = Store::open(&dir.path().join("moonlane.db")).unwrap();
        assert_eq!(again.accept(turn(1), false).await.unwrap(), Accepted::Known);
    }
}
