//! The crash test: `moonlane run`, killed with SIGKILL again and again at random moments of mixed traffic, must lose
//! nothing and say nothing twice.
//!
//! # What happens
//! People write in 20 channels, also while the bot is down: short questions, slow ones, some that are shown at work,
//! answers of many parts; they edit and delete what they wrote, answer what Claude asks them, and others talk in between. Discord has bad moments:
//! errors, limits, connections that end before or after the call had its effect, forgotten nonces. The bot is killed at a
//! random time, or right at one of its calls, sometimes while it still starts, and started again. In the end everything is well once more and the bot has
//! time to finish; then [`verdict`](crate::verdict) holds Discord's history, the agents' own record and the store against
//! each other, and one line is printed.
//!
//! ```console
//! MOONLANE_KILLS=1000 cargo test --locked --test it crash_test -- --nocapture    # ten minutes or more
//! MOONLANE_SEED=7 cargo test --locked --test it crash_test -- --nocapture        # what happens, again
//! ```
//! The seed decides what is done; how the processes' times fall is the machine's part. Where something is wrong, the
//! bot's folder is kept, with its log and the store, and named.

use std::io::Write;
use std::time::{Duration, Instant};

use fastrand::Rng;
use moonlane::local::{Event, Fault, What};

use crate::crashes::until;
use crate::evidence::{
    Evidence, a_project_per_channel, agent_processes, channel_name, has_litter, is_of_claude, knows_places,
    rows,
};
use crate::separate::{Process, bot_on};
use crate::support::{ONE_FOR_MANY, PATIENCE, Setup, Stage};
use crate::traffic::{Traffic, bad_moment, number};
use crate::verdict::{Verdict, Wrong, judge};

/// How often the bot is killed where nobody says otherwise.
const KILLS: usize = 8;
/// How many channels there are.
const CHANNELS: usize = 20;
/// How long the last bot may go without any progress before what is left counts as stuck.
const NO_PROGRESS: Duration = Duration::from_secs(20);

/// What must never happen.
const NEVER: [Wrong; 11] = [
    Wrong::Lost,
    Wrong::Twice,
    Wrong::Overlap,
    Wrong::Orphan,
    Wrong::ToldThenRun,
    Wrong::Stuck,
    Wrong::Unseen,
    Wrong::Failed,
    Wrong::ToldAfterDeletion,
    Wrong::Stale,
    Wrong::Litter,
];

