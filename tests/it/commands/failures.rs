//! What a person reads of a command that failed leads to the line in the log that says why. And where only Discord
//! failed, they read what the command did.

use moonlane::domain::Outcome;
use moonlane::local::Fault;
use moonlane::turn::Settled;

use super::{said, shipped, stage};
use crate::separate::{Process, bot_on};
use crate::support::Stage;

/// The answer to this command without its last line, and the short id in that line.
async fn failing(stage: &Stage, name: &str) -> (String, String) {
    let answer = said(stage, "ada", name, &[]).await.content;
    let (sentence, id) = answer.split_once("\n-# id ").unwrap_or_else(|| panic!("no id: {answer}"));
    (sentence.to_owned(), id.to_owned())
}

#[tokio::test]
async fn the_short_id_of_a_failure_stands_in_the_log_with_the_whole_chain() {
    let stage = shipped().await;
    let save = |name: &str, body: &str| {
        let start = format!("return {{ name = '{name}', description = 'x', run = function(ctx)");
        stage.save(&format!("commands/{name}.lua"), &format!("{start}\n{body}\nend }}"));
    };
    save("fails", "local nothing\nreturn nothing.at_all");
    save("loops", "while true do end");
    save("catches", "local _, told = pcall(ctx.sessions, ctx) ctx:reply(told)");
    let bot = Process::ready(&mut bot_on(&stage)).await;

    let (sentence, id) = failing(&stage, "fails").await;
    assert_eq!(
        sentence,
        "⚠️ The script of this command failed. Please tell whoever runs this bot; the log shows why."
    );
    let line = bot.line("a command failed").await;
    assert!(line.contains(" ERROR ") && line.contains(&format!("command{{id={id} ")), "{id}: {line}");
    assert!(line.contains("scripts/commands/fails.lua:3: attempt to index nil with 'at_all'"), "{line}");

    let (sentence, id) = failing(&stage, "loops").await;
    assert_eq!(
        sentence,
        "⚠️ The script of this command took too long. Please tell whoever runs this bot; the log shows where."
    );
    let line = bot.line("ran longer than").await;
    assert!(line.contains(&format!("command{{id={id} ")), "{id}: {line}");

    // What the core itself could not do, also where the script goes on.
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    database.execute_batch("ALTER TABLE sessions RENAME TO gone").unwrap();
    for name in ["status", "catches"] {
        let (sentence, id) = failing(&stage, name).await;
        assert!(
            sentence.ends_with("My database isn't responding. Tell whoever runs this bot."),
            "{name}: {sentence}"
        );
        let line = bot
            .line(&format!(
                "command{{id={id} channel={}}}: moonlane::command::perform",
                stage.discord.channel("general")
            ))
            .await;
        assert!(line.contains("no such table: sessions"), "{name}: {line}");
    }
    bot.stop().await;
}

#[tokio::test]
async fn who_stops_a_turn_reads_that_it_was_stopped_although_discord_fails() {
    let mut stage = stage().await;
    let faults = [Fault::Status(500), Fault::Status(502), Fault::DropBefore, Fault::DropAfter];
    for (number, fault) in faults.into_iter().enumerate() {
        let prompt = format!("SLEEP:60{number}");
        let running = stage.say("general", &prompt);
        stage.prompted(&prompt).await;
        stage.discord.fail_next(2, fault, "POST /interactions/");
        let told = said(&stage, "owner", "stop", &[]).await;
        assert_eq!(told.content, format!("Stopped the turn of <@{}>.", stage.discord.owner()), "{fault:?}");
        assert_eq!(stage.settled(running).await, Settled::Ended(Outcome::Cancelled), "{fault:?}");
    }
}
