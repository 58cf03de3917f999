//! Commands, buttons and menus from a person's hand to the bot's answer.

use std::collections::BTreeSet;

use serenity::all::{
    ButtonStyle, CommandInteraction, ComponentInteractionDataKind, CreateActionRow, CreateAttachment,
    CreateButton, CreateCommand, CreateCommandOption, CreateInteractionResponse,
    CreateInteractionResponseFollowup, CreateInteractionResponseMessage, EditInteractionResponse,
    Interaction, InteractionContext, Permissions, ResolvedValue,
};

use super::commands::register;
use super::layout::{button, menu, row};
use super::*;

/// A local Discord with a few commands.
pub(super) async fn with_commands(change: impl FnOnce(&mut Options)) -> LocalDiscord {
    let local = local(change).await;
    let option = |kind: u8, name: &str| json!({ "type": kind, "name": name, "description": "d" });
    let mut model = option(3, "name");
    model["autocomplete"] = true.into();
    let mut count = option(4, "count");
    count["required"] = true.into();
    count["min_value"] = 1.into();
    count["max_value"] = 9.into();
    let mut kind = option(3, "kind");
    kind["choices"] = json!([{ "name": "Short", "value": "s" }]);
    let who = [(6, "who"), (7, "where"), (8, "as"), (10, "share"), (5, "loud")];
    let mut do_it = vec![count, kind];
    do_it.extend(who.map(|(kind, name)| option(kind, name)));
    let (status, _) = register(
        &local,
        json!([
            { "name": "help", "description": "d" },
            { "name": "model", "description": "d", "options": [model] },
            { "name": "do", "description": "d", "options": do_it },
            { "name": "queue", "description": "d", "options": [
                { "type": 1, "name": "list", "description": "d" },
                { "type": 1, "name": "drop", "description": "d", "options": [option(3, "which")] },
            ] },
            { "name": "reset", "description": "d", "default_member_permissions": "8192", "contexts": [0] },
        ]),
    )
    .await;
    assert_eq!(status, 200);
    local
}

fn token(local: &LocalDiscord, interaction: Id) -> String {
    local.hub().lock().world.interactions[&interaction].token.clone()
}

