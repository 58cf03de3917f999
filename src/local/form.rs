//! An invalid form as Discord refuses it: code 50035 with every mistake at its place in the body.

use std::ops::RangeInclusive;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::rules::Refusal;

/// The mistakes of a form. A place is a dotted path, such as `0.options.2.name`.
///
/// The codes of the mistakes are those that bots have met and told of; Discord has published only the code 50035
/// and the nesting.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Value);

impl Mistakes {
    pub(super) fn add(&mut self, at: &str, code: &str, message: &str) {
        let mut place = &mut self.0;
        for step in at.split('.').filter(|step| !step.is_empty()) {
            place = &mut place[step];
        }
        let mistake = json!({ "code": code, "message": message });
        match &mut place["_errors"] {
            Value::Array(all) => all.push(mistake),
            none => *none = json!([mistake]),
        }
    }

    /// A refusal, if there is any mistake.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        if self.0.is_null() { Ok(()) } else { Err(self.into()) }
    }

    pub(super) fn required(&mut self, at: &str) {
        self.add(at, "BASE_TYPE_REQUIRED", "This field is required");
    }

    /// A text of so many characters. It must be there unless it may be empty.
    pub(super) fn text(&mut self, at: &str, value: &Value, length: RangeInclusive<usize>) {
        match value {
            Value::Null if *length.start() == 0 => {}
            Value::Null => self.required(at),
            Value::String(text) => self.length(at, text.chars().count(), length),
            _ => self.add(at, "STRING_TYPE_CONVERT", "Could not interpret the value as string."),
        }
    }

    /// A list of so many things, which is empty where it is missing or no list.
    pub(super) fn list<'a>(
        &mut self,
        at: &str,
        value: &'a Value,
        length: RangeInclusive<usize>,
    ) -> &'a [Value] {
        match value {
            Value::Null if *length.start() == 0 => &[],
            Value::Null => {
                self.required(at);
                &[]
            }
            Value::Array(list) => {
                self.length(at, list.len(), length);
                list
            }
            _ => {
                self.add(at, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
                &[]
            }
        }
    }

    pub(super) fn length(&mut self, at: &str, found: usize, length: RangeInclusive<usize>) {
        let (least, most) = (*length.start(), *length.end());
        if length.contains(&found) {
            return;
        }
        if least == 0 {
            self.add(at, "BASE_TYPE_MAX_LENGTH", &format!("Must be {most} or fewer in length."));
        } else {
            let message = format!("Must be between {least} and {most} in length.");
            self.add(at, "BASE_TYPE_BAD_LENGTH", &message);
        }
    }

    /// One of a few numbers.
    pub(super) fn one_of(&mut self, at: &str, value: &Value, known: &[u64]) {
        if value.is_null() {
            self.required(at);
        } else if !value.as_u64().is_some_and(|it| known.contains(&it)) {
            let known: Vec<String> = known.iter().map(u64::to_string).collect();
            let message = format!("Value must be one of {{{}}}.", known.join(", "));
            self.add(at, "BASE_TYPE_CHOICES", &message);
        }
    }
}

impl From<Mistakes> for Refusal {
    fn from(mistakes: Mistakes) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, 50035, "Invalid Form Body");
        Self { errors: Some(mistakes.0), ..refusal }
    }
}

/// The places of those that have been there before.
pub(super) fn repeated<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<usize> {
    let mut seen = Vec::new();
    let mut again = Vec::new();
    for (place, value) in values.enumerate() {
        if !value.is_null() && seen.contains(&value) {
            again.push(place);
        }
        seen.push(value);
    }
    again
}
