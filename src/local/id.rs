//! Discord's snowflakes.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Discord snowflake: of a user, a role, a channel, a message … It is a string in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

/// Discord's snowflakes count milliseconds from the start of 2015.
const EPOCH: Duration = Duration::from_millis(1_420_070_400_000);

impl Id {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// When it was made, to the millisecond.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + EPOCH + Duration::from_millis(self.0 >> 22)
    }
}

impl From<u64> for Id {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Takes a string or a number, as Discord does.
impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(id) => Ok(Self(id)),
            Form::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// Real snowflakes: the time in the high bits; within a millisecond they count up.
pub(super) fn next_id(last: &mut u64, ahead: Duration) -> Id {
    let since_epoch = (SystemTime::now() + ahead).duration_since(UNIX_EPOCH + EPOCH).unwrap_or_default();
    let now = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX >> 22) << 22;
    *last = now.max(*last + 1);
    Id(*last)
}
