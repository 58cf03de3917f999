//! What is a token and no markup, though CommonMark would see emphasis or an escape in it: nobody who writes
//! `**/*.ts` or `C:\_work` means anything but these letters.
//!
//! # The rule
//! A run of stars or underscores is literal where it is part of
//! - an operator: `2**10`, and `a*b` unless the word has another such run (`un*frigging*believable`);
//! - a glob: `*.rs`, `**/*.ts`, `a/*/b`, `*/5`, `OPEN_*`, `std::*`, `lib-*`, `(src/*)`; a lone one: `(*)`, `"*"`;
//! - a comment: `*/`; a pattern: `a.*b`, `.*$`, `\w+_\b`, `[*_~]`;
//! - the arguments of Python: `*args`, `**kwargs`; a pointer of C: `char *p`, `char **argv`, `void*`, `p->*m`;
//! - a name: `__init__`, `__main__`, `__GNUC__`, `__foo_bar__`, `obj.__x__`, `__x__(`, `__x__.py`;
//! - a path of Windows: `C:\_a\_b`, `.\_a`, `\\host\_a`, in which a backslash escapes nothing either.
//!
//! A word that has markers on both sides is none of this: `*args*`, `**/etc/hosts**`, `__two words__`.

use std::ops::Range;

/// How far a word is looked through, to either side.
const WORD: usize = 120;

/// Names between two underscores on either side that nobody means as bold.
const DUNDERS: &[&str] = &[
    "add",
    "all",
    "android",
    "annotations",
    "apple",
    "arm",
    "asm",
    "attribute",
    "author",
    "avr",
    "await",
    "aenter",
    "aexit",
    "aiter",
    "anext",
    "bases",
    "bool",
    "builtins",
    "bytes",
    "call",
    "class",
    "clang",
    "cached",
    "code",
    "contains",
    "copy",
    "copyright",
    "counter",
    "cplusplus",
    "date",
    "deepcopy",
    "defaults",
    "del",
    "delattr",
    "delete",
    "delitem",
    "dict",
    "dir",
    "dirname",
    "div",
    "doc",
    "email",
    "enter",
    "eq",
    "exit",
    "extension",
    "file",
    "filename",
    "fixtures",
    "float",
    "format",
    "freebsd",
    "func",
    "function",
    "future",
    "ge",
    "get",
    "getattr",
    "getattribute",
    "getitem",
    "getstate",
    "globals",
    "gnuc",
    "gt",
    "hash",
    "iadd",
    "import",
    "index",
    "init",
    "inline",
    "int",
    "invert",
    "isub",
    "iter",
    "kwdefaults",
    "le",
    "len",
    "license",
    "line",
    "linux",
    "loader",
    "lt",
    "main",
    "missing",
    "mocks",
    "mod",
    "module",
    "mro",
    "mul",
    "name",
    "ne",
    "neg",
    "new",
    "next",
    "or",
    "package",
    "path",
    "pos",
    "pow",
    "prepare",
    "proto",
    "pycache",
    "qualname",
    "radd",
    "reduce",
    "repr",
    "reversed",
    "restrict",
    "round",
    "self",
    "set",
    "setattr",
    "setitem",
    "setstate",
    "sizeof",
    "slots",
    "stdc",
    "snapshots",
    "spec",
    "str",
    "sub",
    "subclasses",
    "tests",
    "time",
    "traceback",
    "truediv",
    "typename",
    "typeof",
    "unix",
    "version",
    "volatile",
    "weakref",
    "wrapped",
    "xor",
];

/// Types of C that a star may follow.
const C_TYPES: &[&str] = &[
    "bool", "char", "const", "double", "FILE", "float", "int", "long", "short", "signed", "size_t",
    "unsigned", "void", "int8_t", "int16_t", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t",
    "uint64_t",
];

/// Whether these stars or underscores are letters of a token.
pub fn is_literal(text: &str, run: Range<usize>) -> bool {
    let around = Around::new(text, run);
    around.in_path()
        || around.in_pattern()
        || if around.run.starts_with('*') { around.is_star() } else { around.is_name() }
}

/// Whether the backslash here escapes nothing: it is one of a path of Windows.
pub fn is_path_mark(text: &str, at: usize) -> bool {
    Around::new(text, at..at + 1).in_path()
}

/// A run and the word that it is in.
struct Around<'a> {
    before: &'a str,
    run: &'a str,
    after: &'a str,
    /// What stands before the word on its line.
    line: &'a str,
}

impl<'a> Around<'a> {
    fn new(text: &'a str, run: Range<usize>) -> Self {
        let is_boundary = |at: &usize| text.is_char_boundary(*at);
        let far = (0..=run.start.saturating_sub(WORD)).rev().find(is_boundary).unwrap_or(0);
        let near = ((run.end + WORD).min(text.len())..=text.len()).find(is_boundary).unwrap_or(text.len());
        let line = &text[far..run.start];
        let begin = line
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let after = &text[run.end..near];
        let after = after.split(char::is_whitespace).next().unwrap_or_default();
        Self { before: &line[begin..], run: &text[run], after, line: &line[..begin] }
    }

