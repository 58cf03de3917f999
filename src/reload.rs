//! Hot reload: the script folder is watched, and whatever is saved there is live a moment later, or not at all.
//!
//! # Theory of operation
//! One thread does everything, one thing after the other. It sleeps until something is in its inbox: a file was saved
//! ([`folder`] says which changes count), somebody requests a reload, the bot stops. Then it waits until nothing has changed
//! for [`QUIET`], so that the several steps of an editor count as one save, and loads a whole new [`ScriptSet`] beside the
//! live one. Only a set without errors is swapped in, in one step, through a `watch` channel; whoever took the old set
//! before can keep it.
//!
//! A set that fails may be half saved. So its errors wait for [`GRACE`]: if anything changes meanwhile, nobody hears of them.
//! After that each is reported once, until a set is good again.
//!
//! A set that lets more people in than the one before, or lets agents do more ([`widening`]), goes live like any other, but
//! the log and the operators are told what has changed, and in which file.
//!
//! One thing cannot be reloaded: whether the gateway asks for the content of messages is settled when it connects. A later
//! set that needs it goes live all the same, and the log says what is missing.

mod folder;
mod widening;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc as tokio_mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::config::{self, Config};
use crate::domain::Limits;
use crate::panics::Panics;
use crate::script::{Loaded, ScriptProblem, ScriptSet, Severity};
use crate::words::script as words;
use folder::{FileStamps, Folder};

/// How long nothing may change before the files count as saved.
const QUIET: Duration = Duration::from_millis(100);
/// How long a stream of changes is waited for; after that, a short gap in it is enough.
const LONGEST: Duration = Duration::from_millis(500);
/// That gap. Without one, files would be read while they are being written: a change is heard of when it begins.
const GAP: Duration = Duration::from_millis(5);
/// How long the errors of a set wait for another change: it may be half saved.
const GRACE: Duration = Duration::from_millis(300);
/// How long a stream of changes can delay errors.
const LONGEST_GRACE: Duration = Duration::from_secs(2);
/// The longest text for the operators, and its longest heading, in characters: Discord takes 2000.
const MAX_NEWS: usize = 1950;
const MAX_HEADING: usize = 500;

/// The result of a requested reload: the generation that is live now, or why the previous one still is.
type ReloadResult = Result<u64, Vec<ScriptProblem>>;

/// A handle to the reloader, which ends with the last clone.
#[derive(Clone)]
pub struct Reloader(Arc<Handle>);

struct Handle {
    inbox: mpsc::Sender<ReloadEvent>,
    state: watch::Receiver<ReloadState>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.inbox.send(ReloadEvent::Stop);
    }
}

/// Where the reloader stands.
#[derive(Debug, Clone, Default)]
pub struct ReloadState {
    /// The number of the live set; the bot started with 1.
    pub generation: u64,
    /// How many sets were tried, including those that failed.
    pub tried: u64,
    /// What was wrong with the last one tried: errors if it failed, otherwise warnings.
    pub problems: Vec<ScriptProblem>,
    /// Whether the bot is sent the content of messages that do not mention it.
    message_content: Arc<AtomicBool>,
}

/// What the reloader hears.
#[derive(Debug)]
enum ReloadEvent {
    /// A script was saved, removed or renamed.
    Saved,
    /// Something changed that may concern scripts; only looking at the files will tell.
    Perhaps,
    /// The watched folder itself is gone.
    Ended,
    /// The system cannot watch the folder any more.
    Failed(notify::Error),
    /// Somebody asks for a reload.
    ByHand(oneshot::Sender<ReloadResult>),
    /// A test wants a mistake.
    #[cfg(test)]
    Panic,
    /// The bot stops.
    Stop,
}

impl Reloader {
    /// Loads the first set and watches the folder from then on. `news` gets what the operators should read: each
    /// error once, and the end of the trouble; at most 2000 characters of Discord's Markdown each. `panics` hears of it
    /// where the thread cannot go on.
    ///
    /// # Errors
    /// What is wrong with the first set; there is none to fall back on.
    pub async fn start(
        config: &Config,
        news: tokio_mpsc::UnboundedSender<String>,
        panics: &Panics,
    ) -> Result<(Self, watch::Receiver<ScriptSet>), Vec<ScriptProblem>> {
        let source = ScriptSource {
            scripts: config.scripts.clone(),
            root: config.root.clone(),
            limits: config.limits,
        };
        let ended = |why: &str| vec![source.problem(format!("the thread that loads the scripts {why}"))];
        let (inbox, events) = mpsc::channel();
        let (state, watched) = watch::channel(ReloadState::default());
        let (first, on_first) = oneshot::channel();
        let handle = Self(Arc::new(Handle { inbox: inbox.clone(), state: watched }));
        let work = {
            let (source, folder) = (source.clone(), Folder::new(source.scripts.dir.clone(), inbox));
            move || begin(source, folder, events, state, news, first)
        };
        panics
            .thread("the script loader", "reload", work)
            .map_err(|e| ended(&format!("cannot start: {e}")))?;
        let scripts = on_first.await.unwrap_or_else(|_| Err(ended("has ended")))?;
        Ok((handle, scripts))
    }

