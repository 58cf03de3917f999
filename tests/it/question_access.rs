//! Who may answer what Claude asks: every kind of person with every way to answer, as a table in `snapshots/access/`.

use std::fmt::Write as _;

use moonlane::local::Id;
use serde_json::json;

use crate::access_matrix::snapshot;
use crate::questions::{COLOURS, PLAN, TWO, button, ended, question};
use crate::support::{ONE_FOR_MANY, Setup, Stage, routing_with, within};

/// A way to answer: what is asked, the button, and whether it opens a form with this field.
const WAYS: [(&str, &str, Option<&str>); 10] = [
    ("ASK:Bash:make", "allow", None),
    ("ASK:Bash:make", "session", None),
    ("ASK:Bash:make", "deny", None),
    ("ASK:Bash:make", "why", Some("words")),
    (PLAN, "approve", None),
    (PLAN, "edits", None),
    (PLAN, "plan", Some("words")),
    (COLOURS, "pick0", None),
    (COLOURS, "other", Some("0")),
    (TWO, "menu0", None),
];

/// What came of one person's attempt to answer a question of ada's turn.
async fn attempt(stage: &mut Stage, person: Id, (prompt, press, form): (&str, &str, Option<&str>)) -> String {
    let turn = stage.say_as("ada", "general", &prompt.replace('\n', ""));
    let asked = question(stage, "general").await;
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
    let response = stage.discord.response(did).filter(|response| response.ephemeral);
    let refused = response.and_then(|response| response.message);
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
        stage.start().await;
        let _ = writeln!(table, "approve = \"{approve}\"");
        for (kind, person) in people {
            let mut row = Vec::new();
            for way in WAYS {
                row.push(format!("{}: {}", way.1, attempt(&mut stage, person, way).await));
            }
            let _ = writeln!(table, "  {kind}\n    {}", row.join("\n    "));
        }
        stage.discord.take_role(carl, role);
        let taken = attempt(&mut stage, carl, WAYS[0]).await;
        let _ = writeln!(table, "  an approver whose role was taken\n    allow: {taken}");
    }
    println!("{table}");
    snapshot("questions", &table);
}
