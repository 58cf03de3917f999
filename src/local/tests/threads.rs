//! Threads and forums: what the bot may do with them, what it is refused, and what it hears.

use serenity::all::{AutoArchiveDuration, ChannelType, CreateThread, EditThread, MessageType};

use super::*;

fn name(text: &str) -> Value {
    json!({ "name": text })
}

async fn change(local: &LocalDiscord, thread: Id, body: Value) -> (StatusCode, Value) {
    call(local, Method::PATCH, &format!("/channels/{thread}"), body).await
}

async fn open(local: &LocalDiscord, channel: Id, message: Id, body: Value) -> (StatusCode, Value) {
    call(local, Method::POST, &format!("/channels/{channel}/messages/{message}/threads"), body).await
}

async fn get(local: &LocalDiscord, path: String) -> (StatusCode, Value) {
    call(local, Method::GET, &path, Value::Null).await
}

fn ids(list: &Value) -> Vec<Id> {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(id).collect()
}

#[tokio::test]
async fn a_thread_from_a_message_has_its_id_and_begins_with_it() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let older = local.say(Say::to_bot(general, anna, "older"));
    let asked = local.say(Say::to_bot(general, anna, "fix it"));
    bot.next_events(2).await;
    let general_of_bot = ChannelId::new(general.get());
    let builder = CreateThread::new("Fix it").auto_archive_duration(AutoArchiveDuration::OneWeek);
    let thread = general_of_bot.create_thread_from_message(&bot.http, asked.get(), builder).await.unwrap();
    assert_eq!((thread.id.get(), thread.kind), (asked.get(), ChannelType::PublicThread));
    assert_eq!(thread.owner_id.unwrap().get(), local.bot_id().get());
    let opened = What::ThreadOpened { parent: general, by: local.bot_id() };
    let is_it = |event: &Event| event.channel == Some(asked) && event.what == opened;
    local.wait_for(|log| log.iter().any(is_it).then_some(())).await;
    let events = bot.next_events(5).await;
    assert_eq!(events, ["thread", "thread member", "thread members", "update", "message"]);
    let state = local.thread_state(asked).unwrap();
    assert_eq!((state.owner, state.auto_archive_minutes), (local.bot_id(), 10_080));
    let [first] = &local.messages(asked)[..] else { panic!("one message in it") };
    assert_eq!((first.kind, first.reply_to, first.by_bot), (21, Some(asked), false));
    let path = format!("/channels/{general}/messages/{asked}");
    let starter = get(&local, path).await.1;
    assert_eq!((&starter["flags"], &starter["thread"]["name"]), (&json!(32), &json!("Fix it")));
    assert_eq!(starter["thread"]["id"], starter["id"]);
    let seen = get(&local, format!("/channels/{asked}/messages")).await.1;
    assert_eq!((&seen[0]["referenced_message"]["id"], &seen[0]["content"]), (&json!(asked), &json!("")));
    assert_eq!(seen[0]["message_reference"]["channel_id"], json!(general));

    let again = open(&local, general, asked, name("x")).await;
    assert_eq!(refusal(&again), (400, 160_004));
    assert_eq!(mistake(&open(&local, general, older, name("")).await, "name"), "BASE_TYPE_BAD_LENGTH");
    let long = name(&"月".repeat(101));
    assert_eq!(mistake(&open(&local, general, older, long).await, "name"), "BASE_TYPE_BAD_LENGTH");
    let hour = json!({ "name": "x", "auto_archive_duration": 61 });
    let refused = open(&local, general, older, hour).await;
    assert_eq!(mistake(&refused, "auto_archive_duration"), "BASE_TYPE_CHOICES");
    assert_eq!(refusal(&open(&local, general, Id::from(7), name("x")).await), (404, 10008));
    assert_eq!(refusal(&open(&local, asked, first.id, name("x")).await), (400, 50024), "in a thread");
    local.forbid(general, Right::Threads);
    assert_eq!(refusal(&open(&local, general, older, name("x")).await), (403, 50013));
    local.allow(general, Right::Threads);

    // From an older message people see in the channel that there is one.
    let told_before = local.messages(general).len();
    assert_eq!(open(&local, general, older, name(&"月".repeat(100))).await.0, 201);
    let told = local.messages(general).split_off(told_before);
    let [told] = &told[..] else { panic!("told once: {told:?}") };
    assert_eq!((told.kind, told.tells_of, told.by_bot), (18, Some(older), false));
    let heard = bot.hear(|heard| match heard {
        Heard::Message(message) => (message.kind == MessageType::ThreadCreated).then_some(message),
        _ => None,
    });
    assert_eq!(heard.await.message_reference.unwrap().channel_id.get(), older.get());
    local.delete(asked);
    let seen = get(&local, format!("/channels/{asked}/messages")).await.1;
    assert_eq!(seen[0]["referenced_message"], Value::Null, "the thread outlives its message");
}

