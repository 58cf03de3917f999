//! Posting what is to be said, part by part, with the ledger kept.
//!
//! # Theory of operation
//! A crash anywhere leaves a delivery that goes on at the first part that is not recorded as posted. That one part
//! may be in the channel all the same: the bot died between Discord's answer and the record. Its nonce makes
//! Discord answer with the message that is there, but Discord forgets nonces after some minutes; so a delivery that
//! is taken up again looks for the part in the channel first ([`find_posted`]).
//!
//! The same holds for a delivery that is stuck: Discord is away for longer than the outbox tries, the channel takes
//! nothing for now (a permission is missing, the thread is closed), or the database fails. Nothing is lost: it is
//! retried with growing waits, sooner when something happens in the channel ([`Turns::stir`]). Its lane stays closed
//! meanwhile, so that answers keep their order. Only after `discord.keep_trying` is it closed, and
//! the operators are told.
//!
//! The last part of a long answer has a file in place of further parts. These are in the ledger as well, as spare ones:
//! where Discord refuses the file, one step of the store puts them in its place, and from then on they are parts like
//! all others. So a crash before that step tries the file again, and one after it goes on with them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Turns;
use super::buttons::ButtonId;
use super::live::LiveLineHandle;
use super::refused_turns::{self, rows, with_what_comes_of_it};
use crate::domain::{ChannelId, File, MessageId};
use crate::logging::chain;
use crate::outbox::{Notify, Post, Posted, Refused};
use crate::store::{Delivery, DeliveryEnd, Millis, StoreError, StoredPart};
use crate::words;

/// The wait before a delivery that is stuck is tried again; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// Activity in the channel makes a wait this many times shorter. It never ends it at once, or a busy channel would mean
/// no wait at all.
const STIRRED: u32 = 10;

