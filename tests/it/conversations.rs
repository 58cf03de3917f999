//! What people see: a mention is answered, a follow-up is understood, a message waits its turn.

use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{DropGateway, RateLimits, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, Say, What};
use moonlane::turn::Settled;

use crate::busy::Stopwatch;
use crate::support::{ANSWERED, Setup, Stage, routing_with, within};

#[tokio::test]
async fn a_mention_is_answered_as_a_reply_that_pings_only_who_asked() {
    let mut stage = Stage::open().await;
    let question = stage.say("general", "TEXT:Hello there, @everyone!");
    assert_eq!(stage.settled(question).await, ANSWERED);

    let parts = stage.parts(question);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].content, "Hello there, @everyone!");
    assert_eq!(parts[0].reply_to, Some(question));
    assert_eq!(parts[0].pinged, [stage.discord.owner()]);
    assert!(!parts[0].mention_everyone);
    assert_eq!(parts[0].flags & SUPPRESS_EMBEDS, SUPPRESS_EMBEDS);

    let log = stage.discord.log();
    let typing = log.iter().position(|e| matches!(e.what, What::Typing { .. })).expect("typing was shown");
    let posted = log.iter().position(|e| matches!(&e.what, What::Posted(it) if it.by_bot)).unwrap();
    assert!(typing < posted);
}

#[tokio::test]
async fn a_follow_up_goes_to_the_same_process_and_session_and_a_restart_resumes_it() {
    let mut stage = Stage::open().await;
    stage.ask("general", "TEXT:one").await;
    stage.ask("general", "TEXT:two").await;
    stage.stop().await;
    stage.start().await;
    stage.ask("general", "TEXT:three").await;
    let said = stage.ask("general", "SAY").await;
    assert!(said.contains("TEXT:one") && said.contains("TEXT:three"), "the session remembers: {said}");

    let log = stage.agent_log();
    let prompts: Vec<_> = log.iter().filter(|event| event.event == "prompt").collect();
    assert_eq!(prompts[0].pid, prompts[1].pid);
    assert_ne!(prompts[1].pid, prompts[2].pid);
    assert!(prompts.iter().all(|prompt| prompt.session == prompts[0].session));
}

#[tokio::test]
async fn only_who_is_let_in_and_speaks_to_the_bot_is_heard() {
    let mut stage = Stage::with(Setup {
        routing: routing_with("allow = { users = { \"1234567890\" } }")
            .replace("return {", "return { allow = { users = {}, roles = {} },"),
        ..Setup::default()
    })
    .await;
    let channel = stage.discord.channel("general");
    let owner = stage.discord.owner();
    let stranger = stage.discord.user("stranger");
    let (bot, webhook) =
        (stage.discord.other_bot("other"), Say { webhook: true, ..Say::to_bot(channel, owner, "hi") });
    let silent = [
        stage.discord.say(Say::to_bot(channel, stranger, "let me in")),
        stage.discord.say(Say::to_bot(channel, bot, "beep")),
        stage.discord.say(webhook),
        stage.discord.say(Say::new(channel, owner, "not for the bot")),
        stage.discord.say(Say { everyone: true, ..Say::new(channel, owner, "hear me") }),
    ];
    for message in silent {
        assert_eq!(stage.settled(message).await, Settled::Ignored);
    }
    stage.discord.system_message(channel, owner, 7);

    let by_name = stage.discord.say(Say::to_bot(channel, owner, "TEXT:by name"));
    assert_eq!(stage.settled(by_name).await, ANSWERED);
    let answer = stage.parts(by_name)[0].id;
    let reply =
        stage.discord.say(Say { reply_to: Some(answer), ..Say::new(channel, owner, "TEXT:by reply") });
    assert_eq!(stage.settled(reply).await, ANSWERED);

    let prompts = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect::<Vec<_>>();
    assert_eq!(prompts, ["TEXT:by name", "TEXT:by reply"]);
}

