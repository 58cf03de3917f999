//! The gateway's events, as far as the bot uses them.
//!
//! serenity decodes the whole of every event and drops to [`Event::Unknown`] what it cannot, such as a message with
//! a field that is newer than itself. Both are read here from the JSON once more, but only for what is needed: so a
//! message counts even where serenity has not understood all of it. The same types read messages fetched over REST.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use serenity::model::event::Event;

use super::person::{Person, WireMember, null_is_default};
use super::quote::{WireAttachment, WireExtras, WireQuote, WireReplied, WireSnapshot};
use crate::domain::{ChannelId, Extra, GuildId, MessageId, Reread, RoleId, UserId};

/// One event.
#[derive(Debug)]
pub(super) enum WireEvent {
    /// With the guilds that the bot is in.
    Ready(Vec<GuildId>),
    Resumed,
    Guild(WireGuild),
    GuildGone {
        id: GuildId,
    },
    /// Channels or threads, new or changed; they carry their guild.
    Channels(Vec<WireChannel>),
    ChannelGone {
        id: ChannelId,
    },
    Role(WireRole),
    RoleGone {
        id: RoleId,
    },
    Said(Box<WireMessage>),
    Edited(Box<WireMessage>),
    Deleted {
        channel: ChannelId,
        ids: Vec<MessageId>,
    },
    /// A part of the bot wants a message read again. Not an event, but queued like one.
    Reread(Reread),
}

impl WireEvent {
    /// The channel, for events about messages.
    pub(super) fn in_channel(&self) -> Option<ChannelId> {
        match self {
            Self::Said(said) | Self::Edited(said) => Some(said.channel_id),
            Self::Deleted { channel, .. } | Self::Reread(Reread { channel, .. }) => Some(*channel),
            _ => None,
        }
    }
}

/// A guild with all that belongs to it. It comes after the start, when the bot is invited, and after an outage.
#[derive(Debug, Deserialize)]
pub(super) struct WireGuild {
    pub(super) id: GuildId,
    #[serde(default, deserialize_with = "null_is_default")]
    unavailable: bool,
    #[serde(default)]
    pub(super) channels: Vec<WireChannel>,
    #[serde(default)]
    pub(super) threads: Vec<WireChannel>,
    #[serde(default)]
    pub(super) roles: Vec<WireRole>,
}

/// A channel or a thread.
#[derive(Debug, Deserialize)]
pub(super) struct WireChannel {
    pub(super) id: ChannelId,
    pub(super) guild_id: Option<GuildId>,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) name: String,
    parent_id: Option<ChannelId>,
    pub(super) last_message_id: Option<MessageId>,
    thread_metadata: Option<ThreadMetadata>,
    /// Who has opened a thread.
    pub(super) owner_id: Option<UserId>,
    /// The tags that the posts of a forum may have.
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) available_tags: Vec<WireTag>,
    /// Those that a post has.
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) applied_tags: Vec<TagId>,
}

/// The id of a tag, as Discord writes it.
pub(super) type TagId = String;

/// A tag of a forum.
#[derive(Debug, Deserialize)]
pub(super) struct WireTag {
    pub(super) id: TagId,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
struct ThreadMetadata {
    #[serde(default)]
    archived: bool,
}

impl WireChannel {
    /// Whether it is a thread in the archive.
    pub(super) fn is_archived(&self) -> bool {
        self.thread_metadata.as_ref().is_some_and(|thread| thread.archived)
    }

    /// For a thread, the channel that it belongs to. The parent of any other channel is a category.
    pub(super) fn thread_parent(&self) -> Option<ChannelId> {
        self.parent_id.filter(|_| matches!(self.kind, 10..=12))
    }
}

/// A role.
#[derive(Debug, Deserialize)]
pub(super) struct WireRole {
    pub(super) id: RoleId,
    pub(super) guild_id: Option<GuildId>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    tags: Tags,
}

#[derive(Debug, Default, Deserialize)]
struct Tags {
    bot_id: Option<UserId>,
}

impl WireRole {
    /// Whether it is the role that Discord made for this bot.
    pub(super) fn belongs_to(&self, bot: UserId) -> bool {
        self.tags.bot_id == Some(bot)
    }
}

/// A message.
#[derive(Debug, Deserialize)]
pub(super) struct WireMessage {
    pub(super) id: MessageId,
    pub(super) channel_id: ChannelId,
    pub(super) guild_id: Option<GuildId>,
    pub(super) author: Person,
    pub(super) member: Option<WireMember>,
    pub(super) content: String,
    #[serde(rename = "type")]
    kind: u8,
    webhook_id: Option<IgnoredAny>,
    edited_timestamp: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) mentions: Vec<Person>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) mention_roles: Vec<RoleId>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) attachments: Vec<WireAttachment>,
    #[serde(flatten)]
    extras: WireExtras,
    #[serde(default, deserialize_with = "null_is_default")]
    message_snapshots: Vec<WireSnapshot>,
    message_reference: Option<WireReference>,
    referenced_message: Option<Box<WireReplied>>,
}

