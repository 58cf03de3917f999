//! Answers to what people do with commands and buttons, within Discord's rules about time.
//!
//! # Theory of operation
//! Discord waits three seconds for the first answer to an interaction, and takes further ones for fifteen minutes. A
//! [`Responder`] keeps both for whoever answers: after two seconds it defers ("… is thinking") by itself, and the
//! answer then takes the place of that; after fourteen minutes its messages are ordinary ones, which Discord always
//! takes, but which everybody sees. What was to be seen by one person alone is refused then. A press on a dialog is an
//! interaction of its own, so it starts the fourteen minutes afresh.
//!
//! [`Responders::take`] is where all interactions go first: presses on dialogs find the one who waits for them there,
//! and nobody else has to do with them. A dialog is known by a random key in the ids of its buttons. It is open as
//! long as somebody waits; the first press that counts takes it out, so an answer counts once, and a press on a dialog
//! of an earlier bot finds none.
//!
//! When the bot stops ([`Responders::close`]), every open dialog says so in its own message, with its buttons off, and no
//! further one opens. Whoever answers an interaction then says the same by [`Responder::end_early`].

mod dialog;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::domain::{
    Choice, Form, FormMisfit, Interaction, InteractionId, InteractionKind, MessageId, Reply,
};
use crate::outbox::{Callback, Change, Interactions, Refused, Unanswered};
use crate::words::command as words;
use dialog::{Key, OpenDialog, Pressed};

/// The most suggestions that Discord takes.
const SUGGESTIONS: usize = 25;
/// How many interactions are remembered, for those that Discord tells twice.
const REMEMBERED: usize = 256;

/// How long things take, counted from the moment at which the interaction was received.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When an interaction that has no answer yet is deferred.
    pub defer: Duration,
    /// Until when the interaction's token is used.
    pub token: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { defer: Duration::from_secs(2), token: Duration::from_secs(14 * 60) }
    }
}

/// An answer could not be given. The text is for whoever wrote the script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// The time for messages to one person is over.
    #[error(
        "too much time has passed since the command or the last press: only a message that everybody sees is possible \
         now, and this one is ephemeral"
    )]
    Late,
    /// Nothing is there to edit.
    #[error("there is no reply to edit yet")]
    NothingSaid,
    /// Somebody else gave the first answer.
    #[error("it was answered already, by another bot with the same token")]
    Elsewhere,
    /// The bot stops.
    #[error("{}", words::RESTARTING)]
    Restarting,
    /// A dialog that Discord would refuse.
    #[error("{0}")]
    Unfit(&'static str),
    /// A form that Discord would refuse.
    #[error("{0}")]
    UnfitForm(#[from] FormMisfit),
    /// A form must be the first answer, and cannot be the answer to another form.
    #[error("a form can no longer open here")]
    NoForm,
    /// Discord refused, or could not be reached.
    #[error("Discord did not take it: {0}")]
    Discord(Unanswered),
}

impl From<Refused> for RespondError {
    fn from(refused: Refused) -> Self {
        Self::Discord(refused.into())
    }
}

/// Where every interaction arrives first. A cheap handle.
#[derive(Clone)]
pub struct Responders(Arc<Desk>);

struct Desk {
    discord: Interactions,
    times: Times,
    /// The dialogs that wait for a press.
    open: Mutex<HashMap<Key, OpenDialog>>,
    /// The newest interactions.
    seen: Mutex<VecDeque<InteractionId>>,
    /// Cancelled when the bot stops.
    closing: CancellationToken,
}

impl fmt::Debug for Responders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responders").field("open", &self.open().len()).finish_non_exhaustive()
    }
}

impl Responders {
    /// No interactions yet.
    pub fn new(discord: Interactions, times: Times) -> Self {
        let (open, seen, closing) = (Mutex::default(), Mutex::default(), CancellationToken::new());
        Self(Arc::new(Desk { discord, times, open, seen, closing }))
    }

    /// Takes an interaction in. `None` where it is done with: a press on a dialog, or one that came before.
    ///
    /// Waits for nothing but the answer to a press that does not count.
    pub async fn take(&self, interaction: Interaction) -> Option<Responder> {
        if !self.is_new(interaction.id) {
            debug!(id = %interaction.id, "ignored: Discord delivered it twice");
            return None;
        }
        match self.pressed(interaction) {
            Pressed::NoDialog(interaction) => Some(Responder::new(self, interaction)),
            Pressed::Counts => None,
            Pressed::Refused(press, why) => {
                self.refuse(&press, why).await;
                None
            }
        }
    }

