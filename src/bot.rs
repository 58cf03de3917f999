//! The whole bot, put together in the order in which its parts need each other.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::agent::{Agents, guard};
use crate::command::{self, Commands, UnderWay};
use crate::config::Config;
use crate::domain::{ChannelId, MessageId};
use crate::files::Files;
use crate::gate::Gate;
use crate::gateway::{self, Gateway, GatewayError};
use crate::host;
use crate::lane::Lanes;
use crate::logging::chain;
use crate::outbox::{self, Identity, Notify, Outbox, Patience, Post};
use crate::panics::{Panic, Panics};
use crate::redact::Redactor;
use crate::reload::{self, Reloader};
use crate::respond::{Responders, Times};
use crate::script::{ScriptProblem, ScriptSet};
use crate::store::{OpenError, Store, StoreError};
use crate::turn::{Settled, TurnDeps, Turns};
use crate::words;

/// How often the files of old messages are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often old, finished messages are removed.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a starting bot waits for its commands to be registered.
const REGISTER_WITHIN: Duration = Duration::from_secs(2);
/// How often the bot marks that it is alive.
const MARK_EVERY: Duration = Duration::from_secs(60);
/// How long a stopping bot waits for the message that it is taking in.
const TAKE_IN_WITHIN: Duration = Duration::from_secs(1);
/// How long it then waits for turns and commands. What a turn has not posted by then is posted after the next start.
const SHUT_DOWN_WITHIN: Duration = Duration::from_millis(6500);
/// How long it then waits for the last news to operators.
const TELL_WITHIN: Duration = Duration::from_secs(2);

/// Why the bot did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The scripts have errors; every one of them is here.
    #[error("the scripts have errors")]
    Scripts(Vec<ScriptProblem>),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Discord's REST API refused or could not be reached.
    #[error(transparent)]
    Outbox(#[from] outbox::ConnectError),
    /// The gateway refused or could not be reached.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// It was told to stop meanwhile.
    #[error("it was told to stop while it started")]
    Stopped,
}

/// Why a running bot cannot go on; one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The connection to Discord has ended for good.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A mistake in moonlane itself. Another start may get past it.
    #[error("a bug in moonlane: {0}")]
    Panicked(Panic),
}

/// A bot that is connected and takes in messages.
pub struct Bot {
    turns: Turns,
    commands: Commands,
    gateway: Gateway,
    /// Takes in messages.
    serve: AbortOnDropHandle<()>,
    /// Takes in commands and presses.
    answer: AbortOnDropHandle<()>,
    /// Cancelled once what the last run left is taken up.
    recovered: CancellationToken,
    stop_serving: CancellationToken,
    reloader: Reloader,
    /// Where every task here reports its panics; the store and the gateway's client have their own way.
    panics: Panics,
    /// The tasks that end with the bot.
    tasks: Vec<AbortOnDropHandle<()>>,
    /// Posts what operators should read.
    news: Option<(CancellationToken, AbortOnDropHandle<()>)>,
}

/// What a bot still needs while it starts.
struct ToBegin {
    me: Identity,
    /// How many channels have a project, in words.
    routed: String,
    /// Told when the commands were registered for the first time, or could not be.
    registered: oneshot::Receiver<()>,
    gate: Gate,
    /// Where operators read, and what they are to read.
    news: Option<(ChannelId, mpsc::UnboundedReceiver<String>)>,
}

