//! Keyed FIFO lanes with a global cap: who runs, and who waits at which place.
//!
//! # Theory of operation
//! One mutex guards everything, and every change is one step under it, so there is no moment at which two turns
//! of one channel could both believe that they run. A turn enters with [`Lanes::enter`] and gets a [`Ticket`];
//! the ticket *is* the place. Dropping it gives the place back, wherever the turn was: waiting or running,
//! finished, failed, panicked or aborted. There is no other way out, so there is none to forget.
//!
//! A turn that runs holds its lane and a slot under the cap. It may give the slot back early, once its agent is
//! done: an answer that Discord does not take for a while then holds up its own channel only.
//!
//! Fairness: a channel whose next turn could start joins the end of one queue of channels, and stands in it once.
//! So a channel with a hundred waiting turns gets one slot and then lets every other channel that waits go first.
//! A lane without turns is removed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::domain::{ChannelId, MessageId};

/// Where a turn stands on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It runs at once.
    Runs,
    /// It waits; 1 is the next of its channel.
    Waits(usize),
}

/// What one lane looks like now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    /// The channel.
    pub channel: ChannelId,
    /// The turn that runs, and since when.
    pub running: Option<(MessageId, Instant)>,
    /// The turns that wait, in order, and since when each.
    pub waiting: Vec<(MessageId, Instant)>,
}

/// All lanes. A cheap handle to shared state.
#[derive(Clone)]
pub struct Lanes {
    state: Arc<Mutex<State>>,
}

struct State {
    /// How many slots there are, over all channels.
    cap: usize,
    /// How many of them are taken.
    taken: usize,
    lanes: HashMap<ChannelId, Lane>,
    /// Channels whose next turn only waits for a free slot; each stands here at most once.
    ready: VecDeque<ChannelId>,
    next_ticket: u64,
}

#[derive(Default)]
struct Lane {
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
}

struct Running {
    ticket: u64,
    holds_slot: bool,
    turn: MessageId,
    since: Instant,
}

struct Waiting {
    ticket: u64,
    turn: MessageId,
    since: Instant,
    go: oneshot::Sender<()>,
}

/// A turn's place in its lane. Dropping it leaves the lane.
#[must_use = "dropping the ticket leaves the lane"]
pub struct Ticket {
    lanes: Lanes,
    channel: ChannelId,
    number: u64,
    go: oneshot::Receiver<()>,
}

