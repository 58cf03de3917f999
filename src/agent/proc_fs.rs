//! What Linux tells about processes in `/proc`.

use std::path::Path;

use rustix::process::Pid;

/// The places in a line of `/proc/PID/stat` from the state on, as proc_pid_stat(5) numbers them, less three.
const PARENT: usize = 1;
const MEMORY: usize = 20;
const START_OF_CODE: usize = 23;

/// Every process there is.
pub fn pids() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
}

/// A file of the process in `/proc`; empty where it cannot be read.
fn read(pid: Pid, name: &str) -> Vec<u8> {
    let file = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join(name);
    std::fs::read(file).unwrap_or_default()
}

/// The parent of a process, if it has one.
pub fn parent(pid: Pid) -> Option<Pid> {
    Stat::of(pid).parent()
}

/// What can be known of a process's environment.
#[derive(Debug, PartialEq, Eq)]
pub enum Environment {
    /// `NAME=value`, each ended by a zero byte. Empty as well where there is nothing that this process may read.
    Known(Vec<u8>),
    /// The process is in the middle of `execve`: its old memory is gone, and the kernel shows an empty environment until
    /// the new one is laid out.
    NotYet,
}

/// The environment with which a process was started.
pub fn environment(pid: Pid) -> Environment {
    let found = read(pid, "environ");
    if !found.is_empty() {
        return Environment::Known(found);
    }
    let stat = Stat::of(pid);
    match (stat.has_memory(), stat.has_program()) {
        (false, _) => Environment::Known(found),
        (true, false) => Environment::NotYet,
        // It may have had none, at the first look.
        (true, true) => Environment::Known(read(pid, "environ")),
    }
}

/// A line of `/proc/PID/stat`: `PID (NAME) STATE PARENT …`, where the name may hold anything.
struct Stat(String);

impl Stat {
    fn of(pid: Pid) -> Self {
        Self(String::from_utf8_lossy(&read(pid, "stat")).into_owned())
    }

    fn field<T: std::str::FromStr>(&self, place: usize) -> Option<T> {
        let (_, after_name) = self.0.rsplit_once(')')?;
        after_name.split_whitespace().nth(place)?.parse().ok()
    }

    fn parent(&self) -> Option<Pid> {
        self.field(PARENT).and_then(Pid::from_raw)
    }

    /// False for zombies, threads of the kernel, and processes that are gone.
    fn has_memory(&self) -> bool {
        self.field(MEMORY).is_some_and(|bytes: u64| bytes > 0)
    }

    /// Whether there is a program in its memory. Linux sets the start of the code last of all (`load_elf_binary` in
    /// fs/binfmt_elf.c).
    fn has_program(&self) -> bool {
        self.field(START_OF_CODE) != Some(0_u64)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::Stdio;

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        let parent = |stat: &str| Stat(stat.to_owned()).parent().map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(parent("7 (a) b) R 1) S 42 7 7 0"), Some(42));
        assert_eq!(parent("1 (init) S 0 1 1"), None);
        assert_eq!(parent("7 (cut off"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    fn what_has_no_environment_is_not_waited_for() {
        let mut command = std::process::Command::new("cat");
        let mut bare = command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        bare.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        bare.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = Pid::from_child(&bare);
        assert_eq!(environment(pid), Environment::Known(Vec::new()));
        drop(bare.stdin.take());
        // Nobody has waited for it: a zombie.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        assert_eq!(environment(pid), Environment::Known(Vec::new()));
        bare.wait().unwrap();
        assert_eq!(environment(pid), Environment::Known(Vec::new()));
    }

    #[test]
    fn no_process_looks_as_if_it_had_no_environment_while_it_starts() {
        for _ in 0..100 {
            let mut starting =
                std::process::Command::new("sleep").arg("100").env("MARK", "1").spawn().unwrap();
            let pid = Pid::from_child(&starting);
            // Its own, or that of the process that it was forked from.
            let found = loop {
                if let Environment::Known(found) = environment(pid) {
                    break found;
                }
            };
            starting.kill().unwrap();
            starting.wait().unwrap();
            assert!(!found.is_empty());
        }
    }
}
