//! What turns have used, as scripts get it.

use crate::domain::{MicroUsd, UsagePeriod};
use crate::script::{UsageFacts, UsageRow};
use crate::store::{Millis, UsageSum};

/// The most sums that are listed: they become one answer to a script.
const MOST: usize = 100;

/// When a period began that ends now. It is that long to the hour, wherever somebody lives: the bot knows nobody's time zone.
pub fn since(period: UsagePeriod) -> Millis {
    let days = match period {
        UsagePeriod::Day => 1,
        UsagePeriod::Week => 7,
        UsagePeriod::Month => 30,
    };
    Millis(Millis::now().0.saturating_sub(days * 24 * 60 * 60 * 1000))
}

/// These sums with their names, and all of them together.
pub fn facts(everybody: bool, since: Millis, sums: Vec<(String, UsageSum)>) -> UsageFacts {
    let total = sums.iter().map(|(_, sum)| *sum).fold(UsageSum::default(), together);
    UsageFacts {
        everybody,
        since: since.0 as f64 / 1e3,
        total: row(String::new(), total),
        more: sums.len().saturating_sub(MOST),
        rows: sums.into_iter().take(MOST).map(|(name, sum)| row(name, sum)).collect(),
    }
}

fn together(one: UsageSum, other: UsageSum) -> UsageSum {
    UsageSum {
        turns: one.turns.saturating_add(other.turns),
        untold: one.untold.saturating_add(other.untold),
        cost: MicroUsd(one.cost.0.saturating_add(other.cost.0)),
        tokens: one.tokens.plus(other.tokens),
        tools: one.tools.saturating_add(other.tools),
        duration: one.duration.saturating_add(other.duration),
    }
}

fn row(name: String, sum: UsageSum) -> UsageRow {
    UsageRow {
        name,
        turns: sum.turns,
        untold: sum.untold,
        cost_usd: sum.cost.0 as f64 / 1e6,
        input_tokens: sum.tokens.input,
        output_tokens: sum.tokens.output,
        cache_read_tokens: sum.tokens.cache_read,
        cache_write_tokens: sum.tokens.cache_write,
        tools: sum.tools,
        seconds: sum.duration.as_secs_f64(),
    }
}
