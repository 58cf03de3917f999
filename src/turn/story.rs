//! One turn, from its place in the lane to the delivered answer.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::admission::still_admitted;
use super::ending::{asker, finish, finished_with, tell_end, unwanted, what_to_say};
use super::handed::FileSender;
use super::hooks::TurnHooks;
use super::live::LiveLineHandle;
use super::notice::Notice;
use super::prompt::Composed;
use super::questions::TurnQuestions;
use super::session::{self, OpenedSession};
use super::shown::Hourglass;
use super::standby::Standby;
use super::steer::{self, GoesOn, OfferEnd, OpeningTurn};
use super::step::Step;
use super::task::Task;
use super::turn_text::Most;
use super::typing::Typing;
use super::written::until_written;
use super::{
    Settled, Stop, StopReason, Turns, budget, context, delivery, instead, look_up, prompt, prompt_message,
    refused_turns, spent, thread, turn_text,
};
use crate::agent::{Ask, AskEnd, Denial, Progress};
use crate::domain::{Outcome, Project, is_blank};
use crate::lane::{LanePosition, Ticket};
use crate::logging::chain;
use crate::store::{
    Begin, Finished, PromptMessage, SessionUpdate, SteeringEnd, StoreError, Turn, TurnRow, TurnState,
    Unwanted,
};
use crate::view::footer;
use crate::words;

/// Waits for the lane, does the step, and leaves the lane: by dropping the ticket, whatever happens here.
pub async fn carry_out(
    turns: &Turns,
    mut task: Task,
    step: Step,
    place: LanePosition,
    mut ticket: Ticket,
    stop: Arc<Stop>,
) {
    // A panic in one turn must not leave its person without a word.
    let done = AssertUnwindSafe(wait_and_run(turns, &mut task, step, place, &mut ticket, &stop));
    if done.catch_unwind().await.is_err() {
        error!("a turn panicked");
        stop.close();
        broken(turns, task, &stop).await;
    }
    for known_as in [task.message, task.asked()] {
        turns.stops().remove(&known_as);
    }
    drop(ticket);
    // Another one may be next now.
    turns.look_for_a_way_in();
    let settled = match turns.store.turn(task.message).await {
        Ok(Some(row)) => match row.state {
            TurnState::Ended(outcome) => Settled::Ended(outcome),
            // It goes on after the next start.
            TurnState::Waiting | TurnState::Running | TurnState::Offered => return,
        },
        _ => Settled::Said,
    };
    turns.settled(task.message, settled);
}

