//! `moonlane format`, as a person at a shell and a program in a pipe see it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::separate::clean;
use crate::support::{MOONLANE, within};

/// A block that needs two parts, behind a heading that Discord does not know.
fn long() -> String {
    format!("#### Log\n\n```sh\n{}```\n", "echo 0123456789\n".repeat(150))
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = clean(MOONLANE, folder.path());
    command.arg("format").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it in this folder, with nothing but this on its standard input.
async fn format(folder: &TempDir, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(folder, arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).await.unwrap();
    within("the end of format", child.wait_with_output()).await.unwrap()
}

/// What it prints where all is well.
async fn printed(arguments: &[&str], input: &str) -> String {
    let output = format(&TempDir::new().unwrap(), arguments, input.as_bytes()).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// Its exit code and its sentence where it fails, and nothing on standard output.
async fn problem(folder: &TempDir, arguments: &[&str], input: &[u8]) -> String {
    let output = format(folder, arguments, input).await;
    assert_eq!(output.stdout, b"");
    let sentence = String::from_utf8(output.stderr).unwrap();
    format!("exit code {}: {}", output.status.code().unwrap(), sentence.trim_end())
}

#[tokio::test]
async fn parts_stand_under_rulers_with_their_length() {
    let shown = printed(&[], &long()).await;
    assert_eq!(shown, moonlane::text::ruled(&moonlane::text::parts(&long(), &Default::default())));
    assert!(shown.starts_with("── 1/2 ── ") && shown.contains("⟦```sh"), "{shown}");
    assert_eq!(printed(&["-"], &long()).await, shown);
}

#[tokio::test]
async fn json_is_an_array_of_strings() {
    let texts: Vec<String> = serde_json::from_str(&printed(&["--json"], &long()).await).unwrap();
    let parts = moonlane::text::parts(&long(), &Default::default());
    assert_eq!(texts, parts.into_iter().map(|part| part.text).collect::<Vec<_>>());
    insta::assert_snapshot!(printed(&["--json"], "one").await, @r#"
    [
      "one"
    ]
    "#);
}

#[tokio::test]
async fn plain_keeps_what_discord_does_not_know() {
    let plain = moonlane::domain::Format { dialect: false, ..Default::default() };
    let shown = printed(&["--plain"], &long()).await;
    assert_eq!(shown, moonlane::text::ruled(&moonlane::text::parts(&long(), &plain)));
    assert!(shown.contains("#### Log"), "{shown}");
}

#[tokio::test]
async fn a_blank_text_has_no_parts() {
    assert_eq!(printed(&[], "").await, "");
    assert_eq!(printed(&[], " \n\n").await, "");
    assert_eq!(printed(&["--json"], "").await, "[]\n");
}

#[tokio::test]
async fn a_file_is_read_from_any_folder_without_configuration() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("answer.md"), "\u{feff}# Title\r\n\r\ntext").unwrap();
    let output = format(&folder, &["answer.md"], b"").await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "── 1/1 ── 13 ──\n# Title\n\ntext\n");
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("notes")).unwrap();
    std::fs::write(folder.path().join("latin.md"), b"one\ntwo\ncaf\xe9\n").unwrap();
    insta::assert_snapshot!(problem(&folder, &["gone.md"], b"").await, @"exit code 1: moonlane: there is no file gone.md");
    insta::assert_snapshot!(problem(&folder, &["notes"], b"").await, @"exit code 1: moonlane: notes is a directory, not a file");
    insta::assert_snapshot!(problem(&folder, &["latin.md"], b"").await, @"exit code 1: moonlane: latin.md is not text in UTF-8: line 3 has bytes that mean nothing in it");
    insta::assert_snapshot!(problem(&folder, &[], b"\xff\xfeo\0n\0e\0").await, @"exit code 1: moonlane: standard input is not text in UTF-8: line 1 has bytes that mean nothing in it");
}

#[tokio::test]
async fn who_reads_only_the_beginning_hears_of_no_error_and_a_program_sees_the_exit_code() {
    let folder = TempDir::new().unwrap();
    let mut child = command(&folder, &[]).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(long().as_bytes()).await.unwrap();
    let output = within("the end of format", child.wait_with_output()).await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), b"".as_slice()));
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("answer.md"), long()).unwrap();
    let mut full = command(&folder, &["answer.md"]);
    full.stdout(File::options().write(true).open("/dev/full").unwrap());
    let full = full.spawn().unwrap();
    let output = within("the end of format", full.wait_with_output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"moonlane: cannot write to standard output: No space left on device (os error 28)");
}

#[tokio::test]
async fn at_a_terminal_it_says_how_to_end_the_text() {
    let folder = TempDir::new().unwrap();
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = File::open(Path::new(OsStr::from_bytes(name.as_bytes()))).unwrap();
    let mut child = command(&folder, &[]).stdin(terminal).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let hint = within("the hint", said.next_line()).await.unwrap().unwrap();
    insta::assert_snapshot!(hint, @"moonlane: reading the text from this terminal until Ctrl-D on a line of its own");
    rustix::io::write(&keyboard, b"typed\n\x04").unwrap();
    let output = within("the end of format", child.wait_with_output()).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "── 1/1 ── 5 ──\ntyped\n");
}
