//! The local Discord as its users see it: the real serenity client, and plain HTTP.

mod commands;
mod files;
mod forms;
mod interactions;
mod layout;
mod messages;
mod threads;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client as Web, Method, StatusCode};
use serde_json::{Value, json};
use serenity::all::{
    ChannelId, Client, Context, CreateAllowedMentions, CreateMessage, EditMessage, EventHandler,
    GatewayIntents, Guild, GuildChannel, GuildId, HttpBuilder, MessageFlags, MessageId, MessageUpdateEvent,
    PartialGuildChannel, Reaction, ReactionType, Ready, ResumedEvent, TypingStartEvent, async_trait,
};
use serenity::model::event::{Event as SerenityEvent, GatewayEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

/// What the serenity client told its handler.
#[derive(Debug)]
enum Heard {
    Ready(Box<Ready>),
    Guild(Box<Guild>),
    Resumed,
    Message(Box<serenity::all::Message>),
    Update(Box<MessageUpdateEvent>),
    Delete(MessageId),
    DeleteBulk(Vec<MessageId>),
    Typing,
    ReactionAdd,
    ReactionRemove,
    Channel(GuildChannel),
    Thread(GuildChannel),
    ThreadUpdate(GuildChannel),
    ThreadDelete(ChannelId),
    ThreadSync(Vec<GuildChannel>),
    ThreadMember,
    ThreadMembers(Box<serenity::all::ThreadMembersUpdateEvent>),
    Interaction(Box<serenity::all::Interaction>),
}

struct Ear(UnboundedSender<Heard>);

impl Ear {
    fn hear(&self, heard: Heard) {
        let _ = self.0.send(heard);
    }
}

#[async_trait]
impl EventHandler for Ear {
    async fn ready(&self, _: Context, ready: Ready) {
        self.hear(Heard::Ready(Box::new(ready)));
    }
    async fn guild_create(&self, _: Context, guild: Guild, _: Option<bool>) {
        self.hear(Heard::Guild(Box::new(guild)));
    }
    async fn resume(&self, _: Context, _: ResumedEvent) {
        self.hear(Heard::Resumed);
    }
    async fn message(&self, _: Context, message: serenity::all::Message) {
        self.hear(Heard::Message(Box::new(message)));
    }
    async fn message_update(
        &self,
        _: Context,
        _: Option<serenity::all::Message>,
        _: Option<serenity::all::Message>,
        update: MessageUpdateEvent,
    ) {
        self.hear(Heard::Update(Box::new(update)));
    }
    async fn message_delete(&self, _: Context, _: ChannelId, id: MessageId, _: Option<GuildId>) {
        self.hear(Heard::Delete(id));
    }
    async fn message_delete_bulk(&self, _: Context, _: ChannelId, ids: Vec<MessageId>, _: Option<GuildId>) {
        self.hear(Heard::DeleteBulk(ids));
    }
    async fn typing_start(&self, _: Context, _: TypingStartEvent) {
        self.hear(Heard::Typing);
    }
    async fn reaction_add(&self, _: Context, _: Reaction) {
        self.hear(Heard::ReactionAdd);
    }
    async fn reaction_remove(&self, _: Context, _: Reaction) {
        self.hear(Heard::ReactionRemove);
    }
    async fn channel_create(&self, _: Context, channel: GuildChannel) {
        self.hear(Heard::Channel(channel));
    }
    async fn thread_create(&self, _: Context, thread: GuildChannel) {
        self.hear(Heard::Thread(thread));
    }
    async fn thread_update(&self, _: Context, _: Option<GuildChannel>, thread: GuildChannel) {
        self.hear(Heard::ThreadUpdate(thread));
    }
    async fn thread_delete(&self, _: Context, thread: PartialGuildChannel, _: Option<GuildChannel>) {
        self.hear(Heard::ThreadDelete(thread.id));
    }
    async fn thread_list_sync(&self, _: Context, sync: serenity::all::ThreadListSyncEvent) {
        self.hear(Heard::ThreadSync(sync.threads));
    }
    async fn thread_member_update(&self, _: Context, _: serenity::all::ThreadMember) {
        self.hear(Heard::ThreadMember);
    }
    async fn thread_members_update(&self, _: Context, update: serenity::all::ThreadMembersUpdateEvent) {
        self.hear(Heard::ThreadMembers(Box::new(update)));
    }
    async fn interaction_create(&self, _: Context, interaction: serenity::all::Interaction) {
        self.hear(Heard::Interaction(Box::new(interaction)));
    }
}

/// A serenity client that is connected to the local Discord, and what it hears.
struct Bot {
    http: Arc<serenity::all::Http>,
    heard: UnboundedReceiver<Heard>,
    running: tokio::task::JoinHandle<serenity::Result<()>>,
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Bot {
    async fn start(local: &LocalDiscord, intents: GatewayIntents) -> Self {
        let http = HttpBuilder::new(local.token()).proxy(local.url()).ratelimiter_disabled(true).build();
        let (sender, heard) = unbounded_channel();
        let builder = serenity::all::ClientBuilder::new_with_http(http, intents);
        let mut client: Client = builder.event_handler(Ear(sender)).await.unwrap();
        let http = client.http.clone();
        let running = tokio::spawn(async move { client.start().await });
        Self { http, heard, running }
    }

    /// The first that is heard and wanted; what is not wanted is forgotten.
    async fn hear<T>(&mut self, mut wanted: impl FnMut(Heard) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = wanted(self.heard.recv().await.expect("the client runs")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), search).await.expect("heard in time")
    }

    async fn message(&mut self) -> serenity::all::Message {
        self.hear(|heard| match heard {
            Heard::Message(message) => Some(*message),
            _ => None,
        })
        .await
    }

    /// The names of the events that are heard next about threads and messages, this many.
    async fn next_events(&mut self, count: usize) -> Vec<&'static str> {
        let mut names = Vec::new();
        while names.len() < count {
            names.push(
                self.hear(|heard| match heard {
                    Heard::Message(_) => Some("message"),
                    Heard::Update(_) => Some("update"),
                    Heard::Thread(_) => Some("thread"),
                    Heard::ThreadUpdate(_) => Some("thread update"),
                    Heard::ThreadDelete(_) => Some("thread delete"),
                    Heard::ThreadSync(_) => Some("thread sync"),
                    Heard::ThreadMember => Some("thread member"),
                    Heard::ThreadMembers(_) => Some("thread members"),
                    _ => None,
                })
                .await,
            );
        }
        names
    }

    async fn interaction(&mut self) -> serenity::all::Interaction {
        self.hear(|heard| match heard {
            Heard::Interaction(interaction) => Some(*interaction),
            _ => None,
        })
        .await
    }

    async fn guild(&mut self) -> Guild {
        self.hear(|heard| match heard {
            Heard::Guild(guild) => Some(*guild),
            _ => None,
        })
        .await
    }
}

