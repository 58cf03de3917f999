//! Which turn it is, and where.

use crate::domain::{ChannelId, MessageId, UserId};
use crate::store::Question;

/// What all steps of a turn need to know of it.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The message; the key of the turn.
    pub message: MessageId,
    /// Its channel; the key of the lane.
    pub channel: ChannelId,
    /// Whose it is: slots are dealt to people.
    pub author: UserId,
    /// The message that is answered.
    pub question: Question,
    /// It was accepted by an earlier bot, which may have left its ⏳ on the message.
    pub recovered: bool,
    /// Its author was let in when it was accepted. Otherwise Discord did not say, and who turns out not to be let in
    /// hears nothing.
    pub let_in: bool,
}

impl Task {
    /// The message that is answered, where it stands.
    pub fn asked(self) -> MessageId {
        self.question.id(self.message)
    }
}
