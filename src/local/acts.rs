//! Everything that can happen in the guild: each act changes the world, is logged, and reaches the gateway.
//!
//! What the bot does comes through here with Discord's rules and can be refused; what the test's people do cannot.

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::gateway::{GUILD_MESSAGE_REACTIONS, GUILD_MESSAGE_TYPING, GUILD_MESSAGES, GUILDS};
use super::layout::numbered;
use super::rules::{AllowedMentions, Draft, Nonce, Refusal, checked};
use super::shape::{PERMISSIONS, with_guild};
use super::threads::NewThread;
use super::world::{
    Channel, ChannelKind, Id, Message, Right, Role, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, VOICE_MESSAGE,
    World,
};
use super::{State, What};

/// How long Discord remembers a nonce: "a few minutes" in its documentation.
const NONCE_MEMORY: Duration = Duration::from_secs(5 * 60);

/// The intent of the same events without a guild.
fn private(intent: u64) -> u64 {
    intent << 3
}

/// The intent of a message's events. One that only one person sees counts as a direct message, wherever it stands.
fn message_intent(message: &Message) -> u64 {
    if message.ephemeral_to.is_some() { private(GUILD_MESSAGES) } else { GUILD_MESSAGES }
}

fn channel_is_private(world: &World, id: Id) -> bool {
    world.channels.get(&id).is_some_and(|channel| channel.kind == ChannelKind::PrivateThread)
}

impl World {
    /// What the bot posts as a message, which is not posted yet.
    fn composed(&mut self, id: Id, channel: Id, draft: Draft) -> Result<Message, Refusal> {
        let is_there = self.channels.contains_key(&channel);
        if is_there && !draft.files.is_empty() && self.denied(channel, Right::Attach) {
            return Err(Refusal::missing_permissions());
        }
        self.check_files(channel, &draft.files)?;
        let content = checked(draft.content.as_deref().unwrap_or_default())?.to_owned();
        draft.check_layout(0)?;
        let nonce = draft.nonce.map(Nonce::checked).transpose()?;
        let embeds = draft.embeds.unwrap_or_default();
        let components = numbered(draft.components.unwrap_or_default());
        if content.is_empty() && embeds.is_empty() && components.is_empty() && draft.files.is_empty() {
            return Err(Refusal::empty_message());
        }
        if let Some(allowed) = &draft.allowed_mentions {
            allowed.check()?;
        }
        let allowed = draft.allowed_mentions.unwrap_or_else(AllowedMentions::everything);
        let replied = self.replied(channel, draft.message_reference.as_ref())?;
        let reply_to = replied.map(|message| message.id);
        let mentions = self.mentions(&content, &allowed, replied.map(|message| message.author));
        // What else a bot may set when it posts: components of the second version, voice messages.
        let settable = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | VOICE_MESSAGE | 1 << 15;
        let flags = draft.flags.unwrap_or(0) & settable;
        let pinged = match flags & SUPPRESS_NOTIFICATIONS {
            0 => self.pinged(&mentions, self.bot),
            _ => Vec::new(),
        };
        Ok(Message {
            by_bot: true,
            content,
            kind: if reply_to.is_some() { 19 } else { 0 },
            reply_to,
            flags,
            nonce,
            mentions: mentions.users,
            mention_roles: mentions.roles,
            mention_everyone: mentions.everyone,
            pinged,
            attachments: self.attach(channel, draft.files),
            embeds,
            components,
            ..Message::new(id, channel, self.bot)
        })
    }
}

impl State {
    /// Tells everybody who can see the channel and asked for such events.
    pub(super) fn tell(
        &mut self,
        channel: Id,
        intent: u64,
        name: &str,
        message: Option<Id>,
        body: impl Fn(&World, bool) -> Value,
    ) {
        if !self.world.denied(channel, Right::View) {
            let of_guild = GUILD_MESSAGES | GUILD_MESSAGE_REACTIONS | GUILD_MESSAGE_TYPING;
            let direct = self.world.is_direct(channel) && intent & of_guild != 0;
            let intent = if direct { private(intent) } else { intent };
            let world = &self.world;
            self.sessions.dispatch(intent, name, message, |content| body(world, content));
        }
    }

    /// Puts a finished message into its channel, and dispatches it.
    pub(super) fn post(&mut self, message: Message) -> Id {
        let (id, channel) = (message.id, message.channel);
        self.add_who_speaks(&message);
        if message.ephemeral_to.is_some() {
            self.world.ephemeral.insert(id, message.clone());
        } else if let Some(channel) = self.world.channels.get_mut(&channel) {
            channel.last_message = Some(id);
            channel.messages.insert(id, message.clone());
            if let Some(thread) = &mut channel.thread {
                thread.sent += 1;
            }
        }
        self.note(Some(channel), What::Posted(message));
        self.deliver(id);
        id
    }