fn intents() -> GatewayIntents {
    GatewayIntents::non_privileged()
}

async fn local(change: impl FnOnce(&mut Options)) -> LocalDiscord {
    let mut options = Options { rate_limits: RateLimits::Off, ..Options::default() };
    change(&mut options);
    LocalDiscord::start(options).await.unwrap()
}

/// A call as the bot, and its answer.
async fn call(local: &LocalDiscord, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let url = format!("{}/api/v10{path}", local.url());
    let request = Web::new().request(method, url).header("authorization", format!("Bot {}", local.token()));
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

async fn post(local: &LocalDiscord, channel: Id, body: Value) -> (StatusCode, Value) {
    call(local, Method::POST, &format!("/channels/{channel}/messages"), body).await
}

/// The status and Discord's code of a refusal.
fn refusal((status, body): &(StatusCode, Value)) -> (u16, u64) {
    (status.as_u16(), body["code"].as_u64().unwrap_or_else(|| panic!("no code in {body}")))
}

/// The code of the mistake at a dotted place of an invalid form.
fn mistake((status, body): &(StatusCode, Value), at: &str) -> String {
    assert_eq!((status.as_u16(), body["code"].as_u64()), (400, Some(50035)), "{body}");
    let place =
        at.split('.').filter(|step| !step.is_empty()).fold(&body["errors"], |place, step| &place[step]);
    let code = place["_errors"][0]["code"].as_str();
    code.unwrap_or_else(|| panic!("no mistake at {at} in {body}")).to_owned()
}

fn id(body: &Value) -> Id {
    serde_json::from_value(body["id"].clone()).unwrap()
}

#[test]
fn every_event_is_one_that_serenity_knows() {
    let mut state = State {
        world: World::new("http://127.0.0.1:1".to_owned(), Owner::Team, true),
        sessions: Sessions::default(),
        limits: Limits::new(false),
        faults: Faults::default(),
        log: Vec::new(),
        calls: Vec::new(),
    };
    let quiet = state.channel_by_name("before/thread");
    state.sessions.identify_with_all_intents(&state.world);
    state.set_right(quiet, Right::React, false);
    let channel = state.channel_by_name("general");
    let thread = state.channel_by_name("general/idea");
    let user = state.world.user("anna", false);
    let role = state.role("staff");
    state.world.users.get_mut(&user).unwrap().roles.insert(role);
    let file = File { name: "a b.txt".into(), content_type: Some("text/plain".into()), bytes: "x".into() };
    let said = state.say(Say { files: vec![file], everyone: true, ..Say::to_bot(channel, user, "hi") });
    let webhook = state.say(Say { webhook: true, ..Say::new(thread, user, "by webhook") });
    state.say(Say { kind: 7, ..Say::new(channel, user, "") });
    let draft = json!({
        "content": "answer", "nonce": 7, "message_reference": { "message_id": said },
        "embeds": [{ "type": "rich", "title": "t" }],
    });
    let answer = state.bot_posts(channel, serde_json::from_value(draft).unwrap()).unwrap();
    let edit = json!({ "content": "better" });
    state.bot_edits(channel, answer, serde_json::from_value(edit).unwrap()).unwrap();
    state.say(Say { reply_to: Some(answer), ..Say::new(channel, user, "thanks") });
    state.bot_reacts(channel, said, "⏳").unwrap();
    state.react(user, said, "party:123456789012345678");
    state.deliver(said);
    state.bot_unreacts(channel, said, "⏳").unwrap();
    state.bot_types(thread).unwrap();
    state.edit(said, "hello");
    state.unfurl(said);
    let command = json!([{ "name": "model", "description": "d", "options": [
        { "type": 3, "name": "name", "description": "d", "autocomplete": true },
        { "type": 6, "name": "who", "description": "d" },
        { "type": 7, "name": "where", "description": "d" },
        { "type": 8, "name": "as", "description": "d" },
    ] }]);
    state.world.overwrite_commands(None, &command).unwrap();
    let used = UseCommand::new(thread, user, "model").option("name", "o");
    let used = used.option("who", user).option("where", thread).option("as", role);
    let interaction = state.use_command(&used).unwrap();
    state.autocomplete(&used, "name").unwrap();
    let token = state.world.interactions[&interaction].token.clone();
    let buttons = json!({ "content": "sure?", "flags": 64, "components": [{ "type": 1, "components": [
        { "type": 2, "style": 1, "label": "Yes", "custom_id": "yes" },
    ] }] });
    let patience = Patience { acknowledge: Duration::from_secs(3), token: Duration::from_secs(900) };
    let callback = responses::Callback { how: 4, data: Value::Null };
    let draft = serde_json::from_value(buttons).unwrap();
    state.bot_answers((interaction, &token), callback, draft, patience).unwrap();
    let shown = state.world.response(interaction).unwrap().message.unwrap();
    state.press(shown.id, user, "yes").unwrap();
    let direct = state.direct(user);
    let told = state.say(Say::new(direct, user, "psst"));
    state.react(user, told, "👍");
    state.use_command(&UseCommand::new(direct, user, "model")).unwrap();
    state.permit(role, 1 << 13);
    let starter = state.say(Say { stickers: vec!["wave".into()], ..Say::new(channel, user, "for a thread") });
    let task = state.person_opens_thread(starter, user, "task").unwrap();
    state.close_thread(task, Some(Closed::Archived));
    let poll = Poll { question: "when?".into(), answers: vec!["now".into(), "later".into()] };
    state.say(Say { poll: Some(poll), ..Say::to_bot(task, user, "") });
    state.say(Say { forward_of: Some(said), ..Say::new(task, user, "") });
    let file = File { name: "voice-message.ogg".into(), content_type: None, bytes: "x".into() };
    let voice = Some(Duration::from_secs(2));
    state.say(Say { voice, files: vec![file], ..Say::new(task, user, "") });
    state.add_or_remove(task, state.world.bot, user, false);
    let forum = state.channel_of(state.world.guild, ChannelKind::Forum, "help");
    let tag = state.tag(forum, "bug");
    state.post_in_forum(Say::new(forum, user, "it fails"), "why?", &[tag]);
    state.set_right(channel, Right::View, true);
    state.delete_channel(task);
    state.delete(said);
    state.delete_bulk(channel, &[answer, webhook]);
    state.change_channel(channel, |channel| channel.name.push('x'));
    state.delete_channel(thread);
    state.delete_channel(channel);

    let texts = state.sessions.sent_texts();
    let mut names: Vec<String> = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let event =
            serde_json::from_str::<GatewayEvent>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let GatewayEvent::Dispatch(seq, event) = event else { panic!("not an event: {text}") };
        assert_eq!(seq, place as u64 + 1);
        assert!(!matches!(event, SerenityEvent::Unknown(_)), "unknown: {text}");
        names.push(event.name().unwrap_or_default());
    }
    names.dedup();
    let expected = "READY GUILD_CREATE THREAD_UPDATE CHANNEL_CREATE THREAD_CREATE GUILD_ROLE_CREATE MESSAGE_CREATE \
         MESSAGE_UPDATE MESSAGE_CREATE MESSAGE_REACTION_ADD MESSAGE_CREATE MESSAGE_REACTION_REMOVE TYPING_START \
         MESSAGE_UPDATE INTERACTION_CREATE MESSAGE_CREATE INTERACTION_CREATE MESSAGE_CREATE MESSAGE_REACTION_ADD \
         INTERACTION_CREATE GUILD_ROLE_UPDATE MESSAGE_CREATE THREAD_CREATE MESSAGE_UPDATE MESSAGE_CREATE THREAD_UPDATE \
         THREAD_CREATE THREAD_MEMBER_UPDATE THREAD_MEMBERS_UPDATE MESSAGE_CREATE THREAD_MEMBERS_UPDATE MESSAGE_CREATE \
         CHANNEL_CREATE CHANNEL_UPDATE THREAD_CREATE MESSAGE_CREATE CHANNEL_UPDATE THREAD_LIST_SYNC THREAD_DELETE \
         MESSAGE_DELETE MESSAGE_DELETE_BULK CHANNEL_UPDATE THREAD_DELETE CHANNEL_DELETE";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
}

