//! `config/moonlane.toml` and the environment → [`Config`]. Every mistake is named with its file and key.
//!
//! The configuration says where and how much, and is read once, at start. Every key has a default, so the file may be empty
//! or missing. An environment variable `MOONLANE_SECTION__KEY` overrides a key.

mod defaults;
mod files;
mod reading;
mod values;
mod voice;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::domain::{ChannelId, GateTimes, GuildId, Limits, LiveTimes, Share};
use crate::logging::Levels;
pub use files::FilesConfig;
use reading::{decode, read_file, set_override};
pub use values::duration_as;
pub use voice::VoiceConfig;

/// The file, relative to the root.
pub const FILE: &str = "config/moonlane.toml";

/// The directory beside `config/` that is created if a project works in it and it is missing.
pub const WORK: &str = "work";

/// The longest duration in a setting.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A mistake in the configuration: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// The file or the environment variable, with the key if it is known.
    place: String,
    problem: String,
}

impl ConfigError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// A configuration with mistakes.
#[derive(Debug)]
pub struct BadConfig {
    /// Every mistake.
    pub mistakes: Vec<ConfigError>,
    /// Everything else: good enough to look for further problems, not to run.
    pub rest: Box<Config>,
}

/// What `config/moonlane.toml` and the environment say, with absolute paths and checked values.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory that holds `config/` and `scripts/`; relative paths start here.
    pub root: PathBuf,
    pub discord: Discord,
    /// Where the scripts are, and their budget.
    pub scripts: ScriptsConfig,
    /// The database file.
    pub store_path: PathBuf,
    /// While its disk has less space than this, no messages are taken in.
    pub min_free: ByteSize,
    /// How agents are started and kept.
    pub agent: Agent,
    /// How long the files of messages are kept, and how much of them.
    pub files: FilesConfig,
    /// What turns voice messages into text.
    pub voice: VoiceConfig,
    /// What one person can take up.
    pub share: Share,
    /// The default time limits of a turn.
    pub limits: Limits,
    /// Which lines are logged.
    pub log_level: Levels,
    /// Whether secrets are removed from what is posted and logged.
    pub redact: bool,
}

/// `[discord]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Discord {
    /// The environment variable that holds the bot's token.
    pub token_env: String,
    /// A file that holds the token, instead of `token_env`.
    pub token_file: Option<PathBuf>,
    /// Discord itself, or a server that speaks its protocol; REST is under `/api/v10`.
    pub api_url: String,
    /// The guilds that get the commands; if empty, all of them, and direct messages.
    pub guilds: Vec<GuildId>,
    /// How long to retry an answer that Discord or the database does not take.
    #[serde(deserialize_with = "values::duration")]
    pub keep_trying: Duration,
    /// How long Discord's word about people counts.
    #[serde(skip)]
    pub gate_times: GateTimes,
    /// The time limit of a single request.
    #[serde(skip)]
    pub request_limit: Duration,
    /// How long Discord waits for the first answer to a command or a press.
    #[serde(skip)]
    pub first_answer: Duration,
    /// When turns show that they are at work.
    #[serde(skip)]
    pub live_times: LiveTimes,
}

/// `[scripts]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptsConfig {
    /// The script folder.
    pub dir: PathBuf,
    /// How long a call into a script may run.
    #[serde(deserialize_with = "values::duration")]
    pub time_limit: Duration,
    /// How much memory a script VM may use.
    pub memory_limit: ByteSize,
    /// The channel that is told about problems with the scripts.
    pub notify_channel: Option<ChannelId>,
    /// How many commands may wait at once, for a person or for Discord.
    pub max_waiting: usize,
    /// Where agents must not work.
    #[serde(skip)]
    pub own: Vec<OwnPlace>,
    /// The variable that holds the bot's token (`[discord] token_env`).
    #[serde(skip)]
    pub token_env: String,
}

