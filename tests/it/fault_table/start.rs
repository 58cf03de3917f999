//! Each fault of the store at a start, with work left by a bot that was killed.

use std::time::Duration;

use futures_util::future::join_all;
use moonlane::local::Fault;

use super::disk::{Disk, Kind, Present, all_done, ask, bot_on_disk};
use super::{Judged, assert_right, table};
use crate::evidence::{Evidence, a_project_per_channel, channel_name, rows};
use crate::separate::Process;
use crate::support::{Setup, Stage, within};

const KINDS: [(&str, Kind); 5] = [
    ("full", Kind::Full),
    ("read-only", Kind::ReadOnly),
    ("a page is damaged", Kind::Damaged),
    ("locked", Kind::Locked),
    ("of a newer version", Kind::Newer),
];

const FOR_EVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn no_fault_of_the_store_at_a_start_costs_the_work_that_was_left() {
    let all = join_all(KINDS.map(|(_, kind)| line(kind))).await;
    let lines: Vec<_> =
        KINDS.iter().zip(&all).map(|((name, _), (cells, _))| ((*name).to_owned(), cells.clone())).collect();
    let columns = ["running", "waiting", "half said", "what the start says"];
    let table = table("store fault at a start", &columns, &lines);
    assert_right(&table, &all.iter().map(|(_, judged)| judged).collect::<Vec<_>>());
}

/// What became of each kind of work after the fault, and what the start said under it.
async fn line(kind: Kind) -> (Vec<String>, Judged) {
    let stage = Stage::without_bot(Setup { routing: a_project_per_channel(2), ..Setup::default() }).await;
    let Some(disk) = Disk::new(stage.root(), kind) else {
        return (vec!["skipped: no right to mount".to_owned()], Judged::default());
    };
    let mut asked = Vec::new();
    work_is_left(&stage, &disk, &mut asked).await;

    let fault = Present::bring(kind, &disk, None);
    let mut refused = Process::start(&mut bot_on_disk(&stage, &disk));
    let ended = async {
        tokio::select! {
            status = refused.ended() => status.code(),
            () = tokio::time::sleep(Duration::from_secs(9)) => None,
        }
    };
    let code = ended.await;
    refused.kill().await;
    let said = refused.said().replace(stage.root().to_str().unwrap(), "ROOT");
    let sentence = said.lines().rev().find_map(|line| line.strip_prefix("moonlane: "));
    let sentence = match (code, sentence) {
        (Some(code), Some(sentence)) => format!("({code}) {sentence}"),
        _ => "it runs, and waits".to_owned(),
    };
    fault.lift();

    let bot = Process::ready(&mut bot_on_disk(&stage, &disk)).await;
    all_done(&stage, &disk, &asked).await;
    bot.stop().await;
    let rows = rows(&disk.folder);
    let state =
        |place: usize| rows.get(&asked[place].message).and_then(|row| row.state.clone()).unwrap_or_default();
    let cells = vec![state(0), state(1), state(2), sentence];
    (cells, Judged::of(Evidence { rows, ..Evidence::of(&stage.discord, stage.root(), asked) }))
}

/// A bot is killed with a turn that runs, one that waits, and one whose answer is half said.
async fn work_is_left(stage: &Stage, disk: &Disk, asked: &mut Vec<crate::evidence::Question>) {
    let [one, two] = [channel_name(0), channel_name(1)];
    let posts = format!("POST /channels/{}/messages", stage.discord.channel(&two));
    stage.discord.fail_next(1, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts);
    let mut bot = Process::ready(&mut bot_on_disk(stage, disk)).await;
    ask(stage, &one, "SLEEP:60 ;; TEXT:running", asked);
    ask(stage, &one, "TEXT:waiting", asked);
    ask(stage, &two, "TEXT:half ;; LONG:5500", asked);
    let is_left = || {
        let rows = rows(&disk.folder);
        let evidence = Evidence::of(&stage.discord, stage.root(), Vec::new());
        let at_work = evidence
            .agents
            .iter()
            .any(|it| it.event == "prompt" && it.prompt.as_deref() == Some("SLEEP:60 ;; TEXT:running"));
        let half = rows
            .get(&asked[2].message)
            .is_some_and(|row| row.parts.iter().filter(|it| it.1.is_some()).count() == 1);
        let running = rows.get(&asked[0].message).is_some_and(|row| row.state.as_deref() == Some("running"));
        rows.len() == 3 && at_work && running && half
    };
    let wait = async {
        while !is_left() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within("work to be left", wait).await;
    bot.kill().await;
}
