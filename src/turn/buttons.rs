//! The ids of the buttons that a turn shows: the one place that writes them and reads them again.
//!
//! Buttons outlive the bot that has posted them, so an id that stands in Discord keeps its meaning.

use crate::domain::{Action, Button, ButtonStyle, MessageId};
use crate::store::QuestionKey;

/// What a button is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonId {
    /// Stops this turn, or takes it out while it waits.
    Stop(MessageId),
    /// What becomes of this message, which waits behind another.
    Waiting(MessageId, WaitingWish),
    /// Whether this turn, which a usage limit has refused, continues.
    Refused(MessageId, Decision),
    /// Answers this question.
    Question(QuestionKey, QuestionPress),
}

/// What the author of a message that waits wants to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingWish {
    /// It goes into the turn that runs.
    SendNow,
    /// The turn that runs ends, and this one goes next.
    Instead,
    /// It is not to begin at all.
    TakeOut,
}

/// What a press decides about a refused turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes on at the reset.
    Continue,
    Leave,
}

/// What a button below a question does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionPress {
    Allow,
    AllowForSession,
    /// Shows the rule that would always allow it.
    AllowAlways,
    /// Always allows it, by that rule.
    SaveRule,
    Deny,
    /// The same, with a form for the reason.
    DenyWithWords,
    Approve,
    ApproveAndEdit,
    /// Opens a form for what to change.
    KeepPlanning,
    /// Goes on where a permission was left by a restart.
    GoOn,
    /// Chooses this option of the only question.
    Pick(usize),
    /// Chooses from the menu of this question.
    Menu(usize),
    /// Sends what was chosen from the menus.
    Send,
    /// Opens a form for a person's own words.
    Other,
    /// The address that an MCP server has given is opened.
    Done,
    /// Opens the form that an MCP server wants to have filled in, or sends what was chosen where nothing is to be typed.
    FillIn,
    /// An MCP server does not get what it wants.
    Decline,
    /// It gets neither that nor a no.
    Dismiss,
}

impl ButtonId {
    pub fn custom_id(self) -> String {
        match self {
            Self::Stop(turn) => format!("stop:{turn}"),
            Self::Waiting(turn, WaitingWish::SendNow) => format!("now:{turn}"),
            Self::Waiting(turn, WaitingWish::Instead) => format!("instead:{turn}"),
            Self::Waiting(turn, WaitingWish::TakeOut) => format!("out:{turn}"),
            Self::Refused(turn, Decision::Continue) => format!("continue:{turn}"),
            Self::Refused(turn, Decision::Leave) => format!("leave:{turn}"),
            Self::Question(QuestionKey(key), press) => match press {
                QuestionPress::Allow => format!("ask:{key}:allow"),
                QuestionPress::AllowForSession => format!("ask:{key}:session"),
                QuestionPress::AllowAlways => format!("ask:{key}:always"),
                QuestionPress::SaveRule => format!("ask:{key}:save"),
                QuestionPress::Deny => format!("ask:{key}:deny"),
                QuestionPress::DenyWithWords => format!("ask:{key}:why"),
                QuestionPress::Send => format!("ask:{key}:send"),
                QuestionPress::Other => format!("ask:{key}:other"),
                QuestionPress::Menu(question) => format!("ask:{key}:menu{question}"),
                QuestionPress::Approve => format!("ask:{key}:approve"),
                QuestionPress::ApproveAndEdit => format!("ask:{key}:edits"),
                QuestionPress::KeepPlanning => format!("ask:{key}:plan"),
                QuestionPress::GoOn => format!("ask:{key}:go_on"),
                QuestionPress::Done => format!("ask:{key}:done"),
                QuestionPress::FillIn => format!("ask:{key}:fill_in"),
                QuestionPress::Decline => format!("ask:{key}:decline"),
                QuestionPress::Dismiss => format!("ask:{key}:dismiss"),
                QuestionPress::Pick(option) => format!("ask:{key}:pick{option}"),
            },
        }
    }

