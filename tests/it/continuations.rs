//! A turn that a usage limit has refused, and what comes of it at the reset.

use moonlane::local::{EPHEMERAL, Fault, Id};

use crate::commands::says;
use crate::crashes::{FOR_EVER, Program, change, key, outcome, stored, until};
use crate::support::{Setup, Stage, routing_with};

/// A stage on which ada and bob are let in, and a turn goes on at the reset itself.
async fn stage() -> Stage {
    stage_with("0").await
}

/// The same, but that it goes on up to this much later.
async fn stage_with(spread: &str) -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let_in_with(&stage, &["ada", "bob"], spread);
    stage.start().await;
    stage
}

fn let_in(stage: &Stage, people: &[&str]) {
    let_in_with(stage, people, "0");
}

fn let_in_with(stage: &Stage, people: &[&str], spread: &str) {
    let users: Vec<_> = people.iter().map(|name| format!("'{}'", stage.discord.user(name))).collect();
    let allowed = format!("return {{ allow = {{ users = {{ {} }} }},", users.join(", "));
    let routing = routing_with(&format!("limits = {{ continue_spread = {spread} }}"));
    stage.save("routing.lua", &routing.replacen("return {", &allowed, 1));
}

/// Ada asks something that is refused; her question, and the message that says so.
async fn refused(stage: &mut Stage, prompt: &str) -> (Id, Id) {
    let question = stage.say_as("ada", "general", prompt);
    stage.settled(question).await;
    let posted = stage.parts(question).last().expect("an answer").id;
    (question, posted)
}

fn press(stage: &Stage, posted: Id, person: &str, what: &str, question: Id) -> Option<Id> {
    let person = if person == "owner" { stage.discord.owner() } else { stage.discord.user(person) };
    stage.discord.press(posted, person, &format!("{what}:{question}")).ok()
}

/// Waits until a message has this in it; its text without times.
async fn shows(stage: &Stage, posted: Id, words: &str) -> String {
    let text = until(words, || {
        let message = stage.discord.message(posted)?;
        message.content.contains(words).then_some(message.content)
    })
    .await;
    let (head, rest) = text.split_once("<t:").unwrap_or((&text, ":R>"));
    head.to_owned() + rest.split_once(":R>").map_or("", |(_, rest)| rest)
}

fn prompts(stage: &Stage) -> Vec<String> {
    stage.agent_log().into_iter().filter(|it| it.event == "prompt").filter_map(|it| it.prompt).collect()
}

/// Waits until a turn that goes on has answered this question.
async fn went_on(stage: &Stage, question: Id) -> String {
    let general = stage.discord.channel("general");
    until("the answer of the turn that goes on", || {
        let mut answers = stage.discord.messages(general).into_iter();
        answers
            .find(|it| {
                it.by_bot && it.reply_to == Some(question) && it.content.contains("I went on with this")
            })
            .map(|it| it.content)
    })
    .await
}