/// Something that belongs to the bot and decides who is let in.
#[derive(Debug, Clone)]
pub struct OwnPlace {
    /// What it is, such as "the scripts".
    pub what: &'static str,
    /// Where it is; absolute, not necessarily there, and perhaps a link.
    pub path: PathBuf,
    /// Whether it is a folder, which includes everything in it.
    pub is_folder: bool,
    /// Whether nobody else may even read it.
    pub is_private: bool,
}

/// `[agent]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// Environment variables that agents get in addition to the built-in list.
    pub pass_env: Vec<String>,
    /// How many turns run at once, over all channels.
    pub max_running: usize,
    /// How many agents stay alive, including those at work; beyond that, the one that has been idle longest is closed.
    pub max_live: usize,
    /// How long a live agent may go without a turn before it is closed.
    #[serde(deserialize_with = "values::duration")]
    pub idle_close: Duration,
    /// The variable that holds the bot's token (`[discord] token_env`): no agent ever gets it.
    #[serde(skip)]
    pub token_env: String,
    /// The program with `agent-guard`: this one, even if its file has been replaced.
    #[serde(skip)]
    pub guard: PathBuf,
    /// The umask of agents, if it differs from the bot's.
    #[serde(skip)]
    pub umask: Option<u32>,
    /// The bot's own folders and files, which a sandbox hides.
    #[serde(skip)]
    pub hidden: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    discord: Discord,
    scripts: ScriptsConfig,
    store: StoreConfig,
    files: FilesConfig,
    voice: VoiceConfig,
    agent: Agent,
    person: RawShare,
    limits: RawLimits,
    log: Log,
    secrets: Secrets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoreConfig {
    /// The SQLite database; beside it, under its name, are the files of its locks.
    path: PathBuf,
    /// While its disk has less free space than this, no message is taken in.
    min_free: ByteSize,
}

