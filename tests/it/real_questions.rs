//! What the real Claude Code asks, and what it makes of the answers.

use moonlane::local::Message;
use serde_json::{Value, json};

use crate::live::line_with;
use crate::questions::{allow_always, button, ended, fill_in, plain, question};
use crate::real_claude::Real;

/// A use of a shell command.
fn bash(command: &str) -> String {
    format!("TOOL:Bash:{}", json!({ "command": command, "description": "Try it" }))
}

impl Real {
    /// Presses this button of a question.
    fn press(&self, asked: &Message, what: &str) {
        self.stage.discord.press(asked.id, self.stage.discord.owner(), &button(asked, what)).unwrap();
    }

    /// Waits for a question, answers it by this button, and returns what it said, and what it says in the end.
    async fn answers(&self, what: &str) -> (String, String) {
        let asked = question(&self.stage, "general").await;
        match what {
            "plan" => fill_in(&self.stage, &asked, what, &[("words", "less of it")]).await,
            _ => self.press(&asked, what),
        }
        let ended = ended(&self.stage, &asked).await;
        (asked.content, ended.lines().last().unwrap_or_default().to_owned())
    }

    /// How many questions there were so far.
    fn asked(&self) -> usize {
        let messages = self.stage.discord.messages(self.stage.discord.channel("general"));
        messages.iter().filter(|it| it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("q-"))).count()
    }

    /// The settings of the agents' user.
    fn settings(&self) -> Value {
        let text = std::fs::read(self.stage.root().join("home/.claude/settings.json"));
        text.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
    }
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_asks_for_each_call_that_is_allowed_once_and_not_for_what_the_session_allows() {
    let real = Real::open().await;
    let first = real.stage.say("general", &bash("touch once"));
    let (asked, end) = real.answers("allow").await;
    assert!(asked.contains("touch once"), "{asked}");
    assert_eq!(end, "-# ✅ Allowed once by @owner");
    real.answer(first).await;
    assert!(real.stage.work().join("once").exists());

    let second = real.stage.say("general", &bash("touch twice"));
    real.answers("session").await;
    real.answer(second).await;
    real.ask(&bash("touch twice again")).await;
    assert!(real.stage.work().join("again").exists());
    assert_eq!(real.asked(), 2, "the third call is one that the session allows");
    assert_eq!(real.settings()["permissions"], Value::Null);
    real.bot.stop().await;
}

