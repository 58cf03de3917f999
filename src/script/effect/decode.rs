//! What a script passes to a function of its `ctx` → [`Effect`]. The structs here are the format: their fields are the
//! keys that a script may use, and their doc comments become scripts/types/moonlane.d.lua and the tables of
//! scripts/README.md (`tests/reference.rs` says how).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::choices::{RawSetBoard, RawSetMode, RawSetModel, RawSetVerbosity};
use super::threads::{MAX_NAME, RawOpenThread};
use super::usage::RawUsageQuery;
use super::values::{Color, TextOrPick};
use super::{CtxFunction, Effect, FUNCTIONS, NO, TurnRequest, YES};
use crate::domain::{
    Action, Allow, Button, ButtonStyle, ChannelId, Controls, Dialog, DialogButton, Embed, EmbedField, File,
    MessageId, ProjectName, Reply, RoleId, Row, SelectOption, UserId,
};
use crate::script::data::{self, BadValue, Data, Id, Seconds, ids, shown};

/// Discord's limits, in characters.
const MAX_TEXT: usize = 2000;
const MAX_LABEL: usize = 80;
const MAX_IN_ROW: usize = 5;
const MAX_OPTION: usize = 100;
const MAX_URL: usize = 512;
const MAX_EMBED: usize = 6000;
/// What one `send` may say: about ten messages.
const MAX_SEND: usize = 20_000;
/// How many options, fields or links there may be.
const MAX_LISTED: usize = 25;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// What is said in one message.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawSay {
    /// The text: at most 2000 characters.
    text: String,
    /// A framed box below the text.
    embed: Option<RawEmbed>,
    /// Buttons that open a page: at most 25.
    links: Vec<RawLink>,
    /// A text file to attach.
    file: Option<RawFile>,
    /// Whether only the person who used the command sees it.
    ephemeral: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawEmbed {
    /// At most 256 characters.
    title: Option<String>,
    /// At most 4096 characters.
    text: Option<String>,
    /// Where the title leads.
    url: Option<String>,
    /// The colour of the edge.
    color: Option<Color>,
    /// At most 25.
    fields: Vec<RawField>,
    /// At most 2048 characters.
    footer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawField {
    /// At most 256 characters.
    name: String,
    /// At most 1024 characters.
    text: String,
    /// Whether others may stand beside it.
    #[serde(default)]
    inline: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawLink {
    /// At most 80 characters.
    label: String,
    /// `https://…` or `http://…`, at most 512 characters.
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawFile {
    /// Its name, such as "list.txt", without folders.
    name: String,
    /// Its content.
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawConfirm {
    /// The question.
    text: String,
    /// The label of the button for yes; "Yes" by default.
    yes: Option<String>,
    /// The label of the button for no; "Cancel" by default.
    no: Option<String>,
    /// How long to wait: a minute by default, a day at most.
    timeout: Option<Seconds>,
    /// Who may answer; by default only the person who used the command.
    who: Option<RawWho>,
    /// Whether only the person who used the command sees it.
    #[serde(default)]
    ephemeral: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawChoose {
    /// The question.
    text: String,
    /// What there is to choose from: 1 to 25.
    options: Vec<TextOrPick>,
    /// How long to wait: a minute by default, a day at most.
    timeout: Option<Seconds>,
    /// Who may choose; by default only the person who used the command.
    who: Option<RawWho>,
    /// Whether only the person who used the command sees it.
    #[serde(default)]
    ephemeral: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawPick {
    /// What people see: at most 100 characters.
    label: String,
    /// What `choose` gives; the label by default.
    value: Option<String>,
    /// A second line: at most 100 characters.
    description: Option<String>,
}

impl RawPick {
    /// One that is only a label.
    pub fn labelled(label: &str) -> Self {
        Self { label: label.to_owned(), value: None, description: None }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawWho {
    /// These people.
    users: Vec<Id<UserId>>,
    /// Everybody with one of these roles.
    roles: Vec<Id<RoleId>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawChannel {
    channel: Option<Id<ChannelId>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawDefer {
    /// Whether only the person who used the command will see the answer.
    ephemeral: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "nothing")]
pub struct RawNothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawTakeOut {
    turn: Id<MessageId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawAsk {
    /// The prompt.
    prompt: String,
    /// The project, in place of the channel's.
    project: Option<String>,
    /// The model for this turn.
    model: Option<String>,
    /// Whether to forget the channel's session first.
    #[serde(default)]
    fresh: bool,
    /// Whether it gets a thread of its own, with a session of its own.
    #[serde(default)]
    thread: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RawSend {
    /// The text: at most 20,000 characters, sent as several messages if need be.
    text: String,
    /// The channel.
    channel: Id<ChannelId>,
}

/// The effect that the function of this name asks for, given this value.
pub fn decode(name: &str, value: &mlua::Value) -> Result<Effect, BadValue> {
    let known = FUNCTIONS.iter().find(|(_, known, _)| *known == name);
    let Some((function, _, first)) = known else {
        return Err(BadValue::here(format!("there is no effect {}", shown(name))));
    };
    let data = match *first {
        "" => data::read(value)?.unwrap_or(Data::Empty),
        first => data::read_with_first(value, first)?,
    };
    Ok(match function {
        CtxFunction::Reply => Effect::Reply(reply(data)?),
        CtxFunction::Edit => Effect::Edit(reply(data)?),
        CtxFunction::Defer => {
            let raw: RawDefer = data::decode(data)?;
            Effect::Defer { ephemeral: raw.ephemeral }
        }
        CtxFunction::Confirm => Effect::Confirm(confirm(data)?),
        CtxFunction::Choose => Effect::Choose(choose(data)?),
        CtxFunction::Session => Effect::Session { channel: channel(data)? },
        CtxFunction::Sessions => nothing(data, Effect::Sessions)?,
        CtxFunction::NextTurn => Effect::NextTurn { channel: channel(data)? },
        CtxFunction::ResetSession => Effect::ResetSession { channel: channel(data)? },
        CtxFunction::SetModel => set_model(data)?,
        CtxFunction::SetPermissionMode => {
            let raw: RawSetMode = data::decode(data)?;
            Effect::SetPermissionMode { channel: raw.channel.map(|id| id.0), mode: raw.mode.0 }
        }
        CtxFunction::Verbosity => Effect::Verbosity { channel: channel(data)? },
        CtxFunction::SetVerbosity => {
            let raw: RawSetVerbosity = data::decode(data)?;
            Effect::SetVerbosity { channel: raw.channel.map(|id| id.0), verbosity: raw.verbosity.0 }
        }
        CtxFunction::SetBoard => {
            let raw: RawSetBoard = data::decode(data)?;
            Effect::SetBoard { channel: raw.channel.0.map(|id| id.0) }
        }
        CtxFunction::Stop => Effect::Stop { channel: channel(data)? },
        CtxFunction::Queue => Effect::Queue { channel: channel(data)? },
        CtxFunction::TakeOut => {
            let raw: RawTakeOut = data::decode(data)?;
            Effect::TakeOut { turn: raw.turn.0 }
        }
        CtxFunction::Ask => Effect::Ask(ask(data)?),
        CtxFunction::OpenThread => {
            let RawOpenThread { name } = data::decode(data)?;
            check("name", &name, MAX_NAME)?;
            Effect::OpenThread { name }
        }
        CtxFunction::Send => {
            let raw: RawSend = data::decode(data)?;
            check("text", &raw.text, MAX_SEND)?;
            Effect::Send { channel: raw.channel.0, text: raw.text }
        }
        CtxFunction::Projects => nothing(data, Effect::Projects)?,
        CtxFunction::Status => nothing(data, Effect::Status)?,
        CtxFunction::Usage => {
            let raw: RawUsageQuery = data::decode(data)?;
            Effect::Usage { period: raw.period.unwrap_or_default(), by: raw.by.unwrap_or_default() }
        }
        CtxFunction::Reload => nothing(data, Effect::Reload)?,
    })
}

/// The effect of a function that takes nothing.
fn nothing(data: Data, effect: Effect) -> Result<Effect, BadValue> {
    let RawNothing {} = data::decode(data)?;
    Ok(effect)
}

fn reply(data: Data) -> Result<Reply, BadValue> {
    let raw: RawSay = data::decode(data)?;
    if raw.text.chars().count() > MAX_TEXT {
        let hint = "say the rest with another ctx:reply, or put it into a `file`";
        let problem = format!("has at most {MAX_TEXT} characters; {hint}");
        return Err(BadValue::here(problem).under("text"));
    }
    if raw.text.trim().is_empty() && raw.embed.is_none() && raw.file.is_none() {
        return Err(BadValue::here("there must be a text, an `embed` or a `file`"));
    }
    let embed = raw.embed.map(embed).transpose().map_err(|e| e.under("embed"))?;
    let buttons = links(raw.links)?;
    let file = raw.file.map(file).transpose().map_err(|e| e.under("file"))?;
    Ok(Reply {
        text: raw.text,
        embeds: embed.into_iter().collect(),
        rows: buttons.chunks(MAX_IN_ROW).map(|row| Row::Buttons(row.to_vec())).collect(),
        files: file.into_iter().collect(),
        ephemeral: raw.ephemeral,
    })
}

fn embed(raw: RawEmbed) -> Result<Embed, BadValue> {
    let mut chars = 0;
    let mut optional = |key: &str, text: &Option<String>, max: usize| match text {
        Some(text) => {
            chars += text.chars().count();
            check(key, text, max)
        }
        None => Ok(()),
    };
    optional("title", &raw.title, 256)?;
    optional("text", &raw.text, 4096)?;
    optional("footer", &raw.footer, 2048)?;
    if let Some(url) = &raw.url {
        check_url(url)?;
    }
    if raw.title.is_none() && raw.text.is_none() && raw.fields.is_empty() && raw.footer.is_none() {
        return Err(BadValue::here("there must be a `title`, a `text`, `fields` or a `footer`"));
    }
    check_count("fields", raw.fields.len())?;
    let mut fields = Vec::new();
    for (place, raw) in (1..).zip(raw.fields) {
        let checked = check("name", &raw.name, 256).and_then(|()| check("text", &raw.text, 1024));
        checked.map_err(|e| e.under(&format!("fields[{place}]")))?;
        chars += raw.name.chars().count() + raw.text.chars().count();
        fields.push(EmbedField { name: raw.name, value: raw.text, inline: raw.inline });
    }
    if chars > MAX_EMBED {
        return Err(BadValue::here(format!("all of it has at most {MAX_EMBED} characters, not {chars}")));
    }
    Ok(Embed {
        title: raw.title,
        description: raw.text,
        url: raw.url,
        color: raw.color.map(|color| color.0),
        fields,
        footer: raw.footer,
    })
}

fn links(raw: Vec<RawLink>) -> Result<Vec<Button>, BadValue> {
    check_count("links", raw.len())?;
    let each = (1..).zip(raw).map(|(place, raw)| {
        let checked = check("label", &raw.label, MAX_LABEL).and_then(|()| check_url(&raw.url));
        checked.map_err(|e| e.under(&format!("links[{place}]")))?;
        Ok(Button { label: raw.label, action: Action::Open(raw.url), disabled: false })
    });
    each.collect()
}

fn file(raw: RawFile) -> Result<File, BadValue> {
    let odd = |c: char| c.is_control() || c == '/' || c == '\\';
    if raw.name.trim().is_empty() || raw.name.contains(odd) || raw.name.chars().count() > 100 {
        let problem = "must be the name of a file without folders, such as \"list.txt\"";
        return Err(BadValue::here(problem).under("name"));
    }
    Ok(File { name: raw.name, content: raw.text })
}

fn confirm(data: Data) -> Result<Dialog, BadValue> {
    let raw: RawConfirm = data::decode(data)?;
    check("text", &raw.text, MAX_TEXT)?;
    let label = |key: &str, label: Option<String>, default: &str| {
        let label = label.unwrap_or_else(|| default.to_owned());
        check(key, &label, MAX_LABEL).map(|()| label)
    };
    let button = |label, value: &str, style| DialogButton { label, value: value.to_owned(), style };
    let controls = Controls::Buttons(vec![
        button(label("yes", raw.yes, "Yes")?, YES, ButtonStyle::Primary),
        button(label("no", raw.no, "Cancel")?, NO, ButtonStyle::Secondary),
    ]);
    dialog(raw.text, controls, raw.timeout, raw.who, raw.ephemeral)
}

fn choose(data: Data) -> Result<Dialog, BadValue> {
    let raw: RawChoose = data::decode(data)?;
    check("text", &raw.text, MAX_TEXT)?;
    if raw.options.is_empty() {
        let problem = "there must be at least one: options = { \"this\", \"that\" }";
        return Err(BadValue::here(problem).under("options"));
    }
    check_count("options", raw.options.len())?;
    let mut seen = BTreeSet::new();
    let mut options = Vec::new();
    for (place, TextOrPick(raw)) in (1..).zip(raw.options) {
        let value = raw.value.unwrap_or_else(|| raw.label.clone());
        let checked = check("label", &raw.label, MAX_OPTION)
            .and_then(|()| check("value", &value, MAX_OPTION))
            .and_then(|()| {
                raw.description.as_ref().map_or(Ok(()), |text| check("description", text, MAX_OPTION))
            })
            .and_then(|()| match seen.insert(value.clone()) {
                true => Ok(()),
                false => Err(BadValue::here(format!("{} is there twice", shown(&value))).under("value")),
            });
        checked.map_err(|e| e.under(&format!("options[{place}]")))?;
        options.push(SelectOption { label: raw.label, value, description: raw.description, chosen: false });
    }
    dialog(raw.text, controls(options), raw.timeout, raw.who, raw.ephemeral)
}

/// Buttons where the options are few, short and need no explanation, otherwise a menu.
fn controls(options: Vec<SelectOption>) -> Controls {
    let fits_button =
        |option: &SelectOption| option.label.chars().count() <= MAX_LABEL && option.description.is_none();
    if options.len() > MAX_IN_ROW || !options.iter().all(fits_button) {
        return Controls::Select { placeholder: None, options };
    }
    let button = |option: SelectOption| DialogButton {
        label: option.label,
        value: option.value,
        style: ButtonStyle::Secondary,
    };
    Controls::Buttons(options.into_iter().map(button).collect())
}

fn dialog(
    text: String,
    controls: Controls,
    timeout: Option<Seconds>,
    who: Option<RawWho>,
    ephemeral: bool,
) -> Result<Dialog, BadValue> {
    let who = who.map(|who| Allow { users: ids(who.users), roles: ids(who.roles) });
    if who.as_ref().is_some_and(|who| who.users.is_empty() && who.roles.is_empty()) {
        return Err(BadValue::here("nobody could answer: name `users` or `roles`").under("who"));
    }
    if who.is_some() && ephemeral {
        let problem = "others cannot answer what only one person sees: leave out `who` or `ephemeral`";
        return Err(BadValue::here(problem).under("ephemeral"));
    }
    let timeout = timeout.map_or(DEFAULT_TIMEOUT, |time| time.0);
    if !TIMEOUTS.contains(&timeout) {
        return Err(BadValue::here("must be between 1 second and 24 hours").under("timeout"));
    }
    let question = Reply { text, ephemeral, ..Reply::default() };
    Ok(Dialog { question, controls, timeout, who: who.unwrap_or_default() })
}

fn channel(data: Data) -> Result<Option<ChannelId>, BadValue> {
    let raw: RawChannel = data::decode(data)?;
    Ok(raw.channel.map(|id| id.0))
}

fn set_model(data: Data) -> Result<Effect, BadValue> {
    let raw: RawSetModel = data::decode(data)?;
    let model = raw.model.0;
    Ok(Effect::SetModel { channel: raw.channel.map(|id| id.0), model })
}

fn ask(data: Data) -> Result<TurnRequest, BadValue> {
    let raw: RawAsk = data::decode(data)?;
    if raw.prompt.trim().is_empty() {
        return Err(BadValue::here("must not be empty").under("prompt"));
    }
    Ok(TurnRequest {
        prompt: raw.prompt,
        project: raw.project.map(ProjectName),
        model: raw.model,
        fresh: raw.fresh,
        thread: raw.thread,
    })
}

fn check(key: &str, text: &str, max: usize) -> Result<(), BadValue> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Err(BadValue::here("must not be empty").under(key)),
        chars if chars > max => {
            Err(BadValue::here(format!("has at most {max} characters, not {chars}")).under(key))
        }
        _ => Ok(()),
    }
}

fn check_count(key: &str, count: usize) -> Result<(), BadValue> {
    match count {
        ..=MAX_LISTED => Ok(()),
        _ => Err(BadValue::here(format!("there are at most {MAX_LISTED}, not {count}")).under(key)),
    }
}

fn check_url(url: &str) -> Result<(), BadValue> {
    let web = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain =
        |rest: &str| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control());
    if !web.is_some_and(plain) || url.chars().count() > MAX_URL {
        let problem =
            format!("must be an address such as \"https://example.org\", at most {MAX_URL} characters");
        return Err(BadValue::here(problem).under("url"));
    }
    Ok(())
}

/// Every table that a function takes, by its name in Lua, with the keys that its decoder accepts.
#[cfg(test)]
pub fn accepted_keys() -> Vec<(&'static str, BTreeSet<String>)> {
    use crate::script::tests::types::{accepted, or_first};
    vec![
        ("Say", or_first::<RawSay>("text")),
        ("Embed", accepted::<RawEmbed>()),
        ("Field", accepted::<RawField>()),
        ("Link", accepted::<RawLink>()),
        ("File", accepted::<RawFile>()),
        ("Defer", accepted::<RawDefer>()),
        ("Confirm", or_first::<RawConfirm>("text")),
        ("Choose", or_first::<RawChoose>("text")),
        ("Pick", accepted::<RawPick>()),
        ("Who", accepted::<RawWho>()),
        ("SetModel", or_first::<RawSetModel>("model")),
        ("SetMode", or_first::<RawSetMode>("mode")),
        ("SetVerbosity", or_first::<RawSetVerbosity>("verbosity")),
        ("SetBoard", or_first::<RawSetBoard>("channel")),
        ("Ask", or_first::<RawAsk>("prompt")),
        ("OpenThread", or_first::<RawOpenThread>("name")),
        ("Send", or_first::<RawSend>("text")),
        ("UsageQuery", or_first::<RawUsageQuery>("period")),
    ]
}