/// Why a delivery cannot continue for now.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("the ledger cannot be read or written")]
    Store(#[from] StoreError),
    /// Only those for which [`Refused::is_passing`] holds.
    #[error("Discord takes nothing now")]
    Discord(#[source] Refused),
}

/// What holds up a channel's texts.
#[derive(Default)]
pub(super) struct Speaking {
    /// Held while the parts of one text are posted, so that two texts never interleave in a channel.
    only_speaker: tokio::sync::Mutex<()>,
    /// Something has happened that may unblock what is stuck.
    stirred: watch::Sender<()>,
}

/// The growing waits of something that is stuck; activity in its channel makes them shorter.
struct Waits {
    stirred: watch::Receiver<()>,
    next: Duration,
}

impl Waits {
    fn of(speaking: &Speaking) -> Self {
        Self { stirred: speaking.stirred.subscribe(), next: FIRST_WAIT }
    }

    /// Begins an attempt: activity counts from now on.
    fn begin(&mut self) {
        self.stirred.mark_unchanged();
    }

    /// Waits before the next one.
    async fn wait(&mut self) {
        let (tried, wait) = (Instant::now(), self.next);
        self.next = (wait * 2).min(LONGEST_WAIT);
        let stirred = async {
            // Its sender lives as long as somebody waits.
            let _ = self.stirred.changed().await;
            sleep_until(tried + wait / STIRRED).await;
        };
        tokio::select! {
            () = stirred => {}
            () = sleep_until(tried + wait) => {}
        }
    }
}

/// Whether the bot may write in the channel now. Without that permission Discord refuses "typing", too, which nobody
/// sees fail.
pub async fn may_speak(turns: &Turns, channel: ChannelId) -> bool {
    match turns.outbox.may_type(channel).await {
        Err(refused) if refused.is_passing() => {
            info!(error = %refused, "a turn waits until the bot may write in its channel");
            false
        }
        _ => true,
    }
}

/// Waits until the bot may write in the channel.
pub async fn until_it_may_speak(turns: &Turns, channel: ChannelId) {
    let speaking = turns.speaking(channel);
    let mut waits = Waits::of(&speaking);
    loop {
        waits.wait().await;
        waits.begin();
        if may_speak(turns, channel).await {
            return;
        }
    }
}

/// Posts what the ledger holds for this message. Returns when all is posted or refused for good, however long that
/// takes, when somebody stops it by `silence`, or when the bot stops. The live line goes once all of it stands, or nothing
/// can be posted for now.
pub async fn deliver(
    turns: &Turns,
    channel: ChannelId,
    message: MessageId,
    silence: &CancellationToken,
    live: Option<LiveLineHandle>,
) {
    until_delivered(turns, channel, message, silence, false, live).await;
}

/// Continues a delivery that an earlier bot has begun.
pub async fn resume(turns: &Turns, channel: ChannelId, message: MessageId, silence: &CancellationToken) {
    until_delivered(turns, channel, message, silence, true, None).await;
}

/// `may_be_posted`: the first part that is not recorded as posted may be in the channel all the same.
async fn until_delivered(
    turns: &Turns,
    channel: ChannelId,
    message: MessageId,
    silence: &CancellationToken,
    mut may_be_posted: bool,
    mut live: Option<LiveLineHandle>,
) {
    let speaking = turns.speaking(channel);
    let _only_speaker = tokio::select! {
        biased;
        () = silence.cancelled() => None,
        only_speaker = speaking.only_speaker.lock() => Some(only_speaker),
    };
    let mut waits = Waits::of(&speaking);
    let begun = Millis::now();
    let (mut is_silenced, mut is_told) = (false, false);
    loop {
        waits.begin();
        let tried = tokio::select! {
            biased;
            () = silence.cancelled() => {
                is_silenced = true;
                stop(turns, message).await
            }
            tried = continue_delivery(turns, message, may_be_posted) => tried,
        };
        let Err(stuck) = tried else { return };
        if matches!(stuck, Stuck::Store(StoreError::Closed)) {
            return error!(error = chain(&stuck), "a delivery is left for the next start");
        }
        drop(live.take());
        error!(error = chain(&stuck), "a delivery is stuck; next try in {:?}", waits.next);
        // Of an archived one, this says that the bot may not open it.
        if let Stuck::Discord(refused) = &stuck
            && matches!(refused.code(), Some(Refused::ARCHIVED | Refused::LOCKED))
            && !std::mem::replace(&mut is_told, true)
        {
            turns.tell_operators(words::thread_is_locked(channel, message));
        }
        tokio::select! {
            () = turns.0.ending.cancelled() => return,
            () = silence.cancelled(), if !is_silenced => {}
            () = waits.wait() => {}
        }
        may_be_posted = true;
        if let Stuck::Store(_) = stuck
            && since(begun) > turns.keep_trying
        {
            turns.tell_operators(words::never_written(channel, message));
            return error!("a delivery is left for the next start: the database fails for too long");
        }
    }
}

async fn continue_delivery(turns: &Turns, message: MessageId, may_be_posted: bool) -> Result<(), Stuck> {
    let Some(mut delivery) = turns.store.undelivered(message).await? else { return Ok(()) };
    if may_be_posted {
        find_posted(turns, message, &mut delivery).await?;
    }
    let (channel, written) = (delivery.channel, delivery.written);
    let is_refused_turn = delivery.continuation.is_some();
    match post_parts(turns, message, delivery, may_be_posted).await {
        Ok(()) if is_refused_turn => {
            // Somebody may have decided before it was recorded where the answer is.
            refused_turns::show_all(turns);
            Ok(())
        }
        Err(Stuck::Discord(refused)) if since(written) > turns.keep_trying => {
            error!(error = %refused, "Discord has not taken an answer for too long; the delivery is closed");
            turns.store.close_delivery(message, DeliveryEnd::Refused(refused.to_string())).await?;
            turns.tell_operators(words::never_posted(channel, message, &refused.to_string()));
            Ok(())
        }
        other => other,
    }
}

/// Closes a delivery when nobody wants the rest of it.
async fn stop(turns: &Turns, message: MessageId) -> Result<(), Stuck> {
    if turns.store.close_delivery(message, DeliveryEnd::Stopped).await? {
        info!("the rest of the answer is not posted: somebody stopped it");
    }
    Ok(())
}

/// How long ago that was, by this machine's clock.
pub(super) fn since(time: Millis) -> Duration {
    Duration::from_millis(Millis::now().0.saturating_sub(time.0).try_into().unwrap_or(0))
}

/// How a part can be recognized in the channel.
struct Look<'a> {
    text: Cow<'a, str>,
    /// The refused turn that its buttons are about.
    decides_about: Option<MessageId>,
    reply_to: Option<MessageId>,
    silent: bool,
}

