//! A small Messages API on loopback for the real CLI: it streams as Anthropic's does, answers what the newest prompt
//! says, and keeps every request.
//!
//! ```text
//! TOOL:Name:{json}   use a tool; its result is repeated as the answer
//! TOOLS:[[name, {json}], …]   use several tools in one message
//! STATUS:n           fail with this status
//! STATUS:n:words     the same, in these words
//! POISON:words       fail with 400 and these words, and with every later prompt of the conversation too
//! LOGIN:word         fail with 401 while the login has this word in it
//! SLOW:s             answer after so many seconds
//! STALL              begin an answer, and never go on
//! CUT                begin an answer, and drop the connection
//! REFUSE             be stopped by safeguards, again and again
//! USAGE:i,o,r,w      report these tokens: input, output, read from the cache and written to it; by default 1, 1, 0 and 0
//! BUSY:model         fail with 529 for models with this in their name
//! anything else      is repeated
//! ```

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{StreamExt, stream};
use moonlane::domain::Tokens;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::within;

/// What the CLI asked the API.
#[derive(Debug, Clone)]
pub struct Request {
    /// The session that it asked for.
    pub session: String,
    /// The newest prompt in it.
    pub prompt: String,
    pub body: Value,
    /// What it is told that it has used; nothing where it fails.
    pub reported: Tokens,
}

impl Request {
    /// Everything that is said in the conversation so far, as JSON.
    pub fn conversation(&self) -> String {
        self.body["messages"].to_string()
    }
}

