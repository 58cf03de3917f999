//! What moonlane adds to a turn, and what it weighs: `cargo bench --bench turn`.
//!
//! A separate `moonlane run` with demo agents, over a local Discord in this process. One message at a time, so that
//! what is measured is latency. Prints p50 and p99 of
//! - gateway frame written → prompt read by the agent
//! - result written by the agent → first POST received
//!
//! over 1,000 follow-ups in 100 warm channels; the latter also over longer turns, every other one without a live line, with what
//! the line adds to it;
//! and VmRSS of the bot ten seconds after it is ready with 50 channels.
#![allow(clippy::unwrap_used, reason = "a bench says by panicking that something is wrong")]

mod stage;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use moonlane::local::{Id, LocalDiscord, Say};
use stage::{Bot, local_discord};

const CHANNELS: usize = 100;
const FOLLOW_UPS: usize = 1_000;
/// How long after the one before each begins: a turn takes two calls, and with more than 50 of them a second the bot would
/// wait for Discord's limit.
const FOLLOWED_UP_AFTER: Duration = Duration::from_millis(60);
/// Longer turns, every other one with a live line: how many, how long each takes, and how long after the one before each begins.
/// They overlap, but their results come one at a time, and fewer are at work than there are slots.
const LONGER: usize = 100;
const SECONDS: f64 = 2.4;
const APART: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() {
    let folder = stage::set_up();
    weigh(folder.path()).await;
    measure(folder.path()).await;
}

async fn weigh(root: &Path) {
    let discord = local_discord().await;
    for n in 0..50 {
        discord.channel(&format!("channel-{n}"));
    }
    let bot = Bot::start(root, &discord).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("VmRSS 10 s after ready, 50 channels: {:.1} MB", bot.resident_kib() as f64 / 1024.0);
}

async fn measure(root: &Path) {
    let discord = local_discord().await;
    let channels: Vec<Id> = (0..CHANNELS).map(|n| discord.channel(&format!("channel-{n}"))).collect();
    let bot = Bot::start(root, &discord).await;
    for &channel in &channels {
        ask(&discord, channel, "TEXT:warm").await;
    }
    // Instants of this process on the clock of the agents' log.
    let (here, clock) = (Instant::now(), SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let on_the_clock = |instant: Instant| match instant.checked_duration_since(here) {
        Some(later) => clock + later,
        None => clock - here.duration_since(instant),
    };

    let mut questions = Vec::new();
    for n in 0..FOLLOW_UPS {
        let channel = channels[n % CHANNELS];
        let next = tokio::time::Instant::now() + FOLLOWED_UP_AFTER;
        questions.push((channel, ask(&discord, channel, &format!("TEXT:{n}")).await));
        tokio::time::sleep_until(next).await;
    }
    let mut longer = Vec::new();
    for (n, &channel) in channels.iter().enumerate().take(LONGER) {
        let text = format!("TOOL:Bash:sleep {SECONDS} ;; TEXT:at work {n}{}", ["", " quiet"][n % 2]);
        longer.push((channel, text.clone()));
        discord.say(Say::to_bot(channel, discord.owner(), text));
        tokio::time::sleep(APART).await;
    }
    for (n, (channel, _)) in longer.iter().enumerate() {
        let answer = format!("at work {n}{}", ["", " quiet"][n % 2]);
        let answered = discord.wait_until(|discord| {
            discord.messages(*channel).iter().any(|message| message.content == answer).then_some(())
        });
        tokio::time::timeout(Duration::from_secs(30), answered).await.expect("an answer");
    }
    println!("VmRSS after it, {CHANNELS} live agents: {:.1} MB", bot.resident_kib() as f64 / 1024.0);
    drop(bot);

    let agents = AgentLog::read(&root.join("agent.log"));
    let sent: HashMap<Id, Instant> = discord.gateway_sends().into_iter().collect();
    let posts: Vec<_> = discord.calls().into_iter().filter(|call| call.method == "POST").collect();
    let first_post = |channel: Id, result: Duration| {
        let path = format!("/channels/{channel}/messages");
        let after = posts.iter().filter(|call| call.path == path).map(|call| on_the_clock(call.at));
        after.filter(|&at| at >= result).min().unwrap() - result
    };
    let (mut inwards, mut outwards) = (Vec::new(), Vec::new());
    for (n, (channel, question)) in questions.iter().enumerate() {
        let (prompted, result) = agents.times(&format!("TEXT:{n}"));
        inwards.push(prompted.saturating_sub(on_the_clock(sent[question])));
        outwards.push(first_post(*channel, result));
    }
    let of = |(channel, text): &(Id, String)| first_post(*channel, agents.times(text).1);
    let with_line: Vec<Duration> = longer.iter().step_by(2).map(of).collect();
    let without: Vec<Duration> = longer.iter().skip(1).step_by(2).map(of).collect();
    let posted = posts.iter().filter(|call| call.path.ends_with("/messages")).count();
    assert_eq!(posted, LONGER + LONGER / 2 + FOLLOW_UPS + CHANNELS, "every other one of them had its line");
    let added = median(&with_line).as_secs_f64() - median(&without).as_secs_f64();
    print("gateway frame written → prompt read by the agent", inwards);
    print("result written → first POST received            ", outwards);
    print("the same, of a longer turn without a live line  ", without);
    print("the same, of a longer turn with one             ", with_line);
    println!("so the live line adds {:.2} ms (p50)", added * 1e3);
}

/// Says something and waits for its answer.
async fn ask(discord: &LocalDiscord, channel: Id, text: &str) -> Id {
    let before = discord.messages(channel).into_iter().filter(|message| message.by_bot).count();
    let question = discord.say(Say::to_bot(channel, discord.owner(), text));
    let answers = discord.answers(channel, before + 1);
    tokio::time::timeout(Duration::from_secs(30), answers).await.expect("an answer");
    question
}

/// When each prompt was read, and when its result was written.
struct AgentLog(HashMap<String, (Duration, Duration)>);

impl AgentLog {
    fn read(path: &Path) -> Self {
        let mut open: HashMap<u64, (String, Duration)> = HashMap::new();
        let mut times = HashMap::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let pid = event["pid"].as_u64().unwrap();
            let at = Duration::from_nanos(event["at_ns"].as_u64().unwrap());
            match event["event"].as_str().unwrap() {
                "prompt" => drop(open.insert(pid, (event["prompt"].as_str().unwrap().to_owned(), at))),
                "result" => {
                    let (prompt, read) = open.remove(&pid).unwrap();
                    times.insert(prompt, (read, at));
                }
                _ => {}
            }
        }
        Self(times)
    }

    fn times(&self, prompt: &str) -> (Duration, Duration) {
        self.0[prompt]
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[(times.len() - 1) / 2]
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms ({} follow-ups)", at(0.5), at(0.99), times.len());
}