    /// The number of the live set; the bot started with 1.
    pub fn generation(&self) -> u64 {
        self.0.state.borrow().generation
    }

    /// What was wrong with the last set that was tried: errors if it failed, otherwise warnings.
    pub fn problems(&self) -> Vec<ScriptProblem> {
        self.0.state.borrow().problems.clone()
    }

    /// Hears of every set that was tried, once it is live or its failure has been reported.
    pub fn state(&self) -> watch::Receiver<ReloadState> {
        self.0.state.clone()
    }

    /// Whether the gateway is to ask for the content of messages that do not mention the bot when it connects: where the first set
    /// needs it, or Discord has it switched on (`is_on`). No later set lacks it then.
    pub fn message_content(&self, is_on: bool) -> bool {
        let state = self.0.state.borrow();
        state.message_content.fetch_or(is_on, Ordering::Relaxed) || is_on
    }

    /// Loads all files now, changed or not. Returns the new generation.
    ///
    /// # Errors
    /// Why the live set stays: every problem that was found.
    pub async fn reload_now(&self) -> Result<u64, Vec<ScriptProblem>> {
        let (answer, answered) = oneshot::channel();
        // If the thread has ended, this drops the sender of the answer.
        let _ = self.0.inbox.send(ReloadEvent::ByHand(answer));
        answered.await.unwrap_or_else(|_| {
            Err(vec![ScriptProblem {
                file: "scripts".to_owned(),
                line: None,
                path: None,
                message: "the thread that loads the scripts has ended; restart moonlane".to_owned(),
                severity: Severity::Error,
            }])
        })
    }
}

#[cfg(test)]
impl Reloader {
    /// Makes the thread panic.
    pub fn panic(&self) {
        self.0.inbox.send(ReloadEvent::Panic).unwrap();
    }
}

/// Which channels a set routes, for the log.
pub fn routed(set: &ScriptSet) -> String {
    match set.has_route_function() {
        true => "every channel (routing.lua has a route function)".to_owned(),
        false => set.routed_channels().to_string(),
    }
}

/// What is loaded each time.
#[derive(Clone)]
struct ScriptSource {
    scripts: config::ScriptsConfig,
    root: PathBuf,
    limits: Limits,
}

impl ScriptSource {
    fn load(&self) -> Result<Loaded, Vec<ScriptProblem>> {
        ScriptSet::load(&self.scripts, &self.root, &self.limits)
    }

    /// Creates the directory that the shipped scripts name, if a project works in it.
    fn make_work(&self, set: &ScriptSet) {
        let work = self.root.join(config::WORK);
        if !set.projects().any(|project| project.dir == work && project.run_as.is_none()) || work.exists() {
            return;
        }
        match std::fs::create_dir(&work) {
            Ok(()) => info!("created the directory {} for Claude to work in", work.display()),
            Err(e) => warn!("cannot create the directory {}: {e}", work.display()),
        }
    }

    /// A problem with the folder as a whole.
    fn problem(&self, message: String) -> ScriptProblem {
        let dir = &self.scripts.dir;
        let file = dir.strip_prefix(&self.root).unwrap_or(dir).display().to_string();
        ScriptProblem { file, line: None, path: None, message, severity: Severity::Error }
    }
}

/// What the thread does: loads the first set, then all others.
fn begin(
    source: ScriptSource,
    mut folder: Folder,
    events: mpsc::Receiver<ReloadEvent>,
    state: watch::Sender<ReloadState>,
    news: tokio_mpsc::UnboundedSender<String>,
    first: oneshot::Sender<Result<watch::Receiver<ScriptSet>, Vec<ScriptProblem>>>,
) {
    // Before the files are read, or a save in between would be missed.
    folder.look();
    let seen = folder.files();
    let Loaded { set, warnings } = match source.load() {
        Ok(loaded) => loaded,
        Err(problems) => return drop(first.send(Err(problems))),
    };
    let message_content = Arc::new(AtomicBool::new(set.needs_message_content()));
    let said_routed = routed(&set);
    source.make_work(&set);
    let (scripts, watched) = watch::channel(set);
    let mut live = ReloadThread {
        source,
        folder,
        events,
        scripts,
        state,
        news,
        live_files: seen.clone(),
        seen,
        heard: Heard::default(),
        shown: BTreeSet::new(),
        warned: BTreeSet::new(),
        said_routed,
        lacks_content: false,
    };
    live.warn(&warnings);
    live.state.send_replace(ReloadState { generation: 1, tried: 1, problems: warnings, message_content });
    if first.send(Ok(watched)).is_ok() {
        live.run();
    }
}

