//! Why a turn has no answer: one table from the [`Failure`] to what a person reads and can do.
//!
//! Each sentence says what happened and what to do; it has no path, no stack and no token.

use std::time::Duration;

use super::quoted;
use crate::agent::{AccountTrouble, Failure, OLDEST, Poison, Trouble};

impl Failure {
    /// What the person in the channel reads: what happened, and what to do.
    pub fn sentence(&self) -> String {
        match self {
            Self::NotInstalled { .. } => {
                "Claude Code isn't installed where I run. Whoever runs this bot has to install it, or set \
                 `agent.command`."
                    .into()
            }
            Self::NotExecutable { .. } => {
                "Claude Code can't be started where I run. Whoever runs this bot can find the reason in the \
                 log.".into()
            }
            Self::TooOld { found: Some(found) } => format!(
                "Claude Code is too old where I run: it is {found}, and I need {OLDEST} or newer. Whoever runs \
                 this bot has to update it."
            ),
            Self::TooOld { found: None } => format!(
                "Claude Code doesn't report its version where I run, and I need {OLDEST} or newer. Whoever runs \
                 this bot has to check what `claude --version` prints there."
            ),
            Self::DirectoryMissing { .. } => {
                "This project's directory doesn't exist. Whoever runs this bot has to create it, or correct `dir` \
                 in routing.lua."
                    .into()
            }
            Self::DirectoryDenied { .. } => {
                "I'm not allowed to read this project's directory. Whoever runs this bot has to allow it, or \
                 correct `dir` in routing.lua."
                    .into()
            }
            Self::NoSecret { variable, .. } => format!(
                "I can't read this project's secret {}. Whoever runs this bot has to check `env_from` in routing.lua; the \
                 log says why.",
                quoted(variable),
            ),
            Self::StartTimeout { limit, .. } => {
                format!("Claude didn't start within {}. Please try again.", in_words(*limit))
            }
            Self::Deaf { limit } => format!(
                "Claude did not begin with this within {}, and neither did a second one that I started. Please ask again.",
                in_words(*limit)
            ),
            Self::Silence { limit } => format!(
                "Claude said nothing for {}, so I stopped it. Please ask again; the conversation is kept.",
                in_words(*limit)
            ),
            Self::ToolTimeout { limit, tool } => format!(
                "A tool ({}) was still running after {}, so I stopped it. Please ask again, perhaps in smaller \
                 steps.",
                one_line(tool),
                in_words(*limit)
            ),
            Self::TurnTimeout { limit } => format!(
                "This took longer than {}, so I stopped it. Ask me to go on, and I'll continue from here.",
                in_words(*limit)
            ),
            Self::NotLoggedIn { .. } => {
                "Claude Code isn't logged in where I run. Whoever runs this bot has to run `claude` there and log \
                 in, or renew its key."
                    .into()
            }
            Self::Forbidden { .. } => {
                "Anthropic refused this as forbidden. Whoever runs this bot has to check what the account may \
                 do.".into()
            }
            Self::NoSuchModel { .. } => {
                "The model set for this project or channel doesn't exist, or isn't available to this account. \
                 Choose another one for the channel, or correct `model` in routing.lua."
                    .into()
            }
            Self::Refused { .. } => {
                "Claude Code refused the model or permission mode of this project or channel. Choose others for \
                 the channel, or correct them in routing.lua; the log says why."
                    .into()
            }
            Self::RateLimit { .. } => {
                "Anthropic's rate limit has been reached. Please ask again in a few minutes.".into()
            }
            Self::UsageLimit { resets: Some(resets), .. } => {
                format!(
                    "The account's usage limit has been reached. It resets <t:{resets}:t> (<t:{resets}:R>); please \
                     ask again then."
                )
            }
            Self::UsageLimit { text, resets: None } => match when_it_resets(text) {
                Some(when) => {
                    format!(
                        "The account's usage limit has been reached. It resets {}; please ask again then.",
                        one_line(when)
                    )
                }
                None => "The account's usage limit has been reached. Please ask again later.".into(),
            },
            Self::Overloaded { fallback, .. } => format!(
                "Anthropic is overloaded at the moment{}. Please ask again in a few minutes.",
                if *fallback { ", and so is the fallback model" } else { "" }
            ),
            Self::ServerError { .. } => {
                "Anthropic's servers are failing at the moment. Please ask again in a few minutes.".into()
            }
            Self::StreamCut { .. } => {
                "The connection to Anthropic kept breaking off. Please ask again; if it keeps happening, whoever \
                 runs this bot has to check the network."
                    .into()
            }
            Self::Refusal { .. } => {
                "Anthropic's safeguards stopped this answer. Please rephrase it, or ask in a new thread, where \
                 the conversation starts over."
                    .into()
            }
            Self::Unreachable { .. } => {
                "I can't reach Anthropic from where I run. Please ask again later; if it keeps happening, whoever \
                 runs this bot has to check the network."
                    .into()
            }
            Self::PromptTooLong { .. } => {
                "This is more text than Claude can take at once. Please send less, or continue in a new thread, \
                 where the conversation starts over.".into()
            }
            Self::MaxTurns { .. } => {
                "Claude reached the limit of steps in one turn. Ask me to go on, and I'll continue from here."
                    .into()
            }
            Self::Budget { .. } => "The budget for this project is spent. Whoever runs this bot can raise \
                 `max_usd` in routing.lua.".into(),
            Self::BypassAsRoot { .. } => {
                "The permission mode `bypassPermissions` isn't possible as root. Choose another `permission_mode` \
                 in routing.lua, or run me as another user."
                    .into()
            }
            Self::DiskFull { .. } => {
                "The disk is full where I run, so Claude Code can't work. Whoever runs this bot has to free some \
                 space.".into()
            }
            Self::NoSettings { .. } => {
                "Claude Code can't find this project's settings. Correct `settings` in routing.lua.".into()
            }
            Self::Account { trouble, .. } => trouble.sentence().into(),
            Self::Poisoned { poison, .. } => format!(
                "This conversation contains {} that Anthropic doesn't accept, so every further question in it may \
                 fail too. Please ask in a new thread, where the conversation starts over.",
                poison.words()
            ),
            Self::MediaRemoved { .. } => {
                "Anthropic couldn't read an image or file in this conversation, so Claude Code took it out. \
                 Please ask again."
                    .into()
            }
            Self::PromptRefused { reason: Some(reason) } => {
                format!("A hook of this project blocked the question: {}", short(reason, 300))
            }
            Self::PromptRefused { reason: None } => {
                "A hook of this project blocked the question and gave no reason. Whoever runs this bot knows its \
                 rules."
                    .into()
            }
            // The conversation so far goes with every prompt, so what is wrong may stand in it.
            Self::Reported { status: Some(400), .. } => {
                "Anthropic refused this with status 400. Please rephrase it; if that fails too, ask in a new \
                 thread, where the conversation starts over."
                    .into()
            }
            Self::Reported { status: Some(status), .. } => {
                format!("Anthropic refused this with status {status}. Please try again, or rephrase it.")
            }
            Self::Reported { status: None, .. } => {
                "Claude stopped with an error. Please try again; the log says why it stopped.".into()
            }
            Self::NotStarted { .. } => {
                "Claude Code exited before it was ready. Whoever runs this bot can find the reason in the \
                 log.".into()
            }
            Self::NoResult { .. } => {
                "Claude stopped without an answer. Please ask again; the conversation is kept.".into()
            }
        }
    }
}

