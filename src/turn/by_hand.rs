//! What commands do with turns.

use crate::domain::{ChannelId, Message, MessageId, Work};
use crate::script::ScriptSet;
use crate::store::{Cancel, StoreError};

use super::{StopReason, Turns, intake};

impl Turns {
    /// Starts a turn with a message that the bot has posted itself for this person; the gate is asked once more.
    pub async fn start(&self, scripts: &ScriptSet, message: Message, work: Work) {
        intake::start(self, scripts, message, work, true).await;
    }

    /// The turn that runs in this channel.
    pub fn running(&self, channel: ChannelId) -> Option<MessageId> {
        self.queue(channel).into_iter().find(|(_, running)| *running).map(|(turn, _)| turn)
    }

    /// The turns of this channel in order, and whether each runs.
    pub fn queue(&self, channel: ChannelId) -> Vec<(MessageId, bool)> {
        let view = self.lanes.view().into_iter().find(|lane| lane.channel == channel);
        let Some(lane) = view else { return Vec::new() };
        let running = lane.running.map(|(turn, _)| (turn, true));
        running.into_iter().chain(lane.waiting.into_iter().map(|(turn, _)| (turn, false))).collect()
    }

    /// How many turns run, and how many wait, over all channels.
    pub fn counts(&self) -> (usize, usize) {
        let lanes = self.lanes.view();
        let running = lanes.iter().filter(|lane| lane.running.is_some()).count();
        (running, lanes.iter().map(|lane| lane.waiting.len()).sum())
    }

    /// Ends a turn that runs; its person hears that somebody has. Of one that has ended already, the rest of what it has
    /// to say is not said. False where there is no such turn any more.
    pub fn stop(&self, turn: MessageId) -> bool {
        let stop = self.stops().get(&turn).cloned();
        stop.inspect(|stop| stop.stop(StopReason::Asked)).is_some()
    }

    /// Takes a waiting turn out of its lane; whether it was still waiting.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn take_out(&self, turn: MessageId) -> Result<bool, StoreError> {
        let cancelled = self.store.cancel(turn).await? == Cancel::Cancelled;
        if cancelled && let Some(stop) = self.stops().get(&turn) {
            stop.stop(StopReason::Deleted);
        }
        Ok(cancelled)
    }
}
