//! Who is let in.

use crate::domain::{Allow, Author, Project, UserId};

/// Whether the author may start a turn in the project: by the project's own rule where it has one, else by the
/// global one. An owner always may; a bot never.
pub fn admits(owners: &[UserId], global: &Allow, project: Option<&Project>, author: &Author) -> bool {
    let rule = project.and_then(|project| project.allow.as_ref()).unwrap_or(global);
    !author.bot && (owners.contains(&author.id) || rule.admits(author))
}
