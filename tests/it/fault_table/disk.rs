//! A bot's database that can be brought into trouble.
//!
//! The faults are real ones of a real SQLite file: a file system that is full, a file that may not grow, damaged pages, a
//! lock that somebody else holds, a file system that cannot be written, a file that a later version has written.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::Command;

use super::until_done;
use crate::evidence::{Question, rows};
use crate::separate::{Process, clean};
use crate::support::{MOONLANE, Stage};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Full,
    MayNotGrow,
    Damaged,
    Locked,
    ReadOnly,
    Newer,
}

/// The folder of the database: a file system of its own where it is to become full.
pub struct Disk {
    pub folder: PathBuf,
    mounted: bool,
}

impl Disk {
    /// `None` where that is not possible.
    pub fn new(root: &Path, kind: Kind) -> Option<Self> {
        let folder = root.join("disk");
        std::fs::create_dir(&folder).unwrap();
        let mounted = matches!(kind, Kind::Full | Kind::ReadOnly);
        if mounted {
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&folder);
            mount.output().ok().filter(|output| output.status.success())?;
        }
        Some(Self { folder, mounted })
    }

    pub fn database(&self) -> PathBuf {
        self.folder.join("moonlane.db")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.folder).status();
        }
    }
}

/// A fault that is there until it is lifted.
pub enum Present {
    Ballast(PathBuf),
    Limit(Pid),
    Damage { file: PathBuf, was: Vec<(u64, Vec<u8>)> },
    Lock(Connection),
    ReadOnly(PathBuf),
    Newer(PathBuf, i32),
}

impl Present {
    pub fn bring(kind: Kind, disk: &Disk, bot: Option<&Process>) -> Self {
        match kind {
            Kind::Full => {
                let ballast = disk.folder.join("ballast");
                // As much as there is room for, to the last page.
                let mut file = std::fs::File::create(&ballast).unwrap();
                while std::io::Write::write(&mut file, &[1; 4096]).is_ok() {}
                Self::Ballast(ballast)
            }
            Kind::MayNotGrow => {
                let pid = bot.expect("a bot that runs").pid();
                let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
                limit(pid, Some(0));
                Self::Limit(pid)
            }
            Kind::Damaged => {
                let database = Connection::open(disk.database()).unwrap();
                // From here on all of it is in the file itself.
                database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
                let sql = "SELECT rootpage FROM sqlite_schema WHERE name IN ('messages', 'parts')";
                let mut statement = database.prepare(sql).unwrap();
                let pages = statement.query_map((), |row| row.get::<_, u32>(0)).unwrap();
                let file = disk.database();
                let damage = |page: u32| {
                    let at = u64::from(page - 1) * 4096;
                    (at, exchange(&file, at, &[0xa5; 4096]))
                };
                let was = pages.map(|page| damage(page.unwrap())).collect();
                // What others keep of it in memory does not count any more.
                nudge(&database);
                Self::Damage { file, was }
            }
            Kind::Locked => {
                let database = Connection::open(disk.database()).unwrap();
                database.execute_batch("BEGIN IMMEDIATE").unwrap();
                Self::Lock(database)
            }
            Kind::ReadOnly => {
                remount(&disk.folder, "ro");
                Self::ReadOnly(disk.folder.clone())
            }
            Kind::Newer => {
                let database = Connection::open(disk.database()).unwrap();
                let version = database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
                database.pragma_update(None, "user_version", 99).unwrap();
                Self::Newer(disk.database(), version)
            }
        }
    }

    pub fn lift(self) {
        match self {
            Self::Ballast(file) => std::fs::remove_file(file).unwrap(),
            Self::Limit(pid) => limit(pid, None),
            Self::Damage { file, was } => {
                was.into_iter().for_each(|(at, bytes)| drop(exchange(&file, at, &bytes)));
                nudge(&Connection::open(&file).unwrap());
            }
            Self::Lock(database) => database.execute_batch("ROLLBACK").unwrap(),
            Self::ReadOnly(folder) => remount(&folder, "rw"),
            Self::Newer(file, version) => {
                Connection::open(file).unwrap().pragma_update(None, "user_version", version).unwrap();
            }
        }
    }
}

fn limit(process: Pid, size: Option<u64>) {
    prlimit(Some(process), Resource::Fsize, Rlimit { current: size, maximum: None }).unwrap();
}

/// Writes these bytes into the file; what was there before.
fn exchange(file: &Path, at: u64, bytes: &[u8]) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let mut was = vec![0; bytes.len()];
    file.read_exact_at(&mut was, at).unwrap();
    file.write_all_at(bytes, at).unwrap();
    was
}

/// Changes the file, and nothing in it, so that nobody trusts what they remember of it.
fn nudge(database: &Connection) {
    database.execute_batch("CREATE TABLE changed (x); DROP TABLE changed").unwrap();
}

/// It is busy for as long as the guards of a killed bot still hold their lock; nothing tells when they have let go.
fn remount(folder: &Path, how: &str) {
    let begun = std::time::Instant::now();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-o", &format!("remount,{how}")]).arg(folder);
    while !mount.status().unwrap().success() {
        assert!(begun.elapsed() < crate::support::PATIENCE, "the disk stays busy");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// `moonlane run` on this stage, with its database on this disk.
pub fn bot_on_disk(stage: &Stage, disk: &Disk) -> Command {
    let mut command = clean("sh", stage.root());
    // A file that may not grow costs a program its life, unless it says otherwise.
    command.args(["-c", "trap '' 25; exec \"$@\"", "sh", MOONLANE, "run", "--root"]).arg(stage.root());
    command.env("DISCORD_TOKEN", stage.discord.token()).env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    // The writes are to meet the full disk; by itself the bot would take nothing in long before.
    command.env("MOONLANE_STORE__PATH", disk.database()).env("MOONLANE_STORE__MIN_FREE", "0B");
    command
}

/// The owner asks.
pub fn ask(stage: &Stage, channel: &str, prompt: &str, asked: &mut Vec<Question>) {
    let message = stage.say(channel, prompt).get();
    asked.push(Question { message, texts: vec![(SystemTime::now(), prompt.to_owned())], deleted: None });
}

/// Waits until everything that was accepted is finished, and what was not is refused; or until nothing moves any more.
pub async fn all_done(stage: &Stage, disk: &Disk, asked: &[Question]) {
    until_done(&stage.discord, || {
        let rows = rows(&disk.folder);
        let is_done = |question: &Question| match rows.get(&question.message) {
            Some(row) => !row.is_open(),
            None => !stage.parts(question.message.into()).is_empty(),
        };
        asked.iter().all(is_done)
    })
    .await;
}
