//! What turns use: what of it is kept.

use std::time::Duration;

use moonlane::domain::{Compaction, ContextFill, MessageId, MicroUsd, Tokens, TurnUsage};
use moonlane::local::Id;
use moonlane::store::Store;

use crate::support::{ANSWERED, Stage};

/// What the store says that each of these turns has used, after the bot's end.
pub async fn used(stage: &Stage, questions: &[Id]) -> Vec<Option<TurnUsage>> {
    let store = Store::open(&stage.root().join("moonlane.db")).unwrap();
    let mut used = Vec::new();
    for question in questions {
        let turn = store.turn(MessageId::new(question.get()).unwrap()).await.unwrap();
        used.push(turn.expect("a turn").usage);
    }
    store.close().await;
    used
}

#[tokio::test]
async fn each_turn_has_what_it_used_and_what_nobody_told_is_unknown() {
    let mut stage = Stage::open().await;
    let prompts = [
        "TEXT:one",
        "USAGE:1,20,300,4000 ;; COST:0.25 ;; TOOL:Read:a ;; TOOL:Read:b ;; TEXT:two",
        "FALLBACK:sonnet ;; TOOL:Read:a ;; ERR:500",
        "USAGE:none ;; TEXT:three",
        "TEXT:before ;; COMPACT:154000:31000 ;; COMPACT:90000:20000 ;; TEXT:after",
        "TEXT:half ;; TOOL:Read:a ;; CRASH",
        "TEXT:again",
    ];
    let mut questions = Vec::new();
    for prompt in prompts {
        let question = stage.say("general", prompt);
        stage.settled(question).await;
        questions.push(question);
    }
    stage.stop().await;
    let used = used(&stage, &questions).await;
    let used: Vec<TurnUsage> = used.into_iter().map(|used| used.expect("an agent had it")).collect();

    let cost = |place: usize| used[place].cost.map(|cost| cost.0);
    assert_eq!((cost(0), cost(1), cost(2)), (Some(1000), Some(250_000), Some(1000)));
    // It was paid for by the time of the next result, which cannot tell by whom.
    assert_eq!((cost(3), cost(4)), (None, Some(2000)));
    assert_eq!((cost(5), cost(6)), (None, Some(2000)));

    let tokens = |input, output, cache_read, cache_write| Tokens { input, output, cache_read, cache_write };
    assert_eq!(used[1].tokens, Some(tokens(3, 60, 900, 12_000)), "three requests");
    assert_eq!(used[1].context, Some(ContextFill { used: 4301, window: Some(200_000) }), "the last one");
    assert_eq!((used[1].tools, used[1].model.as_deref()), (Some(2), Some("demo")));
    assert_eq!((used[2].tools, used[2].model.as_deref()), (Some(1), Some("sonnet")), "that answered");
    assert_eq!(used[2].tokens.map(|tokens| tokens.output), Some(120));

    assert_eq!((used[3].tokens, used[3].context), (None, None));
    assert_eq!((used[3].tools, used[3].model.as_deref()), (Some(0), Some("demo")));
    assert_eq!(used[4].compaction, Some(Compaction { from: 154_000, to: 20_000 }));
    assert_eq!(used[4].context.map(|fill| fill.used), Some(20_304));
    assert_eq!((used[5].tokens, used[5].tools), (None, Some(1)), "no result came");
    assert_eq!(used[6].compaction, None);
    for used in used {
        let took = used.duration.expect("a time");
        assert!(took > Duration::ZERO && took < Duration::from_secs(60), "{took:?}");
    }
}

#[tokio::test]
async fn what_a_stopped_turn_has_used_is_kept_and_one_that_never_began_has_used_nothing() {
    let mut stage = Stage::open().await;
    let first = stage.say("general", "TEXT:hello");
    assert_eq!(stage.settled(first).await, ANSWERED);
    let stopped = stage.say("general", "USAGE:5,6,7,8 ;; TOOL:Read:a ;; SLEEP:60");
    stage.prompted("USAGE:5,6,7,8 ;; TOOL:Read:a ;; SLEEP:60").await;
    let waiting = stage.say("general", "TEXT:never");
    stage.reacted(waiting, "⏳").await;
    stage.discord.delete(waiting);
    stage.settled(waiting).await;
    stage.discord.delete(stopped);
    stage.settled(stopped).await;
    stage.stop().await;
    let used = used(&stage, &[first, stopped, waiting]).await;
    let [_, Some(stopped), None] = &used[..] else { panic!("{used:?}") };
    assert_eq!(stopped.cost, Some(MicroUsd(1000)));
    assert_eq!(stopped.tokens, Some(Tokens { input: 5, output: 6, cache_read: 7, cache_write: 8 }));
}
