//! What messages about turns at work say.

use crate::domain::ChannelId;
use crate::text;

/// The file with all that a turn did.
pub const WORK_FILE: &str = "work.txt";

/// Beside that file.
pub fn what_was_done(calls: usize) -> String {
    text::small(&match calls {
        0 => "What I thought".to_owned(),
        1 => "What I did: 1 call of a tool".to_owned(),
        _ => format!("What I did: {calls} calls of tools"),
    })
}

/// To operators: Discord does not take the board.
pub fn board_refused(channel: ChannelId) -> String {
    format!(
        "I can't show the board in <#{channel}>, so it is off. See that I may post there, then use `/board on` again."
    )
}
