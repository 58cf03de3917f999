use super::*;
use crate::local::{Fault, Id, LocalDiscord, Options, Say, UseCommand};
use crate::redact::Redactor;

/// A bot in a folder of its own, whose operators read in a channel of its local Discord.
struct Stage {
    discord: LocalDiscord,
    folder: tempfile::TempDir,
    config: Config,
    channel: Id,
    settling: mpsc::UnboundedReceiver<(MessageId, Settled)>,
    bot: Bot,
}

impl Stage {
    async fn open() -> Self {
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
        let (settled, settling) = mpsc::unbounded_channel();
        let bot =
            Bot::start(&config, discord.token(), Redactor::new([]), Some(settled), &CancellationToken::new())
                .await
                .unwrap();
        Self { discord, folder, config, channel, settling, bot }
    }

    async fn failed(&mut self) -> String {
        timeout(Duration::from_secs(20), self.bot.failed()).await.unwrap().to_string()
    }

    async fn ask(&mut self) {
        self.discord.say(Say::to_bot(self.channel, self.discord.owner(), "ping"));
        assert_eq!(self.settling.recv().await.map(|(_, settled)| settled), Some(Settled::Said));
    }

    /// Whether the operators have read this when the bot has stopped.
    async fn told_once_stopped(self, failed: &str) -> bool {
        self.bot.shut_down().await;
        let told = format!("⚠️ I have to stop: {failed}.");
        Store::open(&self.config.store_path).unwrap();
        drop(self.folder);
        self.discord.messages(self.channel).iter().any(|it| it.content == told)
    }
}

#[tokio::test]
async fn a_step_of_the_database_that_panics_ends_the_bot_in_good_order() {
    let mut stage = Stage::open().await;
    assert!(timeout(Duration::from_millis(50), stage.bot.failed()).await.is_err(), "nothing is wrong yet");

    stage.bot.turns.store.panic().await;
    let failed = stage.failed().await;
    assert_eq!(failed, "a bug in moonlane: a database job panicked: on purpose");
    // What is under way can still be written and said.
    stage.ask().await;
    assert!(stage.told_once_stopped(&failed).await);
}

#[tokio::test]
async fn scripts_that_are_loaded_by_nobody_any_more_end_the_bot() {
    let mut stage = Stage::open().await;
    // The bot does not end before the operators have heard why.
    let told = format!("POST /channels/{}/messages", stage.channel);
    stage.discord.fail_next(1, Fault::Status(500), &told);
    stage.bot.reloader.panic();
    let failed = stage.failed().await;
    assert_eq!(failed, "a bug in moonlane: the script loader panicked: on purpose");
    assert!(stage.told_once_stopped(&failed).await);
}

#[tokio::test]
async fn a_task_that_the_bot_cannot_do_without_ends_it_when_it_panics() {
    const ALL: [&str; 9] = [
        "the cleanup of kept files",
        "the cleanup of old messages",
        "the command handler",
        "the command registration",
        "the event reader",
        "the interaction relay",
        "the liveness marker",
        "the message intake",
        "the owner lookup",
    ];
    const TELLS: &str = "the operator notifier";
    for what in ALL.into_iter().chain([TELLS]) {
        let mut stage = Stage::open().await;
        let mut known = stage.bot.panics.known();
        known.retain(|name| *name != TELLS);
        assert_eq!(known, ALL);
        stage.bot.panics.cause(what);
        let failed = stage.failed().await;
        assert_eq!(failed, format!("a bug in moonlane: {what} panicked: on purpose"));
        assert_eq!(stage.told_once_stopped(&failed).await, what != TELLS, "{what}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_command_is_told_also_where_nobody_answers_commands_any_more() {
    let mut stage = Stage::open().await;
    std::fs::create_dir(stage.folder.path().join("scripts/commands")).unwrap();
    std::fs::write(
        stage.folder.path().join("scripts/commands/asks.lua"),
        "return { name = 'asks', description = 'x', run = function(ctx) ctx:confirm 'Sure?' end }",
    )
    .unwrap();
    stage.bot.reloader.reload_now().await.unwrap();
    let known = |discord: &LocalDiscord| (!discord.commands().is_empty()).then_some(());
    timeout(Duration::from_secs(20), stage.discord.wait_until(known)).await.unwrap();
    let used = UseCommand::new(stage.channel, stage.discord.owner(), "asks");
    let used = stage.discord.use_command(used).unwrap();
    let question = stage.discord.response_message(used);
    let question = timeout(Duration::from_secs(20), question).await.unwrap();
    stage.bot.panics.cause("the command handler");
    stage.failed().await;
    stage.bot.shut_down().await;
    let told = stage.discord.message(question.id).unwrap().content;
    assert!(told.starts_with("Sure?\n\n⚠️ I'm restarting"), "{told}");
}

#[tokio::test]
async fn a_channel_whose_history_nobody_reads_any_more_ends_the_bot() {
    let mut stage = Stage::open().await;
    stage.ask().await;
    stage.bot.shut_down().await;
    stage.discord.say(Say::to_bot(stage.channel, stage.discord.owner(), "ping"));
    let history = format!("GET /channels/{}/messages", stage.channel);
    stage.discord.fail_next(1, Fault::Delay(Duration::from_secs(3600)), &history);
    let mut bot =
        Bot::start(&stage.config, stage.discord.token(), Redactor::new([]), None, &CancellationToken::new())
            .await
            .unwrap();
    let asked = |discord: &LocalDiscord| {
        discord
            .calls()
            .iter()
            .any(|call| format!("{} {}", call.method, call.path).starts_with(&history))
            .then_some(())
    };
    timeout(Duration::from_secs(20), stage.discord.wait_until(asked)).await.unwrap();
    bot.panics.cause("the catch-up reader");
    let failed = timeout(Duration::from_secs(20), bot.failed()).await.unwrap().to_string();
    assert_eq!(failed, "a bug in moonlane: the catch-up reader panicked: on purpose");
    bot.shut_down().await;
}

#[tokio::test]
async fn a_command_that_comes_before_the_bot_has_begun_is_told_that_it_stops() {
    let stage = Stage::open().await;
    let commands = stage.folder.path().join("scripts/commands");
    std::fs::create_dir(&commands).unwrap();
    let says = "return { name = 'says', description = 'x', run = function(ctx) ctx:reply 'Here.' end }";
    std::fs::write(commands.join("says.lua"), says).unwrap();
    stage.bot.reloader.reload_now().await.unwrap();
    let known = |discord: &LocalDiscord| (!discord.commands().is_empty()).then_some(());
    timeout(Duration::from_secs(20), stage.discord.wait_until(known)).await.unwrap();
    stage.bot.shut_down().await;

    let (mut bot, _rest) =
        Bot::connect(&stage.config, stage.discord.token(), Redactor::new([]), None).await.unwrap();
    bot.gateway.ready().await.unwrap();
    let used = UseCommand::new(stage.channel, stage.discord.owner(), "says");
    let used = stage.discord.use_command(used).unwrap();
    // The first thing that a bot does when it stops; what it does then goes on only while the gateway is open.
    bot.commands.close();
    let told = timeout(Duration::from_secs(20), stage.discord.response_message(used)).await.unwrap();
    assert_eq!(told.content, words::command::RESTARTING);
    bot.shut_down().await;
}
