//! Scripts that are edited while the bot runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use moonlane::local::{Id, What};
use moonlane::reload::ReloadState;
use moonlane::turn::Settled;
use rustix::process::Signal;

use crate::busy::Stopwatch;
use crate::separate::{Process, bot_on};
use crate::support::{ANSWERED, ONE_FOR_MANY, Setup, Stage, routing_with, within};

/// Waits until the reloader's state is like this.
async fn until(stage: &Stage, what: &str, is: impl FnMut(&ReloadState) -> bool) -> ReloadState {
    let mut state = stage.reloader().state();
    within(what, state.wait_for(is)).await.unwrap().clone()
}

/// Waits until as many sets as this were tried.
async fn tried(stage: &Stage, tried: u64) -> ReloadState {
    until(stage, &format!("set {tried} to be tried"), |state| state.tried >= tried).await
}

/// The problems as they are logged.
fn listing(stage: &Stage, state: &ReloadState) -> String {
    let lines: Vec<_> = state.problems.iter().map(ToString::to_string).collect();
    lines.join("\n").replace(stage.root().to_str().unwrap(), "ROOT")
}

/// Routing that answers every message with this.
fn replying(reply: &str) -> String {
    format!(
        r#"return {{ projects = {{ here = {{ dir = "WORK" }} }}, route = function() return {{ reply = "{reply}" }} end }}"#
    )
}

/// Routing with a project whose directory is missing, by whose name the warning tells which save is live.
fn marked(mark: &str) -> String {
    format!(
        r#"return {{ projects = {{ here = {{ dir = "WORK" }}, {mark} = {{ dir = "gone" }} }}, route = function() return "here" end }}"#
    )
}

/// Waits until what was [`marked`] so is live, and says in which generation.
async fn generation_of(stage: &Stage, mark: &str) -> u64 {
    let path = format!("projects.{mark}.dir");
    let is_live = |state: &ReloadState| state.problems.iter().any(|it| it.path.as_deref() == Some(&path));
    until(stage, mark, is_live).await.generation
}

#[tokio::test]
async fn a_saved_route_counts_for_the_next_message_and_turns_under_way_end_on_theirs() {
    let mut stage = Stage::open().await;
    let running = stage.say("general", "SLEEP:0.5 ;; TEXT:running");
    let waiting = stage.say("general", "TEXT:waiting");
    stage.reacted(waiting, "⏳").await;
    stage.save("routing.lua", &replying("from the new set"));
    tried(&stage, 2).await;
    assert_eq!(stage.reloader().generation(), 2);
    let next = stage.say("general", "hello");
    assert_eq!(stage.settled(next).await, Settled::Said);
    assert_eq!(stage.answer(next), "from the new set");
    for (message, answer) in [(running, "running"), (waiting, "waiting")] {
        assert_eq!(stage.settled(message).await, ANSWERED);
        assert_eq!(stage.answer(message), answer);
    }
}

/// A mark, and a way to save what is [`marked`] so.
type Way<'a> = (&'a str, &'a dyn Fn(&str));

