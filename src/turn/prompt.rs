//! What the agent is asked: the person's text, and those of the attached files that can be read.

use futures_util::future::join_all;

use crate::domain::{Attachment, UnreadFile, UnreadReason};
use crate::outbox::{DownloadError, Outbox};

/// Text files up to this size go into the prompt. Discord turns a paste of over 2,000 characters into one.
pub const READ_AT_MOST: usize = 100 * 1024;

/// Extensions of text files for which Discord names no media type, or not a textual one.
const TEXT_EXTENSIONS: &[&str] = &[
    "txt",
    "md",
    "log",
    "json",
    "jsonl",
    "toml",
    "yaml",
    "yml",
    "xml",
    "csv",
    "tsv",
    "ini",
    "conf",
    "cfg",
    "env",
    "rs",
    "py",
    "js",
    "mjs",
    "ts",
    "tsx",
    "jsx",
    "lua",
    "go",
    "java",
    "kt",
    "c",
    "h",
    "cc",
    "cpp",
    "hpp",
    "cs",
    "rb",
    "php",
    "swift",
    "sh",
    "bash",
    "zsh",
    "sql",
    "html",
    "css",
    "scss",
    "vue",
    "svelte",
    "diff",
    "patch",
    "tex",
    "proto",
    "gradle",
    "cmake",
    "dockerfile",
    "makefile",
    "lock",
    "snap",
];

/// Whether a text shows nothing: it is empty, or only white space and invisible characters.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || shows_nothing(c))
}

/// Unicode's `Default_Ignorable_Code_Point` (DerivedCoreProperties, which reserves ranges for it, so that it hardly ever
/// grows), and the empty braille pattern, which no such property names.
fn shows_nothing(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether the file will be read, judged by what Discord says of it.
pub fn is_readable(file: &Attachment) -> bool {
    why_not(file).is_none()
}

fn why_not(file: &Attachment) -> Option<UnreadReason> {
    if !looks_like_text(file) {
        return Some(UnreadReason::NotText);
    }
    (file.size > READ_AT_MOST as u64).then_some(UnreadReason::TooLarge)
}

fn looks_like_text(file: &Attachment) -> bool {
    let media = file.content_type.as_deref().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let textual = media.starts_with("text/")
        || ["json", "xml", "yaml", "toml", "javascript", "sql", "x-sh"]
            .iter()
            .any(|kind| media.strip_prefix("application/").is_some_and(|rest| rest.ends_with(kind)));
    let extension = file.name.rsplit('.').next().unwrap_or_default().to_lowercase();
    textual || (TEXT_EXTENSIONS.contains(&extension.as_str()) && !media.starts_with("image/"))
}

/// The files that will not be read.
pub fn unread(outbox: &Outbox, files: &[Attachment]) -> Vec<UnreadFile> {
    let judge = |file: &Attachment| why_not(file).map(|why| UnreadFile { name: name(outbox, file), why });
    files.iter().filter_map(judge).collect()
}

/// The prompt with its readable files below it, each under its name, and the files that could not be read.
pub async fn with_files(outbox: &Outbox, prompt: &str, files: &[Attachment]) -> (String, Vec<UnreadFile>) {
    let mut whole = prompt.to_owned();
    let mut unread = Vec::new();
    // Concurrently: the turn holds its lane while it waits for them.
    let read = join_all(files.iter().map(|file| read(outbox, file))).await;
    for (file, read) in files.iter().zip(read) {
        match read {
            Ok(text) => append(&mut whole, &file.name, &text),
            Err(why) => unread.push(UnreadFile { name: name(outbox, file), why }),
        }
    }
    (whole, unread)
}

/// Redacted before it is shortened: half a secret would not be recognized.
fn name(outbox: &Outbox, file: &Attachment) -> String {
    outbox.redact(&file.name).into_owned()
}

async fn read(outbox: &Outbox, file: &Attachment) -> Result<String, UnreadReason> {
    if let Some(why) = why_not(file) {
        return Err(why);
    }
    let bytes = outbox.download(&file.url, READ_AT_MOST).await.map_err(|error| {
        tracing::warn!(name = %file.name, %error, "an attachment could not be fetched");
        if matches!(error, DownloadError::TooLarge(_)) {
            UnreadReason::TooLarge
        } else {
            UnreadReason::NotFetched
        }
    })?;
    let text = String::from_utf8(bytes).map_err(|_| UnreadReason::NotUtf8)?;
    // NUL is valid UTF-8, but no text file contains it.
    if text.contains('\0') { Err(UnreadReason::NotText) } else { Ok(text) }
}

/// Appends a file in a fence that is longer than any run of backticks in it, so that its end is never in doubt.
fn append(prompt: &mut String, name: &str, text: &str) {
    if !prompt.is_empty() {
        prompt.push_str("\n\n");
    }
    let name: String = name.chars().map(|c| if c.is_control() || c == '`' { '_' } else { c }).collect();
    if text.is_empty() {
        return prompt.push_str(&format!("Attached file `{name}` is empty."));
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    prompt.push_str(&format!("Attached file `{name}`:\n{fence}\n{text}{newline}{fence}"));
}

/// Whether there is anything to ask: words, or files that can be read.
pub fn has_content(prompt: &str, files: &[Attachment]) -> bool {
    !is_blank(prompt) || files.iter().any(is_readable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content_type: Option<&str>, size: u64) -> Attachment {
        let content_type = content_type.map(str::to_owned);
        Attachment { name: name.to_owned(), size, content_type, url: String::new() }
    }

    #[test]
    fn text_is_read_and_the_rest_is_not() {
        assert!(is_readable(&file("message.txt", Some("text/plain; charset=utf-8"), 5_000)));
        assert!(is_readable(&file("Cargo.lock", None, 5_000)));
        assert!(is_readable(&file("a.json", Some("application/json"), 5_000)));
        assert!(!is_readable(&file("message.txt", Some("text/plain"), 102_401)));
        assert!(!is_readable(&file("a.png", Some("image/png"), 10)));
        assert!(!is_readable(&file("archive", None, 10)));
        assert!(!is_readable(&file("tricky.png.exe", Some("application/x-msdownload"), 10)));
    }

    #[test]
    fn blank_is_what_shows_nothing() {
        assert!(is_blank("") && is_blank(" \n\u{3000}\u{a0}") && is_blank("\u{200b}\u{2060} \u{feff}"));
        assert!(is_blank("\u{2800}\u{3164}\u{ad}\u{fe0f}\u{e0020}\u{115f}\u{202e}\u{206f}\u{ffa0}"));
        assert!(!is_blank("\u{200b}.") && !is_blank("👍") && !is_blank("⠁") && !is_blank("ᄀ"));
    }

    #[test]
    fn a_file_cannot_end_its_own_fence() {
        let mut prompt = "Look:".to_owned();
        append(&mut prompt, "a`\n.md", "```rust\n````\n");
        assert_eq!(prompt, "Look:\n\nAttached file `a__.md`:\n`````\n```rust\n````\n`````");
    }
}
