//! Log lines on standard error.
//!
//! Much of what is logged was written by others: an agent's stderr, a name in Discord, an error that quotes a file. So
//! each value that gets into a line, the message of the line included, is made [`printable`] first, and holds no secret: nobody
//! can forge a line, move the cursor of whoever reads the log, or fill the disk with one.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use serde::Deserialize;
use tracing::field::Field;
use tracing::{Level, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::nearest::nearest;
use crate::redact::Redactor;

/// Libraries that log whole frames and requests, the token in them, or open a span with one for each event: only
/// their warnings count, whatever the configuration says.
const CAPPED: [&str; 6] = ["serenity", "tungstenite", "tokio_tungstenite", "reqwest", "hyper", "rustls"];

/// The longest value in a line, in characters.
const LONGEST: usize = 2000;
/// How much of a longer one's end is shown: errors often end with what matters.
const END: usize = 500;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Which lines are logged, in the syntax of tracing's `EnvFilter`: `info`, or `info,serenity=error`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Levels(String);

impl Levels {
    /// What is logged where nothing else is said.
    pub fn usual() -> Self {
        Self("info".to_owned())
    }

    /// Errors alone.
    pub fn errors() -> Self {
        Self("error".to_owned())
    }
}

/// Why a text names no [`Levels`].
#[derive(Debug, thiserror::Error)]
pub enum BadLevels {
    /// A word that is no level.
    #[error("`{word}` is no level, did you mean `{near}`?")]
    Near {
        word: String,
        /// The level that it was most likely meant to be.
        near: &'static str,
    },
    /// One that is like none.
    #[error("`{0}` is no level; valid are `{levels}`", levels = LEVELS.join("`, `"))]
    Unknown(String),
    /// Nothing in it is about the bot itself.
    #[error("`{0}` silences moonlane itself; begin with a level, such as `info,{0}`")]
    Silent(String),
    /// Something else is wrong with it.
    #[error(
        "`{0}` is no log filter; write a level, and behind it `module=level` for single modules, with commas between"
    )]
    NoFilter(String),
}

impl FromStr for Levels {
    type Err = BadLevels;

    fn from_str(text: &str) -> Result<Self, BadLevels> {
        // Tracing itself takes a word that is no level for the name of a module, and then logs nothing else.
        let mut is_heard = false;
        for directive in text.split(',').map(str::trim) {
            let (module, level) = match directive.rsplit_once('=') {
                Some((module, level)) => (Some(module), level),
                None => (None, directive),
            };
            if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
                let word = level.to_owned();
                return Err(match nearest(&level.to_lowercase(), LEVELS) {
                    Some(near) => BadLevels::Near { word, near },
                    None => BadLevels::Unknown(word),
                });
            }
            is_heard |= module.is_none_or(|module| module.starts_with("moonlane"));
        }
        match EnvFilter::builder().parse(text) {
            Err(_) => Err(BadLevels::NoFilter(text.to_owned())),
            Ok(_) if !is_heard => Err(BadLevels::Silent(text.to_owned())),
            Ok(_) => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Levels {
    type Error = BadLevels;

    fn try_from(text: String) -> Result<Self, BadLevels> {
        text.parse()
    }
}

/// Sends the log lines that `levels` names to standard error, and panics as such lines. What `redactor` takes out
/// stands in none.
pub fn to_stderr(levels: &Levels, redactor: Redactor) {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .fmt_fields(fields(redactor))
        .with_writer(std::io::stderr)
        .with_filter(filter(levels));
    // A second call in one process keeps the first: only tests do that.
    if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines)).is_ok() {
        // It may quote what somebody has written.
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
}

/// What is logged at these levels. Our spans are there at each of them: they hold the id that a person is shown, by
/// which the lines of a turn are found.
fn filter<S>(levels: &Levels) -> impl Filter<S> + Send + Sync + 'static
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ours = filter_fn(|meta| meta.is_span() && meta.target().starts_with("moonlane"));
    let cap = filter_fn(|meta| {
        *meta.level() <= Level::WARN || !CAPPED.iter().any(|library| meta.target().starts_with(library))
    });
    // It was parsed before, so nothing in it is passed over.
    EnvFilter::builder().parse_lossy(&levels.0).or(ours).and(cap)
}

/// How values are written into a line.
fn fields(redactor: Redactor) -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    format::debug_fn(move |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let value = format!("{value:?}");
        let value = printable(&redactor.redact(&value)).into_owned();
        match (field.name(), writer.has_ansi_escapes()) {
            ("message", _) => writer.write_str(&value),
            (name, true) => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}"),
            (name, false) => write!(writer, "{name}={value}"),
        }
    })
    .delimited(" ")
}

