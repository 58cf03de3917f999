//! What the agent asks people, and their answers on the way back to it.

use serde_json::json;

use super::RunningAsk;
use crate::agent::Progress;
use crate::agent::events::AgentEvent;
use crate::agent::process::Process;
use crate::agent::question::{AskedQuestion, QuestionAnswer, QuestionId, Undecided};

impl<P: FnMut(Progress) + Send> RunningAsk<'_, P> {
    /// Takes in a question, or that one is withdrawn. What cannot be shown to anybody is refused at once.
    pub(super) fn hear_question(&mut self, process: &mut Process, event: &AgentEvent) {
        match event {
            AgentEvent::MayIUse { question: Some(asked), denial, .. } => {
                self.open(asked, Undecided::Call(denial.clone()));
            }
            AgentEvent::MayIUse { request, denial, question: None } => {
                let unclear = "This cannot be shown to a person. Write the question as your answer.";
                process.respond(request, &json!({ "behavior": "deny", "message": unclear }));
                self.story.deny(denial.clone());
            }
            AgentEvent::Elicits { server, question: Some(asked), .. } => {
                self.open(asked, Undecided::Server(server.clone()));
            }
            AgentEvent::Elicits { request, server, question: None } => {
                process.respond(request, &AskedQuestion::nobody_answers());
                self.story.elicit(server);
            }
            AgentEvent::Withdrawn(question) if self.questions.close(question).is_some() => {
                (self.progress)(Progress::Withdrawn(question.clone()));
            }
            _ => {}
        }
    }

    fn open(&mut self, asked: &AskedQuestion, undecided: Undecided) {
        let question = self.questions.open(asked.named(self.story.subagents()), undecided);
        (self.progress)(Progress::Asked(Box::new(question)));
    }

    /// Passes on the answer to a question, unless it was answered or withdrawn before. Where others hold it up, it waits again.
    pub(super) fn tell(&mut self, process: &mut Process, question: &QuestionId, answer: &QuestionAnswer) {
        let Some((asked, undecided)) = self.questions.close(question) else { return };
        process.respond(&question.0, &asked.response(answer));
        match (answer, undecided) {
            (QuestionAnswer::Refuse(_), Undecided::Call(denial)) => self.story.deny(denial),
            (QuestionAnswer::Refuse(_), Undecided::Server(server)) => self.story.elicit(&server),
            (QuestionAnswer::Forbid(_), Undecided::Call(denial)) => self.story.deny(denial.by_script()),
            (_, Undecided::Call(_)) => self.story.decide(asked.call),
            (_, Undecided::Server(_)) => {}
        }
        if self.questions.hold_up_all(self.story.subagents()) {
            (self.progress)(Progress::Waits(true));
        }
    }
}
