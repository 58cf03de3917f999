//! Performing what a script asks for. An error is a sentence for the person: it is raised at the line that asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::Value;
use tracing::error;

use super::{CommandDeps, NoRoute, choose, message};
use crate::domain::{
    ChannelId, Dialog, DialogEnd, Format, MessageId, PermissionMode, Project, ProjectName, Reply, Route,
    UserId, Work,
};
use crate::logging::chain;
use crate::respond::{RespondError, Responder};
use crate::script::{
    Changed, Effect, ProjectInfo, QueueEntry, Reloaded, ScriptSet, SessionFacts, StatusFacts, TurnRequest,
    YES,
};
use crate::store::{ChannelChoice, ChannelRow, Millis, NewChoice, SessionRow, StoreError, TurnState};
use crate::text;
use crate::turn::Stopped;
use crate::words::command as words;

type Answer = Result<Value, String>;

/// How much of a prompt lists show, in characters.
const PROMPT_START: usize = 200;

/// One use of a command.
struct Use<'a> {
    needs: &'a CommandDeps,
    scripts: &'a ScriptSet,
    responder: &'a Responder,
    questions: &'a AtomicU64,
}

/// Performs an effect: on the routes and behind the gate as they are now, whichever scripts the command began with.
/// `questions` counts those of this use of the command.
pub async fn perform(
    needs: &CommandDeps,
    responder: &Responder,
    questions: &AtomicU64,
    effect: Effect,
) -> Answer {
    let only_says = matches!(effect, Effect::Reply(_) | Effect::Edit(_) | Effect::Defer { .. });
    if needs.responders.is_closing() && !only_says {
        return Err(words::UNFINISHED.to_owned());
    }
    needs.turns.gate.refresh_for(responder.interaction().author.id).await;
    let scripts = &needs.scripts.borrow().clone();
    let used = Use { needs, scripts, responder, questions };
    match effect {
        Effect::Reply(reply) => answer_of(responder.reply(&reply).await),
        Effect::Edit(reply) => answer_of(responder.edit(&reply).await),
        Effect::Defer { ephemeral } => {
            responder.defer(ephemeral).await;
            Ok(Value::Null)
        }
        Effect::Confirm(dialog) => used.ask_person(dialog, |value| Value::Bool(value == YES)).await,
        Effect::Choose(dialog) => used.ask_person(dialog, Value::String).await,
        Effect::Session { channel } => match used.session(channel).await? {
            Some(row) => json(used.session_facts(row).await?),
            None => Ok(Value::Null),
        },
        Effect::Sessions => {
            let mut facts = Vec::new();
            for (row, channel) in used.stored(needs.turns.store.sessions().await)? {
                if used.shows(&row.project).await? {
                    facts.push(used.facts_of(row, channel));
                }
            }
            json(facts)
        }
        Effect::ResetSession { channel } => {
            let Some(row) = used.session(channel).await? else { return Ok(Value::Null) };
            let (channel, project) = (row.channel, row.project.clone());
            let facts = used.session_facts(row).await?;
            used.stored(needs.turns.store.forget_session(channel, &project).await)?;
            json(facts)
        }
        Effect::SetModel { channel, model } => used.set_model(channel, model).await,
        Effect::SetPermissionMode { channel, mode } => used.set_permission_mode(channel, mode).await,
        Effect::Stop { channel } => {
            let channel = used.channel(channel).await?;
            let Some(turn) = needs.turns.running(channel) else { return Ok(Value::Null) };
            // One that is not written down yet has not begun.
            let Some((facts, project)) = used.running(turn).await? else { return Ok(Value::Null) };
            if !used.may_see(facts.user.id, &project).await? {
                return Err(words::ELSEWHERE.to_owned());
            }
            let Some(stopped) = needs.turns.stop(turn).await else { return Ok(Value::Null) };
            json(QueueEntry { answering: stopped == Stopped::Answer, ..facts })
        }
        Effect::Queue { channel } => {
            let channel = used.channel(channel).await?;
            json(used.queue(channel).await?)
        }
        Effect::TakeOut { turn } => used.take_out(turn).await,
        Effect::Ask(ask) => used.ask(ask).await,
        Effect::Send { channel, text } => {
            let Some(work) = used.routed(channel).await? else {
                return Err(words::NO_PROJECT_THERE.to_owned());
            };
            used.may(Some(&work.project)).await?;
            for part in text::parts(&text, &Format::default()) {
                let said = needs.discord.say(channel, &Reply::text(part.text)).await;
                said.map_err(|refused| format!("Discord did not take it: {refused}"))?;
            }
            Ok(Value::Null)
        }
        Effect::Projects => {
            let facts = |project: &Arc<Project>| ProjectInfo {
                name: project.name.clone(),
                model: project.model.clone(),
                permission_mode: project.permission_mode,
            };
            json(scripts.projects().map(facts).collect::<Vec<_>>())
        }
        Effect::Status => {
            let (running, waiting) = needs.turns.counts();
            json(StatusFacts {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                uptime: needs.started.elapsed().as_secs_f64(),
                generation: needs.reloader.generation(),
                running,
                waiting,
            })
        }
        Effect::Reload => {
            if !needs.is_operator(scripts, responder.interaction()) {
                return Err(words::OPERATORS_ONLY.to_owned());
            }
            let reloaded = needs.reloader.reload_now().await;
            let live = reloaded.is_ok();
            let problems = reloaded.err().unwrap_or_else(|| needs.reloader.problems());
            let problems = problems.iter().map(ToString::to_string).collect();
            json(Reloaded { generation: needs.reloader.generation(), problems, live })
        }
    }
}

