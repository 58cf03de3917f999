//! The code blocks of an answer that are long enough to be files.

use std::ops::Range;

/// A block of code between fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongBlock {
    /// All of it in the answer, with its fences, without the line end behind it.
    pub range: Range<usize>,
    /// The code in it, as a file has it.
    pub code: Range<usize>,
    /// How many lines of code there are.
    pub lines: usize,
    /// What a file with it is to end with, without the dot.
    pub ending: &'static str,
}

/// The blocks with more lines of code than this, in order. Only those that begin at the start of a line and are closed: what is
/// within a list or a quote belongs there.
pub fn long_blocks(markdown: &str, over: usize) -> Vec<LongBlock> {
    let mut found = Vec::new();
    let mut open: Option<OpenFence> = None;
    let mut at = 0;
    for line in markdown.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let line = line.trim_end_matches(['\n', '\r']);
        let (mark, run) = fence(line);
        match &mut open {
            Some(fence) if mark == fence.mark && run >= fence.run && line[run..].trim().is_empty() => {
                let code = fence.code..start;
                if fence.lines > over {
                    let range = fence.start..start + line.len();
                    found.push(LongBlock { range, code, lines: fence.lines, ending: fence.ending });
                }
                open = None;
            }
            Some(fence) => fence.lines += 1,
            // What follows backticks must have none, or it is code within a line.
            None if run >= 3 && !(mark == '`' && line[run..].contains('`')) => {
                open =
                    Some(OpenFence { start, code: end, mark, run, lines: 0, ending: ending(&line[run..]) });
            }
            None => {}
        }
    }
    found
}

struct OpenFence {
    start: usize,
    code: usize,
    mark: char,
    run: usize,
    lines: usize,
    ending: &'static str,
}

/// The mark that a line begins with, if it can be one of a fence, and how often it stands there.
fn fence(line: &str) -> (char, usize) {
    match line.chars().next() {
        Some(mark @ ('`' | '~')) => (mark, line.len() - line.trim_start_matches(mark).len()),
        _ => (' ', 0),
    }
}

/// The ending for the language that an info string begins with.
fn ending(info: &str) -> &'static str {
    let word =
        info.trim().split(|c: char| !(c.is_alphanumeric() || "+#-".contains(c))).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "bash" | "sh" | "shell" | "zsh" => "sh",
        "c" | "h" => "c",
        "cpp" | "c++" | "cc" | "cxx" => "cpp",
        "cs" | "c#" | "csharp" => "cs",
        "css" => "css",
        "csv" => "csv",
        "diff" => "diff",
        "dart" => "dart",
        "elixir" | "ex" => "ex",
        "go" | "golang" => "go",
        "html" => "html",
        "haskell" | "hs" => "hs",
        "java" => "java",
        "javascript" | "js" => "js",
        "json" => "json",
        "jsonc" | "json5" => "json5",
        "jsx" => "jsx",
        "kotlin" | "kt" => "kt",
        "latex" | "tex" => "tex",
        "lua" | "luau" => "lua",
        "markdown" | "md" => "md",
        "nix" => "nix",
        "patch" => "patch",
        "perl" | "pl" => "pl",
        "php" => "php",
        "powershell" | "ps1" => "ps1",
        "python" | "py" => "py",
        "r" => "r",
        "ruby" | "rb" => "rb",
        "rust" | "rs" => "rs",
        "scala" => "scala",
        "scss" => "scss",
        "sql" => "sql",
        "svg" => "svg",
        "swift" => "swift",
        "toml" => "toml",
        "tsx" => "tsx",
        "typescript" | "ts" => "ts",
        "vue" => "vue",
        "xml" => "xml",
        "yaml" | "yml" => "yml",
        "zig" => "zig",
        _ => "txt",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(markdown: &str, over: usize) -> Vec<(String, &'static str, usize)> {
        let blocks = long_blocks(markdown, over).into_iter();
        blocks.map(|block| (markdown[block.code].to_owned(), block.ending, block.lines)).collect()
    }

    #[test]
    fn only_long_closed_blocks_at_the_start_of_a_line_are_found() {
        let text = "a\n```rust\n1\n2\n```\nb\n~~~~ Python3\n1\n~~~\n```\n~~~~\n";
        assert_eq!(found(text, 1), [("1\n2\n".to_owned(), "rs", 2), ("1\n~~~\n```\n".to_owned(), "txt", 3)]);
        assert_eq!(found(text, 2).len(), 1);
        for none in [
            "```\n1\n2\n",
            "- a\n  ```\n  1\n  2\n  ```\n",
            "> ```\n> 1\n> 2\n> ```\n",
            "```a`b\n1\n2\n```\n",
            "",
        ] {
            assert_eq!(found(none, 1), [], "{none:?}");
        }
        assert_eq!(found("```C++ title=x\r\na\r\nb\r\n```", 1), [("a\r\nb\r\n".to_owned(), "cpp", 2)]);
    }

    proptest! {
        #[test]
        fn ranges_are_in_order_and_within_the_text(text in "(```|~~~|`|a|é|\n|rust| ){0,40}", over in 0_usize..3) {
            let mut at = 0;
            for LongBlock { range, code, lines, .. } in long_blocks(&text, over) {
                prop_assert!(at <= range.start && range.start < code.start && code.end <= range.end && range.end <= text.len());
                prop_assert_eq!(text[code].lines().count(), lines);
                prop_assert!(text[..range.start].is_empty() || text[..range.start].ends_with('\n'));
                at = range.end;
            }
        }
    }
}
