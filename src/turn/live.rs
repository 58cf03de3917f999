//! The one small line that says that the agent is retrying.
//!
//! It is progress and not part of the answer, so it is not in the ledger: it is posted once a problem has lasted,
//! edited as it goes on, and deleted when it is over. What a bot that is killed in between leaves behind, the next one
//! deletes ([`shown`]).

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use super::task::Task;
use super::{Turns, shown};
use crate::agent::Progress;
use crate::domain::MessageId;
use crate::logging::chain;
use crate::outbox::{Notify, Post};
use crate::store::LiveLine;
use crate::text;

/// The shortest time between two edits.
const EDITED_EVERY: Duration = Duration::from_millis(1500);

/// Follows the progress of one turn. The line is removed when this is dropped.
pub struct LiveLineHandle {
    /// What the line should say now.
    wanted: watch::Sender<Option<String>>,
}

impl LiveLineHandle {
    /// Nothing is shown yet.
    pub fn new(turns: &Turns, task: Task) -> Self {
        let (wanted, changes) = watch::channel(None);
        let line = LiveLineTask { turns: turns.clone(), task, shown: None, lines: 0 };
        turns.0.tasks.spawn(line.follow(changes));
        Self { wanted }
    }

    /// Something happened in the turn.
    pub fn follow_progress(&self, progress: &Progress) {
        let line = match progress {
            Progress::Retrying { trouble, attempt, of } => {
                Some(text::small(&trouble.sentence(*attempt, *of)))
            }
            _ => None,
        };
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != line;
            *wanted = line;
            changed
        });
    }
}

impl Drop for LiveLineHandle {
    fn drop(&mut self) {
        self.wanted.send_replace(None);
    }
}

struct LiveLineTask {
    turns: Turns,
    task: Task,
    shown: Option<(MessageId, String)>,
    /// How many lines were posted so far.
    lines: u32,
}

impl LiveLineTask {
    /// Until the turn has ended.
    async fn follow(mut self, mut wanted: watch::Receiver<Option<String>>) {
        loop {
            if wanted.wait_for(Option::is_some).await.is_err() {
                // The turn has ended.
                return;
            }
            let shown_at = Instant::now() + self.turns.trouble_shown_after;
            let recovered = async { drop(wanted.wait_for(Option::is_none).await) };
            tokio::select! {
                () = recovered => continue,
                () = sleep_until(shown_at) => {}
            }
            loop {
                let line = wanted.borrow_and_update().clone();
                let Some(line) = line else { break };
                self.show(line).await;
                if wanted.changed().await.is_err() {
                    break;
                }
                // Not at every change; but the end is noticed at once.
                let ended = async { drop(wanted.wait_for(Option::is_none).await) };
                tokio::select! {
                    () = ended => {}
                    () = sleep(EDITED_EVERY) => {}
                }
            }
            self.remove().await;
        }
    }

    async fn show(&mut self, line: String) {
        let Task { message, channel, .. } = self.task;
        let outbox = &self.turns.outbox;
        match &self.shown {
            Some((_, shown)) if *shown == line => {}
            Some((posted, _)) => {
                let posted = *posted;
                match outbox.edit(channel, posted, &line).await {
                    Ok(()) => self.shown = Some((posted, line)),
                    Err(refused) => debug!(%refused, "the live line was not edited"),
                }
            }
            None => {
                // Each line of a turn is a message of its own.
                self.lines += 1;
                let nonce = format!("r-{message}-{}", self.lines % 100);
                let post = Post {
                    content: line.clone(),
                    nonce,
                    reply_to: Some(self.task.asked()),
                    notify: Notify::Nobody,
                    file: None,
                };
                let store = &self.turns.store;
                if let Err(error) = store.set_live_line(message, Some(LiveLine::Coming)).await {
                    return warn!(
                        error = chain(&error),
                        "the live line is not posted: it could not be removed later"
                    );
                }
                match outbox.post(channel, post).await {
                    Ok(posted) => {
                        self.shown = Some((posted, line));
                        if let Err(error) = store.set_live_line(message, Some(LiveLine::Stands(posted))).await
                        {
                            debug!(error = chain(&error), "cannot record where the live line is");
                        }
                    }
                    Err(refused) => debug!(%refused, "the live line was not posted"),
                }
            }
        }
    }

    async fn remove(&mut self) {
        let Some((posted, _)) = self.shown.take() else { return };
        shown::remove_live_line(&self.turns, self.task.channel, self.task.message, posted).await;
    }
}
