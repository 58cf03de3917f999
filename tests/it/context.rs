//! What was said in a channel before a prompt, where a project wants Claude to know it.

use moonlane::local::{Fault, File, Id, Say};

use crate::support::{ANSWERED, Setup, Stage, routing_with};

async fn stage(reads: bool, messages: usize) -> Stage {
    let mut setup = Setup {
        routing: routing_with(&format!("context = {{ messages = {messages} }},")),
        ..Setup::default()
    };
    setup.discord.message_content = reads;
    Stage::with(setup).await
}

fn talk(stage: &Stage, who: &str, text: &str) -> Id {
    stage.discord.say(Say::new(stage.discord.channel("general"), stage.discord.user(who), text))
}

async fn prompt(stage: &mut Stage, say: Say) -> String {
    let asked = stage.discord.say(say);
    assert_eq!(stage.settled(asked).await, ANSWERED);
    stage.agent_log().into_iter().rev().find_map(|event| event.prompt).unwrap_or_default()
}

fn ask(stage: &Stage, text: &str) -> Say {
    Say::to_bot(stage.discord.channel("general"), stage.discord.owner(), text)
}

#[tokio::test]
async fn what_was_said_since_the_turn_before_goes_with_the_prompt() {
    let mut stage = stage(true, 3).await;
    talk(&stage, "ann", "too long ago");
    let bob = stage.discord.user("bob");
    talk(&stage, "ann", &format!("<@{bob}> it crashes\nbob: I know"));
    let bytes = b"x".to_vec().into();
    let file = File { name: "log.txt".to_owned(), content_type: None, bytes };
    stage
        .discord
        .say(Say { files: vec![file], ..Say::new(stage.discord.channel("general"), bob, "see here") });
    talk(&stage, "bob", "on Tuesdays only");
    let first = ask(&stage, "TEXT:why?");
    insta::assert_snapshot!(prompt(&mut stage, first).await, @"
    This was said in the channel before, by people who may not have meant you, for context:
    > (one older message is left out)
    > ann: @bob it crashes
    >     bob: I know
    > bob: see here [file: log.txt]
    > bob: on Tuesdays only

    TEXT:why?
    ");
    // What Claude has got already is not told again.
    let second = ask(&stage, "TEXT:and?");
    assert_eq!(prompt(&mut stage, second).await, "TEXT:and?");
    let quoted = talk(&stage, "ann", "what about Mondays?");
    talk(&stage, "bob", "no idea");
    let reply = Say { reply_to: Some(quoted), ..ask(&stage, "TEXT:tell her") };
    insta::assert_snapshot!(prompt(&mut stage, reply).await, @"
    This was said in the channel before, by people who may not have meant you, for context:
    > bob: no idea

    This replies to a message of ann, quoted for context:
    > what about Mondays?

    TEXT:tell her
    ");
}

#[tokio::test]
async fn it_is_told_only_where_it_is_wanted_and_may_be_read() {
    for (reads, messages) in [(false, 20), (true, 0)] {
        let mut stage = stage(reads, messages).await;
        talk(&stage, "ann", "not for Claude");
        let asked = ask(&stage, "TEXT:why?");
        assert_eq!(prompt(&mut stage, asked).await, "TEXT:why?");
    }
}

#[tokio::test]
async fn where_discord_does_not_tell_the_answer_says_so() {
    let mut stage = stage(true, 20).await;
    talk(&stage, "ann", "never told");
    let history = format!("GET /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::Status(403), &history);
    let asked = stage.say("general", "TEXT:why?");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    assert_eq!(stage.answer(asked), "why?\n\n-# I couldn't read what was said here before");
}
