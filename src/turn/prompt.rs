//! What the agent is asked: the person's text, and below it the files of their message.
//!
//! Each file has a line with the place where it is kept. What the model can look at goes along with the prompt, and short texts
//! stand in it; all else the agent opens for itself.

use std::path::Path;

use tracing::warn;

use super::Turns;
use crate::agent::{Media, MediaKind, Prompt};
use crate::domain::{Attachment, Project, UnreadFile, UnreadReason, is_blank};
use crate::files::{Encoding, FileKind, KeptFile};
use crate::store::Turn;
use crate::words;

/// How many bytes of images and documents go along with a prompt at most; the API takes requests of 32 MB, in base64. The agent
/// opens further ones for itself.
const MEDIA_AT_MOST: u64 = 20 << 20;

/// Whether there is anything to ask: words or files.
pub fn has_content(prompt: &str, files: &[Attachment]) -> bool {
    !is_blank(prompt) || !files.is_empty()
}

/// The turn's prompt with the files of its message, which are fetched for it, and those that the agent does not get.
pub async fn with_files(turns: &Turns, turn: &Turn, project: &Project) -> (Prompt, Vec<UnreadFile>) {
    let mut prompt = Prompt::from(turn.prompt.clone());
    if turn.attachments.is_empty() {
        return (prompt, Vec::new());
    }
    let kept = turns.files.keep(&turns.outbox, turn.channel, turn.message, &turn.attachments).await;
    let mut unread = Vec::new();
    let mut room = MEDIA_AT_MOST;
    for (file, attachment) in kept.into_iter().zip(&turn.attachments) {
        let file = match file {
            Ok(file) => file,
            Err(file) => {
                unread.push(file);
                continue;
            }
        };
        let media = media(&file, &mut room).await;
        let is_told = media.is_some() || matches!(file.kind, FileKind::Text { .. } | FileKind::Empty);
        if may_open(project) || is_told {
            append(&mut prompt.text, &described(&file, may_open(project)));
            prompt.media.extend(media);
        } else {
            let name = turns.outbox.redact(&attachment.name).into_owned();
            unread.push(UnreadFile { name, why: UnreadReason::NotReadable });
        }
    }
    (prompt, unread)
}

/// Whether the project's agents can open what the bot keeps: as another user they cannot.
pub fn may_open(project: &Project) -> bool {
    project.run_as.is_none()
}

/// What the model looks at, where it can and there is room left for it.
async fn media(file: &KeptFile, room: &mut u64) -> Option<Media> {
    let kind = match &file.kind {
        FileKind::Image(image) => MediaKind::Image { media_type: image.media_type() },
        FileKind::Pdf => MediaKind::Pdf { title: file_name(&file.path) },
        _ => return None,
    };
    let left = room.checked_sub(file.size)?;
    match tokio::fs::read(&file.path).await {
        Ok(bytes) => {
            *room = left;
            Some(Media::new(kind, &bytes))
        }
        Err(error) => {
            warn!(file = %file.path.display(), %error, "a kept file cannot be read");
            None
        }
    }
}

/// A line about the file, and below it its text.
fn described(file: &KeptFile, with_place: bool) -> String {
    let name = if with_place { file.path.to_string_lossy().into_owned() } else { file_name(&file.path) };
    let name = if name.contains(char::is_whitespace) { format!("\"{name}\"") } else { name };
    let size = words::size(file.size);
    let what = match &file.kind {
        FileKind::Empty => "empty".to_owned(),
        FileKind::Image(image) => format!("{} image, {size}", image.name()),
        FileKind::Pdf => format!("PDF, {size}"),
        FileKind::Text { encoding: Encoding::Windows1252, .. } => {
            format!("text, {size}, read as Windows-1252, which is a guess")
        }
        FileKind::Text { .. } | FileKind::LongText => format!("text, {size}"),
        FileKind::Other(Some(media_type)) => format!("{media_type}, {size}"),
        FileKind::Other(None) => format!("unknown type, {size}"),
    };
    let line = format!("Attached: {name} ({what})");
    match &file.kind {
        FileKind::Text { text, .. } => format!("{line}:\n{}", fenced(text)),
        _ => line,
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// In a fence that is longer than any run of backticks in the text, so that its end is never in doubt.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}\n{text}{newline}{fence}")
}

/// Lines about files stand together; what has a text below it stands apart.
fn append(prompt: &mut String, file: &str) {
    let is_line = |text: &str| text.starts_with("Attached: ") && !text.contains('\n');
    let last = prompt.rsplit('\n').next().unwrap_or_default();
    match prompt.is_empty() {
        true => {}
        false if is_line(last) && is_line(file) => prompt.push('\n'),
        false => prompt.push_str("\n\n"),
    }
    prompt.push_str(file);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::ImageType;

    fn file(path: &str, kind: FileKind) -> KeptFile {
        KeptFile { path: path.into(), size: 2_345, kind }
    }

    fn text(text: &str) -> FileKind {
        FileKind::Text { text: text.to_owned(), encoding: Encoding::Utf8 }
    }

    #[test]
    fn each_file_has_a_line_and_cannot_end_its_own_fence() {
        let mut prompt = "Look:".to_owned();
        for file in [
            file("/f/1/2/shot.png", FileKind::Image(ImageType::Png)),
            file("/f/1/2/a b.pdf", FileKind::Pdf),
            file("/f/1/2/a.md", text("```rust\n````\n")),
            file("/f/1/2/x.zip", FileKind::Other(Some("application/zip"))),
            file("/f/1/2/x", FileKind::Other(None)),
        ] {
            append(&mut prompt, &described(&file, true));
        }
        insta::assert_snapshot!(prompt, @r#"
        Look:

        Attached: /f/1/2/shot.png (PNG image, 3 KB)
        Attached: "/f/1/2/a b.pdf" (PDF, 3 KB)

        Attached: /f/1/2/a.md (text, 3 KB):
        `````
        ```rust
        ````
        `````

        Attached: /f/1/2/x.zip (application/zip, 3 KB)
        Attached: /f/1/2/x (unknown type, 3 KB)
        "#);
    }

    #[test]
    fn where_the_agent_cannot_open_it_a_file_has_its_name_only() {
        assert_eq!(described(&file("/f/1/2/a.pdf", FileKind::Pdf), false), "Attached: a.pdf (PDF, 3 KB)");
    }
}
