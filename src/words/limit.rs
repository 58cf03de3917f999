//! What is said about the usage limit of the account's subscription.

use crate::store::{Continuation, Millis};
use crate::text;

/// The prompt of a turn that goes on: the session holds what was asked.
pub const CONTINUE: &str = "Continue.";

/// On the buttons below a refused turn.
pub const CONTINUE_THEN: &str = "Continue then";
pub const LEAVE_IT: &str = "Leave it";
pub const CANCEL: &str = "Cancel";

/// To a press of somebody else.
pub const NOT_YOURS_TO_CONTINUE: &str = "Only the person who asked, or an operator, may decide this.";
/// To a press that comes too late.
pub const DECIDED: &str = "This is decided already.";
/// To a press that could not be written down.
pub const NOT_DECIDED: &str = "I could not save that. Please press again.";

/// Why a turn has no answer; when the limit is reset stands below.
pub fn usage_limit() -> String {
    "The account's usage limit is reached.".to_owned()
}

/// The last line of a refused turn's answer: what comes of it.
pub fn what_comes_of_it(continuation: Continuation) -> String {
    match continuation {
        Continuation::Offered(resets) | Continuation::Left(resets) => format!("Resets <t:{resets}:R>."),
        Continuation::Wanted(Millis(due)) => format!("Goes on <t:{}:R>.", due.div_euclid(1000)),
        Continuation::Begun => "Goes on now.".to_owned(),
        Continuation::Dropped => "This does not go on: its conversation or its question is gone.".to_owned(),
    }
}

/// The note below what a turn says that goes on with a refused one.
pub fn goes_on() -> String {
    text::small("I went on with this because the usage limit was reset")
}

/// The note below an answer when a limit is near: in per cent of what the account may use, with the reset in Unix seconds.
pub fn warning(kind: &str, used: Option<u8>, resets: u64) -> String {
    let limit = match kind {
        "five_hour" => "5-hour limit",
        "seven_day" => "weekly limit",
        "seven_day_opus" => "weekly limit of Opus",
        "seven_day_sonnet" => "weekly limit of Sonnet",
        _ => "usage limit",
    };
    match used {
        Some(used) => {
            text::small(&format!("{used} % of the account's {limit} is used; it resets <t:{resets}:R>"))
        }
        None => text::small(&format!("The account's {limit} is nearly reached; it resets <t:{resets}:R>")),
    }
}
