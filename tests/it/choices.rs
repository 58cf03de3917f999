//! What a channel has chosen for itself: the model and the permission mode of its turns.

use moonlane::domain::{ChannelId, PermissionMode};
use moonlane::local::UseCommand;
use moonlane::store::{ChannelChoice, NewChoice, Store};

use crate::commands::{add_shipped, says};
use crate::support::{Setup, Stage};

const ROUTING: &str = r#"return {
    projects = { here = { dir = "WORK", env = { DEMO_AGENT_LOG = "LOG", IS_SANDBOX = "1" }, model = "sonnet", permission_mode = "acceptEdits" } },
    route = function(message, prompt)
        local model = prompt:match("^with (%w+)")
        return { project = "here", model = model }
    end,
}"#;

fn channel(stage: &Stage, name: &str) -> ChannelId {
    ChannelId::new(stage.discord.channel(name).get()).unwrap()
}

/// Chooses in the store of a bot that does not run; what was chosen before.
pub async fn choose(stage: &Stage, name: &str, new: NewChoice) -> ChannelChoice {
    let store = Store::open(&stage.config().store_path).unwrap();
    let (before, _) = store.set_choice(channel(stage, name), new).await.unwrap();
    store.close().await;
    before
}

#[tokio::test]
async fn a_turn_has_the_model_of_its_route_else_of_its_channel_else_of_its_project() {
    let mut stage = Stage::without_bot(Setup { routing: ROUTING.to_owned(), ..Setup::default() }).await;
    let hooks = "return { after_answer = function(text, turn) return text .. ', ' .. turn.model end }";
    std::fs::write(stage.root().join("scripts/hooks.lua"), hooks).unwrap();
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits, sonnet");
    assert_eq!(stage.ask("general", "with haiku ;; MODE").await, "haiku acceptEdits, haiku");
    stage.stop().await;

    choose(&stage, "general", NewChoice::Model(Some("opus".to_owned()))).await;
    // Twice: it is kept over restarts.
    for _ in 0..2 {
        stage.start().await;
        assert_eq!(stage.ask("general", "MODE").await, "opus acceptEdits, opus");
        assert_eq!(stage.ask("general", "with haiku ;; MODE").await, "haiku acceptEdits, haiku");
        assert_eq!(stage.ask("general", "MODE").await, "opus acceptEdits, opus");
        assert_eq!(stage.ask("elsewhere", "MODE").await, "sonnet acceptEdits, sonnet");
        // What somebody has typed once is never an argument.
        assert!(!stage.ask("general", "ARGS").await.contains("=opus"));
        stage.stop().await;
    }

    choose(&stage, "general", NewChoice::Model(None)).await;
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits, sonnet");
}

#[tokio::test]
async fn a_turn_has_the_permission_mode_of_its_channel_else_of_its_project() {
    let mut stage = Stage::without_bot(Setup { routing: ROUTING.to_owned(), ..Setup::default() }).await;
    choose(&stage, "general", NewChoice::PermissionMode(Some(PermissionMode::Plan))).await;
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet plan");
    // Claude itself may leave the mode; the next turn has it again.
    assert_eq!(stage.ask("general", "MODE:acceptEdits ;; MODE").await, "sonnet acceptEdits");
    assert_eq!(stage.ask("general", "MODE").await, "sonnet plan");
    assert_eq!(stage.ask("elsewhere", "MODE").await, "sonnet acceptEdits");
    stage.stop().await;

    let before = choose(&stage, "general", NewChoice::PermissionMode(None)).await;
    assert_eq!(before.permission_mode, Some(PermissionMode::Plan));
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits");
}

/// Chooses the permission mode.
const MODE: &str = "return { name = 'mode', description = 'x', options = { { name = 'name', description = 'x', required = true } },
    run = function(ctx, args) ctx:reply('Mode: ' .. ctx:set_permission_mode { args.name }.after) end }";