#[tokio::test]
async fn each_way_of_saving_makes_one_reload() {
    let stage = Stage::open().await;
    let scripts = stage.root().join("scripts");
    let text = |mark: &str| marked(mark).replace("WORK", stage.work().to_str().unwrap());
    let at = |name: &str| scripts.join(name);
    let write = |name: &str, text: &str| {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), text).unwrap();
    };
    let requiring = "local lib = require 'lib/names'\nreturn lib";
    let ways: [Way<'_>; 12] = [
        ("in_place", &|mark| write("routing.lua", &text(mark))),
        ("piece_by_piece", &|mark| {
            use std::io::Write;
            let mut file = fs::File::create(at("routing.lua")).unwrap();
            for piece in text(mark).as_bytes().chunks(10) {
                file.write_all(piece).unwrap();
                file.sync_data().unwrap();
            }
        }),
        ("renamed_over", &|mark| {
            write(".routing.lua.tmp", &text(mark));
            fs::rename(at(".routing.lua.tmp"), at("routing.lua")).unwrap();
        }),
        ("backup_and_rewrite", &|mark| {
            write("4913", "");
            fs::remove_file(at("4913")).unwrap();
            fs::rename(at("routing.lua"), at("routing.lua~")).unwrap();
            write("routing.lua", &text(mark));
            fs::remove_file(at("routing.lua~")).unwrap();
        }),
        ("lock_and_backup", &|mark| {
            std::os::unix::fs::symlink("me@host:1", at(".#routing.lua")).unwrap();
            fs::rename(at("routing.lua"), at("routing.lua~")).unwrap();
            write("routing.lua", &text(mark));
            fs::remove_file(at(".#routing.lua")).unwrap();
        }),
        ("removed_and_put_back", &|mark| {
            fs::remove_file(at("routing.lua")).unwrap();
            write("routing.lua", &text(mark));
        }),
        ("several_in_a_new_folder", &|mark| {
            write("lib/names.lua", &text(mark));
            write("routing.lua", requiring);
            write("triggers.lua", "return { mention = true }");
        }),
        ("one_below", &|mark| write("lib/names.lua", &text(mark))),
        ("another_folder_below", &|mark| {
            // The system tells of the folders only.
            let (fresh, old) = (stage.root().join("fresh_lib"), stage.root().join("old_lib"));
            fs::create_dir(&fresh).unwrap();
            fs::write(fresh.join("names.lua"), text(mark)).unwrap();
            fs::rename(at("lib"), &old).unwrap();
            fs::rename(&fresh, at("lib")).unwrap();
        }),
        ("below_that", &|mark| write("lib/names.lua", &text(mark))),
        ("the_whole_folder", &|mark| {
            let (fresh, old) = (stage.root().join("fresh"), stage.root().join("old"));
            fs::create_dir(&fresh).unwrap();
            fs::write(fresh.join("routing.lua"), text(mark)).unwrap();
            fs::write(fresh.join("triggers.lua"), "return { mention = true }").unwrap();
            fs::rename(&scripts, &old).unwrap();
            fs::rename(&fresh, &scripts).unwrap();
        }),
        ("in_that_folder", &|mark| write("routing.lua", &text(mark))),
    ];
    for (number, (mark, save)) in ways.into_iter().enumerate() {
        save(mark);
        // One too many would show with the next.
        assert_eq!(generation_of(&stage, mark).await, number as u64 + 2, "{mark}");
    }
}

#[tokio::test]
async fn what_is_no_script_and_what_only_reads_reloads_nothing() {
    let stage = Stage::open().await;
    let scripts = stage.root().join("scripts");
    for (mark, generation) in [("first", 2), ("second", 3)] {
        for name in ["README.md", "routing.lua~", ".#routing.lua", "routing.lua.bak"] {
            fs::write(scripts.join(name), "return nonsense(").unwrap();
            fs::remove_file(scripts.join(name)).unwrap();
        }
        fs::create_dir(scripts.join(mark)).unwrap();
        for _ in 0..10 {
            fs::read(scripts.join("routing.lua")).unwrap();
        }
        // Nothing tells that nothing comes of it. If this is too short, both count as one change, and no harm is done.
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.save("routing.lua", &marked(mark));
        assert_eq!(generation_of(&stage, mark).await, generation);
    }
}

#[tokio::test]
async fn a_set_that_is_half_saved_is_nothing_to_talk_about() {
    let stage = Stage::open().await;
    let routing = stage.root().join("scripts/routing.lua");
    for attempt in 1.. {
        let before = stage.reloader().state().borrow().clone();
        fs::remove_file(&routing).unwrap();
        let removed = Instant::now();
        // Long enough to be loaded without it.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mark = format!("attempt_{attempt}");
        stage.save("routing.lua", &marked(&mark));
        let in_time = removed.elapsed() < Duration::from_millis(300);
        let generation = generation_of(&stage, &mark).await;
        // On a busy machine it may have been put back too late.
        if in_time {
            assert_eq!(generation, before.generation + 1);
            assert_eq!(tried(&stage, before.tried + 1).await.tried, before.tried + 1, "no failure was told");
            return;
        }
    }
}

/// How long the reloader waits for another save.
const QUIET: Duration = Duration::from_millis(100);

