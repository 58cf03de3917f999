//! Slash commands at work: which ones Discord shows, who may use them, and what they ask for.
//!
//! # Theory of operation
//! The definitions of the live script set are registered with Discord, at the start and whenever a reload changes them
//! ([`register`]).
//! A use of a command goes through the gate like a message; then its script runs until it asks for an effect, the
//! effect is performed ([`perform`]), and the script goes on with the answer. So a command is one task that mostly
//! waits, and ends on the script set it began with. Discord's deadlines are [`crate::respond`]'s business.
//!
//! When the bot stops ([`Commands::close`]), a command may end what it is at and say something, but cause nothing more; what
//! takes longer than [`GRACE`] is dropped. Whoever used it is told, and so is whoever comes now.

mod choose;
mod perform;
mod register;
mod under_way;

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info, warn};

use crate::domain::{
    ChannelId, Choice, Command, GuildId, Interaction, InteractionKind, Invocation, Message, MessageId,
    OptionValue, Project, ProjectName, Reply, Route, Work,
};
use crate::outbox::{Interactions, Refused};
use crate::reload::Reloader;
use crate::respond::{Responder, Responders};
use crate::script::{CommandCall, CommandStep, ScriptError, ScriptSet};
use crate::text;
use crate::turn::Turns;
use crate::words::command as words;
pub use under_way::UnderWay;
use under_way::UnderWayGuard;

/// How long to wait for what Discord says about a channel or a person.
const CHANNEL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a command may still take for what it is at, once the bot stops.
const GRACE: Duration = Duration::from_secs(2);

/// What commands need of the rest of the bot.
pub struct CommandDeps {
    pub scripts: watch::Receiver<ScriptSet>,
    /// The turns: lanes, store, agents.
    pub turns: Turns,
    /// The way to load the scripts anew.
    pub reloader: Reloader,
    /// The way to register commands.
    pub discord: Interactions,
    /// The way to answer what people do.
    pub responders: Responders,
    /// The guilds that get the commands; empty for all.
    pub guilds: Vec<GuildId>,
    /// When the bot was started.
    pub started: Instant,
    /// The uses of commands that are under way; those of operators are not counted.
    pub uses: UnderWay,
    /// Those of them that wait for a press.
    pub dialogs: UnderWay,
}

impl CommandDeps {
    /// Whether this person may administer the bot.
    fn is_operator(&self, scripts: &ScriptSet, asked: &Interaction) -> bool {
        self.turns.gate.is_operator(scripts, asked.author.id)
    }

    /// Whether this person may work in the project, or in general. Operators may everywhere.
    async fn lets_in(
        &self,
        scripts: &ScriptSet,
        project: Option<&Project>,
        asked: &Interaction,
    ) -> Result<bool, NoRoute> {
        Ok(self.is_operator(scripts, asked) || self.admits(scripts, project, asked).await?)
    }

    /// The same, without the operators' privilege.
    async fn admits(
        &self,
        scripts: &ScriptSet,
        project: Option<&Project>,
        asked: &Interaction,
    ) -> Result<bool, NoRoute> {
        let verdict = timeout(CHANNEL_PATIENCE, self.turns.gate.ask_of(scripts, project, asked)).await;
        let verdict = verdict.map_err(|_| NoRoute::Nobody)?.map_err(|_| NoRoute::Nobody)?;
        let Some(guild) = asked.guild_id.filter(|_| verdict.admitted()) else {
            return Ok(verdict.admitted());
        };
        Ok(self.turns.gate.serves(scripts, guild, verdict).await.unwrap_or(false))
    }

    /// The same for the project that this channel is now.
    async fn lets_in_at(
        &self,
        scripts: &ScriptSet,
        asked: &Interaction,
        channel: ChannelId,
    ) -> Result<bool, NoRoute> {
        // Without asking a script: whoever mends the scripts needs the commands.
        if self.is_operator(scripts, asked) {
            return Ok(true);
        }
        let work = self.routed(scripts, asked, channel).await?;
        self.admits(scripts, work.as_ref().map(|work| &*work.project), asked).await
    }

