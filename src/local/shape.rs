//! The world as Discord's JSON.
//!
//! Field by field after Discord's published OpenAPI description (REST) and the field lists of its gateway
//! documentation; serenity's types are the judge, in the tests of `local`.

use std::time::SystemTime;

use humantime_serde::re::humantime::format_rfc3339_micros;
use serde_json::{Value, json};

use super::world::{Channel, ChannelKind, Id, Right, Role, Tag, Thread, User, World};

/// Everything an ordinary member may do here, as a bit set: view, write (also in threads), embed, attach, read the
/// history, mention everyone, react, use the own and others' emoji, change the own name, use commands, open threads.
pub(super) const PERMISSIONS: u64 = 1 << 6
    | 1 << 10
    | 1 << 11
    | 1 << 14
    | 1 << 15
    | 1 << 16
    | 1 << 17
    | 1 << 18
    | 1 << 26
    | 1 << 31
    | 1 << 35
    | 1 << 36
    | 1 << 38;
pub(super) const MANAGE_CHANNELS: u64 = 1 << 4;
pub(super) const MANAGE_THREADS: u64 = 1 << 34;
/// Everything: what the owner of the guild may do.
const ALL_PERMISSIONS: u64 = (1 << 53) - 1;
const ADMINISTRATOR: u64 = 1 << 3;

fn bit(right: Right) -> u64 {
    match right {
        Right::React => 1 << 6,
        Right::View => 1 << 10,
        Right::Attach => 1 << 15,
        Right::Post => 1 << 11 | 1 << 38,
        Right::History => 1 << 16,
        Right::Threads => 1 << 35 | 1 << 36,
    }
}

/// The JSON of something in the guild names the guild.
pub(super) fn with_guild(guild: Option<Id>, mut json: Value) -> Value {
    if let Some(guild) = guild {
        json["guild_id"] = json!(guild);
    }
    json
}

pub(super) fn time(time: SystemTime) -> Value {
    format_rfc3339_micros(time).to_string().into()
}

impl World {
    pub(super) fn user_json(&self, user: &User) -> Value {
        let mut json = json!({
            "id": user.id,
            "username": user.name,
            "global_name": if user.bot { Value::Null } else { user.name.clone().into() },
            "avatar": null,
            "discriminator": "0",
            "public_flags": 0,
            "flags": 0,
            "banner": null,
            "accent_color": null,
            "avatar_decoration_data": null,
            "collectibles": null,
            "primary_guild": null,
        });
        if user.bot {
            json["bot"] = true.into();
        }
        json
    }

    /// The bot's own user, as only the bot sees it.
    pub(super) fn me_json(&self) -> Value {
        let mut json = self.user_json(&self.users[&self.bot]);
        json["mfa_enabled"] = false.into();
        json["locale"] = "en-US".into();
        json["premium_type"] = 0.into();
        json["email"] = Value::Null;
        json["verified"] = true.into();
        json["bio"] = "".into();
        json
    }

    /// The user, or the webhook, with this id.
    pub(super) fn author_json(&self, id: Id) -> Value {
        if let Some(user) = self.users.get(&id) {
            return self.user_json(user);
        }
        json!({
            "id": id, "username": "webhook", "avatar": null, "discriminator": "0000", "public_flags": 0,
            "flags": 0, "global_name": null, "bot": true, "primary_guild": null,
        })
    }

    /// A member without its `user`, as messages carry it.
    pub(super) fn partial_member_json(&self, user: &User) -> Value {
        json!({
            "roles": user.roles,
            "joined_at": time(user.id.time()),
            "nick": null,
            "avatar": null,
            "banner": null,
            "premium_since": null,
            "communication_disabled_until": null,
            "pending": false,
            "deaf": false,
            "mute": false,
            "flags": 0,
        })
    }

    pub(super) fn member_json(&self, user: &User) -> Value {
        let mut json = self.partial_member_json(user);
        json["user"] = self.user_json(user);
        json
    }

    pub(super) fn role_json(&self, role: &Role) -> Value {
        let mut json = json!({
            "id": role.id,
            "name": role.name,
            "description": null,
            "permissions": role.permissions.to_string(),
            "position": if role.id == self.guild { 0 } else { 1 },
            "color": 0,
            "colors": { "primary_color": 0, "secondary_color": null, "tertiary_color": null },
            "hoist": false,
            "managed": role.bot.is_some(),
            "mentionable": false,
            "icon": null,
            "unicode_emoji": null,
            "flags": 0,
        });
        if let Some(bot) = role.bot {
            json["tags"] = json!({ "bot_id": bot });
        }
        json
    }

