//! A form, filled in line by line.

use serde_json::Value;

use super::Terminal;
use crate::local::{Id, check_filled, field_in};

/// The line that closes a form.
const CANCEL: &str = ".cancel";
/// The types of fields that are told apart here.
const TEXT_INPUT: u64 = 4;
const RADIO_GROUP: u64 = 21;

/// A form that is open, up to the field that is asked for.
pub(super) struct Filling {
    /// What it is the answer to.
    interaction: Id,
    title: String,
    /// The texts and the fields that are left, with their labels.
    left: Vec<Value>,
    values: Vec<(String, Value)>,
}

impl Filling {
    pub(super) fn new(interaction: Id, form: &Value) -> Self {
        let mut left = form["components"].as_array().cloned().unwrap_or_default();
        left.reverse();
        Self { interaction, title: text(&form["title"]), left, values: Vec::new() }
    }

    /// What stands before the next field, and what is asked there; none once all is filled in.
    pub(super) fn ask(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let item = self.left.last()?;
            if let Some((field, label)) = field_in(item) {
                lines.extend(asked(item, field, label));
                return Some(lines);
            }
            lines.extend(text(&item["content"]).lines().map(|line| format!("│ {line}")));
            self.left.pop();
        }
    }

    /// Takes what was typed for the field that is asked for.
    ///
    /// # Errors
    /// What is wrong with it; the field is still to be filled in.
    pub(super) fn take(&mut self, line: &str) -> Result<(), String> {
        let Some(item) = self.left.last() else { return Ok(()) };
        let field = field_in(item).map(|(field, _)| field.clone()).unwrap_or_default();
        let value = if line.trim().is_empty() { None } else { Some(typed(&field, line)?) };
        check_filled(item, value.as_ref()).map_err(|refused| refused.to_string())?;
        if let Some(value) = value {
            self.values.push((text(&field["custom_id"]), value));
        }
        self.left.pop();
        Ok(())
    }
}

/// What a person sees of a field: its label and how it is filled in, its description, its options.
fn asked(item: &Value, field: &Value, label: &str) -> Vec<String> {
    let options = field["options"].as_array().map_or(&[][..], Vec::as_slice);
    let is_set = !text(&field["value"]).is_empty() || options.iter().any(|option| option["default"] == true);
    let how = match field["type"].as_u64() {
        Some(TEXT_INPUT) => "a line".to_owned(),
        _ if takes_one(field) => "a number".to_owned(),
        _ => "numbers, such as 1 3".to_owned(),
    };
    let empty = match (is_set, field["required"] != false) {
        (true, _) => "; an empty line leaves it as it is",
        (false, true) => "",
        (false, false) => "; an empty line leaves it out",
    };
    let mut lines = vec![format!("{} ({how}{empty})", label)];
    lines.extend(text(&item["description"]).lines().map(|line| format!("│ {line}")));
    lines.extend(text(&field["value"]).lines().map(|line| format!("┊ {line}")));
    for (place, option) in options.iter().enumerate() {
        let description = match &option["description"] {
            Value::String(description) => format!(": {description}"),
            _ => String::new(),
        };
        let chosen = if option["default"] == true { " ✓" } else { "" };
        lines.push(format!("[{}] {}{chosen}{description}", place + 1, text(&option["label"])));
    }
    lines
}

/// Whether no more than one of its options can be chosen.
fn takes_one(field: &Value) -> bool {
    let many = field["options"].as_array().map_or(0, Vec::len) as u64;
    // What Discord takes for left out: of a menu one, of checkboxes all.
    let most = field["max_values"].as_u64().unwrap_or(if field["type"] == 3 { 1 } else { many });
    field["type"] == RADIO_GROUP || most == 1
}