async fn wait_and_run(
    turns: &Turns,
    task: &mut Task,
    mut step: Step,
    mut place: LanePosition,
    ticket: &mut Ticket,
    stop: &Arc<Stop>,
) {
    if task.prompt_message == PromptMessage::Coming && matches!(step, Step::Ask(..)) {
        match prompt_message::post(turns, *task, ticket, stop).await {
            prompt_message::PromptPosting::Posted(posted) => {
                task.prompt_message = PromptMessage::Posted(posted)
            }
            prompt_message::PromptPosting::Refused => {
                step = Step::Tell(Outcome::Failed, words::prompt_refused())
            }
            prompt_message::PromptPosting::GivenUp => {}
        }
    }
    if let PromptMessage::Posted(posted) = task.prompt_message {
        // Whoever deletes it does not want the answer.
        turns.stops().insert(posted, Arc::clone(stop));
    }
    if matches!(step, Step::Ask(..)) {
        thread::open(turns, task, ticket, &mut place, stop).await;
        if let Step::Ask(Some(known)) = &mut step {
            (known.0.channel, known.0.thread) = (task.channel, task.thread);
        }
    }
    let mut hourglass = match (place, &step) {
        (LanePosition::Waits(place), Step::Ask(..)) => {
            info!(place, "waits");
            Some(Hourglass::show(turns, *task))
        }
        _ => task.recovered.then(|| Hourglass::left_behind(*task)),
    };
    let is_question = matches!(step, Step::Ask(..));
    let mut notice = hourglass.is_some().then(|| Notice::start(turns, *task, is_question));
    if hourglass.is_some() && is_question {
        instead::interrupt(turns, *task).await;
    }
    let live = LiveLineHandle::start(turns, *task, Arc::clone(stop));
    let has_waited = task.recovered || matches!(place, LanePosition::Waits(_));
    if !task.recovered {
        *stop.as_of.lock() = Some(turns.anew());
    }
    // The turn that runs and into which it cannot go.
    let mut not_into = None;
    let runs = loop {
        let may_steer = matches!(step, Step::Ask(..)) && stop.is_up_to_date(turns);
        tokio::select! {
            // Stopping takes precedence over starting. But whoever stops a turn by a command has seen it run, and hears
            // that it ended.
            biased;
            () = stop.token.cancelled() => break stop.reason() == Some(StopReason::Asked),
            () = turns.0.ending.cancelled() => break false,
            () = stop.silence.cancelled() => break true,
            () = ticket.starts() => {}
            way_in = steer::way_in(turns, *task, stop, not_into), if may_steer => {
                let into = way_in.turn();
                let taken_in = || {
                    notice.take();
                    hourglass.take().into_iter().for_each(|hourglass| hourglass.remove(turns));
                };
                match steer::offer(turns, *task, stop, way_in, taken_in).await {
                    OfferEnd::Steered => return,
                    // It has nothing to wait for.
                    OfferEnd::Refused(sentence) => {
                        step = Step::Tell(Outcome::Cancelled, sentence);
                        break true;
                    }
                    OfferEnd::Back { again: true } => {}
                    OfferEnd::Back { again: false } => {
                        not_into = Some(into);
                        stop.steers_now.store(false, Ordering::Relaxed);
                    }
                    OfferEnd::Lost if stop.reason() == Some(StopReason::Deleted) => {
                        step = Step::Cancel(Unwanted::Deleted);
                    }
                    OfferEnd::Lost => step = Step::Tell(Outcome::Interrupted, words::lost_with_another()),
                    OfferEnd::GoesOn(next) => step = Step::GoOn(next),
                }
                if !matches!(step, Step::Ask(..)) {
                    steer::lane_is_ours(turns, *task, ticket, stop).await;
                    break true;
                }
                continue;
            }
        }
        if !has_waited || !matches!(step, Step::Ask(..)) {
            break true;
        }
        if !stop.is_up_to_date(turns) {
            *stop.as_of.lock() = Some(turns.anew());
            tokio::select! {
                () = stop.token.cancelled() => {}
                () = turns.0.ending.cancelled() => {}
                () = look_up::catch_up(turns, *task, ticket) => {}
            }
            continue;
        }
        // The channel may have been closed meanwhile.
        if delivery::may_speak(turns, task.channel).await {
            break true;
        }
        ticket.step_back();
        tokio::select! {
            () = stop.token.cancelled() => {}
            () = delivery::until_it_may_speak(turns, task.channel) => ticket.come_back(),
        }
    };
    drop(notice);
    if let Some(hourglass) = hourglass {
        hourglass.remove(turns);
    }
    if runs {
        run(turns, *task, step, ticket, stop, live).await;
    }
}

