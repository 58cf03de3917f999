//! The command line: a table of contents of what moonlane can do.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use moonlane::agent::{as_user, guard};
use moonlane::bot::{Bot, StartError};
use moonlane::config::{BadConfig, Config};
use moonlane::domain::{ChannelId, Ids, RoleId, UserId};
use moonlane::local::{LocalDiscord, Options};
use moonlane::script::{ScriptProblem, ScriptSet, Severity};
use moonlane::try_out::{self, TriedMessage};
use moonlane::{demo_agent, doctor, format, host, logging, playground, print, show_turn};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Turns Discord channels into Claude Code workplaces.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// The directory that holds config/ and scripts/.
    #[arg(long, value_name = "DIR", default_value = ".", global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Run the bot, with its token in the environment variable DISCORD_TOKEN.
    ///
    /// `[discord]` in config/moonlane.toml names another variable (`token_env`), or a file (`token_file`).
    Run,
    /// Talk to the bot in this terminal, over a local Discord: no account, no cost.
    Playground {
        /// Who answers: the scripted demo agent, or the real Claude Code.
        #[arg(long, value_enum, default_value_t = playground::AgentKind::Demo)]
        agent: playground::AgentKind,
    },
    /// Read configuration and scripts, and list every problem.
    Check,
    /// Print as JSON what trigger, route and gate decide for a text. Runs nothing.
    Try {
        /// The channel or thread that it is written in.
        #[arg(long, value_name = "ID")]
        channel: ChannelId,
        /// The channel that a thread belongs to.
        #[arg(long, value_name = "ID")]
        parent: Option<ChannelId>,
        /// The channel's name, without `#`.
        #[arg(long, value_name = "NAME", default_value = "")]
        channel_name: String,
        /// Who writes it.
        #[arg(long, value_name = "ID")]
        user: Option<UserId>,
        /// A role of whoever writes it; may be given several times.
        #[arg(long = "role", value_name = "ID")]
        roles: Vec<RoleId>,
        /// It does not mention the bot.
        #[arg(long)]
        no_mention: bool,
        /// The text, without the mention.
        text: String,
    },
    /// Show what was decided in a turn, and by whom.
    Turns {
        /// Its id: that of the message which asked, or the six characters in messages and log lines.
        id: String,
    },
    /// Look for what is missing on this machine and in Discord; costs nothing, changes nothing.
    Doctor,
    /// Show how a Markdown text becomes Discord messages: under rulers, with what was added in ⟦ ⟧.
    Format {
        /// Print an array of strings, one for each message.
        #[arg(long)]
        json: bool,
        /// Do not rewrite what Discord does not know, such as tables.
        #[arg(long)]
        plain: bool,
        /// The text; by default, and for `-`, standard input.
        file: Option<PathBuf>,
    },
    /// Run a local Discord alone, to try the bot against.
    LocalDiscord {
        /// The address to listen on.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4800")]
        listen: SocketAddr,
        /// Listen on an address that other machines reach, too: whoever reaches it can read all that is said there and
        /// speak as anybody, so a bot that runs against it works for them, as the user that runs the bot.
        #[arg(long)]
        expose: bool,
    },
    /// Run an agent, and end everything that it started when it ends or the bot is gone.
    #[command(hide = true)]
    AgentGuard {
        /// The process to watch; by default the parent.
        #[arg(long, value_name = "PID")]
        bot: Option<i32>,
        /// The file to share a lock on.
        #[arg(long, value_name = "FILE")]
        lock: Option<PathBuf>,
        /// The control group to make for the agent.
        #[arg(long, value_name = "DIR")]
        cgroup: Option<PathBuf>,
        /// The agent's umask.
        #[arg(long, value_name = "MODE")]
        umask: Option<u32>,
        #[command(flatten)]
        run_as: Option<RunAsArgs>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Become another user, and then the agent.
    #[command(hide = true)]
    AgentAs {
        #[command(flatten)]
        run_as: RunAsArgs,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Speak the agent's protocol, scripted.
    #[command(hide = true)]
    DemoAgent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(clap::Args)]
struct RunAsArgs {
    /// The agent's user.
    #[arg(long, value_name = "ID", required = false)]
    uid: u32,
    /// The agent's group.
    #[arg(long, value_name = "ID", required = false)]
    gid: u32,
    /// A group that its user is in; may be given several times.
    #[arg(long = "group", value_name = "ID")]
    groups: Vec<u32>,
    /// Where it begins.
    #[arg(long, value_name = "DIR", required = false)]
    dir: PathBuf,
}

impl RunAsArgs {
    fn orders(self) -> as_user::AsUserOptions {
        let Self { uid: user, gid: group, groups, dir } = self;
        as_user::AsUserOptions { ids: Ids { user, group, groups }, dir }
    }
}

/// Configuration or scripts are wrong; also clap's code for bad usage.
const BAD_SETUP: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // These need no runtime.
    match cli.command {
        CliCommand::AgentGuard { bot, lock, cgroup, umask, run_as, command } => {
            let run_as = run_as.map(RunAsArgs::orders);
            return guard::main(&guard::GuardOptions { bot, lock, cgroup, umask, run_as, command });
        }
        CliCommand::AgentAs { run_as, command } => return as_user::main(&run_as.orders(), &command),
        CliCommand::DemoAgent { arguments } => return demo_agent::main(arguments),
        CliCommand::Format { json, plain, file } => return format::run(file, json, plain),
        _ => {}
    }
    // Before anything reads the token.
    let hidden = host::hide();
    // While there is one thread only, and before anything is written.
    let umask = host::keep_files_private();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let code = runtime.block_on(async {
        match cli.command {
            CliCommand::LocalDiscord { listen, expose } => local_discord(&cli.root, listen, expose).await,
            command => with_config(cli.root, command, hidden, umask).await,
        }
    });
    // Not waiting for a thread that reads the terminal.
    runtime.shutdown_background();
    code
}

