//! What is said where Claude asks something: on buttons, below questions, and to Claude itself.

use std::time::Duration;

use crate::agent::EntryMistake;
use crate::domain::{PermissionMode, UserId};
use crate::store::{Decider, QuestionState};

pub const ALLOW: &str = "Allow once";
pub const ALLOW_FOR_SESSION: &str = "Allow for this session";
pub const ALLOW_ALWAYS: &str = "Always…";
pub const SAVE_RULE: &str = "Save and allow";
pub const DENY: &str = "Deny";
pub const DENY_WITH_WORDS: &str = "Deny and say why";
pub const APPROVE: &str = "Approve";
pub const APPROVE_AND_EDIT: &str = "Approve and accept edits";
pub const KEEP_PLANNING: &str = "Keep planning";
pub const OTHER: &str = "Other…";
pub const SEND: &str = "Send answers";
pub const GO_ON: &str = "Go on";
pub const DONE: &str = "Done";
pub const FILL_IN: &str = "Answer";
pub const DECLINE: &str = "Decline";
pub const CANCEL: &str = "Cancel";

/// To whoever would always allow a call: the rules, each in a line of code, and where they are saved.
pub fn what_is_saved(rules: &[String]) -> String {
    format!(
        "This is saved in `~/.claude/settings.json` of the user that Claude Code runs as, and allows such calls in **every** \
         project, without asking anybody:\n{}",
        rules.join("\n")
    )
}
/// The same where the rules are too long to be shown.
pub const RULE_TOO_LONG: &str =
    "The rule is too long to be shown here. Allow it once, or add it to the settings by hand.";

/// In forms.
pub const WHY: &str = "Why not, or what to do instead?";
pub const WHAT_TO_CHANGE: &str = "What should change?";
pub const IN_YOUR_WORDS: &str = "In your own words";
/// The option of a menu for what need not be chosen.
pub const LEAVE_OUT: &str = "(leave it out)";
/// To a press on “Send answers” where nothing was chosen.
pub const CHOOSE_FIRST: &str = "Choose something first.";

/// To whoever has filled in a form in a way that does not do: of the entry with this name, which has to be what is `wanted`.
pub fn mistake(name: &str, mistake: EntryMistake, wanted: &str) -> String {
    match mistake {
        EntryMistake::Missing => format!("{name} is missing: it has to be {wanted}."),
        EntryMistake::Unfit => format!("{name} has to be {wanted}."),
    }
}
/// The same where something was typed, too.
pub fn mistake_is_kept(mistake: &str) -> String {
    format!("{mistake} What you wrote is kept: press “{FILL_IN}” again.")
}

/// To a press of somebody who may not answer.
pub const NOT_YOURS_TO_ANSWER: &str =
    "Only the person who asked, or somebody who approves things in this project, may answer this.";
/// The same where whoever asked may not answer, either.
pub const FOR_APPROVERS: &str = "Only somebody who approves things in this project may answer this.";
/// To a press that comes too late.
pub const ANSWERED: &str = "This is answered already.";
/// To a press that could not be written down.
pub const NOT_SAVED: &str = "I could not save that. Please press again.";

/// To a press on a question whose conversation was reset.
pub const CONVERSATION_GONE: &str = "The conversation in which this was asked is gone.";

/// The prompt of a turn that goes on after a restart while Claude waited for leave.
pub const ASK_AGAIN: &str = "I was restarted while you waited for leave to use a tool, so nobody decided about it and it did \
     not run. Go on with what you were doing; where you still need it, try again.";
/// The same while an MCP server waited for a person, and with it the call that it is about.
pub const CALL_AGAIN: &str = "I was restarted while an MCP server waited for what it had asked of a person. Nobody answered, \
     and the call of its tool was cut off: it may have done a part of its work. Go on with what you were doing; where you still \
     need it, see what is done, and call it again.";
/// The same while it waited for a word on its plan, which is good.
pub const PLAN_IS_GOOD: &str =
    "I was restarted while you waited for a word on your plan. It is approved now: carry it out.";
/// The same where it is not; what the person said of it.
pub fn plan_after_restart(told: &str) -> String {
    format!("I was restarted while you waited for a word on your plan. {told}")
}
/// In place of a question, where somebody answered all of them in their own words.
pub const ALL_OF_IT: &str = "(all of it)";
/// The same while it waited for an answer to these questions, each with its answer.
pub fn answered_later(answers: &[(String, String)]) -> String {
    let answers: Vec<String> = answers
        .iter()
        .map(|(question, answer)| format!("You asked: {question}\nThe answer: {answer}"))
        .collect();
    format!("I was restarted while you waited for an answer.\n\n{}", answers.join("\n\n"))
}

