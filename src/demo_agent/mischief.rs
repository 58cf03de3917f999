//! What a well-behaved agent does not do.

use std::process::{Command, Stdio};

/// Starts a process that outlives its agent.
pub fn leave_behind(how: &str) {
    let Ok(program) = std::env::current_exe() else { return };
    // Not waited for: it is meant to be left behind.
    let child = Command::new(program).args(["demo-agent", "--linger", how]).stdin(Stdio::null()).spawn();
    if let Err(e) = child {
        eprintln!("the demo agent cannot fork: {e}");
    }
}

/// From now on SIGTERM does nothing.
pub fn ignore_sigterm() {
    // tokio never removes a handler, and nobody listens to this one.
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() {
        let _inside = runtime.enter();
        drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()));
    }
}
