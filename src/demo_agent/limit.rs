//! The usage limits of a subscription, as the CLI tells of them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::wire::Wire;

/// Reports that the limit is reached and resets in this many seconds; without a number, it does not say when. The turn fails
/// with this status.
pub fn reach(wire: &mut Wire, seconds: &str) -> u16 {
    let resets = seconds.parse().ok().map(|seconds: i64| now().saturating_add_signed(seconds));
    wire.emit(event("rejected", resets, 1.0));
    429
}

/// Reports that this percentage of it is used, in a window that ends with the day after this one.
pub fn near(percent: &str) -> Value {
    event("allowed_warning", Some((now() / 86_400 + 2) * 86_400), percent.parse().unwrap_or(90.0) / 100.0)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn event(status: &str, resets: Option<u64>, used: f64) -> Value {
    json!({
        "type": "rate_limit_event",
        "rate_limit_info": {
            "status": status, "resetsAt": resets, "rateLimitType": "five_hour", "utilization": used,
            "isUsingOverage": false,
        },
    })
}
