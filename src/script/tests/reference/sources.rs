//! Reads the definitions from the Rust sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Fields, GenericArgument, Item, Lit, PathArguments, Type};

/// Classes that are put together from several definitions, and what is said of them.
const COMPOSED: [(&str, &[&str], &str); 5] = [
    ("Routing", &["RoutingKey"], "What routing.lua returns."),
    ("Hooks", &["Hook"], "What hooks.lua returns. Each function may return nil to change nothing."),
    ("Ctx", &["CtxFacts", "CtxFunction", "CtxTool"], ""),
    (
        "SuggestCtx",
        &["CtxFacts", "CtxTool"],
        "What `autocomplete` gets: a command that is still being typed. It can ask the bot for nothing.",
    ),
    ("Moonlane", &["MoonlaneFunction"], "What every script has, hooks included."),
];

/// One key of a table.
#[derive(Clone)]
pub struct Key {
    pub name: String,
    pub lua: String,
    pub optional: bool,
    pub doc: String,
}

/// A definition: the keys of a table, the words of a closed set, or what a type stands for.
pub enum Definition {
    Table(Vec<Key>),
    Words(Vec<(String, String)>),
    Alias(String),
}

pub struct Defined {
    /// In Lua.
    pub name: String,
    pub doc: String,
    pub is: Definition,
    /// Whether scripts get values of it.
    pub is_given: bool,
}

/// Everything that the sources define, by its name in Rust.
pub struct Sources {
    pub defined: BTreeMap<String, Defined>,
    /// What stands for another type wherever it is used, by its name in Rust.
    inline: BTreeMap<String, String>,
    /// The names of functions in Lua and the keys of their first values, by `Enum::Variant`.
    functions: BTreeMap<String, (String, String)>,
}

/// The first paragraph of a doc comment, and the lines of the others.
pub fn docs(attributes: &[Attribute]) -> (String, Vec<String>) {
    let mut lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|doc| {
            match &doc.meta.require_name_value().ok()?.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
                _ => None,
            }
        });
    let first: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    (first.join(" "), lines.collect())
}

/// What stands in backquotes after this at the beginning of a line.
fn marked(lines: &[String], mark: &str) -> Option<String> {
    lines
        .iter()
        .find_map(|line| Some(line.strip_prefix(mark)?.strip_prefix(": `")?.strip_suffix('`')?.to_owned()))
}

/// Whether serde is told this about a field or a struct.
pub fn serde_says(attributes: &[Attribute], what: &str) -> bool {
    let mut says = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        drop(attribute.parse_nested_meta(|meta| {
            says |= meta.path.is_ident(what);
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<Expr>()?;
            }
            Ok(())
        }));
    }
    says
}

/// The words of an enum as serde writes them.
fn renamed(attributes: &[Attribute], variant: &str) -> String {
    let mut rule = String::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        drop(attribute.parse_nested_meta(|meta| {
            rule = meta.value()?.parse::<syn::LitStr>()?.value();
            Ok(())
        }));
    }
    match rule.as_str() {
        "camelCase" => variant[..1].to_lowercase() + &variant[1..],
        "lowercase" => variant.to_lowercase(),
        other => panic!("{variant}: {other:?} is a new way to rename"),
    }
}

