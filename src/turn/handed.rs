//! Files that Claude hands over in a turn, posted in its channel.
//!
//! # Theory of operation
//! What a call names is copied first, so that it is posted as it was then, and written down before it is posted, so that a bot that
//! dies in between posts it after its next start; it looks in the channel first, for Discord forgets nonces. A bot that dies
//! before it is written down has accepted nothing: the turn is told to be interrupted. The agent waits for what becomes of the
//! call, but not for a Discord that takes nothing: then the files follow by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, debug, error, info, warn};

use super::delivery::since;
use super::task::Task;
use super::written::until_written;
use super::{Turns, own_message};
use crate::agent::{Further, Progress, SendFiles};
use crate::domain::{Format, MessageId, Project};
use crate::files::{HandOver, OutgoingFile};
use crate::logging::chain;
use crate::outbox::{MOST_BYTES, Posted, Refused};
use crate::store::{HandedFiles, Millis, StoreError};
use crate::text::{self, LongBlock};

/// How long the agent waits for Discord. The CLI itself gives a call 60 s.
const WAITS: Duration = Duration::from_secs(40);
/// The wait before files are posted again that Discord has not taken; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// How many calls one turn may make.
const MOST_CALLS: u32 = 30;
/// How many code blocks of an answer become files: as many as a message has.
const MOST_BLOCKS: usize = 10;
/// How long an answer waits for the files with its code.
const CODE_WAITS: Duration = Duration::from_secs(20);
/// How much of a path the model is told again, in characters.
const LONGEST_PATH: usize = 200;

/// What the model is told where Discord takes nothing now.
const SENT_LATER: &str = "Discord takes nothing at the moment. The bot posts the files as soon as it does; do not send them again.";
/// What it is told where something of the bot's own has failed.
const BROKEN: &str = "The bot could not store the files, so nothing was posted.";

fn sent(names: &[String]) -> String {
    format!("Posted in the channel: {}.", names.join(", "))
}

/// One of them is not handed over, and so none of the call.
fn not_sent(path: &str, why: &str) -> String {
    let path: String = path.chars().take(LONGEST_PATH).collect();
    format!("Nothing was posted. {path}: {why}.")
}

fn refusal(refused: &Refused) -> String {
    /// Discord's code for a request that is too large.
    const TOO_LARGE: u32 = 40_005;
    match refused {
        Refused::Forbidden { .. } => {
            "Nothing was posted: the bot may not attach files in this channel. Tell the person so.".to_owned()
        }
        refused if refused.code() == Some(TOO_LARGE) => {
            "Nothing was posted: Discord does not take files as large as these.".to_owned()
        }
        Refused::NotFound { .. } => "Nothing was posted: the channel is gone.".to_owned(),
        refused => format!("Nothing was posted: Discord refused it ({refused})."),
    }
}

/// Posts what Claude hands over in one turn.
pub struct FileSender(Arc<FileSenderInner>);

struct FileSenderInner {
    turns: Turns,
    task: Task,
    project: Arc<Project>,
    further: mpsc::UnboundedSender<Further>,
    /// How many calls there were.
    calls: AtomicU32,
}

impl FileSender {
    pub fn new(
        turns: &Turns,
        task: Task,
        project: &Arc<Project>,
        further: mpsc::UnboundedSender<Further>,
    ) -> Self {
        let (turns, project, calls) = (turns.clone(), Arc::clone(project), AtomicU32::new(0));
        Self(Arc::new(FileSenderInner { turns, task, project, further, calls }))
    }

    /// Something happened in the turn.
    pub fn hear(&self, step: &Progress) {
        let Progress::SendsFiles(files) = step else { return };
        let (inner, files) = (Arc::clone(&self.0), files.clone());
        let number = inner.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let send = async move {
            let told = inner.send(&files, number).await;
            // Where the turn is over, nobody needs it.
            drop(inner.further.send(Further::Called { call: files.id, told }));
        };
        self.0.turns.0.tasks.spawn(send.in_current_span());
    }
}

