//! What an answer to Claude's question means for later turns: what a session allows, and the mode that comes of a plan.

use moonlane::local::UseCommand;

use crate::choices::choose;
use crate::commands::{add_shipped, buttons, says};
use crate::questions::{button, ended, fill_in, question, says_at_end};
use crate::support::{Setup, Stage, routing_with};
use moonlane::domain::PermissionMode;
use moonlane::store::NewChoice;

const EDIT: &str = r#"ASK:Edit:{"file_path":"a.txt","old_string":"a","new_string":"b"}"#;
const PLAN: &str = r##"ASK:ExitPlanMode:{"plan":"# Plan\n1. do it"}"##;

async fn stage(project: &str) -> Stage {
    let setup = Setup { routing: routing_with(project), ..Setup::default() };
    let mut stage = Stage::without_bot(setup).await;
    add_shipped(&stage);
    stage.start().await;
    stage
}

/// Has Claude ask this in #general, presses this button, and waits for the turn's end; what the question says in the end.
async fn answered(stage: &mut Stage, prompt: &str, press: &str) -> String {
    let turn = stage.say("general", prompt);
    let asked = question(stage, "general").await;
    match press {
        "plan" => fill_in(stage, &asked, press, &[]).await,
        press => drop(stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, press)).unwrap()),
    }
    let ended = ended(stage, &asked).await;
    stage.settled(turn).await;
    ended.lines().last().unwrap_or_default().to_owned()
}

/// The process of the latest turn.
fn process(stage: &Stage) -> u32 {
    stage.agent_log().into_iter().rfind(|it| it.event == "prompt").unwrap().pid
}

#[tokio::test]
async fn what_a_session_allows_is_handed_to_its_next_process_and_gone_once_it_is_reset() {
    let mut stage = stage("allowed_tools = { 'WebSearch' }, send_files = false").await;
    let end = answered(&mut stage, "ASK:Bash:git push origin", "session").await;
    assert_eq!(end, "-# ✅ Allowed for this session by @owner");
    let first = process(&stage);
    let own = r#""--allowedTools=WebSearch""#;
    let both = r#""--allowedTools=WebSearch,Bash(git \*)""#;
    // The process has it, and fits the next turn all the same.
    assert!(stage.ask("general", "ARGS").await.contains(own));
    assert_eq!(process(&stage), first);
    for _ in 0..2 {
        stage.stop().await;
        stage.start().await;
        let told = stage.ask("general", "ARGS").await;
        assert!(told.contains(both), "{told}");
        let elsewhere = stage.ask("elsewhere", "ARGS").await;
        assert!(elsewhere.contains(own), "another session has its own: {elsewhere}");
    }
    let reset = UseCommand::new(stage.discord.channel("general"), stage.discord.owner(), "reset");
    let asked = says(&stage, stage.discord.use_command(reset).unwrap()).await;
    let yes = buttons(&asked).into_iter().next().unwrap();
    stage.discord.press(asked.id, stage.discord.owner(), &yes).unwrap();
    crate::live::line_with(&stage, asked.channel, "The next message starts afresh.").await;
    let told = stage.ask("general", "ARGS").await;
    assert!(told.contains(own), "{told}");
}

#[tokio::test]
async fn a_mode_that_a_person_chooses_counts_from_the_next_turn_on_in_the_same_process() {
    let mut stage = stage("permission_mode = 'acceptEdits'").await;
    assert_eq!(stage.ask("general", "MODE").await, "demo acceptEdits");
    let first = process(&stage);
    let mut said = String::new();
    for mode in ["plan", "auto", "bypassPermissions", "project"] {
        said += &format!("{}\n", crate::choices::reads(&stage, "mode", "mode", mode).await);
        said += &format!("{}\n", stage.ask("general", "MODE").await);
    }
    insta::assert_snapshot!(said, @"
    to all: Permission mode: **acceptEdits** → **plan**, from the next turn on: Claude reads and plans, and asks whether the plan is good before it begins.
    demo plan
    ⚠️ The project here only allows these permission modes: `default`, `acceptEdits`, `plan`, `dontAsk`.
    demo plan
    ⚠️ The project here only allows these permission modes: `default`, `acceptEdits`, `plan`, `dontAsk`.
    demo plan
    to all: Permission mode: **plan** → **acceptEdits**, from the next turn on: Claude changes the project's files by itself, and asks before it runs a command.
    demo acceptEdits
    ");
    assert_eq!(process(&stage), first);
    stage.say("general", "permission");
    let asked = question(&stage, "general").await;
    assert!(asked.content.contains("git push origin main"), "{}", asked.content);
}

#[tokio::test]
async fn what_is_allowed_once_is_not_handed_on() {
    let mut stage = stage("send_files = false").await;
    answered(&mut stage, "ASK:Bash:git push origin", "allow").await;
    stage.stop().await;
    stage.start().await;
    assert!(!stage.ask("general", "ARGS").await.contains("--allowedTools"));
}

#[tokio::test]
async fn edits_that_a_session_allows_are_accepted_in_later_turns_until_somebody_chooses_a_mode() {
    let mut stage = stage("permission_mode = 'default'").await;
    answered(&mut stage, EDIT, "session").await;
    assert_eq!(stage.ask("general", "MODE").await, "demo acceptEdits");
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "demo acceptEdits");
    assert_eq!(stage.ask("elsewhere", "MODE").await, "demo default");
    stage.stop().await;
    choose(&stage, "general", NewChoice::PermissionMode(Some(PermissionMode::Default))).await;
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "demo default");
}