#[tokio::test]
async fn serenity_hears_and_answers() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let old_thread = local.thread(general, "old");
    let mut bot = Bot::start(&local, intents()).await;
    let ready = bot
        .hear(|heard| match heard {
            Heard::Ready(ready) => Some(ready),
            _ => None,
        })
        .await;
    assert_eq!(ready.user.id.get(), local.bot_id().get());
    let guild = bot.guild().await;
    assert!(guild.channels.contains_key(&ChannelId::new(general.get())));
    assert_eq!(guild.threads[0].id.get(), old_thread.get());
    assert_eq!(guild.threads[0].parent_id.map(ChannelId::get), Some(general.get()));
    let me = &guild.members[&ready.user.id];
    assert_eq!(me.roles[0].get(), local.bot_role().get());
    assert!(guild.roles[&me.roles[0]].managed);

    let (anna, staff) = (local.user("anna"), local.role("staff"));
    local.give_role(anna, staff);
    let file = File { name: "x.txt".into(), content_type: Some("text/plain".into()), bytes: "abc".into() };
    let asked = local.say(Say { files: vec![file], ..Say::to_bot(general, anna, "hello") });
    let heard = bot.message().await;
    assert_eq!(heard.id.get(), asked.get());
    assert_eq!(heard.content, format!("<@{}> hello", local.bot_id()));
    assert_eq!(heard.member.as_ref().unwrap().roles[0].get(), staff.get());
    assert!(heard.mentions_user_id(ready.user.id));
    assert_eq!(heard.attachments[0].download().await.unwrap(), b"abc");

    let everything = CreateAllowedMentions::new().replied_user(true);
    let flags = MessageFlags::SUPPRESS_EMBEDS | MessageFlags::SUPPRESS_NOTIFICATIONS;
    let answer = CreateMessage::new()
        .content("  hi @everyone \n")
        .reference_message(&heard)
        .allowed_mentions(everything)
        .flags(flags);
    let sent = heard.channel_id.send_message(&bot.http, answer).await.unwrap();
    let own = bot.message().await;
    assert_eq!(own.id, sent.id);
    assert_eq!((own.content.as_str(), own.kind), ("hi @everyone", serenity::all::MessageType::InlineReply));
    assert_eq!(own.referenced_message.as_ref().unwrap().id, heard.id);
    let seen = local.messages(general).pop().unwrap();
    assert_eq!((seen.reply_to, seen.flags, seen.mention_everyone), (Some(asked), 4 | 4096, false));
    assert_eq!((seen.mentions, seen.pinged), (vec![anna], vec![]), "silent: mentioned, not notified");

    sent.clone().edit(&bot.http, EditMessage::new().content("hi there")).await.unwrap();
    let update = bot
        .hear(|heard| match heard {
            Heard::Update(update) => Some(update),
            _ => None,
        })
        .await;
    assert_eq!(update.content.as_deref(), Some("hi there"));

    let hourglass = ReactionType::Unicode("⏳".to_owned());
    heard.react(&bot.http, hourglass.clone()).await.unwrap();
    bot.hear(|heard| matches!(heard, Heard::ReactionAdd).then_some(())).await;
    assert_eq!(local.message(asked).unwrap().reactions, [("⏳".to_owned(), local.bot_id())]);
    bot.http.delete_reaction_me(heard.channel_id, heard.id, &hourglass).await.unwrap();
    bot.hear(|heard| matches!(heard, Heard::ReactionRemove).then_some(())).await;
    assert_eq!(local.message(asked).unwrap().reactions, []);

    heard.channel_id.broadcast_typing(&bot.http).await.unwrap();
    bot.hear(|heard| matches!(heard, Heard::Typing).then_some(())).await;
    let info = bot.http.get_current_application_info().await.unwrap();
    assert_eq!(info.owner.unwrap().id.get(), local.owner().get());

    let fresh = local.channel("fresh");
    let created = bot
        .hear(|heard| match heard {
            Heard::Channel(channel) => Some(channel),
            _ => None,
        })
        .await;
    assert_eq!((created.id.get(), created.name.as_str()), (fresh.get(), "fresh"));
    let thread = local.thread(fresh, "idea");
    let created = bot
        .hear(|heard| match heard {
            Heard::Thread(thread) => Some(thread),
            _ => None,
        })
        .await;
    assert_eq!((created.id.get(), created.parent_id.unwrap().get()), (thread.get(), fresh.get()));

    local.delete(asked);
    bot.hear(|heard| matches!(heard, Heard::Delete(id) if id.get() == asked.get()).then_some(())).await;
    assert_eq!(local.delete_bulk(general, &[Id::from(sent.id.get()), asked]), 1);
    bot.hear(|heard| matches!(heard, Heard::DeleteBulk(ids) if ids == [sent.id]).then_some(())).await;
}

