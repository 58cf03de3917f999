//! REST under /api/v10, and the files of messages under /attachments.
//!
//! Every call passes one gate, in this order: it is recorded, its token is checked, a planned fault hits it, its rate
//! limit counts it. Then the handler acts. Calls about interactions have their token in the path, and no limit.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Json, Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, DATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Answer, LARGEST_BODY, Shared, draft};
use super::connection::Cut;
use super::limits::{Exceeded, Kind};
use super::rules::Refusal;
use super::world::{Id, Right};
use super::{Call, Fault, Hub, channels, files, gateway, webhooks};

/// All routes that the bot uses.
pub(super) fn routes(hub: Arc<Hub>) -> Router {
    let message = get(one_message).patch(edit_message).delete(delete_message);
    let api = Router::new()
        .route("/gateway", get(gateway_url))
        .route("/gateway/bot", get(gateway_bot))
        .route("/users/@me", get(me))
        .route("/applications/@me", get(application))
        .route("/oauth2/applications/@me", get(application))
        .route("/users/@me/guilds", get(guilds))
        .route("/guilds/{guild}", get(guild))
        .route("/guilds/{guild}/members/{user}", get(member))
        .route("/channels/{channel}/messages", get(messages).post(create_message))
        .route("/channels/{channel}/messages/{message}", message)
        .route("/channels/{channel}/messages/{message}/reactions/{emoji}/@me", put(react).delete(unreact))
        .route("/channels/{channel}/typing", post(typing))
        .merge(channels::routes())
        .merge(webhooks::routes())
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({ "message": "404: Not Found", "code": 0 }))))
        .method_not_allowed_fallback(async || {
            (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "message": "405: Method Not Allowed", "code": 0 })))
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(hub.clone(), gate));
    Router::new()
        .nest("/api/v10", api)
        .route("/attachments/{channel}/{id}/{name}", get(files::served))
        .route("/", get(gateway::connect))
        .with_state(hub)
}

/// What every call passes.
async fn gate(
    State(hub): Shared,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
    next: Next,
) -> Response {
    let at = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let path = uri.path_and_query().map_or(uri.path(), |it| it.as_str()).to_owned();
    let authorization = request.headers().get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let by_token = webhooks::by_token(uri.path());
    let known = by_token || authorization.and_then(|it| it.strip_prefix("Bot ")) == Some(hub.token.as_str());
    let (kind, channel) = classify(&method, uri.path());

    // Recorded before it is answered: what a test waits for, it may look up at once.
    let (place, fault, verdict) = hub.change(|state| {
        state.calls.push(Call { method: method.to_string(), path: path.clone(), status: None, at });
        let place = state.calls.len() - 1;
        let fault = if known { state.faults.strike(&method, &path) } else { None };
        let unharmed = known && matches!(fault, None | Some(Fault::DropAfter | Fault::Delay(_)));
        (place, fault, (unharmed && !by_token).then(|| state.limits.count(kind, channel, at)))
    });

    let exceeded = verdict.as_ref().and_then(|verdict| verdict.exceeded);
    let mut response = match (fault, exceeded) {
        _ if !known => failure(StatusCode::UNAUTHORIZED),
        (Some(Fault::DropBefore), _) => {
            cut.pull();
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        (Some(Fault::Status(status)), _) => {
            failure(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        (Some(Fault::RateLimited { after, global }), _) => Exceeded { after, global }.into_response(),
        (_, Some(exceeded)) => exceeded.into_response(),
        (Some(Fault::Delay(delay)), None) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        (None | Some(Fault::DropAfter), None) => next.run(request).await,
    };
    if fault == Some(Fault::DropAfter) {
        cut.pull();
        return response;
    }
    for (name, value) in verdict.map(|verdict| verdict.headers).unwrap_or_default() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    let ahead = hub.change(|state| {
        state.calls[place].status = Some(response.status().as_u16());
        state.world.ahead
    });
    if let Ok(time) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now() + ahead)) {
        response.headers_mut().insert(DATE, time);
    }
    response
}

/// What a call counts against. Adding and removing reactions share a limit.
fn classify(method: &Method, path: &str) -> (Kind, Option<Id>) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let at = parts.iter().position(|part| *part == "channels");
    let Some((channel, rest)) = at.and_then(|at| parts[at + 1..].split_first()) else {
        return (Kind::Other, None);
    };
    let Ok(channel) = channel.parse::<u64>().map(Id::from) else { return (Kind::Other, None) };
    let kind = match (method.as_str(), rest) {
        ("POST", ["messages"]) => Kind::Create,
        ("PATCH", ["messages", _]) => Kind::Edit,
        ("DELETE", ["messages", _]) => Kind::Delete,
        ("PUT" | "DELETE", ["messages", _, "reactions", ..]) => Kind::React,
        ("POST", ["typing"]) => Kind::Typing,
        ("GET", ["messages"] | ["messages", _]) => Kind::Read,
        _ => Kind::Other,
    };
    (kind, Some(channel))
}

