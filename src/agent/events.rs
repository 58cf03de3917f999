//! What an agent prints, line by line → [`AgentEvent`].
//!
//! A line is JSON with `type` anywhere in it. New types and fields come with new versions of the CLI, so a line
//! is read in two steps: its type first, then only the fields that we need of that type. What we do not use is
//! in [`PASSED_OVER`], with the reason; any other type becomes [`AgentEvent::Unknown`], and a line that cannot be read
//! [`AgentEvent::Unreadable`]. None of them does harm.

mod requests;
mod speech;
mod usage;

use serde::Deserialize;
use serde_json::Value;

use super::denial::{Denial, Reason};
use super::lifecycle::{MessageState, PromptId};
use super::own_tools::SendFiles;
use super::question::{AskedQuestion, QuestionId, Subagent};
use super::usage_limit::UsageLimit;
use crate::domain::Compaction;
pub use usage::ReportedUsage;

/// Something that an agent printed.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// A finished part of Claude's message (one event per block in current versions).
    Assistant {
        /// The message that it is a part of.
        message: String,
        /// Not a subagent's.
        top: bool,
        /// The CLI's own words about an API error, presented as a message.
        is_error: bool,
        /// The texts and tool calls in it.
        blocks: Vec<ContentBlock>,
        /// The request that it answers; `None` where the CLI itself says it.
        request: Option<ModelRequest>,
    },
    /// A piece of text as it is written, at the top level; the finished block follows.
    Delta(String),
    ToolsEnded {
        /// Their calls, at the top level.
        calls: Vec<EndedCall>,
        /// Those that the CLI did not allow, and why, including those of subagents.
        refused: Vec<(String, Reason)>,
        /// What the tool returned, in a form of its own; the messages of current versions have one result each.
        result: Value,
    },
    /// A subagent has begun its work.
    SubagentStarted(Subagent),
    /// It has ended it.
    SubagentEnded(String),
    /// The CLI makes room in the context, or no longer does.
    Compacting(bool),
    /// It has made room.
    Compacted(Compaction),
    /// A turn begins, or goes on after a permission question.
    Running,
    /// Nothing is left to do.
    Idle,
    /// What became of a message that was sent to the agent.
    Lifecycle {
        /// The id that its sender gave it; ours are UUIDs.
        message: PromptId,
        state: MessageState,
    },
    /// The agent asks whether it may use a tool, and waits for the answer.
    MayIUse {
        /// To be repeated in the answer.
        request: String,
        /// The tool and its call, as it is told where nobody allows it.
        denial: Denial,
        /// What a person is asked; `None` where that cannot be shown.
        question: Option<Box<AskedQuestion>>,
    },
    /// The agent no longer waits for the answer to a question.
    Withdrawn(QuestionId),
    /// An MCP server wants something of a person (a form to be filled in, a page to be visited), and waits for the answer.
    Elicits {
        /// To be repeated in the answer.
        request: String,
        /// Its name in the settings; empty where it is not told.
        server: String,
        /// What a person is asked; `None` where that cannot be shown.
        question: Option<Box<AskedQuestion>>,
    },
    /// The agent speaks to the server of our own tools, and gets this answer.
    OwnServer { request: String, reply: Value },
    /// Claude hands over files.
    SendsFiles(SendFiles),
    /// The agent asks for something that we do not support, and waits for the answer.
    OtherRequest {
        /// To be repeated in the answer.
        request: String,
        /// What it asks for.
        subtype: String,
    },
    /// The answer to one of our control requests.
    Reply {
        /// The id that we gave the request.
        request: String,
        /// The CLI's reason if it refused.
        refused: Option<String>,
        /// The CLI's version; only `initialize` reports it.
        version: Option<String>,
        /// Where the CLI's login comes from, in its own words; only `initialize` reports it.
        login: Option<String>,
        /// It has given back the message that we asked for; only `cancel_async_message` reports it.
        gave_back: bool,
    },
    /// A tool was denied by the CLI itself.
    Denied(Denial),
    /// The permission mode is now this one. Claude can change it too (EnterPlanMode).
    Mode(String),
    /// An API call failed and is retried.
    Retry {
        /// 1 for the first repetition.
        attempt: u32,
        /// How many there will be at most.
        of: u32,
        /// The HTTP status, where there was one.
        status: Option<u16>,
        /// The CLI's word for the reason, such as `overloaded` or `authentication_failed`.
        error: String,
    },
    /// A hook in the CLI's settings blocked the prompt; its reason, if it gave one.
    PromptRefused(Option<String>),
    /// The account's usage limit; only with a subscription.
    UsageLimit(UsageLimit),
    /// Another model takes over from one that has no capacity.
    Fallback(Fallback),
    /// Anthropic's safeguards stopped this message; its text is withdrawn.
    TakenBack { message: String },
    /// A message reached the size limit; the next one continues it.
    GoesOn,
    /// The disk is full: the stored session has gaps, or does not exist. Reported once, as the agent ends.
    WritesLost,
    /// A turn has ended.
    Result(Box<TurnResult>),
    /// Something that we know and do not use: see [`PASSED_OVER`].
    PassedOver,
    /// A type that we do not know.
    Unknown {
        /// `type`, with `/subtype` where there is one.
        kind: String,
    },
    /// A line that is not JSON, or does not have the fields of its type.
    Unreadable {
        /// Why, without the line's content.
        reason: String,
    },
}

