use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::agent::TodoStatus;
use crate::agent::transcripts::{self, Replayed};

const DIR: &str = "/home/u/w";

fn drawn(view: &View) -> String {
    view.draw(Path::new(DIR))
}

fn tool(id: &str, action: ToolAction) -> Progress {
    Progress::Tool { id: id.to_owned(), name: String::new(), action, input: Value::Null }
}

fn ended(id: &str) -> Progress {
    ended_with(id, "")
}

fn ended_with(id: &str, output: &str) -> Progress {
    let (id, output) = (id.to_owned(), output.to_owned());
    Progress::ToolsEnded { calls: vec![EndedCall { id, output, has_failed: false }] }
}

fn said(text: &str) -> Progress {
    Progress::Said(text.to_owned())
}

fn view_of(steps: impl IntoIterator<Item = Progress>) -> View {
    let mut view = View::new(1_795_000_000);
    for step in steps {
        view.take(&step, str::to_owned);
    }
    view
}

/// Each line that a recorded run would have shown, in order, if every change were shown, and how its turns ended.
fn lines_of(name: &str) -> String {
    lines_of_view(View::new(1_795_000_000), name)
}

fn lines_of_view(mut view: View, name: &str) -> String {
    let before = view.clone();
    let mut shown = vec![drawn(&view)];
    for replayed in transcripts::replayed(name) {
        match replayed {
            Replayed::Step(step) if view.take(&step, str::to_owned) => shown.push(drawn(&view)),
            Replayed::Step(_) => {}
            Replayed::Stopped => {
                view.stop();
                shown.push(drawn(&view));
            }
            Replayed::Ended(words) => {
                shown.push(format!("the end: {words}"));
                shown.extend(
                    view.whole().map(|(calls, file)| format!("and as a file, {calls} calls:\n{file}")),
                );
                view = before.clone();
            }
        }
    }
    shown.join("\n\n")
}

#[test]
fn recorded_turns_at_work() {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/view"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("quick", lines_of("a4-stream"));
        insta::assert_snapshot!("tools", lines_of("e3-acceptEdits-write"));
        insta::assert_snapshot!("tasks", lines_of("p2-tasks"));
        insta::assert_snapshot!("todowrite", lines_of("p2-todowrite"));
        insta::assert_snapshot!("subagents", lines_of("p2-subagents"));
        insta::assert_snapshot!("retry", lines_of("f3-529-once"));
        insta::assert_snapshot!("compaction", lines_of("m7-compact"));
        insta::assert_snapshot!("stop", lines_of("d13-interrupt-bash"));
        insta::assert_snapshot!("failure", lines_of("f2-529-retries2"));
        insta::assert_snapshot!("full", lines_of_view(View::detailed(1_795_000_000), "e3-acceptEdits-write"));
    });
}

