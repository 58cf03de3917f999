//! A message that goes into the turn that runs: never into both turns, never into neither, whatever happens.

use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, File, Id, Say};
use moonlane::turn::Settled;

use crate::crashes::{FOR_EVER, Program, key, stored, until};
use crate::support::{ANSWERED, Setup, Stage, routing_with, within};
use crate::waiting::{self, CANCELLED, notice, refused};

const STEERED: Settled = Settled::Ended(Outcome::Steered);

/// A turn at work in a tool until the gate opens.
pub const HELD: &str = "TEXT:I look. ;; TOOL:Bash:until gate ;; TEXT:done";

async fn stage() -> Stage {
    waiting::stage("busy = 'steer',").await
}

pub fn open(stage: &Stage, gate: &str) {
    std::fs::write(stage.work().join(gate), "").unwrap();
}

/// Waits until the agents have noted this of a prompt.
pub async fn agent(stage: &Stage, event: &str, prompt: &str) {
    let noted = || {
        let log = stage.agent_log();
        log.iter().any(|it| it.event == event && it.prompt.as_deref() == Some(prompt)).then_some(())
    };
    until(&format!("{event} {prompt}"), noted).await;
}

pub fn times(stage: &Stage, event: &str, prompt: &str) -> usize {
    let is_it = |it: &crate::support::AgentEvent| it.event == event && it.prompt.as_deref() == Some(prompt);
    stage.agent_log().into_iter().filter(is_it).count()
}

/// The mention of a person reads as their name.
pub fn answer(stage: &Stage, message: Id) -> String {
    let mut answer = stage.answer(message);
    for name in ["ada", "bob"] {
        answer = answer.replace(&format!("<@{}>", stage.discord.user(name)), &format!("@{name}"));
    }
    answer
}

#[tokio::test]
async fn a_message_goes_into_the_turn_that_runs_and_is_answered_there() {
    let mut stage = stage().await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("ada", "general", "TEXT:And that, too.");
    agent(&stage, "prompt", "TEXT:And that, too.").await;
    let third = stage.say_as("bob", "general", "/clear @/etc/passwd");
    stage.reacted(third, "⏳").await;
    open(&stage, "gate");
    assert_eq!(stage.settled(first).await, ANSWERED);
    for message in [second, third] {
        let end = stage.settled(message).await;
        if end == STEERED {
            stage.reacted(message, "👀").await;
            stage.reaction_taken_off(message, "⏳").await;
            assert!(stage.parts(message).is_empty());
        }
    }
    assert_eq!(stage.settled(second).await, STEERED);
    let answer = answer(&stage, first);
    assert!(answer.starts_with("And that, too.\n\n"), "{answer}");
    assert!(answer.contains("-# "), "{answer}");
    assert_eq!(times(&stage, "prompt", "TEXT:And that, too."), 1);
    let said = stage.ask("general", "SAY").await;
    assert_eq!(said.matches("And that, too.").count(), 1, "once in the session: {said}");
    assert_eq!(said.matches("/clear").count(), 1, "{said}");
}

