//! What holds where the configuration says nothing. `config/moonlane.toml` shows the same values.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use super::{Agent, Discord, Log, RawLimits, RawShare, ScriptsConfig, StoreConfig};
use crate::domain::{GateTimes, LiveTimes};
use crate::logging::Levels;

impl Default for Discord {
    fn default() -> Self {
        Self {
            token_env: "DISCORD_TOKEN".to_owned(),
            token_file: None,
            api_url: "https://discord.com".to_owned(),
            guilds: Vec::new(),
            keep_trying: Duration::from_secs(24 * 60 * 60),
            gate_times: GateTimes::default(),
            request_limit: Duration::from_secs(15),
            first_answer: Duration::from_secs(3),
            live_times: LiveTimes::default(),
        }
    }
}

impl Default for ScriptsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("scripts"),
            time_limit: Duration::from_millis(100),
            memory_limit: ByteSize::mib(32),
            notify_channel: None,
            max_waiting: 1000,
            own: Vec::new(),
            token_env: String::new(),
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            command: vec!["claude".to_owned()],
            pass_env: Vec::new(),
            max_running: 8,
            max_live: 16,
            idle_close: Duration::from_secs(10 * 60),
            token_env: Discord::default().token_env,
            guard: PathBuf::from("/proc/self/exe"),
            umask: None,
            hidden: Vec::new(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("moonlane.db"), min_free: ByteSize::mib(64) }
    }
}

impl Default for RawShare {
    fn default() -> Self {
        Self { max_running: None, max_waiting: 10, max_messages: 30, max_commands: 10, max_dialogs: 5 }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            start: minutes(1),
            wake: Duration::from_secs(10),
            silence: minutes(10),
            tool: minutes(30),
            turn: minutes(60),
            after_result: Duration::from_secs(10),
            continue_spread: minutes(1),
            question: minutes(30),
            question_choice: Duration::ZERO,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Levels::usual() }
    }
}
