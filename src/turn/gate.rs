//! Who is let in.

use crate::domain::{Allow, Author, Project, RoleId, UserId};

/// What the gate says of somebody, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An owner always may.
    Owner,
    /// The rule names the person.
    User,
    /// The rule names this role of the person.
    Role(RoleId),
    /// A bot never may.
    Bot,
    /// The rule names neither the person nor a role of theirs.
    NotNamed,
}

impl Verdict {
    /// Whether the person may.
    pub fn admitted(self) -> bool {
        matches!(self, Self::Owner | Self::User | Self::Role(_))
    }
}

/// The rule that counts: the project's own where it has one, else the global one.
pub fn rule<'a>(global: &'a Allow, project: Option<&'a Project>) -> &'a Allow {
    project.and_then(|project| project.allow.as_ref()).unwrap_or(global)
}

/// What this rule says of the author.
pub fn judge(owners: &[UserId], rule: &Allow, author: &Author) -> Verdict {
    if author.bot {
        return Verdict::Bot;
    }
    if owners.contains(&author.id) {
        return Verdict::Owner;
    }
    if rule.users.contains(&author.id) {
        return Verdict::User;
    }
    let role = rule.roles.iter().find(|role| author.roles.contains(role));
    role.map_or(Verdict::NotNamed, |role| Verdict::Role(*role))
}

/// Whether the author may start a turn in the project.
pub fn admits(owners: &[UserId], global: &Allow, project: Option<&Project>, author: &Author) -> bool {
    judge(owners, rule(global, project), author).admitted()
}
