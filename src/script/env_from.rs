//! `env_from`: where a project's secrets come from. None stands in a script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data::{BadValue, segment};
use super::own_places;
use super::project::absolute;
use crate::config::ScriptsConfig;
use crate::domain::{Project, ProjectName, SecretSource};
use crate::reach::{Reach, way};
use crate::secret;

/// What a text such as "env:NAME" or "file:/run/secrets/x" names. Nothing need be there.
pub(super) fn secret_source(
    text: &str,
    root: &Path,
    config: &ScriptsConfig,
) -> Result<SecretSource, BadValue> {
    match text.split_once(':') {
        Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
            if name == config.token_env || name.starts_with("MOONLANE_") {
                return Err(BadValue::here(format!("{name} is the bot's own, and no agent gets it")));
            }
            Ok(SecretSource::Variable(name.to_owned()))
        }
        Some(("file", path)) if !path.trim().is_empty() => {
            let path = absolute(path, root)?;
            match own_places::private_place(&path, &config.own) {
                Some(place) => {
                    Err(BadValue::here(format!("{} is {}, and no agent gets it", path.display(), place.what)))
                }
                None => Ok(SecretSource::File(path)),
            }
        }
        // The text is not shown: somebody may have put the secret itself here.
        _ => Err(BadValue::here(
            "expected \"env:NAME\" (a variable of the bot's own environment) or \"file:/run/secrets/name\"",
        )),
    }
}

/// Why there is no secret to be had at the moment; one sentence.
pub(super) fn missing_secret(source: &SecretSource) -> Option<String> {
    let problem = secret::read(source, |name| std::env::var_os(name)).err()?;
    Some(match source {
        SecretSource::Variable(name) => format!("the variable {name} {problem}"),
        SecretSource::File(path) => format!("{} {problem}", path.display()),
    })
}

/// Each file in whose place an agent could put something else, such as a link to what only the bot may read: the bot would
/// read that and hand it over.
pub(super) fn replaceable(projects: &BTreeMap<ProjectName, Arc<Project>>) -> Vec<BadValue> {
    let mut problems = Vec::new();
    for project in projects.values() {
        for (variable, source) in &project.env_from {
            let SecretSource::File(file) = source else { continue };
            let problem = in_reach_of_claude(file, projects).or_else(|| {
                let user = project.run_as.as_ref()?;
                let bit = Reach(&user.ids).changes(file)?;
                let problem =
                    format!("the user {} could put something else in its place: {}", user.name, bit.taken());
                Some(problem)
            });
            problems.extend(problem.map(|problem| place(&project.name, variable, problem)));
        }
    }
    problems
}

fn in_reach_of_claude(file: &Path, projects: &BTreeMap<ProjectName, Arc<Project>>) -> Option<String> {
    let steps = way(file);
    let holds =
        |dir: &&PathBuf| way(dir).pop().is_some_and(|dir| steps.iter().any(|it| it.starts_with(&dir)));
    let dir = projects.values().flat_map(|project| project.dirs()).find(holds)?;
    Some(format!(
        "Claude could put something else in the place of {} from {}; choose a file outside of every project's `dir` and `add_dirs`",
        file.display(),
        dir.display()
    ))
}

/// A problem with this variable of a project's `env_from`.
pub(super) fn place(project: &ProjectName, variable: &str, problem: String) -> BadValue {
    BadValue::here(problem)
        .under(&segment(variable))
        .under("env_from")
        .under(&segment(&project.0))
        .under("projects")
}
