//! What people write besides text: replies, forwards, stickers, polls, voice messages; and what of it is withheld.

use serenity::all::{MessageReferenceKind, MessageType};

use super::*;

#[tokio::test]
async fn a_reply_brings_its_message_and_null_once_that_is_gone() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let asked = local.say(Say::to_bot(general, anna, "first"));
    let reply = Say { reply_to: Some(asked), ..Say::to_bot(general, local.owner(), "look at this") };
    local.say(reply.clone());
    bot.message().await;
    let heard = bot.message().await;
    assert_eq!((heard.kind, heard.mentions.len()), (MessageType::InlineReply, 2));
    assert_eq!(heard.referenced_message.unwrap().id.get(), asked.get());
    local.delete(asked);
    let gone = local.say(reply);
    assert!(bot.message().await.referenced_message.is_none());
    let path = format!("/channels/{general}/messages/{gone}");
    let (_, body) = call(&local, Method::GET, &path, Value::Null).await;
    assert_eq!(body.get("referenced_message"), Some(&Value::Null));
    assert_eq!(body["message_reference"]["message_id"], json!(asked));
}

#[tokio::test]
async fn a_forward_brings_a_snapshot_without_its_author() {
    let local = local(|options| options.message_content = true).await;
    let (general, other, anna) = (local.channel("general"), local.channel("other"), local.user("anna"));
    let mut bot = Bot::start(&local, intents() | GatewayIntents::MESSAGE_CONTENT).await;
    bot.guild().await;
    let file = File { name: "a.txt".into(), content_type: None, bytes: "abc".into() };
    let embeds = vec![json!({ "type": "rich", "title": "Alert" })];
    let of = local.say(Say { files: vec![file], embeds, ..Say::new(other, anna, "as it was") });
    bot.message().await;
    let forward = local.say(Say { forward_of: Some(of), ..Say::new(general, local.owner(), "") });
    let heard = bot.message().await;
    assert_eq!(
        (heard.id.get(), heard.content.as_str(), heard.kind),
        (forward.get(), "", MessageType::Regular)
    );
    let reference = heard.message_reference.unwrap();
    assert_eq!((reference.kind, reference.channel_id.get()), (MessageReferenceKind::Forward, other.get()));
    let [snapshot] = &heard.message_snapshots[..] else { panic!("one snapshot") };
    assert_eq!((snapshot.content.as_str(), snapshot.attachments.len()), ("as it was", 1));
    assert_eq!(snapshot.embeds[0].title.as_deref(), Some("Alert"));
    let path = format!("/channels/{general}/messages/{forward}");
    local.edit(of, "changed");
    local.delete(of);
    let body = call(&local, Method::GET, &path, Value::Null).await.1;
    let snapshot = &body["message_snapshots"][0]["message"];
    assert_eq!((&snapshot["content"], snapshot.get("author")), (&json!("as it was"), None));
    let again = local.say(Say { forward_of: Some(forward), ..Say::new(other, anna, "") });
    assert_eq!(
        local.message(again).unwrap().forwarded.unwrap().content,
        "as it was",
        "a forward of a forward"
    );
}

#[tokio::test]
async fn without_the_content_intent_all_that_people_write_is_withheld_also_in_snapshots() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    bot.guild().await;
    let file = || vec![File { name: "a.txt".into(), content_type: None, bytes: "abc".into() }];
    let poll = || Some(Poll { question: "when?".into(), answers: vec!["now".into()] });
    let embeds = || vec![json!({ "type": "rich", "title": "Alert" })];
    let whole = |say: Say| Say { files: file(), poll: poll(), embeds: embeds(), ..say };
    let plain = local.say(whole(Say::new(general, anna, "secret")));
    let heard = bot.message().await;
    assert!(heard.content.is_empty() && heard.attachments.is_empty() && heard.embeds.is_empty());
    assert!(heard.poll.is_none());
    local.say(Say { forward_of: Some(plain), ..Say::new(general, anna, "") });
    let heard = bot.message().await;
    let snapshot = &heard.message_snapshots[0];
    assert!(snapshot.content.is_empty() && snapshot.attachments.is_empty() && snapshot.embeds.is_empty());
    local.say(whole(Say { reply_to: Some(plain), ..Say::to_bot(general, local.owner(), "see") }));
    let heard = bot.message().await;
    assert_eq!((heard.attachments.len(), heard.embeds.len()), (1, 1));
    assert_eq!(heard.poll.unwrap().question.text.as_deref(), Some("when?"));
    let replied = heard.referenced_message.unwrap();
    assert!(replied.content.is_empty() && replied.attachments.is_empty());
    let direct = local.direct(anna);
    local.say(Say { forward_of: Some(plain), ..Say::new(direct, anna, "") });
    assert_eq!(bot.message().await.message_snapshots[0].content, "secret", "in direct messages nothing is");
}

#[tokio::test]
async fn stickers_voice_messages_and_the_chat_of_a_voice_channel_arrive() {
    let local = local(|_| ()).await;
    let (talk, anna) = (local.voice_channel("talk"), local.user("anna"));
    let mut bot = Bot::start(&local, intents()).await;
    let guild = bot.guild().await;
    assert_eq!(guild.channels[&ChannelId::new(talk.get())].kind, serenity::all::ChannelType::Voice);
    local.say(Say { stickers: vec!["wave".into()], ..Say::to_bot(talk, anna, "") });
    assert_eq!(bot.message().await.sticker_items[0].name, "wave");
    let file = File { name: "voice-message.ogg".into(), content_type: None, bytes: "OggS".into() };
    let voice =
        Say { voice: Some(Duration::from_millis(2500)), files: vec![file], ..Say::to_bot(talk, anna, "") };
    local.say(voice);
    let heard = bot.message().await;
    assert_eq!(heard.flags.unwrap().bits(), VOICE_MESSAGE);
    let recording = &heard.attachments[0];
    assert_eq!((recording.duration_secs, recording.content_type.as_deref()), (Some(2.5), Some("audio/ogg")));
    assert!(recording.waveform.is_some());
    let alert = vec![json!({ "type": "rich", "title": "Build failed" })];
    let bot_of_others = local.other_bot("builds");
    local.say(Say { embeds: alert, ..Say::to_bot(talk, bot_of_others, "") });
    let heard = bot.message().await;
    assert!(heard.author.bot && heard.embeds[0].title.as_deref() == Some("Build failed"));
}
