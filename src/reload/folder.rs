//! Watching the script folder: which changes count, and what to do when the system cannot report them.
//!
//! The folder is watched rather than its files, because editors replace files. The system reports reads, too; these must not
//! count, or each load would cause the next. Looking once a second finds what the system does not report: another folder in
//! place of this one (a link that points elsewhere, a folder put back).

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{info, warn};

use super::ReloadEvent;

/// How long to listen before looking.
const LOOK: Duration = Duration::from_secs(1);
/// The same while the folder is gone.
const LOOK_FOR_IT: Duration = Duration::from_millis(100);
/// How long to wait before trying again to watch.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Every script file, with what changes when it is saved.
pub type FileStamps = BTreeMap<PathBuf, Stamp>;

/// What changes when a file is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    place: (u64, u64),
    size: u64,
    /// When content and inode changed: seconds and nanoseconds.
    changed: [(i64, i64); 2],
}

/// The script folder, watched as well as the system allows.
pub struct Folder {
    dir: PathBuf,
    inbox: mpsc::Sender<ReloadEvent>,
    watch: FolderWatch,
}

enum FolderWatch {
    /// The system reports every change.
    Told { place: FolderId, _watcher: RecommendedWatcher },
    /// It cannot: each look compares the files.
    Polled { since: Instant },
    /// The folder is missing, or has not been looked at yet.
    Gone,
}

/// The identity of a folder, apart from its name.
#[derive(PartialEq, Eq)]
struct FolderId {
    path: PathBuf,
    id: (u64, u64),
}

impl Folder {
    /// A folder that is not watched before [`Folder::look`]. `inbox` hears of changes.
    pub fn new(dir: PathBuf, inbox: mpsc::Sender<ReloadEvent>) -> Self {
        Self { dir, inbox, watch: FolderWatch::Gone }
    }

    /// How long to listen before the next look.
    pub fn pause(&self) -> Duration {
        match self.watch {
            FolderWatch::Told { .. } | FolderWatch::Polled { .. } => LOOK,
            FolderWatch::Gone => LOOK_FOR_IT,
        }
    }

    /// Whether it was missing at the last look.
    pub fn is_gone(&self) -> bool {
        matches!(self.watch, FolderWatch::Gone)
    }

    /// Makes sure that the folder which is there now is watched. Returns whether its files may have changed unnoticed.
    pub fn look(&mut self) -> bool {
        match (&self.watch, FolderId::of(&self.dir)) {
            (FolderWatch::Told { place: before, .. }, Some(place)) if *before == place => false,
            (FolderWatch::Gone, None) => false,
            (FolderWatch::Polled { since }, Some(_)) if since.elapsed() < ASK_AGAIN => true,
            (_, None) => {
                self.watch = FolderWatch::Gone;
                true
            }
            (_, Some(place)) => {
                self.begin(place);
                true
            }
        }
    }

    /// The watched folder itself was removed or renamed.
    pub fn ended(&mut self) {
        self.watch = FolderWatch::Gone;
    }

    /// The system cannot watch it, or not all of it.
    pub fn failed(&mut self, error: &notify::Error) {
        if !matches!(self.watch, FolderWatch::Polled { .. }) {
            warn!("cannot watch the script folder; looking at it once a second instead: {}", reason(error));
        }
        self.watch = FolderWatch::Polled { since: Instant::now() };
    }

    fn begin(&mut self, place: FolderId) {
        let (inbox, dir) = (self.inbox.clone(), place.path.clone());
        let hear = move |told: notify::Result<notify::Event>| {
            let event = match told {
                Ok(event) => concerning(&event, &dir),
                Err(error) => Some(ReloadEvent::Failed(error)),
            };
            if let Some(event) = event {
                // The reloader may have ended.
                let _ = inbox.send(event);
            }
        };
        // Links are not followed, because scripts behind a link out of the folder are refused.
        let config = notify::Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(hear, config).and_then(|mut watcher| {
            watcher.watch(&place.path, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => {
                if matches!(self.watch, FolderWatch::Polled { .. }) {
                    info!("the script folder is watched again");
                }
                self.watch = FolderWatch::Told { place, _watcher: watcher };
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Every script file that is there now.
    pub fn files(&self) -> FileStamps {
        let mut files = FileStamps::new();
        let mut folders = vec![self.dir.clone()];
        while let Some(folder) = folders.pop() {
            // What cannot be read is reported when it is loaded.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if !is_hidden(&path) {
                        folders.push(path);
                    }
                } else if is_script(&path, &self.dir)
                    && let Ok(metadata) = path.metadata()
                {
                    files.insert(path, Stamp::of(&metadata));
                }
            }
        }
        files
    }
}

impl FolderId {
    fn of(dir: &Path) -> Option<Self> {
        let path = dir.canonicalize().ok()?;
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_dir)?;
        Some(Self { path, id: (metadata.dev(), metadata.ino()) })
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            place: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            changed: [(metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())],
        }
    }
}

