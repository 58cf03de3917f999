//! The prompt as a script, and doing what it says.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::friendly::friendly;
use super::limit;
use super::mischief::{ignore_sigterm, leave_behind};
use super::session::DemoSession;
use super::shows;
use super::usage::{DemoUsage, tokens};
use super::wire::{Interrupted, SentPrompt, Wire};

const DIRECTIVES: &[&str] = &[
    "TEXT", "LONG", "FORM", "SEND", "SLEEP", "UNTIL", "DRIP", "TOOL", "ASK", "ERR", "STALL", "CRASH", "DEAF",
    "NOIDLE", "FORK", "SETSID", "GARBAGE", "BIG", "STDERR", "SAY", "ECHO", "ENV", "CWD", "ARGS", "MODE",
    "GHOST", "FLOOD", "UNENDED", "RETRY", "FALLBACK", "CLEAR", "READ", "USAGE", "COST", "COMPACT", "RUN",
    "UNREAD", "IDLE", "LIMIT", "WARN", "BACK",
];

/// Answers prompts until stdin ends.
pub fn serve(wire: &mut Wire, mut session: DemoSession, args: &[String]) -> ExitCode {
    let mut keeps_running = false;
    while let Some(prompt) = wire.prompt() {
        session.add(&prompt.text);
        let mut turn = ScriptedTurn {
            wire,
            session: &mut session,
            args,
            prompt: &prompt,
            message: 0,
            todos: 0,
            said: Vec::new(),
            denied: Vec::new(),
            drip: None,
            error: None,
            idle: true,
            ghost_later: false,
            usage: DemoUsage::default(),
            taken_in: Vec::new(),
        };
        match turn.run() {
            Ok(()) => keeps_running |= !turn.idle,
            Err(code) => return ExitCode::from(code),
        }
    }
    if keeps_running {
        loop {
            std::thread::park();
        }
    }
    ExitCode::SUCCESS
}

struct ScriptedTurn<'a> {
    wire: &'a mut Wire,
    session: &'a mut DemoSession,
    args: &'a [String],
    prompt: &'a SentPrompt,
    message: u32,
    /// How many to-dos it has listed.
    todos: u32,
    said: Vec<String>,
    denied: Vec<Value>,
    drip: Option<Duration>,
    error: Option<u16>,
    idle: bool,
    ghost_later: bool,
    usage: DemoUsage,
    /// The messages that it took in while it ran.
    taken_in: Vec<String>,
}

/// The script is cut off.
enum ScriptAborted {
    Interrupted,
    Exit(u8),
}