/// `[person]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawShare {
    /// How many turns of one person run at once, over all channels; by default one less than `agent.max_running`.
    max_running: Option<usize>,
    /// How many of their messages may wait in one channel.
    max_waiting: usize,
    /// How many of their messages are taken in within a minute.
    max_messages: usize,
    /// How many of their commands may be in progress at once; operators' are not counted.
    max_commands: usize,
    /// How many of these may wait for a press.
    max_dialogs: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLimits {
    /// From starting an agent to its first sign of readiness. Each of these limits can be set by a project, too.
    #[serde(deserialize_with = "values::duration")]
    start: Duration,
    /// From a prompt to the first sign that Claude Code has begun with it. Else another one is started and gets the prompt.
    #[serde(deserialize_with = "values::duration")]
    wake: Duration,
    /// Without any event, while no tool is running.
    #[serde(deserialize_with = "values::duration")]
    silence: Duration,
    /// Without any event, while a tool is running.
    #[serde(deserialize_with = "values::duration")]
    tool: Duration,
    /// The whole turn.
    #[serde(deserialize_with = "values::duration")]
    turn: Duration,
    /// From the result until Claude is idle, and from the end of its input until it exits.
    #[serde(deserialize_with = "values::duration")]
    after_result: Duration,
    /// How long after a usage limit's reset a turn goes on at most, at random; 0 for at once.
    #[serde(deserialize_with = "values::duration")]
    continue_spread: Duration,
    /// How long Claude waits for leave to use a tool and for a word on its plan, and an MCP server for a person.
    #[serde(deserialize_with = "values::duration")]
    question: Duration,
    /// How long Claude waits for an answer to what it asks; 0 for as long as it takes.
    #[serde(deserialize_with = "values::duration")]
    question_choice: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    /// Which lines are logged: error, warn, info, debug, trace or off; also by module, "info,moonlane::agent=debug".
    level: Levels,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Secrets {
    /// Whether secrets are taken out of everything that is posted or logged.
    redact: Option<bool>,
}

impl Config {
    /// Reads the configuration below `root`, with overrides from `environment`.
    ///
    /// # Errors
    /// Every mistake: an unreadable file, bad TOML, an unknown key (with the nearest valid one), a wrong type, or a
    /// value that cannot work.
    pub fn load(
        root: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BadConfig> {
        let mut mistakes = Vec::new();
        let root = std::path::absolute(root).unwrap_or_else(|e| {
            mistakes.push(ConfigError::new(format!("--root {}", root.display()), e.to_string()));
            root.to_owned()
        });
        let mut table = read_file(&root).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            toml::Table::new()
        });
        let mut environment: Vec<_> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with("MOONLANE_") && name.contains("__"))
            .collect();
        environment.sort();

        // The file alone first, so that its mistakes are not blamed on a variable.
        let mut raw = decode(&mut table, FILE, &mut mistakes);
        for (name, value) in environment {
            match set_override(&mut table, &name, &value) {
                Ok(()) => raw = decode(&mut table, &format!("environment variable {name}"), &mut mistakes),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let config = Self::check(root, raw, &mut mistakes);
        if mistakes.is_empty() { Ok(config) } else { Err(BadConfig { mistakes, rest: Box::new(config) }) }
    }

    fn check(root: PathBuf, mut raw: RawConfig, mistakes: &mut Vec<ConfigError>) -> Self {
        let mut wrong = |key: &str, problem: &str| {
            mistakes.push(ConfigError::new(format!("{FILE}: {key}"), problem));
        };
        let RawLimits {
            start,
            wake,
            silence,
            tool,
            turn,
            after_result,
            continue_spread,
            question,
            question_choice,
        } = raw.limits;
        for (key, value) in [
            ("limits.start", start),
            ("limits.wake", wake),
            ("limits.silence", silence),
            ("limits.tool", tool),
            ("limits.turn", turn),
            ("limits.after_result", after_result),
            ("limits.question", question),
            ("scripts.time_limit", raw.scripts.time_limit),
            ("voice.time_limit", raw.voice.time_limit),
            ("agent.idle_close", raw.agent.idle_close),
            ("discord.keep_trying", raw.discord.keep_trying),
        ] {
            if value.is_zero() {
                wrong(key, "must be longer than 0");
            } else if value > LONGEST {
                wrong(key, "must be at most 30 days");
            }
        }
        for (key, value) in
            [("limits.continue_spread", continue_spread), ("limits.question_choice", question_choice)]
        {
            if value > LONGEST {
                wrong(key, "must be at most 30 days");
            }
        }
        let token_env = &raw.discord.token_env;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if token_env.is_empty()
            || token_env.starts_with(|c: char| c.is_ascii_digit())
            || !token_env.chars().all(is_name)
        {
            // If somebody put the token itself here, it must not end up in a log; and `doctor` continues without it.
            wrong(
                "discord.token_env",
                "must be the name of an environment variable: letters, digits and `_`",
            );
            raw.discord.token_env = Discord::default().token_env;
        }
        let share = Share {
            running: raw.person.max_running.unwrap_or(raw.agent.max_running.saturating_sub(1).max(1)),
            waiting: raw.person.max_waiting,
            per_minute: raw.person.max_messages,
            commands: raw.person.max_commands,
            dialogs: raw.person.max_dialogs,
        };
        for (key, value) in [
            ("scripts.max_waiting", raw.scripts.max_waiting),
            ("agent.max_running", raw.agent.max_running),
            ("person.max_running", share.running),
            ("person.max_waiting", share.waiting),
            ("person.max_messages", share.per_minute),
            ("person.max_commands", share.commands),
            ("person.max_dialogs", share.dialogs),
        ] {
            if value == 0 {
                wrong(key, "must be at least 1");
            }
        }
        if raw.agent.command.first().is_none_or(String::is_empty) {
            wrong("agent.command", "must name a program");
        }
        if raw.voice.command.first().is_some_and(String::is_empty) {
            wrong("voice.command", "must name a program, or be empty");
        }
        let command = with_place(&root, raw.agent.command);
        let voice =
            VoiceConfig { command: with_place(&root, raw.voice.command), dir: root.clone(), ..raw.voice };
        let api_url = raw.discord.api_url.trim_end_matches('/').to_owned();
        if !(api_url.starts_with("https://") || api_url.starts_with("http://")) {
            wrong("discord.api_url", "must begin with https:// (or http:// for a server on this machine)");
        }
        let token_file = raw.discord.token_file.as_ref().map(|file| root.join(file));
        let scripts_dir = root.join(raw.scripts.dir);
        let store_path = root.join(raw.store.path);
        let place = |what, path, is_folder, is_private| OwnPlace { what, path, is_folder, is_private };
        let private = |what, path| place(what, path, false, true);
        let files_dir = store_path.with_file_name("files");
        let mut own = vec![
            place("the scripts", scripts_dir.clone(), true, false),
            place("the configuration", root.join(FILE), false, false),
            private("the database", store_path.clone()),
            place("the files of messages", files_dir.clone(), true, true),
        ];
        own.extend(token_file.clone().map(|path| private("the token", path)));
        let mut hidden = vec![root.clone(), scripts_dir.clone()];
        hidden.extend(store_path.parent().map(Path::to_owned));
        hidden.extend(token_file.clone());
        Self {
            discord: Discord { api_url, token_file, ..raw.discord.clone() },
            min_free: raw.store.min_free,
            scripts: ScriptsConfig {
                dir: scripts_dir,
                own,
                token_env: raw.discord.token_env.clone(),
                ..raw.scripts
            },
            store_path,
            files: FilesConfig { dir: files_dir, ..raw.files },
            voice,
            agent: Agent { command, token_env: raw.discord.token_env, hidden, ..raw.agent },
            share,
            limits: Limits {
                start,
                wake,
                silence,
                tool,
                turn,
                after_result,
                continue_spread,
                question,
                question_choice: Some(question_choice).filter(|time| !time.is_zero()),
            },
            log_level: raw.log.level,
            redact: raw.secrets.redact.unwrap_or(true),
            root,
        }
    }
}

impl Discord {
    /// The bot's token, from the file or the environment variable that the configuration names.
    ///
    /// # Errors
    /// If there is none, or it cannot be a token.
    pub fn token(&self, environment: impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
        let (place, text) = match &self.token_file {
            Some(file) => {
                let place = format!("{FILE}: discord.token_file");
                let text = std::fs::read_to_string(file)
                    .map_err(|e| ConfigError::new(&place, format!("cannot read {}: {e}", file.display())))?;
                (place, text)
            }
            None => {
                let place = format!("environment variable {}", self.token_env);
                let text = environment(&self.token_env).ok_or_else(|| {
                    let problem =
                        "not set; put the bot's token there, or name a file in `discord.token_file`";
                    ConfigError::new(&place, problem)
                })?;
                (place, text)
            }
        };
        let token = text.trim().trim_start_matches("Bot ").to_owned();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ConfigError::new(place, "does not hold a Discord token"));
        }
        Ok(token)
    }
}

