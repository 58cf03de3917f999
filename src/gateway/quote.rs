//! What a message holds or refers to besides its author's own words: files, stickers, polls, embeds, and the message that it replies
//! to or forwards.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::person::{Person, null_is_default};
use crate::domain::{Attachment, Extra, MessageId};

/// What a message can hold besides text and files.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireExtras {
    #[serde(default, deserialize_with = "null_is_default")]
    sticker_items: Vec<Sticker>,
    #[serde(default)]
    poll: Option<Poll>,
    #[serde(default, deserialize_with = "null_is_default")]
    embeds: Vec<WireEmbed>,
}

#[derive(Debug, Deserialize)]
struct Sticker {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Poll {
    #[serde(default, deserialize_with = "null_is_default")]
    question: PollText,
    #[serde(default, deserialize_with = "null_is_default")]
    answers: Vec<PollAnswer>,
}

#[derive(Debug, Default, Deserialize)]
struct PollText {
    #[serde(default, deserialize_with = "null_is_default")]
    text: String,
}

#[derive(Debug, Default, Deserialize)]
struct PollAnswer {
    #[serde(default, deserialize_with = "null_is_default")]
    poll_media: PollText,
}

#[derive(Debug, Deserialize)]
struct WireEmbed {
    title: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    fields: Vec<WireEmbedField>,
}

#[derive(Debug, Deserialize)]
struct WireEmbedField {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

impl WireExtras {
    /// Those of a person's own message, whose embeds are only what Discord shows of its links.
    pub(super) fn without_embeds(&self) -> Vec<Extra> {
        let stickers = self.sticker_items.iter().map(|sticker| Extra::Sticker(sticker.name.clone()));
        let poll = self.poll.iter().map(|poll| Extra::Poll {
            question: poll.question.text.clone(),
            answers: poll.answers.iter().map(|answer| answer.poll_media.text.clone()).collect(),
        });
        stickers.chain(poll).collect()
    }

    fn all(&self) -> Vec<Extra> {
        let embed = |embed: &WireEmbed| {
            let fields = embed.fields.iter().map(|field| format!("{}: {}", field.name, field.value));
            let texts: Vec<String> =
                [&embed.title, &embed.description].into_iter().flatten().cloned().chain(fields).collect();
            (!texts.is_empty()).then_some(Extra::Embed(texts))
        };
        let mut all = self.without_embeds();
        all.extend(self.embeds.iter().filter_map(embed));
        all
    }
}

/// An attachment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WireAttachment {
    pub(super) filename: String,
    #[serde(default)]
    pub(super) size: u64,
    pub(super) content_type: Option<String>,
    pub(super) url: String,
    /// Of a voice message: how long it is, in seconds.
    pub(super) duration_secs: Option<f64>,
    /// Of a voice message only.
    pub(super) waveform: Option<IgnoredAny>,
}

impl WireAttachment {
    /// What a voice message is told as; only its file has a waveform.
    pub(super) fn voice(&self) -> Option<Extra> {
        self.waveform?;
        // `as` saturates, and makes 0 of what is no number.
        let seconds = self.duration_secs.unwrap_or_default().round() as u32;
        Some(Extra::Voice { seconds })
    }
}

/// The files of a message.
pub(super) fn attachments(files: Vec<WireAttachment>) -> Vec<Attachment> {
    let file = |file: WireAttachment| Attachment {
        voice: file.voice().is_some(),
        name: file.filename,
        size: file.size,
        content_type: file.content_type,
        url: file.url,
    };
    files.into_iter().map(file).collect()
}

/// What a message replies to or forwards.
pub(super) enum WireQuote {
    Reply(Box<WireReplied>),
    Forward(WireContent),
}

/// The message that is replied to.
#[derive(Debug, Deserialize)]
pub(super) struct WireReplied {
    pub(super) id: MessageId,
    pub(super) author: Person,
    #[serde(flatten)]
    content: WireContent,
    /// Where it is itself a forward.
    #[serde(default, deserialize_with = "null_is_default")]
    message_snapshots: Vec<WireSnapshot>,
}

impl WireReplied {
    /// What it says, itself or in what it forwards.
    pub(super) fn content(&mut self) -> WireContent {
        let own = std::mem::take(&mut self.content);
        self.message_snapshots.pop().map_or(own, WireSnapshot::content)
    }
}

/// What is forwarded; it has no author. Discord wraps it; serenity, which reads events first, takes the wrapping off.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum WireSnapshot {
    Wrapped { message: WireContent },
    Bare(WireContent),
}

impl WireSnapshot {
    pub(super) fn content(self) -> WireContent {
        match self {
            Self::Wrapped { message } | Self::Bare(message) => message,
        }
    }
}

/// The content of a message.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WireContent {
    #[serde(default, rename = "content", deserialize_with = "null_is_default")]
    pub(super) text: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) mentions: Vec<Person>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) attachments: Vec<WireAttachment>,
    #[serde(flatten)]
    extras: WireExtras,
}

impl WireContent {
    pub(super) fn extras(&self) -> Vec<Extra> {
        let mut extras = self.extras.all();
        extras.extend(self.attachments.iter().find_map(WireAttachment::voice));
        extras
    }
}
