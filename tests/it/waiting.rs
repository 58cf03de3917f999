//! A message that comes while a turn runs in its channel: what its author sees, and what they can do.

use std::time::Duration;

use moonlane::config::Config;
use moonlane::domain::Outcome;
use moonlane::local::{EPHEMERAL, Fault, Id, Message, SUPPRESS_NOTIFICATIONS};
use moonlane::turn::Settled;

use crate::commands::{add_shipped, said, says};
use crate::support::{ANSWERED, Setup, Stage, routing_with, within};

pub const CANCELLED: Settled = Settled::Ended(Outcome::Cancelled);

/// At work until it is stopped.
const AT_WORK: &str = "TEXT:Half of it. ;; TOOL:Read:x ;; TEXT:More. ;; TOOL:Bash:sleep 600";

fn at_once(config: &mut Config) {
    config.discord.live_times.notice_after = Duration::ZERO;
}

/// A stage on which ada and bob are let in, with these keys for the project; notices come at once.
pub async fn stage(keys: &str) -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    add_shipped(&stage);
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing_with(keys).replacen("return {", &allowed, 1));
    stage.adjust = at_once;
    stage.start().await;
    stage
}

/// The notice of a message, once it stands.
pub async fn notice(stage: &Stage, of: Id) -> Message {
    let found = stage.discord.wait_until(|discord| standing(discord, of));
    within("a notice", found).await
}

fn standing(discord: &moonlane::local::LocalDiscord, of: Id) -> Option<Message> {
    let channel = discord.message(of).map(|it| it.channel).unwrap_or_else(|| discord.channel("general"));
    let nonce = format!("w-{of}");
    discord.messages(channel).into_iter().find(|it| it.nonce.as_deref() == Some(&nonce))
}

fn labels(notice: &Message) -> Vec<String> {
    let rows = notice.components.iter().filter_map(|row| row["components"].as_array()).flatten();
    rows.filter_map(|button| button["label"].as_str().map(str::to_owned)).collect()
}

pub async fn notice_is_gone(stage: &Stage, of: Id) {
    let gone = stage.discord.wait_until(|discord| standing(discord, of).is_none().then_some(()));
    within("the notice's end", gone).await;
}

pub async fn refused(stage: &Stage, notice: &Message, person: Id, button: String) -> String {
    let told = says(stage, stage.discord.press(notice.id, person, &button).unwrap()).await;
    assert_ne!(told.flags & EPHEMERAL, 0, "{told:?}");
    told.content
}

#[tokio::test]
async fn a_message_that_waits_is_told_of_silently_until_it_begins() {
    let mut stage = stage("").await;
    let first = stage.held("general").await;
    let second = stage.say("general", "TEXT:second");
    let notice = notice(&stage, second).await;
    insta::assert_snapshot!(notice.content, @"-# ⏳ I'll start on this when I've finished what I'm working on here");
    assert_eq!(notice.reply_to, Some(second));
    assert_ne!(notice.flags & SUPPRESS_NOTIFICATIONS, 0);
    assert!(notice.pinged.is_empty());
    assert_eq!(labels(&notice), ["Send it now", "Stop that and do this", "Take it out"]);
    stage.let_go("first").await;
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, ANSWERED));
    notice_is_gone(&stage, second).await;
    assert!(standing(&stage.discord, first).is_none(), "it never waited");
}

#[tokio::test]
async fn its_author_takes_it_out_and_nobody_else() {
    let mut stage = stage("").await;
    let first = stage.held("general").await;
    let second = stage.say_as("ada", "general", "TEXT:second");
    let notice = notice(&stage, second).await;
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    for button in ["out", "instead", "now"] {
        let told = refused(&stage, &notice, bob, format!("{button}:{second}")).await;
        assert_eq!(told, "Only the person who asked, or an operator, can decide that.");
    }
    stage.discord.press(notice.id, ada, &format!("out:{second}")).unwrap();
    assert_eq!(stage.settled(second).await, CANCELLED);
    stage.reaction_taken_off(second, "⏳").await;
    notice_is_gone(&stage, second).await;
    stage.let_go("first").await;
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert!(stage.parts(second).is_empty());
    assert!(!stage.agent_log().iter().any(|it| it.prompt.as_deref() == Some("TEXT:second")));
}

#[tokio::test]
async fn whoever_may_stop_that_turn_has_theirs_go_next_ahead_of_others() {
    let mut stage = stage("").await;
    let first = stage.say_as("ada", "general", AT_WORK);
    stage.prompted(AT_WORK).await;
    let second = stage.say_as("ada", "general", "TEXT:second");
    let third = stage.say_as("ada", "general", "TEXT:third");
    let bobs = stage.say_as("bob", "general", "TEXT:bobs");
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    let told = refused(&stage, &notice(&stage, bobs).await, bob, format!("instead:{bobs}")).await;
    assert_eq!(told, "Only the person who asked, an approver or an operator can stop this.");
    let notice = notice(&stage, third).await;
    stage.discord.press(notice.id, ada, &format!("instead:{third}")).unwrap();
    assert_eq!(stage.settled(first).await, CANCELLED);
    insta::assert_snapshot!(stage.answer(first), @"
    Half of it.

    More.

    ⏹️ Stopped.
    ");
    for message in [second, third, bobs] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|it| it.prompt).collect();
    assert_eq!(prompts[1..], ["TEXT:third", "TEXT:second", "TEXT:bobs"]);
    assert_eq!(stage.ask("general", "SAY").await.lines().next(), Some(AT_WORK), "the session goes on");
}

