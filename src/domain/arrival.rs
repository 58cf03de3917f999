//! What becomes of a message that comes.

use serde::{Deserialize, Serialize};

/// What becomes of a message that comes while a turn runs in its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Busy {
    /// it waits
    #[default]
    Queue,
    /// it goes into that turn, or waits where it cannot
    Steer,
    /// it ends that turn, and goes next
    Interrupt,
}

/// Whether a message in a channel gets a thread of its own, with a session of its own. In a thread and in a forum's post a
/// turn always stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThreadMode {
    /// it is answered in the channel
    #[default]
    Never,
    /// each one opens a thread
    Message,
    /// each one does, but for a reply to a message that has opened one: that goes on there
    Task,
}
