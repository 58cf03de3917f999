//! Which files Claude may not hand over.

use std::ffi::OsStr;

use regex::RegexBuilder;

/// What no project hands over unless it says so: passwords, private keys, and the insides of git, where logins may stand.
pub const DENIED_FILES: [&str; 13] = [
    ".env*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.kdbx",
    "id_rsa*",
    "id_ed25519*",
    "id_ecdsa*",
    ".netrc",
    ".npmrc",
    ".ssh",
    ".git",
];

/// The first of these patterns that this name of a file or a folder fits, in whatever case.
pub fn denying<'a>(patterns: &'a [String], name: &OsStr) -> Option<&'a str> {
    let name = name.to_string_lossy();
    let fits = |pattern: &&String| {
        let pattern = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
        let pattern = RegexBuilder::new(&format!("^(?s:{pattern})$")).case_insensitive(true).build();
        // One that cannot be built, which is an error in the scripts already, denies everything.
        pattern.map_or(true, |pattern| pattern.is_match(&name))
    };
    patterns.iter().find(fits).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_about_the_whole_name_in_whatever_case() {
        let default = DENIED_FILES.map(str::to_owned);
        let denied = |name: &str| denying(&default, OsStr::new(name));
        for name in [".env", ".ENV.local", "server.PEM", "id_rsa", "id_rsa.pub", ".git", "a.key", "x\n.key"] {
            assert!(denied(name).is_some(), "{name}");
        }
        for name in ["env", "git", "a.keys", "pem", ".gitignore", "report.pdf", "my.env", ""] {
            assert_eq!(denied(name), None, "{name}");
        }
        let own = ["a?c.*".to_owned(), "(".to_owned()];
        assert_eq!(denying(&own, OsStr::new("abc.txt")), Some("a?c.*"));
        assert_eq!(denying(&own, OsStr::new("(")), Some("("));
        assert_eq!(denying(&own, OsStr::new("ac.txt")), None);
    }
}
