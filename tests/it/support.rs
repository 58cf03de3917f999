//! The stage that whole-bot tests play on: the real bot, the real serenity client, real SQLite, real Lua and real
//! child processes, over a local Discord.
//!
//! A test reads as a conversation. It waits for events and never sleeps for luck; every wait has the same generous
//! end, so that a test that would hang fails with words.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use moonlane::bot::Bot;
use moonlane::config::Config;
use moonlane::domain::{MessageId, Outcome};
use moonlane::host;
use moonlane::local::{Id, LocalDiscord, Message, Options, RateLimits, Say, What};
use moonlane::reload::Reloader;
use moonlane::turn::Settled;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::busy::Stopwatch;

/// The program under test.
pub const MOONLANE: &str = env!("CARGO_BIN_EXE_moonlane");

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The turn has ended with an answer, and all of it is said.
pub const ANSWERED: Settled = Settled::Ended(Outcome::Answered);

/// The turn has failed, and its person heard so.
pub const FAILED: Settled = Settled::Ended(Outcome::Failed);

/// The prompt of [`Stage::held`].
pub const HELD: &str = "READ:gate";

/// The configuration for a test in which one person stands for many: none of the limits for one counts.
pub const ONE_FOR_MANY: &str =
    "[person]\nmax_running = 1000\nmax_waiting = 1000\nmax_messages = 100000\nmax_commands = 1000\n";

/// Waits for `future`, and fails with `what` if it does not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for: {what}"),
    }
}

/// What a stage begins with. Each part has a default that works.
pub struct Setup {
    /// `scripts/routing.lua`; `WORK` in it is the work folder, `LOG` the agents' log.
    pub routing: String,
    /// `scripts/triggers.lua`.
    pub triggers: String,
    /// `config/moonlane.toml`, besides the agent's command.
    pub config: String,
    /// The agent's command.
    pub agent: Vec<String>,
    pub discord: Options,
}

/// Every channel is the project `here`, with whatever the test puts into the project's table. No answer tells how long it
/// took, unless the test asks for that.
pub fn routing_with(project: &str) -> String {
    format!(
        r#"return {{
            projects = {{ here = {{ dir = "WORK", env = {{ DEMO_AGENT_LOG = "LOG" }}, footer = false, {project} }} }},
            route = function() return "here" end,
        }}"#
    )
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            routing: routing_with(""),
            triggers: "return { mention = true }".to_owned(),
            config: String::new(),
            agent: vec![MOONLANE.to_owned(), "demo-agent".to_owned()],
            // How quickly commands are answered is seen by those tests that ask for it, not by all on a slow machine.
            discord: Options { rate_limits: RateLimits::Off, acknowledge: PATIENCE, ..Options::default() },
        }
    }
}

/// One thing that a demo agent wrote into its log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AgentEvent {
    pub pid: u32,
    pub session: String,
    /// `start`, `prompt`, `result` or `exit`.
    pub event: String,
    /// Nanoseconds of the system's clock.
    pub at_ns: u64,
    #[serde(default)]
    pub prompt: Option<String>,
}

/// A turn that is quick where the machine is not busy shows nothing but its answer, however busy it is.
fn quiet(config: &mut Config) {
    let times = &mut config.discord.live_times;
    (times.shown_after, times.notice_after) = (PATIENCE, PATIENCE);
}

/// A bot on a local Discord, with a folder of its own.
pub struct Stage {
    pub discord: LocalDiscord,
    pub folder: TempDir,
    /// How long its Discord waits for the first answer to a command.
    acknowledge: Duration,
    /// What is different in the configuration that no file can say.
    pub adjust: fn(&mut Config),
    bot: Option<Bot>,
    settling: mpsc::UnboundedReceiver<(MessageId, Settled)>,
    settled: HashMap<u64, Settled>,
}

impl Stage {
    /// A stage with the default setup, and the bot on it.
    pub async fn open() -> Self {
        Self::with(Setup::default()).await
    }

