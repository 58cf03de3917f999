//! What a turn has used so far, summed up from its events.

use super::events::{AgentEvent, ContentBlock, TurnResult};
use crate::domain::{Compaction, ContextFill, Tokens, TurnUsage};

/// The sums.
#[derive(Debug, Default)]
pub struct UsageTally {
    /// Of all results so far. One of a turn that nobody asked for counts too: the session pays for it.
    tokens: Option<Tokens>,
    /// The model of the last answer.
    model: Option<String>,
    tools: u32,
    /// What stood in the context of the last request, or what was left of it since.
    context: Option<u64>,
    window: Option<u64>,
    compaction: Option<Compaction>,
}

impl UsageTally {
    /// Takes in one event.
    pub fn take(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Assistant { top, blocks, request, .. } => {
                let calls = blocks.iter().filter(|block| matches!(block, ContentBlock::Tool { .. })).count();
                self.tools = self.tools.saturating_add(u32::try_from(calls).unwrap_or(u32::MAX));
                // A subagent has a model and a context of its own.
                if let (true, Some(request)) = (top, request) {
                    self.model = Some(request.model.clone());
                    self.context = request.context.or(self.context);
                }
            }
            AgentEvent::Compacted(Compaction { from, to }) => {
                let from = self.compaction.map_or(*from, |earlier| earlier.from);
                self.compaction = Some(Compaction { from, to: *to });
                self.context = Some(*to);
            }
            _ => {}
        }
    }

    /// Takes in a result of this agent since the prompt.
    pub fn take_result(&mut self, result: &TurnResult) {
        let tokens = result.used.tokens();
        self.tokens = match (self.tokens, tokens) {
            (Some(before), Some(more)) => Some(before.plus(more)),
            (before, more) => before.or(more),
        };
        if let Some(model) = &self.model {
            self.window = result.used.window(model);
        }
    }

    /// What was done so far was done in a turn that nobody asked for.
    pub fn forget_work(&mut self) {
        self.tools = 0;
    }

    /// All of it, but for cost and duration.
    pub fn usage(&self) -> TurnUsage {
        TurnUsage {
            tokens: self.tokens,
            model: self.model.clone(),
            tools: Some(self.tools),
            context: self.context.map(|used| ContextFill { used, window: self.window }),
            compaction: self.compaction,
            ..TurnUsage::default()
        }
    }
}
