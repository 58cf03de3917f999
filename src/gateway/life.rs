//! One life of serenity's gateway client, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serenity::all::{
    ConnectionStage, Context, Event, GatewayIntents, HttpBuilder, RawEventHandler, ShardId, ShardManager,
    ShardManagerOptions, async_trait,
};
use tokio::sync::{Mutex, RwLock, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{GatewayError, event, interaction};

/// How long a client may be without a connection before it is replaced by a fresh one.
const UNCONNECTED: Duration = Duration::from_secs(90);
/// How long a polite good-bye may take.
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
pub(super) enum End {
    /// It was asked to.
    Asked,
    /// Trying again may help.
    Passing(&'static str),
    /// Trying again would not help.
    Fatal(GatewayError),
}

/// A running client.
pub(super) struct Life {
    /// Asks it to end.
    pub(super) stop: CancellationToken,
    /// Resolves when it has ended; with an error if its thread panicked.
    pub(super) ended: oneshot::Receiver<End>,
    /// Counts up every second as long as the thread is not stuck.
    pub(super) pulse: Arc<AtomicU64>,
}

impl Life {
    /// Starts a client that connects to the gateway at `url`.
    pub(super) fn begin(plan: &Plan, url: String) -> std::io::Result<Self> {
        let (stop, pulse) = (CancellationToken::new(), Arc::<AtomicU64>::default());
        let (end, ended) = oneshot::channel();
        let http = HttpBuilder::new(&plan.token).client(plan.http.clone()).ratelimiter_disabled(true).build();
        let options = ShardManagerOptions {
            data: Arc::new(RwLock::default()),
            event_handlers: Vec::new(),
            raw_event_handlers: vec![Arc::new(Forward {
                events: plan.events.clone(),
                urgent: plan.urgent.clone(),
            })],
            shard_index: 0,
            shard_init: 1,
            shard_total: 1,
            ws_url: Arc::new(Mutex::new(url)),
            http: Arc::new(http),
            intents: plan.intents,
            presence: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let live = live(options, stop.clone(), Arc::clone(&pulse));
        std::thread::Builder::new().name("gateway".to_owned()).spawn(move || {
            let how = runtime.block_on(live);
            runtime.shutdown_background();
            // Nobody waits for an abandoned life.
            drop(end.send(how));
        })?;
        Ok(Self { stop, ended, pulse })
    }
}

async fn live(options: ShardManagerOptions, stop: CancellationToken, pulse: Arc<AtomicU64>) -> End {
    // Not serenity's `Client`: should its GET /gateway fail, that one silently goes to discord.com, whatever
    // the api_url.
    let (manager, mut returned) = ShardManager::new(options);
    if manager.initialize().is_err() {
        return End::Passing("serenity does not start");
    }
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut connected, mut last_connected) = (false, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                if timeout(GOOD_BYE, manager.shutdown_all()).await.is_err() {
                    debug!("Discord did not say good-bye");
                }
                return End::Asked;
            }
            value = returned.next() => return match value {
                Some(Err(error)) => fatal(&error),
                _ => End::Passing("serenity ended by itself"),
            },
            _ = tick.tick() => {
                pulse.fetch_add(1, Ordering::Relaxed);
                let stage = manager.runners.lock().await.get(&ShardId(0)).map(|runner| runner.stage);
                let now = stage == Some(ConnectionStage::Connected);
                if connected && !now {
                    info!("the connection to Discord is lost; connecting again");
                }
                connected = now;
                if connected {
                    last_connected = Instant::now();
                } else if last_connected.elapsed() > UNCONNECTED {
                    return End::Passing("no connection");
                }
            }
        }
    }
}

fn fatal(error: &serenity::gateway::GatewayError) -> End {
    use serenity::gateway::GatewayError as Theirs;
    match error {
        Theirs::InvalidAuthentication => End::Fatal(GatewayError::Token),
        Theirs::DisallowedGatewayIntents | Theirs::InvalidGatewayIntents => End::Fatal(GatewayError::Intents),
        other => {
            warn!("the gateway client ended: {other}");
            End::Passing("serenity ended by itself")
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
