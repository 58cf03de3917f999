//! The playground as somebody sees it who waits for what the bot says before they go on.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::separate::clean;
use crate::support::{MOONLANE, Stage, within};

struct Playground {
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Playground {
    fn start(stage: &Stage) -> (Child, Self) {
        let mut command = clean(MOONLANE, stage.root());
        command.arg("playground").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let playground = Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            said: String::new(),
        };
        (process, playground)
    }

    async fn types(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    fn ends_input(&mut self) {
        self.input = None;
    }

    /// The next line with this in it.
    async fn shows(&mut self, what: &str) -> String {
        let find = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                self.said += &format!("{line}\n");
                if line.contains(what) {
                    return Some(line);
                }
            }
            None
        };
        let found = within(what, find).await;
        found.unwrap_or_else(|| panic!("no {what} in:\n{}", self.said))
    }

    /// Presses what has this label in a line of buttons.
    async fn presses(&mut self, buttons: &str, label: &str) {
        let before = buttons.split(&format!("] {label}")).next().unwrap();
        let number = before.rsplit('[').next().unwrap().to_owned();
        assert!(number.parse::<u8>().is_ok(), "no {label} in {buttons}");
        self.types(&number).await;
    }
}

#[tokio::test]
async fn what_the_demo_agent_asks_can_be_answered_and_people_have_their_names() {
    let stage = Stage::without_bot(Default::default()).await;
    let (mut process, mut playground) = Playground::start(&stage);

    playground.types("question").await;
    playground.shows("@owner Claude asks").await;
    let buttons = playground.shows("] By name").await;
    playground.presses(&buttons, "By time of day").await;
    playground.shows("✅ Answered by @owner").await;
    let answer = playground.shows("The answer: ").await;
    assert!(answer.contains(r#"{"answers":{"How shall I greet people?":"By time of day"}}"#), "{answer}");

    playground.types("questions").await;
    let buttons = playground.shows("] Framed").await;
    for label in ["Framed", "Spanish, of Mexico", "Send"] {
        playground.presses(&buttons, label).await;
    }
    let answer = playground.shows("The answer: ").await;
    assert!(answer.contains(r#""How shall the greeting look?":"Framed""#), "{answer}");
    assert!(answer.contains(r#""Which languages shall it speak?":["Spanish, of Mexico"]"#), "{answer}");

    for (prompt, press, answer) in
        [("permission", "Allow once", "Bash was allowed."), ("plan", "Approve", "ExitPlanMode was allowed.")]
    {
        playground.types(prompt).await;
        let buttons = playground.shows(&format!("] {press}")).await;
        playground.presses(&buttons, press).await;
        playground.shows(answer).await;
    }
    playground.ends_input();
    assert!(within("its end", process.wait()).await.unwrap().success());
    assert!(!playground.said.contains("<@"), "{}", playground.said);
}

#[tokio::test]
async fn where_nobody_is_left_to_answer_a_piped_playground_says_so_and_ends() {
    let stage = Stage::without_bot(Default::default()).await;
    let (mut process, mut playground) = Playground::start(&stage);
    playground.types("question").await;
    playground.types("@ada").await;
    let buttons = playground.shows("] By name").await;
    // A stranger's press answers nothing.
    playground.presses(&buttons, "By name").await;
    playground.ends_input();
    playground.shows("· ended: nobody is left to answer what Claude asks").await;
    assert_eq!(within("its end", process.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn a_line_goes_with_a_file_and_the_last_answer_can_be_answered_and_forwarded() {
    let stage = Stage::without_bot(Default::default()).await;
    let (mut process, mut playground) = Playground::start(&stage);
    let path = stage.root().join("the notes.txt");
    std::fs::write(&path, "three words here").unwrap();

    playground.types("/forward").await;
    playground.shows("· moonlane has said nothing yet that could be forwarded").await;
    playground.types(&format!("'{}'", path.display())).await;
    playground.shows("· the notes.txt, 16 bytes, goes with the next line").await;
    playground.types("hello").await;
    playground.shows("── moonlane in #general").await;
    playground.types("/reply and more").await;
    playground.shows("── moonlane in #general").await;
    playground.types("/forward").await;
    playground.shows("· no answer: not meant for the bot").await;
    playground.types(&format!("/attach {}", path.display())).await;
    playground.types("").await;
    playground.shows("── moonlane in #general").await;
    playground.types("/attach /nowhere/at/all").await;
    playground.shows("· cannot attach /nowhere/at/all: ").await;
    playground.ends_input();
    assert_eq!(within("its end", process.wait()).await.unwrap().code(), Some(1), "a file was not sent");
}
