//! Answers to interactions against a server that answers what the test says.

use tokio::net::TcpListener;

use super::super::ConnectError;
use super::super::call::Patience;
use super::super::tests::{Server, answer};
use super::*;
use crate::domain::{
    Author, ButtonStyle, EmbedField, InteractionId, InteractionKind, InteractionToken, Invocation, UserId,
    form_tests::form,
};

const CALLBACK: &str = "POST /api/v10/interactions/30/tok/callback";
const ORIGINAL: &str = "/api/v10/webhooks/8/tok/messages/@original";

fn interaction() -> Interaction {
    Interaction {
        id: InteractionId::new(30).unwrap(),
        token: InteractionToken("tok".into()),
        channel_id: ChannelId::new(20).unwrap(),
        parent_channel_id: None,
        channel_name: "general".into(),
        guild_id: None,
        author: Author { id: UserId::new(40).unwrap(), name: "ann".into(), roles: Vec::new(), bot: false },
        permissions: 0,
        received: std::time::Instant::now(),
        kind: InteractionKind::Command(Invocation {
            command: "x".into(),
            subcommand: None,
            options: Vec::new(),
            permissions: Default::default(),
        }),
    }
}

async fn start(answers: impl IntoIterator<Item = super::super::tests::Answer>) -> (Server, Interactions) {
    let (server, outbox) = Server::start(answers).await;
    (server, outbox.interactions(ApplicationId::new(8).unwrap()))
}

fn everything() -> Reply {
    let press = |id: &str, style| Action::Press { custom_id: id.to_owned(), style };
    let button = |label: &str, action| Button { label: label.to_owned(), action, disabled: false };
    Reply {
        text: "hi @everyone".into(),
        embeds: vec![Embed {
            title: Some("T".into()),
            color: Some(0xff),
            fields: vec![EmbedField { name: "n".into(), value: "v".into(), inline: true }],
            footer: Some("small".into()),
            ..Embed::default()
        }],
        rows: vec![
            Row::Buttons(vec![
                button("a", press("1", ButtonStyle::Primary)),
                button("b", press("2", ButtonStyle::Danger)),
                button("c", Action::Open("https://x.example".into())),
            ]),
            Row::Select(Select {
                custom_id: "3".into(),
                placeholder: Some("which?".into()),
                options: vec![SelectOption {
                    label: "One".into(),
                    value: "1".into(),
                    description: None,
                    chosen: true,
                }],
                most: 1,
                disabled: true,
            }),
        ],
        files: Vec::new(),
        ephemeral: true,
    }
}

#[tokio::test]
async fn each_callback_is_what_discord_describes_and_none_carries_the_bots_token() {
    let told =
        json!({"interaction": {"id": "30", "type": 2}, "resource": {"type": 4, "message": {"id": "99"}}});
    let nothing = || answer(204, json!(null));
    let (server, discord) =
        start([answer(200, told), nothing(), nothing(), nothing(), nothing(), nothing(), nothing()]).await;
    let asked = interaction();
    let reply = everything();
    assert_eq!(discord.answer(&asked, Callback::Reply(&reply)).await, Ok(MessageId::new(99)));
    let choice = Choice { name: "Two".into(), value: OptionValue::Integer(2) };
    let form = form();
    for callback in [
        Callback::Reply(&Reply::text("x")),
        Callback::Defer { ephemeral: true },
        Callback::DeferUpdate,
        Callback::Update(Change::Rows(&reply.rows[1..])),
        Callback::Suggest(&[choice]),
        Callback::Form(&form),
    ] {
        assert_eq!(discord.answer(&asked, callback).await, Ok(None));
    }

    let nobody = json!({"parse": [], "replied_user": false});
    let menu = json!({"type": 1, "components": [{"type": 3, "custom_id": "3", "placeholder": "which?", "disabled": true,
        "options": [{"label": "One", "value": "1", "default": true}]}]});
    let calls = server.calls();
    assert!(calls.iter().all(|call| call.what == CALLBACK && call.headers.get("authorization").is_none()));
    assert_eq!(calls[0].query.as_deref(), Some("with_response=true"));
    assert_eq!(
        calls[0].body,
        json!({"type": 4, "data": {
            "content": "hi @everyone", "flags": 64, "attachments": [], "allowed_mentions": nobody,
            "embeds": [{"title": "T", "color": 255, "footer": {"text": "small"},
                "fields": [{"name": "n", "value": "v", "inline": true}]}],
            "components": [
                {"type": 1, "components": [
                    {"type": 2, "style": 1, "label": "a", "custom_id": "1", "disabled": false},
                    {"type": 2, "style": 4, "label": "b", "custom_id": "2", "disabled": false},
                    {"type": 2, "style": 5, "label": "c", "url": "https://x.example", "disabled": false}]},
                menu],
        }})
    );
    assert_eq!(calls[1].body["data"]["flags"], 0);
    assert_eq!(calls[2].body, json!({"type": 5, "data": {"flags": 64}}));
    assert_eq!(calls[3].body, json!({"type": 6}));
    assert_eq!(calls[4].body, json!({"type": 7, "data": {"components": [menu], "allowed_mentions": nobody}}));
    assert_eq!(calls[5].body, json!({"type": 8, "data": {"choices": [{"name": "Two", "value": 2}]}}));
    assert_eq!((&calls[6].body["type"], &calls[6].body["data"]), (&json!(9), &modal(&form)));
}

