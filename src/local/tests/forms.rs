//! Forms from the bot's callback to what comes back.

use serenity::all::Interaction;

use super::interactions::{answer, hook, used, with_commands};
use super::layout::{button, row};
use super::*;

fn label(component: Value) -> Value {
    let name = component["custom_id"].as_str().unwrap_or_default().to_owned();
    json!({ "type": 18, "label": format!("The {name}"), "component": component })
}

fn options(count: usize) -> Value {
    (0..count).map(|n| json!({ "label": format!("Option {n}"), "value": n.to_string() })).collect()
}

fn changed(mut component: Value, key: &str, value: Value) -> Value {
    component[key] = value;
    component
}

fn text(custom_id: &str) -> Value {
    json!({ "type": 4, "style": 1, "custom_id": custom_id, "required": false, "min_length": 2, "max_length": 5 })
}

fn radio(custom_id: &str) -> Value {
    json!({ "type": 21, "custom_id": custom_id, "options": options(3) })
}

fn boxes(custom_id: &str) -> Value {
    json!({ "type": 22, "custom_id": custom_id, "options": options(3), "max_values": 2 })
}

fn menu(custom_id: &str) -> Value {
    json!({ "type": 3, "custom_id": custom_id, "options": options(3), "required": false })
}

fn opens(components: Value) -> Value {
    json!({ "type": 9, "data": { "custom_id": "form", "title": "Title", "components": components } })
}

/// One of each kind.
fn everything() -> Value {
    opens(json!([
        { "type": 10, "content": "Read this." },
        label(changed(text("text"), "value", "abc".into())),
        label(radio("radio")),
        label(boxes("boxes")),
        label(menu("menu")),
    ]))
}

/// A press on a button of the bot's, by anna.
async fn pressed(local: &LocalDiscord) -> (Id, Id) {
    let body = json!({ "content": "x", "components": [row([button("open")])] });
    let message = id(&post(local, local.channel("general"), body).await.1);
    (local.press(message, local.user("anna"), "open").unwrap(), message)
}

/// What the bot gets of a submission.
fn data(local: &LocalDiscord, interaction: Id, values: &[(&str, Value)]) -> Value {
    let form = local.open_form(interaction).unwrap();
    let values = values.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
    crate::local::modal::submission(&form, &values).unwrap()
}

