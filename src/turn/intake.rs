//! From a message to a turn with a place in its lane: scripts, gate, lane, store.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, warn};

use super::enter::{continue_turn, register};
use super::shares::TooMuch;
use super::step::Step;
use super::task::Task;
use super::{Settled, Turns, delivery, edits, prompt, thread};
use crate::domain::{Format, GuildId, Message, MessageId, Route, Work};
use crate::gate::{self, Verdict};
use crate::lane::LanePosition;
use crate::logging::chain;
use crate::script::{EntryPoint, ScriptError, ScriptSet};
use crate::store::{Accepted, DirectReply, Millis, PromptMessage, StoreError, Turn};
use crate::text;
use crate::words;

/// How old a message may be for an edit to address it to the bot.
const STILL_NEW: Duration = Duration::from_secs(24 * 60 * 60);

/// Somebody who is let in, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetIn {
    /// So they are.
    Yes,
    /// Discord does not say whether the bot does anything in their guild, where the gate says this of them. What they ask
    /// is taken in, and Discord asked again before anything comes of it.
    IfServed(Verdict),
}

/// A message came in. When this returns it is settled, or written down and in its lane.
pub async fn arrived(turns: &Turns, message: Message) {
    let span = tracing::info_span!("message", id = %message.id.short(), channel = %message.channel_id);
    consider(turns, message, true).instrument(span).await;
}

/// `is_new`: it has just been written, and not edited.
async fn consider(turns: &Turns, message: Message, is_new: bool) {
    let id = message.id;
    if message.author.bot {
        debug!(author = %message.author.id, "ignored: bots and webhooks never start a turn");
        return turns.settled(id, Settled::Ignored);
    }
    if is_new && turns.is_refused(message.channel_id, id) {
        return turns.settled(id, Settled::Ignored);
    }
    match turns.take_reply(&message).await {
        Ok(true) => return turns.settled(id, Settled::Said),
        Ok(false) => {}
        Err(error) => warn!(error = chain(&error), "cannot tell whether a message answers a question"),
    }
    let scripts = turns.scripts.borrow().clone();
    let decided = scripts.decide(message.clone()).await;
    act(turns, &scripts, message, decided, is_new).await;
}

/// Carries out what the scripts have decided about a message. `is_new`: it has not been edited.
pub async fn act(
    turns: &Turns,
    scripts: &ScriptSet,
    message: Message,
    decided: Result<Route, ScriptError>,
    is_new: bool,
) {
    let id = message.id;
    let said = match decided.map(|route| prompt::with_extras(route, &message)) {
        Ok(Route::NotForMe) => None,
        Ok(Route::Unrouted) if !message.mentions_me => None,
        Ok(Route::Unrouted) => {
            let let_in = let_in(turns, scripts, &message, None).await;
            let_in.map(|let_in| (let_in, words::unrouted(message.channel_id)))
        }
        Ok(Route::Reply(reply)) => let_in(turns, scripts, &message, None).await.map(|let_in| (let_in, reply)),
        Ok(Route::Turn(work)) => {
            return start(turns, scripts, message, work, PromptMessage::Theirs, is_new).await;
        }
        Err(error) => failed_script(turns, scripts, &message, &error).await,
    };
    match said {
        Some((let_in, _)) if !turns.0.shares.take(message.author.id, id) => {
            too_much(turns, &message, let_in, TooMuch::Messages).await
        }
        Some((let_in, text)) => drop(answer(turns, &message, let_in, &text).await),
        None => turns.settled(id, Settled::Ignored),
    }
}

/// A message was edited.
pub async fn edited(turns: &Turns, message: Message) {
    let stop = turns.stops().get(&message.id).cloned();
    match stop {
        Some(stop) => edits::edited(turns, stop, message).await,
        None => asks_at_last(turns, message).await,
    }
}

/// An edit may be the first to address the bot; it is then taken like a new message. A message that was answered is
/// known and stays as it is. Anything older than a day is ignored, because answered messages are not remembered for
/// ever.
async fn asks_at_last(turns: &Turns, message: Message) {
    if age(message.id) < STILL_NEW {
        let span = tracing::info_span!("edit", id = %message.id.short(), channel = %message.channel_id);
        consider(turns, message, false).instrument(span).await;
    }
}

/// How long ago a message was written.
fn age(message: MessageId) -> Duration {
    const DISCORDS_EPOCH: u64 = 1_420_070_400_000;
    let now = u64::try_from(Millis::now().0).unwrap_or(0);
    Duration::from_millis(now.saturating_sub(message.made().saturating_add(DISCORDS_EPOCH)))
}

