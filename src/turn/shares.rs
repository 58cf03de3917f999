//! What one person may take of the bot with messages: how many wait in a channel, and how many are taken within a
//! minute.
//!
//! # Theory of operation
//! A message over the limit is refused for good: it is written down like one that was answered, so that it does not
//! become a turn when Discord delivers it again later, long after its author has sent it again. The person is told
//! once, and then no more until there is room again, which is when a message of theirs is taken.
//!
//! The minute is Discord's, as it stands in the ids: what was written over hours and is caught up in a second is not
//! many at once.

use std::collections::{HashMap, HashSet, VecDeque};

use parking_lot::{Mutex, MutexGuard};

use crate::domain::{ChannelId, MessageId, Share, UserId};
use crate::words;

/// In milliseconds.
const MINUTE: u64 = 60_000;
/// From this many people on, those who have written nothing for a minute are forgotten.
const MANY: usize = 1000;

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TooMuch {
    /// Enough of the person's messages wait in this channel.
    Waiting(ChannelId),
    /// Enough of the person's messages were taken within a minute.
    Messages,
}

/// How much each person has used of the bot.
pub struct Shares {
    share: Share,
    state: Mutex<SharesState>,
}

#[derive(Default)]
struct SharesState {
    /// The newest messages of each person that were taken, as many as may be taken within a minute.
    taken: HashMap<UserId, VecDeque<MessageId>>,
    /// Who has been told why their messages are refused.
    told: HashSet<(UserId, TooMuch)>,
}

impl Shares {
    /// Nothing taken yet.
    pub fn new(share: Share) -> Self {
        Self { share, state: Mutex::default() }
    }

    /// How many messages of one person may wait in a channel.
    pub fn waiting(&self) -> usize {
        self.share.waiting
    }

    /// Whether a message of this person, written at this time by Discord's clock, is one too many within a minute.
    pub fn is_too_fast(&self, person: UserId, made: u64) -> bool {
        self.state().is_too_fast(&self.share, person, made)
    }

    /// Counts a message, unless it is one too many within a minute. A repeated delivery counts once.
    pub fn take(&self, person: UserId, message: MessageId) -> bool {
        let mut state = self.state();
        if state.taken.get(&person).is_some_and(|taken| taken.contains(&message)) {
            return true;
        }
        if state.is_too_fast(&self.share, person, message.made()) {
            return false;
        }
        if state.taken.len() >= MANY {
            let is_recent = |it: &MessageId| it.made().abs_diff(message.made()) < MINUTE;
            state.taken.retain(|_, taken| taken.back().is_some_and(is_recent));
        }
        let taken = state.taken.entry(person).or_default();
        taken.push_back(message);
        if taken.len() > self.share.per_minute {
            taken.pop_front();
        }
        state.told.remove(&(person, TooMuch::Messages));
        true
    }

    /// Whether the person has been told, since there was room last.
    pub fn is_told(&self, person: UserId, why: TooMuch) -> bool {
        self.state().told.contains(&(person, why))
    }

    /// The person is told now.
    pub fn note_told(&self, person: UserId, why: TooMuch) {
        self.state().told.insert((person, why));
    }

    /// A message of this person was taken in the channel.
    pub fn took(&self, person: UserId, channel: ChannelId) {
        self.state().told.remove(&(person, TooMuch::Waiting(channel)));
    }

    /// What the person is told.
    pub fn sentence(&self, why: TooMuch) -> String {
        match why {
            TooMuch::Waiting(_) => words::too_many_waiting(self.share.waiting),
            TooMuch::Messages => words::too_many_messages(self.share.per_minute),
        }
    }

    fn state(&self) -> MutexGuard<'_, SharesState> {
        self.state.lock()
    }
}

impl SharesState {
    fn is_too_fast(&self, share: &Share, person: UserId, made: u64) -> bool {
        let taken = self.taken.get(&person).filter(|taken| taken.len() >= share.per_minute);
        // Missed messages are caught up channel by channel, not in the order in which they were written.
        taken.is_some_and(|taken| taken.iter().all(|it| it.made().abs_diff(made) < MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHARE: Share = Share { running: 1, waiting: 1, per_minute: 3, commands: 1, dialogs: 1 };

    fn person(n: u64) -> UserId {
        UserId::new(n).unwrap()
    }

    /// The n-th message of this millisecond.
    fn message(made: u64, n: u64) -> MessageId {
        MessageId::new((made << 22) | n).unwrap()
    }

    #[test]
    fn so_many_messages_are_taken_within_a_minute_and_each_counts_once() {
        let shares = Shares::new(SHARE);
        let take = |made, n| shares.take(person(1), message(made, n));
        assert!(take(1000, 1) && take(1000, 2) && take(2000, 0));
        assert!(take(1000, 1) && take(2000, 0), "they come again");
        assert!(!take(3000, 0) && !take(60_999, 0));
        assert!(shares.is_too_fast(person(1), 60_999) && !shares.is_too_fast(person(2), 60_999));
        assert!(shares.take(person(2), message(3000, 1)));
        assert!(take(61_000, 0) && take(61_000, 1) && !take(61_000, 2));
    }

    #[test]
    fn what_is_caught_up_channel_by_channel_counts_in_the_minute_in_which_it_was_written() {
        let shares = Shares::new(SHARE);
        let take = |made, n| shares.take(person(1), message(made, n));
        // One channel over hours, then another one from the beginning.
        assert!(take(MINUTE, 0) && take(20 * MINUTE, 0) && take(40 * MINUTE, 0));
        assert!(take(MINUTE, 1) && take(20 * MINUTE, 1));
    }

    #[test]
    fn somebody_hears_of_it_once_until_there_is_room_again() {
        let shares = Shares::new(SHARE);
        let channel = ChannelId::new(1).unwrap();
        for why in [TooMuch::Messages, TooMuch::Waiting(channel)] {
            assert!(!shares.is_told(person(1), why));
            shares.note_told(person(1), why);
            assert!(shares.is_told(person(1), why) && !shares.is_told(person(2), why));
        }
        shares.took(person(1), channel);
        assert!(!shares.is_told(person(1), TooMuch::Waiting(channel)));
        assert!(shares.is_told(person(1), TooMuch::Messages));
        assert!(shares.take(person(1), message(1, 1)));
        assert!(!shares.is_told(person(1), TooMuch::Messages));
    }

    #[test]
    fn who_has_written_nothing_for_a_minute_is_forgotten() {
        let shares = Shares::new(SHARE);
        for n in 1..=MANY as u64 {
            assert!(shares.take(person(n), message(1, n)));
        }
        assert!(shares.take(person(u64::MAX), message(MINUTE + 1, 0)));
        assert_eq!(shares.state().taken.len(), 1);
    }

    proptest! {
        /// However fast somebody writes, in no minute are more taken than may be, and nobody who keeps to it is
        /// refused.
        #[test]
        fn no_minute_has_more_than_may_be_taken(gaps in prop::collection::vec(0..40_000u64, 1..60)) {
            let shares = Shares::new(SHARE);
            let (mut now, mut taken) = (MINUTE, Vec::new());
            for (n, gap) in gaps.into_iter().enumerate() {
                now += gap;
                let within: usize = taken.iter().filter(|&&then| now - then < MINUTE).count();
                let takes = shares.take(person(1), message(now, n as u64));
                prop_assert_eq!(takes, within < SHARE.per_minute);
                taken.extend(takes.then_some(now));
            }
        }
    }
}