async fn run(turns: &Turns, task: Task, step: Step, ticket: &mut Ticket, stop: &Stop, live: LiveLineHandle) {
    let written = match step {
        Step::Ask(known) => ask(turns, task, known, ticket, stop, &live).await,
        Step::GoOn(begun) => go_on(turns, task, &begun, ticket, stop, &live).await,
        Step::Cancel(why) => {
            stop.close();
            finish(turns, task, unwanted(why)).await
        }
        Step::Tell(outcome, sentence) => {
            stop.close();
            tell_end(turns, task, outcome, sentence).await
        }
        Step::Deliver => {
            stop.close();
            ticket.free_slot();
            return delivery::resume(turns, task.said_in(), task.message, &stop.silence).await;
        }
    };
    stop.close();
    ticket.free_slot();
    match written {
        // The live line stands until the answer does.
        Ok(()) => delivery::deliver(turns, task.said_in(), task.message, &stop.silence, Some(live)).await,
        // Failed writes are retried, so either the store is closed or the turn was stopped.
        Err(error) => {
            error!(error = chain(&error), "a turn could not be written down");
            broken(turns, task, stop).await;
        }
    }
}

/// Runs the turn and writes down its end.
async fn ask(
    turns: &Turns,
    task: Task,
    known: Option<Box<(Turn, Arc<Project>)>>,
    ticket: &mut Ticket,
    stop: &Stop,
    live: &LiveLineHandle,
) -> Result<(), StoreError> {
    let mut known = known.filter(|known| turns.gate.is_sure_of(known.0.author.id));
    loop {
        let (turn, project) = match known.take() {
            Some(known) => *known,
            None => match still_admitted(turns, task, ticket, stop).await? {
                Some(admitted) => admitted,
                None => return Ok(()),
            },
        };
        info!(project = %project.name, "runs");
        // A failure before the turn has begun restarts the whole attempt.
        let tried = || try_to_ask(turns, task, &project, (turn.clone(), None), ticket, stop, live);
        match until_written(turns, &stop.token, tried).await? {
            Tried::Written => return Ok(()),
            Tried::Edited => {}
        }
    }
}

/// Follows a turn with which the agent has begun by itself, to its end.
async fn go_on(
    turns: &Turns,
    task: Task,
    begun: &GoesOn,
    ticket: &Ticket,
    stop: &Stop,
    live: &LiveLineHandle,
) -> Result<(), StoreError> {
    let for_ever = CancellationToken::new();
    let row = until_written(turns, &for_ever, || turns.store.turn(task.message)).await?;
    let Some(TurnRow { turn, state: TurnState::Running, .. }) = row else { return Ok(()) };
    info!(project = %begun.before.project.name, "runs: the agent went on with it");
    let project = &begun.before.project;
    let tried = || try_to_ask(turns, task, project, (turn.clone(), Some(begun)), ticket, stop, live);
    until_written(turns, &stop.token, tried).await.map(drop)
}

/// The result of one attempt to ask a turn.
enum Tried {
    /// Its end is written, or it is left for the next start.
    Written,
    /// It was edited before it began.
    Edited,
}

