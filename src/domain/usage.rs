//! What a turn uses: tokens, money, time, and room in the context.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::MicroUsd;

/// What is known of what one turn has used. What the agent did not tell is `None`, which is not 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TurnUsage {
    /// What it cost, as the CLI estimates it by list prices.
    pub cost: Option<MicroUsd>,
    /// What all its requests took together, those of subagents included.
    pub tokens: Option<Tokens>,
    /// From the moment at which it had its slot until the agent was done.
    pub duration: Option<Duration>,
    /// The model of its last answer, as the API names it.
    pub model: Option<String>,
    /// How many calls of tools there were, those of subagents included.
    pub tools: Option<u32>,
    /// How full the context was at its last request.
    pub context: Option<ContextFill>,
    /// Room was made in the context.
    pub compaction: Option<Compaction>,
}

/// Tokens as the API counts and bills them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// What was read anew.
    pub input: u64,
    pub output: u64,
    /// What was read from the prompt cache.
    pub cache_read: u64,
    /// What was read anew and put into the prompt cache.
    pub cache_write: u64,
}

impl Tokens {
    /// Both together.
    pub fn plus(self, more: Self) -> Self {
        Self {
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
            cache_read: self.cache_read.saturating_add(more.cache_read),
            cache_write: self.cache_write.saturating_add(more.cache_write),
        }
    }

    /// What stood in the context of a request that reports this.
    pub fn in_context(self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
}

/// How full the context is, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextFill {
    pub used: u64,
    /// The model's context window; `None` where the CLI does not say.
    pub window: Option<u64>,
}

impl ContextFill {
    /// The fill in percent of the window, rounded; `None` where the window is not known.
    pub fn percent(self) -> Option<u64> {
        let window = self.window.filter(|window| *window > 0)?;
        let percent = (u128::from(self.used) * 100 + u128::from(window) / 2) / u128::from(window);
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }
}

/// The CLI has replaced the conversation by a summary, to make room in the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// How many tokens the context had before the turn's first one.
    pub from: u64,
    /// How many it had after its last one.
    pub to: u64,
}

/// What a turn cost: how much more its session has cost since the turn before. The CLI counts over the whole session, its
/// processes included, and begins again at 0 where its own record is lost.
///
/// `before`: what the same session had cost; nothing where it is a new one.
pub fn turn_cost(before: MicroUsd, now: MicroUsd) -> MicroUsd {
    MicroUsd(now.0.saturating_sub(before.0))
}

/// What turns may cost within 24 hours before no further one begins; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpendingBudget {
    /// All of them together; more than nothing.
    pub per_day: Option<MicroUsd>,
    /// Those of each person; more than nothing.
    pub per_person_per_day: Option<MicroUsd>,
}

/// How far back usage is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsagePeriod {
    /// the last 24 hours
    #[default]
    Day,
    /// the last 7 days
    Week,
    /// the last 30 days
    Month,
}

/// What usage is summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageBy {
    /// who asked
    User,
    /// the project
    #[default]
    Project,
    /// the channel or thread
    Channel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fill_is_rounded_and_unknown_without_a_window() {
        let percent = |used, window| ContextFill { used, window }.percent();
        assert_eq!(percent(12_300, Some(1_000_000)), Some(1));
        assert_eq!(percent(15_000, Some(1_000_000)), Some(2));
        assert_eq!(percent(250_000, Some(200_000)), Some(125));
        assert_eq!(percent(u64::MAX, Some(1)), Some(u64::MAX));
        assert_eq!((percent(5, None), percent(5, Some(0))), (None, None));
    }

    #[test]
    fn a_turn_costs_the_difference_and_never_less_than_nothing() {
        let cost = |before, now| turn_cost(MicroUsd(before), MicroUsd(now)).0;
        assert_eq!([cost(0, 30), cost(30, 70), cost(70, 70), cost(70, 20)], [30, 40, 0, 0]);
    }
}
