//! Where agents must not work: what is there decides who is let in.
//!
//! Whoever can write to the scripts, the configuration or the database can open the gate to everybody, and the token is the
//! bot itself. So no project's directory may contain any of them, whatever links lead there.

use std::path::Path;

use crate::config::{OwnPlace, WORK};
use crate::reach::way;

/// Why no agent may work in `dir`; `None` if it contains none of these places.
pub fn refusal(dir: &Path, own: &[OwnPlace]) -> Option<String> {
    let real = way(dir).pop()?;
    let held = own.iter().find(|place| {
        let way = way(&place.path);
        let inside = place.is_folder && way.last().is_some_and(|folder| real.starts_with(folder));
        inside || way.iter().any(|step| step.starts_with(&real))
    })?;
    Some(format!(
        "Claude could change {} ({}) from {}, and so let anybody in; choose a directory that does not contain it, such as \
         \"{WORK}\"",
        held.what,
        held.path.display(),
        dir.display(),
    ))
}

/// The bot's own place, closed to everybody else, that this file is, or that it lies in.
pub fn private_place<'a>(file: &Path, own: &'a [OwnPlace]) -> Option<&'a OwnPlace> {
    let real = way(file).pop()?;
    own.iter().filter(|place| place.is_private).find(|place| {
        let way = way(&place.path);
        way.last().is_some_and(|private| real == *private || place.is_folder && real.starts_with(private))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_directory_may_hold_what_decides_who_is_let_in_however_it_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let at = |path: &str| root.join(path);
        for dir in ["scripts/lib", "config", "work/deep", "elsewhere/store", "secrets"] {
            create_dir_all(at(dir)).unwrap();
        }
        symlink(root, at("work/up")).unwrap();
        symlink(at("work"), at("link")).unwrap();
        // The token is reached through a link in a directory of its own, and lies in a third one.
        symlink(at("secrets/token"), at("elsewhere/token")).unwrap();
        symlink("../../elsewhere/token", at("work/deep/token")).unwrap();
        let place =
            |what, path: &str, is_folder| OwnPlace { what, path: at(path), is_folder, is_private: false };
        let own = [
            place("the scripts", "scripts", true),
            place("the configuration", "config/moonlane.toml", false),
            place("the database", "elsewhere/store/../store/moonlane.db", false),
            place("the token", "work/deep/token", false),
        ];
        let held = |dir: &str| {
            let refusal = refusal(&at(dir), &own)?;
            own.iter().find(|place| refusal.contains(place.what)).map(|place| place.what)
        };
        for (dir, expected) in [
            ("", Some("the scripts")),
            ("..", Some("the scripts")),
            ("scripts", Some("the scripts")),
            ("scripts/lib", Some("the scripts")),
            ("scripts/not/there/yet", Some("the scripts")),
            ("work/up", Some("the scripts")),
            ("work/up/scripts/lib/..", Some("the scripts")),
            ("config", Some("the configuration")),
            ("config/mine", None),
            ("elsewhere/store", Some("the database")),
            ("elsewhere", Some("the database")),
            ("work", Some("the token")),
            ("link", Some("the token")),
            ("link/deep", Some("the token")),
            ("secrets", Some("the token")),
            ("scriptsx", None),
            ("new", None),
            ("secrets/other", None),
        ] {
            assert_eq!(held(dir), expected, "{dir}");
        }
        // A circle leads nowhere, and ends.
        symlink(at("b"), at("a")).unwrap();
        symlink(at("a"), at("b")).unwrap();
        assert_eq!(held("a/x"), None);
    }
}
