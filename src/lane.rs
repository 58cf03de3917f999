//! Keyed FIFO lanes with a global cap: who runs, and who waits at which place.
//!
//! # Theory of operation
//! One mutex guards everything, and every change is one step under it, so there is no moment at which two turns
//! of one channel could both believe that they run. A turn enters with [`Lanes::enter`] and gets a [`Ticket`];
//! the ticket *is* the place. Dropping it gives the place back, wherever the turn was: waiting or running,
//! finished, failed, panicked or aborted. There is no other way out, so there is none to forget.
//!
//! A turn that runs holds its lane and a slot under the cap. It may give the slot back early, once its agent is
//! done: an answer that Discord does not take for a while then holds up its own channel only. It also gives it back while its
//! agent waits for a person, and gets it again ahead of all that have not begun ([`Slot`]).
//!
//! Fairness: slots are dealt to people in turn, and each person's slots to their channels in turn. A person with a
//! channel whose next turn could start stands in the queue of people once, however many such channels they have;
//! whoever gets a slot and has another such channel goes to the end. So somebody with a hundred waiting turns in ten
//! channels gets one slot and then lets everybody else who waits go first. As turns may be long, nobody holds all slots
//! to begin with: who holds `per_person` of them is passed over, and keeps their place in the queue. Within a channel
//! nobody overtakes unless they are let go next ([`Lanes::advance`]), and a channel stands there for the person who is next
//! in it. A lane without turns is removed.
//!
//! A turn that cannot run although its turn has come steps back: it waits again at the head of its lane, and the lane
//! is in no queue until the turn comes back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::domain::{ChannelId, MessageId, UserId};

/// Where a turn stands on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanePosition {
    /// It runs at once.
    Runs,
    /// It waits; 1 is the next of its channel.
    Waits(usize),
}

/// Whom a turn that is let go next overtakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overtakes {
    /// All that wait.
    All,
    /// The turns of others; those of the same person that came before it go ahead with it, in their order.
    Others,
}

/// What one lane looks like now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    pub channel: ChannelId,
    /// The turn that runs, and since when.
    pub running: Option<(MessageId, Instant)>,
    /// The turns that wait, in order, and since when each.
    pub waiting: Vec<(MessageId, Instant)>,
}

/// All lanes. A cheap handle to shared state.
#[derive(Clone)]
pub struct Lanes {
    state: Arc<Mutex<LanesState>>,
}

struct LanesState {
    /// How many slots there are, over all channels.
    cap: usize,
    /// How many of them one person may hold.
    per_person: usize,
    /// How many each person holds; people who hold none have no entry.
    held: HashMap<UserId, usize>,
    lanes: HashMap<ChannelId, Lane>,
    /// The people with a channel whose next turn only waits for a free slot; each stands here at most once.
    ready: VecDeque<Ready>,
    /// The turns that run and want their slot again, in the order in which they asked.
    returning: VecDeque<ReturningTurn>,
    next_ticket: u64,
    /// Told whenever something has changed.
    moved: watch::Sender<()>,
}

struct ReturningTurn {
    channel: ChannelId,
    ticket: u64,
    person: UserId,
    go: oneshot::Sender<()>,
}

struct Ready {
    person: UserId,
    /// The channels in which this person is next; never empty.
    channels: VecDeque<ChannelId>,
}

#[derive(Default)]
struct Lane {
    running: Option<RunningTurn>,
    /// The first waiting turn has stepped back: it keeps its place and does not want to run now.
    stepped_back: bool,
    waiting: VecDeque<QueuedTurn>,
}

struct RunningTurn {
    ticket: u64,
    holds_slot: bool,
    turn: MessageId,
    person: UserId,
    since: Instant,
    /// The turn that takes over lane and slot when this one leaves.
    heir: Option<MessageId>,
}

