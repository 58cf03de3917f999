//! Discord's rules for what a message has besides its text: embeds, and rows of buttons and menus.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::form::{Mistakes, repeated};

/// The flag of a message that is laid out by components alone. Its components are not looked at here.
pub(super) const COMPONENTS_V2: u64 = 1 << 15;

/// The types of a message's components.
const ROW: u64 = 1;
pub(super) const BUTTON: u64 = 2;
pub(super) const STRING_SELECT: u64 = 3;
/// The menus of users, roles, both, and channels.
const OTHER_SELECTS: [u64; 4] = [5, 6, 7, 8];
/// The styles of link buttons and of premium buttons.
const LINK: u64 = 5;
const PREMIUM: u64 = 6;

/// Embeds: at most 10, with 6000 characters in all.
pub(super) fn check_embeds(embeds: &[Value], mistakes: &mut Mistakes) {
    mistakes.length("embeds", embeds.len(), 0..=10);
    let mut all = 0;
    for (place, embed) in embeds.iter().enumerate() {
        let at = format!("embeds.{place}");
        if !embed.is_object() {
            mistakes.add(&at, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
            continue;
        }
        let mut text = |at: String, value: &Value, least: usize, most: usize| {
            mistakes.text(&at, value, least..=most);
            all += value.as_str().map_or(0, |it| it.chars().count());
        };
        text(format!("{at}.title"), &embed["title"], 0, 256);
        text(format!("{at}.description"), &embed["description"], 0, 4096);
        text(format!("{at}.footer.text"), &embed["footer"]["text"], 0, 2048);
        text(format!("{at}.author.name"), &embed["author"]["name"], 0, 256);
        let fields = embed["fields"].as_array().map_or(&[][..], Vec::as_slice);
        for (place, field) in fields.iter().enumerate() {
            text(format!("{at}.fields.{place}.name"), &field["name"], 1, 256);
            text(format!("{at}.fields.{place}.value"), &field["value"], 1, 1024);
        }
        mistakes.list(&format!("{at}.fields"), &embed["fields"], 0..=25);
        if !(embed["color"].is_null() || embed["color"].as_u64().is_some_and(|color| color <= 0xFF_FFFF)) {
            let message = "int value should be between 0 and 16777215.";
            mistakes.add(&format!("{at}.color"), "NUMBER_TYPE_MAX", message);
        }
    }
    if all > 6000 {
        mistakes.add("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000");
    }
}

/// Rows of components: at most 5, each with up to 5 buttons or one menu, and every id of the bot's only once.
pub(super) fn check_components(rows: &[Value], mistakes: &mut Mistakes) {
    mistakes.length("components", rows.len(), 0..=5);
    let mut ids: Vec<(String, &Value)> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let at = format!("components.{place}");
        mistakes.one_of(&format!("{at}.type"), &row["type"], &[ROW]);
        let inner = mistakes.list(&format!("{at}.components"), &row["components"], 1..=5);
        let menus = inner.iter().filter(|it| it["type"] != BUTTON).count();
        for (place, component) in inner.iter().enumerate() {
            let at = format!("{at}.components.{place}");
            if menus > 0 && place > 0 {
                let message = "The specified component exceeds the maximum width";
                mistakes.add(&at, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", message);
            }
            ids.push((at.clone(), &component["custom_id"]));
            match component["type"].as_u64() {
                Some(BUTTON) => check_button(&at, component, mistakes),
                Some(STRING_SELECT) => check_string_select(&at, component, mistakes),
                Some(kind) if OTHER_SELECTS.contains(&kind) => check_select(&at, component, mistakes),
                _ => mistakes.one_of(&format!("{at}.type"), &component["type"], &[2, 3, 5, 6, 7, 8]),
            }
        }
    }
    for place in repeated(ids.iter().map(|(_, id)| *id)) {
        let message = "Component custom id cannot be duplicated";
        mistakes.add(&format!("{}.custom_id", ids[place].0), "COMPONENT_CUSTOM_ID_DUPLICATED", message);
    }
}

fn check_button(at: &str, button: &Value, mistakes: &mut Mistakes) {
    mistakes.one_of(&format!("{at}.style"), &button["style"], &[1, 2, 3, 4, LINK, PREMIUM]);
    mistakes.text(&format!("{at}.label"), &button["label"], 0..=80);
    match button["style"].as_u64() {
        Some(LINK) => mistakes.text(&format!("{at}.url"), &button["url"], 1..=512),
        Some(PREMIUM) => {}
        _ => mistakes.text(&format!("{at}.custom_id"), &button["custom_id"], 1..=100),
    }
    let bare = button["label"].as_str().unwrap_or_default().is_empty() && button["emoji"].is_null();
    if bare && button["style"] != PREMIUM {
        mistakes.required(&format!("{at}.label"));
    }
}

fn check_select(at: &str, select: &Value, mistakes: &mut Mistakes) {
    mistakes.text(&format!("{at}.custom_id"), &select["custom_id"], 1..=100);
    mistakes.text(&format!("{at}.placeholder"), &select["placeholder"], 0..=150);
    let (least, most) =
        (select["min_values"].as_u64().unwrap_or(1), select["max_values"].as_u64().unwrap_or(1));
    if least > 25 {
        mistakes.add(&format!("{at}.min_values"), "NUMBER_TYPE_MAX", "int value should be between 0 and 25.");
    }
    if !(1..=25).contains(&most) || least > most {
        mistakes.add(&format!("{at}.max_values"), "NUMBER_TYPE_MAX", "int value should be between 1 and 25.");
    }
}

pub(super) fn check_string_select(at: &str, select: &Value, mistakes: &mut Mistakes) {
    check_select(at, select, mistakes);
    check_options(at, select, 1..=25, mistakes);
    let most = select["max_values"].as_u64().unwrap_or(1);
    if most > select["options"].as_array().map_or(0, Vec::len) as u64 {
        let message = "Must not be greater than the number of options.";
        mistakes.add(&format!("{at}.max_values"), "BASE_TYPE_BAD_LENGTH", message);
    }
}

/// Options within these counts, each with its own label and value.
pub(super) fn check_options(
    at: &str,
    component: &Value,
    count: RangeInclusive<usize>,
    mistakes: &mut Mistakes,
) {
    let options = mistakes.list(&format!("{at}.options"), &component["options"], count);
    for (place, option) in options.iter().enumerate() {
        let at = format!("{at}.options.{place}");
        mistakes.text(&format!("{at}.label"), &option["label"], 1..=100);
        mistakes.text(&format!("{at}.value"), &option["value"], 1..=100);
        mistakes.text(&format!("{at}.description"), &option["description"], 0..=100);
    }
    for place in repeated(options.iter().map(|option| &option["value"])) {
        let message = "The specified option value is already used";
        mistakes.add(
            &format!("{at}.options.{place}.value"),
            "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
            message,
        );
    }
}

/// The component with this id of the bot's.
pub(super) fn component<'a>(rows: &'a [Value], custom_id: &str) -> Option<&'a Value> {
    let inner = rows.iter().filter_map(|row| row["components"].as_array()).flatten();
    inner.into_iter().find(|component| component["custom_id"] == custom_id)
}

/// Components as Discord returns them: those without an id get a number.
pub(super) fn numbered(mut rows: Vec<Value>) -> Vec<Value> {
    let mut count = 0;
    let mut number = |component: &mut Value| {
        count += 1;
        if let Some(fields) = component.as_object_mut() {
            fields.entry("id").or_insert_with(|| count.into());
        }
    };
    for row in &mut rows {
        number(row);
        if let Some(inner) = row["components"].as_array_mut() {
            inner.iter_mut().for_each(&mut number);
        }
    }
    rows
}
