//! What the agents of one bot have in common, so that they are found again when their bot, or a guard, was killed.
//!
//! - A lock: every guard shares it for as long as anything is left below it. A new bot takes it alone for a moment,
//!   before any lane opens; so no agent of an earlier bot is at work beside its own.
//! - A mark in the environment, which everything that an agent starts inherits. It finds what no guard watches
//!   any more. It does not find what has cleared its environment.
//! - A control group, where this bot may make one: [`cgroup`].
//!
//! The lock is a file beside the database, and the mark's first half is written in it: so the mark is the same for
//! every bot of this database. The second half is the single agent's.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal};
use tracing::{info, warn};
use uuid::Uuid;

use super::cgroup;
use super::proc_fs::{self, Environment};

/// The variable that holds the mark. `MOONLANE_*` is on no path into an agent; with this prefix it passes
/// wherever the CLI's own variables do.
pub const VARIABLE: &str = "CLAUDE_LANE_MARK";

/// How long a starting bot waits for the guards of an earlier one, which need little more than two seconds.
const WAIT: Duration = Duration::from_secs(8);
/// From one try to the next.
const AGAIN: Duration = Duration::from_millis(20);
/// SIGTERM as an exit status has it.
const TERM: i32 = Signal::TERM.as_raw();
/// How long to go on killing marked processes.
const SWEEP: Duration = Duration::from_millis(500);

/// All agents of the bots of one database.
#[derive(Debug, Clone)]
pub struct Kin {
    id: Uuid,
    /// What their guards share a lock on.
    pub lock: Option<PathBuf>,
    /// The control group that this bot may make groups in.
    own_group: Option<PathBuf>,
}

impl Kin {
    /// Agents that no other bot knows.
    pub fn alone() -> Self {
        Self { id: Uuid::new_v4(), lock: None, own_group: None }
    }

    /// The agents of this database's bots; returns once those of earlier bots are gone. Must not be called while
    /// another bot has the database.
    pub async fn of(database: &Path) -> Self {
        // Through a symbolic link the same database would get a second lock.
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut path = database.into_os_string();
        path.push(".agents");
        let path = PathBuf::from(path);
        let file = match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
            Ok(file) => file,
            Err(error) => {
                warn!(%error, file = %path.display(), "cannot tell whether agents of an earlier bot are left");
                return Self::alone();
            }
        };
        let own_group = cgroup::own().ok();
        let (id, earlier) = read(&file);
        let kin = Self { id: id.unwrap_or_else(Uuid::new_v4), lock: Some(path), own_group };
        if id.is_none() || earlier != kin.own_group {
            kin.write(&file);
        }
        kin.wait_for_the_earlier(file, earlier).await;
        kin
    }

    async fn wait_for_the_earlier(&self, file: File, earlier_group: Option<PathBuf>) {
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < WAIT => tokio::time::sleep(AGAIN).await,
                Err(TryLockError::WouldBlock) => {
                    warn!("agents of an earlier bot are still running after {WAIT:?}; killing them");
                    break;
                }
                Err(TryLockError::Error(error)) => {
                    warn!(%error, "cannot tell whether agents of an earlier bot are left");
                    break;
                }
            }
        }
        if begun.elapsed() >= AGAIN {
            info!(waited = ?begun.elapsed(), "waited for agents of an earlier bot to end");
        }
        let killed = sweep(format!("{}.", self.id)).await;
        if killed > 0 {
            warn!(killed, "killed what agents of an earlier bot had left without a guard");
        }
        for own in earlier_group.into_iter().chain(self.own_group.clone()) {
            end_group(own.join(cgroup::of_kin(self.id))).await;
        }
    }

    /// The control group of the agent with this mark.
    pub fn group(&self, mark: &str) -> Option<PathBuf> {
        let (_, agent) = mark.split_once('.')?;
        Some(self.own_group.as_ref()?.join(cgroup::of_kin(self.id)).join(agent))
    }

    fn write(&self, mut file: &File) {
        let group = self.own_group.as_deref().map(|group| group.display().to_string());
        let text = format!("{}\n{}\n", self.id, group.unwrap_or_default());
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        if let Err(error) = emptied.and_then(|()| file.write_all(text.as_bytes())) {
            warn!(%error, "a later bot will not recognize the agents of this one");
        }
    }

    /// The mark of one more agent.
    pub fn mark(&self) -> String {
        format!("{}.{}", self.id, Uuid::new_v4())
    }
}

