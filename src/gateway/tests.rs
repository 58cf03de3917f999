//! serenity's real client against a gateway whose every frame is written by the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::domain::{
    Action, Button, ButtonStyle, ChannelId, Extra, InteractionKind, Message, MessageId, Reply, Row,
    form_tests::form,
};
use crate::local::{LocalDiscord, Options, RateLimits};
use crate::outbox::{Callback, Change};

const ME: u64 = 7;
const TOKEN: &str = "sekret.token";
const GUILD: &str = "10";
const CHANNEL: &str = "20";

/// Starts a gateway, and waits until it is ready.
async fn connected(
    options: GatewayOptions,
    outbox: Outbox,
    inbound: mpsc::UnboundedSender<Inbound>,
    interactions: mpsc::UnboundedSender<Interaction>,
) -> Result<Gateway, GatewayError> {
    let mut gateway = start(options, outbox, inbound, interactions).await?;
    gateway.ready().await?;
    Ok(gateway)
}

/// A Discord: REST answers by path, and the gateway's connections, handed to the test.
struct Discord {
    address: String,
    rest: Rest,
    connections: mpsc::UnboundedReceiver<WebSocket>,
    /// In milliseconds.
    heartbeat: u64,
    panics: Panics,
    store: Store,
    /// What was said while nobody listened.
    missed: mpsc::UnboundedReceiver<Missed>,
}

#[derive(Clone)]
struct Rest {
    connect: mpsc::UnboundedSender<WebSocket>,
    answers: Arc<Mutex<HashMap<String, Value>>>,
    asked: Arc<Mutex<Vec<String>>>,
    delay: Duration,
}

impl Discord {
    async fn start() -> Self {
        Self::that_takes(Duration::from_millis(30)).await
    }

    /// REST takes this long.
    async fn that_takes(delay: Duration) -> Self {
        let (connect, connections) = mpsc::unbounded_channel();
        let rest = Rest { connect, answers: Arc::default(), asked: Arc::default(), delay };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new()
            .route("/ws/", axum::routing::any(Rest::connect))
            .fallback(Rest::serve)
            .with_state(rest.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let (panics, missed) = (Panics::default(), mpsc::unbounded_channel().1);
        let store = plan().store;
        let discord = Self { address, rest, connections, heartbeat: 40_000, panics, store, missed };
        discord.answer("/gateway/bot", json!({"url": format!("ws://{}/ws/", discord.address)}));
        discord
    }

    fn answer(&self, path: &str, value: Value) {
        self.rest.answers.lock().unwrap().insert(path.to_owned(), value);
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.rest.asked.lock().unwrap();
        asked.iter().filter(|path| *path != "/gateway/bot").cloned().collect()
    }

    /// The next connection, greeted.
    async fn connection(&mut self) -> Connection {
        let socket = timeout(Duration::from_secs(30), self.connections.recv()).await.unwrap().unwrap();
        let mut connection = Connection { socket };
        connection.send(json!({"op": 10, "d": {"heartbeat_interval": self.heartbeat}})).await;
        connection
    }

    /// Starts a gateway against this Discord and takes it to READY.
    async fn bot(&mut self) -> (Gateway, mpsc::UnboundedReceiver<Inbound>, Connection) {
        self.bot_with(mpsc::unbounded_channel().0).await
    }

    /// The same, with what takes interactions.
    async fn bot_with(
        &mut self,
        interactions: mpsc::UnboundedSender<Interaction>,
    ) -> (Gateway, mpsc::UnboundedReceiver<Inbound>, Connection) {
        let (inbound, heard) = mpsc::unbounded_channel();
        let (missed, was_missed) = mpsc::unbounded_channel();
        self.missed = was_missed;
        let plan =
            GatewayOptions { panics: self.panics.clone(), store: self.store.clone(), missed, ..plan() };
        let starting = tokio::spawn(connected(plan, self.outbox(), inbound, interactions));
        let mut connection = self.connection().await;
        assert_eq!(connection.receive().await["op"], 2);
        connection.ready().await;
        let gateway = starting.await.unwrap().unwrap();
        connection.tell(2, "GUILD_CREATE", guild(json!([channel(CHANNEL, "general", None)]))).await;
        (gateway, heard, connection)
    }

    async fn missed(&mut self) -> Missed {
        timeout(Duration::from_secs(20), self.missed.recv()).await.expect("nothing was missed").unwrap()
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(&format!("http://{}", self.address), TOKEN).unwrap()
    }
}

impl Rest {
    async fn connect(State(rest): State<Self>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(async move |socket| drop(rest.connect.send(socket)))
    }

