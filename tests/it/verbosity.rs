//! How much of a turn at work a channel sees.

use moonlane::local::{Id, Right};

use crate::commands::said;
use crate::crashes::until;
use crate::live::{line_with, lines, stage, stage_with};
use crate::support::Stage;

/// A turn that is long enough for a line, and has something to hide.
const WORK: &str = "TEXT:I look first. ;; TOOL:Bash:echo sk-ant-api03-0123456789abcdefghijklmnop ;; TOOL:Bash:sleep 0.4 ;; TEXT:done";

/// What stands in the channel, the files with their content.
fn standing(stage: &Stage, channel: Id) -> Vec<String> {
    let mut all = Vec::new();
    for message in stage.discord.messages(channel).into_iter().filter(|it| it.by_bot) {
        let mut told = message.content.clone();
        for file in &message.attachments {
            let content = String::from_utf8(stage.discord.file(file.id).unwrap().bytes.to_vec()).unwrap();
            told += &format!("\n[{}]\n{content}", file.name);
        }
        assert!(message.pinged.is_empty() || message.attachments.is_empty(), "{told}");
        all.push(told);
    }
    all
}

#[tokio::test]
async fn where_a_project_wants_no_line_there_is_none() {
    let mut stage = stage_with("live = 'off'").await;
    assert_eq!(stage.ask("general", WORK).await, "done");
    assert_eq!(lines(&stage), ["answer: done"]);
    let general = stage.discord.channel("general");
    let typing = |call: &&moonlane::local::Call| call.path.ends_with(&format!("{general}/typing"));
    assert!(stage.discord.calls().iter().any(|call| typing(&call)));
}

#[tokio::test]
async fn a_channel_chooses_to_see_all_and_keeps_it_as_a_file() {
    let mut stage = stage().await;
    let general = stage.discord.channel("general");
    let mut told = vec![said(&stage, "owner", "verbosity", &[]).await.content];
    for what in ["full", "full"] {
        told.push(said(&stage, "owner", "verbosity", &[("what", what)]).await.content);
    }
    told.push(said(&stage, "owner", "verbosity", &[]).await.content);
    insta::assert_snapshot!(told.join("\n"), @"
    While a turn is at work, this channel sees one line with what I am about, which goes once the answer stands (**line**).
    Verbosity: **line** → **full**, from the next turn on: one line with all that I do, which becomes a file once the answer stands.
    The verbosity here is **full** already.
    While a turn is at work, this channel sees one line with all that I do, which becomes a file once the answer stands (**full**).
    ");

    stage.stop().await;
    stage.start().await;
    let question = stage.say("general", WORK);
    line_with(&stage, general, "sleep 0.4").await;
    stage.settled(question).await;
    until("the file", || standing(&stage, general).iter().any(|it| it.contains("[work.txt]")).then_some(()))
        .await;
    let lines = lines(&stage);
    let at_work = lines.iter().rfind(|line| line.contains("Running")).unwrap();
    // Posted or edited so.
    let (_, at_work) = at_work.split_once('\n').unwrap();
    insta::assert_snapshot!(at_work, @"
    -# ⚙ Working, started SOME TIME AGO
    -# I look first.
    -# ✓ Ran `echo [redacted]`
    -# ||`command: echo [redacted] → (Bash completed with no output)`||
    -# ▸ Running `sleep 0.4`
    -# ||`command: sleep 0.4`||
    ");
    assert!(lines[lines.len() - 2].starts_with("answer: done"), "the answer is first: {lines:#?}");
    let standing = standing(&stage, general);
    let work = standing.iter().find(|it| it.contains("[work.txt]")).unwrap();
    insta::assert_snapshot!(work, @"
    -# What I did: 2 calls of tools
    [work.txt]
    Claude
        I look first.

    Bash
        command: echo [redacted]
    →
        (Bash completed with no output)

    Bash
        command: sleep 0.4
    →
        (Bash completed with no output)
    ");
    // It is a message like any other now: no later bot takes it away.
    stage.stop().await;
    stage.start().await;
    stage.ask("general", "TEXT:again").await;
    assert!(self::standing(&stage, general).iter().any(|it| it.contains("[work.txt]")));

    assert!(said(&stage, "owner", "verbosity", &[("what", "project")]).await.content.contains("**line**"));
    stage.ask("general", WORK).await;
    until("the line's end", || {
        crate::live::lines(&stage).last().is_some_and(|last| last == "deleted").then_some(())
    })
    .await;
}

#[tokio::test]
async fn where_no_file_is_taken_or_wanted_the_line_goes() {
    let mut stage = stage_with("live = 'full'").await;
    let general = stage.discord.channel("general");
    stage.discord.forbid(general, Right::Attach);
    assert_eq!(stage.ask("general", WORK).await, "done");
    until("the line's end", || (standing(&stage, general) == ["done"]).then_some(())).await;

    stage.discord.allow(general, Right::Attach);
    let question = stage.say("general", &WORK.replace("0.4", "60"));
    line_with(&stage, general, "sleep 60").await;
    stage.discord.delete(question);
    stage.settled(question).await;
    until("the line's end", || (standing(&stage, general) == ["done"]).then_some(())).await;
}

#[tokio::test]
async fn a_quick_turn_leaves_nothing_behind_however_much_is_wanted() {
    let mut stage = stage_with("live = 'full'").await;
    let general = stage.discord.channel("general");
    stage.ask("general", "TOOL:Bash:ls ;; TEXT:done").await;
    assert_eq!(standing(&stage, general), ["done"]);
}

#[tokio::test]
async fn only_who_is_let_in_chooses() {
    let stage = stage().await;
    let refused = said(&stage, "eve", "verbosity", &[("what", "full")]).await;
    assert_eq!(refused.content, "You don't have access here. Ask whoever runs this bot.");
}
