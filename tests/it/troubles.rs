//! What a person is shown while something goes wrong and when it has: retries, fallbacks, sessions used elsewhere.

use std::time::Duration;

use moonlane::local::What;

use crate::support::{Stage, within};

/// Everything that the bot has posted, edited and deleted so far, besides its answers.
fn asides(stage: &Stage) -> Vec<String> {
    let mut asides = Vec::new();
    let mut lines = Vec::new();
    for event in stage.discord.log() {
        match event.what {
            What::Posted(it) if it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("r-")) => {
                lines.push(it.id);
                asides.push(format!("posted: {}", it.content));
            }
            What::Edited(it) if lines.contains(&it.id) => asides.push(format!("edited: {}", it.content)),
            What::Deleted(id) if lines.contains(&id) => asides.push("deleted".to_owned()),
            _ => {}
        }
    }
    asides
}

#[tokio::test]
async fn retries_are_shown_after_five_seconds_and_the_line_goes_when_they_are_over() {
    let mut stage = Stage::open().await;
    // Three before the line is shown, two after it, and then the answer.
    let answer = stage.ask("general", "RETRY:5:1900 ;; TEXT:here I am ;; SLEEP:1").await;
    assert_eq!(answer, "here I am");
    let gone = stage
        .discord
        .wait_for(|log| log.iter().any(|event| matches!(event.what, What::Deleted(_))).then_some(()));
    within("the line's end", gone).await;
    insta::assert_snapshot!(asides(&stage).join("\n"), @"
    posted: -# Anthropic is overloaded, trying again, 3 of 10
    edited: -# Anthropic is overloaded, trying again, 4 of 10
    edited: -# Anthropic is overloaded, trying again, 5 of 10
    deleted
    ");
}

#[tokio::test]
async fn a_short_trouble_is_not_worth_a_word() {
    let mut stage = Stage::open().await;
    assert_eq!(stage.ask("general", "RETRY:3:200 ;; TEXT:here I am").await, "here I am");
    tokio::time::sleep(Duration::from_millis(5500)).await;
    assert_eq!(asides(&stage), [""; 0]);
}

#[tokio::test]
async fn the_line_goes_when_the_turn_fails_or_its_question_is_deleted() {
    let mut stage = Stage::open().await;
    let deleted = stage.say("general", "RETRY:9:1000 ;; TEXT:never");
    let failed = stage.say("other", "RETRY:7:1000 ;; CRASH:1");
    let shown = stage.discord.wait_for(|log| {
        let is_line = |what: &What| matches!(what, What::Posted(it) if it.content.contains("trying again"));
        (log.iter().filter(|event| is_line(&event.what)).count() == 2).then_some(())
    });
    within("both lines", shown).await;
    stage.discord.delete(deleted);
    stage.settled(deleted).await;
    stage.settled(failed).await;
    assert!(stage.parts(deleted).is_empty());
    let gone = stage.discord.wait_for(|log| {
        let lines = log.iter().filter(|event| matches!(event.what, What::Deleted(id) if id != deleted));
        (lines.count() == 2).then_some(())
    });
    within("the end of both lines", gone).await;
}

#[tokio::test]
async fn a_fallback_model_is_named() {
    let mut stage = Stage::open().await;
    insta::assert_snapshot!(stage.ask("general", "FALLBACK:claude-sonnet-5-5 ;; TEXT:an answer").await, @"
    an answer

    -# `demo` was overloaded, so `claude-sonnet-5-5` went on
    ");
    assert_eq!(stage.ask("general", "TEXT:another").await, "another");
}