    /// A stage with this setup, and the bot on it.
    pub async fn with(setup: Setup) -> Self {
        let mut stage = Self::without_bot(setup).await;
        stage.start().await;
        stage
    }

    /// A stage whose bot has not started.
    pub async fn without_bot(setup: Setup) -> Self {
        // Whoever judges what happens on it wants to know how busy the machine was all the time.
        Stopwatch::start();
        let discord = LocalDiscord::start(setup.discord.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["config", "scripts", "work", "claude"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        std::fs::write(root.join("scripts/routing.lua"), filled(root, &setup.routing)).unwrap();
        std::fs::write(root.join("scripts/triggers.lua"), filled(root, &setup.triggers)).unwrap();
        std::fs::write(root.join("config/moonlane.toml"), with_agent(&setup.config, &setup.agent)).unwrap();
        let (_, settling) = mpsc::unbounded_channel();
        let acknowledge = setup.discord.acknowledge;
        Self { discord, folder, acknowledge, adjust: quiet, bot: None, settling, settled: HashMap::new() }
    }

    /// The stage's folder: `--root` for a separate process.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// What reloads the running bot's scripts.
    pub fn reloader(&self) -> &Reloader {
        self.bot.as_ref().expect("a bot that runs").reloader()
    }

    /// Writes this file of the script folder, in place; `WORK` and `LOG` are as in [`Setup::routing`].
    pub fn save(&self, file: &str, script: &str) {
        std::fs::write(self.root().join("scripts").join(file), filled(self.root(), script)).unwrap();
    }

    /// Adds these sections to its configuration, which a bot reads when it starts.
    pub fn configure(&self, sections: &str) {
        let file = self.root().join("config/moonlane.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, format!("{text}\n{sections}")).unwrap();
    }

    /// Where the project's agents work.
    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// The configuration as the bot reads it.
    pub fn config(&self) -> Config {
        let overrides = [("MOONLANE_DISCORD__API_URL".to_owned(), self.discord.url().to_owned())];
        let mut config = Config::load(self.root(), overrides).unwrap();
        config.agent.guard = MOONLANE.into();
        config.discord.first_answer = self.acknowledge;
        (self.adjust)(&mut config);
        config
    }

    /// Starts the bot.
    pub async fn start(&mut self) {
        let (settled, settling) = mpsc::unbounded_channel();
        let config = self.config();
        let stop = CancellationToken::new();
        let token = self.discord.token();
        let start = Bot::start(&config, token, host::redactor(&config, token), Some(settled), &stop);
        self.bot = Some(within("the bot's start", start).await.unwrap());
        self.settling = settling;
        // An earlier bot's word does not count for what this one takes up.
        self.settled.clear();
    }

    /// Waits until the bot cannot go on by itself, and says why.
    pub async fn failed(&mut self) -> String {
        self.bot.as_mut().expect("a bot that runs").failed().await.to_string()
    }

    /// Stops the bot as SIGTERM would.
    pub async fn stop(&mut self) {
        let bot = self.bot.take().expect("a bot that runs");
        within("the bot's end", bot.shut_down()).await;
    }

    /// The owner mentions the bot.
    pub fn say(&self, channel: &str, text: &str) -> Id {
        self.say_as("owner", channel, text)
    }

    /// Somebody mentions the bot.
    pub fn say_as(&self, person: &str, channel: &str, text: &str) -> Id {
        let person = if person == "owner" { self.discord.owner() } else { self.discord.user(person) };
        self.discord.say(Say::to_bot(self.discord.channel(channel), person, text))
    }

    /// Waits until a message is settled, and says how.
    pub async fn settled(&mut self, message: Id) -> Settled {
        let wait = async {
            loop {
                if let Some(settled) = self.settled.get(&message.get()) {
                    return *settled;
                }
                let (id, settled) = self.settling.recv().await.expect("the bot runs");
                self.settled.insert(id.get(), settled);
            }
        };
        within(&format!("message {message} to be settled"), wait).await
    }

    /// Waits anew for a message that has been settled.
    pub fn forget_settled(&mut self, message: Id) {
        self.settled.remove(&message.get());
    }

    /// The owner mentions the bot and waits for the whole answer.
    pub async fn ask(&mut self, channel: &str, text: &str) -> String {
        let message = self.say(channel, text);
        self.settled(message).await;
        self.answer(message)
    }

    /// The parts that the bot has posted in answer to a message, in the order in which they stand there.
    pub fn parts(&self, message: Id) -> Vec<Message> {
        let channel = self.discord.message(message).map(|question| question.channel);
        let Some(channel) = channel.or_else(|| self.channel_of_deleted(message)) else { return Vec::new() };
        let ours = format!("{message}-");
        let is_part = |it: &Message| it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with(&ours));
        // Perhaps in a thread that was opened from it.
        let thread = Some(message).filter(|thread| *thread != channel);
        let there = [channel].into_iter().chain(thread).flat_map(|channel| self.discord.messages(channel));
        there.filter(is_part).collect()
    }

    fn channel_of_deleted(&self, message: Id) -> Option<Id> {
        let log = self.discord.log();
        let deleted = log.iter().find(|event| event.what == What::Deleted(message));
        deleted.and_then(|event| event.channel)
    }

    /// Waits until Discord has refused to take a post in this channel.
    pub async fn refused_to_post(&self, channel: &str) {
        let path = format!("/channels/{}/messages", self.discord.channel(channel));
        let refused = |discord: &LocalDiscord| {
            let refused = |call: &moonlane::local::Call| {
                call.method == "POST" && call.path == path && call.status.is_some_and(|status| status >= 400)
            };
            discord.calls().iter().any(refused).then_some(())
        };
        within("a refused post", self.discord.wait_until(refused)).await;
    }

    /// The bot's answer to a message: its parts joined with a newline; short ids read `ID`.
    pub fn answer(&self, message: Id) -> String {
        let parts: Vec<String> = self.parts(message).into_iter().map(|part| part.content).collect();
        let short = MessageId::new(message.get()).unwrap().short();
        parts.join("\n").replace(&short, "ID")
    }

    /// Waits until the bot has posted at least this many parts in answer to a message.
    pub async fn parts_posted(&self, message: Id, count: usize) -> Vec<Message> {
        let ours = format!("{message}-");
        let is_part = |what: &What| match what {
            What::Posted(it) => it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with(&ours)),
            _ => false,
        };
        let posted = self
            .discord
            .wait_for(|log| (log.iter().filter(|event| is_part(&event.what)).count() >= count).then_some(()));
        within(&format!("{count} parts"), posted).await;
        self.parts(message)
    }

    /// Everything that the demo agents have logged, in order of time.
    pub fn agent_log(&self) -> Vec<AgentEvent> {
        let text = std::fs::read_to_string(self.root().join("agent.log")).unwrap_or_default();
        // The last one may be half written.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let mut events: Vec<AgentEvent> =
            lines.map(|line| serde_json::from_str(line).expect("a line of the agents' log")).collect();
        events.sort_by_key(|event| event.at_ns);
        events
    }

    /// Waits until an agent has got this prompt.
    pub async fn prompted(&self, prompt: &str) -> AgentEvent {
        let wait = async {
            loop {
                let log = self.agent_log();
                let found =
                    log.into_iter().find(|e| e.event == "prompt" && e.prompt.as_deref() == Some(prompt));
                match found {
                    Some(event) => return event,
                    // The log is another process's file: nothing tells of a change.
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        within(&format!("the prompt {prompt:?} at an agent"), wait).await
    }

    /// A turn of the owner whose agent is at work until [`Stage::let_go`].
    pub async fn held(&self, channel: &str) -> Id {
        self.close_gate();
        let message = self.say(channel, HELD);
        self.prompted(HELD).await;
        message
    }

    /// Has agents wait that are told to read the gate.
    pub fn close_gate(&self) {
        let made = std::process::Command::new("mkfifo").arg(self.work().join("gate")).status().unwrap();
        assert!(made.success());
    }

    /// Lets the agent of [`Stage::held`] end with this answer.
    pub async fn let_go(&self, answer: &'static str) {
        let gate = self.work().join("gate");
        // Opening it waits until the agent reads.
        let write = tokio::task::spawn_blocking(move || std::fs::write(gate, answer));
        within("the held agent to read", write).await.unwrap().unwrap();
    }

    /// Every process of the stage's agents: guards, agents, and what they have started, zombies apart. They are known
    /// by the log's name in their environment.
    pub fn agent_processes(&self) -> Vec<u32> {
        processes_with(&format!("DEMO_AGENT_LOG={}", self.root().join("agent.log").display()))
    }

    /// Waits until nothing of any agent is left; fails after five seconds. Says how long it took.
    pub async fn no_agent_is_left(&self) -> Duration {
        let begun = Stopwatch::start();
        loop {
            let left = self.agent_processes();
            if left.is_empty() {
                return begun.elapsed();
            }
            assert!(begun.is_within(Duration::from_secs(5)), "{left:?} are left after {begun:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// When each prompt that has its result was at work: start and end, in nanoseconds, by prompt.
    pub fn work_times(&self) -> HashMap<String, (u64, u64)> {
        let mut open: HashMap<u32, (String, u64)> = HashMap::new();
        let mut done = HashMap::new();
        for event in self.agent_log() {
            match (event.event.as_str(), event.prompt) {
                ("prompt", Some(prompt)) => drop(open.insert(event.pid, (prompt, event.at_ns))),
                ("result", _) => {
                    if let Some((prompt, start)) = open.remove(&event.pid) {
                        done.insert(prompt, (start, event.at_ns));
                    }
                }
                _ => {}
            }
        }
        done
    }

    /// Waits until a reaction was put on a message.
    pub async fn reacted(&self, message: Id, with: &str) {
        let seen = self.discord.wait_for(|log| {
            log.iter().find_map(|event| match &event.what {
                What::ReactionAdded { message: on, emoji, .. } if *on == message && emoji == with => Some(()),
                _ => None,
            })
        });
        within(&format!("{with} on {message}"), seen).await;
    }

    /// Waits until a reaction was taken off a message.
    pub async fn reaction_taken_off(&self, message: Id, which: &str) {
        let seen = self.discord.wait_for(|log| {
            log.iter().find_map(|event| match &event.what {
                What::ReactionRemoved { message: on, emoji, .. } if *on == message && emoji == which => {
                    Some(())
                }
                _ => None,
            })
        });
        within(&format!("{which} off {message}"), seen).await;
    }
}

/// The script with the stage's own paths in it.
fn filled(root: &Path, script: &str) -> String {
    let (work, log) = (root.join("work"), root.join("agent.log"));
    script.replace("WORK", work.to_str().unwrap()).replace("LOG\"", &format!("{}\"", log.display()))
}

/// Every process with this `NAME=value` in its environment, zombies apart.
pub fn processes_with(variable: &str) -> Vec<u32> {
    processes_where(|it| it == variable.as_bytes())
}

/// Every process that has such a `NAME=value` in its environment, zombies apart.
pub fn processes_where(is_it: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let pids =
        std::fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(&is_it)
    })
    .collect()
}

/// Writes a script that can be run.
///
/// Another process does it, and the same in [`copy_program`]: a file that this one has open for writing could not be run
/// while a child that another test is starting has a copy of the descriptor.
pub fn write_program(file: &Path, text: &str) {
    let write = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
    let written = std::process::Command::new("sh").args(["-c", write]).arg(file).arg(text).status().unwrap();
    assert!(written.success());
}

/// Copies the program under test to where others can run it.
pub fn copy_program(file: &Path) {
    let copied = std::process::Command::new("cp").arg(MOONLANE).arg(file).status().unwrap();
    assert!(copied.success());
}

/// The configuration with the agent's command in its `[agent]` section.
fn with_agent(config: &str, command: &[String]) -> String {
    let command = format!("command = {command:?}");
    match config.contains("[agent]") {
        true => config.replace("[agent]", &format!("[agent]\n{command}")),
        false => format!("{config}\n[agent]\n{command}\n"),
    }
}
