//! What a turn has told so far: the texts, the tools that run, what was denied.

use super::Progress;
use super::events::{Block, Denial, Event};
use crate::domain::AnswerForm;

/// Tools whose purpose is a question to the person. Denying one is no loss of a permission.
pub const QUESTIONS: &[&str] = &["AskUserQuestion", "ExitPlanMode"];

/// The events of one turn, summed up.
#[derive(Debug)]
pub struct Story {
    form: AnswerForm,
    /// Every top-level text block.
    texts: Vec<String>,
    /// How many of them stand before the last tool call.
    before_tool: usize,
    /// The text block that is being written.
    unfinished: String,
    /// Calls without a result: id and name.
    running: Vec<(String, String)>,
    denied: Vec<Denial>,
    /// Whether the agent has told anything since the prompt.
    heard: bool,
}

impl Story {
    /// A turn that has told nothing yet.
    pub fn new(form: AnswerForm) -> Self {
        Self {
            form,
            texts: Vec::new(),
            before_tool: 0,
            unfinished: String::new(),
            running: Vec::new(),
            denied: Vec::new(),
            heard: false,
        }
    }

    /// Takes in one event; returns what of it is worth showing.
    pub fn take(&mut self, event: Event) -> Option<Progress> {
        self.heard = true;
        match event {
            Event::Assistant { top: true, is_error: false, blocks } => {
                self.unfinished.clear();
                blocks.into_iter().filter_map(|block| self.block(block)).last()
            }
            Event::Delta(text) => {
                self.unfinished.push_str(&text);
                Some(Progress::Text(text))
            }
            Event::ToolsEnded(ids) => {
                self.running.retain(|(id, _)| !ids.contains(id));
                self.running.is_empty().then_some(Progress::ToolsEnded)
            }
            Event::MayIUse { denial, .. } | Event::Denied(denial) => {
                self.deny(denial);
                None
            }
            Event::Retry { attempt, of, .. } => Some(Progress::Retrying { attempt, of }),
            _ => None,
        }
    }

    fn block(&mut self, block: Block) -> Option<Progress> {
        match block {
            Block::Text(text) => {
                if !text.trim().is_empty() {
                    self.texts.push(text);
                }
                None
            }
            Block::Tool { id, name } => {
                self.before_tool = self.texts.len();
                self.running.push((id, name.clone()));
                Some(Progress::Tool { name })
            }
        }
    }

    /// Notes a denied call, each once.
    pub fn deny(&mut self, denial: Denial) {
        let known =
            |denied: &Denial| denied.tool_use_id == denial.tool_use_id && !denial.tool_use_id.is_empty();
        if !self.denied.iter().any(known) {
            self.denied.push(denial);
        }
    }

    /// What was told belonged to a turn that nobody asked for: forgets it.
    pub fn forget(&mut self) {
        *self = Self { heard: self.heard, ..Self::new(self.form) };
    }

    /// A tool that runs.
    pub fn tool(&self) -> Option<&str> {
        self.running.last().map(|(_, name)| name.as_str())
    }

    /// Whether the agent has told anything.
    pub fn heard(&self) -> bool {
        self.heard
    }

    /// The tools that were denied, in order, each once; questions apart.
    pub fn denied(&self) -> Vec<String> {
        let mut tools: Vec<String> = Vec::new();
        for Denial { tool_name, .. } in &self.denied {
            if !QUESTIONS.contains(&tool_name.as_str()) && !tools.contains(tool_name) {
                tools.push(tool_name.clone());
            }
        }
        tools
    }

