//! Forms: what a person fills in over the channel after a press, and what comes back.
//!
//! A form has text fields only. Discord has other kinds, but serenity 0.12 reads a submission of those as one without fields
//! (see "the gateway" in ARCHITECTURE.md); a choice is made from the menus and buttons of a message.
//!
//! The limits are those of Discord's published description of its API (`TextInputComponentForModalRequest` in
//! <https://github.com/discord/discord-api-spec>) and of <https://docs.discord.com/developers/components/reference>.
//! Lengths are counted in UTF-16: no way of counting finds more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The most characters of an id that the bot gives: of a form or a field.
const LONGEST_ID: usize = 100;
/// The most characters of a form's title.
const LONGEST_TITLE: usize = 45;
/// The most fields in a form.
pub const MOST_FIELDS: usize = 5;
/// The most characters of a field's label.
pub const LONGEST_LABEL: usize = 45;
/// The most characters of what a field shows while it is empty.
pub const LONGEST_PLACEHOLDER: usize = 100;
/// The most characters that a field can hold.
const LONGEST_INPUT: usize = 4000;

/// A form that opens as the answer to a press or a command.
///
/// Whoever it opens for may close it without a word to anybody, so nothing may wait for it to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// How the bot recognizes it: 1 to 100 characters.
    pub custom_id: String,
    /// 1 to 45 characters.
    pub title: String,
    /// 1 to 5, in this order.
    pub fields: Vec<FormField>,
}

/// A text to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// How the bot recognizes it: 1 to 100 characters, unique within the form.
    pub id: String,
    /// 1 to 45 characters.
    pub label: String,
    /// Whether Discord insists on it.
    pub required: bool,
    /// Whether it has room for several lines.
    pub long: bool,
    /// What it shows while it is empty: at most 100 characters.
    pub placeholder: Option<String>,
    /// What stands in it at first: at most 4000 characters, empty for nothing.
    pub value: String,
}

/// What a person has filled in, by the field's id; empty where nothing was typed.
pub type FormValues = BTreeMap<String, String>;

/// Discord would not take the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormMisfit {
    /// Something is too long, too short, too many or too few.
    #[error("{what}: {found}, but Discord takes {least} to {most}")]
    Size {
        /// What it is.
        what: String,
        /// Its size.
        found: usize,
        /// The least that Discord takes.
        least: usize,
        /// The most that Discord takes.
        most: usize,
    },
    /// Two have the same id.
    #[error("the id of a field: `{0}` is there twice")]
    Twice(String),
}

impl Form {
    /// Whether Discord takes it.
    ///
    /// # Errors
    /// The first thing that does not fit, so that whoever asks can ask in another way.
    pub fn check(&self) -> Result<(), FormMisfit> {
        text("the form's id", &self.custom_id, 1..=LONGEST_ID)?;
        text("the title", &self.title, 1..=LONGEST_TITLE)?;
        size("the fields of the form", self.fields.len(), 1..=MOST_FIELDS)?;
        let mut seen = BTreeSet::new();
        for FormField { id, label, placeholder, value, .. } in &self.fields {
            let of = |what: &str| format!("{what} of the field `{id}`");
            text("a field's id", id, 1..=LONGEST_ID)?;
            text(&of("the label"), label, 1..=LONGEST_LABEL)?;
            text(
                &of("the placeholder"),
                placeholder.as_deref().unwrap_or_default(),
                0..=LONGEST_PLACEHOLDER,
            )?;
            text(&of("the first value"), value, 0..=LONGEST_INPUT)?;
            if !seen.insert(id) {
                return Err(FormMisfit::Twice(id.clone()));
            }
        }
        Ok(())
    }
}

fn text(what: &str, text: &str, length: RangeInclusive<usize>) -> Result<(), FormMisfit> {
    size(&format!("the characters of {what}"), text.encode_utf16().count(), length)
}

fn size(what: &str, found: usize, fits: RangeInclusive<usize>) -> Result<(), FormMisfit> {
    let (least, most) = fits.into_inner();
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(FormMisfit::Size { what: what.to_owned(), found, least, most })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn field(id: &str) -> FormField {
        FormField {
            id: id.to_owned(),
            label: format!("Label of {id}"),
            required: true,
            long: false,
            placeholder: None,
            value: String::new(),
        }
    }

    /// Two fields, of which one is long and has something in it.
    pub(crate) fn form() -> Form {
        let why = FormField {
            long: true,
            required: false,
            placeholder: Some("…".into()),
            value: "so".into(),
            ..field("why")
        };
        Form { custom_id: "form:1".into(), title: "Questions".into(), fields: vec![field("what"), why] }
    }

    #[test]
    fn what_fits_fits_and_what_does_not_is_named() {
        assert_eq!(form().check(), Ok(()));
        let with = |change: fn(&mut Form)| {
            let mut form = form();
            change(&mut form);
            form.check().unwrap_err().to_string()
        };
        let told = [
            with(|form| form.custom_id.clear()),
            with(|form| form.title = "x".repeat(46)),
            with(|form| form.fields.clear()),
            with(|form| form.fields.extend((0..4).map(|n| field(&n.to_string())))),
            with(|form| form.fields[0] = form.fields[1].clone()),
            with(|form| form.fields[0].id.clear()),
            // A letter outside the basic plane counts as two.
            with(|form| form.fields[0].label = "𝕊".repeat(23)),
            with(|form| form.fields[0].placeholder = Some("x".repeat(101))),
            with(|form| form.fields[0].value = "x".repeat(4001)),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        the characters of the form's id: 0, but Discord takes 1 to 100
        the characters of the title: 46, but Discord takes 1 to 45
        the fields of the form: 0, but Discord takes 1 to 5
        the fields of the form: 6, but Discord takes 1 to 5
        the id of a field: `why` is there twice
        the characters of a field's id: 0, but Discord takes 1 to 100
        the characters of the label of the field `what`: 46, but Discord takes 1 to 45
        the characters of the placeholder of the field `what`: 101, but Discord takes 0 to 100
        the characters of the first value of the field `what`: 4001, but Discord takes 0 to 4000
        ");
    }
}
