//! How fast a text becomes parts: `cargo bench --bench text`, or, with another size than 1 MB,
//! `cargo bench --bench text -- 100000`.
//!
//! Prints MB/s on a mixed document (the fixtures, over and over) beside the `text-splitter` crate, whether ten times as
//! much takes ten times as long, and MB/s on inputs that make a careless splitter quadratic, each at an eighth of the
//! size and at the whole: where the second is far below the first, it is.
#![allow(clippy::unwrap_used, reason = "a bench says by panicking that something is wrong")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use moonlane::domain::Format;
use moonlane::text::{LIMIT, parts};
use text_splitter::MarkdownSplitter;

const RUNS: usize = 5;

/// What a pathological input may take at an eighth of the size to be tried at the whole.
const PATIENCE: Duration = Duration::from_secs(4);

const DIALECT: Format = Format { dialect: true, max_lines: None };
const PLAIN: Format = Format { dialect: false, max_lines: None };

fn main() {
    // Cargo gives an argument too.
    let size = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    mixed(size);
    pathological(size);
}

/// Its name, what it splits, and how.
type Contender<'a> = (&'a str, &'a str, &'a dyn Fn(&str));

fn mixed(size: usize) {
    let (document, long) = (document(size), document(10 * size));
    let ours = |markdown: &str, format: Format| {
        black_box(parts(markdown, &format));
    };
    let theirs = |markdown: &str| {
        black_box(MarkdownSplitter::new(LIMIT).chunks(markdown).count());
    };
    let contenders: [Contender<'_>; 5] = [
        ("dialect", &document, &|markdown| ours(markdown, DIALECT)),
        ("plain", &document, &|markdown| ours(markdown, PLAIN)),
        ("text-splitter", &document, &theirs),
        ("dialect, 10 ×", &long, &|markdown| ours(markdown, DIALECT)),
        ("plain, 10 ×", &long, &|markdown| ours(markdown, PLAIN)),
    ];
    // In turns, so that a busy moment of the machine hits them all.
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..RUNS {
        for (times, (_, markdown, split)) in times.iter_mut().zip(contenders) {
            times.push(time(|| split(markdown)));
        }
    }
    let mut speeds = Vec::new();
    println!("{:<28} {:>10} {:>10}   median of {RUNS} runs", "mixed document", "bytes", "MB/s");
    for (mut times, (name, markdown, _)) in times.into_iter().zip(contenders) {
        times.sort();
        speeds.push(speed(markdown.len(), times[RUNS / 2]));
        println!("{name:<28} {:>10} {:>10.1}", markdown.len(), speeds[speeds.len() - 1]);
    }
    println!(
        "dialect ÷ text-splitter: {:.2}, plain ÷ text-splitter: {:.2}",
        speeds[0] / speeds[2],
        speeds[1] / speeds[2]
    );
    println!(
        "10 × ÷ 1 × (linear: 1): dialect {:.2}, plain {:.2}",
        speeds[3] / speeds[0],
        speeds[4] / speeds[1]
    );
}

fn pathological(size: usize) {
    println!("\n{:<28} {:>10} {:>10}   MB/s", "pathological", size / 8, size);
    for (name, make) in inputs() {
        let small = make(size / 8);
        let first = time(|| drop(black_box(parts(&small, &DIALECT))));
        print!("{name:<28} {:>10.1}", speed(small.len(), first));
        if first > PATIENCE {
            println!(" {:>10}", "-");
            continue;
        }
        let large = make(size);
        let second = speed(large.len(), time(|| drop(black_box(parts(&large, &DIALECT)))));
        let verdict = if second < speed(small.len(), first) / 3.0 { "   NOT LINEAR" } else { "" };
        println!(" {second:>10.1}{verdict}");
    }
}

/// The fixtures, one after the other, until there is enough.
fn document(size: usize) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let fixtures: Vec<String> =
        files.iter().map(|file| std::fs::read_to_string(file).unwrap() + "\n\n").collect();
    let mut document = String::with_capacity(size + fixtures.iter().map(String::len).sum::<usize>());
    for fixture in fixtures.iter().cycle() {
        if document.len() >= size {
            break;
        }
        document += fixture;
    }
    document
}

type Input = (&'static str, fn(usize) -> String);

/// Names, and what makes so many bytes of each.
fn inputs() -> [Input; 32] {
    fn of(unit: &str, size: usize) -> String {
        unit.repeat(size.div_ceil(unit.len()))
    }
    macro_rules! repeated {
        ($unit:literal) => {
            (stringify!($unit), |size| of($unit, size))
        };
    }
    [
        repeated!("["),
        repeated!("*"),
        repeated!("`"),
        repeated!("]("),
        repeated!("<!--"),
        repeated!("|"),
        repeated!("> "),
        repeated!("a"),
        repeated!("\n"),
        repeated!("- "),
        repeated!("<"),
        repeated!("[a]("),
        repeated!("![a]("),
        repeated!("**a "),
        repeated!("*a **b ~~c __d ||e "),
        repeated!("||"),
        repeated!("\\"),
        repeated!(" "),
        repeated!("https://a"),
        repeated!("e\u{301}"),
        repeated!("👩\u{200d}"),
        repeated!("```\n"),
        repeated!("```"),
        repeated!("> ```\n"),
        repeated!("- ```\n"),
        repeated!("# a\n"),
        repeated!("|a|\n|-|\n"),
        repeated!("<details>\n"),
        repeated!("[^1]: a\n"),
        ("code spans, ever longer", |size| {
            let spans = (1..).scan(0, |sum, n: usize| {
                *sum += n + 1;
                (*sum < size).then(|| format!("{}a", "`".repeat(n)))
            });
            spans.collect()
        }),
        ("a list, ever deeper", |size| {
            let items = (0..).scan(0, |sum, n: usize| {
                *sum += 2 * n + 4;
                (*sum < size).then(|| format!("{}- a\n", "  ".repeat(n)))
            });
            items.collect()
        }),
        ("a table, ever wider", |size| {
            let rows = (1..).scan(0, |sum, n: usize| {
                *sum += 2 * n + 2;
                (*sum < size).then(|| format!("|{}\n", "a|".repeat(n)))
            });
            format!("|a|b|\n|-|-|\n{}", rows.collect::<String>())
        }),
    ]
}

fn time(what: impl FnOnce()) -> Duration {
    let began = Instant::now();
    what();
    began.elapsed()
}

/// Megabytes a second.
fn speed(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}
