//! What people want of a turn that runs: further messages for it, and answers to its questions.
//!
//! Each message is written to stdin as a prompt is. The CLI puts it into the turn at the next end of a tool, or goes on with it by
//! itself after the result, as a turn of its own; `command_lifecycle` says which, and nothing else does. One at a time is on
//! its way, so that never two of them are made one. Where the result comes first, the turn is not over for us before it is
//! certain what the agent does with that one: it may read nothing any more, or be about to give it back.

use tokio::sync::mpsc;

use super::Progress;
use super::events::{AgentEvent, TurnResult};
use super::lifecycle::{MessageState, PromptId};
use super::own_tools::OwnCallId;
use super::process::Process;
use super::question::{QuestionAnswer, QuestionId};

/// What somebody wants of a turn that runs.
#[derive(Debug)]
pub enum Further {
    /// Answer a question of the agent's.
    Answer {
        /// Which.
        question: QuestionId,
        answer: QuestionAnswer,
    },
    /// Tell the agent what became of a call of our own tools: in words for the model, `Err` where it failed.
    Called { call: OwnCallId, told: Result<String, String> },
    /// Put it into the turn.
    Put {
        /// Its id from now on.
        id: PromptId,
        /// What it says.
        prompt: String,
    },
    /// Take it back, unless it is in the turn already.
    TakeBack(PromptId),
}

/// What becomes of the further messages of one turn.
pub struct FurtherMessages {
    coming: mpsc::UnboundedReceiver<Further>,
    on_its_way: Option<OnItsWay>,
    taken_in: Vec<PromptId>,
    /// The turn has its result: with what the agent begins now, it goes on by itself.
    has_result: bool,
}

/// A message that was sent, and that the agent has neither begun with nor given back.
struct OnItsWay {
    id: PromptId,
    /// The agent has said that it has read it.
    is_read: bool,
    /// The request that asks for it back, until it is answered.
    asked_back: Option<String>,
}

impl FurtherMessages {
    /// None yet.
    pub fn new(coming: mpsc::UnboundedReceiver<Further>) -> Self {
        Self { coming, on_its_way: None, taken_in: Vec::new(), has_result: false }
    }

    /// Waits for the next one; for ever where none can come. Cancel-safe.
    pub async fn next(&mut self) -> Further {
        match self.coming.recv().await {
            Some(further) => further,
            None => std::future::pending().await,
        }
    }

    /// Tells the agent. A second message is not written while one is on its way: it counts as never sent.
    pub fn pass_on(&mut self, process: &mut Process, further: Further) {
        match (further, &mut self.on_its_way) {
            (Further::Put { id, prompt }, None) => {
                self.on_its_way = Some(OnItsWay { id, is_read: false, asked_back: None });
                process.send_prompt(id, prompt.into());
            }
            (Further::TakeBack(id), Some(sent)) if sent.id == id => {
                sent.asked_back = Some(process.take_back(id));
            }
            (Further::Called { call, told }, _) => process.respond(&call.request, &call.response(&told)),
            (Further::Put { .. } | Further::TakeBack(_) | Further::Answer { .. }, _) => {}
        }
    }

    /// The agent says something; what of that is news of a message.
    pub fn note(&mut self, event: &AgentEvent) -> Option<Progress> {
        let sent = self.on_its_way.as_mut()?;
        let id = sent.id;
        match event {
            AgentEvent::Lifecycle { message, state } if *message == id => match state {
                MessageState::Started if self.has_result => (sent.is_read, sent.asked_back) = (true, None),
                MessageState::Started => {
                    self.on_its_way = None;
                    self.taken_in.push(id);
                    return Some(Progress::TookIn(id));
                }
                MessageState::Cancelled => {
                    self.on_its_way = None;
                    return Some(Progress::GaveBack(id));
                }
                MessageState::Queued | MessageState::Completed | MessageState::Other => sent.is_read = true,
            },
            AgentEvent::Reply { request, gave_back, .. } if sent.asked_back.as_ref() == Some(request) => {
                sent.asked_back = None;
                if *gave_back {
                    self.on_its_way = None;
                    return Some(Progress::GaveBack(id));
                }
            }
            _ => {}
        }
        None
    }

    /// The turn has this result.
    pub fn note_result(&mut self, result: &TurnResult) {
        self.has_result = true;
        if let Some(sent) = self.on_its_way.take_if(|sent| result.names(sent.id)) {
            self.taken_in.push(sent.id);
        }
    }

    /// The process is gone: what it had begun with belonged to the turn.
    pub fn note_end(&mut self, process: &Process) {
        if let Some(sent) = self.on_its_way.take_if(|sent| process.has_begun_with(sent.id)) {
            self.taken_in.push(sent.id);
        }
    }

    /// The message that the agent has and has not put into the turn.
    pub fn on_its_way(&self) -> Option<PromptId> {
        self.on_its_way.as_ref().map(|sent| sent.id)
    }

    /// Whether the agent has yet to say that it has read the message that is on its way, or whether it gives it back.
    pub fn is_undecided(&self) -> bool {
        self.on_its_way.as_ref().is_some_and(|sent| !sent.is_read || sent.asked_back.is_some())
    }

    /// The messages that are in the turn, in order.
    pub fn taken_in(self) -> Vec<PromptId> {
        self.taken_in
    }
}
