//! Who may do what, where: the one gate, for messages, edits, turns that begin, commands and presses.
//!
//! # Theory of operation
//! The rules stand in the scripts, and whoever asks brings the set that is live at that moment. What a rule says of a
//! person hangs on two things that only Discord knows, and that change: the roles, and who owns the bot.
//!
//! Roles come with every message and interaction, so [`Gate::judge`] answers at once for what has just come. Where time
//! has passed since (a turn waited, a bot was restarted, a dialog stood open), [`Gate::ask`] asks Discord instead. When
//! Discord does not answer, nobody knows, and nobody is let in: whoever asked waits and asks again. That is why the
//! bot needs no privileged intent for members.
//!
//! Where the bot does anything at all is a list of guilds: that of the scripts, else that of the configuration, which
//! says where the bot has its commands; else every guild in which an owner is. For whoever runs the bot is where it is
//! meant to be, and anybody can invite it elsewhere, where those who are let in would show its answers to strangers.
//!
//! Owners are asked for every ten minutes, for Discord tells nobody that there are others, and again when one of them is
//! to be let in by an answer that is older than a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::domain::{Allow, Author, ChannelId, GateTimes, GuildId, Interaction, Project, RoleId, UserId};
use crate::outbox::{Outbox, Refused};
use crate::script::ScriptSet;

/// The wait before Discord is asked again what it did not say; it doubles each time, up to the longest.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The longest one.
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(60);
/// How long a command waits for the owners.
const COMMAND_PATIENCE: Duration = Duration::from_secs(1);
/// How long a message waits until it is known whether its guild is one of the owners'.
const GUILD_PATIENCE: Duration = Duration::from_secs(3);
/// How often it is asked whether an owner is in a guild.
const GUILDS_EVERY: Duration = Duration::from_secs(10 * 60);

/// What the gate says of somebody, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An owner always may.
    Owner,
    /// The rule names the person.
    User,
    /// The rule names this role of the person.
    Role(RoleId),
    /// A bot never may.
    Bot,
    /// The rule names neither the person nor a role of theirs.
    NotNamed,
}

impl Verdict {
    /// Whether the person may.
    pub fn admitted(self) -> bool {
        matches!(self, Self::Owner | Self::User | Self::Role(_))
    }
}

/// The rule that counts: the project's own where it has one, else the global one.
pub fn rule<'a>(global: &'a Allow, project: Option<&'a Project>) -> &'a Allow {
    project.and_then(|project| project.allow.as_ref()).unwrap_or(global)
}

/// What this rule says of the author.
pub fn judge(owners: &[UserId], rule: &Allow, author: &Author) -> Verdict {
    if author.bot {
        return Verdict::Bot;
    }
    if owners.contains(&author.id) {
        return Verdict::Owner;
    }
    if rule.users.contains(&author.id) {
        return Verdict::User;
    }
    let role = rule.roles.iter().find(|role| author.roles.contains(role));
    role.map_or(Verdict::NotNamed, |role| Verdict::Role(*role))
}

/// Whether this is not Discord's word, but that of something in between, or none at all.
fn is_no_word(refused: &Refused) -> bool {
    refused.code().unwrap_or(0) == 0
}

/// The gate. A cheap handle.
#[derive(Clone)]
pub struct Gate(Arc<GateInner>);

struct GateInner {
    outbox: Outbox,
    owners: Mutex<Owners>,
    /// The guilds of the configuration; none where it names none.
    configured: Vec<GuildId>,
    times: GateTimes,
    /// Whether an owner is in a guild, and when Discord said so.
    with_owner: Mutex<HashMap<GuildId, (bool, Instant)>>,
}

/// Who owns the bot, as Discord said when it was asked last.
struct Owners {
    ids: Vec<UserId>,
    asked: Instant,
}

