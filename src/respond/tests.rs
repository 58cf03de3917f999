//! Responders against a server that answers what the test says.

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::*;
use crate::domain::{
    Allow, ApplicationId, Author, ButtonStyle, ChannelId, Controls, Dialog, DialogButton, DialogEnd,
    InteractionToken, Invocation, OptionValue, SelectOption, UserId, form_tests::form,
};
use crate::outbox::tests::{Answer, Seen, Server, answer};

/// When an answer is deferred, in tests that wait for it.
const DEFER: Duration = Duration::from_millis(150);
/// The same in all other tests, however busy the machine is.
const NEVER: Duration = Duration::from_secs(3600);
const TOKEN: Duration = Duration::from_millis(800);
const ANN: u64 = 40;
const BOB: u64 = 41;

async fn start(answers: impl IntoIterator<Item = Answer>) -> (Server, Responders) {
    start_with(NEVER, answers).await
}

/// The same, with answers that are deferred soon.
async fn start_deferring() -> (Server, Responders) {
    start_with(DEFER, []).await
}

async fn start_with(defer: Duration, answers: impl IntoIterator<Item = Answer>) -> (Server, Responders) {
    let (server, outbox) = Server::start(answers).await;
    let discord = outbox.interactions(ApplicationId::new(8).unwrap());
    (server, Responders::new(discord, Times { defer, token: TOKEN }))
}

/// Interaction N has the token `tN`.
fn interaction(id: u64, user: u64, kind: InteractionKind) -> Interaction {
    Interaction {
        id: InteractionId::new(id).unwrap(),
        token: InteractionToken(format!("t{id}")),
        channel_id: ChannelId::new(20).unwrap(),
        parent_channel_id: None,
        channel_name: "general".into(),
        guild_id: None,
        author: Author { id: UserId::new(user).unwrap(), name: "ann".into(), roles: Vec::new(), bot: false },
        permissions: 0,
        received: std::time::Instant::now(),
        kind,
    }
}

fn command() -> InteractionKind {
    InteractionKind::Command(Invocation {
        command: "x".into(),
        subcommand: None,
        options: Vec::new(),
        permissions: Default::default(),
    })
}

fn press(custom_id: &str, values: &[&str]) -> InteractionKind {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    InteractionKind::Press { custom_id: custom_id.to_owned(), values, message: MessageId::new(500).unwrap() }
}

async fn asked(responders: &Responders) -> Responder {
    responders.take(interaction(30, ANN, command())).await.unwrap()
}

/// Waits until so many calls have come.
async fn calls(server: &Server, count: usize) -> Vec<Seen> {
    let arrived = async {
        while server.calls().len() < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(Duration::from_secs(60), arrived).await;
    assert!(waited.is_ok(), "not {count} calls, but {:?}", server.whats());
    server.calls()
}

fn callback(id: u64) -> String {
    format!("POST /api/v10/interactions/{id}/t{id}/callback")
}

fn original(id: u64) -> String {
    format!("PATCH /api/v10/webhooks/8/t{id}/messages/@original")
}

fn further(id: u64) -> String {
    format!("POST /api/v10/webhooks/8/t{id}")
}

const OPENLY: &str = "POST /api/v10/channels/20/messages";

#[tokio::test]
async fn a_quick_answer_is_the_callback_and_nothing_is_deferred() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    responder.reply(&Reply::text("one")).await.unwrap();
    responder.reply(&Reply::ephemeral("two")).await.unwrap();
    responder.reply(&Reply::text("three")).await.unwrap();
    responder.edit(&Reply::text("four")).await.unwrap();
    // As it does by itself after a while.
    responder.defer(false).await;
    let whats = server.whats();
    assert_eq!(
        whats,
        [callback(30), further(30), further(30), "PATCH /api/v10/webhooks/8/t30/messages/3".to_owned()]
    );
    let calls = server.calls();
    assert_eq!((&calls[0].body["type"], &calls[0].body["data"]["content"]), (&json!(4), &json!("one")));
    assert_eq!((&calls[1].body["flags"], &calls[2].body["flags"]), (&json!(64), &json!(0)));
    assert_eq!(calls[3].body["content"], "four");
}