#[tokio::test]
async fn what_was_missed_comes_after_a_resume() {
    use DropGateway::{Close, Cut, Op7, Op9};
    for how in [Cut, Op7, Op9 { resumable: true }, Close(4000)] {
        let local = local(|_| ()).await;
        let (general, owner) = (local.channel("general"), local.owner());
        let mut bot = Bot::start(&local, intents()).await;
        bot.guild().await;
        let before = local.say(Say::to_bot(general, owner, "before"));
        assert_eq!(bot.message().await.id.get(), before.get());
        local.drop_gateway(how);
        assert!(!local.is_connected());
        let missed = local.say(Say::to_bot(general, owner, "missed"));
        assert_eq!(bot.message().await.id.get(), missed.get(), "{how:?}");
        bot.hear(|heard| matches!(heard, Heard::Resumed).then_some(())).await;
        local.redeliver(missed);
        assert_eq!(bot.message().await.id.get(), missed.get(), "{how:?}: again");
        let resumed = |event: &Event| event.what == What::Connected { resumed: true };
        assert_eq!(local.log().iter().filter(|event| resumed(event)).count(), 1, "{how:?}");
    }
}

#[tokio::test]
async fn a_lost_session_begins_afresh() {
    let local = local(|_| ()).await;
    let (general, owner) = (local.channel("general"), local.owner());
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    local.drop_gateway(DropGateway::Op9 { resumable: false });
    let lost = local.say(Say::to_bot(general, owner, "lost"));
    bot.guild().await;
    let next = local.say(Say::to_bot(general, owner, "next"));
    assert_eq!(bot.message().await.id.get(), next.get());
    let path = format!("/channels/{general}/messages?limit=1&before={next}");
    let (_, page) = call(&local, Method::GET, &path, Value::Null).await;
    assert_eq!(id(&page[0]), lost, "but REST has it");
}

