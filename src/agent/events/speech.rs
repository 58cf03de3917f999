//! What the model says, and what comes back from its tools.

use serde::Deserialize;
use serde_json::Value;

use super::usage::{RawTokens, readable};
use super::{AgentEvent, ContentBlock, EndedCall, ModelRequest};
use crate::agent::denial;

/// The model of what the CLI itself says.
const SYNTHETIC: &str = "<synthetic>";

#[derive(Deserialize)]
pub(super) struct RawSpeech {
    message: SpokenMessage,
    #[serde(default)]
    parent_tool_use_id: Option<String>,
    #[serde(default)]
    is_api_error_message: bool,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    refused_message_id: Option<String>,
    /// The CLI itself says it.
    #[serde(default, rename = "isSynthetic")]
    synthetic: bool,
    #[serde(default)]
    tool_result_meta: Value,
    #[serde(default)]
    tool_use_result: Value,
}

#[derive(Deserialize)]
struct SpokenMessage {
    #[serde(default)]
    id: String,
    #[serde(default, deserialize_with = "readable")]
    model: Option<String>,
    #[serde(default, deserialize_with = "readable")]
    usage: Option<RawTokens>,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<RawBlock>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum RawBlock {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Value,
        #[serde(default)]
        is_error: Value,
    },
    Thinking {
        #[serde(default)]
        thinking: Value,
    },
    #[serde(other)]
    Other,
}

pub(super) fn assistant(said: RawSpeech) -> AgentEvent {
    let blocks = match said.message.content {
        Content::Text(text) => vec![ContentBlock::Text(text)],
        Content::Blocks(blocks) => blocks
            .into_iter()
            .filter_map(|block| match block {
                RawBlock::Text { text } => Some(ContentBlock::Text(text)),
                RawBlock::ToolUse { id, name, input } => Some(ContentBlock::Tool { id, name, input }),
                RawBlock::Thinking { thinking: Value::String(text) } => Some(ContentBlock::Thinking(text)),
                RawBlock::ToolResult { .. } | RawBlock::Thinking { .. } | RawBlock::Other => None,
            })
            .collect(),
    };
    let is_error = said.is_api_error_message || said.error.is_some_and(|error| !error.is_null());
    let top = said.parent_tool_use_id.is_none();
    let model = said.message.model.filter(|model| model != SYNTHETIC && !model.is_empty());
    let request = model.filter(|_| !is_error).map(|model| ModelRequest {
        model,
        context: said.message.usage.map(|usage| usage.tokens().in_context()),
    });
    AgentEvent::Assistant { message: said.message.id, top, is_error, blocks, request }
}

pub(super) fn user(said: RawSpeech) -> AgentEvent {
    let top = said.parent_tool_use_id.is_none();
    if let Some(message) = said.refused_message_id.filter(|_| top) {
        return AgentEvent::TakenBack { message };
    }
    // A text is an echo of a prompt, or something that the CLI itself tells the model.
    let Content::Blocks(blocks) = said.message.content else { return AgentEvent::PassedOver };
    let limit_hit = |block: &RawBlock| matches!(block, RawBlock::Text { text } if text.starts_with("Output token limit hit"));
    if top && said.synthetic && blocks.iter().any(limit_hit) {
        return AgentEvent::GoesOn;
    }
    let refused = denial::refused(&said.tool_result_meta);
    let calls: Vec<EndedCall> = blocks
        .into_iter()
        .filter(|_| top)
        .filter_map(|block| match block {
            RawBlock::ToolResult { tool_use_id: id, content, is_error } => {
                Some(EndedCall { id, output: text_of(content), has_failed: is_error == true })
            }
            _ => None,
        })
        .collect();
    match calls.is_empty() && refused.is_empty() {
        true => AgentEvent::PassedOver,
        false => AgentEvent::ToolsEnded { calls, refused, result: said.tool_use_result },
    }
}

/// A text, or the texts among blocks.
fn text_of(content: Value) -> String {
    match content {
        Value::String(text) => text,
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[derive(Deserialize)]
pub(super) struct Stream {
    event: StreamEvent,
    #[serde(default)]
    parent_tool_use_id: Option<String>,
}

#[derive(Deserialize)]
struct StreamEvent {
    #[serde(default)]
    delta: Option<TextDelta>,
}

#[derive(Deserialize)]
struct TextDelta {
    #[serde(default)]
    text: Option<String>,
}

pub(super) fn delta(stream: Stream) -> AgentEvent {
    match stream.event.delta.and_then(|delta| delta.text) {
        Some(text) if stream.parent_tool_use_id.is_none() => AgentEvent::Delta(text),
        _ => AgentEvent::PassedOver,
    }
}
