//! What one person may take of the bot, and what others notice of it.

use std::time::{Duration, Instant};

use moonlane::local::{Id, LocalDiscord, RateLimits, Say};
use moonlane::turn::Settled;

use crate::busy::Stopwatch;
use crate::support::{ANSWERED, Setup, Stage, routing_with, within};

/// A stage with this configuration, on which ada and bob are let in.
async fn stage(config: &str, rate_limits: RateLimits) -> Stage {
    let mut setup = Setup { config: config.to_owned(), ..Setup::default() };
    setup.discord.rate_limits = rate_limits;
    let mut stage = Stage::without_bot(setup).await;
    let [ada, bob] = ["ada", "bob"].map(|person| stage.discord.user(person));
    stage.save("routing.lua", &routing_with(&format!("allow = {{ users = {{ '{ada}', '{bob}' }} }}")));
    stage.start().await;
    stage
}

/// Everything that the bot has said in a channel.
fn said(stage: &Stage, channel: &str) -> Vec<String> {
    let messages = stage.discord.messages(stage.discord.channel(channel));
    messages.into_iter().filter(|it| it.by_bot).map(|it| it.content).collect()
}

/// The prompts that agents have got.
fn prompts(stage: &Stage) -> Vec<String> {
    stage.agent_log().into_iter().filter(|it| it.event == "prompt").filter_map(|it| it.prompt).collect()
}

