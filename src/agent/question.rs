//! Questions from Claude: what the CLI wants to know before it goes on, and how it is told.
//!
//! Leave to use a tool, and two tools whose only purpose is to ask, come as `can_use_tool` requests over the control protocol;
//! what an MCP server wants of people comes as a request of its own. The CLI waits without a limit, and takes the first answer
//! to each. Measured with 2.1.332.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::denial::Denial;
use super::elicitation::ElicitationRequest;
use crate::domain::SessionGrants;

/// The tool that asks a person to choose.
pub const ASK: &str = "AskUserQuestion";
/// The tool that asks a person to approve a plan.
pub const PLAN: &str = "ExitPlanMode";

/// Identifies a question among those of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuestionId(pub String);

/// What Claude wants to know before it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub id: QuestionId,
    /// The subagent that asks, where it is one.
    pub subagent: Option<Subagent>,
    pub about: QuestionAbout,
}

/// An agent that Claude has given a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subagent {
    pub id: String,
    /// What kind of agent it is, such as `general-purpose`; empty where that was not told.
    pub kind: String,
    /// Its task, in a few words.
    pub task: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionAbout {
    /// May this call be made?
    Permission(Box<PermissionRequest>),
    /// Which of these? One to four, asked together.
    Choices(Vec<ChoiceQuestion>),
    /// Is this plan good? The Markdown of it; empty where Claude wrote none.
    Plan(String),
    /// What an MCP server wants of a person.
    Elicitation(Box<ElicitationRequest>),
}

/// A call that the CLI asks leave for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionRequest {
    /// The tool, by the name that it has for people: the one of an MCP server chooses it.
    pub tool: String,
    /// The tool's own name, by which rules know it.
    pub name: String,
    /// What it is called with, as the CLI has it.
    pub input: Value,
    /// All that it is called with.
    pub call: RequestedCall,
    /// How long a command may take, as it stands in the call.
    pub timeout: Option<String>,
    /// What the call is for, in Claude's words.
    pub purpose: Option<String>,
    /// Why the CLI asks, in its words.
    pub reason: Option<String>,
    /// The CLI takes it for dangerous.
    pub is_dangerous: bool,
    /// The path that the CLI keeps the call from.
    pub blocked: Option<PathBuf>,
    /// What would keep the CLI from asking about calls like this one; `None` where it suggests nothing.
    pub grant: Option<Grant>,
}

/// What a call is, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedCall {
    Command(String),
    Edit {
        path: String,
        old: String,
        new: String,
        all: bool,
    },
    Write {
        path: String,
        content: String,
    },
    /// A cell of a notebook, with what is told about it: `edit_mode: delete`.
    Cell {
        path: String,
        source: String,
        told: Vec<String>,
    },
    /// Anything else: its input as indented JSON.
    Other(String),
}

/// What allows more than one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Rules such as `Bash(git push *)`, in the form that settings have.
    Rules(Vec<String>),
    /// All edits in the project's directories.
    AcceptEdits,
}

