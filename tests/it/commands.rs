//! Slash commands as people use them: the ones that come with moonlane, and their refusals.

mod effects;
mod failures;
mod gate;
mod questions;
mod registration;
mod resets;
mod restarts;
mod shares;
mod usage;

use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{Fault, Id, Message, UseCommand};
use moonlane::turn::Settled;

use crate::support::{Setup, Stage, routing_with, within};

/// How many commands come with moonlane.
const SHIPPED: usize = 14;

/// A stage with the commands that come with moonlane; ada is let in.
async fn stage() -> Stage {
    let mut stage = shipped().await;
    stage.start().await;
    stage
}

/// The same before its bot has started.
async fn shipped() -> Stage {
    let stage = Stage::without_bot(Setup { routing: routing_with(""), ..Setup::default() }).await;
    add_shipped(&stage);
    let_in(&stage, "ada", &routing_with(""));
    stage
}

/// Puts the commands that come with moonlane into the stage's scripts.
pub fn add_shipped(stage: &Stage) {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for folder in ["commands", "lib"] {
        std::fs::create_dir_all(stage.root().join("scripts").join(folder)).unwrap();
        for file in std::fs::read_dir(shipped.join(folder)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), stage.root().join("scripts").join(folder).join(file.file_name()))
                .unwrap();
        }
    }
}

/// Saves this routing, which lets this person in, besides the owner.
fn let_in(stage: &Stage, person: &str, routing: &str) {
    let id = stage.discord.user(person);
    let allowed = format!("return {{ allow = {{ users = {{ '{id}' }} }},");
    stage.save("routing.lua", &routing.replacen("return {", &allowed, 1));
}

fn use_as(stage: &Stage, person: &str, name: &str, options: &[(&str, &str)]) -> Id {
    let person = if person == "owner" { stage.discord.owner() } else { stage.discord.user(person) };
    let mut used = UseCommand::new(stage.discord.channel("general"), person, name);
    for (key, value) in options {
        used = used.option(*key, *value);
    }
    used.opened = true;
    stage.discord.use_command(used).unwrap()
}

/// A further command, as if its operator had just saved it.
async fn add(stage: &Stage, name: &str, script: &str) {
    stage.save(&format!("commands/{name}.lua"), script);
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let known = |discord: &moonlane::local::LocalDiscord| {
        discord.commands().iter().any(|command| command.name == name).then_some(())
    };
    within("the registration", stage.discord.wait_until(known)).await;
}

/// What the bot says to a use of a command.
pub async fn says(stage: &Stage, interaction: Id) -> Message {
    within("an answer to a command", stage.discord.response_message(interaction)).await
}

/// What the bot answers to a command.
pub async fn said(stage: &Stage, person: &str, name: &str, options: &[(&str, &str)]) -> Message {
    says(stage, use_as(stage, person, name, options)).await
}

fn puts(stage: &Stage) -> usize {
    stage
        .discord
        .calls()
        .iter()
        .filter(|call| call.method == "PUT" && call.path.ends_with("/commands"))
        .count()
}

