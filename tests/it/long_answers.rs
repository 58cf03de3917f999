//! Answers of more parts than a project allows: the first parts as messages, and the whole in a file.

use std::fmt::Write;
use std::time::Duration;

use moonlane::local::{Fault, Id, Message, Right, SUPPRESS_NOTIFICATIONS};

use crate::crashes::{FOR_EVER, Program, outcome, until};
use crate::support::{ANSWERED, FAILED, Setup, Stage, routing_with};

/// A stage whose project has these keys.
fn setup(project: &str) -> Setup {
    Setup { routing: routing_with(project), ..Setup::default() }
}

/// An answer of so many parts, with what must come through untouched, and the prompt that gets it.
fn answer(stage: &Stage, parts: usize) -> (String, &'static str) {
    let mut markdown = String::new();
    for number in 1..=parts {
        let line = format!("\tlet moon{number} = \"月 `` \"; \r\n");
        let code = line.repeat(1700 / line.chars().count());
        write!(markdown, "## Part {number}  \n\n~~~rust\n{code}~~~\n\n1) `x`\n\n<!-- no -->\n").unwrap();
    }
    markdown.push_str("\n \n");
    std::fs::write(stage.work().join("said.md"), &markdown).unwrap();
    (markdown, "READ:said.md")
}

/// The file of a message, if it has one: name and content.
fn file(stage: &Stage, message: &Message) -> Option<(String, String)> {
    let [file] = &message.attachments[..] else {
        assert!(message.attachments.is_empty());
        return None;
    };
    assert_eq!(file.content_type.as_deref(), Some("text/markdown; charset=utf-8"));
    let bytes = stage.discord.file(file.id).unwrap().bytes;
    assert_eq!(bytes.len(), file.size);
    Some((file.name.clone(), String::from_utf8(bytes.to_vec()).unwrap()))
}

fn whole(markdown: &str) -> Option<(String, String)> {
    Some(("answer.md".to_owned(), markdown.to_owned()))
}

/// That the messages are an answer as it should be: replies at both ends, and only the last one notifies.
fn assert_polite(question: Id, parts: &[Message]) {
    for (place, part) in parts.iter().enumerate() {
        let (first, last) = (place == 0, place + 1 == parts.len());
        assert_eq!(part.reply_to, (first || last).then_some(question), "{place}");
        assert_eq!(part.flags & SUPPRESS_NOTIFICATIONS == 0, last, "{place}");
    }
}

/// That there are so many messages, the last of them with this file, and the others without.
fn assert_filed(stage: &Stage, question: Id, count: usize, markdown: &str) -> Vec<Message> {
    let parts = stage.parts(question);
    let (last, before) = parts.split_last().unwrap();
    assert_eq!(parts.len(), count);
    assert_eq!(file(stage, last), whole(markdown));
    for (number, part) in (1..).zip(before) {
        assert_eq!(file(stage, part), None);
        assert!(part.content.contains(&format!("moon{number} ")), "{}", part.content);
        assert!(!part.content.contains("answer.md"));
    }
    assert_polite(question, &parts);
    parts
}

/// That it all came as messages, without a file; how many.
fn assert_unfiled(stage: &Stage, question: Id, of: usize) -> Vec<Message> {
    let parts = stage.parts(question);
    for part in &parts {
        assert_eq!(file(stage, part), None);
    }
    let text = parts.iter().map(|part| part.content.as_str()).collect::<String>();
    let headings: Vec<_> = text.matches("## Part ").collect();
    assert_eq!(headings.len(), of, "each once");
    assert!(text.contains(&format!("moon{of} ")));
    assert_polite(question, &parts);
    parts
}

