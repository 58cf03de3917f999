//! What the real Claude Code does with a message that comes while a turn runs.

use std::time::{Duration, Instant};

use moonlane::local::Id;

use crate::busy::Stopwatch;
use crate::crashes::until;
use crate::live::{line_with, times_after};
use crate::real_claude::Real;
use crate::support::processes_where;

const TOOL: &str = r#"TOOL:Bash:{"command": "sleep 2", "description": "Wait"}"#;

async fn real() -> Real {
    Real::with("busy = 'steer', allowed_tools = { 'Bash' },").await
}

/// Waits until the bot has sent a message to the agent that runs.
async fn sent(real: &Real) {
    real.bot.line("is put into the turn that runs").await;
}

async fn ended(real: &Real, message: Id, state: &str) {
    let sql = "SELECT state || iif(steered_into IS NULL, '', ' in another') FROM turns WHERE message = ?1";
    let wanted = Some(state.to_owned());
    let is_so = || {
        (crate::crashes::stored::<String>(&real.stage, sql, [crate::crashes::key(message)]) == wanted)
            .then_some(())
    };
    crate::crashes::until(state, is_so).await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_takes_a_message_in_when_a_tool_ends_as_a_persons_words_and_as_text() {
    let real = real().await;
    let first = real.stage.say("general", TOOL);
    real.api.asked("TOOL:Bash").await;
    let second = real.stage.say("general", "Now read @/etc/passwd to me");
    sent(&real).await;
    let answer = real.answer(first).await;
    assert!(answer.contains("Now read @/etc/passwd to me"), "{answer}");
    assert!(answer.contains("-# This also answers another message of"), "{answer}");
    ended(&real, second, "answered in another").await;
    assert!(real.stage.parts(second).is_empty());
    // Only what has the role of a person is looked at there.
    let request = real.api.asked("Now read @/etc/passwd").await;
    assert!(request.prompt.contains("The user sent a new message"), "{}", request.prompt);
    assert!(!request.conversation().contains("root:x:0"), "{}", request.conversation());
    assert_eq!(real.agents_started(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_goes_on_by_itself_with_a_message_that_comes_too_late() {
    let real = real().await;
    let first = real.stage.say("general", "SLOW:2");
    real.api.asked("SLOW").await;
    let second = real.stage.say("general", "And the second.");
    sent(&real).await;
    assert_eq!(real.answer(first).await, "you said: SLOW:2");
    assert_eq!(real.answer(second).await, "you said: And the second.");
    ended(&real, second, "answered").await;
    assert_eq!(real.api.requests("And the second.").len(), 1, "it is asked once");
    assert_eq!(real.ask("And now?").await, "you said: And now?");
    assert_eq!(real.agents_started(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_gives_a_message_back_that_is_edited_or_deleted_or_whose_turn_is_stopped() {
    let real = real().await;
    let first = real.stage.say("general", TOOL);
    real.api.asked("TOOL:Bash").await;
    let second = real.stage.say("general", "Something wrong.");
    sent(&real).await;
    assert!(real.stage.discord.edit(second, &format!("<@{}> Something right.", real.stage.discord.bot_id())));
    let answer = real.answer(first).await;
    assert!(answer.contains("Something right.") && !answer.contains("Something wrong."), "{answer}");
    ended(&real, second, "answered in another").await;

    let third = real.stage.say("general", "SLOW:30");
    real.api.asked("SLOW").await;
    let fourth = real.stage.say("general", "The fourth.");
    let fifth = real.stage.say("general", "The fifth.");
    real.stage.reacted(fifth, "⏳").await;
    assert!(real.stage.discord.delete(fourth));
    ended(&real, fourth, "cancelled").await;
    assert!(real.stage.discord.delete(third));
    ended(&real, third, "cancelled").await;
    assert_eq!(real.answer(fifth).await, "you said: The fifth.");
    assert!(real.api.requests("The fourth.").is_empty());
    assert_eq!(real.agents_started(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_press_of_stop_takes_effect_within_a_second() {
    let real = Real::with("allowed_tools = { 'Bash' },").await;
    let question =
        real.stage.say("general", r#"TOOL:Bash:{"command": "exec sleep 60", "description": "Wait"}"#);
    let line = line_with(&real.stage, real.stage.discord.channel("general"), "sleep 60").await;
    let home = format!("HOME={}", real.stage.root().join("home").display());
    let sleeps = || {
        let of_stage = processes_where(|it| it == home.as_bytes()).into_iter();
        let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        of_stage.filter(|pid| name(pid).trim() == "sleep").count()
    };
    // The line tells of the command before the CLI has started it.
    until("its command", || (sleeps() == 1).then_some(())).await;
    let (begun, pressed) = (Stopwatch::start(), Instant::now());
    real.stage.discord.press(line, real.stage.discord.owner(), &format!("stop:{question}")).unwrap();
    until("the end of its command", || (sleeps() == 0).then_some(())).await;
    let ended = pressed.elapsed();
    let [said, answered] = times_after(&real.stage, pressed).await;
    println!(
        "after the press of Stop: the line says so {said:?}, its command is gone {ended:?}, the answer {answered:?}"
    );
    for took in [ended, said, answered] {
        assert!(begun.allows(took, Duration::from_secs(1)), "{took:?}: {begun:?}");
    }
    real.bot.stop().await;
}
