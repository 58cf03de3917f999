//! What a turn of the demo agent uses: made up, and the same each time.

use serde_json::{Value, json};

/// The size of a new session's context, in tokens.
const FRESH: u64 = 12_000;
/// The context window that the demo agent claims to have.
const WINDOW: u64 = 200_000;

/// Tokens, by what they are billed as.
#[derive(Debug, Clone, Copy, Default)]
pub struct DemoTokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

/// What the turn has used so far.
#[derive(Debug, Default)]
pub struct DemoUsage {
    /// The agent reports none of it, as other agents may.
    pub untold: bool,
    all: DemoTokens,
    /// What the next requests report, as a directive says.
    pub set: Option<DemoTokens>,
    /// The model that answers in place of the one that was asked for.
    pub answers: Option<String>,
    /// The size of the context since it was compacted.
    pub compacted_to: Option<u64>,
}

impl DemoUsage {
    /// Counts one request of a session with this many turns; returns the usage for its message.
    pub fn request(&mut self, turns: usize) -> Option<Value> {
        let known = self.compacted_to.unwrap_or(FRESH + 500 * turns as u64);
        let one =
            self.set.unwrap_or(DemoTokens { input: 4, output: 120, cache_read: known, cache_write: 300 });
        self.all.input += one.input;
        self.all.output += one.output;
        self.all.cache_read += one.cache_read;
        self.all.cache_write += one.cache_write;
        (!self.untold).then(|| by_api_names(one))
    }

    /// Adds the usage to a result.
    pub fn tell(&self, result: &mut Value, model: &str, cost: f64) {
        if self.untold {
            return;
        }
        let DemoTokens { input, output, cache_read, cache_write } = self.all;
        result["usage"] = by_api_names(self.all);
        result["total_cost_usd"] = cost.into();
        let share = json!({
            "inputTokens": input, "outputTokens": output, "cacheReadInputTokens": cache_read,
            "cacheCreationInputTokens": cache_write, "contextWindow": WINDOW,
        });
        result["model_usage_since_last_result"] = json!({ model: share });
        result["modelUsage"] = json!({ model: share });
    }
}

/// By the names of the Messages API.
fn by_api_names(tokens: DemoTokens) -> Value {
    json!({
        "input_tokens": tokens.input, "output_tokens": tokens.output,
        "cache_read_input_tokens": tokens.cache_read, "cache_creation_input_tokens": tokens.cache_write,
    })
}

/// `input,output,cache read,cache write`; what is missing is 0.
pub fn tokens(argument: &str) -> DemoTokens {
    let mut numbers = argument.split(',').map(|number| number.trim().parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    DemoTokens { input: next(), output: next(), cache_read: next(), cache_write: next() }
}
