//! The gateway's half of the fault test: each fault of the gateway, while turns wait, run, and are being delivered, and
//! while somebody asks who is not heard at once. It prints a table, and nothing may be lost or said twice in any cell.
//!
//! ```console
//! cargo test --locked --test it gateway_faults -- --nocapture
//! ```

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use moonlane::local::{DropGateway, Fault, Options, RateLimits};

use crate::evidence::{Evidence, Question, a_project_per_channel, channel_name, rows};
use crate::fault_table::{Judged, assert_right, seconds, table, until_done};
use crate::support::{Setup, Stage, within};
use crate::verdict::Wrong;

/// What must never happen.
const NEVER: [Wrong; 7] = [
    Wrong::Lost,
    Wrong::Twice,
    Wrong::Overlap,
    Wrong::ToldThenRun,
    Wrong::Stuck,
    Wrong::Unseen,
    Wrong::Failed,
];

/// What the gateway does, and what it then does to so many attempts to be back.
#[derive(Clone, Copy)]
struct Bad {
    name: &'static str,
    how: DropGateway,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Good,
    Refuses(usize),
    TurnsAway(usize),
    /// The bot ends with an error, and is started again.
    EndsTheBot,
}

const fn bad(name: &'static str, how: DropGateway, then: Then) -> Bad {
    Bad { name, how, then }
}

const OP9: DropGateway = DropGateway::Op9 { resumable: false };

const FAULTS: [Bad; 12] = [
    bad("1006", DropGateway::Cut, Then::Good),
    bad("4000", DropGateway::Close(4000), Then::Good),
    bad("4004", DropGateway::Close(4004), Then::EndsTheBot),
    bad("4009", DropGateway::Close(4009), Then::Good),
    bad("4009, three times", DropGateway::Close(4009), Then::TurnsAway(2)),
    bad("4014", DropGateway::Close(4014), Then::EndsTheBot),
    bad("op 7", DropGateway::Op7, Then::Good),
    bad("op 9, resumable", DropGateway::Op9 { resumable: true }, Then::Good),
    bad("op 9", OP9, Then::Good),
    bad("op 9, three times", OP9, Then::TurnsAway(2)),
    bad("refused", DropGateway::Cut, Then::Refuses(3)),
    bad("silent", DropGateway::Silence, Then::Good),
];

/// The states, and the prompt of the turn in each.
const STATES: [(&str, &str); 4] = [
    ("waiting", "TEXT:waited"),
    ("running", "SLEEP:1 ;; TEXT:ran"),
    ("delivering", "TEXT:one ;; LONG:5500"),
    ("said meanwhile", "TEXT:heard later"),
];

#[tokio::test]
async fn no_fault_of_the_gateway_loses_an_answer_or_says_it_twice() {
    let outcomes = join_all(FAULTS.map(under)).await;
    let lines = FAULTS.iter().zip(&outcomes);
    let lines: Vec<_> = lines.map(|(bad, (cells, _))| (bad.name.to_owned(), cells.clone())).collect();
    let table = table("gateway fault, done after", &STATES.map(|(state, _)| state), &lines);
    assert_right(&table, &outcomes.iter().map(|(_, judged)| judged).collect::<Vec<_>>());
    let count = |what| outcomes.iter().map(|(_, judged)| judged.verdict.count(what)).sum::<usize>();
    println!("lost {}, twice {}", count(Wrong::Lost) + count(Wrong::Unseen), count(Wrong::Twice));
}

