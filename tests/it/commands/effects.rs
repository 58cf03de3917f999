//! Suggestions, and the effects that the commands that come with moonlane do not use.

use moonlane::local::{Fault, Id, Say, UseCommand};

use super::{add, buttons, heard, let_in, said, says, stage};
use crate::support::{Stage, within};

/// Three projects; the one of the channel is `here`, and nobody but the owner is let into `locked`.
fn routing(stage: &Stage) -> String {
    let general = stage.discord.channel("general");
    let next = stage.discord.channel("next");
    let closed = stage.discord.channel("closed");
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
pub async fn with_projects() -> Stage {
    let stage = stage().await;
    for folder in ["there", "locked"] {
        std::fs::create_dir(stage.work().join(folder)).unwrap();
    }
    route(&stage, &routing(&stage)).await;
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
    assert_eq!(refused.content, "⚠️ There is no project called nowhere.");
    let refused = said(&stage, "ada", "ask_in", &[("project", "locked")]).await;
    assert_eq!(refused.content, "⚠️ You aren't allowed to do that there.");
    assert!(stage.agent_log().is_empty());

    let told = said(&stage, "ada", "ask_in", &[("project", "there")]).await;
    let question = heard(&stage, "**ada** asks:").await;
    let there = stage.work().join("there");
    let answer = heard(&stage, there.to_str().unwrap()).await;
    assert_eq!(answer.nonce, Some(format!("{}-1", told.content)), "its id");
    assert_eq!(answer.reply_to, Some(question.id));
    // The channel's own project is as before.
    let told = said(&stage, "ada", "ask", &[("prompt", "CWD")]).await;
    assert_eq!(told.content, "Asked: CWD");
    let here = stage.work();
    let is_here = |discord: &moonlane::local::LocalDiscord| {
        let messages = discord.messages(stage.discord.channel("general"));
        messages.iter().any(|message| message.content.lines().next() == here.to_str()).then_some(())
    };
    within("the answer here", stage.discord.wait_until(is_here)).await;
}

#[tokio::test]
async fn a_question_needs_no_trigger_and_is_told_what_the_route_says() {
    let stage = stage().await;
    stage.save("triggers.lua", "return { mention = false, prefixes = { '!' } }");
    let routing = r#"return {
        projects = { here = { dir = "WORK", env = { DEMO_AGENT_LOG = "LOG" } } },
        route = function(message, prompt)
            return prompt:find 'prod' and { reply = 'Not on Fridays.' } or 'here'
        end,
    }"#;
    route(&stage, routing).await;
    assert_eq!(said(&stage, "ada", "ask", &[("prompt", "TEXT:yes")]).await.content, "Asked: TEXT:yes");
    heard(&stage, "yes").await;
    let refused = said(&stage, "ada", "ask", &[("prompt", "prod")]).await;
    assert_eq!(refused.content, "⚠️ Not on Fridays.");
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

    assert_eq!(tell("ada", "closed").await, "⚠️ You aren't allowed to do that there.");
    assert_eq!(tell("ada", "elsewhere").await, "⚠️ That channel has no project.");
    assert!(messages("closed").is_empty() && messages("elsewhere").is_empty());
    assert_eq!(tell("owner", "closed").await, "Sent.");
    assert_eq!(messages("closed").len(), 2);
    // The function is asked, too.
    let function = routing(&stage).replacen("return {", "return { route = function() return 'there' end,", 1);
    route(&stage, &function).await;
    assert_eq!(tell("ada", "elsewhere").await, "Sent.");
}

/// Says which session goes on in a channel, and after how many turns.
const TELL: &str = "return { name = 'tell', description = 'x',
    options = { { name = 'channel', description = 'x', type = 'channel' } },
    run = function(ctx, args)
        local session = ctx:session(args.channel)
        ctx:reply(session and session.project .. ' ' .. session.turns or 'none')
    end }";

/// Makes this routing live; ada is let in.
async fn route(stage: &Stage, routing: &str) {
    let_in(stage, "ada", routing);
    within("a reload", stage.reloader().reload_now()).await.unwrap();
}

