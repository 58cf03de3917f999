//! What a turn does once its lane lets it.

use std::sync::Arc;

use super::steer::GoesOn;
use crate::domain::{Outcome, Project};
use crate::store::{Turn, Unwanted};

/// What to do once the lane lets it run.
pub enum Step {
    /// Ask Claude, then deliver the answer. The turn and its project, where its author has just passed the gate.
    Ask(Option<Box<(Turn, Arc<Project>)>>),
    /// End the turn with this outcome, and tell the person this.
    Tell(Outcome, String),
    /// End the turn as cancelled; say that somebody stopped it, or nothing.
    Cancel(Unwanted),
    /// Only continue to deliver what was written down earlier.
    Deliver,
    /// It has begun: the agent of the turn before has its prompt.
    GoOn(GoesOn),
}
