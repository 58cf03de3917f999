//! What Claude asks, answered in the channel.

use moonlane::domain::Outcome;
use moonlane::local::{EPHEMERAL, Fault, Id, Message, Right, Say};
use moonlane::turn::Settled;

use crate::commands::{buttons, says};
use crate::crashes::{Program, outcome, until};
use crate::live::line_with;
use crate::support::{Setup, Stage, routing_with, within};

/// The message in which Claude asks something, once it is in the channel.
pub async fn question(stage: &Stage, channel: &str) -> Message {
    let channel = stage.discord.channel(channel);
    let found = stage.discord.wait_until(|discord| {
        let messages = discord.messages(channel);
        let is_open = |it: &&Message| {
            it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("q-")) && !buttons(it).is_empty()
        };
        messages.iter().find(is_open).cloned()
    });
    within("a question", found).await
}

/// The id of the button of this kind.
pub fn button(question: &Message, what: &str) -> String {
    let ids = buttons(question);
    let found = ids.iter().find(|id| id.ends_with(&format!(":{what}")));
    found.unwrap_or_else(|| panic!("no {what} among {ids:?}")).clone()
}

/// What the question says once it is over.
pub async fn ended(stage: &Stage, question: &Message) -> String {
    let (channel, id) = (question.channel, question.id);
    let found = stage.discord.wait_until(|discord| {
        let messages = discord.messages(channel);
        messages.into_iter().find(|it| it.id == id && buttons(it).is_empty())
    });
    plain(stage, &within("the question's end", found).await.content)
}

/// The text with people's names in place of their ids.
pub fn plain(stage: &Stage, text: &str) -> String {
    let people = ["ada", "bob"].map(|name| (stage.discord.user(name), name));
    let owner = (stage.discord.owner(), "owner");
    people
        .into_iter()
        .chain([owner])
        .fold(text.to_owned(), |text, (id, name)| text.replace(&format!("<@{id}>"), &format!("@{name}")))
}

fn setup(project: &str) -> Setup {
    Setup { routing: routing_with(project), ..Setup::default() }
}

#[tokio::test]
async fn a_permission_is_asked_in_the_channel_and_a_press_decides() {
    for (press, ends, answer) in [
        ("allow", "✅ Allowed once by @owner", "Bash was allowed."),
        ("session", "✅ Allowed for this session by @owner", "Bash was allowed."),
        ("deny", "🚫 Denied by @owner", "Bash was denied: The person denied this."),
    ] {
        let mut stage = Stage::open().await;
        let turn = stage.say("general", "ASK:Bash:git push origin main");
        let asked = question(&stage, "general").await;
        assert_eq!((asked.reply_to, &asked.pinged[..]), (Some(turn), &[stage.discord.owner()][..]));
        let text = plain(&stage, &asked.content);
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @"
            @owner Claude wants to run a command:
            ```sh
            git push origin main
            ```
            -# “Allow for this session” also allows `Bash(git *)`
            ");
        }
        stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, press)).unwrap();
        assert_eq!(ended(&stage, &asked).await, format!("{text}\n-# {ends}"));
        assert_eq!(stage.settled(turn).await, Settled::Ended(Outcome::Answered));
        assert!(stage.answer(turn).starts_with(answer), "{}", stage.answer(turn));
    }
}

#[tokio::test]
async fn only_who_asked_and_approvers_answer_and_the_first_press_counts() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let [ada, bob] = ["ada", "bob"].map(|name| stage.discord.user(name));
    let routing = routing_with(&format!("approvers = {{ users = {{ '{bob}' }} }}"));
    let allow = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing.replacen("return {", &allow, 1));
    stage.start().await;
    let turn = stage.say_as("ada", "general", "ASK:Bash:make");
    let asked = question(&stage, "general").await;
    // Both at once: one of them counts, and the other one hears so.
    let presses = [(ada, "deny"), (bob, "allow")]
        .map(|(person, what)| stage.discord.press(asked.id, person, &button(&asked, what)).unwrap());
    let ends = ended(&stage, &asked).await;
    stage.settled(turn).await;
    let late = match ends.rsplit_once('\n').unwrap().1 {
        "-# ✅ Allowed once by @bob" => {
            assert_eq!(stage.answer(turn), "Bash was allowed.");
            presses[0]
        }
        "-# 🚫 Denied by @ada" => {
            assert!(stage.answer(turn).starts_with("Bash was denied: The person denied this."));
            presses[1]
        }
        end => panic!("{end}"),
    };
    assert_eq!(says(&stage, late).await.content, "This is answered already.");

    // Bob's own turn is not ada's to answer.
    let turn = stage.say_as("bob", "general", "ASK:Bash:make");
    let asked = question(&stage, "general").await;
    let refused = says(&stage, stage.discord.press(asked.id, ada, &button(&asked, "allow")).unwrap()).await;
    insta::assert_snapshot!(refused.content, @"Only the person who asked, or somebody who approves things in this project, may answer this.");
    assert_ne!(refused.flags & EPHEMERAL, 0);
    stage.discord.press(asked.id, bob, &button(&asked, "deny")).unwrap();
    stage.settled(turn).await;
}

