//! Files that Claude hands over: what is posted, what is not, and what the model is told.

use std::os::unix::fs::symlink;
use std::path::Path;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, Id, Message, Right};
use moonlane::turn::Settled;
use serde_json::json;

use crate::crashes::{FOR_EVER, Program, outcome, until};
use crate::support::{ANSWERED, ONE_FOR_MANY, Setup, Stage, routing_with, within};

fn setup(project: &str) -> Setup {
    Setup { routing: routing_with(project), ..Setup::default() }
}

/// What hands these over.
fn send(paths: &[&str], caption: &str) -> String {
    format!("SEND:{}", json!({ "paths": paths, "caption": caption }))
}

/// The messages with files in the channel.
fn with_files(stage: &Stage) -> Vec<Message> {
    let messages = stage.discord.messages(stage.discord.channel("general"));
    messages.into_iter().filter(|it| it.by_bot && !it.attachments.is_empty()).collect()
}

/// Their names and contents.
fn files(stage: &Stage, message: Id) -> Vec<(String, Vec<u8>)> {
    stage.discord.uploads(message).into_iter().map(|file| (file.name, file.bytes.to_vec())).collect()
}

/// What the agent says in the end: what the model was told.
fn told(stage: &Stage, question: Id) -> String {
    let parts = stage.parts(question).into_iter().filter(|it| it.attachments.is_empty());
    parts.map(|part| part.content).collect()
}

fn copies(stage: &Stage) -> usize {
    std::fs::read_dir(stage.root().join("files/out")).map(Iterator::count).unwrap_or_default()
}

#[tokio::test]
async fn what_claude_hands_over_comes_as_one_message_before_the_answer() {
    let mut stage = Stage::with(setup("")).await;
    std::fs::create_dir_all(stage.work().join("out/deep")).unwrap();
    let picture = b"\x89PNG\r\n\x1a\n\0\xff".to_vec();
    std::fs::write(stage.work().join("out/chart.png"), &picture).unwrap();
    std::fs::write(stage.work().join("out/deep/chart.png"), "another").unwrap();
    let absolute = stage.work().join("out/chart.png");
    let paths = ["out/chart.png", "out/deep/../deep/chart.png", absolute.to_str().unwrap()];
    let question = stage.say("general", &send(&paths, "The **charts**, @everyone"));
    assert_eq!(stage.settled(question).await, ANSWERED);
    let [posted] = &with_files(&stage)[..] else { panic!("one message") };
    assert_eq!(posted.content, "The **charts**, @everyone");
    assert!(!posted.mention_everyone && posted.reply_to.is_none());
    let sent = files(&stage, posted.id);
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[0], sent[0].1.clone(), sent[1].1.as_slice()), ("chart.png", picture, &b"another"[..]));
    assert_eq!(told(&stage, question), format!("Posted in the channel: {}.", names.join(", ")));
    assert!(posted.id < stage.parts(question).last().unwrap().id);
    assert_eq!(copies(&stage), 0);
}

