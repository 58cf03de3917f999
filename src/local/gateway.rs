//! The gateway: sessions that outlive their connections, and the WebSocket protocol.
//!
//! A session is a queue of numbered events. It is filled whether or not a connection is there; RESUME sends again
//! what came after the number that the bot has seen. Filling happens under the one lock of the world, so all
//! sessions see all events in one order; compressing and writing happen in the connection's own task, so nobody
//! waits for a slow reader.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::world::{Id, World};
use super::{Hub, What};

pub(super) const GUILDS: u64 = 1;
const GUILD_MEMBERS: u64 = 1 << 1;
const GUILD_PRESENCES: u64 = 1 << 8;
pub(super) const GUILD_MESSAGES: u64 = 1 << 9;
pub(super) const GUILD_MESSAGE_REACTIONS: u64 = 1 << 10;
pub(super) const GUILD_MESSAGE_TYPING: u64 = 1 << 11;
const MESSAGE_CONTENT: u64 = 1 << 15;
/// Every intent that Discord documents: bits 0 to 16, 20, 21, 24 and 25.
const ALL_INTENTS: u64 = 0x1_FFFF | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25;

/// How many sessions may begin in a day.
const FRESH_STARTS: u64 = 1000;
/// How many events a session keeps for a RESUME.
const KEPT: usize = 10_000;

/// How to disturb the gateway's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DropGateway {
    /// The TCP connection ends without a word. The session can be resumed.
    Cut,
    /// Discord asks to reconnect (op 7). The session can be resumed.
    Op7,
    /// Discord calls the session invalid (op 9): to be resumed, or gone.
    Op9 {
        /// Whether the session can be resumed.
        resumable: bool,
    },
    /// Discord closes with this code. With 4004, 4007, 4009 and 4010 to 4014 the session is gone.
    Close(u16),
    /// The connection stays open but falls silent, even to heartbeats. The session can be resumed.
    Silence,
}

/// What a connection's task is told to send or do.
enum Out {
    Event(Event),
    End(DropGateway),
}

/// One numbered event, as text.
#[derive(Clone)]
struct Event {
    seq: u64,
    text: Arc<str>,
    /// The message that a MESSAGE_CREATE is about.
    message: Option<Id>,
}

struct Session {
    id: String,
    intents: u64,
    compress: bool,
    seq: u64,
    sent: VecDeque<Event>,
    /// The connection, while there is one.
    live: Option<UnboundedSender<Out>>,
}

impl Session {
    fn push(&mut self, name: &str, body: &Value, message: Option<Id>) {
        self.seq += 1;
        let text = json!({ "op": 0, "s": self.seq, "t": name, "d": body }).to_string();
        let event = Event { seq: self.seq, text: text.into(), message };
        if self.sent.len() == KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back(event.clone());
        if let Some(live) = &self.live {
            // A connection that has just ended: the event waits for a RESUME.
            let _ = live.send(Out::Event(event));
        }
    }

    fn sees_content(&self) -> bool {
        self.intents & MESSAGE_CONTENT != 0
    }
}

/// All sessions, and what is planned for the next connections.
#[derive(Default)]
pub(super) struct Sessions {
    all: Vec<Session>,
    made: u64,
    /// How many of the next connections are refused with 503.
    pub(super) refuse: usize,
    /// How the next IDENTIFYs and RESUMEs are turned away.
    pub(super) turn_away: Option<(usize, DropGateway)>,
    /// When each IDENTIFY and (`true`) each RESUME came.
    pub(super) asked: Vec<(bool, Instant)>,
    /// How many sessions may still begin, and until when; none: as many as anybody wants.
    pub(super) starts: Option<(u64, Instant)>,
    /// When each MESSAGE_CREATE was written to a connection.
    pub(super) written: Vec<(Id, Instant)>,
}

impl Sessions {
    /// Sends an event to every session that asked for it, or to all with no intent. `body` is told whether the session sees every text.
    pub(super) fn dispatch(
        &mut self,
        intent: u64,
        name: &str,
        message: Option<Id>,
        body: impl Fn(bool) -> Value,
    ) {
        for session in self.all.iter_mut().filter(|session| intent == 0 || session.intents & intent != 0) {
            let body = body(session.sees_content());
            session.push(name, &body, message);
        }
    }

    /// Whether a bot is connected now.
    pub(super) fn connected(&self) -> bool {
        self.all.iter().any(|session| session.live.is_some())
    }

