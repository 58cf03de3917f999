//! One session with Discord's gateway, with all its resumes: <https://discord.com/developers/docs/events/gateway>.
//!
//! Whatever a connection ends by, it is followed by another one that resumes the session, once a second at most, which
//! costs nothing with Discord; unless Discord says that the session is over, or that a retry would not help. When the next
//! session begins is the supervisor's business.
//!
//! Events are passed on as the JSON that they are, by the task that reads them, so in the order in which they came.

use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message as Frame, frame::coding::CloseCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{GatewayError, event, interaction};

/// How long there may be no connection before the session is given up.
const UNCONNECTED: Duration = Duration::from_secs(90);
/// How long a connection, and Discord's greeting on it, may take.
const CONNECT: Duration = Duration::from_secs(20);
/// The least time between two connections.
const APART: Duration = Duration::from_secs(1);
/// How long a frame may take to be written.
const WRITE: Duration = Duration::from_secs(10);
/// How long closing the session may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// The opcodes: <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway>.
const DISPATCH: u8 = 0;
const HEARTBEAT: u8 = 1;
const IDENTIFY: u8 = 2;
const RESUME: u8 = 6;
const RECONNECT: u8 = 7;
const INVALID_SESSION: u8 = 9;
const HELLO: u8 = 10;
const HEARTBEAT_ACK: u8 = 11;

/// What every session begins with.
pub(super) struct Plan {
    pub(super) token: String,
    pub(super) intents: u64,
    pub(super) events: mpsc::UnboundedSender<Dispatch>,
    /// Where interactions go, with the moment at which they came.
    pub(super) urgent: mpsc::UnboundedSender<(std::time::Instant, Value)>,
}

/// An event as it came.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) name: String,
    pub(super) data: Value,
}

/// How a session ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    Asked,
    /// There was no connection, and so no IDENTIFY.
    Unreached(String),
    /// Discord has ended it, or it was lost.
    Over(&'static str),
    /// A retry would not help.
    Fatal(GatewayError),
}

/// How a connection ended.
enum ConnectionEnd {
    /// The session may be resumed.
    Lost(&'static str),
    Session(SessionEnd),
}

/// What resumes a session.
struct Resumable {
    id: String,
    seq: u64,
}

/// A frame of Discord's.
#[derive(Deserialize)]
struct Payload {
    op: u8,
    #[serde(default)]
    d: Value,
    s: Option<u64>,
    t: Option<String>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Begins a session at the gateway's address, and keeps it until it ends or is to end.
pub(super) async fn live(plan: &Plan, url: &str, stop: &CancellationToken) -> SessionEnd {
    let address = format!("{}/?v=10&encoding=json", url.trim_end_matches('/'));
    let mut session = None;
    let mut last_connected = Instant::now();
    loop {
        let begun = Instant::now();
        let connected = tokio::select! {
            () = stop.cancelled() => return SessionEnd::Asked,
            connected = timeout(CONNECT, connect_async(&address)) => connected,
        };
        let failed = match connected {
            Ok(Ok((socket, _))) => {
                let mut connection = Connection { socket, heartbeat: None, acknowledged: true };
                let why = match connection.run(plan, &mut session, stop).await {
                    ConnectionEnd::Session(end) => return end,
                    ConnectionEnd::Lost(why) => why,
                };
                if session.is_none() {
                    return SessionEnd::Over(why);
                }
                if connection.heartbeat.is_some() {
                    last_connected = Instant::now();
                    info!("the connection to Discord is lost; connecting again: {why}");
                }
                None
            }
            Ok(Err(error)) => Some(format!("{:#}", anyhow::Error::from(error))),
            Err(_) => Some("the gateway does not answer".to_owned()),
        };
        if let Some(why) = failed {
            if session.is_none() {
                return SessionEnd::Unreached(why);
            }
            debug!("cannot connect to Discord again: {why}");
        }
        if last_connected.elapsed() > UNCONNECTED {
            return SessionEnd::Over("no connection");
        }
        tokio::select! {
            () = stop.cancelled() => return SessionEnd::Asked,
            () = sleep_until(begun + APART) => {}
        }
    }
}

struct Connection {
    socket: Socket,
    /// Since Discord's greeting.
    heartbeat: Option<Interval>,
    /// Whether Discord has answered the last heartbeat.
    acknowledged: bool,
}

impl Connection {
    async fn run(
        &mut self,
        plan: &Plan,
        session: &mut Option<Resumable>,
        stop: &CancellationToken,
    ) -> ConnectionEnd {
        let greeted_until = Instant::now() + CONNECT;
        loop {
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.say_good_bye().await;
                    return ConnectionEnd::Session(SessionEnd::Asked);
                }
                () = beat(&mut self.heartbeat) => {
                    if self.acknowledged { self.send_heartbeat(session).await } else { Err("no heartbeat came back") }
                }
                () = sleep_until(greeted_until), if self.heartbeat.is_none() => Err("no greeting came"),
                frame = self.socket.next() => match frame {
                    Some(Ok(Frame::Text(text))) => match self.take(&text, plan, session).await {
                        Ok(()) => Ok(()),
                        Err(end) => return end,
                    },
                    Some(Ok(Frame::Close(frame))) => return closed(frame.as_ref()),
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => {
                        debug!("the connection to Discord has failed: {error}");
                        Err("it failed")
                    }
                    None => Err("it ended"),
                },
            };
            if let Err(why) = end {
                return ConnectionEnd::Lost(why);
            }
        }
    }

