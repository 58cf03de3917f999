//! Threads that the bot opens, and those of others: which turns get one, and whose words it takes there.

use moonlane::domain::{ChannelId, Outcome};
use moonlane::local::{Closed, Fault, Id, LocalDiscord, Message, Right, Say, UseCommand};
use moonlane::store::NewChoice;
use moonlane::turn::Settled;

use crate::choices::choose;
use crate::commands::{add_shipped, says};
use crate::support::{ANSWERED, HELD, Setup, Stage, routing_with, within};

/// The project opens threads like this; ada and bob are let in. The bot reads what does not mention it where `reads`.
async fn opening(mode: &str, reads: bool) -> Stage {
    let stage = without_bot(mode, reads).await;
    started(stage).await
}

async fn without_bot(mode: &str, reads: bool) -> Stage {
    let mut setup = Setup::default();
    setup.discord.message_content = reads;
    let stage = Stage::without_bot(setup).await;
    let people = ["ada", "bob"].map(|name| format!("'{}'", stage.discord.user(name))).join(", ");
    let routing = routing_with(&format!("thread = '{mode}',"));
    let allowed = format!("return {{ allow = {{ users = {{ {people} }} }},");
    stage.save("routing.lua", &routing.replacen("return {", &allowed, 1));
    stage
}

async fn started(mut stage: Stage) -> Stage {
    stage.start().await;
    stage
}

/// Somebody writes without a mention.
fn write(stage: &Stage, channel: Id, who: &str, text: &str) -> Id {
    stage.discord.say(Say::new(channel, stage.discord.user(who), text))
}

fn general(stage: &Stage) -> Id {
    stage.discord.channel("general")
}

/// What the bot has said there, in order.
fn said_in(stage: &Stage, channel: Id) -> Vec<String> {
    let ours = |it: &Message| it.by_bot && it.nonce.is_some();
    stage.discord.messages(channel).into_iter().filter(ours).map(|it| it.content).collect()
}

/// The sessions in which prompts were asked, in order.
fn sessions(stage: &Stage) -> Vec<String> {
    let prompts = stage.agent_log().into_iter().filter(|event| event.event == "prompt");
    prompts.map(|event| event.session).collect()
}

#[tokio::test]
async fn a_mention_opens_a_thread_and_goes_on_there_without_one() {
    let mut stage = opening("message", true).await;
    let asked = stage.say_as("ada", "general", "TEXT:first **answer**");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.discord.threads(general(&stage)), [asked]);
    assert_eq!(stage.discord.channel_name(asked).as_deref(), Some("TEXT:first answer"));
    let thread = stage.discord.thread_state(asked).unwrap();
    let ada = stage.discord.user("ada");
    assert_eq!((thread.auto_archive_minutes, thread.members.contains(&ada)), (7 * 24 * 60, true));
    assert_eq!(said_in(&stage, general(&stage)), [""; 0]);
    // Nothing there is a reply, so it says for whom it is.
    assert_eq!(said_in(&stage, asked), [format!("first **answer**\n\n-# For <@{ada}>")]);
    let answer = &stage.parts(asked)[0];
    assert_eq!((answer.reply_to, answer.mentions.clone()), (None, vec![ada]));

    let further = write(&stage, asked, "ada", "TEXT:second");
    assert_eq!(stage.settled(further).await, ANSWERED);
    assert_eq!(stage.answer(further), "second");
    let other = stage.say_as("bob", "general", "TEXT:another");
    assert_eq!(stage.settled(other).await, ANSWERED);
    let sessions = sessions(&stage);
    assert_eq!(sessions[0], sessions[1]);
    assert_ne!(sessions[0], sessions[2]);
    assert_eq!(stage.discord.threads(general(&stage)), [asked, other]);
}

#[tokio::test]
async fn turns_of_two_threads_run_at_once_and_those_of_one_in_order() {
    let mut stage = opening("message", true).await;
    stage.close_gate();
    let held = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let other = stage.say_as("ada", "general", "TEXT:meanwhile");
    assert_eq!(stage.settled(other).await, ANSWERED);
    let behind = write(&stage, held, "ada", "TEXT:behind");
    stage.reacted(behind, "⏳").await;
    stage.let_go("at last").await;
    assert_eq!(stage.settled(behind).await, ANSWERED);
    let answers: Vec<_> = said_in(&stage, held);
    assert!(answers[0].starts_with("at last\n") && answers[1] == "behind", "{answers:?}");
}

