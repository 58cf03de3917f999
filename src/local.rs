//! A small Discord of our own, on loopback: REST v10 and the gateway, with Discord's rules and its bad days.
//!
//! The playground and the whole-bot tests run against it, in the same process through [`LocalDiscord`], or as a
//! separate process: `moonlane local-discord --listen 127.0.0.1:4800`. It knows nothing of moonlane.
//!
//! # Layout
//! - `values`: what goes in and out of [`LocalDiscord`]
//! - `world`, `message`, `id`: the guild as plain data, its messages and files, and its ids
//! - `acts`: everything that can happen in it; `rules`: what Discord refuses
//! - `people`: what people write; `threads`: threads and posts of forums; `files`: what files are and how they are served
//! - `commands`: what the bot registers; `layout`: its embeds and components; `form`: how their mistakes are reported
//! - `interactions`: what people do with them; `responses`: what the bot answers; `modal`: forms and their submission
//! - `shape`, `message_json`: the world as Discord's JSON
//! - `rest`, `channels`, `webhooks`: the calls that a bot makes; `body`: what they carry; `limits`: how many it may make
//! - `gateway`: sessions and the WebSocket
//! - `connection`: connections that can be cut
//! - `control`: the HTTP interface for a separate process
//!
//! # How it works
//! All state is behind one lock, and everything that happens happens under it in one short step: the world changes,
//! the log gets its entry, every session its event. So the log, the order of events and the answers agree, and a
//! test that has seen one of them may rely on the others. Nothing is written to a socket under the lock.
//!
//! The log only grows. A test waits for something in it with [`LocalDiscord::wait_for`], which looks at the log as
//! a whole: nothing is missed by looking late.
//!
//! # What it leaves out
//! Shards, speech, more than one bot, a second guild beyond its channels; the limits of identifies and of invalid requests;
//! version-2 components are not checked; threads go into the archive only by hand, and forums have no required tags; forms have no rows, files, or menus of users and channels; a late
//! heartbeat is forgiven.
//!
//! # Control by HTTP
//! Channels and users go by name and are created on demand; `parent/name` is a thread.
//! ```text
//! C=http://127.0.0.1:4800/control
//! curl $C/say -d '{"channel": "general", "user": "owner", "text": "hello", "mention": true}'     # → {"id": "…"}
//! curl $C/say -d '{"channel": "general/idea", "user": "anna", "text": "and?", "reply_to": "1234"}'
//! curl $C/say -d '{"channel": "general", "user": "anna", "mention": true, "files": [{"name": "a.txt", "text": "hello"}]}'
//! #   a file's "path": it has what is in that file here; its "fault": {"status": 404}, {"redirect": "http://…"}, "slow",
//! #   "never_ends", {"more_bytes": 9}, {"fewer_bytes": 1}, {"cut_after": 3}; also {"stickers": ["wave"]}, {"voice": 2.5},
//! #   {"forward_of": "1234"}, {"embeds": [{"title": "t"}]}, {"poll": {"question": "when?", "answers": ["now", "later"]}}
//! curl $C/attach -d '{"message": "1234", "files": [{"name": "b.txt", "text": "more"}]}'
//! curl $C/detach -d '{"message": "1234", "name": "b.txt"}'
//! curl $C/break-file -d '{"message": "1234", "name": "a.txt", "fault": "slow"}'
//! curl $C/boost -d '{"level": 2}'                                  # a file may have 10 MiB; at 2 50 MiB, at 3 100 MiB
//! curl $C/open-thread -d '{"message": "1234", "user": "anna", "name": "idea"}'
//! curl $C/close-thread -d '{"channel": "general/idea", "how": "archived"}'   # or "locked"; null opens it again
//! curl $C/add-to-thread -d '{"channel": "general/idea", "user": "moonlane"}'   # also /remove-from-thread
//! curl $C/post-in-forum -d '{"channel": "help", "title": "It fails", "tags": ["bug"], "user": "anna", "text": "why?"}'
//! curl "$C/messages?channel=general"                               # → [{"id": "…", "author": …, "content": …}, …]
//! curl $C/edit -d '{"message": "1234", "text": "hello there"}'
//! curl $C/delete -d '{"message": "1234"}'
//! curl $C/redeliver -d '{"message": "1234"}'                       # the same MESSAGE_CREATE once more
//! curl $C/react -d '{"message": "1234", "user": "anna", "emoji": "👍"}'
//! curl $C/forbid -d '{"channel": "general", "right": "post"}'      # view, post, history, attach, react, threads
//! curl $C/allow -d '{"channel": "general", "right": "post"}'
//! curl $C/drop-gateway -d '{"how": "cut"}'      # op7, silence, {"op9": {"resumable": true}}, {"close": 4000}
//! curl $C/refuse-gateway -d '{"connects": 2}'
//! curl $C/turn-sessions-away -d '{"attempts": 2, "how": {"close": 4009}}'
//! curl $C/fail -d '{"calls": 1, "fault": {"status": 500}, "only": "POST /channels"}'
//! #   faults: "drop_before", "drop_after", {"status": 500}, {"rate_limited": {"after": 2.5, "global": false}},
//! #   {"delay": 2.5}
//! curl $C/commands                                                 # as they are registered
//! curl $C/use -d '{"channel": "general", "user": "owner", "name": "model", "options": {"name": "opus"}}'  # → {"id": "…"}
//! curl $C/autocomplete -d '{"channel": "general", "user": "owner", "name": "model", "options": {"name": "o"}, "focused": "name"}'
//! curl $C/press -d '{"message": "1234", "user": "anna", "custom_id": "yes"}'
//! curl $C/choose -d '{"message": "1234", "user": "anna", "custom_id": "which", "values": ["a"]}'
//! curl $C/submit -d '{"interaction": "1234", "values": {"why": "because", "tests": ["unit"]}}'   # the form that answered it
//! curl "$C/response?interaction=1234"           # → null, or {"acknowledged_after": "4ms", "message": …, …}
//! #   without a channel, a command is used in direct messages
//! curl $C/calls                                 # → [{"method": "POST", "path": "…", "status": 200}, …]
//! ```

