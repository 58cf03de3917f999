//! What can be wrong with scripts: when they are loaded ([`ScriptProblem`], for the operator) and when they are called
//! ([`ScriptError`]).

use std::fmt;

use super::data::{BadValue, cut, one_line};

/// How much of a traceback is kept, in bytes.
const MAX_TRACEBACK: usize = 4000;

/// Something that is wrong with the scripts, found while they were loaded.
///
/// Shown as compilers do: `scripts/routing.lua:12: …` for a problem in the code, and
/// `scripts/routing.lua: projects.site.dirr: …` for one in a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScriptProblem {
    /// The file, relative to the root if it is below it.
    pub file: String,
    /// The line, for problems in the code.
    pub line: Option<u32>,
    /// Which value, for problems in what the file returned.
    pub path: Option<String>,
    /// What is wrong, and how to put it right.
    pub message: String,
    /// Whether the scripts can be used anyway.
    pub severity: Severity,
}

/// How bad a [`ScriptProblem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The scripts are not used.
    Error,
    /// The scripts are used, but something in them cannot work.
    Warning,
}

impl ScriptProblem {
    pub(super) fn in_value(file: &str, bad: BadValue) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            path: Some(bad.path).filter(|path| !path.is_empty()),
            message: bad.message,
            severity: Severity::Error,
        }
    }

    pub(super) fn warning(file: &str, path: &str, message: impl Into<String>) -> Self {
        let bad = BadValue { path: path.to_owned(), message: message.into() };
        Self { severity: Severity::Warning, ..Self::in_value(file, bad) }
    }

    /// A failure while `file` was being loaded; it may have happened in a file that this one requires.
    pub(super) fn in_code(file: &str, failure: LuaFailure) -> Self {
        Self {
            file: failure.file.unwrap_or_else(|| file.to_owned()),
            line: failure.line,
            path: None,
            message: failure.message,
            severity: Severity::Error,
        }
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if let Some(path) = &self.path {
            write!(f, ": {path}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A failed call into the scripts. It costs the message that it was about, and nothing else.
///
/// `Display` is for the log: file, line and what happened. People get [`ScriptError::sentence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    pub(super) entry_point: EntryPoint,
    pub(super) failure: LuaFailure,
    pub(super) refusal: Option<String>,
}

/// What a script was called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryPoint {
    /// Whether the message is for the bot, so it is not known to be.
    Trigger,
    /// Where the message goes; the trigger has said that it is for the bot.
    Route,
    /// What a command does.
    Command,
    /// What is suggested while somebody types in an option of a command.
    Autocomplete,
}

/// How a call into a script failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The script raised an error, or returned something unusable.
    Failed,
    /// It hit the time limit.
    TimedOut,
    /// It hit the memory limit.
    OutOfMemory,
    /// Too many commands are waiting.
    Busy,
    /// The script set is gone: it has no thread, or a bug in moonlane made it panic.
    Gone,
}

impl ScriptError {
    pub(super) fn new(entry_point: EntryPoint, failure: LuaFailure) -> Self {
        Self { entry_point, failure, refusal: None }
    }

    /// Why the core refused an effect, if that is what ended the command: a sentence for people, to use instead of
    /// [`ScriptError::sentence`].
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// What the script was called for.
    pub fn entry_point(&self) -> EntryPoint {
        self.entry_point
    }

    /// How it failed.
    pub fn kind(&self) -> FailureKind {
        self.failure.kind
    }

    /// The error in the form of one that was found at load.
    pub fn problem(&self) -> ScriptProblem {
        ScriptProblem::in_code("scripts", self.failure.clone())
    }

    /// The calls that led to the error, one per line, for the log; `None` if there were none.
    pub fn traceback(&self) -> Option<&str> {
        self.failure.traceback.as_deref()
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for ScriptError {}

/// Why Lua code did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LuaFailure {
    pub kind: FailureKind,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub message: String,
    pub traceback: Option<String>,
}

impl fmt::Display for LuaFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: {}", self.message),
            (Some(file), None) => write!(f, "{file}: {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

impl LuaFailure {
    /// A failure that no line of code caused.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, file: None, line: None, message: message.into(), traceback: None }
    }

    /// What a script returned is unusable.
    pub fn bad_value(file: &str, bad: BadValue) -> Self {
        let message = match bad.path.as_str() {
            "" => bad.message,
            path => format!("{path}: {}", bad.message),
        };
        Self { file: Some(file.to_owned()), ..Self::new(FailureKind::Failed, message) }
    }

    /// The failure, in this file if none is known.
    pub fn or_in(mut self, file: &str) -> Self {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// The failure, at the innermost script line that `traceback` names.
    pub fn traced(mut self, traceback: &str) -> Self {
        if let Some((file, line, _)) = traceback.lines().find_map(place) {
            self.file = Some(file.to_owned());
            self.line = Some(line);
        }
        let lines = cut(traceback.trim().to_owned(), MAX_TRACEBACK);
        self.traceback = Some(lines).filter(|text| !text.is_empty());
        self
    }
}

impl From<mlua::Error> for LuaFailure {
    fn from(error: mlua::Error) -> Self {
        use mlua::Error as E;
        match error {
            E::SyntaxError { message, .. } => Self::from_text(&message),
            // Errors from Lua code: `FILE:LINE: MESSAGE`, then a traceback.
            E::RuntimeError(text) => Self::from_text(&text),
            E::MemoryError(_) => Self::new(FailureKind::OutOfMemory, "out of memory"),
            // Errors from our own functions, such as `require`: the innermost is the cause, and its traceback begins where
            // the script called us.
            E::CallbackError { traceback, cause } => {
                let cause = Self::from((*cause).clone());
                if cause.line.is_some() { cause } else { cause.traced(&traceback) }
            }
            other => Self::new(FailureKind::Failed, one_line(other.to_string())),
        }
    }
}

impl LuaFailure {
    fn from_text(text: &str) -> Self {
        let (message, traceback) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
        let mut failure = Self::new(FailureKind::Failed, message).traced(traceback);
        if let Some((file, line, rest)) = place(message) {
            failure.file = Some(file.to_owned());
            failure.line = Some(line);
            failure.message = rest.trim_start_matches([':', ' ']).to_owned();
        }
        // `error({ … })`: Luau gives the address, which says nothing and differs every time.
        if let Some((kind @ ("table" | "function" | "userdata"), _)) = failure.message.split_once(": 0x") {
            failure.message = format!("raised a {kind}, not a string");
        }
        failure.message = one_line(failure.message);
        failure
    }
}

/// Splits `scripts/routing.lua:12: rest` (or `…:12 rest`, as in a traceback) into file, line and rest.
fn place(text: &str) -> Option<(&str, u32, &str)> {
    let end = text.find(".lua:")? + ".lua".len();
    let rest = &text[end + 1..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((text[..end].trim_start(), rest[..digits].parse().ok()?, &rest[digits..]))
}