impl Gate {
    /// A gate that these owners pass, as Discord has just said. `configured`: the guilds of the configuration.
    pub fn new(outbox: Outbox, owners: Vec<UserId>, configured: Vec<GuildId>, times: GateTimes) -> Self {
        let owners = Mutex::new(Owners { ids: owners, asked: Instant::now() });
        Self(Arc::new(GateInner { outbox, owners, configured, times, with_owner: Mutex::default() }))
    }

    /// Keeps the owners as they are, for ever.
    pub async fn keep_owners(self) {
        loop {
            sleep(self.0.times.owners_every).await;
            if let Err(error) = self.ask_for_owners().await {
                debug!(%error, "cannot learn who owns the bot");
            }
        }
    }

    /// What is said of the author of something that has just come, in this project or in general.
    pub fn judge(&self, scripts: &ScriptSet, project: Option<&Project>, author: &Author) -> Verdict {
        judge(&self.owners().ids, rule(scripts.allow(), project), author)
    }

    /// The same by this rule.
    pub fn judge_by(&self, rule: &Allow, author: &Author) -> Verdict {
        judge(&self.owners().ids, rule, author)
    }

    /// Whether the person may not, whatever roles they have: all that is said of somebody whose roles are not known.
    pub fn excludes(&self, scripts: &ScriptSet, project: Option<&Project>, person: &Author) -> bool {
        !self.judge(scripts, project, person).admitted() && rule(scripts.allow(), project).roles.is_empty()
    }

    /// Whether what is known of this person without asking is recent enough: only an owner's may not be.
    pub fn is_sure_of(&self, person: UserId) -> bool {
        let owners = self.owners();
        owners.asked.elapsed() < self.0.times.fresh || !owners.ids.contains(&person)
    }

