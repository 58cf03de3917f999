//! A database that cannot be written, as where its disk is full: nothing is lost, and nothing is said that it does not
//! hold.

use std::time::Duration;

use moonlane::local::{Fault, What};
use moonlane::turn::Settled;

use crate::crashes::{FOR_EVER, Program, outcome};
use crate::support::{ANSWERED, Setup, Stage, routing_with, within};

/// Lets the database refuse a kind of step, as it does where its disk is full, until the returned connection is given
/// to [`works_again`].
fn refuses(stage: &Stage, step: &str) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    refuses_too(&database, "full", step);
    database
}

fn refuses_too(database: &rusqlite::Connection, name: &str, step: &str) {
    let sql = format!(
        "CREATE TRIGGER {name} BEFORE {step} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    );
    database.execute_batch(&sql).unwrap();
}

fn works_again(database: rusqlite::Connection) {
    database.execute_batch("DROP TRIGGER full").unwrap();
}

/// All that the bot has ever said, edited ones too.
fn all_said(stage: &Stage) -> Vec<String> {
    let said = |event: moonlane::local::Event| match event.what {
        What::Posted(message) if message.by_bot => Some(message.content),
        _ => None,
    };
    stage.discord.log().into_iter().filter_map(said).collect()
}

/// What the bot logs of a step that it tries again.
const TRIED: &str = "the database fails; next try";

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_kept_and_said_once_it_can_be() {
    let setup = Setup { config: "[agent]\nmax_running = 1".to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let bot = Program::start(&stage).await;
    let question = stage.held("general").await;
    let full = refuses(&stage, "INSERT ON deliveries");
    stage.let_go("worth keeping").await;
    bot.logged(TRIED).await;
    // It holds up its own channel, but no other.
    stage.say("general", "TEXT:behind");
    let elsewhere = stage.say("other", "TEXT:elsewhere");
    stage.prompted("TEXT:elsewhere").await;
    assert_eq!(all_said(&stage), [""; 0]);
    works_again(full);
    assert_eq!(outcome(&stage, elsewhere).await, "answered");
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_eq!(stage.answer(question), "worth keeping");
    let behind = stage.say("general", "TEXT:behind too");
    assert_eq!(outcome(&stage, behind).await, "answered");
    let mut said = all_said(&stage);
    said.sort();
    assert_eq!(said, ["behind", "behind too", "elsewhere", "worth keeping"]);
}

#[tokio::test]
async fn edits_that_cannot_be_written_count_once_they_can_be_and_the_last_one_last() {
    let stage = Stage::without_bot(Setup::default()).await;
    let bot = Program::start(&stage).await;
    stage.held("general").await;
    let edited = stage.say("general", "TEXT:first");
    stage.reacted(edited, "⏳").await;
    let full = refuses(&stage, "UPDATE OF prompt ON turns");
    let me = stage.discord.bot_id();
    stage.discord.edit(edited, &format!("<@{me}> TEXT:second"));
    bot.logged(TRIED).await;
    stage.discord.edit(edited, &format!("<@{me}> TEXT:third"));
    // What is said after it is taken in after it.
    let after = stage.say("other", "TEXT:after");
    assert_eq!(outcome(&stage, after).await, "answered");
    stage.let_go("done").await;
    works_again(full);
    assert_eq!(outcome(&stage, edited).await, "answered");
    assert_eq!(stage.answer(edited), "third");
}

#[tokio::test]
async fn a_turn_that_cannot_be_written_as_begun_waits_and_runs_once() {
    for step in ["UPDATE OF state ON turns", "INSERT ON sessions"] {
        let stage = Stage::without_bot(Setup::default()).await;
        let bot = Program::start(&stage).await;
        let full = refuses(&stage, step);
        let question = stage.say("general", "TEXT:once");
        bot.logged(TRIED).await;
        works_again(full);
        assert_eq!(outcome(&stage, question).await, "answered", "{step}");
        assert_eq!(all_said(&stage), ["once"]);
        assert_eq!(stage.agent_log().iter().filter(|event| event.event == "prompt").count(), 1);
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_written_is_refused_once_per_channel_and_holds_up_nobody() {
    let mut stage = Stage::open().await;
    let full = refuses(&stage, "INSERT ON messages");
    let slow = stage.discord.channel("slow");
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &format!("POST /channels/{slow}/messages"));
    stage.say("slow", "TEXT:not written");
    let first = stage.say("general", "TEXT:not written");
    let second = stage.say("general", "TEXT:not written");
    for message in [first, second] {
        assert_eq!(stage.settled(message).await, Settled::Ignored);
    }
    stage.parts_posted(first, 1).await;
    insta::assert_snapshot!(stage.answer(first), @"
    ⚠️ I couldn't save your message, so I didn't start. Tell whoever runs this bot the id, then ask again.
    -# id ID
    ");
    works_again(full);
    assert_eq!(stage.ask("general", "TEXT:written").await, "written");
    assert_eq!(stage.answer(second), "");
    assert_eq!(stage.agent_log().iter().filter(|event| event.event == "prompt").count(), 1);
}

#[tokio::test]
async fn who_was_told_to_ask_again_is_answered_only_then() {
    let mut stage = Stage::open().await;
    stage.ask("general", "TEXT:before").await;
    let full = refuses(&stage, "INSERT ON messages");
    refuses_too(&full, "places_full", "UPDATE ON places");
    let told = stage.say("general", "TEXT:told");
    let not_told = stage.say("general", "TEXT:not told");
    for message in [told, not_told] {
        assert_eq!(stage.settled(message).await, Settled::Ignored);
    }
    stage.parts_posted(told, 1).await;
    // What was seen cannot be written either, so the next bot reads it again.
    stage.stop().await;
    full.execute_batch("DROP TRIGGER places_full").unwrap();
    works_again(full);
    stage.start().await;
    assert_eq!(stage.settled(not_told).await, ANSWERED);
    assert_eq!(stage.ask("general", "TEXT:asked again").await, "asked again");
    assert_eq!(stage.parts(told).len(), 1);
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect();
    assert_eq!(prompts, ["TEXT:before", "TEXT:not told", "TEXT:asked again"]);
}

#[tokio::test]
async fn a_message_that_was_refused_is_refused_also_when_discord_delivers_it_again() {
    let mut stage = Stage::open().await;
    let full = refuses(&stage, "INSERT ON messages");
    let told = stage.say("general", "TEXT:told");
    assert_eq!(stage.settled(told).await, Settled::Ignored);
    stage.parts_posted(told, 1).await;
    works_again(full);
    stage.forget_settled(told);
    stage.discord.redeliver(told);
    assert_eq!(stage.settled(told).await, Settled::Ignored);
    assert_eq!(stage.ask("general", "TEXT:asked again").await, "asked again");
    assert_eq!(stage.parts(told).len(), 1);
}

#[tokio::test]
async fn nothing_is_taken_in_while_the_disk_is_nearly_full() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let ops = stage.discord.channel("ops");
    let config = stage.root().join("config/moonlane.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    let full = format!("{before}\n[store]\nmin_free = '1000PiB'\n[scripts]\nnotify_channel = '{ops}'\n");
    std::fs::write(&config, full).unwrap();
    stage.start().await;
    let refused = stage.say("general", "TEXT:no room");
    assert_eq!(stage.settled(refused).await, Settled::Ignored);
    stage.parts_posted(refused, 1).await;
    insta::assert_snapshot!(stage.answer(refused), @"
    ⚠️ My disk is nearly full, so I'm not taking messages for now. Tell whoever runs this bot, and ask again once there is room.
    -# id ID
    ");
    let told = stage.discord.wait_until(|discord| discord.messages(ops).into_iter().next());
    let told = within("word for the operators", told).await.content;
    insta::assert_snapshot!(told, @"The disk that holds my database is nearly full, so I'm not taking messages until there is room (`store.min_free`).");
    stage.stop().await;

    std::fs::write(&config, before).unwrap();
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:room").await, "room");
}

#[tokio::test]
async fn a_stop_that_cannot_be_written_is_tried_again_without_haste() {
    let routing = routing_with("live = 'off', format = { max_parts = false }");
    let stage = Stage::without_bot(Setup { routing, ..Setup::default() }).await;
    let bot = Program::start(&stage).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(2, Fault::Delay(Duration::ZERO), &posts);
    // Also not when the bot tries again, however slow the machine is.
    stage.discord.fail_next(usize::MAX, Fault::Delay(FOR_EVER), &posts);
    let question = stage.say("general", "LONG:400000");
    stage.parts_posted(question, 2).await;
    let full = refuses(&stage, "UPDATE OF state ON deliveries");
    stage.discord.delete(question);
    bot.logged("a delivery is stuck; next try in 2s").await;
    works_again(full);
    assert_eq!(bot.times_logged("a delivery is stuck"), 2);
    stage.discord.heal();
    let next = stage.say("general", "TEXT:next");
    assert_eq!(outcome(&stage, next).await, "answered");
    assert_eq!(stage.parts(question).len(), 2, "the rest is not posted");
}

#[tokio::test]
async fn a_turn_whose_end_needs_what_cannot_be_read_waits_for_it() {
    let stage = Stage::without_bot(Setup::default()).await;
    let bot = Program::start(&stage).await;
    let held = stage.held("general").await;
    let homeless = stage.say("general", "TEXT:where am I?");
    stage.reacted(homeless, "⏳").await;
    stage.save("routing.lua", r#"return { projects = { other = { dir = "WORK" } } }"#);
    bot.logged("the scripts now route other channels").await;
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    database.execute_batch("ALTER TABLE choices RENAME TO away").unwrap();
    stage.let_go("done").await;
    assert_eq!(outcome(&stage, held).await, "answered");
    bot.logged(TRIED).await;
    database.execute_batch("ALTER TABLE away RENAME TO choices").unwrap();
    assert_eq!(outcome(&stage, homeless).await, "failed");
    assert!(stage.answer(homeless).contains("is no longer in routing.lua"), "{}", stage.answer(homeless));
}