#[tokio::test]
async fn a_reply_to_a_task_goes_on_in_its_thread() {
    let mut stage = opening("task", true).await;
    let task = stage.say_as("ada", "general", "TEXT:begun");
    assert_eq!(stage.settled(task).await, ANSWERED);
    let reply = Say {
        mention: true,
        reply_to: Some(task),
        ..Say::new(general(&stage), stage.discord.user("ada"), "TEXT:gone on")
    };
    let reply = stage.discord.say(reply);
    assert_eq!(stage.settled(reply).await, ANSWERED);
    assert_eq!(stage.discord.threads(general(&stage)), [task]);
    let answers = said_in(&stage, task);
    assert!(answers[1].starts_with("gone on"), "{answers:?}");
    // A reply to anything else is a task of its own.
    let talk = write(&stage, general(&stage), "bob", "just talk");
    let new = Say {
        mention: true,
        reply_to: Some(talk),
        ..Say::new(general(&stage), stage.discord.user("ada"), "TEXT:new")
    };
    let new = stage.discord.say(new);
    assert_eq!(stage.settled(new).await, ANSWERED);
    assert_eq!(stage.discord.threads(general(&stage)), [task, new]);
    let sessions = sessions(&stage);
    assert!(sessions[0] == sessions[1] && sessions[0] != sessions[2]);
}

#[tokio::test]
async fn where_it_cannot_read_the_first_answer_says_that_it_must_be_mentioned() {
    let mut stage = opening("message", false).await;
    let asked = stage.say_as("ada", "general", "TEXT:first");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    let ada = stage.discord.user("ada");
    assert_eq!(
        said_in(&stage, asked),
        [format!("first\n\n-# For <@{ada}>\n-# Mention me in this thread, too: I can't read other messages")]
    );
    let unheard = write(&stage, asked, "ada", "TEXT:unheard");
    assert_eq!(stage.settled(unheard).await, Settled::Ignored);
    let mentioned = stage.discord.say(Say::to_bot(asked, ada, "TEXT:heard"));
    assert_eq!(stage.settled(mentioned).await, ANSWERED);
    assert_eq!(stage.answer(mentioned), "heard");
}

#[tokio::test]
async fn in_threads_of_others_it_needs_a_mention_and_stays_there() {
    let mut stage = opening("message", true).await;
    let talk = write(&stage, general(&stage), "bob", "look at this");
    let thread = stage.discord.open_thread(talk, stage.discord.user("bob"), "bob's own");
    let unmentioned = write(&stage, thread, "ada", "TEXT:nobody asked");
    assert_eq!(stage.settled(unmentioned).await, Settled::Ignored);
    let mentioned = stage.discord.say(Say::to_bot(thread, stage.discord.user("ada"), "TEXT:asked"));
    assert_eq!(stage.settled(mentioned).await, ANSWERED);
    assert_eq!(stage.answer(mentioned), "asked");
    assert_eq!(stage.parts(mentioned)[0].reply_to, Some(mentioned));
    assert_eq!(stage.discord.threads(general(&stage)), [thread]);
}

#[tokio::test]
async fn in_its_own_thread_what_begins_with_a_mention_of_somebody_else_is_not_for_it() {
    let mut stage = opening("message", true).await;
    let asked = stage.say_as("ada", "general", "TEXT:first");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    let (bob, me) = (stage.discord.user("bob"), stage.discord.bot_id());
    let to_bob = write(&stage, asked, "ada", &format!("<@{bob}> look"));
    assert_eq!(stage.settled(to_bob).await, Settled::Ignored);
    for text in [format!("TEXT:ask <@{bob}>"), format!("<@{bob}> <@{me}> TEXT:both")] {
        let asked = write(&stage, asked, "ada", &text);
        assert_eq!(stage.settled(asked).await, ANSWERED, "{text}");
    }
    // Nor is what a stranger writes.
    let stranger = write(&stage, asked, "stranger", "TEXT:let me in");
    assert_eq!(stage.settled(stranger).await, Settled::Ignored);
}