#[tokio::test]
async fn several_go_in_one_after_the_other_and_their_authors_are_named() {
    let mut stage = stage().await;
    let prompt = "TOOL:Bash:until gate ;; TOOL:Bash:until gate2 ;; TEXT:done";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("bob", "general", "TEXT:two");
    agent(&stage, "prompt", "TEXT:two").await;
    let third = stage.say_as("ada", "general", "TEXT:three");
    stage.reacted(third, "⏳").await;
    assert_eq!(times(&stage, "prompt", "TEXT:three"), 0, "one at a time is on its way");
    open(&stage, "gate");
    agent(&stage, "prompt", "TEXT:three").await;
    open(&stage, "gate2");
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!((stage.settled(second).await, stage.settled(third).await), (STEERED, STEERED));
    insta::assert_snapshot!(answer(&stage, first), @"
    three

    done

    -# This also answers 2 other messages of @bob, @ada
    ");
}

#[tokio::test]
async fn what_comes_too_late_is_a_turn_of_its_own() {
    let mut stage = stage().await;
    let prompt = "UNTIL:gate ;; TEXT:first";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("ada", "general", "TOOL:Bash:until gate2 ;; TEXT:second");
    agent(&stage, "prompt", "TOOL:Bash:until gate2 ;; TEXT:second").await;
    let third = stage.say_as("bob", "general", "TEXT:third");
    stage.reacted(third, "⏳").await;
    open(&stage, "gate");
    assert_eq!(stage.settled(first).await, ANSWERED);
    agent(&stage, "prompt", "TEXT:third").await;
    open(&stage, "gate2");
    assert_eq!((stage.settled(second).await, stage.settled(third).await), (ANSWERED, STEERED));
    assert_eq!(answer(&stage, first), "first");
    insta::assert_snapshot!(answer(&stage, second), @"
    third

    second

    -# This also answers another message of @bob
    ");
    stage.reaction_taken_off(second, "⏳").await;
    let pids: std::collections::BTreeSet<u32> = stage.agent_log().iter().map(|it| it.pid).collect();
    assert_eq!(pids.len(), 1, "all in one agent");
    assert_eq!(times(&stage, "prompt", "TOOL:Bash:until gate2 ;; TEXT:second"), 1);
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn a_turn_that_has_begun_by_itself_is_answered_though_what_it_needs_to_begin_is_gone() {
    let keys = "busy = 'steer', budget = { usd_per_day = 1 }, env_from = { KEY = 'file:key' },";
    let mut stage = Stage::without_bot(Setup { routing: routing_with(keys), ..Setup::default() }).await;
    std::fs::write(stage.root().join("key"), "correct-horse-battery").unwrap();
    stage.start().await;
    let prompt = "COST:2 ;; UNTIL:gate ;; TEXT:first";
    let first = stage.say("general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say("general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    std::fs::remove_file(stage.root().join("key")).unwrap();
    open(&stage, "gate");
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, ANSWERED));
    assert_eq!(answer(&stage, second), "second");
    assert_eq!(times(&stage, "prompt", "TEXT:second"), 1);
}

#[tokio::test]
async fn a_turn_that_has_begun_by_itself_can_be_stopped_though_the_answer_before_it_is_stuck() {
    let mut stage = stage().await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    let prompt = "UNTIL:gate ;; TEXT:first";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("ada", "general", "SLEEP:600");
    agent(&stage, "prompt", "SLEEP:600").await;
    stage.discord.fail_next(1, Fault::Delay(Duration::from_secs(8)), &posts);
    open(&stage, "gate");
    agent_result(&stage).await;
    until("the second to run", || is(&stage, second, "running").then_some(())).await;
    assert!(stage.discord.delete(second));
    stage.no_agent_is_left().await;
    assert!(stage.parts(first).is_empty(), "that is still on its way");
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(second).await, CANCELLED);
    assert!(stage.parts(second).is_empty());
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

async fn agent_result(stage: &Stage) {
    until("a result", || stage.agent_log().iter().any(|it| it.event == "result").then_some(())).await;
}

#[tokio::test]
async fn an_edit_on_the_way_goes_in_and_what_was_there_before_does_not() {
    let mut stage = stage().await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("ada", "general", "TEXT:wrong");
    agent(&stage, "prompt", "TEXT:wrong").await;
    assert!(stage.discord.edit(second, &format!("<@{}> TEXT:right", stage.discord.bot_id())));
    agent(&stage, "cancelled", "TEXT:wrong").await;
    agent(&stage, "prompt", "TEXT:right").await;
    open(&stage, "gate");
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, STEERED));
    let answer = answer(&stage, first);
    assert!(answer.contains("right") && !answer.contains("wrong"), "{answer}");
    // It is in there: too late.
    assert!(stage.discord.edit(second, &format!("<@{}> TEXT:later", stage.discord.bot_id())));
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
    assert_eq!(times(&stage, "prompt", "TEXT:later"), 0);
}

#[tokio::test]
async fn what_is_given_back_only_after_the_result_is_asked_anew_as_it_is_now() {
    let mut stage = stage().await;
    let first = stage.say_as("ada", "general", "BACK ;; TEXT:first");
    stage.prompted("BACK ;; TEXT:first").await;
    let second = stage.say_as("ada", "general", "TEXT:wrong");
    agent(&stage, "prompt", "TEXT:wrong").await;
    assert!(stage.discord.edit(second, &format!("<@{}> TEXT:right", stage.discord.bot_id())));
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, ANSWERED));
    assert_eq!((answer(&stage, first), answer(&stage, second)), ("first".to_owned(), "right".to_owned()));
    let session = stage.ask("general", "SAY").await;
    assert!(!session.contains("wrong"), "{session}");
}

