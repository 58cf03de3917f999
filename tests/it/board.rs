//! The board: one message with every turn that runs or waits.

use std::time::{Duration, Instant};

use moonlane::local::{Fault, Id, SUPPRESS_NOTIFICATIONS, UseCommand};

use crate::commands::{add_shipped, says};
use crate::crashes::{Program, outcome, until};
use crate::live::{FASTER, stage};
use crate::support::{Setup, Stage};

/// Uses `/board` with this subcommand; what the person reads.
async fn board(stage: &Stage, person: &str, subcommand: &str, channel: Option<&str>) -> String {
    let person = if person == "owner" { stage.discord.owner() } else { stage.discord.user(person) };
    let mut used = UseCommand::new(stage.discord.channel("general"), person, "board");
    used.subcommand = Some(subcommand.to_owned());
    if let Some(channel) = channel {
        used = used.option("channel", stage.discord.channel(channel).to_string());
    }
    says(stage, stage.discord.use_command(used).unwrap()).await.content
}

/// The boards that stand in a channel.
fn boards(stage: &Stage, channel: &str) -> Vec<(Id, String)> {
    let messages = stage.discord.messages(stage.discord.channel(channel)).into_iter();
    let boards = messages.filter(|it| it.by_bot && it.content.starts_with("**Turns**"));
    boards.map(|it| (it.id, it.content)).collect()
}

/// Waits until one board stands there that says this.
async fn board_says(stage: &Stage, channel: &str, words: &str) -> (Id, String) {
    until(&format!("a board with {words:?}"), || match &boards(stage, channel)[..] {
        [(id, text)] if text.contains(words) => Some((*id, text.clone())),
        _ => None,
    })
    .await
}

/// How often anything was asked of Discord about this board.
fn calls_for(stage: &Stage, board: Id) -> usize {
    stage.discord.calls().iter().filter(|call| call.path.ends_with(&format!("/messages/{board}"))).count()
}

#[tokio::test]
async fn it_shows_what_runs_and_waits_and_changes_only_with_that() {
    let mut stage = stage().await;
    assert_eq!(board(&stage, "owner", "off", None).await, "There is no board.");
    let told = board(&stage, "owner", "on", Some("overview")).await;
    assert_eq!(told, format!("The board stands in <#{}>.", stage.discord.channel("overview")));
    let (id, text) = board_says(&stage, "overview", "").await;
    assert_eq!(text, "**Turns**: none");
    assert_ne!(stage.discord.message(id).unwrap().flags & SUPPRESS_NOTIFICATIONS, 0, "it is silent");

    let running = stage.held("general").await;
    let waits = stage.say("general", "TEXT:a secret plan");
    stage.reacted(waits, "⏳").await;
    let last = stage.say("general", "TEXT:another");
    let (same, text) = board_says(&stage, "overview", "1 running, 2 waiting").await;
    assert_eq!(same, id);
    let (guild, general) = (stage.discord.guild(), stage.discord.channel("general"));
    let link = |message: Id| format!("https://discord.com/channels/{guild}/{general}/{message}");
    assert!(text.contains(&format!("\n⚙ {} began <t:", link(running))), "{text}");
    assert!(text.contains(&format!("\n⏳ {} asked <t:", link(waits))), "{text}");
    assert!(!text.contains("secret"), "everybody there reads it: {text}");

    // Nothing changes, so nothing is called.
    let before = calls_for(&stage, id);
    stage.ask("elsewhere", "TEXT:another channel").await;
    board_says(&stage, "overview", "1 running, 2 waiting").await;
    tokio::time::sleep(3 * Duration::from_secs(5) / FASTER).await;
    let with_another = calls_for(&stage, id);
    assert!(with_another <= before + 2, "another turn began and ended: {before}, {with_another}");
    tokio::time::sleep(3 * Duration::from_secs(5) / FASTER).await;
    assert_eq!(calls_for(&stage, id), with_another);

    stage.let_go("TEXT:done").await;
    stage.settled(last).await;
    board_says(&stage, "overview", "none").await;
    assert_eq!(board(&stage, "owner", "off", None).await, "The board is off.");
    until("its end", || boards(&stage, "overview").is_empty().then_some(())).await;
}

