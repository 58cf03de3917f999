//! What Claude asks in a turn: posted, answered once, and shown as what became of it.
//!
//! # Theory of operation
//! A question is written down as open, then posted; its buttons carry its key. Whatever ends it (a press, the time limit, the
//! agent that wants no answer any more) first takes it out of its open state in the store, in one step: the first counts.
//! Then the agent is told, and the message shows what became of it. The store also holds what the message shows, so a bot
//! that dies in between leaves nothing that the next one does not put right.
//!
//! While all of its agent waits, a turn gives its slot back; it gets it again before the agent hears the answer.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::answers;
use super::buttons::ButtonId;
use super::hooks::TurnHooks;
use super::standby::Standby;
use super::steer::OpenTurn;
use super::task::Task;
use super::{Turns, question_modes, shown};
use crate::agent::{Further, Progress, Question, QuestionAbout, QuestionAnswer, QuestionId};
use crate::domain::{ChannelId, MessageId, Project, ProjectName, Row, SessionId};
use crate::logging::chain;
use crate::outbox::{Notify, Post, Refused};
use crate::script::ScriptDecision;
use crate::store::{
    Decider, NewQuestion, QuestionEnd, QuestionKey, QuestionKind, QuestionState, StoreError, StoredQuestion,
};
use crate::words::question as words;
use crate::{text, view};

/// The wait before a message is edited again that could not be.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// A question of a turn that runs.
pub struct OpenQuestion {
    pub(super) turn: MessageId,
    channel: ChannelId,
    pub(super) project: ProjectName,
    /// The session that waits for the answer.
    session: SessionId,
    pub(super) about: QuestionAbout,
    /// Those of the agent's questions that are this one: equal ones join.
    ids: Mutex<Vec<QuestionId>>,
    /// The message that asks, once it stands.
    pub(super) posted: OnceLock<MessageId>,
    further: mpsc::UnboundedSender<Further>,
    standby: Standby,
    state: watch::Sender<QuestionState>,
}

/// The questions of one turn, while its agent is at work.
pub struct TurnQuestions {
    turns: Turns,
    task: Task,
    project: Arc<Project>,
    /// The session that waits for the answers.
    session: SessionId,
    hooks: Arc<TurnHooks>,
    standby: Standby,
    further: mpsc::UnboundedSender<Further>,
    open: Mutex<Vec<Arc<OpenQuestion>>>,
}

impl TurnQuestions {
    /// None yet, of a turn whose agent `way` leads to.
    pub fn new(turns: &Turns, task: Task, way: &OpenTurn, hooks: Arc<TurnHooks>, standby: Standby) -> Self {
        Self {
            turns: turns.clone(),
            task,
            project: Arc::clone(&way.project),
            session: way.session,
            hooks,
            standby,
            further: way.further(),
            open: Mutex::default(),
        }
    }

    /// Something happened in the turn.
    pub fn hear(&self, step: &Progress) {
        match step {
            Progress::Asked(question) => self.ask(question),
            Progress::Withdrawn(id) => self.withdraw(|open| {
                let mut ids = open.ids.lock();
                ids.retain(|known| known != id);
                ids.is_empty()
            }),
            Progress::Waits(waits) => self.standby.all_waits(*waits),
            _ => {}
        }
    }

    fn ask(&self, question: &Question) {
        let mut question = question_modes::within(&self.project, question.clone());
        if let QuestionAbout::Elicitation(elicitation) = &mut question.about {
            elicitation.redact_labels(|text| self.turns.outbox.redact(text).into_owned());
        }
        let question = &question;
        let mut open = self.open.lock();
        let is_same = |known: &&Arc<OpenQuestion>| {
            known.about == question.about && *known.state.borrow() == QuestionState::Open
        };
        if let Some(same) = open.iter().find(is_same) {
            return same.ids.lock().push(question.id.clone());
        }
        let new = Arc::new(OpenQuestion {
            turn: self.task.message,
            channel: self.task.channel,
            project: self.project.name.clone(),
            session: self.session,
            about: question.about.clone(),
            ids: Mutex::new(vec![question.id.clone()]),
            posted: OnceLock::new(),
            further: self.further.clone(),
            standby: self.standby.clone(),
            state: watch::Sender::new(QuestionState::Open),
        });
        open.push(Arc::clone(&new));
        let (turns, task) = (self.turns.clone(), self.task);
        let limit = match question.about {
            QuestionAbout::Choices(_) => self.project.limits.question_choice,
            QuestionAbout::Permission(_) | QuestionAbout::Plan(_) | QuestionAbout::Elicitation(_) => {
                Some(self.project.limits.question)
            }
        };
        let drawn = {
            let redact = |text: &str| turns.outbox.redact(text).into_owned();
            view::draw_question(question, task.author, &self.project.dir, redact)
        };
        let by_script = self.hooks.decides(question).then(|| {
            self.standby.script_begins();
            let (hooks, project, question) =
                (Arc::clone(&self.hooks), Arc::clone(&self.project), question.clone());
            async move { hooks.decide(&question, &project).await }
        });
        self.turns.0.tasks.spawn(async move {
            let open = Arc::clone(&new);
            let followed = follow(turns, task, new, drawn, limit, by_script);
            if AssertUnwindSafe(followed).catch_unwind().await.is_err() {
                error!("a question panicked");
                open.tell(QuestionAnswer::Refuse(words::NOBODY_TO_ASK.to_owned())).await;
            }
        });
    }

