//! The story of a turn, from the message to the delivered answer.
//!
//! # Theory of operation
//! [`Turns::serve`] takes in what Discord sends, one thing after the other, so that the order of a channel's
//! messages is never in doubt. For each message the scripts decide, the gate admits or ignores, it enters its lane,
//! and the store writes it down: [`intake`]. From there on every turn is a task of its own: [`story`] waits for
//! the lane, asks the agent, writes down what is to be said, and hands it to [`delivery`], which posts part by
//! part. What an earlier bot left unfinished goes through the same two doors at start: [`recovery`].
//!
//! A turn that must stop (its message was deleted, the bot shuts down) is told so by its [`Stop`]. Whatever
//! happens to its task, the lane's ticket is dropped with it.

mod admission;
mod answering;
mod answers;
mod board;
mod branch;
mod budget;
mod buttons;
mod context;
mod continuation;
mod delivery;
mod edits;
mod elicited;
mod ending;
mod enter;
mod for_commands;
mod handed;
mod hooks;
mod instead;
mod intake;
mod live;
mod look_up;
mod missed;
mod notice;
mod own_message;
mod picks;
mod prompt;
mod prompt_message;
mod question_modes;
mod questions;
mod quote;
mod recovery;
mod refused_turns;
mod session;
mod shares;
mod shown;
mod spent;
mod standby;
mod steer;
mod step;
mod story;
mod task;
mod thread;
mod turn_text;
mod typing;
mod written;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use answering::{PressEnd, QuestionAct};
pub use buttons::{ButtonId, Decision, QuestionPress, WaitingWish};
pub use instead::NotInstead;

pub use steer::NotFitting;

use crate::agent::{Agents, Transcriber};
use crate::domain::{ChannelId, Inbound, LiveTimes, MessageId, Missed, Outcome, Reread, Share, UserId};
use crate::files::Files;
use crate::gate::Gate;
use crate::lane::Lanes;
use crate::outbox::Outbox;
use crate::script::{FailureKind, ScriptError, ScriptProblem, ScriptSet};
use crate::store::{Millis, QuestionKey, Store};
use crate::words;
use missed::{Bounds, SeenUpTo};

use shares::Shares;

/// How often the store is told how far channels have been read. Anything newer is read again after a crash.
const WRITE_SEEN: Duration = Duration::from_secs(1);

/// The shortest time between two complaints in one channel that its messages cannot be written.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10 * 60);

/// What turns need of the rest of the bot.
pub struct TurnDeps {
    /// The live scripts; the newest set decides each new message.
    pub scripts: watch::Receiver<ScriptSet>,
    /// Where turns and deliveries are written down.
    pub store: Store,
    /// Who runs and who waits.
    pub lanes: Lanes,
    pub agents: Agents,
    pub outbox: Outbox,
    /// The files of people's messages.
    pub files: Files,
    /// What turns voice messages into text.
    pub transcriber: Option<Transcriber>,
    pub me: UserId,
    /// What one person may take.
    pub share: Share,
    pub gate: Gate,
    /// How long to retry an answer that Discord or the database does not take.
    pub keep_trying: Duration,
    /// When turns show that they are at work.
    pub live_times: LiveTimes,
    /// Nothing is accepted while the database's disk has less free space than this, in bytes.
    pub min_free: u64,
    /// Whether the bot may read messages that do not mention it.
    pub message_content: bool,
    /// Asks for messages to be read again that may have changed while the bot was not connected.
    pub rereads: mpsc::UnboundedSender<Reread>,
    /// What operators should read, a sentence each.
    pub news: mpsc::UnboundedSender<String>,
    /// Gets every message that is settled; the playground waits for it.
    pub settled: Option<mpsc::UnboundedSender<(MessageId, Settled)>>,
}

/// All turns of the bot. A cheap handle.
#[derive(Clone)]
pub struct Turns(Arc<TurnsInner>);

struct TurnsInner {
    needs: TurnDeps,
    /// What people have taken of the bot.
    shares: Shares,
    /// How to stop each turn that waits or runs now: by its id, and by the message that it answers.
    stops: Mutex<HashMap<MessageId, Arc<Stop>>>,
    /// The turns at work into which messages may go, by channel.
    open: watch::Sender<HashMap<ChannelId, Arc<steer::OpenTurn>>>,
    /// The channels in which something is being said now.
    speaking: Mutex<HashMap<ChannelId, Arc<delivery::Speaking>>>,
    /// When each problem was last reported.
    complained: Mutex<HashMap<ComplaintTopic, Complaint>>,
    /// Told when the board is wanted elsewhere, or no more.
    board_wanted: watch::Sender<()>,
    /// How many times a session with Discord has begun anew; each time, edits and deletions may have been missed.
    anew: AtomicU64,
    /// What Claude has asked in turns that run.
    questions: Mutex<HashMap<QuestionKey, Arc<questions::OpenQuestion>>>,
    unsent: Mutex<picks::Unsent>,
    /// When the next turn goes on that a usage limit has refused.
    continues: watch::Sender<Option<Millis>>,
    /// Every task of a turn or a delivery, for the end.
    tasks: TaskTracker,
    /// Cancelled when the bot stops: whatever is only waiting gives up.
    ending: CancellationToken,
}

