//! Values that a script can write in more than one way.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::decode::RawPick;

/// A value, or `false` for none.
///
/// Lua: `T|false`
pub struct OrFalse<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrFalse<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OrFalse<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or false")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OrFalse<T>, E> {
                T::deserialize(de::IntoDeserializer::into_deserializer(text))
                    .map(|value| OrFalse(Some(value)))
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<OrFalse<T>, E> {
                match on {
                    false => Ok(OrFalse(None)),
                    true => Err(E::invalid_value(Unexpected::Bool(true), &self)),
                }
            }
        }

        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// A label alone, or a table.
///
/// Lua: `string|Pick`
pub struct TextOrPick(pub RawPick);

impl<'de> Deserialize<'de> for TextOrPick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PickVisitor;

        impl<'de> Visitor<'de> for PickVisitor {
            type Value = TextOrPick;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or { label = …, value = …, description = … }")
            }

            fn visit_str<E: de::Error>(self, label: &str) -> Result<TextOrPick, E> {
                Ok(TextOrPick(RawPick::labelled(label)))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TextOrPick, A::Error> {
                RawPick::deserialize(de::value::MapAccessDeserializer::new(map)).map(TextOrPick)
            }
        }

        deserializer.deserialize_any(PickVisitor)
    }
}

/// A colour: "#rrggbb" or 0xRRGGBB.
///
/// Lua Color: `string|integer`
pub struct Color(pub u32);

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColorVisitor;

        impl Visitor<'_> for ColorVisitor {
            type Value = Color;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a colour such as \"#5865f2\" or 0x5865f2")
            }

            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be in range and whole"
            )]
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Color, E> {
                match (0.0..=16_777_215.0).contains(&number) && number.fract() == 0.0 {
                    true => Ok(Color(number as u32)),
                    false => Err(E::invalid_value(Unexpected::Float(number), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Color, E> {
                let digits = text.strip_prefix('#').filter(|hex| hex.len() == 6 && !hex.starts_with('+'));
                let color = digits.and_then(|hex| u32::from_str_radix(hex, 16).ok());
                color.map(Color).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(ColorVisitor)
    }
}
