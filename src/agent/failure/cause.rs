//! From what the agent showed to the [`Failure`]. Each text of the CLI here is one of 2.1.330 that was recorded
//! (`tests/fixtures/transcripts`), where no other version is named.

use super::{AccountTrouble, Failure, Poison};
use crate::agent::events::TurnResult;

impl Failure {
    /// The failure in a result; `resets` is when the usage limit resets, according to the CLI.
    pub fn of_result(result: &TurnResult, resets: Option<u64>) -> Self {
        let text = result.result.clone().unwrap_or_else(|| result.errors.join("; "));
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let api_error = result.api_error.as_deref().unwrap_or_default();
        match (result.subtype.as_str(), result.api_error_status) {
            ("error_max_turns", _) => Self::MaxTurns { text },
            ("error_max_budget_usd", _) => Self::Budget { text },
            _ if result.stop_reason.as_deref() == Some("refusal") => Self::Refusal { text },
            _ if text.starts_with("Not logged in") || text.contains("Please run /login") => {
                Self::NotLoggedIn { text }
            }
            _ if text.starts_with("Prompt is too long") => Self::PromptTooLong { text },
            (_, Some(400..=403)) if let Some(trouble) = account_trouble(&text, api_error) => {
                Self::Account { trouble, text }
            }
            (_, Some(402)) => Self::Account { trouble: AccountTrouble::NoCredit, text },
            (_, Some(400)) if text.contains("specified API usage limits") => {
                Self::UsageLimit { text, resets: None }
            }
            (_, Some(400)) if api_error == "media_removed" => Self::MediaRemoved { text },
            (_, Some(400)) if let Some(poison) = poison(result, &text) => Self::Poisoned { poison, text },
            (_, Some(401)) => Self::NotLoggedIn { text },
            (_, Some(403)) => Self::Forbidden { text },
            (_, Some(404)) => Self::NoSuchModel { text },
            (_, Some(413)) => Self::PromptTooLong { text },
            (_, Some(429)) if resets.is_some() || api_error == "usage_limit_reached" => {
                Self::UsageLimit { text, resets }
            }
            (_, Some(429)) => Self::RateLimit { text },
            (_, Some(529)) => Self::Overloaded { fallback: false, text },
            (_, Some(500..)) => Self::ServerError { text },
            (_, None) if has(&["Connection dropped", "ECONNRESET", "EPIPE"]) => Self::StreamCut { text },
            (_, None) if api_error == "connection_failed" => Self::Unreachable { text },
            (_, None) if has(&["ECONN", "ENOTFOUND", "ETIMEDOUT", "EAI_AGAIN", "Connection "]) => {
                Self::Unreachable { text }
            }
            (_, status) => Self::Reported { status, text },
        }
    }

    /// Why a process ended before it was ready.
    pub fn of_start(exit: String, stderr: String) -> Self {
        // On stderr before the first prompt.
        if stderr.contains("cannot be used with root/sudo privileges") {
            return Self::BypassAsRoot { text: stderr };
        }
        if stderr.contains("Settings file not found") {
            return Self::NoSettings { text: stderr };
        }
        if says_disk_full(&stderr) {
            return Self::DiskFull { exit, stderr };
        }
        Self::NotStarted { exit, stderr }
    }

    /// Why a process ended without a result.
    pub fn of_end(exit: String, stderr: String) -> Self {
        match says_disk_full(&stderr) {
            true => Self::DiskFull { exit, stderr },
            false => Self::NoResult { exit, stderr },
        }
    }
}

fn account_trouble(text: &str, api_error: &str) -> Option<AccountTrouble> {
    if text.starts_with("Credit balance is too low") {
        Some(AccountTrouble::NoCredit)
    } else if api_error == "org_disabled_credential" || text.contains("organization has been disabled") {
        Some(AccountTrouble::Disabled)
    } else if text.contains("has disabled Claude subscription access") {
        Some(AccountTrouble::LoginNotAllowed)
    } else {
        None
    }
}

/// Only for what the CLI has not repaired by itself: it removes images that the API names, and thinking blocks.
fn poison(result: &TurnResult, text: &str) -> Option<Poison> {
    if result.terminal_reason.as_deref() == Some("image_error") {
        return Some(if text.contains("PDF") { Poison::Document } else { Poison::Image });
    }
    if result.api_error.as_deref() == Some("tool_history_mismatch") {
        return Some(Poison::ToolHistory);
    }
    let thinking = text.contains("`thinking`")
        && ["`signature`", "cannot be modified"].iter().any(|word| text.contains(word));
    thinking.then_some(Poison::Thinking)
}

fn says_disk_full(stderr: &str) -> bool {
    ["ENOSPC", "EDQUOT", "o space left on device"].iter().any(|word| stderr.contains(word))
}
