//! Why a turn failed: one table from what the agent showed to what a person reads and can do.
//!
//! [`Failure::sentence`] is for the channel: what happened and what to do, no path, no stack, no token. The
//! `Display` form is for the log and has everything. Each CLI text that is matched here was seen on the real CLI.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::events::{Event, TurnResult};

/// The oldest version of Claude Code that this was tested with. Older ones are refused: some of them read files that a
/// prompt names, whoever wrote it.
pub const OLDEST: Version = Version(2, 1, 330);

/// A version of Claude Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads `2.1.330`, and what `claude --version` prints: `2.1.330 (Claude Code)`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().next()?.splitn(3, '.').map(|number| {
            let digits: &str = number.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        Some(Self(numbers.next()??, numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

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
    /// Its version is below [`OLDEST`].
    #[error("Claude Code {} is older than {OLDEST}", found.map_or("of an unknown version".to_owned(), |v| v.to_string()))]
    TooOld {
        /// What it says that it is.
        found: Option<Version>,
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
    /// Too many calls of the API in a short time.
    #[error("rate limit: {text}")]
    RateLimit {
        /// The CLI's words.
        text: String,
    },
    /// What the account's subscription may use is used up.
    #[error("usage limit: {text}")]
    UsageLimit {
        /// The CLI's words.
        text: String,
        /// When there is more, in Unix seconds.
        resets: Option<u64>,
    },
    /// The API has no capacity at the moment.
    #[error("overloaded{}: {text}", if *.fallback { ", the fallback model too" } else { "" })]
    Overloaded {
        /// The fallback model was tried too.
        fallback: bool,
        /// The CLI's words.
        text: String,
    },
    /// The API fails.
    #[error("the API failed: {text}")]
    ServerError {
        /// The CLI's words.
        text: String,
    },
    /// The API cannot be reached.
    #[error("the API cannot be reached: {text}")]
    Unreachable {
        /// The CLI's words.
        text: String,
    },
    /// The API was reached, and the answer broke off again and again.
    #[error("the stream was cut: {text}")]
    StreamCut {
        /// The CLI's words.
        text: String,
    },
    /// Anthropic's safeguards stopped the answer.
    #[error("refused by safeguards: {text}")]
    Refusal {
        /// The CLI's words.
        text: String,
    },
    /// The conversation, or this prompt alone, is more than the model takes.
    #[error("prompt too long: {text}")]
    PromptTooLong {
        /// The CLI's words.
        text: String,
    },
    /// `--max-turns`.
    #[error("too many rounds: {text}")]
    MaxTurns {
        /// The CLI's words.
        text: String,
    },
    /// `--max-budget-usd`.
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
    /// The disk is full.
    #[error("the disk is full ({exit}); stderr: {stderr}")]
    DiskFull {
        /// How it ended, in the system's words.
        exit: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// The CLI does not find the project's settings.
    #[error("settings not found: {text}")]
    NoSettings {
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
                "Claude Code is not installed where I run; my operator has to install it, or name it in \
                 `agent.command`."
                    .into()
            }
            Self::NotExecutable { .. } => {
                "Claude Code cannot be started where I run; my operator finds the reason in my log.".into()
            }
            Self::TooOld { found } => {
                let found = found.map_or("an older version".to_owned(), |found| found.to_string());
                format!(
                    "Claude Code is too old where I run: it is {found}, and I need {OLDEST} or newer; my operator has \
                     to update it."
                )
            }
            Self::DirectoryMissing { .. } => {
                "This project's directory does not exist; my operator has to create it, or correct `dir` in \
                 routing.lua."
                    .into()
            }
            Self::DirectoryDenied { .. } => {
                "I may not read this project's directory; my operator has to allow it, or correct `dir` in \
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
                "Claude Code is not logged in where I run; my operator has to run `claude` there and log in, or \
                 renew its key."
                    .into()
            }
            Self::Forbidden { .. } => {
                "Anthropic refused this with \"forbidden\"; my operator has to check the account's rights.".into()
            }
            Self::NoSuchModel { .. } => {
                "The model set for this project or channel does not exist, or not for this account; choose another \
                 one for the channel, or correct `model` in routing.lua."
                    .into()
            }
            Self::Refused { .. } => {
                "Claude Code refused the model or permission mode of this project or channel; choose others for the \
                 channel, or correct them in routing.lua (the reason is in my log)."
                    .into()
            }
            Self::RateLimit { .. } => {
                "Anthropic's rate limit is reached; please ask again in a few minutes.".into()
            }
            Self::UsageLimit { resets: Some(resets), .. } => {
                format!("The account's usage limit is reached; it resets <t:{resets}:t> (<t:{resets}:R>). Please ask again then.")
            }
            Self::UsageLimit { text, resets: None } => match text.split_once("resets ") {
                Some((_, when)) => {
                    format!("The account's usage limit is reached; it resets {}. Please ask again then.", plain(when))
                }
                None => "The account's usage limit is reached; please ask again later.".into(),
            },
            Self::Overloaded { fallback, .. } => format!(
                "Anthropic is overloaded at the moment{}; please ask again in a few minutes.",
                if *fallback { ", the fallback model too" } else { "" }
            ),
            Self::ServerError { .. } => {
                "Anthropic's servers fail at the moment; please ask again in a few minutes.".into()
            }
            Self::StreamCut { .. } => {
                "The connection to Anthropic broke off again and again; please ask again, and if it stays, my \
                 operator has to check the network."
                    .into()
            }
            Self::Refusal { .. } => {
                "Anthropic's safeguards stopped this answer; please ask in another way, or in a new thread, where the \
                 conversation starts afresh."
                    .into()
            }
            Self::Unreachable { .. } => {
                "Anthropic cannot be reached from where I run; please ask again later, and if it stays, my \
                 operator has to check the network."
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
            Self::Budget { .. } => "The budget set for this project is spent; my operator can raise `max_usd` in routing.lua.".into(),
            Self::BypassAsRoot { .. } => {
                "The permission mode `bypassPermissions` is not possible as root; choose another `permission_mode` in \
                 routing.lua, or run me as another user."
                    .into()
            }
            Self::DiskFull { .. } => {
                "The disk is full where I run, so Claude Code cannot work; my operator has to free space.".into()
            }
            Self::NoSettings { .. } => {
                "Claude Code does not find this project's settings; correct `settings` in routing.lua.".into()
            }
            Self::Reported { status: Some(status), .. } => {
                format!("Anthropic refused this with status {status}; please try again, or ask in another way.")
            }
            Self::Reported { status: None, .. } => {
                "Claude stopped with an error; please try again (the reason is in my log).".into()
            }
            Self::NotStarted { .. } => {
                "Claude Code ended before it was ready; my operator finds the reason in my log.".into()
            }
            Self::NoResult { .. } => {
                "Claude stopped without an answer; please ask again. I remember the conversation.".into()
            }
        }
    }

    /// What an event says before the turn has ended, where waiting for the end would be of no use.
    pub fn of_event(event: &Event) -> Option<Self> {
        match event {
            // The CLI would repeat it for three minutes.
            Event::Retry { status, error, .. } if error == "authentication_failed" => {
                let status = status.map_or_else(String::new, |status| format!(" (status {status})"));
                Some(Self::NotLoggedIn { text: format!("{error}{status}") })
            }
            _ => None,
        }
    }

    /// What a failed result says; `resets` is when the CLI said that a used-up limit ends.
    pub fn of_result(result: &TurnResult, resets: Option<u64>) -> Self {
        let text = result.result.clone().unwrap_or_else(|| result.errors.join("; "));
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match (result.subtype.as_str(), result.api_error_status) {
            ("error_max_turns", _) => Self::MaxTurns { text },
            ("error_max_budget_usd", _) => Self::Budget { text },
            _ if result.stop_reason.as_deref() == Some("refusal") => Self::Refusal { text },
            _ if text.starts_with("Not logged in") || text.contains("Please run /login") => {
                Self::NotLoggedIn { text }
            }
            _ if text.starts_with("Prompt is too long") => Self::PromptTooLong { text },
            (_, Some(401)) => Self::NotLoggedIn { text },
            (_, Some(403)) => Self::Forbidden { text },
            (_, Some(404)) => Self::NoSuchModel { text },
            (_, Some(413)) => Self::PromptTooLong { text },
            (_, Some(429))
                if resets.is_some() || result.api_error.as_deref() == Some("usage_limit_reached") =>
            {
                Self::UsageLimit { text, resets }
            }
            (_, Some(429)) => Self::RateLimit { text },
            (_, Some(529)) => Self::Overloaded { fallback: false, text },
            (_, Some(500..)) => Self::ServerError { text },
            (_, None) if has(&["Connection dropped", "ECONNRESET", "EPIPE"]) => Self::StreamCut { text },
            (_, None) if result.api_error.as_deref() == Some("connection_failed") => {
                Self::Unreachable { text }
            }
            (_, None) if has(&["ECONN", "ENOTFOUND", "ETIMEDOUT", "EAI_AGAIN", "Connection "]) => {
                Self::Unreachable { text }
            }
            (_, status) => Self::Reported { status, text },
        }
    }

    /// What the end of a process that was never ready says.
    pub fn of_start(exit: String, stderr: String) -> Self {
        // Texts of CLI 2.1.330, on stderr before the first prompt.
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

    /// What the end of a process without a result says.
    pub fn of_end(exit: String, stderr: String) -> Self {
        match says_disk_full(&stderr) {
            true => Self::DiskFull { exit, stderr },
            false => Self::NoResult { exit, stderr },
        }
    }
}

fn says_disk_full(stderr: &str) -> bool {
    ["ENOSPC", "EDQUOT", "o space left on device"].iter().any(|word| stderr.contains(word))
}

/// What the API has, while the CLI tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It has no capacity.
    Overloaded,
    /// We call it too often.
    RateLimited,
    /// It fails.
    Failing,
    /// It is not reached, or the answer breaks off.
    Unreachable,
}

impl Trouble {
    /// Reads it from the status and the CLI's word (of 2.1.330).
    pub fn of(status: Option<u16>, error: &str) -> Self {
        match (status, error) {
            (Some(529), _) | (_, "overloaded") => Self::Overloaded,
            (Some(429), _) | (_, "rate_limit") => Self::RateLimited,
            (Some(_), _) => Self::Failing,
            (None, _) => Self::Unreachable,
        }
    }

    /// What the person reads while it is tried again.
    pub fn sentence(self, attempt: u32, of: u32) -> String {
        let what = match self {
            Self::Overloaded => "Anthropic is overloaded",
            Self::RateLimited => "Anthropic's rate limit is reached",
            Self::Failing => "Anthropic's servers fail",
            Self::Unreachable => "Anthropic cannot be reached",
        };
        format!("{what}, trying again, {attempt} of {of}")
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
    use crate::agent::transcripts::failure_of;

    /// Each failure, with where it comes from: a recorded run of the real CLI, or what the system or our own clock says.
    #[test]
    fn every_failure_has_its_sentence() {
        let recorded = [
            "f7-no-key",
            "f1-401",
            "m4-oauth-401",
            "f1-403",
            "f1-404-model",
            "f1-400",
            "f2-429-retries2",
            "m4-ratelimit-rejected",
            "f4-529-default",
            "f2-500-retries2",
            "f4-refused-default",
            "f5-cut",
            "f5-sseerr-overloaded_error",
            "g1-stdin-5M",
            "f9-maxturns",
            "g12-budget",
            "n1-refusal-twice",
            "f10-api-wait-SIGTERM",
            "e7-bypass-root",
            "g14-settings-badfile",
            "m5-env-scrub",
        ];
        let limit = Duration::from_secs(300);
        let disk_full = "Error: Claude Code could not save all of this session's transcript under /home/u/full because \
                         the disk is full (ENOSPC).";
        let own = [
            Failure::NotInstalled { program: "claude".into() },
            Failure::NotExecutable { program: "claude".into(), error: "Permission denied".into() },
            Failure::TooOld { found: Some(Version(2, 0, 76)) },
            Failure::TooOld { found: None },
            Failure::DirectoryMissing { dir: "/srv/site".into() },
            Failure::DirectoryDenied { dir: "/srv/site".into() },
            Failure::StartTimeout { limit, stderr: String::new() },
            Failure::Silence { limit },
            Failure::ToolTimeout { limit, tool: "Bash".into() },
            Failure::TurnTimeout { limit },
            Failure::Refused { text: "set_model: no".into() },
            Failure::of_end("exit status: 1".into(), disk_full.into()),
        ];
        let mut table = String::new();
        let mut add = |from: &str, failure: Failure| {
            let name: String = format!("{failure:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
            table += &format!("{name} ({from})\n    {}\n", failure.sentence());
        };
        recorded.into_iter().for_each(|name| add(name, failure_of(name)));
        own.into_iter().for_each(|failure| add("ours", failure));
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/agent"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!("failures", table);
        });
    }

    #[test]
    fn statuses_and_texts_without_a_transcript() {
        let failure = |status, text: &str| {
            let result = TurnResult {
                is_error: true,
                api_error_status: status,
                result: Some(text.to_owned()),
                ..TurnResult::default()
            };
            Failure::of_result(&result, None)
        };
        assert!(matches!(failure(Some(418), "teapot"), Failure::Reported { status: Some(418), .. }));
        assert!(matches!(failure(Some(413), "too large"), Failure::PromptTooLong { .. }));
        assert!(matches!(failure(None, "getaddrinfo ENOTFOUND"), Failure::Unreachable { .. }));
        assert!(matches!(failure(None, "odd"), Failure::Reported { status: None, .. }));
    }

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(Version::parse("2.1.330 (Claude Code)\n"), Some(OLDEST));
        assert_eq!(Version::parse("2.1.331-beta.1"), Some(Version(2, 1, 331)));
        assert!(Version::parse("2.0.999").unwrap() < OLDEST && Version::parse("10.0.0").unwrap() > OLDEST);
        for odd in ["", "claude", "2.1", "2..1", "-1.2.3", "99999999999.1.1"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
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
