//! What a new script set opens up: who else is let in, and what else agents can do.
//!
//! Scripts are meant to be edited, so a line that lets somebody in looks like any other. Operators who did not write it should
//! hear about it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::hash::Hash;

use crate::domain::{Allow, Project, RoleId, UserId};
use crate::script::ScriptSet;

/// How many ids of one kind are named.
const NAMED: usize = 10;

/// What `after` opens up compared to `before`, a phrase each. Any change to what agents run is reported, because
/// nothing here can tell which of two commands may do more.
pub fn widened(before: &ScriptSet, after: &ScriptSet) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(more("allow", before.allow(), after.allow()));
    found.extend(added("operators", before.operators(), after.operators()));
    match (before.guilds(), after.guilds()) {
        (Some(was), Some(is)) => found.extend(added("allow.guilds", was, is)),
        (Some(_), None) => found.push("allow.guilds is gone".to_owned()),
        (None, _) => {}
    }
    for project in after.projects() {
        let name = &project.name;
        let was = before.project(name);
        // If the global rule applies on both sides, it was reported above.
        if project.allow.is_some() || was.is_some_and(|was| was.allow.is_some()) {
            let rule = project.allow.as_ref().unwrap_or(after.allow());
            let rule_was = was.and_then(|was| was.allow.as_ref()).unwrap_or(before.allow());
            found.extend(more(&format!("projects.{name}.allow"), rule_was, rule));
        }
        let approvers_was = was.map(|was| was.approvers.clone()).unwrap_or_default();
        found.extend(more(&format!("projects.{name}.approvers"), &approvers_was, &project.approvers));
        let keys: Vec<_> = match was {
            Some(was) => changed(was, project).collect(),
            None => set(project).collect(),
        };
        found.extend(keys.into_iter().map(|key| format!("projects.{name}.{key} has changed")));
    }
    found
}

/// The keys of a new project that differ from their defaults.
fn set(new: &Project) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("command", !new.command.is_empty()),
        ("env", !new.env.is_empty()),
        ("env_from", !new.env_from.is_empty()),
        ("permission_mode", new.permission_mode.is_some()),
        ("permission_modes", new.permission_modes.is_some()),
        ("scripts_may_allow", new.scripts_may_allow),
    ];
    keys.into_iter().filter_map(|(key, is_set)| is_set.then_some(key))
}

/// The keys by which an agent runs, where they differ. Their values may be secrets.
fn changed(was: &Project, is: &Project) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("command", was.command != is.command),
        ("env", was.env != is.env),
        ("env_from", was.env_from != is.env_from),
        ("approve", was.approve != is.approve),
        ("permission_mode", was.permission_mode != is.permission_mode),
        ("permission_modes", was.permission_modes != is.permission_modes),
        ("scripts_may_allow", was.scripts_may_allow != is.scripts_may_allow),
        ("dir", was.dir != is.dir),
        ("add_dirs", was.add_dirs != is.add_dirs),
        ("tools", was.tools != is.tools),
        ("allowed_tools", was.allowed_tools != is.allowed_tools),
        ("disallowed_tools", was.disallowed_tools != is.disallowed_tools),
        ("restricted", was.restricted != is.restricted),
        ("sandbox", was.sandbox != is.sandbox),
        ("run_as", was.run_as != is.run_as),
        ("settings", was.settings != is.settings),
        ("setting_sources", was.setting_sources != is.setting_sources),
        ("mcp_config", was.mcp_config != is.mcp_config),
    ];
    keys.into_iter().filter_map(|(key, differs)| differs.then_some(key))
}

fn more(place: &str, was: &Allow, is: &Allow) -> Vec<String> {
    let users = added::<UserId>(&format!("{place}.users"), &was.users, &is.users);
    let roles = added::<RoleId>(&format!("{place}.roles"), &was.roles, &is.roles);
    users.into_iter().chain(roles).collect()
}

fn added<T: Copy + Ord + Hash + Display>(place: &str, was: &[T], is: &[T]) -> Option<String> {
    let new: BTreeSet<T> = is.iter().filter(|id| !was.contains(id)).copied().collect();
    if new.is_empty() {
        return None;
    }
    let named: Vec<String> = new.iter().take(NAMED).map(ToString::to_string).collect();
    let rest = match new.len().saturating_sub(NAMED) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    Some(format!("{place} has {}{rest} now", named.join(", ")))
}
