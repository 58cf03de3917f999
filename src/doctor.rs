//! `moonlane doctor`: everything that the bot needs on this machine and in Discord, one line each: `✓` it is there,
//! `✗` it is missing, and what to do, `⚠` it works, but could be better.
//!
//! It changes nothing, costs nothing, and can run beside the bot.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use humantime_serde::re::humantime::format_duration;

use crate::agent::{Agents, cgroup, guard};
use crate::config::{BadConfig, Config, FILE, WORK};
use crate::domain::{ChannelId, Limits, Project, ThreadMode};
use crate::host;
use crate::logging::{chain, printable};
use crate::outbox::{Access, Identity, Outbox, Patience, Permissions, Refused};
use crate::print;
use crate::script::{ScriptProblem, ScriptSet, Severity};
use crate::store::{OpenError, look};

/// How long to wait for Discord.
fn patience() -> Patience {
    Patience {
        first_wait: Duration::from_millis(500),
        longest_wait: Duration::from_secs(2),
        give_up_after: Duration::from_secs(5),
        request: Duration::from_secs(5),
        ..Patience::default()
    }
}

/// What to do about the message-content intent.
const SWITCH_ON: &str = "switch it on in the Developer Portal (your application → Bot → Privileged Gateway Intents → \
                         Message Content Intent)";

/// What was found so far.
#[derive(Default)]
struct Findings {
    wrong: usize,
}

impl Findings {
    fn fine(&self, what: impl std::fmt::Display) {
        print::line(format_args!("✓ {}", printable(&what.to_string())));
    }

    fn warn(&self, what: impl std::fmt::Display) {
        print::line(format_args!("⚠ {}", printable(&what.to_string())));
    }

    fn wrong(&mut self, what: impl std::fmt::Display) {
        self.wrong += 1;
        print::line(format_args!("✗ {}", printable(&what.to_string())));
    }
}

