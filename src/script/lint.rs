//! Names in the code of scripts that lead nowhere: misspelt variables, and what Lua has elsewhere but scripts do not.
//!
//! Luau's own linter is not part of the library that mlua builds, and its bytecode changes with each version. So this reads
//! words, and knows nothing of scopes: a name is wrong only where no line of the file gives it a meaning, as a variable,
//! a parameter or a key. It misses some; but what it finds, no scope can make right.

mod fields;

use std::collections::{BTreeMap, BTreeSet};

pub use fields::CalledFunction;

use super::problem::{ScriptProblem, Severity};
use crate::nearest::{misspelt, nearest};

/// The names that each script finds when it starts, and those in each of their tables.
pub type Globals = BTreeMap<String, BTreeSet<String>>;

/// What other Luas have, and why it is not here.
const ABSENT: [(&str, &str); 22] = [
    ("io", "scripts have no files"),
    ("dofile", "scripts have no files; `require \"lib/names\"` runs a file of the script folder"),
    ("loadfile", "scripts have no files; `require \"lib/names\"` runs a file of the script folder"),
    ("package", "scripts have no packages; `require \"lib/names\"` runs a file of the script folder"),
    ("os.execute", "scripts start no programs"),
    ("os.getenv", "scripts have no environment variables"),
    ("os.remove", "scripts have no files"),
    ("os.rename", "scripts have no files"),
    ("os.tmpname", "scripts have no files"),
    ("os.exit", "scripts cannot end the bot"),
    ("os.setlocale", "scripts have no locale"),
    ("load", "scripts compile no text"),
    ("loadstring", "scripts compile no text"),
    ("coroutine", "scripts have no coroutines"),
    ("collectgarbage", "scripts have no say in collecting garbage"),
    ("getfenv", "scripts cannot change where names are looked up"),
    ("setfenv", "scripts cannot change where names are looked up"),
    ("now", "it is `moonlane.now`"),
    ("regex", "it is `moonlane.regex`"),
    ("json", "it is `moonlane.json`"),
    ("log", "it is `moonlane.log`"),
    ("time", "it is `moonlane.time`"),
];

/// Former keys, and what to write now.
const MOVED: [(&str, &str); 5] = [
    ("channel_id", "channel.id"),
    ("channel_name", "channel.name"),
    ("parent_channel_id", "channel.parent_id"),
    ("user_id", "user.id"),
    ("user_name", "user.name"),
];

/// What there is in place of a key that was there once. A message and a turn have an author; a command has a user.
pub fn moved(key: &str, has_author: bool) -> Option<String> {
    let (_, now) = MOVED.iter().find(|(old, _)| *old == key)?;
    Some(if has_author { now.replace("user.", "author.") } else { (*now).to_owned() })
}

const KEYWORDS: [&str; 22] = [
    "and", "break", "continue", "do", "else", "elseif", "end", "false", "for", "function", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Whether other Luas have this, and scripts do not.
pub fn is_absent(path: &str) -> bool {
    ABSENT.iter().any(|(absent, _)| *absent == path)
}

/// Why a name such as `io` or `os.execute` is not there; `known` are those that are there in its place.
pub fn not_there<'a>(path: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some((_, why)) = ABSENT.iter().find(|(absent, _)| *absent == path) {
        return format!("there is no `{path}`: {why}");
    }
    match path.rsplit_once('.') {
        Some((table, name)) => match nearest(name, known) {
            Some(near) => format!("there is no `{path}`, did you mean `{table}.{near}`?"),
            None => format!("there is no `{path}`"),
        },
        None => match misspelt(path, known) {
            Some(near) => format!("there is no `{path}`, did you mean `{near}`?"),
            None => format!("there is no `{path}`"),
        },
    }
}