    /// Asks who the owners are, where this person passes as one by an old answer. Whoever waits for a command does not
    /// wait long for it: without an answer the old one counts.
    pub async fn refresh_for(&self, person: UserId) {
        if self.is_sure_of(person) {
            return;
        }
        match timeout(COMMAND_PATIENCE, self.ask_for_owners()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "cannot learn who owns the bot"),
            Err(_) => debug!("no answer in time about who owns the bot"),
        }
    }

    /// Whether the bot does anything in this guild for somebody whom the gate admits so. Discord is asked once in a while
    /// per guild, and for three seconds at most; without an answer the last one counts. `None`: there was none.
    pub async fn serves(&self, scripts: &ScriptSet, guild: GuildId, verdict: Verdict) -> Option<bool> {
        let asked = timeout(GUILD_PATIENCE, self.learn_whether_it_serves(scripts, guild, verdict)).await;
        match asked {
            Ok(Ok(serves)) => return Some(serves),
            Ok(Err(error)) => warn!(%guild, %error, "cannot learn whether an owner is in the guild"),
            Err(_) => warn!(%guild, "no answer in time about whether an owner is in the guild"),
        }
        self.with_owner().get(&guild).map(|(with_owner, _)| *with_owner)
    }

    /// The same, however long Discord takes.
    ///
    /// # Errors
    /// If Discord does not say: then nobody knows, and it is to be asked again.
    pub async fn learn_whether_it_serves(
        &self,
        scripts: &ScriptSet,
        guild: GuildId,
        verdict: Verdict,
    ) -> Result<bool, Refused> {
        let listed = scripts.guilds().or(Some(&self.0.configured[..]).filter(|guilds| !guilds.is_empty()));
        if let Some(listed) = listed {
            return Ok(listed.contains(&guild));
        }
        if verdict == Verdict::Owner {
            return Ok(true);
        }
        let known = self.with_owner().get(&guild).copied();
        if let Some((with_owner, asked)) = known
            && asked.elapsed() < GUILDS_EVERY
        {
            return Ok(with_owner);
        }
        let mut with_owner = false;
        let owners = self.owners().ids.clone();
        for owner in owners {
            with_owner = with_owner || self.0.outbox.is_member(guild, owner).await?;
        }
        self.with_owner().insert(guild, (with_owner, Instant::now()));
        Ok(with_owner)
    }

    /// Whether the person may administer the bot.
    pub fn is_operator(&self, scripts: &ScriptSet, person: UserId) -> bool {
        self.owners().ids.contains(&person) || scripts.operators().contains(&person)
    }

    /// Whether a turn of this person may begin in this channel now, after Discord was asked what only it knows.
    ///
    /// # Errors
    /// If Discord does not say: then nobody knows, and it is to be asked again.
    pub async fn lets_begin(
        &self,
        scripts: &ScriptSet,
        project: &Project,
        channel: ChannelId,
        person: UserId,
    ) -> Result<bool, Refused> {
        // A channel never leaves its guild. Of one that is gone nobody knows where it was.
        let guild = match self.0.outbox.guild_of(channel).await {
            Err(refused) if is_no_word(&refused) => return Err(refused),
            guild => guild.unwrap_or_default(),
        };
        let verdict = self.ask(rule(scripts.allow(), Some(project)), guild, person).await?;
        match guild {
            Some(guild) if verdict.admitted() => self.learn_whether_it_serves(scripts, guild, verdict).await,
            _ => Ok(false),
        }
    }

    /// What is said of this person now, after Discord was asked what only it knows. `guild`: the one whose roles count.
    async fn ask(&self, rule: &Allow, guild: Option<GuildId>, person: UserId) -> Result<Verdict, Refused> {
        if !self.is_sure_of(person) {
            self.ask_for_owners().await?;
        }
        let author = |roles| Author { id: person, name: String::new(), roles, bot: false };
        let judged = |author: Author| judge(&self.owners().ids, rule, &author);
        let verdict = judged(author(Vec::new()));
        let Some(guild) = guild else { return Ok(verdict) };
        if verdict.admitted() || rule.roles.is_empty() {
            return Ok(verdict);
        }
        // Where the person is gone, there are no roles.
        let roles = match self.0.outbox.roles(guild, person).await {
            Err(refused) if is_no_word(&refused) => return Err(refused),
            Err(refused) => {
                debug!(%person, error = %refused, "no roles");
                Vec::new()
            }
            Ok(roles) => roles,
        };
        Ok(judged(author(roles)))
    }

    /// What is said now of the person who did this. What came with it counts while it is fresh.
    ///
    /// # Errors
    /// If Discord does not say: then nobody knows, and nobody is let in.
    pub async fn ask_of(
        &self,
        scripts: &ScriptSet,
        project: Option<&Project>,
        asked: &Interaction,
    ) -> Result<Verdict, Refused> {
        self.ask_by(rule(scripts.allow(), project), asked).await
    }

    /// The same by this rule.
    ///
    /// # Errors
    /// As above.
    pub async fn ask_by(&self, rule: &Allow, asked: &Interaction) -> Result<Verdict, Refused> {
        if asked.received.elapsed() < self.0.times.fresh && self.is_sure_of(asked.author.id) {
            return Ok(judge(&self.owners().ids, rule, &asked.author));
        }
        self.ask(rule, asked.guild_id, asked.author.id).await
    }

    async fn ask_for_owners(&self) -> Result<(), Refused> {
        let ids = self.0.outbox.owners().await?;
        let mut owners = self.owners();
        if owners.ids != ids {
            info!("the owners of the bot have changed");
            self.with_owner().clear();
        }
        *owners = Owners { ids, asked: Instant::now() };
        Ok(())
    }

    fn with_owner(&self) -> MutexGuard<'_, HashMap<GuildId, (bool, Instant)>> {
        self.0.with_owner.lock()
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.0.owners.lock()
    }
}

/// Asks until Discord answers, ever more rarely.
pub async fn until_answered<T, F: Future<Output = Result<T, Refused>>>(what: &str, ask: impl Fn() -> F) -> T {
    let mut wait = ASK_AGAIN;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => warn!(%error, "cannot tell {what}; next try in {wait:?}"),
        }
        sleep(wait).await;
        wait = (wait * 2).min(ASK_AGAIN_AT_MOST);
    }
}

#[cfg(test)]
mod tests;