impl Grant {
    /// The same as what holds for a session.
    pub fn for_session(&self) -> SessionGrants {
        match self.clone() {
            Self::Rules(rules) => SessionGrants { rules, accept_edits: false },
            Self::AcceptEdits => SessionGrants { rules: Vec::new(), accept_edits: true },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceQuestion {
    pub question: String,
    /// A word or two that name it.
    #[serde(default)]
    pub header: String,
    pub options: Vec<QuestionOption>,
    /// Several may be chosen.
    #[serde(default, rename = "multiSelect")]
    pub several: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionOption {
    pub label: String,
    #[serde(default)]
    pub description: String,
    /// What it would look like, as Markdown.
    #[serde(default)]
    pub preview: Option<String>,
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionAnswer {
    /// This call may be made.
    Allow,
    /// This one and those that the grant is about, until the agent's session ends.
    AllowForSession,
    /// This one, and the rules are saved in the settings of the agent's user.
    AllowAlways,
    /// The plan is good; what comes next depends on the mode.
    ApprovePlan { accept_edits: bool },
    /// No; the model reads the words and goes on. Also where a plan is to be worked on.
    Deny(String),
    /// The same where no person decided: the call counts as one that was not allowed.
    Refuse(String),
    /// The same where a script of the project decided.
    Forbid(String),
    /// By the text of each question that was answered: a label, several, or a person's own words.
    Choices(BTreeMap<String, Chosen>),
    /// A person's own words for all of it.
    Words(String),
    /// What an MCP server wants is done: the form is filled in like this, or the address is opened.
    Accept(Option<Map<String, Value>>),
    /// A person does not want to do that.
    Decline,
    /// A person wants neither, or nobody has answered in time.
    Dismiss,
}

/// What somebody chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    One(String),
    Several(Vec<String>),
}

/// A question that the agent waits with.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedQuestion {
    pub question: Question,
    /// The call that it is about; empty where that is not told.
    pub call: String,
    input: Value,
    /// The suggested rules, as the CLI wrote them.
    rules: Vec<Value>,
}

/// A `can_use_tool` request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawQuestion {
    tool_name: String,
    display_name: Value,
    tool_use_id: String,
    agent_id: Option<String>,
    input: Value,
    description: Value,
    permission_suggestions: Value,
    suppress_always_allow_rule: bool,
    blocked_path: Value,
    decision_reason: Value,
    decision_reason_type: Value,
}

impl RawQuestion {
    /// The question; `None` where a tool that asks is called in a way that cannot be shown.
    pub fn read(self, request: &str) -> Option<AskedQuestion> {
        let rules = self.rules();
        let about = match self.tool_name.as_str() {
            ASK => {
                let questions: Vec<ChoiceQuestion> =
                    serde_json::from_value(self.input["questions"].clone()).ok()?;
                let is_good = |question: &ChoiceQuestion| !question.options.is_empty();
                if questions.is_empty() || !questions.iter().all(is_good) {
                    return None;
                }
                QuestionAbout::Choices(questions)
            }
            PLAN => QuestionAbout::Plan(self.input["plan"].as_str().unwrap_or_default().to_owned()),
            _ => QuestionAbout::Permission(Box::new(self.permission(&rules))),
        };
        let subagent = self.agent_id.map(|id| Subagent { id, ..Subagent::default() });
        let question = Question { id: QuestionId(request.to_owned()), subagent, about };
        Some(AskedQuestion { question, call: self.tool_use_id, input: self.input, rules })
    }

    fn permission(&self, rules: &[Value]) -> PermissionRequest {
        let text = |value: &Value| value.as_str().map(str::to_owned).filter(|text| !text.trim().is_empty());
        let call = RequestedCall::of(&self.tool_name, &self.input);
        let timeout = match (&call, &self.input["timeout"]) {
            (RequestedCall::Command(_), Value::Null) => None,
            (RequestedCall::Command(_), timeout) => Some(timeout.to_string()),
            _ => None,
        };
        // Where the model gives none, the CLI repeats the call itself.
        let purpose = text(&self.description).filter(|purpose| !call.says(purpose));
        let names: Vec<String> = rules.iter().filter_map(rule_in_settings).collect();
        let grant = if !names.is_empty() {
            Some(Grant::Rules(names))
        } else if self.may_accept_edits() {
            Some(Grant::AcceptEdits)
        } else {
            None
        };
        PermissionRequest {
            tool: text(&self.display_name).unwrap_or_else(|| self.tool_name.clone()),
            name: self.tool_name.clone(),
            input: self.input.clone(),
            call,
            timeout,
            purpose,
            reason: text(&self.decision_reason),
            is_dangerous: self.decision_reason_type == "safetyCheck",
            blocked: text(&self.blocked_path).map(PathBuf::from),
            grant,
        }
    }

    /// The rules that would allow calls like this one. Those about files outside the project are left out: they hold only for
    /// the process that asked.
    fn rules(&self) -> Vec<Value> {
        if self.suppress_always_allow_rule || self.decision_reason_type == "workingDir" {
            return Vec::new();
        }
        let rules = suggested_rules(&self.permission_suggestions);
        let is_outside =
            |rule: &Value| rule["ruleContent"].as_str().is_some_and(|text| text.starts_with("//"));
        if rules.iter().any(is_outside) { Vec::new() } else { rules.to_vec() }
    }

    fn may_accept_edits(&self) -> bool {
        let is_edit = matches!(self.tool_name.as_str(), "Edit" | "Write" | "NotebookEdit");
        let is_dangerous = self.decision_reason_type == "safetyCheck";
        is_edit && !is_dangerous && suggests_accepting_edits(&self.permission_suggestions)
    }
}

/// The suggested rules that would allow a call. Where rules are suggested twice, they are alternatives: the first counts.
pub fn suggested_rules(suggestions: &Value) -> &[Value] {
    let mut suggestions = suggestions.as_array().into_iter().flatten();
    let rules = suggestions.find(|one| one["type"] == "addRules" && one["behavior"] == "allow");
    rules.and_then(|one| one["rules"].as_array()).map_or(&[], Vec::as_slice)
}

/// Whether the mode that accepts edits is suggested.
pub fn suggests_accepting_edits(suggestions: &Value) -> bool {
    let accepts = |one: &Value| one["type"] == "setMode" && one["mode"] == "acceptEdits";
    suggestions.as_array().into_iter().flatten().any(accepts)
}

/// A suggested rule, as it is written in settings.
pub fn rule_in_settings(rule: &Value) -> Option<String> {
    let tool = rule["toolName"].as_str()?;
    Some(match rule["ruleContent"].as_str() {
        Some(content) => format!("{tool}({content})"),
        None => tool.to_owned(),
    })
}

impl RequestedCall {
    fn of(tool: &str, input: &Value) -> Self {
        let Some(fields) = input.as_object() else { return Self::Other(pretty(input)) };
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        // A field that is not shown otherwise must not be hidden.
        let only = |keys: &[&str]| fields.keys().all(|key| keys.contains(&key.as_str()));
        let known = match tool {
            "Bash" if only(&["command", "description", "timeout"]) => text("command").map(Self::Command),
            "Edit" if only(&["file_path", "old_string", "new_string", "replace_all"]) => (|| {
                Some(Self::Edit {
                    path: text("file_path")?,
                    old: text("old_string")?,
                    new: text("new_string")?,
                    all: fields.get("replace_all").and_then(Value::as_bool).unwrap_or(false),
                })
            })(),
            "Write" if only(&["file_path", "content"]) => {
                (|| Some(Self::Write { path: text("file_path")?, content: text("content")? }))()
            }
            "NotebookEdit" if only(&["notebook_path", "new_source", "cell_id", "cell_type", "edit_mode"]) => {
                (|| {
                    let told = ["cell_id", "cell_type", "edit_mode"].into_iter();
                    let told = told.filter_map(|key| Some(format!("{key}: {}", text(key)?))).collect();
                    Some(Self::Cell { path: text("notebook_path")?, source: text("new_source")?, told })
                })()
            }
            _ => None,
        };
        // A field of another type than expected is none that was read.
        let is_read = |(key, value): (&String, &Value)| match key.as_str() {
            "replace_all" => value.is_boolean(),
            "timeout" => true,
            _ => value.is_string(),
        };
        let known = known.filter(|_| fields.iter().all(is_read));
        known.unwrap_or_else(|| Self::Other(pretty(input)))
    }

    /// Whether this text says no more than the call itself.
    fn says(&self, text: &str) -> bool {
        match self {
            Self::Command(command) => command.trim() == text.trim(),
            Self::Edit { path, .. } | Self::Write { path, .. } | Self::Cell { path, .. } => {
                path.ends_with(text)
            }
            Self::Other(input) => input.contains(text),
        }
    }
}

fn pretty(input: &Value) -> String {
    // A value always has a text.
    serde_json::to_string_pretty(input).unwrap_or_default()
}

impl AskedQuestion {
    /// Reads what an MCP server wants of a person; `None` where that cannot be shown.
    pub fn of_elicitation(request: &str, body: &Value) -> Option<Self> {
        let about = QuestionAbout::Elicitation(Box::new(ElicitationRequest::read(body)?));
        let question = Question { id: QuestionId(request.to_owned()), subagent: None, about };
        Some(Self { question, call: String::new(), input: Value::Null, rules: Vec::new() })
    }

    /// What the CLI is told.
    pub fn response(&self, answer: &QuestionAnswer) -> Value {
        if matches!(self.question.about, QuestionAbout::Elicitation(_)) {
            return match answer {
                QuestionAnswer::Accept(Some(content)) => json!({ "action": "accept", "content": content }),
                QuestionAnswer::Accept(None) => json!({ "action": "accept" }),
                QuestionAnswer::Decline => json!({ "action": "decline" }),
                _ => Self::nobody_answers(),
            };
        }
        let allow = |input: &Value| json!({ "behavior": "allow", "updatedInput": input });
        let allow_and = |update: Value| json!({ "behavior": "allow", "updatedInput": self.input, "updatedPermissions": [update] });
        let rules = |destination: &str| {
            allow_and(json!({
                "type": "addRules",
                "rules": self.rules,
                "behavior": "allow",
                "destination": destination,
            }))
        };
        let accept_edits = || json!({ "type": "setMode", "mode": "acceptEdits", "destination": "session" });
        match answer {
            QuestionAnswer::Allow | QuestionAnswer::ApprovePlan { accept_edits: false } => allow(&self.input),
            QuestionAnswer::AllowForSession => match self.grant() {
                Some(Grant::Rules(_)) => rules("session"),
                Some(Grant::AcceptEdits) => allow_and(accept_edits()),
                None => allow(&self.input),
            },
            QuestionAnswer::AllowAlways if !self.rules.is_empty() => rules("userSettings"),
            QuestionAnswer::AllowAlways => allow(&self.input),
            QuestionAnswer::ApprovePlan { accept_edits: true } => allow_and(accept_edits()),
            QuestionAnswer::Deny(words) | QuestionAnswer::Refuse(words) | QuestionAnswer::Forbid(words) => {
                json!({ "behavior": "deny", "message": words })
            }
            QuestionAnswer::Choices(chosen) => {
                let answers: Map<String, Value> =
                    chosen.iter().map(|(question, choice)| (question.clone(), choice.to_json())).collect();
                allow(&self.with("answers", Value::Object(answers)))
            }
            QuestionAnswer::Words(words) => allow(&self.with("response", Value::from(words.as_str()))),
            QuestionAnswer::Accept(_) | QuestionAnswer::Decline | QuestionAnswer::Dismiss => {
                json!({ "behavior": "deny", "message": "This is no answer to it." })
            }
        }
    }

    /// What the CLI is told where nobody answers what an MCP server wants.
    pub fn nobody_answers() -> Value {
        json!({ "action": "cancel" })
    }

    /// The same with what is known of the subagent that asks: the CLI tells only its id.
    pub fn named(&self, subagents: &[Subagent]) -> Self {
        let mut named = self.clone();
        if let Some(subagent) = &mut named.question.subagent
            && let Some(known) = subagents.iter().find(|known| known.id == subagent.id)
        {
            subagent.clone_from(known);
        }
        named
    }

    /// What [`QuestionAnswer::AllowForSession`] grants.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.question.about {
            QuestionAbout::Permission(permission) => permission.grant.as_ref(),
            QuestionAbout::Choices(_) | QuestionAbout::Plan(_) | QuestionAbout::Elicitation(_) => None,
        }
    }

