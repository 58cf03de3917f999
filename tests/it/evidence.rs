//! What the three who were there know of a run: Discord's history, the agents' own record, and the bot's store. The
//! proofs hold them against each other in [`verdict`](crate::verdict).

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moonlane::local::{LocalDiscord, Message, What};
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use crate::busy::Stopwatch;
use crate::commands::buttons;
use crate::support::processes_where;

/// All that is known of a run that is over.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub questions: Vec<Question>,
    pub posts: Vec<Post>,
    /// What still stands in the channels and is to be gone: hourglasses, and lines of progress.
    pub litter: Vec<String>,
    /// How many times longer than usual everything takes on a machine as busy as it was.
    pub slowness: f64,
    pub agents: Vec<AgentNote>,
    pub rows: HashMap<u64, Row>,
}

/// A message to the bot, as the person who wrote it knows it.
#[derive(Debug, Clone)]
pub struct Question {
    pub message: u64,
    /// What it says, and since when. Each text is there once in the whole run. A press below a question that a restart has
    /// left has none: what it says is the bot's.
    pub texts: Vec<(SystemTime, String)>,
    pub deleted: Option<SystemTime>,
}

/// Something that the bot posted, whether it still stands there or not.
#[derive(Debug, Clone)]
pub struct Post {
    pub id: u64,
    pub at: SystemTime,
    pub nonce: String,
    pub text: String,
    /// What is in its file.
    pub file: Option<String>,
}

/// A line of an agent's record.
#[derive(Debug, Clone, Deserialize)]
pub struct AgentNote {
    pub event: String,
    pub at_ns: u64,
    pub prompt: Option<String>,
}

impl AgentNote {
    /// An agent got this prompt at this time.
    pub fn prompted(prompt: &str, at: SystemTime) -> Self {
        let at_ns = at.duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap();
        Self { event: "prompt".to_owned(), at_ns, prompt: Some(prompt.to_owned()) }
    }

    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.at_ns)
    }
}

/// What the store has of a message.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The turn's state, or nothing where it was answered without one.
    pub state: Option<String>,
    pub delivery: Option<String>,
    /// The parts that were to be said: the number, and the post.
    pub parts: Vec<(u32, Option<u64>)>,
}

impl Row {
    /// Whether something of it is left to do.
    pub fn is_open(&self) -> bool {
        matches!(self.state.as_deref(), Some("waiting" | "running"))
            || self.delivery.as_deref() == Some("open")
    }
}

/// Whether anything is left in a channel that shows a turn at work or one that waits.
pub fn has_litter(discord: &LocalDiscord) -> bool {
    !history(discord).1.is_empty()
}

impl Evidence {
    /// Collects it. `root` is the bot's; the agents' records are its files `agent.log.*`.
    pub fn of(discord: &LocalDiscord, root: &Path, questions: Vec<Question>) -> Self {
        let (posts, litter) = history(discord);
        let asked = questions.iter().filter_map(|question| question.texts.first()?.0.elapsed().ok());
        let slowness = Stopwatch::started(asked.max().unwrap_or_default()).slowness();
        Self { questions, posts, litter, slowness, agents: agents(root), rows: rows(root) }
    }
}

/// Everything, in order of time as far as that is known.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start =
            self.questions.iter().filter_map(|question| question.texts.first()).map(|text| text.0).min();
        let start = start.unwrap_or(UNIX_EPOCH);
        let after = |at: SystemTime| at.duration_since(start).unwrap_or_default().as_secs_f64();
        for question in &self.questions {
            for (at, text) in &question.texts {
                writeln!(f, "  {:.3} s: {} asked {text:?}", after(*at), question.message)?;
            }
            writeln!(f, "    in the store: {:?}", self.rows.get(&question.message))?;
        }
        for note in &self.agents {
            writeln!(f, "  {:.3} s: an agent, {} {:?}", after(note.at()), note.event, note.prompt)?;
        }
        for Post { id, at, nonce, text, .. } in &self.posts {
            let text: String = text.chars().take(60).collect();
            writeln!(f, "  {:.3} s: posted {id} as {nonce}: {text:?}", after(*at))?;
        }
        self.litter.iter().try_for_each(|what| writeln!(f, "  left: {what}"))
    }
}

/// Whether this is a question of Claude's.
pub fn is_of_claude(message: &Message) -> bool {
    message.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("q-"))
}

