//! Reads what was written in a channel while the bot was not connected.
//!
//! # Theory of operation
//! A new session with Discord, after a start or an outage, brings no events from before it. But it announces each
//! guild, with the last message of every channel. Where that is newer than what the bot has seen there, a task of its
//! own reads the channel's history from there on and hands over what people wrote, oldest first ([`Gap::close`]). What
//! happens in the channel meanwhile waits behind it, and in no other channel.
//!
//! **Nothing is skipped.** How far the bot has read is in the store, channel by channel, and advances only once
//! everything before it is taken in. So a crash halfway, or a Discord that does not answer, means that the rest is read
//! later. A message that is read twice does no harm: its id is the key.
//!
//! **What the bot has replied to is not taken in.** Most of it is in the store anyway; but a message that the store could not
//! take was refused, and its person told to ask again. Only the channel itself knows of that.
//!
//! **No channel holds up another.** Each task retries for ever if Discord fails. It holds one of a few slots only while
//! it asks, so that hundreds of channels do not get in the way of new messages.
//!
//! **Age goes by Discord's clock.** A message's id says when it was written, and each answer over REST says what time it
//! is there. Of what is too old only the last page is read: enough to know that somebody is to hear of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;
use tracing::{info, warn};

use super::event::WireMessage;
use super::person::WireMember;
use crate::domain::{ChannelId, GuildId, MessageId, RoleId, UserId};
use crate::outbox::{CallKind, Outbox, Refused};

/// Messages older than this are not answered.
const TOO_OLD: Duration = Duration::from_secs(2 * 3600);
/// The most messages that Discord gives per call.
const PAGE: usize = 100;
/// How many channels ask at the same time.
const SLOTS: usize = 4;
/// How long one call is tried while it holds a slot.
const ONE_TRY: Duration = Duration::from_secs(2);
/// The wait before a call that failed is tried again; it doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The slots for all gaps of a gateway.
pub(super) fn slots() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SLOTS))
}

/// A part of a channel's history that has not been read.
pub(super) struct Gap {
    pub(super) outbox: Outbox,
    pub(super) slots: Arc<Semaphore>,
    pub(super) channel: ChannelId,
    pub(super) guild: GuildId,
    /// Everything up to here has been read.
    pub(super) after: MessageId,
    pub(super) me: UserId,
    /// The bot's own roles: mentioning one is mentioning the bot.
    pub(super) my_roles: Vec<RoleId>,
    /// Whether what does not mention the bot counts too.
    pub(super) everything: bool,
}

/// What people have said, oldest first.
pub(super) struct Page {
    pub(super) said: Vec<WireMessage>,
    /// What came before this is too old.
    pub(super) too_old_before: MessageId,
    /// All up to here is in it, or does not count.
    pub(super) up_to: MessageId,
    /// Hears when it is taken in.
    pub(super) taken_in: oneshot::Sender<()>,
}

/// How a gap ended.
#[derive(Debug)]
pub(super) enum GapEnd {
    /// All of it was handed over.
    Closed,
    /// The channel is not there any more.
    Gone,
    /// Discord does not let the bot read it.
    Refused(Refused),
}

impl Gap {
    /// Reads the gap and hands it over, each page once the one before is taken in.
    pub(super) async fn close(self, hand_over: impl FnMut(Page)) -> GapEnd {
        match self.read(hand_over).await {
            Ok(()) => GapEnd::Closed,
            Err(refused) if refused.is_of_what_is_gone() => GapEnd::Gone,
            Err(refused) => GapEnd::Refused(refused),
        }
    }

