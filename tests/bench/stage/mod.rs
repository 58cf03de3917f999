//! What the benches share: a separate bot with demo agents, and a local Discord.
#![allow(dead_code, reason = "each bench uses its own half")]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use moonlane::local::{LocalDiscord, Options, RateLimits};
use tempfile::TempDir;

const MOONLANE: &str = env!("CARGO_BIN_EXE_moonlane");

/// A folder with configuration and scripts: demo agents that log. A message with the word "quiet" in it is for a project whose
/// turns have no live line.
pub fn set_up() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["config", "scripts", "work"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let routing = format!(
        r#"local function project(live)
              return {{ dir = "{}", footer = false, live = live, env = {{ DEMO_AGENT_LOG = "{}", CLAUDE_CONFIG_DIR = "{}" }} }}
           end
           return {{ projects = {{ here = project("line"), quiet = project("off") }},
                    route = function(message) return message.text:find("quiet") and "quiet" or "here" end }}"#,
        root.join("work").display(),
        root.join("agent.log").display(),
        root.join("claude").display(),
    );
    std::fs::write(root.join("scripts/routing.lua"), routing).unwrap();
    std::fs::write(root.join("scripts/triggers.lua"), "return { mention = true }").unwrap();
    // One person stands for many.
    let config = format!(
        "[agent]\nmax_live = 200\ncommand = [{MOONLANE:?}, \"demo-agent\"]\n[person]\nmax_running = 1000\n\
         max_waiting = 1000\nmax_messages = 100000\n"
    );
    std::fs::write(root.join("config/moonlane.toml"), config).unwrap();
    folder
}

/// A separate bot; killed when dropped.
pub struct Bot(Child);

impl Bot {
    /// Starts it and waits until it is connected.
    pub async fn start(root: &Path, discord: &LocalDiscord) -> Self {
        let child = Command::new(MOONLANE)
            .args(["--root", root.to_str().unwrap(), "run"])
            .env("DISCORD_TOKEN", discord.token())
            .env("MOONLANE_DISCORD__API_URL", discord.url())
            .env("MOONLANE_LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        discord.connected().await;
        Self(child)
    }

    /// Its resident memory now.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        // Let it end its agents.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A local Discord without rate limits.
pub async fn local_discord() -> LocalDiscord {
    LocalDiscord::start(Options { rate_limits: RateLimits::Off, ..Options::default() }).await.unwrap()
}
