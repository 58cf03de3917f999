//! Forms: what a person fills in over the channel after a press, and what comes back.
//!
//! The limits are those of Discord's published description of its API (`LabelComponentForModalRequest` and its siblings in
//! <https://github.com/discord/discord-api-spec>) and of <https://docs.discord.com/developers/components/reference>.
//! Lengths are counted in UTF-16: no way of counting finds more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::SelectOption;

/// The most characters of an id that the bot gives: of a form, a field, or the value of an option.
const LONGEST_ID: usize = 100;
/// The most characters of a form's title.
const LONGEST_TITLE: usize = 45;
/// The most fields and texts in a form. The API's description has 40, which is for all components together; the client and
/// the documentation allow 5.
pub const MOST_ITEMS: usize = 5;
/// The most characters of a text between fields.
const LONGEST_NOTE: usize = 4000;
/// The most characters of a field's label.
pub const LONGEST_LABEL: usize = 45;
/// The most characters of what stands below a label.
pub const LONGEST_DESCRIPTION: usize = 100;
/// The most characters of what a text field shows while it is empty.
const LONGEST_TEXT_PLACEHOLDER: usize = 100;
/// The most characters that a text field can hold.
pub const LONGEST_INPUT: usize = 4000;
/// How many options a radio group has.
const RADIO_OPTIONS: RangeInclusive<usize> = 2..=10;
/// How many options a checkbox group has.
const CHECKBOX_OPTIONS: RangeInclusive<usize> = 1..=10;
/// How many entries a menu has.
const MENU_OPTIONS: RangeInclusive<usize> = 1..=25;
/// The most characters of an option's label, and of its description.
pub const LONGEST_OPTION: usize = 100;
/// The most characters of what a menu shows while nothing is chosen.
const LONGEST_MENU_PLACEHOLDER: usize = 150;

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
    pub items: Vec<FormItem>,
}

/// One thing in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormItem {
    /// Something to read: 1 to 4000 characters of Markdown.
    Note(String),
    /// Something to fill in.
    Field(FormField),
}

/// Something to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// How the bot recognizes it: 1 to 100 characters, unique within the form.
    pub id: String,
    /// 1 to 45 characters.
    pub label: String,
    /// Below the label: at most 100 characters.
    pub description: Option<String>,
    /// Whether Discord insists on it.
    pub required: bool,
    /// What it takes.
    pub kind: FieldKind,
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// A text.
    Text(TextField),
    /// One of 2 to 10 options.
    Radio(Vec<SelectOption>),
    /// Several of 1 to 10 options.
    Checkboxes {
        /// The options.
        options: Vec<SelectOption>,
        /// How many may be chosen, where any is.
        count: RangeInclusive<usize>,
    },
    /// Several of 1 to 25 entries of a menu.
    Menu {
        /// What it shows while nothing is chosen: at most 150 characters.
        placeholder: Option<String>,
        /// The entries.
        options: Vec<SelectOption>,
        /// How many may be chosen, where any is.
        count: RangeInclusive<usize>,
    },
}

/// A field for text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextField {
    /// Whether it has room for several lines.
    pub long: bool,
    /// How many characters it takes, where there are any: at most 4000.
    pub length: RangeInclusive<usize>,
    /// What it shows while it is empty: at most 100 characters.
    pub placeholder: Option<String>,
    /// What stands in it at first; empty for nothing.
    pub value: String,
}

impl TextField {
    /// One line.
    pub fn line() -> Self {
        Self { long: false, length: 0..=LONGEST_INPUT, placeholder: None, value: String::new() }
    }

    /// Several lines.
    pub fn paragraph() -> Self {
        Self { long: true, ..Self::line() }
    }
}

/// What a person has filled in, by the field's id. Fields of a kind that the bot does not know are missing.
pub type FormValues = BTreeMap<String, FieldValue>;

/// What a person has put into a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A text; empty if nothing was typed.
    Text(String),
    /// The value of the option that was chosen, if any was.
    One(Option<String>),
    /// The values of all that were chosen.
    Several(Vec<String>),
}

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
    /// Two have the same id or value.
    #[error("{what} is there twice")]
    Twice {
        /// What it is.
        what: String,
    },
}

