//! What happens while the bot is away, or hears nothing.

use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{Closed, DropGateway, Fault, Id, LocalDiscord, Right, Say};
use moonlane::turn::Settled;

use crate::crashes::{Program, outcome, until};
use crate::support::{ANSWERED, ONE_FOR_MANY, Setup, Stage, routing_with, within};

/// A stage whose bot has heard something in these channels, and is away.
async fn away_from(channels: &[&str]) -> Stage {
    let mut stage = Stage::open().await;
    for channel in channels {
        assert_eq!(stage.ask(channel, "TEXT:here").await, "here");
    }
    stage.stop().await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_while_the_bot_was_away_is_answered_in_order_and_once() {
    let mut stage = away_from(&["general", "general/idea"]).await;
    let gone = stage.say("general", "TEXT:gone");
    let first = stage.say("general", "TEXT:first");
    for n in 0..120 {
        stage.discord.say(Say::new(
            stage.discord.channel("general"),
            stage.discord.owner(),
            format!("talk {n}"),
        ));
    }
    let second = stage.say("general", "TEXT:old words");
    let in_thread = stage.say("general/idea", "TEXT:in the thread");
    let in_new = stage.say("brand new", "TEXT:in a new channel");
    let stranger = stage.say_as("stranger", "general", "TEXT:let me in");
    stage.discord.delete(gone);
    let me = stage.discord.bot_id();
    stage.discord.edit(second, &format!("<@{me}> TEXT:new words"));
    for (message, answer) in
        [(first, "first"), (second, "new words"), (in_thread, "in the thread"), (in_new, "in a new channel")]
    {
        if message == first {
            stage.start().await;
        }
        assert_eq!(stage.settled(message).await, ANSWERED);
        assert_eq!(stage.answer(message), answer);
    }
    assert_eq!(stage.settled(stranger).await, Settled::Ignored);
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect();
    let place = |prompt: &str| prompts.iter().position(|it| it == prompt).unwrap();
    assert!(place("TEXT:first") < place("TEXT:new words"));
    // A second start finds nothing more.
    stage.stop().await;
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:now").await, "now");
    assert_eq!(stage.parts(first).len(), 1);
    assert_eq!(
        stage.discord.messages(stage.discord.channel("general")).iter().filter(|it| it.by_bot).count(),
        4
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_cannot_be_read_holds_up_no_other_and_is_read_later_also_after_a_restart() {
    let mut stage = away_from(&["general", "broken"]).await;
    let broken = stage.say("broken", "TEXT:at last");
    let asked = stage.say("general", "TEXT:meanwhile");
    let path = format!("GET /channels/{}/messages", stage.discord.channel("broken"));
    stage.discord.fail_next(1000, Fault::Status(500), &path);
    stage.start().await;
    assert_eq!(stage.settled(asked).await, ANSWERED);
    let behind = stage.say("broken", "TEXT:behind it");
    assert_eq!(stage.ask("general", "TEXT:live").await, "live");
    // It has given up once, and asks again.
    let asked_again = |discord: &LocalDiscord| {
        let calls = discord.calls();
        let reads = calls.iter().filter(|call| format!("{} {}", call.method, call.path).starts_with(&path));
        (reads.count() >= 4).then_some(())
    };
    within("further tries", stage.discord.wait_until(asked_again)).await;
    // Nothing of it was taken in, so the next bot begins where this one did.
    stage.stop().await;
    assert!(stage.parts(broken).is_empty() && stage.parts(behind).is_empty());
    stage.start().await;
    stage.discord.heal();
    assert_eq!(stage.settled(broken).await, ANSWERED);
    assert_eq!(stage.settled(behind).await, ANSWERED);
    assert!(stage.parts(broken)[0].id < stage.parts(behind)[0].id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_is_too_old_by_discords_clock_one_line_tells() {
    let mut stage = away_from(&["general"]).await;
    let old = [stage.say("general", "TEXT:one"), stage.say("general", "TEXT:two")];
    // By this machine's clock no time passes.
    stage.discord.pass_time(Duration::from_secs(3 * 3600));
    let new = stage.say("general", "TEXT:new");
    stage.start().await;
    assert_eq!(stage.settled(new).await, ANSWERED);
    assert_eq!(stage.settled(old[0]).await, Settled::Said);
    assert_eq!(stage.settled(old[1]).await, Settled::Ignored);
    insta::assert_snapshot!(stage.answer(old[0]), @"I was away, and skipped what was asked here more than two hours ago. Ask again if it still matters.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_much_one_line_tells() {
    let mut stage = away_from(&["general"]).await;
    let asked: Vec<_> = (0..53).map(|n| stage.say_as(&format!("p{n}"), "general", "TEXT:x")).collect();
    let people: Vec<_> = (0..53).map(|n| format!("\"{}\"", stage.discord.user(&format!("p{n}")))).collect();
    let allow = format!("allow = {{ users = {{ {} }} }}", people.join(", "));
    stage.save("routing.lua", &routing_with(&allow));
    stage.start().await;
    for message in &asked[..50] {
        assert_eq!(stage.settled(*message).await, ANSWERED);
    }
    assert_eq!(stage.settled(asked[50]).await, Settled::Said);
    assert_eq!(stage.settled(asked[52]).await, Settled::Ignored);
    insta::assert_snapshot!(stage.answer(asked[50]), @"I was away and too many messages came in, so I skipped this one and the later ones here. Ask again if they still matter.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_is_killed_while_it_reads_has_got_on_all_the_same() {
    let stage = Stage::without_bot(Setup::default()).await;
    let general = stage.discord.channel("general");
    let bot = Program::start(&stage).await;
    let here = stage.say("general", "TEXT:here");
    outcome(&stage, here).await;
    assert!(bot.stop().await.success());
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let sql = "SELECT seen FROM places WHERE channel = ?1";
    let heard = database.query_one(sql, [general.get().cast_signed()], |row| row.get::<_, i64>(0)).unwrap();
    let heard = Id::from(heard.cast_unsigned());
    drop(database);
    let first = stage.say("general", "TEXT:first");
    for n in 0..150 {
        stage.say_as("other", "general", &format!("talk {n}"));
    }
    let second = stage.say("general", "TEXT:second");
    let page = |after: Id| format!("/channels/{general}/messages?after={after}&limit=100");
    let since: Vec<_> = stage
        .discord
        .messages(general)
        .into_iter()
        .map(|message| message.id)
        .filter(|id| *id > heard)
        .collect();
    let end_of_page = since[99];

    // The first page can be read, and no more.
    stage.discord.fail_next(1000, Fault::Status(500), &format!("GET {}", page(end_of_page)));
    let bot = Program::start(&stage).await;
    let asked_for = || stage.discord.calls().iter().any(|call| call.path == page(end_of_page));
    until("the next page to be asked for", || asked_for().then_some(())).await;
    // A turn that the kill meets at work is another test's.
    assert_eq!(outcome(&stage, first).await, "answered");
    bot.kill().await;
    stage.discord.heal();
    let before = stage.discord.calls().len();
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, second).await, "answered");
    for message in [first, second] {
        assert_eq!(stage.parts(message).len(), 1);
    }
    let read_again = stage.discord.calls()[before..].iter().any(|call| call.path == page(heard));
    assert!(!read_again, "what was taken in is read again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_now_goes_before_what_was_missed_elsewhere() {
    let channels: Vec<_> = (0..10).map(|n| format!("c{n}")).collect();
    let mut stage = Stage::without_bot(Setup { config: ONE_FOR_MANY.to_owned(), ..Setup::default() }).await;
    for channel in &channels {
        stage.discord.channel(channel);
    }
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:here").await, "here");
    stage.stop().await;
    for channel in &channels {
        for _ in 0..50 {
            stage.say(channel, "TEXT:old");
        }
    }
    stage.start().await;
    // What is missed is being taken in.
    stage.prompted("TEXT:old").await;
    let new = stage.say("general", "TEXT:new");
    assert_eq!(stage.settled(new).await, ANSWERED);
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let sql = "SELECT count(*) FROM messages
               WHERE accepted <= (SELECT accepted FROM messages WHERE id = ?1)";
    let before: i64 = database.query_one(sql, [new.get().cast_signed()], |row| row.get(0)).unwrap();
    println!("taken in before what is said now: {before} of 502");
    assert!(before < 250, "{before}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_went_into_the_archive_meanwhile_is_read() {
    let mut stage = away_from(&["general/idea"]).await;
    let asked = stage.say("general/idea", "TEXT:before it was closed");
    stage.discord.close_thread(stage.discord.channel("general/idea"), Some(Closed::Archived));
    stage.start().await;
    assert_eq!(stage.settled(asked).await, ANSWERED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_in_the_archive_is_forgotten_after_a_month_and_known_again_once_somebody_speaks_there() {
    const THREADS: [&str; 2] = ["general/idle", "general/used"];
    let mut stage = away_from(&THREADS).await;
    let [idle, used] = THREADS.map(|name| stage.discord.channel(name));
    for thread in [idle, used] {
        stage.discord.close_thread(thread, Some(Closed::Archived));
    }
    let database = rusqlite::Connection::open(stage.root().join("moonlane.db")).unwrap();
    let of = |thread: Id| [thread.get().cast_signed()];
    database.execute("UPDATE places SET archived = 1, seen = 1 WHERE parent IS NOT NULL", ()).unwrap();
    for table in ["messages", "sessions"] {
        database.execute(&format!("DELETE FROM {table} WHERE channel = ?1"), of(idle)).unwrap();
    }
    let knows = |thread| {
        let mut places = database.prepare("SELECT 1 FROM places WHERE channel = ?1").unwrap();
        places.exists(of(thread)).unwrap()
    };
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:here").await, "here");
    assert_eq!((knows(idle), knows(used)), (false, true));
    assert_eq!(stage.ask("general/idle", "TEXT:again").await, "again");
    assert!(knows(idle));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_guild_that_is_new_to_the_bot_nothing_is_caught_up() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    let before = stage.say("general", "TEXT:before");
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:now").await, "now");
    assert!(stage.parts(before).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_channel_ends_what_runs_and_waits_there_and_in_its_threads() {
    let mut stage = Stage::open().await;
    let held = stage.held("general/idea").await;
    let waiting = stage.say("general/idea", "TEXT:never");
    stage.reacted(waiting, "⏳").await;
    stage.discord.delete_channel(stage.discord.channel("general"));
    for message in [held, waiting] {
        assert_eq!(stage.settled(message).await, Settled::Ended(Outcome::Cancelled));
    }
    stage.no_agent_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_is_thrown_out_ends_everything_there() {
    let mut stage = Stage::open().await;
    assert_eq!(stage.ask("other", "TEXT:idle").await, "idle");
    let held = stage.held("general").await;
    stage.discord.throw_out();
    assert_eq!(stage.settled(held).await, Settled::Ended(Outcome::Cancelled));
    // Also the one that only waited for its next turn.
    stage.no_agent_is_left().await;
}

/// What the bot has posted, or tried to, since there were `before` calls in these channels. Marks on messages do not count.
fn posts_in(stage: &Stage, before: usize, channels: &[Id]) -> Vec<String> {
    let there = |path: &str| channels.iter().any(|id| path.starts_with(&format!("/channels/{id}/")));
    let calls = stage.discord.calls().split_off(before);
    calls
        .into_iter()
        .filter(|call| call.method == "POST" && there(&call.path))
        .map(|call| call.path)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_places_that_are_gone_when_the_bot_is_back_is_cancelled() {
    let config = "[agent]\nmax_running = 1".to_owned();
    let mut stage = Stage::with(Setup { config, ..Setup::default() }).await;
    let names = ["deleted", "stays/deleted", "deleted too/thread"];
    for name in names {
        stage.ask(name, "TEXT:here").await;
    }
    stage.discord.forbid(stage.discord.channel("silent"), Right::Post);
    let unsaid = stage.say("silent", "TEXT:never said");
    stage.refused_to_post("silent").await;
    stage.held("general").await;
    let waiting = names.map(|name| stage.say(name, "TEXT:never asked"));
    for message in waiting {
        stage.reacted(message, "⏳").await;
    }
    stage.stop().await;
    let gone = ["deleted", "stays/deleted", "deleted too", "silent"].map(|name| stage.discord.channel(name));
    for channel in gone {
        stage.discord.delete_channel(channel);
    }
    let before = stage.discord.calls().len();
    stage.start().await;
    for message in waiting {
        assert_eq!(stage.settled(message).await, Settled::Ended(Outcome::Cancelled));
    }
    assert!(matches!(stage.settled(unsaid).await, Settled::Ended(_)));
    // They hold up nobody.
    assert_eq!(stage.ask("general", "TEXT:now").await, "now");
    assert!(stage.agent_log().iter().all(|event| event.prompt.as_deref() != Some("TEXT:never asked")));
    // What was to be said is tried once.
    let posts = posts_in(&stage, before, &gone);
    assert!(posts.len() <= 1, "{posts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_guild_that_has_thrown_the_bot_out_is_cancelled_when_the_bot_is_back() {
    let config = "[agent]\nmax_running = 1".to_owned();
    let mut stage = Stage::with(Setup { config, ..Setup::default() }).await;
    stage.held("general").await;
    let waiting = stage.say("other", "TEXT:never asked");
    stage.reacted(waiting, "⏳").await;
    stage.stop().await;
    stage.discord.throw_out();
    let before = stage.discord.calls().len();
    stage.start().await;
    assert_eq!(stage.settled(waiting).await, Settled::Ended(Outcome::Cancelled));
    assert!(stage.agent_log().iter().all(|event| event.prompt.as_deref() != Some("TEXT:never asked")));
    let mut posts = posts_in(&stage, before, &[stage.discord.channel("other")]);
    // It tried whether it may write.
    posts.retain(|path| !path.ends_with("/typing"));
    assert_eq!(posts, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_waits_an_edit_and_a_deletion_during_an_outage_count() {
    let mut stage = Stage::open().await;
    let held = stage.held("general").await;
    let edited = stage.say("general", "TEXT:old");
    let deleted = stage.say("general", "TEXT:never");
    for waiting in [edited, deleted] {
        stage.reacted(waiting, "⏳").await;
    }
    stage.discord.drop_gateway(DropGateway::Op9 { resumable: false });
    let me = stage.discord.bot_id();
    stage.discord.edit(edited, &format!("<@{me}> TEXT:new"));
    stage.discord.delete(deleted);
    within("the connection", stage.discord.connected()).await;
    assert_eq!(stage.ask("other", "TEXT:back").await, "back");
    stage.discord.delete(held);
    assert_eq!(stage.settled(edited).await, ANSWERED);
    assert_eq!(stage.answer(edited), "new");
    assert_eq!(stage.settled(deleted).await, Settled::Ended(Outcome::Cancelled));
    assert_eq!(stage.parts(deleted), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_during_an_outage_is_answered_after_it() {
    let mut stage = Stage::open().await;
    assert_eq!(stage.ask("general", "TEXT:here").await, "here");
    stage.discord.drop_gateway(DropGateway::Op9 { resumable: false });
    let asked = stage.say("general", "TEXT:meanwhile");
    assert_eq!(stage.settled(asked).await, ANSWERED);
    within("the connection", stage.discord.connected()).await;
}

#[tokio::test]
async fn what_is_being_taken_in_while_the_bot_stops_is_answered_after_the_next_start() {
    for stops_slowly in [false, true] {
        let mut stage = Stage::without_bot(Setup::default()).await;
        let ada = stage.discord.user("ada");
        let allow = format!("return {{ allow = {{ users = {{ '{ada}' }} }},");
        stage.save("routing.lua", &routing_with("").replacen("return {", &allow, 1));
        stage.start().await;
        assert_eq!(stage.ask("general", "TEXT:here").await, "here");
        if stops_slowly {
            stage.say("other", "DEAF ;; STALL");
            stage.prompted("DEAF ;; STALL").await;
        }
        // Whether an owner is in the guild takes longer than a bot that stops waits for it.
        stage.discord.fail_next(1, Fault::Delay(Duration::from_millis(1500)), "/members/");
        let question = stage.say_as("ada", "general", "TEXT:later");
        let asked = |discord: &moonlane::local::LocalDiscord| {
            discord.calls().iter().any(|call| call.path.contains("/members/")).then_some(())
        };
        within("a look for owners", stage.discord.wait_until(asked)).await;
        stage.stop().await;
        // It is written down by then, or refused.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            stage.discord.messages(stage.discord.channel("general")).len(),
            3,
            "nothing is said of it"
        );
        stage.start().await;
        assert_eq!(stage.settled(question).await, ANSWERED, "stops slowly: {stops_slowly}");
        assert_eq!(stage.answer(question), "later");
    }
}
