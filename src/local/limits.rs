//! Discord's rate limits. Only the global one is documented; the others are as observed.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::world::Id;

/// What a call counts against, together with its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Create,
    Edit,
    Delete,
    React,
    Typing,
    Read,
    Other,
}

impl Kind {
    /// How many calls in which time.
    fn allowance(self) -> (u32, Duration) {
        match self {
            Self::Create | Self::Edit | Self::Typing | Self::Read => (5, Duration::from_secs(5)),
            Self::Delete => (5, Duration::from_secs(1)),
            Self::React => (1, Duration::from_millis(250)),
            Self::Other => (50, Duration::from_secs(1)),
        }
    }

    /// The name in `X-RateLimit-Bucket`; Discord's own are hashes.
    fn bucket(self) -> &'static str {
        match self {
            Self::Create => "80c17d2f203122d936070c88c8d10f33",
            Self::Edit => "edf8a21fe3f74c9e8b5c1c6a7c1d0a11",
            Self::Delete => "b7f6c1a1c19b4d6f9f3fd3e9a2d0be12",
            Self::React => "41f9cd5d28af77da04563bcb1d67fdfd",
            Self::Typing => "d1b06d2ef7d4ce1b6b6f0ab1d6f4b7a3",
            Self::Read => "6a1d6e0d3c4b4f0f9a6cf1c9b8f6d2e4",
            Self::Other => "0f2a5e7c91d84b3fa6c1e4d98b7f6a05",
        }
    }
}

const GLOBAL: (u32, Duration) = (50, Duration::from_secs(1));

/// A fixed window: it opens with the first call and is full after its allowance.
#[derive(Clone, Copy)]
struct Window {
    opened: Instant,
    used: u32,
}

impl Window {
    /// The window at `now`: this one, or a new one if it is over.
    fn at(self, now: Instant, length: Duration) -> Self {
        if now.duration_since(self.opened) < length { self } else { Self { opened: now, used: 0 } }
    }
}

/// Who was over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exceeded {
    pub(super) after: Duration,
    pub(super) global: bool,
}

impl IntoResponse for Exceeded {
    /// 429 as Discord says it: seconds with a fraction in the body, whole seconds in the header.
    fn into_response(self) -> Response {
        let body = json!({
            "message": "You are being rate limited.",
            "retry_after": self.after.as_secs_f64(),
            "global": self.global,
        });
        let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(self.after.as_secs_f64().ceil() as u64));
        let scope = if self.global { "global" } else { "user" };
        headers.insert("x-ratelimit-scope", HeaderValue::from_static(scope));
        if self.global {
            headers.insert("x-ratelimit-global", HeaderValue::from_static("true"));
        }
        response
    }
}

/// One call's verdict and the headers for its answer.
pub(super) struct Verdict {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) exceeded: Option<Exceeded>,
}

/// All windows.
pub(super) struct Limits {
    on: bool,
    global: Window,
    windows: HashMap<(Kind, Option<Id>), Window>,
}

impl Limits {
    pub(super) fn new(on: bool) -> Self {
        Self { on, global: Window { opened: Instant::now(), used: 0 }, windows: HashMap::new() }
    }

    /// Counts one call. A call that is refused does not count.
    pub(super) fn count(&mut self, kind: Kind, channel: Option<Id>, now: Instant) -> Verdict {
        if !self.on {
            return Verdict { headers: Vec::new(), exceeded: None };
        }
        let (limit, length) = kind.allowance();
        let window = self.windows.entry((kind, channel)).or_insert(Window { opened: now, used: 0 });
        *window = window.at(now, length);
        self.global = self.global.at(now, GLOBAL.1);
        let left_of = |window: &Window, length: Duration| (window.opened + length).duration_since(now);

        let exceeded = if self.global.used >= GLOBAL.0 {
            Some(Exceeded { after: left_of(&self.global, GLOBAL.1), global: true })
        } else if window.used >= limit {
            Some(Exceeded { after: left_of(window, length), global: false })
        } else {
            self.global.used += 1;
            window.used += 1;
            None
        };

        let left = left_of(window, length);
        let reset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + left;
        let headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", (limit - window.used).to_string()),
            ("x-ratelimit-reset", format!("{:.3}", reset.as_secs_f64())),
            ("x-ratelimit-reset-after", format!("{:.3}", left.as_secs_f64())),
            ("x-ratelimit-bucket", kind.bucket().to_owned()),
        ];
        Verdict { headers, exceeded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_creates_per_channel_and_five_seconds() {
        let mut limits = Limits::new(true);
        let start = Instant::now();
        let (one, two) = (Some(Id::from(1)), Some(Id::from(2)));
        for _ in 0..5 {
            assert_eq!(limits.count(Kind::Create, one, start).exceeded, None);
        }
        let at = start + Duration::from_secs(2);
        let refused = Exceeded { after: Duration::from_secs(3), global: false };
        assert_eq!(limits.count(Kind::Create, one, at).exceeded, Some(refused));
        assert_eq!(limits.count(Kind::Create, two, at).exceeded, None, "another channel is free");
        assert_eq!(limits.count(Kind::Edit, one, at).exceeded, None, "so is another kind");
        assert_eq!(limits.count(Kind::Create, one, start + Duration::from_secs(5)).exceeded, None);
    }

    #[test]
    fn fifty_calls_a_second_over_all() {
        let mut limits = Limits::new(true);
        let start = Instant::now();
        for channel in 1..=50 {
            assert_eq!(limits.count(Kind::Create, Some(Id::from(channel)), start).exceeded, None);
        }
        let refused = limits.count(Kind::Create, Some(Id::from(51)), start).exceeded;
        assert_eq!(refused.map(|it| it.global), Some(true));
        let later = start + Duration::from_secs(1);
        assert_eq!(limits.count(Kind::Create, Some(Id::from(51)), later).exceeded, None);
    }
}