#[tokio::test]
async fn what_the_agent_does_not_read_any_more_goes_to_another_one() {
    let mut stage = waiting::stage("busy = 'steer', limits = { wake = 1 },").await;
    let prompt = "UNREAD ;; UNTIL:gate ;; TEXT:first";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    until("the offer", || is(&stage, second, "running in another").then_some(())).await;
    open(&stage, "gate");
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, ANSWERED));
    assert_eq!(answer(&stage, second), "second");
    assert_eq!(times(&stage, "prompt", "TEXT:second"), 1);
}

#[tokio::test]
async fn what_is_deleted_or_taken_out_on_its_way_does_not_go_in() {
    for by_button in [false, true] {
        let mut stage = stage().await;
        let first = stage.say_as("ada", "general", HELD);
        stage.prompted(HELD).await;
        let second = stage.say_as("ada", "general", "TEXT:never");
        agent(&stage, "prompt", "TEXT:never").await;
        match by_button {
            false => drop(stage.discord.delete(second)),
            true => {
                let notice = notice(&stage, second).await;
                let ada = stage.discord.user("ada");
                stage.discord.press(notice.id, ada, &format!("out:{second}")).unwrap();
            }
        }
        agent(&stage, "cancelled", "TEXT:never").await;
        assert_eq!(stage.settled(second).await, CANCELLED, "by a button: {by_button}");
        open(&stage, "gate");
        assert_eq!(stage.settled(first).await, ANSWERED);
        assert_eq!(answer(&stage, first), "done");
        assert_eq!(times(&stage, "taken in", "TEXT:never"), 0);
    }
}

#[tokio::test]
async fn stop_ends_the_turn_and_what_was_on_its_way_runs_by_itself() {
    let mut stage = stage().await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("ada", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    crate::commands::said(&stage, "ada", "stop", &[]).await;
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (CANCELLED, ANSWERED));
    insta::assert_snapshot!(answer(&stage, first), @"
    I look.

    ⏹️ Stopped.
    ");
    assert_eq!(answer(&stage, second), "second");
    assert_eq!(times(&stage, "cancelled", "TEXT:second"), 1);
    let said = stage.ask("general", "SAY").await;
    assert_eq!(said, format!("{HELD}\nTEXT:second"), "one session, and once in it");
}

#[tokio::test]
async fn a_crash_of_the_agent_loses_neither() {
    let mut stage = stage().await;
    let prompt = "UNTIL:gate ;; CRASH";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("ada", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    open(&stage, "gate");
    assert_eq!(stage.settled(first).await, crate::support::FAILED);
    assert_eq!(stage.settled(second).await, ANSWERED);
    assert_eq!(answer(&stage, second), "second");
}

#[tokio::test]
async fn whose_message_is_in_a_turn_that_is_deleted_hears_of_it() {
    let mut stage = stage().await;
    let prompt = "TOOL:Bash:until gate ;; TOOL:Bash:until gate2 ;; TEXT:done";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    open(&stage, "gate");
    stage.reacted(second, "👀").await;
    assert!(stage.discord.delete(first));
    assert_eq!(stage.settled(first).await, CANCELLED);
    assert_eq!(stage.settled(second).await, Settled::Ended(Outcome::Interrupted));
    insta::assert_snapshot!(answer(&stage, second), @"
    ⚠️ I took this in with another message, which was then deleted, so there is no answer. Ask again if you still want one.
    -# id ID
    ");
}

#[tokio::test]
async fn who_is_in_a_turn_gets_its_answer_though_its_question_is_deleted_before_that_stands() {
    let mut stage = stage().await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    stage.discord.fail_next(1, Fault::Status(500), &posts);
    stage.discord.fail_next(1, Fault::Delay(Duration::from_secs(1)), &posts);
    open(&stage, "gate");
    until("the end of both", || is(&stage, second, "answered in another").then_some(())).await;
    assert!(stage.discord.delete(first));
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, STEERED));
    assert!(answer(&stage, first).contains("another message of @bob"), "{}", answer(&stage, first));
}

#[tokio::test]
async fn what_is_edited_on_its_way_goes_in_before_what_came_after_it() {
    let mut stage = stage().await;
    let prompt = "TOOL:Bash:until gate ;; TOOL:Bash:until gate2 ;; TEXT:done";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("ada", "general", "TEXT:wrong");
    agent(&stage, "prompt", "TEXT:wrong").await;
    let third = stage.say_as("ada", "general", "TEXT:third");
    stage.reacted(third, "⏳").await;
    assert!(stage.discord.edit(second, &format!("<@{}> TEXT:right", stage.discord.bot_id())));
    agent(&stage, "prompt", "TEXT:right").await;
    open(&stage, "gate");
    agent(&stage, "prompt", "TEXT:third").await;
    open(&stage, "gate2");
    for message in [first, second, third] {
        stage.settled(message).await;
    }
    let prompts: Vec<_> = stage.agent_log().into_iter().filter(|it| it.event == "prompt").collect();
    let prompts: Vec<_> = prompts.iter().filter_map(|it| it.prompt.as_deref()).collect();
    assert_eq!(prompts, [prompt, "TEXT:wrong", "TEXT:right", "TEXT:third"]);
}

#[tokio::test]
async fn the_queue_shows_what_goes_into_the_turn_that_runs() {
    let mut stage = stage().await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    let third = stage.say_as("ada", "general", "TEXT:third");
    stage.reacted(third, "⏳").await;
    let queue = crate::commands::said(&stage, "ada", "queue", &[]).await.content;
    let lines: Vec<&str> = queue.lines().collect();
    for (line, begins) in lines.iter().zip(["running", "joins it", "1."]) {
        assert!(line.starts_with(begins), "{queue}");
    }
    assert!(lines[1].contains("TEXT:second") && lines[2].contains("TEXT:third"), "{queue}");
    open(&stage, "gate");
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(second).await, STEERED);
}

