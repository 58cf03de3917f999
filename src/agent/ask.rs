//! One ask: claim or start a process, send the prompt, follow the events, conclude or cut the turn off.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::elsewhere;
use super::events::{AgentEvent, TurnResult};
use super::failure::Failure;
use super::guard::SpawnError;
use super::launch::{Conversation, Launch, Manner};
use super::process::{Happening, Process};
use super::story::{QUESTIONS, Story};
use super::trouble::SessionTrouble;
use super::version::{OLDEST, Version};
use super::{About, Ask, AskEnd, AskResult, Pool, Progress, SessionSeen, SessionStart};
use crate::domain::{Limits, MicroUsd, SessionId};

/// How long an interrupted turn may take to end.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a change of model or mode may take before the agent is replaced.
const CONTROL_PATIENCE: Duration = Duration::from_secs(5);

/// One [`Ask`] on its way.
pub struct RunningAsk<'a, P> {
    pool: &'a Arc<Pool>,
    ask: Ask,
    stop: CancellationToken,
    progress: P,
    launch: Launch,
    manner: Manner,
    begun: Instant,
    session: SessionStart,
    session_lost: bool,
    used_elsewhere: bool,
    /// The id under which the prompt was sent.
    message: String,
    seen: Option<SessionSeen>,
    /// What the agent said of itself when it got ready.
    about: Option<About>,
    story: Story,
}

/// A turn was cut off.
enum CutOff {
    Stopped,
    Failed(Failure),
}

/// How one prompt ended.
enum PromptEnd {
    Result(Box<TurnResult>),
    /// The process is gone.
    Ended,
    /// The turn is still at work and has to be ended.
    Cut(CutOff),
}

impl<'a, P: FnMut(Progress) + Send> RunningAsk<'a, P> {
    /// A turn that has not begun.
    pub fn new(pool: &'a Arc<Pool>, ask: Ask, stop: CancellationToken, progress: P) -> Self {
        let launch = Launch::new(&pool.config, &pool.environment, &ask.project);
        let model = ask.model.clone().or_else(|| ask.project.model.clone());
        let manner = Manner { model, mode: ask.permission_mode.or(ask.project.permission_mode) };
        let story = Story::new(ask.project.answer);
        Self {
            pool,
            session: ask.session,
            ask,
            stop,
            progress,
            launch,
            manner,
            begun: Instant::now(),
            session_lost: false,
            used_elsewhere: false,
            message: String::new(),
            seen: None,
            about: None,
            story,
        }
    }

    /// Runs it to its end; `begin` is awaited just before the agent gets the prompt.
    pub async fn run(mut self, begin: impl Future<Output = bool> + Send) -> AskResult {
        let end = match self.answer(begin).await {
            Ok(answer) => AskEnd::Answered(answer),
            Err(CutOff::Stopped) => AskEnd::Stopped,
            Err(CutOff::Failed(failure)) => {
                warn!(channel = %self.ask.channel, project = %self.ask.project.name, %failure, "the turn failed");
                AskEnd::Failed(failure)
            }
        };
        let partial = if matches!(end, AskEnd::Answered(_)) { String::new() } else { self.story.partial() };
        AskResult {
            end,
            session: self.seen,
            session_lost: self.session_lost,
            used_elsewhere: self.used_elsewhere,
            denied: self.story.denied(),
            fallback: self.story.fallback().cloned(),
            partial,
        }
    }

    /// Starts a process, has it get ready, and ends it: no prompt, no cost.
    pub async fn probe(mut self) -> Result<About, Failure> {
        let failure = match self.start().await {
            Ok(mut process) => {
                self.end(&mut process, self.limits().after_result).await;
                return self.about.ok_or(Failure::TooOld { found: None });
            }
            Err(CutOff::Failed(failure)) => failure,
            Err(CutOff::Stopped) => {
                Failure::NotStarted { exit: "it was stopped".to_owned(), stderr: String::new() }
            }
        };
        Err(failure)
    }

    async fn answer(&mut self, begin: impl Future<Output = bool> + Send) -> Result<String, CutOff> {
        if self.stop.is_cancelled() || self.pool.closing.is_cancelled() {
            return Err(CutOff::Stopped);
        }
        self.used_elsewhere = self.was_used_elsewhere().await;
        let live = self.claim().await?;
        let mut reused = live.is_some();
        let mut process = match live {
            Some(process) => process,
            None => self.start().await?,
        };
        let is_stopped = self.stop.is_cancelled() || self.pool.closing.is_cancelled();
        if is_stopped || !begin.await {
            self.park(process);
            return Err(CutOff::Stopped);
        }
        loop {
            (self.progress)(Progress::Ready);
            match self.prompt(&mut process).await {
                PromptEnd::Result(result) => return self.conclude(process, *result).await,
                PromptEnd::Ended if reused && !self.story.heard() => {
                    // It died while it was being claimed, before it began with the prompt.
                    self.end(&mut process, Duration::ZERO).await;
                    drop(process);
                    reused = false;
                    process = self.start().await?;
                }
                PromptEnd::Ended => {
                    self.end(&mut process, Duration::ZERO).await;
                    return Err(CutOff::Failed(Failure::of_end(process.exit(), process.stderr())));
                }
                PromptEnd::Cut(cut) => {
                    let reusable = !matches!(cut, CutOff::Failed(Failure::NotLoggedIn { .. }));
                    if self.interrupt(&mut process).await && reusable {
                        self.park(process);
                    } else {
                        self.end(&mut process, Duration::ZERO).await;
                    }
                    return Err(cut);
                }
            }
        }
    }

