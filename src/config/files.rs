//! `[files]`: how long the files of messages are kept, and how much of them.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use super::values;

/// `[files]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// How long the files of a message are kept.
    #[serde(deserialize_with = "values::duration")]
    pub keep: Duration,
    /// Files over this size are not fetched.
    pub max_file: ByteSize,
    /// Nor are those of one message that together exceed this.
    pub max_message: ByteSize,
    /// Where all that are kept take more than this, the oldest go.
    pub max_total: ByteSize,
    /// Where they are kept: `files` beside the database.
    #[serde(skip)]
    pub dir: PathBuf,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(7 * 24 * 60 * 60),
            max_file: ByteSize::mib(25),
            max_message: ByteSize::mib(100),
            max_total: ByteSize::gib(2),
            dir: PathBuf::new(),
        }
    }
}