impl FileSender {
    /// Posts the long code blocks of an answer as files in one message before it, where the project wants that. The answer with a line in
    /// place of each block that is there now; where Discord does not take them soon, it stays as it is.
    pub async fn take_code_out(&self, answer: String) -> String {
        let FileSenderInner { turns, project, .. } = &*self.0;
        let Some(over) = project.file_over else { return answer };
        // Without secrets: a cut through one would make it unknown.
        let redacted = turns.outbox.redact(&answer).into_owned();
        let mut blocks = text::long_blocks(&redacted, over.get());
        blocks.retain(|block| block.code.len() as u64 <= MOST_BYTES);
        blocks.truncate(MOST_BLOCKS);
        if blocks.is_empty() {
            return answer;
        }
        let names: Vec<String> =
            (1..).zip(&blocks).map(|(number, block)| block_name(number, block)).collect();
        let codes = blocks.iter().map(|block| redacted[block.code.clone()].to_owned());
        if !self.0.post_texts(names.iter().cloned().zip(codes).collect()).await {
            return answer;
        }
        let (mut left, mut at) = (String::new(), 0);
        for (name, block) in names.iter().zip(&blocks) {
            left.push_str(&redacted[at..block.range.start]);
            left.push_str(&crate::words::code_in_file(name, block.lines));
            at = block.range.end;
        }
        left + &redacted[at..]
    }
}

fn block_name(number: usize, LongBlock { ending, .. }: &LongBlock) -> String {
    match number {
        1 => format!("code.{ending}"),
        _ => format!("code-{number}.{ending}"),
    }
}

impl FileSenderInner {
    /// Whether these files are posted by now.
    async fn post_texts(&self, texts: Vec<(String, String)>) -> bool {
        let (turns, turn) = (&self.turns, self.task.message);
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let row = HandedFiles {
            turn,
            number,
            channel: self.task.said_in(),
            caption: String::new(),
            names: texts.iter().map(|(name, _)| name.clone()).collect(),
            written: Millis::now(),
        };
        let files = turns.files.clone();
        let written = spawn_blocking(move || files.write_outgoing(turn, number, &texts)).await;
        let is_written = matches!(written, Ok(Ok(()))) && turns.store.hand_over(row.clone()).await.is_ok();
        if !is_written {
            warn!("the code of an answer cannot be written into files; it is posted as it is");
            return false;
        }
        match timeout(CODE_WAITS, post_until_taken(turns, &row, false)).await {
            Ok(posted) => posted.is_ok(),
            Err(_) => {
                // The answer has the code, so nobody misses them.
                let write = || turns.store.handed_over(turn, number, None);
                let _ = until_written(turns, &turns.0.ending, write).await;
                false
            }
        }
    }

    /// What the model is told of it.
    async fn send(&self, files: &SendFiles, number: u32) -> Result<String, String> {
        let turns = &self.turns;
        if number > MOST_CALLS {
            return Err(format!("Nothing was posted: {MOST_CALLS} calls are as many as one turn may make."));
        }
        let channel = self.task.said_in();
        let largest = timeout(WAITS / 4, turns.outbox.largest_file(channel)).await;
        let most = largest.ok().and_then(Result::ok).unwrap_or(MOST_BYTES);
        let mut within: Vec<_> = self.project.dirs().cloned().collect();
        within.extend(turns.files.folder(self.task.channel));
        let hand_over = HandOver {
            paths: files.paths.clone(),
            dir: self.project.dir.clone(),
            within,
            denied: self.project.deny_files.clone(),
            most,
            into: turns.files.outgoing(self.task.message, number),
        };
        let redactor = turns.outbox.redactor();
        let copied = spawn_blocking(move || hand_over.copy(&redactor)).await;
        let copies = match copied {
            Ok(Ok(copies)) => copies,
            Ok(Err((path, why))) => {
                info!(path, %why, "a file is not handed over");
                return Err(not_sent(&path, &why.to_string()));
            }
            Err(_) => return Err(BROKEN.to_owned()),
        };
        let names: Vec<String> = copies.into_iter().map(|OutgoingFile { name, .. }| name).collect();
        let row = HandedFiles {
            turn: self.task.message,
            number,
            channel,
            caption: first_part(&turns.outbox.redact(&files.caption)),
            names: names.clone(),
            written: Millis::now(),
        };
        if let Err(error) = turns.store.hand_over(row.clone()).await {
            error!(error = chain(&error), "files could not be written down, so they are not posted");
            return Err(BROKEN.to_owned());
        }
        let of_task = turns.clone();
        let posting = async move { post_until_taken(&of_task, &row, false).await };
        let posting = turns.0.tasks.spawn(posting.in_current_span());
        match timeout(WAITS, posting).await {
            Ok(Ok(Ok(()))) => Ok(sent(&names)),
            Ok(Ok(Err(refused))) => Err(refusal(&refused)),
            Ok(Err(_)) => Err(BROKEN.to_owned()),
            Err(_) => Ok(SENT_LATER.to_owned()),
        }
    }
}

