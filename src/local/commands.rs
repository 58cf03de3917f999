//! The commands that the bot registers: Discord's rules for them, and their JSON.
//!
//! Left out: commands on users and messages, translations, permissions by role or channel, the daily limit.

use std::sync::LazyLock;

use axum::http::StatusCode;
use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::form::{Mistakes, repeated};
use super::rules::Refusal;
use super::world::{Id, World};

/// How many commands each scope may have.
const MOST: usize = 100;
/// How many characters a command may have in all: names, descriptions and values.
const LARGEST: usize = 8000;

/// The types of options.
pub(super) const SUBCOMMAND: u64 = 1;
pub(super) const GROUP: u64 = 2;
pub(super) const STRING: u64 = 3;
pub(super) const INTEGER: u64 = 4;
pub(super) const BOOLEAN: u64 = 5;
pub(super) const USER: u64 = 6;
pub(super) const CHANNEL: u64 = 7;
pub(super) const ROLE: u64 = 8;
pub(super) const MENTIONABLE: u64 = 9;
pub(super) const NUMBER: u64 = 10;
const ATTACHMENT: u64 = 11;

/// A command as it is registered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Command {
    /// Its id, which it keeps as long as its name is registered.
    pub id: Id,
    /// New with every change.
    pub version: Id,
    /// The guild that it is for, or none for all and for direct messages.
    pub guild: Option<Id>,
    /// What is typed after the slash.
    pub name: String,
    /// Its definition as Discord gives it back, without the ids.
    pub definition: Value,
}

impl Command {
    /// Whether it is offered in direct messages (or in the guild).
    pub(super) fn offered_in(&self, direct: bool) -> bool {
        let contexts = self.definition["contexts"].as_array();
        match contexts {
            Some(contexts) => contexts.contains(&json!(u8::from(direct))),
            None => !direct || (self.guild.is_none() && self.definition["dm_permission"] != false),
        }
    }

    /// What a member needs to be offered it, unless the guild's admins have opened it to others.
    pub(super) fn default_permissions(&self) -> u64 {
        let bits = self.definition["default_member_permissions"].as_str();
        bits.and_then(|bits| bits.parse().ok()).unwrap_or(0)
    }

    /// The options of the command itself, or of one of its subcommands. None where there is no such subcommand, and for
    /// a command that has subcommands and no options of its own.
    pub fn options(&self, subcommand: Option<&str>) -> Option<&[Value]> {
        let own = list(&self.definition);
        let nested = own.iter().any(|option| matches!(option["type"].as_u64(), Some(SUBCOMMAND | GROUP)));
        match subcommand {
            None => (!nested).then_some(own),
            Some(name) => {
                own.iter().find(|option| option["type"] == SUBCOMMAND && option["name"] == name).map(list)
            }
        }
    }
}

fn list(parent: &Value) -> &[Value] {
    parent["options"].as_array().map_or(&[], Vec::as_slice)
}

#[expect(clippy::expect_used, reason = "the pattern is a constant that the tests compile")]
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[-_'\p{L}\p{N}\p{Devanagari}\p{Thai}]{1,32}$").expect("a valid pattern"));

impl World {
    /// All commands of a scope, as Discord lists them.
    pub(super) fn commands_json(&self, guild: Option<Id>) -> Value {
        let scope = self.commands.iter().filter(|command| command.guild == guild);
        scope.map(|command| self.command_json(command)).collect()
    }

    fn command_json(&self, command: &Command) -> Value {
        let mut json = command.definition.clone();
        json["id"] = json!(command.id);
        json["application_id"] = json!(self.application);
        json["version"] = json!(command.version);
        if let Some(guild) = command.guild {
            json["guild_id"] = json!(guild);
        }
        json
    }

    /// Puts these commands in the place of all in their scope: one with a known name keeps its id.
    pub(super) fn overwrite_commands(&mut self, guild: Option<Id>, wanted: &Value) -> Result<(), Refusal> {
        let Some(wanted) = wanted.as_array() else {
            let mut mistakes = Mistakes::default();
            mistakes.list("", wanted, 0..=MOST);
            return mistakes.finish();
        };
        if wanted.len() > MOST {
            let message = "Maximum number of application commands reached (100)";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 30032, message));
        }
        let mut mistakes = Mistakes::default();
        for (place, command) in wanted.iter().enumerate() {
            check_command(&place.to_string(), command, &mut mistakes);
        }
        for place in repeated(wanted.iter().map(|command| &command["name"])) {
            let message = "Application command names must be unique";
            mistakes.add(&place.to_string(), "APPLICATION_COMMANDS_DUPLICATE_NAME", message);
        }
        mistakes.finish()?;

        let (old, others) =
            std::mem::take(&mut self.commands).into_iter().partition(|command| command.guild == guild);
        let old: Vec<Command> = old;
        self.commands = others;
        for wanted in wanted {
            let name = wanted["name"].as_str().unwrap_or_default();
            let definition = definition(wanted, guild);
            let command = match old.iter().find(|command| command.name == name) {
                Some(same) if same.definition == definition => same.clone(),
                Some(changed) => Command { version: self.new_id(), definition, ..changed.clone() },
                None => {
                    let (id, version) = (self.new_id(), self.new_id());
                    Command { id, version, guild, name: name.to_owned(), definition }
                }
            };
            self.commands.push(command);
        }
        Ok(())
    }
}

