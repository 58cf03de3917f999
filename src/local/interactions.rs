//! What people do with the bot besides writing: they use its commands, type in its options, press its buttons,
//! choose in its menus and submit its forms (`modal`). Each becomes an INTERACTION_CREATE on the gateway, whatever the bot's intents are.
//!
//! A person's client and Discord's server let through only what is offered: a command that is registered, options
//! as it has them, a button that is there. What they would not let through is [`Refused`] here, and the bot never
//! hears of it.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::commands::{
    BOOLEAN, CHANNEL, Command, INTEGER, MENTIONABLE, NUMBER, ROLE, STRING, SUBCOMMAND, USER,
};
use super::layout::{BUTTON, STRING_SELECT, component};
use super::shape::with_guild;
use super::world::{Id, World};
use super::{LocalDiscord, Message, Response, State, What};

/// What kind of interaction it is, by Discord's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Command = 2,
    Component = 3,
    Autocomplete = 4,
    Form = 5,
}

/// An interaction and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Interaction {
    pub(super) id: Id,
    /// What lets the bot answer, at first together with its id.
    pub(super) token: String,
    pub(super) kind: Kind,
    pub(super) channel: Id,
    pub(super) user: Id,
    pub(super) at: Instant,
    /// The command's name.
    name: String,
    /// The type of the option that the person types in.
    pub(super) focused: u64,
    /// The message with the component, also of a form that it has opened.
    pub(super) message: Option<Id>,
    /// The form that is open in answer to it.
    pub(super) form: Option<Value>,
    /// For a submission: what the form was the answer to.
    pub(super) opened_by: Option<Id>,
    pub(super) acknowledged: Option<Acknowledged>,
    /// The first answer's message; for an update that is the message with the component.
    pub(super) original: Option<Id>,
    pub(super) follow_ups: Vec<Id>,
}

/// How the bot acknowledged an interaction.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) after: Duration,
    /// Discord's number of the callback's type.
    pub(super) how: u8,
    pub(super) ephemeral: bool,
    /// The suggestions, as an answer to autocomplete.
    pub(super) choices: Vec<(String, Value)>,
}

/// Why Discord does not let a person do this, in words for that person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Refused {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What a person does with a command. Begin with [`UseCommand::new`] and set what differs.
#[derive(Debug, Clone)]
pub struct UseCommand {
    /// Where: a channel, a thread or direct messages.
    pub channel: Id,
    /// Who.
    pub user: Id,
    /// The command's name, without the slash.
    pub name: String,
    /// The name of the subcommand, for a command that has some.
    pub subcommand: Option<String>,
    /// What is given, in the person's order: texts, numbers, booleans, and ids of users, channels and roles.
    pub options: Vec<(String, Value)>,
    /// The guild's admins have opened the command to everybody, so that its `default_member_permissions` do not count.
    pub opened: bool,
}

impl UseCommand {
    /// A command without options.
    pub fn new(channel: Id, user: Id, name: impl Into<String>) -> Self {
        let (name, subcommand, options) = (name.into(), None, Vec::new());
        Self { channel, user, name, subcommand, options, opened: false }
    }

    /// One of several commands under one name.
    #[must_use]
    pub fn subcommand(self, name: impl Into<String>) -> Self {
        Self { subcommand: Some(name.into()), ..self }
    }

    /// Gives an option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }
}

impl From<Id> for Value {
    fn from(id: Id) -> Self {
        id.to_string().into()
    }
}

impl LocalDiscord {
    /// The commands that are registered, for all and for the guild.
    pub fn commands(&self) -> Vec<Command> {
        self.hub().lock().world.commands.clone()
    }

    /// Somebody uses a command. The interaction's id.
    ///
    /// # Errors
    /// Where Discord would not let the person do it; the bot hears nothing of it then.
    pub fn use_command(&self, used: UseCommand) -> Result<Id, Refused> {
        self.hub().change(|state| state.use_command(&used))
    }

    /// Somebody types in an option of a command: in the one named `focused`, whose value is what stands there so far.
    /// The interaction's id.
    ///
    /// # Errors
    /// As for [`LocalDiscord::use_command`].
    pub fn autocomplete(&self, used: UseCommand, focused: &str) -> Result<Id, Refused> {
        self.hub().change(|state| state.autocomplete(&used, focused))
    }

    /// Somebody presses a button. The interaction's id.
    ///
    /// # Errors
    /// As for [`LocalDiscord::use_command`].
    pub fn press(&self, message: Id, user: Id, custom_id: &str) -> Result<Id, Refused> {
        self.hub().change(|state| state.press(message, user, custom_id))
    }

