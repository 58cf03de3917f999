//! What commands and their dialogs say.

use crate::domain::{ChannelId, ProjectName};

/// To whoever uses or presses something while the bot stops.
pub const RESTARTING: &str = "I'm restarting. Try again in a minute.";
/// The command, or the dialog, is not there any more.
pub const UNKNOWN: &str = "This command no longer exists.";
/// The gate refuses the person.
pub const NOT_LET_IN: &str = "You don't have access here. Ask whoever runs this bot.";

/// To a press of a Stop button whose turn has ended.
pub const NOTHING_TO_STOP: &str = "This has already finished.";

/// To a press of somebody else's Stop button.
pub const NOT_YOURS_TO_STOP: &str = "Only the person who asked, an approver or an operator can stop this.";

/// To a press of a Stop button while the database fails.
pub const NOT_STOPPED: &str = "I can't check who asked this right now. Try again in a minute.";

/// To a press of a notice's button whose turn has begun or ended.
pub const WAITS_NO_MORE: &str = "This message isn't waiting any more.";

/// To a press of a button about somebody else's waiting message.
pub const NOT_YOURS_TO_DECIDE: &str = "Only the person who asked, or an operator, can decide that.";

/// To a press of such a button while the database fails.
pub const NOT_NOW: &str = "That isn't working right now. Try again in a minute.";

/// A message cannot go into the running turn, because of its files.
pub const HAS_FILES: &str =
    "I can't read files while I'm working. Your message waits until I've finished here.";

/// The same: it is for something else.
pub const OTHER_PROJECT: &str = "I'm working on another project here, or with older settings of yours. Your message waits until I've finished.";

/// The same: it is for another model or permission mode.
pub const OTHER_MODEL: &str =
    "I'm working with another model or permission mode here. Your message waits until I've finished.";

/// The same: it begins a new conversation.
pub const OTHER_SESSION: &str =
    "Your message starts a new conversation, so it waits until I've finished here.";

/// The same: each turn has its own budget.
pub const OWN_BUDGET: &str =
    "Each message has its own budget in this project, so yours waits until I've finished here.";

/// The same: it was written before a restart or an outage.
pub const MAY_BE_OLD: &str =
    "I was away after you wrote this, so I'll read it again when I've finished here. Until then it waits.";

/// The same: whoever asked for that turn would pay for it.
pub const ASKER_SPENT: &str = "Whoever asked for what I'm working on would pay for your message, and has no budget left. \
    It waits until I've finished here.";

/// The same: its author has lost access since.
pub const NO_ACCESS_ANY_MORE: &str = "Whoever wrote this no longer has access here.";

/// A message cannot go in place of a turn, because it would not begin.
pub const NOTHING_LEFT: &str =
    "There's no budget left for this message, so I haven't stopped anything for it.";

/// Somebody wants their message to go in place of a turn, and there is none.
pub const NOTHING_RUNS: &str = "I'm not working on anything else here, so this starts by itself.";

/// The same, where that turn is ending.
pub const ENDS_ALREADY: &str = "I'm already stopping what I was working on here.";
/// The command reaches for a channel that is not the person's to change.
pub const ELSEWHERE: &str = "You aren't allowed to do that there.";
/// Discord does not answer about a channel.
pub const UNKNOWN_CHANNEL: &str = "Discord didn't tell me which channel that is. Try again.";
/// Discord does not answer about a person.
pub const UNKNOWN_PERSON: &str = "Discord didn't tell me which roles you have. Try again.";
/// The command needs a server.
pub const GUILD_ONLY: &str = "This command only works in a server.";
/// The command ended without a word.
pub const NOTHING_SAID: &str = "Done.";
/// The bot stops while the command is at something.
pub const UNFINISHED: &str =
    "I'm restarting, so this command ended early. Check what it did, then use it again.";
/// The command panicked.
pub const BROKEN: &str = "Something inside the bot broke, so this command didn't finish. Use it again; if it \
    keeps happening, tell whoever runs this bot the id.";

/// The refusal for somebody who has as many commands running as one person may have.
pub fn too_many(most: usize) -> String {
    match most {
        1 => "A command of yours is still running. Answer its question or wait, then try again.".to_owned(),
        _ => format!(
            "{most} of your commands are still running. Answer their questions or wait, then try again."
        ),
    }
}

