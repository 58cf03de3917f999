//! Budgets: who has spent enough for a day is refused before anything starts, by every way to a turn.

use moonlane::domain::Outcome;
use moonlane::local::{Id, UseCommand};
use moonlane::turn::Settled;
use rusqlite::Connection;

use crate::commands::{add_shipped, says};
use crate::support::{ANSWERED, Setup, Stage, within};

const REFUSED: Settled = Settled::Ended(Outcome::Cancelled);

/// Two projects, `here` and, in the channel `next`, `there`; ada is let in. `all` is put at the top, `here` into its project.
fn routing(stage: &Stage, all: &str, here: &str) -> String {
    let (ada, next) = (stage.discord.user("ada"), stage.discord.channel("next"));
    let project = |name: &str, keys: &str| {
        format!(r#"{name} = {{ dir = "WORK", env = {{ DEMO_AGENT_LOG = "LOG" }}, footer = false, {keys} }},"#)
    };
    format!(
        r#"return {{
            allow = {{ users = {{ "{ada}" }} }}, {all}
            projects = {{ {} {} }},
            channels = {{ ["{next}"] = "there" }},
            route = function() return "here" end,
        }}"#,
        project("here", here),
        project("there", ""),
    )
}

async fn stage(all: &str, here: &str) -> Stage {
    let mut stage = Stage::without_bot(Setup::default()).await;
    add_shipped(&stage);
    stage.save("routing.lua", &routing(&stage, all, here));
    stage.start().await;
    stage
}

/// Lets these budgets count from now on.
async fn change(stage: &Stage, all: &str, here: &str) {
    stage.save("routing.lua", &routing(stage, all, here));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
}

/// The sentence with which a turn was refused, and when its budget opens, in seconds from now.
async fn refusal(stage: &mut Stage, question: Id) -> (String, i64) {
    assert_eq!(stage.settled(question).await, REFUSED, "{}", stage.answer(question));
    opens(&stage.answer(question))
}