/// What people are told once, and again only after [`COMPLAIN_EVERY`].
#[derive(PartialEq, Eq, Hash)]
enum ComplaintTopic {
    /// To a channel: its messages cannot be written down.
    Unwritten(ChannelId),
    /// To the operators: no messages can be written down.
    Store,
    /// To the operators: a script fails at this line.
    Script(String, Option<u32>),
}

struct Complaint {
    told: Instant,
    /// The message that is answered by it.
    about: Option<MessageId>,
}

/// What became of a message in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was not for the bot, its author is not let in, or has been told that this is too much.
    Ignored,
    /// It was answered without a turn: by a script, or with a hint.
    Said,
    /// Its turn ended, and what it had to say is delivered.
    Ended(Outcome),
}

/// Why a turn must stop before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopReason {
    /// The message was deleted: nobody wants the answer.
    Deleted,
    /// Somebody stopped it by a command.
    Asked,
    Shutdown,
}

/// What there was to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The work on the turn.
    Work,
    /// The work is done: the rest of the answer.
    Answer,
}

/// The way to stop one turn. The first reason counts.
struct Stop {
    turn: MessageId,
    token: CancellationToken,
    /// `None` once the turn has ended and only its answer is left to be said.
    reason: OnceLock<Option<StopReason>>,
    /// Cancelled when nobody wants the rest of the answer.
    silence: CancellationToken,
    /// Held while an edit is written, which may take long: later edits, and the start of the turn, wait for it.
    edits: Arc<tokio::sync::Mutex<()>>,
    /// Whether it is on its way into another turn.
    offered: watch::Sender<steer::OfferState>,
    /// Its author wants it to go into the turn that runs.
    steers_now: AtomicBool,
    /// The latest session with Discord for which its message is known to be up to date.
    as_of: Mutex<Option<u64>>,
    /// Its answer is that to other people's messages, too: a deletion does not silence it.
    answers_others: AtomicBool,
}

impl Stop {
    fn of(turn: MessageId) -> Self {
        let (token, silence) = (CancellationToken::new(), CancellationToken::new());
        Self {
            turn,
            token,
            reason: OnceLock::new(),
            silence,
            edits: Arc::default(),
            offered: watch::Sender::default(),
            steers_now: AtomicBool::new(false),
            as_of: Mutex::default(),
            answers_others: AtomicBool::new(false),
        }
    }

    /// Stops the turn, or the rest of its answer. A bot that shuts down stops no answer: the rest follows after the
    /// next start.
    fn stop(&self, reason: StopReason) -> Stopped {
        if self.reason.get_or_init(|| Some(reason)).is_some() {
            self.token.cancel();
            return Stopped::Work;
        }
        let is_unwanted = match reason {
            StopReason::Asked => true,
            StopReason::Deleted => !self.answers_others.load(Ordering::Relaxed),
            StopReason::Shutdown => false,
        };
        if is_unwanted {
            self.silence.cancel();
        }
        Stopped::Answer
    }

    /// Whether every edit of its message was heard.
    fn is_up_to_date(&self, turns: &Turns) -> bool {
        *self.as_of.lock() == Some(turns.anew())
    }

    /// From now on only the answer can be stopped.
    fn close(&self) {
        self.reason.get_or_init(|| None);
    }

    fn is_closed(&self) -> bool {
        self.reason.get() == Some(&None)
    }

    fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied().flatten()
    }
}

impl Turns {
    /// Nothing under way yet.
    pub fn new(needs: TurnDeps) -> Self {
        Self(Arc::new(TurnsInner {
            shares: Shares::new(needs.share),
            needs,
            stops: Mutex::default(),
            open: watch::Sender::default(),
            speaking: Mutex::default(),
            complained: Mutex::default(),
            board_wanted: watch::Sender::new(()),
            anew: AtomicU64::new(0),
            questions: Mutex::default(),
            unsent: Mutex::default(),
            continues: watch::Sender::new(None),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
        }))
    }

    /// Resumes what an earlier bot left: lanes are entered in the old order before this returns, so that later messages
    /// queue behind.
    pub async fn recover(&self) -> Result<(), crate::store::StoreError> {
        recovery::recover(self).await?;
        board::keep(self);
        continuation::recover(self).await;
        questions::recover(self).await?;
        handed::recover(self).await
    }

