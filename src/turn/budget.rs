//! Whether a turn may begin although its project, its person or the bot as a whole has spent money already.
//!
//! What a turn costs is known once it has ended, so turns that are at work count nothing yet, and may go beyond a budget. A
//! message that goes into one is part of what that turn costs, and so of what its person has spent.

use std::time::Duration;

use super::Turns;
use crate::domain::{Project, SpendingBudget, UserId};
use crate::store::{Exhausted, Millis, SpendingLimit, StoreError};
use crate::words;

/// The sentence for somebody whose turn may not begin now in this project; `None` where it may. The scripts count as they are
/// at this moment. Nobody is an exception: an operator can raise the budget.
///
/// # Errors
/// If the database fails: then nobody knows.
pub async fn refusal(turns: &Turns, person: UserId, project: &Project) -> Result<Option<String>, StoreError> {
    let scripts = turns.scripts.borrow().clone();
    let of_project = scripts.project(&project.name).map_or(project.budget, |project| project.budget);
    let limits = limits(scripts.budget(), of_project, person, project);
    if limits.is_empty() {
        return Ok(None);
    }
    let exhausted = turns.store.exhausted(limits, Millis::now()).await?;
    Ok(exhausted.map(|Exhausted { limit: SpendingLimit { project, person, most }, opens }| {
        let opens = Duration::from_millis(opens.0.max(0).cast_unsigned());
        words::budget_spent(project.as_ref(), person.is_some(), most, opens)
    }))
}

fn limits(
    of_all: SpendingBudget,
    of_project: SpendingBudget,
    person: UserId,
    project: &Project,
) -> Vec<SpendingLimit> {
    let (project, person) = (Some(project.name.clone()), Some(person));
    let limits = [
        (of_all.per_day, None, None),
        (of_all.per_person_per_day, None, person),
        (of_project.per_day, project.clone(), None),
        (of_project.per_person_per_day, project, person),
    ];
    let limits = limits.into_iter();
    limits
        .filter_map(|(most, project, person)| Some(SpendingLimit { project, person, most: most? }))
        .collect()
}
