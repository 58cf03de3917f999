//! A message that goes into the turn that runs.
//!
//! # Theory of operation
//! A turn at work is an [`OpenTurn`] of its channel. A message that waits there, and whose project has it so or whose
//! author presses the button, is offered to it by its own task: written down as offered ([`Store::offer`]), then sent to
//! the agent. From then on only the agent's own word decides, and no clock:
//!
//! - it has taken the message in: the message is answered by that turn, and ends with it as steered;
//! - it has given it back, because the message was edited, deleted or taken out, or the turn was stopped: it waits as before;
//! - the turn is over and the agent has neither: it goes on with the message by itself. So the message's own turn has begun;
//!   it gets lane and slot from the one before, and reads on in the same agent.
//!
//! Whoever asked for the turn pays for the message, too; but it does not go in unless its author could begin a turn as well.
//!
//! What became of an offered message is written in one step with the end of the turn ([`Store::finish_with`]). After a
//! crash in between nobody knows whether the agent had it, so its person is told, and it is not asked again.
//!
//! [`Store::offer`]: crate::store::Store::offer
//! [`Store::finish_with`]: crate::store::Store::finish_with

mod fitting;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub use fitting::NotFitting;
use fitting::{fits, fitting, has_budget, is_let_in};

use super::task::Task;
use super::written::until_written;
use super::{Stop, Turns};
use crate::agent::{Ask, AskResult, Further, Progress, PromptId, SessionStart};
use crate::domain::{Busy, ChannelId, MessageId, PermissionMode, Project, SessionId, UserId};
use crate::lane::Ticket;
use crate::logging::chain;
use crate::store::{Finished, SteeringEnd, StoreError, Turn, TurnRow, TurnState};
use crate::words;

/// The reaction on a message that is in the turn that runs.
const TAKEN_IN: &str = "👀";

/// A turn at work, and the way into it.
pub struct OpenTurn {
    turn: MessageId,
    /// Whoever pays for what is in it.
    asker: UserId,
    /// What its agent works with: another turn that would have something else cannot go in.
    pub project: Arc<Project>,
    pub session: SessionId,
    model: Option<String>,
    mode: Option<PermissionMode>,
    further: mpsc::UnboundedSender<Further>,
    /// Held while a message is on its way.
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
    /// Cancelled once no further message can come.
    closed: CancellationToken,
    sent: Mutex<Vec<SentMessage>>,
}

struct SentMessage {
    turn: MessageId,
    author: UserId,
    id: PromptId,
    phase: watch::Sender<Phase>,
}

/// Where a message is that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    OnItsWay,
    TakenIn,
    GivenBack,
    /// The turn is over, and this is written; `None` where it is not: something broke.
    Over(Option<SteeringEnd>),
}

impl OpenTurn {
    /// Something happened in the turn.
    pub fn hear(&self, step: &Progress) {
        let (id, phase) = match step {
            Progress::TookIn(id) => (*id, Phase::TakenIn),
            Progress::GaveBack(id) => (*id, Phase::GivenBack),
            _ => return,
        };
        if let Some(sent) = self.sent.lock().iter().find(|sent| sent.id == id) {
            sent.phase.send_replace(phase);
        }
    }

    /// The way to the agent.
    pub fn further(&self) -> mpsc::UnboundedSender<Further> {
        self.further.clone()
    }

    /// Lets a message in; none once the turn is over.
    fn register(&self, task: Task, id: PromptId) -> Option<watch::Receiver<Phase>> {
        let mut sent = self.sent.lock();
        if self.closed.is_cancelled() {
            return None;
        }
        let phase = watch::Sender::new(Phase::OnItsWay);
        let heard = phase.subscribe();
        sent.push(SentMessage { turn: task.message, author: task.author, id, phase });
        Some(heard)
    }

    fn has(&self, turn: MessageId) -> bool {
        self.sent.lock().iter().any(|sent| sent.turn == turn)
    }

    fn forget(&self, id: PromptId) {
        self.sent.lock().retain(|sent| sent.id != id);
    }
}

/// The same for the turn itself: it is open from [`OpeningTurn::open`] to the end of its agent's work.
pub struct OpeningTurn {
    turns: Turns,
    channel: ChannelId,
    pub way: Arc<OpenTurn>,
}