impl From<Interrupted> for ScriptAborted {
    fn from(Interrupted: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl ScriptedTurn<'_> {
    /// Does what the prompt says; the error is the code to exit with at once.
    fn run(&mut self) -> Result<(), u8> {
        self.wire.lifecycle(self.prompt.id.as_deref(), "started");
        let cwd = std::env::current_dir().unwrap_or_default();
        let (model, mode) = (self.wire.model.clone(), self.wire.mode.clone());
        self.wire.emit(json!({
            "type": "system", "subtype": "init", "cwd": cwd, "tools": ["Bash", "Read"], "model": model,
            "permissionMode": mode, "claude_code_version": "2.1.330 (demo agent)",
        }));

        let show = shows::of(&self.prompt.text);
        let script = directives(show.as_ref().unwrap_or(&self.prompt.text));
        let outcome = if script.is_empty() {
            let words = friendly(&self.prompt.text, self.session.prompts().len());
            self.say(&words)
        } else {
            script.iter().try_for_each(|(word, argument)| self.perform(word, argument))
        };
        match outcome {
            Ok(()) => self.end(),
            Err(ScriptAborted::Interrupted) => self.end_interrupted(),
            Err(ScriptAborted::Exit(code)) => return Err(code),
        }
        self.wire.give_back();
        if self.idle && !self.wire.has_queued() {
            self.wire.state("idle");
        }
        if self.ghost_later {
            self.wire.state("running");
            self.ghost();
            self.wire.state("idle");
        }
        Ok(())
    }

    fn perform(&mut self, word: &str, argument: &str) -> Result<(), ScriptAborted> {
        let number = || argument.parse::<usize>().unwrap_or_default();
        match word {
            "TEXT" => self.say(argument)?,
            "LONG" => {
                let unit = "The quick brown fox jumps over the lazy dog. ";
                self.say(&unit.repeat(number() / unit.len() + 1)[..number()])?;
            }
            "READ" => {
                let text = std::fs::read_to_string(argument).unwrap_or_else(|e| format!("{argument}: {e}"));
                self.say(&text)?;
            }
            "SLEEP" => {
                let time = Duration::try_from_secs_f64(argument.parse().unwrap_or(0.0)).unwrap_or_default();
                self.wire.wait(Some(time))?;
            }
            "UNTIL" => self.until(argument)?,
            "DRIP" => self.drip = Some(Duration::from_millis(argument.parse().unwrap_or(0))),
            "TOOL" => {
                let seconds = argument.split_once(":sleep ").and_then(|(_, seconds)| seconds.parse().ok());
                self.tool(argument, false, seconds)?;
            }
            "ASK" => self.tool(argument, true, None)?,
            "FORM" => {
                let (server, request) = argument.split_once(':').unwrap_or((argument, ""));
                let request = serde_json::from_str(request).unwrap_or_else(|_| {
                    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
                    json!({ "message": "What is your name?", "mode": "form", "requested_schema": schema })
                });
                let action = self.wire.elicit(server, request)?;
                self.say(&format!("{server} got: `{action}`"))?;
            }
            "SEND" => {
                let arguments = serde_json::from_str(argument).unwrap_or_else(|_| json!({ "paths": [argument] }));
                let told = self.wire.call_bot("send_file", arguments)?;
                self.say(&told)?;
            }
            "RUN" => {
                let (seconds, command) = argument.split_once(':').unwrap_or(("", argument));
                self.tool(&format!("Bash:{command}"), false, seconds.parse().ok())?;
            }
            "ERR" => self.error = Some(argument.parse().unwrap_or(500)),
            "STALL" => self.wire.wait(None)?,
            "USAGE" if argument == "none" => self.usage.untold = true,
            "USAGE" => self.usage.set = Some(tokens(argument)),
            "COST" => self.session.pay(argument.parse().unwrap_or(0.0)),
            "COMPACT" => self.compact(argument)?,
            "RETRY" => self.retry(argument)?,
            "FALLBACK" => {
                self.wire.emit(json!({
                    "type": "system", "subtype": "model_fallback", "trigger": "overloaded",
                    "original_model": self.wire.model, "fallback_model": argument,
                }));
                self.usage.answers = Some(argument.to_owned());
            }
            "CLEAR" => {
                let id = uuid::Uuid::new_v4().to_string();
                self.wire.emit(json!({ "type": "conversation_reset", "new_conversation_id": uuid::Uuid::new_v4() }));
                self.wire.session.clone_from(&id);
                self.session.clear(id);
            }
            "CRASH" => return Err(ScriptAborted::Exit(argument.parse().unwrap_or(1))),
            "DEAF" => {
                self.wire.deaf = true;
                ignore_sigterm();
            }
            "NOIDLE" => self.idle = false,
            "LIMIT" => self.error = Some(limit::reach(self.wire, argument)),
            "WARN" => self.wire.emit(limit::near(argument)),
            "UNREAD" => self.wire.unread.store(true, std::sync::atomic::Ordering::Relaxed),
            "IDLE" => self.wire.idles = true,
            "BACK" => {
                self.wire.gives_back_late = true;
                while self.wire.asked_back.is_none() {
                    self.wire.wait(Some(Duration::from_millis(2)))?;
                }
            }
            "GHOST" if argument == "later" => self.ghost_later = true,
            "GHOST" => self.ghost(),
            "FORK" => leave_behind("group"),
            "SETSID" => leave_behind("setsid"),
            "GARBAGE" => self.wire.print(
                b"\nnot json\n{\"type\":\n\xff\xfe\xfd\n[]\nnull\n{\"type\":\"from_the_future\",\"x\":[1]}\n{\"type\":\"result\",\"errors\":1}\n",
            ),
            "BIG" => {
                let frame = br#"{"type":"system","subtype":"padding","padding":""}"#;
                let (head, tail) = frame.split_at(frame.len() - 2);
                let padding = vec![b'x'; number().saturating_sub(frame.len())];
                self.wire.print(&[head, &padding, tail, b"\n"].concat());
            }
            "FLOOD" => {
                let line = json!({ "type": "system", "subtype": "padding", "padding": "x".repeat(64 << 10) });
                let line = format!("{line}\n");
                for _ in 0..=number() / line.len() {
                    self.wire.print(line.as_bytes());
                }
            }
            "UNENDED" => self.wire.print(&vec![b'x'; number()]),
            "STDERR" => eprint!("{}", "stderr flood\n".repeat(number() / 13 + 1)),
            "SAY" => {
                let before = self.session.prompts().split_last().map_or(&[][..], |(_, before)| before);
                let before = before.join("\n");
                self.say(if before.is_empty() { "(nothing was said before)" } else { &before })?;
            }
            "ECHO" => {
                let exact = Value::from(self.prompt.text.as_str()).to_string();
                self.say(&exact)?;
            }
            "ENV" => {
                let value = std::env::var(argument).unwrap_or_else(|_| "(not set)".to_owned());
                self.say(&value)?;
            }
            "MODE" if !argument.is_empty() => self.wire.change_mode(argument),
            "MODE" => {
                let mode = format!("{} {}", self.wire.model, self.wire.mode);
                self.say(&mode)?;
            }
            "CWD" => {
                let cwd = std::env::current_dir().unwrap_or_default();
                self.say(&cwd.display().to_string())?;
            }
            "ARGS" => {
                let args = json!(self.args).to_string();
                self.say(&args)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Says a text as the real one does: deltas while it is written, then the finished block.
    fn say(&mut self, text: &str) -> Result<(), ScriptAborted> {
        self.message += 1;
        let id = format!("msg_demo_{}_{}", self.session.prompts().len(), self.message);
        self.stream(json!({ "type": "message_start", "message": { "id": id } }));
        self.stream(json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }));
        let characters: Vec<char> = text.chars().collect();
        let mut written = String::new();
        let mut cut = Ok(());
        for piece in characters.chunks(if self.drip.is_some() { 20 } else { 400 }) {
            let piece: String = piece.iter().collect();
            self.stream(json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": piece } }));
            written.push_str(&piece);
            if let Some(pause) = self.drip {
                cut = self.wire.wait(Some(pause));
                if cut.is_err() {
                    break;
                }
            }
        }
        let mut event = self.message(&id, json!([{ "type": "text", "text": written }]));
        if cut.is_err() {
            event["aborted"] = true.into();
        }
        self.wire.emit(event);
        self.stream(json!({ "type": "content_block_stop", "index": 0 }));
        self.stream(json!({ "type": "message_stop" }));
        self.said.push(written);
        Ok(cut?)
    }

    fn stream(&mut self, event: Value) {
        self.wire.emit(json!({ "type": "stream_event", "event": event, "parent_tool_use_id": null }));
    }

    /// Compacts the context, as the real one does when it is full: `before:after`, in tokens.
    fn compact(&mut self, argument: &str) -> Result<(), ScriptAborted> {
        let mut numbers = argument.split(':').map(|number| number.parse::<u64>().unwrap_or(0));
        let (from, to) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let time = Duration::from_millis(numbers.next().unwrap_or(20));
        self.wire.emit(json!({ "type": "system", "subtype": "status", "status": "compacting" }));
        self.wire.wait(Some(time))?;
        self.wire.emit(
            json!({ "type": "system", "subtype": "status", "status": null, "compact_result": "success" }),
        );
        self.wire.emit(json!({
            "type": "system", "subtype": "compact_boundary",
            "compact_metadata": { "trigger": "auto", "pre_tokens": from, "post_tokens": to },
        }));
        self.usage.compacted_to = Some(to);
        Ok(())
    }

    fn retry(&mut self, argument: &str) -> Result<(), ScriptAborted> {
        let (times, pause) = argument.split_once(':').unwrap_or((argument, "0"));
        let pause = Duration::from_millis(pause.parse().unwrap_or(0));
        for attempt in 1..=times.parse::<u32>().unwrap_or(1) {
            self.wire.emit(json!({
                "type": "system", "subtype": "api_retry", "attempt": attempt, "max_retries": 10,
                "retry_delay_ms": pause.as_millis() as u64, "error_status": 529, "error": "overloaded",
            }));
            self.wire.wait(Some(pause))?;
        }
        Ok(())
    }

    /// Uses a tool, which takes this long if it is allowed.
    fn tool(&mut self, call: &str, ask: bool, seconds: Option<f64>) -> Result<(), ScriptAborted> {
        let (name, argument) = call.split_once(':').unwrap_or((call, ""));
        self.message += 1;
        let id = format!("toolu_demo_{}_{}", self.session.prompts().len(), self.message);
        let input = match serde_json::from_str::<Value>(argument) {
            Ok(input) if input.is_object() => input,
            _ if name == "Bash" => json!({ "command": argument }),
            _ => json!({ "input": argument }),
        };
        let block = json!([{ "type": "tool_use", "id": id, "name": name, "input": input }]);
        let call = self.message(&format!("msg_{id}"), block);
        self.wire.emit(call);

        let mut decision = Value::Null;
        let refused = if ask {
            decision = self.wire.ask(name, &input, &id)?;
            (decision["behavior"] != "allow").then(|| decision["message"].as_str().unwrap_or("no").to_owned())
        } else {
            None
        };
        if let (None, Some(file)) = (&refused, argument.strip_prefix("until ")) {
            self.until(file)?;
        }
        if let (None, Some(time)) =
            (&refused, seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
        {
            self.wire.wait(Some(time))?;
        }
        let (is_error, content) = match &refused {
            Some(message) => (true, message.clone()),
            None => (false, format!("({name} completed with no output)")),
        };
        let result = match name {
            "TaskCreate" => {
                self.todos += 1;
                json!({ "task": { "id": self.todos.to_string(), "subject": input["subject"] } })
            }
            "TaskUpdate" => json!({ "success": true, "taskId": input["taskId"] }),
            _ => Value::Null,
        };
        self.wire.emit(
            json!({ "type": "user", "parent_tool_use_id": null, "message": { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error },
        ] }, "tool_use_result": result }),
        );
        if let Some(message) = refused {
            self.denied.push(json!({ "tool_name": name, "tool_use_id": id, "tool_input": input }));
            self.say(&format!("{name} was denied: {message}"))?;
        } else if name == "AskUserQuestion" && ask {
            let mut answered = decision["updatedInput"].take();
            if let Some(fields) = answered.as_object_mut() {
                fields.remove("questions");
            }
            self.say(&format!("The answer: `{answered}`"))?;
        } else if ask {
            self.say(&format!("{name} was allowed."))?;
        }
        self.take_in()
    }

    fn until(&mut self, file: &str) -> Result<(), Interrupted> {
        while !std::path::Path::new(file).exists() {
            self.wire.wait(Some(Duration::from_millis(2)))?;
        }
        Ok(())
    }

    /// Takes in what has come meanwhile, as the real one does when a tool has ended, and does what it says.
    fn take_in(&mut self) -> Result<(), ScriptAborted> {
        for SentPrompt { id, text } in self.wire.take_queued() {
            self.wire.lifecycle(id.as_deref(), "started");
            self.wire.log("taken in", Some(&text));
            self.session.add(&text);
            self.taken_in.extend(id);
            let script = directives(&text);
            if script.is_empty() {
                self.say(&format!("(You have added: {text})"))?;
            }
            for (word, argument) in script {
                self.perform(word, argument)?;
            }
        }
        Ok(())
    }

    /// A turn that nobody asked for, as the end of a background task begins one.
    fn ghost(&mut self) {
        self.wire.emit(message("msg_ghost", json!([{ "type": "text", "text": "a ghost" }])));
        self.wire.emit(json!({
            "type": "result", "subtype": "success", "is_error": false, "result": "a ghost", "num_turns": 1,
            "total_cost_usd": 9.0, "origin": { "kind": "task-notification" },
        }));
    }

    /// A message of the model, which says what its request has used.
    fn message(&mut self, id: &str, content: Value) -> Value {
        let mut message = message(id, content);
        message["message"]["model"] = self.usage.answers.as_ref().unwrap_or(&self.wire.model).as_str().into();
        if let Some(usage) = self.usage.request(self.session.prompts().len()) {
            message["message"]["usage"] = usage;
        }
        message
    }

    fn end(&mut self) {
        if let Some(status) = self.error {
            return self.end_failed(status);
        }
        if self.said.is_empty() {
            // Like a model that has nothing to add: the result is the last word.
            self.said.push("Done.".to_owned());
        }
        let last = self.said.last().cloned();
        self.result(json!({
            "subtype": "success", "is_error": false, "api_error_status": null, "result": last,
            "stop_reason": "end_turn", "terminal_reason": "completed",
        }));
    }

    fn end_failed(&mut self, status: u16) {
        let error = match status {
            401 | 403 => "authentication_failed",
            404 => "model_not_found",
            429 => "rate_limit",
            529 => "overloaded",
            _ => "unknown",
        };
        if matches!(status, 401 | 429 | 500..) {
            self.wire.emit(json!({
                "type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 1, "retry_delay_ms": 20,
                "error_status": status, "error": error,
            }));
            // An interrupt here changes nothing: the result is an error anyway.
            drop(self.wire.wait(Some(Duration::from_millis(20))));
        }
        let text = format!("API Error: {status} demo {error}");
        let mut event = message("msg_demo_error", json!([{ "type": "text", "text": text }]));
        event["error"] = error.into();
        event["is_api_error_message"] = true.into();
        self.wire.emit(event);
        self.result(json!({
            "subtype": "success", "is_error": true, "api_error_status": status, "result": text,
            "stop_reason": "stop_sequence", "terminal_reason": "api_error",
        }));
    }

    fn end_interrupted(&mut self) {
        self.wire.emit(
            json!({ "type": "user", "parent_tool_use_id": null, "message": { "role": "user", "content": [
            { "type": "text", "text": "[Request interrupted by user]" },
        ] } }),
        );
        self.result(json!({
            "subtype": "error_during_execution", "is_error": true, "errors": ["[ede_diagnostic] interrupted"],
            "terminal_reason": "aborted_streaming",
        }));
    }

    fn result(&mut self, mut result: Value) {
        result["type"] = "result".into();
        result["num_turns"] = (self.message.max(1)).into();
        let model = self.usage.answers.as_ref().unwrap_or(&self.wire.model);
        self.usage.tell(&mut result, model, self.session.cost());
        result["permission_denials"] = std::mem::take(&mut self.denied).into();
        result["queued_turn_count"] = 0.into();
        if let Some(id) = &self.prompt.id {
            result["user_message_uuids"] = std::iter::once(id).chain(&self.taken_in).cloned().collect();
        }
        let state = if result["is_error"] == true { "cancelled" } else { "completed" };
        for id in std::mem::take(&mut self.taken_in) {
            self.wire.lifecycle(Some(&id), "completed");
        }
        self.wire.result(result);
        self.wire.lifecycle(self.prompt.id.as_deref(), state);
    }
}

fn message(id: &str, content: Value) -> Value {
    json!({
        "type": "assistant", "parent_tool_use_id": null,
        "message": { "id": id, "type": "message", "role": "assistant", "model": "demo", "content": content },
    })
}

/// The directives of a prompt, each with what follows its colon.
fn directives(prompt: &str) -> Vec<(&str, &str)> {
    prompt
        .lines()
        .flat_map(|line| line.split(" ;; "))
        .filter_map(|line| {
            let (word, argument) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
            DIRECTIVES.contains(&word).then_some((word, argument))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_on_lines_and_between_separators() {
        let script = directives("TEXT:a: b ;; SLEEP:1\nplease\n STALL\nTOOLS:x");
        assert_eq!(script, [("TEXT", "a: b"), ("SLEEP", "1"), ("STALL", "")]);
        assert!(directives("hello TEXT:x").is_empty());
    }

    #[test]
    fn a_word_is_answered_in_markdown() {
        assert!(friendly("show me code", 1).contains("```rust"));
        assert!(friendly("a long table", 2).contains("60. "));
        assert!(friendly("", 3).contains("turn 3"));
    }
}
