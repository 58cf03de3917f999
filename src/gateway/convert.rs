//! Events → [`Inbound`], one after the other, with a small map of channels and roles to name things by.
//!
//! What happens in a channel of which no event has told, such as an old thread, waits until Discord has been asked about
//! it: its parent decides who may do what there, so without it there is no route. Those behind it in the same channel
//! wait with it, because the order in which Discord tells things is the order in which they happened; other channels do
//! not wait.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serenity::model::Timestamp;
use serenity::model::event::Event;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::event::{self, Channel, Guild, Member, Person, Role, Said, Seen};
use super::text::{Mention, Reading, first_name, named, readable};
use crate::domain::{Attachment, Author, ChannelId, GuildId, Inbound, Message, MessageId, RoleId, UserId};
use crate::outbox::{ChannelInfo, Kind, Notify, Outbox, Post, Refused};

/// When to ask again about a channel that Discord refuses to tell about.
const LOOKUP_AGAIN: Duration = Duration::from_secs(60);
/// The wait before a question is asked again that Discord has not answered within the outbox's patience.
const UNANSWERED: Duration = Duration::from_secs(5);
/// How long events wait while the messages of an outage are fetched.
const BACKFILL: Duration = Duration::from_secs(60);
/// What was said longer ago is not answered any more.
const TOO_OLD: Duration = Duration::from_secs(2 * 3600);
/// When somebody is told again that the bot takes no direct messages, and how many people are told in that time.
const TURN_AWAY_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_TURNED_AWAY: usize = 1000;
const SERVERS_ONLY: &str = "I take no direct messages. Mention me in a channel of a server where I work.";
/// The most messages that Discord gives per call, and how many such calls an outage is worth per channel.
const PAGE: usize = 100;
const PAGES: usize = 3;

/// The one task that reads events.
pub(super) struct Converter {
    me: UserId,
    outbox: Outbox,
    inbound: mpsc::UnboundedSender<Inbound>,
    /// Told once, by the first READY.
    ready: Option<oneshot::Sender<()>>,
    guilds: HashSet<GuildId>,
    places: HashMap<ChannelId, Place>,
    roles: HashMap<RoleId, KnownRole>,
    /// The channels in which events wait.
    queues: HashMap<ChannelId, Queue>,
    /// What was asked of Discord, and is answered.
    answered: mpsc::UnboundedSender<Answered>,
    answers: mpsc::UnboundedReceiver<Answered>,
    /// When the authors of direct messages were told that nobody listens there.
    turned_away: HashMap<UserId, Instant>,
    /// Kinds of events that could not be read and have been complained about.
    complained: HashSet<String>,
}

/// What waits in one channel.
struct Queue {
    events: VecDeque<Seen>,
    /// The question about the channel.
    _asks: AbortOnDropHandle<()>,
}

/// Discord's answer about a channel.
struct Answered(ChannelId, Result<ChannelInfo, Refused>);

/// A channel or a thread.
#[derive(Debug, Default)]
struct Place {
    guild: Option<GuildId>,
    name: String,
    parent: Option<ChannelId>,
    /// The newest message that is known to stand here.
    last: Option<MessageId>,
    /// Of a channel that no event has told of: when to ask Discord about it.
    ask_at: Option<Instant>,
}

#[derive(Debug)]
struct KnownRole {
    guild: Option<GuildId>,
    name: String,
    mine: bool,
}