#[tokio::test]
async fn fifty_saves_within_a_second_make_at_most_three_generations() {
    let stage = Stage::open().await;
    let begun = Instant::now();
    let mut every = tokio::time::interval(Duration::from_millis(20));
    // Where a busy machine lets no save come for so long, it is right that what was saved is loaded.
    let (mut pauses, mut last) = (0, Instant::now());
    for number in 1..=50 {
        every.tick().await;
        stage.save("routing.lua", &marked(&format!("save_{number}")));
        pauses += u64::from(last.elapsed() > QUIET / 2);
        last = Instant::now();
    }
    let took = begun.elapsed();
    let made = generation_of(&stage, "save_50").await - 1;
    println!("50 saves within {took:.2?}, with {pauses} pauses: {made} generations");
    // On a busy machine they take longer than a second.
    assert!(made <= 1 + pauses + took.as_millis() as u64 / 500, "{made} in {took:?}, {pauses} pauses");
    let tried = stage.reloader().state().borrow().tried;
    assert!(tried <= 2 + pauses + took.as_millis() as u64 / 500, "{tried} in {took:?}, {pauses} pauses");
}

#[tokio::test]
async fn a_hundred_saves_while_fifty_channels_are_busy_are_live_at_once_and_disturb_nothing() {
    let mut stage =
        Stage::with(Setup { config: format!("{ONE_FOR_MANY}[agent]\nmax_running = 8"), ..Setup::default() })
            .await;
    let routing = |number: u32| {
        routing_with("").replace(
            "return \"here\"",
            &format!("if m.channel.name == 'probe' then return {{ reply = '{number}' }} end return \"here\""),
        )
    };
    let routing = |number| routing(number).replace("function()", "function(m)");
    let mut said: Vec<(Id, String)> = Vec::new();
    let say_to_all = |stage: &Stage, said: &mut Vec<(Id, String)>, round: u32| {
        for channel in 0..50 {
            let answer = format!("c{channel} {round}");
            said.push((stage.say(&format!("c{channel}"), &format!("SLEEP:0.2 ;; TEXT:{answer}")), answer));
        }
    };
    let (all, mut took) = (Stopwatch::start(), Vec::new());
    for number in 1..=100 {
        if number % 10 == 1 {
            say_to_all(&stage, &mut said, number);
        }
        stage.save("routing.lua", &routing(number));
        let saved = Instant::now();
        tried(&stage, u64::from(number) + 1).await;
        took.push(saved.elapsed());
        let probe = stage.say("probe", "hello");
        stage.settled(probe).await;
        assert_eq!(stage.answer(probe), number.to_string());
    }
    assert_eq!(stage.reloader().generation(), 101);
    for (message, answer) in said {
        assert_eq!(stage.settled(message).await, ANSWERED);
        assert_eq!(stage.answer(message), answer);
    }
    took.sort();
    println!("save to live while 50 channels are busy: median {:.1?}, p99 {:.1?}", took[50], took[98]);
    assert!(all.allows(took[50], Duration::from_millis(250)), "{took:?}, {all:?}");
    assert!(all.allows(took[98], Duration::from_millis(1000)), "{took:?}, {all:?}");
}

#[tokio::test]
async fn a_set_that_fails_leaves_the_live_one_and_says_where_and_why() {
    let little = "[scripts]\nmemory_limit = \"4MiB\"\n".to_owned();
    let mut stage = Stage::with(Setup { config: little, ..Setup::default() }).await;
    let wrongs = [
        (
            "syntax error",
            "return {\n  projects = {\n    site = { dir = '.' }\n    blog = { dir = '.' },\n  },\n}",
        ),
        ("runtime error", "local ids = nil\n\nreturn { channels = ids.general }"),
        ("raised", "local lib = require 'lib/channels'\nreturn {}"),
        ("endless loop", "local n = 0\nwhile true do n = n + 1 end"),
        (
            "endless loop, caught",
            "while true do\n  pcall(string.find, string.rep('a', 1000), '.-.-.-b')\nend",
        ),
        ("memory hog", "local hog = {}\nwhile true do\n  hog[#hog + 1] = string.rep('x', 1e5) .. #hog\nend"),
        ("wrong key", "return { projects = { site = { dirr = '.' } } }"),
        (
            "wrong type",
            "return { projects = { site = { dir = '.', max_turns = 'many' } }, channels = { [12] = 'site' } }",
        ),
        ("nothing returned", ""),
    ];
    let mut told = String::new();
    for (number, (what, wrong)) in wrongs.into_iter().enumerate() {
        stage.save("routing.lua", wrong);
        let state = tried(&stage, number as u64 + 2).await;
        assert_eq!(state.generation, 1, "{what}");
        told.push_str(&format!("── {what}\n{}\n\n", listing(&stage, &state)));
        assert_eq!(stage.ask("general", &format!("TEXT:{what}")).await, what);
    }
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/scripts"),
        prepend_module_to_snapshot => false,
    }, { insta::assert_snapshot!("reload_failures", told); });
    stage.save("routing.lua", &routing_with(""));
    until(&stage, "a good set", |state| state.generation == 2 && state.problems.is_empty()).await;
}