/// The reloader's thread.
struct ReloadThread {
    source: ScriptSource,
    folder: Folder,
    events: mpsc::Receiver<ReloadEvent>,
    scripts: watch::Sender<ScriptSet>,
    state: watch::Sender<ReloadState>,
    news: tokio_mpsc::UnboundedSender<String>,
    /// The files as they were when they were last loaded.
    seen: FileStamps,
    /// The files of the live set.
    live_files: FileStamps,
    heard: Heard,
    /// The errors that have been reported since a set was good.
    shown: BTreeSet<ScriptProblem>,
    /// The warnings of the last set.
    warned: BTreeSet<ScriptProblem>,
    /// What the log last said about the channels.
    said_routed: String,
    /// Whether the live set needs message content and the gateway did not ask for it.
    lacks_content: bool,
}

/// What has come in since the files were last loaded.
#[derive(Default)]
struct Heard {
    saved: bool,
    asked: Vec<oneshot::Sender<ReloadResult>>,
    stop: bool,
}

impl ReloadThread {
    fn run(mut self) {
        loop {
            // Nothing heard, so look: the system does not report everything.
            if !self.listen(self.folder.pause()) && !self.folder.look() {
                continue;
            }
            let begun = Instant::now();
            loop {
                self.settle();
                if self.heard.stop {
                    return;
                }
                let Heard { saved, asked, .. } = std::mem::take(&mut self.heard);
                let Some(result) = self.load(saved || !asked.is_empty()) else { break };
                let may_be_half = result.is_err() && asked.is_empty() && begun.elapsed() < LONGEST_GRACE;
                if may_be_half && self.listen(GRACE) {
                    // Whatever changed, nobody has heard of these errors yet.
                    self.heard.saved = true;
                    continue;
                }
                self.tell(result, asked);
                break;
            }
        }
    }

