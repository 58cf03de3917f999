//! Programs that are no agents and run to their end, behind a guard as agents are.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{self, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::kin::{self, Kin};

/// How much of what it complains about is kept, in bytes.
const KEPT_STDERR: u64 = 4 << 10;

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("cannot be started or read: {0}")]
    Failed(#[from] io::Error),
    #[error("not done within {0:?}")]
    TooSlow(Duration),
    #[error("printed more than {0} bytes")]
    TooMuch(u64),
}

/// What a program has left.
#[derive(Debug)]
pub struct ProgramOutput {
    /// Its own, although a guard stood in between; 127 where it could not be started.
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The beginning.
    pub stderr: Vec<u8>,
}

/// A guard as a command, to which the program that it guards is to be added.
pub fn command(guard: &Path, umask: Option<u32>, kin: &Kin, mark: &str) -> Command {
    let mut command = Command::new(guard);
    command.arg0("moonlane").args(["agent-guard", "--bot", &std::process::id().to_string()]);
    if let Some(lock) = &kin.lock {
        command.arg("--lock").arg(lock);
    }
    if let Some(group) = kin.group(mark) {
        command.arg("--cgroup").arg(group);
    }
    if let Some(umask) = umask {
        command.arg("--umask").arg(umask.to_string());
    }
    command
}

/// Runs the [`command`] of a guard to its end, for so long at most, and keeps what it prints, up to so many bytes. Afterwards
/// nothing that it started is left. Where this is dropped, the guard ends all of that by itself.
///
/// # Errors
/// See [`ProgramError`].
pub async fn run(
    mut command: Command,
    (kin, mark): (&Kin, &str),
    limit: Duration,
    at_most: u64,
) -> Result<ProgramOutput, ProgramError> {
    command.env(kin::VARIABLE, mark).process_group(0);
    let mut running = Running(command.spawn()?);
    let finished = timeout(limit, running.finish(at_most)).await.unwrap_or(Err(ProgramError::TooSlow(limit)));
    // One that has not finished gets no time to end: nobody waits for what it may have to say.
    let exit = finished.as_ref().ok().map(|output| output.status);
    kin::end_left_over(exit, mark, kin.group(mark).as_deref()).await;
    let _ = running.0.wait().await;
    finished
}

/// A guard at work. Dropping it has it end what it guards.
struct Running(Child);

impl Running {
    async fn finish(&mut self, at_most: u64) -> Result<ProgramOutput, ProgramError> {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let output = async {
            let mut kept = Vec::new();
            if let Some(pipe) = stdout {
                pipe.take(at_most + 1).read_to_end(&mut kept).await?;
            }
            if kept.len() as u64 > at_most { Err(ProgramError::TooMuch(at_most)) } else { Ok(kept) }
        };
        let errors = async {
            let mut kept = Vec::new();
            if let Some(mut pipe) = stderr {
                (&mut pipe).take(KEPT_STDERR).read_to_end(&mut kept).await?;
                io::copy(&mut pipe, &mut io::sink()).await?;
            }
            Ok(kept)
        };
        let ended = async { Ok(self.0.wait().await?) };
        let (status, stdout, stderr) = tokio::try_join!(ended, output, errors)?;
        Ok(ProgramOutput { status, stdout, stderr })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // None once it has been waited for, so it is never another process's.
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}