/// The server; it ends with this value.
pub struct MessagesApi {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl Drop for MessagesApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Requests = Arc<Mutex<Vec<Request>>>;

impl MessagesApi {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Requests::default();
        let routes = Router::new()
            .route("/v1/messages", post(messages))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&requests));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, requests, server }
    }

    /// Its address: `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far whose newest prompt contains this.
    pub fn requests(&self, prompt: &str) -> Vec<Request> {
        let all = self.requests.lock().unwrap();
        all.iter().filter(|request| request.prompt.contains(prompt)).cloned().collect()
    }

    /// What all requests so far were told that they have used.
    pub fn reported(&self) -> Tokens {
        let all = self.requests.lock().unwrap();
        all.iter().map(|request| request.reported).fold(Tokens::default(), Tokens::plus)
    }

    /// Waits for the first such request.
    pub async fn asked(&self, prompt: &str) -> Request {
        let wait = async {
            loop {
                match self.requests(prompt).into_iter().next() {
                    Some(request) => return request,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        within(&format!("a request with the prompt {prompt:?}"), wait).await
    }
}

async fn messages(State(requests): State<Requests>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (prompt, result) = newest(body["messages"].as_array().unwrap());
    let session = headers.get("x-claude-code-session-id").map(|id| id.to_str().unwrap().to_owned());
    let session = session.unwrap_or_default();
    let login = headers.get("authorization").and_then(|login| login.to_str().ok()).unwrap_or_default();
    let (word, argument) = prompt.split_once(':').unwrap_or((&prompt, ""));
    let usage = match word {
        "USAGE" => tokens(argument),
        _ => Tokens { input: 1, output: 1, ..Tokens::default() },
    };
    let begun = {
        let reported = Tokens::default();
        let mut requests = requests.lock().unwrap();
        requests.push(Request { session, prompt: prompt.clone(), body: body.clone(), reported });
        requests.len() - 1
    };

    let said = body["messages"].to_string();
    if let Some((_, poison)) = said.split_once("POISON:") {
        // As JSON has it: the words of errors have no quotes and no line breaks.
        return failure(400, poison.split(['"', '\\']).next().unwrap());
    }
    let text = |text: String| vec![json!({ "type": "text", "text": text })];
    let blocks = match (word, result) {
        ("STATUS", _) => {
            let (status, words) = argument.split_once(':').unwrap_or((argument, "as the prompt says"));
            return failure(status.parse().unwrap(), words);
        }
        ("LOGIN", _) if login.contains(argument) => return failure(401, "as the prompt says"),
        ("BUSY", _) if body["model"].as_str().unwrap().contains(argument) => {
            return failure(529, "as the prompt says");
        }
        ("CUT", _) => return cut(&events(&body["model"], &[], usage)),
        ("STALL", _) => {
            requests.lock().unwrap()[begun].reported = usage;
            return streamed(&events(&body["model"], &[], usage), true);
        }
        ("SLOW", _) => {
            tokio::time::sleep(Duration::from_secs_f64(argument.parse().unwrap())).await;
            text(format!("you said: {prompt}"))
        }
        ("TOOL", None) => {
            let (name, input) = argument.split_once(':').unwrap();
            let input: Value = serde_json::from_str(input).unwrap();
            vec![json!({ "type": "tool_use", "id": fresh("toolu"), "name": name, "input": input })]
        }
        ("TOOLS", None) => {
            let calls: Vec<(String, Value)> = serde_json::from_str(argument).unwrap();
            let call = |(name, input)| json!({ "type": "tool_use", "id": fresh("toolu"), "name": name, "input": input });
            calls.into_iter().map(call).collect()
        }
        ("TOOL" | "TOOLS", Some(result)) => text(format!("the tool said: {result}")),
        _ => text(format!("you said: {prompt}")),
    };
    requests.lock().unwrap()[begun].reported = usage;
    let mut events = events(&body["model"], &blocks, usage);
    if said.contains("REFUSE") {
        events[4]["delta"]["stop_reason"] = "refusal".into();
    }
    match body["stream"].as_bool() {
        Some(true) => streamed(&events, false),
        _ => axum::Json(message(&body["model"], json!(blocks), usage)).into_response(),
    }
}

/// `input,output,read,written`
fn tokens(argument: &str) -> Tokens {
    let numbers: Vec<u64> = argument.split(',').map(|number| number.trim().parse().unwrap()).collect();
    let [input, output, cache_read, cache_write] = numbers[..] else { panic!("four numbers: {argument}") };
    Tokens { input, output, cache_read, cache_write }
}

/// The newest text that a person typed, and the result of the tool that was used for it, if there is one.
fn newest(messages: &[Value]) -> (String, Option<String>) {
    let mut result = None;
    for message in messages.iter().rev().filter(|message| message["role"] == "user") {
        let blocks = match &message["content"] {
            Value::String(text) => vec![json!({ "type": "text", "text": text })],
            blocks => blocks.as_array().unwrap().clone(),
        };
        let mut texts = blocks.iter().filter_map(|block| block["text"].as_str());
        // What the CLI itself puts around a prompt.
        let is_typed = |text: &&str| {
            ["<system-reminder>", "[Request", "[Image: source:"].iter().all(|own| !text.starts_with(own))
        };
        if let Some(prompt) = texts.rfind(is_typed) {
            return (prompt.to_owned(), result);
        }
        let results = blocks.iter().filter(|block| block["type"] == "tool_result");
        result = results.map(|block| block["content"].to_string()).next().or(result);
    }
    (String::new(), result)
}

/// The events of a streamed answer; without a block, those of one that stalls.
fn events(model: &Value, blocks: &[Value], usage: Tokens) -> Vec<Value> {
    let mut events = vec![json!({ "type": "message_start", "message": message(model, json!([]), usage) })];
    let Some(first) = blocks.first() else { return events };
    for (index, block) in blocks.iter().enumerate() {
        let (empty, delta) = match block["type"].as_str() {
            Some("text") => {
                let delta = json!({ "type": "text_delta", "text": block["text"] });
                (json!({ "type": "text", "text": "" }), delta)
            }
            _ => {
                let (id, name) = (&block["id"], &block["name"]);
                let delta = json!({ "type": "input_json_delta", "partial_json": block["input"].to_string() });
                (json!({ "type": "tool_use", "id": id, "name": name, "input": {} }), delta)
            }
        };
        events.extend([
            json!({ "type": "content_block_start", "index": index, "content_block": empty }),
            json!({ "type": "content_block_delta", "index": index, "delta": delta }),
            json!({ "type": "content_block_stop", "index": index }),
        ]);
    }
    let stop_reason = if first["type"] == "text" { "end_turn" } else { "tool_use" };
    events.extend([
        json!({
            "type": "message_delta", "usage": { "output_tokens": usage.output },
            "delta": { "stop_reason": stop_reason, "stop_sequence": null },
        }),
        json!({ "type": "message_stop" }),
    ]);
    events
}

fn message(model: &Value, content: Value, tokens: Tokens) -> Value {
    let usage = json!({
        "input_tokens": tokens.input, "output_tokens": tokens.output,
        "cache_creation_input_tokens": tokens.cache_write, "cache_read_input_tokens": tokens.cache_read,
    });
    json!({
        "id": fresh("msg"), "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    })
}

fn lines(events: &[Value]) -> String {
    let line = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(line).collect()
}

/// A body that ends in the middle: the connection is dropped.
fn cut(events: &[Value]) -> Response {
    let written = stream::iter([Ok(lines(events)), Err(std::io::Error::other("as the prompt says"))]);
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(written)).into_response()
}

fn streamed(events: &[Value], stalls: bool) -> Response {
    let lines = lines(events);
    let written = stream::once(async { Ok::<_, Infallible>(lines) });
    let body = match stalls {
        true => Body::from_stream(written.chain(stream::pending())),
        false => Body::from_stream(written),
    };
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// <https://docs.anthropic.com/en/api/errors>
fn failure(status: u16, words: &str) -> Response {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let body = json!({ "type": "error", "error": { "type": kind, "message": words } });
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn fresh(kind: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{kind}_{:022}", COUNT.fetch_add(1, Ordering::Relaxed))
}
