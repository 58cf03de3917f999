//! How people answer what an MCP server wants of them: its buttons and menus, its form, and what each of them means.
//!
//! What is to be chosen has a menu in the message, what is to be typed a field in a form: of a form that is sent in, only texts
//! are read (see `domain`). Everything that is shown was chosen by the server.

use serde_json::Map;

use super::buttons::{ButtonId, QuestionPress as Press};
use super::picks::{LONGEST_ENTRY, Picks, cut};
use crate::agent::{
    ElicitationRequest, Elicited, EntryKind, EntryMistake, EntryOption, FormEntry, QuestionAnswer,
};
use crate::domain::{
    ButtonStyle, Form, FormField, FormValues, LONGEST_LABEL, LONGEST_PLACEHOLDER, Row, Select, SelectOption,
};
use crate::store::{QuestionKey, QuestionState};
use crate::view;
use crate::words::question as words;

/// The longest text that stands on one line of a form.
const ONE_LINE: u64 = 100;
/// The option of a menu that leaves it out: no number of one.
const NO_OPTION: &str = "none";

/// What comes of a press on what an MCP server wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElicitedPress {
    Answers(QuestionAnswer, QuestionState),
    Opens(Form),
    /// Something that was chosen or typed does not do; what is said about it.
    Unfit(String),
    /// It is no answer to this.
    Nothing,
}

/// What can be pressed below it.
pub fn rows(key: QuestionKey, elicitation: &ElicitationRequest) -> Vec<Row> {
    let button = |label: &str, press: Press, style| ButtonId::Question(key, press).button(label, style);
    let (green, grey, red) = (ButtonStyle::Success, ButtonStyle::Secondary, ButtonStyle::Danger);
    let decline = button(words::DECLINE, Press::Decline, red);
    match &elicitation.wants {
        Elicited::Link(_) => vec![Row::Buttons(vec![button(words::DONE, Press::Done, green), decline])],
        Elicited::Form(entries) => {
            let menus = entries.iter().enumerate().filter_map(|(number, entry)| menu(key, number, entry));
            let fill_in = button(words::FILL_IN, Press::FillIn, green);
            let buttons = Row::Buttons(vec![fill_in, decline, button(words::CANCEL, Press::Dismiss, grey)]);
            menus.map(Row::Select).chain([buttons]).collect()
        }
    }
}

fn menu(key: QuestionKey, number: usize, entry: &FormEntry) -> Option<Select> {
    let EntryKind::Choice { options, most, chosen, .. } = &entry.kind else { return None };
    let option = |(place, option): (usize, &EntryOption)| SelectOption {
        label: shown(&option.label, LONGEST_ENTRY, &(place + 1).to_string()),
        value: place.to_string(),
        description: None,
        chosen: chosen.contains(&place),
    };
    let leave_out = (!entry.required).then(|| SelectOption {
        label: words::LEAVE_OUT.to_owned(),
        value: NO_OPTION.to_owned(),
        description: None,
        chosen: false,
    });
    Some(Select {
        custom_id: ButtonId::Question(key, Press::Menu(number)).custom_id(),
        placeholder: Some(shown(entry.title(), LONGEST_ENTRY, words::FILL_IN)),
        options: options.iter().enumerate().map(option).chain(leave_out).collect(),
        most: (*most).max(1),
        disabled: false,
    })
}

