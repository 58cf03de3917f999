//! Inwards: serenity's gateway client → [`Inbound`], in the order in which Discord sent it.
//!
//! ```text
//! thread "gateway"                                    the bot's runtime
//! serenity reads a frame ─ spawns a task per event ─▶ queue ─▶ Converter ─▶ Inbound
//! ```
//!
//! **Order.** serenity spawns a task per event and promises nothing about their order. So it runs on a thread of
//! its own, on a current-thread runtime: what is spawned there goes to one FIFO queue (documented in
//! `tokio::runtime`, "Current thread runtime"), and our handler does nothing but send its event into a queue of
//! ours before it could wait for anything. One task reads that queue; whatever an event has to wait for, the
//! following ones wait for too.
//!
//! Only what people do with commands and buttons goes past them, through a queue of its own: Discord waits three
//! seconds for its answer, and an event may wait for longer.
//!
//! **Self-healing.** serenity reconnects and resumes by itself. If that is not enough, or it gets stuck or stays
//! disconnected, its whole client is replaced by a fresh one ([`life`]), and a new session begins. Only a bad token and
//! disallowed intents end the gateway.
//!
//! **Not too often.** Discord counts new sessions, so the waits between them grow ([`pace`]); where none is left
//! (`session_start_limit`), none begins.
//!
//! **Nothing missed.** After a resume Discord sends what was missed. After a new session it does not; then the messages
//! written in between are read over REST ([`catch_up`]).
//!
//! Logging: serenity opens spans at level INFO whose fields hold whole events, so its target must be logged at
//! `warn` at most, or every message is formatted once more for nothing.

mod catch_up;
mod convert;
mod event;
mod interaction;
mod life;
mod pace;
mod person;
mod quote;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serenity::model::event::Event;
use serenity::model::gateway::GatewayIntents;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::domain::{Inbound, Interaction, Missed, Reread, UserId};
use crate::logging::chain;
use crate::outbox::{ConnectError, Outbox};
use crate::panics::Panics;
use crate::store::Store;
use convert::Converter;
use life::{Life, LifeEnd, Plan};
use pace::Backoff;

/// How long the start waits for Discord's READY.
const START: Duration = Duration::from_secs(60);
/// A client whose thread has no pulse for this long is stuck.
const STUCK: Duration = Duration::from_secs(4);

/// How long what has come in may take to be passed on, once the client has ended.
const PASS_ON: Duration = Duration::from_millis(500);

/// What the gateway needs to know.
pub struct GatewayOptions {
    pub token: String,
    /// The bot's own user, from [`Outbox::whoami`].
    pub me: UserId,
    /// Whether to ask for the text of messages that do not mention the bot, which is a privilege.
    pub message_content: bool,
    /// Where it is recorded how far each channel has been read.
    pub store: Store,
    /// Is told if the task that reads events fails.
    pub panics: Panics,
    /// Receives messages that were written while the bot was not connected.
    pub missed: mpsc::UnboundedSender<Missed>,
    /// Which messages are to be read again; answered in the order of what is said in their channels.
    pub rereads: mpsc::UnboundedReceiver<Reread>,
}

/// The connection to Discord's gateway. Dropping it ends it.
pub struct Gateway {
    stop: DropGuard,
    supervisor: JoinHandle<GatewayError>,
    reader: AbortOnDropHandle<()>,
    relay: AbortOnDropHandle<()>,
    panics: Panics,
    /// Told when Discord says READY for the first time.
    ready: Option<oneshot::Receiver<()>>,
    /// The address that Discord gave.
    url: String,
    ended: Option<GatewayError>,
}

/// The gateway cannot continue; one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The token is not valid (any more).
    #[error("{}", ConnectError::Token)]
    Token,
    /// Discord does not give the bot the events it asks for.
    #[error(
        "Discord does not let this bot read the text of all messages, which the triggers need: switch it on in the \
         Developer Portal (your application → Bot → Privileged Gateway Intents → Message Content Intent), or let \
         the triggers answer mentions only"
    )]
    Intents,
    /// Discord could not be asked where the gateway is.
    #[error(transparent)]
    Start(#[from] ConnectError),
    /// The gateway did not say READY.
    #[error("Discord's gateway at {0} does not answer")]
    Silent(String),
    /// The thread could not be started, or a task of the gateway panicked.
    #[error("the gateway cannot run: {0}")]
    Broken(String),
}

