//! What `ctx:usage` takes and gives.

use serde::{Deserialize, Serialize};

use crate::domain::{UsageBy, UsagePeriod};

/// Which usage `ctx:usage` is to give.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct RawUsageQuery {
    /// How far back: the last 24 hours by default, or the last 7 or 30 days.
    pub period: Option<UsagePeriod>,
    /// What it is summed up by; projects by default.
    pub by: Option<UsageBy>,
}

/// What turns have used that are over.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct UsageFacts {
    /// Whether it is everybody's; otherwise it is that of the person who asks.
    pub everybody: bool,
    /// Since when, in seconds since 1970.
    pub since: f64,
    /// All of it; its name is empty.
    pub total: UsageRow,
    /// The parts of it, the dearest first, at most 100.
    pub rows: Vec<UsageRow>,
    /// How many further parts there are.
    pub more: usize,
}

/// What some turns have used together.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct UsageRow {
    /// The name of the person, project or channel.
    pub name: String,
    /// How many turns.
    pub turns: u64,
    /// How many of them did not tell what they cost; they are in none of the sums that they did not tell.
    pub untold: u64,
    /// What the others cost in dollars, as Claude Code estimates it.
    pub cost_usd: f64,
    /// Tokens that were read anew.
    pub input_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// Tokens that were read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Tokens that were read anew and put into the prompt cache.
    pub cache_write_tokens: u64,
    /// How many calls of tools.
    pub tools: u64,
    /// How long they worked.
    pub seconds: f64,
}
