//! What people (and other bots, and the webhook) write, and what they do to their messages. They are refused nothing.

use std::time::SystemTime;

use serde_json::json;

use super::rules::AllowedMentions;
use super::world::{File, Id, Message, STARTER, Sticker, VOICE_MESSAGE};
use super::{LocalDiscord, Say, State};

impl State {
    /// A person (or another bot, or the webhook) writes.
    pub(super) fn say(&mut self, say: Say) -> Id {
        let id = self.world.new_id();
        let message = self.said(id, say);
        let is_locked = |state: &Self| {
            let thread = state.world.channels.get(&message.channel).and_then(|it| it.thread.as_ref());
            thread.is_some_and(|thread| thread.locked)
        };
        if !is_locked(self) {
            self.wake(message.channel);
        }
        self.post(message)
    }

    /// What is said as a message, which is not posted yet.
    pub(super) fn said(&mut self, id: Id, say: Say) -> Message {
        let world = &mut self.world;
        assert!(world.channels.contains_key(&say.channel), "no channel {}", say.channel);
        assert!(world.users.contains_key(&say.user), "no user {}", say.user);
        let mut content = say.text;
        for (wanted, mention) in [
            (say.everyone, "@everyone".to_owned()),
            (say.by_role, format!("<@&{}>", world.bot_role)),
            (say.mention, format!("<@{}>", world.bot)),
        ] {
            if wanted {
                content = format!("{mention} {content}");
            }
        }
        let content = content.trim().to_owned();
        let author = if say.webhook && !say.forged { world.webhook } else { say.user };
        let replied = say.reply_to.filter(|_| say.reply_pings);
        let replied = replied.and_then(|id| world.message(id)).map(|message| message.author);
        let mentions = world.mentions(&content, &AllowedMentions::everything(), replied);
        let pinged = world.pinged(&mentions, author);
        let forwarded = say.forward_of.map(|of| {
            assert!(
                content.is_empty(),
                "a forward has no text of its own: people send one as another message"
            );
            let of = world.message(of).unwrap_or_else(|| panic!("no message {of}"));
            // Of a forward, what it forwards is forwarded.
            Box::new(of.forwarded.as_deref().unwrap_or(of).clone())
        });
        let names: Vec<String> = say.files.iter().map(|file| file.name.clone()).collect();
        let mut attachments = world.attach(say.channel, say.files);
        for (attachment, name) in attachments.iter_mut().zip(names) {
            let fault = say.file_faults.iter().find(|(of, _)| *of == name);
            world.file_faults.extend(fault.map(|(_, fault)| (attachment.id, fault.clone())));
            attachment.voice = say.voice;
            if say.raw_names {
                attachment.name = name;
            }
        }
        let sticker = |name: String| Sticker { id: world.new_id(), name };
        let stickers = say.stickers.into_iter().map(sticker).collect();
        Message {
            by_bot: author == world.bot,
            content,
            kind: if say.reply_to.is_some() { 19 } else { say.kind },
            reply_to: say.reply_to,
            forwarded,
            flags: if say.voice.is_some() { VOICE_MESSAGE } else { 0 },
            mentions: mentions.users,
            mention_roles: mentions.roles,
            mention_everyone: mentions.everyone,
            pinged,
            attachments,
            stickers,
            poll: say.poll,
            embeds: say.embeds,
            webhook: say.webhook.then_some(world.webhook),
            ..Message::new(id, say.channel, author)
        }
    }

    /// A person edits. False if there is no such message.
    pub(super) fn edit(&mut self, id: Id, text: &str) -> bool {
        let Some(mut message) = self.world.message(id).cloned() else { return false };
        message.content = text.trim().to_owned();
        message.edited = Some(SystemTime::now());
        // A reply that pinged goes on mentioning the one it replied to.
        let replied = message.reply_to.filter(|_| message.kind != STARTER);
        let replied = replied.and_then(|id| self.world.message(id)).map(|it| it.author);
        let replied = replied.filter(|author| message.mentions.contains(author));
        let mentions = self.world.mentions(&message.content, &AllowedMentions::everything(), replied);
        message.mentions = mentions.users;
        message.mention_roles = mentions.roles;
        message.mention_everyone = mentions.everyone;
        self.replace(message);
        true
    }

    /// A person edits and adds files. False if there is no such message.
    pub(super) fn attach(&mut self, id: Id, files: Vec<File>) -> bool {
        let Some(mut message) = self.world.message(id).cloned() else { return false };
        message.attachments.extend(self.world.attach(message.channel, files));
        message.edited = Some(SystemTime::now());
        self.replace(message);
        true
    }

    /// A person edits and takes a file away, by its name. False if there is no such file.
    pub(super) fn detach(&mut self, id: Id, name: &str) -> bool {
        let Some(mut message) = self.world.message(id).cloned() else { return false };
        let Some(place) = message.attachments.iter().position(|file| file.name == name) else { return false };
        self.world.files.remove(&message.attachments.remove(place).id);
        message.edited = Some(SystemTime::now());
        self.replace(message);
        true
    }

    /// Discord adds the preview of a link. False if there is no such message.
    pub(super) fn unfurl(&mut self, id: Id) -> bool {
        let Some(message) = self.world.message_mut(id) else { return false };
        message.embeds = vec![json!({ "type": "link", "url": "https://example.com/", "title": "Example" })];
        let message = message.clone();
        self.tell_update(&message);
        true
    }
}

impl LocalDiscord {
    /// Somebody writes. The new message's id.
    ///
    /// # Panics
    /// Where there is no such channel or user, or no message to forward, and if a forward has text.
    pub fn say(&self, say: Say) -> Id {
        self.hub().change(|state| state.say(say))
    }

    /// A message of another type than an ordinary one, such as 7 (somebody joined) or 6 (somebody pinned).
    ///
    /// # Panics
    /// Where there is no such channel or user.
    pub fn system_message(&self, channel: Id, user: Id, kind: u8) -> Id {
        self.say(Say { kind, ..Say::new(channel, user, "") })
    }

    /// Somebody edits a message. False if there is no such message.
    pub fn edit(&self, message: Id, text: &str) -> bool {
        self.hub().change(|state| state.edit(message, text))
    }

    /// Somebody edits a message and adds files to it. False if there is no such message.
    pub fn attach(&self, message: Id, files: Vec<File>) -> bool {
        self.hub().change(|state| state.attach(message, files))
    }

    /// Somebody edits a message and takes the file of this name away. False if there is no such file.
    pub fn detach(&self, message: Id, name: &str) -> bool {
        self.hub().change(|state| state.detach(message, name))
    }

    /// Discord adds the preview of a link to a message: an update that is no edit. False if there is no such message.
    pub fn unfurl(&self, message: Id) -> bool {
        self.hub().change(|state| state.unfurl(message))
    }
}
