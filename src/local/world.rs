//! The guild as plain data: users, roles, channels, messages, files. No rules here, no JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::commands::Command;
pub use super::id::Id;
use super::id::next_id;
use super::interactions::Interaction;
pub use super::message::{
    Attachment, EPHEMERAL, File, FileFault, HAS_THREAD, LOADING, Message, Poll, SUPPRESS_EMBEDS,
    SUPPRESS_NOTIFICATIONS, Sticker, VOICE_MESSAGE,
};
pub(super) use super::message::{STARTER, TELLS_OF_THREAD};
use super::shape::{MANAGE_THREADS, PERMISSIONS};

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
    /// To open threads: 50013 without it.
    Threads,
}

/// How a thread is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closed {
    /// It is in the archive. A post takes it out; until then edits, reactions and typing there answer 50083.
    Archived,
    /// It is in the archive and locked: posts answer 50083 too, and only who manages threads may take it out.
    Locked,
}

/// What kind of channel it is, by Discord's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelKind {
    Text = 0,
    Direct = 1,
    Voice = 2,
    Announcement = 5,
    AnnouncementThread = 10,
    Thread = 11,
    PrivateThread = 12,
    /// It has threads only.
    Forum = 15,
    /// A forum for pictures.
    Media = 16,
}

impl ChannelKind {
    /// Whether nothing but threads can be in it.
    pub(super) fn is_forum(self) -> bool {
        matches!(self, Self::Forum | Self::Media)
    }
}

/// What a thread has beyond other channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thread {
    /// The channel or forum that it is in.
    pub parent: Id,
    /// Who opened it.
    pub owner: Id,
    /// Who is in it.
    pub members: BTreeSet<Id>,
    /// Whether it is in the archive.
    pub archived: bool,
    /// Whether only who manages threads may post there and take it out of the archive.
    pub locked: bool,
    /// After how many idle minutes it leaves the list of threads: 60, 1440, 4320 or 10080.
    pub auto_archive_minutes: u64,
    /// Of a forum's post: its tags.
    pub applied_tags: Vec<Id>,
    /// When it last went into the archive or out of it.
    #[serde(skip)]
    pub archive_changed: SystemTime,
    /// How many messages there ever were.
    #[serde(skip)]
    pub(super) sent: usize,
}

/// A tag that the posts of a forum can have.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub(super) id: Id,
    pub(super) name: String,
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
    /// Of a thread, what other channels do not have.
    pub(super) thread: Option<Thread>,
    /// Of a forum, the tags that its posts can have.
    pub(super) tags: Vec<Tag>,
    /// When the bot last renamed it, by this world's clock.
    pub(super) renames: Vec<SystemTime>,
    /// The person that the bot talks with here, in direct messages.
    pub(super) direct: Option<Id>,
    pub(super) denied: BTreeSet<Right>,
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
            thread: None,
            tags: Vec::new(),
            renames: Vec::new(),
            direct: None,
            denied: BTreeSet::new(),
            permitted: BTreeMap::new(),
            messages: BTreeMap::new(),
            last_message: None,
        }
    }
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
    /// How the files are served that are not served as they are.
    pub(super) file_faults: HashMap<Id, FileFault>,
    /// The level to which people have boosted the guild: 0 to 3.
    pub(super) boosts: u8,
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
            file_faults: HashMap::new(),
            boosts: 0,
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
        inherited
            || channel.denied.contains(&right)
            || right == Right::View && channel.kind == ChannelKind::PrivateThread && !self.may_enter(channel)
    }

    /// Whether the bot is in this private thread, or manages threads.
    fn may_enter(&self, channel: &Channel) -> bool {
        let is_member = channel.thread.as_ref().is_some_and(|thread| thread.members.contains(&self.bot));
        is_member || self.manages(channel.id, MANAGE_THREADS)
    }

    /// The time by this world's clock.
    pub(super) fn now(&self) -> SystemTime {
        SystemTime::now() + self.ahead
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