/// What a reply or a forward refers to.
#[derive(Debug, Clone, Deserialize)]
struct WireReference {
    message_id: Option<MessageId>,
    /// 0 of a reply, 1 of a forward.
    #[serde(rename = "type", default)]
    kind: u8,
}

impl WireMessage {
    /// The message that this one replies to.
    pub(super) fn replies_to(&self) -> Option<MessageId> {
        self.message_reference.as_ref().filter(|reference| reference.kind == 0)?.message_id
    }

    /// What it replies to or forwards, if Discord tells.
    pub(super) fn quote(&mut self) -> Option<WireQuote> {
        if let Some(snapshot) = self.message_snapshots.pop() {
            return Some(WireQuote::Forward(snapshot.content()));
        }
        self.replies_to()?;
        self.referenced_message.take().map(WireQuote::Reply)
    }

    /// What it holds besides text and files.
    pub(super) fn extras(&self) -> Vec<Extra> {
        let mut extras = self.extras.without_embeds();
        extras.extend(self.attachments.iter().find_map(WireAttachment::voice));
        extras
    }

    /// Whether a person wrote it: an ordinary message or a reply, not a pin or a boost.
    pub(super) fn is_speech(&self) -> bool {
        matches!(self.kind, 0 | 19)
    }

    /// Whether its author has edited it.
    pub(super) fn is_edited(&self) -> bool {
        self.edited_timestamp.is_some()
    }

    pub(super) fn is_bots(&self) -> bool {
        self.author.bot || self.webhook_id.is_some()
    }
}

/// Whether the bot listens to this event at all.
pub(super) fn is_wanted(event: &Event) -> bool {
    matches!(
        event,
        Event::Ready(_)
            | Event::Resumed(_)
            | Event::GuildCreate(_)
            | Event::GuildDelete(_)
            | Event::ChannelCreate(_)
            | Event::ChannelUpdate(_)
            | Event::ChannelDelete(_)
            | Event::ThreadCreate(_)
            | Event::ThreadUpdate(_)
            | Event::ThreadDelete(_)
            | Event::ThreadListSync(_)
            | Event::GuildRoleCreate(_)
            | Event::GuildRoleUpdate(_)
            | Event::GuildRoleDelete(_)
            | Event::MessageCreate(_)
            | Event::MessageUpdate(_)
            | Event::MessageDelete(_)
            | Event::MessageDeleteBulk(_)
            | Event::Unknown(_)
    )
}

/// Reads an event; `None` for one that the bot does not use.
///
/// # Errors
/// The name of an event that should have been understood, and why it was not.
pub(super) fn read(event: &Event) -> Result<Option<WireEvent>, (String, serde_json::Error)> {
    // Not read again from JSON: READY has the whole account in it, and only that it came is of interest.
    match event {
        Event::Ready(ready) => {
            let guilds = ready.ready.guilds.iter().filter_map(|guild| GuildId::new(guild.id.get()));
            return Ok(Some(WireEvent::Ready(guilds.collect())));
        }
        Event::Resumed(_) => return Ok(Some(WireEvent::Resumed)),
        _ => {}
    }
    let json = serde_json::to_value(event).map_err(|e| ("an event".to_owned(), e))?;
    let Value::Object(mut json) = json else { return Ok(None) };
    let (Some(Value::String(name)), Some(data)) = (json.remove("t"), json.remove("d")) else {
        return Ok(None);
    };
    decode(&name, data).map_err(|e| (name, e))
}

