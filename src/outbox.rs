//! Outwards: every REST call to Discord, paced.
//!
//! serenity's own HTTP client throws away the headers of an error, and they are what pacing needs; so this is a
//! thin sender on reqwest, which works the same for every `api_url`.
//!
//! **Order.** One call per channel is with Discord at a time, and calls of one kind in one channel go in the order
//! in which they were made: the parts of an answer stay in order even while one of them is tried again. A kind
//! that waits for its rate limit lets other kinds pass: a reaction does not wait for five messages.
//!
//! **Retries.** A 429, a 5xx, a lost connection and a timeout are retried, with growing waits, until
//! [`Patience::give_up_after`]. This cannot post a message twice: it carries a nonce, and with
//! `enforce_nonce` Discord answers with the message that it already has. It remembers a nonce for some minutes, so a
//! message is not retried for longer than that. Every other 4xx is final.
//!
//! **Courtesy.** Discord blocks an address after 10,000 invalid calls (401, 403, 429) in ten minutes. So what a
//! channel forbids is not asked again for a while, and a refused token silences the outbox for a minute. One 401 is not
//! yet a refused token: `GET /users/@me` has to confirm it.

mod call;
mod commands;
mod download;
mod favour;
mod filed;
mod form;
mod history;
mod interaction;
mod pace;
mod people;
mod redacted;
mod rights;
mod said;
mod threads;
mod uploads;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::domain::{ChannelId, File, GuildId, MessageId, Row, UserId};

pub use call::Patience;
use call::{Body, Call, Sender};
pub use commands::{Registration, Scope};
pub use download::DownloadError;
use favour::Favour;
pub use favour::Reacted;
pub use history::{History, Posted};
pub use interaction::{Callback, Change, Interactions, Unanswered};
pub(crate) use pace::CallKind;
pub use people::Identity;
pub use rights::{Access, JoinedGuild, NEEDED, Need, Permissions};
pub use said::SaidMessage;
pub use uploads::MOST_BYTES;

/// Discord asks for this form: <https://discord.com/developers/docs/reference#user-agent>.
const USER_AGENT: &str = concat!("DiscordBot (https://moonlane.invalid, ", env!("CARGO_PKG_VERSION"), ")");

/// The way out to Discord. Clones share their pacing.
#[derive(Clone)]
pub struct Outbox(Arc<OutboxInner>);

struct OutboxInner {
    sender: Sender,
    api: Url,
    /// What a channel has forbidden, and for how long that is remembered.
    forbidden: Mutex<HashMap<(Favour, ChannelId), Instant>>,
}

/// The error code for a reply without permission to read the channel's history.
const CANNOT_REPLY: u32 = 160_002;
/// How long posting a message is retried. Discord remembers nonces "for the past few minutes":
/// <https://discord.com/developers/docs/resources/message#create-message>.
const NONCE_HOLDS: Duration = Duration::from_secs(2 * 60);
/// How long a start is held up by a Discord that does not answer.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A message to post: one part of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// 1 to 2000 characters of Discord's Markdown.
    pub content: String,
    /// Names this part for ever, so that a second try does not post it twice: `MESSAGE_ID-PART`, at most 25
    /// characters.
    pub nonce: String,
    /// The message to reply to. If it is gone, or if the bot may not reply here, this becomes a plain message.
    pub reply_to: Option<MessageId>,
    pub notify: Notify,
    /// A file attached to it.
    pub file: Option<File>,
    /// What can be pressed below it.
    pub rows: Vec<Row>,
}

/// Who is notified of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// Nobody: it makes no sound.
    Nobody,
    /// Whoever wants to hear of this channel, and the person replied to.
    Channel,
    /// The same, and this person where the text mentions them.
    Person(UserId),
}

