//! The prompt of a turn that was asked by a command. The bot posts it, so that everybody sees what is
//! answered.
//!
//! The turn is written down first, so a bot that dies in between posts and answers the prompt after its next start.
//! All of it is shown, as a file if it is too long for a message.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{error, warn};

use super::task::Task;
use super::written::until_written;
use super::{Stop, Turns, own_message};
use crate::domain::{File, MessageId};
use crate::lane::Ticket;
use crate::logging::chain;
use crate::outbox::{Notify, Post, Posted, Refused};
use crate::store::PromptMessage;
use crate::text;
use crate::words;

/// The wait before a prompt that could not be posted is retried; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How much of a long prompt stands in the message itself, in characters.
const SHOWN: usize = 1500;

/// How posting the prompt ended.
pub enum PromptPosting {
    /// It is in the channel.
    Posted(MessageId),
    Refused,
    /// The turn was stopped, or the bot is stopping.
    GivenUp,
}

/// Posts a turn's prompt unless it has been posted already, however long that takes. It holds no slot between tries.
pub async fn post(turns: &Turns, task: Task, ticket: &mut Ticket, stop: &Stop) -> PromptPosting {
    let mut may_be_posted = task.recovered;
    let mut wait = FIRST_WAIT;
    loop {
        if stop.token.is_cancelled() {
            return PromptPosting::GivenUp;
        }
        match try_to_post(turns, task, stop, may_be_posted).await {
            Ok(asked) => return asked,
            Err(refused) if refused.is_passing() => {
                error!(error = chain(&refused), "a prompt cannot be posted now; next try in {wait:?}");
            }
            Err(refused) => {
                warn!(error = %refused, "Discord refused a prompt");
                return PromptPosting::Refused;
            }
        }
        tokio::select! {
            () = stop.token.cancelled() => return PromptPosting::GivenUp,
            () = ticket.aside(sleep(wait)) => wait = (wait * 2).min(LONGEST_WAIT),
        }
        may_be_posted = true;
    }
}

async fn try_to_post(
    turns: &Turns,
    task: Task,
    stop: &Stop,
    may_be_posted: bool,
) -> Result<PromptPosting, Refused> {
    let stored = until_written(turns, &stop.token, || turns.store.turn(task.message)).await;
    let Ok(Some(row)) = stored else { return Ok(PromptPosting::GivenUp) };
    if let PromptMessage::Posted(posted) = row.turn.prompt_message {
        return Ok(PromptPosting::Posted(posted));
    }
    let prompt = turns.outbox.redact(&row.turn.prompt);
    let (content, file) = shown(&row.turn.author.name, &prompt);
    let found = if may_be_posted { find(turns, task, &content).await? } else { None };
    let posted = match found {
        Some(posted) => posted,
        None => {
            let nonce = format!("{}-q", task.message);
            let post =
                Post { content, nonce, reply_to: None, notify: Notify::Channel, file, rows: Vec::new() };
            turns.outbox.post(task.asked_in(), post).await?
        }
    };
    let write = || turns.store.set_prompt_message(task.message, posted);
    match until_written(turns, &stop.token, write).await {
        Ok(()) => Ok(PromptPosting::Posted(posted)),
        Err(_) => Ok(PromptPosting::GivenUp),
    }
}

/// The prompt as a message, with a file if it does not fit. `prompt`: without secrets, for half of one is not known as
/// one.
fn shown(author_name: &str, prompt: &str) -> (String, Option<File>) {
    let whole = words::asks(author_name, prompt);
    if whole.encode_utf16().count() <= text::LIMIT {
        return (whole, None);
    }
    let start: String = prompt.chars().take(SHOWN).collect();
    let file = File { name: words::PROMPT_FILE.to_owned(), content: prompt.to_owned() };
    (words::asks_at_length(author_name, &start), Some(file))
}

/// The prompt, if it is in the channel already: a message of the bot that replies to nothing and belongs to no other
/// turn.
async fn find(turns: &Turns, task: Task, content: &str) -> Result<Option<MessageId>, Refused> {
    let content = turns.outbox.redact(content);
    let is_it = |posted: &Posted| {
        posted.reply_to.is_none() && !posted.silent && posted.content.trim() == content.trim()
    };
    own_message::find(turns, task.asked_in(), task.message, is_it).await
}
