//! Files: text goes into the prompt under its name, everything else is named as not read.

use std::process::Stdio;
use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, File, Id, Say};
use moonlane::turn::Settled;

use crate::support::{ANSWERED, FAILED, MOONLANE, Setup, Stage, within};

fn file(name: &str, content_type: &str, content: &[u8]) -> File {
    let content_type = Some(content_type.to_owned()).filter(|kind| !kind.is_empty());
    File { name: name.to_owned(), content_type, bytes: content.to_vec().into() }
}

fn text(name: &str, content: &str) -> File {
    file(name, "text/plain; charset=utf-8", content.as_bytes())
}

fn picture(name: &str) -> File {
    file(name, "image/png", b"\x89PNG\r\n\x1a\n\0")
}

/// The owner mentions the bot with files.
fn say(stage: &Stage, words: &str, files: Vec<File>) -> Id {
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    stage.discord.say(Say { files, ..Say::to_bot(channel, owner, words) })
}

/// The files that were fetched, by their paths.
fn fetched(stage: &Stage) -> Vec<String> {
    let paths = stage.discord.calls().into_iter().map(|call| call.path);
    paths.filter(|path| path.starts_with("/attachments/")).collect()
}

/// The last prompt that an agent has got.
fn prompt(stage: &Stage) -> String {
    stage.agent_log().into_iter().rev().find_map(|event| event.prompt).unwrap_or_default()
}

#[tokio::test]
async fn text_files_go_into_the_prompt_under_their_names() {
    let mut stage = Stage::open().await;
    let files = vec![
        text("message.txt", "a long paste\n"),
        file("Cargo.toml", "", b"[package]"),
        file("data.json", "application/json", b"{}\n"),
        text("empty.txt", ""),
        text("fences.md", "```rust\n````\n"),
        text("\u{fffd}../`pass\nwd`.txt", "月\r\n"),
    ];
    let question = say(&stage, "TEXT:read", files);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "read");
    insta::assert_snapshot!(prompt(&stage), @"
    TEXT:read

    Attached file `message.txt`:
    ```
    a long paste
    ```

    Attached file `Cargo.toml`:
    ```
    [package]
    ```

    Attached file `data.json`:
    ```
    {}
    ```

    Attached file `empty.txt` is empty.

    Attached file `fences.md`:
    `````
    ```rust
    ````
    `````

    Attached file `_..__pass_wd_.txt`:
    ```
    月
    ```
    ");
}

#[tokio::test]
async fn a_file_alone_is_the_prompt() {
    let mut stage = Stage::open().await;
    let question = say(&stage, "", vec![text("message.txt", "TEXT:asked in a file")]);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "asked in a file");
    assert_eq!(fetched(&stage).len(), 1);
}

#[tokio::test]
async fn a_file_of_the_largest_size_arrives_byte_for_byte_and_one_byte_more_does_not() {
    let mut stage = Stage::open().await;
    let largest = "0123456789abcde\n".repeat(100 * 64);
    assert_eq!(largest.len(), 100 * 1024);
    let question = say(&stage, "TEXT:read", vec![text("largest.txt", &largest)]);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "read");
    assert_eq!(prompt(&stage), format!("TEXT:read\n\nAttached file `largest.txt`:\n```\n{largest}```"));

    let question = say(&stage, "TEXT:not read", vec![text("larger.txt", &format!("{largest}."))]);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(prompt(&stage), "TEXT:not read");
    insta::assert_snapshot!(stage.answer(question), @"
    not read

    -# Not read: `larger.txt` (over 100 KB)
    ");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_below_the_answer_with_its_reason() {
    let mut stage = Stage::open().await;
    let files = vec![
        picture("shot.png"),
        text("good.txt", "good"),
        file("tool.exe", "application/x-msdownload", b"MZ"),
        file("latin1.txt", "text/plain", b"caf\xe9"),
        text("zeros.txt", "a\0b"),
        text("big.log", &"x".repeat(102_401)),
        file("noextension", "", b"words"),
        picture("`@everyone`.png"),
    ];
    let question = say(&stage, "TEXT:looked", files);
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(stage.answer(question), @"
    looked

    -# Not read: `shot.png` (not text), `tool.exe` (not text), `latin1.txt` (not UTF-8), `zeros.txt` (not text), `big.log` (over 100 KB), `noextension` (not text), `__everyone_.png` (not text)
    ");
    assert_eq!(prompt(&stage), "TEXT:looked\n\nAttached file `good.txt`:\n```\ngood\n```");
}

#[tokio::test]
async fn ten_files_with_the_longest_names_are_one_line() {
    let mut stage = Stage::open().await;
    let files = (0..10).map(|n| picture(&format!("{n}{}.png", "x".repeat(250)))).collect();
    let question = say(&stage, "TEXT:seen", files);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    assert_eq!(parts.len(), 1);
    let note = parts[0].content.lines().last().unwrap();
    assert!(note.starts_with("-# Not read: `0x") && note.matches("(not text)").count() == 10, "{note}");
}

