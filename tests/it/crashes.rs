//! What a crash leaves behind: a separate `moonlane run` is killed with SIGKILL and started again, over a local
//! Discord that goes on living.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use moonlane::local::{Fault, Id, SUPPRESS_NOTIFICATIONS, Say, What};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{MOONLANE, Setup, Stage, routing_with, within};

/// A turn shows nothing but its answer, so that posts can be counted however slow the machine is.
pub fn quiet() -> Setup {
    Setup { routing: routing_with("live = 'off',"), ..Setup::default() }
}

/// A delay that no test waits for.
pub const FOR_EVER: Duration = Duration::from_secs(3600);

/// The bot as a process of its own.
pub struct Program {
    child: Child,
    /// What it has logged since it was ready.
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it and waits until it is ready.
    pub async fn start(stage: &Stage) -> Self {
        let mut child = command(stage).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = async {
            let mut log = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(" ready ") {
                    return;
                }
                log.push_str(&line);
                log.push('\n');
            }
            panic!("the bot did not start:\n{log}");
        };
        within("the line `ready`", ready).await;
        // Somebody has to read on, or the bot would write into a closed pipe.
        let log = Arc::<Mutex<String>>::default();
        let logged = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("{line}");
                logged.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, log }
    }

    /// Waits until it has logged this.
    pub async fn logged(&self, text: &str) {
        until(&format!("{text:?} in the log"), || self.log.lock().unwrap().contains(text).then_some(()))
            .await;
    }

    /// How often it has logged this.
    pub fn times_logged(&self, text: &str) -> usize {
        self.log.lock().unwrap().matches(text).count()
    }

    /// Ends it as nothing can prevent.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends it as an operator does.
    pub async fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        within("the bot's end", self.child.wait()).await.unwrap()
    }
}

fn command(stage: &Stage) -> Command {
    let mut command = Command::new(MOONLANE);
    command
        .args(["run", "--root"])
        .arg(stage.root())
        .env("DISCORD_TOKEN", stage.discord.token())
        .env("MOONLANE_DISCORD__API_URL", stage.discord.url())
        .env("CLAUDE_CONFIG_DIR", stage.root().join("claude"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// One value of the bot's database, read beside the bot.
pub fn stored<T: rusqlite::types::FromSql>(stage: &Stage, sql: &str, parameters: impl Params) -> Option<T> {
    let file = stage.root().join("moonlane.db");
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    database.query_row(sql, parameters, |row| row.get(0)).optional().unwrap()
}

/// Changes the database while no bot runs.
pub fn change(stage: &Stage, sql: &str, parameters: impl Params) {
    let database = Connection::open(stage.root().join("moonlane.db")).unwrap();
    assert_eq!(database.execute(sql, parameters).unwrap(), 1, "{sql}");
}

/// A snowflake as SQLite holds it.
pub fn key(message: Id) -> i64 {
    message.get().cast_signed()
}

/// Waits until another process has done something that nothing tells of.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    within(what, wait).await
}

/// Waits until a turn has ended and everything is said; its outcome.
pub async fn outcome(stage: &Stage, message: Id) -> String {
    let sql = "SELECT turns.state FROM turns LEFT JOIN deliveries USING (message)
               WHERE message = ?1 AND turns.state NOT IN ('waiting', 'running')
               AND coalesce(deliveries.state, 'done') <> 'open'";
    until(&format!("the end of {message}"), || stored(stage, sql, [key(message)])).await
}

/// Every part of the answer was posted exactly once, in order and as it was written down; how many there are.
fn assert_whole(stage: &Stage, message: Id) -> usize {
    let posted: Vec<_> = stage.parts(message);
    let numbers: Vec<_> = posted.iter().map(|part| part.nonce.clone().unwrap()).collect();
    let count: i64 = stored(stage, "SELECT count(*) FROM parts WHERE message = ?1", [key(message)]).unwrap();
    let expected: Vec<_> = (1..=count).map(|number| format!("{message}-{number}")).collect();
    assert_eq!(numbers, expected, "every part once, in order");
    for (number, part) in (1..).zip(&posted) {
        let sql = "SELECT text FROM parts WHERE message = ?1 AND number = ?2";
        let text: String = stored(stage, sql, (key(message), number)).unwrap();
        assert_eq!(part.content.trim(), text.trim());
        let sql = "SELECT posted FROM parts WHERE message = ?1 AND number = ?2";
        assert_eq!(stored(stage, sql, (key(message), number)), Some(key(part.id)));
        let (first, last) = (number == 1, number == count);
        assert_eq!(part.reply_to, (first || last).then_some(message), "first and last are replies");
        assert_eq!(part.flags & SUPPRESS_NOTIFICATIONS == 0, last, "only the last one may notify");
    }
    posted.len()
}

/// What the bot has said in a channel, in order.
fn said(stage: &Stage, channel: &str) -> Vec<String> {
    let messages = stage.discord.messages(stage.discord.channel(channel));
    messages.into_iter().filter(|message| message.by_bot).map(|message| message.content).collect()
}

/// How often the bot has tried to post in the channel.
fn tries(stage: &Stage, channel: &str) -> usize {
    let path = format!("/channels/{}/messages", stage.discord.channel(channel));
    stage.discord.calls().iter().filter(|call| call.method == "POST" && call.path == path).count()
}

#[tokio::test]
async fn an_answer_that_was_half_delivered_when_the_bot_was_killed_goes_on_where_it_stopped() {
    let stage = Stage::without_bot(quiet()).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(2, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts);
    let bot = Program::start(&stage).await;
    let question = stage.say("general", "LONG:9000");
    until("the third part on its way", || (tries(&stage, "general") == 3).then_some(())).await;
    bot.kill().await;
    assert_eq!(stage.parts(question).len(), 2);

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert!(assert_whole(&stage, question) >= 5);
}

#[tokio::test]
async fn a_part_that_was_posted_but_not_recorded_when_the_bot_was_killed_is_not_posted_again() {
    let stage = Stage::without_bot(quiet()).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(2, Fault::Delay(Duration::ZERO), &posts);
    // Discord takes the third part, and the bot does not learn of it.
    stage.discord.fail_next(1, Fault::DropAfter, &posts);
    let bot = Program::start(&stage).await;
    let question = stage.say("general", "LONG:9000");
    stage.parts_posted(question, 3).await;
    bot.kill().await;

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert!(assert_whole(&stage, question) >= 5);
}

#[tokio::test]
async fn an_answer_is_not_taken_for_another_one_of_the_same_words() {
    let stage = Stage::without_bot(quiet()).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::Delay(Duration::ZERO), &posts);
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts);
    let bot = Program::start(&stage).await;
    let first = stage.say("general", "SLEEP:0.3 ;; TEXT:yes");
    let second = stage.say("general", "TEXT:yes");
    until("the second answer on its way", || (tries(&stage, "general") == 2).then_some(())).await;
    bot.kill().await;
    assert_eq!(said(&stage, "general"), ["yes"]);

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, second).await, "answered");
    assert_eq!(said(&stage, "general"), ["yes", "yes"]);
    assert_eq!([assert_whole(&stage, first), assert_whole(&stage, second)], [1, 1]);
}

