//! Messages and reactions as Discord's JSON; see `shape`.

use std::time::Duration;

use serde_json::{Value, json};

use super::shape::{time, with_guild};
use super::world::{Attachment, Id, Message, Poll, STARTER, Sticker, World};

impl World {
    fn attachment_json(&self, file: &Attachment) -> Value {
        let mut json = json!({
            "id": file.id, "filename": file.name, "size": file.size, "url": file.url, "proxy_url": file.url,
        });
        if let Some(kind) = &file.content_type {
            json["content_type"] = kind.as_str().into();
        }
        if let Some((width, height)) = file.pixels {
            json["width"] = width.into();
            json["height"] = height.into();
        }
        if let Some(length) = file.voice {
            json["duration_secs"] = length.as_secs_f64().into();
            // Two steps of loudness, in base64.
            json["waveform"] = "AP8=".into();
        }
        json
    }

    fn poll_json(&self, message: &Message, poll: &Poll) -> Value {
        let answers = poll.answers.iter().zip(1..);
        let answers = answers.map(|(text, n)| json!({ "answer_id": n, "poll_media": { "text": text } }));
        json!({
            "question": { "text": poll.question },
            "answers": answers.collect::<Vec<_>>(),
            "expiry": time(message.id.time() + Duration::from_secs(24 * 60 * 60)),
            "allow_multiselect": false,
            "layout_type": 1,
            "results": { "is_finalized": false, "answer_counts": [] },
        })
    }

    /// Whether the bot may see the text of this message, given whether it may see every text.
    ///
    /// Without the privileged intent it sees its own messages, direct ones, and those that mention it by name.
    fn readable(&self, message: &Message, content: bool) -> bool {
        let own = message.author == self.bot || self.is_direct(message.channel);
        content || own || message.mentions.contains(&self.bot)
    }

    fn bare_message_json(&self, message: &Message, content: bool) -> Value {
        let readable = self.readable(message, content);
        let mut json = json!({
            "id": message.id,
            "channel_id": message.channel,
            "type": message.kind,
            "author": self.author_json(message.author),
            "content": if readable { &message.content } else { "" },
            "timestamp": time(message.id.time()),
            "edited_timestamp": message.edited.map(time),
            "tts": false,
            "mention_everyone": message.mention_everyone,
            "mentions": message.mentions.iter().map(|id| self.author_json(*id)).collect::<Vec<_>>(),
            "mention_roles": message.mention_roles,
            "pinned": false,
            "flags": message.flags,
        });
        self.add_content_json(message, readable, &mut json);
        if let Some(forwarded) = &message.forwarded {
            json["message_snapshots"] = json!([{ "message": self.snapshot_json(forwarded, readable) }]);
            let reference = json!({ "type": 1, "channel_id": forwarded.channel, "message_id": forwarded.id });
            json["message_reference"] = with_guild(self.guild_of(forwarded.channel), reference);
        }
        if let Some(poll) = message.poll.as_ref().filter(|_| readable) {
            json["poll"] = self.poll_json(message, poll);
        }
        let thread = self.channels.get(&message.id).filter(|it| it.parent == Some(message.channel));
        if let Some(thread) = thread {
            json["thread"] = self.channel_json(thread);
        }
        if let Some(thread) = message.tells_of {
            json["message_reference"] =
                with_guild(self.guild_of(message.channel), json!({ "type": 0, "channel_id": thread }));
        }
        if let Some(nonce) = &message.nonce {
            json["nonce"] = nonce.as_str().into();
        }
        if let Some(webhook) = message.webhook {
            json["webhook_id"] = json!(webhook);
        }
        if let Some(replied) = message.reply_to {
            let channel = self.channel_replied_to(message);
            let reference = json!({ "type": 0, "channel_id": channel, "message_id": replied });
            json["message_reference"] = with_guild(self.guild_of(message.channel), reference);
        }
        if let Some(interaction) = message.interaction.and_then(|id| self.interactions.get(&id)) {
            json["application_id"] = json!(self.application);
            json["interaction_metadata"] = self.interaction_metadata_json(interaction);
        }
        let mut counts: Vec<(&str, u64, bool)> = Vec::new();
        for (emoji, user) in &message.reactions {
            let me = *user == self.bot;
            match counts.iter_mut().find(|(name, ..)| name == emoji) {
                Some((_, count, mine)) => (*count, *mine) = (*count + 1, *mine || me),
                None => counts.push((emoji, 1, me)),
            }
        }
        if !counts.is_empty() {
            let counts = counts.into_iter().map(|(emoji, count, me)| {
                json!({
                    "emoji": emoji_json(emoji), "count": count, "me": me, "me_burst": false, "burst_colors": [],
                    "count_details": { "normal": count, "burst": 0 },
                })
            });
            json["reactions"] = counts.collect();
        }
        json
    }

