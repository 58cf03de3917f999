//! What people do with the messages in which Claude asks something: buttons, menus and forms.

use tracing::{debug, warn};

use super::Commands;
use super::access::UserAccess;
use crate::domain::{Approve, Interaction, InteractionKind};
use crate::logging::chain;
use crate::outbox::{Callback, Change};
use crate::respond::RespondError;
use crate::store::{QuestionKey, StoreError};
use crate::turn::{ButtonId, PressEnd, QuestionAct, QuestionPress};
use crate::words::question as words;

impl Commands {
    /// Handles what has passed the gate, where it is done with a question; whether it is.
    pub(super) async fn acted_on_question(&self, asked: &Interaction) -> bool {
        let Some((key, act)) = act(asked) else { return false };
        let is_confirmed = act.press == QuestionPress::SaveRule;
        let answered = match self.answer(asked, key, act).await {
            Ok(PressEnd::Opens(form)) => match self.responders.take(asked.clone()).await {
                Some(responder) => responder.open_form(&form).await,
                None => return true,
            },
            Ok(PressEnd::Confirm(reply)) => match self.responders.take(asked.clone()).await {
                Some(responder) => responder.reply(&reply).await,
                None => return true,
            },
            // The message that asks says what became of it; what only asked once more has nothing left to press.
            Ok(PressEnd::Answered | PressEnd::Noted) => {
                let callback = match is_confirmed {
                    true => Callback::Update(Change::Rows(&[])),
                    false => Callback::DeferUpdate,
                };
                let answered = self.discord.answer(asked, callback).await;
                answered.map(drop).map_err(RespondError::Discord)
            }
            Ok(PressEnd::Nothing) => return self.refuse_answer(asked, words::CHOOSE_FIRST).await,
            Ok(PressEnd::Unfit(said)) => return self.refuse_answer(asked, &said).await,
            Ok(PressEnd::TooLate) => return self.refuse_answer(asked, words::ANSWERED).await,
            Ok(PressEnd::Gone) => return self.refuse_answer(asked, words::CONVERSATION_GONE).await,
            Err(refusal) => return self.refuse_answer(asked, &refusal).await,
        };
        if let Err(error) = answered {
            debug!(id = %asked.id, "a press is not answered: {error}");
        }
        true
    }

    async fn refuse_answer(&self, asked: &Interaction, refusal: &str) -> bool {
        self.responders.refuse(asked, refusal).await;
        true
    }

    async fn answer(
        &self,
        asked: &Interaction,
        key: QuestionKey,
        act: QuestionAct,
    ) -> Result<PressEnd, String> {
        let not_saved = |error: StoreError| {
            warn!(error = chain(&error), "an answer could not be written down");
            words::NOT_SAVED.to_owned()
        };
        let store = &self.turns.store;
        let Some(question) = store.question(key).await.map_err(not_saved)? else {
            return Ok(PressEnd::TooLate);
        };
        let access = UserAccess::of(&self.turns, asked).await;
        let row = store.turn(question.turn).await.map_err(not_saved)?;
        let project = row.and_then(|row| access.scripts.project(&row.turn.project).cloned());
        if !access.may_answer(question.asker, project.as_deref()).await? {
            let is_for_approvers = project.is_some_and(|project| project.approve == Approve::Approvers);
            return Err(match is_for_approvers {
                true => words::FOR_APPROVERS.to_owned(),
                false => words::NOT_YOURS_TO_ANSWER.to_owned(),
            });
        }
        self.turns.act_on_question(key, act).await.map_err(not_saved)
    }
}

/// What was done with which question, where it was one.
fn act(asked: &Interaction) -> Option<(QuestionKey, QuestionAct)> {
    let ButtonId::Question(key, press) = ButtonId::parse(asked.kind.custom_id()?)? else { return None };
    let (values, typed) = match &asked.kind {
        InteractionKind::Press { values, .. } => (values.clone(), None),
        InteractionKind::Form { values, .. } => (Vec::new(), Some(values.clone())),
        InteractionKind::Command(_) | InteractionKind::Autocomplete(..) => return None,
    };
    let message = asked.kind.message()?;
    Some((key, QuestionAct { press, values, typed, by: asked.author.id, interaction: asked.id, message }))
}
