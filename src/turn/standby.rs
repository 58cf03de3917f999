//! What a turn gives up while all of it waits for people: its slot, and that it shows as typing.
//!
//! As long as a script decides, the turn is at work: it would have to wait for its slot again, however soon that is done.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::lane::Slot;

/// The standby of one turn; clones are about the same one.
#[derive(Clone)]
pub struct Standby {
    pub slot: Slot,
    typing: AbortHandle,
    state: Arc<Mutex<StandbyState>>,
}

#[derive(Default)]
struct StandbyState {
    /// All of the agent waits for answers.
    all_waits: bool,
    /// How many of its questions a script decides about.
    scripts: usize,
}

impl Standby {
    pub fn new(slot: Slot, typing: AbortHandle) -> Self {
        Self { slot, typing, state: Arc::default() }
    }

    /// Whether all of the agent waits from now on.
    pub fn all_waits(&self, waits: bool) {
        let mut state = self.state.lock();
        state.all_waits = waits;
        self.stand_by_if_due(&state);
    }

    /// A script is asked from now on.
    pub fn script_begins(&self) {
        self.state.lock().scripts += 1;
    }

    /// It is done. `decided`: the agent hears its answer, and says then whether all of it waits still.
    pub fn script_ends(&self, decided: bool) {
        let mut state = self.state.lock();
        state.scripts -= 1;
        if !decided {
            self.stand_by_if_due(&state);
        }
    }

    fn stand_by_if_due(&self, state: &StandbyState) {
        if state.all_waits && state.scripts == 0 {
            // The line says that somebody is waited for.
            self.typing.abort();
            self.slot.give_back();
        }
    }
}
