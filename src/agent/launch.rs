//! How an agent is started: program, arguments, directory and environment.
//!
//! What a person typed is never part of any of them: prompts go in on stdin, and a model that a turn asks for
//! goes in over the control protocol.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::as_user;
use super::failure::Failure;
use super::guard::SpawnError;
use super::guarded;
use super::kin::{self, Kin};
use super::own_tools;
use super::sandbox;
use super::version::Version;
use crate::config;
use crate::domain::{PermissionMode, Project, RunAs, Sandbox, SessionId, Source};

/// How long `--version` may take. Old versions need 0.7 s.
const VERSION_PATIENCE: Duration = Duration::from_secs(3);
/// How much it may print, in bytes.
const LONGEST_VERSION: u64 = 64 << 10;

/// What an agent is started with and cannot change while it runs, the session apart. An agent serves a turn only
/// if this is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    guard: PathBuf,
    umask: Option<u32>,
    /// A wrapper around the program, such as a sandbox; usually empty.
    before: Vec<OsString>,
    program: OsString,
    /// How many of the arguments belong to the command itself.
    prefix: usize,
    arguments: Vec<String>,
    dir: PathBuf,
    run_as: Option<RunAs>,
    environment: BTreeMap<OsString, OsString>,
}

/// Identifies a directory, whatever its path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryId {
    device: u64,
    inode: u64,
}

/// What can be changed while an agent runs, over the control protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// The model; `None` is the CLI's own choice.
    pub model: Option<String>,
    /// The permission mode; `None` is the one of the CLI's settings.
    pub mode: Option<PermissionMode>,
}

impl Manner {
    fn arguments(&self) -> impl Iterator<Item = String> {
        // `--flag=value`, here and below, so that no value is ever taken for a flag.
        let model = self.model.as_ref().map(|model| format!("--model={model}"));
        model.into_iter().chain(self.mode.map(|mode| format!("--permission-mode={}", mode.as_str())))
    }
}

/// Which conversation the process is to hold.
#[derive(Debug, Clone, Copy)]
pub enum Conversation {
    /// A new one under this id.
    New(SessionId),
    /// The one that is stored under this id.
    Resumed(SessionId),
}

/// Tools that start turns by themselves or reach the user's other sessions. They are taken away unless the
/// project's `tools` names them.
const UNWANTED_TOOLS: &[&str] = &[
    "Monitor",
    "ScheduleWakeup",
    "CronCreate",
    "CronDelete",
    "CronList",
    "Workflow",
    "ListAgents",
    "SendMessage",
];

impl Launch {
    /// What this project's agents are started with, with these secrets among their variables, and this folder to be read besides.
    pub fn new(
        config: &config::Agent,
        inherited: &BTreeMap<OsString, OsString>,
        project: &Project,
        secrets: &BTreeMap<String, String>,
        files: Option<&Path>,
    ) -> Self {
        let mut command = project.command.iter().chain(&config.command);
        let program = command.next().map(OsString::from).unwrap_or_default();
        let mut arguments: Vec<String> = command.cloned().collect();
        let prefix = arguments.len();
        arguments.extend(protocol_arguments());
        arguments.extend(project_arguments(project));
        arguments.extend(files.map(|folder| format!("--add-dir={}", folder.to_string_lossy())));
        let environment = environment(config, inherited, project, secrets);
        let (guard, umask) = (config.guard.clone(), config.umask);
        let before = match project.sandbox {
            Some(Sandbox::Bwrap) => sandbox::command(&program, &environment, &config.hidden, project, files),
            None => Vec::new(),
        };
        let (dir, run_as) = (project.dir.clone(), project.run_as.clone());
        Self { guard, umask, before, program, prefix, arguments, dir, run_as, environment }
    }