/// A call without the bot's token.
async fn open(local: &LocalDiscord, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Web::new().request(method, format!("{}/api/v10{path}", local.url()));
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

pub(super) async fn answer(local: &LocalDiscord, interaction: Id, body: Value) -> (StatusCode, Value) {
    let path = format!("/interactions/{interaction}/{}/callback", token(local, interaction));
    open(local, Method::POST, &path, body).await
}

/// A call to the interaction's webhook; `message` is empty for a follow-up.
pub(super) async fn hook(
    local: &LocalDiscord,
    interaction: Id,
    method: Method,
    message: &str,
    body: Value,
) -> (StatusCode, Value) {
    let application = local.hub().lock().world.application;
    let message = if message.is_empty() { String::new() } else { format!("/messages/{message}") };
    let path = format!("/webhooks/{application}/{}{message}", token(local, interaction));
    open(local, method, &path, body).await
}

pub(super) fn used(local: &LocalDiscord, name: &str) -> Id {
    local.use_command(UseCommand::new(local.channel("general"), local.owner(), name)).unwrap()
}

fn command(interaction: Interaction) -> CommandInteraction {
    interaction.command().expect("a command")
}

#[tokio::test]
async fn serenity_hears_a_command_with_all_that_was_given() {
    let local = with_commands(|_| ()).await;
    let (general, anna, staff) = (local.channel("general"), local.user("anna"), local.role("staff"));
    let thread = local.thread(general, "idea");
    local.give_role(anna, staff);
    local.permit(staff, 1 << 13);
    local.forbid(general, Right::Attach);
    local.permit_in(general, anna, 1 << 4);
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let used = UseCommand::new(thread, anna, "do").option("count", 3).option("kind", "s");
    let used = used.option("who", local.owner()).option("where", general).option("as", staff);
    let sent = local.use_command(used.option("share", 0.5).option("loud", true)).unwrap();
    let heard = command(bot.interaction().await);
    assert_eq!((heard.id.get(), heard.channel_id.get()), (sent.get(), thread.get()));
    assert_eq!(heard.guild_id.unwrap().get(), local.guild().get());
    assert_eq!((heard.version, heard.locale.as_str()), (1, "en-US"));
    assert_eq!(heard.channel.as_ref().unwrap().parent_id.unwrap().get(), general.get());
    assert_eq!(heard.context, Some(InteractionContext::Guild));
    assert!(!heard.app_permissions.unwrap().contains(Permissions::ATTACH_FILES));
    let member = heard.member.as_ref().unwrap();
    assert_eq!((member.user.id.get(), member.roles[0].get()), (anna.get(), staff.get()));
    assert!(member.permissions.unwrap().contains(Permissions::MANAGE_MESSAGES));
    assert!(!member.permissions.unwrap().contains(Permissions::ADMINISTRATOR));
    let options = heard.data.options();
    let names: Vec<&str> = options.iter().map(|option| option.name).collect();
    assert_eq!(names, ["count", "kind", "who", "where", "as", "share", "loud"]);
    for option in &options {
        match (option.name, &option.value) {
            ("count", ResolvedValue::Integer(3))
            | ("kind", ResolvedValue::String("s"))
            | ("loud", ResolvedValue::Boolean(true)) => {}
            ("share", ResolvedValue::Number(share)) => assert!((share - 0.5).abs() < 1e-9),
            ("who", ResolvedValue::User(user, Some(_))) => assert_eq!(user.id.get(), local.owner().get()),
            ("where", ResolvedValue::Channel(channel)) => {
                assert_eq!(channel.id.get(), general.get());
                let may = channel.permissions.unwrap();
                assert!(may.contains(Permissions::MANAGE_MESSAGES | Permissions::MANAGE_CHANNELS));
                assert!(!may.administrator(), "the person's, and nobody else's");
            }
            ("as", ResolvedValue::Role(role)) => assert_eq!(role.id.get(), staff.get()),
            other => panic!("{other:?}"),
        }
    }

    let drop = UseCommand::new(general, local.owner(), "queue").subcommand("drop").option("which", "x");
    local.use_command(drop).unwrap();
    let heard = command(bot.interaction().await);
    let ResolvedValue::SubCommand(inner) = &heard.data.options()[0].value else { panic!("{heard:?}") };
    assert!(matches!(inner[0].value, ResolvedValue::String("x")));
    assert!(heard.member.unwrap().permissions.unwrap().administrator(), "the owner may do everything");

    local.use_command(UseCommand::new(local.direct(anna), anna, "help")).unwrap();
    let heard = command(bot.interaction().await);
    assert_eq!((heard.guild_id, heard.member.is_none()), (None, true));
    assert_eq!((heard.user.id.get(), heard.context), (anna.get(), Some(InteractionContext::BotDm)));
}

#[tokio::test]
async fn serenity_registers_answers_edits_and_follows_up() {
    let local = local(|options| options.rate_limits = RateLimits::On).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, GatewayIntents::GUILDS | GatewayIntents::GUILD_MESSAGES).await;
    bot.guild().await;
    let application = local.hub().lock().world.application;
    bot.http.set_application_id(application.get().into());
    let option =
        CreateCommandOption::new(serenity::all::CommandOptionType::String, "why", "Why").required(true);
    let help = CreateCommand::new("help").description("Helps").add_option(option);
    serenity::all::Command::set_global_commands(&bot.http, vec![help]).await.unwrap();

    local.use_command(UseCommand::new(general, anna, "help").option("why", "because")).unwrap();
    let heard = command(bot.interaction().await);
    let row =
        CreateActionRow::Buttons(vec![CreateButton::new("yes").label("Yes").style(ButtonStyle::Danger)]);
    let message = CreateInteractionResponseMessage::new().content("Sure?").components(vec![row]);
    heard.create_response(&bot.http, CreateInteractionResponse::Message(message)).await.unwrap();
    let seen = bot.message().await;
    assert_eq!((seen.content.as_str(), seen.kind), ("Sure?", serenity::all::MessageType::ChatInputCommand));
    assert!(seen.interaction_metadata.is_some());
    let original = heard.get_response(&bot.http).await.unwrap();
    assert_eq!(original.id, seen.id);

    let pressed = local.press(Id::from(seen.id.get()), anna, "yes").unwrap();
    let press = bot.interaction().await.message_component().unwrap();
    assert_eq!((press.data.custom_id.as_str(), press.message.id), ("yes", seen.id));
    assert!(matches!(press.data.kind, ComponentInteractionDataKind::Button));
    let done = CreateInteractionResponseMessage::new().content("Done").components(vec![]);
    press.create_response(&bot.http, CreateInteractionResponse::UpdateMessage(done)).await.unwrap();
    let updated = local.response_message(pressed).await;
    assert_eq!((updated.id.get(), updated.content.as_str()), (seen.id.get(), "Done"));
    assert!(updated.components.is_empty() && updated.edited.is_some());

    heard.edit_response(&bot.http, EditInteractionResponse::new().content("Well")).await.unwrap();
    assert_eq!(local.message(updated.id).unwrap().content, "Well");
    // More than five in five seconds: they count against no limit.
    for n in 0..8 {
        let file = CreateAttachment::bytes(vec![n], "n.bin");
        let more = CreateInteractionResponseFollowup::new().content("more").ephemeral(true).add_file(file);
        heard.create_followup(&bot.http, more).await.unwrap();
    }
    let follow_ups = local.response(Id::from(heard.id.get())).unwrap().follow_ups;
    assert_eq!(follow_ups.len(), 8);
    assert!(follow_ups.iter().all(|it| it.ephemeral_to == Some(anna) && it.attachments.len() == 1));
    heard.delete_followup(&bot.http, follow_ups[0].id.get()).await.unwrap();
    assert!(local.message(follow_ups[0].id).is_none());
    let page = call(&local, Method::GET, &format!("/channels/{general}/messages"), Value::Null).await.1;
    assert_eq!(page.as_array().unwrap().len(), 1, "ephemeral ones are not in the history");
    let path = format!("/channels/{general}/messages/{}", follow_ups[1].id);
    assert_eq!(refusal(&call(&local, Method::GET, &path, Value::Null).await), (404, 10008));
    let patch = call(&local, Method::PATCH, &path, json!({ "content": "x" })).await;
    assert_eq!(refusal(&patch), (404, 10008));
    heard.delete_response(&bot.http).await.unwrap();
    assert_eq!(local.response(Id::from(heard.id.get())).unwrap().message, None);
    assert_eq!(local.messages(general).len(), 7);
}

