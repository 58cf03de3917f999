//! What turns have used.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Millis, Store, StoreError};
use crate::domain::{
    Compaction, ContextFill, MessageId, MicroUsd, ProjectName, Tokens, TurnUsage, UsageBy, UserId,
};

/// Writes what a turn has used that is over now.
pub(super) fn write(
    tx: &Transaction<'_>,
    message: MessageId,
    ended: Millis,
    usage: &TurnUsage,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO usage (message, ended, duration, cost, input, output, cache_read, cache_write, model, tools,
                   context, context_window, compacted_from, compacted_to)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let TurnUsage { cost, tokens, duration, model, tools, context, compaction } = usage;
    let tokens = |of: fn(Tokens) -> u64| tokens.map(|tokens| column(of(tokens)));
    tx.prepare_cached(sql)?.execute(params![
        message,
        ended,
        duration.map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        cost,
        tokens(|it| it.input),
        tokens(|it| it.output),
        tokens(|it| it.cache_read),
        tokens(|it| it.cache_write),
        model,
        tools,
        context.map(|it| column(it.used)),
        context.and_then(|it| it.window).map(column),
        compaction.map(|it| column(it.from)),
        compaction.map(|it| column(it.to)),
    ])?;
    Ok(())
}

/// What a turn has used; `None` where nothing is written of that.
pub(super) fn row(tx: &Transaction<'_>, message: MessageId) -> rusqlite::Result<Option<TurnUsage>> {
    let sql = "SELECT duration, cost, input, output, cache_read, cache_write, model, tools, context, context_window,
                      compacted_from, compacted_to FROM usage WHERE message = ?1";
    tx.prepare_cached(sql)?.query_row([message], usage).optional()
}

fn usage(row: &Row<'_>) -> rusqlite::Result<TurnUsage> {
    let count = |place: usize| row.get::<_, Option<i64>>(place).map(|number| number.map(i64::cast_unsigned));
    // The four stand together.
    let tokens = match count(2)? {
        Some(input) => Some(Tokens {
            input,
            output: count(3)?.unwrap_or_default(),
            cache_read: count(4)?.unwrap_or_default(),
            cache_write: count(5)?.unwrap_or_default(),
        }),
        None => None,
    };
    let window = count(9)?;
    let (from, to) = (count(10)?, count(11)?);
    Ok(TurnUsage {
        cost: row.get::<_, Option<MicroUsd>>(1)?,
        tokens,
        duration: count(0)?.map(Duration::from_millis),
        model: row.get(6)?,
        tools: row.get(7)?,
        context: count(8)?.map(|used| ContextFill { used, window }),
        compaction: from.zip(to).map(|(from, to)| Compaction { from, to }),
    })
}

/// A count in a column: no more than it holds.
fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How long a turn counts for a budget.
const DAY: Millis = Millis(24 * 60 * 60 * 1000);

/// What turns may cost within 24 hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendingLimit {
    /// Those of this project; all where it is `None`.
    pub project: Option<ProjectName>,
    /// Those of this person; all where it is `None`.
    pub person: Option<UserId>,
    /// Their cost together.
    pub most: MicroUsd,
}

/// A limit that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    pub limit: SpendingLimit,
    /// When enough of what was spent is over 24 hours old.
    pub opens: Millis,
}

/// What turns have used together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSum {
    pub turns: u64,
    /// How many of them did not tell what they cost; that is not in `cost`.
    pub untold: u64,
    pub cost: MicroUsd,
    pub tokens: Tokens,
    pub tools: u64,
    pub duration: Duration,
}

