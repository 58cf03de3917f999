//! Discord's rules: what it refuses and how, what a draft may hold, whom a text mentions.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::StatusCode;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::form::Mistakes;
use super::layout::{COMPONENTS_V2, check_components, check_embeds};
use super::shape::MANAGE_THREADS;
use super::world::{Channel, File, Id, Message, Right, Thread, World};

/// Discord's limit for bots, in code points (its OpenAPI description says 4000, which is for other clients).
const LONGEST: usize = 2000;
/// How many files a message may have.
const MOST_FILES: usize = 10;
/// How large a file may be where a guild has all boosts, in bytes.
pub(super) const LARGEST_UPLOAD: usize = 100 << 20;

/// A refusal of Discord's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) message: &'static str,
    /// For an invalid form: which field, and why.
    pub(super) errors: Option<Value>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: u32, message: &'static str) -> Self {
        Self { status, code, message, errors: None }
    }

    /// An invalid form with one mistake, at a dotted path.
    pub(super) fn field(at: &str, code: &str, message: &str) -> Self {
        let mut mistakes = Mistakes::default();
        mistakes.add(at, code, message);
        mistakes.into()
    }

    /// The same about a part of the body.
    pub(super) fn within(self, part: &str) -> Self {
        let mut around = serde_json::Map::new();
        let errors = self.errors.map(|errors| {
            around.insert(part.to_owned(), errors);
            around.into()
        });
        Self { errors, ..self }
    }

    pub(super) fn unknown_channel() -> Self {
        Self::new(StatusCode::NOT_FOUND, 10003, "Unknown Channel")
    }

    pub(super) fn unknown_message() -> Self {
        Self::new(StatusCode::NOT_FOUND, 10008, "Unknown Message")
    }

    pub(super) fn missing_access() -> Self {
        Self::new(StatusCode::FORBIDDEN, 50001, "Missing Access")
    }

    pub(super) fn missing_permissions() -> Self {
        Self::new(StatusCode::FORBIDDEN, 50013, "Missing Permissions")
    }

    pub(super) fn closed_thread() -> Self {
        Self::new(StatusCode::BAD_REQUEST, 50083, "Thread is archived")
    }

    /// For what needs another kind of channel.
    pub(super) fn wrong_channel() -> Self {
        Self::new(StatusCode::BAD_REQUEST, 50024, "Cannot execute action on this channel type")
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, 40005, "Request entity too large")
    }

    pub(super) fn empty_message() -> Self {
        Self::new(StatusCode::BAD_REQUEST, 50006, "Cannot send an empty message")
    }
}

/// The body of POST messages and PATCH messages/{id}, as far as it is understood here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Draft {
    pub(super) content: Option<String>,
    pub(super) nonce: Option<Nonce>,
    pub(super) enforce_nonce: Option<bool>,
    pub(super) flags: Option<u64>,
    pub(super) message_reference: Option<Reference>,
    pub(super) allowed_mentions: Option<AllowedMentions>,
    pub(super) embeds: Option<Vec<Value>>,
    pub(super) components: Option<Vec<Value>>,
    #[serde(skip)]
    pub(super) files: Vec<File>,
}

impl Draft {
    /// Whether embeds and components keep to the limits, on a message with these flags besides the draft's.
    pub(super) fn check_layout(&self, flags: u64) -> Result<(), Refusal> {
        let mut mistakes = Mistakes::default();
        check_embeds(self.embeds.as_deref().unwrap_or_default(), &mut mistakes);
        if (flags | self.flags.unwrap_or(0)) & COMPONENTS_V2 == 0 {
            check_components(self.components.as_deref().unwrap_or_default(), &mut mistakes);
        }
        mistakes.finish()
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Nonce {
    Number(i64),
    Text(String),
}

impl Nonce {
    /// As text: that is how it is given back, a number too.
    pub(super) fn checked(self) -> Result<String, Refusal> {
        match self {
            Self::Text(text) if text.chars().count() > 25 => {
                Err(Refusal::field("nonce", "NONCE_TYPE_TOO_LONG", "Must be 25 or fewer in length."))
            }
            Self::Text(text) => Ok(text),
            Self::Number(number) => Ok(number.to_string()),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    message_id: Option<Id>,
    fail_if_not_exists: Option<bool>,
}

/// Which mentions count. Without it all do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AllowedMentions {
    parse: Vec<String>,
    users: Vec<Id>,
    roles: Vec<Id>,
    replied_user: bool,
}

impl AllowedMentions {
    /// A person's client, or a bot that says nothing about it: everything is allowed.
    pub(super) fn everything() -> Self {
        let parse = ["users", "roles", "everyone"].map(str::to_owned).to_vec();
        Self { parse, replied_user: true, ..Self::default() }
    }

    /// Discord refuses a list of names beside "all of this kind", and lists of more than a hundred.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        for (kind, ids) in [("users", &self.users), ("roles", &self.roles)] {
            if !ids.is_empty() && self.parses(kind) {
                let reason = format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive.");
                let code = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE";
                return Err(Refusal::field("allowed_mentions", code, &reason));
            }
            if ids.len() > 100 {
                let reason = "Must be 100 or fewer in length.";
                return Err(Refusal::field("allowed_mentions", "BASE_TYPE_MAX_LENGTH", reason));
            }
        }
        Ok(())
    }

    fn parses(&self, kind: &str) -> bool {
        self.parse.iter().any(|it| it == kind)
    }
}

/// Whom a text mentions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    pub(super) users: Vec<Id>,
    pub(super) roles: Vec<Id>,
    pub(super) everyone: bool,
}

