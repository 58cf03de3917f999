//! INTERACTION_CREATE → [`Interaction`]. Everything needed is in the event itself, so that it never waits for the
//! events before it.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serenity::model::event::Event;
use tracing::debug;

use super::convert::shown_name;
use super::event::{WireChannel, WireRole};
use super::person::{Person, WireMember, null_is_default};
use crate::domain::{
    Author, ChannelId, GuildId, Interaction, InteractionId, InteractionKind, InteractionToken, Invocation,
    MessageId, NamedChannel, NamedRole, OptionValue, RoleId, UserId,
};

/// The event's name.
const NAME: &str = "INTERACTION_CREATE";

/// Whether this event is one. serenity leaves what it does not understand unknown, under its name.
pub(super) fn is_one(event: &Event) -> bool {
    match event {
        Event::InteractionCreate(_) => true,
        Event::Unknown(unknown) => unknown.kind == NAME,
        _ => false,
    }
}

/// Reads an interaction; `None` for a kind that the bot does not use.
///
/// # Errors
/// If something is missing without which it cannot be answered.
pub(super) fn read(event: &Event, received: Instant) -> serde_json::Result<Option<Interaction>> {
    let data = match event {
        Event::InteractionCreate(create) => {
            let mut data = serde_json::to_value(&create.interaction)?;
            // serenity leaves it out when it writes what it has read.
            data["type"] = u8::from(create.interaction.kind()).into();
            data
        }
        Event::Unknown(unknown) => unknown.value.clone(),
        _ => return Ok(None),
    };
    decode(data, received)
}

/// <https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object>
#[derive(Deserialize)]
struct WireInteraction {
    id: InteractionId,
    #[serde(rename = "type")]
    kind: u8,
    token: String,
    channel_id: Option<ChannelId>,
    channel: Option<WireChannel>,
    guild_id: Option<GuildId>,
    /// In guilds.
    member: Option<InGuild>,
    /// In direct messages.
    user: Option<Person>,
    #[serde(default)]
    data: Value,
    message: Option<WirePressedMessage>,
}

#[derive(Deserialize)]
struct InGuild {
    user: Person,
    #[serde(flatten)]
    member: WireMember,
    /// As text: they outgrow a double.
    permissions: Option<String>,
}

/// The message that a button belongs to.
#[derive(Deserialize)]
struct WirePressedMessage {
    id: MessageId,
}

#[derive(Deserialize)]
struct CommandData {
    name: String,
    #[serde(rename = "type")]
    kind: Option<u8>,
    #[serde(default, deserialize_with = "null_is_default")]
    options: Vec<WireOption>,
    #[serde(default, deserialize_with = "null_is_default")]
    resolved: Resolved,
}

/// What the options name.
#[derive(Default, Deserialize)]
struct Resolved {
    #[serde(default, deserialize_with = "null_is_default")]
    users: BTreeMap<UserId, Person>,
    #[serde(default, deserialize_with = "null_is_default")]
    members: BTreeMap<UserId, WireMember>,
    #[serde(default, deserialize_with = "null_is_default")]
    channels: BTreeMap<ChannelId, ResolvedChannel>,
    #[serde(default, deserialize_with = "null_is_default")]
    roles: BTreeMap<RoleId, WireRole>,
}

#[derive(Deserialize)]
struct ResolvedChannel {
    #[serde(flatten)]
    channel: WireChannel,
    /// The person's, as text.
    permissions: Option<String>,
}

impl Resolved {
    fn user(&mut self, id: UserId) -> Author {
        let member = self.members.remove(&id);
        let user = self.users.remove(&id);
        Author {
            id,
            name: user.as_ref().map(|user| shown_name(user, member.as_ref())).unwrap_or_default(),
            roles: member.map(|member| member.roles).unwrap_or_default(),
            bot: user.is_some_and(|user| user.bot),
        }
    }

