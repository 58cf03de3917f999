//! The live line: the one silent message that shows a turn at work, or that it waits for a slot.
//!
//! It is progress and not part of the answer, so it is not in the ledger. It is posted once the turn has lasted for a
//! while, edited as the work goes on, less and less often, and deleted once the answer stands below it. There is at most one
//! call on its way: what happens meanwhile is in the next one, so nothing queues up. Once the agent is done, an
//! edit is dropped, and the post is waited for no longer than three seconds, so the answer hardly waits for either. What
//! a bot that is killed in between leaves behind, the next one deletes ([`shown`]).
//!
//! Where all of a turn is shown ([`Verbosity::Full`]), the line is not deleted in the end but becomes a file with all of it,
//! which takes one call as well. From then on it is a message like any other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{SetOnce, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::buttons::ButtonId;
use super::shown::{Attempt, ShownAs};
use super::task::Task;
use super::{Stop, StopReason, Turns, shown};
use crate::agent::Progress;
use crate::domain::{ButtonStyle, File, MessageId, Row, UserId, Verbosity};
use crate::outbox::{Outbox, Refused};
use crate::view::{self, View};
use crate::words::TAKE_IT_OUT;
use crate::words::live as words;

/// How long the line may take to become a file. What else is to be said in the channel waits meanwhile.
const FILED_WITHIN: Duration = Duration::from_secs(3);

fn button(turn: MessageId, label: &str) -> Row {
    Row::Buttons(vec![ButtonId::Stop(turn).button(label, ButtonStyle::Secondary)])
}

/// Shows one turn at work, or waiting for a slot; the line goes away when this is dropped.
pub struct LiveLineHandle {
    redactor: Outbox,
    asker: UserId,
    view: watch::Sender<View>,
    /// Set when the agent has its prompt.
    begun: Arc<SetOnce<BegunTurn>>,
    /// Cancelled when the agent is done.
    done: CancellationToken,
}

/// What the line of a turn at work needs to know.
#[derive(Clone)]
struct BegunTurn {
    at: Instant,
    /// Where the project is; paths are shown relative to it.
    dir: PathBuf,
    verbosity: Verbosity,
    typing: AbortHandle,
}

impl LiveLineHandle {
    /// Nothing is shown yet.
    pub fn start(turns: &Turns, task: Task, stop: Arc<Stop>) -> Self {
        let (view, changes) = watch::channel(View::new(0));
        let (begun, done) = (Arc::new(SetOnce::new()), CancellationToken::new());
        let line = LiveLineTask { turns: turns.clone(), task, stop, done: done.clone(), stands: None };
        turns.0.tasks.spawn(line.follow(Arc::clone(&begun), changes));
        Self { redactor: turns.outbox.clone(), asker: task.author, view, begun, done }
    }

    /// The turn is written as running. Before that no line shows it at work, for then the turn may begin once more.
    /// `typing` ends once the line stands, for it says the same and costs less.
    pub fn begin(&self, dir: PathBuf, verbosity: Verbosity, typing: AbortHandle) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.view.send_replace(match verbosity {
            Verbosity::Off | Verbosity::Line => View::new(now).of(self.asker),
            Verbosity::Full => View::detailed(now).of(self.asker),
        });
        // A turn begins once.
        let _ = self.begun.set(BegunTurn { at: Instant::now(), dir, verbosity, typing });
    }

    /// The agent is done: the line stays as it is until this is dropped.
    pub fn freeze(&self) {
        self.done.cancel();
    }

    /// Something happened in the turn.
    pub fn hear(&self, step: &Progress) {
        let redact = |text: &str| self.redactor.redact(text).into_owned();
        self.view.send_if_modified(|view| view.take(step, redact));
    }
}

impl Drop for LiveLineHandle {
    /// Also where a turn panics before it has begun: the task must not wait for that.
    fn drop(&mut self) {
        self.done.cancel();
    }
}

/// The line itself, in a task of its own.
struct LiveLineTask {
    turns: Turns,
    task: Task,
    /// When it is stopped, the line says so at once.
    stop: Arc<Stop>,
    done: CancellationToken,
    stands: Option<LineState>,
}

/// What is known of the line in the channel.
enum LineState {
    /// It stands there with this text.
    Surely(MessageId, String),
    /// Discord has not said whether it has posted it.
    Perhaps,
}

impl LiveLineTask {
    /// Until the answer stands, or the turn is over without one.
    async fn follow(mut self, begun: Arc<SetOnce<BegunTurn>>, mut view: watch::Receiver<View>) {
        if self.task.recovered {
            shown::remove_left_behind(&self.turns, self.task).await;
        }
        let begun = self.show_waiting(&begun).await;
        if let Some(begun) = begun {
            self.show_work(&begun, &mut view).await;
        }
        if self.stands.is_none() {
            return;
        }
        // Until the answer stands.
        while view.changed().await.is_ok() {}
        let whole = view.borrow().whole();
        match whole {
            Some((calls, text)) => self.file(calls, text).await,
            None => self.remove().await,
        }
    }

    /// Shows the turn's place among those that wait for a slot, until it begins; `None` where it never does.
    async fn show_waiting(&mut self, begun: &SetOnce<BegunTurn>) -> Option<BegunTurn> {
        let Task { message, channel, .. } = self.task;
        let times = self.turns.live_times;
        let done = self.done.clone();
        let mut pause = times.shown_after;
        loop {
            // Looked at now and then: where many wait, each that begins changes the places of all the others.
            tokio::select! {
                biased;
                begun = begun.wait() => return Some(begun.clone()),
                () = done.cancelled() => return None,
                () = sleep(pause) => {}
            }
            let Some(place) = self.turns.lanes.place_for_slot(channel, message) else { continue };
            let line = view::waiting(place);
            if !self.is_shown(&line) && self.verbosity().await != Verbosity::Off {
                self.show(line, vec![button(message, TAKE_IT_OUT)]).await;
            }
            pause = times.most_pause;
        }
    }