async fn try_to_ask(
    turns: &Turns,
    task: Task,
    project: &Arc<Project>,
    (turn, begun): (Turn, Option<&GoesOn>),
    ticket: &Ticket,
    stop: &Stop,
    live: &LiveLineHandle,
) -> Result<Tried, StoreError> {
    // Where the agent has begun by itself, refusing would only hide what it does.
    if begun.is_none()
        && let Some(refusal) = budget::refusal(turns, turn.author.id, project).await?
    {
        info!("not started: a budget is spent");
        tell_end(turns, task, Outcome::Cancelled, refusal).await?;
        return Ok(Tried::Written);
    }
    let channel = turns.store.channel(task.channel).await?;
    let choice = channel.choice.clone();
    // Before anything slow: a session that is reset from here on does not come back with this turn.
    let OpenedSession { session, before, moved } = match begun {
        None => session::open(turns, &turn, project).await?,
        Some(begun) => session::of_begun(turns, &turn, begun).await?,
    };
    let hooks = Arc::new(TurnHooks::begin(turns, &turn, channel, Some(project)));
    let asker = asker(&turn);
    let typing = Typing::start(turns.outbox.clone(), task.channel);
    let as_it_is = || Composed { prompt: turn.prompt.clone().into(), ..Composed::default() };
    let Composed { mut prompt, unread, withheld } = tokio::select! {
        biased;
        // It has its prompt.
        () = std::future::ready(()), if begun.is_some() => as_it_is(),
        // Nobody will read the files; the agent is told to stop at once.
        () = stop.token.cancelled() => as_it_is(),
        composed = prompt::compose(turns, &turn, project, session.id()) => composed,
    };
    if is_blank(&prompt.text) && !stop.token.is_cancelled() {
        // There are only files, and none of them can be had.
        let sentence = hooks.error(words::only_unread(&unread)).await;
        let told = finished_with(Outcome::Failed, &sentence, task, asker);
        finish(turns, task, told).await?;
        return Ok(Tried::Written);
    }
    let mut lacks_context = false;
    if begun.is_none() {
        match context::before(turns, task, &turn, project).await {
            Ok(before) if before.is_empty() => {}
            Ok(before) => prompt.text = format!("{before}\n\n{}", prompt.text),
            Err(context::Untold) => lacks_context = true,
        }
        prompt.text = hooks.prompt(prompt.text).await;
    }
    let grants = turns.store.grants(session.id()).await?;
    let verbosity = choice.verbosity.unwrap_or(project.live);
    let ask = Ask {
        channel: task.channel,
        project: Arc::clone(project),
        model: turn.chosen_model(&choice, project),
        permission_mode: choice.within(project).permission_mode,
        session,
        grants,
        prompt,
        files: folder(turns, task, project),
        sent: begun.map(|begun| begun.sent),
    };
    let (opening, further) = OpeningTurn::new(turns, &turn, &ask);
    // Written as running at the last moment, so that after a crash exactly those prompts are asked again that no agent
    // got.
    let mut begin = None;
    let begins = async {
        let write = || async {
            let _edits = stop.edits.lock().await;
            turns.store.begin(turn.clone()).await
        };
        begin = match begun {
            Some(_) => Some(Begin::Begun),
            None => until_written(turns, &stop.token, write).await.ok(),
        };
        let has_begun = begin == Some(Begin::Begun);
        if has_begun {
            live.begin(project.dir.clone(), verbosity, typing.abort_handle());
            opening.open();
        }
        has_begun
    };
    let slot = ticket.slot();
    let standby = Standby::new(slot, typing.abort_handle());
    let questions = TurnQuestions::new(turns, task, &opening.way, Arc::clone(&hooks), standby);
    let files = FileSender::new(turns, task, project, opening.way.further());
    let hear = |progress: Progress| {
        files.hear(&progress);
        live.hear(&progress);
        opening.way.hear(&progress);
        questions.hear(&progress);
    };
    let asked = turns.agents.ask(ask, further, stop.token.clone(), begins, hear).await;
    drop(questions);
    drop(typing);
    opening.close();
    match begin {
        Some(Begin::Edited(_)) => return Ok(Tried::Edited),
        // It no longer waits: its message was deleted.
        Some(Begin::Gone) => return Ok(Tried::Written),
        // Nothing has begun: it is for the next start.
        None if stop.reason() == Some(StopReason::Shutdown) => return Ok(Tried::Written),
        Some(Begin::Begun) | None => {}
    }
    live.freeze();
    stop.close();
    let ends = opening.ends(&asked);
    if let Some((next, _)) = ends.iter().find(|(_, end)| *end == SteeringEnd::GoesOn) {
        ticket.pass_on(*next);
    }
    // The agent is done. The lane stays ours: answers keep the order of what was asked.
    ticket.free_slot();

    let mut notes = Vec::from_iter(asker);
    let is_first_there = turn.thread.is_open() && turn.channel == task.asked().thread();
    if is_first_there && !turns.message_content {
        notes.push(words::mention_me_in_thread());
    }
    notes.extend(opening.note(&ends, matches!(asked.end, AskEnd::Answered(_))));
    if asked.session_lost {
        notes.push(words::session_lost());
    }
    if asked.used_elsewhere {
        notes.push(words::used_elsewhere());
    }
    if moved {
        notes.push(words::directory_changed());
    }
    if let (Some(fallback), AskEnd::Answered(_)) = (&asked.fallback, &asked.end) {
        notes.push(words::fallback(&fallback.from, &fallback.to));
    }
    if !unread.is_empty() {
        notes.push(words::unread(&unread));
    }
    notes.extend(withheld.as_ref().map(words::withheld));
    notes.extend(lacks_context.then(words::lacks_context));
    for Denial { tool, what, reason, .. } in &asked.denied {
        info!(tool, what, ?reason, "Claude was not allowed to use a tool");
    }
    if !asked.denied.is_empty() {
        let denied = turn_text::redacted(&turns.outbox, &asked.denied);
        notes.push(words::denied(
            &denied,
            &words::ToolRules {
                project: &project.name,
                dirs: &all_names(project.dirs()).await,
                elsewhere: !project.command.is_empty(),
                disallows: !project.disallowed_tools.is_empty(),
            },
        ));
    }
    notes.extend(words::elicited(&asked.elicited));
    let afresh = matches!(&asked.end, AskEnd::Failed(failure) if failure.asks_for_new_conversation());
    if afresh && turns.scripts.borrow().commands().iter().any(|command| command.name == "reset") {
        notes.push(words::reset());
    }
    let session = asked.session.as_ref().map(|seen| SessionUpdate { id: seen.id, cost: seen.cost });
    let usage = spent::usage(&asked, before);
    let offer = refused_turns::offer(&asked);
    notes.extend(refused_turns::notes(turns, &turn, &asked).await);
    notes.extend(footer::compaction(&usage));
    let (outcome, mut said) = what_to_say(asked, offer.is_some(), stop, &hooks, task.message, notes).await;
    if outcome == Outcome::Answered {
        said.footer = spent::footer(project, &usage).await;
        said.answer = files.take_code_out(said.answer).await;
    }
    info!(?outcome, "ends");
    let most = Most { parts: project.max_parts, bytes: project.max_bytes };
    let finished = said.redacted(&turns.outbox).finished(outcome, session, &project.format, most);
    let finished = refused_turns::offered(Finished { usage: Some(usage), ..finished }, offer);
    if ends.iter().any(|(_, end)| *end == SteeringEnd::Steered) {
        stop.answers_others.store(true, Ordering::Relaxed);
    }
    opening.finish(finished, ends).await?;
    Ok(Tried::Written)
}