#[tokio::test]
async fn where_no_thread_can_be_opened_it_answers_in_the_channel() {
    let mut stage = opening("message", true).await;
    stage.discord.forbid(general(&stage), Right::Threads);
    let asked = stage.say_as("ada", "general", "TEXT:here then");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.discord.threads(general(&stage)), Vec::<Id>::new());
    assert_eq!((stage.answer(asked).as_str(), stage.parts(asked)[0].reply_to), ("here then", Some(asked)));
    // It is a turn of the channel then, like the next.
    stage.close_gate();
    let held = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let behind = stage.say_as("ada", "general", "TEXT:behind");
    stage.reacted(behind, "⏳").await;
    stage.let_go("at last").await;
    assert_eq!(stage.settled(behind).await, ANSWERED);
    assert_eq!(stage.settled(held).await, ANSWERED);
    let sessions = sessions(&stage);
    assert!(sessions.iter().all(|session| *session == sessions[0]), "{sessions:?}");
    // A voice channel's chat has no threads either.
    let voice = stage.discord.voice_channel("talk");
    let asked = stage.discord.say(Say::to_bot(voice, stage.discord.user("ada"), "TEXT:in voice"));
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.answer(asked), "in voice");
    let news = stage.discord.announcement_channel("news");
    let asked = stage.discord.say(Say::to_bot(news, stage.discord.user("ada"), "TEXT:news"));
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.discord.threads(news), [asked]);
}

#[tokio::test]
async fn a_thread_is_opened_however_long_discord_fails_and_only_once() {
    let mut stage = opening("message", true).await;
    stage.discord.fail_next(2, Fault::Status(500), "/threads");
    stage.discord.fail_next(1, Fault::DropAfter, "/threads");
    let asked = stage.say_as("ada", "general", "TEXT:patience");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.discord.threads(general(&stage)), [asked]);
    assert_eq!(said_in(&stage, asked).len(), 1);
}