#[tokio::test]
async fn refused_reconnects_cost_the_session() {
    let local = local(|_| ()).await;
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    // serenity tries to resume twice at once, then identifies afresh some seconds later.
    for (refused, resumed) in [(1, true), (2, false)] {
        let seen = local.log().len();
        local.refuse_gateway(refused);
        local.drop_gateway(DropGateway::Cut);
        let back = local.wait_for(|log| {
            log[seen..].iter().find_map(|event| match event.what {
                What::Connected { resumed } => Some(resumed),
                _ => None,
            })
        });
        let back = tokio::time::timeout(Duration::from_secs(20), back).await.expect("it comes back");
        assert_eq!(back, resumed, "after {refused}");
    }
}

#[tokio::test]
async fn a_silent_gateway_is_noticed_by_its_missing_heartbeats() {
    let local = local(|options| options.heartbeat = Duration::from_millis(300)).await;
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    local.drop_gateway(DropGateway::Silence);
    assert!(!local.is_connected());
    // serenity does not resume then, it identifies afresh.
    bot.guild().await;
    assert!(local.is_connected());
}

#[tokio::test]
async fn without_the_content_intent_only_what_mentions_the_bot_has_text() {
    let local = local(|options| options.message_content = true).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let file = File { name: "x".into(), content_type: None, bytes: "x".into() };
    let plain = local.say(Say { files: vec![file], ..Say::new(general, anna, "secret") });
    let heard = bot.message().await;
    assert_eq!((heard.id.get(), heard.content.as_str(), heard.attachments.len()), (plain.get(), "", 0));
    local.say(Say { by_role: true, ..Say::new(general, anna, "role") });
    let heard = bot.message().await;
    assert_eq!((heard.content.as_str(), heard.mention_roles[0].get()), ("", local.bot_role().get()));
    local.say(Say::to_bot(general, anna, "named"));
    assert!(bot.message().await.content.ends_with("named"));
    let own = post(&local, general, json!({ "content": "own" })).await.1;
    assert_eq!(bot.message().await.content, "own");
    local.say(Say { reply_to: Some(id(&own)), ..Say::new(general, anna, "reply") });
    assert_eq!(bot.message().await.content, "reply", "a reply that pings mentions");
    local.say(Say { reply_to: Some(id(&own)), reply_pings: false, ..Say::new(general, anna, "quiet") });
    assert_eq!(bot.message().await.content, "");
    drop(bot);

    let mut bot = Bot::start(&local, intents() | GatewayIntents::MESSAGE_CONTENT).await;
    bot.guild().await;
    local.say(Say::new(general, anna, "plain"));
    assert_eq!(bot.message().await.content, "plain");
}

