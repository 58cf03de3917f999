//! What the scripts cost: `cargo bench --bench scripts`.
//!
//! Prints, each beside its goal,
//! - how much VmRSS grows by 1,000 uses of the shipped `/reset` that wait for their button
//! - median and p99 of one decision about a message, with the hand-over to the scripts' thread and back: by the shipped
//!   `route` function, by an entry of `channels`, and, for the hand-over by itself, about a message that is not for the
//!   bot
//! - median and p99 of loading the shipped scripts
//!
//! All of it within this process and through the library, so what the bot itself keeps of a dialog (its task, the
//! interaction's token) is not part of it.
#![allow(clippy::unwrap_used, reason = "a bench says by panicking that something is wrong")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use moonlane::config;
use moonlane::domain::{Author, Invocation, Limits, Message, Route};
use moonlane::script::{CommandCall, CommandStep, Effect, ScriptSet, SuspendedCommand};
use serde_json::json;

const DIALOGS: usize = 1_000;
const DECISIONS: usize = 20_000;
const WARM_UP: usize = 1_000;
const LOADS: usize = 30;

/// What the goals are for: megabytes, and medians.
const DIALOGS_GOAL: f64 = 10.0;
const DECISION_GOAL: Duration = Duration::from_micros(20);
const LOAD_GOAL: Duration = Duration::from_millis(20);

/// The channel that has an entry in the routing made here.
const ROUTED: &str = "11";

const LIMITS: Limits = Limits {
    start: Duration::from_secs(60),
    wake: Duration::from_secs(10),
    silence: Duration::from_secs(600),
    tool: Duration::from_secs(1800),
    turn: Duration::from_secs(3600),
    after_result: Duration::from_secs(10),
    continue_spread: Duration::ZERO,
    question: Duration::from_secs(60),
    question_choice: None,
};

#[tokio::main]
async fn main() {
    // Where the bot asks, too: on a thread of the runtime.
    tokio::spawn(async {
        // First, while there is no memory that others have left behind and that it could use again.
        weigh().await;
        println!("\n{:<44} {:>10} {:>10}   goal for the median", "time", "median", "p99");
        decide().await;
        load();
    })
    .await
    .unwrap();
}

async fn weigh() {
    let set = shipped();
    let before = resident_kib();
    let mut dialogs = Vec::new();
    for _ in 0..DIALOGS {
        dialogs.push(dialog(&set).await);
    }
    let megabytes = resident_kib().saturating_sub(before) as f64 / 1024.0;
    println!("{:<44} {:>10} {:>10}   goal", "memory", "before", "growth");
    println!(
        "{:<44} {:>7.1} MB {megabytes:>7.1} MB   < {DIALOGS_GOAL} MB: {}",
        format!("{DIALOGS} dialogs that wait"),
        before as f64 / 1024.0,
        verdict(megabytes < DIALOGS_GOAL),
    );
    // None of them was ended for want of memory.
    for waiting in dialogs {
        let step = waiting.resume(Ok(json!(false))).await;
        assert!(matches!(&step, CommandStep::Effect(Effect::Reply(_), _)), "{step:?}");
    }
}

/// A use of `/reset` that waits for its button.
async fn dialog(set: &ScriptSet) -> SuspendedCommand {
    let Message { author, channel_id, channel_name, guild_id, .. } = message("10");
    let call = CommandCall {
        invocation: Invocation {
            command: "reset".to_owned(),
            subcommand: None,
            options: Vec::new(),
            permissions: Default::default(),
        },
        author,
        channel_id,
        parent_channel_id: None,
        channel_name,
        guild_id: Some(guild_id),
        permissions: u64::MAX,
        first: false,
    };
    let CommandStep::Effect(Effect::Session { .. }, waiting) = set.call(call).await else {
        panic!("/reset looks for the session first");
    };
    let session = json!({ "channel": { "id": channel_id, "name": "general" }, "project": "here", "turns": 12, "cost_usd": 0.25,
                          "last_used": 1.7e9, "waiting": 0, "running": false });
    match waiting.resume(Ok(session)).await {
        CommandStep::Effect(Effect::Confirm(_), waiting) => waiting,
        other => panic!("/reset asks before it does anything: {other:?}"),
    }
}

