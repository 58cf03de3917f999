//! Forms as Discord's JSON; Discord calls them modals.
//!
//! See <https://docs.discord.com/developers/components/reference>.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::interaction::{given, option};
use crate::domain::{FieldKind, Form, FormField, FormItem, SelectOption, TextField};

/// The types of components.
const SELECT: u8 = 3;
const TEXT_INPUT: u8 = 4;
const TEXT_DISPLAY: u8 = 10;
const LABEL: u8 = 18;
const RADIO_GROUP: u8 = 21;
const CHECKBOX_GROUP: u8 = 22;

/// The form, as the data of a callback.
pub(super) fn modal(form: &Form) -> Value {
    let items = form.items.iter().map(|item| match item {
        FormItem::Note(text) => json!({"type": TEXT_DISPLAY, "content": text}),
        FormItem::Field(field) => label(field),
    });
    json!({"custom_id": form.custom_id, "title": form.title, "components": items.collect::<Vec<_>>()})
}

fn label(field: &FormField) -> Value {
    let mut component = match &field.kind {
        FieldKind::Text(text) => text_input(text),
        FieldKind::Radio(list) => json!({"type": RADIO_GROUP, "options": options(list)}),
        FieldKind::Checkboxes { options: list, count } => {
            let mut group = choice(list, count);
            group["type"] = CHECKBOX_GROUP.into();
            group
        }
        FieldKind::Menu { placeholder, options: list, count } => {
            let mut menu = choice(list, count);
            menu["type"] = SELECT.into();
            menu["placeholder"] = json!(placeholder);
            given(menu)
        }
    };
    component["custom_id"] = json!(field.id);
    component["required"] = json!(field.required);
    given(
        json!({"type": LABEL, "label": field.label, "description": field.description, "component": component}),
    )
}

/// Discord refuses a least number of 0 in a required field; where a field is not required, nothing may be chosen anyway.
fn choice(list: &[SelectOption], count: &RangeInclusive<usize>) -> Value {
    json!({"options": options(list), "min_values": (*count.start()).max(1), "max_values": count.end()})
}

fn options(options: &[SelectOption]) -> Vec<Value> {
    options.iter().map(option).collect()
}

fn text_input(text: &TextField) -> Value {
    let TextField { long, length, placeholder, value } = text;
    given(json!({
        "type": TEXT_INPUT,
        "style": if *long { 2 } else { 1 },
        "min_length": length.start(),
        "max_length": length.end(),
        "placeholder": placeholder,
        "value": (!value.is_empty()).then_some(value),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::form_tests::form;

    #[test]
    fn each_kind_of_field_is_what_discord_describes() {
        let mut form = form();
        let FormItem::Field(other) = &mut form.items[4] else { panic!() };
        other.description = Some("In your own words".into());
        let FieldKind::Text(text) = &mut other.kind else { panic!() };
        (text.value, text.placeholder, text.length) = ("so".into(), Some("…".into()), 2..=300);
        let several = json!([{"label": "Unit", "value": "0", "default": false},
            {"label": "Whole bot", "value": "1", "default": false}, {"label": "Law", "value": "2", "default": false}]);
        let label = |name: &str, component: Value| json!({"type": 18, "label": format!("Label of {name}"), "component": component});
        let mut last = label(
            "other",
            json!({"type": 4, "style": 2, "custom_id": "other", "required": false, "min_length": 2,
                "max_length": 300, "placeholder": "…", "value": "so"}),
        );
        last["description"] = "In your own words".into();
        assert_eq!(
            modal(&form),
            json!({"custom_id": "form:1", "title": "Questions", "components": [
                {"type": 10, "content": "Answer **all** of it."},
                label("library", json!({"type": 21, "custom_id": "library", "required": true, "options": [
                    {"label": "serde", "value": "0", "default": false},
                    {"label": "facet", "value": "1", "default": false}]})),
                label("tests", json!({"type": 22, "custom_id": "tests", "required": false, "min_values": 1,
                    "max_values": 3, "options": several})),
                label("place", json!({"type": 3, "custom_id": "place", "required": true, "min_values": 1,
                    "max_values": 1, "placeholder": "Where?", "options": several})),
                last,
            ]})
        );
    }
}