    fn channel(&self, id: ChannelId) -> NamedChannel {
        let channel = self.channels.get(&id).map(|resolved| &resolved.channel);
        let name = channel.map(|channel| channel.name.clone()).unwrap_or_default();
        NamedChannel { id, name, parent_id: channel.and_then(WireChannel::thread_parent) }
    }

    fn role(&self, id: RoleId) -> NamedRole {
        NamedRole { id, name: self.roles.get(&id).map(|role| role.name.clone()).unwrap_or_default() }
    }
}

/// An option, or the subcommand that has options.
#[derive(Deserialize)]
struct WireOption {
    name: String,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    value: Value,
    #[serde(default, deserialize_with = "null_is_default")]
    focused: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    options: Vec<WireOption>,
}

#[derive(Deserialize)]
struct ComponentData {
    custom_id: String,
    component_type: u8,
    #[serde(default, deserialize_with = "null_is_default")]
    values: Vec<String>,
}

/// A submitted form: <https://docs.discord.com/developers/components/reference>.
#[derive(Deserialize)]
struct FormData {
    custom_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    components: Vec<FormRow>,
}

/// What stands in one row of a form.
#[derive(Deserialize)]
struct FormRow {
    #[serde(default, deserialize_with = "null_is_default")]
    components: Vec<FilledField>,
}

#[derive(Deserialize)]
struct FilledField {
    #[serde(default)]
    custom_id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    value: String,
}

fn decode(data: Value, received: Instant) -> serde_json::Result<Option<Interaction>> {
    use serde::de::Error as _;
    let missing = serde_json::Error::missing_field;

    let raw: WireInteraction = serde_json::from_value(data)?;
    let kind = match raw.kind {
        2 | 4 => invocation(raw.kind == 4, from(raw.data)?)?,
        3 => press(from(raw.data)?, raw.message.ok_or_else(|| missing("message"))?.id),
        5 => Some(form(from(raw.data)?, raw.message.map(|message| message.id))),
        // A ping comes over HTTP only.
        other => {
            debug!("an interaction of the unknown kind {other} is ignored");
            None
        }
    };
    let Some(kind) = kind else { return Ok(None) };

    let (user, member, permissions) = match (raw.member, raw.user) {
        (Some(InGuild { user, member, permissions }), _) => (user, Some(member), permissions),
        // serenity puts an empty user where there is none.
        (None, Some(user)) if !user.username.is_empty() => (user, None, None),
        (None, _) => return Err(missing("member")),
    };
    let channel_id = raw.channel_id.or(raw.channel.as_ref().map(|channel| channel.id));
    Ok(Some(Interaction {
        id: raw.id,
        token: InteractionToken(raw.token),
        channel_id: channel_id.ok_or_else(|| missing("channel_id"))?,
        parent_channel_id: raw.channel.as_ref().and_then(WireChannel::thread_parent),
        channel_name: raw.channel.map(|channel| channel.name).unwrap_or_default(),
        guild_id: raw.guild_id,
        author: Author {
            id: user.id,
            name: shown_name(&user, member.as_ref()),
            roles: member.map(|member| member.roles).unwrap_or_default(),
            bot: user.bot,
        },
        permissions: bits(permissions),
        received,
        kind,
    }))
}

/// A permission that Discord does not mention is not granted.
fn bits(permissions: Option<String>) -> u64 {
    permissions.and_then(|bits| bits.parse().ok()).unwrap_or(0)
}

fn from<T: DeserializeOwned>(data: Value) -> serde_json::Result<T> {
    serde_json::from_value(data)
}