impl Bot {
    /// Starts the bot: scripts, store, Discord; then what the last run left, then new messages. Returns once it is
    /// ready. `redactor` is applied to all that is posted; if the log has it too, no secret that agents get is logged.
    /// `settled` hears of every message that is settled; `stop` ends the start in good order.
    ///
    /// # Errors
    /// Whatever makes it impossible to run; nothing is left behind then.
    pub async fn start(
        config: &Config,
        token: &str,
        redactor: Redactor,
        settled: Option<mpsc::UnboundedSender<(MessageId, Settled)>>,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        // Nobody can have used anything before Discord is connected, so there is nobody to tell.
        let (mut bot, rest) = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(StartError::Stopped),
            connected = Self::connect(config, token, redactor, settled) => connected?,
        };
        let begun = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            begun = bot.begin(rest) => Some(begun?),
        };
        match begun {
            Some(()) => Ok(bot),
            None => {
                bot.shut_down().await;
                Err(StartError::Stopped)
            }
        }
    }

    /// Puts the bot together and begins to connect. Nothing that comes in is looked at before [`Bot::begin`].
    async fn connect(
        config: &Config,
        token: &str,
        redactor: Redactor,
        settled: Option<mpsc::UnboundedSender<(MessageId, Settled)>>,
    ) -> Result<(Self, ToBegin), StartError> {
        let started = Instant::now();
        let panics = Panics::default();
        let (news, to_post) = mpsc::unbounded_channel();
        let (reloader, scripts) =
            Reloader::start(config, news.clone(), &panics).await.map_err(StartError::Scripts)?;
        warn_of_exposed_token(config, token, &scripts.borrow());
        let store = Store::open(&config.store_path)?;
        for missing in guard::missing_kernel_pieces() {
            warn!("the kernel has {missing}");
        }
        let patience = Patience {
            request: config.discord.request_limit,
            first_answer: config.discord.first_answer,
            ..Patience::default()
        };
        let outbox = Outbox::with_patience(&config.discord.api_url, token, patience)?;
        let outbox = outbox.redacting(redactor.clone());
        let me = outbox.whoami().await?;

        let routed = reload::routed(&scripts.borrow());
        // Before any lane opens.
        let environment = std::env::vars_os();
        let agents =
            Agents::after_earlier_bots(&config.store_path, config.agent.clone(), environment, redactor).await;
        let (interactions, interacted) = mpsc::unbounded_channel();
        let (rereads, to_reread) = mpsc::unbounded_channel();
        let discord = outbox.interactions(me.application);
        let responders = Responders::new(discord.clone(), Times::default());
        let gate = Gate::new(
            outbox.clone(),
            me.owners.clone(),
            config.discord.guilds.clone(),
            config.discord.gate_times,
        );
        let files = Files::new(config.files.clone());
        let message_content = reloader.message_content(me.message_content);
        let turns = Turns::new(TurnDeps {
            scripts,
            store,
            lanes: Lanes::new(config.agent.max_running, config.share.running),
            transcriber: agents.transcriber(config.voice.clone()),
            agents,
            outbox: outbox.clone(),
            files,
            me: me.user,
            share: config.share,
            gate: gate.clone(),
            keep_trying: config.discord.keep_trying,
            live_times: config.discord.live_times,
            min_free: config.min_free.as_u64(),
            message_content,
            rereads,
            news,
            settled,
        });
        let commands = Commands::new(command::CommandDeps {
            turns: turns.clone(),
            reloader: reloader.clone(),
            discord,
            responders,
            guilds: config.discord.guilds.clone(),
            started,
            uses: UnderWay::new(config.share.commands),
            dialogs: UnderWay::new(config.share.dialogs),
        });
        let (tried, registered) = oneshot::channel();
        let registering = panics.spawn("the command registration", commands.clone().keep_registered(tried));

        let (inbound, messages) = mpsc::unbounded_channel();
        let (missed, older) = mpsc::unbounded_channel();
        let start = gateway::GatewayOptions {
            token: token.to_owned(),
            me: me.user,
            message_content,
            store: turns.store.clone(),
            panics: panics.clone(),
            missed,
            rereads: to_reread,
        };
        let gateway = gateway::start(start, outbox.clone(), inbound, interactions).await?;
        let (recovered, stop_serving) = (CancellationToken::new(), CancellationToken::new());
        let answer = panics.spawn("the command handler", {
            let (commands, recovered) = (commands.clone(), recovered.clone());
            async move {
                tokio::select! {
                    () = recovered.cancelled() => {}
                    // Whoever has used one by now is told.
                    () = commands.responders.closing() => {}
                }
                commands.serve(interacted).await;
            }
        });
        let serve = panics.spawn("the message intake", {
            let (turns, recovered, stop) = (turns.clone(), recovered.clone(), stop_serving.clone());
            async move {
                tokio::select! {
                    () = recovered.cancelled() => turns.serve(messages, older, stop).await,
                    () = stop.cancelled() => {}
                }
            }
        });
        let channel = config.scripts.notify_channel;
        let rest = ToBegin { me, routed, registered, gate, news: channel.map(|channel| (channel, to_post)) };
        let tasks = vec![registering];
        let bot = Self {
            turns,
            commands,
            gateway,
            serve,
            answer,
            recovered,
            stop_serving,
            reloader,
            panics,
            tasks,
            news: None,
        };
        Ok((bot, rest))
    }

    /// Waits until Discord is connected, takes up what the last run left, and then what has come in meanwhile.
    async fn begin(&mut self, rest: ToBegin) -> Result<(), StartError> {
        let ToBegin { me, routed, registered, gate, news } = rest;
        self.gateway.ready().await?;
        // Only now: a start that fails must not begin turns just to end them.
        self.turns.recover().await?;
        self.recovered.cancel();
        let store = &self.turns.store;
        self.tasks.extend([
            self.panics.spawn("the liveness marker", stay_marked_alive(store.clone())),
            self.panics.spawn("the cleanup of old messages", clean_up_daily(store.clone())),
            self.panics.spawn("the cleanup of kept files", sweep_hourly(self.turns.files.clone())),
            self.panics.spawn("the owner lookup", gate.keep_owners()),
        ]);
        self.news = news.map(|(channel, to_post)| {
            let stop = CancellationToken::new();
            let posting = post_news(self.turns.outbox.clone(), channel, to_post, stop.clone());
            (stop, self.panics.spawn("the operator notifier", posting))
        });
        // Usually the commands are there by the time the bot is ready. Messages do not wait for them.
        if timeout(REGISTER_WITHIN, registered).await.is_err() {
            warn!("Discord has not accepted the commands yet; trying again in the background");
        }
        info!(name = %me.name, channels = %routed, invite = %me.invite(), "ready");
        Ok(())
    }

    /// The scripts in force, and the way to load them anew.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Runs one more task for as long as the bot runs.
    pub fn keep(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(self.panics.spawn(what, task));
    }

    /// Resolves only if the bot cannot go on, with the reason, which operators are told. Shut the bot down then.
    pub async fn failed(&mut self) -> Failed {
        let failed = tokio::select! {
            error = self.gateway.stopped() => Failed::Gateway(error),
            why = self.turns.store.panicked() => Failed::Panicked(Panic { what: "a database job", why }),
            panic = self.panics.first() => Failed::Panicked(panic),
        };
        // Nobody listens if there is no channel for it.
        drop(self.turns.news.send(words::stopping(&failed)));
        failed
    }

    /// Stops: no new turns and commands; those that run are ended, and whoever waits for them is told; everything is
    /// written. Takes at most ten seconds.
    pub async fn shut_down(self) {
        let Self {
            turns,
            commands,
            gateway,
            mut serve,
            answer,
            recovered,
            stop_serving,
            reloader,
            panics: _,
            tasks,
            news,
        } = self;
        drop(reloader);
        // Commands first: none may start a turn while turns are ended.
        commands.close();
        stop_serving.cancel();
        // What takes longer hangs on a Discord that does not answer.
        let _ = timeout(TAKE_IN_WITHIN, &mut serve).await;
        let commands = async {
            gateway.shut_down().await;
            // It ends once the gateway no longer sends anything, and has answered what had come in.
            let _ = answer.await;
            commands.ended().await;
        };
        // At the same time, or what hangs in one would use up the time of the others. The turns first, so that
        // each knows that it is the bot that stops.
        let spoken = async { tokio::join!(turns.shut_down(), commands) };
        let (spoken, ()) = tokio::join!(timeout(SHUT_DOWN_WITHIN, spoken), turns.agents.close_all());
        if spoken.is_err() {
            warn!("not everything could be posted in time; the rest follows after the next start");
        }
        drop(tasks);
        if let Some((stop, posting)) = news {
            stop.cancel();
            let _ = timeout(TELL_WITHIN, posting).await;
        }
        // Otherwise it has looked at nothing that came in since the last run, and was away all the same.
        if recovered.is_cancelled() {
            turns.store.mark_alive();
        }
        turns.store.close().await;
        info!("stopped");
    }
}