/// Whether the author passes the gate of the work's project, or the global one; if not, a log line says so.
pub async fn let_in(
    turns: &Turns,
    scripts: &ScriptSet,
    message: &Message,
    work: Option<&Work>,
) -> Option<LetIn> {
    let project = work.map(|work| &*work.project);
    let (author, guild) = (message.author.id, message.guild_id);
    let verdict = turns.gate.judge(scripts, project, &message.author);
    if !verdict.admitted() {
        info!(%author, "ignored: the author is not let in by `allow` in routing.lua");
        return None;
    }
    match turns.gate.serves(scripts, guild, verdict).await {
        Some(true) => Some(LetIn::Yes),
        Some(false) => {
            info!(%author, %guild, "ignored: this server is not among `allow.guilds` in routing.lua");
            None
        }
        None => Some(LetIn::IfServed(verdict)),
    }
}

/// A script error costs this one message. A trigger that fails does so on every message of every channel, so
/// only somebody who spoke to the bot hears of it.
async fn failed_script(
    turns: &Turns,
    scripts: &ScriptSet,
    message: &Message,
    error: &ScriptError,
) -> Option<(LetIn, String)> {
    error!(%error, traceback = error.traceback(), "a script failed");
    turns.tell_operators_of_script(error);
    let addressed = message.mentions_me || error.entry_point() == EntryPoint::Route;
    if !addressed {
        return None;
    }
    let let_in = let_in(turns, scripts, message, None).await?;
    Some((let_in, words::failure(error.sentence(), message.id)))
}

/// Starts a turn, if its author is let in and there is something to ask.
/// `is_new`: as in [`consider`].
pub async fn start(
    turns: &Turns,
    scripts: &ScriptSet,
    message: Message,
    work: Work,
    prompt_message: PromptMessage,
    is_new: bool,
) {
    let let_in = match let_in(turns, scripts, &message, Some(&work)).await {
        // A command's prompt would be posted before Discord is asked again.
        Some(LetIn::IfServed(_)) if prompt_message == PromptMessage::Coming => None,
        let_in => let_in,
    };
    let Some(let_in) = let_in else { return turns.settled(message.id, Settled::Ignored) };
    if !turns.0.shares.take(message.author.id, message.id) {
        return too_much(turns, &message, let_in, TooMuch::Messages).await;
    }
    if !prompt::has_content(&work.prompt, &message) {
        let text = if let Some(quoted) = &message.quoted {
            words::only_withheld(&quoted.origin)
        } else if message.raw_text.is_empty() && message.mentions_me {
            words::text_withheld()
        } else if !work.prompt.trim().is_empty() {
            words::invisible()
        } else {
            words::empty_mention()
        };
        answer(turns, &message, let_in, &text).await;
        return;
    }
    if !has_room(turns, &message) {
        return;
    }
    let (channel, thread) = match thread::place(turns, &message, &work, prompt_message).await {
        Ok(place) => place,
        Err(error) => return not_written(turns, &message, &error),
    };
    let turn = Turn {
        message: message.id,
        channel,
        thread,
        author: message.author.clone(),
        project: work.project.name.clone(),
        prompt: work.prompt.clone(),
        model: work.model.clone(),
        fresh: work.fresh,
        attachments: message.attachments.clone(),
        quoted: message.quoted.clone(),
        prompt_message,
        accepted: Millis::now(),
    };
    let (message_id, author) = (message.id, message.author.id);
    let is_let_in = let_in == LetIn::Yes;
    let task = Task {
        message: message_id,
        channel,
        thread,
        author,
        prompt_message,
        recovered: false,
        let_in: is_let_in,
    };
    // It can be stopped as soon as it is visible in its lane.
    let Some(stop) = register(turns, task.message) else {
        return debug!("ignored: Discord delivered it twice");
    };
    // The lane first: whether it waits is written with it. The place is given back where the message turns out to be
    // known, or cannot be written.
    let entered = turns.lanes.enter_within(turns.0.shares.waiting(), task.channel, task.message, task.author);
    let Some((place, ticket)) = entered else {
        turns.stops().remove(&task.message);
        return too_much(turns, &message, let_in, TooMuch::Waiting(task.channel)).await;
    };
    turns.0.shares.took(task.author, task.channel);
    let waits = matches!(place, LanePosition::Waits(_));
    // A turn changes when its prompt is posted.
    let is_known = !waits && is_new && is_let_in && prompt_message == PromptMessage::Theirs;
    let step = Step::Ask(is_known.then(|| Box::new((turn.clone(), work.project))));
    match turns.store.accept(turn, waits).await {
        Ok(Accepted::New) => continue_turn(turns, task, step, place, ticket, stop),
        Ok(Accepted::Known) => {
            turns.stops().remove(&task.message);
            debug!("ignored: Discord delivered it twice");
        }
        Err(error) => {
            turns.stops().remove(&task.message);
            not_written(turns, &message, &error);
        }
    }
}

