//! `scripts/types/moonlane.d.lua` says what the decoders and serializers do: which keys there are, and which are required.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::domain::{
    AnswerForm, Busy, Effort, FooterField, NamedChannel, NamedRole, OptionKind, PermissionMode, Sandbox,
    SettingSource, ThreadMode, UsageBy, UsagePeriod, Verbosity,
};
use crate::script::budget::RawBudget;
use crate::script::command::{RawChoice, RawCommand, RawOption, RawSubcommand};
use crate::script::commands::{self as use_of_commands, CommandInfo, CtxFacts};
use crate::script::context::RawContext;
use crate::script::effect::{accepted_keys, least_answers};
use crate::script::hooks::RawScriptDenial;
use crate::script::project::{RawFormat, RawProject, RawProjectAllow, RawProjectLimits};
use crate::script::routing::{RawAllow, RawRoute};
use crate::script::triggers::RawTriggerTable;
use crate::script::vm::global::{LogLevel, MOONLANE, RawLog};

/// The keys of a table, each with `?` where it may be absent.
pub type Keys = BTreeSet<String>;

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

/// The words of a closed set: on the line of its alias, or one a line below it.
fn documented_words(name: &str) -> Keys {
    let file = include_str!("../../../scripts/types/moonlane.d.lua");
    let mut lines = file
        .lines()
        .skip_while(|line| line.split(' ').nth(1) != Some(name) || !line.starts_with("---@alias"));
    let alias = lines.next().unwrap();
    let below =
        lines.take_while(|line| line.starts_with("---| ")).map(|line| line.split('"').nth(1).unwrap());
    alias.split('"').skip(1).step_by(2).chain(below).map(str::to_owned).collect()
}

/// The names in backquotes of an error, but for the first, which is the one that is wrong.
fn listed(error: &str) -> Keys {
    error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}

