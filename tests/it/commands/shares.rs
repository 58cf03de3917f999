//! One person's commands and dialogs, and how operators get past them.

use moonlane::local::{Id, Message};

use super::{add, buttons, heard, said, says, shipped, use_as};
use crate::support::{Stage, within};

/// Asks something, and waits for the answer.
const WAIT: &str = "return { name = 'wait', description = 'x', run = function(ctx)
    ctx:reply(ctx:confirm { 'Sure?', timeout = 600 } and 'Yes.' or 'No.')
end }";

/// A stage with this configuration and the command `wait`.
async fn stage(config: &str) -> Stage {
    let mut stage = shipped().await;
    let file = stage.root().join("config/moonlane.toml");
    let shipped = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{shipped}\n{config}\n")).unwrap();
    stage.start().await;
    add(&stage, "wait", WAIT).await;
    stage
}

/// A use of `wait` that waits.
async fn waits(stage: &Stage, person: &str) -> (Id, Message) {
    let used = use_as(stage, person, "wait", &[]);
    let question = says(stage, used).await;
    assert_eq!(question.content, "Sure?");
    (used, question)
}

const HELP: &str = "`/model <name>`";

#[tokio::test]
async fn who_has_enough_commands_under_way_is_refused_until_one_ends() {
    let stage = stage("[person]\nmax_commands = 2").await;
    let (_, question) = waits(&stage, "ada").await;
    waits(&stage, "ada").await;
    for _ in 0..2 {
        let refused = said(&stage, "ada", "help", &[]).await;
        assert_eq!(
            refused.content,
            "2 of your commands are still running. Answer their questions or wait, then try again."
        );
        assert_eq!(refused.ephemeral_to, Some(stage.discord.user("ada")));
    }
    // Operators are not counted.
    for _ in 0..3 {
        waits(&stage, "owner").await;
    }
    for command in ["status", "reload", "stop"] {
        let told = said(&stage, "owner", command, &[]).await;
        assert!(!told.content.contains("did not come to an end"), "{command}: {}", told.content);
    }

    let press = stage.discord.press(question.id, stage.discord.user("ada"), &buttons(&question)[0]).unwrap();
    within("the press to be taken", stage.discord.acknowledged(press)).await;
    heard(&stage, "Yes.").await;
    // It ends a moment after it has spoken.
    let helped = async {
        loop {
            let told = said(&stage, "ada", "help", &[]).await;
            if told.content.contains(HELP) {
                return;
            }
        }
    };
    within("help", helped).await;
}

#[tokio::test]
async fn who_has_enough_dialogs_open_can_use_commands_that_need_none() {
    let stage = stage("[person]\nmax_dialogs = 1").await;
    waits(&stage, "ada").await;
    let refused = said(&stage, "ada", "wait", &[]).await;
    insta::assert_snapshot!(refused.content, @"⚠️ I've already asked you a question. Answer it first, or wait until it times out.");
    assert!(said(&stage, "ada", "help", &[]).await.content.contains(HELP));
    waits(&stage, "owner").await;
    waits(&stage, "owner").await;
}

#[tokio::test]
async fn operators_get_through_where_no_more_commands_may_wait() {
    let stage = stage("[scripts]\nmax_waiting = 1").await;
    waits(&stage, "ada").await;
    let refused = said(&stage, "ada", "help", &[]).await;
    assert!(!refused.content.contains(HELP), "{}", refused.content);
    for command in ["status", "reload", "stop"] {
        let told = said(&stage, "owner", command, &[]).await;
        assert!(!told.content.starts_with('⚠'), "{command}: {}", told.content);
    }
}

#[tokio::test]
async fn a_question_that_is_too_much_is_refused_before_it_is_posted() {
    let mut stage = stage("[person]\nmax_waiting = 1\nmax_messages = 3").await;
    stage.say_as("ada", "general", "STALL");
    stage.prompted("STALL").await;
    let ask = async |text: &str| said(&stage, "ada", "ask", &[("prompt", text)]).await.content;
    assert_eq!(ask("TEXT:waits").await, "Asked: TEXT:waits");
    insta::assert_snapshot!(ask("TEXT:refused").await, @"⚠️ You already have a message waiting here. Send this again once it has started.");
    let elsewhere = stage.say_as("ada", "elsewhere", "TEXT:elsewhere");
    stage.settled(elsewhere).await;
    stage.discord.delete(stage.discord.messages(stage.discord.channel("general"))[0].id);
    heard(&stage, "waits").await;
    let ask = async |text: &str| said(&stage, "ada", "ask", &[("prompt", text)]).await.content;
    insta::assert_snapshot!(ask("TEXT:refused").await, @"⚠️ You've sent me 3 messages within a minute. Wait a minute, then send this again.");
    let posted = stage.discord.messages(stage.discord.channel("general"));
    assert!(!posted.iter().any(|message| message.by_bot
        && message.content.contains("refused")
        && message.ephemeral_to.is_none()));
}