#[tokio::test]
async fn the_bots_own_role_counts_as_its_name_where_discord_shows_the_text() {
    let by_role = |stage: &Stage| {
        let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
        stage.discord.say(Say { by_role: true, ..Say::new(channel, owner, "TEXT:by role") })
    };
    let mut blind = Stage::open().await;
    let question = by_role(&blind);
    assert_eq!(blind.settled(question).await, Settled::Said);
    insta::assert_snapshot!(blind.answer(question), @"Discord hides the text of that message from me. Mention me directly, not my role.");

    let mut setup = Setup {
        triggers: "return function(m) return m.mentions_me and m.text end".to_owned(),
        ..Setup::default()
    };
    setup.discord.message_content = true;
    let mut seeing = Stage::with(setup).await;
    let question = by_role(&seeing);
    assert_eq!(seeing.settled(question).await, ANSWERED);
    assert_eq!(seeing.answer(question), "by role");
}

#[tokio::test]
async fn a_role_lets_in_and_a_projects_rule_replaces_the_global_one() {
    let stage = Stage::without_bot(Setup::default()).await;
    let (helper, guest) = (stage.discord.user("helper"), stage.discord.user("guest"));
    let role = stage.discord.role("helpers");
    stage.discord.give_role(helper, role);
    let open = stage.discord.channel("open");
    let routing = format!(
        r#"return {{
            allow = {{ roles = {{ "{role}" }} }},
            projects = {{
                here = {{ dir = "WORK" }},
                open = {{ dir = "WORK", allow = {{ users = {{ "{guest}" }} }} }},
            }},
            channels = {{ ["{open}"] = "open" }},
            route = function() return "here" end,
        }}"#
    );
    let work = stage.work().display().to_string();
    std::fs::write(stage.root().join("scripts/routing.lua"), routing.replace("WORK", &work)).unwrap();
    let mut stage = stage;
    stage.start().await;
    for (person, channel, expected) in [
        ("helper", "general", ANSWERED),
        ("guest", "general", Settled::Ignored),
        ("helper", "open", Settled::Ignored),
        ("guest", "open", ANSWERED),
        ("owner", "open", ANSWERED),
    ] {
        let message = stage.say_as(person, channel, "TEXT:in");
        assert_eq!(stage.settled(message).await, expected, "{person} in #{channel}");
    }
}

#[tokio::test]
async fn a_channel_without_a_project_gets_one_hint() {
    let mut stage = Stage::with(Setup {
        routing: r#"return { projects = { site = { dir = "WORK" } }, channels = { ["123"] = "site" } }"#
            .to_owned(),
        ..Setup::default()
    })
    .await;
    let channel = stage.discord.channel("general").to_string();
    let question = stage.say("general", "hello");
    assert_eq!(stage.settled(question).await, Settled::Said);
    let hint = stage.answer(question).replace(&channel, "CHANNEL");
    insta::assert_snapshot!(hint, @r#"This channel has no project yet. Add `["CHANNEL"] = "NAME"` to `channels` in routing.lua, where NAME is one of your projects."#);
    let stranger = stage.say_as("stranger", "general", "hello");
    assert_eq!(stage.settled(stranger).await, Settled::Ignored);
}

#[tokio::test]
async fn a_thread_works_in_its_parents_project_in_a_session_of_its_own() {
    let stage = Stage::without_bot(Setup::default()).await;
    let parent = stage.discord.channel("site");
    let routing = format!(
        r#"return {{ projects = {{ site = {{ dir = "{}", env = {{ DEMO_AGENT_LOG = "{}" }} }} }},
                    channels = {{ ["{parent}"] = "site" }} }}"#,
        stage.work().display(),
        stage.root().join("agent.log").display()
    );
    std::fs::write(stage.root().join("scripts/routing.lua"), routing).unwrap();
    let mut stage = stage;
    stage.start().await;
    assert_eq!(stage.ask("site", "TEXT:above").await, "above");
    assert_eq!(stage.ask("site/idea", "TEXT:below").await, "below");
    let sessions: std::collections::HashSet<_> =
        stage.agent_log().into_iter().filter(|e| e.event == "prompt").map(|e| e.session).collect();
    assert_eq!(sessions.len(), 2);
}

