//! How a question of Claude's can be answered: its buttons and menus, the form for words, and what each of them means.
//!
//! One question with one choice has a button for each. Several questions, or one with several choices, have a menu each, and a
//! button that sends what was chosen. Whatever else somebody wants to say goes into a form.

use std::collections::BTreeMap;

use super::buttons::{ButtonId, QuestionPress as Press};
use super::elicited;
use super::picks::{LONGEST_BUTTON, LONGEST_ENTRY, Picks, cut};
use crate::agent::{ChoiceQuestion, Chosen, Grant, QuestionAbout, QuestionAnswer, QuestionOption};
use crate::domain::{
    Button, ButtonStyle, Form, FormField, FormValues, LONGEST_LABEL, LONGEST_PLACEHOLDER, MOST_OPTIONS,
    Reply, Row, Select, SelectOption,
};
use crate::store::{QuestionKey, QuestionKind, QuestionState, StoredQuestion};
use crate::words::question as words;
use crate::{text, view};

/// The most options that stand as buttons, besides the one for words.
const MOST_BUTTONS: usize = 4;
/// The id of the only field of a form.
const WORDS: &str = "words";

/// What a project lets people press.
#[derive(Debug, Clone, Copy)]
pub struct Offers {
    /// It takes the mode that accepts edits.
    pub edits: bool,
    /// Its agents read the settings in which a rule would be saved.
    pub always: bool,
}

/// The question without the secrets in it, for what is shown of it is cut to fit, and half of one would not be known any more. The
/// answer is told by the question as it was asked.
pub fn without_secrets(about: &QuestionAbout, redact: impl Fn(&str) -> String) -> QuestionAbout {
    let mut about = about.clone();
    if let QuestionAbout::Choices(questions) = &mut about {
        for question in questions {
            let options = question.options.iter_mut();
            let texts = options.flat_map(|option| [&mut option.label, &mut option.description]);
            texts.chain([&mut question.question, &mut question.header]).for_each(|text| *text = redact(text));
        }
    }
    about
}

/// What can be pressed below an open question.
pub fn rows(key: QuestionKey, about: &QuestionAbout, offers: Offers) -> Vec<Row> {
    let button = |label: &str, press: Press, style| {
        ButtonId::Question(key, press).button(&cut(label, LONGEST_BUTTON), style)
    };
    let (green, grey, red) = (ButtonStyle::Success, ButtonStyle::Secondary, ButtonStyle::Danger);
    match about {
        QuestionAbout::Permission(permission) => {
            let mut buttons = vec![button(words::ALLOW, Press::Allow, green)];
            if permission.grant.is_some() {
                buttons.push(button(words::ALLOW_FOR_SESSION, Press::AllowForSession, grey));
            }
            if let (Some(Grant::Rules(_)), true) = (&permission.grant, offers.always) {
                buttons.push(button(words::ALLOW_ALWAYS, Press::AllowAlways, grey));
            }
            buttons.push(button(words::DENY, Press::Deny, red));
            buttons.push(button(words::DENY_WITH_WORDS, Press::DenyWithWords, red));
            vec![Row::Buttons(buttons)]
        }
        QuestionAbout::Elicitation(elicitation) => elicited::rows(key, elicitation),
        QuestionAbout::Plan(_) => {
            let mut buttons = vec![button(words::APPROVE, Press::Approve, green)];
            if offers.edits {
                buttons.push(button(words::APPROVE_AND_EDIT, Press::ApproveAndEdit, green));
            }
            buttons.push(button(words::KEEP_PLANNING, Press::KeepPlanning, grey));
            vec![Row::Buttons(buttons)]
        }
        QuestionAbout::Choices(questions) => {
            let other = button(words::OTHER, Press::Other, grey);
            match only_choice(questions) {
                Some(one) => {
                    let pick = |(number, option): (usize, &QuestionOption)| {
                        button(&label(number, option), Press::Pick(number), ButtonStyle::Primary)
                    };
                    let buttons: Vec<Button> = one.options.iter().enumerate().map(pick).collect();
                    vec![Row::Buttons(buttons.into_iter().chain([other]).collect())]
                }
                None => {
                    let menu = |(number, question)| Row::Select(menu(key, number, question));
                    let send = Row::Buttons(vec![button(words::SEND, Press::Send, green), other]);
                    questions.iter().enumerate().map(menu).chain([send]).collect()
                }
            }
        }
    }
}