#[tokio::test]
async fn an_answer_over_the_limit_ends_with_a_file_of_the_whole() {
    let mut stage = Stage::open().await;
    let (markdown, prompt) = answer(&stage, 12);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = assert_filed(&stage, question, 8, &markdown);
    insta::assert_snapshot!(parts[7].content, @"-# The rest would take 5 more messages: the full text is in `answer.md`");
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn an_answer_at_the_limit_has_no_file() {
    let mut stage = Stage::open().await;
    let (_, prompt) = answer(&stage, 8);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(assert_unfiled(&stage, question, 8).len(), 8);
}

#[tokio::test]
async fn a_project_says_how_long_an_answer_may_be_or_that_it_may_be_any_length() {
    let mut stage = Stage::with(setup("format = { max_parts = 1 }")).await;
    let (markdown, prompt) = answer(&stage, 3);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let [only] = &assert_filed(&stage, question, 1, &markdown)[..] else { panic!("one message") };
    insta::assert_snapshot!(only.content, @"-# This would take 3 messages: the full text is in `answer.md`");

    let mut stage = Stage::with(setup("format = { max_parts = false }")).await;
    let (_, prompt) = answer(&stage, 12);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(assert_unfiled(&stage, question, 12).len(), 12);
}

#[tokio::test]
async fn what_went_wrong_and_what_is_to_be_noted_is_said_beside_the_file() {
    let mut stage = Stage::with(setup("format = { max_parts = 2 }, limits = { question = 0.05 }")).await;
    let (markdown, prompt) = answer(&stage, 4);
    let question = stage.say("general", &format!("{prompt} ;; CRASH"));
    assert_eq!(stage.settled(question).await, FAILED);
    let parts = assert_filed(&stage, question, 2, &markdown);
    let short = moonlane::domain::MessageId::new(question.get()).unwrap().short();
    insta::assert_snapshot!(parts[1].content.replace(&short, "ID"), @"
    -# The rest would take 3 more messages: the full text is in `answer.md`

    ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept.
    -# id ID
    ");

    let question = stage.say("general", &format!("ASK:Bash:rm -r / ;; {prompt}"));
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    let (_, content) = file(&stage, &parts[1]).unwrap();
    assert!(content.ends_with(&markdown) && !content.contains("allowed_tools"));
    insta::assert_snapshot!(parts[1].content, @"
    -# The rest would take 3 more messages: the full text is in `answer.md`
    -# Not allowed here: `Bash(rm -r /)`. To allow it, add `Bash(rm *)` to `projects.here.allowed_tools` in routing.lua
    ");
}

#[tokio::test]
async fn where_no_file_may_be_attached_all_of_it_comes_as_messages() {
    let mut stage = Stage::with(setup("format = { max_parts = 2 }")).await;
    let channel = stage.discord.channel("general");
    stage.discord.forbid(channel, Right::Attach);
    let (markdown, prompt) = answer(&stage, 5);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = assert_unfiled(&stage, question, 5);
    let (last, before) = parts.split_last().unwrap();
    insta::assert_snapshot!(last.content.lines().last().unwrap(), @"-# Discord refused this as a file. With the Attach Files permission, I can post a long answer as `answer.md`");
    assert!(before.iter().all(|part| !part.content.contains("answer.md")));

    stage.discord.allow(channel, Right::Attach);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_filed(&stage, question, 2, &markdown);

    // Too large: said by something before Discord, without a code of Discord's.
    let posts = format!("POST /channels/{channel}/messages");
    stage.discord.fail_next(1, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Status(413), &posts);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_unfiled(&stage, question, 5);
}

#[tokio::test]
async fn an_answer_over_the_cap_is_a_file_or_a_sentence_and_never_hundreds_of_messages() {
    let mut stage = Stage::with(setup("format = { max_parts = false, max_kb = 4 }")).await;
    let (markdown, prompt) = answer(&stage, 201);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let parts = stage.parts(question);
    assert_eq!(file(&stage, parts.last().unwrap()), whole(&markdown));
    assert!((3..=4).contains(&parts.len()), "{}", parts.len());
    assert_polite(question, &parts);
    insta::assert_snapshot!(parts.last().unwrap().content, @"-# This answer is 368 KB long: the full text is in `answer.md`");

    let channel = stage.discord.channel("general");
    stage.discord.forbid(channel, Right::Attach);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    let refused = stage.parts(question);
    assert_eq!(refused.len(), parts.len());
    insta::assert_snapshot!(refused.last().unwrap().content, @"This answer is 368 KB long. That's too much for messages, and Discord refused it as a file, for which my role needs Attach Files. Ask me for the rest in pieces.");
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn where_nothing_may_be_posted_the_file_waits_and_stays_a_file() {
    let mut stage = Stage::with(setup("format = { max_parts = 1 }")).await;
    let channel = stage.discord.channel("general");
    stage.discord.forbid(channel, Right::Post);
    let (markdown, prompt) = answer(&stage, 3);
    let question = stage.say("general", prompt);
    stage.refused_to_post("general").await;
    stage.discord.allow(channel, Right::Post);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_filed(&stage, question, 1, &markdown);
}

#[tokio::test]
async fn a_file_that_discord_answered_badly_is_tried_again_and_posted_once() {
    let mut stage = Stage::with(setup("format = { max_parts = 2 }")).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Status(500), &posts);
    stage.discord.fail_next(1, Fault::DropAfter, &posts);
    let (markdown, prompt) = answer(&stage, 5);
    let question = stage.say("general", prompt);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_filed(&stage, question, 2, &markdown);
}

/// A stage with a separate bot that was killed while it posted a long answer: `faults` hit the calls, `posted` is
/// how many messages are there when it is killed.
async fn killed(faults: &[Fault], posted: usize) -> (Stage, Id, String) {
    let stage = Stage::without_bot(setup("format = { max_parts = 3 }")).await;
    let channel = stage.discord.channel("general");
    for fault in faults {
        stage.discord.fail_next(1, *fault, &format!("POST /channels/{channel}/messages"));
    }
    let (markdown, prompt) = answer(&stage, 6);
    let bot = Program::start(&stage).await;
    let question = stage.say("general", prompt);
    let path = format!("/channels/{channel}/messages");
    let calls = || stage.discord.calls().iter().filter(|it| it.method == "POST" && it.path == path).count();
    until("the call that it dies over", || (calls() >= faults.len()).then_some(())).await;
    stage.parts_posted(question, posted).await;
    bot.kill().await;
    assert_eq!(stage.parts(question).len(), posted);
    (stage, question, markdown)
}

#[tokio::test]
async fn a_file_that_was_not_posted_when_the_bot_was_killed_is_posted_after_the_next_start() {
    let fine = Fault::Delay(Duration::ZERO);
    for faults in [vec![fine, Fault::Delay(FOR_EVER)], vec![fine, fine, Fault::Delay(FOR_EVER)]] {
        let (stage, question, markdown) = killed(&faults, faults.len() - 1).await;
        // What the project says by now is no matter: the parts are laid out.
        let routing = stage.root().join("scripts/routing.lua");
        let script = std::fs::read_to_string(&routing).unwrap();
        std::fs::write(&routing, script.replace("max_parts = 3", "max_parts = 9")).unwrap();
        let _bot = Program::start(&stage).await;
        assert_eq!(outcome(&stage, question).await, "answered");
        assert_filed(&stage, question, 3, &markdown);
    }
}

#[tokio::test]
async fn a_file_that_was_posted_but_not_recorded_when_the_bot_was_killed_is_not_posted_again() {
    let fine = Fault::Delay(Duration::ZERO);
    let (stage, question, markdown) = killed(&[fine, fine, Fault::DropAfter], 3).await;
    stage.discord.forget_nonces();
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_filed(&stage, question, 3, &markdown);
}

#[tokio::test]
async fn the_parts_in_place_of_a_refused_file_go_on_after_a_kill() {
    let (fine, refused) = (Fault::Delay(Duration::ZERO), Fault::Status(413));
    let (stage, question, _) = killed(&[fine, fine, refused, fine, Fault::Delay(FOR_EVER)], 3).await;
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_unfiled(&stage, question, 6);
}
