//! Suggestions, and the effects that the commands that come with moonlane do not use.

use moonlane::local::{Id, UseCommand};

use super::{add, heard, let_in, said, stage};
use crate::support::{Stage, within};

/// Three projects; the one of the channel is `here`, and nobody but the owner is let into `locked`.
fn projects(stage: &Stage) -> String {
    let general = stage.discord.channel("general");
    let next = stage.discord.channel("next");
    let closed = stage.discord.channel("closed");
    for folder in ["there", "locked"] {
        std::fs::create_dir(stage.work().join(folder)).unwrap();
    }
    let project = |name: &str, dir: &str, more: &str| {
        format!(r#"{name} = {{ dir = "WORK{dir}", env = {{ DEMO_AGENT_LOG = "LOG" }}, {more} }},"#)
    };
    format!(
        r#"return {{
            projects = {{ {} {} {} }},
            channels = {{ ["{general}"] = "here", ["{next}"] = "there", ["{closed}"] = "locked" }},
        }}"#,
        project("here", "", ""),
        project("there", "/there", ""),
        project("locked", "/locked", "allow = {}"),
    )
}

/// A stage with those projects.
async fn with_projects() -> Stage {
    let stage = stage().await;
    let_in(&stage, "ada", &projects(&stage));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    stage
}

/// What somebody is offered who has typed this as the name of a model.
async fn offered(stage: &Stage, person: Id, typed: &str) -> Vec<String> {
    let typing = UseCommand::new(stage.discord.channel("general"), person, "model").option("name", typed);
    let typing = stage.discord.autocomplete(typing, "name").unwrap();
    let response = within("suggestions", stage.discord.acknowledged(typing)).await;
    response
        .suggestions
        .into_iter()
        .map(|(shown, sent)| {
            assert_eq!(sent, shown.as_str());
            shown
        })
        .collect()
}

#[tokio::test]
async fn models_are_suggested_as_somebody_types_who_is_let_in() {
    let stage = stage().await;
    let [ada, eve] = ["ada", "eve"].map(|name| stage.discord.user(name));
    assert_eq!(offered(&stage, ada, "").await, ["opus", "sonnet", "haiku", "project"]);
    assert_eq!(offered(&stage, ada, "So").await, ["sonnet"]);
    assert_eq!(offered(&stage, ada, "claude-").await, [""; 0]);
    assert_eq!(offered(&stage, eve, "").await, [""; 0]);
}

#[tokio::test]
async fn a_turn_may_be_asked_for_in_another_project_by_who_is_let_into_it() {
    let stage = with_projects().await;
    let script = "return { name = 'ask_in', description = 'x',
        options = { { name = 'project', description = 'x', required = true } },
        run = function(ctx, args) ctx:reply(ctx:ask { 'CWD', project = args.project }) end }";
    add(&stage, "ask_in", script).await;
    let refused = said(&stage, "ada", "ask_in", &[("project", "nowhere")]).await;
    assert_eq!(refused.content, "⚠️ There is no project nowhere.");
    let refused = said(&stage, "ada", "ask_in", &[("project", "locked")]).await;
    assert_eq!(refused.content, "⚠️ You may not do that in this channel.");
    assert!(stage.agent_log().is_empty());

    let told = said(&stage, "ada", "ask_in", &[("project", "there")]).await;
    let question = heard(&stage, "**ada** asks:").await;
    assert_eq!(told.content, question.id.to_string(), "its id");
    let there = stage.work().join("there");
    let answer = heard(&stage, there.to_str().unwrap()).await;
    assert_eq!(answer.reply_to, Some(question.id));
    // The channel's own project is as before.
    let told = said(&stage, "ada", "ask", &[("prompt", "CWD")]).await;
    assert_eq!(told.content, "Asked: CWD");
    let here = stage.work();
    let is_here = |discord: &moonlane::local::LocalDiscord| {
        let messages = discord.messages(stage.discord.channel("general"));
        messages.iter().any(|message| message.content == here.to_str().unwrap()).then_some(())
    };
    within("the answer here", stage.discord.wait_until(is_here)).await;
}

#[tokio::test]
async fn something_is_sent_to_a_channel_with_a_project_by_who_is_let_into_it() {
    let stage = with_projects().await;
    let script = "return { name = 'tell', description = 'x',
        options = { { name = 'channel', description = 'x', type = 'channel', required = true } },
        run = function(ctx, args)
            ctx:send { 'From ' .. ctx.user.name .. ' for @everyone\\n' .. string.rep('x', 2500), channel = args.channel }
            ctx:reply 'Sent.'
        end }";
    add(&stage, "tell", script).await;
    let tell = async |person: &str, channel: &str| {
        let channel = stage.discord.channel(channel).to_string();
        said(&stage, person, "tell", &[("channel", &channel)]).await.content
    };
    let messages = |channel: &str| stage.discord.messages(stage.discord.channel(channel));

    assert_eq!(tell("ada", "next").await, "Sent.");
    let sent = messages("next");
    assert_eq!(sent.len(), 2, "too long for one");
    assert!(sent[0].content.starts_with("From ada for @everyone\n"), "{}", sent[0].content);
    assert!(sent.iter().all(|message| message.pinged.is_empty()), "{sent:?}");

    assert_eq!(tell("ada", "closed").await, "⚠️ You may not do that in this channel.");
    assert_eq!(tell("ada", "elsewhere").await, "⚠️ That channel has no project.");
    assert!(messages("closed").is_empty() && messages("elsewhere").is_empty());
    assert_eq!(tell("owner", "closed").await, "Sent.");
    assert_eq!(messages("closed").len(), 2);
}
