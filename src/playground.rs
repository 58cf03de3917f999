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
        person: discord.owner(),
        interactive: std::io::stdin().is_terminal(),
        channel_name: "general".to_owned(),
        typing: None,
        printed: 0,
        pending: HashMap::new(),
        failed: false,
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
    channel_name: String,
    person: Id,
    interactive: bool,
    /// The channel in which the bot was last said to be typing.
    typing: Option<Id>,
    /// How much of the local Discord's log is on the screen.
    printed: usize,
    /// What was said and is not settled.
    pending: HashMap<u64, Id>,
    failed: bool,
}

impl Table {
    fn banner(&self, agent: AgentKind) {
        match agent {
            AgentKind::Demo => println!(
                "moonlane playground. A scripted demo agent answers: no account, no cost (--agent claude asks the real one)."
            ),
            AgentKind::Claude => {
                println!("moonlane playground. The real Claude Code answers, at its usual cost.")
            }
        }
        if self.interactive {
            println!(
                "A line is a message to the bot. #name switches the channel, @name the speaker; Ctrl-D ends."
            );
        }
    }

    async fn talk(&mut self, mut settling: mpsc::UnboundedReceiver<(MessageId, Settled)>) {
        let mut lines = lines();
        let mut open = true;
        self.prompt();
        while open || !self.pending.is_empty() {
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
                _ = tokio::signal::ctrl_c() => return,
            }
        }
        for event in self.discord.log().split_off(self.printed) {
            self.show(&event);
        }
    }

    /// What the person typed.
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(name) = name_after(line, '#') {
            self.channel = self.discord.channel(name);
            self.channel_name = name.to_owned();
        } else if let Some(name) = name_after(line, '@') {
            self.person = self.discord.user(name);
        } else if !line.is_empty() {
            if !self.interactive {
                println!("@{}: {line}", self.name(self.person));
            }
            let message = self.discord.say(Say::to_bot(self.channel, self.person, line));
            self.pending.insert(message.get(), self.person);
        }
        self.prompt();
    }

    fn settle(&mut self, message: MessageId, settled: Settled) {
        let Some(person) = self.pending.remove(&message.get()) else { return };
        match settled {
            Settled::Ignored => {
                println!("· no answer: not meant for the bot, or @{} is not let in", self.name(person));
                self.prompt();
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
                println!("{title}{rule}{length}\n{}", message.content);
            }
            What::Typing { .. } if self.typing != event.channel => {
                self.typing = event.channel;
                println!("· moonlane is typing in #{}", self.channel_of(event));
            }
            What::ReactionAdded { message, emoji, .. } => println!("· {emoji} on {}", self.quote(*message)),
            What::ReactionRemoved { message, emoji, .. } => {
                println!("· {emoji} taken off {}", self.quote(*message));
            }
            _ => return,
        }
        self.prompt();
    }

    fn prompt(&self) {
        if self.interactive {
            print!("#{} @{}> ", self.channel_name, self.name(self.person));
            // A terminal that is gone ends the input, too.
            let _ = std::io::stdout().flush();
        }
    }

    fn name(&self, person: Id) -> String {
        self.discord.name_of(person).unwrap_or_default()
    }

    fn channel_of(&self, event: &Event) -> String {
        let channel = event.channel.and_then(|channel| self.discord.channel_name(channel));
        channel.unwrap_or_default()
    }

    fn quote(&self, message: Id) -> String {
        let content = self.discord.message(message).map(|message| message.content).unwrap_or_default();
        let words = content.split_once("> ").map_or(content.as_str(), |(_, words)| words);
        let short: String = words.chars().take(30).collect();
        format!("“{short}”")
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