#[tokio::test]
async fn what_is_in_a_turn_does_not_end_it_by_a_button_that_was_left_behind() {
    let mut stage = waiting::stage("").await;
    let prompt = "TOOL:Bash:until gate ;; TOOL:Bash:until gate2 ;; TEXT:done";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("ada", "general", "TEXT:second");
    let shown = notice(&stage, second).await;
    let (ada, general) = (stage.discord.user("ada"), stage.discord.channel("general"));
    stage.discord.fail_next(
        1000,
        Fault::Status(403),
        &format!("DELETE /channels/{general}/messages/{}", shown.id),
    );
    stage.discord.press(shown.id, ada, &format!("now:{second}")).unwrap();
    agent(&stage, "prompt", "TEXT:second").await;
    open(&stage, "gate");
    stage.reacted(second, "👀").await;
    for button in ["instead", "out"] {
        let told = refused(&stage, &shown, ada, format!("{button}:{second}")).await;
        assert_eq!(told, "This message isn't waiting any more.");
    }
    open(&stage, "gate2");
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, STEERED));
}

#[tokio::test]
async fn what_may_have_been_edited_unheard_waits_and_is_told_so() {
    let mut stage = waiting::stage("").await;
    stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("ada", "general", HELD);
    let third = stage.say_as("ada", "general", "TEXT:third");
    stage.reacted(third, "⏳").await;
    stage.stop().await;
    stage.start().await;
    until("the second to run", || is(&stage, second, "running").then_some(())).await;
    let general = stage.discord.channel("general");
    let shown = || {
        let said = stage.discord.messages(general).into_iter();
        said.rev().find(|it| it.by_bot && it.reply_to == Some(third) && !it.components.is_empty())
    };
    let shown = until("a notice", shown).await;
    let told = refused(&stage, &shown, stage.discord.user("ada"), format!("now:{third}")).await;
    assert!(told.starts_with("I was away after you wrote this"), "{told}");
    open(&stage, "gate");
    assert_eq!((stage.settled(second).await, stage.settled(third).await), (ANSWERED, ANSWERED));
}