#[tokio::test]
async fn edits_cannot_be_allowed_for_a_session_where_the_project_does_not_take_that_mode() {
    let stage = stage("permission_mode = 'default', permission_modes = { 'plan' }").await;
    stage.say("general", EDIT);
    let asked = question(&stage, "general").await;
    let ids = buttons(&asked);
    assert!(ids.len() == 3 && !ids.iter().any(|id| id.ends_with(":session")), "{ids:?}");
}

/// What is said of a plan, in which mode the next turn is, and in which one after a restart.
async fn approved(project: &str, prompt: &str, press: &str) -> [String; 3] {
    let mut stage = stage(project).await;
    let end = answered(&mut stage, prompt, press).await;
    let next = stage.ask("general", "MODE").await;
    stage.stop().await;
    stage.start().await;
    [end, next, stage.ask("general", "MODE").await]
}

#[tokio::test]
async fn the_mode_that_comes_of_a_plan_is_the_channels_from_then_on() {
    let plans = "permission_mode = 'plan'";
    for (project, press, end, mode) in [
        (plans, "approve", "✅ Approved by @owner. The permission mode here is now `default`", "default"),
        (
            plans,
            "edits",
            "✅ Approved by @owner. The permission mode here is now `acceptEdits`",
            "acceptEdits",
        ),
        (plans, "plan", "✏️ Not approved yet by @owner", "plan"),
        (
            "permission_mode = 'plan', permission_modes = { 'acceptEdits' }",
            "approve",
            "✅ Approved by @owner. The next turn plans again: this project's `permission_modes` allow nothing else",
            "plan",
        ),
    ] {
        let mode = format!("demo {mode}");
        assert_eq!(
            approved(project, PLAN, press).await,
            [format!("-# {end}"), mode.clone(), mode],
            "{project} {press}"
        );
    }
}

#[tokio::test]
async fn a_plan_that_claude_made_by_itself_leaves_the_channels_mode_as_it_is() {
    let project = "permission_mode = 'acceptEdits'";
    let told = approved(project, &format!("MODE:plan ;; {PLAN}"), "approve").await;
    assert_eq!(told, ["-# ✅ Approved by @owner", "demo acceptEdits", "demo acceptEdits"]);
}

#[tokio::test]
async fn edits_are_offered_with_a_plan_only_where_the_project_takes_them() {
    let stage = stage("permission_mode = 'plan', permission_modes = { 'default' }").await;
    stage.say("general", PLAN);
    let asked = question(&stage, "general").await;
    let ids = buttons(&asked);
    assert!(ids.len() == 2 && !ids.iter().any(|id| id.ends_with(":edits")), "{ids:?}");
}

#[tokio::test]
async fn a_plan_that_a_restart_has_left_is_carried_out_in_the_mode_that_comes_of_it() {
    let mut stage = stage("permission_mode = 'plan'").await;
    stage.say("general", PLAN);
    let asked = question(&stage, "general").await;
    stage.stop().await;
    stage.start().await;
    let left = says_at_end(&stage, &asked, "-# I was restarted before anybody answered").await;
    stage.discord.press(asked.id, stage.discord.owner(), &button(&left, "edits")).unwrap();
    let end =
        format!("-# Went on by <@{}>. The permission mode here is now `acceptEdits`", stage.discord.owner());
    says_at_end(&stage, &asked, &end).await;
    assert_eq!(stage.ask("general", "MODE").await, "demo acceptEdits");
}
