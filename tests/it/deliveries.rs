//! Answers that cannot be said at once: they are said later, whole and in order, without a restart.

use moonlane::local::Fault;

use crate::support::{ANSWERED, FAILED, Stage};

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
    ⚠️ Discord did not take this part of the answer. Ask me to say it in other words.
    -# id ID
    ");
    assert!(parts.len() >= 3 && parts[1..].iter().all(|part| !part.content.starts_with('⚠')), "{parts:?}");
    assert_eq!(parts[parts.len() - 1].pinged, [stage.discord.owner()]);

    stage.discord.fail_next(1000, Fault::Status(400), &posts(&stage, "general"));
    let refused = stage.say("general", "TEXT:never");
    assert_eq!(stage.settled(refused).await, FAILED);
}
