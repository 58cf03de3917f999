//! Threads that the bot opens.

use reqwest::Method;
use serde_json::json;

use super::call::{Body, Call};
use super::{CallKind, Outbox, Refused, wire};
use crate::domain::{ChannelId, MessageId, UserId};

/// After how many minutes without a word Discord puts a thread of the bot's into the archive: seven days, the longest that it
/// takes. Whoever writes there wakes it.
const AUTO_ARCHIVE: u32 = 7 * 24 * 60;
/// Discord's code for a message that has a thread already.
const HAS_THREAD: u32 = 160_004;
/// Discord's type of a thread that everybody sees who sees its channel. In an announcement channel it makes one of its own
/// type of it.
const PUBLIC_THREAD: u8 = 11;

impl Outbox {
    /// Opens a thread from a message; it has the message's id. It is no error if there is one already.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn open_thread_from(
        &self,
        channel: ChannelId,
        message: MessageId,
        name: &str,
    ) -> Result<ChannelId, Refused> {
        let path = format!("/channels/{channel}/messages/{message}/threads");
        let body = json!({ "name": name, "auto_archive_duration": AUTO_ARCHIVE });
        match self.open_thread_at(channel, path, &body).await {
            Err(refused) if refused.code() == Some(HAS_THREAD) => Ok(message.thread()),
            other => other,
        }
    }

    /// Opens a thread that begins with nothing.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn open_thread(&self, channel: ChannelId, name: &str) -> Result<ChannelId, Refused> {
        let body = json!({ "name": name, "auto_archive_duration": AUTO_ARCHIVE, "type": PUBLIC_THREAD });
        self.open_thread_at(channel, format!("/channels/{channel}/threads"), &body).await
    }

    async fn open_thread_at(
        &self,
        channel: ChannelId,
        path: String,
        body: &serde_json::Value,
    ) -> Result<ChannelId, Refused> {
        let call = Call {
            method: Method::POST,
            body: Some(Body::Json(body.to_string().into_bytes())),
            ..Call::get(CallKind::Thread, channel.get(), path)
        };
        let wire::OpenedThread { id } = self.0.sender.ask(call).await?;
        Ok(id)
    }

    /// Adds somebody to a thread, so that it is in their list. It is no error if they are in it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn add_to_thread(&self, thread: ChannelId, person: UserId) -> Result<(), Refused> {
        let path = format!("/channels/{thread}/thread-members/{person}");
        let call = Call { method: Method::PUT, ..Call::get(CallKind::Thread, thread.get(), path) };
        self.0.sender.send(call).await
    }
}