#[tokio::test]
async fn the_session_of_a_channel_is_the_one_that_its_next_turn_goes_on_with() {
    let mut stage = with_projects().await;
    add(&stage, "tell", TELL).await;
    let tells = async |stage: &Stage| said(stage, "owner", "tell", &[]).await.content;
    let general = stage.discord.channel("general").to_string();
    let to_here = routing(&stage);
    let to_there =
        to_here.replace(&format!(r#"["{general}"] = "here""#), &format!(r#"["{general}"] = "there""#));

    assert_eq!(tells(&stage).await, "none");
    stage.ask("general", "TEXT:one").await;
    stage.ask("general", "TEXT:two").await;
    assert_eq!(tells(&stage).await, "here 2");
    route(&stage, &to_there).await;
    assert_eq!(tells(&stage).await, "none");
    assert_eq!(said(&stage, "owner", "reset", &[]).await.content, "There is no session to reset.");
    stage.ask("general", "TEXT:three").await;
    assert_eq!(tells(&stage).await, "there 1");

    // Not the newest one.
    route(&stage, &to_here).await;
    assert_eq!(tells(&stage).await, "here 2");
    // A session cannot go on in another directory, and none does in a channel without a project.
    route(&stage, &to_here.replace(r#"dir = "WORK","#, r#"dir = "WORK/locked","#)).await;
    assert_eq!(tells(&stage).await, "none");
    route(&stage, &to_here.replace(&general, "1")).await;
    assert_eq!(tells(&stage).await, "none");

    route(&stage, &to_here).await;
    let question = said(&stage, "owner", "reset", &[]).await;
    let [yes, _no] = &buttons(&question)[..] else { panic!("two buttons") };
    stage.discord.press(question.id, stage.discord.owner(), yes).unwrap();
    heard(&stage, "Forgot 2 turns with **here**").await;
    assert_eq!(tells(&stage).await, "none");
    route(&stage, &to_there).await;
    assert_eq!(tells(&stage).await, "there 1", "the other one is still there");
}

#[tokio::test]
async fn a_channel_that_discord_does_not_tell_of_is_nobodys() {
    let stage = with_projects().await;
    add(&stage, "tell", TELL).await;
    let thread = stage.discord.thread(stage.discord.channel("closed"), "aside");
    let options = [("channel", &*thread.to_string())];
    assert_eq!(
        said(&stage, "ada", "tell", &options).await.content,
        "⚠️ You aren't allowed to do that there.",
        "its parent's project does not let her in"
    );
    stage.discord.fail_next(1, Fault::Status(404), &format!("GET /channels/{thread}"));
    assert_eq!(
        said(&stage, "ada", "tell", &options).await.content,
        "⚠️ Discord didn't tell me which channel that is. Try again."
    );
}

#[tokio::test]
async fn a_route_function_says_which_session_goes_on() {
    let mut stage = stage().await;
    add(&stage, "tell", TELL).await;
    let general = stage.discord.channel("general");
    let thread = stage.discord.thread(general, "aside");
    // Threads by their channel, other channels by their names, and ada always begins afresh.
    let routing = format!(
        r#"return {{
            projects = {{ here = {{ dir = "WORK", env = {{ DEMO_AGENT_LOG = "LOG" }}, model = "haiku" }} }},
            route = function(message, prompt)
                if message.channel.parent_id ~= "{general}" and message.channel.name ~= "next" then return nil end
                return {{ project = "here", fresh = message.author.name == "ada" }}
            end,
        }}"#
    );
    route(&stage, &routing).await;
    let next = stage.discord.channel("next");
    for place in [thread, next] {
        let question = stage.discord.say(Say::to_bot(place, stage.discord.owner(), "TEXT:one"));
        stage.settled(question).await;
        assert_eq!(stage.answer(question), "one");
    }
    let tells = async |person: &str, channel: Id| {
        said(&stage, person, "tell", &[("channel", &channel.to_string())]).await.content
    };
    for place in [thread, next] {
        assert_eq!(tells("owner", place).await, "here 1");
        assert_eq!(tells("ada", place).await, "none");
    }
    assert_eq!(tells("owner", general).await, "none");
    let mut used = UseCommand::new(thread, stage.discord.owner(), "model").option("name", "opus");
    used.opened = true;
    let used = stage.discord.use_command(used).unwrap();
    assert_eq!(
        says(&stage, used).await.content,
        "Model: **haiku** → **opus**, from the next turn on, unless the message's own route says otherwise."
    );

    // Where that script fails, the person hears so.
    route(&stage, &routing.replace("(message, prompt)", "(message, prompt) error 'boom'")).await;
    let told = tells("owner", next).await;
    let sentence = "⚠️ The script that decides where your message goes failed. Please tell whoever runs this bot; the log \
                    shows why.\n-# id ";
    assert!(told.starts_with(sentence), "{told}");
}

#[tokio::test]
async fn the_gate_is_that_of_the_project_that_the_channel_is_routed_to() {
    let stage = with_projects().await;
    add(&stage, "tell", TELL).await;
    // A thread has its channel's project, also where it is named from elsewhere.
    let closed = stage.discord.channel("closed");
    let thread = stage.discord.thread(closed, "aside").to_string();
    let told = said(&stage, "ada", "tell", &[("channel", &thread)]).await;
    assert_eq!(told.content, "⚠️ You aren't allowed to do that there.");
    assert_eq!(said(&stage, "owner", "tell", &[("channel", &thread)]).await.content, "none");

    let by_function = |allow: &str| {
        format!(
            r#"return {{
                projects = {{ here = {{ dir = "WORK", allow = {{ {allow} }} }} }},
                route = function() return "here" end,
            }}"#
        )
    };
    route(&stage, &by_function("")).await;
    let told = said(&stage, "ada", "tell", &[]).await;
    assert_eq!(told.content, "You don't have access here. Ask whoever runs this bot.");
    assert_eq!(offered(&stage, stage.discord.user("ada"), "").await, [""; 0]);
    let eve = stage.discord.user("eve");
    route(&stage, &by_function(&format!("users = {{ '{eve}' }}"))).await;
    assert_eq!(said(&stage, "eve", "tell", &[]).await.content, "none");

    // Where the function fails, operators still have their commands.
    route(&stage, &by_function("").replace("function()", "function() error 'boom'")).await;
    let told = said(&stage, "ada", "help", &[]).await.content;
    assert!(told.starts_with("The script that decides where your message goes failed."), "{told}");
    assert!(told.contains("\n-# id "), "{told}");
    assert!(said(&stage, "owner", "help", &[]).await.content.contains("/reload"));
}