#[tokio::test]
async fn a_slow_answer_is_deferred_in_time_and_takes_its_place() {
    let (server, responders) = start_deferring().await;
    let responder = asked(&responders).await;
    let begin = Instant::now();
    let deferred = calls(&server, 1).await;
    assert_eq!((&deferred[0].what, &deferred[0].body["type"]), (&callback(30), &json!(5)));
    assert!(deferred[0].at - begin >= DEFER - Duration::from_millis(20));
    responder.reply(&Reply::text("one")).await.unwrap();
    responder.edit(&Reply::text("two")).await.unwrap();
    responder.reply(&Reply::text("three")).await.unwrap();
    assert_eq!(server.whats(), [callback(30), original(30), original(30), further(30)]);

    // What waited somewhere before is not given two seconds anew.
    let (server, responders) = start([]).await;
    let received = std::time::Instant::now().checked_sub(NEVER).unwrap();
    let late = Interaction { received, ..interaction(31, ANN, command()) };
    let _late = responders.take(late).await.unwrap();
    calls(&server, 1).await;
}

#[tokio::test]
async fn an_answer_to_one_person_takes_a_deferral_to_everybody_back() {
    let (server, responders) = start_deferring().await;
    let responder = asked(&responders).await;
    calls(&server, 1).await;
    responder.reply(&Reply::ephemeral("psst")).await.unwrap();
    let deleted = original(30).replace("PATCH", "DELETE");
    assert_eq!(server.whats(), [callback(30), deleted, further(30)]);
    assert_eq!(server.calls()[2].body["flags"], 64);

    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    responder.defer(true).await;
    responder.reply(&Reply::ephemeral("psst")).await.unwrap();
    assert_eq!(server.whats(), [callback(30), original(30)]);
    assert_eq!(server.calls()[0].body, json!({"type": 5, "data": {"flags": 64}}));
}

#[tokio::test]
async fn after_the_tokens_time_messages_are_ordinary_ones_and_none_is_for_one_person() {
    let told = json!({"interaction": {}, "resource": {"message": {"id": "99"}}});
    let (server, responders) = start([answer(200, told)]).await;
    let responder = asked(&responders).await;
    responder.reply(&Reply::text("one")).await.unwrap();
    sleep(TOKEN).await;
    responder.edit(&Reply::text("two")).await.unwrap();
    responder.reply(&Reply::text("three")).await.unwrap();
    responder.edit(&Reply::text("four")).await.unwrap();
    let error = responder.reply(&Reply::ephemeral("psst")).await.unwrap_err();
    assert_eq!(error, RespondError::Late);
    assert!(error.to_string().contains("only a message that everybody sees"), "{error}");
    let edited = |id: u64| format!("PATCH /api/v10/channels/20/messages/{id}");
    assert_eq!(server.whats(), [callback(30), edited(99), OPENLY.to_owned(), edited(3)]);

    // Where Discord never told which message it was, an edit is a new one; what one person saw is not shown to all.
    for (reply, expected) in [(Reply::text("a"), Ok(())), (Reply::ephemeral("a"), Err(RespondError::Late))] {
        let (server, responders) = start([]).await;
        let responder = asked(&responders).await;
        responder.reply(&reply).await.unwrap();
        sleep(TOKEN).await;
        assert_eq!(responder.edit(&Reply::text("b")).await, expected);
        assert_eq!(server.whats().len(), 1 + usize::from(expected.is_ok()));
    }
}