#[tokio::test]
async fn threads_without_a_message_are_private_unless_they_say_otherwise() {
    let local = local(|_| ()).await;
    let (general, news) = (local.channel("general"), local.announcement_channel("news"));
    let start = |channel: Id, body: Value| {
        let local = local.clone();
        async move { call(&local, Method::POST, &format!("/channels/{channel}/threads"), body).await }
    };
    let kind = async |channel, body| start(channel, body).await.1["type"].clone();
    assert_eq!(kind(general, name("a")).await, 12);
    assert!(local.messages(general).is_empty(), "nobody is told of it");
    assert_eq!(kind(general, json!({ "name": "b", "type": 11 })).await, 11);
    assert_eq!(local.messages(general)[0].kind, 18);
    assert_eq!(kind(news, json!({ "name": "c", "type": 10 })).await, 10);
    assert_eq!(mistake(&start(news, name("d")).await, "type"), "BASE_TYPE_CHOICES");
    let voice = local.voice_channel("talk");
    assert_eq!(refusal(&start(voice, name("e")).await), (400, 50024));
    assert_eq!(post(&local, voice, json!({ "content": "but one can write" })).await.0, 200);
    let said = local.say(Say::to_bot(news, local.owner(), "news"));
    assert_eq!(open(&local, news, said, name("f")).await.1["type"], 10);
    let guild = local.guild();
    let active = get(&local, format!("/guilds/{guild}/threads/active")).await.1;
    assert_eq!((ids(&active["threads"]).len(), ids(&active["members"]).len()), (4, 4));
    let names: Vec<_> = local.threads(general).into_iter().filter_map(|it| local.channel_name(it)).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn a_thread_is_renamed_twice_in_ten_minutes_and_then_waits() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let asked = local.say(Say::to_bot(general, local.owner(), "x"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    open(&local, general, asked, name("one")).await;
    let edit = EditThread::new().name("two");
    ChannelId::new(asked.get()).edit_thread(&bot.http, edit).await.unwrap();
    let heard = bot.hear(|heard| match heard {
        Heard::ThreadUpdate(thread) => Some(thread.name),
        _ => None,
    });
    assert_eq!(heard.await, "two");
    let is_name_change =
        |heard| matches!(heard, Heard::Message(it) if it.kind == MessageType::GroupNameUpdate).then_some(());
    bot.hear(is_name_change).await;
    assert_eq!(change(&local, asked, name("two")).await.0, 200, "it has this name");
    assert_eq!(change(&local, asked, name("three")).await.0, 200);
    let (status, body) = change(&local, asked, name("four")).await;
    let after = body["retry_after"].as_f64().unwrap();
    assert!(status == 429 && after > 500.0 && after <= 600.0, "{status} {body}");
    assert_eq!(local.channel_name(asked).as_deref(), Some("three"));
    assert_eq!(change(&local, asked, json!({ "auto_archive_duration": 60 })).await.0, 200, "names only");
    local.pass_time(Duration::from_secs(10 * 60));
    assert_eq!(change(&local, asked, name("four")).await.0, 200);
    assert_eq!(mistake(&change(&local, asked, name("")).await, "name"), "BASE_TYPE_BAD_LENGTH");
    // A name that people give counts for nothing.
    local.rename_channel(asked, "ours");
    let last = local.messages(asked).pop().unwrap();
    assert_eq!((last.kind, last.content.as_str(), last.author), (4, "ours", local.owner()));
    assert_eq!(change(&local, asked, name("five")).await.0, 200);
    assert_eq!(refusal(&change(&local, general, name("mine")).await), (403, 50013));
}

#[tokio::test]
async fn the_archive_takes_posts_only_and_a_lock_not_even_those() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let thread = local.thread(general, "idea");
    let asked = local.say(Say::to_bot(thread, local.owner(), "x"));
    let own = id(&post(&local, thread, json!({ "content": "answer" })).await.1);
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let message = format!("/channels/{thread}/messages/{own}");
    let reaction = format!("/channels/{thread}/messages/{asked}/reactions/%E2%8F%B3/@me");
    let me = format!("/channels/{thread}/thread-members/@me");
    local.close_thread(thread, Some(Closed::Archived));
    bot.next_events(1).await;
    for (method, path, body) in [
        (Method::PATCH, &message, json!({ "content": "better" })),
        (Method::PUT, &reaction, Value::Null),
        (Method::PUT, &me, Value::Null),
        (Method::POST, &format!("/channels/{thread}/typing"), Value::Null),
        (Method::PATCH, &format!("/channels/{thread}"), json!({ "name": "y" })),
    ] {
        assert_eq!(refusal(&call(&local, method, path, body).await), (400, 50083), "{path}");
    }
    assert_eq!(post(&local, thread, json!({ "content": "wake up" })).await.0, 200);
    assert!(!local.thread_state(thread).unwrap().archived);
    assert_eq!(bot.next_events(3).await, ["thread update", "thread member", "message"]);
    local.close_thread(thread, Some(Closed::Archived));
    local.say(Say::new(thread, local.owner(), "people wake it too"));
    assert!(!local.thread_state(thread).unwrap().archived);

    local.close_thread(thread, Some(Closed::Locked));
    assert_eq!(refusal(&post(&local, thread, json!({ "content": "x" })).await), (400, 50083));
    assert_eq!(refusal(&change(&local, thread, json!({ "archived": false })).await), (403, 50013));
    assert_eq!(call(&local, Method::DELETE, &message, Value::Null).await.0, 204, "but messages can go");
    local.permit(local.bot_role(), 1 << 34);
    assert_eq!(change(&local, thread, json!({ "archived": false, "locked": false })).await.0, 200);
    assert_eq!(post(&local, thread, json!({ "content": "x" })).await.0, 200);
}

#[tokio::test]
async fn who_opened_a_thread_may_change_it_and_only_a_moderator_locks() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let own = local.say(Say::to_bot(general, local.owner(), "x"));
    open(&local, general, own, name("own")).await;
    let others =
        local.open_thread(local.say(Say::new(general, local.user("anna"), "y")), local.owner(), "others");
    assert_eq!(change(&local, own, json!({ "archived": true })).await.0, 200);
    assert!(local.thread_state(own).unwrap().archived);
    assert_eq!(change(&local, own, json!({ "archived": false })).await.0, 200);
    for body in [name("mine"), json!({ "archived": true }), json!({ "auto_archive_duration": 60 })] {
        assert_eq!(refusal(&change(&local, others, body).await), (403, 50013));
    }
    assert_eq!(refusal(&change(&local, own, json!({ "locked": true })).await), (403, 50013));
    local.permit(local.bot_role(), 1 << 34);
    assert_eq!(change(&local, others, json!({ "locked": true, "archived": true })).await.0, 200);
    let state = local.thread_state(others).unwrap();
    assert_eq!((state.locked, state.archived), (true, true));

    let archived = async |query: &str| {
        get(&local, format!("/channels/{general}/threads/archived/public{query}")).await.1
    };
    assert_eq!(ids(&archived("").await["threads"]), [others]);
    change(&local, own, json!({ "archived": true })).await;
    let page = archived("?limit=1").await;
    assert_eq!((ids(&page["threads"]), &page["has_more"]), (vec![own], &json!(true)));
    let before = page["threads"][0]["thread_metadata"]["archive_timestamp"].as_str().unwrap();
    assert_eq!(ids(&archived(&format!("?before={before}")).await["threads"]), [others]);
    local.forbid(general, Right::History);
    assert_eq!(
        refusal(&get(&local, format!("/channels/{general}/threads/archived/public")).await),
        (403, 50013)
    );
}