fn history(discord: &LocalDiscord) -> (Vec<Post>, Vec<String>) {
    let (mut posts, mut litter) = (Vec::new(), Vec::new());
    let (now, wall) = (Instant::now(), SystemTime::now());
    let mut channels = std::collections::BTreeSet::new();
    for event in discord.log() {
        channels.extend(event.channel);
        let What::Posted(message) = event.what else { continue };
        if message.by_bot {
            let file = message.attachments.first().and_then(|file| discord.file(file.id));
            posts.push(Post {
                id: message.id.get(),
                at: wall - now.duration_since(event.at),
                nonce: message.nonce.unwrap_or_default(),
                text: message.content,
                file: file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()),
            });
        }
    }
    for channel in channels {
        for message in discord.messages(channel) {
            let is_left = message.content.contains("-# I was restarted before anybody answered");
            if is_of_claude(&message) && !buttons(&message).is_empty() && !is_left {
                litter.push(format!("dead buttons below {}: {}", message.id, message.content));
            }
            if message.reactions.iter().any(|(_, user)| *user == discord.bot_id()) {
                litter.push(format!("an hourglass on {}", message.id));
            }
            let nonce = message.nonce.unwrap_or_default();
            if nonce.starts_with("r-") {
                litter.push(format!("the line of progress {}", message.id));
            }
            if nonce.starts_with("w-") {
                litter.push(format!("the notice {}", message.id));
            }
        }
    }
    (posts, litter)
}

fn agents(root: &Path) -> Vec<AgentNote> {
    let files = std::fs::read_dir(root).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("agent.log."));
    let mut notes = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // An agent may have been killed in the middle of a line.
        notes.extend(text.lines().filter_map(|line| serde_json::from_str::<AgentNote>(line).ok()));
    }
    notes.sort_by_key(|note| note.at_ns);
    notes
}

/// The bot's database, to be read beside it; nothing as long as there is none.
pub fn database(root: &Path) -> Option<Connection> {
    let database =
        Connection::open_with_flags(root.join("moonlane.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    Some(database)
}

/// Whether the bot has seen the channels of the guild.
pub fn knows_places(root: &Path) -> bool {
    let Some(database) = database(root) else { return false };
    database.query_row("SELECT 1 FROM places LIMIT 1", (), |_| Ok(())).is_ok()
}

/// What the store has of each message.
pub fn rows(root: &Path) -> HashMap<u64, Row> {
    let mut rows = HashMap::<u64, Row>::new();
    let Some(database) = database(root) else { return rows };
    let sql = "SELECT id, turns.state, deliveries.state FROM messages
               LEFT JOIN turns ON turns.message = id LEFT JOIN deliveries ON deliveries.message = id";
    let Ok(mut statement) = database.prepare(sql) else { return rows };
    let mut found = statement.query(()).unwrap();
    while let Some(row) = found.next().unwrap() {
        let id = row.get::<_, i64>(0).unwrap().cast_unsigned();
        let (state, delivery) = (row.get(1).unwrap(), row.get(2).unwrap());
        rows.insert(id, Row { state, delivery, parts: Vec::new() });
    }
    let sql = "SELECT message, number, posted FROM parts WHERE NOT spare ORDER BY message, number";
    let mut statement = database.prepare(sql).unwrap();
    let mut found = statement.query(()).unwrap();
    while let Some(row) = found.next().unwrap() {
        let id = row.get::<_, i64>(0).unwrap().cast_unsigned();
        let posted = row.get::<_, Option<i64>>(2).unwrap().map(i64::cast_unsigned);
        rows.entry(id).or_default().parts.push((row.get(1).unwrap(), posted));
    }
    rows
}

/// Guards, agents and whatever they started, of bots on this stage.
pub fn agent_processes(root: &Path) -> Vec<u32> {
    let log = format!("DEMO_AGENT_LOG={}", root.join("agent.log").display());
    processes_where(|variable| variable.starts_with(log.as_bytes()))
}

/// `scripts/routing.lua` with a project for each of so many channels, `c000` and so on, so that each has an agents' record
/// and a lock of its own. Answers in every other channel become a file where they are long.
pub fn a_project_per_channel(channels: usize) -> String {
    format!(
        r#"
        local projects = {{}}
        for number = 0, {channels} - 1 do
            local name = ("c%03d"):format(number)
            local log = "LOG"
            projects[name] = {{
                dir = "WORK",
                env = {{ DEMO_AGENT_LOG = log .. "." .. name, DEMO_AGENT_LANE = log .. ".lane." .. name }},
                format = {{ max_parts = number % 2 == 0 and 8 }},
            }}
        end
        return {{ projects = projects, route = function(m) return m.channel.name end }}"#
    )
}

/// The name of a channel of [`a_project_per_channel`].
pub fn channel_name(number: usize) -> String {
    format!("c{number:03}")
}
