//! Who may answer what Claude asks: every kind of person with every way to answer, as a table in `snapshots/access/`.

use std::fmt::Write as _;

use moonlane::local::{Id, Message, Say, UseCommand, What};
use moonlane::turn::Settled;
use serde_json::json;

use crate::access_matrix::snapshot;
use crate::commands::{add_shipped, buttons, says};
use crate::elicitations::PAY;
use crate::questions::{COLOURS, PLAN, TWO, button, ended, question};
use crate::support::{ONE_FOR_MANY, Setup, Stage, routing_with, within};

/// A way to answer: what is asked, the button, and whether it opens a form with this field. Always… takes two presses.
type Way = (&'static str, &'static str, Option<&'static str>);

const WAYS: [Way; 16] = [
    ("ASK:Bash:make", "allow", None),
    ("ASK:Bash:make", "session", None),
    ("ASK:Bash:make", "deny", None),
    ("ASK:Bash:make", "why", Some("words")),
    ("ASK:Bash:make", "always", None),
    (PLAN, "approve", None),
    (PLAN, "edits", None),
    (PLAN, "plan", Some("words")),
    (COLOURS, "pick0", None),
    (COLOURS, "other", Some("0")),
    (TWO, "menu0", None),
    (TWO, "reply", None),
    ("FORM:forms", "fill_in", Some("0")),
    ("FORM:forms", "decline", None),
    ("FORM:forms", "dismiss", None),
    (PAY, "done", None),
];

/// What came of one person's attempt to answer a question of ada's turn.
async fn attempt(stage: &mut Stage, person: Id, way: Way) -> String {
    attempt_with(stage, person, way, |_| ()).await
}

/// The same, where this happens between two presses, if it takes two.
async fn attempt_with(
    stage: &mut Stage,
    person: Id,
    (prompt, press, form): Way,
    between: impl Fn(&Stage),
) -> String {
    let turn = stage.say_as("ada", "general", &prompt.replace('\n', ""));
    let asked = question(stage, "general").await;
    if press == "reply" {
        return reply(stage, person, turn, &asked).await;
    }
    let id = button(&asked, press);
    let is_menu = press.starts_with("menu");
    let mut did = match is_menu {
        true => stage.discord.choose(asked.id, person, &id, &["0"]).unwrap(),
        false => stage.discord.press(asked.id, person, &id).unwrap(),
    };
    let response = within("an answer", stage.discord.acknowledged(did)).await;
    if let (Some(field), Some(_)) = (form, &response.form) {
        did = stage.discord.submit(did, &[(field, json!("my words"))]).unwrap();
        within("an answer", stage.discord.acknowledged(did)).await;
    }
    if press == "always"
        && let shown = says(stage, did).await
        && let Some(save) = buttons(&shown).into_iter().find(|id| id.ends_with(":save"))
    {
        between(stage);
        did = stage.discord.press(shown.id, person, &save).unwrap();
        within("an answer", stage.discord.acknowledged(did)).await;
    }
    let response = stage.discord.response(did).filter(|response| response.ephemeral);
    let refused = response.and_then(|response| response.message);
    // What was shown before the second press stays.
    let refused = refused.filter(|message| !message.content.starts_with("This is saved in"));
    if let Some(message) = refused {
        let told = message.content;
        // So that the next one can be asked.
        stage.discord.delete(turn);
        ended(stage, &asked).await;
        stage.settled(turn).await;
        return match told.as_str() {
            "Only the person who asked, or somebody who approves things in this project, may answer this." => {
                "not theirs".to_owned()
            }
            "Only somebody who approves things in this project may answer this." => {
                "for approvers".to_owned()
            }
            "You don't have access here. Ask whoever runs this bot." => "not let in".to_owned(),
            _ => told,
        };
    }
    if is_menu {
        stage.discord.delete(turn);
        ended(stage, &asked).await;
        stage.settled(turn).await;
        return "noted".to_owned();
    }
    let end = ended(stage, &asked).await;
    stage.settled(turn).await;
    let last = end.lines().last().unwrap_or_default();
    last.trim_start_matches("-# ").split(" by ").next().unwrap_or_default().to_owned()
}

/// Whether this message is written down as an answer.
fn has_answered(stage: &Stage, reply: Id) -> bool {
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let sql = "SELECT EXISTS (SELECT 1 FROM questions WHERE reply = ?1)";
    database.query_one(sql, [reply.get() as i64], |row| row.get(0)).unwrap()
}

/// What comes of a reply to a question of ada's turn.
async fn reply(stage: &mut Stage, person: Id, turn: Id, asked: &Message) -> String {
    let say = Say { mention: true, reply_to: Some(asked.id), ..Say::new(asked.channel, person, "TEXT:blue") };
    let reply = stage.discord.say(say);
    let discord = stage.discord.clone();
    let waits = discord.wait_for(|log| {
        let is_it = |what: &What| matches!(what, What::ReactionAdded { message, .. } if *message == reply);
        log.iter().any(|event| is_it(&event.what)).then_some(())
    });
    let settled = tokio::select! {
        settled = stage.settled(reply) => Some(settled),
        () = waits => None,
    };
    match settled {
        Some(Settled::Said) if has_answered(stage, reply) => {
            let end = ended(stage, asked).await;
            stage.settled(turn).await;
            let last = end.lines().last().unwrap_or_default();
            last.trim_start_matches("-# ").split(" by ").next().unwrap_or_default().to_owned()
        }
        other => {
            stage.discord.delete(turn);
            ended(stage, asked).await;
            stage.settled(turn).await;
            match other {
                Some(Settled::Ignored) => "ignored".to_owned(),
                Some(other) => format!("{other:?}"),
                None => {
                    stage.settled(reply).await;
                    assert_eq!(stage.answer(reply), "blue");
                    "a turn of its own".to_owned()
                }
            }
        }
    }
}

/// What comes of another bot's reply: whatever it is, it has come before bob's press, who may answer.
async fn reply_of_bot(stage: &Stage, bob: Id) -> String {
    let (prompt, bot) = (COLOURS.replace('\n', ""), stage.discord.other_bot("beep"));
    stage.say_as("ada", "general", &prompt);
    let asked = question(stage, "general").await;
    let say = Say { mention: true, reply_to: Some(asked.id), ..Say::new(asked.channel, bot, "Blue") };
    stage.discord.say(say);
    let next = stage.say_as("ada", "general", "TEXT:next");
    stage.reacted(next, "⏳").await;
    stage.discord.press(asked.id, bob, &button(&asked, "pick0")).unwrap();
    match ended(stage, &asked).await.ends_with("✅ Answered by @bob") {
        true => "ignored".to_owned(),
        false => "counts".to_owned(),
    }
}

/// What comes of `/mode`; in the end the channel has its own mode again.
async fn mode(stage: &Stage, person: Id) -> String {
    let general = stage.discord.channel("general");
    let uses = |person, mode| {
        let used = UseCommand::new(general, person, "mode").option("mode", mode);
        stage.discord.use_command(used).unwrap()
    };
    let told = says(stage, uses(person, "plan")).await.content;
    says(stage, uses(stage.discord.owner(), "project")).await;
    match told.as_str() {
        "You don't have access here. Ask whoever runs this bot." => "not let in".to_owned(),
        told if told.starts_with("Permission mode: ") => "chosen".to_owned(),
        told => told.to_owned(),
    }
}

#[tokio::test]
async fn who_may_answer_what() {
    let mut table = String::new();
    for approve in ["asker", "approvers"] {
        let setup = Setup { config: ONE_FOR_MANY.to_owned(), ..Setup::default() };
        let mut stage = Stage::without_bot(setup).await;
        let [ada, bob, carl, dora, eve, stranger] =
            ["ada", "bob", "carl", "dora", "eve", "stranger"].map(|name| stage.discord.user(name));
        let role = stage.discord.role("approver");
        stage.discord.give_role(carl, role);
        let people = [
            ("the owner", stage.discord.owner()),
            ("an operator", eve),
            ("who asked", ada),
            ("an approver", bob),
            ("an approver by role", carl),
            ("somebody who is let in", dora),
            ("a stranger", stranger),
        ];
        let keys =
            format!("approve = '{approve}', approvers = {{ users = {{ '{bob}' }}, roles = {{ '{role}' }} }}");
        let allow = format!(
            "return {{ allow = {{ users = {{ '{ada}', '{bob}', '{carl}', '{dora}' }}, operators = {{ '{eve}' }} }},"
        );
        stage.save("routing.lua", &routing_with(&keys).replacen("return {", &allow, 1));
        add_shipped(&stage);
        stage.start().await;
        let _ = writeln!(table, "approve = \"{approve}\"");
        for (kind, person) in people {
            let mut row = Vec::new();
            for way in WAYS {
                row.push(format!("{}: {}", way.1, attempt(&mut stage, person, way).await));
            }
            row.push(format!("/mode: {}", mode(&stage, person).await));
            let _ = writeln!(table, "  {kind}\n    {}", row.join("\n    "));
        }
        let always = WAYS.into_iter().find(|way| way.1 == "always").unwrap();
        let between =
            attempt_with(&mut stage, carl, always, |stage| assert!(stage.discord.take_role(carl, role)))
                .await;
        let _ = writeln!(
            table,
            "  an approver whose role was taken between the two presses\n    always: {between}"
        );
        let mut row = Vec::new();
        for way in WAYS {
            row.push(format!("{}: {}", way.1, attempt(&mut stage, carl, way).await));
        }
        let _ = writeln!(table, "  an approver whose role was taken\n    {}", row.join("\n    "));
        let _ = writeln!(table, "  a bot\n    reply: {}", reply_of_bot(&stage, bob).await);
    }
    println!("{table}");
    snapshot("questions", &table);
}
