//! What people and operators read of scripts.

use crate::script::{EntryPoint, FailureKind, ScriptError};

impl ScriptError {
    /// One plain sentence for the channel.
    pub fn sentence(&self) -> &'static str {
        match (self.kind(), self.entry_point()) {
            (FailureKind::TimedOut, EntryPoint::Trigger) => {
                "The script that decides which messages are for me took too long; please tell my operator, \
                 who finds the place in the log."
            }
            (FailureKind::TimedOut, EntryPoint::Route) => {
                "The script that decides where your message goes took too long; please tell my operator, \
                 who finds the place in the log."
            }
            (FailureKind::Busy, _) => {
                "Too many commands are waiting for an answer; please try again in a minute."
            }
            (FailureKind::TimedOut, EntryPoint::Command | EntryPoint::Autocomplete) => {
                "The script of this command took too long; please tell my operator, who finds the place in the log."
            }
            (_, EntryPoint::Command | EntryPoint::Autocomplete) => {
                "The script of this command failed; please tell my operator, who finds the reason in the log."
            }
            (_, EntryPoint::Trigger) => {
                "The script that decides which messages are for me failed; please tell my operator, \
                 who finds the reason in the log."
            }
            (_, EntryPoint::Route) => {
                "The script that decides where your message goes failed; please tell my operator, \
                 who finds the reason in the log."
            }
        }
    }
}

/// What is said where a set needs more than the gateway has asked for.
pub const NEEDS_RESTART: &str = "triggers.lua now needs the content of messages that do not mention the bot, which Discord \
    gives only to a bot that asks for it when it connects: restart moonlane (and see that Message Content Intent is on \
    in the Developer Portal); until then only mentions count";

/// The scripts are good again.
pub fn reloaded(generation: u64) -> String {
    format!("✅ reloaded, generation {generation}")
}

/// The scripts have errors, which follow.
pub fn not_reloaded(generation: u64) -> String {
    format!("⚠️ The scripts are not reloaded; generation {generation} stays live.")
}

/// The scripts let people or agents do more than before, which follows.
pub fn scripts_widened(files: &str) -> String {
    format!("🔓 The scripts open more than before, changed in {files}:")
}
