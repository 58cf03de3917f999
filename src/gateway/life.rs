//! One life of serenity's gateway client, on a thread of its own: one session with Discord, with all its resumes.
//!
//! serenity would begin new sessions by itself, one every five seconds, for ever; Discord gives a thousand a day. So it
//! gets no chance to: the queue in which its `ShardManager` starts runners waits for an address that never comes, and
//! the one runner is ours. Once that one gives up its session, the life is over. Resumes are serenity's own,
//! and cost nothing with Discord; but it would try them without a pause, so it gets the address once a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serenity::all::{
    ConnectionStage, Context, Event, GatewayIntents, HttpBuilder, RawEventHandler, Shard, ShardId, ShardInfo,
    ShardManager, ShardManagerOptions, ShardMessenger, ShardRunner, ShardRunnerInfo, ShardRunnerMessage,
    ShardRunnerOptions, async_trait,
};
use tokio::sync::{Mutex, RwLock, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{GatewayError, event, interaction};

/// How long a client may be without a connection before it is replaced by a fresh one.
const UNCONNECTED: Duration = Duration::from_secs(90);
/// How long the first connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// The least time between two further connections.
const APART: Duration = Duration::from_secs(1);
/// How long closing the session may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// What every life begins with.
pub(super) struct Plan {
    pub(super) token: String,
    pub(super) intents: GatewayIntents,
    pub(super) http: reqwest::Client,
    pub(super) events: mpsc::UnboundedSender<Box<Event>>,
    /// Where interactions go, with the moment at which they came.
    pub(super) urgent: mpsc::UnboundedSender<(std::time::Instant, Box<Event>)>,
}

/// How a life ended.
#[derive(Debug)]
pub(super) enum LifeEnd {
    Asked,
    /// There was no connection, and so no IDENTIFY.
    Unreached(String),
    /// The session is over.
    Over(&'static str),
    /// A retry would not help.
    Fatal(GatewayError),
}

/// A running client.
pub(super) struct Life {
    /// Asks it to end.
    pub(super) stop: CancellationToken,
    /// Resolves when it has ended; with an error if its thread panicked.
    pub(super) ended: oneshot::Receiver<LifeEnd>,
    /// Counts up every second as long as the thread is not stuck.
    pub(super) pulse: Arc<AtomicU64>,
}

impl Life {
    /// Starts a client that connects to the gateway at `url`.
    pub(super) fn begin(plan: &Plan, url: String) -> std::io::Result<Self> {
        let (stop, pulse) = (CancellationToken::new(), Arc::<AtomicU64>::default());
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let forward = Arc::new(Forward { events: plan.events.clone(), urgent: plan.urgent.clone() });
        let http = HttpBuilder::new(&plan.token).client(plan.http.clone()).ratelimiter_disabled(true).build();
        let session = GatewaySession {
            url,
            token: plan.token.clone(),
            intents: plan.intents,
            http: Arc::new(http),
            forward,
        };
        let live = session.live(stop.clone(), Arc::clone(&pulse));
        std::thread::Builder::new().name("gateway".to_owned()).spawn(move || {
            let how = runtime.block_on(live);
            runtime.shutdown_background();
            // Nobody waits for a client that was given up.
            drop(end.send(how));
        })?;
        Ok(Self { stop, ended, pulse })
    }
}

/// What one session is made of.
struct GatewaySession {
    url: String,
    token: String,
    intents: GatewayIntents,
    http: Arc<serenity::http::Http>,
    forward: Arc<Forward>,
}

impl GatewaySession {
    async fn live(self, stop: CancellationToken, pulse: Arc<AtomicU64>) -> LifeEnd {
        tokio::spawn(beat(pulse));
        let url = Arc::new(Mutex::new(self.url.clone()));
        let info = ShardInfo { id: ShardId(0), total: 1 };
        // Not serenity's `Client`: should its GET /gateway fail, that one silently goes to discord.com, whatever the
        // api_url.
        let shard = tokio::select! {
            () = stop.cancelled() => return LifeEnd::Asked,
            shard = timeout(CONNECT, Shard::new(Arc::clone(&url), &self.token, info, self.intents, None)) => match shard {
                Ok(Ok(shard)) => shard,
                Ok(Err(error)) => return LifeEnd::Unreached(format!("{:#}", anyhow::Error::from(error))),
                Err(_) => return LifeEnd::Unreached("the gateway does not answer".to_owned()),
            },
        };
        tokio::spawn(give_once_a_second(url));
        let (manager, messenger, mut run) = self.start(shard).await;
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut connected, mut last_connected) = (false, Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    messenger.send_to_shard(ShardRunnerMessage::Shutdown(info.id, 1000));
                    if timeout(GOOD_BYE, &mut run).await.is_err() {
                        debug!("Discord did not close the session in time");
                    }
                    // What the runner has read is still to be forwarded, by tasks that were spawned before this one was woken.
                    tokio::task::yield_now().await;
                    return LifeEnd::Asked;
                }
                ended = &mut run => return match ended {
                    Ok(Err(serenity::Error::Gateway(error))) => fatal(&error),
                    Ok(_) => LifeEnd::Over("the session is over"),
                    Err(_) => LifeEnd::Over("serenity panicked"),
                },
                _ = tick.tick() => {
                    let stage = manager.runners.lock().await.get(&info.id).map(|runner| runner.stage);
                    let now = stage == Some(ConnectionStage::Connected);
                    if connected && !now {
                        info!("the connection to Discord is lost; connecting again");
                    }
                    connected = now;
                    if connected {
                        last_connected = Instant::now();
                    } else if last_connected.elapsed() > UNCONNECTED {
                        return LifeEnd::Over("no connection");
                    }
                }
            }
        }
    }

    /// Runs a shard that is connected. Its runner ends when it wants a new session.
    async fn start(
        &self,
        shard: Shard,
    ) -> (Arc<ShardManager>, ShardMessenger, JoinHandle<serenity::Result<()>>) {
        let data = Arc::new(RwLock::default());
        let handlers: Vec<Arc<dyn RawEventHandler>> = vec![self.forward.clone()];
        let never = Arc::new(Mutex::new(String::new()));
        let (manager, returned) = ShardManager::new(ShardManagerOptions {
            data: Arc::clone(&data),
            event_handlers: Vec::new(),
            raw_event_handlers: Vec::new(),
            shard_index: 0,
            shard_init: 0,
            shard_total: 1,
            ws_url: Arc::clone(&never),
            http: Arc::clone(&self.http),
            intents: self.intents,
            presence: None,
        });
        tokio::spawn(async move {
            // The runner reports the same, but serenity logs an error if nobody receives it.
            let (_kept, _returned) = (never.lock().await, returned);
            std::future::pending::<()>().await;
        });
        let mut runner = ShardRunner::new(ShardRunnerOptions {
            data,
            event_handlers: Vec::new(),
            raw_event_handlers: handlers,
            manager: Arc::clone(&manager),
            shard,
            http: Arc::clone(&self.http),
        });
        let messenger = ShardMessenger::new(&runner);
        let known = ShardRunnerInfo {
            latency: None,
            runner_tx: messenger.clone(),
            stage: ConnectionStage::Handshake,
        };
        manager.runners.lock().await.insert(ShardId(0), known);
        // Else a runner that wants a new session would first wait for itself to shut down, for five seconds.
        manager.shutdown_finished(ShardId(0));
        (manager, messenger, tokio::spawn(async move { runner.run().await }))
    }
}