mod acts;
mod body;
mod channels;
mod commands;
mod connection;
mod control;
mod files;
mod form;
mod gateway;
mod id;
mod interactions;
mod layout;
mod limits;
mod message;
mod message_json;
mod modal;
mod people;
mod responses;
mod rest;
mod rules;
mod shape;
#[cfg(test)]
mod tests;
mod threads;
mod values;
mod webhooks;
mod world;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use commands::Command;
pub use gateway::DropGateway;
pub use interactions::{Refused, UseCommand};
pub use modal::{check_filled, field_in};
pub use responses::Response;
pub use values::{Call, Event, Fault, Options, RateLimits, Say, What};
pub use world::{
    Attachment, Closed, EPHEMERAL, File, FileFault, HAS_THREAD, Id, LOADING, Message, Owner, Poll, Right,
    SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, Sticker, Thread, VOICE_MESSAGE,
};

use connection::{Connections, Cut, CuttableListener};
use gateway::Sessions;
use limits::Limits;
use responses::Patience;
use rest::Faults;
use world::{ChannelKind, World};

/// A running local Discord. When the last clone is dropped, it stops and every connection ends.
#[derive(Clone)]
pub struct LocalDiscord {
    running: Arc<Running>,
}

struct Running {
    hub: Arc<Hub>,
    connections: Connections,
    server: JoinHandle<()>,
}

impl Running {
    fn stop(&self) {
        self.server.abort();
        self.connections.cut_all();
    }
}

