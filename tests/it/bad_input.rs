//! What goes wrong, and what the person reads then.
//!
//! The tables show it as it happens: what is said to the bot (`·` begins it), how the message is settled, and
//! below it what the person reads.

use moonlane::domain::Outcome;
use moonlane::local::{DropGateway, Fault, File, Id, LocalDiscord, Message, Right, Say, What};
use moonlane::turn::Settled;

use crate::support::{ANSWERED, FAILED, ONE_FOR_MANY, Setup, Stage, routing_with, within};

const CANCELLED: Settled = Settled::Ended(Outcome::Cancelled);

/// The owner says these things, one after the other; `BOT` is a mention of the bot.
async fn table(stage: &mut Stage, said: &[&str]) -> String {
    let (channel, owner, bot) =
        (stage.discord.channel("general"), stage.discord.owner(), stage.discord.bot_id());
    let mut table = String::new();
    for said in said {
        let text = said.replace("BOT", &format!("<@{bot}>"));
        let message = stage.discord.say(Say::new(channel, owner, text));
        let settled = match stage.settled(message).await {
            Settled::Ended(outcome) => format!("{outcome:?}"),
            other => format!("{other:?}"),
        };
        table.push_str(&format!("· {} → {settled}\n", said.escape_debug()));
        let answer = stage.answer(message);
        for line in answer.lines() {
            table.push_str(format!("  {line}").trim_end());
            table.push('\n');
        }
    }
    table
}

/// The prompts that agents have got, in order.
fn prompts(stage: &Stage) -> Vec<String> {
    stage.agent_log().into_iter().filter_map(|event| event.prompt).collect()
}

fn posts(discord: &LocalDiscord, channel: Id) -> Vec<Option<u16>> {
    let path = format!("/channels/{channel}/messages");
    let is_post = |call: &moonlane::local::Call| call.method == "POST" && call.path == path;
    discord.calls().into_iter().filter(is_post).map(|call| call.status).collect()
}

fn text_file(name: &str, text: &str) -> File {
    File { name: name.to_owned(), content_type: Some("text/plain".to_owned()), bytes: text.to_owned().into() }
}