struct QueuedTurn {
    ticket: u64,
    turn: MessageId,
    person: UserId,
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
    /// No lanes yet; at most `cap` turns will run at once, and `per_person` of one person.
    pub fn new(cap: usize, per_person: usize) -> Self {
        let (held, lanes) = (HashMap::new(), HashMap::new());
        let (ready, returning) = (VecDeque::new(), VecDeque::new());
        let moved = watch::Sender::new(());
        let state = LanesState { cap, per_person, held, lanes, ready, returning, next_ticket: 0, moved };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Enters the channel's lane at its end, in one step.
    pub fn enter(&self, channel: ChannelId, turn: MessageId, person: UserId) -> (LanePosition, Ticket) {
        self.enter_at_end(&mut self.lock(), channel, turn, person)
    }

    /// The same, unless this many turns of this person wait in the lane already.
    pub fn enter_within(
        &self,
        most_waiting: usize,
        channel: ChannelId,
        turn: MessageId,
        person: UserId,
    ) -> Option<(LanePosition, Ticket)> {
        let mut state = self.lock();
        let has_room = state.waiting(channel, person) < most_waiting;
        has_room.then(|| self.enter_at_end(&mut state, channel, turn, person))
    }

    fn enter_at_end(
        &self,
        state: &mut LanesState,
        channel: ChannelId,
        turn: MessageId,
        person: UserId,
    ) -> (LanePosition, Ticket) {
        let number = state.next_ticket;
        state.next_ticket += 1;
        let (go, start) = oneshot::channel();
        let lane = state.lanes.entry(channel).or_default();
        lane.waiting.push_back(QueuedTurn { ticket: number, turn, person, since: Instant::now(), go });
        if lane.running.is_none() && lane.waiting.len() == 1 {
            state.make_ready(channel);
            state.fill();
        }
        state.moved.send_replace(());
        let ahead = state.lanes[&channel].waiting.len();
        let runs = state.lanes[&channel].running.as_ref().is_some_and(|r| r.ticket == number);
        let place = if runs { LanePosition::Runs } else { LanePosition::Waits(ahead) };
        (place, Ticket { lanes: self.clone(), channel, number, go: start })
    }

    /// Lets a turn that waits go next in its lane, ahead of those that came before it. Nothing changes where no turn runs
    /// there: then the next one is about to begin, or keeps its place until it can.
    pub fn advance(&self, channel: ChannelId, turn: MessageId, overtakes: Overtakes) {
        let mut state = self.lock();
        let Some(lane) = state.lanes.get_mut(&channel).filter(|lane| lane.running.is_some()) else { return };
        let Some(place) = lane.waiting.iter().position(|waiting| waiting.turn == turn) else { return };
        let person = lane.waiting[place].person;
        let after = lane.waiting.split_off(place + 1);
        let goes = |it: &QueuedTurn| it.turn == turn || overtakes == Overtakes::Others && it.person == person;
        let (mut waiting, others): (VecDeque<_>, VecDeque<_>) = lane.waiting.drain(..).partition(goes);
        waiting.extend(others);
        waiting.extend(after);
        lane.waiting = waiting;
    }

    /// The first of the turns that wait in the lane, apart from some.
    pub fn first_waiting(&self, channel: ChannelId, but: impl Fn(MessageId) -> bool) -> Option<MessageId> {
        let state = self.lock();
        state.lanes.get(&channel)?.waiting.iter().map(|waiting| waiting.turn).find(|turn| !but(*turn))
    }

    /// How many turns of this person wait in the lane.
    pub fn waiting(&self, channel: ChannelId, person: UserId) -> usize {
        self.lock().waiting(channel, person)
    }

    /// Where a turn stands that is next in its lane and only waits for a slot: 1 gets the next one, as slots are dealt now.
    /// `None` for one that runs or waits for something else.
    pub fn place_for_slot(&self, channel: ChannelId, turn: MessageId) -> Option<usize> {
        let state = self.lock();
        let next = state.lanes.get(&channel)?.waiting.front()?;
        let person = state.ready.iter().position(|ready| ready.channels.contains(&channel))?;
        // Of everybody else's channels, as many come first as rounds are dealt before.
        let round = state.ready[person].channels.iter().position(|other| *other == channel)?;
        let before = |(n, ready): (usize, &Ready)| ready.channels.len().min(round + usize::from(n < person));
        (next.turn == turn).then(|| 1 + state.ready.iter().enumerate().map(before).sum::<usize>())
    }

    /// Changes whenever who runs or waits may have changed.
    pub fn moved(&self) -> watch::Receiver<()> {
        self.lock().moved.subscribe()
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

    fn lock(&self) -> MutexGuard<'_, LanesState> {
        self.state.lock()
    }
}

impl Lane {
    /// This turn runs from now on; whose it is.
    fn take_over(&mut self, next: QueuedTurn) -> UserId {
        let QueuedTurn { ticket, turn, person, .. } = next;
        let since = Instant::now();
        self.running = Some(RunningTurn { ticket, holds_slot: true, turn, person, since, heir: None });
        // If the ticket is being dropped right now, its drop waits for our lock and then frees the slot.
        let _ = next.go.send(());
        person
    }
}

impl LanesState {
    fn waiting(&self, channel: ChannelId, person: UserId) -> usize {
        let lane = self.lanes.get(&channel);
        lane.map_or(0, |lane| lane.waiting.iter().filter(|waiting| waiting.person == person).count())
    }

    /// The channel's next turn only waits for a slot: it joins the end of its person's channels.
    fn make_ready(&mut self, channel: ChannelId) {
        let lane = self.lanes.get(&channel).filter(|lane| !lane.stepped_back);
        let next = lane.and_then(|lane| lane.waiting.front());
        let Some(person) = next.map(|next| next.person) else { return };
        match self.ready.iter_mut().find(|ready| ready.person == person) {
            Some(ready) => ready.channels.push_back(channel),
            None => self.ready.push_back(Ready { person, channels: VecDeque::from([channel]) }),
        }
    }

