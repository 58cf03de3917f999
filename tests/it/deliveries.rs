//! Answers that cannot be said at once: they are said later, whole and in order, without a restart.

use std::time::Duration;

use moonlane::local::{Closed, Fault, Id, Right, Say};

use crate::crashes::FOR_EVER;
use crate::support::{ANSWERED, FAILED, Setup, Stage, routing_with, within};

/// The requests that post into this channel.
fn posts(stage: &Stage, channel: &str) -> String {
    format!("POST /channels/{}/messages", stage.discord.channel(channel))
}

#[tokio::test]
async fn an_answer_whose_ledger_fails_goes_on_once_it_can_be_written_again() {
    let mut stage = Stage::open().await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let broken =
        "CREATE TRIGGER broken BEFORE UPDATE OF posted ON parts BEGIN SELECT RAISE(ABORT, 'broken'); END";
    database.execute_batch(broken).unwrap();

    let question = stage.say("general", "LONG:5000");
    stage.parts_posted(question, 1).await;
    let behind = stage.say("general", "TEXT:behind");
    stage.reacted(behind, "⏳").await;
    // As if it took minutes, so that only the channel itself tells what stands there.
    stage.discord.forget_nonces();
    database.execute_batch("DROP TRIGGER broken").unwrap();

    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    let numbers: Vec<_> = parts.iter().map(|part| part.nonce.clone().unwrap()).collect();
    let expected: Vec<_> = (1..=parts.len()).map(|number| format!("{question}-{number}")).collect();
    assert!(parts.len() >= 3 && numbers == expected, "each part once, in order: {numbers:?}");
    assert_eq!(stage.settled(behind).await, ANSWERED);
    assert!(
        stage.parts(behind)[0].id > parts[parts.len() - 1].id,
        "answers keep the order of their questions"
    );
}

#[tokio::test]
async fn words_that_discord_refuses_are_left_out_and_the_rest_is_said() {
    let mut stage = Stage::open().await;
    stage.discord.fail_next(1, Fault::Status(400), &posts(&stage, "general"));
    let question = stage.say("general", "LONG:5000");
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    let told = stage.answer(question).lines().take(2).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(told, @"
    ⚠️ Discord refused this part of the answer. Ask me to rephrase it.
    -# id ID
    ");
    assert!(parts.len() >= 3 && parts[1..].iter().all(|part| !part.content.starts_with('⚠')), "{parts:?}");
    assert_eq!(parts[parts.len() - 1].pinged, [stage.discord.owner()]);

    stage.discord.fail_next(1000, Fault::Status(400), &posts(&stage, "general"));
    let refused = stage.say("general", "TEXT:never");
    assert_eq!(stage.settled(refused).await, FAILED);
}

/// That the parts of an answer are there, each once and in order; how many.
fn whole(stage: &Stage, question: Id) -> usize {
    let numbers: Vec<_> = stage.parts(question).into_iter().filter_map(|part| part.nonce).collect();
    let expected: Vec<_> = (1..=numbers.len()).map(|number| format!("{question}-{number}")).collect();
    assert_eq!(numbers, expected);
    numbers.len()
}

#[tokio::test]
async fn an_answer_waits_while_a_permission_is_missing_and_no_turn_begins_behind_it() {
    let mut stage = Stage::open().await;
    let channel = stage.discord.channel("general");
    for right in [Right::Post, Right::View] {
        let question = stage.held("general").await;
        stage.discord.forbid(channel, right);
        stage.let_go("worth waiting for").await;
        stage.refused_to_post("general").await;
        // The bot hears of messages where it may not write, but not where it may not look.
        let behind = (right == Right::Post).then(|| stage.say("general", "TEXT:behind"));
        stage.discord.allow(channel, right);
        assert_eq!(stage.settled(question).await, ANSWERED);
        assert_eq!(stage.answer(question), "worth waiting for");
        if let Some(behind) = behind {
            assert_eq!(stage.settled(behind).await, ANSWERED);
            assert!(stage.parts(behind)[0].id > stage.parts(question)[0].id);
            let at =
                |prompt: &str| stage.agent_log().iter().position(|it| it.prompt.as_deref() == Some(prompt));
            assert!(at("TEXT:behind").is_some());
        }
        std::fs::remove_file(stage.work().join("gate")).unwrap();
    }
}

#[tokio::test]
async fn no_turn_that_waits_begins_where_the_bot_may_not_write() {
    let config = "[agent]\nmax_running = 1".to_owned();
    let mut stage = Stage::with(Setup { config, ..Setup::default() }).await;
    let channel = stage.discord.channel("general");
    let first = stage.held("general").await;
    let waiting = stage.say("general", "TEXT:waited");
    stage.reacted(waiting, "⏳").await;
    stage.discord.forbid(channel, Right::Post);
    // So that there is nothing to be said of the first one.
    stage.discord.delete(first);
    let refused = |discord: &moonlane::local::LocalDiscord| {
        let is_it = |call: &moonlane::local::Call| {
            call.path == format!("/channels/{channel}/typing") && call.status == Some(403)
        };
        discord.calls().iter().any(is_it).then_some(())
    };
    within("a refusal to type", stage.discord.wait_until(refused)).await;
    // It holds up nobody else.
    assert_eq!(stage.ask("other", "TEXT:elsewhere").await, "elsewhere");
    assert!(stage.agent_log().iter().all(|event| event.prompt.as_deref() != Some("TEXT:waited")));
    stage.discord.allow(channel, Right::Post);
    assert_eq!(stage.settled(waiting).await, ANSWERED);
    assert_eq!(stage.answer(waiting), "waited");
    stage.reaction_taken_off(waiting, "⏳").await;
}

#[tokio::test]
async fn an_answer_for_a_closed_thread_is_said_once_it_is_open_again() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let ops = stage.discord.channel("ops");
    stage.configure(&format!("[scripts]\nnotify_channel = '{ops}'\n"));
    stage.start().await;
    let thread = stage.discord.thread(stage.discord.channel("general"), "task");
    stage.discord.close_thread(thread, Some(Closed::Locked));
    let question = stage.discord.say(Say::to_bot(thread, stage.discord.owner(), "LONG:5000"));
    let refused = |discord: &moonlane::local::LocalDiscord| {
        let calls = discord.calls();
        calls.iter().any(|call| call.method == "PATCH" && call.status == Some(403)).then_some(())
    };
    within("a refusal to open the thread", stage.discord.wait_until(refused)).await;
    let told = stage.discord.wait_until(|discord| discord.messages(ops).into_iter().next());
    let told = within("word for the operators", told).await.content;
    assert!(
        told.ends_with("waits: the thread is locked. Unlock it, or give me the permission Manage Threads."),
        "{told}"
    );
    stage.discord.close_thread(thread, None);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(whole(&stage, question) >= 3);

    // Where the bot may, it opens the thread itself.
    stage.discord.close_thread(thread, Some(Closed::Archived));
    let question = stage.discord.say(Say::to_bot(thread, stage.discord.owner(), "TEXT:here"));
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "here");
}

