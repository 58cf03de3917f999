//! `/usage`: people see their own, operators everybody's.

use super::{said, stage};
use crate::support::ANSWERED;

#[tokio::test]
async fn people_see_their_own_usage_and_operators_everybodys() {
    let mut stage = stage().await;
    assert_eq!(said(&stage, "ada", "usage", &[]).await.content, "Your usage in the last 24 hours: nothing.");
    for (person, channel, prompt) in [
        ("owner", "general", "COST:1.25 ;; USAGE:100,20,3000,400 ;; TEXT:a"),
        ("ada", "general", "COST:0.5 ;; USAGE:1,2,3,4 ;; TEXT:b"),
        ("ada", "next", "USAGE:none ;; TEXT:c"),
    ] {
        let question = stage.say_as(person, channel, prompt);
        assert_eq!(stage.settled(question).await, ANSWERED);
    }
    let told = async |person: &str, options: &[(&str, &str)]| {
        let told = said(&stage, person, "usage", options).await;
        assert!(told.ephemeral_to.is_some(), "for this person alone");
        // Without how long they worked, which is at the end of each line.
        let is_time = |word: &str| {
            word.ends_with('s') && word.len() < 5 && word.starts_with(|c: char| c.is_ascii_digit())
        };
        let line = |line: &str| match line.rsplit_once(' ') {
            Some((before, time)) if is_time(time) => before.trim_end().to_owned(),
            _ => line.to_owned(),
        };
        told.content.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told("ada", &[]).await, @"
    Your usage in the last 24 hours
    ```
    project        turns      cost  tokens time
    here               2    $0.50+      10
    ```
    -# Claude Code's estimates; turns at work are not in them
    -# +: 1 turn did not tell the cost
    ");
    insta::assert_snapshot!(told("owner", &[("period", "week"), ("by", "user")]).await, @"
    Everybody's usage in the last 7 days
    ```
    user           turns      cost  tokens time
    owner              1     $1.25      3k
    ada                2    $0.50+      10
    all                3    $1.75+      3k
    ```
    -# Claude Code's estimates; turns at work are not in them
    -# +: 1 turn did not tell the cost
    ");
    insta::assert_snapshot!(told("ada", &[("by", "channel")]).await, @"
    Your usage in the last 24 hours
    ```
    channel        turns      cost  tokens time
    general            1     $0.50      10
    next               1    $0.00+       0
    all                2    $0.50+      10
    ```
    -# Claude Code's estimates; turns at work are not in them
    -# +: 1 turn did not tell the cost
    ");
    let ada = told("ada", &[("by", "user")]).await;
    assert!(!ada.contains("owner") && !ada.contains("1.25"), "{ada}");
}