impl Use<'_> {
    /// The channel that is meant, where this person may work in it.
    async fn channel(&self, channel: Option<ChannelId>) -> Result<ChannelId, String> {
        let here = self.responder.interaction().channel_id;
        match channel.filter(|channel| *channel != here) {
            None => Ok(here),
            Some(other) => {
                let let_in = self.needs.lets_in_at(self.scripts, self.responder.interaction(), other).await;
                match let_in.map_err(|failure| self.no_route(failure))? {
                    true => Ok(other),
                    false => Err(words::ELSEWHERE.to_owned()),
                }
            }
        }
    }

    /// The same, and where a message of this person in it would go now.
    async fn place(&self, channel: Option<ChannelId>) -> Result<(ChannelId, Option<Work>), String> {
        let channel = channel.unwrap_or(self.responder.interaction().channel_id);
        let work = self.routed(channel).await?;
        self.may(work.as_ref().map(|work| &*work.project)).await?;
        Ok((channel, work))
    }

    async fn may(&self, project: Option<&Project>) -> Result<(), String> {
        let may = self.needs.lets_in(self.scripts, project, self.responder.interaction()).await;
        if may.map_err(|failure| self.no_route(failure))? { Ok(()) } else { Err(words::ELSEWHERE.to_owned()) }
    }

    /// Whether this person may see what is done in the project.
    async fn shows(&self, project: &ProjectName) -> Result<bool, String> {
        let shows = self.needs.shows(self.scripts, project, self.responder.interaction()).await;
        shows.map_err(|failure| self.no_route(failure))
    }

    /// The same of a turn there: one's own everybody may see.
    async fn may_see(&self, author: UserId, project: &ProjectName) -> Result<bool, String> {
        Ok(author == self.responder.interaction().author.id || self.shows(project).await?)
    }

    async fn ask_person(&self, dialog: Dialog, answer: impl FnOnce(String) -> Value) -> Answer {
        let asked = self.responder.interaction();
        let counted = self.needs.dialogs.begin(asked.author.id);
        if counted.is_none() && !self.needs.is_operator(self.scripts, asked) {
            let most = self.needs.dialogs.most();
            let questions = if most == 1 { "a question".to_owned() } else { format!("{most} questions") };
            return Err(format!(
                "I have asked you {questions} already; answer one, or wait until it is over."
            ));
        }
        match self.responder.ask(dialog).await {
            Ok(DialogEnd::Chosen { value, .. }) => Ok(answer(value)),
            Ok(DialogEnd::TimedOut) => Ok(Value::Null),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where a message of this person in this channel would go now.
    async fn routed(&self, channel: ChannelId) -> Result<Option<Work>, String> {
        let routed = self.needs.routed(self.scripts, self.responder.interaction(), channel).await;
        routed.map_err(|failure| self.no_route(failure))
    }

    fn no_route(&self, failure: impl Into<NoRoute>) -> String {
        failure.into().report(&self.needs.turns, &self.responder.interaction().id.short())
    }

    /// The session that the channel's next turn goes on with.
    async fn session(&self, channel: Option<ChannelId>) -> Result<Option<SessionRow>, String> {
        let (channel, work) = self.place(channel).await?;
        let Some(work) = work.filter(|work| !work.fresh) else { return Ok(None) };
        let project = &work.project;
        let session = self.stored(self.needs.turns.store.session(channel, &project.name).await)?;
        let session = session.filter(|session| session.dir == project.dir);
        Ok(session.map(|session| SessionRow { channel, project: project.name.clone(), session }))
    }

    async fn session_facts(&self, row: SessionRow) -> Result<SessionFacts, String> {
        let channel = self.stored(self.needs.turns.store.channel(row.channel).await)?;
        Ok(self.facts_of(row, channel))
    }

    fn facts_of(&self, row: SessionRow, of: ChannelRow) -> SessionFacts {
        let ChannelRow { channel, choice } = of;
        let project = self.scripts.project(&row.project);
        let choice = project.map(|project| choice.clone().within(project)).unwrap_or(choice);
        let queue = self.needs.turns.queue(row.channel);
        let cost = row.session.cost.0;
        SessionFacts {
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
        let (channel, project) = self.chooses_for(channel).await?;
        if let Some(model) = &model {
            choose::check_model(model, project.as_deref())?;
        }
        let before = self.chooses(channel, NewChoice::Model(model.clone()), project.as_deref()).await?;
        let own = || project.as_ref().and_then(|project| project.model.clone());
        json(Changed { before: before.model.or_else(own), after: model.or_else(own) })
    }

    async fn set_permission_mode(&self, channel: Option<ChannelId>, mode: Option<String>) -> Answer {
        let (channel, project) = self.chooses_for(channel).await?;
        let mode = mode.map(|mode| choose::mode(&mode, project.as_deref())).transpose()?;
        let before = self.chooses(channel, NewChoice::PermissionMode(mode), project.as_deref()).await?;
        let own = || project.as_ref().and_then(|project| project.permission_mode);
        let named = |mode: Option<PermissionMode>| mode.or_else(own).map(|mode| mode.as_str().to_owned());
        json(Changed { before: named(before.permission_mode), after: named(mode) })
    }

    /// The channel for which something is chosen, and the project that it has now, if it has one.
    async fn chooses_for(
        &self,
        channel: Option<ChannelId>,
    ) -> Result<(ChannelId, Option<Arc<Project>>), String> {
        let (channel, work) = self.place(channel).await?;
        if self.responder.interaction().guild_id.is_none() && work.is_none() {
            return Err(words::NO_PROJECT.to_owned());
        }
        Ok((channel, work.map(|work| work.project)))
    }

    /// Writes a choice; what counted before.
    async fn chooses(
        &self,
        channel: ChannelId,
        new: NewChoice,
        project: Option<&Project>,
    ) -> Result<ChannelChoice, String> {
        let before = self.stored(self.needs.turns.store.set_choice(channel, new).await)?;
        Ok(match project {
            Some(project) => before.within(project),
            None => before,
        })
    }

    /// As much of a prompt as lists show, without secrets: half of one would not be known as one.
    fn start_of(&self, prompt: &str) -> String {
        self.needs.turns.outbox.redact(prompt).chars().take(PROMPT_START).collect()
    }

    /// A turn that runs, and its project; none where it has ended meanwhile.
    async fn running(&self, turn: MessageId) -> Result<Option<(QueueEntry, ProjectName)>, String> {
        let row = self.stored(self.needs.turns.store.turn(turn).await)?;
        Ok(row.map(|row| {
            let facts = QueueEntry {
                id: turn,
                user: row.turn.author,
                prompt: self.start_of(&row.turn.prompt),
                running: true,
                answering: matches!(row.state, TurnState::Ended(_)),
                seconds: seconds_since(row.turn.accepted),
            };
            (facts, row.turn.project)
        }))
    }

    /// Who runs and who waits in the channel, in the order of its lane, as far as this person may see it.
    async fn queue(&self, channel: ChannelId) -> Result<Vec<QueueEntry>, String> {
        let mut facts = Vec::new();
        let mut waiting = self.stored(self.needs.turns.store.waiting(channel).await)?;
        for (turn, running) in self.needs.turns.queue(channel) {
            if running {
                if let Some((running, project)) = self.running(turn).await?
                    && self.may_see(running.user.id, &project).await?
                {
                    facts.push(running);
                }
            } else if let Some(place) = waiting.iter().position(|row| row.message == turn) {
                let row = waiting.swap_remove(place);
                if !self.may_see(row.author.id, &row.project).await? {
                    continue;
                }
                facts.push(QueueEntry {
                    id: turn,
                    user: row.author,
                    prompt: self.start_of(&row.prompt),
                    running: false,
                    answering: false,
                    seconds: seconds_since(row.accepted),
                });
            }
        }
        Ok(facts)
    }

    async fn take_out(&self, turn: MessageId) -> Answer {
        let row = self.stored(self.needs.turns.store.turn(turn).await)?;
        let Some(row) = row else { return Ok(Value::Bool(false)) };
        if row.turn.author.id != self.responder.interaction().author.id {
            return Err(words::ASKER_ONLY.to_owned());
        }
        self.stored(self.needs.turns.take_out(turn).await).map(Value::Bool)
    }

    /// Starts a turn; its question is posted, so that everybody sees what is answered.
    async fn ask(&self, ask: TurnRequest) -> Answer {
        let asked = self.responder.interaction();
        let Some(mut message) = message(asked, &ask.prompt) else {
            return Err(words::NO_PROJECT.to_owned());
        };
        let work = match ask.project {
            Some(name) => match self.scripts.project(&name) {
                Some(project) => {
                    Work { project: project.clone(), prompt: ask.prompt, model: None, fresh: false }
                }
                None => return Err(words::no_such_project(&name)),
            },
            None => match self.scripts.route(message.clone()).await {
                Ok(Route::Turn(work)) => work,
                Ok(Route::Reply(words)) => return Err(words),
                Ok(_) => return Err(words::NO_PROJECT_HERE.to_owned()),
                Err(failure) => return Err(self.no_route(failure)),
            },
        };
        let work = Work { model: ask.model.or(work.model), fresh: ask.fresh || work.fresh, ..work };
        // As a message would be: what an operator may do besides does not start turns.
        let admitted = self.needs.admits(self.scripts, Some(&work.project), asked).await;
        if !admitted.map_err(|failure| self.no_route(failure))? {
            return Err(words::ELSEWHERE.to_owned());
        }
        if let Some(model) = &work.model {
            choose::check_model(model, Some(&work.project))?;
        }
        // Before it is posted.
        if let Some(why) = self.needs.turns.too_much(asked.channel_id, asked.author.id, asked.id.made()) {
            return Err(why);
        }
        // Nothing else has an id of this use of the command; a further question counts up.
        let id = asked.id.get().saturating_add(self.questions.fetch_add(1, Ordering::Relaxed));
        message.id = MessageId::new(id).ok_or_else(|| words::UNASKABLE.to_owned())?;
        let id = message.id;
        match self.needs.turns.start(self.scripts, message, work).await {
            true => json(id),
            false => Err(words::UNFINISHED.to_owned()),
        }
    }

    /// What the store gave; where it failed, what the person is told. The reason is logged.
    fn stored<T>(&self, result: Result<T, StoreError>) -> Result<T, String> {
        result.map_err(|failure| {
            error!(error = chain(&failure), "a command could not use the database");
            self.with_id(words::NO_DATABASE)
        })
    }

    /// What is told of something that the log says more about.
    fn with_id(&self, sentence: &str) -> String {
        text::with_id(sentence, &self.responder.interaction().id.short())
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
