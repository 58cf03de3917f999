//! moonlane as processes of their own, with an environment of their own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::support::{MOONLANE, Stage, within};

/// Nothing of the environment of the tests but the PATH, and a home in this folder.
pub fn clean(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let (home, temporary) = (folder.join("home"), folder.join("tmp"));
    std::fs::create_dir_all(&home).unwrap();
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TMPDIR", temporary);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// `moonlane run` on this stage, ready to be changed and started.
pub fn bot_on(stage: &Stage) -> Command {
    let mut command = clean(MOONLANE, stage.root());
    command.args(["run", "--root"]).arg(stage.root());
    command.env("DISCORD_TOKEN", stage.discord.token());
    command.env("MOONLANE_DISCORD__API_URL", stage.discord.url());
    command
}

/// A running process, and what it has said so far.
pub struct Process {
    child: Child,
    said: Arc<watch::Sender<String>>,
}

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<watch::Sender<String>>::default();
        listen(child.stdout.take().unwrap(), Arc::clone(&said));
        listen(child.stderr.take().unwrap(), Arc::clone(&said));
        Self { child, said }
    }

    /// Starts a bot, and waits until it is ready.
    pub async fn ready(command: &mut Command) -> Self {
        let process = Self::start(command);
        process.line(" ready ").await;
        process
    }

    /// All lines so far, of stdout and stderr.
    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Waits for a line that contains `what`.
    pub async fn line(&self, what: &str) -> String {
        let mut said = self.said.subscribe();
        let found = |text: &String| text.lines().any(|line| line.contains(what));
        let waited = tokio::time::timeout(crate::support::PATIENCE, said.wait_for(found)).await;
        assert!(waited.is_ok(), "waited in vain for {what:?} in:\n{}", self.said());
        let text = self.said();
        text.lines().find(|line| line.contains(what)).unwrap().to_owned()
    }

    /// Waits until it says more.
    pub async fn more(&self) {
        self.said.subscribe().changed().await.unwrap();
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ends it as nothing can prevent, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for its end, and for the last it said.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = within("the process's end", self.child.wait()).await.unwrap();
        // Each listener holds one; the pipes may outlive the process if it left children.
        let listeners = async {
            while Arc::strong_count(&self.said) > 1 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        within("the end of the process's pipes", listeners).await;
        status
    }

    /// Tells it to end, and sees that it does so well.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.said());
    }
}

fn listen(pipe: impl AsyncRead + Unpin + Send + 'static, said: Arc<watch::Sender<String>>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            said.send_modify(|text| {
                text.push_str(&line);
                text.push('\n');
            });
        }
    });
}
