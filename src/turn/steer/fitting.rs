//! Whether a message may go into the turn that runs: it would do there what it does by itself, and somebody can pay.

use super::OpenTurn;
use crate::domain::{Quoted, is_blank};
use crate::store::{StoreError, Turn, TurnRow, TurnState};
use crate::turn::hooks::TurnHooks;
use crate::turn::task::Task;
use crate::turn::{Turns, budget, prompt};

/// Why a message cannot go into the turn that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFitting {
    /// There is no turn into which it could go.
    NothingRuns,
    /// It does not wait any more.
    Gone,
    /// What it holds or refers to besides its words may take long to fetch, or turn out to be unreadable.
    HasFiles,
    /// It is for another project, or the project was changed meanwhile.
    OtherProject,
    /// It is for another model or permission mode.
    OtherModel,
    /// It is to begin a new conversation, or is the first after a reset.
    OtherSession,
    /// It has waited over a restart or an outage, so it may have been edited.
    MayBeOld,
    /// Money is counted by turn there, and so each has an agent of its own.
    Budget,
    /// No budget is left for its author; what they are told.
    Spent(String),
    /// Whoever asked for the turn that runs would pay, and has no budget left.
    AskerSpent,
    /// Its author has lost access.
    Gate,
    /// The database fails, or Discord does not say who its author is now.
    Unknown,
}

/// Whether a turn would do in the other one what it does by itself.
pub async fn fits(turns: &Turns, turn: &Turn, open: &OpenTurn) -> Result<(), NotFitting> {
    let known = async {
        let channel = turns.store.channel(turn.channel).await?;
        Ok::<_, StoreError>((channel.choice, turns.store.session(turn.channel, &turn.project).await?))
    };
    let (choice, session) = known.await.map_err(|_| NotFitting::Unknown)?;
    let project = turns.scripts.borrow().project(&turn.project).cloned();
    let Some(project) = project.filter(|project| *project == open.project) else {
        return Err(NotFitting::OtherProject);
    };
    let quotes_more = |quoted: &Quoted| !quoted.attachments.is_empty() || quoted.is_withheld();
    if !turn.attachments.is_empty() || turn.quoted.as_ref().is_some_and(quotes_more) {
        return Err(NotFitting::HasFiles);
    }
    if project.max_usd.is_some() {
        return Err(NotFitting::Budget);
    }
    if turn.fresh || session.is_none_or(|session| session.id != open.session) {
        return Err(NotFitting::OtherSession);
    }
    let model = turn.chosen_model(&choice, &project);
    if model != open.model || choice.within(&project).permission_mode != open.mode {
        return Err(NotFitting::OtherModel);
    }
    Ok(())
}

/// The turn and its prompt, if it may go into the other one now.
pub async fn fitting(turns: &Turns, task: Task, open: &OpenTurn) -> Result<(Turn, String), NotFitting> {
    let row = turns.store.turn(task.message).await.map_err(|_| NotFitting::Unknown)?;
    let Some(TurnRow { turn, state: TurnState::Waiting, .. }) = row else { return Err(NotFitting::Gone) };
    fits(turns, &turn, open).await?;
    is_let_in(turns, &turn, open).await?;
    has_budget(turns, &turn, open).await?;
    let channel = turns.store.channel(turn.channel).await.map_err(|_| NotFitting::Unknown)?;
    let hooks = TurnHooks::begin(turns, &turn, channel, Some(&open.project));
    let composed = prompt::compose(turns, &turn, &open.project, open.session).await;
    let prompt = hooks.prompt(composed.prompt.text).await;
    match is_blank(&prompt) {
        true => Err(NotFitting::HasFiles),
        false => Ok((turn, prompt)),
    }
}

/// Whether the gate lets the message's author begin a turn now.
pub async fn is_let_in(turns: &Turns, turn: &Turn, open: &OpenTurn) -> Result<(), NotFitting> {
    let scripts = turns.scripts.borrow().clone();
    match turns.gate.lets_begin(&scripts, &open.project, turn.channel, turn.author.id).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotFitting::Gate),
        Err(_) => Err(NotFitting::Unknown),
    }
}

/// Whether the message's author could begin a turn now, and whoever pays for the one that runs could, too.
pub async fn has_budget(turns: &Turns, turn: &Turn, open: &OpenTurn) -> Result<(), NotFitting> {
    let refusal =
        async |person| budget::refusal(turns, person, &open.project).await.map_err(|_| NotFitting::Unknown);
    if let Some(sentence) = refusal(turn.author.id).await? {
        return Err(NotFitting::Spent(sentence));
    }
    match refusal(open.asker).await? {
        Some(_) => Err(NotFitting::AskerSpent),
        None => Ok(()),
    }
}