/// The person lacks a permission of Discord's.
pub fn needs_permission(name: &str) -> String {
    format!("You need the “{name}” permission for this.")
}

/// The person lacks it in a channel among the options.
pub fn needs_permission_in(name: &str, channel: ChannelId) -> String {
    format!("You need the “{name}” permission in <#{channel}> for this.")
}

/// The refusal of a further dialog for somebody who has as many open as one person may have.
pub fn too_many_dialogs(most: usize) -> String {
    match most {
        1 => "I've already asked you a question. Answer it first, or wait until it times out.".to_owned(),
        _ => {
            format!("I've already asked you {most} questions. Answer one first, or wait until it times out.")
        }
    }
}

/// The command is about a project, and direct messages have none.
pub const NO_PROJECT: &str = "There is no project in direct messages.";
/// The channel where the command was used has no project.
pub const NO_PROJECT_HERE: &str = "This channel has no project.";
/// The channel that the command names has no project.
pub const NO_PROJECT_THERE: &str = "That channel has no project.";
/// A thread was asked for in a thread.
pub const NO_THREAD_IN_THREAD: &str = "A thread can't hold another one. Use this in its channel.";

/// The bot may open no threads.
pub const MAY_OPEN_NO_THREADS: &str =
    "I may not open threads here. An admin can give me the permission Create Public Threads.";

/// Discord has not opened a thread for another reason.
pub fn no_thread(why: &str) -> String {
    format!("Discord opened no thread: {why}")
}

/// The name of a thread for somebody.
pub use super::thread_of;

/// The store fails.
pub const NO_DATABASE: &str = "My database isn't responding. Tell whoever runs this bot.";
/// The effect is for operators.
pub const OPERATORS_ONLY: &str = "Only operators can do that.";
/// Somebody else's message is to be taken out of the queue.
pub const ASKER_ONLY: &str = "Only the person who asked can take it out.";
/// A turn that gets no id.
pub const UNASKABLE: &str = "I can't ask that.";

/// The command names a project that is not there.
pub fn no_such_project(name: &ProjectName) -> String {
    format!("There is no project called {name}.")
}

/// What cannot be a model.
pub const NO_MODEL: &str = "That can't be a model name. Use one that claude accepts, such as opus or sonnet.";

/// A permission mode that is not there; another has almost its name.
pub fn no_such_mode(nearest: &str) -> String {
    format!("There is no such permission mode. Did you mean `{nearest}`?")
}

/// A permission mode that is not there.
pub fn only_these_modes(modes: &str) -> String {
    format!("There is no such permission mode. The modes are {modes}.")
}

/// A permission mode that needs the project's leave.
pub fn mode_must_be_named(mode: &str) -> String {
    format!("`{mode}` can only be chosen where the project's `permission_modes` in routing.lua lists it.")
}

/// A project that lets nobody choose this: a model or a permission mode.
pub fn takes_no_other(project: &ProjectName, what: &str) -> String {
    format!("The project {project} allows no other {what}.")
}

/// A project that lets people choose only among some of this.
pub fn takes_only(project: &ProjectName, what: &str, names: &str) -> String {
    format!("The project {project} only allows these {what}s: {names}.")
}

/// To whoever chooses a mode in which no agent of the project would start.
pub const NOT_AS_ROOT: &str = "Claude Code refuses `bypassPermissions` as root, and this project's agents run as root. Whoever \
     runs this bot can give the project, or the bot, a user of its own.";

/// To a press of a button that the bot does not know, such as one of an older version.
pub const UNKNOWN_BUTTON: &str = "This button no longer does anything.";
/// To whoever submits a form that the bot does not know.
pub const FORM_CLOSED: &str =
    "This form is closed, so nothing came of it. If you still need it, open it again.";
/// To a press in a dialog that has ended.
pub const OVER: &str = "This question is closed. Use the command again if you still need it.";
/// Below the question of a dialog that was open when the bot stopped.
pub const INTERRUPTED: &str =
    "\n\n⚠️ I'm restarting, so this question is closed. Use the command again in a minute.";
/// The dialog is for the person who used the command.
pub const NOT_YOURS: &str = "Only the person who used the command can answer this.";
/// The dialog is for certain people.
pub const NOT_NAMED: &str = "This question is for somebody else.";