    fn with(&self, key: &str, value: Value) -> Value {
        let mut input = self.input.clone();
        if let Some(fields) = input.as_object_mut() {
            fields.insert(key.to_owned(), value);
        }
        input
    }
}

impl Chosen {
    /// Several as an array: joined, a label with a comma in it would be taken for a person's own words.
    fn to_json(&self) -> Value {
        match self {
            Self::One(label) => Value::from(label.as_str()),
            Self::Several(labels) => Value::from(labels.clone()),
        }
    }
}

/// What is told below the answer where nobody decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Undecided {
    /// This call was not allowed.
    Call(Denial),
    /// This MCP server got no answer.
    Server(String),
}

/// The questions that one agent waits with.
#[derive(Debug, Default)]
pub struct OpenQuestions(Vec<(AskedQuestion, Undecided)>);

impl OpenQuestions {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waits with one; returns it.
    pub fn open(&mut self, asked: AskedQuestion, undecided: Undecided) -> Question {
        let question = asked.question.clone();
        self.0.push((asked, undecided));
        question
    }

    /// Takes one out, as it is answered or withdrawn; `None` where that has happened already.
    pub fn close(&mut self, id: &QuestionId) -> Option<(AskedQuestion, Undecided)> {
        let place = self.0.iter().position(|(asked, _)| asked.question.id == *id)?;
        Some(self.0.remove(place))
    }

