//! Reads what a project's `env_from` names: secrets that stand in no script.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};

use crate::domain::SecretSource;

/// The most bytes that a secret may have.
const MOST: u64 = 64 * 1024;

/// Why there is no secret to be had; words that follow the place they come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    #[error("is not set")]
    NotSet,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not a file")]
    NoFile,
    #[error("has more than {} KB", MOST / 1024)]
    TooBig,
    #[error("is empty")]
    Empty,
    #[error("is not UTF-8, or holds a NUL")]
    NoText,
}

/// The secret as it is now, without the line break at its end. `variable` looks up the bot's own environment.
///
/// # Errors
/// If there is none, or no environment can hold it.
pub fn read(source: &SecretSource, variable: impl Fn(&str) -> Option<OsString>) -> Result<String, NoSecret> {
    let bytes = match source {
        SecretSource::Variable(name) => variable(name).ok_or(NoSecret::NotSet)?.into_encoded_bytes(),
        SecretSource::File(path) => {
            let unreadable = |e: io::Error| NoSecret::Unreadable(e.to_string());
            // To open a pipe would wait for somebody to write to it.
            if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
                return Err(NoSecret::NoFile);
            }
            let mut bytes = Vec::new();
            File::open(path)
                .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
                .map_err(unreadable)?;
            bytes
        }
    };
    if bytes.len() as u64 > MOST {
        return Err(NoSecret::TooBig);
    }
    let text = String::from_utf8(bytes).map_err(|_| NoSecret::NoText)?;
    let secret = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    match secret {
        _ if secret.trim().is_empty() => Err(NoSecret::Empty),
        _ if secret.contains('\0') => Err(NoSecret::NoText),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_secret_is_what_stands_there_without_its_line_break() {
        let of = |value: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("secret");
            std::fs::write(&path, value).unwrap();
            read(&SecretSource::File(path), |_| None)
        };
        assert_eq!(of(b"abc"), Ok("abc".to_owned()));
        assert_eq!(of(b"abc\n"), Ok("abc".to_owned()));
        assert_eq!(of(b"abc\r\n"), Ok("abc".to_owned()));
        assert_eq!(of(b" a\nb \n\n"), Ok(" a\nb \n".to_owned()));
        assert_eq!(of(b""), Err(NoSecret::Empty));
        assert_eq!(of(b" \n"), Err(NoSecret::Empty));
        assert_eq!(of(b"a\0b"), Err(NoSecret::NoText));
        assert_eq!(of(b"\xff"), Err(NoSecret::NoText));
        assert_eq!(of(&vec![b'x'; 64 * 1024]).map(|secret| secret.len()), Ok(64 * 1024));
        assert_eq!(of(&vec![b'x'; 64 * 1024 + 1]), Err(NoSecret::TooBig));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: PathBuf| read(&SecretSource::File(path), |_| None);
        assert!(matches!(at(folder.path().join("missing")), Err(NoSecret::Unreadable(_))));
        assert_eq!(at(folder.path().to_owned()), Err(NoSecret::NoFile));
        assert_eq!(at("/dev/zero".into()), Err(NoSecret::NoFile));
        let variable = SecretSource::Variable("KEY".to_owned());
        assert_eq!(read(&variable, |_| None), Err(NoSecret::NotSet));
        assert_eq!(read(&variable, |name| Some(format!("of {name}").into())), Ok("of KEY".to_owned()));
    }
}
