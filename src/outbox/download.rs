//! Fetching the files of messages.

use reqwest::{StatusCode, Url};
use tokio::time::timeout;

use super::Outbox;

/// Why an attachment was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The address is not one of Discord's.
    #[error("this is not an address of Discord's file servers")]
    NotDiscord,
    /// It is larger than the caller accepts.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// Discord does not serve it (any more).
    #[error("Discord answers {0}")]
    Refused(String),
    /// It could not be fetched.
    #[error("{0}")]
    Failed(String),
}

impl Outbox {
    /// Fetches an attachment of at most `at_most` bytes.
    ///
    /// Only from Discord's file servers, or from the `api_url` itself: the address comes from a message, and must
    /// not lead into the operator's own network. The token is not sent along.
    ///
    /// # Errors
    /// See [`DownloadError`].
    pub async fn download(&self, url: &str, at_most: usize) -> Result<Vec<u8>, DownloadError> {
        let url = Url::parse(url).ok().filter(|url| self.serves_files(url));
        let url = url.ok_or(DownloadError::NotDiscord)?;
        let failed =
            |e: reqwest::Error| DownloadError::Failed(format!("{:#}", anyhow::Error::from(e.without_url())));
        let mut tries = 3;
        loop {
            tries -= 1;
            let fetched = timeout(self.0.sender.patience.request, async {
                let mut response = self.0.sender.http.get(url.clone()).send().await.map_err(failed)?;
                match response.status() {
                    status if status.is_success() => {}
                    status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                        return Err(DownloadError::Refused(status.to_string()));
                    }
                    status => return Err(DownloadError::Failed(status.to_string())),
                }
                let mut content = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(failed)? {
                    if content.len() + chunk.len() > at_most {
                        return Err(DownloadError::TooLarge(at_most));
                    }
                    content.extend_from_slice(&chunk);
                }
                Ok(content)
            });
            let fetched = fetched.await.unwrap_or_else(|_| Err(DownloadError::Failed("too slow".to_owned())));
            match fetched {
                Err(DownloadError::Failed(_)) if tries > 0 => {
                    tokio::time::sleep(self.0.sender.patience.first_wait).await;
                }
                other => return other,
            }
        }
    }

    pub(super) fn serves_files(&self, url: &Url) -> bool {
        let plain = url.username().is_empty() && url.password().is_none();
        let discords = url.scheme() == "https"
            && url.port().is_none()
            && matches!(url.host_str(), Some("cdn.discordapp.com" | "media.discordapp.net"));
        plain && (discords || url.origin() == self.0.api.origin())
    }
}