#[tokio::test]
async fn a_message_without_words_costs_no_turn() {
    let mut stage = Stage::open().await;
    insta::assert_snapshot!(table(&mut stage, &[
        "BOT",
        "BOT \n\t \u{3000}",
        "BOT BOT",
        "BOT \u{200b}\u{2060}\u{feff}",
        "BOT \u{2800}\u{3164}",
        "no mention",
        "",
        "@everyone",
    ]).await, @r#"
    · BOT → Said
      What should I do? Mention me again, with your request in the same message.
    · BOT \n\t \u{3000} → Said
      What should I do? Mention me again, with your request in the same message.
    · BOT BOT → Said
      What should I do? Mention me again, with your request in the same message.
    · BOT \u{200b}\u{2060}\u{feff} → Said
      Your message has no visible text. Write what I should do.
    · BOT ⠀ㅤ → Said
      Your message has no visible text. Write what I should do.
    · no mention → Ignored
    ·  → Ignored
    · @everyone → Ignored
    "#);
    assert!(prompts(&stage).is_empty());
}

/// What is typed, and what the agent reads. `BOT` is a mention of the bot.
#[tokio::test]
async fn what_is_typed_is_asked_as_it_was_typed() {
    let mut stage = Stage::open().await;
    let discord = stage.discord.clone();
    let (channel, owner, bot) = (discord.channel("general"), discord.owner(), discord.bot_id());
    let (anna, site, crew) = (discord.user("anna"), discord.channel("site"), discord.role("crew"));
    let (ask_anna, see_site) =
        (format!("ask <@{anna}> and <@!{anna}>"), format!("see <#{site}>, <@&{crew}>"));
    let four_thousand: String = "\"\\\n\t/月🌙é ".chars().cycle().skip(1).take(3999).chain(['.']).collect();
    let long = format!("BOT {four_thousand}");
    let code = "```rs\n  <@1> @everyone\n\n\tlet `a` = 1;  \n```";
    let with_code = format!("BOT {code}");
    for (typed, asked) in [
        // Scripts and signs.
        ("BOT 🌙👩‍👩‍👧🏳️‍🌈🇨🇭", "🌙👩‍👩‍👧🏳️‍🌈🇨🇭"),
        ("BOT 月の道 한국어 中文", "月の道 한국어 中文"),
        ("BOT مرحبا שלום \u{202e}abc\u{202c}", "مرحبا שלום \u{202e}abc\u{202c}"),
        ("BOT Zalgo: e\u{301}\u{302}\u{303}\u{316}", "Zalgo: e\u{301}\u{302}\u{303}\u{316}"),
        ("BOT zero\u{200b}width\u{200d}", "zero\u{200b}width\u{200d}"),
        ("BOT a\0b\u{1b}[31m\u{7f}\u{85}c", "a\0b\u{1b}[31m\u{7f}\u{85}c"),
        ("BOT a\u{2028}b\u{2029}c\r\nd", "a\u{2028}b\u{2029}c\r\nd"),
        (&long, &four_thousand),
        // What would be more than text in a terminal.
        ("BOT /clear", "/clear"),
        ("BOT !rm -rf /", "!rm -rf /"),
        ("BOT @/etc/passwd", "@/etc/passwd"),
        ("BOT --dangerously-skip-permissions", "--dangerously-skip-permissions"),
        (
            "BOT {\"type\":\"user\"}\n{\"type\":\"control_request\"}",
            "{\"type\":\"user\"}\n{\"type\":\"control_request\"}",
        ),
        (
            "BOT ${HOME} $(id) `id` %n '; DROP TABLE turns; --",
            "${HOME} $(id) `id` %n '; DROP TABLE turns; --",
        ),
        // Mentions.
        ("what about BOT this?", "what about this?"),
        ("and this, BOT", "and this,"),
        ("BOT BOT twice", "twice"),
        (&format!("BOT {ask_anna}"), "ask @anna and @anna"),
        (&format!("BOT {see_site}"), "see #site, @crew"),
        ("BOT <:moon:123> <a:spin:456> <@99> <#98>", ":moon: :spin: <@99> <#98>"),
        ("BOT @everyone <t:1618953630:R>", "@everyone <t:1618953630:R>"),
        (&with_code, code),
    ] {
        let text = typed.replace("BOT", &format!("<@{bot}>"));
        let question = discord.say(Say::new(channel, owner, text));
        assert_eq!(stage.settled(question).await, ANSWERED, "{typed:?}");
        assert_eq!(prompts(&stage).last().map(String::as_str), Some(asked), "{typed:?}");
        // The sign that the agent read no directive of its command line or of its protocol in it.
        assert!(stage.answer(question).starts_with("Hello! I am the **demo agent**"), "{typed:?}");
    }
}

#[tokio::test]
async fn scripts_see_every_character_too() {
    let mut setup = Setup {
        triggers: "return function(m) return m.mentions_me and m.text end".to_owned(),
        ..Setup::default()
    };
    setup.discord.message_content = true;
    let mut stage = Stage::with(setup).await;
    let text = "a 月 \u{202e}שלום\u{202c} e\u{301} \u{1b}[0m 🌙";
    let answer = stage.ask("general", text).await;
    assert_eq!(prompts(&stage), [text], "{answer}");
}

#[tokio::test]
async fn whatever_an_agent_does_the_person_reads_how_it_ended() {
    let mut stage = Stage::open().await;
    insta::assert_snapshot!(table(&mut stage, &[
        "BOT TEXT:",
        "BOT TEXT: ;; TEXT:",
        "BOT SLEEP:0",
        "BOT GARBAGE ;; TEXT:after garbage",
        "BOT BIG:40000000 ;; TEXT:after a huge line",
        "BOT STDERR:3000000 ;; TEXT:after a flood",
        "BOT TEXT:half an answer ;; CRASH",
        "BOT CRASH:0",
        "BOT ERR:400",
        "BOT ERR:401",
        "BOT ERR:403",
        "BOT ERR:404",
        "BOT ERR:413",
        "BOT ERR:429",
        "BOT ERR:500",
        "BOT ERR:529",
        "BOT TEXT:and all is well again",
    ]).await, @r#"
    · BOT TEXT: → Answered
      Claude finished without writing an answer. Ask what it did, or ask again.
    · BOT TEXT: ;; TEXT: → Answered
      Claude finished without writing an answer. Ask what it did, or ask again.
    · BOT SLEEP:0 → Answered
      Done.
    · BOT GARBAGE ;; TEXT:after garbage → Answered
      after garbage
    · BOT BIG:40000000 ;; TEXT:after a huge line → Answered
      after a huge line
    · BOT STDERR:3000000 ;; TEXT:after a flood → Answered
      after a flood
    · BOT TEXT:half an answer ;; CRASH → Failed
      half an answer

      ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept.
      -# id ID
    · BOT CRASH:0 → Failed
      ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept.
      -# id ID
    · BOT ERR:400 → Failed
      ⚠️ Anthropic refused this with status 400. Please rephrase it; if that fails too, ask in a new thread, where the conversation starts over.
      -# id ID
    · BOT ERR:401 → Failed
      ⚠️ Claude Code isn't logged in where I run. Whoever runs this bot has to run `claude` there and log in, or renew its key.
      -# id ID
    · BOT ERR:403 → Failed
      ⚠️ Anthropic refused this as forbidden. Whoever runs this bot has to check what the account may do.
      -# id ID
    · BOT ERR:404 → Failed
      ⚠️ The model set for this project or channel doesn't exist, or isn't available to this account. Choose another one for the channel, or correct `model` in routing.lua.
      -# id ID
    · BOT ERR:413 → Failed
      ⚠️ This is more text than Claude can take at once. Please send less, or continue in a new thread, where the conversation starts over.
      -# id ID
    · BOT ERR:429 → Failed
      ⚠️ Anthropic's rate limit has been reached. Please ask again in a few minutes.
      -# id ID
    · BOT ERR:500 → Failed
      ⚠️ Anthropic's servers are failing at the moment. Please ask again in a few minutes.
      -# id ID
    · BOT ERR:529 → Failed
      ⚠️ Anthropic is overloaded at the moment. Please ask again in a few minutes.
      -# id ID
    · BOT TEXT:and all is well again → Answered
      and all is well again
    "#);
}

#[tokio::test]
async fn each_time_limit_is_a_sentence_and_the_next_turn_runs() {
    let limited = async |limit: &str, said: &str| {
        let config = format!("[limits]\n{limit} = '1s'");
        let mut stage = Stage::with(Setup { config, ..Setup::default() }).await;
        table(&mut stage, &[said, "BOT TEXT:next"]).await
    };
    insta::assert_snapshot!(limited("silence", "BOT TEXT:before ;; STALL").await, @"
    · BOT TEXT:before ;; STALL → Failed
      before

      ⚠️ Claude said nothing for 1 second, so I stopped it. Please ask again; the conversation is kept.
      -# id ID
    · BOT TEXT:next → Answered
      next
    ");
    insta::assert_snapshot!(limited("tool", "BOT TEXT:before ;; TOOL:Bash:sleep 600").await, @"
    · BOT TEXT:before ;; TOOL:Bash:sleep 600 → Failed
      before

      ⚠️ A tool (Bash) was still running after 1 second, so I stopped it. Please ask again, perhaps in smaller steps.
      -# id ID
    · BOT TEXT:next → Answered
      next
    ");
    insta::assert_snapshot!(limited("turn", "BOT TEXT:before ;; STALL").await, @"
    · BOT TEXT:before ;; STALL → Failed
      before

      ⚠️ This took longer than 1 second, so I stopped it. Ask me to go on, and I'll continue from here.
      -# id ID
    · BOT TEXT:next → Answered
      next
    ");
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_a_sentence_without_a_path() {
    let stage_with = async |program: &str| {
        let agent = vec![program.to_owned()];
        Stage::with(Setup { agent, ..Setup::default() }).await
    };
    let mut stage = stage_with("/srv/nowhere/claude").await;
    insta::assert_snapshot!(table(&mut stage, &["BOT hello"]).await, @"
    · BOT hello → Failed
      ⚠️ Claude Code isn't installed where I run. Whoever runs this bot has to install it, or set `agent.command`.
      -# id ID
    ");

    let file = tempfile::NamedTempFile::new().unwrap();
    let mut stage = stage_with(file.path().to_str().unwrap()).await;
    insta::assert_snapshot!(table(&mut stage, &["BOT hello"]).await, @"
    · BOT hello → Failed
      ⚠️ Claude Code can't be started where I run. Whoever runs this bot can find the reason in the log.
      -# id ID
    ");

    let mut stage = stage_with("/bin/false").await;
    insta::assert_snapshot!(table(&mut stage, &["BOT hello"]).await, @"
    · BOT hello → Failed
      ⚠️ Claude Code exited before it was ready. Whoever runs this bot can find the reason in the log.
      -# id ID
    ");

    let mut stage = Stage::with(Setup {
        agent: ["/bin/sh", "-c", "exec sleep 60"].map(str::to_owned).to_vec(),
        config: "[limits]\nstart = '1s'".to_owned(),
        ..Setup::default()
    })
    .await;
    insta::assert_snapshot!(table(&mut stage, &["BOT hello"]).await, @"
    · BOT hello → Failed
      ⚠️ Claude didn't start within 1 second. Please try again.
      -# id ID
    ");
}

#[tokio::test]
async fn a_project_directory_that_is_gone_is_a_sentence_until_it_is_back() {
    let mut stage = Stage::open().await;
    assert_eq!(stage.ask("general", "TEXT:here").await, "here");
    let (work, away) = (stage.work(), stage.root().join("away"));
    std::fs::rename(&work, &away).unwrap();
    insta::assert_snapshot!(table(&mut stage, &["BOT TEXT:gone"]).await, @"
    · BOT TEXT:gone → Failed
      ⚠️ This project's directory doesn't exist. Whoever runs this bot has to create it, or correct `dir` in routing.lua.
      -# id ID
    ");
    std::fs::write(&work, "a file").unwrap();
    insta::assert_snapshot!(table(&mut stage, &["BOT TEXT:a file"]).await, @"
    · BOT TEXT:a file → Failed
      ⚠️ This project's directory doesn't exist. Whoever runs this bot has to create it, or correct `dir` in routing.lua.
      -# id ID
    ");
    std::fs::remove_file(&work).unwrap();
    std::fs::rename(&away, &work).unwrap();
    insta::assert_snapshot!(table(&mut stage, &["BOT SAY"]).await, @"
    · BOT SAY → Answered
      TEXT:here
    ");
}

#[tokio::test]
async fn an_answer_of_a_hundred_parts_arrives_whole_and_in_order() {
    let routing = routing_with("format = { max_parts = false }");
    let mut stage = Stage::with(Setup { routing, ..Setup::default() }).await;
    let question = stage.say("general", "LONG:198000");
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    assert!(parts.len() >= 100, "{} parts", parts.len());
    let numbers: Vec<_> = parts.iter().map(|part| part.nonce.clone().unwrap()).collect();
    let expected: Vec<_> = (1..=parts.len()).map(|number| format!("{question}-{number}")).collect();
    assert_eq!(numbers, expected);
    let words: Vec<&str> = parts.iter().flat_map(|part| part.content.split_whitespace()).collect();
    let fox = "The quick brown fox jumps over the lazy dog. ";
    let whole = &fox.repeat(198_000 / fox.len() + 1)[..198_000];
    assert!(words.iter().copied().eq(whole.split_whitespace()), "every word, in order");
    let pinged: Vec<_> = parts.iter().filter(|part| !part.pinged.is_empty()).collect();
    assert_eq!(pinged.len(), 1, "one notification");
}

#[tokio::test]
async fn an_answer_full_of_mentions_pings_only_who_asked() {
    let mut stage = Stage::open().await;
    let discord = stage.discord.clone();
    let (anna, crew) = (discord.user("anna"), discord.role("crew"));
    discord.give_role(discord.user("bert"), crew);
    let text = format!("@everyone @here <@{anna}> <@!{anna}> <@&{crew}> <@&{}>", discord.guild());
    let question = stage.say("general", &format!("ECHO {text}"));
    assert_eq!(stage.settled(question).await, ANSWERED);
    // An agent that fails is quoted as little as one that answers may ping.
    let raw = stage.discord.say(Say::to_bot(
        discord.channel("general"),
        discord.owner(),
        format!("`` ` ``\nTEXT:{text}\nCRASH"),
    ));
    assert_eq!(stage.settled(raw).await, FAILED);
    for part in stage.parts(question).into_iter().chain(stage.parts(raw)) {
        assert_eq!(part.pinged, [discord.owner()], "{}", part.content);
        assert!(!part.mention_everyone && part.mention_roles.is_empty(), "{}", part.content);
    }
    assert!(stage.answer(raw).contains("@everyone @here"), "{}", stage.answer(raw));
}

#[tokio::test]
async fn a_channel_that_the_bot_may_not_write_to_gets_its_answer_later_also_after_a_restart() {
    let mut stage = Stage::open().await;
    let channel = stage.discord.channel("general");
    stage.discord.forbid(channel, Right::Post);
    let question = stage.say("general", "LONG:9000");
    stage.refused_to_post("general").await;
    assert_eq!(posts(&stage.discord, channel), [Some(403)], "one part is tried, not all");
    stage.stop().await;
    stage.discord.allow(channel, Right::Post);
    stage.start().await;
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(stage.parts(question).len() >= 5);
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn a_right_taken_away_in_the_middle_of_an_answer_interrupts_it_until_it_is_given_back() {
    let mut stage = Stage::open().await;
    let channel = stage.discord.channel("general");
    let only = format!("POST /channels/{channel}/messages");
    stage.discord.fail_next(1, Fault::Delay(std::time::Duration::ZERO), &only);
    stage.discord.fail_next(1, Fault::Delay(std::time::Duration::from_millis(300)), &only);
    let question = stage.say("general", "LONG:9000");
    stage.parts_posted(question, 1).await;
    stage.discord.forbid(channel, Right::Post);
    stage.refused_to_post("general").await;
    assert_eq!(stage.parts(question).len(), 1);
    stage.discord.allow(channel, Right::Post);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert!(stage.parts(question).len() >= 5);
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn without_the_right_to_react_or_to_read_history_the_turns_go_on() {
    for right in [Right::React, Right::History] {
        let mut stage = Stage::open().await;
        let channel = stage.discord.channel("general");
        stage.discord.forbid(channel, right);
        let first = stage.say("general", "SLEEP:0.2 ;; TEXT:first");
        stage.prompted("SLEEP:0.2 ;; TEXT:first").await;
        let second = stage.say("general", "TEXT:second");
        for (message, answer) in [(first, "first"), (second, "second")] {
            assert_eq!(stage.settled(message).await, ANSWERED, "{right:?}");
            assert_eq!(stage.answer(message), answer);
            let reply_to = stage.parts(message)[0].reply_to;
            assert_eq!(reply_to, (right == Right::React).then_some(message), "{right:?}");
        }
        let reacted = |event: &moonlane::local::Event| matches!(event.what, What::ReactionAdded { .. });
        assert!(!stage.discord.log().iter().any(reacted));
        let refused = stage.discord.calls().into_iter().filter(|call| call.path.contains("/reactions/"));
        assert!(refused.count() >= 1, "the test asks for a reaction at all");
    }
}

#[tokio::test]
async fn a_question_deleted_unheard_while_it_is_answered_gets_the_rest_as_plain_messages() {
    let mut stage = Stage::open().await;
    let channel = stage.discord.channel("general");
    let only = format!("POST /channels/{channel}/messages");
    stage.discord.fail_next(2, Fault::Delay(std::time::Duration::from_millis(300)), &only);
    let question = stage.say("general", "LONG:9000");
    stage.parts_posted(question, 1).await;
    // The bot hears of it only afterwards.
    stage.discord.refuse_gateway(1000);
    stage.discord.drop_gateway(DropGateway::Cut);
    stage.discord.delete(question);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    assert!(parts.len() >= 5, "{} parts", parts.len());
    assert_eq!(parts.last().unwrap().reply_to, None);
}

#[tokio::test]
async fn corner_cases_of_edits_and_deletions() {
    let mut stage = Stage::open().await;
    let discord = stage.discord.clone();
    let (channel, bot) = (discord.channel("general"), discord.bot_id());
    let edit = |message, text: &str| discord.edit(message, &format!("<@{bot}> {text}"));
    let first = stage.say("general", "SLEEP:0.5 ;; TEXT:first");
    stage.prompted("SLEEP:0.5 ;; TEXT:first").await;

    let twice = stage.say("general", "TEXT:once");
    let emptied = stage.say("general", "TEXT:emptied");
    let bare = stage.say("general", "TEXT:bare");
    let with_file = stage.say("general", "ECHO");
    let previewed = stage.say("general", "TEXT:https://example.com/");
    let together = [stage.say("general", "TEXT:one of two"), stage.say("general", "TEXT:two of two")];
    let redelivered = stage.say("general", "TEXT:deleted and redelivered");
    let unasked = discord.say(Say::new(channel, discord.owner(), "TEXT:without a mention"));
    for message in [redelivered] {
        stage.reacted(message, "⏳").await;
    }

    edit(twice, "TEXT:twice");
    edit(twice, "TEXT:thrice");
    discord.edit(emptied, "");
    edit(bare, "");
    discord.attach(with_file, vec![text_file("late.txt", "late")]);
    discord.unfurl(previewed);
    discord.delete_bulk(channel, &together);
    // Discord says that it was written once more, right before it says that it was deleted.
    discord.redeliver(redelivered);
    discord.delete(redelivered);
    edit(unasked, "TEXT:a mention that came later");

    for (message, settled, reads) in [
        (first, ANSWERED, "first"),
        (twice, ANSWERED, "thrice"),
        (emptied, CANCELLED, ""),
        (bare, CANCELLED, ""),
        // The prompt in quotes is one line, in which three backticks make a code span like any other.
        (with_file, ANSWERED, r#""ECHO\n\nAttached: FILES/late.txt (text, 4 bytes):\n`\nlate\n`""#),
        (previewed, ANSWERED, "https://example.com/"),
        (together[0], CANCELLED, ""),
        (together[1], CANCELLED, ""),
        (redelivered, CANCELLED, ""),
    ] {
        assert_eq!(stage.settled(message).await, settled, "{reads}");
        let folder = stage.root().join(format!("files/{channel}/{message}"));
        assert_eq!(stage.answer(message).replace(&*folder.to_string_lossy(), "FILES"), reads);
    }

    stage.parts_posted(unasked, 1).await;
    assert_eq!(stage.answer(unasked), "a mention that came later");

    edit(first, "TEXT:edited after the end");
    edit(emptied, "TEXT:edited after it was cancelled");
    discord.delete(twice);
    discord.redeliver(first);
    assert_eq!(stage.ask("general", "TEXT:last").await, "last");
    let said: Vec<_> = discord.messages(channel).into_iter().filter(|m| m.by_bot).collect();
    assert_eq!(said.len(), 6, "{said:#?}");
}

#[tokio::test]
async fn thirty_messages_at_once_are_answered_one_by_one_in_order() {
    let mut stage = Stage::with(Setup { config: ONE_FOR_MANY.to_owned(), ..Setup::default() }).await;
    let questions: Vec<Id> = (0..30).map(|n| stage.say("general", &format!("TEXT:{n}"))).collect();
    let other = stage.say("other", "TEXT:other");
    assert_eq!(stage.settled(other).await, ANSWERED);
    for question in &questions {
        assert_eq!(stage.settled(*question).await, ANSWERED);
    }
    let channel = stage.discord.channel("general");
    // On a slow machine one that waits has a notice.
    let is_answer = |m: &Message| m.by_bot && !m.content.starts_with("-# ⏳");
    let said = stage.discord.messages(channel).into_iter().filter(is_answer);
    let said: Vec<_> = said.map(|m| (m.content, m.reply_to)).collect();
    let expected: Vec<_> = questions.iter().enumerate().map(|(n, q)| (n.to_string(), Some(*q))).collect();
    assert_eq!(said, expected);
    let mut times: Vec<_> =
        stage.work_times().into_iter().filter(|(prompt, _)| prompt != "TEXT:other").collect();
    times.sort_by_key(|(_, (start, _))| *start);
    assert!(times.windows(2).all(|pair| pair[0].1.1 <= pair[1].1.0), "never two at a time: {times:?}");
    // Every hourglass is taken off again.
    let shown = |what: &What| match what {
        What::ReactionAdded { .. } => 1,
        What::ReactionRemoved { .. } => -1,
        _ => 0,
    };
    let gone =
        stage.discord.wait_for(|log| (log.iter().map(|e| shown(&e.what)).sum::<i32>() == 0).then_some(()));
    within("all hourglasses to go", gone).await;
}

#[tokio::test]
async fn bots_and_webhooks_are_nobody_even_if_a_rule_lets_them_in() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let discord = stage.discord.clone();
    let (channel, owner, bot) = (discord.channel("general"), discord.owner(), discord.other_bot("other"));
    let by_webhook = || Say { webhook: true, ..Say::to_bot(channel, owner, "TEXT:let me in") };
    let webhook = discord.message(discord.say(by_webhook())).unwrap().author;
    let allow = format!(r#"allow = {{ users = {{ "{webhook}", "{bot}" }} }},"#);
    let routing = routing_with(&allow).replace("WORK", stage.work().to_str().unwrap());
    std::fs::write(stage.root().join("scripts/routing.lua"), routing).unwrap();
    stage.start().await;
    for say in [by_webhook(), Say::to_bot(channel, bot, "TEXT:let me in")] {
        let message = discord.say(say);
        assert_eq!(stage.settled(message).await, Settled::Ignored);
        assert!(stage.parts(message).is_empty());
    }
}