fn snake_case(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

fn capitalized(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

fn lua_name(rust: &str, lines: &[String]) -> String {
    let plain = rust.strip_prefix("Raw").unwrap_or(rust);
    marked(lines, "Lua class").unwrap_or_else(|| plain.strip_suffix("Facts").unwrap_or(plain).to_owned())
}

impl Sources {
    pub fn read() -> Self {
        let mut sources =
            Self { defined: BTreeMap::new(), inline: BTreeMap::new(), functions: BTreeMap::new() };
        let files: Vec<syn::File> = files()
            .iter()
            .map(|file| syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap())
            .collect();
        let items = || files.iter().flat_map(|file| &file.items);
        items().for_each(|item| sources.read_names(item));
        items().for_each(|item| sources.read_type(item));
        sources
    }

    /// A table of functions: `(Enum::Variant, "name", "first")`.
    fn read_names(&mut self, item: &Item) {
        let Item::Const(constant) = item else { return };
        let Expr::Array(array) = &*constant.expr else { return };
        for row in &array.elems {
            let Expr::Tuple(row) = row else { return };
            let parts: Vec<&Expr> = row.elems.iter().collect();
            let [Expr::Path(variant), Expr::Lit(name), Expr::Lit(first)] = parts[..] else { return };
            let (Lit::Str(name), Lit::Str(first)) = (&name.lit, &first.lit) else { return };
            let path: Vec<String> =
                variant.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.functions.insert(path.join("::"), (name.value(), first.value()));
        }
    }

    fn read_type(&mut self, item: &Item) {
        let (rust, attributes) = match item {
            Item::Struct(item) => (item.ident.to_string(), &item.attrs),
            Item::Enum(item) => (item.ident.to_string(), &item.attrs),
            _ => return,
        };
        let (doc, lines) = docs(attributes);
        let derived: String = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("derive"))
            .filter_map(|derive| Some(derive.meta.require_list().ok()?.tokens.to_string()))
            .collect();
        let (is_given, is_taken) = (derived.contains("Serialize"), derived.contains("Deserialize"));
        let derives = is_given || is_taken;
        if let Some(lua) = marked(&lines, "Lua") {
            self.inline.insert(rust, lua);
            return;
        }
        let named = lines.iter().find_map(|line| {
            let (name, lua) = line.strip_prefix("Lua ")?.split_once(": `")?;
            (!name.contains(' ') && name != "class")
                .then(|| (name.to_owned(), lua.trim_end_matches('`').to_owned()))
        });
        if let Some((name, lua)) = named {
            self.defined.insert(rust, Defined { name, doc, is: Definition::Alias(lua), is_given });
            return;
        }
        let is = match item {
            Item::Struct(item) if derives => match &item.fields {
                Fields::Named(fields) => {
                    // What the bot gives has every key, whatever it reads where one is missing.
                    let may_lack =
                        |attributes: &[syn::Attribute]| !is_given && serde_says(attributes, "default");
                    let key =
                        |field: &syn::Field| self.key(field, may_lack(attributes) || may_lack(&field.attrs));
                    Definition::Table(fields.named.iter().map(key).collect())
                }
                // A newtype of a text, such as a name.
                _ => {
                    self.inline.insert(rust, "string".to_owned());
                    return;
                }
            },
            Item::Enum(item) if derives => Definition::Words(
                item.variants
                    .iter()
                    .map(|it| (renamed(attributes, &it.ident.to_string()), docs(&it.attrs).0))
                    .collect(),
            ),
            Item::Enum(item) => {
                let keys: Option<Vec<Key>> =
                    item.variants.iter().map(|variant| self.function(&rust, variant)).collect();
                let Some(keys) = keys else { return };
                Definition::Table(keys)
            }
            _ => return,
        };
        let name = lua_name(&rust, &lines);
        let before = self.defined.insert(rust.clone(), Defined { name, doc, is, is_given });
        assert!(before.is_none(), "two definitions of {rust}");
    }

    fn key(&self, field: &syn::Field, may_lack: bool) -> Key {
        let (doc, lines) = docs(&field.attrs);
        let (lua, is_option) = lua_of(&field.ty);
        let name = field.ident.as_ref().unwrap().to_string();
        Key {
            name: name.trim_start_matches("r#").to_owned(),
            lua: marked(&lines, "Lua").unwrap_or(lua),
            optional: is_option || may_lack,
            doc,
        }
    }

    /// A variant of an enum that lists what a table holds.
    fn function(&self, of: &str, variant: &syn::Variant) -> Option<Key> {
        let (doc, lines) = docs(&variant.attrs);
        let required = marked(&lines, "Lua");
        let optional = required.is_none();
        let lua = required.or_else(|| marked(&lines, "Lua, optional"))?;
        let name = self.functions.get(&format!("{of}::{}", variant.ident)).map(|(name, _)| name.clone());
        Some(Key { name: name.unwrap_or_else(|| snake_case(&variant.ident.to_string())), lua, optional, doc })
    }

    /// The type with the names of Lua in place of those of Rust, and what is inline in place.
    pub fn resolved(&self, lua: &str) -> String {
        let mut resolved = String::new();
        let mut rest = lua;
        while let Some(start) = rest.find(|c: char| c.is_ascii_uppercase()) {
            let end =
                rest[start..].find(|c: char| !c.is_alphanumeric()).map_or(rest.len(), |end| start + end);
            let (before, word) = (&rest[..start], &rest[start..end]);
            resolved.push_str(before);
            rest = &rest[end..];
            let argument = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
            match (self.inline.get(word), argument) {
                (Some(lua), Some((argument, after))) => {
                    resolved.push_str(&self.resolved(&lua.replace('T', argument)));
                    rest = after;
                }
                (Some(lua), None) => {
                    let lua = self.resolved(lua);
                    let list = rest.starts_with("[]") && lua.contains('|');
                    resolved.push_str(&if list { format!("({lua})") } else { lua });
                }
                (None, _) => resolved.push_str(self.defined.get(word).map_or(word, |it| it.name.as_str())),
            }
        }
        resolved.push_str(rest);
        resolved
    }

    pub fn defined_as(&self, name: &str) -> Option<&Defined> {
        self.defined.values().find(|it| it.name == name)
    }

    /// What is said of a class, and its keys. Of keys such as `json.encode`, those before the dot are classes too.
    pub fn class(&self, name: &str) -> Option<(String, Vec<Key>)> {
        let outer =
            COMPOSED.iter().flat_map(|(composed, ..)| self.whole_class(composed)).find_map(|(_, keys)| {
                let inner = |key: Key| {
                    let (class, inner) = key.name.split_once('.')?;
                    (capitalized(class) == name).then(|| Key { name: inner.to_owned(), ..key.clone() })
                };
                Some(keys.into_iter().filter_map(inner).collect::<Vec<_>>()).filter(|keys| !keys.is_empty())
            });
        if let Some(keys) = outer {
            return Some((String::new(), keys));
        }
        let (doc, keys) = self.whole_class(name)?;
        let mut listed: Vec<Key> = Vec::new();
        for key in keys {
            match key.name.split_once('.') {
                None => listed.push(key),
                Some((class, _)) if listed.iter().any(|key| key.name == class) => {}
                Some((class, _)) => {
                    let (name, lua) = (class.to_owned(), capitalized(class));
                    listed.push(Key { name, lua, optional: false, doc: String::new() });
                }
            }
        }
        Some((doc, listed))
    }

    pub fn whole_class(&self, name: &str) -> Option<(String, Vec<Key>)> {
        let table = |rust: &str| match self.defined.get(rust).map(|it| (&it.doc, &it.is)) {
            Some((doc, Definition::Table(keys))) => (doc.clone(), keys.clone()),
            _ => panic!("{rust} is not there"),
        };
        let (doc, mut keys) = match COMPOSED.iter().find(|(composed, ..)| *composed == name) {
            Some((_, of, doc)) => {
                let parts: Vec<_> = of.iter().map(|rust| table(rust)).collect();
                let doc = if doc.is_empty() { parts[0].0.clone() } else { (*doc).to_owned() };
                (doc, parts.into_iter().flat_map(|(_, keys)| keys).collect())
            }
            None => match &self.defined_as(name)?.is {
                Definition::Table(keys) => (self.defined_as(name)?.doc.clone(), keys.clone()),
                _ => return None,
            },
        };
        for key in &mut keys {
            key.lua = self.resolved(&key.lua).replace("self: Ctx", &format!("self: {name}"));
        }
        if let Some(first) = self.first_of(name) {
            let place = keys.iter().position(|key| key.name == first).unwrap();
            let key = Key { name: "[1]".to_owned(), optional: true, ..keys[place].clone() };
            keys[place] = Key { optional: true, doc: "The same.".to_owned(), ..keys[place].clone() };
            keys.insert(place, key);
        }
        Some((doc, keys))
    }

    /// The key that the first item of this table stands for, if it is what a function takes.
    pub fn first_of(&self, class: &str) -> Option<String> {
        let functions = self.defined.iter().filter_map(|(rust, it)| match &it.is {
            Definition::Table(keys) => Some((rust, keys)),
            _ => None,
        });
        let mut takes = functions.flat_map(|(_, keys)| keys).filter(|key| taken(&key.lua).1 == Some(class));
        let name = takes.next()?.name.clone();
        let first = self.functions.values().find(|(known, _)| *known == name).map(|(_, first)| first.clone());
        first.filter(|first| !first.is_empty())
    }
}

/// The values that a function takes besides itself, and the class of the first one.
pub fn taken(lua: &str) -> (Vec<&str>, Option<&str>) {
    let Some(parameters) = lua.strip_prefix("fun(").and_then(|rest| rest.split_once(')')) else {
        return (Vec::new(), None);
    };
    let mut parameters =
        parameters.0.split(", ").filter(|it| !it.is_empty() && !it.starts_with("self:")).peekable();
    let class = parameters.peek().and_then(|first| first.split(['|', ' ']).next_back());
    let class = class.filter(|class| class.starts_with(|c: char| c.is_ascii_uppercase()));
    (parameters.map(|it| it.split([':', '?']).next().unwrap()).collect(), class)
}

/// The type in Lua, its names still those of Rust, and whether it may be nil.
fn lua_of(ty: &Type) -> (String, bool) {
    let path = match ty {
        Type::Path(path) => path.path.segments.last().unwrap(),
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) => return (list_of(&slice.elem), false),
            other => return lua_of(other),
        },
        _ => panic!("a new kind of type"),
    };
    let arguments: Vec<&Type> = match &path.arguments {
        PathArguments::AngleBracketed(list) => {
            let types = list.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    };
    let name = path.ident.to_string();
    let lua = match (name.as_str(), &arguments[..]) {
        ("Option", [inner]) => return (lua_of(inner).0, true),
        ("Vec", [inner]) => list_of(inner),
        ("BTreeMap", [key, value]) => format!("table<{}, {}>", lua_of(key).0, lua_of(value).0),
        ("String" | "str", []) => "string".to_owned(),
        ("bool", []) => "boolean".to_owned(),
        ("f64", []) => "number".to_owned(),
        ("u32" | "u64" | "usize" | "i64", []) => "integer".to_owned(),
        (id, _) if id.ends_with("Id") => "Id".to_owned(),
        (other, [inner]) => format!("{other}<{}>", lua_of(inner).0),
        (other, _) => other.to_owned(),
    };
    (lua, false)
}

fn list_of(item: &Type) -> String {
    format!("{}[]", lua_of(item).0)
}

/// The sources that define what crosses.
fn files() -> Vec<PathBuf> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                walk(&path, files);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![src.join("domain.rs")];
    walk(&src.join("domain"), &mut files);
    walk(&src.join("script"), &mut files);
    files
}