/// Somebody else talks in the channel, for more than a page of its history.
fn chatter(stage: &Stage, channel: &str) {
    for line in 0..150 {
        let (channel, person) = (stage.discord.channel(channel), stage.discord.user("ben"));
        stage.discord.say(Say::new(channel, person, format!("line {line}")));
    }
}

#[tokio::test]
async fn a_part_is_found_in_a_busy_channel() {
    let stage = Stage::without_bot(quiet()).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::DropAfter, &posts);
    let bot = Program::start(&stage).await;
    let question = stage.held("general").await;
    chatter(&stage, "general");
    stage.let_go("yes").await;
    stage.parts_posted(question, 1).await;
    bot.kill().await;
    stage.discord.forget_nonces();
    chatter(&stage, "general");

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_eq!(said(&stage, "general"), ["yes"]);
    assert_eq!(assert_whole(&stage, question), 1);
}

/// The bot was killed while it posted the answer "yes" to a question. Discord has not taken it.
async fn killed_with_an_answer_on_its_way() -> (Stage, Id) {
    let stage = Stage::without_bot(quiet()).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("general"));
    stage.discord.fail_next(1, Fault::Delay(FOR_EVER), &posts);
    let bot = Program::start(&stage).await;
    let question = stage.say("general", "TEXT:yes");
    until("the answer on its way", || (tries(&stage, "general") == 1).then_some(())).await;
    bot.kill().await;
    (stage, question)
}

#[tokio::test]
async fn what_the_bot_says_besides_is_not_taken_for_a_part() {
    let (stage, question) = killed_with_an_answer_on_its_way().await;
    // As a command would say it, and as a reply to somebody else.
    let (channel, bot) = (stage.discord.channel("general"), stage.discord.bot_id());
    let other = stage.discord.say(Say::new(channel, stage.discord.user("ben"), "really?"));
    stage.discord.say(Say::new(channel, bot, "yes"));
    stage.discord.say(Say { reply_to: Some(other), ..Say::new(channel, bot, "yes") });

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_eq!(said(&stage, "general"), ["yes", "yes", "yes"]);
    assert_eq!(assert_whole(&stage, question), 1);
}

