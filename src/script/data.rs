//! Lua values → plain data → our own types, with the path to whatever is wrong.
//!
//! What a script returns is first copied into [`Data`], which is bounded and does not depend on the VM; then serde decodes
//! that. It takes two steps because Lua has only one kind of table: what is a list, and what is a table with keys, is
//! decided here and nowhere else, and nothing is dropped silently.

mod all;
mod values;

use std::fmt;

use serde::Deserializer;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Unexpected, Visitor};
use serde_path_to_error::Segment;

use crate::nearest::reword;
pub use all::{Found, decode_all, decode_all_lua, read_all};
pub use values::{Function, ID_IS_TEXT, Id, Seconds, ids};

/// How many bytes of text one value may hold, in all its strings together.
const MAX_BYTES: usize = 1024 * 1024;
/// How many values one value may hold, nested ones included.
const MAX_VALUES: usize = 100_000;
/// How deep tables may be nested.
const MAX_DEPTH: usize = 16;

/// A value that a script returned, as plain data.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `true` or `false`
    Bool(bool),
    /// Luau's numbers are doubles.
    Number(f64),
    /// A string; UTF-8, without NUL.
    Text(String),
    /// A table with the keys 1 to n.
    List(Vec<Data>),
    /// A table with string keys, in the order of the keys.
    Map(Vec<(String, Data)>),
    /// `{}`, which can be a list or a map.
    Empty,
    /// A function that [`read_code`] found: only that it is there.
    Function,
}

/// Something is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// Where it is, such as `limits.turn` or `users[2]`; empty if it is the value itself.
    pub path: String,
    /// What is wrong, and how to put it right.
    pub message: String,
}

impl BadValue {
    /// A problem with the value itself.
    pub fn here(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    /// The same problem, as seen from the table that holds the value at this path.
    pub fn under(self, parent: &str) -> Self {
        let path = match (parent, self.path) {
            (parent, path) if path.is_empty() => parent.to_owned(),
            ("", path) => path,
            (parent, path) if path.starts_with('[') => format!("{parent}{path}"),
            (parent, path) => format!("{parent}.{path}"),
        };
        Self { path, message: self.message }
    }
}

/// A key as part of a path: `name`, or `["7 samurai"]`.
pub fn segment(key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match key.chars().next() {
        Some(first) if key.len() <= 60 && !first.is_ascii_digit() && key.chars().all(word) => key.to_owned(),
        _ => format!("[{}]", shown(key)),
    }
}

/// Copies a Lua value; nil becomes `None`.
///
/// Runs no Lua code: metatables are ignored.
///
/// # Errors
/// If the value holds a function, is too large, or is a table that is neither a list nor has string keys.
pub fn read(value: &mlua::Value) -> Result<Option<Data>, BadValue> {
    read_as(value, CopyBudget { bytes: MAX_BYTES, values: MAX_VALUES, functions: false, first: None })
}

/// As [`read`], but the value may hold functions.
///
/// # Errors
/// As [`read`].
pub fn read_code(value: &mlua::Value) -> Result<Option<Data>, BadValue> {
    read_as(value, CopyBudget { bytes: MAX_BYTES, values: MAX_VALUES, functions: true, first: None })
}

/// As [`read`], for a value that may be given as `"text"` or `{ "text", key = … }` instead of `{ first = "text", key = … }`:
/// the value itself, or its first item, is then found under the key `first`.
///
/// # Errors
/// As [`read`].
pub fn read_with_first(value: &mlua::Value, first: &'static str) -> Result<Data, BadValue> {
    let room = CopyBudget { bytes: MAX_BYTES, values: MAX_VALUES, functions: false, first: Some(first) };
    Ok(match read_as(value, room)? {
        None => Data::Empty,
        Some(Data::Map(fields)) if !has_id(&fields) => Data::Map(fields),
        Some(Data::Empty) => Data::Empty,
        Some(value) => Data::Map(vec![(first.to_owned(), value)]),
    })
}

/// Whether it is a person, a channel or a role, which stand for their ids.
fn has_id(fields: &[(String, Data)]) -> bool {
    fields.iter().any(|(key, _)| key == "id")
}

fn read_as(value: &mlua::Value, mut room: CopyBudget) -> Result<Option<Data>, BadValue> {
    match value {
        mlua::Value::Nil => Ok(None),
        value => room.read(value, MAX_DEPTH).map(Some),
    }
}

/// Decodes a value.
///
/// # Errors
/// The first thing that does not fit, with the path to it.
pub fn decode<T: DeserializeOwned>(data: Data) -> Result<T, BadValue> {
    serde_path_to_error::deserialize(data).map_err(|e| {
        let mut path = String::new();
        for part in e.path() {
            let part = match part {
                Segment::Seq { index } => format!("[{}]", index + 1),
                Segment::Map { key } => segment(key),
                Segment::Enum { variant } => segment(variant),
                Segment::Unknown => "?".to_owned(),
            };
            path = BadValue { path: part, message: String::new() }.under(&path).path;
        }
        BadValue { path, message: e.into_inner().0 }
    })
}

/// Copies and decodes in one step; nil is an error.
pub fn decode_lua<T: DeserializeOwned>(value: &mlua::Value) -> Result<T, BadValue> {
    match read(value)? {
        Some(data) => decode(data),
        None => Err(BadValue::here("expected a value, found nil")),
    }
}

/// What may still be copied.
struct CopyBudget {
    bytes: usize,
    values: usize,
    /// Whether there may be functions in it.
    functions: bool,
    /// The key of the outermost table's first item.
    first: Option<&'static str>,
}

impl CopyBudget {
    fn read(&mut self, value: &mlua::Value, depth: usize) -> Result<Data, BadValue> {
        self.values = self
            .values
            .checked_sub(1)
            .ok_or_else(|| BadValue::here(format!("holds more than {MAX_VALUES} values")))?;
        match value {
            mlua::Value::Boolean(b) => Ok(Data::Bool(*b)),
            #[expect(clippy::cast_precision_loss, reason = "Luau's numbers are doubles already")]
            mlua::Value::Integer(i) => Ok(Data::Number(*i as f64)),
            mlua::Value::Number(n) => Ok(Data::Number(*n)),
            mlua::Value::String(text) => self.text(text).map(Data::Text),
            mlua::Value::Table(_) if depth == 0 => {
                Err(BadValue::here(format!("tables are nested more than {MAX_DEPTH} deep")))
            }
            mlua::Value::Table(table) => self.table(table, depth - 1),
            mlua::Value::Function(_) if self.functions => Ok(Data::Function),
            other => Err(BadValue::here(format!("a {} is not allowed here", other.type_name()))),
        }
    }