impl OpeningTurn {
    /// The way into a turn that is about to ask this, closed as yet; and what comes in by it.
    pub fn new(turns: &Turns, turn: &Turn, ask: &Ask) -> (Self, mpsc::UnboundedReceiver<Further>) {
        let (further, coming) = mpsc::unbounded_channel();
        let (SessionStart::New(session) | SessionStart::Live(session)) = ask.session;
        let way = OpenTurn {
            turn: turn.message,
            asker: turn.author.id,
            project: Arc::clone(&ask.project),
            session,
            model: ask.model.clone(),
            mode: ask.permission_mode,
            further,
            one_at_a_time: Arc::default(),
            closed: CancellationToken::new(),
            sent: Mutex::default(),
        };
        (Self { turns: turns.clone(), channel: ask.channel, way: Arc::new(way) }, coming)
    }

    /// The turn is written as running: messages may come.
    pub fn open(&self) {
        self.turns.0.open.send_modify(|open| drop(open.insert(self.channel, Arc::clone(&self.way))));
    }

    /// The agent is done: nothing comes in any more.
    pub fn close(&self) {
        // Under the lock, so that nobody is let in who will not hear how it ended.
        let sent = self.way.sent.lock();
        self.way.closed.cancel();
        drop(sent);
        let is_this = |it: &Arc<OpenTurn>| Arc::ptr_eq(it, &self.way);
        self.turns.0.open.send_if_modified(|open| {
            open.get(&self.channel).is_some_and(is_this) && open.remove(&self.channel).is_some()
        });
    }

    /// What became of the messages that were sent, as the agent's work has ended.
    pub fn ends(&self, asked: &AskResult) -> Vec<(MessageId, SteeringEnd)> {
        let end = |sent: &SentMessage| match sent.id {
            id if asked.taken_in.contains(&id) => SteeringEnd::Steered,
            id if asked.goes_on == Some(id) => SteeringEnd::GoesOn,
            _ => SteeringEnd::Waits,
        };
        self.way.sent.lock().iter().map(|sent| (sent.turn, end(sent))).collect()
    }

    /// The line that names whose messages are in it.
    pub fn note(&self, ends: &[(MessageId, SteeringEnd)], is_answered: bool) -> Option<String> {
        let sent = self.way.sent.lock();
        let is_in = |sent: &&SentMessage| ends.contains(&(sent.turn, SteeringEnd::Steered));
        let mut authors: Vec<UserId> = Vec::new();
        let mut count = 0;
        for sent in sent.iter().filter(is_in) {
            count += 1;
            if !authors.contains(&sent.author) {
                authors.push(sent.author);
            }
        }
        (count > 0).then(|| words::took_in(count, &authors, is_answered))
    }

    /// Writes the end of the turn and theirs, however long the database fails, and lets them know.
    pub async fn finish(
        &self,
        end: Finished,
        mut ends: Vec<(MessageId, SteeringEnd)>,
    ) -> Result<(), StoreError> {
        if end.parts.is_empty() {
            // Nobody would hear of them.
            for (_, end) in ends.iter_mut().filter(|(_, end)| *end == SteeringEnd::Steered) {
                *end = SteeringEnd::Lost;
            }
        }
        let for_ever = CancellationToken::new();
        let write = || self.turns.store.finish_with(self.way.turn, end.clone(), ends.clone());
        until_written(&self.turns, &for_ever, write).await?;
        for sent in self.way.sent.lock().drain(..) {
            let end = ends.iter().find(|(turn, _)| *turn == sent.turn).map(|(_, end)| *end);
            sent.phase.send_replace(Phase::Over(Some(end.unwrap_or(SteeringEnd::Waits))));
        }
        Ok(())
    }
}

impl Drop for OpeningTurn {
    /// Also where the turn panics, or its end cannot be written.
    fn drop(&mut self) {
        self.close();
        for sent in self.way.sent.lock().drain(..) {
            sent.phase.send_replace(Phase::Over(None));
        }
    }
}

/// A place on the way into a turn.
pub struct WayIn {
    open: Arc<OpenTurn>,
    only_one: OwnedMutexGuard<()>,
}

impl WayIn {
    /// The turn that it leads into.
    pub fn turn(&self) -> MessageId {
        self.open.turn
    }
}

