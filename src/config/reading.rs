//! The file and the variables as a table, and the table as [`RawConfig`].

use std::path::Path;

use super::{ConfigError, FILE, RawConfig, values};
use crate::nearest::reword;

pub(super) fn read_file(root: &Path) -> Result<toml::Table, ConfigError> {
    let text = match std::fs::read_to_string(root.join(FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(ConfigError::new(FILE, format!("cannot be read: {e}"))),
    };
    text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map_or(FILE.to_owned(), |line| format!("{FILE}:{line}"));
        ConfigError::new(place, e.message().to_owned())
    })
}

/// Decodes the table. Whatever is wrong is noted and removed, so that the next mistake is found too.
pub(super) fn decode(table: &mut toml::Table, source: &str, mistakes: &mut Vec<ConfigError>) -> RawConfig {
    loop {
        let error = match serde_path_to_error::deserialize(toml::Value::Table(table.clone())) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let path = error.path().to_string();
        let place = if path == "." { source.to_owned() } else { format!("{source}: {path}") };
        mistakes.push(ConfigError::new(place, values::in_words(&reword(error.inner().message()))));
        if !take_out(table, &path) {
            return RawConfig::default();
        }
    }
}

/// Removes the value at `section.key`, or the section. Returns whether there was one.
fn take_out(table: &mut toml::Table, path: &str) -> bool {
    let (section, key) = path.split_once('.').unwrap_or((path, ""));
    // An element of a list: the whole list goes.
    let key = key.split(['[', '.']).next().unwrap_or_default();
    match table.get_mut(section).and_then(toml::Value::as_table_mut) {
        Some(inner) if !key.is_empty() => inner.remove(key).is_some(),
        _ => table.remove(section).is_some(),
    }
}

/// `MOONLANE_DISCORD__API_URL=x` sets `discord.api_url`; the value is TOML if it parses, else a string.
pub(super) fn set_override(table: &mut toml::Table, name: &str, value: &str) -> Result<(), ConfigError> {
    let path = name["MOONLANE_".len()..].to_lowercase();
    let mut keys: Vec<&str> = path.split("__").collect();
    let last = keys.pop().unwrap_or_default();
    let mut table = table;
    for key in keys {
        let entry = table.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = entry.as_table_mut().ok_or_else(|| {
            ConfigError::new(format!("environment variable {name}"), format!("`{key}` is not a section"))
        })?;
    }
    let parsed = format!("value = {value}").parse::<toml::Table>().ok();
    let typed = parsed.filter(|parsed| parsed.len() == 1).and_then(|mut parsed| parsed.remove("value"));
    table.insert(last.to_owned(), typed.unwrap_or_else(|| toml::Value::String(value.to_owned())));
    Ok(())
}