#[tokio::test]
async fn a_reply_to_a_question_that_is_gone_is_found() {
    let (stage, question) = killed_with_an_answer_on_its_way().await;
    // Discord took it after the question was gone, and nobody heard of either.
    stage.discord.delete(question);
    stage.discord.say(Say::new(stage.discord.channel("general"), stage.discord.bot_id(), "yes"));

    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, question).await, "answered");
    assert_eq!(said(&stage, "general"), ["yes"]);
}

#[tokio::test]
async fn a_turn_that_was_running_when_the_bot_was_killed_is_told_once_and_those_behind_it_run() {
    let stage = Stage::without_bot(quiet()).await;
    let bot = Program::start(&stage).await;
    let running = stage.say("general", "TEXT:I begin. ;; SLEEP:20");
    stage.prompted("TEXT:I begin. ;; SLEEP:20").await;
    let (second, third) = (stage.say("general", "TEXT:second"), stage.say("general", "TEXT:third"));
    stage.reacted(second, "⏳").await;
    stage.reacted(third, "⏳").await;
    bot.kill().await;
    assert!(said(&stage, "general").is_empty());

    let bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, third).await, "answered");
    assert_eq!(outcome(&stage, second).await, "answered");
    assert_eq!(outcome(&stage, running).await, "interrupted");
    insta::assert_snapshot!(stage.answer(running), @"
    ⚠️ I was stopped while working on this, so it isn't finished. Check what was done, then ask again.
    -# id ID
    ");
    assert_eq!(said(&stage, "general")[1..], ["second", "third"]);
    for message in [second, third] {
        stage.reaction_taken_off(message, "⏳").await;
    }

    let next = stage.say("general", "SAY");
    outcome(&stage, next).await;
    insta::assert_snapshot!(stage.answer(next), @"
    TEXT:I begin. ;; SLEEP:20
    TEXT:second
    TEXT:third
    ");
    assert!(bot.stop().await.success());
    let _bot = Program::start(&stage).await;
    let last = stage.say("general", "TEXT:last");
    outcome(&stage, last).await;
    assert_eq!(said(&stage, "general").len(), 5, "nothing is told again: {:?}", said(&stage, "general"));
    let sessions: Vec<_> = stage.agent_log().into_iter().map(|event| event.session).collect();
    assert!(sessions.iter().all(|session| *session == sessions[0]), "one session: {sessions:?}");
}

#[tokio::test]
async fn whoever_edits_a_question_that_is_worked_on_hears_of_a_crash_all_the_same() {
    let stage = Stage::without_bot(quiet()).await;
    let bot = Program::start(&stage).await;
    let running = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    stage.discord.edit(running, "It no longer mentions the bot.");
    // What comes later is taken in later.
    let behind = stage.say("general", "TEXT:behind");
    stage.reacted(behind, "⏳").await;
    bot.kill().await;
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, behind).await, "answered");
    assert_eq!(outcome(&stage, running).await, "interrupted");
}

/// Lets a bot that is not running have ended so many minutes ago.
fn ended_ago(stage: &Stage, minutes: u64) {
    let lock = std::fs::File::options().write(true).open(stage.root().join("moonlane.db.lock")).unwrap();
    lock.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes)).unwrap();
}

#[tokio::test]
async fn what_waited_for_a_bot_that_was_away_for_too_long_is_told_so() {
    let setup = Setup { config: "[agent]\nmax_running = 1".to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let bot = Program::start(&stage).await;
    stage.say("general", "SLEEP:20");
    stage.prompted("SLEEP:20").await;
    let waited = stage.say("general", "SLEEP:20 ;; TEXT:not so long ago");
    let elsewhere = stage.say("other", "TEXT:and here");
    let last = stage.say("general", "TEXT:long ago");
    for message in [waited, elsewhere, last] {
        stage.reacted(message, "⏳").await;
    }
    bot.kill().await;
    // How long they had waited while it was there does not count.
    let sql = "UPDATE messages SET accepted = accepted - 86400000 WHERE id = ?1";
    change(&stage, sql, [key(waited)]);
    ended_ago(&stage, 119);
    let bot = Program::start(&stage).await;
    stage.prompted("SLEEP:20 ;; TEXT:not so long ago").await;
    assert_eq!(outcome(&stage, elsewhere).await, "answered");
    bot.kill().await;
    ended_ago(&stage, 121);
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, last).await, "interrupted");
    insta::assert_snapshot!(stage.answer(last), @"
    ⚠️ I was away for more than two hours, so I didn't start on this. Ask again if it still matters.
    -# id ID
    ");

    for message in [waited, elsewhere, last] {
        stage.reaction_taken_off(message, "⏳").await;
    }
}