#[tokio::test]
async fn who_speaks_in_a_thread_or_is_mentioned_is_in_it() {
    let local = local(|_| ()).await;
    let (general, anna, bob) = (local.channel("general"), local.user("anna"), local.user("bob"));
    let thread = local.thread(general, "idea");
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    local.say(Say::new(thread, anna, format!("look, <@{bob}>")));
    let members = || local.thread_state(thread).unwrap().members;
    assert_eq!(members(), [local.owner(), anna, bob].into());
    assert_eq!(bot.next_events(1).await, ["message"], "of others it hears nothing without the intent");
    local.say(Say::to_bot(thread, anna, "you too"));
    assert_eq!(bot.next_events(4).await, ["thread", "thread member", "thread members", "message"]);

    let member = |user: &str| format!("/channels/{thread}/thread-members/{user}");
    let to = async |method: Method, user: &str| call(&local, method, &member(user), Value::Null).await;
    let carl = local.user("carl").to_string();
    assert_eq!(refusal(&to(Method::GET, &carl).await), (404, 10007));
    assert_eq!(to(Method::PUT, &carl).await.0, 204);
    assert_eq!(to(Method::GET, &carl).await.0, 200);
    let added = local.messages(thread).pop().unwrap();
    assert_eq!((added.kind, added.by_bot, added.mentions), (1, false, vec![local.user("carl")]));
    assert_eq!(refusal(&to(Method::PUT, "7").await), (404, 10013));
    assert_eq!(refusal(&to(Method::DELETE, &carl).await), (403, 50013));
    assert_eq!(to(Method::DELETE, "@me").await.0, 204);
    assert!(!members().contains(&local.bot_id()));
    assert_eq!(bot.next_events(2).await, ["message", "thread members"]);
    assert_eq!(to(Method::PUT, "@me").await.0, 204);
    assert!(
        local.remove_from_thread(thread, local.bot_id()) && !local.remove_from_thread(thread, local.bot_id())
    );
}

