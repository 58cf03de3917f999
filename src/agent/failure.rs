//! Why a turn failed, from what the agent showed.
//!
//! The `Display` form is for the log and has everything. What a person reads is `Failure::sentence` in `words`.

use std::path::PathBuf;
use std::time::Duration;

use super::version::{OLDEST, Version};
use crate::secret::NoSecret;

mod cause;

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
        error: String,
    },
    /// Its version is below [`OLDEST`], or not known.
    #[error("Claude Code {}", found.map_or("does not tell its version".to_owned(), |v| format!("{v} is older than {OLDEST}")))]
    TooOld {
        /// What it says that it is.
        found: Option<Version>,
    },
    /// The project's directory is not there.
    #[error("the directory {} does not exist", dir.display())]
    DirectoryMissing { dir: PathBuf },
    /// The project's directory may not be read.
    #[error("the directory {} may not be read", dir.display())]
    DirectoryDenied { dir: PathBuf },
    /// A secret that the project's `env_from` names is not to be had.
    #[error("the secret {variable} {problem}")]
    NoSecret {
        /// The variable that was to hold it.
        variable: String,
        problem: NoSecret,
    },
    /// It was started and did not get ready in time.
    #[error("the agent was not ready after {}; stderr: {stderr}", seconds(*.limit))]
    StartTimeout {
        /// The limit that was hit.
        limit: Duration,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// It did not begin with the prompt in time, and neither did the one that was started in its place.
    #[error("two agents did not begin with the prompt within {} each", seconds(*.limit))]
    Deaf {
        /// The limit that was hit.
        limit: Duration,
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
    NotLoggedIn { text: String },
    /// The account may not do this.
    #[error("forbidden: {text}")]
    Forbidden { text: String },
    /// There is no such model, or not for this account.
    #[error("no such model: {text}")]
    NoSuchModel { text: String },
    /// The CLI would not change the model or the permission mode, nor start with them.
    #[error("refused: {text}")]
    Refused { text: String },
    /// Too many calls of the API in a short time.
    #[error("rate limit: {text}")]
    RateLimit { text: String },
    /// What the account's subscription may use is used up.
    #[error("usage limit: {text}")]
    UsageLimit {
        text: String,
        /// When there is more, in Unix seconds.
        resets: Option<u64>,
    },
    /// The API has no capacity at the moment.
    #[error("overloaded{}: {text}", if *.fallback { ", the fallback model too" } else { "" })]
    Overloaded {
        /// The fallback model was tried too.
        fallback: bool,
        text: String,
    },
    #[error("the API failed: {text}")]
    ServerError { text: String },
    /// The API cannot be reached.
    #[error("the API cannot be reached: {text}")]
    Unreachable { text: String },
    /// The API was reached, and the answer broke off again and again.
    #[error("the stream was cut: {text}")]
    StreamCut { text: String },
    /// Anthropic's safeguards stopped the answer.
    #[error("refused by safeguards: {text}")]
    Refusal { text: String },
    /// The conversation, or this prompt alone, is more than the model takes.
    #[error("prompt too long: {text}")]
    PromptTooLong { text: String },
    /// `--max-turns`.
    #[error("too many rounds: {text}")]
    MaxTurns { text: String },
    /// `--max-budget-usd`.
    #[error("budget spent: {text}")]
    Budget { text: String },
    /// bypassPermissions as root.
    #[error("bypassPermissions as root: {text}")]
    BypassAsRoot { text: String },
    #[error("the disk is full ({exit}); stderr: {stderr}")]
    DiskFull {
        /// How it ended, in the system's words.
        exit: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// The CLI does not find the project's settings.
    #[error("settings not found: {text}")]
    NoSettings { text: String },
    /// The account behind the CLI's login cannot be used.
    #[error("the account ({trouble:?}): {text}")]
    Account {
        /// What is wrong with it.
        trouble: AccountTrouble,
        text: String,
    },
    /// Something in the conversation so far is not taken by the API, and goes with every further prompt.
    #[error("the conversation is not taken ({poison:?}): {text}")]
    Poisoned { poison: Poison, text: String },
    /// The API did not take an image or a document, and the CLI has taken it out of the conversation.
    #[error("taken out of the conversation: {text}")]
    MediaRemoved { text: String },
    /// A hook of the CLI's settings did not let the prompt through.
    #[error("a hook refused the prompt: {}", reason.as_deref().unwrap_or("no reason given"))]
    PromptRefused { reason: Option<String> },
    /// Any other failure that the CLI reports.
    #[error("the CLI reports{}: {text}", status.map(|s| format!(" status {s}")).unwrap_or_default())]
    Reported {
        /// The HTTP status, where there was one.
        status: Option<u16>,
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
    /// The same, with others' words that its sentence repeats as `redact` leaves them. Before the sentence cuts them and
    /// takes their markup out: half a secret, or one without its underscores, would not be known as one.
    #[must_use]
    pub fn redacted(mut self, redact: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::PromptRefused { reason: Some(text) }
            | Self::ToolTimeout { tool: text, .. }
            | Self::UsageLimit { text, .. } => *text = redact(text),
            _ => {}
        }
        self
    }

    /// Whether a new conversation mends it, or may do so.
    pub fn asks_for_new_conversation(&self) -> bool {
        matches!(
            self,
            Self::Refusal { .. }
                | Self::PromptTooLong { .. }
                | Self::Poisoned { .. }
                | Self::Reported { status: Some(400), .. }
        )
    }
}

/// What is wrong with an account. All of it is for whoever pays for it or rules it to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountTrouble {
    /// There is no credit left, or a payment has failed.
    NoCredit,
    Disabled,
    /// The organization does not allow this kind of login.
    LoginNotAllowed,
}

/// What in a conversation the API does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    /// An image, too large or unreadable.
    Image,
    /// A PDF.
    Document,
    /// A thought of the model, whose signature does not match.
    Thinking,
    /// A tool's call without its result, or the other way round.
    ToolHistory,
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::events::TurnResult;
    use crate::agent::transcripts::failure_of;

    /// Each failure, with where it comes from: a recorded run of the real CLI, or what the system or our own clock
    /// says.
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
            "w2-hook-refuses",
            "w2-hook-refuses-silently",
            "w2-hook-blocks",
            "w2-hook-stops",
            "w3-credit",
            "w3-payment",
            "w3-disabled",
            "w3-disabled-403",
            "w3-login-off",
            "w3-spend-limit",
            "w4-signature",
            "w4-thinking",
            "w4-image-size",
            "w4-image-dimensions",
            "w4-image-removed",
            "w4-document",
            "w4-tool-history",
            "w4-unknown",
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
    fn a_secret_among_others_words_is_redacted_before_it_is_cut_or_loses_its_markup() {
        let reason = Some(format!("{} sk_live_1", "x".repeat(295)));
        let redact = |text: &str| text.replace("sk_live_1", "[redacted]");
        let sentence = Failure::PromptRefused { reason }.redacted(redact).sentence();
        assert!(!sentence.contains("sk") && sentence.ends_with("[red…"), "{sentence}");
    }
}
