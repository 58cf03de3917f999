//! Every kind of person, with everything that can be done, everywhere: who gets what, as tables in `snapshots/access/`.
//!
//! Nothing here asks the gate. A cell says what was seen: what the bot has posted, what an agent has got, and what was
//! different afterwards. That nothing happens is seen by a later message of somebody who is let in, in the same lane,
//! and once more at the end, when the bot has stopped.

use std::fmt::Write as _;
use std::time::Duration;

use moonlane::local::{Closed, Fault, Id, LocalDiscord, Message, Options, RateLimits, Say, UseCommand};
use moonlane::turn::Settled;
use serde_json::json;

use crate::commands::{add_shipped, buttons, says};
use crate::support::{ANSWERED, ONE_FOR_MANY, Setup, Stage, within};

/// Asks the person who uses it, or everybody.
const POLL: &str = "local everybody = require 'everybody'
    return { name = 'poll', description = 'x', options = { { name = 'who', description = 'x' } },
    run = function(ctx, args)
        local who = args.who and { users = everybody }
        if ctx:confirm { 'Sure?', who = who } ~= nil then ctx:reply 'Answered.' end
    end }";

/// The same with a menu.
const MENU: &str = "local everybody = require 'everybody'
    return { name = 'menu', description = 'x', options = { { name = 'who', description = 'x' } },
    run = function(ctx, args)
        local who = args.who and { users = everybody }
        local options = {}
        for place = 1, 6 do options[place] = { label = 'Option ' .. place, value = 'v' .. place } end
        if ctx:choose { 'Which?', options = options, who = who } then ctx:reply 'Answered.' end
    end }";

/// Chooses the permission mode.
const MODE: &str =
    "return { name = 'mode', description = 'x', options = { { name = 'mode', description = 'x' } },
    run = function(ctx, args) ctx:reply(ctx:set_permission_mode { args.mode }.after) end }";

/// How the bot's own sentences are shown in a cell. What is not here is shown as it is.
const SENTENCES: &[(&str, &str)] = &[
    ("You don't have access here. Ask whoever runs this bot.", "not let in"),
    ("⚠️ You aren't allowed to do that there.", "not there"),
    ("Only the person who used the command can answer this.", "not theirs"),
    ("This form is closed, so nothing came of it. If you still need it, open it again.", "closed"),
    ("⚠️ There is no project in direct messages.", "no project"),
    ("Nothing is running and nobody is waiting.", "shows none"),
    ("⚠️ Only operators can do that.", "not operator"),
    ("You need the “manage messages” permission for this.", "no permission"),
    ("I don't take direct messages. Mention me in a server channel instead.", "turned away"),
    ("⚠️ You no longer have access here, so I didn't start. Ask whoever runs this bot.", "told no"),
    ("⚠️ Only the person who asked, an approver or an operator can stop this.", "not theirs"),
];

/// A kind of person.
#[derive(Clone, Copy)]
struct Person {
    kind: &'static str,
    id: Id,
    /// Writes through a webhook that bears this id.
    forged: bool,
    /// Has no client, and so no commands and no buttons.
    is_machine: bool,
}

fn person(kind: &'static str, id: Id) -> Person {
    Person { kind, id, forged: false, is_machine: false }
}

/// The bot, and what was seen so far.
struct Scene {
    stage: Stage,
    /// Is let in wherever he is needed.
    hal: Person,
    tokens: usize,
    /// What came to nothing so far: the channel, the message, and the words that no agent may get.
    nothing: Vec<(Id, Id, String)>,
}

impl Scene {
    /// A bot with the shipped commands and some more, and this routing.
    async fn set(routing: impl Fn(&Stage) -> String) -> Self {
        let stage = Stage::without_bot(Setup {
            triggers: "return { mention = true, prefixes = { '!ask ' } }".to_owned(),
            config: ONE_FOR_MANY.to_owned(),
            discord: Options { rate_limits: RateLimits::Off, message_content: true, ..Options::default() },
            ..Setup::default()
        })
        .await;
        add_shipped(&stage);
        for (file, script) in [("poll", POLL), ("menu", MENU), ("mode", MODE)] {
            stage.save(&format!("commands/{file}.lua"), script);
        }
        stage.save("routing.lua", &routing(&stage));
        let hal = person("hal", stage.discord.user("hal"));
        Self { stage, hal, tokens: 0, nothing: Vec::new() }
    }

    /// Starts the bot. `all`: whom a question is for that is for everybody.
    async fn start(&mut self, all: &[Person]) {
        let all: Vec<String> = all.iter().chain([&self.hal]).map(|it| format!("\"{}\"", it.id)).collect();
        self.stage.save("everybody.lua", &format!("return {{ {} }}", all.join(", ")));
        self.stage.start().await;
    }

