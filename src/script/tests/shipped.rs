//! The commands that come with moonlane, played against a core that answers by a list.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::commands::{call_of, played};
use super::*;
use crate::domain::NamedChannel;
use crate::domain::{FooterField, OptionValue, SpendingBudget};

fn shipped() -> ScriptSet {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = config::ScriptsConfig { dir: root.join("scripts"), ..config::ScriptsConfig::default() };
    match ScriptSet::load(&config, root, &LIMITS) {
        Ok(loaded) => loaded.set,
        Err(problems) => panic!("{}", listing(&problems, root)),
    }
}

/// What a command does when its effects get these answers, and nothing after them.
async fn play(call: CommandCall, answers: &[Value]) -> String {
    let mut answers: VecDeque<Value> = answers.to_vec().into();
    let lines = played(&shipped(), call, |_| Ok(answers.pop_front().unwrap_or_default())).await;
    assert!(answers.is_empty(), "not asked for: {answers:?}, {lines:?}");
    lines.join("\n")
}

fn text(name: &'static str, text: &str) -> (&'static str, OptionValue) {
    (name, OptionValue::Text(text.to_owned()))
}

#[test]
fn the_shipped_commands_are_these() {
    let names: Vec<String> = shipped().commands().iter().map(|command| command.name.clone()).collect();
    assert_eq!(
        names,
        [
            "ask",
            "board",
            "help",
            "here",
            "mode",
            "model",
            "new",
            "queue",
            "reload",
            "reset",
            "status",
            "stop",
            "usage",
            "verbosity"
        ]
    );
}

