//! What a message refers to: the one that it replies to, or forwards, and what else it holds.

use moonlane::local::{File, Id, Poll, Say};
use moonlane::turn::Settled;

use crate::support::{ANSWERED, Setup, Stage, routing_with};

/// The bot may read messages that do not mention it; everything in #all is for it.
async fn seeing() -> Stage {
    let mut setup = Setup::default();
    setup.discord.message_content = true;
    let mut stage = Stage::without_bot(setup).await;
    let (ada, bob, all) =
        (stage.discord.user("ada"), stage.discord.user("bob"), stage.discord.channel("all"));
    let routing = routing_with("");
    let allowed = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing.replacen("return {", &allowed, 1));
    stage.save("triggers.lua", &format!("return {{ mention = true, all_messages_in = {{ '{all}' }} }}"));
    stage.start().await;
    stage
}

fn say(stage: &Stage, who: &str, channel: &str, text: &str) -> Say {
    Say::new(stage.discord.channel(channel), stage.discord.user(who), text)
}

/// Ada replies to a message, and mentions the bot.
fn reply(stage: &Stage, to: Id, words: &str) -> Id {
    stage.discord.say(Say { mention: true, reply_to: Some(to), ..say(stage, "ada", "general", words) })
}

/// The last prompt that an agent has got, with the folder of kept files as `FILES`.
fn prompt(stage: &Stage) -> String {
    let last = stage.agent_log().into_iter().rev().find_map(|event| event.prompt).unwrap_or_default();
    let folder = format!("{}/", stage.root().join("files").display());
    let place = regex::Regex::new(&format!("{}\\d+/\\d+/", regex::escape(&folder))).unwrap();
    place.replace_all(&last, "FILES/").into_owned()
}

fn picture() -> File {
    let bytes = b"\x89PNG\r\n\x1a\n\0".to_vec().into();
    File { name: "crash.png".to_owned(), content_type: Some("image/png".to_owned()), bytes }
}

#[tokio::test]
async fn a_reply_brings_the_message_that_it_replies_to_with_its_images() {
    let mut stage = seeing().await;
    let talk =
        Say { files: vec![picture()], ..say(&stage, "bob", "general", "It crashes.\n\n@everyone look") };
    let talk = stage.discord.say(talk);
    let question = reply(&stage, talk, "TEXT:why?");
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @r#"
    This replies to a message of bob, quoted for context:
    > It crashes.
    >
    > @everyone look

    Attached: FILES/crash.png (PNG image, 9 bytes)

    TEXT:why?
    [image "image/png", 12 characters]
    "#);
    // A mention alone asks about what it replies to.
    let question = reply(&stage, talk, "");
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @r#"
    This replies to a message of bob, quoted for context:
    > It crashes.
    >
    > @everyone look

    Attached: FILES/crash.png (PNG image, 9 bytes)
    [image "image/png", 12 characters]
    "#);
}

#[tokio::test]
async fn what_the_session_has_is_not_quoted_until_there_is_another_one() {
    let mut stage = seeing().await;
    let first = stage.say_as("ada", "general", "TEXT:first answer");
    assert_eq!(stage.settled(first).await, ANSWERED);
    let answer = stage.parts(first)[0].id;
    for known in [first, answer] {
        let question = reply(&stage, known, "TEXT:go on");
        assert_eq!(stage.settled(question).await, ANSWERED);
        assert_eq!(prompt(&stage), "TEXT:go on");
    }
    // Where nothing else is said, it is what is asked about.
    let question = reply(&stage, answer, "");
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(prompt(&stage), "This replies to what you wrote before:\n> first answer");
    stage.save(
        "routing.lua",
        &std::fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap().replace(
            "route = function() return \"here\" end",
            "route = function() return { project = \"here\", fresh = true } end",
        ),
    );
    assert_eq!(stage.reloader().reload_now().await, Ok(2));
    let question = reply(&stage, answer, "TEXT:go on");
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @"
    This replies to what you wrote before:
    > first answer

    TEXT:go on
    ");
}

#[tokio::test]
async fn a_forwarded_message_is_quoted_without_an_author() {
    let mut stage = seeing().await;
    let talk =
        stage.discord.say(Say { files: vec![picture()], ..say(&stage, "bob", "elsewhere", "Look at this.") });
    let forward = stage.discord.say(Say { forward_of: Some(talk), ..say(&stage, "ada", "all", "") });
    assert_eq!(stage.settled(forward).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @r#"
    This forwards a message of somebody else, quoted for context:
    > Look at this.

    Attached: FILES/crash.png (PNG image, 9 bytes)
    [image "image/png", 12 characters]
    "#);
    // In a channel where the bot has to be mentioned, a reply does that.
    let forward = stage.discord.say(Say { forward_of: Some(talk), ..say(&stage, "bob", "general", "") });
    let question = reply(&stage, forward, "TEXT:well?");
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @r#"
    This replies to a message of bob, quoted for context:
    > Look at this.

    Attached: FILES/crash.png (PNG image, 9 bytes)

    TEXT:well?
    [image "image/png", 12 characters]
    "#);
}

#[tokio::test]
async fn without_the_intent_one_line_says_that_discord_withholds_it() {
    let mut stage = Stage::open().await;
    let owner = stage.discord.owner();
    let talk = stage.discord.say(say(&stage, "bob", "general", "It crashes."));
    let general = stage.discord.channel("general");
    let reply =
        |words: &str| stage.discord.say(Say { reply_to: Some(talk), ..Say::to_bot(general, owner, words) });
    let (with_words, without) = (reply("TEXT:why?"), reply(""));
    assert_eq!(stage.settled(with_words).await, ANSWERED);
    insta::assert_snapshot!(stage.answer(with_words), @"
    why?

    -# Discord doesn't show me the message you replied to: for that, I need the Message Content intent.
    ");
    assert_eq!(stage.settled(without).await, Settled::Said);
    insta::assert_snapshot!(stage.answer(without), @"Discord doesn't show me the message you replied to: for that, I need the Message Content intent. Write what I should do.");
    // What the bot wrote itself it can always read.
    let answer = stage.parts(with_words)[0].id;
    let question =
        stage.discord.say(Say { reply_to: Some(answer), ..Say::to_bot(general, owner, "TEXT:go on") });
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(stage.answer(question), "go on");
}

#[tokio::test]
async fn stickers_polls_and_voice_messages_are_a_line_each() {
    let mut stage = seeing().await;
    let poll = Poll { question: "Tea?".to_owned(), answers: vec!["Yes".to_owned(), "No".to_owned()] };
    let said =
        Say { stickers: vec!["Wave".to_owned()], poll: Some(poll), ..say(&stage, "ada", "all", "TEXT:seen") };
    let question = stage.discord.say(said);
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @"
    TEXT:seen

    [a sticker: Wave]
    [a poll: Tea? · Yes · No]
    ");
    let recording = File {
        name: "voice-message.ogg".to_owned(),
        content_type: Some("audio/ogg".to_owned()),
        bytes: b"OggS\0\x02".to_vec().into(),
    };
    let length = std::time::Duration::from_secs(12);
    let voice = Say { voice: Some(length), files: vec![recording], ..say(&stage, "ada", "all", "") };
    let question = stage.discord.say(voice);
    assert_eq!(stage.settled(question).await, ANSWERED);
    insta::assert_snapshot!(prompt(&stage), @"
    [a voice message of 12 s, attached]

    Attached: FILES/voice-message.ogg (audio/ogg, 6 bytes)
    ");
}
