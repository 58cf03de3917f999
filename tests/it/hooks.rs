//! hooks.lua in the whole bot: what it adds to prompts, answers and errors, and that its failures cost nothing.

use moonlane::domain::Outcome;
use moonlane::local::Id;
use moonlane::turn::Settled;

use crate::separate::{Process, bot_on};
use crate::support::{ANSWERED, FAILED, Setup, Stage, routing_with, within};

/// Bodies of a hook that change nothing, each for another reason.
const CHANGE_NOTHING: [(&str, &str); 6] = [
    ("nil", "return nil"),
    ("fails", "error('boom')"),
    ("loops", "while true do pcall(string.find, string.rep('a', 1000), '.-.-.-b') end"),
    ("hoards", "local hog = {} while true do hog[#hog + 1] = string.rep('x', 1e6) .. #hog end"),
    ("wrong type", "return { 'a text' }"),
    ("too long", "return string.rep('x', 1024 * 1024 + 1)"),
];

/// A bot with this hooks.lua.
async fn with_hooks(hooks: &str) -> Stage {
    with(hooks, Setup::default()).await
}

async fn with(hooks: &str, setup: Setup) -> Stage {
    let mut stage = Stage::without_bot(setup).await;
    std::fs::write(stage.root().join("scripts/hooks.lua"), hooks).unwrap();
    stage.start().await;
    stage
}

/// The prompts that agents have got.
fn prompts(stage: &Stage) -> Vec<String> {
    stage.agent_log().into_iter().filter_map(|event| event.prompt).collect()
}

#[tokio::test]
async fn what_before_prompt_returns_stands_before_the_prompt() {
    let setup = Setup { routing: routing_with("model = 'sonnet'"), ..Setup::default() };
    let hooks = r#"return { before_prompt = function(turn)
        local t = turn
        return table.concat({ t.id, tostring(t.channel), t.channel.name, t.project, t.author.id, t.author.name,
          t.prompt, t.model }, "|") .. "\n\n"
    end }"#;
    let mut stage = with(hooks, setup).await;
    let message = stage.say("general", "TEXT:hello");
    assert_eq!(stage.settled(message).await, ANSWERED);
    assert_eq!(stage.answer(message), "hello");
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let context = format!("{message}|<#{channel}>|general|here|{owner}|owner|TEXT:hello|sonnet");
    assert_eq!(prompts(&stage), [format!("{context}\n\nTEXT:hello")]);
}

#[tokio::test]
async fn where_before_prompt_has_nothing_to_add_or_fails_the_prompt_is_as_it_was() {
    for (what, body) in CHANGE_NOTHING {
        let mut stage = with_hooks(&format!("return {{ before_prompt = function(turn) {body} end }}")).await;
        assert_eq!(stage.ask("general", "TEXT:hello").await, "hello", "{what}");
        assert_eq!(stage.ask("general", "TEXT:again").await, "again", "{what}");
        assert_eq!(prompts(&stage), ["TEXT:hello", "TEXT:again"], "{what}");
    }
}

#[tokio::test]
async fn an_answer_is_changed_once_before_it_is_split() {
    let hooks = "local asked = 0
    return { after_answer = function(text, turn)
        asked += 1
        return turn.author.name .. asked .. ': ' .. text:gsub('fox', 'moon')
    end }";
    let mut stage = with_hooks(hooks).await;
    assert_eq!(stage.ask("general", "TEXT:the fox").await, "owner1: the moon");

    // What is split, and what the file of a long answer holds, is the changed one.
    let unit = "The quick brown fox jumps over the lazy dog. ";
    let whole = format!("owner2: {}", unit.repeat(20_000 / unit.len() + 1)[..20_000].replace("fox", "moon"));
    let message = stage.say("general", "LONG:20000");
    assert_eq!(stage.settled(message).await, ANSWERED);
    let parts = stage.parts(message);
    assert!(parts[0].content.starts_with("owner2: The quick brown moon "), "{}", parts[0].content);
    let [file] = &parts.last().unwrap().attachments[..] else { panic!("one file") };
    let bytes = stage.discord.file(file.id).unwrap().bytes;
    assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), whole);
}

#[tokio::test]
async fn where_after_answer_changes_nothing_or_fails_the_answer_is_as_it_was() {
    for (what, body) in CHANGE_NOTHING.into_iter().chain([("empty", "return ''")]) {
        let mut stage =
            with_hooks(&format!("return {{ after_answer = function(text, turn) {body} end }}")).await;
        assert_eq!(stage.ask("general", "TEXT:hello").await, "hello", "{what}");
        assert_eq!(stage.ask("general", "TEXT:again").await, "again", "{what}");
    }
}

#[tokio::test]
async fn a_turn_that_runs_is_answered_by_the_hooks_it_began_with() {
    let marking =
        |mark: &str| format!("return {{ after_answer = function(text) return '{mark}: ' .. text end }}");
    let mut stage = with_hooks(&marking("old")).await;
    let running = stage.held("general").await;
    let waiting = stage.say("general", "TEXT:next");
    stage.reacted(waiting, "⏳").await;
    stage.save("hooks.lua", &marking("new"));
    within("a reload", stage.reloader().reload_now()).await.unwrap();
    stage.let_go("done").await;
    for (message, answer) in [(running, "old: done"), (waiting, "new: next")] {
        assert_eq!(stage.settled(message).await, ANSWERED);
        assert_eq!(stage.answer(message), answer);
    }
}

