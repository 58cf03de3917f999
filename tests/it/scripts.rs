//! Scripts that fail while the bot runs, and the command line that says what is wrong before it does.

use std::path::Path;
use std::process::{Output, Stdio};

use moonlane::local::{LocalDiscord, Options, Say};
use moonlane::turn::Settled;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{ANSWERED, MOONLANE, Setup, Stage, within};

/// Lua that goes wrong in each way that there is.
const WRONGS: [(&str, &str); 4] = [
    ("error", "error('/srv/secret: boom')"),
    ("nonsense", "return { promt = 'x', reply = 3 }"),
    ("endless loop", "while true do pcall(string.find, string.rep('a', 1000), '.-.-.-b') end"),
    ("memory hog", "local hog = {} while true do hog[#hog + 1] = string.rep('x', 1e6) .. #hog end"),
];

/// So little memory that even a busy machine fills it before the time is up.
const LITTLE_MEMORY: &str = "[scripts]\nmemory_limit = \"4MiB\"\n";

/// A stage on which a message with the word "bad" goes wrong in the trigger.
async fn with_trigger(wrong: &str) -> Stage {
    let mut setup = Setup {
        triggers: format!(
            "return function(m)
                if m.text:find('bad') then {wrong} end
                return m.mentions_me and m.text or nil
            end"
        ),
        config: LITTLE_MEMORY.to_owned(),
        ..Setup::default()
    };
    setup.discord.message_content = true;
    Stage::with(setup).await
}

/// A stage on which a message with the word "bad" goes wrong in `route`.
async fn with_route(wrong: &str) -> Stage {
    let routing = format!(
        r#"return {{
            projects = {{ here = {{ dir = "WORK" }} }},
            route = function(m)
                if m.text:find('bad') then {wrong} end
                return "here"
            end,
        }}"#
    );
    Stage::with(Setup { routing, config: LITTLE_MEMORY.to_owned(), ..Setup::default() }).await
}

/// Something goes wrong for one message, while others talk.
async fn goes_wrong(stage: &mut Stage, what: &str) -> String {
    let channel = stage.discord.channel("general");
    let (owner, stranger) = (stage.discord.owner(), stage.discord.user("stranger"));
    let elsewhere = stage.say("elsewhere", "SLEEP:0.2 ;; TEXT:elsewhere");
    let bad = stage.say("general", "bad");
    let also_elsewhere = stage.say("elsewhere", "TEXT:also elsewhere");
    let by_stranger = stage.say_as("stranger", "general", "bad");
    let silent = [by_stranger]
        .into_iter()
        .chain([owner, stranger].map(|person| stage.discord.say(Say::new(channel, person, "bad weather"))));
    let silent: Vec<_> = silent.collect();
    let next = stage.say("general", "TEXT:next");

    for (message, answer) in [(elsewhere, "elsewhere"), (also_elsewhere, "also elsewhere"), (next, "next")] {
        assert_eq!(stage.settled(message).await, ANSWERED, "{what}");
        assert_eq!(stage.answer(message), answer, "{what}");
    }
    for message in silent {
        assert_eq!(stage.settled(message).await, Settled::Ignored, "{what}");
        assert!(stage.parts(message).is_empty(), "{what}");
    }
    assert_eq!(stage.settled(bad).await, Settled::Said, "{what}");
    stage.answer(bad)
}

