//! The key `budget`, of a project and of routing.lua itself.

use serde::Deserialize;

use super::data::BadValue;
use crate::domain::{MicroUsd, SpendingBudget};

/// The most that can be set, in dollars. Anything more is a slip.
const MAX_USD: f64 = 1e6;

/// What turns may cost within 24 hours before no further one begins.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct RawBudget {
    /// All turns together, in dollars.
    usd_per_day: Option<f64>,
    /// The turns of each person, in dollars.
    per_user_usd_per_day: Option<f64>,
}

/// The budget, or what is wrong with its amounts.
pub(super) fn budget(raw: Option<RawBudget>) -> Result<SpendingBudget, BadValue> {
    let raw = raw.unwrap_or_default();
    let amount = |key: &str, amount: Option<f64>| amount.map(dollars).transpose().map_err(|e| e.under(key));
    Ok(SpendingBudget {
        per_day: amount("usd_per_day", raw.usd_per_day)?,
        per_person_per_day: amount("per_user_usd_per_day", raw.per_user_usd_per_day)?,
    })
}

/// An amount of money in a script.
pub(super) fn dollars(dollars: f64) -> Result<MicroUsd, BadValue> {
    match MicroUsd::from_dollars(dollars) {
        MicroUsd(1..) if dollars <= MAX_USD => Ok(MicroUsd::from_dollars(dollars)),
        _ => Err(BadValue::here("must be an amount of dollars above 0, such as 2.5")),
    }
}
