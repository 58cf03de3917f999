//! The machine: who may look into the bot, and what on this machine weakens its promises.

mod exposed;

use std::path::Path;

use rustix::fs::Mode;

use crate::config::Config;
use crate::redact::{self, Redactor};

pub use exposed::exposed_token;

/// Makes the process non-dumpable: from now on no other process of the same user, and so no agent and none of its
/// shells, can read its environment or memory (from `/proc`, or as a debugger). Only root still can.
///
/// # Errors
/// If the kernel does not do it.
pub fn hide() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// From now on, what this process creates is for its user alone: the database, its log, what is beside it. Returns the
/// umask that was in force, for what agents create.
pub fn keep_files_private() -> u32 {
    rustix::process::umask(Mode::RWXG | Mode::RWXO).as_raw_mode()
}

/// What takes the bot's own secrets out of all that is posted and logged, as far as the configuration wants it: the token,
/// and what is secret in the environment of this process.
pub fn redactor(config: &Config, token: &str) -> Redactor {
    if !config.redact {
        return Redactor::off();
    }
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Redactor::new(redact::secrets_in(environment).chain([token.to_owned()]))
}

/// The bot runs as root, and so do its agents, but for those that another user was named for.
pub fn root() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some(
        "moonlane runs as root, and so does every agent without `run_as`: each can read the bot's token and change \
         everything on this machine; give the bot a user of its own",
    )
}

/// Whether agents can read this token file. What the bot reads from a file, its agents can read too: they are the same
/// user. Only what can be read once (a pipe) is gone when they come.
pub fn readable_token(config: &Config) -> Option<String> {
    let file = config.discord.token_file.as_deref().filter(|file| is_readable_file(file))?;
    Some(format!(
        "{} can be read by agents without `run_as`, for they run as the same user: put the token into the environment variable that \
         `discord.token_env` names (systemd's `EnvironmentFile=` takes it from a file that only root reads)",
        file.display()
    ))
}

fn is_readable_file(file: &Path) -> bool {
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    is_file && rustix::fs::access(file, rustix::fs::Access::READ_OK).is_ok()
}
