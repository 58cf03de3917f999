//! Log lines on standard error.

use std::error::Error;
use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, FilterExt, ParseError, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// Libraries that log whole frames and requests, the token in them, or open a span with one for each event: only
/// their warnings count, whatever the configuration says.
const CAPPED: [&str; 6] = ["serenity", "tungstenite", "tokio_tungstenite", "reqwest", "hyper", "rustls"];

/// A level that is not one.
#[derive(Debug, thiserror::Error)]
#[error("config/moonlane.toml: log.level: `{level}` is no log filter: {source}")]
pub struct BadLevel {
    level: String,
    source: ParseError,
}

/// Sends log lines to standard error, filtered by `level` (the syntax of tracing's `EnvFilter`).
///
/// # Errors
/// Where `level` is not such a filter.
pub fn to_stderr(level: &str) -> Result<(), BadLevel> {
    let filter = filter(level)?;
    let cap = filter_fn(|meta| {
        *meta.level() <= Level::WARN || !CAPPED.iter().any(|library| meta.target().starts_with(library))
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(filter.and(cap));
    // A second call in one process keeps the first: only tests do that.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
    Ok(())
}

/// Whether `level` is a log filter.
///
/// # Errors
/// Where it is not.
pub fn check(level: &str) -> Result<(), BadLevel> {
    filter(level).map(drop)
}

fn filter(level: &str) -> Result<EnvFilter, BadLevel> {
    EnvFilter::builder().parse(level).map_err(|source| BadLevel { level: level.to_owned(), source })
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