#[expect(clippy::expect_used, reason = "the pattern is a constant that the tests compile")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<@!?(?P<user>\d{1,20})>|<@&(?P<role>\d{1,20})>|@(?P<all>everyone|here)\b")
        .expect("a valid pattern")
});

impl World {
    /// Whom `content` mentions, each once, as far as `allowed` lets it; with the author of the message that it
    /// replies to.
    pub(super) fn mentions(&self, content: &str, allowed: &AllowedMentions, replied: Option<Id>) -> Mentions {
        let mut found = Mentions::default();
        found.users.extend(replied.filter(|_| allowed.replied_user));
        let id = |text: &str| text.parse::<u64>().ok().map(Id::from);
        for captures in MENTION.captures_iter(content) {
            if let Some(user) = captures.name("user").and_then(|it| id(it.as_str())) {
                let may = allowed.parses("users") || allowed.users.contains(&user);
                if may && self.users.contains_key(&user) && !found.users.contains(&user) {
                    found.users.push(user);
                }
            } else if let Some(role) = captures.name("role").and_then(|it| id(it.as_str())) {
                let may = allowed.parses("roles") || allowed.roles.contains(&role);
                if may && self.roles.contains_key(&role) && !found.roles.contains(&role) {
                    found.roles.push(role);
                }
            } else if captures.name("all").is_some() {
                found.everyone |= allowed.parses("everyone");
            }
        }
        found
    }

    /// Who gets a notification.
    pub(super) fn pinged(&self, mentions: &Mentions, author: Id) -> Vec<Id> {
        let by_role = |roles: &BTreeSet<Id>| mentions.roles.iter().any(|role| roles.contains(role));
        let members = self
            .users
            .values()
            .filter(|user| mentions.everyone || mentions.users.contains(&user.id) || by_role(&user.roles));
        members.map(|user| user.id).filter(|id| *id != author).collect()
    }

    /// The channel, if the bot may see it.
    pub(super) fn visible(&self, channel: Id) -> Result<&Channel, Refusal> {
        let found = self.channels.get(&channel).ok_or_else(Refusal::unknown_channel)?;
        if self.denied(channel, Right::View) {
            return Err(Refusal::missing_access());
        }
        Ok(found)
    }

    /// The thread, if the bot may see it.
    pub(super) fn visible_thread(&self, id: Id) -> Result<(&Channel, &Thread), Refusal> {
        let channel = self.visible(id)?;
        channel.thread.as_ref().map(|thread| (channel, thread)).ok_or_else(Refusal::wrong_channel)
    }

    /// Refuses what cannot be done in a thread that is in the archive, or that is locked. A new message takes it out.
    pub(super) fn check_open(&self, channel: Id, is_new_message: bool) -> Result<(), Refusal> {
        let thread = self.channels.get(&channel).and_then(|channel| channel.thread.as_ref());
        let Some(thread) = thread else { return Ok(()) };
        let locked = thread.locked && !self.manages(channel, MANAGE_THREADS);
        if locked || thread.archived && !is_new_message {
            return Err(Refusal::closed_thread());
        }
        Ok(())
    }

    /// Refuses files that are too many or too large: the limit is for each of them.
    pub(super) fn check_files(&self, channel: Id, files: &[File]) -> Result<(), Refusal> {
        if files.len() > MOST_FILES {
            let message = "Maximum number of attachments in a message reached (10)";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 30015, message));
        }
        let limit = match self.boosts {
            2 if !self.is_direct(channel) => 50 << 20,
            3 if !self.is_direct(channel) => LARGEST_UPLOAD,
            _ => 10 << 20,
        };
        if files.iter().any(|file| file.bytes.len() > limit) {
            return Err(Refusal::too_large());
        }
        Ok(())
    }

    /// The message, if the bot may see its channel.
    pub(super) fn visible_message(&self, channel: Id, message: Id) -> Result<&Message, Refusal> {
        self.visible(channel)?.messages.get(&message).ok_or_else(Refusal::unknown_message)
    }

    /// The message that a reply goes to: nothing if it is gone and the bot does not mind.
    pub(super) fn replied(
        &self,
        channel: Id,
        reference: Option<&Reference>,
    ) -> Result<Option<&Message>, Refusal> {
        let Some(reference) = reference else { return Ok(None) };
        if self.denied(channel, Right::History) {
            let message = "Cannot reply without permission to read message history";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 160_002, message));
        }
        let Some(id) = reference.message_id else {
            return Err(Refusal::field("message_reference", "BASE_TYPE_REQUIRED", "This field is required"));
        };
        match self.channels.get(&channel).and_then(|it| it.messages.get(&id)) {
            Some(message) => Ok(Some(message)),
            None if reference.fail_if_not_exists == Some(false) => Ok(None),
            None => Err(Refusal::field("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")),
        }
    }
}

/// Counted before trimming: Discord's own order is not documented, and this is the stricter one.
pub(super) fn checked(content: &str) -> Result<&str, Refusal> {
    if content.chars().count() > LONGEST {
        let reason = format!("Must be {LONGEST} or fewer in length.");
        return Err(Refusal::field("content", "BASE_TYPE_MAX_LENGTH", &reason));
    }
    Ok(content.trim())
}
