//! How a turn ends: its outcome, and what is said of it.

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::hooks::TurnHooks;
use super::task::Task;
use super::turn_text::{Most, TurnText};
use super::written::until_written;
use super::{Stop, StopReason, Turns};
use crate::agent::{AskEnd, AskResult, Failure};
use crate::domain::{Format, MessageId, Outcome};
use crate::store::{Finished, PromptMessage, StoreError, Turn, Unwanted};
use crate::words;

/// The note that says who asked, if the reply itself does not show it.
pub fn asker(turn: &Turn) -> Option<String> {
    let shows_who_asked = turn.prompt_message == PromptMessage::Theirs && !turn.thread.is_open();
    (!shows_who_asked).then(|| words::for_person(turn.author.id))
}

/// The outcome, and all that the person gets: the answer or what was written so far, what went wrong, and the notes.
pub async fn what_to_say(
    asked: AskResult,
    is_offered: bool,
    stop: &Stop,
    hooks: &TurnHooks,
    message: MessageId,
    notes: Vec<String>,
) -> (Outcome, TurnText) {
    let AskResult { end, partial, .. } = asked;
    let (outcome, wrong) = match end {
        AskEnd::Answered(answer) => {
            let answer = hooks.answer(answer).await;
            return (Outcome::Answered, TurnText { answer, notes, ..TurnText::default() });
        }
        // When it is reset, and what comes of that, is said by the offer.
        AskEnd::Failed(Failure::UsageLimit { text, .. }) if is_offered => {
            info!(%text, "the usage limit is reached");
            (Outcome::Failed, words::limit::usage_limit())
        }
        AskEnd::Failed(failure) => {
            error!(error = ?failure, "the agent failed");
            (Outcome::Failed, failure.redacted(|text| hooks.redact(text)).sentence())
        }
        AskEnd::Stopped => match stop.reason() {
            Some(StopReason::Deleted) => return (Outcome::Cancelled, cancelled(Unwanted::Deleted)),
            Some(StopReason::Asked) => {
                return (
                    Outcome::Cancelled,
                    TurnText { answer: partial, notes, ..cancelled(Unwanted::Stopped) },
                );
            }
            _ => (Outcome::Interrupted, words::interrupted()),
        },
    };
    let sentence = words::failure(&hooks.error(wrong).await, message);
    (outcome, TurnText { answer: partial, sentence, notes, ..TurnText::default() })
}

/// What is said about a turn that nobody wants any more. This is not a failure.
pub fn cancelled(why: Unwanted) -> TurnText {
    let sentence = match why {
        Unwanted::Deleted => String::new(),
        Unwanted::Stopped => words::stopped(),
    };
    TurnText { sentence, ..TurnText::default() }
}

/// The end of a turn that nobody wants any more, before it has said anything.
pub fn unwanted(why: Unwanted) -> Finished {
    cancelled(why).finished(Outcome::Cancelled, None, &Format::default(), Most::default())
}

/// The end of a turn with nothing to say but what went wrong.
pub fn finished_with(outcome: Outcome, sentence: &str, task: Task, note: Option<String>) -> Finished {
    let sentence = words::failure(sentence, task.message);
    let said = TurnText { sentence, notes: Vec::from_iter(note), ..TurnText::default() };
    said.finished(outcome, None, &Format::default(), Most::default())
}

/// Writes down the end of a turn that will not be asked any more.
pub async fn tell_end(
    turns: &Turns,
    task: Task,
    outcome: Outcome,
    mut sentence: String,
) -> Result<(), StoreError> {
    let mut note = None;
    let for_ever = CancellationToken::new();
    let read =
        || async { Ok((turns.store.turn(task.message).await?, turns.store.channel(task.channel).await?)) };
    if let (Some(row), channel) = until_written(turns, &for_ever, read).await? {
        let project = turns.scripts.borrow().project(&row.turn.project).cloned();
        sentence = TurnHooks::begin(turns, &row.turn, channel, project.as_deref()).error(sentence).await;
        note = asker(&row.turn);
    }
    finish(turns, task, finished_with(outcome, &sentence, task, note)).await
}

/// Writes down the end of a turn, however long the database fails: nothing is said before it is written.
pub async fn finish(turns: &Turns, task: Task, end: Finished) -> Result<(), StoreError> {
    let for_ever = CancellationToken::new();
    until_written(turns, &for_ever, || turns.store.finish(task.message, end.clone())).await.map(drop)
}
