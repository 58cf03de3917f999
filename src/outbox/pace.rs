//! When a call may go: Discord's rate limits, learned from its answers. No I/O and no clock of its own.
//!
//! Discord counts calls in *buckets*. The header `X-RateLimit-Bucket` says which bucket a kind
//! of call falls into, the same for all channels; the count itself is kept per bucket and channel. As only
//! one call per channel is in flight, no counting is needed here: an answer says how many calls remain, and 0
//! closes the bucket for that channel until its window ends. The limit over everything (50 calls per second) is
//! in no header, so every call is counted, from its start until a second after its answer. Discord counted it at some moment
//! in between, so however long calls take to arrive, no second there sees more of them than are held here at once.
//!
//! As that limit comes near, calls that can wait leave the rest of it to those that carry what is said.
//!
//! See <https://discord.com/developers/docs/topics/rate-limits>.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;
use tokio::time::Instant;

/// A kind of call, as far as Discord's limits tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CallKind {
    Create,
    /// Posts a message that only shows that a turn is at work.
    Show,
    Edit,
    Delete,
    Typing,
    /// Types to learn whether the bot may write there; a turn waits for it.
    MayType,
    React,
    Channel,
    Thread,
    History,
    Member,
    Commands,
    Start,
}

impl CallKind {
    /// How many kinds there are.
    pub(super) const COUNT: usize = Self::Start as usize + 1;
}

impl CallKind {
    /// How many calls may count when this one starts. What only shows that a turn is at work, or tidies up, leaves room for
    /// messages and what they depend on.
    fn most(self) -> usize {
        match self {
            Self::Show | Self::Edit | Self::Delete | Self::Typing | Self::React | Self::History => {
                MOST_LESSER
            }
            Self::Create
            | Self::MayType
            | Self::Channel
            | Self::Thread
            | Self::Member
            | Self::Commands
            | Self::Start => MOST,
        }
    }

    /// Whether such a call may be late.
    pub(super) fn waits_for_room(self) -> bool {
        self != Self::Show
    }

    /// The kind that it is to Discord.
    pub(super) fn to_discord(self) -> Self {
        match self {
            Self::Show => Self::Create,
            Self::MayType => Self::Typing,
            other => other,
        }
    }
}

/// Where Discord counts: the bucket it named, or the kind itself as long as it has named none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Bucket {
    Unnamed(CallKind),
    Named(Arc<str>),
}

/// How many calls may count at once. Discord allows 50 a second; two are left for the check of a token, which is not counted.
const MOST: usize = 48;
/// The same for calls that can wait. There are up to seven of them for an answer, where many turns wait.
const MOST_LESSER: usize = 24;
/// How long a call counts after its answer.
const WINDOW: Duration = Duration::from_secs(1);
/// The longest wait that a server can ask for; longer ones are cut to this.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is known about Discord's windows.
#[derive(Debug, Default)]
pub(super) struct Pace {
    names: HashMap<CallKind, Arc<str>>,
    /// Buckets with nothing left, and until when; the number is the channel.
    closed: HashMap<(Bucket, u64), Instant>,
    /// Until when nothing at all may go.
    silence: Option<Instant>,
    /// How many calls are on their way.
    in_flight: usize,
    /// When the calls of the last [`WINDOW`] ended, in order.
    ended: VecDeque<Instant>,
}

impl Pace {
    /// Lets a call go now, or says when to ask again. Whoever makes the call tells of its end, too ([`Pace::end`]).
    pub(super) fn admit(&mut self, kind: CallKind, channel: u64, now: Instant) -> Result<(), Instant> {
        self.room(kind, channel, now)?;
        self.in_flight += 1;
        Ok(())
    }

    /// Whether a call could go now, or when to ask again.
    pub(super) fn room(&mut self, kind: CallKind, channel: u64, now: Instant) -> Result<(), Instant> {
        let bucket = (self.bucket(kind), channel);
        let waits = [self.silence, self.closed.get(&bucket).copied()];
        if let Some(until) = waits.into_iter().flatten().max().filter(|until| *until > now) {
            return Err(until);
        }
        self.closed.remove(&bucket);
        while self.ended.front().is_some_and(|ended| *ended + WINDOW <= now) {
            self.ended.pop_front();
        }
        if let Some(too_many) = (self.in_flight + self.ended.len()).checked_sub(kind.most()) {
            // A call that is still on its way counts for a window at least.
            return Err(self.ended.get(too_many).map_or(now, |ended| *ended) + WINDOW);
        }
        Ok(())
    }

