//! Voice messages as text, by a program of the operator's choice.
//!
//! It gets the recording on its standard input, as Discord serves it (Ogg with Opus), and prints the text. It runs behind a
//! guard, as agents do, so nothing of it outlives its time limit, its turn or the bot; and with no more of the bot's
//! environment than any program needs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::guarded::{self, ProgramError};
use super::kin::Kin;
use super::{Agents, launch};
use crate::config::VoiceConfig;

/// The longest text, in bytes. An hour of speech has about 60 KB.
const LONGEST: u64 = 256 << 10;

/// Why there is no text of a recording.
#[derive(Debug, thiserror::Error)]
pub enum NotTranscribed {
    #[error("the recording cannot be opened: {0}")]
    NoRecording(std::io::Error),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("`{program}` ended with {status}: {complaint}")]
    Failed { program: String, status: std::process::ExitStatus, complaint: String },
    #[error("what it printed is not UTF-8")]
    NotText,
}

/// Runs the program of `[voice]`.
#[derive(Debug, Clone)]
pub struct Transcriber {
    config: VoiceConfig,
    guard: PathBuf,
    umask: Option<u32>,
    environment: BTreeMap<OsString, OsString>,
    kin: Kin,
}

impl Agents {
    /// What turns voice messages into text; `None` where no program is configured for it.
    pub fn transcriber(&self, config: VoiceConfig) -> Option<Transcriber> {
        if config.command.is_empty() {
            return None;
        }
        let (agent, inherited) = (&self.0.config, &self.0.environment);
        let passes = |name: &OsStr| {
            let is_passed = config.pass_env.iter().any(|passed| **passed == *name);
            (launch::every_program_needs(name) || is_passed) && !launch::is_the_bots_own(name, agent)
        };
        let environment = inherited.iter().filter(|(name, _)| passes(name));
        Some(Transcriber {
            environment: environment.map(|(name, value)| (name.clone(), value.clone())).collect(),
            guard: agent.guard.clone(),
            umask: agent.umask,
            kin: self.0.kin.clone(),
            config,
        })
    }
}

impl Transcriber {
    /// The words of a recording; empty where there are none. Cancellable at every point.
    ///
    /// # Errors
    /// See [`NotTranscribed`]; for the log.
    pub async fn transcribe(&self, recording: &Path) -> Result<String, NotTranscribed> {
        let recording = File::open(recording).map_err(NotTranscribed::NoRecording)?;
        let mark = self.kin.mark();
        let mut command = guarded::command(&self.guard, self.umask, &self.kin, &mark);
        command
            .arg("--")
            .args(&self.config.command)
            .current_dir(&self.config.dir)
            .env_clear()
            .envs(&self.environment)
            .stdin(recording)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let finished = guarded::run(command, (&self.kin, &mark), self.config.time_limit, LONGEST).await?;
        if !finished.status.success() {
            return Err(NotTranscribed::Failed {
                program: self.config.command.join(" "),
                status: finished.status,
                complaint: String::from_utf8_lossy(&finished.stderr).trim().to_owned(),
            });
        }
        let text = String::from_utf8(finished.stdout).map_err(|_| NotTranscribed::NotText)?;
        let is_kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
        Ok(text.chars().filter(is_kept).collect::<String>().trim().to_owned())
    }
}