    /// Shows what the turn does, until it is over.
    async fn show_work(&mut self, begun: &BegunTurn, view: &mut watch::Receiver<View>) {
        if begun.verbosity == Verbosity::Off {
            return;
        }
        let times = self.turns.live_times;
        let (stop, done) = (self.stop.token.clone(), self.done.clone());
        if self.stands.is_none() {
            tokio::select! {
                () = done.cancelled() => return,
                is_over = is_over_by(begun.at + times.shown_after, view) => if is_over { return },
            }
            if stop.is_cancelled() {
                return;
            }
        }
        loop {
            let is_stopping = stop.is_cancelled();
            let mut now = view.borrow_and_update().clone();
            if is_stopping {
                now.stop();
            }
            let drawn = now.draw(&begun.dir);
            let rows = if is_stopping { Vec::new() } else { vec![button(self.task.message, "Stop")] };
            self.show(drawn, rows).await;
            if self.stands.is_some() {
                begun.typing.abort();
            }
            let next = Instant::now() + times.pause(begun.at.elapsed());
            let changed = async { view.changed().await.is_err() || is_over_by(next, view).await };
            let is_over = tokio::select! {
                () = done.cancelled() => true,
                // Whoever has stopped the turn sees at once that this was heard.
                () = stop.cancelled(), if !is_stopping => false,
                is_over = changed => is_over,
            };
            if is_over {
                return;
            }
        }
    }

    /// What the channel is to see.
    async fn verbosity(&self) -> Verbosity {
        let Task { message, channel, .. } = self.task;
        let store = &self.turns.store;
        let chosen = store.channel(channel).await.ok().and_then(|channel| channel.choice.verbosity);
        let project = store.turn(message).await.ok().flatten().map(|row| row.turn.project);
        let scripts = self.turns.scripts.borrow().clone();
        let own = || Some(scripts.project(&project?)?.live);
        chosen.or_else(own).unwrap_or_default()
    }

    /// Whether this is shown already, or nothing more can be.
    fn is_shown(&self, line: &str) -> bool {
        match &self.stands {
            None => false,
            Some(LineState::Surely(_, shown)) => shown == line,
            Some(LineState::Perhaps) => true,
        }
    }

    /// Turns the line into a file with all that the turn did. Where that does not work, the line goes.
    async fn file(self, calls: usize, text: String) {
        let Task { message, channel, .. } = self.task;
        // Nobody wants anything of a turn whose message is deleted.
        let is_wanted = self.stop.reason() != Some(StopReason::Deleted);
        if let (true, Some(LineState::Surely(posted, _))) = (is_wanted, &self.stands) {
            let file = File { name: words::WORK_FILE.to_owned(), content: text };
            let filed = self.turns.outbox.edit_with_file(channel, *posted, words::what_was_done(calls), file);
            match timeout(FILED_WITHIN, filed).await {
                Ok(Ok(())) => return shown::forget(&self.turns, message, ShownAs::LiveLine).await,
                Ok(Err(refused)) => debug!(%refused, "the live line did not become a file"),
                Err(_) => debug!("the live line did not become a file in time"),
            }
        }
        self.remove().await;
    }

    async fn show(&mut self, line: String, rows: Vec<Row>) {
        match &self.stands {
            None => self.post(line, rows).await,
            Some(LineState::Surely(_, shown)) if *shown == line => {}
            Some(LineState::Surely(posted, _)) => {
                let posted = *posted;
                let edited = tokio::select! {
                    () = self.done.cancelled() => return,
                    edited = self.turns.outbox.edit(self.task.channel, posted, &line, &rows) => edited,
                };
                match edited {
                    Ok(()) => self.stands = Some(LineState::Surely(posted, line)),
                    Err(refused) => {
                        debug!(%refused, "the live line was not edited");
                        self.freeze_unless_passing(&refused);
                    }
                }
            }
            Some(LineState::Perhaps) => {}
        }
    }

    async fn post(&mut self, line: String, rows: Vec<Row>) {
        let posting = shown::post(&self.turns, self.task, ShownAs::LiveLine, line.clone(), rows, &self.done);
        match posting.await {
            Attempt::Posted(posted) => self.stands = Some(LineState::Surely(posted, line)),
            Attempt::Unclear => self.stands = Some(LineState::Perhaps),
            Attempt::NotNow | Attempt::Over => {}
            Attempt::Refused(refused) => self.freeze_unless_passing(&refused),
        }
    }

    /// Where the bot may not do it, or the line is gone, another try would only be refused again.
    fn freeze_unless_passing(&self, refused: &Refused) {
        if !matches!(refused, Refused::GaveUp { .. }) {
            self.done.cancel();
        }
    }

    async fn remove(self) {
        let Task { message, channel, .. } = self.task;
        match self.stands {
            Some(LineState::Surely(posted, _)) => {
                shown::remove_live_line(&self.turns, channel, message, posted).await;
            }
            Some(LineState::Perhaps) => {
                let (asked, reply_to) = (self.task.asked(), self.task.reply_to());
                shown::find_live_line(&self.turns, channel, message, asked, reply_to).await;
            }
            None => {}
        }
    }
}

/// Waits until then, or until the turn is over; whether it is.
async fn is_over_by(then: Instant, view: &mut watch::Receiver<View>) -> bool {
    let over = async { while view.changed().await.is_ok() {} };
    timeout_at(then, over).await.is_ok()
}
