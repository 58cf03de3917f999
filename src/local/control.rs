//! The control interface of a separate local Discord: what [`super::LocalDiscord`] does, by HTTP. See `local`.

mod writing;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::world::{Id, Right};
use super::{DropGateway, Fault, Hub, Refused, UseCommand, rest};

type Shared = State<Arc<Hub>>;
type Answer = Result<Response, Response>;

pub(super) fn routes<S: Clone + Send + Sync + 'static>(hub: Arc<Hub>) -> Router<S> {
    Router::new()
        .route("/messages", get(messages))
        .route("/delete", post(delete))
        .route("/redeliver", post(redeliver))
        .route("/react", post(react))
        .route("/forbid", post(forbid))
        .route("/allow", post(allow))
        .route("/drop-gateway", post(drop_gateway))
        .route("/refuse-gateway", post(refuse_gateway))
        .route("/turn-sessions-away", post(turn_sessions_away))
        .route("/fail", post(fail))
        .route("/calls", get(calls))
        .route("/commands", get(commands))
        .route("/use", post(use_command))
        .route("/autocomplete", post(autocomplete))
        .route("/press", post(press))
        .route("/choose", post(choose))
        .route("/submit", post(submit))
        .route("/response", get(response))
        .merge(writing::routes())
        .with_state(hub)
}

/// Reads JSON whatever the content type says: `curl -d` says that it is a form.
#[expect(clippy::result_large_err, reason = "an answer is an answer")]
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Response> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response())
}

#[expect(clippy::result_large_err, reason = "an answer is an answer")]
fn done(found: bool) -> Answer {
    if found {
        Ok(Json(json!({})).into_response())
    } else {
        Err((StatusCode::NOT_FOUND, "no such message or channel\n").into_response())
    }
}

#[derive(Deserialize)]
struct InChannel {
    channel: String,
}

