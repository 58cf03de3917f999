//! What turns have used.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Millis;
use crate::domain::{Compaction, ContextFill, MessageId, MicroUsd, Tokens, TurnUsage};

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
