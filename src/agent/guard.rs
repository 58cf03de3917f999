//! The guard: `moonlane agent-guard -- COMMAND…`, a small process between the bot and each agent.
//!
//! # Theory of operation
//!
//! The guard starts the command as its only child and is a child subreaper: whoever below it loses its parent
//! becomes its child, in whatever group or session it is. So everything that the agent has ever started can be
//! found below the guard, and is ended by it when
//!
//! - the agent has ended, by itself or not;
//! - the guard is told to, by SIGTERM;
//! - the bot is gone, for whatever reason: its pidfd shows it.
//!
//! The end is SIGTERM to all below, [`GRACE`], then SIGKILL and reaping until nothing is left. Only then does the
//! guard exit, as the agent did: with its code, or by its signal.
//!
//! The command inherits the guard's stdin, stdout and stderr; the guard then closes its own. So it is not in the
//! way: no byte passes through it, and the end of a pipe is seen as if it were not there.
//!
//! Guard and agent lead a process group each, so that what is meant for the one, from a terminal too, does not
//! reach the other. While the guard runs it shares a lock on a file beside the database: a bot that can take it
//! alone knows that no agent of an earlier bot is left. See [`super::kin`].
//!
//! Where it may, the guard starts the agent in a control group ([`super::cgroup`]), which also holds what belongs to
//! another user, or gets away from a guard that was killed.
//!
//! An agent that is to be another user's becomes so in a step of its own: [`super::as_user`].
//!
//! All of this happens in one thread, which sleeps in `poll`. A signal is a byte in a socket; the bot's end makes its
//! pidfd readable. Both only wake it: what has happened is then looked up. So where there is no pidfd, looking up
//! every [`LOOK`] does.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process,
    kill_process_group, pidfd_open, set_child_subreaper, setrlimit, wait,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::as_user;
use super::cgroup::Group;
use super::proc_fs;
use crate::print;

/// This program, even if its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";
/// From SIGTERM to SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);
/// The polling interval without pidfds.
const LOOK: Duration = Duration::from_millis(200);
/// Between two rounds of SIGKILL; the next one finds processes forked during the last.
const AGAIN: Duration = Duration::from_millis(10);
/// After this long without a process that can be signalled, the rest (another user's) is left alone.
const UNREACHABLE: Duration = Duration::from_secs(1);
/// The exit code if the command could not be started, as in shells.
pub(super) const NOT_STARTED: u8 = 127;

/// What a guard is told on its command line.
#[derive(Debug)]
pub struct GuardOptions {
    /// The process to watch; by default the parent.
    pub bot: Option<i32>,
    /// The file to share a lock on.
    pub lock: Option<PathBuf>,
    /// The umask of the command; by default the guard's own.
    pub umask: Option<u32>,
    /// The control group to make for the agent.
    pub cgroup: Option<PathBuf>,
    /// Another user for the command.
    pub run_as: Option<as_user::AsUserOptions>,
    /// What to run.
    pub command: Vec<OsString>,
}

/// Runs the command until it, or this guard, has to end.
pub fn main(orders: &GuardOptions) -> ExitCode {
    let Some((program, arguments)) = orders.command.split_first() else {
        return ExitCode::from(NOT_STARTED);
    };
    match guard(orders, program, arguments) {
        Ok(status) => pass_on(status),
        Err(error) => {
            print::complaint(SpawnError::Program(error));
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// Why the command could not be started. It is reported on stderr.
#[derive(Debug)]
pub enum SpawnError {
    /// The program cannot be executed.
    Program(std::io::Error),
    /// Its user may not enter the directory.
    Directory(std::io::Error),
    /// It could not become its user.
    User(std::io::Error),
}

/// What precedes the system's error number.
const NO_PROGRAM: &str = "moonlane agent-guard: cannot start the agent: os error ";
const NO_DIRECTORY: &str = "moonlane agent-guard: cannot enter the agent's directory: os error ";
const NO_USER: &str = "moonlane agent-guard: cannot become the agent's user: os error ";

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, error) = match self {
            Self::Program(error) => (NO_PROGRAM, error),
            Self::Directory(error) => (NO_DIRECTORY, error),
            Self::User(error) => (NO_USER, error),
        };
        write!(f, "{before}{}", error.raw_os_error().unwrap_or_default())
    }
}

