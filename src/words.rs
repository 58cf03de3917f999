//! Every sentence that the bot itself says in Discord: here those of turns, below those of the rest.
//!
//! One plain sentence each, with what to do next; never a path, a stack trace or a token. The short id also
//! stands in the log lines of the same turn.

mod budget;
pub mod command;
mod denied;
mod failure;
pub mod limit;
pub mod live;
pub mod question;
pub mod script;

pub use budget::budget_spent;
pub use denied::{ToolRules, denied};

use crate::domain::{ChannelId, MessageId, ProjectName, QuoteOrigin, UnreadFile, UnreadReason, UserId};
use crate::text;

/// A failure as the person reads it: the sentence and the short id that finds it in the log.
pub fn failure(sentence: &str, message: MessageId) -> String {
    format!("⚠️ {}", text::with_id(sentence, &message.short()))
}

/// Somebody writes to the bot directly.
pub const SERVERS_ONLY: &str = "I don't take direct messages. Mention me in a server channel instead.";

/// A bare mention.
pub fn empty_mention() -> String {
    "What should I do? Mention me again, with your request in the same message.".to_owned()
}

/// The name of a thread for a message without words, or with words that Discord does not take.
pub fn thread_of(author_name: &str) -> String {
    format!("Question from {author_name}")
}

/// The note below an answer whose prompt lacks what was said before it.
pub fn lacks_context() -> String {
    text::small("I couldn't read what was said here before")
}

/// The note below the first answer in a thread, where the bot cannot read what does not mention it.
pub fn mention_me_in_thread() -> String {
    text::small("Mention me in this thread, too: I can't read other messages")
}

/// A mention whose text Discord withholds: without the message-content intent, a mention of the bot's role does not
/// show it.
pub fn text_withheld() -> String {
    "Discord hides the text of that message from me. Mention me directly, not my role.".to_owned()
}

/// A message that says nothing itself, and whose reply or forward Discord withholds.
pub fn only_withheld(origin: &QuoteOrigin) -> String {
    format!("{} Write what I should do.", not_shown(origin))
}

/// The note below an answer to a message whose reply or forward Discord withholds.
pub fn withheld(origin: &QuoteOrigin) -> String {
    text::small(&not_shown(origin))
}

fn not_shown(origin: &QuoteOrigin) -> String {
    let what = match origin {
        QuoteOrigin::Reply { .. } => "the message you replied to",
        QuoteOrigin::Forward => "the forwarded message",
    };
    format!("Discord doesn't show me {what}: for that, I need the Message Content intent.")
}

/// A message of characters that show nothing.
pub fn invisible() -> String {
    "Your message has no visible text. Write what I should do.".to_owned()
}

/// A message that is nothing but files that are not read.
pub fn only_unread(files: &[UnreadFile]) -> String {
    format!("I can't read {}. Write what I should do, or attach it once more.", reasons(files))
}

/// The note below an answer to a message with files that were not read.
pub fn unread(files: &[UnreadFile]) -> String {
    text::small(&format!("Not read: {}", reasons(files)))
}

fn reasons(files: &[UnreadFile]) -> String {
    let reason = |file: &UnreadFile| {
        let why = match file.why {
            UnreadReason::TooLarge { bytes } => format!("over {}", size(bytes)),
            UnreadReason::TooMuch { bytes } => format!("over {} together with the others", size(bytes)),
            UnreadReason::Lost => "Discord doesn't have it any more".to_owned(),
            UnreadReason::NotFetched => "the download failed".to_owned(),
            UnreadReason::NotAsAnnounced => "longer than Discord said".to_owned(),
            UnreadReason::NotKept => "I couldn't save it".to_owned(),
            UnreadReason::NotReadable => "Claude runs as another user here and can't open it".to_owned(),
            UnreadReason::NotTranscribed => "turning it into text failed".to_owned(),
        };
        format!("{} ({why})", quoted(&file.name))
    };
    files.iter().map(reason).collect::<Vec<_>>().join(", ")
}

/// A number of bytes, in units of 1024 as Discord's limits are.
pub fn size(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        _ => match bytes % 1_048_576 * 10 / 1_048_576 {
            0 => format!("{} MB", bytes / 1_048_576),
            tenths => format!("{}.{tenths} MB", bytes / 1_048_576),
        },
    }
}

/// Enough of the person's messages wait in this channel.
pub fn too_many_waiting(most: usize) -> String {
    let (messages, which) = match most {
        1 => ("a message".to_owned(), "it"),
        _ => (format!("{most} messages"), "one of them"),
    };
    format!("You already have {messages} waiting here. Send this again once {which} has started.")
}

/// Enough of the person's messages were taken within a minute.
pub fn too_many_messages(most: usize) -> String {
    let messages = if most == 1 { "a message".to_owned() } else { format!("{most} messages") };
    format!("You've sent me {messages} within a minute. Wait a minute, then send this again.")
}

/// An allowed person mentions the bot in a channel that has no project.
pub fn unrouted(channel: ChannelId) -> String {
    format!(
        "This channel has no project yet. Add `[\"{channel}\"] = \"NAME\"` to `channels` in routing.lua, where \
         NAME is one of your projects."
    )
}