    fn withdraw(&self, which: impl Fn(&OpenQuestion) -> bool) {
        if self.turns.0.ending.is_cancelled() {
            // The bot stops, and with it the agent; the next one takes up what is open.
            return;
        }
        let mut open = self.open.lock();
        open.retain(|question| {
            let is_withdrawn = which(question);
            if is_withdrawn {
                question.state.send_if_modified(|state| {
                    let was_open = *state == QuestionState::Open;
                    if was_open {
                        *state = QuestionState::Withdrawn;
                    }
                    was_open
                });
            }
            !is_withdrawn
        });
    }
}

impl Drop for TurnQuestions {
    /// The agent is done: what is open now stays unanswered.
    fn drop(&mut self) {
        self.withdraw(|_| true);
    }
}

/// Has a script decide about one question, if there is one; else posts it, and waits for its end.
async fn follow(
    turns: Turns,
    task: Task,
    open: Arc<OpenQuestion>,
    drawn: view::DrawnQuestion,
    limit: Option<Duration>,
    by_script: Option<impl Future<Output = Option<ScriptDecision>>>,
) {
    let (kind, body) = match &open.about {
        QuestionAbout::Permission(_) => (QuestionKind::Permission, String::new()),
        // A list of texts always has a JSON form.
        QuestionAbout::Choices(questions) => {
            (QuestionKind::Choices, serde_json::to_string(questions).unwrap_or_default())
        }
        QuestionAbout::Plan(_) => (QuestionKind::Plan, String::new()),
        QuestionAbout::Elicitation(_) => (QuestionKind::Elicitation, String::new()),
    };
    let new = NewQuestion { turn: task.message, session: open.session, kind, text: drawn.text.clone(), body };
    let key = match turns.store.open_question(new).await {
        Ok(key) => key,
        Err(error) => {
            warn!(error = chain(&error), "a question could not be written down, so it is not asked");
            return open.tell(QuestionAnswer::Refuse(words::NOBODY_TO_ASK.to_owned())).await;
        }
    };
    turns.questions().insert(key, Arc::clone(&open));
    if let Some(by_script) = by_script {
        let is_decided = decide(&turns, key, by_script.await).await;
        open.standby.script_ends(is_decided);
        if is_decided {
            return drop(turns.questions().remove(&key));
        }
    }
    let mut state = open.state.subscribe();
    let posted = tokio::select! {
        posted = post_whole(&turns, task, key, &open, drawn) => posted,
        // It stays open in the store, and the next bot takes it up. Nor does the bot's end wait for Discord.
        () = turns.0.ending.cancelled() => return drop(turns.questions().remove(&key)),
    };
    if let Err((state, told)) = posted {
        let answer = QuestionAnswer::Refuse(told.to_owned());
        // Where it stands after all, its message says so.
        drop(turns.settle(key, answer, QuestionEnd::new(state, Decider::Nobody)).await);
    }
    let ended = async { drop(state.wait_for(|state| *state != QuestionState::Open).await) };
    tokio::select! {
        // As above.
        () = turns.0.ending.cancelled() => return drop(turns.questions().remove(&key)),
        () = ended => {}
        () = sleep(limit.unwrap_or_default()), if limit.is_some() => {
            let answer = match open.about {
                QuestionAbout::Elicitation(_) => QuestionAnswer::Dismiss,
                _ => QuestionAnswer::Refuse(words::nobody_answered(limit.unwrap_or_default())),
            };
            drop(turns.settle(key, answer, QuestionEnd::new(QuestionState::Expired, Decider::Time)).await);
        }
    }
    let ends_as = *open.state.borrow();
    if ends_as == QuestionState::Withdrawn {
        let end = QuestionEnd::new(ends_as, Decider::Nobody);
        if let Err(error) = turns.store.decide_question(key, end).await {
            debug!(error = chain(&error), "that a question is withdrawn is not written down");
        }
    }
    turns.questions().remove(&key);
    turns.0.unsent.lock().forget(key);
    turns.show_question(key).await;
}