#[tokio::test]
async fn nothing_but_files_that_cannot_be_read_is_a_sentence_and_no_turn() {
    let mut stage = Stage::open().await;
    let question = say(&stage, "", vec![picture("shot.png"), text("big.log", &"x".repeat(102_401))]);
    assert_eq!(stage.settled(question).await, Settled::Said);
    insta::assert_snapshot!(stage.answer(question), @"I can't read `shot.png` (not text), `big.log` (over 100 KB). Write what I should do, or attach a text file of up to 100 KB.");
    // Discord calls it text, and it is none.
    let question = say(&stage, "", vec![file("latin1.txt", "text/plain", b"caf\xe9")]);
    assert_eq!(stage.settled(question).await, FAILED);
    insta::assert_snapshot!(stage.answer(question), @"
    ⚠️ I can't read `latin1.txt` (not UTF-8). Write what I should do, or attach a text file of up to 100 KB.
    -# id ID
    ");
    assert!(stage.agent_log().is_empty(), "no agent was asked for nothing");
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn a_turn_whose_files_do_not_come_can_be_stopped() {
    let mut stage = Stage::open().await;
    stage.discord.fail_next(10, Fault::Delay(Duration::from_secs(3600)), "GET /attachments/");
    let question = say(&stage, "TEXT:x", vec![text("a.txt", "a"), text("b.txt", "b")]);
    // Both are asked for, though the first one does not come.
    let asked = stage.discord.wait_until(|local| {
        let files = local.calls().into_iter().filter(|call| call.path.starts_with("/attachments/"));
        (files.count() == 2).then_some(())
    });
    within("the files", asked).await;
    stage.discord.delete(question);
    assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Cancelled));
}

#[tokio::test]
async fn a_file_that_discord_has_lost_is_named_as_not_read() {
    let mut stage = Stage::open().await;
    let first = stage.say("general", "SLEEP:0.3");
    stage.prompted("SLEEP:0.3").await;
    let with_words = say(&stage, "TEXT:without it", vec![text("lost.txt", "lost")]);
    let alone = say(&stage, "", vec![text("lost.txt", "lost")]);
    stage.reacted(alone, "⏳").await;
    stage.discord.lose_files();
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(with_words).await, ANSWERED);
    insta::assert_snapshot!(stage.answer(with_words), @"
    without it

    -# Not read: `lost.txt` (the download failed)
    ");
    assert_eq!(stage.settled(alone).await, FAILED);
    insta::assert_snapshot!(stage.answer(alone), @"
    ⚠️ I can't read `lost.txt` (the download failed). Write what I should do, or attach a text file of up to 100 KB.
    -# id ID
    ");
}

/// The local Discord names its files at 127.0.0.1. To a bot whose `api_url` is at another name, that is a foreign
/// address, and not one of Discord's file servers.
#[tokio::test]
async fn a_file_at_an_address_that_is_not_discords_is_never_fetched() {
    let stage = Stage::without_bot(Setup::default()).await;
    let elsewhere = stage.discord.url().replace("127.0.0.1", "localhost");
    let mut bot = tokio::process::Command::new(MOONLANE)
        .args(["run", "--root"])
        .arg(stage.root())
        .env("DISCORD_TOKEN", stage.discord.token())
        .env("MOONLANE_DISCORD__API_URL", elsewhere)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    within("the bot", stage.discord.connected()).await;
    let question = say(&stage, "TEXT:without it", vec![text("secret.txt", "the inner network's secret")]);
    stage.parts_posted(question, 1).await;
    insta::assert_snapshot!(stage.answer(question), @"
    without it

    -# Not read: `secret.txt` (the download failed)
    ");
    assert_eq!(prompt(&stage), "TEXT:without it");
    assert!(fetched(&stage).is_empty());
    bot.kill().await.unwrap();
}
