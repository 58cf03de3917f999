//! What a channel has chosen for itself: the model and the permission mode of its turns.

use moonlane::domain::{ChannelId, PermissionMode};
use moonlane::store::{ChannelChoice, NewChoice, Store};

use crate::support::{Setup, Stage};

const ROUTING: &str = r#"return {
    projects = { here = { dir = "WORK", env = { DEMO_AGENT_LOG = "LOG" }, model = "sonnet", permission_mode = "acceptEdits" } },
    route = function(message, prompt)
        local model = prompt:match("^with (%w+)")
        return { project = "here", model = model }
    end,
}"#;

fn channel(stage: &Stage, name: &str) -> ChannelId {
    ChannelId::new(stage.discord.channel(name).get()).unwrap()
}

/// Chooses in the store of a bot that does not run; what was chosen before.
async fn choose(stage: &Stage, name: &str, new: NewChoice) -> ChannelChoice {
    let store = Store::open(&stage.config().store_path).unwrap();
    let before = store.set_choice(channel(stage, name), new).await.unwrap();
    store.close().await;
    before
}

#[tokio::test]
async fn a_turn_has_the_model_of_its_route_else_of_its_channel_else_of_its_project() {
    let mut stage = Stage::without_bot(Setup { routing: ROUTING.to_owned(), ..Setup::default() }).await;
    let hooks = "return { after_answer = function(text, turn) return text .. ', ' .. turn.model end }";
    std::fs::write(stage.root().join("scripts/hooks.lua"), hooks).unwrap();
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits, sonnet");
    assert_eq!(stage.ask("general", "with haiku ;; MODE").await, "haiku acceptEdits, haiku");
    stage.stop().await;

    choose(&stage, "general", NewChoice::Model(Some("opus".to_owned()))).await;
    // Twice: it is kept over restarts.
    for _ in 0..2 {
        stage.start().await;
        assert_eq!(stage.ask("general", "MODE").await, "opus acceptEdits, opus");
        assert_eq!(stage.ask("general", "with haiku ;; MODE").await, "haiku acceptEdits, haiku");
        assert_eq!(stage.ask("general", "MODE").await, "opus acceptEdits, opus");
        assert_eq!(stage.ask("elsewhere", "MODE").await, "sonnet acceptEdits, sonnet");
        // What somebody has typed once is never an argument.
        assert!(!stage.ask("general", "ARGS").await.contains("=opus"));
        stage.stop().await;
    }

    choose(&stage, "general", NewChoice::Model(None)).await;
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits, sonnet");
}

#[tokio::test]
async fn a_turn_has_the_permission_mode_of_its_channel_else_of_its_project() {
    let mut stage = Stage::without_bot(Setup { routing: ROUTING.to_owned(), ..Setup::default() }).await;
    choose(&stage, "general", NewChoice::PermissionMode(Some(PermissionMode::Plan))).await;
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet plan");
    // Claude itself may leave the mode; the next turn has it again.
    assert_eq!(stage.ask("general", "MODE:acceptEdits ;; MODE").await, "sonnet acceptEdits");
    assert_eq!(stage.ask("general", "MODE").await, "sonnet plan");
    assert_eq!(stage.ask("elsewhere", "MODE").await, "sonnet acceptEdits");
    stage.stop().await;

    let before = choose(&stage, "general", NewChoice::PermissionMode(None)).await;
    assert_eq!(before.permission_mode, Some(PermissionMode::Plan));
    stage.start().await;
    assert_eq!(stage.ask("general", "MODE").await, "sonnet acceptEdits");
}
