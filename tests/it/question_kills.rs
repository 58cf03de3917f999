//! The bot is killed at each step of a question's life, and the next one takes it up: told once, answered at most once,
//! nothing runs twice, and no button is left that does nothing.

use moonlane::local::{Fault, Id, Message};

use crate::commands::buttons;
use crate::crashes::{FOR_EVER, Program, outcome, stored, until};
use crate::questions::{COLOURS, PLAN, button};
use crate::support::{Setup, Stage, routing_with};

/// What is asked, what answers it, and what answers it once a restart has left it.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("permission", "ASK:Bash:make", "allow", "go_on"),
    ("choice", COLOURS, "pick1", "pick1"),
    ("plan", PLAN, "approve", "approve"),
    ("elicitation", "FORM:forms", "decline", "go_on"),
];

/// Where the bot is killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Written,
    Posted,
    Recorded,
    Answered,
    Shown,
    Left,
    WentOn,
    AtWork,
}

const MOMENTS: [(Moment, &str); 8] = [
    (Moment::Written, "written, not posted"),
    (Moment::Posted, "posted, not recorded"),
    (Moment::Recorded, "recorded"),
    (Moment::Answered, "answered, not shown"),
    (Moment::Shown, "answered and shown"),
    (Moment::Left, "left by a kill, not shown"),
    (Moment::WentOn, "gone on after a kill, not begun"),
    (Moment::AtWork, "gone on after a kill, at work"),
];

/// An agent does not start while there is a file `stop`.
fn setup() -> Setup {
    let command = r#"command = { "sh", "-c", 'while [ -e stop ]; do sleep 0.01; done; exec "$@"', "sh" }"#;
    Setup { routing: routing_with(command), ..Setup::default() }
}

/// The messages in which Claude asks.
fn asked(stage: &Stage) -> Vec<Message> {
    let messages = stage.discord.messages(stage.discord.channel("general"));
    messages.into_iter().filter(|it| it.nonce.as_ref().is_some_and(|it| it.starts_with("q-"))).collect()
}

/// The only one, once it is like this.
async fn asked_once(stage: &Stage, what: &str, is: impl Fn(&Message) -> bool) -> Message {
    until(what, || asked(stage).into_iter().find(&is)).await
}

async fn in_store(stage: &Stage, is: &str) {
    let sql = format!("SELECT 1 FROM questions WHERE {is}");
    until(is, || stored::<i64>(stage, &sql, ())).await;
}

fn press(stage: &Stage, question: &Message, what: &str) {
    let id = button(question, what);
    stage.discord.press(question.id, stage.discord.owner(), &id).unwrap();
}

/// What agents were asked, besides the first prompt.
fn went_on(stage: &Stage) -> usize {
    stage.agent_log().iter().filter(|it| it.event == "prompt").count() - 1
}

/// Has the question asked and the bot killed at this moment; the turn.
async fn killed(stage: &Stage, moment: Moment, (_, prompt, now, later): (&str, &str, &str, &str)) -> Id {
    let channel = stage.discord.channel("general");
    let (posts, edits) = (format!("POST /channels/{channel}/messages"), format!("PATCH /channels/{channel}"));
    match moment {
        Moment::Written => stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts),
        Moment::Posted => stage.discord.fail_next(1, Fault::DropAfter, &posts),
        _ => {}
    }
    let bot = Program::start(stage).await;
    // What follows the answer does not end before the kill.
    let turn = stage.say("general", &format!("{} ;; UNTIL:gate", prompt.replace('\n', "")));
    match moment {
        Moment::Written => in_store(stage, "posted IS NULL").await,
        Moment::Posted => drop(asked_once(stage, "the post", |_| true).await),
        _ => in_store(stage, "posted IS NOT NULL").await,
    }
    match moment {
        Moment::Answered | Moment::Shown => {
            if moment == Moment::Answered {
                stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &edits);
            }
            press(stage, &asked(stage)[0], now);
            in_store(stage, "state <> 'open'").await;
            if moment == Moment::Shown {
                asked_once(stage, "its end", |it| buttons(it).is_empty()).await;
            }
        }
        Moment::Left => {
            bot.kill().await;
            stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &edits);
            let bot = Program::start(stage).await;
            in_store(stage, "state = 'left'").await;
            bot.kill().await;
            return turn;
        }
        Moment::WentOn | Moment::AtWork => {
            bot.kill().await;
            let bot = Program::start(stage).await;
            let left = asked_once(stage, "what is left", |it| it.content.contains("I was restarted")).await;
            outcome(stage, turn).await;
            if moment == Moment::WentOn {
                std::fs::write(stage.work().join("stop"), "").unwrap();
            }
            press(stage, &left, later);
            in_store(stage, "state = 'resumed'").await;
            if moment == Moment::AtWork {
                until("the turn that goes on", || (went_on(stage) == 1).then_some(())).await;
            }
            bot.kill().await;
            let _ = std::fs::remove_file(stage.work().join("stop"));
            return turn;
        }
        _ => {}
    }
    bot.kill().await;
    turn
}

/// The bot is killed at this moment, and the next one takes up what is left; what became of it.
async fn becomes(kind: (&str, &str, &str, &str), (moment, name): (Moment, &str)) -> String {
    let stage = Stage::without_bot(setup()).await;
    let turn = killed(&stage, moment, kind).await;
    stage.no_agent_is_left().await;
    stage.discord.heal();
    stage.discord.forget_nonces();
    let _bot = Program::start(&stage).await;
    let end = outcome(&stage, turn).await;
    // What was never posted is looked for once more after a minute, as Discord may be late.
    if moment != Moment::Written {
        in_store(&stage, "state = shown").await;
    }
    let left = asked(&stage).into_iter().find(|it| !buttons(it).is_empty());
    if let Some(left) = left {
        // Twice, and one of them counts.
        press(&stage, &left, kind.3);
        press(&stage, &left, kind.3);
        asked_once(&stage, "its end", |it| buttons(it).is_empty()).await;
    }
    let open = "SELECT count(*) FROM turns WHERE state IN ('waiting', 'running')";
    until("the end of all", || (stored::<i64>(&stage, open, ()) == Some(0)).then_some(())).await;
    let shown = asked(&stage).pop().map(|it| it.content).unwrap_or_default();
    let line = shown.lines().last().unwrap_or("it is not there");
    let line = line.replace(&stage.discord.owner().to_string(), "owner");
    let (times, told, went_on) = (asked(&stage).len(), stage.parts(turn).len(), went_on(&stage));
    format!("{}, {name}: asked {times}×, the turn {end}, told {told}×, went on {went_on}×, {line}\n", kind.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_bot_is_killed_a_question_is_told_once_and_answered_at_most_once() {
    let all_of = async |kind| {
        let mut table = String::new();
        for moment in MOMENTS {
            table += &becomes(kind, moment).await;
        }
        table
    };
    let [one, two, three, four] = KINDS;
    let (one, two, three, four) = tokio::join!(all_of(one), all_of(two), all_of(three), all_of(four));
    let table = format!("{one}\n{two}\n{three}\n{four}");
    println!("{table}");
    crate::access_matrix::snapshot("kills_and_questions", &table);
}
