//! Values in the configuration, and what is wrong with them, worded for operators.

use std::fmt;
use std::time::Duration;

use serde::Deserializer;
use serde::de::{self, Unexpected, Visitor};

/// A duration: a number of seconds, or a text such as "10m".
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration_as(deserializer, "a number of seconds or a text such as \"60s\"")
}

/// The same, for scripts too; anything else is refused with what was `expected`.
pub fn duration_as<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<Duration, D::Error> {
    struct DurationVisitor(&'static str);

    impl Visitor<'_> for DurationVisitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
            let time = u64::try_from(seconds).map(Duration::from_secs);
            time.map_err(|_| E::invalid_value(Unexpected::Signed(seconds), &self))
        }

        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
            let time = Duration::try_from_secs_f64(seconds);
            time.map_err(|_| E::invalid_value(Unexpected::Float(seconds), &self))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            let time = humantime_serde::re::humantime::parse_duration(text);
            time.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(DurationVisitor(expected))
}

/// Rewords serde's message about a value of the wrong type without naming Rust types; returns any other as it is.
///
/// serde words these as ``invalid type: integer `1`, expected a string`` (`invalid value: …` if the type is right).
pub(super) fn in_words(message: &str) -> String {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((got, expected)) = rest.and_then(|rest| rest.rsplit_once(", expected ")) else {
        return message.to_owned();
    };
    // Texts come in quotes, numbers and booleans in backquotes, after the name of their type.
    let got = match got {
        "map" => "a section",
        "sequence" => "a list",
        _ => got.find(['"', '`']).map_or(got, |at| &got[at..]),
    };
    let expected = match expected {
        "usize" | "u64" | "u32" if got.starts_with("`-") => {
            return format!("must not be negative, but is {got}");
        }
        "usize" | "u64" | "u32" => "a whole number",
        "a string" | "path string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in [ ]",
        "parsable string" | "an integer or string" => "a size such as \"64MiB\"",
        "a map" => "a section with keys",
        _ if expected.starts_with("struct ") => "a section with keys",
        _ => expected,
    };
    format!("must be {expected}, not {got}")
}
