//! Registrations against a server that knows some commands.

use serde_json::{Value, json};

use super::super::tests::{Answer, Server, answer};
use super::*;
use crate::domain::{ApplicationId, Choice, OptionValue, Permission};

const GLOBAL: &str = "/api/v10/applications/8/commands";

fn option(name: &str, kind: OptionKind) -> CommandOption {
    CommandOption {
        name: name.into(),
        description: "d".into(),
        kind,
        required: false,
        choices: Vec::new(),
        min: None,
        max: None,
        autocomplete: false,
    }
}

fn commands() -> Vec<Command> {
    let model = CommandOption {
        required: true,
        choices: vec![Choice { name: "Opus".into(), value: OptionValue::Text("opus".into()) }],
        ..option("name", OptionKind::String)
    };
    let number = CommandOption {
        choices: vec![Choice { name: "one".into(), value: OptionValue::Integer(1) }],
        ..option("n", OptionKind::Number)
    };
    let text = CommandOption { min: Some(1.0), max: Some(80.0), ..option("text", OptionKind::String) };
    let position = CommandOption {
        min: Some(1.0),
        max: Some(9.0),
        autocomplete: true,
        ..option("position", OptionKind::Integer)
    };
    let command = Command {
        name: "model".into(),
        description: "Another model".into(),
        options: vec![model, number, text, option("where", OptionKind::Channel)],
        subcommands: Vec::new(),
        permission: Some(Permission { name: "manage_messages", bits: 8192 }),
        guild_only: true,
    };
    let take = Subcommand { name: "take".into(), description: "Take out".into(), options: vec![position] };
    let queue = Command {
        name: "queue".into(),
        description: "Who waits".into(),
        options: Vec::new(),
        subcommands: vec![take],
        permission: None,
        guild_only: false,
    };
    vec![command, queue]
}

/// What Discord answers once they are registered: with additions of its own, and in its own order.
fn registered() -> Value {
    json!([
        {"id": "2", "application_id": "8", "version": "5", "default_member_permissions": null, "type": 1,
         "name": "queue", "name_localizations": null, "description": "Who waits", "description_localizations": null,
         "dm_permission": true, "contexts": [0, 1], "integration_types": [0], "nsfw": false, "options": [
            {"type": 1, "name": "take", "name_localizations": null, "description": "Take out",
             "description_localizations": null, "options": [
                {"type": 4, "name": "position", "description": "d", "min_value": 1, "max_value": 9, "autocomplete": true}]}]},
        {"id": "1", "application_id": "8", "version": "4", "default_member_permissions": "8192", "type": 1,
         "name": "model", "description": "Another model", "dm_permission": false, "contexts": [0],
         "integration_types": [0], "nsfw": false, "options": [
            {"type": 3, "name": "name", "description": "d", "required": true,
             "choices": [{"name": "Opus", "name_localizations": null, "value": "opus"}]},
            {"type": 10, "name": "n", "description": "d", "choices": [{"name": "one", "value": 1.0}]},
            {"type": 3, "name": "text", "description": "d", "min_length": 1, "max_length": 80},
            {"type": 7, "name": "where", "description": "d", "required": false}]},
    ])
}

async fn start(answers: impl IntoIterator<Item = Answer>) -> (Server, Interactions) {
    let (server, outbox) = Server::start(answers).await;
    (server, outbox.interactions(ApplicationId::new(8).unwrap()))
}

#[tokio::test]
async fn commands_that_are_there_are_not_written_again() {
    let (server, discord) = start((0..3).map(|_| answer(200, registered()))).await;
    for _ in 0..3 {
        assert_eq!(discord.register(Scope::Global, &commands()).await, Ok(Registration::Unchanged));
    }
    assert_eq!(server.whats(), [format!("GET {GLOBAL}"), format!("GET {GLOBAL}"), format!("GET {GLOBAL}")]);
    assert!(server.calls()[0].headers.get("authorization").is_some());
}

