//! What a prompt is known by, and what the CLI says of it.

use serde::Deserialize;
use uuid::Uuid;

use super::elsewhere::message_id;

/// The id of one prompt of ours, as the CLI knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptId(pub Uuid);

impl PromptId {
    /// A new one.
    pub fn random() -> Self {
        Self(message_id())
    }
}

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
