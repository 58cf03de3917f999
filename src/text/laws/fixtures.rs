//! The fixtures: each obeys the laws, and is split as its snapshot shows.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::ruled;
use super::{check, parts};
use crate::domain::Format;

pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/text");
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/text");

/// The names of the files in a folder, without their extensions.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(FOLDER).join(format!("{name}.md"))).unwrap()
}

/// What is in all of them.
pub fn sources() -> Vec<String> {
    names(FOLDER, ".md").iter().map(|name| read(name)).collect()
}

#[test]
fn the_fixtures_are_split_like_this_and_keep_the_laws() {
    let names = names(FOLDER, ".md");
    assert!(!names.is_empty());
    let mut faults = Vec::new();
    insta::with_settings!({
        snapshot_path => SNAPSHOTS,
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        for name in &names {
            let source = read(name);
            for dialect in [true, false] {
                let fault = check(&source, &Format { dialect, ..Format::default() }).err();
                faults.extend(fault.map(|fault| format!("{name}, dialect {dialect}: {fault}")));
            }
            insta::assert_snapshot!(name.as_str(), ruled(&parts(&source, &Format::default())));
        }
    });
    assert!(faults.is_empty(), "{} faults:\n\n{}", faults.len(), faults.join("\n\n"));
}

#[test]
fn each_fixture_has_a_snapshot_and_each_snapshot_a_fixture() {
    assert_eq!(names(SNAPSHOTS, ".snap"), names(FOLDER, ".md"));
}