    async fn reload(&self, routing: &str) {
        self.stage.save("routing.lua", routing);
        within("a reload", self.stage.reloader().reload_now()).await.unwrap();
    }

    /// Words that nobody else has said.
    fn words(&mut self) -> String {
        self.tokens += 1;
        format!("words{:04}", self.tokens)
    }

    fn say(&self, who: Person, channel: Id, text: &str) -> Say {
        Say { webhook: who.forged, forged: who.forged, ..Say::new(channel, who.id, text) }
    }

    fn mention(&self, who: Person, channel: Id, text: &str) -> Id {
        self.stage.discord.say(Say { mention: true, ..self.say(who, channel, text) })
    }

    /// A message of hal's, answered behind everything that was in the channel's lane.
    async fn later(&mut self, channel: Id, text: &str) -> String {
        let message = self.mention(self.hal, channel, text);
        assert_eq!(self.stage.settled(message).await, ANSWERED);
        self.stage.answer(message)
    }

    /// A turn of hal's that is at work until it is stopped.
    async fn held(&mut self, channel: Id, project: &str) -> Id {
        let text = format!("SLEEP:600 ;; TEXT:{project}{}", self.words());
        let message = self.mention(self.hal, channel, &text);
        self.stage.prompted(&text).await;
        message
    }

    /// Sees a turn of hal's end, by somebody's `/stop` that came out so, else by his own.
    async fn ends(&mut self, held: Id, channel: Id, stop: &str) {
        if stop != "stops" {
            let stopped = self.does((self.hal, channel), "stop", None, stopped).await;
            assert_eq!(stopped, "stops", "it is still there to be stopped");
        }
        self.stage.settled(held).await;
    }

    fn agent_got(&self, words: &str) -> bool {
        self.stage.agent_log().iter().any(|it| it.prompt.as_deref().is_some_and(|it| it.contains(words)))
    }

    /// What has come of a message, by now.
    fn seen(&self, channel: Id, message: Id, words: &str) -> String {
        let posts = self.stage.discord.messages(channel).into_iter();
        let replies: Vec<Message> = posts.filter(|it| it.by_bot && it.reply_to == Some(message)).collect();
        match (self.agent_got(words), &replies[..]) {
            (true, [answer]) if answer.content == words => "runs".to_owned(),
            (true, _) => "RUNS AND IS NOT ANSWERED".to_owned(),
            (false, []) => "silent".to_owned(),
            (false, [told]) => cell(&told.content),
            (false, _) => "SAID TWICE".to_owned(),
        }
    }

    /// The same once all that was in the lane is over.
    async fn comes_of(&mut self, channel: Id, message: Id, words: &str) -> String {
        self.later(channel, "TEXT:later").await;
        self.noted(channel, message, words)
    }

    fn noted(&mut self, channel: Id, message: Id, words: &str) -> String {
        let seen = self.seen(channel, message, words);
        if seen != "runs" {
            self.nothing.push((channel, message, words.to_owned()));
        }
        seen
    }

    /// Somebody uses a command: what the bot answers, or none where Discord has no such thing.
    async fn uses(
        &self,
        who: Person,
        channel: Id,
        name: &str,
        option: Option<(&str, &str)>,
    ) -> Option<Message> {
        if who.is_machine {
            return None;
        }
        let mut used = UseCommand::new(channel, who.id, name);
        used.options.extend(option.map(|(name, value)| (name.to_owned(), value.into())));
        used.opened = true;
        Some(says(&self.stage, self.stage.discord.use_command(used).unwrap()).await)
    }

    /// The same, as a cell: what `done` makes of the answer, else the answer itself.
    async fn does(
        &self,
        (who, channel): (Person, Id),
        name: &str,
        option: Option<(&str, &str)>,
        done: impl FnOnce(&Message) -> Option<String>,
    ) -> String {
        let Some(answer) = self.uses(who, channel, name, option).await else { return "-".to_owned() };
        done(&answer).unwrap_or_else(|| refusal(&answer, who))
    }

    /// Somebody presses the first button of a question, or chooses in its menu.
    async fn presses(&self, who: Person, question: &Message) -> String {
        if who.is_machine {
            return "-".to_owned();
        }
        let discord = &self.stage.discord;
        let control = &buttons(question)[0];
        let pressed = match control.ends_with(":menu") {
            true => discord.choose(question.id, who.id, control, &["v1"]),
            false => discord.press(question.id, who.id, control),
        };
        let Ok(pressed) = pressed else { return "is over".to_owned() };
        let answer = says(&self.stage, pressed).await;
        if answer.id == question.id { "counts".to_owned() } else { refusal(&answer, who) }
    }