impl Form {
    /// Whether Discord takes it.
    ///
    /// # Errors
    /// The first thing that does not fit, so that whoever asks can ask in another way.
    pub fn check(&self) -> Result<(), FormMisfit> {
        text("the form's id", &self.custom_id, 1..=LONGEST_ID)?;
        text("the title", &self.title, 1..=LONGEST_TITLE)?;
        size("the items of the form", self.items.len(), 1..=MOST_ITEMS)?;
        for item in &self.items {
            match item {
                FormItem::Note(note) => text("a text between the fields", note, 1..=LONGEST_NOTE)?,
                FormItem::Field(field) => field.check()?,
            }
        }
        unique("the id of a field", self.fields().map(|field| &*field.id))
    }

    /// Its fields, without what is only to be read.
    pub fn fields(&self) -> impl Iterator<Item = &FormField> {
        self.items.iter().filter_map(|item| match item {
            FormItem::Field(field) => Some(field),
            FormItem::Note(_) => None,
        })
    }
}

impl FormField {
    fn check(&self) -> Result<(), FormMisfit> {
        let Self { id, label, description, kind, .. } = self;
        let of = |what: &str| format!("{what} of the field `{id}`");
        text("a field's id", id, 1..=LONGEST_ID)?;
        text(&of("the label"), label, 1..=LONGEST_LABEL)?;
        if let Some(description) = description {
            text(&of("the description"), description, 1..=LONGEST_DESCRIPTION)?;
        }
        match kind {
            FieldKind::Text(TextField { length, placeholder, value, .. }) => {
                let placeholder = placeholder.as_deref().unwrap_or_default();
                text(&of("the placeholder"), placeholder, 0..=LONGEST_TEXT_PLACEHOLDER)?;
                size(&of("the greatest length"), *length.end(), 1..=LONGEST_INPUT)?;
                size(&of("the least length"), *length.start(), 0..=*length.end())?;
                if value.is_empty() { Ok(()) } else { text(&of("the first value"), value, length.clone()) }
            }
            FieldKind::Radio(options) => choices(&of, options, RADIO_OPTIONS, &(1..=1)),
            FieldKind::Checkboxes { options, count } => choices(&of, options, CHECKBOX_OPTIONS, count),
            FieldKind::Menu { placeholder, options, count } => {
                let placeholder = placeholder.as_deref().unwrap_or_default();
                text(&of("the placeholder"), placeholder, 0..=LONGEST_MENU_PLACEHOLDER)?;
                choices(&of, options, MENU_OPTIONS, count)
            }
        }
    }
}

