//! What the agent is asked: what the message refers to, the person's text, and below it the files of their message.
//!
//! Each file has a line with the place where it is kept. What the model can look at goes along with the prompt, and short texts
//! stand in it; all else the agent opens for itself.

use std::path::Path;

use tracing::warn;

use super::{Turns, quote};
use crate::agent::{Media, MediaKind, Prompt};
use crate::domain::{
    Attachment, Message, Project, QuoteOrigin, Quoted, Route, SessionId, UnreadFile, UnreadReason, is_blank,
};
use crate::files::{Encoding, FileKind, KeptFile};
use crate::store::Turn;
use crate::words;

/// How many bytes of images and documents go along with a prompt at most; the API takes requests of 32 MB, in base64. The agent
/// opens further ones for itself.
const MEDIA_AT_MOST: u64 = 20 << 20;

/// The route, where it is a turn with a line below its prompt for each sticker and the like that the message holds.
pub fn with_extras(mut route: Route, message: &Message) -> Route {
    let extras = quote::lines(&message.extras);
    if let Route::Turn(work) = &mut route
        && !extras.is_empty()
    {
        let gap = if is_blank(&work.prompt) { "" } else { "\n\n" };
        work.prompt = format!("{}{gap}{extras}", work.prompt.trim_end());
    }
    route
}

/// Whether there is anything to ask: words, files, or what the message replies to or forwards.
pub fn has_content(prompt: &str, message: &Message) -> bool {
    let quotes = message.quoted.as_ref().is_some_and(|quoted| !quoted.is_withheld());
    !is_blank(prompt) || !message.attachments.is_empty() || quotes
}

/// What the agent is asked, and what it does not get of that.
#[derive(Default)]
pub struct Composed {
    pub prompt: Prompt,
    /// Files that it does not get.
    pub unread: Vec<UnreadFile>,
    /// Discord withholds what the message replies to or forwards.
    pub withheld: Option<QuoteOrigin>,
}

/// The turn's prompt with what its message quotes before it, and below it its files, which are fetched for it. `session` is the
/// one in which it is asked: what that has already is not quoted, unless the message says nothing else.
pub async fn compose(turns: &Turns, turn: &Turn, project: &Project, session: SessionId) -> Composed {
    let mut composed = Composed { prompt: turn.prompt.clone().into(), ..Composed::default() };
    let says_more = !is_blank(&turn.prompt) || !turn.attachments.is_empty();
    let quoted = match &turn.quoted {
        Some(quoted) if quoted.is_withheld() => {
            composed.withheld = Some(quoted.origin.clone());
            None
        }
        Some(quoted) if says_more && is_known(turns, quoted, session).await => None,
        quoted => quoted.as_ref(),
    };
    let of_quoted = quoted.map_or(&[][..], |quoted| &quoted.attachments);
    let files: Vec<Attachment> = of_quoted.iter().chain(&turn.attachments).cloned().collect();
    if files.is_empty() && quoted.is_none() {
        return composed;
    }
    let (mut before, mut below) = (quoted.map(quote::block).unwrap_or_default(), turn.prompt.clone());
    if !files.is_empty() {
        let kept = turns.files.keep(&turns.outbox, turn.channel, turn.message, &files).await;
        let mut room = MEDIA_AT_MOST;
        for (place, (attachment, kept)) in files.iter().zip(kept).enumerate() {
            let given = match kept {
                Ok(file) => give(turns, project, attachment, &file, &mut room).await,
                Err(unread) => Given { unread: Some(unread), ..Given::default() },
            };
            let text = if place < of_quoted.len() { &mut before } else { &mut below };
            given.lines.iter().for_each(|lines| append(text, lines));
            composed.prompt.media.extend(given.media);
            composed.unread.extend(given.unread);
        }
    }
    composed.prompt.text = match (before.is_empty(), is_blank(&below)) {
        (true, _) => below,
        (false, true) => before,
        (false, false) => format!("{before}\n\n{below}"),
    };
    composed
}

/// What the agent gets of a file.
#[derive(Default)]
struct Given {
    /// What the prompt says of it.
    lines: Option<String>,
    media: Option<Media>,
    /// What it does not get.
    unread: Option<UnreadFile>,
}

/// What the agent gets of a file that is kept. Images and documents take up `room`, in bytes.
async fn give(
    turns: &Turns,
    project: &Project,
    attachment: &Attachment,
    file: &KeptFile,
    room: &mut u64,
) -> Given {
    let media = media(file, room).await;
    let (words, mut why) = match words_of(turns, attachment, file).await {
        Ok(words) => (words, None),
        Err(why) => (None, Some(why)),
    };
    let is_told =
        media.is_some() || words.is_some() || matches!(file.kind, FileKind::Text { .. } | FileKind::Empty);
    let can_open = may_open(project);
    let lines = (can_open || is_told).then(|| described(file, can_open, words.as_deref()));
    if lines.is_none() {
        why.get_or_insert(UnreadReason::NotReadable);
    }
    let name = || turns.outbox.redact(&attachment.name).into_owned();
    Given { lines, media, unread: why.map(|why| UnreadFile { name: name(), why }) }
}

/// What is said in a recording; `None` for any other file, and where nothing is there to hear it.
async fn words_of(
    turns: &Turns,
    attachment: &Attachment,
    file: &KeptFile,
) -> Result<Option<String>, UnreadReason> {
    let Some(transcriber) = turns.transcriber.as_ref().filter(|_| attachment.voice) else {
        return Ok(None);
    };
    match transcriber.transcribe(&file.path).await {
        Ok(words) => Ok(Some(words)),
        Err(error) => {
            warn!(file = %file.path.display(), %error, "a voice message was not turned into text");
            Err(UnreadReason::NotTranscribed)
        }
    }
}

/// Whether the session has the quoted message already. Where the database does not say, it is quoted once too often.
async fn is_known(turns: &Turns, quoted: &Quoted, session: SessionId) -> bool {
    let QuoteOrigin::Reply { message, .. } = quoted.origin else { return false };
    turns.store.session_with(message).await.is_ok_and(|with| with == Some(session))
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

/// A line about the file, and below it its text, or the words of a recording.
fn described(file: &KeptFile, with_place: bool, words: Option<&str>) -> String {
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
    match (words, &file.kind) {
        (Some(""), _) => format!("{line}, in which no words were recognized"),
        (Some(words), _) => format!("{line}, transcribed:\n{}", fenced(words)),
        (None, FileKind::Text { text, .. }) => format!("{line}:\n{}", fenced(text)),
        (None, _) => line,
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
            append(&mut prompt, &described(&file, true, None));
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
        assert_eq!(
            described(&file("/f/1/2/a.pdf", FileKind::Pdf), false, None),
            "Attached: a.pdf (PDF, 3 KB)"
        );
    }

    #[test]
    fn the_words_of_a_recording_stand_below_its_line() {
        let recording = file("/f/1/2/a.ogg", FileKind::Other(Some("audio/ogg")));
        assert_eq!(
            described(&recording, true, Some("What does ``` mean?")),
            "Attached: /f/1/2/a.ogg (audio/ogg, 3 KB), transcribed:\n````\nWhat does ``` mean?\n````"
        );
        assert_eq!(
            described(&recording, true, Some("")),
            "Attached: /f/1/2/a.ogg (audio/ogg, 3 KB), in which no words were recognized"
        );
    }
}
