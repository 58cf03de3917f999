//! `moonlane format`: a Markdown text to the parts that the bot would post.

use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::domain::Format;
use crate::print;
use crate::text::{parts, ruled};

/// Prints the parts of the text in this file, or on standard input: under rulers, or as a `json` array of strings.
/// `plain` leaves alone what Discord does not know.
pub fn run(file: Option<PathBuf>, json: bool, plain: bool) -> ExitCode {
    let source = file.filter(|file| file.as_os_str() != "-");
    match read(source.as_deref()) {
        Ok(markdown) => {
            print::exactly(formatted(&markdown, json, plain));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            print::complaint(format_args!("moonlane: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn formatted(markdown: &str, json: bool, plain: bool) -> String {
    let parts = parts(markdown, &Format { dialect: !plain, ..Format::default() });
    if !json {
        return ruled(&parts);
    }
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    format!("{:#}\n", serde_json::json!(texts))
}

/// The text, or a sentence that says why there is none.
fn read(file: Option<&Path>) -> Result<String, String> {
    let (bytes, name) = match file {
        Some(file) => (std::fs::read(file), file.display().to_string()),
        None => {
            if io::stdin().is_terminal() {
                print::complaint(
                    "moonlane: reading the text from this terminal until Ctrl-D on a line of its own",
                );
            }
            let mut bytes = Vec::new();
            (io::stdin().read_to_end(&mut bytes).map(|_| bytes), "standard input".to_owned())
        }
    };
    let bytes = bytes.map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no file {name}"),
        ErrorKind::IsADirectory => format!("{name} is a directory, not a file"),
        ErrorKind::PermissionDenied => format!("this user may not read {name}"),
        _ => format!("cannot read {name}: {error}"),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        format!("{name} is not text in UTF-8: line {line} has bytes that mean nothing in it")
    })?;
    // Some editors put a byte order mark first.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