/// The types that are passed over, and why. Those below the line were not seen yet: they stand in the CLI's published
/// types (`sdk.d.ts` of its 0.3.330).
pub const PASSED_OVER: &[(&str, &str)] = &[
    ("system/init", "tells what we have asked for; the version is read where the agent gets ready"),
    ("system/thinking_tokens", "counts what nobody is shown"),
    ("system/informational", "hints for somebody at a terminal; but a hook's refusal of a prompt is read"),
    ("system/model_refusal_no_fallback", "the result that follows says that it was refused"),
    (
        "system/background_tasks_changed",
        "nothing runs in the background; if it does, its result says whose it is",
    ),
    ("system/task_progress", "what a subagent does is not shown"),
    ("system/task_updated", "a notification follows"),
    ("conversation_reset", "its id is not the session's; the next result has that"),
    // ----
    ("system/elicitation_complete", "whoever has opened the address says so"),
    ("keep_alive", "a sign of life, and nothing else"),
    ("tool_progress", "a sign of life, and nothing else"),
    ("tool_use_summary", "the answer says what was done"),
    ("prompt_suggestion", "nobody could take it up"),
    ("auth_status", "a failure of the login is told by its result"),
    ("system/hook_started", "what hooks do is between them and the agent"),
    ("system/hook_progress", "the same"),
    ("system/hook_response", "the same"),
    ("system/notification", "hints for somebody at a terminal"),
    ("system/local_command_output", "commands of the CLI are off: a prompt is text"),
    ("system/files_persisted", "files go nowhere from here"),
];

/// What `model_fallback` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Fallback {
    /// The model that was asked for.
    #[serde(rename = "original_model")]
    pub from: String,
    #[serde(rename = "fallback_model")]
    pub to: String,
}

/// A request to the model, as its answer reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// The model that answers it.
    pub model: String,
    /// How many tokens stood in its context; `None` where it does not say.
    pub context: Option<u64>,
}

/// A call of a tool that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedCall {
    /// The id of the call.
    pub id: String,
    /// What the tool gave back to the model, as far as it is text.
    pub output: String,
    pub has_failed: bool,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum ContentBlock {
    Text(String),
    /// What the model thinks, as far as it is told; often nothing.
    Thinking(String),
    Tool {
        /// The call's id, which its result carries too.
        id: String,
        /// The tool's name.
        name: String,
        /// What it was called with.
        input: Value,
    },
}

