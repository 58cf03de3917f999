//! The buttons below a turn that a usage limit has refused.

use tracing::{debug, info, warn};

use super::Commands;
use super::access::UserAccess;
use crate::domain::{Interaction, InteractionKind};
use crate::logging::chain;
use crate::outbox::Callback;
use crate::turn::{ButtonId, Decision};
use crate::words::limit as words;

impl Commands {
    /// Handles a press that has passed the gate, where it decides about a refused turn; whether it does.
    pub(super) async fn pressed_continuation(&self, press: &Interaction) -> bool {
        let InteractionKind::Press { custom_id, message, .. } = &press.kind else { return false };
        let Some(ButtonId::Refused(turn, decision)) = ButtonId::parse(custom_id) else { return false };
        let refusal = match self.turns.store.turn(turn).await {
            Ok(Some(row)) => {
                let is_theirs = row.turn.author.id == press.author.id;
                if is_theirs || UserAccess::of(&self.turns, press).await.is_operator() {
                    match self.turns.decide(turn, decision, press.id, *message).await {
                        Ok(true) => None,
                        Ok(false) => Some(words::DECIDED),
                        Err(error) => {
                            warn!(error = chain(&error), "a decision could not be written down");
                            Some(words::NOT_DECIDED)
                        }
                    }
                } else {
                    Some(words::NOT_YOURS_TO_CONTINUE)
                }
            }
            Ok(None) => Some(words::DECIDED),
            Err(error) => {
                warn!(error = chain(&error), "cannot tell whose turn a press is about");
                Some(words::NOT_DECIDED)
            }
        };
        match refusal {
            Some(refusal) => self.responders.refuse(press, refusal).await,
            None => {
                let goes_on = decision == Decision::Continue;
                info!(%turn, user = %press.author.id, goes_on, "decided about a refused turn");
                // The message itself says what comes of it.
                if let Err(error) = self.discord.answer(press, Callback::DeferUpdate).await {
                    debug!(id = %press.id, "a press is not answered: {error}");
                }
            }
        }
        true
    }
}
