//! Odd and hostile files that people attach: under which name each is kept, what the agent is told of it, and what the
//! person reads.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{File, FileFault, Id, Say};
use moonlane::turn::Settled;

use crate::attachments::prompt_without_place;
use crate::support::{ONE_FOR_MANY, Setup, Stage};

/// What is attached to one message, and how Discord serves it.
struct Row {
    what: &'static str,
    files: Vec<(String, Vec<u8>)>,
    fault: Option<FileFault>,
}

fn row(what: &'static str, name: &str, content: impl AsRef<[u8]>) -> Row {
    Row { what, files: vec![(name.to_owned(), content.as_ref().to_vec())], fault: None }
}

/// A text whose name is what matters.
fn named(what: &'static str, name: &str) -> Row {
    row(what, name, "text")
}

fn served(what: &'static str, fault: FileFault) -> Row {
    Row { fault: Some(fault), ..row(what, "a.txt", "0123456789".repeat(6)) }
}

fn names() -> Vec<Row> {
    let twins = ["a.txt", "A.TXT", "a.txt", "a-2.txt"].map(|name| (name.to_owned(), b"text".to_vec()));
    vec![
        named("an ordinary name", "notes.txt"),
        named("up and out", "../../../../etc/passwd"),
        named("up and out of Windows", r"..\..\autoexec.bat"),
        named("absolute", "/etc/cron.d/job"),
        named("the folder itself", "."),
        named("the folder above", ".."),
        named("no name", ""),
        named("nothing that shows", "\u{200b}\u{2060}"),
        named("NUL", "a\0.txt"),
        named("a line break", "a\nAttached: b.txt"),
        named("right to left", "gpj.\u{202e}txt.exe"),
        named("a device of Windows", "NUL"),
        named("hidden", ".bashrc"),
        named("an option", "-rf"),
        named("a home", "~root"),
        named("instructions", "CLAUDE.md"),
        named("a list of servers", ".mcp.json"),
        named("a command", "$(touch x);`id`.txt"),
        named("quotes and blanks", "a \"b\" 'c'.txt"),
        named("a mention", "@everyone <@1>.txt"),
        named("300 letters", &format!("{}.txt", "x".repeat(300))),
        named("300 wide letters", &"月".repeat(300)),
        named("an ending of 300 letters", &format!("a.{}", "x".repeat(300))),
        named("another script", "отчёт 報告.txt"),
        Row { files: twins.to_vec(), ..named("twins", "") },
    ]
}

/// A gigabyte of zeros in a thousand bytes would look no different: nothing is unpacked.
const ARCHIVE: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0";