#[tokio::test]
async fn refusals_are_told_and_a_missed_deadline_leaves_ordinary_messages() {
    let no = |status, code: u32| answer(status, json!({"code": code, "message": "no"}));
    let (server, responders) = start([no(404, 10062)]).await;
    let responder = asked(&responders).await;
    responder.reply(&Reply::text("one")).await.unwrap();
    assert_eq!(responder.reply(&Reply::ephemeral("two")).await, Err(RespondError::Late));
    assert_eq!(server.whats(), [callback(30), OPENLY.to_owned()]);

    let (_server, responders) = start([no(400, 40060)]).await;
    let responder = asked(&responders).await;
    assert_eq!(responder.reply(&Reply::text("one")).await, Err(RespondError::Elsewhere));
    assert_eq!(responder.edit(&Reply::text("one")).await, Err(RespondError::NothingSaid));

    // What Discord finds wrong can be put right.
    let (server, responders) = start([no(400, 50035)]).await;
    let responder = asked(&responders).await;
    let error = responder.reply(&Reply::text("")).await.unwrap_err();
    assert!(error.to_string().contains("no (50035)"), "{error}");
    responder.reply(&Reply::text("one")).await.unwrap();
    assert_eq!(server.whats(), [callback(30), callback(30)]);

    // Discord takes a first answer once, so it is sent again, and never said twice.
    let (server, responders) = start([answer(502, json!({}))]).await;
    let responder = asked(&responders).await;
    responder.reply(&Reply::text("one")).await.unwrap();
    responder.reply(&Reply::text("two")).await.unwrap();
    assert_eq!(server.whats(), [callback(30), callback(30), further(30)]);
}

#[tokio::test]
async fn an_interaction_that_comes_twice_counts_once_and_nobody_is_left_waiting() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    assert!(responders.take(interaction(30, ANN, command())).await.is_none());
    responder.finish("This command said nothing.").await.unwrap();
    responder.finish("This command said nothing.").await.unwrap();
    assert_eq!(server.whats(), [callback(30)]);
    assert_eq!(server.calls()[0].body["data"]["flags"], 64);

    // Who lets go of it says that no answer will come.
    let (server, responders) = start_deferring().await;
    drop(responders.take(interaction(31, ANN, command())).await);
    sleep(DEFER * 2).await;
    assert_eq!(server.whats().len(), 0);
}

#[tokio::test]
async fn suggestions_are_answered_and_never_deferred() {
    let (server, responders) = start_deferring().await;
    let invocation = Invocation {
        command: "x".into(),
        subcommand: None,
        options: Vec::new(),
        permissions: Default::default(),
    };
    let typing = |id| interaction(id, ANN, InteractionKind::Autocomplete(invocation.clone(), "o".into()));
    let slow = responders.take(typing(31)).await.unwrap();
    sleep(DEFER * 2).await;
    assert!(server.whats().is_empty());
    drop(slow);
    let choice = |n| Choice { name: format!("{n}"), value: OptionValue::Integer(n) };
    let choices: Vec<_> = (0..30).map(choice).collect();
    responders.take(typing(32)).await.unwrap().suggest(&choices).await.unwrap();
    let body = &server.calls()[0].body;
    assert_eq!((&body["type"], body["data"]["choices"].as_array().unwrap().len()), (&json!(8), 25));
}

#[tokio::test]
async fn a_press_on_somebody_elses_button_can_change_its_message() {
    let (server, responders) = start_deferring().await;
    let pressed = responders.take(interaction(31, ANN, press("mine", &[]))).await.unwrap();
    pressed.edit(&Reply::text("pressed")).await.unwrap();
    pressed.reply(&Reply::text("more")).await.unwrap();
    let slow = responders.take(interaction(32, ANN, press("mine", &[]))).await.unwrap();
    assert_eq!(calls(&server, 3).await[2].body, json!({"type": 6}));
    slow.edit(&Reply::text("later")).await.unwrap();
    assert_eq!(server.whats(), [callback(31), further(31), callback(32), original(32)]);
    assert_eq!(server.calls()[0].body["type"], 7);
}

fn confirmation(ephemeral: bool, wait: Duration, who: &[u64]) -> Dialog {
    let button =
        |label: &str, value: &str, style| DialogButton { label: label.into(), value: value.into(), style };
    Dialog {
        question: Reply { ephemeral, ..Reply::text("Sure?") },
        controls: Controls::Buttons(vec![
            button("Yes", "y", ButtonStyle::Danger),
            button("No", "n", ButtonStyle::Primary),
        ]),
        timeout: wait,
        who: Allow { users: who.iter().map(|id| UserId::new(*id).unwrap()).collect(), roles: Vec::new() },
    }
}

const LONG: Duration = Duration::from_secs(20);