/// The keys that a type accepts, as its own error about an unknown one lists them.
pub fn accepted<T: DeserializeOwned>() -> Keys {
    let keys = listed(&serde_json::from_value::<T>(json!({ "?": 1 })).err().unwrap().to_string());
    let mut given = serde_json::Map::new();
    let missing = |given: &serde_json::Map<String, Value>| {
        let error = serde_json::from_value::<T>(Value::Object(given.clone())).err()?.to_string();
        Some(error.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()).map(str::to_owned))
    };
    while let Some(key) = missing(&given) {
        let key = key.expect("each value that is tried below is one that the key may have");
        let values = [json!(""), json!("1"), json!([]), json!("plan"), json!("off")].into_iter();
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
pub fn or_first<T: DeserializeOwned>(first: &str) -> Keys {
    let keys = accepted::<T>().into_iter().map(|key| if key == first { format!("{key}?") } else { key });
    keys.chain(["[1]?".to_owned()]).collect()
}

/// What commands get.
fn crossing() -> Vec<(&'static str, Keys)> {
    let call = commands::call_of("test", &[]);
    let ctx = serde_json::to_value(CtxFacts::of(&CommandCall { guild_id: None, ..call })).unwrap();
    let tools = use_of_commands::tool_names().map(str::to_owned);
    let suggest: Keys = given(&ctx).into_iter().chain(tools).collect();
    let effects = effect::names().map(str::to_owned);
    let all: Keys = suggest.iter().cloned().chain(effects).collect();

    let options = "options = { { name = 'a', description = 'x' } }";
    let sub = format!("{{ name = 'a', description = 'x', run = print, {options} }}");
    let file = format!("return {{ name = 'a', description = 'x', subcommands = {{ {sub} }} }}");
    let set = set(&[("commands/a.lua", &file)]);
    let info = serde_json::to_value(CommandInfo::of(&set.commands()[0], 0)).unwrap();

    let channel = NamedChannel { id: "1".parse().unwrap(), name: String::new(), parent_id: None };
    let answers = least_answers(channel, commands::call_of("test", &[]).author);
    let tables = [
        ("Ctx", all),
        ("SuggestCtx", suggest),
        ("Channel", given(&ctx["channel"])),
        ("Role", given(&json!(NamedRole { id: "1".parse().unwrap(), name: String::new() }))),
        ("CommandInfo", given(&info)),
        ("SubcommandInfo", given(&info["subcommands"][0])),
        ("OptionInfo", given(&info["subcommands"][0]["options"][0])),
    ];
    tables.into_iter().chain(answers.into_iter().map(|(name, answer)| (name, given(&answer)))).collect()
}

/// The keys of `moonlane`, or of the table in it that these functions begin with.
fn moonlane(table: &str) -> Keys {
    let names = MOONLANE.iter().filter_map(|(_, name, _)| name.strip_prefix(table));
    names.map(|name| name.split('.').next().unwrap().to_owned()).collect()
}

#[test]
fn the_type_file_has_the_same_keys() {
    let attachment =
        Attachment { name: String::new(), size: 0, content_type: None, url: String::new(), voice: false };
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
    let request = RequestFacts {
        tool: String::new(),
        input: json!({}),
        reason: None,
        blocked_path: None,
        subagent: None,
    };
    let request = serde_json::to_value(request).unwrap();
    let hooks = crate::script::hooks::keys().map(|key| format!("{key}?"));
    let routing = crate::script::routing::keys()
        .map(|key| if key == "projects" { key.to_owned() } else { format!("{key}?") });
    let expected = [
        ("Routing", Keys::from(routing)),
        ("Allow", accepted::<RawAllow>()),
        ("ProjectAllow", accepted::<RawProjectAllow>()),
        ("Project", accepted::<RawProject>()),
        ("ProjectLimits", accepted::<RawProjectLimits>()),
        ("Context", accepted::<RawContext>()),
        ("Format", accepted::<RawFormat>()),
        ("Budget", accepted::<RawBudget>()),
        ("Route", accepted::<RawRoute>()),
        ("TriggerTable", accepted::<RawTriggerTable>()),
        ("Hooks", hooks.into()),
        ("Turn", given(&turn)),
        ("Request", given(&request)),
        ("Denial", accepted::<RawScriptDenial>()),
        ("Message", given(&message)),
        ("MessageChannel", given(&message["channel"])),
        ("Person", given(&message["author"])),
        ("Attachment", given(&message["attachments"][0])),
        ("Command", accepted::<RawCommand>()),
        ("Subcommand", accepted::<RawSubcommand>()),
        ("Option", accepted::<RawOption>()),
        ("Choice", accepted::<RawChoice>()),
        ("Log", or_first::<RawLog>("text")),
        ("Moonlane", moonlane("")),
        ("Json", moonlane("json.")),
        ("Time", moonlane("time.")),
    ];
    let expected = expected.into_iter().chain(accepted_keys()).chain(crossing());
    let expected = expected.map(|(name, keys)| (name.to_owned(), keys));
    let (documented, expected) = (documented(), expected.collect::<BTreeMap<_, _>>());
    let names: BTreeSet<_> = documented.keys().chain(expected.keys()).collect();
    let none = Keys::new();
    let differences: Vec<String> = names
        .into_iter()
        .map(|name| (name, documented.get(name).unwrap_or(&none), expected.get(name).unwrap_or(&none)))
        .filter(|(_, documented, expected)| documented != expected)
        .map(|(name, documented, expected)| {
            let (more, less) = (documented.difference(expected), expected.difference(documented));
            format!(
                "{name}: only in the type file {:?}, only in the program {:?}",
                more.collect::<Vec<_>>(),
                less.collect::<Vec<_>>()
            )
        })
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn the_type_file_has_the_same_words() {
    assert_eq!(documented_words("PermissionMode"), words::<PermissionMode>());
    assert_eq!(documented_words("SettingSource"), words::<SettingSource>());
    assert_eq!(documented_words("Verbosity"), words::<Verbosity>());
    assert_eq!(documented_words("Effort"), words::<Effort>());
    assert_eq!(documented_words("Sandbox"), words::<Sandbox>());
    assert_eq!(documented_words("AnswerForm"), words::<AnswerForm>());
    assert_eq!(documented_words("Busy"), words::<Busy>());
    assert_eq!(documented_words("ThreadMode"), words::<ThreadMode>());
    assert_eq!(documented_words("FooterField"), words::<FooterField>());
    assert_eq!(documented_words("UsagePeriod"), words::<UsagePeriod>());
    assert_eq!(documented_words("UsageBy"), words::<UsageBy>());
    assert_eq!(documented_words("OptionType"), words::<OptionKind>());
    assert_eq!(documented_words("LogLevel"), words::<LogLevel>());
}
