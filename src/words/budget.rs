//! What is said where a budget is spent.

use std::time::Duration;

use crate::domain::{MicroUsd, ProjectName};

/// A turn did not begin, because others have cost too much: those in `project` or all, those of its person (`own`) or
/// everybody's. `opens`: when there is room again, since 1970.
pub fn budget_spent(project: Option<&ProjectName>, own: bool, most: MicroUsd, opens: Duration) -> String {
    let most = dollars(most);
    let who = match (project, own) {
        (None, false) => format!("I have spent my budget of {most} for 24 hours"),
        (None, true) => format!("You have spent your budget of {most} for 24 hours"),
        (Some(project), false) => {
            format!("The project **{project}** has spent its budget of {most} for 24 hours")
        }
        (Some(project), true) => {
            format!("You have spent your budget of {most} for 24 hours in the project **{project}**")
        }
    };
    // Rounded up: a moment earlier it would be refused again.
    let opens = opens.as_secs() + u64::from(opens.subsec_nanos() > 0);
    format!("{who}, so I did not start. Ask again <t:{opens}:R>.")
}

fn dollars(amount: MicroUsd) -> String {
    match amount.0 % 10_000 {
        0 => format!("${}.{:02}", amount.0 / 1_000_000, amount.0 % 1_000_000 / 10_000),
        // As small as somebody has set it.
        _ => format!("${amount}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_budget_says_whose_it_is_and_when_it_opens() {
        let opens = Duration::from_millis(1_795_000_000_001);
        let site = ProjectName("site".to_owned());
        let all = [
            budget_spent(None, false, MicroUsd(20_000_000), opens),
            budget_spent(None, true, MicroUsd(1_500_000), opens),
            budget_spent(Some(&site), false, MicroUsd(5_000_000), opens),
            budget_spent(Some(&site), true, MicroUsd(1_250), opens),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        I have spent my budget of $20.00 for 24 hours, so I did not start. Ask again <t:1795000001:R>.
        You have spent your budget of $1.50 for 24 hours, so I did not start. Ask again <t:1795000001:R>.
        The project **site** has spent its budget of $5.00 for 24 hours, so I did not start. Ask again <t:1795000001:R>.
        You have spent your budget of $0.001250 for 24 hours in the project **site**, so I did not start. Ask again <t:1795000001:R>.
        ");
    }
}