impl std::ops::Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl LocalDiscord {
    /// Starts to listen.
    ///
    /// # Errors
    /// If it cannot listen on the address.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let hub = Arc::new(Hub {
            state: Mutex::new(State {
                world: World::new(url.clone(), options.owner, options.message_content),
                sessions: Sessions::default(),
                limits: Limits::new(options.rate_limits == RateLimits::On),
                faults: Faults::default(),
                log: Vec::new(),
                calls: Vec::new(),
            }),
            changes: watch::Sender::new(0),
            url,
            token: options.token,
            heartbeat: options.heartbeat,
            patience: Patience { acknowledge: options.acknowledge, token: options.interaction_token },
        });
        let connections = Connections::default();
        let listener = CuttableListener { listener, connections: connections.clone() };
        let routes = rest::routes(hub.clone()).nest("/control", control::routes(hub.clone()));
        let server = tokio::spawn(async move {
            let service = routes.into_make_service_with_connect_info::<Cut>();
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "the local Discord stopped");
            }
        });
        Ok(Self { running: Arc::new(Running { hub, connections, server }) })
    }

    fn hub(&self) -> &Hub {
        &self.running.hub
    }

    /// Stops listening and cuts every connection, though handles are left: Discord is down.
    pub fn stop(&self) {
        self.running.stop();
    }

    /// Its address, such as `http://127.0.0.1:4800`: the bot's `api_url`.
    pub fn url(&self) -> &str {
        &self.hub().url
    }

    /// The bot's token.
    pub fn token(&self) -> &str {
        &self.hub().token
    }

    /// The bot's user.
    pub fn bot_id(&self) -> Id {
        self.hub().lock().world.bot
    }

    /// The bot's own (managed) role.
    pub fn bot_role(&self) -> Id {
        self.hub().lock().world.bot_role
    }

    /// The user "owner", who owns the application, or the team that owns it.
    pub fn owner(&self) -> Id {
        self.hub().lock().world.owner
    }

    /// The guild.
    pub fn guild(&self) -> Id {
        self.hub().lock().world.guild
    }

    /// The channel of this name, created on demand; `parent/name` is a thread.
    pub fn channel(&self, name: &str) -> Id {
        self.hub().change(|state| state.channel_by_name(name))
    }

    /// The forum of this name, created on demand. People write in its threads.
    pub fn forum(&self, name: &str) -> Id {
        self.channel_of_kind(ChannelKind::Forum, name)
    }

    /// The media channel of this name, created on demand: a forum for pictures.
    pub fn media_channel(&self, name: &str) -> Id {
        self.channel_of_kind(ChannelKind::Media, name)
    }

    /// The voice channel of this name, created on demand; one can write in it too.
    pub fn voice_channel(&self, name: &str) -> Id {
        self.channel_of_kind(ChannelKind::Voice, name)
    }

    /// The announcement channel of this name, created on demand.
    pub fn announcement_channel(&self, name: &str) -> Id {
        self.channel_of_kind(ChannelKind::Announcement, name)
    }

    fn channel_of_kind(&self, kind: ChannelKind, name: &str) -> Id {
        self.hub().change(|state| state.channel_of(state.world.guild, kind, name))
    }

    /// Another guild, into which somebody has taken the bot.
    pub fn other_guild(&self) -> Id {
        self.hub().lock().world.other_guild
    }

    /// The channel of this name in the other guild, created on demand.
    pub fn channel_elsewhere(&self, name: &str) -> Id {
        self.hub().change(|state| state.channel_of(state.world.other_guild, ChannelKind::Text, name))
    }

    /// The direct messages between the bot and a user, created on demand.
    pub fn direct(&self, user: Id) -> Id {
        self.hub().change(|state| state.direct(user))
    }

    /// Deletes a channel, with its threads. False if there is no such channel.
    pub fn delete_channel(&self, channel: Id) -> bool {
        self.hub().change(|state| state.delete_channel(channel))
    }

    /// The user of this name, created on demand.
    pub fn user(&self, name: &str) -> Id {
        self.hub().change(|state| state.world.user(name, false))
    }

    /// Another bot of this name, created on demand.
    pub fn other_bot(&self, name: &str) -> Id {
        self.hub().change(|state| state.world.user(name, true))
    }

    /// The name of a channel or thread.
    pub fn channel_name(&self, channel: Id) -> Option<String> {
        self.hub().lock().world.channels.get(&channel).map(|channel| channel.name.clone())
    }

    /// The name of a user, or of the bot.
    pub fn name_of(&self, user: Id) -> Option<String> {
        self.hub().lock().world.users.get(&user).map(|user| user.name.clone())
    }

    /// The role of this name, created on demand.
    pub fn role(&self, name: &str) -> Id {
        self.hub().change(|state| state.role(name))
    }

    /// Gives a user a role; seen in the user's next message. False if there is no such user.
    pub fn give_role(&self, user: Id, role: Id) -> bool {
        self.hub()
            .change(|state| state.world.users.get_mut(&user).map(|user| user.roles.insert(role)).is_some())
    }

    /// Takes a role from a user; seen in the user's next message. False if there is no such user.
    pub fn take_role(&self, user: Id, role: Id) -> bool {
        self.hub()
            .change(|state| state.world.users.get_mut(&user).map(|user| user.roles.remove(&role)).is_some())
    }

    /// Hands the guild and the application over to another user, without telling the bot.
    pub fn hand_over(&self, user: Id) {
        self.hub().change(|state| state.world.owner = user);
    }

    /// Lets the members of a role do more: Discord's bits, such as 1 << 13 to manage messages. False if there is no such
    /// role.
    pub fn permit(&self, role: Id, permissions: u64) -> bool {
        self.hub().change(|state| state.permit(role, permissions))
    }

    /// Lets one person do more in a channel and its threads. False if there is no such channel.
    pub fn permit_in(&self, channel: Id, user: Id, permissions: u64) -> bool {
        let permit =
            |channel: &mut world::Channel| *channel.permitted.entry(user).or_default() |= permissions;
        self.hub().change(|state| state.change_channel(channel, permit))
    }

    /// Somebody deletes a message. False if there is no such message.
    pub fn delete(&self, message: Id) -> bool {
        self.hub().change(|state| state.delete(message))
    }

    /// A moderator deletes messages of one channel in one go. How many there were.
    pub fn delete_bulk(&self, channel: Id, messages: &[Id]) -> usize {
        self.hub().change(|state| state.delete_bulk(channel, messages))
    }

    /// Somebody reacts. False if there is no such message.
    pub fn react(&self, user: Id, message: Id, emoji: &str) -> bool {
        self.hub().change(|state| state.react(user, message, emoji))
    }

    /// Dispatches a message's MESSAGE_CREATE again, as Discord does now and then after a resume. False if there is no
    /// such message.
    pub fn redeliver(&self, message: Id) -> bool {
        self.hub().change(|state| state.deliver(message))
    }

    /// The messages of a channel as they stand there now, oldest first; the ephemeral ones among them.
    pub fn messages(&self, channel: Id) -> Vec<Message> {
        self.hub().lock().world.messages(channel).cloned().collect()
    }

    /// One message as it is now.
    pub fn message(&self, id: Id) -> Option<Message> {
        self.hub().lock().world.message(id).cloned()
    }

    /// A message's file, by the file's id.
    pub fn file(&self, id: Id) -> Option<File> {
        self.hub().lock().world.files.get(&id).cloned()
    }

    /// Everything that has happened.
    pub fn log(&self) -> Vec<Event> {
        self.hub().lock().log.clone()
    }

    /// Waits until `look` finds in the log what it looks for. It is called with the whole log, now and after every
    /// change; it sets no time limit.
    pub async fn wait_for<T>(&self, mut look: impl FnMut(&[Event]) -> Option<T>) -> T {
        self.wait_until(|local| look(&local.hub().lock().log)).await
    }

    /// The same for anything else that can be observed: the calls, the messages, whether the bot is connected …
    pub async fn wait_until<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.hub().changes.subscribe();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            // It cannot fail: the sender lives in the hub, and so as long as we do.
            let _ = changes.changed().await;
        }
    }

    /// Waits until the bot has posted this many messages in the channel; returns them as they are now, oldest first.
    pub async fn answers(&self, channel: Id, count: usize) -> Vec<Message> {
        let posted = |event: &&Event| {
            event.channel == Some(channel) && matches!(&event.what, What::Posted(it) if it.by_bot)
        };
        self.wait_for(|log| (log.iter().filter(posted).count() >= count).then_some(())).await;
        self.messages(channel).into_iter().filter(|message| message.by_bot).collect()
    }

    /// Waits until the bot is connected to the gateway.
    pub async fn connected(&self) {
        self.wait_until(|local| local.is_connected().then_some(())).await;
    }

    /// Whether the bot is connected to the gateway.
    pub fn is_connected(&self) -> bool {
        self.hub().lock().sessions.connected()
    }

    /// Every REST call so far, and every file that was fetched, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.hub().lock().calls.clone()
    }

    /// When each MESSAGE_CREATE was written to a connection (right before its bytes left).
    pub fn gateway_sends(&self) -> Vec<(Id, Instant)> {
        self.hub().lock().sessions.written.clone()
    }

    /// Forgets the nonces, as Discord does after some minutes.
    pub fn forget_nonces(&self) {
        self.hub().change(|state| state.world.nonces.clear());
    }

    /// Takes a right from the bot in a channel and its threads. False if there is no such channel.
    pub fn forbid(&self, channel: Id, right: Right) -> bool {
        self.hub().change(|state| state.set_right(channel, right, false))
    }

    /// Gives it back. False if there is no such channel.
    pub fn allow(&self, channel: Id, right: Right) -> bool {
        self.hub().change(|state| state.set_right(channel, right, true))
    }

    /// The file server loses every file that was attached so far; messages still refer to them.
    pub fn lose_files(&self) {
        self.hub().change(|state| state.world.files.clear());
    }

    /// Makes calls fail: the next ones, this many, whose method and path (`POST /channels/…`) contain `only`. Fetching a
    /// file (`GET /attachments/…`) can only be delayed or refused.
    pub fn fail_next(&self, calls: usize, fault: Fault, only: &str) {
        self.hub().change(|state| state.faults.plan(calls, fault, only));
    }

    /// Cancels every planned fault.
    pub fn heal(&self) {
        self.hub().change(|state| state.faults = Faults::default());
    }

    /// Lets this much time pass, on its own clock only.
    pub fn pass_time(&self, time: Duration) {
        self.hub().change(|state| state.world.ahead += time);
    }

    /// Throws the bot out of the guild.
    pub fn throw_out(&self) {
        self.hub().change(|state| {
            state.world.thrown_out = true;
            let body = serde_json::json!({ "id": state.world.guild });
            state.sessions.dispatch(0, "GUILD_DELETE", None, |_| body.clone());
        });
    }

    /// Disturbs the gateway's connections.
    pub fn drop_gateway(&self, how: DropGateway) {
        self.hub().change(|state| state.sessions.drop_connections(how));
    }

    /// Refuses the next connections to the gateway, with 503.
    pub fn refuse_gateway(&self, connects: usize) {
        self.hub().change(|state| state.sessions.refuse = connects);
    }

    /// Answers the next attempts of the bot to begin or resume a session in this way.
    pub fn turn_sessions_away(&self, attempts: usize, how: DropGateway) {
        self.hub().change(|state| state.sessions.turn_away = Some((attempts, how)));
    }

    /// Allows the bot this many new sessions within this time, and tells it.
    pub fn allow_sessions(&self, starts: u64, within: Duration) {
        self.hub().change(|state| state.sessions.starts = Some((starts, Instant::now() + within)));
    }

    /// When the bot has asked for a session with IDENTIFY.
    pub fn identifies(&self) -> Vec<Instant> {
        let hub = self.hub().lock();
        hub.sessions.asked.iter().filter(|(resumes, _)| !resumes).map(|(_, at)| *at).collect()
    }

    /// When the bot has asked to resume a session with RESUME.
    pub fn resumes(&self) -> Vec<Instant> {
        let hub = self.hub().lock();
        hub.sessions.asked.iter().filter(|(resumes, _)| *resumes).map(|(_, at)| *at).collect()
    }
}

/// All that there is, behind one lock.
struct State {
    world: World,
    sessions: Sessions,
    limits: Limits,
    faults: Faults,
    log: Vec<Event>,
    calls: Vec<Call>,
}

impl State {
    /// Writes something into the log.
    fn note(&mut self, channel: Option<Id>, what: What) {
        self.log.push(Event { at: Instant::now(), channel, what });
    }

    /// The channel of this name, created on demand; `parent/name` is a thread.
    fn channel_by_name(&mut self, name: &str) -> Id {
        match name.split_once('/') {
            Some((parent, thread)) => {
                let parent = self.channel(None, parent);
                self.channel(Some(parent), thread)
            }
            None => self.channel(None, name),
        }
    }
}

/// What the server's tasks share.
struct Hub {
    state: Mutex<State>,
    /// Counts the changes, to wake those who wait.
    changes: watch::Sender<u64>,
    url: String,
    token: String,
    heartbeat: Duration,
    patience: Patience,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Does something under the lock, then wakes those who wait.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    fn gateway_url(&self) -> String {
        self.url.replacen("http", "ws", 1)
    }
}
