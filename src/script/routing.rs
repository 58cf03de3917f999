//! What routing.lua returns, and what its `route` function returns, decoded and checked. The types here are the format:
//! [`RoutingKey`] and the fields of the structs are the keys that a script can use.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::budget::{RawBudget, budget};
use super::data::{self, BadValue, Data, Found, ID_IS_TEXT, Id, ids, kind, one_line, segment, shown};
use super::env_from;
use super::problem::ScriptProblem;
use super::project::{check_model, project};
use super::run_as;
use super::tool_rule::{Tool, known_tool, tool_of};
use crate::config::{ScriptsConfig, WORK};
use crate::domain::{
    Allow, ChannelId, GuildId, Limits, Project, ProjectName, RoleId, Route, Source, SpendingBudget, UserId,
    Work,
};
use crate::nearest::{nearest, reword};

/// The longest plain reply, in characters: about ten messages.
const MAX_REPLY: usize = 20_000;
/// How many problems in `channels` are listed.
const MAX_LISTED: usize = 50;

/// What routing.lua says, apart from its `route` function.
#[derive(Debug, Default)]
pub struct Routing {
    pub allow: Allow,
    pub operators: Vec<UserId>,
    pub guilds: Option<Vec<GuildId>>,
    pub budget: SpendingBudget,
    pub projects: BTreeMap<ProjectName, Arc<Project>>,
    pub channels: HashMap<ChannelId, Arc<Project>>,
}

/// What decoding routing.lua needs to know besides.
pub struct Context<'a> {
    /// Where relative directories start.
    pub root: &'a Path,
    /// The limits of a project that sets none.
    pub limits: &'a Limits,
    /// The file, as problems name it.
    pub file: &'a str,
    /// The configuration of scripts.
    pub config: &'a ScriptsConfig,
}

/// A key of what routing.lua returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoutingKey {
    /// Who may start a turn. The owner of the Discord application always may.
    ///
    /// Lua, optional: `Allow`
    Allow,
    /// What the turns of all projects together may cost within 24 hours before no further one begins.
    ///
    /// Lua, optional: `Budget`
    Budget,
    /// The places to work, by name.
    ///
    /// Lua: `table<string, Project>`
    Projects,
    /// The project of each channel, by the channel's id. A thread has its channel's unless it is listed itself.
    ///
    /// Lua, optional: `table<Id, string>`
    Channels,
    /// Called where `channels` has no entry. Returns a project's name, a table, or nil to ignore the message.
    ///
    /// Lua, optional: `fun(message: Message, prompt: string): string|Route|nil`
    Route,
}

impl RoutingKey {
    const ALL: [Self; 5] = [Self::Allow, Self::Budget, Self::Projects, Self::Channels, Self::Route];

    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Budget => "budget",
            Self::Projects => "projects",
            Self::Channels => "channels",
            Self::Route => "route",
        }
    }
}

/// The names of all keys of routing.lua.
pub(super) fn keys() -> [&'static str; 5] {
    RoutingKey::ALL.map(RoutingKey::name)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct RawAllow {
    /// These people.
    users: Vec<Id<UserId>>,
    /// Everybody with one of these roles.
    roles: Vec<Id<RoleId>>,
    /// Who may administer the bot, besides its owner.
    operators: Vec<Id<UserId>>,
    /// The servers in which the bot does anything; by default those of `[discord] guilds`, or those that an owner is in.
    guilds: Option<Vec<Id<GuildId>>>,
}

/// What `route` may return besides a project's name and nil: a turn (`project`), or an answer (`reply`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawRoute {
    /// The project's name.
    project: Option<String>,
    /// The prompt, in place of what the trigger made of the message.
    prompt: Option<String>,
    /// The model for this turn, in place of the project's.
    model: Option<String>,
    /// Whether to forget the channel's session first.
    #[serde(default)]
    fresh: bool,
    /// What the bot says, without starting a turn.
    reply: Option<String>,
}

