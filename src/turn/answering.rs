//! Answers to what Claude asks: by a press, a menu, a form or a reply, also after a restart.

use std::sync::Arc;

use tracing::{info, warn};

use super::answers;
use super::buttons::QuestionPress;
use super::elicited::{self, ElicitedPress};
use super::picks::Picks;
use super::questions::OpenQuestion;
use super::step::Step;
use super::task::Task;
use super::{Turns, enter};
use crate::agent::{QuestionAbout, QuestionAnswer};
use crate::domain::{Form, FormValues, InteractionId, Message, MessageId, Reply, UserId};
use crate::logging::chain;
use crate::store::{Decider, QuestionEnd, QuestionKey, QuestionKind, QuestionState, Resumption, StoreError};
use crate::words::question as words;

/// What comes of a press on a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PressEnd {
    Answered,
    /// It opens this form.
    Opens(Form),
    /// It is to be confirmed: this is shown to whoever pressed.
    Confirm(Box<Reply>),
    /// It was chosen, and nothing is answered yet.
    Noted,
    /// Nothing was chosen.
    Nothing,
    /// What was chosen or typed does not do; what is said about it.
    Unfit(String),
    /// It was answered before, or is not asked any more.
    TooLate,
    /// The bot was restarted since, and the conversation is gone.
    Gone,
}

/// What somebody did with a question's message.
#[derive(Debug, Clone)]
pub struct QuestionAct {
    pub press: QuestionPress,
    /// The options that were chosen from a menu.
    pub values: Vec<String>,
    /// What was filled in, where the press has opened a form before.
    pub typed: Option<FormValues>,
    pub by: UserId,
    pub interaction: InteractionId,
    /// The message that asks.
    pub message: MessageId,
}

impl Turns {
    /// Takes a reply to the message of a choice as the answer to all of it; whether it is one, now or before. What somebody
    /// writes there who may not answer is a message like any other.
    pub(super) async fn take_reply(&self, message: &Message) -> Result<bool, StoreError> {
        let Some(replied) = message.reply_to else { return Ok(false) };
        if self.store.has_answered(message.id).await? {
            return Ok(true);
        }
        let is_it = |open: &Arc<OpenQuestion>| {
            open.posted.get() == Some(&replied) && matches!(open.about, QuestionAbout::Choices(_))
        };
        let found =
            self.questions().iter().find(|(_, open)| is_it(open)).map(|(key, open)| (*key, open.turn));
        let words = message.text.trim();
        let Some((key, turn)) = found.filter(|_| !words.is_empty()) else { return Ok(false) };
        let Some(row) = self.store.turn(turn).await? else { return Ok(false) };
        let scripts = self.scripts.borrow().clone();
        let Some(project) = scripts.project(&row.turn.project) else { return Ok(false) };
        let is_let_in = self.gate.judge(&scripts, Some(project), &message.author).admitted();
        let is_theirs = project.approve.lets_answer(row.turn.author.id, message.author.id);
        if !is_let_in || !(is_theirs || self.gate.judge_by(&project.approvers, &message.author).admitted()) {
            return Ok(false);
        }
        let answer = QuestionAnswer::Words(words.to_owned());
        let end = QuestionEnd::new(QuestionState::Answered, Decider::Person(message.author.id));
        self.settle(key, answer, QuestionEnd { reply: Some(message.id), ..end }).await
    }

    /// Takes in what somebody did with a question's message who may answer it.
    ///
    /// # Errors
    /// If the database fails: nothing is answered.
    pub async fn act_on_question(
        &self,
        key: QuestionKey,
        mut act: QuestionAct,
    ) -> Result<PressEnd, StoreError> {
        let open = self.questions().get(&key).cloned();
        if let Some(open) = open {
            if act.press == QuestionPress::ApproveAndEdit && !self.takes_edits(&open.project) {
                // The scripts have changed since it was asked.
                act.press = QuestionPress::Approve;
            }
            return Ok(match self.answer_of(key, &open.about, &act) {
                Ok((answer, state)) => {
                    let reason = answers::reason(act.press, act.typed.as_ref());
                    let end = QuestionEnd { reason, ..QuestionEnd::new(state, Decider::Person(act.by)) };
                    match self.settle(key, answer, end).await? {
                        true => PressEnd::Answered,
                        false => PressEnd::TooLate,
                    }
                }
                Err(end) => end,
            });
        }
        let question = self.store.question(key).await?;
        let Some(question) = question.filter(|question| question.state == QuestionState::Left) else {
            return Ok(PressEnd::TooLate);
        };
        let prompt = match answers::about(&question) {
            None => (act.press == QuestionPress::GoOn).then(|| {
                let is_elicitation = question.kind == QuestionKind::Elicitation;
                let again = if is_elicitation { words::CALL_AGAIN } else { words::ASK_AGAIN };
                again.to_owned()
            }),
            Some(about) => match self.answer_of(key, &about, &act) {
                Ok((answer, _)) => answers::in_words(&answer),
                Err(end) => return Ok(end),
            },
        };
        match prompt {
            Some(prompt) => self.resume_question(key, &act, prompt).await,
            None => Ok(PressEnd::TooLate),
        }
    }

