//! Who may do what by a command: one person, behind the gate and on the routes as they are at this moment.
//!
//! Every refusal is the sentence that the person is told. Where something failed, the log has been told why.
//!
//! Operators may use every command everywhere, for they have to get at a bot that refuses others. But they start turns only
//! where they are let in like anybody else.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{error, warn};

use crate::domain::{
    Allow, ChannelId, Interaction, Message, MessageId, Project, ProjectName, Route, UserId, Work,
};
use crate::outbox::ChannelInfo;
use crate::script::{ScriptError, ScriptSet};
use crate::text;
use crate::turn::Turns;
use crate::words::command as words;

/// How long to wait for what Discord says about a channel or a person.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the person may do who used a command or pressed a button.
pub struct UserAccess<'a> {
    turns: &'a Turns,
    /// The scripts that are live at this moment.
    pub scripts: ScriptSet,
    asked: &'a Interaction,
}

impl<'a> UserAccess<'a> {
    /// As of now, after the owners were asked for where that matters.
    pub async fn of(turns: &'a Turns, asked: &'a Interaction) -> Self {
        turns.gate.refresh_for(asked.author.id).await;
        Self { turns, scripts: turns.scripts.borrow().clone(), asked }
    }

    /// Whether the person may administer the bot.
    pub fn is_operator(&self) -> bool {
        self.turns.gate.is_operator(&self.scripts, self.asked.author.id)
    }

    /// Whether the person may use commands where this was done.
    pub async fn check_here(&self) -> Result<(), String> {
        match self.may_use_commands_in(self.asked.channel_id).await? {
            true => Ok(()),
            false => Err(words::NOT_LET_IN.to_owned()),
        }
    }

    /// The channel that a command means, if the person may use commands there.
    pub async fn channel(&self, named: Option<ChannelId>) -> Result<ChannelId, String> {
        match named {
            Some(other) if other != self.asked.channel_id => match self.may_use_commands_in(other).await? {
                true => Ok(other),
                false => Err(words::ELSEWHERE.to_owned()),
            },
            // That was checked before the command began.
            _ => Ok(self.asked.channel_id),
        }
    }

    /// The same, and where a message of the person in it would go now.
    pub async fn channel_and_work(
        &self,
        named: Option<ChannelId>,
    ) -> Result<(ChannelId, Option<Work>), String> {
        let there = self.moved_to(named.unwrap_or(self.asked.channel_id)).await?;
        Ok((there.channel_id, self.allowed_work(&there).await?))
    }

    /// The same, and whether the function `route` decides there, so that a message's text may lead elsewhere.
    pub async fn next_work(
        &self,
        named: Option<ChannelId>,
    ) -> Result<(ChannelId, Option<Work>, bool), String> {
        let there = self.moved_to(named.unwrap_or(self.asked.channel_id)).await?;
        let by_route = self.scripts.is_routed_by_function(there.channel_id, there.parent_channel_id);
        Ok((there.channel_id, self.allowed_work(&there).await?, by_route))
    }

    async fn allowed_work(&self, there: &Interaction) -> Result<Option<Work>, String> {
        let work = self.work_of(there).await?;
        let project = work.as_ref().map(|work| &*work.project);
        match self.is_operator() || self.passes_gate(project).await? {
            true => Ok(work),
            false => Err(words::ELSEWHERE.to_owned()),
        }
    }

    /// Whether the person may see what is done in the project of this name. One that is gone has no rule, so it
    /// is the operators' alone.
    pub async fn may_see(&self, project: &ProjectName) -> Result<bool, String> {
        if self.is_operator() {
            return Ok(true);
        }
        match self.scripts.project(project) {
            Some(project) => self.passes_gate(Some(project)).await,
            None => Ok(false),
        }
    }

    /// The same for a turn there. Everybody may see their own.
    pub async fn may_see_turn(&self, author: UserId, project: &ProjectName) -> Result<bool, String> {
        Ok(author == self.asked.author.id || self.may_see(project).await?)
    }

    /// Whether the person may end a turn of this author's in this project: whoever asked for it, its approvers, and operators.
    pub async fn may_stop(&self, author: UserId, project: &ProjectName) -> bool {
        let is_theirs = author == self.asked.author.id || self.is_operator();
        let project = self.scripts.project(project);
        is_theirs || self.approves(project.map(|project| &**project)).await.unwrap_or(false)
    }

    /// Whether the person may answer what Claude asks in a turn of this author's: the author where the project has it so,
    /// its approvers, and the owner. Of a project that is gone nobody else may.
    pub async fn may_answer(&self, author: UserId, project: Option<&Project>) -> Result<bool, String> {
        let approve = project.map(|project| project.approve).unwrap_or_default();
        if approve.lets_answer(author, self.asked.author.id) {
            return Ok(true);
        }
        self.approves(project).await
    }

    /// Whether the person is one of the project's approvers, or the owner.
    async fn approves(&self, project: Option<&Project>) -> Result<bool, String> {
        let nobody = Allow::default();
        let rule = project.map_or(&nobody, |project| &project.approvers);
        let asked = timeout(PATIENCE, self.turns.gate.ask_by(rule, self.asked)).await;
        let Ok(Ok(verdict)) = asked else {
            warn!("a press is refused: Discord does not say who the person is");
            return Err(words::UNKNOWN_PERSON.to_owned());
        };
        Ok(verdict.admitted())
    }