/// An MCP server whose tools ask people: for their name, to open an address, and to open one that is none of the web.
const FORMS: &str = r#"
import json, sys
def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
schema = {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string", "title": "Your name"}, "age": {"type": "integer", "minimum": 18},
    "size": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]},
    "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
}}
asks = {
    "sign_up": {"message": "Please sign up.", "requestedSchema": schema},
    "pay": {"mode": "url", "message": "Pay here.", "url": "https://pay.example.org/?order=7", "elicitationId": "7"},
    "run": {"mode": "url", "message": "Pay here.", "url": "javascript:alert(1)", "elicitationId": "8"},
}
call = None
for line in sys.stdin:
    told = json.loads(line)
    method, id = told.get("method"), told.get("id")
    if method == "initialize":
        version = told["params"]["protocolVersion"]
        send(id=id, result={"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "a name of its choice", "version": "1"}})
    elif method == "tools/list":
        empty = {"type": "object", "properties": {}}
        send(id=id, result={"tools": [{"name": name, "inputSchema": empty, "_meta": {"anthropic/alwaysLoad": True}} for name in asks]})
    elif method == "tools/call":
        call = id
        send(id="asks", method="elicitation/create", params=asks[told["params"]["name"]])
    elif id == "asks":
        send(id=call, result={"content": [{"type": "text", "text": json.dumps(told.get("result", told.get("error")))}]})
    elif id is not None:
        send(id=id, result={})
"#;

/// The real CLI with that server.
async fn with_forms() -> Real {
    let server = r#"[[{ "mcpServers": { "forms": { "command": "python3", "args": ["WORK/forms.py"] } } }]]"#;
    let real = Real::with(&format!("mcp_config = {{ {server} }}, allowed_tools = {{ 'mcp__forms' }},")).await;
    std::fs::write(real.stage.work().join("forms.py"), FORMS).unwrap();
    real
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn an_mcp_server_reads_what_a_person_has_filled_in_or_that_they_do_not_want_to() {
    let real = with_forms().await;
    let turn = real.stage.say("general", "TOOL:mcp__forms__sign_up:{}");
    let asked = question(&real.stage, "general").await;
    insta::assert_snapshot!(plain(&real.stage, &asked.content), @"
    @owner The MCP server `forms` asks:
    ```txt
    Please sign up.
    ```
    -# • `Your name`: text
    -# • `age` (may be left out): a whole number of at least 18
    -# • `size` (may be left out): one of these: `Small`, `Large`
    -# • `tags` (may be left out): any of these: `a`, `b`
    -# What you write goes to that server: no passwords and no keys.
    ");
    let owner = real.stage.discord.owner();
    let chosen = real.stage.discord.choose(asked.id, owner, &button(&asked, "menu3"), &["0", "1"]).unwrap();
    crate::support::within("a choice", real.stage.discord.acknowledged(chosen)).await;
    fill_in(&real.stage, &asked, "fill_in", &[("0", "Ada"), ("1", "36")]).await;
    assert!(ended(&real.stage, &asked).await.ends_with("-# ✅ Answered by @owner"));
    insta::assert_snapshot!(real.answer(turn).await, @r#"the tool said: [{"text":"{\"action\": \"accept\", \"content\": {\"age\": 36, \"name\": \"Ada\", \"tags\": [\"a\", \"b\"]}}","type":"text"}]"#);
    for (tool, press, end, action) in [
        ("sign_up", "decline", "🚫 Declined by @owner", "decline"),
        ("sign_up", "dismiss", "✖️ Cancelled by @owner", "cancel"),
        ("pay", "done", "✅ Answered by @owner", "accept"),
        ("pay", "decline", "🚫 Declined by @owner", "decline"),
    ] {
        let turn = real.stage.say("general", &format!("TOOL:mcp__forms__{tool}:{{}}"));
        let (asked, ends) = real.answers(press).await;
        assert_eq!(asked.contains("```txt\nhttps://pay.example.org/?order=7\n```"), tool == "pay", "{asked}");
        assert_eq!(ends, format!("-# {end}"));
        let answer = real.answer(turn).await;
        assert!(answer.contains(&format!(r#"{{\"action\": \"{action}\"}}"#)), "{answer}");
    }
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn what_an_mcp_server_wants_is_withdrawn_by_stop_and_refused_where_it_cannot_be_asked() {
    let real = with_forms().await;
    let turn = real.stage.say("general", "TOOL:mcp__forms__pay:{}");
    let asked = question(&real.stage, "general").await;
    let line = line_with(&real.stage, asked.channel, "Waiting for").await;
    real.stage.discord.press(line, real.stage.discord.owner(), &format!("stop:{turn}")).unwrap();
    let end = ended(&real.stage, &asked).await;
    assert!(end.ends_with("Not needed any more: the turn was stopped or is over"), "{end}");
    real.answer(turn).await;
    let answer = real.ask("TOOL:mcp__forms__run:{}").await;
    insta::assert_snapshot!(answer, @r#"
    the tool said: [{"text":"{\"action\": \"cancel\"}","type":"text"}]

    -# The MCP server `forms` wanted something of a person, which can't be answered here
    "#);
    assert_eq!(real.asked(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn what_a_session_allows_holds_over_a_restart_for_just_these_calls_and_for_edits() {
    let mut real = Real::with("allowed_tools = { 'WebSearch' },").await;
    let first = real.stage.say("general", &bash("touch a,b"));
    let (asked, _) = real.answers("session").await;
    assert!(asked.contains("touch a,b"), "{asked}");
    real.answer(first).await;
    real.bot.stop().await;
    real.bot = Real::start(&real.stage).await;
    // A comma is no end of the rule.
    std::fs::remove_file(real.stage.work().join("a,b")).unwrap();
    real.ask(&bash("touch a,b")).await;
    assert!(real.stage.work().join("a,b").exists());
    let other = real.stage.say("general", &bash("touch other"));
    real.answers("deny").await;
    real.answer(other).await;
    assert!(!real.stage.work().join("other").exists());

    let write = |name: &str| {
        let file = real.stage.work().join(name);
        format!("TOOL:Write:{}", json!({ "file_path": file, "content": "x" }))
    };
    let (one, two) = (write("one"), write("two"));
    let edit = real.stage.say("general", &one);
    real.answers("session").await;
    real.answer(edit).await;
    real.bot.stop().await;
    real.bot = Real::start(&real.stage).await;
    real.ask(&two).await;
    assert!(real.stage.work().join("two").exists());
    assert_eq!(real.asked(), 3);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn what_is_always_allowed_is_in_the_settings_of_the_agents_user_and_holds_in_every_session() {
    let real = Real::open().await;
    let first = real.stage.say("general", &bash("touch first"));
    let asked = question(&real.stage, "general").await;
    allow_always(&real.stage, &asked).await;
    real.answer(first).await;
    assert_eq!(ended(&real.stage, &asked).await.lines().last().unwrap(), "-# ✅ Always allowed by @owner");
    insta::assert_snapshot!(real.settings()["permissions"], @r#"{"allow":["Bash(touch first *)"]}"#);
    assert!(!real.stage.work().join(".claude").exists(), "nothing of it is in the project");
    let other = real.stage.say("elsewhere", &bash("touch first again"));
    real.answer(other).await;
    assert!(real.stage.work().join("again").exists());
    assert_eq!(real.asked(), 1);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_reads_that_a_person_has_denied_a_call() {
    let real = Real::open().await;
    let turn = real.stage.say("general", &bash("touch made"));
    real.answers("deny").await;
    let answer = real.answer(turn).await;
    insta::assert_snapshot!(answer, @r#"the tool said: "The person denied this. Do not try it again in another way; go on without it, or ask what to do instead.""#);
    assert!(!real.stage.work().join("made").exists());
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn two_questions_at_once_are_answered_each_by_its_own_buttons() {
    let mut real = Real::open().await;
    // With a single slot, which is to be had as long as one of them is open.
    real.bot.stop().await;
    let config = real.stage.root().join("config/moonlane.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[agent]", "[agent]\nmax_running = 1")).unwrap();
    real.bot = Real::start(&real.stage).await;
    let outside = real.stage.root().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for (name, content) in [("a", "fernweh"), ("b", "wanderlust")] {
        std::fs::write(outside.join(name), content).unwrap();
    }
    let calls = ["a", "b"].map(|name| json!(["Read", { "file_path": outside.join(name) }]));
    let turn = real.stage.say("general", &format!("TOOLS:{}", json!(calls)));
    let general = real.stage.discord.channel("general");
    let both = real.stage.discord.wait_until(|discord| {
        let messages = discord.messages(general);
        let is_open = |it: &&Message| {
            it.nonce.as_ref().is_some_and(|nonce| nonce.starts_with("q-")) && !it.components.is_empty()
        };
        let open: Vec<&Message> = messages.iter().filter(is_open).collect();
        let of = |name: &str| {
            open.iter().find(|it| it.content.contains(&format!("outside/{name}"))).map(|it| (*it).clone())
        };
        Some([of("a")?, of("b")?])
    });
    let [a, b] = crate::support::within("both questions", both).await;
    // The later one first.
    real.press(&b, "deny");
    ended(&real.stage, &b).await;
    let other = real.stage.say("elsewhere", "Is there a slot?");
    assert_eq!(real.answer(other).await, "you said: Is there a slot?");
    real.press(&a, "allow");
    real.answer(turn).await;
    let said = real.api.requests("TOOLS").pop().unwrap().conversation();
    assert!(said.contains("fernweh") && !said.contains("wanderlust"), "{said}");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_question_is_withdrawn_by_stop_and_the_agent_goes_on_with_the_next_turn() {
    let real = Real::open().await;
    let turn = real.stage.say("general", &bash("touch made"));
    let asked = question(&real.stage, "general").await;
    let line = line_with(&real.stage, asked.channel, "Waiting for").await;
    real.stage.discord.press(line, real.stage.discord.owner(), &format!("stop:{turn}")).unwrap();
    let end = ended(&real.stage, &asked).await;
    assert!(end.ends_with("Not needed any more: the turn was stopped or is over"), "{end}");
    real.answer(turn).await;
    assert_eq!(real.ask("And now?").await, "you said: And now?");
    assert_eq!(real.agents_started(), 1);
    assert!(!real.stage.work().join("made").exists());
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_reads_which_option_was_chosen() {
    let real = Real::open().await;
    let asks = json!({ "questions": [{
        "question": "Which colour?", "header": "Colour", "multiSelect": false,
        "options": [{ "label": "Red", "description": "warm" }, { "label": "Blue", "description": "cold" }],
    }] });
    let turn = real.stage.say("general", &format!("TOOL:AskUserQuestion:{asks}"));
    let (_, end) = real.answers("pick1").await;
    assert_eq!(end, "-# ✅ Answered by @owner");
    let answer = real.answer(turn).await;
    insta::assert_snapshot!(answer, @r#"the tool said: "Your questions have been answered: \"Which colour?\"=\"Blue\". You can now continue with these answers in mind.""#);
    real.bot.stop().await;
}

/// Two questions, the second with several choices, of which one has a comma.
fn two_questions() -> String {
    let asks = json!({ "questions": [
        { "question": "Which colour?", "header": "Colour", "multiSelect": false,
          "options": [{ "label": "Red", "description": "warm" }, { "label": "Blue", "description": "cold" }] },
        { "question": "Which toppings?", "header": "Toppings", "multiSelect": true,
          "options": [{ "label": "Ham", "description": "pink" }, { "label": "Olives, green", "description": "salty" },
                      { "label": "Corn", "description": "sweet" }] },
    ] });
    format!("TOOL:AskUserQuestion:{asks}")
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_reads_the_answers_to_several_questions_and_each_of_several_choices() {
    let real = Real::open().await;
    let turn = real.stage.say("general", &two_questions());
    let asked = question(&real.stage, "general").await;
    for (menu, chosen) in [("menu0", &["1"][..]), ("menu1", &["0", "1"])] {
        let (owner, id) = (real.stage.discord.owner(), button(&asked, menu));
        let did = real.stage.discord.choose(asked.id, owner, &id, chosen).unwrap();
        crate::support::within("a choice", real.stage.discord.acknowledged(did)).await;
    }
    let (_, end) = real.answers("send").await;
    assert_eq!(end, "-# ✅ Answered by @owner");
    insta::assert_snapshot!(real.answer(turn).await, @r#"the tool said: "Your questions have been answered: \"Which colour?\"=\"Blue\", \"Which toppings?\"=\"Ham,Olives, green\". You can now continue with these answers in mind.""#);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_reads_which_option_was_chosen_of_those_with_previews() {
    let real = Real::open().await;
    let asks = json!({ "questions": [{
        "question": "Which greeting?", "header": "Greeting", "multiSelect": false,
        "options": [
            { "label": "Plain", "description": "One line", "preview": "Hello, Ada!" },
            { "label": "Framed", "description": "In a box", "preview": "+--------+\n| Hello! |\n+--------+" },
        ],
    }] });
    let turn = real.stage.say("general", &format!("TOOL:AskUserQuestion:{asks}"));
    let (_, end) = real.answers("pick1").await;
    assert_eq!(end, "-# ✅ Answered by @owner");
    insta::assert_snapshot!(real.answer(turn).await, @r#"the tool said: "Your questions have been answered: \"Which greeting?\"=\"Framed\". You can now continue with these answers in mind.""#);
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_reads_what_a_person_types_in_place_of_a_choice() {
    let real = Real::open().await;
    let turn = real.stage.say("general", &two_questions());
    let asked = question(&real.stage, "general").await;
    let typed = [("0", "a \"darker\" one"), ("1", "tuna, and capers")];
    fill_in(&real.stage, &asked, "other", &typed).await;
    assert!(ended(&real.stage, &asked).await.ends_with("-# ✅ Answered by @owner"));
    insta::assert_snapshot!(real.answer(turn).await, @r#"the tool said: "The user answered: \"Which colour?\"=\"a \"darker\" one\", \"Which toppings?\"=\"tuna, and capers\". Read the answers carefully — they may request clarification, changes, or that you not proceed — and follow what they actually say.""#);
    real.bot.stop().await;
}

impl Real {
    /// Has Claude write this plan where the CLI wants it, and present it.
    async fn presents(&self, plan: &str) -> moonlane::local::Id {
        self.ask("plan something").await;
        let told = self.api.asked("plan something").await.conversation();
        let (before, after) =
            told.split_once("/.claude/plans/").expect("the CLI tells where the plan belongs");
        let from = before.rfind(|c: char| !(c.is_alphanumeric() || "/-_.".contains(c))).unwrap();
        let (name, _) = after.split_once(".md").unwrap();
        let file = format!("{}/.claude/plans/{name}.md", &before[from + 1..]);
        self.ask(&format!("TOOL:Write:{}", json!({ "file_path": file, "content": plan }))).await;
        self.stage.say("general", "TOOL:ExitPlanMode:{}")
    }
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_plan_that_is_approved_with_edits_is_carried_out_without_asking_for_each() {
    let real = Real::with("permission_mode = 'plan',").await;
    let turn = real.presents("# The plan\n1. Make it.").await;
    let (asked, _) = real.answers("edits").await;
    assert!(asked.contains("Make it."), "{asked}");
    let answer = real.answer(turn).await;
    assert!(answer.contains("User has approved your plan"), "{answer}");
    // The next turn is in the mode that comes of it.
    let made = real.stage.work().join("made");
    real.ask(&format!("TOOL:Write:{}", json!({ "file_path": made, "content": "x" }))).await;
    assert!(made.exists());
    assert_eq!(real.asked(), 1, "only the plan");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn a_plan_that_is_not_approved_is_worked_on() {
    let real = Real::with("permission_mode = 'plan',").await;
    let turn = real.presents("# The plan\n1. Make it.").await;
    real.answers("plan").await;
    let answer = real.answer(turn).await;
    assert!(answer.contains("The person does not approve the plan yet and said: less of it"), "{answer}");
    real.bot.stop().await;
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn the_subagent_that_asks_is_named() {
    let real = Real::open().await;
    let task = json!({ "description": "Look at `A`", "subagent_type": "general-purpose", "prompt": bash("touch sub") });
    real.stage.say("general", &format!("TOOL:Agent:{task}"));
    let (asked, _) = real.answers("allow").await;
    let (first, _) = asked.split_once('\n').unwrap();
    assert!(
        first.ends_with(
            "> The subagent `general-purpose` (`Look at ⟨U+0060⟩A⟨U+0060⟩`) wants to run a command:"
        ),
        "{first}"
    );
    real.bot.stop().await;
}