/// Begins a dialog; the ids of what can be pressed are told once it is posted.
async fn begin(
    server: &Server,
    responder: &Responder,
    dialog: Dialog,
) -> (tokio::task::JoinHandle<Result<DialogEnd, RespondError>>, Vec<String>) {
    let before = server.calls().len();
    let responder = responder.clone();
    let waiting = tokio::spawn(async move { responder.ask(dialog).await });
    let posted = calls(server, before + 1).await[before].body.clone();
    let message = if posted["data"].is_null() { &posted } else { &posted["data"] };
    (waiting, ids(&message["components"]))
}

fn ids(rows: &Value) -> Vec<String> {
    let components = rows.as_array().unwrap().iter().flat_map(|row| row["components"].as_array().unwrap());
    components.map(|component| component["custom_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_answer_counts_once_and_only_from_who_may_give_it() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let (waiting, ids) = begin(&server, &responder, confirmation(false, LONG, &[])).await;
    assert!(responders.take(interaction(31, BOB, press(&ids[0], &[]))).await.is_none());
    let refused = calls(&server, 2).await.pop().unwrap();
    assert_eq!((&refused.what, &refused.body["data"]["flags"]), (&callback(31), &json!(64)));
    assert_eq!(refused.body["data"]["content"], "Only the person who used the command can answer this.");

    assert!(responders.take(interaction(32, ANN, press(&ids[1], &[]))).await.is_none());
    assert!(responders.take(interaction(33, ANN, press(&ids[0], &[]))).await.is_none());
    let end = waiting.await.unwrap().unwrap();
    let DialogEnd::Chosen { value, by } = end else { panic!("{end:?}") };
    assert_eq!((value.as_str(), by.id.get()), ("n", ANN));
    let calls = calls(&server, 4).await;
    let of = |id: u64| calls.iter().find(|call| call.what == callback(id)).unwrap().body.clone();
    // Switched off, and what was chosen keeps its colour.
    let buttons = &of(32)["data"]["components"][0]["components"];
    assert_eq!((&of(32)["type"], &of(32)["data"].get("content")), (&json!(7), &None));
    assert_eq!((&buttons[0]["disabled"], &buttons[1]["disabled"]), (&json!(true), &json!(true)));
    assert_eq!((&buttons[0]["style"], &buttons[1]["style"]), (&json!(2), &json!(1)));
    assert_eq!((&of(33)["type"], &of(33)["data"]["flags"]), (&json!(4), &json!(64)));
    assert!(of(33)["data"]["content"].as_str().unwrap().contains("closed"));
    assert!(responders.open().is_empty());
}

#[tokio::test]
async fn a_press_brings_a_newer_token() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let (waiting, ids) = begin(&server, &responder, confirmation(true, LONG, &[])).await;
    sleep(TOKEN - Duration::from_millis(200)).await;
    assert!(responders.take(interaction(31, ANN, press(&ids[0], &[]))).await.is_none());
    waiting.await.unwrap().unwrap();
    sleep(Duration::from_millis(400)).await;
    // The first token's time is over.
    responder.edit(&Reply::ephemeral("Done.")).await.unwrap();
    responder.reply(&Reply::ephemeral("And more.")).await.unwrap();
    assert_eq!(server.whats(), [callback(30), callback(31), original(31), further(31)]);
    sleep(TOKEN).await;
    assert_eq!(responder.reply(&Reply::ephemeral("Late.")).await, Err(RespondError::Late));
}

#[tokio::test]
async fn named_people_may_answer_and_a_menu_gives_what_was_chosen() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let entry = |value: &str| SelectOption {
        label: value.to_uppercase(),
        value: value.into(),
        description: None,
        chosen: value == "a",
    };
    let controls = Controls::Select { placeholder: None, options: vec![entry("a"), entry("b")] };
    let dialog = Dialog { controls, ..confirmation(false, LONG, &[BOB]) };
    let (waiting, ids) = begin(&server, &responder, dialog).await;
    for (n, user, values) in [(31, ANN, vec!["a"]), (32, BOB, vec!["z"]), (33, BOB, vec![])] {
        assert!(responders.take(interaction(n, user, press(&ids[0], &values))).await.is_none());
    }
    let refusals = calls(&server, 4).await;
    assert!(refusals[1..].iter().all(|call| call.body["data"]["flags"] == 64));
    let to_ann = refusals.iter().find(|call| call.what == callback(31)).unwrap();
    assert_eq!(to_ann.body["data"]["content"], "This question is for somebody else.");
    assert!(responders.take(interaction(34, BOB, press(&ids[0], &["b"]))).await.is_none());
    let end = waiting.await.unwrap().unwrap();
    let DialogEnd::Chosen { value, by } = end else { panic!("{end:?}") };
    assert_eq!((value.as_str(), by.id.get()), ("b", BOB));
    let off = &server.calls()[4].body["data"]["components"][0]["components"][0];
    assert_eq!(off["disabled"], true);
    assert_eq!((&off["options"][0]["default"], &off["options"][1]["default"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn a_dialog_that_nobody_answers_is_switched_off() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let (waiting, ids) =
        begin(&server, &responder, confirmation(false, Duration::from_millis(80), &[])).await;
    assert_eq!(waiting.await.unwrap(), Ok(DialogEnd::TimedOut));
    assert_eq!(server.whats(), [callback(30), original(30)]);
    let buttons = server.calls()[1].body["components"][0]["components"].clone();
    assert_eq!((&buttons[0]["disabled"], &buttons[0]["style"]), (&json!(true), &json!(4)));
    assert!(responders.take(interaction(31, ANN, press(&ids[0], &[]))).await.is_none());
    assert!(calls(&server, 3).await[2].body["data"]["content"].as_str().unwrap().contains("closed"));

    // Also where the token's time is over by then, and where nobody waits any more.
    let (server, responders) = start([answer(200, json!({"resource": {"message": {"id": "99"}}}))]).await;
    let responder = asked(&responders).await;
    assert_eq!(responder.ask(confirmation(false, TOKEN, &[])).await, Ok(DialogEnd::TimedOut));
    assert_eq!(server.whats()[1], "PATCH /api/v10/channels/20/messages/99");
    let (waiting, ids) = begin(&server, &responder, confirmation(false, LONG, &[])).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    assert!(responders.open().is_empty());
    assert!(responders.take(interaction(31, ANN, press(&ids[0], &[]))).await.is_none());
    assert!(calls(&server, 4).await[3].body["data"]["content"].as_str().unwrap().contains("closed"));
}

#[tokio::test]
async fn a_press_on_a_dialog_of_an_earlier_bot_says_that_it_is_over() {
    let (server, responders) = start([]).await;
    let (waiting, ids) = begin(&server, &asked(&responders).await, confirmation(false, LONG, &[])).await;
    let (later, restarted) = start([]).await;
    let garbled = ["moonlane:", "moonlane:x:0", "moonlane:00000000000000000000000000000000:menu"];
    for (n, id) in garbled.into_iter().chain([ids[0].as_str()]).enumerate() {
        assert!(restarted.take(interaction(50 + n as u64, ANN, press(id, &[]))).await.is_none());
        let answered = calls(&later, n + 1).await.pop().unwrap();
        assert_eq!((&answered.body["type"], &answered.body["data"]["flags"]), (&json!(4), &json!(64)));
        assert!(answered.body["data"]["content"].as_str().unwrap().contains("closed"), "{id}");
    }
    waiting.abort();
}

#[tokio::test]
async fn a_dialog_that_is_open_when_the_bot_stops_says_so_once() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let (waiting, ids) = begin(&server, &responder, confirmation(true, LONG, &[])).await;
    responders.close();
    assert_eq!(waiting.await.unwrap(), Err(RespondError::Restarting));
    assert!(responder.is_over() && responders.open().is_empty());
    responder.end_early("The bot restarts.").await.unwrap();
    responder.finish("Done.").await.unwrap();
    assert_eq!(responder.ask(confirmation(true, LONG, &[])).await, Err(RespondError::Restarting));
    assert_eq!(server.whats(), [callback(30), original(30)], "nothing is said twice");
    let body = &server.calls()[1].body;
    assert_eq!(
        body["content"],
        "Sure?\n\n⚠️ I'm restarting, so this question is closed. Use the command again in a minute."
    );
    let buttons = &body["components"][0]["components"];
    assert_eq!((&buttons[0]["disabled"], &buttons[1]["disabled"]), (&json!(true), &json!(true)));

    assert!(responders.take(interaction(31, ANN, press(&ids[0], &[]))).await.is_none());
    let refused = &server.calls()[2].body["data"];
    assert_eq!((&refused["content"], &refused["flags"]), (&json!(words::RESTARTING), &json!(64)));
}

#[tokio::test]
async fn a_dialog_says_that_the_bot_stops_as_long_as_there_is_a_way() {
    // Its interaction's time is over.
    let (server, responders) = start([answer(200, json!({"resource": {"message": {"id": "99"}}}))]).await;
    let (waiting, _) = begin(&server, &asked(&responders).await, confirmation(false, LONG, &[])).await;
    sleep(TOKEN).await;
    responders.close();
    waiting.await.unwrap().unwrap_err();
    assert_eq!(server.whats()[1..], ["PATCH /api/v10/channels/20/messages/99"]);

    // There is no room below the question.
    let (server, responders) = start([]).await;
    let mut dialog = confirmation(false, LONG, &[]);
    dialog.question.text = "😀".repeat(1000);
    let (waiting, _) = begin(&server, &asked(&responders).await, dialog).await;
    responders.close();
    waiting.await.unwrap().unwrap_err();
    let content = server.calls()[1].body["content"].as_str().unwrap().to_owned();
    assert!(content.contains("😀…\n\n⚠️ I'm restarting") && content.ends_with("in a minute."), "{content}");
    assert!((1998..=2000).contains(&content.encode_utf16().count()));

    // A press that came before counts.
    let (server, responders) = start([]).await;
    let (waiting, ids) = begin(&server, &asked(&responders).await, confirmation(false, LONG, &[])).await;
    assert!(responders.take(interaction(31, ANN, press(&ids[0], &[]))).await.is_none());
    responders.close();
    assert!(matches!(waiting.await.unwrap(), Ok(DialogEnd::Chosen { .. })));
}

#[tokio::test]
async fn an_early_end_takes_the_place_of_a_deferral_whoever_sees_it() {
    for ephemeral in [false, true] {
        let (server, responders) = start([]).await;
        let responder = asked(&responders).await;
        responder.defer(ephemeral).await;
        responder.end_early("The bot restarts.").await.unwrap();
        assert_eq!(server.whats(), [callback(30), original(30)]);
    }
    // Whoever has an answer hears it alone.
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    responder.reply(&Reply::text("one")).await.unwrap();
    responder.end_early("The bot restarts.").await.unwrap();
    assert_eq!(server.calls()[1].body["flags"], 64);
}

#[tokio::test]
async fn a_press_that_cannot_be_answered_counts_all_the_same() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let (waiting, ids) = begin(&server, &responder, confirmation(false, LONG, &[])).await;
    let no = answer(404, json!({"code": 10062, "message": "Unknown interaction"}));
    server.0.lock().answers.push_back(no);
    assert!(responders.take(interaction(31, ANN, press(&ids[0], &[]))).await.is_none());
    assert!(matches!(waiting.await.unwrap(), Ok(DialogEnd::Chosen { .. })));
    responder.reply(&Reply::text("Done.")).await.unwrap();
    assert_eq!(server.whats(), [callback(30), callback(31), original(30), further(30)]);
}

#[tokio::test]
async fn dialogs_that_do_not_fit_are_refused_and_ids_are_never_the_same() {
    let (server, responders) = start([]).await;
    let responder = asked(&responders).await;
    let one = confirmation(false, LONG, &[]);
    let Controls::Buttons(buttons) = &one.controls else { panic!() };
    for controls in [
        Controls::Buttons(Vec::new()),
        Controls::Buttons(vec![buttons[0].clone(); 26]),
        Controls::Select { placeholder: None, options: Vec::new() },
    ] {
        let refused = responder.ask(Dialog { controls, ..one.clone() }).await;
        assert!(matches!(refused, Err(RespondError::Unfit(_))), "{refused:?}");
    }
    assert!(server.whats().is_empty() && responders.open().is_empty());
    let many = Dialog { controls: Controls::Buttons(vec![buttons[0].clone(); 25]), ..one };
    let (first, mut all) = begin(&server, &responder, many.clone()).await;
    let (second, more) = begin(&server, &responder, many).await;
    all.extend(more);
    assert!(all.iter().all(|id| id.len() <= 100));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 50);
    first.abort();
    second.abort();
}