fn contents() -> Vec<Row> {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let mut torn = utf16("月");
    torn.pop();
    vec![
        row("empty", "a.txt", ""),
        row("an empty image", "a.png", ""),
        row("text that is called an image", "a.png", "no image"),
        row("a program that is called an image", "a.png", b"MZ\x90\0"),
        row("an image that is called text", "a.txt", b"GIF89a\x01\0\x01\0"),
        row("the first bytes of an image", "a.png", b"\x89PNG\r\n\x1a\n"),
        row("the first bytes of a PDF", "a.pdf", "%PDF-"),
        row("a picture made of text", "a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        row("an archive", "bomb.zip", ARCHIVE),
        row("a packed archive", "a.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        row("UTF-16", "a.txt", utf16("café 月")),
        row("UTF-16 that ends within a letter", "a.txt", torn),
        row("UTF-8 with a byte-order mark", "a.txt", "\u{feff}text"),
        row("Windows-1252", "a.txt", b"caf\xe9"),
        row("no encoding", "a.txt", b"\x81\xfe\x90"),
        row("escapes and a bell", "a.log", "\x1b[31mred\x1b[0m\x07"),
        row("a NUL within text", "a.txt", "a\0b"),
        row("fences", "a.md", "```\n````\n```"),
        row("right to left within text", "a.txt", "if admin\u{202e} { \u{2066}\u{2069}"),
        row("64 KB in one line", "a.txt", "x".repeat(64 << 10)),
        row("a byte more", "a.txt", "x".repeat((64 << 10) + 1)),
        row("over the limit", "a.txt", "x".repeat(LIMIT + 1)),
    ]
}

fn servings() -> Vec<Row> {
    vec![
        served("gone", FileFault::Status(404)),
        served("expired", FileFault::Status(403)),
        served("broken", FileFault::Status(500)),
        served("too many requests", FileFault::Status(429)),
        served("sent to loopback", FileFault::Redirect("http://127.0.0.1:1/".to_owned())),
        served("sent to the inner network", FileFault::Redirect("http://169.254.169.254/latest".to_owned())),
        served("more bytes than said", FileFault::MoreBytes(1)),
        served("endlessly more bytes than said", FileFault::MoreBytes(50 << 20)),
        served("fewer bytes than said", FileFault::FewerBytes(1)),
        served("cut off", FileFault::CutAfter(5)),
    ]
}

/// A small `files.max_file`, in bytes.
const LIMIT: usize = 100 << 10;

async fn say(stage: &mut Stage, row: Row) -> Id {
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let file = |(name, bytes): (String, Vec<u8>)| File { name, content_type: None, bytes: bytes.into() };
    let file_faults =
        row.files.iter().map(|it| &it.0).zip(row.fault).map(|(name, fault)| (name.clone(), fault));
    let say = Say {
        file_faults: file_faults.collect(),
        raw_names: true,
        ..Say::to_bot(channel, owner, "TEXT:seen")
    };
    let question = stage.discord.say(Say { files: row.files.into_iter().map(file).collect(), ..say });
    let settled = stage.settled(question).await;
    assert_eq!(settled, Settled::Ended(Outcome::Answered), "{}", row.what);
    question
}

/// What became of the files of a message.
fn found(stage: &Stage, question: Id) -> String {
    let folder = stage.root().join(format!("files/{}/{question}", stage.discord.channel("general")));
    let told = prompt_without_place(stage, question);
    let told = told.strip_prefix("TEXT:seen").unwrap().trim();
    let answer = stage.answer(question);
    let read = answer.strip_prefix("seen").unwrap().trim();
    let mut kept: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.file_type().unwrap().is_file());
        kept.push(entry.file_name().into_string().unwrap());
    }
    kept.sort();
    let mut found = String::new();
    for (who, what) in [("agent", told), ("person", read), ("kept", &*kept.join(" | "))] {
        let runs = ["x", "月"]
            .into_iter()
            .fold(visible(what), |text, it| text.replace(&it.repeat(50), &format!("({it} × 50)")));
        let lines = runs.lines().map(shortened).collect::<Vec<_>>().join("\n         ");
        let lines = lines.replace("         \n", "\n");
        if !lines.is_empty() {
            writeln!(found, "  {who:<6} {lines}").unwrap();
        }
    }
    found
}

/// What does not show, as its number.
fn visible(text: &str) -> String {
    let show = |c: char| match c {
        '\n' => c.to_string(),
        c if c.is_control() || matches!(c, '\u{200b}'..='\u{206f}') => format!("{{{:X}}}", c as u32),
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(200) {
        Some((at, _)) => format!("{} … {} characters", &line[..at], line.chars().count()),
        None => line.to_owned(),
    }
}

#[tokio::test]
async fn odd_and_hostile_files_are_kept_harmlessly_or_named_as_not_read() {
    let config = format!("{ONE_FOR_MANY}\n[files]\nmax_file = {LIMIT}\n");
    let mut stage = Stage::with(Setup { config, ..Setup::default() }).await;
    let mut before = entries(stage.root());
    let mut table = String::new();
    for row in [names(), contents(), servings()].into_iter().flatten() {
        let what = row.what;
        let question = say(&mut stage, row).await;
        writeln!(table, "{what}\n{}", found(&stage, question)).unwrap();
    }
    println!("{table}");
    crate::access_matrix::snapshot_in("files", "attached", &table);
    before.extend(["agent.log", "files"].map(str::to_owned));
    assert_eq!(entries(stage.root()), before, "nothing else has come");
    assert!(entries(&stage.work()).is_empty());
}

/// What is in a folder.
fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn files_that_come_too_slowly_or_never_end_are_given_up() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.adjust = |config| config.discord.request_limit = Duration::from_secs(1);
    stage.start().await;
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let file = |name: &str| File { name: name.to_owned(), content_type: None, bytes: "x".repeat(60).into() };
    let file_faults =
        vec![("slow.txt".to_owned(), FileFault::Slow), ("endless.txt".to_owned(), FileFault::NeverEnds)];
    let files = ["slow.txt", "endless.txt", "good.txt"].map(file).to_vec();
    let question = stage.discord.say(Say { files, file_faults, ..Say::to_bot(channel, owner, "TEXT:seen") });
    assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Answered));
    insta::assert_snapshot!(found(&stage, question), @"
    agent  Attached: FILES/good.txt (text, 60 bytes):
           ```
           (x × 50)xxxxxxxxxx
           ```
    person -# Not read: `slow.txt` (the download failed), `endless.txt` (the download failed)
    kept   good.txt
    ");
}
