//! Who may answer for whom.

use serde::{Deserialize, Serialize};

use super::UserId;

/// Who answers what Claude asks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approve {
    /// whoever asked Claude, and the approvers
    #[default]
    Asker,
    /// only the approvers
    Approvers,
}

impl Approve {
    /// Whether this person may answer in a turn of this asker's, approver or not.
    pub fn lets_answer(self, asker: UserId, person: UserId) -> bool {
        self == Self::Asker && asker == person
    }
}