#[tokio::test]
async fn an_ephemeral_answer_comes_as_a_direct_message_to_those_who_hear_them() {
    let local = with_commands(|_| ()).await;
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let interaction = used(&local, "help");
    answer(&local, interaction, json!({ "type": 4, "data": { "content": "psst", "flags": 64 } })).await;
    let seen = bot.message().await;
    assert_eq!((seen.content.as_str(), seen.guild_id), ("psst", None));
    assert!(seen.flags.unwrap().contains(MessageFlags::EPHEMERAL));
    let response = local.response(interaction).unwrap();
    assert!(response.ephemeral && !response.deferred);
    assert_eq!(response.message.unwrap().ephemeral_to, Some(local.owner()));
    let direct = local.direct(local.user("anna"));
    local.say(Say::new(direct, local.user("anna"), "hello"));
    let seen = bot.message().await;
    assert_eq!((seen.content.as_str(), seen.guild_id), ("hello", None), "its text needs no intent");
}

#[tokio::test]
async fn a_promised_answer_is_filled_once() {
    let local = with_commands(|_| ()).await;
    let general = local.channel("general");
    for (by_follow_up, flags) in [(false, 0), (true, 64)] {
        let interaction = used(&local, "help");
        assert_eq!(local.response(interaction), None);
        let promise = json!({ "type": 5, "data": { "flags": flags } });
        assert_eq!(answer(&local, interaction, promise).await.0, 204);
        let response = local.acknowledged(interaction).await;
        assert_eq!((response.deferred, response.ephemeral, &response.message), (true, flags == 64, &None));
        let loading = local.messages(general).pop().unwrap();
        assert_eq!(loading.flags, LOADING | flags);
        let content = json!({ "content": "there" });
        let (status, filled) = if by_follow_up {
            hook(&local, interaction, Method::POST, "", content).await
        } else {
            hook(&local, interaction, Method::PATCH, "@original", content).await
        };
        assert_eq!((status.as_u16(), id(&filled)), (200, loading.id));
        assert_eq!(filled["edited_timestamp"], Value::Null);
        let message = local.response_message(interaction).await;
        assert_eq!((message.content.as_str(), message.flags), ("there", flags));
        let (_, more) = hook(&local, interaction, Method::POST, "", json!({ "content": "more" })).await;
        assert_eq!(
            (&more["type"], &more["message_reference"]["message_id"]),
            (&json!(19), &json!(loading.id))
        );
        assert_eq!(local.message(id(&more)).unwrap().ephemeral_to, None, "a follow-up has flags of its own");
    }
}