#[tokio::test]
async fn an_answer_that_was_not_written_is_not_asked_about() {
    let mut stage = with_hooks("return { after_answer = function(text) return 'changed' .. text end }").await;
    let answer = stage.ask("general", "TEXT:").await;
    assert!(answer.starts_with("Claude finished without writing an answer."), "{answer}");
    let message = stage.say("general", "TEXT:half ;; CRASH");
    assert_eq!(stage.settled(message).await, FAILED);
    assert!(!stage.answer(message).contains("changed"), "{}", stage.answer(message));
}

/// The owner asks for a turn that fails; the sentence without the line with the id.
async fn failing(stage: &mut Stage, message: Id) -> String {
    assert_eq!(stage.settled(message).await, FAILED);
    let answer = stage.answer(message);
    answer.strip_suffix("\n-# id ID").unwrap_or_else(|| panic!("no id: {answer}")).to_owned()
}

#[tokio::test]
async fn an_error_is_reworded_and_keeps_its_id() {
    let hooks = "return { on_error = function(error, turn)
        return ('%s, %s: %s'):format(turn.author.name, #error > 20 and 'sorry' or error, turn.prompt)
    end }";
    let mut stage = with_hooks(hooks).await;
    let message = stage.say("general", "ERR:500");
    assert_eq!(failing(&mut stage, message).await, "⚠️ owner, sorry: ERR:500");

    let mut stage = with_hooks("return { on_error = function() return '```\\nopen @everyone' end }").await;
    let message = stage.say("general", "TEXT:so far ;; ERR:500");
    assert_eq!(failing(&mut stage, message).await, "so far\n\n⚠️ ```\nopen @everyone\n```");
}

#[tokio::test]
async fn where_on_error_changes_nothing_or_fails_the_sentence_is_as_it_was() {
    let mut stage = Stage::open().await;
    let message = stage.say("general", "ERR:500");
    let usual = failing(&mut stage, message).await;
    let more = [("empty", "return ''"), ("over a thousand", "return string.rep('x', 1001)")];
    for (what, body) in CHANGE_NOTHING.into_iter().chain(more) {
        let mut stage =
            with_hooks(&format!("return {{ on_error = function(error, turn) {body} end }}")).await;
        for _ in 0..2 {
            let message = stage.say("general", "ERR:500");
            assert_eq!(failing(&mut stage, message).await, usual, "{what}");
        }
    }
}

#[tokio::test]
async fn a_turn_that_an_earlier_bot_left_is_told_in_the_words_of_the_hook() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    std::fs::write(
        stage.root().join("scripts/hooks.lua"),
        "return { on_error = function(error, turn) return 'left: ' .. turn.prompt end }",
    )
    .unwrap();
    let mut bot = Process::ready(&mut bot_on(&stage)).await;
    let message = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    bot.signal(rustix::process::Signal::KILL);
    bot.ended().await;
    stage.start().await;
    assert_eq!(stage.settled(message).await, Settled::Ended(Outcome::Interrupted));
    assert_eq!(stage.answer(message), "⚠️ left: STALL\n-# id ID");
}

#[tokio::test]
async fn a_hook_that_fails_is_a_line_in_the_log_with_its_place() {
    let stage = Stage::without_bot(Setup::default()).await;
    let hooks = "return {\n  after_answer = function(text)\n    return text.x.y\n  end,\n}";
    std::fs::write(stage.root().join("scripts/hooks.lua"), hooks).unwrap();
    let bot = Process::ready(&mut bot_on(&stage)).await;
    let message = stage.say("general", "TEXT:hello");
    stage.parts_posted(message, 1).await;
    assert_eq!(stage.answer(message), "hello");
    let line = bot.line("a hook failed").await;
    assert!(line.contains(" ERROR ") && line.contains("turn{id=") && line.contains("after_answer"), "{line}");
    assert!(line.contains("scripts/hooks.lua:3: there is no `string.x`"), "{line}");
    bot.stop().await;
}

#[tokio::test]
async fn the_hooks_of_the_readme_do_what_it_says() {
    let readme = include_str!("../../scripts/README.md");
    let example = readme.split("```lua\n").find(|block| block.contains("---@type Hooks")).unwrap();
    let mut stage = with_hooks(example.split("```").next().unwrap()).await;
    assert_eq!(
        stage.ask("general", "TEXT:see MOON-12, not XMOON-3").await,
        "see [MOON-12](https://tickets.example/MOON-12), not XMOON-3"
    );
    assert_eq!(prompts(&stage), ["(owner asks this in #general.)\n\nTEXT:see MOON-12, not XMOON-3"]);
    let message = stage.say("general", "ERR:500");
    let sentence = failing(&mut stage, message).await;
    assert!(sentence.ends_with(" Or ask in #help."), "{sentence}");
}
