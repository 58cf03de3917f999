//! Agents: running `claude` processes, at most one per channel.
//!
//! # Theory of operation
//!
//! A [`Process`] has exactly one owner, and dropping it kills its process group; so no path out of this module,
//! a panic or an aborted task included, leaves one at work. The owner is one of two:
//!
//! - [`Agents::ask`], while a turn runs: it writes the prompt and reads events until the result;
//! - a keeper, a small task, between turns: it waits until the agent is idle, notices when the agent dies or
//!   begins to speak by itself, and closes it after `idle_close`. The next `ask` of the channel claims the process
//!   back from its keeper, and takes it if directory, environment and arguments are still the wanted ones.
//!
//! So the answer is returned as soon as the result has been read: what is left to wait for after it, the keeper
//! waits for.
//!
//! A new process is asked to `initialize` first; its answer says that it is ready. A session that the CLI does not
//! know, or knows already, is noticed there, before the prompt is sent.
//!
//! A turn ends by its result, by the process's exit, by a time limit, or because nobody wants it any more. In the
//! last two cases: interrupt over the control protocol (1 s; then the process lives on and serves the next turn),
//! SIGTERM to the group with stdin closed (2 s), SIGKILL to the group.
//!
//! The facts about the CLI are those of version 2.1.330, measured.

mod events;
mod failure;
mod launch;
mod process;
mod story;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

pub use failure::Failure;

use crate::config;
use crate::domain::{ChannelId, Limits, MicroUsd, Project, SessionId};
use events::{Event, TurnResult};
use failure::SessionTrouble;
use launch::{Conversation, Launch, Manner};
use process::{Happening, Process};
use story::{QUESTIONS, Story};

/// How long an interrupted turn may take to end.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a change of model or mode may take before the agent is replaced.
const CONTROL_PATIENCE: Duration = Duration::from_secs(5);
/// From closing stdin to SIGTERM when the bot stops.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);
/// How long [`Agents::close_all`] takes at most.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// One prompt for the agent of a channel.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Whose agent.
    pub channel: ChannelId,
    /// Where and how it works.
    pub project: Arc<Project>,
    /// A model in place of the project's.
    pub model: Option<String>,
    /// The conversation.
    pub session: SessionStart,
    /// What the person says.
    pub prompt: String,
}

/// Which session a turn belongs to, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStart {
    /// No result has been seen of it; there may be one all the same, of a turn that did not end.
    New(SessionId),
    /// At least one result was seen.
    Live(SessionId),
}

/// What came of an [`Ask`].
#[derive(Debug)]
pub struct Asked {
    /// How it ended.
    pub end: End,
    /// The session, where the agent told of it; its id is the one to keep.
    pub session: Option<SessionSeen>,
    /// The session was live and is not known any more; this turn began a new one.
    pub session_lost: bool,
    /// The tools that were denied, in order, each once.
    pub denied: Vec<String>,
    /// Where there is no answer: what was written so far.
    pub partial: String,
}

/// How an [`Ask`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an answer, as the project's `answer` takes it; may be empty.
    Answered(String),
    /// With a failure.
    Failed(Failure),
    /// It was stopped by its token, or by [`Agents::close_all`].
    Stopped,
}

/// What a result tells about its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSeen {
    /// The id to resume.
    pub id: SessionId,
    /// What the session has cost over all its turns, as the CLI estimates it.
    pub cost: MicroUsd,
    /// Round trips to the model in this turn.
    pub num_turns: u32,
}

/// What happens in a turn, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A process was started.
    Started {
        /// Its id.
        pid: u32,
    },
    /// The agent is ready for the prompt.
    Ready,
    /// The agent has taken the whole prompt.
    Prompted,
    /// A piece of text.
    Text(String),
    /// A tool begins.
    Tool {
        /// Its name.
        name: String,
    },
    /// No tool runs any more.
    ToolsEnded,
    /// The API failed, and the CLI tries again.
    Retrying {
        /// 1 for the first repetition.
        attempt: u32,
        /// How many there will be at most.
        of: u32,
    },
}

/// All agents of the bot. A clone is another handle to the same ones; without a handle all of them are killed.
#[derive(Clone)]
pub struct Agents(Arc<Pool>);

struct Pool {
    config: config::Agent,
    environment: BTreeMap<OsString, OsString>,
    kept: Mutex<Kept>,
    live: watch::Sender<usize>,
    closing: CancellationToken,
}