#[tokio::test]
async fn three_messages_are_answered_in_order_and_those_that_wait_show_it() {
    let mut stage = Stage::open().await;
    let first = stage.say("general", "SLEEP:0.3 ;; TEXT:first");
    stage.prompted("SLEEP:0.3 ;; TEXT:first").await;
    let second = stage.say("general", "TEXT:second");
    let third = stage.say("general", "TEXT:third");
    for message in [second, third] {
        stage.reacted(message, "⏳").await;
    }
    for message in [first, second, third] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    for message in [second, third] {
        stage.reaction_taken_off(message, "⏳").await;
    }
    let channel = stage.discord.channel("general");
    let said: Vec<String> =
        stage.discord.messages(channel).into_iter().filter(|m| m.by_bot).map(|m| m.content).collect();
    assert_eq!(said, ["first", "second", "third"]);

    let times = stage.work_times();
    let (first, second, third) =
        (times["SLEEP:0.3 ;; TEXT:first"], times["TEXT:second"], times["TEXT:third"]);
    assert!(first.1 <= second.0 && second.1 <= third.0, "one channel's turns never overlap: {times:?}");
}

#[tokio::test]
async fn different_channels_work_at_the_same_time() {
    let mut stage = Stage::open().await;
    let (a, b) = (stage.say("a", "SLEEP:0.4 ;; TEXT:a"), stage.say("b", "SLEEP:0.4 ;; TEXT:b"));
    stage.settled(a).await;
    stage.settled(b).await;
    let times = stage.work_times();
    let (a, b) = (times["SLEEP:0.4 ;; TEXT:a"], times["SLEEP:0.4 ;; TEXT:b"]);
    assert!(a.0 < b.1 && b.0 < a.1, "they overlap: {times:?}");
}

#[tokio::test]
async fn an_edited_message_is_asked_as_edited_and_a_deleted_one_is_not_asked() {
    let mut stage = Stage::open().await;
    let first = stage.say("general", "SLEEP:0.5 ;; TEXT:first");
    stage.prompted("SLEEP:0.5 ;; TEXT:first").await;
    let edited = stage.say("general", "TEXT:before");
    let deleted = stage.say("general", "TEXT:never");
    let taken_back = stage.say("general", "TEXT:nobody asks");
    stage.reacted(taken_back, "⏳").await;
    let bot = stage.discord.bot_id();
    stage.discord.edit(edited, &format!("<@{bot}> TEXT:after"));
    stage.discord.edit(taken_back, "never mind");
    stage.discord.delete(deleted);

    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(edited).await, ANSWERED);
    assert_eq!(stage.settled(deleted).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.settled(taken_back).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.answer(edited), "after");
    assert!(stage.parts(deleted).is_empty() && stage.parts(taken_back).is_empty());
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect();
    assert_eq!(prompts, ["SLEEP:0.5 ;; TEXT:first", "TEXT:after"]);
}

#[tokio::test]
async fn a_message_deleted_while_it_is_worked_on_stops_its_turn_and_frees_the_lane() {
    let mut stage = Stage::open().await;
    let question = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    stage.discord.delete(question);
    assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Cancelled));
    assert!(stage.parts(question).is_empty());
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn an_event_that_comes_twice_makes_one_turn_also_over_a_resume() {
    let mut stage = Stage::open().await;
    let question = stage.say("general", "TEXT:once");
    stage.discord.redeliver(question);
    assert_eq!(stage.settled(question).await, ANSWERED);
    stage.discord.drop_gateway(DropGateway::Cut);
    let missed = stage.say("general", "TEXT:said during the drop");
    assert_eq!(stage.settled(missed).await, ANSWERED);
    stage.discord.redeliver(question);
    stage.discord.redeliver(missed);
    // Whatever the doubles would have started would stand before this one.
    assert_eq!(stage.ask("general", "TEXT:last").await, "last");
    let channel = stage.discord.channel("general");
    let said: Vec<_> =
        stage.discord.messages(channel).into_iter().filter(|m| m.by_bot).map(|m| m.content).collect();
    assert_eq!(said, ["once", "said during the drop", "last"]);
}

