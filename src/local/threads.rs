//! Threads: how they are opened, changed, closed and woken, who is in them, and what the bot is told of it.
//!
//! After Discord's page on threads. Nobody leaves a thread by losing sight of it, and nothing is archived by time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::gateway::GUILDS;
use super::rules::Refusal;
use super::shape::{MANAGE_CHANNELS, MANAGE_THREADS, with_guild};
use super::world::{
    Channel, ChannelKind, Closed, HAS_THREAD, Id, Message, STARTER, TELLS_OF_THREAD, Tag, Thread, World,
};
use super::{LocalDiscord, Say, State, What};

/// How often a channel may be renamed, and within which time. Not documented; known from bots.
const RENAMES: (usize, Duration) = (2, Duration::from_secs(10 * 60));

/// The types of the messages by which Discord tells of a thread in it.
const ADDED: u8 = 1;
const REMOVED: u8 = 2;
const RENAMED: u8 = 4;

/// A thread that is to be opened.
pub(super) struct NewThread {
    pub(super) parent: Id,
    pub(super) kind: ChannelKind,
    pub(super) owner: Id,
    pub(super) name: String,
    pub(super) auto_archive_minutes: u64,
    pub(super) applied_tags: Vec<Id>,
}

/// A change to a channel that the bot asks for.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    pub(super) archived: Option<bool>,
    pub(super) locked: Option<bool>,
    pub(super) auto_archive_minutes: Option<u64>,
    pub(super) applied_tags: Option<Vec<Id>>,
}

impl World {
    /// The type of a thread that everybody sees, in this channel.
    ///
    /// # Errors
    /// If it can have none.
    pub(super) fn public_thread_in(&self, parent: Id) -> Result<ChannelKind, Refusal> {
        match self.channels.get(&parent).map(|parent| parent.kind) {
            Some(ChannelKind::Announcement) => Ok(ChannelKind::AnnouncementThread),
            Some(ChannelKind::Text | ChannelKind::Forum | ChannelKind::Media) => Ok(ChannelKind::Thread),
            _ => Err(Refusal::wrong_channel()),
        }
    }

    /// Whether the bot may make this change.
    pub(super) fn check_change(&self, id: Id, change: &Change) -> Result<(), Refusal> {
        let channel = self.visible(id)?;
        let Some(thread) = &channel.thread else {
            return match self.manages(id, MANAGE_CHANNELS) {
                true => Ok(()),
                false => Err(Refusal::missing_permissions()),
            };
        };
        let manages = self.manages(id, MANAGE_THREADS);
        if thread.archived && change.archived != Some(false) {
            return Err(Refusal::closed_thread());
        }
        let is_more_than_waking = change.name.is_some()
            || change.archived == Some(true)
            || change.auto_archive_minutes.is_some()
            || change.applied_tags.is_some();
        let may = manages
            || !thread.locked
                && change.locked.is_none()
                && (!is_more_than_waking || thread.owner == self.bot);
        if may { Ok(()) } else { Err(Refusal::missing_permissions()) }
    }

    /// How long the bot has to wait before it may change the name of this channel, if it has to, and wants to.
    pub(super) fn rename_wait(&self, id: Id, change: &Change) -> Option<Duration> {
        let channel =
            self.channels.get(&id).filter(|it| change.name.as_ref().is_some_and(|to| *to != it.name))?;
        let now = self.now();
        let ends = channel.renames.iter().map(|at| *at + RENAMES.1).filter(|end| *end > now);
        let mut ends: Vec<_> = ends.collect();
        ends.sort();
        let last = ends.len().checked_sub(RENAMES.0)?;
        ends[last].duration_since(now).ok()
    }
}

