//! The gate, for what a command does besides answering: in other channels, to other people's turns, and in dialogs.

use moonlane::local::{Id, UseCommand};

use super::effects::with_projects;
use super::{add, said, says};
use crate::support::Stage;

const ELSEWHERE: &str = "⚠️ You may not do that in this channel.";

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