    fn is_new(&self, interaction: InteractionId) -> bool {
        let mut seen = self.0.seen.lock();
        let is_new = !seen.contains(&interaction);
        if is_new {
            seen.truncate(REMEMBERED - 1);
            seen.push_front(interaction);
        }
        is_new
    }

    /// The bot stops: every open dialog says so, and none opens any more.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    /// Whether the bot stops.
    pub fn is_closing(&self) -> bool {
        self.0.closing.is_cancelled()
    }

    /// Resolves when the bot stops.
    pub async fn closing(&self) {
        self.0.closing.cancelled().await;
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, OpenDialog>> {
        self.0.open.lock()
    }
}

/// Answers one interaction. Clones are the same; once the last one is dropped, nothing is deferred any more.
#[derive(Clone)]
pub struct Responder(Arc<Shared>);

struct Shared {
    desk: Responders,
    asked: Interaction,
    /// Held by whoever is saying something, so that nothing overtakes.
    line: tokio::sync::Mutex<Exchange>,
    /// The person is told, or being told, that nothing more comes, because the bot stops.
    is_over: AtomicBool,
}

/// How things stand between the bot and the person.
struct Exchange {
    /// The newest interaction: the one that was asked, or a press on a dialog of its.
    newest: Interaction,
    stage: ReplyStage,
    /// The last message that was said, which is the one to edit.
    last: Option<PostedMessage>,
}

/// How things stand with the newest interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplyStage {
    /// It has no answer yet.
    Open,
    /// The bot "is thinking", for one person alone or for everybody.
    Deferred { ephemeral: bool },
    /// It is answered; further messages are possible.
    Answered,
    /// A form has opened, and nothing else can be said to it.
    Form,
    /// It takes nothing any more.
    Closed,
}

/// A message that was said.
#[derive(Debug, Clone)]
struct PostedMessage {
    /// Not known where Discord did not tell it.
    id: Option<MessageId>,
    ephemeral: bool,
    /// The interaction that it came through, as its first answer or as a further one; none for an ordinary message.
    through: Option<(Interaction, bool)>,
}

impl PostedMessage {
    /// Whether it is the same message.
    fn is(&self, other: &Self) -> bool {
        let through =
            |said: &Self| said.through.as_ref().map(|(interaction, first)| (interaction.id, *first));
        self.id == other.id && through(self) == through(other)
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("asked", &self.0.asked.id).finish_non_exhaustive()
    }
}

impl Responder {
    fn new(desk: &Responders, asked: Interaction) -> Self {
        // A press stands below a message that can be edited, also where it has opened a form.
        let last = asked.kind.message().map(|message| PostedMessage {
            id: Some(message),
            ephemeral: false,
            through: Some((asked.clone(), true)),
        });
        let line = Exchange { newest: asked.clone(), stage: ReplyStage::Open, last };
        let shared = Arc::new(Shared {
            desk: desk.clone(),
            asked,
            line: tokio::sync::Mutex::new(line),
            is_over: AtomicBool::new(false),
        });
        if !matches!(shared.asked.kind, InteractionKind::Autocomplete(..)) {
            let at = Instant::from_std(shared.asked.received) + desk.0.times.defer;
            tokio::spawn(defer_at(at, Arc::downgrade(&shared)));
        }
        Self(shared)
    }

    /// What is answered.
    pub fn interaction(&self) -> &Interaction {
        &self.0.asked
    }

    /// Says that an answer will come, if there is none yet. It happens by itself after two seconds, for everybody.
    pub async fn defer(&self, ephemeral: bool) {
        self.0.defer(ephemeral).await;
    }

    /// Answers at first, and says one more thing after that.
    ///
    /// # Errors
    /// See [`RespondError`].
    pub async fn reply(&self, reply: &Reply) -> Result<(), RespondError> {
        let mut line = self.0.line.lock().await;
        let said = self.0.say(&mut line, reply).await?;
        line.last = Some(said);
        Ok(())
    }

    /// Puts this in the place of what was said last. Who sees it stays as it was.
    ///
    /// # Errors
    /// See [`RespondError`].
    pub async fn edit(&self, reply: &Reply) -> Result<(), RespondError> {
        let mut line = self.0.line.lock().await;
        let Some(last) = line.last.clone() else { return Err(RespondError::NothingSaid) };
        if line.stage == ReplyStage::Open && line.newest.kind.message().is_some() {
            let update = Callback::Update(Change::Whole(reply));
            match self.0.desk.0.discord.answer(&line.newest, update).await {
                Ok(_) => {
                    line.stage = ReplyStage::Answered;
                    return Ok(());
                }
                Err(Unanswered::Unclear(_)) => line.stage = ReplyStage::Answered,
                Err(Unanswered::TooLate) => line.stage = ReplyStage::Closed,
                Err(Unanswered::Already) => {
                    line.stage = ReplyStage::Answered;
                    return Err(RespondError::Elsewhere);
                }
                Err(other) => return Err(RespondError::Discord(other)),
            }
        }
        line.last = Some(match self.0.change(&last, Change::Whole(reply)).await? {
            Some(changed) => changed,
            None => self.0.say_openly(&Reply { ephemeral: false, ..reply.clone() }).await?,
        });
        Ok(())
    }

