//! Arrows point down only, and each outer world's types stay in its module. This reads the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which modules each may use. What is not listed may be used by nobody.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "main",
        &[
            "agent",
            "bot",
            "config",
            "demo_agent",
            "doctor",
            "domain",
            "format",
            "host",
            "local",
            "logging",
            "playground",
            "print",
            "script",
            "show_turn",
            "try_out",
        ],
    ),
    ("doctor", &["agent", "config", "domain", "host", "logging", "outbox", "print", "script", "store"]),
    ("format", &["domain", "print", "text"]),
    ("show_turn", &["config", "domain", "logging", "print", "store"]),
    ("try_out", &["config", "domain", "gate", "print", "script"]),
    ("playground", &["bot", "config", "domain", "host", "local", "logging", "turn", "view"]),
    (
        "bot",
        &[
            "agent", "command", "config", "domain", "files", "gate", "gateway", "host", "lane", "logging",
            "outbox", "panics", "redact", "reload", "respond", "script", "store", "turn", "words",
        ],
    ),
    ("gateway", &["domain", "logging", "outbox", "panics", "store", "words"]),
    (
        "turn",
        &[
            "agent", "domain", "files", "gate", "lane", "logging", "outbox", "script", "store", "text",
            "view", "words",
        ],
    ),
    ("files", &["config", "domain", "outbox", "redact"]),
    ("view", &["agent", "domain", "text"]),
    ("gate", &["domain", "outbox", "script"]),
    ("reload", &["config", "domain", "panics", "script", "words"]),
    ("respond", &["domain", "outbox", "words"]),
    (
        "command",
        &[
            "domain", "logging", "nearest", "outbox", "reload", "respond", "script", "store", "text", "turn",
            "words",
        ],
    ),
    ("words", &["agent", "domain", "script", "store", "text"]),
    ("lane", &["domain"]),
    ("script", &["config", "domain", "nearest", "reach", "secret", "worker"]),
    ("agent", &["config", "domain", "print", "reach", "redact", "secret"]),
    ("store", &["domain", "worker"]),
    ("outbox", &["domain", "redact"]),
    ("text", &["domain"]),
    ("config", &["domain", "logging", "nearest"]),
    ("domain", &[]),
    ("host", &["config", "redact"]),
    ("logging", &["nearest", "redact"]),
    ("redact", &[]),
    ("nearest", &[]),
    ("print", &[]),
    ("worker", &["panics"]),
    ("panics", &[]),
    ("reach", &["domain"]),
    ("secret", &["domain"]),
    ("local", &[]),
    ("demo_agent", &[]),
    ("lib", &[]),
];

/// Crates that only these modules may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("serenity", &["gateway"]),
    ("mlua", &["script"]),
    ("notify", &["reload"]),
    ("rusqlite", &["store"]),
    ("nix", &["script"]),
    ("axum", &["local"]),
    ("clap", &["main", "playground"]),
];

/// Every source file of the crate, but for files that hold only tests.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.insert(path, text);
            }
        }
    }
    found
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The names that follow `prefix` anywhere outside comments, also inside `prefix{a, b::c}`.
fn names_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name =
        |s: &str| s.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 1;
                let mut item = String::new();
                for c in group.chars() {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    if depth == 0 || (depth == 1 && c == ',') {
                        names.insert(name(&item));
                        item.clear();
                    } else {
                        item.push(c);
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            None => drop(names.insert(name(rest))),
        }
    }
    names.remove("");
    names
}

/// The modules in each folder of `src`, and which of their siblings each uses.
fn siblings() -> BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let below: Vec<String> =
            path.strip_prefix(&src).unwrap().with_extension("").iter().map(name_of).collect();
        for (depth, module) in below.iter().enumerate() {
            let from_there = format!(
                "crate::{}",
                below[..depth].iter().map(|part| format!("{part}::")).collect::<String>()
            );
            let from_here = "super::".repeat(below.len() - depth);
            let mut used = names_after(code, &from_there);
            if depth > 0 {
                used.extend(names_after(code, &from_here));
            }
            used.remove(module);
            let folder = below[..depth].iter().collect();
            folders.entry(folder).or_default().entry(module.clone()).or_default().extend(used);
        }
    }
    for modules in folders.values_mut() {
        let there: BTreeSet<String> = modules.keys().cloned().collect();
        modules.values_mut().for_each(|used| used.retain(|name| there.contains(name)));
    }
    folders
}

fn name_of(part: &std::ffi::OsStr) -> String {
    part.to_str().unwrap().to_owned()
}