#[tokio::test]
async fn what_lost_its_project_while_the_bot_was_away_is_told_so() {
    let routing = r#"return {
        projects = { here = { dir = "WORK", env = { DEMO_AGENT_LOG = "LOG" } }, gone = { dir = "WORK" } },
        route = function(m) return m.channel.name == "general" and "here" or "gone" end,
    }"#;
    let config = "[agent]\nmax_running = 1";
    let setup = Setup { routing: routing.to_owned(), config: config.to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    let bot = Program::start(&stage).await;
    stage.say("general", "SLEEP:20");
    stage.prompted("SLEEP:20").await;
    let homeless = stage.say("other", "TEXT:where am I?");
    stage.reacted(homeless, "⏳").await;
    bot.kill().await;
    let file = stage.root().join("scripts/routing.lua");
    let routing = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, routing.replace("gone = {", "renamed = {")).unwrap();
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, homeless).await, "failed");
    insta::assert_snapshot!(stage.answer(homeless), @"
    ⚠️ The project **gone** is no longer in routing.lua. Ask again once this channel has a project.
    -# id ID
    ");
    stage.reaction_taken_off(homeless, "⏳").await;
}

#[tokio::test]
async fn a_start_that_discord_refuses_begins_no_turn_that_waits() {
    let stage = Stage::without_bot(quiet()).await;
    let bot = Program::start(&stage).await;
    let running = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    let waiting = stage.say("general", "TEXT:waited");
    stage.reacted(waiting, "⏳").await;
    assert!(bot.stop().await.success());

    // Needs what Discord does not let the bot have.
    stage.save("triggers.lua", "return { prefixes = { '!' } }");
    let mut failed = command(&stage).spawn().unwrap();
    assert!(!within("the end of a start", failed.wait()).await.unwrap().success());
    stage.save("triggers.lua", "return { mention = true }");
    let _bot = Program::start(&stage).await;
    assert_eq!(outcome(&stage, waiting).await, "answered");
    assert_eq!(stage.answer(waiting), "waited");
    assert_eq!(outcome(&stage, running).await, "interrupted");
}

/// A moment in the life of a turn; true once it has come.
type Moment = fn(&Stage, Id) -> bool;

/// The whole life of a turn, told by what can be seen from outside.
const MOMENTS: [(&str, Moment); 9] = [
    ("said", |_, _| true),
    ("accepted", |stage, it| {
        stored::<i64>(stage, "SELECT 1 FROM messages WHERE id = ?1", [key(it)]).is_some()
    }),
    ("begun", |stage, it| {
        let sql = "SELECT 1 FROM turns WHERE message = ?1 AND state <> 'waiting'";
        stored::<i64>(stage, sql, [key(it)]).is_some()
    }),
    ("asked", |stage, it| agent_did(stage, it, "prompt")),
    ("answered", |stage, it| agent_did(stage, it, "result")),
    ("written", |stage, it| {
        stored::<i64>(stage, "SELECT 1 FROM deliveries WHERE message = ?1", [key(it)]).is_some()
    }),
    ("one part posted", |stage, it| !stage.parts(it).is_empty()),
    ("two parts posted", |stage, it| stage.parts(it).len() > 1),
    ("delivered", |stage, it| {
        let sql = "SELECT 1 FROM deliveries WHERE message = ?1 AND state = 'done'";
        stored::<i64>(stage, sql, [key(it)]).is_some()
    }),
];

fn agent_did(stage: &Stage, message: Id, what: &str) -> bool {
    let Some(channel) = stage.discord.message(message).map(|message| message.channel) else { return false };
    let sql = "SELECT id FROM sessions WHERE channel = ?1";
    let Some(session) = stored::<String>(stage, sql, [key(channel)]) else { return false };
    stage.agent_log().iter().any(|event| event.session == session && event.event == what)
}

