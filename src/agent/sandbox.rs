//! `sandbox = "bwrap"`: what an agent sees of this machine, as arguments of bubblewrap.
//!
//! It reads what every user can read, and writes where it works: the project's directory, its `add_dirs`, and Claude's
//! own folder. The rest of the home directory is hidden (except git's settings and the programs on the PATH), and so
//! are moonlane's own files, other processes and the sockets in `/run`. Claude needs the network, so whatever listens
//! on it is reachable, this machine's own services included.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::domain::{Project, Source};
use crate::reach::Reach;

/// The program.
const BWRAP: &str = "bwrap";

/// The command to prepend to the agent's own. `hidden` are the bot's own files and folders; the folder `files` among them
/// is to be read all the same.
pub fn command(
    program: &OsStr,
    environment: &BTreeMap<OsString, OsString>,
    hidden: &[PathBuf],
    project: &Project,
    files: Option<&Path>,
) -> Vec<OsString> {
    let mut command = BwrapCommand(vec![BWRAP.into()]);
    // Bubblewrap fails at a path that its user may not look at. The agent cannot see what is there anyway.
    let is_seen = |path: &Path| match &project.run_as {
        Some(user) => Reach(&user.ids).sees(path),
        None => path.try_exists().is_ok(),
    };
    let variable = |name: &str| environment.get(OsStr::new(name)).map(PathBuf::from);
    let (home, temporary) = (variable("HOME"), variable("TMPDIR"));
    command.words(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session"]);
    command.words([
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/run",
    ]);
    // /etc/resolv.conf is often a link into it.
    command.same("--ro-bind-try", Path::new("/run/systemd/resolve"));
    for folder in home.iter().chain(hidden).chain(&temporary).filter(|path| path.is_dir() && is_seen(path)) {
        command.words(["--tmpfs"]).0.push(folder.into());
    }
    for file in hidden.iter().filter(|path| path.is_file() && is_seen(path)) {
        command.words(["--ro-bind", "/dev/null"]).0.push(file.into());
    }

    // What follows becomes visible again.
    for program in programs(program, environment).iter().filter(|path| is_seen(path)) {
        command.same("--ro-bind-try", program);
    }
    for file in home.iter().flat_map(|home| [".gitconfig", ".config/git"].map(|file| home.join(file))) {
        command.same("--ro-bind-try", &file);
    }
    let claude = match variable("CLAUDE_CONFIG_DIR") {
        Some(folder) => vec![folder],
        None => {
            home.iter().flat_map(|home| [".claude", ".claude.json"].map(|name| home.join(name))).collect()
        }
    };
    for place in &claude {
        command.same("--bind-try", place);
    }
    let sources = project.mcp_config.iter().chain(&project.settings);
    for source in sources {
        if let Source::File(file) = source {
            command.same("--ro-bind-try", file);
        }
    }
    for dir in project.dirs() {
        command.same("--bind", dir);
    }
    if let Some(files) = files {
        command.same("--ro-bind", files);
    }
    command.words(["--chdir"]).0.push((&project.dir).into());
    command.words(["--"]);
    command.0
}

struct BwrapCommand(Vec<OsString>);

impl BwrapCommand {
    fn words<const N: usize>(&mut self, words: [&str; N]) -> &mut Self {
        self.0.extend(words.map(OsString::from));
        self
    }

    /// Mounts a path at the same path.
    fn same(&mut self, how: &str, place: &Path) {
        self.0.extend([how.into(), place.into(), place.into()]);
    }
}

/// The folders of the PATH, and the program itself with what it was installed with.
fn programs(program: &OsStr, environment: &BTreeMap<OsString, OsString>) -> Vec<PathBuf> {
    let path = environment.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let named = match Path::new(program) {
        file if file.is_absolute() => Some(file.to_owned()),
        file => folders.iter().map(|folder| folder.join(file)).find(|file| file.is_file()),
    };
    let real = named.as_deref().and_then(|file| file.canonicalize().ok());
    let package = real.as_deref().and_then(|file| {
        file.ancestors().filter(|folder| folder.ends_with("node_modules")).last().map(Path::to_owned)
    });
    folders.into_iter().chain(package.or(real)).chain(named).collect()
}
