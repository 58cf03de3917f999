//! A turn at work, as the channel sees it: one silent line, and never at the answer's cost.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moonlane::config::Config;
use moonlane::local::{EPHEMERAL, Fault, Id, Message, SUPPRESS_NOTIFICATIONS, What};

use crate::busy::Stopwatch;
use crate::commands::{add_shipped, said, says};
use crate::crashes::{FOR_EVER, Program, outcome, until};
use crate::support::{Setup, Stage, routing_with, within};

/// Twenty times as fast as for people.
pub const FASTER: u32 = 20;

fn faster(config: &mut Config) {
    // So that what waits for a call that hangs waits for ever.
    config.discord.request_limit = FOR_EVER;
    let times = &mut config.discord.live_times;
    times.shown_after /= FASTER;
    times.least_pause /= FASTER;
    times.most_pause /= FASTER;
}

/// A stage with the shipped commands, whose live lines come soon.
pub async fn stage() -> Stage {
    stage_with("").await
}

/// The same, whose project has these keys besides.
pub async fn stage_with(keys: &str) -> Stage {
    let setup = Setup { routing: routing_with(keys), ..Setup::default() };
    let mut stage = Stage::without_bot(setup).await;
    add_shipped(&stage);
    stage.adjust = faster;
    stage.start().await;
    stage
}

/// What became of live lines so far: each with its time among the other posts.
pub fn lines(stage: &Stage) -> Vec<String> {
    let mut ids = Vec::new();
    let mut told = Vec::new();
    for event in stage.discord.log() {
        match event.what {
            What::Posted(it) if it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("r-")) => {
                ids.push(it.id);
                told.push(format!("posted:\n{}", without_time(&it.content)));
            }
            What::Edited(it) if ids.contains(&it.id) => {
                told.push(format!("edited:\n{}", without_time(&it.content)));
            }
            What::Deleted(id) if ids.contains(&id) => told.push("deleted".to_owned()),
            What::Posted(it) if it.by_bot => told.push(format!("answer: {}", it.content)),
            _ => {}
        }
    }
    told
}

fn without_time(line: &str) -> String {
    let time = line.split_once("<t:").and_then(|(head, rest)| Some((head, rest.split_once(":R>")?.1)));
    time.map_or(line.to_owned(), |(head, rest)| format!("{head}SOME TIME AGO{rest}"))
}

/// The live line in a channel, once its text has this in it.
pub async fn line_with(stage: &Stage, channel: Id, words: &str) -> Id {
    let found = stage.discord.wait_until(|discord| {
        let lines = discord.messages(channel);
        lines.iter().find(|it| it.by_bot && it.content.contains(words)).map(|it| it.id)
    });
    within(words, found).await
}

/// A stage on which every turn is a quick one, however busy the machine is.
pub async fn stage_for_quick_turns() -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.adjust = |config| config.discord.live_times.shown_after = FOR_EVER;
    stage.start().await;
    stage
}

#[tokio::test]
async fn a_quick_turn_shows_nothing_but_its_answer() {
    let mut stage = stage_for_quick_turns().await;
    stage.ask("general", "TOOL:Bash:ls ;; SLEEP:0.3 ;; TEXT:quick").await;
    assert_eq!(lines(&stage), ["answer: quick"]);
}

