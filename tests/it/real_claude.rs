//! The whole bot with the real Claude Code, over a Messages API of our own: no network, no account.
//!
//! `MOONLANE_TEST_CLAUDE` names the executable, and `--include-ignored` has these tests run. The bot is a process of its
//! own with an environment of its own, so the CLI gets a home in a temporary folder and nothing of the machine's.

use std::time::{Duration, Instant};

use moonlane::local::Id;
use rustix::process::Signal;

use crate::messages_api::MessagesApi;
use crate::separate::{Process, bot_on, clean};
use crate::support::{Setup, Stage, processes_where, within};

/// The executable of the real CLI.
pub fn claude() -> String {
    std::env::var("MOONLANE_TEST_CLAUDE").expect("MOONLANE_TEST_CLAUDE names the real Claude Code")
}

/// A stage with the real CLI as its agent.
pub struct Real {
    pub stage: Stage,
    pub api: MessagesApi,
    pub bot: Process,
}

impl Real {
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// With more keys for the project; `WORK` in them is the work folder.
    pub async fn with(keys: &str) -> Self {
        let claude = claude();
        let api = MessagesApi::start().await;
        let mode = if keys.contains("permission_mode =") { "" } else { r#"permission_mode = "default","# };
        let routing = format!(
            r#"return {{
                projects = {{ here = {{ dir = "WORK", footer = false, {mode} {keys} env = {{
                    ANTHROPIC_BASE_URL = "{}", CLAUDE_CODE_MAX_RETRIES = "1",
                }} }} }},
                route = function() return "here" end,
            }}"#,
            api.url()
        );
        let stage =
            Stage::without_bot(Setup { routing, agent: vec![claude.clone()], ..Setup::default() }).await;
        let version = clean(&claude, stage.root()).arg("--version").output().await;
        let version = version.unwrap_or_else(|error| panic!("MOONLANE_TEST_CLAUDE={claude}: {error}"));
        eprintln!("Claude Code {}", String::from_utf8_lossy(&version.stdout).trim());
        let bot = Self::start(&stage).await;
        Self { stage, api, bot }
    }

    pub async fn start(stage: &Stage) -> Process {
        let temporary = stage.root().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        Process::ready(bot_on(stage).env("ANTHROPIC_API_KEY", "sk-ant-dummy").env("TMPDIR", temporary)).await
    }

    /// The owner mentions the bot and waits for the answer.
    pub async fn ask(&self, text: &str) -> String {
        self.answer(self.stage.say("general", text)).await
    }

    pub async fn answer(&self, question: Id) -> String {
        self.stage.parts_posted(question, 1).await;
        self.stage.answer(question)
    }

    /// How many agents the bot has started.
    pub fn agents_started(&self) -> usize {
        self.bot.said().matches("started an agent").count()
    }
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_answers_follows_up_in_the_same_process_and_resumes_after_a_restart() {
    let mut real = Real::open().await;
    assert_eq!(real.ask("The word is fernweh.").await, "you said: The word is fernweh.");
    assert_eq!(real.ask("Which word was it?").await, "you said: Which word was it?");
    assert_eq!(real.agents_started(), 1);
    real.bot.stop().await;
    real.bot = Real::start(&real.stage).await;
    assert_eq!(real.ask("And now?").await, "you said: And now?");
    assert_eq!(real.agents_started(), 1);

    let first = real.api.asked("The word is fernweh.").await;
    let follow_up = real.api.asked("Which word was it?").await;
    let resumed = real.api.asked("And now?").await;
    for said in ["The word is fernweh.", "you said: The word is fernweh.", "Which word was it?"] {
        assert!(follow_up.conversation().contains(said), "{}", follow_up.conversation());
        assert!(resumed.conversation().contains(said), "{}", resumed.conversation());
    }
    assert!(!first.session.is_empty());
    assert_eq!(first.session, follow_up.session);
    assert_eq!(first.session, resumed.session);
    assert!(real.stage.root().join("home/.claude/projects").is_dir(), "its home is the temporary one");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_is_denied_a_tool_that_nobody_allows_and_the_answer_names_it() {
    let real = Real::with("limits = { question = 0.05 },").await;
    let answer = real.ask(r#"TOOL:Bash:{"command": "touch made", "description": "Make it"}"#).await;
    insta::assert_snapshot!(answer, @r#"
    the tool said: "Nobody answered within a moment, so this is denied: the person is away. Do what can be done without it, and say at the end what is left and why."

    -# Not allowed here: `Bash(touch made)`. To allow it, add `Bash(touch made *)` to `projects.here.allowed_tools` in routing.lua
    "#);
    assert!(!real.stage.work().join("made").exists());
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_gets_what_a_person_types_as_text() {
    let real = Real::open().await;
    real.ask("The word is fernweh.").await;
    for typed in ["/clear", "Read @/etc/passwd to me", "/etc/passwd?", "!touch made", "# remember this"] {
        assert_eq!(real.ask(typed).await, format!("you said: {typed}"));
        let request = real.api.asked(typed).await;
        let conversation = request.conversation();
        assert!(conversation.contains("The word is fernweh."), "{typed} forgot: {conversation}");
        assert!(!conversation.contains("root:x:0"), "{typed} attached a file: {conversation}");
    }
    assert!(!real.stage.work().join("made").exists());
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_is_stopped_when_its_question_is_deleted_and_goes_on_with_the_next() {
    let real = Real::open().await;
    real.ask("The word is fernweh.").await;
    let question = real.stage.say("general", "STALL");
    real.api.asked("STALL").await;
    let next = real.stage.say("general", "Which word was it?");
    real.stage.discord.delete(question);
    assert_eq!(real.answer(next).await, "you said: Which word was it?");
    assert!(real.stage.parts(question).is_empty());
    assert_eq!(real.agents_started(), 1);
    let request = real.api.asked("Which word").await;
    assert!(request.conversation().contains("The word is fernweh."), "{}", request.conversation());
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_takes_every_key_of_a_project() {
    let keys = r#"effort = "low", fallback_model = "haiku,sonnet", max_turns = 2, max_usd = 50, add_dirs = { "WORK/../more dirs" },
        mcp_config = { [[{ "mcpServers": { "dead": { "command": "/bin/false" } } }]], "WORK/mcp.json" },
        settings = [[{ "permissions": { "allow": ["Bash"] }, "env": { "MARK": "77" } }]],
        command = { "env", "PREFIX=88" },"#;
    let real = Real::with(keys).await;
    let more = real.stage.root().join("more dirs");
    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("note"), "fernweh").unwrap();
    std::fs::write(real.stage.work().join("mcp.json"), r#"{ "mcpServers": {} }"#).unwrap();
    // Allowed and with its variable only by `settings`; the other variable is the prefix's.
    let answer = real.ask(r#"TOOL:Bash:{"command": "echo $MARK $PREFIX"}"#).await;
    assert_eq!(answer, r#"the tool said: "77 88""#);
    let request = real.api.asked("echo $MARK").await;
    assert_eq!(request.body["output_config"]["effort"], "low");
    // Nobody could be asked about a file elsewhere.
    let answer = real.ask(&format!(r#"TOOL:Read:{{"file_path": "{}/note"}}"#, more.display())).await;
    assert!(answer.contains("fernweh"), "{answer}");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_runs_restricted_and_within_its_budget_and_its_steps() {
    let real = Real::with("restricted = true,").await;
    real.ask("hello").await;
    let request = real.api.asked("hello").await;
    let tools: Vec<_> =
        request.body["tools"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(tools.contains(&"Read") && !tools.contains(&"Bash") && !tools.contains(&"WebFetch"), "{tools:?}");
    real.bot.stop().await;

    let real = Real::with("max_usd = 0.000001,").await;
    for _ in 0..2 {
        let answer = real.ask("hello").await;
        assert!(answer.contains("budget"), "{answer}");
    }
    assert_eq!(real.agents_started(), 2);
    real.bot.stop().await;

    let real = Real::with("max_turns = 1,").await;
    let answer = real.ask(r#"TOOL:Read:{"file_path": "x"}"#).await;
    assert!(answer.contains("limit of steps"), "{answer}");
    assert_eq!(real.ask("and now?").await, "you said: and now?");
    assert_eq!(real.agents_started(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_and_its_tools_end_when_the_bot_is_killed_and_the_session_goes_on() {
    let mut real = Real::with(r#"allowed_tools = { "Bash" },"#).await;
    real.ask("The word is fernweh.").await;
    let script = "import time; open('made', 'w'); time.sleep(300)";
    let tool = serde_json::json!({ "command": format!("python3 -c \"{script}\""), "description": "Wait" });
    let question = real.stage.say("general", &format!("TOOL:Bash:{tool}"));
    let made = real.stage.work().join("made");
    within("the tool at work", async {
        while !made.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let id = std::fs::read_to_string(real.stage.root().join("moonlane.db.agents")).unwrap();
    // The line below it says where the agents' control groups are.
    let id = id.lines().next().unwrap();
    let mark = format!("CLAUDE_LANE_MARK={id}.").into_bytes();
    let marked = || processes_where(|variable| variable.starts_with(&mark)).len();
    let at_work = marked();
    assert!(at_work >= 4, "guard, CLI, shell and tool have the mark, not only {at_work}");

    let killed = Instant::now();
    real.bot.signal(Signal::KILL);
    real.bot.ended().await;
    real.bot = Real::start(&real.stage).await;
    assert_eq!(marked(), 0);
    println!("{at_work} processes were gone, and the next bot ready, {:?} after the kill", killed.elapsed());
    assert!(real.answer(question).await.contains("I was stopped while working on this"));
    assert_eq!(real.ask("And now?").await, "you said: And now?");
    let request = real.api.asked("And now?").await;
    assert!(request.conversation().contains("The word is fernweh."), "{}", request.conversation());
    real.bot.stop().await;
}
