//! What a person is shown while something goes wrong and when it has: retries, fallbacks, sessions used elsewhere.

use std::collections::HashSet;
use std::time::Duration;

use moonlane::local::What;

use crate::support::{Setup, Stage, within};

/// Everything that the bot has posted, edited and deleted so far, besides its answers, and when.
fn asides(stage: &Stage) -> Vec<String> {
    let mut asides = Vec::new();
    let mut lines = Vec::new();
    for event in stage.discord.log() {
        let aside = match event.what {
            What::Posted(it) if it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("r-")) => {
                lines.push(it.id);
                format!("posted: {}", it.content)
            }
            What::Edited(it) if lines.contains(&it.id) => format!("edited: {}", it.content),
            What::Deleted(id) if lines.contains(&id) => "deleted".to_owned(),
            _ => continue,
        };
        asides.push(aside);
    }
    asides
}

/// A stage on which turns show soon that they are at work.
async fn stage() -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.adjust = |config| {
        config.discord.live_times.shown_after = Duration::from_millis(100);
        config.discord.live_times.least_pause = Duration::ZERO;
    };
    stage.start().await;
    stage
}

#[tokio::test]
async fn retries_are_shown_until_they_are_over() {
    let mut stage = stage().await;
    let question = stage.say("general", "RETRY:8:300 ;; TEXT:here I am ;; TOOL:Bash:sleep 0.5 ;; TEXT:done");
    stage.settled(question).await;
    assert_eq!(stage.answer(question), "done");
    let gone = stage
        .discord
        .wait_for(|log| log.iter().any(|event| matches!(event.what, What::Deleted(_))).then_some(()));
    within("the line's end", gone).await;

    let asides = asides(&stage);
    let attempt = |line: &String| {
        let (_, attempt) = line.split_once("-# Anthropic is overloaded; retrying, attempt ")?;
        Some(attempt.strip_suffix(" of 10").unwrap().parse::<u32>().unwrap())
    };
    let attempts: Vec<u32> = asides.iter().filter_map(attempt).collect();
    assert!(attempts.len() >= 2 && attempts.is_sorted(), "{asides:#?}");
    let [.., last, gone] = &asides[..] else { panic!("{asides:?}") };
    assert!(!last.contains("retrying"), "{asides:#?}");
    assert_eq!(gone, "deleted");
}

#[tokio::test]
async fn the_line_goes_when_the_turn_fails_or_its_question_is_deleted() {
    let mut stage = stage().await;
    let deleted = stage.say("general", "RETRY:1000:100 ;; TEXT:never");
    let failed = stage.say("other", "RETRY:30:100 ;; CRASH:1");
    let shown = stage.discord.wait_for(|log| {
        let line = |what: &What| match what {
            What::Posted(it) | What::Edited(it) if it.content.contains("retrying") => Some(it.id),
            _ => None,
        };
        let lines: HashSet<_> = log.iter().filter_map(|event| line(&event.what)).map(|id| id.get()).collect();
        (lines.len() == 2).then_some(())
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

    -# `demo` was overloaded, so `claude-sonnet-5-5` took over
    ");
    assert_eq!(stage.ask("general", "TEXT:another").await, "another");
}
