//! What may be chosen in place of what a project says: a model, a permission mode. Whoever typed something else reads why.

use crate::domain::{PermissionMode, Project, is_model_name};
use crate::nearest::nearest;
use crate::words::command as words;

/// Whether this model may be chosen in the project. Without one, whether it may be a model at all.
pub fn check_model(model: &str, project: Option<&Project>) -> Result<(), String> {
    match project {
        Some(project) if project.takes_model(model) => Ok(()),
        _ if !is_model_name(model) => Err(words::NO_MODEL.to_owned()),
        Some(project) => {
            let listed = project.models.iter().flatten().map(String::as_str);
            Err(only("model", project, project.model.as_deref(), listed))
        }
        None => Ok(()),
    }
}

/// The mode of this name, if it may be chosen in the project.
pub fn mode(name: &str, project: Option<&Project>) -> Result<PermissionMode, String> {
    let takes = |mode: &PermissionMode| match project {
        Some(project) => project.takes_mode(*mode),
        None => !mode.must_be_listed(),
    };
    let modes = PermissionMode::ALL.into_iter().filter(takes).map(PermissionMode::as_str);
    let Some(mode) = PermissionMode::ALL.into_iter().find(|mode| mode.as_str() == name) else {
        return Err(match nearest(name, modes.clone()) {
            Some(near) => words::no_such_mode(near),
            None => words::only_these_modes(&listed(modes)),
        });
    };
    if takes(&mode) {
        let is_root = rustix::process::geteuid().is_root();
        return match project.is_some_and(|project| is_refused_as_root(mode, project, is_root)) {
            true => Err(words::NOT_AS_ROOT.to_owned()),
            false => Ok(mode),
        };
    }
    match project {
        Some(project) => Err(only("permission mode", project, None, modes)),
        None => Err(words::mode_must_be_named(name)),
    }
}

/// Whether Claude Code would not start in this mode: it refuses to bypass permissions as root, unless it is told that it is in
/// a sandbox (measured). `is_root`: the bot is root; what a project's `command` makes of it is unknown.
fn is_refused_as_root(mode: PermissionMode, project: &Project, is_root: bool) -> bool {
    let agent_is_root = is_root && project.run_as.is_none() && project.command.is_empty();
    let is_in_sandbox = project.env.get("IS_SANDBOX").is_some_and(|it| it == "1");
    mode == PermissionMode::BypassPermissions && agent_is_root && !is_in_sandbox
}

fn only<'a>(
    what: &str,
    project: &Project,
    own: Option<&'a str>,
    others: impl Iterator<Item = &'a str>,
) -> String {
    let mut names: Vec<&str> = own.into_iter().collect();
    for name in others {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match &names[..] {
        [] => words::takes_no_other(&project.name, what),
        _ => words::takes_only(&project.name, what, &listed(names.into_iter())),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
