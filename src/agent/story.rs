//! What is known of a turn so far: the texts, the tools that run, what was denied.

use super::Progress;
use super::denial::{Denial, Reason};
use super::events::{AgentEvent, ContentBlock, Fallback, TurnResult};
use super::failure::Failure;
use super::question::{self, Subagent};
use super::todos::TodoList;
use super::tool::ToolAction;
use super::trouble::Trouble;
use super::usage_limit::{LimitWarning, UsageLimit};
use super::used::UsageTally;
use crate::domain::{AnswerForm, TurnUsage};

/// How often a call may be repeated that failed because of the login. The CLI reads its login anew each time, and another
/// process may have renewed it; with a subscription's login it gives up by itself after two, with a key only after ten,
/// which take three minutes.
const LOGIN_RETRIES: u32 = 2;

/// The events of one turn, summed up.
#[derive(Debug)]
pub struct Story {
    form: AnswerForm,
    /// Every top-level text block, with the message that it is a part of.
    texts: Vec<(String, String)>,
    /// How many of them stand before the last tool call.
    before_tool: usize,
    /// How many of these stand before the tool call that came before them.
    before_last_text: usize,
    /// The next text block continues the last one.
    goes_on: bool,
    /// The text block that is being written.
    unfinished: String,
    /// Calls without a result: id and name.
    running: Vec<(String, String)>,
    todos: TodoList,
    /// The subagents at work.
    subagents: Vec<Subagent>,
    denied: Vec<Denial>,
    /// The MCP servers that wanted something of a person, each once.
    elicited: Vec<String>,
    /// The calls about which a person has decided.
    decided: Vec<String>,
    /// Why calls were not allowed, as reported with their results.
    refused: Vec<(String, Reason)>,
    limit: Option<UsageLimit>,
    fallback: Option<Fallback>,
    /// A hook blocked the prompt; its reason, if it gave one.
    prompt_refused: Option<Option<String>>,
    /// How many API calls in a row failed because of the login.
    login_refused: u32,
    used: UsageTally,
}

impl Story {
    /// A turn of which nothing is known yet.
    pub fn new(form: AnswerForm) -> Self {
        Self {
            form,
            texts: Vec::new(),
            before_tool: 0,
            before_last_text: 0,
            goes_on: false,
            unfinished: String::new(),
            running: Vec::new(),
            todos: TodoList::default(),
            subagents: Vec::new(),
            denied: Vec::new(),
            elicited: Vec::new(),
            decided: Vec::new(),
            refused: Vec::new(),
            limit: None,
            fallback: None,
            prompt_refused: None,
            login_refused: 0,
            used: UsageTally::default(),
        }
    }