/// The ids of the buttons of a message, in order.
pub fn buttons(message: &Message) -> Vec<String> {
    let text = serde_json::to_string(&message.components).unwrap();
    let ids = text.split("\"custom_id\":\"").skip(1);
    ids.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn commands_are_registered_once_and_again_when_a_definition_changes() {
    let mut stage = stage().await;
    let names: Vec<String> = stage.discord.commands().into_iter().map(|command| command.name).collect();
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
    assert_eq!(puts(&stage), 1);
    for _ in 0..3 {
        stage.stop().await;
        stage.start().await;
    }
    assert_eq!(puts(&stage), 1, "nothing has changed");

    stage.save(
        "commands/hello.lua",
        "return { name = 'hello', description = 'Hi', run = function(ctx) ctx:reply 'Hi' end }",
    );
    let known =
        |discord: &moonlane::local::LocalDiscord| (discord.commands().len() == SHIPPED + 1).then_some(());
    within("a registration", stage.discord.wait_until(known)).await;
    assert_eq!(puts(&stage), 2);
    assert_eq!(said(&stage, "owner", "hello", &[]).await.content, "Hi");
}

#[tokio::test]
async fn a_guild_that_is_named_no_more_has_no_commands_of_its_own() {
    let mut stage = shipped().await;
    let file = stage.root().join("config/moonlane.toml");
    let everywhere = std::fs::read_to_string(&file).unwrap();
    let guild = stage.discord.guild();
    let registered = |stage: &Stage| {
        let guilds: Vec<_> = stage.discord.commands().iter().map(|command| command.guild).collect();
        (guilds.len(), guilds.iter().all(|it| *it == Some(guild)), guilds.iter().all(Option::is_none))
    };

    std::fs::write(&file, format!("{everywhere}\n[discord]\nguilds = [\"{guild}\"]\n")).unwrap();
    stage.start().await;
    assert_eq!(registered(&stage), (SHIPPED, true, false));
    stage.stop().await;

    std::fs::write(&file, everywhere).unwrap();
    stage.start().await;
    assert_eq!(registered(&stage), (SHIPPED, false, true));
    let calls = puts(&stage);
    stage.stop().await;
    stage.start().await;
    assert_eq!(puts(&stage), calls);
}

#[tokio::test]
async fn who_is_not_let_in_may_not_use_a_command() {
    let stage = stage().await;
    let refused = said(&stage, "eve", "status", &[]).await;
    assert_eq!(refused.content, "You don't have access here. Ask whoever runs this bot.");
    assert_eq!(refused.ephemeral_to, Some(stage.discord.user("eve")));
    let allowed = said(&stage, "ada", "help", &[]).await;
    assert!(allowed.content.contains("`/model <name>`"), "{}", allowed.content);
}

#[tokio::test]
async fn a_reset_needs_the_permission_asks_first_and_counts_once() {
    let mut stage = stage().await;
    let nothing = said(&stage, "owner", "reset", &[]).await;
    assert_eq!(nothing.content, "There is no session to reset.");
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");

    let refused = said(&stage, "ada", "reset", &[]).await;
    assert_eq!(refused.content, "You need the “manage messages” permission for this.");

    let question = said(&stage, "owner", "reset", &[]).await;
    assert!(question.content.starts_with("Forget 1 turn with **"), "{}", question.content);
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    // Somebody else, then the owner, then the owner again.
    let other = stage.discord.press(question.id, stage.discord.user("ada"), yes).unwrap();
    assert_eq!(says(&stage, other).await.content, "Only the person who used the command can answer this.");
    stage.discord.press(question.id, stage.discord.owner(), yes).unwrap();
    heard(&stage, "Forgot 1 turn with **here**").await;
    let again = stage.discord.press(question.id, stage.discord.owner(), yes);
    assert!(again.is_err(), "the button is switched off");
    assert_eq!(said(&stage, "owner", "reset", &[]).await.content, "There is no session to reset.");
}

/// Waits for a message in the channel that begins so.
async fn heard(stage: &Stage, text: &str) -> Message {
    let channel = stage.discord.channel("general");
    let look = |discord: &moonlane::local::LocalDiscord| {
        discord.messages(channel).into_iter().rev().find(|message| message.content.starts_with(text))
    };
    within(text, stage.discord.wait_until(look)).await
}

#[tokio::test]
async fn who_is_shut_out_answers_no_question_any_more() {
    let mut stage = stage().await;
    add(
        &stage,
        "forget",
        "return { name = 'forget', description = 'x', run = function(ctx)
            if ctx:confirm 'Sure?' then ctx:reset_session() ctx:reply 'Forgot it.' end
        end }",
    )
    .await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let question = said(&stage, "ada", "forget", &[]).await;
    stage.save("routing.lua", &routing_with(""));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    let ada = stage.discord.user("ada");
    let refused = says(&stage, stage.discord.press(question.id, ada, yes).unwrap()).await;
    assert_eq!(refused.content, "You don't have access here. Ask whoever runs this bot.");
    assert_eq!(refused.ephemeral_to, Some(ada));
    let reset = said(&stage, "owner", "reset", &[]).await;
    assert!(reset.content.starts_with("Forget 1 turn"), "it is still there: {}", reset.content);
    // The question is not used up by it.
    let_in(&stage, "ada", &routing_with(""));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    stage.discord.press(question.id, ada, yes).unwrap();
    heard(&stage, "Forgot it.").await;
}

