//! Sessions as small files, so that a later process can resume them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

/// What a turn costs, in dollars.
const TURN_COSTS: f64 = 0.001;

/// One conversation: a file with a JSON line per turn.
pub struct DemoSession {
    id: String,
    file: PathBuf,
    prompts: Vec<String>,
    cost: f64,
}

/// Why there is no session.
pub enum SessionError {
    InUse(String),
    Unknown(String),
}

impl SessionError {
    /// Says it as the real CLI (2.1.330) does.
    pub fn report(self) -> ExitCode {
        match self {
            Self::InUse(id) => eprintln!("Error: Session ID {id} is already in use."),
            Self::Unknown(id) => {
                let text = format!("No conversation found with session ID: {id}");
                eprintln!("{text}");
                let result = json!({
                    "type": "result", "subtype": "error_during_execution", "is_error": true, "num_turns": 0,
                    "session_id": id, "total_cost_usd": 0, "permission_denials": [], "errors": [text],
                });
                println!("{result}");
            }
        }
        ExitCode::FAILURE
    }
}

impl DemoSession {
    /// A new session under an id that is not known yet, or one that is known.
    pub fn open(new: Option<String>, resumed: Option<String>) -> Result<Self, SessionError> {
        let id = resumed.clone().or(new).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        // The id becomes a file name, so it must be nothing but a UUID.
        let Ok(id) = id.parse::<uuid::Uuid>().map(|id| id.to_string()) else {
            return Err(SessionError::Unknown(id));
        };
        let file = folder().join(format!("{id}.jsonl"));
        match (fs::read_to_string(&file), resumed) {
            (Ok(_), None) => Err(SessionError::InUse(id)),
            (Err(_), Some(_)) => Err(SessionError::Unknown(id)),
            (text, _) => {
                let text = text.unwrap_or_default();
                let turns: Vec<Value> =
                    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
                let prompts =
                    turns.iter().filter_map(|turn| turn["prompt"].as_str()).map(str::to_owned).collect();
                let cost = turns.last().and_then(|turn| turn["cost"].as_f64()).unwrap_or(0.0);
                Ok(Self { id, file, prompts, cost })
            }
        }
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Continues under another id with an empty history, as `/clear` does.
    pub fn clear(&mut self, id: String) {
        *self = Self { file: folder().join(format!("{id}.jsonl")), id, prompts: Vec::new(), cost: 0.0 };
        self.add("CLEAR");
    }

    /// What was asked so far, the present turn included.
    pub fn prompts(&self) -> &[String] {
        &self.prompts
    }

    /// What all turns have cost together, in dollars.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Sets what the present turn costs, in place of the usual amount.
    pub fn pay(&mut self, dollars: f64) {
        self.cost += dollars - TURN_COSTS;
        self.write(&json!({ "cost": self.cost }));
    }

    /// Notes the beginning of a turn, at once: a killed turn is in the history too.
    pub fn add(&mut self, prompt: &str) {
        self.cost += TURN_COSTS;
        self.prompts.push(prompt.to_owned());
        self.write(&json!({ "prompt": prompt, "cost": self.cost }));
    }

    fn write(&self, line: &Value) {
        let line = format!("{line}\n");
        let file = fs::create_dir_all(folder())
            .and_then(|()| fs::OpenOptions::new().append(true).create(true).open(&self.file));
        if let Err(e) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            eprintln!("the demo agent cannot write its session: {e}");
        }
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("CLAUDE_CONFIG_DIR") {
        Some(dir) => PathBuf::from(dir).join("demo-agent"),
        None => {
            let user = rustix::process::getuid().as_raw();
            std::env::temp_dir().join(format!("moonlane-demo-agent-{user}"))
        }
    }
}
