//! Files: they are kept, named in the prompt, and shown to the model where it can look at them.

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

/// The same, with the folder of kept files as `FILES`.
pub fn prompt_without_place(stage: &Stage, message: Id) -> String {
    let folder = stage.root().join(format!("files/{}/{message}", stage.discord.channel("general")));
    prompt(stage).replace(&*folder.to_string_lossy(), "FILES")
}

#[tokio::test]
async fn each_file_is_named_with_its_place_and_short_texts_stand_in_the_prompt() {
    let mut stage = Stage::open().await;
    let files = vec![
        text("message.txt", "a long paste\n"),
        file("data.json", "application/json", b"{}\n"),
        text("empty.txt", ""),
        text("fences.md", "```rust\n````\n"),
        text("\u{fffd}../`pass\nwd`.txt", "月\r\n"),
        file("latin 1.txt", "text/plain", b"caf\xe9"),
        text("long.log", &"line\n".repeat(20_000)),
        file("tool.exe", "image/png", b"MZ\x90\0"),
        file("tool.exe", "", b"\0\x01"),
    ];
    let question = say(&stage, "TEXT:read", files);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "read");
    insta::assert_snapshot!(prompt_without_place(&stage, question), @"
    TEXT:read

    Attached: FILES/message.txt (text, 13 bytes):
    ```
    a long paste
    ```

    Attached: FILES/data.json (text, 3 bytes):
    ```
    {}
    ```

    Attached: FILES/empty.txt (empty)

    Attached: FILES/fences.md (text, 13 bytes):
    `````
    ```rust
    ````
    `````

    Attached: FILES/_..__pass_wd_.txt (text, 5 bytes):
    ```
    月
    ```

    Attached: FILES/latin_1.txt (text, 4 bytes, read as Windows-1252, which is a guess):
    ```
    café
    ```

    Attached: FILES/long.log (text, 98 KB)
    Attached: FILES/tool.exe (application/vnd.microsoft.portable-executable, 4 bytes)
    Attached: FILES/tool-2.exe (unknown type, 2 bytes)
    ");
    let folder = stage.root().join(format!("files/{}/{question}", stage.discord.channel("general")));
    assert_eq!(std::fs::read(folder.join("latin_1.txt")).unwrap(), b"caf\xe9");
}

#[tokio::test]
async fn images_and_documents_go_along_with_the_prompt_by_what_they_are() {
    let mut stage = Stage::open().await;
    let files = vec![
        picture("shot.txt"),
        file("a b.pdf", "application/pdf", b"%PDF-1.7\n"),
        file("fake.png", "image/png", b"no picture"),
        file("empty.png", "image/png", b""),
    ];
    let question = say(&stage, "TEXT:seen", files);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "seen");
    insta::assert_snapshot!(prompt_without_place(&stage, question), @r#"
    TEXT:seen

    Attached: FILES/shot.txt (PNG image, 9 bytes)
    Attached: FILES/a_b.pdf (PDF, 9 bytes)

    Attached: FILES/fake.png (text, 10 bytes):
    ```
    no picture
    ```

    Attached: FILES/empty.png (empty)
    [image "image/png", 12 characters]
    [document "application/pdf", 12 characters]
    "#);
}

#[tokio::test]
async fn a_file_alone_is_the_prompt() {
    let mut stage = Stage::open().await;
    let question = say(&stage, "", vec![picture("shot.png")]);
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt_without_place(&stage, question), @r#"
    Attached: FILES/shot.png (PNG image, 9 bytes)
    [image "image/png", 12 characters]
    "#);
    assert_eq!(fetched(&stage).len(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_named_below_the_answer_and_never_fetched() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.configure("[files]\nmax_file = 2048\nmax_message = 3072\n");
    stage.start().await;
    let of = |name: &str, bytes| text(name, &"x".repeat(bytes));
    let files = vec![
        of("large.txt", 2049),
        of("first.txt", 2048),
        of("second.txt", 1025),
        of("`@everyone`.txt", 1024),
    ];
    let question = say(&stage, "TEXT:looked", files);
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(stage.answer(question), @"
    looked

    -# Not read: `large.txt` (over 2 KB), `second.txt` (over 3 KB together with the others)
    ");
    assert_eq!(fetched(&stage).len(), 2);
    let question = say(&stage, "", vec![of("large.txt", 2049)]);
    assert_eq!(stage.settled(question).await, FAILED);
    insta::assert_snapshot!(stage.answer(question), @"
    ⚠️ I can't read `large.txt` (over 2 KB). Write what I should do, or attach it once more.
    -# id ID
    ");
}

#[tokio::test]
async fn a_file_that_an_edit_adds_to_a_waiting_message_counts() {
    let mut stage = Stage::open().await;
    let first = stage.held("general").await;
    let question = say(&stage, "TEXT:read", vec![]);
    stage.reacted(question, "⏳").await;
    assert!(stage.discord.attach(question, vec![text("late.txt", "late")]));
    stage.let_go("first").await;
    assert_eq!((stage.settled(first).await, stage.settled(question).await), (ANSWERED, ANSWERED));
    insta::assert_snapshot!(prompt_without_place(&stage, question), @"
    TEXT:read

    Attached: FILES/late.txt (text, 4 bytes):
    ```
    late
    ```
    ");
}

#[tokio::test]
async fn the_channels_agent_may_open_its_folder_and_no_other() {
    let mut stage = Stage::open().await;
    let arguments = stage.ask("general", "ARGS").await;
    let folder = stage.root().join(format!("files/{}", stage.discord.channel("general")));
    assert!(folder.is_dir());
    let added: Vec<&str> =
        arguments.split_whitespace().filter(|argument| argument.contains("--add-dir")).collect();
    assert_eq!(added.len(), 1, "{arguments}");
    assert!(added[0].contains(&format!("--add-dir={}", folder.display())), "{added:?}");
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

    -# Not read: `lost.txt` (Discord doesn't have it any more)
    ");
    assert_eq!(stage.settled(alone).await, FAILED);
    insta::assert_snapshot!(stage.answer(alone), @"
    ⚠️ I can't read `lost.txt` (Discord doesn't have it any more). Write what I should do, or attach it once more.
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

#[tokio::test]
async fn the_readmes_question_about_a_screenshot_reaches_the_model_with_the_picture() {
    let readme = include_str!("../../README.md");
    let question = readme.split("`@moonlane ").find(|rest| rest.starts_with("What is wrong in")).unwrap();
    let question = question.split('`').next().unwrap();
    let mut stage = Stage::open().await;
    let asked = say(&stage, question, vec![picture("screenshot.png")]);
    assert_eq!(stage.settled(asked).await, ANSWERED);
    let told = prompt_without_place(&stage, asked);
    assert!(told.starts_with(question), "{told}");
    assert!(told.contains("Attached: FILES/screenshot.png (PNG image, 9 bytes)"), "{told}");
    assert!(told.contains(r#"[image "image/png""#), "{told}");
}
