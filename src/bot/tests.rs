use super::*;
use crate::local::{LocalDiscord, Options, Say};

#[tokio::test]
async fn a_step_of_the_database_that_panics_ends_the_bot_in_good_order() {
    let discord = LocalDiscord::start(Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["config", "scripts", "work"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let channel = discord.channel("general");
    let config = format!("[scripts]\nnotify_channel = \"{channel}\"\n");
    std::fs::write(root.join("config/moonlane.toml"), config).unwrap();
    std::fs::write(root.join("scripts/triggers.lua"), "return { mention = true }").unwrap();
    let routing = format!(
        "return {{ projects = {{ here = {{ dir = {:?} }} }}, route = function() return {{ reply = 'pong' }} end }}",
        root.join("work")
    );
    std::fs::write(root.join("scripts/routing.lua"), routing).unwrap();
    let api = ("MOONLANE_DISCORD__API_URL".to_owned(), discord.url().to_owned());
    let config = Config::load(root, [api]).unwrap();
    let (settled, mut settling) = mpsc::unbounded_channel();
    let mut bot = Bot::start(&config, discord.token(), Some(settled)).await.unwrap();
    assert!(timeout(Duration::from_millis(50), bot.failed()).await.is_err(), "nothing is wrong yet");

    bot.turns.store.panic().await;
    let failed = timeout(Duration::from_secs(20), bot.failed()).await.unwrap().to_string();
    assert_eq!(failed, "a mistake in moonlane: a step of the database panicked: on purpose");
    let told = |discord: &LocalDiscord| {
        discord.messages(channel).iter().any(|it| it.content.ends_with("on purpose.")).then_some(())
    };
    discord.wait_until(told).await;
    // What is under way can still be written and said.
    discord.say(Say::to_bot(channel, discord.owner(), "ping"));
    assert_eq!(settling.recv().await.map(|(_, settled)| settled), Some(Settled::Said));
    bot.shut_down().await;
    Store::open(&config.store_path).unwrap();
}
