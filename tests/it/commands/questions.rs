//! `/ask`: the question is written down before it is posted, shown whole, and answered once.

use moonlane::local::{Fault, Id, Message, Right};

use super::{add, said, shipped, stage, use_as};
use crate::crashes::{FOR_EVER, Program, until};
use crate::support::{Stage, within};

/// What the bot has posted in the channel.
fn posted(stage: &Stage) -> Vec<Message> {
    let messages = stage.discord.messages(stage.discord.channel("general"));
    messages.into_iter().filter(|message| message.by_bot && message.webhook.is_none()).collect()
}

/// The question and its answer, once both stand there.
async fn answered(stage: &Stage) -> [Message; 2] {
    let both = stage.discord.wait_until(|_| <[Message; 2]>::try_from(posted(stage)).ok());
    within("a question and its answer", both).await
}

fn posts(stage: &Stage) -> String {
    format!("POST /channels/{}/messages", stage.discord.channel("general"))
}

#[tokio::test]
async fn a_question_that_was_not_posted_when_the_bot_was_killed_is_posted_and_answered() {
    // It is posted without the secret in it.
    let secret = format!("TEXT:yes ;; ghp_{}", "a8Bk3ZxQ7mT0vLcJ5nRw".repeat(2));
    for (taken, prompt, shown) in [
        (false, "TEXT:yes", "TEXT:yes"),
        (true, "TEXT:yes", "TEXT:yes"),
        (true, &*secret, "TEXT:yes ;; [redacted]"),
    ] {
        let stage = shipped().await;
        let fault = if taken { Fault::DropAfter } else { Fault::Delay(FOR_EVER) };
        stage.discord.fail_next(1, fault, &posts(&stage));
        let bot = Program::start(&stage).await;
        use_as(&stage, "ada", "ask", &[("prompt", prompt)]);
        let tried = || {
            let path = format!("/channels/{}/messages", stage.discord.channel("general"));
            let calls = stage.discord.calls();
            calls.iter().any(|call| call.method == "POST" && call.path == path).then_some(())
        };
        until("the question on its way", tried).await;
        until("what Discord took", || (posted(&stage).len() == usize::from(taken)).then_some(())).await;
        bot.kill().await;
        stage.discord.forget_nonces();
        // Nobody's words are taken for the question.
        let ben = stage.discord.user("ben");
        let channel = stage.discord.channel("general");
        stage.discord.say(moonlane::local::Say::new(channel, ben, "**ada** asks:\nTEXT:yes"));

        let _bot = Program::start(&stage).await;
        let [question, answer] = answered(&stage).await;
        assert_eq!(question.content, format!("**ada** asks:\n{shown}"));
        let ada = stage.discord.user("ada");
        assert_eq!(answer.content, format!("yes\n\n-# For <@{ada}>"));
        assert_eq!((answer.reply_to, answer.pinged), (Some(question.id), vec![ada]));
    }
}

#[tokio::test]
async fn who_deletes_the_question_wants_no_answer() {
    let mut stage = stage().await;
    use_as(&stage, "ada", "ask", &[("prompt", "STALL")]);
    stage.prompted("STALL").await;
    let question = posted(&stage)[0].id;
    stage.discord.delete(question);
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
    assert_eq!(posted(&stage).len(), 1, "nothing is said of the one that was deleted");
}

#[tokio::test]
async fn a_question_that_cannot_be_posted_takes_no_slot_from_others() {
    let mut stage = shipped().await;
    let file = stage.root().join("config/moonlane.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("[agent]", "[agent]\nmax_running = 1");
    std::fs::write(&file, config).unwrap();
    stage.start().await;
    let channel = stage.discord.channel("general");
    stage.discord.forbid(channel, Right::Post);
    use_as(&stage, "ada", "ask", &[("prompt", "TEXT:yes")]);
    stage.refused_to_post("general").await;
    assert_eq!(stage.ask("other", "TEXT:elsewhere").await, "elsewhere");
    stage.discord.allow(channel, Right::Post);
    answered(&stage).await;
}

#[tokio::test]
async fn a_question_that_waits_shows_so_where_it_stands() {
    let mut stage = stage().await;
    let held = stage.held("general").await;
    use_as(&stage, "ada", "ask", &[("prompt", "TEXT:yes")]);
    let question = stage.discord.wait_until(|_| posted(&stage).first().map(|message| message.id));
    let question: Id = within("the question", question).await;
    stage.reacted(question, "⏳").await;
    stage.let_go("first").await;
    stage.settled(held).await;
    stage.reaction_taken_off(question, "⏳").await;
}

#[tokio::test]
async fn a_long_question_is_shown_whole() {
    let stage = stage().await;
    let prompt = format!("TEXT:yes\n{}the end", "word ".repeat(1000));
    use_as(&stage, "ada", "ask", &[("prompt", &prompt)]);
    let [question, _] = answered(&stage).await;
    let [file] = &question.attachments[..] else { panic!("no file: {question:?}") };
    let whole = stage.discord.file(file.id).unwrap().bytes;
    assert_eq!((file.name.as_str(), &whole[..]), ("prompt.md", prompt.as_bytes()));
    insta::assert_snapshot!(question.content.replace("word ", ""), @"
    **ada** asks:
    TEXT:yes
    w…
    -# The full text is in `prompt.md`
    ");
}

#[tokio::test]
async fn half_of_a_secret_is_never_shown_of_a_long_question() {
    let stage = stage().await;
    let token = format!("ghp_{}", "a8Bk3ZxQ7m".repeat(4));
    let prompt = format!("TEXT:yes {} {token} {}", "x".repeat(1470), "word ".repeat(500));
    use_as(&stage, "ada", "ask", &[("prompt", &prompt)]);
    let [question, _] = answered(&stage).await;
    assert!(question.content.contains("[redacted]"), "{}", question.content);
    assert!(!question.content.contains("ghp_"), "{}", question.content);
}

#[tokio::test]
async fn a_command_may_ask_several_questions() {
    let stage = stage().await;
    let script = r#"return {
        name = "twice", description = "Asks twice",
        run = function(ctx) ctx:ask "TEXT:one"; ctx:ask "TEXT:two" end,
    }"#;
    add(&stage, "twice", script).await;
    said(&stage, "ada", "twice", &[]).await;
    let all = stage.discord.wait_until(|_| (posted(&stage).len() == 4).then(|| posted(&stage)));
    let all = within("two questions and their answers", all).await;
    let mut said: Vec<_> =
        all.iter().map(|message| message.content.lines().next().unwrap_or_default()).collect();
    said.sort_unstable();
    assert_eq!(said, ["**ada** asks:", "**ada** asks:", "one", "two"]);
}
