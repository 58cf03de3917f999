//! Reading what people say in a channel.

use serde::Deserialize;

use super::history::PAGE;
use super::{CallKind, Outbox, Refused};
use crate::domain::{ChannelId, MessageId, UserId};

/// Discord's types of what somebody says: a message and a reply.
const SPEECH: [u8; 2] = [0, 19];

/// Something that somebody has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidMessage {
    pub id: MessageId,
    pub author: UserId,
    /// The name that is shown for them.
    pub name: String,
    /// Whether it is a bot or a webhook.
    pub is_bot: bool,
    /// The text, with the people whom it mentions by name.
    pub text: String,
    /// The names of the files that came with it.
    pub files: Vec<String>,
}

#[derive(Deserialize)]
struct Said {
    id: MessageId,
    #[serde(rename = "type")]
    kind: u8,
    author: Speaker,
    #[serde(default)]
    content: String,
    #[serde(default)]
    mentions: Vec<Speaker>,
    #[serde(default)]
    attachments: Vec<SaidFile>,
}

#[derive(Deserialize)]
struct Speaker {
    id: UserId,
    #[serde(default)]
    username: String,
    global_name: Option<String>,
    #[serde(default)]
    bot: bool,
}

#[derive(Deserialize)]
struct SaidFile {
    filename: String,
}

impl Speaker {
    fn name(&self) -> &str {
        self.global_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.username)
    }
}

impl Outbox {
    /// The last hundred messages before this one, those that are no speech left out, oldest first.
    ///
    /// # Errors
    /// See [`Refused`]; put a timeout around it if it matters how long this takes.
    pub async fn said_before(
        &self,
        channel: ChannelId,
        before: MessageId,
    ) -> Result<Vec<SaidMessage>, Refused> {
        let path = format!("/channels/{channel}/messages?before={before}&limit={PAGE}");
        let mut said: Vec<Said> = self.get(CallKind::History, channel.get(), path).await?;
        said.retain(|said| SPEECH.contains(&said.kind));
        said.sort_by_key(|said| said.id);
        Ok(said.into_iter().map(Said::read).collect())
    }
}

impl Said {
    fn read(self) -> SaidMessage {
        let mut text = self.content;
        for person in &self.mentions {
            for mention in [format!("<@{}>", person.id), format!("<@!{}>", person.id)] {
                text = text.replace(&mention, &format!("@{}", person.name()));
            }
        }
        SaidMessage {
            id: self.id,
            author: self.author.id,
            name: self.author.name().to_owned(),
            is_bot: self.author.bot,
            text,
            files: self.attachments.into_iter().map(|file| file.filename).collect(),
        }
    }
}