#[tokio::test]
async fn a_model_is_kept_for_the_channel_and_counts_from_the_next_turn_on() {
    let mut stage = stage().await;
    let told = said(&stage, "ada", "model", &[("name", "opus")]).await;
    assert_eq!(
        told.content,
        "Model: **the default** → **opus**, from the next turn on, unless the message's own route says otherwise."
    );
    stage.stop().await;
    stage.start().await;
    let told = said(&stage, "ada", "model", &[("name", "sonnet")]).await;
    assert_eq!(
        told.content,
        "Model: **opus** → **sonnet**, from the next turn on, unless the message's own route says otherwise."
    );
}

#[tokio::test]
async fn a_running_turn_is_stopped_and_a_waiting_one_taken_out_by_its_own_person() {
    let mut stage = stage().await;
    assert_eq!(said(&stage, "ada", "stop", &[]).await.content, "Nothing is running here.");
    assert_eq!(said(&stage, "ada", "queue", &[]).await.content, "Nothing is running and nobody is waiting.");

    let running = stage.say("general", "SLEEP:600");
    stage.prompted("SLEEP:600").await;
    let waiting = stage.say_as("ada", "general", "TEXT:never");
    stage.reacted(waiting, "⏳").await;
    let queue = said(&stage, "ada", "queue", &[]).await;
    assert!(queue.content.contains("TEXT:never"), "{}", queue.content);
    let [mine, _keep] = &buttons(&queue)[..] else { panic!("two buttons: {queue:?}") };
    stage.discord.press(queue.id, stage.discord.user("ada"), mine).unwrap();
    assert_eq!(stage.settled(waiting).await, Settled::Ended(Outcome::Cancelled));

    let told = said(&stage, "owner", "stop", &[]).await;
    assert_eq!(told.content, format!("Stopped the turn of <@{}>.", stage.discord.owner()));
    assert_eq!(stage.settled(running).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.answer(running), "⏹️ Stopped.");
    assert_eq!(stage.ask("general", "TEXT:next").await, "next");
}

#[tokio::test]
async fn the_rest_of_a_long_answer_can_be_stopped() {
    let mut stage = stage().await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(2, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Delay(crate::crashes::FOR_EVER), &posts);
    let answered = stage.say("general", "LONG:9000");
    stage.parts_posted(answered, 2).await;
    let waiting = stage.say("general", "TEXT:next");
    stage.reacted(waiting, "⏳").await;
    let told = said(&stage, "owner", "stop", &[]).await;
    let owner = stage.discord.owner();
    assert_eq!(told.content, format!("Stopped the answer to <@{owner}>: the rest of it is not posted."));
    assert_eq!(stage.settled(answered).await, Settled::Ended(Outcome::Answered));
    assert_eq!(stage.settled(waiting).await, Settled::Ended(Outcome::Answered));
    assert_eq!((stage.parts(answered).len(), stage.answer(waiting)), (2, "next".to_owned()));
    assert_eq!(said(&stage, "ada", "stop", &[]).await.content, "Nothing is running here.");
}

#[tokio::test]
async fn a_turn_may_be_asked_for_without_a_mention() {
    let stage = stage().await;
    let (ada, owner) = (stage.discord.user("ada"), stage.discord.owner());
    let prompt = format!("TEXT:asked <@{owner}>");
    let told = said(&stage, "ada", "ask", &[("prompt", &prompt)]).await;
    assert_eq!(told.content, format!("Asked: {prompt}"));
    let question = heard(&stage, "**ada** asks:").await;
    assert!(question.content.ends_with(&prompt), "{}", question.content);
    let answer = heard(&stage, &format!("asked <@{owner}>")).await;
    assert_eq!(answer.content, format!("asked <@{owner}>\n\n-# For <@{ada}>"));
    assert_eq!(answer.reply_to, Some(question.id));
    assert_eq!(
        (question.pinged, answer.pinged),
        (vec![], vec![ada]),
        "the one who asked hears of the answer"
    );
}

