//! Performing what a script asks for. An error is a sentence for the person: it is raised at the line that asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::Value;
use tracing::{debug, error};

use super::access::UserAccess;
use super::{CommandDeps, choose, usage};
use crate::domain::{
    ChannelId, Dialog, DialogEnd, Format, Interaction, MessageId, NamedChannel, PermissionMode, Project,
    ProjectName, Reply, Route, UsageBy, UsagePeriod, Verbosity, Work,
};
use crate::logging::chain;
use crate::outbox::Refused;
use crate::respond::{RespondError, Responder};
use crate::script::{
    Changed, Effect, NextTurn, ProjectInfo, QueueEntry, Reloaded, SessionFacts, StatusFacts, TurnRequest, YES,
};
use crate::store::{ChannelChoice, ChannelRow, Millis, NewChoice, SessionRow, StoreError, TurnState};
use crate::text;
use crate::turn::Stopped;
use crate::words::command as words;

type Answer = Result<Value, String>;

/// How much of a prompt lists show, in characters.
const PROMPT_START: usize = 200;

/// Performs an effect: on the routes and behind the gate as they are now, whichever scripts the command began with.
/// `begun` counts the turns that this use of the command has started.
pub async fn perform(deps: &CommandDeps, responder: &Responder, begun: &AtomicU64, effect: Effect) -> Answer {
    let only_says = matches!(effect, Effect::Reply(_) | Effect::Edit(_) | Effect::Defer { .. });
    if deps.responders.is_closing() && !only_says {
        return Err(words::UNFINISHED.to_owned());
    }
    let asked = responder.interaction();
    let access = UserAccess::of(&deps.turns, asked).await;
    let used = Use { deps, access, responder, asked, begun };
    match effect {
        Effect::Reply(reply) => answer_of(responder.reply(&reply).await),
        Effect::Edit(reply) => answer_of(responder.edit(&reply).await),
        Effect::Defer { ephemeral } => {
            responder.defer(ephemeral).await;
            Ok(Value::Null)
        }
        Effect::Confirm(dialog) => used.ask_person(dialog, |value| Value::Bool(value == YES)).await,
        Effect::Choose(dialog) => used.ask_person(dialog, Value::String).await,
        Effect::Session { channel } => used.session(channel).await,
        Effect::NextTurn { channel } => used.next_turn(channel).await,
        Effect::Sessions => used.sessions().await,
        Effect::ResetSession { channel } => used.reset_session(channel).await,
        Effect::SetModel { channel, model } => used.set_model(channel, model).await,
        Effect::SetPermissionMode { channel, mode } => used.set_permission_mode(channel, mode).await,
        Effect::Verbosity { channel } => used.verbosity(channel).await,
        Effect::SetVerbosity { channel, verbosity } => used.set_verbosity(channel, verbosity).await,
        Effect::SetBoard { channel } => used.set_board(channel).await,
        Effect::Stop { channel } => used.stop(channel).await,
        Effect::Queue { channel } => used.queue(channel).await,
        Effect::TakeOut { turn } => used.take_out(turn).await,
        Effect::Ask(request) => used.ask(request).await,
        Effect::OpenThread { name } => used.open_thread(&name).await,
        Effect::Send { channel, text } => used.send(channel, &text).await,
        Effect::Projects => used.projects(),
        Effect::Status => used.status(),
        Effect::Usage { period, by } => used.usage(period, by).await,
        Effect::Reload => used.reload().await,
    }
}

/// One use of a command.
struct Use<'a> {
    deps: &'a CommandDeps,
    access: UserAccess<'a>,
    responder: &'a Responder,
    asked: &'a Interaction,
    begun: &'a AtomicU64,
}

