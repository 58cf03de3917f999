//! Answers as they are really written, through the whole bot: what stands in the channel is what the splitter makes of
//! them, as the project wants it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use moonlane::domain::{Format, Outcome};
use moonlane::text;
use moonlane::turn::Settled;

use crate::support::{ONE_FOR_MANY, Setup, Stage, routing_with};

/// Discord's own way to count: code points, after it has trimmed the white space at both ends.
const DISCORDS_LIMIT: usize = 2000;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Lets Claude say each of the files; what arrives must be what the splitter makes of it.
async fn say_all(project: &str, format: Format, files: &[PathBuf]) {
    let (routing, config) = (routing_with(project), ONE_FOR_MANY.to_owned());
    let mut stage = Stage::with(Setup { routing, config, ..Setup::default() }).await;
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let markdown = std::fs::read_to_string(file).unwrap();
        std::fs::copy(file, stage.work().join(name)).unwrap();
        // A channel each, so that Discord's limits for one hold nothing up.
        let question = stage.say(&name.replace(".md", ""), &format!("READ:{name}"));
        assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Answered), "{name}");
        let posted: Vec<String> = stage.parts(question).into_iter().map(|part| part.content).collect();
        let expected: Vec<String> =
            text::parts(&markdown, &format).into_iter().map(|part| part.text).collect();
        assert_eq!(posted, expected, "{name}");
        for part in &posted {
            assert!(part.chars().count() <= DISCORDS_LIMIT, "{name}");
            assert_eq!(part.matches("```").count() % 2, 0, "{name}: {part}");
        }
    }
}

#[tokio::test]
async fn each_fixture_arrives_as_the_splitter_lays_it_out() {
    say_all("", Format::default(), &fixtures()).await;
}

#[tokio::test]
async fn a_project_may_want_markdown_as_it_is_or_lower_messages() {
    let files: Vec<PathBuf> = fixtures()
        .into_iter()
        .filter(|file| file.ends_with("headings.md") || file.ends_with("table-small.md"))
        .collect();
    assert_eq!(files.len(), 2);
    say_all("format = { dialect = false }", Format { dialect: false, ..Format::default() }, &files).await;
    let lines = NonZeroUsize::new(12);
    say_all("format = { max_lines = 12 }", Format { max_lines: lines, ..Format::default() }, &files).await;

    let parts = |format: &Format| {
        let markdown = std::fs::read_to_string(&files[1]).unwrap();
        text::parts(&markdown, format).into_iter().map(|part| part.text).collect::<Vec<_>>()
    };
    let (dialect, plain) =
        (parts(&Format::default()), parts(&Format { dialect: false, ..Format::default() }));
    let low = parts(&Format { max_lines: lines, ..Format::default() });
    assert!(dialect != plain && dialect != low, "these fixtures tell the formats apart");
}