#[tokio::test]
async fn an_interaction_is_acknowledged_in_time_and_once() {
    let local = with_commands(|options| options.acknowledge = Duration::from_secs(60)).await;
    let interaction = used(&local, "help");
    let hello = json!({ "type": 4, "data": { "content": "hello" } });
    let path = format!("/interactions/{interaction}/{}x/callback", token(&local, interaction));
    assert_eq!(refusal(&open(&local, Method::POST, &path, hello.clone()).await), (404, 10062));
    let path = format!("/interactions/1/{}/callback", token(&local, interaction));
    assert_eq!(refusal(&open(&local, Method::POST, &path, hello.clone()).await), (404, 10062));
    let early = hook(&local, interaction, Method::POST, "", json!({ "content": "x" })).await;
    assert_eq!(refusal(&early), (404, 10015), "not before it is acknowledged");
    for kind in [6, 7, 8, 0] {
        assert_eq!(
            mistake(&answer(&local, interaction, json!({ "type": kind })).await, "type"),
            "BASE_TYPE_CHOICES"
        );
    }
    let empty = answer(&local, interaction, json!({ "type": 4, "data": { "content": " " } })).await;
    assert_eq!(refusal(&empty), (400, 50006));
    assert_eq!(answer(&local, interaction, hello.clone()).await.0, 204, "what was refused does not count");
    assert!(local.response(interaction).is_some());
    assert_eq!(refusal(&answer(&local, interaction, hello.clone()).await), (400, 40060));

    let local = with_commands(|options| options.acknowledge = Duration::from_millis(100)).await;
    let late = used(&local, "help");
    local.fail_next(1, Fault::Delay(Duration::from_millis(110)), "POST /interactions");
    assert_eq!(refusal(&answer(&local, late, hello).await), (404, 10062));
    assert_eq!(local.response(late), None);
    assert_eq!(local.messages(local.channel("general")), []);
}

#[tokio::test]
async fn a_token_dies_of_age_and_opens_nothing_else() {
    let local = with_commands(|_| ()).await;
    let interaction = used(&local, "help");
    let hello = json!({ "type": 4, "data": { "content": "hello" } });
    assert_eq!(answer(&local, interaction, hello.clone()).await.0, 204);
    assert_eq!(hook(&local, interaction, Method::GET, "@original", Value::Null).await.0, 200);
    let application = local.hub().lock().world.application;
    let wrong = format!("/webhooks/{application}/x/messages/@original");
    assert_eq!(refusal(&open(&local, Method::GET, &wrong, Value::Null).await), (401, 50027));
    let other = format!("/webhooks/1/{}", token(&local, interaction));
    assert_eq!(refusal(&open(&local, Method::POST, &other, json!({ "content": "x" })).await), (404, 10015));
    let said = local.say(Say::new(local.channel("general"), local.owner(), "mine")).to_string();
    let foreign = hook(&local, interaction, Method::PATCH, &said, json!({ "content": "x" })).await;
    assert_eq!(refusal(&foreign), (404, 10008), "only its own messages");

    let local = with_commands(|options| options.interaction_token = Duration::from_millis(100)).await;
    let interaction = used(&local, "help");
    assert_eq!(answer(&local, interaction, hello).await.0, 204);
    local.fail_next(1, Fault::Delay(Duration::from_millis(110)), "PATCH /webhooks");
    let late = hook(&local, interaction, Method::PATCH, "@original", json!({ "content": "late" })).await;
    assert_eq!(refusal(&late), (401, 50027));
    let late = hook(&local, interaction, Method::POST, "", json!({ "content": "late" })).await;
    assert_eq!(refusal(&late), (401, 50027));
}

#[tokio::test]
async fn an_answer_can_be_deleted_and_is_then_gone() {
    let local = with_commands(|_| ()).await;
    let interaction = used(&local, "help");
    let data = json!({ "content": "hello", "flags": 64 });
    let path =
        format!("/interactions/{interaction}/{}/callback?with_response=true", token(&local, interaction));
    let (status, body) = open(&local, Method::POST, &path, json!({ "type": 4, "data": data })).await;
    assert_eq!((status.as_u16(), &body["resource"]["message"]["content"]), (200, &json!("hello")));
    assert_eq!(body["interaction"]["response_message_ephemeral"], true);
    assert_eq!(hook(&local, interaction, Method::DELETE, "@original", Value::Null).await.0, 204);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(refusal(&hook(&local, interaction, method, "@original", Value::Null).await), (404, 10008));
    }
    let again = hook(&local, interaction, Method::PATCH, "@original", json!({ "content": "x" })).await;
    assert_eq!(refusal(&again), (404, 10008));
}