impl State {
    /// Opens a thread that is then empty. Who opens it is in it.
    pub(super) fn open_thread(&mut self, id: Id, new: NewThread) {
        let NewThread { parent, kind, owner, name, auto_archive_minutes, applied_tags } = new;
        let thread = Thread {
            parent,
            owner,
            members: BTreeSet::from([owner]),
            archived: false,
            locked: false,
            auto_archive_minutes,
            applied_tags,
            archive_changed: self.world.now(),
            sent: 0,
        };
        let guild = self.world.guild_of(parent);
        let channel =
            Channel { parent: Some(parent), thread: Some(thread), ..Channel::new(id, &name, kind, guild) };
        self.world.channels.insert(id, channel);
        if let Some(forum) = self.world.channels.get_mut(&parent).filter(|it| it.kind.is_forum()) {
            forum.last_message = Some(id);
        }
        self.tell(id, GUILDS, "THREAD_CREATE", None, |world, _| {
            let mut json = world.channel_json(&world.channels[&id]);
            json["newly_created"] = true.into();
            json
        });
        if owner == self.world.bot {
            self.tell_bot_entered(id);
        }
        self.note(Some(id), What::ThreadOpened { parent, by: owner });
    }

    /// Opens a thread from a message, which then has its id.
    pub(super) fn open_thread_from(&mut self, message: Id, new: NewThread) {
        let (parent, by, name) = (new.parent, new.owner, new.name.clone());
        let newest = self.world.channels.get(&parent).and_then(|parent| parent.last_message);
        if let Some(starter) = self.world.message_mut(message) {
            starter.flags |= HAS_THREAD;
        }
        self.open_thread(message, new);
        if let Some(starter) = self.world.message(message).cloned() {
            self.tell_update(&starter);
        }
        let id = self.world.new_id();
        self.post(Message { kind: STARTER, reply_to: Some(message), ..Message::new(id, message, by) });
        // Of a thread from the newest message people see enough.
        if newest != Some(message) {
            self.tell_of_thread(message, parent, by, name);
        }
    }

    /// The message in the channel that tells of a thread.
    pub(super) fn tell_of_thread(&mut self, thread: Id, parent: Id, by: Id, name: String) {
        let id = self.world.new_id();
        let message = Message::new(id, parent, by);
        self.post(Message { kind: TELLS_OF_THREAD, content: name, tells_of: Some(thread), ..message });
    }

    /// The thread of this name in `parent`, created on demand.
    pub(super) fn thread_named(&mut self, parent: Id, kind: ChannelKind, name: &str) -> Id {
        if let Some(known) = self.world.channel_named(self.world.guild_of(parent), Some(parent), name) {
            return known;
        }
        let id = self.world.new_id();
        let owner = self.world.owner;
        let (name, applied_tags) = (name.to_owned(), Vec::new());
        self.open_thread(
            id,
            NewThread { parent, kind, owner, name, auto_archive_minutes: 4320, applied_tags },
        );
        id
    }

    /// A person opens a thread from a message. The thread, which has the message's id.
    ///
    /// # Errors
    /// If there is no such message, it has a thread, or its channel can have none.
    pub(super) fn person_opens_thread(&mut self, message: Id, owner: Id, name: &str) -> Result<Id, String> {
        let parent = self.world.message(message).map(|message| message.channel);
        let parent = parent.ok_or_else(|| format!("no message {message}\n"))?;
        if self.world.channels.contains_key(&message) {
            return Err(format!("{message} has a thread\n"));
        }
        let kind = self.world.public_thread_in(parent);
        let kind = kind.map_err(|_| format!("{parent} can have no threads\n"))?;
        let (name, applied_tags) = (name.to_owned(), Vec::new());
        let new = NewThread { parent, kind, owner, name, auto_archive_minutes: 4320, applied_tags };
        self.open_thread_from(message, new);
        Ok(message)
    }

    /// The tag of this name in a forum, created on demand.
    pub(super) fn tag(&mut self, forum: Id, name: &str) -> Id {
        let tags = self.world.channels.get(&forum).map(|forum| forum.tags.as_slice()).unwrap_or_default();
        if let Some(known) = tags.iter().find(|tag| tag.name == name) {
            return known.id;
        }
        let id = self.world.new_id();
        self.change_channel(forum, |forum| forum.tags.push(Tag { id, name: name.to_owned() }));
        id
    }