    /// This person is no longer next in the channel.
    fn make_unready(&mut self, channel: ChannelId, person: UserId) {
        if let Some(ready) = self.ready.iter_mut().find(|ready| ready.person == person) {
            ready.channels.retain(|&other| other != channel);
        }
        self.ready.retain(|ready| !ready.channels.is_empty());
    }

    /// Starts waiting turns while there are free slots, and people who may have them.
    fn fill(&mut self) {
        self.moved.send_replace(());
        while self.held.values().sum::<usize>() < self.cap {
            let may_have_one = |person: UserId| self.held.get(&person).is_none_or(|n| *n < self.per_person);
            let returns = |turn: &ReturningTurn| may_have_one(turn.person);
            if let Some(place) = self.returning.iter().position(returns) {
                self.give_again(place);
                continue;
            }
            let Some(place) = self.ready.iter().position(|ready| may_have_one(ready.person)) else { return };
            let Some(mut dealt) = self.ready.remove(place) else { return };
            let channel = dealt.channels.pop_front();
            if !dealt.channels.is_empty() {
                self.ready.push_back(dealt);
            }
            let Some(lane) = channel.and_then(|channel| self.lanes.get_mut(&channel)) else { continue };
            let Some(next) = lane.waiting.pop_front() else { continue };
            let person = lane.take_over(next);
            *self.held.entry(person).or_default() += 1;
        }
    }

    /// Gives this one of the returning turns its slot.
    fn give_again(&mut self, place: usize) {
        let Some(ReturningTurn { channel, ticket, person, go }) = self.returning.remove(place) else {
            return;
        };
        let running = self.lanes.get_mut(&channel).and_then(|lane| lane.running.as_mut());
        if let Some(running) = running.filter(|running| running.ticket == ticket && !running.holds_slot) {
            running.holds_slot = true;
            *self.held.entry(person).or_default() += 1;
        }
        // Whoever waited may have been dropped; the slot is the turn's all the same.
        let _ = go.send(());
    }

    /// The turn wants its slot again; `None` where it has it, or runs no more.
    fn regain(&mut self, channel: ChannelId, ticket: u64) -> Option<oneshot::Receiver<()>> {
        let running = self.lanes.get(&channel)?.running.as_ref()?;
        if running.ticket != ticket || running.holds_slot {
            return None;
        }
        let (person, (go, gone)) = (running.person, oneshot::channel());
        self.returning.retain(|turn| turn.ticket != ticket);
        self.returning.push_back(ReturningTurn { channel, ticket, person, go });
        self.fill();
        Some(gone)
    }

    /// This person gives one slot back.
    fn take_back(&mut self, person: UserId) {
        if let Some(held) = self.held.get_mut(&person) {
            *held -= 1;
        }
        self.held.retain(|_, held| *held > 0);
    }

    fn free_slot(&mut self, channel: ChannelId, ticket: u64) {
        self.returning.retain(|turn| turn.ticket != ticket);
        let running = self.lanes.get_mut(&channel).and_then(|lane| lane.running.as_mut());
        let frees = |running: &&mut RunningTurn| {
            running.ticket == ticket && running.holds_slot && running.heir.is_none()
        };
        if let Some(running) = running.filter(frees) {
            running.holds_slot = false;
            let person = running.person;
            self.take_back(person);
            self.fill();
        }
    }

    /// The turn that runs waits again, first in its lane; its receiver for the next start.
    fn step_back(&mut self, channel: ChannelId, ticket: u64) -> Option<oneshot::Receiver<()>> {
        let lane = self.lanes.get_mut(&channel)?;
        let RunningTurn { holds_slot, turn, person, since, .. } =
            lane.running.take_if(|running| running.ticket == ticket)?;
        self.returning.retain(|turn| turn.ticket != ticket);
        let (go, start) = oneshot::channel();
        lane.waiting.push_front(QueuedTurn { ticket, turn, person, since, go });
        lane.stepped_back = true;
        if holds_slot {
            self.take_back(person);
        }
        self.fill();
        Some(start)
    }

    fn come_back(&mut self, channel: ChannelId, ticket: u64) {
        let Some(lane) = self.lanes.get_mut(&channel) else { return };
        let is_first = lane.waiting.front().is_some_and(|waiting| waiting.ticket == ticket);
        if is_first && std::mem::take(&mut lane.stepped_back) {
            self.make_ready(channel);
            self.fill();
        }
    }

