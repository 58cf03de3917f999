//! The files of people's messages, kept for the agents that are asked about them.
//!
//! They are in `files/CHANNEL/MESSAGE/` beside the database, readable by the bot's user alone, under names that cannot lead out
//! of their folder ([`name`]). An agent is given the folder of its own channel. What a file is, is read from its bytes and
//! not from its name ([`kind`]). They go after a while, and sooner where they take too much room, the oldest first.

mod kind;
mod name;
mod outgoing;

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tracing::{debug, info, warn};

use crate::config::FilesConfig;
use crate::domain::{Attachment, ChannelId, MessageId, UnreadFile, UnreadReason};
use crate::outbox::{DownloadError, Outbox};

#[cfg(test)]
pub use kind::ImageType;
pub use kind::{Encoding, FileKind};
pub use outgoing::{HandOver, NotHandedOver, OutgoingFile};

/// Text files up to this size, in bytes, go into the prompt; Discord turns a paste of over 2,000 characters into one.
pub const INLINE_AT_MOST: usize = 64 * 1024;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Absolute.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    pub kind: FileKind,
}

/// The folder of all kept files. A cheap handle.
#[derive(Debug, Clone)]
pub struct Files {
    config: FilesConfig,
}

impl Files {
    /// Nothing is created before there is a file.
    pub fn new(config: FilesConfig) -> Self {
        Self { config }
    }

    /// The folder of a channel's files, created if it is not there.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn folder(&self, channel: ChannelId) -> io::Result<PathBuf> {
        let folder = self.config.dir.join(channel.to_string());
        create(&folder)?;
        Ok(folder)
    }

    /// The folder for the copies of what Claude hands over in this call of a turn; it need not exist. What is forgotten there goes like the
    /// files of messages.
    pub fn outgoing(&self, turn: MessageId, number: u32) -> PathBuf {
        self.config.dir.join("out").join(format!("{turn}-{number}"))
    }

    /// Writes texts into the folder of a call, under these names. Blocks.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write_outgoing(&self, turn: MessageId, number: u32, texts: &[(String, String)]) -> io::Result<()> {
        let folder = self.outgoing(turn, number);
        create(&folder)?;
        texts.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
    }

    /// Removes all copies of what was handed over but these: a bot that died between two steps has left them. Blocks.
    pub fn forget_outgoing(&self, but: &[(MessageId, u32)]) {
        let kept: Vec<PathBuf> = but.iter().map(|(turn, number)| self.outgoing(*turn, *number)).collect();
        for path in subfolders(&self.config.dir.join("out")).unwrap_or_default() {
            if !kept.contains(&path)
                && let Err(error) = std::fs::remove_dir_all(&path)
            {
                debug!(folder = %path.display(), %error, "not removed");
            }
        }
    }

    /// Fetches the files of a message and keeps them. Where a message is asked about once more, they are fetched anew. Each file
    /// that cannot be had is returned with the reason; the order stays.
    pub async fn keep(
        &self,
        outbox: &Outbox,
        channel: ChannelId,
        message: MessageId,
        attachments: &[Attachment],
    ) -> Vec<Result<KeptFile, UnreadFile>> {
        // Redacted before it is shortened: half a secret would not be recognized.
        let unread =
            |file: &Attachment, why| UnreadFile { name: outbox.redact(&file.name).into_owned(), why };
        let admitted = self.admit(attachments);
        let room = admitted.iter().zip(attachments).filter(|(admitted, _)| admitted.is_ok());
        let room: u64 = room.map(|(_, file)| file.size).sum();
        let files = self.clone();
        let made = spawn_blocking(move || files.make_folder(channel, message, room)).await;
        let folder = match made.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            Ok(folder) => folder,
            Err(error) => {
                warn!(%error, "the files of a message cannot be kept");
                return attachments.iter().map(|file| Err(unread(file, UnreadReason::NotKept))).collect();
            }
        };
        let mut taken = BTreeSet::new();
        let names: Vec<String> =
            attachments.iter().map(|file| name::unlike(&mut taken, &file.name)).collect();
        // Concurrently: the turn holds its lane while it waits for them.
        let kept = attachments.iter().zip(admitted).zip(names).map(|((file, admitted), name)| {
            let path = folder.join(name);
            async move {
                admitted.map_err(|why| unread(file, why))?;
                fetch(outbox, file, path).await.map_err(|why| unread(file, why))
            }
        });
        join_all(kept).await
    }

    /// Which may be fetched at all, by what Discord says of them.
    fn admit(&self, attachments: &[Attachment]) -> Vec<Result<(), UnreadReason>> {
        let (each, together) = (self.config.max_file.as_u64(), self.config.max_message.as_u64());
        let mut sum = 0_u64;
        let mut admit = |file: &Attachment| {
            if file.size > each {
                return Err(UnreadReason::TooLarge { bytes: each });
            }
            if sum.saturating_add(file.size) > together {
                return Err(UnreadReason::TooMuch { bytes: together });
            }
            sum += file.size;
            Ok(())
        };
        attachments.iter().map(&mut admit).collect()
    }

    /// An empty folder for the files of a message, with room for so many bytes.
    fn make_folder(&self, channel: ChannelId, message: MessageId, room: u64) -> io::Result<PathBuf> {
        let folder = self.config.dir.join(channel.to_string()).join(message.to_string());
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let most = self.config.max_total.as_u64();
        if room > most {
            return Err(io::Error::other(format!("{room} bytes are more than `files.max_total`")));
        }
        self.shrink_to(most - room)?;
        create(&folder)?;
        Ok(folder)
    }

    /// Removes what is older than it is to be kept. Blocks.
    pub fn sweep(&self) {
        let Some(before) = SystemTime::now().checked_sub(self.config.keep) else { return };
        for folder in self.folders().unwrap_or_default() {
            if folder.since < before {
                remove(&folder);
            }
        }
    }

    /// Removes the oldest until all together take no more than this, in bytes.
    fn shrink_to(&self, most: u64) -> io::Result<()> {
        let mut folders = self.folders()?;
        folders.sort_by_key(|folder| folder.since);
        let mut sum: u64 = folders.iter().map(|folder| folder.bytes).sum();
        for folder in folders {
            if sum <= most {
                break;
            }
            info!(folder = %folder.path.display(), "removed: the files of messages take more than `files.max_total`");
            remove(&folder);
            sum -= folder.bytes;
        }
        Ok(())
    }

    /// The folders of messages.
    fn folders(&self) -> io::Result<Vec<MessageFolder>> {
        let mut folders = Vec::new();
        for channel in subfolders(&self.config.dir)? {
            for path in subfolders(&channel)? {
                // It may go while it is looked at.
                if let Ok((since, bytes)) = measured(&path) {
                    folders.push(MessageFolder { path, since, bytes });
                }
            }
        }
        Ok(folders)
    }
}

