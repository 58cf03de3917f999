//! Names under which the files of strangers are kept.
//!
//! A kept file has the name that it came with, as far as that is harmless: one component of a path, visible characters only, not
//! hidden, short enough for every file system, and none by which Claude Code takes a file for instructions.

use std::collections::BTreeSet;

/// The longest name, in bytes; file systems take 255, and what somebody makes of it (`NAME.orig`) is to fit, too.
const LONGEST: usize = 200;
/// The longest ending that is kept where a name is cut, in bytes, with its dot.
const LONGEST_ENDING: usize = 20;
/// The files of the CLI that instruct it, wherever it finds them; in lower case.
const INSTRUCTIONS: &[&str] = &["claude.md", "claude.local.md", "agents.md", ".mcp.json"];

/// A harmless name for a file that is called `name`, unlike those that are `taken`, and takes it.
pub fn unlike(taken: &mut BTreeSet<String>, name: &str) -> String {
    let name = harmless(name);
    let (stem, ending) = split(&name);
    let numbered = |n: usize| match n {
        1 => name.clone(),
        _ => with_end(stem, &format!("-{n}{ending}")),
    };
    let free = (1..).map(numbered).find(|name| !taken.contains(&name.to_lowercase()));
    // There is always one: the numbers do not end.
    let free = free.unwrap_or_default();
    taken.insert(free.to_lowercase());
    free
}

fn harmless(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = last.chars().map(|c| if is_harmless(c) { c } else { '_' });
    let kept: String = kept.collect::<String>().trim().to_owned();
    let hidden = kept.starts_with(['.', '-', '~']);
    let instructs = INSTRUCTIONS.contains(&kept.to_lowercase().as_str());
    let kept = if hidden || instructs || kept.is_empty() { format!("_{kept}") } else { kept };
    let (stem, ending) = split(&kept);
    with_end(stem, ending)
}

/// Whether a character is visible, and means nothing to shells, Windows and Markdown's code.
fn is_harmless(c: char) -> bool {
    let is_shown = !c.is_control() && (c == ' ' || !c.is_whitespace()) && !crate::domain::shows_nothing(c);
    is_shown && !matches!(c, '"' | '\'' | '`' | '$' | '<' | '>' | '|' | '?' | '*' | ':' | '\u{fffd}')
}

/// The name without its ending, and the ending with its dot.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= LONGEST_ENDING => name.split_at(dot),
        _ => (name, ""),
    }
}

fn with_end(stem: &str, end: &str) -> String {
    let room = LONGEST.saturating_sub(end.len()).min(stem.len());
    let cut = (0..=room).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
    format!("{}{end}", &stem[..cut])
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn alone(name: &str) -> String {
        unlike(&mut BTreeSet::new(), name)
    }

    #[test]
    fn ordinary_names_stay_and_twins_are_numbered() {
        let mut taken = BTreeSet::new();
        let mut named = |name| unlike(&mut taken, name);
        assert_eq!(named("Screenshot 2026-11-28 at 3.01.png"), "Screenshot 2026-11-28 at 3.01.png");
        assert_eq!(named("日本語.tar.gz"), "日本語.tar.gz");
        assert_eq!(
            (named("a.txt"), named("A.TXT"), named("a.txt")),
            ("a.txt".into(), "A-2.TXT".into(), "a-3.txt".into())
        );
        assert_eq!(
            (named("a-2.txt"), named("README"), named("readme")),
            ("a-2-2.txt".into(), "README".into(), "readme-2".into())
        );
    }

    #[test]
    fn what_could_do_harm_is_taken_out() {
        assert_eq!(alone("../../etc/passwd"), "passwd");
        assert_eq!(alone(r"C:\Windows\system32\cmd.exe"), "cmd.exe");
        assert_eq!(
            (alone(".."), alone("."), alone("/"), alone("")),
            ("_..".into(), "_.".into(), "_".into(), "_".into())
        );
        assert_eq!(
            (alone(".env"), alone("-rf"), alone("~root")),
            ("_.env".into(), "_-rf".into(), "_~root".into())
        );
        assert_eq!((alone("CLAUDE.md"), alone("Agents.MD")), ("_CLAUDE.md".into(), "_Agents.MD".into()));
        assert_eq!(alone("a\0b\n`$(x)`\".png"), "a_b___(x)__.png");
        assert_eq!(alone("gpj\u{202e}.exe\u{200b}"), "gpj_.exe_");
        assert_eq!(alone(&format!("{}.jpeg", "x".repeat(300))), format!("{}.jpeg", "x".repeat(195)));
        assert_eq!(alone(&"月".repeat(300)), "月".repeat(66));
    }

    proptest! {
        #[test]
        fn every_name_is_one_visible_component_of_a_path(names in prop::collection::vec(any::<String>(), 1..6)) {
            let mut taken = BTreeSet::new();
            let named: Vec<String> = names.iter().map(|name| unlike(&mut taken, name)).collect();
            for name in &named {
                let components: Vec<_> = Path::new(name).components().collect();
                prop_assert_eq!(&components[..], [Component::Normal(name.as_ref())]);
                prop_assert!(name.len() <= LONGEST && !name.starts_with('.'));
                prop_assert!(name.chars().all(is_harmless));
            }
            let different: BTreeSet<String> = named.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(different.len(), named.len());
        }
    }
}
