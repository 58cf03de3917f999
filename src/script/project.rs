//! A project in routing.lua, decoded and checked. The structs here are the format: their fields are the keys that a script
//! can use.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::budget::{RawBudget, budget, dollars};
use super::context::RawContext;
use super::data::{self, BadValue, Data, Found, Id, Seconds, ids, kind, segment, shown};
use super::env_from::secret_source;
use super::footer::FieldsOrFalse;
use super::own_places;
use super::routing::Context;
use super::run_as::{self, kept_out};
use super::tool_rule::check_tool;
use crate::config::WORK;
use crate::domain::{
    Allow, AnswerForm, Approve, Busy, Effort, Format, Limits, MAX_BYTES, MAX_PARTS, PermissionMode, Project,
    ProjectName, RoleId, RunAs, Sandbox, SecretSource, SettingSource, Source, ThreadMode, UserId, Verbosity,
    is_model_name,
};
use crate::reach::Right;

/// The longest time limit that a project can set. Anything longer is a slip, and would overflow a clock.
const MAX_LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A place to work.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawProject {
    /// The directory. A relative one starts where config/ and scripts/ are; `~/` is home.
    dir: String,
    /// The model, as `claude --model` takes it; by default the CLI chooses.
    model: Option<String>,
    /// The only models that a channel may choose instead; by default any.
    models: Option<Vec<String>>,
    /// What Claude may do without asking.
    permission_mode: Option<PermissionMode>,
    /// The only modes that a channel may choose instead; by default all but "auto" and "bypassPermissions".
    permission_modes: Option<Vec<PermissionMode>>,
    /// The exact set of built-in tools.
    tools: Option<Vec<String>>,
    /// What is allowed without asking, such as "Bash(git *)".
    #[serde(default)]
    allowed_tools: Vec<String>,
    /// Tools that are taken away.
    #[serde(default)]
    disallowed_tools: Vec<String>,
    /// Appended to Claude Code's own system prompt.
    system_prompt: Option<String>,
    /// Which of Claude Code's settings files count; by default all three.
    setting_sources: Option<Vec<SettingSource>>,
    /// How hard the model thinks.
    effort: Option<Effort>,
    /// The model to use when the first one is busy; several, in order, are separated by commas.
    fallback_model: Option<String>,
    /// How many round trips to the model a turn may take.
    ///
    /// Lua: `integer`
    max_turns: Option<f64>,
    /// What a turn may cost, in dollars; each turn then starts a process of its own.
    max_usd: Option<f64>,
    /// More directories in which Claude may work.
    #[serde(default)]
    add_dirs: Vec<String>,
    /// MCP servers: files, or JSON in [[…]].
    #[serde(default)]
    mcp_config: Vec<String>,
    /// More settings of Claude Code: a file, or JSON in [[…]].
    settings: Option<String>,
    /// Whether there is no shell and no WebFetch, unless `tools` names them, and no settings files.
    #[serde(default)]
    restricted: bool,
    /// "bwrap": agents see nothing but the project and Claude's own folder; needs bubblewrap.
    sandbox: Option<Sandbox>,
    /// The user of this machine that agents run as; the bot needs the right to start them so.
    run_as: Option<String>,
    /// What stands before `[agent] command`, such as { "podman", "exec", "-i", "box" }.
    #[serde(default)]
    command: Vec<String>,
    /// Variables to add to the agent's environment. SSH_AUTH_SOCK and XDG_RUNTIME_DIR get there only in this way.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Variables with secrets that stand elsewhere: "env:NAME", of the bot's own environment, or "file:/run/secrets/x".
    #[serde(default)]
    env_from: BTreeMap<String, String>,
    /// Time limits, in place of those in config/moonlane.toml.
    #[serde(default)]
    limits: RawProjectLimits,
    /// A code block of an answer with more lines than this comes as a file in its own message; never by default.
    ///
    /// Lua: `integer`
    file_over: Option<f64>,
    /// Whether Claude may hand over files of the project; true by default, and never where `run_as` is set.
    send_files: Option<bool>,
    /// Files that Claude may not hand over, by name, with `*` and `?`; a name counts for a folder with all in it, too.
    deny_files: Option<Vec<String>>,
    /// Which of Claude's texts are the answer; "last" by default.
    #[serde(default)]
    answer: AnswerForm,
    /// What becomes of a message that comes while a turn runs in its channel; "queue" by default.
    #[serde(default)]
    busy: Busy,
    /// What was said in the channel before a prompt goes with it, if the bot may read it; nothing by default.
    context: Option<RawContext>,
    /// Whether a message in a channel opens a thread, with a session of its own; "never" by default.
    #[serde(default)]
    thread: ThreadMode,
    /// How answers become Discord messages.
    #[serde(default)]
    format: RawFormat,
    /// What a channel sees of a turn at work, unless it chooses something else by /verbosity; "line" by default.
    #[serde(default)]
    live: Verbosity,
    /// What stands in small text below an answer, in this order; false: nothing. { "time", "model", "context" } by default.
    footer: Option<FieldsOrFalse>,
    /// What all its turns may cost within 24 hours before no further one begins.
    budget: Option<RawBudget>,
    /// Who may work here, in place of the rule at the top of routing.lua.
    allow: Option<RawProjectAllow>,
    /// Who may answer what Claude asks, besides whoever asked it.
    #[serde(default)]
    approvers: RawProjectAllow,
    /// Who answers what Claude asks: "asker" for whoever asked it and the approvers, "approvers" for them alone; "asker" by default.
    #[serde(default)]
    approve: Approve,
    /// Whether what Claude asks leave for may be allowed by `on_permission` of hooks.lua; false by default: it can only deny.
    #[serde(default)]
    scripts_may_allow: bool,
}