/// Begins to connect. Once Discord has said READY ([`Gateway::ready`]), `inbound` receives what is said, and
/// `interactions` what people do with commands and buttons: it must not wait for what is said.
///
/// # Errors
/// Discord does not say where its gateway is, or the store cannot be read.
pub async fn start(
    start: GatewayOptions,
    outbox: Outbox,
    inbound: mpsc::UnboundedSender<Inbound>,
    interactions: mpsc::UnboundedSender<Interaction>,
) -> Result<Gateway, GatewayError> {
    let mut intents =
        GatewayIntents::GUILDS | GatewayIntents::GUILD_MESSAGES | GatewayIntents::DIRECT_MESSAGES;
    if start.message_content {
        intents |= GatewayIntents::MESSAGE_CONTENT;
    }
    let known =
        start.store.places().await.map_err(|error| GatewayError::Broken(chain(&error).to_string()))?;
    let (events, queue) = mpsc::unbounded_channel();
    let (ready, on_ready) = oneshot::channel();
    let (urgent, interacted) = mpsc::unbounded_channel();
    let plan = Plan { token: start.token, intents, http: outbox.http(), events, urgent };
    let mut pace = Backoff::default();
    let url = ask_for_a_session(&outbox, &mut pace).await?;
    let life = begin(&plan, &url)?;

    let stop = CancellationToken::new();
    let converter = Converter::new(
        (start.me, start.message_content),
        outbox.clone(),
        (start.store, known),
        (inbound, start.missed),
        start.rereads,
        ready,
        start.panics.clone(),
    );
    let panics = start.panics;
    Ok(Gateway {
        supervisor: tokio::spawn(supervise(plan, life, pace, outbox, stop.clone())),
        reader: panics.spawn("the event reader", converter.run(queue)),
        relay: panics.spawn("the interaction relay", pass_on(interacted, interactions)),
        stop: stop.drop_guard(),
        panics,
        ready: Some(on_ready),
        url,
        ended: None,
    })
}

impl Gateway {
    /// Waits for Discord's first READY.
    ///
    /// # Errors
    /// A bad token, disallowed intents, or no READY within a minute.
    pub async fn ready(&mut self) -> Result<(), GatewayError> {
        let Some(ready) = self.ready.take() else { return Ok(()) };
        let (panics, url) = (self.panics.clone(), self.url.clone());
        tokio::select! {
            Ok(()) = ready => Ok(()),
            error = self.stopped() => Err(error),
            panic = panics.first() => Err(GatewayError::Broken(panic.to_string())),
            () = sleep(START) => Err(GatewayError::Silent(url)),
        }
    }

    /// Resolves only if the gateway ends by itself, for good.
    pub async fn stopped(&mut self) -> GatewayError {
        if let Some(error) = &self.ended {
            return error.clone();
        }
        let ended = (&mut self.supervisor).await;
        let error = ended.unwrap_or_else(|panic| GatewayError::Broken(panic.to_string()));
        self.ended.insert(error).clone()
    }

    /// Closes the session and disconnects; takes up to three seconds. Interactions that have come in by then are passed on.
    ///
    /// What Discord sends between our good-bye and its own is lost, for serenity reads over it; whoever has used a command
    /// just then is told by Discord itself that the application did not respond. Nothing is received afterwards.
    pub async fn shut_down(self) {
        let Self { stop, mut supervisor, reader, mut relay, ended, .. } = self;
        drop(stop);
        if ended.is_none() && timeout(Duration::from_secs(3), &mut supervisor).await.is_err() {
            supervisor.abort();
        }
        reader.abort();
        // It ends by itself where the client has ended, for then nothing sends to it any more.
        if timeout(PASS_ON, &mut relay).await.is_err() {
            relay.abort();
            // Aborting is an error here, and the only one expected.
            drop(relay.await);
        }
        drop(reader.await);
    }
}

