//! Slash commands at work: which ones Discord shows, who may use them, and what they ask for.
//!
//! # Theory of operation
//! The definitions of the live script set are registered with Discord at the start and whenever a reload changes them
//! ([`register`]).
//! A use of a command goes through the gate like a message ([`access`]); then its script runs until it asks for an effect, the
//! effect is performed ([`perform`]), and the script goes on with the answer. So a command is one task that mostly
//! waits, and ends on the script set it began with. Discord's deadlines are [`crate::respond`]'s business.
//!
//! When the bot stops ([`Commands::close`]), a command may end what it is at and say something, but cause nothing more; what
//! takes longer than [`GRACE`] is dropped. Whoever used it is told, and so is whoever comes now.

mod access;
mod choose;
mod continue_buttons;
mod notice_buttons;
mod perform;
mod question_buttons;
mod register;
mod stop_button;
mod under_way;
mod usage;

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info, warn};

use crate::domain::{Choice, Command, GuildId, Interaction, InteractionKind, Invocation, OptionValue, Reply};
use crate::outbox::Interactions;
use crate::reload::Reloader;
use crate::respond::{Responder, Responders};
use crate::script::{CommandCall, CommandStep, ScriptSet};
use crate::text;
use crate::turn::Turns;
use crate::words::command as words;
use access::UserAccess;
pub use under_way::UnderWay;
use under_way::UnderWayGuard;

/// How long a command may still take for what it is at, once the bot stops.
const GRACE: Duration = Duration::from_secs(2);

/// What commands need of the rest of the bot.
pub struct CommandDeps {
    /// The turns: lanes, store, agents.
    pub turns: Turns,
    /// The way to reload the scripts.
    pub reloader: Reloader,
    /// The way to register commands.
    pub discord: Interactions,
    /// The way to answer what people do.
    pub responders: Responders,
    /// The guilds that get the commands; empty for all.
    pub guilds: Vec<GuildId>,
    /// When the bot was started.
    pub started: Instant,
    /// How many commands of each person are under way.
    pub uses: UnderWay,
    /// How many of those wait for a press.
    pub dialogs: UnderWay,
}

/// All commands of the bot. A cheap handle.
#[derive(Clone)]
pub struct Commands {
    deps: Arc<CommandDeps>,
    /// Every use, for the end.
    tasks: TaskTracker,
}

impl Commands {
    /// Nothing under way yet.
    pub fn new(deps: CommandDeps) -> Self {
        Self { deps: Arc::new(deps), tasks: TaskTracker::new() }
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
        if interaction.kind.custom_id().is_some()
            && let Some(refusal) = self.refusal_of_press(&interaction).await
        {
            info!(user = %interaction.author.id, "a press or a form is refused: {refusal}");
            return self.responders.refuse(&interaction, &refusal).await;
        }
        if self.pressed_stop(&interaction).await
            || self.pressed_notice(&interaction).await
            || self.pressed_continuation(&interaction).await
            || self.acted_on_question(&interaction).await
        {
            return;
        }
        if let Some(responder) = self.responders.take(interaction).await {
            or_broken(&responder, self.handle(&responder)).await;
        }
    }

    /// A press, or a form, passes the gate as it is now, before it counts: since the command was used, or the form opened,
    /// somebody may have been shut out, and whoever is must not use up a dialog that others wait for.
    async fn refusal_of_press(&self, press: &Interaction) -> Option<String> {
        tokio::select! {
            biased;
            () = self.responders.closing() => Some(words::RESTARTING.to_owned()),
            checked = async { UserAccess::of(&self.turns, press).await.check_here().await } => checked.err(),
        }
    }

