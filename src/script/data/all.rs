//! All problems of a value, not only the first.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::{BadValue, Data, read_code, segment};

/// How many problems of one value are reported.
const MOST: usize = 50;

/// Decodes a value and notes everything that does not fit: what is wrong is removed, and the rest is decoded again.
///
/// `None` if not enough is left.
pub fn decode_all<T: DeserializeOwned>(mut data: Data, problems: &mut Vec<BadValue>) -> Option<T> {
    let mut removed = LeftOut::default();
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize::<_, T>(data.clone()) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let shown = removed.shown(error.path());
        let problem = BadValue { path: shown.clone(), message: error.inner().0.clone() };
        if !removed.explains(&problem) && !problems.contains(&problem) {
            problems.push(problem);
        }
        if !removed.remove(&mut data, error.path(), shown) {
            return None;
        }
    }
    None
}

/// As [`decode_all`], for a Lua value that may hold functions. Each key is copied separately, so that one that cannot be copied
/// does not hide the others.
pub fn decode_all_lua<T: DeserializeOwned>(value: &mlua::Value, problems: &mut Vec<BadValue>) -> Option<T> {
    decode_all(read_all(value, problems)?, problems)
}

/// Copies a value, without the keys that cannot be copied.
pub fn read_all(value: &mlua::Value, problems: &mut Vec<BadValue>) -> Option<Data> {
    let whole = match (read_code(value), value) {
        (Ok(data), _) => return data,
        (Err(problem), mlua::Value::Table(table)) => (problem, table),
        (Err(problem), _) => {
            problems.push(problem);
            return None;
        }
    };
    let (problem, table) = whole;
    let mut fields = Vec::new();
    let mut found = Vec::new();
    for pair in table.pairs::<mlua::Value, mlua::Value>() {
        let Ok((mlua::Value::String(key), value)) = pair else { continue };
        let key = key.to_string_lossy();
        match read_code(&value) {
            Ok(Some(data)) => fields.push((key, data)),
            Ok(None) => {}
            Err(problem) => found.push(problem.under(&segment(&key))),
        }
    }
    // Otherwise it is the table itself that is wrong.
    if found.is_empty() {
        found.push(problem);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    problems.extend(found);
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Some(Data::Map(fields))
}

/// What has been removed from a value.
#[derive(Default)]
struct LeftOut {
    paths: Vec<String>,
    /// The indexes of removed items, by the path of their list: those after them have moved.
    items: HashMap<String, Vec<usize>>,
}

impl LeftOut {
    /// The path as it was before anything was removed.
    fn shown(&self, path: &Path) -> String {
        path.iter().fold(String::new(), |parent, part| {
            let part = match part {
                Segment::Seq { index } => format!("[{}]", self.place(&parent, *index) + 1),
                Segment::Map { key } => segment(key),
                Segment::Enum { variant } => segment(variant),
                Segment::Unknown => "?".to_owned(),
            };
            BadValue { path: part, message: String::new() }.under(&parent).path
        })
    }

    /// The original index of an item.
    fn place(&self, list: &str, index: usize) -> usize {
        let mut gone = self.items.get(list).cloned().unwrap_or_default();
        gone.sort_unstable();
        gone.into_iter().fold(index, |place, gone| if gone <= place { place + 1 } else { place })
    }

    /// Whether the value is missing only because it was removed.
    fn explains(&self, problem: &BadValue) -> bool {
        let missing = problem.message.strip_prefix('`').and_then(|rest| rest.strip_suffix("` is missing"));
        missing.is_some_and(|key| {
            let key = BadValue { path: segment(key), message: String::new() }.under(&problem.path).path;
            self.paths.contains(&key)
        })
    }

    /// Removes the value at this path, or the innermost one around it; false if that is the whole value.
    fn remove(&mut self, data: &mut Data, path: &Path, shown: String) -> bool {
        let mut parts: Vec<&Segment> = path.iter().collect();
        while let Some(last) = parts.pop() {
            let mut parent = Some(&mut *data);
            let mut parent_path = String::new();
            for part in &parts {
                let (inner, name) = match (parent, part) {
                    (Some(Data::Map(fields)), Segment::Map { key }) => (
                        fields.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
                        segment(key),
                    ),
                    (Some(Data::List(items)), Segment::Seq { index }) => {
                        let name = format!("[{}]", self.place(&parent_path, *index) + 1);
                        (items.get_mut(*index), name)
                    }
                    _ => (None, String::new()),
                };
                parent = inner;
                parent_path = BadValue { path: name, message: String::new() }.under(&parent_path).path;
            }
            match (parent, last) {
                (Some(Data::Map(fields)), Segment::Map { key }) => {
                    let before = fields.len();
                    fields.retain(|(name, _)| name != key);
                    if fields.len() < before {
                        self.paths.push(shown);
                        return true;
                    }
                }
                (Some(Data::List(items)), Segment::Seq { index }) if *index < items.len() => {
                    let place = self.place(&parent_path, *index);
                    items.remove(*index);
                    self.items.entry(parent_path).or_default().push(place);
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

/// What has been found to be wrong with a value.
#[derive(Debug, Default)]
pub struct Found(pub Vec<BadValue>);

impl Found {
    /// Notes a problem at this path.
    pub fn add(&mut self, path: &str, problem: BadValue) {
        self.0.push(problem.under(path));
    }

    /// The value at this path; if it has a problem, notes that and gives `instead`.
    pub fn or<T>(&mut self, instead: T, path: &str, result: Result<T, BadValue>) -> T {
        result.unwrap_or_else(|problem| {
            self.add(path, problem);
            instead
        })
    }

    /// The same for a value that may be absent.
    pub fn or_none<T>(&mut self, path: &str, result: Option<Result<T, BadValue>>) -> Option<T> {
        self.or(None, path, result.transpose())
    }

    /// Converts every item of a list; problems name the item.
    pub fn each<'a, T: 'a, U>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = &'a T>,
        convert: impl Fn(&'a T) -> Result<U, BadValue>,
    ) -> Vec<U> {
        let converted = (1..)
            .zip(items)
            .map(|(place, item)| self.or(None, &format!("{key}[{place}]"), convert(item).map(Some)));
        converted.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}
