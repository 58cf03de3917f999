//! Cases of the law of meaning that have a name: what is written, and what a person must see.

use super::{client, look, parts};
use crate::domain::Format;

/// What is seen of all parts.
fn seen(source: &str) -> String {
    let parts = parts(source, &Format::default());
    let shown: Vec<String> = parts.iter().map(|part| look::tagged(&client::shown(&part.text))).collect();
    shown.join("\n").replace('\u{200b}', "")
}

const CASES: &[(&str, &str)] = &[
    ("user_id was renamed to id_ to", "user_id was renamed to id_ to"),
    (
        "Accepts *args and **kwargs, then calls f(*args, **kwargs) and g(*args).",
        "Accepts *args and **kwargs, then calls f(*args, **kwargs) and g(*args).",
    ),
    ("name*, mail*", "name*, mail*"),
    ("an __init__.py file when __name__ is __main__", "an __init__.py file when __name__ is __main__"),
    ("find . -name \"*.md\" -o -name \"*.mdx\"", "find . -name \"*.md\" -o -name \"*.mdx\""),
    ("2**10 or 2**20", "2**10 or 2**20"),
    ("\\**kwargs", "**kwargs"),
    ("if a || b || c then", "if a || b || c then"),
    ("new SQLITE_OPEN_* =>", "new SQLITE_OPEN_* =>"),
    ("from_bits_(truncate)", "from_bits_(truncate)"),
    ("rm *.o and cp src/*.c", "rm *.o and cp src/*.c"),
    ("count(*) … USING(*)", "count(*) … USING(*)"),
    ("C:\\_work\\_temp", "C:\\_work\\_temp"),
    ("^(foo|bar)||baz$", "^(foo|bar)||baz$"),
];

#[test]
fn a_person_sees_what_was_meant() {
    let faults: Vec<String> = CASES
        .iter()
        .filter(|(source, expected)| seen(source) != *expected)
        .map(|(source, expected)| {
            format!("{source}\n  must be seen as  {expected}\n  but is          {}", seen(source))
        })
        .collect();
    println!("{} of {} cases are shown as meant", CASES.len() - faults.len(), CASES.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
