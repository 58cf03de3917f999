//! What people see of commands and dialogs when the bot stops: nobody is left with a bot that "is thinking".

use std::time::Duration;

use moonlane::local::{Fault, Id, Message};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{add_shipped, buttons, let_in, said, says, shipped, use_as};
use crate::busy::Stopwatch;
use crate::crashes::{FOR_EVER, Program, until};
use crate::separate::{Process, bot_on};
use crate::support::{Setup, Stage, routing_with, within};

const QUESTION_OVER: &str =
    "⚠️ I'm restarting, so this question is closed. Use the command again in a minute.";
const ENDED_EARLY: &str =
    "⚠️ I'm restarting, so this command ended early. Check what it did, then use it again.";
const RESTARTING: &str = "I'm restarting. Try again in a minute.";

/// The longest that the bot may take to stop.
const LIMIT: Duration = Duration::from_secs(10);

/// Waits for Discord after it has deferred: `ctx:send` to the channel `other`.
const HANGS: &str = "function(ctx) ctx:defer() ctx:send { 'hello', channel = 'OTHER' } ctx:reply 'Sent.' end";
const ASKS: &str = "function(ctx) ctx:reply(ctx:confirm { 'Sure?', timeout = 3600 } and 'Yes.' or 'No.') end";
const ASKS_ALONE: &str = "function(ctx) ctx:confirm { 'Sure?', timeout = 3600, ephemeral = true } end";
const OFFERS: &str = "function(ctx)
    ctx:choose { 'Which?', options = { 'a', 'b', 'c', 'd', 'e', 'f' }, timeout = 3600 }
end";

/// Adds commands to a stage whose bot has not started.
fn save(stage: &Stage, commands: &[(&str, &str)]) {
    let other = stage.discord.channel("other").to_string();
    for (name, run) in commands {
        let run = run.replace("OTHER", &other);
        let script = format!("return {{ name = '{name}', description = 'x', run = {run} }}");
        stage.save(&format!("commands/{name}.lua"), &script);
    }
}

/// Tells the bot to stop, and waits until it is gone.
async fn stop(bot: Program) -> Stopwatch {
    let begun = Stopwatch::start();
    assert!(bot.stop().await.success());
    assert!(begun.is_within(LIMIT), "{begun:?}");
    begun
}

/// The message of a dialog that the restart has ended.
#[track_caller]
fn assert_is_over(stage: &Stage, dialog: Id) {
    let message = stage.discord.message(dialog).unwrap();
    let question = message.content.split("\n\n").next().unwrap();
    assert_eq!(message.content, format!("{question}\n\n{QUESTION_OVER}"));
    let controls = serde_json::to_string(&message.components).unwrap();
    let (all, off) =
        (controls.matches("\"custom_id\"").count(), controls.matches("\"disabled\":true").count());
    assert!(all > 0 && all == off, "all of it is switched off: {controls}");
}

/// Whether somebody reads for ever that the bot is thinking.
fn is_left_thinking(stage: &Stage, interaction: Id) -> bool {
    stage.discord.response(interaction).is_some_and(|response| response.loading)
}

/// Nothing comes back from Discord to the use that hangs.
fn hang(stage: &Stage) {
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("other"));
    stage.discord.fail_next(1000, Fault::Delay(FOR_EVER), &posts);
}

#[tokio::test]
async fn everybody_who_waits_for_a_command_is_told_that_the_bot_restarts() {
    let stage = shipped().await;
    save(&stage, &[("hangs", HANGS), ("asks", ASKS), ("alone", ASKS_ALONE), ("offers", OFFERS)]);
    hang(&stage);
    let bot = Program::start(&stage).await;
    let mut dialogs = Vec::new();
    for command in ["asks", "alone", "offers", "asks", "alone", "offers", "asks", "alone", "offers", "asks"] {
        dialogs.push(said(&stage, "owner", command, &[]).await.id);
    }
    let hangs = use_as(&stage, "ada", "hangs", &[]);
    let deferred = within("a deferral", stage.discord.acknowledged(hangs)).await;
    assert!(deferred.loading, "{deferred:?}");

    stop(bot).await;
    for dialog in &dialogs {
        assert_is_over(&stage, *dialog);
    }
    let told = stage.discord.response(hangs).unwrap();
    assert!(!told.loading, "{told:?}");
    assert_eq!(told.message.unwrap().content, ENDED_EARLY);
    let general = stage.discord.messages(stage.discord.channel("general"));
    let by_bot: Vec<_> = general.iter().filter(|message| message.by_bot).map(|it| &it.content).collect();
    assert_eq!(by_bot.len(), dialogs.len() + 1, "nobody is told twice: {by_bot:#?}");

    // Nothing is left of them for the next bot.
    let _bot = Program::start(&stage).await;
    assert_eq!(said(&stage, "owner", "asks", &[]).await.content, "Sure?");
}