/// What a `result` line says.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct TurnResult {
    /// `success`, or what stopped the turn; an API failure is a `success` with `is_error`.
    pub subtype: String,
    pub is_error: bool,
    /// The last text, or the failure in the CLI's words.
    pub result: Option<String>,
    /// The failures in the CLI's words, where there is no `result`.
    pub errors: Vec<String>,
    /// The session that the turn belongs to; the id to resume.
    pub session_id: Option<String>,
    /// The session's cost in dollars, over all its turns; `None` where the agent does not say.
    #[serde(deserialize_with = "usage::readable")]
    pub total_cost_usd: Option<f64>,
    /// What the turn has used, in its two forms.
    #[serde(flatten)]
    pub used: ReportedUsage,
    /// Round trips to the model in this turn.
    pub num_turns: u32,
    /// Why it ended, such as `completed` or `aborted_streaming`.
    pub terminal_reason: Option<String>,
    /// Why the model stopped, such as `end_turn` or `refusal`.
    pub stop_reason: Option<String>,
    /// The HTTP status of an API failure.
    pub api_error_status: Option<u16>,
    /// The CLI's word for an API failure without a status, such as `connection_failed`.
    pub api_error: Option<String>,
    /// The messages that it answers; `None` in older versions.
    pub user_message_uuids: Option<Vec<String>>,
    /// The built-in command that the prompt was, such as `clear`.
    pub(super) local_command: Option<String>,
    pub(super) origin: Option<Origin>,
    /// The tools that were denied, in order.
    pub permission_denials: Vec<Denial>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    kind: String,
}

impl TurnResult {
    /// Whether it answers the prompt that was sent with this id. A turn that nobody asked for (the end of a
    /// background task starts one) never does; one that took our message in on its way does.
    pub fn answers(&self, prompt: PromptId) -> bool {
        match self.user_message_uuids.as_deref().unwrap_or_default() {
            [] if self.is_empty() => false,
            [] => self.origin.as_ref().is_none_or(|origin| matches!(origin.kind.as_str(), "" | "human")),
            _ => self.names(prompt),
        }
    }

    /// Whether it says that this prompt is among those that it answers.
    pub fn names(&self, prompt: PromptId) -> bool {
        let prompt = prompt.0.to_string();
        self.user_message_uuids.iter().flatten().any(|id| *id == prompt)
    }

    /// Whether nothing happened in it: such a result follows a message that asks for no answer (`shouldQuery`).
    fn is_empty(&self) -> bool {
        let text = self.result.as_deref().unwrap_or_default();
        let is_silent = text.trim().is_empty() && self.errors.is_empty() && !self.failed();
        self.num_turns == 0 && is_silent && self.local_command.is_none()
    }

    /// Whether the turn failed. An interrupted one had no `is_error` in older versions.
    pub fn failed(&self) -> bool {
        self.is_error || self.subtype.starts_with("error")
    }
}

/// Reads one line.
pub fn read(line: &[u8]) -> AgentEvent {
    match try_read(line) {
        Ok(event) => event,
        Err(e) => AgentEvent::Unreadable { reason: e.to_string() },
    }
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
    // Not every type's `subtype` need be a string.
    #[serde(default)]
    subtype: Option<Value>,
}

