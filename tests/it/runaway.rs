//! A script that never ends costs what asked for it, and everybody else its time limit at most.

use std::time::{Duration, SystemTime};

use moonlane::domain::Outcome;
use moonlane::local::UseCommand;
use moonlane::turn::Settled;

use crate::support::{ONE_FOR_MANY, Setup, Stage, routing_with, within};

/// Long, so that one who waits for it stands out.
const LIMIT: Duration = Duration::from_millis(300);

/// How many turns are measured of each kind: a few, or as many as `MOONLANE_TURNS` says, for figures worth quoting.
fn turns() -> usize {
    std::env::var("MOONLANE_TURNS").map_or(9, |turns| turns.parse().expect("a number in MOONLANE_TURNS"))
}

/// The script that fails while a message of another channel is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Trigger,
    Hook,
    Command,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    AtOnce,
    AtItsLimit,
}

/// What was seen of a turn beside one script.
struct Seen {
    /// How long it took from the message to the agent's reading it.
    all: Duration,
    /// How much of that was after the script's end.
    rest: Duration,
}

fn median(seen: &[Seen], of: impl Fn(&Seen) -> Duration) -> Duration {
    let mut times: Vec<_> = seen.iter().map(of).collect();
    times.sort();
    times[times.len() / 2]
}

/// Asks in one channel, right after a script was made to fail in another one.
async fn beside(stage: &mut Stage, script: Script, fails: Fails, number: usize) -> Seen {
    let word = match fails {
        Fails::AtOnce => "break",
        Fails::AtItsLimit => "loop",
    };
    let failing = match script {
        Script::Trigger => Some(stage.say("other", &format!("{word} in the trigger"))),
        Script::Hook => Some(stage.say("other", &format!("TEXT:{word} in the hook"))),
        Script::Command => None,
    };
    let (channel, owner) = (stage.discord.channel("other"), stage.discord.owner());
    let used = (script == Script::Command)
        .then(|| stage.discord.use_command(UseCommand::new(channel, owner, word)).unwrap());
    let text = format!("TEXT:{script:?} {fails:?} {number}");
    let began = SystemTime::now();
    let message = stage.say("here", &text);
    if let Some(failing) = failing {
        stage.settled(failing).await;
    }
    let ended = SystemTime::now();
    assert_eq!(stage.settled(message).await, Settled::Ended(Outcome::Answered));
    if let Some(used) = used {
        within("the end of the command", stage.discord.response_message(used)).await;
    }
    let prompt = SystemTime::UNIX_EPOCH + Duration::from_nanos(stage.prompted(&text).await.at_ns);
    Seen {
        all: prompt.duration_since(began).unwrap(),
        rest: prompt.duration_since(ended).unwrap_or_default(),
    }
}

/// The turns beside a script that fails at once, and beside one that fails at its limit: all else is the same, and they
/// alternate, so that other work on this machine meets both.
async fn compare(stage: &mut Stage, script: Script) -> (Vec<Seen>, Vec<Seen>) {
    let (mut usual, mut looping) = (Vec::new(), Vec::new());
    for number in 0..turns() {
        usual.push(beside(stage, script, Fails::AtOnce, number).await);
        looping.push(beside(stage, script, Fails::AtItsLimit, number).await);
    }
    println!(
        "message to prompt, {script:?}: usual median {:.1?}; it loops: median {:.1?}, {:.1?} of them after its end",
        median(&usual, |it| it.all),
        median(&looping, |it| it.all),
        median(&looping, |it| it.rest),
    );
    (usual, looping)
}

#[tokio::test]
async fn a_script_that_loops_holds_up_other_channels_for_its_time_limit_at_most() {
    let mut setup = Setup {
        routing: routing_with(""),
        triggers: "return function(m)
            if m.text:find 'break in the trigger' then error 'broken' end
            if m.text:find 'loop in the trigger' then while true do end end
            return m.mentions_me and m.text or nil
        end"
        .to_owned(),
        config: format!("{ONE_FOR_MANY}[scripts]\ntime_limit = \"{}ms\"\n", LIMIT.as_millis()),
        ..Setup::default()
    };
    setup.discord.message_content = true;
    let mut stage = Stage::without_bot(setup).await;
    stage.save(
        "hooks.lua",
        "return { before_prompt = function(turn)
            if turn.prompt:find 'break in the hook' then error 'broken' end
            if turn.prompt:find 'loop in the hook' then while true do end end
        end }",
    );
    std::fs::create_dir(stage.root().join("scripts/commands")).unwrap();
    for (name, body) in [("break", "error 'broken'"), ("loop", "while true do end")] {
        stage.save(
            &format!("commands/{name}.lua"),
            &format!("return {{ name = '{name}', description = 'x', run = function() {body} end }}"),
        );
    }
    stage.start().await;
    // So that each has an agent that is ready.
    stage.ask("here", "TEXT:a").await;
    stage.ask("other", "TEXT:a").await;
    for script in [Script::Trigger, Script::Hook] {
        let (usual, looping) = compare(&mut stage, script).await;
        assert!(median(&looping, |it| it.all) > LIMIT / 2, "{script:?}: the loops were not in the way");
        // On a busy machine a script may take longer than its limit, but nobody waits for more than one of them.
        let limit = 2 * median(&usual, |it| it.all) + LIMIT / 2;
        assert!(median(&looping, |it| it.rest) < limit, "{script:?}: another wait after the loop");
    }
    let (usual, looping) = compare(&mut stage, Script::Command).await;
    let limit = 2 * median(&usual, |it| it.all) + LIMIT / 2;
    assert!(median(&looping, |it| it.all) < limit, "commands have a VM of their own");
}

#[tokio::test]
async fn a_command_does_not_wait_for_the_messages_before_it() {
    let mut setup = Setup {
        triggers: "return function() while true do end end".to_owned(),
        config: format!("{ONE_FOR_MANY}[scripts]\ntime_limit = \"{}ms\"\n", LIMIT.as_millis()),
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
    assert!(answer.acknowledged_after < LIMIT * 20, "it did not wait for half of them: {answer:?}");
}
