//! Fetching the files of messages.

use std::io;
use std::path::Path;

use reqwest::{StatusCode, Url};
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::Outbox;

/// How many times as long as one request a whole file may take.
const WHOLE: u32 = 4;

/// Why an attachment was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The address is not one of Discord's.
    #[error("this is not an address of Discord's file servers")]
    NotDiscord,
    /// It is longer than it was said to be.
    #[error("longer than {0} bytes")]
    Longer(u64),
    /// Discord does not serve it (any more).
    #[error("Discord answers {0}")]
    Refused(String),
    /// It could not be fetched.
    #[error("{0}")]
    Failed(String),
    /// It could not be written down.
    #[error("cannot be written: {0}")]
    NotWritten(String),
}

impl Outbox {
    /// Fetches an attachment of at most `at_most` bytes into a new file, which only the bot's user may read.
    ///
    /// Only from Discord's file servers, or from the `api_url` itself: the address comes from a message, and must
    /// not lead into the operator's own network. The token is not sent along.
    ///
    /// # Errors
    /// See [`DownloadError`]; then the file may be there all the same, with a part of it.
    pub async fn download(&self, url: &str, at_most: u64, into: &Path) -> Result<(), DownloadError> {
        let url = Url::parse(url).ok().filter(|url| self.serves_files(url));
        let url = url.ok_or(DownloadError::NotDiscord)?;
        let mut tries = 3;
        loop {
            tries -= 1;
            let fetching = self.fetch(url.clone(), at_most, into);
            let limit = self.0.sender.patience.request * WHOLE;
            let fetched = timeout(limit, fetching)
                .await
                .unwrap_or_else(|_| Err(DownloadError::Failed("too slow".to_owned())));
            match fetched {
                Err(DownloadError::Failed(_)) if tries > 0 => {
                    tokio::time::sleep(self.0.sender.patience.first_wait).await;
                }
                other => return other,
            }
        }
    }

    async fn fetch(&self, url: Url, at_most: u64, into: &Path) -> Result<(), DownloadError> {
        let failed =
            |e: reqwest::Error| DownloadError::Failed(format!("{:#}", anyhow::Error::from(e.without_url())));
        let not_written = |e: io::Error| DownloadError::NotWritten(e.to_string());
        let silence = self.0.sender.patience.request;
        let late = |_| DownloadError::Failed("too slow".to_owned());
        let asking = self.0.sender.http.get(url).send();
        let mut response = timeout(silence, asking).await.map_err(late)?.map_err(failed)?;
        match response.status() {
            status if status.is_success() => {}
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                return Err(DownloadError::Refused(status.to_string()));
            }
            status => return Err(DownloadError::Failed(status.to_string())),
        }
        // What an earlier try has left, and nothing that a link leads to.
        match tokio::fs::remove_file(into).await {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(not_written(e)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(into).await;
        let mut file = file.map_err(not_written)?;
        let mut length = 0;
        while let Some(chunk) = timeout(silence, response.chunk()).await.map_err(late)?.map_err(failed)? {
            length += chunk.len() as u64;
            if length > at_most {
                return Err(DownloadError::Longer(at_most));
            }
            file.write_all(&chunk).await.map_err(not_written)?;
        }
        file.flush().await.map_err(not_written)
    }

    pub(super) fn serves_files(&self, url: &Url) -> bool {
        let plain = url.username().is_empty() && url.password().is_none();
        let discords = url.scheme() == "https"
            && url.port().is_none()
            && matches!(url.host_str(), Some("cdn.discordapp.com" | "media.discordapp.net"));
        plain && (discords || url.origin() == self.0.api.origin())
    }
}