fn opens(sentence: &str) -> (String, i64) {
    let (before, rest) = sentence.split_once("<t:").unwrap_or_else(|| panic!("a time: {sentence}"));
    let (time, after) = rest.split_once(":R>").expect("the end of the time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    (format!("{before}SOON{after}"), time.parse::<i64>().unwrap() - now.cast_signed())
}

fn prompts(stage: &Stage) -> Vec<String> {
    stage.agent_log().into_iter().filter_map(|event| event.prompt).collect()
}

/// Makes all that was spent so many hours older, while no bot runs.
fn age(stage: &Stage, hours: i64) {
    let database = Connection::open(stage.root().join("moonlane.db")).unwrap();
    database.execute("UPDATE usage SET ended = ended - ?1", [hours * 3_600_000]).unwrap();
}

#[tokio::test]
async fn a_projects_budget_refuses_everybody_there_and_opens_after_a_day() {
    let mut stage = stage("", "budget = { usd_per_day = 1 }").await;
    assert_eq!(stage.ask("general", "COST:0.999 ;; TEXT:nearly").await, "nearly");
    // What it will cost is not known before.
    assert_eq!(stage.ask("general", "COST:5 ;; TEXT:over").await, "over");
    for person in ["owner", "ada"] {
        let question = stage.say_as(person, "general", "TEXT:more");
        let (sentence, opens) = refusal(&mut stage, question).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(sentence, @"
            ⚠️ The project **here** has spent its budget of $1.00 for 24 hours, so I did not start. Ask again SOON.
            -# id ID
            ");
        }
        assert!((86_300..=86_401).contains(&opens), "{opens}");
    }
    assert_eq!(stage.ask("next", "TEXT:there").await, "there");
    assert!(!prompts(&stage).contains(&"TEXT:more".to_owned()));

    stage.stop().await;
    age(&stage, 23);
    stage.start().await;
    let question = stage.say("general", "TEXT:more");
    let (_, opens) = refusal(&mut stage, question).await;
    assert!((3500..=3601).contains(&opens), "{opens}");
    stage.stop().await;
    age(&stage, 1);
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:more").await, "more");
}

#[tokio::test]
async fn a_persons_budget_is_theirs_and_one_for_all_is_everybodys() {
    let mut stage = stage("budget = { per_user_usd_per_day = 1 },", "").await;
    let dear = stage.say_as("ada", "general", "COST:2 ;; TEXT:dear");
    assert_eq!(stage.settled(dear).await, ANSWERED);
    for channel in ["general", "next"] {
        let question = stage.say_as("ada", channel, "TEXT:more");
        let (sentence, _) = refusal(&mut stage, question).await;
        assert!(
            sentence.starts_with("⚠️ You have spent your budget of $1.00 for 24 hours, so"),
            "{sentence}"
        );
    }
    assert_eq!(stage.ask("general", "TEXT:mine").await, "mine");

    change(&stage, "budget = { usd_per_day = 2.5 },", "budget = { per_user_usd_per_day = 2 }").await;
    let question = stage.say_as("ada", "general", "TEXT:more");
    let (sentence, _) = refusal(&mut stage, question).await;
    assert!(sentence.contains("$2.00 for 24 hours in the project **here**"), "{sentence}");
    assert_eq!(stage.ask("next", "COST:0.5 ;; TEXT:mine").await, "mine");
    let question = stage.say("next", "TEXT:more");
    let (sentence, _) = refusal(&mut stage, question).await;
    assert!(sentence.starts_with("⚠️ I have spent my budget of $2.50"), "{sentence}");
}

#[tokio::test]
async fn a_budget_is_asked_as_it_is_when_a_turn_begins() {
    let mut stage = stage("", "budget = { usd_per_day = 1 }").await;
    // One that waits when the money is spent, and one that is edited meanwhile.
    stage.close_gate();
    let held = stage.say("general", "COST:3 ;; READ:gate");
    stage.prompted("COST:3 ;; READ:gate").await;
    let waiting = stage.say("general", "TEXT:waiting");
    let edited = stage.say("general", "TEXT:first");
    stage.reacted(edited, "⏳").await;
    let bot = stage.discord.bot_id();
    stage.discord.edit(edited, &format!("<@{bot}> TEXT:second"));
    stage.let_go("done").await;
    assert_eq!(stage.settled(held).await, ANSWERED);
    for question in [waiting, edited] {
        refusal(&mut stage, question).await;
    }
    // By a command.
    let (general, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let ask = UseCommand::new(general, owner, "ask").option("prompt", "TEXT:asked");
    let told = says(&stage, stage.discord.use_command(ask).unwrap()).await;
    assert_eq!(told.content, "Asked: TEXT:asked");
    let refused = stage.discord.wait_until(|discord| {
        let said = discord.messages(general);
        said.into_iter()
            .rfind(|it| it.content.contains("so I did not start") && it.content.contains("For <@"))
    });
    within("the refusal of a command's turn", refused).await;
    let ran = ["COST:3 ;; READ:gate"];
    assert_eq!(prompts(&stage), ran);

    // Who raises it lets the next one begin.
    change(&stage, "", "budget = { usd_per_day = 9 }").await;
    assert_eq!(stage.ask("general", "TEXT:raised").await, "raised");
}

#[tokio::test]
async fn what_was_written_while_the_clock_was_ahead_closes_a_budget_for_a_day_at_most() {
    let mut stage = stage("", "budget = { usd_per_day = 1 }").await;
    assert_eq!(stage.ask("general", "COST:5 ;; TEXT:over").await, "over");
    stage.stop().await;
    age(&stage, -1);
    stage.start().await;
    let question = stage.say("general", "TEXT:more");
    let (_, opens) = refusal(&mut stage, question).await;
    assert!((89_000..=90_001).contains(&opens), "{opens}");
    stage.stop().await;
    age(&stage, -48);
    stage.start().await;
    assert_eq!(stage.ask("general", "TEXT:more").await, "more");
}

#[tokio::test]
async fn a_turn_that_an_earlier_bot_left_is_refused_too() {
    let mut stage = stage("", "").await;
    assert_eq!(stage.ask("next", "COST:3 ;; TEXT:dear").await, "dear");
    let held = stage.held("general").await;
    let waiting = stage.say("general", "TEXT:waiting");
    stage.reacted(waiting, "⏳").await;
    stage.stop().await;
    stage.forget_settled(held);
    stage.save("routing.lua", &routing(&stage, "budget = { usd_per_day = 2 },", ""));
    stage.start().await;
    let (sentence, _) = refusal(&mut stage, waiting).await;
    assert!(sentence.contains("I have spent my budget of $2.00"), "{sentence}");
    assert!(!prompts(&stage).contains(&"TEXT:waiting".to_owned()));
}