/// Warns of places where agents could find the token. Nothing waits for this.
fn warn_of_exposed_token(config: &Config, token: &str, scripts: &ScriptSet) {
    let projects: Vec<_> = scripts.projects().map(|project| project.dir.clone()).collect();
    let (config, token) = (config.clone(), token.to_owned());
    tokio::task::spawn_blocking(move || {
        for place in host::exposed_token(&token, &config, &projects) {
            warn!("{place}");
        }
    });
}

/// Marks every minute that the bot is alive, so that the next bot knows how long it was away.
async fn stay_marked_alive(store: Store) {
    loop {
        store.mark_alive();
        tokio::time::sleep(MARK_EVERY).await;
    }
}

/// Removes old, finished messages once a day; [`Store::open`] does so at the start.
async fn clean_up_daily(store: Store) {
    loop {
        tokio::time::sleep(CLEAN_UP_EVERY).await;
        match store.forget_old().await {
            Ok(count) => info!(count, "deleted old messages"),
            Err(error) => {
                warn!(error = chain(&error), "cannot delete old messages; next try in a day")
            }
        }
    }
}

/// Removes the files of old messages, at the start and then once an hour.
async fn sweep_hourly(files: Files) {
    loop {
        let swept = files.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || swept.sweep()).await {
            warn!(%error, "cannot remove the files of old messages; next try in an hour");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Posts what the operators should read, one after the other; after `stop`, only what is there by then. It answers nobody:
/// what is not posted when the bot stops is still in the log.
async fn post_news(
    outbox: Outbox,
    channel: ChannelId,
    mut news: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = news.recv() => next,
            () = stop.cancelled() => return,
        };
        let Some(content) = next else { return };
        let nonce = format!("news-{:016x}", uuid::Uuid::new_v4().as_u64_pair().0);
        let post =
            Post { content, nonce, reply_to: None, notify: Notify::Channel, file: None, rows: Vec::new() };
        if let Err(error) = outbox.post(channel, post).await {
            warn!(%channel, %error, "cannot post to `scripts.notify_channel`");
        }
    }
}

#[cfg(test)]
mod tests;
