//! Opening the file: the lock, the examination, the settings, the pruning.
//!
//! The order is what keeps a file that we cannot use as it is. The lock comes first, so nobody else writes from
//! then on. The examination reads through a connection that cannot write; only a file that passes it is opened
//! for writing.

use std::ffi::OsString;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::Access;
use tracing::{debug, warn};

use super::{Millis, schema};

/// How long an ended turn and what was said are kept.
const KEPT: Millis = Millis(30 * 24 * 60 * 60 * 1000);

/// How long the lock of a process that is gone is waited for. A child that it was starting when it was killed has the
/// lock, too, until its own program runs.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// For the owner alone.
const PRIVATE: u32 = 0o600;

/// Why the store cannot be opened: one sentence each, for the operator. The file is left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{file} is in use by {holder}: stop that one first, or give this one its own `[store] path`")]
    Held {
        file: String,
        /// The other process, as far as it is known.
        holder: Holder,
    },
    /// A later version of this program has migrated it.
    #[error(
        "{file} was written by a newer moonlane (its version is {found}, this one knows up to {}): \
         start the newer one",
        schema::VERSION
    )]
    Newer { file: String, found: i64 },
    /// It is an SQLite file, but not this program's.
    #[error("{file} belongs to another program: name another file in `[store] path`")]
    Foreign { file: String },
    #[error("{file} is damaged ({detail}): put a backup in its place, or move it away to start empty")]
    Corrupt {
        file: String,
        /// What SQLite found.
        detail: String,
    },
    /// The system does not let us.
    #[error("{file} cannot be opened: {detail}")]
    Unusable {
        /// The database or its lock file.
        file: String,
        /// What the system said.
        detail: String,
    },
}

/// Who holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The process with this id.
    Process(u32),
    /// A process that has not (yet) written its id.
    Unknown,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Unknown => f.write_str("another process"),
        }
    }
}

/// The connection, and the lock that makes it the only one. The fields are dropped in this order.
pub struct Database {
    pub connection: Connection,
    /// When the lock was last marked by its holder before us.
    pub left: Option<SystemTime>,
    lock: Lock,
}

/// The file beside the database whose lock its holder has.
struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a child that is being started has a copy of the descriptor until its own program
    /// runs, and keeps the lock for as long.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            debug!(%error, "the lock file cannot be unlocked");
        }
    }
}

impl Database {
    /// Opens or creates the file and brings it up to date.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // Through a symbolic link the same file would get a second lock.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let left = beside(path, ".lock").metadata().and_then(|metadata| metadata.modified()).ok();
        let lock = lock(path)?;
        // Taking the lock does not count: a bot that never got ready served nobody.
        if let Some(left) = left
            && let Err(error) = lock.0.set_modified(left)
        {
            debug!(%error, "the lock file cannot be marked");
        }
        examine(path)?;
        keep_private(path);
        let connection = prepare(path).map_err(|e| from_sqlite(path, e))?;
        Ok(Self { connection, left, lock })
    }

    /// The time of the lock's file says when its holder was last alive.
    pub fn mark_alive(&self) {
        if let Err(error) = self.lock.0.set_modified(SystemTime::now()) {
            debug!(%error, "the lock file cannot be marked");
        }
    }
}

/// Whether [`Database::open`] would find a database at `path` (or else make one), and could open it. Changes nothing.
pub fn look(path: &Path) -> Result<bool, OpenError> {
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let may = |file: &Path| {
        let unusable = |e: rustix::io::Errno| OpenError::Unusable {
            file: file.display().to_string(),
            detail: std::io::Error::from(e).to_string(),
        };
        rustix::fs::access(file, Access::READ_OK | Access::WRITE_OK).map_err(unusable)
    };
    may(path.parent().unwrap_or(Path::new("/")))?;
    if !path.exists() {
        return Ok(false);
    }
    may(path)?;
    if let Ok(mut lock) = File::open(beside(path, ".lock"))
        && let Err(TryLockError::WouldBlock) = lock.try_lock_shared()
    {
        return Err(held(path, &mut lock));
    }
    examine(path)?;
    Ok(true)
}

fn held(path: &Path, lock: &mut File) -> OpenError {
    let mut text = String::new();
    let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
    OpenError::Held { file: path.display().to_string(), holder: pid.map_or(Holder::Unknown, Holder::Process) }
}