/// Takes what a script has decided as the answer; whether it is one. Nothing is posted then.
async fn decide(turns: &Turns, key: QuestionKey, decision: Option<ScriptDecision>) -> bool {
    let (answer, state, reason) = match decision {
        None => return false,
        Some(ScriptDecision::Allow) => (QuestionAnswer::Allow, QuestionState::Allowed, None),
        Some(ScriptDecision::Deny(reason)) => {
            let answer = QuestionAnswer::Forbid(words::forbidden_because(&reason));
            (answer, QuestionState::Denied, Some(reason))
        }
    };
    let end = QuestionEnd { reason, ..QuestionEnd::new(state, Decider::Script) };
    match turns.settle(key, answer, end).await {
        Ok(true) => {
            if let Err(error) = turns.store.set_question_shown(key, state).await {
                debug!(error = chain(&error), "cannot record that a question is not shown");
            }
            true
        }
        Ok(false) => false,
        Err(error) => {
            warn!(error = chain(&error), "what a script has decided could not be written down");
            false
        }
    }
}

/// Posts a question, with its file where it has one. What nobody can read whole, nobody can allow: where Discord takes no file,
/// the message only says so.
///
/// # Errors
/// How the question ends where it could not be posted, and what Claude is told.
async fn post_whole(
    turns: &Turns,
    task: Task,
    key: QuestionKey,
    open: &OpenQuestion,
    drawn: view::DrawnQuestion,
) -> Result<(), (QuestionState, &'static str)> {
    let ends = drawn.file.is_some().then(|| drawn.text.clone());
    let about = answers::without_secrets(&open.about, |text| turns.outbox.redact(text).into_owned());
    let rows = answers::rows(key, &about, turns.offers(&open.project));
    let Err(refused) = post(turns, task, key, open, drawn, rows).await else { return Ok(()) };
    warn!(%refused, "a question could not be posted");
    let is_about_file = matches!(refused, Refused::Forbidden { .. } | Refused::Invalid { .. });
    let Some(ends) = ends.filter(|_| is_about_file) else {
        return Err((QuestionState::Withdrawn, words::NOBODY_TO_ASK));
    };
    let text = format!("{ends}\n{}", text::small(words::NOT_SHOWN));
    let drawn = view::DrawnQuestion { text, file: None };
    if let Err(refused) = post(turns, task, key, open, drawn, Vec::new()).await {
        debug!(%refused, "that a question is too long is not said");
    }
    Err((QuestionState::NotShown, words::TOO_LONG_TO_ASK))
}

async fn post(
    turns: &Turns,
    task: Task,
    key: QuestionKey,
    open: &OpenQuestion,
    drawn: view::DrawnQuestion,
    rows: Vec<Row>,
) -> Result<(), Refused> {
    let post = Post {
        content: drawn.text,
        nonce: format!("q-{}", key.0),
        reply_to: task.reply_to(),
        notify: Notify::Person(task.author),
        file: drawn.file,
        rows,
    };
    let posted = turns.outbox.post(task.channel, post).await?;
    // It is posted once.
    let _ = open.posted.set(posted);
    if let Err(error) = turns.store.set_question_posted(key, posted).await {
        debug!(error = chain(&error), "cannot record where a question is");
    }
    Ok(())
}

impl OpenQuestion {
    /// Tells the agent, once the turn has its slot again.
    async fn tell(&self, answer: QuestionAnswer) {
        self.standby.slot.regain().await;
        for id in self.ids.lock().drain(..) {
            // Where the turn is over, nobody needs it.
            let _ = self.further.send(Further::Answer { question: id, answer: answer.clone() });
        }
    }
}

