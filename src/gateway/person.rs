//! People as Discord's JSON has them, and what its JSON is read with.

use serde::{Deserialize, Deserializer};

use crate::domain::{RoleId, UserId};

/// A user, as author or in a mention.
#[derive(Debug, Deserialize)]
pub(super) struct Person {
    pub(super) id: UserId,
    #[serde(default)]
    pub(super) username: String,
    pub(super) global_name: Option<String>,
    #[serde(default)]
    pub(super) bot: bool,
    pub(super) member: Option<WireMember>,
}

/// A user in a guild.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct WireMember {
    pub(super) nick: Option<String>,
    #[serde(default)]
    pub(super) roles: Vec<RoleId>,
}

pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
