//! Small talk.

/// The answer to somebody who just says something.
pub fn friendly(prompt: &str, turn: usize) -> String {
    let first: String = prompt.lines().next().unwrap_or_default().chars().take(200).collect();
    let mut parts = vec![format!(
        "Hello! I am the **demo agent**: no model, no account, no cost. This is turn {turn} of this session, and you \
         said:\n> {first}"
    )];
    let prompt = prompt.to_lowercase();
    let asks_for = |word: &str| prompt.split(|c: char| !c.is_alphanumeric()).any(|said| said == word);
    if asks_for("code") {
        parts.push("Some code:\n```rust\nfn main() {\n    println!(\"Hello, moon!\");\n}\n```".to_owned());
    }
    if asks_for("table") {
        parts.push("| planet | moons |\n| --- | ---: |\n| Earth | 1 |\n| Mars | 2 |".to_owned());
    }
    if asks_for("long") {
        let line =
            |n: usize| format!("{n}. The moon has walked this lane {n} times, and every time it was quiet.");
        parts.push((1..=60).map(line).collect::<Vec<_>>().join("\n"));
    }
    if parts.len() == 1 {
        parts.push("Ask me for `code`, a `table` or something `long` to see how answers arrive, or say `work` to see a turn at work, `compact` to see room made, `limit` to see a usage limit reached, or `permission`, `plan`, `question` or `questions` to be asked something.".to_owned());
    }
    parts.join("\n\n")
}
