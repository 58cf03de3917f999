//! A script that never ends costs what asked for it, and everybody else its time limit at most.

use std::time::{Duration, SystemTime};

use moonlane::domain::Outcome;
use moonlane::local::UseCommand;
use moonlane::turn::Settled;

use crate::support::{Setup, Stage, routing_with, within};

const LIMIT: Duration = Duration::from_millis(100);
const TURNS: usize = 30;

/// What loops while a message of another channel is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loop {
    None,
    Trigger,
    Hook,
    Command,
}

/// How long it took from a message to the agent's reading it, in order of length, while something loops that was asked
/// for right before; and how much of that was after its end.
async fn to_prompt(stage: &mut Stage, which: Loop) -> (Vec<Duration>, Vec<Duration>) {
    let mut said = Vec::new();
    for number in 0..TURNS {
        let (channel, owner) = (stage.discord.channel("other"), stage.discord.owner());
        let endless = match which {
            Loop::Trigger => Some(stage.say("other", "loop in the trigger")),
            Loop::Hook => Some(stage.say("other", "TEXT:loop in the hook")),
            Loop::None | Loop::Command => None,
        };
        let used = (which == Loop::Command)
            .then(|| stage.discord.use_command(UseCommand::new(channel, owner, "endless")).unwrap());
        let text = format!("TEXT:{which:?} {number}");
        let began = SystemTime::now();
        let message = stage.say("here", &text);
        if let Some(endless) = endless {
            stage.settled(endless).await;
        }
        said.push((text, began, SystemTime::now()));
        assert_eq!(stage.settled(message).await, Settled::Ended(Outcome::Answered));
        if let Some(used) = used {
            within("the end of the command", stage.discord.response_message(used)).await;
        }
    }
    let log = stage.agent_log();
    let (mut times, mut rests): (Vec<_>, Vec<_>) = said
        .into_iter()
        .map(|(text, began, ended)| {
            let prompt = log.iter().find(|it| it.event == "prompt" && it.prompt.as_deref() == Some(&text));
            let prompt = SystemTime::UNIX_EPOCH + Duration::from_nanos(prompt.unwrap().at_ns);
            (prompt.duration_since(began).unwrap(), prompt.duration_since(ended).unwrap_or_default())
        })
        .unzip();
    times.sort();
    rests.sort();
    let p99 = times[(TURNS - 1) * 99 / 100];
    println!("message to prompt, loop: {which:?}: median {:.1?}, p99 {p99:.1?}", times[TURNS / 2]);
    (times, rests)
}

#[tokio::test]
async fn a_script_that_loops_holds_up_other_channels_for_its_time_limit_at_most() {
    let mut setup = Setup {
        routing: routing_with(""),
        triggers: "return function(m)
            if m.text:find 'loop in the trigger' then while true do end end
            return m.mentions_me and m.text or nil
        end"
        .to_owned(),
        config: format!("[scripts]\ntime_limit = \"{}ms\"\n", LIMIT.as_millis()),
        ..Setup::default()
    };
    setup.discord.message_content = true;
    let mut stage = Stage::without_bot(setup).await;
    stage.save(
        "hooks.lua",
        "return { on_turn_start = function(turn)
            if turn.prompt:find 'loop in the hook' then while true do end end
        end }",
    );
    std::fs::create_dir(stage.root().join("scripts/commands")).unwrap();
    stage.save(
        "commands/endless.lua",
        "return { name = 'endless', description = 'x', run = function() while true do end end }",
    );
    stage.start().await;
    // So that each has an agent that is ready.
    stage.ask("here", "TEXT:a").await;
    stage.ask("other", "TEXT:a").await;
    to_prompt(&mut stage, Loop::None).await;
    for which in [Loop::Trigger, Loop::Hook] {
        let (times, rests) = to_prompt(&mut stage, which).await;
        assert!(times[TURNS / 2] > LIMIT / 2, "the loops were in the way: {times:?}");
        // The limit is one of processor time: on a busy machine it takes longer, but never more than one of them.
        assert!(rests[TURNS / 2] < LIMIT / 2, "{which:?}: {rests:?}");
    }
    let (times, _) = to_prompt(&mut stage, Loop::Command).await;
    assert!(times[TURNS / 2] < LIMIT / 2, "commands have a VM of their own: {times:?}");
}

#[tokio::test]
async fn a_command_does_not_wait_for_the_messages_before_it() {
    let mut setup = Setup {
        triggers: "return function() while true do end end".to_owned(),
        config: format!("[scripts]\ntime_limit = \"{}ms\"\n", LIMIT.as_millis()),
        ..Setup::default()
    };
    setup.discord.message_content = true;
    let mut stage = Stage::without_bot(setup).await;
    std::fs::create_dir(stage.root().join("scripts/commands")).unwrap();
    stage.save(
        "commands/quick.lua",
        "return { name = 'quick', description = 'x', run = function(ctx) ctx:reply 'Here.' end }",
    );
    stage.start().await;
    // Each takes the time limit, so all of them longer than Discord waits.
    for _ in 0..40 {
        stage.say("here", "loop");
    }
    let used = UseCommand::new(stage.discord.channel("here"), stage.discord.owner(), "quick");
    let used = stage.discord.use_command(used).unwrap();
    let answer = within("the answer", stage.discord.acknowledged(used)).await;
    assert!(answer.acknowledged_after < Duration::from_secs(1), "{answer:?}");
}