    /// Takes in one event; returns what of it is worth showing.
    pub fn take(&mut self, event: AgentEvent) -> Vec<Progress> {
        self.used.take(&event);
        match event {
            AgentEvent::Assistant { message, top: true, is_error: false, blocks, .. } => {
                self.unfinished.clear();
                blocks.into_iter().filter_map(|block| self.block(&message, block)).collect()
            }
            AgentEvent::GoesOn => {
                self.goes_on = true;
                Vec::new()
            }
            AgentEvent::TakenBack { message } => {
                self.take_back(&message);
                vec![Progress::TakenBack]
            }
            AgentEvent::Delta(text) => {
                self.unfinished.push_str(&text);
                vec![Progress::Text(text)]
            }
            AgentEvent::ToolsEnded { calls, refused, result } => {
                self.refused.extend(refused);
                self.running.retain(|(id, _)| calls.iter().all(|call| call.id != *id));
                let todos = calls.iter().filter_map(|call| self.todos.ended(&call.id, &result)).next_back();
                let ended = Progress::ToolsEnded { calls };
                std::iter::once(ended).chain(todos.map(Progress::Todos)).collect()
            }
            AgentEvent::SubagentStarted(subagent) => {
                self.subagents.push(subagent);
                vec![Progress::Subagents(self.subagents.len())]
            }
            AgentEvent::SubagentEnded(id) => {
                self.subagents.retain(|known| known.id != id);
                vec![Progress::Subagents(self.subagents.len())]
            }
            AgentEvent::Compacting(compacting) => vec![Progress::Compacting(compacting)],
            AgentEvent::Denied(denial) => {
                self.deny(denial);
                Vec::new()
            }
            AgentEvent::PromptRefused(reason) => {
                self.prompt_refused = Some(reason);
                Vec::new()
            }
            AgentEvent::Retry { attempt, of, status, error } => {
                let login = error == "authentication_failed";
                self.login_refused = if login { self.login_refused + 1 } else { 0 };
                vec![Progress::Retrying { trouble: Trouble::of(status, &error), attempt, of }]
            }
            AgentEvent::UsageLimit(limit) => {
                self.limit = Some(limit);
                Vec::new()
            }
            AgentEvent::Fallback(fallback) => {
                self.fallback = Some(fallback);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Forgets what a message said. Tools that it called have run or not; their results tell.
    fn take_back(&mut self, message: &str) {
        let left = |before| self.texts.iter().take(before).filter(|(of, _)| of != message).count();
        (self.before_last_text, self.before_tool) = (left(self.before_last_text), left(self.before_tool));
        self.texts.retain(|(of, _)| of != message);
    }

    fn block(&mut self, message: &str, block: ContentBlock) -> Option<Progress> {
        match block {
            ContentBlock::Text(text) => {
                let goes_on = std::mem::take(&mut self.goes_on);
                if text.trim().is_empty() {
                    return None;
                }
                match self.texts.last_mut() {
                    Some((_, before)) if goes_on => before.push_str(&text),
                    _ => self.texts.push((message.to_owned(), text)),
                }
                // As a whole: what was continued may be one word.
                self.texts.last().map(|(_, text)| Progress::Said(text.clone()))
            }
            ContentBlock::Tool { id, name, input } => {
                if self.texts.len() > self.before_tool {
                    self.before_last_text = self.before_tool;
                }
                self.before_tool = self.texts.len();
                self.running.push((id.clone(), name.clone()));
                self.todos.called(&id, &name, &input);
                let action = ToolAction::of(&name, &input);
                Some(Progress::Tool { id, name, action, input })
            }
            ContentBlock::Thinking(text) => (!text.trim().is_empty()).then_some(Progress::Thought(text)),
        }
    }

    /// Notes that an MCP server wanted something of a person.
    pub fn elicit(&mut self, server: &str) {
        if !self.elicited.iter().any(|known| known == server) {
            self.elicited.push(server.to_owned());
        }
    }

    pub fn elicited(&self) -> &[String] {
        &self.elicited
    }

    /// Notes a denied call, each once, with everything that is known of it.
    pub fn deny(&mut self, denial: Denial) {
        let known = |denied: &&mut Denial| denied.id == denial.id && !denial.id.is_empty();
        match self.denied.iter_mut().find(known) {
            Some(denied) => denied.complete(denial),
            None => self.denied.push(denial),
        }
    }

    /// A person has decided about this call: whatever becomes of it is no news to them.
    pub fn decide(&mut self, call: String) {
        self.decided.push(call);
    }

    /// Forgets everything: it belonged to a turn that nobody asked for.
    pub fn forget(&mut self) -> Progress {
        let mut used = std::mem::take(&mut self.used);
        used.forget_work();
        *self = Self { used, ..Self::new(self.form) };
        Progress::TakenBack
    }

    /// Notes what a result tells besides the answer: what was used, and which calls were denied.
    pub fn note(&mut self, result: &TurnResult) {
        self.used.take_result(result);
        for denial in &result.permission_denials {
            self.deny(denial.clone());
        }
    }

    /// What was used so far, but for cost and duration.
    pub fn usage(&self) -> TurnUsage {
        self.used.usage()
    }

    /// The subagents at work.
    pub fn subagents(&self) -> &[Subagent] {
        &self.subagents
    }

    /// A tool that runs.
    pub fn tool(&self) -> Option<&str> {
        self.running.last().map(|(_, name)| name.as_str())
    }

    /// The calls that were denied, in order, each once and with its reason; questions apart.
    pub fn denied(&self) -> Vec<Denial> {
        let mut shown: Vec<Denial> = Vec::new();
        for denial in &self.denied {
            let mut denial = denial.clone();
            let refused = self.refused.iter().find(|(id, _)| *id == denial.id);
            if let Some((_, reason)) = refused.filter(|_| denial.reason == Reason::Untold) {
                denial.reason = *reason;
            }
            let same =
                |it: &Denial| (&it.tool, &it.what, it.reason) == (&denial.tool, &denial.what, denial.reason);
            // Denying what only asks is no missing permission.
            let is_question = matches!(denial.tool.as_str(), question::ASK | question::PLAN);
            let is_news = !is_question && !self.decided.contains(&denial.id);
            if is_news && !shown.iter().any(same) {
                shown.push(denial);
            }
        }
        shown
    }

    /// A failure that the turn cannot recover from, so that waiting for its end is useless.
    pub fn failed_early(&self) -> Option<Failure> {
        let text = || format!("authentication_failed, {} times", self.login_refused);
        (self.login_refused > LOGIN_RETRIES).then(|| Failure::NotLoggedIn { text: text() })
    }

    /// The usage limit that is nearly reached.
    pub fn limit_warning(&self) -> Option<&LimitWarning> {
        self.limit.as_ref()?.warning.as_ref()
    }

    /// The model that answers in place of another one.
    pub fn fallback(&self) -> Option<&Fallback> {
        self.fallback.as_ref()
    }

    /// The end of the turn: its answer, or why there is none.
    ///
    /// # Errors
    /// The failure in the result.
    pub fn conclude(&mut self, result: TurnResult) -> Result<String, Failure> {
        if let Some(reason) = self.prompt_refused.take() {
            return Err(Failure::PromptRefused { reason });
        }
        // Its text is not an answer: it contains the hook's command line.
        let blocked = |text: &String| text.starts_with("UserPromptSubmit operation blocked by hook");
        if result.num_turns == 0 && result.result.as_ref().is_some_and(blocked) {
            return Err(Failure::PromptRefused { reason: None });
        }
        if !result.failed() {
            return Ok(self.answer(result.result));
        }
        let resets = self.limit.as_ref().filter(|limit| limit.rejected).and_then(|limit| limit.resets);
        let mut failure = Failure::of_result(&result, resets);
        match &mut failure {
            Failure::Overloaded { fallback, .. } => *fallback = self.fallback.is_some(),
            Failure::Refusal { .. } => {
                // What the safeguards stopped is not shown.
                self.texts.truncate(self.before_tool);
                self.unfinished.clear();
            }
            _ => {}
        }
        Err(failure)
    }

    /// The answer of a turn that ended well; `result` is the text that the result carries. Where a tool call ended
    /// it, that is what was said before.
    fn answer(&self, result: Option<String>) -> String {
        let result = result.filter(|result| !result.trim().is_empty());
        let from = match self.form {
            AnswerForm::All => 0,
            AnswerForm::Last if self.before_tool < self.texts.len() => self.before_tool,
            AnswerForm::Last => match result {
                Some(result) => return result,
                None => self.before_last_text,
            },
        };
        match &self.texts[from..] {
            [] => result.unwrap_or_default(),
            texts => texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n\n"),
        }
    }

    /// Everything that was written so far.
    pub fn written(&self) -> String {
        self.joined(0)
    }

    /// What was written so far, of a turn that did not end well. Without a text after the last tool call it is
    /// the texts before it: they are all that the person gets.
    pub fn partial(&self) -> String {
        let from = match self.form {
            AnswerForm::Last if self.before_tool < self.texts.len() || !self.unfinished.is_empty() => {
                self.before_tool
            }
            _ => 0,
        };
        self.joined(from)
    }

    fn joined(&self, from: usize) -> String {
        let texts = self.texts[from..].iter().map(|(_, text)| text).chain(std::iter::once(&self.unfinished));
        texts.filter(|text| !text.trim().is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::agent::EndedCall;

    fn text(text: &str) -> AgentEvent {
        let blocks = vec![ContentBlock::Text(text.to_owned())];
        AgentEvent::Assistant { message: String::new(), top: true, is_error: false, blocks, request: None }
    }

    fn tool(id: &str, name: &str) -> AgentEvent {
        let blocks =
            vec![ContentBlock::Tool { id: id.to_owned(), name: name.to_owned(), input: Value::Null }];
        AgentEvent::Assistant { message: String::new(), top: true, is_error: false, blocks, request: None }
    }

    fn story_of(form: AnswerForm, events: impl IntoIterator<Item = AgentEvent>) -> Story {
        let mut story = Story::new(form);
        for event in events {
            story.take(event);
        }
        story
    }

    #[test]
    fn the_answer_is_what_follows_the_last_tool_call() {
        let events = || [text("I look."), tool("1", "Read"), text("One."), text("Two.")];
        assert_eq!(story_of(AnswerForm::Last, events()).answer(Some("Two.".into())), "One.\n\nTwo.");
        assert_eq!(story_of(AnswerForm::All, events()).answer(None), "I look.\n\nOne.\n\nTwo.");
        let silent = || [text("I look."), tool("1", "Read")];
        assert_eq!(
            story_of(AnswerForm::Last, silent()).answer(Some("from the result".into())),
            "from the result"
        );
        assert_eq!(story_of(AnswerForm::Last, silent()).answer(None), "I look.");
        let tidy = || {
            [text("I look."), tool("1", "Read"), text("It is so."), tool("2", "Write"), tool("3", "Write")]
        };
        assert_eq!(story_of(AnswerForm::Last, tidy()).answer(Some(String::new())), "It is so.");
        assert_eq!(story_of(AnswerForm::Last, [tool("1", "Read")]).answer(None), "");
        assert_eq!(story_of(AnswerForm::Last, silent()).partial(), "I look.");
        assert_eq!(story_of(AnswerForm::Last, events()).partial(), "One.\n\nTwo.");
        assert_eq!(story_of(AnswerForm::Last, events()).written(), "I look.\n\nOne.\n\nTwo.");
    }

    #[test]
    fn subagents_and_error_texts_are_kept_out() {
        let said = |top, is_error, text: &str| {
            let blocks = vec![ContentBlock::Text(text.into())];
            AgentEvent::Assistant { message: String::new(), top, is_error, blocks, request: None }
        };
        let events = [said(false, false, "aside"), said(true, true, "API Error")];
        assert_eq!(story_of(AnswerForm::All, events).partial(), "");
    }

    #[test]
    fn what_safeguards_stopped_is_taken_back() {
        let said = |message: &str, text: &str| {
            let blocks = vec![ContentBlock::Text(text.into())];
            AgentEvent::Assistant {
                message: message.into(),
                top: true,
                is_error: false,
                blocks,
                request: None,
            }
        };
        let taken_back = AgentEvent::TakenBack { message: "b".into() };
        let events = [said("a", "I look."), tool("1", "Read"), said("b", "no"), taken_back, said("c", "yes")];
        assert_eq!(story_of(AnswerForm::Last, events.clone()).answer(None), "yes");
        assert_eq!(story_of(AnswerForm::All, events).answer(None), "I look.\n\nyes");
    }

    fn ended_call(id: &str) -> EndedCall {
        EndedCall { id: id.to_owned(), output: String::new(), has_failed: false }
    }

    #[test]
    fn a_tool_runs_until_its_result() {
        let mut story = story_of(AnswerForm::Last, [tool("1", "Read"), tool("2", "Bash")]);
        let ended = |ids: &[&str]| AgentEvent::ToolsEnded {
            calls: ids.iter().map(|&id| ended_call(id)).collect(),
            refused: Vec::new(),
            result: Value::Null,
        };
        story.take(ended(&["2"]));
        assert_eq!(story.tool(), Some("Read"));
        story.take(ended(&["1", "9"]));
        assert_eq!(story.tool(), None);
    }

    #[test]
    fn a_denied_call_is_named_once_with_all_that_is_told_of_it_and_a_question_never() {
        let denial = |id: &str, tool: &str, what: Option<&str>, reason| Denial {
            tool: tool.to_owned(),
            id: id.to_owned(),
            what: what.map(str::to_owned),
            reason,
            ..Denial::default()
        };
        let ask = |id, tool, what| AgentEvent::Denied(denial(id, tool, what, Reason::Unallowed));
        let mut story = story_of(
            AnswerForm::Last,
            [
                ask("1", "Bash", Some("make")),
                ask("2", "ExitPlanMode", None),
                AgentEvent::Denied(denial("3", "Agent", None, Reason::Untold)),
                ask("4", "Bash", Some("make")),
                ask("5", "Bash", Some("ls")),
                AgentEvent::ToolsEnded {
                    calls: vec![ended_call("3"), ended_call("6")],
                    refused: vec![("6".to_owned(), Reason::Hook), ("1".to_owned(), Reason::Rule)],
                    result: Value::Null,
                },
            ],
        );
        // The result calls it by its other name.
        story.deny(denial("3", "Task", None, Reason::Untold));
        story.deny(denial("6", "Read", Some("a"), Reason::Untold));
        let expected = [
            denial("1", "Bash", Some("make"), Reason::Unallowed),
            denial("3", "Agent", None, Reason::Untold),
            denial("5", "Bash", Some("ls"), Reason::Unallowed),
            denial("6", "Read", Some("a"), Reason::Hook),
        ];
        assert_eq!(story.denied(), expected);
    }
}
