//! The guild as plain data: users, roles, channels, messages, files. No rules here, no JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::commands::Command;
use super::interactions::Interaction;
use super::shape::PERMISSIONS;

/// A Discord snowflake: of a user, a role, a channel, a message … It is a string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

/// Discord's snowflakes count milliseconds from the start of 2015.
const EPOCH: Duration = Duration::from_millis(1_420_070_400_000);

impl Id {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// When it was made, to the millisecond.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + EPOCH + Duration::from_millis(self.0 >> 22)
    }
}

impl From<u64> for Id {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Takes a string or a number, as Discord does.
impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(id) => Ok(Self(id)),
            Form::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A person or a bot.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) bot: bool,
    pub(super) roles: BTreeSet<Id>,
}

/// A role.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) id: Id,
    pub(super) name: String,
    /// The bot that it belongs to, for a bot's own role.
    pub(super) bot: Option<Id>,
    /// What it lets its members do, as Discord's bits.
    pub(super) permissions: u64,
}

/// What can be taken from the bot in a channel (and so in its threads).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// To see the channel at all: without it, everything there answers 50001 and no event comes.
    View,
    /// To write: 50013 without it.
    Post,
    /// To read the history: without it a reply answers 160002, and reading gives nothing.
    History,
    /// To attach files: 50013 without it.
    Attach,
    /// To add reactions: 50013 without it.
    React,
}

/// A thread in the archive, where every post answers 50083.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The bot may take it out.
    Archived,
    /// Only moderators may.
    Locked,
}

/// What kind of channel it is, by Discord's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelKind {
    Text = 0,
    Direct = 1,
    Thread = 11,
    PrivateThread = 12,
    /// It has threads only.
    Forum = 15,
}

/// A text channel, a thread of one, or direct messages.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) kind: ChannelKind,
    /// None: direct messages.
    pub(super) guild: Option<Id>,
    /// The channel that this is a thread of.
    pub(super) parent: Option<Id>,
    /// The person that the bot talks with here, in direct messages.
    pub(super) direct: Option<Id>,
    pub(super) denied: BTreeSet<Right>,
    /// Of a thread, that it is in the archive, and who may take it out.
    pub(super) closed: Option<Closed>,
    /// What single people may do here besides, as Discord's bits.
    pub(super) permitted: BTreeMap<Id, u64>,
    pub(super) messages: BTreeMap<Id, Message>,
    /// The newest message there ever was, deleted or not.
    pub(super) last_message: Option<Id>,
}

impl Channel {
    /// An empty one.
    pub(super) fn new(id: Id, name: &str, kind: ChannelKind, guild: Option<Id>) -> Self {
        Self {
            id,
            name: name.to_owned(),
            kind,
            guild,
            parent: None,
            direct: None,
            denied: BTreeSet::new(),
            closed: None,
            permitted: BTreeMap::new(),
            messages: BTreeMap::new(),
            last_message: None,
        }
    }
}

/// A message as it stands in a channel now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Its id.
    pub id: Id,
    /// The channel or thread that it stands in.
    pub channel: Id,
    /// Who wrote it: a user, or the webhook.
    pub author: Id,
    /// Whether it was the bot under test.
    pub by_bot: bool,
    /// The text, trimmed as Discord trims it.
    pub content: String,
    /// Discord's number of its type: 0 is an ordinary message, 19 a reply, 7 a join.
    pub kind: u8,
    /// The message that it replies to.
    pub reply_to: Option<Id>,
    /// Discord's flags, such as [`SUPPRESS_EMBEDS`] and [`SUPPRESS_NOTIFICATIONS`].
    pub flags: u64,
    /// The nonce that its author gave it.
    pub nonce: Option<String>,
    /// The users that it mentions, as far as `allowed_mentions` lets it, and the author of the message that it replies to
    /// if the reply pings.
    pub mentions: Vec<Id>,
    /// The roles that it mentions, likewise.
    pub mention_roles: Vec<Id>,
    /// Whether it mentions everybody.
    pub mention_everyone: bool,
    /// The users that get a notification for it: the mentioned ones, unless the message was posted silently. An
    /// edit changes nothing here, for it notifies nobody.
    pub pinged: Vec<Id>,
    /// The files.
    pub attachments: Vec<Attachment>,
    /// The reactions on it now: which emoji, by whom.
    pub reactions: Vec<(String, Id)>,
    /// Embeds, as they were sent.
    pub embeds: Vec<serde_json::Value>,
    /// Components (buttons …), as they were sent, with Discord's numbers as their `id`.
    pub components: Vec<serde_json::Value>,
    /// The webhook that posted it; for an answer to an interaction that is the application.
    pub webhook: Option<Id>,
    /// The interaction that it answers, if it does.
    pub interaction: Option<Id>,
    /// The only person who sees it, if it is ephemeral. The bot cannot fetch it, react to it or reply to it.
    pub ephemeral_to: Option<Id>,
    /// When its text was last changed.
    #[serde(skip)]
    pub edited: Option<SystemTime>,
    /// When it was posted.
    #[serde(skip)]
    pub at: Instant,
}

