//! Rules about tools, such as `Bash(git *)`: whether the tool exists.

use super::data::{BadValue, shown};
use crate::domain::TOOLS;
use crate::nearest::misspelt;

/// Checks that a rule such as `Bash(git *)` names a tool and is complete.
pub fn check_tool(rule: &str) -> Result<(), BadValue> {
    if rule.trim().is_empty() || rule.starts_with('-') {
        return Err(BadValue::here(format!("{} is not a valid tool name", shown(rule))));
    }
    if rule.contains('(') && !rule.ends_with(')') {
        return Err(BadValue::here(format!("{} must end with `)`", shown(rule))));
    }
    match known_tool(rule) {
        Tool::Misspelt(tool) => {
            let name = shown(tool_of(rule));
            Err(BadValue::here(format!("there is no tool {name}, did you mean \"{tool}\"?")))
        }
        Tool::Known | Tool::Unknown => Ok(()),
    }
}

/// What is known about the tool that a rule names.
#[derive(Debug, PartialEq, Eq)]
pub enum Tool {
    /// It belongs to Claude Code or an MCP server.
    Known,
    /// It does not exist, but is close to this one.
    Misspelt(&'static str),
    /// It is not known; perhaps a newer version has it.
    Unknown,
}

pub fn known_tool(rule: &str) -> Tool {
    let name = tool_of(rule);
    if name.starts_with("mcp__") || TOOLS.contains(&name) || name == "default" {
        return Tool::Known;
    }
    misspelt(name, TOOLS).map_or(Tool::Unknown, Tool::Misspelt)
}

/// The tool that a rule is about.
pub fn tool_of(rule: &str) -> &str {
    rule.split('(').next().unwrap_or(rule).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_tool_is_told_from_one_that_may_be_new() {
        let near = |rule| match known_tool(rule) {
            Tool::Misspelt(tool) => tool,
            other => panic!("{rule}: {other:?}"),
        };
        for rule in ["Bash", "Bash(git *)", "mcp__github__create_issue", "mcp__github", "Task", "TaskStop"] {
            assert_eq!(known_tool(rule), Tool::Known, "{rule}");
        }
        assert_eq!(near("bash"), "Bash");
        assert_eq!(near("bash(git *)"), "Bash");
        assert_eq!(near("Wirte"), "Write");
        assert_eq!(near("web_fetch"), "WebFetch");
        assert_eq!(near("NotebokEdti"), "NotebookEdit");
        for rule in ["TaskBoard", "Row", "Browser(x)", "Git"] {
            assert_eq!(known_tool(rule), Tool::Unknown, "{rule}");
        }
    }
}