impl SpawnError {
    /// The reason in a guard's stderr.
    pub fn find(stderr: &str) -> Option<Self> {
        let error = |line: &str, before| {
            let number = line.strip_prefix(before)?.parse().ok()?;
            Some(std::io::Error::from_raw_os_error(number))
        };
        stderr.lines().find_map(|line| {
            let program = error(line, NO_PROGRAM).map(Self::Program);
            let directory = || error(line, NO_DIRECTORY).map(Self::Directory);
            program.or_else(directory).or_else(|| error(line, NO_USER).map(Self::User))
        })
    }
}

/// What this kernel does not offer to guards, and what is weaker without it: one sentence each, for the operator.
pub fn missing_kernel_pieces() -> Vec<String> {
    let mut missing = Vec::new();
    if rustix::process::child_subreaper().is_err() {
        missing
            .push("no child subreapers: what an agent leaves in a session of its own outlives it".to_owned());
    }
    if pidfd_open(getpid(), PidfdFlags::empty()).is_err() {
        missing.push("no pidfds: agents outlive a killed bot by up to a second more".to_owned());
    }
    if children().is_empty() {
        missing.push(
            "no processes in /proc: what an agent leaves outside its process group outlives it".to_owned(),
        );
    }
    missing
}

fn guard(
    orders: &GuardOptions,
    program: &OsStr,
    arguments: &[OsString],
) -> std::io::Result<Option<WaitStatus>> {
    let bot = orders.bot.map_or_else(getppid, Pid::from_raw);
    // The agent runs even without it; the bot has warned at its start.
    let _ = set_child_subreaper(Some(getpid()));
    let mut watch = GuardWatch::begin(bot)?;
    let _lock = orders.lock.as_deref().map(share).transpose()?.flatten();
    // Asked only now: from here on either the bot sees to us, or the lock keeps the next bot waiting.
    if watch.bot_is_gone() {
        return Err(rustix::io::Errno::SRCH.into());
    }
    if let Some(umask) = orders.umask {
        // The bot's own files are private; what an agent makes in a project is as private as its user wants it.
        rustix::process::umask(Mode::from_raw_mode(umask));
    }
    let mut command = match &orders.run_as {
        // Becoming the other user needs a capability that no other agent keeps, and a session of its own.
        Some(user) => {
            let mut step = Command::new(SELF);
            step.arg0("moonlane").arg(as_user::COMMAND).args(user.arguments()).arg("--").arg(program);
            step
        }
        None => {
            as_user::keep_capabilities_from_agents();
            let mut command = Command::new(program);
            command.process_group(0);
            command
        }
    };
    command.args(arguments);
    let mut spawn = || command.spawn();
    let (group, child) = match &orders.cgroup {
        Some(dir) => Group::around(dir, spawn),
        None => (None, spawn()),
    };
    let removed = RemovedOnDrop(group);
    let group = removed.0.as_ref();
    let child = child?;
    let mut below = Below { agent: Pid::from_raw(child.id().cast_signed()), status: None };
    let_go_of_the_pipes();

    while below.reap() && below.status.is_none() && !watch.is_told() && !watch.bot_is_gone() {
        watch.wait(None);
    }
    let grace = Instant::now() + GRACE;
    if below.reap() {
        below.signal(Signal::TERM);
    }
    while below.reap() && Instant::now() < grace {
        watch.wait(Some(grace));
    }
    let mut reached = Instant::now();
    while (below.reap() || group.is_some_and(Group::is_populated)) && reached.elapsed() < UNREACHABLE {
        group.inspect(|group| group.kill());
        if below.signal(Signal::KILL) {
            reached = Instant::now();
        }
        watch.wait(Some(Instant::now() + AGAIN));
    }
    Ok(below.status)
}

/// The agent's group, removed with the guard.
struct RemovedOnDrop(Option<Group>);

impl Drop for RemovedOnDrop {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            group.remove();
        }
    }
}