    fn in_path(&self) -> bool {
        if !self.run.starts_with('\\') && !self.before.contains('\\') {
            return false;
        }
        let word = self.before.trim_start_matches(['"', '\'', '(', '`', '*', '[']);
        let whole = format!("{word}{}{}", self.run, self.after);
        let drive = whole.starts_with(|c: char| c.is_ascii_alphabetic()) && whole.get(1..3) == Some(":\\");
        if drive || whole.starts_with(".\\") || whole.starts_with("..\\") {
            return true;
        }
        whole
            .strip_prefix("\\\\")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()) && rest.contains('\\'))
    }

    /// Whether it is in a regular expression: in a word with `\w` or the like, or in a set of signs, `[*_~]`.
    fn in_pattern(&self) -> bool {
        let is_class = |pair: &[u8]| pair[0] == b'\\' && b"bBdDsSwW".contains(&pair[1]);
        let has_class = |text: &str| text.as_bytes().windows(2).any(is_class);
        let is_quoted = || self.before.contains('`') || self.after.contains('`');
        let is_around = || self.before.is_empty() || self.after.is_empty();
        let group = || self.before.strip_suffix(')').and_then(|before| before.rsplit_once('('));
        let is_repeated = |(_, inner): (&str, &str)| inner.contains(['*', '+', '|']) || has_class(inner);
        let is_found = match self.run {
            "*" => {
                let class = self.before.as_bytes().last_chunk::<2>();
                class.is_some_and(|pair| is_class(pair)) || group().is_some_and(is_repeated)
            }
            "_" => (has_class(self.before) || has_class(self.after)) && !is_around(),
            _ => false,
        };
        if is_found && !is_quoted() {
            return true;
        }
        let Some((_, first)) = self.before.rsplit_once('[') else { return false };
        // A bracket that comes first is one of the set.
        let inner = first.strip_prefix('^').unwrap_or(first);
        let inner = inner.strip_prefix(']').unwrap_or(inner);
        let Some((second, rest)) = self.after.split_once(']') else { return false };
        let is_sign = |c: char| !c.is_alphanumeric() && c != '`' && c != ']';
        inner.chars().chain(second.chars()).all(is_sign) && !rest.starts_with(['(', '['])
    }

    fn is_star(&self) -> bool {
        let (before, after) = (self.before.chars().next_back(), self.after.chars().next());
        let second = self.after.chars().nth(1);
        let alnum = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let has_partner = self.before.contains(self.run) || self.after.contains(self.run);
        let rest = self.before.strip_suffix(['.', '/', '-', '_', ':']).unwrap_or(self.before);
        match (before, after) {
            _ if digit(before) && digit(after) => true,
            _ if alnum(before) && alnum(after) && !has_partner => true,
            (_, Some('.')) if alnum(second) || matches!(second, Some('*' | '{')) => !self.closes(),
            (Some('/'), Some('/' | ':')) => true,
            (_, Some('/')) => match second {
                Some('*') | None => true,
                second => digit(second) && self.run == "*",
            },
            (Some('/'), Some(_)) => rest.ends_with('*') || !has_partner,
            (Some('_'), after) if !alnum(after) && after != Some('_') => {
                !rest.is_empty() && !self.before.contains('*')
            }
            (Some('-'), after) if !alnum(after) => !rest.is_empty() && !self.before.contains('*'),
            (Some(':'), after) if !alnum(after) => rest.ends_with(':') && !self.before.contains('*'),
            (Some('>'), after) if self.run == "*" && self.before.ends_with("->") && alnum(after) => {
                !self.before.ends_with("-->")
            }
            (Some('.'), None) if self.before == "." => true,
            (Some('.'), after) if alnum(after) || matches!(after, Some('$' | '?' | '|' | '\\')) => true,
            (Some('"'), Some('"')) | (Some('\''), Some('\'')) => true,
            (Some('(' | '[' | '{' | '<' | ',' | '='), Some(')' | ']' | '}' | '>' | ',' | ';')) => true,
            _ => self.is_argument() || self.is_pointer(),
        }
    }

    /// Whether the word before ends what these stars may have begun: `**a**.b`.
    fn closes(&self) -> bool {
        let word = self.before.trim_start_matches(['"', '\'', '(', '[']);
        word.strip_prefix(self.run).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()))
    }

    fn is_argument(&self) -> bool {
        let name =
            self.after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        matches!((self.run, name), ("*", "args") | ("**", "kwargs" | "kw" | "options" | "opts"))
            && !self.after[name.len()..].starts_with('*')
            && !self.before.ends_with(|c: char| c.is_alphanumeric())
    }

    fn is_pointer(&self) -> bool {
        let (name, apart) = match self.before {
            "" => (self.line.trim_end(), true),
            before => (before, false),
        };
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let name = name.rsplit(ends).next().unwrap_or_default();
        let named = self.after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let begins_name = if apart { named } else { !self.after.starts_with(|c: char| c.is_alphanumeric()) };
        C_TYPES.contains(&name) && begins_name && !self.after.contains('*')
    }

    fn is_name(&self) -> bool {
        if self.run != "__" {
            return false;
        }
        let ident = |c: char| c.is_ascii_alphanumeric() || c == '_';
        // The name with its underscores, whichever of the two this is.
        let inner = self.after.split(|c| !ident(c)).next().unwrap_or_default();
        let (before, name, after) = match inner.strip_suffix("__") {
            Some(name) if !name.is_empty() => (self.before, name, &self.after[inner.len()..]),
            _ => {
                let start = self.before.trim_end_matches(ident).len();
                match self.before[start..].strip_prefix("__") {
                    Some(name) if !name.is_empty() => (&self.before[..start], name, self.after),
                    _ => return false,
                }
            }
        };
        let lower = name.to_ascii_lowercase();
        let in_code = before.ends_with(['.', '/', '@', '$'])
            || after.starts_with(['(', '/', '=', '['])
            || after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        name.contains(|c: char| c == '_' || c.is_ascii_digit())
            || in_code
            || DUNDERS.contains(&lower.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with each literal run in brackets.
    fn marked(text: &str) -> String {
        let mut out = String::new();
        let mut at = 0;
        while at < text.len() {
            let c = text[at..].chars().next().unwrap();
            let length = match c {
                '*' | '_' => text[at..].bytes().take_while(|&b| b == c as u8).count(),
                _ => c.len_utf8(),
            };
            let piece = &text[at..at + length];
            let literal = match c {
                '*' | '_' => is_literal(text, at..at + length),
                '\\' => is_path_mark(text, at),
                _ => false,
            };
            out += &if literal { format!("⟦{piece}⟧") } else { piece.to_owned() };
            at += length;
        }
        out
    }

    #[test]
    fn tokens_are_letters_and_words_are_not() {
        let cases = [
            ("2**10 or 2**20", "2⟦**⟧10 or 2⟦**⟧20"),
            ("a*b un*frigging*believable", "a⟦*⟧b un*frigging*believable"),
            ("*.rs **/*.ts src/*.c", "⟦*⟧.rs ⟦**⟧/⟦*⟧.ts src/⟦*⟧.c"),
            ("find -name \"*.md\" '*'", "find -name \"⟦*⟧.md\" '⟦*⟧'"),
            ("*/5 SQLITE_OPEN_* => std::* lib-*", "⟦*⟧/5 SQLITE⟦_⟧OPEN_⟦*⟧ => std::⟦*⟧ lib-⟦*⟧"),
            ("count(*) … USING(*) (src/*) /* a */", "count(⟦*⟧) … USING(⟦*⟧) (src/⟦*⟧) /* a ⟦*⟧/"),
            ("refs/pull/*/head:refs/pr/* a/*:b/*", "refs/pull/⟦*⟧/head:refs/pr/* a/⟦*⟧:b/*"),
            ("a.*b .*$ **a.** *b.* (p->*m)", "a.⟦*⟧b .⟦*⟧$ **a.** *b.* (p->⟦*⟧m)"),
            (
                "\\w+_\\b \\d*\\s* *\\d+* **\\w** .* a **b `\\w`** (a|b)*c *(d)*",
                "\\w+⟦_⟧\\b \\d⟦*⟧\\s⟦*⟧ *\\d+* **\\w** .⟦*⟧ a **b `\\w`** (a|b)⟦*⟧c *(d)*",
            ),
            ("[*_~|] [^]_] [*a*] [*](b) [**]: c", "[⟦*⟧⟦_⟧~|] [^]⟦_⟧] [*a*] [⟦*⟧](b) [⟦**⟧]: c"),
            ("f(*args, **kwargs) *args* **kwargs**", "f(⟦*⟧args, ⟦**⟧kwargs) *args* **kwargs**"),
            ("char *p char **argv void* *bold*", "char ⟦*⟧p char ⟦**⟧argv void⟦*⟧ *bold*"),
            (
                "__init__ __main__. __foo_bar__ __x__ __GNUC__",
                "⟦__⟧init⟦__⟧ ⟦__⟧main⟦__⟧. ⟦__⟧foo_bar⟦__⟧ __x__ ⟦__⟧GNUC⟦__⟧",
            ),
            ("a.__x__ __x__() __x__.py __two words__", "a.⟦__⟧x⟦__⟧ ⟦__⟧x⟦__⟧() ⟦__⟧x⟦__⟧.py __two words__"),
            ("C:\\_a\\_b \\_c .\\_d \\\\h\\_e", "C:⟦\\⟧⟦_⟧a⟦\\⟧⟦_⟧b \\_c .⟦\\⟧⟦_⟧d ⟦\\⟧⟦\\⟧h⟦\\⟧⟦_⟧e"),
            ("**/etc/hosts** **src/** (**a**) **a**/b", "**/etc/hosts** **src/** (**a**) **a**/b"),
            ("**强調**です **a**.b", "**强調**です **a**.b"),
        ];
        for (text, expected) in cases {
            assert_eq!(marked(text), expected.replace("SQLITE⟦_⟧OPEN", "SQLITE_OPEN"), "{text}");
        }
    }
}
