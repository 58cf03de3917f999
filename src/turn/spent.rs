//! What a turn has used and cost.

use crate::agent::AskResult;
use crate::domain::{FooterField, MicroUsd, Project, SessionId, TurnUsage, turn_cost};
use crate::view::footer;

use super::branch::branch;

/// What a session had cost before a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostBefore {
    pub session: SessionId,
    pub cost: MicroUsd,
}

/// What came of the turn as far as it is counted. `before`: its session as it was when it began; another one that it went on
/// with is new.
pub fn usage(asked: &AskResult, before: CostBefore) -> TurnUsage {
    let cost = asked.session.and_then(|seen| {
        let before = if seen.id == before.session { before.cost } else { MicroUsd::default() };
        Some(turn_cost(before, seen.cost?))
    });
    TurnUsage { cost, ..asked.usage.clone() }
}

/// The small text below the answer of such a turn, as its project wants it.
pub async fn footer(project: &Project, usage: &TurnUsage) -> Option<String> {
    let fields = &project.footer;
    if !footer::has_footer(fields, usage) {
        return None;
    }
    let branch = match fields.contains(&FooterField::Branch) {
        true => branch(project.dir.clone()).await,
        false => None,
    };
    footer::footer(fields, usage, branch.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AskEnd, SessionSeen};

    #[test]
    fn the_cost_is_the_difference_within_one_session_and_unknown_where_no_result_tells() {
        let session = SessionId::random();
        let cost = |seen: Option<(SessionId, Option<u64>)>| {
            let session_seen =
                seen.map(|(id, cost)| SessionSeen { id, cost: cost.map(MicroUsd), num_turns: 1 });
            let asked = AskResult {
                end: AskEnd::Stopped,
                session: session_seen,
                session_lost: false,
                used_elsewhere: false,
                denied: Vec::new(),
                elicited: Vec::new(),
                usage: TurnUsage { tools: Some(3), ..TurnUsage::default() },
                fallback: None,
                limit_warning: None,
                partial: String::new(),
                taken_in: Vec::new(),
                goes_on: None,
            };
            let usage = usage(&asked, CostBefore { session, cost: MicroUsd(100) });
            assert_eq!(usage.tools, Some(3));
            usage.cost.map(|cost| cost.0)
        };
        assert_eq!(cost(Some((session, Some(250)))), Some(150));
        assert_eq!(cost(Some((session, Some(40)))), Some(0), "the CLI has begun again");
        assert_eq!(cost(Some((SessionId::random(), Some(40)))), Some(40), "a new session");
        assert_eq!(cost(Some((session, None))), None);
        assert_eq!(cost(None), None);
    }
}
