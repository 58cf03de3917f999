use std::time::{Duration, Instant};

use bytesize::ByteSize;

use super::*;
use crate::domain::{Attachment, Author};

const LIMITS: Limits = Limits {
    start: Duration::from_secs(60),
    wake: Duration::from_secs(10),
    silence: Duration::from_secs(600),
    tool: Duration::from_secs(1800),
    turn: Duration::from_secs(3600),
    after_result: Duration::from_secs(10),
    continue_spread: Duration::ZERO,
    question: Duration::from_secs(60),
    question_choice: None,
};
const ROUTING_HERE: &str =
    "return { projects = { here = { dir = '.' } }, route = function() return 'here' end }";
const TRIGGERS_MENTION: &str = "return { mention = true }";

/// What only the time limit ends.
const ENDLESS: [&str; 6] = [
    "while true do end",
    "while true do pcall",
    "'slow' do end",
    "('.-.-.-",
    "pcall(f) f()",
    "table.sort(t)",
];

/// The time limit for these files: soon over where it is to end them, and else so long that it ends nothing by mistake
/// on a busy machine.
fn time_limit(scripts: &Path) -> Duration {
    let is_endless = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        ENDLESS.iter().any(|endless| text.contains(endless))
    };
    let files = |folder: &Path| {
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.any(|entry| is_endless(&entry.path()))
    };
    match files(scripts) || files(&scripts.join("commands")) {
        true => Duration::from_millis(60),
        false => Duration::from_secs(30),
    }
}

/// A root with these files in scripts/; what is missing of the two main ones is filled in.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let defaults = [("routing.lua", ROUTING_HERE), ("triggers.lua", TRIGGERS_MENTION)];
    for (name, text) in defaults.iter().chain(files) {
        let path = root.path().join("scripts").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn load(root: &Path) -> Result<Loaded, Vec<ScriptProblem>> {
    let config = config::ScriptsConfig {
        dir: root.join("scripts"),
        time_limit: time_limit(&root.join("scripts")),
        memory_limit: ByteSize::mib(8),
        max_waiting: 100,
        ..Default::default()
    };
    ScriptSet::load(&config, root, &LIMITS)
}

fn set(files: &[(&str, &str)]) -> ScriptSet {
    let root = root(files);
    match load(root.path()) {
        Ok(loaded) => loaded.set,
        Err(problems) => panic!("{}", listing(&problems, root.path())),
    }
}

/// The problems as `moonlane check` prints them.
fn listing(problems: &[ScriptProblem], root: &Path) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
    lines.join("\n").replace(&root.display().to_string(), "ROOT")
}

fn problems(files: &[(&str, &str)]) -> String {
    let root = root(files);
    match load(root.path()) {
        Ok(loaded) => listing(&loaded.warnings, root.path()),
        Err(problems) => listing(&problems, root.path()),
    }
}

fn routing_problems(routing: &str) -> String {
    problems(&[("routing.lua", routing)])
}

fn message(text: &str) -> Message {
    Message {
        id: "1411922334455667789".parse().unwrap(),
        channel_id: "10".parse().unwrap(),
        parent_channel_id: None,
        channel_name: "general".to_owned(),
        channel_tags: Vec::new(),
        in_own_thread: false,
        guild_id: "30".parse().unwrap(),
        author: Author {
            id: "40".parse().unwrap(),
            name: "Ada".to_owned(),
            roles: vec!["50".parse().unwrap()],
            bot: false,
        },
        text: text.to_owned(),
        raw_text: format!("<@1> {text}"),
        mentions_me: true,
        attachments: Vec::new(),
        reply_to: None,
        quoted: None,
        extras: Vec::new(),
    }
}

fn unmentioned(text: &str) -> Message {
    Message { mentions_me: false, raw_text: text.to_owned(), ..message(text) }
}

fn in_thread(channel: &str, parent: &str) -> Message {
    Message {
        channel_id: channel.parse().unwrap(),
        parent_channel_id: Some(parent.parse().unwrap()),
        ..message("hi")
    }
}

