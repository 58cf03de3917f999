//! Why a turn has no answer: one table from the [`Failure`] to what a person reads and can do.
//!
//! Each sentence says what happened and what to do; it has no path, no stack and no token.

use std::time::Duration;

use crate::agent::{AccountTrouble, Failure, OLDEST, Poison, Trouble};

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
            Self::TooOld { found: Some(found) } => format!(
                "Claude Code is too old where I run: it is {found}, and I need {OLDEST} or newer; my operator has to \
                 update it."
            ),
            Self::TooOld { found: None } => format!(
                "Claude Code does not tell its version where I run, and I need {OLDEST} or newer; my operator has to \
                 look at what `claude --version` says there."
            ),
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
                one_line(tool),
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
            Self::UsageLimit { text, resets: None } => match when_it_resets(text) {
                Some(when) => {
                    format!("The account's usage limit is reached; it resets {}. Please ask again then.", one_line(when))
                }
                None => "The account's usage limit is reached; please ask again later.".into(),
            },
            Self::Overloaded { fallback, .. } => format!(
                "Anthropic is overloaded at the moment{}; please ask again in a few minutes.",
                if *fallback { ", the fallback model too" } else { "" }
            ),
            Self::ServerError { .. } => {
                "Anthropic's servers are failing at the moment; please ask again in a few minutes.".into()
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
            Self::Account { trouble, .. } => trouble.sentence().into(),
            Self::Poisoned { poison, .. } => format!(
                "This conversation holds {} that Anthropic does not take, and each further question in it may fail \
                 alike; please ask in a new thread, where the conversation starts afresh.",
                poison.words()
            ),
            Self::MediaRemoved { .. } => {
                "Anthropic could not read an image or file in this conversation, and Claude Code has taken it out; \
                 please ask again."
                    .into()
            }
            Self::PromptRefused { reason: Some(reason) } => {
                format!("A hook of this project did not let the question through: {}", short(reason, 300))
            }
            Self::PromptRefused { reason: None } => {
                "A hook of this project did not let the question through, and gave no reason; my operator knows its \
                 rules."
                    .into()
            }
            // The conversation so far goes with every prompt, so what is wrong may stand in it.
            Self::Reported { status: Some(400), .. } => {
                "Anthropic refused this with status 400; please ask in another way, and if that fails too, in a new \
                 thread, where the conversation starts afresh."
                    .into()
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
}

impl AccountTrouble {
    fn sentence(self) -> &'static str {
        match self {
            Self::NoCredit => {
                "The account that Claude Code uses cannot pay for this: its credit is used up, or a payment has failed; my \
                 operator has to look at its billing."
            }
            Self::Disabled => {
                "The organization whose account Claude Code uses is disabled at Anthropic; my operator has to take it \
                 up there, or log in with another account."
            }
            Self::LoginNotAllowed => {
                "The organization whose account Claude Code uses does not allow this kind of login; my operator has to \
                 use an API key, or ask its administrator."
            }
        }
    }
}

impl Poison {
    fn words(self) -> &'static str {
        match self {
            Self::Image => "an image",
            Self::Document => "a document",
            Self::Thinking => "a thought of Claude's",
            Self::ToolHistory => "a tool's call",
        }
    }
}

impl Trouble {
    /// What the person reads while it is tried again.
    pub fn sentence(self, attempt: u32, of: u32) -> String {
        let what = match self {
            Self::Overloaded => "Anthropic is overloaded",
            Self::RateLimited => "Anthropic's rate limit is reached",
            Self::LoginRefused => "Anthropic rejects the login",
            Self::Failing => "Anthropic's servers are failing",
            Self::Unreachable => "Anthropic cannot be reached",
        };
        format!("{what}, trying again, {attempt} of {of}")
    }
}

/// When there is more, in the CLI's words or the API's.
fn when_it_resets(text: &str) -> Option<&str> {
    ["resets ", "regain access on "]
        .iter()
        .find_map(|word| Some(text.split_once(word)?.1.trim_end_matches('.')))
}

/// A word of the CLI's or the model's in a sentence of ours: one short line without markup.
fn one_line(text: &str) -> String {
    short(text, 80)
}

/// Somebody's words in a sentence of ours: on one line, without markup, and not longer than this.
fn short(text: &str, longest: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = text.chars().filter(|c| !c.is_control() && !"`*_~|<>@".contains(*c));
    let mut short: String = plain.by_ref().take(longest).collect();
    if plain.next().is_some() {
        short.push('…');
    }
    short
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
