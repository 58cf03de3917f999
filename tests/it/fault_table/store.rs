//! Each fault of the store, at each of its writes, under a running bot.
//!
//! The faults are real ones of a real SQLite file: a file system that is full, a file that may not grow, a damaged page, a
//! lock that somebody else holds. Each comes just before a write and goes away again some seconds later.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use moonlane::local::Fault;

use super::disk::{Disk, Kind, Present, all_done, ask, bot_on_disk};
use super::{Judged, assert_right, seconds, table};
use crate::evidence::{Evidence, Question, a_project_per_channel, channel_name, rows};
use crate::separate::Process;
use crate::support::{Setup, Stage, within};

/// How long a fault stays. SQLite waits five seconds for a lock.
const STAYS: Duration = Duration::from_secs(3);
const LOCK_STAYS: Duration = Duration::from_secs(7);
const KINDS: [(&str, Kind); 4] = [
    ("full", Kind::Full),
    ("may not be written", Kind::MayNotGrow),
    ("a page is damaged", Kind::Damaged),
    ("locked", Kind::Locked),
];

/// The write that meets the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// A message that comes is written down.
    Accepted,
    /// A turn ends, and the next one begins.
    Begun,
    /// A turn ends.
    Ended,
    /// This part, from 1, is recorded as posted; there are three.
    Posted(usize),
}

const WRITES: [(&str, Write); 6] = [
    ("accepted", Write::Accepted),
    ("begun", Write::Begun),
    ("ended", Write::Ended),
    ("first part", Write::Posted(1)),
    ("middle part", Write::Posted(2)),
    ("last part", Write::Posted(3)),
];

#[tokio::test]
async fn no_fault_of_the_store_loses_an_answer_or_says_it_twice() {
    let all = join_all(KINDS.map(|(_, kind)| join_all(WRITES.map(|(_, write)| cell(kind, write))))).await;
    let cells = all.iter().map(|cells| cells.iter().map(|(cell, _)| cell.clone()).collect());
    let lines: Vec<_> = KINDS.iter().map(|(name, _)| (*name).to_owned()).zip(cells).collect();
    let table = table("store fault, hits when", &WRITES.map(|(name, _)| name), &lines);
    assert_right(&table, &all.iter().flatten().map(|(_, judged)| judged).collect::<Vec<_>>());
}

/// One fault at one write: what the table shows, and what is wrong.
async fn cell(kind: Kind, write: Write) -> (String, Judged) {
    let stage = Stage::without_bot(Setup { routing: a_project_per_channel(2), ..Setup::default() }).await;
    let Some(disk) = Disk::new(stage.root(), kind) else {
        return ("skipped: no right to mount".to_owned(), Judged::default());
    };
    let bot = Process::ready(&mut bot_on_disk(&stage, &disk)).await;
    let mut asked = Vec::new();
    ask(&stage, &channel_name(0), "TEXT:before", &mut asked);
    all_done(&stage, &disk, &asked).await;

    let fault = just_before(write, kind, &stage, &disk, &bot, &mut asked).await;
    let stays = if kind == Kind::Locked { LOCK_STAYS } else { STAYS };
    tokio::time::sleep(stays).await;
    fault.lift();
    let began = Instant::now();
    all_done(&stage, &disk, &asked).await;
    let took = began.elapsed();
    ask(&stage, &channel_name(0), "TEXT:after", &mut asked);
    all_done(&stage, &disk, &asked).await;
    bot.stop().await;

    let rows = rows(&disk.folder);
    let judged = Judged::of(Evidence { rows, ..Evidence::of(&stage.discord, stage.root(), asked) });
    let verdict = &judged.verdict;
    let mut kinds: Vec<_> = verdict.wrong.iter().map(|(wrong, _)| wrong.to_string().to_uppercase()).collect();
    kinds.dedup();
    let cell = match (kinds.is_empty(), verdict.refused) {
        (false, _) => kinds.join(" "),
        (true, 0) => seconds(took),
        (true, refused) => format!("{refused} refused"),
    };
    (cell, judged)
}

/// Brings the bot to where this write comes next, and the fault before it.
async fn just_before(
    write: Write,
    kind: Kind,
    stage: &Stage,
    disk: &Disk,
    bot: &Process,
    asked: &mut Vec<Question>,
) -> Present {
    match write {
        Write::Accepted => {
            let fault = Present::bring(kind, disk, Some(bot));
            ask(stage, &channel_name(0), "TEXT:accepted", asked);
            fault
        }
        Write::Begun | Write::Ended => {
            ask(stage, &channel_name(0), "SLEEP:1 ;; TEXT:ended", asked);
            if write == Write::Begun {
                ask(stage, &channel_name(0), "TEXT:begun", asked);
            }
            let is_there = || {
                let evidence = Evidence::of(&stage.discord, stage.root(), Vec::new());
                let mut prompts = evidence.agents.iter().filter_map(|note| note.prompt.as_deref());
                prompts.any(|it| it.ends_with("ended")) && rows(&disk.folder).len() == asked.len()
            };
            until("the agent at work", is_there).await;
            Present::bring(kind, disk, Some(bot))
        }
        Write::Posted(part) => {
            let channel = stage.discord.channel(&channel_name(0));
            let posts = format!("POST /channels/{channel}/messages");
            if part > 1 {
                stage.discord.fail_next(part - 1, Fault::Delay(Duration::ZERO), &posts);
            }
            stage.discord.fail_next(1, Fault::Delay(Duration::from_millis(700)), &posts);
            let before = stage.discord.calls().len();
            ask(stage, &channel_name(0), "TEXT:posted ;; LONG:5500", asked);
            let under_way = || {
                let calls = stage.discord.calls();
                let posted =
                    calls[before..].iter().filter(|it| it.method == "POST" && it.path.ends_with("/messages"));
                posted.count() >= part
            };
            until("the part on its way", under_way).await;
            Present::bring(kind, disk, Some(bot))
        }
    }
}

async fn until(what: &str, has_come: impl Fn() -> bool) {
    let wait = async {
        while !has_come() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, wait).await;
}