#[tokio::test]
async fn what_is_written_is_whole_and_then_counts_as_there() {
    let (server, discord) =
        start([answer(200, json!([])), answer(500, json!({})), answer(200, json!([]))]).await;
    assert_eq!(discord.register(Scope::Global, &commands()).await, Ok(Registration::Replaced));
    let calls = server.calls();
    assert_eq!(calls[2].what, format!("PUT {GLOBAL}"));
    let written = calls[2].body.clone();
    assert_eq!(
        written,
        json!([
            {"name": "model", "description": "Another model", "type": 1, "default_member_permissions": "8192",
             "nsfw": false, "contexts": [0], "options": [
                {"type": 3, "name": "name", "description": "d", "required": true,
                 "choices": [{"name": "Opus", "value": "opus"}]},
                {"type": 10, "name": "n", "description": "d", "choices": [{"name": "one", "value": 1}]},
                {"type": 3, "name": "text", "description": "d", "min_length": 1, "max_length": 80},
                {"type": 7, "name": "where", "description": "d"}]},
            {"name": "queue", "description": "Who waits", "type": 1, "default_member_permissions": null,
             "nsfw": false, "contexts": [0, 1], "options": [
                {"type": 1, "name": "take", "description": "Take out", "options": [
                    {"type": 4, "name": "position", "description": "d", "min_value": 1, "max_value": 9,
                     "autocomplete": true}]}]},
        ])
    );
    // A Discord that adds nothing at all.
    server.0.lock().answers.push_back(answer(200, written));
    assert_eq!(discord.register(Scope::Global, &commands()).await, Ok(Registration::Unchanged));
}

#[tokio::test]
async fn every_difference_is_seen() {
    let changes: [(&str, Value); 13] = [
        ("/0/description", json!("Who sits")),
        ("/0/name", json!("line")),
        ("/0/type", json!(2)),
        ("/0/nsfw", json!(true)),
        ("/0/contexts", json!([0])),
        ("/1/contexts", json!([0, 1, 2])),
        ("/1/default_member_permissions", json!(null)),
        ("/0/options/0/options/0/max_value", json!(10)),
        ("/0/options/0/options/0/autocomplete", json!(false)),
        ("/1/options/0/required", json!(false)),
        ("/1/options/0/choices/0/value", json!("Opus")),
        ("/1/options/2/min_length", json!(2)),
        ("/1/options/3/type", json!(8)),
    ];
    for (at, to) in changes {
        let mut other = registered();
        *other.pointer_mut(at).unwrap() = to;
        let (server, discord) = start([answer(200, other), answer(200, json!([]))]).await;
        assert_eq!(discord.register(Scope::Global, &commands()).await, Ok(Registration::Replaced), "{at}");
        assert_eq!(server.whats(), [format!("GET {GLOBAL}"), format!("PUT {GLOBAL}")], "{at}");
    }
    let mut more = registered();
    more[1]["options"][3]["channel_types"] = json!([0]);
    let mut order = registered();
    order[1]["options"].as_array_mut().unwrap().swap(1, 2);
    for other in [more, order, json!([registered()[0]])] {
        let (_server, discord) = start([answer(200, other), answer(200, json!([]))]).await;
        assert_eq!(discord.register(Scope::Global, &commands()).await, Ok(Registration::Replaced));
    }
}

#[tokio::test]
async fn a_guild_has_no_contexts_and_one_that_refuses_stops_no_other() {
    let mut there = registered();
    for command in there.as_array_mut().unwrap() {
        command["contexts"] = json!(null);
        command["guild_id"] = json!("11");
    }
    let no = answer(403, json!({"code": 50001, "message": "Missing Access"}));
    let mine =
        [answer(200, json!([])), no, answer(200, there), answer(200, json!([])), answer(200, json!([]))];
    let (server, discord) = start(mine).await;
    let guilds = [10, 11, 12].map(|id| GuildId::new(id).unwrap());
    let done = discord.register_all(&guilds, &[], &commands()).await;
    let guild = |id: u64| format!("/api/v10/applications/8/guilds/{id}/commands");
    assert_eq!(
        server.whats(),
        [
            format!("GET {GLOBAL}"),
            format!("GET {}", guild(10)),
            format!("GET {}", guild(11)),
            format!("GET {}", guild(12)),
            format!("PUT {}", guild(12)),
        ]
    );
    assert_eq!(done[0], (Scope::Global, Ok(Registration::Unchanged)));
    assert!(matches!(done[1], (Scope::Guild(_), Err(Refused::Forbidden { code: Some(50001), .. }))));
    assert_eq!(done[2].1, Ok(Registration::Unchanged));
    assert_eq!(done[3].1, Ok(Registration::Replaced));
    assert_eq!(server.calls()[4].body[0].get("contexts"), None);
}

#[tokio::test]
async fn global_commands_go_when_guilds_are_named() {
    let (server, discord) = start([answer(200, registered()), answer(200, json!([]))]).await;
    let done = discord.register_all(&[], &[], &[]).await;
    assert_eq!(done, [(Scope::Global, Ok(Registration::Replaced))]);
    assert_eq!(server.calls()[1].body, json!([]));
}
