//! When a call may go: Discord's rate limits, learned from its answers. No I/O and no clock of its own.
//!
//! Discord counts calls in *buckets*. The header `X-RateLimit-Bucket` says which bucket a kind
//! of call falls into, the same for all channels; the count itself is kept per bucket and channel. As only
//! one call per channel is in flight, no counting is needed here: an answer says how many calls remain, and 0
//! closes the bucket for that channel until its window ends. The limit over everything (50 calls per second) is
//! in no header: the first refusal that names it makes this side count for a while.
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
    Edit,
    Delete,
    Typing,
    React,
    Channel,
    History,
    Member,
    Commands,
    Start,
}

impl CallKind {
    /// How many kinds there are.
    pub(super) const COUNT: usize = Self::Start as usize + 1;
}

/// Where Discord counts: the bucket it named, or the kind itself as long as it has named none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Bucket {
    Unnamed(CallKind),
    Named(Arc<str>),
}

/// What Discord allows in all, per second.
const GLOBAL: usize = 50;
/// How long calls are counted here after Discord complained about their total.
const CAREFUL: Duration = Duration::from_secs(600);
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
    /// Until when calls are counted.
    careful: Option<Instant>,
    /// When the last calls went, at most [`GLOBAL`] of them, while they are counted.
    sent: VecDeque<Instant>,
}

impl Pace {
    /// Lets a call go now, or says when to ask again.
    pub(super) fn admit(&mut self, kind: CallKind, channel: u64, now: Instant) -> Result<(), Instant> {
        let bucket = (self.bucket(kind), channel);
        let waits = [self.silence, self.closed.get(&bucket).copied()];
        if let Some(until) = waits.into_iter().flatten().max().filter(|until| *until > now) {
            return Err(until);
        }
        self.closed.remove(&bucket);
        if self.careful.is_none_or(|until| until <= now) {
            self.careful = None;
            self.sent = VecDeque::new();
            return Ok(());
        }
        if self.sent.len() == GLOBAL {
            let next = self.sent[0] + Duration::from_secs(1);
            if next > now {
                return Err(next);
            }
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        Ok(())
    }

    /// Learns from an answer to a call of this kind in this channel.
    pub(super) fn learn(&mut self, kind: CallKind, channel: u64, limits: &LimitHeaders, now: Instant) {
        if let Some(name) = &limits.bucket
            && self.names.get(&kind).is_none_or(|known| **known != **name)
        {
            self.names.insert(kind, Arc::from(name.as_str()));
        }
        match limits.refused {
            Some(TooManyRequests { everywhere: true, wait }) => {
                self.silence = self.silence.max(Some(now + wait));
                self.careful = Some(now + CAREFUL);
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
        assert_eq!(pace.admit(CallKind::Create, 2, now), Ok(()));
        assert_eq!(pace.admit(CallKind::Typing, 1, now), Ok(()));
        assert_eq!(pace.admit(CallKind::Create, 1, now + seconds(4.5)), Ok(()));

        // Another kind that turns out to be counted in the same bucket waits with it.
        pace.learn(CallKind::React, 1, &LimitHeaders::read(204, &last, b"", seconds(1.0)), now);
        assert_eq!(pace.admit(CallKind::Create, 1, now), Err(now + seconds(4.5)));
    }

    #[test]
    fn a_global_refusal_stops_everybody_and_then_keeps_to_fifty_a_second() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let body = br#"{"message": "x", "retry_after": 0.25, "global": true}"#;
        let limits = LimitHeaders::read(429, &HeaderMap::new(), body, seconds(1.0));
        pace.learn(CallKind::Create, 1, &limits, now);
        assert_eq!(pace.admit(CallKind::Typing, 9, now), Err(now + seconds(0.25)));
        let later = now + seconds(0.25);
        for channel in 0..50 {
            assert_eq!(pace.admit(CallKind::Create, channel, later), Ok(()));
        }
        assert_eq!(pace.admit(CallKind::Create, 50, later), Err(later + seconds(1.0)));
        assert_eq!(pace.admit(CallKind::Create, 50, later + seconds(1.0)), Ok(()));
        assert_eq!(pace.admit(CallKind::Create, 51, later + CAREFUL), Ok(()));
        assert!(pace.sent.is_empty());
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
