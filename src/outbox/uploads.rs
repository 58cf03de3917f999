//! Posting files of whatever kind.

use bytes::Bytes;
use serde::Deserialize;

use super::call::Body;
use super::{CallKind, Notify, Outbox, Post, Refused};
use crate::domain::{ChannelId, MessageId};

/// What Discord takes of each file in a guild that is not boosted, in bytes, and in one of the second and third level:
/// <https://discord.com/developers/docs/reference#uploading-files>.
pub const MOST_BYTES: u64 = 10 << 20;
const MOST_BYTES_AT_LEVEL: [(u8, u64); 2] = [(2, 50 << 20), (3, 100 << 20)];

#[derive(Deserialize)]
struct Boosted {
    #[serde(default)]
    premium_tier: u8,
}

impl Outbox {
    /// Posts files of whatever kind, at most ten, with a text that may be empty. Nobody is notified.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn post_files(
        &self,
        channel: ChannelId,
        content: String,
        nonce: String,
        files: Vec<(String, Bytes)>,
    ) -> Result<MessageId, Refused> {
        let notify = Notify::Nobody;
        let post = Post { content, nonce, reply_to: None, notify, file: None, rows: Vec::new() };
        self.create_with(CallKind::Create, channel, (&post, None), |json| Body::Binary(json, files)).await
    }

    /// The most bytes of a file that Discord takes in the channel's guild.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn largest_file(&self, channel: ChannelId) -> Result<u64, Refused> {
        let Some(guild) = self.guild_of(channel).await? else { return Ok(MOST_BYTES) };
        let boosted: Boosted = self.get(CallKind::Member, guild.get(), format!("/guilds/{guild}")).await?;
        let level = MOST_BYTES_AT_LEVEL.into_iter().rev().find(|(level, _)| boosted.premium_tier >= *level);
        Ok(level.map_or(MOST_BYTES, |(_, most)| most))
    }
}