/// The line as a value of the field.
fn typed(field: &Value, line: &str) -> Result<Value, String> {
    if field["type"] == TEXT_INPUT {
        return Ok(line.into());
    }
    let option = |number: &str| {
        let place = number.parse::<usize>().ok()?.checked_sub(1)?;
        Some(field["options"].get(place)?["value"].clone())
    };
    let numbers = line.split([',', ' ']).filter(|number| !number.is_empty());
    let mut values = Vec::new();
    for number in numbers {
        values.push(option(number).ok_or_else(|| format!("there is no option {number}"))?);
    }
    Ok(match (field["type"] == RADIO_GROUP, &values[..]) {
        (true, [value]) => value.clone(),
        (true, _) => return Err("only one can be chosen".to_owned()),
        (false, _) => values.into(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Terminal {
    /// Shows a form that has opened, where it is the answer to something of this person's.
    pub(super) fn open_form(&mut self, interaction: Id) {
        if !self.asked.iter().any(|asked| asked.interaction == interaction) {
            return;
        }
        let Some(form) = self.discord.open_form(interaction) else { return };
        let filling = Filling::new(interaction, &form);
        let title = format!("── a form: {} ", filling.title);
        let rule = "─".repeat(72_usize.saturating_sub(title.chars().count()));
        self.print(&format!("{title}{rule}"));
        self.print(&format!("· a line for each field; {CANCEL} closes the form"));
        self.ask_for_field(filling);
    }

    /// Takes a line for the field that is asked for.
    pub(super) fn fill_in(&mut self, mut filling: Filling, line: &str) {
        if !self.interactive {
            self.print(&format!("> {line}"));
        }
        if line == CANCEL {
            return self.print("· the form is closed; the bot does not hear of it");
        }
        if let Err(why) = filling.take(line) {
            self.print(&format!("· {why}"));
        }
        self.ask_for_field(filling);
    }

    /// Asks for the next field, or submits the form.
    fn ask_for_field(&mut self, mut filling: Filling) {
        if let Some(lines) = filling.ask() {
            self.print(&lines.join("\n"));
            self.filling = Some(filling);
            return;
        }
        let values: Vec<(&str, Value)> =
            filling.values.iter().map(|(field, value)| (field.as_str(), value.clone())).collect();
        let submitted = self.discord.submit(filling.interaction, &values);
        self.asked(format!("“{}”", filling.title), submitted.map_err(|refused| refused.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> Value {
        let options = |labels: &[&str]| -> Value {
            let option = |label: &&str| json!({ "label": label, "value": label.to_lowercase() });
            labels.iter().map(option).collect()
        };
        let mut crates = options(&["serde", "facet"]);
        crates[0]["description"] = "what most use".into();
        let mut places = options(&["Unit", "Whole bot"]);
        places[1]["default"] = true.into();
        let label =
            |label: &str, component: Value| json!({ "type": 18, "label": label, "component": component });
        let mut which =
            label("Which library?", json!({ "type": 21, "custom_id": "library", "options": crates }));
        which["description"] = "For reading JSON".into();
        json!({ "custom_id": "form", "title": "Questions", "components": [
            { "type": 10, "content": "Answer **all** of it.\nThank you." },
            which,
            label("Which tests?", json!({ "type": 22, "custom_id": "tests", "max_values": 2,
                "options": options(&["Unit", "Whole bot", "Law"]) })),
            label("Where?", json!({ "type": 3, "custom_id": "place", "options": places, "required": false })),
            label("Other", json!({ "type": 4, "style": 2, "custom_id": "other", "required": false, "max_length": 9 })),
        ] })
    }

    /// What a person sees who types this.
    fn filled_in(lines: &[&str]) -> (String, Vec<(String, Value)>) {
        let mut filling = Filling::new(Id::from(1), &form());
        let mut seen = filling.ask().unwrap();
        for line in lines {
            seen.push(format!("> {line}"));
            if let Err(why) = filling.take(line) {
                seen.push(format!("· {why}"));
            }
            seen.extend(filling.ask().unwrap_or_else(|| vec!["submitted".to_owned()]));
        }
        (seen.join("\n"), filling.values)
    }

    #[test]
    fn a_form_is_filled_in_line_by_line_and_what_is_wrong_is_asked_again() {
        let (seen, values) =
            filled_in(&["", "3", "1 2", "x", "2", "1, 2, 3", "1 1", "3,1", "", "much too long", "so"]);
        insta::assert_snapshot!(seen, @"
        │ Answer **all** of it.
        │ Thank you.
        Which library? (a number)
        │ For reading JSON
        [1] serde: what most use
        [2] facet
        > 
        · “Which library?” is required
        Which library? (a number)
        │ For reading JSON
        [1] serde: what most use
        [2] facet
        > 3
        · there is no option 3
        Which library? (a number)
        │ For reading JSON
        [1] serde: what most use
        [2] facet
        > 1 2
        · only one can be chosen
        Which library? (a number)
        │ For reading JSON
        [1] serde: what most use
        [2] facet
        > x
        · there is no option x
        Which library? (a number)
        │ For reading JSON
        [1] serde: what most use
        [2] facet
        > 2
        Which tests? (numbers, such as 1 3)
        [1] Unit
        [2] Whole bot
        [3] Law
        > 1, 2, 3
        · “Which tests?” takes 1 to 2 of its options
        Which tests? (numbers, such as 1 3)
        [1] Unit
        [2] Whole bot
        [3] Law
        > 1 1
        · “Which tests?” takes each of its options once
        Which tests? (numbers, such as 1 3)
        [1] Unit
        [2] Whole bot
        [3] Law
        > 3,1
        Where? (a number; an empty line leaves it as it is)
        [1] Unit
        [2] Whole bot ✓
        > 
        Other (a line; an empty line leaves it out)
        > much too long
        · “Other” takes 9 characters at most, not 13
        Other (a line; an empty line leaves it out)
        > so
        submitted
        ");
        let expected =
            [("library", json!("facet")), ("tests", json!(["law", "unit"])), ("other", json!("so"))];
        assert_eq!(values, expected.map(|(field, value)| (field.to_owned(), value)));
    }
}