#[tokio::test]
async fn the_shipped_commands_do_what_they_say() {
    let session = json!({ "channel": { "id": "10", "name": "general" }, "id": "SESSION", "project": "site", "turns": 3, "cost_usd": 0.25, "last_used": 0, "waiting": 0, "running": false });
    let turn = |id: &str, user: &str, running: bool| json!({ "id": id, "user": { "id": user, "name": "Ada", "roles": [], "bot": false }, "prompt": "why\nnot", "running": running, "steered": false, "answering": false, "seconds": 90.5 });
    let queue = json!([turn("1", "41", true), turn("2", "40", false), turn("3", "42", false)]);
    let there = [(
        "channel",
        OptionValue::Channel(NamedChannel {
            id: "77".parse().unwrap(),
            name: "den".to_owned(),
            parent_id: None,
        }),
    )];
    let reset = || call_of("reset", &[]);
    let model = |name: &str| call_of("model", &[text("name", name)]);
    let mode = |name: &str| call_of("mode", &[text("mode", name)]);
    let board = |subcommand: &str, options: &[(&str, OptionValue)]| {
        let mut call = call_of("board", options);
        call.invocation.subcommand = Some(subcommand.to_owned());
        call
    };
    let verbosity = |what: &str| call_of("verbosity", &[text("what", what)]);
    let changed = |before: Option<&str>, after: Option<&str>| json!({ "before": before, "after": after });
    let used = |name: &str, turns: u64, untold: u64, cost: f64| json!({ "name": name, "turns": turns, "untold": untold, "cost_usd": cost, "input_tokens": turns * 1234, "output_tokens": 56, "cache_read_tokens": turns * 100_000, "cache_write_tokens": 0, "tools": 3, "seconds": turns as f64 * 90.0 });
    let usage = |everybody: bool, rows: Vec<Value>, more: u64, total: Value| json!({ "everybody": everybody, "since": 0, "total": total, "rows": rows, "more": more });
    let two = vec![used("site", 12, 1, 1.5), used("a `name` that is ever so long", 1, 0, 0.004)];
    let many = (0..26).map(|_| used("月月月月月月月月月月月月月月月月", 4000, 0, 1234.5)).collect();
    let next = |model: &str| json!({ "project": "site", "model": model, "fresh": false, "by_route": true });
    let lines = [
        (
            "usage: nothing",
            play(call_of("usage", &[]), &[usage(false, vec![], 0, used("", 0, 0, 0.0))]).await,
        ),
        ("usage: mine", play(call_of("usage", &[]), &[usage(false, two, 0, used("", 13, 1, 1.504))]).await),
        (
            "usage: everybody's, by channel",
            play(
                call_of("usage", &[text("period", "month"), text("by", "channel")]),
                &[usage(true, many, 7, used("", 132_000, 0, 40_000.0))],
            )
            .await,
        ),
        ("reset: confirmed", play(reset(), &[session.clone(), json!(true), session.clone()]).await),
        (
            "reset: another channel",
            play(call_of("reset", &there), &[session.clone(), json!(true), session.clone()]).await,
        ),
        ("reset: cancelled", play(reset(), &[session.clone(), json!(false)]).await),
        ("reset: nobody answers", play(reset(), std::slice::from_ref(&session)).await),
        ("reset: gone meanwhile", play(reset(), &[session.clone(), json!(true)]).await),
        ("reset: nothing there", play(reset(), &[]).await),
        ("model", play(model(" opus "), &[changed(Some("sonnet"), Some("opus"))]).await),
        ("model: the project's", play(model("project"), &[changed(Some("opus"), None)]).await),
        ("model: the same", play(model("opus"), &[changed(Some("opus"), Some("opus"))]).await),
        ("mode", play(call_of("mode", &[]), &[json!({ "permission_mode": "plan" })]).await),
        ("mode: of the settings", play(call_of("mode", &[]), &[json!({})]).await),
        ("mode: no project", play(call_of("mode", &[]), &[]).await),
        ("mode: another one", play(mode("plan"), &[changed(Some("acceptEdits"), Some("plan"))]).await),
        ("mode: the project's", play(mode("project"), &[changed(Some("plan"), None)]).await),
        ("mode: the same", play(mode("plan"), &[changed(Some("plan"), Some("plan"))]).await),
        ("board", play(board("on", &[]), &[json!(false)]).await),
        ("board: another channel", play(board("on", &there), &[json!(true)]).await),
        ("board: off", play(board("off", &[]), &[json!(true)]).await),
        ("board: there is none", play(board("off", &[]), &[json!(false)]).await),
        ("verbosity", play(call_of("verbosity", &[]), &[json!("full")]).await),
        ("verbosity: of no project", play(call_of("verbosity", &[]), &[]).await),
        ("verbosity: full", play(verbosity("full"), &[changed(Some("line"), Some("full"))]).await),
        ("verbosity: the project's", play(verbosity("project"), &[changed(Some("full"), Some("off"))]).await),
        ("verbosity: the same", play(verbosity("off"), &[changed(Some("off"), Some("off"))]).await),
        (
            "model: the route may say otherwise",
            play(model("opus"), &[changed(Some("sonnet"), Some("opus")), next("opus")]).await,
        ),
        (
            "model: the route says otherwise",
            play(model("opus"), &[changed(Some("opus"), Some("opus")), next("haiku")]).await,
        ),
        ("stop", play(call_of("stop", &[]), &[turn("1", "41", true)]).await),
        ("stop: nothing runs", play(call_of("stop", &[]), &[]).await),
        ("queue: mine", play(call_of("queue", &[]), &[queue.clone(), json!("2"), json!(true)]).await),
        (
            "queue: started meanwhile",
            play(call_of("queue", &[]), &[queue.clone(), json!("2"), json!(false)]).await,
        ),
        ("queue: kept", play(call_of("queue", &[]), &[queue.clone(), json!("keep")]).await),
        ("queue: none of mine", play(call_of("queue", &[]), &[json!([turn("1", "41", true)])]).await),
        ("queue: empty", play(call_of("queue", &[]), &[json!([])]).await),
        ("ask", play(call_of("ask", &[text("prompt", "why?\nnow")]), &[json!("9")]).await),
        (
            "ask: afresh",
            play(
                call_of(
                    "ask",
                    &[text("prompt", "why?"), text("model", "opus"), ("fresh", OptionValue::Boolean(true))],
                ),
                &[json!("9")],
            )
            .await,
        ),
        ("new", play(call_of("new", &[]), &[json!({ "id": "77", "name": "Task of Ada" })]).await),
        ("new: with a prompt", play(call_of("new", &[text("prompt", "why?\nnow")]), &[json!("9")]).await),
        ("here", play(call_of("here", &[]), &[next("opus"), session.clone()]).await),
        ("here: no session", play(call_of("here", &[]), &[next("opus"), Value::Null]).await),
        ("here: no project", play(call_of("here", &[]), &[Value::Null]).await),
        ("help", play(call_of("help", &[]), &[]).await),
        (
            "help: without permissions",
            play(CommandCall { permissions: 0, ..call_of("help", &[]) }, &[]).await,
        ),
        (
            "reload",
            play(call_of("reload", &[]), &[json!({ "generation": 2, "problems": [], "live": true })]).await,
        ),
        (
            "reload: errors",
            play(
                call_of("reload", &[]),
                &[json!({ "generation": 1, "problems": ["x:1: y"], "live": false })],
            )
            .await,
        ),
    ];
    snapshot!("shipped_commands", cases(lines));
}

