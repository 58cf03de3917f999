//! `moonlane turns ID`: what was decided in a turn, and by whom, while the bot runs.

use std::process::Stdio;

use moonlane::domain::MessageId;
use moonlane::local::Id;
use serde_json::json;

use crate::questions::{COLOURS, button, ended, question};
use crate::separate::clean;
use crate::support::{MOONLANE, Setup, Stage, routing_with, within};

/// The exit code, and what is printed, with names in place of ids and times.
async fn turns(stage: &Stage, id: &str) -> (i32, String) {
    let mut command = clean(MOONLANE, stage.root());
    command.arg("turns").arg(id).arg("--root").arg(stage.root());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = within("its end", command.output()).await.unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC").unwrap();
    let printed = time.replace_all(&printed, "TIME").into_owned();
    let people = ["ada", "bob", "carl"].map(|name| (stage.discord.user(name), name.to_uppercase()));
    let general = (stage.discord.channel("general"), "GENERAL".to_owned());
    let owner = (stage.discord.owner(), "OWNER".to_owned());
    let named = people.into_iter().chain([general, owner]);
    let printed = named.fold(printed, |text, (id, name)| text.replace(&id.to_string(), &name));
    (output.status.code().unwrap(), printed)
}

fn short(turn: Id) -> String {
    MessageId::new(turn.get()).unwrap().short()
}

/// The same of a turn that there is.
async fn told(stage: &Stage, turn: Id) -> String {
    let (code, printed) = turns(stage, &turn.to_string()).await;
    assert_eq!(code, 0, "{printed}");
    assert_eq!(turns(stage, &short(turn)).await, (0, printed.clone()), "by its short id, too");
    printed.replace(&turn.to_string(), "TURN").replace(&short(turn), "SHORT")
}

#[tokio::test]
async fn every_decision_of_a_turn_is_shown_with_who_decided() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let [ada, bob, carl] = ["ada", "bob", "carl"].map(|name| stage.discord.user(name));
    let keys = format!("scripts_may_allow = true, approvers = {{ users = {{ '{bob}', '{carl}' }} }}");
    let allow = format!("return {{ allow = {{ users = {{ '{ada}', '{bob}', '{carl}' }} }},");
    stage.save("routing.lua", &routing_with(&keys).replacen("return {", &allow, 1));
    stage.save(
        "hooks.lua",
        "return { on_permission = function(request)
            if request.input.command == 'make' then return 'allow' end
            if request.input.command == 'git push' then return { deny = 'nobody pushes' } end
        end }",
    );
    stage.start().await;
    // Carl has never written anything, so only his id is known.
    let bobs = stage.say_as("bob", "elsewhere", "TEXT:hello");
    stage.settled(bobs).await;
    let asks = ["make", "git push", "ls -l", "rm x", "rm y"]
        .map(|command| format!("ASK:Bash:{command}"))
        .join(" ;; ");
    let last = "ASK:Bash:printf '\\e[2J'";
    let turn = stage.say_as("ada", "general", &format!("{asks} ;; {} ;; {last}", COLOURS.replace('\n', "")));
    for (person, press) in [(ada, "session"), (bob, "why"), (carl, "allow"), (ada, "pick1")] {
        let asked = question(&stage, "general").await;
        let pressed = stage.discord.press(asked.id, person, &button(&asked, press)).unwrap();
        if press == "why" {
            within("a form", stage.discord.form(pressed)).await;
            let words = json!("Not before Friday.\nAnd not \u{1b}[2J then.");
            stage.discord.submit(pressed, &[("words", words)]).unwrap();
        }
        ended(&stage, &asked).await;
    }
    let asked = question(&stage, "general").await;
    let open = told(&stage, turn).await;
    assert!(open.contains("\nwaits for an answer\n"), "{open}");
    stage.discord.delete(turn);
    ended(&stage, &asked).await;
    stage.settled(turn).await;
    insta::assert_snapshot!(told(&stage, turn).await, @r#"
    turn TURN (SHORT) of project here in channel GENERAL: cancelled
    asked by ada (ADA) at TIME

    allowed once by a script
      asked at TIME, decided at TIME
      Claude wants to run a command:
      ```sh
      make
      ```
      -# “Allow for this session” also allows `Bash(make *)`

    denied by a script
      asked at TIME, decided at TIME
      why: nobody pushes
      Claude wants to run a command:
      ```sh
      git push
      ```
      -# “Allow for this session” also allows `Bash(git *)`

    allowed for this session by ada (ADA)
      asked at TIME, decided at TIME
      Claude wants to run a command:
      ```sh
      ls -l
      ```
      -# “Allow for this session” also allows `Bash(ls *)`

    denied by bob (BOB)
      asked at TIME, decided at TIME
      why: Not before Friday.
           And not \u{1b}[2J then.
      Claude wants to run a command:
      ```sh
      rm x
      ```
      -# “Allow for this session” also allows `Bash(rm *)`

    allowed once by CARL
      asked at TIME, decided at TIME
      Claude wants to run a command:
      ```sh
      rm y
      ```
      -# “Allow for this session” also allows `Bash(rm *)`

    answered by ada (ADA)
      asked at TIME, decided at TIME
      Claude asks:
      -# Colour
      **Which colour?**
      1. Red: warm
      2. Blue: cold

    withdrawn: the turn was stopped or was over
      asked at TIME, decided at TIME
      Claude wants to run a command:
      ```sh
      printf '\e[2J'
      ```
      -# “Allow for this session” also allows `Bash(printf *)`

    allowed in its conversation without asking: Bash(ls *)
    "#);
}

#[tokio::test]
async fn what_nobody_decided_in_time_is_shown_as_that_and_a_turn_without_questions_has_none() {
    let setup = Setup { routing: routing_with("limits = { question = 0.05 }"), ..Setup::default() };
    let mut stage = Stage::with(setup).await;
    let turn = stage.say("general", "ASK:Bash:make");
    stage.settled(turn).await;
    let plain = stage.say("general", "TEXT:hello");
    stage.settled(plain).await;
    insta::assert_snapshot!([told(&stage, turn).await, told(&stage, plain).await].join("\n"), @"
    turn TURN (SHORT) of project here in channel GENERAL: answered
    asked by owner (OWNER) at TIME

    denied by the time limit
      asked at TIME, decided at TIME
      Claude wants to run a command:
      ```sh
      make
      ```
      -# “Allow for this session” also allows `Bash(make *)`

    turn TURN (SHORT) of project here in channel GENERAL: answered
    asked by owner (OWNER) at TIME
    Claude asked nothing.
    ");
    insta::assert_snapshot!(turns(&stage, "zzzzzz").await.1, @"moonlane: there is no turn zzzzzz; those of more than 30 days ago are forgotten");
    assert_eq!(turns(&stage, "zzzzzz").await.0, 1);
}
