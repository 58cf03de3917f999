//! Problems that do not end a turn: of the API, while the CLI retries, and of the session that the CLI was started
//! with.

/// What is wrong with the API while the CLI retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It has no capacity.
    Overloaded,
    /// We call it too often.
    RateLimited,
    /// It rejects the login.
    LoginRefused,
    Failing,
    /// It cannot be reached, or the answer breaks off.
    Unreachable,
}

impl Trouble {
    /// Reads it from the status and the CLI's error word (2.1.330).
    pub fn of(status: Option<u16>, error: &str) -> Self {
        match (status, error) {
            (Some(529), _) | (_, "overloaded") => Self::Overloaded,
            (Some(429), _) | (_, "rate_limit") => Self::RateLimited,
            (_, "authentication_failed") => Self::LoginRefused,
            (Some(_), _) => Self::Failing,
            (None, _) => Self::Unreachable,
        }
    }
}

/// What an agent says about the session that it was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionTrouble {
    /// `--session-id`: the id is already in use.
    InUse,
    /// `--resume`: the id is unknown.
    Unknown,
}

impl SessionTrouble {
    /// Reads it from stderr or from a result's errors (texts of CLI 2.1.330 and 2.0.76).
    pub fn find(text: &str) -> Option<Self> {
        if text.contains("is already in use") {
            Some(Self::InUse)
        } else if text.contains("No conversation found") {
            Some(Self::Unknown)
        } else {
            None
        }
    }
}
