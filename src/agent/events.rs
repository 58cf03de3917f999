//! What an agent prints, line by line → [`Event`].
//!
//! A line is JSON with `type` anywhere in it. New types and fields come with new versions of the CLI, so a line
//! is read in two steps: its type first, then only the fields that we need of that type. Whatever cannot be read
//! becomes [`Event::Unreadable`], whatever we have no use for [`Event::Other`]; neither does harm.

use std::io;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line that is read; the CLI's lines carry whole answers and images, so they may be long.
pub const LONGEST_LINE: usize = 32 << 20;

/// A line's buffer that has grown beyond this is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// Lines from a pipe: of bounded length, and safe to stop waiting for at any moment.
pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// `line` has been handed out and is to be cleared before more is read.
    handed_out: bool,
    /// The rest of an overlong line is being skipped.
    skipping: bool,
    longest: usize,
}

/// One line of a pipe, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line's bytes, which need not be UTF-8.
    Bytes(&'a [u8]),
    /// A line over the limit; it was skipped.
    TooLong,
    /// The pipe has ended.
    End,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub fn new(pipe: R, longest: usize) -> Self {
        let reader = BufReader::with_capacity(16 << 10, pipe);
        Self { reader, line: Vec::new(), handed_out: false, skipping: false, longest }
    }

    /// The next line; the last one needs no newline. Cancel-safe.
    pub async fn next(&mut self) -> io::Result<Line<'_>> {
        if self.handed_out {
            self.handed_out = false;
            self.line.clear();
            self.line.shrink_to(KEPT_BUFFER);
        }
        loop {
            let available = self.reader.fill_buf().await?;
            let newline = available.iter().position(|&byte| byte == b'\n');
            let taken = newline.unwrap_or(available.len());
            let ended = available.is_empty();
            if !self.skipping && self.line.len() + taken > self.longest {
                self.skipping = true;
                self.line = Vec::new();
            }
            if !self.skipping {
                self.line.extend_from_slice(&available[..taken]);
            }
            self.reader.consume(taken + usize::from(newline.is_some()));

            if newline.is_none() && !ended {
                continue;
            }
            if std::mem::take(&mut self.skipping) {
                return Ok(Line::TooLong);
            }
            if ended && self.line.is_empty() {
                return Ok(Line::End);
            }
            self.handed_out = true;
            return Ok(Line::Bytes(&self.line));
        }
    }
}

/// Something that an agent told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A finished part of Claude's message (one event per block in current versions).
    Assistant {
        /// Not a subagent's.
        top: bool,
        /// The CLI's own words about an API error, in the clothes of a message.
        is_error: bool,
        /// The texts and tool calls in it.
        blocks: Vec<Block>,
    },
    /// A piece of text as it is written, at the top level; the finished block follows.
    Delta(String),
    /// Tools have ended, at the top level; the ids of their calls.
    ToolsEnded(Vec<String>),
    /// A turn begins, or goes on after a permission question.
    Running,
    /// Nothing is left to do.
    Idle,
    /// The agent asks whether it may use a tool, and waits for the answer.
    MayIUse {
        /// To be given back in the answer.
        request: String,
        /// The tool and its call.
        denial: Denial,
    },
    /// The agent asks for something that we do not offer, and waits for the answer.
    OtherRequest {
        /// To be given back in the answer.
        request: String,
        /// What it asks for.
        subtype: String,
    },
    /// The answer to one of our control requests.
    Reply {
        /// The id that we gave the request.
        request: String,
        /// The CLI's reason where it refused.
        refused: Option<String>,
    },
    /// A tool was denied by the CLI itself.
    Denied(Denial),
    /// The permission mode is now this one. Claude can change it too (EnterPlanMode).
    Mode(String),
    /// An API call failed and is tried again.
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
    /// A turn has ended.
    Result(Box<TurnResult>),
    /// A type that we know or do not know, and have no use for.
    Other {
        /// `type`, with `/subtype` where there is one.
        kind: String,
    },
    /// A line that is not JSON, or not of the form that its type has.
    Unreadable {
        /// Why, without the line's content.
        reason: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Text.
    Text(String),
    /// A tool is called.
    Tool {
        /// The call's id, which its result carries too.
        id: String,
        /// The tool's name.
        name: String,
    },
}

/// What a `result` line says.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct TurnResult {
    /// `success`, or what stopped the turn; an API failure is a `success` with `is_error`.
    pub subtype: String,
    /// Whether the turn failed.
    pub is_error: bool,
    /// The last text, or the failure in the CLI's words.
    pub result: Option<String>,
    /// The failures in the CLI's words, where there is no `result`.
    pub errors: Vec<String>,
    /// The session that the turn belongs to; the id to resume.
    pub session_id: Option<String>,
    /// The session's cost in dollars, over all its turns.
    pub total_cost_usd: f64,
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
    pub(super) origin: Option<Origin>,
    /// The tools that were denied, in order.
    pub permission_denials: Vec<Denial>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    kind: String,
}

