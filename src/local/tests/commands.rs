//! Registering commands: as Discord lists them, and what it refuses.

use super::*;

/// Where the commands for all are, or those for the guild.
fn path(local: &LocalDiscord, guild: Option<Id>) -> String {
    let application = local.hub().lock().world.application;
    match guild {
        Some(guild) => format!("/applications/{application}/guilds/{guild}/commands"),
        None => format!("/applications/{application}/commands"),
    }
}

/// Registers commands for all.
pub(super) async fn register(local: &LocalDiscord, commands: Value) -> (StatusCode, Value) {
    call(local, Method::PUT, &path(local, None), commands).await
}

fn command(name: &str) -> Value {
    json!({ "name": name, "description": "Does it" })
}

/// A command with these options.
fn with(options: Value) -> Value {
    json!([{ "name": "do", "description": "Does it", "options": options }])
}

fn text(name: &str) -> Value {
    json!({ "type": 3, "name": name, "description": "A text" })
}

#[tokio::test]
async fn commands_are_overwritten_as_a_whole_and_listed_as_registered() {
    let local = local(|_| ()).await;
    let reset = json!({
        "name": "reset", "description": "Start afresh", "default_member_permissions": "8192", "contexts": [0],
        "options": [{ "type": 7, "name": "channel", "description": "Which", "required": false, "choices": [] }],
    });
    let quiet = json!({ "name": "quiet", "description": "Say nothing", "dm_permission": false });
    let (status, listed) = register(&local, json!([reset, quiet, command("help")])).await;
    assert_eq!(status, 200);
    assert_eq!(call(&local, Method::GET, &path(&local, None), Value::Null).await, (status, listed.clone()));
    let option = json!({ "type": 7, "name": "channel", "description": "Which" });
    assert_eq!(listed[0]["options"], json!([option]), "what is the default is left out");
    assert_eq!(listed[0]["default_member_permissions"], "8192");
    assert_eq!((&listed[0]["contexts"], &listed[0]["dm_permission"]), (&json!([0]), &json!(false)));
    assert_eq!((&listed[1]["contexts"], &listed[1]["dm_permission"]), (&Value::Null, &json!(false)));
    assert_eq!((&listed[2]["contexts"], &listed[2]["dm_permission"]), (&Value::Null, &json!(true)));
    serde_json::from_value::<Vec<serenity::all::Command>>(listed.clone()).unwrap();

    let (_, again) = register(&local, json!([reset, command("help")])).await;
    assert_eq!(again, json!([listed[0], listed[2]]), "the same ids and versions, and one is gone");
    let changed = json!([{ "name": "help", "description": "Helps" }]);
    let (_, changed) = register(&local, changed).await;
    assert_eq!(changed[0]["id"], listed[2]["id"]);
    assert_ne!(changed[0]["version"], listed[2]["version"]);

    let guild = local.guild();
    let (_, own) = call(&local, Method::PUT, &path(&local, Some(guild)), json!([command("help")])).await;
    assert_eq!(own[0]["guild_id"], json!(guild));
    let all: Vec<_> = local.commands().into_iter().map(|it| (it.guild, it.name)).collect();
    assert_eq!(all, [(None, "help".to_owned()), (Some(guild), "help".to_owned())]);
    let overwrites = local.calls().into_iter().filter(|call| call.method == "PUT").count();
    assert_eq!(overwrites, 4, "every call is counted");
}