    async fn read(&self, mut hand_over: impl FnMut(Page)) -> Result<(), Refused> {
        let mut members = HashMap::new();
        let (mut after, mut count) = (self.after, 0);
        loop {
            let page = self.page(&format!("after={after}")).await?;
            let is_last = page.len() < PAGE;
            let limit = MessageId::first_at(self.outbox.time_there() - TOO_OLD);
            let Some(up_to) = page.iter().map(|said| said.id).max() else { break };
            count += self.hand_over(page, after, up_to, limit, &mut members, &mut hand_over).await?;
            after = up_to;
            if is_last {
                break;
            }
            if after < limit {
                let page = self.page(&format!("before={limit}")).await?;
                count += self.hand_over(page, after, limit, limit, &mut members, &mut hand_over).await?;
                after = limit;
            }
        }
        if count > 0 {
            info!(channel = %self.channel, count, "messages were written here while the bot was not connected");
        }
        Ok(())
    }

    /// Hands over what counts of a page after `after`, and says how much that is.
    async fn hand_over(
        &self,
        page: Vec<WireMessage>,
        after: MessageId,
        up_to: MessageId,
        too_old_before: MessageId,
        members: &mut HashMap<UserId, WireMember>,
        hand_over: &mut impl FnMut(Page),
    ) -> Result<usize, Refused> {
        let own = page.iter().filter(|said| said.author.id == self.me);
        let replied_to: HashSet<_> = own.filter_map(WireMessage::replies_to).collect();
        let is_missed =
            |said: &WireMessage| said.id > after && self.counts(said) && !replied_to.contains(&said.id);
        let mut said: Vec<WireMessage> = page.into_iter().filter(is_missed).collect();
        said.sort_by_key(|said| said.id);
        for one in &mut said {
            one.guild_id = Some(self.guild);
            // A message read over REST lacks its author's roles, which may give them access.
            one.member = Some(self.member(one.author.id, members).await?);
        }
        let count = said.len();
        let (taken_in, is_taken_in) = oneshot::channel();
        hand_over(Page { said, too_old_before, up_to, taken_in });
        // Nobody answers when the bot is stopping, and this task ends with it.
        drop(is_taken_in.await);
        Ok(count)
    }

    fn counts(&self, said: &WireMessage) -> bool {
        let means_me = || {
            said.mentions.iter().any(|user| user.id == self.me)
                || said.mention_roles.iter().any(|role| self.my_roles.contains(role))
        };
        said.is_speech() && !said.is_bots() && said.author.id != self.me && (self.everything || means_me())
    }

    async fn page(&self, which: &str) -> Result<Vec<WireMessage>, Refused> {
        let path = format!("/channels/{}/messages?{which}&limit={PAGE}", self.channel);
        self.ask(CallKind::History, self.channel.get(), path).await
    }

    async fn member(
        &self,
        user: UserId,
        known: &mut HashMap<UserId, WireMember>,
    ) -> Result<WireMember, Refused> {
        if let Some(member) = known.get(&user) {
            return Ok(member.clone());
        }
        let member =
            or_left(self.ask(CallKind::Member, self.guild.get(), member_path(self.guild, user)).await)?;
        known.insert(user, member.clone());
        Ok(member)
    }

    /// Asks until Discord answers.
    async fn ask<T: DeserializeOwned>(&self, kind: CallKind, place: u64, path: String) -> Result<T, Refused> {
        let mut wait = FIRST_WAIT;
        loop {
            let slot = self.slots.acquire().await;
            let answer = self.outbox.get_within(kind, place, path.clone(), ONE_TRY).await;
            drop(slot);
            match answer {
                Err(refused @ (Refused::GaveUp { .. } | Refused::Token)) => {
                    warn!(channel = %self.channel, "cannot read yet what was written here: {refused}; next try in {wait:?}");
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                answer => return answer,
            }
        }
    }
}

/// Where Discord tells of a member.
pub(super) fn member_path(guild: GuildId, user: UserId) -> String {
    format!("/guilds/{guild}/members/{user}")
}

/// Somebody who has left the guild has no roles there.
pub(super) fn or_left(answer: Result<WireMember, Refused>) -> Result<WireMember, Refused> {
    match answer {
        Err(Refused::NotFound { .. }) => Ok(WireMember::default()),
        answer => answer,
    }
}
