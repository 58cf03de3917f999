//! When the next session with Discord may begin. No I/O and no clock of its own.
//!
//! Every new session takes an IDENTIFY. Discord wants them five seconds apart, and counts them: whoever sends more than
//! a day's worth (1,000) has its token reset, which ends the bot for good. So the waits grow as long as sessions do not
//! last, at most until what is left of the day's worth would be spread evenly over the rest of the day.
//!
//! See <https://discord.com/developers/docs/events/gateway#identifying>.

use std::time::Duration;

use crate::outbox::SessionStarts;

/// The least time between two IDENTIFYs.
const APART: Duration = Duration::from_secs(5);
/// The first wait. Discord asks for one to five seconds after a session that it has called invalid.
const SHORTEST: Duration = Duration::from_secs(2);
/// The longest wait, as long as Discord has enough sessions left.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait where no session began: a connection that is refused costs nothing.
const LONGEST_UNREACHED: Duration = Duration::from_secs(10);
/// A session that lasted for this long counts as healthy.
const GOOD: Duration = Duration::from_secs(300);

/// The waits between sessions.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
    next_unreached: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST, longest: LONGEST, next_unreached: SHORTEST }
    }
}

impl Backoff {
    /// How long to wait after a session that lasted for this long from its connection on.
    pub(super) fn after_a_session(&mut self, lasted: Duration) -> Duration {
        if lasted >= GOOD {
            self.next = SHORTEST;
        }
        self.next_unreached = SHORTEST;
        let wait = self.next.min(self.longest).max(APART.saturating_sub(lasted));
        self.next = (self.next * 2).min(self.longest);
        wait
    }

    /// How long to wait where there was no connection, and so no IDENTIFY.
    pub(super) fn after_no_connection(&mut self) -> Duration {
        let wait = self.next_unreached;
        self.next_unreached = (wait * 2).min(LONGEST_UNREACHED);
        wait
    }

    /// Takes in how many sessions Discord has left; if it is none, how long to wait before it is asked again.
    pub(super) fn learn(&mut self, starts: &SessionStarts) -> Result<(), Duration> {
        if starts.remaining == 0 {
            return Err(starts.reset_after.max(APART));
        }
        self.longest = (starts.reset_after / starts.remaining).max(LONGEST);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// How many sessions begin within this time if each lasts for `lasting` only, and Discord has `total` for a day.
    fn sessions(within: Duration, total: u32, lasting: Duration) -> u32 {
        let (mut pace, mut now, mut begun) = (Backoff::default(), Duration::ZERO, 0);
        while now < within {
            let left = total.saturating_sub(begun);
            match pace.learn(&SessionStarts { remaining: left, reset_after: DAY - now }) {
                Ok(()) => {
                    begun += 1;
                    now += lasting + pace.after_a_session(lasting);
                }
                Err(wait) => now += wait,
            }
        }
        begun
    }

    #[test]
    fn a_storm_slows_down_and_never_uses_up_the_days_sessions() {
        let seconds = Duration::from_secs;
        assert_eq!(sessions(seconds(100), 1000, Duration::ZERO), 6);
        for total in [30, 100, 500, 1000] {
            for lasting in [0, 1, 7, 60, 299] {
                let begun = [DAY / 2, DAY].map(|within| sessions(within, total, seconds(lasting)));
                // What is left is spread over the rest of the day.
                assert!(begun[0] <= total / 2 + 10 && begun[1] <= total, "{begun:?} of {total}");
            }
        }
        assert_eq!(sessions(DAY - seconds(1), 0, Duration::ZERO), 0);
    }

    #[test]
    fn a_good_session_is_followed_by_another_at_once() {
        let mut pace = Backoff::default();
        let waits = [0, 0, 0, 0].map(|_| pace.after_a_session(Duration::from_secs(1)).as_secs());
        assert_eq!(waits, [4, 4, 8, 16]);
        assert_eq!(pace.after_a_session(GOOD), SHORTEST);

        let waits = [0, 0, 0, 0].map(|_| pace.after_no_connection().as_secs());
        assert_eq!(waits, [2, 4, 8, 10]);
        assert_eq!(pace.after_a_session(Duration::from_secs(6)).as_secs(), 4);
        assert_eq!(pace.after_no_connection(), SHORTEST);
    }
}