/// The name of the file that a long answer becomes.
pub const ANSWER_FILE: &str = "answer.md";

/// What stands in place of a code block that is a file: laid out with the answer, as Markdown.
pub fn code_in_file(name: &str, lines: usize) -> String {
    format!("📎 `{name}` ({lines} lines)")
}

/// Where an answer of `parts` parts continues in the file, after `posted` of them.
pub fn in_file(posted: usize, parts: usize) -> String {
    let length = match posted {
        0 => format!("This would take {parts} messages"),
        _ => format!("The rest would take {} more messages", parts - posted),
    };
    text::small(&format!("{length}: the full text is in `{ANSWER_FILE}`"))
}

/// Where an answer of so many bytes continues in the file; the rest is never posted as messages.
pub fn only_in_file(bytes: usize) -> String {
    text::small(&format!("This answer is {} long: the full text is in `{ANSWER_FILE}`", size(bytes as u64)))
}

/// The same, where even the file cannot hold all of it.
pub fn cut_in_file(bytes: usize, filed: usize) -> String {
    text::small(&format!(
        "This answer is {} long, more than Discord accepts: the first {} are in `{ANSWER_FILE}`",
        size(bytes as u64),
        size(filed as u64)
    ))
}

/// The last line of a file that cannot hold all of the answer.
pub fn file_ends() -> &'static str {
    "[The answer was cut off here: Discord doesn't accept a larger file.]"
}

/// In place of the rest of an answer that is too long for messages, where Discord did not take the file.
pub fn too_long(bytes: usize) -> String {
    format!(
        "This answer is {} long. That's too much for messages, and Discord refused it as a file, for which my \
         role needs Attach Files. Ask me for the rest in pieces.",
        size(bytes as u64)
    )
}

/// The note below a long answer that had to come as messages.
pub fn file_refused() -> String {
    text::small(&format!(
        "Discord refused this as a file. With the Attach Files permission, I can post a long answer as \
         `{ANSWER_FILE}`"
    ))
}

/// Claude ended the turn without a word.
pub fn no_words() -> String {
    "Claude finished without writing an answer. Ask what it did, or ask again.".to_owned()
}

/// What somebody has asked by a command.
pub fn asks(name: &str, prompt: &str) -> String {
    format!("**{name}** asks:\n{prompt}")
}

/// The name of the file that a long prompt comes in.
pub const PROMPT_FILE: &str = "prompt.md";

/// The same, of a prompt that is too long for a message.
pub fn asks_at_length(name: &str, start: &str) -> String {
    let more = text::small(&format!("The full text is in `{PROMPT_FILE}`"));
    format!("{}…\n{more}", asks(name, start))
}

/// Discord does not take the prompt of a command.
pub fn prompt_refused() -> String {
    "Discord refused to post the question, so I didn't start. Rephrase it, or mention me in a message."
        .to_owned()
}

/// Whom the answer is for, where Discord cannot tell them: it replies to a message of the bot's own.
pub fn for_person(person: UserId) -> String {
    text::small(&format!("For <@{person}>"))
}

/// In place of words that Discord refused to take.
pub fn part_refused() -> String {
    "Discord refused this part of the answer. Ask me to rephrase it.".to_owned()
}

/// To the operators: an answer was given up.
pub fn never_posted(channel: ChannelId, message: MessageId, why: &str) -> String {
    format!(
        "I gave up on an answer in <#{channel}> ({}): Discord kept refusing it, last with \"{}\". Ask there again \
         once I can post in that channel.",
        message.short(),
        why.replace(['`', '\n'], " ")
    )
}

/// To the operators: an answer waits for a thread to be unlocked.
pub fn thread_is_locked(thread: ChannelId, message: MessageId) -> String {
    format!(
        "An answer in <#{thread}> ({}) waits: the thread is locked. Unlock it, or give me the permission Manage Threads.",
        message.short()
    )
}

/// To the operators: an answer is left for the next start.
pub fn never_written(channel: ChannelId, message: MessageId) -> String {
    format!(
        "An answer in <#{channel}> ({}) has to wait until I'm restarted: my database has been failing for too \
         long. The log says why.",
        message.short()
    )
}

/// To the operators: the bot has to stop.
pub fn stopping(why: &impl std::fmt::Display) -> String {
    format!("⚠️ I have to stop: {why}.")
}

/// The session that the channel had is gone.
pub fn session_lost() -> String {
    text::small("The earlier conversation in this channel is gone, so this is a new one")
}

/// Somebody went on with the session in a terminal.
pub fn used_elsewhere() -> String {
    text::small(
        "This conversation has also been used outside Discord since my last answer; I continued from there",
    )
}

/// Further messages went into the turn: so many, of these people.
pub fn took_in(count: usize, authors: &[UserId], is_answered: bool) -> String {
    let authors = authors.iter().map(|author| format!("<@{author}>")).collect::<Vec<_>>().join(", ");
    text::small(&match (is_answered, count) {
        (true, 1) => format!("This also answers another message of {authors}"),
        (true, _) => format!("This also answers {count} other messages of {authors}"),
        (false, 1) => format!("Another message of {authors} was part of this"),
        (false, _) => format!("{count} other messages of {authors} were part of this"),
    })
}