#[tokio::test]
async fn commands_are_registered_for_the_own_application_and_guild_only() {
    let local = local(|_| ()).await;
    let foreign = call(&local, Method::PUT, "/applications/1/commands", json!([])).await;
    assert_eq!(refusal(&foreign), (403, 20012));
    let elsewhere = path(&local, Some(Id::from(1)));
    assert_eq!(refusal(&call(&local, Method::GET, &elsewhere, Value::Null).await), (403, 50001));
    let url = format!("{}/api/v10{}", local.url(), path(&local, None));
    assert_eq!(reqwest::get(url).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_wrong_command_is_refused_at_its_place() {
    let local = local(|_| ()).await;
    let many = |count: usize| (0..count).map(|n| text(&format!("o{n}"))).collect::<Value>();
    let group = json!({ "type": 1, "name": "sub", "description": "d", "options": [text("BAD")] });
    let choices = |count: usize| (0..count).map(|n| json!({ "name": n.to_string(), "value": "v" })).collect();
    let with_choices = |choices: Value| {
        let mut option = text("x");
        option["choices"] = choices;
        with(json!([option]))
    };
    let table = [
        (json!([command("Reset")]), "0.name", "APPLICATION_COMMAND_INVALID_NAME"),
        (json!([command("help"), command("a b")]), "1.name", "APPLICATION_COMMAND_INVALID_NAME"),
        (json!([command("")]), "0.name", "BASE_TYPE_BAD_LENGTH"),
        (json!([command(&"x".repeat(33))]), "0.name", "BASE_TYPE_BAD_LENGTH"),
        (json!([{ "description": "d" }]), "0.name", "BASE_TYPE_REQUIRED"),
        (json!([{ "name": 7, "description": "d" }]), "0.name", "STRING_TYPE_CONVERT"),
        (json!([{ "name": "x" }]), "0.description", "BASE_TYPE_REQUIRED"),
        (json!([{ "name": "x", "description": "d".repeat(101) }]), "0.description", "BASE_TYPE_BAD_LENGTH"),
        (json!([command("x"), command("x")]), "1", "APPLICATION_COMMANDS_DUPLICATE_NAME"),
        (json!(["x"]), "0", "MODEL_TYPE_CONVERT"),
        (json!({}), "", "LIST_TYPE_CONVERT"),
        (with(many(26)), "0.options", "BASE_TYPE_MAX_LENGTH"),
        (
            with(json!([{ "type": 12, "name": "x", "description": "d" }])),
            "0.options.0.type",
            "BASE_TYPE_CHOICES",
        ),
        (with(json!([group])), "0.options.0.options.0.name", "APPLICATION_COMMAND_INVALID_NAME"),
        (
            with(json!([text("x"), { "type": 1, "name": "sub", "description": "d" }])),
            "0.options.0",
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
        ),
        (
            with(json!([text("x"), { "type": 3, "name": "y", "description": "d", "required": true }])),
            "0.options.1",
            "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
        ),
        (
            with(json!([text("x"), text("x")])),
            "0.options.1",
            "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS",
        ),
        (with_choices(choices(26)), "0.options.0.choices", "BASE_TYPE_MAX_LENGTH"),
        (
            with_choices(json!([{ "name": "x", "value": 7 }])),
            "0.options.0.choices.0.value",
            "STRING_TYPE_CONVERT",
        ),
        (
            with(json!([{ "type": 4, "name": "x", "description": "d", "min_value": 3, "max_value": 2 }])),
            "0.options.0.min_value",
            "NUMBER_TYPE_MAX",
        ),
        (
            with(json!([{ "type": 5, "name": "x", "description": "d", "autocomplete": true }])),
            "0.options.0",
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
        ),
        (
            json!([{ "name": "x", "description": "d", "default_member_permissions": "all" }]),
            "0.default_member_permissions",
            "BASE_TYPE_BAD_TYPE",
        ),
        (json!([{ "name": "x", "description": "d", "contexts": [3] }]), "0.contexts.0", "BASE_TYPE_CHOICES"),
    ];
    for (commands, at, code) in table {
        assert_eq!(mistake(&register(&local, commands.clone()).await, at), code, "{commands}");
    }
    let hundred = |count: usize| (0..count).map(|n| command(&format!("c{n}"))).collect::<Value>();
    assert_eq!(refusal(&register(&local, hundred(101)).await), (400, 30032));
    let long = |n: usize| json!({ "name": n.to_string(), "value": "v".repeat(100) });
    let heavy = |n: usize| {
        let mut option = text(&format!("o{n}"));
        option["choices"] = (0..25).map(long).collect();
        option
    };
    let heavy = with((0..4).map(heavy).collect());
    assert_eq!(mistake(&register(&local, heavy).await, "0"), "APPLICATION_COMMAND_TOO_LARGE");
    assert_eq!(local.commands(), [], "all or nothing");

    assert_eq!(register(&local, hundred(100)).await.0, 200);
    let fine = json!([command("grüße"), command("hi-_'1"), { "name": "ทดสอบ", "description": "d" }]);
    assert_eq!(register(&local, fine).await.0, 200);
    assert_eq!(register(&local, with(many(25))).await.0, 200);
}
