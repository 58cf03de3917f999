//! What people and operators are told about scripts.

use crate::script::{EntryPoint, FailureKind, ScriptError};

impl ScriptError {
    /// One plain sentence for the channel.
    pub fn sentence(&self) -> &'static str {
        match (self.kind(), self.entry_point()) {
            (FailureKind::TimedOut, EntryPoint::Trigger) => {
                "The script that decides which messages are for me took too long. Please tell whoever runs this \
                 bot; \
                 the log shows where."
            }
            (FailureKind::TimedOut, EntryPoint::Route) => {
                "The script that decides where your message goes took too long. Please tell whoever runs this bot; \
                 the log shows where."
            }
            (FailureKind::Busy, _) => {
                "Too many commands are waiting for an answer. Please try again in a minute."
            }
            (FailureKind::TimedOut, EntryPoint::Command | EntryPoint::Autocomplete) => {
                "The script of this command took too long. Please tell whoever runs this bot; the log shows where."
            }
            (_, EntryPoint::Command | EntryPoint::Autocomplete) => {
                "The script of this command failed. Please tell whoever runs this bot; the log shows why."
            }
            (_, EntryPoint::Trigger) => {
                "The script that decides which messages are for me failed. Please tell whoever runs this bot; \
                 the log shows why."
            }
            (_, EntryPoint::Route) => {
                "The script that decides where your message goes failed. Please tell whoever runs this bot; \
                 the log shows why."
            }
        }
    }
}

/// Said when a set needs more than the gateway has asked for.
pub const NEEDS_RESTART: &str = "triggers.lua now needs the content of messages that don't mention the bot. \
    Discord only sends it to bots that ask for it when they connect, so restart moonlane, with Message Content Intent on in \
    the Developer Portal; until then only mentions count";

/// The scripts are good again.
pub fn reloaded(generation: u64) -> String {
    format!("✅ reloaded, generation {generation}")
}

/// The scripts have errors, which follow.
pub fn not_reloaded(generation: u64) -> String {
    format!("⚠️ The scripts were not reloaded; generation {generation} stays live.")
}

/// The scripts let people or agents do more than before, which follows.
pub fn scripts_widened(files: &str) -> String {
    format!("🔓 The scripts now allow more than before, changed in {files}:")
}