/// Decodes what routing.lua returned; also tells whether it has a `route` function. Problems are added to `problems`; what is
/// sound is returned all the same, so that the rest can be checked too.
pub fn decode(
    value: &mlua::Value,
    context: &Context<'_>,
    problems: &mut Vec<ScriptProblem>,
) -> (Routing, bool) {
    let mut routing = Routing::default();
    let mut bad = |problem: BadValue| problems.push(ScriptProblem::in_value(context.file, problem));
    let mlua::Value::Table(table) = value else {
        let form = "must end with `return { allow = …, projects = …, channels = …, route = … }`";
        bad(BadValue::here(format!("{form}; it returned {}", kind(value))));
        return (routing, false);
    };
    for (key, _) in entries(table) {
        match key {
            mlua::Value::String(key) if keys().iter().any(|known| key == *known) => {}
            mlua::Value::String(key) => bad(unknown_key(&key.to_string_lossy(), &keys())),
            other => bad(BadValue::here(format!("a {} cannot be a key here", other.type_name()))),
        }
    }
    let field = |key: RoutingKey| table.raw_get::<mlua::Value>(key.name()).unwrap_or(mlua::Nil);

    match field(RoutingKey::Allow) {
        mlua::Nil => {}
        value => {
            let mut found = Vec::new();
            if let Some(raw) = data::decode_all_lua::<RawAllow>(&value, &mut found) {
                routing.allow = Allow { users: ids(raw.users), roles: ids(raw.roles) };
                routing.operators = ids(raw.operators);
                routing.guilds = raw.guilds.map(ids);
            }
            found.into_iter().for_each(|problem| bad(problem.under("allow")));
        }
    }
    match field(RoutingKey::Budget) {
        mlua::Nil => {}
        value => {
            let mut found = Found::default();
            let raw = data::decode_all_lua::<RawBudget>(&value, &mut found.0);
            routing.budget = found.or(routing.budget, "", budget(raw));
            found.0.into_iter().for_each(|problem| bad(problem.under("budget")));
        }
    }
    let names = projects(&field(RoutingKey::Projects), context, &mut routing.projects, &mut bad);
    env_from::replaceable(&routing.projects).into_iter().for_each(&mut bad);
    channels(&field(RoutingKey::Channels), &names, &mut routing, &mut bad);
    let has_route = match field(RoutingKey::Route) {
        mlua::Nil => false,
        mlua::Value::Function(_) => true,
        value => {
            bad(BadValue::here(format!("expected a function, found {}", kind(&value))).under("route"));
            false
        }
    };
    (routing, has_route)
}

/// Decodes `projects` and returns all names, those of projects with problems included.
fn projects(
    value: &mlua::Value,
    context: &Context<'_>,
    projects: &mut BTreeMap<ProjectName, Arc<Project>>,
    bad: &mut impl FnMut(BadValue),
) -> Vec<String> {
    let mut names = Vec::new();
    let table = match value {
        mlua::Value::Table(table) => table,
        mlua::Nil => {
            bad(BadValue::here("`projects` is missing: `projects = { here = { dir = \"work\" } }`"));
            return names;
        }
        other => {
            bad(BadValue::here(format!("expected a table, found {}", kind(other))).under("projects"));
            return names;
        }
    };
    let entries = entries(table);
    if entries.is_empty() {
        bad(BadValue::here("there must be at least one: `here = { dir = \".\" }`").under("projects"));
    }
    for (name, value) in entries {
        let name = match project_name(&name) {
            Ok(name) => name,
            Err(problem) => {
                bad(problem.under("projects"));
                continue;
            }
        };
        names.push(name.0.clone());
        match project(&name, &value, context) {
            Ok(project) => drop(projects.insert(name, Arc::new(project))),
            Err(problems) => {
                problems.into_iter().for_each(|it| bad(it.under(&segment(&name.0)).under("projects")));
            }
        }
    }
    names
}

/// Decodes `channels`.
fn channels(value: &mlua::Value, names: &[String], routing: &mut Routing, bad: &mut impl FnMut(BadValue)) {
    let table = match value {
        mlua::Value::Table(table) => table,
        mlua::Nil => return,
        other => {
            bad(BadValue::here(format!("expected a table, found {}", kind(other))).under("channels"));
            return;
        }
    };
    let mut wrong = 0;
    for (key, value) in entries(table) {
        match channel(&key, &value, names) {
            Ok((id, name)) => {
                if let Some(project) = routing.projects.get(&ProjectName(name)) {
                    routing.channels.insert(id, Arc::clone(project));
                }
            }
            Err(problem) => {
                wrong += 1;
                if wrong <= MAX_LISTED {
                    bad(problem.under("channels"));
                }
            }
        }
    }
    if wrong > MAX_LISTED {
        bad(BadValue::here(format!("and {} more problems", wrong - MAX_LISTED)).under("channels"));
    }
}