/// What somebody is shown who would always allow a call, before it counts: the rules, where they are saved, and a button.
pub fn confirmation(key: QuestionKey, press: Press, about: &QuestionAbout) -> Option<Reply> {
    let (Press::AllowAlways, QuestionAbout::Permission(permission)) = (press, about) else { return None };
    let Some(Grant::Rules(rules)) = &permission.grant else { return None };
    let shown: Vec<String> = rules.iter().map(|rule| view::visible_line(rule)).collect();
    let told = words::what_is_saved(&shown);
    if text::units(&told) > text::LIMIT {
        return Some(Reply::ephemeral(words::RULE_TOO_LONG));
    }
    let save = ButtonId::Question(key, Press::SaveRule).button(words::SAVE_RULE, ButtonStyle::Danger);
    Some(Reply { rows: vec![Row::Buttons(vec![save])], ..Reply::ephemeral(told) })
}

/// What a question was about that a restart has left; `None` for leave to use a tool, and for what an MCP server wants: the CLI
/// asks anew.
pub fn about(question: &StoredQuestion) -> Option<QuestionAbout> {
    match question.kind {
        QuestionKind::Permission | QuestionKind::Elicitation => None,
        QuestionKind::Choices => Some(QuestionAbout::Choices(choices(question))),
        QuestionKind::Plan => Some(QuestionAbout::Plan(String::new())),
    }
}

fn choices(question: &StoredQuestion) -> Vec<ChoiceQuestion> {
    serde_json::from_str(&question.body).unwrap_or_default()
}

/// The buttons below a question that has ended like this, in a project that takes accepted edits or does not.
pub fn rows_at_end(
    question: &StoredQuestion,
    takes_edits: bool,
    redact: impl Fn(&str) -> String,
) -> Vec<Row> {
    if question.state != QuestionState::Left {
        return Vec::new();
    }
    match about(question) {
        Some(about) => {
            let offers = Offers { edits: takes_edits, always: false };
            rows(question.key, &without_secrets(&about, redact), offers)
        }
        None => {
            let go_on = ButtonId::Question(question.key, Press::GoOn);
            vec![Row::Buttons(vec![go_on.button(words::GO_ON, ButtonStyle::Primary)])]
        }
    }
}

/// The question, where its options stand as buttons.
fn only_choice(questions: &[ChoiceQuestion]) -> Option<&ChoiceQuestion> {
    match questions {
        [one] if !one.several && one.options.len() <= MOST_BUTTONS => Some(one),
        _ => None,
    }
}

fn menu(key: QuestionKey, number: usize, question: &ChoiceQuestion) -> Select {
    let option = |(number, option): (usize, &QuestionOption)| SelectOption {
        label: cut(&label(number, option), LONGEST_ENTRY),
        value: number.to_string(),
        description: Some(cut(&view::visible_words(&option.description), LONGEST_ENTRY))
            .filter(|text| !text.trim().is_empty()),
        chosen: false,
    };
    Select {
        custom_id: ButtonId::Question(key, Press::Menu(number)).custom_id(),
        placeholder: Some(cut(&view::visible_words(&question.question), LONGEST_ENTRY)),
        options: question.options.iter().enumerate().take(MOST_OPTIONS).map(option).collect(),
        most: if question.several { question.options.len().min(MOST_OPTIONS) } else { 1 },
        disabled: false,
    }
}

/// An option, as it is seen; by its number where nothing of it is.
fn label(number: usize, option: &QuestionOption) -> String {
    let label = view::visible_words(&option.label);
    if label.trim().is_empty() { (number + 1).to_string() } else { label }
}

/// The form that a press opens; `None` where it needs no words.
pub fn form(key: QuestionKey, press: Press, about: &QuestionAbout) -> Option<Form> {
    let field = |id: &str, label: &str, required, placeholder: Option<&str>| FormField {
        id: id.to_owned(),
        label: cut(label, LONGEST_LABEL),
        required,
        long: true,
        placeholder: placeholder.map(|text| cut(text, LONGEST_PLACEHOLDER)),
        value: String::new(),
    };
    let (title, fields) = match (press, about) {
        (Press::DenyWithWords, QuestionAbout::Permission(_)) => {
            (words::DENY_WITH_WORDS, vec![field(WORDS, words::WHY, true, None)])
        }
        (Press::KeepPlanning, QuestionAbout::Plan(_)) => {
            (words::KEEP_PLANNING, vec![field(WORDS, words::WHAT_TO_CHANGE, false, None)])
        }
        (Press::Other, QuestionAbout::Choices(questions)) => {
            let label = |question: &ChoiceQuestion| match question.header.trim() {
                "" => view::visible_words(&question.question),
                header => view::visible_words(header),
            };
            let is_only = questions.len() == 1;
            let of = |(number, question): (usize, &ChoiceQuestion)| {
                field(
                    &number.to_string(),
                    &label(question),
                    is_only,
                    Some(&view::visible_words(&question.question)),
                )
            };
            (words::IN_YOUR_WORDS, questions.iter().enumerate().map(of).collect())
        }
        _ => return None,
    };
    let custom_id = ButtonId::Question(key, press).custom_id();
    Some(Form { custom_id, title: title.to_owned(), fields })
}