#[tokio::test]
async fn a_longer_turn_shows_what_it_does_until_its_answer_stands() {
    let mut stage = stage().await;
    let question = stage.say(
        "general",
        "TEXT:I look first. ;; TOOL:Read:x ;; SLEEP:0.3 ;; TOOL:Edit:{\"file_path\":\"a.rs\"} ;; TOOL:Bash:sleep 0.4 ;; TEXT:done",
    );
    stage.settled(question).await;
    until("the line's end", || lines(&stage).contains(&"deleted".to_owned()).then_some(())).await;
    let lines = lines(&stage);
    assert!(lines[0].starts_with("posted"), "{lines:#?}");
    assert_eq!(lines[lines.len() - 2..], ["answer: done", "deleted"], "{lines:#?}");
    let at_the_end = lines.iter().find(|line| line.contains("Running `sleep 0.4`"));
    insta::assert_snapshot!(at_the_end.unwrap(), @"
    edited:
    -# ⚙ Working, started SOME TIME AGO
    -# I look first.
    -# read a file
    -# ✓ Edited `a.rs`
    -# ▸ Running `sleep 0.4`
    ");
    let log = stage.discord.log();
    let line = log.iter().find_map(|event| match &event.what {
        What::Posted(it) if it.content.contains("Working") => Some(it),
        _ => None,
    });
    let line = line.unwrap();
    assert_eq!(line.reply_to, Some(question));
    assert!(line.pinged.is_empty());
    assert_ne!(line.flags & SUPPRESS_NOTIFICATIONS, 0, "it is silent");
}

/// Two turns wait for the only slot; their questions and channels.
async fn two_wait_for_a_slot() -> (Stage, [(Id, Id); 2]) {
    let setup = Setup { config: "[agent]\nmax_running = 1".to_owned(), ..Setup::default() };
    let mut stage = Stage::without_bot(setup).await;
    stage.adjust = faster;
    stage.start().await;
    stage.held("general").await;
    let second = stage.say("second", "TOOL:Bash:sleep 0.5 ;; TEXT:two");
    stage.reacted(second, "⏳").await;
    let third = stage.say("third", "TEXT:three");
    stage.reacted(third, "⏳").await;
    let channels = ["second", "third"].map(|name| stage.discord.channel(name));
    (stage, [(second, channels[0]), (third, channels[1])])
}

#[tokio::test]
async fn a_turn_that_waits_for_a_slot_shows_its_place_and_then_its_work() {
    let (mut stage, [(second, in_second), (third, in_third)]) = two_wait_for_a_slot().await;
    let line = line_with(&stage, in_second, "-# ⏳ Waiting for a slot, place 1").await;
    line_with(&stage, in_third, "-# ⏳ Waiting for a slot, place 2").await;
    let shown = stage.discord.message(line).unwrap();
    assert_eq!(shown.reply_to, Some(second));
    assert_ne!(shown.flags & SUPPRESS_NOTIFICATIONS, 0, "it is silent");
    // Behind another turn of its own lane it shows none.
    let behind = stage.say("third", "TEXT:four");
    stage.reacted(behind, "⏳").await;
    stage.let_go("TEXT:one").await;
    assert_eq!(line_with(&stage, in_second, "Running `sleep 0.5`").await, line);
    line_with(&stage, in_third, "-# ⏳ Waiting for a slot, place 1").await;
    for message in [second, third, behind] {
        stage.settled(message).await;
    }
    assert_eq!([second, third, behind].map(|it| stage.answer(it)), ["two", "three", "four"]);
    let left = || stage.discord.messages(in_third).iter().filter(|it| it.by_bot).count();
    until("the line's end", || (left() == 2).then_some(())).await;
    let lines = lines(&stage);
    let posted = lines.iter().filter(|line| line.starts_with("posted"));
    assert_eq!(posted.count(), 3, "one of each but the one behind: {lines:#?}");
}

#[tokio::test]
async fn a_turn_that_waits_is_taken_out_by_its_button_without_a_word() {
    let (mut stage, [(second, in_second), (_, in_third)]) = two_wait_for_a_slot().await;
    let line = line_with(&stage, in_second, "place 1").await;
    let pressed = stage.discord.message(line).unwrap();
    assert!(pressed.components[0].to_string().contains("Take it out"), "{:?}", pressed.components);
    stage.discord.press(line, stage.discord.owner(), &format!("stop:{second}")).unwrap();
    stage.settled(second).await;
    let said = || stage.discord.messages(in_second).iter().filter(|it| it.by_bot).count();
    until("the line's end", || (said() == 0).then_some(())).await;
    stage.reaction_taken_off(second, "⏳").await;
    line_with(&stage, in_third, "place 1").await;
}

#[tokio::test]
async fn the_line_of_a_turn_that_waited_when_the_bot_was_killed_is_taken_away() {
    let setup = Setup { config: "[agent]\nmax_running = 1".to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let bot = Program::start(&stage).await;
    stage.say("general", "SLEEP:20");
    stage.prompted("SLEEP:20").await;
    let waits = stage.say("other", "TEXT:here");
    let other = stage.discord.channel("other");
    line_with(&stage, other, "place 1").await;
    bot.kill().await;
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, waits).await, "answered");
    let said = || stage.discord.messages(other).into_iter().filter(|it| it.by_bot).map(|it| it.content);
    until("the line's end", || said().eq(["here"]).then_some(())).await;
}

#[tokio::test]
async fn it_says_at_once_that_a_turn_stops() {
    let mut stage = stage().await;
    let general = stage.discord.channel("general");
    let question = stage.say("general", "TEXT:Half of it. ;; TOOL:Bash:sleep 60");
    line_with(&stage, general, "Running").await;
    said(&stage, "owner", "stop", &[]).await;
    line_with(&stage, general, "Stopping").await;
    stage.settled(question).await;
    assert!(stage.answer(question).contains("Half of it."), "{}", stage.answer(question));
}

/// A stage on which ada and bob are let in, and ada's turn runs; its question and its live line.
async fn adas_turn() -> (Stage, Id, Id) {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing_with("").replacen("return {", &allowed, 1));
    stage.adjust = faster;
    stage.start().await;
    let question = stage.say_as("ada", "general", "TEXT:Half of it. ;; TOOL:Bash:sleep 60");
    let general = stage.discord.channel("general");
    let line = line_with(&stage, general, "Running").await;
    (stage, question, line)
}