/// An error without a code of Discord's own.
fn failure(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or("Error");
    let message = format!("{}: {reason}", status.as_u16());
    (status, Json(json!({ "message": message, "code": 0 }))).into_response()
}

async fn gateway_url(State(hub): Shared) -> Response {
    Json(json!({ "url": hub.gateway_url() })).into_response()
}

async fn gateway_bot(State(hub): Shared) -> Response {
    let (left, reset) = hub.lock().sessions.starts();
    let reset = u64::try_from(reset.as_millis()).unwrap_or(u64::MAX);
    let limit = json!({ "total": 1000, "remaining": left, "reset_after": reset, "max_concurrency": 1 });
    Json(json!({ "url": hub.gateway_url(), "shards": 1, "session_start_limit": limit })).into_response()
}

async fn me(State(hub): Shared) -> Response {
    Json(hub.lock().world.me_json()).into_response()
}

async fn application(State(hub): Shared) -> Response {
    Json(hub.lock().world.application_json()).into_response()
}

async fn guilds(State(hub): Shared) -> Response {
    Json(json!([hub.lock().world.own_guild_json()])).into_response()
}

async fn member(State(hub): Shared, Path((guild, user)): Path<(u64, u64)>) -> Answer {
    let state = hub.lock();
    if Id::from(guild) != state.world.guild {
        return Err(Refusal::new(StatusCode::NOT_FOUND, 10004, "Unknown Guild"));
    }
    match state.world.users.get(&Id::from(user)) {
        Some(user) => Ok(Json(state.world.member_json(user)).into_response()),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, 10007, "Unknown Member")),
    }
}

async fn guild(State(hub): Shared, Path(guild): Path<u64>) -> Answer {
    let state = hub.lock();
    if Id::from(guild) != state.world.guild {
        return Err(Refusal::new(StatusCode::NOT_FOUND, 10004, "Unknown Guild"));
    }
    Ok(Json(state.world.guild_json()).into_response())
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
}

/// Newest first, whichever page it is.
async fn messages(State(hub): Shared, Path(channel): Path<u64>, Query(page): Query<Page>) -> Answer {
    let state = hub.lock();
    let world = &state.world;
    let channel = world.visible(channel.into())?;
    let limit = page.limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        let reason = "int value should be between 1 and 100.";
        return Err(Refusal::field("limit", "NUMBER_TYPE_MAX", reason));
    }
    if world.denied(channel.id, Right::History) {
        return Ok(Json(json!([])).into_response());
    }
    let all = &channel.messages;
    let mut found: Vec<_> = if let Some(after) = page.after {
        all.range(Id::from(after.saturating_add(1))..).take(limit).collect()
    } else if let Some(around) = page.around {
        let older = all.range(..Id::from(around)).rev().take(limit / 2);
        older.chain(all.range(Id::from(around)..).take(limit - limit / 2)).collect()
    } else {
        all.range(..Id::from(page.before.unwrap_or(u64::MAX))).rev().take(limit).collect()
    };
    found.sort_by(|one, two| two.0.cmp(one.0));
    let found = found.into_iter().map(|(_, message)| world.message_json(message, world.message_content));
    Ok(Json(found.collect::<Value>()).into_response())
}

