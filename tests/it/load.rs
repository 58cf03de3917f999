//! Many channels at once, under Discord's rate limits.

use std::collections::BTreeMap;
use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{DropGateway, Event, Id, LocalDiscord, Message, RateLimits, What};
use moonlane::turn::Settled;

use crate::busy::Stopwatch;
use crate::support::{ONE_FOR_MANY, Setup, Stage, within};

/// Everything that was said, by channel, in order.
type Said = BTreeMap<String, Vec<Id>>;

/// It takes a moment, so that two at once would show.
fn prompt_for(answer: &str) -> String {
    format!("SLEEP:0.01 ;; TEXT:{answer}")
}

/// A channel gets one more message.
fn say_one_more(stage: &Stage, channel: usize, said: &mut Said) {
    let name = format!("c{channel:02}");
    let messages = said.entry(name.clone()).or_default();
    let answer = format!("{name} {}", messages.len());
    messages.push(stage.say(&name, &prompt_for(&answer)));
}

/// Waits for every message in the order in which they were said.
async fn all_answered(stage: &mut Stage, said: &Said) {
    let mut messages: Vec<Id> = said.values().flatten().copied().collect();
    messages.sort();
    for message in messages {
        assert_eq!(stage.settled(message).await, Settled::Ended(Outcome::Answered));
    }
}

/// Each channel has exactly its answers, in the order of the questions, and never had two agents at work at once.
fn assert_none_lost_none_twice_all_in_order(stage: &Stage, said: &Said, max_running: usize) {
    let times = stage.work_times();
    for (name, messages) in said {
        let expected: Vec<_> = (0..messages.len()).map(|number| format!("{name} {number}")).collect();
        let posted = stage.discord.messages(stage.discord.channel(name));
        // What shows that a turn works or waits goes after its answer.
        let is_shown = |it: &Message| {
            it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("r-") || nonce.starts_with("w-"))
        };
        let is_answer = |it: &&Message| it.by_bot && !is_shown(it);
        let answers: Vec<_> = posted.iter().filter(is_answer).map(|it| it.content.clone()).collect();
        assert_eq!(answers, expected);
        let work: Vec<_> = expected.iter().map(|answer| times[&prompt_for(answer)]).collect();
        assert!(work.is_sorted_by(|before, after| before.1 <= after.0), "{name}: {work:?}");
    }
    let total: usize = said.values().map(Vec::len).sum();
    let prompts = stage.agent_log().into_iter().filter(|event| event.event == "prompt").count();
    assert_eq!((prompts, times.len()), (total, total), "each was asked once");
    let at_work_at =
        |moment: u64| times.values().filter(|(start, end)| *start <= moment && moment < *end).count();
    let most = times.values().map(|(start, _)| at_work_at(*start)).max();
    assert!(most <= Some(max_running), "{most:?} at once");
}

/// How many calls of each kind there were, and how many of them were refused for being too many.
fn calls(stage: &Stage) -> String {
    let mut counts = BTreeMap::<_, (usize, usize)>::new();
    for call in stage.discord.calls() {
        let kind = match call.method.as_str() {
            "POST" if call.path.ends_with("/messages") => "posts",
            "POST" if call.path.ends_with("/typing") => "typing",
            "PUT" => "reactions",
            "DELETE" => "reactions taken off",
            _ => "others",
        };
        let count = counts.entry(kind).or_default();
        count.0 += 1;
        count.1 += usize::from(call.status == Some(429));
    }
    let counts = counts.iter().map(|(kind, (all, refused))| format!("{all} {kind} ({refused} refused)"));
    counts.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn fifty_channels_with_four_messages_each_get_two_hundred_answers() {
    let mut setup = Setup { config: format!("{ONE_FOR_MANY}[agent]\nmax_running = 8"), ..Setup::default() };
    setup.discord.rate_limits = RateLimits::On;
    let mut stage = Stage::with(setup).await;
    let began = Stopwatch::start();
    let mut said = Said::new();
    for channel in 0..50 {
        for _ in 0..4 {
            say_one_more(&stage, channel, &mut said);
        }
    }
    all_answered(&mut stage, &said).await;
    let answered = began.elapsed();
    assert!(began.is_within(Duration::from_secs(60)), "{began:?}");
    assert_none_lost_none_twice_all_in_order(&stage, &said, 8);

    let unmarked = |discord: &LocalDiscord| {
        let messages = said.values().flatten().filter_map(|message| discord.message(*message));
        messages.into_iter().all(|message| message.reactions.is_empty()).then_some(())
    };
    within("the end of all ⏳", stage.discord.wait_until(unmarked)).await;
    stage.stop().await;
    println!("200 answers after {answered:.1?}; {}", calls(&stage));
}

#[tokio::test]
async fn a_gateway_that_drops_again_and_again_under_load_loses_nothing() {
    let mut stage =
        Stage::with(Setup { config: format!("{ONE_FOR_MANY}[agent]\nmax_running = 16"), ..Setup::default() })
            .await;
    let mut said = Said::new();
    let resumes =
        |log: &[Event]| log.iter().filter(|event| event.what == What::Connected { resumed: true }).count();
    for drop in 1..=3 {
        (0..12).for_each(|channel| say_one_more(&stage, channel, &mut said));
        stage.discord.drop_gateway(DropGateway::Cut);
        // Nobody listens now: Discord has to send these again.
        (0..12).for_each(|channel| say_one_more(&stage, channel, &mut said));
        let resumed = stage.discord.wait_for(|log| (resumes(log) >= drop).then_some(()));
        within("the session to be resumed", resumed).await;
        for message in said.values().flatten() {
            assert!(stage.discord.redeliver(*message));
        }
    }
    all_answered(&mut stage, &said).await;
    assert_none_lost_none_twice_all_in_order(&stage, &said, 16);
}

#[tokio::test]
async fn twelve_messages_to_one_channel_take_ten_seconds_and_not_forty_five() {
    let mut setup = Setup {
        routing: r#"return { projects = { here = { dir = "WORK" } }, route = function(m) return { reply = m.text } end }"#
            .to_owned(),
        ..Setup::default()
    };
    setup.discord.rate_limits = RateLimits::On;
    let mut stage = Stage::with(setup).await;
    let began = Stopwatch::start();
    let messages: Vec<_> = (1..=12).map(|n| stage.say("general", &n.to_string())).collect();
    for &message in &messages {
        assert_eq!(stage.settled(message).await, Settled::Said);
    }
    // Discord takes five in five seconds.
    assert!(began.is_within(Duration::from_secs(30)), "{began:?}");
    let refused = stage.discord.calls().into_iter().filter(|call| call.status == Some(429)).count();
    println!("12 messages to one channel: {:.1} s, {refused} refused", began.elapsed().as_secs_f64());
    assert!(messages.iter().all(|&message| stage.parts(message).len() == 1));
}

#[tokio::test]
async fn a_hundred_turns_at_once_never_have_more_than_eight_at_work() {
    let mut stage =
        Stage::with(Setup { config: format!("{ONE_FOR_MANY}[agent]\nmax_running = 8"), ..Setup::default() })
            .await;
    let mut said = Said::new();
    (0..100).for_each(|channel| say_one_more(&stage, channel, &mut said));
    all_answered(&mut stage, &said).await;
    assert_none_lost_none_twice_all_in_order(&stage, &said, 8);
}
