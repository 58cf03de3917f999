//! Which turn it is, and where.

use crate::domain::{ChannelId, MessageId, UserId};
use crate::store::PromptMessage;

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
    pub question: PromptMessage,
    /// It was accepted by an earlier bot, which may have left its ⏳ on the message.
    pub recovered: bool,
    /// Its author was known to have access when it was accepted. Otherwise Discord did not say, and an author who turns
    /// out to have none is told nothing.
    pub let_in: bool,
}

impl Task {
    /// The id of the message that is answered.
    pub fn asked(self) -> MessageId {
        self.question.id(self.message)
    }
}