/// Waits until the message may go into a turn: by itself into any but `refused`, where it is next in its lane; or because its
/// author wants it. Cancel-safe.
pub async fn way_in(turns: &Turns, task: Task, stop: &Stop, refused: Option<MessageId>) -> WayIn {
    let mut open = turns.0.open.subscribe();
    let wants = |it: &Arc<OpenTurn>| {
        let by_itself = || {
            let is_next =
                || turns.lanes.first_waiting(task.channel, |turn| it.has(turn)) == Some(task.message);
            it.project.busy == Busy::Steer && Some(it.turn) != refused && is_next()
        };
        let is_wanted = stop.steers_now.load(Ordering::Relaxed) || by_itself();
        (it.turn != task.message && is_wanted).then(|| Arc::clone(it))
    };
    loop {
        let mut found = None;
        let seen = open.wait_for(|all| {
            found = all.get(&task.channel).and_then(wants);
            found.is_some()
        });
        // Its sender lives as long as the bot.
        if seen.await.is_err() {
            std::future::pending::<()>().await;
        }
        let Some(found) = found else { continue };
        let only_one = Arc::clone(&found.one_at_a_time).lock_owned().await;
        // One that was given back meanwhile goes first.
        if !found.closed.is_cancelled() && wants(&found).is_some() {
            return WayIn { open: found, only_one };
        }
    }
}

/// What came of an offer.
pub enum OfferEnd {
    /// Its turn is over, as part of the other one.
    Steered,
    /// Its own turn has begun.
    GoesOn(GoesOn),
    /// There is no budget left for it: what its author is told.
    Refused(String),
    /// It waits as before; `again` where it may be offered to the same turn once more.
    Back { again: bool },
    /// Its agent had it, perhaps, and there is no answer.
    Lost,
}

/// A turn with which the agent of the turn before goes on.
pub struct GoesOn {
    pub sent: PromptId,
    pub before: Arc<OpenTurn>,
}

/// Offers the message to a turn, and waits for what comes of it. `taken_in` is called once it is in there.
pub async fn offer(
    turns: &Turns,
    task: Task,
    stop: &Stop,
    WayIn { open, only_one }: WayIn,
    taken_in: impl FnOnce() + Send,
) -> OfferEnd {
    let fitting = tokio::select! {
        biased;
        () = stop.token.cancelled() => return OfferEnd::Back { again: false },
        () = open.closed.cancelled() => return OfferEnd::Back { again: false },
        fitting = fitting(turns, task, &open) => fitting,
    };
    let (turn, prompt) = match fitting {
        Ok(fitting) => fitting,
        Err(NotFitting::Spent(sentence)) => {
            info!(into = %open.turn.short(), "is not put into the turn that runs: a budget is spent");
            return OfferEnd::Refused(sentence);
        }
        Err(why) => {
            info!(?why, into = %open.turn.short(), "waits: it cannot go into the turn that runs");
            return OfferEnd::Back { again: false };
        }
    };
    let id = PromptId::random();
    let Some(mut phase) = open.register(task, id) else { return OfferEnd::Back { again: false } };
    let written = {
        let _edits = stop.edits.lock().await;
        stop.offered.send_replace(OfferState::Offered);
        let write = || turns.store.offer(turn.clone(), open.turn);
        until_written(turns, &stop.token, write).await
    };
    if !matches!(written, Ok(true)) {
        open.forget(id);
        stop.offered.send_replace(OfferState::Not);
        return OfferEnd::Back { again: matches!(written, Ok(false)) && !open.closed.is_cancelled() };
    }
    info!(into = %open.turn.short(), "is put into the turn that runs");
    // Where the agent is done already, the turn's end tells.
    drop(open.further.send(Further::Put { id, prompt }));
    let (mut taken_in, mut only_one, mut recalled) =
        (Some(taken_in), Some(only_one), stop.offered.subscribe());
    let mut is_wanted_back = false;
    loop {
        let now = *phase.borrow_and_update();
        match now {
            Phase::OnItsWay => {}
            Phase::TakenIn => {
                drop(only_one.take());
                stop.offered.send_replace(OfferState::TakenIn);
                if let Some(taken_in) = taken_in.take() {
                    taken_in();
                    mark(turns, task);
                    turns.look_for_a_way_in();
                }
            }
            Phase::GivenBack => {
                let for_ever = CancellationToken::new();
                let back = until_written(turns, &for_ever, || turns.store.take_back(task.message)).await;
                open.forget(id);
                stop.offered.send_replace(OfferState::Not);
                return match back {
                    Ok(()) => OfferEnd::Back { again: true },
                    Err(error) => broken(&error),
                };
            }
            Phase::Over(end) => {
                stop.offered.send_replace(OfferState::Not);
                return match end {
                    Some(SteeringEnd::Steered) => {
                        if let Some(taken_in) = taken_in.take() {
                            taken_in();
                            mark(turns, task);
                        }
                        OfferEnd::Steered
                    }
                    Some(SteeringEnd::GoesOn) => OfferEnd::GoesOn(GoesOn { sent: id, before: open }),
                    Some(SteeringEnd::Waits) => OfferEnd::Back { again: false },
                    Some(SteeringEnd::Lost) | None => OfferEnd::Lost,
                };
            }
        }
        let wanted_back = async {
            tokio::select! {
                () = stop.token.cancelled() => {}
                _ = recalled.wait_for(|state| *state == OfferState::Recalled) => {}
            }
        };
        tokio::select! {
            // The way in says how it ended before it goes.
            _ = phase.changed() => {}
            () = wanted_back, if !is_wanted_back && now == Phase::OnItsWay => {
                is_wanted_back = true;
                drop(open.further.send(Further::TakeBack(id)));
            }
        }
    }
}