impl<'a> Look<'a> {
    /// Of the part at this place, from 0.
    fn of(message: MessageId, delivery: &Delivery, place: usize, part: &'a StoredPart) -> Self {
        let is_last = place + 1 == delivery.parts.len();
        let is_reply = delivery.is_reply && (place == 0 || is_last);
        let reply_to = is_reply.then_some(delivery.answered);
        let (text, decides_about) = match delivery.continuation.filter(|_| is_last) {
            Some(it) => (with_what_comes_of_it(&part.text, it).into(), Some(message)),
            None => (part.text.as_str().into(), None),
        };
        Self { text, decides_about, reply_to, silent: !is_last }
    }
}

/// Records the first unrecorded part, if it is in the channel. The history is read to its end, unless the
/// part is found.
///
/// Discord does not keep nonces with its messages, so a part is known by its words, by what it replies to, and by
/// whether it was silent. The bot's other messages look different: commands answer through a webhook, and what they
/// post is neither a reply nor silent.
async fn find_posted(turns: &Turns, message: MessageId, delivery: &mut Delivery) -> Result<(), Stuck> {
    let before = delivery.parts.iter().filter_map(|part| part.posted).next_back();
    let after = before.unwrap_or(delivery.answered);
    let Some(place) = delivery.parts.iter().position(|part| part.posted.is_none()) else { return Ok(()) };
    let mut history = turns.outbox.history(delivery.channel, after, turns.me);
    loop {
        let own = match history.next().await {
            Ok(Some(own)) => own,
            Ok(None) => return Ok(()),
            Err(refused) if refused.is_passing() => return Err(Stuck::Discord(refused)),
            Err(refused) => {
                debug!(error = %refused, "cannot read the history; relying on the nonce");
                return Ok(());
            }
        };
        for posted in own {
            let part = &delivery.parts[place];
            let look = Look::of(message, delivery, place, part);
            // It may be part of another answer with the same words; the ledger knows those.
            if is_it(turns, delivery.channel, &posted, &look).await?
                && !turns.store.is_known(posted.id).await?
            {
                turns.store.posted(message, part.number, posted.id).await?;
                delivery.parts[place].posted = Some(posted.id);
                return Ok(());
            }
        }
    }
}

/// Whether this message looks like the part.
async fn is_it(turns: &Turns, channel: ChannelId, posted: &Posted, look: &Look<'_>) -> Result<bool, Stuck> {
    let decides = |id: &String| matches!(ButtonId::parse(id), Some(ButtonId::Refused(turn, _)) if look.decides_about == Some(turn));
    if posted.custom_ids.iter().any(decides) {
        return Ok(true);
    }
    if posted.content.trim() != turns.outbox.redact(&look.text).trim() || posted.silent != look.silent {
        return Ok(false);
    }
    match (look.reply_to, posted.reply_to) {
        // A reply to a message that had been deleted shows no reference.
        (Some(answered), None) => match turns.outbox.stands(channel, answered).await {
            Ok(stands) => Ok(!stands),
            Err(refused) if refused.is_passing() => Err(Stuck::Discord(refused)),
            Err(_) => Ok(false),
        },
        (wanted, is) => Ok(wanted == is),
    }
}