/// As much of a text as fits into one message.
fn first_part(text: &str) -> String {
    let parts = text::parts(text, &Format::AS_WRITTEN);
    parts.into_iter().next().map(|part| part.text).unwrap_or_default()
}

/// Posts what an earlier bot has left.
///
/// # Errors
/// If the database fails.
pub async fn recover(turns: &Turns) -> Result<(), StoreError> {
    let rows = turns.store.files_to_post().await?;
    let (files, but) =
        (turns.files.clone(), rows.iter().map(|row| (row.turn, row.number)).collect::<Vec<_>>());
    // Nothing is handed over before this has returned.
    let _ = spawn_blocking(move || files.forget_outgoing(&but)).await;
    for row in rows {
        let of_task = turns.clone();
        turns.0.tasks.spawn(async move {
            if let Err(refused) = post_until_taken(&of_task, &row, true).await {
                debug!(%refused, "files that were left are not posted");
            }
        });
    }
    Ok(())
}

/// Posts the files, however long Discord takes nothing, and records what became of them. `may_be_posted`: they may be in the
/// channel already.
async fn post_until_taken(turns: &Turns, row: &HandedFiles, may_be_posted: bool) -> Result<(), Refused> {
    let (mut wait, mut look) = (FIRST_WAIT, may_be_posted);
    let end = loop {
        match try_to_post(turns, row, look).await {
            Err(refused) if !is_final(&refused) && since(row.written) <= turns.keep_trying => {
                warn!(error = %refused, "files cannot be posted now; next try in {wait:?}");
            }
            end => break end,
        }
        tokio::select! {
            // The next bot posts them.
            () = turns.0.ending.cancelled() => {
                return Err(Refused::GaveUp { why: "the bot stops".to_owned(), sent: false });
            }
            () = sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
        }
        look = true;
    };
    if let Err(refused) = &end {
        warn!(error = %refused, "Discord refused files");
    }
    let posted = end.as_ref().ok().copied();
    let write = || turns.store.handed_over(row.turn, row.number, posted);
    match until_written(turns, &turns.0.ending, write).await {
        Ok(()) => {
            let copies = turns.files.outgoing(row.turn, row.number);
            let removed = tokio::fs::remove_dir_all(copies).await;
            removed.unwrap_or_else(|error| debug!(%error, "copies of files stay until they are swept"));
        }
        Err(error) => error!(error = chain(&error), "what became of files is left for the next start"),
    }
    end.map(drop)
}

/// Whether a further try would be refused, too. A missing permission is granted seldom, and the agent can tell people of it.
fn is_final(refused: &Refused) -> bool {
    matches!(refused, Refused::Forbidden { .. }) || !refused.is_passing()
}

async fn try_to_post(turns: &Turns, row: &HandedFiles, look: bool) -> Result<MessageId, Refused> {
    if look && let Some(posted) = find(turns, row).await? {
        return Ok(posted);
    }
    let folder = turns.files.outgoing(row.turn, row.number);
    let mut files = Vec::new();
    for name in &row.names {
        match tokio::fs::read(folder.join(name)).await {
            Ok(bytes) => files.push((name.clone(), Bytes::from(bytes))),
            Err(error) => {
                return Err(Refused::Invalid { code: None, why: format!("the copy is gone: {error}") });
            }
        }
    }
    let nonce = format!("{}-f{}", row.turn, row.number);
    turns.outbox.post_files(row.channel, row.caption.clone(), nonce, files).await
}

/// The files, if they are in the channel: a silent message of the bot with their names and words that belongs to nothing else.
async fn find(turns: &Turns, row: &HandedFiles) -> Result<Option<MessageId>, Refused> {
    let caption = turns.outbox.redact(&row.caption);
    let is_it = |posted: &Posted| {
        posted.silent
            && posted.reply_to.is_none()
            && posted.files == row.names
            && posted.content.trim() == caption.trim()
    };
    own_message::find(turns, row.channel, row.turn, is_it).await
}
