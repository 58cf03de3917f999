//! What the bot may do, and where: <https://discord.com/developers/docs/topics/permissions>.

use serde::Deserialize;

use super::{CallKind, Outbox, Refused, wire};
use crate::domain::{ChannelId, GuildId, RoleId, UserId};

/// Discord's permissions, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions(pub u64);

/// A permission that the bot uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub bit: u64,
    /// Its name in Discord's settings.
    pub name: &'static str,
    /// What does not work without it.
    pub without: &'static str,
}

const VIEW: u64 = 1 << 10;
const SEND: u64 = 1 << 11;
const ATTACH: u64 = 1 << 15;
const SEND_IN_THREADS: u64 = 1 << 38;
const OPEN_THREADS: u64 = 1 << 35;
const ADMINISTRATOR: u64 = 1 << 3;

/// What the bot needs, the most important first.
pub const NEEDED: [Need; 7] = [
    Need { bit: VIEW, name: "View Channel", without: "it hears nothing" },
    Need { bit: SEND, name: "Send Messages", without: "it cannot answer" },
    Need { bit: SEND_IN_THREADS, name: "Send Messages in Threads", without: "it cannot answer in threads" },
    Need { bit: 1 << 16, name: "Read Message History", without: "its answers are no replies" },
    Need { bit: ATTACH, name: "Attach Files", without: "long answers come as many messages" },
    Need { bit: 1 << 6, name: "Add Reactions", without: "nobody sees that a message waits" },
    Need { bit: OPEN_THREADS, name: "Create Public Threads", without: "it opens no threads" },
];

impl Permissions {
    /// Which of [`NEEDED`] are missing. Some mean nothing in a thread.
    pub fn missing(self, in_thread: bool) -> impl Iterator<Item = Need> {
        let has = move |bit: u64| self.0 & (bit | ADMINISTRATOR) != 0;
        let is_needed = move |bit: u64| !(in_thread && matches!(bit, SEND | OPEN_THREADS));
        NEEDED.into_iter().filter(move |need| is_needed(need.bit) && !has(need.bit))
    }

    /// Whether it can attach files.
    pub fn may_attach(self) -> bool {
        self.0 & (ATTACH | ADMINISTRATOR) != 0
    }

    /// Whether it can read and answer at all.
    pub fn suffice(self, in_thread: bool) -> bool {
        let vital =
            |need: &Need| need.bit == VIEW || need.bit == if in_thread { SEND_IN_THREADS } else { SEND };
        !self.missing(in_thread).any(|need| vital(&need))
    }
}

/// Discord has them as text: they outgrow a double.
impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A guild that the bot is in.
#[derive(Debug, Clone, Deserialize)]
pub struct JoinedGuild {
    pub id: GuildId,
    pub name: String,
    /// What the bot may do unless a channel says otherwise.
    pub permissions: Permissions,
}

/// What the bot may do in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The channel's name, without `#`.
    pub name: String,
    /// Whether it is a thread.
    pub is_thread: bool,
    /// What it may do there.
    pub permissions: Permissions,
}

#[derive(Deserialize)]
struct ChannelWithOverwrites {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: Option<String>,
    guild_id: Option<GuildId>,
    parent_id: Option<ChannelId>,
    #[serde(default)]
    permission_overwrites: Vec<Overwrite>,
}

#[derive(Deserialize)]
struct Overwrite {
    /// Of a role, or of a member.
    id: String,
    allow: Permissions,
    deny: Permissions,
}

#[derive(Deserialize)]
struct Roles {
    roles: Vec<RolePermissions>,
}

#[derive(Deserialize)]
struct RolePermissions {
    id: RoleId,
    permissions: Permissions,
}