#[tokio::test]
async fn suggestions_come_while_somebody_types() {
    let local = with_commands(|_| ()).await;
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let typing = UseCommand::new(local.channel("general"), local.owner(), "model").option("name", "op");
    let interaction = local.autocomplete(typing.clone(), "name").unwrap();
    let heard = bot.interaction().await.autocomplete().unwrap();
    let focused = heard.data.autocomplete().unwrap();
    assert_eq!((focused.name, focused.value), ("name", "op"));
    let choices = |count: usize| -> Value {
        let choices = (0..count).map(|n| json!({ "name": format!("opus {n}"), "value": "opus" }));
        json!({ "type": 8, "data": { "choices": choices.collect::<Value>() } })
    };
    let many = answer(&local, interaction, choices(26)).await;
    assert_eq!(mistake(&many, "data.choices"), "BASE_TYPE_MAX_LENGTH");
    let wrong = json!({ "type": 8, "data": { "choices": [{ "name": "x", "value": 7 }] } });
    assert_eq!(
        mistake(&answer(&local, interaction, wrong).await, "data.choices.0.value"),
        "STRING_TYPE_CONVERT"
    );
    let message = json!({ "type": 4, "data": { "content": "x" } });
    assert_eq!(mistake(&answer(&local, interaction, message).await, "type"), "BASE_TYPE_CHOICES");
    assert_eq!(answer(&local, interaction, choices(2)).await.0, 204);
    let response = local.response(interaction).unwrap();
    assert_eq!(response.suggestions[1], ("opus 1".to_owned(), json!("opus")));
    let (status, body) = hook(&local, interaction, Method::POST, "", json!({ "content": "x" })).await;
    assert_eq!(refusal(&(status, body)), (404, 10015), "no messages after suggestions");
    assert!(local.autocomplete(typing, "kind").is_err());
}