    /// Whether this person may see and stop what is done in the project of this name. One that is gone has no rule, so
    /// it is the operators' alone.
    async fn shows(
        &self,
        scripts: &ScriptSet,
        project: &ProjectName,
        asked: &Interaction,
    ) -> Result<bool, NoRoute> {
        match scripts.project(project) {
            Some(project) => self.lets_in(scripts, Some(project), asked).await,
            None => Ok(self.is_operator(scripts, asked)),
        }
    }

    /// Where a message without text, of this person in this channel, would go now.
    async fn routed(
        &self,
        scripts: &ScriptSet,
        asked: &Interaction,
        channel: ChannelId,
    ) -> Result<Option<Work>, NoRoute> {
        let there = self.there(scripts, asked, channel).await?;
        let Some(message) = message(&there, "") else { return Ok(None) };
        match scripts.route(message).await? {
            Route::Turn(work) => Ok(Some(work)),
            _ => Ok(None),
        }
    }

    /// What was done, as if it had been done in this channel.
    async fn there(
        &self,
        scripts: &ScriptSet,
        asked: &Interaction,
        channel: ChannelId,
    ) -> Result<Interaction, NoRoute> {
        if channel == asked.channel_id {
            return Ok(asked.clone());
        }
        let is_operator = self.is_operator(scripts, asked);
        // From outside the guild it is unknown whether the person may see the channel, and which roles they have.
        if asked.guild_id.is_none() && !is_operator {
            return Err(NoRoute::Elsewhere);
        }
        // Only Discord knows whether it is a thread, and whose project it has therefore.
        let known = timeout(CHANNEL_PATIENCE, self.turns.outbox.channel(channel)).await;
        let known = known.map_err(|_| NoRoute::Silent)??;
        if known.guild != asked.guild_id && !is_operator {
            return Err(NoRoute::Elsewhere);
        }
        Ok(Interaction {
            channel_id: channel,
            parent_channel_id: known.parent,
            channel_name: known.name,
            guild_id: known.guild,
            ..asked.clone()
        })
    }
}

/// Why it is not known where a message would go.
#[derive(Debug, thiserror::Error)]
enum NoRoute {
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("Discord does not tell of the channel: {0}")]
    Channel(#[from] Refused),
    #[error("Discord does not tell of the channel in time")]
    Silent,
    #[error("the channel is not in the guild in which the command was used")]
    Elsewhere,
    #[error("Discord does not tell of the person")]
    Nobody,
}

impl NoRoute {
    /// What the person is told who used the command with this short id. The reason is logged.
    fn report(&self, turns: &Turns, id: &str) -> String {
        match self {
            Self::Script(error) => {
                error!(%error, traceback = error.traceback(), "a script failed");
                turns.tell_operators_of_script(error);
                text::with_id(error.sentence(), id)
            }
            Self::Channel(_) | Self::Silent => {
                warn!(error = %self, "a command is refused");
                words::UNKNOWN_CHANNEL.to_owned()
            }
            Self::Nobody => {
                warn!(error = %self, "a command is refused");
                words::UNKNOWN_PERSON.to_owned()
            }
            Self::Elsewhere => words::ELSEWHERE.to_owned(),
        }
    }
}

/// This text as if the person had written it in the channel; none in direct messages.
fn message(asked: &Interaction, text: &str) -> Option<Message> {
    Some(Message {
        id: MessageId::new(asked.id.get())?,
        channel_id: asked.channel_id,
        parent_channel_id: asked.parent_channel_id,
        channel_name: asked.channel_name.clone(),
        guild_id: asked.guild_id?,
        author: asked.author.clone(),
        text: text.to_owned(),
        raw_text: text.to_owned(),
        mentions_me: true,
        attachments: Vec::new(),
        extra: None,
    })
}