    /// Somebody presses in a question of hal's. Where it does not count, it must not use the question up.
    async fn presses_hals(
        &self,
        who: Person,
        channel: Id,
        command: &str,
        whose: Option<(&str, &str)>,
    ) -> String {
        let question = self.uses(self.hal, channel, command, whose).await.unwrap();
        let pressed = self.presses(who, &question).await;
        if pressed != "counts" {
            assert_eq!(self.presses(self.hal, &question).await, "counts", "{pressed}");
        }
        pressed
    }

    /// Somebody presses in a question of their own, where they get one.
    async fn presses_own(&self, who: Person, channel: Id, command: &str) -> String {
        match self.uses(who, channel, command, None).await {
            Some(question) if !question.components.is_empty() => self.presses(who, &question).await,
            Some(refused) => refusal(&refused, who),
            None => "-".to_owned(),
        }
    }

    /// Somebody submits a form that an earlier bot has opened.
    async fn submits(&self, who: Person, channel: Id) -> String {
        if who.is_machine {
            return "-".to_owned();
        }
        let why = json!({ "type": 4, "style": 1, "custom_id": "why" });
        let form = json!({ "custom_id": "why:1", "title": "Deny", "components": [
            { "type": 18, "label": "Why?", "component": why },
        ] });
        let discord = &self.stage.discord;
        let opened = discord.left_open(channel, who.id, form);
        let submitted = discord.submit(opened, &[("why", json!("because"))]).unwrap();
        refusal(&says(&self.stage, submitted).await, who)
    }

    /// Stops the bot, and looks again at what had come to nothing.
    async fn end(mut self) {
        self.stage.stop().await;
        for (channel, message, words) in &self.nothing {
            assert!(!self.agent_got(words), "{words}");
            let replies = self.stage.discord.messages(*channel).into_iter();
            let answered = replies.filter(|it| it.by_bot && it.reply_to == Some(*message));
            assert!(answered.into_iter().all(|it| !it.content.contains(words)), "{words}");
        }
    }
}

/// The bot's sentence as a cell.
fn cell(sentence: &str) -> String {
    let line = sentence.lines().next().unwrap_or_default();
    SENTENCES.iter().find(|(said, _)| *said == line).map_or(line, |(_, short)| short).to_owned()
}

/// An answer that only this person should see.
fn refusal(answer: &Message, who: Person) -> String {
    let openly = if answer.ephemeral_to == Some(who.id) { "" } else { "OPENLY: " };
    format!("{openly}{}", cell(&answer.content))
}

/// How many turns `/queue` shows.
fn shows(answer: &Message) -> Option<String> {
    let turns = answer.content.lines().filter(|line| line.contains("<@")).count();
    (turns > 0).then(|| format!("shows {turns}"))
}

fn stopped(answer: &Message) -> Option<String> {
    when(answer.content.starts_with("Stopped the turn of"), "stops")
}

fn when(seen: bool, cell: &str) -> Option<String> {
    seen.then(|| cell.to_owned())
}