fn decode(name: &str, data: Value) -> serde_json::Result<Option<WireEvent>> {
    fn from<T: DeserializeOwned>(data: Value) -> serde_json::Result<T> {
        serde_json::from_value(data)
    }
    #[derive(Deserialize)]
    struct Id<T> {
        id: T,
    }
    #[derive(Deserialize)]
    struct GuildDelete {
        id: GuildId,
        #[serde(default, deserialize_with = "null_is_default")]
        unavailable: bool,
    }
    #[derive(Deserialize)]
    struct ThreadListSync {
        guild_id: GuildId,
        threads: Vec<WireChannel>,
    }
    #[derive(Deserialize)]
    struct RoleChange {
        role: WireRole,
        guild_id: Option<GuildId>,
    }
    #[derive(Deserialize)]
    struct RoleDelete {
        role_id: RoleId,
    }
    #[derive(Deserialize)]
    struct MessageDelete {
        guild_id: Option<GuildId>,
        channel_id: ChannelId,
        id: Option<MessageId>,
        #[serde(default)]
        ids: Vec<MessageId>,
    }
    Ok(Some(match name {
        "GUILD_CREATE" => {
            let guild: WireGuild = from(data)?;
            if guild.unavailable {
                return Ok(None);
            }
            WireEvent::Guild(guild)
        }
        "GUILD_DELETE" => match from(data)? {
            // An outage on Discord's side: the guild comes back.
            GuildDelete { unavailable: true, .. } => return Ok(None),
            GuildDelete { id, .. } => WireEvent::GuildGone { id },
        },
        "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE" => {
            WireEvent::Channels(vec![from(data)?])
        }
        "THREAD_LIST_SYNC" => {
            let ThreadListSync { guild_id, mut threads } = from(data)?;
            threads.iter_mut().for_each(|thread| thread.guild_id = Some(guild_id));
            WireEvent::Channels(threads)
        }
        "CHANNEL_DELETE" | "THREAD_DELETE" => WireEvent::ChannelGone { id: from::<Id<_>>(data)?.id },
        "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" => {
            let RoleChange { mut role, guild_id } = from(data)?;
            role.guild_id = guild_id.or(role.guild_id);
            WireEvent::Role(role)
        }
        "GUILD_ROLE_DELETE" => WireEvent::RoleGone { id: from::<RoleDelete>(data)?.role_id },
        "MESSAGE_CREATE" => WireEvent::Said(from(data)?),
        // Discord also reports link previews and pins this way. An edit by a person has a text and a time.
        "MESSAGE_UPDATE" => match from::<Box<WireMessage>>(data) {
            Ok(said) if said.is_edited() => WireEvent::Edited(said),
            _ => return Ok(None),
        },
        "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" => {
            let MessageDelete { guild_id, channel_id: channel, id, mut ids } = from(data)?;
            ids.extend(id);
            if guild_id.is_none() {
                return Ok(None);
            }
            WireEvent::Deleted { channel, ids }
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As it arrives: through serenity's own decoding.
    fn arrive(name: &str, data: Value) -> Result<Option<WireEvent>, (String, serde_json::Error)> {
        let event: Event = serde_json::from_value(json!({"t": name, "d": data})).unwrap();
        assert!(is_wanted(&event));
        read(&event)
    }

    fn message() -> Value {
        json!({
            "id": "30", "channel_id": "20", "guild_id": "10", "content": "hi", "type": 0, "tts": false,
            "author": {"id": "40", "username": "ann", "global_name": "Ann", "discriminator": "0", "avatar": null},
            "member": {"nick": "Annie", "roles": ["50"], "joined_at": null, "deaf": false, "mute": false},
            "timestamp": "2026-01-01T00:00:00.000000+00:00", "edited_timestamp": null, "mention_everyone": false,
            "mentions": [{"id": "41", "username": "bob", "discriminator": "0", "avatar": null,
                          "member": {"nick": "Bobby", "roles": []}}],
            "mention_roles": ["51"], "embeds": [], "pinned": false,
            "attachments": [{"id": "60", "filename": "a.txt", "size": 3, "url": "https://x/a.txt", "proxy_url": "https://x/a.txt",
                             "content_type": "text/plain"}],
        })
    }

    #[test]
    fn a_message_keeps_what_is_needed_of_it() {
        let Ok(Some(WireEvent::Said(said))) = arrive("MESSAGE_CREATE", message()) else { panic!() };
        assert!(said.is_speech() && !said.is_bots());
        assert_eq!(
            (said.content.as_str(), said.id.get(), said.guild_id.map(GuildId::get)),
            ("hi", 30, Some(10))
        );
        assert_eq!(said.member.unwrap().nick.as_deref(), Some("Annie"));
        assert_eq!(said.mentions[0].member.as_ref().unwrap().nick.as_deref(), Some("Bobby"));
        assert_eq!((said.mention_roles[0].get(), said.attachments[0].filename.as_str()), (51, "a.txt"));
    }

    #[test]
    fn a_message_counts_even_if_serenity_does_not_understand_all_of_it() {
        let mut strange = message();
        strange["flags"] = json!("new kind of flags");
        let event: Event = serde_json::from_value(json!({"t": "MESSAGE_CREATE", "d": strange})).unwrap();
        assert!(matches!(event, Event::Unknown(_)));
        assert!(matches!(read(&event), Ok(Some(WireEvent::Said(_)))));
        let Err((name, _)) = arrive("MESSAGE_CREATE", json!({"id": "x"})) else { panic!() };
        assert_eq!(name, "MESSAGE_CREATE");
        assert!(matches!(arrive("A_NEW_THING", json!({"a": 1})), Ok(None)));
    }

    #[test]
    fn only_an_edit_by_a_person_is_an_edit() {
        let mut preview = message();
        preview["embeds"] = json!([]);
        assert!(matches!(arrive("MESSAGE_UPDATE", preview), Ok(None)));
        assert!(matches!(
            arrive("MESSAGE_UPDATE", json!({"id": "30", "channel_id": "20", "guild_id": "10"})),
            Ok(None)
        ));
        let mut edit = message();
        edit["edited_timestamp"] = json!("2026-01-01T00:00:01.000000+00:00");
        let Ok(Some(WireEvent::Edited(said))) = arrive("MESSAGE_UPDATE", edit) else { panic!() };
        assert_eq!(said.member.unwrap().roles[0].get(), 50);
    }

    #[test]
    fn deletions_come_single_and_in_bulk_and_from_guilds_only() {
        let one = arrive("MESSAGE_DELETE", json!({"id": "3", "channel_id": "2", "guild_id": "1"}));
        assert!(matches!(one, Ok(Some(WireEvent::Deleted { ids, .. })) if ids.len() == 1));
        let many =
            arrive("MESSAGE_DELETE_BULK", json!({"ids": ["3", "4"], "channel_id": "2", "guild_id": "1"}));
        assert!(matches!(many, Ok(Some(WireEvent::Deleted { ids, .. })) if ids.len() == 2));
        assert!(matches!(arrive("MESSAGE_DELETE", json!({"id": "3", "channel_id": "2"})), Ok(None)));
    }

    #[test]
    fn threads_have_a_parent_and_channels_only_a_category() {
        let thread = json!({"id": "2", "guild_id": "1", "type": 11, "name": "t", "parent_id": "9",
            "thread_metadata": {"archived": false, "auto_archive_duration": 60, "locked": false}});
        let Ok(Some(WireEvent::Channels(seen))) = arrive("THREAD_CREATE", thread) else { panic!() };
        assert_eq!(seen[0].thread_parent(), ChannelId::new(9));
        let channel = json!({"id": "2", "guild_id": "1", "type": 0, "name": "c", "parent_id": "9"});
        let Ok(Some(WireEvent::Channels(seen))) = arrive("CHANNEL_UPDATE", channel) else { panic!() };
        assert_eq!((seen[0].thread_parent(), seen[0].name.as_str()), (None, "c"));
    }

    #[test]
    fn the_bots_own_role_is_known_by_its_tag() {
        let role = json!({"id": "5", "name": "moon", "color": 0, "colors": {"primary_color": 0}, "hoist": false,
            "managed": true, "permissions": "0", "position": 1, "mentionable": false, "tags": {"bot_id": "7"}});
        let Ok(Some(WireEvent::Role(role))) =
            arrive("GUILD_ROLE_CREATE", json!({"guild_id": "1", "role": role}))
        else {
            panic!()
        };
        assert!(role.belongs_to(UserId::new(7).unwrap()) && !role.belongs_to(UserId::new(8).unwrap()));
        assert_eq!(role.guild_id, GuildId::new(1));
        assert!(matches!(arrive("GUILD_CREATE", json!({"id": "1", "unavailable": true})), Ok(None)));
        let small =
            json!({"id": "1", "roles": [{"id": "5", "name": "moon", "tags": null}], "channels": null});
        assert!(arrive("GUILD_CREATE", small).is_err());
        let small = json!({"id": "1", "roles": [{"id": "5", "name": "moon", "tags": null}]});
        assert!(matches!(arrive("GUILD_CREATE", small), Ok(Some(WireEvent::Guild(_)))));
    }
}
