//! Which turn it is, and where.

use crate::domain::{ChannelId, MessageId, UserId};
use crate::store::{PromptMessage, Turn, TurnThread};

/// What all steps of a turn need to know of it.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The message; the key of the turn.
    pub message: MessageId,
    /// Its channel; the key of the lane.
    pub channel: ChannelId,
    /// Where its message is.
    pub thread: TurnThread,
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
        let Turn { message, channel, thread, prompt_message, .. } = *turn;
        Self {
            message,
            channel,
            thread,
            author: turn.author.id,
            prompt_message,
            recovered: true,
            let_in: true,
        }
    }

    /// The id of the message that is answered.
    pub fn asked(self) -> MessageId {
        self.prompt_message.id(self.message)
    }

    /// The channel that the answered message is in.
    pub fn asked_in(self) -> ChannelId {
        self.thread.asked_in(self.channel)
    }

    /// The channel in which what is to be said now is said.
    pub fn said_in(self) -> ChannelId {
        self.thread.said_in(self.channel)
    }

    /// What a message there can reply to: nothing, where the answered one is elsewhere.
    pub fn reply_to(self) -> Option<MessageId> {
        (!self.thread.is_open()).then(|| self.asked())
    }
}