impl Turns {
    pub(super) fn questions(&self) -> MutexGuard<'_, HashMap<QuestionKey, Arc<OpenQuestion>>> {
        self.0.questions.lock()
    }

    /// Whether a turn waits for an answer to something that Claude asks.
    pub(super) fn asks(&self, turn: MessageId) -> bool {
        let questions = self.questions();
        questions.values().any(|open| open.turn == turn && *open.state.borrow() == QuestionState::Open)
    }

    /// Writes down how an open question ends, and tells its agent. `false`: it has ended before.
    pub(super) async fn settle(
        &self,
        key: QuestionKey,
        answer: QuestionAnswer,
        mut end: QuestionEnd,
    ) -> Result<bool, StoreError> {
        let Some(open) = self.questions().get(&key).cloned() else { return Ok(false) };
        if *open.state.borrow() != QuestionState::Open {
            return Ok(false);
        }
        let (state, by) = (end.state, end.by);
        end.reason = end.reason.map(|reason| self.outbox.redact(&reason).into_owned());
        if !self.store.decide_question(key, end).await? {
            return Ok(false);
        }
        info!(turn = %open.turn.short(), ?state, ?by, "a question is answered");
        if let Err(error) = self.keep(key, &open, &answer).await {
            // It holds as long as the agent lives, and then somebody is asked again.
            warn!(error = chain(&error), "what was allowed from now on could not be written down");
        }
        open.state.send_replace(state);
        self.0.tasks.spawn(async move { open.tell(answer).await });
        Ok(true)
    }

    /// Writes down what an answer is to mean for later turns, too.
    async fn keep(
        &self,
        key: QuestionKey,
        open: &OpenQuestion,
        answer: &QuestionAnswer,
    ) -> Result<(), StoreError> {
        match (answer, &open.about) {
            (QuestionAnswer::AllowForSession, QuestionAbout::Permission(permission)) => {
                let Some(grant) = &permission.grant else { return Ok(()) };
                self.store.add_grants(open.session, grant.for_session()).await
            }
            (QuestionAnswer::ApprovePlan { accept_edits }, _) => {
                self.keep_mode(key, open.channel, &open.project, *accept_edits).await
            }
            _ => Ok(()),
        }
    }

    /// Has the message of a question show what became of it, however long Discord takes.
    pub(super) async fn show_question(&self, key: QuestionKey) {
        loop {
            let Ok(Some(question)) = self.store.question(key).await else { return };
            let Some(posted) = self.where_it_stands(&question).await else {
                if !self.0.ending.is_cancelled() {
                    // It was never posted: nobody has to look for it again.
                    drop(self.store.set_question_shown(key, question.state).await);
                }
                return;
            };
            // Only what was left has buttons still.
            let takes_edits = match question.state {
                QuestionState::Left => match self.store.turn(question.turn).await {
                    Ok(Some(row)) => self.takes_edits(&row.turn.project),
                    _ => false,
                },
                _ => false,
            };
            let line = match question.kind {
                QuestionKind::Plan => {
                    words::what_became_of_plan(question.state, question.decided_by, question.mode)
                }
                QuestionKind::Elicitation => {
                    words::what_became_of_elicitation(question.state, question.decided_by)
                }
                QuestionKind::Permission | QuestionKind::Choices => {
                    words::what_became_of_it(question.state, question.decided_by)
                }
            };
            let text = format!("{}\n{}", question.text, line.as_deref().map(text::small).unwrap_or_default());
            let redact = |text: &str| self.outbox.redact(text).into_owned();
            let rows = answers::rows_at_end(&question, takes_edits, redact);
            match self.outbox.edit(question.channel, posted, text.trim_end(), &rows).await {
                Ok(()) | Err(Refused::NotFound { .. }) => {
                    if let Err(error) = self.store.set_question_shown(key, question.state).await {
                        debug!(error = chain(&error), "cannot record what a question shows");
                    }
                    return;
                }
                Err(refused) if refused.is_passing() => {
                    debug!(%refused, "what became of a question is not shown yet");
                }
                Err(refused) => return debug!(%refused, "what became of a question is not shown"),
            }
            tokio::select! {
                // The next bot shows it.
                () = self.0.ending.cancelled() => return,
                () = sleep(TRY_AGAIN) => {}
            }
        }
    }

    /// The message that asks. The bot may have died, or Discord not have answered, before that was written down.
    async fn where_it_stands(&self, question: &StoredQuestion) -> Option<MessageId> {
        if question.posted.is_some() {
            return question.posted;
        }
        let has_its_button = |id: &String| matches!(ButtonId::parse(id), Some(ButtonId::Question(key, _)) if key == question.key);
        let found = shown::find(self, question.channel, question.turn, |posted| {
            posted.custom_ids.iter().any(has_its_button)
        });
        found.await
    }
}

/// Takes up what an earlier bot has left, in the background.
pub async fn recover(turns: &Turns) -> Result<(), StoreError> {
    for question in turns.store.leave_questions().await? {
        // Each for itself: a channel that the bot may not write to must not hold up the others.
        let of_task = turns.clone();
        turns.0.tasks.spawn(async move { of_task.show_question(question.key).await });
    }
    Ok(())
}