/// A decision in a few words.
async fn decided(set: &ScriptSet, message: Message) -> String {
    match set.decide(message).await {
        Ok(Route::NotForMe) => "not for me".to_owned(),
        Ok(Route::Unrouted) => "unrouted".to_owned(),
        Ok(Route::Reply(text)) => format!("reply {text:?}"),
        Ok(Route::Turn(work)) => {
            let model = work.model.map(|model| format!(" with {model}")).unwrap_or_default();
            let fresh = if work.fresh { " afresh" } else { "" };
            format!("{}: {:?}{model}{fresh}", work.project.name, work.prompt)
        }
        Err(error) => format!("{:?} {:?}: {error}", error.entry_point(), error.kind()),
    }
}

macro_rules! snapshot {
    ($name:expr, $value:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/scripts"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!($name, $value) })
    };
}

mod commands;
mod definitions;
mod examples;
mod hooks;
mod problems;
mod reference;
mod shipped;
pub(in crate::script) mod types;

#[tokio::test]
async fn the_shipped_scripts_answer_a_mention_anywhere_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = config::ScriptsConfig { dir: root.join("scripts"), ..config::ScriptsConfig::default() };
    let Ok(Loaded { set, warnings }) = ScriptSet::load(&config, root, &LIMITS) else { panic!("not loaded") };
    assert_eq!(warnings, []);
    assert_eq!(decided(&set, message("hello")).await, r#"here: "hello""#);
    assert_eq!(decided(&set, unmentioned("hello")).await, "not for me");
    assert!(!set.needs_message_content());
    assert_eq!(set.allow(), &Allow::default());
    let here = set.project(&ProjectName("here".to_owned())).unwrap();
    assert_eq!(here.dir, root.join(config::WORK));
    assert_eq!(here.permission_mode, Some(crate::domain::PermissionMode::AcceptEdits));
}

/// Several cases in one snapshot, each under a heading.
fn cases<'a>(cases: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let cases = cases.into_iter().map(|(name, text)| format!("── {name}\n{text}\n"));
    cases.collect::<Vec<_>>().join("\n")
}

