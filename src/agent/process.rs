//! One running agent: its pipes, what it was started with, and how it is ended.
//!
//! Nothing here is a task: whoever holds the [`Process`] drives all of its pipes at once by waiting in
//! [`Process::next`]. So it always has exactly one owner, and dropping that owner ends the agent.
//!
//! The child is the agent's guard: SIGTERM tells it to end everything below it, and its exit says that nothing is
//! left. The pipes are the agent's own.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::events::{self, AgentEvent};
use super::failure::Failure;
use super::guard;
use super::kin::{self, Kin};
use super::launch::{Conversation, DirectoryId, Launch, Manner};
use super::lifecycle::{MessageState, PromptId};
use super::lines::{LONGEST_LINE, Lines, PipeLine};
use crate::domain::{PermissionMode, SessionId};

/// From telling the guard to end everything until it has: its own grace, and a second to kill and to reap.
const GUARD_PATIENCE: Duration = guard::GRACE.saturating_add(Duration::from_secs(1));
/// From killing a guard to giving up on a process that the kernel holds.
const KILL_PATIENCE: Duration = Duration::from_millis(300);
/// How long the pipes are still read after the exit, if something else holds them open.
const DRAIN: Duration = Duration::from_millis(200);
/// How much of stderr is kept.
const KEPT_STDERR: usize = 4 << 10;

/// A live process. Dropping it ends everything that it started.
pub struct Process {
    /// What it was started with, and in which directory.
    launch: Launch,
    place: Option<DirectoryId>,
    /// The model and the mode that were set last.
    pub manner: Manner,
    /// The session that it holds.
    pub session: SessionId,
    /// The guard.
    child: Child,
    pid: Option<Pid>,
    /// What is in the environment of everything that it started.
    mark: String,
    group: Option<PathBuf>,
    input: BufferedStdin,
    output: Option<Lines<ChildStdout>>,
    errors: Errors,
    exit: Option<ExitStatus>,
    /// When reading ends although a pipe is still open: soon after the exit, or after the end of stdout.
    drained: Option<Instant>,
    /// It has reported that it is working, and not yet that it is idle.
    busy: bool,
    /// The mode that it reported last; Claude can change it too (EnterPlanMode).
    told_mode: Option<String>,
    requests: u64,
    /// The latest prompt that began a turn.
    prompt: Option<PromptId>,
    /// Something has shown that it is at work on that.
    has_begun: bool,
    /// The messages of the turn that runs which it has begun with, or put into it.
    begun_with: Vec<PromptId>,
    /// It goes on with this message by itself: the next turn reads on from here.
    pub ahead: Option<PromptId>,
    /// It has printed a line that is not an event.
    garbled: bool,
    _counted: CountedProcess,
}

/// What a process did.
#[derive(Debug)]
pub enum Happening {
    /// It told something.
    Event(AgentEvent),
    /// It has taken everything that was sent.
    Written,
    /// It has exited, or nothing more can come from it.
    Ended,
}