#[tokio::test]
async fn reloading_by_hand_gives_the_generation_or_every_problem() {
    let stage = Stage::open().await;
    let reloader = stage.reloader().clone();
    assert_eq!(within("a reload", reloader.reload_now()).await, Ok(2), "changed or not");
    stage.save("routing.lua", "return {");
    let problems = within("a reload", reloader.reload_now()).await.unwrap_err();
    assert_eq!((problems.len(), reloader.generation()), (1, 2));
    assert_eq!(reloader.problems(), problems);
    stage.save("routing.lua", &marked("good"));
    let (one, other) =
        within("two at once", async { tokio::join!(reloader.reload_now(), reloader.reload_now()) }).await;
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert_eq!(reloader.problems().len(), 1, "a warning");
}

#[tokio::test]
async fn a_folder_that_is_gone_is_told_and_loaded_again_once_it_is_back() {
    let stage = Stage::open().await;
    let (scripts, aside) = (stage.root().join("scripts"), stage.root().join("aside"));
    let copy = |from: &Path, to: &Path| {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    copy(&scripts, &aside);
    for (round, generation) in [1, 2].into_iter().enumerate() {
        fs::remove_dir_all(&scripts).unwrap();
        let gone = until(&stage, "the folder to be missed", |state| {
            state.problems.iter().any(|it| it.message.contains("is gone"))
        });
        let gone = gone.await;
        assert_eq!(
            listing(&stage, &gone),
            "scripts: the script folder is gone; put it back and it will be loaded again"
        );
        assert_eq!(gone.generation, generation, "round {round}");
        copy(&aside, &scripts);
        until(&stage, "the folder's return", |state| state.generation > generation).await;
    }
    // It is watched as before; and so is what a link leads to, and what it leads to then.
    stage.save("routing.lua", &marked("back"));
    let back = generation_of(&stage, "back").await;
    for name in ["one", "two"] {
        let folder = stage.root().join(name);
        copy(&aside, &folder);
        fs::write(folder.join("routing.lua"), marked(name).replace("WORK", stage.work().to_str().unwrap()))
            .unwrap();
    }
    fs::rename(&scripts, stage.root().join("old")).unwrap();
    std::os::unix::fs::symlink("one", &scripts).unwrap();
    assert_eq!(generation_of(&stage, "one").await, back + 1);
    std::os::unix::fs::symlink("two", stage.root().join("link")).unwrap();
    fs::rename(stage.root().join("link"), &scripts).unwrap();
    assert_eq!(generation_of(&stage, "two").await, back + 2);
    stage.save("routing.lua", &marked("through_the_link"));
    assert_eq!(generation_of(&stage, "through_the_link").await, back + 3);
}

#[tokio::test]
async fn the_notify_channel_hears_of_each_error_once_and_of_the_end_once() {
    let config = "[scripts]\nnotify_channel = \"OPS\"\n".to_owned();
    let setup = Setup { config, routing: marked("first"), ..Setup::default() };
    let mut stage = Stage::without_bot(setup).await;
    let ops = stage.discord.channel("ops");
    let file = stage.root().join("config/moonlane.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("OPS", &ops.to_string())).unwrap();
    stage.start().await;

    let (one, other) = ("return {\n  projects = {", "error('on purpose')");
    for (number, script) in [one, one, other, one, other].into_iter().enumerate() {
        stage.save("routing.lua", script);
        tried(&stage, number as u64 + 2).await;
    }
    for (generation, mark) in [(2, "good"), (3, "better")] {
        stage.save("routing.lua", &marked(mark));
        assert_eq!(generation_of(&stage, mark).await, generation);
    }
    // An error after the trouble is news again; and it is the last, so that nothing may come between.
    stage.save("routing.lua", one);
    tried(&stage, 8).await;
    let posted = stage.discord.wait_for(|log| {
        let posts = log.iter().filter_map(|event| match &event.what {
            What::Posted(message) if message.channel == ops => Some(message.content.clone()),
            _ => None,
        });
        let posts: Vec<_> = posts.collect();
        (posts.len() >= 4).then_some(posts)
    });
    insta::assert_snapshot!(within("four posts", posted).await.join("\n\n"), @"
    ⚠️ The scripts were not reloaded; generation 1 stays live.
    ```
    scripts/routing.lua:2: Expected identifier when parsing expression, got <eof>
    ```

    ⚠️ The scripts were not reloaded; generation 1 stays live.
    ```
    scripts/routing.lua:1: on purpose
    ```

    ✅ reloaded, generation 2

    ⚠️ The scripts were not reloaded; generation 3 stays live.
    ```
    scripts/routing.lua:2: Expected identifier when parsing expression, got <eof>
    ```
    ");
}

#[tokio::test]
async fn the_notify_channel_hears_of_scripts_that_fail_in_use_and_of_a_restart_that_is_needed() {
    let config = "[scripts]\nnotify_channel = \"OPS\"\n".to_owned();
    let failing = "return { projects = { here = { dir = \"WORK\" } }, route = function(message)\n  error('no such project')\nend }".to_owned();
    let mut stage = Stage::without_bot(Setup { config, routing: failing, ..Setup::default() }).await;
    let here = "return { projects = { here = { dir = \"work\" } }, route = function() return \"here\" end }";
    let ops = stage.discord.channel("ops");
    let file = stage.root().join("config/moonlane.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("OPS", &ops.to_string())).unwrap();
    stage.start().await;

    // The line is told once, however often it fails.
    for text in ["one", "two"] {
        stage.ask("general", text).await;
    }
    let hooks = "return { after_answer = function(text) error('no tickets') end }";
    fs::write(stage.root().join("scripts/hooks.lua"), hooks).unwrap();
    stage.save("routing.lua", here);
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    for text in ["TEXT:three", "TEXT:four"] {
        stage.ask("general", text).await;
    }
    stage.save("triggers.lua", "return { mention = true, prefixes = { '!' } }");
    let posted = stage.discord.wait_for(|log| {
        let posts = log.iter().filter_map(|event| match &event.what {
            What::Posted(message) if message.channel == ops => Some(message.content.clone()),
            _ => None,
        });
        let posts: Vec<_> = posts.collect();
        (posts.len() >= 3).then_some(posts)
    });
    insta::assert_snapshot!(within("three posts", posted).await.join("\n\n"), @"
    ⚠️ A script failed. The log has the full traceback.
    ```
    scripts/routing.lua:2: no such project
    ```

    ⚠️ A script failed. The log has the full traceback.
    ```
    scripts/hooks.lua:1: no tickets
    ```

    ⚠️ triggers.lua now needs the content of messages that don't mention the bot. Discord only sends it to bots that ask for it when they connect, so restart moonlane, with Message Content Intent on in the Developer Portal; until then only mentions count.
    ");
}

#[tokio::test]
async fn sighup_reloads_and_the_log_says_what_a_reload_cannot_do() {
    let stage = Stage::without_bot(Setup::default()).await;
    let bot = Process::ready(&mut bot_on(&stage)).await;
    bot.signal(Signal::HUP);
    bot.line("reloaded, generation 2").await;
    stage.save("routing.lua", "return {");
    bot.line("scripts/routing.lua:1: ").await;
    let errors = |said: String| said.lines().filter(|line| line.contains("scripts/routing.lua:1: ")).count();
    assert_eq!(errors(bot.said()), 1);
    bot.signal(Signal::HUP);
    while errors(bot.said()) < 2 {
        within("the errors once more", bot.more()).await;
    }
    stage.save("routing.lua", &marked("good").replace("route = function() return \"here\" end", ""));
    bot.line("reloaded, generation 3").await;
    bot.line("channels=0").await;
    stage.save("triggers.lua", "return { mention = true, prefixes = { '!' } }");
    bot.line("restart moonlane").await;
    bot.line("reloaded, generation 4").await;

    for generation in 5..15 {
        bot.signal(Signal::HUP);
        bot.line(&format!("reloaded, generation {generation}")).await;
    }
    let threads = || {
        let threads = fs::read_dir(format!("/proc/{}/task", bot.pid())).unwrap().flatten();
        threads
            .filter(|it| {
                fs::read_to_string(it.path().join("comm")).is_ok_and(|name| name.trim() == "scripts")
            })
            .count()
    };
    let only_one = async {
        // Nothing tells of the end of another process's thread.
        while threads() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the threads of the old sets to end", only_one).await;
    bot.stop().await;
}
