//! Control of what people write: messages and their files, threads, posts of forums.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Shared, done, read};
use crate::local::world::{ChannelKind, Closed, File, FileFault, Id, Poll};
use crate::local::{Hub, Say, State as Everything};

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/say", post(say))
        .route("/edit", post(edit))
        .route("/attach", post(attach))
        .route("/detach", post(detach))
        .route("/break-file", post(break_file))
        .route("/boost", post(boost))
        .route("/open-thread", post(open_thread))
        .route("/close-thread", post(close_thread))
        .route("/add-to-thread", post(add_to_thread))
        .route("/remove-from-thread", post(remove_from_thread))
        .route("/post-in-forum", post(post_in_forum))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SayBody {
    channel: String,
    user: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    mention: bool,
    #[serde(default)]
    by_role: bool,
    #[serde(default)]
    everyone: bool,
    reply_to: Option<Id>,
    forward_of: Option<Id>,
    #[serde(default)]
    webhook: bool,
    #[serde(default)]
    bot: bool,
    #[serde(default)]
    files: Vec<FileBody>,
    /// Seconds.
    voice: Option<f64>,
    #[serde(default)]
    stickers: Vec<String>,
    poll: Option<Poll>,
    #[serde(default)]
    embeds: Vec<Value>,
}

/// A file with a text, or with what is in a file on this machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    name: String,
    content_type: Option<String>,
    #[serde(default)]
    text: String,
    path: Option<PathBuf>,
    fault: Option<FileFault>,
}

impl FileBody {
    #[expect(clippy::result_large_err, reason = "an answer is an answer")]
    fn file(self) -> Result<File, axum::response::Response> {
        let bytes = match &self.path {
            None => self.text.into(),
            Some(path) => std::fs::read(path).map(Bytes::from).map_err(|error| {
                (StatusCode::BAD_REQUEST, format!("{}: {error}\n", path.display())).into_response()
            })?,
        };
        Ok(File { name: self.name, content_type: self.content_type, bytes })
    }
}

/// What is said, in a channel that is created on demand.
#[expect(clippy::result_large_err, reason = "an answer is an answer")]
fn said(
    body: SayBody,
) -> Result<impl FnOnce(&mut Everything, Option<ChannelKind>) -> Result<Say, String>, axum::response::Response>
{
    let faults = body.files.iter().filter_map(|it| Some((it.name.clone(), it.fault.clone()?))).collect();
    let files = body.files.into_iter().map(FileBody::file).collect::<Result<Vec<File>, _>>()?;
    Ok(move |state: &mut Everything, kind: Option<ChannelKind>| {
        let channel = match kind {
            Some(kind) => state.channel_of(state.world.guild, kind, &body.channel),
            None => state.channel_by_name(&body.channel),
        };
        let user = state.world.user(&body.user, body.bot);
        if let Some(of) = body.forward_of {
            if state.world.message(of).is_none() {
                return Err(format!("no message {of}\n"));
            }
            if body.mention || body.by_role || body.everyone || !body.text.is_empty() {
                return Err("a forward has no text of its own\n".to_owned());
            }
        }
        Ok(Say {
            mention: body.mention,
            by_role: body.by_role,
            everyone: body.everyone,
            reply_to: body.reply_to,
            forward_of: body.forward_of,
            webhook: body.webhook,
            files,
            file_faults: faults,
            voice: body.voice.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            stickers: body.stickers,
            poll: body.poll,
            embeds: body.embeds,
            ..Say::new(channel, user, body.text)
        })
    })
}

async fn say(State(hub): Shared, body: Bytes) -> Answer {
    let say = said(read(&body)?)?;
    let id = hub.change(|state| {
        let say = say(state, None)?;
        Ok(state.say(say))
    });
    posted(id)
}

#[expect(clippy::result_large_err, reason = "an answer is an answer")]
fn posted(id: Result<Id, String>) -> Answer {
    match id {
        Ok(id) => Ok(Json(json!({ "id": id })).into_response()),
        Err(why) => Err((StatusCode::BAD_REQUEST, why).into_response()),
    }
}

#[derive(Deserialize)]
struct ForumBody {
    title: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(flatten)]
    first: Value,
}

async fn post_in_forum(State(hub): Shared, body: Bytes) -> Answer {
    let ForumBody { title, tags, first } = read(&body)?;
    let first = serde_json::from_value(first)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response())?;
    let say = said(first)?;
    posted(hub.change(|state| {
        let say = say(state, Some(ChannelKind::Forum))?;
        let tags: Vec<Id> = tags.iter().map(|name| state.tag(say.channel, name)).collect();
        Ok(state.post_in_forum(say, &title, &tags))
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    message: Id,
    text: String,
}

async fn edit(State(hub): Shared, body: Bytes) -> Answer {
    let body: EditBody = read(&body)?;
    done(hub.change(|state| state.edit(body.message, &body.text)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttachBody {
    message: Id,
    files: Vec<FileBody>,
}

async fn attach(State(hub): Shared, body: Bytes) -> Answer {
    let body: AttachBody = read(&body)?;
    let files = body.files.into_iter().map(FileBody::file).collect::<Result<Vec<File>, _>>()?;
    done(hub.change(|state| state.attach(body.message, files)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOfMessage {
    message: Id,
    name: String,
    /// None: it is served well again.
    fault: Option<FileFault>,
}

async fn detach(State(hub): Shared, body: Bytes) -> Answer {
    let body: FileOfMessage = read(&body)?;
    done(hub.change(|state| state.detach(body.message, &body.name)))
}

async fn break_file(State(hub): Shared, body: Bytes) -> Answer {
    let body: FileOfMessage = read(&body)?;
    done(hub.change(|state| state.world.break_file(body.message, &body.name, body.fault)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoostBody {
    level: u8,
}

async fn boost(State(hub): Shared, body: Bytes) -> Answer {
    let body: BoostBody = read(&body)?;
    hub.change(|state| state.world.boosts = body.level);
    done(true)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenBody {
    message: Id,
    user: String,
    name: String,
}

async fn open_thread(State(hub): Shared, body: Bytes) -> Answer {
    let body: OpenBody = read(&body)?;
    posted(hub.change(|state| {
        let user = state.world.user(&body.user, false);
        state.person_opens_thread(body.message, user, &body.name)
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseBody {
    channel: String,
    /// None: it is opened again.
    how: Option<Closed>,
}

async fn close_thread(State(hub): Shared, body: Bytes) -> Answer {
    let body: CloseBody = read(&body)?;
    done(hub.change(|state| {
        let thread = state.channel_by_name(&body.channel);
        state.close_thread(thread, body.how)
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberBody {
    channel: String,
    user: String,
}

#[expect(clippy::result_large_err, reason = "an answer is an answer")]
fn add_or_remove(hub: &Hub, body: &MemberBody, added: bool) -> Answer {
    done(hub.change(|state| {
        let thread = state.channel_by_name(&body.channel);
        let user = state.world.user(&body.user, false);
        state.add_or_remove(thread, user, state.world.owner, added)
    }))
}

async fn add_to_thread(State(hub): Shared, body: Bytes) -> Answer {
    add_or_remove(&hub, &read(&body)?, true)
}

async fn remove_from_thread(State(hub): Shared, body: Bytes) -> Answer {
    add_or_remove(&hub, &read(&body)?, false)
}