    /// Opens a form, as the first and only answer; what is submitted comes as an interaction of its own, or never.
    ///
    /// # Errors
    /// See [`RespondError`]. Where the form does not fit, or comes too late, nothing was answered by it.
    pub async fn open_form(&self, form: &Form) -> Result<(), RespondError> {
        form.check()?;
        let mut line = self.0.line.lock().await;
        if line.stage != ReplyStage::Open || matches!(line.newest.kind, InteractionKind::Form { .. }) {
            return Err(RespondError::NoForm);
        }
        match self.0.desk.0.discord.answer(&line.newest, Callback::Form(form)).await {
            // If it has not arrived after all, the person sees that the bot did not respond, and presses again.
            Ok(_) | Err(Unanswered::Unclear(_)) => line.stage = ReplyStage::Form,
            Err(Unanswered::TooLate) => {
                line.stage = ReplyStage::Closed;
                return Err(RespondError::NoForm);
            }
            Err(Unanswered::Already) => {
                line.stage = ReplyStage::Answered;
                return Err(RespondError::Elsewhere);
            }
            Err(error) => return Err(RespondError::Discord(error)),
        }
        // Its token reaches no message, so that of a button is edited as an ordinary one.
        if let Some(last) = &mut line.last {
            last.through = None;
        }
        Ok(())
    }

    /// Answers somebody who is typing in an option; more than 25 suggestions are cut off.
    ///
    /// # Errors
    /// See [`RespondError`]; a late answer is worth no more than none.
    pub async fn suggest(&self, choices: &[Choice]) -> Result<(), RespondError> {
        let mut line = self.0.line.lock().await;
        line.stage = ReplyStage::Answered;
        let choices = Callback::Suggest(&choices[..choices.len().min(SUGGESTIONS)]);
        let answered = self.0.desk.0.discord.answer(&line.newest, choices).await;
        answered.map(drop).map_err(RespondError::Discord)
    }

    /// Ends the answer before its time, because the bot stops. It takes the place of a deferral, whoever sees that: there
    /// may be no time for two calls. Where a dialog has said it already, that is enough.
    ///
    /// # Errors
    /// See [`RespondError`].
    pub async fn end_early(&self, why: &str) -> Result<(), RespondError> {
        if self.0.is_over.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let mut line = self.0.line.lock().await;
        let ephemeral = line.stage != ReplyStage::Deferred { ephemeral: false };
        let said = self.0.say(&mut line, &Reply { ephemeral, ..Reply::text(why) }).await?;
        line.last = Some(said);
        Ok(())
    }

    /// Whether the person is told already that the bot stops.
    pub fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Relaxed)
    }

    /// Ends the answer: where nothing was said, the person who asked hears this alone. Nobody is left with a bot that
    /// "is thinking" for ever.
    ///
    /// # Errors
    /// See [`RespondError`].
    pub async fn finish(&self, otherwise: &str) -> Result<(), RespondError> {
        match self.0.asked.kind {
            InteractionKind::Autocomplete(..) => self.suggest(&[]).await,
            InteractionKind::Press { .. } | InteractionKind::Form { message: Some(_), .. } => {
                self.defer(false).await;
                Ok(())
            }
            InteractionKind::Command(_) | InteractionKind::Form { message: None, .. } => {
                let mut line = self.0.line.lock().await;
                if line.last.is_some() || matches!(line.stage, ReplyStage::Answered | ReplyStage::Form) {
                    return Ok(());
                }
                let said = self.0.say(&mut line, &Reply::ephemeral(otherwise)).await?;
                line.last = Some(said);
                Ok(())
            }
        }
    }
}

async fn defer_at(at: Instant, shared: Weak<Shared>) {
    sleep_until(at).await;
    // Nobody would give the answer otherwise.
    if let Some(shared) = shared.upgrade() {
        shared.defer(false).await;
    }
}

