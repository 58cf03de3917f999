//! Secrets that stand in no script: `env_from`.

use std::path::Path;

use crate::scripts::runs;
use crate::separate::{Process, bot_on};
use crate::support::{MOONLANE, Setup, Stage, write_program};

const KEY: &str = "correct-horse-battery-staple";
const ROTATED: &str = "tr0ub4dor-and-three-more-words";
const OF_THE_BOT: &str = "hunter2-hunter2-hunter2";

/// Every project gets a secret from a file and one from the bot's environment.
const ROUTING: &str = r#"return {
    projects = { here = {
        dir = "WORK",
        env_from = { API_KEY = "file:WORK/../api-key", DEPLOY = "env:DEPLOY_PHRASE" },
    } },
    route = function() return "here" end,
}"#;

/// An agent that writes down its secrets and what its guard was started with, and then answers as usual.
const TAKER: &str = r#"#!/bin/sh
printf '%s %s' "$API_KEY" "$DEPLOY" > got
tr '\0' '\n' < /proc/$PPID/cmdline > guard
exec PROGRAM demo-agent "$@"
"#;

async fn stage() -> Stage {
    let setup = Setup { agent: vec!["./taker".to_owned()], routing: ROUTING.to_owned(), ..Setup::default() };
    let stage = Stage::without_bot(setup).await;
    write_program(&stage.root().join("taker"), &TAKER.replace("PROGRAM", MOONLANE));
    stage
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn an_agent_gets_its_secrets_as_they_are_now_and_nobody_else_reads_them() {
    let stage = stage().await;
    let (file, work) = (stage.root().join("api-key"), stage.work());
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let mut bot = bot_on(&stage);
    let bot = Process::ready(bot.env("DEPLOY_PHRASE", OF_THE_BOT).env("MOONLANE_LOG__LEVEL", "trace")).await;
    let ask = async |prompt: &str| {
        let question = stage.say("general", prompt);
        stage.parts_posted(question, 1).await;
        stage.answer(question)
    };

    assert_eq!(ask("ENV:API_KEY").await, "[redacted]");
    assert_eq!(ask("ENV:DEPLOY").await, "[redacted]");
    assert_eq!(read(&work.join("got")), format!("{KEY} {OF_THE_BOT}"));
    assert!(read(&work.join("guard")).contains("agent-guard"), "{}", read(&work.join("guard")));

    // The next turn has what the file holds by then.
    std::fs::write(&file, ROTATED).unwrap();
    assert_eq!(ask("ENV:API_KEY").await, "[redacted]");
    assert_eq!(read(&work.join("got")), format!("{ROTATED} {OF_THE_BOT}"));
    assert_eq!(ask(&format!("TEXT:it was {KEY}")).await, "it was [redacted]");

    std::fs::remove_file(&file).unwrap();
    insta::assert_snapshot!(ask("TEXT:anybody there?").await, @"
    ⚠️ I can't read this project's secret `API_KEY`. Whoever runs this bot has to check `env_from` in routing.lua; the log says why.
    -# id ID
    ");
    std::fs::write(&file, KEY).unwrap();
    assert_eq!(ask("TEXT:again").await, "again");

    let log = bot.said();
    for secret in [KEY, ROTATED, OF_THE_BOT] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!read(&work.join("guard")).contains(secret), "{secret} is in the guard's arguments");
    }
    bot.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_secrets_place_is_one_sentence_each_and_shows_no_secret() {
    let routing = r#"return {
        projects = {
            site = { dir = "work", env = { TWICE = "x" }, env_from = {
                PLAIN = "correct-horse-battery-staple",
                URL = "https://user:correct-horse@example.com",
                NOWHERE = "env:",
                ["A=B"] = "env:PATH",
                TWICE = "env:PATH",
                TOKEN = "env:DISCORD_TOKEN",
                OURS = "env:MOONLANE_LOG__LEVEL",
                STORE = "file:config/../moonlane.db",
                OTHERS = "file:~root/key",
            } },
        },
        channels = { ["1"] = "site" },
    }"#;
    let files = [("scripts/routing.lua", routing)];
    insta::assert_snapshot!(runs(&files, &["check"]).await, @r#"
    scripts/routing.lua: projects.site.env_from["A=B"]: is not a valid name for an environment variable
    scripts/routing.lua: projects.site.env_from.NOWHERE: expected "env:NAME" (a variable of the bot's own environment) or "file:/run/secrets/name"
    scripts/routing.lua: projects.site.env_from.OTHERS: only `~/…` is supported; write another user's directory in full
    scripts/routing.lua: projects.site.env_from.OURS: MOONLANE_LOG__LEVEL is the bot's own, and no agent gets it
    scripts/routing.lua: projects.site.env_from.PLAIN: expected "env:NAME" (a variable of the bot's own environment) or "file:/run/secrets/name"
    scripts/routing.lua: projects.site.env_from.STORE: ROOT/config/../moonlane.db is the database, and no agent gets it
    scripts/routing.lua: projects.site.env_from.TOKEN: DISCORD_TOKEN is the bot's own, and no agent gets it
    scripts/routing.lua: projects.site.env_from.TWICE: stands in `env`, too; take it out of one of them
    scripts/routing.lua: projects.site.env_from.URL: expected "env:NAME" (a variable of the bot's own environment) or "file:/run/secrets/name"
    exit 2
    "#);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_a_warning_for_its_project_may_do_without_until_it_works() {
    let routing = r#"return {
        projects = { site = { dir = "work", env_from = {
            UNSET = "env:NO_SUCH_VARIABLE",
            MISSING = "file:missing",
            FOLDER = "file:config",
            EMPTY = "file:empty",
        } } },
        channels = { ["1"] = "site" },
    }"#;
    let files = [("scripts/routing.lua", routing), ("empty", "\n")];
    insta::assert_snapshot!(runs(&files, &["check"]).await, @r#"
    scripts/routing.lua: projects.site.env_from.EMPTY: ROOT/empty is empty
    scripts/routing.lua: projects.site.env_from.FOLDER: ROOT/config is not a file
    scripts/routing.lua: projects.site.env_from.MISSING: ROOT/missing cannot be read: No such file or directory (os error 2)
    scripts/routing.lua: projects.site.env_from.UNSET: the variable NO_SUCH_VARIABLE is not set
    exit 2
    "#);
}

#[tokio::test]
async fn a_file_in_whose_place_an_agent_could_put_another_is_refused() {
    let routing = r#"return {
        projects = {
            site = { dir = "work", env_from = { OWN = "file:work/key", ANOTHERS = "file:shared/key", FINE = "file:key" } },
            blog = { dir = "blog", add_dirs = { "shared" } },
        },
        channels = { ["1"] = "site" },
    }"#;
    let others = [("work/key", "x"), ("shared/key", "x"), ("blog/post", "x"), ("key", "x")];
    let files = [&[("scripts/routing.lua", routing)], &others[..]].concat();
    insta::assert_snapshot!(runs(&files, &["check"]).await, @r#"
    scripts/routing.lua: projects.site.env_from.ANOTHERS: Claude could put something else in the place of ROOT/shared/key from ROOT/shared; choose a file outside of every project's `dir` and `add_dirs`
    scripts/routing.lua: projects.site.env_from.OWN: Claude could put something else in the place of ROOT/work/key from ROOT/work; choose a file outside of every project's `dir` and `add_dirs`
    exit 2
    "#);
}