/// How an answer becomes Discord messages.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct RawFormat {
    /// Whether what Discord does not show (tables, task lists, images …) is rewritten; true by default.
    dialect: Option<bool>,
    /// Messages are kept shorter than this where nothing is torn, because phones fold tall ones; no limit by default.
    ///
    /// Lua: `integer`
    max_lines: Option<f64>,
    /// A longer answer ends with a file that holds all of it; 8 by default, false: never.
    max_parts: Option<NumberOrFalse>,
    /// What an answer has beyond this is only in the file; 200 by default, false: no limit.
    max_kb: Option<NumberOrFalse>,
}

/// A number, or `false` for no limit.
///
/// Lua: `integer|false`
struct NumberOrFalse(Option<f64>);

impl<'de> Deserialize<'de> for NumberOrFalse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NumberOrFalse;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or false")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<NumberOrFalse, E> {
                Ok(NumberOrFalse(Some(number)))
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<NumberOrFalse, E> {
                match on {
                    false => Ok(NumberOrFalse(None)),
                    true => Err(E::invalid_value(Unexpected::Bool(true), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct RawProjectAllow {
    /// These people.
    users: Vec<Id<UserId>>,
    /// Everybody with one of these roles.
    roles: Vec<Id<RoleId>>,
}

/// How long each stage of a turn may take.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct RawProjectLimits {
    /// From starting the agent to its first sign of readiness.
    start: Option<Seconds>,
    /// From a prompt to the first sign that Claude Code has begun with it.
    wake: Option<Seconds>,
    /// Without any event, while no tool is running.
    silence: Option<Seconds>,
    /// Without any event, while a tool is running.
    tool: Option<Seconds>,
    /// The whole turn.
    turn: Option<Seconds>,
    /// From the result until Claude is idle.
    after_result: Option<Seconds>,
    /// How long after a usage limit's reset a turn goes on at most, at random; 0 for at once.
    continue_spread: Option<Seconds>,
    /// How long Claude waits for leave to use a tool and for a word on its plan, and an MCP server for a person.
    question: Option<Seconds>,
    /// How long Claude waits for an answer to what it asks; 0 for as long as it takes.
    question_choice: Option<Seconds>,
}

/// Decodes one project.
///
/// # Errors
/// Every problem that it has.
pub(super) fn project(
    name: &ProjectName,
    value: &mlua::Value,
    context: &Context<'_>,
) -> Result<Project, Vec<BadValue>> {
    let mut found = Found(Vec::new());
    let Some(raw) = raw_project(value, &mut found.0) else { return Err(found.0) };
    found.or((), "model", raw.model.as_deref().map_or(Ok(()), check_model));
    found.each("models", raw.models.iter().flatten(), |model| check_model(model));
    for model in raw.fallback_model.iter().flat_map(|models| models.split(',')) {
        found.or((), "fallback_model", check_model(model));
    }
    found.each("tools", raw.tools.iter().flatten(), |tool| check_tool(tool));
    found.each("allowed_tools", &raw.allowed_tools, |tool| check_tool(tool));
    found.each("disallowed_tools", &raw.disallowed_tools, |tool| check_tool(tool));
    for variable in raw.env.keys() {
        found.or((), "env", check_variable(variable));
    }
    let env_from = env_from(&raw, context, &mut found);
    let check_mode = |mode: &PermissionMode| match mode {
        PermissionMode::BypassPermissions if raw.restricted => {
            Err(BadValue::here("`bypassPermissions` cannot be combined with `restricted`"))
        }
        _ => Ok(()),
    };
    found.or((), "permission_mode", raw.permission_mode.as_ref().map_or(Ok(()), check_mode));
    found.each("permission_modes", raw.permission_modes.iter().flatten(), check_mode);
    // Only the program must not be empty; an argument may be.
    if raw.command.first().is_some_and(|program| program.trim().is_empty()) {
        found.add("command[1]", BadValue::here("must name a program"));
    }
    let run_as = raw.run_as.map(|user| run_as::run_as(&user, &context.config.own));
    let dir = found.or(PathBuf::new(), "dir", directory(&raw.dir, context));
    let limits = limits(&raw.limits, context.limits, &mut found);
    let plain = Project::new(name.clone(), dir, limits);
    let project = Project {
        model: raw.model,
        models: raw.models,
        permission_mode: raw.permission_mode,
        permission_modes: raw.permission_modes,
        tools: raw.tools,
        allowed_tools: raw.allowed_tools,
        disallowed_tools: raw.disallowed_tools,
        system_prompt: raw.system_prompt.filter(|text| !text.trim().is_empty()),
        setting_sources: raw.setting_sources.unwrap_or(plain.setting_sources),
        effort: raw.effort,
        fallback_model: raw.fallback_model,
        max_turns: found.or_none("max_turns", raw.max_turns.map(count)),
        max_usd: found.or_none("max_usd", raw.max_usd.map(dollars)),
        add_dirs: found.each("add_dirs", &raw.add_dirs, |dir| directory(dir, context)),
        mcp_config: found.each("mcp_config", &raw.mcp_config, |text| source(text, context.root)),
        settings: found.or_none("settings", raw.settings.map(|text| source(&text, context.root))),
        restricted: raw.restricted,
        sandbox: raw.sandbox,
        command: raw.command,
        env: raw.env,
        env_from,
        file_over: found.or(None, "file_over", length(raw.file_over)),
        send_files: raw.send_files.unwrap_or(plain.send_files),
        deny_files: match &raw.deny_files {
            Some(names) => found.each("deny_files", names, |name| denied_name(name)),
            None => plain.deny_files,
        },
        answer: raw.answer,
        busy: raw.busy,
        context: found.or(0, "context.messages", raw.context.unwrap_or_default().checked()),
        thread: raw.thread,
        format: Format {
            dialect: raw.format.dialect.unwrap_or(Format::default().dialect),
            max_lines: found.or(None, "format.max_lines", length(raw.format.max_lines)),
        },
        max_parts: found.or(None, "format.max_parts", max_parts(&raw.format)),
        max_bytes: found.or(None, "format.max_kb", max_bytes(&raw.format)),
        live: raw.live,
        footer: raw.footer.map_or(plain.footer, |fields| fields.0),
        budget: found.or(plain.budget, "budget", budget(raw.budget)),
        allow: raw.allow.map(|allow| Allow { users: ids(allow.users), roles: ids(allow.roles) }),
        approvers: Allow { users: ids(raw.approvers.users), roles: ids(raw.approvers.roles) },
        approve: raw.approve,
        scripts_may_allow: raw.scripts_may_allow,
        run_as: found.or_none("run_as", run_as),
        ..plain
    };
    if let (true, Some(user)) = (found.0.is_empty(), &project.run_as) {
        found.0 = closed_to(user, &project);
    }
    if found.0.is_empty() { Ok(project) } else { Err(found.0) }
}

/// What the table says, apart from what is wrong in it.
fn raw_project(value: &mlua::Value, problems: &mut Vec<BadValue>) -> Option<RawProject> {
    if !matches!(value, mlua::Value::Table(_)) {
        let form = format!("expected a table such as {{ dir = \"{WORK}\" }}, found {}", kind(value));
        problems.push(BadValue::here(form));
        return None;
    }
    let mut fields = match data::read_all(value, problems)? {
        Data::Map(fields) => fields,
        Data::Empty => Vec::new(),
        other => return data::decode_all(other, problems),
    };
    // Without `dir` nothing else would be checked.
    let dir = fields.iter().find(|(key, _)| key == "dir").map(|(_, dir)| dir.clone());
    if !matches!(dir, Some(Data::Text(_))) {
        fields.retain(|(key, _)| key != "dir");
        fields.push(("dir".to_owned(), Data::Text(WORK.to_owned())));
    }
    let told = problems.len();
    let raw = data::decode_all(Data::Map(fields), problems);
    match dir {
        Some(Data::Text(_)) => {}
        Some(other) => {
            problems.push(BadValue::here(format!("expected a string, found {other}")).under("dir"))
        }
        // It may be there under a misspelt name.
        None if problems[told..].iter().any(|problem| problem.message.ends_with("did you mean `dir`?")) => {}
        None => problems.push(BadValue::here("`dir` is missing")),
    }
    raw
}

/// The first of the project's paths that the user its agents run as cannot use.
fn closed_to(user: &RunAs, project: &Project) -> Vec<BadValue> {
    let mut closed: Vec<_> =
        kept_out(user, &project.dir, Right::Enter).map(|problem| problem.under("dir")).into_iter().collect();
    if !project.command.is_empty() {
        // The other paths are as the agent sees them, perhaps in a container.
        return closed;
    }
    let of = |key: &str, place: usize| format!("{key}[{}]", place + 1);
    let dirs = project.add_dirs.iter().enumerate();
    let dirs = dirs.map(|(place, dir)| (of("add_dirs", place), dir, Right::Enter));
    let servers = project.mcp_config.iter().enumerate();
    let servers = servers.map(|(place, source)| (of("mcp_config", place), source));
    let settings = project.settings.iter().map(|source| ("settings".to_owned(), source));
    let files = servers.chain(settings).filter_map(|(key, source)| match source {
        Source::File(file) => Some((key, file, Right::Read)),
        Source::Json(_) => None,
    });
    let all = dirs.chain(files);
    closed.extend(all.filter_map(|(key, path, right)| Some(kept_out(user, path, right)?.under(&key))));
    closed
}

/// A directory for Claude to work in.
fn directory(text: &str, context: &Context<'_>) -> Result<PathBuf, BadValue> {
    if text.trim().is_empty() {
        return Err(BadValue::here(format!("must name a directory, such as \"{WORK}\"")));
    }
    let dir = absolute(text, context.root)?;
    match own_places::refusal(&dir, &context.config.own) {
        Some(refusal) => Err(BadValue::here(refusal)),
        None => Ok(dir),
    }
}

/// JSON if it looks like an object, otherwise the path of a file.
fn source(text: &str, root: &Path) -> Result<Source, BadValue> {
    let json = text.trim();
    if json.is_empty() {
        return Err(BadValue::here("must be the path of a file, or JSON: `{ … }`"));
    }
    if !json.starts_with('{') {
        return absolute(text, root).map(Source::File);
    }
    // The CLI would take invalid JSON for the path of a file.
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(_) => Ok(Source::Json(json.to_owned())),
        Err(e) => Err(BadValue::here(format!("is not valid JSON: {e}"))),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in range and whole"
)]
fn count(number: f64) -> Result<u32, BadValue> {
    if number.fract() != 0.0 || !(1.0..=1e6).contains(&number) {
        return Err(BadValue::here("must be a whole number of at least 1"));
    }
    Ok(number as u32)
}

fn length(number: Option<f64>) -> Result<Option<NonZeroUsize>, BadValue> {
    let number = number.map(count).transpose()?;
    Ok(number.and_then(|number| NonZeroUsize::new(number as usize)))
}

fn max_parts(raw: &RawFormat) -> Result<Option<NonZeroUsize>, BadValue> {
    match &raw.max_parts {
        None => Ok(Some(MAX_PARTS)),
        Some(NumberOrFalse(number)) => length(*number),
    }
}

fn max_bytes(raw: &RawFormat) -> Result<Option<NonZeroUsize>, BadValue> {
    match &raw.max_kb {
        None => Ok(Some(MAX_BYTES)),
        Some(NumberOrFalse(number)) => {
            let kb = length(*number)?;
            Ok(kb.map(|kb| kb.saturating_mul(NonZeroUsize::new(1024).expect("1024 is not 0"))))
        }
    }
}

/// The path that a script means: `~` is the home directory, and relative paths start at `root`.
pub(super) fn absolute(text: &str, root: &Path) -> Result<PathBuf, BadValue> {
    let path = if text == "~" || text.starts_with("~/") {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| BadValue::here("`~` means the home directory, but HOME is not set"))?;
        home.join(text[1..].trim_start_matches('/'))
    } else if text.starts_with('~') {
        return Err(BadValue::here("only `~/…` is supported; write another user's directory in full"));
    } else {
        root.join(text)
    };
    // `a/./b/` becomes `a/b`, so that the same directory looks the same after an edit.
    Ok(path.components().filter(|part| *part != Component::CurDir).collect())
}

fn limits(raw: &RawProjectLimits, default: &Limits, found: &mut Found) -> Limits {
    let mut limit = |key: &str, value: &Option<Seconds>, default: Duration| {
        let result = match value.as_ref().map(|time| time.0) {
            Some(value) if value.is_zero() && !matches!(key, "continue_spread" | "question_choice") => {
                Err(BadValue::here("must be longer than 0"))
            }
            Some(value) if value > MAX_LIMIT => Err(BadValue::here("must be 30 days or less")),
            value => Ok(value.unwrap_or(default)),
        };
        found.or(default, &format!("limits.{key}"), result)
    };
    Limits {
        start: limit("start", &raw.start, default.start),
        wake: limit("wake", &raw.wake, default.wake),
        silence: limit("silence", &raw.silence, default.silence),
        tool: limit("tool", &raw.tool, default.tool),
        turn: limit("turn", &raw.turn, default.turn),
        after_result: limit("after_result", &raw.after_result, default.after_result),
        continue_spread: limit("continue_spread", &raw.continue_spread, default.continue_spread),
        question: limit("question", &raw.question, default.question),
        question_choice: Some(limit(
            "question_choice",
            &raw.question_choice,
            default.question_choice.unwrap_or_default(),
        ))
        .filter(|time| !time.is_zero()),
    }
}

/// Checks that this can be the name of a model.
pub(super) fn check_model(model: &str) -> Result<(), BadValue> {
    match is_model_name(model) {
        true => Ok(()),
        false => Err(BadValue::here(format!("{} is not a valid model name", shown(model)))),
    }
}

fn env_from(raw: &RawProject, context: &Context<'_>, found: &mut Found) -> BTreeMap<String, SecretSource> {
    let source = |(name, text): (&String, &String)| {
        check_variable(name)?;
        let source =
            secret_source(text, context.root, context.config).map_err(|e| e.under(&segment(name)))?;
        match raw.env.contains_key(name) {
            true => {
                Err(BadValue::here("stands in `env`, too; take it out of one of them").under(&segment(name)))
            }
            false => Ok(Some((name.clone(), source))),
        }
    };
    raw.env_from.iter().filter_map(|pair| found.or(None, "env_from", source(pair))).collect()
}

fn denied_name(pattern: &str) -> Result<String, BadValue> {
    match pattern.is_empty() || pattern.contains('/') || pattern.len() > 100 {
        false => Ok(pattern.to_owned()),
        true => Err(BadValue::here("must be a name without folders, such as \"*.key\" or \".git\"")),
    }
}

fn check_variable(name: &str) -> Result<(), BadValue> {
    match name.is_empty() || name.contains(['=', '\0']) {
        false => Ok(()),
        true => Err(BadValue::here("is not a valid name for an environment variable").under(&segment(name))),
    }
}
