use std::time::{Duration, Instant};

use bytesize::ByteSize;

use super::*;
use crate::domain::{Attachment, Author};

const LIMITS: Limits = Limits {
    start: Duration::from_secs(60),
    silence: Duration::from_secs(600),
    tool: Duration::from_secs(1800),
    turn: Duration::from_secs(3600),
    after_result: Duration::from_secs(10),
};
const ROUTING_HERE: &str = "return { projects = { here = { dir = '.' } }, route = function() return 'here' end }";
const TRIGGERS_MENTION: &str = "return { mention = true }";

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

fn load(root: &Path) -> Result<Loaded, Vec<Problem>> {
    let config = config::Scripts {
        dir: root.join("scripts"),
        time_limit: Duration::from_millis(60),
        memory_limit: ByteSize::mib(8),
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
fn listing(problems: &[Problem], root: &Path) -> String {
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
        Err(error) => format!("{:?} {:?}: {error}", error.stage(), error.kind()),
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

#[tokio::test]
async fn the_shipped_scripts_answer_a_mention_anywhere_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = config::Scripts { dir: root.join("scripts"), ..config::Scripts::default() };
    let Ok(Loaded { set, warnings }) = ScriptSet::load(&config, root, &LIMITS) else { panic!("not loaded") };
    assert_eq!(warnings, []);
    assert_eq!(decided(&set, message("hello")).await, r#"here: "hello""#);
    assert_eq!(decided(&set, unmentioned("hello")).await, "not for me");
    assert!(!set.needs_message_content());
    assert_eq!(set.allow(), &Allow::default());
    let here = set.project(&ProjectName("here".to_owned())).unwrap();
    assert_eq!(here.dir, root);
    assert_eq!(here.permission_mode, Some(crate::domain::PermissionMode::AcceptEdits));
}

#[tokio::test]
async fn experiment() {
    let set = set(&[("routing.lua", "return { projects = { here = { dir = '.' } }, route = function(m)
      local text = m.text
      if text == 'loop' then while true do end end
      if text == 'pcall' then while true do pcall(function() while true do end end) end end
      if text == 'swallow' then pcall(function() while true do end end) return 'here' end
      if text == 'find' then return (('a.'):rep(2000)):find('.-.-.-.-.-b$') end
      if text == 'xp' then xpcall(function() while true do end end, function() while true do end end) end
      if text == 'mem' then local t = {} while true do t[#t+1] = ('x'):rep(1000) .. #t end end
      if text == 'memp' then while true do pcall(function() local t = {} while true do t[#t+1] = ('x'):rep(1000) .. #t end end) end end
      if text == 'leak' then LEAK = LEAK or {} while true do LEAK[#LEAK+1] = ('x'):rep(1000) .. #LEAK end end
      if text == 'rep' then return ('x'):rep(1e9) end
      if text == 'sort' then local t = {} for i=1,1000 do t[i]=i end table.sort(t, function() while true do end end) end
      if text == 'gsub' then return (('x'):rep(1000):gsub('x', function() while true do end end)) end
      if text == 'rec' then local function f() return f() + 1 end return f() end
      if text == 'tail' then local function f() return f() end return f() end
      if text == 'meta' then return setmetatable({}, {__index = function() while true do end end}) end
      if text == 'nil' then return m.foo.bar end
      if text == 'err' then error({}) end
      if text == 'err2' then error('nope', 0) end
      if text == 'err3' then error('nope') end
      if text == 'concat' then local s = 'x' while true do s = s .. s end end
      if text == 'assert' then assert(false, 'what') end
      return 'here'
    end }")]);
    for text in ["loop", "pcall", "swallow", "find", "xp", "mem", "memp", "leak", "rep", "sort", "gsub", "rec", "tail", "meta", "nil", "err", "err2", "err3", "concat", "assert", "ok"] {
        let start = Instant::now();
        let d = set.decide(message(text)).await;
        eprintln!("{text}: {:?} {:?}", start.elapsed(), d);
        eprintln!("    {}", decided(&set, message("ok")).await);
    }
}