    /// Whether all of the agent waits, with these subagents at work: calls of one message that need leave are made one
    /// after another, so nothing else runs beside a question of the main thread but subagents.
    pub fn hold_up_all(&self, subagents: &[Subagent]) -> bool {
        let asks = |known: &Subagent| {
            let by = self.0.iter().filter_map(|(asked, _)| asked.question.subagent.as_ref());
            by.into_iter().any(|it| it.id == known.id)
        };
        !self.is_empty() && subagents.iter().all(asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: Value) -> AskedQuestion {
        let raw: RawQuestion = serde_json::from_value(request).unwrap();
        raw.read("r").unwrap()
    }

    fn bash() -> Value {
        json!({
            "subtype": "can_use_tool", "tool_name": "Bash", "display_name": "Bash", "tool_use_id": "t1",
            "input": {"command": "git push origin"}, "description": "git push origin",
            "permission_suggestions": [
                {"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "git push *"}],
                 "behavior": "allow", "destination": "localSettings"},
                {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
            ],
            "decision_reason": "This command requires approval", "decision_reason_type": "other"
        })
    }

    fn permission(asked: &AskedQuestion) -> &PermissionRequest {
        match &asked.question.about {
            QuestionAbout::Permission(permission) => permission,
            about => panic!("{about:?}"),
        }
    }

    #[test]
    fn leave_for_a_command_can_be_given_once_for_the_session_or_always() {
        let asked = asked(bash());
        let told = permission(&asked);
        assert_eq!(told.call, RequestedCall::Command("git push origin".to_owned()));
        assert_eq!(told.purpose, None, "it only repeats the command");
        assert_eq!(told.reason.as_deref(), Some("This command requires approval"));
        assert_eq!(told.grant, Some(Grant::Rules(vec!["Bash(git push *)".to_owned()])));
        let updates = |answer| asked.response(&answer)["updatedPermissions"].clone();
        assert_eq!(updates(QuestionAnswer::Allow), Value::Null);
        for (answer, destination) in
            [(QuestionAnswer::AllowForSession, "session"), (QuestionAnswer::AllowAlways, "userSettings")]
        {
            let expected = json!([{
                "type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "git push *"}],
                "behavior": "allow", "destination": destination,
            }]);
            assert_eq!(updates(answer), expected);
        }
        assert_eq!(
            asked.response(&QuestionAnswer::Deny("no".to_owned())),
            json!({"behavior": "deny", "message": "no"})
        );
    }

    #[test]
    fn what_is_dangerous_or_outside_the_project_is_allowed_only_once() {
        for change in [
            json!({"suppress_always_allow_rule": true}),
            json!({"decision_reason_type": "workingDir"}),
            json!({"permission_suggestions": []}),
            json!({"permission_suggestions": null}),
            json!({"permission_suggestions": [{"type": "addRules", "behavior": "allow",
                "rules": [{"toolName": "Read", "ruleContent": "//home/u/**"}]}]}),
            json!({"permission_suggestions": [{"type": "addRules", "behavior": "deny",
                "rules": [{"toolName": "Bash"}]}]}),
        ] {
            let mut request = bash();
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let asked = asked(request);
            assert_eq!(permission(&asked).grant, None, "{change}");
            for answer in [QuestionAnswer::AllowForSession, QuestionAnswer::AllowAlways] {
                assert_eq!(asked.response(&answer), asked.response(&QuestionAnswer::Allow), "{change}");
            }
        }
    }

    #[test]
    fn an_edit_grants_edits_and_nothing_of_a_call_is_hidden() {
        let request = |input: Value| {
            json!({"tool_name": "Edit", "tool_use_id": "t", "input": input,
                "permission_suggestions": [{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]})
        };
        let edit =
            json!({"file_path": "/p/a.rs", "old_string": "a", "new_string": "b", "replace_all": false});
        let asked_edit = asked(request(edit.clone()));
        assert_eq!(permission(&asked_edit).grant, Some(Grant::AcceptEdits));
        assert!(
            matches!(&permission(&asked_edit).call, RequestedCall::Edit { path, .. } if path == "/p/a.rs")
        );
        let update = asked_edit.response(&QuestionAnswer::AllowForSession)["updatedPermissions"].clone();
        assert_eq!(update, json!([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}]));
        // A field of a newer version is shown with the rest.
        let mut newer = edit;
        newer["run_after"] = json!("rm -rf /");
        let RequestedCall::Other(shown) = &permission(&asked(request(newer))).call.clone() else { panic!() };
        assert!(shown.contains("run_after"));
    }

    #[test]
    fn a_tool_has_its_own_name_and_each_field_of_a_call_is_read_or_shown_with_the_rest() {
        let read = |tool: &str, input: Value| {
            permission(&asked(json!({"tool_name": tool, "display_name": "Read a file", "input": input})))
                .clone()
        };
        let wipe = read("mcp__evil__wipe", json!({}));
        assert_eq!((wipe.name.as_str(), wipe.tool.as_str()), ("mcp__evil__wipe", "Read a file"));
        let bash = read("Bash", json!({"command": "make", "timeout": 600_000}));
        assert_eq!(bash.timeout.as_deref(), Some("600000"));
        let cell = read(
            "NotebookEdit",
            json!({"notebook_path": "/p/a.ipynb", "new_source": "1", "edit_mode": "insert"}),
        );
        let told = vec!["edit_mode: insert".to_owned()];
        assert_eq!(
            cell.call,
            RequestedCall::Cell { path: "/p/a.ipynb".to_owned(), source: "1".to_owned(), told }
        );
        for (tool, input) in [
            ("Bash", json!({"command": "make", "description": ["x"]})),
            ("Edit", json!({"file_path": "a", "old_string": "a", "new_string": "b", "replace_all": "yes"})),
            ("NotebookEdit", json!({"notebook_path": "a", "new_source": "b", "cell_id": 7})),
        ] {
            assert!(matches!(read(tool, input).call, RequestedCall::Other(_)), "{tool}");
        }
    }

    #[test]
    fn choices_are_told_by_their_question_and_several_as_an_array() {
        let request = json!({
            "tool_name": ASK, "tool_use_id": "t",
            "input": {"questions": [
                {"question": "Which?", "header": "Which", "options": [{"label": "Red", "description": "warm"},
                    {"label": "Blue", "description": "cold"}], "multiSelect": false},
                {"question": "Toppings?", "header": "T", "options": [{"label": "Ham"}, {"label": "Olives, green"}],
                    "multiSelect": true}
            ]}
        });
        let asked = asked(request.clone());
        let QuestionAbout::Choices(questions) = &asked.question.about else { panic!() };
        assert_eq!((questions.len(), questions[1].several), (2, true));
        let chosen = BTreeMap::from([
            ("Which?".to_owned(), Chosen::One("Red".to_owned())),
            ("Toppings?".to_owned(), Chosen::Several(vec!["Ham".to_owned(), "Olives, green".to_owned()])),
        ]);
        let mut expected = request["input"].clone();
        expected["answers"] = json!({"Which?": "Red", "Toppings?": ["Ham", "Olives, green"]});
        let told = asked.response(&QuestionAnswer::Choices(chosen));
        assert_eq!(told, json!({"behavior": "allow", "updatedInput": expected}));
        let told = asked.response(&QuestionAnswer::Words("neither".to_owned()));
        assert_eq!(told["updatedInput"]["response"], "neither");
        assert_eq!(told["updatedInput"]["questions"], request["input"]["questions"]);
    }

    #[test]
    fn an_mcp_server_hears_what_was_filled_in_or_which_of_two_noes_it_is() {
        let body = json!({"mode": "form", "requested_schema": {"properties": {"a": {"type": "string"}}}});
        let asked = AskedQuestion::of_elicitation("r", &body).unwrap();
        let content = Map::from_iter([("a".to_owned(), json!("b"))]);
        for (answer, told) in [
            (QuestionAnswer::Accept(Some(content)), json!({"action": "accept", "content": {"a": "b"}})),
            (QuestionAnswer::Accept(None), json!({"action": "accept"})),
            (QuestionAnswer::Decline, json!({"action": "decline"})),
            (QuestionAnswer::Dismiss, json!({"action": "cancel"})),
            (QuestionAnswer::Refuse("nobody".to_owned()), json!({"action": "cancel"})),
        ] {
            assert_eq!(asked.response(&answer), told);
        }
    }

    #[test]
    fn a_question_that_cannot_be_shown_is_none() {
        for input in [
            json!(null),
            json!({}),
            json!({"questions": []}),
            json!({"questions": [{"question": "x", "options": []}]}),
        ] {
            let raw = RawQuestion { tool_name: ASK.to_owned(), input, ..RawQuestion::default() };
            assert_eq!(raw.read("r"), None);
        }
    }

    #[test]
    fn all_waits_once_every_subagent_asks() {
        let mut open = OpenQuestions::default();
        assert!(!open.hold_up_all(&[]));
        let of = |id: &str, subagent: Option<&str>| {
            let raw = RawQuestion {
                tool_name: "Bash".to_owned(),
                agent_id: subagent.map(str::to_owned),
                ..RawQuestion::default()
            };
            raw.read(id).unwrap()
        };
        let subagents = ["a", "b"].map(|id| Subagent { id: id.to_owned(), ..Subagent::default() });
        let named =
            of("1", Some("a")).named(&[Subagent { kind: "general".to_owned(), ..subagents[0].clone() }]);
        assert_eq!(open.open(named, Undecided::Call(Denial::default())).subagent.unwrap().kind, "general");
        assert!(open.hold_up_all(&subagents[..1]) && !open.hold_up_all(&subagents));
        open.open(of("2", Some("b")), Undecided::Call(Denial::default()));
        assert!(open.hold_up_all(&subagents));
        assert!(open.close(&QuestionId("1".to_owned())).is_some());
        assert!(open.close(&QuestionId("1".to_owned())).is_none(), "the first answer counts");
        assert!(!open.hold_up_all(&subagents));
    }
}
