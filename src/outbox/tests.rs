//! The outbox against a server that answers what the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;

const TOKEN: &str = "t0ken.with.parts";

/// A server with a script: each call takes the next answer; after the last one, everything works.
#[derive(Clone, Default)]
pub(crate) struct Server(pub(crate) Arc<Mutex<Script>>);

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) answers: VecDeque<Answer>,
    calls: Vec<Seen>,
    in_flight: usize,
    most_in_flight: usize,
    /// How long each call takes.
    pub(crate) takes: Duration,
}

pub(crate) struct Answer {
    status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    body: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) what: String,
    pub(crate) query: Option<String>,
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    /// `null` where it is no JSON.
    pub(crate) body: Value,
    pub(crate) raw: Bytes,
}

pub(crate) fn answer(status: u16, body: Value) -> Answer {
    Answer { status, headers: Vec::new(), body }
}

impl Server {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> (Self, Outbox) {
        let server = Self::default();
        server.0.lock().answers.extend(answers);
        let app = axum::Router::new().fallback(Self::serve).with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let patience = Patience {
            first_wait: Duration::from_millis(20),
            longest_wait: Duration::from_millis(80),
            give_up_after: Duration::from_millis(600),
            request: Duration::from_millis(200),
            ..Patience::default()
        };
        let outbox = Outbox::with_patience(&format!("http://{address}/"), TOKEN, patience).unwrap();
        (server, outbox)
    }