/// Discord does not take it, and a retry would not help. The text is for the log: `code` is Discord's JSON error code,
/// `why` its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 401: the token is not valid any more.
    #[error("Discord refuses the token")]
    Token,
    /// 403: a permission is missing.
    #[error("forbidden: {why}")]
    Forbidden { code: Option<u32>, why: String },
    /// 404: the channel or message does not exist any more.
    #[error("not found: {why}")]
    NotFound { code: Option<u32>, why: String },
    /// Any other 4xx: the request itself was wrong.
    #[error("invalid: {why}")]
    Invalid { code: Option<u32>, why: String },
    /// Discord could not be reached, or failed, until the outbox gave up. Where nothing was `sent`, it is certain that
    /// nothing came of it.
    #[error("gave up: {why}")]
    GaveUp { why: String, sent: bool },
}

impl Refused {
    /// Discord's JSON error code, if it gave one:
    /// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#json-json-error-codes>.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Forbidden { code, .. } | Self::NotFound { code, .. } | Self::Invalid { code, .. } => *code,
            Self::Token | Self::GaveUp { .. } => None,
        }
    }

    /// Discord's code for an archived thread.
    pub const ARCHIVED: u32 = 50_083;
    /// Discord's code for a locked thread.
    pub const LOCKED: u32 = 160_005;

    /// Whether the same call may succeed later: Discord is down, a permission is missing, a thread is closed.
    pub fn is_passing(&self) -> bool {
        /// Discord's codes for temporary conditions that it reports as an invalid call. Slow mode, the limit for
        /// announcements, the limits of a channel and of a guild for writing, messages switched off for a while, a service
        /// that is limited, an archived thread, a locked thread.
        const PASSING: [u32; 8] =
            [20_016, 20_022, 20_028, 20_029, 40_004, 40_062, Refused::ARCHIVED, Refused::LOCKED];
        match self {
            Self::GaveUp { .. } | Self::Token | Self::Forbidden { .. } => true,
            Self::Invalid { code: Some(code), .. } => PASSING.contains(code),
            Self::NotFound { .. } | Self::Invalid { .. } => false,
        }
    }

    /// Whether there is no such message any more, or no such channel.
    pub fn is_of_what_is_gone(&self) -> bool {
        const GONE: [u32; 2] = [10_003, 10_008];
        self.code().is_some_and(|code| GONE.contains(&code))
    }
}

/// Discord cannot be used at all; one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The bot's token is not valid.
    #[error(
        "Discord refused the token: copy the current one from the Developer Portal (your application → Bot → \
         Reset Token)"
    )]
    Token,
    /// The configuration's `api_url` or token cannot work.
    #[error("`discord.api_url` or the token cannot be used: {0}")]
    Unusable(String),
    /// No proper answer.
    #[error("Discord at {api} does not answer as it should: {why}")]
    Discord { api: String, why: String },
}

/// What Discord says about its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayInfo {
    /// A `ws://` or `wss://` address.
    pub url: String,
    /// `None` if it does not say.
    pub starts: Option<SessionStarts>,
}

/// How many sessions may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionStarts {
    /// This many, until the count is reset.
    pub remaining: u32,
    /// When it is.
    pub reset_after: Duration,
}

/// What Discord says about a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its name, without `#`.
    pub name: String,
    /// For a thread, the channel that it belongs to.
    pub parent: Option<ChannelId>,
    /// Its guild; `None` for a direct message.
    pub guild: Option<GuildId>,
    /// For a thread, who has opened it.
    pub owner: Option<UserId>,
    /// The ids of the tags of a forum's post.
    pub tags: Vec<String>,
    /// For a forum, the names of the tags that its posts may have, by id.
    pub tag_names: HashMap<String, String>,
}

impl Outbox {
    /// An outbox for the Discord at `api_url` (without `/api/v10`). Nothing is asked yet.
    ///
    /// # Errors
    /// If the address or the token cannot be used at all.
    pub fn new(api_url: &str, token: &str) -> Result<Self, ConnectError> {
        Self::with_patience(api_url, token, Patience::default())
    }

