//! Every Lua example of the documents runs: none can be added that no test looks at.

use super::*;

/// Examples that show a file in another way; each has a test that plays it, too.
const VARIANTS: [&str; 5] = [
    "routing.lua, with a rule for a role",
    "routing.lua, with a thread for each task",
    "routing.lua, for a forum",
    "routing.lua, with budgets and a footer",
    "hooks.lua, for a project with scripts_may_allow = true",
];

/// The Lua examples of all documents.
fn examples() -> Vec<&'static str> {
    let documents = [
        include_str!("../../../README.md"),
        include_str!("../../../ARCHITECTURE.md"),
        include_str!("../../../CONTRIBUTING.md"),
        include_str!("../../../scripts/README.md"),
    ];
    let blocks = documents.into_iter().flat_map(|document| document.split("```lua\n").skip(1));
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_example_is_loaded() {
    let mut variants = Vec::new();
    for example in examples() {
        let first = example.lines().next().unwrap();
        let told = match first.strip_prefix("-- ") {
            // The files without more are loaded together, and played: `the_files_of_the_readme_load_and_decide`.
            Some(name) if readme_files().iter().any(|(file, text)| *file == name && *text == example) => {
                continue;
            }
            Some(name) if name.starts_with("hooks.lua") => {
                variants.push(name);
                problems(&[("hooks.lua", example)])
            }
            Some(name) => {
                variants.push(name);
                routing_problems(example)
            }
            None if example.starts_with("site = {") => {
                let routing = format!("return {{ projects = {{\n{} }}, route = print }}", example.trim_end());
                routing_problems(&routing)
            }
            None => panic!("an example that is neither a file nor a project:\n{example}"),
        };
        // This machine has not what they name.
        let missing =
            ["does not exist", "No such file", "is not set", "cannot be read", "there is no user \"site\""];
        let wrong: Vec<&str> =
            told.lines().filter(|line| !missing.iter().any(|known| line.contains(known))).collect();
        assert!(wrong.is_empty(), "{wrong:#?} in:\n{example}");
    }
    assert_eq!(variants, VARIANTS, "each with a test that plays it");
}

/// What a script of ours is called; an example under another heading would not be found.
#[test]
fn every_example_says_that_it_is_lua() {
    for document in [include_str!("../../../README.md"), include_str!("../../../scripts/README.md")] {
        let mut opens = document.lines().filter(|line| line.starts_with("```")).step_by(2);
        let known = ["```lua", "```console", "```text", "```ini"];
        assert!(opens.all(|line| known.contains(&line)), "a code block without a language that is known");
        let code = document.split("```").skip(1).step_by(2).filter(|block| !block.starts_with("lua\n"));
        for block in code {
            assert!(
                !block.contains("return {") && !block.contains("function("),
                "Lua, but not said so:\n{block}"
            );
        }
    }
}
