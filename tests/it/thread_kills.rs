//! The bot is killed at each step on the way to a thread and an answer in it, and the next one takes it up: one thread,
//! one answer, whether a message asks or a command.

use moonlane::local::{Fault, Id, Say, UseCommand};

use crate::commands::add_shipped;
use crate::crashes::{FOR_EVER, Program, outcome, until};
use crate::support::{Setup, Stage, routing_with};

/// Where the bot is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    PromptAsked,
    PromptPosted,
    ThreadAsked,
    ThreadOpened,
    NobodyAdded,
    AtWork,
    AnswerAsked,
    AnswerPosted,
}

const MOMENTS: [(Moment, &str); 8] = [
    (Moment::PromptAsked, "the prompt is on its way"),
    (Moment::PromptPosted, "the prompt is posted, and nobody knows"),
    (Moment::ThreadAsked, "the thread is asked for"),
    (Moment::ThreadOpened, "the thread is open, and nobody knows"),
    (Moment::NobodyAdded, "the thread is open, and its author not in it"),
    (Moment::AtWork, "at work"),
    (Moment::AnswerAsked, "the answer is on its way"),
    (Moment::AnswerPosted, "the answer is posted, and nobody knows"),
];

const PROMPT: &str = "SLEEP:0.3 ;; TEXT:yes";

/// The messages there that say just this.
fn count(stage: &Stage, channel: Id, says: &str) -> usize {
    stage.discord.messages(channel).iter().filter(|it| it.by_bot && it.content.contains(says)).count()
}

fn thread(stage: &Stage) -> Option<Id> {
    stage.discord.threads(stage.discord.channel("general")).first().copied()
}

/// Waits until Discord was asked for this, perhaps in vain.
async fn called(stage: &Stage, method: &str, path: &str) {
    let is_it = |call: &moonlane::local::Call| call.method == method && call.path.contains(path);
    until(path, || stage.discord.calls().iter().any(is_it).then_some(())).await;
}

async fn asked(stage: &Stage, by_command: bool) -> Id {
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    if !by_command {
        return stage.discord.say(Say::to_bot(channel, owner, PROMPT));
    }
    let used = UseCommand::new(channel, owner, "new").option("prompt", PROMPT);
    until("the command", || stage.discord.commands().iter().any(|it| it.name == "new").then_some(())).await;
    stage.discord.use_command(used).unwrap()
}

async fn becomes(by_command: bool, (moment, name): (Moment, &str)) -> String {
    let setup = Setup { routing: routing_with("thread = 'message', live = 'off',"), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    add_shipped(&stage);
    let channel = stage.discord.channel("general");
    let posts = format!("POST /channels/{channel}/messages");
    let fault = match moment {
        Moment::PromptAsked => Some((Fault::Delay(FOR_EVER), posts.as_str())),
        Moment::PromptPosted => Some((Fault::DropAfter, posts.as_str())),
        Moment::ThreadAsked => Some((Fault::Delay(FOR_EVER), "/threads")),
        Moment::ThreadOpened => Some((Fault::DropAfter, "/threads")),
        Moment::NobodyAdded => Some((Fault::Delay(FOR_EVER), "/thread-members/")),
        Moment::AtWork | Moment::AnswerAsked | Moment::AnswerPosted => None,
    };
    if let Some((fault, calls)) = fault {
        stage.discord.fail_next(1, fault, calls);
    }
    let bot = Program::start(&stage).await;
    let turn = asked(&stage, by_command).await;
    match moment {
        Moment::PromptAsked | Moment::PromptPosted => {
            called(&stage, "POST", &format!("/channels/{channel}/messages")).await;
        }
        Moment::ThreadAsked => called(&stage, "POST", "/threads").await,
        Moment::ThreadOpened => until("a thread", || thread(&stage).map(drop)).await,
        Moment::NobodyAdded => called(&stage, "PUT", "/thread-members/").await,
        Moment::AtWork => drop(stage.prompted(PROMPT).await),
        Moment::AnswerAsked | Moment::AnswerPosted => {
            let thread = until("a thread", || thread(&stage)).await;
            let fault = if moment == Moment::AnswerAsked { Fault::Delay(FOR_EVER) } else { Fault::DropAfter };
            let path = format!("/channels/{thread}/messages");
            stage.discord.fail_next(1, fault, &format!("POST {path}"));
            called(&stage, "POST", &path).await;
        }
    }
    bot.kill().await;
    stage.no_agent_is_left().await;
    stage.discord.heal();
    stage.discord.forget_nonces();
    let _bot = Program::start(&stage).await;
    let end = outcome(&stage, turn).await;
    let threads = stage.discord.threads(channel);
    let there = *threads.first().unwrap();
    let asked = stage.agent_log().iter().filter(|it| it.event == "prompt").count();
    let owner = stage.discord.owner();
    format!(
        "{}, {name}: {} thread, with its author {}, the turn {end}, asked {asked}×, prompt shown {}×, answer {}× there and {}× in the channel, told of the restart {}×\n",
        if by_command { "by /new" } else { "by a mention" },
        threads.len(),
        stage.discord.thread_state(there).unwrap().members.contains(&owner),
        count(&stage, channel, "asks:"),
        count(&stage, there, "yes\n"),
        count(&stage, channel, "yes\n"),
        count(&stage, there, "⚠️"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_bot_is_killed_there_is_one_thread_and_one_answer_in_it() {
    let all_of = async |by_command: bool| {
        let mut table = String::new();
        for moment in MOMENTS {
            let is_of_commands = matches!(moment.0, Moment::PromptAsked | Moment::PromptPosted);
            if by_command || !is_of_commands {
                table += &becomes(by_command, moment).await;
            }
        }
        table
    };
    let (by_message, by_command) = tokio::join!(all_of(false), all_of(true));
    let table = format!("{by_message}\n{by_command}");
    println!("{table}");
    crate::access_matrix::snapshot("kills_and_threads", &table);
}