impl Store {
    /// Of these limits the reached one that opens last; `None` where none is reached. Turns that have not ended count
    /// nothing yet, and those that did not tell their cost never do.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn exhausted(
        &self,
        limits: Vec<SpendingLimit>,
        now: Millis,
    ) -> Result<Option<Exhausted>, StoreError> {
        self.step(move |tx| {
            let mut last: Option<Exhausted> = None;
            for limit in limits {
                let opens = opens(tx, &limit, now)?;
                if let Some(opens) =
                    opens.filter(|opens| last.as_ref().is_none_or(|last| *opens > last.opens))
                {
                    last = Some(Exhausted { limit, opens });
                }
            }
            Ok(last)
        })
        .await
    }

    /// What turns have used that ended since then, summed up by this, the dearest first: those of one person, or all. Each
    /// sum with its name: a person's latest one, a channel's, or its id where the name is not known.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn usage(
        &self,
        since: Millis,
        whose: Option<UserId>,
        by: UsageBy,
    ) -> Result<Vec<(String, UsageSum)>, StoreError> {
        self.step(move |tx| {
            let (key, name) = match by {
                UsageBy::User => ("author", "author_name"),
                UsageBy::Project => ("project", "project"),
                UsageBy::Channel => (
                    "messages.channel",
                    "coalesce((SELECT nullif(name, '') FROM places WHERE places.channel = messages.channel),
                              CAST(messages.channel AS TEXT))",
                ),
            };
            // A plain sum fails where it is over what an integer holds. Beside max() stand the other columns of its row.
            let sum = |column: &str| format!("CAST(min(total({column}), 9e18) AS INTEGER)");
            let sums = ["cost", "input", "output", "cache_read", "cache_write", "tools", "duration"].map(sum);
            let sql = format!(
                "SELECT {name}, count(*), count(cost), {}, max(ended) FROM usage
                     JOIN messages ON messages.id = usage.message JOIN turns ON turns.message = usage.message
                 WHERE ended >= ?1 AND (?2 IS NULL OR author = ?2)
                 GROUP BY {key} ORDER BY total(cost) DESC, count(*) DESC, {key}",
                sums.join(", ")
            );
            let mut statement = tx.prepare_cached(&sql)?;
            let found = statement.query_map(params![since, whose], |row| {
                let number =
                    |place: usize| row.get::<_, i64>(place).map(|number| number.max(0).cast_unsigned());
                let (turns, told) = (number(1)?, number(2)?);
                let used = UsageSum {
                    turns,
                    untold: turns.saturating_sub(told),
                    cost: MicroUsd(number(3)?),
                    tokens: Tokens {
                        input: number(4)?,
                        output: number(5)?,
                        cache_read: number(6)?,
                        cache_write: number(7)?,
                    },
                    tools: number(8)?,
                    duration: Duration::from_millis(number(9)?),
                };
                Ok((row.get(0)?, used))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// When a limit opens that is reached; `None` where it is not.
fn opens(tx: &Transaction<'_>, limit: &SpendingLimit, now: Millis) -> rusqlite::Result<Option<Millis>> {
    let sql = "SELECT ended, cost FROM usage
                   JOIN messages ON messages.id = usage.message JOIN turns ON turns.message = usage.message
               WHERE ended > ?1 AND ended < ?4 AND cost > 0 AND (?2 IS NULL OR project = ?2)
                   AND (?3 IS NULL OR author = ?3)
               ORDER BY ended DESC";
    let mut statement = tx.prepare_cached(sql)?;
    let since = Millis(now.0.saturating_sub(DAY.0));
    // What is said to end later than this was written while the clock was wrong.
    let until = Millis(now.0.saturating_add(DAY.0));
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let spent = statement.query_map(params![since, limit.project, limit.person, until], columns)?;
    let spent: Vec<(Millis, MicroUsd)> = spent.collect::<Result<_, _>>()?;
    Ok(opens_after(&spent, limit.most))
}

/// When less than this is left of what was spent within the last 24 hours, the latest first; `None` where that is so now.
fn opens_after(spent: &[(Millis, MicroUsd)], most: MicroUsd) -> Option<Millis> {
    let mut sum = MicroUsd::default();
    let reached = spent.iter().find(|(_, cost)| {
        sum = MicroUsd(sum.0.saturating_add(cost.0));
        sum >= most
    });
    reached.map(|(ended, _)| Millis(ended.0.saturating_add(DAY.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// At that moment there is room again, and a moment before there is none.
        #[test]
        fn a_budget_opens_at_the_first_moment_at_which_less_is_spent(
            mut times in prop::collection::vec((0..1000_i64, 1..50_u64), 0..30), most in 1..200_u64
        ) {
            times.sort_unstable_by_key(|(ended, _)| std::cmp::Reverse(*ended));
            let spent: Vec<_> = times.iter().map(|&(ended, cost)| (Millis(ended), MicroUsd(cost))).collect();
            let within = |now: i64| -> u64 {
                times.iter().filter(|(ended, _)| *ended > now - DAY.0).map(|(_, cost)| cost).sum()
            };
            match opens_after(&spent, MicroUsd(most)) {
                None => prop_assert!(within(1000) < most),
                Some(opens) => {
                    prop_assert!(within(opens.0) < most);
                    prop_assert!(within(opens.0 - 1) >= most);
                }
            }
        }
    }
}