    /// Waits at most this long for one event, and notes it. Returns whether there was one.
    fn listen(&mut self, wait: Duration) -> bool {
        let event = match self.events.recv_timeout(wait) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => ReloadEvent::Stop,
        };
        match event {
            ReloadEvent::Saved => self.heard.saved = true,
            ReloadEvent::Perhaps => {}
            ReloadEvent::Ended => self.folder.ended(),
            ReloadEvent::Failed(error) => self.folder.failed(&error),
            ReloadEvent::ByHand(answer) => self.heard.asked.push(answer),
            ReloadEvent::Stop => self.heard.stop = true,
            #[cfg(test)]
            ReloadEvent::Panic => panic!("on purpose"),
        }
        true
    }

    /// Waits until the changes have settled. Requested reloads do not wait.
    fn settle(&mut self) {
        let begun = Instant::now();
        while self.heard.asked.is_empty() && !self.heard.stop {
            let left = LONGEST.saturating_sub(begun.elapsed());
            if !self.listen(QUIET.min(left).max(GAP)) || begun.elapsed() > 2 * LONGEST {
                return;
            }
        }
    }

    /// Loads a new set; `None` if the files have not changed and there is no other reason to.
    fn load(&mut self, in_any_case: bool) -> Option<Result<Loaded, Vec<ScriptProblem>>> {
        // Before the files are read, or a save in between would be missed.
        self.folder.look();
        let files = self.folder.files();
        if !in_any_case && files == self.seen {
            return None;
        }
        self.seen = files;
        if self.folder.is_gone() {
            let gone = "the script folder is gone; put it back and it will be loaded again".to_owned();
            return Some(Err(vec![self.source.problem(gone)]));
        }
        Some(self.source.load())
    }

    /// Makes a good set live, or keeps the live one, and reports what is new.
    fn tell(
        &mut self,
        result: Result<Loaded, Vec<ScriptProblem>>,
        asked: Vec<oneshot::Sender<ReloadResult>>,
    ) {
        let on_request = !asked.is_empty();
        let outcome = match result {
            Ok(Loaded { set, warnings }) => Ok(self.swap(set, warnings)),
            Err(problems) => {
                self.keep(&problems, on_request);
                Err(problems)
            }
        };
        for answer in asked {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(outcome.clone());
        }
    }

    fn swap(&mut self, set: ScriptSet, warnings: Vec<ScriptProblem>) -> u64 {
        let routed = routed(&set);
        let needs_content = set.needs_message_content();
        self.source.make_work(&set);
        let widened = widening::widened(&self.scripts.borrow(), &set);
        self.scripts.send_replace(set);
        let files = std::mem::replace(&mut self.live_files, self.seen.clone());
        if !widened.is_empty() {
            self.tell_widened(&widened, &files);
        }
        self.warn(&warnings);
        self.state.send_modify(|state| {
            state.generation += 1;
            state.tried += 1;
            state.problems = warnings;
        });
        let generation = self.state.borrow().generation;

        let was_trouble = !self.shown.is_empty();
        self.shown.clear();
        if was_trouble {
            self.send(words::reloaded(generation));
        }
        info!("reloaded, generation {generation}");
        if routed != self.said_routed {
            info!(channels = %routed, "the scripts now route other channels");
            self.said_routed = routed;
        }
        let lacks_content = needs_content && !self.state.borrow().message_content.load(Ordering::Relaxed);
        if lacks_content && !self.lacks_content {
            warn!("{}", words::NEEDS_RESTART);
            self.send(format!("⚠️ {}.", words::NEEDS_RESTART));
        }
        self.lacks_content = lacks_content;
        generation
    }

    fn keep(&mut self, problems: &[ScriptProblem], on_request: bool) {
        let generation = self.state.borrow().generation;
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let fresh = errors.filter(|problem| self.shown.insert((*problem).clone())).count();
        if fresh > 0 || on_request {
            error!("the scripts were not reloaded; generation {generation} stays live, because of:");
            for problem in problems {
                error!("{problem}");
            }
        }
        if fresh > 0 {
            self.send(bad_news(generation, problems));
        }
        self.state.send_modify(|state| {
            state.tried += 1;
            state.problems = problems.to_vec();
        });
    }

    /// Reports what the live set opens up, and which files differ from `before`.
    fn tell_widened(&self, widened: &[String], before: &FileStamps) {
        let (now, root) = (&self.live_files, &self.source.root);
        let paths: BTreeSet<_> = now.keys().chain(before.keys()).collect();
        let differing = paths.into_iter().filter(|path| now.get(*path) != before.get(*path));
        let files: Vec<String> =
            differing.map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string()).collect();
        let files = if files.is_empty() { "no file".to_owned() } else { files.join(", ") };
        for what in widened {
            warn!(%files, "the scripts were changed and open more than before: {what}");
        }
        self.send(listed(&words::scripts_widened(&files), widened));
    }

    /// Logs the warnings that the last set did not have.
    fn warn(&mut self, warnings: &[ScriptProblem]) {
        for problem in warnings.iter().filter(|problem| !self.warned.contains(problem)) {
            warn!("{problem}");
        }
        self.warned = warnings.iter().cloned().collect();
    }

    fn send(&self, news: String) {
        // Nobody may be listening.
        let _ = self.news.send(news);
    }
}

/// What the operators are told about errors: the same lines as in the log.
fn bad_news(generation: u64, problems: &[ScriptProblem]) -> String {
    listed(&words::not_reloaded(generation), problems)
}

/// A heading, and these lines in a fence, short enough for one message.
fn listed(heading: &str, all: &[impl ToString]) -> String {
    let heading: String = heading.chars().take(MAX_HEADING).collect();
    let mut lines = String::new();
    for (told, line) in all.iter().enumerate() {
        // A fence inside would end ours.
        let line = line.to_string().replace("```", "'''");
        let room = MAX_NEWS.saturating_sub(heading.chars().count() + lines.chars().count());
        if line.chars().count() > room {
            let start: String = line.chars().take(if told == 0 { room } else { 0 }).collect();
            lines.push_str(&format!("{start}\n… the log has all {}", all.len()));
            break;
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    format!("{heading}\n```\n{}\n```", lines.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(message: &str) -> ScriptProblem {
        let file = "scripts/routing.lua".to_owned();
        ScriptProblem {
            file,
            line: Some(1),
            path: None,
            message: message.to_owned(),
            severity: Severity::Error,
        }
    }

    #[test]
    fn bad_news_fit_into_a_message_and_no_fence_ends_them() {
        insta::assert_snapshot!(bad_news(6, &[problem("one ```"), problem("two")]), @"
        ⚠️ The scripts were not reloaded; generation 6 stays live.
        ```
        scripts/routing.lua:1: one '''
        scripts/routing.lua:1: two
        ```
        ");
        let endless = bad_news(6, &[problem(&"ü".repeat(5000)), problem("two")]);
        assert!(endless.chars().count() <= 2000 && endless.ends_with("üü\n… the log has all 2\n```"));
        let many: Vec<_> = (0..100).map(|n| problem(&format!("{n} {}", "x".repeat(50)))).collect();
        let told = bad_news(6, &many);
        assert!(told.chars().count() <= 2000 && told.ends_with("x\n\n… the log has all 100\n```"), "{told}");
    }
}