    /// Somebody chooses in a menu. The interaction's id.
    ///
    /// # Errors
    /// As for [`LocalDiscord::use_command`].
    pub fn choose(&self, message: Id, user: Id, custom_id: &str, values: &[&str]) -> Result<Id, Refused> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        self.hub().change(|state| state.choose(message, user, custom_id, &values))
    }

    /// What the bot has answered to an interaction so far; `None` until it is acknowledged.
    pub fn response(&self, interaction: Id) -> Option<Response> {
        self.hub().lock().world.response(interaction)
    }

    /// Waits until the bot has acknowledged an interaction.
    pub async fn acknowledged(&self, interaction: Id) -> Response {
        self.wait_until(|local| local.response(interaction)).await
    }

    /// Waits until an interaction has its answer, beyond a deferral: the message, or the update, as it is now.
    pub async fn response_message(&self, interaction: Id) -> Message {
        self.wait_until(|local| local.response(interaction)?.message).await
    }
}

impl State {
    /// Somebody uses a command.
    pub(super) fn use_command(&mut self, used: &UseCommand) -> Result<Id, Refused> {
        self.command_interaction(used, None)
    }

    /// Somebody types in an option of a command: `focused` is its name, and its value is what stands there so far.
    pub(super) fn autocomplete(&mut self, used: &UseCommand, focused: &str) -> Result<Id, Refused> {
        self.command_interaction(used, Some(focused))
    }

    fn command_interaction(&mut self, used: &UseCommand, focused: Option<&str>) -> Result<Id, Refused> {
        let world = &self.world;
        let command = world.offered_command(used)?;
        let name = &used.name;
        let Some(known) = command.options(used.subcommand.as_deref()) else {
            return Err(match &used.subcommand {
                Some(subcommand) => Refused(format!("there is no /{name} {subcommand}")),
                None => Refused(format!("/{name} needs one of its subcommands")),
            });
        };
        let (mut options, mut resolved, mut focused_type) = (Vec::new(), Map::new(), 0);
        for (place, (key, value)) in used.options.iter().enumerate() {
            let Some(option) = known.iter().find(|option| option["name"] == key.as_str()) else {
                return Err(Refused(format!("/{name} has no option {key}")));
            };
            if used.options[..place].iter().any(|(other, _)| other == key) {
                return Err(Refused(format!("{key} is given twice")));
            }
            let mut given = json!({ "name": key, "type": option["type"], "value": value });
            if focused == Some(key.as_str()) {
                if option["autocomplete"] != true {
                    return Err(Refused(format!("{key} has no suggestions")));
                }
                // Whatever stands there, a number too, comes as text.
                given["value"] = value.as_str().map_or_else(|| value.to_string(), str::to_owned).into();
                given["focused"] = true.into();
                focused_type = option["type"].as_u64().unwrap_or(0);
            } else {
                world.check_value(used, option, value, &mut resolved)?;
            }
            options.push(given);
        }
        let missing = known.iter().find(|option| {
            option["required"] == true && !used.options.iter().any(|(key, _)| option["name"] == key.as_str())
        });
        match (focused, missing) {
            (None, Some(missing)) => {
                return Err(Refused(format!(
                    "/{name} needs {}",
                    missing["name"].as_str().unwrap_or_default()
                )));
            }
            (Some(focused), _) if focused_type == 0 => {
                return Err(Refused(format!("nothing stands in {focused}")));
            }
            _ => {}
        }
        if let Some(subcommand) = &used.subcommand {
            options = vec![json!({ "name": subcommand, "type": SUBCOMMAND, "options": options })];
        }
        let mut data = with_guild(command.guild, json!({ "id": command.id, "name": name, "type": 1 }));
        // Discord leaves out what is empty.
        if !options.is_empty() {
            data["options"] = options.into();
        }
        if !resolved.is_empty() {
            data["resolved"] = resolved.into();
        }
        let kind = if focused.is_some() { Kind::Autocomplete } else { Kind::Command };
        Ok(self.interact(kind, used.channel, used.user, name, focused_type, None, data))
    }

    /// Somebody presses a button.
    pub(super) fn press(&mut self, message: Id, user: Id, custom_id: &str) -> Result<Id, Refused> {
        let (channel, component) = self.world.component(message, user, custom_id)?;
        if component["type"] != BUTTON {
            return Err(Refused(format!("{custom_id} is not a button")));
        }
        let data = json!({ "custom_id": custom_id, "component_type": BUTTON, "id": component["id"] });
        Ok(self.interact(Kind::Component, channel, user, "", 0, Some(message), data))
    }