/// A tool's call that was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Denial {
    /// The tool; one call may have two names for it (`Agent` and `Task`).
    pub tool_name: String,
    /// The call.
    pub tool_use_id: String,
}

impl TurnResult {
    /// Whether it answers the message that was sent with this id. A turn that nobody asked for (the end of a
    /// background task starts one) never does.
    pub fn answers(&self, message: &str) -> bool {
        if self.origin.as_ref().is_some_and(|origin| origin.kind == "task-notification") {
            return false;
        }
        self.user_message_uuids.as_ref().is_none_or(|ids| ids.iter().any(|id| id == message))
    }
}

/// Reads one line.
pub fn read(line: &[u8]) -> Event {
    match try_read(line) {
        Ok(event) => event,
        Err(e) => Event::Unreadable { reason: e.to_string() },
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

fn try_read(line: &[u8]) -> serde_json::Result<Event> {
    let Head { kind, subtype } = from(line)?;
    let subtype = subtype.as_ref().and_then(Value::as_str).unwrap_or_default();
    Ok(match (kind.as_str(), subtype) {
        ("assistant", _) => assistant(from(line)?),
        ("user", _) => user(from(line)?).unwrap_or_else(|| other(&kind, subtype)),
        ("stream_event", _) => delta(from(line)?).unwrap_or_else(|| other(&kind, subtype)),
        ("result", _) => Event::Result(Box::new(from(line)?)),
        ("control_request", _) => request(from(line)?),
        ("control_response", _) => reply(from(line)?),
        ("system", "session_state_changed") => {
            let State { state } = from(line)?;
            match state.as_str() {
                "running" => Event::Running,
                "idle" => Event::Idle,
                _ => other(&kind, subtype),
            }
        }
        ("system", "permission_denied") => Event::Denied(from(line)?),
        ("system", "status") => {
            let Status { mode } = from(line)?;
            mode.map_or_else(|| other(&kind, subtype), Event::Mode)
        }
        ("system", "api_retry") => {
            let Retry { attempt, max_retries, error_status, error } = from(line)?;
            Event::Retry { attempt, of: max_retries, status: error_status, error }
        }
        _ => other(&kind, subtype),
    })
}

fn from<'de, T: Deserialize<'de>>(line: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(line)
}

fn other(kind: &str, subtype: &str) -> Event {
    let kind = if subtype.is_empty() { kind.to_owned() } else { format!("{kind}/{subtype}") };
    Event::Other { kind }
}

#[derive(Deserialize)]
struct Said {
    message: SaidMessage,
    #[serde(default)]
    parent_tool_use_id: Option<String>,
    #[serde(default)]
    is_api_error_message: bool,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct SaidMessage {
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<RawBlock>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum RawBlock {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
    },
    ToolResult {
        tool_use_id: String,
    },
    #[serde(other)]
    Other,
}

fn assistant(said: Said) -> Event {
    let blocks = match said.message.content {
        Content::Text(text) => vec![Block::Text(text)],
        Content::Blocks(blocks) => blocks
            .into_iter()
            .filter_map(|block| match block {
                RawBlock::Text { text } => Some(Block::Text(text)),
                RawBlock::ToolUse { id, name } => Some(Block::Tool { id, name }),
                RawBlock::ToolResult { .. } | RawBlock::Other => None,
            })
            .collect(),
    };
    let is_error = said.is_api_error_message || said.error.is_some_and(|error| !error.is_null());
    Event::Assistant { top: said.parent_tool_use_id.is_none(), is_error, blocks }
}

fn user(said: Said) -> Option<Event> {
    let Content::Blocks(blocks) = said.message.content else { return None };
    let ended: Vec<String> = blocks
        .into_iter()
        .filter_map(|block| match block {
            RawBlock::ToolResult { tool_use_id } => Some(tool_use_id),
            _ => None,
        })
        .collect();
    (said.parent_tool_use_id.is_none() && !ended.is_empty()).then_some(Event::ToolsEnded(ended))
}

#[derive(Deserialize)]
struct Stream {
    event: StreamEvent,
    #[serde(default)]
    parent_tool_use_id: Option<String>,
}

#[derive(Deserialize)]
struct StreamEvent {
    #[serde(default)]
    delta: Option<TextDelta>,
}

#[derive(Deserialize)]
struct TextDelta {
    #[serde(default)]
    text: Option<String>,
}

fn delta(stream: Stream) -> Option<Event> {
    let text = stream.event.delta.and_then(|delta| delta.text)?;
    stream.parent_tool_use_id.is_none().then_some(Event::Delta(text))
}

#[derive(Deserialize)]
struct Request {
    request_id: String,
    request: RequestBody,
}

#[derive(Deserialize)]
struct RequestBody {
    subtype: String,
    #[serde(flatten)]
    denial: Denial,
}

fn request(Request { request_id: request, request: body }: Request) -> Event {
    match body.subtype.as_str() {
        "can_use_tool" => Event::MayIUse { request, denial: body.denial },
        _ => Event::OtherRequest { request, subtype: body.subtype },
    }
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
}

fn reply(Response { response }: Response) -> Event {
    let refused = (response.subtype != "success")
        .then(|| response.error.unwrap_or_else(|| "no reason given".to_owned()));
    Event::Reply { request: response.request_id, refused }
}

#[derive(Deserialize)]
struct State {
    state: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default, rename = "permissionMode")]
    mode: Option<String>,
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
    use std::collections::BTreeMap;

    use super::*;

    async fn lines(input: &[u8], longest: usize) -> Vec<String> {
        let mut lines = Lines::new(input, longest);
        let mut seen = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Line::Bytes(bytes) => seen.push(String::from_utf8_lossy(bytes).into_owned()),
                Line::TooLong => seen.push("(too long)".to_owned()),
                Line::End => return seen,
            }
        }
    }

    #[tokio::test]
    async fn lines_end_at_newlines_and_at_the_end_of_the_pipe() {
        assert_eq!(lines(b"", 9).await, [""; 0]);
        assert_eq!(lines(b"a\n\nb", 9).await, ["a", "", "b"]);
        assert_eq!(lines(b"a\n\xff\n", 9).await, ["a", "\u{fffd}"]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_skipped_and_the_next_one_is_read() {
        assert_eq!(lines(b"123\n1234\n12345\n", 4).await, ["123", "1234", "(too long)"]);
        assert_eq!(lines(b"12345\n1\n12345", 4).await, ["(too long)", "1", "(too long)"]);
        let mut long = vec![b'x'; 100_000];
        long.extend_from_slice(b"\nok\n");
        assert_eq!(lines(&long, 99_999).await, ["(too long)", "ok"]);
    }

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
            assert!(matches!(event, Event::Unreadable { .. }), "{event:?}");
        }
        assert_eq!(read(b"{\"type\":\"from_the_future\"}"), other("from_the_future", ""));
        assert_eq!(read(b"{\"subtype\":7,\"type\":\"x\"}"), other("x", ""));
    }

    #[test]
    fn keys_come_in_any_order() {
        let event = read(br#"{"result":"hi","is_error":false,"total_cost_usd":0.5,"type":"result"}"#);
        let Event::Result(result) = event else { panic!("{event:?}") };
        assert_eq!(result.result.as_deref(), Some("hi"));
        assert!(result.answers("any"));
    }

    #[test]
    fn results_answer_only_their_own_message() {
        let result = |line: &str| match read(line.as_bytes()) {
            Event::Result(result) => result,
            event => panic!("{event:?}"),
        };
        assert!(result(r#"{"type":"result","user_message_uuids":["a","b"]}"#).answers("b"));
        assert!(!result(r#"{"type":"result","user_message_uuids":["a"]}"#).answers("b"));
        assert!(!result(r#"{"type":"result","origin":{"kind":"task-notification"}}"#).answers("b"));
    }

    /// Every line of every transcript is either read or knowingly passed over.
    #[test]
    fn transcripts_are_read_without_a_hole() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");
        let mut seen = BTreeMap::<String, usize>::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            for line in std::fs::read_to_string(&path).unwrap().lines().skip(1) {
                let wrapped: Value = serde_json::from_str(line).unwrap();
                if wrapped["_dir"] == "in" {
                    continue;
                }
                let event = if wrapped["ev"].is_object() { &wrapped["ev"] } else { &wrapped };
                let event = read(event.to_string().as_bytes());
                assert!(!matches!(event, Event::Unreadable { .. }), "{event:?} in {}", path.display());
                let name = format!("{event:?}");
                let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
                *seen.entry(name).or_default() += 1;
            }
        }
        let names: Vec<&str> = seen.keys().map(String::as_str).collect();
        let all =
            ["Assistant", "Delta", "Denied", "Idle", "MayIUse", "Mode", "Other", "Reply", "Result", "Retry"];
        assert_eq!(names, [&all[..], &["Running", "ToolsEnded"]].concat());
    }
}