#[tokio::test]
async fn after_a_kill_the_first_press_of_an_old_button_says_that_it_is_over() {
    let stage = shipped().await;
    save(&stage, &[("asks", ASKS)]);
    let bot = Program::start(&stage).await;
    let question = said(&stage, "owner", "asks", &[]).await;
    bot.kill().await;
    let _bot = Program::start(&stage).await;
    let pressed = stage.discord.press(question.id, stage.discord.owner(), &buttons(&question)[0]).unwrap();
    let told = says(&stage, pressed).await;
    assert_eq!(told.content, "This question is closed. Use the command again if you still need it.");
}

#[tokio::test]
async fn a_press_of_a_button_that_the_bot_does_not_know_says_so() {
    let stage = shipped().await;
    let _bot = Program::start(&stage).await;
    let button = json!({ "type": 2, "style": 1, "label": "Old", "custom_id": "of an older version" });
    let post = json!({ "content": "Old.", "components": [{ "type": 1, "components": [button] }] });
    let general = stage.discord.channel("general");
    let posted = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/api/v10/channels/{general}/messages", stage.discord.url()))
        .header("authorization", format!("Bot {}", stage.discord.token()))
        .json(&post)
        .send();
    let posted: Value = posted.await.unwrap().error_for_status().unwrap().json().await.unwrap();
    let message = Id::from(posted["id"].as_str().unwrap().parse::<u64>().unwrap());
    let pressed = stage.discord.press(message, stage.discord.owner(), "of an older version").unwrap();
    assert_eq!(says(&stage, pressed).await.content, "This button no longer does anything.");
}

#[tokio::test]
async fn a_bot_that_is_killed_while_it_stops_leaves_dialogs_that_are_told_or_over() {
    const TOLD: usize = 4;
    let stage = shipped().await;
    save(&stage, &[("asks", ASKS)]);
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    let mut dialogs = Vec::new();
    for _ in 0..10 {
        dialogs.push(said(&stage, "owner", "asks", &[]).await);
    }
    stage.discord.fail_next(TOLD, Fault::Delay(Duration::ZERO), "PATCH /webhooks/");
    stage.discord.fail_next(1000, Fault::Delay(FOR_EVER), "PATCH /webhooks/");
    bot.signal(Signal::TERM);
    let is_told =
        |dialog: &Message| stage.discord.message(dialog.id).unwrap().content.contains(QUESTION_OVER);
    let told = || dialogs.iter().filter(|dialog| is_told(dialog)).count();
    until("some that are told", || (told() == TOLD).then_some(())).await;
    bot.kill().await;
    stage.discord.heal();

    let _bot = Program::start(&stage).await;
    assert_eq!(told(), TOLD);
    for dialog in &dialogs {
        let pressed = stage.discord.press(dialog.id, stage.discord.owner(), &buttons(dialog)[0]);
        match is_told(dialog) {
            true => assert!(pressed.is_err(), "it is switched off"),
            false => {
                let answer = says(&stage, pressed.unwrap()).await.content;
                assert_eq!(answer, "This question is closed. Use the command again if you still need it.");
            }
        }
    }
}

#[tokio::test]
async fn two_hundred_open_dialogs_are_told_in_time() {
    const MANY: usize = 200;
    let stage = shipped().await;
    save(&stage, &[("hangs", HANGS), ("asks", ASKS)]);
    hang(&stage);
    let bot = Program::start(&stage).await;
    let mut dialogs = Vec::new();
    for _ in 0..MANY {
        dialogs.push(said(&stage, "owner", "asks", &[]).await.id);
    }
    let hangs = use_as(&stage, "ada", "hangs", &[]);
    within("a deferral", stage.discord.acknowledged(hangs)).await;
    stop(bot).await;
    for dialog in dialogs {
        assert_is_over(&stage, dialog);
    }
    assert!(!is_left_thinking(&stage, hangs));
}

