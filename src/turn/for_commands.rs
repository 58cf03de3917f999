//! What commands do with turns.

use tracing::warn;

use crate::domain::{ChannelId, Message, MessageId, UserId, Work};
use crate::logging::chain;
use crate::script::ScriptSet;
use crate::store::{PromptMessage, StoreError, Unwanted};

use super::shares::TooMuch;
use super::{StopReason, Stopped, Turns, intake};

impl Turns {
    /// Starts a turn that this person has asked by a command: `message` says what, under an id of the command's use.
    /// The bot posts the prompt; the gate is asked once more. Returns `false`, and does nothing, once the bot stops.
    pub async fn start(&self, scripts: &ScriptSet, message: Message, work: Work) -> bool {
        // The bot's end waits for what got past this, so that it is written down as a whole.
        let _begins = self.0.tasks.token();
        if self.0.ending.is_cancelled() {
            return false;
        }
        intake::start(self, scripts, message, work, PromptMessage::Coming, true).await;
        true
    }

    /// The refusal for somebody who has too much under way to ask more in this channel; `made` is the time in the id of
    /// the new request.
    pub fn too_much(&self, channel: ChannelId, person: UserId, made: u64) -> Option<String> {
        let shares = &self.0.shares;
        let is_full = self.lanes.waiting(channel, person) >= shares.waiting();
        let why = is_full.then_some(TooMuch::Waiting(channel));
        let why = why.or_else(|| shares.is_too_fast(person, made).then_some(TooMuch::Messages));
        why.map(|why| shares.sentence(why))
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

    /// Ends a running turn, and its person is told that somebody did. If the turn has ended already, the rest of its
    /// answer is not posted. `None` if there is no such turn any more.
    pub async fn stop(&self, turn: MessageId) -> Option<Stopped> {
        let stop = self.stops().get(&turn).cloned()?;
        let stopped = stop.stop(StopReason::Asked);
        // In case the bot dies before the turn has ended.
        if let Err(error) = self.store.note_unwanted(turn, Unwanted::Stopped).await {
            warn!(error = chain(&error), "cannot record that a turn was stopped");
        }
        Some(stopped)
    }

    /// Ends a turn that is at work; false where it is over already, and what it has to say stays.
    pub async fn stop_work(&self, turn: MessageId) -> bool {
        let is_at_work = self.stops().get(&turn).is_some_and(|stop| !stop.is_closed());
        is_at_work && self.stop(turn).await.is_some()
    }

    /// Takes a waiting turn out of its lane. Returns whether it was still waiting.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_out(&self, turn: MessageId) -> Result<bool, StoreError> {
        let stop = self.stops().get(&turn).cloned();
        // Meanwhile it is not put into another turn.
        let _edits = match &stop {
            Some(stop) => Some(stop.edits.lock().await),
            None => None,
        };
        if let Some(stop) = &stop {
            stop.recall().await;
        }
        let cancelled = self.store.cancel_waiting(turn).await?;
        if let Some(stop) = stop.as_ref().filter(|_| cancelled) {
            stop.stop(StopReason::Deleted);
        }
        Ok(cancelled)
    }
}