    async fn was_used_elsewhere(&self) -> bool {
        let SessionStart::Live(session) = self.session else { return false };
        let launch = self.launch.clone();
        let used = move || elsewhere::used(|name| launch.variable(name), session);
        let used = tokio::task::spawn_blocking(used).await.unwrap_or(false);
        if used {
            info!(channel = %self.ask.channel, %session, "the session was used elsewhere since our last turn");
        }
        used
    }

    /// The channel's live process, if it fits; one that does not is closed.
    async fn claim(&mut self) -> Result<Option<Process>, CutOff> {
        let claimed = tokio::select! {
            claimed = self.pool.claim(self.ask.channel) => claimed,
            // This drops the claim, and with it the process.
            () = stopped(&self.stop, &self.pool.closing) => return Err(CutOff::Stopped),
        };
        let Some(mut process) = claimed else { return Ok(None) };
        let (SessionStart::New(session) | SessionStart::Live(session)) = self.session;
        // A process does not see what another one has added to its session.
        let fits = process.fits(&self.launch) && process.session == session && !self.used_elsewhere;
        if fits && self.adapt(&mut process).await.is_ok() {
            return Ok(Some(process));
        }
        debug!(pid = process.pid(), "the live agent no longer fits");
        self.end(&mut process, self.limits().after_result).await;
        Ok(None)
    }

    /// Starts a process and waits until it is ready.
    async fn start(&mut self) -> Result<Process, CutOff> {
        let mut conversation = match self.session {
            SessionStart::New(session) => Conversation::New(session),
            SessionStart::Live(session) => Conversation::Resumed(session),
        };
        // At most: in use → resume → unknown → a new one.
        for _ in 0..3 {
            let mut process = self.spawn(conversation)?;
            let Err(unready) = self.get_ready(&mut process).await else {
                self.adapt(&mut process).await?;
                return Ok(process);
            };
            self.end(&mut process, Duration::ZERO).await;
            let told = match unready {
                Unready::Ended { told } => told,
                Unready::Stopped => return Err(CutOff::Stopped),
                Unready::TooLate => {
                    let (limit, stderr) = (self.limits().start, process.stderr());
                    return Err(CutOff::Failed(Failure::StartTimeout { limit, stderr }));
                }
                Unready::TooOld { version } => {
                    return Err(CutOff::Failed(Failure::TooOld { found: version }));
                }
            };
            if let Some(refusal) = SpawnError::find(&process.stderr()) {
                return Err(CutOff::Failed(self.launch.explain(&refusal)));
            }
            let told = format!("{told}{}", process.stderr());
            conversation = match (SessionTrouble::find(&told), conversation) {
                (Some(SessionTrouble::InUse), Conversation::New(session)) => Conversation::Resumed(session),
                (Some(SessionTrouble::Unknown), Conversation::Resumed(session)) => {
                    self.session_lost = matches!(self.session, SessionStart::Live(_));
                    let fresh = SessionId::random();
                    info!(%session, %fresh, "the CLI no longer knows the session");
                    Conversation::New(fresh)
                }
                _ => return Err(CutOff::Failed(self.not_started(process.exit(), told).await)),
            };
        }
        let text = "no session could be begun".to_owned();
        Err(CutOff::Failed(Failure::Reported { status: None, text }))
    }

    /// Why a process ended before it was ready. An old version does not know some of its arguments.
    async fn not_started(&self, exit: String, told: String) -> Failure {
        let failure = Failure::of_start(exit, told);
        if let Failure::NotStarted { .. } = failure
            && let Some(version) = self.launch.version(&self.pool.kin).await
            && version < OLDEST
        {
            return Failure::TooOld { found: Some(version) };
        }
        failure
    }

