//! The key `context` of a project.

use serde::Deserialize;

use super::data::BadValue;

/// As many as Discord gives in one call.
const MOST: f64 = 100.0;

/// What was said in the channel before a prompt.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct RawContext {
    /// How many messages at most, since the turn before; 100 at most.
    ///
    /// Lua: `integer`
    messages: f64,
}

impl RawContext {
    /// How many messages go with a prompt, or what is wrong with that.
    pub(super) fn checked(self) -> Result<usize, BadValue> {
        match self.messages {
            // In that range, nothing is lost.
            count if (0.0..=MOST).contains(&count) && count.fract() == 0.0 => Ok(count as usize),
            _ => Err(BadValue::here("must be a whole number from 0 to 100")),
        }
    }
}