fn try_read(line: &[u8]) -> serde_json::Result<AgentEvent> {
    let Head { kind, subtype } = from(line)?;
    let subtype = subtype.as_ref().and_then(Value::as_str).unwrap_or_default();
    Ok(match (kind.as_str(), subtype) {
        ("assistant", _) => speech::assistant(from(line)?),
        ("user", _) => speech::user(from(line)?),
        ("stream_event", _) => speech::delta(from(line)?),
        ("result", _) => AgentEvent::Result(Box::new(from(line)?)),
        ("control_request", _) => requests::request(from(line)?)?,
        ("control_cancel_request", _) => requests::withdrawn(from(line)?),
        ("control_response", _) => reply(from(line)?),
        ("system", "session_state_changed") => {
            let RawState { state } = from(line)?;
            match state.as_str() {
                "running" => AgentEvent::Running,
                "idle" => AgentEvent::Idle,
                // `requires_action`: the question itself comes too.
                _ => AgentEvent::PassedOver,
            }
        }
        ("command_lifecycle", _) => lifecycle(&from(line)?),
        ("system", "permission_denied") => AgentEvent::Denied(from(line)?),
        ("system", "status") => {
            let RawStatus { mode, status, compact_result } = from(line)?;
            match (mode, status.as_str()) {
                (Some(mode), _) => AgentEvent::Mode(mode),
                (None, Some("compacting")) => AgentEvent::Compacting(true),
                (None, _) if !compact_result.is_null() => AgentEvent::Compacting(false),
                (None, _) => AgentEvent::PassedOver,
            }
        }
        ("system", "compact_boundary") => usage::compacted(from(line)?),
        ("system", "task_started") => {
            let Subtask { task_id, task_type, subagent_type, description } = from(line)?;
            let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
            // Not a command in the background.
            match task_type.as_str() == Some("local_agent") {
                true => AgentEvent::SubagentStarted(Subagent {
                    id: task_id,
                    kind: text(subagent_type),
                    task: text(description),
                }),
                false => AgentEvent::PassedOver,
            }
        }
        ("system", "task_notification") => AgentEvent::SubagentEnded(from::<Subtask>(line)?.task_id),
        ("system", "api_retry") => {
            let Retry { attempt, max_retries, error_status, error } = from(line)?;
            AgentEvent::Retry { attempt, of: max_retries, status: error_status, error }
        }
        ("system", "model_fallback") => AgentEvent::Fallback(from(line)?),
        ("system", "informational") => informational(from(line)?),
        ("system", "session_writes_lost") => AgentEvent::WritesLost,
        ("rate_limit_event", _) => AgentEvent::UsageLimit(from(line)?),
        _ => {
            let kind = if subtype.is_empty() { kind } else { format!("{kind}/{subtype}") };
            match PASSED_OVER.iter().any(|(known, _)| *known == kind) {
                true => AgentEvent::PassedOver,
                false => AgentEvent::Unknown { kind },
            }
        }
    })
}

fn from<'de, T: Deserialize<'de>>(line: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(line)
}

#[derive(Deserialize)]
struct RawLifecycle {
    command_uuid: String,
    state: MessageState,
}

#[derive(Deserialize)]
struct Response {
    response: ResponseBody,
}

#[derive(Deserialize)]
struct ResponseBody {
    subtype: String,
    request_id: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    response: Option<ReplyBody>,
}

#[derive(Deserialize)]
struct ReplyBody {
    #[serde(default)]
    claude_code_version: Option<String>,
    #[serde(default)]
    account: Value,
    /// `true`, or in the answer to `interrupt` a list.
    #[serde(default)]
    cancelled: Value,
}

/// `{"tokenSource":"none","apiKeySource":"ANTHROPIC_API_KEY","apiProvider":"firstParty"}`; without a login there is
/// no `apiKeySource` either. Other providers have logins of their own, of which the CLI tells nothing.
fn login(account: &Value) -> Option<String> {
    let told = |key: &str| account[key].as_str().filter(|word| !matches!(*word, "none" | "" | "firstParty"));
    ["tokenSource", "apiKeySource", "apiProvider"].into_iter().find_map(told).map(str::to_owned)
}

fn reply(Response { response }: Response) -> AgentEvent {
    let refused = (response.subtype != "success")
        .then(|| response.error.unwrap_or_else(|| "no reason given".to_owned()));
    let login = response.response.as_ref().and_then(|body| login(&body.account));
    let gave_back = response.response.as_ref().is_some_and(|body| body.cancelled == true);
    let version = response.response.and_then(|body| body.claude_code_version);
    AgentEvent::Reply { request: response.request_id, refused, version, login, gave_back }
}

fn lifecycle(RawLifecycle { command_uuid, state }: &RawLifecycle) -> AgentEvent {
    match command_uuid.parse() {
        Ok(id) => AgentEvent::Lifecycle { message: PromptId(id), state: *state },
        Err(_) => AgentEvent::PassedOver,
    }
}

#[derive(Deserialize)]
struct RawState {
    state: String,
}

#[derive(Deserialize)]
struct RawStatus {
    #[serde(default, rename = "permissionMode")]
    mode: Option<String>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    compact_result: Value,
}