#[tokio::test]
async fn its_author_sends_it_now_where_it_would_wait() {
    let mut stage = waiting::stage("").await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    let third = stage.say_as("bob", "general", "TEXT:third");
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    let shown = notice(&stage, third).await;
    let told = refused(&stage, &shown, ada, format!("now:{third}")).await;
    assert_eq!(told, "Only the person who asked, or an operator, can decide that.");
    assert_eq!(times(&stage, "prompt", "TEXT:third"), 0);
    stage.discord.press(shown.id, bob, &format!("now:{third}")).unwrap();
    agent(&stage, "prompt", "TEXT:third").await;
    open(&stage, "gate");
    assert_eq!((stage.settled(first).await, stage.settled(third).await), (ANSWERED, STEERED));
    assert_eq!(stage.settled(second).await, ANSWERED);
    assert_eq!(answer(&stage, second), "second");
    waiting::notice_is_gone(&stage, third).await;
    insta::assert_snapshot!(answer(&stage, first), @"
    third

    done

    -# This also answers another message of @bob
    ");
}

#[tokio::test]
async fn what_would_mean_something_else_in_there_waits_and_is_told_why() {
    let routing = r#"
        projects = {
            here = { dir = "WORK", busy = "steer", env = { DEMO_AGENT_LOG = "LOG" } },
            there = { dir = "WORK", busy = "steer", env = { DEMO_AGENT_LOG = "LOG" } },
        },
        route = function(message)
            local text = message.text
            if text:find("there") then return "there" end
            return { project = "here", prompt = text, model = text:find("opus") and "opus" or nil,
                fresh = text:find("anew") ~= nil }
        end,
    }"#;
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.save("routing.lua", &format!("return {{{routing}"));
    stage.adjust = |config| config.discord.live_times.notice_after = Duration::ZERO;
    stage.start().await;
    let first = stage.say("general", HELD);
    stage.prompted(HELD).await;
    let (general, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let content_type = Some("text/plain".to_owned());
    let file = File { name: "a.txt".to_owned(), content_type, bytes: b"x".to_vec().into() };
    let with_file = Say { files: vec![file], ..Say::to_bot(general, owner, "TEXT:file") };
    let all = [
        (stage.say("general", "TEXT:there"), "working on another project"),
        (stage.say("general", "TEXT:opus"), "another model"),
        (stage.say("general", "TEXT:anew"), "starts a new conversation"),
        (stage.discord.say(with_file), "I can't read files"),
    ];
    for (message, why) in &all {
        let notice = notice(&stage, *message).await;
        let told = refused(&stage, &notice, owner, format!("now:{message}")).await;
        assert!(told.contains(why), "{told}");
    }
    open(&stage, "gate");
    assert_eq!(stage.settled(first).await, ANSWERED);
    for (message, _) in all {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    assert!(stage.agent_log().iter().all(|it| it.event != "taken in"));
}

#[tokio::test]
async fn who_is_not_let_in_any_more_does_not_get_in_this_way() {
    let mut stage = waiting::stage("").await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    let shown = notice(&stage, second).await;
    let (ada, bob) = (stage.discord.user("ada"), stage.discord.user("bob"));
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}' }} }},");
    stage.save("routing.lua", &routing_with("").replacen("return {", &allowed, 1));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let told = refused(&stage, &shown, bob, format!("now:{second}")).await;
    assert_eq!(told, "You don't have access here. Ask whoever runs this bot.");
    let told = refused(&stage, &shown, stage.discord.owner(), format!("now:{second}")).await;
    assert_eq!(told, "Whoever wrote this no longer has access here.");
    open(&stage, "gate");
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(second).await, CANCELLED);
    assert_eq!(times(&stage, "prompt", "TEXT:second"), 0);
}

#[tokio::test]
async fn who_has_lost_access_since_does_not_get_in_by_itself() {
    let mut stage = stage().await;
    let first = stage.say_as("ada", "general", TWO_TOOLS);
    stage.prompted(TWO_TOOLS).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    let third = stage.say_as("bob", "general", "TEXT:third");
    stage.reacted(third, "⏳").await;
    let ada = stage.discord.user("ada");
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}' }} }},");
    stage.save("routing.lua", &routing_with("busy = 'steer',").replacen("return {", &allowed, 1));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    open(&stage, "gate");
    stage.reacted(second, "👀").await;
    let queue = crate::commands::said(&stage, "ada", "queue", &[]).await.content;
    assert!(queue.contains("1."), "the third waits: {queue}");
    open(&stage, "gate2");
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!((stage.settled(second).await, stage.settled(third).await), (STEERED, CANCELLED));
    assert_eq!(times(&stage, "prompt", "TEXT:third"), 0);
}

/// A moment on the way of a message into a turn, or past it.
struct Moment {
    name: &'static str,
    /// What the first message asks; the second one asks for "second".
    first: &'static str,
    /// Brings it about.
    comes: fn(&Stage, Id, Id) -> bool,
    /// The first answer cannot be posted yet.
    is_stuck: bool,
}

const TWO_TOOLS: &str = "TOOL:Bash:until gate ;; TOOL:Bash:until gate2 ;; TEXT:first";
const NO_TOOL: &str = "UNTIL:gate ;; TEXT:first";
const SECOND: &str = "TEXT:second ;; UNTIL:gate2";

fn noted(stage: &Stage, event: &str) -> bool {
    times(stage, event, SECOND) > 0
}

fn state(stage: &Stage, message: Id) -> Option<String> {
    let sql = "SELECT state || iif(steered_into IS NULL, '', ' in another') FROM turns WHERE message = ?1";
    stored(stage, sql, [key(message)])
}

