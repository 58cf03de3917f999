//! One ask: claim or start a process, send the prompt, follow the events, conclude or cut the turn off.

mod asking;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::elsewhere;
use super::events::{AgentEvent, TurnResult};
use super::failure::Failure;
use super::further::{Further, FurtherMessages};
use super::launch::{Launch, Manner};
use super::process::{Happening, Process};
use super::question::OpenQuestions;
use super::story::Story;
use super::{About, Ask, AskEnd, AskResult, Pool, Progress, PromptId, SessionSeen, SessionStart};
use crate::domain::{Limits, MicroUsd, SessionId, TurnUsage};

/// How long an interrupted turn may take to end.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(1);

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
    message: PromptId,
    further: FurtherMessages,
    /// The further message with which the agent goes on by itself.
    goes_on: Option<PromptId>,
    seen: Option<SessionSeen>,
    /// What the agent said of itself when it got ready.
    about: Option<About>,
    story: Story,
    questions: OpenQuestions,
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
    /// It lives, and nothing shows that it has begun.
    Deaf,
    /// The turn is still at work and has to be ended.
    Cut(CutOff),
}

impl<'a, P: FnMut(Progress) + Send> RunningAsk<'a, P> {
    /// A turn that has not begun.
    ///
    /// # Errors
    /// If a secret of its project is not to be had.
    pub fn new(
        pool: &'a Arc<Pool>,
        ask: Ask,
        further: FurtherMessages,
        stop: CancellationToken,
        progress: P,
    ) -> Result<Self, Failure> {
        // One that is at work already has its own.
        let secrets = if ask.sent.is_some() { BTreeMap::new() } else { pool.secrets(&ask.project)? };
        let launch =
            Launch::new(&pool.config, &pool.environment, &ask.project, &secrets, ask.files.as_deref());
        let model = ask.model.clone().or_else(|| ask.project.model.clone());
        let manner = Manner { model, mode: ask.mode() };
        let story = Story::new(ask.project.answer);
        let message = ask.sent.unwrap_or_else(PromptId::random);
        Ok(Self {
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
            message,
            further,
            goes_on: None,
            seen: None,
            about: None,
            story,
            questions: OpenQuestions::default(),
        })
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
        let partial = match end {
            AskEnd::Answered(_) => String::new(),
            AskEnd::Stopped => self.story.written(),
            AskEnd::Failed(_) => self.story.partial(),
        };
        AskResult {
            end,
            session: self.seen,
            session_lost: self.session_lost,
            used_elsewhere: self.used_elsewhere,
            denied: self.story.denied(),
            elicited: self.story.elicited().to_vec(),
            usage: TurnUsage { duration: Some(self.begun.elapsed()), ..self.story.usage() },
            fallback: self.story.fallback().cloned(),
            limit_warning: self.story.limit_warning().cloned(),
            partial,
            goes_on: self.goes_on,
            taken_in: self.further.taken_in(),
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
        if self.ask.sent.is_some() {
            return self.read_on(begin).await;
        }
        if self.stop.is_cancelled() || self.pool.closing.is_cancelled() {
            return Err(CutOff::Stopped);
        }
        self.used_elsewhere = self.was_used_elsewhere().await;
        let live = self.claim().await?;
        let reused = live.is_some();
        let mut may_send_again = true;
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
                end @ (PromptEnd::Ended | PromptEnd::Deaf) => {
                    self.end(&mut process, Duration::ZERO).await;
                    // One that ended may have died between two turns; a new one that does so would only do it again.
                    let is_deaf = matches!(end, PromptEnd::Deaf);
                    let is_untouched = (reused || is_deaf) && self.has_not_begun(&process).await;
                    if is_untouched && may_send_again {
                        info!(pid = process.pid(), is_deaf, "the agent took no prompt; a new one gets it");
                        may_send_again = false;
                        drop(process);
                        process = self.start().await?;
                        continue;
                    }
                    return Err(CutOff::Failed(match is_untouched && is_deaf {
                        true => Failure::Deaf { limit: self.limits().wake },
                        false => Failure::of_end(process.exit(), process.stderr()),
                    }));
                }
                end => return self.leave(process, end).await,
            }
        }
    }

    /// The agent has the prompt already, and went on with it after the result of the turn before.
    async fn read_on(&mut self, begin: impl Future<Output = bool> + Send) -> Result<String, CutOff> {
        let claimed = self.pool.claim(self.ask.channel).await;
        begin.await;
        let Some(mut process) = claimed.filter(|process| process.ahead == self.ask.sent) else {
            // It was closed meanwhile: somebody has stopped this turn, or the bot stops.
            return Err(match self.stop.is_cancelled() || self.pool.closing.is_cancelled() {
                true => CutOff::Stopped,
                false => CutOff::Failed(Failure::of_end("closed".to_owned(), String::new())),
            });
        };
        process.begin_turn(self.message);
        (self.progress)(Progress::Ready);
        let end = self.watch(&mut process).await;
        self.leave(process, end).await
    }

    /// Leaves the process behind: to the next turn, or to nobody.
    async fn leave(&mut self, mut process: Process, end: PromptEnd) -> Result<String, CutOff> {
        match end {
            PromptEnd::Result(result) => self.conclude(process, *result).await,
            PromptEnd::Ended | PromptEnd::Deaf => {
                self.end(&mut process, Duration::ZERO).await;
                Err(CutOff::Failed(Failure::of_end(process.exit(), process.stderr())))
            }
            PromptEnd::Cut(cut) => {
                let reusable = !matches!(cut, CutOff::Failed(Failure::NotLoggedIn { .. }));
                if self.interrupt(&mut process).await && reusable && self.further.on_its_way().is_none() {
                    self.park(process);
                } else {
                    self.end(&mut process, Duration::ZERO).await;
                }
                Err(cut)
            }
        }
    }

    /// Whether an ended process has done nothing with the prompt: neither what it printed to its end nor the session's file
    /// shows that it has read it. Only then may another process get the prompt.
    async fn has_not_begun(&self, process: &Process) -> bool {
        let (launch, message, session) = (self.launch.clone(), self.message.0.to_string(), process.session);
        let holds = move || elsewhere::holds(|name| launch.variable(name), session, &message);
        !process.has_begun() && !tokio::task::spawn_blocking(holds).await.unwrap_or(true)
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
        let fits = process.ahead.is_none()
            && process.fits(&self.launch)
            && process.session == session
            && !self.used_elsewhere;
        if fits && self.adapt(&mut process).await.is_ok() {
            return Ok(Some(process));
        }
        debug!(pid = process.pid(), "the live agent no longer fits");
        self.end(&mut process, self.limits().after_result).await;
        Ok(None)
    }

    /// Sends the prompt and follows the turn to its end.
    async fn prompt(&mut self, process: &mut Process) -> PromptEnd {
        process.begin_turn(self.message);
        process.send_prompt(self.message, self.ask.prompt.content());
        self.watch(process).await
    }

    /// Follows the turn to its end.
    async fn watch(&mut self, process: &mut Process) -> PromptEnd {
        let turn_limit = self.limits().turn;
        let mut turn_deadline = self.begun + turn_limit;
        let mut waits_since: Option<Instant> = None;
        let mut last = Instant::now();
        // While it is being written too: a process that reads nothing leaves the pipe full.
        let mut begins_by = last + self.limits().wake;
        loop {
            // A person may take their time: nothing else is at work, so no limit counts meanwhile.
            let waits = self.questions.hold_up_all(self.story.subagents());
            if waits != waits_since.is_some() {
                last = Instant::now();
                match waits_since.take() {
                    Some(since) => turn_deadline += last - since,
                    None => waits_since = Some(last),
                }
                (self.progress)(Progress::Waits(waits));
            }
            let (limit, tool) = match self.story.tool() {
                Some(tool) => (self.limits().tool, Some(tool)),
                None => (self.limits().silence, None),
            };
            tokio::select! {
                biased;
                () = stopped(&self.stop, &self.pool.closing) => return PromptEnd::Cut(CutOff::Stopped),
                // Not before the CLI has begun: it would make one prompt of both.
                further = self.further.next(), if process.has_begun_with(self.message) => match further {
                    Further::Answer { question, answer } => self.tell(process, &question, &answer),
                    further => self.further.pass_on(process, further),
                },
                happening = process.next() => match happening {
                    Happening::Written => {
                        begins_by = Instant::now() + self.limits().wake;
                        (self.progress)(Progress::Prompted);
                    }
                    Happening::Ended => return PromptEnd::Ended,
                    Happening::Event(AgentEvent::Result(result)) if result.answers(self.message) => {
                        return PromptEnd::Result(result);
                    }
                    Happening::Event(event) => {
                        last = Instant::now();
                        if let Some(failure) = self.follow(process, event) {
                            return PromptEnd::Cut(CutOff::Failed(failure));
                        }
                        // A flood of events must not hide the turn's time limit.
                        if last >= turn_deadline && !waits {
                            let limit = turn_limit;
                            return PromptEnd::Cut(CutOff::Failed(Failure::TurnTimeout { limit }));
                        }
                    }
                },
                () = sleep_until(begins_by), if !process.has_begun() => return PromptEnd::Deaf,
                () = sleep_until(turn_deadline.min(last + limit)), if !waits => {
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
            AgentEvent::MayIUse { .. } | AgentEvent::Elicits { .. } | AgentEvent::Withdrawn(_) => {
                self.hear_question(process, &event);
            }
            AgentEvent::SendsFiles(files) => (self.progress)(Progress::SendsFiles(files.clone())),
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
        let news = self.further.note(&event);
        let progress = self.story.take(event);
        if let Some(failure) = self.story.failed_early() {
            return Some(failure);
        }
        for step in news.into_iter().chain(progress) {
            (self.progress)(step);
        }
        None
    }

    /// Asks the agent to give up the turn. Returns whether it did, and can serve another.
    async fn interrupt(&mut self, process: &mut Process) -> bool {
        // What is still on its way must not begin a turn now. Older versions do not know the key.
        match self.further.on_its_way() {
            Some(_) => process.request(json!({ "subtype": "interrupt", "cancel_queued": true })),
            None => process.request(json!({ "subtype": "interrupt" })),
        };
        let result = async {
            loop {
                match process.next().await {
                    // The result of a turn that nobody asked for may come first.
                    Happening::Event(AgentEvent::Result(result)) if result.answers(self.message) => {
                        return Some(result);
                    }
                    Happening::Event(event) => drop(self.follow(process, event)),
                    Happening::Written => {}
                    Happening::Ended => return None,
                }
            }
        };
        let Ok(Some(result)) = timeout(INTERRUPT_PATIENCE, result).await else { return false };
        self.further.note_result(&result);
        self.note_session(process, &result);
        true
    }

    /// Turns the result into the answer or a failure.
    async fn conclude(&mut self, mut process: Process, result: TurnResult) -> Result<String, CutOff> {
        self.further.note_result(&result);
        let is_decided = self.decide(&mut process).await;
        self.note_session(&mut process, &result);
        let answer = self.story.conclude(result);
        if matches!(answer, Err(Failure::NotLoggedIn { .. })) {
            // The next process reads the login anew.
            self.end(&mut process, self.limits().after_result).await;
        } else if is_decided {
            process.ahead = self.further.on_its_way();
            self.goes_on = process.ahead;
            self.park(process);
        } else {
            self.end(&mut process, Duration::ZERO).await;
        }
        answer.map_err(CutOff::Failed)
    }

    /// Waits until it is certain what the agent does with the message that is still on its way after the result. `false`: it
    /// does not say.
    async fn decide(&mut self, process: &mut Process) -> bool {
        let within = sleep_until(Instant::now() + self.limits().wake);
        tokio::pin!(within);
        while self.further.is_undecided() {
            tokio::select! {
                biased;
                () = stopped(&self.stop, &self.pool.closing) => return false,
                happening = process.next() => match happening {
                    Happening::Event(event) => {
                        if let Some(step) = self.further.note(&event) {
                            (self.progress)(step);
                        }
                    }
                    Happening::Written => {}
                    Happening::Ended => return false,
                },
                () = &mut within => return false,
            }
        }
        true
    }

    fn note_session(&mut self, process: &mut Process, result: &TurnResult) {
        self.story.note(result);
        if let Some(id) = result.session_id.as_deref().and_then(|id| id.parse().ok()) {
            process.session = SessionId(id);
        }
        self.seen = Some(SessionSeen {
            id: process.session,
            cost: result.total_cost_usd.map(MicroUsd::from_dollars),
            num_turns: result.num_turns,
        });
    }

    fn park(&self, process: Process) {
        // The CLI counts cost per process, and a process that has spent its budget serves no other turn.
        let once = self.ask.project.max_usd.is_some();
        self.pool.park(self.ask.channel, self.limits().after_result, process, once);
    }

    async fn end(&mut self, process: &mut Process, patience: Duration) {
        let hurry = self.stop.child_token();
        tokio::select! {
            biased;
            () = process.end(patience, &hurry) => {}
            // Never completes: all that shutting down changes is `hurry`.
            () = hurry_when(&self.pool.closing, &hurry) => {}
        }
        self.further.note_end(process);
    }

    fn limits(&self) -> Limits {
        self.ask.project.limits
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
