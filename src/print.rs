//! What the commands print.
//!
//! `println!` panics where nobody reads any more, as behind `| head -1`.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// The exit code that a shell shows for a program which SIGPIPE has ended.
const NOBODY_READS: i32 = 141;

/// Prints a line on standard output. Where nobody reads it any more the program ends quietly; where it cannot be
/// written, with a sentence.
pub fn line(text: impl Display) {
    exactly(format_args!("{text}\n"));
}

/// The same of a text with its line ends.
pub fn exactly(text: impl Display) {
    let mut stdout = io::stdout().lock();
    let Err(error) = write!(stdout, "{text}").and_then(|()| stdout.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(NOBODY_READS);
    }
    complaint(format_args!("moonlane: cannot write to standard output: {error}"));
    std::process::exit(1);
}

/// Prints a line on standard error, if anybody reads there.
pub fn complaint(text: impl Display) {
    // There is no other place to say that it cannot be said.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