async fn with_config(root: PathBuf, command: CliCommand, hidden: io::Result<()>, umask: u32) -> ExitCode {
    // None of ours is anything but Unicode.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = Config::load(&root, environment);
    if let CliCommand::Check = command {
        return check(config);
    }
    if let CliCommand::Doctor = command {
        return doctor::run(config, hidden).await;
    }
    let config = match config {
        Ok(mut config) => {
            config.agent.umask = Some(umask);
            config
        }
        Err(bad) => {
            for mistake in &bad.mistakes {
                bad_setup(mistake);
            }
            return ExitCode::from(BAD_SETUP);
        }
    };
    match command {
        CliCommand::Playground { agent } => playground::run(config, agent).await.unwrap_or_else(|error| {
            match error.downcast_ref::<StartError>() {
                Some(error) => start_failed(error),
                None => failed(&*error),
            }
        }),
        CliCommand::Turns { id } => show_turn::run(&config, &id),
        CliCommand::Try { channel, parent, channel_name, user, roles, no_mention, text } => {
            // What a script prints.
            logging::to_stderr(&config.log_level, host::redactor(&config, ""));
            let mention = !no_mention;
            let said = TriedMessage { channel, parent, channel_name, user, roles, mention, text };
            try_out::run(&config, said).await
        }
        _ => run(config, hidden).await,
    }
}

async fn run(config: Config, hidden: io::Result<()>) -> ExitCode {
    let token = match config.discord.token(|name| std::env::var(name).ok()) {
        Ok(token) => token,
        Err(error) => return bad_setup(&error),
    };
    let redactor = host::redactor(&config, &token);
    logging::to_stderr(&config.log_level, redactor.clone());
    if let Err(error) = hidden {
        warn!(%error, "other processes of this user can look into the bot and find its token");
    }
    let warnings = host::root().map(str::to_owned).into_iter().chain(host::readable_token(&config));
    for warning in warnings {
        warn!("{warning}");
    }
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)] = signals else {
        let error = signals.into_iter().find_map(Result::err);
        return failed(&error.unwrap_or_else(|| io::ErrorKind::Other.into()));
    };
    // Asked now, since it may be closed later.
    let had_terminal = has_terminal();
    let stop = CancellationToken::new();
    let mut starting = pin!(Bot::start(&config, &token, redactor, None, &stop));
    let started = loop {
        tokio::select! {
            started = &mut starting => break started,
            _ = terminate.recv() => stop.cancel(),
            _ = interrupt.recv() => stop.cancel(),
        }
    };
    let mut bot = match started {
        Ok(bot) => bot,
        Err(StartError::Stopped) => return ExitCode::SUCCESS,
        Err(error) => return start_failed(&error),
    };
    // Not in `Bot`: it concerns the whole machine, which bots in tests share.
    bot.keep("the cleanup of temporary folders", moonlane::agent::clean_daily());
    let reloader = bot.reloader().clone();
    let failure = loop {
        tokio::select! {
            failure = bot.failed() => break Some(failure),
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = hang_up.recv() => {
                // The terminal was closed: nobody asked for a reload.
                if had_terminal && !has_terminal() {
                    break None;
                }
                let reloader = reloader.clone();
                // It logs its outcome itself.
                tokio::spawn(async move { reloader.reload_now().await });
            }
        }
    };
    drop(reloader);
    bot.shut_down().await;
    failure.map_or(ExitCode::SUCCESS, |failure| failed(&failure))
}