impl Outbox {
    /// The guilds that the bot is in, the first 200.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn guilds(&self) -> Result<Vec<JoinedGuild>, Refused> {
        self.get(CallKind::Start, 0, "/users/@me/guilds".to_owned()).await
    }

    /// What the bot, whose user is `me`, may do in a channel.
    ///
    /// # Errors
    /// See [`Refused`]: above all, `Forbidden` where it cannot even see the channel, or is not in its guild.
    pub async fn access(&self, channel: ChannelId, me: UserId) -> Result<Access, Refused> {
        let get = async |id: ChannelId| -> Result<ChannelWithOverwrites, Refused> {
            self.get(CallKind::Channel, id.get(), format!("/channels/{id}")).await
        };
        let asked = get(channel).await?;
        // A thread has no permissions of its own.
        let is_thread = matches!(asked.kind, 10..=12);
        let parent = match asked.parent_id {
            Some(parent) if is_thread => Some(get(parent).await?),
            _ => None,
        };
        let overwrites = &parent.as_ref().unwrap_or(&asked).permission_overwrites;
        let Some(guild) = asked.guild_id else {
            let why = "it is in no guild".to_owned();
            return Err(Refused::Invalid { code: None, why });
        };
        let roles: Roles = self.get(CallKind::Member, guild.get(), format!("/guilds/{guild}")).await?;
        let path = format!("/guilds/{guild}/members/{me}");
        let member: wire::Member = self.get(CallKind::Member, guild.get(), path).await?;
        let permissions = computed(guild, me, &roles.roles, &member.roles, overwrites);
        Ok(Access { name: asked.name.unwrap_or_default(), is_thread, permissions })
    }
}

/// Discord's own computation, step by step.
fn computed(
    guild: GuildId,
    me: UserId,
    all: &[RolePermissions],
    mine: &[RoleId],
    overwrites: &[Overwrite],
) -> Permissions {
    // The role of everybody has the guild's id.
    let is_mine = |role: &RoleId| role.get() == guild.get() || mine.contains(role);
    let base = all.iter().filter(|role| is_mine(&role.id)).fold(0, |bits, role| bits | role.permissions.0);
    if base & ADMINISTRATOR != 0 {
        return Permissions(u64::MAX);
    }
    let (everybody, own) = (guild.to_string(), me.to_string());
    let apply = |bits: u64, id: &dyn Fn(&str) -> bool| {
        let chosen = overwrites.iter().filter(|it| id(&it.id));
        let (allow, deny) = chosen.fold((0, 0), |(a, d), it| (a | it.allow.0, d | it.deny.0));
        bits & !deny | allow
    };
    let bits = apply(base, &|id| id == everybody);
    let bits = apply(bits, &|id| mine.iter().any(|role| role.to_string() == id));
    Permissions(apply(bits, &|id| id == own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_channel(base: u64, overwrites: &[(&str, u64, u64)]) -> u64 {
        let id = |number| RoleId::new(number).unwrap();
        let role = |number, bits| RolePermissions { id: id(number), permissions: Permissions(bits) };
        let roles = [role(1, base), role(2, 0), role(3, 0), role(4, ADMINISTRATOR)];
        let overwrites: Vec<Overwrite> = overwrites
            .iter()
            .map(|(id, allow, deny)| Overwrite {
                id: (*id).to_owned(),
                allow: Permissions(*allow),
                deny: Permissions(*deny),
            })
            .collect();
        computed(GuildId::new(1).unwrap(), UserId::new(9).unwrap(), &roles, &[id(2), id(3)], &overwrites).0
    }

    #[test]
    fn the_more_particular_overwrite_wins() {
        assert_eq!(in_channel(0b11, &[]), 0b11);
        assert_eq!(in_channel(0b11, &[("1", 0b100, 0b1)]), 0b110);
        assert_eq!(in_channel(0, &[("1", 0, 0b1), ("2", 0b1, 0)]), 0b1);
        // Among roles, who allows wins, whatever their order.
        assert_eq!(in_channel(0, &[("2", 0b1, 0), ("3", 0, 0b1)]), 0b1);
        assert_eq!(in_channel(0, &[("9", 0, 0b1), ("2", 0b1, 0)]), 0);
        // Of a role that the bot does not have, or of somebody else.
        assert_eq!(in_channel(0, &[("4", 0b1, 0), ("8", 0b1, 0)]), 0);
        assert_eq!(in_channel(ADMINISTRATOR, &[("1", 0, u64::MAX)]), u64::MAX);
    }

    #[test]
    fn what_is_missing_is_named() {
        let names =
            |bits, thread| Permissions(bits).missing(thread).map(|need| need.name).collect::<Vec<_>>();
        assert_eq!(names(u64::MAX, false), [""; 0]);
        assert_eq!(
            names(VIEW | SEND | 1 << 6, false),
            ["Send Messages in Threads", "Read Message History", "Attach Files", "Create Public Threads"]
        );
        assert!(Permissions(VIEW | SEND).suffice(false) && !Permissions(VIEW | SEND).suffice(true));
        assert!(!Permissions(SEND).suffice(false) && Permissions(ADMINISTRATOR).suffice(true));
    }
}