impl Process {
    /// Starts an agent in this manner, with these rules that were allowed for its session; `live` counts it for as long as it
    /// exists. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(
        launch: &Launch,
        conversation: Conversation,
        (manner, rules): (Manner, &[String]),
        kin: &Kin,
        live: &watch::Sender<usize>,
    ) -> Result<Self, Failure> {
        let place = launch.place();
        let mark = kin.mark();
        let mut child = launch.spawn(conversation, (&manner, rules), kin, &mark)?;
        let (Conversation::New(session) | Conversation::Resumed(session)) = conversation;
        Ok(Self {
            launch: launch.clone(),
            place,
            manner,
            session,
            group: kin.group(&mark),
            mark,
            pid: child.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            input: BufferedStdin { pipe: child.stdin.take(), waiting: Vec::new(), written: 0 },
            output: child.stdout.take().map(|pipe| Lines::new(pipe, LONGEST_LINE)),
            errors: Errors { pipe: child.stderr.take(), chunk: Box::new([0; 1024]), kept: Vec::new() },
            child,
            exit: None,
            drained: None,
            busy: false,
            told_mode: None,
            requests: 0,
            prompt: None,
            has_begun: false,
            begun_with: Vec::new(),
            ahead: None,
            garbled: false,
            _counted: CountedProcess::new(live),
        })
    }

    /// The process id of its guard.
    pub fn pid(&self) -> u32 {
        self.pid.map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Whether it has reported that it is working, and not that it is done.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether anything that it has printed since the latest prompt was sent, to its very end, shows that a turn has begun,
    /// or that the prompt was read. The CLI prints that before it does anything with a prompt.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Waits until something happens, and keeps all pipes moving meanwhile. Cancel-safe.
    pub async fn next(&mut self) -> Happening {
        loop {
            let open = self.output.is_some() || self.errors.pipe.is_some();
            if self.exit.is_some() && !open {
                return Happening::Ended;
            }
            let drained = self.drained.unwrap_or_else(Instant::now);
            tokio::select! {
                line = next_line(&mut self.output) => match line {
                    Some(AgentEvent::OwnServer { request, reply }) => self.respond(&request, &reply),
                    Some(event) => {
                        self.note(&event);
                        return Happening::Event(event);
                    }
                    None => {
                        self.output = None;
                        self.drained = Some(Instant::now() + DRAIN);
                    }
                },
                written = self.input.write(), if self.input.is_waiting() => if written {
                    return Happening::Written;
                },
                () = self.errors.read(), if self.errors.pipe.is_some() => {}
                exit = self.child.wait(), if self.exit.is_none() => {
                    self.exit = Some(exit.unwrap_or_default());
                    self.drained = Some(Instant::now() + DRAIN);
                }
                () = sleep_until(drained), if self.drained.is_some() => return Happening::Ended,
            }
        }
    }

    fn note(&mut self, event: &AgentEvent) {
        self.has_begun |= event.shows_work_on(self.prompt);
        match event {
            AgentEvent::Running => self.busy = true,
            AgentEvent::Idle => self.busy = false,
            AgentEvent::Mode(mode) => self.told_mode = Some(mode.clone()),
            AgentEvent::Lifecycle { message, state: MessageState::Started } => self.begun_with.push(*message),
            AgentEvent::WritesLost => {
                error!(session = %self.session, "the disk is full: a session of Claude Code is incomplete");
            }
            AgentEvent::Unknown { kind } => tell_once(kind),
            AgentEvent::Unreadable { reason } if !self.garbled => {
                warn!(pid = self.pid(), %reason, "the agent printed a line that is not an event; logged once");
                self.garbled = true;
            }
            _ => {}
        }
    }

    /// Whether it is what `launch` would start, in the same directory: the path may name another one by now, or none.
    pub fn fits(&self, launch: &Launch) -> bool {
        self.launch == *launch && self.place == launch.place()
    }

    /// Whether it has the wanted mode: the mode was set, and it has not changed it since.
    pub fn has_mode(&self, wanted: Option<PermissionMode>) -> bool {
        let told = self.told_mode.as_deref();
        self.manner.mode == wanted && told.is_none_or(|told| wanted.is_some_and(|mode| mode.as_str() == told))
    }

    /// A turn begins: what belonged to the one before is forgotten.
    pub fn begin_turn(&mut self, with: PromptId) {
        let goes_on = self.ahead.take() == Some(with);
        self.prompt = Some(with);
        self.has_begun = goes_on;
        self.begun_with.retain(|id| goes_on && *id == with);
    }

    /// Whether it has said that it has begun with this message.
    pub fn has_begun_with(&self, id: PromptId) -> bool {
        self.begun_with.contains(&id)
    }

    /// Sends a person's message, with this content.
    pub fn send_prompt(&mut self, id: PromptId, content: Value) {
        // `client_composed`: the CLI treats `/command` and `@path` in it as plain text. That alone would give what goes
        // into a running turn the authority of a system message; `origin` makes it a person's again.
        self.send(&json!({
            "type": "user",
            "message": { "role": "user", "content": content },
            "uuid": id.0,
            "client_composed": true,
            "origin": { "kind": "human" },
        }));
    }

    /// Sends a control request and returns its id.
    pub fn request(&mut self, request: Value) -> String {
        self.requests += 1;
        let id = self.requests.to_string();
        self.send(&json!({ "type": "control_request", "request_id": id, "request": request }));
        id
    }

    /// Asks for a message back. Whether it comes is told as an event, and in the answer to the request with this id.
    pub fn take_back(&mut self, id: PromptId) -> String {
        self.request(json!({ "subtype": "cancel_async_message", "message_uuid": id.0 }))
    }

    /// Answers a request of the agent's.
    pub fn respond(&mut self, request: &str, response: &Value) {
        let response = json!({ "subtype": "success", "request_id": request, "response": response });
        self.send(&json!({ "type": "control_response", "response": response }));
    }

    /// Refuses a request that we do not know.
    pub fn refuse(&mut self, request: &str) {
        let response = json!({ "subtype": "error", "request_id": request, "error": "not supported" });
        self.send(&json!({ "type": "control_response", "response": response }));
    }

    fn send(&mut self, line: &Value) {
        self.input.waiting.extend_from_slice(line.to_string().as_bytes());
        self.input.waiting.push(b'\n');
    }

    /// Ends it: closes stdin, waits `patience` for the exit (less if `hurry` comes), then has the guard end
    /// everything. Takes `patience` + 4 s at most, and little more than 2 s of them where the kernel lets processes
    /// be killed.
    pub async fn end(&mut self, patience: Duration, hurry: &CancellationToken) {
        self.input.close();
        tokio::select! {
            _ = timeout(patience, self.ended()) => {}
            () = hurry.cancelled() => {}
        }
        if self.exit.is_none() {
            self.signal(Signal::TERM);
            drop(timeout(GUARD_PATIENCE, self.ended()).await);
        }
        if self.exit.is_none() {
            self.signal(Signal::KILL);
            drop(timeout(KILL_PATIENCE, self.ended()).await);
        }
        let killed = kin::end_left_over(self.exit, &self.mark, self.group.as_deref()).await;
        if killed > 0 {
            warn!(pid = self.pid(), killed, "killed what the agent had left without a guard");
        }
    }

    async fn ended(&mut self) {
        while self.exit.is_none() {
            if let Happening::Ended = self.next().await
                && self.exit.is_none()
            {
                // stdout is closed, so only the exit is left to come.
                self.exit = Some(self.child.wait().await.unwrap_or_default());
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid
            && let Err(e) = kill_process(pid, signal)
            && e != rustix::io::Errno::SRCH
        {
            warn!(pid = self.pid(), error = %e, "cannot signal the agent");
        }
    }

    /// How it exited, in the system's words.
    pub fn exit(&self) -> String {
        self.exit.map_or_else(|| "still running".to_owned(), |exit| exit.to_string())
    }

    /// The end of what it wrote to stderr.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.errors.kept).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.signal(Signal::TERM);
        }
    }
}

