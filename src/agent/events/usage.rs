//! What a turn has used, as the CLI tells it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::AgentEvent;
use crate::domain::{Compaction, Tokens};

/// Tokens by the names of the Messages API: <https://docs.anthropic.com/en/api/messages>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct RawTokens {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation_input_tokens: u64,
}

impl RawTokens {
    pub fn tokens(self) -> Tokens {
        Tokens {
            input: self.input_tokens,
            output: self.output_tokens,
            cache_read: self.cache_read_input_tokens,
            cache_write: self.cache_creation_input_tokens,
        }
    }
}

/// The part of a `result` line that says what was used.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct ReportedUsage {
    /// Of the turn, without subagents; 0 in a turn that was interrupted while the model wrote.
    #[serde(deserialize_with = "readable")]
    usage: Option<RawTokens>,
    /// By model, since the result before: everything, also what an interrupted turn has used. Only current versions have it.
    #[serde(deserialize_with = "readable")]
    model_usage_since_last_result: Option<BTreeMap<String, ModelShare>>,
    /// By model, over the whole session.
    #[serde(rename = "modelUsage", deserialize_with = "readable")]
    model_usage: Option<BTreeMap<String, ModelShare>>,
}

/// The value, where it can be read. An answer is worth more than its statistics: another form of them must not make the
/// line that carries both unreadable.
pub(super) fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// One model's share.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ModelShare {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation_input_tokens: u64,
    context_window: Option<u64>,
}

impl ModelShare {
    fn tokens(&self) -> Tokens {
        Tokens {
            input: self.input_tokens,
            output: self.output_tokens,
            cache_read: self.cache_read_input_tokens,
            cache_write: self.cache_creation_input_tokens,
        }
    }
}

impl ReportedUsage {
    /// What was used since the result before; `None` where the agent does not say.
    pub fn tokens(&self) -> Option<Tokens> {
        let by_model = self.model_usage_since_last_result.as_ref();
        let all = by_model
            .map(|models| models.values().map(ModelShare::tokens).fold(Tokens::default(), Tokens::plus));
        all.or_else(|| self.usage.map(RawTokens::tokens))
    }

    /// The context window of this model. It may be listed with a suffix, such as `[1m]`.
    pub fn window(&self, model: &str) -> Option<u64> {
        let models = self.model_usage.as_ref()?;
        let with_suffix = |name: &str| name.strip_prefix(model).is_some_and(|rest| rest.starts_with('['));
        let suffixed = || models.iter().find(|(name, _)| with_suffix(name)).map(|(_, share)| share);
        models.get(model).or_else(suffixed)?.context_window
    }
}

#[derive(Deserialize)]
pub(super) struct Boundary {
    #[serde(default, deserialize_with = "readable")]
    compact_metadata: Option<CompactMetadata>,
}

#[derive(Deserialize)]
struct CompactMetadata {
    pre_tokens: u64,
    post_tokens: u64,
}

pub(super) fn compacted(Boundary { compact_metadata: told }: Boundary) -> AgentEvent {
    match told {
        Some(CompactMetadata { pre_tokens: from, post_tokens: to }) => {
            AgentEvent::Compacted(Compaction { from, to })
        }
        None => AgentEvent::PassedOver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(json: &str) -> ReportedUsage {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_all_models_have_used_goes_before_what_the_main_loop_has() {
        let both = reported(
            r#"{ "usage": { "input_tokens": 1, "output_tokens": 2 }, "model_usage_since_last_result": {
                "a": { "inputTokens": 10, "outputTokens": 20, "cacheReadInputTokens": 30, "cacheCreationInputTokens": 40 },
                "b": { "inputTokens": 1 } } }"#,
        );
        let all = Tokens { input: 11, output: 20, cache_read: 30, cache_write: 40 };
        assert_eq!(both.tokens(), Some(all));
        let older = reported(r#"{ "usage": { "input_tokens": 1, "output_tokens": 2, "speed": null } }"#);
        assert_eq!(older.tokens(), Some(Tokens { input: 1, output: 2, ..Tokens::default() }));
    }

    #[test]
    fn statistics_in_another_form_are_unknown_and_cost_nobody_the_answer() {
        for odd in [
            r#"{ "usage": 7 }"#,
            r#"{ "usage": { "input_tokens": null } }"#,
            r#"{ "usage": { "input_tokens": -1 } }"#,
            r#"{ "model_usage_since_last_result": [], "modelUsage": null }"#,
        ] {
            let reported = reported(odd);
            assert_eq!((reported.tokens(), reported.window("opus")), (None, None), "{odd}");
        }
        let line = br#"{ "type": "result", "result": "hi", "usage": "much", "total_cost_usd": "more" }"#;
        let AgentEvent::Result(result) = crate::agent::events::read(line) else { panic!("it is a result") };
        assert_eq!((result.result.as_deref(), result.total_cost_usd), (Some("hi"), None));
        let told = |line: &str| crate::agent::events::read(line.as_bytes());
        let boundary = |told: &str| format!(r#"{{"type":"system","subtype":"compact_boundary"{told}}}"#);
        assert_eq!(told(&boundary("")), AgentEvent::PassedOver);
        assert_eq!(told(&boundary(r#","compact_metadata":{"pre_tokens":5}"#)), AgentEvent::PassedOver);
        let both = boundary(r#","compact_metadata":{"pre_tokens":5,"post_tokens":2}"#);
        assert_eq!(told(&both), AgentEvent::Compacted(Compaction { from: 5, to: 2 }));
    }

    #[test]
    fn nothing_that_is_told_is_unknown_and_a_window_is_its_models() {
        assert_eq!(reported("{}").tokens(), None);
        assert_eq!(reported(r#"{ "model_usage_since_last_result": {} }"#).tokens(), Some(Tokens::default()));
        let windows = reported(
            r#"{ "modelUsage": { "opus": { "contextWindow": 5 }, "sonnet[1m]": { "contextWindow": 7 }, "haiku": {} } }"#,
        );
        let of = |model| windows.window(model);
        assert_eq!((of("opus"), of("sonnet"), of("haiku"), of("son")), (Some(5), Some(7), None, None));
    }
}
