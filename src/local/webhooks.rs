//! REST for commands and interactions: what the bot registers, and how it answers.

use std::sync::Arc;

use axum::Router;
use axum::body::{self, Body};
use axum::extract::{Json, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::Hub;
use super::body::{Answer, LARGEST_BODY, Shared, draft, form, parse, parse_value};
use super::responses::{Callback, FORM, SUGGESTIONS};
use super::rules::{Draft, Refusal};
use super::world::{Id, World};

/// The routes, under /api/v10.
pub(super) fn routes() -> Router<Arc<Hub>> {
    let message = get(message).patch(edit).delete(delete);
    Router::new()
        .route("/applications/{application}/commands", get(commands).put(overwrite))
        .route(
            "/applications/{application}/guilds/{guild}/commands",
            get(guild_commands).put(overwrite_in_guild),
        )
        .route("/interactions/{interaction}/{token}/callback", post(answer))
        .route("/webhooks/{application}/{token}", post(follow_up))
        .route("/webhooks/{application}/{token}/messages/{message}", message)
}

/// Whether a call is let in by the token in its path, and counts against no limit.
pub(super) fn by_token(path: &str) -> bool {
    let path = path.strip_prefix("/api/v10").unwrap_or(path);
    path.starts_with("/interactions/") || path.starts_with("/webhooks/")
}

/// Discord's refusal, unless the commands are the bot's own, and of its guild.
fn check_scope(world: &World, application: u64, guild: Option<u64>) -> Result<Option<Id>, Refusal> {
    if Id::from(application) != world.application {
        let message = "You are not authorized to perform this action on this application";
        return Err(Refusal::new(StatusCode::FORBIDDEN, 20012, message));
    }
    let guild = guild.map(Id::from);
    if guild.is_some_and(|guild| guild != world.guild) {
        return Err(Refusal::missing_access());
    }
    Ok(guild)
}

async fn commands(state: Shared, Path(application): Path<u64>) -> Answer {
    list(&state.0, application, None)
}

async fn guild_commands(state: Shared, Path((application, guild)): Path<(u64, u64)>) -> Answer {
    list(&state.0, application, Some(guild))
}

fn list(hub: &Hub, application: u64, guild: Option<u64>) -> Answer {
    let state = hub.lock();
    let guild = check_scope(&state.world, application, guild)?;
    Ok(Json(state.world.commands_json(guild)).into_response())
}

async fn overwrite(state: Shared, Path(application): Path<u64>, request: Request) -> Answer {
    replace(&state.0, application, None, request).await
}

async fn overwrite_in_guild(
    state: Shared,
    Path((application, guild)): Path<(u64, u64)>,
    request: Request,
) -> Answer {
    replace(&state.0, application, Some(guild), request).await
}

async fn replace(hub: &Hub, application: u64, guild: Option<u64>, request: Request<Body>) -> Answer {
    let bytes = body::to_bytes(request.into_body(), LARGEST_BODY).await;
    let wanted: Value = parse(&bytes.unwrap_or_default())?;
    hub.change(|state| {
        let guild = check_scope(&state.world, application, guild)?;
        state.world.overwrite_commands(guild, &wanted)?;
        Ok(Json(state.world.commands_json(guild)).into_response())
    })
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    with_response: bool,
}

async fn answer(
    State(hub): Shared,
    Path((interaction, token)): Path<(u64, String)>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Answer {
    let (callback, files): (Callback, _) = form(request).await?;
    // Suggestions and forms are no message.
    let described =
        if matches!(callback.how, SUGGESTIONS | FORM) { Value::Null } else { callback.data.clone() };
    let draft = match described {
        Value::Null => Draft::default(),
        data => parse_value::<Draft>(data).map_err(|refusal| refusal.within("data"))?,
    };
    let draft = Draft { files, ..draft };
    let id = Id::from(interaction);
    let answer = hub.change(|state| {
        state.bot_answers((id, &token), callback, draft, hub.patience)?;
        Ok::<_, Refusal>(state.world.callback_json(id))
    })?;
    Ok(if wanted.with_response {
        Json(answer).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    })
}

async fn follow_up(
    State(hub): Shared,
    Path((application, token)): Path<(u64, String)>,
    request: Request,
) -> Answer {
    let draft = draft(request).await?;
    hub.change(|state| {
        let id = state.bot_follows_up((application.into(), &token), draft, hub.patience)?;
        shown(&state.world, id)
    })
}

/// The application, the token, and `@original` or a message's id.
type Place = Path<(u64, String, String)>;

async fn message(State(hub): Shared, Path((application, token, message)): Place) -> Answer {
    let state = hub.lock();
    let found = state.world.hook_message((application.into(), &token, &message), hub.patience)?;
    shown(&state.world, found.id)
}

async fn edit(State(hub): Shared, Path((application, token, message)): Place, request: Request) -> Answer {
    let draft = draft(request).await?;
    hub.change(|state| {
        let place = (application.into(), token.as_str(), message.as_str());
        let id = state.bot_edits_answer(place, draft, hub.patience)?;
        shown(&state.world, id)
    })
}

async fn delete(State(hub): Shared, Path((application, token, message)): Place) -> Answer {
    hub.change(|state| state.bot_deletes_answer((application.into(), &token, &message), hub.patience))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn shown(world: &World, message: Id) -> Result<Response, Refusal> {
    let message = world.message(message).ok_or_else(Refusal::unknown_message)?;
    Ok(Json(world.message_json(message, true)).into_response())
}
