//! The button of a live line: it stops a turn at work, and takes one out that waits.

use tracing::{debug, info, warn};

use super::Commands;
use super::access::UserAccess;
use crate::domain::{Interaction, InteractionKind, MessageId};
use crate::logging::chain;
use crate::outbox::Callback;
use crate::store::TurnState;
use crate::turn::ButtonId;
use crate::words::command as words;

impl Commands {
    /// Handles a press that has passed the gate, where it is one of a Stop button; whether it is.
    pub(super) async fn pressed_stop(&self, press: &Interaction) -> bool {
        let InteractionKind::Press { custom_id, .. } = &press.kind else { return false };
        let Some(ButtonId::Stop(turn)) = ButtonId::parse(custom_id) else { return false };
        match self.stop_for(press, turn).await {
            Ok(()) => {
                info!(%turn, user = %press.author.id, "stopped by its button");
                // The line itself says that it stops.
                if let Err(error) = self.discord.answer(press, Callback::DeferUpdate).await {
                    debug!(id = %press.id, "a press is not answered: {error}");
                }
            }
            Err(refusal) => self.responders.refuse(press, refusal).await,
        }
        true
    }

    /// Stops the turn for whoever may.
    async fn stop_for(&self, press: &Interaction, turn: MessageId) -> Result<(), &'static str> {
        let row = self.turns.store.turn(turn).await.map_err(|error| {
            warn!(error = chain(&error), "cannot tell whose turn is to be stopped");
            words::NOT_STOPPED
        })?;
        let Some(row) = row else { return Err(words::NOTHING_TO_STOP) };
        if !UserAccess::of(&self.turns, press).await.may_stop(row.turn.author.id, &row.turn.project).await {
            return Err(words::NOT_YOURS_TO_STOP);
        }
        // One that waits has said nothing yet, and says nothing.
        let is_out = row.state == TurnState::Waiting && self.turns.take_out(turn).await.unwrap_or(false);
        (is_out || self.turns.stop_work(turn).await).then_some(()).ok_or(words::NOTHING_TO_STOP)
    }
}