pub fn is(stage: &Stage, message: Id, wanted: &str) -> bool {
    state(stage, message).as_deref() == Some(wanted)
}

const MOMENTS: [Moment; 7] = [
    Moment {
        name: "accepted",
        first: TWO_TOOLS,
        comes: |stage, _, second| state(stage, second).is_some(),
        is_stuck: false,
    },
    Moment {
        name: "written as offered",
        first: TWO_TOOLS,
        comes: |stage, _, second| is(stage, second, "running in another"),
        is_stuck: false,
    },
    Moment {
        name: "at the agent, queued",
        first: TWO_TOOLS,
        comes: |stage, _, _| noted(stage, "prompt"),
        is_stuck: false,
    },
    Moment {
        name: "taken in",
        first: TWO_TOOLS,
        comes: |stage, _, _| {
            if noted(stage, "prompt") {
                open(stage, "gate");
            }
            noted(stage, "taken in")
        },
        is_stuck: false,
    },
    Moment {
        name: "steered, nothing posted",
        first: TWO_TOOLS,
        comes: |stage, _, second| {
            if noted(stage, "prompt") {
                open(stage, "gate");
            }
            if noted(stage, "taken in") {
                open(stage, "gate2");
            }
            is(stage, second, "answered in another")
        },
        is_stuck: true,
    },
    Moment {
        name: "begun by itself, lane not its own",
        first: NO_TOOL,
        comes: |stage, _, second| {
            if noted(stage, "prompt") {
                open(stage, "gate");
            }
            is(stage, second, "running")
        },
        is_stuck: true,
    },
    Moment {
        name: "begun by itself, first answer posted",
        first: NO_TOOL,
        comes: |stage, first, second| {
            if noted(stage, "prompt") {
                open(stage, "gate");
            }
            is(stage, second, "running") && !stage.parts(first).is_empty()
        },
        is_stuck: false,
    },
];

#[tokio::test]
async fn whenever_the_bot_is_killed_neither_message_is_lost_or_asked_twice() {
    let mut table = String::new();
    let (mut lost, mut twice) = (0, 0);
    for Moment { name, first, comes, is_stuck } in MOMENTS {
        let setup = Setup { routing: routing_with("busy = 'steer',"), ..Setup::default() };
        let stage = Stage::without_bot(setup).await;
        let bot = Program::start(&stage).await;
        let general = stage.discord.channel("general");
        if is_stuck {
            let posts = format!("POST /channels/{general}/messages");
            stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts);
        }
        let one = stage.say("general", first);
        stage.prompted(first).await;
        let two = stage.say("general", SECOND);
        until(name, || comes(&stage, one, two).then_some(())).await;
        bot.kill().await;
        open(&stage, "gate");
        open(&stage, "gate2");
        stage.no_agent_is_left().await;
        let bot = Program::start(&stage).await;
        let is_over = || {
            let open = "SELECT count(*) FROM messages LEFT JOIN turns ON turns.message = id
                        LEFT JOIN deliveries ON deliveries.message = id
                        WHERE turns.state IN ('waiting', 'running') OR deliveries.state = 'open'";
            (stored::<i64>(&stage, open, []) == Some(0)).then_some(())
        };
        until("the end of all", is_over).await;
        let became = |message: Id| {
            let said = stage.answer(message);
            let is_steered = is(&stage, message, "answered in another");
            let what = match said.lines().next() {
                None if is_steered => "answered in the first",
                None => "NOTHING",
                Some(line) if line.starts_with("⚠️ I was stopped while") => "told",
                Some("first" | "second") => "answered",
                Some(_) => "SOMETHING ELSE",
            };
            what.to_owned()
        };
        let (of_one, of_two) = (became(one), became(two));
        let asked = times(&stage, "prompt", SECOND);
        lost += usize::from(of_one == "NOTHING") + usize::from(of_two == "NOTHING");
        let answers = stage.parts(two).len() + usize::from(of_two == "answered in the first");
        twice += usize::from(asked > 1) + usize::from(answers > 1) + usize::from(stage.parts(one).len() > 1);
        table += &format!("{name}: the first is {of_one}, the second is {of_two}\n");
        drop(bot);
    }
    println!("{table}lost {lost}, twice {twice}");
    assert_eq!((lost, twice), (0, 0), "{table}");
    assert!(!table.contains("SOMETHING ELSE"), "{table}");
}
