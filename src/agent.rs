//! Agents: running `claude` processes, at most one per channel.
//!
//! # Theory of operation
//!
//! A [`Process`] has exactly one owner, and dropping it has its [`guard`] end everything that it started; so no
//! path out of this module, a panic or an aborted task included, leaves one at work. The owner is one of two:
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
//! SIGTERM with stdin closed (2 s), SIGKILL. The last two are the guard's, and reach whatever the agent has started.
//! What a killed guard leaves is found by a mark in its environment: [`kin`].
//!
//! The facts about the CLI are those of version 2.1.330, measured.

pub mod as_user;
mod ask;
pub mod cgroup;
mod denial;
mod elicitation;
mod elsewhere;
mod events;
mod failure;
mod further;
pub mod guard;
mod guarded;
mod keeper;
mod kin;
mod launch;
mod leftovers;
mod lifecycle;
mod lines;
mod own_tools;
mod proc_fs;
mod process;
mod prompt;
mod question;
mod sandbox;
mod story;
mod todos;
mod tool;
mod transcriber;
#[cfg(test)]
pub mod transcripts;
mod trouble;
mod usage_limit;
mod used;
mod version;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

pub use denial::{Denial, Reason, Remedy};
pub use elicitation::{
    ElicitationRequest, Elicited, ElicitedLink, EntryKind, EntryMistake, EntryOption, FormEntry,
};
pub use events::{EndedCall, Fallback};
pub use failure::{AccountTrouble, Failure, Poison};
pub use further::Further;
pub use leftovers::clean_daily;
pub use lifecycle::PromptId;
pub use own_tools::{OwnCallId, SendFiles};
pub use prompt::{Media, MediaKind, Prompt};
pub use question::{
    ChoiceQuestion, Chosen, Grant, PermissionRequest, Question, QuestionAbout, QuestionAnswer, QuestionId,
    QuestionOption, RequestedCall, Subagent,
};
pub use todos::{Todo, TodoStatus};
pub use tool::ToolAction;
pub use transcriber::{NotTranscribed, Transcriber};
pub use trouble::Trouble;
pub use usage_limit::LimitWarning;
pub use version::{OLDEST, Version};

use crate::config;
use crate::domain::{
    ChannelId, MicroUsd, PermissionMode, Project, SecretSource, SessionGrants, SessionId, TurnUsage,
};
use crate::redact::Redactor;
use crate::secret;
use ask::RunningAsk;
use further::FurtherMessages;
use keeper::KeeperTask;
use kin::Kin;
use process::Process;

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
    /// A permission mode in place of the project's.
    pub permission_mode: Option<PermissionMode>,
    pub session: SessionStart,
    /// What was allowed for the whole session.
    pub grants: SessionGrants,
    pub prompt: Prompt,
    /// A folder that the agent may open besides those of its project; the same for all turns of the channel.
    pub files: Option<PathBuf>,
    /// The channel's agent has the prompt already, under this id, and has gone on with it by itself
    /// ([`AskResult::goes_on`]).
    pub sent: Option<PromptId>,
}

impl Ask {
    /// The permission mode that the agent is to have.
    fn mode(&self) -> Option<PermissionMode> {
        self.grants.mode(self.permission_mode.or(self.project.permission_mode), &self.project)
    }
}

/// Which session a turn belongs to, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStart {
    /// No result has been seen of it; there may be one all the same, of a turn that did not end.
    New(SessionId),
    /// At least one result was seen.
    Live(SessionId),
}

impl SessionStart {
    pub fn id(self) -> SessionId {
        let (Self::New(id) | Self::Live(id)) = self;
        id
    }
}

/// What came of an [`Ask`].
#[derive(Debug)]
pub struct AskResult {
    pub end: AskEnd,
    /// The session, where the agent told of it; its id is the one to keep.
    pub session: Option<SessionSeen>,
    /// The session had results and is no longer known; this turn began a new one.
    pub session_lost: bool,
    /// Somebody had used the session elsewhere; this turn continued from there.
    pub used_elsewhere: bool,
    /// The calls of tools that were denied, in order, each once.
    pub denied: Vec<Denial>,
    /// The MCP servers that wanted something of a person, and were told that nobody answers.
    pub elicited: Vec<String>,
    /// What it has used. What it cost is not known here: that is what its session has cost since the turn before.
    pub usage: TurnUsage,
    /// Another model answered than the one that was asked for.
    pub fallback: Option<Fallback>,
    /// A usage limit of the account is nearly reached.
    pub limit_warning: Option<LimitWarning>,
    /// Where there is no answer: what was written so far.
    pub partial: String,
    /// The further messages that Claude has got in this turn, in order.
    pub taken_in: Vec<PromptId>,
    /// The further message that came too late for this turn: the agent goes on with it by itself, and the channel's next ask
    /// has to be [`Ask::sent`]. One that is in neither has not reached Claude.
    pub goes_on: Option<PromptId>,
}

