//! `scripts/types/moonlane.d.lua` says what the Rust types say.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::domain::{AnswerForm, Effort, NamedChannel, NamedRole, OptionKind, PermissionMode, SettingSource};
use crate::script::command::{RawChoice, RawCommand, RawOption, RawSubcommand};
use crate::script::commands::{CommandInfo, CtxFacts};
use crate::script::effect::{
    RawAsk, RawChoose, RawConfirm, RawDefer, RawEmbed, RawField, RawFile, RawLink, RawPick, RawSay, RawSend,
    RawSetMode, RawSetModel, RawWho, names,
};
use crate::script::project::{RawFormat, RawProject, RawProjectAllow, RawProjectLimits};
use crate::script::routing::{ROUTING_KEYS, RawAllow, RawRoute};
use crate::script::triggers::RawTriggerTable;
use crate::script::vm::global::{self, LogLevel, RawLog};

/// The keys of a table, each with `?` where it may be absent.
type Keys = BTreeSet<String>;

/// The classes of the type file.
fn documented() -> BTreeMap<String, Keys> {
    let mut classes: BTreeMap<String, Keys> = BTreeMap::new();
    let mut class = String::new();
    for line in include_str!("../../../scripts/types/moonlane.d.lua").lines() {
        if let Some(name) = line.strip_prefix("---@class (exact) ") {
            class = name.to_owned();
            classes.insert(class.clone(), Keys::new());
        } else if let Some(field) = line.strip_prefix("---@field ") {
            let key = field.split(' ').next().unwrap().to_owned();
            assert!(classes.get_mut(&class).unwrap().insert(key), "twice: {line}");
        }
    }
    classes
}

/// The words of a closed set, such as `---@alias AnswerForm "last"|"all"`.
fn documented_words(after: &str) -> Keys {
    let file = include_str!("../../../scripts/types/moonlane.d.lua");
    let line = file.lines().find_map(|line| line.strip_prefix(after)).unwrap();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The names in backquotes of an error, but for the first, which is the one that is wrong.
fn listed(error: &str) -> Keys {
    error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}

/// The keys that a type accepts, as its own error about an unknown one lists them.
fn accepted<T: DeserializeOwned>() -> Keys {
    let keys = listed(&serde_json::from_value::<T>(json!({ "?": 1 })).err().unwrap().to_string());
    let mut given = serde_json::Map::new();
    let missing = |given: &serde_json::Map<String, Value>| {
        let error = serde_json::from_value::<T>(Value::Object(given.clone())).err()?.to_string();
        Some(error.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()).map(str::to_owned))
    };
    while let Some(key) = missing(&given) {
        let key = key.expect("each value that is tried below is one that the key may have");
        let values = [json!(""), json!("1"), json!([]), json!("plan")].into_iter();
        let fits = values.map(|value| {
            let mut with = given.clone();
            with.insert(key.clone(), value);
            with
        });
        given = fits.into_iter().find(|with| missing(with).is_none_or(|next| next.is_some())).unwrap();
    }
    keys.into_iter().map(|key| if given.contains_key(&key) { key } else { format!("{key}?") }).collect()
}

fn words<T: DeserializeOwned>() -> Keys {
    listed(&serde_json::from_value::<T>(json!("?")).err().unwrap().to_string())
}

/// The keys that a value gives to scripts; what is null is nil there.
fn given(value: &Value) -> Keys {
    let fields = value.as_object().unwrap().iter();
    fields.map(|(key, value)| if value.is_null() { format!("{key}?") } else { key.clone() }).collect()
}

/// As [`accepted`], where the value of this key may be the first item instead.
fn or_first<T: DeserializeOwned>(first: &str) -> Keys {
    let keys = accepted::<T>().into_iter().map(|key| if key == first { format!("{key}?") } else { key });
    keys.chain(["[1]?".to_owned()]).collect()
}