#[tokio::test]
async fn an_answer_that_is_refused_for_too_long_is_given_up_and_the_operators_hear_of_it() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let (ops, channel) = (stage.discord.channel("ops"), stage.discord.channel("general"));
    stage.configure(&format!("[discord]\nkeep_trying = '1ms'\n[scripts]\nnotify_channel = '{ops}'\n"));
    stage.start().await;
    stage.discord.forbid(channel, Right::Post);
    let question = stage.say("general", "TEXT:never said");
    assert_eq!(stage.settled(question).await, FAILED);
    let told = stage.discord.wait_until(|discord| discord.messages(ops).into_iter().next());
    let told = within("word for the operators", told).await.content;
    let short = moonlane::domain::MessageId::new(question.get()).unwrap().short();
    let told = told.replace(&short, "ID").replace(&channel.to_string(), "CHANNEL");
    insta::assert_snapshot!(told, @r#"I gave up on an answer in <#CHANNEL> (ID): Discord kept refusing it, last with "forbidden: 403 Forbidden: Missing Permissions (50013)". Ask there again once I can post in that channel."#);
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let kept: String = database.query_one("SELECT text FROM parts", (), |row| row.get(0)).unwrap();
    assert_eq!(kept, "never said", "what Claude wrote is kept as long as the turn");
}

#[tokio::test]
async fn who_deletes_the_question_stops_the_rest_of_a_long_answer() {
    let routing = routing_with("format = { max_parts = false }");
    let mut stage = Stage::with(Setup { routing, ..Setup::default() }).await;
    let posts = posts(&stage, "general");
    stage.discord.fail_next(2, Fault::Delay(Duration::ZERO), &posts);
    // Also not when the bot tries again, however slow the machine is.
    stage.discord.fail_next(usize::MAX, Fault::Delay(FOR_EVER), &posts);
    let question = stage.say("general", "LONG:400000");
    stage.parts_posted(question, 2).await;
    stage.discord.delete(question);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.parts(question).len(), 2);
    stage.discord.heal();
    // Nothing of it comes after a restart.
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
    assert_eq!(stage.parts(question).len(), 2);
}

#[tokio::test]
async fn who_deletes_a_question_while_its_answer_waits_for_its_lane_gets_none_of_it() {
    let mut stage = Stage::open().await;
    let channel = stage.discord.channel("general");
    stage.discord.forbid(channel, Right::Post);
    // A bare mention gets a hint, which is no turn.
    let hints = [stage.say("general", ""), stage.say("general", "")];
    stage.refused_to_post("general").await;
    stage.stop().await;
    stage.start().await;
    stage.discord.delete(hints[1]);
    // What comes later is taken in later.
    assert_eq!(stage.ask("other", "TEXT:elsewhere").await, "elsewhere");
    stage.stop().await;
    stage.start().await;
    stage.discord.allow(channel, Right::Post);
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
    assert_eq!(hints.map(|hint| stage.parts(hint).len()), [1, 0]);
}