async fn one_message(State(hub): Shared, Path((channel, message)): Path<(u64, u64)>) -> Answer {
    let state = hub.lock();
    let world = &state.world;
    if world.visible(channel.into()).is_ok() && world.denied(channel.into(), Right::History) {
        return Err(Refusal::missing_access());
    }
    let message = world.visible_message(channel.into(), message.into())?;
    Ok(Json(world.message_json(message, world.message_content)).into_response())
}

async fn create_message(State(hub): Shared, Path(channel): Path<u64>, request: Request) -> Answer {
    let draft = draft(request).await?;
    hub.change(|state| {
        let id = state.bot_posts(channel.into(), draft)?;
        let world = &state.world;
        let message = world.message(id).ok_or_else(Refusal::unknown_message)?;
        Ok(Json(world.message_json(message, world.message_content)).into_response())
    })
}

async fn edit_message(
    State(hub): Shared,
    Path((channel, message)): Path<(u64, u64)>,
    request: Request,
) -> Answer {
    let draft = draft(request).await?;
    hub.change(|state| {
        state.bot_edits(channel.into(), message.into(), draft)?;
        let world = &state.world;
        let message = world.visible_message(channel.into(), message.into())?;
        Ok(Json(world.message_json(message, world.message_content)).into_response())
    })
}

async fn delete_message(State(hub): Shared, Path((channel, message)): Path<(u64, u64)>) -> Answer {
    hub.change(|state| state.bot_deletes(channel.into(), message.into()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn react(State(hub): Shared, Path((channel, message, emoji)): Path<(u64, u64, String)>) -> Answer {
    hub.change(|state| state.bot_reacts(channel.into(), message.into(), &emoji))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn unreact(State(hub): Shared, Path((channel, message, emoji)): Path<(u64, u64, String)>) -> Answer {
    hub.change(|state| state.bot_unreacts(channel.into(), message.into(), &emoji))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn typing(State(hub): Shared, Path(channel): Path<u64>) -> Answer {
    hub.change(|state| state.bot_types(channel.into()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Faults that are planned for calls to come.
#[derive(Default)]
pub(super) struct Faults(Vec<Planned>);

struct Planned {
    left: usize,
    fault: Fault,
    only: String,
}

impl Faults {
    pub(super) fn plan(&mut self, calls: usize, fault: Fault, only: &str) {
        self.0.push(Planned { left: calls, fault, only: only.to_owned() });
    }

    /// The fault that hits this call, if one is planned for it.
    pub(super) fn strike(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let call = format!("{method} {path}");
        let place = self.0.iter().position(|planned| call.contains(&planned.only))?;
        let planned = &mut self.0[place];
        planned.left = planned.left.saturating_sub(1);
        let fault = planned.fault;
        self.0.retain(|planned| planned.left > 0);
        Some(fault)
    }
}

/// So that a planned delay can be written down in JSON.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_against_its_own_kind() {
        let kind = |method: Method, path: &str| classify(&method, path);
        let one = Some(Id::from(1));
        assert_eq!(kind(Method::POST, "/api/v10/channels/1/messages"), (Kind::Create, one));
        assert_eq!(kind(Method::PATCH, "/channels/1/messages/2"), (Kind::Edit, one));
        assert_eq!(kind(Method::DELETE, "/channels/1/messages/2"), (Kind::Delete, one));
        assert_eq!(kind(Method::PUT, "/channels/1/messages/2/reactions/x/@me"), (Kind::React, one));
        assert_eq!(kind(Method::DELETE, "/channels/1/messages/2/reactions/x/@me"), (Kind::React, one));
        assert_eq!(kind(Method::GET, "/channels/1/messages"), (Kind::Read, one));
        assert_eq!(kind(Method::GET, "/gateway"), (Kind::Other, None));
        assert_eq!(kind(Method::GET, "/channels/none"), (Kind::Other, None));
    }

    #[test]
    fn a_fault_hits_as_many_calls_as_planned_and_only_those() {
        let mut faults = Faults::default();
        faults.plan(2, Fault::Status(500), "POST /channels/1/");
        let mut hit = |path| faults.strike(&Method::POST, path).is_some();
        assert!(!hit("/channels/2/messages"));
        assert!(hit("/channels/1/messages"));
        assert!(hit("/channels/1/messages"));
        assert!(!hit("/channels/1/messages"));
    }
}
