//! Which commands Discord knows: looked up, compared with ours, and replaced all at once where they differ.
//!
//! See <https://discord.com/developers/docs/interactions/application-commands>.

use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing::info;

use super::call::{Body, Call};
use super::interaction::Interactions;
use super::{CallKind, Refused, START_PATIENCE, interaction};
use crate::domain::{Command, CommandOption, GuildId, OptionKind, Subcommand};

/// Where commands are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In all guilds, and in direct messages.
    Global,
    /// In one guild.
    Guild(GuildId),
}

/// What a registration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Nothing: Discord knows just these commands.
    Unchanged,
    /// Discord knows these commands now, and no others.
    Replaced,
}

impl Interactions {
    /// Registers the commands in these guilds and nowhere else, or globally if there are none. Each scope has a result
    /// of its own, because one guild may have removed the bot. `left`: guilds that still have earlier commands, which
    /// are removed.
    pub async fn register_all(
        &self,
        guilds: &[GuildId],
        left: &[GuildId],
        commands: &[Command],
    ) -> Vec<(Scope, Result<Registration, Refused>)> {
        let global = if guilds.is_empty() { commands } else { &[] };
        let mut done = vec![(Scope::Global, self.register(Scope::Global, global).await)];
        let theirs = guilds.iter().map(|guild| (guild, commands));
        for (guild, commands) in theirs.chain(left.iter().map(|guild| (guild, &[][..]))) {
            let scope = Scope::Guild(*guild);
            done.push((scope, self.register(scope, commands).await));
        }
        done
    }

    /// Makes sure that exactly these commands are registered in this scope. Writes nothing if they are already.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn register(&self, scope: Scope, commands: &[Command]) -> Result<Registration, Refused> {
        let (place, path) = match scope {
            Scope::Global => (0, format!("/applications/{}/commands", self.application)),
            Scope::Guild(guild) => {
                (guild.get(), format!("/applications/{}/guilds/{guild}/commands", self.application))
            }
        };
        let look = Call {
            give_up_after: Some(START_PATIENCE),
            ..Call::get(CallKind::Commands, place, path.clone())
        };
        let known: Vec<Definition> = self.outbox.0.sender.ask(look).await?;
        let mut known: Vec<_> = known.into_iter().map(|known| known.normal(scope)).collect();
        let mut ours: Vec<_> =
            commands.iter().map(|command| Definition::from(command).normal(scope)).collect();
        known.sort_by(|a, b| a.name.cmp(&b.name));
        ours.sort_by(|a, b| a.name.cmp(&b.name));
        if known == ours {
            return Ok(Registration::Unchanged);
        }
        let body = serde_json::to_vec(&ours)
            .map_err(|e| Refused::Invalid { code: None, why: format!("cannot be written as JSON: {e}") })?;
        let replace = Call {
            method: Method::PUT,
            body: Some(Body::Json(body)),
            give_up_after: Some(START_PATIENCE),
            ..Call::get(CallKind::Commands, place, path)
        };
        self.outbox.0.sender.send(replace).await?;
        info!(?scope, commands = ours.len(), "commands registered");
        Ok(Registration::Replaced)
    }
}

/// A command as it is written and read. What Discord adds on its own (ids, version, localizations …) is left out;
/// what it leaves out is the default.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Definition {
    name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    description: String,
    /// 1 is a command that is typed; the others are in menus.
    #[serde(rename = "type", default = "typed")]
    kind: u8,
    #[serde(default, deserialize_with = "null_is_default")]
    options: Vec<RegisteredOption>,
    /// Bits, as text.
    default_member_permissions: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    nsfw: bool,
    /// 0 guilds, 1 direct messages with the bot, 2 others. Discord has it in the global scope only.
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<Vec<u8>>,
    /// The older form of the same.
    #[serde(skip_serializing)]
    dm_permission: Option<bool>,
}

/// An option or a subcommand.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RegisteredOption {
    #[serde(rename = "type")]
    kind: u8,
    name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    description: String,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    required: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    autocomplete: bool,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    choices: Vec<Offered>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    options: Vec<RegisteredOption>,
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    channel_types: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_length: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<Number>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Offered {
    name: String,
    value: OfferedValue,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum OfferedValue {
    Number(Number),
    Other(serde_json::Value),
}

/// A number for which 1 and 1.0 are equal.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Number(f64);

/// Discord wants whole numbers as such.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = self.0 as i64;
        if whole as f64 == self.0 {
            serializer.serialize_i64(whole)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl Definition {
    /// In the one form that two definitions are compared in.
    fn normal(self, scope: Scope) -> Self {
        let guild_only = match &self.contexts {
            Some(contexts) => !contexts.contains(&1),
            None => self.dm_permission == Some(false),
        };
        let contexts = match scope {
            Scope::Global if guild_only => Some(vec![0]),
            Scope::Global => Some(vec![0, 1]),
            Scope::Guild(_) => None,
        };
        Self { contexts, dm_permission: None, ..self }
    }
}

impl From<&Command> for Definition {
    fn from(command: &Command) -> Self {
        let subcommands = command.subcommands.iter().map(RegisteredOption::from);
        Self {
            name: command.name.clone(),
            description: command.description.clone(),
            kind: typed(),
            options: subcommands.chain(command.options.iter().map(RegisteredOption::from)).collect(),
            default_member_permissions: command.permission.map(|permission| permission.bits.to_string()),
            nsfw: false,
            contexts: Some(if command.guild_only { vec![0] } else { vec![0, 1] }),
            dm_permission: None,
        }
    }
}

impl RegisteredOption {
    fn new(kind: u8, name: &str, description: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            description: description.to_owned(),
            required: false,
            autocomplete: false,
            choices: Vec::new(),
            options: Vec::new(),
            channel_types: Vec::new(),
            min_value: None,
            max_value: None,
            min_length: None,
            max_length: None,
        }
    }
}

impl From<&Subcommand> for RegisteredOption {
    fn from(subcommand: &Subcommand) -> Self {
        let options = subcommand.options.iter().map(Self::from).collect();
        Self { options, ..Self::new(1, &subcommand.name, &subcommand.description) }
    }
}

impl From<&CommandOption> for RegisteredOption {
    fn from(option: &CommandOption) -> Self {
        let kind = match option.kind {
            OptionKind::String => 3,
            OptionKind::Integer => 4,
            OptionKind::Boolean => 5,
            OptionKind::User => 6,
            OptionKind::Channel => 7,
            OptionKind::Role => 8,
            OptionKind::Number => 10,
        };
        let choices = option.choices.iter().map(|choice| {
            let value = interaction::value(&choice.value);
            let value = value.as_f64().map(|number| OfferedValue::Number(Number(number)));
            let value = value.unwrap_or_else(|| OfferedValue::Other(interaction::value(&choice.value)));
            Offered { name: choice.name.clone(), value }
        });
        let (min, max) = (option.min.map(Number), option.max.map(Number));
        let is_text = option.kind == OptionKind::String;
        Self {
            required: option.required,
            autocomplete: option.autocomplete,
            choices: choices.collect(),
            min_value: min.filter(|_| !is_text),
            max_value: max.filter(|_| !is_text),
            min_length: min.filter(|_| is_text),
            max_length: max.filter(|_| is_text),
            ..Self::new(kind, &option.name, &option.description)
        }
    }
}

fn typed() -> u8 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