/// The folder of the files of the channel's messages, where the project's agents can open it.
fn folder(turns: &Turns, task: Task, project: &Project) -> Option<PathBuf> {
    if !prompt::may_open(project) {
        return None;
    }
    let folder = turns.files.folder(task.channel);
    folder.inspect_err(|error| warn!(%error, "the folder for the files of messages cannot be created")).ok()
}

/// These directories, with links resolved as well.
async fn all_names(dirs: impl Iterator<Item = &PathBuf>) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = dirs.cloned().collect();
    for place in 0..names.len() {
        names.extend(tokio::fs::canonicalize(&names[place]).await);
    }
    names
}

/// The last resort: ends the turn and tells its person. If that fails, the next start does.
async fn broken(turns: &Turns, task: Task, stop: &Stop) {
    let end = match stop.reason() {
        Some(StopReason::Shutdown) => return,
        Some(StopReason::Deleted) => unwanted(Unwanted::Deleted),
        Some(StopReason::Asked) => unwanted(Unwanted::Stopped),
        None => finished_with(Outcome::Failed, &words::broken(), task, None),
    };
    match finish(turns, task, end).await {
        Ok(()) => delivery::deliver(turns, task.said_in(), task.message, &stop.silence, None).await,
        Err(error) => error!(error = chain(&error), "the end of a turn is left for the next start"),
    }
}