#[tokio::test]
async fn edits_and_further_messages_go_through_the_token() {
    let (server, discord) = start([]).await;
    let (asked, reply) = (interaction(), everything());
    assert_eq!(discord.edit_original(&asked, Change::Whole(&reply)).await, Ok(MessageId::new(1).unwrap()));
    assert_eq!(discord.follow_up(&asked, &reply).await, Ok(MessageId::new(2).unwrap()));
    let second = MessageId::new(2).unwrap();
    discord.edit(&asked, second, Change::Rows(&[])).await.unwrap();
    server.0.lock().answers.push_back(answer(404, json!({"code": 10008})));
    discord.delete_original(&asked).await.unwrap();
    let calls = server.calls();
    assert_eq!(
        server.whats(),
        [
            format!("PATCH {ORIGINAL}"),
            "POST /api/v10/webhooks/8/tok".into(),
            "PATCH /api/v10/webhooks/8/tok/messages/2".into(),
            format!("DELETE {ORIGINAL}"),
        ]
    );
    // What sees who is settled when a message is made.
    assert_eq!(calls[0].body.get("flags"), None);
    assert_eq!(calls[0].body["content"], "hi @everyone");
    assert_eq!((&calls[1].body["flags"], calls[1].query.as_deref()), (&json!(64), Some("wait=true")));
    assert_eq!(
        calls[2].body,
        json!({"components": [], "allowed_mentions": {"parse": [], "replied_user": false}})
    );
    assert!(calls.iter().all(|call| call.headers.get("authorization").is_none()));
    for call in &calls[..2] {
        assert_eq!(call.body["allowed_mentions"], json!({"parse": [], "replied_user": false}));
    }
}

#[tokio::test]
async fn files_go_beside_the_words() {
    let (server, discord) = start([]).await;
    let file = |name: &str, content: &str| File { name: name.into(), content: content.into() };
    let reply = Reply { files: vec![file("a.md", "# A"), file("b.txt", "月")], ..Reply::text("see") };
    discord.answer(&interaction(), Callback::Reply(&reply)).await.unwrap();
    discord.edit_original(&interaction(), Change::Whole(&reply)).await.unwrap();
    for (call, kind) in server.calls().into_iter().zip([4, 0]) {
        let form = String::from_utf8(call.raw.to_vec()).unwrap();
        let payload = form.split("\r\n\r\n").nth(1).unwrap().split("\r\n").next().unwrap();
        let payload: Value = serde_json::from_str(payload).unwrap();
        let message = if kind == 4 { &payload["data"] } else { &payload };
        let attachments = json!([{"id": "0", "filename": "a.md"}, {"id": "1", "filename": "b.txt"}]);
        assert_eq!((&message["attachments"], &message["content"]), (&attachments, &json!("see")));
        for part in
            ["name=\"files[0]\"; filename=\"a.md\"", "name=\"files[1]\"; filename=\"b.txt\"", "# A", "月"]
        {
            assert!(form.contains(part), "{part}: {form}");
        }
    }
}