/// The model that was asked for had no capacity, and another one went on.
pub fn fallback(from: &str, to: &str) -> String {
    text::small(&format!("{} was overloaded, so {} took over", quoted(from), quoted(to)))
}

/// These MCP servers wanted something of a person.
pub fn elicited(servers: &[String]) -> Option<String> {
    let names: Vec<String> = servers.iter().map(|server| quoted(server)).collect();
    let servers = match &names[..] {
        [] => return None,
        [one] => format!("The MCP server {one}"),
        several => format!("The MCP servers {}", several.join(", ")),
    };
    Some(text::small(&format!("{servers} wanted something of a person, which can't be answered here")))
}

/// The project's directory is another one than the session began in.
pub fn directory_changed() -> String {
    text::small("This project has moved to another directory, so this is a new conversation")
}

/// The note below a failure that a new conversation mends, where the scripts have such a command.
pub fn reset() -> String {
    text::small("`/reset` starts a new conversation in this channel")
}

/// The notice of a message behind a turn in its channel.
pub fn waits_for_a_turn() -> String {
    text::small("⏳ I'll start on this when I've finished what I'm working on here")
}

/// A button of the notice: it goes into the running turn.
pub const SEND_NOW: &str = "Send it now";
/// A button of the notice: the running turn ends, and this one goes next.
pub const STOP_THAT: &str = "Stop that and do this";
/// A button of the notice: this one never begins.
pub const TAKE_IT_OUT: &str = "Take it out";

/// Somebody ended the turn.
pub fn stopped() -> String {
    "⏹️ Stopped.".to_owned()
}

/// The bot died or was stopped under a running turn.
pub fn interrupted() -> String {
    "I was stopped while working on this, so it isn't finished. Check what was done, then ask again."
        .to_owned()
}

/// A message was on its way into another turn, or in it, when that one broke off without a word.
pub fn lost_with_another() -> String {
    "I took this in with another message, which was then deleted, so there is no answer. Ask again if you still want one."
        .to_owned()
}

/// A turn had waited too long when the bot came back.
pub fn too_old() -> String {
    "I was away for more than two hours, so I didn't start on this. Ask again if it still matters.".to_owned()
}

/// Something was said while the bot was away, too long ago. It stands for all such messages of its channel.
pub fn missed_too_old() -> String {
    "I was away, and skipped what was asked here more than two hours ago. Ask again if it still matters."
        .to_owned()
}

/// More was said while the bot was away than it takes up. It stands for all further messages of its channel.
pub fn missed_too_many() -> String {
    "I was away and too many messages came in, so I skipped this one and the later ones here. Ask again if they \
     still matter."
        .to_owned()
}

/// The project of a waiting turn is no longer in routing.lua.
pub fn project_gone(project: &ProjectName) -> String {
    format!(
        "The project **{project}** is no longer in routing.lua. Ask again once this channel has a project."
    )
}

/// The author of a waiting turn no longer has access.
pub fn let_in_no_more() -> String {
    "You no longer have access here, so I didn't start. Ask whoever runs this bot.".to_owned()
}

/// The message could not be written down.
pub fn not_written() -> String {
    "I couldn't save your message, so I didn't start. Tell whoever runs this bot the id, then ask again."
        .to_owned()
}

/// The disk of the database is nearly full.
pub fn no_room() -> String {
    "My disk is nearly full, so I'm not taking messages for now. Tell whoever runs this bot, and ask again once \
     there is room."
        .to_owned()
}

/// To the operators: the same.
pub fn disk_nearly_full() -> String {
    "The disk that holds my database is nearly full, so I'm not taking messages until there is room \
     (`store.min_free`)."
        .to_owned()
}

/// To the operators: the database fails.
pub fn database_fails() -> String {
    "I can't write to my database, so I'm not taking messages. The log says why.".to_owned()
}

/// To the operators: a script failed while it was used. `problem` is the line that `moonlane check` would print.
pub fn script_fails(problem: &str) -> String {
    // A fence in it would end ours, and Discord takes 2000 characters.
    let problem: String = problem.replace("```", "'''").chars().take(1500).collect();
    format!("⚠️ A script failed. The log has the full traceback.\n```\n{problem}\n```")
}

/// Something inside the bot broke.
pub fn broken() -> String {
    "Something inside the bot broke, so this isn't finished. Ask again; if it keeps happening, tell whoever runs \
     this bot the id."
        .to_owned()
}

/// Somebody's name for something, as inline code: on one line, without an end of its own, and not too long.
fn quoted(name: &str) -> String {
    const LONGEST: usize = 80;
    let plain = |c: char| match c {
        '`' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut shown: String = name.chars().take(LONGEST).map(plain).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes_or_its_line() {
        assert_eq!(quoted("a`b\nc\u{1b}.md"), "`a'b c .md`");
        assert_eq!(quoted(&"月".repeat(81)), format!("`{}…`", "月".repeat(80)));
        assert_eq!(quoted("../../etc/passwd"), "`../../etc/passwd`");
    }
}