/// What a change below `dir` means for the scripts; `None` if nothing.
fn concerning(event: &notify::Event, dir: &Path) -> Option<ReloadEvent> {
    if event.need_rescan() {
        return Some(ReloadEvent::Perhaps);
    }
    let comes_or_goes = match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
        EventKind::Modify(_) => false,
        // Reading, above all.
        EventKind::Access(_) | EventKind::Any | EventKind::Other => return None,
    };
    if comes_or_goes && event.paths.iter().any(|path| path == dir) {
        return Some(ReloadEvent::Ended);
    }
    if event.paths.iter().any(|path| is_script(path, dir)) {
        return Some(ReloadEvent::Saved);
    }
    // A folder with scripts in it, or a link on the way to one.
    comes_or_goes.then_some(ReloadEvent::Perhaps)
}

/// Whether a file of this name below `dir` is a script. Names that begin with a dot belong to editors.
fn is_script(path: &Path, dir: &Path) -> bool {
    let below = path.strip_prefix(dir).unwrap_or(path);
    path.extension().is_some_and(|ending| ending == "lua")
        && !below.iter().any(|name| is_hidden(Path::new(name)))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Why the system cannot watch, and what helps.
fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "this user's watches are used up; raise fs.inotify.max_user_watches".to_owned()
        }
        notify::ErrorKind::Io(e) if e.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "this user's watchers, or the bot's open files, are used up; raise fs.inotify.max_user_instances \
             or the limit of open files"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, Flag, RemoveKind, RenameMode};

    use super::*;

    /// What a change of this kind comes to, for each of these paths below the folder.
    fn concerns(kind: EventKind, paths: &[&str]) -> String {
        let concern = |path: &&str| {
            let path = Path::new("/s/scripts").join(path);
            let path = path.to_str().unwrap().trim_end_matches('/');
            let event = notify::Event::new(kind).add_path(path.into());
            concerning(&event, Path::new("/s/scripts")).map_or("-".to_owned(), |it| format!("{it:?}"))
        };
        paths.iter().map(concern).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_scripts_count_and_reading_never_does() {
        let paths =
            ["routing.lua", "lib/names.lua", "routing.lua~", "lib", ".#routing.lua", ".git/a.lua", ""];
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let modified = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        let lines = [
            ("open", concerns(open, &paths)),
            ("close", concerns(written, &paths)),
            ("modify", concerns(modified, &paths)),
            ("create", concerns(EventKind::Create(CreateKind::File), &paths)),
            ("rename", concerns(renamed, &paths)),
            ("remove", concerns(EventKind::Remove(RemoveKind::Folder), &paths)),
        ];
        let lines: Vec<_> = lines.iter().map(|(kind, told)| format!("{kind}: {told}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        open: - - - - - - -
        close: - - - - - - -
        modify: Saved Saved - - - - -
        create: Saved Saved Perhaps Perhaps Perhaps Perhaps Ended
        rename: Saved Saved Perhaps Perhaps Perhaps Perhaps Ended
        remove: Saved Saved Perhaps Perhaps Perhaps Perhaps Ended
        ");
        let overflow = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(matches!(concerning(&overflow, Path::new("/s")), Some(ReloadEvent::Perhaps)));
    }

    #[test]
    fn the_end_of_the_folder_is_heard_and_another_one_is_watched() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("scripts");
        std::fs::create_dir(&dir).unwrap();
        let (inbox, events) = mpsc::channel();
        let hear = |what: fn(&ReloadEvent) -> bool| {
            while !what(&events.recv_timeout(Duration::from_secs(30)).expect("to be told")) {}
        };
        let mut scripts = Folder::new(dir.clone(), inbox);
        assert!(scripts.is_gone() && scripts.look() && !scripts.look());
        for round in 0..3 {
            std::fs::remove_dir_all(&dir).unwrap();
            // It may even have the old one's inode.
            std::fs::create_dir(&dir).unwrap();
            hear(|event| matches!(event, ReloadEvent::Ended));
            scripts.ended();
            assert!(scripts.is_gone() && scripts.look() && !scripts.is_gone());
            std::fs::write(dir.join(format!("{round}.lua")), "").unwrap();
            hear(|event| matches!(event, ReloadEvent::Saved));
        }
    }

    #[test]
    fn a_system_without_watches_left_is_polled_and_the_reason_says_what_to_raise() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("routing.lua"), "return 1").unwrap();
        let (inbox, _events) = mpsc::channel();
        let mut scripts = Folder::new(folder.path().to_owned(), inbox);
        assert!(scripts.look() && !scripts.look(), "watched from now on");
        scripts.failed(&notify::Error::new(notify::ErrorKind::MaxFilesWatch));
        let before = scripts.files();
        assert!(scripts.look() && !scripts.is_gone(), "looked at each time");
        std::fs::write(folder.path().join("routing.lua"), "return 22").unwrap();
        assert_ne!(scripts.files(), before);
        assert!(reason(&notify::Error::new(notify::ErrorKind::MaxFilesWatch)).contains("max_user_watches"));
        let too_many = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert!(reason(&notify::Error::io(too_many)).contains("max_user_instances"));
    }
}
