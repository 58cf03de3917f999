//! What the scripts change of one turn.

use std::sync::Arc;

use super::Turns;
use crate::domain::{Format, Project};
use crate::script::{HookAnswer, ScriptSet, TurnFacts};
use crate::store::{ChannelRow, Turn};
use crate::text;

/// The hooks of one turn, all from the script set that was live when it began.
pub struct TurnHooks {
    turns: Turns,
    set: ScriptSet,
    turn: Arc<TurnFacts>,
}

impl TurnHooks {
    /// The hooks of a turn that begins now. `project` is `None` where it is gone.
    pub fn begin(turns: &Turns, turn: &Turn, row: ChannelRow, project: Option<&Project>) -> Self {
        let ChannelRow { channel, choice } = row;
        let model = match project {
            Some(project) => turn.chosen_model(&choice, project).or_else(|| project.model.clone()),
            None => turn.model.clone().or(choice.model),
        };
        let turn = TurnFacts {
            id: turn.message,
            channel,
            project: turn.project.clone(),
            author: turn.author.clone(),
            prompt: turn.prompt.clone(),
            model,
        };
        let set = turns.scripts.borrow().clone();
        Self { turns: turns.clone(), set, turn: Arc::new(turn) }
    }

    /// The prompt with the context that the scripts put before it.
    pub async fn prompt(&self, prompt: String) -> String {
        match self.told(self.set.before_prompt(&self.turn).await) {
            Some(context) => format!("{}\n\n{prompt}", context.trim_end()),
            None => prompt,
        }
    }

    /// The answer after the scripts' changes. An empty answer stays as it is.
    pub async fn answer(&self, answer: String) -> String {
        if answer.trim().is_empty() {
            return answer;
        }
        self.told(self.set.after_answer(&answer, &self.turn).await).unwrap_or(answer)
    }

    /// What the hook gave. Operators are told where it failed.
    fn told(&self, answer: HookAnswer) -> Option<String> {
        answer.unwrap_or_else(|problem| {
            self.turns.tell_operators_of_problem(&problem);
            None
        })
    }

    /// A text without the bot's secrets.
    pub fn redact(&self, text: &str) -> String {
        self.turns.outbox.redact(text).into_owned()
    }

    /// What went wrong, in the scripts' words if they have any.
    pub async fn error(&self, sentence: String) -> String {
        let worded = self.set.on_error(&sentence, &self.turn).await;
        let Some(worded) = self.told(worded) else { return sentence };
        // Laid out like an answer, so that an open code block in it cannot swallow the id below it.
        let parts = text::parts(&self.turns.outbox.redact(&worded), &Format::AS_WRITTEN);
        if parts.is_empty() {
            return sentence;
        }
        parts.into_iter().map(|part| part.text).collect::<Vec<_>>().join("\n")
    }
}
