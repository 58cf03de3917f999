//! Lanes: one at a time per channel, free again however a turn ends, and all of them under one cap.
//!
//! Who worked when is read from the times that the agents themselves have recorded.

use std::collections::HashMap;

use moonlane::agent::Agents;
use moonlane::domain::{Author, ChannelId, GateTimes, GuildId, Inbound, Message, MessageId, Outcome, UserId};
use moonlane::files::Files;
use moonlane::gate::Gate;
use moonlane::lane::Lanes;
use moonlane::local::{Fault, Id};
use moonlane::outbox::Outbox;
use moonlane::panics::Panics;
use moonlane::redact::Redactor;
use moonlane::reload::Reloader;
use moonlane::store::Store;
use moonlane::turn::{Settled, TurnDeps, Turns};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{ANSWERED, AgentEvent, FAILED, MOONLANE, Setup, Stage, routing_with, within};

/// A stage with these limits.
async fn limited(limits: &str) -> Stage {
    Stage::with(Setup { config: format!("[limits]\n{limits}"), ..Setup::default() }).await
}

/// A stage whose turns share so many slots.
async fn capped(max_running: usize) -> Stage {
    let config = format!("[agent]\nmax_running = {max_running}\n[person]\nmax_running = {max_running}");
    Stage::with(Setup { config, ..Setup::default() }).await
}