#[tokio::test]
async fn whenever_it_is_killed_nothing_is_lost_and_nothing_is_said_twice() {
    let kills = number("MOONLANE_KILLS").unwrap_or(KILLS as u64);
    let seed = number("MOONLANE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("crash test: seed {seed}, {kills} kills");
    let (routing, config) = (a_project_per_channel(CHANNELS), ONE_FOR_MANY.to_owned());
    let setup = Setup { routing, config, ..Setup::default() };
    let mut test = CrashTest::new(Stage::without_bot(setup).await, seed);
    test.come_to_the_guild().await;
    for kill in 1..=kills {
        test.live_and_be_killed().await;
        if kill % 50 == 0 {
            println!("crash test: {kill} kills, {:.0} s", test.began.elapsed().as_secs_f64());
        }
    }
    let verdict = test.finish().await;
    println!("crash test: seed {seed}, kills {kills}, Claude asked {}, {verdict}", verdict.claudes);
    let bad = verdict.of(&NEVER);
    assert!(bad.is_empty(), "seed {seed}:\n{bad}");
}

struct CrashTest {
    stage: Stage,
    dice: Rng,
    traffic: Traffic,
    /// What outlived its bot.
    orphans: Vec<String>,
    /// The agents' processes of the bot that was killed last.
    of_the_killed: Vec<u32>,
    began: Instant,
}

impl CrashTest {
    fn new(stage: Stage, seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let traffic = Traffic::new(CHANNELS, dice.fork());
        Self { stage, dice, traffic, orphans: Vec::new(), of_the_killed: Vec::new(), began: Instant::now() }
    }

    /// What was said in a guild before the bot came there is not for it, so it comes there first.
    async fn come_to_the_guild(&mut self) {
        self.stage.discord.channel(&channel_name(0));
        let mut bot = Process::ready(&mut bot_on(&self.stage)).await;
        until("the guild to be known", || knows_places(self.stage.root()).then_some(())).await;
        bot.kill().await;
        self.note(&bot);
    }

    /// The life of one bot, and what goes on until the next.
    async fn live_and_be_killed(&mut self) {
        let mut bot = Process::start(&mut bot_on(&self.stage));
        if self.dice.u8(..100) < 15 {
            self.traffic.step(&self.stage.discord);
            pause(&mut self.dice, 0..150).await;
        } else {
            bot.line(" ready ").await;
            self.nothing_outlived_its_bot();
            self.a_moment_comes().await;
        }
        bot.kill().await;
        self.note(&bot);
        self.of_the_killed = agent_processes(self.stage.root());
        self.while_it_is_down().await;
    }

    /// Lives under traffic and faults until the bot is to be killed.
    async fn a_moment_comes(&mut self) {
        let discord = self.stage.discord.clone();
        let open = rows(self.stage.root()).values().filter(|row| row.is_open()).count();
        if open < 3 * CHANNELS {
            (0..self.dice.usize(2..8)).for_each(|_| self.traffic.step(&discord));
        }
        (0..self.dice.usize(..3)).for_each(|_| bad_moment(&discord, &mut self.dice));
        match self.dice.u8(..100) {
            0..15 => return self.at_a_live_line().await,
            15..35 => return self.at_a_question().await,
            _ => {}
        }
        let from = discord.wait_for(|log| Some(log.len())).await;
        if self.dice.bool() {
            // At a post, the first of them or a later one; Discord's answer may not get through any more.
            let nth = self.dice.usize(1..6);
            let posted = |event: &&Event| matches!(&event.what, What::Posted(message) if message.by_bot);
            if self.dice.bool() {
                discord.fail_next(1, Fault::DropAfter, "POST /channels");
            }
            let at_a_post =
                discord.wait_for(|log| (log[from..].iter().filter(posted).count() >= nth).then_some(()));
            let _ = tokio::time::timeout(Duration::from_millis(800), at_a_post).await;
            // Right there, or while the bot writes it down.
            if self.dice.bool() {
                pause(&mut self.dice, 0..5).await;
            }
        } else {
            for _ in 0..self.dice.usize(..6) {
                pause(&mut self.dice, 0..120).await;
                self.traffic.step(&discord);
            }
        }
    }

    /// Something happens to the line of a turn at work: it is posted, edited, or deleted; and Discord may not say that.
    async fn at_a_live_line(&mut self) {
        let discord = self.stage.discord.clone();
        self.traffic.ask_long(&discord);
        if self.dice.bool() {
            let calls = ["POST /channels", "PATCH /channels", "DELETE /channels"];
            discord.fail_next(1, Fault::DropAfter, calls[self.dice.usize(..calls.len())]);
        }
        let nth = self.dice.usize(1..5);
        let happened = |log: &[Event]| {
            let mut lines = Vec::new();
            let happened = log.iter().filter(|event| match &event.what {
                What::Posted(it) if it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("r-")) => {
                    lines.push(it.id);
                    true
                }
                What::Edited(it) => lines.contains(&it.id),
                What::Deleted(id) => lines.contains(id),
                _ => false,
            });
            happened.count()
        };
        let before = discord.wait_for(|log| Some(happened(log))).await;
        let at_it = discord.wait_for(|log| (happened(log) >= before + nth).then_some(()));
        let _ = tokio::time::timeout(Duration::from_secs(6), at_it).await;
        if self.dice.bool() {
            pause(&mut self.dice, 0..5).await;
        }
    }

    /// Something happens to a question of Claude's: it is posted, somebody answers, it shows what became of it; and Discord
    /// may not say that.
    async fn at_a_question(&mut self) {
        let discord = self.stage.discord.clone();
        self.traffic.ask_what_needs_an_answer(&discord);
        if self.dice.bool() {
            let calls = ["POST /channels", "PATCH /channels"];
            discord.fail_next(1, Fault::DropAfter, calls[self.dice.usize(..calls.len())]);
        }
        let happened = |log: &[Event]| {
            let is_it = |event: &&Event| match &event.what {
                What::Posted(it) | What::Edited(it) => is_of_claude(it),
                _ => false,
            };
            log.iter().filter(is_it).count()
        };
        for _ in 0..self.dice.usize(1..4) {
            let before = discord.wait_for(|log| Some(happened(log))).await;
            let at_it = discord.wait_for(|log| (happened(log) > before).then_some(()));
            let _ = tokio::time::timeout(Duration::from_millis(800), at_it).await;
            self.traffic.press_one(&discord);
        }
        if self.dice.bool() {
            pause(&mut self.dice, 0..20).await;
        }
    }

    async fn while_it_is_down(&mut self) {
        let discord = &self.stage.discord;
        if self.dice.bool() {
            discord.forget_nonces();
        }
        self.traffic.others_talk(discord, 150);
        (0..self.dice.usize(..4)).for_each(|_| self.traffic.step(discord));
        pause(&mut self.dice, 0..60).await;
    }

    /// No lane opens before the agents of an earlier bot are gone, and a bot that is ready may open lanes.
    fn nothing_outlived_its_bot(&mut self) {
        let now = agent_processes(self.stage.root());
        let left = self.of_the_killed.drain(..).filter(|pid| now.contains(pid));
        self.orphans.extend(left.map(|pid| format!("process {pid} outlived its bot")));
    }

    /// Everything is well again; the bot finishes what there is, and ends.
    async fn finish(mut self) -> Verdict {
        self.stage.discord.heal();
        let bot = Process::ready(&mut bot_on(&self.stage)).await;
        self.nothing_outlived_its_bot();
        self.all_is_done().await;
        // What showed that turns waited or were at work is taken away no faster than Discord allows.
        let began = Instant::now();
        while began.elapsed() < PATIENCE && has_litter(&self.stage.discord) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.note(&bot);
        bot.stop().await;
        let began = Instant::now();
        while !agent_processes(self.stage.root()).is_empty() && began.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = agent_processes(self.stage.root());
        self.orphans.extend(left.iter().map(|pid| format!("process {pid} is left in the end")));

        let evidence = Evidence::of(&self.stage.discord, self.stage.root(), self.traffic.questions());
        let mut verdict = judge(&evidence);
        verdict.wrong.extend(self.orphans.drain(..).map(|words| (Wrong::Orphan, words)));
        if !verdict.wrong.is_empty() {
            let all: Vec<_> =
                verdict.wrong.iter().map(|(wrong, words)| format!("{wrong}: {words}\n")).collect();
            let folder = self.stage.folder.keep();
            std::fs::write(folder.join("verdict.txt"), all.concat()).unwrap();
            println!(
                "crash test: what is wrong is in {}/verdict.txt, with bot.log beside it",
                folder.display()
            );
        }
        verdict
    }

    /// Waits until all that was said is finished, or nothing moves any more.
    async fn all_is_done(&mut self) {
        let mut last = (0, Instant::now());
        loop {
            self.traffic.press_all(&self.stage.discord);
            let rows = rows(self.stage.root());
            let done = rows.values().filter(|row| !row.is_open()).count();
            let patience = match (done == rows.len(), self.traffic.wanted().all(|it| rows.contains_key(&it)))
            {
                (true, true) => return,
                // What was never seen may still come.
                (true, false) => NO_PROGRESS / 4,
                (false, _) => NO_PROGRESS,
            };
            let posts = self.stage.discord.wait_for(|log| Some(log.len())).await;
            if last.0 != done + posts {
                last = (done + posts, Instant::now());
            } else if last.1.elapsed() > patience {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Keeps what the bot has logged.
    fn note(&self, bot: &Process) {
        let mut log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.stage.root().join("bot.log"))
            .unwrap();
        writeln!(log, "{}==", bot.said()).unwrap();
    }
}

async fn pause(dice: &mut Rng, milliseconds: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(dice.u64(milliseconds))).await;
}