/// What a press answers, and what then has become of the question; `None` where it is no answer to it (to what an MCP server
/// wants, `elicited` has the answers). `picks`: what was
/// chosen before; `typed`: what was filled in, where it is a form.
pub fn answer(
    about: &QuestionAbout,
    press: Press,
    picks: &Picks,
    typed: &FormValues,
) -> Option<(QuestionAnswer, QuestionState)> {
    let said = said(typed);
    Some(match about {
        QuestionAbout::Permission(permission) => match press {
            Press::Allow => (QuestionAnswer::Allow, QuestionState::Allowed),
            Press::AllowForSession if permission.grant.is_some() => {
                (QuestionAnswer::AllowForSession, QuestionState::AllowedForSession)
            }
            Press::SaveRule if matches!(permission.grant, Some(Grant::Rules(_))) => {
                (QuestionAnswer::AllowAlways, QuestionState::AllowedAlways)
            }
            Press::Deny => (QuestionAnswer::Deny(words::DENIED.to_owned()), QuestionState::Denied),
            Press::DenyWithWords => {
                (QuestionAnswer::Deny(words::denied_because(said?)), QuestionState::Denied)
            }
            _ => return None,
        },
        QuestionAbout::Elicitation(_) => return None,
        QuestionAbout::Plan(_) => match press {
            Press::Approve => (QuestionAnswer::ApprovePlan { accept_edits: false }, QuestionState::Allowed),
            Press::ApproveAndEdit => {
                (QuestionAnswer::ApprovePlan { accept_edits: true }, QuestionState::Allowed)
            }
            Press::KeepPlanning => {
                let told = said.map_or(words::PLAN_ON.to_owned(), words::plan_on_because);
                (QuestionAnswer::Deny(told), QuestionState::Denied)
            }
            _ => return None,
        },
        QuestionAbout::Choices(questions) => {
            let picked = match press {
                Press::Pick(option) => &Picks::from([(0, vec![option])]),
                Press::Send | Press::Other => picks,
                _ => return None,
            };
            let chosen = chosen(questions, picked, typed);
            if chosen.is_empty() {
                return None;
            }
            (QuestionAnswer::Choices(chosen), QuestionState::Answered)
        }
    })
}

/// Why a person denies something, where this press says so.
pub fn reason(press: Press, typed: Option<&FormValues>) -> Option<String> {
    let tells_why = matches!(press, Press::DenyWithWords | Press::KeepPlanning);
    typed.filter(|_| tells_why).and_then(said).map(str::to_owned)
}

/// What was typed in a form with a single field.
fn said(typed: &FormValues) -> Option<&str> {
    typed.get(WORDS).map(|words| words.trim()).filter(|words| !words.is_empty())
}

/// What was chosen and typed, by the text of each question; what was left out is not in it.
fn chosen(questions: &[ChoiceQuestion], picks: &Picks, typed: &FormValues) -> BTreeMap<String, Chosen> {
    let of = |(number, question): (usize, &ChoiceQuestion)| {
        let picked = picks.get(&number).into_iter().flatten();
        let mut labels: Vec<String> =
            picked.filter_map(|option| Some(question.options.get(*option)?.label.clone())).collect();
        let own = typed.get(&number.to_string()).map(|words| words.trim()).filter(|words| !words.is_empty());
        let chosen = match question.several {
            true => {
                labels.extend(own.map(str::to_owned));
                (!labels.is_empty()).then_some(Chosen::Several(labels))
            }
            // A person's own words say more than what they chose before.
            false => own.map(str::to_owned).or(labels.pop()).map(Chosen::One),
        };
        Some((question.question.clone(), chosen?))
    };
    questions.iter().enumerate().filter_map(of).collect()
}

