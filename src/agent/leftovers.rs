//! What the CLI leaves in temporary folders, cleaned by age.
//!
//! It puts things into `$TMPDIR/claude-UID/`: a probe per run or so, and a folder per session with the outputs of tasks
//! and images. Killed shells leave `$TMPDIR/claude-XXXX-cwd`. Only entries of exactly these forms, of our own user and
//! untouched for long, are taken away, never through a link. (As 2.1.330 was seen to do it.)

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tracing::{debug, info};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What is useless once its run has ended.
const KEPT: Duration = DAY;
/// A conversation may name the outputs and images of its earlier turns.
const SESSIONS_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Cleans at once and then once a day, for ever.
pub async fn clean_daily() {
    loop {
        // An agent's TMPDIR is the bot's; a project that sets another one looks after that itself.
        let cleaned = tokio::task::spawn_blocking(|| clean(&std::env::temp_dir(), SystemTime::now()));
        match cleaned.await {
            Ok(0) | Err(_) => {}
            Ok(count) => info!(count, "removed what earlier agents had left in the temporary folder"),
        }
        tokio::time::sleep(DAY).await;
    }
}

/// Removes what is too old at `now`. Returns how many entries that was.
fn clean(temporary: &Path, now: SystemTime) -> usize {
    let cleaner = Cleaner { user: rustix::process::getuid().as_raw(), now };
    let shells = cleaner.entries(temporary, |name, entry| entry.is_file() && is_shell(name), KEPT);
    let own = temporary.join(format!("claude-{}", cleaner.user));
    // Anybody may write into the folder above: this one has to be ours, and no link to elsewhere.
    if !fs::symlink_metadata(&own).is_ok_and(|entry| entry.is_dir() && entry.uid() == cleaner.user) {
        return shells;
    }
    let probes =
        cleaner.entries(&own, |name, entry| entry.is_dir() && name.starts_with("fswatch-probe-"), KEPT);
    let projects = names(&own).filter(|name| name.starts_with('-')).map(|name| own.join(name));
    let projects = projects.filter(|path| fs::symlink_metadata(path).is_ok_and(|it| cleaner.is_ours(&it)));
    let is_session = |name: &str, entry: &Metadata| entry.is_dir() && Uuid::try_parse(name).is_ok();
    let sessions: usize = projects.map(|project| cleaner.entries(&project, is_session, SESSIONS_KEPT)).sum();
    shells + probes + sessions
}

/// `claude-XXXX-cwd`, with hexadecimal digits.
fn is_shell(name: &str) -> bool {
    let digits = name.strip_prefix("claude-").and_then(|name| name.strip_suffix("-cwd"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    // A name that is not UTF-8 is not the CLI's.
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

struct Cleaner {
    user: u32,
    now: SystemTime,
}

impl Cleaner {
    fn is_ours(&self, entry: &Metadata) -> bool {
        entry.uid() == self.user && !entry.is_symlink()
    }

    /// Removes what `is_meant` in this folder and has not been touched for `kept`.
    fn entries(&self, folder: &Path, is_meant: impl Fn(&str, &Metadata) -> bool, kept: Duration) -> usize {
        let meant = names(folder).filter(|name| {
            let entry = fs::symlink_metadata(folder.join(name));
            entry.is_ok_and(|entry| self.is_ours(&entry) && is_meant(name, &entry))
        });
        let paths = meant.map(|name| folder.join(name)).filter(|path| self.is_old(path, kept));
        paths.filter(|path| remove(path)).count()
    }

    /// Whether nothing in it was changed within `kept`.
    fn is_old(&self, path: &Path, kept: Duration) -> bool {
        let Ok(entry) = fs::symlink_metadata(path) else { return false };
        let age = entry.modified().ok().and_then(|changed| self.now.duration_since(changed).ok());
        age.is_some_and(|age| age > kept)
            && (!entry.is_dir() || names(path).all(|name| self.is_old(&path.join(name), kept)))
    }
}

fn remove(path: &Path) -> bool {
    // Neither follows a link.
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = &removed {
        debug!(%error, "cannot remove what an earlier agent left");
    }
    removed.is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;

    use super::*;

    const SESSION: &str = "023c7a63-31d3-4b5f-ab1b-0a4e2d6c3f59";

    fn write(root: &Path, file: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    fn all(root: &Path) -> BTreeSet<String> {
        fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
            for name in names(folder) {
                let path = folder.join(name);
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    walk(root, &path, found);
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(root, root, &mut found);
        found
    }

    fn later(days: u32) -> SystemTime {
        SystemTime::now() + DAY * days
    }

    #[test]
    fn what_the_cli_left_goes_when_it_is_old_and_nothing_else() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = root.path();
        write(outside.path(), "precious");
        let own = format!("claude-{}", rustix::process::getuid().as_raw());
        let project = format!("{own}/-home-u-w");
        let kept = [
            "claude-cwd".to_owned(),
            "claude-notes-cwd".to_owned(),
            "claude-1/fswatch-probe-x/probe".to_owned(),
            "something/else".to_owned(),
            format!("{own}/notes.txt"),
            format!("{own}/other/{SESSION}/x"),
            format!("{project}/not-a-session/x"),
        ];
        for file in &kept {
            write(root, file);
        }
        symlink(outside.path(), root.join(&own).join("fswatch-probe-link")).unwrap();
        symlink(outside.path(), root.join(&own).join("-link")).unwrap();
        fs::create_dir(outside.path().join(SESSION)).unwrap();
        let before = all(root);
        for file in ["claude-0a1f-cwd".to_owned(), format!("{own}/fswatch-probe-AL2i0J/probe")] {
            write(root, &file);
        }
        write(root, &format!("{project}/{SESSION}/tasks/b4md0eshp.output"));
        symlink(outside.path(), root.join(&project).join(SESSION).join("images")).unwrap();

        let full = all(root);
        assert_eq!(clean(root, SystemTime::now()), 0);
        assert_eq!(all(root), full, "nothing is old");
        assert_eq!(clean(root, later(2)), 2);
        assert!(root.join(&project).join(SESSION).exists());
        assert_eq!(clean(root, later(15)), 1);
        assert_eq!(all(root), before);
        assert!(outside.path().join("precious").exists() && outside.path().join(SESSION).exists());
        assert_eq!(clean(root, later(15)), 0);
    }

    #[test]
    fn a_session_in_which_something_is_new_stays_whole() {
        let root = tempfile::tempdir().unwrap();
        let project = format!("claude-{}/-srv", rustix::process::getuid().as_raw());
        let session = root.path().join(&project).join(SESSION);
        write(&session, "tasks/new.output");
        let new = fs::File::options().write(true).open(session.join("tasks/new.output")).unwrap();
        new.set_modified(later(14)).unwrap();
        write(&session, "tasks/old.output");
        assert_eq!(clean(root.path(), later(15)), 0);
        assert_eq!(clean(root.path(), later(29)), 1);
    }

    #[test]
    fn a_link_in_place_of_our_folder_is_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(outside.path(), "fswatch-probe-x/probe");
        let own = format!("claude-{}", rustix::process::getuid().as_raw());
        symlink(outside.path(), root.path().join(own)).unwrap();
        assert_eq!(clean(root.path(), later(30)), 0);
        assert_eq!(clean(&root.path().join("nowhere"), later(30)), 0);
        assert!(outside.path().join("fswatch-probe-x/probe").exists());
    }
}