/// A submission of the form that a button on message 500 has opened, or a command.
fn submitted(message: Option<u64>) -> InteractionKind {
    let values = [("why".to_owned(), "because".to_owned())].into();
    InteractionKind::Form { custom_id: "form:1".into(), values, message: message.and_then(MessageId::new) }
}

#[tokio::test]
async fn a_form_is_the_first_answer_and_the_only_one() {
    let (server, responders) = start([]).await;
    for (id, kind) in [(30, command()), (31, press("why", &[]))] {
        let responder = responders.take(interaction(id, ANN, kind)).await.unwrap();
        responder.open_form(&form()).await.unwrap();
        assert!(matches!(responder.open_form(&form()).await, Err(RespondError::NoForm)));
        responder.finish("Done.").await.unwrap();
        assert_eq!(responder.reply(&Reply::ephemeral("psst")).await, Err(RespondError::Late));
        let opened = calls(&server, (id - 29) as usize).await.pop().unwrap();
        assert_eq!((&opened.what, &opened.body["type"]), (&callback(id), &json!(9)));
        assert_eq!(opened.body["data"]["custom_id"], "form:1");
    }
    // What the button stands on can still be changed, but not by the token of the press.
    let responder = responders.take(interaction(32, ANN, press("why", &[]))).await.unwrap();
    responder.open_form(&form()).await.unwrap();
    responder.edit(&Reply::text("Being answered")).await.unwrap();
    assert_eq!(calls(&server, 4).await[3].what, "PATCH /api/v10/channels/20/messages/500");
}