#[test]
fn tools_are_told_in_words() {
    let view = view_of([
        said("I'll look at the *parser* first, then fix it."),
        tool("0", ToolAction::Other("old".to_owned())),
        tool("1", ToolAction::Edit("/home/u/w/src/main.rs".to_owned())),
        ended("1"),
        tool("2", ToolAction::Read),
        tool("3", ToolAction::Read),
        tool("4", ToolAction::Search),
        tool("5", ToolAction::SearchWeb("rust `await` <@1> in let".to_owned())),
        tool("6", ToolAction::Other("list_branches (git)".to_owned())),
        tool("7", ToolAction::Run(format!("cargo test {} -- --nocapture", "x".repeat(200)))),
        tool("8", ToolAction::Edit("/etc/hosts".to_owned())),
        ended("5"),
    ]);
    insta::assert_snapshot!(drawn(&view), @r"
    -# ⚙ Working, started <t:1795000000:R>
    -# I'll look at the \*parser\* first, then fix it.
    -# read 2 files, searched once
    -# ✓ Edited `src/main.rs`
    -# ✓ Searched the web for `rust 'await' <@1> in let`
    -# ▸ Using `list_branches (git)`
    -# ▸ Running `cargo test xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx -- --nocapture`
    -# ▸ Editing `/etc/hosts`
    ");
}

#[test]
fn the_newest_state_is_named_and_stopping_is_the_last_one() {
    let retrying = |attempt| Progress::Retrying { trouble: Trouble::Overloaded, attempt, of: 10 };
    let mut view = view_of([said("On it."), tool("1", ToolAction::Read)]);
    assert!(view.take(&retrying(3), str::to_owned));
    assert!(!view.take(&retrying(3), str::to_owned), "nothing new");
    assert!(drawn(&view).contains("retrying, attempt 3 of 10"));
    assert!(view.take(&Progress::Text("a".to_owned()), str::to_owned), "it is over");
    assert!(!view.take(&Progress::Text("b".to_owned()), str::to_owned), "what is being written is not shown");
    assert!(view.take(&Progress::Compacting(true), str::to_owned));
    assert!(drawn(&view).contains("Making room"));
    view.stop();
    view.take(&retrying(4), str::to_owned);
    insta::assert_snapshot!(drawn(&view), @"
    -# ⏹ Stopping…
    -# On it.
    -# read a file
    ");
}

#[test]
fn of_many_things_to_do_those_that_are_done_are_left_out_first() {
    let todo = |n: usize, status| Todo { subject: format!("thing {n}"), status };
    let done = (0..4).map(|n| todo(n, TodoStatus::Completed));
    let open = (4..12).map(|n| todo(n, if n == 4 { TodoStatus::InProgress } else { TodoStatus::Pending }));
    let view = view_of([Progress::Todos(done.chain(open).collect())]);
    insta::assert_snapshot!(drawn(&view), @"
    -# ⚙ Working, started <t:1795000000:R>
    -# ☑ 4 more done
    -# ▣ thing 4
    -# ☐ thing 5
    -# ☐ thing 6
    -# ☐ thing 7
    -# ☐ thing 8
    -# ☐ thing 9
    -# ☐ thing 10
    -# ☐ thing 11
    ");
}

#[test]
fn a_secret_is_taken_out_before_anything_is_cut() {
    let secret = "s3cr3t".repeat(20);
    let long = format!("{} {secret}", "x".repeat(250));
    let mut view = View::new(1_795_000_000);
    let run = tool("1", ToolAction::Run(format!("curl -H {secret} {}", "y".repeat(90))));
    for step in [said(&long), run] {
        view.take(&step, |text| text.replace(&secret, "[secret]"));
    }
    let line = drawn(&view);
    assert!(!line.contains("s3cr"), "{line}");
}

#[test]
fn no_more_is_kept_than_can_be_shown() {
    let huge = "月".repeat(1 << 20);
    let mut view = View::new(1_795_000_000);
    view.take(&said(&huge), str::to_owned);
    view.take(&tool("1", ToolAction::Run(format!("{huge} the end"))), str::to_owned);
    assert!(format!("{view:?}").len() < 10_000);
    assert!(drawn(&view).contains("the end`"));
}

#[test]
fn what_is_taken_back_is_shown_no_more() {
    let mut view = view_of([said("never mind"), tool("1", ToolAction::Read)]);
    assert!(drawn(&view).contains("never mind"));
    assert!(view.take(&Progress::TakenBack, str::to_owned));
    assert!(!drawn(&view).contains("never mind"));
}

fn call_of(id: &str, name: &str, input: Value) -> Progress {
    let action = ToolAction::of(name, &input);
    Progress::Tool { id: id.to_owned(), name: name.to_owned(), action, input }
}

#[test]
fn where_all_is_shown_calls_are_folded_with_what_went_in_and_came_out() {
    let mut view = View::detailed(1_795_000_000);
    for step in [
        said("Let me see."),
        call_of("1", "Read", json!({"file_path": "a.rs", "limit": 3})),
        ended_with("1", "1\tfn main() {}\n"),
        call_of("2", "Bash", json!({"command": "make || true"})),
        Progress::ToolsEnded {
            calls: vec![EndedCall { id: "2".to_owned(), output: "no `rule`".to_owned(), has_failed: true }],
        },
        call_of("3", "Glob", json!({"pattern": "*"})),
        Progress::Thought("Is it the **parser**?".to_owned()),
    ] {
        assert!(view.take(&step, str::to_owned) || step == said("Let me see."), "{step:?}");
    }
    insta::assert_snapshot!(drawn(&view), @"
    -# ⚙ Working, started <t:1795000000:R>
    -# Let me see.
    -# 💭 ||`Is it the **parser**?`||
    -# ✓ Used `Read`
    -# ||`file_path: a.rs · limit: 3 → 1 fn main() {}`||
    -# ✓ Ran `make || true`
    -# ||`command: make ¦¦ true ✗ no 'rule'`||
    -# ▸ Using `Glob`
    -# ||`pattern: *`||
    ");
    insta::assert_snapshot!(view.whole().unwrap().1, @"
    Claude
        Let me see.

    Read
        file_path: a.rs
        limit: 3
    →
        1	fn main() {}

    Bash
        command: make || true
    → failed
        no `rule`

    Glob
        pattern: *

    Thinking
        Is it the **parser**?
    ");
    assert_eq!(view.whole().unwrap().0, 3);
}

#[test]
fn where_all_is_shown_no_secret_is_in_it_however_it_came() {
    let secret = "s3cr3t".repeat(20);
    let redact = |text: &str| text.replace(&secret, "[secret]");
    // Across the place where a long text is cut, and over several lines of one.
    let long = format!("{} {secret}", "x".repeat(64 * 1024 - 60));
    let mut view = View::detailed(1_795_000_000);
    for step in [
        Progress::Thought(format!("{} {secret}", "y".repeat(1440))),
        call_of("1", "Bash", json!({"command": secret, "env": [{"key": format!("a\n{secret}\nb")}]})),
        ended_with("1", &long),
        call_of("2", "Write", json!({"content": format!("{secret}\n").repeat(3000)})),
        ended_with("2", &format!("{} {secret} {}", "z".repeat(990), "z".repeat(2000))),
    ] {
        view.take(&step, redact);
        assert!(!drawn(&view).contains("s3cr"), "{}", drawn(&view));
    }
    let (_, file) = view.whole().unwrap();
    assert!(!file.contains("s3cr"), "{file}");
    assert!(file.contains("KB in all)"), "{file}");
}

#[test]
fn of_a_long_turn_the_oldest_details_are_left_out() {
    let mut view = View::detailed(1_795_000_000);
    for n in 0..500 {
        let id = n.to_string();
        view.take(&call_of(&id, "Bash", json!({"command": format!("make {n}")})), str::to_owned);
        view.take(&ended_with(&id, &"x".repeat(5000)), str::to_owned);
    }
    let (calls, file) = view.whole().unwrap();
    assert_eq!(calls, 500);
    assert!(file.starts_with("(earlier steps left out: "), "{}", &file[..80]);
    assert!(!file.contains("make 10\n") && file.contains("make 499\n"));
    assert!(file.len() < 300 * 1024, "{}", file.len());
}

/// Words that people and tools like to use against a bot.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@everyone"),
        Just("<@1>"),
        Just("<@&2>"),
        Just("<#3>"),
        Just("<t:0:R>"),
        Just("```"),
        Just("`"),
        Just("\\"),
        Just("**"),
        Just("__"),
        Just("||"),
        Just("~~"),
        Just("\n# "),
        Just("\n> "),
        Just("\r"),
        Just("[a](https://x.y)"),
        Just("\u{202e}"),
        Just("\u{200b}"),
        Just("🦀"),
        Just("月"),
        Just(" "),
        Just("word"),
    ];
    proptest::collection::vec(piece, 0..150).prop_map(|pieces| pieces.concat())
}

/// The characters that Discord would take for markup, outside of inline code.
fn markup(line: &str) -> String {
    let mut markup = String::new();
    let (mut in_code, mut is_escaped) = (false, false);
    for c in line.chars() {
        match c {
            '`' if !is_escaped => in_code = !in_code,
            _ if in_code || is_escaped => {}
            '*' | '_' | '~' | '|' | '<' | '[' | '@' => markup.push(c),
            _ => {}
        }
        is_escaped = c == '\\' && !in_code && !is_escaped;
    }
    if in_code {
        markup.push('`');
    }
    markup
}

proptest! {
    #[test]
    fn whatever_is_said_stays_in_its_line(said_text in nasty(), command in nasty(), subject in nasty(), many in 0usize..12) {
        let todos = vec![Todo { subject, status: TodoStatus::Pending }; many];
        let calls = (0..many).map(|n| tool(&n.to_string(), ToolAction::Run(command.clone())));
        let view = view_of([said(&said_text), tool("r", ToolAction::Read), Progress::Todos(todos)].into_iter().chain(calls));
        stays_in_its_line(&drawn(&view))?;
        let mut view = View::detailed(1_795_000_000);
        for n in 0..many {
            let id = n.to_string();
            view.take(&call_of(&id, &said_text, json!({"command": command})), str::to_owned);
            view.take(&ended_with(&id, &said_text), str::to_owned);
            view.take(&Progress::Thought(command.clone()), str::to_owned);
            stays_in_its_line(&drawn(&view))?;
        }
    }
}

fn stays_in_its_line(drawn: &str) -> Result<(), TestCaseError> {
    prop_assert!(is_line(drawn));
    prop_assert!(drawn.encode_utf16().count() <= 2000);
    let is_hidden = |c: char| matches!(c, '\r' | '\u{202e}' | '\u{200b}');
    prop_assert!(!drawn.contains(is_hidden), "{drawn}");
    for line in drawn.lines() {
        prop_assert!(line.starts_with("-# "), "{line}");
        let line = line.replace("<t:1795000000:R>", "");
        // What is folded.
        let folded = line.strip_prefix("-# ").map(|line| line.strip_prefix("💭 ").unwrap_or(line));
        let folded = folded.and_then(|line| line.strip_prefix("||")?.strip_suffix("||"));
        prop_assert!(folded.is_none_or(|folded| !folded.contains("||")), "{}", line);
        prop_assert_eq!(markup(folded.unwrap_or(&line)), "", "{}", line);
    }
    Ok(())
}