impl Converter {
    pub(super) fn new(
        me: UserId,
        outbox: Outbox,
        inbound: mpsc::UnboundedSender<Inbound>,
        ready: oneshot::Sender<()>,
    ) -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        Self {
            me,
            outbox,
            inbound,
            ready: Some(ready),
            guilds: HashSet::new(),
            places: HashMap::new(),
            roles: HashMap::new(),
            queues: HashMap::new(),
            answered,
            answers,
            turned_away: HashMap::new(),
            complained: HashSet::new(),
        }
    }

    /// Reads events until nobody sends any more.
    pub(super) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Box<Event>>) {
        loop {
            tokio::select! {
                // The sender lives as long as we do.
                Some(answered) = self.answers.recv() => self.answered(answered).await,
                event = events.recv() => match event {
                    Some(event) => self.read(&event).await,
                    None => return,
                },
            }
        }
    }

    async fn read(&mut self, event: &Event) {
        match event::read(event) {
            Ok(Some(seen)) => self.take(seen).await,
            Ok(None) => {}
            Err((name, error)) => {
                if self.complained.insert(name.clone()) {
                    warn!("Discord sends {name} in a form that is not understood: {error}");
                }
            }
        }
    }

    /// Lets an event happen, or wait behind others of its channel.
    async fn take(&mut self, seen: Seen) {
        match seen.in_channel() {
            Some(channel) if self.waits(channel, &seen) => {
                let queue = self.queues.entry(channel).or_insert_with(|| Queue {
                    events: VecDeque::new(),
                    _asks: ask_about(channel, self.outbox.clone(), self.answered.clone()),
                });
                queue.events.push_back(seen);
            }
            _ => self.happen(seen).await,
        }
    }

    /// Whether an event of this channel has to wait.
    fn waits(&self, channel: ChannelId, seen: &Seen) -> bool {
        if self.queues.contains_key(&channel) {
            return true;
        }
        // A bot's message starts nothing, so it is not worth a question.
        let (Seen::Said(said) | Seen::Edited(said)) = seen else { return false };
        if said.guild_id.is_none() || !said.is_speech() || said.is_bots() {
            return false;
        }
        let is_due = |place: &Place| place.ask_at.is_some_and(|at| at <= Instant::now());
        self.places.get(&channel).is_none_or(is_due)
    }

    /// Lets happen what has waited for the answer.
    async fn answered(&mut self, Answered(channel, answer): Answered) {
        let Some(queue) = self.queues.remove(&channel) else { return };
        let last = self.places.get(&channel).and_then(|place| place.last);
        // An event may have told of it meanwhile.
        let is_known = self.places.get(&channel).is_some_and(|place| place.ask_at.is_none());
        let place = match answer {
            _ if is_known => None,
            Ok(ChannelInfo { name, parent, guild }) => {
                Some(Place { guild, name, parent, last, ask_at: None })
            }
            Err(refused) => {
                warn!(%channel, "nothing is taken in: Discord does not tell what channel this is: {refused}");
                Some(Place { last, ask_at: Some(Instant::now() + LOOKUP_AGAIN), ..Place::default() })
            }
        };
        self.places.extend(place.map(|place| (channel, place)));
        for seen in queue.events {
            self.happen(seen).await;
        }
    }

    async fn happen(&mut self, seen: Seen) {
        let changed = matches!(
            seen,
            Seen::Guild(_) | Seen::Channels(_) | Seen::Role(_) | Seen::RoleGone { .. } | Seen::Resumed
        );
        if changed {
            self.send(Inbound::Changed);
        }
        match seen {
            Seen::Ready => match self.ready.take() {
                Some(ready) => {
                    info!("connected to Discord");
                    // Nobody waits any more if the start was given up.
                    let _ = ready.send(());
                }
                None => info!("connected to Discord anew"),
            },
            Seen::Resumed => info!("the connection to Discord was lost and is resumed"),
            Seen::Guild(guild) => self.learn_guild(guild).await,
            Seen::GuildGone { id } => self.forget_guild(id),
            Seen::Channels(channels) => {
                channels.iter().for_each(|channel| self.learn(channel, channel.guild_id))
            }
            Seen::ChannelGone { id } => {
                self.places.remove(&id);
                self.queues.remove(&id);
            }
            Seen::Role(role) => self.learn_role(&role, role.guild_id),
            Seen::RoleGone { id } => drop(self.roles.remove(&id)),
            Seen::Said(said) if said.guild_id.is_none() => self.turn_away(&said),
            Seen::Said(said) => self.hear(*said, Inbound::Message),
            Seen::Edited(said) => self.hear(*said, Inbound::Edited),
            Seen::Deleted { ids, .. } => self.send(Inbound::Deleted(ids)),
        }
    }

    fn send(&self, inbound: Inbound) {
        // Nobody listens any more when the bot is stopping.
        drop(self.inbound.send(inbound));
    }

    /// Direct messages start nothing. Their author is told so, once a day; strangers in great number are not.
    fn turn_away(&mut self, said: &Said) {
        if !said.is_speech() || said.is_bots() || said.author.id == self.me {
            return;
        }
        self.turned_away.retain(|_, told| told.elapsed() < TURN_AWAY_AGAIN);
        if self.turned_away.len() >= MOST_TURNED_AWAY || self.turned_away.contains_key(&said.author.id) {
            return;
        }
        self.turned_away.insert(said.author.id, Instant::now());
        info!(user = %said.author.id, "a direct message is turned away");
        let (outbox, channel) = (self.outbox.clone(), said.channel_id);
        let post = Post {
            content: SERVERS_ONLY.to_owned(),
            nonce: format!("dm-{}", said.id),
            reply_to: None,
            notify: Notify::Nobody,
            file: None,
        };
        tokio::spawn(async move {
            if let Err(refused) = outbox.post(channel, post).await {
                debug!(%channel, "a direct message is not answered: {refused}");
            }
        });
    }

    fn hear(&mut self, said: Said, as_what: fn(Message) -> Inbound) {
        let Some(guild) = said.guild_id else { return };
        let place = self.places.entry(said.channel_id).or_insert_with(Place::unknown);
        place.last = place.last.max(Some(said.id));
        if !said.is_speech() || said.author.id == self.me {
            return;
        }
        // Without its parent nobody knows who may do what here.
        if place.ask_at.is_some() && !said.is_bots() {
            return info!(channel = %said.channel_id, "a message in an unknown channel is not taken in");
        }
        let message = self.message(said, guild);
        self.send(as_what(message));
    }

    fn message(&self, said: Said, guild: GuildId) -> Message {
        let my_role = |id: &RoleId| self.roles.get(id).is_some_and(|role| role.mine);
        let mentions_me =
            said.mentions.iter().any(|user| user.id == self.me) || said.mention_roles.iter().any(my_role);
        let text = readable(&said.content, |mention| match mention {
            Mention::User(id) if id == self.me => Reading::Me,
            Mention::Role(id) if my_role(&id) => Reading::Me,
            Mention::User(id) => {
                let user = said.mentions.iter().find(|user| user.id == id);
                user.map_or(Reading::Unknown, |user| named('@', &shown_name(user, user.member.as_ref())))
            }
            Mention::Role(id) => self
                .roles
                .get(&id)
                .filter(|role| role.guild == Some(guild))
                .map_or(Reading::Unknown, |role| named('@', role.name.trim_start_matches('@'))),
            Mention::Channel(id) => {
                // Of another guild the author may not know it.
                let place = self.places.get(&id).filter(|place| place.guild == Some(guild));
                place.map_or(Reading::Unknown, |place| named('#', &place.name))
            }
        });
        let place = self.places.get(&said.channel_id);
        let bot = said.is_bots();
        let extra = said.extra();
        let files = said.attachments.into_iter().map(|file| Attachment {
            name: file.filename,
            size: file.size,
            content_type: file.content_type,
            url: file.url,
        });
        Message {
            id: said.id,
            channel_id: said.channel_id,
            parent_channel_id: place.and_then(|place| place.parent),
            channel_name: place.map(|place| place.name.clone()).unwrap_or_default(),
            guild_id: guild,
            author: Author {
                id: said.author.id,
                name: shown_name(&said.author, said.member.as_ref()),
                roles: said.member.map(|member| member.roles).unwrap_or_default(),
                bot,
            },
            text,
            raw_text: said.content,
            mentions_me,
            attachments: files.collect(),
            extra,
        }
    }

    async fn learn_guild(&mut self, guild: Guild) {
        let known = !self.guilds.insert(guild.id);
        let newest = self.places.values().filter(|place| place.guild == Some(guild.id));
        let newest = newest.filter_map(|place| place.last).max();
        let mut missed = Vec::new();
        if known {
            for channel in guild.channels.iter().chain(&guild.threads) {
                let seen = self.places.get(&channel.id).and_then(|place| place.last).or(newest);
                if let (Some(seen), Some(last)) = (seen, channel.last_message_id)
                    && last > seen
                {
                    missed.push((channel.id, seen));
                }
            }
        }
        let mut before = std::mem::take(&mut self.places);
        let (here, elsewhere): (HashMap<_, _>, _) =
            before.drain().partition(|(_, place)| place.guild == Some(guild.id));
        self.places = elsewhere;
        for channel in guild.channels.iter().chain(&guild.threads) {
            self.learn(channel, Some(guild.id));
            if let Some(place) = self.places.get_mut(&channel.id) {
                let last = here.get(&channel.id).and_then(|place| place.last);
                place.last = place.last.max(last).max(channel.last_message_id);
            }
        }
        self.roles.retain(|_, role| role.guild != Some(guild.id));
        guild.roles.iter().for_each(|role| self.learn_role(role, Some(guild.id)));
        if missed.is_empty() {
            return;
        }
        if timeout(BACKFILL, self.backfill(guild.id, missed)).await.is_err() {
            warn!("Discord is too slow: not everything that was said during the outage could be fetched");
        }
    }

    fn learn(&mut self, channel: &Channel, guild: Option<GuildId>) {
        let place = self.places.entry(channel.id).or_default();
        place.guild = guild.or(place.guild);
        place.name.clone_from(&channel.name);
        place.parent = channel.thread_parent();
        place.ask_at = None;
    }

    fn learn_role(&mut self, role: &Role, guild: Option<GuildId>) {
        let known = KnownRole { guild, name: role.name.clone(), mine: role.belongs_to(self.me) };
        self.roles.insert(role.id, known);
    }

    fn forget_guild(&mut self, guild: GuildId) {
        self.guilds.remove(&guild);
        self.places.retain(|_, place| place.guild != Some(guild));
        self.roles.retain(|_, role| role.guild != Some(guild));
    }

    /// Fetches what was said while nobody listened: a new gateway session, unlike a resumed one, tells nothing of
    /// it. A message that is told a second time does no harm downstream: its id is the key.
    async fn backfill(&mut self, guild: GuildId, missed: Vec<(ChannelId, MessageId)>) {
        let mut members: HashMap<UserId, Member> = HashMap::new();
        let mut count = 0;
        for (channel, mut after) in missed {
            for _ in 0..PAGES {
                let path = format!("/channels/{channel}/messages?after={after}&limit={PAGE}");
                let page: Vec<Said> = match self.outbox.get(Kind::History, channel.get(), path).await {
                    Ok(page) => page,
                    Err(refused) => {
                        debug!(%channel, "what was said during the outage cannot be fetched: {refused}");
                        break;
                    }
                };
                let full = page.len() == PAGE;
                let mut page: Vec<Said> = page.into_iter().filter(|said| said.id > after).collect();
                page.sort_by_key(|said| said.id);
                let Some(last) = page.last() else { break };
                after = last.id;
                for mut said in page {
                    if said.is_bots() || !said.is_speech() || is_too_old(&said) {
                        continue;
                    }
                    // Over REST a message does not tell the roles of its author, and they may let her in.
                    said.member = Some(self.member(guild, said.author.id, &mut members).await);
                    said.guild_id = Some(guild);
                    count += 1;
                    self.hear(said, Inbound::Message);
                }
                if !full {
                    break;
                }
            }
        }
        info!("{count} messages were said during the outage");
    }

    async fn member(&self, guild: GuildId, user: UserId, known: &mut HashMap<UserId, Member>) -> Member {
        if let Some(member) = known.get(&user) {
            return member.clone();
        }
        let path = format!("/guilds/{guild}/members/{user}");
        let member = self.outbox.get(Kind::Member, guild.get(), path).await.unwrap_or_else(|refused| {
            debug!(%user, "roles unknown: {refused}");
            Member::default()
        });
        known.insert(user, member.clone());
        member
    }
}

impl Place {
    fn unknown() -> Self {
        Self { ask_at: Some(Instant::now()), ..Self::default() }
    }
}

/// Asks Discord about a channel until it answers.
fn ask_about(
    channel: ChannelId,
    outbox: Outbox,
    answered: mpsc::UnboundedSender<Answered>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let answer = loop {
            match outbox.channel(channel).await {
                Err(Refused::GaveUp { .. } | Refused::Token) => sleep(UNANSWERED).await,
                answer => break answer,
            }
        };
        // Nobody listens any more when the bot is stopping.
        drop(answered.send(Answered(channel, answer)));
    }))
}

/// The name that people see: the one for this guild, else the one for all of Discord, else the account's.
pub(super) fn shown_name(user: &Person, member: Option<&Member>) -> String {
    let nick = member.and_then(|member| member.nick.as_deref());
    first_name([nick, user.global_name.as_deref(), Some(&user.username)]).into_owned()
}

fn is_too_old(said: &Said) -> bool {
    let time = said.timestamp.as_deref().and_then(|time| Timestamp::parse(time).ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    time.is_some_and(|time| time.unix_timestamp().saturating_add(TOO_OLD.as_secs() as i64) < now as i64)
}