/// The examples of the README that are whole files, by the names in their first lines.
fn readme_files() -> Vec<(&'static str, &'static str)> {
    let readme = include_str!("../../scripts/README.md");
    let examples = readme.split("```lua\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let whole = examples.filter(|example| example.lines().any(|line| line.starts_with("return ")));
    whole
        .map(|example| {
            let name = example.lines().next().and_then(|line| line.strip_prefix("-- "));
            (name.unwrap_or_else(|| panic!("no file name above this:\n{example}")), example)
        })
        // What shows a file in another way has a test of its own.
        .filter(|(name, _)| name.ends_with(".lua"))
        .collect()
}

#[tokio::test]
async fn the_files_of_the_readme_load_and_decide() {
    let files = readme_files();
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let commands = ["commands/hello.lua", "commands/explain.lua", "commands/review.lua"];
    assert_eq!(names, [&["routing.lua", "triggers.lua"], &commands[..], &["hooks.lua"]].concat());
    let problems = problems(&files);
    assert!(problems.lines().count() <= 1 && !problems.contains("error"), "{problems}");
    assert!(problems.contains("projects.site.dir: "), "only that its directory is missing: {problems}");

    let set = set(&files);
    let channel = || "231200000000000004".parse().unwrap();
    let there = |message: Message| Message { channel_id: channel(), ..message };
    assert_eq!(decided(&set, there(message("hello"))).await, r#"site: "hello""#);
    assert_eq!(decided(&set, there(unmentioned("moon, hello"))).await, r#"site: "hello""#);
    assert_eq!(decided(&set, there(unmentioned("hello"))).await, "not for me");
    assert_eq!(decided(&set, message("hello")).await, "unrouted");
}

#[test]
fn the_readme_names_all_that_ctx_can_do() {
    let readme = include_str!("../../scripts/README.md");
    let table =
        readme.split("### What `ctx` can do").nth(1).and_then(|rest| rest.split("###").next()).unwrap();
    for name in effect::names() {
        assert!(table.contains(&format!("`{name}`")), "{name} is not in the table");
    }
}

#[tokio::test]
async fn what_a_function_returns_is_a_decision_or_an_error_with_its_place() {
    let route = |body: &'static str| async move {
        let routing = format!(
            "local x\nreturn {{ projects = {{ here = {{ dir = '.' }} }}, route = function(message, prompt)\n{body}\nend }}"
        );
        let set = set(&[("routing.lua", &routing)]);
        (body, decided(&set, message("hi")).await)
    };
    let trigger = |body: &'static str| async move {
        let set =
            set(&[("triggers.lua", &format!("return function(message) local message = message {body} end"))]);
        (body, decided(&set, unmentioned("hi")).await)
    };
    let snapshot = cases([
        route("return 'here'").await,
        route("return { project = 'here', prompt = prompt .. '!', model = 'opus', fresh = true }").await,
        route("return { project = 'here', session = 'fresh' }").await,
        route("return { reply = 'Not today.' }").await,
        route("return nil").await,
        route("return message.mentions_me and nil").await,
        route("return 'hre'").await,
        route("return { project = 'blog' }").await,
        route("return { project = 'here', fesh = true }").await,
        route("return { project = 'here', session = 'new' }").await,
        route("return { project = 'here', model = '' }").await,
        route("return { project = 'here', reply = 'x' }").await,
        route("return { reply = 'x', prompt = 'y' }").await,
        route("return { reply = ' ' }").await,
        route("return { reply = ('x'):rep(20001) }").await,
        route("return { project = 'here', prompt = ('x'):rep(10 * 1024 * 1024 / 8) }").await,
        route("return {}").await,
        route("return { 'here' }").await,
        route("return true").await,
        route("return 7").await,
        route("return print").await,
        route("return x.y").await,
        route("error(nil)").await,
        route("message.text = nil return message.text").await,
        route("return require 'lib/late'").await,
        trigger("return message.text").await,
        trigger("return nil").await,
        trigger("return message.mentions_me and message.text").await,
        trigger("return ''").await,
        trigger("return true").await,
        trigger("return { prompt = message.text }").await,
        trigger("return '\\255'").await,
        trigger("return ('x'):rep(3e6)").await,
        trigger("return message.txt:lower()").await,
    ]);
    snapshot!("decisions", snapshot);
}

/// Bodies of functions that would run for ever or take all memory.
const RUNAWAYS: [(&str, &str); 14] = [
    ("loop", "while true do end"),
    ("loop in pcall", "while true do pcall(function() while true do end end) end"),
    ("caught loop", "pcall(function() while true do end end) return 'here'"),
    ("loop in an error handler", "xpcall(error, function() while true do end end)"),
    ("pattern", "return (('a.'):rep(2000)):find('.-.-.-.-.-b$')"),
    ("loop in gsub", "return (('x'):rep(99):gsub('x', function() while true do end end))"),
    ("loop in sort", "table.sort({ 3, 2, 1 }, function() while true do end end)"),
    ("recursion", "local function f() return 1 + f() end f()"),
    ("recursion through pcall", "local function f() pcall(f) f() end f()"),
    (
        "recursion through tostring",
        "local t = setmetatable({}, { __tostring = function(t) return tostring(t) end }) print(t)",
    ),
    ("one huge string", "return ('x'):rep(1e9)"),
    ("growing string", "local s = 'x' while true do s = s .. s end"),
    ("growing global", "KEPT = KEPT or {} while true do KEPT[#KEPT + 1] = ('x'):rep(1e5) .. #KEPT end"),
    (
        "growing global, caught",
        "KEPT = KEPT or {} pcall(function() while true do KEPT[#KEPT + 1] = ('x'):rep(1e5) .. #KEPT end end) return 'x'",
    ),
];

/// How a runaway ended, without what is luck on a busy machine: where a script that recurses is when its time is over, and
/// which limit plain recursion meets first.
fn end_of_runaway(name: &str, told: &str) -> String {
    let limits = ["stack overflow", "needed more memory", "ran longer"];
    if name == "recursion" && limits.iter().any(|limit| told.contains(limit)) {
        return "ended by a limit".to_owned();
    }
    match told.split_once(": ran longer") {
        Some((place, rest)) if name.starts_with("recursion") => {
            let place = place.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(':');
            format!("{place}: ran longer{rest}")
        }
        _ => told.to_owned(),
    }
}

#[tokio::test]
async fn a_runaway_costs_its_message_and_the_set_works_on() {
    let mut seen = Vec::new();
    for (name, body) in RUNAWAYS {
        let function =
            format!("function(message)\nif message.text == 'run away' then {body} end\nreturn 'here'\nend");
        let routing = format!("return {{ projects = {{ here = {{ dir = '.' }} }}, route = {function} }}");
        let route = set(&[("routing.lua", &routing)]);
        let trigger = set(&[("triggers.lua", &format!("return {function}"))]);
        for (stage, set) in [("route", route), ("trigger", trigger)] {
            for _ in 0..2 {
                let start = Instant::now();
                let decision = decided(&set, message("run away")).await;
                let took = start.elapsed();
                // The limit is 60 ms; the rest is room for a busy machine.
                assert!(took < Duration::from_secs(5), "{stage}, {name}: {took:?}");
                assert_eq!(
                    decided(&set, message("hello")).await.split(':').next(),
                    Some("here"),
                    "{stage}, {name}"
                );
                seen.push((stage, name, end_of_runaway(name, &decision)));
            }
        }
    }
    for pair in seen.chunks(2) {
        assert_eq!(pair[0], pair[1], "the second time is like the first");
    }
    let lines =
        seen.iter().step_by(2).map(|(stage, name, text)| (format!("{name} in {stage}"), text.clone()));
    let lines: Vec<(String, String)> = lines.collect();
    snapshot!("runaways", cases(lines.iter().map(|(name, text)| (name.as_str(), text.clone()))));
}

/// What a native function would do for long, where no interrupt ends it.
const LONG_NATIVES: [(&str, &str); 10] = [
    ("plain find", "return tostring((('a'):rep(1e6):find(('a'):rep(5e5) .. 'b', 1, true)))"),
    ("find without specials", "return tostring((string.find(('a'):rep(1e6), ('a'):rep(5e5) .. 'b')))"),
    ("large set", "return ('a'):rep(1e6):match('[' .. ('b'):rep(4e5) .. ']*c')"),
    ("large set in gsub", "return (('a'):rep(1e6):gsub('[^' .. ('b'):rep(4e5) .. ']*c', ''))"),
    (
        "large set in gmatch",
        "for x in ('a'):rep(1e6):gmatch('[^' .. ('b'):rep(4e5) .. ']*c') do return x end",
    ),
    ("split", "return ('a'):rep(1e6):split(('a'):rep(5e5) .. 'b')[1]"),
    ("move", "return tostring(#table.move({}, 1, 2e9, 1))"),
    (
        "sort of long strings",
        "local a, b, t = ('a'):rep(1e6) .. 'b', ('a'):rep(1e6) .. 'c', {}
for i = 1, 1e5, 2 do t[i], t[i + 1] = a, b end table.sort(t) return 'here'",
    ),
    ("bad pattern", "return (message.text:find('['))"),
    ("no text", "return (string.gsub(nil, 'x', 'y'))"),
];

#[tokio::test]
async fn no_native_function_works_for_long() {
    let mut lines = Vec::new();
    for (name, body) in LONG_NATIVES {
        let set = set(&[("triggers.lua", &format!("return function(message)\n{body}\nend"))]);
        let start = Instant::now();
        lines.push((name, decided(&set, message("hi")).await));
        assert!(start.elapsed() < Duration::from_secs(5), "{name}: {:?}", start.elapsed());
    }
    snapshot!("long_natives", cases(lines));
}

#[tokio::test]
async fn bounded_natives_do_what_the_native_ones_do() {
    let body = "return function(message)
  local words = {}
  for word in ('a b'):gmatch('%a') do words[#words + 1] = word end
  local sorted = { 'b', 'a', ('c'):rep(2000), 'B' }
  table.sort(sorted)
  local down = { 1, 3, 2 }
  table.sort(down, function(a, b) return a > b end)
  return table.concat({ ('a.b'):find('.', 1, true), ('a.b'):find('(%a)$'), ('x1'):match('%a(%d)'),
    string.find(123, 2), ('abc'):gsub('%a', { a = 'x' }, 2), ('abc'):gsub('b', '%0%0'), #('a,b'):split(),
    table.concat(('a-b'):split('-')), table.concat(table.move({ 1, 2, 3 }, 2, 3, 1)), words[2],
    table.concat(sorted, ' ', 1, 3), table.concat(down) }, '|')
end";
    let set = set(&[("triggers.lua", body)]);
    insta::assert_snapshot!(decided(&set, message("hi")).await, @r#"here: "2|3|1|2|xbc|abbc|2|ab|233|b|B a b|321""#);
}

#[test]
fn a_runaway_at_top_level_is_a_problem() {
    let lines = RUNAWAYS.map(|(name, body)| {
        let told = problems(&[("triggers.lua", &format!("\ndo {body} end"))]);
        (name, end_of_runaway(name, &told))
    });
    snapshot!("runaways_at_load", cases(lines));
}

#[test]
fn what_takes_all_memory_at_load_is_named_where_it_stands() {
    let hog = "local hog = {}\nreturn function()\n  while true do\n    hog[#hog + 1] = ('x'):rep(1e5) .. #hog\n  end\nend";
    let calling = "local fill = require 'lib/hog'\n\nfill()\nreturn {}";
    let told = problems(&[("lib/hog.lua", hog), ("routing.lua", calling)]);
    insta::assert_snapshot!(told, @"scripts/lib/hog.lua:4: needed more memory than 8.0 MiB (`scripts.memory_limit`)");
    // Two files that are too large together only: neither is to blame alone. Each keeps its own: how soon Luau collects what
    // nobody has any more depends on the clock.
    let half = |end: &str| {
        format!("local kept = {{}}\nfor n = 1, 50 do\n  kept[n] = ('x'):rep(1e5) .. n\nend\nreturn {end}")
    };
    let routing = half("{ projects = { here = { dir = '.' } }, route = function() return #kept end }");
    let triggers = half("function() return #kept end");
    let told = problems(&[("routing.lua", &routing), ("triggers.lua", &triggers)]);
    insta::assert_snapshot!(told, @"scripts/triggers.lua: needed more memory than 8.0 MiB (`scripts.memory_limit`)");
}

#[tokio::test]
async fn a_slow_decision_delays_the_next_and_nothing_else() {
    let slow = "return { projects = { here = { dir = '.' } }, route = function(m) while m.text == 'slow' do end return 'here' end }";
    let set = set(&[("routing.lua", slow)]);
    let (first, second) = tokio::join!(decided(&set, message("slow")), decided(&set, message("quick")));
    assert!(first.contains("TimedOut"), "{first}");
    assert_eq!(second, r#"here: "quick""#);
}

#[tokio::test]
async fn channels_come_before_their_parents_and_both_before_route() {
    let projects = "projects = { a = { dir = '.' }, b = { dir = '.' }, r = { dir = '.' } }";
    let channels = "channels = { ['1'] = 'a', ['2'] = 'b' }";
    let routed = format!("return {{ {projects}, {channels}, route = function() return 'r' end }}");
    let routed = set(&[("routing.lua", &routed)]);
    let bare = set(&[("routing.lua", &format!("return {{ {projects}, {channels} }}"))]);
    let threads = [("1", "2"), ("9", "2"), ("9", "8")];
    let mut seen = Vec::new();
    for set in [&routed, &bare] {
        for (channel, parent) in threads {
            seen.push(decided(set, in_thread(channel, parent)).await);
        }
    }
    assert_eq!(seen, ["a: \"hi\"", "b: \"hi\"", "r: \"hi\"", "a: \"hi\"", "b: \"hi\"", "unrouted"]);
    assert_eq!((bare.routed_channels(), bare.has_route_function()), (2, false));
    assert!(routed.has_route_function());
}

#[tokio::test]
async fn trigger_tables() {
    let triggers = "return { mention = false, prefixes = { '!ask' }, all_messages_in = { '77' },
        patterns = { [[^hey (\\w+)]], '^ping', '^go(?: (.*))?$' } }";
    let set = set(&[("triggers.lua", triggers)]);
    assert!(set.needs_message_content());
    let prompt = async |message: Message| decided(&set, message).await;
    assert_eq!(prompt(message("a mention alone")).await, "not for me");
    assert_eq!(prompt(unmentioned("!ask  why? ")).await, r#"here: "why?""#);
    assert_eq!(prompt(unmentioned(" !ask why?")).await, "not for me");
    assert_eq!(prompt(unmentioned("hey moon")).await, r#"here: "moon""#);
    assert_eq!(prompt(unmentioned("ping it")).await, r#"here: "ping it""#);
    assert_eq!(prompt(unmentioned("go")).await, r#"here: """#);
    assert_eq!(prompt(in_thread("5", "77")).await, r#"here: "hi""#);
    assert_eq!(prompt(in_thread("77", "5")).await, r#"here: "hi""#);
    assert_eq!(prompt(in_thread("5", "6")).await, "not for me");
}

#[test]
fn only_mentions_need_no_message_content() {
    let needs = |triggers: &str| set(&[("triggers.lua", triggers)]).needs_message_content();
    assert!(!needs("return {}"));
    assert!(needs("return { prefixes = { '!' } }"));
    assert!(needs("return { all_messages_in = { '1' } }"));
    assert!(needs("return function() end"));
}

#[tokio::test]
async fn a_message_is_a_plain_table() {
    let dump = "local function dump(v, indent)
  if type(v) ~= 'table' then return type(v) .. ' ' .. tostring(v) end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys)
  local lines = { 'table' .. (getmetatable(v) and ' with a metatable' or '') }
  for _, k in ipairs(keys) do lines[#lines + 1] = indent .. tostring(k) .. ': ' .. dump(v[k], indent .. '  ') end
  return table.concat(lines, '\\n')
end
return function(message) return dump(message, '  ') end";
    let set = set(&[("triggers.lua", dump)]);
    let full = Message {
        parent_channel_id: Some("20".parse().unwrap()),
        attachments: vec![
            Attachment {
                name: "a.txt".to_owned(),
                size: 12,
                content_type: Some("text/plain".to_owned()),
                url: "https://cdn.example/a.txt".to_owned(),
                voice: false,
            },
            Attachment {
                name: "b".to_owned(),
                size: 0,
                content_type: None,
                url: String::new(),
                voice: false,
            },
        ],
        ..message("hi")
    };
    let mut shown = Vec::new();
    for (name, message) in [("everything", full), ("as little as possible", message(""))] {
        let Ok(Route::Turn(work)) = set.decide(message).await else { panic!("not decided") };
        shown.push((name, work.prompt));
    }
    snapshot!("message_table", cases(shown));
}

/// The shipped scripts with their commented examples switched on.
#[tokio::test]
async fn the_commented_examples_work() {
    let uncomment = |text: &str, from: &str, to: &str| {
        let mut on = false;
        let lines = text.lines().map(|line| {
            let code = line.trim_start().strip_prefix("-- ").unwrap_or(line);
            on |= code.starts_with(from);
            let line = if on { code } else { line };
            on &= !code.starts_with(to);
            line.to_owned() + "\n"
        });
        lines.collect::<String>()
    };
    let routing = include_str!("../../scripts/routing.lua");
    let routing = uncomment(&uncomment(routing, "site = {", "},"), "[\"", "[\"");
    let mut triggers = include_str!("../../scripts/triggers.lua").to_owned();
    for key in ["prefixes =", "patterns =", "all_messages_in ="] {
        triggers = uncomment(&triggers, key, key);
    }
    let set = set(&[("routing.lua", &routing), ("triggers.lua", &triggers)]);
    assert_eq!(set.projects().count(), 2);
    assert_eq!(decided(&set, in_thread("231200000000000004", "1")).await, r#"site: "hi""#);
    assert_eq!(decided(&set, unmentioned("!ask why")).await, r#"here: "why""#);
    assert_eq!(decided(&set, unmentioned("Hey Moon,\nwhy\nnot")).await, r#"here: "why\nnot""#);
    let elsewhere = Message { channel_id: "231200000000000004".parse().unwrap(), ..unmentioned("x") };
    assert_eq!(decided(&set, elsewhere).await, r#"site: "x""#);

    let function = include_str!("../../scripts/triggers.lua");
    let function = function[function.find("-- return function").unwrap()..].replace("-- ", "");
    let set = self::set(&[("triggers.lua", &function)]);
    assert_eq!(decided(&set, unmentioned("moon: why")).await, r#"here: "why""#);
    assert_eq!(decided(&set, unmentioned("why")).await, "not for me");
}

/// Everything that scripts have, so that a new version of the VM cannot bring more unnoticed.
#[tokio::test]
async fn scripts_have_these_globals_and_no_others() {
    let list = "return function()
  local names = {}
  for name, value in pairs(_G) do
    if type(value) == 'table' and value ~= _G then
      for key in pairs(value) do names[#names + 1] = name .. '.' .. key end
    else
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return table.concat(names, '\\n')
end";
    let set = set(&[("triggers.lua", list)]);
    let Ok(Route::Turn(work)) = set.decide(message("")).await else { panic!("not decided") };
    snapshot!("globals", work.prompt);
}

#[tokio::test]
async fn what_scripts_print_and_raise_is_bounded() {
    let triggers = "return function(m)
  local long = ('ä'):rep(1e5)
  for i = 1, 200 do print(long, long, long, '\\255', nil, i) end
  if m.text == 'key' then return { [long] = 1 } end
  error(long)
end";
    let routing = "return { projects = { p = { dir = '.' } }, route = function(m) return { [('k'):rep(1e5)] = 1 } end }";
    let set = set(&[("triggers.lua", triggers)]);
    let error = set.decide(message("")).await.unwrap_err();
    assert!(error.to_string().len() < 1100, "{}", error.to_string().len());
    assert!(error.to_string().starts_with("scripts/triggers.lua:5: ää"));
    let set = self::set(&[("routing.lua", routing)]);
    let error = set.decide(message("")).await.unwrap_err();
    assert!(error.to_string().len() < 1300, "{}", error.to_string().len());
}

#[tokio::test]
async fn required_files_run_once_and_are_never_read_again() {
    let root = root(&[
        (
            "routing.lua",
            "local n = require 'lib/names'\nreturn { projects = { [n.project] = { dir = '.' } }, route = function() n.calls = n.calls + 1 return { reply = n.project .. n.calls .. tostring(require './lib/names' == n) } end }",
        ),
        (
            "triggers.lua",
            "local n = require './lib/names'\nn.loaded = true\nreturn function(m) if m.text == 'fill' then while true do n[#n + 1] = ('x'):rep(1e5) .. #n end end return m.text end",
        ),
        ("lib/names.lua", "return { project = 'p', calls = 0 }"),
    ]);
    let set = load(root.path()).unwrap().set;
    std::fs::remove_dir_all(root.path()).unwrap();
    assert_eq!(decided(&set, message("x")).await, r#"reply "p1true""#);
    assert_eq!(decided(&set, message("x")).await, r#"reply "p2true""#);
    // A fresh VM, from the same sources.
    assert!(decided(&set, message("fill")).await.contains("OutOfMemory"));
    assert_eq!(decided(&set, message("x")).await, r#"reply "p1true""#);
}

#[cfg(unix)]
#[test]
fn links_may_stay_inside_the_folder_and_not_leave_it() {
    use std::os::unix::fs::symlink;
    let root = root(&[("data/routing.lua", ROUTING_HERE)]);
    let scripts = root.path().join("scripts");
    std::fs::remove_file(scripts.join("routing.lua")).unwrap();
    symlink("data/routing.lua", scripts.join("routing.lua")).unwrap();
    assert!(load(root.path()).is_ok());

    std::fs::write(root.path().join("outside.lua"), "return {}").unwrap();
    symlink("../outside.lua", scripts.join("outside.lua")).unwrap();
    std::fs::write(scripts.join("triggers.lua"), "require 'outside'").unwrap();
    let problems = listing(&load(root.path()).unwrap_err(), root.path());
    assert_eq!(
        problems,
        "scripts/triggers.lua:1: scripts/outside.lua is a link to outside of the script folder; put the file itself there"
    );
}

#[test]
fn a_project_has_what_it_says_and_the_defaults_for_the_rest() {
    use crate::domain::{AnswerForm, SettingSource};
    let set = set(&[(
        "routing.lua",
        "return { projects = { a = { dir = './x/../scripts/.', limits = { turn = '20m' }, env = { A = 'b' }, tools = {} },
           b = { dir = '~/x', answer = 'all', setting_sources = {}, allow = {} } },
           allow = { users = { '1' }, roles = { '2' }, operators = { '3' } }, route = print }",
    )]);
    let names: Vec<String> = set.projects().map(|project| project.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    let project = |name: &str| set.project(&ProjectName(name.to_owned())).unwrap();
    let (a, b) = (project("a"), project("b"));
    assert!(a.dir.ends_with("x/../scripts"), "{}", a.dir.display());
    assert!(a.dir.is_absolute());
    assert_eq!(a.limits, Limits { turn: Duration::from_secs(1200), ..LIMITS });
    assert_eq!((a.answer, a.allow.clone(), a.tools.clone()), (AnswerForm::Last, None, Some(vec![])));
    assert_eq!(a.setting_sources, [SettingSource::User, SettingSource::Project, SettingSource::Local]);
    assert_eq!(b.dir, std::env::home_dir().unwrap().join("x"));
    assert_eq!(
        (b.answer, b.allow.clone(), b.setting_sources.len()),
        (AnswerForm::All, Some(Allow::default()), 0)
    );
    assert_eq!(set.allow().users, ["1".parse().unwrap()]);
    assert_eq!(set.operators(), ["3".parse().unwrap()]);
}

#[test]
fn a_project_says_how_its_answers_become_messages() {
    let text = |keys: &str| {
        let routing = format!("return {{ projects = {{ p = {{ dir = '.', {keys} }} }}, route = print }}");
        let project = set(&[("routing.lua", &routing)]).projects().next().cloned().unwrap();
        (
            project.format.dialect,
            project.format.max_lines.map_or(0, Into::into),
            project.max_parts.map_or(0, Into::into),
            project.max_bytes.map_or(0, Into::into),
        )
    };
    assert_eq!(text(""), (true, 0, 8, 204_800));
    assert_eq!(text("format = {}"), (true, 0, 8, 204_800));
    assert_eq!(text("format = { dialect = false, max_lines = 60, max_parts = 1 }"), (false, 60, 1, 204_800));
    assert_eq!(text("format = { dialect = true, max_parts = false, max_kb = false }"), (true, 0, 0, 0));
    assert_eq!(text("format = { max_kb = 20 }"), (true, 0, 8, 20_480));
}

#[test]
fn the_set_ends_with_its_last_clone() {
    let set = set(&[]);
    let scripts = set.clone().scripts;
    drop(set);
    // The thread is still there for whoever holds it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(scripts.call(|_| ())).is_ok());
}