#[tokio::test]
async fn whenever_the_bot_is_killed_every_accepted_message_gets_exactly_one_answer() {
    let stage = Stage::without_bot(quiet()).await;
    let mut bot = Program::start(&stage).await;
    let mut questions = Vec::new();
    for (name, has_come) in MOMENTS {
        let channel = name.replace(' ', "-");
        let asked = stage.say(&channel, "SLEEP:0.05 ;; LONG:5000");
        let behind = stage.say(&channel, "TEXT:behind");
        until(name, || has_come(&stage, asked).then_some(())).await;
        bot.kill().await;
        bot = Program::start(&stage).await;
        questions.extend([(name, asked, true), (name, behind, false)]);
    }
    // What was never accepted was lost before the bot had promised anything.
    let accepted = |it: &(&str, Id, bool)| {
        stored::<i64>(&stage, "SELECT 1 FROM messages WHERE id = ?1", [key(it.1)]).is_some()
    };
    let (accepted, lost): (Vec<_>, Vec<_>) = questions.into_iter().partition(accepted);
    assert!(lost.iter().all(|(name, _, first)| *name == "said" || !first), "{lost:?}");
    for (name, message, first) in accepted {
        let outcome = outcome(&stage, message).await;
        let parts = assert_whole(&stage, message);
        let whole = if first { parts > 2 } else { stage.answer(message) == "behind" };
        let told = parts == 1 && stage.answer(message).starts_with("⚠️ I was stopped while");
        assert!(
            if outcome == "answered" { whole } else { outcome == "interrupted" && told },
            "killed when {name}: {outcome}, {:?}",
            stage.answer(message)
        );
        if matches!(name, "written" | "one part posted" | "two parts posted" | "delivered") && first {
            assert_eq!(outcome, "answered", "killed when {name}");
        }
    }
    for (name, _) in MOMENTS {
        let channel = name.replace(' ', "-");
        let before = said(&stage, &channel).len();
        let last = stage.say(&channel, "TEXT:last");
        outcome(&stage, last).await;
        assert_eq!(said(&stage, &channel)[before..], ["last"], "the channel works on");
    }
    let log = stage.discord.log();
    let posted = |event: &&moonlane::local::Event| matches!(&event.what, What::Posted(it) if it.by_bot);
    let posts = log.iter().filter(posted).count();
    let recorded: i64 = stored(&stage, "SELECT count(*) FROM parts", ()).unwrap();
    assert_eq!(i64::try_from(posts).unwrap(), recorded, "nothing is said that is not in the ledger");
}

#[tokio::test]
async fn the_agents_of_a_killed_bot_end_with_it() {
    let stage = Stage::without_bot(quiet()).await;
    let bot = Program::start(&stage).await;
    let idle = stage.say("idle", "TEXT:done");
    outcome(&stage, idle).await;
    stage.say("busy", "STALL");
    stage.prompted("STALL").await;
    assert_eq!(stage.agent_processes().len(), 4, "two agents and their guards");
    bot.kill().await;
    stage.no_agent_is_left().await;
}

#[tokio::test]
async fn a_second_bot_on_the_same_database_is_refused_and_the_first_works_on() {
    let stage = Stage::without_bot(quiet()).await;
    let bot = Program::start(&stage).await;
    let (code, told) = refused(&stage).await;
    let pid = bot.child.id().unwrap().to_string();
    insta::assert_snapshot!(told.replace(&pid, "PID"), @"moonlane: ROOT/moonlane.db is in use by process PID: stop that one first, or give this one its own `[store] path`");
    assert_eq!(code, Some(1));
    let question = stage.say("general", "TEXT:still here");
    outcome(&stage, question).await;
    assert_eq!(stage.answer(question), "still here");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_was() {
    let stage = Stage::without_bot(quiet()).await;
    assert!(Program::start(&stage).await.stop().await.success());
    let file = stage.root().join("moonlane.db");
    let database = Connection::open(&file).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    database.close().unwrap();
    let before = std::fs::read(&file).unwrap();

    let (code, told) = refused(&stage).await;
    let known = told.split_once("up to ").and_then(|(_, rest)| rest.split_once(')')).unwrap().0.to_owned();
    let told = told.replace(&format!("up to {known})"), "up to VERSION)");
    insta::assert_snapshot!(told, @"moonlane: ROOT/moonlane.db was written by a newer moonlane (its version is 99, this one knows up to VERSION): start the newer one");
    assert_eq!(code, Some(1));
    assert!(std::fs::read(&file).unwrap() == before);
    assert!(!stage.root().join("moonlane.db-wal").exists());
}

/// Starts a bot that does not come up: its exit code and what it says last.
async fn refused(stage: &Stage) -> (Option<i32>, String) {
    let output = within("the refusal", command(stage).output()).await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().last().unwrap_or_default();
    (output.status.code(), last.replace(&stage.root().display().to_string(), "ROOT"))
}