    async fn serve(State(server): State<Self>, request: Request) -> Response {
        let at = Instant::now();
        let what = format!("{} {}", request.method(), request.uri().path());
        let query = request.uri().query().map(str::to_owned);
        let (parts, body) = request.into_parts();
        let raw: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&raw).unwrap_or_default();
        let (answer, takes, number) = {
            let mut script = server.0.lock();
            script.calls.push(Seen { what, query, at, headers: parts.headers, body, raw });
            script.in_flight += 1;
            script.most_in_flight = script.most_in_flight.max(script.in_flight);
            (script.answers.pop_front(), script.takes, script.calls.len())
        };
        tokio::time::sleep(takes).await;
        server.0.lock().in_flight -= 1;
        let answer = answer.unwrap_or_else(|| self::answer(200, json!({"id": number.to_string()})));
        let mut response = Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(answer.body.to_string())).unwrap()
    }

    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.0.lock().calls.clone()
    }

    pub(crate) fn whats(&self) -> Vec<String> {
        self.calls().into_iter().map(|seen| seen.what).collect()
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_discords_own_is_tried_again_for_a_message_only() {
    let page = || [403, 404].map(|status| answer(status, json!("<html>")));
    let (server, outbox) = Server::start(page()).await;
    assert_eq!(outbox.post(channel(1), post("hi")).await, Ok(message(3)));
    server.0.lock().answers.extend(page());
    let refused = outbox.edit(channel(1), message(3), "x", &[]).await.unwrap_err();
    assert_eq!(refused.to_string(), "forbidden: 403 Forbidden");
}

/// The last call that fits into its window, which is over after so many seconds.
fn last_in_window(seconds: &str) -> Answer {
    Answer {
        headers: vec![
            ("x-ratelimit-bucket", "b".into()),
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset-after", seconds.into()),
        ],
        ..answer(200, json!({"id": "1"}))
    }
}

fn channel(id: u64) -> ChannelId {
    ChannelId::new(id).unwrap()
}

fn message(id: u64) -> MessageId {
    MessageId::new(id).unwrap()
}

fn post(text: &str) -> Post {
    let (content, nonce) = (text.to_owned(), "9-1".to_owned());
    Post { content, nonce, reply_to: Some(message(9)), notify: Notify::Nobody, file: None, rows: Vec::new() }
}

#[tokio::test]
async fn a_post_pings_nobody_shows_no_embeds_and_says_who_it_is() {
    let (server, outbox) = Server::start([]).await;
    assert_eq!(outbox.post(channel(7), post("hi")).await, Ok(message(1)));
    let notify = Post { notify: Notify::Channel, reply_to: None, ..post("hi @everyone") };
    assert_eq!(outbox.post(channel(7), notify).await, Ok(message(2)));

    let calls = server.calls();
    assert_eq!(calls[0].what, "POST /api/v10/channels/7/messages");
    assert_eq!(
        calls[0].body,
        json!({
            "content": "hi", "nonce": "9-1", "enforce_nonce": true, "flags": 4 | 4096,
            "allowed_mentions": {"parse": [], "replied_user": false},
            "message_reference": {"message_id": "9", "fail_if_not_exists": false},
        })
    );
    assert_eq!(calls[1].body["flags"], 4);
    assert_eq!(calls[1].body["allowed_mentions"], json!({"parse": [], "replied_user": true}));
    assert_eq!(calls[1].body.get("message_reference"), None);
    assert_eq!(calls[0].headers["authorization"], format!("Bot {TOKEN}"));
    assert!(calls[0].headers["user-agent"].to_str().unwrap().starts_with("DiscordBot (https://"));
    assert!(!format!("{outbox:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_file_goes_with_the_same_words_and_is_whole_in_every_try() {
    let (server, outbox) = Server::start([answer(502, json!({})), answer(500, json!({}))]).await;
    let content = "# Title\r\n\r\n--x\n```\n月\0\n```\n".to_owned();
    let file = File { name: "answer.md".to_owned(), content: content.clone() };
    let with_file = Post { file: Some(file), ..post("see") };
    assert_eq!(outbox.post(channel(7), with_file).await, Ok(message(3)));
    assert_eq!(outbox.post(channel(7), post("see")).await, Ok(message(4)));

    let calls = server.calls();
    let plain = calls[3].raw.clone();
    for call in &calls[..3] {
        let kind = call.headers["content-type"].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let form = std::str::from_utf8(&call.raw).unwrap();
        let parts: Vec<&str> = form.split(&format!("--{boundary}")).collect();
        let ["", payload, file, "--\r\n"] = parts[..] else { panic!("{form}") };
        let (head, body) = payload.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("name=\"payload_json\"") && head.contains("application/json"), "{head}");
        assert_eq!(body.trim_end().as_bytes(), plain, "the same as without a file");
        let (head, body) = file.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("name=\"files[0]\"; filename=\"answer.md\""), "{head}");
        assert!(head.contains("Content-Type: text/markdown; charset=utf-8"), "{head}");
        assert_eq!(body, format!("{content}\r\n"));
    }
}

#[tokio::test]
async fn parts_keep_their_order_and_go_one_by_one_while_other_channels_go_on() {
    let (server, outbox) = Server::start([answer(500, json!({})), answer(502, json!({}))]).await;
    server.0.lock().takes = Duration::from_millis(5);
    let posts = (0..6).map(|n| {
        let outbox = outbox.clone();
        async move { outbox.post(channel(7), post(&n.to_string())).await }
    });
    futures_util::future::join_all(posts).await;
    let texts: Vec<_> = server.calls().into_iter().map(|seen| seen.body["content"].clone()).collect();
    assert_eq!(texts, ["0", "0", "0", "1", "2", "3", "4", "5"]);
    assert_eq!(server.0.lock().most_in_flight, 1);

    let others = (1..=6).map(|n| {
        let outbox = outbox.clone();
        async move { outbox.post(channel(n), post("x")).await }
    });
    futures_util::future::join_all(others).await;
    assert!(server.0.lock().most_in_flight > 1);
    assert!(outbox.0.sender.queues.lock().is_empty(), "idle channels cost nothing");
}

#[tokio::test]
async fn a_full_window_holds_up_its_kind_but_not_the_others() {
    let (server, outbox) = Server::start([last_in_window("0.5")]).await;
    let begin = Instant::now();
    outbox.post(channel(7), post("one")).await.unwrap();
    let second = outbox.post(channel(7), post("two"));
    let reaction = outbox.react(channel(7), message(9), "⏳", CancellationToken::new());
    let (second, _) = tokio::join!(second, reaction);
    second.unwrap();
    let calls = server.calls();
    assert_eq!(calls[1].what, "PUT /api/v10/channels/7/messages/9/reactions/%E2%8F%B3/@me");
    assert!(calls[2].at - calls[1].at >= Duration::from_millis(100), "the reaction did not wait");
    assert!(calls[2].at - begin >= Duration::from_millis(500));
}

#[tokio::test]
async fn what_only_shows_something_is_sent_at_once_or_not_at_all() {
    let (server, outbox) = Server::start([last_in_window("0.3")]).await;
    outbox.show(channel(7), post("a line")).await.unwrap();
    let refused = outbox.show(channel(7), post("another")).await.unwrap_err();
    assert!(matches!(refused, Refused::GaveUp { sent: false, .. }), "{refused:?}");
    outbox.post(channel(7), post("said")).await.unwrap();
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_reaction_that_comes_too_late_is_not_made() {
    let (server, outbox) = Server::start([last_in_window("0.3")]).await;
    let unwanted = CancellationToken::new();
    let react = |n| outbox.react(channel(7), message(n), "⏳", unwanted.clone());
    assert_eq!(react(1).await, Reacted::Yes);
    // One waits for the window, and one behind it.
    let late = async {
        tokio::task::yield_now().await;
        unwanted.cancel();
    };
    let (second, third, ()) = tokio::join!(react(2), react(3), late);
    assert_eq!((second, third), (Reacted::No, Reacted::No));
    assert_eq!(react(4).await, Reacted::No);
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn what_an_earlier_try_may_have_put_there_is_not_taken_for_gone() {
    let refusals =
        || [answer(500, json!({})), answer(403, json!({"code": 90001, "message": "Reaction blocked"}))];
    let (server, outbox) = Server::start(refusals()).await;
    let react = |n| outbox.react(channel(7), message(n), "⏳", CancellationToken::new());
    assert_eq!(react(1).await, Reacted::Perhaps);
    server.0.lock().answers.extend(refusals());
    let refused = outbox.show(channel(7), post("a line")).await.unwrap_err();
    assert!(matches!(refused, Refused::GaveUp { sent: true, .. }), "{refused:?}");
    // What is taken away is gone, whichever try did it.
    server.0.lock().answers.extend([answer(500, json!({})), answer(404, json!({"code": 10014}))]);
    let gone = outbox.unreact(channel(7), message(1), "⏳").await.unwrap_err();
    assert!(matches!(gone, Refused::NotFound { .. }), "{gone:?}");
}

#[tokio::test]
async fn a_429_waits_as_long_as_it_says_and_a_global_one_stops_everybody() {
    let limited = answer(429, json!({"retry_after": 0.25, "global": false}));
    let (server, outbox) = Server::start([limited]).await;
    let begin = Instant::now();
    let (one, two) = tokio::join!(outbox.post(channel(7), post("a")), outbox.post(channel(7), post("b")));
    assert!(one.is_ok() && two.is_ok());
    let texts: Vec<_> = server.calls().into_iter().map(|seen| seen.body["content"].clone()).collect();
    assert_eq!(texts, ["a", "a", "b"]);
    assert!(server.calls()[1].at - begin >= Duration::from_millis(250));

    let global = Answer {
        headers: vec![("x-ratelimit-global", "true".into()), ("retry-after", "0.25".into())],
        ..answer(429, json!({}))
    };
    let (server, outbox) = Server::start([global]).await;
    let begin = Instant::now();
    tokio::join!(async { outbox.post(channel(7), post("a")).await.unwrap() }, async {
        while server.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        outbox.post(channel(8), post("b")).await.unwrap()
    },);
    let calls = server.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls[1].at.min(calls[2].at) - begin >= Duration::from_millis(250));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_said_once() {
    let (server, outbox) = Server::start([answer(503, json!({})), answer(200, json!("garbled"))]).await;
    assert_eq!(outbox.post(channel(7), post("x")).await, Ok(message(3)));

    server.0.lock().answers.push_back(answer(403, json!({"code": 50013, "message": "Missing Permissions"})));
    let refused = outbox.post(channel(7), post("x")).await.unwrap_err();
    assert_eq!(refused.to_string(), "forbidden: 403 Forbidden: Missing Permissions (50013)");
    server.0.lock().answers.push_back(answer(404, json!({"code": 10003, "message": "Unknown Channel"})));
    let refused = outbox.post(channel(7), post("x")).await.unwrap_err();
    assert!(matches!(refused, Refused::NotFound { code: Some(10003), .. }));
    server.0.lock().answers.push_back(answer(400, json!({"code": 50035, "errors": {"content": {}}})));
    let refused = outbox.post(channel(7), post("x")).await.unwrap_err();
    assert!(matches!(refused, Refused::Invalid { code: Some(50035), .. }));
    assert_eq!(server.calls().len(), 6);
}

#[tokio::test]
async fn a_server_that_never_answers_or_always_refuses_is_given_up() {
    let (server, outbox) = Server::start([]).await;
    server.0.lock().takes = Duration::from_secs(60);
    let begin = Instant::now();
    assert!(matches!(outbox.post(channel(7), post("x")).await, Err(Refused::GaveUp { .. })));
    assert!(begin.elapsed() < Duration::from_secs(2));

    let always = || answer(429, json!({"retry_after": 0.0}));
    let (server, outbox) = Server::start(std::iter::repeat_with(always).take(1000)).await;
    assert!(matches!(outbox.post(channel(7), post("x")).await, Err(Refused::GaveUp { .. })));
    assert!(server.calls().len() < 20, "no storm: {}", server.calls().len());

    let outbox = Outbox::with_patience("http://127.0.0.1:9", TOKEN, outbox.0.sender.patience).unwrap();
    let Err(Refused::GaveUp { why, sent: true }) = outbox.post(channel(7), post("x")).await else { panic!() };
    assert!(why.contains("onnect"), "{why}");
}

#[tokio::test]
async fn without_the_right_to_read_history_a_reply_becomes_a_plain_message() {
    let no = answer(400, json!({"code": 160002, "message": "Cannot reply without permission"}));
    let (server, outbox) = Server::start([no]).await;
    outbox.post(channel(7), post("a")).await.unwrap();
    outbox.post(channel(7), post("b")).await.unwrap();
    outbox.post(channel(8), post("c")).await.unwrap();
    let replies: Vec<_> =
        server.calls().iter().map(|seen| seen.body.get("message_reference").is_some()).collect();
    assert_eq!(replies, [true, false, false, true]);
}

#[tokio::test]
async fn a_forbidden_favour_is_not_asked_again_and_a_refused_token_silences() {
    let no = || answer(403, json!({"code": 50001, "message": "Missing Access"}));
    let (server, outbox) = Server::start([no(), no()]).await;
    for _ in 0..3 {
        outbox.typing(channel(7)).await;
        outbox.react(channel(7), message(9), "⏳", CancellationToken::new()).await;
    }
    outbox.typing(channel(8)).await;
    assert_eq!(
        server.whats(),
        [
            "POST /api/v10/channels/7/typing",
            "PUT /api/v10/channels/7/messages/9/reactions/%E2%8F%B3/@me",
            "POST /api/v10/channels/8/typing"
        ]
    );

    let (server, outbox) = Server::start([unauthorized(), unauthorized()]).await;
    assert_eq!(outbox.whoami().await, Err(ConnectError::Token));
    assert_eq!(outbox.post(channel(7), post("x")).await, Err(Refused::Token));
    assert_eq!(server.whats(), ["GET /api/v10/users/@me"; 2]);
}

fn unauthorized() -> Answer {
    answer(401, json!({"code": 0, "message": "401: Unauthorized"}))
}

#[tokio::test]
async fn a_stray_401_silences_nothing() {
    let (server, outbox) = Server::start([unauthorized()]).await;
    let posts = (1..=5).map(|n| outbox.post(channel(n), post("x")));
    let posted = futures_util::future::join_all(posts).await;
    assert!(posted.iter().all(Result::is_ok), "{posted:?}");
    let looks = |whats: &[String]| whats.iter().filter(|what| what.ends_with("/users/@me")).count();
    assert_eq!((server.calls().len(), looks(&server.whats())), (7, 1));

    // Where the look itself fails, nothing is known, and nothing is silenced.
    let (server, outbox) = Server::start([unauthorized(), answer(500, json!({}))]).await;
    assert!(outbox.post(channel(7), post("x")).await.is_ok());
    assert_eq!((server.calls().len(), looks(&server.whats())), (3, 1));

    // Many at once are confirmed by one look.
    let (server, outbox) = Server::start((0..5).map(|_| unauthorized())).await;
    server.0.lock().takes = Duration::from_millis(50);
    let posts = (1..=5).map(|n| outbox.post(channel(n), post("x")));
    let posted = futures_util::future::join_all(posts).await;
    assert!(posted.iter().all(Result::is_ok), "{posted:?}");
    assert_eq!(looks(&server.whats()), 1);
}

#[tokio::test]
async fn the_owners_of_a_team_are_its_accepted_members_that_may_write() {
    let member = |id: &str, state: u8, role: &str| json!({"membership_state": state, "role": role, "user": {"id": id}});
    let me = answer(200, json!({"id": "5", "username": "moon"}));
    let application = answer(
        200,
        json!({"id": "6", "flags": 1 << 19, "owner": {"id": "99"}, "team": {"owner_user_id": "1", "members": [
            member("2", 2, "admin"), member("3", 1, "admin"), member("4", 2, "read_only"), member("1", 2, "")
        ]}}),
    );
    let (_server, outbox) = Server::start([me, application]).await;
    let identity = outbox.whoami().await.unwrap();
    assert_eq!(identity.owners, [UserId::new(1).unwrap(), UserId::new(2).unwrap()]);
    assert_eq!((identity.application.get(), identity.message_content), (6, true));
}

#[tokio::test]
async fn a_gateway_address_that_is_none_is_an_error() {
    let (_server, outbox) = Server::start([answer(200, json!({"url": "ftp://x"}))]).await;
    assert!(outbox.gateway().await.unwrap_err().to_string().contains("ftp://x"));
}

#[tokio::test]
async fn attachments_come_from_discord_only_without_the_token_and_within_the_limit() {
    let (server, outbox) = Server::start([answer(200, json!("12345678"))]).await;
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("a.txt");
    let own = format!("{}/files/a.txt", outbox.0.api.origin().ascii_serialization());
    assert_eq!(outbox.download(&own, 10, &into).await, Ok(()));
    assert_eq!(std::fs::read(&into).unwrap(), b"\"12345678\"");
    assert_eq!(server.calls()[0].headers.get("authorization"), None);

    server.0.lock().answers.push_back(answer(200, json!("123456789")));
    assert_eq!(outbox.download(&own, 10, &into).await, Err(DownloadError::Longer(10)));
    server.0.lock().answers.push_back(answer(404, json!({})));
    assert!(matches!(outbox.download(&own, 10, &into).await, Err(DownloadError::Refused(_))));
    for _ in 0..3 {
        let elsewhere =
            Answer { headers: vec![("location", "http://10.0.0.1/".into())], ..answer(302, json!({})) };
        server.0.lock().answers.push_back(elsewhere);
    }
    assert!(matches!(outbox.download(&own, 10, &into).await, Err(DownloadError::Failed(_))));
    let nowhere = folder.path().join("none/a.txt");
    assert!(matches!(outbox.download(&own, 10, &nowhere).await, Err(DownloadError::NotWritten(_))));

    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://cdn.discordapp.com/x",
        "https://cdn.discordapp.com:8443/x",
        "https://cdn.discordapp.com.evil.example/x",
        "https://user@cdn.discordapp.com/x",
        "file:///etc/passwd",
        "http://127.0.0.1:1/x",
        "",
    ] {
        assert_eq!(outbox.download(url, 10, &into).await, Err(DownloadError::NotDiscord), "{url}");
    }
    assert!(
        outbox.serves_files(&Url::parse("https://cdn.discordapp.com/attachments/1/2/a.txt?ex=1").unwrap())
    );
}

#[tokio::test]
async fn dropping_a_call_that_waits_frees_its_place() {
    let (server, outbox) = Server::start([answer(429, json!({"retry_after": 0.5}))]).await;
    let called = async {
        while server.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        posted = outbox.post(channel(7), post("x")) => panic!("it does not wait: {posted:?}"),
        () = called => {}
    }
    assert!(outbox.0.sender.queues.lock().is_empty());
    assert_eq!(server.calls().len(), 1);
}
