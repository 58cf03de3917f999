//! Nothing is left lying about, and nobody is told what is not so: turns that had not begun, turns that nobody wanted any
//! more, the ⏳ and the live line, over kills and failing calls.

use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, Id, Say, What};

use moonlane::turn::Settled;

use crate::crashes::{FOR_EVER, Program, outcome, until};
use crate::support::{ANSWERED, Setup, Stage, routing_with};

/// A stage whose agents only start once there is a file `go` in the project.
async fn slow_to_start() -> Stage {
    let wait = r#"command = { "sh", "-c", 'touch starting; while [ ! -e go ]; do sleep 0.01; done; exec "$@"', "sh" }"#;
    Stage::without_bot(Setup { routing: routing_with(wait), ..Setup::default() }).await
}

async fn starting(stage: &Stage) {
    until("an agent to be started", || stage.work().join("starting").exists().then_some(())).await;
    std::fs::remove_file(stage.work().join("starting")).unwrap();
}

fn go(stage: &Stage) {
    std::fs::write(stage.work().join("go"), "").unwrap();
}

#[tokio::test]
async fn a_turn_whose_prompt_reached_no_agent_runs_after_a_kill() {
    let stage = slow_to_start().await;
    let bot = Program::start(&stage).await;
    let question = stage.say("general", "TEXT:once");
    starting(&stage).await;
    bot.kill().await;
    go(&stage);
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_eq!(stage.answer(question), "once");
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect();
    assert_eq!(prompts, ["TEXT:once"]);
}

#[tokio::test]
async fn a_turn_whose_prompt_reached_no_agent_runs_after_a_stop_of_the_bot() {
    let mut stage = slow_to_start().await;
    stage.start().await;
    let question = stage.say("general", "TEXT:once");
    starting(&stage).await;
    stage.stop().await;
    assert_eq!(stage.answer(question), "");
    go(&stage);
    stage.start().await;
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "once");
}

#[tokio::test]
async fn a_question_that_is_deleted_while_no_bot_is_there_is_not_asked() {
    let mut stage = slow_to_start().await;
    stage.start().await;
    let question = stage.say("general", "TEXT:never");
    starting(&stage).await;
    stage.stop().await;
    stage.discord.delete(question);
    go(&stage);
    stage.start().await;
    assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Cancelled));
    assert!(stage.agent_log().iter().all(|event| event.event != "prompt"));
}

#[tokio::test]
async fn a_question_that_is_edited_while_no_bot_is_there_is_asked_with_its_new_words() {
    let mut stage = slow_to_start().await;
    stage.start().await;
    let edited = stage.say("general", "TEXT:old");
    starting(&stage).await;
    let silenced = stage.say("other", "TEXT:never");
    starting(&stage).await;
    stage.stop().await;
    let me = stage.discord.bot_id();
    stage.discord.edit(edited, &format!("<@{me}> TEXT:new"));
    stage.discord.edit(silenced, "nobody is asked any more");
    go(&stage);
    stage.start().await;
    assert_eq!(stage.settled(silenced).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.settled(edited).await, ANSWERED);
    assert_eq!(stage.answer(edited), "new");
    let asked: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect();
    assert_eq!(asked, ["TEXT:new"]);
}

#[tokio::test]
async fn an_edit_counts_until_an_agent_gets_the_prompt() {
    let mut stage = slow_to_start().await;
    stage.start().await;
    let question = stage.say("general", "TEXT:first");
    starting(&stage).await;
    let me = stage.discord.bot_id();
    stage.discord.edit(question, &format!("<@{me}> TEXT:second"));
    // Taken in after the edit, so the edit is written.
    let elsewhere = stage.say("other", "hello");
    starting(&stage).await;
    go(&stage);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "second");
    stage.settled(elsewhere).await;
}

