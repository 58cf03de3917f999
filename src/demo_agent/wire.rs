//! The pipes: lines out, and what comes in while a turn runs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The version of Claude Code that the demo agent speaks like.
const VERSION: &str = "2.1.330";

/// Both directions of the protocol, and the log.
pub struct Wire {
    input: Receiver<WireInput>,
    /// Prompts that came while a turn ran.
    queued: VecDeque<SentPrompt>,
    ended: bool,
    log: Option<File>,
    /// Held while a turn is at work, so that a second agent in the same lane would be seen.
    lane: Option<File>,
    at_work: bool,
    requests: u32,
    /// The session that the lines belong to.
    pub session: String,
    /// The model in use.
    pub model: String,
    /// The permission mode in use.
    pub mode: String,
    /// Interrupts are ignored.
    pub deaf: bool,
    /// Prompts are ignored.
    pub idles: bool,
    /// Nothing more is read.
    pub unread: Arc<AtomicBool>,
    /// Messages are given back only after the result.
    pub gives_back_late: bool,
    /// The bot serves tools of its own.
    serves_tools: bool,
    /// The request for a message that is to be given back then: its id, and the message.
    pub asked_back: Option<(Value, Value)>,
}

/// A message to answer.
pub struct SentPrompt {
    /// Its id, if the sender gave one.
    pub id: Option<String>,
    /// What it says.
    pub text: String,
}

/// The turn was interrupted.
pub struct Interrupted;

enum WireInput {
    Line(Value, u128),
    End,
}

/// The wall clock, in nanoseconds: the only one that several processes share.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos())
}

