//! Turns that a usage limit has refused: what is offered, what has come of it, and how their answers show that. What begins
//! them again is in `continuation.rs`.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, error};

use super::Turns;
use super::buttons::{ButtonId, Decision};
use crate::agent::{AskEnd, AskResult, Failure};
use crate::domain::{ButtonStyle, InteractionId, MessageId, Row};
use crate::logging::chain;
use crate::outbox::Refused;
use crate::store::{Continuation, Finished, Millis, Offer, PromptMessage, RefusedTurn, StoreError, Turn};
use crate::text;
use crate::words::limit as words;

/// The wait before something that has failed is tried again.
pub const TRY_AGAIN: Duration = Duration::from_secs(30);
/// No limit has a window of more than a week. What is said to be reset later than this is not believed.
const LONGEST_WINDOW: u64 = 14 * 24 * 60 * 60;

/// What the buttons are, as long as there is something to decide.
pub fn rows(turn: MessageId, continuation: Continuation) -> Vec<Row> {
    let button = |label: &str, decision, style| ButtonId::Refused(turn, decision).button(label, style);
    match continuation {
        Continuation::Offered(_) => vec![Row::Buttons(vec![
            button(words::CONTINUE_THEN, Decision::Continue, ButtonStyle::Primary),
            button(words::LEAVE_IT, Decision::Leave, ButtonStyle::Secondary),
        ])],
        Continuation::Wanted(_) => {
            vec![Row::Buttons(vec![button(words::CANCEL, Decision::Leave, ButtonStyle::Secondary)])]
        }
        Continuation::Left(_) | Continuation::Begun | Continuation::Dropped => Vec::new(),
    }
}

/// The last part of a refused turn's answer, as it is shown now.
pub fn with_what_comes_of_it(part: &str, continuation: Continuation) -> String {
    let line = words::what_comes_of_it(continuation);
    if part.is_empty() { line } else { format!("{part}\n{line}") }
}

/// What is offered after a turn that ended like this; nothing where it is not known when the limit is reset, or in which
/// session the prompt is.
pub fn offer(asked: &AskResult) -> Option<Offer> {
    let AskEnd::Failed(Failure::UsageLimit { resets: Some(resets), .. }) = asked.end else { return None };
    let latest = u64::try_from(Millis::now().0 / 1000).unwrap_or(0) + LONGEST_WINDOW;
    let session = asked.session.as_ref()?.id;
    (resets <= latest).then_some(Offer { session, resets })
}

/// What is said of usage limits below a turn: that one is near, once in its window, and that the turn goes on after one. A
/// failure of the database costs a note and not the answer, for the agent has worked.
pub async fn notes(turns: &Turns, turn: &Turn, asked: &AskResult) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(warning), AskEnd::Answered(_)) = (&asked.limit_warning, &asked.end)
        && turns.store.is_first_warning(warning.kind.clone(), warning.resets).await.unwrap_or(false)
    {
        notes.push(words::warning(&warning.kind, warning.used, warning.resets));
    }
    if matches!(turn.prompt_message, PromptMessage::Posted(_))
        && turns.store.is_continuation(turn.message).await.unwrap_or(false)
    {
        notes.push(words::goes_on());
    }
    notes
}

/// The end of a refused turn with its offer, and with a part that has room for it.
pub fn offered(mut end: Finished, offer: Option<Offer>) -> Finished {
    let Some(Offer { resets, .. }) = offer else { return end };
    let fits = |part: &String| {
        // The longest that may come of it.
        let longest =
            [Continuation::Offered(resets), Continuation::Dropped].map(|it| with_what_comes_of_it(part, it));
        longest.iter().all(|text| text::units(text) <= text::LIMIT)
    };
    if !end.parts.last().is_some_and(fits) {
        end.parts.push(String::new());
    }
    let beside_file = end.file.as_ref().is_none_or(|file| fits(&file.text));
    Finished { offer: offer.filter(|_| beside_file), ..end }
}

/// Reads from the store when the next one is due.
pub async fn look_again(turns: &Turns) {
    match turns.store.next_continuation().await {
        Ok(next) => drop(turns.0.continues.send_replace(next)),
        Err(error) => error!(error = chain(&error), "cannot tell when the next turn is to go on"),
    }
}

