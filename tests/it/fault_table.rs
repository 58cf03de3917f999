//! The fault test: each fault of REST and of the store, in each state of a turn. It prints a table, and nothing may be
//! lost or said twice in any cell.
//!
//! ```console
//! cargo test --locked --test it fault_table -- --nocapture
//! ```

mod disk;
mod rest;
mod start;
mod store;

use std::time::{Duration, Instant};

use moonlane::local::{LocalDiscord, What};

use crate::evidence::Evidence;
use crate::verdict::{Verdict, Wrong, judge};

/// No fault here keeps a bot from trying again for longer than this. It counts what the bot does, not what a busy
/// machine takes for it.
const STILL: Duration = Duration::from_secs(30);
/// However much it does.
const LONGEST: Duration = Duration::from_secs(300);

/// A run that is over, and what is wrong with it.
#[derive(Default)]
pub struct Judged {
    evidence: Evidence,
    pub verdict: Verdict,
}

impl Judged {
    pub fn of(evidence: Evidence) -> Self {
        Self { verdict: judge(&evidence), evidence }
    }

    /// The same, where only these kinds of wrong count.
    pub fn by(kinds: &[Wrong], evidence: Evidence) -> Self {
        let mut judged = Self::of(evidence);
        judged.verdict.wrong.retain(|(wrong, _)| kinds.contains(wrong));
        judged
    }

    /// What is wrong with this message, in capitals; nothing where it is as it should be.
    pub fn cell(&self, message: u64) -> Option<String> {
        let message = message.to_string();
        let wrong = self.verdict.wrong.iter().filter(|(_, words)| words.contains(&message));
        let wrong: Vec<_> = wrong.map(|(wrong, _)| wrong.to_string().to_uppercase()).collect();
        (!wrong.is_empty()).then(|| wrong.join(" "))
    }
}

/// Prints the table, and fails with it and the evidence where anything is wrong.
pub fn assert_right(table: &str, judged: &[&Judged]) {
    let wrong = judged.iter().filter(|judged| !judged.verdict.wrong.is_empty());
    let wrong: String = wrong
        .flat_map(|judged| {
            let said = judged.verdict.wrong.iter().map(|(wrong, words)| format!("{wrong}: {words}\n"));
            said.chain([judged.evidence.to_string()])
        })
        .collect();
    assert!(wrong.is_empty(), "\n{table}\n{wrong}");
    println!("{table}");
}

/// Waits until it is done, or until the bot on this Discord has stood still for so long that it never will be.
pub async fn until_done(discord: &LocalDiscord, mut is_done: impl FnMut() -> bool) {
    let began = Instant::now();
    let (mut moves, mut moved) = (0, began);
    while !is_done() && moved.elapsed() < STILL && began.elapsed() < LONGEST {
        // A turn that hangs still shows that it types.
        let (calls, log) = (discord.calls(), discord.log());
        let calls = calls.iter().filter(|call| !call.path.ends_with("/typing")).count();
        let now = calls + log.iter().filter(|event| !matches!(event.what, What::Typing { .. })).count();
        if now > moves {
            (moves, moved) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A table with a title for each column, one line for each fault.
pub fn table(title: &str, columns: &[&str], lines: &[(String, Vec<String>)]) -> String {
    let first = lines.iter().map(|(name, _)| name.len()).chain([title.len()]).max().unwrap_or_default();
    // The last column may be as wide as it likes.
    let cells = lines.iter().flat_map(|(_, cells)| cells.iter().take(columns.len() - 1)).map(String::as_str);
    let width = cells.chain(columns.iter().copied()).map(str::len).max().unwrap_or_default();
    let line = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.map(|cell| format!("{cell:<width$}")).collect();
        format!("{name:<first$} | {}\n", cells.join(" | ").trim_end())
    };
    let head = line(title, &mut columns.iter().copied());
    let lines = lines.iter().map(|(name, cells)| line(name, &mut cells.iter().map(String::as_str)));
    head + &lines.collect::<String>()
}

pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
