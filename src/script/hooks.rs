//! What hooks.lua returns: functions that are called at certain points of every turn. The file is optional, and so is
//! each function.
//!
//! A hook that fails changes nothing: the log says why, with file and line, and the turn continues as if the hook were
//! absent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{self, BadValue, Data, kind, segment};
use super::problem::{FailureKind, LuaFailure, ScriptProblem};
use super::routing::{entries, unknown_key};
use super::{HOOKS, RuleRunner, Rules, ScriptSet, strict_table};
use crate::domain::{Author, MessageId, NamedChannel, ProjectName};

/// The largest text before a prompt, in bytes: as much as an attached file.
const MAX_CONTEXT: usize = 100 * 1024;
/// The longest error, in characters: it has to fit into a message together with what surrounds it.
const MAX_ERROR: usize = 1000;
/// The longest reason for a denial, in characters: Claude reads it.
const MAX_REASON: usize = 1000;

/// One prompt, and all that Claude does until its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TurnFacts {
    /// The id of the message that asked.
    pub id: MessageId,
    /// Where it was asked.
    pub channel: NamedChannel,
    /// The project's name.
    pub project: ProjectName,
    /// Who asked, as seen then.
    pub author: Author,
    /// What is asked, without the files and without what `before_prompt` adds.
    pub prompt: String,
    /// The turn's model; nil: the CLI chooses.
    pub model: Option<String>,
}

/// A call that Claude wants leave for.
///
/// Lua class: `Request`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestFacts {
    /// The tool's own name, such as "Bash" or "mcp__tickets__close".
    pub tool: String,
    /// What it is called with, by the tool's own names; what is not there is nil.
    ///
    /// Lua: `table<string, any>`
    pub input: Value,
    /// Why Claude Code asks, in its words; nil where it does not say.
    pub reason: Option<String>,
    /// The path that Claude Code keeps the call from, if it is one.
    pub blocked_path: Option<String>,
    /// The id of the subagent that asks; nil: Claude itself.
    pub subagent: Option<String>,
}

/// Why a call is not made.
///
/// Lua class: `Denial`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { deny = \"why\" }")]
pub(super) struct RawScriptDenial {
    /// The reason, which Claude reads: at most 1000 characters.
    deny: String,
}

/// What `on_permission` has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptDecision {
    /// This call may be made.
    Allow,
    /// It may not, for this reason.
    Deny(String),
}

/// A function of hooks.lua.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// Returns what is put before the turn's prompt: at most 100 KiB.
    ///
    /// Lua, optional: `fun(turn: Turn): string?`
    BeforePrompt,
    /// Returns what takes the answer's place. Called once, before the answer is stored.
    ///
    /// Lua, optional: `fun(text: string, turn: Turn): string?`
    AfterAnswer,
    /// Returns what takes the place of the sentence about a failed turn: at most 1000 characters.
    ///
    /// Lua, optional: `fun(error: string, turn: Turn): string?`
    OnError,
    /// Decides about a call that Claude wants leave for, before anybody is asked: "allow" allows this call, where the
    /// project says `scripts_may_allow = true`; `{ deny = "why" }` denies it; nil has people decide.
    ///
    /// Lua, optional: `fun(request: Request, turn: Turn): "allow"|Denial|nil`
    OnPermission,
}

impl Hook {
    const ALL: [Self; 4] = [Self::BeforePrompt, Self::AfterAnswer, Self::OnError, Self::OnPermission];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BeforePrompt => "before_prompt",
            Self::AfterAnswer => "after_answer",
            Self::OnError => "on_error",
            Self::OnPermission => "on_permission",
        }
    }
}

/// The keys of hooks.lua.
pub(super) fn keys() -> [&'static str; 4] {
    Hook::ALL.map(Hook::name)
}

/// What a hook gave, `None` where it changes nothing; or why it failed, which is in the log already.
pub type HookAnswer<T = String> = Result<Option<T>, ScriptProblem>;

