//! What a channel sees of its turns at work.

use serde::{Deserialize, Serialize};

/// How much of a turn at work is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// only that the bot is typing
    Off,
    /// one message with what Claude is about, which goes once the answer stands
    #[default]
    Line,
    /// also what goes into each tool and comes out of it; that stays, as a file
    Full,
}

impl Verbosity {
    /// The name as scripts use it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Line => "line",
            Self::Full => "full",
        }
    }
}