#[tokio::test]
async fn where_nobody_answers_in_time_claude_goes_on_without_it() {
    let mut stage = Stage::with(setup("limits = { question = 0.05 }")).await;
    let turn = stage.say("general", "ASK:Bash:make");
    assert_eq!(stage.settled(turn).await, Settled::Ended(Outcome::Answered));
    let channel = stage.discord.channel("general");
    let found = stage.discord.wait_until(|discord| {
        let messages = discord.messages(channel);
        messages.into_iter().find(|it| it.content.contains("Nobody answered in time"))
    });
    let asked = within("the question's end", found).await;
    assert!(buttons(&asked).is_empty());
    let answer = stage.answer(turn);
    assert!(answer.starts_with("Bash was denied: Nobody answered within"), "{answer}");
    assert!(answer.contains("Not allowed here: `Bash(make)`"), "{answer}");
}

#[tokio::test]
async fn a_turn_that_is_stopped_withdraws_its_question() {
    let mut stage = Stage::open().await;
    let turn = stage.say("general", "TEXT:So far. ;; ASK:Bash:make");
    let asked = question(&stage, "general").await;
    stage.discord.delete(turn);
    assert!(ended(&stage, &asked).await.ends_with("Not needed any more: the turn was stopped or is over"));
    stage.settled(turn).await;
    assert_eq!(outcome(&stage, turn).await, "cancelled");
}

#[tokio::test]
async fn who_waits_for_a_person_holds_up_nobody() {
    let config = "[agent]\nmax_running = 2\n[person]\nmax_running = 2".to_owned();
    let mut stage = Stage::with(Setup { config, ..Setup::default() }).await;
    let channels: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    let turns: Vec<Id> = channels.iter().map(|channel| stage.say(channel, "ASK:Bash:make")).collect();
    let mut asked = Vec::new();
    for channel in &channels {
        asked.push(question(&stage, channel).await);
    }
    assert_eq!(stage.ask("ninth", "TEXT:at once").await, "at once");
    for asked in &asked {
        stage.discord.press(asked.id, stage.discord.owner(), &button(asked, "allow")).unwrap();
    }
    for turn in turns {
        stage.settled(turn).await;
        assert_eq!(stage.answer(turn), "Bash was allowed.");
    }
}

/// The question's message, once it says this.
pub async fn says_at_end(stage: &Stage, question: &Message, what: &str) -> Message {
    let (channel, id) = (question.channel, question.id);
    let found = stage.discord.wait_until(|discord| {
        let messages = discord.messages(channel);
        messages.into_iter().find(|it| it.id == id && it.content.ends_with(what))
    });
    within(what, found).await
}

pub const COLOURS: &str = r#"ASK:AskUserQuestion:{"questions":[{"question":"Which colour?","header":"Colour","options":[
    {"label":"Red","description":"warm"},{"label":"Blue","description":"cold"}],"multiSelect":false}]}"#;
pub const PLAN: &str = r##"ASK:ExitPlanMode:{"plan":"# Plan\n1. do it"}"##;

/// What is asked, what is pressed after a restart, and how the prompt ends of the turn that goes on.
fn left_questions() -> [(String, &'static str, &'static str); 5] {
    [
        ("ASK:Bash:make".to_owned(), "go_on", "where you still need it, try again."),
        (COLOURS.replace('\n', ""), "pick1", "You asked: Which colour?\nThe answer: Blue"),
        (PLAN.to_owned(), "approve", "It is approved now: carry it out."),
        (PLAN.to_owned(), "plan", "Ask what to change, or improve it."),
        ("FORM:forms".to_owned(), "go_on", "see what is done, and call it again."),
    ]
}

