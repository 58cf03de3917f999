//! What a file is, by its bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::INLINE_AT_MOST;

/// What a kept file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    Empty,
    /// The model can look at it.
    Image(ImageType),
    /// The model can read it.
    Pdf,
    /// Text that is short enough for a prompt.
    Text {
        text: String,
        encoding: Encoding,
    },
    LongText,
    /// Anything else, with its media type if that is known.
    Other(Option<&'static str>),
}

/// The images that the model takes (claude-cli: others are replaced by a note).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageType {
    Png,
    Jpeg,
    Gif,
    Webp,
}

impl ImageType {
    const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp];

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
        }
    }
}

/// How the bytes of a text were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// As its first two bytes say.
    Utf16,
    /// A guess: it is no UTF-8, and has no bytes that this does not have.
    Windows1252,
}

/// Looks at a file of this size.
///
/// # Errors
/// If it cannot be read.
pub fn of(path: &Path, size: u64) -> io::Result<FileKind> {
    let mut head = Vec::new();
    File::open(path)?.take(INLINE_AT_MOST as u64 + 1).read_to_end(&mut head)?;
    Ok(judge(&head, size))
}

/// `head` is all of a file of up to [`INLINE_AT_MOST`] bytes, and more than that of a longer one.
fn judge(head: &[u8], size: u64) -> FileKind {
    if size == 0 {
        return FileKind::Empty;
    }
    let found = infer::get(head);
    if let Some(found) = found {
        let media = found.mime_type();
        if let Some(image) = ImageType::ALL.into_iter().find(|image| image.media_type() == media) {
            return FileKind::Image(image);
        }
        match media {
            "application/pdf" => return FileKind::Pdf,
            // HTML, XML and shell scripts.
            _ if found.matcher_type() == infer::MatcherType::Text => {}
            _ => return FileKind::Other(Some(media)),
        }
    }
    let is_whole = size <= INLINE_AT_MOST as u64;
    match decode(head, is_whole) {
        Some((text, encoding)) if is_whole => FileKind::Text { text, encoding },
        Some(_) => FileKind::LongText,
        None => FileKind::Other(None),
    }
}

/// The text, if it is one. Of a text that goes on, the last character may be torn.
fn decode(bytes: &[u8], is_whole: bool) -> Option<(String, Encoding)> {
    let read = |text: &str, encoding| is_text(text).then(|| (text.to_owned(), encoding));
    let utf16 = [(&b"\xff\xfe"[..], UTF_16LE), (b"\xfe\xff", UTF_16BE)];
    for (mark, encoding) in utf16 {
        if let Some(units) = bytes.strip_prefix(mark) {
            let units = if is_whole { units } else { &units[..units.len() / 2 * 2] };
            let text = encoding.decode_without_bom_handling_and_without_replacement(units)?;
            return read(&text, Encoding::Utf16);
        }
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => return read(text, Encoding::Utf8),
        Err(torn) if !is_whole && torn.error_len().is_none() => {
            return read(std::str::from_utf8(&bytes[..torn.valid_up_to()]).ok()?, Encoding::Utf8);
        }
        Err(_) => {}
    }
    // The five bytes that Windows-1252 has no character for.
    if bytes.iter().any(|byte| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d)) {
        return None;
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    read(&text, Encoding::Windows1252)
}

/// Whether there are no control characters in it but those that texts have; escapes colour the output of programs.
fn is_text(text: &str) -> bool {
    text.chars()
        .all(|c| !('\0'..' ').contains(&c) || matches!(c, '\t' | '\n' | '\r' | '\u{8}' | '\u{c}' | '\u{1b}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(bytes: &[u8]) -> FileKind {
        judge(&bytes[..bytes.len().min(INLINE_AT_MOST + 1)], bytes.len() as u64)
    }

    fn text(text: &str, encoding: Encoding) -> FileKind {
        FileKind::Text { text: text.to_owned(), encoding }
    }

    #[test]
    fn what_a_file_is_stands_in_its_bytes() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n\0\0"), FileKind::Image(ImageType::Png));
        assert_eq!(kind(b"\xff\xd8\xff\xe0\0\x10JFIF"), FileKind::Image(ImageType::Jpeg));
        assert_eq!(kind(b"GIF89a\x01\0"), FileKind::Image(ImageType::Gif));
        assert_eq!(kind(b"RIFF\x24\0\0\0WEBPVP8 "), FileKind::Image(ImageType::Webp));
        assert_eq!(kind(b"%PDF-1.7\n"), FileKind::Pdf);
        assert_eq!(kind(b"PK\x03\x04\x14\0"), FileKind::Other(Some("application/zip")));
        assert_eq!(
            kind(&[b"\x7fELF\x02\x01\x01".as_slice(), &[0; 60]].concat()),
            FileKind::Other(Some("application/x-executable"))
        );
        assert_eq!(kind(b"BM\x8a\0\0\0\0\0\0\0"), FileKind::Other(Some("image/bmp")));
        assert_eq!(kind(b"\0\x01\x02"), FileKind::Other(None));
        assert_eq!(kind(b""), FileKind::Empty);
    }

    #[test]
    fn texts_are_read_in_the_encoding_that_they_have() {
        assert_eq!(kind("caf\u{e9} 月\r\n".as_bytes()), text("café 月\r\n", Encoding::Utf8));
        assert_eq!(kind(b"\xef\xbb\xbfa"), text("a", Encoding::Utf8));
        assert_eq!(kind(b"\xff\xfea\0\x08g"), text("a月", Encoding::Utf16));
        assert_eq!(kind(b"\xfe\xff\0a\x67\x08"), text("a月", Encoding::Utf16));
        assert_eq!(kind(b"caf\xe9 \x80"), text("café €", Encoding::Windows1252));
        assert_eq!(kind(b"#!/bin/sh\necho\n"), text("#!/bin/sh\necho\n", Encoding::Utf8));
        assert_eq!(kind(b"<html><p>x"), text("<html><p>x", Encoding::Utf8));
        assert_eq!(kind(b"\x1b[1mred\x1b[0m"), text("\x1b[1mred\x1b[0m", Encoding::Utf8));
        for none in [&b"a\0b"[..], b"caf\xe9\x81", b"\xff\xfea", b"\xff\xfe\0\xd8", b"\x01\x02text"] {
            assert_eq!(kind(none), FileKind::Other(None), "{none:?}");
        }
    }

    #[test]
    fn a_long_text_may_end_within_a_character() {
        let long = "月".repeat(INLINE_AT_MOST / 3 + 1);
        assert!(long.len() > INLINE_AT_MOST && !long.is_char_boundary(INLINE_AT_MOST + 1));
        assert_eq!(kind(long.as_bytes()), FileKind::LongText);
        let whole = "x".repeat(INLINE_AT_MOST);
        assert_eq!(kind(whole.as_bytes()), text(&whole, Encoding::Utf8));
        assert_eq!(kind(format!("{whole}\0").as_bytes()), FileKind::Other(None));
    }
}
