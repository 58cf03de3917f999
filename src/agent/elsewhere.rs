//! Whether somebody has used a session elsewhere, such as in a terminal, since our last turn in it.
//!
//! The CLI appends every prompt to the session's own file, with the id that its sender gave it. Ours carry a mark, so
//! the newest prompt shows whether it is ours, and nothing needs to be remembered. The file's format is internal to the
//! CLI and may change: if it cannot be found or read, nobody is taken to have used the session.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::SessionId;

/// The first bytes of the id of every message of ours.
const MARK: [u8; 4] = *b"moon";

/// How far back to look for the newest prompt: first a little, then more. Beyond that lies some turn's long output,
/// which is not worth reading.
const WINDOWS: [u64; 2] = [256 << 10, 16 << 20];

/// A new id for a message of ours.
pub fn message_id() -> Uuid {
    let mut bytes = Uuid::new_v4().into_bytes();
    bytes[..MARK.len()].copy_from_slice(&MARK);
    Uuid::from_bytes(bytes)
}

/// Whether the newest prompt in this session is not ours. Reads files; `variable` looks up the agents' environment.
pub fn used<'a>(variable: impl Fn(&str) -> Option<&'a OsString>, session: SessionId) -> bool {
    let Some(file) = file(&config_dir(variable), session) else { return false };
    let newest = WINDOWS.iter().find_map(|&window| newest_prompt(&file, window).ok().flatten());
    newest.is_some_and(|id| id.as_bytes()[..MARK.len()] != MARK)
}

/// Whether a message is in the session. `false` also where the file cannot be found or read. Reads files; `variable` looks
/// up the agents' environment.
pub fn holds<'a>(variable: impl Fn(&str) -> Option<&'a OsString>, session: SessionId, message: &str) -> bool {
    let Some(file) = file(&config_dir(variable), session) else { return false };
    let longest = WINDOWS[WINDOWS.len() - 1];
    tail(&file, longest).is_ok_and(|tail| tail.windows(message.len()).any(|part| part == message.as_bytes()))
}

fn config_dir<'a>(variable: impl Fn(&str) -> Option<&'a OsString>) -> PathBuf {
    match variable("CLAUDE_CONFIG_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(variable("HOME").map_or(OsStr::new("/"), OsString::as_os_str)).join(".claude"),
    }
}

/// `projects/FOLDER/SESSION.jsonl`. How the CLI derives the folder's name is not certain, so all are searched.
fn file(config: &Path, session: SessionId) -> Option<PathBuf> {
    let name = format!("{session}.jsonl");
    let folders = fs::read_dir(config.join("projects")).ok()?.filter_map(Result::ok);
    let files = folders.map(|folder| folder.path().join(&name)).filter(|file| file.is_file());
    files.max_by_key(|file| file.metadata().and_then(|file| file.modified()).ok())
}

#[derive(Deserialize)]
struct TranscriptEntry {
    #[serde(rename = "type")]
    kind: String,
    /// Set only for what somebody asked, not for what the CLI itself adds as a user.
    #[serde(rename = "promptSource")]
    source: Option<String>,
    #[serde(default, rename = "isSidechain")]
    aside: bool,
    uuid: Uuid,
}

/// The last `window` bytes.
fn tail(file: &Path, window: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let begin = file.metadata()?.len().saturating_sub(window);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    file.take(window).read_to_end(&mut tail)?;
    Ok(tail)
}

/// The id of the newest prompt in the last `window` bytes.
fn newest_prompt(file: &Path, window: u64) -> std::io::Result<Option<Uuid>> {
    let tail = tail(file, window)?;
    // A truncated line does not parse.
    let ids = tail.rsplit(|&byte| byte == b'\n').filter_map(|line| {
        const KEY: &[u8] = b"\"promptSource\"";
        line.windows(KEY.len()).any(|part| part == KEY).then_some(())?;
        let entry: TranscriptEntry = serde_json::from_slice(line).ok()?;
        (entry.kind == "user" && entry.source.is_some() && !entry.aside).then_some(entry.uuid)
    });
    Ok({ ids }.next())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn prompt(id: Uuid) -> String {
        format!(
            r#"{{"isSidechain":false,"type":"user","message":{{"role":"user","content":"x"}},"uuid":"{id}","promptSource":"sdk"}}"#
        )
    }

    struct Home(tempfile::TempDir, SessionId);

    impl Home {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir_all(home.path().join(".claude/projects/-srv-a")).unwrap();
            fs::create_dir_all(home.path().join(".claude/projects/-srv-b")).unwrap();
            Self(home, SessionId::random())
        }

        fn append(&self, line: &str) {
            let path = self.0.path().join(format!(".claude/projects/-srv-b/{}.jsonl", self.1));
            let mut file = File::options().append(true).create(true).open(path).unwrap();
            writeln!(file, "{line}").unwrap();
        }

        fn used(&self) -> bool {
            let home = OsString::from(self.0.path());
            used(|name| (name == "HOME").then_some(&home), self.1)
        }
    }

    #[test]
    fn the_newest_prompt_tells() {
        let home = Home::new();
        assert!(!home.used(), "without a file");
        home.append("");
        assert!(!home.used(), "in an empty file");
        home.append(&prompt(message_id()));
        assert!(!home.used());
        home.append(&prompt(Uuid::new_v4()));
        assert!(home.used());
        home.append(&prompt(message_id()));
        assert!(!home.used(), "we have gone on since");
    }

    #[test]
    fn what_is_no_prompt_of_a_person_tells_nothing() {
        let home = Home::new();
        home.append(&prompt(message_id()));
        let id = Uuid::new_v4();
        for line in [
            format!(r#"{{"type":"user","uuid":"{id}","message":{{"content":[{{"type":"tool_result"}}]}}}}"#),
            format!(
                r#"{{"type":"user","uuid":"{id}","isMeta":true,"message":{{"content":"promptSource"}}}}"#
            ),
            format!(r#"{{"type":"user","uuid":"{id}","isSidechain":true,"promptSource":"agent"}}"#),
            format!(r#"{{"type":"assistant","uuid":"{id}","promptSource":"sdk"}}"#),
            r#"{"type":"cost-state","promptSource":"sdk"}"#.to_owned(),
            r#"{"type":"user","promptSource":"sdk","uuid":"none"}"#.to_owned(),
            r#"{"type":"user","promptSource":"sd"#.to_owned(),
            "\u{fffd}".to_owned(),
        ] {
            home.append(&line);
            assert!(!home.used(), "{line}");
        }
    }

    #[test]
    fn a_prompt_is_found_behind_a_long_output() {
        let home = Home::new();
        home.append(&prompt(Uuid::new_v4()));
        home.append(&"x".repeat(1 << 20));
        assert!(home.used());
        home.append(&"x".repeat(17 << 20));
        assert!(!home.used(), "too far back to look");
    }

    #[test]
    fn a_message_is_in_its_session_once_the_cli_has_written_it_down() {
        let home = Home::new();
        let path = OsString::from(home.0.path());
        let holds = |id: Uuid| holds(|name| (name == "HOME").then_some(&path), home.1, &id.to_string());
        let id = message_id();
        assert!(!holds(id), "without a file");
        home.append(&prompt(message_id()));
        assert!(!holds(id));
        home.append(&prompt(id));
        home.append(&"x".repeat(1 << 20));
        assert!(holds(id));
    }

    #[test]
    fn ids_of_ours_are_marked_and_differ() {
        let (one, two) = (message_id(), message_id());
        assert_ne!(one, two);
        assert!(one.to_string().starts_with("6d6f6f6e-") && one.get_version_num() == 4);
    }
}