/// Lets the fault hit a bot that has a turn in each state. The line of the table, and what is wrong.
async fn under(bad: Bad) -> (Vec<String>, Judged) {
    let discord = Options {
        rate_limits: RateLimits::Off,
        // Else a gateway that is silent is not noticed for most of a minute.
        heartbeat: Duration::from_secs(2),
        ..Options::default()
    };
    let routing = a_project_per_channel(STATES.len());
    let mut stage = Stage::with(Setup { routing, discord, ..Setup::default() }).await;
    let mut questions = Vec::new();
    let [waiting, running, delivering, meanwhile] = [0, 1, 2, 3].map(channel_name);
    // Whoever was never heard in a channel is not looked for there.
    let before = ask(&stage, &meanwhile, "TEXT:before", &mut questions);
    stage.settled(before.into()).await;

    stage.close_gate();
    let ahead = ask(&stage, &waiting, "READ:gate ;; TEXT:ahead", &mut questions);
    let waits = ask(&stage, &waiting, STATES[0].1, &mut questions);
    ask(&stage, &running, STATES[1].1, &mut questions);
    let posts = format!("POST /channels/{}/messages", stage.discord.channel(&delivering));
    stage.discord.fail_next(1, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Delay(Duration::from_secs(1)), &posts);
    let delivered = ask(&stage, &delivering, STATES[2].1, &mut questions);
    stage.reacted(waits.into(), "⏳").await;
    stage.parts_posted(delivered.into(), 1).await;

    match bad.then {
        Then::Refuses(connects) => stage.discord.refuse_gateway(connects),
        Then::TurnsAway(attempts) => stage.discord.turn_sessions_away(attempts, bad.how),
        Then::Good | Then::EndsTheBot => {}
    }
    assert!(rows(stage.root()).get(&ahead).is_some_and(|row| row.is_open()), "{}: too late", bad.name);
    let began = Instant::now();
    stage.discord.drop_gateway(bad.how);
    if bad.then == Then::EndsTheBot {
        let why = within("the bot's end", stage.failed()).await;
        assert!(why.contains("Developer Portal"), "{why}");
        stage.stop().await;
    }
    ask(&stage, &meanwhile, STATES[3].1, &mut questions);
    match bad.then {
        Then::EndsTheBot => stage.start().await,
        _ => stage.let_go("").await,
    }
    let mut done = vec![None; questions.len()];
    until_done(&stage.discord, || {
        let rows = rows(stage.root());
        for (question, done) in questions.iter().zip(&mut done) {
            if done.is_none() && rows.get(&question.message).is_some_and(|row| !row.is_open()) {
                *done = Some(began.elapsed());
            }
        }
        done.iter().all(Option::is_some)
    })
    .await;
    stage.stop().await;
    let judged = Judged::by(&NEVER, Evidence::of(&stage.discord, stage.root(), questions.clone()));
    let cells = STATES.map(|(_, prompt)| {
        let place = questions.iter().position(|it| it.texts[0].1 == prompt).unwrap();
        let done = done[place].map_or_else(|| "not done".to_owned(), seconds);
        judged.cell(questions[place].message).unwrap_or(done)
    });
    (cells.to_vec(), judged)
}

fn ask(stage: &Stage, channel: &str, prompt: &str, questions: &mut Vec<Question>) -> u64 {
    let message = stage.say(channel, prompt).get();
    questions.push(Question { message, texts: vec![(SystemTime::now(), prompt.to_owned())], deleted: None });
    message
}

#[tokio::test]
async fn sessions_that_do_not_last_begin_ever_more_slowly() {
    let storms = [DropGateway::Close(4009), OP9].map(async |how| {
        let stage = Stage::open().await;
        stage.discord.turn_sessions_away(usize::MAX, how);
        stage.discord.drop_gateway(how);
        let begun = |discord: &moonlane::local::LocalDiscord| {
            let begun = discord.identifies();
            (begun.len() >= 4).then_some(begun)
        };
        let begun = within("four sessions", stage.discord.wait_until(begun)).await;
        let waits: Vec<_> = begun.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
        println!("{how:?}: IDENTIFYs after {waits:?} s");
        // The first one follows a session that was just begun, too.
        assert!(waits.iter().all(|wait| *wait >= 4) && waits[2] >= 7, "{how:?}: {waits:?}");
    });
    join_all(storms).await;
}

#[tokio::test]
async fn a_bot_that_has_used_up_its_sessions_begins_none_until_it_may() {
    let mut stage = Stage::open().await;
    stage.ask("general", "TEXT:before").await;
    let allowed = Instant::now() + Duration::from_secs(8);
    stage.discord.allow_sessions(0, Duration::from_secs(8));
    stage.discord.drop_gateway(OP9);
    let message = stage.say("general", "TEXT:after");
    stage.settled(message).await;
    let begun = stage.discord.identifies();
    assert_eq!(begun.len(), 2);
    assert!(begun[1] >= allowed, "{:?} too early", allowed - begun[1]);
    assert_eq!(stage.answer(message), "after");
}

#[tokio::test]
async fn a_session_that_cannot_be_resumed_is_tried_once_a_second_at_most() {
    let stage = Stage::open().await;
    let how = DropGateway::Op9 { resumable: true };
    stage.discord.turn_sessions_away(usize::MAX, how);
    stage.discord.drop_gateway(how);
    let asked = |discord: &moonlane::local::LocalDiscord| {
        let asked = discord.resumes();
        (asked.len() >= 5).then_some(asked)
    };
    let asked = within("five attempts", stage.discord.wait_until(asked)).await;
    let waits: Vec<_> = asked.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    // On a busy machine one may come late, and the next one in time.
    assert!(waits.iter().sum::<u128>() >= 4 * 900 && waits.iter().all(|wait| *wait >= 500), "{waits:?} ms");
    assert_eq!(stage.discord.identifies().len(), 1);
}
