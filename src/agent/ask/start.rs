//! Getting a process ready for a prompt: it is started, its session is found or begun, and model and mode are set.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::info;

use super::{CutOff, RunningAsk, stopped};
use crate::agent::events::AgentEvent;
use crate::agent::failure::Failure;
use crate::agent::guard::SpawnError;
use crate::agent::launch::{Conversation, Manner};
use crate::agent::own_tools;
use crate::agent::process::{Happening, Process};
use crate::agent::trouble::SessionTrouble;
use crate::agent::version::{OLDEST, Version};
use crate::agent::{About, Progress, SessionStart};
use crate::domain::{SessionGrants, SessionId};

/// How long a change of model or mode may take before the agent is replaced.
const CONTROL_PATIENCE: Duration = Duration::from_secs(5);

impl<P: FnMut(Progress) + Send> RunningAsk<'_, P> {
    /// Starts a process and waits until it is ready.
    pub(super) async fn start(&mut self) -> Result<Process, CutOff> {
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
                    // They were for the one that is lost.
                    self.ask.grants = SessionGrants::default();
                    self.manner.mode = self.ask.mode();
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
        let rules = &self.ask.grants.rules;
        let process =
            Process::spawn(&self.launch, conversation, (manner, rules), &self.pool.kin, &self.pool.live)
                .map_err(CutOff::Failed)?;
        info!(channel = %self.ask.channel, pid = process.pid(), session = %process.session, "started an agent");
        self.pool.close_surplus(&self.pool.kept());
        (self.progress)(Progress::Started { pid: process.pid() });
        Ok(process)
    }

    async fn get_ready(&mut self, process: &mut Process) -> Result<(), Unready> {
        let request = process.request(own_tools::initialize(self.ask.project.sends_files()));
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
    pub(super) async fn adapt(&mut self, process: &mut Process) -> Result<(), CutOff> {
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