    /// Somebody chooses in a menu.
    pub(super) fn choose(
        &mut self,
        message: Id,
        user: Id,
        custom_id: &str,
        values: &[String],
    ) -> Result<Id, Refused> {
        let (channel, component) = self.world.component(message, user, custom_id)?;
        if component["type"] != STRING_SELECT {
            return Err(Refused(format!("{custom_id} is not a menu of texts")));
        }
        let options = component["options"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(strange) =
            values.iter().find(|value| !options.iter().any(|it| it["value"] == value.as_str()))
        {
            return Err(Refused(format!("{strange} is not in the menu")));
        }
        let least = component["min_values"].as_u64().unwrap_or(1);
        let most = component["max_values"].as_u64().unwrap_or(1);
        if !(least..=most).contains(&(values.len() as u64)) {
            return Err(Refused(format!("from {least} to {most} must be chosen")));
        }
        let data = json!({
            "custom_id": custom_id, "component_type": STRING_SELECT, "id": component["id"], "values": values,
        });
        Ok(self.interact(Kind::Component, channel, user, "", 0, Some(message), data))
    }

    #[expect(clippy::too_many_arguments, reason = "few callers, each with all of them")]
    pub(super) fn interact(
        &mut self,
        kind: Kind,
        channel: Id,
        user: Id,
        name: &str,
        focused: u64,
        message: Option<Id>,
        data: Value,
    ) -> Id {
        let id = self.begin(kind, channel, user, name, focused, message);
        let body = self.world.interaction_json(&self.world.interactions[&id], &data);
        self.note(Some(channel), What::Interacted { interaction: id, user });
        self.sessions.dispatch(0, "INTERACTION_CREATE", None, |_| body.clone());
        id
    }

    /// An interaction of which the bot has not been told.
    pub(super) fn begin(
        &mut self,
        kind: Kind,
        channel: Id,
        user: Id,
        name: &str,
        focused: u64,
        message: Option<Id>,
    ) -> Id {
        let id = self.world.new_id();
        let interaction = Interaction {
            id,
            token: format!("aW50ZXJhY3Rpb246{id}{}", uuid::Uuid::new_v4().simple()),
            kind,
            channel,
            user,
            at: Instant::now(),
            name: name.to_owned(),
            focused,
            message,
            form: None,
            opened_by: None,
            acknowledged: None,
            original: None,
            follow_ups: Vec::new(),
        };
        self.world.interactions.insert(id, interaction);
        id
    }
}

impl World {
    /// The command of this name that a person is offered in a channel: the guild's own, or one for all.
    fn offered_command(&self, used: &UseCommand) -> Result<&Command, Refused> {
        let UseCommand { channel, user, name, opened, .. } = used;
        let nobody = || Refused("there is no such channel or user".to_owned());
        let user = self.users.get(user).ok_or_else(nobody)?;
        let place = self.channels.get(channel).ok_or_else(nobody)?;
        if place.direct.is_some_and(|person| person != user.id) {
            return Err(nobody());
        }
        let direct = self.is_direct(*channel);
        let mut named: Vec<&Command> = self.commands.iter().filter(|command| command.name == *name).collect();
        named.sort_by_key(|command| command.guild.is_none());
        let Some(command) = named.into_iter().find(|command| command.offered_in(direct)) else {
            return Err(Refused(format!("there is no /{name} here")));
        };
        let needed = command.default_permissions();
        // "0" hides it from everybody but admins.
        let hidden = command.definition["default_member_permissions"] == "0";
        let may = self.permissions(user, *channel);
        let admin = may & (1 << 3) != 0;
        if !direct && !opened && !admin && (hidden || may & needed != needed) {
            return Err(Refused(format!("@{} may not use /{name}", user.name)));
        }
        Ok(command)
    }