#[tokio::test]
async fn the_stop_button_is_for_who_asked_and_for_operators() {
    for person in ["ada", "owner"] {
        let (mut stage, question, line) = adas_turn().await;
        let general = stage.discord.channel("general");
        let stop = format!("stop:{question}");
        let bob = stage.discord.user("bob");
        let refused = says(&stage, stage.discord.press(line, bob, &stop).unwrap()).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.content, @"Only the person who asked, an approver or an operator can stop this.");
        }
        assert_ne!(refused.flags & EPHEMERAL, 0);
        let person = if person == "owner" { stage.discord.owner() } else { stage.discord.user(person) };
        let begun = Stopwatch::start();
        stage.discord.press(line, person, &stop).unwrap();
        line_with(&stage, general, "Stopping").await;
        assert!(stage.discord.press(line, person, &stop).is_err(), "the button is gone");
        stage.settled(question).await;
        assert!(begun.is_within(Duration::from_secs(10)), "{begun:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(stage.answer(question), @"
            Half of it.

            ⏹️ Stopped.
            ");
        }
    }
}

/// How long after a press of Stop the line said so, and the answer stood.
pub async fn times_after(stage: &Stage, pressed: Instant) -> [Duration; 2] {
    fn says(it: &Message, words: &str) -> bool {
        it.by_bot && it.content.contains(words)
    }
    let came = async |what: &str, is_it: fn(&What) -> bool| {
        let seen = stage.discord.wait_for(|log| {
            log.iter().find(|event| event.at >= pressed && is_it(&event.what)).map(|event| event.at)
        });
        within(what, seen).await - pressed
    };
    [
        came("the line", |what| matches!(what, What::Edited(it) if says(it, "Stopping"))).await,
        came("the answer", |what| matches!(what, What::Posted(it) if says(it, "Stopped."))).await,
    ]
}

#[tokio::test]
async fn a_press_of_stop_takes_effect_within_a_second() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    // As for people, but that the line comes at once: the press comes in the pause after it.
    stage.adjust = |config| config.discord.live_times.shown_after = Duration::ZERO;
    stage.start().await;
    let question = stage.say("general", "TEXT:Half of it. ;; TOOL:Bash:sleep 60");
    let line = line_with(&stage, stage.discord.channel("general"), "Working").await;
    let (begun, pressed, clock) = (Stopwatch::start(), Instant::now(), SystemTime::now());
    stage.discord.press(line, stage.discord.owner(), &format!("stop:{question}")).unwrap();
    let [said, answered] = times_after(&stage, pressed).await;
    let interrupted = stage.agent_log().into_iter().find(|it| it.event == "interrupted").unwrap();
    let clock = clock.duration_since(UNIX_EPOCH).unwrap();
    let told = Duration::from_nanos(interrupted.at_ns).saturating_sub(clock);
    println!(
        "after the press of Stop: the agent is told {told:?}, the line says so {said:?}, the answer {answered:?}"
    );
    for took in [told, said, answered] {
        assert!(begun.allows(took, Duration::from_secs(1)), "{took:?}: {begun:?}");
    }
    stage.settled(question).await;
}

#[tokio::test]
async fn a_button_that_was_left_behind_says_that_the_turn_is_over() {
    let (mut stage, question, line) = adas_turn().await;
    let general = stage.discord.channel("general");
    stage.discord.fail_next(1000, Fault::Status(403), &format!("PATCH /channels/{general}"));
    stage.discord.fail_next(1000, Fault::Status(403), &format!("DELETE /channels/{general}"));
    let (ada, stop) = (stage.discord.user("ada"), format!("stop:{question}"));
    stage.discord.press(line, ada, &stop).unwrap();
    stage.settled(question).await;
    let late = says(&stage, stage.discord.press(line, ada, &stop).unwrap()).await;
    assert_eq!(late.content, "This has already finished.");
}

#[tokio::test]
async fn a_line_whose_end_discord_does_not_answer_holds_up_no_part_and_no_later_answer() {
    let mut stage = stage().await;
    let general = stage.discord.channel("general");
    stage.discord.fail_next(100, Fault::Delay(FOR_EVER), &format!("DELETE /channels/{general}"));
    let long = stage.say("general", "TOOL:Bash:sleep 0.3 ;; LONG:5500");
    stage.settled(long).await;
    assert_eq!(stage.parts(long).len(), 3);
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn where_the_line_cannot_be_posted_or_edited_the_answer_comes_all_the_same() {
    let mut stage = stage().await;
    let general = stage.discord.channel("general");
    stage.discord.fail_next(1, Fault::Status(403), &format!("POST /channels/{general}/messages"));
    let busy = "TOOL:Edit:{\"file_path\":\"a\"} ;; SLEEP:0.2 ;; TOOL:Edit:{\"file_path\":\"b\"} ;; SLEEP:0.2";
    assert_eq!(stage.ask("general", &format!("{busy} ;; TEXT:one")).await, "one");
    let posts = |stage: &Stage| {
        let calls = stage.discord.calls();
        calls.iter().filter(|call| call.method == "POST" && call.path.ends_with("/messages")).count()
    };
    assert_eq!(posts(&stage), 2, "the line was tried once");
    // An edit that hangs holds up nothing.
    stage.discord.fail_next(100, Fault::Delay(FOR_EVER), "PATCH ");
    assert_eq!(stage.ask("general", "TOOL:Bash:sleep 0.3 ;; TOOL:Bash:sleep 0.3 ;; TEXT:two").await, "two");
}