#[tokio::test]
async fn a_trigger_that_goes_wrong_costs_its_message_and_is_one_sentence() {
    let mut said = String::new();
    for (what, wrong) in WRONGS {
        let mut stage = with_trigger(wrong).await;
        said.push_str(&format!("{what}:\n{}\n", goes_wrong(&mut stage, what).await));
    }
    insta::assert_snapshot!(said, @"
    error:
    ⚠️ The script that decides which messages are for me failed. Please tell whoever runs this bot; the log shows why.
    -# id ID
    nonsense:
    ⚠️ The script that decides which messages are for me failed. Please tell whoever runs this bot; the log shows why.
    -# id ID
    endless loop:
    ⚠️ The script that decides which messages are for me took too long. Please tell whoever runs this bot; the log shows where.
    -# id ID
    memory hog:
    ⚠️ The script that decides which messages are for me failed. Please tell whoever runs this bot; the log shows why.
    -# id ID
    ");
}

#[tokio::test]
async fn a_route_that_goes_wrong_costs_its_message_and_is_one_sentence() {
    let mut said = String::new();
    for (what, wrong) in WRONGS {
        let mut stage = with_route(wrong).await;
        said.push_str(&format!("{what}:\n{}\n", goes_wrong(&mut stage, what).await));
    }
    insta::assert_snapshot!(said, @"
    error:
    ⚠️ The script that decides where your message goes failed. Please tell whoever runs this bot; the log shows why.
    -# id ID
    nonsense:
    ⚠️ The script that decides where your message goes failed. Please tell whoever runs this bot; the log shows why.
    -# id ID
    endless loop:
    ⚠️ The script that decides where your message goes took too long. Please tell whoever runs this bot; the log shows where.
    -# id ID
    memory hog:
    ⚠️ The script that decides where your message goes failed. Please tell whoever runs this bot; the log shows why.
    -# id ID
    ");
}

#[tokio::test]
async fn an_edit_that_makes_a_script_fail_leaves_the_first_text() {
    let mut stage = with_route("error('boom')").await;
    let bot = stage.discord.bot_id();
    let first = stage.say("general", "SLEEP:0.3 ;; TEXT:first");
    let edited = stage.say("general", "TEXT:as it was");
    stage.reacted(edited, "⏳").await;
    stage.discord.edit(edited, &format!("<@{bot}> bad"));
    assert_eq!(stage.settled(first).await, ANSWERED);
    assert_eq!(stage.settled(edited).await, ANSWERED);
    assert_eq!(stage.answer(edited), "as it was");
}

/// A folder with scripts that work, and these files in place of them; an empty one is left out.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("work")).unwrap();
    let works = [
        ("config/moonlane.toml", ""),
        (
            "scripts/routing.lua",
            r#"return { projects = { here = { dir = "work" } }, route = function() return "here" end }"#,
        ),
        ("scripts/triggers.lua", "return { mention = true }"),
    ];
    for (file, text) in works.iter().chain(files) {
        let path = root.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.is_empty() {
            true => drop(std::fs::remove_file(path)),
            false => std::fs::write(path, text).unwrap(),
        }
    }
    root
}

/// moonlane with these arguments, in a bare environment.
fn moonlane(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(MOONLANE);
    command.arg("--root").arg(root).args(arguments).env_clear().env("HOME", root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What it printed and how it ended, as a person sees it.
fn shown(root: &Path, output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap().replace(root.to_str().unwrap(), "ROOT");
    // Whether the tests run as root is not their subject.
    let text: String =
        text.lines().filter(|line| !line.contains("runs as root")).map(|line| format!("{line}\n")).collect();
    format!("{text}exit {}", output.status.code().map_or("by a signal".to_owned(), |code| code.to_string()))
}

/// What it says with these files and arguments, and how it ends.
pub async fn runs(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let root = root(files);
    let output = within("its end", moonlane(root.path(), arguments).output()).await.unwrap();
    shown(root.path(), &output)
}

#[tokio::test]
async fn check_lists_every_problem_and_its_code_says_whether_there_is_one() {
    let check = async |files: &[(&str, &str)]| runs(files, &["check"]).await;
    insta::assert_snapshot!(check(&[]).await, @"
    configuration and scripts are fine
    exit 0
    ");
    insta::assert_snapshot!(check(&[("config/moonlane.toml", "[agent\ncommand = 1")]).await, @"
    config/moonlane.toml:1: unclosed table, expected `]`
    exit 2
    ");
    insta::assert_snapshot!(check(&[("config/moonlane.toml", "[limits]\nsilense = '1m'")]).await, @"
    config/moonlane.toml: limits.silense: unknown key `silense`, did you mean `silence`?
    exit 2
    ");
    insta::assert_snapshot!(check(&[("scripts/routing.lua", ""), ("scripts/triggers.lua", "")]).await, @"
    scripts/routing.lua: does not exist
    scripts/triggers.lua: does not exist
    exit 2
    ");
    insta::assert_snapshot!(check(&[("scripts/triggers.lua", "return {\n  mention = true\n  prefixes = {}\n}")]).await, @"
    scripts/triggers.lua:3: Expected ',' after table constructor element
    exit 2
    ");
    let keys = r#"return {
        alow = {},
        projects = { site = { dirr = "x" }, blog = { dir = "work", permission_mode = "acceptEdit" }, gone = { dir = "gone" } },
        channels = { ["12"] = "sit", [13] = "blog" },
    }"#;
    let triggers = "return { mention = true, patterns = { '(' } }";
    insta::assert_snapshot!(check(&[("scripts/routing.lua", keys), ("scripts/triggers.lua", triggers)]).await, @r#"
    scripts/routing.lua: alow: unknown key `alow`, did you mean `allow`?
    scripts/routing.lua: projects.blog.permission_mode: unknown value `acceptEdit`, did you mean `acceptEdits`?
    scripts/routing.lua: projects.site.dirr: unknown key `dirr`, did you mean `dir`?
    scripts/routing.lua: channels: a key is a number; write ["123"] = "name": ids are strings in quotes, because a number cannot hold all their digits
    scripts/routing.lua: channels["12"]: there is no project "sit", did you mean "site"?
    scripts/routing.lua: projects.gone.dir: ROOT/gone does not exist
    scripts/triggers.lua: patterns[1]: not a regular expression: unclosed group
    exit 2
    "#);
    let gone = r#"return { projects = { site = { dir = "gone" } }, channels = { ["12"] = "site" } }"#;
    insta::assert_snapshot!(check(&[("scripts/routing.lua", gone)]).await, @"
    scripts/routing.lua: projects.site.dir: ROOT/gone does not exist
    exit 2
    ");
    insta::assert_snapshot!(check(&[("scripts/routing.lua", "while true do end")]).await, @"
    scripts/routing.lua:1: ran longer than 100ms (`scripts.time_limit`)
    exit 2
    ");

    let root = root(&[]);
    std::fs::remove_dir_all(root.path().join("scripts")).unwrap();
    let output = moonlane(root.path(), &["check"]).output().await.unwrap();
    insta::assert_snapshot!(shown(root.path(), &output), @"
    scripts: the script folder does not exist; correct `--root` or `scripts.dir`
    exit 2
    ");
}

#[tokio::test]
async fn run_says_what_is_missing_and_ends_with_the_code_for_it() {
    insta::assert_snapshot!(runs(&[], &["run"]).await, @"
    moonlane: environment variable DISCORD_TOKEN: not set; put the bot's token there, or name a file in `discord.token_file`
    exit 2
    ");
    insta::assert_snapshot!(runs(&[("config/moonlane.toml", "[discord]\ntoken_file = '/nowhere/token'")], &["run"]).await, @"
    moonlane: config/moonlane.toml: discord.token_file: cannot read /nowhere/token: No such file or directory (os error 2)
    exit 2
    ");
    insta::assert_snapshot!(runs(&[("token", "x"), ("config/moonlane.toml", "[discord]\ntoken_file = 'token'\n[log]\nlevel = 'lots, of=nonsense=x'")], &["run"]).await, @r#"
    moonlane: config/moonlane.toml: log.level: `lots` is no level; valid are `error`, `warn`, `info`, `debug`, `trace`, `off`
    exit 2
    "#);
    assert!(runs(&[], &["rum"]).await.ends_with("exit 2"), "bad usage");
    assert!(runs(&[], &["--version"]).await.ends_with("exit 0"));

    let local = LocalDiscord::start(Options::default()).await.unwrap();
    let bot = async |root: &Path, token: &str| {
        let mut command = moonlane(root, &["run"]);
        command.env("DISCORD_TOKEN", token).env("MOONLANE_DISCORD__API_URL", local.url());
        shown(root, &within("its end", command.output()).await.unwrap())
    };
    let bad_scripts =
        root(&[("scripts/routing.lua", "return {\n  projects = {\n"), ("scripts/triggers.lua", "return 1")]);
    insta::assert_snapshot!(bot(bad_scripts.path(), local.token()).await, @"
    scripts/routing.lua:3: Expected identifier when parsing expression, got <eof>
    scripts/triggers.lua: must end with `return { mention = true }` or return a function; it returned the number 1
    exit 2
    ");
    let other_token = root(&[]);
    insta::assert_snapshot!(bot(other_token.path(), "not.the.token").await, @"
    moonlane: Discord refused the token: copy the current one from the Developer Portal (your application → Bot → Reset Token)
    exit 1
    ");
}

#[tokio::test]
async fn a_missing_project_directory_is_a_warning_to_run() {
    let local = LocalDiscord::start(Options::default()).await.unwrap();
    let gone = r#"return { projects = { site = { dir = "gone" } }, channels = { ["12"] = "site" } }"#;
    let root = root(&[("scripts/routing.lua", gone)]);
    let mut command = moonlane(root.path(), &["run"]);
    command.env("DISCORD_TOKEN", local.token()).env("MOONLANE_DISCORD__API_URL", local.url());
    let bot = command.spawn().unwrap();
    within("the bot", local.connected()).await;
    let pid = Pid::from_raw(bot.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let output = within("its end", bot.wait_with_output()).await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let log = String::from_utf8(output.stderr).unwrap();
    let warning = log.lines().find(|line| line.contains("WARN") && !line.contains("runs as root")).unwrap();
    let warning = warning.split_once("WARN ").unwrap().1.replace(root.path().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(warning, @"moonlane::reload: scripts/routing.lua: warning: projects.site.dir: ROOT/gone does not exist");
}

/// The playground with these lines on its standard input.
async fn playground(input: &str) -> String {
    let root = root(&[]);
    let mut child = moonlane(root.path(), &["playground"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    shown(root.path(), &within("its end", child.wait_with_output()).await.unwrap())
}

#[tokio::test]
async fn the_playground_answers_what_is_piped_in_and_its_code_says_whether_a_turn_failed() {
    insta::assert_snapshot!(playground("hello").await, @"
    moonlane playground. A scripted demo agent answers: no account, no cost (--agent claude asks the real one).
    @owner: hello
    · moonlane is typing in #general
    ── moonlane in #general ───────────────────────────────────────── 370 ──
    Hello! I am the **demo agent**: no model, no account, no cost. This is turn 1 of this session, and you said:
    > hello

    Ask me for `code`, a `table` or something `long` to see how answers arrive, or say `work` to see a turn at work, `compact` to see room made, `limit` to see a usage limit reached, or `permission`, `plan`, `question` or `questions` to be asked something.
    exit 0
    ");
    insta::assert_snapshot!(playground("").await, @"
    moonlane playground. A scripted demo agent answers: no account, no cost (--agent claude asks the real one).
    exit 0
    ");
    let shown = playground("\n  \n#idea\nTEXT:in another channel\n@anna\nTEXT:not let in\n").await;
    for line in [
        "@owner: TEXT:in another channel",
        "── moonlane in #idea ───────────────────────────────────────────── 18 ──\nin another channel",
        "@anna: TEXT:not let in",
        "· no answer: not meant for the bot, or @anna has no access",
        "exit 0",
    ] {
        assert!(shown.contains(line), "{line} is not in:\n{shown}");
    }
    assert!(!shown.contains("@owner: \n") && !shown.contains("#general"), "{shown}");
    let shown = playground("LONG:20000\n").await;
    let file = "\n-# The rest would take 4 more messages: the full text is in `answer.md`\n[file answer.md, 20 KB]\nexit 0";
    assert!(shown.ends_with(file), "{shown}");
    for failing in ["ERR:500", "CRASH"] {
        let shown = playground(&format!("{failing}\nTEXT:after it\n")).await;
        assert!(
            shown.contains("⚠️") && shown.contains("\nafter it\n") && shown.ends_with("exit 1"),
            "{shown}"
        );
    }
}