/// Everything that can be done in a text channel, and what comes of it when this person does it.
async fn everything(scene: &mut Scene, who: Person) -> Vec<(&'static str, String)> {
    let bot = scene.stage.discord.bot_id();
    let at = scene.stage.discord.channel(&format!("of {}", who.kind));
    let mut cells = Vec::new();
    let first = scene.mention(scene.hal, at, "TEXT:first");
    assert_eq!(scene.stage.settled(first).await, ANSWERED);
    let answer = scene.stage.parts(first)[0].id;

    let words = scene.words();
    let message = scene.mention(who, at, &format!("TEXT:{words}"));
    let mentioned = scene.comes_of(at, message, &words).await;
    let is_let_in = mentioned == "runs";
    cells.push(("a mention", mentioned));

    let words = scene.words();
    let reply = Say { reply_to: Some(answer), ..scene.say(who, at, &format!("TEXT:{words}")) };
    let message = scene.stage.discord.say(reply);
    cells.push(("a reply to an answer", scene.comes_of(at, message, &words).await));

    let words = scene.words();
    let message = scene.stage.discord.say(scene.say(who, at, &format!("!ask TEXT:{words}")));
    cells.push(("a prefix of triggers.lua", scene.comes_of(at, message, &words).await));

    let words = scene.words();
    let message = scene.stage.discord.say(scene.say(who, at, &format!("TEXT:{words}")));
    scene.stage.discord.edit(message, &format!("<@{bot}> TEXT:{words}"));
    cells.push(("an edit that mentions at last", scene.comes_of(at, message, &words).await));

    let held = scene.held(at, "").await;
    let (old, new) = (scene.words(), scene.words());
    let message = scene.mention(who, at, &format!("TEXT:{old}"));
    scene.stage.discord.edit(message, &format!("<@{bot}> TEXT:{new}"));
    if is_let_in {
        scene.stage.reacted(message, "⏳").await;
    }
    let queue = scene.does((who, at), "queue", None, shows).await;
    let stop = scene.does((who, at), "stop", None, stopped).await;
    scene.ends(held, at, &stop).await;
    cells.push(("an edit of what waits", scene.comes_of(at, message, &new).await));
    assert!(!scene.agent_got(&old), "the old words");
    cells.push(("/queue", queue));
    cells.push(("/stop, hal's turn", stop));

    // A turn that is in the channel, but in a project with a rule of its own.
    let held = scene.held(at, "VAULT").await;
    cells.push(("/queue, a turn in the vault", scene.does((who, at), "queue", None, shows).await));
    let stop = scene.does((who, at), "stop", None, stopped).await;
    scene.ends(held, at, &stop).await;
    cells.push(("/stop, a turn in the vault", stop));

    let stop = if is_let_in {
        let text = format!("SLEEP:600 ;; TEXT:{}", scene.words());
        let own = scene.mention(who, at, &text);
        scene.stage.prompted(&text).await;
        let stop = scene.does((who, at), "stop", None, stopped).await;
        scene.ends(own, at, &stop).await;
        stop
    } else {
        "-".to_owned()
    };
    cells.push(("/stop, the own turn", stop));

    let words = scene.words();
    let prompt = format!("TEXT:{words}");
    let asked = |answer: &Message| when(answer.content.starts_with("Asked: "), "asks");
    let mut ask = scene.does((who, at), "ask", Some(("prompt", &prompt)), asked).await;
    scene.later(at, "TEXT:later").await;
    assert_eq!(ask == "asks", scene.agent_got(&words), "{ask}");
    if ask == "asks" {
        let of_bot = scene.stage.discord.messages(at).into_iter().filter(|it| it.by_bot);
        let answered = of_bot.into_iter().any(|it| it.content.starts_with(&words));
        ask = if answered { "runs" } else { "RUNS AND IS NOT ANSWERED" }.to_owned();
    } else {
        scene.nothing.push((at, first, words));
    }
    cells.push(("/ask", ask));

    for (name, (option, value), back) in
        [("/model", ("name", "opus"), "project"), ("an effect: the mode", ("mode", "plan"), "default")]
    {
        let command = if value == "plan" { "mode" } else { "model" };
        let chosen = |answer: &Message| when(answer.content.contains(value), "changes");
        let told = scene.does((who, at), command, Some((option, value)), chosen).await;
        let after = scene.later(at, "MODE").await;
        assert_eq!(told == "changes", after.contains(value), "{name}: {told}, {after}");
        scene.uses(scene.hal, at, command, Some((option, back))).await;
        cells.push((name, told));
    }

    let suggested = match who.is_machine {
        true => "-".to_owned(),
        false => {
            let typing = UseCommand::new(at, who.id, "model").option("name", "o");
            let typing = scene.stage.discord.autocomplete(typing, "name").unwrap();
            let response = within("suggestions", scene.stage.discord.acknowledged(typing)).await;
            format!("{} offered", response.suggestions.len())
        }
    };
    cells.push(("/model, suggestions", suggested));

    let status = |answer: &Message| when(answer.embeds.iter().any(|it| it["title"] == "Status"), "answers");
    cells.push(("/status", scene.does((who, at), "status", None, status).await));
    let help = |answer: &Message| when(answer.content.starts_with("Mention me"), "answers");
    cells.push(("/help", scene.does((who, at), "help", None, help).await));

    let generation = scene.stage.reloader().generation();
    let reloaded = |answer: &Message| when(answer.content.starts_with("Reloaded, "), "reloads");
    let reload = scene.does((who, at), "reload", None, reloaded).await;
    assert_eq!(reload == "reloads", scene.stage.reloader().generation() > generation, "{reload}");
    cells.push(("/reload", reload));

    let reset = match scene.uses(who, at, "reset", None).await {
        None => "-".to_owned(),
        Some(question) if question.components.is_empty() => refusal(&question, who),
        Some(question) => {
            assert_eq!(scene.presses(who, &question).await, "counts");
            let told = |discord: &LocalDiscord| {
                discord.messages(at).into_iter().find(|it| it.content.starts_with("Forgot "))
            };
            within("a reset", scene.stage.discord.wait_until(told)).await;
            "forgets".to_owned()
        }
    };
    let said = scene.later(at, "SAY").await;
    assert_eq!(reset == "forgets", said == "(nothing was said before)", "{reset}: {said}");
    cells.push(("/reset", reset));

    let everybody = Some(("who", "all"));
    cells.push(("a press in the own question", scene.presses_own(who, at, "poll").await));
    cells.push(("a press in hal's question", scene.presses_hals(who, at, "poll", None).await));
    cells.push(("a press in one for all", scene.presses_hals(who, at, "poll", everybody).await));
    cells.push(("a choice in the own menu", scene.presses_own(who, at, "menu").await));
    cells.push(("a choice in hal's menu", scene.presses_hals(who, at, "menu", None).await));
    cells.push(("a choice in one for all", scene.presses_hals(who, at, "menu", everybody).await));
    cells.push(("a form of an earlier bot", scene.submits(who, at).await));
    cells
}

