//! Agents that misbehave, each under a whole bot: the person gets one sentence, the lane is free, and nothing of the
//! agent is left.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::busy::Stopwatch;
use crate::separate::{Process, bot_on};
use crate::support::{MOONLANE, ONE_FOR_MANY, Setup, Stage, routing_with, within};

/// What an agent does, by which prompt, and the limit that ends it, if any.
const CASES: &[(&str, &str, &str)] = &[
    ("ignores interrupts and SIGTERM", "DEAF ;; FORK ;; TEXT:so far ;; STALL", "silence"),
    ("leaves a process in a session of its own", "SETSID ;; TEXT:done", ""),
    ("leaves deaf processes and never becomes idle", "SETSID ;; FORK ;; DEAF ;; NOIDLE ;; TEXT:done", ""),
    ("leaves processes that hold stdout", "FORK ;; SETSID ;; CRASH:1", ""),
    ("fills stderr", "STDERR:20000000 ;; TEXT:done", ""),
    ("prints 100 MB of events", "FLOOD:100000000 ;; TEXT:done", ""),
    ("prints a line of 100 MB", "BIG:100000000 ;; TEXT:done", ""),
    ("prints no newline", "UNENDED:5000000 ;; STALL", "silence"),
    ("exits with 0 and no result", "CRASH:0", ""),
    ("dies in mid-stream", "SETSID ;; TEXT:so far ;; CRASH:3", ""),
    (NEVER_STARTS, "TEXT:done", "start"),
    ("never stops after its result", "NOIDLE ;; DEAF ;; TEXT:done", ""),
    ("stalls in mid-stream", "TEXT:so far ;; STALL", "silence"),
    ("stalls in a tool", "SETSID ;; DEAF ;; TOOL:Bash:sleep 300", "tool"),
];

const NEVER_STARTS: &str = "never starts";

/// What each of these agents is given for what it never does.
const LIMIT: Duration = Duration::from_secs(2);
/// What it takes at most to end an agent that heeds nothing.
const LADDER: Duration = Duration::from_secs(5);

/// The demo agent, whose first process does not start where `NEVER_STARTS` says so.
fn agent() -> Vec<String> {
    let script = r#"
        if [ "$NEVER_STARTS" ] && ! [ -e "$DEMO_AGENT_LOG.once" ]; then
            : > "$DEMO_AGENT_LOG.once"
            sleep 300
        fi
        exec "$0" demo-agent "$@"
    "#;
    ["sh", "-c", script, MOONLANE].map(str::to_owned).into()
}

