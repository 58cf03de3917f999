//! A script that never ends costs what asked for it, and everybody else its time limit at most.

use std::time::{Duration, SystemTime};

use moonlane::domain::Outcome;
use moonlane::local::UseCommand;
use moonlane::turn::Settled;

use crate::support::{ONE_FOR_MANY, Setup, Stage, routing_with, within};

const LIMIT: Duration = Duration::from_millis(100);

/// How many turns are measured of each kind: a few, or as many as `MOONLANE_TURNS` says, for figures worth quoting.
fn turns() -> usize {
    std::env::var("MOONLANE_TURNS").map_or(15, |turns| turns.parse().expect("a number in MOONLANE_TURNS"))
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

/// What was seen of the turns beside one script.
struct Seen {
    /// How long it took from a message to the agent's reading it, in order of length.
    times: Vec<Duration>,
    /// How much of that was after the script's end, in order of length.
    rests: Vec<Duration>,
}

impl Seen {
    fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }

    fn p99(&self) -> Duration {
        self.times[(self.times.len() - 1) * 99 / 100]
    }
}

/// Asks in one channel, again and again, each time right after a script was made to fail in another one.
async fn beside(stage: &mut Stage, script: Script, fails: Fails) -> Seen {
    let word = match fails {
        Fails::AtOnce => "break",
        Fails::AtItsLimit => "loop",
    };
    let mut said = Vec::new();
    for number in 0..turns() {
        // As long as the loop is: a machine that has been idle takes longer for everything than one that is awake.
        tokio::time::sleep(LIMIT).await;
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
    Seen { times, rests }
}

/// The turns beside a script that fails at once, and beside one that fails at its limit: all else is the same.
async fn compare(stage: &mut Stage, script: Script) -> (Seen, Seen) {
    let usual = beside(stage, script, Fails::AtOnce).await;
    let looping = beside(stage, script, Fails::AtItsLimit).await;
    println!(
        "message to prompt, {script:?}: usual median {:.1?}, p99 {:.1?}; it loops: median {:.1?}, p99 {:.1?}, \
         beyond the usual p99 and the limit: {:.1} ms",
        usual.median(),
        usual.p99(),
        looping.median(),
        looping.p99(),
        (looping.p99().as_secs_f64() - (usual.p99() + LIMIT).as_secs_f64()) * 1000.0,
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
        assert!(usual.median() < LIMIT / 2, "{script:?}: {:?}", usual.times);
        assert!(looping.median() > LIMIT / 2, "the loops were in the way: {:?}", looping.times);
        // On a busy machine a script may take longer than its limit, but nobody waits for more than one of them.
        assert!(looping.rests[looping.rests.len() / 2] < LIMIT / 2, "{script:?}: {:?}", looping.rests);
    }
    let (_, looping) = compare(&mut stage, Script::Command).await;
    assert!(looping.median() < LIMIT / 2, "commands have a VM of their own: {:?}", looping.times);
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
    assert!(answer.acknowledged_after < Duration::from_secs(1), "{answer:?}");
}