    /// Starts the process behind its guard, with all three pipes, in this manner, and with these rules of its session besides
    /// the project's. What is returned is the guard; `mark` is in the environment of both.
    ///
    /// # Errors
    /// If the directory does not exist or may not be used. A missing program is reported by the guard:
    /// [`SpawnError`].
    pub fn spawn(
        &self,
        conversation: Conversation,
        (manner, rules): (&Manner, &[String]),
        kin: &Kin,
        mark: &str,
    ) -> Result<Child, Failure> {
        let (flag, session) = match conversation {
            Conversation::New(session) => ("--session-id", session),
            Conversation::Resumed(session) => ("--resume", session),
        };
        let mut guard = self.guard(kin, mark);
        guard
            .args(self.arguments_with(rules))
            .args(manner.arguments())
            .args([flag, &session.to_string()])
            .env(kin::VARIABLE, mark)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| match self.explain_directory() {
                Some(failure) => failure,
                None => {
                    let program = self.guard.to_string_lossy().into_owned();
                    Failure::NotExecutable { program, error: e.to_string() }
                }
            })
    }

    /// The arguments, with these rules among what is allowed. They are no part of what has to be equal: a process that has not
    /// been started with them was there when somebody allowed them.
    fn arguments_with(&self, rules: &[String]) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        let rules: Vec<&str> = rules.iter().map(String::as_str).filter(|rule| is_one_rule(rule)).collect();
        if rules.is_empty() {
            return arguments;
        }
        let rules = rules.join(",");
        match arguments.iter_mut().skip(self.prefix).find(|argument| argument.starts_with(ALLOWED)) {
            Some(allowed) => *allowed = format!("{allowed},{rules}"),
            None => arguments.push(format!("{ALLOWED}{rules}")),
        }
        arguments
    }

    /// A guard of the program, to be given the program's arguments.
    fn guard(&self, kin: &Kin, mark: &str) -> Command {
        let mut guard = guarded::command(&self.guard, self.umask, kin, mark);
        match &self.run_as {
            // The bot's own user may have no access to it.
            Some(user) => {
                let orders = as_user::AsUserOptions { ids: user.ids.clone(), dir: self.dir.clone() };
                guard.args(orders.arguments()).current_dir("/");
            }
            None => drop(guard.current_dir(&self.dir)),
        }
        guard.arg("--").args(&self.before).arg(&self.program);
        guard.env_clear().envs(&self.environment);
        guard
    }

    /// A variable of the agents' environment.
    pub fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment.get(OsStr::new(name))
    }

    /// The version that the program says it has, without starting a conversation. Nothing that it started is left.
    pub async fn version(&self, kin: &Kin) -> Option<Version> {
        let mark = kin.mark();
        let mut command = self.guard(kin, &mark);
        command
            .args(self.arguments.iter().take(self.prefix))
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let finished = guarded::run(command, (kin, &mark), VERSION_PATIENCE, LONGEST_VERSION).await;
        Version::parse(&String::from_utf8_lossy(&finished.ok()?.stdout))
    }

    /// Which directory stands at the project's path now; `None` where there is none.
    pub fn place(&self) -> Option<DirectoryId> {
        std::fs::metadata(&self.dir).ok().map(|dir| DirectoryId { device: dir.dev(), inode: dir.ino() })
    }

    /// What is wrong with the directory: the system's error does not say whether it means that.
    fn explain_directory(&self) -> Option<Failure> {
        let dir = self.dir.clone();
        let error = match &self.run_as {
            None => std::fs::read_dir(&dir).err()?,
            // Whether that user may use it, its own process tells.
            Some(_) => std::fs::metadata(&dir).err().filter(|e| e.kind() == std::io::ErrorKind::NotFound)?,
        };
        Some(match error.kind() {
            std::io::ErrorKind::PermissionDenied => Failure::DirectoryDenied { dir },
            _ => Failure::DirectoryMissing { dir },
        })
    }

    /// Why the guard could not start the program.
    pub fn explain(&self, refusal: &SpawnError) -> Failure {
        if let Some(failure) = self.explain_directory() {
            return failure;
        }
        let program = self.before.first().unwrap_or(&self.program).to_string_lossy().into_owned();
        let error = match refusal {
            SpawnError::Program(error) => error,
            SpawnError::Directory(_) => return Failure::DirectoryDenied { dir: self.dir.clone() },
            SpawnError::User(error) => {
                let user = self.run_as.as_ref().map_or("another user", |user| &user.name);
                let error = format!("it may not be started as {user}: {error}");
                return Failure::NotExecutable { program, error };
            }
        };
        match error.kind() {
            std::io::ErrorKind::NotFound if !self.before.is_empty() => Failure::NotExecutable {
                program,
                error: "it is not installed (`sandbox` needs it)".to_owned(),
            },
            std::io::ErrorKind::NotFound => Failure::NotInstalled { program },
            _ => Failure::NotExecutable { program, error: error.to_string() },
        }
    }
}

const ALLOWED: &str = "--allowedTools=";