    /// A call that was admitted is over, however it ended.
    pub(super) fn end(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.ended.push_back(now);
    }

    /// Learns from an answer to a call of this kind in this channel.
    pub(super) fn learn(&mut self, kind: CallKind, channel: u64, limits: &LimitHeaders, now: Instant) {
        if let Some(name) = &limits.bucket
            && self.names.get(&kind.to_discord()).is_none_or(|known| **known != **name)
        {
            self.names.insert(kind.to_discord(), Arc::from(name.as_str()));
        }
        match limits.refused {
            Some(TooManyRequests { everywhere: true, wait }) => {
                self.silence = self.silence.max(Some(now + wait))
            }
            Some(TooManyRequests { everywhere: false, wait }) => self.close(kind, channel, now + wait, now),
            None => {
                if let Some(reset) = limits.exhausted {
                    self.close(kind, channel, now + reset, now);
                }
            }
        }
    }

    fn close(&mut self, kind: CallKind, channel: u64, until: Instant, now: Instant) {
        if self.closed.len() >= 256 {
            self.closed.retain(|_, until| *until > now);
        }
        self.closed.insert((self.bucket(kind), channel), until);
    }

    fn bucket(&self, kind: CallKind) -> Bucket {
        let kind = kind.to_discord();
        self.names.get(&kind).cloned().map_or(Bucket::Unnamed(kind), Bucket::Named)
    }
}

/// What one answer says about limits.
#[derive(Debug, Default, PartialEq)]
pub(super) struct LimitHeaders {
    bucket: Option<String>,
    /// Nothing remains, for this long.
    exhausted: Option<Duration>,
    /// The call itself was refused (429).
    pub(super) refused: Option<TooManyRequests>,
}

/// A 429.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TooManyRequests {
    /// Whether it concerns every call and not only this bucket.
    pub(super) everywhere: bool,
    pub(super) wait: Duration,
}

