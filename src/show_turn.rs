//! `moonlane turns ID`: what was decided in a turn, and by whom. It only reads the database.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::config::Config;
use crate::domain::{Outcome, UserId};
use crate::store::{
    self, Decider, Millis, QuestionKind, QuestionState, StoredQuestion, TurnReport, TurnState,
};
use crate::{logging, print};

/// Prints the turn of this id, as messages and logs tell it.
pub fn run(config: &Config, id: &str) -> ExitCode {
    match store::report(&config.store_path, id) {
        Ok(Some(report)) => {
            // What Claude and people wrote must not steer the terminal.
            told(&report).iter().for_each(|line| print::line(logging::printable(line)));
            ExitCode::SUCCESS
        }
        Ok(None) => {
            let id = logging::printable(id);
            print::complaint(format_args!(
                "moonlane: there is no turn {id}; those of more than 30 days ago are forgotten"
            ));
            ExitCode::FAILURE
        }
        Err(error) => {
            print::complaint(format_args!("moonlane: {}", logging::printable(&error.to_string())));
            ExitCode::FAILURE
        }
    }
}

fn told(report: &TurnReport) -> Vec<String> {
    let turn = &report.row.turn;
    let who = |person: UserId| match report.names.get(&person) {
        Some(name) => format!("{name} ({person})"),
        None => person.to_string(),
    };
    let mut lines = vec![
        format!(
            "turn {} ({}) of project {} in channel {}: {}",
            turn.message,
            turn.message.short(),
            turn.project,
            turn.channel,
            state(report.row.state)
        ),
        format!("asked by {} at {}", who(turn.author.id), time(turn.accepted)),
    ];
    if report.asked.is_empty() {
        lines.push("Claude asked nothing.".to_owned());
    }
    for asked in &report.asked {
        let decided = asked.decided.map(|decided| format!(", decided at {}", time(decided)));
        lines.push(String::new());
        lines.push(decision(&asked.question, who));
        lines.push(format!("  asked at {}{}", time(asked.asked), decided.unwrap_or_default()));
        let reason = asked.reason.as_deref().unwrap_or_default().lines();
        let marks = std::iter::once("why:").chain(std::iter::repeat("    "));
        lines.extend(marks.zip(reason).map(|(mark, line)| format!("  {mark} {line}")));
        let mention = format!("<@{}> ", asked.question.asker);
        let text = asked.question.text.strip_prefix(&mention).unwrap_or(&asked.question.text);
        lines.extend(text.lines().map(|line| format!("  {line}")));
    }
    let edits = report.allowed.accept_edits.then(|| "all edits".to_owned());
    let allowed: Vec<String> = report.allowed.rules.iter().cloned().chain(edits).collect();
    if !allowed.is_empty() {
        lines.push(String::new());
        lines.push(format!("allowed in its conversation without asking: {}", allowed.join(", ")));
    }
    lines
}

/// What became of what was asked, and who decided.
fn decision(question: &StoredQuestion, who: impl Fn(UserId) -> String) -> String {
    let is_plan = question.kind == QuestionKind::Plan;
    let is_elicitation = question.kind == QuestionKind::Elicitation;
    let what = match question.state {
        QuestionState::Open => "waits for an answer",
        QuestionState::Allowed if is_plan => "approved",
        QuestionState::Allowed => "allowed once",
        QuestionState::AllowedForSession => "allowed for this session",
        QuestionState::AllowedAlways => "always allowed",
        QuestionState::Denied if is_plan => "not approved",
        QuestionState::Denied if is_elicitation => "declined",
        QuestionState::Expired if is_elicitation => "cancelled",
        QuestionState::Denied | QuestionState::Expired => "denied",
        QuestionState::Dismissed => "cancelled",
        QuestionState::Answered => "answered",
        QuestionState::NotShown => "denied: it was too long to be shown",
        QuestionState::Withdrawn => "withdrawn: the turn was stopped or was over",
        QuestionState::Left => "left open by a restart",
        QuestionState::Resumed => "gone on with after a restart",
    };
    match question.decided_by {
        Some(Decider::Person(person)) => format!("{what} by {}", who(person)),
        Some(Decider::Script) => format!("{what} by a script"),
        Some(Decider::Time) => format!("{what} by the time limit"),
        Some(Decider::Nobody) | None => what.to_owned(),
    }
}

fn state(state: TurnState) -> &'static str {
    match state {
        TurnState::Waiting => "waits",
        TurnState::Running => "runs",
        TurnState::Offered => "on its way into the turn that runs",
        TurnState::Ended(Outcome::Answered) => "answered",
        TurnState::Ended(Outcome::Failed) => "failed",
        TurnState::Ended(Outcome::Cancelled) => "cancelled",
        TurnState::Ended(Outcome::Interrupted) => "interrupted",
        TurnState::Ended(Outcome::Steered) => "answered in another turn",
    }
}

fn time(at: Millis) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