/// To Claude, where a person denied a call and gave no reason.
pub const DENIED: &str = "The person denied this. Do not try it again in another way; go on without it, or ask what to do \
     instead.";
/// To Claude, where a person denied a call and said this.
pub fn denied_because(words: &str) -> String {
    format!("The person denied this and said: {words}")
}
/// To Claude, where a person wants to go on planning and said nothing.
pub const PLAN_ON: &str = "The person does not approve the plan yet. Ask what to change, or improve it.";
/// The same, where they said this.
pub fn plan_on_because(words: &str) -> String {
    format!("The person does not approve the plan yet and said: {words}")
}
/// To Claude, where nobody has answered in time.
pub fn nobody_answered(limit: Duration) -> String {
    let limit = super::failure::in_words(limit);
    format!(
        "Nobody answered within {limit}, so this is denied: the person is away. Do what can be done without it, and say at \
         the end what is left and why."
    )
}
/// To Claude, where a script of the project denied a call for this reason.
pub fn forbidden_because(reason: &str) -> String {
    format!("A rule of this project denies this: {reason}")
}
/// To Claude, where it is too long to be shown to anybody.
pub const TOO_LONG_TO_ASK: &str = "This is too long to be shown to a person here, so nobody could decide about it. Do it in \
     smaller steps, or go on without it.";
/// The line below the ends of a question for whose whole Discord took no file.
pub const NOT_SHOWN: &str = "🚫 Denied: Discord did not take the file with all of it, and nobody can allow what they cannot \
     read. For files, my role needs Attach Files";
/// To Claude, where the question could not be put to anybody.
pub const NOBODY_TO_ASK: &str = "This is not allowed here, and nobody can be asked. Go on without it.";

/// The line below a question that tells what became of it; `None` while it is open.
pub fn what_became_of_it(state: QuestionState, by: Option<Decider>) -> Option<String> {
    let by = match by {
        Some(Decider::Person(person)) => format!(" by {}", mention(person)),
        Some(Decider::Script) => " by a script".to_owned(),
        Some(Decider::Time | Decider::Nobody) | None => String::new(),
    };
    Some(match state {
        QuestionState::Open => return None,
        QuestionState::Allowed => format!("✅ Allowed once{by}"),
        QuestionState::AllowedForSession => format!("✅ Allowed for this session{by}"),
        QuestionState::AllowedAlways => format!("✅ Always allowed{by}"),
        QuestionState::Denied => format!("🚫 Denied{by}"),
        QuestionState::Answered => format!("✅ Answered{by}"),
        QuestionState::Dismissed => format!("✖️ Cancelled{by}"),
        QuestionState::Expired => "⌛ Nobody answered in time, so it is denied".to_owned(),
        QuestionState::NotShown => NOT_SHOWN.to_owned(),
        QuestionState::Withdrawn => "Not needed any more: the turn was stopped or is over".to_owned(),
        QuestionState::Left => "I was restarted before anybody answered".to_owned(),
        QuestionState::Resumed => format!("Went on{by}"),
    })
}

/// The same below a plan. `mode` is the permission mode of the next turn, where the answer was about it.
pub fn what_became_of_plan(
    state: QuestionState,
    by: Option<Decider>,
    mode: Option<PermissionMode>,
) -> Option<String> {
    let by_person = match by {
        Some(Decider::Person(person)) => format!(" by {}", mention(person)),
        _ => String::new(),
    };
    let of_mode = match mode {
        Some(PermissionMode::Plan) => {
            ". The next turn plans again: this project's `permission_modes` allow nothing else".to_owned()
        }
        Some(mode) => format!(". The permission mode here is now `{}`", mode.as_str()),
        None => String::new(),
    };
    match state {
        QuestionState::Allowed => Some(format!("✅ Approved{by_person}{of_mode}")),
        QuestionState::Denied => Some(format!("✏️ Not approved yet{by_person}")),
        QuestionState::Resumed => Some(format!("Went on{by_person}{of_mode}")),
        other => what_became_of_it(other, by),
    }
}

/// The same below what an MCP server wants of a person.
pub fn what_became_of_elicitation(state: QuestionState, by: Option<Decider>) -> Option<String> {
    match (state, by) {
        (QuestionState::Denied, Some(Decider::Person(person))) => {
            Some(format!("🚫 Declined by {}", mention(person)))
        }
        (QuestionState::Expired, _) => Some("⌛ Nobody answered in time".to_owned()),
        (other, by) => what_became_of_it(other, by),
    }
}

fn mention(person: UserId) -> String {
    format!("<@{person}>")
}
