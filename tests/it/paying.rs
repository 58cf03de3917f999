//! Who pays where messages go into turns or end them, and where refused turns go on; and what is not done without a budget.

use moonlane::domain::Outcome;
use moonlane::local::Id;
use moonlane::turn::Settled;

use crate::crashes::until;
use crate::steering::{HELD, agent, answer, is, open, times};
use crate::support::{ANSWERED, Stage};
use crate::waiting::{self, notice, notice_is_gone, refused};

const REFUSED: Settled = Settled::Ended(Outcome::Cancelled);
const STEERED: Settled = Settled::Ended(Outcome::Steered);

/// A stage on which each person may spend a dollar within 24 hours.
async fn stage(keys: &str) -> Stage {
    waiting::stage(&format!("budget = {{ per_user_usd_per_day = 1 }}, {keys}")).await
}

/// This person spends more than they have.
async fn spend(stage: &mut Stage, person: &str) {
    let dear = stage.say_as(person, "next", "COST:2 ;; TEXT:dear");
    assert_eq!(stage.settled(dear).await, ANSWERED);
}

fn is_refused(stage: &Stage, message: Id) {
    let told = stage.answer(message);
    assert!(told.starts_with("⚠️ You have spent your budget of $1.00 for 24 hours in the project"), "{told}");
}

#[tokio::test]
async fn a_message_without_a_budget_goes_into_no_turn_and_is_told_so_at_once() {
    for by_button in [false, true] {
        let mut stage = stage(if by_button { "" } else { "busy = 'steer'," }).await;
        spend(&mut stage, "bob").await;
        let first = stage.say_as("ada", "general", HELD);
        stage.prompted(HELD).await;
        let second = stage.say_as("bob", "general", "TEXT:second");
        if by_button {
            let shown = notice(&stage, second).await;
            stage.discord.press(shown.id, stage.discord.user("bob"), &format!("now:{second}")).unwrap();
        }
        // The first is still at work.
        assert_eq!(stage.settled(second).await, REFUSED, "by a button: {by_button}");
        is_refused(&stage, second);
        stage.reaction_taken_off(second, "⏳").await;
        notice_is_gone(&stage, second).await;
        open(&stage, "gate");
        assert_eq!(stage.settled(first).await, ANSWERED);
        assert_eq!(answer(&stage, first), "done");
        assert_eq!(times(&stage, "prompt", "TEXT:second"), 0);
    }
}

#[tokio::test]
async fn whoever_asked_for_a_turn_pays_for_what_goes_into_it() {
    let mut stage = stage("busy = 'steer',").await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    let second = stage.say_as("bob", "general", "COST:3 ;; TEXT:dear");
    agent(&stage, "prompt", "COST:3 ;; TEXT:dear").await;
    open(&stage, "gate");
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, STEERED));
    let (adas, bobs) =
        (stage.say_as("ada", "next", "TEXT:adas"), stage.say_as("bob", "general", "TEXT:bobs"));
    assert_eq!((stage.settled(adas).await, stage.settled(bobs).await), (REFUSED, ANSWERED));
    is_refused(&stage, adas);
}

#[tokio::test]
async fn nothing_goes_into_a_turn_for_which_its_asker_could_not_pay_any_more() {
    let mut stage = stage("busy = 'steer',").await;
    let first = stage.say_as("ada", "general", HELD);
    stage.prompted(HELD).await;
    spend(&mut stage, "ada").await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    let shown = notice(&stage, second).await;
    let told = refused(&stage, &shown, stage.discord.user("bob"), format!("now:{second}")).await;
    assert!(told.starts_with("Whoever asked for what I'm working on would pay"), "{told}");
    open(&stage, "gate");
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, ANSWERED));
    assert_eq!((answer(&stage, first), answer(&stage, second)), ("done".to_owned(), "second".to_owned()));
}

#[tokio::test]
async fn what_would_be_refused_ends_no_turn() {
    for by_button in [false, true] {
        let mut stage = stage(if by_button { "" } else { "busy = 'interrupt'," }).await;
        let first = stage.say_as("ada", "general", HELD);
        stage.prompted(HELD).await;
        spend(&mut stage, "ada").await;
        let second = stage.say_as("ada", "general", "TEXT:second");
        let shown = notice(&stage, second).await;
        let told = refused(&stage, &shown, stage.discord.user("ada"), format!("instead:{second}")).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(told, @"There's no budget left for this message, so I haven't stopped anything for it.");
        }
        open(&stage, "gate");
        assert_eq!((stage.settled(first).await, stage.settled(second).await), (ANSWERED, REFUSED));
        is_refused(&stage, second);
    }
}

#[tokio::test]
async fn what_a_usage_limit_refused_does_not_go_on_without_a_budget() {
    let mut stage = stage("limits = { continue_spread = 0 },").await;
    let question = stage.say_as("ada", "general", "LIMIT:1");
    stage.settled(question).await;
    spend(&mut stage, "ada").await;
    let posted = stage.parts(question).last().unwrap().id;
    stage.discord.press(posted, stage.discord.user("ada"), &format!("continue:{question}")).unwrap();
    let general = stage.discord.channel("general");
    let told = until("the refusal", || {
        let said = stage.discord.messages(general);
        said.into_iter().find(|it| it.by_bot && it.content.contains("You have spent your budget"))
    })
    .await;
    assert_eq!(told.reply_to, Some(question));
    assert_eq!(times(&stage, "prompt", "Continue."), 0);
}

#[tokio::test]
async fn a_turn_that_is_stopped_says_whose_messages_were_in_it() {
    let mut stage = waiting::stage("busy = 'steer',").await;
    let prompt = "TOOL:Bash:until gate ;; TOOL:Bash:until gate2 ;; TEXT:done";
    let first = stage.say_as("ada", "general", prompt);
    stage.prompted(prompt).await;
    let second = stage.say_as("bob", "general", "TEXT:second");
    agent(&stage, "prompt", "TEXT:second").await;
    open(&stage, "gate");
    stage.reacted(second, "👀").await;
    crate::commands::said(&stage, "ada", "stop", &[]).await;
    assert_eq!((stage.settled(first).await, stage.settled(second).await), (REFUSED, STEERED));
    assert!(is(&stage, second, "answered in another"));
    insta::assert_snapshot!(answer(&stage, first), @"
    second

    ⏹️ Stopped.

    -# Another message of @bob was part of this
    ");
}
