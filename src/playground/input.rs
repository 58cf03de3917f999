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

/// The name in `#name` or `@name`, where the line is nothing else.
pub(super) fn name_after(line: &str, sign: char) -> Option<&str> {
    let name = line.strip_prefix(sign)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_/.".contains(c));
    is_name.then_some(name)
}

/// Whether a line after its slash begins with the name of a command, and not with a path or nothing.
pub(super) fn begins_with_name(rest: &str) -> bool {
    let name = rest.split_whitespace().next().unwrap_or_default();
    rest.starts_with(name)
        && !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || "-_'".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_name_switches() {
        assert_eq!(name_after("#general", '#'), Some("general"));
        assert_eq!(name_after("#general/idea", '#'), Some("general/idea"));
        assert_eq!(name_after("# A heading", '#'), None);
        assert_eq!(name_after("#", '#'), None);
        assert_eq!(name_after("@anna what now?", '@'), None);
        assert_eq!(name_after("@anna", '@'), Some("anna"));
    }

    #[test]
    fn a_path_is_no_command() {
        assert!(begins_with_name("reset"));
        assert!(begins_with_name("model opus"));
        assert!(!begins_with_name("etc/passwd what is it?"));
        assert!(!begins_with_name(" reset"));
        assert!(!begins_with_name(""));
    }
}
