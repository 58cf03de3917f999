//! The table of the configuration in README.md: the keys are those of the structs in src/config.rs and below, their meanings are the doc
//! comments there, and the defaults are what config/moonlane.toml shows, which a test of its own holds to the program.

use std::collections::BTreeMap;
use std::path::Path;

use syn::{Fields, Item, ItemStruct, Type};

use super::sources::{docs, serde_says};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What the shipped file shows, by `section.key`; a key that it has only as a comment has no default.
fn defaults() -> BTreeMap<String, Option<String>> {
    let mut section = String::new();
    let mut defaults = BTreeMap::new();
    for line in read("config/moonlane.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.trim_start_matches("# ").split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            let value = (!line.starts_with('#')).then(|| value.to_owned());
            defaults.insert(format!("{section}.{key}"), value);
        }
    }
    defaults
}

/// The fields of a struct that an operator can set: name, type, and the first paragraph of the doc comment.
fn keys(of: &ItemStruct) -> Vec<(String, String, String)> {
    let Fields::Named(fields) = &of.fields else { panic!("a struct without names") };
    let fields = fields.named.iter().filter(|field| !serde_says(&field.attrs, "skip"));
    let key = |field: &syn::Field| {
        let Type::Path(ty) = &field.ty else { panic!("a new kind of type") };
        let ty = ty.path.segments.last().unwrap().ident.to_string();
        (field.ident.as_ref().unwrap().to_string(), ty, docs(&field.attrs).0)
    };
    fields.map(key).collect()
}

/// One row for each key.
pub fn table() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let below = std::fs::read_dir(folder).unwrap();
    let below = below.map(|file| format!("src/config/{}", file.unwrap().file_name().to_str().unwrap()));
    let files: Vec<_> = std::iter::once("src/config.rs".to_owned())
        .chain(below)
        .map(|file| syn::parse_file(&read(&file)).unwrap())
        .collect();
    let structs: BTreeMap<String, &ItemStruct> = files
        .iter()
        .flat_map(|file| &file.items)
        .filter_map(|item| match item {
            Item::Struct(it) => Some((it.ident.to_string(), it)),
            _ => None,
        })
        .collect();
    let defaults = defaults();
    let mut text = "| key | default | meaning |\n| --- | --- | --- |\n".to_owned();
    for (section, ty, _) in keys(structs["RawConfig"]) {
        for (key, _, doc) in keys(structs[&ty]) {
            let name = format!("{section}.{key}");
            assert!(!doc.is_empty(), "{name} has no doc comment for operators");
            let default = defaults.get(&name).unwrap_or_else(|| panic!("config/moonlane.toml lacks {name}"));
            let default = default.as_ref().map(|value| format!("`{value}`")).unwrap_or_default();
            text += &format!("| `{name}` | {default} | {} |\n", doc.replace('|', "\\|"));
        }
    }
    text
}