/// Whether the process that has written its id there has ended.
fn is_gone(error: &OpenError) -> bool {
    let OpenError::Held { holder: Holder::Process(pid), .. } = error else { return false };
    !Path::new("/proc").join(pid.to_string()).exists()
}

/// Makes the database and its log private to their owner: they hold what people ask and hear. SQLite gives a new log
/// the permissions of its database.
fn keep_private(path: &Path) {
    let created = File::options().write(true).create(true).truncate(false).mode(PRIVATE).open(path);
    // Opening it as a database reports whatever is wrong with it.
    drop(created);
    for file in ["", "-wal", "-shm", "-journal", ".lock", ".agents"].map(|suffix| beside(path, suffix)) {
        let Ok(metadata) = file.metadata() else { continue };
        if metadata.permissions().mode() & 0o077 != 0
            && let Err(error) = fs::set_permissions(&file, Permissions::from_mode(PRIVATE))
        {
            warn!(%error, file = %file.display(), "other users of this machine may read or write this file");
        }
    }
}

/// `path` with something appended to its last component.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock beside the database and writes our process id into it.
///
/// The database itself cannot carry the lock: closing any descriptor of it drops SQLite's own locks.
fn lock(path: &Path) -> Result<Lock, OpenError> {
    let lock_path = beside(path, ".lock");
    let unusable = |e: std::io::Error| OpenError::Unusable {
        file: lock_path.display().to_string(),
        detail: e.to_string(),
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(unusable)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                file.rewind().map_err(unusable)?;
                let error = held(path, &mut file);
                if !is_gone(&error) || begun.elapsed() > LET_GO_WITHIN {
                    return Err(error);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
        }
    }
    let mut lock = Lock(file);
    lock.0.set_len(0).and_then(|()| lock.0.rewind()).map_err(unusable)?;
    writeln!(lock.0, "{}", std::process::id()).map_err(unusable)?;
    Ok(lock)
}

/// Refuses a file that is damaged, newer or not ours, without writing to it.
pub(super) fn examine(path: &Path) -> Result<(), OpenError> {
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    if metadata.len() == 0 {
        return Ok(());
    }
    let connection = open_reading(path).map_err(|e| from_sqlite(path, e))?;
    let facts = facts(&connection).map_err(|e| from_sqlite(path, e))?;
    // SQLite heads its finding with a line that names the database within the connection.
    let damage = facts.damage.lines().last().unwrap_or_default();
    let file = path.display().to_string();
    if !facts.empty && facts.application != schema::APPLICATION_ID {
        Err(OpenError::Foreign { file })
    } else if facts.version > schema::VERSION {
        Err(OpenError::Newer { file, found: facts.version })
    } else if damage != "ok" {
        Err(OpenError::Corrupt { file, detail: damage.to_owned() })
    } else {
        Ok(())
    }
}

/// A connection that cannot write, and leaves no new file beside the database.
pub(super) fn open_reading(path: &Path) -> rusqlite::Result<Connection> {
    // Without a log the file is the whole truth, and `immutable` keeps SQLite from creating a log. A log that
    // is there must be read: it may hold what an earlier process wrote just before it was killed.
    let has_log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let mut uri = OsString::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte).to_string()),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte).to_string()),
            byte => uri.push(format!("%{byte:02X}")),
        }
    }
    uri.push(if has_log { "?mode=ro" } else { "?mode=ro&immutable=1" });
    Connection::open_with_flags(
        Path::new(&uri),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
}

struct Facts {
    /// No table yet: a start that was killed before its first migration leaves such a file.
    empty: bool,
    application: i32,
    version: i64,
    /// `ok`, or the first damage.
    damage: String,
}

