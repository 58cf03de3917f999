//! A control group for each agent, where this bot may make one.
//!
//! The guard finds everything that it is the subreaper of, and the mark finds everything that has kept its environment.
//! An agent of the bot's own user can escape both by killing its guard from a child in a session of its own with an
//! empty environment. A control group cannot be left that way, and its `cgroup.kill` ends all processes in it in one
//! step, even those of another user. (An agent that may write to the groups itself can still move: a sandbox or a user
//! of its own prevents it.)
//!
//! This needs control groups v2, Linux 5.14, and a group delegated to the bot, as systemd does with `Delegate=yes`:
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>.
//!
//! The groups are `moonlane-KIN/AGENT` in the bot's own group. The guard makes and removes its agent's group; if it
//! fails to, the bot or the next one kills what is in it and removes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use uuid::Uuid;

/// How long to wait until killed processes are gone.
const GONE_WITHIN: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(5);

/// The group that this process may make groups in.
///
/// # Errors
/// Why it may not: part of a sentence for the operator.
pub fn own() -> Result<PathBuf, String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let dir = place(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
        .ok_or("there are no control groups of version 2")?;
    let may_not = |error: std::io::Error| format!("{} is not this user's: {error}", dir.display());
    // Moving a process needs write access to the common ancestor of both groups.
    access(dir.join("cgroup.procs"), Access::WRITE_OK).map_err(|error| may_not(error.into()))?;
    let probe = dir.join(format!("moonlane-probe-{}", Uuid::new_v4()));
    fs::create_dir(&probe).map_err(may_not)?;
    let can_kill = probe.join("cgroup.kill").exists();
    let _ = fs::remove_dir(&probe);
    if can_kill { Ok(dir) } else { Err("the kernel is older than 5.14".to_owned()) }
}

/// Where the process's group is in the file system. Only the v2 line has neither a number nor a name.
fn place(mounts: &str, groups: &str) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, mounted) = (fields.next()?, fields.next()?);
        // In a container only a part of the tree may be mounted.
        let group = Path::new(group).strip_prefix(root).ok()?;
        after.starts_with("cgroup2 ").then(|| Path::new(mounted).join(group))
    })
}

/// One agent's group, seen from its guard.
#[derive(Debug)]
pub struct Group {
    dir: PathBuf,
    /// The guard is not in it.
    is_outside: bool,
}

impl Group {
    /// Makes the group and starts the agent inside it by `spawn`.
    pub fn around<T>(dir: &Path, spawn: impl FnOnce() -> T) -> (Option<Self>, T) {
        let entered = make(dir).and_then(|()| enter(dir));
        let spawned = spawn();
        // The agent runs even without a group.
        if entered.is_err() {
            let _ = fs::remove_dir(dir);
            return (None, spawned);
        }
        let above = dir.parent().and_then(Path::parent).unwrap_or(dir);
        let is_outside = enter(above).is_ok();
        (Some(Self { dir: dir.to_owned(), is_outside }), spawned)
    }

    /// Kills everything in it, unless that includes the guard.
    pub fn kill(&self) {
        if self.is_outside {
            let _ = fs::write(self.dir.join("cgroup.kill"), "1");
        }
    }

    /// Whether any process but the guard is in it.
    pub fn is_populated(&self) -> bool {
        self.is_outside && is_populated(&self.dir)
    }

    /// Removes it, with groups that the agent may have made in it.
    pub fn remove(&self) {
        remove(&self.dir);
    }
}

fn make(dir: &Path) -> std::io::Result<()> {
    // Another agent's guard may remove the parent folder in between.
    for _ in 0..10 {
        if fs::create_dir_all(dir).is_ok() {
            return Ok(());
        }
    }
    fs::create_dir_all(dir)
}

/// Moves this process.
fn enter(dir: &Path) -> std::io::Result<()> {
    fs::write(dir.join("cgroup.procs"), "0")
}

fn is_populated(dir: &Path) -> bool {
    fs::read_to_string(dir.join("cgroup.events")).is_ok_and(|events| events.contains("populated 1"))
}

/// Kills whatever is left in this group and its descendants, and removes them; whether anything was left. Blocks for a
/// second at most.
pub fn end(dir: &Path) -> bool {
    let was_populated = is_populated(dir);
    let begun = Instant::now();
    while is_populated(dir) && begun.elapsed() < GONE_WITHIN {
        let _ = fs::write(dir.join("cgroup.kill"), "1");
        std::thread::sleep(AGAIN);
    }
    remove(dir);
    was_populated
}

fn remove(dir: &Path) {
    fn remove_tree(dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_tree(&entry.path());
            }
        }
        let _ = fs::remove_dir(dir);
    }
    remove_tree(dir);
    // That of all agents, if this was the last one.
    if let Some(kin) = dir.parent().filter(|kin| kin.join("cgroup.kill").exists() && is_of_kin(kin)) {
        let _ = fs::remove_dir(kin);
    }
}

/// The name of the group of all agents of the bots of one database.
pub fn of_kin(id: Uuid) -> String {
    format!("moonlane-{id}")
}

fn is_of_kin(dir: &Path) -> bool {
    dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("moonlane-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_among_mounts_of_both_versions() {
        let both = "30 1 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                    31 1 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let groups = "8:pids:/other\n0::/system.slice/moonlane.service\n";
        let expected = "/sys/fs/cgroup/unified/system.slice/moonlane.service";
        assert_eq!(place(both, groups), Some(expected.into()));
        assert_eq!(place(both, "0::/\n"), Some("/sys/fs/cgroup/unified".into()));
        let part = "31 1 0:27 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(place(part, "0::/a/b/c\n"), Some("/sys/fs/cgroup/c".into()));
        assert_eq!(place(part, "0::/elsewhere\n"), None);
        assert_eq!(place("30 1 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,pids\n", groups), None);
        assert_eq!(place(both, "8:pids:/other\n"), None);
        assert_eq!(place("", ""), None);
    }
}