#[tokio::test]
async fn identify_is_refused_for_a_wrong_token_and_a_disallowed_intent() {
    let local = local(|_| ()).await;
    let mut bot = Bot::start(&local, GatewayIntents::MESSAGE_CONTENT).await;
    let ended = (&mut bot.running).await.unwrap().unwrap_err();
    assert_eq!(ended.to_string(), "Disallowed gateway intents were provided");
    let wrong = HttpBuilder::new("x.y.z").proxy(local.url()).ratelimiter_disabled(true).build();
    assert!(wrong.get_current_user().await.is_err());
    assert_eq!(local.calls().last().unwrap().status, Some(401));
}

#[tokio::test]
async fn too_many_calls_are_refused_with_the_time_to_wait() {
    let local = local(|options| options.rate_limits = RateLimits::On).await;
    let general = local.channel("general");
    let url = format!("{}/api/v10/channels/{general}/messages", local.url());
    let send = || {
        let request = Web::new().post(&url).header("authorization", format!("Bot {}", local.token()));
        request.json(&json!({ "content": "x" })).send()
    };
    for left in (0..5).rev() {
        let answer = send().await.unwrap();
        assert_eq!(answer.headers()["x-ratelimit-limit"], "5");
        assert_eq!(answer.headers()["x-ratelimit-remaining"], left.to_string().as_str());
        let reset: f64 = answer.headers()["x-ratelimit-reset-after"].to_str().unwrap().parse().unwrap();
        assert!(reset > 0.0 && reset <= 5.0, "{reset}");
    }
    let refused = send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["x-ratelimit-scope"], "user");
    let header: f64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let body: Value = refused.json().await.unwrap();
    let after = body["retry_after"].as_f64().unwrap();
    assert!(after > 0.0 && after <= header && header <= 5.0, "{after} {header}");
    assert_eq!(body["global"], false);
    assert_eq!(local.messages(general).len(), 5);
}