    /// Whether a value suits an option. What it names goes into `resolved`.
    fn check_value(
        &self,
        used: &UseCommand,
        option: &Value,
        value: &Value,
        resolved: &mut Map<String, Value>,
    ) -> Result<(), Refused> {
        let name = option["name"].as_str().unwrap_or_default();
        let refused = |needs: &str| Err(Refused(format!("{name} needs {needs}")));
        let choices = option["choices"].as_array();
        if choices.is_some_and(|choices| !choices.iter().any(|choice| choice["value"] == *value)) {
            return refused("one of its choices");
        }
        let within = |found: Option<f64>, least: &str, most: &str| {
            let above = option[least].as_f64().is_none_or(|least| found >= Some(least));
            above && option[most].as_f64().is_none_or(|most| found <= Some(most))
        };
        let named = value.as_str().and_then(|text| text.parse::<u64>().ok()).map(Id::from);
        let mut resolve = |kind: &str, id: Id, json: Value| {
            resolved.entry(kind).or_insert_with(|| json!({}))[id.to_string()] = json;
        };
        match option["type"].as_u64().unwrap_or(0) {
            STRING => match value.as_str().map(|text| text.chars().count()) {
                None => return refused("a text"),
                Some(length) if !within(Some(length as f64), "min_length", "max_length") => {
                    return refused("a text of another length");
                }
                Some(_) => {}
            },
            INTEGER if !value.is_i64() => return refused("a whole number"),
            NUMBER if !value.is_number() => return refused("a number"),
            INTEGER | NUMBER if !within(value.as_f64(), "min_value", "max_value") => {
                return refused("a number within its limits");
            }
            INTEGER | NUMBER => {}
            BOOLEAN if !value.is_boolean() => return refused("yes or no"),
            BOOLEAN => {}
            kind @ (USER | MENTIONABLE | ROLE | CHANNEL) => {
                let Some(id) = named else { return refused("an id") };
                let users = matches!(kind, USER | MENTIONABLE);
                if let Some(user) = self.users.get(&id).filter(|_| users) {
                    resolve("users", id, self.user_json(user));
                    if !self.is_direct(used.channel) {
                        let mut member = self.partial_member_json(user);
                        member["permissions"] = self.permissions(user, used.channel).to_string().into();
                        resolve("members", id, member);
                    }
                } else if let Some(role) = self.roles.get(&id).filter(|_| matches!(kind, ROLE | MENTIONABLE))
                {
                    resolve("roles", id, self.role_json(role));
                } else if let Some(found) = self.channels.get(&id).filter(|_| kind == CHANNEL) {
                    let mut json = self.channel_json(found);
                    // Of the person that uses the command, and not of the bot.
                    let may = self.users.get(&used.user).map_or(0, |user| self.permissions(user, id));
                    json["permissions"] = may.to_string().into();
                    resolve("channels", id, json);
                } else {
                    return refused("somebody or something that is there");
                }
            }
            _ => return refused("something that the local Discord does not have"),
        }
        Ok(())
    }

    /// The component with this id, if the person sees it and it is switched on, and the channel that it is in.
    fn component(&self, message: Id, user: Id, custom_id: &str) -> Result<(Id, &Value), Refused> {
        let seen = self.message(message).filter(|it| it.ephemeral_to.is_none_or(|only| only == user));
        let message = seen.ok_or_else(|| Refused("there is no such message".to_owned()))?;
        let component = component(&message.components, custom_id);
        let component =
            component.ok_or_else(|| Refused(format!("there is no {custom_id} on the message")))?;
        if component["disabled"] == true {
            return Err(Refused(format!("{custom_id} is switched off")));
        }
        if !self.users.contains_key(&user) {
            return Err(Refused("there is no such user".to_owned()));
        }
        Ok((message.channel, component))
    }

    fn interaction_json(&self, interaction: &Interaction, data: &Value) -> Value {
        let (bot, user) = (&self.users[&self.bot], &self.users[&interaction.user]);
        let channel = interaction.channel;
        let guild = self.guild_of(channel);
        let mut about_channel = self.channel_json(&self.channels[&channel]);
        about_channel["permissions"] = self.permissions(user, channel).to_string().into();
        let mut json = with_guild(
            guild,
            json!({
                "id": interaction.id,
                "application_id": self.application,
                "type": interaction.kind as u8,
                "token": interaction.token,
                "version": 1,
                "data": data,
                "channel_id": channel,
                "channel": about_channel,
                "locale": "en-US",
                "app_permissions": self.permissions(bot, channel).to_string(),
                "entitlements": [],
                "entitlement_sku_ids": [],
                "authorizing_integration_owners": self.integration_owners_json(interaction),
                "context": u8::from(guild.is_none()),
                "attachment_size_limit": 10 << 20,
            }),
        );
        match guild {
            Some(guild) => {
                json["guild"] = json!({ "id": guild, "locale": "en-US", "features": [] });
                json["guild_locale"] = "en-US".into();
                let mut member = self.member_json(user);
                member["permissions"] = self.permissions(user, channel).to_string().into();
                json["member"] = member;
            }
            None => json["user"] = self.user_json(user),
        }
        if let Some(message) = interaction.message.and_then(|id| self.message(id)) {
            json["message"] = self.message_json(message, true);
        }
        json
    }

    fn integration_owners_json(&self, interaction: &Interaction) -> Value {
        match self.guild_of(interaction.channel) {
            Some(guild) => json!({ "0": guild }),
            None => json!({ "0": "0" }),
        }
    }

    /// What a message says of the interaction that it answers.
    pub(super) fn interaction_metadata_json(&self, interaction: &Interaction) -> Value {
        let mut json = json!({
            "id": interaction.id,
            "type": interaction.kind as u8,
            "user": self.users.get(&interaction.user).map(|user| self.user_json(user)),
            "authorizing_integration_owners": self.integration_owners_json(interaction),
        });
        match (interaction.opened_by.and_then(|id| self.interactions.get(&id)), interaction.message) {
            (Some(opened), _) => {
                json["triggering_interaction_metadata"] = self.interaction_metadata_json(opened);
            }
            (None, Some(message)) => json["interacted_message_id"] = json!(message),
            (None, None) => json["name"] = interaction.name.as_str().into(),
        }
        json
    }
}
