//! Further messages for a turn that runs.
//!
//! Each is written to stdin as a prompt is. The CLI puts it into the turn at the next end of a tool, or goes on with it by
//! itself after the result, as a turn of its own; `command_lifecycle` says which, and nothing else does. One at a time is on
//! its way, so that never two of them are made one.

use tokio::sync::mpsc;
use uuid::Uuid;

use super::Progress;
use super::elsewhere::message_id;
use super::events::TurnResult;
use super::lifecycle::MessageState;
use super::process::Process;

/// The id of one prompt of ours, as the CLI knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptId(pub Uuid);

impl PromptId {
    /// A new one.
    pub fn random() -> Self {
        Self(message_id())
    }
}

/// What to do about a further message.
#[derive(Debug)]
pub enum Further {
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
    on_its_way: Option<PromptId>,
    taken_in: Vec<PromptId>,
}

impl FurtherMessages {
    /// None yet.
    pub fn new(coming: mpsc::UnboundedReceiver<Further>) -> Self {
        Self { coming, on_its_way: None, taken_in: Vec::new() }
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
        match further {
            Further::Put { id, prompt } if self.on_its_way.is_none() => {
                self.on_its_way = Some(id);
                process.send_prompt(id, &prompt);
            }
            Further::TakeBack(id) if self.on_its_way == Some(id) => process.take_back(id),
            Further::Put { .. } | Further::TakeBack(_) => {}
        }
    }

    /// The agent says what became of a message; what of that is news.
    pub fn note(&mut self, id: PromptId, state: MessageState) -> Option<Progress> {
        let is_decided = matches!(state, MessageState::Started | MessageState::Cancelled);
        self.on_its_way.take_if(|known| *known == id && is_decided)?;
        if state == MessageState::Cancelled {
            return Some(Progress::GaveBack(id));
        }
        self.taken_in.push(id);
        Some(Progress::TookIn(id))
    }

    /// The turn has this result.
    pub fn note_result(&mut self, result: &TurnResult) {
        if let Some(id) = self.on_its_way.take_if(|id| result.names(&id.0.to_string())) {
            self.taken_in.push(id);
        }
    }

    /// The process is gone, without a result: what it had begun with belonged to the turn.
    pub fn note_end(&mut self, process: &Process) {
        if let Some(id) = self.on_its_way.take_if(|id| process.has_begun_with(*id)) {
            self.taken_in.push(id);
        }
    }

    /// The message that the agent has and has not put into the turn.
    pub fn on_its_way(&self) -> Option<PromptId> {
        self.on_its_way
    }

    /// The messages that are in the turn, in order.
    pub fn taken_in(self) -> Vec<PromptId> {
        self.taken_in
    }
}
