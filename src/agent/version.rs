//! Versions of Claude Code.

use std::fmt;

/// The oldest version of Claude Code that this was tested with. Older ones are refused: some of them read files that a
/// prompt names, whoever wrote it.
pub const OLDEST: Version = Version(2, 1, 330);

/// A version of Claude Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads `2.1.330`, and what `claude --version` prints: `2.1.330 (Claude Code)`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().next()?.splitn(3, '.').map(|number| {
            let digits: &str = number.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        Some(Self(numbers.next()??, numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(Version::parse("2.1.330 (Claude Code)\n"), Some(OLDEST));
        assert_eq!(Version::parse("2.1.331-beta.1"), Some(Version(2, 1, 331)));
        assert!(Version::parse("2.0.999").unwrap() < OLDEST && Version::parse("10.0.0").unwrap() > OLDEST);
        for odd in ["", "claude", "2.1", "2..1", "-1.2.3", "99999999999.1.1"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
    }
}
