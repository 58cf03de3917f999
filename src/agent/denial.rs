//! A denied tool call: what it was, and why, as far as the CLI says.
//!
//! The CLI reports a denied call in up to four places, each with only a part of it: when it asks us, in an event of its
//! own, beside the tool's result, and at the end of the turn. All of this is measured with 2.1.330.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::question::{rule_in_settings, suggested_rules, suggests_accepting_edits};

/// A tool's call that was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "ReportedDenial")]
pub struct Denial {
    /// The tool; one call may have two names for it (`Agent` and `Task`).
    pub tool: String,
    /// The call.
    pub id: String,
    /// What the tool was to be used on: the command, the file, the address. `None` if unknown.
    pub what: Option<String>,
    /// Why it was not allowed.
    pub reason: Reason,
    /// What would have allowed it, as the CLI suggests.
    pub remedy: Remedy,
    /// The path that the CLI keeps the call from, which may be in the project all the same.
    pub blocked: Option<PathBuf>,
}

/// Why a call was not allowed, grouped by what would change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Reason {
    /// No rule allows the tool, and nobody could be asked.
    Unallowed,
    /// A rule forbids it, or wants a person to be asked whatever else is allowed.
    Rule,
    /// A hook of the CLI's settings refused it, or wants a person to be asked.
    Hook,
    /// A script of the project refused it.
    Script,
    /// The CLI considers it too dangerous to be allowed by a rule.
    Dangerous,
    /// The permission mode rules it out.
    Mode,
    /// The CLI gives no reason, or one that is unknown here.
    #[default]
    Untold,
}

/// What would have allowed a call. The CLI says so only where it asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Remedy {
    /// It does not say.
    #[default]
    Untold,
    /// It suggests nothing.
    None,
    /// These rules together, such as `Bash(curl *)`.
    Rules(Vec<String>),
    /// The permission mode `acceptEdits`.
    AcceptEdits,
    /// Adding the directory, which is outside the project. No rule does that (measured).
    Directory,
}

impl Denial {
    /// The same, where a script of the project refused the call.
    pub fn by_script(self) -> Self {
        Self { reason: Reason::Script, ..self }
    }

    /// Fills in what is still unknown from another report of the same call.
    pub fn complete(&mut self, other: Self) {
        self.what = self.what.take().or(other.what);
        if self.reason == Reason::Untold {
            self.reason = other.reason;
        }
        if self.remedy == Remedy::Untold {
            self.remedy = other.remedy;
        }
        self.blocked = self.blocked.take().or(other.blocked);
    }
}

/// The fields that these events have in common. The result calls the input `tool_input`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReportedDenial {
    tool_name: String,
    tool_use_id: String,
    #[serde(alias = "tool_input")]
    input: Value,
    // Untyped, so that a surprise in them does not fail the rest.
    decision_reason_type: Value,
    permission_suggestions: Option<Value>,
    blocked_path: Value,
}

impl From<ReportedDenial> for Denial {
    /// A call that the CLI denied by itself.
    fn from(told: ReportedDenial) -> Self {
        let reason = told.decision_reason_type.as_str().map_or(Reason::Untold, Reason::of_denial);
        told.with(reason)
    }
}

impl ReportedDenial {
    /// A call that the CLI asks about.
    pub fn asked(self) -> Denial {
        let reason = match self.decision_reason_type.as_str() {
            Some("rule") => Reason::Rule,
            // If a rule can allow it, the CLI suggests some, even if the list is empty.
            Some("subcommandResults") if self.permission_suggestions.is_none() => Reason::Rule,
            Some("hook") => Reason::Hook,
            Some("safetyCheck") => Reason::Dangerous,
            Some("mode") => Reason::Mode,
            None | Some("subcommandResults" | "workingDir" | "other") => Reason::Unallowed,
            Some(_) => Reason::Untold,
        };
        let remedy = self.remedy();
        Denial { remedy, ..self.with(reason) }
    }

    fn remedy(&self) -> Remedy {
        let Some(suggested) = self.permission_suggestions.as_ref().filter(|told| told.is_array()) else {
            return Remedy::Untold;
        };
        let rules: Vec<String> = suggested_rules(suggested).iter().filter_map(rule_in_settings).collect();
        // A rule with `//` is about files outside the project.
        if self.decision_reason_type == "workingDir" || rules.iter().any(|rule| rule.contains("(//")) {
            Remedy::Directory
        } else if !rules.is_empty() {
            Remedy::Rules(rules)
        } else if suggests_accepting_edits(suggested) {
            Remedy::AcceptEdits
        } else {
            Remedy::None
        }
    }

    fn with(self, reason: Reason) -> Denial {
        const MAIN: [&str; 6] = ["command", "file_path", "notebook_path", "url", "query", "skill"];
        let what = MAIN.iter().find_map(|&field| self.input[field].as_str()).map(str::to_owned);
        let blocked = self.blocked_path.as_str().map(PathBuf::from);
        Denial { tool: self.tool_name, id: self.tool_use_id, what, reason, remedy: Remedy::Untold, blocked }
    }
}

impl Reason {
    /// Reads the reason of a call that the CLI denied by itself.
    fn of_denial(kind: &str) -> Self {
        match kind {
            "rule" | "subcommandResults" => Self::Rule,
            "hook" => Self::Hook,
            // `dontAsk`: what is not allowed is denied.
            "mode" => Self::Unallowed,
            "classifier" => Self::Mode,
            _ => Self::Untold,
        }
    }
}

/// The calls that the CLI denied by itself, and why, from what stands beside the results of tools
/// (`tool_result_meta`). Those that we denied ourselves are not among them.
pub fn refused(meta: &Value) -> Vec<(String, Reason)> {
    let one = |meta: &Value| {
        let decision = &meta["permission_decision"];
        let reason = match decision["source"].as_str()? {
            "hook" => Reason::Hook,
            "config" => Reason::of_denial(decision["reason_type"].as_str().unwrap_or_default()),
            _ => return None,
        };
        (decision["decision"] == "reject").then_some((meta["id"].as_str()?.to_owned(), reason))
    };
    meta.as_array().into_iter().flatten().filter_map(one).collect()
}