/// Warns of what is well formed in routing.lua but cannot work.
pub fn warn(routing: &Routing, has_route: bool, context: &Context<'_>, warnings: &mut Vec<ScriptProblem>) {
    let (sound, file) = (warnings.is_empty(), context.file);
    let is_made = context.root.join(WORK);
    for (name, project) in &routing.projects {
        let rules = [
            ("tools", project.tools.as_deref().unwrap_or_default()),
            ("allowed_tools", &project.allowed_tools),
            ("disallowed_tools", &project.disallowed_tools),
        ];
        for (key, rules) in rules {
            for (place, rule) in (1..).zip(rules).filter(|(_, rule)| known_tool(rule) == Tool::Unknown) {
                let path = BadValue::here("").under(&format!("{key}[{place}]")).under(&segment(&name.0));
                let problem = format!(
                    "moonlane does not know a tool {}; check the spelling, unless it came with a newer Claude Code",
                    shown(tool_of(rule))
                );
                warnings.push(ScriptProblem::warning(file, &path.under("projects").path, problem));
            }
        }
        for (variable, source) in &project.env_from {
            if let Some(problem) = env_from::missing_secret(source) {
                let BadValue { path, message } = env_from::place(name, variable, problem);
                warnings.push(ScriptProblem::warning(file, &path, message));
            }
        }
        // What moonlane creates belongs to its own user.
        let other_user = project.run_as.is_some();
        let mut missing = |key: &str, place: &Path, is_dir: bool| {
            let path = BadValue::here("").under(key).under(&segment(&name.0)).under("projects").path;
            let (shown, kind) = (place.display(), if is_dir { "directory" } else { "file" });
            let problem = match std::fs::metadata(place) {
                Ok(found) if found.is_dir() == is_dir => return,
                Ok(_) => format!("{shown} is not a {kind}"),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && place == is_made && !other_user => {
                    return;
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => format!("{shown} does not exist"),
                Err(e) => format!("{shown}: {e}"),
            };
            warnings.push(ScriptProblem::warning(file, &path, problem));
        };
        missing("dir", &project.dir, true);
        if !project.command.is_empty() {
            // The other paths are as the agent sees them, perhaps in a container.
            continue;
        }
        for (place, dir) in (1..).zip(&project.add_dirs) {
            missing(&format!("add_dirs[{place}]"), dir, true);
        }
        for (place, source) in (1..).zip(&project.mcp_config) {
            if let Source::File(config) = source {
                missing(&format!("mcp_config[{place}]"), config, false);
            }
        }
        if let Some(Source::File(settings)) = &project.settings {
            missing("settings", settings, false);
        }
    }
    let other_users = routing.projects.iter().filter(|(_, project)| project.run_as.is_some());
    if let Some(problem) = run_as::missing_right() {
        for (name, _) in other_users {
            let path = BadValue::here("").under("run_as").under(&segment(&name.0)).under("projects").path;
            warnings.push(ScriptProblem::warning(file, &path, problem));
        }
    }
    if sound && routing.channels.is_empty() && !has_route {
        let message = "`channels` is empty and there is no `route` function, so the bot works nowhere";
        warnings.push(ScriptProblem::warning(file, "", message));
    }
}

/// What the `route` function returned.
pub fn route(
    value: Option<Data>,
    projects: &BTreeMap<ProjectName, Arc<Project>>,
    prompt: String,
) -> Result<Route, BadValue> {
    let find = |name: String| match projects.get(&ProjectName(name.clone())) {
        Some(project) => Ok(Arc::clone(project)),
        None => Err(unknown_project(&name, projects.keys().map(|name| name.0.as_str()))),
    };
    let raw: RawRoute = match value {
        None | Some(Data::Bool(false)) => return Ok(Route::NotForMe),
        Some(Data::Text(name)) => {
            return Ok(Route::Turn(Work {
                project: find(name)?,
                prompt,
                model: None,
                fresh: false,
                in_thread: false,
            }));
        }
        Some(value @ (Data::Map(_) | Data::Empty)) => data::decode(value)?,
        Some(other) => {
            let expected = "expected a project's name, a table or nil";
            return Err(BadValue::here(format!("{expected}, found {other}")));
        }
    };
    match (raw.project, raw.reply) {
        (Some(name), None) => {
            if let Some(model) = &raw.model {
                check_model(model).map_err(|e| e.under("model"))?;
            }
            let project = find(name).map_err(|e| e.under("project"))?;
            if let Some(model) = raw.model.as_deref().filter(|model| !project.takes_model(model)) {
                let problem =
                    format!("{} is not among the `models` of the project {}", shown(model), project.name);
                return Err(BadValue::here(problem).under("model"));
            }
            Ok(Route::Turn(Work {
                project,
                prompt: raw.prompt.unwrap_or(prompt),
                model: raw.model,
                fresh: raw.fresh,
                in_thread: false,
            }))
        }
        (None, Some(reply)) => {
            if raw.prompt.is_some() || raw.model.is_some() || raw.fresh {
                return Err(BadValue::here("`prompt`, `model` and `fresh` need a `project`"));
            }
            check_reply(&reply).map_err(|e| e.under("reply"))?;
            Ok(Route::Reply(reply))
        }
        (Some(_), Some(_)) => Err(BadValue::here("`project` and `reply` exclude each other")),
        (None, None) => Err(BadValue::here("either `project` or `reply` is needed")),
    }
}

fn project_name(key: &mlua::Value) -> Result<ProjectName, BadValue> {
    let mlua::Value::String(name) = key else {
        let form = "each project needs a name: `site = { dir = \"site\" }`";
        return Err(BadValue::here(format!("{form}; found {} as a key", kind(key))));
    };
    let name: String = data::decode_lua(&mlua::Value::String(name.clone()))?;
    if name.trim().is_empty() || name.chars().count() > 100 || name.contains(char::is_control) {
        let problem = "a project name has 1 to 100 characters, all on one line";
        return Err(BadValue::here(problem).under(&segment(&name)));
    }
    Ok(ProjectName(name))
}

fn check_reply(reply: &str) -> Result<(), BadValue> {
    if reply.trim().is_empty() {
        return Err(BadValue::here("must not be empty; return nil to ignore the message"));
    }
    if reply.chars().count() > MAX_REPLY {
        return Err(BadValue::here(format!("must not be longer than {MAX_REPLY} characters")));
    }
    Ok(())
}

fn channel(
    key: &mlua::Value,
    value: &mlua::Value,
    names: &[String],
) -> Result<(ChannelId, String), BadValue> {
    let key = match key {
        mlua::Value::String(key) => key.to_string_lossy(),
        mlua::Value::Integer(_) | mlua::Value::Number(_) => {
            let form = "a key is a number; write [\"123\"] = \"name\"";
            return Err(BadValue::here(format!("{form}: {ID_IS_TEXT}")));
        }
        other => return Err(BadValue::here(format!("a key is a {}; {ID_IS_TEXT}", other.type_name()))),
    };
    let path = format!("[{}]", shown(&key));
    let id = key
        .parse()
        .map_err(|e: crate::domain::BadId| BadValue::here(one_line(e.to_string())).under(&path))?;
    let mlua::Value::String(_) = value else {
        let problem = format!("expected a project's name, found {}", kind(value));
        return Err(BadValue::here(problem).under(&path));
    };
    let name: String = data::decode_lua(value).map_err(|e| e.under(&path))?;
    if !names.contains(&name) {
        return Err(unknown_project(&name, names.iter().map(String::as_str)).under(&path));
    }
    Ok((id, name))
}

fn unknown_project<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> BadValue {
    let name_shown = shown(name);
    BadValue::here(match nearest(name, known.clone()) {
        Some(near) => format!("there is no project {name_shown}, did you mean {near:?}?"),
        None => {
            let known: Vec<&str> = known.take(10).collect();
            match known.is_empty() {
                true => format!("there is no project {name_shown}, or any other"),
                false => format!("there is no project {name_shown}; there are: {}", known.join(", ")),
            }
        }
    })
}

pub(super) fn unknown_key(key: &str, valid: &[&str]) -> BadValue {
    if let Some(now) = data::renamed(key, valid) {
        return BadValue::here(now).under(&segment(key));
    }
    let listed = valid.join("`, `");
    let message = reword(&format!("unknown field `{key}`, expected one of `{listed}`"));
    BadValue::here(one_line(message)).under(&segment(key))
}

/// The entries of a table, sorted by key, so that problems always come in the same order.
pub(super) fn entries(table: &mlua::Table) -> Vec<(mlua::Value, mlua::Value)> {
    let mut entries: Vec<_> = table.pairs::<mlua::Value, mlua::Value>().filter_map(Result::ok).collect();
    entries.sort_by_cached_key(|(key, _)| match key {
        mlua::Value::String(key) => key.to_string_lossy(),
        _ => String::new(),
    });
    entries
}