    /// `None` where it is no button of a turn.
    pub fn parse(custom_id: &str) -> Option<Self> {
        let (kind, rest) = custom_id.split_once(':')?;
        let turn = || rest.parse().ok();
        Some(match kind {
            "stop" => Self::Stop(turn()?),
            "now" => Self::Waiting(turn()?, WaitingWish::SendNow),
            "instead" => Self::Waiting(turn()?, WaitingWish::Instead),
            "out" => Self::Waiting(turn()?, WaitingWish::TakeOut),
            "continue" => Self::Refused(turn()?, Decision::Continue),
            "leave" => Self::Refused(turn()?, Decision::Leave),
            "ask" => {
                let (key, press) = rest.split_once(':')?;
                Self::Question(QuestionKey(key.parse().ok()?), QuestionPress::parse(press)?)
            }
            _ => return None,
        })
    }

    pub fn button(self, label: &str, style: ButtonStyle) -> Button {
        let action = Action::Press { custom_id: self.custom_id(), style };
        Button { label: label.to_owned(), action, disabled: false }
    }
}

impl QuestionPress {
    fn parse(press: &str) -> Option<Self> {
        Some(match press {
            "allow" => Self::Allow,
            "session" => Self::AllowForSession,
            "always" => Self::AllowAlways,
            "save" => Self::SaveRule,
            "deny" => Self::Deny,
            "why" => Self::DenyWithWords,
            "send" => Self::Send,
            "other" => Self::Other,
            "approve" => Self::Approve,
            "edits" => Self::ApproveAndEdit,
            "plan" => Self::KeepPlanning,
            "go_on" => Self::GoOn,
            "done" => Self::Done,
            "fill_in" => Self::FillIn,
            "decline" => Self::Decline,
            "dismiss" => Self::Dismiss,
            _ => match press.strip_prefix("menu") {
                Some(question) => Self::Menu(question.parse().ok()?),
                None => Self::Pick(press.strip_prefix("pick")?.parse().ok()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_button() -> impl Strategy<Value = ButtonId> {
        use QuestionPress as Press;
        let turn = || (1..=u64::MAX).prop_map(|id| MessageId::new(id).unwrap());
        let wish =
            prop::sample::select(vec![WaitingWish::SendNow, WaitingWish::Instead, WaitingWish::TakeOut]);
        let decision = prop::sample::select(vec![Decision::Continue, Decision::Leave]);
        let press = prop_oneof![
            prop::sample::select(vec![
                Press::Allow,
                Press::AllowForSession,
                Press::AllowAlways,
                Press::SaveRule,
                Press::Deny,
                Press::DenyWithWords,
                Press::Send,
                Press::Other,
                Press::Approve,
                Press::ApproveAndEdit,
                Press::KeepPlanning,
                Press::GoOn,
                Press::Done,
                Press::FillIn,
                Press::Decline,
                Press::Dismiss,
            ]),
            any::<usize>().prop_map(Press::Pick),
            any::<usize>().prop_map(Press::Menu),
        ];
        prop_oneof![
            turn().prop_map(ButtonId::Stop),
            (turn(), wish).prop_map(|(turn, wish)| ButtonId::Waiting(turn, wish)),
            (turn(), decision).prop_map(|(turn, decision)| ButtonId::Refused(turn, decision)),
            (any::<i64>(), press).prop_map(|(key, press)| ButtonId::Question(QuestionKey(key), press)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(button in any_button()) {
            let id = button.custom_id();
            prop_assert!(id.len() <= 100, "Discord takes 100 characters: {id}");
            prop_assert_eq!(ButtonId::parse(&id), Some(button));
        }
    }

    #[test]
    fn other_ids_are_no_buttons_of_a_turn() {
        for other in
            ["", "77", "instead:", "out:x", "out:0", "instead:-1", "ask:1", "ask:x:allow", "ask:1:pick"]
        {
            assert_eq!(ButtonId::parse(other), None, "{other}");
        }
    }
}
