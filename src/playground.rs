//! The bot against a local Discord, in the terminal.
//!
//! A line is a message that mentions the bot; `#name` alone switches the channel, `@name` alone the person who
//! speaks. With piped input each line is one message, and it ends when all of them are settled.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokio::sync::mpsc;

use crate::bot::Bot;
use crate::config::Config;
use crate::domain::{MessageId, Outcome};
use crate::local::{Event, Id, LocalDiscord, Options, RateLimits, Say, What};
use crate::logging;
use crate::turn::Settled;

/// Who answers in the playground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AgentKind {
    /// The scripted demo agent: no account, no cost.
    Demo,
    /// What `[agent] command` says: the real Claude Code, at its usual cost.
    Claude,
}

/// Runs the playground until its input ends and every message is settled, or until Ctrl-C. The code is a failure if
/// a turn failed.
///
/// # Errors
/// Where it could not be set up, or the bot did not start ([`crate::bot::StartError`]).
pub async fn run(mut config: Config, agent: AgentKind) -> anyhow::Result<ExitCode> {
    logging::to_stderr("error")?;
    let folder = tempfile::tempdir().context("no temporary folder for the playground's database")?;
    let options = Options { rate_limits: RateLimits::Off, message_content: true, ..Options::default() };
    let discord = LocalDiscord::start(options).await.context("cannot listen on loopback")?;
    config.store_path = folder.path().join("playground.db");
    config.discord.api_url = discord.url().to_owned();
    if agent == AgentKind::Demo {
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let program =
            program.into_os_string().into_string().ok().context("the program's path is not Unicode")?;
        config.agent.command = vec![program, "demo-agent".to_owned()];
    }

    let (settled, settling) = mpsc::unbounded_channel();
    let mut table = Table {
        channel: discord.channel("general"),
        names: HashMap::from([(discord.channel("general"), "general".to_owned())]),
        person: discord.owner(),
        interactive: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        prompted: false,
        typing: None,
        printed: 0,
        pending: HashMap::new(),
        failed: false,
        gone: false,
        discord,
    };
    let bot = Bot::start(&config, table.discord.token(), Some(settled)).await?;
    table.banner(agent);
    table.talk(settling).await;
    bot.shut_down().await;
    Ok(if table.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where the person sits.
struct Table {
    discord: LocalDiscord,
    channel: Id,
    /// The channels by the names that the person gave: `parent/name` for a thread.
    names: HashMap<Id, String>,
    person: Id,
    interactive: bool,
    /// The cursor stands behind a prompt.
    prompted: bool,
    /// The channel in which the bot was last said to be typing.
    typing: Option<Id>,
    /// How much of the local Discord's log is on the screen.
    printed: usize,
    /// What was said and is not settled.
    pending: HashMap<u64, Id>,
    failed: bool,
    /// Nobody reads any more what is printed.
    gone: bool,
}

impl Table {
    fn banner(&mut self, agent: AgentKind) {
        self.print(match agent {
            AgentKind::Demo => {
                "moonlane playground. A scripted demo agent answers: no account, no cost (--agent claude asks the real one)."
            }
            AgentKind::Claude => "moonlane playground. The real Claude Code answers, at its usual cost.",
        });
        if self.interactive {
            self.print(
                "A line is a message to the bot. #name switches the channel, @name the speaker; Ctrl-D ends.",
            );
        }
    }

    async fn talk(&mut self, mut settling: mpsc::UnboundedReceiver<(MessageId, Settled)>) {
        let mut lines = lines();
        let mut open = true;
        let ctrl_c = tokio::signal::ctrl_c();
        tokio::pin!(ctrl_c);
        while (open || !self.pending.is_empty()) && !self.gone {
            if open {
                self.prompt();
            }
            let discord = self.discord.clone();
            let printed = self.printed;
            tokio::select! {
                biased;
                fresh = discord.wait_for(|log| (log.len() > printed).then(|| log[printed..].to_vec())) => {
                    self.printed += fresh.len();
                    for event in &fresh {
                        self.show(event);
                    }
                }
                Some((message, settled)) = settling.recv() => self.settle(message, settled),
                line = lines.recv(), if open => match line {
                    Some(line) => self.line(&line),
                    None => open = false,
                },
                _ = &mut ctrl_c => break,
            }
        }
        // Ctrl-C, or nobody who reads, leaves something behind.
        self.failed |= self.gone || !self.pending.is_empty();
        for event in self.discord.log().split_off(self.printed) {
            self.show(&event);
        }
        if self.prompted {
            self.put("\n");
        }
    }

    /// What the person typed.
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        // The terminal has shown it, with its end.
        self.prompted = false;
        if let Some(name) = name_after(line, '#') {
            self.channel = self.discord.channel(name);
            self.names.insert(self.channel, name.to_owned());
        } else if let Some(name) = name_after(line, '@') {
            self.person = self.discord.user(name);
        } else if !line.is_empty() {
            if !self.interactive {
                self.print(&format!("@{}: {line}", self.name(self.person)));
            }
            let message = self.discord.say(Say::to_bot(self.channel, self.person, line));
            self.pending.insert(message.get(), self.person);
        }
    }

    fn settle(&mut self, message: MessageId, settled: Settled) {
        let Some(person) = self.pending.remove(&message.get()) else { return };
        match settled {
            Settled::Ignored => {
                let name = self.name(person);
                self.print(&format!("· no answer: not meant for the bot, or @{name} is not let in"));
            }
            Settled::Ended(Outcome::Failed | Outcome::Interrupted) => self.failed = true,
            Settled::Said | Settled::Ended(Outcome::Answered | Outcome::Cancelled) => {}
        }
    }

    fn show(&mut self, event: &Event) {
        match &event.what {
            What::Posted(message) if message.by_bot => {
                self.typing = None;
                let title = format!("── moonlane in #{} ", self.channel_of(event));
                let length = format!(" {} ──", message.content.chars().count());
                let rule =
                    "─".repeat(72_usize.saturating_sub(title.chars().count() + length.chars().count()));
                self.print(&format!("{title}{rule}{length}\n{}", message.content));
                for file in &message.attachments {
                    self.print(&format!("[file {}, {}]", file.name, size(file.size)));
                }
            }
            What::Typing { .. } if self.typing != event.channel => {
                self.typing = event.channel;
                self.print(&format!("· moonlane is typing in #{}", self.channel_of(event)));
            }
            What::ReactionAdded { message, emoji, .. } => {
                self.print(&format!("· {emoji} on {}", self.quote(*message)));
            }
            What::ReactionRemoved { message, emoji, .. } => {
                self.print(&format!("· {emoji} taken off {}", self.quote(*message)));
            }
            _ => {}
        }
    }

    /// Says whose turn it is to speak, unless it is the bot's.
    fn prompt(&mut self) {
        if self.interactive && !self.prompted && self.pending.is_empty() {
            self.put(&format!("#{} @{}> ", self.names[&self.channel], self.name(self.person)));
            self.prompted = true;
        }
    }

    /// Prints a line, in place of the prompt if there is one.
    fn print(&mut self, line: &str) {
        let begin = if self.prompted { "\r\x1b[K" } else { "" };
        self.prompted = false;
        self.put(&format!("{begin}{line}\n"));
    }

    fn put(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        self.gone |= out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }

    fn name(&self, person: Id) -> String {
        self.discord.name_of(person).unwrap_or_default()
    }

    fn channel_of(&self, event: &Event) -> &str {
        event.channel.and_then(|channel| self.names.get(&channel)).map_or("", String::as_str)
    }

    fn quote(&self, message: Id) -> String {
        let content = self.discord.message(message).map(|message| message.content).unwrap_or_default();
        let words = content.split_once("> ").map_or(content.as_str(), |(_, words)| words);
        let short: String = words.chars().take(30).collect();
        format!("“{short}”")
    }
}

/// A file's size for people.
fn size(bytes: usize) -> String {
    match bytes {
        ..1000 => format!("{bytes} bytes"),
        _ => format!("{} KB", (bytes + 500) / 1000),
    }
}

/// The name in `#name` or `@name`, where the line is nothing else.
fn name_after(line: &str, sign: char) -> Option<&str> {
    let name = line.strip_prefix(sign)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_/.".contains(c));
    is_name.then_some(name)
}

/// The lines of standard input, read on a thread that the runtime need not wait for.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (send, receive) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_name_switches() {
        assert_eq!(name_after("#general", '#'), Some("general"));
        assert_eq!(name_after("#general/idea", '#'), Some("general/idea"));
        assert_eq!(name_after("# A heading", '#'), None);
        assert_eq!(name_after("#", '#'), None);
        assert_eq!(name_after("@anna what now?", '@'), None);
        assert_eq!(name_after("@anna", '@'), Some("anna"));
    }
}
