//! Forms, which Discord calls modals: what Discord takes as one, and how a person fills it in and submits it.
//!
//! See <https://docs.discord.com/developers/components/reference> and `ModalInteractionCallbackRequestData` in Discord's
//! published OpenAPI description. That one allows 40 components in all; at the top there may be 5.
//!
//! A person may close a form without anybody hearing of it. So an open one is nothing but the note that its interaction was
//! answered by it, until it is submitted.

use serde_json::{Map, Value, json};

use super::form::{Mistakes, repeated};
use super::interactions::{Interaction, Kind, Refused};
use super::layout::{STRING_SELECT, check_options, check_string_select};
use super::world::{Id, World};
use super::{LocalDiscord, State};

const ROW: u64 = 1;
const TEXT_INPUT: u64 = 4;
const TEXT_DISPLAY: u64 = 10;
const LABEL: u64 = 18;
const RADIO_GROUP: u64 = 21;
const CHECKBOX_GROUP: u64 = 22;
const CHECKBOX: u64 = 23;

/// The most characters that a text input holds.
const LONGEST_INPUT: u64 = 4000;

/// What Discord refuses about the data of a callback that opens a form.
pub(super) fn check_modal(data: &Value, mistakes: &mut Mistakes) {
    mistakes.text("data.custom_id", &data["custom_id"], 1..=100);
    mistakes.text("data.title", &data["title"], 1..=45);
    let items = mistakes.list("data.components", &data["components"], 1..=5);
    let mut ids = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let at = format!("data.components.{place}");
        match item["type"].as_u64() {
            Some(TEXT_DISPLAY) => mistakes.text(&format!("{at}.content"), &item["content"], 1..=4000),
            Some(ROW) => {
                let fields = mistakes.list(&format!("{at}.components"), &item["components"], 1..=1);
                for field in fields {
                    let at = format!("{at}.components.0");
                    mistakes.one_of(&format!("{at}.type"), &field["type"], &[TEXT_INPUT]);
                    mistakes.text(&format!("{at}.label"), &field["label"], 1..=45);
                    mistakes.text(&format!("{at}.custom_id"), &field["custom_id"], 1..=100);
                    check_text_input(&at, field, mistakes);
                    ids.push((at, &field["custom_id"]));
                }
            }
            Some(LABEL) => {
                mistakes.text(&format!("{at}.label"), &item["label"], 1..=45);
                if !item["description"].is_null() {
                    mistakes.text(&format!("{at}.description"), &item["description"], 1..=100);
                }
                let at = format!("{at}.component");
                check_field(&at, &item["component"], mistakes);
                ids.push((at, &item["component"]["custom_id"]));
            }
            _ => mistakes.one_of(&format!("{at}.type"), &item["type"], &[ROW, TEXT_DISPLAY, LABEL]),
        }
    }
    for place in repeated(ids.iter().map(|(_, id)| *id)) {
        let message = "Component custom id cannot be duplicated";
        mistakes.add(&format!("{}.custom_id", ids[place].0), "COMPONENT_CUSTOM_ID_DUPLICATED", message);
    }
}

fn check_field(at: &str, field: &Value, mistakes: &mut Mistakes) {
    if !field.is_object() {
        return mistakes.required(at);
    }
    mistakes.text(&format!("{at}.custom_id"), &field["custom_id"], 1..=100);
    match field["type"].as_u64() {
        Some(TEXT_INPUT) => {
            check_text_input(at, field, mistakes);
            if !field["label"].is_null() {
                let message = "A text input inside a label has no label of its own.";
                mistakes.add(&format!("{at}.label"), "BASE_TYPE_CHOICES", message);
            }
        }
        Some(STRING_SELECT) => check_string_select(at, field, mistakes),
        Some(RADIO_GROUP) => check_options(at, field, 2..=10, mistakes),
        Some(CHECKBOX_GROUP) => {
            check_options(at, field, 1..=10, mistakes);
            let options = field["options"].as_array().map_or(0, Vec::len) as u64;
            within(&format!("{at}.max_values"), &field["max_values"], 1..=options.min(10), mistakes);
            let most = field["max_values"].as_u64().unwrap_or(options);
            within(&format!("{at}.min_values"), &field["min_values"], 0..=most, mistakes);
        }
        Some(CHECKBOX) => {}
        _ => {
            let known = [STRING_SELECT, TEXT_INPUT, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX];
            mistakes.one_of(&format!("{at}.type"), &field["type"], &known);
        }
    }
    // A group that requires a choice and allows none.
    if field["min_values"] == 0 && is_required(field) {
        let message = "min_values must be at least 1 if the component is required.";
        mistakes.add(&format!("{at}.min_values"), "NUMBER_TYPE_MIN", message);
    }
}