    fn text(&mut self, text: &mlua::LuaString) -> Result<String, BadValue> {
        let bytes = text.as_bytes();
        self.bytes = self
            .bytes
            .checked_sub(bytes.len())
            .ok_or_else(|| BadValue::here(format!("holds more than {} KiB of text", MAX_BYTES / 1024)))?;
        match str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            Ok(_) => Err(BadValue::here("a string with a NUL byte in it")),
            Err(_) => Err(BadValue::here("a string that is not UTF-8")),
        }
    }

    fn table(&mut self, table: &mlua::Table, depth: usize) -> Result<Data, BadValue> {
        // It does not apply to nested tables.
        let first = self.first.take();
        let mut items = Vec::new();
        let mut fields = Vec::new();
        for pair in table.pairs::<mlua::Value, mlua::Value>() {
            let (key, value) = pair.map_err(|e| BadValue::here(e.to_string()))?;
            match key {
                mlua::Value::String(key) => {
                    let key =
                        self.text(&key).map_err(|e| BadValue::here(format!("a key is {}", e.message)))?;
                    let value = self.read(&value, depth).map_err(|e| e.under(&segment(&key)))?;
                    fields.push((key, value));
                }
                mlua::Value::Integer(index) => {
                    let value = self.read(&value, depth).map_err(|e| e.under(&format!("[{index}]")))?;
                    items.push((index, value));
                }
                other => {
                    let problem = format!("a {} cannot be a key here", other.type_name());
                    return Err(BadValue::here(problem));
                }
            }
        }
        if let (Some(first), [(1, _)]) = (first, items.as_slice()) {
            if fields.iter().any(|(key, _)| key == first) {
                return Err(BadValue::here("is given twice: by name and as the first item").under(first));
            }
            fields.extend(items.drain(..).map(|(_, value)| (first.to_owned(), value)));
        }
        match (items.is_empty(), fields.is_empty()) {
            (true, true) => Ok(Data::Empty),
            (true, false) => {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                Ok(Data::Map(fields))
            }
            (false, true) => {
                items.sort_by_key(|item| item.0);
                match items.iter().zip(1..).find(|(item, place)| item.0 != *place) {
                    None => Ok(Data::List(items.into_iter().map(|item| item.1).collect())),
                    Some((_, place)) => {
                        Err(BadValue::here(format!("a list with a gap: item {place} is missing")))
                    }
                }
            }
            (false, false) => {
                Err(BadValue::here("a table with both keys and list items; use one or the other"))
            }
        }
    }
}

