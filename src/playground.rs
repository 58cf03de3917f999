//! The bot against a local Discord, in the terminal.
//!
//! A line is a message that mentions the bot; `#name` alone switches the channel, `@name` alone the person who
//! speaks; `/name option=value` uses a command, and a number alone presses the button, or chooses the option of a
//! menu, that is shown with it. `/attach PATH`, or a path alone, sends a file with the next line, or alone with an empty
//! one; `/reply TEXT` answers the bot's last message, and `/forward` forwards it. A form that opens is filled in line by line. With piped input a line is read as soon as the command before it has its answer, and
//! it ends when all messages are settled and all commands answered.
//!
//! What shows a turn at work stands below everything else and is redrawn in place, where the output is a terminal.

mod fill;
mod hands;
mod input;
mod picture;
mod saying;
mod screen;
mod show;

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bot::Bot;
use crate::config::Config;
use crate::domain::{MessageId, Outcome};
use crate::host;
use crate::local::{Event, File, Id, LocalDiscord, Message, Options, RateLimits, Say, What};
use crate::logging::{self, Levels};
use crate::turn::Settled;
use crate::view;

use fill::Filling;
use hands::Target;
use input::{InputLine, begins_with_name, name_after};
use screen::Screen;

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
/// If it could not be set up, or the bot did not start ([`crate::bot::StartError`]).
pub async fn run(mut config: Config, agent: AgentKind) -> anyhow::Result<ExitCode> {
    let redactor = host::redactor(&config, "");
    logging::to_stderr(&Levels::errors(), redactor.clone());
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
    let mut table = Terminal {
        channel: discord.channel("general"),
        names: HashMap::from([(discord.channel("general"), "general".to_owned())]),
        person: discord.owner(),
        interactive: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        screen: Screen::new(width()),
        draws: picture::can_draw(|name| std::env::var(name).ok()),
        typing: None,
        printed: 0,
        pending: HashMap::new(),
        asked: Vec::new(),
        targets: Vec::new(),
        filling: None,
        files: Vec::new(),
        lines: Vec::new(),
        failed: false,
        gone: false,
        discord,
    };
    let mut bot =
        Bot::start(&config, table.discord.token(), redactor, Some(settled), &CancellationToken::new())
            .await?;
    table.banner(agent);
    let failed = tokio::select! {
        () = table.talk(settling) => None,
        failed = bot.failed() => Some(failed),
    };
    bot.shut_down().await;
    if let Some(failed) = failed {
        return Err(failed.into());
    }
    Ok(if table.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// How often what changes is redrawn: the times in it are told in seconds.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);

/// How long after the last event it is certain that a press has answered nothing, once the input has ended.
const UNANSWERED_AFTER: Duration = Duration::from_secs(2);

/// How long the bot has to acknowledge a command or a press, as with Discord.
const PATIENCE: Duration = Duration::from_secs(3);

/// A command or a press that waits for its answer.
struct PendingInteraction {
    interaction: Id,
    /// As the person would call it.
    what: String,
    at: Instant,
}

/// Where the person sits.
struct Terminal {
    discord: LocalDiscord,
    channel: Id,
    /// The channels by the names that the person gave: `parent/name` for a thread.
    names: HashMap<Id, String>,
    person: Id,
    interactive: bool,
    screen: Screen,
    /// Whether the terminal draws pictures.
    draws: bool,
    /// The channel in which the bot was last said to be typing.
    typing: Option<Id>,
    /// How much of the local Discord's log is on the screen.
    printed: usize,
    /// The messages that are not settled yet, and who wrote them.
    pending: HashMap<u64, Id>,
    /// The commands and presses without an answer.
    asked: Vec<PendingInteraction>,
    /// What can be pressed, by its number less one; `None` once it is gone.
    targets: Vec<Option<Target>>,
    /// The form that is being filled in.
    filling: Option<Filling>,
    /// The files that go with the next line.
    files: Vec<File>,
    /// The messages that show turns at work.
    lines: Vec<Message>,
    failed: bool,
    /// Standard output is closed.
    gone: bool,
}

impl Terminal {
    fn banner(&mut self, agent: AgentKind) {
        self.print(match agent {
            AgentKind::Demo => {
                "moonlane playground. A scripted demo agent answers: no account, no cost (--agent claude asks the real one)."
            }
            AgentKind::Claude => "moonlane playground. The real Claude Code answers, at its usual cost.",
        });
        if self.interactive {
            self.print(
                "A line is a message to the bot. #name switches the channel, @name the speaker, /name uses a command, \
                 a number presses a button, /attach PATH sends a file, /reply TEXT and /forward take up the last answer; \
                 Ctrl-D ends.",
            );
        }
    }

    async fn talk(&mut self, mut settling: mpsc::UnboundedReceiver<(MessageId, Settled)>) {
        let mut lines = input::lines();
        let mut open = true;
        let ctrl_c = tokio::signal::ctrl_c();
        tokio::pin!(ctrl_c);
        while (open || !self.pending.is_empty() || !self.asked.is_empty()) && !self.gone {
            if open {
                self.prompt();
            }
            let discord = self.discord.clone();
            let printed = self.printed;
            // A button must be there before it can be pressed: a person waits for it, a pipe would not.
            let ready = open && (self.interactive || self.asked.is_empty());
            let unanswered = self.unanswered();
            let ticks = self.screen.redraws();
            let in_vain = !open && self.asked.is_empty() && self.waits_for_answers_only();
            tokio::select! {
                biased;
                fresh = discord.wait_for(|log| (log.len() > printed).then(|| log[printed..].to_vec())) => {
                    self.printed += fresh.len();
                    for event in &fresh {
                        self.show(event);
                    }
                }
                Some((message, settled)) = settling.recv() => self.settle(message, settled),
                () = until(unanswered), if unanswered.is_some() => self.give_up(),
                // The times in it go on.
                () = tokio::time::sleep(REDRAWN_EVERY), if ticks => self.redraw(),
                () = tokio::time::sleep(UNANSWERED_AFTER), if in_vain => {
                    self.print("· ended: nobody is left to answer what Claude asks");
                    break;
                }
                line = lines.recv(), if ready => match line {
                    Some(InputLine::Text(line)) => self.line(&line),
                    Some(InputLine::NotText) => self.refuse_line(),
                    None => {
                        open = false;
                        self.say_files();
                    }
                },
                _ = &mut ctrl_c => break,
            }
        }
        // After Ctrl-C or a closed output something may be left.
        self.failed |= self.gone || !self.pending.is_empty() || !self.asked.is_empty();
        for event in self.discord.log().split_off(self.printed) {
            self.show(&event);
        }
        if self.screen.is_prompted() {
            self.put("\n");
        }
    }

    /// What the person typed.
    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        self.screen.line_ended();
        if let Some(filling) = self.filling.take() {
            self.fill_in(filling, line);
        } else if let Some(name) = name_after(line, '#') {
            self.switch_to(name);
        } else if let Some(name) = name_after(line, '@') {
            self.person = self.discord.user(name);
        } else if !line.is_empty() {
            if !self.interactive {
                self.print(&format!("@{}: {line}", self.name(self.person)));
            }
            if let Some(command) = saying::own_command(line) {
                return self.do_own(command);
            }
            if let Some(command) = line.strip_prefix('/').filter(|rest| begins_with_name(rest)) {
                return self.use_command(command);
            }
            if let Some(target) = self.target(line) {
                return self.press(&target);
            }
            self.say(Say::to_bot(self.channel, self.person, line));
        } else {
            self.say_files();
        }
    }

    /// A line that is not UTF-8 cannot be sent.
    fn refuse_line(&mut self) {
        self.screen.line_ended();
        self.failed |= !self.interactive;
        self.print("· not sent: this line is not valid UTF-8");
    }

    fn use_command(&mut self, line: &str) {
        let used = hands::command(&self.discord, self.channel, self.person, line);
        let what = format!("/{}", line.split_whitespace().next().unwrap_or_default());
        let done =
            used.and_then(|used| self.discord.use_command(used).map_err(|refused| refused.to_string()));
        self.asked(what, done);
    }

    fn press(&mut self, target: &Target) {
        let Target { message, custom_id, value, label } = target;
        let done = match value {
            None => self.discord.press(*message, self.person, custom_id),
            Some(value) => self.discord.choose(*message, self.person, custom_id, &[value]),
        };
        self.asked(format!("“{label}”"), done.map_err(|refused| refused.to_string()));
    }

    /// Whether each message that is not settled is one that Claude asks something about.
    fn waits_for_answers_only(&self) -> bool {
        let asks = self.targets.iter().flatten().filter(|target| target.is_of_question());
        let asked_about: Vec<Id> =
            asks.filter_map(|target| self.discord.message(target.message)?.reply_to).collect();
        self.pending.keys().all(|message| asked_about.iter().any(|about| about.get() == *message))
    }

    fn asked(&mut self, what: String, done: Result<Id, String>) {
        match done {
            Ok(interaction) => self.asked.push(PendingInteraction { interaction, what, at: Instant::now() }),
            Err(refused) => self.print(&format!("· {refused}")),
        }
    }

    /// What has this number.
    fn target(&self, line: &str) -> Option<Target> {
        let number = line.parse::<usize>().ok()?;
        self.targets.get(number.checked_sub(1)?)?.clone()
    }

    /// When to give up the oldest that is not acknowledged.
    fn unanswered(&self) -> Option<Instant> {
        let waiting = self.asked.iter().filter(|asked| self.discord.response(asked.interaction).is_none());
        waiting.map(|asked| asked.at + PATIENCE).min()
    }

    fn give_up(&mut self) {
        let discord = self.discord.clone();
        let late = |asked: &mut PendingInteraction| {
            asked.at.elapsed() >= PATIENCE && discord.response(asked.interaction).is_none()
        };
        let given_up: Vec<PendingInteraction> = self.asked.extract_if(.., late).collect();
        for asked in given_up {
            self.failed = true;
            self.print(&format!("· no answer to {}: the bot did not respond", asked.what));
        }
    }

    fn settle(&mut self, message: MessageId, settled: Settled) {
        let Some(person) = self.pending.remove(&message.get()) else { return };
        match settled {
            Settled::Ignored => {
                let name = self.name(person);
                self.print(&format!("· no answer: not meant for the bot, or @{name} has no access"));
            }
            Settled::Ended(Outcome::Failed | Outcome::Interrupted) => self.failed = true,
            Settled::Said | Settled::Ended(Outcome::Answered | Outcome::Cancelled | Outcome::Steered) => {}
        }
    }

    fn show(&mut self, event: &Event) {
        if let What::Acknowledged { interaction } = event.what {
            self.open_form(interaction);
        }
        let discord = self.discord.clone();
        let answered = |it: &PendingInteraction| {
            discord.response(it.interaction).is_some_and(|response| !response.loading)
        };
        self.asked.retain(|asked| !answered(asked));
        match &event.what {
            What::Posted(message) | What::Edited(message)
                if message.by_bot && view::is_line(&message.content) =>
            {
                self.typing = None;
                self.show_line(message);
            }
            What::Posted(message) if message.by_bot => {
                self.typing = None;
                self.show_message(event, message, "moonlane");
            }
            What::Edited(message) if message.by_bot => {
                self.forget_line(message.id);
                self.show_message(event, message, "moonlane changed its message");
            }
            What::Deleted(message) => {
                self.forget_targets(*message);
                if self.forget_line(*message) && !self.screen.is_terminal() {
                    self.print(&format!("· moonlane took its line away in #{}", self.channel_of(event)));
                }
            }
            What::ThreadOpened { .. } | What::ThreadChanged => {
                self.name_thread(event.channel.unwrap_or(self.channel));
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

    /// Prompts the person, unless the bot still has to answer, or to take its line away.
    fn prompt(&mut self) {
        let is_quiet = self.pending.is_empty() && self.asked.is_empty() && self.lines.is_empty();
        let is_due = self.interactive && is_quiet;
        if is_due && !self.screen.is_prompted() {
            let prompt = match &self.filling {
                Some(_) => "> ".to_owned(),
                None => format!("#{} @{}> ", self.names[&self.channel], self.name(self.person)),
            };
            let written = self.screen.prompt(&prompt);
            self.put(&written);
        }
    }

    /// Prints a line, in place of the prompt if there is one.
    fn print(&mut self, line: &str) {
        let written = self.screen.print(line);
        self.put(&written);
    }

    fn put(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        self.gone |= out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }

    fn name(&self, person: Id) -> String {
        self.discord.name_of(person).unwrap_or_default()
    }

    /// The text with names and times as people in Discord see them.
    fn as_people_see(&self, text: &str) -> String {
        let name = |person| self.discord.name_of(person);
        screen::with_names(&screen::with_times(text, now()), name)
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

/// The width of the terminal, where the output is one.
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(if size.ws_col == 0 { 80 } else { usize::from(size.ws_col) })
}

/// In Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

async fn until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time.into()).await;
    }
}