/// The modules that use each other in a circle, each with all others of its circle.
fn circles(modules: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reach = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(modules[module].iter().filter(|used| seen.insert((*used).clone())));
        }
        seen
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        modules.keys().map(|module| (module, reach(module))).collect();
    let in_one = |module: &&String| all[*module].contains(*module);
    let with_all_others =
        |module: &String| all[module].iter().filter(|other| all[*other].contains(module)).cloned().collect();
    modules.keys().filter(in_one).map(with_all_others).collect()
}

/// Where siblings use each other in a circle, and why.
const CIRCLES: &[(&str, &[&str], &str)] = &[
    (
        "agent",
        &["as_user", "guard"],
        "the guard takes the step to another user, and the step fails as a start of the guard's",
    ),
    (
        "agent",
        &["denial", "question"],
        "what is denied may have been asked, and both come with the CLI's suggestions",
    ),
    (
        "local",
        &["commands", "form", "interactions", "layout", "rules", "shape", "world"],
        "parts of one world, and what may be in it",
    ),
    (
        "outbox",
        &["form", "interaction", "wire"],
        "a message has controls, a control opens a form, and a form answers an interaction",
    ),
    ("script", &["env_from", "project", "routing"], "a project is read with what routing.lua says of all"),
    ("script/effect", &["choices", "decode", "values"], "one format, in three files"),
    (
        "store",
        &["continuations", "deliveries", "turns"],
        "a turn's end, its delivery and its offer are written, and read again, in one step",
    ),
    (
        "text",
        &["dialect", "html", "inline", "links", "math", "references", "runs"],
        "Markdown is recursive: emphasis in links in HTML in emphasis",
    ),
];

#[test]
fn siblings_use_each_other_in_no_circle() {
    let found: BTreeSet<(String, BTreeSet<String>)> = siblings()
        .into_iter()
        .flat_map(|(folder, modules)| {
            circles(&modules).into_iter().map(move |circle| (folder.to_str().unwrap().to_owned(), circle))
        })
        .collect();
    let known = CIRCLES.iter().map(|(folder, circle, _)| {
        ((*folder).to_owned(), circle.iter().map(|module| (*module).to_owned()).collect())
    });
    assert_eq!(found, known.collect(), "the circles that there are, and those in the table");
}

/// What each top-level module uses of the others, with a file that does.
fn arrows() -> BTreeMap<(String, String), PathBuf> {
    let modules: BTreeSet<String> = sources().keys().map(|path| module(path)).collect();
    let mut arrows = BTreeMap::new();
    for (path, text) in sources() {
        let from = module(&path);
        for to in names_after(&text, "crate::").into_iter().chain(names_after(&text, "moonlane::")) {
            if to != from && modules.contains(&to) {
                arrows.insert((from.clone(), to), path.clone());
            }
        }
    }
    arrows
}

