//! How a turn enters its lane and becomes a task of its own.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use tracing::Instrument;

use super::step::Step;
use super::task::Task;
use super::{Stop, StopReason, Turns, story};
use crate::domain::MessageId;
use crate::lane::{LanePosition, Ticket};

/// Registers the way to stop a turn that is about to enter its lane; `None` if it has entered already.
pub fn register(turns: &Turns, turn: MessageId) -> Option<Arc<Stop>> {
    let stop = match turns.stops().entry(turn) {
        Entry::Occupied(_) => return None,
        Entry::Vacant(free) => Arc::clone(free.insert(Arc::new(Stop::of(turn)))),
    };
    if turns.0.ending.is_cancelled() {
        stop.stop(StopReason::Shutdown);
    }
    Some(stop)
}

/// Puts what an earlier bot left into its lane.
pub fn enter(turns: &Turns, task: Task, step: Step) {
    let Some(stop) = register(turns, task.message) else { return };
    if !matches!(step, Step::Ask(..)) {
        // Its turn is over; what is left to stop is what it has to say.
        stop.close();
    }
    let (place, ticket) = turns.lanes.enter(task.channel, task.message, task.author);
    continue_turn(turns, task, step, place, ticket, stop);
}

/// From here on the turn is a task of its own.
pub fn continue_turn(
    turns: &Turns,
    task: Task,
    step: Step,
    place: LanePosition,
    ticket: Ticket,
    stop: Arc<Stop>,
) {
    let span = tracing::info_span!("turn", id = %task.message.short(), channel = %task.channel);
    let turns_of_task = turns.clone();
    turns.0.tasks.spawn(
        async move { story::carry_out(&turns_of_task, task, step, place, ticket, stop).await }
            .instrument(span),
    );
}
