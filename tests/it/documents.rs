//! What the documents name is there.

use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "RELEASING.md", "scripts/README.md"];
const FOLDERS: [&str; 6] = ["src/", "tests/", "scripts/", "snapshots/", "config/", ".ci/"];
/// What an operator may add.
const MAY_BE_ABSENT: [&str; 1] = ["scripts/hooks.lua"];

/// What stands between backticks in a document's prose.
fn quoted(document: &str) -> Vec<&str> {
    let prose = document.split("\n```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut missing = Vec::new();
    let mut named = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
        for path in quoted(&text) {
            // Not patterns, nor names that the reader chooses.
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder))
                && path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
                && !path.contains("NAME");
            if !is_path {
                continue;
            }
            named += 1;
            if !Path::new(ROOT).join(path).exists() && !MAY_BE_ABSENT.contains(&path) {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(named > 50, "only {named} paths were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_readme_has_every_control_call_of_the_local_discord() {
    let root = Path::new(ROOT);
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let source = std::fs::read_to_string(root.join("src/local/control.rs")).unwrap();
    let calls: Vec<&str> =
        source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(calls.len() > 15, "{calls:?}");
    let missing: Vec<_> = calls.iter().filter(|call| !readme.contains(&format!("$C{call}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
