//! How a line becomes a message: with files, as a reply, or as what forwards another.

use std::path::{Path, PathBuf};

use super::{Terminal, show};
use crate::local::{File, Id, Message, Say};
use crate::view;

/// How large a file of a person's may be, in bytes.
const LARGEST: u64 = 10 << 20;

/// What a line is besides a message or a command of the bot's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnCommand {
    Attach(PathBuf),
    Reply(String),
    Forward,
}

/// The playground's own command in a line. A path alone, as a terminal writes it when a file is dropped on it, attaches
/// the file, if there is one.
pub(super) fn own_command(line: &str) -> Option<OwnCommand> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match (word, rest.trim()) {
        ("/attach", path) => Some(OwnCommand::Attach(unquoted(path))),
        ("/reply", text) => Some(OwnCommand::Reply(text.to_owned())),
        ("/forward", "") => Some(OwnCommand::Forward),
        _ => {
            let path = unquoted(line);
            (path.is_absolute() && path.is_file()).then_some(OwnCommand::Attach(path))
        }
    }
}

/// A path without the quotes, or the backslashes, that a terminal puts around it.
fn unquoted(path: &str) -> PathBuf {
    let path = path.trim();
    for quote in ['\'', '"'] {
        if let Some(inner) = path.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.into();
        }
    }
    let (mut plain, mut escaped) = (String::new(), false);
    for c in path.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            plain.push(c);
        }
    }
    plain.into()
}

/// The file at a path.
///
/// # Errors
/// What to tell the person, if it cannot be sent.
fn read(path: &Path) -> Result<File, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let told = |error: std::io::Error| format!("cannot attach {}: {error}", path.display());
    let about = std::fs::metadata(path).map_err(told)?;
    if !about.is_file() {
        return Err(format!("cannot attach {}: it is no file", path.display()));
    }
    if about.len() > LARGEST {
        return Err(format!("cannot attach {name}: it is over 10 MB"));
    }
    let bytes = std::fs::read(path).map_err(told)?.into();
    Ok(File { name, content_type: None, bytes })
}

impl Terminal {
    pub(super) fn do_own(&mut self, command: OwnCommand) {
        match command {
            OwnCommand::Attach(path) => match read(&path) {
                Ok(file) => {
                    let size = show::size(file.bytes.len());
                    self.print(&format!(
                        "· {}, {size}, goes with the next line; an empty line sends it alone",
                        file.name
                    ));
                    self.draw(&file);
                    self.files.push(file);
                }
                Err(why) => {
                    self.failed |= !self.interactive;
                    self.print(&format!("· {why}"));
                }
            },
            OwnCommand::Reply(text) => match self.last_of_bot() {
                Some(message) => {
                    // A reply mentions whom it answers.
                    let say = Say::new(message.channel, self.person, text);
                    self.say(Say { reply_to: Some(message.id), ..say });
                }
                None => self.print("· moonlane has said nothing yet that could be answered"),
            },
            OwnCommand::Forward => match self.last_of_bot() {
                Some(message) => {
                    let say = Say::new(self.channel, self.person, "");
                    self.say(Say { forward_of: Some(message.id), ..say });
                }
                None => self.print("· moonlane has said nothing yet that could be forwarded"),
            },
        }
    }

    /// Says it, with the files that were attached.
    pub(super) fn say(&mut self, say: Say) {
        // What forwards a message has nothing else.
        let files = if say.forward_of.is_some() { Vec::new() } else { std::mem::take(&mut self.files) };
        let message = self.discord.say(Say { files, ..say });
        self.pending.insert(message.get(), self.person);
    }

    /// Sends what was attached and has no line to go with.
    pub(super) fn say_files(&mut self) {
        if !self.files.is_empty() {
            self.say(Say::to_bot(self.channel, self.person, ""));
        }
    }

    /// The bot's last message here, or else anywhere.
    fn last_of_bot(&self) -> Option<Message> {
        let is_answerable = |message: &Message| {
            message.by_bot && message.ephemeral_to.is_none() && !view::is_line(&message.content)
        };
        let last_in = |channel: Id| {
            self.discord.messages(channel).into_iter().rev().find(|message| is_answerable(message))
        };
        let anywhere = || self.names.keys().filter_map(|channel| last_in(*channel)).max_by_key(|it| it.id);
        last_in(self.channel).or_else(anywhere)
    }

    /// The channel of this name: also a thread that the bot has opened, by its name as it is shown.
    pub(super) fn switch_to(&mut self, name: &str) {
        let known = self.names.iter().filter(|(_, known)| *known == name).map(|(channel, _)| *channel).max();
        self.channel = known.unwrap_or_else(|| self.discord.channel(name));
        self.names.insert(self.channel, name.to_owned());
    }

    /// A thread was opened or renamed: from now on it has this name here.
    pub(super) fn name_thread(&mut self, thread: Id) {
        let Some(state) = self.discord.thread_state(thread) else { return };
        let name = self.discord.channel_name(thread).unwrap_or_default();
        let parent = self.names.get(&state.parent).cloned();
        let parent = parent.or_else(|| self.discord.channel_name(state.parent)).unwrap_or_default();
        let name = format!("{parent}/{}", as_one_word(&name));
        if self.names.get(&thread) == Some(&name) {
            return;
        }
        let known = self.names.insert(thread, name.clone());
        match known {
            Some(before) => self.print(&format!("· the thread #{before} is now #{name}")),
            None if state.owner == self.discord.bot_id() => {
                self.print(&format!("· moonlane opened the thread #{name}"));
            }
            None => {}
        }
    }
}

/// The name of a thread as one word that can be typed.
fn as_one_word(name: &str) -> String {
    let words = name.split(|c: char| !(c.is_alphanumeric() || "-_/.".contains(c)));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_playgrounds_own_command_or_not() {
        let attach = |path: &str| Some(OwnCommand::Attach(path.into()));
        assert_eq!(own_command("/attach a b.png"), attach("a b.png"));
        assert_eq!(own_command("/attach '/tmp/a b.png'"), attach("/tmp/a b.png"));
        assert_eq!(own_command(r"/attach /tmp/a\ b\\.png"), attach(r"/tmp/a b\.png"));
        assert_eq!(own_command("/reply and now?"), Some(OwnCommand::Reply("and now?".to_owned())));
        assert_eq!(own_command("/forward"), Some(OwnCommand::Forward));
        for other in ["/forward it", "/replying x", "/model opus", "hello", "/nowhere/at/all.png", "/"] {
            assert_eq!(own_command(other), None, "{other}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.txt");
        std::fs::write(&path, "x").unwrap();
        let dropped = format!("'{}'", path.display());
        assert_eq!(own_command(&dropped), Some(OwnCommand::Attach(path.clone())));
        assert_eq!(own_command(&format!("{dropped} what is it?")), None);
        let file = read(&path).unwrap();
        assert_eq!((file.name.as_str(), file.bytes.as_ref()), ("a b.txt", &b"x"[..]));
        assert!(read(folder.path()).unwrap_err().ends_with("it is no file"));
        assert!(read(&folder.path().join("none")).unwrap_err().starts_with("cannot attach "));
    }

    #[test]
    fn a_threads_name_can_be_typed() {
        assert_eq!(as_one_word("Fix the `login` page!"), "Fix-the-login-page");
        assert_eq!(as_one_word("v1.2 – 月"), "v1.2-月");
    }
}