#[tokio::test]
async fn a_message_that_is_deleted_while_its_thread_is_to_be_opened_starts_nothing() {
    let mut stage = opening("message", true).await;
    stage.discord.fail_next(1, Fault::Status(500), "/threads");
    let asked = stage.say_as("ada", "general", "TEXT:never");
    let tried = |discord: &LocalDiscord| {
        discord.calls().iter().any(|call| call.path.ends_with("/threads")).then_some(())
    };
    within("a try", stage.discord.wait_until(tried)).await;
    stage.discord.delete(asked);
    assert_eq!(stage.settled(asked).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(sessions(&stage), [""; 0]);
}

#[tokio::test]
async fn a_turn_that_is_stopped_or_edited_is_so_in_its_thread_too() {
    let mut stage = opening("message", true).await;
    stage.close_gate();
    let held = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let behind = write(&stage, held, "ada", "TEXT:old words");
    stage.reacted(behind, "⏳").await;
    stage.discord.edit(behind, "TEXT:new words");
    // The message that it was opened from is that of the turn that runs.
    stage.discord.delete(held);
    assert_eq!(stage.settled(held).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.settled(behind).await, ANSWERED);
    assert_eq!(stage.answer(behind), "new words");
    stage.discord.delete_channel(held);
    let again = stage.say_as("ada", "general", "TEXT:on we go");
    assert_eq!(stage.settled(again).await, ANSWERED);
}

#[tokio::test]
async fn an_archived_thread_wakes_up_and_one_that_is_away_is_caught_up_with() {
    let mut stage = opening("message", true).await;
    let asked = stage.say_as("ada", "general", "TEXT:first");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    stage.discord.close_thread(asked, Some(Closed::Archived));
    let woken = write(&stage, asked, "ada", "TEXT:again");
    assert_eq!(stage.settled(woken).await, ANSWERED);
    assert_eq!(stage.answer(woken), "again");
    stage.stop().await;
    let missed = write(&stage, asked, "ada", "TEXT:while away");
    stage.start().await;
    assert_eq!(stage.settled(missed).await, ANSWERED);
    assert_eq!(stage.answer(missed), "while away");
    // Whose thread it is was known from before.
    let sessions = sessions(&stage);
    assert!(sessions.len() == 3 && sessions.iter().all(|session| *session == sessions[0]));
}

#[tokio::test]
async fn a_thread_has_its_channels_choices_until_it_has_its_own() {
    let stage = without_bot("message", true).await;
    choose(&stage, "general", NewChoice::Model(Some("opus".to_owned()))).await;
    let mut stage = started(stage).await;
    let asked = stage.say_as("ada", "general", "MODE");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert!(stage.answer(asked).starts_with("opus "), "{}", stage.answer(asked));
    let thread = ChannelId::new(asked.get()).unwrap();
    stage.stop().await;
    let store = moonlane::store::Store::open(&stage.config().store_path).unwrap();
    let (before, after) = store.set_choice(thread, NewChoice::Model(Some("haiku".to_owned()))).await.unwrap();
    assert_eq!((before.model.as_deref(), after.model.as_deref()), (Some("opus"), Some("haiku")));
    store.close().await;
    stage.start().await;
    let further = write(&stage, asked, "ada", "MODE");
    assert_eq!(stage.settled(further).await, ANSWERED);
    assert!(stage.answer(further).starts_with("haiku "), "{}", stage.answer(further));
}

#[tokio::test]
async fn a_post_of_a_forum_is_a_thread_of_its_own_and_its_tags_can_route_it() {
    let stage = without_bot("message", true).await;
    let (forum, closed) = (stage.discord.forum("bugs"), stage.discord.media_channel("pictures"));
    stage.save("triggers.lua", &format!("return {{ all_messages_in = {{ '{forum}' }} }}"));
    let routing = std::fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap();
    let by_tag = "route = function(message)
        local urgent = table.find(message.channel.tags, 'urgent')
        return { project = 'here', model = urgent and 'opus' or 'haiku' }
    end";
    stage.save("routing.lua", &routing.replace("route = function() return \"here\" end", by_tag));
    let mut stage = started(stage).await;
    let ada = stage.discord.user("ada");
    let (urgent, other) = (stage.discord.tag(forum, "urgent"), stage.discord.tag(forum, "other"));
    let opened = [(vec![other, urgent], "opus"), (vec![other], "haiku"), (Vec::new(), "haiku")];
    for (tags, model) in opened {
        let post = stage.discord.post_in_forum(Say::new(forum, ada, "MODE"), "It crashes", &tags);
        assert_eq!(stage.settled(post).await, ANSWERED);
        assert!(stage.answer(post).starts_with(&format!("{model} ")), "{}", stage.answer(post));
        // Nothing is opened in it.
        assert_eq!((stage.parts(post)[0].channel, stage.parts(post)[0].reply_to), (post, Some(post)));
        let further = write(&stage, post, "ada", "TEXT:further");
        assert_eq!(stage.settled(further).await, ANSWERED);
        assert_eq!(stage.parts(further)[0].channel, post);
    }
    let sessions = sessions(&stage);
    let one_each = |at: usize| sessions[at] == sessions[at + 1];
    assert!(one_each(0) && one_each(2) && one_each(4) && sessions[0] != sessions[2], "{sessions:?}");
    // Elsewhere a post has to mention the bot, and so has whatever follows.
    let silent = stage.discord.post_in_forum(Say::new(closed, ada, "TEXT:nobody asked"), "A picture", &[]);
    assert_eq!(stage.settled(silent).await, Settled::Ignored);
    let asked = stage.discord.post_in_forum(Say::to_bot(closed, ada, "TEXT:asked"), "Another", &[]);
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.answer(asked), "asked");
}

#[tokio::test]
async fn a_command_in_a_post_goes_by_the_posts_tags_like_a_message() {
    let stage = without_bot("never", true).await;
    add_shipped(&stage);
    let (forum, keepers) = (stage.discord.forum("bugs"), stage.discord.role("keepers"));
    let routing = std::fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap();
    let vault = format!("projects = {{ vault = {{ dir = 'WORK', allow = {{ roles = {{ '{keepers}' }} }} }},");
    let by_tag = "route = function(message)
        return table.find(message.channel.tags, 'secret') and 'vault' or 'here'
    end";
    let routing = routing.replace("projects = {", &vault);
    stage.save("routing.lua", &routing.replace("route = function() return \"here\" end", by_tag));
    let stage = started(stage).await;
    let ada = stage.discord.user("ada");
    let secret = stage.discord.tag(forum, "secret");
    for (tags, told) in
        [(vec![secret], "You don't have access here."), (Vec::new(), "The next turn here: here · ")]
    {
        let post = stage.discord.post_in_forum(Say::new(forum, ada, "hello"), "A post", &tags);
        let used = stage.discord.use_command(UseCommand::new(post, ada, "status")).unwrap();
        let status = says(&stage, used).await;
        let shown = format!("{} {:?}", status.content, status.embeds);
        assert!(shown.contains(told), "{shown}");
    }
}