/// The text as it may stand in a line for an operator's eyes: characters that break a line, move the cursor, change
/// the direction of writing or are not to be seen are written as `\n` or `\u{1b}`; of a long text the middle is left out.
pub fn printable(text: &str) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= LONGEST {
        return escaped(text);
    }
    let begin: String = text.chars().take(LONGEST - END).collect();
    let end: String = text.chars().skip(count - END).collect();
    let left_out = count - LONGEST;
    Cow::Owned(format!("{} [… {left_out} characters …] {}", escaped(&begin), escaped(&end)))
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        // Lines, marks and overrides of direction, what joins or is never seen, tags. Not U+200D, which holds emoji
        // together.
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}' | '\u{200b}' | '\u{200c}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    /// What stands in the log after `tell`, with the time cut off.
    fn logged(redactor: Redactor, tell: impl FnOnce()) -> String {
        logged_at("trace", redactor, tell)
    }

    fn logged_at(levels: &str, redactor: Redactor, tell: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .fmt_fields(fields(redactor))
            .with_writer(move || writer.clone())
            .with_filter(filter(&levels.parse().unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), tell);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn nothing_that_is_logged_can_forge_a_line() {
        let evil = "x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y";
        let error = io::Error::other(evil);
        let lines = logged(Redactor::off(), || {
            let _span = tracing::info_span!("turn", name = %evil).entered();
            tracing::warn!(display = %evil, debug = ?evil, text = evil, %error, "a message: {evil}");
        });
        insta::assert_snapshot!(lines, @r#" WARN turn{name=x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y}: moonlane::logging::tests: a message: x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y display=x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y debug="x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y" text="x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y" error=x\r\n2026-01-01T00:00:00Z  INFO moonlane: all is well\u{1b}[2J\u{9b}1A\u{202e}\u{2028}y"#);
        assert_eq!(lines.lines().count(), 1);
    }

    #[test]
    fn a_secret_is_in_no_line() {
        let redactor = Redactor::new(["a-secret-of-the-bot".to_owned()]);
        let lines = logged(redactor, || {
            let _span = tracing::info_span!("turn", name = "a-secret-of-the-bot").entered();
            tracing::info!(error = %"got a-secret-of-the-bot", "a-secret-of-the-bot");
        });
        insta::assert_snapshot!(lines, @r#" INFO turn{name="[redacted]"}: moonlane::logging::tests: [redacted] error=got [redacted]"#);
    }

    #[test]
    fn a_turns_id_is_in_its_lines_at_every_level() {
        let tell = || {
            let _span = tracing::info_span!("turn", id = "b46q").entered();
            tracing::info!("begun");
            tracing::warn!("slow");
            tracing::error!("failed");
        };
        let lines = |levels: &str| logged_at(levels, Redactor::off(), tell);
        insta::assert_snapshot!(lines("warn"), @r#"
         WARN turn{id="b46q"}: moonlane::logging::tests: slow
        ERROR turn{id="b46q"}: moonlane::logging::tests: failed
        "#);
        insta::assert_snapshot!(lines("error"), @r#"ERROR turn{id="b46q"}: moonlane::logging::tests: failed"#);
        insta::assert_snapshot!(lines("error,moonlane::logging=warn"), @r#"
         WARN turn{id="b46q"}: moonlane::logging::tests: slow
        ERROR turn{id="b46q"}: moonlane::logging::tests: failed
        "#);
        assert_eq!(lines("off"), "");
    }

    #[test]
    fn what_is_no_level_is_refused_with_the_nearest_that_is_one() {
        let refused = |text: &str| text.parse::<Levels>().unwrap_err().to_string();
        insta::assert_snapshot!(refused("warning"), @"`warning` is no level, did you mean `warn`?");
        insta::assert_snapshot!(refused("loud"), @"`loud` is no level; valid are `error`, `warn`, `info`, `debug`, `trace`, `off`");
        insta::assert_snapshot!(refused(""), @"`` is no level; valid are `error`, `warn`, `info`, `debug`, `trace`, `off`");
        insta::assert_snapshot!(refused("info,serenity=debgu"), @"`debgu` is no level, did you mean `debug`?");
        insta::assert_snapshot!(refused("moonlane"), @"`moonlane` is no level; valid are `error`, `warn`, `info`, `debug`, `trace`, `off`");
        insta::assert_snapshot!(refused("hyper=warn"), @"`hyper=warn` silences moonlane itself; begin with a level, such as `info,hyper=warn`");
        for fine in ["warn", "WARN", "info,serenity=error", "moonlane=debug", "off"] {
            assert!(fine.parse::<Levels>().is_ok(), "{fine}");
        }
    }

    #[test]
    fn of_a_long_value_the_middle_is_left_out() {
        let long = format!("begin{}end", "\u{1b}".repeat(100_000));
        let short = printable(&long);
        assert!(short.starts_with("begin") && short.ends_with("end"), "{short}");
        assert!(short.contains("98008 characters") && short.len() < 8 * LONGEST, "{short}");
    }

    proptest! {
        #[test]
        fn a_plain_text_is_one_line_that_can_be_seen(text in any::<String>()) {
            let plain = printable(&text);
            prop_assert!(!plain.contains(is_harmful));
            prop_assert_eq!(plain.lines().count(), usize::from(!plain.is_empty()));
        }
    }
}
