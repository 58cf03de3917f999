//! What MCP servers want of people, answered in the channel.

use moonlane::domain::Outcome;
use moonlane::local::{Id, Message};
use moonlane::turn::Settled;
use serde_json::json;

use crate::commands::{buttons, says};
use crate::questions::{button, ended, fill_in, plain, question};
use crate::support::{Setup, Stage, routing_with, within};

pub const PAY: &str = r#"FORM:shop:{"mode":"url","message":"The order is ready.","url":"https://pay.example.org/checkout?order=7"}"#;

const SIGN_UP: &str = r#"FORM:forms:{"mode":"form","message":"Please sign up.","property_order":["name","age","size","news"],
    "requested_schema":{"type":"object","required":["name","size"],"properties":{
        "name":{"type":"string","title":"Your name","minLength":2},
        "age":{"type":"integer","minimum":18,"maximum":150,"description":"In years"},
        "size":{"type":"string","oneOf":[{"const":"s","title":"Small"},{"const":"l","title":"Large"}]},
        "news":{"type":"boolean","default":true}}}}"#;

fn sign_up() -> String {
    SIGN_UP.replace('\n', "")
}

/// Presses this button, fills in the form that opens, and sends it; what is said to that.
async fn fill_in_and_hear(stage: &Stage, person: Id, asked: &Message, typed: &[(&str, &str)]) -> String {
    let press = stage.discord.press(asked.id, person, &button(asked, "fill_in")).unwrap();
    within("a form", stage.discord.form(press)).await;
    let typed: Vec<_> = typed.iter().map(|(field, text)| (*field, json!(text))).collect();
    let sent = stage.discord.submit(press, &typed).unwrap();
    says(stage, sent).await.content
}

/// What stands in the form that this person gets.
async fn opens_with(stage: &Stage, person: Id, asked: &Message) -> Vec<String> {
    let press = stage.discord.press(asked.id, person, &button(asked, "fill_in")).unwrap();
    let form = within("a form", stage.discord.form(press)).await;
    let inputs = form["components"].as_array().unwrap().iter();
    let value = |input: &serde_json::Value| input.as_str().unwrap_or_default().to_owned();
    inputs.map(|row| value(&row["components"][0]["value"])).collect()
}

#[tokio::test]
async fn a_form_is_filled_in_until_it_does_and_the_server_gets_its_values() {
    let mut stage = Stage::open().await;
    let owner = stage.discord.owner();
    let turn = stage.say("general", &sign_up());
    let asked = question(&stage, "general").await;
    assert_eq!((asked.reply_to, &asked.pinged[..]), (Some(turn), &[owner][..]));
    insta::assert_snapshot!(plain(&stage, &asked.content), @"
    @owner The MCP server `forms` asks:
    ```txt
    Please sign up.
    ```
    -# • `Your name`: text of at least 2 characters
    -# • `age` (may be left out): a whole number from 18 to 150. `In years`
    -# • `size`: one of these: `Small`, `Large`
    -# • `news` (may be left out): one of these: `yes`, `no`
    -# What you write goes to that server: no passwords and no keys.
    ");
    let early = stage.discord.press(asked.id, owner, &button(&asked, "fill_in")).unwrap();
    assert_eq!(says(&stage, early).await.content, "`size` is missing: it has to be one of these.");
    let chosen = stage.discord.choose(asked.id, owner, &button(&asked, "menu2"), &["1"]).unwrap();
    within("a choice", stage.discord.acknowledged(chosen)).await;
    let said = fill_in_and_hear(&stage, owner, &asked, &[("0", "A"), ("1", "36")]).await;
    insta::assert_snapshot!(said, @"`Your name` has to be text of at least 2 characters. What you wrote is kept: press “Answer” again.");
    assert_eq!(opens_with(&stage, owner, &asked).await, ["A", "36"]);
    fill_in(&stage, &asked, "fill_in", &[("0", "Ada"), ("1", "36")]).await;
    assert!(ended(&stage, &asked).await.ends_with("\n-# ✅ Answered by @owner"));
    assert_eq!(stage.settled(turn).await, Settled::Ended(Outcome::Answered));
    insta::assert_snapshot!(stage.answer(turn), @r#"forms got: `{"action":"accept","content":{"age":36,"name":"Ada","news":true,"size":"l"}}`"#);
}

#[tokio::test]
async fn what_somebody_has_typed_is_shown_to_nobody_else() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let [ada, bob] = ["ada", "bob"].map(|name| stage.discord.user(name));
    let routing = routing_with(&format!("approvers = {{ users = {{ '{bob}' }} }}"));
    let allow = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing.replacen("return {", &allow, 1));
    stage.start().await;
    let turn = stage.say_as("ada", "general", &sign_up());
    let asked = question(&stage, "general").await;
    let chosen = stage.discord.choose(asked.id, ada, &button(&asked, "menu2"), &["0"]).unwrap();
    within("a choice", stage.discord.acknowledged(chosen)).await;
    fill_in_and_hear(&stage, ada, &asked, &[("0", "Ada"), ("1", "7")]).await;
    assert_eq!(opens_with(&stage, bob, &asked).await, ["", ""]);
    assert_eq!(opens_with(&stage, ada, &asked).await, ["Ada", "7"]);
    stage.discord.press(asked.id, bob, &button(&asked, "decline")).unwrap();
    assert!(ended(&stage, &asked).await.ends_with("\n-# 🚫 Declined by @bob"));
    stage.settled(turn).await;
}