fn check_name(at: &str, name: &Value, mistakes: &mut Mistakes) {
    let at = format!("{at}.name");
    mistakes.text(&at, name, 1..=32);
    let Some(name) = name.as_str() else { return };
    let fits = (1..=32).contains(&name.chars().count());
    if fits && (!NAME.is_match(name) || name.to_lowercase() != name) {
        mistakes.add(&at, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid");
    }
}

fn check_command(at: &str, command: &Value, mistakes: &mut Mistakes) {
    if !command.is_object() {
        return mistakes.add(at, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
    }
    if !command["type"].is_null() {
        mistakes.one_of(&format!("{at}.type"), &command["type"], &[1]);
    }
    check_name(at, &command["name"], mistakes);
    mistakes.text(&format!("{at}.description"), &command["description"], 1..=100);
    check_options(at, &command["options"], 0, mistakes);
    let permissions = &command["default_member_permissions"];
    if !permissions.is_null() && bits(permissions).is_none() {
        let message = "Could not interpret the value as permissions.";
        mistakes.add(&format!("{at}.default_member_permissions"), "BASE_TYPE_BAD_TYPE", message);
    }
    if !command["dm_permission"].is_null() && !command["dm_permission"].is_boolean() {
        let message = "Must be either true or false.";
        mistakes.add(&format!("{at}.dm_permission"), "BOOLEAN_TYPE_CONVERT", message);
    }
    if !command["contexts"].is_null() {
        let contexts = mistakes.list(&format!("{at}.contexts"), &command["contexts"], 1..=3);
        for (place, context) in contexts.iter().enumerate() {
            mistakes.one_of(&format!("{at}.contexts.{place}"), context, &[0, 1, 2]);
        }
    }
    if size(command) > LARGEST {
        let message = "Command exceeds maximum size (8000)";
        mistakes.add(at, "APPLICATION_COMMAND_TOO_LARGE", message);
    }
}

/// `depth`: 0 in a command, 1 in a group, 2 in a subcommand.
fn check_options(at: &str, options: &Value, depth: u8, mistakes: &mut Mistakes) {
    let at = format!("{at}.options");
    let options = mistakes.list(&at, options, 0..=25);
    let nests = |option: &Value| matches!(option["type"].as_u64(), Some(SUBCOMMAND | GROUP));
    let nested = options.iter().any(nests);
    let mut optional = false;
    for (place, option) in options.iter().enumerate() {
        let at = format!("{at}.{place}");
        if !option.is_object() {
            mistakes.add(&at, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
            continue;
        }
        let known: Vec<u64> = match depth {
            0 => (SUBCOMMAND..=ATTACHMENT).collect(),
            1 => vec![SUBCOMMAND],
            _ => (STRING..=ATTACHMENT).collect(),
        };
        mistakes.one_of(&format!("{at}.type"), &option["type"], &known);
        check_name(&at, &option["name"], mistakes);
        mistakes.text(&format!("{at}.description"), &option["description"], 1..=100);
        if nested && !nests(option) {
            let message =
                "Sub-command and sub-command group option types are mutually exclusive to all other types";
            mistakes.add(&at, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message);
        }
        match option["type"].as_u64() {
            Some(SUBCOMMAND) => check_options(&at, &option["options"], 2, mistakes),
            Some(GROUP) => check_options(&at, &option["options"], 1, mistakes),
            _ => check_values(&at, option, mistakes),
        }
        let required = option["required"] == true;
        if required && optional {
            let message = "Required options must be placed before non-required options";
            mistakes.add(&at, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message);
        }
        optional |= !required;
    }
    for place in repeated(options.iter().map(|option| &option["name"])) {
        let message = "Option name already exists";
        mistakes.add(&format!("{at}.{place}"), "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", message);
    }
}

/// What an option may be given: choices, or suggestions, within limits.
fn check_values(at: &str, option: &Value, mistakes: &mut Mistakes) {
    let kind = option["type"].as_u64().unwrap_or(0);
    let choices = mistakes.list(&format!("{at}.choices"), &option["choices"], 0..=25);
    let takes_choices = matches!(kind, STRING | INTEGER | NUMBER);
    let autocomplete = option["autocomplete"] == true;
    if !takes_choices && (!choices.is_empty() || autocomplete) || autocomplete && !choices.is_empty() {
        let message = "Choices and autocomplete are for texts and numbers, and only one of them";
        mistakes.add(at, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message);
    }
    check_choices(&format!("{at}.choices"), choices, kind, mistakes);
    let number =
        |value: &Value| value.is_null() || if kind == INTEGER { value.is_i64() } else { value.is_number() };
    for (least, most, applies) in [
        ("min_value", "max_value", matches!(kind, INTEGER | NUMBER)),
        ("min_length", "max_length", kind == STRING),
    ] {
        let (low, high) = (&option[least], &option[most]);
        if !applies {
            if !(low.is_null() && high.is_null()) {
                let message = "This kind of option has no such limit";
                mistakes.add(&format!("{at}.{least}"), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message);
            }
            continue;
        }
        let lengths = |value: &Value| value.is_null() || value.as_u64().is_some_and(|it| it <= 6000);
        for (name, value) in [(least, low), (most, high)] {
            let fits = if kind == STRING { lengths(value) } else { number(value) };
            if !fits {
                let message = "Value is not a number that fits here.";
                mistakes.add(&format!("{at}.{name}"), "NUMBER_TYPE_COERCE", message);
            }
        }
        if let (Some(low), Some(high)) = (low.as_f64(), high.as_f64())
            && low > high
        {
            let message = "Minimum must not be greater than maximum.";
            mistakes.add(&format!("{at}.{least}"), "NUMBER_TYPE_MAX", message);
        }
    }
}

/// The choices of an option, or suggestions for one.
pub(super) fn check_choices(at: &str, choices: &[Value], kind: u64, mistakes: &mut Mistakes) {
    for (place, choice) in choices.iter().enumerate() {
        let at = format!("{at}.{place}");
        mistakes.text(&format!("{at}.name"), &choice["name"], 1..=100);
        let (at, value) = (format!("{at}.value"), &choice["value"]);
        match kind {
            _ if value.is_null() => mistakes.required(&at),
            STRING => mistakes.text(&at, value, 0..=100),
            INTEGER if value.is_i64() => {}
            NUMBER if value.is_number() => {}
            INTEGER | NUMBER => {
                mistakes.add(&at, "NUMBER_TYPE_COERCE", "Value is not a number that fits here.")
            }
            _ => {}
        }
    }
    for place in repeated(choices.iter().map(|choice| &choice["name"])) {
        let message = "Option choice name already exists";
        mistakes.add(
            &format!("{at}.{place}"),
            "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_ALREADY_EXISTS",
            message,
        );
    }
}

/// Permissions as a text of digits, or as a number.
fn bits(permissions: &Value) -> Option<u64> {
    permissions.as_u64().or_else(|| permissions.as_str()?.parse().ok())
}

fn size(command: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, |it| it.chars().count());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let choices = list(&command["choices"]);
    let choices: usize = choices.iter().map(|choice| text(&choice["name"]) + text(&choice["value"])).sum();
    let options: usize = list(&command["options"]).iter().map(size).sum();
    text(&command["name"]) + text(&command["description"]) + choices + options
}

/// A command as Discord gives it back: what was left out has its default, and what is the default is left out of
/// its options.
fn definition(command: &Value, guild: Option<Id>) -> Value {
    let contexts = &command["contexts"];
    let mut json = json!({
        "type": 1,
        "name": command["name"],
        "name_localizations": null,
        "description": command["description"],
        "description_localizations": null,
        "default_member_permissions": bits(&command["default_member_permissions"]).map(|it| it.to_string()),
        "integration_types": [0],
        "contexts": contexts,
        "nsfw": command["nsfw"] == true,
    });
    if guild.is_none() {
        let direct = match contexts.as_array() {
            Some(contexts) => contexts.contains(&json!(1)),
            None => command["dm_permission"] != false,
        };
        json["dm_permission"] = direct.into();
    }
    if let Some(options) = options(command) {
        json["options"] = options;
    }
    json
}

fn options(parent: &Value) -> Option<Value> {
    let options = parent["options"].as_array().filter(|options| !options.is_empty())?;
    Some(options.iter().map(option).collect())
}

fn option(option: &Value) -> Value {
    let mut json = Map::new();
    for field in ["type", "name", "description", "min_value", "max_value", "min_length", "max_length"] {
        json.insert(field.to_owned(), option[field].clone());
    }
    for switch in ["required", "autocomplete"] {
        json.insert(switch.to_owned(), if option[switch] == true { true.into() } else { Value::Null });
    }
    for list in ["choices", "channel_types"] {
        let filled = option[list].as_array().is_some_and(|list| !list.is_empty());
        json.insert(list.to_owned(), if filled { option[list].clone() } else { Value::Null });
    }
    json.insert("options".to_owned(), options(option).unwrap_or_default());
    json.retain(|_, value| !value.is_null());
    json.into()
}
