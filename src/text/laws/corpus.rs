//! The laws over a folder of real documents: `MOONLANE_CORPUS=DIR cargo test --lib corpus -- --nocapture`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::{LIMIT, Part, units};
use super::fixtures::FOLDER;
use super::{check, parts};
use crate::domain::Format;

/// The most messages allowed, as a multiple of the least possible number.
const RATIO: f64 = 1.12;
/// How many faults are printed.
const SHOWN: usize = 20;

/// The fewest messages that can hold what was posted, in parts of exactly [`LIMIT`] units: without what is at the inner ends of
/// the parts only because of a cut (closed and reopened fences, repeated headers and markers), and without the white space
/// that was dropped there. It is a lower bound for anybody who posts the same text; keeping words, lines and blocks whole may
/// take more.
fn least(parts: &[Part]) -> usize {
    let own = |(number, part): (usize, &Part)| {
        let mut start = 0;
        let mut end = part.text.len();
        if number > 0 {
            for added in &part.added {
                start = if added.start == start { added.end } else { break };
            }
        }
        if number + 1 < parts.len() {
            for added in part.added.iter().rev() {
                end = if added.end == end { added.start } else { break };
            }
        }
        units(part.text.get(start..end).unwrap_or_default())
    };
    let all: usize = parts.iter().enumerate().map(own).sum();
    all.div_ceil(LIMIT).max(usize::from(!parts.is_empty()))
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // Links could form a cycle.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => documents(&path, found),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|ending| ending == "md") => {
                found.push(path)
            }
            _ => {}
        }
    }
}

#[test]
fn the_corpus_keeps_the_laws_in_few_messages() {
    let folder = std::env::var_os("MOONLANE_CORPUS").map(PathBuf::from).unwrap_or_else(|| {
        println!("MOONLANE_CORPUS names no folder: the real documents are skipped, and the fixtures take their place");
        FOLDER.into()
    });
    let mut paths = Vec::new();
    documents(&folder, &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        String::from_utf8(std::fs::read(path).unwrap()).ok().map(|text| (path.clone(), text))
    };
    let texts: Vec<(PathBuf, String)> = paths.iter().filter_map(read).collect();
    assert!(!texts.is_empty(), "no *.md below {}", folder.display());
    println!("{} documents, {} more are not UTF-8", texts.len(), paths.len() - texts.len());

    let mut good = true;
    for dialect in [true, false] {
        let format = Format { dialect, ..Format::default() };
        let start = Instant::now();
        let (mut faulty, mut used, mut possible) = (0, 0, 0);
        for (path, text) in &texts {
            // A panic is a fault, too, and must not hide the others.
            let outcome = std::panic::catch_unwind(|| {
                let parts = parts(text, &format);
                (check(text, &format), parts.len(), least(&parts))
            });
            let (result, count, minimum) = outcome.unwrap_or((Err("panic".to_owned()), 0, 0));
            used += count;
            possible += minimum;
            if let Err(fault) = result {
                faulty += 1;
                if faulty <= SHOWN {
                    println!("{}: {fault}\n", path.strip_prefix(&folder).unwrap_or(path).display());
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of messages are small")]
        let ratio = used as f64 / f64::max(possible as f64, 1.0);
        println!(
            "dialect {dialect}: {faulty} of {} documents have a fault; {used} messages, least possible {possible}: \
             {ratio:.3} times; {:.1} s",
            texts.len(),
            start.elapsed().as_secs_f64()
        );
        good &= faulty == 0 && ratio <= RATIO;
    }
    assert!(good, "a fault, or more than {RATIO} times the least possible number of messages");
}

/// Each document is shown as it is meant.
#[test]
fn the_corpus_is_shown_as_it_is_meant() {
    let folder = std::env::var_os("MOONLANE_CORPUS").map(PathBuf::from).unwrap_or_else(|| FOLDER.into());
    let mut paths = Vec::new();
    documents(&folder, &mut paths);
    paths.sort();
    let (mut good, mut all) = (0, 0);
    let mut faulty = Vec::new();
    for path in paths {
        let Ok(text) = String::from_utf8(std::fs::read(&path).unwrap()) else { continue };
        all += 1;
        match super::meaning::check(&text, &parts(&text, &Format::default())) {
            Ok(()) => good += 1,
            Err(fault) => {
                let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
                println!("{name}: {fault}\n");
                faulty.push(name);
            }
        }
    }
    println!("{good} of {all} documents are shown as meant");
    assert!(faulty.is_empty(), "not shown as they are meant: {faulty:?}");
}