#[tokio::test]
async fn it_is_edited_once_in_a_while_however_much_happens() {
    let mut stage = stage().await;
    board(&stage, "owner", "on", None).await;
    let (id, _) = board_says(&stage, "general", "none").await;
    let (begun, before) = (Instant::now(), calls_for(&stage, id));
    for turn in 0..12 {
        stage.ask(&format!("channel-{turn}"), "TEXT:quick").await;
    }
    board_says(&stage, "general", "none").await;
    let pauses = begun.elapsed().as_secs_f64() / (5.0 / f64::from(FASTER));
    let edits = calls_for(&stage, id) - before;
    assert!(edits as f64 <= pauses + 2.0, "{edits} edits in {pauses} pauses");
}

#[tokio::test]
async fn it_is_for_operators_and_stands_in_one_place() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    add_shipped(&stage);
    let ada = stage.discord.user("ada");
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}' }} }},");
    stage.save("routing.lua", &crate::support::routing_with("").replacen("return {", &allowed, 1));
    stage.start().await;
    insta::assert_snapshot!(board(&stage, "ada", "on", None).await, @"⚠️ Only operators can do that.");
    board(&stage, "owner", "on", None).await;
    board_says(&stage, "general", "none").await;
    board(&stage, "owner", "on", Some("overview")).await;
    board_says(&stage, "overview", "none").await;
    until("the end of the other", || boards(&stage, "general").is_empty().then_some(())).await;
    assert_eq!(board(&stage, "ada", "off", None).await, "⚠️ Only operators can do that.");
    assert_eq!(boards(&stage, "overview").len(), 1);
}

#[tokio::test]
async fn one_that_is_deleted_by_hand_is_off() {
    let mut stage = stage().await;
    board(&stage, "owner", "on", Some("overview")).await;
    let (id, _) = board_says(&stage, "overview", "none").await;
    stage.discord.delete(id);
    stage.ask("general", "SLEEP:0.5 ;; TEXT:done").await;
    until("the end of the board", || (calls_for(&stage, id) > 0).then_some(())).await;
    // Nobody posts it again.
    stage.ask("general", "SLEEP:0.5 ;; TEXT:done").await;
    assert!(boards(&stage, "overview").is_empty());
    assert_eq!(board(&stage, "owner", "off", None).await, "There is no board.");
}

#[tokio::test]
async fn after_a_kill_at_any_step_there_is_one_board_and_it_is_up_to_date() {
    let stage = Stage::without_bot(Setup::default()).await;
    add_shipped(&stage);
    stage.discord.channel("overview");
    for at in ["before it is posted", "posted, and not recorded", "recorded"] {
        let bot = Program::start(&stage).await;
        let path = format!("/channels/{}/messages", stage.discord.channel("overview"));
        let before = stage.discord.calls().iter().filter(|call| call.path.ends_with(&path)).count();
        let fault = match at {
            "before it is posted" => Some(Fault::DropBefore),
            "posted, and not recorded" => Some(Fault::DropAfter),
            _ => None,
        };
        if let Some(fault) = fault {
            stage.discord.fail_next(100, fault, &format!("POST {path}"));
        }
        board(&stage, "owner", "on", Some("overview")).await;
        let posts = || stage.discord.calls().iter().filter(|call| call.path.ends_with(&path)).count();
        until("a try", || (posts() > before).then_some(())).await;
        if at == "recorded" {
            board_says(&stage, "overview", "none").await;
        }
        bot.kill().await;
        stage.discord.heal();
        stage.discord.forget_nonces();
        let bot = Program::start(&stage).await;
        let question = stage.say("general", "SLEEP:20");
        board_says(&stage, "overview", "1 running").await;
        stage.discord.delete(question);
        outcome(&stage, question).await;
        bot.kill().await;
        assert_eq!(boards(&stage, "overview").len(), 1, "{at}");
    }
}