/// What an earlier bot has written into the lock file: the id, and on a second line its control group.
fn read(mut file: &File) -> (Option<Uuid>, Option<PathBuf>) {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let mut lines = text.lines();
    let id = lines.next().and_then(|id| id.trim().parse().ok());
    (id, lines.next().filter(|group| !group.is_empty()).map(PathBuf::from))
}

/// Ends what an agent has left although its guard has ended, which then was killed; how many were killed for their mark. `exit`
/// is the guard's, `None` where it has none yet: then the guard is ended, too.
pub async fn end_left_over(exit: Option<ExitStatus>, mark: &str, group: Option<&Path>) -> usize {
    let killed = match exit.map(|exit| exit.signal()) {
        Some(None | Some(TERM)) => 0,
        _ => sweep(mark.to_owned()).await,
    };
    // Usually the guard has removed it.
    if let Some(group) = group.filter(|group| group.exists()) {
        end_group(group.to_owned()).await;
    }
    killed
}

/// Ends what is left in a control group, and says so.
async fn end_group(group: PathBuf) {
    let was_populated = tokio::task::spawn_blocking(move || cgroup::end(&group)).await;
    if was_populated.unwrap_or(false) {
        warn!("killed what an agent had left in its control group");
    }
}

/// Kills every process whose mark begins so, but for this one, and says how many.
async fn sweep(mark: String) -> usize {
    let swept = tokio::task::spawn_blocking(move || {
        let (begun, mut killed) = (Instant::now(), 0);
        // Processes forked during the scan are found by the next one.
        loop {
            let scan = kill_marked(&mark);
            killed = killed.max(scan.killed);
            let is_done = scan.killed == 0 && !scan.is_unsure;
            if is_done || begun.elapsed() > SWEEP {
                return killed;
            }
            std::thread::sleep(AGAIN);
        }
    });
    swept.await.unwrap_or_default()
}

/// What one scan of all processes came to.
#[derive(Default)]
struct Scan {
    killed: usize,
    /// Whether there are processes that cannot be told yet.
    is_unsure: bool,
}

fn kill_marked(mark: &str) -> Scan {
    let wanted = format!("{VARIABLE}={mark}").into_bytes();
    let mut scan = Scan::default();
    for pid in proc_fs::pids().filter(|&pid| pid != getpid()) {
        // Before looking, so that the number cannot go to another process in between.
        let handle = pidfd_open(pid, PidfdFlags::empty());
        match proc_fs::environment(pid) {
            Environment::NotYet => {
                scan.is_unsure = true;
                continue;
            }
            Environment::Known(all) if !all.split(|&byte| byte == 0).any(|it| it.starts_with(&wanted)) => {
                continue;
            }
            Environment::Known(_) => {}
        }
        let sent = match handle {
            Ok(handle) => pidfd_send_signal(handle, Signal::KILL),
            Err(_) => kill_process(pid, Signal::KILL),
        };
        scan.killed += usize::from(sent.is_ok());
    }
    scan
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[tokio::test]
    async fn bots_of_one_database_know_each_others_agents_by_the_mark() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("moonlane.db");
        let (first, second) = (Kin::of(&database).await, Kin::of(&database).await);
        assert_eq!(first.id, second.id);
        assert_ne!(first.mark(), first.mark());
        assert_ne!(first.id, Kin::of(&folder.path().join("other.db")).await.id);
        for broken in ["", "x\n", "\u{0}"] {
            std::fs::write(first.lock.as_ref().unwrap(), broken).unwrap();
            assert_eq!(Kin::of(&database).await.id, Kin::of(&database).await.id, "{broken:?}");
        }
        assert!(Kin::of(Path::new("/no/such/dir/moonlane.db")).await.lock.is_none());
    }

    #[tokio::test]
    async fn a_sweep_kills_the_marked_and_nobody_else() {
        // It has the mark once it says so, and is often in the middle of its `exec` when the sweep comes by.
        let start = |mark: &str| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "echo; exec sleep 100"]).env(VARIABLE, mark).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            child
        };
        let kin = Kin::alone();
        let (mark, other) = (kin.mark(), kin.mark());
        let (mut marked, mut unmarked) = (start(&mark), start(&other));
        assert_eq!(sweep(mark).await, 1);
        assert!(!marked.wait().unwrap().success());
        assert_eq!(unmarked.try_wait().unwrap(), None);
        assert_eq!(sweep(format!("{}.", kin.id)).await, 1);
        unmarked.wait().unwrap();
    }
}
