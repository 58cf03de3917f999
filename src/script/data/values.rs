//! Values that stand for types of ours: functions, ids and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::duration_as;
use crate::domain::BadId;

/// A function; all that matters is that it is there.
#[derive(Debug)]
pub struct Function;

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FunctionVisitor;

        impl Visitor<'_> for FunctionVisitor {
            type Value = Function;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a function")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Function, E> {
                Ok(Function)
            }
        }

        deserializer.deserialize_any(FunctionVisitor)
    }
}

/// Why a number is no id.
pub const ID_IS_TEXT: &str = "ids are strings in quotes, because a number cannot hold all their digits";

/// A Discord id: digits in quotes, because a number cannot hold them all. Wherever an id is expected, the table of a person,
/// a channel or a role will do.
///
/// Lua Id: `string`
pub struct Id<T>(pub T);

impl<'de, T: FromStr<Err = BadId>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: FromStr<Err = BadId>> Visitor<'de> for IdVisitor<T> {
            type Value = Id<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<T>, E> {
                text.parse().map(Id).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Id<T>, E> {
                Err(E::custom(ID_IS_TEXT))
            }

            /// A person, a channel or a role.
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Id<T>, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "id" {
                        found = Some(map.next_value::<Id<T>>()?);
                    } else {
                        map.next_value::<de::IgnoredAny>()?;
                    }
                }
                found.ok_or_else(|| de::Error::invalid_type(Unexpected::Map, &self))
            }
        }

        deserializer.deserialize_any(IdVisitor(std::marker::PhantomData))
    }
}

/// A duration: a number of seconds, or a text such as "90s", "10m" or "1h 30m".
///
/// Lua Duration: `number|string`
pub struct Seconds(pub Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of seconds, or a duration in quotes, such as \"10m\"";
        duration_as(deserializer, expected).map(Seconds)
    }
}

/// The ids themselves.
pub fn ids<T>(raw: Vec<Id<T>>) -> Vec<T> {
    raw.into_iter().map(|id| id.0).collect()
}
