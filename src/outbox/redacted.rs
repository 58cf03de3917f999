//! Redaction of everything that is posted.

use std::borrow::Cow;
use std::sync::Arc;

use super::Outbox;
use crate::redact::Redactor;

impl Outbox {
    /// The same outbox, with `redactor` applied to every message, edit, answer to a command and file. Call it before
    /// cloning.
    pub fn redacting(mut self, redactor: Redactor) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("nobody has cloned it yet");
        inner.sender.redactor = redactor;
        self
    }

    /// What takes secrets out of what is posted.
    pub fn redactor(&self) -> Redactor {
        self.0.sender.redactor.clone()
    }

    /// The text as it would be posted. Redact a text before splitting it, or half of a secret may end up in each part.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.sender.redactor.redact(text)
    }
}
