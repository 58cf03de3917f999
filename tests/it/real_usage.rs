//! What the store says that turns have used, against what the real CLI was told by the API.

use moonlane::domain::{ContextFill, Tokens, TurnUsage};
use moonlane::local::Id;

use crate::real_claude::Real;
use crate::support::Stage;
use crate::usage::used;

/// What such tokens cost by the CLI's list prices of its default model (2.1.330), in millionths of a dollar: per million 4
/// dollars of input, 20 of output, 0.20 read from the cache and 5 written to it.
fn price(tokens: Tokens) -> f64 {
    let Tokens { input, output, cache_read, cache_write } = tokens;
    input as f64 * 4.0 + output as f64 * 20.0 + cache_read as f64 * 0.2 + cache_write as f64 * 5.0
}

/// The difference in tokens.
fn since(before: Tokens, now: Tokens) -> Tokens {
    Tokens {
        input: now.input - before.input,
        output: now.output - before.output,
        cache_read: now.cache_read - before.cache_read,
        cache_write: now.cache_write - before.cache_write,
    }
}

/// What was asked so far: the questions, and what the API has reported for each.
struct Asked {
    questions: Vec<Id>,
    reported: Vec<Tokens>,
    before: Tokens,
}

impl Asked {
    fn new() -> Self {
        Self { questions: Vec::new(), reported: Vec::new(), before: Tokens::default() }
    }

    /// Asks, and waits for the answer.
    async fn ask(&mut self, real: &Real, prompt: &str) -> String {
        let question = real.stage.say("general", prompt);
        let answer = real.answer(question).await;
        self.note(real, question);
        answer
    }

    fn note(&mut self, real: &Real, question: Id) {
        let now = real.api.reported();
        self.questions.push(question);
        self.reported.push(since(self.before, now));
        self.before = now;
    }

    /// Holds what the store says of each turn to what the API has reported for it.
    async fn check(&self, stage: &Stage) -> Vec<TurnUsage> {
        let used = used(stage, &self.questions).await;
        let used: Vec<TurnUsage> = used.into_iter().map(|used| used.expect("an agent had it")).collect();
        for (place, (used, reported)) in used.iter().zip(&self.reported).enumerate() {
            println!("{place}: {used:?}");
            assert_eq!(used.tokens, Some(*reported), "turn {place}");
            let cost = used.cost.expect("a cost").0 as f64;
            // Each result rounds to a millionth.
            assert!((cost - price(*reported)).abs() <= 1.0, "turn {place}: {cost} for {reported:?}");
        }
        used
    }
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn the_store_has_of_each_turn_what_the_api_reported_also_over_a_resume_and_an_interruption() {
    let mut real = Real::with(r#"allowed_tools = { "Bash" },"#).await;
    let mut asked = Asked::new();
    asked.ask(&real, "USAGE:1000,50,20000,3000").await;
    asked.ask(&real, "USAGE:7,300,24000,100").await;
    asked.ask(&real, r#"TOOL:Bash:{"command": "echo hi"}"#).await;
    assert!(asked.ask(&real, "STATUS:400").await.contains("⚠️"));
    asked.ask(&real, "USAGE:2000,1,0,0").await;

    real.bot.stop().await;
    real.bot = Real::start(&real.stage).await;
    asked.ask(&real, "USAGE:30,40,50000,60").await;

    // Stopped while the model writes: what it had reported by then is paid for.
    let stopped = real.stage.say("general", "STALL");
    real.api.asked("STALL").await;
    real.stage.discord.delete(stopped);
    // Its turn has ended once the next one begins.
    let next = real.stage.say("general", "USAGE:5,6,7,8");
    real.answer(next).await;
    let reported = real.api.reported();
    let last = Tokens { input: 5, output: 6, cache_read: 7, cache_write: 8 };
    real.bot.stop().await;
    // Claude Code may have been stopped before it read what the API had sent.
    let has_read =
        used(&real.stage, &[stopped]).await[0].as_ref().and_then(|it| it.tokens) != Some(Tokens::default());
    let paid = if has_read { since(asked.before, since(last, reported)) } else { Tokens::default() };
    asked.questions.extend([stopped, next]);
    asked.reported.extend([paid, last]);
    asked.before = reported;

    let used = asked.check(&real.stage).await;
    assert_eq!(used[2].tools, Some(1));
    assert!(used.iter().all(|used| used.model.as_deref() == Some("claude-opus-5-5") || used.model.is_none()));
    let fill = ContextFill { used: 24_107, window: Some(1_000_000) };
    assert_eq!(used[1].context, Some(fill));
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn the_store_has_what_a_compaction_took_and_left() {
    let real = Real::open().await;
    let mut asked = Asked::new();
    asked.ask(&real, "USAGE:980000,50,0,0").await;
    let answer = asked.ask(&real, "USAGE:3000,5,0,0").await;
    real.bot.stop().await;
    let used = asked.check(&real.stage).await;
    let compaction = used[1].compaction.expect("room was made");
    assert!(compaction.from > 900_000 && compaction.to < 100_000, "{compaction:?}");
    assert!(answer.contains("\n-# context 9"), "{answer}");
}