impl AskResult {
    /// Of an ask that came to nothing before there was an agent.
    fn failed(failure: Failure) -> Self {
        Self {
            end: AskEnd::Failed(failure),
            session: None,
            session_lost: false,
            used_elsewhere: false,
            denied: Vec::new(),
            elicited: Vec::new(),
            usage: TurnUsage::default(),
            fallback: None,
            limit_warning: None,
            partial: String::new(),
            taken_in: Vec::new(),
            goes_on: None,
        }
    }
}

/// How an [`Ask`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskEnd {
    /// With an answer, as the project's `answer` takes it; may be empty.
    Answered(String),
    Failed(Failure),
    /// It was stopped by its token, or by [`Agents::close_all`].
    Stopped,
}

/// What a result tells about its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSeen {
    /// The id to resume.
    pub id: SessionId,
    /// What the session has cost over all its turns, as the CLI estimates it; `None` where the agent does not say.
    pub cost: Option<MicroUsd>,
    /// Round trips to the model in this turn.
    pub num_turns: u32,
}

/// What an agent tells of itself before any prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub version: Version,
    /// Where its login comes from, in the CLI's words; `None` where it has none.
    pub login: Option<String>,
}

/// What happens in a turn, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Started {
        /// The id of its guard, which ends all of it on SIGTERM.
        pid: u32,
    },
    /// The agent is ready for the prompt.
    Ready,
    /// The agent has taken the whole prompt.
    Prompted,
    /// A piece of text as it is written.
    Text(String),
    /// A whole text, once it is written.
    Said(String),
    /// What was said last is taken back, or was not said in this turn.
    TakenBack,
    /// A tool begins.
    Tool {
        /// The id of the call.
        id: String,
        /// The tool's name.
        name: String,
        /// What the call does.
        action: ToolAction,
        /// What it was called with.
        input: Value,
    },
    /// Tools have ended.
    ToolsEnded {
        /// Their calls.
        calls: Vec<EndedCall>,
    },
    /// What Claude thinks, as far as it tells.
    Thought(String),
    /// Claude's list of what is to do has changed; the whole of it.
    Todos(Vec<Todo>),
    /// How many subagents are at work now.
    Subagents(usize),
    /// Claude asks something, and waits for the answer.
    Asked(Box<Question>),
    /// It no longer waits for the answer to this.
    Withdrawn(QuestionId),
    /// Claude hands over files, and waits for what becomes of them.
    SendsFiles(SendFiles),
    /// All of the agent waits for answers, or no longer does. Told again where it still does after an answer.
    Waits(bool),
    /// A further message is in the turn now.
    TookIn(PromptId),
    /// A further message is taken back.
    GaveBack(PromptId),
    /// The CLI makes room in the context, or no longer does.
    Compacting(bool),
    /// The API failed, and the CLI tries again.
    Retrying {
        /// What went wrong.
        trouble: Trouble,
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
    /// Learns the secrets that agents get.
    redactor: Redactor,
    kin: Kin,
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
    /// Cancelled where the process is not to be kept.
    close: CancellationToken,
    /// It is at work for the channel's next turn, so there are never too many to keep it.
    is_ahead: bool,
    /// Ends with the process if it can serve another turn.
    task: AbortOnDropHandle<Option<Process>>,
}

impl Agents {
    /// A pool without agents. `environment` is the bot's own, from which agents inherit what is allowed.
    pub fn new(config: config::Agent, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self::of_kin(Kin::alone(), config, environment, Redactor::off())
    }

    /// The same, for a bot with this database, whose `redactor` learns the secrets that agents get. Returns once no agent of
    /// its earlier bots is left, which takes ten seconds at most. Must not be called while another bot has the database.
    pub async fn after_earlier_bots(
        database: &Path,
        config: config::Agent,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        redactor: Redactor,
    ) -> Self {
        Self::of_kin(Kin::of(database).await, config, environment, redactor)
    }

    fn of_kin(
        kin: Kin,
        config: config::Agent,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        redactor: Redactor,
    ) -> Self {
        Self(Arc::new(Pool {
            config,
            environment: environment.into_iter().collect(),
            redactor,
            kin,
            kept: Mutex::default(),
            live: watch::Sender::new(0),
            closing: CancellationToken::new(),
        }))
    }