    /// What this answers; or what comes of it where it is no answer yet.
    fn answer_of(
        &self,
        key: QuestionKey,
        about: &QuestionAbout,
        act: &QuestionAct,
    ) -> Result<(QuestionAnswer, QuestionState), PressEnd> {
        let mut unsent = self.0.unsent.lock();
        if let QuestionPress::Menu(number) = act.press {
            let chosen = act.values.iter().filter_map(|value| value.parse().ok()).collect();
            unsent.picks.entry(key).or_default().insert(number, chosen);
            return Err(PressEnd::Noted);
        }
        let (nothing, untyped) = (Picks::new(), FormValues::new());
        let picks = unsent.picks.get(&key).unwrap_or(&nothing);
        if let QuestionAbout::Elicitation(elicitation) = about {
            let before = unsent.typed.get(&(key, act.by)).unwrap_or(&untyped);
            return match elicited::press(key, elicitation, act.press, picks, act.typed.as_ref(), before) {
                ElicitedPress::Answers(answer, state) => Ok((answer, state)),
                ElicitedPress::Opens(form) => Err(PressEnd::Opens(form)),
                ElicitedPress::Nothing => Err(PressEnd::TooLate),
                ElicitedPress::Unfit(said) => {
                    unsent.typed.extend(act.typed.clone().map(|typed| ((key, act.by), typed)));
                    Err(PressEnd::Unfit(said))
                }
            };
        }
        if let Some(reply) = answers::confirmation(key, act.press, about) {
            return Err(PressEnd::Confirm(Box::new(reply)));
        }
        let shown = answers::without_secrets(about, |text| self.outbox.redact(text).into_owned());
        if let (None, Some(form)) = (&act.typed, answers::form(key, act.press, &shown)) {
            return Err(PressEnd::Opens(form));
        }
        let typed = act.typed.as_ref().unwrap_or(&untyped);
        let answer = answers::answer(about, act.press, picks, typed);
        answer.ok_or(match act.press {
            QuestionPress::Send | QuestionPress::Other => PressEnd::Nothing,
            _ => PressEnd::TooLate,
        })
    }

    /// Goes on where a restart has left a question, once.
    async fn resume_question(
        &self,
        key: QuestionKey,
        act: &QuestionAct,
        prompt: String,
    ) -> Result<PressEnd, StoreError> {
        let turn = MessageId::new(act.interaction.get()).expect("the id of an interaction is not 0");
        match self.store.resume_question(key, act.by, act.message, turn, prompt).await? {
            Resumption::Begins(turn) => {
                info!(id = %turn.message.short(), channel = %turn.channel, "goes on with what a restart has left");
                if matches!(act.press, QuestionPress::Approve | QuestionPress::ApproveAndEdit) {
                    let edits = act.press == QuestionPress::ApproveAndEdit;
                    if let Err(error) = self.keep_mode(key, turn.channel, &turn.project, edits).await {
                        warn!(
                            error = chain(&error),
                            "the mode that comes of a plan could not be written down"
                        );
                    }
                }
                enter::enter(self, Task::of_waiting(&turn), Step::Ask(None));
                self.0.unsent.lock().forget(key);
                let of_task = self.clone();
                self.0.tasks.spawn(async move { of_task.show_question(key).await });
                Ok(PressEnd::Answered)
            }
            Resumption::Gone => Ok(PressEnd::Gone),
            Resumption::TooLate => Ok(PressEnd::TooLate),
        }
    }
}
