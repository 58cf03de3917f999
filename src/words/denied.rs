//! The notes about tools that Claude was not allowed to use, each with what would allow it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::quoted;
use crate::agent::{Denial, Reason, Remedy};
use crate::domain::ProjectName;
use crate::text;

/// What a note about denied tools has to know of the project.
pub struct ToolRules<'a> {
    pub project: &'a ProjectName,
    /// The directories in which Claude may work, the project's own first, under each name that they have.
    pub dirs: &'a [PathBuf],
    /// Whether paths are those of another place, such as a container, of which nothing is known here.
    pub elsewhere: bool,
    /// Whether it has `disallowed_tools`.
    pub disallows: bool,
}

/// The notes below an answer during which tools were denied: a line for each reason and what would change it, in a fixed
/// order.
pub fn denied(denied: &[Denial], permissions: &ToolRules<'_>) -> String {
    const MOST: usize = 5;
    let mut groups: BTreeMap<Refusal, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for denial in denied {
        let (refusal, suggested) = Refusal::of(denial, permissions);
        let (calls, rules) = groups.entry(refusal).or_default();
        let call = quoted(&shown_call(denial, permissions.dirs));
        if !calls.contains(&call) {
            calls.push(call);
        }
        for rule in suggested {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    let note = |(refusal, (mut calls, rules)): (Refusal, (Vec<String>, Vec<String>))| {
        let it = if calls.len() == 1 { "it" } else { "them" };
        let more = calls.len().saturating_sub(MOST);
        calls.truncate(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let calls = format!("{}{more}", calls.join(", "));
        text::small(&refusal.note(&calls, it, &rules, permissions))
    };
    groups.into_iter().map(note).collect::<Vec<_>>().join("\n")
}

/// Why a call was refused, by what an operator would have to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    /// There is no such rule in `allowed_tools`.
    NoRule,
    /// It is outside the directories of the project.
    Outside,
    /// It needs the mode `acceptEdits`.
    NeedsAcceptEdits,
    /// Nothing allows it, as far as the CLI says.
    Unallowable,
    /// It is not allowed, and the CLI does not say what would allow it.
    Unallowed,
    Rule,
    Hook,
    Script,
    Dangerous,
    Mode,
    Untold,
}

impl Refusal {
    /// With the rules that would have allowed it.
    fn of<'d>(denial: &'d Denial, permissions: &ToolRules<'_>) -> (Self, &'d [String]) {
        let is_inside = |path: &PathBuf| permissions.dirs.iter().any(|dir| path.starts_with(dir));
        let refusal = match denial.reason {
            Reason::Rule => Self::Rule,
            Reason::Hook => Self::Hook,
            Reason::Script => Self::Script,
            Reason::Dangerous => Self::Dangerous,
            Reason::Mode => Self::Mode,
            Reason::Untold => Self::Untold,
            Reason::Unallowed => match (&denial.remedy, &denial.blocked) {
                (Remedy::Directory, _) => Self::Outside,
                (_, Some(_)) if permissions.elsewhere => Self::Unallowed,
                (_, Some(path)) if !is_inside(path) => Self::Outside,
                (Remedy::Rules(rules), _) => return (Self::NoRule, rules),
                (Remedy::AcceptEdits, _) => Self::NeedsAcceptEdits,
                (Remedy::None, _) => Self::Unallowable,
                (Remedy::Untold, _) => Self::Unallowed,
            },
        };
        (refusal, &[])
    }

    fn note(self, calls: &str, it: &str, rules: &[String], permissions: &ToolRules<'_>) -> String {
        let ToolRules { project, disallows, .. } = permissions;
        match self {
            Self::NoRule => format!(
                "Not allowed here: {calls}. To allow {it}, add {} to `projects.{project}.allowed_tools` in \
                 routing.lua",
                shown_rules(rules).unwrap_or_else(|| format!("rules for {it}"))
            ),
            Self::Outside => {
                let its = if it == "it" { "its directory" } else { "their directories" };
                format!(
                    "Outside the project's directory: {calls}. To allow {it}, add {its} to \
                     `projects.{project}.add_dirs` in routing.lua"
                )
            }
            Self::NeedsAcceptEdits => format!(
                "Not allowed here: {calls}. To allow {it}, set `projects.{project}.permission_mode` to \
                 `\"acceptEdits\"` \
                 in routing.lua"
            ),
            Self::Unallowable => {
                format!("Not allowed here, and Claude Code suggests no rule that would allow {it}: {calls}")
            }
            Self::Unallowed => format!(
                "Not allowed here: {calls}. See `allowed_tools` and `add_dirs` of `projects.{project}` in \
                 routing.lua"
            ),
            // The CLI does not tell which of the two it was.
            Self::Rule if *disallows => format!(
                "Forbidden by a rule: {calls}. It is in `projects.{project}.disallowed_tools` in routing.lua, or \
                 in \
                 Claude Code's settings"
            ),
            Self::Rule => format!("Forbidden by a rule in Claude Code's settings: {calls}"),
            Self::Hook => format!("Refused by a hook in Claude Code's settings: {calls}"),
            Self::Script => format!("Refused by a script of this project: {calls}"),
            Self::Dangerous => {
                format!("Not done, because Claude Code asks before this whatever is allowed: {calls}")
            }
            Self::Mode => format!("Not possible in this permission mode: {calls}"),
            Self::Untold => format!("Not allowed here: {calls}"),
        }
    }
}

/// Rules to be copied into routing.lua; `None` where they cannot be shown as they are, or are too many to read.
fn shown_rules(rules: &[String]) -> Option<String> {
    const MOST: usize = 8;
    if rules.is_empty() || rules.len() > MOST {
        return None;
    }
    let shown =
        rules.iter().map(|rule| Some(quoted(rule)).filter(|shown| shown[1..shown.len() - 1] == **rule));
    let mut shown = shown.collect::<Option<Vec<_>>>()?;
    let last = shown.pop()?;
    Some(if shown.is_empty() { last } else { format!("{} and {last}", shown.join(", ")) })
}

/// The call as a rule names it: `Bash(make)`. Of a file outside the project only the name is shown.
fn shown_call(Denial { tool, what, .. }: &Denial, dirs: &[PathBuf]) -> String {
    let Some(what) = what else { return tool.clone() };
    let path = Path::new(what);
    let what = match dirs.iter().find_map(|dir| path.strip_prefix(dir).ok()) {
        // Its command may begin with the path of a program.
        _ if tool == "Bash" => what.into(),
        Some(inside) => inside.to_string_lossy(),
        None if path.is_absolute() => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy(),
        None => what.into(),
    };
    format!("{tool}({what})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(tool: &str, what: Option<&str>, reason: Reason) -> Denial {
        let what = what.map(str::to_owned);
        Denial { tool: tool.to_owned(), what, reason, ..Denial::default() }
    }

    fn notes(denials: &[Denial], elsewhere: bool, disallows: bool) -> String {
        let dirs = [PathBuf::from("/srv/site"), PathBuf::from("/srv/shared")];
        denied(
            denials,
            &ToolRules { project: &ProjectName("site".to_owned()), dirs: &dirs, elsewhere, disallows },
        )
    }

    #[test]
    fn what_was_denied_is_told_with_what_would_change_it() {
        let all = [
            denial("Bash", Some("/usr/bin/make `all`\nnow"), Reason::Unallowed),
            denial("Write", Some("/srv/site/src/a.rs"), Reason::Unallowed),
            denial("Task", None, Reason::Untold),
            denial("Bash", Some("git push"), Reason::Rule),
            denial("Bash", Some("curl x"), Reason::Hook),
            denial("Bash", Some("make deploy"), Reason::Script),
            denial("Bash", Some("rm -rf ~"), Reason::Dangerous),
            denial("Bash", Some("touch x"), Reason::Mode),
        ];
        insta::assert_snapshot!(notes(&all, false, false), @"
        -# Not allowed here: `Bash(/usr/bin/make 'all' now)`, `Write(src/a.rs)`. See `allowed_tools` and `add_dirs` of `projects.site` in routing.lua
        -# Forbidden by a rule in Claude Code's settings: `Bash(git push)`
        -# Refused by a hook in Claude Code's settings: `Bash(curl x)`
        -# Refused by a script of this project: `Bash(make deploy)`
        -# Not done, because Claude Code asks before this whatever is allowed: `Bash(rm -rf ~)`
        -# Not possible in this permission mode: `Bash(touch x)`
        -# Not allowed here: `Task`
        ");
        insta::assert_snapshot!(notes(&all[3..4], false, true), @"-# Forbidden by a rule: `Bash(git push)`. It is in `projects.site.disallowed_tools` in routing.lua, or in Claude Code's settings");
        let many: Vec<_> = (0..9).map(|n| denial("Bash", Some(&n.to_string()), Reason::Untold)).collect();
        insta::assert_snapshot!(notes(&many, false, true), @"-# Not allowed here: `Bash(0)`, `Bash(1)`, `Bash(2)`, `Bash(3)`, `Bash(4)` and 4 more");
    }

    #[test]
    fn what_no_rule_allows_is_told_with_what_to_add() {
        let with = |tool: &str, what: &str, remedy: Remedy, blocked: Option<&str>| {
            let blocked = blocked.map(PathBuf::from);
            Denial { remedy, blocked, ..denial(tool, Some(what), Reason::Unallowed) }
        };
        let rules = |rules: &[&str]| Remedy::Rules(rules.iter().map(|&rule| rule.to_owned()).collect());
        let all = [
            with("Bash", "curl x | make", rules(&["Bash(curl *)", "Bash(make)"]), None),
            with("WebFetch", "https://a.example/b", rules(&["WebFetch(domain:a.example)"]), None),
            with("Bash", "touch b", rules(&["Bash(touch *)"]), Some("/srv/shared/b")),
            with("Read", "/etc/hosts", Remedy::Directory, None),
            // The directory counts, for the rule alone would not help.
            with("Bash", "touch /tmp/x", rules(&["Bash(touch /tmp/x)"]), Some("/tmp/x")),
            with("Write", "/srv/site/a.rs", Remedy::AcceptEdits, None),
            with("Bash", "rm $X", Remedy::None, None),
        ];
        insta::assert_snapshot!(notes(&all, false, false), @"
        -# Not allowed here: `Bash(curl x | make)`, `WebFetch(https://a.example/b)`, `Bash(touch b)`. To allow them, add `Bash(curl *)`, `Bash(make)`, `WebFetch(domain:a.example)` and `Bash(touch *)` to `projects.site.allowed_tools` in routing.lua
        -# Outside the project's directory: `Read(hosts)`, `Bash(touch /tmp/x)`. To allow them, add their directories to `projects.site.add_dirs` in routing.lua
        -# Not allowed here: `Write(a.rs)`. To allow it, set `projects.site.permission_mode` to `\"acceptEdits\"` in routing.lua
        -# Not allowed here, and Claude Code suggests no rule that would allow it: `Bash(rm $X)`
        ");
        // Where paths are a container's, what is inside is unknown.
        insta::assert_snapshot!(notes(&all[4..5], true, false), @"-# Not allowed here: `Bash(touch /tmp/x)`. See `allowed_tools` and `add_dirs` of `projects.site` in routing.lua");
        // A rule that would have to be changed to be shown is of no use.
        let odd = [with("Bash", "echo `date`", rules(&["Bash(echo `date`)"]), None)];
        insta::assert_snapshot!(notes(&odd, false, false), @"-# Not allowed here: `Bash(echo 'date')`. To allow it, add rules for it to `projects.site.allowed_tools` in routing.lua");
    }
}