fn check_text_input(at: &str, field: &Value, mistakes: &mut Mistakes) {
    mistakes.one_of(&format!("{at}.style"), &field["style"], &[1, 2]);
    within(&format!("{at}.max_length"), &field["max_length"], 1..=LONGEST_INPUT, mistakes);
    let most = field["max_length"].as_u64().unwrap_or(LONGEST_INPUT).min(LONGEST_INPUT);
    within(&format!("{at}.min_length"), &field["min_length"], 0..=most, mistakes);
    mistakes.text(&format!("{at}.placeholder"), &field["placeholder"], 0..=100);
    mistakes.text(&format!("{at}.value"), &field["value"], 0..=most as usize);
}

fn within(at: &str, value: &Value, fits: std::ops::RangeInclusive<u64>, mistakes: &mut Mistakes) {
    if value.is_null() || value.as_u64().is_some_and(|number| fits.contains(&number)) {
        return;
    }
    let message = format!("int value should be between {} and {}.", fits.start(), fits.end());
    mistakes.add(at, "NUMBER_TYPE_MAX", &message);
}

fn is_required(field: &Value) -> bool {
    field["required"] != false
}

/// A form's components as Discord returns them: numbered.
pub(super) fn numbered(mut form: Value) -> Value {
    let mut count = 0;
    let mut number = |component: &mut Value| {
        count += 1;
        if let Some(fields) = component.as_object_mut() {
            fields.entry("id").or_insert_with(|| count.into());
        }
    };
    for item in form["components"].as_array_mut().into_iter().flatten() {
        number(item);
        if item["type"] == LABEL {
            number(&mut item["component"]);
        }
        item["components"].as_array_mut().into_iter().flatten().for_each(&mut number);
    }
    form
}

/// The field in one item of a form, and its label; `None` for an item that is only read.
pub fn field_in(item: &Value) -> Option<(&Value, &str)> {
    let (field, label) = match item["type"].as_u64()? {
        LABEL => (&item["component"], &item["label"]),
        ROW => (&item["components"][0], &item["components"][0]["label"]),
        _ => return None,
    };
    Some((field, label.as_str().unwrap_or_default()))
}

/// What goes into a field that a person leaves as it is.
fn untouched(field: &Value) -> Value {
    let options = field["options"].as_array().into_iter().flatten();
    let mut chosen = options.filter(|option| option["default"] == true).map(|option| option["value"].clone());
    match field["type"].as_u64() {
        Some(TEXT_INPUT) => field["value"].as_str().unwrap_or_default().into(),
        Some(RADIO_GROUP) => chosen.next().unwrap_or_default(),
        Some(CHECKBOX) => (field["default"] == true).into(),
        _ => chosen.collect(),
    }
}

/// Whether Discord's client lets this go in a field, which is given with its label; without a value it is left as it is.
///
/// # Errors
/// What is wrong, for the person.
pub fn check_filled(item: &Value, value: Option<&Value>) -> Result<(), Refused> {
    let Some((field, name)) = field_in(item) else { return Ok(()) };
    match value {
        Some(value) => check_value(name, field, value),
        None => check_value(name, field, &untouched(field)),
    }
}

/// The same; `name` is what the person reads at the field.
fn check_value(name: &str, field: &Value, value: &Value) -> Result<(), Refused> {
    let refused = |why: &str| Err(Refused::new(format!("“{name}” {why}")));
    let is_offered = |value: &Value| {
        field["options"].as_array().into_iter().flatten().any(|option| option["value"] == *value)
    };
    match field["type"].as_u64() {
        Some(TEXT_INPUT) => {
            let Some(text) = value.as_str() else { return refused("needs a text") };
            let found = text.chars().count() as u64;
            let least = field["min_length"].as_u64().unwrap_or(0);
            let most = field["max_length"].as_u64().unwrap_or(LONGEST_INPUT);
            match found {
                0 if is_required(field) => refused("is required"),
                0 => Ok(()),
                _ if found < least => refused(&format!("needs {least} characters or more, not {found}")),
                _ if found > most => refused(&format!("takes {most} characters at most, not {found}")),
                _ if field["style"] == 1 && text.contains('\n') => refused("takes one line"),
                _ => Ok(()),
            }
        }
        Some(RADIO_GROUP) => match value {
            Value::Null if is_required(field) => refused("is required"),
            Value::Null => Ok(()),
            value if is_offered(value) => Ok(()),
            _ => refused("needs one of its options"),
        },
        Some(CHECKBOX) => {
            if value.is_boolean() {
                Ok(())
            } else {
                refused("needs yes or no")
            }
        }
        kind => {
            let Some(chosen) = value.as_array() else { return refused("needs a list of its options") };
            if !chosen.iter().all(is_offered) {
                return refused("needs some of its options");
            }
            if !repeated(chosen.iter()).is_empty() {
                return refused("takes each of its options once");
            }
            let options = field["options"].as_array().map_or(0, Vec::len) as u64;
            let all = if kind == Some(CHECKBOX_GROUP) { options } else { 1 };
            let least = field["min_values"].as_u64().unwrap_or(1);
            let most = field["max_values"].as_u64().unwrap_or(all);
            match chosen.len() as u64 {
                0 if is_required(field) => refused("is required"),
                0 => Ok(()),
                found if (least..=most).contains(&found) => Ok(()),
                _ if least == most => refused(&format!("takes {most} of its options")),
                _ => refused(&format!("takes {least} to {most} of its options")),
            }
        }
    }
}