/// `again`: this is not the first try.
async fn post_parts(
    turns: &Turns,
    message: MessageId,
    mut delivery: Delivery,
    again: bool,
) -> Result<(), Stuck> {
    let in_its_place = words::failure(&words::part_refused(), message);
    let mut reopened = false;
    let mut place = 0;
    while let Some(part) = delivery.parts.get(place) {
        if part.posted.is_some() {
            place += 1;
            continue;
        }
        let look = Look::of(message, &delivery, place, part);
        let number = part.number;
        let has_file = part.file.is_some();
        let post = Post {
            content: look.text.clone().into_owned(),
            nonce: nonce(message, number),
            reply_to: look.reply_to,
            notify: if look.silent { Notify::Nobody } else { Notify::Person(delivery.author) },
            file: part.file.clone().map(|content| File { name: words::ANSWER_FILE.to_owned(), content }),
            rows: match delivery.continuation.filter(|_| look.decides_about.is_some()) {
                Some(continuation) => rows(message, continuation),
                None => Vec::new(),
            },
        };
        let refused = match turns.outbox.post(delivery.channel, post).await {
            Ok(posted) => {
                turns.store.posted(message, number, posted).await?;
                place += 1;
                continue;
            }
            Err(refused) => refused,
        };
        if refused.code() == Some(Refused::ARCHIVED) && !reopened {
            reopened = true;
            match turns.outbox.reopen(delivery.channel).await {
                Ok(()) => continue,
                Err(why @ Refused::Forbidden { .. }) => {
                    debug!(error = %why, "may not reopen a closed thread")
                }
                Err(why) => return Err(Stuck::Discord(why)),
            }
        }
        // Whatever is wrong with the file (its size, a missing permission): the person wants the answer, however many
        // messages it takes.
        if has_file && !holds_up_words_too(turns, delivery.channel, &refused, again).await {
            warn!(error = %refused, "Discord refused the file of a long answer; all of it is posted as messages");
            delivery.parts = turns.store.without_file(message).await?;
            continue;
        }
        if refused.is_passing() {
            return Err(Stuck::Discord(refused));
        }
        // Discord rejects the words of this part (a link, AutoMod); the other parts may pass.
        if matches!(refused, Refused::Invalid { .. }) && !part.refused {
            warn!(error = %refused, part = number, "Discord refused the words of a part; they are left out");
            delivery.parts = turns.store.say_instead(message, number, in_its_place.clone()).await?;
            continue;
        }
        warn!(error = %refused, part = number, "Discord refused a part; the delivery is closed");
        let end = DeliveryEnd::Refused(refused.to_string());
        turns.store.close_delivery(message, end).await?;
        return Ok(());
    }
    Ok(())
}

/// Whether a message without a file would be refused as well. Discord says that a permission is missing, but not which.
/// If none is, it may just have been granted, unless this is not the first try (`again`).
async fn holds_up_words_too(turns: &Turns, channel: ChannelId, refused: &Refused, again: bool) -> bool {
    if !matches!(refused, Refused::Forbidden { .. }) {
        return refused.is_passing();
    }
    match turns.outbox.access(channel, turns.me).await {
        Ok(access) if access.permissions.suffice(access.is_thread) => {
            access.permissions.may_attach() && !again
        }
        Ok(_) | Err(_) => true,
    }
}

/// Posts one sentence that could not be stored.
pub async fn post_unwritten(turns: &Turns, channel: ChannelId, message: MessageId, content: String) {
    let post = Post {
        content,
        nonce: nonce(message, 0),
        reply_to: Some(message),
        notify: Notify::Channel,
        file: None,
        rows: Vec::new(),
    };
    if let Err(refused) = turns.outbox.post(channel, post).await {
        warn!(error = %refused, "Discord refused a message");
    }
}

/// At most 25 characters, as Discord demands: an id has up to 20, and parts are counted from 1.
fn nonce(message: MessageId, part: u32) -> String {
    format!("{message}-{part}")
}

impl Turns {
    /// Something has happened in this channel, or anywhere (`None`), that may unblock a stuck delivery: somebody wrote
    /// there, or channels, threads, roles or permissions have changed.
    pub(super) fn stir(&self, channel: Option<ChannelId>) {
        let speaking = self.all_speaking();
        match channel {
            Some(channel) => speaking.get(&channel).into_iter().for_each(|it| it.stirred.send_replace(())),
            None => speaking.values().for_each(|it| it.stirred.send_replace(())),
        }
    }

    fn speaking(&self, channel: ChannelId) -> Arc<Speaking> {
        let mut speaking = self.all_speaking();
        speaking.retain(|_, it| Arc::strong_count(it) > 1);
        Arc::clone(speaking.entry(channel).or_default())
    }
}
