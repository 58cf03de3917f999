//! `env_from`: where a project's secrets come from. None stands in a script.

use std::path::Path;

use super::data::BadValue;
use super::own_places;
use super::project::absolute;
use crate::config::ScriptsConfig;
use crate::domain::SecretSource;
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
