//! Slash commands, buttons and menus as plain data: what is registered with Discord, and what a person does with it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Author, ChannelId, GuildId, InteractionId, MessageId, RoleId};

/// A command as it is registered with Discord.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What is typed after the slash: 1 to 32 lower-case characters.
    pub name: String,
    /// 1 to 100 characters.
    pub description: String,
    /// Empty where there are subcommands.
    pub options: Vec<CommandOption>,
    /// At most 25; a command that has some cannot be used by itself.
    pub subcommands: Vec<Subcommand>,
    /// What a member needs in the guild, which Discord shows by, and the core checks again.
    pub permission: Option<Permission>,
    /// Whether it is hidden, and refused, in direct messages.
    pub guild_only: bool,
}

/// One of several commands under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Subcommand {
    /// As for a command.
    pub name: String,
    /// As for a command.
    pub description: String,
    /// At most 25, the required ones first.
    pub options: Vec<CommandOption>,
}

/// Something that is given with a command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOption {
    /// As for a command.
    pub name: String,
    /// As for a command.
    pub description: String,
    /// What it takes.
    pub kind: OptionKind,
    /// Whether Discord insists on it.
    pub required: bool,
    /// The only values it takes, at most 25; for texts and numbers.
    pub choices: Vec<Choice>,
    /// The least number, or the least length of a text.
    pub min: Option<f64>,
    /// The greatest number, or the greatest length of a text.
    pub max: Option<f64>,
    /// Whether a function of the script is asked for suggestions while the person types.
    pub autocomplete: bool,
}

/// What an option takes.
///
/// Lua class: `OptionType`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    #[default]
    String,
    Integer,
    Number,
    Boolean,
    User,
    Channel,
    Role,
}

/// A value that an option may have, under the name that people see.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// 1 to 100 characters.
    pub name: String,
    /// Of the kind of its option.
    pub value: OptionValue,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    User(Author),
    Channel(NamedChannel),
    Role(NamedRole),
}

/// A channel or a thread. `tostring` of it is the mention.
///
/// Lua class: `Channel`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedChannel {
    /// Its id.
    pub id: ChannelId,
    /// Its name without `#`; empty if Discord has not told it.
    pub name: String,
    /// The channel that a thread belongs to.
    pub parent_id: Option<ChannelId>,
}

/// A role. `tostring` of it is the mention.
///
/// Lua class: `Role`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedRole {
    /// Its id.
    pub id: RoleId,
    /// Its name; empty if Discord has not told it.
    pub name: String,
}

/// A permission in a guild, by Discord's name in lower case, such as `manage_messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Its name.
    pub name: &'static str,
    /// Its bit.
    pub bits: u64,
}

/// The bit of `administrator`, who may do everything.
const ADMINISTRATOR: u64 = 1 << 3;

impl Permission {
    /// Whether it is among these permissions, which are Discord's bits.
    pub fn is_in(self, permissions: u64) -> bool {
        permissions & (self.bits | ADMINISTRATOR) != 0
    }
}

/// The secret that answers to an interaction; Discord takes it for 15 minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct InteractionToken(pub String);

/// Whoever has it can speak for the bot.
impl fmt::Debug for InteractionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InteractionToken(…)")
    }
}

/// A person used a command, pressed a button or is typing in an option.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    /// Its id.
    pub id: InteractionId,
    /// What answers to it.
    pub token: InteractionToken,
    /// Where it happened; a thread, too.
    pub channel_id: ChannelId,
    /// The channel that a thread belongs to.
    pub parent_channel_id: Option<ChannelId>,
    /// The channel's name without `#`; empty where Discord has not told it.
    pub channel_name: String,
    /// The guild; none in direct messages.
    pub guild_id: Option<GuildId>,
    /// Who did it.
    pub author: Author,
    /// What the person may do in that channel, as Discord's bits.
    pub permissions: u64,
    /// When it reached the bot: Discord waits for three seconds.
    pub received: Instant,
    /// What it is.
    pub kind: InteractionKind,
}

/// What a person did.
#[derive(Debug, Clone, PartialEq)]
pub enum InteractionKind {
    /// Used a command.
    Command(Invocation),
    /// Is typing in the option of this name, which is among the options.
    Autocomplete(Invocation, String),
    /// Pressed a button or chose in a menu.
    Press {
        /// The id that the bot gave it.
        custom_id: String,
        /// What was chosen in a menu; empty for a button.
        values: Vec<String>,
        /// The message that it belongs to.
        message: MessageId,
    },
}

/// A command with what was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The command's name.
    pub command: String,
    /// The name of the subcommand.
    pub subcommand: Option<String>,
    /// What was given, in the order in which it was.
    pub options: Vec<(String, OptionValue)>,
    /// What the person may do in each channel among the options, as Discord's bits.
    pub permissions: BTreeMap<ChannelId, u64>,
}
