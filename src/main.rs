//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("demo-agent") => moonlane::demo_agent::main(args.collect()),
        _ => ExitCode::SUCCESS,
    }
}