#[tokio::test]
async fn faults_strike_before_and_after_the_act() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    // A client per call: a connection of its own, so that nothing is retried behind our back.
    let try_post = async |text: &str| {
        let url = format!("{}/api/v10/channels/{general}/messages", local.url());
        let request = Web::new().post(url).header("authorization", format!("Bot {}", local.token()));
        request.json(&json!({ "content": text })).send().await.map(|answer| answer.status().as_u16())
    };
    local.fail_next(1, Fault::DropBefore, "POST /channels");
    assert!(try_post("before").await.is_err());
    local.fail_next(1, Fault::DropAfter, "POST /channels");
    assert!(try_post("after").await.is_err());
    local.fail_next(1, Fault::Status(502), "");
    assert_eq!(try_post("status").await.unwrap(), 502);
    let limited = Fault::RateLimited { after: Duration::from_millis(1500), global: true };
    local.fail_next(1, limited, "");
    assert_eq!(try_post("limited").await.unwrap(), 429);
    assert_eq!(try_post("fine").await.unwrap(), 200);
    let texts: Vec<String> = local.messages(general).into_iter().map(|it| it.content).collect();
    assert_eq!(texts, ["after", "fine"]);
    let statuses: Vec<_> = local.calls().into_iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, None, Some(502), Some(429), Some(200)]);
}

#[tokio::test]
async fn it_stops_with_its_connections() {
    let local = local(|_| ()).await;
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let url = format!("{}/api/v10/gateway", local.url());
    local.stop();
    assert!(reqwest::get(url).await.is_err());
    local.wait_for(|log| log.iter().any(|event| event.what == What::Disconnected).then_some(())).await;
}

#[tokio::test]
async fn a_team_owns_the_application() {
    let local = local(|options| options.owner = Owner::Team).await;
    let (_, body) = call(&local, Method::GET, "/applications/@me", Value::Null).await;
    let info: serenity::all::CurrentApplicationInfo = serde_json::from_value(body).unwrap();
    let team = info.team.unwrap();
    assert_eq!((team.members.len(), team.owner_user_id.get()), (4, local.owner().get()));
    assert_ne!(info.owner.unwrap().id.get(), local.owner().get());
}

