//! A message that becomes a file.

use reqwest::Method;

use super::call::{Body, Call};
use super::pace::CallKind;
use super::{Outbox, Refused, interaction};
use crate::domain::{ChannelId, File, MessageId, Reply};

impl Outbox {
    /// Gives a message of the bot's own another text and a file, and takes away what could be pressed.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn edit_with_file(
        &self,
        channel: ChannelId,
        message: MessageId,
        text: String,
        file: File,
    ) -> Result<(), Refused> {
        let (body, files) = interaction::whole(Reply { files: vec![file], ..Reply::text(text) });
        let call = Call {
            method: Method::PATCH,
            body: Some(Body::Form(body, files)),
            ..Call::get(CallKind::Edit, channel.get(), format!("/channels/{channel}/messages/{message}"))
        };
        self.0.sender.send(call).await
    }
}