    /// Like [`Self::new`], with another patience.
    ///
    /// # Errors
    /// The same.
    pub fn with_patience(api_url: &str, token: &str, patience: Patience) -> Result<Self, ConnectError> {
        let unusable = |why: String| ConnectError::Unusable(why);
        let base = format!("{}/api/v10", api_url.trim_end_matches('/'));
        let api = Url::parse(&base).map_err(|e| unusable(e.to_string()))?;
        let mut token = HeaderValue::from_str(&format!("Bot {token}"))
            .map_err(|_| unusable("the token has characters that a token cannot have".to_owned()))?;
        token.set_sensitive(true);

        let mut http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(8)
            .pool_idle_timeout(Duration::from_secs(60));
        if api.host_str().is_some_and(is_loopback) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|e| unusable(format!("{:#}", anyhow::Error::from(e))))?;
        let sender = Sender::new(http, base, token, patience);
        Ok(Self(Arc::new(OutboxInner { sender, api, forbidden: Mutex::default() })))
    }

    /// Where the gateway is, and how many sessions may still begin there.
    ///
    /// # Errors
    /// A refused token, or no answer within half a minute.
    pub async fn gateway(&self) -> Result<GatewayInfo, ConnectError> {
        let wire::GatewayBot { url, session_start_limit } = self.start("/gateway/bot").await?;
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Err(self.no_discord(format!("`{url}` is not the address of a gateway")));
        }
        let starts = session_start_limit.map(|limit| SessionStarts {
            remaining: limit.remaining,
            reset_after: Duration::from_millis(limit.reset_after),
        });
        Ok(GatewayInfo { url, starts })
    }

    /// Posts a message. Parts of one channel are posted in the order of these calls.
    ///
    /// # Errors
    /// Final for this delivery: see [`Refused`].
    pub async fn post(&self, channel: ChannelId, post: Post) -> Result<MessageId, Refused> {
        self.post_as(CallKind::Create, channel, post).await
    }

    /// Posts a message that only shows that a turn is at work: now, where the rate limits leave room besides what is said,
    /// or not at all.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn show(&self, channel: ChannelId, post: Post) -> Result<MessageId, Refused> {
        self.post_as(CallKind::Show, channel, post).await
    }

    /// Whether [`Self::show`] would most likely find room now.
    pub fn has_room(&self, channel: ChannelId) -> bool {
        self.0.sender.has_room(CallKind::Show, channel.get())
    }

    async fn post_as(&self, kind: CallKind, channel: ChannelId, post: Post) -> Result<MessageId, Refused> {
        let reply_to = post.reply_to.filter(|_| !self.is_forbidden(Favour::Replies, channel));
        match self.create(kind, channel, &post, reply_to).await {
            Err(refused) if reply_to.is_some() && refused.code() == Some(CANNOT_REPLY) => {
                self.forbid(Favour::Replies, channel);
                self.create(kind, channel, &post, None).await
            }
            other => other,
        }
    }

    async fn create(
        &self,
        kind: CallKind,
        channel: ChannelId,
        post: &Post,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, Refused> {
        self.create_with(kind, channel, (post, reply_to), |body| match &post.file {
            None => Body::Json(body),
            Some(file) => Body::Form(body, vec![file.clone()]),
        })
        .await
    }

    /// The same, with whatever `body` makes of the message as JSON.
    async fn create_with(
        &self,
        kind: CallKind,
        channel: ChannelId,
        (post, reply_to): (&Post, Option<MessageId>),
        body: impl FnOnce(Vec<u8>) -> Body,
    ) -> Result<MessageId, Refused> {
        let json = serde_json::to_vec(&wire::Create::new(post, reply_to))
            .map_err(|e| Refused::Invalid { code: None, why: format!("cannot be written as JSON: {e}") })?;
        let call = Call {
            method: Method::POST,
            body: Some(body(json)),
            give_up_after: Some(NONCE_HOLDS.min(self.0.sender.patience.give_up_after)),
            ..Call::get(kind, channel.get(), format!("/channels/{channel}/messages"))
        };
        let wire::Created { id } = self.0.sender.ask(call).await?;
        Ok(id)
    }

    /// Gives a message of the bot's own another text, and other things to press.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn edit(
        &self,
        channel: ChannelId,
        message: MessageId,
        content: &str,
        rows: &[Row],
    ) -> Result<(), Refused> {
        let body = wire::EditBody {
            content,
            components: interaction::rows(rows),
            allowed_mentions: wire::AllowedMentions::default(),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|e| Refused::Invalid { code: None, why: format!("cannot be written as JSON: {e}") })?;
        let path = format!("/channels/{channel}/messages/{message}");
        let call = Call {
            method: Method::PATCH,
            body: Some(Body::Json(body)),
            ..Call::get(CallKind::Edit, channel.get(), path)
        };
        self.0.sender.send(call).await
    }

    /// Deletes one of the bot's messages. It is no error if it is gone already.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn delete(&self, channel: ChannelId, message: MessageId) -> Result<(), Refused> {
        let path = format!("/channels/{channel}/messages/{message}");
        let call = Call { method: Method::DELETE, ..Call::get(CallKind::Delete, channel.get(), path) };
        match self.0.sender.send(call).await {
            Err(Refused::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Asks about a channel.
    ///
    /// # Errors
    /// See [`Refused`]; put a timeout around it if it matters how long this takes.
    pub async fn channel(&self, channel: ChannelId) -> Result<ChannelInfo, Refused> {
        let answer: wire::FetchedChannel =
            self.get(CallKind::Channel, channel.get(), format!("/channels/{channel}")).await?;
        Ok(ChannelInfo {
            parent: answer.thread_parent(),
            owner: answer.owner_id.filter(|_| answer.thread_parent().is_some()),
            name: answer.name.unwrap_or_default(),
            guild: answer.guild_id,
            tags: answer.applied_tags,
            tag_names: answer.available_tags.into_iter().map(|tag| (tag.id, tag.name)).collect(),
        })
    }

    /// Takes a thread out of the archive, if the bot may.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn reopen(&self, thread: ChannelId) -> Result<(), Refused> {
        let call = Call {
            method: Method::PATCH,
            body: Some(Body::Json(br#"{"archived":false}"#.to_vec())),
            ..Call::get(CallKind::Channel, thread.get(), format!("/channels/{thread}"))
        };
        self.0.sender.send(call).await
    }

    /// A GET request; `place` is the channel or guild that Discord counts by.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        kind: CallKind,
        place: u64,
        path: String,
    ) -> Result<T, Refused> {
        self.0.sender.ask(Call::get(kind, place, path)).await
    }

    /// The same, for no longer than this.
    pub(crate) async fn get_within<T: DeserializeOwned>(
        &self,
        kind: CallKind,
        place: u64,
        path: String,
        limit: Duration,
    ) -> Result<T, Refused> {
        let call = Call { give_up_after: Some(limit), ..Call::get(kind, place, path) };
        self.0.sender.ask(call).await
    }

    /// The time by Discord's clock, to a second or so; by this machine's before Discord has ever answered.
    pub fn time_there(&self) -> SystemTime {
        let answered = *self.0.sender.time_there.lock();
        answered.map_or_else(SystemTime::now, |(time, at)| time + at.elapsed())
    }

    /// reqwest's client, for serenity to share: a second one would cost its memory again.
    pub(crate) fn http(&self) -> reqwest::Client {
        self.0.sender.http.clone()
    }

    async fn start<T: DeserializeOwned>(&self, path: &str) -> Result<T, ConnectError> {
        let patience = START_PATIENCE.min(self.0.sender.patience.give_up_after);
        let call = Call { give_up_after: Some(patience), ..Call::get(CallKind::Start, 0, path.to_owned()) };
        self.0.sender.ask(call).await.map_err(|refused| match refused {
            Refused::Token => ConnectError::Token,
            other => self.no_discord(other.to_string()),
        })
    }

    fn no_discord(&self, why: String) -> ConnectError {
        ConnectError::Discord { api: self.0.api.as_str().trim_end_matches("/api/v10").to_owned(), why }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("api", &self.0.api.as_str()).finish_non_exhaustive()
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
pub(crate) mod tests;