/// Shows everywhere what has come of refused turns, in the background.
pub fn show_all(turns: &Turns) {
    let of_task = turns.clone();
    turns.0.tasks.spawn(async move {
        match of_task.store.refused_turns_to_show().await {
            Ok(refused) => {
                for turn in refused {
                    show(&of_task, turn).await;
                }
            }
            Err(error) => error!(error = chain(&error), "cannot tell which answers are out of date"),
        }
    });
}

/// The message is deleted: the refused turn that answers it does not go on.
pub async fn deleted(turns: &Turns, prompt_message: MessageId) {
    match turns.store.drop_continuation_of(prompt_message).await {
        Ok(true) => {
            look_again(turns).await;
            show_all(turns);
        }
        Ok(false) => {}
        // That it is deleted is seen when it is due.
        Err(error) => error!(error = chain(&error), "a deletion could not be written down"),
    }
}

/// Shows what has come of one refused turn, however long Discord takes; what somebody decides meanwhile is shown instead.
async fn show(turns: &Turns, mut turn: RefusedTurn) {
    let mut posted = turn.posted;
    loop {
        let Some(message) = posted else { return };
        let shown = turn.continuation;
        let text = with_what_comes_of_it(&turn.text, shown);
        match turns.outbox.edit(turn.channel, message, &text, &rows(turn.message, shown)).await {
            Ok(()) | Err(Refused::NotFound { .. }) => {
                if let Err(error) = turns.store.set_shown_continuation(turn.message, shown).await {
                    return debug!(error = chain(&error), "cannot record what an answer shows");
                }
                match turns.store.refused_turn(turn.message).await {
                    Ok(Some(newer)) if newer.continuation != shown => turn = newer,
                    _ => return,
                }
            }
            Err(refused) if refused.is_passing() => {
                debug!(%refused, "what has come of a refused turn is not shown yet");
                tokio::select! {
                    // The next bot shows it.
                    () = turns.0.ending.cancelled() => return,
                    () = sleep(TRY_AGAIN) => {}
                }
                match turns.store.refused_turn(turn.message).await {
                    Ok(Some(newer)) => turn = newer,
                    _ => return,
                }
            }
            Err(refused) => return debug!(%refused, "what has come of a refused turn is not shown"),
        }
        posted = turn.posted.or(posted);
    }
}

impl Turns {
    /// Writes down what somebody has decided about a refused turn, by this press on this message, and has it shown.
    /// `false`: it was decided before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn decide(
        &self,
        turn: MessageId,
        decision: Decision,
        press: InteractionId,
        pressed: MessageId,
    ) -> Result<bool, StoreError> {
        let Some(RefusedTurn { continuation, .. }) = self.store.refused_turn(turn).await? else {
            return Ok(false);
        };
        let decided = match (decision, continuation) {
            (Decision::Continue, Continuation::Offered(resets)) => {
                let due = self.due(turn, resets).await?;
                let id = MessageId::new(press.get()).expect("the id of an interaction is not 0");
                self.store.want_continuation(turn, id, due).await?
            }
            (Decision::Continue, _) => false,
            (Decision::Leave, _) => self.store.leave_continuation(turn).await?,
        };
        if decided {
            look_again(self).await;
            if let Some(refused) = self.store.refused_turn(turn).await? {
                // The bot may have died before it recorded the message.
                let refused = RefusedTurn { posted: refused.posted.or(Some(pressed)), ..refused };
                let of_task = self.clone();
                self.0.tasks.spawn(async move { show(&of_task, refused).await });
            }
        }
        Ok(decided)
    }

    /// When a refused turn is to go on: at the reset, or now where that is over, and a random part of the project's
    /// `continue_spread` later.
    async fn due(&self, turn: MessageId, resets: u64) -> Result<Millis, StoreError> {
        let row = self.store.turn(turn).await?;
        let project = row.and_then(|row| self.scripts.borrow().project(&row.turn.project).cloned());
        let spread = project.map_or(Duration::ZERO, |project| project.limits.continue_spread);
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX - 1);
        let part = uuid::Uuid::new_v4().as_u64_pair().0 % (spread + 1);
        let resets = i64::try_from(resets.saturating_mul(1000)).unwrap_or(i64::MAX);
        let from = resets.max(Millis::now().0);
        Ok(Millis(from.saturating_add(i64::try_from(part).unwrap_or(i64::MAX))))
    }
}
