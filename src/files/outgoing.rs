//! Files that Claude hands over: looked at, and copied, before anything else happens to them.
//!
//! What is copied is what was looked at: a file is opened once, and everything is asked of the open file, its real place
//! included. So nobody gets another file out of the project by swapping a link meanwhile, and what a program goes on writing
//! is not half sent.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::name;
use crate::domain::denying;
use crate::redact::Redactor;

/// What all files of one call may have together, in bytes; they are held in memory while they are posted.
const MOST_TOGETHER: u64 = 100 << 20;
/// Where a private key begins, and how much of a file is searched for that.
const KEY: (&str, &str) = ("-----BEGIN ", "PRIVATE KEY");

/// What is to be handed over, and from where.
#[derive(Debug, Clone)]
pub struct HandOver {
    /// As the model wrote them.
    pub paths: Vec<String>,
    /// Where relative paths start.
    pub dir: PathBuf,
    /// Where the files must be.
    pub within: Vec<PathBuf>,
    /// See [`crate::domain::DENIED_FILES`].
    pub denied: Vec<String>,
    /// The most bytes of each.
    pub most: u64,
    /// The folder for the copies; it need not exist.
    pub into: PathBuf,
}

/// A copy, under a harmless name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingFile {
    pub name: String,
    pub path: PathBuf,
}

/// Why a file is not handed over, as the model is told.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedOver {
    #[error("there is no such file")]
    Missing,
    #[error("it is not a path")]
    NoPath,
    #[error("it is outside the project")]
    Outside,
    #[error("it is a folder; name the files in it")]
    Folder,
    #[error("it is not a regular file")]
    Special,
    #[error("`deny_files` of the project forbids {0:?}")]
    Denied(String),
    #[error("it holds a private key")]
    Key,
    #[error("it holds a password or a token")]
    Secret,
    #[error("it is empty")]
    Empty,
    #[error("it has more than {} MB, which Discord does not take here", .0 >> 20)]
    TooLarge(u64),
    #[error("together with the files before it, it has more than {} MB", MOST_TOGETHER >> 20)]
    TooMuch,
    #[error("it is being written to; try again once it is complete")]
    Changes,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the bot cannot copy it: {0}")]
    NotCopied(io::Error),
}

impl HandOver {
    /// Copies all of them, or none. Blocks.
    ///
    /// # Errors
    /// The first path that is not handed over, as the model wrote it, and why.
    pub fn copy(&self, redactor: &Redactor) -> Result<Vec<OutgoingFile>, (String, NotHandedOver)> {
        let (mut copies, mut taken, mut sum) = (Vec::new(), BTreeSet::new(), 0);
        for path in &self.paths {
            match self.copy_one(path, &mut taken, &mut sum, redactor) {
                Ok(copy) => copies.push(copy),
                Err(why) => {
                    let _ = std::fs::remove_dir_all(&self.into);
                    return Err((path.clone(), why));
                }
            }
        }
        Ok(copies)
    }

    fn copy_one(
        &self,
        path: &str,
        taken: &mut BTreeSet<String>,
        sum: &mut u64,
        redactor: &Redactor,
    ) -> Result<OutgoingFile, NotHandedOver> {
        let (mut file, real) = self.open(path)?;
        let size = file.metadata().map_err(NotHandedOver::Unreadable)?.len();
        match size {
            0 => return Err(NotHandedOver::Empty),
            size if size > self.most => return Err(NotHandedOver::TooLarge(self.most)),
            size => *sum += size,
        }
        if *sum > MOST_TOGETHER {
            return Err(NotHandedOver::TooMuch);
        }
        let mut bytes = Vec::new();
        file.rewind().map_err(NotHandedOver::Unreadable)?;
        Read::by_ref(&mut file).take(size + 1).read_to_end(&mut bytes).map_err(NotHandedOver::Unreadable)?;
        if bytes.len() as u64 != size {
            return Err(NotHandedOver::Changes);
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.split(KEY.0).skip(1).any(|rest| rest.lines().next().is_some_and(|line| line.contains(KEY.1)))
        {
            return Err(NotHandedOver::Key);
        }
        if redactor.redact(&text) != text {
            return Err(NotHandedOver::Secret);
        }
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        let name = name::unlike(taken, &redactor.redact(&name));
        let path = self.into.join(&name);
        let write = || {
            super::create(&self.into)?;
            OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(&bytes)
        };
        write().map_err(NotHandedOver::NotCopied)?;
        Ok(OutgoingFile { name, path })
    }

    /// The open file and its real place.
    fn open(&self, path: &str) -> Result<(File, PathBuf), NotHandedOver> {
        if path.trim().is_empty() || path.contains('\0') {
            return Err(NotHandedOver::NoPath);
        }
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NotHandedOver::Missing,
            _ => NotHandedOver::Unreadable(error),
        };
        // Looked at before it is opened: to open a device may do something.
        let real = std::fs::canonicalize(self.dir.join(path)).map_err(missing)?;
        self.check_place(&real)?;
        check_kind(&std::fs::symlink_metadata(&real).map_err(missing)?)?;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&real);
        let file = file.map_err(missing)?;
        check_kind(&file.metadata().map_err(NotHandedOver::Unreadable)?)?;
        let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .map_err(NotHandedOver::Unreadable)?;
        self.check_place(&real)?;
        Ok((file, real))
    }

    /// Whether the place is one from which files are handed over.
    fn check_place(&self, real: &Path) -> Result<(), NotHandedOver> {
        let roots = self.within.iter().filter_map(|root| std::fs::canonicalize(root).ok());
        let relative = roots.filter_map(|root| real.strip_prefix(&root).ok().map(Path::to_owned));
        // Of several roots, one in the other, the outer one shows more of the way.
        let Some(relative) = relative.max_by_key(|path| path.components().count()) else {
            return Err(NotHandedOver::Outside);
        };
        let denied = relative.iter().find_map(|name| denying(&self.denied, name));
        match denied {
            Some(pattern) => Err(NotHandedOver::Denied(pattern.to_owned())),
            None => Ok(()),
        }
    }
}

fn check_kind(found: &std::fs::Metadata) -> Result<(), NotHandedOver> {
    match () {
        () if found.is_file() => Ok(()),
        () if found.is_dir() => Err(NotHandedOver::Folder),
        () => Err(NotHandedOver::Special),
    }
}