    /// What a user may do in a channel.
    pub(super) fn permissions(&self, user: &User, channel: Id) -> u64 {
        if user.id == self.owner && self.guild_of(channel) == Some(self.guild) {
            return ALL_PERMISSIONS;
        }
        let given = self.given(user);
        if given & ADMINISTRATOR != 0 {
            return ALL_PERMISSIONS;
        }
        let given = given | self.permitted(channel, user.id);
        let rights = [Right::View, Right::Post, Right::History, Right::Attach, Right::React, Right::Threads];
        let denied = rights.into_iter().filter(|right| user.id == self.bot && self.denied(channel, *right));
        denied.fold(given, |left, right| left & !bit(right))
    }

    /// What the roles give a user.
    fn given(&self, user: &User) -> u64 {
        let everybody = self.roles.get(&self.guild).map_or(0, |role| role.permissions);
        let roles = user.roles.iter().filter_map(|role| self.roles.get(role));
        roles.fold(everybody, |all, role| all | role.permissions)
    }

    /// Whether the bot has one of the permissions to manage something in a channel.
    pub(super) fn manages(&self, channel: Id, permission: u64) -> bool {
        let given = self.users.get(&self.bot).map_or(0, |bot| self.given(bot));
        (given | self.permitted(channel, self.bot)) & (permission | ADMINISTRATOR) != 0
    }

    /// Somebody's place in a thread, as Discord's JSON.
    pub(super) fn thread_member_json(&self, thread: Id, user: Id) -> Value {
        json!({ "id": thread, "user_id": user, "join_timestamp": time(thread.time()), "flags": 0 })
    }

    fn add_thread_json(&self, channel: &Channel, thread: &Thread, json: &mut Value) {
        json["owner_id"] = json!(thread.owner);
        json["message_count"] = channel.messages.len().into();
        json["total_message_sent"] = thread.sent.into();
        json["member_count"] = thread.members.len().min(50).into();
        json["thread_metadata"] = json!({
            "archived": thread.archived,
            "archive_timestamp": time(thread.archive_changed),
            "auto_archive_duration": thread.auto_archive_minutes,
            "locked": thread.locked,
            "create_timestamp": time(channel.id.time()),
        });
        if channel.kind == ChannelKind::PrivateThread {
            json["thread_metadata"]["invitable"] = true.into();
        }
        if !thread.applied_tags.is_empty() {
            json["applied_tags"] = json!(thread.applied_tags);
        }
        if thread.members.contains(&self.bot) {
            json["member"] = self.thread_member_json(channel.id, self.bot);
        }
    }

    pub(super) fn channel_json(&self, channel: &Channel) -> Value {
        if let Some(person) = channel.direct {
            let people = self.users.get(&person).map(|user| self.user_json(user));
            return json!({
                "id": channel.id, "type": 1, "last_message_id": channel.last_message, "flags": 0,
                "recipients": people.into_iter().collect::<Vec<_>>(),
            });
        }
        let mut json = json!({
            "id": channel.id,
            "type": channel.kind as u8,
            "guild_id": channel.guild,
            "name": channel.name,
            "parent_id": channel.parent,
            "last_message_id": channel.last_message,
            "last_pin_timestamp": null,
            "rate_limit_per_user": 0,
            "flags": 0,
        });
        if let Some(thread) = &channel.thread {
            self.add_thread_json(channel, thread, &mut json);
            return json;
        }
        if channel.kind.is_forum() {
            let tag = |tag: &Tag| json!({ "id": tag.id, "name": tag.name, "moderated": false, "emoji_id": null, "emoji_name": null });
            json["available_tags"] = channel.tags.iter().map(tag).collect();
            json["default_reaction_emoji"] = Value::Null;
            json["default_sort_order"] = Value::Null;
            json["default_forum_layout"] = 0.into();
        }
        if channel.kind == ChannelKind::Voice {
            json["bitrate"] = 64_000.into();
            json["user_limit"] = 0.into();
            json["rtc_region"] = Value::Null;
        }
        let denied: u64 = channel.denied.iter().map(|right| bit(*right)).fold(0, |all, bit| all | bit);
        let overwrite = |id: Id, allow: u64, deny: u64| json!({ "id": id, "type": 1, "allow": allow.to_string(), "deny": deny.to_string() });
        let bot = (denied != 0).then(|| overwrite(self.bot, 0, denied));
        let people = channel.permitted.iter().map(|(user, bits)| overwrite(*user, *bits, 0));
        json["permission_overwrites"] = bot.into_iter().chain(people).collect();
        json["position"] = 0.into();
        json["topic"] = Value::Null;
        json["nsfw"] = false.into();
        json
    }