/// The flag of a message that hides the previews of links.
pub const SUPPRESS_EMBEDS: u64 = 1 << 2;
/// The flag of a silent message: it mentions, but notifies nobody.
pub const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;

/// The flag of a message that only one person sees.
pub const EPHEMERAL: u64 = 1 << 6;
/// The flag of a deferred answer: people see that the bot is thinking.
pub const LOADING: u64 = 1 << 7;

/// A file on a message. Its bytes are served under its URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Its id.
    pub id: Id,
    /// The file name.
    pub name: String,
    /// The media type, if it is known.
    pub content_type: Option<String>,
    /// The size in bytes.
    pub size: usize,
    /// Where it is served.
    pub url: String,
}

/// A file before it is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The file name.
    pub name: String,
    /// The media type, if it is known.
    pub content_type: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

/// Who owns the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// The user "owner".
    #[default]
    User,
    /// A team of four: "owner" and "developer", who accepted, "reader", who accepted but may only read, and
    /// "invited", who has not accepted yet.
    Team,
}

/// The whole guild, and the application that the bot belongs to.
pub(super) struct World {
    last_id: u64,
    /// Whether the bot was thrown out of the guild.
    pub(super) thrown_out: bool,
    /// How far its clock is ahead of this machine's.
    pub(super) ahead: Duration,
    /// The server's own address, for the links that it gives out.
    pub(super) url: String,
    pub(super) guild: Id,
    /// Another guild, into which somebody has taken the bot.
    pub(super) other_guild: Id,
    pub(super) application: Id,
    pub(super) bot: Id,
    pub(super) bot_role: Id,
    pub(super) owner: Id,
    pub(super) team: Option<Id>,
    pub(super) webhook: Id,
    /// Whether the application may see the text of every message.
    pub(super) message_content: bool,
    pub(super) users: BTreeMap<Id, User>,
    pub(super) roles: BTreeMap<Id, Role>,
    pub(super) channels: BTreeMap<Id, Channel>,
    pub(super) files: HashMap<Id, File>,
    /// The bot's nonces, and when they were used.
    pub(super) nonces: HashMap<String, (Id, Instant)>,
    /// The messages that only one person sees. They are in no channel's history.
    pub(super) ephemeral: BTreeMap<Id, Message>,
    pub(super) commands: Vec<Command>,
    pub(super) interactions: BTreeMap<Id, Interaction>,
}

impl World {
    pub(super) fn new(url: String, owner: Owner, message_content: bool) -> Self {
        let mut last = 0;
        let [guild, other_guild, application, bot, bot_role, owner_id, team, webhook] =
            std::array::from_fn(|_| next_id(&mut last, Duration::ZERO));
        let mut world = Self {
            last_id: last,
            thrown_out: false,
            ahead: Duration::ZERO,
            url,
            guild,
            other_guild,
            application,
            bot,
            bot_role,
            owner: owner_id,
            team: (owner == Owner::Team).then_some(team),
            webhook,
            message_content,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            channels: BTreeMap::new(),
            files: HashMap::new(),
            nonces: HashMap::new(),
            ephemeral: BTreeMap::new(),
            commands: Vec::new(),
            interactions: BTreeMap::new(),
        };
        let user = |id, name: &str, roles| User { id, name: name.to_owned(), bot: id == bot, roles };
        world.users.insert(bot, user(bot, "moonlane", BTreeSet::from([bot_role])));
        world.users.insert(owner_id, user(owner_id, "owner", BTreeSet::new()));
        // The role of everybody has the guild's own id.
        let role = |id, name: &str, bot| Role { id, name: name.to_owned(), bot, permissions: PERMISSIONS };
        world.roles.insert(guild, role(guild, "@everyone", None));
        world.roles.insert(bot_role, role(bot_role, "moonlane", Some(bot)));
        if owner == Owner::Team {
            for name in ["developer", "reader", "invited"] {
                world.user(name, false);
            }
        }
        world
    }

    /// A new id, greater than every one before.
    pub(super) fn new_id(&mut self) -> Id {
        next_id(&mut self.last_id, self.ahead)
    }

