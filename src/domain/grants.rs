//! What people have allowed for a whole session.

use super::{PermissionMode, Project};

/// What holds as long as a session does, once somebody has allowed it. The CLI itself forgets it with its process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionGrants {
    /// Rules such as `Bash(git push *)`, in the form that settings have.
    pub rules: Vec<String>,
    /// All edits in the project's directories.
    pub accept_edits: bool,
}

impl SessionGrants {
    /// The permission mode of a turn that would have `mode`. Where edits are not asked about anyway, or the mode is one in
    /// which nothing is edited, it stays.
    pub fn mode(&self, mode: Option<PermissionMode>, project: &Project) -> Option<PermissionMode> {
        let asks = matches!(mode, None | Some(PermissionMode::Default));
        match self.accept_edits && asks && project.takes_mode(PermissionMode::AcceptEdits) {
            true => Some(PermissionMode::AcceptEdits),
            false => mode,
        }
    }
}