fn invocation(autocomplete: bool, data: CommandData) -> serde_json::Result<Option<InteractionKind>> {
    use serde::de::Error as _;
    if data.kind.is_some_and(|kind| kind != 1) {
        debug!(command = %data.name, "a command of a menu is ignored: the bot registers none");
        return Ok(None);
    }
    let mut resolved = data.resolved;
    let channels = resolved.channels.iter();
    let permissions = channels.map(|(id, channel)| (*id, bits(channel.permissions.clone()))).collect();
    let mut invocation =
        Invocation { command: data.name, subcommand: None, options: Vec::new(), permissions };
    let mut focused = None;
    for given in data.options {
        match given.kind {
            1 => {
                invocation.subcommand = Some(given.name);
                for given in given.options {
                    take(&mut invocation, &mut focused, &mut resolved, given)?;
                }
            }
            2 => {
                debug!(command = %invocation.command, "a group of subcommands is ignored: the bot registers none");
                return Ok(None);
            }
            _ => take(&mut invocation, &mut focused, &mut resolved, given)?,
        }
    }
    if !autocomplete {
        return Ok(Some(InteractionKind::Command(invocation)));
    }
    let focused = focused.ok_or_else(|| serde_json::Error::missing_field("focused"))?;
    Ok(Some(InteractionKind::Autocomplete(invocation, focused)))
}

fn take(
    invocation: &mut Invocation,
    focused: &mut Option<String>,
    resolved: &mut Resolved,
    given: WireOption,
) -> serde_json::Result<()> {
    let value = match given.kind {
        // Whatever its kind, it arrives as text while somebody types: half a number is not a number.
        _ if given.focused => {
            *focused = Some(given.name.clone());
            let text = given.value.as_str().map(str::to_owned);
            OptionValue::Text(text.unwrap_or_else(|| given.value.to_string()))
        }
        3 => OptionValue::Text(from(given.value)?),
        4 => OptionValue::Integer(from(given.value)?),
        5 => OptionValue::Boolean(from(given.value)?),
        6 => OptionValue::User(resolved.user(from(given.value)?)),
        7 => OptionValue::Channel(resolved.channel(from(given.value)?)),
        8 => OptionValue::Role(resolved.role(from(given.value)?)),
        10 => OptionValue::Number(from(given.value)?),
        other => {
            debug!(option = %given.name, "an option of the unknown kind {other} is left out");
            return Ok(());
        }
    };
    invocation.options.push((given.name, value));
    Ok(())
}

fn press(data: ComponentData, message: MessageId) -> Option<InteractionKind> {
    if !matches!(data.component_type, 2 | 3) {
        debug!("a press on a component of the unknown kind {} is ignored", data.component_type);
        return None;
    }
    Some(InteractionKind::Press { custom_id: data.custom_id, values: data.values, message })
}

