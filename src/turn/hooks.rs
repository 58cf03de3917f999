//! What the scripts change of one turn.

use std::sync::Arc;

use super::Turns;
use crate::agent::{PermissionRequest, Question, QuestionAbout};
use crate::domain::{Format, Project, ProjectName};
use crate::script::{HookAnswer, RequestFacts, ScriptDecision, ScriptSet, TurnFacts};
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

    /// Whether a script is to be asked about this, before anybody else is.
    pub fn decides(&self, question: &Question) -> bool {
        matches!(question.about, QuestionAbout::Permission(_)) && self.set.decides_permissions()
    }

    /// What the script decides about leave for a call; `None` where people decide.
    pub async fn decide(&self, question: &Question, project: &Project) -> Option<ScriptDecision> {
        let QuestionAbout::Permission(permission) = &question.about else { return None };
        let PermissionRequest { name, input, reason, blocked, .. } = &**permission;
        let request = RequestFacts {
            tool: name.clone(),
            input: input.clone(),
            reason: reason.clone(),
            blocked_path: blocked.as_ref().map(|path| path.to_string_lossy().into_owned()),
            subagent: question.subagent.as_ref().map(|it| it.id.clone()),
        };
        let may_allow = project.scripts_may_allow && self.may_still_allow(&project.name);
        self.told(self.set.on_permission(request, &self.turn, may_allow).await)
    }

    /// Whether the scripts that are live now let the project's scripts allow calls.
    fn may_still_allow(&self, project: &ProjectName) -> bool {
        self.turns.scripts.borrow().project(project).is_some_and(|project| project.scripts_may_allow)
    }

    /// What the hook gave. Operators are told where it failed.
    fn told<T>(&self, answer: HookAnswer<T>) -> Option<T> {
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