/// What a hook gets besides the turn.
pub(super) enum HookInput {
    Nothing,
    Text(String),
    Request(Box<RequestFacts>),
}

/// The hooks that hooks.lua defines.
#[derive(Debug, Default)]
pub struct HookSet(Vec<Hook>);

/// Decodes what hooks.lua returned. Problems are added to `problems`.
pub fn decode(value: &mlua::Value, file: &str, problems: &mut Vec<ScriptProblem>) -> HookSet {
    let mut hooks = HookSet::default();
    let mut bad = |problem: BadValue| problems.push(ScriptProblem::in_value(file, problem));
    let mlua::Value::Table(table) = value else {
        let form = "must end with `return { after_answer = function(text, turn) … end }`";
        bad(BadValue::here(format!("{form}; it returned {}", kind(value))));
        return hooks;
    };
    for (key, value) in entries(table) {
        let mlua::Value::String(key) = &key else {
            let form = "each hook needs its name: `after_answer = function(text, turn) … end`";
            bad(BadValue::here(format!("{form}; found {} as a key", kind(&key))));
            continue;
        };
        let key = key.to_string_lossy();
        match (Hook::ALL.into_iter().find(|hook| hook.name() == key), value) {
            (None, _) => bad(unknown_key(&key, &keys())),
            (Some(hook), mlua::Value::Function(_)) => hooks.0.push(hook),
            (Some(_), value) => {
                let problem = format!("expected a function, found {}", kind(&value));
                bad(BadValue::here(problem).under(&segment(&key)));
            }
        }
    }
    hooks
}

impl ScriptSet {
    /// What `before_prompt` puts before this turn's prompt; never blank.
    pub async fn before_prompt(&self, turn: &Arc<TurnFacts>) -> HookAnswer {
        self.ask_hook(Hook::BeforePrompt, HookInput::Nothing, turn, changed).await
    }

    /// What `after_answer` replaces the answer with, if it does; never blank.
    pub async fn after_answer(&self, answer: &str, turn: &Arc<TurnFacts>) -> HookAnswer {
        self.ask_hook(Hook::AfterAnswer, HookInput::Text(answer.to_owned()), turn, changed).await
    }

    /// What `on_error` replaces the sentence with, if it does; never blank, and at most a thousand characters.
    pub async fn on_error(&self, sentence: &str, turn: &Arc<TurnFacts>) -> HookAnswer {
        self.ask_hook(Hook::OnError, HookInput::Text(sentence.to_owned()), turn, changed).await
    }

    /// Whether there is an `on_permission`.
    pub fn decides_permissions(&self) -> bool {
        self.rules.hooks.0.contains(&Hook::OnPermission)
    }

    /// What `on_permission` decides about this call; that it allows one is an error, unless it `may_allow`.
    pub async fn on_permission(
        &self,
        request: RequestFacts,
        turn: &Arc<TurnFacts>,
        may_allow: bool,
    ) -> HookAnswer<ScriptDecision> {
        let decided = if may_allow { decided } else { decided_without_allowing };
        self.ask_hook(Hook::OnPermission, HookInput::Request(Box::new(request)), turn, decided).await
    }

    async fn ask_hook<T: Send + 'static>(
        &self,
        hook: Hook,
        input: HookInput,
        turn: &Arc<TurnFacts>,
        read: HookReader<T>,
    ) -> HookAnswer<T> {
        self.try_hook(hook, input, turn, read).await.map_err(|failure| {
            let traceback = failure.traceback.as_deref();
            tracing::error!(hook = hook.name(), error = %failure, traceback, "a hook failed and changes nothing");
            ScriptProblem::in_code(&self.rules.hooks_file, failure)
        })
    }

    pub(super) async fn try_hook<T: Send + 'static>(
        &self,
        hook: Hook,
        input: HookInput,
        turn: &Arc<TurnFacts>,
        read: HookReader<T>,
    ) -> Result<Option<T>, LuaFailure> {
        if !self.rules.hooks.0.contains(&hook) {
            return Ok(None);
        }
        let (rules, turn) = (Arc::clone(&self.rules), Arc::clone(turn));
        let result = self.scripts.call(move |scripts| scripts.hook(&rules, hook, &input, &turn, read)).await;
        result.unwrap_or_else(|panicked| {
            Err(LuaFailure::new(FailureKind::Gone, format!("the script set: {panicked}")))
        })
    }
}