    /// The user of this name, created on demand.
    pub(super) fn user(&mut self, name: &str, bot: bool) -> Id {
        if let Some(user) = self.users.values().find(|user| user.name == name) {
            return user.id;
        }
        let id = self.new_id();
        self.users.insert(id, User { id, name: name.to_owned(), bot, roles: BTreeSet::new() });
        id
    }

    /// The channel or thread of this name, if there is one. A thread's name is looked up within its parent.
    pub(super) fn channel_named(&self, guild: Option<Id>, parent: Option<Id>, name: &str) -> Option<Id> {
        let is_it = |it: &&Channel| it.guild == guild && it.parent == parent && it.name == name;
        self.channels.values().find(is_it).map(|channel| channel.id)
    }

    /// Whether something was taken from the bot in this channel, or in the channel that this is a thread of.
    pub(super) fn denied(&self, channel: Id, right: Right) -> bool {
        let Some(channel) = self.channels.get(&channel) else { return true };
        if self.thrown_out && channel.direct.is_none() {
            return true;
        }
        let inherited = channel.parent.is_some_and(|parent| self.denied(parent, right));
        inherited || channel.denied.contains(&right)
    }

    /// What this person may do besides in this channel, or in the channel that this is a thread of.
    pub(super) fn permitted(&self, channel: Id, user: Id) -> u64 {
        let Some(channel) = self.channels.get(&channel) else { return 0 };
        let inherited = channel.parent.map_or(0, |parent| self.permitted(parent, user));
        inherited | channel.permitted.get(&user).copied().unwrap_or(0)
    }

    /// Whether these are direct messages.
    pub(super) fn is_direct(&self, channel: Id) -> bool {
        self.channels.get(&channel).is_some_and(|channel| channel.direct.is_some())
    }

    /// The guild, unless the channel is outside of it.
    pub(super) fn guild_of(&self, channel: Id) -> Option<Id> {
        self.channels.get(&channel).and_then(|channel| channel.guild)
    }

    /// All messages of a channel, oldest first; the ephemeral ones among them.
    pub(super) fn messages(&self, channel: Id) -> impl Iterator<Item = &Message> {
        let ordinary = self.channels.get(&channel).into_iter().flat_map(|channel| channel.messages.values());
        let ephemeral = self.ephemeral.values().filter(move |message| message.channel == channel);
        let mut all: Vec<&Message> = ordinary.chain(ephemeral).collect();
        all.sort_by_key(|message| message.id);
        all.into_iter()
    }

    /// The message with this id, wherever it stands.
    pub(super) fn message(&self, id: Id) -> Option<&Message> {
        let ordinary = self.channels.values().map(|channel| &channel.messages);
        ordinary.chain([&self.ephemeral]).find_map(|messages| messages.get(&id))
    }

    /// The same, to be changed.
    pub(super) fn message_mut(&mut self, id: Id) -> Option<&mut Message> {
        let ordinary = self.channels.values_mut().map(|channel| &mut channel.messages);
        ordinary.chain([&mut self.ephemeral]).find_map(|messages| messages.get_mut(&id))
    }
}

/// Real snowflakes: the time in the high bits; within a millisecond they count up.
fn next_id(last: &mut u64, ahead: Duration) -> Id {
    let since_epoch = (SystemTime::now() + ahead).duration_since(UNIX_EPOCH + EPOCH).unwrap_or_default();
    let now = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX >> 22) << 22;
    *last = now.max(*last + 1);
    Id(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_snowflakes_of_now_and_grow() {
        let mut world = World::new(String::new(), Owner::User, false);
        let ids: Vec<Id> = (0..10_000).map(|_| world.new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let age = SystemTime::now().duration_since(ids[0].time()).unwrap_or_default();
        assert!(age < Duration::from_secs(10), "made {age:?} ago");
    }

    #[test]
    fn a_thread_inherits_what_its_parent_denies() {
        let mut world = World::new(String::new(), Owner::User, false);
        let (parent, thread) = (world.new_id(), world.new_id());
        for (id, kind, parent) in
            [(parent, ChannelKind::Text, None), (thread, ChannelKind::Thread, Some(parent))]
        {
            let channel = Channel { parent, ..Channel::new(id, "x", kind, Some(world.guild)) };
            world.channels.insert(id, channel);
        }
        world.channels.get_mut(&parent).unwrap().denied.insert(Right::Post);
        assert!(world.denied(thread, Right::Post));
        assert!(!world.denied(thread, Right::View));
    }
}