/// What is wrong with the names in these files, given by how errors name them.
pub fn lint(
    files: &BTreeMap<String, String>,
    globals: &Globals,
    called: &[CalledFunction],
) -> Vec<ScriptProblem> {
    let words: Vec<_> = files.iter().map(|(file, source)| (file, words(source))).collect();
    // A file may set a global for others.
    let assigned: BTreeSet<&str> = words.iter().flat_map(|(_, words)| set_globals(words)).collect();
    let mut problems = Vec::new();
    for (file, words) in &words {
        let mut bound: BTreeSet<&str> = bound(words);
        bound.extend(&assigned);
        let mut told = BTreeSet::new();
        for (place, word) in words.iter().enumerate() {
            let Some((path, known)) = unknown(words, place, &bound, globals) else { continue };
            if !told.insert(path.clone()) {
                continue;
            }
            // What is far from all that is known may be in a type, which this does not read.
            let name = path.rsplit('.').next().unwrap_or(&path);
            let sure =
                is_absent(&path) || path.contains('.') || misspelt(name, known.iter().copied()).is_some();
            problems.push(ScriptProblem {
                file: (*file).clone(),
                line: u32::try_from(word.line).ok(),
                path: None,
                message: not_there(&path, known.iter().copied()),
                severity: if sure { Severity::Error } else { Severity::Warning },
            });
        }
        problems.extend(fields::unknown_fields(file, words, called));
    }
    problems
}

/// The path that leads nowhere from this word, and what is there in its place.
fn unknown<'a>(
    words: &[Word<'a>],
    place: usize,
    bound: &BTreeSet<&'a str>,
    globals: &'a Globals,
) -> Option<(String, Vec<&'a str>)> {
    let text = |place: usize| words.get(place).map_or("", |word| word.text);
    let name = text(place);
    let before = if place == 0 { "" } else { text(place - 1) };
    let is_key = text(place + 1) == "=";
    let of_something = [".", ":", "::", "->", "@"].contains(&before);
    if !is_name(name) || is_key || of_something || bound.contains(name) {
        return None;
    }
    let Some(members) = globals.get(name) else {
        return Some((
            name.to_owned(),
            globals.keys().map(String::as_str).chain(bound.iter().copied()).collect(),
        ));
    };
    let member = text(place + 2);
    let looks_up = text(place + 1) == "." && is_name(member) && !members.is_empty();
    (looks_up && !members.contains(member))
        .then(|| (format!("{name}.{member}"), members.iter().map(String::as_str).collect()))
}

/// The names that a file gives a meaning anywhere, and more: keys of tables.
fn bound<'a>(words: &[Word<'a>]) -> BTreeSet<&'a str> {
    let mut bound = declared(words);
    bound.insert("self");
    bound.extend(set_globals(words));
    bound
}

/// The names of local variables and parameters, and the types beside them.
fn declared<'a>(words: &[Word<'a>]) -> BTreeSet<&'a str> {
    let mut declared = BTreeSet::new();
    let mut place = 0;
    while let Some(word) = words.get(place) {
        let from = &words[place + 1..];
        let until = |ends: &[&str]| from.iter().take_while(|it| !ends.contains(&it.text)).count();
        let names = match word.text {
            "local" => {
                let on_its_line = from.iter().take_while(|it| it.line == word.line).count();
                &from[..until(&["=", ";"]).min(on_its_line.max(1))]
            }
            "for" => &from[..until(&["=", "in", "do"])],
            "function" => &from[..until(&[")"])],
            _ => &from[..0],
        };
        declared.extend(names.iter().map(|it| it.text).filter(|name| is_name(name)));
        place += 1;
    }
    declared
}

/// The names that stand before `=`, be they variables or keys, or are functions.
fn set_globals<'a>(words: &[Word<'a>]) -> impl Iterator<Item = &'a str> {
    let set =
        words.windows(2).filter(|pair| pair[1].text == "=" && is_name(pair[0].text)).map(|pair| pair[0].text);
    let functions = words.windows(2).filter(|pair| pair[0].text == "function" && is_name(pair[1].text));
    set.chain(functions.map(|pair| pair[1].text)).collect::<Vec<_>>().into_iter()
}

fn is_name(word: &str) -> bool {
    let first = word.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && !KEYWORDS.contains(&word)
}

/// A name, a keyword or a sign; a text or a number is there as its first character. A backquoted text is `{` where an
/// expression begins in it, and a backquote at its end.
struct Word<'a> {
    text: &'a str,
    line: usize,
}