/// What Discord sends of a form that was filled in like this, by the fields' ids.
pub(super) fn submission(form: &Value, values: &Map<String, Value>) -> Result<Value, Refused> {
    let mut used = 0;
    let mut components = Vec::new();
    for item in form["components"].as_array().into_iter().flatten() {
        let mut sent = json!({ "type": item["type"], "id": item["id"] });
        if let Some((field, _)) = field_in(item) {
            let id = field["custom_id"].as_str().unwrap_or_default();
            let value = match values.get(id) {
                Some(value) => {
                    used += 1;
                    value.clone()
                }
                None => untouched(field),
            };
            check_filled(item, Some(&value))?;
            let key = if value.is_array() { "values" } else { "value" };
            let filled = json!({ "type": field["type"], "id": field["id"], "custom_id": id, key: value });
            match item["type"].as_u64() {
                Some(LABEL) => sent["component"] = filled,
                _ => sent["components"] = json!([filled]),
            }
        }
        components.push(sent);
    }
    if used < values.len() {
        return Err(Refused::new("the form has no such field"));
    }
    Ok(json!({ "custom_id": form["custom_id"], "components": components }))
}

impl LocalDiscord {
    /// The form that has opened in answer to an interaction, with its components as Discord numbers them; `None` once it
    /// is submitted.
    pub fn open_form(&self, interaction: Id) -> Option<Value> {
        self.hub().lock().world.open_form(interaction).cloned()
    }

    /// Waits until a form has opened in answer to an interaction.
    pub async fn form(&self, interaction: Id) -> Value {
        self.wait_until(|local| local.open_form(interaction)).await
    }

    /// A form that an earlier bot has opened for somebody in this channel, and that is still on their screen. What it is the
    /// answer to, for [`LocalDiscord::submit`].
    pub fn left_open(&self, channel: Id, user: Id, form: Value) -> Id {
        self.hub().change(|state| {
            let id = state.begin(Kind::Command, channel, user, "", 0, None);
            if let Some(interaction) = state.world.interactions.get_mut(&id) {
                interaction.form = Some(numbered(form));
            }
            id
        })
    }

    /// Somebody submits the form that has opened in answer to their interaction. The values go by the fields' ids: texts,
    /// the value of an option or null for a radio group, lists of values for checkboxes and menus. Where there is none,
    /// the field is left as it was. The submission's id, which is an interaction too.
    ///
    /// # Errors
    /// Where Discord's client would not let it go; the form stays open, and the bot hears nothing of it then.
    pub fn submit(&self, interaction: Id, values: &[(&str, Value)]) -> Result<Id, Refused> {
        let values = values.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect();
        self.hub().change(|state| state.submit(interaction, &values))
    }
}

impl World {
    pub(super) fn open_form(&self, interaction: Id) -> Option<&Value> {
        self.interactions.get(&interaction)?.form.as_ref()
    }
}

impl State {
    /// Somebody submits the form that has opened in answer to an interaction.
    pub(super) fn submit(&mut self, opened: Id, values: &Map<String, Value>) -> Result<Id, Refused> {
        let form = self.world.open_form(opened).ok_or_else(|| Refused::new("no form is open"))?;
        let data = submission(form, values)?;
        let Some(opened) = self.world.interactions.get_mut(&opened) else {
            return Err(Refused::new("no form is open"));
        };
        opened.form = None;
        let Interaction { id, channel, user, message, .. } = *opened;
        let submitted = self.interact(Kind::Form, channel, user, "", 0, message, data);
        if let Some(submitted) = self.world.interactions.get_mut(&submitted) {
            submitted.opened_by = Some(id);
        }
        Ok(submitted)
    }
}
