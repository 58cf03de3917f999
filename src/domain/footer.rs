//! What a project shows below its answers.

use serde::{Deserialize, Serialize};

/// A field of the small text below an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FooterField {
    /// how long the turn took
    Time,
    /// the model that answered
    Model,
    /// how full the context was, with ⚠ from 80 % on
    Context,
    /// what the turn cost, as Claude Code estimates it
    Cost,
    /// how many calls of tools there were
    Tools,
    /// the branch that git has checked out in the project's directory
    Branch,
}

impl FooterField {
    /// Those of a project that names none.
    pub const DEFAULT: [Self; 3] = [Self::Time, Self::Model, Self::Context];
}