#[tokio::test]
async fn an_address_is_shown_whole_and_opened_by_nobody_but_the_person() {
    for (press, ends, got) in [
        ("done", "✅ Answered by @owner", r#"{"action":"accept"}"#),
        ("decline", "🚫 Declined by @owner", r#"{"action":"decline"}"#),
    ] {
        let mut stage = Stage::open().await;
        let turn = stage.say("general", PAY);
        let asked = question(&stage, "general").await;
        let text = plain(&stage, &asked.content);
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @"
            @owner The MCP server `shop` wants you to open this address yourself, and to say when you have:
            ```txt
            https://pay.example.org/checkout?order=7
            ```
            -# It leads to `pay.example.org`
            -# The server says: `The order is ready.`
            ");
        }
        assert_eq!(buttons(&asked).len(), 2, "none that leads there: {:?}", asked.components);
        stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, press)).unwrap();
        assert_eq!(ended(&stage, &asked).await, format!("{text}\n-# {ends}"));
        stage.settled(turn).await;
        assert_eq!(stage.answer(turn), format!("shop got: `{got}`"));
    }
}

#[tokio::test]
async fn a_form_can_be_declined_or_put_aside() {
    for (press, ends, got) in [
        ("decline", "🚫 Declined by @owner", r#"{"action":"decline"}"#),
        ("dismiss", "✖️ Cancelled by @owner", r#"{"action":"cancel"}"#),
    ] {
        let mut stage = Stage::open().await;
        let turn = stage.say("general", &sign_up());
        let asked = question(&stage, "general").await;
        stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, press)).unwrap();
        assert!(ended(&stage, &asked).await.ends_with(ends));
        stage.settled(turn).await;
        assert_eq!(stage.answer(turn), format!("forms got: `{got}`"));
    }
}

#[tokio::test]
async fn where_only_consent_or_choices_are_wanted_one_press_answers() {
    for (schema, got) in
        [("{}", "{}"), (r#"{"properties":{"news":{"type":"boolean","default":false}}}"#, r#"{"news":false}"#)]
    {
        let mut stage = Stage::open().await;
        let turn =
            stage.say("general", &format!(r#"FORM:forms:{{"message":"Sure?","requested_schema":{schema}}}"#));
        let asked = question(&stage, "general").await;
        stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, "fill_in")).unwrap();
        assert!(ended(&stage, &asked).await.ends_with("✅ Answered by @owner"));
        stage.settled(turn).await;
        assert_eq!(stage.answer(turn), format!(r#"forms got: `{{"action":"accept","content":{got}}}`"#));
    }
}

#[tokio::test]
async fn what_can_be_left_out_can_be_left_out_again() {
    let mut stage = Stage::open().await;
    let schema = r#"{"properties":{"news":{"type":"boolean","default":true}}}"#;
    let turn =
        stage.say("general", &format!(r#"FORM:forms:{{"message":"Sure?","requested_schema":{schema}}}"#));
    let asked = question(&stage, "general").await;
    let owner = stage.discord.owner();
    let chosen = stage.discord.choose(asked.id, owner, &button(&asked, "menu0"), &["none"]).unwrap();
    within("a choice", stage.discord.acknowledged(chosen)).await;
    stage.discord.press(asked.id, owner, &button(&asked, "fill_in")).unwrap();
    stage.settled(turn).await;
    assert_eq!(stage.answer(turn), r#"forms got: `{"action":"accept","content":{}}`"#);
}

#[tokio::test]
async fn where_nobody_answers_in_time_the_server_is_told_that_nobody_does() {
    let setup = Setup { routing: routing_with("limits = { question = 0.05 }"), ..Setup::default() };
    let mut stage = Stage::with(setup).await;
    let turn = stage.say("general", "FORM:forms");
    assert_eq!(stage.settled(turn).await, Settled::Ended(Outcome::Answered));
    let channel = stage.discord.channel("general");
    let found = stage.discord.wait_until(|discord| {
        let messages = discord.messages(channel);
        messages.into_iter().find(|it| it.content.ends_with("⌛ Nobody answered in time"))
    });
    assert!(buttons(&within("the question's end", found).await).is_empty());
    assert_eq!(stage.answer(turn), r#"forms got: `{"action":"cancel"}`"#);
}

#[tokio::test]
async fn a_turn_that_is_stopped_withdraws_what_a_server_wants() {
    let mut stage = Stage::open().await;
    let turn = stage.say("general", "FORM:forms");
    let asked = question(&stage, "general").await;
    stage.discord.delete(turn);
    assert!(ended(&stage, &asked).await.ends_with("Not needed any more: the turn was stopped or is over"));
    stage.settled(turn).await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_at_once_and_the_person_is_told() {
    let six = (0..6).map(|n| format!(r#""{n}":{{"type":"string"}}"#)).collect::<Vec<_>>().join(",");
    let mut stage = Stage::open().await;
    let asks = [
        format!(r#"FORM:forms:{{"requested_schema":{{"properties":{{{six}}}}}}}"#),
        r#"FORM:forms:{"requested_schema":{"properties":{"a":{"type":"object"}}}}"#.to_owned(),
        r#"FORM:`x`:{"mode":"url","message":"Look","url":"javascript:alert(1)"}"#.to_owned(),
    ];
    insta::assert_snapshot!(stage.ask("general", &asks.join(" ;; ")).await, @r#"
    forms got: `{"action":"cancel"}`

    forms got: `{"action":"cancel"}`

    `x` got: `{"action":"cancel"}`

    -# The MCP servers `forms`, `'x'` wanted something of a person, which can't be answered here
    "#);
    assert!(!stage.ask("general", "TEXT:on").await.contains("MCP"));
}
