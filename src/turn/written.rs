//! Writes that must succeed in the end, however long the database fails (a full disk, somebody's lock).

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Turns;
use crate::logging::chain;
use crate::store::StoreError;

/// The wait before a step is retried; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Tries a step until it succeeds, `given_up` is cancelled, or the bot stops.
///
/// # Errors
/// The last failure if the step was given up; at once if the store is closed.
pub async fn until_written<T, F: Future<Output = Result<T, StoreError>>>(
    turns: &Turns,
    given_up: &CancellationToken,
    mut step: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut wait = FIRST_WAIT;
    loop {
        let error = match step().await {
            Err(error @ StoreError::Database(_)) => error,
            other => return other,
        };
        error!(error = chain(&error), "the database fails; next try in {wait:?}");
        tokio::select! {
            () = given_up.cancelled() => return Err(error),
            () = turns.0.ending.cancelled() => return Err(error),
            () = sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
        }
    }
}
