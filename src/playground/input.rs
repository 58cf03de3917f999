//! What is typed in the playground, or piped into it, line by line.

use std::io::BufRead;

use tokio::sync::mpsc;

/// A line of standard input.
pub(super) enum InputLine {
    Text(String),
    /// It is not UTF-8.
    NotText,
}

/// The lines of standard input, read on a thread that the runtime need not wait for.
pub(super) fn lines() -> mpsc::UnboundedReceiver<InputLine> {
    let (send, receive) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8(line).map_or(InputLine::NotText, InputLine::Text);
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}