#[tokio::test]
async fn a_command_that_catches_everything_is_ended_all_the_same() {
    let stage = shipped().await;
    let loops = "function(ctx)
        ctx:defer()
        while true do pcall(ctx.send, ctx, { 'hello', channel = 'OTHER' }) end
    end";
    let insists = "function(ctx) while not pcall(ctx.confirm, ctx, 'Sure?') do end end";
    save(&stage, &[("loops", loops), ("insists", insists)]);
    hang(&stage);
    let bot = Program::start(&stage).await;
    let loops = use_as(&stage, "ada", "loops", &[]);
    within("a deferral", stage.discord.acknowledged(loops)).await;
    let question = said(&stage, "ada", "insists", &[]).await;
    stop(bot).await;
    assert_eq!(stage.discord.response(loops).unwrap().message.unwrap().content, ENDED_EARLY);
    assert_is_over(&stage, question.id);
}

#[tokio::test]
async fn an_answer_that_hangs_keeps_nobody_from_being_told() {
    let stage = shipped().await;
    save(&stage, &[("slow", "function(ctx) ctx:defer() ctx:reply 'Here.' end")]);
    let bot = Program::start(&stage).await;
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), "PATCH /webhooks/");
    let used = use_as(&stage, "ada", "slow", &[]);
    let tries = || stage.discord.calls().iter().any(|call| call.method == "PATCH").then_some(());
    until("the answer on its way", tries).await;
    stop(bot).await;
    assert_eq!(stage.discord.response(used).unwrap().message.unwrap().content, ENDED_EARLY);
}

#[tokio::test]
async fn who_has_been_answered_already_hears_alone_that_the_rest_is_missing() {
    let stage = shipped().await;
    let says_first = "function(ctx) ctx:reply 'First.' ctx:send { 'hello', channel = 'OTHER' } end";
    save(&stage, &[("first", says_first)]);
    hang(&stage);
    let bot = Program::start(&stage).await;
    let used = use_as(&stage, "ada", "first", &[]);
    assert_eq!(says(&stage, used).await.content, "First.");
    stop(bot).await;
    let [told] = &stage.discord.response(used).unwrap().follow_ups[..] else { panic!("one more message") };
    assert_eq!(told.content, ENDED_EARLY);
    assert_eq!(told.ephemeral_to, Some(stage.discord.user("ada")));
}

#[tokio::test]
async fn a_discord_that_does_not_answer_and_a_second_signal_change_nothing_about_the_ten_seconds() {
    let stage = shipped().await;
    save(&stage, &[("hangs", HANGS), ("asks", ASKS)]);
    hang(&stage);
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    for _ in 0..3 {
        said(&stage, "owner", "asks", &[]).await;
    }
    let hangs = use_as(&stage, "ada", "hangs", &[]);
    within("a deferral", stage.discord.acknowledged(hangs)).await;
    stage.discord.fail_next(1000, Fault::Delay(FOR_EVER), "");
    let begun = Stopwatch::start();
    bot.signal(Signal::TERM);
    bot.line("ends early").await;
    bot.signal(Signal::TERM);
    assert!(bot.ended().await.success(), "{}", bot.said());
    assert!(begun.is_within(LIMIT), "{begun:?}");
    bot.line("not everything could be posted in time").await;
}

#[tokio::test]
async fn whoever_comes_while_the_bot_stops_is_told_to_come_again() {
    // The scripts name no guild, so Discord is asked whether an owner is in this one: it takes its time.
    let stage = shipped().await;
    let member = format!("GET /guilds/{}/members/{}", stage.discord.guild(), stage.discord.owner());
    stage.discord.fail_next(1000, Fault::Delay(FOR_EVER), &member);
    let bot = Program::start(&stage).await;
    let used = use_as(&stage, "ada", "ask", &[("prompt", "TEXT:never")]);
    let asks = || stage.discord.calls().iter().any(|call| member.ends_with(&call.path)).then_some(());
    until("the question who is there", asks).await;
    let took = stop(bot).await;
    assert!(
        took.is_within(Duration::from_secs(2)),
        "nobody waits for a command that has not begun: {took:?}"
    );
    let told = says(&stage, used).await;
    assert_eq!(told.content, RESTARTING);
    assert_eq!(told.ephemeral_to, Some(stage.discord.user("ada")));
    stage.discord.heal();
    let _bot = Program::start(&stage).await;
    let told = said(&stage, "ada", "ask", &[("prompt", "TEXT:again")]).await;
    assert_eq!(told.content, "Asked: TEXT:again");
    until("the question", || (!asked(&stage).is_empty()).then_some(())).await;
    assert_eq!(asked(&stage), ["TEXT:again"]);
}