/// All commands of the bot. A cheap handle.
#[derive(Clone)]
pub struct Commands {
    needs: Arc<CommandDeps>,
    /// Every use, for the end.
    tasks: TaskTracker,
}

impl Commands {
    /// Nothing under way yet.
    pub fn new(needs: CommandDeps) -> Self {
        Self { needs: Arc::new(needs), tasks: TaskTracker::new() }
    }

    /// Takes in what people do, until the sender is dropped. Each is a task of its own.
    pub async fn serve(self, mut interactions: mpsc::UnboundedReceiver<Interaction>) {
        while let Some(interaction) = interactions.recv().await {
            let span = tracing::info_span!("command", id = %interaction.id.short(), channel = %interaction.channel_id);
            let commands = self.clone();
            self.tasks.spawn(async move { commands.take_in(interaction).await }.instrument(span));
        }
    }

    /// The bot stops: no command causes anything any more, and everybody who waits for one is told. Those who come now
    /// are, too.
    pub fn close(&self) {
        self.responders.close();
    }

    /// Waits until every command has ended, and its person knows. To be called once nothing comes in any more.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn take_in(&self, interaction: Interaction) {
        if matches!(interaction.kind, InteractionKind::Press { .. })
            && let Some(refusal) = self.refusal_of_press(&interaction).await
        {
            info!(user = %interaction.author.id, "a press is refused: {refusal}");
            return self.responders.refuse(&interaction, &refusal).await;
        }
        if let Some(responder) = self.responders.take(interaction).await {
            or_broken(&responder, self.handle(&responder)).await;
        }
    }

    /// A press passes the gate as it is now, before it counts: since the command was used, somebody may have been shut
    /// out, and whoever is must not use up a dialog that others wait for.
    async fn refusal_of_press(&self, press: &Interaction) -> Option<String> {
        let let_in = async {
            self.turns.gate.refresh_for(press.author.id).await;
            let scripts = self.scripts.borrow().clone();
            self.lets_in_at(&scripts, press, press.channel_id).await
        };
        let let_in = tokio::select! {
            biased;
            () = self.responders.closing() => return Some(words::RESTARTING.to_owned()),
            let_in = let_in => let_in,
        };
        match let_in {
            Ok(true) => None,
            Ok(false) => Some(words::NOT_LET_IN.to_owned()),
            Err(error) => Some(error.report(&self.turns, &press.id.short())),
        }
    }

    async fn handle(&self, responder: &Responder) {
        let said = match &responder.interaction().kind {
            InteractionKind::Command(invocation) => self.use_command(responder, invocation.clone()).await,
            InteractionKind::Autocomplete(invocation, option) => {
                return self.suggest(responder, invocation.clone(), option.clone()).await;
            }
            InteractionKind::Press { .. } => words::UNKNOWN.to_owned(),
        };
        if let Err(error) = responder.finish(&said).await {
            warn!("an interaction is not answered: {error}");
        }
    }

    /// Runs a command to its end, or until the bot stops; gives what is to be said where it has said nothing.
    async fn use_command(&self, responder: &Responder, invocation: Invocation) -> String {
        let begun = tokio::select! {
            biased;
            () = self.responders.closing() => return words::RESTARTING.to_owned(),
            begun = self.begin(responder, invocation) => begun,
        };
        let (scripts, call, _counted) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return refusal,
        };
        tokio::select! {
            said = self.run(responder, &scripts, call) => said,
            () = self.grace_is_over(responder) => self.ended_early(responder).await,
        }
    }

    /// The command as the scripts get it, where this person may use it now, and their place among those who do; else what
    /// they are told.
    async fn begin(
        &self,
        responder: &Responder,
        invocation: Invocation,
    ) -> Result<(ScriptSet, CommandCall, Option<UnderWayGuard<'_>>), String> {
        let asked = responder.interaction();
        self.turns.gate.refresh_for(asked.author.id).await;
        let scripts = self.scripts.borrow().clone();
        let name = invocation.command.clone();
        let Some(command) = scripts.commands().iter().find(|command| command.name == name).cloned() else {
            return Err(words::UNKNOWN.to_owned());
        };
        // Whoever looks after the bot gets through, whatever others do.
        let is_operator = self.is_operator(&scripts, asked);
        let counted = self.uses.begin(asked.author.id);
        if counted.is_none() && !is_operator {
            info!(name, user = %asked.author.id, "refused: the person has enough under way");
            return Err(words::too_many(self.uses.most()));
        }
        if let Some(refusal) = self.refusal(&scripts, &command, &invocation, asked).await {
            info!(name, user = %asked.author.id, "refused: {refusal}");
            return Err(refusal);
        }
        info!(name, user = %asked.author.id, "runs");
        let call = CommandCall { first: is_operator, ..CommandCall::new(asked, invocation) };
        Ok((scripts, call, counted))
    }

    async fn run(&self, responder: &Responder, scripts: &ScriptSet, call: CommandCall) -> String {
        let name = call.invocation.command.clone();
        let questions = AtomicU64::new(0);
        let mut step = scripts.call(call).await;
        loop {
            match step {
                CommandStep::Effect(effect, waiting) => {
                    let answer = perform::perform(self, responder, &questions, effect).await;
                    if responder.is_over().await {
                        return words::UNFINISHED.to_owned();
                    }
                    step = waiting.resume(answer).await;
                }
                CommandStep::Done => return words::NOTHING_SAID.to_owned(),
                CommandStep::Failed(_) if self.responders.is_closing() => {
                    return self.ended_early(responder).await;
                }
                CommandStep::Failed(error) => match error.refusal() {
                    Some(refusal) => {
                        info!(name, "ends: {refusal}");
                        return say_end(responder, refusal.to_owned()).await;
                    }
                    None => {
                        error!(name, %error, traceback = error.traceback(), "a command failed");
                        self.turns.tell_operators_of_script(&error);
                        let id = responder.interaction().id.short();
                        return say_end(responder, text::with_id(error.sentence(), &id)).await;
                    }
                },
            }
        }
    }

    /// Resolves when the bot stops and a command that is still at work has had its time, unless its person is being told.
    async fn grace_is_over(&self, responder: &Responder) {
        self.responders.closing().await;
        sleep(GRACE).await;
        if responder.is_over().await {
            std::future::pending().await
        }
    }

    async fn ended_early(&self, responder: &Responder) -> String {
        info!("ends early: the bot stops");
        if let Err(error) = responder.end_early(&format!("⚠️ {}", words::UNFINISHED)).await {
            info!("a command could not say that it ended early: {error}");
        }
        words::UNFINISHED.to_owned()
    }

    /// Why this person may not use this command here, on the channels among its options.
    async fn refusal(
        &self,
        scripts: &ScriptSet,
        command: &Command,
        invocation: &Invocation,
        asked: &Interaction,
    ) -> Option<String> {
        match self.lets_in_at(scripts, asked, asked.channel_id).await {
            Ok(true) => {}
            Ok(false) => return Some(words::NOT_LET_IN.to_owned()),
            Err(error) => return Some(error.report(&self.turns, &asked.id.short())),
        }
        if command.guild_only && asked.guild_id.is_none() {
            return Some(words::GUILD_ONLY.to_owned());
        }
        let permission = command.permission?;
        let name = permission.name.replace('_', " ");
        if !permission.is_in(asked.permissions) {
            return Some(format!("You need the permission “{name}” for this."));
        }
        // What may be done here may not be done there.
        let channels = invocation.options.iter().filter_map(|(_, value)| match value {
            OptionValue::Channel(channel) => Some(channel.id),
            _ => None,
        });
        let there = |channel| invocation.permissions.get(&channel).copied().unwrap_or(0);
        let mut refused = channels.filter(|&channel| !permission.is_in(there(channel)));
        refused.next().map(|channel| format!("You need the permission “{name}” in <#{channel}> for this."))
    }

    async fn suggest(&self, responder: &Responder, invocation: Invocation, option: String) {
        let choices = tokio::select! {
            biased;
            () = self.responders.closing() => Vec::new(),
            choices = self.suggestions(responder.interaction(), invocation, option) => choices,
        };
        if let Err(error) = responder.suggest(&choices).await {
            debug!("suggestions came too late: {error}");
        }
    }

    async fn suggestions(&self, asked: &Interaction, invocation: Invocation, option: String) -> Vec<Choice> {
        self.turns.gate.refresh_for(asked.author.id).await;
        let scripts = self.scripts.borrow().clone();
        let counted = self.uses.begin(asked.author.id);
        let let_in = self.lets_in_at(&scripts, asked, asked.channel_id).await;
        let may = counted.is_some() || self.is_operator(&scripts, asked);
        if !may || !let_in.unwrap_or(false) {
            return Vec::new();
        }
        scripts.autocomplete(CommandCall::new(asked, invocation), option).await.unwrap_or_else(|error| {
            warn!(%error, "no suggestions: the script failed");
            self.turns.tell_operators_of_script(&error);
            Vec::new()
        })
    }
}