/// The command with the place of its program, where that is relative: it does not start in the root, or not for sure. A bare name
/// is looked up on the PATH.
fn with_place(root: &Path, mut command: Vec<String>) -> Vec<String> {
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        *program = root.join(&*program).to_string_lossy().into_owned();
    }
    command
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Loads this text as the configuration file, with these variables.
    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("config")).unwrap();
        std::fs::write(root.path().join(FILE), text).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Config::load(root.path(), environment).map_err(|bad| {
            let lines: Vec<String> = bad.mistakes.iter().map(ToString::to_string).collect();
            lines.join("\n")
        })
    }

    fn mistake(text: &str) -> String {
        load(text, &[]).unwrap_err()
    }

    #[test]
    fn the_shipped_file_shows_the_defaults() {
        let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/moonlane.toml"));
        let shipped = shipped.unwrap();
        assert_eq!(
            shown_keys(&shipped),
            accepted_keys(),
            "those that the file shows, and those that there are"
        );
        let (from_file, from_nothing) = (load(&shipped, &[]).unwrap(), load("", &[]).unwrap());
        let comparable = |config: Config| Config { root: PathBuf::new(), ..relative(config) };
        assert_eq!(format!("{:?}", comparable(from_file)), format!("{:?}", comparable(from_nothing)));
    }

    /// The keys that the file shows, with a value or as a comment: `section.key`.
    fn shown_keys(shipped: &str) -> BTreeSet<String> {
        let mut section = "";
        let mut shown = BTreeSet::new();
        for line in shipped.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                shown.insert(format!("{section}.{key}"));
            }
        }
        shown
    }

    /// The keys that there are, as the decoder's errors about an unknown one list them.
    fn accepted_keys() -> BTreeSet<String> {
        let listed = |text: &str| -> Vec<String> {
            let error = toml::from_str::<RawConfig>(text).unwrap_err().message().to_owned();
            error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
        };
        let sections = listed("'?' = 1").into_iter();
        sections
            .flat_map(|section| {
                let keys = listed(&format!("[{section}]\n'?' = 1")).into_iter();
                keys.map(move |key| format!("{section}.{key}"))
            })
            .collect()
    }

    fn relative(mut config: Config) -> Config {
        config.agent.hidden.clear();
        let strip = |path: &Path| path.strip_prefix(&config.root).unwrap().to_owned();
        let (dir, store) = (strip(&config.scripts.dir), strip(&config.store_path));
        let files = strip(&config.files.dir);
        config.scripts.dir = dir;
        config.store_path = store;
        config.files.dir = files;
        config.voice.dir.clear();
        let root = &config.root;
        let own = config.scripts.own.iter_mut();
        own.for_each(|place| place.path = place.path.strip_prefix(root).unwrap().to_owned());
        config
    }

    #[test]
    fn a_token_in_the_place_of_its_variables_name_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("config")).unwrap();
        std::fs::write(root.path().join(FILE), "[discord]\ntoken_env = \"MTIz.secret-x\"").unwrap();
        let bad = Config::load(root.path(), []).unwrap_err();
        assert_eq!(
            bad.mistakes[0].to_string(),
            "config/moonlane.toml: discord.token_env: must be the name of an environment variable: letters, digits \
             and `_`"
        );
        // `doctor` continues with the rest.
        assert_eq!((bad.mistakes.len(), bad.rest.discord.token_env.as_str()), (1, "DISCORD_TOKEN"));
        assert!(!format!("{bad:?}").contains("secret"));
    }

    #[test]
    fn a_missing_file_means_the_defaults() {
        let root = tempfile::tempdir().unwrap();
        let config = Config::load(root.path(), []).unwrap();
        assert_eq!(config.agent.max_running, 8);
        assert_eq!(config.store_path, root.path().join("moonlane.db"));
    }

    #[test]
    fn one_person_gets_all_slots_but_one_where_nothing_else_is_said() {
        let running = |text: &str| load(text, &[]).map(|config| config.share.running);
        assert_eq!(running(""), Ok(7));
        assert_eq!(running("[agent]\nmax_running = 1"), Ok(1));
        assert_eq!(running("[agent]\nmax_running = 2\n[person]\nmax_running = 2"), Ok(2));
        insta::assert_snapshot!(mistake("[person]\nmax_running = 0"), @"config/moonlane.toml: person.max_running: must be at least 1");
    }

    #[test]
    fn a_mistake_is_one_sentence_with_file_and_key() {
        insta::assert_snapshot!(mistake("[limits]\nsilense = '5m'"), @"config/moonlane.toml: limits.silense: unknown key `silense`, did you mean `silence`?");
        insta::assert_snapshot!(mistake("[agnet]\n"), @"config/moonlane.toml: agnet: unknown key `agnet`, did you mean `agent`?");
        insta::assert_snapshot!(mistake("[agent]\nmax_running = 'many'"), @r#"config/moonlane.toml: agent.max_running: must be a whole number, not "many""#);
        insta::assert_snapshot!(mistake("[agent]\nmax_running = 0"), @"config/moonlane.toml: agent.max_running: must be at least 1");
        insta::assert_snapshot!(mistake("[limits]\nturn = '0s'"), @"config/moonlane.toml: limits.turn: must be longer than 0");
        insta::assert_snapshot!(mistake("[limits]\nturn = 'soon'"), @r#"config/moonlane.toml: limits.turn: must be a number of seconds or a text such as "60s", not "soon""#);
        insta::assert_snapshot!(mistake("[discord]\napi_url = 'discord.com'"), @"config/moonlane.toml: discord.api_url: must begin with https:// (or http:// for a server on this machine)");
        insta::assert_snapshot!(mistake("[scripts]\nnotify_channel = 231200000000000004"), @"config/moonlane.toml: scripts.notify_channel: must be a text in quotes, not `231200000000000004`");
        insta::assert_snapshot!(mistake("[scripts]\nnotify_channel = '#ops'"), @"config/moonlane.toml: scripts.notify_channel: `#ops` is not a Discord id: expected 1 to 20 digits, not 0, as a string");
        insta::assert_snapshot!(mistake("[discord]\nguilds = ['1', 'x']"), @"config/moonlane.toml: discord.guilds[1]: `x` is not a Discord id: expected 1 to 20 digits, not 0, as a string");
        insta::assert_snapshot!(mistake("[discord]\nguilds = [1]"), @"config/moonlane.toml: discord.guilds[0]: must be a text in quotes, not `1`");
        insta::assert_snapshot!(mistake("[agent]\ncommand = []"), @"config/moonlane.toml: agent.command: must name a program");
        insta::assert_snapshot!(mistake("[log]\nlevel = 1\n[log\n"), @"config/moonlane.toml:3: unclosed table, expected `]`");
    }

    #[test]
    fn every_mistake_is_told() {
        let text = "[agnet]\n[agent]\nmax_running = 0\ncommand = ['a', 1]\n[limits]\nturn = '1000years'\nsilense = '1m'";
        let mistakes = load(text, &[("MOONLANE_STORE__PAHT", "x")]).unwrap_err();
        insta::assert_snapshot!(mistakes, @"
        config/moonlane.toml: agent.command[1]: must be a text in quotes, not `1`
        config/moonlane.toml: agnet: unknown key `agnet`, did you mean `agent`?
        config/moonlane.toml: limits.silense: unknown key `silense`, did you mean `silence`?
        environment variable MOONLANE_STORE__PAHT: store.paht: unknown key `paht`, did you mean `path`?
        config/moonlane.toml: limits.turn: must be at most 30 days
        config/moonlane.toml: agent.max_running: must be at least 1
        ");
    }

    #[test]
    fn no_mistake_is_told_in_the_words_of_a_programming_language() {
        let text = "secrets = 1\n[discord]\nguilds = 'x'\nkeep_trying = -1\ntoken_file = 1\n[scripts]\nmemory_limit = 'much'\n\
                    [store]\nmin_free = true\n[agent]\nmax_running = 1.5\nmax_live = -1\nidle_close = [1]\n\
                    [limits]\nturn = false\n[log.level]\ninfo = 1";
        insta::assert_snapshot!(mistake(text), @r#"
        config/moonlane.toml: agent.idle_close: must be a number of seconds or a text such as "60s", not a list
        config/moonlane.toml: agent.max_live: must not be negative, but is `-1`
        config/moonlane.toml: agent.max_running: must be a whole number, not `1.5`
        config/moonlane.toml: discord.guilds: must be a list in [ ], not "x"
        config/moonlane.toml: discord.keep_trying: must be a number of seconds or a text such as "60s", not `-1`
        config/moonlane.toml: discord.token_file: must be a text in quotes, not `1`
        config/moonlane.toml: limits.turn: must be a number of seconds or a text such as "60s", not `false`
        config/moonlane.toml: log.level: must be a text in quotes, not a section
        config/moonlane.toml: scripts.memory_limit: must be a size such as "64MiB", not "much"
        config/moonlane.toml: secrets: must be a section with keys, not `1`
        config/moonlane.toml: store.min_free: must be a size such as "64MiB", not `true`
        "#);
        insta::assert_snapshot!(mistake("[secrets]\nredact = 'no'"), @r#"config/moonlane.toml: secrets.redact: must be true or false, not "no""#);
    }

    #[test]
    fn a_length_of_time_is_a_number_of_seconds_or_a_text() {
        let turn =
            |value: &str| load(&format!("[limits]\nturn = {value}"), &[]).map(|config| config.limits.turn);
        assert_eq!(turn("90"), Ok(Duration::from_secs(90)));
        assert_eq!(turn("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(turn("'1h 30m'"), Ok(Duration::from_secs(5400)));
        let variable = [("MOONLANE_LIMITS__TURN", "90")];
        assert_eq!(load("", &variable).unwrap().limits.turn, Duration::from_secs(90));
    }

    #[test]
    fn a_wrong_level_of_the_log_is_told_with_its_place() {
        insta::assert_snapshot!(mistake("[log]\nlevel = 'warning'"), @"config/moonlane.toml: log.level: `warning` is no level, did you mean `warn`?");
        insta::assert_snapshot!(mistake("[log]\nlevel = ''"), @"config/moonlane.toml: log.level: `` is no level; valid are `error`, `warn`, `info`, `debug`, `trace`, `off`");
        let variable = load("", &[("MOONLANE_LOG__LEVEL", "loud")]).unwrap_err();
        insta::assert_snapshot!(variable, @"environment variable MOONLANE_LOG__LEVEL: log.level: `loud` is no level; valid are `error`, `warn`, `info`, `debug`, `trace`, `off`");
    }

    #[test]
    fn the_environment_overrides_and_is_named_in_its_mistakes() {
        let variables =
            [("MOONLANE_DISCORD__API_URL", "http://127.0.0.1:4800/"), ("MOONLANE_AGENT__MAX_RUNNING", "2")];
        let config = load("", &variables).unwrap();
        assert_eq!(config.discord.api_url, "http://127.0.0.1:4800");
        assert_eq!(config.agent.max_running, 2);
        assert!(load("", &[("MOONLANE_HOME", "x"), ("OTHER__KEY", "x")]).is_ok(), "not ours to read");
        let wrong = load("", &[("MOONLANE_AGENT__MAX_RUNING", "2")]).unwrap_err();
        insta::assert_snapshot!(wrong, @"environment variable MOONLANE_AGENT__MAX_RUNING: agent.max_runing: unknown key `max_runing`, did you mean `max_running`?");
    }

    #[test]
    fn the_token_comes_from_where_the_configuration_says() {
        let discord = Discord::default();
        assert_eq!(discord.token(|_| Some(" abc.def \n".to_owned())).unwrap(), "abc.def");
        let missing = discord.token(|_| None).unwrap_err().to_string();
        insta::assert_snapshot!(missing, @"environment variable DISCORD_TOKEN: not set; put the bot's token there, or name a file in `discord.token_file`");
        assert!(discord.token(|_| Some("two words".to_owned())).is_err());
        let file = Discord { token_file: Some(PathBuf::from("/nowhere/token")), ..Discord::default() };
        assert!(file.token(|_| None).unwrap_err().to_string().contains("cannot read /nowhere/token"));
    }
}
