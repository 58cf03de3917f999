//! Agents as real child processes: the demo agent, told by its prompt what to do.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moonlane::agent::{
    Agents, Ask, AskEnd, AskResult, Failure, Further, Progress, QuestionAnswer, Reason, SessionStart,
};
use moonlane::config;
use moonlane::domain::{
    AnswerForm, ChannelId, Limits, MicroUsd, PermissionMode, Project, ProjectName, SessionGrants, SessionId,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::busy::Stopwatch;
use crate::support::{processes_where, within};

/// No further messages for the turn.
fn nothing_more() -> mpsc::UnboundedReceiver<Further> {
    mpsc::unbounded_channel().1
}

/// A pool of demo agents with a home of their own, and one channel to ask them in.
struct Bench {
    agents: Agents,
    project: Project,
    session: SessionStart,
    home: TempDir,
    progress: Arc<Mutex<Vec<Progress>>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut config::Agent)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let command = [env!("CARGO_BIN_EXE_moonlane"), "demo-agent"].map(str::to_owned).to_vec();
        let guard = env!("CARGO_BIN_EXE_moonlane").into();
        let mut config = config::Agent { command, guard, ..config::Agent::default() };
        change(&mut config);
        let environment: [(OsString, OsString); 4] = [
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
            ("CLAUDE_CONFIG_DIR".into(), home.path().join("claude").into()),
            ("MOONLANE_SECRET".into(), "secret".into()),
            ("DISCORD_TOKEN".into(), "secret".into()),
        ];
        let seconds = Duration::from_secs;
        let log = home.path().join("log").to_str().unwrap().to_owned();
        let limits = Limits {
            start: seconds(20),
            wake: seconds(20),
            silence: seconds(20),
            tool: seconds(20),
            turn: seconds(40),
            after_result: seconds(5),
            continue_spread: Duration::ZERO,
            question: Duration::from_secs(60),
            question_choice: None,
        };
        let project = Project {
            setting_sources: Vec::new(),
            env: BTreeMap::from([("DEMO_AGENT_LOG".to_owned(), log)]),
            ..Project::new(ProjectName("test".to_owned()), home.path().to_owned(), limits)
        };
        let session = SessionStart::New(SessionId::random());
        let agents = Agents::new(config, environment);
        Self { agents, project, session, home, progress: Arc::default() }
    }

    fn ask_of(&self, prompt: &str) -> Ask {
        Ask {
            channel: ChannelId::new(1).unwrap(),
            project: Arc::new(self.project.clone()),
            model: None,
            permission_mode: None,
            grants: SessionGrants::default(),
            session: self.session,
            prompt: prompt.to_owned().into(),
            files: None,
            sent: None,
        }
    }

    async fn ask_with(&self, ask: Ask, stop: CancellationToken) -> AskResult {
        self.progress.lock().unwrap().clear();
        let progress = Arc::clone(&self.progress);
        let begin = std::future::ready(true);
        self.agents
            .ask(ask, nothing_more(), stop, begin, move |happened| progress.lock().unwrap().push(happened))
            .await
    }

    async fn ask(&self, prompt: &str) -> AskResult {
        self.ask_with(self.ask_of(prompt), CancellationToken::new()).await
    }

    /// The same, and every question of the agent's gets this answer.
    async fn ask_and_answer(&self, prompt: &str, answer: QuestionAnswer) -> AskResult {
        let (further, coming) = mpsc::unbounded_channel();
        let heard = move |happened| {
            if let Progress::Asked(question) = happened {
                let _ = further.send(Further::Answer { question: question.id, answer: answer.clone() });
            }
        };
        let stop = CancellationToken::new();
        self.agents.ask(self.ask_of(prompt), coming, stop, std::future::ready(true), heard).await
    }

    async fn answer(&self, prompt: &str) -> String {
        match self.ask(prompt).await.end {
            AskEnd::Answered(answer) => answer,
            end => panic!("{prompt}: {end:?}"),
        }
    }

    async fn failure(&self, prompt: &str) -> Failure {
        match self.ask(prompt).await.end {
            AskEnd::Failed(failure) => failure,
            end => panic!("{prompt}: {end:?}"),
        }
    }

    /// Runs `ask` and stops it once the progress shows `sign`.
    async fn stop_at(&self, prompt: &str, sign: Progress) -> AskResult {
        let stop = CancellationToken::new();
        let stopper = stop.clone();
        let heard = move |happened| {
            if happened == sign {
                stopper.cancel();
            }
        };
        self.agents.ask(self.ask_of(prompt), nothing_more(), stop, std::future::ready(true), heard).await
    }

    /// The events that agents wrote to their log, of one kind.
    fn logged(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// How many agents were started so far.
    fn starts(&self) -> usize {
        self.logged("start").len()
    }

    /// Every process whose environment names this bench's home, zombies apart.
    fn processes(&self) -> Vec<u32> {
        let home = self.home.path().to_str().unwrap().to_owned();
        processes_where(|variable| variable.windows(home.len()).any(|it| it == home.as_bytes()))
    }

    /// Waits until no process is left; fails after 5 s.
    async fn none_left(&self) {
        until("no process is left", || self.processes().is_empty()).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Stopwatch::start();
    while !holds() {
        assert!(begun.is_within(Duration::from_secs(5)), "after {begun:?}: {what} does not hold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn first_text() -> Progress {
    Progress::Text("on it".to_owned())
}

#[tokio::test]
async fn a_follow_up_is_served_by_the_same_process() {
    let bench = Bench::new();
    let asked = bench.ask("TEXT:one").await;
    assert_eq!(asked.end, AskEnd::Answered("one".to_owned()));
    let seen = asked.session.unwrap();
    assert_eq!(SessionStart::New(seen.id), bench.session);
    assert_eq!((asked.session_lost, seen.num_turns, seen.cost.unwrap().0), (false, 1, 1000));
    let progress = bench.progress.lock().unwrap().clone();
    assert!(matches!(progress[0], Progress::Started { .. }), "{progress:?}");
    assert_eq!(
        progress[1..],
        [
            Progress::Ready,
            Progress::Prompted,
            Progress::Text("one".to_owned()),
            Progress::Said("one".to_owned())
        ]
    );

    assert_eq!(bench.answer("SAY").await, "TEXT:one");
    assert_eq!((bench.starts(), bench.agents.live()), (1, 1));
}

#[tokio::test]
async fn a_later_process_resumes_the_session() {
    let mut bench = Bench::new();
    let seen = bench.ask("TEXT:one").await.session.unwrap();
    bench.agents.close_all().await;
    assert_eq!(bench.agents.live(), 0);

    // The next bot has the same home.
    let next = Bench::new();
    bench.agents = next.agents.clone();
    bench.project.env.insert(
        "CLAUDE_CONFIG_DIR".to_owned(),
        bench.home.path().join("claude").to_str().unwrap().to_owned(),
    );
    bench.session = SessionStart::Live(seen.id);
    let asked = bench.ask("SAY").await;
    assert_eq!(asked.end, AskEnd::Answered("TEXT:one".to_owned()));
    assert_eq!(asked.session.unwrap().cost.unwrap().0, 2000);
    assert!(!asked.session_lost);
}

#[tokio::test]
async fn a_new_session_that_is_known_already_is_resumed() {
    let bench = Bench::new();
    // The bot died before it saw the first result: the store still says new.
    bench.answer("TEXT:one").await;
    let other = Bench::with(|config| config.idle_close = Duration::ZERO);
    let mut ask = bench.ask_of("SAY");
    ask.channel = ChannelId::new(2).unwrap();
    let mut project = bench.project.clone();
    project.env.insert(
        "CLAUDE_CONFIG_DIR".to_owned(),
        bench.home.path().join("claude").to_str().unwrap().to_owned(),
    );
    ask.project = Arc::new(project);
    let asked = other.ask_with(ask, CancellationToken::new()).await;
    assert_eq!((asked.end, asked.session_lost), (AskEnd::Answered("TEXT:one".to_owned()), false));
}

#[tokio::test]
async fn a_lost_session_is_told_and_begun_afresh() {
    let mut bench = Bench::new();
    let gone = SessionId::random();
    bench.session = SessionStart::Live(gone);
    let asked = bench.ask("TEXT:hello").await;
    assert_eq!((asked.end, asked.session_lost), (AskEnd::Answered("hello".to_owned()), true));
    let fresh = asked.session.unwrap().id;
    assert_ne!(fresh, gone);
    bench.session = SessionStart::Live(fresh);
    let asked = bench.ask("SAY").await;
    assert_eq!((asked.end, asked.session_lost), (AskEnd::Answered("TEXT:hello".to_owned()), false));
    // One that failed to resume, one that answered twice.
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn prompts_of_any_size_and_script_arrive_byte_for_byte() {
    let bench = Bench::new();
    let long = "ECHO\n".to_owned() + &"0123456789abcdef".repeat(200_000);
    let odd = "ECHO\n\u{0}\u{7}\r\n👩‍👩‍👧‍👦 漢字 שלום @/etc/passwd /clear \"\\ \u{2028}".to_owned();
    for prompt in [long, odd] {
        let echo = bench.answer(&prompt).await;
        assert!(serde_json::from_str::<String>(&echo).unwrap() == prompt, "a prompt was changed on its way");
    }
    assert_eq!(bench.answer("").await.lines().count(), 4);
}

#[tokio::test]
async fn the_child_gets_directory_environment_and_arguments_of_its_project() {
    let mut bench = Bench::new();
    bench.project.env.insert("GREETING".to_owned(), "moin".to_owned());
    bench.project.env.insert("DISCORD_TOKEN".to_owned(), "secret".to_owned());
    let canonical = bench.home.path().canonicalize().unwrap();
    assert_eq!(Path::new(&bench.answer("CWD").await), canonical);
    assert_eq!(bench.answer("ENV:GREETING").await, "moin");
    assert_eq!(bench.answer("ENV:CLAUDE_CODE_DISABLE_BACKGROUND_TASKS").await, "1");
    for secret in ["DISCORD_TOKEN", "MOONLANE_SECRET", "CARGO_MANIFEST_DIR"] {
        assert_eq!(bench.answer(&format!("ENV:{secret}")).await, "(not set)", "{secret}");
    }
    let mut ask = bench.ask_of("ARGS");
    ask.model = Some("--dangerous".to_owned());
    let AskEnd::Answered(args) = bench.ask_with(ask, CancellationToken::new()).await.end else { panic!() };
    assert!(args.contains("stream-json") && !args.contains("dangerous") && !args.contains("ARGS"), "{args}");
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn model_and_mode_change_in_the_live_process_and_the_rest_replaces_it() {
    let mut bench = Bench::new();
    bench.answer("TEXT:one").await;
    bench.project.model = Some("opus".to_owned());
    bench.project.permission_mode = Some(PermissionMode::Plan);
    assert_eq!(bench.answer("MODE").await, "opus plan");
    bench.project.model = None;
    assert_eq!(bench.answer("MODE").await, "default plan");
    assert_eq!(bench.starts(), 1);

    // Refused over the control protocol, so a new process gets it as an argument.
    bench.project.permission_mode = Some(PermissionMode::BypassPermissions);
    assert!(bench.answer("ARGS").await.contains("--permission-mode=bypassPermissions"));
    assert_eq!(bench.starts(), 2);
    bench.project.system_prompt = Some("Be brief.".to_owned());
    assert!(bench.answer("ARGS").await.contains("--append-system-prompt=Be brief."));
    assert_eq!(bench.starts(), 3);
    let before = "TEXT:one\nMODE\nMODE\nARGS\nARGS";
    assert_eq!(bench.answer("SAY").await, before);
    assert_eq!(bench.agents.live(), 1);
}

#[tokio::test]
async fn a_mode_that_claude_changed_is_changed_back() {
    let mut bench = Bench::new();
    bench.project.permission_mode = Some(PermissionMode::AcceptEdits);
    bench.answer("MODE:plan ;; TEXT:I plan.").await;
    assert_eq!(bench.answer("MODE").await, "demo acceptEdits");
    assert_eq!(bench.starts(), 1);
    // What the CLI's settings say is not known here, so a new process reads them.
    bench.project.permission_mode = None;
    assert_eq!(bench.answer("MODE").await, "demo default");
    assert_eq!(bench.starts(), 2);
}

#[tokio::test]
async fn the_answer_is_what_follows_the_last_tool() {
    let mut bench = Bench::new();
    let prompt = "TEXT:I look. ;; TOOL:Read:a.txt ;; TEXT:One. ;; TEXT:Two.";
    assert_eq!(bench.answer(prompt).await, "One.\n\nTwo.");
    assert_eq!(bench.answer("TEXT:Before. ;; TOOL:Read:a").await, "Before.");
    bench.project.answer = AnswerForm::All;
    assert_eq!(bench.answer(prompt).await, "I look.\n\nOne.\n\nTwo.");
}

#[tokio::test]
async fn what_nobody_allows_is_denied_and_the_call_is_named() {
    let bench = Bench::new();
    let prompt = "ASK:Bash:rm ;; ASK:Write:x ;; ASK:Bash:ls ;; ASK:AskUserQuestion:?";
    let asked = bench.ask_and_answer(prompt, QuestionAnswer::Refuse("Go on without it.".to_owned())).await;
    let denied: Vec<_> =
        asked.denied.iter().map(|it| (it.tool.as_str(), it.what.as_deref(), it.reason)).collect();
    let denial = |tool, what| (tool, what, Reason::Unallowed);
    assert_eq!(denied, [denial("Bash", Some("rm")), denial("Write", None), denial("Bash", Some("ls"))]);
    let AskEnd::Answered(answer) = asked.end else { panic!("{:?}", asked.end) };
    assert!(answer.contains("as your answer"), "{answer}");
    assert_eq!(bench.ask("TEXT:next").await.denied, []);
}

#[tokio::test]
async fn what_a_person_decides_is_no_news_to_them() {
    let bench = Bench::new();
    for (answer, said) in [
        (QuestionAnswer::Allow, "Bash was allowed."),
        (QuestionAnswer::Deny("not now".to_owned()), "Bash was denied: not now"),
    ] {
        let asked = bench.ask_and_answer("ASK:Bash:rm", answer).await;
        assert_eq!((asked.end, asked.denied), (AskEnd::Answered(said.to_owned()), Vec::new()));
    }
}

#[tokio::test]
async fn no_limit_counts_while_a_person_is_asked() {
    let mut bench = Bench::new();
    let short = Duration::from_millis(400);
    let limits = &mut bench.project.limits;
    (limits.silence, limits.tool, limits.turn) = (short, short, 3 * short);
    let (further, coming) = mpsc::unbounded_channel();
    let heard = move |happened| {
        if let Progress::Asked(question) = happened {
            let further = further.clone();
            tokio::spawn(async move {
                tokio::time::sleep(4 * short).await;
                let answer = Further::Answer { question: question.id, answer: QuestionAnswer::Allow };
                further.send(answer).unwrap();
            });
        }
    };
    let (ask, stop) = (bench.ask_of("ASK:Bash:rm"), CancellationToken::new());
    let asked = bench.agents.ask(ask, coming, stop, std::future::ready(true), heard).await;
    assert_eq!(asked.end, AskEnd::Answered("Bash was allowed.".to_owned()));
}

#[tokio::test]
async fn a_stopped_turn_keeps_its_agent() {
    let bench = Bench::new();
    let asked = bench.stop_at("TEXT:on it ;; STALL", first_text()).await;
    assert_eq!((asked.end, asked.partial.as_str()), (AskEnd::Stopped, "on it"));
    assert!(asked.session.is_some());
    assert_eq!(bench.answer("TEXT:next").await, "next");
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn an_agent_that_ignores_interrupts_and_sigterm_is_killed() {
    let bench = Bench::new();
    let begun = Stopwatch::start();
    let asked = bench.stop_at("DEAF ;; FORK ;; TEXT:on it ;; STALL", first_text()).await;
    assert_eq!(asked.end, AskEnd::Stopped);
    assert!(begun.is_within(Duration::from_secs(5)), "{begun:?}");
    assert_eq!(bench.agents.live(), 0);
    bench.none_left().await;
    assert!(bench.answer("SAY").await.starts_with("DEAF"));
}

#[tokio::test]
async fn each_time_limit_has_its_own_failure() {
    let mut bench = Bench::new();
    let limit = Duration::from_secs(1);
    bench.answer("TEXT:warm").await;
    bench.project.limits.silence = limit;
    assert_eq!(bench.failure("TEXT:on it ;; STALL").await, Failure::Silence { limit });
    // A tool may be silent for longer than the model.
    assert_eq!(bench.answer("TOOL:Bash:sleep 1.5 ;; TEXT:done").await, "done");
    bench.project.limits.tool = limit;
    let tool = "Bash".to_owned();
    assert_eq!(bench.failure("TOOL:Bash:sleep 5").await, Failure::ToolTimeout { limit, tool });
    bench.project.limits.turn = limit;
    assert_eq!(bench.failure("DRIP:20 ;; LONG:9000").await, Failure::TurnTimeout { limit });
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn what_was_written_before_a_failure_is_kept() {
    let mut bench = Bench::new();
    bench.project.limits.silence = Duration::from_secs(1);
    let asked = bench.ask("TEXT:first ;; TOOL:Read:a ;; DRIP:1 ;; TEXT:second ;; STALL").await;
    assert_eq!(asked.partial, "second");
    let asked = bench.ask("TEXT:half ;; CRASH:7").await;
    assert_eq!(asked.partial, "half");
    let AskEnd::Failed(Failure::NoResult { exit, .. }) = asked.end else { panic!("{:?}", asked.end) };
    assert_eq!(exit, "exit status: 7");
    assert!(bench.answer("SAY").await.ends_with("CRASH:7"));
}

#[tokio::test]
async fn an_agent_that_never_gets_ready_is_ended() {
    let mut bench = Bench::with(|config| {
        config.command = ["sh", "-c", "echo no >&2; sleep 60"].map(str::to_owned).into()
    });
    bench.project.limits.start = Duration::from_secs(1);
    let begun = Stopwatch::start();
    let Failure::StartTimeout { stderr, .. } = bench.failure("x").await else { panic!() };
    assert_eq!(stderr, "no");
    // It heeds SIGTERM, so nobody waits for SIGKILL.
    assert!(begun.is_within(Duration::from_millis(2200)), "{begun:?}");
    bench.none_left().await;

    let mut bench = Bench::with(|config| config.command = ["sh", "-c", "yes"].map(str::to_owned).into());
    bench.project.limits.start = Duration::from_millis(300);
    let failure = within("the end of one that never stops printing", bench.failure("x")).await;
    assert!(matches!(failure, Failure::StartTimeout { .. }), "{failure:?}");
    bench.none_left().await;

    let bench = Bench::with(|config| {
        config.command = ["sh", "-c", "echo broken >&2; exit 3"].map(str::to_owned).into()
    });
    let expected = Failure::NotStarted { exit: "exit status: 3".to_owned(), stderr: "broken".to_owned() };
    assert_eq!(bench.failure("x").await, expected);
}

#[tokio::test]
async fn what_cannot_be_started_is_said() {
    let program = "no-such-program".to_owned();
    let bench = Bench::with(|config| config.command = vec!["no-such-program".to_owned()]);
    assert_eq!(bench.failure("x").await, Failure::NotInstalled { program });
    let bench = Bench::with(|config| config.command = vec!["/etc/hostname".to_owned()]);
    assert!(matches!(bench.failure("x").await, Failure::NotExecutable { .. }));
    let mut bench = Bench::new();
    bench.project.dir = PathBuf::from("/no/such/dir");
    assert!(matches!(bench.failure("x").await, Failure::DirectoryMissing { .. }));
    assert_eq!(bench.agents.live(), 0);
}

#[tokio::test]
async fn failures_of_the_api_leave_the_agent_alive_and_a_lost_login_does_not() {
    let bench = Bench::new();
    assert!(matches!(bench.failure("ERR:529").await, Failure::Overloaded { .. }));
    assert!(matches!(bench.failure("ERR:404").await, Failure::NoSuchModel { .. }));
    assert_eq!((bench.starts(), bench.agents.live()), (1, 1));
    assert!(matches!(bench.failure("ERR:401").await, Failure::NotLoggedIn { .. }));
    assert_eq!(bench.agents.live(), 0);
}

#[tokio::test]
async fn noise_does_no_harm() {
    let bench = Bench::new();
    assert_eq!(bench.answer("GARBAGE ;; STDERR:300000 ;; TEXT:fine").await, "fine");
    assert_eq!(bench.answer("BIG:40000000 ;; BIG:3000000 ;; TEXT:fine").await, "fine");
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn a_process_that_holds_stdout_delays_nothing() {
    let bench = Bench::new();
    let begun = Stopwatch::start();
    assert!(matches!(bench.failure("FORK ;; CRASH:1").await, Failure::NoResult { .. }));
    assert!(begun.is_within(Duration::from_secs(4)), "{begun:?}");
    bench.none_left().await;
}

#[tokio::test]
async fn a_process_outside_the_group_that_holds_stdout_delays_nothing() {
    let bench = Bench::new();
    let begun = Stopwatch::start();
    let failure = bench.failure("SETSID ;; SLEEP:0.3 ;; CRASH:1").await;
    assert!(matches!(failure, Failure::NoResult { .. }), "{failure:?}");
    assert!(begun.is_within(Duration::from_secs(4)), "{begun:?}");
    bench.none_left().await;
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn an_agent_that_died_between_turns_is_replaced_quietly() {
    let bench = Bench::new();
    bench.answer("TEXT:one").await;
    kill(bench.logged("start")[0]["pid"].as_u64().unwrap());
    assert_eq!(bench.answer("SAY").await, "TEXT:one");
    assert_eq!(bench.starts(), 2);
}

#[tokio::test]
async fn an_agent_whose_guard_was_killed_is_found_and_killed() {
    let bench = Bench::new();
    let guard = |bench: &Bench| {
        let started = |happened: &Progress| match happened {
            Progress::Started { pid } => Some(u64::from(*pid)),
            _ => None,
        };
        // The last: a session that is known already takes two tries.
        bench.progress.lock().unwrap().iter().filter_map(started).next_back().unwrap()
    };
    bench.answer("SETSID ;; DEAF ;; TEXT:one").await;
    kill(guard(&bench));
    until("the agent is given up", || bench.agents.live() == 0).await;
    bench.none_left().await;
    assert!(bench.answer("SAY").await.ends_with("TEXT:one"));

    let guard_of_the_next = guard(&bench);
    let killed = async {
        until("it is at work", || bench.logged("prompt").len() == 3).await;
        kill(guard_of_the_next);
    };
    let (asked, ()) = tokio::join!(bench.ask("SETSID ;; DEAF ;; STALL"), killed);
    assert!(matches!(asked.end, AskEnd::Failed(Failure::NoResult { .. })), "{:?}", asked.end);
    bench.none_left().await;
}

#[tokio::test]
async fn a_turn_that_nobody_asked_for_answers_nothing() {
    let bench = Bench::new();
    let asked = bench.ask("GHOST ;; TEXT:mine").await;
    assert_eq!(
        (asked.end, asked.session.unwrap().cost.unwrap().0),
        (AskEnd::Answered("mine".to_owned()), 1000)
    );
    assert_eq!(bench.answer("GHOST:later ;; TEXT:mine").await, "mine");
    until("the restless agent is closed", || bench.agents.live() == 0).await;
    assert_eq!(bench.answer("TEXT:again").await, "again");
    assert_eq!(bench.starts(), 2);
}

#[tokio::test]
async fn an_idle_agent_is_closed_after_its_time() {
    let bench = Bench::with(|config| config.idle_close = Duration::from_millis(50));
    bench.answer("TEXT:one").await;
    until("the agent is closed", || bench.agents.live() == 0).await;
    assert_eq!(bench.logged("exit").len(), 1);
    assert_eq!(bench.answer("SAY").await, "TEXT:one");
}

/// Asks in this channel, in a session of its own.
async fn ask_in(bench: &Bench, channel: u64, prompt: &str) -> AskResult {
    let mut ask = bench.ask_of(prompt);
    ask.channel = ChannelId::new(channel).unwrap();
    ask.session = SessionStart::New(SessionId(uuid::Uuid::from_u128(channel.into())));
    bench.ask_with(ask, CancellationToken::new()).await
}

#[tokio::test]
async fn more_agents_than_stay_alive_close_the_one_that_was_idle_for_longest() {
    let bench = Bench::with(|config| config.max_live = 2);
    for channel in [1, 2, 1, 3] {
        ask_in(&bench, channel, "TEXT:done").await;
    }
    until("one is closed", || bench.agents.live() == 2).await;
    assert_eq!(bench.starts(), 3);
    // It was the second channel's: the others go on in the same process.
    for channel in [1, 3] {
        ask_in(&bench, channel, "TEXT:again").await;
    }
    assert_eq!(bench.starts(), 3);
    assert_eq!(ask_in(&bench, 2, "SAY").await.end, AskEnd::Answered("TEXT:done".to_owned()));
    assert_eq!(bench.starts(), 4);
    until("one is closed", || bench.agents.live() == 2).await;
}

#[tokio::test]
async fn no_agent_at_work_is_closed_for_another() {
    let bench = Bench::with(|config| config.max_live = 0);
    let (one, two) =
        tokio::join!(ask_in(&bench, 1, "SLEEP:0.3 ;; TEXT:one"), ask_in(&bench, 2, "SLEEP:0.3 ;; TEXT:two"));
    assert_eq!(one.end, AskEnd::Answered("one".to_owned()));
    assert_eq!(two.end, AskEnd::Answered("two".to_owned()));
    until("none is kept", || bench.agents.live() == 0).await;
}

#[tokio::test]
async fn a_turn_with_a_price_limit_has_a_process_of_its_own() {
    let mut bench = Bench::new();
    bench.project.max_usd = Some(MicroUsd(500_000));
    let asked = bench.ask("TEXT:one").await;
    bench.session = SessionStart::Live(asked.session.unwrap().id);
    // Asked at once: the first process is still there.
    assert_eq!(bench.answer("SAY").await, "TEXT:one");
    assert_eq!(bench.starts(), 2);
    assert!(bench.answer("ARGS").await.contains("--max-budget-usd=0.500000"));
    until("none is kept", || bench.agents.live() == 0).await;
    assert_eq!(bench.logged("exit").len(), 3);
}

#[tokio::test]
async fn a_prefix_starts_the_agent_its_own_way() {
    let mut bench = Bench::new();
    let script = r#"cd / && PREFIXED=yes && export PREFIXED && exec "$0" "$@""#;
    bench.project.command = ["sh", "-c", script].map(str::to_owned).to_vec();
    assert_eq!(bench.answer("CWD").await, "/");
    assert_eq!(bench.answer("ENV:PREFIXED").await, "yes");
    bench.project.command.clear();
    assert_eq!(bench.answer("ENV:PREFIXED").await, "(not set)");
    assert_eq!(bench.starts(), 2);
}

#[tokio::test]
async fn an_agent_that_never_becomes_idle_is_closed() {
    let mut bench = Bench::new();
    bench.project.limits.after_result = Duration::from_millis(100);
    assert_eq!(bench.answer("NOIDLE ;; TEXT:one").await, "one");
    assert_eq!(bench.answer("SAY").await, "NOIDLE ;; TEXT:one");
    assert_eq!(bench.starts(), 2);
}

#[tokio::test]
async fn a_dropped_ask_leaves_no_process() {
    let bench = Bench::new();
    bench.answer("TEXT:warm").await;
    let asking = bench.ask("TEXT:on it ;; DEAF ;; FORK ;; STALL");
    assert!(tokio::time::timeout(Duration::from_millis(300), asking).await.is_err());
    bench.none_left().await;
    assert_eq!(bench.agents.live(), 0);
}

#[tokio::test]
async fn without_the_pool_there_are_no_agents() {
    let mut bench = Bench::new();
    bench.answer("TEXT:one").await;
    bench.agents = Bench::new().agents;
    bench.none_left().await;
}

#[tokio::test]
async fn closing_ends_agents_idle_and_at_work_within_five_seconds() {
    let bench = Bench::new();
    let mut idle = bench.ask_of("TEXT:one ;; NOIDLE");
    idle.channel = ChannelId::new(2).unwrap();
    idle.session = SessionStart::New(SessionId::random());
    bench.ask_with(idle, CancellationToken::new()).await;

    let (working, waiting) = (bench.agents.clone(), bench.agents.clone());
    let asking = working.ask(
        bench.ask_of("DEAF ;; TEXT:on it ;; STALL"),
        nothing_more(),
        CancellationToken::new(),
        std::future::ready(true),
        |_| {},
    );
    let closing = async {
        until("both are at work", || bench.logged("prompt").len() == 2).await;
        let begun = Stopwatch::start();
        waiting.close_all().await;
        assert!(begun.is_within(Duration::from_secs(5)), "{begun:?}");
    };
    let (asked, ()) = tokio::join!(asking, closing);
    assert_eq!((asked.end, bench.agents.live()), (AskEnd::Stopped, 0));
    assert_eq!(bench.ask("TEXT:late").await.end, AskEnd::Stopped);
    bench.none_left().await;
}

#[tokio::test]
async fn channels_work_at_the_same_time() {
    let bench = Bench::new();
    let asks = (1..=4).map(|channel| {
        let mut ask = bench.ask_of("SLEEP:0.3 ;; TEXT:done");
        ask.channel = ChannelId::new(channel).unwrap();
        ask.session = SessionStart::New(SessionId::random());
        bench.agents.ask(ask, nothing_more(), CancellationToken::new(), std::future::ready(true), |_| {})
    });
    for asked in futures_util::future::join_all(asks).await {
        assert_eq!(asked.end, AskEnd::Answered("done".to_owned()));
    }
    let last_prompt = bench.logged("prompt").iter().map(|line| line["at_ns"].as_u64()).max();
    let first_result = bench.logged("result").iter().map(|line| line["at_ns"].as_u64()).min();
    assert!(last_prompt < first_result, "the turns did not overlap");
}

/// Not a bench, only a guard: what this module adds to a follow-up is far below what a person notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_up_adds_next_to_nothing() {
    let bench = Bench::new();
    bench.answer("TEXT:warm").await;
    let now =
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (mut in_, mut out) = (Vec::new(), Vec::new());
    let all = Stopwatch::start();
    for n in 0..100 {
        let begun = now();
        bench.answer("TEXT:x").await;
        let ended = now();
        // The log is written after the result.
        until("the result is logged", || bench.logged("result").len() == n + 2).await;
        let at = |event: &str| bench.logged(event).last().unwrap()["at_ns"].as_u64().unwrap();
        in_.push(at("prompt").saturating_sub(begun) / 1000);
        out.push(ended.saturating_sub(at("result")) / 1000);
    }
    in_.sort();
    out.sort();
    println!(
        "ask → prompt read: p50 {} p95 {} µs; result written → answer: p50 {} p95 {} µs",
        in_[50], in_[95], out[50], out[95]
    );
    let added = Duration::from_micros(in_[50] + out[50]);
    assert!(all.allows(added, Duration::from_millis(20)), "{added:?}, {all:?}");
}

/// Long enough for a slow machine, and the time that each of these tests takes.
const WAKE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_agent_that_reads_nothing_any_more_is_replaced_and_its_prompt_is_asked_once() {
    for prompt in ["TEXT:two".to_owned(), format!("TEXT:two\n{}", "far more than a pipe holds ".repeat(9000))]
    {
        let mut bench = Bench::new();
        bench.project.limits.wake = WAKE;
        bench.answer("UNREAD ;; TEXT:one").await;
        assert_eq!(bench.answer(&prompt).await, "two");
        let prompts: Vec<_> = bench.logged("prompt").iter().map(|it| it["prompt"].clone()).collect();
        assert_eq!(prompts, ["UNREAD ;; TEXT:one", &prompt]);
        assert_eq!(bench.starts(), 2);
        assert_eq!(bench.answer("SAY").await, format!("UNREAD ;; TEXT:one\n{prompt}"));
        assert_eq!((bench.starts(), bench.agents.live()), (2, 1));
    }
}

#[tokio::test]
async fn an_agent_that_answers_control_requests_and_begins_no_turn_is_replaced() {
    let mut bench = Bench::new();
    bench.project.limits.wake = WAKE;
    bench.answer("IDLE ;; TEXT:one").await;
    // It takes the change of its model.
    bench.project.model = Some("opus".to_owned());
    assert_eq!(bench.answer("MODE").await, "opus default");
    assert_eq!((bench.starts(), bench.logged("prompt").len()), (2, 2));
}

#[tokio::test]
async fn a_prompt_that_a_second_agent_does_not_begin_with_either_fails() {
    // It reads the first line, and gets nothing more.
    let script = r#"(head -n 1; exec sleep 60) | "$0" demo-agent "$@""#;
    let mut bench = Bench::with(|config| {
        config.command = ["sh", "-c", script, env!("CARGO_BIN_EXE_moonlane")].map(str::to_owned).into();
    });
    bench.project.limits.wake = WAKE;
    assert_eq!(bench.failure("TEXT:never").await, Failure::Deaf { limit: WAKE });
    assert_eq!((bench.starts(), bench.logged("prompt").len()), (2, 0));
    bench.none_left().await;
}

/// An agent that gets ready, and then does what the script says; the script is in the file `started` as often as one was
/// started.
fn shell_agent(script: &str) -> Bench {
    let ready = r#"{"type":"control_response","response":{"subtype":"success","request_id":"1","response":{"claude_code_version":"2.1.330"}}}"#;
    let script = format!("echo x >> started; read -r line; echo '{ready}'; {script}");
    let mut bench = Bench::with(|config| config.command = ["sh", "-c", &script].map(str::to_owned).into());
    bench.project.limits.wake = WAKE;
    bench
}

fn times_started(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.home.path().join("started")).unwrap().lines().count()
}

#[tokio::test]
async fn a_prompt_that_may_have_begun_is_never_asked_again() {
    let running = r#"echo '{"type":"system","subtype":"session_state_changed","state":"running"}'"#;
    // It wakes up only while it is being ended.
    let bench = shell_agent(&format!(
        "trap \"{}; exit 0\" TERM; while :; do sleep 0.02; done",
        running.replace('"', "\\\"")
    ));
    assert!(matches!(bench.failure("x").await, Failure::NoResult { .. }));
    assert_eq!(times_started(&bench), 1);

    // It says nothing, but the session has the prompt.
    let keep = "mkdir -p claude/projects/x; read -r line; echo \"$line\" > claude/projects/x/$SESSION.jsonl; exec sleep 60";
    let mut bench = shell_agent(keep);
    let SessionStart::New(session) = bench.session else { panic!() };
    bench.project.env.insert("SESSION".to_owned(), session.to_string());
    assert!(matches!(bench.failure("x").await, Failure::NoResult { .. }));
    assert_eq!(times_started(&bench), 1);

    // The same without a trace of it.
    let mut bench = shell_agent("read -r line; exec sleep 60");
    bench.project.limits.wake = WAKE / 2;
    assert!(matches!(bench.failure("x").await, Failure::Deaf { .. }));
    assert_eq!(times_started(&bench), 2);
}

#[tokio::test]
async fn one_that_has_begun_may_take_its_time() {
    let mut bench = Bench::new();
    bench.project.limits.wake = WAKE;
    assert_eq!(bench.answer("SLEEP:1.5 ;; TEXT:late").await, "late");
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn a_turn_whose_agent_is_deaf_can_be_stopped() {
    for (prompt, sign) in [("TEXT:x".to_owned(), Progress::Prompted), ("x".repeat(300_000), Progress::Ready)]
    {
        let bench = Bench::new();
        bench.answer("UNREAD ;; DEAF ;; TEXT:one").await;
        let begun = Stopwatch::start();
        assert_eq!(bench.stop_at(&prompt, sign).await.end, AskEnd::Stopped);
        assert!(begun.is_within(Duration::from_secs(5)), "{begun:?}");
        assert_eq!((bench.starts(), bench.logged("prompt").len(), bench.agents.live()), (1, 1, 0));
        assert_eq!(bench.answer("TEXT:next").await, "next");
    }
}