impl Deref for Commands {
    type Target = CommandDeps;

    fn deref(&self) -> &CommandDeps {
        &self.needs
    }
}

/// Says why a command ended, even if it has said something before.
async fn say_end(responder: &Responder, sentence: String) -> String {
    let reply = Reply::ephemeral(format!("⚠️ {sentence}"));
    if let Err(error) = responder.reply(&reply).await {
        debug!("cannot say how a command ended: {error}");
    }
    sentence
}

/// A panic must not leave its person without a word.
async fn or_broken(responder: &Responder, work: impl Future<Output = ()>) {
    if AssertUnwindSafe(work).catch_unwind().await.is_err() {
        error!("a command panicked");
        let sentence =
            say_end(responder, text::with_id(words::BROKEN, &responder.interaction().id.short())).await;
        if let Err(error) = responder.finish(&sentence).await {
            debug!("cannot say that a command panicked: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApplicationId, Author, InteractionId, InteractionToken, UserId};
    use crate::outbox::tests::Server;
    use crate::respond::Times;

    #[tokio::test]
    async fn whose_command_panics_is_told() {
        for is_deferred in [false, true] {
            let (server, outbox) = Server::start([]).await;
            let discord = outbox.interactions(ApplicationId::new(8).unwrap());
            let asked = Interaction {
                id: InteractionId::new(30).unwrap(),
                token: InteractionToken("t30".into()),
                channel_id: ChannelId::new(20).unwrap(),
                parent_channel_id: None,
                channel_name: "general".into(),
                guild_id: None,
                author: Author {
                    id: UserId::new(40).unwrap(),
                    name: "ann".into(),
                    roles: vec![],
                    bot: false,
                },
                permissions: 0,
                received: Instant::now(),
                kind: InteractionKind::Command(Invocation {
                    command: "x".into(),
                    subcommand: None,
                    options: Vec::new(),
                    permissions: Default::default(),
                }),
            };
            let responder = Responders::new(discord, Times::default()).take(asked).await.unwrap();
            or_broken(&responder, async {
                if is_deferred {
                    responder.defer(true).await;
                }
                panic!("on purpose")
            })
            .await;
            let body = server.calls().pop().unwrap().body;
            let message = if is_deferred { &body } else { &body["data"] };
            let told = message["content"].as_str().unwrap().to_owned();
            assert!(
                told.starts_with("⚠️ Something inside the bot broke") && told.contains("-# id "),
                "{told}"
            );
        }
    }
}