/// The agents between turns.
#[derive(Default)]
struct Kept {
    keepers: HashMap<ChannelId, Keeper>,
    /// The number of the latest keeper, so that one removes only itself.
    latest: u64,
}

struct Keeper {
    number: u64,
    /// Cancelled by the `ask` that wants the process.
    claim: CancellationToken,
    /// Ends with the process if it can serve another turn.
    task: AbortOnDropHandle<Option<Process>>,
}

impl Agents {
    /// A pool without agents. `environment` is the bot's own, from which agents inherit what is allowed.
    pub fn new(config: config::Agent, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(Arc::new(Pool {
            config,
            environment: environment.into_iter().collect(),
            kept: Mutex::default(),
            live: watch::Sender::new(0),
            closing: CancellationToken::new(),
        }))
    }

    /// Runs one prompt in the channel's agent: the live one if it fits, else a new one.
    ///
    /// The caller sees to it that no two asks of one channel overlap. When this returns, nothing is at work in the
    /// channel any more; when it is dropped, its process is killed.
    pub async fn ask(
        &self,
        ask: Ask,
        stop: CancellationToken,
        progress: impl FnMut(Progress) + Send,
    ) -> Asked {
        Turn::new(&self.0, ask, stop, progress).run().await
    }

    /// Ends all agents, those at work included, within 5 s. From now on every [`Agents::ask`] is stopped at once.
    pub async fn close_all(&self) {
        self.0.closing.cancel();
        let mut live = self.0.live.subscribe();
        let none_left = live.wait_for(|&live| live == 0);
        if timeout(SHUTDOWN, none_left).await.is_err() {
            warn!(left = self.live(), "agents are left; they are killed");
            self.0.kept().keepers.clear();
        }
    }

    /// How many agent processes there are, at work or not.
    pub fn live(&self) -> usize {
        *self.0.live.borrow()
    }
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that runs under the lock leaves it half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a process over to a keeper, to be claimed by the channel's next turn.
    fn park(self: &Arc<Self>, channel: ChannelId, after_result: Duration, process: Process) {
        let mut kept = self.kept();
        kept.latest += 1;
        let number = kept.latest;
        let claim = CancellationToken::new();
        let watch = Watch {
            claim: claim.clone(),
            closing: self.closing.clone(),
            idle_close: self.config.idle_close,
            after_result,
        };
        // The keeper must not keep the pool alive, which keeps the keeper alive.
        let pool = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            let process = watch.keep(process).await;
            if process.is_none() {
                forget(&pool, channel, number);
            }
            process
        });
        let task = AbortOnDropHandle::new(task);
        kept.keepers.insert(channel, Keeper { number, claim, task });
    }

    /// Takes the channel's process back from its keeper, once it is idle.
    async fn claim(&self, channel: ChannelId) -> Option<Process> {
        let keeper = self.kept().keepers.remove(&channel)?;
        keeper.claim.cancel();
        keeper.task.await.ok().flatten()
    }
}

fn forget(pool: &Weak<Pool>, channel: ChannelId, number: u64) {
    let Some(pool) = pool.upgrade() else { return };
    let mut kept = pool.kept();
    if kept.keepers.get(&channel).is_some_and(|keeper| keeper.number == number) {
        kept.keepers.remove(&channel);
    }
}

/// What a keeper waits for.
struct Watch {
    claim: CancellationToken,
    closing: CancellationToken,
    idle_close: Duration,
    after_result: Duration,
}

impl Watch {
    /// Keeps a process between two turns; returns it when claimed, or ends it.
    async fn keep(self, mut process: Process) -> Option<Process> {
        let settled = async {
            while process.is_busy() {
                if let Happening::Ended = process.next().await {
                    return;
                }
            }
        };
        tokio::select! {
            settled = timeout(self.after_result, settled) => if settled.is_err() {
                warn!(pid = process.pid(), "the agent did not become idle after its result");
                process.end(Duration::ZERO, &self.claim).await;
                return None;
            },
            () = self.closing.cancelled() => {}
        }

        let idle_close = sleep(self.idle_close);
        tokio::pin!(idle_close);
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {
                    process.end(SHUTDOWN_PATIENCE, &self.claim).await;
                    return None;
                }
                happening = process.next() => match happening {
                    Happening::Ended => {
                        info!(pid = process.pid(), exit = process.exit(), "the agent ended between turns");
                        process.end(Duration::ZERO, &self.claim).await;
                        return None;
                    }
                    Happening::Event(event) if begins_a_turn(&event) => {
                        warn!(pid = process.pid(), "the agent began a turn that nobody asked for");
                        process.end(Duration::ZERO, &self.claim).await;
                        return None;
                    }
                    // A flood of events must not keep the claim waiting.
                    Happening::Event(_) if self.claim.is_cancelled() => return Some(process),
                    Happening::Event(_) | Happening::Written => {}
                },
                () = self.claim.cancelled() => return Some(process),
                () = &mut idle_close => {
                    debug!(pid = process.pid(), "closing the idle agent");
                    process.end(self.after_result, &self.claim).await;
                    return None;
                }
            }
        }
    }
}