/// A bot with `/model`, `/ask` and `/mode`, whose project has these keys besides.
async fn choosing(keys: &str) -> Stage {
    let routing = ROUTING.replace(r#"model = "sonnet","#, &format!(r#"model = "sonnet", {keys}"#));
    let mut stage = Stage::without_bot(Setup { routing, ..Setup::default() }).await;
    add_shipped(&stage);
    stage.save("commands/mode.lua", MODE);
    stage.start().await;
    stage
}

/// What the owner reads who uses this command with this option.
pub async fn reads(stage: &Stage, command: &str, option: &str, value: &str) -> String {
    let (general, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let mut used = UseCommand::new(general, owner, command).option(option, value);
    if command == "ask" {
        used = used.option("prompt", "MODE");
    }
    let told = says(stage, stage.discord.use_command(used).unwrap()).await;
    let openly = if told.ephemeral_to == Some(owner) { "" } else { "to all: " };
    format!("{openly}{}", told.content)
}

#[tokio::test]
async fn what_cannot_be_a_model_or_a_mode_is_refused_with_a_sentence() {
    let mut stage = choosing("").await;
    let mut said = String::new();
    for name in
        ["  ", "two words", "--resume", "line\nbreak", "opus\u{200b}", "opus;ls", "$(ls)", "<@1>", "ü"]
    {
        said += &format!("{name:?}: {}\n", reads(&stage, "model", "name", name).await);
    }
    said += &format!(
        "of a cloud: {}\n",
        reads(&stage, "model", "name", "eu.anthropic.claude-opus-4-1-v1:0[1m]").await
    );
    said += &format!("to ask: {}\n", reads(&stage, "ask", "model", "two words").await);
    for name in ["plna", "acceptedits", "root", "bypassPermissions", "plan"] {
        said += &format!("the mode {name:?}: {}\n", reads(&stage, "mode", "name", name).await);
    }
    insta::assert_snapshot!(said, @r#"
    "  ": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "two words": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "--resume": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "line\nbreak": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "opus\u{200b}": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "opus;ls": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "$(ls)": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "<@1>": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    "ü": ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    of a cloud: to all: Model: **sonnet** → **eu.anthropic.claude-opus-4-1-v1:0[1m]**, from the next turn on, unless the message's own route says otherwise.
    to ask: ⚠️ That can't be a model name. Use one that claude accepts, such as opus or sonnet.
    the mode "plna": ⚠️ There is no such permission mode. Did you mean `plan`?
    the mode "acceptedits": ⚠️ There is no such permission mode. Did you mean `acceptEdits`?
    the mode "root": ⚠️ There is no such permission mode. The modes are `default`, `acceptEdits`, `plan`, `dontAsk`.
    the mode "bypassPermissions": ⚠️ The project here only allows these permission modes: `default`, `acceptEdits`, `plan`, `dontAsk`.
    the mode "plan": to all: Mode: plan
    "#);
    assert_eq!(stage.ask("general", "MODE").await, "eu.anthropic.claude-opus-4-1-v1:0[1m] plan");
}

#[tokio::test]
async fn a_project_says_which_models_and_modes_may_be_chosen() {
    let lists = r#"models = { "opus", "haiku" }, permission_modes = { "plan", "bypassPermissions" },"#;
    let mut stage = choosing(lists).await;
    let mut said = String::new();
    for (command, option, value) in [
        ("model", "name", "gpt"),
        ("ask", "model", "gpt"),
        ("model", "name", "sonnet"),
        ("model", "name", "haiku"),
        ("mode", "name", "default"),
        ("mode", "name", "plna"),
        ("mode", "name", "acceptEdits"),
        ("mode", "name", "bypassPermissions"),
    ] {
        said += &format!("{command} {value}: {}\n", reads(&stage, command, option, value).await);
    }
    insta::assert_snapshot!(said, @r#"
    model gpt: ⚠️ The project here only allows these models: `sonnet`, `opus`, `haiku`.
    ask gpt: ⚠️ The project here only allows these models: `sonnet`, `opus`, `haiku`.
    model sonnet: The model here is **sonnet** already, unless the message's own route says otherwise.
    model haiku: to all: Model: **sonnet** → **haiku**, from the next turn on, unless the message's own route says otherwise.
    mode default: ⚠️ The project here only allows these permission modes: `acceptEdits`, `plan`, `bypassPermissions`.
    mode plna: ⚠️ There is no such permission mode. Did you mean `plan`?
    mode acceptEdits: to all: Mode: acceptEdits
    mode bypassPermissions: to all: Mode: bypassPermissions
    "#);
    assert_eq!(stage.ask("general", "MODE").await, "haiku bypassPermissions");
    assert_eq!(stage.ask("general", "with opus ;; MODE").await, "opus bypassPermissions");
    assert!(stage.ask("general", "with gpt ;; MODE").await.starts_with("⚠️ "));

    // What was chosen earlier does not count once the project lists it no more.
    stage.save(
        "routing.lua",
        &ROUTING.replace(r#"model = "sonnet","#, r#"model = "sonnet", models = { "opus" },"#),
    );
    crate::support::within("a reload", stage.reloader().reload_now()).await.unwrap();
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits");
    let (general, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let status =
        says(&stage, stage.discord.use_command(UseCommand::new(general, owner, "status")).unwrap()).await;
    assert!(status.embeds[0].to_string().contains("sonnet"), "{:?}", status.embeds);
}

#[tokio::test]
async fn model_and_status_say_what_the_next_turn_will_really_use() {
    // A blank message of Ada's goes to opus, anybody else's to what the channel has; and the text counts, too.
    let route = r#"route = function(message, prompt)
        if message.author.name == "ada" then return { project = "here", model = "opus" } end
        return { project = "here", model = prompt:match("^with (%w+)") }
    end,"#;
    let from = ROUTING.find("route =").unwrap();
    let fixed =
        |stage: &Stage| format!("channels = {{ [\"{}\"] = \"here\" }},", stage.discord.channel("fixed"));
    let mut stage = Stage::without_bot(Setup { routing: ROUTING.to_owned(), ..Setup::default() }).await;
    let routing = format!(
        "{}{} {route} allow = {{ users = {{ \"{}\" }} }} }}",
        &ROUTING[..from],
        fixed(&stage),
        stage.discord.user("ada")
    );
    stage.save("routing.lua", &routing);
    add_shipped(&stage);
    stage.start().await;

    let use_as =
        |person, place: &str, command: &str| UseCommand::new(stage.discord.channel(place), person, command);
    let (owner, ada) = (stage.discord.owner(), stage.discord.user("ada"));
    let mut said = String::new();
    for (who, person, place) in [
        ("owner", owner, "general"),
        ("ada", ada, "general"),
        ("owner", owner, "fixed"),
        ("ada", ada, "fixed"),
    ] {
        let used = use_as(person, place, "model").option("name", "haiku");
        let told = says(&stage, stage.discord.use_command(used).unwrap()).await;
        let status = says(&stage, stage.discord.use_command(use_as(person, place, "status")).unwrap()).await;
        let status = status.embeds[0]["description"].as_str().unwrap().lines().last().unwrap().to_owned();
        said += &format!("{who} in {place}: {}\n{status}\n", told.content);
    }
    insta::assert_snapshot!(said, @"
    owner in general: Model: **sonnet** → **haiku**, from the next turn on, unless the message's own route says otherwise.
    The next turn here: here · haiku · acceptEdits, unless the message's own route says otherwise
    ada in general: The model here is **haiku** already. But `route` gives turns here **opus**, unless the message says otherwise.
    The next turn here: here · opus · acceptEdits, unless the message's own route says otherwise
    owner in fixed: Model: **sonnet** → **haiku**, from the next turn on.
    The next turn here: here · haiku · acceptEdits
    ada in fixed: The model here is **haiku** already.
    The next turn here: here · haiku · acceptEdits
    ");
    // And so it is.
    assert_eq!(stage.ask("general", "MODE").await, "haiku acceptEdits");
    assert_eq!(stage.ask("general", "with opus ;; MODE").await, "opus acceptEdits");
    let by_ada = stage.say_as("ada", "general", "MODE");
    stage.settled(by_ada).await;
    assert_eq!(stage.answer(by_ada), "opus acceptEdits");
    let by_ada = stage.say_as("ada", "fixed", "MODE");
    stage.settled(by_ada).await;
    assert_eq!(stage.answer(by_ada), "haiku acceptEdits");
}

#[tokio::test]
async fn what_claude_code_refuses_as_root_is_refused_at_the_command() {
    let lists = r#"permission_modes = { "plan", "bypassPermissions" }, env = { DEMO_AGENT_LOG = "LOG" },"#;
    let routing = ROUTING.replace(r#"env = { DEMO_AGENT_LOG = "LOG", IS_SANDBOX = "1" },"#, lists);
    let mut stage = Stage::without_bot(Setup { routing, ..Setup::default() }).await;
    add_shipped(&stage);
    stage.start().await;
    let told = reads(&stage, "mode", "mode", "bypassPermissions").await;
    if rustix::process::geteuid().is_root() {
        insta::assert_snapshot!(told, @"⚠️ Claude Code refuses `bypassPermissions` as root, and this project's agents run as root. Whoever runs this bot can give the project, or the bot, a user of its own.");
        assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits");
    } else {
        assert!(told.contains("**bypassPermissions**"), "{told}");
    }
}