    /// Whether the person may start a turn in this project, as by a message.
    pub async fn check_start(&self, project: &Project) -> Result<(), String> {
        match self.passes_gate(Some(project)).await? {
            true => Ok(()),
            false => Err(words::ELSEWHERE.to_owned()),
        }
    }

    /// What the scripts decide about this message.
    pub async fn route(&self, message: Message) -> Result<Route, String> {
        self.scripts.route(message).await.map_err(|error| self.script_failed(&error))
    }

    /// Whether the person may use commands in this channel.
    async fn may_use_commands_in(&self, channel: ChannelId) -> Result<bool, String> {
        // Without running a script: whoever mends the scripts needs the commands.
        if self.is_operator() {
            return Ok(true);
        }
        let work = self.work_in(channel).await?;
        self.passes_gate(work.as_ref().map(|work| &*work.project)).await
    }

    /// Whether the gate lets the person into the project, or in at all.
    async fn passes_gate(&self, project: Option<&Project>) -> Result<bool, String> {
        let gate = &self.turns.gate;
        let asked = timeout(PATIENCE, gate.ask_of(&self.scripts, project, self.asked)).await;
        let Ok(Ok(verdict)) = asked else {
            warn!("a command is refused: Discord does not say who the person is");
            return Err(words::UNKNOWN_PERSON.to_owned());
        };
        match self.asked.guild_id {
            Some(guild) if verdict.admitted() => {
                Ok(gate.serves(&self.scripts, guild, verdict).await.unwrap_or(false))
            }
            _ => Ok(verdict.admitted()),
        }
    }

    /// Where a message without text, of the person in this channel, would go now.
    async fn work_in(&self, channel: ChannelId) -> Result<Option<Work>, String> {
        self.work_of(&self.moved_to(channel).await?).await
    }

    async fn work_of(&self, there: &Interaction) -> Result<Option<Work>, String> {
        let Some(message) = self.as_message(there, "").await? else { return Ok(None) };
        match self.route(message).await? {
            Route::Turn(work) => Ok(Some(work)),
            _ => Ok(None),
        }
    }

    /// What was done, as if it had been done in this channel.
    async fn moved_to(&self, channel: ChannelId) -> Result<Interaction, String> {
        let asked = self.asked.clone();
        if channel == asked.channel_id {
            return Ok(asked);
        }
        // From outside the guild it is unknown whether the person may see the channel, and which roles they have.
        if asked.guild_id.is_none() && !self.is_operator() {
            return Err(words::ELSEWHERE.to_owned());
        }
        // Only Discord knows whether it is a thread, and whose project it has therefore.
        let found = self.described(channel).await?;
        if found.guild != asked.guild_id && !self.is_operator() {
            return Err(words::ELSEWHERE.to_owned());
        }
        Ok(Interaction {
            channel_id: channel,
            parent_channel_id: found.parent,
            channel_name: found.name,
            guild_id: found.guild,
            ..asked
        })
    }

    /// What Discord says about a channel.
    async fn described(&self, channel: ChannelId) -> Result<ChannelInfo, String> {
        match timeout(PATIENCE, self.turns.outbox.channel(channel)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => {
                warn!(%channel, %error, "a command is refused: Discord does not describe the channel");
            }
            Err(_) => {
                warn!(%channel, "a command is refused: Discord does not describe the channel in time");
            }
        }
        Err(words::UNKNOWN_CHANNEL.to_owned())
    }

    /// This text as if the person had written it where this was done; none in direct messages. For `route` it has all that a
    /// message there would have.
    pub async fn as_message(&self, there: &Interaction, text: &str) -> Result<Option<Message>, String> {
        let (Some(id), Some(guild_id)) = (MessageId::new(there.id.get()), there.guild_id) else {
            return Ok(None);
        };
        let (channel, parent) = (there.channel_id, there.parent_channel_id);
        let (mut channel_tags, mut in_own_thread) = (Vec::new(), false);
        if let Some(parent) = parent
            && self.scripts.is_routed_by_function(channel, Some(parent))
        {
            let thread = self.described(channel).await?;
            in_own_thread = self.turns.message_content && thread.owner == Some(self.turns.me);
            if !thread.tags.is_empty() {
                let forum = self.described(parent).await?;
                channel_tags =
                    thread.tags.iter().filter_map(|tag| forum.tag_names.get(tag).cloned()).collect();
            }
        }
        Ok(Some(Message {
            id,
            channel_id: channel,
            parent_channel_id: parent,
            channel_name: there.channel_name.clone(),
            channel_tags,
            in_own_thread,
            guild_id,
            author: there.author.clone(),
            text: text.to_owned(),
            raw_text: text.to_owned(),
            mentions_me: true,
            attachments: Vec::new(),
            reply_to: None,
            quoted: None,
            extras: Vec::new(),
        }))
    }

    fn script_failed(&self, error: &ScriptError) -> String {
        error!(%error, traceback = error.traceback(), "a script failed");
        self.turns.tell_operators_of_script(error);
        text::with_id(error.sentence(), &self.asked.id.short())
    }
}
