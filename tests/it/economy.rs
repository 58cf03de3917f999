//! What a turn at work costs in calls to Discord, and what twenty at once do to Discord's limits.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use moonlane::config::Config;
use moonlane::domain::LiveTimes;
use moonlane::local::{Call, Id, RateLimits, What};

use crate::crashes::until;
use crate::live::lines;
use crate::support::{ONE_FOR_MANY, Setup, Stage};

/// A turn: how long it takes, how many tools it uses, how many calls it may take, and how many times as fast it is tried.
const TURNS: [(u64, u32, usize, u32); 4] =
    [(1, 0, 2, 10), (10, 2, 8, 20), (60, 30, 25, 20), (600, 300, 140, 60)];

fn faster_by(config: &mut Config, factor: u32) {
    let times = &mut config.discord.live_times;
    times.shown_after /= factor;
    times.least_pause /= factor;
    times.most_pause /= factor;
}

async fn stage(factor: u32) -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.adjust = match factor {
        10 => |config| faster_by(config, 10),
        20 => |config| faster_by(config, 20),
        _ => |config| faster_by(config, 60),
    };
    stage.start().await;
    stage.ask("general", "TEXT:ready").await;
    stage
}

/// A prompt that takes this long and changes this many files meanwhile.
fn prompt(time: Duration, tools: u32) -> String {
    let pause = (time / tools.max(1)).as_secs_f64();
    let tool = |n| format!("TOOL:Edit:{{\"file_path\":\"{n}.rs\"}} ;; SLEEP:{pause} ;; ");
    let work: String = (0..tools).map(tool).collect();
    if tools == 0 { format!("SLEEP:{pause} ;; TEXT:done") } else { format!("{work}TEXT:done") }
}

/// How many edits such a turn takes where nothing is ever late: each shows all that has changed since the one before.
fn planned_edits(seconds: u64, tools: u32) -> usize {
    let times = LiveTimes::default();
    let changes = (0..tools).map(|n| Duration::from_secs(seconds) * n / tools);
    let (mut edits, mut shown) = (0, times.shown_after);
    for change in changes {
        if change > shown {
            shown = change.max(shown + times.pause(shown));
            edits += usize::from(shown < Duration::from_secs(seconds));
        }
    }
    edits
}

/// The calls by their kinds.
fn kinds(calls: &[Call]) -> String {
    let mut kinds = Vec::<(&str, usize)>::new();
    for call in calls {
        let kind = match (call.method.as_str(), call.path.rsplit('/').next()) {
            ("POST", Some("typing")) => "typing",
            ("POST", Some("messages")) => "post",
            ("PATCH", _) => "edit",
            ("DELETE", _) => "delete",
            _ => "other",
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_turn_takes_so_many_calls() {
    let (mut planned, mut measured) = (String::new(), String::new());
    for (seconds, tools, most, factor) in TURNS {
        let turn = format!("{seconds} s with {tools} tools");
        // The line and its end, besides typing and the answer.
        let is_shown = Duration::from_secs(seconds) > LiveTimes::default().shown_after;
        let calls = 2 + if is_shown { 2 + planned_edits(seconds, tools) } else { 0 };
        assert!(calls <= most, "{turn}: {calls}");
        writeln!(planned, "{turn}: {calls} calls, at most {most}").unwrap();

        let mut stage = stage(factor).await;
        let time = Duration::from_secs(seconds) / factor;
        let (before, begun) = (stage.discord.calls().len(), Instant::now());
        stage.ask("general", &prompt(time, tools)).await;
        // A busy machine makes it a longer turn.
        let slower = (begun.elapsed().as_secs_f64() / time.as_secs_f64()).max(1.0);
        if lines(&stage).iter().any(|line| line.starts_with("posted")) {
            let is_gone = || lines(&stage).last().is_some_and(|last| last == "deleted").then_some(());
            until("the line's end", is_gone).await;
        }
        let calls = &stage.discord.calls()[before..];
        writeln!(measured, "{turn}: {} calls ({}), {slower:.2} times as long", calls.len(), kinds(calls))
            .unwrap();
        // One that is slow for its kind has a line, too.
        assert!(
            calls.len() as f64 <= most as f64 * slower + if slower > 1.5 { 3.0 } else { 0.0 },
            "{measured}"
        );
    }
    println!("planned:\n{planned}measured:\n{measured}");
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/view"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("economy", planned);
    });
}

#[tokio::test]
async fn twenty_channels_at_work_keep_to_discords_limits_and_show_it_in_time() {
    const CHANNELS: usize = 20;
    const SECONDS: u32 = 12;
    let mut setup =
        Setup { config: format!("{ONE_FOR_MANY}[agent]\nmax_running = {CHANNELS}\n"), ..Setup::default() };
    setup.discord.rate_limits = RateLimits::On;
    let mut stage = Stage::without_bot(setup).await;
    stage.adjust = |_| ();
    stage.start().await;
    let work = prompt(Duration::from_secs(SECONDS.into()), SECONDS).replace("TEXT:done", "LONG:3000");
    let whole: String = "The quick brown fox jumps over the lazy dog. ".chars().cycle().take(3000).collect();
    let begun = Instant::now();
    let asked: Vec<Id> = (0..CHANNELS).map(|n| stage.say(&format!("channel-{n}"), &work)).collect();
    for question in &asked {
        stage.settled(*question).await;
    }
    let slower = (begun.elapsed().as_secs_f64() / f64::from(SECONDS)).max(1.0);
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    for question in &asked {
        assert_eq!(bare(&stage.answer(*question)), bare(&whole), "every answer is complete");
    }
    let calls = stage.discord.calls();
    let too_many: Vec<_> = calls.iter().filter(|call| call.status == Some(429)).collect();
    assert!(too_many.is_empty(), "{too_many:?}");

    // Something changes every second, so the time between two states is how far behind a line was.
    let mut shown = HashMap::<Id, Instant>::new();
    let (mut most, mut states) = (Duration::ZERO, 0);
    for event in stage.discord.log() {
        match event.what {
            What::Posted(it) if it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("r-")) => {
                shown.insert(it.id, event.at);
                states += 1;
            }
            What::Edited(it) => {
                if let Some(before) = shown.get_mut(&it.id) {
                    most = most.max(event.at - *before);
                    *before = event.at;
                    states += 1;
                }
            }
            _ => {}
        }
    }
    println!(
        "{CHANNELS} channels: {states} states, at most {most:?} behind, {} calls, {slower:.2} times as long",
        calls.len()
    );
    assert_eq!(shown.len(), CHANNELS);
    assert!(most <= Duration::from_secs(5).mul_f64(slower), "a line was {most:?} behind");
}