/// What a person has put into a form.
fn form(data: FormData, message: Option<MessageId>) -> InteractionKind {
    let fields = data.components.into_iter().flat_map(|row| row.components);
    let values = fields.map(|field| (field.custom_id, field.value)).collect();
    InteractionKind::Form { custom_id: data.custom_id, values, message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::FormValues;

    /// As it arrives: through serenity's own decoding.
    fn arrive(data: Value) -> serde_json::Result<Option<Interaction>> {
        let event: Event = serde_json::from_value(json!({"t": NAME, "d": data})).unwrap();
        assert!(is_one(&event));
        read(&event, Instant::now())
    }

    fn with(mut value: Value, changes: Value) -> Value {
        for (key, to) in changes.as_object().unwrap() {
            value[key] = to.clone();
        }
        value
    }

    fn without(mut value: Value, keys: &[&str]) -> Value {
        value.as_object_mut().unwrap().retain(|key, _| !keys.contains(&key.as_str()));
        value
    }

    fn user(id: &str, name: &str) -> Value {
        json!({"id": id, "username": name, "global_name": "Ann", "discriminator": "0", "avatar": null,
            "public_flags": 0, "clan": null, "primary_guild": null, "avatar_decoration_data": null})
    }

    /// What Discord sends for `/queue take position:3 who:@bob`, in a guild.
    fn command() -> Value {
        json!({
            "version": 1, "type": 2, "token": "tok", "locale": "de", "id": "30", "guild_locale": "en-US",
            "guild_id": "10", "channel_id": "20", "application_id": "8", "app_permissions": "562949953601536",
            "context": 0, "entitlement_sku_ids": [], "entitlements": [], "attachment_size_limit": 10485760,
            "authorizing_integration_owners": {"0": "10"}, "guild": {"id": "10", "locale": "en-US", "features": []},
            "channel": {"id": "20", "type": 0, "name": "general", "guild_id": "10", "parent_id": "19", "position": 0,
                "last_message_id": "29", "flags": 0, "nsfw": false, "permissions": "2251799813685247", "topic": null},
            "member": {"user": user("40", "ann"), "nick": "Annie", "roles": ["50", "51"], "permissions": "8192",
                "joined_at": "2020-01-01T00:00:00+00:00", "premium_since": null, "pending": false, "mute": false,
                "deaf": false, "flags": 0, "avatar": null, "banner": null, "communication_disabled_until": null},
            "data": {"id": "70", "name": "queue", "type": 1, "guild_id": "10",
                "resolved": {"users": {"41": user("41", "bob")},
                    "members": {"41": {"nick": null, "roles": [], "permissions": "0", "joined_at": null}}},
                "options": [{"type": 1, "name": "take", "options": [
                    {"type": 4, "name": "position", "value": 3}, {"type": 6, "name": "who", "value": "41"}]}]},
        })
    }

    fn options(options: Value) -> Value {
        with(command(), json!({"data": {"id": "70", "name": "ask", "type": 1, "options": options}}))
    }

    /// A press on a button below a message of the bot.
    fn pressed(data: Value) -> Value {
        let message = json!({"id": "31", "channel_id": "20", "type": 0, "content": "Sure?", "tts": false,
            "author": user("7", "moon"), "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": null,
            "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
            "pinned": false, "flags": 64, "components": []});
        with(command(), json!({"type": 3, "data": data, "message": message}))
    }

    #[test]
    fn a_submitted_form_has_its_values_by_field_and_the_message_of_its_button() {
        let row = |id: &str, value: Value| json!({"type": 1, "id": 2, "components": [{"type": 4, "id": 3, "custom_id": id, "value": value}]});
        let rows = json!([row("why", json!("so\nand so")), row("what", json!("")), {"type": 18, "id": 4}]);
        let submitted = with(pressed(json!({"custom_id": "form:1", "components": rows})), json!({"type": 5}));
        let values = [("why", "so\nand so"), ("what", "")];
        let values = values.map(|(field, value)| (field.to_owned(), value.to_owned())).into();
        let kind = |message| InteractionKind::Form {
            custom_id: "form:1".to_owned(),
            values: FormValues::clone(&values),
            message,
        };
        assert_eq!(arrive(submitted.clone()).unwrap().unwrap().kind, kind(MessageId::new(31)));
        // A command has opened it.
        let by_command = with(submitted, json!({"message": null}));
        assert_eq!(arrive(by_command).unwrap().unwrap().kind, kind(None));
    }

    #[test]
    fn a_subcommand_has_its_options_and_its_person() {
        let received = Instant::now();
        let event: Event = serde_json::from_value(json!({"t": NAME, "d": command()})).unwrap();
        assert!(matches!(event, Event::InteractionCreate(_)), "serenity understands it");
        let expected = Interaction {
            id: InteractionId::new(30).unwrap(),
            token: InteractionToken("tok".into()),
            channel_id: ChannelId::new(20).unwrap(),
            parent_channel_id: None,
            channel_name: "general".into(),
            guild_id: GuildId::new(10),
            author: Author {
                id: UserId::new(40).unwrap(),
                name: "Annie".into(),
                roles: vec![RoleId::new(50).unwrap(), RoleId::new(51).unwrap()],
                bot: false,
            },
            permissions: 8192,
            received,
            kind: InteractionKind::Command(Invocation {
                command: "queue".into(),
                subcommand: Some("take".into()),
                options: vec![
                    ("position".into(), OptionValue::Integer(3)),
                    (
                        "who".into(),
                        OptionValue::User(Author {
                            id: UserId::new(41).unwrap(),
                            name: "Ann".into(),
                            roles: Vec::new(),
                            bot: false,
                        }),
                    ),
                ],
                permissions: BTreeMap::new(),
            }),
        };
        assert_eq!(read(&event, received).unwrap(), Some(expected));
    }

    #[test]
    fn every_kind_of_option_keeps_its_value_and_its_place() {
        let given = options(json!([
            {"type": 3, "name": "a", "value": "/* 月 */"}, {"type": 5, "name": "b", "value": false},
            {"type": 10, "name": "c", "value": 2}, {"type": 10, "name": "d", "value": 2.5},
            {"type": 7, "name": "e", "value": "20"}, {"type": 8, "name": "f", "value": "50"},
            {"type": 11, "name": "g", "value": "60"}, {"type": 4, "name": "h", "value": -9007199254740991_i64},
        ]));
        let Ok(Some(Interaction { kind: InteractionKind::Command(invocation), .. })) = arrive(given) else {
            panic!()
        };
        let expected = [
            ("a".to_owned(), OptionValue::Text("/* 月 */".into())),
            ("b".to_owned(), OptionValue::Boolean(false)),
            ("c".to_owned(), OptionValue::Number(2.0)),
            ("d".to_owned(), OptionValue::Number(2.5)),
            (
                "e".to_owned(),
                OptionValue::Channel(NamedChannel {
                    id: ChannelId::new(20).unwrap(),
                    name: String::new(),
                    parent_id: None,
                }),
            ),
            (
                "f".to_owned(),
                OptionValue::Role(NamedRole { id: RoleId::new(50).unwrap(), name: String::new() }),
            ),
            ("h".to_owned(), OptionValue::Integer(-9_007_199_254_740_991)),
        ];
        assert_eq!((invocation.subcommand, invocation.options.as_slice()), (None, &expected[..]));
    }

    #[test]
    fn a_channel_among_the_options_has_what_the_person_may_do_there() {
        let channel = |id: &str, permissions: Value| json!({"id": id, "type": 0, "name": "x", "permissions": permissions});
        let mut given = options(json!([{"type": 7, "name": "where", "value": "20"}]));
        given["data"]["resolved"] = json!({"channels": {"20": channel("20", json!("8192")),
            "21": channel("21", json!(null))}});
        let Ok(Some(Interaction { kind: InteractionKind::Command(invocation), .. })) = arrive(given) else {
            panic!()
        };
        let channel = |id| ChannelId::new(id).unwrap();
        assert_eq!(invocation.permissions, BTreeMap::from([(channel(20), 8192), (channel(21), 0)]));
    }

    #[test]
    fn the_focused_option_is_known_whatever_is_typed_so_far() {
        for (value, typed) in [(json!("12a"), "12a"), (json!(12), "12"), (json!(""), "")] {
            let typing = options(json!([{"type": 3, "name": "model", "value": "opus"},
                {"type": 4, "name": "n", "value": value, "focused": true}]));
            let Ok(Some(heard)) = arrive(with(typing, json!({"type": 4}))) else { panic!("{value}") };
            let InteractionKind::Autocomplete(invocation, focused) = heard.kind else { panic!() };
            assert_eq!((focused.as_str(), invocation.command.as_str()), ("n", "ask"));
            assert_eq!(invocation.options[1], ("n".to_owned(), OptionValue::Text(typed.to_owned())));
        }
        let sub = json!([{"type": 1, "name": "take", "options": [{"type": 3, "name": "x", "value": "a", "focused": true}]}]);
        let Ok(Some(heard)) = arrive(with(options(sub), json!({"type": 4}))) else { panic!() };
        let InteractionKind::Autocomplete(invocation, focused) = heard.kind else { panic!() };
        assert_eq!((focused.as_str(), invocation.subcommand.as_deref()), ("x", Some("take")));
    }

    #[test]
    fn buttons_and_menus_are_presses() {
        let button = pressed(json!({"custom_id": "yes", "component_type": 2, "id": 2}));
        let menu = pressed(json!({"custom_id": "pick", "component_type": 3, "values": ["a", "b"]}));
        for (data, id, chosen) in [(button, "yes", vec![]), (menu, "pick", vec!["a", "b"])] {
            let Ok(Some(heard)) = arrive(data) else { panic!("{id}") };
            let InteractionKind::Press { custom_id, values, message } = heard.kind else { panic!() };
            assert_eq!((custom_id.as_str(), message.get()), (id, 31));
            assert_eq!(values, chosen);
        }
    }

    #[test]
    fn direct_messages_have_a_user_and_threads_a_parent() {
        let direct = without(command(), &["member", "guild_id", "guild", "guild_locale"]);
        let channel = json!({"id": "20", "type": 1, "flags": 0, "last_message_id": "29",
            "recipients": [user("40", "ann")]});
        let direct = with(direct, json!({"user": user("40", "ann"), "channel": channel, "context": 1}));
        let heard = arrive(direct).unwrap().unwrap();
        assert_eq!((heard.guild_id, heard.permissions, heard.channel_name.as_str()), (None, 0, ""));
        assert_eq!((heard.author.id.get(), heard.author.name.as_str()), (40, "Ann"));
        assert!(heard.author.roles.is_empty());

        let thread = json!({"id": "21", "type": 11, "name": "idea", "parent_id": "20", "permissions": "0",
            "thread_metadata": {"archived": false, "auto_archive_duration": 60, "locked": false}});
        let heard = arrive(with(command(), json!({"channel": thread, "channel_id": "21"}))).unwrap().unwrap();
        assert_eq!((heard.channel_id.get(), heard.parent_channel_id), (21, ChannelId::new(20)));
        assert_eq!(heard.channel_name, "idea");
    }

    #[test]
    fn unknown_kinds_are_nothing() {
        let menu =
            json!({"id": "70", "name": "Ask", "type": 2, "target_id": "41", "resolved": {"users": {}}});
        let group = json!([{"type": 2, "name": "g", "options": [{"type": 1, "name": "s", "options": []}]}]);
        let users = json!({"custom_id": "who", "component_type": 5, "values": ["41"],
            "resolved": {"users": {"41": user("41", "bob")}}});
        for nothing in [
            with(command(), json!({"type": 99})),
            json!({"id": "30", "type": 1, "token": "t", "application_id": "8", "version": 1}),
            with(command(), json!({"data": menu})),
            options(group),
            pressed(users),
        ] {
            assert_eq!(arrive(nothing.clone()).unwrap(), None, "{nothing}");
        }
    }

    #[test]
    fn what_can_be_missing_may_be_missing_and_nothing_else() {
        // serenity insists on these; the bot does not.
        let small = without(
            command(),
            &["channel", "entitlements", "locale", "attachment_size_limit", "version", "app_permissions"],
        );
        let mut small = with(small, json!({"data": {"name": "stop"}}));
        small["member"] = json!({"user": {"id": "40", "username": "ann"}});
        let heard = arrive(small.clone()).unwrap().unwrap();
        assert_eq!((heard.channel_name.as_str(), heard.permissions, heard.author.roles.len()), ("", 0, 0));
        let sub = json!({"name": "queue", "options": [{"type": 1, "name": "show"}]});
        let heard = arrive(with(small.clone(), json!({"data": sub}))).unwrap().unwrap();
        let InteractionKind::Command(invocation) = heard.kind else { panic!() };
        assert_eq!((invocation.subcommand.as_deref(), invocation.options.len()), (Some("show"), 0));

        for key in ["id", "type", "token", "channel_id", "member", "data"] {
            assert!(arrive(without(small.clone(), &[key])).is_err(), "{key}");
        }
        assert!(arrive(without(command(), &["member"])).is_err());
        assert!(
            arrive(without(pressed(json!({"custom_id": "a", "component_type": 2})), &["message"])).is_err()
        );
        assert!(arrive(with(options(json!([])), json!({"type": 4}))).is_err(), "nothing is focused");
        assert!(arrive(options(json!([{"type": 6, "name": "who", "value": "bob"}]))).is_err());
        assert!(arrive(options(json!([{"type": 4, "name": "n"}]))).is_err());
    }
}