#[tokio::test]
async fn it_goes_on_at_the_reset_where_the_asker_or_an_operator_wants_it() {
    for person in ["ada", "owner"] {
        let mut stage = stage().await;
        let (question, posted) = refused(&mut stage, "TEXT:Half of it. ;; LIMIT:2").await;
        let offered = shows(&stage, posted, "Resets").await.replace(&short(question), "ID");
        let not_theirs = press(&stage, posted, "bob", "continue", question).unwrap();
        let not_theirs = says(&stage, not_theirs).await;
        assert_ne!(not_theirs.flags & EPHEMERAL, 0);
        press(&stage, posted, person, "continue", question).unwrap();
        let answer = went_on(&stage, question).await;
        let begun = shows(&stage, posted, "Goes on now").await.replace(&short(question), "ID");
        insta::allow_duplicates! {
            insta::assert_snapshot!(offered, @"
            Half of it.

            ⚠️ The account's usage limit is reached.
            -# id ID
            Resets .
            ");
            insta::assert_snapshot!(not_theirs.content, @"Only the person who asked, or an operator, may decide this.");
            insta::assert_snapshot!(begun.lines().last().unwrap(), @"Goes on now.");
        }
        assert!(answer.contains("turn 2 of this session") && answer.contains("> Continue."), "{answer}");
        assert_eq!(prompts(&stage), ["TEXT:Half of it. ;; LIMIT:2", "Continue."]);
        assert!(press(&stage, posted, "ada", "leave", question).is_none(), "the buttons are gone");
    }
}

fn short(message: Id) -> String {
    moonlane::domain::MessageId::new(message.get()).unwrap().short()
}

#[tokio::test]
async fn a_session_goes_on_once_however_many_of_its_turns_were_refused() {
    let mut stage = stage().await;
    let (one, first) = refused(&mut stage, "LIMIT:2").await;
    let (two, second) = refused(&mut stage, "LIMIT:1").await;
    press(&stage, first, "ada", "continue", one).unwrap();
    shows(&stage, first, "Goes on").await;
    press(&stage, second, "ada", "continue", two).unwrap();
    shows(&stage, first, "Goes on now").await;
    shows(&stage, second, "Goes on now").await;
    went_on(&stage, one).await;
    stage.ask("general", "TEXT:done").await;
    assert_eq!(prompts(&stage), ["LIMIT:2", "LIMIT:1", "Continue.", "TEXT:done"]);
}

#[tokio::test]
async fn it_is_left_or_cancelled() {
    let mut stage = stage().await;
    let (left, posted) = refused(&mut stage, "LIMIT:1").await;
    press(&stage, posted, "ada", "leave", left).unwrap();
    until("no buttons", || press(&stage, posted, "ada", "leave", left).is_none().then_some(())).await;
    let (cancelled, posted) = refused(&mut stage, "LIMIT:600").await;
    press(&stage, posted, "ada", "continue", cancelled).unwrap();
    let wanted = shows(&stage, posted, "Goes on").await;
    insta::assert_snapshot!(wanted.lines().last().unwrap(), @"Goes on .");
    assert!(press(&stage, posted, "ada", "continue", cancelled).is_none(), "only a Cancel button is left");
    press(&stage, posted, "ada", "leave", cancelled).unwrap();
    shows(&stage, posted, "Resets").await;
    let count = "SELECT count(*) FROM continuations WHERE state = 'left' AND due IS NULL";
    assert_eq!(stored(&stage, count, ()), Some(2));
    assert_eq!(prompts(&stage), ["LIMIT:1", "LIMIT:600"]);
}

#[tokio::test]
async fn nothing_is_offered_where_the_reset_is_not_known_and_one_that_is_over_is_now() {
    let mut stage = stage().await;
    let (question, posted) = refused(&mut stage, "LIMIT").await;
    assert!(press(&stage, posted, "ada", "continue", question).is_none());
    let (question, posted) = refused(&mut stage, "LIMIT:99999999").await;
    assert!(press(&stage, posted, "ada", "continue", question).is_none());
    let (question, posted) = refused(&mut stage, "LIMIT:-5").await;
    press(&stage, posted, "ada", "continue", question).unwrap();
    went_on(&stage, question).await;
}

#[tokio::test]
async fn whoever_has_lost_access_by_then_is_told_so() {
    let mut stage = stage().await;
    let (question, posted) = refused(&mut stage, "LIMIT:600").await;
    press(&stage, posted, "ada", "continue", question).unwrap();
    shows(&stage, posted, "Goes on").await;
    stage.stop().await;
    let_in(&stage, &["bob"]);
    change(&stage, "UPDATE continuations SET due = 1", ());
    stage.start().await;
    let general = stage.discord.channel("general");
    until("a refusal", || {
        let said = stage.discord.messages(general);
        said.iter().any(|it| it.by_bot && it.content.contains("You no longer have access")).then_some(())
    })
    .await;
    assert_eq!(prompts(&stage), ["LIMIT:600"]);
}

#[tokio::test]
async fn it_does_not_go_on_without_its_question_or_its_conversation() {
    let mut stage = stage().await;
    let (question, posted) = refused(&mut stage, "LIMIT:600").await;
    press(&stage, posted, "ada", "continue", question).unwrap();
    shows(&stage, posted, "Goes on").await;
    stage.discord.delete(question);
    shows(&stage, posted, "does not go on").await;

    // Deleted while nobody heard of it.
    let (gone, posted) = refused(&mut stage, "LIMIT:601").await;
    press(&stage, posted, "ada", "continue", gone).unwrap();
    shows(&stage, posted, "Goes on").await;
    stage.stop().await;
    stage.discord.delete(gone);
    change(&stage, "UPDATE continuations SET due = 1 WHERE state = 'wanted'", ());
    stage.start().await;
    let ended = "SELECT count(*) FROM turns WHERE prompt = 'Continue.' AND state = 'cancelled'";
    until("its end", || stored::<i64>(&stage, ended, ()).filter(|count| *count == 1)).await;

    let (question, posted) = refused(&mut stage, "LIMIT:602").await;
    press(&stage, posted, "ada", "continue", question).unwrap();
    shows(&stage, posted, "Goes on").await;
    stage.stop().await;
    change(&stage, "DELETE FROM sessions", ());
    change(&stage, "UPDATE continuations SET due = 1 WHERE state = 'wanted'", ());
    stage.start().await;
    shows(&stage, posted, "does not go on").await;
    assert_eq!(prompts(&stage), ["LIMIT:600", "LIMIT:601", "LIMIT:602"]);
}

#[tokio::test]
async fn a_random_part_of_the_spread_comes_after_the_reset() {
    let mut stage = stage_with("'1h'").await;
    let mut later = Vec::new();
    for n in 0..6 {
        let question = stage.say_as("ada", &format!("channel-{n}"), "LIMIT:600");
        stage.settled(question).await;
        let posted = stage.parts(question).last().expect("an answer").id;
        press(&stage, posted, "ada", "continue", question).unwrap();
        shows(&stage, posted, "Goes on").await;
        let of = |column: &str| {
            let sql = format!("SELECT {column} FROM continuations WHERE message = ?1");
            stored::<i64>(&stage, &sql, [key(question)]).unwrap()
        };
        let (due, resets) = (of("due"), of("resets"));
        let told = stage.discord.message(posted).unwrap().content;
        assert!(told.contains(&format!("Goes on <t:{}:R>.", due / 1000)), "{told}");
        later.push(due - resets * 1000);
    }
    assert!(later.iter().all(|it| (0..=3_600_000).contains(it)), "{later:?}");
    assert!(later.iter().any(|it| *it != later[0]), "{later:?}");
}

#[tokio::test]
async fn it_goes_on_once_the_spread_is_over_too() {
    let mut stage = stage_with("1").await;
    let (question, posted) = refused(&mut stage, "LIMIT:1").await;
    press(&stage, posted, "ada", "continue", question).unwrap();
    went_on(&stage, question).await;
    let when = "SELECT accepted - due FROM continuations JOIN messages ON id = turn";
    assert!(stored::<i64>(&stage, when, ()).is_some_and(|late| late >= 0), "not before it is due");
}

#[tokio::test]
async fn a_kill_between_a_press_and_its_record_leaves_the_offer_as_it_was() {
    let stage = Stage::without_bot(Setup::default()).await;
    let_in(&stage, &["ada", "bob"]);
    let bot = Program::start(&stage).await;
    let question = stage.say_as("ada", "general", "LIMIT:600");
    let posted = stage.parts_posted(question, 1).await[0].id;
    until("its record", || {
        stored::<i64>(&stage, "SELECT posted FROM parts WHERE message = ?1 AND posted > 0", [key(question)])
            .filter(|it| *it == key(posted))
    })
    .await;
    // Whoever writes the decision is never done with it.
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    database
        .execute_batch(
            "CREATE VIEW for_ever AS
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;
             CREATE TRIGGER stuck BEFORE UPDATE ON continuations BEGIN SELECT max(i) FROM for_ever; END;",
        )
        .unwrap();
    press(&stage, posted, "ada", "continue", question).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(2)).unwrap();
    let is_stuck = || database.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err().then_some(());
    until("the write", is_stuck).await;
    bot.kill().await;
    database.execute_batch("DROP TRIGGER stuck; DROP VIEW for_ever").unwrap();
    drop(database);

    let _bot = Program::start(&stage).await;
    let state = || stored::<String>(&stage, "SELECT state || ' ' || shown FROM continuations", ());
    assert_eq!(state().as_deref(), Some("offered offered"));
    assert!(shows(&stage, posted, "Resets").await.ends_with("Resets ."));
    press(&stage, posted, "ada", "continue", question).unwrap();
    shows(&stage, posted, "Goes on").await;
    until("the new state", || state().filter(|it| it == "wanted wanted")).await;
    assert_eq!(prompts(&stage), ["LIMIT:600"]);
}

