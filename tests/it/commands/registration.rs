//! Registering while other things happen.

use std::time::Duration;

use moonlane::local::{Fault, LocalDiscord};

use super::{SHIPPED, shipped, stage};
use crate::support::{Stage, within};

const HELLO: &str = "return { name = 'hello', description = 'Hi', run = function(ctx) ctx:reply 'Hi' end }";

/// How often the bot has looked at what is registered, and where it does.
fn looks(discord: &LocalDiscord) -> (usize, String) {
    let mut calls = discord.calls();
    calls.retain(|call| call.method == "GET" && call.path.ends_with("/commands"));
    (calls.len(), calls.last().map(|call| call.path.clone()).unwrap_or_default())
}

/// A stage whose bot has registered its commands and stopped. Its next one waits this long for what Discord knows.
async fn slow(wait: Duration) -> Stage {
    let mut stage = stage().await;
    stage.stop().await;
    let (_, path) = looks(&stage.discord);
    stage.discord.fail_next(1, Fault::Delay(wait), &format!("GET {path}"));
    stage
}

#[tokio::test]
async fn messages_do_not_wait_for_a_registration_that_takes_long() {
    let mut stage = slow(Duration::from_secs(600)).await;
    stage.save("commands/hello.lua", HELLO);
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:here I am").await, "here I am");
    assert_eq!(stage.discord.commands().len(), SHIPPED, "the new one is not there yet");
}

#[tokio::test]
async fn a_definition_that_is_saved_while_the_bot_registers_is_registered_too() {
    let mut stage = slow(Duration::from_millis(500)).await;
    let file = stage.root().join("scripts/commands/hello.lua");
    let discord = stage.discord.clone();
    let save = async {
        let looked = |discord: &LocalDiscord| (looks(discord).0 == 2).then_some(());
        within("a look at the commands", discord.wait_until(looked)).await;
        std::fs::write(file, HELLO).unwrap();
    };
    tokio::join!(save, stage.start());
    let known = |discord: &LocalDiscord| (discord.commands().len() == SHIPPED + 1).then_some(());
    within("the registration", stage.discord.wait_until(known)).await;
}

#[tokio::test]
async fn the_first_commands_are_there_when_the_bot_is_ready() {
    let mut stage = shipped().await;
    stage.start().await;
    assert_eq!(stage.discord.commands().len(), SHIPPED);
}