/// Shares the lock. If the file cannot be used, agents are found by the mark alone.
fn share(path: &Path) -> std::io::Result<Option<File>> {
    let Ok(file) = File::options().read(true).write(true).create(true).truncate(false).open(path) else {
        return Ok(None);
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        // A bot that starts holds it: ours is an earlier one.
        Err(std::fs::TryLockError::WouldBlock) => Err(rustix::io::Errno::SRCH.into()),
        Err(std::fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// The agent holds the pipes; a copy here would hide their ends.
fn let_go_of_the_pipes() {
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = (dup2_stdin(&null), dup2_stdout(&null), dup2_stderr(&null));
    }
}

/// Ends as the agent did.
fn pass_on(status: Option<WaitStatus>) -> ExitCode {
    // An agent without a status was not ours to wait for; that is no success.
    let Some(status) = status else { return ExitCode::FAILURE };
    if let Some(signal) = status.terminating_signal() {
        // The agent may have dumped core; the guard must not.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        return ExitCode::from(128_u8.saturating_add(u8::try_from(signal).unwrap_or(0)));
    }
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What wakes the guard, and what it then looks up.
struct GuardWatch {
    bot: Option<Pid>,
    pidfd: Option<OwnedFd>,
    pidfd_tells: bool,
    signals: UnixStream,
    told: Arc<AtomicBool>,
}

impl GuardWatch {
    fn begin(bot: Option<Pid>) -> std::io::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        let (signals, waker) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            signal_hook::flag::register(signal, Arc::clone(&told))?;
        }
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD] {
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        let pidfd = bot.and_then(|bot| pidfd_open(bot, PidfdFlags::empty()).ok());
        Ok(Self { bot, pidfd, pidfd_tells: false, signals, told })
    }

    fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Not fooled by a process that has got the bot's number since: the guard has another parent then.
    fn bot_is_gone(&self) -> bool {
        self.pidfd_tells || getppid() != self.bot
    }

    /// Sleeps until something may have happened, or the moment has come.
    fn wait(&mut self, until: Option<Instant>) {
        let look = self.pidfd.is_none().then_some(LOOK);
        let left = until.map(|moment| moment.saturating_duration_since(Instant::now()));
        let time = left.into_iter().chain(look).min().and_then(|time| Timespec::try_from(time).ok());
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        // Once readable, it stays readable.
        fds.extend(
            self.pidfd.as_ref().filter(|_| !self.pidfd_tells).map(|fd| PollFd::new(fd, PollFlags::IN)),
        );
        // A signal may interrupt it: then its byte is there.
        let _ = poll(&mut fds, time.as_ref());
        self.pidfd_tells |= fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        while let Ok(1..) = self.signals.read(&mut [0; 64]) {}
    }
}

/// Everything below the guard.
struct Below {
    agent: Option<Pid>,
    /// How the agent has ended.
    status: Option<WaitStatus>,
}

impl Below {
    /// Reaps processes that have ended. Returns whether any are left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if Some(pid) == self.agent {
                        self.status = Some(status);
                    }
                }
                Ok(None) => return true,
                Err(rustix::io::Errno::INTR) => {}
                // ECHILD: nobody.
                Err(_) => return false,
            }
        }
    }

    /// Sends the signal to all below. Returns whether it reached any process.
    fn signal(&self, signal: Signal) -> bool {
        let below = descendants();
        if let (true, Some(agent)) = (below.is_empty(), self.agent) {
            // Without /proc its group at least.
            return kill_process_group(agent, signal).is_ok();
        }
        below.into_iter().filter(|pid| kill_process(*pid, signal).is_ok()).count() > 0
    }
}

/// Every process below this one, parents first.
fn descendants() -> Vec<Pid> {
    let children = children();
    let mut found = vec![getpid()];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        found.extend(children.get(parent).into_iter().flatten());
        next += 1;
    }
    found.split_off(1)
}

/// The children of every process that /proc shows.
fn children() -> HashMap<Pid, Vec<Pid>> {
    let mut children = HashMap::<Pid, Vec<Pid>>::new();
    for pid in proc_fs::pids() {
        if let Some(parent) = proc_fs::parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_among_other_lines() {
        let refusals: [fn(_) -> SpawnError; 3] =
            [SpawnError::Program, SpawnError::Directory, SpawnError::User];
        for refusal in refusals {
            let told = refusal(std::io::Error::from_raw_os_error(2)).to_string();
            let found = SpawnError::find(&format!("x\n{told}\ny")).unwrap();
            assert_eq!(found.to_string(), told);
        }
        assert!(SpawnError::find("No such file or directory (os error 2)").is_none());
    }

    #[test]
    fn this_kernel_has_all_pieces() {
        assert_eq!(missing_kernel_pieces(), [""; 0]);
    }
}