    fn spawn(&mut self, conversation: Conversation) -> Result<Process, CutOff> {
        // A model other than the project's is not passed as an argument: a person may have typed it.
        let manner = Manner { model: self.ask.project.model.clone(), mode: self.manner.mode };
        let process = Process::spawn(&self.launch, conversation, manner, &self.pool.kin, &self.pool.live)
            .map_err(CutOff::Failed)?;
        info!(channel = %self.ask.channel, pid = process.pid(), session = %process.session, "started an agent");
        self.pool.close_surplus(&self.pool.kept());
        (self.progress)(Progress::Started { pid: process.pid() });
        Ok(process)
    }

    async fn get_ready(&mut self, process: &mut Process) -> Result<(), Unready> {
        let request = process.request(json!({ "subtype": "initialize" }));
        let mut told = String::new();
        let replied = async {
            loop {
                match process.next().await {
                    Happening::Event(AgentEvent::Reply { request: id, version, login, .. })
                        if id == request =>
                    {
                        return Ok((version.as_deref().and_then(Version::parse), login));
                    }
                    Happening::Event(AgentEvent::Result(result)) => {
                        told.extend(result.errors.iter().map(|error| format!("{error}\n")));
                    }
                    Happening::Event(_) | Happening::Written => {}
                    Happening::Ended => return Err(Unready::Ended { told }),
                }
            }
        };
        // Around the loop, not a branch of it: an agent that never stops printing would starve that.
        let (version, login) = tokio::select! {
            biased;
            () = stopped(&self.stop, &self.pool.closing) => return Err(Unready::Stopped),
            replied = timeout(self.limits().start, replied) => replied.map_err(|_| Unready::TooLate)??,
        };
        // Whether a version reports itself here does not depend on its age alone.
        let version = match version {
            Some(version) => Some(version),
            None => self.launch.version(&self.pool.kin).await,
        };
        self.about = version.map(|version| About { version, login });
        if version >= Some(OLDEST) { Ok(()) } else { Err(Unready::TooOld { version }) }
    }

    /// Brings model and mode to what this turn wants.
    ///
    /// # Errors
    /// If the agent refuses or does not answer; then it must not be used.
    async fn adapt(&mut self, process: &mut Process) -> Result<(), CutOff> {
        let wanted = self.manner.clone();
        if process.manner.model != wanted.model {
            // `default` is the CLI's name for its own choice.
            let model = wanted.model.as_deref().unwrap_or("default");
            self.control(process, json!({ "subtype": "set_model", "model": model })).await?;
        }
        if !process.has_mode(wanted.mode) {
            let Some(mode) = wanted.mode else {
                let text = "the permission mode cannot be unset in a running agent".to_owned();
                return Err(CutOff::Failed(Failure::Refused { text }));
            };
            self.control(process, json!({ "subtype": "set_permission_mode", "mode": mode.as_str() })).await?;
        }
        process.manner = wanted;
        Ok(())
    }

    async fn control(&mut self, process: &mut Process, request: Value) -> Result<(), CutOff> {
        let name = request["subtype"].as_str().unwrap_or_default().to_owned();
        let request = process.request(request);
        let answered = async {
            loop {
                match process.next().await {
                    Happening::Event(AgentEvent::Reply { request: id, refused, .. }) if id == request => {
                        return refused.map_or(Ok(()), Err);
                    }
                    Happening::Event(_) | Happening::Written => {}
                    Happening::Ended => return Err("the agent ended".to_owned()),
                }
            }
        };
        let answered = tokio::select! {
            () = stopped(&self.stop, &self.pool.closing) => return Err(CutOff::Stopped),
            answered = timeout(CONTROL_PATIENCE, answered) => answered,
        };
        let answered = answered.unwrap_or_else(|_| Err("no reply".to_owned()));
        answered.map_err(|reason| CutOff::Failed(Failure::Refused { text: format!("{name}: {reason}") }))
    }

    /// Sends the prompt and follows the turn to its end.
    async fn prompt(&mut self, process: &mut Process) -> PromptEnd {
        self.message = elsewhere::message_id().to_string();
        process.send_prompt(&self.message, &self.ask.prompt);
        let turn_limit = self.limits().turn;
        let turn_deadline = self.begun + turn_limit;
        let mut last = Instant::now();
        loop {
            let (limit, tool) = match self.story.tool() {
                Some(tool) => (self.limits().tool, Some(tool)),
                None => (self.limits().silence, None),
            };
            tokio::select! {
                biased;
                () = stopped(&self.stop, &self.pool.closing) => return PromptEnd::Cut(CutOff::Stopped),
                happening = process.next() => match happening {
                    Happening::Written => (self.progress)(Progress::Prompted),
                    Happening::Ended => return PromptEnd::Ended,
                    Happening::Event(AgentEvent::Result(result)) if result.answers(&self.message) => {
                        return PromptEnd::Result(result);
                    }
                    Happening::Event(event) => {
                        last = Instant::now();
                        if let Some(failure) = self.follow(process, event) {
                            return PromptEnd::Cut(CutOff::Failed(failure));
                        }
                        // A flood of events must not hide the turn's time limit.
                        if last >= turn_deadline {
                            let limit = turn_limit;
                            return PromptEnd::Cut(CutOff::Failed(Failure::TurnTimeout { limit }));
                        }
                    }
                },
                () = sleep_until(turn_deadline.min(last + limit)) => {
                    let failure = match tool.map(str::to_owned) {
                        _ if Instant::now() >= turn_deadline => Failure::TurnTimeout { limit: turn_limit },
                        Some(tool) => Failure::ToolTimeout { limit, tool },
                        None => Failure::Silence { limit },
                    };
                    return PromptEnd::Cut(CutOff::Failed(failure));
                }
            }
        }
    }