/// Refuses a message for good. Its author hears why, unless they have been told since they last had room, or may turn
/// out not to be let in.
async fn too_much(turns: &Turns, message: &Message, let_in: LetIn, why: TooMuch) {
    let (shares, person) = (&turns.0.shares, message.author.id);
    info!(author = %person, ?why, "refused: the person has enough under way");
    if let_in == LetIn::Yes && !shares.is_told(person, why) {
        if say(turns, message, &shares.sentence(why)).await {
            shares.note_told(person, why);
        }
        return;
    }
    if let Err(error) = turns.store.say(direct_reply(turns, message, "")).await {
        error!(error = chain(&error), "a refusal could not be written down");
    }
    turns.settled(message.id, Settled::Ignored);
}

/// Says something to somebody who is let in, now or once that is certain. Returns whether it is said now.
pub async fn answer(turns: &Turns, message: &Message, let_in: LetIn, text: &str) -> bool {
    let LetIn::IfServed(verdict) = let_in else { return say(turns, message, text).await };
    let (turns_of_task, message, text) = (turns.clone(), message.clone(), text.to_owned());
    let say_it = async move {
        let turns = &turns_of_task;
        tokio::select! {
            () = turns.0.ending.cancelled() => {}
            serves = is_served(turns, message.guild_id, verdict) => match serves {
                true => drop(say(turns, &message, &text).await),
                false => turns.settled(message.id, Settled::Ignored),
            }
        }
    };
    turns.0.tasks.spawn(say_it.in_current_span());
    false
}

/// Whether the bot does anything in this guild, however often Discord has to be asked.
async fn is_served(turns: &Turns, guild: GuildId, verdict: Verdict) -> bool {
    let asks = || async {
        let scripts = turns.scripts.borrow().clone();
        turns.gate.learn_whether_it_serves(&scripts, guild, verdict).await
    };
    gate::until_answered(&format!("whether an owner is in the guild {guild}"), asks).await
}

/// Says something in answer to a message that starts no turn: exactly once, through the ledger. Returns whether it
/// is said now.
pub async fn say(turns: &Turns, message: &Message, text: &str) -> bool {
    if !has_room(turns, message) {
        return false;
    }
    match turns.store.say(direct_reply(turns, message, text)).await {
        Ok(Accepted::New) => {
            let (turns_of_task, channel, id) = (turns.clone(), message.channel_id, message.id);
            let deliver = async move {
                delivery::deliver(&turns_of_task, channel, id, &CancellationToken::new(), None).await;
                turns_of_task.settled(id, Settled::Said);
            };
            turns.0.tasks.spawn(deliver.in_current_span());
            return true;
        }
        Ok(Accepted::Known) => debug!("ignored: Discord delivered it twice"),
        Err(error) => not_written(turns, message, &error),
    }
    false
}

fn direct_reply(turns: &Turns, message: &Message, text: &str) -> DirectReply {
    let parts = text::parts(&turns.outbox.redact(text), &Format::AS_WRITTEN);
    DirectReply {
        message: message.id,
        channel: message.channel_id,
        author: message.author.clone(),
        parts: parts.into_iter().map(|part| part.text).collect(),
        accepted: Millis::now(),
    }
}

/// A message is not accepted. Without the store there is no ledger either, so this is said directly, at most once in a
/// while per channel, and nobody waits for it.
fn refuse(turns: &Turns, message: &Message, sentence: String) {
    let (channel, id) = (message.channel_id, message.id);
    turns.settled(id, Settled::Ignored);
    if !turns.may_complain(channel, id) {
        return;
    }
    let turns_of_task = turns.clone();
    let tell = async move {
        delivery::post_unwritten(&turns_of_task, channel, id, words::failure(&sentence, id)).await;
    };
    turns.0.tasks.spawn(tell.in_current_span());
}

fn not_written(turns: &Turns, message: &Message, error: &StoreError) {
    error!(error = chain(error), "a message could not be written down");
    turns.tell_operators_of_trouble(words::database_fails());
    refuse(turns, message, words::not_written());
}

/// Whether the disk has room for one more message and its answer. Nothing is accepted that could not be finished.
fn has_room(turns: &Turns, message: &Message) -> bool {
    let Some(room) = turns.store.room().filter(|room| *room < turns.min_free) else { return true };
    error!(
        bytes = room,
        "a message is not accepted: the disk of the database is nearly full (`store.min_free`)"
    );
    turns.tell_operators_of_trouble(words::disk_nearly_full());
    refuse(turns, message, words::no_room());
    false
}