    /// Dispatches MESSAGE_CREATE, for the first time or again. False if there is no such message.
    pub(super) fn deliver(&mut self, id: Id) -> bool {
        let Some(message) = self.world.message(id).cloned() else { return false };
        self.tell(message.channel, message_intent(&message), "MESSAGE_CREATE", Some(id), |world, content| {
            world.message_event_json(&message, content)
        });
        true
    }

    /// The bot posts. Answers with the message, which is an older one if the nonce says so.
    pub(super) fn bot_posts(&mut self, channel: Id, draft: Draft) -> Result<Id, Refusal> {
        let world = &mut self.world;
        if world.visible(channel)?.kind.is_forum() {
            let message = "Cannot send messages in a non-text channel";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 50008, message));
        }
        if world.denied(channel, Right::Post) {
            return Err(Refusal::missing_permissions());
        }
        world.check_open(channel, true)?;
        let enforced = draft.enforce_nonce == Some(true);
        let id = world.new_id();
        let message = world.composed(id, channel, draft)?;
        if let Some(nonce) = &message.nonce {
            let known =
                world.nonces.get(nonce).filter(|(_, at)| message.at.duration_since(*at) < NONCE_MEMORY);
            if let Some((known, _)) = known.filter(|_| enforced)
                && world.message(*known).is_some_and(|message| message.channel == channel)
            {
                return Ok(*known);
            }
            world.nonces.insert(nonce.clone(), (id, message.at));
        }
        self.wake(channel);
        Ok(self.post(message))
    }

    /// The bot opens a post of a forum: a thread and its first message, with one id.
    pub(super) fn bot_posts_in_forum(&mut self, new: NewThread, draft: Draft) -> Result<Id, Refusal> {
        let id = self.world.new_id();
        if !draft.files.is_empty() && self.world.denied(new.parent, Right::Attach) {
            return Err(Refusal::missing_permissions());
        }
        let first = self.world.composed(id, id, draft).map_err(|refusal| refusal.within("message"))?;
        self.open_thread(id, new);
        Ok(self.post(first))
    }

    /// The bot edits one of its own messages.
    pub(super) fn bot_edits(&mut self, channel: Id, id: Id, draft: Draft) -> Result<(), Refusal> {
        let message = self.world.visible_message(channel, id)?;
        if message.author != self.world.bot {
            let reason = "Cannot edit a message authored by another user";
            return Err(Refusal::new(StatusCode::FORBIDDEN, 50005, reason));
        }
        if !draft.files.is_empty() && self.world.denied(channel, Right::Attach) {
            return Err(Refusal::missing_permissions());
        }
        let message = message.clone();
        self.world.check_open(channel, false)?;
        self.world.check_files(channel, &draft.files)?;
        let edited = self.edited(message, draft)?;
        self.replace(edited);
        Ok(())
    }

    /// A message of the bot's as it is after an edit.
    pub(super) fn edited(&mut self, mut edited: Message, draft: Draft) -> Result<Message, Refusal> {
        draft.check_layout(edited.flags)?;
        if let Some(content) = &draft.content {
            edited.content = checked(content)?.to_owned();
            edited.edited = Some(SystemTime::now());
        }
        if let Some(allowed) = &draft.allowed_mentions {
            allowed.check()?;
        }
        if draft.content.is_some() || draft.allowed_mentions.is_some() {
            let allowed = draft.allowed_mentions.unwrap_or_else(AllowedMentions::everything);
            let replied = edited.reply_to.and_then(|id| self.world.message(id));
            let mentions = self.world.mentions(&edited.content, &allowed, replied.map(|it| it.author));
            edited.mentions = mentions.users;
            edited.mention_roles = mentions.roles;
            edited.mention_everyone = mentions.everyone;
        }
        if let Some(flags) = draft.flags {
            edited.flags = edited.flags & !SUPPRESS_EMBEDS | flags & SUPPRESS_EMBEDS;
        }
        edited.embeds = draft.embeds.unwrap_or(edited.embeds);
        edited.components = draft.components.map_or(edited.components, numbered);
        edited.attachments.extend(self.world.attach(edited.channel, draft.files));
        if edited.content.is_empty()
            && edited.embeds.is_empty()
            && edited.components.is_empty()
            && edited.attachments.is_empty()
        {
            return Err(Refusal::empty_message());
        }
        Ok(edited)
    }

    pub(super) fn replace(&mut self, message: Message) {
        if let Some(place) = self.world.message_mut(message.id) {
            place.clone_from(&message);
        }
        self.tell_update(&message);
        self.note(Some(message.channel), What::Edited(message));
    }

    pub(super) fn tell_update(&mut self, message: &Message) {
        self.tell(message.channel, message_intent(message), "MESSAGE_UPDATE", None, |world, content| {
            world.message_event_json(message, content)
        });
    }

    /// The bot deletes one of its own messages.
    pub(super) fn bot_deletes(&mut self, channel: Id, id: Id) -> Result<(), Refusal> {
        if self.world.visible_message(channel, id)?.author != self.world.bot {
            return Err(Refusal::missing_permissions());
        }
        self.delete(id);
        Ok(())
    }

    /// Somebody deletes a message. False if there is no such message.
    pub(super) fn delete(&mut self, id: Id) -> bool {
        let Some(message) = self.remove(id) else { return false };
        let channel = message.channel;
        let guild = self.world.guild_of(channel).filter(|_| message.ephemeral_to.is_none());
        self.tell(channel, message_intent(&message), "MESSAGE_DELETE", None, |_, _| {
            with_guild(guild, json!({ "id": id, "channel_id": channel }))
        });
        true
    }

    /// A moderator deletes several messages of one channel at once. Returns how many existed.
    pub(super) fn delete_bulk(&mut self, channel: Id, ids: &[Id]) -> usize {
        let found: Vec<Id> = ids.iter().copied().filter(|id| self.remove(*id).is_some()).collect();
        self.tell(channel, GUILD_MESSAGES, "MESSAGE_DELETE_BULK", None, |world, _| {
            with_guild(world.guild_of(channel), json!({ "ids": found, "channel_id": channel }))
        });
        found.len()
    }

    fn remove(&mut self, id: Id) -> Option<Message> {
        let message = self.world.message(id)?.clone();
        self.world.ephemeral.remove(&id);
        self.world.channels.get_mut(&message.channel)?.messages.remove(&id);
        self.note(Some(message.channel), What::Deleted(id));
        Some(message)
    }

    /// The bot reacts.
    pub(super) fn bot_reacts(&mut self, channel: Id, id: Id, emoji: &str) -> Result<(), Refusal> {
        self.world.visible_message(channel, id)?;
        if self.world.denied(channel, Right::History) || self.world.denied(channel, Right::React) {
            return Err(Refusal::missing_permissions());
        }
        self.world.check_open(channel, false)?;
        if emoji.is_empty() || (emoji.is_ascii() && !emoji.contains(':')) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 10014, "Unknown Emoji"));
        }
        self.react(self.world.bot, id, emoji);
        Ok(())
    }

    /// The bot takes a reaction back. Where there is none, nothing happens, and Discord says nothing.
    pub(super) fn bot_unreacts(&mut self, channel: Id, id: Id, emoji: &str) -> Result<(), Refusal> {
        self.world.visible_message(channel, id)?;
        let bot = self.world.bot;
        let reaction = (emoji.to_owned(), bot);
        let Some(message) = self.world.message_mut(id) else { return Ok(()) };
        let Some(place) = message.reactions.iter().position(|it| *it == reaction) else { return Ok(()) };
        message.reactions.remove(place);
        let message = message.clone();
        self.tell(channel, GUILD_MESSAGE_REACTIONS, "MESSAGE_REACTION_REMOVE", None, |world, _| {
            world.reaction_json(&message, bot, emoji, false)
        });
        let what = What::ReactionRemoved { message: id, user: bot, emoji: emoji.to_owned() };
        self.note(Some(channel), what);
        Ok(())
    }

    /// Somebody reacts; a second time changes nothing. False if there is no such message.
    pub(super) fn react(&mut self, user: Id, id: Id, emoji: &str) -> bool {
        let reaction = (emoji.to_owned(), user);
        let Some(message) = self.world.message_mut(id) else { return false };
        if message.reactions.contains(&reaction) {
            return true;
        }
        message.reactions.push(reaction);
        let message = message.clone();
        self.tell(message.channel, GUILD_MESSAGE_REACTIONS, "MESSAGE_REACTION_ADD", None, |world, _| {
            world.reaction_json(&message, user, emoji, true)
        });
        let what = What::ReactionAdded { message: id, user, emoji: emoji.to_owned() };
        self.note(Some(message.channel), what);
        true
    }

    /// The bot types.
    pub(super) fn bot_types(&mut self, channel: Id) -> Result<(), Refusal> {
        self.world.visible(channel)?;
        if self.world.denied(channel, Right::Post) {
            return Err(Refusal::missing_permissions());
        }
        self.world.check_open(channel, false)?;
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.tell(channel, GUILD_MESSAGE_TYPING, "TYPING_START", None, |world, _| {
            let json = json!({ "channel_id": channel, "user_id": world.bot, "timestamp": seconds });
            let Some(guild) = world.guild_of(channel) else { return json };
            let mut json = with_guild(Some(guild), json);
            json["member"] = world.member_json(&world.users[&world.bot]);
            json
        });
        let user = self.world.bot;
        self.note(Some(channel), What::Typing { user });
        Ok(())
    }

    /// The channel of this name, or the thread of this name in `parent`, created on demand.
    pub(super) fn channel(&mut self, parent: Option<Id>, name: &str) -> Id {
        match parent {
            Some(parent) => self.thread_named(parent, ChannelKind::Thread, name),
            None => self.channel_of(self.world.guild, ChannelKind::Text, name),
        }
    }

    /// The same of another kind, or in another guild; no thread.
    pub(super) fn channel_of(&mut self, guild: Id, kind: ChannelKind, name: &str) -> Id {
        let guild = Some(guild);
        if let Some(known) = self.world.channel_named(guild, None, name) {
            return known;
        }
        let id = self.world.new_id();
        self.world.channels.insert(id, Channel::new(id, name, kind, guild));
        self.tell(id, GUILDS, "CHANNEL_CREATE", None, |world, _| world.channel_json(&world.channels[&id]));
        id
    }

    /// The direct messages with this user, created on demand. As with Discord, no event tells of it.
    pub(super) fn direct(&mut self, user: Id) -> Id {
        if let Some(known) = self.world.channels.values().find(|channel| channel.direct == Some(user)) {
            return known.id;
        }
        let id = self.world.new_id();
        let channel = Channel { direct: Some(user), ..Channel::new(id, "", ChannelKind::Direct, None) };
        self.world.channels.insert(id, channel);
        id
    }

    /// Changes a channel and dispatches the change. False if there is no such channel.
    pub(super) fn change_channel(&mut self, id: Id, change: impl FnOnce(&mut Channel)) -> bool {
        let Some(channel) = self.world.channels.get_mut(&id) else { return false };
        change(channel);
        let event = if channel.parent.is_some() { "THREAD_UPDATE" } else { "CHANNEL_UPDATE" };
        let body = self.world.channel_json(&self.world.channels[&id]);
        if channel_is_private(&self.world, id) {
            self.tell(id, GUILDS, event, None, |_, _| body.clone());
        } else {
            // Also to a bot that no longer sees it: the event is how it learns that.
            self.sessions.dispatch(GUILDS, event, None, |_| body.clone());
        }
        if event == "THREAD_UPDATE" {
            self.note(Some(id), What::ThreadChanged);
        }
        true
    }

    /// Gives the bot a right in a channel, or takes it. False if there is no such channel.
    pub(super) fn set_right(&mut self, id: Id, right: Right, given: bool) -> bool {
        let found = self.change_channel(id, |channel| {
            if given {
                channel.denied.remove(&right);
            } else {
                channel.denied.insert(right);
            }
        });
        if found && given && right == Right::View {
            self.sync_threads(id);
        }
        found
    }

    /// Deletes a channel with its threads. False if there is no such channel.
    pub(super) fn delete_channel(&mut self, id: Id) -> bool {
        let Some(channel) = self.world.channels.get(&id) else { return false };
        let (event, body) = match channel.parent {
            None => ("CHANNEL_DELETE", self.world.channel_json(channel)),
            Some(parent) => {
                let body = json!({ "id": id, "parent_id": parent, "type": channel.kind as u8 });
                ("THREAD_DELETE", with_guild(channel.guild, body))
            }
        };
        self.tell(id, GUILDS, event, None, |_, _| body.clone());
        self.world.channels.retain(|_, channel| channel.id != id && channel.parent != Some(id));
        true
    }

    /// The role of this name, created on demand.
    pub(super) fn role(&mut self, name: &str) -> Id {
        if let Some(known) = self.world.roles.values().find(|role| role.name == name) {
            return known.id;
        }
        let id = self.world.new_id();
        let role = Role { id, name: name.to_owned(), bot: None, permissions: PERMISSIONS };
        let body = json!({ "guild_id": self.world.guild, "role": self.world.role_json(&role) });
        self.world.roles.insert(id, role);
        self.sessions.dispatch(GUILDS, "GUILD_ROLE_CREATE", None, |_| body.clone());
        id
    }

    /// Lets the members of a role do more. False if there is no such role.
    pub(super) fn permit(&mut self, role: Id, permissions: u64) -> bool {
        let Some(role) = self.world.roles.get_mut(&role) else { return false };
        role.permissions |= permissions;
        let role = role.clone();
        let body = json!({ "guild_id": self.world.guild, "role": self.world.role_json(&role) });
        self.sessions.dispatch(GUILDS, "GUILD_ROLE_UPDATE", None, |_| body.clone());
        true
    }
}
