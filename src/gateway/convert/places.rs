//! Which guilds, channels, threads and roles there are, and what was missed there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{debug, error, warn};

use super::super::catch_up::{self, Gap};
use super::super::event::{WireChannel, WireGuild, WireRole};
use super::{Answered, CatchingUp, Converter, KnownChannel, KnownRole};
use crate::domain::{ChannelId, GuildId, Inbound, MessageId, Missed};
use crate::logging::chain;
use crate::store;

/// After how long without a word a thread in the archive is forgotten.
const QUIET: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Converter {
    /// A guild is there, for the first time or after nobody has listened for a while.
    pub(super) async fn learn_guild(&mut self, guild: WireGuild) {
        self.roles.retain(|_, role| role.guild != Some(guild.id));
        guild.roles.iter().for_each(|role| self.learn_role(role, Some(guild.id)));
        let places = std::mem::take(&mut self.places);
        let (mut before, elsewhere): (HashMap<_, _>, _) =
            places.into_iter().partition(|(_, place)| place.guild == Some(guild.id));
        self.places = elsewhere;
        let newest = before.values().filter_map(|place| place.last).max();

        let mut missed = Vec::new();
        for channel in guild.channels.iter().chain(&guild.threads) {
            let last = match (before.remove(&channel.id).and_then(|place| place.last), newest) {
                (Some(last), _) => last,
                // It came to be, or the bot came to see it, meanwhile.
                (None, Some(newest)) => newest.max(channel.id.before_all()),
                // What was said in a guild before the bot came there is not for it.
                (None, None) => channel.last_message_id.unwrap_or(channel.id.before_all()),
            };
            self.learn(channel, Some(guild.id));
            if let Some(place) = self.places.get_mut(&channel.id) {
                place.last = Some(last);
            }
            if channel.last_message_id.is_some_and(|newest| newest > last) {
                missed.push((channel.id, channel.last_message_id));
            }
        }
        // Discord names no thread that is in the archive. One that was not may be there now, or be gone.
        let mut gone = Vec::new();
        for (id, place) in before {
            if place.parent.is_none_or(|parent| !self.places.contains_key(&parent)) {
                gone.push(id);
                continue;
            }
            if !place.archived {
                missed.push((id, None));
            }
            self.places.insert(id, place);
        }
        let all: Vec<_> = guild.channels.iter().chain(&guild.threads).map(|channel| channel.id).collect();
        self.write_places(all).await;
        self.forget(gone).await;
        // The longest gap first: whatever ends this bot too soon, the next one reads on elsewhere.
        missed.sort_by_key(|(channel, _)| self.places.get(channel).and_then(|place| place.last));
        for (channel, newest) in missed {
            self.catch_up(channel, guild.id, newest);
        }
    }

    /// Reads what the bot has missed in a channel. What happens there meanwhile waits behind it.
    fn catch_up(&mut self, channel: ChannelId, guild: GuildId, newest: Option<MessageId>) {
        let Some(after) = self.places.get(&channel).and_then(|place| place.last) else { return };
        let gap = Gap {
            outbox: self.outbox.clone(),
            slots: Arc::clone(&self.slots),
            channel,
            guild,
            after,
            me: self.me,
            my_roles: self.roles.iter().filter(|(_, role)| role.mine).map(|(id, _)| *id).collect(),
            everything: self.everything,
        };
        self.runs += 1;
        let (run, answered) = (self.runs, self.answered.clone());
        let task = self.panics.spawn("the catch-up reader", async move {
            // Nobody listens any more when the bot is stopping.
            let hand_over = |page| drop(answered.send(Answered::Missed { channel, run, page }));
            let end = gap.close(hand_over).await;
            drop(answered.send(Answered::CaughtUp { channel, run, end }));
        });
        let queue = self.queues.entry(channel).or_default();
        queue.catching_up = Some(CatchingUp { run, newest, _task: task });
    }

    pub(super) fn missed(&mut self, channel: ChannelId, page: catch_up::Page) {
        for said in page.said {
            let Some(guild) = said.guild_id else { continue };
            let too_old = said.id < page.too_old_before;
            let message = self.message(said, guild);
            drop(self.missed.send(Missed::Message { message: Box::new(message), too_old }));
        }
        if let Some(place) = self.places.get_mut(&channel) {
            place.last = place.last.max(Some(page.up_to));
        }
        let (message, taken_in) = (page.up_to, page.taken_in);
        drop(self.missed.send(Missed::UpTo { channel, message, taken_in }));
    }

    pub(super) async fn caught_up(
        &mut self,
        channel: ChannelId,
        newest: Option<MessageId>,
        end: catch_up::GapEnd,
    ) {
        self.send(Inbound::MissedAll(channel));
        match end {
            catch_up::GapEnd::Closed => {
                if let Some(newest) = newest {
                    self.send(Inbound::Told(channel, newest));
                } else if let Some(place) = self.places.get_mut(&channel) {
                    place.archived = true;
                    self.write_places([channel]).await;
                }
            }
            catch_up::GapEnd::Gone => self.forget(vec![channel]).await,
            catch_up::GapEnd::Refused(refused) => {
                debug!(%channel, "cannot read what was written here meanwhile: {refused}");
            }
        }
    }

    /// Writes that there are these places.
    pub(super) async fn write_places(&self, channels: impl IntoIterator<Item = ChannelId>) {
        let row = |channel| {
            let KnownChannel { guild, name, parent, archived, owner, last, .. } =
                self.places.get(&channel)?;
            let (guild, seen) = ((*guild)?, (*last)?);
            let name = name.clone();
            let (parent, owner, archived) = (*parent, *owner, *archived);
            Some(store::SeenChannel { channel, guild, name, parent, owner, archived, seen })
        };
        let rows: Vec<_> = channels.into_iter().filter_map(row).collect();
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.store.learn_places(rows).await {
            error!(error = chain(&error), "cannot record which channels there are");
        }
    }

    /// These channels and their threads are gone. It is written here, where it is written that there are channels: of one
    /// that goes and comes back the last word counts.
    pub(super) async fn forget(&mut self, mut channels: Vec<ChannelId>) {
        let is_thread = |place: &KnownChannel| place.parent.is_some_and(|parent| channels.contains(&parent));
        let threads: Vec<_> =
            self.places.iter().filter(|(_, place)| is_thread(place)).map(|(id, _)| *id).collect();
        channels.extend(threads);
        if channels.is_empty() {
            return;
        }
        for channel in &channels {
            self.places.remove(channel);
            self.queues.remove(channel);
        }
        if let Err(error) = self.store.lose_places(channels.clone()).await {
            error!(error = chain(&error), "cannot record that channels are gone");
        }
        self.send(Inbound::Gone(channels));
    }

    /// Forgets threads in the archive in which nobody has spoken for 30 days, but for those of which something is kept.
    /// Whoever speaks there makes them known again.
    pub(super) async fn forget_quiet_threads(&mut self) {
        let Some(limit) = SystemTime::now().checked_sub(QUIET).map(MessageId::first_at) else { return };
        let is_quiet = |id: &ChannelId, place: &KnownChannel| {
            let said_long_ago = place.last.is_some_and(|last| last < limit);
            place.parent.is_some() && place.archived && said_long_ago && !self.queues.contains_key(id)
        };
        let quiet: Vec<_> =
            self.places.iter().filter(|(id, place)| is_quiet(id, place)).map(|(id, _)| *id).collect();
        if quiet.is_empty() {
            return;
        }
        match self.store.forget_places(quiet).await {
            Ok(forgotten) => forgotten.iter().for_each(|channel| drop(self.places.remove(channel))),
            Err(error) => warn!(error = chain(&error), "old threads could not be deleted; next try in a day"),
        }
    }

    fn learn(&mut self, channel: &WireChannel, guild: Option<GuildId>) {
        let place = self.places.entry(channel.id).or_default();
        place.guild = guild.or(place.guild);
        place.name.clone_from(&channel.name);
        place.parent = channel.thread_parent();
        place.archived = channel.is_archived();
        place.owner = channel.owner_id.filter(|_| place.parent.is_some()).or(place.owner);
        place.tags.clone_from(&channel.applied_tags);
        place.tag_names =
            channel.available_tags.iter().map(|tag| (tag.id.clone(), tag.name.clone())).collect();
        place.ask_at = None;
    }

    /// Channels are new, or changed.
    pub(super) async fn learn_channels(&mut self, channels: &[WireChannel]) {
        let mut changed = Vec::new();
        for channel in channels {
            let of_guild = |place: &&KnownChannel| place.guild.is_some() && place.guild == channel.guild_id;
            let newest = self.places.values().filter(of_guild).filter_map(|place| place.last).max();
            let before = self.places.get(&channel.id).map(|place| {
                (place.name.clone(), place.parent, place.archived, place.owner, place.last.is_some())
            });
            self.learn(channel, channel.guild_id);
            let Some(place) = self.places.get_mut(&channel.id) else { continue };
            // What comes from now on is told.
            let now = newest.unwrap_or(channel.id.before_all()).max(channel.id.before_all());
            place.last = place.last.or(Some(now));
            if before != Some((place.name.clone(), place.parent, place.archived, place.owner, true)) {
                changed.push(channel.id);
            }
        }
        self.write_places(changed).await;
    }

    pub(super) fn learn_role(&mut self, role: &WireRole, guild: Option<GuildId>) {
        let known = KnownRole { guild, name: role.name.clone(), mine: role.belongs_to(self.me) };
        self.roles.insert(role.id, known);
    }

    /// The bot is in these guilds, and in no others.
    pub(super) async fn forget_guilds(&mut self, there: impl Fn(GuildId) -> bool) {
        let is_gone = |guild: Option<GuildId>| guild.is_some_and(|guild| !there(guild));
        let gone = self.places.iter().filter(|(_, place)| is_gone(place.guild)).map(|(id, _)| *id).collect();
        self.roles.retain(|_, role| !is_gone(role.guild));
        self.forget(gone).await;
    }
}
