//! The guard as a process: pipes, exit codes, and that nothing outlives it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use moonlane::agent::cgroup;
use moonlane::agent::guard::SpawnError;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::busy::Stopwatch;
use crate::support::{MOONLANE, PATIENCE, processes_with, write_program};

/// A folder whose name marks everything that is started here.
struct Yard(TempDir);

impl Yard {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command with the mark, and nothing on its pipes.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("YARD", self.0.path()).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// A guard of this test process.
    fn guard(&self, command: &[&str]) -> Command {
        let mut guard = self.command(MOONLANE);
        guard.args(["agent-guard", "--bot", &std::process::id().to_string(), "--"]).args(command);
        guard
    }

    /// A guard of a shell script.
    fn guarded(&self, script: &str) -> Command {
        self.guard(&["sh", "-c", script])
    }

    /// Every process with the mark, zombies apart.
    fn processes(&self) -> Vec<u32> {
        processes_with(&format!("YARD={}", self.0.path().display()))
    }

    /// Waits until the script has made a file of this name.
    fn made(&self, name: &str) {
        until(&format!("the file {name}"), PATIENCE, || self.path(name).exists());
    }

    /// Waits until nothing is left.
    fn none_left(&self) -> Stopwatch {
        until("nothing is left", Duration::from_secs(5), || self.processes().is_empty())
    }
}

impl Drop for Yard {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
        }
    }
}

fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Stopwatch {
    let begun = Stopwatch::start();
    while !holds() {
        assert!(begun.is_within(limit), "after {begun:?}: {what} does not hold");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Waits for the end.
fn ended(child: &mut Child) -> (ExitStatus, Stopwatch) {
    let mut status = None;
    let took = until("the guard ends", PATIENCE, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    (status.unwrap(), took)
}

/// Leaves a process in the background, one in a session of its own, one whose parent is gone, and one deaf to SIGTERM.
const LEAVE: &str = "
    sleep 300 &
    setsid sleep 301 &
    (setsid sh -c 'sleep 302 & sleep 303' &)
    setsid sh -c 'trap \"\" TERM; : > deaf; while :; do sleep 1; done' &
    while ! [ -e deaf ]; do sleep 0.01; done
";

#[test]
fn every_byte_passes_through_and_the_ends_of_the_pipes_are_seen() {
    let yard = Yard::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut guard = yard.guarded("tee /dev/stderr");
    let mut guard =
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut input, sent) = (guard.stdin.take().unwrap(), bytes.clone());
    let writer = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let mut errors = guard.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut read = Vec::new();
        errors.read_to_end(&mut read).unwrap();
        read
    });
    let output = guard.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success() && output.stdout == bytes && errors.join().unwrap() == bytes);

    // The guard holds none of the pipes itself.
    let mut guard = yard.guarded("exec <&- >&- 2>&-; : > closed; exec sleep 20");
    let mut guard =
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(guard.stdout.take().unwrap().read(&mut [0]).unwrap(), 0);
    assert_eq!(guard.stderr.take().unwrap().read(&mut [0]).unwrap(), 0);
    yard.made("closed");
    let broken = guard.stdin.take().unwrap().write_all(b"x").unwrap_err();
    assert_eq!(broken.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(guard.try_wait().unwrap(), None, "these were the agent's ends");
    kill_process(pid(&guard), Signal::TERM).unwrap();
    ended(&mut guard);
}

#[test]
fn it_ends_as_the_agent_does() {
    let yard = Yard::new();
    for code in [0, 1, 7, 126, 127, 255] {
        let mut guard = yard.guarded(&format!("exit {code}")).spawn().unwrap();
        assert_eq!(ended(&mut guard).0.code(), Some(code));
    }
    for signal in [Signal::KILL, Signal::TERM, Signal::INT, Signal::SEGV, Signal::USR1, Signal::PIPE] {
        let mut guard = yard.guarded(&format!("kill -{} $$; sleep 5", signal.as_raw())).spawn().unwrap();
        assert_eq!(ended(&mut guard).0.signal(), Some(signal.as_raw()));
    }
    assert!(!yard.path("core").exists());
}

