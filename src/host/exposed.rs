//! Where an agent could come upon the bot's token: processes and files that the bot's own user can read, although the
//! bot itself is closed to it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::config::Config;

/// A shorter token is a word that may stand anywhere.
const SHORTEST: usize = 12;
/// How much of a file's end is read.
const READ_AT_MOST: u64 = 16 << 20;

/// Files in the home directory that hold what was typed or set in a shell.
const IN_HOME: [&str; 13] = [
    ".bash_history",
    ".zsh_history",
    ".sh_history",
    ".ash_history",
    ".histfile",
    ".local/share/fish/fish_history",
    ".profile",
    ".bash_profile",
    ".bashrc",
    ".zshenv",
    ".zshrc",
    ".config/fish/config.fish",
    ".config/environment.d",
];

/// Every place where the token stands and agents can read it, with what to do: one sentence each. `projects` are the
/// directories that agents work in. It reads files; none of the sentences holds the token.
pub fn exposed_token(token: &str, config: &Config, projects: &[PathBuf]) -> Vec<String> {
    if token.len() < SHORTEST {
        return Vec::new();
    }
    let processes = ancestors().into_iter().filter_map(|pid| in_process(token, pid));
    let files = files(config, projects).into_iter().filter(|file| holds(file, token)).map(|file| {
        format!(
            "{} holds the bot's token, and agents can read it: delete it there, make a new token in the Developer \
             Portal, and keep that in a file that only root reads (systemd's `EnvironmentFile=`)",
            file.display()
        )
    });
    processes.chain(files).collect()
}

fn in_process(token: &str, pid: i32) -> Option<String> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let what = match () {
        () if contains(&read("environ"), token) => "environment",
        () if contains(&read("cmdline"), token) => "command line",
        () => return None,
    };
    let name = String::from_utf8_lossy(&read("comm")).trim().to_owned();
    Some(format!(
        "the {what} of process {pid} ({name}), from which the bot was started, holds the bot's token, and agents can read \
         it: start the bot as a service that gets the token from a file that only root reads (systemd's \
         `EnvironmentFile=`), or let that process end"
    ))
}

/// The process's parent, its parent, and so on.
fn ancestors() -> Vec<i32> {
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|&parent| parent > 0)
    };
    let first = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    // Parents may change during the walk, so it is bounded.
    std::iter::successors(first, |&pid| parent(pid)).take(100).collect()
}

/// What may hold it, beside the projects and in the home directory. The token file is another warning's.
fn files(config: &Config, projects: &[PathBuf]) -> Vec<PathBuf> {
    let home = std::env::home_dir();
    let beside = projects.iter().flat_map(|dir| [Some(dir.as_path()), dir.parent()]).flatten();
    let folders =
        [config.root.as_path(), &config.scripts.dir].into_iter().chain(beside).chain(home.as_deref());
    let is_env = |name: &str| name.starts_with(".env");
    let mut files: Vec<PathBuf> = folders.flat_map(|folder| named(folder, is_env)).collect();
    files.extend(named(&config.root.join("config"), |_| true));
    files.extend(named(&config.scripts.dir, |name| name.ends_with(".lua")));
    files.extend(home.iter().flat_map(|home| IN_HOME.map(|file| home.join(file))));
    files.sort();
    files.dedup();
    files.retain(|file| Some(file) != config.discord.token_file.as_ref() && file.is_file());
    files
}

fn named(folder: &Path, is_it: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_it)).map(|entry| entry.path()).collect()
}

fn holds(file: &Path, token: &str) -> bool {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let begin = file.metadata()?.len().saturating_sub(READ_AT_MOST);
        file.seek(SeekFrom::Start(begin))?;
        let mut end = Vec::new();
        file.take(READ_AT_MOST).read_to_end(&mut end)?;
        Ok(end)
    };
    read().is_ok_and(|bytes| contains(&bytes, token))
}

fn contains(bytes: &[u8], token: &str) -> bool {
    memchr::memmem::find(bytes, token.as_bytes()).is_some()
}