    /// Runs one prompt in the channel's agent: the live one if it fits, else a new one.
    ///
    /// `begin` is awaited when the agent is ready, just before it gets the prompt; if it returns false, the turn is
    /// stopped there. It is never dropped halfway.
    ///
    /// `further` are messages for this turn, one at a time. Those that are still in there when it ends were not sent.
    ///
    /// The caller ensures that no two asks of one channel overlap. When this returns, nothing is running in the channel
    /// any more; when it is dropped, its process is killed.
    pub async fn ask(
        &self,
        ask: Ask,
        further: mpsc::UnboundedReceiver<Further>,
        stop: CancellationToken,
        begin: impl Future<Output = bool> + Send,
        progress: impl FnMut(Progress) + Send,
    ) -> AskResult {
        match RunningAsk::new(&self.0, ask, FurtherMessages::new(further), stop, progress) {
            Ok(ask) => ask.run(begin).await,
            Err(failure) => AskResult::failed(failure),
        }
    }

    /// Starts an agent of this project as a turn would, and ends it again. No prompt, no session, no cost.
    ///
    /// # Errors
    /// What would fail a turn: the program, its version, the directory, the arguments.
    pub async fn probe(&self, project: Arc<Project>) -> Result<About, Failure> {
        let session = SessionStart::New(SessionId::random());
        let channel = ChannelId::new(1).expect("1 is not 0");
        let ask = Ask {
            channel,
            project,
            model: None,
            permission_mode: None,
            session,
            grants: SessionGrants::default(),
            prompt: Prompt::default(),
            files: None,
            sent: None,
        };
        let further = FurtherMessages::new(mpsc::unbounded_channel().1);
        RunningAsk::new(&self.0, ask, further, CancellationToken::new(), |_| {})?.probe().await
    }

    /// Ends a channel's idle agent in the background. One at work is ended by its turn's token.
    pub fn close(&self, channel: ChannelId) {
        if let Some(keeper) = self.0.kept().keepers.get(&channel) {
            keeper.close.cancel();
        }
    }

    /// Ends all agents, those at work included, within 5 s. From now on every [`Agents::ask`] is stopped at once.
    pub async fn close_all(&self) {
        self.0.closing.cancel();
        let mut live = self.0.live.subscribe();
        let none_left = live.wait_for(|&live| live == 0);
        if timeout(SHUTDOWN, none_left).await.is_err() {
            warn!(left = self.live(), "some agents did not end; killing them");
            self.0.kept().keepers.clear();
        }
    }

    /// How many agent processes there are, at work or not.
    pub fn live(&self) -> usize {
        *self.0.live.borrow()
    }
}

impl Pool {
    /// What the project's `env_from` names, as it is now.
    fn secrets(&self, project: &Project) -> Result<BTreeMap<String, String>, Failure> {
        let variable = |name: &str| self.environment.get(OsStr::new(name)).cloned();
        let read = |(name, source): (&String, &SecretSource)| {
            let secret = secret::read(source, variable)
                .map_err(|problem| Failure::NoSecret { variable: name.clone(), problem })?;
            self.redactor.learn(&secret);
            Ok((name.clone(), secret))
        };
        project.env_from.iter().map(read).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock()
    }

    /// Hands a process over to a keeper, to be claimed by the channel's next turn; one that serves only `once`, to be
    /// closed.
    fn park(self: &Arc<Self>, channel: ChannelId, after_result: Duration, process: Process, once: bool) {
        let mut kept = self.kept();
        kept.latest += 1;
        let number = kept.latest;
        let is_ahead = process.ahead.is_some();
        let claim = CancellationToken::new();
        let close = CancellationToken::new();
        let watch = KeeperTask {
            claim: claim.clone(),
            close: close.clone(),
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
        if once {
            close.cancel();
        }
        kept.keepers.insert(channel, Keeper { number, claim, close, is_ahead, task });
        self.close_surplus(&kept);
    }

    /// Closes those that have been idle for longest, where there are more than `max_live`.
    fn close_surplus(&self, kept: &Kept) {
        let (going, mut idle): (Vec<_>, Vec<_>) =
            kept.keepers.values().partition(|keeper| keeper.close.is_cancelled() || keeper.is_ahead);
        let staying = self.live.borrow().saturating_sub(going.len());
        idle.sort_by_key(|keeper| keeper.number);
        for keeper in idle.into_iter().take(staying.saturating_sub(self.config.max_live)) {
            keeper.close.cancel();
        }
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