impl Data {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Bool(b) => Unexpected::Bool(*b),
            Self::Number(n) => Unexpected::Float(*n),
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Map(_) | Self::Empty => Unexpected::Map,
            Self::Function => Unexpected::Other("a function"),
        }
    }
}

/// What serde found wrong, worded for people who write Lua.
#[derive(Debug)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(one_line(reword(&message.to_string())))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = found_words(found);
        let expected = match expected.to_string().as_str() {
            "a sequence" => "a list".to_owned(),
            "a map" => "a table".to_owned(),
            "f64" => "a number".to_owned(),
            other => other.to_owned(),
        };
        Self(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        if let Some(now) = renamed(field, expected) {
            return Self(now);
        }
        match expected {
            [] => Self::custom(format_args!("unknown field `{field}`, there are no fields")),
            [only] => Self::custom(format_args!("unknown field `{field}`, expected `{only}`")),
            _ => {
                let listed = expected.join("`, `");
                Self::custom(format_args!("unknown field `{field}`, expected one of `{listed}`"))
            }
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("`{field}` is missing"))
    }
}

/// Names from before version 0.2 that scripts may still use: the old one, the new one, and what to write now.
const RENAMED: [(&str, &str, &str); 4] = [
    ("session", "fresh", "`session = \"fresh\"` is now `fresh = true`"),
    ("text", "format", "`text` is now `format`"),
    ("on_turn_start", "before_prompt", "`on_turn_start` is now `before_prompt`"),
    ("on_answer", "after_answer", "`on_answer` is now `after_answer`"),
];

/// What to write instead of this former name, if its new name is among the valid ones.
pub fn renamed(name: &str, valid: &[&str]) -> Option<String> {
    let (.., now) = RENAMED.iter().find(|(old, new, _)| *old == name && valid.contains(new))?;
    Some((*now).to_owned())
}

fn found_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(b) => format!("`{b}`"),
        Unexpected::Float(n) => format!("the number {n}"),
        Unexpected::Str(text) => shown(text),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Unit => "a function".to_owned(),
        other => other.to_string(),
    }
}

impl fmt::Display for Data {
    /// Worded for "expected …, found …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&found_words(self.unexpected()))
    }
}

/// A message that may contain a script's own values, made fit for one line of a log or a terminal.
pub fn one_line(text: String) -> String {
    const MAX: usize = 1000;
    let text = cut(text, MAX);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The text, cut after at most `max` bytes.
pub fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The text in quotes, cut if it is long.
pub fn shown(text: &str) -> String {
    const MAX: usize = 60;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Data {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Data {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Bool(b) => visitor.visit_bool(b),
            Self::Number(n) => visitor.visit_f64(n),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Map(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
            Self::Empty => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(String, Self)>())),
            // Decodes to `Function`; the visitors of all other types refuse it.
            Self::Function => visitor.visit_unit(),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Empty => visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Self>())),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            // serde would accept a list as the fields in order of declaration.
            Self::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &"a table with keys")),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            other => Err(de::Error::invalid_type(other.unexpected(), &"a string")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map identifier ignored_any
    }
}

/// What a Lua value is, worded for "expected …, found …".
pub fn kind(value: &mlua::Value) -> String {
    match value {
        mlua::Nil => "nothing".to_owned(),
        mlua::Value::Boolean(b) => format!("`{b}`"),
        mlua::Value::Integer(n) => format!("the number {n}"),
        mlua::Value::Number(n) => format!("the number {n}"),
        mlua::Value::String(text) => shown(&text.to_string_lossy()),
        other => format!("a {}", other.type_name()),
    }
}