    /// A person opens a post of a forum: a thread and its first message, with one id.
    pub(super) fn post_in_forum(&mut self, say: Say, title: &str, tags: &[Id]) -> Id {
        let (parent, owner) = (say.channel, say.user);
        let is_forum = self.world.channels.get(&parent).is_some_and(|channel| channel.kind.is_forum());
        assert!(is_forum, "{parent} is no forum");
        let id = self.world.new_id();
        let (kind, name) = (ChannelKind::Thread, title.to_owned());
        let applied_tags = tags.to_vec();
        self.open_thread(
            id,
            NewThread { parent, kind, owner, name, auto_archive_minutes: 4320, applied_tags },
        );
        let first = self.said(id, Say { channel: id, ..say });
        self.post(first)
    }

    /// Makes the change, which the bot may.
    pub(super) fn apply(&mut self, id: Id, change: Change) {
        let now = self.world.now();
        let Some(channel) = self.world.channels.get(&id) else { return };
        let renamed = change.name.filter(|name| *name != channel.name);
        let was_archived = channel.thread.as_ref().is_some_and(|thread| thread.archived);
        self.change_channel(id, |channel| {
            if let Some(name) = &renamed {
                channel.name.clone_from(name);
                channel.renames.push(now);
            }
            let Some(thread) = &mut channel.thread else { return };
            thread.locked = change.locked.unwrap_or(thread.locked);
            thread.auto_archive_minutes = change.auto_archive_minutes.unwrap_or(thread.auto_archive_minutes);
            if let Some(tags) = change.applied_tags {
                thread.applied_tags = tags;
            }
            if let Some(archived) = change.archived.filter(|archived| *archived != was_archived) {
                (thread.archived, thread.archive_changed) = (archived, now);
            }
        });
        if was_archived && change.archived == Some(false) {
            self.tell_bot_of_membership(id);
        }
        if let Some(name) = renamed {
            self.tell_of_name(id, self.world.bot, name);
        }
    }

    /// Tells those in a thread of its new name.
    fn tell_of_name(&mut self, thread: Id, by: Id, content: String) {
        if self.world.channels.get(&thread).is_some_and(|channel| channel.thread.is_some()) {
            let id = self.world.new_id();
            self.post(Message { kind: RENAMED, content, ..Message::new(id, thread, by) });
        }
    }

    /// A person closes a thread, or opens it again. False if there is no such thread.
    pub(super) fn close_thread(&mut self, id: Id, how: Option<Closed>) -> bool {
        let now = self.world.now();
        let Some(thread) = self.world.channels.get(&id).and_then(|channel| channel.thread.as_ref()) else {
            return false;
        };
        let wakes = thread.archived && how.is_none();
        self.change_channel(id, |channel| {
            if let Some(thread) = &mut channel.thread {
                (thread.archived, thread.locked) = (how.is_some(), how == Some(Closed::Locked));
                thread.archive_changed = now;
            }
        });
        if wakes {
            self.tell_bot_of_membership(id);
        }
        true
    }

    /// Takes a thread out of the archive, if it is in there, because somebody posts in it.
    pub(super) fn wake(&mut self, id: Id) {
        let thread = self.world.channels.get(&id).and_then(|channel| channel.thread.as_ref());
        if thread.is_some_and(|thread| thread.archived) {
            self.apply(id, Change { archived: Some(false), ..Change::default() });
        }
    }

    /// Adds who writes in a thread, and whom they mention.
    pub(super) fn add_who_speaks(&mut self, message: &Message) {
        let is_ordinary = matches!(message.kind, 0 | 19) && message.webhook.is_none();
        if is_ordinary && message.ephemeral_to.is_none() {
            for user in [message.author].iter().chain(&message.mentions) {
                self.enter(message.channel, *user);
            }
        }
    }