fn facts(connection: &Connection) -> rusqlite::Result<Facts> {
    Ok(Facts {
        empty: connection
            .query_one("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| row.get(0))?,
        application: connection.pragma_query_value(None, "application_id", |row| row.get(0))?,
        version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        damage: connection.query_one("PRAGMA quick_check(1)", (), |row| row.get(0))?,
    })
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut is a crash too; a commit costs some 0.2 ms for it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    schema::migrate(&mut connection)?;
    forget_old(&connection, Millis::now())?;
    Ok(connection)
}

/// Deletes the messages accepted more than 30 days before `now` that are done, and the data of channels that were gone by
/// then; returns how many messages.
pub fn forget_old(connection: &Connection, now: Millis) -> rusqlite::Result<usize> {
    let limit = Millis(now.0 - KEPT.0);
    for table in ["sessions", "choices", "places"] {
        let sql =
            format!("DELETE FROM {table} WHERE channel IN (SELECT channel FROM places WHERE gone < ?1)");
        connection.execute(&sql, [limit])?;
    }
    connection.execute(
        "DELETE FROM messages WHERE accepted < ?1
         AND id NOT IN (SELECT message FROM turns WHERE state IN ('waiting', 'running'))
         AND id NOT IN (SELECT message FROM deliveries WHERE state = 'open')",
        [limit],
    )
}

pub(super) fn from_sqlite(path: &Path, error: rusqlite::Error) -> OpenError {
    let file = path.display().to_string();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Corrupt { file, detail },
        _ => OpenError::Unusable { file, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn error(path: &Path) -> OpenError {
        match Database::open(path) {
            Ok(_) => panic!("{} was opened", path.display()),
            Err(e) => e,
        }
    }

    /// Every file of the folder but the lock.
    fn files(dir: &Path) -> BTreeMap<OsString, Vec<u8>> {
        let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
        let entries = entries.filter(|entry| !entry.path().to_string_lossy().ends_with(".lock"));
        entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
    }

    /// A database with some rows, closed.
    fn filled(path: &Path) {
        let database = Database::open(path).unwrap();
        for id in 1..500 {
            let values = (id, 1, 2, "x".repeat(100), i64::MAX);
            database.connection.execute("INSERT INTO messages (id, channel, author, author_name, accepted) VALUES (?1, ?2, ?3, ?4, ?5)", values).unwrap();
        }
    }

    #[test]
    fn the_connection_is_set_up_as_promised_also_under_an_odd_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("50% of #1? 月 'x'");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("a b.db");
        for _ in 0..2 {
            let database = Database::open(&path).unwrap();
            let text = |name| -> String {
                let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
                format!("{:?}", database.connection.pragma_query_value(None, name, value).unwrap())
            };
            assert_eq!(text("journal_mode"), r#"Text("wal")"#);
            assert_eq!(text("synchronous"), "Integer(2)");
            assert_eq!(text("foreign_keys"), "Integer(1)");
        }
        assert_eq!(files(&folder).keys().collect::<Vec<_>>(), ["a b.db"]);
    }

    #[test]
    fn nobody_else_can_read_a_new_database_or_one_that_was_open_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("moonlane.db");
        for suffix in ["", "-wal", ".lock", ".agents"] {
            if !suffix.is_empty() {
                std::fs::write(beside(&path, suffix), "").unwrap();
                std::fs::set_permissions(beside(&path, suffix), Permissions::from_mode(0o664)).unwrap();
            }
        }
        let modes = || -> Vec<(OsString, u32)> {
            let entries = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
            let mode = |entry: &std::fs::DirEntry| entry.metadata().unwrap().permissions().mode() & 0o777;
            entries.map(|entry| (entry.file_name(), mode(&entry))).collect()
        };
        for _ in 0..2 {
            let database = Database::open(&path).unwrap();
            let modes = modes();
            assert!(modes.len() >= 4 && modes.iter().all(|(_, mode)| *mode == PRIVATE), "{modes:?}");
            drop(database);
            std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        }
    }

    #[test]
    fn a_second_one_is_told_who_has_it_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("moonlane.db");
        let link = dir.path().join("link.db");
        let first = Database::open(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [&path, &link] {
            let error = error(path);
            let mine = Holder::Process(std::process::id());
            assert!(matches!(&error, OpenError::Held { holder, .. } if *holder == mine), "{error}");
            assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())));
        }
        // As a child has it that is being started.
        let copy = first.lock.0.try_clone().unwrap();
        drop(first);
        Database::open(&path).unwrap();
        drop(copy);
    }

    #[test]
    fn what_a_killed_process_was_starting_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("moonlane.db");
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        std::fs::write(beside(&path, ".lock"), format!("{}\n", gone.id())).unwrap();
        let inherited = File::open(beside(&path, ".lock")).unwrap();
        inherited.lock().unwrap();
        let (tried, seen) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| tried.send(Database::open(&path).map(drop)).unwrap());
            let early = seen.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "{early:?}");
            drop(inherited);
            seen.recv().unwrap().unwrap();
        });
    }

    #[test]
    fn a_file_that_is_damaged_newer_or_foreign_is_refused_and_left_untouched() {
        type Spoil = fn(&Path);
        let cases: [(&str, Spoil); 7] = [
            ("damaged", |path| std::fs::write(path, [0x5a; 5000]).unwrap()),
            ("damaged", |path| std::fs::write(path, "not a database").unwrap()),
            ("damaged", |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() / 2 + 100]).unwrap();
            }),
            ("damaged", |path| {
                let mut bytes = std::fs::read(path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle..middle + 8192].fill(0xa5);
                std::fs::write(path, bytes).unwrap();
            }),
            ("damaged", |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..4096]).unwrap();
            }),
            ("newer moonlane (its version is 77", |path| {
                Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 77").unwrap();
            }),
            ("another program", |path| {
                Connection::open(path).unwrap().execute_batch("PRAGMA application_id = 5").unwrap();
            }),
        ];
        for (number, (words, spoil)) in cases.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("moonlane.db");
            filled(&path);
            spoil(&path);
            let before = files(dir.path());
            let error = error(&path).to_string();
            assert!(error.contains(words), "case {number}: {error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(files(dir.path()), before, "case {number}");
        }
    }

    #[test]
    fn what_only_the_log_of_a_killed_process_says_counts_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("moonlane.db");
        let newer = Database::open(&path).unwrap();
        newer.connection.execute_batch("PRAGMA user_version = 77").unwrap();
        let killed = dir.path().join("killed");
        std::fs::create_dir(&killed).unwrap();
        for suffix in ["", "-wal"] {
            std::fs::copy(beside(&path, suffix), beside(&killed.join("moonlane.db"), suffix)).unwrap();
        }
        let before = files(&killed);
        assert!(matches!(error(&killed.join("moonlane.db")), OpenError::Newer { found: 77, .. }));
        let mut after = files(&killed);
        after.remove(&OsString::from("moonlane.db-shm"));
        assert_eq!(after, before);
    }

    #[test]
    fn a_start_that_was_killed_early_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("moonlane.db");
        std::fs::write(&path, "").unwrap();
        Database::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
        Database::open(&path).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_there_is_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let read_only = dir.path().join("read-only");
        std::fs::create_dir(&read_only).unwrap();
        std::fs::set_permissions(&read_only, std::fs::Permissions::from_mode(0o555)).unwrap();
        // Root may write even there.
        let root = File::create(read_only.join("probe")).is_ok();
        let mut paths = vec![dir.path().join("missing/x.db"), PathBuf::from("/proc/x.db"), read_only.clone()];
        if !root {
            paths.push(read_only.join("x.db"));
        }
        for path in paths {
            let error = error(&path);
            assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
            assert!(error.to_string().contains("cannot be opened: "), "{error}");
        }
    }

    #[test]
    fn only_what_is_old_and_over_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let connection = prepare(&dir.path().join("moonlane.db")).unwrap();
        connection
            .execute_batch(
                "INSERT INTO messages (id, channel, author, author_name, accepted) VALUES
                     (1,1,1,'',5), (2,1,1,'',5), (3,1,1,'',5), (4,1,1,'',5), (5,1,1,'',50);
                 INSERT INTO turns (message, project, prompt, fresh, attachments, state) VALUES
                     (1,'p','',0,'[]','answered'), (2,'p','',0,'[]','waiting'),
                     (3,'p','',0,'[]','running'), (5,'p','',0,'[]','answered');
                 INSERT INTO usage (message, ended) VALUES (1, 6), (5, 51);
                 INSERT INTO deliveries VALUES (1,'done',NULL,5), (4,'open',NULL,5);
                 INSERT INTO parts VALUES (1,1,'x',7,NULL,0,NULL), (4,1,'x',NULL,NULL,0,NULL);",
            )
            .unwrap();
        assert_eq!(forget_old(&connection, Millis(KEPT.0 + 10)).unwrap(), 1);
        let count = |sql: &str| connection.query_one(sql, (), |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM messages WHERE id > 1"), 4);
        assert_eq!(count("SELECT count(*) FROM turns"), 3);
        assert_eq!(count("SELECT count(*) FROM parts"), 1);
        assert_eq!(count("SELECT count(*) FROM usage"), 1);
    }
}