/// This example of scripts/README.md, for the channels and the project of this stage; everybody with the role is let in.
fn example(stage: &Stage, name: &str, channels: &[(&str, Id)]) -> String {
    let readme = include_str!("../../scripts/README.md");
    let (_, rest) = readme.split_once(&format!("```lua\n-- {name}\n")).unwrap();
    let mut example = rest.split("```").next().unwrap().to_owned();
    let role = stage.discord.role("team");
    for (there, here) in channels.iter().copied().chain([("231200000000000002", role)]) {
        assert!(example.contains(there), "{there}");
        example = example.replace(there, &here.to_string());
    }
    for person in ["ada", "bob"] {
        stage.discord.give_role(stage.discord.user(person), role);
    }
    example.replace("\"~/src/site\"", "\"WORK\", env = { DEMO_AGENT_LOG = \"LOG\" }, footer = false")
}

#[tokio::test]
async fn the_readmes_project_with_a_thread_for_each_task_works() {
    let stage = without_bot("never", true).await;
    let tasks = stage.discord.channel("tasks");
    stage.save(
        "routing.lua",
        &example(&stage, "routing.lua, with a thread for each task", &[("231200000000000004", tasks)]),
    );
    let mut stage = started(stage).await;
    let task = stage.say_as("ada", "tasks", "TEXT:begun");
    assert_eq!(stage.settled(task).await, ANSWERED);
    let reply = Say {
        mention: true,
        reply_to: Some(task),
        ..Say::new(tasks, stage.discord.user("bob"), "TEXT:more")
    };
    let reply = stage.discord.say(reply);
    assert_eq!(stage.settled(reply).await, ANSWERED);
    let further = write(&stage, task, "ada", "TEXT:further");
    assert_eq!(stage.settled(further).await, ANSWERED);
    assert_eq!(stage.discord.threads(tasks), [task]);
    assert_eq!(said_in(&stage, task).len(), 3);
}

#[tokio::test]
async fn the_readmes_forum_works() {
    let stage = without_bot("never", true).await;
    let forum = stage.discord.forum("bugs");
    stage.save("routing.lua", &example(&stage, "routing.lua, for a forum", &[("231200000000000006", forum)]));
    stage.save("triggers.lua", &format!("return {{ all_messages_in = {{ '{forum}' }} }}"));
    let mut stage = started(stage).await;
    let ada = stage.discord.user("ada");
    let urgent = stage.discord.tag(forum, "urgent");
    for (tags, answer) in [(vec![urgent], "opus plan"), (Vec::new(), "sonnet plan")] {
        let post = stage.discord.post_in_forum(Say::new(forum, ada, "MODE"), "It crashes", &tags);
        assert_eq!(stage.settled(post).await, ANSWERED);
        assert_eq!(stage.answer(post), answer);
    }
    // What is said elsewhere is not routed.
    let elsewhere = write(&stage, general(&stage), "ada", "TEXT:elsewhere");
    assert_eq!(stage.settled(elsewhere).await, Settled::Ignored);
}