#[tokio::test]
async fn buttons_and_menus_are_used_as_they_are_offered() {
    let local = with_commands(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let mut off = button("off");
    off["disabled"] = true.into();
    let body = json!({ "content": "x", "components": [row([button("yes"), off]), row([menu(3)])] });
    let message = id(&post(&local, general, body).await.1);
    for refused in [
        local.press(message, anna, "no"),
        local.press(message, anna, "off"),
        local.press(message, anna, "menu"),
        local.press(Id::from(1), anna, "yes"),
        local.press(message, Id::from(1), "yes"),
        local.choose(message, anna, "yes", &["1"]),
        local.choose(message, anna, "menu", &["7"]),
        local.choose(message, anna, "menu", &[]),
        local.choose(message, anna, "menu", &["1", "2"]),
    ] {
        refused.unwrap_err();
    }
    let chosen = local.choose(message, anna, "menu", &["2"]).unwrap();
    let heard = bot.interaction().await.message_component().unwrap();
    let ComponentInteractionDataKind::StringSelect { values } = &heard.data.kind else { panic!("{heard:?}") };
    assert_eq!((values.as_slice(), heard.user.id.get()), (&["2".to_owned()][..], anna.get()));
    assert_eq!(answer(&local, chosen, json!({ "type": 6 })).await.0, 204);
    let response = local.response(chosen).unwrap();
    assert_eq!((response.deferred, response.message.unwrap().id), (true, message));
    let (_, edited) =
        hook(&local, chosen, Method::PATCH, "@original", json!({ "content": "chosen", "components": [] }))
            .await;
    assert_eq!((id(&edited), &edited["components"]), (message, &json!([])));
    assert!(local.press(message, anna, "yes").is_err(), "it is gone");

    // An ephemeral message's buttons are for the one person.
    let interaction = used(&local, "help");
    let data = json!({ "content": "sure?", "flags": 64, "components": [row([button("yes")])] });
    answer(&local, interaction, json!({ "type": 4, "data": data })).await;
    let message = local.response_message(interaction).await.id;
    assert!(local.press(message, anna, "yes").is_err());
    let pressed = local.press(message, local.owner(), "yes").unwrap();
    let update = json!({ "type": 7, "data": { "content": "done", "components": [] } });
    assert_eq!(answer(&local, pressed, update).await.0, 204);
    assert!(local.response(pressed).unwrap().ephemeral);
    assert_eq!(local.message(message).unwrap().content, "done");
    let kinds: BTreeSet<u8> = local.messages(general).iter().map(|message| message.kind).collect();
    assert_eq!(kinds, BTreeSet::from([0, 20]));
}

#[tokio::test]
async fn a_person_can_use_only_what_is_offered() {
    let local = with_commands(|_| ()).await;
    let (general, anna, staff) = (local.channel("general"), local.user("anna"), local.role("staff"));
    let direct = local.direct(anna);
    let here = |name: &str| UseCommand::new(general, anna, name);
    let refused = |used: UseCommand| local.use_command(used).unwrap_err().to_string();
    assert_eq!(refused(here("nothing")), "there is no /nothing here");
    assert_eq!(refused(here("queue")), "/queue needs one of its subcommands");
    assert_eq!(refused(here("queue").subcommand("x")), "there is no /queue x");
    assert_eq!(refused(here("help").option("x", 1)), "/help has no option x");
    assert_eq!(refused(here("do")), "/do needs count");
    assert_eq!(refused(here("do").option("count", "3")), "count needs a whole number");
    assert_eq!(refused(here("do").option("count", 10)), "count needs a number within its limits");
    assert_eq!(refused(here("do").option("count", 1).option("count", 1)), "count is given twice");
    let one = || here("do").option("count", 1);
    assert_eq!(refused(one().option("kind", "x")), "kind needs one of its choices");
    assert_eq!(refused(one().option("who", general)), "who needs somebody or something that is there");
    assert_eq!(refused(one().option("loud", "x")), "loud needs yes or no");
    assert_eq!(refused(UseCommand::new(direct, anna, "reset")), "there is no /reset here");
    assert_eq!(refused(UseCommand::new(direct, local.owner(), "help")), "there is no such channel or user");
    assert_eq!(refused(here("reset")), "@anna may not use /reset");
    assert!(local.use_command(UseCommand { opened: true, ..here("reset") }).is_ok());
    assert!(local.use_command(UseCommand::new(general, local.owner(), "reset")).is_ok());
    local.give_role(anna, staff);
    local.permit(staff, 1 << 13);
    assert!(local.use_command(here("reset")).is_ok());
    let heard = local.log().into_iter().filter(|event| matches!(event.what, What::Interacted { .. })).count();
    assert_eq!(heard, 3);
}

#[tokio::test]
async fn interactions_can_be_controlled_by_http() {
    let local = with_commands(|_| ()).await;
    let general = local.channel("general");
    let control = async |path: &str, body: Value| {
        let request = Web::new().post(format!("{}/control/{path}", local.url())).body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let look = async |path: &str| -> Value {
        reqwest::get(format!("{}/control/{path}", local.url())).await.unwrap().json().await.unwrap()
    };
    assert_eq!(look("commands").await[0]["name"], "help");
    let model =
        json!({ "channel": "general", "user": "anna", "name": "model", "options": { "name": "opus" } });
    let (status, body) = control("use", model.clone()).await;
    assert_eq!(status, 200, "{body}");
    let interaction = id(&serde_json::from_str(&body).unwrap());
    let path = format!("response?interaction={interaction}");
    assert_eq!(look(&path).await, Value::Null);
    let data = json!({ "content": "x", "components": [row([button("yes")]), row([menu(2)])] });
    answer(&local, interaction, json!({ "type": 4, "data": data })).await;
    let message = look(&path).await["message"]["id"].clone();
    assert_eq!(message, json!(local.messages(general)[0].id));
    let mut typing = model;
    typing["focused"] = "name".into();
    for (path, body) in [
        ("autocomplete", typing),
        ("use", json!({ "user": "anna", "name": "help" })),
        ("press", json!({ "message": message, "user": "anna", "custom_id": "yes" })),
        ("choose", json!({ "message": message, "user": "anna", "custom_id": "menu", "values": ["1"] })),
    ] {
        assert_eq!(control(path, body).await.0, 200, "{path}");
    }
    let reset = json!({ "channel": "general", "user": "anna", "name": "reset" });
    assert_eq!(control("use", reset).await, (403, "@anna may not use /reset\n".to_owned()));
}
