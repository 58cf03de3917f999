//! What a person is shown while something goes wrong and when it has: retries, fallbacks, sessions used elsewhere.

use std::time::{Duration, Instant};

use moonlane::config::Config;
use moonlane::local::What;

use crate::support::{Setup, Stage, within};

/// Everything that the bot has posted, edited and deleted so far, besides its answers, and when.
fn asides(stage: &Stage) -> Vec<(Instant, String)> {
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
        asides.push((event.at, aside));
    }
    asides
}

/// A stage with this configuration.
async fn configured(change: fn(&mut Config)) -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.adjust = change;
    stage.start().await;
    stage
}

#[tokio::test]
async fn retries_are_shown_once_they_have_lasted_and_the_line_goes_when_they_are_over() {
    const LASTED: Duration = Duration::from_secs(1);
    let mut stage = configured(|config| config.discord.trouble_shown_after = LASTED).await;
    let began = Instant::now();
    assert_eq!(stage.ask("general", "RETRY:8:600 ;; TEXT:here I am").await, "here I am");
    let gone = stage
        .discord
        .wait_for(|log| log.iter().any(|event| matches!(event.what, What::Deleted(_))).then_some(()));
    within("the line's end", gone).await;

    let asides = asides(&stage);
    let [(posted, first), edits @ .., (_, last)] = &asides[..] else { panic!("{asides:?}") };
    assert!(*posted >= began + LASTED, "posted after {:?}", *posted - began);
    assert_eq!(last, "deleted");
    let attempt = |line: &str, how: &str| -> u32 {
        let words = format!("{how}: -# Anthropic is overloaded, trying again, ");
        let attempt = line.strip_prefix(&words).and_then(|rest| rest.strip_suffix(" of 10"));
        attempt.unwrap_or_else(|| panic!("{asides:?}")).parse().unwrap()
    };
    let mut shown = vec![(*posted, attempt(first, "posted"))];
    shown.extend(edits.iter().map(|(at, line)| (*at, attempt(line, "edited"))));
    assert!(shown.len() >= 2 && shown[0].1 >= 2, "{asides:?}");
    for two in shown.windows(2) {
        assert!(two[1].1 > two[0].1, "{asides:?}");
        assert!(two[1].0 - two[0].0 >= Duration::from_millis(1400), "edited too often: {asides:?}");
    }
}

#[tokio::test]
async fn a_short_trouble_is_not_worth_a_word() {
    let mut stage = Stage::open().await;
    assert_eq!(stage.ask("general", "RETRY:3:200 ;; TEXT:here I am").await, "here I am");
    // It ends only once all that still wants to be said is said.
    stage.stop().await;
    assert_eq!(asides(&stage), []);
}

#[tokio::test]
async fn the_line_goes_when_the_turn_fails_or_its_question_is_deleted() {
    let mut stage =
        configured(|config| config.discord.trouble_shown_after = Duration::from_millis(200)).await;
    let deleted = stage.say("general", "RETRY:1000:100 ;; TEXT:never");
    let failed = stage.say("other", "RETRY:30:100 ;; CRASH:1");
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