    /// What one frame says.
    async fn take(
        &mut self,
        text: &str,
        plan: &Plan,
        session: &mut Option<Resumable>,
    ) -> Result<(), ConnectionEnd> {
        let Payload { op, d, s, t } = match serde_json::from_str(text) {
            Ok(payload) => payload,
            Err(error) => {
                warn!("a frame from Discord is not understood: {error}");
                return Ok(());
            }
        };
        let sent = match op {
            DISPATCH => {
                take_event(t.unwrap_or_default(), s, d, plan, session);
                Ok(())
            }
            HEARTBEAT => self.send_heartbeat(session).await,
            RECONNECT => Err("Discord asks for it"),
            INVALID_SESSION if d == true => Err("Discord asks for it"),
            INVALID_SESSION => {
                return Err(ConnectionEnd::Session(SessionEnd::Over("Discord has ended the session")));
            }
            HELLO => {
                let period = Duration::from_millis(d["heartbeat_interval"].as_u64().unwrap_or(0).max(1));
                let mut heartbeat = interval_at(Instant::now() + period.mul_f64(jitter()), period);
                heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                self.heartbeat = Some(heartbeat);
                self.send(&greeting(plan, session.as_ref())).await
            }
            HEARTBEAT_ACK => {
                self.acknowledged = true;
                Ok(())
            }
            other => {
                debug!("a frame of the unknown kind {other} is ignored");
                Ok(())
            }
        };
        sent.map_err(ConnectionEnd::Lost)
    }

    async fn send_heartbeat(&mut self, session: &Option<Resumable>) -> Result<(), &'static str> {
        self.acknowledged = false;
        self.send(&json!({"op": HEARTBEAT, "d": session.as_ref().map(|session| session.seq)})).await
    }

    async fn send(&mut self, payload: &Value) -> Result<(), &'static str> {
        match timeout(WRITE, self.socket.send(Frame::Text(payload.to_string()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err("it takes nothing"),
        }
    }

    /// Ends the session: the close code says that it is not to be resumed.
    async fn say_good_bye(&mut self) {
        let bye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let closing = async {
            self.socket.close(Some(bye)).await?;
            while let Some(frame) = self.socket.next().await {
                frame?;
            }
            Ok::<_, tokio_tungstenite::tungstenite::Error>(())
        };
        if !matches!(timeout(GOOD_BYE, closing).await, Ok(Ok(()))) {
            debug!("Discord did not close the session in time");
        }
    }
}

/// IDENTIFY for a new session, RESUME for one that is there.
fn greeting(plan: &Plan, session: Option<&Resumable>) -> Value {
    match session {
        Some(Resumable { id, seq }) => {
            json!({"op": RESUME, "d": {"token": plan.token, "session_id": id, "seq": seq}})
        }
        None => json!({"op": IDENTIFY, "d": {
            "token": plan.token, "intents": plan.intents, "shard": [0, 1],
            "properties": {"os": std::env::consts::OS, "browser": "moonlane", "device": "moonlane"},
        }}),
    }
}

fn take_event(name: String, seq: Option<u64>, data: Value, plan: &Plan, session: &mut Option<Resumable>) {
    if name == "READY" {
        let id = data["session_id"].as_str().unwrap_or_default().to_owned();
        *session = Some(Resumable { id, seq: 0 });
    }
    if let (Some(session), Some(seq)) = (session, seq) {
        session.seq = seq;
    }
    // Nobody listens any more when the bot is stopping.
    if name == interaction::NAME {
        drop(plan.urgent.send((std::time::Instant::now(), data)));
    } else if event::is_wanted(&name) {
        drop(plan.events.send(Dispatch { name, data }));
    }
}

/// What Discord means by closing with this code:
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>.
fn closed(frame: Option<&CloseFrame<'_>>) -> ConnectionEnd {
    let Some(frame) = frame else { return ConnectionEnd::Lost("Discord has closed it") };
    ConnectionEnd::Session(match u16::from(frame.code) {
        4004 => SessionEnd::Fatal(GatewayError::Token),
        4013 | 4014 => SessionEnd::Fatal(GatewayError::Intents),
        4007 | 4009 => SessionEnd::Over("Discord has ended the session"),
        code @ 4010..=4012 => {
            warn!("Discord has closed the session with {code}: {}", frame.reason);
            SessionEnd::Over("Discord does not take the session")
        }
        _ => return ConnectionEnd::Lost("Discord has closed it"),
    })
}

/// Resolves when a heartbeat is due.
async fn beat(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(heartbeat) => drop(heartbeat.tick().await),
        None => std::future::pending().await,
    }
}

/// Something between 0 and 1: Discord does not want all bots' first heartbeats at once.
fn jitter() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    f64::from(now.subsec_micros() % 1000) / 1000.0
}