    /// The guild as the list of the bot's guilds has it.
    pub(super) fn own_guild_json(&self) -> Value {
        json!({
            "id": self.guild,
            "name": "moonlane",
            "icon": null,
            "banner": null,
            "owner": false,
            "permissions": PERMISSIONS.to_string(),
            "features": [],
        })
    }

    /// The guild as REST gives it.
    pub(super) fn guild_json(&self) -> Value {
        json!({
            "id": self.guild,
            "name": "moonlane",
            "icon": null,
            "description": null,
            "home_header": null,
            "splash": null,
            "discovery_splash": null,
            "features": [],
            "banner": null,
            "owner_id": self.owner,
            "application_id": null,
            "region": "deprecated",
            "afk_channel_id": null,
            "afk_timeout": 300,
            "system_channel_id": null,
            "system_channel_flags": 0,
            "widget_enabled": false,
            "widget_channel_id": null,
            "verification_level": 0,
            "roles": self.roles.values().map(|role| self.role_json(role)).collect::<Vec<_>>(),
            "default_message_notifications": 0,
            "mfa_level": 0,
            "explicit_content_filter": 0,
            "max_presences": null,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "vanity_url_code": null,
            "premium_tier": self.boosts,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "rules_channel_id": null,
            "safety_alerts_channel_id": null,
            "public_updates_channel_id": null,
            "premium_progress_bar_enabled": false,
            "nsfw": false,
            "nsfw_level": 0,
            "emojis": [],
            "stickers": [],
            "incidents_data": null,
        })
    }

    /// The guild as GUILD_CREATE gives it: with its channels, its threads, and (without the members intent) the bot
    /// as its only member.
    pub(super) fn guild_event_json(&self) -> Value {
        let mut json = self.guild_json();
        let visible = |channel: &&Channel| {
            let open = channel.thread.as_ref().is_none_or(|it| !it.archived)
                && !self.denied(channel.id, Right::View);
            open && channel.guild == Some(self.guild)
        };
        let (threads, channels): (Vec<_>, Vec<_>) =
            self.channels.values().filter(visible).partition(|channel| channel.parent.is_some());
        let shapes =
            |list: Vec<&Channel>| list.into_iter().map(|it| self.channel_json(it)).collect::<Value>();
        json["channels"] = shapes(channels);
        json["threads"] = shapes(threads);
        json["members"] = json!([self.member_json(&self.users[&self.bot])]);
        json["member_count"] = self.users.len().into();
        json["joined_at"] = time(self.bot.time());
        json["large"] = false.into();
        json["unavailable"] = false.into();
        for empty in
            ["voice_states", "presences", "stage_instances", "guild_scheduled_events", "soundboard_sounds"]
        {
            json[empty] = json!([]);
        }
        json
    }

    fn application_flags(&self) -> u64 {
        // GATEWAY_MESSAGE_CONTENT_LIMITED: the switch is on in the developer portal.
        if self.message_content { 1 << 19 } else { 0 }
    }

    pub(super) fn partial_application_json(&self) -> Value {
        json!({ "id": self.application, "flags": self.application_flags() })
    }

    pub(super) fn application_json(&self) -> Value {
        let mut json = json!({
            "id": self.application,
            "name": "moonlane",
            "icon": null,
            "description": "",
            "type": null,
            "bot": self.user_json(&self.users[&self.bot]),
            "bot_public": true,
            "bot_require_code_grant": false,
            "verify_key": "0".repeat(64),
            "flags": self.application_flags(),
            "flags_new": self.application_flags().to_string(),
            "redirect_uris": [],
            "interactions_endpoint_url": null,
            "role_connections_verification_url": null,
            "approximate_guild_count": 1,
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": [],
            "integration_types_config": { "0": {} },
            "owner": self.user_json(&self.users[&self.owner]),
            "team": null,
        });
        let Some(team) = self.team else { return json };
        let members = self.users.values().filter_map(|user| {
            let (state, role) = match user.name.as_str() {
                "owner" => (2, "admin"),
                "developer" => (2, "developer"),
                "reader" => (2, "read_only"),
                "invited" => (1, "developer"),
                _ => return None,
            };
            let user = self.user_json(user);
            Some(json!({
                "user": user, "team_id": team, "membership_state": state, "role": role, "permissions": ["*"],
            }))
        });
        let members: Value = members.collect();
        json["team"] = json!({
            "id": team, "icon": null, "name": "moonlane team", "owner_user_id": self.owner, "members": members,
        });
        // The owner of a team's application is not a person: Discord makes up a user with the team's id.
        let made_up = User { id: team, name: format!("team{team}"), bot: false, roles: Default::default() };
        json["owner"] = self.user_json(&made_up);
        json
    }
}
