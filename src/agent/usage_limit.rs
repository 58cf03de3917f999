//! What the CLI tells of the limits of the account's subscription. It does so when something has changed, and only with a
//! subscription's login.

use serde::Deserialize;

/// What `rate_limit_event` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Limited")]
pub struct UsageLimit {
    /// The limit is reached. With extra usage the turn goes on all the same, so only its result says that it was refused.
    pub rejected: bool,
    /// When that ends, in Unix seconds.
    pub resets: Option<u64>,
    /// It is not, but nearly.
    pub warning: Option<LimitWarning>,
}

/// A usage limit is nearly reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitWarning {
    /// The limit, as the CLI names it, such as `five_hour`.
    pub kind: String,
    /// How much of it is used, in per cent.
    pub used: Option<u8>,
    /// When it is reset, in Unix seconds.
    pub resets: u64,
}

#[derive(Deserialize)]
struct Limited {
    rate_limit_info: RawLimit,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawLimit {
    status: String,
    resets_at: Option<u64>,
    rate_limit_type: String,
    utilization: Option<f64>,
}

impl From<Limited> for UsageLimit {
    fn from(Limited { rate_limit_info: told }: Limited) -> Self {
        let RawLimit { status, resets_at: resets, rate_limit_type: kind, utilization } = told;
        // A share from 0 to 1, which `as` keeps within a byte whatever it is.
        let used = utilization.map(|share| (share * 100.0).round().clamp(0.0, 100.0) as u8);
        let warning = match (&*status, resets) {
            ("allowed_warning", Some(resets)) => Some(LimitWarning { kind, used, resets }),
            _ => None,
        };
        Self { rejected: status == "rejected", resets, warning }
    }
}