fn broken(error: &StoreError) -> OfferEnd {
    error!(
        error = chain(error),
        "what became of a message that was sent to an agent is left for the next start"
    );
    OfferEnd::Lost
}

/// Whether a turn is on its way into another one, for whoever wants to change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OfferState {
    #[default]
    Not,
    Offered,
    /// It is asked for back.
    Recalled,
    /// It is in there for good.
    TakenIn,
}

impl OfferState {
    /// Whether it may still go in, or come back.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Offered | Self::Recalled)
    }
}

impl Stop {
    /// Takes the turn back that is on its way into another one; returns once it waits again, or is in there for good.
    pub(super) async fn recall(&self) {
        self.offered.send_if_modified(|state| {
            let is_offered = *state == OfferState::Offered;
            if is_offered {
                *state = OfferState::Recalled;
            }
            is_offered
        });
        // Its sender is here.
        let _ = self.offered.subscribe().wait_for(|state| !state.is_open()).await;
    }
}

/// Marks the message, without making anybody wait.
fn mark(turns: &Turns, task: Task) {
    let of_task = turns.clone();
    turns.0.tasks.spawn(async move {
        of_task.outbox.react(task.asked_in(), task.asked(), TAKEN_IN, CancellationToken::new()).await
    });
}

impl Turns {
    /// Has a turn that waits go into the one that runs in its channel, if it can. Whoever asks for it must be allowed to.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn steer_now(&self, turn: MessageId) -> Result<(), NotFitting> {
        let row = self.store.turn(turn).await.map_err(|_| NotFitting::Unknown)?;
        let Some(TurnRow { turn: asked, state: TurnState::Waiting, .. }) = row else {
            return Err(NotFitting::Gone);
        };
        let open = self.0.open.borrow().get(&asked.channel).cloned().ok_or(NotFitting::NothingRuns)?;
        fits(self, &asked, &open).await?;
        let stop = self.stops().get(&turn).cloned().ok_or(NotFitting::Gone)?;
        if !stop.is_up_to_date(self) {
            return Err(NotFitting::MayBeOld);
        }
        is_let_in(self, &asked, &open).await?;
        match has_budget(self, &asked, &open).await {
            // Its task tells its author so.
            Ok(()) | Err(NotFitting::Spent(_)) => {}
            Err(why) => return Err(why),
        }
        stop.steers_now.store(true, Ordering::Relaxed);
        // Its task looks again.
        self.look_for_a_way_in();
        Ok(())
    }

    /// Whether a message is in the turn that runs for good.
    pub fn is_taken_in(&self, turn: MessageId) -> bool {
        self.stops().get(&turn).is_some_and(|stop| *stop.offered.borrow() == OfferState::TakenIn)
    }

    /// Has every message that waits look whether it may go into a turn now.
    pub(super) fn look_for_a_way_in(&self) {
        self.0.open.send_modify(|_| {});
    }
}

/// Waits until the lane is that of a turn with which the agent goes on already. Where it is stopped meanwhile its agent ends
/// at once.
pub async fn lane_is_ours(turns: &Turns, task: Task, ticket: &mut Ticket, stop: &Stop) {
    tokio::select! {
        () = ticket.starts() => return,
        () = stop.token.cancelled() => turns.agents.close(task.channel),
    }
    ticket.starts().await;
}
