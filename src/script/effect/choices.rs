//! What may be chosen for a channel, as a script writes it.

use serde::Deserialize;

use super::values::OrFalse;
use crate::domain::{ChannelId, Verbosity};
use crate::script::data::Id;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawSetModel {
    /// The model; false: the project's own.
    pub(super) model: OrFalse<String>,
    /// Another channel.
    pub(super) channel: Option<Id<ChannelId>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawSetMode {
    /// The permission mode; false: the project's own.
    ///
    /// Lua: `PermissionMode|false`
    pub(super) mode: OrFalse<String>,
    /// Another channel.
    pub(super) channel: Option<Id<ChannelId>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawSetVerbosity {
    /// What is to be seen; false: what the project says.
    pub(super) verbosity: OrFalse<Verbosity>,
    /// Another channel.
    pub(super) channel: Option<Id<ChannelId>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawSetBoard {
    /// The channel; false: none.
    ///
    /// Lua: `Id|false`
    pub(super) channel: OrFalse<Id<ChannelId>>,
}