    async fn serve(State(rest): State<Self>, request: Request) -> Response {
        let path = request.uri().path_and_query().unwrap().as_str().replace("/api/v10", "");
        rest.asked.lock().unwrap().push(path.clone());
        if path != "/gateway/bot" {
            tokio::time::sleep(rest.delay).await;
        }
        let answer = rest.answers.lock().unwrap().get(&path).cloned();
        match answer {
            Some(answer) => axum::Json(answer).into_response(),
            None => {
                (StatusCode::NOT_FOUND, axum::Json(json!({"code": 0, "message": "none"}))).into_response()
            }
        }
    }
}

struct Connection {
    socket: WebSocket,
}

impl Connection {
    async fn send(&mut self, frame: Value) {
        self.socket.send(Frame::Text(frame.to_string().into())).await.unwrap();
    }

    async fn tell(&mut self, seq: u64, event: &str, data: Value) {
        self.send(json!({"op": 0, "s": seq, "t": event, "d": data})).await;
    }

    async fn ready(&mut self) {
        let me = json!({"id": ME.to_string(), "username": "moon", "discriminator": "0", "avatar": null, "bot": true,
            "verified": true, "email": null, "flags": 0, "mfa_enabled": false});
        let ready = json!({"v": 10, "user": me, "guilds": [{"id": GUILD, "unavailable": true}], "session_id": "s",
            "resume_gateway_url": "ws://x", "shard": [0, 1], "application": {"id": "8", "flags": 0}});
        self.tell(1, "READY", ready).await;
    }

    /// The client's next frame that is no heartbeat.
    async fn receive(&mut self) -> Value {
        loop {
            let frame = timeout(Duration::from_secs(20), self.socket.recv()).await.unwrap().unwrap().unwrap();
            let Frame::Text(text) = frame else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["op"] != 1 {
                return frame;
            }
        }
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code, reason: "".into() };
        self.socket.send(Frame::Close(Some(frame))).await.unwrap();
    }
}

fn plan() -> GatewayOptions {
    let folder = tempfile::tempdir().unwrap();
    // The open file stays though its folder goes.
    let store = Store::open(&folder.path().join("moonlane.db")).unwrap();
    let (missed, (_, rereads)) = (mpsc::unbounded_channel().0, mpsc::unbounded_channel());
    let (token, me) = (TOKEN.to_owned(), UserId::new(ME).unwrap());
    GatewayOptions { token, me, message_content: true, store, panics: Panics::default(), missed, rereads }
}

/// The id of the nth message of a moment ago.
fn recent(n: u64) -> u64 {
    static MOMENT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let ago = || MessageId::first_at(std::time::SystemTime::now() - Duration::from_secs(60)).get();
    MOMENT.get_or_init(ago) + n
}

fn channel(id: &str, name: &str, last: Option<&str>) -> Value {
    json!({"id": id, "type": 0, "name": name, "last_message_id": last, "parent_id": "19"})
}

fn guild(channels: Value) -> Value {
    json!({"id": GUILD, "name": "g", "channels": channels, "threads": [
        {"id": "21", "type": 11, "name": "thread", "parent_id": CHANNEL, "guild_id": GUILD}
    ], "roles": [
        {"id": "51", "name": "moon", "managed": true, "tags": {"bot_id": ME.to_string()}},
        {"id": "52", "name": "crew"},
    ]})
}

fn person(id: &str, name: &str) -> Value {
    json!({"id": id, "username": name, "global_name": null, "discriminator": "0", "avatar": null})
}

