//! A second judge of what Discord's client shows: npm's `discord-markdown-parser`, a public re-implementation of its
//! parser. It must see in each message what the model ([`client`]) sees, but for [`DIFFERENCES`].
//!
//! ```sh
//! npm install --prefix DIR discord-markdown-parser@1.3.1
//! MOONLANE_TEST_DISCORD_PARSER=DIR cargo test --lib judge -- --ignored --nocapture
//! ```

use std::io::Write;
use std::process::{Command, Stdio};
use std::rc::Rc;

use serde_json::{Value, json};

use super::look::{BOLD, CODE, Glyph, HEADING, ITALIC, QUOTE, SMALL, SPOILER, STRUCK, UNDERLINE, tagged};
use super::{client, fixtures, generate, parts, sense};
use crate::domain::Format;

/// How many generated documents both look at.
const GENERATED: usize = 300;

/// What the two disagree about.
struct Difference {
    /// The patch of `judge.js` that has the package agree.
    name: &'static str,
    /// A message that they see otherwise.
    message: &'static str,
    /// Why the model is taken to be nearer to the client.
    #[expect(dead_code, reason = "it is there to be read")]
    why: &'static str,
}

/// In each of these the model is taken to be nearer.
const DIFFERENCES: [Difference; 7] = [
    Difference {
        name: "list markers",
        message: "- a\n  1. b",
        why: "The package has no lists; Discord's help page \"Markdown Text 101\" does.",
    },
    Difference {
        name: "after a quote",
        message: "> a\n> b\n# c",
        why: "The package looks at the last group of the expression before, not at the last character. The help page has \
              headings at the beginning of any line.",
    },
    Difference {
        name: "after a list marker",
        message: "- # a",
        why: "It follows from the lists. Users report headings in items.",
    },
    Difference {
        name: "within a line",
        message: "**# a** b",
        why: "The package takes the beginning of anything within the first words of a line for the beginning of a line. The \
              help page wants the mark to be the first character of the line. Not known of the client itself.",
    },
    Difference {
        name: "indented headings",
        message: "a\n  # b",
        why: "Users report headings behind spaces. Not known of the client itself; the splitter escapes the mark where it is \
              none, so that both show the same.",
    },
    Difference {
        name: "masked links",
        message: "[a](mailto:b) [https://c.d](https://e.f)",
        why: "The package has simple-markdown's links, for which any target is one. Discord masks http and https only, and no \
              label with an address: reports of users.",
    },
    Difference {
        name: "struck before an underscore",
        message: "~~a~~_b",
        why: "Only the package has that exception, not Discord's SimpleAST for Android (`SimpleMarkdownRules.kt`).",
    },
];

/// What the package sees of each message, with these patches.
fn judged(messages: &[String], patches: &[&str]) -> Vec<Vec<Glyph>> {
    let folder = std::env::var("MOONLANE_TEST_DISCORD_PARSER")
        .expect("MOONLANE_TEST_DISCORD_PARSER names a folder whose node_modules has discord-markdown-parser");
    let input = json!({ "folder": folder, "patches": patches, "messages": messages });
    let mut node = Command::new("node")
        .args(["-e", include_str!("judge.js")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads all before it writes anything.
    node.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "node: {}", output.status);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.len(), messages.len());
    all.iter().map(|runs| runs.as_array().unwrap().iter().flat_map(glyphs).collect()).collect()
}

fn glyphs(run: &Value) -> Vec<Glyph> {
    let names = run[1].as_array().unwrap();
    let style = names.iter().fold(0, |all, name| {
        all | match name.as_str().unwrap() {
            "bold" => BOLD,
            "italic" => ITALIC,
            "underline" => UNDERLINE,
            "struck" => STRUCK,
            "spoiler" => SPOILER,
            "code" => CODE,
            "heading" => HEADING,
            "quote" => QUOTE,
            "small" => SMALL,
            name => panic!("an unknown style: {name}"),
        }
    });
    let link: Option<Rc<str>> = run[2].as_str().map(Into::into);
    run[0].as_str().unwrap().chars().map(|c| Glyph { c, style, link: link.clone() }).collect()
}

/// White space is not compared.
fn compared(glyphs: Vec<Glyph>) -> Vec<Glyph> {
    glyphs.into_iter().filter(|glyph| !glyph.c.is_whitespace() && glyph.c != '\u{200b}').collect()
}

/// The messages that the two see otherwise.
fn differing(messages: &[String], patches: &[&str]) -> Vec<String> {
    let theirs = judged(messages, patches);
    let both = messages.iter().zip(theirs).filter_map(|(message, theirs)| {
        let (ours, theirs) = (compared(client::shown(message)), compared(theirs));
        let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let around = |glyphs: &[Glyph]| {
            tagged(&glyphs[same.saturating_sub(30).min(glyphs.len())..(same + 30).min(glyphs.len())])
        };
        (ours != theirs)
            .then(|| format!("the model sees\n  {}\nthe package\n  {}", around(&ours), around(&theirs)))
    });
    both.collect()
}

fn all_patches() -> Vec<&'static str> {
    DIFFERENCES.iter().map(|difference| difference.name).collect()
}

#[test]
#[ignore = "needs npm's discord-markdown-parser"]
fn the_judges_see_the_same_in_every_message() {
    let cases = sense::CASES.iter().map(|(source, _)| (*source).to_owned());
    let sources: Vec<String> =
        fixtures::sources().into_iter().chain(cases).chain(generate::documents(GENERATED)).collect();
    let messages: Vec<String> =
        sources.iter().flat_map(|source| parts(source, &Format::default())).map(|part| part.text).collect();
    let differing = differing(&messages, &all_patches());
    println!("{} of {} messages are seen otherwise", differing.len(), messages.len());
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
}

#[test]
#[ignore = "needs npm's discord-markdown-parser"]
fn each_listed_difference_is_one() {
    for difference in &DIFFERENCES {
        let message = [difference.message.to_owned()];
        assert_eq!(differing(&message, &all_patches()), [""; 0], "{}", difference.name);
        let without: Vec<&str> = all_patches().into_iter().filter(|name| *name != difference.name).collect();
        assert!(!differing(&message, &without).is_empty(), "{} is none any more", difference.name);
    }
}