#[tokio::test]
async fn it_can_be_controlled_by_http() {
    let local = local(|_| ()).await;
    let control = async |path: &str, body: Value| {
        let request = Web::new().post(format!("{}/control/{path}", local.url())).body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let files = json!([{ "name": "a.txt", "text": "abc", "fault": { "status": 404 } }, { "name": "b.txt" }]);
    let poll = json!({ "question": "when?", "answers": ["now"] });
    let said = json!({
        "channel": "general/idea", "user": "anna", "text": "hello", "mention": true, "files": files, "voice": 2.5,
        "stickers": ["wave"], "poll": poll, "embeds": [{ "title": "t" }],
    });
    let (status, body) = control("say", said).await;
    assert_eq!(status, 200, "{body}");
    let message = id(&serde_json::from_str(&body).unwrap());
    assert_eq!(local.message(message).unwrap().channel, local.channel("general/idea"));
    assert_eq!(control("edit", json!({ "message": message, "text": "x" })).await.0, 200);
    let url = format!("{}/control/messages?channel=general/idea", local.url());
    let messages: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(messages[0]["content"], "x");
    let whole = local.message(message).unwrap();
    assert_eq!((whole.attachments.len(), whole.stickers.len(), whole.embeds.len()), (2, 1, 1));
    assert_eq!(whole.poll.unwrap().answers, ["now"]);
    assert_eq!(reqwest::get(&whole.attachments[0].url).await.unwrap().status(), 404);
    let asked = local.say(Say::new(local.channel("general"), local.user("anna"), "for a thread"));
    let first =
        json!({ "channel": "help", "user": "anna", "text": "why?", "title": "It fails", "tags": ["bug"] });
    let (status, body) = control("post-in-forum", first).await;
    assert_eq!(status, 200, "{body}");
    let post = id(&serde_json::from_str(&body).unwrap());
    assert_eq!(local.thread_state(post).unwrap().applied_tags, [local.tag(local.forum("help"), "bug")]);
    for (path, body) in [
        ("attach", json!({ "message": message, "files": [{ "name": "c.txt", "text": "c" }] })),
        ("detach", json!({ "message": message, "name": "c.txt" })),
        ("break-file", json!({ "message": message, "name": "b.txt", "fault": { "fewer_bytes": 1 } })),
        ("break-file", json!({ "message": message, "name": "b.txt", "fault": null })),
        ("boost", json!({ "level": 2 })),
        ("say", json!({ "channel": "general", "user": "anna", "forward_of": message })),
        ("open-thread", json!({ "message": asked, "user": "anna", "name": "task" })),
        ("close-thread", json!({ "channel": "general/task", "how": "locked" })),
        ("close-thread", json!({ "channel": "general/task", "how": null })),
        ("add-to-thread", json!({ "channel": "general/task", "user": "bob" })),
        ("remove-from-thread", json!({ "channel": "general/task", "user": "bob" })),
        ("react", json!({ "message": message, "user": "anna", "emoji": "👍" })),
        ("redeliver", json!({ "message": message })),
        ("forbid", json!({ "channel": "general", "right": "post" })),
        ("allow", json!({ "channel": "general", "right": "post" })),
        ("drop-gateway", json!({ "how": "cut" })),
        ("drop-gateway", json!({ "how": { "op9": { "resumable": true } } })),
        ("drop-gateway", json!({ "how": { "close": 4000 } })),
        ("refuse-gateway", json!({ "connects": 0 })),
        ("fail", json!({ "calls": 1, "fault": { "rate_limited": { "after": 2.5, "global": false } } })),
        ("fail", json!({ "calls": 1, "fault": "drop_after", "only": "POST" })),
        ("delete", json!({ "message": message })),
    ] {
        assert_eq!(control(path, body).await.0, 200, "{path}");
    }
    assert_eq!(control("delete", json!({ "message": message })).await.0, 404);
    let own_text = json!({ "channel": "general", "user": "anna", "forward_of": message, "text": "look" });
    assert_eq!(control("say", own_text).await.0, 400);
    assert_eq!(control("open-thread", json!({ "message": asked, "user": "anna", "name": "x" })).await.0, 400);
    let (status, body) = control("say", json!({ "chanel": "general" })).await;
    assert_eq!(status, 400);
    assert!(body.contains("chanel"), "{body}");
}