    /// What is withheld without the message-content intent.
    fn add_content_json(&self, message: &Message, readable: bool, json: &mut Value) {
        for withheld in ["attachments", "embeds", "components"] {
            json[withheld] = json!([]);
        }
        if readable {
            let files = message.attachments.iter().map(|file| self.attachment_json(file));
            json["attachments"] = files.collect();
            json["embeds"] = message.embeds.clone().into();
            json["components"] = message.components.clone().into();
        }
        if !message.stickers.is_empty() {
            let sticker = |it: &Sticker| json!({ "id": it.id, "name": it.name, "format_type": 1 });
            json["sticker_items"] = message.stickers.iter().map(sticker).collect();
        }
    }

    /// A forwarded message as it was when it was forwarded: it does not say who wrote it.
    fn snapshot_json(&self, message: &Message, readable: bool) -> Value {
        let mut json = json!({
            "type": message.kind,
            "content": if readable { &message.content } else { "" },
            "mentions": message.mentions.iter().map(|id| self.author_json(*id)).collect::<Vec<_>>(),
            "mention_roles": message.mention_roles,
            "timestamp": time(message.id.time()),
            "edited_timestamp": message.edited.map(time),
            "flags": message.flags,
        });
        self.add_content_json(message, readable, &mut json);
        json
    }

    /// Where the message stands that this one replies to, or that the thread was opened from which this one begins.
    fn channel_replied_to(&self, message: &Message) -> Id {
        let parent = self.channels.get(&message.channel).and_then(|channel| channel.parent);
        if message.kind == STARTER { parent.unwrap_or(message.channel) } else { message.channel }
    }

    /// A message as REST gives it. A reply carries the message that it replies to, or null if that is gone.
    pub(super) fn message_json(&self, message: &Message, content: bool) -> Value {
        let mut json = self.bare_message_json(message, content);
        if let Some(replied) = message.reply_to {
            let channel = self.channel_replied_to(message);
            let replied = self.message(replied).filter(|it| it.channel == channel);
            json["referenced_message"] =
                replied.map_or(Value::Null, |replied| self.bare_message_json(replied, content));
        }
        json
    }

    /// A message as the gateway gives it: with the guild, and with who is a member of it.
    pub(super) fn message_event_json(&self, message: &Message, content: bool) -> Value {
        let json = self.message_json(message, content);
        // Ephemeral ones come as if they were direct messages.
        let guild = self.guild_of(message.channel).filter(|_| message.ephemeral_to.is_none());
        let mut json = with_guild(guild, json);
        if guild.is_none() {
            return json;
        }
        if let Some(user) = self.users.get(&message.author) {
            json["member"] = self.partial_member_json(user);
        }
        for (place, id) in message.mentions.iter().enumerate() {
            if let Some(user) = self.users.get(id) {
                json["mentions"][place]["member"] = self.partial_member_json(user);
            }
        }
        json
    }

    pub(super) fn reaction_json(&self, message: &Message, user: Id, emoji: &str, added: bool) -> Value {
        let json = json!({
            "user_id": user,
            "channel_id": message.channel,
            "message_id": message.id,
            "emoji": emoji_json(emoji),
            "burst": false,
            "type": 0,
        });
        let guild = self.guild_of(message.channel);
        let mut json = with_guild(guild, json);
        if added {
            if guild.is_some() {
                json["member"] = self.member_json(&self.users[&user]);
            }
            json["message_author_id"] = json!(message.author);
            json["burst_colors"] = json!([]);
        }
        json
    }
}

/// A Unicode emoji as it is, or a custom one as `name:id`.
fn emoji_json(emoji: &str) -> Value {
    match emoji.split_once(':') {
        Some((name, id)) => json!({ "id": id, "name": name }),
        None => json!({ "id": null, "name": emoji }),
    }
}
