//! "… is typing", while a turn is at work.

use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep;

use crate::domain::ChannelId;
use crate::outbox::Outbox;

/// Discord shows "typing" for about ten seconds after each call.
const TYPING_EVERY: Duration = Duration::from_secs(8);

/// Shows "typing" in a channel until it is dropped.
pub struct Typing(JoinHandle<()>);

impl Typing {
    /// From now on.
    pub fn start(outbox: Outbox, channel: ChannelId) -> Self {
        Self(tokio::spawn(async move {
            loop {
                outbox.typing(channel).await;
                sleep(TYPING_EVERY).await;
            }
        }))
    }

    /// Ends it although this is not dropped yet.
    pub fn abort_handle(&self) -> AbortHandle {
        self.0.abort_handle()
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        self.0.abort();
    }
}
