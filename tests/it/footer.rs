//! The small text below an answer.

use moonlane::local::{Fault, Id};

use crate::crashes::{Program, outcome};
use crate::support::{Setup, Stage, within};

/// Every channel is the project `here`, with these keys.
fn routing(keys: &str) -> String {
    format!(
        r#"return {{
            projects = {{ here = {{ dir = "WORK", env = {{ DEMO_AGENT_LOG = "LOG" }}, {keys} }} }},
            route = function() return "here" end,
        }}"#
    )
}

async fn stage(keys: &str) -> Stage {
    Stage::with(Setup { routing: routing(keys), ..Setup::default() }).await
}

/// The answer, in which the time that the turn took reads `TIME`.
fn without_time(answer: &str) -> String {
    let Some((said, footer)) = answer.rsplit_once("-# ") else { return answer.to_owned() };
    let (time, rest) = footer.split_once(" · ").unwrap_or((footer, ""));
    assert!(time.ends_with('s'), "a time: {answer}");
    format!("{said}-# TIME · {rest}")
}

/// How many calls it took to answer this.
async fn calls_for(stage: &mut Stage, prompt: &str) -> usize {
    let before = stage.discord.calls().len();
    let question = stage.say("general", prompt);
    stage.settled(question).await;
    stage.discord.calls().len() - before
}

#[tokio::test]
async fn by_default_an_answer_tells_time_model_and_context_and_costs_no_further_call() {
    let mut told = stage("").await;
    let answer = told.ask("general", "TEXT:I look. ;; TOOL:Read:a ;; TEXT:It is so.").await;
    assert_eq!(without_time(&answer), "It is so.\n\n-# TIME · demo · context 6%");
    let full = "TOOL:Read:a ;; USAGE:4,1,159996,0 ;; TEXT:It is so.";
    let question = told.say("general", full);
    told.settled(question).await;
    assert_eq!(without_time(&told.answer(question)), "It is so.\n\n-# TIME · demo · ⚠ context 80%");
    assert_eq!(told.parts(question).len(), 1);

    let mut untold = stage("footer = false").await;
    assert_eq!(untold.ask("general", full).await, "It is so.");
    assert_eq!(calls_for(&mut told, full).await, calls_for(&mut untold, full).await);
}

#[tokio::test]
async fn the_fields_are_the_projects_and_the_branch_is_the_one_that_is_checked_out() {
    let stage_of = stage(r#"footer = { "branch", "tools", "cost", "model" }"#).await;
    let mut stage = stage_of;
    std::fs::create_dir(stage.work().join(".git")).unwrap();
    std::fs::write(stage.work().join(".git/HEAD"), "ref: refs/heads/a`b\n").unwrap();
    let answer =
        stage.ask("general", "COST:1.5 ;; FALLBACK:haiku ;; TOOL:Read:a ;; TOOL:Read:b ;; TEXT:yes").await;
    assert!(answer.ends_with("\n-# `a'b` · 2 tool calls · $1.50 · haiku"), "{answer}");
    // What is not known is left out.
    let answer = stage.ask("general", "USAGE:none ;; TOOL:Read:a ;; TEXT:yes").await;
    assert!(answer.ends_with("yes\n\n-# `a'b` · 1 tool call · demo"), "{answer}");
}

#[tokio::test]
async fn a_quick_word_has_none_nor_has_what_is_no_answer() {
    let mut stage = stage("").await;
    assert_eq!(stage.ask("general", "TEXT:yes").await, "yes");
    let failed = stage.ask("general", "TOOL:Read:a ;; TEXT:half ;; ERR:500").await;
    assert!(failed.starts_with("half\n\n⚠️") && failed.ends_with("-# id ID"), "{failed}");
    let compacted = "TEXT:before ;; COMPACT:154321:31999 ;; TEXT:after";
    assert_eq!(stage.ask("general", compacted).await, "before\n\nafter\n\n-# context 154k → 31k");
}

#[tokio::test]
async fn a_part_with_a_footer_is_recognised_after_a_kill() {
    let stage = Stage::without_bot(Setup { routing: routing(""), ..Setup::default() }).await;
    let channel = stage.discord.channel("general");
    // Discord takes the answer, and the bot does not learn of it.
    stage.discord.fail_next(1, Fault::DropAfter, &format!("POST /channels/{channel}/messages"));
    let bot = Program::start(&stage).await;
    let question = stage.say("general", "TOOL:Read:a ;; TEXT:yes");
    stage.parts_posted(question, 1).await;
    bot.kill().await;
    stage.discord.forget_nonces();

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    let said: Vec<String> =
        stage.discord.messages(channel).into_iter().filter(|it| it.by_bot).map(|it| it.content).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(without_time(&said[0]), "yes\n\n-# TIME · demo · context 6%");
}

#[tokio::test]
async fn what_has_no_room_beside_the_answer_takes_no_message_of_its_own() {
    let mut stage = stage("").await;
    let question: Id = stage.say("general", "TOOL:Read:a ;; LONG:1990");
    stage.settled(question).await;
    let parts = within("the parts", stage.parts_posted(question, 1)).await;
    assert_eq!(parts.len(), 1);
    assert!(!parts[0].content.contains("-# "), "{}", parts[0].content);
}