#[tokio::test]
async fn a_button_that_was_left_behind_says_that_it_waits_no_more() {
    let mut stage = stage("").await;
    stage.held("general").await;
    let second = stage.say_as("ada", "general", "TEXT:second");
    let notice = notice(&stage, second).await;
    let general = stage.discord.channel("general");
    stage.discord.fail_next(1000, Fault::Status(403), &format!("DELETE /channels/{general}"));
    stage.let_go("first").await;
    assert_eq!(stage.settled(second).await, ANSWERED);
    for button in ["out", "instead", "now"] {
        let told = refused(&stage, &notice, stage.discord.user("ada"), format!("{button}:{second}")).await;
        assert_eq!(told, "This message isn't waiting any more.");
    }
}

#[tokio::test]
async fn where_the_project_has_it_so_a_message_ends_the_turn_before_it() {
    let mut stage = stage("busy = 'interrupt',").await;
    let first = stage.say_as("ada", "general", AT_WORK);
    stage.prompted(AT_WORK).await;
    let bobs = stage.say_as("bob", "general", "TEXT:bobs");
    stage.reacted(bobs, "⏳").await;
    notice(&stage, bobs).await;
    let adas = stage.say_as("ada", "general", "TEXT:adas");
    assert_eq!(stage.settled(first).await, CANCELLED, "bob may not stop it, ada may");
    for message in [adas, bobs] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|it| it.prompt).collect();
    assert_eq!(prompts, [AT_WORK, "TEXT:adas", "TEXT:bobs"]);
}

#[tokio::test]
async fn messages_that_interrupt_keep_their_order() {
    let mut stage = stage("busy = 'interrupt',").await;
    let all: Vec<Id> =
        [AT_WORK, "TEXT:1", "TEXT:2", "TEXT:3"].iter().map(|it| stage.say("general", it)).collect();
    for message in &all {
        stage.settled(*message).await;
    }
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|it| it.prompt).collect();
    let answered: Vec<_> = prompts.iter().filter(|it| it.starts_with("TEXT:") && it.len() == 6).collect();
    assert!(answered.is_sorted(), "{prompts:?}");
    assert_eq!(stage.settled(all[3]).await, ANSWERED, "the last one is never interrupted");
}

#[tokio::test]
async fn a_message_that_interrupts_takes_along_what_its_author_wrote_before_it() {
    let mut stage = stage("").await;
    let first = stage.say_as("ada", "general", AT_WORK);
    stage.prompted(AT_WORK).await;
    let second = stage.say_as("bob", "general", "TEXT:bobs");
    let third = stage.say_as("ada", "general", "TEXT:1");
    stage.reacted(third, "⏳").await;
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing_with("busy = 'interrupt',").replacen("return {", &allowed, 1));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let fourth = stage.say_as("ada", "general", "TEXT:2");
    assert_eq!(stage.settled(first).await, CANCELLED);
    for message in [second, third, fourth] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|it| it.prompt).collect();
    assert_eq!(prompts, [AT_WORK, "TEXT:1", "TEXT:2", "TEXT:bobs"]);
}

#[tokio::test]
async fn a_notice_that_a_bot_left_is_removed_by_the_next() {
    for is_recorded in [true, false] {
        let mut stage = stage("").await;
        stage.held("general").await;
        let second = stage.say("general", "TEXT:second");
        let left = notice(&stage, second).await;
        let general = stage.discord.channel("general");
        let removal = format!("DELETE /channels/{general}/messages/{}", left.id);
        stage.discord.fail_next(1, Fault::Status(403), &removal);
        stage.stop().await;
        assert!(standing(&stage.discord, second).is_some());
        let store = rusqlite::Connection::open(stage.config().store_path).unwrap();
        let known = "UPDATE turns SET notice = ?1 WHERE message = ?2";
        let stands = if is_recorded { left.id.get() } else { 0 };
        store.execute(known, [stands.cast_signed(), second.get().cast_signed()]).unwrap();
        drop(store);
        stage.start().await;
        assert_eq!(stage.settled(second).await, ANSWERED);
        let gone = stage.discord.wait_until(|discord| {
            let left = discord.messages(general).into_iter().any(|it| it.id == left.id);
            (!left && standing(discord, second).is_none()).then_some(())
        });
        within("the end of what was left", gone).await;
    }
}

#[tokio::test]
async fn stop_is_for_who_asked_and_for_operators() {
    let mut stage = stage("").await;
    let first = stage.say_as("ada", "general", AT_WORK);
    stage.prompted(AT_WORK).await;
    let told = said(&stage, "bob", "stop", &[]).await;
    assert_ne!(told.flags & EPHEMERAL, 0);
    assert!(
        told.content.contains("Only the person who asked, an approver or an operator can stop this."),
        "{told:?}"
    );
    said(&stage, "ada", "stop", &[]).await;
    assert_eq!(stage.settled(first).await, CANCELLED);
}