#[test]
fn what_cannot_be_started_is_told_with_the_systems_reason() {
    let yard = Yard::new();
    let number = |program: &str| {
        let output = yard.guard(&[program]).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(127));
        match SpawnError::find(&String::from_utf8(output.stderr).unwrap()) {
            Some(SpawnError::Program(error)) => error.raw_os_error().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let program = |name: &str, text: &str| {
        write_program(&yard.path(name), text);
        yard.path(name).to_str().unwrap().to_owned()
    };
    const NOT_FOUND: i32 = 2;
    const BAD_FORMAT: i32 = 8;
    const DENIED: i32 = 13;
    assert_eq!(number("no-such-program"), NOT_FOUND);
    assert_eq!(number(&program("script", "#!/no/such/interpreter\n")), NOT_FOUND);
    assert_eq!(number(&program("text", "\u{1}\n")), BAD_FORMAT);
    assert_eq!(number("/"), DENIED);
}

#[test]
fn whatever_the_agent_leaves_ends_with_it() {
    let yard = Yard::new();
    let mut guard = yard.guarded(&format!("{LEAVE} exit 7")).spawn().unwrap();
    yard.made("deaf");
    let (status, took) = ended(&mut guard);
    assert_eq!((status.code(), yard.processes()), (Some(7), vec![]), "all is gone before the guard is");
    assert!(took.is_within(Duration::from_millis(3500)), "{took:?}");
}

/// Shuts everybody out who is not told by a mark: no environment, no parent, no guard.
#[test]
fn nobody_leaves_the_control_group_of_an_agent_that_kills_its_guard() {
    let own = match cgroup::own() {
        Ok(own) => own,
        Err(why) => return eprintln!("skipped: no control group can be made here: {why}"),
    };
    let yard = Yard::new();
    let kin = own.join(format!("moonlane-{}", uuid::Uuid::new_v4()));
    let group = |name: &str| kin.join(name);
    let guard = |name: &str, script: &str| {
        let mut guard = yard.command(MOONLANE);
        guard.args(["agent-guard", "--cgroup"]).arg(group(name)).args(["--", "sh", "-c", script]);
        guard.spawn().unwrap()
    };
    let members = |name: &str| std::fs::read_to_string(group(name).join("cgroup.procs")).unwrap_or_default();

    let escape = "env -i setsid sh -c ': > away; exec sleep 300' &
        while ! [ -e away ]; do sleep 0.01; done; kill -9 $PPID; exit";
    let mut killed = guard("a", escape);
    assert_eq!(ended(&mut killed).0.signal(), Some(Signal::KILL.as_raw()));
    until("only what got away is left", PATIENCE, || members("a").lines().count() == 1);
    assert!(cgroup::end(&group("a")), "somebody was there");
    assert_eq!(members("a"), "");
    assert!(!kin.exists(), "the groups are gone");

    // A guard that nobody kills takes the group away by itself, and stands outside of it.
    let mut orderly = guard("b", ": > made; exec sleep 300");
    yard.made("made");
    // It steps out once the agent is in.
    let guard_is_in = || members("b").lines().any(|pid| pid == orderly.id().to_string());
    until("the guard stands outside", PATIENCE, || !guard_is_in());
    assert_eq!(members("b").lines().count(), 1);
    kill_process(pid(&orderly), Signal::TERM).unwrap();
    assert_eq!(ended(&mut orderly).0.signal(), Some(Signal::TERM.as_raw()));
    assert!(!kin.exists(), "the groups are gone");
}

#[test]
fn what_heeds_sigterm_is_not_waited_for() {
    let yard = Yard::new();
    let mut guard = yard.guarded("setsid sleep 300 & : > made; exec sleep 301").spawn().unwrap();
    yard.made("made");
    kill_process(pid(&guard), Signal::TERM).unwrap();
    let (status, took) = ended(&mut guard);
    assert_eq!((status.signal(), yard.processes()), (Some(Signal::TERM.as_raw()), vec![]));
    assert!(took.is_within(Duration::from_millis(1500)), "{took:?}");
}

#[test]
fn what_ignores_sigterm_is_killed_two_seconds_later() {
    let yard = Yard::new();
    let script = format!("trap '' TERM; {LEAVE} while :; do sleep 1; done");
    let mut guard = yard.guarded(&script).spawn().unwrap();
    yard.made("deaf");
    kill_process(pid(&guard), Signal::TERM).unwrap();
    let (status, took) = ended(&mut guard);
    assert_eq!((status.signal(), yard.processes()), (Some(Signal::KILL.as_raw()), vec![]));
    assert!(took.elapsed() > Duration::from_millis(1900), "{took:?}");
    assert!(took.is_within(Duration::from_millis(3500)), "{took:?}");
}

#[test]
fn all_of_it_ends_when_the_bot_is_killed() {
    let yard = Yard::new();
    let script = format!("trap '' TERM; {LEAVE} while :; do sleep 1; done");
    // A shell in the bot's place.
    let mut bot = yard.command("sh");
    bot.args(["-c", r#""$0" agent-guard --bot $$ -- sh -c "$1" & wait"#, MOONLANE, &script]);
    let mut bot = bot.spawn().unwrap();
    yard.made("deaf");
    bot.kill().unwrap();
    bot.wait().unwrap();
    let took = yard.none_left();
    println!("nothing is left {took:?} after the bot was killed");
}

#[test]
fn without_pidfd_and_proc_the_bots_end_is_noticed_and_the_agents_group_ended() {
    let yard = Yard::new();
    // So few files that neither a pidfd nor anything in /proc can be opened.
    // No redirection in the shell itself: it would want a file of a higher number.
    let script = "sleep 300 & touch made; sleep 301";
    let mut bot = yard.command("sh");
    bot.args(["-c", r#"ulimit -n 10; "$0" agent-guard --bot $$ -- sh -c "$1" & wait"#, MOONLANE, script]);
    let mut bot = bot.spawn().unwrap();
    yard.made("made");
    let guard = children_of(bot.id()).into_iter().next().expect("the guard");
    let files = std::fs::read_dir(format!("/proc/{guard}/fd")).unwrap();
    let is_pidfd =
        |file: &Path| std::fs::read_link(file).is_ok_and(|to| to.to_string_lossy().contains("pidfd"));
    assert!(!files.into_iter().any(|file| is_pidfd(&file.unwrap().path())), "this tests nothing");
    bot.kill().unwrap();
    bot.wait().unwrap();
    yard.none_left();
}

#[test]
fn a_bot_that_is_gone_before_the_guard_looks_gets_no_agent() {
    let yard = Yard::new();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    // One that is dead, and one that is alive but not the parent: the number has gone to another process.
    for bot in [gone.id(), 1] {
        let mut guard = yard.command(MOONLANE);
        guard.args(["agent-guard", "--bot", &bot.to_string(), "--", "sh", "-c", ": > started"]);
        assert_eq!(guard.output().unwrap().status.code(), Some(127));
        assert!(!yard.path("started").exists());
    }
}

#[test]
fn the_lock_is_shared_for_as_long_as_anything_is_left() {
    let yard = Yard::new();
    let lock = File::create(yard.path("lock")).unwrap();
    let guard = |script: &str| {
        let mut guard = yard.command(MOONLANE);
        guard.args(["agent-guard", "--lock"]).arg(yard.path("lock")).args(["--", "sh", "-c", script]);
        guard.spawn().unwrap()
    };
    let mut first = guard(": > first; sleep 300");
    let mut second = guard("setsid sh -c 'trap \"\" TERM; : > second; while :; do sleep 1; done' & wait");
    yard.made("first");
    yard.made("second");
    kill_process(pid(&first), Signal::TERM).unwrap();
    ended(&mut first);
    assert!(lock.try_lock().is_err(), "the second has it, too");
    kill_process(pid(&second), Signal::TERM).unwrap();
    while lock.try_lock().is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(yard.processes(), [0; 0]);
    ended(&mut second);

    // Now another bot has it alone.
    assert_eq!(ended(&mut guard(": > third")).0.code(), Some(127));
    assert!(!yard.path("third").exists());
}

#[test]
fn orphans_are_reaped_while_the_agent_works_and_groups_are_apart() {
    let yard = Yard::new();
    let script =
        "for n in 1 2 3 4 5 6 7 8; do (true &); (setsid sh -c 'exit 1' &); done; : > made; exec sleep 300";
    let mut guard = yard.guarded(script).spawn().unwrap();
    yard.made("made");
    until("only the agent is left below the guard", PATIENCE, || children_of(guard.id()).len() == 1);
    let agent = children_of(guard.id())[0];
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(group(agent), agent);
    assert_ne!(group(guard.id()), agent);
    kill_process(pid(&guard), Signal::TERM).unwrap();
    ended(&mut guard);
}

/// The children of a process, zombies too.
fn children_of(parent: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// How many kilobytes of this file's mappings a process has changed.
fn anonymous_of(process: u32, file: &str) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let (mut is_of_file, mut sum) = (false, 0);
    for line in maps.lines() {
        match line.strip_prefix("Anonymous:") {
            Some(size) if is_of_file => {
                sum += size.split_whitespace().next().unwrap().parse::<u64>().unwrap();
            }
            Some(_) => {}
            // The lines of a mapping follow its own, which begins with where it lies and ends with its file.
            None if line.contains('-') && !line.contains(" kB") => is_of_file = line.ends_with(file),
            None => {}
        }
    }
    sum
}

/// Not a bench, only a limit that shows when something heavy gets into its way.
#[test]
fn it_costs_next_to_nothing() {
    let yard = Yard::new();
    let mut guard = yard.guarded(": > made; exec sleep 300").spawn().unwrap();
    yard.made("made");
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", guard.id())).unwrap();
    let relocated = anonymous_of(guard.id(), MOONLANE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", guard.id())).unwrap();
    let kilobytes = |text: &str, name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    };
    let (pss, anonymous) = (kilobytes(&rollup, "Pss"), kilobytes(&status, "RssAnon"));
    let all = kilobytes(&status, "VmRSS");
    kill_process(pid(&guard), Signal::TERM).unwrap();
    ended(&mut guard);

    let took = |command: &mut Command| {
        let begun = Stopwatch::start();
        assert!(command.status().unwrap().success());
        begun.elapsed()
    };
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let measured = Stopwatch::start();
    let (direct, guarded): (Vec<_>, Vec<_>) =
        (0..30).map(|_| (took(&mut yard.command("true")), took(&mut yard.guard(&["true"])))).unzip();
    let (direct, guarded) = (median(direct), median(guarded));
    println!(
        "a guard: {anonymous} kB of its own (RssAnon), {relocated} kB of them relocations of the program, Pss {pss} kB, \
         VmRSS {all} kB; `true` ends after {direct:?} directly and {guarded:?} behind it"
    );
    // The relocations grow with the program, and an unoptimized one has thrice as many; the rest is what a guard needs.
    assert!(anonymous - relocated < 700, "{anonymous} kB, {relocated} kB of them relocations");
    let cost = guarded.saturating_sub(direct);
    assert!(measured.allows(cost, Duration::from_millis(50)), "{direct:?}, {guarded:?}, {measured:?}");
}
