//! What a call of a tool does, in terms that a person knows. The names and inputs are those of Claude Code's own tools.

use serde_json::Value;

/// What a call does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolAction {
    /// Runs a command in a shell.
    Run(String),
    /// Changes a file, or writes a new one.
    Edit(String),
    /// Reads a file.
    Read,
    /// Looks for files, or for text in them.
    Search,
    /// Searches the web.
    SearchWeb(String),
    /// Reads a web page.
    Fetch(String),
    /// Hands a piece of work to a subagent: what it is about.
    Delegate(String),
    /// Uses a skill.
    Skill(String),
    /// Anything else, under the name that people see: of a tool of an MCP server `tool (server)`.
    Other(String),
    /// Nothing that a person would call work: the task list, looking for a tool, a question.
    Housekeeping,
}

impl ToolAction {
    /// Of a call of the tool `name` with this input. A field that is missing, as in a newer version, is an empty text.
    pub fn of(name: &str, input: &Value) -> Self {
        let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
        match name {
            "Bash" => Self::Run(text("command")),
            "Edit" | "MultiEdit" | "Write" => Self::Edit(text("file_path")),
            "NotebookEdit" => Self::Edit(text("notebook_path")),
            "Read" | "NotebookRead" => Self::Read,
            "Glob" | "Grep" | "LS" => Self::Search,
            "WebSearch" => Self::SearchWeb(text("query")),
            "WebFetch" => Self::Fetch(text("url")),
            "Agent" | "Task" => Self::Delegate(text("description")),
            "Skill" => Self::Skill(text("skill")),
            "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskList" | "TaskGet" | "ToolSearch"
            | "AskUserQuestion" | "ExitPlanMode" | "EnterPlanMode" | "StructuredOutput" => Self::Housekeeping,
            _ => Self::Other(shown_name(name)),
        }
    }
}

impl ToolAction {
    /// The same with another text.
    pub fn map(&self, text: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Run(command) => Self::Run(text(command)),
            Self::Edit(path) => Self::Edit(text(path)),
            Self::SearchWeb(query) => Self::SearchWeb(text(query)),
            Self::Fetch(url) => Self::Fetch(text(url)),
            Self::Delegate(about) => Self::Delegate(text(about)),
            Self::Skill(name) => Self::Skill(text(name)),
            Self::Other(name) => Self::Other(text(name)),
            Self::Read => Self::Read,
            Self::Search => Self::Search,
            Self::Housekeeping => Self::Housekeeping,
        }
    }
}

/// `mcp__SERVER__TOOL` as `TOOL (SERVER)`; another name as it is.
fn shown_name(name: &str) -> String {
    match name.strip_prefix("mcp__").and_then(|name| name.split_once("__")) {
        Some((server, tool)) if !tool.is_empty() => format!("{tool} ({server})"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_told_by_what_it_does() {
        let action = |name: &str, input| ToolAction::of(name, &input);
        assert_eq!(action("Bash", json!({"command": "ls"})), ToolAction::Run("ls".to_owned()));
        assert_eq!(
            action("Write", json!({"file_path": "/a", "content": "x"})),
            ToolAction::Edit("/a".to_owned())
        );
        assert_eq!(action("Read", json!({"file_path": "/a"})), ToolAction::Read);
        assert_eq!(action("TaskList", json!({})), ToolAction::Housekeeping);
    }

    #[test]
    fn tools_that_are_not_claudes_own_have_a_name_to_show() {
        let name = |name: &str| match ToolAction::of(name, &json!({})) {
            ToolAction::Other(name) => name,
            action => panic!("{action:?}"),
        };
        assert_eq!(name("mcp__git__list_branches"), "list_branches (git)");
        assert_eq!(name("mcp__my__odd__name"), "odd__name (my)");
        assert_eq!(name("mcp__broken"), "mcp__broken");
        assert_eq!(name("FromTheFuture"), "FromTheFuture");
    }

    #[test]
    fn an_input_of_another_shape_does_no_harm() {
        for input in [json!(null), json!([1]), json!({"command": 3}), json!("x")] {
            assert_eq!(ToolAction::of("Bash", &input), ToolAction::Run(String::new()));
        }
    }
}
