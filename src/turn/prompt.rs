//! What a person attached: which files go into the prompt, and how.

use crate::domain::Attachment;
use crate::outbox::Outbox;

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

/// Whether the file will be read, judged by what Discord says of it.
pub fn is_readable(file: &Attachment) -> bool {
    if file.size > READ_AT_MOST as u64 {
        return false;
    }
    let media = file.content_type.as_deref().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let textual = media.starts_with("text/")
        || ["json", "xml", "yaml", "toml", "javascript", "sql", "x-sh"]
            .iter()
            .any(|kind| media.strip_prefix("application/").is_some_and(|rest| rest.ends_with(kind)));
    let extension = file.name.rsplit('.').next().unwrap_or_default().to_lowercase();
    textual || (TEXT_EXTENSIONS.contains(&extension.as_str()) && !media.starts_with("image/"))
}

/// The names of the files that will not be read.
pub fn unread_names(files: &[Attachment]) -> Vec<String> {
    files.iter().filter(|file| !is_readable(file)).map(|file| file.name.clone()).collect()
}

/// The prompt with its readable files below it, each under its name, and the names of those not read: too large,
/// not text, or not to be had.
pub async fn with_files(outbox: &Outbox, prompt: &str, files: &[Attachment]) -> (String, Vec<String>) {
    let mut whole = prompt.to_owned();
    let mut unread = Vec::new();
    for file in files {
        let text = if is_readable(file) { fetch(outbox, file).await } else { None };
        match text {
            Some(text) => append(&mut whole, &file.name, &text),
            None => unread.push(file.name.clone()),
        }
    }
    (whole, unread)
}

async fn fetch(outbox: &Outbox, file: &Attachment) -> Option<String> {
    let bytes = match outbox.download(&file.url, READ_AT_MOST).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(name = %file.name, %error, "an attachment could not be fetched");
            return None;
        }
    };
    String::from_utf8(bytes).ok()
}

/// Appends a file in a fence that is longer than any run of backticks in it, so that its end is never in doubt.
fn append(prompt: &mut String, name: &str, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let name: String = name.chars().map(|c| if c.is_control() || c == '`' { '_' } else { c }).collect();
    if !prompt.is_empty() {
        prompt.push_str("\n\n");
    }
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    prompt.push_str(&format!("Attached file `{name}`:\n{fence}\n{text}{newline}{fence}"));
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
    fn a_file_cannot_end_its_own_fence() {
        let mut prompt = "Look:".to_owned();
        append(&mut prompt, "a`\n.md", "```rust\n````\n");
        assert_eq!(prompt, "Look:\n\nAttached file `a__.md`:\n`````\n```rust\n````\n`````");
    }
}