/// Rows of cells below a row of names.
fn table(corner: &str, columns: &[&str], rows: &[(String, Vec<String>)]) -> String {
    let heads = rows.iter().map(|(head, _)| head.as_str()).chain([corner]);
    let first = heads.map(|head| head.chars().count()).max().unwrap_or(0);
    let width = |place: usize| {
        let cells = rows.iter().map(|(_, cells)| cells[place].as_str()).chain([columns[place]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    let names = columns.iter().map(|name| (*name).to_owned()).collect();
    for (head, cells) in [(corner.to_owned(), names)].iter().chain(rows) {
        let mut line = format!("{head:first$}");
        for (place, cell) in cells.iter().enumerate() {
            write!(line, " | {cell:0$}", width(place)).unwrap();
        }
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

pub fn snapshot(name: &str, table: &str) {
    snapshot_in("access", name, table);
}

/// The same in another folder of the snapshots.
pub fn snapshot_in(folder: &str, name: &str, table: &str) {
    insta::with_settings!({
        snapshot_path => format!("{}/snapshots/{folder}", env!("CARGO_MANIFEST_DIR")),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, table) });
}

/// Two projects: `vault` is its channel, with a rule of its own; `here` is every other place.
fn routing(stage: &Stage, allow: &str) -> String {
    let (vault, keeper) = (stage.discord.channel("vault"), stage.discord.user("keeper"));
    let (hal, shown) = (stage.discord.user("hal"), r#"env = { DEMO_AGENT_LOG = "LOG" }"#);
    let posts = stage.discord.forum("forum of the vault");
    format!(
        r#"return {{
            allow = {{ {allow} }},
            projects = {{
                here = {{ dir = "WORK", {shown} }},
                vault = {{ dir = "WORK", {shown}, allow = {{ users = {{ "{hal}", "{keeper}" }} }} }},
            }},
            channels = {{ ["{vault}"] = "vault", ["{posts}"] = "vault" }},
            route = function(_, prompt) return prompt:find("VAULT") and "vault" or "here" end,
        }}"#
    )
}

/// The rule for everybody who is let in, without those whom `out` names.
fn allow(stage: &Stage, out: &[&str], more: &str) -> String {
    let list = |names: &[&str]| {
        let names = names.iter().filter(|name| !out.contains(name));
        names.map(|name| format!("\"{}\", ", stage.discord.user(name))).collect::<String>()
    };
    let (users, operators) = (list(&["hal", "ada", "zoe"]), list(&["olga"]));
    let role = stage.discord.role("crew");
    format!(r#"users = {{ {users} }}, roles = {{ "{role}" }}, operators = {{ {operators} }}, {more}"#)
}

/// The members of the crew are let in by their role.
fn crew(stage: &Stage) {
    let role = stage.discord.role("crew");
    for name in ["bob", "tom"] {
        stage.discord.give_role(stage.discord.user(name), role);
    }
}

#[tokio::test]
async fn who_may_do_what_in_a_channel() {
    let mut scene = Scene::set(|stage| routing(stage, &allow(stage, &[], ""))).await;
    let discord = scene.stage.discord.clone();
    crew(&scene.stage);
    let named = |kind, name| person(kind, discord.user(name));
    let machine = |kind, id| Person { is_machine: true, ..person(kind, id) };
    let forged = |kind, id| Person { forged: true, ..machine(kind, id) };
    let people = [
        person("owner", discord.owner()),
        named("operator", "olga"),
        named("named", "ada"),
        named("by role", "bob"),
        named("named before", "zoe"),
        named("had the role", "tom"),
        named("of the vault", "keeper"),
        named("stranger", "eve"),
        machine("another bot", discord.other_bot("robot")),
        forged("hook as owner", discord.owner()),
        forged("hook as named", discord.user("ada")),
    ];
    scene.start(&people).await;
    scene.reload(&routing(&scene.stage, &allow(&scene.stage, &["zoe"], ""))).await;
    discord.take_role(discord.user("tom"), discord.role("crew"));
    let mut columns = Vec::new();
    for who in people {
        columns.push((who.kind, everything(&mut scene, who).await));
    }
    scene.end().await;

    // The application goes to somebody else while the bot runs.
    let mut scene = Scene::set(|stage| routing(stage, &allow(stage, &[], ""))).await;
    let discord = scene.stage.discord.clone();
    let (owner, heir) = (person("owner before", discord.owner()), person("owner now", discord.user("heir")));
    scene.stage.adjust = |config| config.discord.gate_times.fresh = Duration::ZERO;
    scene.start(&[owner, heir]).await;
    discord.hand_over(heir.id);
    let general = discord.channel("general");
    let refused = scene.does((owner, general), "status", None, |_| None).await;
    assert_eq!(refused, "not let in", "from here on the bot knows");
    for who in [owner, heir] {
        columns.push((who.kind, everything(&mut scene, who).await));
    }
    scene.end().await;

    let kinds: Vec<&str> = columns.iter().map(|(kind, _)| *kind).collect();
    let rows: Vec<(String, Vec<String>)> = columns[0]
        .1
        .iter()
        .enumerate()
        .map(|(place, (action, _))| {
            ((*action).to_owned(), columns.iter().map(|(_, cells)| cells[place].1.clone()).collect())
        })
        .collect();
    snapshot("channel", &table("in a channel of `here`", &kinds, &rows));
}

/// What lets a message in a place be seen to have come to nothing.
#[derive(Clone, Copy)]
enum Shown {
    /// A later message of this person there.
    By(Person),
    /// The bot says that it is done with it.
    Settled,
    /// The bot has asked Discord about the place, in vain.
    Asked,
    /// The bot turns it away.
    TurnedAway,
}

/// What comes of a mention in this place.
async fn mentions_at(scene: &mut Scene, who: Person, at: Id, shown: Shown) -> String {
    let words = scene.words();
    let message = scene.mention(who, at, &format!("TEXT:{words}"));
    match shown {
        Shown::By(other) => {
            let hal = std::mem::replace(&mut scene.hal, other);
            let seen = scene.comes_of(at, message, &words).await;
            scene.hal = hal;
            seen
        }
        Shown::Settled => {
            scene.stage.settled(message).await;
            scene.noted(at, message, &words)
        }
        Shown::Asked => {
            let path = format!("/channels/{at}");
            let asked = |discord: &LocalDiscord| {
                discord.calls().iter().any(|call| call.path == path && call.status.is_some()).then_some(())
            };
            within("a question about the place", scene.stage.discord.wait_until(asked)).await;
            scene.noted(at, message, &words)
        }
        Shown::TurnedAway => {
            let told = within("a word", scene.stage.discord.answers(at, 1)).await;
            assert!(!scene.agent_got(&words));
            cell(&told[0].content)
        }
    }
}

/// What comes of `/model` in this place.
async fn chooses_at(scene: &mut Scene, who: Person, at: Id) -> String {
    let model = scene.words();
    let chosen = |answer: &Message| when(answer.content.contains(&format!("**{model}**")), "changes");
    scene.does((who, at), "model", Some(("name", &model)), chosen).await
}

#[tokio::test]
async fn who_may_work_where() {
    let mut scene = Scene::set(|stage| routing(stage, &allow(stage, &[], ""))).await;
    let discord = scene.stage.discord.clone();
    crew(&scene.stage);
    let named = |kind, name| person(kind, discord.user(name));
    let people = [
        person("owner", discord.owner()),
        named("operator", "olga"),
        named("named", "ada"),
        named("by role", "bob"),
        named("of the vault", "keeper"),
        named("stranger", "eve"),
        Person { is_machine: true, ..person("another bot", discord.other_bot("robot")) },
    ];
    let (owner, hal) = (people[0], scene.hal);
    let [general, vault] = ["general", "vault"].map(|name| discord.channel(name));
    let [forum, vaults_forum] = ["forum", "forum of the vault"].map(|name| discord.forum(name));
    // Discord tells the bot of no thread that stays in the archive, and does not answer when it asks.
    let untold = discord.thread(vault, "untold");
    discord.close_thread(untold, Some(Closed::Locked));
    discord.fail_next(usize::MAX, Fault::Status(500), &format!("GET /channels/{untold}"));
    scene.start(&people).await;
    let places = [
        ("a channel", general, Shown::By(hal)),
        ("a thread", discord.thread(general, "thread"), Shown::By(hal)),
        ("a private thread", discord.private_thread(general, "private"), Shown::By(hal)),
        ("a post in a forum", discord.thread(forum, "post"), Shown::By(hal)),
        ("the vault", vault, Shown::By(hal)),
        ("a thread in the vault", discord.thread(vault, "thread"), Shown::By(hal)),
        ("a private thread in the vault", discord.private_thread(vault, "private"), Shown::By(hal)),
        ("a post in a forum of the vault", discord.thread(vaults_forum, "post"), Shown::By(hal)),
        ("a thread of the vault that nobody knows", untold, Shown::Asked),
        ("a guild that nobody has named", discord.channel_elsewhere("general"), Shown::By(owner)),
    ];
    let (mut mentions, mut choices) = (Vec::new(), Vec::new());
    for (place, at, shown) in places {
        let (mut mentioned, mut chose) = (Vec::new(), Vec::new());
        for who in people {
            mentioned.push(mentions_at(&mut scene, who, at, shown).await);
            chose.push(chooses_at(&mut scene, who, at).await);
        }
        mentions.push((place.to_owned(), mentioned));
        choices.push((place.to_owned(), chose));
    }
    for (place, guilds) in
        [("direct messages", ""), ("a guild that `allow.guilds` leaves out", "guilds = { '1' }")]
    {
        scene.reload(&routing(&scene.stage, &allow(&scene.stage, &[], guilds))).await;
        let (mut mentioned, mut chose) = (Vec::new(), Vec::new());
        for who in people {
            let (at, shown) = match guilds {
                // Bots have none with each other.
                "" if who.is_machine => {
                    mentioned.push("-".to_owned());
                    chose.push("-".to_owned());
                    continue;
                }
                "" => (discord.direct(who.id), Shown::TurnedAway),
                _ => (general, Shown::Settled),
            };
            mentioned.push(mentions_at(&mut scene, who, at, shown).await);
            chose.push(chooses_at(&mut scene, who, at).await);
        }
        mentions.push((place.to_owned(), mentioned));
        choices.push((place.to_owned(), chose));
    }
    scene.end().await;
    let kinds = people.map(|who| who.kind);
    let both =
        format!("{}\n{}", table("a mention in", &kinds, &mentions), table("/model in", &kinds, &choices));
    snapshot("places", &both);
}

/// How somebody is let in no more who was.
#[derive(Clone, Copy, PartialEq)]
enum Shut {
    Nothing,
    HandedOver,
    RoleTaken,
    TakenOut,
    Narrowed,
    GuildLeftOut,
    NoOperator,
}

impl Shut {
    fn said(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::HandedOver => "the application has another owner",
            Self::RoleTaken => "the role is taken",
            Self::TakenOut => "taken out of `allow.users`",
            Self::Narrowed => "the project has a rule of its own",
            Self::GuildLeftOut => "the guild is taken out of `allow.guilds`",
            Self::NoOperator => "taken out of `allow.operators`",
        }
    }

    fn of(self, discord: &LocalDiscord) -> Person {
        match self {
            Self::HandedOver => person("owner", discord.owner()),
            Self::RoleTaken => person("by role", discord.user("bob")),
            Self::NoOperator => person("operator", discord.user("olga")),
            _ => person("named", discord.user("ada")),
        }
    }

    /// Lets it happen; the scripts are saved.
    fn happens(self, stage: &Stage) {
        let discord = &stage.discord;
        let here = format!("guilds = {{ '{}' }}", discord.guild());
        let routing = match self {
            Self::Nothing => return,
            Self::HandedOver => return discord.hand_over(discord.user("heir")),
            Self::RoleTaken => {
                discord.take_role(discord.user("bob"), discord.role("crew"));
                return;
            }
            Self::TakenOut => routing(stage, &allow(stage, &["ada"], &here)),
            Self::GuildLeftOut => routing(stage, &allow(stage, &[], "guilds = { '1' }")),
            Self::NoOperator => routing(stage, &allow(stage, &["olga"], &here)),
            Self::Narrowed => routing(stage, &allow(stage, &[], &here)).replace(
                "here = {",
                &format!("here = {{ allow = {{ users = {{ '{}' }} }},", discord.user("hal")),
            ),
        };
        stage.save("routing.lua", &routing);
    }

    /// A scene in which the person is let in, and waits with this many messages behind hal's turn.
    async fn waits<const N: usize>(self) -> (Scene, Person, Id, Id, [(Id, String); N]) {
        let listed = |stage: &Stage| format!("guilds = {{ '{}' }}", stage.discord.guild());
        let mut scene = Scene::set(|stage| routing(stage, &allow(stage, &[], &listed(stage)))).await;
        crew(&scene.stage);
        scene.stage.adjust = |config| config.discord.gate_times.fresh = Duration::ZERO;
        scene.start(&[]).await;
        let (who, at) = (self.of(&scene.stage.discord), scene.stage.discord.channel("general"));
        let held = scene.held(at, "").await;
        let waiting = std::array::from_fn(|_| {
            let words = scene.words();
            (scene.mention(who, at, &format!("TEXT:{words}")), words)
        });
        for (message, _) in &waiting {
            match self {
                Self::NoOperator => assert_eq!(scene.stage.settled(*message).await, Settled::Ignored),
                _ => scene.stage.reacted(*message, "⏳").await,
            }
        }
        (scene, who, at, held, waiting)
    }
}

#[tokio::test]
async fn who_is_let_in_no_more() {
    let mut rows = Vec::new();
    for shut in [
        Shut::Nothing,
        Shut::HandedOver,
        Shut::RoleTaken,
        Shut::TakenOut,
        Shut::Narrowed,
        Shut::GuildLeftOut,
        Shut::NoOperator,
    ] {
        let (mut scene, who, at, held, [(waits, words), (edited, old)]) = shut.waits().await;
        let discord = scene.stage.discord.clone();
        let question = scene.uses(who, at, "poll", None).await.unwrap();
        let menu = scene.uses(who, at, "menu", None).await.unwrap();
        shut.happens(&scene.stage);
        within("a reload", scene.stage.reloader().reload_now()).await.unwrap();
        let new = scene.words();
        discord.edit(edited, &format!("<@{}> TEXT:{new}", discord.bot_id()));
        let mut after = vec![scene.presses(who, &question).await, scene.presses(who, &menu).await];
        after.push(scene.does((who, at), "queue", None, shows).await);
        after.push(scene.does((who, at), "stop", None, stopped).await);
        discord.delete(held);
        scene.stage.settled(waits).await;
        scene.stage.settled(edited).await;
        let mut cells = vec![scene.noted(at, waits, &words)];
        assert!(!scene.agent_got(&old), "the old words");
        let edited = scene.noted(at, edited, &new);
        scene.end().await;

        let (mut scene, _, at, _, [(waits, words)]) = shut.waits().await;
        scene.stage.stop().await;
        shut.happens(&scene.stage);
        scene.stage.start().await;
        if shut != Shut::NoOperator {
            scene.stage.settled(waits).await;
        }
        cells.push(scene.noted(at, waits, &words));
        scene.end().await;
        cells.push(edited);
        cells.append(&mut after);
        rows.push((shut.said().to_owned(), cells));
    }
    let columns = [
        "a turn that waits",
        "the same over a restart",
        "an edit of what waits",
        "the own question",
        "the own menu",
        "/queue",
        "/stop, hal's turn",
    ];
    snapshot("no-more", &table("what happens meanwhile", &columns, &rows));
}

#[tokio::test]
async fn a_new_owner_is_let_in_without_a_restart() {
    let mut stage = Stage::without_bot(Setup::default()).await;
    stage.adjust = |config| config.discord.gate_times.owners_every = Duration::from_millis(50);
    stage.start().await;
    let (general, before) = (stage.discord.channel("general"), stage.discord.owner());
    stage.discord.hand_over(stage.discord.user("heir"));
    let count = |discord: &LocalDiscord| {
        let calls = discord.calls();
        calls.iter().filter(|call| call.path == "/applications/@me" && call.status == Some(200)).count()
    };
    // The first may have been answered before, and what the second says is known when the third is asked.
    let known = count(&stage.discord) + 3;
    let asked = stage.discord.wait_until(|discord| (count(discord) >= known).then_some(()));
    within("questions about the owner", asked).await;
    let before = stage.discord.say(Say::to_bot(general, before, "TEXT:of the owner before"));
    assert_eq!(stage.settled(before).await, Settled::Ignored);
    let now = stage.say_as("heir", "general", "TEXT:of the owner now");
    assert_eq!(stage.settled(now).await, ANSWERED);
}
