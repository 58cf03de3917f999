//! `run_as`: the user of this machine that a project's agents run as.
//!
//! Another user keeps agents away from what is the bot's only as long as that user can neither read the database and the
//! token, nor change what decides who is let in. The permission bits are checked whenever scripts are loaded.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{User, getgrouplist};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use super::data::{BadValue, shown};
use crate::config::OwnPlace;
use crate::domain::{Ids, RunAs};
use crate::reach::{Reach, Right};

/// What it takes to start processes as another user, and to end them.
const NEEDED: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::KILL);

/// SQLite's own files beside a database, which contain the latest writes.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The user of this name, provided that nothing of the bot's is open to them.
pub(super) fn run_as(name: &str, own: &[OwnPlace]) -> Result<RunAs, BadValue> {
    let user = find(name)?;
    if user.ids.user == 0 {
        return Err(BadValue::here("must not be root; choose a user that owns nothing but the project"));
    }
    if user.ids.user == geteuid().as_raw() {
        let problem = "is the user that moonlane itself runs as; choose another one, or remove `run_as`";
        return Err(BadValue::here(problem));
    }
    match own.iter().find_map(|place| exposed(&user, place)) {
        Some(problem) => Err(BadValue::here(problem)),
        None => Ok(user),
    }
}

fn find(name: &str) -> Result<RunAs, BadValue> {
    let missing = || BadValue::here(format!("there is no user {} on this machine", shown(name)));
    let unknown =
        |e: nix::Error| BadValue::here(format!("the user {} cannot be looked up: {e}", shown(name)));
    let in_c = CString::new(name).map_err(|_| missing())?;
    let user = User::from_name(name).map_err(unknown)?.ok_or_else(missing)?;
    let groups = getgrouplist(&in_c, user.gid).map_err(unknown)?;
    let ids = Ids {
        user: user.uid.as_raw(),
        group: user.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
    };
    Ok(RunAs { name: user.name, ids, home: user.dir, shell: user.shell })
}

/// What of this place is open to the user, and how to close it.
fn exposed(user: &RunAs, place: &OwnPlace) -> Option<String> {
    let (reach, who, what) = (Reach(&user.ids), &user.name, place.what);
    let mut paths = vec![place.path.clone()];
    if place.is_folder {
        paths.extend(inside(&place.path));
    }
    if place.is_private {
        paths.extend(BESIDE.map(|end| with_end(&place.path, end)));
        if let Some((file, bit)) = paths.iter().find_map(|file| Some((file, reach.reads(file)?))) {
            return Some(format!("the user {who} can read {what} ({}): {}", file.display(), bit.taken()));
        }
    }
    let (path, bit) = paths.iter().find_map(|path| Some((path, reach.changes(path)?)))?;
    Some(format!("the user {who} can change {what} ({}): {}", path.display(), bit.taken()))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// Everything below this folder, without following links.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found = Vec::new();
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(inside(&entry.path()));
        }
        found.push(entry.path());
    }
    found.sort();
    found
}

/// What keeps the user from using this path in this way, and how to change that.
pub(super) fn kept_out(user: &RunAs, path: &Path, right: Right) -> Option<BadValue> {
    let bit = Reach(&user.ids).lacks(path, right)?;
    let does = if right == Right::Enter { "enter" } else { "read" };
    Some(BadValue::here(format!(
        "the user {} (`run_as`) may not {does} {}: {}, or give it another owner or group",
        user.name,
        path.display(),
        bit.given()
    )))
}

/// Why this process cannot start agents as another user, as a sentence.
pub(super) fn missing_right() -> Option<&'static str> {
    let has = capabilities(None).is_ok_and(|sets| sets.effective.contains(NEEDED));
    (!has).then_some(
        "moonlane, the way it was started here, may not start agents as another user: start it with \
         `AmbientCapabilities=CAP_SETUID CAP_SETGID CAP_KILL` (systemd), or write `command = { \"sudo\", … }` instead of \
         `run_as` (scripts/README.md says how)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_with_all_their_groups() {
        let root = find("root").unwrap();
        assert_eq!((root.ids.user, root.ids.group, root.ids.groups.contains(&0)), (0, 0, true));
        assert!(root.home.is_absolute());
        for unknown in ["", "no such user", "0", "roo\0t", "root\n"] {
            assert!(find(unknown).unwrap_err().message.starts_with("there is no user"), "{unknown:?}");
        }
    }
}
