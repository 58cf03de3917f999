//! Slash commands, buttons, menus and submitted forms as plain data: what is registered with Discord, and what people do with it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Author, ChannelId, FormValues, GuildId, InteractionId, MessageId, RoleId};

/// A command, as it is registered with Discord.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What is typed after the slash: 1 to 32 lower-case characters.
    pub name: String,
    /// 1 to 100 characters.
    pub description: String,
    /// Empty if there are subcommands.
    pub options: Vec<CommandOption>,
    /// At most 25. A command that has any cannot be used on its own.
    pub subcommands: Vec<Subcommand>,
    /// What a member needs: Discord shows the command accordingly, and the core checks again.
    pub permission: Option<Permission>,
    /// Whether it is hidden and refused in direct messages.
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

/// Something that people give with a command.
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
    /// The only values that it takes, for strings and numbers: at most 25.
    pub choices: Vec<Choice>,
    /// The least number, or the least length of a string.
    pub min: Option<f64>,
    /// The greatest number, or the greatest length of a string.
    pub max: Option<f64>,
    /// Whether the script suggests values while the person types.
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

/// A value that an option can have, with the name that people see.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// 1 to 100 characters.
    pub name: String,
    /// A value of the option's kind.
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

/// The bit of `administrator`, which allows everything.
const ADMINISTRATOR: u64 = 1 << 3;

impl Permission {
    /// Whether these permissions, which are Discord's bits, include it.
    pub fn is_in(self, permissions: u64) -> bool {
        permissions & (self.bits | ADMINISTRATOR) != 0
    }
}

/// The secret for answering an interaction; it is valid for 15 minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct InteractionToken(pub String);

/// Not shown: whoever has it can speak for the bot.
impl fmt::Debug for InteractionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InteractionToken(…)")
    }
}

/// Somebody used a command, pressed a button, submitted a form, or is typing in an option.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    /// Its id.
    pub id: InteractionId,
    /// What it takes to answer.
    pub token: InteractionToken,
    /// The channel or thread.
    pub channel_id: ChannelId,
    /// The channel that a thread belongs to.
    pub parent_channel_id: Option<ChannelId>,
    /// The channel's name without `#`; empty if Discord has not told it.
    pub channel_name: String,
    /// The guild; none in direct messages.
    pub guild_id: Option<GuildId>,
    /// Who did it.
    pub author: Author,
    /// What the person may do in that channel, as Discord's bits.
    pub permissions: u64,
    /// When it reached the bot. Discord waits three seconds.
    pub received: Instant,
    /// What it is.
    pub kind: InteractionKind,
}

/// What a person did.
#[derive(Debug, Clone, PartialEq)]
pub enum InteractionKind {
    /// Used a command.
    Command(Invocation),
    /// Is typing in the option of this name, which is among the invocation's options.
    Autocomplete(Invocation, String),
    /// Pressed a button, or chose from a menu.
    Press {
        /// The id that the bot gave it.
        custom_id: String,
        /// What was chosen from a menu; empty for a button.
        values: Vec<String>,
        /// The message that it is part of.
        message: MessageId,
    },
    /// Filled in a form and submitted it.
    Form {
        /// The id that the bot gave the form.
        custom_id: String,
        /// What was filled in.
        values: FormValues,
        /// The message with the button that opened it; none where a command did.
        message: Option<MessageId>,
    },
}

impl InteractionKind {
    /// The id that the bot gave what was pressed or submitted.
    pub fn custom_id(&self) -> Option<&str> {
        match self {
            Self::Press { custom_id, .. } | Self::Form { custom_id, .. } => Some(custom_id),
            Self::Command(_) | Self::Autocomplete(..) => None,
        }
    }

    /// The message with the button that was pressed, or that opened the form: an answer can change it.
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Self::Press { message, .. } => Some(*message),
            Self::Form { message, .. } => *message,
            Self::Command(_) | Self::Autocomplete(..) => None,
        }
    }
}

/// A command, with what was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The command's name.
    pub command: String,
    /// The name of the subcommand.
    pub subcommand: Option<String>,
    /// What was given, in that order.
    pub options: Vec<(String, OptionValue)>,
    /// What the person may do in each channel among the options, as Discord's bits.
    pub permissions: BTreeMap<ChannelId, u64>,
}