#[tokio::test]
async fn status_shows_every_session_that_fits() {
    let status = json!({ "version": "0.1.0", "uptime": 7300.0, "generation": 3, "running": 1, "waiting": 2 });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let session = |place: u64| {
        json!({ "channel": { "id": place.to_string(), "name": "x" }, "project": "p".repeat(100), "model": "m".repeat(200),
        "turns": place, "cost_usd": 0.125, "last_used": now - 300 * place, "waiting": 1, "running": place == 1 })
    };
    let set = shipped();
    for count in [0, 1, 40] {
        let sessions: Value = (1..=count).map(session).collect();
        let next = json!({ "project": "site", "model": "opus", "permission_mode": "plan", "fresh": false, "by_route": count > 0 });
        let mut answers = VecDeque::from([status.clone(), sessions, next, Value::Null]);
        let mut embed = None;
        let lines = played(&set, call_of("status", &[]), |effect| {
            if let Effect::Reply(reply) = effect {
                embed = reply.embeds.first().cloned();
            }
            Ok(answers.pop_front().unwrap())
        });
        let lines = lines.await;
        let embed = embed.unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!(embed.footer.as_deref(), Some("moonlane 0.1.0 · up 2h · scripts 3"));
        match count {
            0 => assert_eq!(
                embed.description.as_deref(),
                Some("No sessions yet.\n1 running, 2 waiting\nThe next turn here: site · opus · plan")
            ),
            1 => {
                assert!(
                    embed.fields[0].value.ends_with("1 turn · $0.12 · 5m ago\nrunning, 1 waiting"),
                    "{embed:?}"
                );
                let unless = "site · opus · plan, unless the message's own route says otherwise";
                assert!(embed.description.unwrap().ends_with(unless));
            }
            _ => assert!(embed.description.unwrap().starts_with("40 sessions, the newest ")),
        }
    }
}

#[tokio::test]
async fn a_refusal_reaches_the_person() {
    let mut step = shipped().call(call_of("reload", &[])).await;
    while let CommandStep::Effect(_, waiting) = step {
        step = waiting.resume(Err("Only operators may reload the scripts.".to_owned())).await;
    }
    let CommandStep::Failed(error) = step else { panic!("{step:?}") };
    assert_eq!(error.refusal(), Some("Only operators may reload the scripts."));
}

#[tokio::test]
async fn model_suggests_names() {
    let suggest = async |typed: &str| {
        let choices =
            shipped().autocomplete(call_of("model", &[text("name", typed)]), "name".to_owned()).await;
        choices.unwrap().into_iter().map(|choice| choice.name).collect::<Vec<_>>()
    };
    assert_eq!(suggest("").await.len(), 4);
    assert_eq!(suggest("So").await, ["sonnet"]);
}

#[test]
fn budgets_and_the_footer_are_as_the_readme_says() {
    let readme = include_str!("../../../scripts/README.md");
    let example = readme.split("```lua\n").find(|block| block.contains("with budgets and a footer")).unwrap();
    let set = set(&[("routing.lua", example.split("```").next().unwrap())]);
    let amounts =
        |budget: SpendingBudget| [budget.per_day, budget.per_person_per_day].map(|it| it.unwrap().0);
    assert_eq!(amounts(set.budget()), [50_000_000, 10_000_000]);
    let site = set.project(&ProjectName("site".to_owned())).unwrap();
    assert_eq!(amounts(site.budget), [5_000_000, 1_000_000]);
    assert_eq!(site.footer, [FooterField::Time, FooterField::Cost, FooterField::Branch]);
}

#[tokio::test]
async fn a_role_works_on_another_project_as_the_readme_says() {
    let readme = include_str!("../../../scripts/README.md");
    let example = readme.split("```lua\n").find(|block| block.contains("local REVIEWERS")).unwrap();
    let set = set(&[("routing.lua", example.split("```").next().unwrap())]);
    let said = |channel: &str, role: &str| {
        let mut message = Message { channel_id: channel.parse().unwrap(), ..message("hi") };
        message.author.roles = vec![role.parse().unwrap()];
        message
    };
    let (reviewer, other) = ("231200000000000002", "231200000000000003");
    assert_eq!(decided(&set, said("231200000000000004", reviewer)).await, "review: \"hi\"");
    assert_eq!(decided(&set, said("231200000000000004", other)).await, "site: \"hi\"");
    assert_eq!(decided(&set, said("231200000000000005", reviewer)).await, "site: \"hi\"", "`channels` wins");
    assert_eq!(decided(&set, said("231200000000000006", reviewer)).await, "not for me");
}
