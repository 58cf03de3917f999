//! `/reset` while the channel is at work: what began before it never comes back into the session of what begins after.

use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, File, Say};
use moonlane::turn::Settled;
use rustix::process::Signal;

use super::{buttons, heard, said, shipped, stage};
use crate::separate::{Process, bot_on};
use crate::support::{ANSWERED, AgentEvent, HELD, Stage};

/// Asks an agent for the prompts of its session so far.
const SAY: &str = "SAY";
/// What it says where there were none.
const NOTHING: &str = "(nothing was said before)";

/// The owner resets the session, and confirms.
async fn reset(stage: &Stage, turns: &str) {
    let question = said(stage, "owner", "reset", &[]).await;
    assert!(question.content.starts_with(&format!("Forget {turns} with **here**")), "{}", question.content);
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    stage.discord.press(question.id, stage.discord.owner(), yes).unwrap();
    heard(stage, &format!("Forgot {turns} with **here**")).await;
}

/// The agent that got this prompt.
fn agent(stage: &Stage, prompt: &str) -> AgentEvent {
    let is_it = |event: &AgentEvent| event.event == "prompt" && event.prompt.as_deref() == Some(prompt);
    stage.agent_log().into_iter().find(is_it).expect("the prompt")
}

#[tokio::test]
async fn the_permission_is_asked_for_in_the_channel_that_is_reset() {
    let mut stage = stage().await;
    let (here, there) = (stage.discord.channel("general"), stage.discord.channel("other"));
    let ada = stage.discord.user("ada");
    stage.ask("other", "TEXT:one").await;
    stage.discord.permit_in(here, ada, 1 << 13);
    let there_by_name = there.to_string();
    let reset = [("channel", there_by_name.as_str())];
    let refused = said(&stage, "ada", "reset", &reset).await;
    assert_eq!(refused.content, format!("You need the “manage messages” permission in <#{there}> for this."));
    assert_eq!(said(&stage, "ada", "reset", &[]).await.content, "There is no session to reset.");

    stage.discord.permit_in(there, ada, 1 << 13);
    let question = said(&stage, "ada", "reset", &reset).await;
    assert!(question.content.starts_with("Forget 1 turn with **here**"), "{}", question.content);
}

#[tokio::test]
async fn a_turn_that_runs_ends_well_and_does_not_bring_its_session_back() {
    let mut stage = stage().await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let running = stage.held("general").await;
    reset(&stage, "1 turn").await;
    stage.let_go("done").await;
    assert_eq!(stage.settled(running).await, ANSWERED);
    assert_eq!(stage.answer(running), "done");
    assert_eq!(said(&stage, "owner", "reset", &[]).await.content, "There is no session to reset.");

    // The live agent of the channel knows the old session, so it does not serve the next turn.
    assert_eq!(stage.ask("general", SAY).await, NOTHING);
    let (old, new) = (agent(&stage, HELD), agent(&stage, SAY));
    assert!(old.session != new.session && old.pid != new.pid, "{old:?} {new:?}");
    assert_eq!(stage.ask("general", SAY).await, SAY, "and this one goes on as usual");
}

#[tokio::test]
async fn the_first_turn_of_a_session_does_not_bring_it_back_either() {
    let mut stage = stage().await;
    let running = stage.held("general").await;
    reset(&stage, "0 turns").await;
    stage.let_go("done").await;
    assert_eq!(stage.settled(running).await, ANSWERED);
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.ask("general", SAY).await, NOTHING);
}

#[tokio::test]
async fn a_turn_that_has_not_asked_its_agent_yet_does_not_either() {
    let mut stage = stage().await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let slow = Fault::Delay(Duration::from_secs(2));
    stage.discord.fail_next(1, slow, "GET /attachments");
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let files = vec![File { name: "a.txt".to_owned(), content_type: None, bytes: "text".into() }];
    let running = stage.discord.say(Say { files, ..Say::to_bot(channel, owner, "TEXT:two") });
    reset(&stage, "1 turn").await;
    assert!(!stage.agent_log().iter().any(|it| it.prompt.as_ref().is_some_and(|it| it.contains("two"))));
    assert_eq!(stage.settled(running).await, ANSWERED);
    assert_eq!(stage.answer(running), "two");
    assert_eq!(stage.ask("general", SAY).await, NOTHING);
}

#[tokio::test]
async fn a_follow_up_that_waits_is_the_first_of_the_new_session() {
    let mut stage = stage().await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let running = stage.held("general").await;
    let waiting = stage.say("general", SAY);
    stage.reacted(waiting, "⏳").await;
    reset(&stage, "1 turn").await;
    stage.let_go("done").await;
    assert_eq!(stage.settled(running).await, ANSWERED);
    assert_eq!(stage.settled(waiting).await, ANSWERED);
    assert_eq!(stage.answer(waiting), NOTHING);
    assert_eq!(stage.ask("general", SAY).await, SAY);
}

#[tokio::test]
async fn a_turn_that_is_stopped_after_the_reset_does_not_bring_its_session_back() {
    let mut stage = stage().await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let running = stage.say("general", "SLEEP:600");
    stage.prompted("SLEEP:600").await;
    reset(&stage, "1 turn").await;
    said(&stage, "owner", "stop", &[]).await;
    assert_eq!(stage.settled(running).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.ask("general", SAY).await, NOTHING);
}

#[tokio::test]
async fn a_bot_that_dies_after_the_reset_has_forgotten_all_the_same() {
    let mut stage = shipped().await;
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    let first = stage.say("general", "TEXT:one");
    stage.parts_posted(first, 1).await;
    let running = stage.held("general").await;
    let waiting = stage.say("general", SAY);
    stage.reacted(waiting, "⏳").await;
    reset(&stage, "1 turn").await;
    bot.signal(Signal::KILL);
    bot.ended().await;
    stage.start().await;
    assert_eq!(stage.settled(running).await, Settled::Ended(Outcome::Interrupted));
    assert_eq!(stage.settled(waiting).await, ANSWERED);
    assert_eq!(stage.answer(waiting), NOTHING);
}