#[tokio::test]
async fn of_a_turn_that_nobody_wanted_any_more_when_the_bot_was_killed_nothing_else_is_told() {
    let stage = Stage::without_bot(Setup::default()).await;
    let bot = Program::start(&stage).await;
    // It does not end at once, so that the bot can die before it has.
    let question = stage.say("general", "DEAF ;; TEXT:on it ;; STALL");
    stage.prompted("DEAF ;; TEXT:on it ;; STALL").await;
    stage.discord.delete(question);
    let database = stage.root().join("moonlane.db");
    let unwanted = || {
        let database = rusqlite::Connection::open(&database).unwrap();
        let count: i64 = database
            .query_one("SELECT count(*) FROM turns WHERE unwanted = 'deleted'", (), |row| row.get(0))
            .unwrap();
        (count == 1).then_some(())
    };
    until("the deletion to be written", unwanted).await;
    bot.kill().await;
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "cancelled");
    let channel = stage.discord.channel("general");
    assert!(stage.discord.messages(channel).iter().all(|message| !message.by_bot));
}

/// A question that waits behind another one, which is at work until the stage lets it go.
async fn waiting_behind(stage: &Stage) -> Id {
    stage.held("general").await;
    let question = stage.say("general", "TEXT:next");
    stage.reacted(question, "⏳").await;
    question
}

#[tokio::test]
async fn the_reaction_of_a_message_that_waited_goes_whatever_fails() {
    let mut stage = Stage::open().await;
    let question = waiting_behind(&stage).await;
    let removal =
        format!("DELETE /channels/{}/messages/{question}/reactions", stage.discord.channel("general"));
    stage.discord.fail_next(
        1,
        Fault::RateLimited { after: std::time::Duration::from_millis(20), global: false },
        &removal,
    );
    stage.discord.fail_next(1, Fault::Status(500), &removal);
    stage.let_go("first").await;
    assert_eq!(stage.settled(question).await, ANSWERED);
    stage.reaction_taken_off(question, "⏳").await;
}

#[tokio::test]
async fn the_reaction_of_a_message_that_waited_goes_after_a_kill() {
    let stage = Stage::without_bot(Setup::default()).await;
    let bot = Program::start(&stage).await;
    let question = waiting_behind(&stage).await;
    let removal =
        format!("DELETE /channels/{}/messages/{question}/reactions", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &removal);
    stage.let_go("first").await;
    assert_eq!(outcome(&stage, question).await, "answered");
    bot.kill().await;
    let _bot = Program::start(&stage).await;
    stage.reaction_taken_off(question, "⏳").await;
}

#[tokio::test]
async fn a_live_line_goes_after_a_kill_also_one_that_was_not_recorded() {
    for recorded in [true, false] {
        let stage = Stage::without_bot(Setup::default()).await;
        let channel = stage.discord.channel("general");
        if !recorded {
            stage.discord.fail_next(1, Fault::DropAfter, &format!("POST /channels/{channel}/messages"));
        }
        let bot = Program::start(&stage).await;
        let question = stage.say("general", "RETRY:200:100");
        let line = |log: &[moonlane::local::Event]| {
            log.iter().find_map(|event| match &event.what {
                What::Posted(it) if it.by_bot => Some(it.id),
                _ => None,
            })
        };
        let line = crate::support::within("a live line", stage.discord.wait_for(line)).await;
        if recorded {
            let database = stage.root().join("moonlane.db");
            let stands = || {
                let database = rusqlite::Connection::open(&database).unwrap();
                let stands: Option<i64> =
                    database.query_one("SELECT live_line FROM turns", (), |row| row.get(0)).unwrap();
                (stands == Some(line.get().cast_signed())).then_some(())
            };
            until("the live line to be recorded", stands).await;
        }
        bot.kill().await;
        stage.discord.say(Say::new(channel, stage.discord.user("ben"), "what is going on?"));
        let _bot = Program::start(&stage).await;
        assert_eq!(outcome(&stage, question).await, "interrupted");
        until("the live line to go", || stage.discord.message(line).is_none().then_some(())).await;
        assert_eq!(stage.parts(question).len(), 1);
    }
}

#[tokio::test]
async fn what_is_over_and_old_is_forgotten_while_the_bot_runs() {
    let mut stage = Stage::open().await;
    stage.ask("general", "TEXT:old").await;
    stage.ask("general", "TEXT:new").await;
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let aged =
        database.execute("UPDATE messages SET accepted = 0 WHERE id = (SELECT min(id) FROM messages)", ());
    assert_eq!(aged, Ok(1));
    let count =
        || database.query_one("SELECT count(*) FROM messages", (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 2);

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(25 * 60 * 60)).await;
    tokio::time::resume();
    until("the old message to be forgotten", || (count() == 1).then_some(())).await;
}