/// The answer in words, as the prompt of a turn that goes on after a restart.
pub fn in_words(answer: &QuestionAnswer) -> Option<String> {
    Some(match answer {
        QuestionAnswer::ApprovePlan { .. } => words::PLAN_IS_GOOD.to_owned(),
        QuestionAnswer::Deny(told) => words::plan_after_restart(told),
        QuestionAnswer::Choices(chosen) => {
            let of = |(question, chosen): (&String, &Chosen)| {
                let answer = match chosen {
                    Chosen::One(label) => label.clone(),
                    Chosen::Several(labels) => labels.join("; "),
                };
                (question.clone(), answer)
            };
            words::answered_later(&chosen.iter().map(of).collect::<Vec<_>>())
        }
        QuestionAnswer::Words(said) => words::answered_later(&[(words::ALL_OF_IT.to_owned(), said.clone())]),
        QuestionAnswer::Allow
        | QuestionAnswer::AllowForSession
        | QuestionAnswer::AllowAlways
        | QuestionAnswer::Refuse(_)
        | QuestionAnswer::Forbid(_)
        | QuestionAnswer::Accept(_)
        | QuestionAnswer::Decline
        | QuestionAnswer::Dismiss => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str, labels: &[&str], several: bool) -> ChoiceQuestion {
        let option = |label: &&str| QuestionOption {
            label: (*label).to_owned(),
            description: String::new(),
            preview: None,
        };
        ChoiceQuestion {
            question: text.to_owned(),
            header: String::new(),
            options: labels.iter().map(option).collect(),
            several,
        }
    }

    fn two() -> QuestionAbout {
        QuestionAbout::Choices(vec![
            question("Which colour?", &["Red", "Blue"], false),
            question("Toppings?", &["Ham", "Olives, green", "Corn"], true),
        ])
    }

    fn told(press: Press, picks: Picks, typed: &[(&str, &str)]) -> Option<QuestionAnswer> {
        let typed = typed.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect();
        answer(&two(), press, &picks, &typed).map(|(answer, _)| answer)
    }

    fn choices(chosen: &[(&str, Chosen)]) -> Option<QuestionAnswer> {
        let chosen = chosen.iter().map(|(question, chosen)| ((*question).to_owned(), chosen.clone()));
        Some(QuestionAnswer::Choices(chosen.collect()))
    }

    #[test]
    fn a_question_that_was_left_out_is_left_out_and_several_stay_several() {
        let several = |labels: &[&str]| Chosen::Several(labels.iter().map(|it| (*it).to_owned()).collect());
        let one = |label: &str| Chosen::One(label.to_owned());
        assert_eq!(told(Press::Send, Picks::new(), &[]), None, "nothing was chosen");
        assert_eq!(
            told(Press::Send, Picks::from([(1, vec![0, 1])]), &[]),
            choices(&[("Toppings?", several(&["Ham", "Olives, green"]))])
        );
        assert_eq!(
            told(
                Press::Other,
                Picks::from([(0, vec![0]), (1, vec![2])]),
                &[("0", " a darker one "), ("1", "tuna")]
            ),
            choices(&[("Which colour?", one("a darker one")), ("Toppings?", several(&["Corn", "tuna"]))])
        );
        assert_eq!(told(Press::Send, Picks::from([(0, vec![9]), (7, vec![0])]), &[]), None, "no such option");
        assert_eq!(told(Press::Allow, Picks::from([(0, vec![0])]), &[]), None);
    }

    #[test]
    fn what_labels_hide_is_seen_and_the_answer_is_the_label_itself() {
        let about = QuestionAbout::Choices(vec![question("Go\u{200b}?", &["Yes\u{202e}\n2", " "], false)]);
        let rows = rows(QuestionKey(1), &about, Offers { edits: true, always: true });
        let [Row::Buttons(buttons)] = &rows[..] else { panic!("{rows:?}") };
        let labels: Vec<&str> = buttons.iter().map(|button| button.label.as_str()).collect();
        assert_eq!(labels, ["Yes⟨U+202E⟩␊2", "2", "Other…"]);
        let form = form(QuestionKey(1), Press::Other, &about).unwrap();
        assert_eq!(form.fields[0].label, "Go⟨U+200B⟩?");
        let (told, _) = answer(&about, Press::Pick(0), &Picks::new(), &FormValues::new()).unwrap();
        assert_eq!(Some(told), choices(&[("Go\u{200b}?", Chosen::One("Yes\u{202e}\n2".to_owned()))]));
    }

    #[test]
    fn every_form_and_every_label_is_one_that_discord_takes() {
        let long = "x𝕊".repeat(2000);
        let questions: Vec<_> = (0..4)
            .map(|n| ChoiceQuestion {
                header: long.clone(),
                ..question(&long, &[&long, "b", "c"], n % 2 == 0)
            })
            .collect();
        let about = QuestionAbout::Choices(questions);
        let key = QuestionKey(i64::MAX);
        let form = form(key, Press::Other, &about).unwrap();
        assert_eq!(form.check(), Ok(()));
        let rows = rows(key, &about, Offers { edits: true, always: true });
        assert_eq!(rows.len(), 5);
        for row in rows {
            match row {
                Row::Buttons(buttons) => {
                    assert!(buttons.iter().all(|it| it.label.encode_utf16().count() <= LONGEST_BUTTON));
                }
                Row::Select(menu) => {
                    let fits = |text: &str| text.encode_utf16().count() <= LONGEST_ENTRY;
                    assert!(menu.options.iter().all(|it| fits(&it.label)), "{menu:?}");
                    assert!(fits(menu.placeholder.as_deref().unwrap()) && menu.most <= menu.options.len());
                }
            }
        }
    }
}