impl LimitHeaders {
    /// Reads the headers and, for a 429, the body. What cannot be read is ignored; a 429 without a time waits for
    /// `otherwise`.
    pub(super) fn read(status: u16, headers: &HeaderMap, body: &[u8], otherwise: Duration) -> Self {
        #[derive(Default, Deserialize)]
        struct Body {
            retry_after: Option<f64>,
            #[serde(default)]
            global: bool,
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let seconds = |name: &str| text(name).and_then(|text| duration(text.parse().ok()?));

        let bucket = text("x-ratelimit-bucket").map(str::to_owned);
        let exhausted = text("x-ratelimit-remaining")
            .filter(|remaining| remaining.trim() == "0")
            .and_then(|_| seconds("x-ratelimit-reset-after"));
        let refused = (status == 429).then(|| {
            let body: Body = serde_json::from_slice(body).unwrap_or_default();
            let wait = body.retry_after.and_then(duration).or_else(|| seconds("retry-after"));
            let everywhere = body.global
                || text("x-ratelimit-global").is_some_and(|text| text.eq_ignore_ascii_case("true"))
                || text("x-ratelimit-scope") == Some("global");
            TooManyRequests { everywhere, wait: wait.unwrap_or(otherwise) }
        });
        Self { bucket, exhausted, refused }
    }
}

/// Seconds as a server writes them; nothing where that is no time.
fn duration(seconds: f64) -> Option<Duration> {
    let possible = seconds.is_finite() && seconds >= 0.0;
    possible.then(|| Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn seconds(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    #[test]
    fn an_exhausted_bucket_closes_for_its_channel_and_its_kinds_only() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let last = headers(&[
            ("x-ratelimit-bucket", "b"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset-after", "4.5"),
        ]);
        pace.learn(CallKind::Create, 1, &LimitHeaders::read(200, &last, b"", seconds(1.0)), now);
        assert_eq!(pace.admit(CallKind::Create, 1, now), Err(now + seconds(4.5)));
        assert_eq!(pace.admit(CallKind::Show, 1, now), Err(now + seconds(4.5)), "to Discord it is the same");
        assert_eq!(pace.admit(CallKind::Create, 2, now), Ok(()));
        assert_eq!(pace.admit(CallKind::Typing, 1, now), Ok(()));
        assert_eq!(pace.admit(CallKind::Create, 1, now + seconds(4.5)), Ok(()));

        // Another kind that turns out to be counted in the same bucket waits with it.
        pace.learn(CallKind::React, 1, &LimitHeaders::read(204, &last, b"", seconds(1.0)), now);
        assert_eq!(pace.admit(CallKind::Create, 1, now), Err(now + seconds(4.5)));
    }

    #[test]
    fn a_global_refusal_stops_everybody() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let body = br#"{"message": "x", "retry_after": 0.25, "global": true}"#;
        let limits = LimitHeaders::read(429, &HeaderMap::new(), body, seconds(1.0));
        pace.learn(CallKind::Create, 1, &limits, now);
        assert_eq!(pace.admit(CallKind::Typing, 9, now), Err(now + seconds(0.25)));
        assert_eq!(pace.admit(CallKind::Typing, 9, now + seconds(0.25)), Ok(()));
    }

    #[test]
    fn what_can_wait_leaves_room_for_messages() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let room =
            |pace: &mut Pace, kind, at| (0..100).take_while(|n| pace.admit(kind, *n, at).is_ok()).count();
        assert_eq!(room(&mut pace, CallKind::Edit, now), MOST_LESSER);
        assert_eq!(room(&mut pace, CallKind::Create, now), MOST - MOST_LESSER);
        assert_eq!(pace.admit(CallKind::Create, 1, now), Err(now + WINDOW), "none has ended");
        for n in 0..MOST {
            pace.end(now + seconds(n as f64 / 100.0));
        }
        let later = now + seconds(0.5);
        assert_eq!(pace.admit(CallKind::Create, 1, later), Err(now + WINDOW));
        let lesser = now + seconds((MOST - MOST_LESSER) as f64 / 100.0) + WINDOW;
        assert_eq!(pace.admit(CallKind::Edit, 1, later), Err(lesser));
        assert_eq!(pace.admit(CallKind::Create, 1, now + WINDOW), Ok(()));
        pace.end(now + WINDOW);
        assert_eq!(room(&mut pace, CallKind::Edit, now + seconds(9.0)), MOST_LESSER);
    }

    proptest! {
        /// Whenever calls are wanted and however long each takes to get there and back, no second of Discord's sees more
        /// than the limit.
        #[test]
        fn no_second_sees_more_than_the_limit(
            calls in proptest::collection::vec((0..40u64, 0..400u64, 0..400u64, any::<bool>()), 1..400),
        ) {
            let kinds = [CallKind::Edit, CallKind::Create];
            let (mut pace, start) = (Pace::default(), Instant::now());
            let ms = |n: u64| start + Duration::from_millis(n);
            let (mut now, mut ends, mut arrived) = (0, std::collections::BTreeSet::new(), Vec::new());
            for (number, (gap, there, back, is_message)) in calls.into_iter().enumerate() {
                now += gap.saturating_sub(30);
                loop {
                    while let Some((end, _)) = ends.first().copied().filter(|(end, _)| *end <= now) {
                        pace.end(ms(end));
                        ends.pop_first();
                    }
                    match pace.admit(kinds[usize::from(is_message)], number as u64, ms(now)) {
                        Ok(()) => break,
                        Err(until) => {
                            let until = until.duration_since(start).as_millis() as u64;
                            prop_assert!(until > now, "it has to wait");
                            now = until;
                        }
                    }
                }
                arrived.push(now + there);
                ends.insert((now + there + back, number));
            }
            arrived.sort_unstable();
            let too_close = arrived.windows(MOST + 1).find(|it| it[MOST] - it[0] < 1000);
            prop_assert!(too_close.is_none(), "{too_close:?}");
        }
    }

    #[test]
    fn nonsense_from_a_server_is_not_a_wait() {
        for bad in ["-1", "NaN", "inf", "", "soon", "1,5"] {
            let bad: reqwest::header::HeaderValue = bad.parse().unwrap();
            let mut map = headers(&[("x-ratelimit-remaining", "0")]);
            map.insert("x-ratelimit-reset-after", bad.clone());
            map.insert("retry-after", bad);
            assert_eq!(LimitHeaders::read(200, &map, b"{", seconds(1.0)).exhausted, None);
            let refused = LimitHeaders::read(429, &map, b"<html>", seconds(1.5)).refused.unwrap();
            assert_eq!(refused, TooManyRequests { everywhere: false, wait: seconds(1.5) });
        }
        let refused =
            LimitHeaders::read(429, &headers(&[("retry-after", "1e300")]), b"", seconds(1.0)).refused;
        assert_eq!(refused.unwrap().wait, LONGEST);
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let closed = LimitHeaders { exhausted: Some(seconds(1.0)), ..LimitHeaders::default() };
        for channel in 0..10_000 {
            pace.learn(CallKind::Create, channel, &closed, now + seconds(channel as f64));
        }
        assert!(pace.closed.len() <= 256);
    }
}