/// Whether the CLI takes this for one rule, and for this one. It splits the argument at commas and blanks outside of
/// parentheses, and for that takes the first `)` for the end of a rule: what follows it could be a rule of anybody's choice.
fn is_one_rule(rule: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    let is_plain = |c: char| !matches!(c, '(' | ')' | '\\') && !c.is_control();
    match rule.split_once('(') {
        None => is_name(rule),
        Some((tool, rest)) => {
            let content = rest.strip_suffix(')');
            is_name(tool)
                && content.is_some_and(|content| !content.is_empty() && content.chars().all(is_plain))
        }
    }
}

fn protocol_arguments() -> impl Iterator<Item = String> {
    [
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool",
        "stdio",
    ]
    .into_iter()
    .map(str::to_owned)
}

fn project_arguments(project: &Project) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Some(tools) = &project.tools {
        arguments.push(format!("--tools={}", tools.join(",")));
    }
    let own = project.sends_files().then_some(own_tools::SEND_FILE_RULE);
    let allowed: Vec<&str> = project.allowed_tools.iter().map(String::as_str).chain(own).collect();
    if !allowed.is_empty() {
        arguments.push(format!("{ALLOWED}{}", allowed.join(",")));
    }
    let named = project.tools.as_deref().unwrap_or_default();
    let unwanted = UNWANTED_TOOLS.iter().filter(|&&tool| !named.iter().any(|name| name == tool));
    let disallowed: Vec<&str> =
        unwanted.copied().chain(project.disallowed_tools.iter().map(String::as_str)).collect();
    if !disallowed.is_empty() {
        arguments.push(format!("--disallowedTools={}", disallowed.join(",")));
    }
    let sources: Vec<&str> = project.setting_sources.iter().map(|source| source.as_str()).collect();
    arguments.push(format!("--setting-sources={}", sources.join(",")));
    if project.restricted {
        arguments.push("--restricted".to_owned());
    }
    let mut set = |flag: &str, value: String| arguments.push(format!("--{flag}={value}"));
    if let Some(effort) = project.effort {
        set("effort", effort.as_str().to_owned());
    }
    if let Some(models) = &project.fallback_model {
        set("fallback-model", models.clone());
    }
    if let Some(turns) = project.max_turns {
        set("max-turns", turns.to_string());
    }
    if let Some(dollars) = project.max_usd {
        set("max-budget-usd", dollars.to_string());
    }
    for dir in &project.add_dirs {
        set("add-dir", dir.to_string_lossy().into_owned());
    }
    for servers in &project.mcp_config {
        set("mcp-config", in_argument(servers));
    }
    if let Some(settings) = &project.settings {
        set("settings", in_argument(settings));
    }
    if let Some(prompt) = &project.system_prompt {
        arguments.push(format!("--append-system-prompt={prompt}"));
        // Else a resumed session would keep the system prompt of its first process.
        arguments.push("--system-prompt-snapshot=off".to_owned());
    }
    arguments
}

fn in_argument(source: &Source) -> String {
    match source {
        // Scripts are UTF-8, and so is every path in them.
        Source::File(path) => path.to_string_lossy().into_owned(),
        Source::Json(text) => text.clone(),
    }
}

/// Names that every program inherits from the bot's own environment.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "SHELL",
    "LANG",
    "TZ",
    "TMPDIR",
    "NODE_EXTRA_CA_CERTS",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
const INHERITED_PREFIXES: &[&str] = &["LC_", "XDG_", "SSL_CERT_"];
/// Agents inherit these, too.
const OF_THE_CLI: &[&str] = &["ANTHROPIC_", "CLAUDE_"];

/// Sockets of the user's own session, behind which other keys and programs wait. A project's `env` may name them.
const OF_THE_DESKTOP: &str = "XDG_RUNTIME_DIR";

