//! The small text below an answer: how the turn went, in one line.

use std::time::Duration;

use super::draw::{code, one_line, shortened};
use crate::domain::{ContextFill, FooterField, MicroUsd, TurnUsage};
use crate::text;

/// A turn without tools that was over sooner has no footer.
const QUICK: Duration = Duration::from_secs(5);
/// From so many percent on, the fill of the context is a warning.
const NEARLY_FULL: u64 = 80;
/// The longest name of a model or a branch, in characters.
const LONGEST_NAME: usize = 60;

/// Whether the answer of such a turn gets a footer: not where there was nothing but one quick word.
pub fn has_footer(fields: &[FooterField], usage: &TurnUsage) -> bool {
    let is_quick = usage.duration.is_none_or(|took| took < QUICK);
    let is_one_word = is_quick && usage.tools.unwrap_or(0) == 0;
    !(fields.is_empty() || is_one_word)
}

/// The footer with those of these fields that are known, in this order; `None` where none is. `branch`: the one that the
/// project is on.
pub fn footer(fields: &[FooterField], usage: &TurnUsage, branch: Option<&str>) -> Option<String> {
    let field = |field: &FooterField| match field {
        FooterField::Time => usage.duration.map(span),
        FooterField::Model => usage.model.as_deref().map(model_name),
        FooterField::Context => usage.context.map(fill),
        FooterField::Cost => usage.cost.map(dollars),
        FooterField::Tools => match usage.tools? {
            0 => None,
            1 => Some("1 tool call".to_owned()),
            count => Some(format!("{count} tool calls")),
        },
        FooterField::Branch => branch.map(|name| code(&shortened(&one_line(name), LONGEST_NAME))),
    };
    let fields: Vec<String> = fields.iter().filter_map(field).collect();
    (!fields.is_empty()).then(|| text::small(&fields.join(" · ")))
}

