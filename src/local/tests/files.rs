//! Files: what people send and how it is served, what the bot sends and how much of it.

use reqwest::multipart::{Form, Part};
use tokio::time::timeout;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x02\0\0\0\x03";

fn file(name: &str, bytes: &[u8]) -> File {
    File { name: name.into(), content_type: None, bytes: bytes.to_vec().into() }
}

#[tokio::test]
async fn a_persons_files_arrive_with_what_discord_finds_out_about_them() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let files = vec![file("shot one.png", PNG), file("a.txt", b"abc"), file("what.ever", b"")];
    let said = local.say(Say { files, ..Say::to_bot(general, anna, "look") });
    let heard = bot.message().await;
    let [shot, text, other] = &heard.attachments[..] else { panic!("three files") };
    assert_eq!((shot.filename.as_str(), shot.content_type.as_deref()), ("shot_one.png", Some("image/png")));
    assert_eq!((shot.width, shot.height, shot.size), (Some(258), Some(3), 24));
    assert_eq!((text.content_type.as_deref(), text.width), (Some("text/plain; charset=utf-8"), None));
    assert_eq!((other.content_type.as_deref(), other.size), (None, 0));
    assert_eq!(shot.download().await.unwrap(), PNG);
    let served = reqwest::get(&text.url).await.unwrap();
    assert_eq!(served.headers()["content-type"], "text/plain; charset=utf-8");

    local.attach(said, vec![file("more.md", b"more")]);
    assert!(local.detach(said, "a.txt") && !local.detach(said, "a.txt"));
    let mut left = Vec::new();
    for _ in 0..2 {
        let update = bot.hear(|heard| match heard {
            Heard::Update(update) => Some(update),
            _ => None,
        });
        let update = update.await;
        assert!(update.edited_timestamp.is_some());
        left = update.attachments.unwrap().into_iter().map(|file| file.filename).collect();
    }
    assert_eq!(left, ["shot_one.png", "what.ever", "more.md"]);
    assert_eq!(reqwest::get(&text.url).await.unwrap().status(), 404);
    let raw = Say {
        raw_names: true,
        files: vec![file("../\u{202e}gnp.exe", b"")],
        ..Say::to_bot(general, anna, "")
    };
    local.say(raw);
    assert_eq!(bot.message().await.attachments[0].filename, "../\u{202e}gnp.exe");
}

#[tokio::test]
async fn a_file_can_be_served_badly() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let faults = [
        ("gone", FileFault::Status(404)),
        ("broken", FileFault::Status(500)),
        ("elsewhere", FileFault::Redirect("http://127.0.0.1:1/x".into())),
        ("slow", FileFault::Slow),
        ("endless", FileFault::NeverEnds),
        ("more", FileFault::MoreBytes(3)),
        ("fewer", FileFault::FewerBytes(2)),
        ("cut", FileFault::CutAfter(2)),
    ];
    let files = faults.iter().map(|(name, _)| file(name, b"words")).collect();
    let file_faults = faults.map(|(name, fault)| (name.to_owned(), fault)).to_vec();
    let said = local.say(Say { files, file_faults, ..Say::new(general, anna, "") });
    let message = local.message(said).unwrap();
    let web = Web::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let fetch = async |name: &str| {
        let url = message.attachments.iter().find(|file| file.name == name).unwrap().url.clone();
        web.get(url).send().await.unwrap()
    };
    assert_eq!(fetch("gone").await.status(), 404);
    assert_eq!(fetch("broken").await.status(), 500);
    let elsewhere = fetch("elsewhere").await;
    assert_eq!(
        (elsewhere.status().as_u16(), &elsewhere.headers()["location"]),
        (302, &"http://127.0.0.1:1/x".parse().unwrap())
    );
    let started = Instant::now();
    assert_eq!(fetch("slow").await.bytes().await.unwrap(), "words");
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    let mut endless = fetch("endless").await;
    assert_eq!(endless.chunk().await.unwrap().unwrap(), "words");
    assert!(timeout(Duration::from_millis(200), endless.chunk()).await.is_err());
    let more = fetch("more").await;
    assert_eq!((more.content_length(), more.bytes().await.unwrap().as_ref()), (None, &b"words\0\0\0"[..]));
    assert_eq!(fetch("fewer").await.bytes().await.unwrap(), "wor");
    assert!(fetch("cut").await.bytes().await.is_err());
    assert_eq!(message.attachments[5].size, 5, "the message says what it says");
    assert!(local.break_file(said, "gone", None) && !local.break_file(said, "none", None));
    assert_eq!(fetch("gone").await.bytes().await.unwrap(), "words");
    let fetched = local.calls().into_iter().filter_map(|call| call.status).collect::<Vec<_>>();
    assert_eq!(fetched, [404, 500, 302, 200, 200, 200, 200, 200, 200]);
}

async fn send(local: &LocalDiscord, channel: Id, files: Vec<(&str, usize)>) -> (StatusCode, Value) {
    let form = Form::new().text("payload_json", json!({ "content": "see" }).to_string());
    let add = |form: Form, (n, (name, bytes)): (usize, (&str, usize))| {
        form.part(format!("files[{n}]"), Part::bytes(vec![7; bytes]).file_name(name.to_owned()))
    };
    let form = files.into_iter().enumerate().fold(form, add);
    let url = format!("{}/api/v10/channels/{channel}/messages", local.url());
    let request = Web::new().post(url).header("authorization", format!("Bot {}", local.token()));
    let answer = request.multipart(form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_bot_sends_ten_files_each_of_the_size_that_the_guild_has_paid_for() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let sent = id(&send(&local, general, vec![("a.png", 3), ("b.txt", 0)]).await.1);
    let uploads: Vec<_> =
        local.uploads(sent).into_iter().map(|it| (it.name, it.content_type, it.bytes.len())).collect();
    let kind = |kind: &str| Some(kind.to_owned());
    let expected = [
        ("a.png".to_owned(), kind("image/png"), 3),
        ("b.txt".to_owned(), kind("text/plain; charset=utf-8"), 0),
    ];
    assert_eq!(uploads, expected);
    assert_eq!(send(&local, general, vec![("a", 1); 10]).await.0, 200);
    assert_eq!(refusal(&send(&local, general, vec![("a", 1); 11]).await), (400, 30015));
    assert_eq!(send(&local, general, vec![("a", 6 << 20); 2]).await.0, 200, "the limit is for each");
    for (level, tier, limit) in [(0, 0, 10 << 20), (1, 1, 10 << 20), (2, 2, 50 << 20), (3, 3, 100 << 20)] {
        local.boost(level);
        let guild = call(&local, Method::GET, &format!("/guilds/{}", local.guild()), Value::Null).await.1;
        assert_eq!(guild["premium_tier"], tier);
        assert_eq!(send(&local, general, vec![("a", limit)]).await.0, 200, "{level}");
        assert_eq!(refusal(&send(&local, general, vec![("a", limit + 1)]).await), (413, 40005), "{level}");
    }
    let direct = local.direct(local.owner());
    assert_eq!(refusal(&send(&local, direct, vec![("a", (10 << 20) + 1)]).await), (413, 40005));
    let path = format!("/channels/{general}/messages/{sent}");
    assert_eq!(call(&local, Method::GET, &path, Value::Null).await.1["attachments"][0]["filename"], "a.png");
}
