//! Which turn it is, and where.

use crate::domain::{ChannelId, MessageId, UserId};
use crate::store::{PromptMessage, Turn};

/// What all steps of a turn need to know of it.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The message; the key of the turn.
    pub message: MessageId,
    /// Its channel; the key of the lane.
    pub channel: ChannelId,
    /// Who asked: slots are dealt to people.
    pub author: UserId,
    /// The message that is answered.
    pub prompt_message: PromptMessage,
    /// It was accepted by an earlier bot, which may have left its ⏳ on the message.
    pub recovered: bool,
    /// Its author was known to have access when it was accepted. Otherwise Discord did not say, and an author who turns
    /// out to have none is told nothing.
    pub let_in: bool,
}

impl Task {
    /// Of a turn that an earlier bot has accepted, or that begins without a message of its own just now: as one that has
    /// waited, so its prompt is looked for in the channel, and whether its person may still do this is asked before it begins.
    pub fn of_waiting(turn: &Turn) -> Self {
        let Turn { message, channel, prompt_message, .. } = *turn;
        Self { message, channel, author: turn.author.id, prompt_message, recovered: true, let_in: true }
    }

    /// The id of the message that is answered.
    pub fn asked(self) -> MessageId {
        self.prompt_message.id(self.message)
    }
}