/// Logs an unknown type of event, once in the bot's life. After the first hundred, the rest is noise.
fn tell_once(kind: &str) {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut told = TOLD.lock();
    if told.len() < 100 && !told.iter().any(|known| known == kind) {
        info!(kind, "the agent sent an unknown type of event, which is ignored from now on");
        told.push(kind.to_owned());
    }
}

/// The next event; `None` at the end. Pends for ever if the pipe is closed already.
async fn next_line(output: &mut Option<Lines<ChildStdout>>) -> Option<AgentEvent> {
    let Some(lines) = output else { return std::future::pending().await };
    match lines.next().await {
        Ok(PipeLine::Bytes(line)) => Some(events::read(line)),
        Ok(PipeLine::TooLong) => {
            Some(AgentEvent::Unreadable { reason: format!("longer than {LONGEST_LINE} bytes") })
        }
        Ok(PipeLine::End) | Err(_) => None,
    }
}

/// stdin, and what is still to be written to it.
struct BufferedStdin {
    pipe: Option<ChildStdin>,
    waiting: Vec<u8>,
    written: usize,
}

impl BufferedStdin {
    fn is_waiting(&self) -> bool {
        self.pipe.is_some() && !self.waiting.is_empty()
    }

    /// Writes some of it; `true` once nothing is left. Cancel-safe.
    async fn write(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        match pipe.write(&self.waiting[self.written..]).await {
            Ok(taken) => self.written += taken,
            // It no longer reads; its exit will show that it ended.
            Err(_) => self.close(),
        }
        let done = self.written == self.waiting.len();
        if done {
            self.waiting = Vec::new();
            self.written = 0;
        }
        done && self.pipe.is_some()
    }

    fn close(&mut self) {
        *self = Self { pipe: None, waiting: Vec::new(), written: 0 };
    }
}

/// stderr, and the last part of what came from it.
struct Errors {
    pipe: Option<ChildStderr>,
    chunk: Box<[u8; 1024]>,
    kept: Vec<u8>,
}

impl Errors {
    /// Reads some. Cancel-safe.
    async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        match pipe.read(&mut self.chunk[..]).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(size) => {
                self.kept.extend_from_slice(&self.chunk[..size]);
                let surplus = self.kept.len().saturating_sub(KEPT_STDERR);
                self.kept.drain(..surplus);
            }
        }
    }
}

/// Counts a process for as long as it exists.
struct CountedProcess(watch::Sender<usize>);

impl CountedProcess {
    fn new(live: &watch::Sender<usize>) -> Self {
        live.send_modify(|live| *live += 1);
        Self(live.clone())
    }
}

impl Drop for CountedProcess {
    fn drop(&mut self) {
        self.0.send_modify(|live| *live -= 1);
    }
}

impl AgentEvent {
    /// Whether it shows that a turn has begun, or that the message with this id was read. What is left of an earlier turn,
    /// and an answer to a control request, which a process gives in every state, show neither.
    pub fn shows_work_on(&self, message: Option<PromptId>) -> bool {
        match self {
            Self::Lifecycle { message: of, state } => {
                Some(*of) == message && !matches!(state, MessageState::Other)
            }
            Self::Reply { .. }
            | Self::Idle
            | Self::Mode(_)
            | Self::WritesLost
            | Self::PassedOver
            | Self::Unknown { .. }
            | Self::Unreadable { .. } => false,
            _ => true,
        }
    }
}