#[derive(Deserialize)]
struct Subtask {
    task_id: String,
    #[serde(default)]
    task_type: Value,
    #[serde(default)]
    subagent_type: Value,
    #[serde(default)]
    description: Value,
}

#[derive(Deserialize)]
struct Informational {
    #[serde(default)]
    prevent_continuation: bool,
    #[serde(default)]
    prompt_submit_outcome: Value,
}

/// Hints for somebody at a terminal, with addresses and settings, except for one kind.
fn informational(
    Informational { prevent_continuation, prompt_submit_outcome: outcome }: Informational,
) -> AgentEvent {
    // Its text has the hook's command line and the prompt in it.
    match prevent_continuation && outcome["kind"].as_str().is_some_and(|kind| kind.ends_with("_by_hook")) {
        true => AgentEvent::PromptRefused(outcome["reason"].as_str().map(str::to_owned)),
        false => AgentEvent::PassedOver,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Retry {
    attempt: u32,
    max_retries: u32,
    error_status: Option<u16>,
    error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_no_event_does_harm() {
        for line in [
            &b""[..],
            b"null",
            b"[]",
            b"{",
            b"\xff\xfe",
            b"{\"type\":1}",
            b"{\"type\":\"result\",\"errors\":3}",
            b"{\"type\":\"assistant\"}",
            b"{\"type\":\"assistant\",\"message\":{\"content\":[1]}}",
            b"{\"type\":\"control_request\",\"request\":{}}",
        ] {
            let event = read(line);
            assert!(matches!(event, AgentEvent::Unreadable { .. }), "{event:?}");
        }
        let unknown = |kind: &str| AgentEvent::Unknown { kind: kind.to_owned() };
        assert_eq!(read(b"{\"type\":\"from_the_future\"}"), unknown("from_the_future"));
        assert_eq!(read(b"{\"subtype\":7,\"type\":\"x\"}"), unknown("x"));
        assert_eq!(read(b"{\"subtype\":\"new\",\"type\":\"system\"}"), unknown("system/new"));
        assert_eq!(read(b"{\"type\":\"keep_alive\"}"), AgentEvent::PassedOver);
    }

    #[test]
    fn keys_come_in_any_order() {
        let event = read(br#"{"result":"hi","is_error":false,"total_cost_usd":0.5,"type":"result"}"#);
        let AgentEvent::Result(result) = event else { panic!("{event:?}") };
        assert_eq!(result.result.as_deref(), Some("hi"));
        assert!(result.answers(PromptId::random()));
    }

    #[test]
    fn results_answer_only_their_own_message() {
        let result = |line: &str| match read(line.as_bytes()) {
            AgentEvent::Result(result) => result,
            event => panic!("{event:?}"),
        };
        let naming = |prompts: &[PromptId], more: &str| {
            let ids: Vec<String> = prompts.iter().map(|prompt| prompt.0.to_string()).collect();
            format!(r#"{{"type":"result","user_message_uuids":{ids:?}{more}}}"#)
        };
        let [a, b] = [PromptId::random(), PromptId::random()];
        assert!(result(&naming(&[a, b], "")).answers(b));
        assert!(!result(&naming(&[a], "")).answers(b));
        assert!(result(r#"{"type":"result","num_turns":1,"user_message_uuids":[]}"#).answers(b));
        assert!(result(r#"{"type":"result","num_turns":0,"result":"2 files"}"#).answers(b));
        assert!(result(r#"{"type":"result","num_turns":0,"is_error":true}"#).answers(b));
        assert!(result(r#"{"type":"result","num_turns":0,"local_command":"clear"}"#).answers(b));
        // What a message brings that asks for no answer.
        assert!(!result(r#"{"type":"result","subtype":"success","result":""}"#).answers(b));
        assert!(!result(r#"{"type":"result","user_message_uuids":[]}"#).answers(b));
        let unasked = r#"{"type":"result","origin":{"kind":"task-notification"}}"#;
        assert!(!result(unasked).answers(b));
        let took_ours_in = naming(&[b], r#","origin":{"kind":"task-notification"}"#);
        assert!(result(&took_ours_in).answers(b));
    }
}