#[tokio::test]
async fn a_private_thread_is_for_its_members() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let thread = local.private_thread(general, "secret");
    let mut bot = Bot::start(&local, intents()).await;
    let guild = bot.guild().await;
    assert_eq!(guild.threads.len(), 1);
    local.say(Say::new(thread, anna, "with you"));
    bot.message().await;
    assert!(local.remove_from_thread(thread, local.bot_id()));
    let removed = bot.hear(|heard| match heard {
        Heard::ThreadMembers(update) => Some(update.removed_member_ids),
        _ => None,
    });
    assert_eq!(removed.await[0].get(), local.bot_id().get());
    local.say(Say::new(thread, anna, "without you"));
    let heard = local.say(Say::to_bot(general, anna, "out here"));
    assert_eq!(bot.message().await.id.get(), heard.get());
    assert_eq!(refusal(&get(&local, format!("/channels/{thread}")).await), (403, 50001));
    assert_eq!(refusal(&post(&local, thread, json!({ "content": "x" })).await), (403, 50001));
    let guild = local.guild();
    let active = get(&local, format!("/guilds/{guild}/threads/active")).await.1;
    assert_eq!(active["threads"], json!([]));
    assert!(local.add_to_thread(thread, local.bot_id()));
    assert_eq!(bot.next_events(4).await, ["thread", "thread member", "thread members", "message"]);
    assert_eq!(get(&local, format!("/channels/{thread}")).await.0, 200);
}