/// Plays one case, and returns what the person was told.
async fn play(name: &str, prompt: &str, limit: &str) -> String {
    let limit =
        if limit.is_empty() { String::new() } else { format!(r#"{limit} = "{}s","#, LIMIT.as_secs()) };
    let mut routing = routing_with(&format!(r#"limits = {{ {limit} after_result = "300ms" }}"#));
    if name == NEVER_STARTS {
        routing = routing.replace("DEMO_AGENT_LOG =", "NEVER_STARTS = \"1\", DEMO_AGENT_LOG =");
    }
    // So that what did no harm is over soon, too.
    let config = "[agent]\nidle_close = \"100ms\"".to_owned();
    let mut stage = Stage::with(Setup { routing, config, agent: agent(), ..Setup::default() }).await;

    let begun = Stopwatch::start();
    let question = stage.say("general", prompt);
    stage.settled(question).await;
    let told_after = begun.elapsed();
    assert!(begun.is_within(LIMIT + LADDER), "{name}: told after {begun:?}");
    let gone_after = stage.no_agent_is_left().await;
    assert_eq!(stage.parts(question).len(), 1, "{name}: told once");
    let told = stage.answer(question);

    let begun = Instant::now();
    assert_eq!(stage.ask("general", "TEXT:next").await, "next", "{name}: the lane is free");
    let answered_after = begun.elapsed();
    stage.stop().await;
    stage.no_agent_is_left().await;
    println!(
        "{name}: told after {told_after:.1?}, nothing left {gone_after:.1?} later, the next answered in \
         {answered_after:.1?}"
    );
    format!("{name}: {}\n", told.replace('\n', " | "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_an_agent_does_its_person_is_told_once_and_nothing_is_left() {
    let mut told = String::new();
    // A few at a time: they wait more than they work.
    for cases in CASES.chunks(5) {
        let played = cases.iter().map(|(name, prompt, limit)| play(name, prompt, limit));
        told.extend(futures_util::future::join_all(played).await);
    }
    println!("{} process tests", CASES.len());
    insta::assert_snapshot!(told, @"
    ignores interrupts and SIGTERM: so far |  | ⚠️ Claude said nothing for 2 seconds, so I stopped it. Please ask again; the conversation is kept. | -# id ID
    leaves a process in a session of its own: done
    leaves deaf processes and never becomes idle: done
    leaves processes that hold stdout: ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept. | -# id ID
    fills stderr: done
    prints 100 MB of events: done
    prints a line of 100 MB: done
    prints no newline: ⚠️ Claude said nothing for 2 seconds, so I stopped it. Please ask again; the conversation is kept. | -# id ID
    exits with 0 and no result: ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept. | -# id ID
    dies in mid-stream: so far |  | ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept. | -# id ID
    never starts: ⚠️ Claude didn't start within 2 seconds. Please try again. | -# id ID
    never stops after its result: done
    stalls in mid-stream: so far |  | ⚠️ Claude said nothing for 2 seconds, so I stopped it. Please ask again; the conversation is kept. | -# id ID
    stalls in a tool: ⚠️ A tool (Bash) was still running after 2 seconds, so I stopped it. Please ask again, perhaps in smaller steps. | -# id ID
    ");
}

/// A stage for a bot of its own with twenty agents at once, each with a session.
async fn twenty() -> (Stage, Process, Vec<String>) {
    let config = format!("{ONE_FOR_MANY}[agent]\nmax_running = 20");
    let stage = Stage::without_bot(Setup { config, ..Setup::default() }).await;
    let bot = start(&stage).await;
    let channels: Vec<String> = (0..20).map(|n| format!("c{n:02}")).collect();
    let hellos: Vec<_> = channels.iter().map(|it| stage.say(it, &format!("TEXT:hello {it}"))).collect();
    for hello in hellos {
        stage.parts_posted(hello, 1).await;
    }
    (stage, bot, channels)
}

async fn start(stage: &Stage) -> Process {
    Process::ready(bot_on(stage).env("CLAUDE_CONFIG_DIR", stage.root().join("claude"))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_bot_with_twenty_agents_at_work_leaves_none_and_each_person_is_told_once() {
    let (stage, mut bot, channels) = twenty().await;
    // Half of them heed nothing, and all leave something behind.
    let prompt = |n: usize| match n % 2 {
        0 => format!("SETSID ;; FORK ;; DEAF ;; TEXT:work {n} ;; STALL"),
        _ => format!("SETSID ;; TEXT:work {n} ;; STALL"),
    };
    let questions: Vec<_> = channels.iter().enumerate().map(|(n, it)| stage.say(it, &prompt(n))).collect();
    for n in 0..questions.len() {
        stage.prompted(&prompt(n)).await;
    }
    // Guards, agents, and what each leaves.
    let all = || stage.agent_processes().len();
    within("all of them", async {
        while all() != 20 + 20 + 20 + 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;

    let killed = Stopwatch::start();
    bot.signal(Signal::KILL);
    bot.ended().await;
    // At once: it has to wait for them itself.
    let bot = start(&stage).await;
    assert_eq!(stage.agent_processes(), [0; 0], "no lane opens before they are gone");
    println!("70 processes were gone, and the next bot ready, {:?} after the kill", killed.elapsed());
    assert!(killed.is_within(Duration::from_secs(5)), "{killed:?}");

    for question in &questions {
        stage.parts_posted(*question, 1).await;
    }
    let next: Vec<_> = channels.iter().map(|it| stage.say(it, "SAY")).collect();
    for (n, next) in next.into_iter().enumerate() {
        stage.parts_posted(next, 1).await;
        let said = stage.answer(next);
        assert_eq!(said, format!("TEXT:hello {}\n{}", channels[n], prompt(n)), "the same session");
    }
    for question in questions {
        let told = "⚠️ I was stopped while working on this, so it isn't finished. Check what was done, then ask again.\n-# id ID";
        assert_eq!((stage.parts(question).len(), stage.answer(question).as_str()), (1, told));
    }
    bot.stop().await;
    stage.no_agent_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_whose_guards_were_killed_with_the_bot_are_found_by_the_next_one() {
    let stage = Stage::without_bot(Setup::default()).await;
    let mut bot = start(&stage).await;
    let question = stage.say("general", "DEAF ;; SETSID ;; STALL");
    stage.prompted("DEAF ;; SETSID ;; STALL").await;
    let line = bot.line("started an agent").await;
    let guard = line.split_once("pid=").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
    bot.signal(Signal::STOP);
    kill_process(Pid::from_raw(guard).unwrap(), Signal::KILL).unwrap();
    bot.signal(Signal::KILL);
    bot.ended().await;
    assert_eq!(stage.agent_processes().len(), 2, "the agent and what it left");

    let bot = start(&stage).await;
    assert_eq!(stage.agent_processes(), [0; 0]);
    bot.line("left without a guard killed=2").await;
    stage.parts_posted(question, 1).await;
    bot.stop().await;
}