/// Passes on what people do with commands and buttons.
async fn pass_on(
    mut events: mpsc::UnboundedReceiver<(std::time::Instant, Box<Event>)>,
    interactions: mpsc::UnboundedSender<Interaction>,
) {
    while let Some((received, event)) = events.recv().await {
        match interaction::read(&event, received) {
            // Nobody listens any more when the bot is stopping.
            Ok(Some(interaction)) => drop(interactions.send(interaction)),
            Ok(None) => {}
            Err(error) => warn!("cannot decode an interaction from Discord: {error}"),
        }
    }
}

/// Replaces a client that has ended by a fresh one, for ever.
async fn supervise(
    plan: Plan,
    mut life: Life,
    mut pace: Backoff,
    outbox: Outbox,
    stop: CancellationToken,
) -> GatewayError {
    loop {
        let begun = Instant::now();
        let end = tokio::select! {
            () = stop.cancelled() => {
                life.stop.cancel();
                drop(timeout(Duration::from_secs(2), life.ended).await);
                return GatewayError::Broken("it was shut down".to_owned());
            }
            end = &mut life.ended => end.unwrap_or(LifeEnd::Over("the gateway's thread panicked")),
            () = stuck(&life.pulse) => {
                // It cannot be ended from outside; it ends by itself at its next await.
                life.stop.cancel();
                LifeEnd::Over("the gateway's thread is stuck")
            }
        };
        let (why, mut wait) = match end {
            LifeEnd::Fatal(error) => return error,
            LifeEnd::Unreached(why) => (why, pace.after_no_connection()),
            LifeEnd::Over(why) => (why.to_owned(), pace.after_a_session(begun.elapsed())),
            LifeEnd::Asked => ("asked to end".to_owned(), pace.after_a_session(begun.elapsed())),
        };
        life = loop {
            warn!("the gateway client is restarted in {wait:?}: {why}");
            tokio::select! {
                () = stop.cancelled() => return GatewayError::Broken("it was shut down".to_owned()),
                () = sleep(wait) => {}
            }
            let url = tokio::select! {
                () = stop.cancelled() => return GatewayError::Broken("it was shut down".to_owned()),
                url = ask_for_a_session(&outbox, &mut pace) => url,
            };
            match url.map_err(GatewayError::from).and_then(|url| begin(&plan, &url)) {
                Ok(life) => break life,
                Err(GatewayError::Start(ConnectError::Token)) => return GatewayError::Token,
                Err(error) => warn!("{error}"),
            }
            wait = pace.after_no_connection();
        };
    }
}

/// Waits until Discord lets one more session begin; the address of the gateway.
async fn ask_for_a_session(outbox: &Outbox, pace: &mut Backoff) -> Result<String, ConnectError> {
    loop {
        let gateway = outbox.gateway().await?;
        match gateway.starts.map_or(Ok(()), |starts| pace.learn(&starts)) {
            Ok(()) => return Ok(gateway.url),
            Err(wait) => {
                warn!(
                    "this bot has started as many sessions as Discord allows in a day; the next starts in {wait:?}"
                );
                sleep(wait).await;
            }
        }
    }
}

fn begin(plan: &Plan, url: &str) -> Result<Life, GatewayError> {
    Life::begin(plan, url.to_owned()).map_err(|e| GatewayError::Broken(e.to_string()))
}

/// Resolves when the thread behind this pulse has done nothing for a while. serenity can end up there: once a
/// connection is closed and a new one refused, it reads the closed one over and over, without a pause, until a
/// heartbeat fails.
async fn stuck(pulse: &AtomicU64) {
    let mut last = pulse.load(Ordering::Relaxed);
    loop {
        sleep(STUCK).await;
        let now = pulse.load(Ordering::Relaxed);
        if now == last {
            return;
        }
        last = now;
    }
}

#[cfg(test)]
mod tests;