/// Whether somebody sits at a terminal that the bot was started from.
fn has_terminal() -> bool {
    io::stdin().is_terminal() || io::stderr().is_terminal()
}

/// Runs until it is killed. It prints commands to copy.
async fn local_discord(root: &Path, listen: SocketAddr, expose: bool) -> ExitCode {
    if !listen.ip().is_loopback() && !expose {
        return bad_setup(&format_args!(
            "--listen {listen}: other machines can reach this address, and whoever does can speak as anybody; listen on \
             127.0.0.1, or say --expose if that is what you want"
        ));
    }
    let options = Options { listen, token: "local".to_owned(), ..Options::default() };
    let discord = match LocalDiscord::start(options).await {
        Ok(discord) => discord,
        Err(error) => {
            return failed(&*anyhow::Error::from(error).context(format!("cannot listen on {listen}")));
        }
    };
    let (url, token) = (discord.url(), discord.token());
    let program = copied(&std::env::args().next().unwrap_or_default());
    // So that the bot finds its scripts from whichever directory it is started.
    let root = if root == Path::new(".") {
        String::new()
    } else {
        format!(" --root {}", copied(&root.to_string_lossy()))
    };
    let hello = r#"{"channel": "general", "user": "owner", "text": "hello", "mention": true}"#;
    print::line(format_args!(
        "A local Discord is listening. In another terminal, run the bot against it, mention the bot, and read the answer.\n\n\
         DISCORD_TOKEN={token} MOONLANE_DISCORD__API_URL={url} {program} run{root}\n\
         curl {url}/control/say -d '{hello}'\n\
         curl '{url}/control/messages?channel=general'"
    ));
    std::future::pending().await
}

/// A word of a command, quoted for a shell.
fn copied(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Lists every problem of configuration and scripts.
fn check(config: Result<Config, BadConfig>) -> ExitCode {
    let (config, mistakes) = match config {
        Ok(config) => (config, Vec::new()),
        Err(BadConfig { mistakes, rest }) => (*rest, mistakes),
    };
    let mut problems: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    // A check reports what a start would only warn of.
    let as_error = |warning| ScriptProblem { severity: Severity::Error, ..warning };
    let found = match ScriptSet::load(&config.scripts, &config.root, &config.limits) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    problems.extend(found.into_iter().map(|problem| as_error(problem).to_string()));
    if problems.is_empty() {
        print::line("configuration and scripts are fine");
        return ExitCode::SUCCESS;
    }
    for problem in &problems {
        print::line(problem);
    }
    ExitCode::from(BAD_SETUP)
}

fn start_failed(error: &StartError) -> ExitCode {
    match error {
        StartError::Scripts(problems) => {
            for problem in problems {
                print::complaint(problem);
            }
            ExitCode::from(BAD_SETUP)
        }
        other => failed(other),
    }
}

fn bad_setup(error: &dyn std::fmt::Display) -> ExitCode {
    print::complaint(format_args!("moonlane: {}", logging::printable(&error.to_string())));
    ExitCode::from(BAD_SETUP)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    print::complaint(format_args!("moonlane: {}", logging::printable(&logging::chain(error))));
    ExitCode::FAILURE
}