#[tokio::test]
async fn a_channel_that_comes_in_sight_brings_its_threads() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let (thread, closed) = (local.thread(general, "idea"), local.thread(general, "closed"));
    local.close_thread(closed, Some(Closed::Archived));
    local.forbid(general, Right::View);
    let mut bot = Bot::start(&local, intents()).await;
    assert_eq!(bot.guild().await.threads.len(), 0);
    local.allow(general, Right::View);
    let synced = bot.hear(|heard| match heard {
        Heard::ThreadSync(threads) => Some(threads),
        _ => None,
    });
    let synced: Vec<u64> = synced.await.iter().map(|thread| thread.id.get()).collect();
    assert_eq!(synced, [thread.get()]);
    local.delete_channel(thread);
    bot.hear(|heard| matches!(heard, Heard::ThreadDelete(it) if it.get() == thread.get()).then_some(()))
        .await;
}

#[tokio::test]
async fn a_forum_has_posts_and_no_messages() {
    let local = local(|_| ()).await;
    let (help, anna) = (local.forum("help"), local.user("anna"));
    let (bug, idea) = (local.tag(help, "bug"), local.tag(help, "idea"));
    let mut bot = Bot::start(&local, intents()).await;
    let guild = bot.guild().await;
    let forum = &guild.channels[&ChannelId::new(help.get())];
    let tags: Vec<_> = forum.available_tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!((tags, forum.kind), (vec!["bug", "idea"], ChannelType::Forum));
    let asked = local.post_in_forum(Say::to_bot(help, anna, "it fails"), "Why?", &[bug]);
    let thread = bot.hear(|heard| match heard {
        Heard::Thread(thread) => Some(thread),
        _ => None,
    });
    let thread = thread.await;
    assert_eq!((thread.id.get(), thread.name.as_str()), (asked.get(), "Why?"));
    assert_eq!(thread.applied_tags[0].get(), bug.get());
    let heard = bot.message().await;
    assert_eq!((heard.id.get(), heard.channel_id.get()), (asked.get(), asked.get()));
    assert_eq!(local.thread_state(asked).unwrap().owner, anna);

    let direct = post(&local, help, json!({ "content": "x" })).await;
    assert_eq!(refusal(&direct), (400, 50008));
    let path = format!("/channels/{help}/threads");
    let start = async |body| call(&local, Method::POST, &path, body).await;
    assert_eq!(mistake(&start(name("x")).await, "message"), "BASE_TYPE_REQUIRED");
    let body = |tags: Value| json!({ "name": "Note", "message": { "content": "see" }, "applied_tags": tags });
    let empty = start(json!({ "name": "x", "message": { "content": " " } })).await;
    assert_eq!(refusal(&empty), (400, 50006));
    assert_eq!(refusal(&start(body(json!([7]))).await), (404, 10087));
    let many = start(body(json!([bug, bug, bug, bug, bug, bug]))).await;
    assert_eq!(mistake(&many, "applied_tags"), "BASE_TYPE_MAX_LENGTH");
    assert_eq!(local.threads(help), [asked], "a refusal opens nothing");
    let (status, made) = start(body(json!([idea]))).await;
    assert_eq!(
        (status.as_u16(), &made["message"]["id"], &made["message"]["content"]),
        (201, &made["id"], &json!("see"))
    );
    assert_eq!(local.answers(id(&made), 1).await[0].id, id(&made));
    assert_eq!(change(&local, id(&made), json!({ "applied_tags": [bug, idea] })).await.0, 200);
    assert_eq!(local.thread_state(id(&made)).unwrap().applied_tags, [bug, idea]);
    let media = local.media_channel("pictures");
    assert_eq!(get(&local, format!("/channels/{media}")).await.1["type"], 16);
    assert_eq!(refusal(&post(&local, media, json!({ "content": "x" })).await), (400, 50008));
}