impl Shared {
    async fn defer(&self, ephemeral: bool) {
        let mut line = self.line.lock().await;
        if line.stage != ReplyStage::Open {
            return;
        }
        let (callback, stage) = match line.newest.kind.message() {
            Some(_) => (Callback::DeferUpdate, ReplyStage::Answered),
            None => (Callback::Defer { ephemeral }, ReplyStage::Deferred { ephemeral }),
        };
        line.stage = match self.desk.0.discord.answer(&line.newest, callback).await {
            // If it has not arrived after all, the answer will show it.
            Ok(_) | Err(Unanswered::Unclear(_)) => stage,
            Err(Unanswered::Already) => ReplyStage::Answered,
            Err(error) => {
                warn!(id = %line.newest.id, "cannot defer an interaction: {error}");
                ReplyStage::Closed
            }
        };
    }

    /// Says something new by the best way there is.
    async fn say(&self, line: &mut Exchange, reply: &Reply) -> Result<PostedMessage, RespondError> {
        let discord = &self.desk.0.discord;
        if !self.is_fresh(&line.newest) {
            line.stage = ReplyStage::Closed;
        }
        let newest = &line.newest;
        let (first, answered) = match line.stage {
            ReplyStage::Open => match discord.answer(newest, Callback::Reply(reply)).await {
                // If it has arrived, this changes nothing; if not, Discord knows of no answer.
                Err(Unanswered::Unclear(why)) => {
                    debug!(id = %newest.id, "an answer may or may not have arrived: {why}");
                    (true, discord.edit_original(newest, Change::Whole(reply)).await.map(Some))
                }
                other => (true, other),
            },
            ReplyStage::Deferred { ephemeral } if ephemeral == reply.ephemeral => {
                (true, discord.edit_original(newest, Change::Whole(reply)).await.map(Some))
            }
            // Who sees it was settled by the deferral, which is taken back.
            ReplyStage::Deferred { .. } => {
                match discord.delete_original(newest).await {
                    Ok(()) => {}
                    Err(error) => debug!(id = %newest.id, "cannot remove a deferred answer: {error}"),
                }
                line.stage = ReplyStage::Answered;
                (false, discord.follow_up(newest, reply).await.map(Some))
            }
            ReplyStage::Answered => (false, discord.follow_up(newest, reply).await.map(Some)),
            ReplyStage::Form | ReplyStage::Closed => (false, Err(Unanswered::TooLate)),
        };
        match answered {
            Ok(id) => {
                line.stage = ReplyStage::Answered;
                Ok(PostedMessage { id, ephemeral: reply.ephemeral, through: Some((newest.clone(), first)) })
            }
            Err(Unanswered::TooLate) => {
                line.stage = ReplyStage::Closed;
                self.say_openly(reply).await
            }
            Err(Unanswered::Already) => {
                line.stage = ReplyStage::Answered;
                Err(RespondError::Elsewhere)
            }
            Err(error) => Err(RespondError::Discord(error)),
        }
    }

    async fn say_openly(&self, reply: &Reply) -> Result<PostedMessage, RespondError> {
        if reply.ephemeral {
            return Err(RespondError::Late);
        }
        let id = self.desk.0.discord.say(self.asked.channel_id, reply).await?;
        Ok(PostedMessage { id: Some(id), ephemeral: false, through: None })
    }

    /// Changes something that was said where it stands, and tells what is there now; `None` where it is gone.
    async fn change(
        &self,
        said: &PostedMessage,
        change: Change<'_>,
    ) -> Result<Option<PostedMessage>, RespondError> {
        let discord = &self.desk.0.discord;
        let through = said.through.as_ref().filter(|(interaction, _)| self.is_fresh(interaction));
        let changed = match (through, said.id) {
            (Some((interaction, true)), _) => discord.edit_original(interaction, change).await,
            (Some((interaction, false)), Some(id)) => discord.edit(interaction, id, change).await,
            _ => Err(Unanswered::TooLate),
        };
        match changed {
            Ok(id) => return Ok(Some(PostedMessage { id: Some(id), ..said.clone() })),
            Err(Unanswered::TooLate) => {}
            Err(error) => return Err(RespondError::Discord(error)),
        }
        if said.ephemeral {
            return Err(RespondError::Late);
        }
        let Some(id) = said.id else { return Ok(None) };
        match discord.edit_said(self.asked.channel_id, id, change).await {
            Ok(()) => Ok(Some(PostedMessage { through: None, ..said.clone() })),
            Err(Refused::NotFound { .. }) => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    fn is_fresh(&self, interaction: &Interaction) -> bool {
        interaction.received.elapsed() < self.desk.0.times.token
    }
}

#[cfg(test)]
mod tests;
