//! What is said holds no secret.

use std::borrow::Cow;
use std::sync::Arc;

use super::Outbox;
use crate::redact::Redactor;

impl Outbox {
    /// The same outbox, which says nothing that `redactor` takes out: in no message, edit, answer to a command, or file.
    /// To be called before it has a clone.
    pub fn redacting(mut self, redactor: Redactor) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("nobody has cloned it yet");
        inner.sender.redactor = redactor;
        self
    }

    /// The text as it would be said. A text that is to be split is to be redacted before, or half of a secret would stand
    /// in each part.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.sender.redactor.redact(text)
    }
}