/// How many threads are at work at once.
const AT_WORK: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_posts_of_a_forum_are_at_work_at_once() {
    let stage = without_bot("never", true).await;
    let (forum, team) = (stage.discord.forum("bugs"), stage.discord.role("team"));
    stage.save("triggers.lua", &format!("return {{ all_messages_in = {{ '{forum}' }} }}"));
    let allowed = format!("return {{ allow = {{ roles = {{ '{team}' }} }},");
    stage.save("routing.lua", &routing_with("").replacen("return {", &allowed, 1));
    let mut stage = started(stage).await;
    let before = stage.discord.calls().len();
    let begun = std::time::Instant::now();
    let posts: Vec<Id> = (0..AT_WORK)
        .map(|n| {
            let person = stage.discord.user(&format!("person {n}"));
            stage.discord.give_role(person, team);
            let say = Say::new(forum, person, format!("TEXT:answer {n}"));
            stage.discord.post_in_forum(say, &format!("Post {n}"), &[])
        })
        .collect();
    for (n, post) in posts.iter().enumerate() {
        assert_eq!(stage.settled(*post).await, ANSWERED);
        assert_eq!(stage.answer(*post), format!("answer {n}"));
    }
    let took = begun.elapsed();
    let calls = &stage.discord.calls()[before..];
    let of = |method: &str, path: &str| {
        calls.iter().filter(|call| call.method == method && call.path.ends_with(path)).count()
    };
    let sessions: std::collections::HashSet<String> = sessions(&stage).into_iter().collect();
    assert_eq!(sessions.len(), AT_WORK);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!(
        "{AT_WORK} posts: {took:.1?}, {} calls to Discord ({} messages, {} typing, {} others), {} sessions, {memory} with the local Discord",
        calls.len(),
        of("POST", "/messages"),
        of("POST", "/typing"),
        calls.len() - of("POST", "/messages") - of("POST", "/typing"),
        sessions.len(),
    );
    assert!(calls.iter().all(|call| call.status.is_some_and(|status| status < 400)));
}

/// A use of a command in a channel.
async fn use_in(stage: &Stage, channel: Id, who: &str, name: &str, options: &[(&str, &str)]) -> String {
    let mut used = UseCommand::new(channel, stage.discord.user(who), name);
    for (key, value) in options {
        used = used.option(*key, *value);
    }
    says(stage, stage.discord.use_command(used).unwrap()).await.content
}

#[tokio::test]
async fn a_task_thread_is_opened_by_a_command_with_a_prompt_or_without() {
    let stage = without_bot("never", true).await;
    add_shipped(&stage);
    let mut stage = started(stage).await;
    let here = general(&stage);
    let told = use_in(&stage, here, "ada", "new", &[("prompt", "TEXT:from a command")]).await;
    assert_eq!(told, "Opening a thread for: TEXT:from a command");
    let answered = |discord: &LocalDiscord| {
        let threads = discord.threads(here);
        let thread = *threads.first()?;
        discord.messages(thread).iter().any(|it| it.content.starts_with("from a command")).then_some(thread)
    };
    let thread = within("an answer in a thread", stage.discord.wait_until(answered)).await;
    // It is opened from the prompt, which stands in the channel.
    assert_eq!(said_in(&stage, here), ["**ada** asks:\nTEXT:from a command"]);
    assert!(stage.discord.message(thread).unwrap().content.contains("asks:"));
    let ada = stage.discord.user("ada");
    assert!(stage.discord.thread_state(thread).unwrap().members.contains(&ada));
    let further = write(&stage, thread, "ada", "TEXT:further");
    assert_eq!(stage.settled(further).await, ANSWERED);
    let sessions = sessions(&stage);
    assert_eq!(sessions[0], sessions[1]);
    insta::assert_snapshot!(
        use_in(&stage, thread, "ada", "new", &[]).await, @"⚠️ A thread can't hold another one. Use this in its channel."
    );
    let told = use_in(&stage, thread, "ada", "here", &[]).await;
    insta::assert_snapshot!(told.replace(&sessions[0], "SESSION").replace(&here.to_string(), "GENERAL"), @"
    This thread of <#GENERAL> works on **here**.
    Its session has 2 turns, the last one just now. Claude Code knows it as `SESSION`.
    ");

    let told = use_in(&stage, here, "ada", "new", &[]).await;
    let empty = *stage.discord.threads(here).last().unwrap();
    assert_eq!(told, format!("Write to me in <#{empty}>."));
    assert_eq!(stage.discord.channel_name(empty).as_deref(), Some("Task of ada"));
    let first = write(&stage, empty, "ada", "TEXT:what to do");
    assert_eq!(stage.settled(first).await, ANSWERED);
    stage.discord.forbid(here, Right::Threads);
    insta::assert_snapshot!(use_in(&stage, here, "ada", "new", &[]).await, @"⚠️ I may not open threads here. An admin can give me the permission Create Public Threads.");
    insta::assert_snapshot!(use_in(&stage, here, "ada", "here", &[]).await, @"
    This channel works on **here**.
    It has no session yet; the next message begins one.
    ");
}