/// Asks something that does not end well, with another message waiting behind it: the first is told `what`, the
/// second is answered afterwards, and a third in the same session remembers both. What the first was told.
async fn ends_and_frees_the_lane(stage: &mut Stage, prompt: &str) -> String {
    let (first, second) = (stage.say("general", prompt), stage.say("general", "TEXT:next"));
    stage.reacted(second, "⏳").await;
    assert_eq!(stage.settled(first).await, FAILED);
    assert_eq!(stage.settled(second).await, ANSWERED);
    stage.reaction_taken_off(second, "⏳").await;
    assert_eq!(stage.answer(second), "next");

    let log = stage.agent_log();
    let at = |prompt: &str| log.iter().position(|event| event.prompt.as_deref() == Some(prompt)).unwrap();
    let (began, next) = (&log[at(prompt)], &log[at("TEXT:next")]);
    // An agent that is killed records no end; then the next is another process.
    let ends = |event: &&AgentEvent| matches!(event.event.as_str(), "result" | "exit");
    match log[at(prompt)..].iter().filter(ends).find(|event| event.pid == began.pid) {
        Some(ended) => assert!(ended.at_ns <= next.at_ns, "{ended:?} {next:?}"),
        None => assert_ne!(began.pid, next.pid),
    }
    if began.pid != next.pid {
        assert!(!std::fs::exists(format!("/proc/{}", began.pid)).unwrap(), "the first agent is gone");
    }
    assert_eq!(stage.ask("general", "SAY").await, format!("{prompt}\nTEXT:next"), "one conversation");
    stage.answer(first)
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_ended_told_and_frees_the_lane() {
    let mut stage = limited("turn = '2s'").await;
    let told = ends_and_frees_the_lane(&mut stage, "TEXT:I begin. ;; SLEEP:60").await;
    insta::assert_snapshot!(told, @"
    I begin.

    ⚠️ This took longer than 2 seconds, so I stopped it. Ask me to go on, and I'll continue from here.
    -# id ID
    ");
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_ended_told_and_frees_the_lane() {
    let mut stage = limited("silence = '1s'").await;
    let told = ends_and_frees_the_lane(&mut stage, "STALL").await;
    insta::assert_snapshot!(told, @"
    ⚠️ Claude said nothing for 1 second, so I stopped it. Please ask again; the conversation is kept.
    -# id ID
    ");
}

#[tokio::test]
async fn a_tool_may_run_longer_than_silence_but_not_for_ever() {
    let mut stage = limited("silence = '1s'\ntool = '2s'").await;
    assert_eq!(stage.ask("tools", "TOOL:Bash:sleep 1.3 ;; TEXT:in time").await, "in time");
    let told = ends_and_frees_the_lane(&mut stage, "TOOL:Bash:sleep 60").await;
    insta::assert_snapshot!(told, @"
    ⚠️ A tool (Bash) was still running after 2 seconds, so I stopped it. Please ask again, perhaps in smaller steps.
    -# id ID
    ");
}

#[tokio::test]
async fn an_agent_that_does_not_get_ready_is_ended_told_and_frees_the_lane() {
    // The first start hangs, the later ones do not.
    let script = r#"mkdir "$1" 2>/dev/null && exec sleep 60; shift; exec "$@""#;
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    let words = ["/bin/sh", "-c", script, "sh", first.to_str().unwrap(), MOONLANE, "demo-agent"];
    let agent = words.map(str::to_owned).to_vec();
    let config = "[limits]\nstart = '3s'".to_owned();
    let mut stage = Stage::with(Setup { agent, config, ..Setup::default() }).await;
    let first = stage.say("general", "TEXT:first");
    let second = stage.say("general", "TEXT:second");
    stage.reacted(second, "⏳").await;
    assert_eq!(stage.settled(first).await, FAILED);
    insta::assert_snapshot!(stage.answer(first), @"
    ⚠️ Claude didn't start within 3 seconds. Please try again.
    -# id ID
    ");
    assert_eq!(stage.settled(second).await, ANSWERED);
    assert_eq!(stage.answer(second), "second");
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).collect();
    assert_eq!(prompts, ["TEXT:second"]);
}

#[tokio::test]
async fn an_agent_that_will_not_be_ended_is_killed_and_frees_the_lane() {
    let mut stage = limited("silence = '1s'").await;
    ends_and_frees_the_lane(&mut stage, "DEAF ;; STALL").await;
}

#[tokio::test]
async fn a_crash_frees_the_lane() {
    let mut stage = Stage::open().await;
    let told = ends_and_frees_the_lane(&mut stage, "SLEEP:0.3 ;; TEXT:I begin. ;; CRASH:7").await;
    insta::assert_snapshot!(told, @"
    I begin.

    ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept.
    -# id ID
    ");
}

#[tokio::test]
async fn an_exit_without_a_result_frees_the_lane() {
    let mut stage = Stage::open().await;
    let told = ends_and_frees_the_lane(&mut stage, "SLEEP:0.3 ;; CRASH:0").await;
    insta::assert_snapshot!(told, @"
    ⚠️ Claude stopped without an answer. Please ask again; the conversation is kept.
    -# id ID
    ");
}

#[tokio::test]
async fn an_error_of_the_api_frees_the_lane() {
    let mut stage = Stage::open().await;
    let told = ends_and_frees_the_lane(&mut stage, "SLEEP:0.3 ;; ERR:500").await;
    insta::assert_snapshot!(told, @"
    ⚠️ Anthropic's servers are failing at the moment. Please ask again in a few minutes.
    -# id ID
    ");
}

#[tokio::test]
async fn a_stop_frees_the_lane_for_those_behind_in_order() {
    let mut stage = Stage::open().await;
    let running = stage.say("general", "STALL");
    stage.prompted("STALL").await;
    let behind = ["TEXT:second", "TEXT:third", "TEXT:fourth"].map(|text| stage.say("general", text));
    for message in behind {
        stage.reacted(message, "⏳").await;
    }
    assert!(stage.discord.delete(running));
    for message in behind {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    assert_eq!(stage.settled(running).await, Settled::Ended(Outcome::Cancelled));
    let times = stage.work_times();
    let order = ["STALL", "TEXT:second", "TEXT:third", "TEXT:fourth"].map(|prompt| times[prompt]);
    assert!(order.is_sorted_by(|before, after| before.1 <= after.0), "{order:?}");
}

/// How many worked at once at the most.
fn most_at_once(times: &HashMap<String, (u64, u64)>) -> usize {
    let at_work_at =
        |moment: u64| times.values().filter(|(start, end)| *start <= moment && moment < *end).count();
    times.values().map(|(start, _)| at_work_at(*start)).max().unwrap_or_default()
}

#[tokio::test]
async fn never_more_than_the_cap_are_at_work() {
    let mut stage = capped(2).await;
    // Two that work until they are stopped show that both slots are used, and that a third has to wait.
    let stalled = ["a", "b"].map(|channel| stage.say(channel, &format!("STALL:{channel}")));
    stage.prompted("STALL:a").await;
    stage.prompted("STALL:b").await;
    let mut messages: Vec<Id> = Vec::new();
    for round in 0..3 {
        for channel in ["a", "b", "c", "d", "e", "f"] {
            messages.push(stage.say(channel, &format!("SLEEP:0.03 ;; TEXT:{channel}{round}")));
        }
    }
    for message in &messages {
        stage.reacted(*message, "⏳").await;
    }
    assert_eq!(stage.agent_log().iter().filter(|event| event.event == "prompt").count(), 2);
    for message in stalled {
        assert!(stage.discord.delete(message));
    }
    for message in &messages {
        assert_eq!(stage.settled(*message).await, ANSWERED);
        stage.reaction_taken_off(*message, "⏳").await;
    }

    let times = stage.work_times();
    assert_eq!(times.len(), messages.len() + 2);
    assert_eq!(most_at_once(&times), 2, "{times:?}");
    for channel in ["a", "b", "c", "d", "e", "f"] {
        let rounds = [0, 1, 2].map(|round| times[&format!("SLEEP:0.03 ;; TEXT:{channel}{round}")]);
        assert!(rounds.is_sorted_by(|before, after| before.1 <= after.0), "{channel}: {rounds:?}");
    }
}

#[tokio::test]
async fn a_busy_channel_lets_every_other_one_go_first() {
    let mut stage = capped(1).await;
    let stalled = stage.say("busy", "STALL");
    stage.prompted("STALL").await;
    let mut messages =
        ["busy1", "busy2", "busy3"].map(|text| stage.say("busy", &format!("TEXT:{text}"))).to_vec();
    for channel in ["quiet", "calm"] {
        messages.push(stage.say(channel, &format!("TEXT:{channel}")));
    }
    for message in &messages {
        stage.reacted(*message, "⏳").await;
    }
    assert!(stage.discord.delete(stalled));
    for message in messages {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let mut times: Vec<_> = stage.work_times().into_iter().collect();
    times.sort_by_key(|(_, time)| *time);
    let order: Vec<_> = times.iter().map(|(prompt, _)| prompt.as_str()).collect();
    assert_eq!(order, ["STALL", "TEXT:quiet", "TEXT:calm", "TEXT:busy1", "TEXT:busy2", "TEXT:busy3"]);
    assert!(times.is_sorted_by(|before, after| before.1.1 <= after.1.0), "one after the other: {times:?}");
}

#[tokio::test]
async fn a_channel_to_which_nothing_can_be_posted_does_not_hold_up_the_others() {
    let mut stage = capped(1).await;
    let posts = format!("POST /channels/{}/messages", stage.discord.channel("stuck"));
    stage.discord.fail_next(1000, Fault::Status(500), &posts);
    let stuck = stage.say("stuck", "TEXT:nobody gets to read this");
    let tried = stage.discord.wait_until(|local| {
        local.calls().iter().any(|call| call.method == "POST" && posts.ends_with(&call.path)).then_some(())
    });
    within("the first try", tried).await;
    assert_eq!(stage.ask("other", "TEXT:still here").await, "still here");
    // The lane itself stays closed: answers keep the order of their questions.
    let behind = stage.say("stuck", "TEXT:behind");
    stage.reacted(behind, "⏳").await;
    assert!(stage.parts(stuck).is_empty());
}

#[tokio::test]
async fn a_project_may_have_limits_of_its_own() {
    let routing = routing_with("limits = { silence = \"1s\" }");
    let mut stage = Stage::with(Setup { routing, ..Setup::default() }).await;
    let question = stage.say("general", "STALL");
    assert_eq!(stage.settled(question).await, FAILED);
    assert!(stage.answer(question).contains("said nothing for 1 second"), "{}", stage.answer(question));
}

#[tokio::test]
async fn a_turn_that_is_stopped_in_the_moment_in_which_it_may_begin_ends() {
    let stage = Stage::without_bot(Setup::default()).await;
    let config = stage.config();
    let (news, _is_news) = mpsc::unbounded_channel();
    let (_reloader, scripts) = Reloader::start(&config, news.clone(), &Panics::default()).await.unwrap();
    let outbox = Outbox::new(&config.discord.api_url, stage.discord.token()).unwrap();
    let me = outbox.whoami().await.unwrap();
    let (settled, mut settling) = mpsc::unbounded_channel();
    let lanes = Lanes::new(8, 8);
    let turns = Turns::new(TurnDeps {
        scripts,
        store: Store::open(&config.store_path).unwrap(),
        lanes: lanes.clone(),
        agents: Agents::after_earlier_bots(
            &config.store_path,
            config.agent.clone(),
            std::env::vars_os(),
            Redactor::new([]),
        )
        .await,
        outbox: outbox.clone(),
        files: Files::new(config.files.clone()),
        transcriber: None,
        me: me.user,
        share: config.share,
        gate: Gate::new(outbox, me.owners, Vec::new(), GateTimes::default()),
        keep_trying: config.discord.keep_trying,
        live_times: config.discord.live_times,
        min_free: 0,
        message_content: false,
        rereads: mpsc::unbounded_channel().0,
        news,
        settled: Some(settled),
    });
    let (inbound, messages) = mpsc::unbounded_channel();
    let _serves = AbortOnDropHandle::new(tokio::spawn({
        let turns = turns.clone();
        async move { turns.serve(messages, mpsc::unbounded_channel().1, CancellationToken::new()).await }
    }));

    // The turn waits behind one whose place is ours to give back.
    let question = stage.say("general", "TEXT:never asked");
    let channel = ChannelId::new(stage.discord.channel("general").get()).unwrap();
    let owner = UserId::new(stage.discord.owner().get()).unwrap();
    let message = Message {
        id: MessageId::new(question.get()).unwrap(),
        channel_id: channel,
        parent_channel_id: None,
        channel_name: "general".to_owned(),
        channel_tags: Vec::new(),
        in_own_thread: false,
        guild_id: GuildId::new(stage.discord.guild().get()).unwrap(),
        author: Author { id: owner, name: "owner".to_owned(), roles: Vec::new(), bot: false },
        text: "TEXT:never asked".to_owned(),
        raw_text: "TEXT:never asked".to_owned(),
        mentions_me: true,
        attachments: Vec::new(),
        reply_to: None,
        quoted: None,
        extras: Vec::new(),
    };
    let id = message.id;
    let (_, ahead) = lanes.enter(channel, MessageId::new(1).unwrap(), owner);
    inbound.send(Inbound::Message(message)).unwrap();
    stage.reacted(question, "⏳").await;
    // Nothing else gets a turn on this thread between the two.
    drop(ahead);
    assert_eq!(turns.running(channel), Some(id));
    turns.stop(id).await;

    let settled = within("the turn to end", settling.recv()).await;
    assert_eq!(settled, Some((id, Settled::Ended(Outcome::Cancelled))));
    assert_eq!(stage.answer(question), "⏹️ Stopped.");
    assert!(stage.agent_log().iter().all(|event| event.event != "prompt"));
}

#[tokio::test]
async fn a_turn_whose_author_discord_does_not_know_yet_holds_up_its_own_channel_only() {
    let setup = Setup { config: "[agent]\nmax_running = 1".to_owned(), ..Setup::default() };
    let mut stage = Stage::without_bot(setup).await;
    let (crew, sailor) = (stage.discord.role("crew"), stage.discord.user("sailor"));
    stage.discord.give_role(sailor, crew);
    stage.save("routing.lua", &routing_with(&format!("allow = {{ roles = {{ \"{crew}\" }} }}")));
    stage.start().await;
    let held = stage.held("general").await;
    let theirs = stage.say_as("sailor", "ship", "TEXT:theirs");
    let behind = stage.say("ship", "TEXT:behind");
    let elsewhere = stage.say("other", "TEXT:elsewhere");
    for message in [theirs, behind, elsewhere] {
        stage.reacted(message, "⏳").await;
    }
    let member = format!("GET /guilds/{}/members/{sailor}", stage.discord.guild());
    stage.discord.fail_next(1, Fault::Delay(std::time::Duration::from_secs(4)), &member);
    stage.let_go("done").await;
    for message in [held, elsewhere, theirs, behind] {
        assert_eq!(stage.settled(message).await, ANSWERED);
    }
    let prompts: Vec<_> = stage.agent_log().into_iter().filter_map(|event| event.prompt).skip(1).collect();
    assert_eq!(prompts, ["TEXT:elsewhere", "TEXT:theirs", "TEXT:behind"]);
}

/// Panics as soon as the bot logs this.
struct PanicsAt(&'static str);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for PanicsAt {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        assert_ne!(text.0, self.0, "on purpose");
    }
}

#[tokio::test]
async fn a_turn_that_panics_is_told_and_frees_its_lane() {
    // With one alone, whoever logs something for the first time decides whether anybody hears of it, and that may be
    // another test.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    for moment in ["runs", "waits"] {
        let setup = Setup { config: "[agent]\nmax_running = 1".to_owned(), ..Setup::default() };
        let mut stage = Stage::with(setup).await;
        let held = stage.held("other").await;
        let breaks = tracing::subscriber::set_default(tracing_subscriber::registry().with(PanicsAt(moment)));
        let broken = stage.say("general", "TEXT:never said");
        if moment == "runs" {
            stage.reacted(broken, "⏳").await;
            stage.let_go("done").await;
        }
        assert_eq!(stage.settled(broken).await, FAILED, "{moment}");
        drop(breaks);
        if moment == "waits" {
            stage.let_go("done").await;
        }
        assert_eq!(stage.settled(held).await, ANSWERED);
        assert!(stage.answer(broken).contains("Something inside the bot broke"), "{}", stage.answer(broken));
        assert_eq!(stage.ask("general", "TEXT:next").await, "next");
    }
}