#[tokio::test]
async fn refusals_say_whether_it_was_too_late_or_answered_already() {
    let refusal = |status: u16, code: u32| answer(status, json!({"code": code, "message": "no"}));
    for (status, code, expected) in [
        (404, 10062, Unanswered::TooLate),
        (404, 10015, Unanswered::TooLate),
        (401, 50027, Unanswered::TooLate),
        (400, 40060, Unanswered::Already),
        (
            400,
            50035,
            Refused::Invalid { code: Some(50035), why: "400 Bad Request: no (50035)".into() }.into(),
        ),
    ] {
        let (server, discord) = start([refusal(status, code)]).await;
        assert_eq!(discord.answer(&interaction(), Callback::DeferUpdate).await, Err(expected.clone()));
        server.0.lock().answers.push_back(refusal(status, code));
        assert_eq!(discord.follow_up(&interaction(), &Reply::text("x")).await, Err(expected.clone()));
        assert_eq!(server.calls().len(), 2, "said once");
        // Such a 401 says nothing about the bot's own token.
        assert!(discord.outbox.whoami().await.err() != Some(ConnectError::Token), "{expected:?}");
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_again_only_where_that_does_no_harm() {
    let bad = || answer(502, json!({}));
    let (server, discord) = start([bad(), bad(), bad()]).await;
    let reply = Reply::text("x");
    let further = discord.follow_up(&interaction(), &reply).await;
    assert!(matches!(further, Err(Unanswered::Unclear(_))), "{further:?}");
    assert_eq!(server.calls().len(), 1);
    discord.edit_original(&interaction(), Change::Whole(&reply)).await.unwrap();
    assert_eq!(server.calls().len(), 4);

    // Discord takes a first answer once only: where it has one, it was ours.
    let told = || answer(400, json!({"code": 40060, "message": "no"}));
    for status in [500, 502, 503] {
        let failed = || answer(status, json!({}));
        let (server, discord) = start([failed(), failed(), told()]).await;
        assert_eq!(discord.answer(&interaction(), Callback::Reply(&reply)).await, Ok(None));
        let (server_too, discord) = start([failed(), answer(200, json!({}))]).await;
        assert_eq!(discord.answer(&interaction(), Callback::DeferUpdate).await, Ok(None));
        assert_eq!((server.calls().len(), server_too.calls().len()), (3, 2));
    }

    // As long as it can be in time.
    let (server, discord) = start((0..100).map(|_| bad())).await;
    let two_seconds_old = || {
        let received = std::time::Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        Interaction { received, ..interaction() }
    };
    let begin = Instant::now();
    let answered = discord.answer(&two_seconds_old(), Callback::Reply(&reply)).await;
    assert!(matches!(answered, Err(Unanswered::Unclear(_))), "{answered:?}");
    assert!(begin.elapsed() < Duration::from_secs(1) && server.calls().len() > 2, "{:?}", begin.elapsed());

    // No answer at all is as unclear.
    let (server, discord) = start([]).await;
    server.0.lock().takes = Duration::from_secs(60);
    let further = discord.follow_up(&interaction(), &reply).await;
    assert!(matches!(further, Err(Unanswered::Unclear(_))), "{further:?}");
    assert_eq!(server.calls().len(), 1);
    let answered = discord.answer(&two_seconds_old(), Callback::Reply(&reply)).await;
    assert!(matches!(answered, Err(Unanswered::Unclear(_))), "{answered:?}");
    assert!(server.calls().len() > 2);

    // A 429 did nothing.
    let (server, discord) = start([answer(429, json!({"retry_after": 0.15}))]).await;
    assert_eq!(discord.answer(&interaction(), Callback::DeferUpdate).await, Ok(None));
    let calls = server.calls();
    assert!(calls.len() == 2 && calls[1].at - calls[0].at >= Duration::from_millis(150));
    // But where its wait is longer than Discord's, nobody waits.
    server.0.lock().answers.push_back(answer(429, json!({"retry_after": 60})));
    let given_up = discord.answer(&interaction(), Callback::DeferUpdate).await;
    assert!(matches!(given_up, Err(Unanswered::Refused(Refused::GaveUp { .. }))), "{given_up:?}");
}

#[tokio::test]
async fn what_surely_did_not_arrive_is_sent_again_until_it_would_be_too_late() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let outbox = Outbox::with_patience(&format!("http://{address}"), "t", Patience::default()).unwrap();
    let discord = outbox.interactions(ApplicationId::new(8).unwrap());
    let late = async move {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let listener = TcpListener::bind(address).await.unwrap();
        let app = axum::Router::new().fallback(|| async { axum::http::StatusCode::NO_CONTENT });
        axum::serve(listener, app).await
    };
    let late = tokio::spawn(late);
    assert_eq!(discord.answer(&interaction(), Callback::DeferUpdate).await, Ok(None));
    late.abort();
    assert!(late.await.is_err());

    let received = std::time::Instant::now().checked_sub(Duration::from_secs(3)).unwrap();
    let old = Interaction { received, ..interaction() };
    let begin = Instant::now();
    let outbox = Outbox::with_patience("http://127.0.0.1:9", "t", Patience::default()).unwrap();
    let error =
        outbox.interactions(discord.application).answer(&old, Callback::DeferUpdate).await.unwrap_err();
    assert!(matches!(error, Unanswered::Refused(Refused::GaveUp { .. })));
    assert!(begin.elapsed() < Duration::from_millis(100), "it is over anyway");
    assert!(!format!("{error:?}").contains("tok"), "the token is a secret: {error:?}");
}

#[tokio::test]
async fn ordinary_messages_stand_in_with_the_bots_token_and_a_nonce() {
    let (server, discord) = start([answer(500, json!({}))]).await;
    let channel = ChannelId::new(20).unwrap();
    let said = discord.say(channel, &everything()).await.unwrap();
    discord.edit_said(channel, said, Change::Whole(&Reply::text("y"))).await.unwrap();
    let calls = server.calls();
    assert_eq!(calls[0].body, calls[1].body, "tried again under the same nonce");
    assert_eq!(calls[1].what, "POST /api/v10/channels/20/messages");
    assert_eq!(calls[1].body["enforce_nonce"], true);
    assert!((20..=25).contains(&calls[1].body["nonce"].as_str().unwrap().len()));
    assert_eq!(
        (&calls[1].body["flags"], calls[1].body["embeds"][0]["title"].as_str()),
        (&json!(0), Some("T"))
    );
    assert_eq!(calls[2].what, "PATCH /api/v10/channels/20/messages/2");
    assert!(calls[2].headers.get("authorization").is_some());
    assert_eq!(calls[2].body["content"], "y");
}