impl Use<'_> {
    async fn ask_person(&self, dialog: Dialog, answer: impl FnOnce(String) -> Value) -> Answer {
        let counted = self.deps.dialogs.begin(self.asked.author.id);
        if counted.is_none() && !self.access.is_operator() {
            return Err(words::too_many_dialogs(self.deps.dialogs.most()));
        }
        match self.responder.ask(dialog).await {
            Ok(DialogEnd::Chosen { value, .. }) => Ok(answer(value)),
            Ok(DialogEnd::TimedOut) => Ok(Value::Null),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn session(&self, channel: Option<ChannelId>) -> Answer {
        match self.session_of(channel).await? {
            Some(row) => json(self.session_facts(row).await?),
            None => Ok(Value::Null),
        }
    }

    /// What the next turn would use, by the same rules as a turn that begins.
    async fn next_turn(&self, channel: Option<ChannelId>) -> Answer {
        let (channel, work, by_route) = self.access.next_work(channel).await?;
        let Some(work) = work else { return Ok(Value::Null) };
        let Work { project, model, fresh, .. } = work;
        let choice = self.stored(self.deps.turns.store.channel(channel).await)?.choice;
        json(NextTurn {
            model: choice.model_of_turn(model.as_ref(), &project).or_else(|| project.model.clone()),
            permission_mode: choice.within(&project).permission_mode.or(project.permission_mode),
            project: project.name.clone(),
            fresh,
            by_route,
        })
    }

    async fn sessions(&self) -> Answer {
        let mut facts = Vec::new();
        for (row, channel) in self.stored(self.deps.turns.store.sessions().await)? {
            if self.access.may_see(&row.project).await? {
                facts.push(self.facts_of(row, channel));
            }
        }
        json(facts)
    }

    async fn reset_session(&self, channel: Option<ChannelId>) -> Answer {
        let Some(row) = self.session_of(channel).await? else { return Ok(Value::Null) };
        let (channel, project) = (row.channel, row.project.clone());
        let facts = self.session_facts(row).await?;
        self.stored(self.deps.turns.store.forget_session(channel, &project).await)?;
        json(facts)
    }

    /// The session that the channel's next turn goes on with.
    async fn session_of(&self, channel: Option<ChannelId>) -> Result<Option<SessionRow>, String> {
        let (channel, work) = self.access.channel_and_work(channel).await?;
        let Some(work) = work.filter(|work| !work.fresh) else { return Ok(None) };
        let project = &work.project;
        let session = self.stored(self.deps.turns.store.session(channel, &project.name).await)?;
        let session = session.filter(|session| session.dir == project.dir);
        Ok(session.map(|session| SessionRow { channel, project: project.name.clone(), session }))
    }

    async fn session_facts(&self, row: SessionRow) -> Result<SessionFacts, String> {
        let channel = self.stored(self.deps.turns.store.channel(row.channel).await)?;
        Ok(self.facts_of(row, channel))
    }

    fn facts_of(&self, row: SessionRow, of: ChannelRow) -> SessionFacts {
        let ChannelRow { channel, choice } = of;
        let project = self.access.scripts.project(&row.project);
        let choice = project.map(|project| choice.clone().within(project)).unwrap_or(choice);
        let queue = self.deps.turns.queue(row.channel);
        let cost = row.session.cost.0;
        SessionFacts {
            id: row.session.id,
            channel,
            model: choice.model.or_else(|| project.and_then(|project| project.model.clone())),
            permission_mode: choice
                .permission_mode
                .or_else(|| project.and_then(|project| project.permission_mode)),
            project: row.project,
            turns: row.session.turns,
            cost_usd: cost as f64 / 1e6,
            last_used: row.session.last_used.0 as f64 / 1e3,
            waiting: queue.iter().filter(|(_, running)| !running).count(),
            running: queue.iter().any(|(_, running)| *running),
        }
    }

    async fn set_model(&self, channel: Option<ChannelId>, model: Option<String>) -> Answer {
        let (channel, project) = self.channel_and_project(channel).await?;
        if let Some(model) = &model {
            choose::check_model(model, project.as_deref())?;
        }
        let (before, after) = self.write_choice(channel, NewChoice::Model(model), project.as_deref()).await?;
        let own = || project.as_ref().and_then(|project| project.model.clone());
        json(Changed { before: before.model.or_else(own), after: after.model.or_else(own) })
    }

    async fn set_permission_mode(&self, channel: Option<ChannelId>, mode: Option<String>) -> Answer {
        let (channel, project) = self.channel_and_project(channel).await?;
        let mode = mode.map(|mode| choose::mode(&mode, project.as_deref())).transpose()?;
        let (before, after) =
            self.write_choice(channel, NewChoice::PermissionMode(mode), project.as_deref()).await?;
        let own = || project.as_ref().and_then(|project| project.permission_mode);
        let named = |mode: Option<PermissionMode>| mode.or_else(own).map(|mode| mode.as_str().to_owned());
        json(Changed { before: named(before.permission_mode), after: named(after.permission_mode) })
    }

    async fn verbosity(&self, channel: Option<ChannelId>) -> Answer {
        let (channel, project) = self.channel_and_project(channel).await?;
        let chosen = self.stored(self.deps.turns.store.channel(channel).await)?.choice.verbosity;
        json(chosen.or_else(|| project.map(|project| project.live)))
    }

    async fn set_verbosity(&self, channel: Option<ChannelId>, verbosity: Option<Verbosity>) -> Answer {
        let (channel, project) = self.channel_and_project(channel).await?;
        let (before, after) =
            self.write_choice(channel, NewChoice::Verbosity(verbosity), project.as_deref()).await?;
        let own = project.as_ref().map(|project| project.live);
        let named = |chosen: Option<Verbosity>| chosen.or(own).map(|level| level.as_str().to_owned());
        json(Changed { before: named(before.verbosity), after: named(after.verbosity) })
    }

    async fn set_board(&self, channel: Option<ChannelId>) -> Answer {
        if !self.access.is_operator() {
            return Err(words::OPERATORS_ONLY.to_owned());
        }
        if let Some(channel) = channel {
            self.access.channel(Some(channel)).await?;
        }
        self.stored(self.deps.turns.want_board(channel, self.asked.id).await).map(Value::Bool)
    }

    /// The channel for which something is chosen, and its project, if it has one now.
    async fn channel_and_project(
        &self,
        channel: Option<ChannelId>,
    ) -> Result<(ChannelId, Option<Arc<Project>>), String> {
        let (channel, work) = self.access.channel_and_work(channel).await?;
        if self.asked.guild_id.is_none() && work.is_none() {
            return Err(words::NO_PROJECT.to_owned());
        }
        Ok((channel, work.map(|work| work.project)))
    }

    /// Writes a choice down; returns what counted before, and what counts now: of a thread that takes its own back, what its
    /// channel has chosen.
    async fn write_choice(
        &self,
        channel: ChannelId,
        new: NewChoice,
        project: Option<&Project>,
    ) -> Result<(ChannelChoice, ChannelChoice), String> {
        let store = &self.deps.turns.store;
        let within = |choice: ChannelChoice| match project {
            Some(project) => choice.within(project),
            None => choice,
        };
        let (before, after) = self.stored(store.set_choice(channel, new).await)?;
        Ok((within(before), within(after)))
    }

    async fn stop(&self, channel: Option<ChannelId>) -> Answer {
        let channel = self.access.channel(channel).await?;
        let Some(turn) = self.deps.turns.running(channel) else { return Ok(Value::Null) };
        // One that is not written down yet has not begun.
        let Some((entry, project)) = self.in_lane(turn, true).await? else { return Ok(Value::Null) };
        if !self.access.may_see_turn(entry.user.id, &project).await? {
            return Err(words::ELSEWHERE.to_owned());
        }
        if !self.access.may_stop(entry.user.id, &project).await {
            return Err(words::NOT_YOURS_TO_STOP.to_owned());
        }
        let Some(stopped) = self.deps.turns.stop(turn).await else { return Ok(Value::Null) };
        json(QueueEntry { answering: stopped == Stopped::Answer, ..entry })
    }

    /// As much of a prompt as lists show, redacted before it is cut: half a secret is not recognized.
    fn start_of(&self, prompt: &str) -> String {
        self.deps.turns.outbox.redact(prompt).chars().take(PROMPT_START).collect()
    }

    /// A turn that is in its lane, and its project; `None` where nothing is known of it.
    async fn in_lane(
        &self,
        turn: MessageId,
        has_lane: bool,
    ) -> Result<Option<(QueueEntry, ProjectName)>, String> {
        let row = self.stored(self.deps.turns.store.turn(turn).await)?;
        Ok(row.map(|row| {
            let entry = QueueEntry {
                id: turn,
                user: row.turn.author,
                prompt: self.start_of(&row.turn.prompt),
                // An agent may have gone on with it before it gets the lane.
                running: has_lane || row.state == TurnState::Running,
                steered: row.state == TurnState::Offered,
                answering: matches!(row.state, TurnState::Ended(_)),
                seconds: seconds_since(row.turn.accepted),
            };
            (entry, row.turn.project)
        }))
    }

    /// The running and waiting turns of the channel, in the order of its lane, as far as this person may see them.
    async fn queue(&self, channel: Option<ChannelId>) -> Answer {
        let channel = self.access.channel(channel).await?;
        let mut entries = Vec::new();
        for (turn, has_lane) in self.deps.turns.queue(channel) {
            let Some((entry, project)) = self.in_lane(turn, has_lane).await? else { continue };
            // One that was taken out is about to leave.
            let is_there = has_lane || !entry.answering;
            if is_there && self.access.may_see_turn(entry.user.id, &project).await? {
                entries.push(entry);
            }
        }
        json(entries)
    }

    async fn take_out(&self, turn: MessageId) -> Answer {
        let row = self.stored(self.deps.turns.store.turn(turn).await)?;
        let Some(row) = row else { return Ok(Value::Bool(false)) };
        if row.turn.author.id != self.asked.author.id {
            return Err(words::ASKER_ONLY.to_owned());
        }
        self.stored(self.deps.turns.take_out(turn).await).map(Value::Bool)
    }

    /// Starts a turn. Its prompt is posted, so that everybody sees what is answered.
    async fn ask(&self, request: TurnRequest) -> Answer {
        let asked = self.asked;
        let Some(mut message) = self.access.as_message(asked, &request.prompt).await? else {
            return Err(words::NO_PROJECT.to_owned());
        };
        let work = match request.project {
            Some(name) => match self.access.scripts.project(&name) {
                Some(project) => Work {
                    project: project.clone(),
                    prompt: request.prompt,
                    model: None,
                    fresh: false,
                    in_thread: false,
                },
                None => return Err(words::no_such_project(&name)),
            },
            None => match self.access.route(message.clone()).await? {
                Route::Turn(work) => work,
                Route::Reply(words) => return Err(words),
                _ => return Err(words::NO_PROJECT_HERE.to_owned()),
            },
        };
        let (model, fresh) = (request.model.or(work.model), request.fresh || work.fresh);
        let work = Work { model, fresh, in_thread: request.thread, ..work };
        if work.in_thread {
            self.check_may_have_threads()?;
        }
        self.access.check_start(&work.project).await?;
        if let Some(model) = &work.model {
            choose::check_model(model, Some(&work.project))?;
        }
        // Before it is posted.
        if let Some(why) = self.deps.turns.too_much(asked.channel_id, asked.author.id, asked.id.made()) {
            return Err(why);
        }
        // Nothing else has an id of this use of the command; a further turn of it counts up.
        let id = asked.id.get().saturating_add(self.begun.fetch_add(1, Ordering::Relaxed));
        message.id = MessageId::new(id).ok_or_else(|| words::UNASKABLE.to_owned())?;
        let id = message.id;
        match self.deps.turns.start(&self.access.scripts, message, work).await {
            true => json(id),
            false => Err(words::UNFINISHED.to_owned()),
        }
    }

    /// Refuses a thread where there is one already.
    fn check_may_have_threads(&self) -> Result<(), String> {
        match self.asked.parent_channel_id {
            Some(_) => Err(words::NO_THREAD_IN_THREAD.to_owned()),
            None => Ok(()),
        }
    }

    /// Opens a thread where this person may ask.
    async fn open_thread(&self, name: &str) -> Answer {
        let (channel, work) = self.access.channel_and_work(None).await?;
        let Some(work) = work else { return Err(words::NO_PROJECT_HERE.to_owned()) };
        self.access.check_start(&work.project).await?;
        self.check_may_have_threads()?;
        let (outbox, person) = (&self.deps.turns.outbox, &self.asked.author);
        let name = text::title(&outbox.redact(name)).unwrap_or_else(|| words::thread_of(&person.name));
        let opened = outbox.open_thread(channel, &name).await;
        let thread = opened.map_err(|refused| match refused {
            Refused::Forbidden { .. } => words::MAY_OPEN_NO_THREADS.to_owned(),
            refused => words::no_thread(&refused.to_string()),
        })?;
        if let Err(refused) = outbox.add_to_thread(thread, person.id).await {
            debug!(%refused, "somebody is not added to their thread");
        }
        json(NamedChannel { id: thread, name, parent_id: Some(channel) })
    }

    /// Says something in a channel that has a project.
    async fn send(&self, channel: ChannelId, text: &str) -> Answer {
        let (channel, work) = self.access.channel_and_work(Some(channel)).await?;
        if work.is_none() {
            return Err(words::NO_PROJECT_THERE.to_owned());
        }
        for part in text::parts(text, &Format::AS_WRITTEN) {
            let said = self.deps.discord.say(channel, &Reply::text(part.text)).await;
            said.map_err(|refused| format!("Discord did not take it: {refused}"))?;
        }
        Ok(Value::Null)
    }

    fn projects(&self) -> Answer {
        let facts = |project: &Arc<Project>| ProjectInfo {
            name: project.name.clone(),
            model: project.model.clone(),
            permission_mode: project.permission_mode,
        };
        json(self.access.scripts.projects().map(facts).collect::<Vec<_>>())
    }

    fn status(&self) -> Answer {
        let (running, waiting) = self.deps.turns.counts();
        json(StatusFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.deps.started.elapsed().as_secs_f64(),
            generation: self.deps.reloader.generation(),
            running,
            waiting,
        })
    }

    /// What turns have used: this person's, or everybody's for an operator.
    async fn usage(&self, period: UsagePeriod, by: UsageBy) -> Answer {
        let everybody = self.access.is_operator();
        let whose = (!everybody).then_some(self.asked.author.id);
        let since = usage::since(period);
        let sums = self.stored(self.deps.turns.store.usage(since, whose, by).await)?;
        json(usage::facts(everybody, since, sums))
    }

    async fn reload(&self) -> Answer {
        if !self.access.is_operator() {
            return Err(words::OPERATORS_ONLY.to_owned());
        }
        let reloader = &self.deps.reloader;
        let reloaded = reloader.reload_now().await;
        let live = reloaded.is_ok();
        let problems = reloaded.err().unwrap_or_else(|| reloader.problems());
        let problems = problems.iter().map(ToString::to_string).collect();
        json(Reloaded { generation: reloader.generation(), problems, live })
    }

    /// What the store gave; where it failed, what the person is told. The reason is logged.
    fn stored<T>(&self, result: Result<T, StoreError>) -> Result<T, String> {
        result.map_err(|failure| {
            error!(error = chain(&failure), "a command cannot use the database");
            text::with_id(words::NO_DATABASE, &self.asked.id.short())
        })
    }
}

fn seconds_since(time: Millis) -> f64 {
    (Millis::now().0 - time.0).max(0) as f64 / 1e3
}

fn answer_of(said: Result<(), RespondError>) -> Answer {
    said.map(|()| Value::Null).map_err(|error| error.to_string())
}

fn json(facts: impl Serialize) -> Answer {
    serde_json::to_value(facts).map_err(|e| e.to_string())
}
