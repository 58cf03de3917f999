//! REST for channels and threads.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Json, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Hub;
use super::body::{Answer, Shared, form, parse_value};
use super::form::Mistakes;
use super::limits::Exceeded;
use super::rules::{Draft, Refusal};
use super::shape::MANAGE_THREADS;
use super::threads::{Change, NewThread};
use super::world::{ChannelKind, Id, Right, World};

/// The minutes after which a thread can leave the list of threads.
const AUTO_ARCHIVE: [u64; 4] = [60, 1440, 4320, 10080];
/// How many tags a post of a forum may have.
const MOST_TAGS: usize = 5;

/// The routes, under /api/v10.
pub(super) fn routes() -> Router<Arc<Hub>> {
    let member = get(thread_member).put(add_to_thread).delete(remove_from_thread);
    Router::new()
        .route("/channels/{channel}", get(channel).patch(change_channel))
        .route("/channels/{channel}/messages/{message}/threads", post(thread_from_message))
        .route("/channels/{channel}/threads", post(thread))
        .route("/channels/{channel}/threads/archived/public", get(archived_threads))
        .route("/channels/{channel}/thread-members/{user}", member)
        .route("/guilds/{guild}/threads/active", get(active_threads))
}

async fn channel(State(hub): Shared, Path(channel): Path<u64>) -> Answer {
    let state = hub.lock();
    let channel = state.world.visible(channel.into())?;
    Ok(Json(state.world.channel_json(channel)).into_response())
}

async fn change_channel(State(hub): Shared, Path(channel): Path<u64>, request: Request) -> Answer {
    let (body, _) = form::<Value>(request).await?;
    let id = Id::from(channel);
    hub.change(|state| {
        let change = state.world.change(id, &body)?;
        state.world.check_change(id, &change)?;
        if let Some(after) = state.world.rename_wait(id, &change) {
            return Ok(Exceeded { after, global: false }.into_response());
        }
        state.apply(id, change);
        Ok(Json(state.world.channel_json(state.world.visible(id)?)).into_response())
    })
}

impl World {
    /// The change that the body of PATCH /channels/{id} asks for. What else Discord knows is ignored.
    fn change(&self, channel: Id, body: &Value) -> Result<Change, Refusal> {
        let mut mistakes = Mistakes::default();
        if !body["name"].is_null() {
            mistakes.text("name", &body["name"], 1..=100);
        }
        if !body["auto_archive_duration"].is_null() {
            mistakes.one_of("auto_archive_duration", &body["auto_archive_duration"], &AUTO_ARCHIVE);
        }
        mistakes.list("applied_tags", &body["applied_tags"], 0..=MOST_TAGS);
        mistakes.finish()?;
        let parent = self.channels.get(&channel).and_then(|channel| channel.parent).unwrap_or(channel);
        let tags = if body["applied_tags"].is_null() { None } else { Some(self.tags_in(parent, body)?) };
        Ok(Change {
            name: body["name"].as_str().map(|name| name.trim().to_owned()),
            archived: body["archived"].as_bool(),
            locked: body["locked"].as_bool(),
            auto_archive_minutes: body["auto_archive_duration"].as_u64(),
            applied_tags: tags,
        })
    }

    /// The applied tags in a body, each of which the forum must have.
    fn tags_in(&self, forum: Id, body: &Value) -> Result<Vec<Id>, Refusal> {
        if body["applied_tags"].is_null() {
            return Ok(Vec::new());
        }
        let tags: Vec<Id> =
            parse_value(body["applied_tags"].clone()).map_err(|refusal| refusal.within("applied_tags"))?;
        let known = self.channels.get(&forum).map(|forum| forum.tags.as_slice()).unwrap_or_default();
        if tags.iter().any(|tag| !known.iter().any(|it| it.id == *tag)) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, 10087, "Unknown tag"));
        }
        Ok(tags)
    }

    /// The thread that a body asks for.
    fn new_thread(&self, parent: Id, kind: ChannelKind, body: &Value) -> Result<NewThread, Refusal> {
        let mut mistakes = Mistakes::default();
        mistakes.text("name", &body["name"], 1..=100);
        if !body["auto_archive_duration"].is_null() {
            mistakes.one_of("auto_archive_duration", &body["auto_archive_duration"], &AUTO_ARCHIVE);
        }
        mistakes.list("applied_tags", &body["applied_tags"], 0..=MOST_TAGS);
        mistakes.finish()?;
        Ok(NewThread {
            parent,
            kind,
            owner: self.bot,
            name: body["name"].as_str().unwrap_or_default().trim().to_owned(),
            auto_archive_minutes: body["auto_archive_duration"].as_u64().unwrap_or(4320),
            applied_tags: self.tags_in(parent, body)?,
        })
    }

    /// Refuses a thread where the bot may open none.
    fn check_may_open(&self, parent: Id, right: Right) -> Result<(), Refusal> {
        if self.denied(parent, right) { Err(Refusal::missing_permissions()) } else { Ok(()) }
    }
}

