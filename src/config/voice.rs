//! `[voice]`: a program that turns voice messages into text.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::values;

/// `[voice]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VoiceConfig {
    /// A program that turns voice messages into text, and its arguments: it reads the recording from its standard input and prints
    /// the text. It runs as the bot's own user. If empty, agents get the recording alone.
    pub command: Vec<String>,
    /// How long it may run.
    #[serde(deserialize_with = "values::duration")]
    pub time_limit: Duration,
    /// Environment variables that it gets in addition to `PATH`, `HOME` and the like.
    pub pass_env: Vec<String>,
    /// Where it runs: the root.
    #[serde(skip)]
    pub dir: PathBuf,
}

impl Default for VoiceConfig {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            time_limit: Duration::from_secs(2 * 60),
            pass_env: Vec::new(),
            dir: PathBuf::new(),
        }
    }
}
