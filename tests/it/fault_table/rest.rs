//! Each fault of REST, in each state of a turn.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use moonlane::local::Fault;

use super::disk::ask;
use super::{Judged, assert_right, seconds, table, until_done};
use crate::evidence::{Evidence, a_project_per_channel, channel_name, rows};
use crate::support::{PATIENCE, Setup, Stage};

/// What a bot here gives a request.
const REQUEST: Duration = Duration::from_secs(5);

/// A fault, and how many calls in a row it hits.
type Kind = (&'static str, usize, Fault);

const FAULTS: [Kind; 10] = [
    ("500", 2, Fault::Status(500)),
    ("502", 2, Fault::Status(502)),
    ("401", 1, Fault::Status(401)),
    ("403, passing", 2, Fault::Status(403)),
    ("429, user", 2, Fault::RateLimited { after: Duration::from_millis(700), global: false }),
    ("429, global", 2, Fault::RateLimited { after: Duration::from_millis(700), global: true }),
    ("slow (2 s)", 1, Fault::Delay(Duration::from_secs(2))),
    ("never answered", 1, Fault::Delay(Duration::from_secs(3600))),
    ("cut", 2, Fault::DropBefore),
    ("lost response", 2, Fault::DropAfter),
];

/// A state of a turn: the calls that are made in it, and how many of them go well before the fault.
#[derive(Clone, Copy)]
struct State {
    name: &'static str,
    prompt: &'static str,
    /// Methods and ends of paths below the channel.
    calls: &'static [(&'static str, &'static str)],
    well: usize,
}

const POSTS: &[(&str, &str)] = &[("POST", "messages")];

const STATES: [State; 6] = [
    State { name: "waiting", prompt: "TEXT:waited", calls: &[("PUT", ""), ("DELETE", "")], well: 0 },
    State { name: "running", prompt: "SLEEP:0.2 ;; TEXT:ran", calls: &[("POST", "typing")], well: 0 },
    State { name: "progress", prompt: "RETRY:1:1500 ;; TEXT:tried again", calls: POSTS, well: 0 },
    State { name: "first part", prompt: "TEXT:one ;; LONG:5500", calls: POSTS, well: 0 },
    State { name: "middle part", prompt: "TEXT:two ;; LONG:5500", calls: POSTS, well: 1 },
    State { name: "last part", prompt: "TEXT:three ;; LONG:5500", calls: POSTS, well: 2 },
];

#[tokio::test]
async fn no_fault_of_rest_loses_an_answer_or_says_it_twice() {
    let outcomes = join_all(FAULTS.map(|(_, calls, fault)| under(calls, fault))).await;
    let lines = FAULTS.iter().zip(&outcomes);
    let lines: Vec<_> = lines.map(|((name, ..), (cells, _))| ((*name).to_owned(), cells.clone())).collect();
    let table = table("REST fault, hits when", &STATES.map(|state| state.name), &lines);
    assert_right(&table, &outcomes.iter().map(|(_, judged)| judged).collect::<Vec<_>>());
}

/// Lets the fault hit a turn in each state, each in a channel of its own. The line of the table, and what is wrong.
async fn under(calls: usize, fault: Fault) -> (Vec<String>, Judged) {
    let routing = a_project_per_channel(STATES.len());
    let mut stage = Stage::without_bot(Setup { routing, ..Setup::default() }).await;
    stage.adjust = |config| {
        config.discord.request_limit = REQUEST;
        config.discord.live_times.shown_after = Duration::from_millis(300);
        config.discord.live_times.notice_after = PATIENCE;
    };
    stage.start().await;
    let mut questions = Vec::new();
    for (number, state) in STATES.into_iter().enumerate() {
        let name = channel_name(number);
        let channel = stage.discord.channel(&name);
        if state.name == "waiting" {
            ask(&stage, &name, "SLEEP:0.3 ;; TEXT:ahead", &mut questions);
        }
        for (method, end) in state.calls {
            let only = format!("{method} /channels/{channel}/{end}");
            if state.well > 0 {
                stage.discord.fail_next(state.well, Fault::Delay(Duration::ZERO), &only);
            }
            stage.discord.fail_next(calls, fault, &only);
        }
        ask(&stage, &name, state.prompt, &mut questions);
    }
    let began = Instant::now();
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
    // On a slow machine not all of them may have struck, and the next bot waits for a minute before it looks again.
    stage.discord.heal();
    // A mark that Discord took late, when its removal had run, goes by the next bot.
    stage.start().await;
    let gathered = || Evidence::of(&stage.discord, stage.root(), questions.clone());
    until_done(&stage.discord, || gathered().litter.is_empty()).await;
    let judged = Judged::of(gathered());
    let cells = STATES.map(|state| {
        let place = questions.iter().position(|it| it.texts[0].1 == state.prompt).unwrap();
        let done = done[place].map_or_else(|| "not done".to_owned(), seconds);
        judged.cell(questions[place].message).unwrap_or(done)
    });
    (cells.to_vec(), judged)
}