/// Everything that a model may try, by what is said of it.
fn hostile(work: &Path) -> Vec<(&'static str, Vec<String>)> {
    let outside = work.parent().unwrap().join("outside.txt");
    std::fs::write(&outside, "not yours").unwrap();
    let write = |name: &str, content: &[u8]| {
        let file = work.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    };
    write("good.txt", b"good");
    write("empty", b"");
    write(".env", b"A=1");
    write("config/.ENV.local", b"A=1");
    write(".git/config", b"[core]");
    write(".ssh/known_hosts", b"x");
    write("id_rsa", b"x");
    write("tls/server.pem", b"x");
    write("notes.txt", b"first\n-----BEGIN OPENSSH PRIVATE KEY-----\nx");
    write("token.txt", format!("the token: {TOKEN}").as_bytes());
    write("large.bin", &vec![7; (10 << 20) + 1]);
    write("a\nb\u{202e}gpj.exe", b"odd");
    write("dir/inner.txt", b"inner");
    std::fs::File::create(work.join("sparse.bin")).unwrap().set_len(1 << 40).unwrap();
    symlink(&outside, work.join("link out")).unwrap();
    symlink(work.join("good.txt"), work.join("link in")).unwrap();
    symlink(work.join(".env"), work.join("innocent.txt")).unwrap();
    symlink(work.join("loop"), work.join("loop")).unwrap();
    symlink("/etc", work.join("etc")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(work.join("pipe")).status().unwrap().success());
    std::os::unix::net::UnixListener::bind(work.join("socket")).unwrap();
    let one = |path: &str| vec![path.to_owned()];
    let many = |count: usize| vec!["good.txt".to_owned(); count];
    vec![
        ("a file of the project", one("good.txt")),
        ("the same ten times", many(10)),
        ("eleven files", many(11)),
        ("no file", Vec::new()),
        ("one that is not there", one("gone.txt")),
        ("below a file", one("good.txt/x")),
        ("an empty path", one("")),
        ("a path with NUL", one("good\0.txt")),
        ("a path of 5000 characters", one(&"x".repeat(5000))),
        ("up and out", one("../outside.txt")),
        ("absolute and out", one(outside.to_str().unwrap())),
        ("/etc/passwd", one("/etc/passwd")),
        ("a link out", one("link out")),
        ("a link to a file of the project", one("link in")),
        ("a harmless link to .env", one("innocent.txt")),
        ("through a link to /etc", one("etc/passwd")),
        ("a link to itself", one("loop")),
        ("the project itself", one(".")),
        ("a folder", one("dir")),
        ("a pipe that nobody writes into", one("pipe")),
        ("a socket", one("socket")),
        ("a device", one("/dev/zero")),
        (".env", one(".env")),
        (".env in capitals, in a folder", one("config/.ENV.local")),
        ("git's configuration", one(".git/config")),
        ("in .ssh", one(".ssh/known_hosts")),
        ("a key by its name", one("id_rsa")),
        ("a certificate", one("tls/server.pem")),
        ("a key by what is in it", one("notes.txt")),
        ("the bot's token in a file", one("token.txt")),
        ("an empty file", one("empty")),
        ("a byte too much", one("large.bin")),
        ("a terabyte of nothing", one("sparse.bin")),
        ("a name with a line break and from right to left", one("a\nb\u{202e}gpj.exe")),
        ("a good one and a bad one", vec!["good.txt".to_owned(), ".env".to_owned()]),
        ("the bot's database", one("../moonlane.db")),
        ("the scripts", one("../scripts/routing.lua")),
    ]
}

/// What the local Discord takes as the bot's token.
const TOKEN: &str = "local.discord.token-that-opens-nothing-else";

#[tokio::test]
async fn nothing_is_handed_over_but_what_belongs_to_the_project() {
    let mut stage = Stage::with(Setup { config: ONE_FOR_MANY.to_owned(), ..setup("") }).await;
    assert_eq!(stage.discord.token(), TOKEN);
    let rows = hostile(&stage.work());
    let mut table = String::new();
    for (what, paths) in rows {
        let before = with_files(&stage).len();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let question = stage.say("general", &send(&paths, ""));
        assert_eq!(stage.settled(question).await, ANSWERED, "{what}");
        let new = &with_files(&stage)[before..];
        let sent: usize = new.iter().map(|message| message.attachments.len()).sum();
        let told = told(&stage, question).replace(&*stage.root().to_string_lossy(), "ROOT");
        let told = told.replace(&"x".repeat(100), "(100 times x)");
        table += &format!("{what}: {} message, {sent} files: {}\n", new.len(), told.replace('\n', "\\n"));
    }
    assert_eq!(copies(&stage), 0);
    println!("{table}");
    crate::access_matrix::snapshot_in("files", "handed_over", &table);
}

#[tokio::test]
async fn a_project_can_hand_over_nothing_or_deny_other_files() {
    let mut stage = Stage::with(setup("send_files = false,")).await;
    std::fs::write(stage.work().join("a.txt"), "a").unwrap();
    let question = stage.say("general", &send(&["a.txt"], ""));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(told(&stage, question).starts_with("No such tool available"), "{}", told(&stage, question));
    assert!(with_files(&stage).is_empty());

    let mut stage = Stage::with(setup("deny_files = { '*.csv' },")).await;
    for name in ["people.csv", ".env"] {
        std::fs::write(stage.work().join(name), "a").unwrap();
    }
    let question = stage.say("general", &send(&["people.csv"], ""));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(told(&stage, question).contains("`deny_files` of the project forbids"));
    // Its own list takes the place of the other.
    let question = stage.say("general", &send(&[".env"], ""));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(with_files(&stage).len(), 1);
}

#[tokio::test]
async fn where_discord_refuses_a_file_the_model_is_told_why() {
    let mut stage = Stage::with(setup("")).await;
    std::fs::write(stage.work().join("a.txt"), "a").unwrap();
    let general = stage.discord.channel("general");
    stage.discord.forbid(general, Right::Attach);
    let question = stage.say("general", &send(&["a.txt"], ""));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(told(&stage, question).contains("error: Nothing was posted: the bot may not attach files"));
    stage.discord.allow(general, Right::Attach);
    let posts = format!("POST /channels/{general}/messages");
    stage.discord.fail_next(1, Fault::Status(413), &posts);
    let question = stage.say("general", &send(&["a.txt"], ""));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(told(&stage, question).contains("Nothing was posted"), "{}", told(&stage, question));
    // What passes is tried again, and comes once.
    stage.discord.fail_next(1, Fault::Status(500), &posts);
    stage.discord.fail_next(1, Fault::DropAfter, &posts);
    let question = stage.say("general", &send(&["a.txt"], ""));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(with_files(&stage).len(), 1);
    assert_eq!(copies(&stage), 0);
}