/// Reads what a hook returned.
pub(super) type HookReader<T> = fn(Hook, Option<Data>) -> Result<Option<T>, BadValue>;

impl RuleRunner {
    fn hook<T>(
        &mut self,
        rules: &Rules,
        hook: Hook,
        input: &HookInput,
        turn: &TurnFacts,
        read: HookReader<T>,
    ) -> Result<Option<T>, LuaFailure> {
        let result = self.call(HOOKS, |lua, module| {
            let hooks: mlua::Table = lua.unpack(module)?;
            let function: mlua::Function = hooks.raw_get(hook.name())?;
            let turn = strict_table(lua, "turn", turn)?;
            match input {
                HookInput::Nothing => function.call(turn),
                HookInput::Text(text) => function.call((text.as_str(), turn)),
                HookInput::Request(request) => function.call((strict_table(lua, "request", request)?, turn)),
            }
        });
        let file = &rules.hooks_file;
        result
            .map_err(|failure| failure.or_in(file))?
            .and_then(|value| read(hook, value))
            .map_err(|bad| LuaFailure::bad_value(file, bad.under(&format!("{}()", hook.name()))))
    }
}

/// What a hook returned: a string, or nil (or false: `return x and …`) to change nothing.
pub(super) fn changed(hook: Hook, value: Option<Data>) -> Result<Option<String>, BadValue> {
    let text = match value {
        None | Some(Data::Bool(false)) => return Ok(None),
        Some(Data::Text(text)) => text,
        Some(other) => return Err(BadValue::here(format!("expected a string or nil, found {other}"))),
    };
    let blank = text.trim().is_empty();
    match hook {
        Hook::BeforePrompt if blank => Ok(None),
        _ if blank => Err(BadValue::here("must not be empty; return nil to change nothing")),
        Hook::BeforePrompt if text.len() > MAX_CONTEXT => {
            Err(BadValue::here(format!("must not be longer than {} KiB", MAX_CONTEXT / 1024)))
        }
        Hook::OnError if text.chars().count() > MAX_ERROR => {
            Err(BadValue::here(format!("must not be longer than {MAX_ERROR} characters")))
        }
        _ => Ok(Some(text)),
    }
}

/// What `on_permission` returned: nil (or false) has people decide.
pub(super) fn decided(_: Hook, value: Option<Data>) -> Result<Option<ScriptDecision>, BadValue> {
    let denial = match value {
        None | Some(Data::Bool(false)) => return Ok(None),
        Some(Data::Text(word)) if word == "allow" => return Ok(Some(ScriptDecision::Allow)),
        Some(Data::Map(denial)) => data::decode::<RawScriptDenial>(Data::Map(denial))?,
        Some(other) => {
            let form = format!("expected \"allow\", {{ deny = \"why\" }} or nil, found {other}");
            return Err(BadValue::here(form));
        }
    };
    let reason = denial.deny.trim();
    if reason.is_empty() {
        return Err(BadValue::here("must not be empty: Claude reads it").under("deny"));
    }
    if reason.chars().count() > MAX_REASON {
        return Err(BadValue::here(format!("must not be longer than {MAX_REASON} characters")).under("deny"));
    }
    Ok(Some(ScriptDecision::Deny(reason.to_owned())))
}

/// The same in a project whose scripts may only deny.
pub(super) fn decided_without_allowing(
    hook: Hook,
    value: Option<Data>,
) -> Result<Option<ScriptDecision>, BadValue> {
    match decided(hook, value)? {
        Some(ScriptDecision::Allow) => {
            Err(BadValue::here("returned \"allow\", but the project has no `scripts_may_allow = true`"))
        }
        decision => Ok(decision),
    }
}