impl Lanes {
    /// No lanes yet; at most `cap` turns will run at once.
    pub fn new(cap: usize) -> Self {
        let state = State { cap, taken: 0, lanes: HashMap::new(), ready: VecDeque::new(), next_ticket: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Enters the channel's lane at its end, in one step.
    pub fn enter(&self, channel: ChannelId, turn: MessageId) -> (Place, Ticket) {
        let mut state = self.lock();
        let number = state.next_ticket;
        state.next_ticket += 1;
        let (go, start) = oneshot::channel();
        let lane = state.lanes.entry(channel).or_default();
        lane.waiting.push_back(Waiting { ticket: number, turn, since: Instant::now(), go });
        if lane.running.is_none() && lane.waiting.len() == 1 {
            state.ready.push_back(channel);
            state.fill();
        }
        let ahead = state.lanes[&channel].waiting.len();
        let runs = state.lanes[&channel].running.as_ref().is_some_and(|r| r.ticket == number);
        let place = if runs { Place::Runs } else { Place::Waits(ahead) };
        (place, Ticket { lanes: self.clone(), channel, number, go: start })
    }

    /// Every lane that has a turn, in no particular order.
    pub fn view(&self) -> Vec<LaneView> {
        let state = self.lock();
        let view = |(&channel, lane): (&ChannelId, &Lane)| LaneView {
            channel,
            running: lane.running.as_ref().map(|r| (r.turn, r.since)),
            waiting: lane.waiting.iter().map(|w| (w.turn, w.since)).collect(),
        };
        state.lanes.iter().map(view).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections can panic halfway through a change, so a poisoned lock is sound.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// Starts waiting turns while there are free slots.
    fn fill(&mut self) {
        while self.taken < self.cap {
            let Some(channel) = self.ready.pop_front() else { return };
            let Some(lane) = self.lanes.get_mut(&channel) else { continue };
            let Some(next) = lane.waiting.pop_front() else { continue };
            let Waiting { ticket, turn, .. } = next;
            lane.running = Some(Running { ticket, holds_slot: true, turn, since: Instant::now() });
            self.taken += 1;
            // If the ticket is being dropped right now, its drop waits for our lock and then frees the slot.
            let _ = next.go.send(());
        }
    }

    fn free_slot(&mut self, channel: ChannelId, ticket: u64) {
        let running = self.lanes.get_mut(&channel).and_then(|lane| lane.running.as_mut());
        if let Some(running) = running.filter(|running| running.ticket == ticket && running.holds_slot) {
            running.holds_slot = false;
            self.taken -= 1;
            self.fill();
        }
    }

    fn leave(&mut self, channel: ChannelId, ticket: u64) {
        let Some(lane) = self.lanes.get_mut(&channel) else { return };
        if let Some(running) = lane.running.take_if(|running| running.ticket == ticket) {
            self.taken -= usize::from(running.holds_slot);
            if !lane.waiting.is_empty() {
                self.ready.push_back(channel);
            }
        } else {
            lane.waiting.retain(|waiting| waiting.ticket != ticket);
        }
        if lane.running.is_none() && lane.waiting.is_empty() {
            self.lanes.remove(&channel);
            self.ready.retain(|&ready| ready != channel);
        }
        self.fill();
    }
}

impl Ticket {
    /// Waits until the turn may run. It then runs until the ticket is dropped.
    pub async fn starts(&mut self) {
        // The sender is only ever dropped after sending, or by our own drop; a second call finds it used up.
        let _ = (&mut self.go).await;
    }

    /// Gives the slot back and keeps the lane: what is left to do needs no agent. Does nothing where the turn holds
    /// no slot.
    pub fn free_slot(&self) {
        self.lanes.lock().free_slot(self.channel, self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.lanes.lock().leave(self.channel, self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn channel(n: u64) -> ChannelId {
        ChannelId::new(n).unwrap()
    }

    fn turn(n: u64) -> MessageId {
        MessageId::new(n).unwrap()
    }

    fn runs(ticket: &mut Ticket) -> bool {
        ticket.go.try_recv().is_ok()
    }

    #[test]
    fn one_channel_is_first_in_first_out() {
        let lanes = Lanes::new(8);
        let (place, first) = lanes.enter(channel(1), turn(1));
        assert_eq!(place, Place::Runs);
        let (place, mut second) = lanes.enter(channel(1), turn(2));
        assert_eq!(place, Place::Waits(1));
        let (place, mut third) = lanes.enter(channel(1), turn(3));
        assert_eq!(place, Place::Waits(2));
        assert!(!runs(&mut second));
        drop(first);
        assert!(runs(&mut second));
        assert!(!runs(&mut third));
        drop(second);
        assert!(runs(&mut third));
        drop(third);
        assert!(lanes.view().is_empty());
    }

    #[test]
    fn channels_run_side_by_side_and_one_that_leaves_the_queue_frees_its_place() {
        let lanes = Lanes::new(8);
        let (_, first) = lanes.enter(channel(1), turn(1));
        let (_, second) = lanes.enter(channel(1), turn(2));
        let (place, _other) = lanes.enter(channel(2), turn(3));
        assert_eq!(place, Place::Runs);
        let (_, mut last) = lanes.enter(channel(1), turn(4));
        drop(second);
        drop(first);
        assert!(runs(&mut last));
    }

    #[test]
    fn a_busy_channel_does_not_starve_another_under_the_cap() {
        let lanes = Lanes::new(1);
        let (_, first) = lanes.enter(channel(1), turn(1));
        let (_, mut second) = lanes.enter(channel(1), turn(2));
        let (place, mut other) = lanes.enter(channel(2), turn(3));
        assert_eq!(place, Place::Waits(1));
        drop(first);
        assert!(runs(&mut other), "channel 2 waited for its slot before channel 1 could want another");
        assert!(!runs(&mut second));
        drop(other);
        assert!(runs(&mut second));
    }

    #[test]
    fn a_turn_that_needs_its_slot_no_more_lets_others_run_but_not_those_behind_it() {
        let lanes = Lanes::new(1);
        let (_, first) = lanes.enter(channel(1), turn(1));
        let (_, mut behind) = lanes.enter(channel(1), turn(2));
        let (_, mut other) = lanes.enter(channel(2), turn(3));
        let (_, mut last) = lanes.enter(channel(3), turn(4));
        behind.free_slot();
        assert!(!runs(&mut other), "who waits has no slot to give");
        first.free_slot();
        first.free_slot();
        assert!(runs(&mut other) && !runs(&mut last) && !runs(&mut behind));
        drop(first);
        assert!(!runs(&mut behind), "the only slot is taken");
        drop(other);
        assert!(runs(&mut last));
        drop(last);
        assert!(runs(&mut behind));
    }

    #[tokio::test]
    async fn a_panic_and_an_abort_free_the_lane() {
        let lanes = Lanes::new(8);
        let (_, ticket) = lanes.enter(channel(1), turn(1));
        let panics = tokio::spawn(async move {
            let _ticket = ticket;
            panic!("on purpose");
        });
        assert!(panics.await.is_err());
        let (place, ticket) = lanes.enter(channel(1), turn(2));
        assert_eq!(place, Place::Runs);
        let hangs = tokio::spawn(async move {
            let _ticket = ticket;
            std::future::pending::<()>().await;
        });
        let (_, mut next) = lanes.enter(channel(1), turn(3));
        hangs.abort();
        tokio::time::timeout(Duration::from_secs(5), next.starts()).await.unwrap();
    }

    proptest! {
        /// Whatever enters and leaves in whatever order: never two of a channel, never more than the cap,
        /// never an idle slot while somebody waits who could use it, and nothing is left at the end.
        #[test]
        fn the_rules_hold_for_any_story(steps in prop::collection::vec((0u64..4, any::<prop::sample::Index>(), 0..5), 1..120)) {
            let cap = 2;
            let lanes = Lanes::new(cap);
            let mut tickets: Vec<Ticket> = Vec::new();
            for (n, (key, pick, what)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 if !tickets.is_empty() => drop(tickets.swap_remove(pick.index(tickets.len()))),
                    2 if !tickets.is_empty() => tickets[pick.index(tickets.len())].free_slot(),
                    _ => tickets.push(lanes.enter(channel(key + 1), turn(n as u64 + 1)).1),
                }
                let view = lanes.view();
                let holds_slot = |lane: &Lane| lane.running.as_ref().is_some_and(|running| running.holds_slot);
                let running = lanes.lock().lanes.values().filter(|lane| holds_slot(lane)).count();
                prop_assert_eq!(running, lanes.lock().taken);
                let could_run = view.iter().filter(|lane| lane.running.is_none()).count();
                prop_assert!(running <= cap);
                prop_assert!(running == cap || could_run == 0);
                prop_assert!(view.iter().all(|lane| lane.waiting.is_sorted_by_key(|(turn, _)| *turn)));
                let known: usize = view.iter().map(|lane| lane.waiting.len() + usize::from(lane.running.is_some())).sum();
                prop_assert_eq!(known, tickets.len());
                let in_queue: HashSet<_> = lanes.lock().ready.iter().copied().collect();
                prop_assert_eq!(in_queue.len(), lanes.lock().ready.len());
            }
            tickets.clear();
            prop_assert!(lanes.view().is_empty());
            prop_assert_eq!(lanes.lock().taken, 0);
        }
    }
}