    pub(super) fn drop_connections(&mut self, how: DropGateway) {
        for session in &mut self.all {
            if let Some(live) = session.live.take() {
                let _ = live.send(Out::End(how));
            }
        }
        let gone = match how {
            DropGateway::Cut | DropGateway::Op7 | DropGateway::Silence => false,
            DropGateway::Op9 { resumable } => !resumable,
            DropGateway::Close(code) => matches!(code, 4004 | 4007 | 4009..=4014),
        };
        if gone {
            self.all.clear();
        }
    }

    /// Counts an IDENTIFY or RESUME; returns how to turn it away, if it is to be.
    fn turned_away(&mut self, resumes: bool) -> Option<DropGateway> {
        let now = Instant::now();
        self.asked.push((resumes, now));
        if let Some((left, until)) = &mut self.starts
            && !resumes
        {
            *left = if now < *until { left.saturating_sub(1) } else { FRESH_STARTS };
        }
        let (left, how) = self.turn_away.as_mut()?;
        *left = left.checked_sub(1)?;
        Some(*how)
    }

    /// How many sessions may still begin, and when the count starts again.
    pub(super) fn starts(&self) -> (u64, Duration) {
        let day = Duration::from_secs(24 * 60 * 60);
        let left = self.starts.map(|(left, until)| (left, until.saturating_duration_since(Instant::now())));
        left.filter(|(_, time)| !time.is_zero()).unwrap_or((FRESH_STARTS, day))
    }

    fn identify(&mut self, world: &World, identify: &Identify, live: UnboundedSender<Out>) -> String {
        // A bot that identifies afresh never comes back to a session without a connection.
        self.all.retain(|session| session.live.is_some());
        self.made += 1;
        let id = format!("{:032x}", (u128::from(world.guild.get()) << 64) | u128::from(self.made));
        let mut session = Session {
            id: id.clone(),
            intents: identify.intents,
            compress: identify.compress,
            seq: 0,
            sent: VecDeque::new(),
            live: Some(live),
        };
        let guild = json!({ "id": world.guild, "unavailable": true });
        let guilds: Vec<Value> = (!world.thrown_out).then_some(guild).into_iter().collect();
        let ready = json!({
            "v": 10,
            "user": world.me_json(),
            "guilds": guilds,
            "session_id": id,
            "resume_gateway_url": world.url.replacen("http", "ws", 1),
            "session_type": "normal",
            "shard": identify.shard.unwrap_or([0, 1]),
            "application": world.partial_application_json(),
            "private_channels": [],
            "presences": [],
            "relationships": [],
            "user_settings": {},
            "geo_ordered_rtc_regions": [],
            "_trace": [],
        });
        session.push("READY", &ready, None);
        if identify.intents & GUILDS != 0 && !world.thrown_out {
            session.push("GUILD_CREATE", &world.guild_event_json(), None);
        }
        self.all.push(session);
        id
    }

    /// Resumes a session: sends again what came after `seq`. False if that is no longer possible.
    fn resume(&mut self, resume: &Resume, live: UnboundedSender<Out>) -> Option<bool> {
        let session = self.all.iter_mut().find(|session| session.id == resume.session_id)?;
        let oldest = session.sent.front().map_or(session.seq + 1, |event| event.seq);
        if resume.seq > session.seq || resume.seq + 1 < oldest {
            return None;
        }
        for event in session.sent.iter().filter(|event| event.seq > resume.seq) {
            let _ = live.send(Out::Event(event.clone()));
        }
        session.live = Some(live);
        session.push("RESUMED", &json!({ "_trace": [] }), None);
        Some(session.compress)
    }

    /// The connection of a session has ended, if it is still this one. `forget`: the bot said good-bye.
    fn disconnected(&mut self, id: &str, live: &UnboundedSender<Out>, forget: bool) {
        let mine = |session: &Session| {
            session.id == id && session.live.as_ref().is_none_or(|other| other.same_channel(live))
        };
        if forget {
            self.all.retain(|session| !mine(session));
        } else if let Some(session) = self.all.iter_mut().find(|session| mine(session)) {
            session.live = None;
        }
    }
}

#[derive(Deserialize)]
struct Incoming {
    op: u8,
    #[serde(default)]
    d: Value,
}

#[derive(Deserialize)]
struct Identify {
    token: String,
    intents: u64,
    #[serde(default)]
    compress: bool,
    shard: Option<[u64; 2]>,
}