fn choices(
    of: &dyn Fn(&str) -> String,
    options: &[SelectOption],
    how_many: RangeInclusive<usize>,
    count: &RangeInclusive<usize>,
) -> Result<(), FormMisfit> {
    size(&of("the options"), options.len(), how_many)?;
    for option in options {
        text(&of("the label of an option"), &option.label, 1..=LONGEST_OPTION)?;
        text(&of("the value of an option"), &option.value, 1..=LONGEST_ID)?;
        let description = option.description.as_deref().unwrap_or_default();
        text(&of("the description of an option"), description, 0..=LONGEST_OPTION)?;
    }
    size(&of("the most to choose"), *count.end(), 1..=options.len())?;
    size(&of("the least to choose"), *count.start(), 0..=*count.end())?;
    let chosen = options.iter().filter(|option| option.chosen).count();
    size(&of("what is chosen at first"), chosen, 0..=*count.end())?;
    unique(&of("the value of an option"), options.iter().map(|option| &*option.value))
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

fn unique<'a>(what: &str, mut ids: impl Iterator<Item = &'a str>) -> Result<(), FormMisfit> {
    let mut seen = BTreeSet::new();
    match ids.find(|id| !seen.insert(*id)) {
        Some(id) => Err(FormMisfit::Twice { what: format!("{what}: `{id}`") }),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Options with these labels, whose values are their numbers.
    pub(crate) fn options(labels: &[&str]) -> Vec<SelectOption> {
        let option = |(n, label): (usize, &&str)| SelectOption {
            label: (*label).to_owned(),
            value: n.to_string(),
            description: None,
            chosen: false,
        };
        labels.iter().enumerate().map(option).collect()
    }

    pub(crate) fn field(id: &str, required: bool, kind: FieldKind) -> FormField {
        FormField { id: id.to_owned(), label: format!("Label of {id}"), description: None, required, kind }
    }

    /// One of each kind: the most that fits.
    pub(crate) fn form() -> Form {
        let several = options(&["Unit", "Whole bot", "Law"]);
        Form {
            custom_id: "form:1".into(),
            title: "Questions".into(),
            items: vec![
                FormItem::Note("Answer **all** of it.".into()),
                FormItem::Field(field("library", true, FieldKind::Radio(options(&["serde", "facet"])))),
                FormItem::Field(field(
                    "tests",
                    false,
                    FieldKind::Checkboxes { options: several.clone(), count: 1..=3 },
                )),
                FormItem::Field(field(
                    "place",
                    true,
                    FieldKind::Menu { placeholder: Some("Where?".into()), options: several, count: 1..=1 },
                )),
                FormItem::Field(field("other", false, FieldKind::Text(TextField::paragraph()))),
            ],
        }
    }

    fn first_field(change: impl FnOnce(&mut FormField)) -> String {
        let mut form = form();
        let FormItem::Field(field) = &mut form.items[1] else { panic!() };
        change(field);
        form.check().unwrap_err().to_string()
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
            with(|form| form.items.clear()),
            with(|form| form.items.push(FormItem::Note("one too many".into()))),
            with(|form| form.items[0] = FormItem::Note(String::new())),
            with(|form| form.items[0] = form.items[1].clone()),
            first_field(|field| field.id.clear()),
            // A letter outside the basic plane counts as two.
            first_field(|field| field.label = "𝕊".repeat(23)),
            first_field(|field| field.description = Some(String::new())),
            first_field(|field| field.kind = FieldKind::Radio(options(&["one"]))),
            first_field(|field| field.kind = FieldKind::Radio(options(&["x"; 11]))),
            first_field(|field| field.kind = FieldKind::Radio(options(&["one", &"x".repeat(101)]))),
            first_field(|field| {
                let mut options = options(&["one", "two"]);
                options[1].value = "0".into();
                field.kind = FieldKind::Radio(options);
            }),
            first_field(|field| {
                let mut options = options(&["one", "two"]);
                options.iter_mut().for_each(|option| option.chosen = true);
                field.kind = FieldKind::Radio(options);
            }),
            first_field(|field| {
                field.kind = FieldKind::Checkboxes { options: options(&["one"]), count: 1..=2 };
            }),
            first_field(|field| {
                let options = options(&["x"; 26]);
                field.kind = FieldKind::Menu { placeholder: None, options, count: 1..=1 };
            }),
            first_field(|field| {
                field.kind = FieldKind::Text(TextField { length: 0..=4001, ..TextField::line() });
            }),
            first_field(|field| {
                let value = "ab".into();
                field.kind = FieldKind::Text(TextField { length: 3..=9, value, ..TextField::line() });
            }),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        the characters of the form's id: 0, but Discord takes 1 to 100
        the characters of the title: 46, but Discord takes 1 to 45
        the items of the form: 0, but Discord takes 1 to 5
        the items of the form: 6, but Discord takes 1 to 5
        the characters of a text between the fields: 0, but Discord takes 1 to 4000
        the id of a field: `library` is there twice
        the characters of a field's id: 0, but Discord takes 1 to 100
        the characters of the label of the field `library`: 46, but Discord takes 1 to 45
        the characters of the description of the field `library`: 0, but Discord takes 1 to 100
        the options of the field `library`: 1, but Discord takes 2 to 10
        the options of the field `library`: 11, but Discord takes 2 to 10
        the characters of the label of an option of the field `library`: 101, but Discord takes 1 to 100
        the value of an option of the field `library`: `0` is there twice
        what is chosen at first of the field `library`: 2, but Discord takes 0 to 1
        the most to choose of the field `library`: 2, but Discord takes 1 to 1
        the options of the field `library`: 26, but Discord takes 1 to 25
        the greatest length of the field `library`: 4001, but Discord takes 1 to 4000
        the characters of the first value of the field `library`: 2, but Discord takes 3 to 9
        ");
    }
}