    /// Takes in an event that is not our result; a failure ends the turn early.
    fn follow(&mut self, process: &mut Process, event: AgentEvent) -> Option<Failure> {
        match &event {
            AgentEvent::MayIUse { request, denial } if QUESTIONS.contains(&denial.tool.as_str()) => {
                process
                    .deny(request, "Nobody can answer here. Write the question or the plan as your answer.");
            }
            AgentEvent::MayIUse { request, .. } => {
                process.deny(request, "This is not allowed here, and nobody can be asked. Go on without it.");
            }
            AgentEvent::OtherRequest { request, subtype } => {
                debug!(%subtype, "refused a request of the agent");
                process.refuse(request);
            }
            // Not ours, but it may carry a new session id.
            AgentEvent::Result(result) => {
                self.note_session(process, result);
                (self.progress)(self.story.forget());
            }
            _ => {}
        }
        let progress = self.story.take(event);
        if let Some(failure) = self.story.failed_early() {
            return Some(failure);
        }
        for step in progress {
            (self.progress)(step);
        }
        None
    }

    /// Asks the agent to give up the turn. Returns whether it did, and can serve another.
    async fn interrupt(&mut self, process: &mut Process) -> bool {
        process.request(json!({ "subtype": "interrupt" }));
        let result = async {
            loop {
                match process.next().await {
                    // The result of a turn that nobody asked for may come first.
                    Happening::Event(AgentEvent::Result(result)) if result.answers(&self.message) => {
                        return Some(result);
                    }
                    Happening::Event(event) => drop(self.follow(process, event)),
                    Happening::Written => {}
                    Happening::Ended => return None,
                }
            }
        };
        let Ok(Some(result)) = timeout(INTERRUPT_PATIENCE, result).await else { return false };
        self.note_session(process, &result);
        true
    }

    /// Turns the result into the answer or a failure.
    async fn conclude(&mut self, mut process: Process, result: TurnResult) -> Result<String, CutOff> {
        self.note_session(&mut process, &result);
        let failure = match self.story.conclude(result) {
            Ok(answer) => {
                self.park(process);
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        if matches!(failure, Failure::NotLoggedIn { .. }) {
            // The next process reads the login anew.
            self.end(&mut process, self.limits().after_result).await;
        } else {
            self.park(process);
        }
        Err(CutOff::Failed(failure))
    }

    fn note_session(&mut self, process: &mut Process, result: &TurnResult) {
        for denial in &result.permission_denials {
            self.story.deny(denial.clone());
        }
        if let Some(id) = result.session_id.as_deref().and_then(|id| id.parse().ok()) {
            process.session = SessionId(id);
        }
        self.seen = Some(SessionSeen {
            id: process.session,
            cost: MicroUsd::from_dollars(result.total_cost_usd),
            num_turns: result.num_turns,
        });
    }

    fn park(&self, process: Process) {
        // The CLI counts cost per process, and a process that has spent its budget serves no other turn.
        let once = self.ask.project.max_usd.is_some();
        self.pool.park(self.ask.channel, self.limits().after_result, process, once);
    }

    async fn end(&self, process: &mut Process, patience: Duration) {
        let hurry = self.stop.child_token();
        tokio::select! {
            biased;
            () = process.end(patience, &hurry) => {}
            // Never completes: all that shutting down changes is `hurry`.
            () = hurry_when(&self.pool.closing, &hurry) => {}
        }
    }

    fn limits(&self) -> Limits {
        self.ask.project.limits
    }
}

/// Why a process did not get ready.
enum Unready {
    Stopped,
    TooLate,
    /// It is ready, but older than [`OLDEST`] or of unknown version.
    TooOld {
        version: Option<Version>,
    },
    /// It ended; the errors that it reported.
    Ended {
        told: String,
    },
}

async fn stopped(stop: &CancellationToken, closing: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = closing.cancelled() => {}
    }
}

async fn hurry_when(closing: &CancellationToken, hurry: &CancellationToken) {
    closing.cancelled().await;
    hurry.cancel();
    std::future::pending().await
}