#[tokio::test]
async fn a_bot_that_is_stopped_before_it_is_ready_leaves_nobody_waiting() {
    let stage = shipped().await;
    save(&stage, &[("hangs", HANGS), ("asks", ASKS)]);
    hang(&stage);
    // So that Discord knows the commands.
    stop(Program::start(&stage).await).await;
    save(&stage, &[("new", ASKS)]);
    stage.discord.fail_next(1000, Fault::Delay(FOR_EVER), "PUT /applications/");
    let mut bot = Process::start(&mut bot_on(&stage));
    bot.line("connected to Discord").await;
    let hangs = use_as(&stage, "ada", "hangs", &[]);
    within("a deferral", stage.discord.acknowledged(hangs)).await;
    let question = said(&stage, "owner", "asks", &[]).await;
    bot.signal(Signal::TERM);
    assert!(bot.ended().await.success(), "{}", bot.said());
    assert!(!bot.said().contains(" ready "), "it was still starting: {}", bot.said());
    assert!(!is_left_thinking(&stage, hangs), "{}", bot.said());
    assert_eq!(stage.discord.response(hangs).unwrap().message.unwrap().content, ENDED_EARLY);
    assert_is_over(&stage, question.id);
}

/// The prompts that stand in the channel.
fn asked(stage: &Stage) -> Vec<String> {
    let messages = stage.discord.messages(stage.discord.channel("general"));
    let prompt = |message: Message| Some(message.content.strip_prefix("**ada** asks:\n")?.to_owned());
    messages.into_iter().filter_map(prompt).collect()
}

#[tokio::test]
async fn what_is_asked_by_a_command_while_the_bot_stops_is_answered_once_or_refused() {
    const EACH: usize = 8;
    let config = format!("{}[agent]\nmax_running = 4\n", crate::support::ONE_FOR_MANY);
    let stage = Stage::without_bot(Setup { config, ..Setup::default() }).await;
    add_shipped(&stage);
    let_in(&stage, "ada", &routing_with(""));
    let mut used = Vec::new();
    for round in 0..6 {
        let bot = Program::start(&stage).await;
        for number in 0..EACH {
            let prompt = format!("TEXT:{round}-{number}");
            used.push((use_as(&stage, "ada", "ask", &[("prompt", &prompt)]), prompt));
            // Another moment each time: the use has not arrived, is at the gate, in the scripts, written, posted.
            tokio::time::sleep(Duration::from_micros(400 * round)).await;
        }
        stop(bot).await;
    }
    let _bot = Program::start(&stage).await;
    let said = |prompt: &str| {
        let messages = stage.discord.messages(stage.discord.channel("general"));
        let answer = prompt.strip_prefix("TEXT:").unwrap();
        messages.iter().filter(|message| message.content.starts_with(&format!("{answer}\n"))).count()
    };
    let mut kinds = [0; 3];
    for (interaction, prompt) in used {
        assert!(!is_left_thinking(&stage, interaction), "{prompt}");
        let told = stage.discord.response(interaction).and_then(|response| response.message);
        let told = told.map(|message| message.content);
        let posted = || asked(&stage).iter().filter(|it| **it == prompt).count();
        match told.as_deref() {
            Some(told) if told == format!("Asked: {prompt}") => {
                until(&format!("an end of {prompt}"), || (posted() == 1).then_some(())).await;
                kinds[0] += 1;
            }
            Some(told) => {
                assert!(told == RESTARTING || told == ENDED_EARLY, "{prompt}: {told}");
                assert_eq!((posted(), said(&prompt)), (0, 0), "{prompt}: {told}");
                kinds[1] += 1;
            }
            // It came when the bot had left the gateway.
            None => {
                assert_eq!((posted(), said(&prompt)), (0, 0), "{prompt}");
                kinds[2] += 1;
            }
        }
    }
    eprintln!("asked, refused, not heard: {kinds:?}");
    assert!(kinds[0] > 0, "{kinds:?}");
}
