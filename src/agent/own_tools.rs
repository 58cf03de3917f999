//! Tools that the bot itself serves to its agents, over their own pipe: MCP inside the CLI's control protocol. No second
//! process, no file, and nothing that a project could configure wrongly.
//!
//! The CLI asks `initialize` and `tools/list` by itself, before or after it has answered our own `initialize`; a server that does not
//! answer holds up the first turn for 46 s, so everything is answered, what we do not know with `{}` (measured with 2.1.332). Only
//! `tools/call` goes to the turn, and its answer comes back as [`super::Further`].

use serde::Deserialize;
use serde_json::{Value, json};

/// The server's name, as the CLI knows it.
const SERVER: &str = "moonlane";
/// The tool that hands a file over, and how rules name it.
const SEND_FILE: &str = "send_file";
pub const SEND_FILE_RULE: &str = "mcp__moonlane__send_file";
/// The version of MCP that is spoken here.
const PROTOCOL: &str = "2025-11-25";
/// How long the CLI waits for a call of ours, in milliseconds.
const CALL_TIMEOUT_MS: u64 = 60_000;
/// The most files in one call: Discord takes ten in a message.
pub const MOST_FILES: usize = 10;

/// The request that begins with a process; with our server, where it is wanted.
pub fn initialize(with_server: bool) -> Value {
    match with_server {
        true => json!({
            "subtype": "initialize",
            "sdkMcpServers": [SERVER],
            "sdkMcpServerConfigs": { SERVER: { "timeout": CALL_TIMEOUT_MS } },
        }),
        false => json!({ "subtype": "initialize" }),
    }
}

/// Which call it is: the CLI's request, and the id in the message that it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCallId {
    pub(super) request: String,
    message: Value,
}

impl OwnCallId {
    /// The response with what became of the call, in words for the model.
    pub(super) fn response(&self, told: &Result<String, String>) -> Value {
        let (text, is_error) = match told {
            Ok(text) => (text, false),
            Err(text) => (text, true),
        };
        answer(&self.message, json!({ "content": [{ "type": "text", "text": text }], "isError": is_error }))
    }
}

/// Files that Claude hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendFiles {
    pub id: OwnCallId,
    /// As the model wrote them; at least one, and not more than [`MOST_FILES`].
    pub paths: Vec<String>,
    /// What is said with them; may be empty.
    pub caption: String,
}

/// What the CLI says to our server.
#[derive(Debug)]
pub enum ServerMessage {
    /// Answered by this, whatever the turn does.
    Answered(Value),
    /// For the turn to do.
    SendFiles(SendFiles),
}

/// Reads what the CLI says to our server in this request.
pub(super) fn read(request: &str, body: &Value) -> ServerMessage {
    let message = &body["message"];
    let reply = |result: Value| answer(&message["id"], result);
    let handshake = ServerMessage::Answered;
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => handshake(reply(json!({
            "protocolVersion": PROTOCOL,
            "capabilities": { "tools": {} },
            "serverInfo": { "name": SERVER, "version": env!("CARGO_PKG_VERSION") },
        }))),
        "tools/list" => handshake(reply(json!({ "tools": [send_file()] }))),
        "tools/call" => {
            let id = OwnCallId { request: request.to_owned(), message: message["id"].clone() };
            match arguments(&message["params"]) {
                Ok((paths, caption)) => ServerMessage::SendFiles(SendFiles { id, paths, caption }),
                Err(wrong) => handshake(id.response(&Err(wrong))),
            }
        }
        _ => handshake(reply(json!({}))),
    }
}

fn answer(id: &Value, result: Value) -> Value {
    // A notification has no id, and is answered all the same.
    let id = if id.is_null() { &Value::from(0) } else { id };
    json!({ "mcp_response": { "jsonrpc": "2.0", "id": id, "result": result } })
}

#[derive(Deserialize)]
struct Arguments {
    paths: Vec<String>,
    #[serde(default)]
    caption: Option<String>,
}

fn arguments(params: &Value) -> Result<(Vec<String>, String), String> {
    if params["name"] != SEND_FILE {
        return Err(format!("There is no tool {}.", params["name"]));
    }
    let arguments = Arguments::deserialize(&params["arguments"]);
    let Arguments { paths, caption } =
        arguments.map_err(|error| format!("These arguments cannot be used: {error}."))?;
    match paths.len() {
        0 => Err("Name at least one file in `paths`.".to_owned()),
        n if n > MOST_FILES => {
            Err(format!("{n} files are too many: at most {MOST_FILES} fit into one message."))
        }
        _ => Ok((paths, caption.unwrap_or_default())),
    }
}

/// Loaded always: the CLI defers tools of servers, and the model would have to search for it. That it reads only keeps it from
/// being asked about in plan mode.
fn send_file() -> Value {
    json!({
        "name": SEND_FILE,
        "description": "Posts files in the Discord channel of this conversation, so that people see them there: images are shown, \
            everything else can be downloaded. Use it for what you were asked to hand over; people do not see the files of this machine. \
            The files must be in the project's directory.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "paths": {
                    "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MOST_FILES,
                    "description": "The files, absolute or relative to the project's directory. They come as one message.",
                },
                "caption": { "type": "string", "description": "One or two sentences that stand with them, in Markdown." },
            },
            "required": ["paths"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true },
        "_meta": { "anthropic/alwaysLoad": true },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: Value) -> ServerMessage {
        read("A", &json!({ "server_name": SERVER, "message": message }))
    }

    #[test]
    fn everything_is_answered_and_a_call_goes_to_the_turn() {
        for (method, has) in [
            ("initialize", "protocolVersion"),
            ("notifications/initialized", "result"),
            ("tools/list", "anthropic/alwaysLoad"),
            ("resources/list", "result"),
        ] {
            let ServerMessage::Answered(reply) = said(json!({ "method": method, "id": 3 })) else {
                panic!("{method} is not answered")
            };
            assert_eq!(reply["mcp_response"]["id"], 3);
            assert!(reply.to_string().contains(has), "{method}: {reply}");
        }
        let call = |arguments: Value| {
            said(
                json!({ "method": "tools/call", "id": 7, "params": { "name": SEND_FILE, "arguments": arguments } }),
            )
        };
        let ServerMessage::SendFiles(sends) = call(json!({ "paths": ["a.txt"], "caption": "hi" })) else {
            panic!("a call is not one")
        };
        assert_eq!((sends.paths.as_slice(), sends.caption.as_str()), (&["a.txt".to_owned()][..], "hi"));
        let response = sends.id.response(&Err("too large".to_owned()));
        assert_eq!(response["mcp_response"]["result"]["isError"], true);
        assert_eq!(response["mcp_response"]["id"], 7);
        let many = vec!["a"; MOST_FILES + 1];
        for wrong in [
            json!({}),
            json!({ "paths": [] }),
            json!({ "paths": "a" }),
            json!({ "paths": many }),
            json!(null),
        ] {
            let ServerMessage::Answered(reply) = call(wrong.clone()) else { panic!("{wrong} is taken") };
            assert_eq!(reply["mcp_response"]["result"]["isError"], true, "{wrong}");
        }
    }
}