    /// Adds somebody to a thread. False if they were in it, or it is no thread.
    pub(super) fn enter(&mut self, thread: Id, user: Id) -> bool {
        let known = self.world.users.contains_key(&user);
        let found = self.world.channels.get_mut(&thread).and_then(|channel| channel.thread.as_mut());
        // Nobody comes into one that is in the archive.
        let found = found.filter(|thread| !thread.archived);
        if !known || !found.is_some_and(|thread| thread.members.insert(user)) {
            return false;
        }
        if user == self.world.bot {
            // Also of a thread that it knew.
            self.tell(thread, GUILDS, "THREAD_CREATE", None, |world, _| {
                world.channel_json(&world.channels[&thread])
            });
            self.tell_bot_entered(thread);
        }
        true
    }

    /// Takes somebody out of a thread. False if they were not in it.
    pub(super) fn leave(&mut self, thread: Id, user: Id) -> bool {
        let found = self.world.channels.get_mut(&thread).and_then(|channel| channel.thread.as_mut());
        if !found.is_some_and(|thread| thread.members.remove(&user)) {
            return false;
        }
        if user == self.world.bot {
            // Also of a private one, which it does not see any more.
            let mut body = self.membership(thread);
            body["removed_member_ids"] = json!([user]);
            self.sessions.dispatch(GUILDS, "THREAD_MEMBERS_UPDATE", None, |_| body.clone());
        }
        true
    }

    /// Somebody is added by somebody else, or (not `added`) taken out, and the thread is told.
    pub(super) fn add_or_remove(&mut self, thread: Id, user: Id, by: Id, added: bool) -> bool {
        let done = if added { self.enter(thread, user) } else { self.leave(thread, user) };
        if done {
            let id = self.world.new_id();
            let kind = if added { ADDED } else { REMOVED };
            self.post(Message { kind, mentions: vec![user], ..Message::new(id, thread, by) });
        }
        done
    }

    fn membership(&self, thread: Id) -> Value {
        let members = self.world.channels.get(&thread).and_then(|channel| channel.thread.as_ref());
        let count = members.map_or(0, |thread| thread.members.len().min(50));
        with_guild(self.world.guild_of(thread), json!({ "id": thread, "member_count": count }))
    }

    /// The bot is in a thread in which it was not.
    fn tell_bot_entered(&mut self, thread: Id) {
        self.tell_bot_of_membership(thread);
        let bot = self.world.bot;
        let mut added = self.world.thread_member_json(thread, bot);
        added["member"] = self.world.member_json(&self.world.users[&bot]);
        added["presence"] = Value::Null;
        let mut body = self.membership(thread);
        body["added_members"] = json!([added]);
        self.tell(thread, GUILDS, "THREAD_MEMBERS_UPDATE", None, |_, _| body.clone());
    }

    /// Tells the bot that it is in a thread, if it is.
    fn tell_bot_of_membership(&mut self, thread: Id) {
        let channel = self.world.channels.get(&thread);
        let found = channel.and_then(|channel| channel.thread.as_ref());
        if found.is_some_and(|thread| thread.members.contains(&self.world.bot)) {
            self.tell(thread, GUILDS, "THREAD_MEMBER_UPDATE", None, |world, _| {
                with_guild(world.guild_of(thread), world.thread_member_json(thread, world.bot))
            });
        }
    }

    /// Tells the bot of the threads in a channel that it has come to see.
    pub(super) fn sync_threads(&mut self, parent: Id) {
        let world = &self.world;
        let (threads, members) = world.threads_json(|_, thread| thread.parent == parent && !thread.archived);
        let body = json!({ "channel_ids": [parent], "threads": threads, "members": members });
        let body = with_guild(world.guild_of(parent), body);
        if world.channels.get(&parent).is_some_and(|channel| channel.thread.is_none()) {
            self.tell(parent, GUILDS, "THREAD_LIST_SYNC", None, |_, _| body.clone());
        }
    }
}

