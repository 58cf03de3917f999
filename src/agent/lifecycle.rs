//! What shows that an agent is at work on a message.

use serde::Deserialize;

use super::events::AgentEvent;
use super::further::PromptId;

/// What `command_lifecycle` says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// It was read, and waits.
    Queued,
    /// A turn has taken it in.
    Started,
    /// Its turn has ended well.
    Completed,
    /// Its turn has ended otherwise, or it was withdrawn. The session may hold it all the same.
    Cancelled,
    /// A word that we do not know.
    #[serde(other)]
    Other,
}

impl AgentEvent {
    /// Whether it shows that a turn has begun, or that the message with this id was read. What is left of an earlier turn,
    /// and an answer to a control request, which a process gives in every state, show neither.
    pub fn shows_work_on(&self, message: Option<PromptId>) -> bool {
        match self {
            Self::Lifecycle { message: of, state } => {
                Some(*of) == message && !matches!(state, MessageState::Other)
            }
            Self::Reply { .. }
            | Self::Idle
            | Self::Mode(_)
            | Self::WritesLost
            | Self::PassedOver
            | Self::Unknown { .. }
            | Self::Unreadable { .. } => false,
            _ => true,
        }
    }
}
