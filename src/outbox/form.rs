//! Forms as Discord's JSON; Discord calls them modals.
//!
//! See <https://docs.discord.com/developers/components/reference>. Each field stands in a row, the older of the two ways that
//! Discord takes: of the newer one, a label around each field, serenity reads no field when it comes back.

use serde_json::{Value, json};

use super::interaction::given;
use crate::domain::{Form, FormField};

/// The types of components.
const ROW: u8 = 1;
const TEXT_INPUT: u8 = 4;

/// The form, as the data of a callback.
pub(super) fn modal(form: &Form) -> Value {
    let rows: Vec<Value> =
        form.fields.iter().map(|field| json!({"type": ROW, "components": [text_input(field)]})).collect();
    json!({"custom_id": form.custom_id, "title": form.title, "components": rows})
}

fn text_input(FormField { id, label, required, long, placeholder, value }: &FormField) -> Value {
    given(json!({
        "type": TEXT_INPUT,
        "custom_id": id,
        "label": label,
        "style": if *long { 2 } else { 1 },
        "required": required,
        "placeholder": placeholder,
        "value": (!value.is_empty()).then_some(value),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::form_tests::form;

    #[test]
    fn a_field_is_what_discord_describes() {
        assert_eq!(
            modal(&form()),
            json!({"custom_id": "form:1", "title": "Questions", "components": [
                {"type": 1, "components": [{"type": 4, "custom_id": "what", "label": "Label of what", "style": 1,
                    "required": true}]},
                {"type": 1, "components": [{"type": 4, "custom_id": "why", "label": "Label of why", "style": 2,
                    "required": false, "placeholder": "…", "value": "so"}]},
            ]})
        );
    }
}