impl World {
    /// Those of these threads that the bot sees, the youngest first, and its place in each that it is in.
    pub(super) fn threads_json(
        &self,
        wanted: impl Fn(&Channel, &Thread) -> bool,
    ) -> (Vec<Value>, Vec<Value>) {
        let seen = self.channels.values().rev().filter(|channel| {
            channel.thread.as_ref().is_some_and(|thread| wanted(channel, thread))
                && self.visible(channel.id).is_ok()
        });
        let seen: Vec<&Channel> = seen.collect();
        let is_in = |channel: &&&Channel| {
            channel.thread.as_ref().is_some_and(|thread| thread.members.contains(&self.bot))
        };
        let members = seen.iter().filter(is_in).map(|it| self.thread_member_json(it.id, self.bot)).collect();
        (seen.into_iter().map(|channel| self.channel_json(channel)).collect(), members)
    }
}

impl LocalDiscord {
    /// The thread of this name in `parent`, created on demand by the owner, who tells nobody of it in the channel.
    pub fn thread(&self, parent: Id, name: &str) -> Id {
        self.hub().change(|state| state.channel(Some(parent), name))
    }

    /// The private thread of this name in `parent`, created on demand, with the owner and the bot in it.
    pub fn private_thread(&self, parent: Id, name: &str) -> Id {
        self.hub().change(|state| {
            let thread = state.thread_named(parent, ChannelKind::PrivateThread, name);
            state.enter(thread, state.world.bot);
            thread
        })
    }

    /// Somebody opens a thread from a message. The thread, which has the message's id.
    ///
    /// # Panics
    /// Where there is no such message, it has a thread, or its channel can have none.
    pub fn open_thread(&self, message: Id, user: Id, name: &str) -> Id {
        let opened = self.hub().change(|state| state.person_opens_thread(message, user, name));
        opened.unwrap_or_else(|why| panic!("{why}"))
    }

    /// Somebody opens a post in the forum [`Say::channel`], under a title and with tags. The post, which is a thread and has
    /// the id of its first message.
    ///
    /// # Panics
    /// Where there is no such forum or user.
    pub fn post_in_forum(&self, say: Say, title: &str, tags: &[Id]) -> Id {
        self.hub().change(|state| state.post_in_forum(say, title, tags))
    }

    /// The tag of this name in a forum, created on demand.
    pub fn tag(&self, forum: Id, name: &str) -> Id {
        self.hub().change(|state| state.tag(forum, name))
    }

    /// The threads in a channel or forum, the oldest first.
    pub fn threads(&self, parent: Id) -> Vec<Id> {
        let state = self.hub().lock();
        let threads = state.world.channels.values().filter(|channel| channel.parent == Some(parent));
        threads.map(|thread| thread.id).collect()
    }

    /// A thread as it is now: who is in it, whether it is closed, its tags …
    pub fn thread_state(&self, thread: Id) -> Option<Thread> {
        self.hub().lock().world.channels.get(&thread)?.thread.clone()
    }

    /// The owner adds somebody, or the bot, to a thread. False if they are in it, or there is no such thread.
    pub fn add_to_thread(&self, thread: Id, user: Id) -> bool {
        self.hub().change(|state| state.add_or_remove(thread, user, state.world.owner, true))
    }

    /// The owner takes somebody, or the bot, out of a thread. False if they are not in it.
    pub fn remove_from_thread(&self, thread: Id, user: Id) -> bool {
        self.hub().change(|state| state.add_or_remove(thread, user, state.world.owner, false))
    }

    /// Archives a thread, so that it takes nothing but posts, or locks it besides, or reopens it (`None`). False if there
    /// is no such thread.
    pub fn close_thread(&self, thread: Id, how: Option<Closed>) -> bool {
        self.hub().change(|state| state.close_thread(thread, how))
    }

    /// The owner renames a channel. False if there is no such channel.
    pub fn rename_channel(&self, channel: Id, name: &str) -> bool {
        self.hub().change(|state| {
            let found = state.change_channel(channel, |it| name.clone_into(&mut it.name));
            state.tell_of_name(channel, state.world.owner, name.to_owned());
            found
        })
    }
}
