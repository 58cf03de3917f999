//! `moonlane agent-as -- COMMAND…`: the step in which an agent becomes another user (`run_as`).
//!
//! The guard keeps the bot's user, so the agent cannot end it, and keeps the capability that lets it end the agent.
//! Between the two, this runs in a single-threaded process of its own: it sets groups, group and user, in this order;
//! then drops every capability; then enters the directory as the new user. What it executes has no way back and no
//! terminal.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use rustix::process::{Gid, Signal, Uid, set_parent_process_death_signal, setsid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::guard::{NOT_STARTED, SpawnError};
use crate::domain::Ids;
use crate::print;

/// The user that an agent becomes, and the directory that it starts in.
#[derive(Debug, Clone)]
pub struct AsUserOptions {
    pub ids: Ids,
    pub dir: PathBuf,
}

/// The hidden subcommand.
pub const COMMAND: &str = "agent-as";

impl AsUserOptions {
    /// The options as arguments of the program.
    pub fn arguments(&self) -> Vec<OsString> {
        let Ids { user, group, groups } = &self.ids;
        let mut arguments: Vec<OsString> =
            vec![format!("--uid={user}").into(), format!("--gid={group}").into()];
        arguments.extend(groups.iter().map(|group| format!("--group={group}").into()));
        arguments.extend(["--dir".into(), self.dir.clone().into()]);
        arguments
    }
}

/// Becomes the user, and then the command.
pub fn main(orders: &AsUserOptions, command: &[OsString]) -> ExitCode {
    let Err(refusal) = run(orders, command);
    print::complaint(&refusal);
    ExitCode::from(NOT_STARTED)
}

fn run(orders: &AsUserOptions, command: &[OsString]) -> Result<Infallible, SpawnError> {
    let user = || {
        // Detach from the bot's terminal: another user must not be able to type into it.
        setsid()?;
        become_user(&orders.ids)?;
        // Unless the bot is root, it cannot find by its mark what a killed guard leaves; at least this process ends by
        // itself.
        set_parent_process_death_signal(Some(Signal::KILL))
    };
    user().map_err(|error| SpawnError::User(error.into()))?;
    std::env::set_current_dir(&orders.dir).map_err(SpawnError::Directory)?;
    let (program, arguments) =
        command.split_first().ok_or(SpawnError::Program(std::io::ErrorKind::NotFound.into()))?;
    Err(SpawnError::Program(Command::new(program).args(arguments).exec()))
}

fn become_user(ids: &Ids) -> rustix::io::Result<()> {
    let groups: Vec<Gid> = ids.groups.iter().map(|&group| Gid::from_raw(group)).collect();
    let (user, group) = (Uid::from_raw(ids.user), Gid::from_raw(ids.group));
    if user.is_root() {
        return Err(rustix::io::Errno::PERM);
    }
    set_thread_groups(&groups)?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    // The kernel does this by itself only for a process that was root.
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Drops the bot's capabilities, such as starting processes as other users: what this process executes from now on has
/// none, unless it is root's.
pub fn keep_capabilities_from_agents() {
    // A kernel without them has nothing to drop.
    let _ = clear_ambient_capability_set();
    if let Ok(sets) = capabilities(None) {
        let _ = set_capabilities(None, CapabilitySets { inheritable: CapabilitySet::empty(), ..sets });
    }
}