#[tokio::test]
async fn of_too_many_waiting_messages_the_person_hears_once_until_there_is_room_again() {
    let mut stage = stage("[person]\nmax_waiting = 2", RateLimits::Off).await;
    let held = stage.held("general").await;
    let waiting = ["TEXT:1", "TEXT:2"].map(|text| stage.say("general", text));
    let (told, silent) = (stage.say("general", "TEXT:3"), stage.say("general", "TEXT:4"));
    assert_eq!(stage.settled(told).await, Settled::Said);
    insta::assert_snapshot!(stage.answer(told), @"You already have 2 messages waiting here. Send this again once one of them has started.");
    assert_eq!(stage.settled(silent).await, Settled::Ignored);
    // Nobody else has to do with it, and another channel neither.
    let others = [stage.say_as("ada", "general", "TEXT:ada"), stage.say("elsewhere", "TEXT:elsewhere")];

    stage.let_go("done").await;
    for message in [held].into_iter().chain(waiting).chain(others) {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    // Discord delivers them again, now that there is room: they were refused for good, and their person knows.
    for message in [told, silent] {
        assert!(stage.discord.redeliver(message));
    }
    assert_eq!(stage.ask("general", "TEXT:5").await, "5");
    assert!(!prompts(&stage).iter().any(|prompt| prompt == "TEXT:3" || prompt == "TEXT:4"));
    assert_eq!((stage.parts(told).len(), stage.parts(silent).len()), (1, 0));

    // What is too much the next time is told again.
    let stalled = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    let waiting = ["TEXT:6", "TEXT:7"].map(|text| stage.say("general", text));
    let told = stage.say("general", "TEXT:8");
    assert_eq!(stage.settled(told).await, Settled::Said);
    assert!(stage.discord.redeliver(told));
    assert!(stage.discord.delete(stalled));
    for message in waiting {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    assert_eq!(stage.parts(told).len(), 1);
}

#[tokio::test]
async fn a_message_that_was_refused_is_not_taken_after_a_restart_either() {
    let mut stage = stage("[person]\nmax_waiting = 1", RateLimits::Off).await;
    let stalled = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    let waits = stage.say("general", "TEXT:waits");
    let refused = ["TEXT:told", "TEXT:silent"].map(|text| stage.say("general", text));
    assert_eq!(stage.settled(refused[0]).await, Settled::Said);
    assert_eq!(stage.settled(refused[1]).await, Settled::Ignored);
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.settled(waits).await, ANSWERED);
    assert!(refused.iter().all(|message| stage.discord.redeliver(*message)));
    assert_eq!(stage.ask("general", "TEXT:last").await, "last");
    assert_eq!(prompts(&stage), ["STALL", "TEXT:waits", "TEXT:last"]);
    assert_eq!(stage.parts(refused[0]).len(), 1);
    assert!(stage.discord.message(stalled).is_some());
}

#[tokio::test]
async fn somebody_who_writes_too_fast_is_told_once_and_nobody_else_notices() {
    let mut stage = stage("[person]\nmax_messages = 3", RateLimits::Off).await;
    // What needs no agent counts too: each makes a message of the bot's.
    assert_eq!(stage.ask("general", "TEXT:1").await, "1");
    stage.ask("general", "").await;
    stage.ask("elsewhere", "").await;
    let refused = ["TEXT:2", "", "TEXT:3"].map(|text| stage.say("general", text));
    assert_eq!(stage.settled(refused[0]).await, Settled::Said);
    insta::assert_snapshot!(stage.answer(refused[0]), @"You've sent me 3 messages within a minute. Wait a minute, then send this again.");
    for message in &refused[1..] {
        assert_eq!(stage.settled(*message).await, Settled::Ignored);
        assert!(stage.parts(*message).is_empty());
    }
    let ada = stage.say_as("ada", "general", "TEXT:ada");
    assert_eq!(stage.settled(ada).await, ANSWERED);
    assert_eq!(prompts(&stage), ["TEXT:1", "TEXT:ada"]);
}

#[tokio::test]
async fn ten_channels_of_one_person_leave_a_slot_for_others() {
    let mut stage = stage("[agent]\nmax_running = 3", RateLimits::Off).await;
    for channel in 0..10 {
        stage.say_as("bob", &format!("b{channel}"), &format!("STALL:{channel}"));
    }
    stage.prompted("STALL:0").await;
    stage.prompted("STALL:1").await;
    for channel in ["general", "elsewhere"] {
        let ada = stage.say_as("ada", channel, "TEXT:ada");
        assert_eq!(stage.settled(ada).await, ANSWERED);
    }
    assert_eq!(prompts(&stage).iter().filter(|prompt| prompt.starts_with("STALL")).count(), 2);
}

/// Behind a turn of bob's that holds the only slot, three of his wait in three channels, and then two of ada's in two.
async fn five_wait_for_one_slot() -> (Stage, Id, Vec<Id>) {
    let stage = stage("[agent]\nmax_running = 1", RateLimits::Off).await;
    let stalled = stage.say_as("bob", "b", "STALL");
    stage.prompted("STALL").await;
    let mut waiting = Vec::new();
    for (person, number) in [("bob", 1), ("bob", 2), ("bob", 3), ("ada", 1), ("ada", 2)] {
        let name = format!("{person}{number}");
        let message = stage.say_as(person, &name, &format!("TEXT:{name}"));
        stage.reacted(message, "⏳").await;
        waiting.push(message);
    }
    (stage, stalled, waiting)
}

#[tokio::test]
async fn slots_are_dealt_to_people_before_channels() {
    let (mut stage, stalled, waiting) = five_wait_for_one_slot().await;
    assert!(stage.discord.delete(stalled));
    for message in waiting {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let expected = ["STALL", "TEXT:bob1", "TEXT:ada1", "TEXT:bob2", "TEXT:ada2", "TEXT:bob3"];
    assert_eq!(prompts(&stage), expected);
}

#[tokio::test]
async fn what_waited_before_a_restart_keeps_its_order_and_gets_its_share() {
    let (mut stage, _, waiting) = five_wait_for_one_slot().await;
    stage.stop().await;
    stage.start().await;
    for message in waiting {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let prompts = prompts(&stage);
    let place = |prompt: &str| prompts.iter().position(|it| it == prompt).unwrap();
    let places = ["TEXT:bob1", "TEXT:bob2", "TEXT:bob3"].map(place);
    assert!(places.is_sorted() && place("TEXT:ada1") < place("TEXT:ada2"), "{prompts:?}");
    // Bob may have one more before all of them are back in their lanes.
    assert!(place("TEXT:ada1") < place("TEXT:bob3"), "{prompts:?}");
}

/// How long ada waits for an answer in this channel, at the median. Discord takes five messages at once in a channel.
async fn median_wait(stage: &mut Stage, channel: &str) -> Duration {
    let mut waits = Vec::new();
    for number in 0..5 {
        let began = Instant::now();
        let message = stage.say_as("ada", channel, &format!("TEXT:{number}"));
        assert_eq!(stage.settled(message).await, ANSWERED);
        waits.push(began.elapsed());
    }
    waits.sort();
    waits[waits.len() / 2]
}

/// Bob writes a message every ten milliseconds, to ten channels in turn, until this is dropped.
struct Flood(tokio::task::JoinHandle<()>);

impl Flood {
    fn start(discord: &LocalDiscord) -> Self {
        let discord = discord.clone();
        let bob = discord.user("bob");
        Self(tokio::spawn(async move {
            for number in 0.. {
                let channel = discord.channel(&format!("b{}", number % 10));
                discord.say(Say::to_bot(channel, bob, format!("SLEEP:0.2 ;; TEXT:{number}")));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn whoever_floods_is_slowed_alone() {
    let mut stage = stage("[agent]\nmax_running = 4", RateLimits::On).await;
    let all = Stopwatch::start();
    let calm = median_wait(&mut stage, "calm").await;
    let flood = Flood::start(&stage.discord);
    let refusal = |discord: &LocalDiscord| {
        let mut said = (0..10).flat_map(|n| discord.messages(discord.channel(&format!("b{n}"))));
        said.any(|it| it.by_bot && it.content.contains("within a minute. Wait")).then_some(())
    };
    within("bob to be refused", stage.discord.wait_until(refusal)).await;
    let flooded = median_wait(&mut stage, "flooded").await;
    drop(flood);
    let told: usize = (0..10)
        .map(|n| {
            said(&stage, &format!("b{n}")).iter().filter(|it| it.contains("within a minute. Wait")).count()
        })
        .sum();
    println!(
        "ada waits {:.1} ms, and {:.1} ms while bob floods ({:.1} times); bob was told {told} times",
        calm.as_secs_f64() * 1e3,
        flooded.as_secs_f64() * 1e3,
        flooded.as_secs_f64() / calm.as_secs_f64()
    );
    let limit = calm * 20 + Duration::from_millis(500);
    assert!(all.allows(flooded, limit), "{flooded:?} in place of {calm:?}, {all:?}");
}