impl Wire {
    /// Begins to read stdin.
    pub fn new(session: String, model: String, mode: String) -> Self {
        let (sender, input) = channel();
        let unread = Arc::new(AtomicBool::new(false));
        let reader_unread = Arc::clone(&unread);
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut line = Vec::new();
            while let Ok(1..) = stdin.read_until(b'\n', &mut line) {
                while reader_unread.load(Ordering::Relaxed) {
                    std::thread::park();
                }
                let at = now();
                let Ok(value) = serde_json::from_slice(&line) else {
                    eprintln!("Error parsing streaming input line");
                    std::process::exit(1);
                };
                if sender.send(WireInput::Line(value, at)).is_err() {
                    return;
                }
                line.clear();
            }
            // The receiver lives as long as the process.
            drop(sender.send(WireInput::End));
        });
        let file = |variable| {
            let path = std::env::var_os(variable)?;
            File::options().append(true).create(true).open(path).ok()
        };
        let (log, lane) = (file("DEMO_AGENT_LOG"), file("DEMO_AGENT_LANE"));
        let (queued, ended, at_work, requests, deaf) = (VecDeque::new(), false, false, 0, false);
        Self {
            input,
            queued,
            ended,
            log,
            lane,
            at_work,
            requests,
            session,
            model,
            mode,
            deaf,
            idles: false,
            unread,
            gives_back_late: false,
            serves_tools: false,
            asked_back: None,
        }
    }

    /// Waits for the next prompt; `None` when stdin has ended.
    pub fn prompt(&mut self) -> Option<SentPrompt> {
        loop {
            if let Some(prompt) = self.queued.pop_front() {
                if !self.at_work {
                    // It came while another turn ran, and is one of its own now.
                    self.takes_the_lane();
                }
                return Some(prompt);
            }
            if self.ended {
                return None;
            }
            match self.input.recv() {
                // Nothing is at work, so there is nothing to interrupt.
                Ok(WireInput::Line(line, at)) => drop(self.take(&line, at)),
                Ok(WireInput::End) | Err(_) => self.ended = true,
            }
        }
    }

    /// Waits for this long, and answers control requests meanwhile; for ever without a time.
    pub fn wait(&mut self, time: Option<Duration>) -> Result<(), Interrupted> {
        let end = time.map(|time| Instant::now() + time);
        self.wait_for(end, |_| None::<()>).map(drop)
    }

    /// Asks whether a tool may be used; returns the decision.
    pub fn ask(&mut self, tool: &str, input: &Value, call: &str) -> Result<Value, Interrupted> {
        self.requests += 1;
        let id = format!("demo-{}", self.requests);
        self.state("requires_action");
        // As the CLI suggests it.
        let program = input["command"].as_str().and_then(|command| command.split_whitespace().next());
        let suggestions = match (tool, program) {
            (_, Some(program)) => {
                let rules = json!([{ "toolName": tool, "ruleContent": format!("{program} *") }]);
                json!([{ "type": "addRules", "behavior": "allow", "rules": rules }])
            }
            ("Edit" | "Write", None) => {
                json!([{ "type": "setMode", "mode": "acceptEdits", "destination": "session" }])
            }
            _ => Value::Null,
        };
        let request = json!({
            "subtype": "can_use_tool", "tool_name": tool, "input": input, "tool_use_id": call,
            "permission_suggestions": suggestions,
        });
        self.emit(json!({ "type": "control_request", "request_id": id, "request": request }));
        let decision = self.wait_for(None, |line| {
            let response = &line["response"];
            (line["type"] == "control_response" && response["request_id"] == id.as_str())
                .then(|| response["response"].clone())
        });
        let decision = match decision {
            Ok(decision) => decision,
            Err(interrupted) => {
                self.emit(json!({ "type": "control_cancel_request", "request_id": id }));
                return Err(interrupted);
            }
        };
        self.state("running");
        if let Some(decision) = decision.as_ref().filter(|it| it["behavior"] == "allow") {
            let updates = decision["updatedPermissions"].as_array().into_iter().flatten();
            let set = updates.filter(|it| it["type"] == "setMode").find_map(|it| it["mode"].as_str());
            // An approved plan leads out of planning.
            let left = (tool == "ExitPlanMode").then_some("default");
            if let Some(mode) = set.or(left) {
                self.change_mode(mode);
            }
        }
        Ok(decision
            .unwrap_or_else(|| json!({ "behavior": "deny", "message": "Tool permission stream closed" })))
    }

    /// Asks people on behalf of this MCP server, with these fields of the request; returns their answer.
    pub fn elicit(&mut self, server: &str, mut request: Value) -> Result<Value, Interrupted> {
        self.state("requires_action");
        (request["subtype"], request["mcp_server_name"]) = ("elicitation".into(), server.into());
        let answer = self.request(request)?;
        self.state("running");
        Ok(answer)
    }

    /// Calls the bot's own tool; what it says to the model.
    pub fn call_bot(&mut self, tool: &str, arguments: Value) -> Result<String, Interrupted> {
        if !self.serves_tools {
            return Ok(format!("No such tool available: mcp__moonlane__{tool}"));
        }
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = json!({ "subtype": "mcp_message", "server_name": "moonlane", "message": message });
        let answer = self.request(request)?;
        let result = &answer["mcp_response"]["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or("no text");
        Ok(if result["isError"] == true { format!("error: {text}") } else { text.to_owned() })
    }

    /// Asks the bot for something, and waits.
    fn request(&mut self, request: Value) -> Result<Value, Interrupted> {
        self.requests += 1;
        let id = format!("demo-{}", self.requests);
        self.emit(json!({ "type": "control_request", "request_id": id, "request": request }));
        let answer = self.wait_for(None, |line| {
            let response = &line["response"];
            (line["type"] == "control_response" && response["request_id"] == id.as_str())
                .then(|| response.get("response").unwrap_or(&response["error"]).clone())
        });
        if answer.is_err() {
            self.emit(json!({ "type": "control_cancel_request", "request_id": id }));
        }
        Ok(answer?.unwrap_or(Value::Null))
    }

    fn wait_for<T>(
        &mut self,
        end: Option<Instant>,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Interrupted> {
        loop {
            let left =
                end.map_or(Duration::from_secs(3600), |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            match self.input.recv_timeout(left) {
                Ok(WireInput::Line(line, at)) => {
                    if let Some(found) = wanted(&line) {
                        return Ok(Some(found));
                    }
                    self.take(&line, at)?;
                }
                // Like the real one, it finishes the turn first.
                Ok(WireInput::End) => self.ended = true,
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(left),
            }
        }
    }

    fn take(&mut self, line: &Value, at: u128) -> Result<(), Interrupted> {
        match line["type"].as_str() {
            Some("user") if self.idles => Ok(()),
            Some("user") => {
                let content = &line["message"]["content"];
                let text = match content.as_array() {
                    Some(blocks) => read_blocks(blocks),
                    None => content.as_str().unwrap_or_default().to_owned(),
                };
                self.write_log("prompt", Some(&text), at);
                if !self.at_work {
                    self.state("running");
                }
                if !self.takes_the_lane() {
                    self.write_log("overlap", Some(&text), at);
                }
                let prompt = SentPrompt { id: line["uuid"].as_str().map(str::to_owned), text };
                self.lifecycle(prompt.id.as_deref(), "queued");
                self.queued.push_back(prompt);
                Ok(())
            }
            Some("control_request") => self.control(&line["request_id"], &line["request"]),
            _ => Ok(()),
        }
    }

    fn control(&mut self, id: &Value, request: &Value) -> Result<(), Interrupted> {
        let text = |key: &str| request[key].as_str().map(str::to_owned);
        let mut interrupted = false;
        let body = match request["subtype"].as_str().unwrap_or_default() {
            "initialize" => {
                self.serves_tools = request["sdkMcpServers"].is_array();
                json!({
                "commands": [], "models": [], "pid": std::process::id(), "claude_code_version": VERSION,
                "account": { "tokenSource": "none", "apiKeySource": "nothing: it is the demo agent" },
                })
            }
            "interrupt" if self.deaf => return Ok(()),
            "interrupt" => {
                interrupted = true;
                self.log("interrupted", None);
                let queued: Vec<String> = self.queued.iter().filter_map(|prompt| prompt.id.clone()).collect();
                match request["cancel_queued"].as_bool() {
                    Some(true) => {
                        for prompt in std::mem::take(&mut self.queued) {
                            self.lifecycle(prompt.id.as_deref(), "cancelled");
                            self.log("cancelled", Some(&prompt.text));
                        }
                        json!({ "still_queued": [], "cancelled": queued })
                    }
                    _ => json!({ "still_queued": queued }),
                }
            }
            "cancel_async_message" if self.gives_back_late => {
                self.asked_back = Some((id.clone(), request.clone()));
                return Ok(());
            }
            "cancel_async_message" => {
                let id = text("message_uuid");
                match self.queued.iter().position(|prompt| prompt.id == id) {
                    Some(place) => {
                        let prompt = self.queued.remove(place);
                        self.lifecycle(id.as_deref(), "cancelled");
                        self.log("cancelled", prompt.as_ref().map(|prompt| prompt.text.as_str()));
                        json!({ "cancelled": true, "message_uuid": id })
                    }
                    None => json!({ "cancelled": false }),
                }
            }
            "set_model" => {
                self.model = text("model").unwrap_or_else(|| "demo".to_owned());
                json!({ "model": self.model })
            }
            "set_permission_mode"
                if request["mode"] == "bypassPermissions" && self.mode != "bypassPermissions" =>
            {
                let error = "Cannot set permission mode to bypassPermissions because the session was not launched \
                             with --dangerously-skip-permissions";
                self.reply(json!({ "subtype": "error", "request_id": id, "error": error }));
                return Ok(());
            }
            "set_permission_mode" => {
                self.change_mode(&text("mode").unwrap_or_default());
                json!({ "mode": self.mode })
            }
            subtype => {
                let error = format!("Unsupported control request subtype: {subtype}");
                self.reply(json!({ "subtype": "error", "request_id": id, "error": error }));
                return Ok(());
            }
        };
        self.reply(json!({ "subtype": "success", "request_id": id, "response": body }));
        if interrupted { Err(Interrupted) } else { Ok(()) }
    }

    /// Works in this permission mode from now on.
    pub fn change_mode(&mut self, mode: &str) {
        mode.clone_into(&mut self.mode);
        let status = json!({ "type": "system", "subtype": "status", "status": null, "permissionMode": mode });
        self.emit(status);
    }

    /// Gives back what was asked for before the result.
    pub fn give_back(&mut self) {
        self.gives_back_late = false;
        if let Some((id, request)) = self.asked_back.take() {
            // No interrupt, so nothing is interrupted.
            drop(self.control(&id, &request));
        }
    }

    fn reply(&mut self, response: Value) {
        self.emit(json!({ "type": "control_response", "response": response }));
    }

    /// Prints one event.
    pub fn emit(&mut self, mut event: Value) {
        if !event["type"].as_str().is_some_and(|kind| kind.starts_with("control_")) {
            event["session_id"] = self.session.as_str().into();
        }
        self.print(format!("{event}\n").as_bytes());
    }

    /// Prints bytes as they are. The reader may be gone: then the turn goes on in silence.
    pub fn print(&mut self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(bytes).and_then(|()| stdout.flush()));
    }

    /// Prints the state of the session.
    pub fn state(&mut self, state: &str) {
        self.emit(json!({ "type": "system", "subtype": "session_state_changed", "state": state }));
    }

    /// Prints what became of a message, if its sender gave it an id.
    pub fn lifecycle(&mut self, id: Option<&str>, state: &str) {
        if let Some(id) = id {
            self.emit(json!({ "type": "command_lifecycle", "command_uuid": id, "state": state }));
        }
    }

    /// Takes what came while a turn ran, for that turn.
    pub fn take_queued(&mut self) -> VecDeque<SentPrompt> {
        std::mem::take(&mut self.queued)
    }

    /// Whether something came while a turn ran and was not taken.
    pub fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Whether nobody else is at work in this lane; no other can be from now on, until the result or our end.
    fn takes_the_lane(&mut self) -> bool {
        let free = self.lane.as_ref().is_none_or(|lane| lane.try_lock().is_ok());
        let was_at_work = std::mem::replace(&mut self.at_work, true);
        free && !was_at_work
    }

    /// Prints the result, and logs it with the time at which it was printed.
    pub fn result(&mut self, result: Value) {
        let at = now();
        self.at_work = false;
        // Before anybody can know that this turn has ended. Where it fails, the next one is seen to overlap.
        self.lane.as_ref().map(File::unlock);
        self.emit(result);
        self.write_log("result", None, at);
    }

    /// Appends a line to the log.
    pub fn log(&mut self, event: &str, prompt: Option<&str>) {
        self.write_log(event, prompt, now());
    }

    fn write_log(&mut self, event: &str, prompt: Option<&str>, at: u128) {
        let Some(file) = &mut self.log else { return };
        // JSON numbers hold it: 64 bits of nanoseconds last until 2554.
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let mut line =
            json!({ "pid": std::process::id(), "session": self.session, "event": event, "at_ns": at });
        if let Some(prompt) = prompt {
            line["prompt"] = prompt.into();
        }
        drop(file.write_all(format!("{line}\n").as_bytes()));
    }
}

/// The text of a prompt, and a line below it for each image and document.
fn read_blocks(blocks: &[Value]) -> String {
    let text: String = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    let media = blocks.iter().filter(|block| block["source"].is_object()).map(|block| {
        let source = &block["source"];
        let length = source["data"].as_str().unwrap_or_default().len();
        format!(
            "\n[{} {}, {length} characters]",
            block["type"].as_str().unwrap_or_default(),
            source["media_type"]
        )
    });
    media.fold(text, |text, line| text + &line)
}