/// At each step of the way the bot is killed, and the next one goes on with it: nothing is lost, nothing is done twice.
#[tokio::test]
async fn a_kill_at_any_step_loses_nothing_and_does_nothing_twice() {
    let stage = Stage::without_bot(Setup::default()).await;
    let_in(&stage, &["ada", "bob"]);
    let general = stage.discord.channel("general");
    let (posts, edits) = (format!("POST /channels/{general}/messages"), format!("PATCH /channels/{general}"));

    // Posted, and not recorded.
    stage.discord.fail_next(1, Fault::DropAfter, &posts);
    let bot = Program::start(&stage).await;
    let question = stage.say_as("ada", "general", "LIMIT:600");
    stage.parts_posted(question, 1).await;
    bot.kill().await;
    let bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "failed");
    let parts = stage.parts(question);
    assert_eq!(parts.len(), 1, "{parts:#?}");
    let posted = parts[0].id;
    assert_eq!(
        stored(&stage, "SELECT posted FROM parts WHERE message = ?1", [key(question)]),
        Some(key(posted))
    );

    // Written down, and not shown.
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &edits);
    press(&stage, posted, "ada", "continue", question).unwrap();
    let state = "SELECT state || ' ' || shown FROM continuations";
    let states = |wanted: &'static str| {
        let stage = &stage;
        async move { until(wanted, || stored::<String>(stage, state, ()).filter(|it| it == wanted)).await }
    };
    states("wanted offered").await;
    bot.kill().await;
    let bot = Program::start(&stage).await;
    shows(&stage, posted, "Goes on").await;
    states("wanted wanted").await;
    bot.kill().await;

    // Due while no bot ran, and killed once it is accepted, before it has begun.
    change(&stage, "UPDATE continuations SET due = 1", ());
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &format!("POST /channels/{general}/typing"));
    let bot = Program::start(&stage).await;
    let accepted = "SELECT count(*) FROM turns WHERE prompt = 'Continue.' AND state = 'waiting'";
    until("it is accepted", || stored::<i64>(&stage, accepted, ()).filter(|count| *count == 1)).await;
    bot.kill().await;
    assert_eq!(prompts(&stage), ["LIMIT:600"]);
    let bot = Program::start(&stage).await;
    went_on(&stage, question).await;
    states("begun begun").await;
    bot.kill().await;
    let _bot = Program::start(&stage).await;
    let next = stage.say_as("ada", "general", "TEXT:next");
    assert_eq!(outcome(&stage, next).await, "answered");
    assert_eq!(prompts(&stage), ["LIMIT:600", "Continue.", "TEXT:next"]);
}

#[tokio::test]
async fn a_warning_is_told_once_in_its_window() {
    let mut stage = stage().await;
    let first = stage.ask("general", "WARN:91 ;; TEXT:one").await;
    assert!(
        first.starts_with("one\n\n-# 91 % of the account's 5-hour limit is used; it resets <t:"),
        "{first}"
    );
    assert_eq!(stage.ask("general", "WARN:92 ;; TEXT:two").await, "two");
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.ask("general", "WARN:93 ;; TEXT:three").await, "three");
    // As if that had been an earlier window.
    stage.stop().await;
    change(&stage, "UPDATE limit_warnings SET resets = resets - 18000", ());
    stage.start().await;
    let next = stage.ask("general", "WARN:94 ;; TEXT:four").await;
    assert!(next.contains("94 %"), "{next}");
}
