//! The buttons of a message that waits.

use tracing::{debug, info, warn};

use super::Commands;
use super::access::UserAccess;
use crate::domain::{Interaction, InteractionKind, MessageId};
use crate::logging::chain;
use crate::outbox::Callback;
use crate::store::{TurnRow, TurnState};
use crate::turn::{ButtonId, NotFitting, NotInstead, WaitingWish};
use crate::words::command as words;

impl Commands {
    /// Handles a press that has passed the gate, where it is one of a notice; whether it is.
    pub(super) async fn pressed_notice(&self, press: &Interaction) -> bool {
        let InteractionKind::Press { custom_id, .. } = &press.kind else { return false };
        let Some(ButtonId::Waiting(turn, wish)) = ButtonId::parse(custom_id) else { return false };
        match self.fulfil(press, wish, turn).await {
            Ok(()) => {
                info!(%turn, user = %press.author.id, ?wish, "wished by a button");
                // The notice goes by itself.
                if let Err(error) = self.discord.answer(press, Callback::DeferUpdate).await {
                    debug!(id = %press.id, "a press is not answered: {error}");
                }
            }
            Err(refusal) => self.responders.refuse(press, refusal).await,
        }
        true
    }

    /// Does what whoever asked the waiting turn, or an operator, wishes.
    async fn fulfil(
        &self,
        press: &Interaction,
        wish: WaitingWish,
        turn: MessageId,
    ) -> Result<(), &'static str> {
        let access = UserAccess::of(&self.turns, press).await;
        let row = self.turn_row(turn).await?;
        let still_waits = |row: &TurnRow| matches!(row.state, TurnState::Waiting | TurnState::Offered);
        let Some(row) = row.filter(still_waits) else { return Err(words::WAITS_NO_MORE) };
        if row.turn.author.id != press.author.id && !access.is_operator() {
            return Err(words::NOT_YOURS_TO_DECIDE);
        }
        match wish {
            WaitingWish::TakeOut => {
                let is_out = self.turns.take_out(turn).await.map_err(|error| {
                    warn!(error = chain(&error), "a message that waits cannot be taken out");
                    words::NOT_NOW
                })?;
                is_out.then_some(()).ok_or(words::WAITS_NO_MORE)
            }
            // It is on its way already.
            WaitingWish::SendNow if row.state == TurnState::Offered => Ok(()),
            WaitingWish::SendNow => self.turns.steer_now(turn).await.map_err(|why| match why {
                NotFitting::NothingRuns => words::NOTHING_RUNS,
                NotFitting::Gone => words::WAITS_NO_MORE,
                NotFitting::HasFiles => words::HAS_FILES,
                NotFitting::OtherProject => words::OTHER_PROJECT,
                NotFitting::OtherModel => words::OTHER_MODEL,
                NotFitting::OtherSession => words::OTHER_SESSION,
                NotFitting::MayBeOld => words::MAY_BE_OLD,
                NotFitting::Budget => words::OWN_BUDGET,
                NotFitting::AskerSpent => words::ASKER_SPENT,
                NotFitting::Gate => words::NO_ACCESS_ANY_MORE,
                NotFitting::Spent(_) | NotFitting::Unknown => words::NOT_NOW,
            }),
            WaitingWish::Instead if self.turns.is_taken_in(turn) => Err(words::WAITS_NO_MORE),
            WaitingWish::Instead => {
                let running = self.turns.running(row.turn.channel).filter(|running| *running != turn);
                let Some(running) = running else { return Err(words::NOTHING_RUNS) };
                let other = self.turn_row(running).await?;
                let Some(other) = other else { return Err(words::NOTHING_RUNS) };
                if !access.may_stop(other.turn.author.id, &other.turn.project).await {
                    return Err(words::NOT_YOURS_TO_STOP);
                }
                self.turns.go_instead(running, turn).await.map_err(|why| match why {
                    NotInstead::EndsAlready => words::ENDS_ALREADY,
                    NotInstead::Spent => words::NOTHING_LEFT,
                })
            }
        }
    }

    async fn turn_row(&self, turn: MessageId) -> Result<Option<TurnRow>, &'static str> {
        self.turns.store.turn(turn).await.map_err(|error| {
            warn!(error = chain(&error), "cannot tell whose turn is meant");
            words::NOT_NOW
        })
    }
}