/// Counts up every second.
async fn beat(pulse: Arc<AtomicU64>) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        pulse.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands the address to whoever waits for it, one at a time, and holds it in between: tokio's mutexes are fair.
async fn give_once_a_second(url: Arc<Mutex<String>>) {
    loop {
        let kept = url.lock().await;
        sleep(APART).await;
        drop(kept);
    }
}

fn fatal(error: &serenity::gateway::GatewayError) -> LifeEnd {
    use serenity::gateway::GatewayError as Theirs;
    match error {
        Theirs::InvalidAuthentication => LifeEnd::Fatal(GatewayError::Token),
        Theirs::DisallowedGatewayIntents | Theirs::InvalidGatewayIntents => {
            LifeEnd::Fatal(GatewayError::Intents)
        }
        other => {
            warn!("the gateway client ended: {other}");
            LifeEnd::Over("serenity ended by itself")
        }
    }
}

/// Passes events on. It must not wait before it has sent: see the module's text on order.
struct Forward {
    events: mpsc::UnboundedSender<Box<Event>>,
    urgent: mpsc::UnboundedSender<(std::time::Instant, Box<Event>)>,
}

#[async_trait]
impl RawEventHandler for Forward {
    async fn raw_event(&self, _: Context, event: Event) {
        // Nobody listens any more when the bot is stopping.
        if interaction::is_one(&event) {
            drop(self.urgent.send((std::time::Instant::now(), Box::new(event))));
        } else if event::is_wanted(&event) {
            drop(self.events.send(Box::new(event)));
        }
    }
}
