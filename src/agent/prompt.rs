//! What an agent is asked, as the CLI takes it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What an agent is asked: words, and what it looks at besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    pub text: String,
    pub media: Vec<Media>,
}

/// An image or a document that the model gets with a prompt.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    kind: MediaKind,
    /// In base64.
    data: String,
}

/// What the model can look at (claude-cli: the CLI corrects a wrong type of an image, and makes large ones smaller).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    Image {
        /// Such as `image/png`.
        media_type: &'static str,
    },
    Pdf {
        /// The name of the file.
        title: String,
    },
}

impl Media {
    pub fn new(kind: MediaKind, bytes: &[u8]) -> Self {
        Self { kind, data: STANDARD.encode(bytes) }
    }

    fn block(&self) -> Value {
        let source =
            |media_type: &str| json!({ "type": "base64", "media_type": media_type, "data": self.data });
        match &self.kind {
            MediaKind::Image { media_type } => json!({ "type": "image", "source": source(media_type) }),
            MediaKind::Pdf { title } => {
                json!({ "type": "document", "title": title, "source": source("application/pdf") })
            }
        }
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes in base64", self.kind, self.data.len())
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self { text, media: Vec::new() }
    }
}

impl Prompt {
    /// The content of the message that carries it. What is looked at goes before the words about it.
    pub(super) fn content(&self) -> Value {
        if self.media.is_empty() {
            return self.text.as_str().into();
        }
        let media = self.media.iter().map(Media::block);
        media.chain([json!({ "type": "text", "text": self.text })]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_alone_are_text_and_media_come_first() {
        assert_eq!(Prompt::from("hi".to_owned()).content(), json!("hi"));
        let image = Media::new(MediaKind::Image { media_type: "image/png" }, b"abc");
        let pdf = Media::new(MediaKind::Pdf { title: "a.pdf".to_owned() }, b"%PDF-");
        assert_eq!(
            Prompt { text: "hi".to_owned(), media: vec![image, pdf] }.content(),
            json!([
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "YWJj" } },
                { "type": "document", "title": "a.pdf",
                  "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERi0=" } },
                { "type": "text", "text": "hi" },
            ])
        );
    }
}