async fn decide() {
    let by_function = shipped();
    print("decision: route function", DECISION_GOAL, decisions(&by_function, &message("10")).await);

    let folder = tempfile::tempdir().unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let routing = std::fs::read_to_string(scripts.join("routing.lua")).unwrap();
    let line = "  channels = {\n";
    assert!(routing.contains(line));
    let routing = routing.replace(line, &format!("{line}    [\"{ROUTED}\"] = \"here\",\n"));
    std::fs::write(folder.path().join("routing.lua"), routing).unwrap();
    std::fs::copy(scripts.join("triggers.lua"), folder.path().join("triggers.lua")).unwrap();
    let by_entry = set(folder.path());
    assert_eq!(by_entry.routed_channels(), 1);
    print("decision: entry of channels", DECISION_GOAL, decisions(&by_entry, &message(ROUTED)).await);

    let unmentioned = Message { mentions_me: false, ..message("10") };
    assert_eq!(by_function.decide(unmentioned.clone()).await.unwrap(), Route::NotForMe);
    print("decision: not for the bot", DECISION_GOAL, decisions(&by_function, &unmentioned).await);
}

/// How long each took, one after the other.
async fn decisions(set: &ScriptSet, message: &Message) -> Vec<Duration> {
    let turn = matches!(set.decide(message.clone()).await.unwrap(), Route::Turn(_));
    assert_eq!(turn, message.mentions_me);
    for _ in 0..WARM_UP {
        black_box(set.decide(message.clone()).await.unwrap());
    }
    let mut times = Vec::with_capacity(DECISIONS);
    for _ in 0..DECISIONS {
        let message = message.clone();
        let began = Instant::now();
        black_box(set.decide(message).await.unwrap());
        times.push(began.elapsed());
    }
    times
}

fn load() {
    let mut times = Vec::new();
    for _ in 0..LOADS {
        let began = Instant::now();
        let set = shipped();
        times.push(began.elapsed());
        drop(set);
    }
    print("loading the shipped scripts", LOAD_GOAL, times);
}

fn shipped() -> ScriptSet {
    set(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"))
}

/// The scripts of this folder, under the limits that the bot has by default.
fn set(dir: &Path) -> ScriptSet {
    let config = config::ScriptsConfig { dir: dir.to_owned(), ..config::ScriptsConfig::default() };
    ScriptSet::load(&config, Path::new(env!("CARGO_MANIFEST_DIR")), &LIMITS).unwrap().set
}

fn message(channel: &str) -> Message {
    Message {
        id: "1411922334455667789".parse().unwrap(),
        channel_id: channel.parse().unwrap(),
        parent_channel_id: None,
        channel_name: "general".to_owned(),
        channel_tags: Vec::new(),
        in_own_thread: false,
        guild_id: "30".parse().unwrap(),
        author: Author {
            id: "40".parse().unwrap(),
            name: "Ada".to_owned(),
            roles: vec!["50".parse().unwrap(), "51".parse().unwrap()],
            bot: false,
        },
        text: "What does the build say, and which tests are red?".to_owned(),
        raw_text: "<@1> What does the build say, and which tests are red?".to_owned(),
        mentions_me: true,
        attachments: Vec::new(),
        reply_to: None,
        quoted: None,
        extras: Vec::new(),
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn print(what: &str, goal: Duration, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (median, p99) = (at(0.5), at(0.99));
    let shown = |time: Duration| format!("{time:.1?}");
    println!(
        "{:<44} {:>10} {:>10}   < {goal:?}: {}",
        format!("{what} ({} times)", times.len()),
        shown(median),
        shown(p99),
        verdict(median < goal),
    );
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}