/// What a press means. `picks`: what was chosen before; `typed`: what was filled in, where it is a form; `before`: what the
/// same person has filled in before.
pub fn press(
    key: QuestionKey,
    elicitation: &ElicitationRequest,
    press: Press,
    picks: &Picks,
    typed: Option<&FormValues>,
    before: &FormValues,
) -> ElicitedPress {
    let entries = match (&elicitation.wants, press) {
        (_, Press::Decline) => {
            return ElicitedPress::Answers(QuestionAnswer::Decline, QuestionState::Denied);
        }
        (Elicited::Link(_), Press::Done) => {
            return ElicitedPress::Answers(QuestionAnswer::Accept(None), QuestionState::Answered);
        }
        (Elicited::Form(_), Press::Dismiss) => {
            return ElicitedPress::Answers(QuestionAnswer::Dismiss, QuestionState::Dismissed);
        }
        (Elicited::Form(entries), Press::FillIn) => entries,
        _ => return ElicitedPress::Nothing,
    };
    let mut content = Map::new();
    let has_form = entries.iter().any(|entry| !entry.is_choice());
    for (number, entry) in entries.iter().enumerate() {
        let value = match (entry.is_choice(), typed) {
            (true, _) => entry.chosen(picks.get(&number)),
            (false, Some(typed)) => {
                entry.typed(typed.get(&number.to_string()).map(String::as_str).unwrap_or_default())
            }
            // Before the form opens, only what was chosen is looked at.
            (false, None) => Ok(None),
        };
        match value {
            Ok(Some(value)) => drop(content.insert(entry.name.clone(), value)),
            Ok(None) => {}
            Err(mistake) => {
                let said = sentence(entry, mistake);
                return ElicitedPress::Unfit(match typed {
                    Some(_) => words::mistake_is_kept(&said),
                    None => said,
                });
            }
        }
    }
    match typed {
        None if has_form => ElicitedPress::Opens(form(key, elicitation, entries, before)),
        _ => ElicitedPress::Answers(QuestionAnswer::Accept(Some(content)), QuestionState::Answered),
    }
}

fn sentence(entry: &FormEntry, mistake: EntryMistake) -> String {
    words::mistake(&view::visible_short_line(entry.title()), mistake, &entry.kind.wanted())
}

/// The form for what is to be typed.
fn form(
    key: QuestionKey,
    elicitation: &ElicitationRequest,
    entries: &[FormEntry],
    before: &FormValues,
) -> Form {
    let field = |(number, entry): (usize, &FormEntry)| {
        let id = number.to_string();
        let (long, default) = match &entry.kind {
            EntryKind::Text { format, most, default, .. } => {
                let is_long = format.is_none() && most.is_none_or(|most| most > ONE_LINE);
                (is_long, default.clone())
            }
            EntryKind::Number { default, .. } => (false, default.as_ref().map(ToString::to_string)),
            EntryKind::Choice { .. } => return None,
        };
        let wanted = entry.kind.wanted();
        let told = entry.description.as_deref().unwrap_or(&wanted);
        Some(FormField {
            label: shown(entry.title(), LONGEST_LABEL, &(number + 1).to_string()),
            required: entry.required,
            long,
            placeholder: Some(shown(told, LONGEST_PLACEHOLDER, &wanted)),
            // Nobody should send what they cannot see; and longer ones do not fit.
            value: before.get(&id).cloned().or(default.filter(|text| is_plain(text))).unwrap_or_default(),
            id,
        })
    };
    Form {
        custom_id: ButtonId::Question(key, Press::FillIn).custom_id(),
        title: shown(&elicitation.server, LONGEST_LABEL, words::FILL_IN),
        fields: entries.iter().enumerate().filter_map(field).collect(),
    }
}

/// A text of the server's as a label, at most this long; something else where nothing is seen of it.
fn shown(text: &str, most: usize, instead: &str) -> String {
    let words = view::visible_words(text);
    cut(if words.trim().is_empty() { instead } else { &words }, most)
}