    async fn handle(&self, responder: &Responder) {
        let said = match &responder.interaction().kind {
            InteractionKind::Command(invocation) => self.use_command(responder, invocation.clone()).await,
            InteractionKind::Autocomplete(invocation, option) => {
                return self.suggest(responder, invocation.clone(), option.clone()).await;
            }
            // Whatever knows of it has had it before.
            InteractionKind::Press { .. } => {
                return self.responders.refuse(responder.interaction(), words::UNKNOWN_BUTTON).await;
            }
            InteractionKind::Form { .. } => {
                return self.responders.refuse(responder.interaction(), words::FORM_CLOSED).await;
            }
        };
        if let Err(error) = responder.finish(&said).await {
            warn!("cannot answer an interaction: {error}");
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
        let access = UserAccess::of(&self.turns, asked).await;
        let name = &*invocation.command;
        let Some(command) = access.scripts.commands().iter().find(|command| command.name == name) else {
            return Err(words::UNKNOWN.to_owned());
        };
        // Operators get through, whatever others do.
        let is_operator = access.is_operator();
        let counted = self.uses.begin(asked.author.id);
        let checked = match counted {
            None if !is_operator => Err(words::too_many(self.uses.most())),
            _ => check_use(&access, command, &invocation, asked).await,
        };
        if let Err(refusal) = checked {
            info!(name, user = %asked.author.id, "refused: {refusal}");
            return Err(refusal);
        }
        info!(name, user = %asked.author.id, "runs");
        let call = CommandCall { first: is_operator, ..CommandCall::new(asked, invocation) };
        Ok((access.scripts, call, counted))
    }

    async fn run(&self, responder: &Responder, scripts: &ScriptSet, call: CommandCall) -> String {
        let name = call.invocation.command.clone();
        let turns_begun = AtomicU64::new(0);
        let mut step = scripts.call(call).await;
        loop {
            match step {
                CommandStep::Effect(effect, waiting) => {
                    let answer = perform::perform(self, responder, &turns_begun, effect).await;
                    if responder.is_over() {
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
        if responder.is_over() {
            std::future::pending().await
        }
    }

    async fn ended_early(&self, responder: &Responder) -> String {
        info!("ends early: the bot stops");
        if let Err(error) = responder.end_early(&format!("⚠️ {}", words::UNFINISHED)).await {
            info!("cannot say that a command ended early: {error}");
        }
        words::UNFINISHED.to_owned()
    }

    async fn suggest(&self, responder: &Responder, invocation: Invocation, option: String) {
        let choices = tokio::select! {
            biased;
            () = self.responders.closing() => Vec::new(),
            choices = self.suggestions(responder.interaction(), invocation, option) => choices,
        };
        if let Err(error) = responder.suggest(&choices).await {
            debug!("cannot show suggestions: {error}");
        }
    }

    async fn suggestions(&self, asked: &Interaction, invocation: Invocation, option: String) -> Vec<Choice> {
        let access = UserAccess::of(&self.turns, asked).await;
        let counted = self.uses.begin(asked.author.id);
        let may = counted.is_some() || access.is_operator();
        if !may || access.check_here().await.is_err() {
            return Vec::new();
        }
        let suggestions = access.scripts.autocomplete(CommandCall::new(asked, invocation), option).await;
        suggestions.unwrap_or_else(|error| {
            warn!(%error, "no suggestions: the script failed");
            self.turns.tell_operators_of_script(&error);
            Vec::new()
        })
    }
}

impl Deref for Commands {
    type Target = CommandDeps;

    fn deref(&self) -> &CommandDeps {
        &self.deps
    }
}

/// Whether this person may use this command here, on the channels among its options; else what they are told.
async fn check_use(
    access: &UserAccess<'_>,
    command: &Command,
    invocation: &Invocation,
    asked: &Interaction,
) -> Result<(), String> {
    access.check_here().await?;
    if command.guild_only && asked.guild_id.is_none() {
        return Err(words::GUILD_ONLY.to_owned());
    }
    let Some(permission) = command.permission else { return Ok(()) };
    let name = permission.name.replace('_', " ");
    if !permission.is_in(asked.permissions) {
        return Err(words::needs_permission(&name));
    }
    // What may be done here may not be done there.
    let there = |channel| invocation.permissions.get(&channel).copied().unwrap_or(0);
    for (_, value) in &invocation.options {
        if let OptionValue::Channel(channel) = value
            && !permission.is_in(there(channel.id))
        {
            return Err(words::needs_permission_in(&name, channel.id));
        }
    }
    Ok(())
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
    use crate::domain::{ApplicationId, Author, ChannelId, InteractionId, InteractionToken, UserId};
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