/// What commands get.
fn crossing() -> Vec<(&'static str, Keys)> {
    let call = commands::call_of("test", &[]);
    let ctx = serde_json::to_value(CtxFacts::of(&CommandCall { guild_id: None, ..call })).unwrap();
    let tools = ["may", "commands"].map(str::to_owned);
    let suggest: Keys = given(&ctx).into_iter().chain(tools).collect();
    let effects = names().map(str::to_owned);
    let all: Keys = suggest.iter().cloned().chain(effects).collect();

    let options = "options = { { name = 'a', description = 'x' } }";
    let sub = format!("{{ name = 'a', description = 'x', run = print, {options} }}");
    let file = format!("return {{ name = 'a', description = 'x', subcommands = {{ {sub} }} }}");
    let set = set(&[("commands/a.lua", &file)]);
    let info = serde_json::to_value(CommandInfo::of(&set.commands()[0], 0)).unwrap();

    let project = ProjectName(String::new());
    let (prompt, version) = (String::new(), String::new());
    let channel = NamedChannel { id: "1".parse().unwrap(), name: String::new(), parent_id: None };
    let session = SessionFacts {
        channel,
        project: project.clone(),
        model: None,
        permission_mode: None,
        turns: 0,
        cost_usd: 0.0,
        last_used: 0.0,
        waiting: 0,
        running: false,
    };
    let (id, user) = ("1".parse().unwrap(), commands::call_of("test", &[]).author);
    let turn = QueueEntry { id, user, prompt, running: false, answering: false, seconds: 0.0 };
    let status = StatusFacts { version, uptime: 0.0, generation: 1, running: 0, waiting: 0 };
    let keys = |value: Value| given(&value);
    vec![
        ("Ctx", all),
        ("SuggestCtx", suggest),
        ("Channel", given(&ctx["channel"])),
        ("Role", given(&json!(NamedRole { id: "1".parse().unwrap(), name: String::new() }))),
        ("Session", keys(json!(session))),
        ("QueueEntry", keys(json!(turn))),
        ("ProjectInfo", keys(json!(ProjectInfo { name: project, model: None, permission_mode: None }))),
        ("Changed", keys(json!(Changed { before: None, after: None }))),
        ("Status", keys(json!(status))),
        ("Reloaded", keys(json!(Reloaded { generation: 1, problems: Vec::new(), live: true }))),
        ("CommandInfo", given(&info)),
        ("SubcommandInfo", given(&info["subcommands"][0])),
        ("OptionInfo", given(&info["subcommands"][0]["options"][0])),
    ]
}

#[test]
fn the_type_file_has_the_same_keys() {
    let attachment = Attachment { name: String::new(), size: 0, content_type: None, url: String::new() };
    let message = Message { attachments: vec![attachment], ..message("") };
    let message = serde_json::to_value(MessageFacts::from(&message)).unwrap();
    let turn = TurnFacts {
        id: "1".parse().unwrap(),
        channel: NamedChannel { id: "2".parse().unwrap(), name: String::new(), parent_id: None },
        project: ProjectName(String::new()),
        author: commands::call_of("test", &[]).author,
        prompt: String::new(),
        model: None,
    };
    let turn = serde_json::to_value(turn).unwrap();
    let hooks = crate::script::hooks::keys().map(|key| format!("{key}?"));
    let routing = ROUTING_KEYS.map(|key| if key == "projects" { key.to_owned() } else { format!("{key}?") });
    let expected = [
        ("Routing", Keys::from(routing)),
        ("Allow", accepted::<RawAllow>()),
        ("ProjectAllow", accepted::<RawProjectAllow>()),
        ("Project", accepted::<RawProject>()),
        ("Limits", accepted::<RawProjectLimits>()),
        ("Format", accepted::<RawFormat>()),
        ("Route", accepted::<RawRoute>()),
        ("TriggerTable", accepted::<RawTriggerTable>()),
        ("Hooks", hooks.into()),
        ("Turn", given(&turn)),
        ("Message", given(&message)),
        ("Person", given(&message["author"])),
        ("Attachment", given(&message["attachments"][0])),
        ("Command", accepted::<RawCommand>()),
        ("Subcommand", accepted::<RawSubcommand>()),
        ("Option", accepted::<RawOption>()),
        ("Choice", accepted::<RawChoice>()),
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
        ("Ask", or_first::<RawAsk>("prompt")),
        ("Send", or_first::<RawSend>("text")),
        ("Log", or_first::<RawLog>("text")),
        ("Moonlane", Keys::from(global::NAMES.map(str::to_owned))),
        ("Json", Keys::from(["encode", "decode"].map(str::to_owned))),
        ("Time", Keys::from(["format".to_owned()])),
    ];
    let expected = expected.into_iter().chain(crossing());
    let expected = expected.map(|(name, keys)| (name.to_owned(), keys));
    assert_eq!(documented(), expected.collect::<BTreeMap<_, _>>());
}

#[test]
fn the_type_file_has_the_same_words() {
    assert_eq!(documented_words("---@alias PermissionMode "), words::<PermissionMode>());
    assert_eq!(documented_words("---@alias SettingSource "), words::<SettingSource>());
    assert_eq!(documented_words("---@alias Effort "), words::<Effort>());
    assert_eq!(documented_words("---@alias AnswerForm "), words::<AnswerForm>());
    assert_eq!(documented_words("---@alias OptionType "), words::<OptionKind>());
    assert_eq!(documented_words("---@alias LogLevel "), words::<LogLevel>());
}