async fn messages(State(hub): Shared, Query(query): Query<InChannel>) -> Response {
    hub.change(|state| {
        let channel = state.channel_by_name(&query.channel);
        let all: Vec<_> = state.world.messages(channel).collect();
        Json(json!(all)).into_response()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfMessage {
    message: Id,
}

async fn delete(State(hub): Shared, body: Bytes) -> Answer {
    let body: OfMessage = read(&body)?;
    done(hub.change(|state| state.delete(body.message)))
}

async fn redeliver(State(hub): Shared, body: Bytes) -> Answer {
    let body: OfMessage = read(&body)?;
    done(hub.change(|state| state.deliver(body.message)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactBody {
    message: Id,
    user: String,
    emoji: String,
}

async fn react(State(hub): Shared, body: Bytes) -> Answer {
    let body: ReactBody = read(&body)?;
    done(hub.change(|state| {
        let user = state.world.user(&body.user, false);
        state.react(user, body.message, &body.emoji)
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RightBody {
    channel: String,
    right: Right,
}

async fn forbid(State(hub): Shared, body: Bytes) -> Answer {
    let body: RightBody = read(&body)?;
    done(hub.change(|state| {
        let channel = state.channel_by_name(&body.channel);
        state.set_right(channel, body.right, false)
    }))
}

async fn allow(State(hub): Shared, body: Bytes) -> Answer {
    let body: RightBody = read(&body)?;
    done(hub.change(|state| {
        let channel = state.channel_by_name(&body.channel);
        state.set_right(channel, body.right, true)
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropBody {
    how: DropGateway,
}

async fn drop_gateway(State(hub): Shared, body: Bytes) -> Answer {
    let body: DropBody = read(&body)?;
    hub.change(|state| state.sessions.drop_connections(body.how));
    done(true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefuseBody {
    connects: usize,
}

async fn refuse_gateway(State(hub): Shared, body: Bytes) -> Answer {
    let body: RefuseBody = read(&body)?;
    hub.change(|state| state.sessions.refuse = body.connects);
    done(true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnAwayBody {
    attempts: usize,
    how: DropGateway,
}

async fn turn_sessions_away(State(hub): Shared, body: Bytes) -> Answer {
    let body: TurnAwayBody = read(&body)?;
    hub.change(|state| state.sessions.turn_away = Some((body.attempts, body.how)));
    done(true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailBody {
    calls: usize,
    fault: FaultBody,
    #[serde(default)]
    only: String,
}

/// A [`Fault`] with its times in seconds.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum FaultBody {
    Status(u16),
    RateLimited { after: f64, global: bool },
    DropBefore,
    DropAfter,
    Delay(f64),
}

async fn fail(State(hub): Shared, body: Bytes) -> Answer {
    let body: FailBody = read(&body)?;
    let fault = match body.fault {
        FaultBody::Status(status) => Fault::Status(status),
        FaultBody::RateLimited { after, global } => {
            Fault::RateLimited { after: rest::seconds(after), global }
        }
        FaultBody::DropBefore => Fault::DropBefore,
        FaultBody::DropAfter => Fault::DropAfter,
        FaultBody::Delay(delay) => Fault::Delay(rest::seconds(delay)),
    };
    hub.change(|state| state.faults.plan(body.calls, fault, &body.only));
    done(true)
}

async fn calls(State(hub): Shared) -> Response {
    let state = hub.lock();
    let all = state
        .calls
        .iter()
        .map(|call| json!({ "method": call.method, "path": call.path, "status": call.status }));
    Json(all.collect::<serde_json::Value>()).into_response()
}

async fn commands(State(hub): Shared) -> Response {
    Json(json!(hub.lock().world.commands)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UseBody {
    /// None: direct messages.
    channel: Option<String>,
    user: String,
    name: String,
    subcommand: Option<String>,
    #[serde(default)]
    options: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    opened: bool,
    /// For autocomplete: the option that the person types in.
    focused: Option<String>,
}

impl UseBody {
    fn used(self, state: &mut super::State) -> UseCommand {
        let user = state.world.user(&self.user, false);
        let channel = match &self.channel {
            Some(name) => state.channel_by_name(name),
            None => state.direct(user),
        };
        let options = self.options.into_iter().collect();
        UseCommand {
            channel,
            user,
            name: self.name,
            subcommand: self.subcommand,
            options,
            opened: self.opened,
        }
    }
}

#[expect(clippy::result_large_err, reason = "an answer is an answer")]
fn interaction(id: Result<Id, Refused>) -> Answer {
    match id {
        Ok(id) => Ok(Json(json!({ "id": id })).into_response()),
        Err(refused) => Err((StatusCode::FORBIDDEN, format!("{refused}\n")).into_response()),
    }
}

async fn use_command(State(hub): Shared, body: Bytes) -> Answer {
    let body: UseBody = read(&body)?;
    interaction(hub.change(|state| {
        let used = body.used(state);
        state.use_command(&used)
    }))
}

async fn autocomplete(State(hub): Shared, body: Bytes) -> Answer {
    let body: UseBody = read(&body)?;
    let focused = body.focused.clone().unwrap_or_default();
    interaction(hub.change(|state| {
        let used = body.used(state);
        state.autocomplete(&used, &focused)
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PressBody {
    message: Id,
    user: String,
    custom_id: String,
    #[serde(default)]
    values: Vec<String>,
}

async fn press(State(hub): Shared, body: Bytes) -> Answer {
    let body: PressBody = read(&body)?;
    interaction(hub.change(|state| {
        let user = state.world.user(&body.user, false);
        state.press(body.message, user, &body.custom_id)
    }))
}

async fn choose(State(hub): Shared, body: Bytes) -> Answer {
    let body: PressBody = read(&body)?;
    interaction(hub.change(|state| {
        let user = state.world.user(&body.user, false);
        state.choose(body.message, user, &body.custom_id, &body.values)
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitBody {
    /// The one that was answered by the form.
    interaction: Id,
    #[serde(default)]
    values: serde_json::Map<String, serde_json::Value>,
}

async fn submit(State(hub): Shared, body: Bytes) -> Answer {
    let body: SubmitBody = read(&body)?;
    interaction(hub.change(|state| state.submit(body.interaction, &body.values)))
}

#[derive(Deserialize)]
struct OfInteraction {
    interaction: Id,
}

async fn response(State(hub): Shared, Query(query): Query<OfInteraction>) -> Response {
    Json(json!(hub.lock().world.response(query.interaction))).into_response()
}
