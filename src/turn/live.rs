//! The live line: the one silent message that shows a turn at work.
//!
//! It is progress and not part of the answer, so it is not in the ledger. It is posted once the turn has lasted for a
//! while, edited as the work goes on, less and less often, and deleted once the answer stands below it. There is at most one
//! call on its way: what happens meanwhile is in the next one, so nothing queues up. Once the agent is done, an
//! edit is dropped, and the post is waited for no longer than [`POSTED_WITHIN`], so the answer hardly waits for either. What a bot that is killed in between leaves
//! behind, the next one deletes ([`shown`]).

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::task::Task;
use super::{Turns, shown};
use crate::agent::Progress;
use crate::domain::{Action, Button, ButtonStyle, MessageId, Row};
use crate::logging::chain;
use crate::outbox::{Notify, Outbox, Post, Refused};
use crate::store::LiveLine;
use crate::view::View;

/// How long the post of the line may take. An answer that comes meanwhile waits for it.
const POSTED_WITHIN: Duration = Duration::from_secs(3);

/// What the id of a Stop button begins with; the turn's own id follows.
const STOP: &str = "stop:";

/// The turn that a press of this button is to stop, where it is such a button.
pub fn turn_to_stop(custom_id: &str) -> Option<MessageId> {
    custom_id.strip_prefix(STOP)?.parse().ok()
}

fn stop_button(turn: MessageId) -> Row {
    let press = Action::Press { custom_id: format!("{STOP}{turn}"), style: ButtonStyle::Secondary };
    Row::Buttons(vec![Button { label: "Stop".to_owned(), action: press, disabled: false }])
}

/// Shows one turn at work; the line goes away when this is dropped.
pub struct LiveLineHandle {
    redactor: Outbox,
    view: watch::Sender<View>,
    /// Cancelled when the agent has its prompt.
    begun: CancellationToken,
    /// Cancelled when the agent is done.
    done: CancellationToken,
}

impl LiveLineHandle {
    /// Nothing is shown yet. `typing` ends once the line stands, for it says the same and costs less. When `stop` is
    /// cancelled, the line says at once that the turn stops.
    pub fn start(
        turns: &Turns,
        task: Task,
        dir: PathBuf,
        typing: AbortHandle,
        stop: CancellationToken,
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (view, changes) = watch::channel(View::new(now));
        let (begun, done) = (CancellationToken::new(), CancellationToken::new());
        let line =
            LiveLineTask { turns: turns.clone(), task, dir, typing, stop, done: done.clone(), stands: None };
        turns.0.tasks.spawn(line.follow(begun.clone(), changes));
        Self { redactor: turns.outbox.clone(), view, begun, done }
    }

    /// The turn is written as running. Before that no line is posted, for then the turn may begin once more.
    pub fn begin(&self) {
        self.begun.cancel();
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
    /// Where the project is; paths are shown relative to it.
    dir: PathBuf,
    typing: AbortHandle,
    stop: CancellationToken,
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
    async fn follow(mut self, has_begun: CancellationToken, mut view: watch::Receiver<View>) {
        let times = self.turns.live_times;
        let begun = Instant::now();
        let (stop, done) = (self.stop.clone(), self.done.clone());
        tokio::select! {
            () = done.cancelled() => return,
            () = has_begun.cancelled() => {}
        }
        tokio::select! {
            () = done.cancelled() => return,
            is_over = is_over_by(begun + times.shown_after, &mut view) => if is_over { return },
        }
        if stop.is_cancelled() {
            return;
        }
        loop {
            let is_stopping = stop.is_cancelled();
            let mut now = view.borrow_and_update().clone();
            if is_stopping {
                now.stop();
            }
            let drawn = now.draw(&self.dir);
            let rows = if is_stopping { Vec::new() } else { vec![stop_button(self.task.message)] };
            self.show(drawn, rows).await;
            let next = Instant::now() + times.pause(begun.elapsed());
            let changed = async { view.changed().await.is_err() || is_over_by(next, &mut view).await };
            let is_over = tokio::select! {
                () = done.cancelled() => true,
                // Whoever has stopped the turn sees at once that this was heard.
                () = stop.cancelled(), if !is_stopping => false,
                is_over = changed => is_over,
            };
            if is_over {
                break;
            }
        }
        // Until the answer stands.
        while view.changed().await.is_ok() {}
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
        let Task { message, channel, .. } = self.task;
        let store = &self.turns.store;
        if let Err(error) = store.set_live_line(message, Some(LiveLine::Coming)).await {
            return warn!(error = chain(&error), "no live line is posted that could not be removed later");
        }
        if self.done.is_cancelled() {
            return shown::forget_live_line(&self.turns, message).await;
        }
        let post = Post {
            content: line.clone(),
            nonce: format!("r-{message}"),
            reply_to: Some(self.task.asked()),
            notify: Notify::Nobody,
            file: None,
            rows,
        };
        match timeout(POSTED_WITHIN, self.turns.outbox.post(channel, post)).await {
            Ok(Ok(posted)) => {
                self.typing.abort();
                self.stands = Some(LineState::Surely(posted, line));
                if let Err(error) = store.set_live_line(message, Some(LiveLine::Stands(posted))).await {
                    debug!(error = chain(&error), "cannot record where the live line is");
                }
            }
            Ok(Err(Refused::GaveUp { .. })) | Err(_) => self.stands = Some(LineState::Perhaps),
            Ok(Err(refused)) => {
                debug!(%refused, "the live line was not posted");
                self.freeze_unless_passing(&refused);
                shown::forget_live_line(&self.turns, message).await;
            }
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
                shown::find_live_line(&self.turns, channel, message, self.task.asked()).await;
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
