//! scripts/types/moonlane.d.lua and the tables of scripts/README.md and README.md are written from the Rust definitions:
//! from the structs that are decoded or serialized, and their doc comments. This test compares; with `MOONLANE_WRITE=1` it writes them.
//!
//! Of a doc comment, the first paragraph is for people who write Lua. After it these lines count:
//! - ``Lua: `T` `` — the type in Lua, where the type in Rust does not tell it; of a type, what it stands for;
//! - ``Lua, optional: `T` `` — the same of a key that may be absent;
//! - ``Lua Name: `T` `` — the type has a name of its own in Lua, and stands for `T`;
//! - ``Lua class: `Name` `` — the name in Lua, where it is not the name in Rust without `Raw` or `Facts`.

mod settings;
mod sources;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use sources::{Definition, Key, Sources, taken};

const HEADER: &str = "---@meta
-- What crosses between moonlane and the scripts, for editors with lua-language-server. Never run.
-- Written from the Rust sources by `MOONLANE_WRITE=1 cargo test --locked --lib reference`.
";

/// What the type file begins with; everything that these refer to follows each.
const ROOTS: [&str; 9] =
    ["Id", "Duration", "Routing", "Triggers", "Hooks", "Command", "Ctx", "Role", "Moonlane"];

/// The names with a capital in a Lua type: what it refers to.
fn references(lua: &str) -> impl Iterator<Item = &str> {
    lua.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// As comments, no line longer than the others of the file.
fn comment(text: &str) -> String {
    const WIDTH: usize = 117;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        match line.chars().count() + word.chars().count() + 1 {
            ..=WIDTH if !line.is_empty() => *line += &format!(" {word}"),
            _ if line.is_empty() => *line = word.to_owned(),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().filter(|line| !line.is_empty()).map(|line| format!("---{line}\n")).collect()
}

impl Sources {
    /// The whole type file.
    fn type_file(&self) -> String {
        let mut text = HEADER.to_owned();
        let mut written = BTreeSet::new();
        for root in ROOTS {
            self.write_type(root, &mut written, &mut text);
        }
        text + "\n---@type Moonlane\nmoonlane = nil\n"
    }

    /// A type, unless it is there already, and then those that it refers to.
    fn write_type(&self, name: &str, written: &mut BTreeSet<String>, text: &mut String) {
        if !written.insert(name.to_owned()) {
            return;
        }
        let Some((doc, keys)) = self.class(name) else { return self.write_alias(name, written, text) };
        write!(text, "\n{}---@class (exact) {name}\n", comment(&doc)).unwrap();
        for key in &keys {
            let name = if key.optional { format!("{}?", key.name) } else { key.name.clone() };
            let line = format!("---@field {name} {} {}", key.lua, key.doc);
            writeln!(text, "{}", line.trim_end()).unwrap();
        }
        for key in &keys {
            references(&key.lua).for_each(|name| self.write_type(name, written, text));
        }
    }

    fn write_alias(&self, name: &str, written: &mut BTreeSet<String>, text: &mut String) {
        let defined = self.defined_as(name).unwrap_or_else(|| panic!("{name} is not defined"));
        match &defined.is {
            Definition::Alias(lua) => {
                let lua = self.resolved(lua);
                write!(text, "\n{}---@alias {name} {lua}\n", comment(&defined.doc)).unwrap();
                references(&lua).for_each(|name| self.write_type(name, written, text));
            }
            Definition::Words(words) if words.iter().all(|(_, doc)| doc.is_empty()) => {
                let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                let words = words.join("|");
                write!(text, "\n{}---@alias {name} {words}\n", comment(&defined.doc)).unwrap();
            }
            Definition::Words(words) => {
                write!(text, "\n{}---@alias {name}\n", comment(&defined.doc)).unwrap();
                for (word, doc) in words {
                    writeln!(text, "---| {word:?} # {doc}").unwrap();
                }
            }
            Definition::Table(_) => unreachable!("it would be a class"),
        }
    }

    /// A table of the README, by its name there.
    fn table(&self, name: &str) -> String {
        match name {
            "ctx" => self.ctx_table(),
            "moonlane" => self.moonlane_table(),
            "configuration" => settings::table(),
            class => self.key_table(class),
        }
    }

    fn ctx_table(&self) -> String {
        let mut text =
            "| function | value | further keys | what it does |\n| --- | --- | --- | --- |\n".to_owned();
        let (_, keys) = self.class("Ctx").unwrap();
        for key in keys.iter().filter(|key| key.lua.starts_with("fun(")) {
            let (values, class) = taken(&key.lua);
            let table = class.and_then(|class| self.class(class));
            let first = class.and_then(|class| self.first_of(class));
            let value = match &table {
                Some(_) => first.clone(),
                None => values.first().map(|name| (*name).to_owned()),
            };
            let others = table.map(|(_, keys)| keys).unwrap_or_default();
            let others = others.iter().filter(|key| key.name != "[1]" && first.as_ref() != Some(&key.name));
            let others: Vec<String> = others.map(|key| format!("`{}`", key.name)).collect();
            let value = value.map(|value| format!("`{value}`")).unwrap_or_default();
            writeln!(text, "| `{}` | {value} | {} | {} |", key.name, others.join(", "), cell(&key.doc))
                .unwrap();
        }
        text
    }

    fn moonlane_table(&self) -> String {
        let mut text = "| function | what it does |\n| --- | --- |\n".to_owned();
        let (_, keys) = self.whole_class("Moonlane").unwrap();
        for key in keys {
            let call = format!("{}({})", key.name, taken(&key.lua).0.join(", "));
            writeln!(text, "| `{call}` | {} |", cell(&key.doc)).unwrap();
        }
        text
    }

    fn key_table(&self, class: &str) -> String {
        let mut text = "| key | value | meaning |\n| --- | --- | --- |\n".to_owned();
        let (_, keys) = self.class(class).unwrap();
        for Key { name, lua, doc, .. } in keys {
            let words = |name: &str| match self.defined_as(name).map(|it| &it.is) {
                Some(Definition::Words(words)) => Some(words.iter().map(|(word, _)| format!("{word:?}"))),
                _ => None,
            };
            let refers_to = references(&lua).next().map(str::to_owned);
            let value =
                match refers_to.and_then(|name| Some((words(&name)?.collect::<Vec<_>>().join("|"), name))) {
                    Some((words, name)) if lua.contains(&format!("{name}[]")) => {
                        lua.replace(&name, &format!("({words})"))
                    }
                    Some((words, name)) => lua.replace(&name, &words),
                    None => lua,
                };
            writeln!(text, "| `{name}` | `{}` | {} |", cell(&value), cell(&doc)).unwrap();
        }
        text
    }

    /// The README with its tables as they should be: each stands between `<!-- table NAME -->` and `<!-- end -->`.
    fn readme(&self, now: &str) -> String {
        const BEGIN: &str = "<!-- table ";
        let mut parts = now.split(BEGIN);
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(" -->").unwrap();
            let (_, after) = rest.split_once("<!-- end -->").unwrap();
            write!(text, "{BEGIN}{name} -->\n\n{}\n<!-- end -->{after}", self.table(name)).unwrap();
        }
        text
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Compares a file with what it should be, or writes that.
fn check(path: &str, expected: impl FnOnce(&str) -> String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let now = std::fs::read_to_string(&file).unwrap();
    let expected = expected(&now);
    if std::env::var_os("MOONLANE_WRITE").is_some() {
        return std::fs::write(file, expected).unwrap();
    }
    if let Some((place, (is, should))) = now
        .lines()
        .chain([""])
        .zip(expected.lines().chain([""]))
        .enumerate()
        .find(|(_, (is, should))| is != should)
    {
        panic!(
            "{path}:{}:\n  is:        {is}\n  should be: {should}\n`MOONLANE_WRITE=1 cargo test --locked --lib reference` \
             writes it from the Rust sources",
            place + 1
        );
    }
    assert_eq!(now, expected);
}

#[test]
fn the_type_file_is_what_the_sources_say() {
    check("scripts/types/moonlane.d.lua", |_| Sources::read().type_file());
}

#[test]
fn the_tables_of_the_readme_are_what_the_sources_say() {
    for file in ["scripts/README.md", "README.md"] {
        check(file, |now| Sources::read().readme(now));
    }
}

#[test]
fn reading_what_may_be_nil_is_no_error_in_lua() {
    let sources = Sources::read();
    let given = sources.defined.values().filter(|it| it.is_given).filter_map(|it| match &it.is {
        Definition::Table(keys) => Some(keys),
        _ => None,
    });
    let may_be_nil: BTreeSet<&str> =
        given.flatten().filter(|key| key.optional).map(|key| key.name.as_str()).collect();
    let listed = [include_str!("../natives.lua"), include_str!("../commands/ctx.lua")].map(|file| {
        let list = file.split("OPTIONAL = {").nth(1).unwrap().split('}').next().unwrap();
        list.split(',').map(|entry| entry.trim().trim_end_matches(" = true")).filter(|name| !name.is_empty())
    });
    assert_eq!(listed.into_iter().flatten().collect::<BTreeSet<_>>(), may_be_nil);
}