#[tokio::test]
async fn who_asked_with_a_command_hears_of_whatever_end_it_has() {
    let stage = stage().await;
    let ada = stage.discord.user("ada");
    let ping = format!("-# For <@{ada}>");
    said(&stage, "ada", "ask", &[("prompt", "STALL")]).await;
    // Waits, and so is read back from the database.
    said(&stage, "ada", "ask", &[("prompt", "CRASH")]).await;
    assert!(said(&stage, "ada", "stop", &[]).await.content.starts_with("Stopped"));
    for start in ["⏹️", "⚠️"] {
        let end = heard(&stage, start).await;
        assert_eq!(end.pinged, [ada], "{}", end.content);
        assert!(end.content.ends_with(&ping), "{}", end.content);
    }
}

#[tokio::test]
async fn the_status_tells_of_sessions_and_only_operators_reload() {
    let mut stage = stage().await;
    assert_eq!(stage.ask("general", "TEXT:one").await, "one");
    let status = said(&stage, "ada", "status", &[]).await;
    let embed = serde_json::to_string(&status.embeds).unwrap();
    assert!(embed.contains("1 session") && embed.contains("scripts 1"), "{embed}");
    assert_eq!(status.ephemeral_to, Some(stage.discord.user("ada")));

    let refused = said(&stage, "ada", "reload", &[]).await;
    assert!(refused.content.contains("Only operators can do that."), "{}", refused.content);
    assert_eq!(said(&stage, "owner", "reload", &[]).await.content, "Reloaded, generation 2.");
    stage.save("triggers.lua", "return { mentoin = true }");
    let told = said(&stage, "owner", "reload", &[]).await;
    assert_eq!(told.content, "There are errors, so generation 2 stays live.");
    let file = stage.discord.file(told.attachments[0].id).unwrap();
    let problems = String::from_utf8_lossy(&file.bytes).into_owned();
    assert!(problems.contains("scripts/triggers.lua") && problems.contains("mention"), "{problems}");
}

#[tokio::test]
async fn a_command_that_fails_says_so_and_loops_end() {
    let stage = stage().await;
    let save = |name: &str, body: &str| {
        let script =
            format!("return {{ name = '{name}', description = 'x', run = function(ctx)\n{body}\nend }}");
        stage.save(&format!("commands/{name}.lua"), &script);
    };
    save("loops", "while true do end");
    save("fails", "error 'boom'");
    save("silent", "");
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let known =
        |discord: &moonlane::local::LocalDiscord| (discord.commands().len() == SHIPPED + 3).then_some(());
    within("the registration", stage.discord.wait_until(known)).await;
    let sorry = "⚠️ ";
    assert!(said(&stage, "ada", "loops", &[]).await.content.starts_with(sorry));
    assert!(said(&stage, "ada", "fails", &[]).await.content.starts_with(sorry));
    assert_eq!(said(&stage, "ada", "silent", &[]).await.content, "Done.");
    assert!(said(&stage, "ada", "help", &[]).await.content.contains("/silent"));
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_and_a_guild_command_is_refused_in_direct_messages() {
    let stage = stage().await;
    let script = "return { name = 'patient', description = 'x', guild_only = true, run = function(ctx)
        ctx:reply(tostring(ctx:confirm { 'Well?', timeout = 1 }))
    end }";
    add(&stage, "patient", script).await;
    let question = said(&stage, "ada", "patient", &[]).await;
    heard(&stage, "nil").await;
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    assert!(stage.discord.press(question.id, stage.discord.user("ada"), yes).is_err(), "it is switched off");

    let ada = stage.discord.user("ada");
    let refused = stage.discord.use_command(UseCommand::new(stage.discord.direct(ada), ada, "patient"));
    assert!(refused.is_err(), "Discord does not offer it there");
}

