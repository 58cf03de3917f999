//! Events → [`Inbound`], one after the other, with a small map of channels and roles to name things by.
//!
//! Events in a channel that no event has announced, such as an old thread, wait until Discord has been asked about it:
//! its parent decides who may do what there, so without it there is no route. Those behind it in the same channel
//! wait with it, because the order in which Discord tells things is the order in which they happened; other channels do
//! not wait.

mod places;
mod reread;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serenity::model::event::Event;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, interval, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::catch_up;
use super::event::{self, TagId, WireEvent, WireMessage};
use super::person::{Person, WireMember};
use super::quote::{WireQuote, attachments};
use super::text::{Mention, Reading, first_name, named, readable};
use crate::domain::{
    Author, ChannelId, GuildId, Inbound, Message, MessageId, Missed, QuoteOrigin, Quoted, Reread, RoleId,
    UserId,
};
use crate::outbox::{ChannelInfo, Notify, Outbox, Post, Refused};
use crate::panics::Panics;
use crate::store::{self, Store};
use crate::words;

/// When to ask again about a channel that Discord refuses to tell about.
const LOOKUP_AGAIN: Duration = Duration::from_secs(60);
/// The wait before a question is repeated that Discord has not answered within the outbox's patience.
const UNANSWERED: Duration = Duration::from_secs(5);
/// How often idle threads are forgotten; at the start, too.
const FORGET_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// When somebody is told again that the bot takes no direct messages, and how many people are told in that time.
const TURN_AWAY_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_TURNED_AWAY: usize = 1000;

/// The one task that reads events.
pub(super) struct Converter {
    me: UserId,
    outbox: Outbox,
    inbound: mpsc::UnboundedSender<Inbound>,
    missed: mpsc::UnboundedSender<Missed>,
    /// Told once, by the first READY.
    ready: Option<oneshot::Sender<()>>,
    store: Store,
    /// Whether messages that do not mention the bot may be for it.
    everything: bool,
    places: HashMap<ChannelId, KnownChannel>,
    roles: HashMap<RoleId, KnownRole>,
    /// The channels with waiting events.
    queues: HashMap<ChannelId, Queue>,
    /// Answers to what Discord was asked.
    answered: mpsc::UnboundedSender<Answered>,
    answers: mpsc::UnboundedReceiver<Answered>,
    /// Which messages are to be read again.
    rereads: mpsc::UnboundedReceiver<Reread>,
    /// When the authors of direct messages were told that the bot does not take any.
    turned_away: HashMap<UserId, Instant>,
    slots: Arc<Semaphore>,
    /// How many catch-ups have begun.
    runs: u64,
    /// A channel waits for each task that asks about it.
    panics: Panics,
    /// Kinds of events that could not be read and have been complained about.
    complained: HashSet<String>,
}

/// What waits in one channel, and for what.
#[derive(Default)]
struct Queue {
    events: VecDeque<WireEvent>,
    looking_up: Option<AbortOnDropHandle<()>>,
    catching_up: Option<CatchingUp>,
}

struct CatchingUp {
    run: u64,
    /// The newest message there when it began; `None` in a thread that Discord did not name.
    newest: Option<MessageId>,
    _task: AbortOnDropHandle<()>,
}

/// Something that was asked of Discord.
enum Answered {
    LookedUp(ChannelId, Result<ChannelInfo, Refused>),
    Missed { channel: ChannelId, run: u64, page: catch_up::Page },
    CaughtUp { channel: ChannelId, run: u64, end: catch_up::GapEnd },
    Reread { request: Reread, said: Box<WireMessage>, guild: GuildId },
}