#[tokio::test]
async fn a_form_opens_is_filled_in_and_comes_back_once() {
    let local = with_commands(|_| ()).await;
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let (press, message) = pressed(&local).await;
    assert_eq!(local.open_form(press), None);
    assert_eq!(answer(&local, press, everything()).await.0, 204);
    let response = local.acknowledged(press).await;
    assert_eq!((&response.message, response.deferred), (&None, false));
    assert_eq!(response.form.as_ref().unwrap()["components"][1]["component"]["id"], 3, "numbered");

    let wrong = |values: &[(&str, Value)]| local.submit(press, values).unwrap_err().to_string();
    let all = [("radio", json!("1")), ("boxes", json!(["0", "2"]))];
    let with = |field: &'static str, value: Value| [&all[..], &[(field, value)]].concat();
    let told = [
        wrong(&[]),
        wrong(&[("radio", json!("1"))]),
        wrong(&[("radio", json!("9")), all[1].clone()]),
        wrong(&[all[0].clone(), ("boxes", json!(["0", "1", "2"]))]),
        wrong(&[all[0].clone(), ("boxes", json!(["0", "0"]))]),
        wrong(&[all[0].clone(), ("boxes", json!("0"))]),
        wrong(&with("text", json!("a"))),
        wrong(&with("text", json!("abcdef"))),
        wrong(&with("text", json!("a\nb"))),
        wrong(&with("menu", json!(["0", "1"]))),
        wrong(&with("other", json!("x"))),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    “The radio” is required
    “The boxes” is required
    “The radio” needs one of its options
    “The boxes” takes 1 to 2 of its options
    “The boxes” takes each of its options once
    “The boxes” needs a list of its options
    “The text” needs 2 characters or more, not 1
    “The text” takes 5 characters at most, not 6
    “The text” takes one line
    “The menu” takes 1 of its options
    the form has no such field
    ");

    let expected = json!({ "custom_id": "form", "components": [
        { "type": 10, "id": 1 },
        { "type": 18, "id": 2, "component": { "type": 4, "id": 3, "custom_id": "text", "value": "abc" } },
        { "type": 18, "id": 4, "component": { "type": 21, "id": 5, "custom_id": "radio", "value": "1" } },
        { "type": 18, "id": 6, "component": { "type": 22, "id": 7, "custom_id": "boxes", "values": ["0", "2"] } },
        { "type": 18, "id": 8, "component": { "type": 3, "id": 9, "custom_id": "menu", "values": [] } },
    ] });
    assert_eq!(data(&local, press, &all), expected);
    let submitted = local.submit(press, &all).unwrap();
    let _press = bot.interaction().await;
    let heard = bot.interaction().await;
    let Interaction::Modal(heard) = heard else { panic!("{heard:?}") };
    assert_eq!((heard.data.custom_id.as_str(), heard.data.components.len()), ("form", 5));
    assert_eq!(heard.message.as_ref().unwrap().id.get(), message.get());
    assert_eq!((heard.id.get(), heard.user.name.as_str()), (submitted.get(), "anna"));
    assert_eq!(local.submit(press, &all).unwrap_err().to_string(), "no form is open");

    // It is answered like a press.
    let update = json!({ "type": 7, "data": { "content": "answered", "components": [] } });
    assert_eq!(answer(&local, submitted, update).await.0, 204);
    assert_eq!(local.message(message).unwrap().content, "answered");
    let more = hook(&local, submitted, Method::POST, "", json!({ "content": "more" })).await.1;
    let about = &more["interaction_metadata"];
    assert_eq!((&about["type"], &about["triggering_interaction_metadata"]["type"]), (&json!(5), &json!(3)));
}

#[tokio::test]
async fn a_form_of_a_command_has_no_message_to_update() {
    let local = with_commands(|_| ()).await;
    let command = used(&local, "help");
    assert_eq!(answer(&local, command, opens(json!([label(text("why"))]))).await.0, 204);
    let patch = hook(&local, command, Method::PATCH, "@original", json!({ "content": "x" })).await;
    assert_eq!(refusal(&patch), (404, 10008), "the form is no message");
    let submitted = local.submit(command, &[("why", json!("so"))]).unwrap();
    for kind in [6, 7, 8, 9] {
        let refused = answer(&local, submitted, json!({ "type": kind })).await;
        assert_eq!(mistake(&refused, "type"), "BASE_TYPE_CHOICES", "{kind}");
    }
    let reply = json!({ "type": 4, "data": { "content": "thanks", "flags": 64 } });
    assert_eq!(answer(&local, submitted, reply).await.0, 204);
    assert!(local.response(submitted).unwrap().ephemeral);
}

#[tokio::test]
async fn a_form_is_the_first_answer_or_none() {
    let local = with_commands(|_| ()).await;
    let (press, _) = pressed(&local).await;
    assert_eq!(answer(&local, press, json!({ "type": 6 })).await.0, 204);
    assert_eq!(refusal(&answer(&local, press, everything()).await), (400, 40060));
    assert_eq!(local.open_form(press), None);
    // What was refused does not count, and a form in answer to a form is refused.
    let (press, _) = pressed(&local).await;
    assert_eq!(answer(&local, press, opens(json!([]))).await.0, 400);
    assert_eq!(answer(&local, press, opens(json!([label(text("a"))]))).await.0, 204);
    assert_eq!(refusal(&answer(&local, press, json!({ "type": 6 })).await), (400, 40060));
    let submitted = local.submit(press, &[]).unwrap();
    assert_eq!(mistake(&answer(&local, submitted, everything()).await, "type"), "BASE_TYPE_CHOICES");
}

#[tokio::test]
async fn forms_keep_to_discords_limits() {
    let local = with_commands(|_| ()).await;
    let one = |component: Value| opens(json!([label(component)]));
    let with = |key: &str, value: Value| {
        let mut body = one(text("a"));
        body["data"][key] = value;
        body
    };
    let labelled = |key: &str, value: Value| opens(json!([changed(label(text("a")), key, value)]));
    let double = json!([{ "label": "a", "value": "x" }, { "label": "b", "value": "x" }]);
    let table = [
        (with("custom_id", Value::Null), "custom_id", "BASE_TYPE_REQUIRED"),
        (with("title", "t".repeat(46).into()), "title", "BASE_TYPE_BAD_LENGTH"),
        (opens(json!([])), "components", "BASE_TYPE_BAD_LENGTH"),
        (opens((0..6).map(|n| label(text(&n.to_string()))).collect()), "components", "BASE_TYPE_BAD_LENGTH"),
        (opens(json!([text("a")])), "components.0.type", "BASE_TYPE_CHOICES"),
        (opens(json!([{ "type": 10, "content": "" }])), "components.0.content", "BASE_TYPE_BAD_LENGTH"),
        (labelled("label", "l".repeat(46).into()), "components.0.label", "BASE_TYPE_BAD_LENGTH"),
        (labelled("description", "d".repeat(101).into()), "components.0.description", "BASE_TYPE_BAD_LENGTH"),
        (labelled("component", Value::Null), "components.0.component", "BASE_TYPE_REQUIRED"),
        (one(button("a")), "components.0.component.type", "BASE_TYPE_CHOICES"),
        (
            opens(json!([label(text("a")), label(radio("a"))])),
            "components.1.component.custom_id",
            "COMPONENT_CUSTOM_ID_DUPLICATED",
        ),
        (
            one(changed(text("a"), "max_length", 4001.into())),
            "components.0.component.max_length",
            "NUMBER_TYPE_MAX",
        ),
        (
            one(changed(text("a"), "min_length", 6.into())),
            "components.0.component.min_length",
            "NUMBER_TYPE_MAX",
        ),
        (
            one(changed(text("a"), "value", "abcdef".into())),
            "components.0.component.value",
            "BASE_TYPE_MAX_LENGTH",
        ),
        (
            one(changed(radio("a"), "options", options(1))),
            "components.0.component.options",
            "BASE_TYPE_BAD_LENGTH",
        ),
        (
            one(changed(radio("a"), "options", double)),
            "components.0.component.options.1.value",
            "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
        ),
        (
            one(changed(boxes("a"), "options", options(11))),
            "components.0.component.options",
            "BASE_TYPE_BAD_LENGTH",
        ),
        (
            one(changed(boxes("a"), "max_values", 4.into())),
            "components.0.component.max_values",
            "NUMBER_TYPE_MAX",
        ),
        (
            one(changed(boxes("a"), "min_values", 0.into())),
            "components.0.component.min_values",
            "NUMBER_TYPE_MIN",
        ),
        (
            one(changed(menu("a"), "options", options(26))),
            "components.0.component.options",
            "BASE_TYPE_BAD_LENGTH",
        ),
    ];
    let (press, _) = pressed(&local).await;
    for (body, at, code) in table {
        let refused = answer(&local, press, body.clone()).await;
        assert_eq!(mistake(&refused, &format!("data.{at}")), code, "{body}");
    }
    assert_eq!(answer(&local, press, everything()).await.0, 204);
}

#[tokio::test]
async fn a_form_is_submitted_by_http() {
    let local = with_commands(|_| ()).await;
    let (press, _) = pressed(&local).await;
    answer(&local, press, opens(json!([label(radio("which"))]))).await;
    let submit = async |values: Value| {
        let body = json!({ "interaction": press, "values": values }).to_string();
        let answer =
            Web::new().post(format!("{}/control/submit", local.url())).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let look = reqwest::get(format!("{}/control/response?interaction={press}", local.url())).await.unwrap();
    assert_eq!(look.json::<Value>().await.unwrap()["form"]["title"], "Title");
    assert_eq!(submit(json!({})).await, (403, "“The which” is required\n".to_owned()));
    assert_eq!(submit(json!({ "which": "2" })).await.0, 200);
    assert_eq!(submit(json!({ "which": "2" })).await, (403, "no form is open\n".to_owned()));
}