    fn leave(&mut self, channel: ChannelId, ticket: u64) {
        self.returning.retain(|turn| turn.ticket != ticket);
        let Some(lane) = self.lanes.get_mut(&channel) else { return };
        if let Some(running) = lane.running.take_if(|running| running.ticket == ticket) {
            let is_heir = |waiting: &QueuedTurn| Some(waiting.turn) == running.heir;
            let heir = lane.waiting.iter().position(is_heir).and_then(|place| lane.waiting.remove(place));
            let next = heir.map(|heir| lane.take_over(heir));
            if running.holds_slot {
                self.take_back(running.person);
            }
            match next {
                Some(person) => *self.held.entry(person).or_default() += 1,
                None => self.make_ready(channel),
            }
        } else if lane.stepped_back && lane.waiting.front().is_some_and(|waiting| waiting.ticket == ticket) {
            lane.stepped_back = false;
            lane.waiting.pop_front();
            self.make_ready(channel);
        } else if let Some(place) = lane.waiting.iter().position(|waiting| waiting.ticket == ticket)
            && let Some(left) = lane.waiting.remove(place)
            && place == 0
            && lane.running.is_none()
            && lane.waiting.front().is_none_or(|next| next.person != left.person)
        {
            self.make_unready(channel, left.person);
            self.make_ready(channel);
        }
        if self.lanes.get(&channel).is_some_and(|lane| lane.running.is_none() && lane.waiting.is_empty()) {
            self.lanes.remove(&channel);
        }
        self.fill();
    }
}

impl Ticket {
    /// Waits until the turn may run. It then runs until the ticket is dropped.
    pub async fn starts(&mut self) {
        // The sender is only ever dropped after sending, or by our own drop.
        if !self.go.is_terminated() {
            let _ = (&mut self.go).await;
        }
    }

    /// Gives up the slot and waits again at the head of the lane until [`Ticket::come_back`]. Does nothing if the turn
    /// is not running.
    pub fn step_back(&mut self) {
        if let Some(start) = self.lanes.lock().step_back(self.channel, self.number) {
            self.go = start;
        }
    }

    /// Waits for something without holding a slot, so that others can run meanwhile. The turn keeps its place in its
    /// lane.
    pub async fn aside<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let mut wait = std::pin::pin!(wait);
        loop {
            self.step_back();
            tokio::select! {
                done = &mut wait => {
                    self.come_back();
                    return done;
                }
                // Its turn has come while it waits for something else.
                () = self.starts() => {}
            }
        }
    }

    /// As [`Ticket::aside`], but the slot is kept for up to `patience` first, so that what is quick changes no order. And
    /// whether it was kept.
    pub async fn aside_after<T>(&mut self, patience: Duration, wait: impl Future<Output = T>) -> (T, bool) {
        let mut wait = std::pin::pin!(wait);
        match timeout(patience, &mut wait).await {
            Ok(done) => (done, true),
            Err(_) => (self.aside(wait).await, false),
        }
    }

    /// Queues the turn again; see [`Ticket::starts`].
    pub fn come_back(&self) {
        self.lanes.lock().come_back(self.channel, self.number);
    }

    /// When the ticket is dropped, its lane and its slot go to this turn, which waits in the lane: an agent is at work on it
    /// already, so it counts whatever its person holds. Until then the slot is kept.
    pub fn pass_on(&self, to: MessageId) {
        let mut state = self.lanes.lock();
        let running = state.lanes.get_mut(&self.channel).and_then(|lane| lane.running.as_mut());
        if let Some(running) = running.filter(|running| running.ticket == self.number) {
            running.heir = Some(to);
        }
    }

    /// The turn's slot, to be given back and got again while the turn runs.
    pub fn slot(&self) -> Slot {
        Slot { lanes: self.lanes.clone(), channel: self.channel, number: self.number }
    }

    /// Gives the slot back and keeps the lane: what is left to do needs no agent. Does nothing if the turn holds no
    /// slot.
    pub fn free_slot(&self) {
        self.lanes.lock().free_slot(self.channel, self.number);
    }
}

/// The slot of a turn that runs, whose agent may wait for a person. Does nothing once the turn has left its lane.
#[derive(Clone)]
pub struct Slot {
    lanes: Lanes,
    channel: ChannelId,
    number: u64,
}

impl Slot {
    /// Gives it back, so that others can run meanwhile.
    pub fn give_back(&self) {
        self.lanes.lock().free_slot(self.channel, self.number);
    }

