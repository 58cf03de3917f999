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

use std::time::Duration;

/// A table with a title for each column, one line for each fault.
pub fn print(title: &str, columns: &[&str], lines: &[(String, Vec<String>)]) {
    let first = lines.iter().map(|(name, _)| name.len()).chain([title.len()]).max().unwrap_or_default();
    // The last column may be as wide as it likes.
    let cells = lines.iter().flat_map(|(_, cells)| cells.iter().take(columns.len() - 1)).map(String::as_str);
    let width = cells.chain(columns.iter().copied()).map(str::len).max().unwrap_or_default();
    let line = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.map(|cell| format!("{cell:<width$}")).collect();
        println!("{name:<first$} | {}", cells.join(" | ").trim_end());
    };
    line(title, &mut columns.iter().copied());
    for (name, cells) in lines {
        line(name, &mut cells.iter().map(String::as_str));
    }
}

pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