#[test]
fn arrows_point_down_only() {
    let arrows = arrows();
    let allowed: BTreeSet<(&str, &str)> =
        MAY_USE.iter().flat_map(|(from, all)| all.iter().map(|to| (*from, *to))).collect();
    let wrong: Vec<String> = arrows
        .iter()
        .filter(|((from, to), _)| !allowed.contains(&(from.as_str(), to.as_str())))
        .map(|((from, to), path)| format!("{}: {from} may not use {to}", path.display()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let unused: Vec<_> = allowed
        .iter()
        .filter(|(from, to)| !arrows.contains_key(&(from.to_string(), to.to_string())))
        .collect();
    assert!(unused.is_empty(), "allowed, and used by nobody: {unused:#?}");

    let modules: BTreeSet<String> = sources().keys().map(|path| module(path)).collect();
    let listed: BTreeSet<String> = MAY_USE.iter().map(|(from, _)| (*from).to_owned()).collect();
    assert_eq!(modules, listed, "the modules that there are, and those in the table");
}

#[test]
fn each_outer_worlds_types_stay_in_its_module() {
    let mut users = BTreeSet::new();
    for (path, text) in sources() {
        for (krate, _) in ONLY_IN {
            if !names_after(&text, &format!("{krate}::")).is_empty() {
                users.insert(((*krate).to_owned(), module(&path)));
            }
        }
    }
    let allowed = ONLY_IN
        .iter()
        .flat_map(|(krate, homes)| homes.iter().map(|home| (krate.to_string(), home.to_string())));
    assert_eq!(users, allowed.collect(), "who names which crate, and who may");
}

/// One word, one meaning. The local Discord and tests have words of their own.
#[test]
fn no_two_types_have_one_name() {
    let mut homes: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in sources() {
        let is_apart = module(&path) == "local" || path.components().any(|part| part.as_os_str() == "laws");
        if is_apart {
            continue;
        }
        for name in text.lines().filter_map(type_name) {
            homes.entry(name).or_default().push(path.clone());
        }
    }
    assert!(homes.len() > 300, "the types are found: {}", homes.len());
    homes.retain(|_, paths| paths.len() > 1);
    assert!(homes.is_empty(), "{homes:#?}");
}

/// The name of the type that a line defines at the top level of its file.
fn type_name(line: &str) -> Option<String> {
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.strip_prefix(' ')?,
        None => line,
    };
    let name =
        ["struct ", "enum ", "type ", "trait ", "union "].iter().find_map(|kind| line.strip_prefix(kind))?;
    Some(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

#[test]
fn files_stay_short_enough_to_read() {
    let long: Vec<String> = sources()
        .iter()
        .filter_map(|(path, text)| {
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let lines = code.lines().count();
            (lines > 520).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Where tasks and threads begin besides `Panics::spawn` and `Panics::thread`, how many, and what a panic there costs. The
/// log has every panic.
const BEGUN: &[(&str, usize, &str)] = &[
    ("agent.rs", 1, "the channel's next turn finds no agent, and starts one"),
    ("agent/ask.rs", 2, "a session counts as used by nobody else, or a prompt as one that has begun"),
    (
        "agent/kin.rs",
        2,
        "the control group or the marked processes of one agent; the guard has ended them before",
    ),
    ("agent/leftovers.rs", 1, "temporary folders are cleared a day later"),
    ("bot.rs", 2, "nobody is warned of places where the token lies about; old files go an hour later"),
    ("files.rs", 2, "one file, or those of one message, which counts as not read"),
    ("command.rs", 1, "one command or press, whose person is told"),
    ("demo_agent/wire.rs", 1, "one demo agent"),
    ("gateway.rs", 1, "the bot ends: `Gateway::stopped`"),
    ("gateway/convert.rs", 1, "one direct message is not turned away"),
    ("gateway/convert/reread.rs", 1, "one message counts as unchanged"),
    ("gateway/life.rs", 5, "the session with Discord, or its pulse; the supervisor begins the next"),
    ("local.rs", 1, "the local Discord"),
    ("panics.rs", 2, "told: `Panics::first`"),
    ("playground/input.rs", 1, "the playground hears no more, as at the end of its input"),
    ("main.rs", 1, "one reload by hand"),
    ("respond.rs", 1, "one answer is not deferred"),
    ("turn/edits.rs", 2, "one edit, or one deletion"),
    ("turn/handed.rs", 6, "one call of a tool fails after a minute; its files follow after the next start"),
    ("turn/enter.rs", 1, "one turn, which is told of it"),
    (
        "turn/intake.rs",
        3,
        "one sentence, which the next start says unless Discord has yet to tell of its guild",
    ),
    ("turn/board.rs", 1, "the board stays as it is until the next start"),
    ("turn/branch.rs", 1, "one answer does not name the branch"),
    ("turn/refused_turns.rs", 2, "one answer shows an old state until the next start"),
    ("turn/live.rs", 1, "one live line"),
    ("turn/notice.rs", 1, "one notice of one message that waits"),
    ("turn/answering.rs", 1, "one answer to a question is not shown until the next start"),
    ("turn/questions.rs", 3, "one question: it is denied, or shows an old state until the next start"),
    ("turn/shown.rs", 3, "one mark of one turn"),
    ("turn/steer.rs", 1, "one mark on one message"),
    ("turn/typing.rs", 1, "nobody sees that the bot types"),
    ("worker.rs", 1, "each job apart: `Worker::panicked`"),
];

#[test]
fn of_every_task_and_thread_it_is_known_what_its_panic_costs() {
    const BEGINNINGS: [&str; 5] =
        ["tokio::spawn(", "thread::spawn(", "thread::Builder::new", "spawn_blocking(", "tasks.spawn("];
    let mut begun = Vec::new();
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let count: usize = BEGINNINGS.iter().map(|beginning| code.matches(beginning).count()).sum();
        if count > 0 {
            let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
            begun.push((below.to_str().unwrap().to_owned(), count));
        }
    }
    let known: BTreeSet<_> = BEGUN.iter().map(|(file, count, _)| ((*file).to_owned(), *count)).collect();
    assert_eq!(begun.into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let names =
        names_after("use crate::{a::{b, c}, d};\n// crate::e\nlet x = crate::f::g; mycrate::h", "crate::");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "d", "f"]);
}