/// The line that says that room was made in the context.
pub fn compaction(usage: &TurnUsage) -> Option<String> {
    let compaction = usage.compaction.filter(|it| it.to < it.from)?;
    Some(text::small(&format!("context {} → {}", count(compaction.from), count(compaction.to))))
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => "<1s".to_owned(),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// As it is, unless Discord could take something in it for markup.
fn model_name(name: &str) -> String {
    let name = shortened(&one_line(name), LONGEST_NAME);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.chars().all(is_plain) { name } else { code(&name) }
}

fn fill(fill: ContextFill) -> String {
    match fill.percent() {
        Some(percent @ NEARLY_FULL..) => format!("⚠ context {percent}%"),
        Some(percent) => format!("context {percent}%"),
        None => format!("context {}", count(fill.used)),
    }
}

fn dollars(cost: MicroUsd) -> String {
    match cost.0 {
        1..10_000 => "<$0.01".to_owned(),
        micros => {
            let cents = micros / 10_000 + u64::from(micros % 10_000 >= 5_000);
            format!("${}.{:02}", cents / 100, cents % 100)
        }
    }
}

/// Tokens in thousands or millions, as people say them.
fn count(tokens: u64) -> String {
    match tokens {
        0..1000 => tokens.to_string(),
        1000..1_000_000 => format!("{}k", tokens / 1000),
        _ => format!("{}.{}M", tokens / 1_000_000, tokens % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Compaction;

    const ALL: [FooterField; 6] = [
        FooterField::Time,
        FooterField::Model,
        FooterField::Context,
        FooterField::Cost,
        FooterField::Tools,
        FooterField::Branch,
    ];

    fn usage() -> TurnUsage {
        TurnUsage {
            cost: Some(MicroUsd(254_999)),
            duration: Some(Duration::from_millis(200_900)),
            model: Some("claude-opus-5-5".to_owned()),
            tools: Some(12),
            context: Some(ContextFill { used: 154_000, window: Some(200_000) }),
            compaction: Some(Compaction { from: 154_321, to: 31_999 }),
            tokens: None,
        }
    }

    #[test]
    fn what_is_known_is_told_in_the_order_of_the_project() {
        let footer = |fields: &[FooterField], usage: &TurnUsage| footer(fields, usage, Some("main"));
        assert_eq!(
            footer(&ALL, &usage()).unwrap(),
            "-# 3m 20s · claude-opus-5-5 · context 77% · $0.25 · 12 tool calls · `main`"
        );
        assert_eq!(footer(&[FooterField::Cost, FooterField::Time], &usage()).unwrap(), "-# $0.25 · 3m 20s");
        let unknown = TurnUsage::default();
        assert_eq!(footer(&ALL, &unknown).unwrap(), "-# `main`");
        assert_eq!(footer(&FooterField::DEFAULT, &unknown), None);
        assert_eq!(footer(&[], &usage()), None);
        assert_eq!(compaction(&usage()).unwrap(), "-# context 154k → 31k");
        assert_eq!(compaction(&unknown), None);
    }

    /// What recorded turns would have had below their answers, and what is kept of them.
    #[test]
    fn footers_of_recorded_turns() {
        let mut told = String::new();
        let names = [
            "a4-stream",
            "c1-persistent",
            "d11-interrupt-stream",
            "d13-interrupt-bash",
            "e3-acceptEdits-write",
            "f1-400",
            "g9-model-sonnet",
            "m7-compact",
            "p2-subagents",
        ];
        for name in names {
            told += &format!("── {name}\n");
            for used in crate::agent::transcripts::usage_of(name) {
                let used = TurnUsage { duration: Some(Duration::from_secs(65)), ..used };
                for line in [compaction(&used), footer(&ALL, &used, None)].into_iter().flatten() {
                    told += &format!("{line}\n");
                }
                told += &format!("{:?}\n", used.tokens);
            }
        }
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/view"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!("footers", told) });
    }

    #[test]
    fn one_quick_word_has_none() {
        let has = |milliseconds: Option<u64>, tools| {
            let usage = TurnUsage { duration: milliseconds.map(Duration::from_millis), tools, ..usage() };
            has_footer(&FooterField::DEFAULT, &usage)
        };
        assert_eq!(
            [has(Some(4999), Some(0)), has(Some(5000), Some(0)), has(Some(10), Some(1))],
            [false, true, true]
        );
        assert!(!has(None, None));
        assert!(!has_footer(&[], &usage()));
    }

    #[test]
    fn each_amount_is_as_people_say_it() {
        let spans = [0, 999, 1000, 59_999, 60_000, 3_599_000, 3_600_000, 90_061_000];
        let spans = spans.map(|milliseconds| span(Duration::from_millis(milliseconds)));
        assert_eq!(spans, ["<1s", "<1s", "1s", "59s", "1m 0s", "59m 59s", "1h 0m", "25h 1m"]);
        let amounts = [0, 1, 9_999, 10_000, 14_999, 15_000, 995_000, 12_345_678, u64::MAX];
        let dollars = amounts.map(|micros| dollars(MicroUsd(micros)));
        assert_eq!(
            dollars,
            ["$0.00", "<$0.01", "<$0.01", "$0.01", "$0.01", "$0.02", "$1.00", "$12.35", "$18446744073709.55"]
        );
        assert_eq!([0, 999, 1000, 154_999, 1_250_000].map(count), ["0", "999", "1k", "154k", "1.2M"]);
        let fills =
            [(159_000, Some(200_000)), (159_001, Some(200_000)), (250_000, Some(200_000)), (9_500, None)];
        let fills = fills.map(|(used, window)| fill(ContextFill { used, window }));
        assert_eq!(fills, ["⚠ context 80%", "⚠ context 80%", "⚠ context 125%", "context 9k"]);
        assert_eq!(fill(ContextFill { used: 158_000, window: Some(200_000) }), "context 79%");
    }

    #[test]
    fn no_name_can_ping_break_out_or_fill_the_line() {
        let nasty = "<@1> `@everyone`\n-# [x](https://x) \u{202e}".to_owned() + &"月".repeat(500);
        let usage = TurnUsage { model: Some(nasty.clone()), ..usage() };
        let line = footer(&ALL, &usage, Some(&nasty)).unwrap();
        assert_eq!(line.lines().count(), 1);
        assert_eq!(line.matches('`').count(), 4, "{line}");
        assert!(line.chars().count() < 300 && !line.contains('\u{202e}'), "{line}");
        assert_eq!(model_name("global.anthropic_x@y"), "`global.anthropic_x@y`");
    }
}
