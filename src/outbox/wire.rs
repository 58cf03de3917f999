//! Discord's JSON, as far as it is used: <https://discord.com/developers/docs/reference>.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Notify, Post, Posted, interaction};
use crate::domain::{ApplicationId, ChannelId, GuildId, MessageId, RoleId, UserId};

#[derive(Deserialize)]
pub(super) struct GatewayBot {
    pub(super) url: String,
    pub(super) session_start_limit: Option<SessionStartLimit>,
}

#[derive(Deserialize)]
pub(super) struct SessionStartLimit {
    pub(super) remaining: u32,
    /// In milliseconds.
    pub(super) reset_after: u64,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: UserId,
    #[serde(default)]
    pub(super) username: String,
}

#[derive(Deserialize)]
pub(super) struct Member {
    pub(super) roles: Vec<RoleId>,
}

#[derive(Deserialize)]
pub(super) struct Written {
    pub(super) id: MessageId,
    pub(super) author: User,
    #[serde(default)]
    pub(super) content: String,
    #[serde(default)]
    flags: u64,
    webhook_id: Option<IgnoredAny>,
    message_reference: Option<Referenced>,
    #[serde(default)]
    components: Value,
    #[serde(default)]
    attachments: Vec<WrittenFile>,
}

#[derive(Deserialize)]
struct WrittenFile {
    filename: String,
}

#[derive(Deserialize)]
struct Referenced {
    message_id: Option<MessageId>,
}

impl Written {
    /// As what a bot without a webhook has posted; the answers of commands come through one.
    pub(super) fn posted(self) -> Option<Posted> {
        let Self { id, content, flags, webhook_id, message_reference, components, attachments, .. } = self;
        let reply_to = message_reference.and_then(|reference| reference.message_id);
        let silent = flags & SUPPRESS_NOTIFICATIONS != 0;
        let rows = components.as_array().into_iter().flatten();
        let pressed = rows.filter_map(|row| row["components"].as_array()).flatten();
        let custom_ids = pressed.filter_map(|it| it["custom_id"].as_str().map(str::to_owned)).collect();
        let files = attachments.into_iter().map(|file| file.filename).collect();
        webhook_id.is_none().then_some(Posted { id, content, reply_to, silent, custom_ids, files })
    }
}

#[derive(Deserialize)]
pub(super) struct Application {
    pub(super) id: ApplicationId,
    owner: Option<User>,
    team: Option<Team>,
    #[serde(default)]
    flags: u64,
}

#[derive(Deserialize)]
struct Team {
    owner_user_id: Option<UserId>,
    #[serde(default)]
    members: Vec<TeamMember>,
}

#[derive(Deserialize)]
struct TeamMember {
    /// 1 invited, 2 accepted
    membership_state: u8,
    user: User,
    #[serde(default)]
    role: String,
}

impl Application {
    /// Of a team, `owner` is a made-up user that stands for the team.
    pub(super) fn owners(self) -> Vec<UserId> {
        let Some(team) = self.team else { return self.owner.map(|owner| owner.id).into_iter().collect() };
        let members = team.members.into_iter();
        let accepted = members.filter(|member| member.membership_state == 2 && member.role != "read_only");
        let mut owners: Vec<_> = accepted.map(|member| member.user.id).chain(team.owner_user_id).collect();
        owners.sort();
        owners.dedup();
        owners
    }

    /// GATEWAY_MESSAGE_CONTENT, or its form for bots in fewer than 100 guilds.
    pub(super) fn message_content(&self) -> bool {
        self.flags & (1 << 18 | 1 << 19) != 0
    }
}

#[derive(Deserialize)]
pub(super) struct FetchedChannel {
    #[serde(rename = "type")]
    kind: u8,
    pub(super) name: Option<String>,
    parent_id: Option<ChannelId>,
    pub(super) guild_id: Option<GuildId>,
    pub(super) owner_id: Option<UserId>,
    #[serde(default)]
    pub(super) applied_tags: Vec<String>,
    #[serde(default)]
    pub(super) available_tags: Vec<FetchedTag>,
}

#[derive(Deserialize)]
pub(super) struct FetchedTag {
    pub(super) id: String,
    pub(super) name: String,
}

impl FetchedChannel {
    /// Outside threads, the parent is only a category.
    pub(super) fn thread_parent(&self) -> Option<ChannelId> {
        self.parent_id.filter(|_| matches!(self.kind, 10..=12))
    }
}

#[derive(Deserialize)]
pub(super) struct OpenedThread {
    pub(super) id: ChannelId,
}

#[derive(Deserialize)]
pub(super) struct Created {
    pub(super) id: MessageId,
}

const SUPPRESS_EMBEDS: u64 = 1 << 2;
const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;

#[derive(Serialize)]
pub(super) struct Create<'a> {
    content: &'a str,
    nonce: &'a str,
    enforce_nonce: bool,
    flags: u64,
    allowed_mentions: AllowedMentions,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_reference: Option<MessageReference>,
}

#[derive(Serialize)]
pub(super) struct EditBody<'a> {
    pub(super) content: &'a str,
    pub(super) components: Value,
    pub(super) allowed_mentions: AllowedMentions,
}

/// Nobody is pinged but the person replied to, and those named here where the text mentions them.
#[derive(Serialize, Default)]
pub(super) struct AllowedMentions {
    parse: [&'static str; 0],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    users: Vec<UserId>,
    replied_user: bool,
}

#[derive(Serialize)]
struct MessageReference {
    message_id: MessageId,
    fail_if_not_exists: bool,
}

impl<'a> Create<'a> {
    pub(super) fn new(post: &'a Post, reply_to: Option<MessageId>) -> Self {
        let notify = post.notify != Notify::Nobody;
        let users = if let Notify::Person(person) = post.notify { vec![person] } else { Vec::new() };
        Self {
            content: &post.content,
            nonce: &post.nonce,
            enforce_nonce: true,
            flags: SUPPRESS_EMBEDS | if notify { 0 } else { SUPPRESS_NOTIFICATIONS },
            allowed_mentions: AllowedMentions { parse: [], users, replied_user: notify },
            components: (!post.rows.is_empty()).then(|| interaction::rows(&post.rows)),
            message_reference: reply_to
                .map(|message_id| MessageReference { message_id, fail_if_not_exists: false }),
        }
    }
}