impl AccountTrouble {
    fn sentence(self) -> &'static str {
        match self {
            Self::NoCredit => {
                "The account that Claude Code uses can't pay for this: its credit is used up, or a payment \
                 failed. Whoever runs this bot has to check its billing."
            }
            Self::Disabled => {
                "Anthropic has disabled the organization whose account Claude Code uses. Whoever runs this bot \
                 has to take it up with Anthropic, or log in with another account."
            }
            Self::LoginNotAllowed => {
                "The organization whose account Claude Code uses doesn't allow this kind of login. Whoever runs \
                 this bot has to use an API key, or ask the organization's administrator."
            }
        }
    }
}

impl Poison {
    fn words(self) -> &'static str {
        match self {
            Self::Image => "an image",
            Self::Document => "a document",
            Self::Thinking => "part of Claude's thinking",
            Self::ToolHistory => "a tool call",
        }
    }
}

impl Trouble {
    /// What the person reads while it is tried again.
    pub fn sentence(self, attempt: u32, of: u32) -> String {
        let what = match self {
            Self::Overloaded => "Anthropic is overloaded",
            Self::RateLimited => "Anthropic's rate limit has been reached",
            Self::LoginRefused => "Anthropic rejected the login",
            Self::Failing => "Anthropic's servers are failing",
            Self::Unreachable => "Anthropic can't be reached",
        };
        format!("{what}; retrying, attempt {attempt} of {of}")
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

pub fn in_words(time: Duration) -> String {
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
