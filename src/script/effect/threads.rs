//! What a script passes about threads.

use serde::Deserialize;

/// The longest name of a thread that a script can give, in characters; what does not fit in Discord's 100 is left out.
pub const MAX_NAME: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawOpenThread {
    /// Its name; of a long one, the first words.
    pub name: String,
}