#[tokio::test]
async fn a_command_that_is_slower_than_discord_waits_is_deferred_and_answers_all_the_same() {
    let stage = stage().await;
    let general = stage.discord.channel("general");
    let script = format!(
        "return {{ name = 'slow', description = 'x', run = function(ctx)
            ctx:send {{ 'this takes a while', channel = '{general}' }}
            ctx:reply 'at last'
        end }}"
    );
    add(&stage, "slow", &script).await;
    // What the command says takes longer than the three seconds.
    let slow = std::time::Duration::from_millis(3200);
    stage.discord.fail_next(1, moonlane::local::Fault::Delay(slow), "POST /channels");
    let used = use_as(&stage, "ada", "slow", &[]);
    let acknowledged = within("a first answer", stage.discord.acknowledged(used)).await;
    let told = heard(&stage, "at last").await;
    assert_eq!(told.interaction, Some(used));
    assert!(acknowledged.deferred, "{acknowledged:?}");
    assert!(acknowledged.acknowledged_after < std::time::Duration::from_secs(3), "{acknowledged:?}");
}

#[tokio::test]
async fn the_commands_of_the_readme_do_what_it_says() {
    let stage = stage().await;
    let readme = include_str!("../../scripts/README.md");
    let examples = readme.split("```lua\n-- commands/").skip(1);
    let mut count = 0;
    for example in examples.map(|rest| rest.split("```").next().unwrap()) {
        let (file, script) = example.split_once('\n').unwrap();
        stage.save(&format!("commands/{file}"), script);
        count += 1;
    }
    assert_eq!(count, 3, "each of them is used below");
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let known =
        |discord: &moonlane::local::LocalDiscord| (discord.commands().len() == SHIPPED + 3).then_some(());
    within("the registration", stage.discord.wait_until(known)).await;

    assert_eq!(said(&stage, "ada", "hello", &[]).await.content, "Hello ada, this is #general.");

    let refused = said(&stage, "ada", "explain", &[("file", "src/main.rs")]).await;
    assert_eq!(refused.content, "You need the “manage messages” permission for this.");
    let options = [("file", "src/main.rs"), ("style", "line by line")];
    let told = said(&stage, "owner", "explain", &options).await;
    assert_eq!(told.content, "I will explain it below.");
    assert_eq!(told.ephemeral_to, Some(stage.discord.owner()));
    let asked = heard(&stage, "**owner** asks:").await;
    assert!(asked.content.ends_with("Explain src/main.rs line by line."), "{}", asked.content);

    let question = said(&stage, "ada", "review", &[]).await;
    assert!(question.content.starts_with("What shall I review?"), "{}", question.content);
    let [_commit, branch] = &buttons(&question)[..] else { panic!("two buttons") };
    stage.discord.press(question.id, stage.discord.user("ada"), branch).unwrap();
    let question = heard(&stage, "Shall I also fix what I find?").await;
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    stage.discord.press(question.id, stage.discord.user("ada"), yes).unwrap();
    let asked = heard(&stage, "**ada** asks:").await;
    let prompt = "Review all commits of this branch and fix what you find.";
    assert!(asked.content.ends_with(prompt), "{}", asked.content);
}

#[tokio::test]
async fn an_operator_who_is_not_let_in_may_ask_nothing_and_hears_so() {
    let stage = stage().await;
    let eve = stage.discord.user("eve");
    let allowed = format!("return {{ allow = {{ operators = {{ '{eve}' }} }},");
    stage.save("routing.lua", &routing_with("").replacen("return {", &allowed, 1));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let refused = said(&stage, "eve", "ask", &[("prompt", "TEXT:no")]).await;
    assert_eq!(refused.content, "⚠️ You aren't allowed to do that there.");
    let asked = |message: &Message| message.content.contains("TEXT:no");
    assert!(!stage.discord.messages(stage.discord.channel("general")).iter().any(asked));
}
