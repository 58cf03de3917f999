//! The picture in the README: what the playground shows of a turn at work, as it was printed.
//!
//! `MOONLANE_WRITE=1 cargo test --locked --test it picture` makes it anew. Otherwise this test says whether it is still what
//! the playground shows.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::separate::clean;
use crate::support::{MOONLANE, Stage, within};

const FILE: &str = "snapshots/readme/turn.svg";

/// The playground prints this to the prompt `work`, ten times as fast as for people.
async fn printed() -> Vec<String> {
    let stage = Stage::without_bot(Default::default()).await;
    let mut command = clean(MOONLANE, stage.root());
    command.arg("playground").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut playground = command.spawn().unwrap();
    playground.stdin.take().unwrap().write_all(b"work 10\n").await.unwrap();
    let ended = within("its end", playground.wait_with_output()).await.unwrap();
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What the picture shows of it: the question, the first state of the line, and the answer.
fn shown(printed: &[String]) -> Vec<String> {
    let question = printed.iter().filter(|line| line.starts_with('@')).cloned();
    let is_state = |line: &&String| line.starts_with("┊ ");
    let state = printed.iter().skip_while(|line| !is_state(line)).take_while(is_state).cloned();
    let answer = printed.iter().skip_while(|line| !line.starts_with("── moonlane in")).cloned();
    let answer = answer.take_while(|line| !line.starts_with("· "));
    let gap = || std::iter::once(String::new());
    question.chain(gap()).chain(state).chain(gap()).chain(answer).collect()
}

fn drawn(lines: &[String]) -> String {
    const ROW: usize = 22;
    let height = 32 + ROW * lines.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" viewBox=\"0 0 760 {height}\" font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\">\n\
         <title>A turn at work, in the playground</title>\n\
         <rect width=\"760\" height=\"{height}\" rx=\"8\" fill=\"#313338\"/>\n"
    );
    for (place, line) in lines.iter().enumerate() {
        let fill = match line.chars().next() {
            Some('┊') => "#a5a8ad",
            Some('@') => "#8ea1f7",
            Some('─') => "#6d7178",
            _ => "#f2f3f5",
        };
        let text = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let y = 32 + ROW * place;
        writeln!(svg, "<text x=\"20\" y=\"{y}\" fill=\"{fill}\" xml:space=\"preserve\">{text}</text>")
            .unwrap();
    }
    svg + "</svg>\n"
}

/// Without the numbers, which a busy machine makes larger.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>().replace("seconds", "second")
}

#[tokio::test]
async fn it_is_what_the_playground_shows() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let mut now = String::new();
    // On a busy machine the first state may be a later one.
    for _ in 0..5 {
        let lines = shown(&printed().await);
        assert!(lines.iter().any(|line| line.contains("Stop")), "{lines:#?}");
        now = drawn(&lines);
        if std::env::var_os("MOONLANE_WRITE").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            return std::fs::write(&file, now).unwrap();
        }
        if without_numbers(&std::fs::read_to_string(&file).unwrap()) == without_numbers(&now) {
            return;
        }
    }
    panic!("{FILE} shows something else: MOONLANE_WRITE=1 cargo test --locked --test it picture\n{now}");
}