/// Whether an agent that should be idle is at work.
fn begins_a_turn(event: &Event) -> bool {
    matches!(
        event,
        Event::Running | Event::Assistant { .. } | Event::Delta(_) | Event::MayIUse { .. } | Event::Result(_)
    )
}

/// One [`Ask`] on its way.
struct Turn<'a, P> {
    pool: &'a Arc<Pool>,
    ask: Ask,
    stop: CancellationToken,
    progress: P,
    launch: Launch,
    manner: Manner,
    begun: Instant,
    session: SessionStart,
    session_lost: bool,
    seen: Option<SessionSeen>,
    story: Story,
}

/// A turn was cut off.
enum Cut {
    Stopped,
    Failed(Failure),
}

/// How one prompt ended.
enum Verdict {
    Result(Box<TurnResult>),
    /// The process is gone.
    Ended,
    /// The turn is still at work and has to be ended.
    Cut(Cut),
}

impl<'a, P: FnMut(Progress) + Send> Turn<'a, P> {
    fn new(pool: &'a Arc<Pool>, ask: Ask, stop: CancellationToken, progress: P) -> Self {
        let launch = Launch::new(&pool.config, &pool.environment, &ask.project);
        let model = ask.model.clone().or_else(|| ask.project.model.clone());
        let manner = Manner { model, mode: ask.project.permission_mode };
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
            seen: None,
            story,
        }
    }

    async fn run(mut self) -> Asked {
        let end = match self.answer().await {
            Ok(answer) => End::Answered(answer),
            Err(Cut::Stopped) => End::Stopped,
            Err(Cut::Failed(failure)) => {
                warn!(channel = %self.ask.channel, project = %self.ask.project.name, %failure, "the turn failed");
                End::Failed(failure)
            }
        };
        let partial = if matches!(end, End::Answered(_)) { String::new() } else { self.story.partial() };
        Asked {
            end,
            session: self.seen,
            session_lost: self.session_lost,
            denied: self.story.denied(),
            partial,
        }
    }

    async fn answer(&mut self) -> Result<String, Cut> {
        if self.stop.is_cancelled() || self.pool.closing.is_cancelled() {
            return Err(Cut::Stopped);
        }
        let live = self.claim().await?;
        let mut reused = live.is_some();
        let mut process = match live {
            Some(process) => process,
            None => self.start().await?,
        };
        loop {
            (self.progress)(Progress::Ready);
            match self.prompt(&mut process).await {
                Verdict::Result(result) => return self.conclude(process, *result).await,
                Verdict::Ended if reused && !self.story.heard() => {
                    // It died as it was claimed, and has not begun with the prompt.
                    self.end(&mut process, Duration::ZERO).await;
                    drop(process);
                    reused = false;
                    process = self.start().await?;
                }
                Verdict::Ended => {
                    self.end(&mut process, Duration::ZERO).await;
                    return Err(Cut::Failed(Failure::of_exit(process.exit(), process.stderr())));
                }
                Verdict::Cut(cut) => {
                    let reusable = !matches!(cut, Cut::Failed(Failure::NotLoggedIn { .. }));
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

    /// The channel's live process, if it fits; one that does not is closed.
    async fn claim(&mut self) -> Result<Option<Process>, Cut> {
        let claimed = tokio::select! {
            claimed = self.pool.claim(self.ask.channel) => claimed,
            // This drops the claim, and with it the process.
            () = stopped(&self.stop, &self.pool.closing) => return Err(Cut::Stopped),
        };
        let Some(mut process) = claimed else { return Ok(None) };
        let (SessionStart::New(session) | SessionStart::Live(session)) = self.session;
        let fits = process.launch == self.launch && process.session == session;
        if fits && self.adapt(&mut process).await.is_ok() {
            return Ok(Some(process));
        }
        debug!(pid = process.pid(), "the live agent does not fit any more");
        self.end(&mut process, self.limits().after_result).await;
        Ok(None)
    }

    /// Starts a process and waits until it is ready.
    async fn start(&mut self) -> Result<Process, Cut> {
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
            let Unready::Ended { told } = unready else {
                return Err(unready.cut(self.limits().start, process.stderr()));
            };
            let told = format!("{told}{}", process.stderr());
            conversation = match (SessionTrouble::find(&told), conversation) {
                (Some(SessionTrouble::InUse), Conversation::New(session)) => Conversation::Resumed(session),
                (Some(SessionTrouble::Unknown), Conversation::Resumed(session)) => {
                    self.session_lost = matches!(self.session, SessionStart::Live(_));
                    let fresh = SessionId::random();
                    info!(%session, %fresh, "the session is not known any more");
                    Conversation::New(fresh)
                }
                _ => return Err(Cut::Failed(Failure::of_exit(process.exit(), told))),
            };
        }
        let text = "no session could be begun".to_owned();
        Err(Cut::Failed(Failure::Reported { status: None, text }))
    }

    fn spawn(&mut self, conversation: Conversation) -> Result<Process, Cut> {
        // A model that only this turn wants is no argument: it may come from what a person typed.
        let manner = Manner { model: self.ask.project.model.clone(), mode: self.manner.mode };
        let process =
            Process::spawn(&self.launch, conversation, manner, &self.pool.live).map_err(Cut::Failed)?;
        info!(channel = %self.ask.channel, pid = process.pid(), session = %process.session, "started an agent");
        (self.progress)(Progress::Started { pid: process.pid() });
        Ok(process)
    }

    async fn get_ready(&mut self, process: &mut Process) -> Result<(), Unready> {
        let request = process.request(json!({ "subtype": "initialize" }));
        let deadline = sleep(self.limits().start);
        tokio::pin!(deadline);
        let mut told = String::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&self.stop, &self.pool.closing) => return Err(Unready::Stopped),
                happening = process.next() => match happening {
                    // A refusal is an answer too: it reads its input.
                    Happening::Event(Event::Reply { request: id, .. }) if id == request => return Ok(()),
                    Happening::Event(Event::Result(result)) => {
                        told.extend(result.errors.iter().map(|error| format!("{error}\n")));
                    }
                    Happening::Event(_) | Happening::Written => {}
                    Happening::Ended => return Err(Unready::Ended { told }),
                },
                () = &mut deadline => return Err(Unready::TooLate),
            }
        }
    }

    /// Brings model and mode to what this turn wants.
    ///
    /// # Errors
    /// Where the agent refuses or does not answer; then it is in no state to be used.
    async fn adapt(&mut self, process: &mut Process) -> Result<(), Cut> {
        let wanted = self.manner.clone();
        if process.manner.model != wanted.model {
            // `default` is the CLI's name for its own choice.
            let model = wanted.model.as_deref().unwrap_or("default");
            self.control(process, json!({ "subtype": "set_model", "model": model })).await?;
        }
        if !process.has_mode(wanted.mode) {
            let Some(mode) = wanted.mode else {
                let text = "the permission mode cannot be unset in a running agent".to_owned();
                return Err(Cut::Failed(Failure::Refused { text }));
            };
            self.control(process, json!({ "subtype": "set_permission_mode", "mode": mode.as_str() })).await?;
        }
        process.manner = wanted;
        Ok(())
    }

    async fn control(&mut self, process: &mut Process, request: Value) -> Result<(), Cut> {
        let name = request["subtype"].as_str().unwrap_or_default().to_owned();
        let request = process.request(request);
        let answered = async {
            loop {
                match process.next().await {
                    Happening::Event(Event::Reply { request: id, refused }) if id == request => {
                        return refused.map_or(Ok(()), Err);
                    }
                    Happening::Event(_) | Happening::Written => {}
                    Happening::Ended => return Err("the agent ended".to_owned()),
                }
            }
        };
        let answered = tokio::select! {
            () = stopped(&self.stop, &self.pool.closing) => return Err(Cut::Stopped),
            answered = timeout(CONTROL_PATIENCE, answered) => answered,
        };
        let answered = answered.unwrap_or_else(|_| Err("no reply".to_owned()));
        answered.map_err(|reason| Cut::Failed(Failure::Refused { text: format!("{name}: {reason}") }))
    }

    /// Sends the prompt and follows the turn to its end.
    async fn prompt(&mut self, process: &mut Process) -> Verdict {
        let message = uuid::Uuid::new_v4().to_string();
        process.send_prompt(&message, &self.ask.prompt);
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
                () = stopped(&self.stop, &self.pool.closing) => return Verdict::Cut(Cut::Stopped),
                happening = process.next() => match happening {
                    Happening::Written => (self.progress)(Progress::Prompted),
                    Happening::Ended => return Verdict::Ended,
                    Happening::Event(Event::Result(result)) if result.answers(&message) => {
                        return Verdict::Result(result);
                    }
                    Happening::Event(event) => {
                        last = Instant::now();
                        if let Some(failure) = self.follow(process, event) {
                            return Verdict::Cut(Cut::Failed(failure));
                        }
                        // A flood of events must not hide the end of the turn's time.
                        if last >= turn_deadline {
                            let limit = turn_limit;
                            return Verdict::Cut(Cut::Failed(Failure::TurnTimeout { limit }));
                        }
                    }
                },
                () = sleep_until(turn_deadline.min(last + limit)) => {
                    let failure = match tool.map(str::to_owned) {
                        _ if Instant::now() >= turn_deadline => Failure::TurnTimeout { limit: turn_limit },
                        Some(tool) => Failure::ToolTimeout { limit, tool },
                        None => Failure::Silence { limit },
                    };
                    return Verdict::Cut(Cut::Failed(failure));
                }
            }
        }
    }

    /// Takes in an event that is not our result; a failure ends the turn early.
    fn follow(&mut self, process: &mut Process, event: Event) -> Option<Failure> {
        match &event {
            Event::MayIUse { request, denial } if QUESTIONS.contains(&denial.tool_name.as_str()) => {
                process
                    .deny(request, "Nobody can answer here. Write the question or the plan as your answer.");
            }
            Event::MayIUse { request, .. } => {
                process.deny(request, "This is not allowed here, and nobody can be asked. Go on without it.");
            }
            Event::OtherRequest { request, subtype } => {
                debug!(%subtype, "refused a request of the agent");
                process.refuse(request);
            }
            // The CLI would repeat it for three minutes.
            Event::Retry { status, error, .. } if error == "authentication_failed" => {
                let status = status.map_or_else(String::new, |status| format!(" (status {status})"));
                return Some(Failure::NotLoggedIn { text: format!("{error}{status}") });
            }
            Event::Result(_) => self.story.forget(),
            _ => {}
        }
        if let Some(shown) = self.story.take(event) {
            (self.progress)(shown);
        }
        None
    }

    /// Asks the agent to give the turn up; whether it did so, and can go on living.
    async fn interrupt(&mut self, process: &mut Process) -> bool {
        process.request(json!({ "subtype": "interrupt" }));
        let result = async {
            loop {
                match process.next().await {
                    Happening::Event(Event::Result(result)) => return Some(result),
                    Happening::Event(event) => drop(self.follow(process, event)),
                    Happening::Written => {}
                    Happening::Ended => return None,
                }
            }
        };
        let Ok(Some(result)) = timeout(INTERRUPT_PATIENCE, result).await else { return false };
        self.see(process, &result);
        true
    }

    /// The result is here: the answer, or the failure that it tells.
    async fn conclude(&mut self, mut process: Process, result: TurnResult) -> Result<String, Cut> {
        self.see(&mut process, &result);
        if !result.is_error {
            self.park(process);
            return Ok(self.story.answer(result.result));
        }
        let failure = Failure::of_result(&result);
        if matches!(failure, Failure::NotLoggedIn { .. }) {
            // The next process reads the login anew.
            self.end(&mut process, self.limits().after_result).await;
        } else {
            self.park(process);
        }
        Err(Cut::Failed(failure))
    }

    fn see(&mut self, process: &mut Process, result: &TurnResult) {
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
        self.pool.park(self.ask.channel, self.limits().after_result, process);
    }

    async fn end(&self, process: &mut Process, patience: Duration) {
        let hurry = self.stop.child_token();
        tokio::select! {
            biased;
            () = process.end(patience, &hurry) => {}
            // Not taken when it comes: `hurry` is all that shutting down changes.
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
    /// It ended; what it told as errors.
    Ended {
        told: String,
    },
}

impl Unready {
    fn cut(self, limit: Duration, stderr: String) -> Cut {
        match self {
            Self::Stopped => Cut::Stopped,
            Self::TooLate | Self::Ended { .. } => Cut::Failed(Failure::StartTimeout { limit, stderr }),
        }
    }
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