/// Examines everything, prints what it finds, and fails if something is wrong. `hidden`: the result of hiding this process
/// from others.
pub async fn run(config: Result<Config, BadConfig>, hidden: io::Result<()>) -> ExitCode {
    let mut findings = Findings::default();
    let config = configuration(config, &mut findings);
    let scripts = scripts(&config, &mut findings);
    limits(&config, scripts.as_ref(), &mut findings);
    machine(hidden, &mut findings);
    store(&config, &mut findings);
    discord(&config, scripts.as_ref(), &mut findings).await;
    agents(&config, scripts.as_ref(), &mut findings).await;
    match findings.wrong {
        0 => print::line("Everything is in place."),
        1 => print::line("1 thing is wrong."),
        wrong => print::line(format_args!("{wrong} things are wrong.")),
    }
    if findings.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn configuration(config: Result<Config, BadConfig>, findings: &mut Findings) -> Config {
    let (config, mistakes) = match config {
        Ok(config) => (config, Vec::new()),
        Err(BadConfig { mistakes, rest }) => (*rest, mistakes),
    };
    for mistake in &mistakes {
        findings.wrong(mistake);
    }
    if mistakes.is_empty() {
        findings.fine("configuration");
    }
    config
}

/// The scripts, if they can be used.
fn scripts(config: &Config, findings: &mut Findings) -> Option<ScriptSet> {
    let (set, problems) = match ScriptSet::load(&config.scripts, &config.root, &config.limits) {
        Ok(loaded) => (Some(loaded.set), loaded.warnings),
        Err(problems) => (None, problems),
    };
    let sound = problems.is_empty();
    for problem in problems {
        // A start would only warn of some of them.
        findings.wrong(ScriptProblem { severity: Severity::Error, ..problem });
    }
    let set = set?;
    if sound {
        let (projects, channels) = (set.projects().count(), set.routed_channels());
        let function = if set.has_route_function() { ", a route function" } else { "" };
        findings.fine(format!(
            "scripts: {}, {}{function}",
            many(projects, "project"),
            many(channels, "channel")
        ));
    }
    Some(set)
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn limits(config: &Config, scripts: Option<&ScriptSet>, findings: &mut Findings) {
    let mut ineffective = ineffective(&config.limits, &format!("{FILE}: limits"));
    for project in scripts.into_iter().flat_map(ScriptSet::projects) {
        if project.limits != config.limits {
            ineffective
                .extend(self::ineffective(&project.limits, &format!("project {}: limits", project.name)));
        }
    }
    for sentence in &ineffective {
        findings.warn(sentence);
    }
    if ineffective.is_empty() {
        findings.fine("time limits");
    }
}

/// Which of these limits can never take effect.
fn ineffective(limits: &Limits, place: &str) -> Vec<String> {
    let Limits { start, silence, tool, turn, .. } = *limits;
    let mut found = Vec::new();
    for (name, limit) in [("start", start), ("silence", silence), ("tool", tool)] {
        if limit > turn {
            let (limit, turn) = (format_duration(limit), format_duration(turn));
            found.push(format!(
                "{place}: {name} ({limit}) never takes effect, because turn ({turn}) is shorter"
            ));
        }
    }
    if tool < silence {
        let (tool, silence) = (format_duration(tool), format_duration(silence));
        found.push(format!(
            "{place}: tool ({tool}) is shorter than silence ({silence}), so a tool gets less time than Claude \
             itself to be silent"
        ));
    }
    found
}

fn machine(hidden: io::Result<()>, findings: &mut Findings) {
    match hidden {
        Ok(()) => findings.fine("other processes of this user cannot look into the bot"),
        Err(error) => findings
            .warn(format!("other processes of this user can look into the bot and find its token: {error}")),
    }
    match host::root() {
        Some(warning) => findings.warn(warning),
        None => findings.fine("the user is not root"),
    }
    let missing = guard::missing_kernel_pieces();
    for piece in &missing {
        findings.warn(format!("the kernel has {piece}"));
    }
    if missing.is_empty() {
        findings.fine("the kernel has everything needed to end agents reliably");
    }
    match cgroup::own() {
        Ok(_) => findings.fine("each agent gets a control group, which nothing that it starts can leave unseen"),
        Err(why) => findings.warn(format!(
            "agents get no control group ({why}): one that kills its guard can leave a process behind; under systemd, \
             set `Delegate=yes`"
        )),
    }
}

fn store(config: &Config, findings: &mut Findings) {
    match look(&config.store_path) {
        Ok(true) => findings.fine(format!("database {}", config.store_path.display())),
        Ok(false) => {
            findings.fine(format!("database {}: created at the first start", config.store_path.display()))
        }
        Err(OpenError::Held { file, holder }) => {
            findings.fine(format!("database {file}: in use by a running bot ({holder})"));
        }
        Err(error @ OpenError::Unusable { .. }) => findings.wrong(format!(
            "database {error}: let this user read and write there, or name another file in `[store] path`"
        )),
        Err(error) => findings.wrong(format!("database {error}")),
    }
}

async fn discord(config: &Config, scripts: Option<&ScriptSet>, findings: &mut Findings) {
    if let Some(warning) = host::readable_token(config) {
        findings.warn(warning);
    }
    let token = match config.discord.token(|name| std::env::var(name).ok()) {
        Ok(token) => token,
        Err(error) => return findings.wrong(error),
    };
    let projects: Vec<_> =
        scripts.into_iter().flat_map(ScriptSet::projects).map(|project| project.dir.clone()).collect();
    for place in host::exposed_token(&token, config, &projects) {
        findings.warn(place);
    }
    let outbox = match Outbox::with_patience(&config.discord.api_url, &token, patience()) {
        Ok(outbox) => outbox,
        Err(error) => return findings.wrong(error),
    };
    let me = match outbox.whoami().await {
        Ok(me) => me,
        Err(error) => return findings.wrong(error),
    };
    findings.fine(format!("Discord takes the token: the bot is {}", me.name));
    if let Some(channel) = config.scripts.notify_channel {
        notify_channel(&outbox, &me, channel, findings).await;
    }
    let Some(scripts) = scripts else { return };
    match (scripts.needs_message_content(), me.message_content) {
        (true, false) => findings.wrong(
            format_args!("message content intent: the triggers need it: {SWITCH_ON}, or let the triggers answer mentions only"),
        ),
        (true, true) => findings.fine("message content intent: on, as the triggers need it"),
        (false, false) if scripts.projects().any(|project| project.context > 0) => findings.wrong(
            format_args!("message content intent: without it the `context` of a project tells nothing: {SWITCH_ON}"),
        ),
        (false, false) if scripts.projects().any(|project| project.thread != ThreadMode::Never) => findings.warn(
            format_args!("message content intent: off, so the bot has to be mentioned in its own threads, too: {SWITCH_ON}"),
        ),
        (false, _) => findings.fine("message content intent: not needed"),
    }
    guilds(&outbox, &me, scripts.has_route_function(), findings).await;
    for channel in scripts.channels() {
        permissions(&outbox, &me, channel, findings).await;
    }
}

/// The guilds, with what the bot may do in channels that say nothing about it.
async fn guilds(outbox: &Outbox, me: &Identity, everywhere: bool, findings: &mut Findings) {
    let guilds = match outbox.guilds().await {
        Ok(guilds) => guilds,
        Err(error) => return findings.wrong(format!("servers: {error}")),
    };
    if guilds.is_empty() {
        return findings.wrong(format!("the bot is in no server: invite it with {}", me.invite()));
    }
    for guild in guilds.into_iter().filter(|_| everywhere) {
        report(&format!("server {}", guild.name), guild.permissions, false, findings);
    }
}

async fn permissions(outbox: &Outbox, me: &Identity, channel: ChannelId, findings: &mut Findings) {
    let found = outbox.access(channel, me.user).await;
    if let Some(access) =
        accessible(found, me, &format!("channel {channel}"), "`channels` in routing.lua", findings)
    {
        let place = format!("channel #{} ({channel})", access.name);
        report(&place, access.permissions, access.is_thread, findings);
    }
}

/// The channel for what is wrong with the scripts: the bot only posts there.
async fn notify_channel(outbox: &Outbox, me: &Identity, channel: ChannelId, findings: &mut Findings) {
    let named = format!("`scripts.notify_channel` in {FILE}");
    let found = outbox.access(channel, me.user).await;
    let Some(access) = accessible(found, me, &format!("notify channel {channel}"), &named, findings) else {
        return;
    };
    let place = format!("notify channel #{} ({channel})", access.name);
    if access.permissions.suffice(access.is_thread) {
        return findings.fine(format!("{place}: the bot can post there"));
    }
    let right = if access.is_thread { "Send Messages in Threads" } else { "Send Messages" };
    findings.wrong(format!(
        "{place}: give the bot's role View Channel and {right}; without them nobody there hears what is wrong with the \
         scripts"
    ));
}

/// What the bot may do in a channel that it can see; what is wrong with any other goes to the findings. `named` is
/// where the operator has written its id.
fn accessible(
    found: Result<Access, Refused>,
    me: &Identity,
    place: &str,
    named: &str,
    findings: &mut Findings,
) -> Option<Access> {
    match found {
        Ok(access) => return Some(access),
        Err(Refused::Forbidden { .. }) => findings.wrong(format!(
            "{place}: the bot cannot see it: give it View Channel there, or invite it to that server with {}",
            me.invite()
        )),
        Err(Refused::NotFound { .. }) => findings.wrong(format!("{place}: there is none; correct {named}")),
        Err(error) => findings.wrong(format!("{place}: {error}")),
    }
    None
}

fn report(place: &str, permissions: Permissions, is_thread: bool, findings: &mut Findings) {
    let missing = permissions.missing(is_thread);
    let missing: Vec<_> =
        missing.map(|need| format!("{} (without it, {})", need.name, need.without)).collect();
    let sentence = || format!("{place}: give the bot's role {}", missing.join(", "));
    if missing.is_empty() {
        findings.fine(format!("{place}: every permission"));
    } else if permissions.suffice(is_thread) {
        findings.warn(sentence());
    } else {
        findings.wrong(sentence());
    }
}

async fn agents(config: &Config, scripts: Option<&ScriptSet>, findings: &mut Findings) {
    let agents = Agents::new(config.agent.clone(), std::env::vars_os());
    // Stands in for a directory that the first start creates: `doctor` leaves nothing behind.
    let stand_in = tempfile::tempdir();
    for project in scripts.into_iter().flat_map(ScriptSet::projects) {
        // A missing one was reported with the scripts.
        if project.dir.is_dir() {
            agent(&agents, project, findings).await;
        } else if project.dir == config.root.join(WORK)
            && project.run_as.is_none()
            && let Ok(stand_in) = &stand_in
        {
            let project = Project { dir: stand_in.path().to_owned(), ..Project::clone(project) };
            agent(&agents, &Arc::new(project), findings).await;
        }
    }
    agents.close_all().await;
}

async fn agent(agents: &Agents, project: &Arc<Project>, findings: &mut Findings) {
    let place = format!("project {}", project.name);
    let user = project.run_as.as_ref().map(|user| user.name.as_str());
    match agents.probe(Arc::clone(project)).await {
        Ok(about) => match about.login {
            Some(login) => {
                let as_user = user.map(|user| format!(" as {user}")).unwrap_or_default();
                findings.fine(format!("{place}: Claude Code {}{as_user}, logged in by {login}", about.version));
            }
            None => findings.wrong(format!(
                "{place}: Claude Code {} is not logged in: run `claude` as {} and log in, or set ANTHROPIC_API_KEY",
                about.version,
                user.unwrap_or("this user")
            )),
        },
        Err(failure) => {
            findings.wrong(format!(
                "{place}: {} ({})",
                failure.sentence(),
                chain(&failure).replace('\n', "; ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_never_come_to_bear_are_named() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let limits = |start, silence, tool, turn| {
            let limits = Limits {
                start: minutes(start),
                wake: minutes(1),
                silence: minutes(silence),
                tool: minutes(tool),
                turn: minutes(turn),
                after_result: minutes(1),
                continue_spread: Duration::ZERO,
                question: Duration::from_secs(60),
                question_choice: None,
            };
            ineffective(&limits, "limits").join("\n")
        };
        assert_eq!(limits(1, 10, 30, 60), "");
        assert_eq!(limits(5, 5, 5, 5), "");
        insta::assert_snapshot!(limits(20, 20, 30, 15), @"
        limits: start (20m) never takes effect, because turn (15m) is shorter
        limits: silence (20m) never takes effect, because turn (15m) is shorter
        limits: tool (30m) never takes effect, because turn (15m) is shorter
        ");
        insta::assert_snapshot!(limits(1, 10, 5, 60), @"limits: tool (5m) is shorter than silence (10m), so a tool gets less time than Claude itself to be silent");
    }
}