/// The folder of the files of one message.
struct MessageFolder {
    path: PathBuf,
    /// When it last changed.
    since: SystemTime,
    bytes: u64,
}

/// The channel's folder stays: a sandbox has it mounted.
fn remove(folder: &MessageFolder) {
    if let Err(error) = std::fs::remove_dir_all(&folder.path) {
        debug!(folder = %folder.path.display(), %error, "not removed");
    }
}

fn create(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The folders in a folder; none where there is no such folder. Links are not followed.
fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// When a folder last changed, and how many bytes the files in it have. Agents may have put something there, too.
fn measured(folder: &Path) -> io::Result<(SystemTime, u64)> {
    let since = std::fs::symlink_metadata(folder)?.modified()?;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => measured(&entry.path())?.1,
            false => entry.metadata()?.len(),
        };
    }
    Ok((since, bytes))
}

/// Fetches one file. What is left of one that does not come is removed.
async fn fetch(outbox: &Outbox, file: &Attachment, path: PathBuf) -> Result<KeptFile, UnreadReason> {
    let fetched = outbox.download(&file.url, file.size, &path).await;
    if let Err(error) = fetched {
        warn!(name = %file.name, %error, "an attachment could not be fetched");
        let _ = tokio::fs::remove_file(&path).await;
        return Err(match error {
            DownloadError::Longer(_) => UnreadReason::NotAsAnnounced,
            DownloadError::Refused(_) => UnreadReason::Lost,
            DownloadError::NotDiscord | DownloadError::Failed(_) => UnreadReason::NotFetched,
            DownloadError::NotWritten(_) => UnreadReason::NotKept,
        });
    }
    let read = spawn_blocking(move || {
        let size = std::fs::metadata(&path)?.len();
        Ok(KeptFile { kind: kind::of(&path, size)?, path, size })
    });
    read.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked))).map_err(|error| {
        warn!(name = %file.name, %error, "an attachment cannot be read");
        UnreadReason::NotKept
    })
}

#[cfg(test)]
mod tests;