fn message(id: u64, channel: &str, content: &str) -> Value {
    json!({"id": id.to_string(), "channel_id": channel, "guild_id": GUILD, "type": 0, "content": content,
        "author": person("40", "ann"), "member": {"nick": null, "roles": ["52"], "joined_at": null, "deaf": false, "mute": false},
        "timestamp": "2026-01-01T00:00:00.000000+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "pinned": false})
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

/// The next thing that is about a message.
async fn next(heard: &mut mpsc::UnboundedReceiver<Inbound>) -> Inbound {
    loop {
        match timeout(Duration::from_secs(20), heard.recv()).await.expect("nothing was heard").unwrap() {
            Inbound::Changed | Inbound::Told(..) => {}
            other => return other,
        }
    }
}

async fn next_message(heard: &mut mpsc::UnboundedReceiver<Inbound>) -> Message {
    match next(heard).await {
        Inbound::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn id(message: &Message) -> u64 {
    message.id.get()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_messages_arrive_in_the_order_in_which_they_were_sent() {
    let mut discord = Discord::start().await;
    let (gateway, mut heard, mut connection) = discord.bot().await;
    for n in 0..2000 {
        connection.tell(3 + n, "MESSAGE_CREATE", message(1000 + n, CHANNEL, "x")).await;
    }
    for n in 0..2000 {
        assert_eq!(id(&next_message(&mut heard).await), 1000 + n);
    }
    gateway.shut_down().await;
}

#[tokio::test]
async fn a_message_is_told_as_a_person_reads_it() {
    let mut discord = Discord::start().await;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    let bob = with(
        person("41", "bob"),
        "member",
        json!({"nick": "Bobby", "roles": [], "deaf": false, "mute": false}),
    );
    let said = message(100, "21", "<@7> ask <@41> of <@&52> in <#20>, not <#99>");
    let said = with(said, "mentions", json!([person("7", "moon"), bob]));
    // In another guild, whose names are not for everybody.
    let secret = with(channel("99", "secret", None), "guild_id", json!("11"));
    connection.tell(3, "CHANNEL_CREATE", secret).await;
    connection.tell(4, "MESSAGE_CREATE", said).await;
    let heard_message = next_message(&mut heard).await;
    assert_eq!(heard_message.text, "ask @Bobby of @crew in #general, not <#99>");
    assert_eq!(heard_message.raw_text, "<@7> ask <@41> of <@&52> in <#20>, not <#99>");
    assert!(heard_message.mentions_me && !heard_message.author.bot);
    assert_eq!(
        (heard_message.channel_name.as_str(), heard_message.parent_channel_id),
        ("thread", ChannelId::new(20))
    );
    assert_eq!((heard_message.author.name.as_str(), heard_message.author.roles[0].get()), ("ann", 52));

    // What it holds besides text and files.
    let extras = [
        (
            "sticker_items",
            json!([{"id": "1", "name": "Wave", "format_type": 1}]),
            Extra::Sticker("Wave".to_owned()),
        ),
        (
            "poll",
            json!({"question": {"text": "Tea?"}, "answers": [{"poll_media": {"text": "Yes"}}, {"answer_id": 2}]}),
            Extra::Poll { question: "Tea?".to_owned(), answers: vec!["Yes".to_owned(), String::new()] },
        ),
    ];
    for (n, (key, value, extra)) in (90..).zip(extras) {
        connection.tell(n, "MESSAGE_CREATE", with(message(n, CHANNEL, "<@7>"), key, value)).await;
        assert_eq!(next_message(&mut heard).await.extras, [extra], "{key}");
    }

    // The bot's own role counts; another's, everybody and a mere name do not.
    for (n, roles, everyone, mine) in [(101, json!(["51"]), false, true), (102, json!(["52"]), true, false)] {
        let said = with(message(n, CHANNEL, "<@&51> hi @everyone"), "mention_roles", roles);
        connection.tell(n, "MESSAGE_CREATE", with(said, "mention_everyone", json!(everyone))).await;
        let heard_message = next_message(&mut heard).await;
        assert_eq!((heard_message.mentions_me, heard_message.text.as_str()), (mine, "hi @everyone"));
    }

    // Its own messages, direct messages and joins are nothing; bots and webhooks are marked.
    let own = with(message(103, CHANNEL, "me"), "author", person("7", "moon"));
    connection.tell(103, "MESSAGE_CREATE", own).await;
    connection.tell(104, "MESSAGE_CREATE", with(message(104, CHANNEL, "dm"), "guild_id", Value::Null)).await;
    connection.tell(105, "MESSAGE_CREATE", with(message(105, CHANNEL, ""), "type", json!(7))).await;
    connection
        .tell(106, "MESSAGE_CREATE", with(message(106, CHANNEL, "hook"), "webhook_id", json!("5")))
        .await;
    let heard_message = next_message(&mut heard).await;
    assert_eq!((id(&heard_message), heard_message.author.bot), (106, true));

    // A renamed channel has its new name; an edit and deletions follow in order.
    connection
        .tell(107, "CHANNEL_UPDATE", with(channel(CHANNEL, "new", None), "guild_id", json!(GUILD)))
        .await;
    let edit =
        with(message(101, CHANNEL, "edited"), "edited_timestamp", json!("2026-01-01T00:00:01.000000+00:00"));
    connection.tell(108, "MESSAGE_UPDATE", edit).await;
    connection
        .tell(109, "MESSAGE_DELETE", json!({"id": "101", "channel_id": CHANNEL, "guild_id": GUILD}))
        .await;
    let Inbound::Edited(edited) = next(&mut heard).await else { panic!() };
    assert_eq!((edited.text.as_str(), edited.channel_name.as_str()), ("edited", "new"));
    assert_eq!(next(&mut heard).await, Inbound::Deleted(vec![MessageId::new(101).unwrap()]));
    // Nothing was looked up; but the direct message is answered.
    let answered = format!("/channels/{CHANNEL}/messages");
    assert!(discord.asked().iter().all(|path| *path == answered), "{:?}", discord.asked());
}

#[tokio::test]
async fn an_unknown_channel_is_asked_for_once_and_only_what_happens_there_waits() {
    let mut discord = Discord::that_takes(Duration::from_secs(1)).await;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    for n in [100, 101] {
        connection.tell(n, "MESSAGE_CREATE", message(n, "77", "x")).await;
    }
    connection.tell(102, "MESSAGE_DELETE", json!({"id": "101", "channel_id": "77", "guild_id": GUILD})).await;
    connection.tell(103, "MESSAGE_CREATE", message(103, CHANNEL, "x")).await;
    assert_eq!(id(&next_message(&mut heard).await), 103);
    discord.answer(
        "/channels/77",
        json!({"id": "77", "type": 11, "name": "old", "parent_id": "20", "guild_id": GUILD}),
    );
    for n in [100, 101] {
        let message = next_message(&mut heard).await;
        let found = (id(&message), message.channel_name.as_str(), message.parent_channel_id);
        assert_eq!(found, (n, "old", ChannelId::new(20)));
    }
    assert_eq!(next(&mut heard).await, Inbound::Deleted(vec![MessageId::new(101).unwrap()]));
    assert_eq!(discord.asked(), ["/channels/77"]);
}

#[tokio::test]
async fn what_is_said_in_a_channel_that_cannot_be_looked_up_is_not_taken_in() {
    let mut discord = Discord::start().await;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    // Discord answers 404, and is not asked a second time.
    connection.tell(100, "MESSAGE_CREATE", message(100, "78", "x")).await;
    while discord.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let edit =
        with(message(100, "78", "edited"), "edited_timestamp", json!("2026-01-01T00:00:01.000000+00:00"));
    connection.tell(101, "MESSAGE_UPDATE", edit).await;
    connection.tell(102, "MESSAGE_CREATE", with(message(102, "78", "x"), "webhook_id", json!("5"))).await;
    connection.tell(103, "MESSAGE_CREATE", message(103, CHANNEL, "x")).await;
    let mut found = [next_message(&mut heard).await, next_message(&mut heard).await].map(|it| id(&it));
    found.sort();
    assert_eq!(found, [102, 103]);
    // An event tells of it: from then on it is known.
    let thread = json!({"id": "78", "type": 11, "name": "t", "parent_id": CHANNEL, "guild_id": GUILD});
    connection.tell(104, "THREAD_UPDATE", thread).await;
    connection.tell(105, "MESSAGE_CREATE", message(105, "78", "x")).await;
    let message = next_message(&mut heard).await;
    assert_eq!((id(&message), message.parent_channel_id), (105, ChannelId::new(20)));
    assert_eq!(discord.asked(), ["/channels/78"]);
}

#[tokio::test]
async fn a_panic_of_what_a_channel_waits_for_is_told() {
    let mut discord = Discord::that_takes(Duration::from_secs(60)).await;
    let (_gateway, _heard, mut connection) = discord.bot().await;
    connection.tell(100, "MESSAGE_CREATE", message(100, "78", "x")).await;
    while discord.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    discord.panics.cause("the channel lookup");
    let panic = timeout(Duration::from_secs(5), discord.panics.first()).await.unwrap();
    assert_eq!(panic.what, "the channel lookup");
}

#[tokio::test]
async fn an_interaction_does_not_wait_for_the_messages_before_it() {
    let mut discord = Discord::that_takes(Duration::from_secs(2)).await;
    let (interactions, mut interacted) = mpsc::unbounded_channel();
    let (_gateway, mut heard, mut connection) = discord.bot_with(interactions).await;
    discord.answer("/channels/78", json!({"id": "78", "type": 0, "name": "far", "guild_id": GUILD}));
    connection.tell(100, "MESSAGE_CREATE", message(100, "78", "x")).await;
    let stop = json!({"id": "30", "type": 2, "token": "t", "channel_id": CHANNEL, "data": {"name": "stop", "type": 1},
        "guild_id": GUILD, "member": {"user": person("40", "ann"), "roles": ["52"], "permissions": "0"}});
    connection.tell(101, "INTERACTION_CREATE", json!({"id": "29", "type": 2})).await;
    let sent = std::time::Instant::now();
    connection.tell(102, "INTERACTION_CREATE", stop).await;
    let interaction = timeout(Duration::from_secs(30), interacted.recv()).await.unwrap().unwrap();
    assert_eq!((interaction.id.get(), interaction.author.roles[0].get()), (30, 52));
    assert!(interaction.received >= sent && interaction.received <= std::time::Instant::now());
    assert_eq!(id(&next_message(&mut heard).await), 100);
}

#[tokio::test]
async fn what_was_said_during_a_short_drop_arrives_once() {
    let mut discord = Discord::start().await;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    connection.tell(3, "MESSAGE_CREATE", message(100, CHANNEL, "before")).await;
    assert_eq!(id(&next_message(&mut heard).await), 100);

    for (n, how) in ["cut", "reconnect", "close", "invalid but resumable"].into_iter().enumerate() {
        let n = n as u64;
        match how {
            "cut" => drop(connection),
            "reconnect" => connection.send(json!({"op": 7, "d": null})).await,
            "close" => connection.close(4000).await,
            _ => connection.send(json!({"op": 9, "d": true})).await,
        }
        connection = discord.connection().await;
        let resume = connection.receive().await;
        assert_eq!((&resume["op"], &resume["d"]["seq"]), (&json!(6), &json!(3 + 2 * n)), "{how}");
        connection.tell(4 + 2 * n, "MESSAGE_CREATE", message(200 + n, CHANNEL, "missed")).await;
        connection.tell(5 + 2 * n, "RESUMED", json!({})).await;
        assert_eq!(id(&next_message(&mut heard).await), 200 + n, "{how}");
    }
    connection.tell(90, "MESSAGE_CREATE", message(300, CHANNEL, "after")).await;
    assert_eq!(id(&next_message(&mut heard).await), 300);
    assert!(discord.asked().is_empty());
}

#[tokio::test]
async fn what_was_said_before_a_new_session_is_fetched_in_order_with_its_authors_roles() {
    let mut discord = Discord::start().await;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    connection.tell(3, "MESSAGE_CREATE", message(100, CHANNEL, "before")).await;
    assert_eq!(id(&next_message(&mut heard).await), 100);

    let over_rest = |id: u64, text: &str| {
        let mut said = message(id, CHANNEL, text);
        said.as_object_mut().unwrap().retain(|key, _| key != "guild_id" && key != "member");
        said
    };
    let last = recent(2);
    let page = json!([over_rest(last, "two"), over_rest(recent(1), "one"), over_rest(101, "long ago")]);
    discord.answer("/channels/20/messages?after=100&limit=100", page);
    discord.answer(
        "/guilds/10/members/40",
        json!({"nick": "Annie", "roles": ["52"], "user": person("40", "ann")}),
    );
    connection.send(json!({"op": 9, "d": false})).await;
    let mut connection = discord.connection().await;
    assert_eq!(connection.receive().await["op"], 2);
    connection.ready().await;
    let newest = last.to_string();
    let channels = json!([channel(CHANNEL, "general", Some(&newest)), channel("22", "quiet", Some("99"))]);
    connection.tell(2, "GUILD_CREATE", guild(channels)).await;
    connection.tell(3, "MESSAGE_CREATE", message(last + 1, CHANNEL, "live")).await;
    // What is said now in another channel waits for none of it.
    connection.tell(4, "MESSAGE_CREATE", message(last + 2, "22", "live")).await;

    assert_eq!(next(&mut heard).await, Inbound::Anew);
    assert_eq!(id(&next_message(&mut heard).await), last + 2);
    for (n, old) in [(101, true), (recent(1), false), (last, false)] {
        let Missed::Message { message, too_old } = discord.missed().await else { panic!() };
        assert_eq!((id(&message), too_old, message.author.roles[0].get()), (n, old, 52));
    }
    // What is said now in the same channel waits until all of it is taken in.
    let Missed::UpTo { message, taken_in, .. } = discord.missed().await else { panic!() };
    assert_eq!(message.get(), last);
    assert!(heard.is_empty());
    taken_in.send(()).unwrap();
    assert_eq!(next(&mut heard).await, Inbound::MissedAll(ChannelId::new(20).unwrap()));
    assert_eq!(id(&next_message(&mut heard).await), last + 1);
    assert_eq!(discord.asked(), ["/channels/20/messages?after=100&limit=100", "/guilds/10/members/40"]);
}

#[tokio::test]
async fn of_a_guild_that_goes_and_comes_back_the_last_word_is_written_however_late_the_first_is_taken_in() {
    let mut discord = Discord::start().await;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    let channel_there = || guild(json!([channel(CHANNEL, "general", None)]));
    let store = discord.store.clone();
    let places = async || store.places().await.unwrap().len();
    for (seq, event, data) in [
        (3, "GUILD_DELETE", json!({"id": GUILD})),
        (6, "CHANNEL_DELETE", with(channel(CHANNEL, "general", None), "guild_id", json!(GUILD))),
    ] {
        connection.tell(seq, event, data).await;
        let Inbound::Gone(_) = next(&mut heard).await else { panic!("{event}") };
        // Whoever hears of it has nothing of it to write.
        assert_eq!(places().await, 0, "{event}");
        connection.tell(seq + 1, "GUILD_CREATE", channel_there()).await;
        connection.tell(seq + 2, "MESSAGE_CREATE", message(100 + seq, CHANNEL, "back")).await;
        assert_eq!(id(&next_message(&mut heard).await), 100 + seq);
        assert_eq!(places().await, 2, "the channel and its thread");
    }
}

#[tokio::test]
async fn a_bad_token_and_disallowed_intents_end_it_with_a_sentence() {
    for (code, error) in [(4004, GatewayError::Token), (4014, GatewayError::Intents)] {
        let mut discord = Discord::start().await;
        let (inbound, _heard) = mpsc::unbounded_channel();
        let starting =
            tokio::spawn(connected(plan(), discord.outbox(), inbound, mpsc::unbounded_channel().0));
        let mut connection = discord.connection().await;
        let identify = connection.receive().await;
        assert_eq!(identify["d"]["intents"], (1 << 0) | (1 << 9) | (1 << 12) | (1 << 15));
        connection.close(code).await;
        assert_eq!(starting.await.unwrap().err(), Some(error));
    }
    let sentence = GatewayError::Intents.to_string();
    assert!(sentence.contains("Privileged Gateway Intents → Message Content Intent"));
}

#[tokio::test]
async fn a_token_that_turns_bad_ends_a_running_gateway() {
    let mut discord = Discord::start().await;
    let (mut gateway, _heard, connection) = discord.bot().await;
    drop(connection);
    let mut connection = discord.connection().await;
    assert_eq!(connection.receive().await["op"], 6);
    connection.close(4004).await;
    let stopped = timeout(Duration::from_secs(20), gateway.stopped()).await;
    assert_eq!(stopped, Ok(GatewayError::Token));
    assert_eq!(gateway.stopped().await, GatewayError::Token);
    gateway.shut_down().await;
}

#[tokio::test]
async fn without_a_gateway_address_nothing_else_is_tried() {
    let discord = Discord::start().await;
    discord.rest.answers.lock().unwrap().clear();
    let (inbound, _heard) = mpsc::unbounded_channel();
    let error = start(plan(), discord.outbox(), inbound, mpsc::unbounded_channel().0).await.err();
    assert!(matches!(error, Some(GatewayError::Start(ConnectError::Discord { .. }))));
}

#[tokio::test]
async fn a_shut_down_says_good_bye_and_ends_what_is_sent() {
    let mut discord = Discord::start().await;
    let (gateway, mut heard, mut connection) = discord.bot().await;
    let begin = Instant::now();
    let (bye, ()) = tokio::join!(
        async {
            loop {
                match connection.socket.recv().await {
                    Some(Ok(Frame::Close(frame))) => return frame.map(|frame| frame.code),
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        },
        gateway.shut_down()
    );
    assert_eq!(bye, Some(1000));
    assert!(begin.elapsed() < Duration::from_secs(3));
    while let Some(heard) = heard.recv().await {
        assert!(matches!(heard, Inbound::Changed | Inbound::Told(..)));
    }
}

/// serenity spins on such a connection until a heartbeat fails; 40 s on Discord.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_stuck_is_replaced_and_nothing_is_missed() {
    let mut discord = Discord::start().await;
    discord.heartbeat = 15_000;
    let (_gateway, mut heard, mut connection) = discord.bot().await;
    connection.tell(3, "MESSAGE_CREATE", message(100, CHANNEL, "before")).await;
    assert_eq!(id(&next_message(&mut heard).await), 100);
    let missed = json!([message(recent(1), CHANNEL, "missed")]);
    discord.answer("/channels/20/messages?after=100&limit=100", missed);

    let begin = Instant::now();
    connection.socket.send(Frame::Close(None)).await.unwrap();
    drop(connection);
    let mut connection = discord.connection().await;
    assert_eq!(connection.receive().await["op"], 2);
    assert!(begin.elapsed() < Duration::from_secs(12));
    connection.ready().await;
    connection
        .tell(2, "GUILD_CREATE", guild(json!([channel(CHANNEL, "general", Some(&recent(1).to_string()))])))
        .await;
    let Missed::Message { message, too_old: false } = discord.missed().await else { panic!() };
    assert_eq!(id(&message), recent(1));
}

#[tokio::test]
async fn a_form_goes_to_discord_and_what_is_filled_in_comes_back() {
    let discord =
        LocalDiscord::start(Options { rate_limits: RateLimits::Off, ..Options::default() }).await.unwrap();
    let outbox = Outbox::new(discord.url(), discord.token()).unwrap();
    let bot = outbox.whoami().await.unwrap();
    let (interactions, mut interacted) = mpsc::unbounded_channel();
    let options =
        GatewayOptions { token: discord.token().to_owned(), me: bot.user, message_content: false, ..plan() };
    let (inbound, _heard) = mpsc::unbounded_channel();
    let _gateway = connected(options, outbox.clone(), inbound, interactions).await.unwrap();
    let (general, ann) = (discord.channel("general"), discord.user("ann"));
    let action = Action::Press { custom_id: "open".into(), style: ButtonStyle::Primary };
    let button = Button { label: "Answer".into(), action, disabled: false };
    let answers = outbox.interactions(bot.application);
    let question = Reply { rows: vec![Row::Buttons(vec![button])], ..Reply::text("Which?") };
    let question = answers.say(ChannelId::new(general.get()).unwrap(), &question).await.unwrap();

    let press = discord.press(question.get().into(), ann, "open").unwrap();
    let heard = timeout(Duration::from_secs(20), interacted.recv()).await.unwrap().unwrap();
    answers.answer(&heard, Callback::Form(&form())).await.unwrap();
    let opened = discord.form(press).await;
    assert_eq!((&opened["title"], opened["components"].as_array().unwrap().len()), (&json!("Questions"), 2));
    let submitted = discord.submit(press, &[("what", json!("a, b"))]).unwrap();
    let heard = timeout(Duration::from_secs(20), interacted.recv()).await.unwrap().unwrap();
    let values = [("what", "a, b"), ("why", "so")];
    let values = values.map(|(field, value)| (field.to_owned(), value.to_owned())).into();
    let custom_id = "form:1".to_owned();
    assert_eq!(heard.kind, InteractionKind::Form { custom_id, values, message: Some(question) });
    answers.answer(&heard, Callback::Update(Change::Whole(&Reply::text("Answered.")))).await.unwrap();
    assert_eq!(discord.response_message(submitted).await.content, "Answered.");
}
