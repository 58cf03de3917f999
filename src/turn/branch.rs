//! The branch that is checked out where a project works, read without git.
//!
//! Git keeps it in the file `HEAD` of its folder: `ref: refs/heads/NAME`, or the commit itself where no branch is checked
//! out. That folder is `.git` beside the files or above them, or, in a worktree and a submodule, the one that the file
//! `.git` names. See <https://git-scm.com/docs/gitrepository-layout>.
//!
//! Whoever works in the project decides what stands there, so nothing is shown that is not in that form, nothing is read but
//! plain files, and no more of them than such a line may take.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

/// How much of a file is read, in bytes: the longest path, and what stands before it.
const MOST: u64 = 4096 + 16;
/// How many characters of a commit's id are shown.
const COMMIT: usize = 7;
/// How long the answer waits for it: the project may be on a disk that is far away.
const PATIENCE: Duration = Duration::from_millis(500);

/// The branch in this directory, or the beginning of the commit's id; `None` where that is not in git, or cannot be read in
/// time.
pub async fn branch(dir: PathBuf) -> Option<String> {
    let read = tokio::task::spawn_blocking(move || read(&dir));
    timeout(PATIENCE, read).await.ok()?.ok()?
}

fn read(dir: &Path) -> Option<String> {
    let git = dir.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())?;
    let folder = match git.is_dir() {
        true => git,
        // Relative to where it stands.
        false => git.parent()?.join(line(&git)?.strip_prefix("gitdir: ")?),
    };
    let head = line(&folder.join("HEAD"))?;
    if let Some(name) = head.strip_prefix("ref: refs/heads/") {
        return Some(name.to_owned()).filter(|name| !name.is_empty());
    }
    let is_commit = matches!(head.len(), 40 | 64) && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| head[..COMMIT].to_owned())
}

/// The one line of a plain file.
fn line(file: &Path) -> Option<String> {
    // Opening a pipe must not wait for somebody to write into it.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(file).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    (!line.contains('\n')).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn git(dir: &Path, arguments: &[&str]) {
        let made = std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    #[test]
    fn it_is_what_git_has_checked_out_in_a_repository_and_its_worktrees() {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("a");
        fs::create_dir_all(repository.join("src/deep")).unwrap();
        assert_eq!(read(&repository), None);
        git(&repository, &["init", "-q"]);
        assert_eq!(read(&repository).as_deref(), Some("main"), "before the first commit");
        git(&repository, &["commit", "-q", "--allow-empty", "-m", "x"]);
        git(&repository, &["checkout", "-q", "-b", "feature/月-1"]);
        assert_eq!(read(&repository.join("src/deep")).as_deref(), Some("feature/月-1"));
        git(&repository, &["worktree", "add", "-q", "-b", "other", "../b"]);
        assert_eq!(read(&folder.path().join("b")).as_deref(), Some("other"));
        git(&repository, &["checkout", "-q", "--detach"]);
        let commit = read(&repository).unwrap();
        assert!(commit.len() == 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{commit}");
    }

    #[test]
    fn nothing_else_is_shown_or_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (git, head) = (folder.path().join(".git"), folder.path().join(".git/HEAD"));
        fs::create_dir(&git).unwrap();
        assert_eq!(read(folder.path()), None, "no HEAD");
        let long = format!("ref: refs/heads/{}", "x".repeat(5000));
        for odd in
            ["", "\n", "ref: refs/heads/\n", "a secret\n", "ref: refs/tags/x\n", "ref: refs/heads/a\nb\n"]
        {
            fs::write(&head, odd).unwrap();
            assert_eq!(read(folder.path()), None, "{odd:?}");
        }
        fs::write(&head, long).unwrap();
        assert!(read(folder.path()).is_some_and(|name| name.len() < 5000));
        fs::write(&head, b"ref: refs/heads/\xff\n").unwrap();
        assert_eq!(read(folder.path()), None);
        fs::remove_file(&head).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&head).status().unwrap().success());
        assert_eq!(read(folder.path()), None);
        fs::remove_dir_all(&git).unwrap();
        for odd in ["gitdir: /dev\n", "gitdir: \n", "somewhere\n"] {
            fs::write(&git, odd).unwrap();
            assert_eq!(read(folder.path()), None, "{odd:?}");
        }
    }
}