async fn thread_from_message(
    State(hub): Shared,
    Path((channel, message)): Path<(u64, u64)>,
    request: Request,
) -> Answer {
    let (body, _) = form::<Value>(request).await?;
    let (parent, message) = (Id::from(channel), Id::from(message));
    hub.change(|state| {
        let world = &state.world;
        world.visible(parent)?;
        let kind = world.public_thread_in(parent)?;
        world.check_may_open(parent, Right::Threads)?;
        world.visible_message(parent, message)?;
        let new = world.new_thread(parent, kind, &body)?;
        if world.channels.contains_key(&message) {
            let reason = "A thread has already been created for this message";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 160_004, reason));
        }
        state.open_thread_from(message, new);
        let channel = state.world.visible(message)?;
        Ok((StatusCode::CREATED, Json(state.world.channel_json(channel))).into_response())
    })
}

/// A thread without a message, or a post of a forum.
async fn thread(State(hub): Shared, Path(channel): Path<u64>, request: Request) -> Answer {
    let (body, files) = form::<Value>(request).await?;
    let parent = Id::from(channel);
    hub.change(|state| {
        let world = &state.world;
        let is_forum = world.visible(parent)?.kind.is_forum();
        let public = world.public_thread_in(parent)?;
        if is_forum {
            world.check_may_open(parent, Right::Post)?;
            let new = world.new_thread(parent, public, &body)?;
            if body["message"].is_null() {
                return Err(Refusal::field("message", "BASE_TYPE_REQUIRED", "This field is required"));
            }
            let draft = parse_value::<Draft>(body["message"].clone());
            let draft = Draft { files, ..draft.map_err(|refusal| refusal.within("message"))? };
            let id = state.bot_posts_in_forum(new, draft)?;
            let mut json = state.world.channel_json(state.world.visible(id)?);
            if let Some(first) = state.world.message(id) {
                json["message"] = state.world.message_json(first, true);
            }
            return Ok((StatusCode::CREATED, Json(json)).into_response());
        }
        world.check_may_open(parent, Right::Threads)?;
        // Without a type it is a private one.
        let kind = match body["type"].as_u64().unwrap_or(12) {
            12 if public == ChannelKind::Thread => ChannelKind::PrivateThread,
            10 | 11 => public,
            _ => {
                return Err(Refusal::field(
                    "type",
                    "BASE_TYPE_CHOICES",
                    "Value must be one of {10, 11, 12}.",
                ));
            }
        };
        let new = world.new_thread(parent, kind, &body)?;
        let (id, by, name) = (state.world.new_id(), new.owner, new.name.clone());
        state.open_thread(id, new);
        if kind != ChannelKind::PrivateThread {
            state.tell_of_thread(id, parent, by, name);
        }
        let channel = state.world.visible(id)?;
        Ok((StatusCode::CREATED, Json(state.world.channel_json(channel))).into_response())
    })
}

#[derive(Deserialize)]
struct Page {
    before: Option<String>,
    limit: Option<usize>,
}