    /// The answer of a turn that ended well; `result` is the text that the result carries.
    pub fn answer(&self, result: Option<String>) -> String {
        let from = match self.form {
            AnswerForm::Last => self.before_tool,
            AnswerForm::All => 0,
        };
        match &self.texts[from..] {
            [] => result.unwrap_or_default(),
            texts => texts.join("\n\n"),
        }
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
        let texts = self.texts[from..].iter().chain(std::iter::once(&self.unfinished));
        texts.filter(|text| !text.trim().is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::events::read;

    fn text(text: &str) -> Event {
        let blocks = vec![Block::Text(text.to_owned())];
        Event::Assistant { top: true, is_error: false, blocks }
    }

    fn tool(id: &str, name: &str) -> Event {
        let blocks = vec![Block::Tool { id: id.to_owned(), name: name.to_owned() }];
        Event::Assistant { top: true, is_error: false, blocks }
    }

    fn told(form: AnswerForm, events: impl IntoIterator<Item = Event>) -> Story {
        let mut story = Story::new(form);
        for event in events {
            story.take(event);
        }
        story
    }

    #[test]
    fn the_answer_is_what_follows_the_last_tool_call() {
        let events = || [text("I look."), tool("1", "Read"), text("One."), text("Two.")];
        assert_eq!(told(AnswerForm::Last, events()).answer(Some("Two.".into())), "One.\n\nTwo.");
        assert_eq!(told(AnswerForm::All, events()).answer(None), "I look.\n\nOne.\n\nTwo.");
        let silent = || [text("I look."), tool("1", "Read")];
        assert_eq!(
            told(AnswerForm::Last, silent()).answer(Some("from the result".into())),
            "from the result"
        );
        assert_eq!(told(AnswerForm::Last, silent()).answer(None), "");
        assert_eq!(told(AnswerForm::Last, silent()).partial(), "I look.");
    }

    #[test]
    fn subagents_and_error_texts_are_kept_out() {
        let aside =
            Event::Assistant { top: false, is_error: false, blocks: vec![Block::Text("aside".into())] };
        let error =
            Event::Assistant { top: true, is_error: true, blocks: vec![Block::Text("API Error".into())] };
        assert_eq!(told(AnswerForm::All, [aside, error]).partial(), "");
    }

    #[test]
    fn a_tool_runs_until_its_result() {
        let mut story = told(AnswerForm::Last, [tool("1", "Read"), tool("2", "Bash")]);
        story.take(Event::ToolsEnded(vec!["2".to_owned()]));
        assert_eq!(story.tool(), Some("Read"));
        story.take(Event::ToolsEnded(vec!["1".to_owned(), "9".to_owned()]));
        assert_eq!(story.tool(), None);
    }

    #[test]
    fn a_denied_tool_is_named_once_and_a_question_never() {
        let denial = |id: &str, tool: &str| Denial { tool_name: tool.to_owned(), tool_use_id: id.to_owned() };
        let ask = |id, tool| Event::MayIUse { request: "r".to_owned(), denial: denial(id, tool) };
        let mut story = told(
            AnswerForm::Last,
            [
                ask("1", "Bash"),
                ask("2", "ExitPlanMode"),
                Event::Denied(denial("3", "Agent")),
                ask("4", "Bash"),
            ],
        );
        // The result calls it by its other name.
        story.deny(denial("3", "Task"));
        assert_eq!(story.denied(), ["Bash", "Agent"]);
    }

    /// The events of a recorded run up to its `n`th result.
    fn recorded(name: &str) -> (Story, Vec<String>) {
        let file = format!("{}/tests/fixtures/transcripts/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let mut story = Story::new(AnswerForm::Last);
        let mut answers = Vec::new();
        for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["_dir"] == "in" {
                continue;
            }
            let event = if line["ev"].is_object() { &line["ev"] } else { &line };
            match read(event.to_string().as_bytes()) {
                Event::Result(result) => {
                    answers.push(match (result.answers("x"), result.is_error) {
                        (false, _) => "(not ours)".to_owned(),
                        (true, true) => format!("(failed) {}", story.partial()),
                        (true, false) => story.answer(result.result),
                    });
                    story.forget();
                }
                event => drop(story.take(event)),
            }
        }
        (story, answers)
    }

    #[test]
    fn recorded_turns_tell_their_stories() {
        let (_, interrupted) = recorded("d11-interrupt-stream");
        assert!(interrupted[0].starts_with("(failed) The quick brown fox"), "{}", interrupted[0]);
        assert_eq!(interrupted[1], "echo: next");
        let (_, background) = recorded("g19-background-bash");
        assert!(background.contains(&"(not ours)".to_owned()), "{background:?}");
        let (subagent, answers) = recorded("m1-subagent-no-background");
        assert_eq!((answers.len(), subagent.tool()), (1, None));
        assert_eq!(recorded("f1-401").1, ["(failed) "]);
        assert_eq!(recorded("e1-default-denied").1.len(), 1);
    }
}
