//! The buttons below what Claude asks.

use tracing::{debug, warn};

use super::Commands;
use super::access::UserAccess;
use crate::domain::{Approve, Interaction, InteractionKind, MessageId};
use crate::logging::chain;
use crate::outbox::Callback;
use crate::store::{QuestionKey, StoreError};
use crate::turn::{ButtonId, PressEnd, QuestionPress};
use crate::words::question as words;

impl Commands {
    /// Handles a press that has passed the gate, where it answers a question; whether it does.
    pub(super) async fn pressed_question(&self, press: &Interaction) -> bool {
        let InteractionKind::Press { custom_id, message, .. } = &press.kind else { return false };
        let Some(ButtonId::Question(key, what)) = ButtonId::parse(custom_id) else { return false };
        match self.answer(press, *message, key, what).await {
            Ok(()) => {
                // The message itself says what became of it.
                if let Err(error) = self.discord.answer(press, Callback::DeferUpdate).await {
                    debug!(id = %press.id, "a press is not answered: {error}");
                }
            }
            Err(refusal) => self.responders.refuse(press, &refusal).await,
        }
        true
    }

    async fn answer(
        &self,
        press: &Interaction,
        message: MessageId,
        key: QuestionKey,
        what: QuestionPress,
    ) -> Result<(), String> {
        let not_saved = |error: StoreError| {
            warn!(error = chain(&error), "an answer could not be written down");
            words::NOT_SAVED.to_owned()
        };
        let store = &self.turns.store;
        let Some(question) = store.question(key).await.map_err(not_saved)? else {
            return Err(words::ANSWERED.to_owned());
        };
        let access = UserAccess::of(&self.turns, press).await;
        let row = store.turn(question.turn).await.map_err(not_saved)?;
        let project = row.and_then(|row| access.scripts.project(&row.turn.project).cloned());
        if !access.may_answer(question.asker, project.as_deref()).await? {
            let is_for_approvers = project.is_some_and(|project| project.approve == Approve::Approvers);
            return Err(match is_for_approvers {
                true => words::FOR_APPROVERS.to_owned(),
                false => words::NOT_YOURS_TO_ANSWER.to_owned(),
            });
        }
        match self
            .turns
            .press_question(key, what, (press.author.id, press.id, message))
            .await
            .map_err(not_saved)?
        {
            PressEnd::Answered => Ok(()),
            PressEnd::TooLate => Err(words::ANSWERED.to_owned()),
            PressEnd::Gone => Err(words::CONVERSATION_GONE.to_owned()),
        }
    }
}