/// A channel or a thread.
#[derive(Debug, Default)]
struct KnownChannel {
    guild: Option<GuildId>,
    name: String,
    parent: Option<ChannelId>,
    archived: bool,
    /// Who has opened a thread, if Discord has told.
    owner: Option<UserId>,
    /// The tags of a forum's post, by id.
    tags: Vec<TagId>,
    /// The names of the tags that a forum has.
    tag_names: HashMap<TagId, String>,
    /// Messages up to this one have been read.
    last: Option<MessageId>,
    /// For a channel that no event has announced: when to ask Discord about it.
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
        (me, everything): (UserId, bool),
        outbox: Outbox,
        (store, known): (Store, Vec<store::SeenChannel>),
        (inbound, missed): (mpsc::UnboundedSender<Inbound>, mpsc::UnboundedSender<Missed>),
        rereads: mpsc::UnboundedReceiver<Reread>,
        ready: oneshot::Sender<()>,
        panics: Panics,
    ) -> Self {
        let known = known.into_iter().map(|place| (place.channel, KnownChannel::known(&place))).collect();
        let (answered, answers) = mpsc::unbounded_channel();
        Self {
            me,
            outbox,
            inbound,
            missed,
            ready: Some(ready),
            store,
            everything,
            places: known,
            roles: HashMap::new(),
            queues: HashMap::new(),
            answered,
            answers,
            rereads,
            turned_away: HashMap::new(),
            slots: catch_up::slots(),
            runs: 0,
            panics,
            complained: HashSet::new(),
        }
    }

    /// Reads events until nobody sends any more.
    pub(super) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Box<Event>>) {
        let mut days = interval(FORGET_EVERY);
        loop {
            tokio::select! {
                _ = days.tick() => self.forget_quiet_threads().await,
                // The sender lives as long as we do.
                Some(answered) = self.answers.recv() => self.answered(answered).await,
                Some(reread) = self.rereads.recv() => self.handle_event(WireEvent::Reread(reread)).await,
                event = events.recv() => match event {
                    Some(event) => self.read(&event).await,
                    None => return,
                },
            }
        }
    }

    async fn read(&mut self, event: &Event) {
        match event::read(event) {
            Ok(Some(seen)) => self.handle_event(seen).await,
            Ok(None) => {}
            Err((name, error)) => {
                if self.complained.insert(name.clone()) {
                    warn!("cannot decode {name} from Discord: {error}");
                }
            }
        }
    }

    /// Handles an event, or queues it behind others of its channel.
    async fn handle_event(&mut self, seen: WireEvent) {
        match seen.in_channel() {
            Some(channel) if self.waits(channel, &seen) => {
                let queue = self.queues.entry(channel).or_insert_with(|| Queue {
                    looking_up: Some(self.panics.spawn(
                        "the channel lookup",
                        ask_about(channel, self.outbox.clone(), self.answered.clone()),
                    )),
                    ..Queue::default()
                });
                queue.events.push_back(seen);
            }
            _ => self.happen(seen).await,
        }
    }

    /// Whether an event of this channel has to wait.
    fn waits(&self, channel: ChannelId, seen: &WireEvent) -> bool {
        if self.queues.contains_key(&channel) {
            return true;
        }
        match seen {
            // A bot's message starts nothing, so it is not worth a call.
            WireEvent::Said(said) | WireEvent::Edited(said) => {
                if said.guild_id.is_none() || !said.is_speech() || said.is_bots() {
                    return false;
                }
            }
            WireEvent::Reread(_) => {}
            _ => return false,
        }
        let is_due = |place: &KnownChannel| place.ask_at.is_some_and(|at| at <= Instant::now());
        self.places.get(&channel).is_none_or(is_due)
    }

    /// Takes an answer, and handles what has waited for it.
    async fn answered(&mut self, answered: Answered) {
        let is_it = |queue: &mut Queue, run| queue.catching_up.as_ref().is_some_and(|it| it.run == run);
        let channel = match answered {
            Answered::LookedUp(channel, answer) => {
                let Some(queue) = self.queues.get_mut(&channel) else { return };
                queue.looking_up = None;
                self.looked_up(channel, answer).await;
                channel
            }
            Answered::Missed { channel, run, page } => {
                if self.queues.get_mut(&channel).is_some_and(|queue| is_it(queue, run)) {
                    self.missed(channel, page);
                }
                return;
            }
            Answered::CaughtUp { channel, run, end } => {
                let Some(queue) = self.queues.get_mut(&channel) else { return };
                let Some(catching_up) = queue.catching_up.take_if(|it| it.run == run) else { return };
                self.caught_up(channel, catching_up.newest, end).await;
                channel
            }
            Answered::Reread { request, said, guild } => {
                return self.reread_answered(request, *said, guild);
            }
        };
        let is_free = |queue: &Queue| queue.looking_up.is_none() && queue.catching_up.is_none();
        if self.queues.get(&channel).is_some_and(is_free)
            && let Some(queue) = self.queues.remove(&channel)
        {
            for seen in queue.events {
                self.handle_event(seen).await;
            }
        }
    }

    async fn looked_up(&mut self, channel: ChannelId, answer: Result<ChannelInfo, Refused>) {
        let last = self.places.get(&channel).and_then(|place| place.last);
        // An event may have told of it meanwhile.
        let is_known = self.places.get(&channel).is_some_and(|place| place.ask_at.is_none());
        let place = match answer {
            _ if is_known => None,
            Ok(ChannelInfo { name, parent, guild, owner, tags, tag_names }) => {
                // It is asked about before the first thing that was said there since is heard.
                let first = self.queues.get(&channel).and_then(Queue::first);
                let last = last.or(first.and_then(|id| MessageId::new(id.get() - 1)));
                let known = KnownChannel {
                    guild,
                    name,
                    parent,
                    owner,
                    tags,
                    tag_names,
                    last,
                    ..KnownChannel::default()
                };
                Some(known)
            }
            Err(refused) => {
                warn!(%channel, "messages here are not accepted: Discord does not say what channel this is: {refused}");
                Some(KnownChannel {
                    last,
                    ask_at: Some(Instant::now() + LOOKUP_AGAIN),
                    ..KnownChannel::default()
                })
            }
        };
        if let Some(place) = place {
            self.places.insert(channel, place);
            self.write_places([channel]).await;
        }
    }

    async fn happen(&mut self, seen: WireEvent) {
        let changed = matches!(
            seen,
            WireEvent::Guild(_)
                | WireEvent::Channels(_)
                | WireEvent::Role(_)
                | WireEvent::RoleGone { .. }
                | WireEvent::Resumed
        );
        if changed {
            self.send(Inbound::Changed);
        }
        match seen {
            WireEvent::Ready(guilds) => {
                self.forget_guilds(|guild| guilds.contains(&guild)).await;
                match self.ready.take() {
                    Some(ready) => {
                        info!("connected to Discord");
                        // Nobody waits any more if the start was given up.
                        let _ = ready.send(());
                    }
                    None => {
                        info!("connected to Discord with a new session");
                        self.send(Inbound::Anew);
                    }
                }
            }
            WireEvent::Resumed => info!("the connection to Discord was lost and is resumed"),
            WireEvent::Guild(guild) => self.learn_guild(guild).await,
            WireEvent::GuildGone { id } => self.forget_guilds(|guild| guild != id).await,
            WireEvent::Channels(channels) => self.learn_channels(&channels).await,
            WireEvent::ChannelGone { id } => self.forget(vec![id]).await,
            WireEvent::Role(role) => self.learn_role(&role, role.guild_id),
            WireEvent::RoleGone { id } => drop(self.roles.remove(&id)),
            WireEvent::Said(said) if said.guild_id.is_none() => self.turn_away(&said),
            WireEvent::Said(said) => self.pass_on(*said, Inbound::Message),
            WireEvent::Edited(said) => self.pass_on(*said, Inbound::Edited),
            WireEvent::Deleted { ids, .. } => self.send(Inbound::Deleted(ids)),
            WireEvent::Reread(request) => self.reread(request),
        }
    }

    fn send(&self, inbound: Inbound) {
        // Nobody listens any more when the bot is stopping.
        drop(self.inbound.send(inbound));
    }

    /// Direct messages start nothing. Their authors are told so, once a day and not too many of them.
    fn turn_away(&mut self, said: &WireMessage) {
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
            content: words::SERVERS_ONLY.to_owned(),
            nonce: format!("dm-{}", said.id),
            reply_to: None,
            notify: Notify::Nobody,
            file: None,
            rows: Vec::new(),
        };
        tokio::spawn(async move {
            if let Err(refused) = outbox.post(channel, post).await {
                debug!(%channel, "a direct message is not answered: {refused}");
            }
        });
    }

    fn pass_on(&mut self, said: WireMessage, as_what: fn(Message) -> Inbound) {
        let Some(guild) = said.guild_id else { return };
        let place = self.places.entry(said.channel_id).or_insert_with(KnownChannel::unknown);
        place.last = place.last.max(Some(said.id));
        if !said.is_speech() || said.author.id == self.me {
            return self.send(Inbound::Told(said.channel_id, said.id));
        }
        // Without its parent it is unknown who may do what here.
        if place.ask_at.is_some() && !said.is_bots() {
            return info!(channel = %said.channel_id, "a message in an unknown channel is not accepted");
        }
        let message = self.message(said, guild);
        self.send(as_what(message));
    }

    fn message(&self, mut said: WireMessage, guild: GuildId) -> Message {
        let mentions_me = said.mentions.iter().any(|user| user.id == self.me)
            || said.mention_roles.iter().any(|role| self.is_my_role(*role));
        let text = self.readable(&said.content, &said.mentions, guild, true);
        let place = self.places.get(&said.channel_id);
        let bot = said.is_bots();
        let (extras, reply_to) = (said.extras(), said.replies_to());
        let quoted = said.quote().map(|quote| self.quoted(quote, guild));
        Message {
            id: said.id,
            channel_id: said.channel_id,
            parent_channel_id: place.and_then(|place| place.parent),
            channel_name: place.map(|place| place.name.clone()).unwrap_or_default(),
            channel_tags: place.map(|place| self.tags_of(place)).unwrap_or_default(),
            in_own_thread: self.everything && place.is_some_and(|place| place.owner == Some(self.me)),
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
            attachments: attachments(said.attachments),
            reply_to,
            quoted,
            extras,
        }
    }

    fn quoted(&self, quote: WireQuote, guild: GuildId) -> Quoted {
        let (origin, content) = match quote {
            WireQuote::Forward(content) => (QuoteOrigin::Forward, content),
            WireQuote::Reply(mut replied) => {
                let author = shown_name(&replied.author, replied.author.member.as_ref());
                let is_mine = replied.author.id == self.me;
                (QuoteOrigin::Reply { message: replied.id, author, is_mine }, replied.content())
            }
        };
        Quoted {
            origin,
            text: self.readable(&content.text, &content.mentions, guild, false),
            extras: content.extras(),
            attachments: attachments(content.attachments),
        }
    }

    /// The names of a post's tags.
    fn tags_of(&self, place: &KnownChannel) -> Vec<String> {
        let forum = place.parent.and_then(|parent| self.places.get(&parent));
        let names = place.tags.iter().filter_map(|tag| forum?.tag_names.get(tag));
        names.cloned().collect()
    }

    fn is_my_role(&self, role: RoleId) -> bool {
        self.roles.get(&role).is_some_and(|role| role.mine)
    }

    /// The text with mentions as names; the bot's own are taken out where it is spoken to.
    fn readable(&self, text: &str, mentioned: &[Person], guild: GuildId, is_to_me: bool) -> String {
        readable(text, |mention| match mention {
            Mention::User(id) if is_to_me && id == self.me => Reading::Me,
            Mention::Role(id) if is_to_me && self.is_my_role(id) => Reading::Me,
            Mention::User(id) => {
                let user = mentioned.iter().find(|user| user.id == id);
                user.map_or(Reading::Unknown, |user| named('@', &shown_name(user, user.member.as_ref())))
            }
            Mention::Role(id) => self
                .roles
                .get(&id)
                .filter(|role| role.guild == Some(guild))
                .map_or(Reading::Unknown, |role| named('@', role.name.trim_start_matches('@'))),
            Mention::Channel(id) => {
                // The author may not know the names of another guild.
                let place = self.places.get(&id).filter(|place| place.guild == Some(guild));
                place.map_or(Reading::Unknown, |place| named('#', &place.name))
            }
        })
    }
}