/// What belongs to the bot's own user, and differs for an agent of another user.
const OF_THE_USER: &[&str] = &["HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "CLAUDE_CONFIG_DIR"];
const OF_THE_USER_PREFIX: &str = "XDG_";

/// What a session that the bot itself was started from has set for its children.
const OF_ANOTHER_SESSION: &[&str] = &["CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_PID"];

/// Keep the CLI from calling home; a project may say otherwise.
const QUIET: &[&str] = &[
    "DISABLE_AUTOUPDATER",
    "DISABLE_TELEMETRY",
    "DISABLE_ERROR_REPORTING",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
];

/// Lets every model keep a list of what is to do, which the live line shows; a project may say otherwise.
const TODO_TOOLS: &str = "CLAUDE_CODE_ENABLE_TODO_TOOLS";

/// What this module relies on: no unrequested turns, and an event when the agent becomes idle.
const NEEDED: &[&str] = &["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS"];

/// Make the CLI begin turns by itself.
const RESTLESS: &[&str] = &["CLAUDE_CODE_RESUME_INTERRUPTED_TURN"];

/// Whether a variable of the bot's own environment is for every program that it starts.
pub fn every_program_needs(name: &OsStr) -> bool {
    let Some(name) = name.to_str().filter(|name| *name != OF_THE_DESKTOP) else { return false };
    INHERITED.contains(&name)
        || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.ends_with("_PROXY")
}

/// Whether a variable of the bot's own environment is the bot's alone, whoever names it: its token and its settings.
pub fn is_the_bots_own(name: &OsStr, config: &config::Agent) -> bool {
    *name == *config.token_env || name.as_encoded_bytes().starts_with(b"MOONLANE_")
}

fn environment(
    config: &config::Agent,
    inherited: &BTreeMap<OsString, OsString>,
    project: &Project,
    secrets: &BTreeMap<String, String>,
) -> BTreeMap<OsString, OsString> {
    let passes = |name: &OsStr| {
        let Some(name) = name.to_str() else { return false };
        let of_the_user = OF_THE_USER.contains(&name) || name.starts_with(OF_THE_USER_PREFIX);
        if project.run_as.is_some() && of_the_user {
            return false;
        }
        let of_the_cli = OF_THE_CLI.iter().any(|prefix| name.starts_with(prefix));
        let known = every_program_needs(name.as_ref()) || of_the_cli;
        (known && !OF_ANOTHER_SESSION.contains(&name)) || config.pass_env.iter().any(|passed| passed == name)
    };
    let own = |names: &[&str]| -> Vec<_> { names.iter().map(|name| (name.into(), "1".into())).collect() };

    let mut environment: BTreeMap<OsString, OsString> = own(QUIET).into_iter().collect();
    environment.extend(own(&[TODO_TOOLS]));
    environment
        .extend(inherited.iter().filter(|(name, _)| passes(name)).map(|(n, v)| (n.clone(), v.clone())));
    if let Some(user) = &project.run_as {
        let own: [(&str, &OsStr); 4] = [
            ("HOME", user.home.as_ref()),
            ("USER", user.name.as_ref()),
            ("LOGNAME", user.name.as_ref()),
            ("SHELL", user.shell.as_ref()),
        ];
        environment.extend(own.map(|(name, value)| (name.into(), value.into())));
    }
    let own_variables = project.env.iter().chain(secrets);
    environment.extend(own_variables.map(|(name, value)| (name.into(), value.into())));
    environment.extend(own(NEEDED));
    environment.retain(|name, _| !RESTLESS.iter().any(|restless| *name == **restless));
    environment.retain(|name, _| !is_the_bots_own(name, config));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Effort, Ids, Limits, MicroUsd, ProjectName};

    fn project() -> Project {
        let second = Duration::from_secs(1);
        let limits = Limits {
            start: second,
            wake: second,
            silence: second,
            tool: second,
            turn: second,
            after_result: second,
            continue_spread: Duration::ZERO,
            question: Duration::from_secs(60),
            question_choice: None,
        };
        let project = Project::new(ProjectName("site".to_owned()), PathBuf::from("/srv/site"), limits);
        Project { setting_sources: Vec::new(), ..project }
    }

    fn site() -> RunAs {
        let ids = Ids { user: 1001, group: 1002, groups: vec![1002, 1003] };
        RunAs { name: "site".to_owned(), ids, home: "/home/site".into(), shell: "/bin/sh".into() }
    }

    fn names(config: &config::Agent, inherited: &[&str], project: &Project) -> Vec<String> {
        let inherited = inherited.iter().map(|name| (name.into(), "x".into())).collect();
        let environment = environment(config, &inherited, project, &BTreeMap::new());
        let ours = |name: &String| {
            !QUIET.contains(&name.as_str()) && name != TODO_TOOLS && !NEEDED.contains(&name.as_str())
        };
        environment.into_keys().filter_map(|name| name.into_string().ok()).filter(ours).collect()
    }

    #[test]
    fn the_environment_is_an_allowlist() {
        let inherited = [
            "PATH",
            "LC_ALL",
            "HTTPS_PROXY",
            "https_proxy",
            "CLAUDE_CONFIG_DIR",
            "CLAUDE_PID",
            "ANTHROPIC_API_KEY",
            "DISCORD_TOKEN",
            "MOONLANE_LOG__LEVEL",
            "AWS_SECRET_ACCESS_KEY",
            "LD_PRELOAD",
        ];
        let expected =
            ["ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "HTTPS_PROXY", "LC_ALL", "PATH", "https_proxy"];
        assert_eq!(names(&config::Agent::default(), &inherited, &project()), expected);
    }

    #[test]
    fn the_token_gets_through_by_no_way() {
        let config = config::Agent {
            pass_env: ["DISCORD_TOKEN", "MOONLANE_X", "AWS_PROFILE"].map(str::to_owned).to_vec(),
            ..config::Agent::default()
        };
        let mut project = project();
        project.env = ["DISCORD_TOKEN", "MOONLANE_Y", "FOO"].map(|n| (n.to_owned(), "x".to_owned())).into();
        let inherited = ["DISCORD_TOKEN", "MOONLANE_X", "AWS_PROFILE"];
        assert_eq!(names(&config, &inherited, &project), ["AWS_PROFILE", "FOO"]);
    }

    #[test]
    fn another_user_gets_its_own_surroundings_and_not_the_bots() {
        let mut project = project();
        project.run_as = Some(site());
        project.env = BTreeMap::from([("XDG_CONFIG_HOME".to_owned(), "/c".to_owned())]);
        let inherited =
            ["PATH", "HOME", "USER", "SHELL", "TMPDIR", "CLAUDE_CONFIG_DIR", "XDG_DATA_HOME", "LANG"];
        let config = config::Agent { pass_env: vec!["LOGNAME".to_owned()], ..config::Agent::default() };
        let expected = ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER", "XDG_CONFIG_HOME"];
        assert_eq!(names(&config, &inherited, &project), expected);
        let inherited = inherited.iter().map(|name| (name.into(), "x".into())).collect();
        let environment = environment(&config, &inherited, &project, &BTreeMap::new());
        let of = |name: &str| environment[OsStr::new(name)].to_str().unwrap().to_owned();
        let values = ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "XDG_CONFIG_HOME"].map(of);
        assert_eq!(values, ["/home/site", "site", "site", "/bin/sh", "x", "/c"]);
    }

    #[test]
    fn arguments_say_what_the_project_says() {
        let mut project = project();
        assert!(!project_arguments(&project).iter().any(|argument| argument.starts_with("--tools")));
        project.tools = Some(vec!["Bash".to_owned(), "Monitor".to_owned()]);
        project.disallowed_tools = vec!["WebFetch".to_owned()];
        project.system_prompt = Some("--dangerously-skip-permissions".to_owned());
        let arguments = project_arguments(&project);
        assert!(arguments.contains(&"--tools=Bash,Monitor".to_owned()));
        let disallowed = arguments.iter().find(|a| a.starts_with("--disallowedTools=")).unwrap();
        assert!(!disallowed.contains("Monitor") && disallowed.contains("SendMessage"));
        assert!(disallowed.ends_with(",WebFetch"));
        assert!(arguments.iter().all(|argument| argument.contains('=')));
    }

    #[test]
    fn what_a_session_allows_is_added_to_what_the_project_allows_and_cannot_become_more() {
        let launch = |project: &Project| {
            Launch::new(&config::Agent::default(), &BTreeMap::new(), project, &BTreeMap::new(), None)
        };
        let allowed = |launch: &Launch, rules: &[&str]| {
            let rules: Vec<String> = rules.iter().map(|&rule| rule.to_owned()).collect();
            let arguments = launch.arguments_with(&rules);
            let found: Vec<_> = arguments.into_iter().filter(|it| it.starts_with(ALLOWED)).collect();
            found.join(" ")
        };
        assert_eq!(allowed(&launch(&project()), &[]), "--allowedTools=mcp__moonlane__send_file");
        let project = || Project { send_files: false, ..project() };
        let bare = launch(&project());
        assert_eq!(allowed(&bare, &[]), "");
        let session = ["Bash(git push *)", "WebSearch", "mcp__a-b__c", "WebFetch(domain:example.com)"];
        let told = "--allowedTools=Bash(git push *),WebSearch,mcp__a-b__c,WebFetch(domain:example.com)";
        assert_eq!(allowed(&bare, &session), told);
        let own = launch(&Project { allowed_tools: vec!["Bash(ls *)".to_owned()], ..project() });
        assert_eq!(allowed(&own, &["WebSearch"]), "--allowedTools=Bash(ls *),WebSearch");
        for hostile in [
            "Bash(echo (x) Bash *)",
            "Bash(echo ) , Bash ( *)",
            "Bash(a\\) Bash)",
            "Bash(a\nb)",
            "Bash()",
            "Bash(a",
            "Bash a",
            "Bash,Write",
            "",
        ] {
            assert_eq!(allowed(&bare, &[hostile]), "", "{hostile:?}");
        }
    }

    #[test]
    fn every_key_is_an_argument_of_its_own_and_the_prefix_comes_first() {
        let mut project = project();
        project.effort = Some(Effort::XHigh);
        project.fallback_model = Some("sonnet,haiku".to_owned());
        project.max_turns = Some(30);
        project.max_usd = Some(MicroUsd(2_500_000));
        project.add_dirs = vec!["/srv/a".into(), "/srv/b c".into()];
        project.mcp_config = vec![Source::File("/srv/mcp.json".into()), Source::Json("{}".to_owned())];
        project.settings = Some(Source::File("/srv/settings.json".into()));
        project.restricted = true;
        let arguments = project_arguments(&project);
        let ours = arguments.iter().skip_while(|argument| *argument != "--restricted");
        let expected = [
            "--restricted",
            "--effort=xhigh",
            "--fallback-model=sonnet,haiku",
            "--max-turns=30",
            "--max-budget-usd=2.500000",
            "--add-dir=/srv/a",
            "--add-dir=/srv/b c",
            "--mcp-config=/srv/mcp.json",
            "--mcp-config={}",
            "--settings=/srv/settings.json",
        ];
        assert_eq!(ours.collect::<Vec<_>>(), expected);

        project.command = ["podman", "exec", "-i", "box"].map(str::to_owned).to_vec();
        let launch =
            Launch::new(&config::Agent::default(), &BTreeMap::new(), &project, &BTreeMap::new(), None);
        assert_eq!(launch.program, "podman");
        assert_eq!(launch.arguments[..5], ["exec", "-i", "box", "claude", "-p"]);
    }

    #[test]
    fn an_agent_fits_only_while_every_key_is_the_same() {
        let none = BTreeMap::new();
        let launch = |project: &Project| {
            Launch::new(&config::Agent::default(), &BTreeMap::new(), project, &none, None)
        };
        let changes: [fn(&mut Project); 14] = [
            |project| project.effort = Some(Effort::Low),
            |project| project.fallback_model = Some("haiku".to_owned()),
            |project| project.max_turns = Some(1),
            |project| project.max_usd = Some(MicroUsd(1)),
            |project| project.add_dirs.push("/srv".into()),
            |project| project.mcp_config.push(Source::Json("{}".to_owned())),
            |project| project.settings = Some(Source::Json("{}".to_owned())),
            |project| project.restricted = true,
            |project| project.command.push("env".to_owned()),
            |project| project.dir = "/srv/other".into(),
            |project| project.system_prompt = Some("Be brief.".to_owned()),
            |project| drop(project.env.insert("A".to_owned(), "b".to_owned())),
            |project| project.sandbox = Some(Sandbox::Bwrap),
            |project| project.run_as = Some(site()),
        ];
        let before = launch(&project());
        assert_eq!(before, launch(&project()));
        for (place, change) in changes.iter().enumerate() {
            let mut changed = project();
            change(&mut changed);
            assert_ne!(before, launch(&changed), "change {place}");
        }
        let key = BTreeMap::from([("KEY".to_owned(), "rotated".to_owned())]);
        let with_key = Launch::new(&config::Agent::default(), &BTreeMap::new(), &project(), &key, None);
        assert_ne!(before, with_key);
        // The same name and home, but another user.
        let other = |user| Ids { user, ..site().ids };
        let [one, another] = [1001, 1004]
            .map(|user| launch(&Project { run_as: Some(RunAs { ids: other(user), ..site() }), ..project() }));
        assert_ne!(one, another);
    }
}