    /// Gets it again, ahead of all turns that have not begun; at once where the turn has it. Whoever drops this may call
    /// it again.
    pub async fn regain(&self) {
        let waits = self.lanes.lock().regain(self.channel, self.number);
        if let Some(gone) = waits {
            // The sender is dropped where the turn leaves its lane.
            let _ = gone.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.lanes.lock().leave(self.channel, self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn channel(n: u64) -> ChannelId {
        ChannelId::new(n).unwrap()
    }

    fn turn(n: u64) -> MessageId {
        MessageId::new(n).unwrap()
    }

    fn person(n: u64) -> UserId {
        UserId::new(n).unwrap()
    }

    /// Tells, each time, whether the future is done.
    fn polled(future: impl Future<Output = ()>) -> impl FnMut() -> bool {
        let mut future = Box::pin(future);
        move || future.as_mut().now_or_never().is_some()
    }

    /// A turn of person 1.
    fn enter(lanes: &Lanes, channel_number: u64, turn_number: u64) -> (LanePosition, Ticket) {
        lanes.enter(channel(channel_number), turn(turn_number), person(1))
    }

    fn runs(ticket: &mut Ticket) -> bool {
        ticket.go.try_recv().is_ok()
    }

    #[test]
    fn who_is_passed_lane_and_slot_runs_next_whoever_else_waits() {
        let lanes = Lanes::new(1, 1);
        let (_, first) = enter(&lanes, 1, 1);
        let (_, mut second) = enter(&lanes, 1, 2);
        let (_, mut third) = lanes.enter(channel(1), turn(3), person(2));
        let (_, mut elsewhere) = lanes.enter(channel(2), turn(4), person(3));
        first.pass_on(turn(3));
        first.free_slot();
        assert!(!runs(&mut elsewhere), "the slot is kept for the heir");
        drop(first);
        assert!(runs(&mut third) && !runs(&mut second) && !runs(&mut elsewhere));
        third.free_slot();
        assert!(runs(&mut elsewhere), "the heir holds it like any other");
        drop((third, elsewhere));
        assert!(runs(&mut second));
        second.pass_on(turn(9));
        drop(second);
        assert!(matches!(enter(&lanes, 1, 5).0, LanePosition::Runs), "an heir that has left is none");
    }

    #[test]
    fn who_is_let_go_next_overtakes_those_who_wait() {
        let lanes = Lanes::new(8, 8);
        let (_, first) = enter(&lanes, 1, 1);
        let (_, mut second) = enter(&lanes, 1, 2);
        let (_, mut third) = enter(&lanes, 1, 3);
        lanes.advance(channel(1), turn(3), Overtakes::All);
        lanes.advance(channel(1), turn(9), Overtakes::All);
        drop(first);
        assert!(runs(&mut third) && !runs(&mut second));
        drop(third);
        assert!(runs(&mut second));
    }

    #[test]
    fn who_overtakes_others_takes_along_their_own_in_order() {
        let lanes = Lanes::new(8, 8);
        let _tickets: Vec<Ticket> = [9, 9, 1, 9, 1, 1]
            .iter()
            .zip(1..)
            .map(|(&who, n)| lanes.enter(channel(1), turn(n), person(who)).1)
            .collect();
        let waiting = || lanes.view()[0].waiting.iter().map(|(turn, _)| turn.get()).collect::<Vec<_>>();
        lanes.advance(channel(1), turn(5), Overtakes::Others);
        assert_eq!(waiting(), [3, 5, 2, 4, 6]);
        lanes.advance(channel(1), turn(3), Overtakes::Others);
        assert_eq!(waiting(), [3, 5, 2, 4, 6]);
    }

    #[test]
    fn where_nobody_runs_nobody_overtakes_who_has_stepped_back() {
        let lanes = Lanes::new(8, 8);
        let (_, mut first) = enter(&lanes, 1, 1);
        assert!(runs(&mut first));
        let (_, mut second) = enter(&lanes, 1, 2);
        first.step_back();
        lanes.advance(channel(1), turn(2), Overtakes::All);
        assert!(!runs(&mut second));
        first.come_back();
        assert!(runs(&mut first));
    }

    #[test]
    fn one_channel_is_first_in_first_out() {
        let lanes = Lanes::new(8, 8);
        let (place, first) = enter(&lanes, 1, 1);
        assert_eq!(place, LanePosition::Runs);
        let (place, mut second) = enter(&lanes, 1, 2);
        assert_eq!(place, LanePosition::Waits(1));
        let (place, mut third) = enter(&lanes, 1, 3);
        assert_eq!(place, LanePosition::Waits(2));
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
        let lanes = Lanes::new(8, 8);
        let (_, first) = enter(&lanes, 1, 1);
        let (_, second) = enter(&lanes, 1, 2);
        let (place, _other) = enter(&lanes, 2, 3);
        assert_eq!(place, LanePosition::Runs);
        let (_, mut last) = enter(&lanes, 1, 4);
        drop(second);
        drop(first);
        assert!(runs(&mut last));
    }

    #[test]
    fn a_busy_channel_does_not_starve_another_under_the_cap() {
        let lanes = Lanes::new(1, 1);
        let (_, first) = enter(&lanes, 1, 1);
        let (_, mut second) = enter(&lanes, 1, 2);
        let (place, mut other) = enter(&lanes, 2, 3);
        assert_eq!(place, LanePosition::Waits(1));
        drop(first);
        assert!(runs(&mut other), "channel 2 waited for its slot before channel 1 could want another");
        assert!(!runs(&mut second));
        drop(other);
        assert!(runs(&mut second));
    }

    #[test]
    fn places_for_a_slot_are_the_order_in_which_slots_are_dealt() {
        let lanes = Lanes::new(1, 1);
        let (_, first) = lanes.enter(channel(99), turn(99), person(9));
        let (_, _behind) = lanes.enter(channel(99), turn(98), person(9));
        assert_eq!(lanes.place_for_slot(channel(99), turn(99)), None, "it runs");
        assert_eq!(lanes.place_for_slot(channel(99), turn(98)), None, "it waits for its lane");
        // Some have several channels.
        let entered = [(1, 1), (2, 1), (4, 2), (3, 1), (5, 3), (6, 3)];
        let mut waiting: Vec<_> = entered
            .into_iter()
            .map(|(number, who)| (number, lanes.enter(channel(number), turn(number), person(who)).1))
            .collect();
        let place = |number: u64| lanes.place_for_slot(channel(number), turn(number));
        assert_eq!([1, 4, 5, 2, 6, 3].map(place), [1, 2, 3, 4, 5, 6].map(Some));
        let mut moved = lanes.moved();
        moved.mark_unchanged();
        let mut running = first;
        // The one behind is dealt its slot when its turn comes.
        for expected in [1, 4, 5] {
            drop(running);
            let next = waiting.iter_mut().position(|(_, ticket)| runs(ticket)).expect("somebody runs");
            let (number, ticket) = waiting.remove(next);
            assert_eq!(number, expected);
            assert_eq!(place(number), None);
            assert!(moved.has_changed().unwrap());
            running = ticket;
        }
        drop(running);
    }

    #[test]
    fn a_turn_that_needs_its_slot_no_more_lets_others_run_but_not_those_behind_it() {
        let lanes = Lanes::new(1, 1);
        let (_, first) = enter(&lanes, 1, 1);
        let (_, mut behind) = enter(&lanes, 1, 2);
        let (_, mut other) = enter(&lanes, 2, 3);
        let (_, mut last) = enter(&lanes, 3, 4);
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

    #[test]
    fn who_waits_for_a_person_gives_the_slot_back_and_gets_it_again_before_all_that_have_not_begun() {
        let lanes = Lanes::new(1, 1);
        let (_, mut asks) = enter(&lanes, 1, 1);
        let (_, mut next) = lanes.enter(channel(2), turn(2), person(2));
        let (_, mut last) = lanes.enter(channel(3), turn(3), person(3));
        assert!(runs(&mut asks) && !runs(&mut next));
        let slot = asks.slot();
        slot.give_back();
        assert!(runs(&mut next) && !runs(&mut last));
        let mut again = polled(slot.regain());
        assert!(!again());
        drop(next);
        assert!(again() && !runs(&mut last));
        // It has it already.
        assert!(polled(slot.regain())());
        drop(asks);
        assert!(runs(&mut last));
        // It is over: there is nothing to wait for.
        assert!(polled(slot.regain())());
        slot.give_back();
        assert_eq!(lanes.lock().held.len(), 1);
    }

    #[test]
    fn who_steps_back_gives_the_slot_away_and_keeps_the_lane() {
        let lanes = Lanes::new(1, 1);
        let (_, mut first) = enter(&lanes, 1, 1);
        let (_, mut behind) = enter(&lanes, 1, 2);
        let (_, mut other) = enter(&lanes, 2, 3);
        assert!(runs(&mut first));
        first.step_back();
        assert!(runs(&mut other), "the slot is free");
        drop(other);
        assert!(!runs(&mut first) && !runs(&mut behind), "the lane is not");
        first.come_back();
        assert!(runs(&mut first) && !runs(&mut behind));
        first.step_back();
        drop(first);
        assert!(runs(&mut behind));
        behind.come_back();
        drop(behind);
        assert!(lanes.view().is_empty());
    }

    #[tokio::test]
    async fn who_waits_aside_holds_no_slot_even_where_its_turn_comes_meanwhile() {
        let lanes = Lanes::new(1, 1);
        let (_, ahead) = enter(&lanes, 1, 1);
        let (_, mut ticket) = enter(&lanes, 1, 2);
        let (_, mut other) = enter(&lanes, 2, 3);
        let (done, on_done) = oneshot::channel::<()>();
        let aside = tokio::spawn(async move {
            drop(ticket.aside(on_done).await);
            ticket.starts().await;
        });
        tokio::task::yield_now().await;
        drop(ahead);
        other.starts().await;
        drop(done);
        drop(other);
        tokio::time::timeout(Duration::from_secs(5), aside).await.unwrap().unwrap();
        assert!(lanes.view().is_empty());
    }

    #[tokio::test]
    async fn a_panic_and_an_abort_free_the_lane() {
        let lanes = Lanes::new(8, 8);
        let (_, ticket) = enter(&lanes, 1, 1);
        let panics = tokio::spawn(async move {
            let _ticket = ticket;
            panic!("on purpose");
        });
        assert!(panics.await.is_err());
        let (place, ticket) = enter(&lanes, 1, 2);
        assert_eq!(place, LanePosition::Runs);
        let hangs = tokio::spawn(async move {
            let _ticket = ticket;
            std::future::pending::<()>().await;
        });
        let (_, mut next) = enter(&lanes, 1, 3);
        hangs.abort();
        tokio::time::timeout(Duration::from_secs(5), next.starts()).await.unwrap();
    }

    #[test]
    fn slots_are_dealt_to_people_before_channels() {
        let lanes = Lanes::new(1, 1);
        let (_, first) = enter(&lanes, 1, 1);
        let mut flood: Vec<_> = (2..12).map(|n| enter(&lanes, n, n).1).collect();
        let mut others: Vec<_> =
            (2..4).map(|n| lanes.enter(channel(90 + n), turn(90 + n), person(n)).1).collect();
        let (_, mut again) = lanes.enter(channel(99), turn(99), person(2));
        drop(first);
        assert!(runs(&mut flood[0]), "it has waited for longest");
        drop(flood.remove(0));
        assert!(runs(&mut others[0]));
        drop(others.remove(0));
        assert!(runs(&mut others[0]));
        drop(others);
        assert!(runs(&mut flood[0]) && !runs(&mut again));
        drop(flood.remove(0));
        assert!(runs(&mut again));
    }

    #[test]
    fn nobody_holds_all_slots() {
        let lanes = Lanes::new(3, 2);
        let mut flood: Vec<_> = (1..=10).map(|n| enter(&lanes, n, n).1).collect();
        assert_eq!(flood.iter_mut().filter_map(|it| runs(it).then_some(())).count(), 2);
        let (place, other) = lanes.enter(channel(99), turn(99), person(2));
        assert_eq!(place, LanePosition::Runs);
        drop(other);
        assert!(!runs(&mut flood[2]), "the slot stays free for whoever comes");
        flood[0].free_slot();
        assert!(runs(&mut flood[2]), "who gives a slot back may have another");
    }

    #[test]
    fn a_channel_waits_for_whoever_is_next_in_it() {
        let lanes = Lanes::new(1, 1);
        let (_, first) = enter(&lanes, 1, 1);
        let (_, next) = enter(&lanes, 2, 2);
        let (_, mut behind) = lanes.enter(channel(2), turn(3), person(2));
        let (_, mut last) = enter(&lanes, 3, 4);
        drop(next);
        drop(first);
        assert!(runs(&mut last), "person 1 was in the queue before person 2");
        drop(last);
        assert!(runs(&mut behind));
        drop(behind);
        assert!(lanes.view().is_empty() && lanes.lock().ready.is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_waiting_turns_of_a_person_in_a_channel() {
        let lanes = Lanes::new(8, 8);
        let within = |n: u64, who: u64| lanes.enter_within(2, channel(1), turn(n), person(who));
        let (_, runs) = within(1, 1).unwrap();
        let waits = [within(2, 1).unwrap(), within(3, 1).unwrap()];
        assert!(within(4, 1).is_none());
        assert_eq!((lanes.waiting(channel(1), person(1)), lanes.waiting(channel(2), person(1))), (2, 0));
        let _other = within(5, 2).unwrap();
        drop(runs);
        let _room = within(6, 1).unwrap();
        assert!(within(7, 1).is_none());
        drop(waits);
    }

    /// Who holds how many slots, by the lanes themselves.
    fn held(state: &LanesState) -> HashMap<UserId, usize> {
        let mut held = HashMap::new();
        let running = state.lanes.values().filter_map(|lane| lane.running.as_ref());
        running.filter(|it| it.holds_slot).for_each(|it| *held.entry(it.person).or_default() += 1);
        held
    }

    /// The channels whose next turn only waits for a slot, with the person who is next.
    fn ready(state: &LanesState) -> BTreeSet<(UserId, ChannelId)> {
        let idle = state.lanes.iter().filter(|(_, lane)| lane.running.is_none() && !lane.stepped_back);
        idle.filter_map(|(&channel, lane)| Some((lane.waiting.front()?.person, channel))).collect()
    }

    /// One step of a story: who, in which channel, which of the turns that are there, and what happens.
    type Step = (u64, u64, prop::sample::Index, u8);

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec((1..5u64, 1..7u64, any::<prop::sample::Index>(), 0..9u8), 1..150)
    }

    fn take(step: &Step, number: usize, lanes: &Lanes, tickets: &mut Vec<Ticket>) {
        let (who, key, pick, what) = step;
        match what {
            0 | 1 if !tickets.is_empty() => drop(tickets.swap_remove(pick.index(tickets.len()))),
            2 if !tickets.is_empty() => tickets[pick.index(tickets.len())].free_slot(),
            3 if !tickets.is_empty() => {
                let place = pick.index(tickets.len());
                tickets[place].step_back();
            }
            4 if !tickets.is_empty() => tickets[pick.index(tickets.len())].come_back(),
            5 if !tickets.is_empty() => {
                let Ticket { channel, number, .. } = tickets[pick.index(tickets.len())];
                drop(lanes.lock().regain(channel, number));
            }
            _ => tickets.push(lanes.enter(channel(*key), turn(number as u64 + 1), person(*who)).1),
        }
    }

    proptest! {
        /// Whatever enters and leaves in whatever order: never two of a channel, never more than the cap or than one
        /// person may have, never an idle slot while somebody waits who could use it, and nothing is left at the end.
        #[test]
        fn the_rules_hold_for_any_story(steps in steps(), cap in 1..5usize, per_person in 1..5usize) {
            let lanes = Lanes::new(cap, per_person);
            let mut tickets: Vec<Ticket> = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                take(step, number, &lanes, &mut tickets);
                let view = lanes.view();
                prop_assert!(view.iter().all(|lane| lane.waiting.is_sorted_by_key(|(turn, _)| *turn)));
                let known: usize = view.iter().map(|lane| lane.waiting.len() + usize::from(lane.running.is_some())).sum();
                prop_assert_eq!(known, tickets.len());

                let state = lanes.lock();
                prop_assert_eq!(&held(&state), &state.held);
                let taken = state.held.values().sum::<usize>();
                prop_assert!(taken <= cap && state.held.values().all(|held| *held <= per_person));
                let could_run = |person: &UserId| state.held.get(person).is_none_or(|held| *held < per_person);
                prop_assert!(taken == cap || !ready(&state).iter().any(|(person, _)| could_run(person)));
                prop_assert!(taken == cap || !state.returning.iter().any(|turn| could_run(&turn.person)));
                let returns = |turn: &ReturningTurn| {
                    let running = state.lanes.get(&turn.channel).and_then(|lane| lane.running.as_ref());
                    running.is_some_and(|it| it.ticket == turn.ticket && !it.holds_slot)
                };
                prop_assert!(state.returning.iter().all(returns), "only those that run without a slot");
                let queued = state.ready.iter().flat_map(|it| it.channels.iter().map(|channel| (it.person, *channel)));
                let queued: Vec<_> = queued.collect();
                prop_assert_eq!(queued.len(), ready(&state).len(), "each once");
                prop_assert_eq!(queued.into_iter().collect::<BTreeSet<_>>(), ready(&state));
                let people: BTreeSet<_> = state.ready.iter().map(|it| it.person).collect();
                prop_assert_eq!(people.len(), state.ready.len(), "each once");
            }
            tickets.clear();
            prop_assert!(lanes.view().is_empty());
            let state = lanes.lock();
            prop_assert!(state.held.is_empty() && state.ready.is_empty() && state.returning.is_empty());
        }

        /// As long as somebody only waits for a slot, and may have one, everybody else begins one turn at most; and so
        /// does each of their own channels as long as another of theirs waits.
        #[test]
        fn nobody_gets_two_slots_while_another_waits_for_one(steps in steps(), cap in 1..4usize, per_person in 1..4usize) {
            let lanes = Lanes::new(cap, per_person);
            let mut tickets: Vec<Ticket> = Vec::new();
            // What has begun while a person, or a channel of theirs, waited.
            let mut past_person = BTreeMap::<UserId, BTreeMap<UserId, usize>>::new();
            let mut past_channel = BTreeMap::<(UserId, ChannelId), BTreeMap<ChannelId, usize>>::new();
            let mut running = BTreeSet::new();
            for (number, step) in steps.iter().enumerate() {
                take(step, number, &lanes, &mut tickets);
                let state = lanes.lock();
                let now_running = |(&channel, lane): (&ChannelId, &Lane)| {
                    let running = lane.running.as_ref()?;
                    Some((running.turn, channel, running.person))
                };
                let now: BTreeSet<_> = state.lanes.iter().filter_map(now_running).collect();
                let (ready, held) = (ready(&state), &state.held);
                let waits = |person: &UserId| {
                    held.get(person).is_none_or(|it| *it < per_person) && ready.iter().any(|it| it.0 == *person)
                };
                past_person.retain(|person, _| waits(person));
                past_channel.retain(|waiting, _| ready.contains(waiting));
                for (_, channel, person) in now.difference(&running) {
                    past_person.remove(person);
                    for (_, past) in past_person.iter_mut().filter(|(waits, _)| *waits != person) {
                        *past.entry(*person).or_default() += 1;
                    }
                    for (_, past) in past_channel.iter_mut().filter(|((waits, _), _)| waits == person) {
                        *past.entry(*channel).or_default() += 1;
                    }
                }
                prop_assert!(past_person.values().flat_map(BTreeMap::values).all(|&begun| begun <= 1), "{past_person:?}");
                prop_assert!(past_channel.values().flat_map(BTreeMap::values).all(|&begun| begun <= 1), "{past_channel:?}");
                for waiting in &ready {
                    if waits(&waiting.0) {
                        past_person.entry(waiting.0).or_default();
                    }
                    past_channel.entry(*waiting).or_default();
                }
                running = now;
            }
        }
    }
}
