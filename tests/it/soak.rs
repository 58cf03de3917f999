//! The soak: one bot, 200 channels, mixed traffic and Discord's bad moments for minutes. What it holds must not grow: its
//! memory, its descriptors, its threads, its agents, and the open rows of its store. It prints them as it goes.
//!
//! ```console
//! MOONLANE_SOAK_SECONDS=600 cargo test --locked --test it soak -- --nocapture
//! ```
//! Rows of what is over stay for thirty days, so they grow with the messages, and with nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::evidence::{Evidence, a_project_per_channel, agent_processes, database, has_litter};
use crate::separate::{Process, bot_on};
use crate::support::{ONE_FOR_MANY, Setup, Stage, within};
use crate::traffic::{Traffic, bad_moment, number};
use crate::verdict::judge;

/// How long it takes where nobody says otherwise.
const SECONDS: u64 = 6;
const CHANNELS: usize = 200;
/// How many turns may be open at a time.
const AT_ONCE: usize = 40;
const MAX_LIVE: usize = 16;
/// How often it is looked at.
const SAMPLES: u32 = 20;

/// What a bot holds at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    after: Duration,
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
    /// Guards, agents, and what they have started.
    processes: usize,
    messages: usize,
    /// In the tables that go by messages: the messages, turns, deliveries.
    rows: usize,
    sessions: usize,
    open: usize,
}

impl Sample {
    fn take(stage: &Stage, bot: &Process, began: Instant) -> Self {
        let process = format!("/proc/{}", bot.pid());
        let entries = |folder: &str| std::fs::read_dir(format!("{process}/{folder}")).unwrap().count();
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let count = |sql: &str| count(stage.root(), sql);
        let messages = count("SELECT count(*) FROM messages");
        Self {
            after: began.elapsed(),
            resident_kib: resident.split_whitespace().next().unwrap().parse().unwrap(),
            descriptors: entries("fd"),
            threads: entries("task"),
            processes: agent_processes(stage.root()).len(),
            messages,
            rows: messages + count("SELECT count(*) FROM turns") + count("SELECT count(*) FROM deliveries"),
            sessions: count("SELECT count(*) FROM sessions"),
            open: open(stage.root()),
        }
    }

    fn print(&self) {
        println!(
            "soak: {:>4.0} s | {:>5.1} MB | {:>3} descriptors | {:>2} threads | {:>2} processes | {:>6} messages, \
             {:>6} rows, {:>3} sessions, {:>2} open",
            self.after.as_secs_f64(),
            self.resident_kib as f64 / 1024.0,
            self.descriptors,
            self.threads,
            self.processes,
            self.messages,
            self.rows,
            self.sessions,
            self.open
        );
    }
}

#[tokio::test]
async fn what_a_bot_holds_does_not_grow() {
    let seed = number("MOONLANE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let seconds = Duration::from_secs(number("MOONLANE_SOAK_SECONDS").unwrap_or(SECONDS));
    println!("soak: seed {seed}, {seconds:?}, {CHANNELS} channels");
    let config = format!("{ONE_FOR_MANY}[agent]\nmax_live = {MAX_LIVE}");
    let setup = Setup { routing: a_project_per_channel(CHANNELS), config, ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let mut dice = Rng::with_seed(seed);
    let mut traffic = Traffic::new(CHANNELS, dice.fork());
    let bot = Process::ready(bot_on(&stage).env("MOONLANE_LOG__LEVEL", "error,moonlane::bot=info")).await;

    // An agent that waits for a person is not idle, and would be held.
    let step = |traffic: &mut Traffic| {
        if open(stage.root()) < AT_ONCE {
            (0..4).for_each(|_| traffic.step(&stage.discord));
        }
        traffic.press_all(&stage.discord);
    };
    // What grows until there are as many agents as may live does so however slow the machine is.
    let all_live = async {
        while agent_processes(stage.root()).len() < 2 * MAX_LIVE {
            step(&mut traffic);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("as many agents as may live", all_live).await;
    let began = Instant::now();
    let mut samples = vec![Sample::take(&stage, &bot, began)];
    while began.elapsed() < seconds {
        step(&mut traffic);
        if dice.u8(..100) < 30 {
            bad_moment(&stage.discord, &mut dice);
        }
        if began.elapsed() > seconds / SAMPLES * u32::try_from(samples.len()).unwrap() {
            samples.push(Sample::take(&stage, &bot, began));
            samples[samples.len() - 1].print();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.discord.heal();
    let done = async {
        while open(stage.root()) > 0 || has_litter(&stage.discord) {
            traffic.press_all(&stage.discord);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("everything to be finished", done).await;
    let last = Sample::take(&stage, &bot, began);
    last.print();
    bot.stop().await;
    let verdict = judge(&Evidence::of(&stage.discord, stage.root(), traffic.questions()));
    println!("soak: seed {seed}, {verdict}");
    assert!(verdict.wrong.is_empty(), "{:#?}", verdict.wrong);
    is_flat(&samples, last);
}

fn is_flat(samples: &[Sample], last: Sample) {
    assert!(last.processes <= 2 * MAX_LIVE && last.sessions <= CHANNELS, "{last:?}");
    assert!(last.rows <= 3 * last.messages, "{last:?}");
    let most = |from: usize, to: usize, of: fn(&Sample) -> u64| {
        samples[samples.len() * from / 4..samples.len() * to / 4].iter().map(of).max().unwrap_or_default()
    };
    // The first quarter is for what is made once: sessions, pools, caches.
    for (what, of, slack) in [
        ("memory", (|it| it.resident_kib) as fn(&Sample) -> u64, 4 * 1024),
        ("descriptors", |it| it.descriptors as u64, 20),
        ("threads", |it| it.threads as u64, 4),
    ] {
        let (early, late) = (most(1, 2, of), most(3, 4, of));
        assert!(late <= early + early / 10 + slack, "{what} grew from {early} to {late}: {samples:#?}");
    }
}

fn open(root: &Path) -> usize {
    count(root, "SELECT count(*) FROM turns WHERE state IN ('waiting', 'running')")
        + count(root, "SELECT count(*) FROM deliveries WHERE state = 'open'")
}

fn count(root: &Path, sql: &str) -> usize {
    let rows: i64 = database(root).unwrap().query_row(sql, (), |row| row.get(0)).unwrap();
    rows.try_into().unwrap()
}