impl Queue {
    /// The first message that waits.
    fn first(&self) -> Option<MessageId> {
        self.events.iter().find_map(|seen| match seen {
            WireEvent::Said(said) => Some(said.id),
            _ => None,
        })
    }
}

impl KnownChannel {
    /// As an earlier bot has written it; it may have changed since.
    fn known(place: &store::SeenChannel) -> Self {
        Self {
            guild: Some(place.guild),
            name: place.name.clone(),
            parent: place.parent,
            archived: place.archived,
            owner: place.owner,
            last: Some(place.seen),
            ..Self::unknown()
        }
    }

    fn unknown() -> Self {
        Self { ask_at: Some(Instant::now()), ..Self::default() }
    }
}

/// Asks Discord about a channel until it answers.
async fn ask_about(channel: ChannelId, outbox: Outbox, answered: mpsc::UnboundedSender<Answered>) {
    let answer = loop {
        match outbox.channel(channel).await {
            Err(Refused::GaveUp { .. } | Refused::Token) => sleep(UNANSWERED).await,
            answer => break answer,
        }
    };
    // Nobody listens any more when the bot is stopping.
    drop(answered.send(Answered::LookedUp(channel, answer)));
}

/// The name that people see: the one for this guild, else the one for all of Discord, else the account's.
pub(super) fn shown_name(user: &Person, member: Option<&WireMember>) -> String {
    let nick = member.and_then(|member| member.nick.as_deref());
    first_name([nick, user.global_name.as_deref(), Some(&user.username)]).into_owned()
}