    /// Takes in what Discord sends, until the sender is dropped or `shutdown` is cancelled. What is said now goes
    /// before what was missed.
    pub async fn serve(
        &self,
        mut inbound: mpsc::UnboundedReceiver<Inbound>,
        mut missed: mpsc::UnboundedReceiver<Missed>,
        shutdown: CancellationToken,
    ) {
        let (mut bounds, mut seen) = (Bounds::default(), SeenUpTo::default());
        let mut write = interval(WRITE_SEEN);
        write.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => return seen.write(self).await,
                _ = write.tick() => {
                    seen.write(self).await;
                    continue;
                }
                next = inbound.recv() => next,
                () = continuation::until_due(self) => {
                    continuation::begin_due(self).await;
                    continue;
                }
                Some(older) = missed.recv() => {
                    self.take_missed(older, &mut bounds, &mut seen).await;
                    continue;
                }
            };
            match next {
                Some(Inbound::Message(message)) => {
                    let (channel, id) = (message.channel_id, message.id);
                    self.stir(Some(channel));
                    intake::arrived(self, message).await;
                    seen.up_to(channel, id);
                }
                Some(Inbound::MissedAll(channel)) => bounds.forget(channel),
                Some(Inbound::Told(channel, message)) => seen.up_to(channel, message),
                Some(Inbound::Gone(channels)) => edits::channels_deleted(self, channels).await,
                Some(Inbound::Edited(message)) => intake::edited(self, message).await,
                Some(Inbound::Deleted(messages)) => edits::deleted(self, messages).await,
                Some(Inbound::Changed) => self.stir(None),
                Some(Inbound::Anew) => drop(self.0.anew.fetch_add(1, Ordering::Relaxed)),
                None => return seen.write(self).await,
            }
        }
    }

    async fn take_missed(&self, missed: Missed, bounds: &mut Bounds, seen: &mut SeenUpTo) {
        match missed {
            Missed::Message { message, too_old } => {
                let (channel, id) = (message.channel_id, message.id);
                bounds.take(self, *message, too_old).await;
                seen.up_to(channel, id);
            }
            Missed::UpTo { channel, message, taken_in } => {
                seen.up_to(channel, message);
                // At once: a bot that is killed again and again must still make progress.
                seen.write(self).await;
                // Nobody waits for it where the channel is gone.
                let _ = taken_in.send(());
            }
        }
    }

    /// Stops every running turn, tells its person so, and waits until all is written and said. Turns that wait
    /// stay in the store and run after the next start.
    pub async fn shut_down(&self) {
        // First, so that a turn which begins just now is either among those or stops by itself.
        self.0.ending.cancel();
        for stop in self.stops().values() {
            stop.stop(StopReason::Shutdown);
        }
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Which session with Discord this is.
    fn anew(&self) -> u64 {
        self.0.anew.load(Ordering::Relaxed)
    }

    fn settled(&self, message: MessageId, settled: Settled) {
        if let Some(listener) = &self.settled {
            // Nobody may be listening any more.
            let _ = listener.send((message, settled));
        }
    }

    /// Tells the operators something, if they have a channel for it.
    fn tell_operators(&self, news: String) {
        // Nobody listens where no channel is named.
        drop(self.news.send(news));
    }

    /// Tells the operators about a lasting problem, unless they have just heard of one.
    fn tell_operators_of_trouble(&self, news: String) {
        if self.is_due(ComplaintTopic::Store, None) {
            self.tell_operators(news);
        }
    }

    /// Tells the operators that a script failed while it was used, unless they have just heard of that line.
    pub fn tell_operators_of_script(&self, error: &ScriptError) {
        // Too many commands at once are not a script's fault.
        if error.kind() == FailureKind::Busy {
            return;
        }
        self.tell_operators_of_problem(&error.problem());
    }

    /// The same of what is wrong with a script, which cost nobody a message.
    fn tell_operators_of_problem(&self, problem: &ScriptProblem) {
        if self.is_due(ComplaintTopic::Script(problem.file.clone(), problem.line), None) {
            self.tell_operators(words::script_fails(&problem.to_string()));
        }
    }

    /// Whether to tell a channel now, in reply to this message, that it cannot be written. Each is told once in a while.
    fn may_complain(&self, channel: ChannelId, message: MessageId) -> bool {
        self.is_due(ComplaintTopic::Unwritten(channel), Some(message))
    }

    /// Whether the author of this message was told to ask again, as far as this bot knows.
    fn is_refused(&self, channel: ChannelId, message: MessageId) -> bool {
        self.complained().get(&ComplaintTopic::Unwritten(channel)).is_some_and(|it| it.about == Some(message))
    }

    fn complained(&self) -> MutexGuard<'_, HashMap<ComplaintTopic, Complaint>> {
        self.0.complained.lock()
    }

    fn is_due(&self, trouble: ComplaintTopic, about: Option<MessageId>) -> bool {
        let mut complained = self.complained();
        complained.retain(|_, it| it.told.elapsed() < COMPLAIN_EVERY);
        match complained.entry(trouble) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(Complaint { told: Instant::now(), about });
                true
            }
        }
    }

    fn all_speaking(&self) -> MutexGuard<'_, HashMap<ChannelId, Arc<delivery::Speaking>>> {
        self.0.speaking.lock()
    }

    fn stops(&self) -> MutexGuard<'_, HashMap<MessageId, Arc<Stop>>> {
        self.0.stops.lock()
    }
}

impl std::ops::Deref for Turns {
    type Target = TurnDeps;

    fn deref(&self) -> &TurnDeps {
        &self.0.needs
    }
}