fn words(source: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = source;
    let mut line = 1;
    // How many braces are open in each backquoted text that is open.
    let mut inside: Vec<usize> = Vec::new();
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '-' if rest.starts_with("--") => 2 + comment(&rest[2..]),
            '[' if long_bracket(rest).is_some() => {
                words.push(Word { text: "\"", line });
                long_bracket(rest).unwrap_or(1)
            }
            '"' | '\'' => {
                words.push(Word { text: &rest[..1], line });
                1 + quoted(&rest[1..], c)
            }
            '`' => {
                let length = 1 + backquoted(&rest[1..], &mut inside);
                words.push(Word { text: &rest[length - 1..length], line });
                length
            }
            '{' if !inside.is_empty() => {
                *inside.last_mut().unwrap_or(&mut 0) += 1;
                1
            }
            '}' if inside.last() == Some(&0) => {
                inside.pop();
                let length = 1 + backquoted(&rest[1..], &mut inside);
                words.push(Word { text: &rest[length - 1..length], line });
                length
            }
            '}' if !inside.is_empty() => {
                *inside.last_mut().unwrap_or(&mut 1) -= 1;
                1
            }
            c if c.is_ascii_digit() => {
                words.push(Word { text: &rest[..1], line });
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len())
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                words.push(Word { text: &rest[..end], line });
                end
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                let signs = ["...", "..", "::", "->", "==", "~=", "<=", ">="];
                let sign =
                    signs.iter().find(|sign| rest.starts_with(**sign)).map_or(c.len_utf8(), |it| it.len());
                words.push(Word { text: &rest[..sign], line });
                sign
            }
        };
        let (read, behind) = rest.split_at(length.min(rest.len()));
        line += read.matches('\n').count();
        rest = behind;
    }
    words
}

/// How long a comment is behind its dashes.
fn comment(rest: &str) -> usize {
    long_bracket(rest).unwrap_or_else(|| rest.find('\n').unwrap_or(rest.len()))
}

/// How long a text in `[[ ]]`, `[=[ ]=]` and so on is, where one begins here.
fn long_bracket(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    inner[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    Some(rest.find(&end).map_or(rest.len(), |at| at + end.len()))
}

/// How long the rest of a text in quotes is, with its end.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote || c == '\n' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// How long the rest of a backquoted text is, up to its end or into the next expression.
fn backquoted(rest: &str, inside: &mut Vec<usize>) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => {
                inside.push(0);
                return at + 1;
            }
            '`' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals() -> Globals {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        [
            ("print".to_owned(), names(&[])),
            ("require".to_owned(), names(&[])),
            ("tostring".to_owned(), names(&[])),
            ("string".to_owned(), names(&["format", "find"])),
            ("moonlane".to_owned(), names(&["now", "json"])),
            ("os".to_owned(), names(&["time", "date"])),
        ]
        .into()
    }

    fn told(source: &str) -> String {
        let files = BTreeMap::from([("x.lua".to_owned(), source.to_owned())]);
        lint(&files, &globals(), &[]).iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn what_leads_nowhere_is_found() {
        let wrong = r#"
local function route(message)
  local text = mesage.text        -- of a parameter
  prnt(text)                      -- of a global
  io.open "/etc/passwd"
  os.execute("true")
  string.formt("%s", text)
  return `{text} {txet} {moonlane.nwo()}`
end
return { route = route, x = somewhere_else }
"#;
        insta::assert_snapshot!(told(wrong), @"
        x.lua:3: there is no `mesage`, did you mean `message`?
        x.lua:4: there is no `prnt`, did you mean `print`?
        x.lua:5: there is no `io`: scripts have no files
        x.lua:6: there is no `os.execute`: scripts start no programs
        x.lua:7: there is no `string.formt`, did you mean `string.format`?
        x.lua:8: there is no `txet`, did you mean `text`?
        x.lua:8: there is no `moonlane.nwo`
        x.lua:10: warning: there is no `somewhere_else`
        ");
    }

    #[test]
    fn what_may_be_right_is_left() {
        let right = r#"
--[==[ nothing ]] of this
counts ]==] -- nor this: foo.bar()
local a, b: string = 1, [[ foo "bar" ]]
local c = "foo \" bar" .. 'foo' .. a.foo:bar(b) .. 0xFFp2 .. 1e5
function helper(first, ...: number) return first, ... end
for key, value in { foo = 1, [c] = 2, "x" } do print(key, value :: any) end
for i = 1, 10 do if i == 5 then continue end print(i) end
local object = {}
function object.method(self) return self end
function object:other(x) return self.foo, x, helper(1) end
answer = 42
print(answer, `{ { foo = `{a}` }.foo } bar \{foo}`, @native function(z) return z end)
repeat local done = tostring(a) until done
return { run = function(ctx, args) ctx.foo(args) end, os.time() }
"#;
        assert_eq!(told(right), "");
    }
}
