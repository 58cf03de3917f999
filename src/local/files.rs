//! Files: what Discord finds out about them, and how they are served.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::body::Shared;
use super::world::{Attachment, File, FileFault, Id, World};
use super::{Call, Fault, LocalDiscord};

/// How long each byte of a slow file takes.
const SLOW: Duration = Duration::from_millis(100);

impl World {
    /// Keeps the files of a message, each under an id of its own.
    pub(super) fn attach(&mut self, channel: Id, files: Vec<File>) -> Vec<Attachment> {
        let attach = |file: File| {
            let id = self.new_id();
            let name = file.name.replace(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)), "_");
            // Else its address would be another's.
            let name = if name.chars().all(|c| c == '.') { format!("_{name}") } else { name };
            let url = format!("{}/attachments/{channel}/{id}/{name}", self.url);
            let content_type = file.content_type.clone().or_else(|| guessed_type(&name));
            let (size, pixels) = (file.bytes.len(), pixels(&file.bytes));
            self.files.insert(id, File { content_type: content_type.clone(), ..file });
            Attachment { id, name, content_type, size, url, pixels, voice: None }
        };
        files.into_iter().map(attach).collect()
    }

    /// Has the file of this name on a message served in this way, or (`None`) as it is. False if there is no such file.
    pub(super) fn break_file(&mut self, message: Id, name: &str, fault: Option<FileFault>) -> bool {
        let files = self.message(message).map(|it| it.attachments.as_slice()).unwrap_or_default();
        let is_it = |file: &&Attachment| {
            file.name == name || self.files.get(&file.id).is_some_and(|sent| sent.name == name)
        };
        let Some(id) = files.iter().find(is_it).map(|file| file.id) else { return false };
        match fault {
            Some(fault) => self.file_faults.insert(id, fault),
            None => self.file_faults.remove(&id),
        };
        true
    }
}

/// The type by the ending of the name, as far as Discord knows it.
fn guessed_type(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    let guessed = match ending.to_ascii_lowercase().as_str() {
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "py" => "text/x-python; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/x-wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "exe" => "application/x-msdos-program",
        _ => return None,
    };
    Some(guessed.to_owned())
}

/// Width and height of a picture: PNG, GIF, JPEG, or WebP of the plain kind.
fn pixels(bytes: &[u8]) -> Option<(u32, u32)> {
    let large = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let small = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((large(16)?, large(20)?));
    }
    if bytes.starts_with(b"GIF8") {
        return Some((small(6)?, small(8)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..16) == Some(b"WEBPVP8 ") {
        return Some((small(26)? & 0x3fff, small(28)? & 0x3fff));
    }
    if !bytes.starts_with(b"\xff\xd8") {
        return None;
    }
    // Segment after segment, up to the one that begins a frame.
    let mut at = 2;
    loop {
        let [0xff, kind, high, low] = *bytes.get(at..at + 4)? else { return None };
        if matches!(kind, 0xc0..=0xc2) {
            let side =
                |at: usize| Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
            return Some((side(at + 7)?, side(at + 5)?));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

/// A message's file, for anybody who knows its address, as on Discord's own content network.
pub(super) async fn served(
    State(hub): Shared,
    uri: Uri,
    Path((_, id, _)): Path<(u64, u64, String)>,
) -> Response {
    let (file, broken, fault) = hub.change(|state| {
        let file = state.world.files.get(&Id::from(id)).cloned();
        let broken = state.world.file_faults.get(&Id::from(id)).cloned();
        let status = match (&file, &broken) {
            (None, _) => 404,
            (_, Some(FileFault::Status(status))) => *status,
            (_, Some(FileFault::Redirect(_))) => 302,
            _ => 200,
        };
        let path = uri.path().to_owned();
        state.calls.push(Call { method: "GET".to_owned(), path, status: Some(status), at: Instant::now() });
        (file, broken, state.faults.strike(&Method::GET, uri.path()))
    });
    match fault {
        None => {}
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(_) => return StatusCode::BAD_GATEWAY.into_response(),
    }
    let Some(file) = file else { return StatusCode::NOT_FOUND.into_response() };
    let kind = file.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
    match broken {
        None => ([(CONTENT_TYPE, kind)], file.bytes).into_response(),
        Some(fault) => served_badly(&file, kind, fault),
    }
}

fn served_badly(file: &File, kind: String, fault: FileFault) -> Response {
    let bytes = file.bytes.clone();
    let kind = [(CONTENT_TYPE, kind)];
    let whole = |bytes: Bytes| stream::iter([Ok::<_, Infallible>(bytes)]);
    match fault {
        FileFault::Status(status) => {
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        FileFault::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        FileFault::Slow => {
            let one_by_one = stream::unfold(bytes, |mut left| async move {
                if left.is_empty() {
                    return None;
                }
                tokio::time::sleep(SLOW).await;
                let byte = left.split_to(1);
                Some((Ok::<_, Infallible>(byte), left))
            });
            (kind, Body::from_stream(one_by_one)).into_response()
        }
        FileFault::NeverEnds => {
            (kind, Body::from_stream(whole(bytes).chain(stream::pending()))).into_response()
        }
        FileFault::MoreBytes(more) => {
            let zeros = Bytes::from(vec![0; more]);
            (kind, Body::from_stream(whole(bytes).chain(whole(zeros)))).into_response()
        }
        FileFault::FewerBytes(fewer) => {
            let left = bytes.len().saturating_sub(fewer);
            (kind, bytes.slice(..left)).into_response()
        }
        FileFault::CutAfter(count) => {
            let length = [(CONTENT_LENGTH, bytes.len().to_string())];
            let sent = bytes.slice(..count.min(bytes.len()));
            let end = stream::once(async {
                // So that what came before has left.
                tokio::time::sleep(SLOW).await;
                Err(std::io::Error::other("a planned end"))
            });
            let body = stream::iter([Ok(sent)]).chain(end);
            (kind, length, Body::from_stream(body)).into_response()
        }
    }
}

impl LocalDiscord {
    /// The files of a message, by the bot or by people, with their bytes. Empty if there is no such message.
    pub fn uploads(&self, message: Id) -> Vec<File> {
        let state = self.hub().lock();
        let files = state.world.message(message).map(|it| it.attachments.as_slice()).unwrap_or_default();
        files.iter().filter_map(|file| state.world.files.get(&file.id)).cloned().collect()
    }

    /// Has the file of this name on a message served badly from now on, or (`None`) well again. For a fault from the
    /// start, see [`Say::file_faults`](super::Say::file_faults). False if there is no such file.
    pub fn break_file(&self, message: Id, name: &str, fault: Option<FileFault>) -> bool {
        self.hub().change(|state| state.world.break_file(message, name, fault))
    }

    /// Sets the level to which people have boosted the guild: at 2 a file may have 50 MiB, at 3 100 MiB, else 10 MiB.
    /// The bot is not told.
    pub fn boost(&self, level: u8) {
        self.hub().change(|state| state.world.boosts = level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_picture_is_found_in_its_bytes() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x02\0\0\0\x03";
        assert_eq!(pixels(png), Some((258, 3)));
        assert_eq!(pixels(b"GIF89a\x02\x01\x03\0"), Some((258, 3)));
        let webp = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x02\x01\x03\0";
        assert_eq!(pixels(webp), Some((258, 3)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x03\x01\x02";
        assert_eq!(pixels(jpeg), Some((258, 3)));
        for other in [&b""[..], b"\x89PNG\r\n\x1a\n\0", b"\xff\xd8", b"\xff\xd8ab\0\0", b"words"] {
            assert_eq!(pixels(other), None);
        }
    }
}
