//! The gate, for what a command does besides answering: in other channels, to other people's turns, and in dialogs.

use moonlane::local::{Id, UseCommand};

use super::effects::with_projects;
use super::{add, buttons, heard, said, says};
use crate::support::{ANSWERED, Stage, within};

const ELSEWHERE: &str = "⚠️ You aren't allowed to do that there.";

/// Does one thing in the channel that is named, and tells what it gave.
const DO: &str = "return { name = 'do', description = 'x',
    options = {
        { name = 'what', description = 'x', required = true },
        { name = 'channel', description = 'x' },
    },
    run = function(ctx, args)
        local does = {
            queue = function(channel)
                local prompts = {}
                for _, turn in ipairs(ctx:queue(channel)) do prompts[#prompts + 1] = turn.prompt end
                return table.concat(prompts, ', ')
            end,
            stop = function(channel) return ctx:stop(channel) and 'stopped' or 'nothing' end,
            session = function(channel) return ctx:session(channel) and 'one' or 'none' end,
            reset = function(channel) return ctx:reset_session(channel) and 'one' or 'none' end,
            model = function(channel) return ctx:set_model { 'opus', channel = channel }.after end,
            mode = function(channel) return ctx:set_permission_mode { 'plan', channel = channel }.after end,
            send = function(channel) ctx:send { 'Hi', channel = channel } return 'sent' end,
        }
        ctx:reply { 'It gave: ' .. does[args.what](args.channel), ephemeral = true }
    end }";

/// What the command says to somebody who uses it in a channel, and names another.
async fn does(stage: &Stage, place: Id, person: Id, what: &str, channel: Id) -> String {
    let used =
        UseCommand::new(place, person, "do").option("what", what).option("channel", channel.to_string());
    says(stage, stage.discord.use_command(used).unwrap()).await.content
}

#[tokio::test]
async fn from_direct_messages_only_operators_reach_a_channel() {
    let stage = with_projects().await;
    add(&stage, "do", DO).await;
    let (ada, owner) = (stage.discord.user("ada"), stage.discord.owner());
    let (closed, next) = (stage.discord.channel("closed"), stage.discord.channel("next"));
    let running = stage.say("closed", "SLEEP:600");
    stage.prompted("SLEEP:600").await;

    let [hers, owners] = [ada, owner].map(|person| stage.discord.direct(person));
    for channel in [closed, next, owners] {
        for what in ["queue", "stop", "session", "reset", "model", "mode", "send"] {
            assert_eq!(does(&stage, hers, ada, what, channel).await, ELSEWHERE, "{what}");
        }
    }
    assert!(stage.discord.messages(closed).iter().all(|message| message.id == running));
    // Where she is let in she may do it in the guild, and operators may everywhere.
    assert_eq!(does(&stage, stage.discord.channel("general"), ada, "model", next).await, "It gave: opus");
    assert_eq!(does(&stage, owners, owner, "queue", closed).await, "It gave: SLEEP:600");
    assert_eq!(does(&stage, owners, owner, "session", next).await, "It gave: none");
    assert_eq!(does(&stage, owners, owner, "send", next).await, "It gave: sent");
    assert_eq!(does(&stage, owners, owner, "stop", closed).await, "It gave: stopped");
}

#[tokio::test]
async fn a_channel_outside_the_guild_is_for_operators_and_not_routed_as_one_inside() {
    let stage = super::stage().await;
    add(&stage, "do", DO).await;
    let (ada, owner) = (stage.discord.user("ada"), stage.discord.owner());
    // The function routes every channel of the guild, and there is one channel outside.
    let (general, outside) = (stage.discord.channel("general"), stage.discord.direct(owner));
    for what in ["queue", "stop", "session", "model", "mode", "send"] {
        assert_eq!(does(&stage, general, ada, what, outside).await, ELSEWHERE, "{what}");
    }
    assert_eq!(does(&stage, general, ada, "model", stage.discord.channel("next")).await, "It gave: opus");
    assert_eq!(does(&stage, general, owner, "queue", outside).await, "It gave:");
    assert_eq!(does(&stage, general, owner, "send", outside).await, "⚠️ That channel has no project.");
    assert!(stage.discord.messages(outside).is_empty());
    assert_eq!(said(&stage, "ada", "do", &[("what", "model")]).await.content, "It gave: opus");
}

#[tokio::test]
async fn whoever_is_not_let_into_a_project_sees_and_stops_none_of_its_turns() {
    let mut stage = with_projects().await;
    add(&stage, "do", DO).await;
    // The function sends what begins with VAULT to the project that only the owner is let into.
    let routing = std::fs::read_to_string(stage.root().join("scripts/routing.lua")).unwrap();
    let routing = routing.replace(
        "channels = {",
        r#"route = function(message) return message.text:match("VAULT") and "locked" or "here" end, _ = {"#,
    );
    let routing = routing.replace("_ = {", "channels = {}, --[[");
    let routing = routing.trim_end().trim_end_matches('}').to_owned() + "]] }";
    stage.save("routing.lua", &routing);
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    let general = stage.discord.channel("general");
    let (ada, owner) = (stage.discord.user("ada"), stage.discord.owner());
    let running = stage.say("general", "SLEEP:600 ;; TEXT:VAULT running");
    stage.prompted("SLEEP:600 ;; TEXT:VAULT running").await;
    let secret = stage.say("general", "TEXT:VAULT waiting");
    let open = stage.say_as("ada", "general", "TEXT:open");
    stage.reacted(open, "⏳").await;
    let queue = |person| UseCommand::new(general, person, "do").option("what", "queue");
    let stop = |person| UseCommand::new(general, person, "do").option("what", "stop");
    let does = async |used| says(&stage, stage.discord.use_command(used).unwrap()).await.content;
    assert_eq!(does(queue(ada)).await, "It gave: TEXT:open");
    assert_eq!(does(stop(ada)).await, ELSEWHERE);
    assert_eq!(
        does(queue(owner)).await,
        "It gave: SLEEP:600 ;; TEXT:VAULT running, TEXT:VAULT waiting, TEXT:open"
    );
    assert_eq!(
        said(&stage, "ada", "status", &[]).await.embeds[0]["description"],
        "No sessions yet.\n1 running, 2 waiting\nThe next turn here: here · default model, unless the message's own route says \
         otherwise"
    );
    assert_eq!(does(stop(owner)).await, "It gave: stopped");
    for message in [secret, open] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    assert!(stage.answer(running).contains("Stopped"), "{}", stage.answer(running));
}

#[tokio::test]
async fn what_is_for_one_person_alone_does_not_go_to_another_who_presses() {
    let stage = super::stage().await;
    let owner = stage.discord.owner();
    add(
        &stage,
        "poll",
        &format!(
            "return {{ name = 'poll', description = 'x', run = function(ctx)
                ctx:confirm {{ 'Who?', who = {{ users = {{ '{owner}' }} }} }}
                ctx:reply {{ 'For ' .. ctx.user.name .. ' alone.', ephemeral = true }}
            end }}"
        ),
    )
    .await;
    let question = said(&stage, "ada", "poll", &[]).await;
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    stage.discord.press(question.id, owner, yes).unwrap();
    let told = heard(&stage, "For ada alone.").await;
    assert_eq!(told.ephemeral_to, Some(stage.discord.user("ada")));
}