/// Answers what a restart has left: twice at once, where that is one press; both presses.
async fn answer_left(stage: &Stage, left: &Message, press: &str) -> Option<[Id; 2]> {
    if press == "plan" {
        fill_in(stage, left, press, &[]).await;
        return None;
    }
    let presses = [(); 2].map(|()| {
        let id = button(left, press);
        stage.discord.press(left.id, stage.discord.owner(), &id).unwrap()
    });
    Some(presses)
}

#[tokio::test]
async fn what_a_restart_has_left_can_be_answered_once_and_goes_on_in_its_session() {
    for (prompt, press, ends) in left_questions() {
        let mut stage = Stage::open().await;
        stage.say("general", &prompt);
        let asked = question(&stage, "general").await;
        let before = stage.prompted(&prompt).await;
        stage.stop().await;
        stage.start().await;
        let left = says_at_end(&stage, &asked, "-# I was restarted before anybody answered").await;
        let again = answer_left(&stage, &left, press).await;
        says_at_end(&stage, &asked, &format!("-# Went on by <@{}>", stage.discord.owner())).await;
        let went_on = until("the turn that goes on", || {
            let log = stage.agent_log();
            log.into_iter().find(|it| it.prompt.as_ref().is_some_and(|prompt| prompt.ends_with(ends)))
        });
        assert_eq!(went_on.await.session, before.session);
        if let Some(both) = again {
            let mut told = Vec::new();
            for press in both {
                told.push(says(&stage, press).await.content);
            }
            let late = told.iter().filter(|told| *told == "This is answered already.").count();
            assert_eq!(late, 1, "either is the first: {told:?}");
        }
        let prompts = stage.agent_log().into_iter().filter(|it| it.event == "prompt").count();
        assert_eq!(prompts, 2, "{prompt}");
    }
}