fn is_plain(text: &str) -> bool {
    text.encode_utf16().count() <= LONGEST_PLACEHOLDER && view::visible_words(text) == text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: QuestionKey = QuestionKey(i64::MAX);

    fn request(properties: &Value, required: &[&str]) -> ElicitationRequest {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        let body = json!({ "mcp_server_name": "forms", "message": "x", "requested_schema": schema });
        ElicitationRequest::read(&body).unwrap()
    }

    fn filled_in(request: &ElicitationRequest, picks: &Picks, typed: &[(&str, &str)]) -> ElicitedPress {
        let typed = typed.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect();
        press(KEY, request, Press::FillIn, picks, Some(&typed), &FormValues::new())
    }

    #[test]
    fn every_form_and_every_menu_is_one_that_discord_takes() {
        let long = "x𝕊`\u{202e}".repeat(2000);
        let text = json!({ "type": "string", "title": long, "description": long, "default": long });
        let menu = json!({ "type": "array", "title": long, "items": { "enum": vec![&long; 24] } });
        let all: Map<String, Value> = (0..5).map(|n| (format!("t{n}"), text.clone())).collect();
        let all = all.into_iter().chain((0..4).map(|n| (format!("m{n}"), menu.clone())));
        let request =
            ElicitationRequest { server: long.clone(), ..request(&Value::Object(all.collect()), &[]) };
        let opened = press(KEY, &request, Press::FillIn, &Picks::new(), None, &FormValues::new());
        let ElicitedPress::Opens(form) = opened else { panic!("{opened:?}") };
        assert_eq!(form.check(), Ok(()));
        let rows = rows(KEY, &request);
        assert_eq!(rows.len(), 5);
        for row in rows {
            let Row::Select(menu) = row else { continue };
            assert!(menu.options.len() == 25 && menu.most == 24);
            let fits = |text: &str| (1..=LONGEST_ENTRY).contains(&text.encode_utf16().count());
            assert!(menu.options.iter().all(|it| fits(&it.label)) && fits(&menu.placeholder.unwrap()));
        }
        let properties = json!({ "": { "type": "string" }, " ": { "type": "string", "enum": [""] } });
        let nameless = ElicitationRequest { server: String::new(), ..self::request(&properties, &["", " "]) };
        let opened =
            press(KEY, &nameless, Press::FillIn, &Picks::from([(1, vec![0])]), None, &FormValues::new());
        let ElicitedPress::Opens(form) = opened else { panic!("{opened:?}") };
        assert_eq!((form.check(), form.fields[0].label.as_str()), (Ok(()), "1"));
        let rows = super::rows(KEY, &nameless);
        let Row::Select(menu) = &rows[0] else { panic!("{rows:?}") };
        assert_eq!(menu.options[0].label, "1");
    }

    #[test]
    fn what_hides_in_a_default_is_not_filled_in() {
        let request = request(
            &json!({
                "a": { "type": "string", "default": "as it is" },
                "b": { "type": "string", "default": "a\u{202e}b" },
                "c": { "type": "integer", "default": 7 },
            }),
            &[],
        );
        let before = FormValues::from([("2".to_owned(), "seven".to_owned())]);
        let opened = press(KEY, &request, Press::FillIn, &Picks::new(), None, &before);
        let ElicitedPress::Opens(form) = opened else { panic!("{opened:?}") };
        let values: Vec<&str> = form.fields.iter().map(|field| field.value.as_str()).collect();
        assert_eq!(values, ["as it is", "", "seven"]);
    }

    #[test]
    fn what_is_left_out_is_left_out_and_what_does_not_do_is_named() {
        let request = request(
            &json!({
                "age": { "type": "integer", "title": "Your age" },
                "name": { "type": "string" },
                "size": { "type": "string", "enum": ["s", "l"] },
            }),
            &["age", "size"],
        );
        let done = |content: Value| {
            let content = content.as_object().cloned();
            ElicitedPress::Answers(QuestionAnswer::Accept(content), QuestionState::Answered)
        };
        let size = Picks::from([(2, vec![1])]);
        assert_eq!(
            filled_in(&request, &size, &[("0", "7"), ("1", " ")]),
            done(json!({ "age": 7, "size": "l" }))
        );
        let said = |picks: &Picks, typed: &[(&str, &str)]| match filled_in(&request, picks, typed) {
            ElicitedPress::Unfit(said) => said,
            other => panic!("{other:?}"),
        };
        let told = [said(&size, &[("0", "seven")]), said(&size, &[]), said(&Picks::new(), &[("0", "7")])];
        insta::assert_snapshot!(told.join("\n"), @"
        `Your age` has to be a whole number. What you wrote is kept: press “Answer” again.
        `Your age` is missing: it has to be a whole number. What you wrote is kept: press “Answer” again.
        `size` is missing: it has to be one of these. What you wrote is kept: press “Answer” again.
        ");
        for other in [Press::Done, Press::Allow, Press::Other, Press::Send] {
            let nothing = press(KEY, &request, other, &size, None, &FormValues::new());
            assert_eq!(nothing, ElicitedPress::Nothing);
        }
    }
}
