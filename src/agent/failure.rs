//! Why a turn failed: one table from what the agent showed to what a person reads and can do.
//!
//! [`Failure::sentence`] is for the channel: what happened and what to do, no path, no stack, no token. The
//! `Display` form is for the log and has everything. Each CLI text that is matched here was seen on the real CLI.

use std::path::PathBuf;
use std::time::Duration;

use super::events::TurnResult;

/// Why a turn has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such program.
    #[error("the program `{program}` does not exist")]
    NotInstalled {
        /// `agent.command`'s first word.
        program: String,
    },
    /// The program cannot be started.
    #[error("the program `{program}` cannot be started: {error}")]
    NotExecutable {
        /// `agent.command`'s first word.
        program: String,
        /// The system's reason.
        error: String,
    },
    /// The project's directory is not there.
    #[error("the directory {} does not exist", dir.display())]
    DirectoryMissing {
        /// The project's directory.
        dir: PathBuf,
    },
    /// The project's directory may not be read.
    #[error("the directory {} may not be read", dir.display())]
    DirectoryDenied {
        /// The project's directory.
        dir: PathBuf,
    },
    /// It was started and did not get ready in time.
    #[error("the agent was not ready after {}; stderr: {stderr}", seconds(*.limit))]
    StartTimeout {
        /// The limit that was hit.
        limit: Duration,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// It stopped telling anything while no tool ran.
    #[error("no event for {} while no tool ran", seconds(*.limit))]
    Silence {
        /// The limit that was hit.
        limit: Duration,
    },
    /// It stopped telling anything while a tool ran.
    #[error("no event for {} while {tool} ran", seconds(*.limit))]
    ToolTimeout {
        /// The limit that was hit.
        limit: Duration,
        /// The tool that ran.
        tool: String,
    },
    /// The whole turn took too long.
    #[error("the turn took longer than {}", seconds(*.limit))]
    TurnTimeout {
        /// The limit that was hit.
        limit: Duration,
    },
    /// The CLI has no valid login.
    #[error("not logged in: {text}")]
    NotLoggedIn {
        /// The CLI's words.
        text: String,
    },
    /// The account may not do this.
    #[error("forbidden: {text}")]
    Forbidden {
        /// The CLI's words.
        text: String,
    },
    /// There is no such model, or not for this account.
    #[error("no such model: {text}")]
    NoSuchModel {
        /// The CLI's words.
        text: String,
    },
    /// The CLI would not change the model or the permission mode, nor start with them.
    #[error("refused: {text}")]
    Refused {
        /// The CLI's words.
        text: String,
    },
    /// A limit of the account or of the API.
    #[error("rate limit: {text}")]
    RateLimit {
        /// The CLI's words.
        text: String,
    },
    /// The API has no capacity at the moment, or fails.
    #[error("the API failed: {text}")]
    Overloaded {
        /// The CLI's words.
        text: String,
    },
    /// The API cannot be reached.
    #[error("the API cannot be reached: {text}")]
    Unreachable {
        /// The CLI's words.
        text: String,
    },
    /// The conversation, or this prompt alone, is more than the model takes.
    #[error("prompt too long: {text}")]
    PromptTooLong {
        /// The CLI's words.
        text: String,
    },
    /// `--max-turns`, from the CLI's own settings.
    #[error("too many rounds: {text}")]
    MaxTurns {
        /// The CLI's words.
        text: String,
    },
    /// `--max-budget-usd`, from the CLI's own settings.
    #[error("budget spent: {text}")]
    Budget {
        /// The CLI's words.
        text: String,
    },
    /// bypassPermissions as root.
    #[error("bypassPermissions as root: {text}")]
    BypassAsRoot {
        /// The CLI's words.
        text: String,
    },
    /// Any other failure that the CLI reports.
    #[error("the CLI reports{}: {text}", status.map(|s| format!(" status {s}")).unwrap_or_default())]
    Reported {
        /// The HTTP status, where there was one.
        status: Option<u16>,
        /// The CLI's words.
        text: String,
    },
    /// It ended before it was ready.
    #[error("the agent ended before it was ready ({exit}); stderr: {stderr}")]
    NotStarted {
        /// How it ended, in the system's words.
        exit: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// It ended without a result.
    #[error("the agent ended without a result ({exit}); stderr: {stderr}")]
    NoResult {
        /// How it ended, in the system's words.
        exit: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
}

impl Failure {
    /// What the person in the channel reads: what happened, and what to do.
    pub fn sentence(&self) -> String {
        match self {
            Self::NotInstalled { .. } => {
                "Claude Code is not installed where I run; whoever runs me has to install it, or name it in \
                 `agent.command`."
                    .into()
            }
            Self::NotExecutable { .. } => {
                "Claude Code cannot be started where I run; whoever runs me finds the reason in my log.".into()
            }
            Self::DirectoryMissing { .. } => {
                "This project's directory does not exist; whoever runs me has to create it, or correct `dir` in \
                 routing.lua."
                    .into()
            }
            Self::DirectoryDenied { .. } => {
                "I may not read this project's directory; whoever runs me has to allow it, or correct `dir` in \
                 routing.lua."
                    .into()
            }
            Self::StartTimeout { limit, .. } => {
                format!("Claude did not start within {}; please try again.", in_words(*limit))
            }
            Self::Silence { limit } => format!(
                "Claude said nothing for {}, so I stopped it; please ask again. I remember the conversation.",
                in_words(*limit)
            ),
            Self::ToolTimeout { limit, tool } => format!(
                "A tool ({}) was still running after {}, so I stopped it; please ask again, perhaps in smaller \
                 steps.",
                plain(tool),
                in_words(*limit)
            ),
            Self::TurnTimeout { limit } => format!(
                "This took longer than {}, so I stopped it; ask me to go on, and I continue from here.",
                in_words(*limit)
            ),
            Self::NotLoggedIn { .. } => {
                "Claude Code is not logged in where I run; whoever runs me has to run `claude` there and log in, or \
                 renew its key."
                    .into()
            }
            Self::Forbidden { .. } => {
                "Anthropic refused this with \"forbidden\"; whoever runs me has to check the account's rights.".into()
            }
            Self::NoSuchModel { .. } => {
                "The model set for this project does not exist, or not for this account; correct `model` in \
                 routing.lua."
                    .into()
            }
            Self::Refused { .. } => {
                "Claude Code refused this project's model or permission mode; correct them in routing.lua (the \
                 reason is in my log)."
                    .into()
            }
            Self::RateLimit { text } => match text.split_once("resets ") {
                Some((_, when)) if text.starts_with("You've hit your") => {
                    format!("The account's usage limit is reached; it resets {}. Please ask again then.", plain(when))
                }
                _ => "Anthropic's rate limit is reached; please ask again in a few minutes.".into(),
            },
            Self::Overloaded { .. } => {
                "Anthropic's servers are overloaded or failing at the moment; please ask again in a few minutes."
                    .into()
            }
            Self::Unreachable { .. } => {
                "Anthropic cannot be reached from where I run; please ask again later, and if it stays, whoever runs \
                 me has to check the network."
                    .into()
            }
            Self::PromptTooLong { .. } => {
                "This is more text than Claude can take at once; please send less, or go on in a new thread, where the \
                 conversation starts afresh.".into()
            }
            Self::MaxTurns { .. } => {
                "Claude reached the number of steps it may take in one turn; ask me to go on, and I continue from \
                 here."
                    .into()
            }
            Self::Budget { .. } => "The budget set for Claude is spent; whoever runs me can raise it.".into(),
            Self::BypassAsRoot { .. } => {
                "The permission mode `bypassPermissions` is not possible as root; choose another `permission_mode` in \
                 routing.lua, or run me as another user."
                    .into()
            }
            Self::Reported { status: Some(status), .. } => {
                format!("Anthropic refused this with status {status}; please try again, or ask in another way.")
            }
            Self::Reported { status: None, .. } => {
                "Claude stopped with an error; please try again (the reason is in my log).".into()
            }
            Self::NotStarted { .. } => {
                "Claude Code ended before it was ready; whoever runs me finds the reason in my log.".into()
            }
            Self::NoResult { .. } => {
                "Claude stopped without an answer; please ask again. I remember the conversation.".into()
            }
        }
    }

    /// What a failed result says.
    pub fn of_result(result: &TurnResult) -> Self {
        let text = result.result.clone().unwrap_or_else(|| result.errors.join("; "));
        let connection = ["ECONN", "ENOTFOUND", "ETIMEDOUT", "EAI_AGAIN", "Connection "];
        match (result.subtype.as_str(), result.api_error_status) {
            ("error_max_turns", _) => Self::MaxTurns { text },
            ("error_max_budget_usd", _) => Self::Budget { text },
            _ if text.starts_with("Not logged in") || text.contains("Please run /login") => {
                Self::NotLoggedIn { text }
            }
            _ if text.starts_with("Prompt is too long") => Self::PromptTooLong { text },
            (_, Some(401)) => Self::NotLoggedIn { text },
            (_, Some(403)) => Self::Forbidden { text },
            (_, Some(404)) => Self::NoSuchModel { text },
            (_, Some(413)) => Self::PromptTooLong { text },
            (_, Some(429)) => Self::RateLimit { text },
            (_, Some(500..)) => Self::Overloaded { text },
            (_, None) if result.api_error.as_deref() == Some("connection_failed") => {
                Self::Unreachable { text }
            }
            (_, None) if connection.iter().any(|word| text.contains(word)) => Self::Unreachable { text },
            (_, status) => Self::Reported { status, text },
        }
    }

    /// What the end of a process that was never ready says.
    pub fn of_start(exit: String, stderr: String) -> Self {
        // Texts of CLI 2.1.330, on stderr before the first prompt.
        if stderr.contains("cannot be used with root/sudo privileges") {
            return Self::BypassAsRoot { text: stderr };
        }
        Self::NotStarted { exit, stderr }
    }
}

/// What an agent says about the session that it was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionTrouble {
    /// `--session-id`: there is one under this id already.
    InUse,
    /// `--resume`: there is none under this id.
    Unknown,
}

impl SessionTrouble {
    /// Reads it from stderr or from a result's errors (texts of CLI 2.1.330 and 2.0.76).
    pub fn find(text: &str) -> Option<Self> {
        if text.contains("is already in use") {
            Some(Self::InUse)
        } else if text.contains("No conversation found") {
            Some(Self::Unknown)
        } else {
            None
        }
    }
}

/// A word of the CLI's or the model's in a sentence of ours: one short line without markup.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !"`*_~|<>@".contains(*c)).take(80).collect()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn in_words(time: Duration) -> String {
    let (number, unit) = match time.as_secs() {
        0 => return "a moment".to_owned(),
        seconds if seconds.is_multiple_of(3600) => (seconds / 3600, "hour"),
        seconds if seconds >= 120 || seconds == 60 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::events::{Event, read};

    fn of_transcript(name: &str) -> Failure {
        let file = format!("{}/tests/fixtures/transcripts/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).unwrap();
        let result = text.lines().skip(1).find_map(|line| match read(line.as_bytes()) {
            Event::Result(result) => Some(result),
            _ => None,
        });
        Failure::of_result(&result.expect("the transcript has a result"))
    }

    #[test]
    fn failures_of_the_real_cli_are_told_apart() {
        use Failure::*;
        assert!(matches!(of_transcript("f1-401"), NotLoggedIn { .. }));
        assert!(matches!(of_transcript("f7-no-key"), NotLoggedIn { .. }));
        assert!(matches!(of_transcript("f9-maxturns"), MaxTurns { .. }));
        let limit = of_transcript("m4-ratelimit-rejected");
        assert_eq!(
            limit.sentence(),
            "The account's usage limit is reached; it resets Jan 23, 2030, 8:52pm (UTC). Please ask again then."
        );
    }

    #[test]
    fn connection_failures_and_statuses() {
        let failure = |status, text: &str| {
            Failure::of_result(&TurnResult {
                is_error: true,
                api_error_status: status,
                result: Some(text.to_owned()),
                ..TurnResult::default()
            })
        };
        let dropped = "API Error: Connection dropped (ECONNRESET). The response may be incomplete.";
        assert!(matches!(failure(None, dropped), Failure::Unreachable { .. }));
        assert!(matches!(failure(Some(529), "Overloaded"), Failure::Overloaded { .. }));
        assert!(matches!(failure(Some(404), "model"), Failure::NoSuchModel { .. }));
        assert!(matches!(failure(Some(418), "teapot"), Failure::Reported { status: Some(418), .. }));
    }

    #[test]
    fn sentences_name_no_path_and_no_detail() {
        let failures = [
            Failure::DirectoryMissing { dir: "/srv/secret".into() },
            Failure::NoResult { exit: "exit status: 3".into(), stderr: "/srv/secret: boom".into() },
            Failure::Reported { status: None, text: "/srv/secret".into() },
            Failure::NotExecutable { program: "/srv/secret".into(), error: "/srv/secret".into() },
        ];
        for failure in failures {
            assert!(!failure.sentence().contains("/srv"), "{}", failure.sentence());
            assert!(failure.to_string().contains("/srv"), "{failure}");
        }
    }

    #[test]
    fn times_in_words() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(1), "1 second");
        assert_eq!(words(90), "90 seconds");
        assert_eq!(words(600), "10 minutes");
        assert_eq!(words(3600), "1 hour");
        assert_eq!(in_words(Duration::from_millis(300)), "a moment");
    }
}