#[tokio::test]
async fn what_a_killed_bot_has_left_is_found_and_answered_once_also_where_it_was_not_recorded() {
    for recorded in [true, false] {
        for (prompt, press, ends) in left_questions() {
            let mut stage = Stage::without_bot(Setup::default()).await;
            let general = stage.discord.channel("general");
            if !recorded {
                let post = format!("POST /channels/{general}/messages");
                stage.discord.fail_next(1, Fault::DropAfter, &post);
            }
            let bot = Program::start(&stage).await;
            let turn = stage.say("general", &prompt);
            let asked = question(&stage, "general").await;
            if recorded {
                let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
                let posted = "SELECT 1 FROM questions WHERE posted IS NOT NULL";
                until("the question to be recorded", || database.query_one(posted, (), |_| Ok(())).ok())
                    .await;
            }
            bot.kill().await;
            stage.start().await;
            assert_eq!(outcome(&stage, turn).await, "interrupted");
            let left = says_at_end(&stage, &asked, "-# I was restarted before anybody answered").await;
            answer_left(&stage, &left, press).await;
            let went_on = until("the turn that goes on", || {
                let log = stage.agent_log();
                log.into_iter().find(|it| it.prompt.as_ref().is_some_and(|prompt| prompt.ends_with(ends)))
            });
            went_on.await;
            let asks = stage.discord.messages(general);
            let asks = asks.iter().filter(|it| it.nonce.as_ref().is_some_and(|it| it.starts_with("q-")));
            assert_eq!(asks.count(), 1, "told once: {prompt}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_in_a_conversation_that_is_gone_does_not_go_on() {
    let mut stage = Stage::open().await;
    stage.say("general", "ASK:Bash:make");
    let asked = question(&stage, "general").await;
    stage.stop().await;
    stage.start().await;
    let left = says_at_end(&stage, &asked, "-# I was restarted before anybody answered").await;
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    database.execute("DELETE FROM sessions", ()).unwrap();
    let press = stage.discord.press(asked.id, stage.discord.owner(), &button(&left, "go_on")).unwrap();
    let gone = says(&stage, press).await;
    insta::assert_snapshot!(gone.content, @"The conversation in which this was asked is gone.");
}

/// Presses this button, fills in the form that opens, and sends it.
pub async fn fill_in(stage: &Stage, asked: &Message, what: &str, typed: &[(&str, &str)]) {
    let press = stage.discord.press(asked.id, stage.discord.owner(), &button(asked, what)).unwrap();
    within("a form", stage.discord.form(press)).await;
    let typed: Vec<_> = typed.iter().map(|(field, text)| (*field, serde_json::json!(text))).collect();
    stage.discord.submit(press, &typed).unwrap();
}

#[tokio::test]
async fn a_person_can_say_why_and_what_to_do_instead() {
    for (prompt, press, says, ends, answer) in [
        (
            "ASK:Bash:make",
            "why",
            "use ninja",
            "🚫 Denied by",
            "Bash was denied: The person denied this and said: use ninja",
        ),
        (PLAN, "plan", "less of it", "✏️ Not approved yet by", "and said: less of it"),
        (PLAN, "plan", "", "✏️ Not approved yet by", "Ask what to change, or improve it."),
    ] {
        let mut stage = Stage::open().await;
        let turn = stage.say("general", prompt);
        let asked = question(&stage, "general").await;
        fill_in(&stage, &asked, press, &[("words", says)]).await;
        assert!(ended(&stage, &asked).await.contains(ends));
        stage.settled(turn).await;
        assert!(stage.answer(turn).contains(answer), "{}", stage.answer(turn));
    }
}

pub const TWO: &str = r#"ASK:AskUserQuestion:{"questions":[{"question":"Which colour?","header":"Colour","options":[{"label":"Red"},{"label":"Blue"}]},{"question":"Toppings?","header":"Toppings","options":[{"label":"Ham"},{"label":"Olives, green"}],"multiSelect":true}]}"#;

/// The answers that the agent got.
async fn answers(stage: &mut Stage, turn: Id) -> String {
    stage.settled(turn).await;
    stage.answer(turn)
}

#[tokio::test]
async fn a_choice_is_one_press_or_a_persons_own_words() {
    for (press, typed, expected) in [
        ("pick1", None, r#"{"answers":{"Which colour?":"Blue"}}"#),
        ("other", Some("a darker one"), r#"{"answers":{"Which colour?":"a darker one"}}"#),
    ] {
        let mut stage = Stage::open().await;
        let turn = stage.say("general", &COLOURS.replace('\n', ""));
        let asked = question(&stage, "general").await;
        match typed {
            None => {
                stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, press)).unwrap();
            }
            Some(words) => fill_in(&stage, &asked, press, &[("0", words)]).await,
        }
        assert!(ended(&stage, &asked).await.ends_with("✅ Answered by @owner"));
        let answered = answers(&mut stage, turn).await;
        assert!(answered.contains(expected), "{answered}");
    }
}

#[tokio::test]
async fn half_a_secret_is_in_no_label() {
    let stage = Stage::open().await;
    let token = stage.discord.token().to_owned();
    // A button's label, a menu's entry and a placeholder are cut in the middle of it.
    let near = |most: usize| format!("{} {token}", "x".repeat(most - 20));
    let option = format!(r#"{{"label":"{}"}},{{"label":"Blue"}}"#, near(80));
    let entry = format!(r#"{{"label":"{0}","description":"{0}"}},{{"label":"Blue"}}"#, near(100));
    let one = format!(r#"{{"question":"Which?","header":"W","options":[{option}]}}"#);
    let two =
        format!(r#"{{"question":"{}","header":"V","options":[{entry}],"multiSelect":true}}"#, near(100));
    for (channel, questions) in [("general", one.clone()), ("other", format!("{one},{two}"))] {
        stage.say(channel, &format!(r#"ASK:AskUserQuestion:{{"questions":[{questions}]}}"#));
        let asked = question(&stage, channel).await;
        let shown = format!("{} {}", asked.content, serde_json::to_string(&asked.components).unwrap());
        assert!(shown.contains("xxx [redacted"), "{shown}");
        assert!(!shown.contains(&token[..8]), "{shown}");
    }
}

#[tokio::test]
async fn several_questions_are_answered_at_once_and_one_that_is_left_out_stays_so() {
    let mut stage = Stage::open().await;
    let owner = stage.discord.owner();
    let turn = stage.say("general", TWO);
    let asked = question(&stage, "general").await;
    let nothing = stage.discord.press(asked.id, owner, &button(&asked, "send")).unwrap();
    assert_eq!(says(&stage, nothing).await.content, "Choose something first.");
    let choose = |menu: &str, values: &[&str]| {
        let chosen = stage.discord.choose(asked.id, owner, &button(&asked, menu), values).unwrap();
        stage.discord.acknowledged(chosen)
    };
    within("a choice", choose("menu1", &["0", "1"])).await;
    stage.discord.press(asked.id, owner, &button(&asked, "send")).unwrap();
    let answered = answers(&mut stage, turn).await;
    assert!(answered.contains(r#"{"answers":{"Toppings?":["Ham","Olives, green"]}}"#), "{answered}");

    let turn = stage.say("general", TWO);
    let asked = question(&stage, "general").await;
    let chosen = stage.discord.choose(asked.id, owner, &button(&asked, "menu0"), &["0"]).unwrap();
    within("a choice", stage.discord.acknowledged(chosen)).await;
    fill_in(&stage, &asked, "other", &[("1", "tuna")]).await;
    let answered = answers(&mut stage, turn).await;
    assert!(answered.contains(r#"{"answers":{"Toppings?":["tuna"],"Which colour?":"Red"}}"#), "{answered}");
}

#[tokio::test]
async fn a_reply_to_a_choice_is_the_answer_to_all_of_it_and_starts_no_turn() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let [ada, bob] = ["ada", "bob"].map(|name| stage.discord.user(name));
    let allow = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing_with("").replacen("return {", &allow, 1));
    stage.start().await;
    let turn = stage.say_as("ada", "general", TWO);
    let asked = question(&stage, "general").await;
    let channel = asked.channel;
    let reply = |person, text: &str| {
        stage.discord.say(Say { mention: true, reply_to: Some(asked.id), ..Say::new(channel, person, text) })
    };
    // Bob may ask here, but this is not his to answer: what he writes waits as a turn of its own.
    let bobs = reply(bob, "TEXT:from bob");
    stage.reacted(bobs, "⏳").await;
    let adas = reply(ada, "neither, ask me tomorrow");
    assert!(ended(&stage, &asked).await.ends_with("✅ Answered by @ada"));
    let answered = answers(&mut stage, turn).await;
    assert!(answered.contains(r#"{"response":"neither, ask me tomorrow"}"#), "{answered}");
    assert_eq!(stage.settled(adas).await, Settled::Said);
    stage.settled(bobs).await;
    assert_eq!(stage.answer(bobs), "from bob");
    let prompts = stage.agent_log().into_iter().filter(|it| it.event == "prompt").count();
    assert_eq!(prompts, 2, "ada's reply is no prompt");
}

/// Presses “Always…”, and then what saves the rule; what is said of it before.
pub async fn allow_always(stage: &Stage, asked: &Message) -> String {
    let owner = stage.discord.owner();
    let press = stage.discord.press(asked.id, owner, &button(asked, "always")).unwrap();
    let shown = says(stage, press).await;
    assert_ne!(shown.flags & EPHEMERAL, 0);
    let press = stage.discord.press(shown.id, owner, &button(&shown, "save")).unwrap();
    let saved = within("the end of the button", stage.discord.acknowledged(press)).await.message;
    assert!(saved.is_some_and(|it| it.content == shown.content && buttons(&it).is_empty()));
    shown.content
}

#[tokio::test]
async fn what_is_always_allowed_is_shown_before_it_counts() {
    let mut stage = Stage::with(setup("setting_sources = { 'user' }")).await;
    let turn = stage.say("general", "ASK:Bash:git push origin main");
    let asked = question(&stage, "general").await;
    let shown = allow_always(&stage, &asked).await;
    insta::assert_snapshot!(shown, @"
    This is saved in `~/.claude/settings.json` of the user that Claude Code runs as, and allows such calls in **every** project, without asking anybody:
    `Bash(git *)`
    ");
    assert!(ended(&stage, &asked).await.ends_with("✅ Always allowed by @owner"));
    stage.settled(turn).await;
    assert_eq!(stage.answer(turn), "Bash was allowed.");

    // Where the agent does not read those settings, it would be written in vain.
    let stage = Stage::with(setup("setting_sources = { 'project' }")).await;
    stage.say("general", "ASK:Bash:git push origin main");
    let asked = question(&stage, "general").await;
    assert!(buttons(&asked).iter().all(|id| !id.ends_with(":always")), "{:?}", buttons(&asked));
}

#[tokio::test]
async fn an_approver_may_stop_a_turn_of_somebody_else() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let [ada, bob] = ["ada", "bob"].map(|name| stage.discord.user(name));
    let routing = routing_with(&format!("approvers = {{ users = {{ '{bob}' }} }}"));
    let allow = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}' }} }},");
    stage.save("routing.lua", &routing.replacen("return {", &allow, 1));
    stage.adjust = |config| config.discord.live_times.shown_after /= 20;
    stage.start().await;
    let turn = stage.say_as("ada", "general", "TOOL:Bash:ls ;; SLEEP:600");
    let general = stage.discord.channel("general");
    let line = line_with(&stage, general, "Working").await;
    stage.discord.press(line, bob, &format!("stop:{turn}")).unwrap();
    stage.settled(turn).await;
    assert!(stage.answer(turn).contains("Stopped"), "{}", stage.answer(turn));
}

#[tokio::test]
async fn the_line_says_whom_it_waits_for() {
    let stage = crate::live::stage().await;
    stage.say("general", "ASK:Bash:make");
    let general = stage.discord.channel("general");
    line_with(&stage, general, &format!("-# ⏸ Waiting for <@{}>", stage.discord.owner())).await;
}

#[tokio::test]
async fn what_nobody_can_read_whole_nobody_can_allow() {
    let mut stage = Stage::open().await;
    let general = stage.discord.channel("general");
    let command = format!("{}; rm -rf ~", "echo a; ".repeat(230));
    let prompt = format!("ASK:Bash:{command}");
    let asked_with_file = stage.say("general", &prompt);
    let asked = question(&stage, "general").await;
    let [file] = &asked.attachments[..] else { panic!("{:?}", asked.attachments) };
    let whole = reqwest::get(&file.url).await.unwrap().text().await.unwrap();
    assert!(whole.contains(&format!("```sh\n{command}\n```")), "{whole}");
    assert!(asked.content.contains("read all of it in `question.txt`"), "{}", asked.content);
    stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, "allow")).unwrap();
    stage.settled(asked_with_file).await;

    for is_forbidden in [true, false] {
        if is_forbidden {
            stage.discord.forbid(general, Right::Attach);
        } else {
            // Too large: said by something before Discord.
            stage.discord.allow(general, Right::Attach);
            stage.discord.fail_next(1, Fault::Status(413), &format!("POST /channels/{general}/messages"));
        }
        let turn = stage.say("general", &prompt);
        assert_eq!(stage.settled(turn).await, Settled::Ended(Outcome::Answered));
        let answer = stage.answer(turn);
        assert!(
            answer.starts_with("Bash was denied: This is too long to be shown to a person here"),
            "{answer}"
        );
        let found = stage.discord.wait_until(|discord| {
            let messages = discord.messages(general);
            messages.into_iter().find(|it| {
                it.reply_to == Some(turn) && it.nonce.as_ref().is_some_and(|it| it.starts_with("q-"))
            })
        });
        let said = within("the sentence", found).await;
        assert!(buttons(&said).is_empty() && said.attachments.is_empty(), "{said:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.content.lines().last().unwrap(), @"-# 🚫 Denied: Discord did not take the file with all of it, and nobody can allow what they cannot read. For files, my role needs Attach Files");
        }
    }
}

#[tokio::test]
async fn whatever_a_question_shows_it_notifies_nobody_but_who_asked() {
    for prompt in [
        "ASK:Bash:echo @everyone @here WHO; echo '```' WHO",
        r#"ASK:Write:{"file_path":"@everyone WHO","content":"```\n@everyone WHO"}"#,
        r#"ASK:mcp__x__@everyone:{"WHO":"@everyone"}"#,
        r#"ASK:AskUserQuestion:{"questions":[{"question":"@everyone WHO?","header":"WHO","options":[
            {"label":"@everyone","description":"WHO","preview":"```\n@everyone WHO"},{"label":"WHO"}]}]}"#,
        r##"ASK:ExitPlanMode:{"plan":"# @everyone\n```\nWHO\n```\nWHO @here"}"##,
        r#"FORM:@everyone WHO:{"message":"@everyone WHO","requested_schema":{"properties":{
            "WHO":{"type":"string","title":"@everyone","description":"WHO"},"x":{"type":"string","enum":["WHO"]}}}}"#,
        r#"FORM:WHO:{"message":"@everyone WHO","mode":"url","url":"https://e.org/@everyone/WHO"}"#,
    ] {
        let stage = Stage::open().await;
        let who = format!("<@{}>", stage.discord.user("bob"));
        stage.say("general", &prompt.replace('\n', "").replace("WHO", &who));
        let asked = question(&stage, "general").await;
        assert_eq!(asked.pinged, [stage.discord.owner()], "{}", asked.content);
    }
}
