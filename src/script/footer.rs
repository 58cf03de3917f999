//! The key `footer` of a project.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::domain::FooterField;

/// Fields, or `false` for none.
///
/// Lua: `FooterField[]|false`
pub struct FieldsOrFalse(pub Vec<FooterField>);

impl<'de> Deserialize<'de> for FieldsOrFalse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = FieldsOrFalse;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of fields, such as { \"time\", \"model\" }, or false")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<FieldsOrFalse, A::Error> {
                let mut all = Vec::new();
                while let Some(field) = fields.next_element()? {
                    if all.contains(&field) {
                        return Err(de::Error::custom("names a field twice"));
                    }
                    all.push(field);
                }
                Ok(FieldsOrFalse(all))
            }

            /// `{}`, which has neither items nor keys.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldsOrFalse, A::Error> {
                match map.next_key::<String>()? {
                    None => Ok(FieldsOrFalse(Vec::new())),
                    Some(_) => Err(de::Error::invalid_type(Unexpected::Map, &self)),
                }
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<FieldsOrFalse, E> {
                match on {
                    false => Ok(FieldsOrFalse(Vec::new())),
                    true => Err(E::invalid_value(Unexpected::Bool(true), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}
