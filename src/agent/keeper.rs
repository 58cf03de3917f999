//! Keeping an agent between two turns.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::SHUTDOWN_PATIENCE;
use super::events::AgentEvent;
use super::process::{Happening, Process};

/// What a keeper waits for.
pub struct KeeperTask {
    pub claim: CancellationToken,
    pub close: CancellationToken,
    pub closing: CancellationToken,
    pub idle_close: Duration,
    pub after_result: Duration,
}

impl KeeperTask {
    /// Keeps a process between two turns; returns it when claimed, or ends it.
    pub async fn keep(self, mut process: Process) -> Option<Process> {
        if process.ahead.is_some() {
            // It is at work for the next turn, which reads on from here.
            tokio::select! {
                biased;
                () = self.claim.cancelled() => return Some(process),
                () = self.closing.cancelled() => process.end(SHUTDOWN_PATIENCE, &self.claim).await,
                () = self.close.cancelled() => process.end(Duration::ZERO, &self.claim).await,
            }
            return None;
        }
        let settled = async {
            while process.is_busy() {
                if let Happening::Ended = process.next().await {
                    return;
                }
            }
        };
        tokio::select! {
            settled = timeout(self.after_result, settled) => if settled.is_err() {
                warn!(pid = process.pid(), "the agent did not become idle after its result");
                process.end(Duration::ZERO, &self.claim).await;
                return None;
            },
            () = self.closing.cancelled() => {}
        }

        let idle_close = sleep(self.idle_close);
        tokio::pin!(idle_close);
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {
                    process.end(SHUTDOWN_PATIENCE, &self.claim).await;
                    return None;
                }
                () = self.close.cancelled() => {
                    debug!(pid = process.pid(), "closing an agent that is not to be kept");
                    // Without hurry: whoever claims it now wants the session as it leaves it.
                    process.end(SHUTDOWN_PATIENCE, &CancellationToken::new()).await;
                    return None;
                }
                happening = process.next() => match happening {
                    Happening::Ended => {
                        info!(pid = process.pid(), exit = process.exit(), "the agent ended between turns");
                        process.end(Duration::ZERO, &self.claim).await;
                        return None;
                    }
                    Happening::Event(event) if begins_a_turn(&event) => {
                        warn!(pid = process.pid(), "the agent began a turn that nobody asked for");
                        process.end(Duration::ZERO, &self.claim).await;
                        return None;
                    }
                    // A flood of events must not keep the claim waiting.
                    Happening::Event(_) if self.claim.is_cancelled() => return Some(process),
                    Happening::Event(_) | Happening::Written => {}
                },
                () = self.claim.cancelled() => return Some(process),
                () = &mut idle_close => {
                    debug!(pid = process.pid(), "closing the idle agent");
                    process.end(self.after_result, &self.claim).await;
                    return None;
                }
            }
        }
    }
}

/// Whether an agent that should be idle is at work.
fn begins_a_turn(event: &AgentEvent) -> bool {
    matches!(
        event,
        AgentEvent::Running
            | AgentEvent::Assistant { .. }
            | AgentEvent::Delta(_)
            | AgentEvent::MayIUse { .. }
            | AgentEvent::Result(_)
    )
}