#[tokio::test]
async fn no_form_opens_late_or_to_a_form_or_where_it_does_not_fit() {
    let (server, responders) = start([]).await;
    let responder = responders.take(interaction(30, ANN, press("why", &[]))).await.unwrap();
    responder.defer(false).await;
    assert!(matches!(responder.open_form(&form()).await, Err(RespondError::NoForm)));
    let responder = responders.take(interaction(31, ANN, submitted(Some(500)))).await.unwrap();
    assert!(matches!(responder.open_form(&form()).await, Err(RespondError::NoForm)));
    let responder = responders.take(interaction(32, ANN, press("why", &[]))).await.unwrap();
    let unfit = Form { title: "x".repeat(46), ..form() };
    assert!(matches!(responder.open_form(&unfit).await, Err(RespondError::UnfitForm(_))));
    assert_eq!(server.calls().len(), 1, "only the deferral");
    // It can be asked in another way.
    responder.reply(&Reply::ephemeral("Which?")).await.unwrap();
    assert_eq!(calls(&server, 2).await[1].what, callback(32));
}

#[tokio::test]
async fn a_submission_is_answered_like_the_press_that_opened_its_form() {
    let (server, responders) = start([]).await;
    let taken = async |id, message| responders.take(interaction(id, ANN, submitted(message))).await.unwrap();
    taken(30, Some(500)).await.edit(&Reply::text("Answered.")).await.unwrap();
    taken(31, Some(500)).await.finish("Done.").await.unwrap();
    taken(32, None).await.finish("Done.").await.unwrap();
    taken(33, Some(500)).await.reply(&Reply::ephemeral("Not yours.")).await.unwrap();
    let calls = calls(&server, 4).await;
    let told: Vec<_> = calls.iter().map(|call| (call.body["type"].clone(), call.what.clone())).collect();
    assert_eq!(
        told,
        [(7, 30), (6, 31), (4, 32), (4, 33)].map(|(kind, id): (u8, u64)| (json!(kind), callback(id)))
    );
    assert_eq!(calls[0].body["data"]["content"], "Answered.");
    assert_eq!(calls[3].body["data"]["flags"], 64);
}

#[tokio::test]
async fn a_submission_that_is_not_answered_in_time_is_deferred() {
    let (server, responders) = start_deferring().await;
    let with_message = responders.take(interaction(30, ANN, submitted(Some(500)))).await.unwrap();
    assert_eq!(calls(&server, 1).await[0].body, json!({"type": 6}));
    let without = responders.take(interaction(31, ANN, submitted(None))).await.unwrap();
    assert_eq!(calls(&server, 2).await[1].body["type"], 5);
    drop((with_message, without));
}