#[tokio::test]
async fn a_turn_that_is_stopped_while_it_hands_over_ends() {
    let mut stage = Stage::with(setup("live = 'off',")).await;
    std::fs::write(stage.work().join("a.txt"), "a").unwrap();
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts);
    let question = stage.say("general", &send(&["a.txt"], ""));
    let is_on_its_way = |discord: &moonlane::local::LocalDiscord| {
        let path = format!("/channels/{}/messages", discord.channel("general"));
        discord.calls().iter().any(|call| call.method == "POST" && call.path == path).then_some(())
    };
    within("the file on its way", stage.discord.wait_until(is_on_its_way)).await;
    stage.discord.delete(question);
    assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Cancelled));
}

/// The bot is killed where this fault holds up the file; what became of it.
async fn becomes(name: &str, fault: Option<Fault>) -> String {
    let stage = Stage::without_bot(setup("live = 'off',")).await;
    std::fs::write(stage.work().join("a.txt"), "as it was").unwrap();
    let channel = stage.discord.channel("general");
    let path = format!("/channels/{channel}/messages");
    if let Some(fault) = fault {
        stage.discord.fail_next(1, fault, &format!("POST {path}"));
    }
    let bot = Program::start(&stage).await;
    let question = stage.say("general", &format!("{} ;; UNTIL:gate", send(&["a.txt"], "Here")));
    let posts =
        || stage.discord.calls().iter().any(|it| it.method == "POST" && it.path == path).then_some(());
    until("the file on its way", posts).await;
    if fault.is_none() {
        until("the file", || (with_files(&stage).len() == 1).then_some(())).await;
    }
    bot.kill().await;
    stage.no_agent_is_left().await;
    std::fs::write(stage.work().join("a.txt"), "changed since").unwrap();
    stage.discord.heal();
    stage.discord.forget_nonces();
    let _bot = Program::start(&stage).await;
    let end = outcome(&stage, question).await;
    until("the file", || (!with_files(&stage).is_empty()).then_some(())).await;
    until("the end of the copies", || (copies(&stage) == 0).then_some(())).await;
    let posted = with_files(&stage);
    let content = files(&stage, posted[0].id).pop().unwrap().1;
    format!(
        "{name}: the turn {end}, the file posted {}×: {:?}\n",
        posted.len(),
        String::from_utf8_lossy(&content)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_bot_is_killed_a_file_that_was_accepted_is_posted_once() {
    let mut table = String::new();
    for (name, fault) in [
        ("written down, on its way", Some(Fault::Delay(FOR_EVER))),
        ("posted, and nobody knows", Some(Fault::DropAfter)),
        ("posted", None),
    ] {
        table += &becomes(name, fault).await;
    }
    println!("{table}");
    insta::assert_snapshot!(table, @r#"
    written down, on its way: the turn interrupted, the file posted 1×: "as it was"
    posted, and nobody knows: the turn interrupted, the file posted 1×: "as it was"
    posted: the turn interrupted, the file posted 1×: "as it was"
    "#);
}

#[tokio::test]
async fn long_code_of_an_answer_comes_as_files_where_a_project_wants_it() {
    let mut stage = Stage::with(setup("file_over = 3,")).await;
    let code = "1\n2\n3\n4\n";
    let answer = format!("Here:\n\n```rust\n{code}```\n\nand\n\n```\na\n```\n\n```py\n{code}5\n```\nDone.");
    std::fs::write(stage.work().join("answer"), &answer).unwrap();
    let question = stage.say("general", "READ:answer");
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(told(&stage, question), @"
    Here:

    📎 `code.rs` (4 lines)

    and

    ```
    a
    ```

    📎 `code-2.py` (5 lines)
    Done.
    ");
    let [posted] = &with_files(&stage)[..] else { panic!("one message") };
    let expected = [("code.rs", code.to_owned()), ("code-2.py", format!("{code}5\n"))];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.into_bytes()));
    assert_eq!(files(&stage, posted.id), expected);
    assert!(posted.id < stage.parts(question).last().unwrap().id);
    // Where files may not be attached, the code stays in the answer.
    stage.discord.forbid(stage.discord.channel("general"), Right::Attach);
    let question = stage.say("general", "READ:answer");
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(told(&stage, question).contains("```rust\n1\n2\n3\n4\n```"), "{}", told(&stage, question));
    assert_eq!(copies(&stage), 0);
}