#[derive(Deserialize)]
struct Resume {
    token: String,
    session_id: String,
    seq: u64,
}

/// Why a connection ends.
enum End {
    /// The peer is gone, or never was more than a socket.
    Gone,
    /// The peer closed with this code.
    ClosedByPeer(u16),
    /// We close, with a code and a reason.
    Close(u16, &'static str),
    /// A test asked for it.
    Planned(DropGateway),
}

/// The handler of the WebSocket's route.
pub(super) async fn connect(State(hub): State<Arc<Hub>>, upgrade: WebSocketUpgrade) -> Response {
    let refused = hub.change(|state| {
        let refused = state.sessions.refuse > 0;
        state.sessions.refuse = state.sessions.refuse.saturating_sub(1);
        refused
    });
    if refused {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade.on_upgrade(|socket| async move {
        let mut connection = Connection { hub, socket, compress: false, session: None, silent: false };
        let (live, mut queue) = unbounded_channel();
        let Err(end) = connection.run(&live, &mut queue).await;
        connection.end(end, &live).await;
    })
}

struct Connection {
    hub: Arc<Hub>,
    socket: WebSocket,
    compress: bool,
    session: Option<String>,
    silent: bool,
}

impl Connection {
    async fn run(
        &mut self,
        live: &UnboundedSender<Out>,
        queue: &mut UnboundedReceiver<Out>,
    ) -> Result<Infallible, End> {
        let interval = self.hub.heartbeat.as_millis() as u64;
        self.send(
            json!({ "op": 10, "s": null, "t": null, "d": { "heartbeat_interval": interval, "_trace": [] } }),
        )
        .await?;
        loop {
            tokio::select! {
                // The queue cannot end: `live` is one of its senders.
                Some(out) = queue.recv() => match out {
                    Out::Event(event) => self.write(&event).await?,
                    Out::End(DropGateway::Silence) => self.silent = true,
                    Out::End(how) => return Err(End::Planned(how)),
                },
                frame = self.socket.recv() => match frame {
                    Some(Ok(Frame::Close(frame))) => {
                        return Err(End::ClosedByPeer(frame.map_or(1005, |frame| frame.code)));
                    }
                    Some(Ok(Frame::Text(text))) => self.take(text.as_bytes(), live).await?,
                    Some(Ok(Frame::Binary(bytes))) => self.take(&bytes, live).await?,
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                    Some(Err(_)) | None => return Err(End::Gone),
                },
            }
        }
    }

    /// Handles one frame from the bot.
    async fn take(&mut self, frame: &[u8], live: &UnboundedSender<Out>) -> Result<(), End> {
        if self.silent {
            return Ok(());
        }
        let bad = |_| End::Close(4002, "Error while decoding payload.");
        let incoming: Incoming = serde_json::from_slice(frame).map_err(bad)?;
        match incoming.op {
            1 => self.send(json!({ "op": 11, "s": null, "t": null, "d": null })).await,
            2 => self.identify(serde_json::from_value(incoming.d).map_err(bad)?, live),
            6 => self.resume(serde_json::from_value(incoming.d).map_err(bad)?, live).await,
            // Presence, voice state, members, soundboard: heard and not acted upon.
            3 | 4 | 8 | 31 if self.session.is_some() => Ok(()),
            3 | 4 | 8 | 31 => Err(End::Close(4003, "Not authenticated.")),
            _ => Err(End::Close(4001, "Unknown opcode.")),
        }
    }

    fn identify(&mut self, identify: Identify, live: &UnboundedSender<Out>) -> Result<(), End> {
        if self.session.is_some() {
            return Err(End::Close(4005, "Already authenticated."));
        }
        let token = identify.token.strip_prefix("Bot ").unwrap_or(&identify.token);
        if token != self.hub.token {
            return Err(End::Close(4004, "Authentication failed."));
        }
        if identify.intents & !ALL_INTENTS != 0 {
            return Err(End::Close(4013, "Invalid intent(s)."));
        }
        self.compress = identify.compress;
        if let Some(how) = self.hub.change(|state| state.sessions.turned_away(false)) {
            return Err(End::Planned(how));
        }
        let id = self.hub.change(|state| {
            let allowed = if state.world.message_content { MESSAGE_CONTENT } else { 0 };
            if identify.intents & (GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT) & !allowed != 0 {
                return Err(End::Close(4014, "Disallowed intent(s)."));
            }
            let id = state.sessions.identify(&state.world, &identify, live.clone());
            state.note(None, What::Connected { resumed: false });
            Ok(id)
        })?;
        self.session = Some(id);
        Ok(())
    }

    async fn resume(&mut self, resume: Resume, live: &UnboundedSender<Out>) -> Result<(), End> {
        if self.session.is_some() {
            return Err(End::Close(4005, "Already authenticated."));
        }
        let token = resume.token.strip_prefix("Bot ").unwrap_or(&resume.token);
        if token != self.hub.token {
            return Err(End::Close(4004, "Authentication failed."));
        }
        if let Some(how) = self.hub.change(|state| state.sessions.turned_away(true)) {
            return Err(End::Planned(how));
        }
        let resumed = self.hub.change(|state| {
            let compress = state.sessions.resume(&resume, live.clone())?;
            state.note(None, What::Connected { resumed: true });
            Some(compress)
        });
        match resumed {
            Some(compress) => {
                self.compress = compress;
                self.session = Some(resume.session_id);
                Ok(())
            }
            None => self.send(json!({ "op": 9, "s": null, "t": null, "d": false })).await,
        }
    }

    async fn write(&mut self, event: &Event) -> Result<(), End> {
        let frame = self.frame(&event.text)?;
        if let Some(message) = event.message {
            // Taken before the bytes leave: the reader may be quicker than our return.
            let now = Instant::now();
            self.hub.lock().sessions.written.push((message, now));
        }
        self.socket.send(frame).await.map_err(|_| End::Gone)
    }

    async fn send(&mut self, payload: Value) -> Result<(), End> {
        let frame = self.frame(&payload.to_string())?;
        self.socket.send(frame).await.map_err(|_| End::Gone)
    }

    /// With `compress`, every payload is one whole zlib message in a binary frame.
    fn frame(&self, text: &str) -> Result<Frame, End> {
        if !self.compress {
            return Ok(Frame::text(text));
        }
        let mut zlib = ZlibEncoder::new(Vec::with_capacity(text.len() / 2), Compression::fast());
        let packed = zlib.write_all(text.as_bytes()).and_then(|()| zlib.finish());
        packed.map(Frame::binary).map_err(|_| End::Gone)
    }

    async fn end(mut self, end: End, live: &UnboundedSender<Out>) {
        // 1000 and 1001 are a good-bye; with any other code, and without one, the session can be resumed.
        let forget = match end {
            End::ClosedByPeer(code) => matches!(code, 1000 | 1001),
            End::Close(..) => true,
            End::Gone | End::Planned(_) => false,
        };
        if let Some(session) = &self.session {
            self.hub.change(|state| {
                state.sessions.disconnected(session, live, forget);
                state.note(None, What::Disconnected);
            });
        }
        match end {
            End::Gone | End::ClosedByPeer(_) | End::Planned(DropGateway::Cut | DropGateway::Silence) => {}
            End::Close(code, reason) => self.close(code, reason).await,
            End::Planned(DropGateway::Close(code)) => self.close(code, "").await,
            End::Planned(DropGateway::Op7) => {
                let sent = self.send(json!({ "op": 7, "s": null, "t": null, "d": null })).await;
                self.drain(sent).await;
            }
            End::Planned(DropGateway::Op9 { resumable }) => {
                let sent = self.send(json!({ "op": 9, "s": null, "t": null, "d": resumable })).await;
                self.drain(sent).await;
            }
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
        let sent = self.socket.send(frame).await.map_err(|_| End::Gone);
        self.drain(sent).await;
    }

    /// Reads on until the peer has hung up: closing a socket with unread bytes would reset it, and the peer might never
    /// see what we sent last.
    async fn drain(&mut self, sent: Result<(), End>) {
        let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        if sent.is_ok() && tokio::time::timeout(Duration::from_secs(2), rest).await.is_err() {
            tracing::debug!("the bot did not hang up");
        }
    }
}

#[cfg(test)]
impl Sessions {
    /// A session without a connection that sees everything.
    pub(super) fn identify_with_all_intents(&mut self, world: &World) {
        let identify = Identify { token: String::new(), intents: ALL_INTENTS, compress: false, shard: None };
        self.identify(world, &identify, unbounded_channel().0);
    }

    /// Every payload of the first session.
    pub(super) fn sent_texts(&self) -> Vec<Arc<str>> {
        self.all[0].sent.iter().map(|event| event.text.clone()).collect()
    }
}