/// The one that went into the archive last comes first.
async fn archived_threads(State(hub): Shared, Path(channel): Path<u64>, Query(page): Query<Page>) -> Answer {
    let state = hub.lock();
    let (world, parent) = (&state.world, Id::from(channel));
    world.visible(parent)?;
    world.check_may_open(parent, Right::View)?;
    if world.denied(parent, Right::History) {
        return Err(Refusal::missing_permissions());
    }
    let before = page.before.as_deref().map(|time| time.parse::<humantime_serde::re::humantime::Timestamp>());
    let before: Option<SystemTime> = match before {
        None => None,
        Some(Ok(time)) => Some(time.into()),
        Some(Err(_)) => {
            return Err(Refusal::field("before", "DATE_TIME_TYPE_PARSE", "Could not parse as a time."));
        }
    };
    let is_wanted = |thread: &super::world::Thread| {
        thread.parent == parent
            && thread.archived
            && before.is_none_or(|before| thread.archive_changed < before)
    };
    let mut found: Vec<(SystemTime, Id)> = Vec::new();
    for channel in world.channels.values().filter(|it| it.kind != ChannelKind::PrivateThread) {
        let thread = channel.thread.as_ref().filter(|thread| is_wanted(thread));
        found.extend(thread.map(|thread| (thread.archive_changed, channel.id)));
    }
    found.sort();
    found.reverse();
    let limit = page.limit.unwrap_or(50).clamp(1, 100);
    let has_more = found.len() > limit;
    found.truncate(limit);
    let threads = found.iter().filter_map(|(_, id)| world.channels.get(id));
    let threads: Vec<Value> = threads.map(|thread| world.channel_json(thread)).collect();
    let members: Vec<&Value> = threads.iter().map(|it| &it["member"]).filter(|it| !it.is_null()).collect();
    Ok(Json(json!({ "threads": threads, "members": members, "has_more": has_more })).into_response())
}

async fn active_threads(State(hub): Shared, Path(guild): Path<u64>) -> Answer {
    let state = hub.lock();
    let (world, guild) = (&state.world, Id::from(guild));
    if guild != world.guild {
        return Err(Refusal::missing_access());
    }
    let (threads, members) =
        world.threads_json(|channel, thread| channel.guild == Some(guild) && !thread.archived);
    Ok(Json(json!({ "threads": threads, "members": members })).into_response())
}

impl World {
    /// Who is meant by `@me` or an id.
    fn member_named(&self, user: &str) -> Result<Id, Refusal> {
        let id = match user {
            "@me" => Some(self.bot),
            id => id.parse::<u64>().ok().map(Id::from),
        };
        let known = id.filter(|id| self.users.contains_key(id));
        known.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, 10013, "Unknown User"))
    }
}

async fn thread_member(State(hub): Shared, Path((thread, user)): Path<(u64, String)>) -> Answer {
    let state = hub.lock();
    let (world, id) = (&state.world, Id::from(thread));
    let (_, thread) = world.visible_thread(id)?;
    let user = world.member_named(&user)?;
    if !thread.members.contains(&user) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, 10007, "Unknown Member"));
    }
    Ok(Json(world.thread_member_json(id, user)).into_response())
}

async fn add_to_thread(State(hub): Shared, Path((thread, user)): Path<(u64, String)>) -> Answer {
    let id = Id::from(thread);
    hub.change(|state| {
        state.world.visible_thread(id)?;
        state.world.check_open(id, false)?;
        let (user, bot) = (state.world.member_named(&user)?, state.world.bot);
        if user == bot {
            state.enter(id, user);
        } else {
            state.world.check_may_open(id, Right::Post)?;
            state.add_or_remove(id, user, bot, true);
        }
        Ok(StatusCode::NO_CONTENT.into_response())
    })
}

async fn remove_from_thread(State(hub): Shared, Path((thread, user)): Path<(u64, String)>) -> Answer {
    let id = Id::from(thread);
    hub.change(|state| {
        let world = &state.world;
        let (channel, thread) = world.visible_thread(id)?;
        world.check_open(id, false)?;
        let (user, bot) = (world.member_named(&user)?, world.bot);
        let owns = channel.kind == ChannelKind::PrivateThread && thread.owner == bot;
        if user != bot && !owns && !world.manages(id, MANAGE_THREADS) {
            return Err(Refusal::missing_permissions());
        }
        if user == bot {
            state.leave(id, user);
        } else {
            state.add_or_remove(id, user, bot, false);
        }
        Ok(StatusCode::NO_CONTENT.into_response())
    })
}