#[tokio::test]
async fn a_long_answer_arrives_whole_under_discords_rate_limits() {
    let mut setup = Setup::default();
    setup.discord.rate_limits = RateLimits::On;
    let mut stage = Stage::with(setup).await;
    let question = stage.say("general", "LONG:9000");
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    assert!(parts.len() >= 5, "{} parts", parts.len());
    let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let whole: String = parts.iter().map(|part| letters(&part.content)).collect();
    let last = parts.len() - 1;
    for (n, part) in parts.iter().enumerate() {
        let silent = part.flags & SUPPRESS_NOTIFICATIONS != 0;
        assert_eq!(silent, n != last, "only the last part may notify");
        assert_eq!(part.reply_to.is_some(), n == 0 || n == last, "first and last are replies");
    }
    let raw = stage.ask("other", "LONG:9000").await;
    assert_eq!(whole.len(), letters(&raw).len());
    assert!(whole.len() > 7000, "{}", whole.len());
}

#[tokio::test]
async fn what_nobody_allows_is_named_below_the_answer() {
    let routing = routing_with("limits = { question = 0.05 }");
    let mut stage = Stage::with(Setup { routing, ..Setup::default() }).await;
    let answer = stage.ask("general", "ASK:Bash:rm -rf x ;; TEXT:I could not").await;
    insta::assert_snapshot!(answer, @"
    Bash was denied: Nobody answered within a moment, so this is denied: the person is away. Do what can be done without it, and say at the end what is left and why.

    I could not

    -# Not allowed here: `Bash(rm -rf x)`. To allow it, add `Bash(rm *)` to `projects.here.allowed_tools` in routing.lua
    ");
}

#[tokio::test]
async fn another_directory_means_a_new_session_and_the_person_is_told() {
    let mut stage = Stage::open().await;
    stage.ask("general", "TEXT:one").await;
    stage.stop().await;
    let moved = stage.root().join("moved");
    std::fs::create_dir(&moved).unwrap();
    let routing = stage.root().join("scripts/routing.lua");
    let text = std::fs::read_to_string(&routing).unwrap();
    let work = format!("dir = \"{}\"", stage.work().display());
    std::fs::write(&routing, text.replace(&work, &format!("dir = \"{}\"", moved.display()))).unwrap();
    stage.start().await;
    insta::assert_snapshot!(stage.ask("general", "TEXT:two").await, @"
    two

    -# This project has moved to another directory, so this is a new conversation
    ");
}

#[tokio::test]
async fn a_stop_tells_who_is_being_worked_for_and_keeps_who_waits() {
    let mut stage = Stage::open().await;
    let running = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    let waiting = stage.say("general", "TEXT:after the restart");
    stage.reacted(waiting, "⏳").await;
    let began = Stopwatch::start();
    stage.stop().await;
    assert!(began.is_within(Duration::from_secs(10)), "{began:?}");
    insta::assert_snapshot!(stage.answer(running), @"
    ⚠️ I was stopped while working on this, so it isn't finished. Check what was done, then ask again.
    -# id ID
    ");
    assert!(stage.parts(waiting).is_empty());
    stage.start().await;
    within("the waiting turn", stage.parts_posted(waiting, 1)).await;
    assert_eq!(stage.answer(waiting), "after the restart");
    assert_eq!(stage.parts(running).len(), 1);
}

#[tokio::test]
async fn a_part_that_was_posted_but_not_recorded_is_found_in_the_channel_long_after_its_nonce() {
    let mut stage = Stage::open().await;
    let question = stage.say("general", "LONG:5000");
    assert_eq!(stage.settled(question).await, ANSWERED);
    let before = stage.parts(question);
    assert!(before.len() >= 3);
    stage.stop().await;
    // What a crash leaves between Discord's answer and the record: the last two parts are not recorded, and the
    // very last one was not even posted.
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let last = before.len();
    database.execute("UPDATE parts SET posted = NULL WHERE number >= ?1", [(last - 1) as i64]).unwrap();
    database.execute("UPDATE deliveries SET state = 'open'", ()).unwrap();
    drop(database);
    stage.discord.delete(before[last - 1].id);
    stage.discord.forget_nonces();

    stage.start().await;
    stage.parts_posted(question, before.len() + 1).await;
    stage.stop().await;
    let texts =
        |parts: &[moonlane::local::Message]| parts.iter().map(|p| p.content.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&stage.parts(question)), texts(&before));
}
