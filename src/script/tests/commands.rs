//! What commands do, and what they cannot.

use serde_json::{Value, json};

use super::*;
use crate::domain::{Controls, Dialog, InteractionId, Invocation, NamedChannel, NamedRole, OptionValue};

/// A file of a command `/test` that does this.
pub(super) fn test_command(body: &str) -> String {
    format!(
        "return {{ name = 'test', description = 'A test', run = function(ctx, args) local ctx = ctx\n{body}\nend }}"
    )
}

pub(super) fn commands(body: &str) -> ScriptSet {
    set(&[("commands/test.lua", &test_command(body))])
}

pub(super) fn call_of(command: &str, options: &[(&str, OptionValue)]) -> CommandCall {
    let Message { author, channel_id, channel_name, guild_id, .. } = message("");
    CommandCall {
        invocation: Invocation {
            command: command.to_owned(),
            subcommand: None,
            options: options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            permissions: Default::default(),
        },
        author,
        channel_id,
        parent_channel_id: None,
        channel_name,
        guild_id: Some(guild_id),
        permissions: 1 << 13,
        first: false,
    }
}

fn call() -> CommandCall {
    call_of("test", &[])
}

/// What an effect says, in a few words.
pub(super) fn said(effect: &Effect) -> String {
    match effect {
        Effect::Reply(reply) if reply.ephemeral => format!("reply to one: {}", reply.text),
        Effect::Reply(reply) => format!("reply: {}", reply.text),
        Effect::Edit(reply) => format!("edit: {}", reply.text),
        Effect::Confirm(dialog) => format!("confirm: {}", asked(dialog)),
        Effect::Choose(dialog) => format!("choose: {}", asked(dialog)),
        other => format!("{other:?}"),
    }
}

fn asked(dialog: &Dialog) -> String {
    let labels: Vec<&str> = match &dialog.controls {
        Controls::Buttons(buttons) => buttons.iter().map(|button| button.label.as_str()).collect(),
        Controls::Select { options, .. } => options.iter().map(|option| option.label.as_str()).collect(),
    };
    format!("{} [{}]", dialog.question.text, labels.join("] ["))
}

/// Runs a command to its end; `core` answers its effects. Gives what it asked for, and its error last.
pub(super) async fn played(
    set: &ScriptSet,
    call: CommandCall,
    mut core: impl FnMut(&Effect) -> Result<Value, String>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut step = set.call(call).await;
    loop {
        match step {
            CommandStep::Effect(effect, waiting) => {
                lines.push(said(&effect));
                step = waiting.resume(core(&effect)).await;
            }
            CommandStep::Done => return lines,
            CommandStep::Failed(error) => {
                let refusal = error.refusal().map(|said| format!(" ({said})")).unwrap_or_default();
                lines.push(format!("{:?}: {error}{refusal}", error.kind()));
                return lines;
            }
        }
    }
}

/// The same where every effect is answered by nothing.
async fn plain(body: &str) -> String {
    played(&commands(body), call(), |_| Ok(Value::Null)).await.join("\n")
}

#[tokio::test]
async fn a_set_without_commands_has_none() {
    let set = set(&[]);
    assert!(set.commands().is_empty());
    assert!(
        matches!(set.call(call()).await, CommandStep::Failed(error) if error.to_string() == r#"there is no command "test""#)
    );
}

#[tokio::test]
async fn a_dialog_reads_from_top_to_bottom() {
    let body = "local s = ctx:session()
if not s then return ctx:reply { 'There is no session here.', ephemeral = true } end
if ctx:confirm { ('Forget %d turns with **%s**?'):format(s.turns, s.project), yes = 'Reset', timeout = 60 } then
  ctx:reset_session()
  ctx:reply 'Done.'
end";
    let set = commands(body);
    let answers = |confirmed: Value| {
        move |effect: &Effect| match effect {
            Effect::Session { .. } => Ok(json!({ "turns": 3, "project": "site" })),
            Effect::Confirm(dialog) => {
                assert_eq!(dialog.timeout, Duration::from_secs(60));
                Ok(confirmed.clone())
            }
            _ => Ok(Value::Null),
        }
    };
    let asked = ["Session { channel: None }", "confirm: Forget 3 turns with **site**? [Reset] [Cancel]"];
    let reset = ["ResetSession { channel: None }", "reply: Done."];
    let yes = played(&set, call(), answers(json!(true))).await;
    assert_eq!(yes, [asked, reset].concat());
    assert_eq!(played(&set, call(), answers(json!(false))).await, asked);
    assert_eq!(played(&set, call(), answers(Value::Null)).await, asked);
    let none = played(&set, call(), |_| Ok(Value::Null)).await;
    assert_eq!(none, [asked[0], "reply to one: There is no session here."]);
}

#[tokio::test]
async fn an_effect_that_fails_raises_at_the_line_that_asked() {
    let refuse = |_: &Effect| Err("There is no such model.".to_owned());
    let uncaught = played(&commands("local x\nctx:set_model 'x'\nctx:reply 'never'"), call(), refuse).await;
    assert_eq!(
        uncaught[1..],
        ["Failed: scripts/commands/test.lua:3: There is no such model. (There is no such model.)"]
    );
    // What the script itself raises is not the core's word.
    let body = "local ok, problem = pcall(function()\nctx:set_model 'x' end)\nerror('my ' .. problem, 0)";
    let own = played(&commands(body), call(), refuse).await;
    assert_eq!(own[1..], ["Failed: my scripts/commands/test.lua:3: There is no such model."]);
    let caught = "if not pcall(ctx.set_model, ctx, 'x') then ctx:reply 'refused' end";
    let caught = played(&commands(caught), call(), refuse).await;
    assert_eq!(caught.len(), 3, "{caught:?}");
}

#[tokio::test]
async fn effects_are_decoded_with_paths_in_their_errors() {
    let bodies = [
        "ctx:reply {}",
        "ctx:reply { ' ', ephemeral = 'yes' }",
        "ctx:reply { 'x', ephemral = true }",
        "ctx:reply { 'x', text = 'y' }",
        "ctx:reply { 'x', 'y' }",
        "ctx:reply(7)",
        "ctx:reply(print)",
        "ctx:reply(('x'):rep(2001))",
        "ctx:reply { 'x', links = { { label = 'a', url = 'javascript:x' } } }",
        "ctx:reply { embed = {} }",
        "ctx:reply { embed = { title = 'x', color = 'red' } }",
        "ctx:reply { embed = { fields = { { name = 'a', text = 'b' }, { name = 'a' } } } }",
        "ctx:reply { embed = { text = ('x'):rep(4096), footer = ('x'):rep(2000) } }",
        "ctx:reply { file = { name = '../x', text = '' } }",
        "ctx:edit '\\255'",
        "ctx:reply(('x'):rep(2e6))",
        "ctx:confirm { 'x', timeout = 0 }",
        "ctx:confirm { 'x', timeout = 'soon' }",
        "ctx:confirm { 'x', timeout = '2 days' }",
        "ctx:confirm { 'x', yes = '' }",
        "ctx:confirm { 'x', who = {} }",
        "ctx:confirm { 'x', who = { users = { 5 } } }",
        "ctx:choose 'x'",
        "ctx:choose { 'x', options = { 'a', 5 } }",
        "ctx:choose { 'x', options = { 'a', { label = 'b', value = 'a' } } }",
        "ctx:choose { 'x', options = { { lable = 'b' } } }",
        "ctx:session(12)",
        "ctx:session 'general'",
        "ctx:sessions { channel = '1' }",
        "ctx:set_model()",
        "ctx:set_model '--resume'",
        "ctx:set_model(true)",
        "ctx:set_permission_mode 'acceptEdit'",
        "ctx:take_out()",
        "ctx:ask ' '",
        "ctx:ask { 'x', session = 'new' }",
        "ctx:send 'x'",
        "ctx:send('1', 'x')",
        "ctx:defer { true }",
        "ctx:confirm { 'x', timeout = 0.5 }",
        "ctx:follow_up 'x'",
        "ctx.reply 'x'",
        "ctx:replay 'x'",
        "ctx.zzz = ctx.zzz",
    ];
    let mut lines = Vec::new();
    for body in bodies {
        lines.push((body, plain(&format!("local line2\n{body}")).await));
    }
    snapshot!("problems_in_effects", cases(lines));
}

#[tokio::test]
async fn every_effect_can_be_asked_for() {
    let body = "
ctx:reply 'a'
ctx:reply { 'a', ephemeral = true, embed = { title = 't', text = 'x', url = 'https://x.org', color = '#0000ff',
  fields = { { name = 'n', text = 'v', inline = true } }, footer = 'f' },
  links = { { label = 'l', url = 'https://x.org/y' } }, file = { name = 'a.txt', text = 'b' } }
ctx:edit { text = 'b' }
ctx:reply 'c'
ctx:confirm { 'sure?', no = 'No', who = { users = { '1' }, roles = { '2' } }, timeout = '2m' }
ctx:choose { 'which?', options = { 'a', { label = 'B', value = 'b', description = 'c' } }, ephemeral = true }
ctx:session '5'
ctx:session { channel = '5' }
ctx:session { id = '5', name = 'den' }
ctx:session { channel = { id = '5', name = 'den' } }
ctx:next_turn()
ctx:next_turn '5'
ctx:sessions()
ctx:reset_session()
ctx:set_model { 'opus', channel = '5' }
ctx:set_model(false)
ctx:set_permission_mode 'plan'
ctx:verbosity()
ctx:set_verbosity 'full'
ctx:set_verbosity(false)
ctx:set_board '5'
ctx:set_board(false)
ctx:stop()
ctx:queue()
ctx:take_out '9'
ctx:ask 'why?'
ctx:ask { 'why?', project = 'site', model = 'opus', fresh = true, thread = true }
ctx:open_thread 'A task'
ctx:send { 'hi', channel = '5' }
ctx:projects()
ctx:status()
ctx:defer()
ctx:defer { ephemeral = true }
ctx:usage()
ctx:usage 'week'
ctx:usage { 'month', by = 'channel' }
ctx:reload()";
    let mut lines = Vec::new();
    let mut step = commands(body).call(call()).await;
    while let CommandStep::Effect(effect, waiting) = step {
        lines.push(format!("{effect:?}"));
        step = waiting.resume(Ok(Value::Null)).await;
    }
    assert!(matches!(step, CommandStep::Done), "{step:?}");
    snapshot!("effects", lines.join("\n"));
    for name in effect::names() {
        assert!(body.contains(&format!("ctx:{name}")), "{name}");
    }
}

#[tokio::test]
async fn a_command_knows_who_used_it_where_and_with_what() {
    let body = "local a = args
ctx:reply(moonlane.json.encode { a = a, same = a == ctx.args, user = ctx.user, channel = ctx.channel, guild = ctx.guild_id,
  command = ctx.command, sub = ctx.subcommand or 'none', may = { ctx:may 'manage_messages', ctx:may 'ban_members' } })";
    let options = [
        ("text", OptionValue::Text("x".to_owned())),
        ("count", OptionValue::Integer(3)),
        ("share", OptionValue::Number(0.5)),
        ("on", OptionValue::Boolean(false)),
        ("who", OptionValue::User(Author { id: "1411922334455667789".parse().unwrap(), ..call().author })),
        (
            "where",
            OptionValue::Channel(NamedChannel {
                id: "7".parse().unwrap(),
                name: "den".to_owned(),
                parent_id: None,
            }),
        ),
        ("role", OptionValue::Role(NamedRole { id: "8".parse().unwrap(), name: "crew".to_owned() })),
    ];
    let set = commands(body);
    let lines = played(&set, call_of("test", &options), |_| Ok(Value::Null)).await;
    let private = CommandCall { guild_id: None, parent_channel_id: Some("6".parse().unwrap()), ..call() };
    let private = played(&set, private, |_| Ok(Value::Null)).await;
    snapshot!("ctx_table", cases([("in a guild", lines.join("\n")), ("elsewhere", private.join("\n"))]));
}

#[test]
fn a_call_is_what_the_interaction_says() {
    use crate::domain::{Interaction, InteractionKind, InteractionToken};
    let call = CommandCall { parent_channel_id: Some("6".parse().unwrap()), ..call() };
    let interaction = Interaction {
        id: "1".parse::<InteractionId>().unwrap(),
        token: InteractionToken(String::new()),
        channel_id: call.channel_id,
        parent_channel_id: call.parent_channel_id,
        channel_name: call.channel_name.clone(),
        guild_id: call.guild_id,
        author: call.author.clone(),
        permissions: call.permissions,
        received: Instant::now(),
        kind: InteractionKind::Command(call.invocation.clone()),
    };
    assert_eq!(CommandCall::new(&interaction, call.invocation.clone()), call);
}

#[tokio::test]
async fn local_functions_yield_nothing() {
    let shown = async |expression: &str| plain(&format!("ctx:reply(tostring({expression}))")).await;
    assert_eq!(shown("moonlane.now() > 1.7e9").await, "reply: true");
    assert_eq!(shown("moonlane.regex('(?P<a>b+)(c)?', 'xbb')[0]").await, "reply: bb");
    assert_eq!(shown("moonlane.regex('(?P<a>b+)(c)?', 'xbb').a").await, "reply: bb");
    assert_eq!(shown("moonlane.regex('(?P<a>b+)(c)?', 'xbb')[2]").await, "reply: nil");
    assert_eq!(shown("moonlane.regex('b', 'x')").await, "reply: nil");
    assert_eq!(
        shown("moonlane.json.encode { 1, 2.5, 'x', { a = true } }").await,
        r#"reply: [1,2.5,"x",{"a":true}]"#
    );
    assert_eq!(shown("moonlane.json.decode('{ \"a\": [1, null] }').a[1]").await, "reply: 1");
    assert_eq!(shown("tostring(ctx.user) .. tostring(ctx.channel)").await, "reply: <@40><#10>");
    assert_eq!(shown("ctx.channel.parent_id").await, "reply: nil");
    assert_eq!(shown("moonlane.time.format(0)").await, "reply: 1970-01-01 00:00");
    assert_eq!(
        shown("moonlane.time.format(1.7e9, '%d.%m. %H:%M', 'Europe/Berlin')").await,
        "reply: 14.11. 23:13"
    );
    assert_eq!(shown("pcall(function() moonlane.now = 1 end)").await, "reply: false");
    assert_eq!(shown("#ctx:commands() .. ctx:commands()[1].name").await, "reply: 1test");
    // Inside a callback too, where an effect is impossible.
    assert_eq!(
        shown("(('x'):gsub('x', function(x) return moonlane.regex('.', x)[0] .. 'y' end))").await,
        "reply: xy"
    );
    let failures = [
        "moonlane.regex('(', 'x')",
        "moonlane.regex('\\\\w{1000}', 'x')",
        "moonlane.regex('x', ('x'):rep(1e6))",
        "moonlane.regex(('\\\\w'):rep(1e5), 'x')",
        "moonlane.regex(('(a*)'):rep(200) .. '$', ('a'):rep(1e4))",
        "moonlane.regex('x')",
        "moonlane.json.encode { print }",
        "moonlane.json.decode '{'",
        "moonlane.json.decode(5)",
        "moonlane.json.decode(('['):rep(1000))",
        "moonlane['jsn']",
        "moonlane.time.format('now')",
        "moonlane.time.format(0, '%!')",
        "moonlane.time.format(0, '%H', 'Mars/Olympus')",
        "moonlane.time.format(1e30)",
        "moonlane.log { 'x', level = 'warning' }",
        "ctx.user.nick",
        "ctx.channel.idd",
        "ctx:now()",
        "ctx.json",
        "ctx:may 'manage_mesages'",
        "ctx.may 'manage_messages'",
    ];
    let mut lines = Vec::new();
    for code in failures {
        lines.push((code, plain(&format!("local x = {code}")).await));
    }
    snapshot!("problems_in_ctx", cases(lines));
}

#[tokio::test]
async fn an_effect_in_a_callback_says_why_not() {
    let bodies = [
        "table.sort({ 2, 1 }, function(a, b) ctx:reply 'x' return a < b end)",
        "return (('x'):gsub('x', function() ctx:reply 'x' end))",
        "return tostring(setmetatable({}, { __tostring = function() ctx:reply 'x' return '' end }))",
    ];
    for body in bodies {
        let lines = plain(body).await;
        assert!(
            lines.starts_with("Failed: scripts/commands/test.lua:2: ctx:reply cannot wait inside"),
            "{lines}"
        );
    }
    // These may wait.
    let fine = "for _, x in (function() ctx:reply 'i' return nil end) do end
pcall(function() ctx:reply 'p' end)
local t = setmetatable({}, { __index = function(_, k) return k end })
ctx:reply(t.x)";
    assert_eq!(plain(fine).await.lines().count(), 3, "{}", plain(fine).await);
}

#[tokio::test]
async fn a_runaway_costs_one_command_and_the_others_wait_on() {
    let mut seen = Vec::new();
    for (name, body) in RUNAWAYS {
        let test = format!(
            "if args.text == 'wait' then ctx:reply('had ' .. tostring(ctx:confirm 'sure?')) return end\nif args.text then {body} end"
        );
        let set = commands(&test);
        let with = |text: &str| call_of("test", &[("text", OptionValue::Text(text.to_owned()))]);
        let CommandStep::Effect(_, waiting) = set.call(with("wait")).await else { panic!("{name}") };
        for _ in 0..2 {
            let start = Instant::now();
            let lines = played(&set, with("run away"), |_| Ok(Value::Null)).await.join("\n");
            seen.push((name, end_of_runaway(name, &lines)));
            assert!(start.elapsed() < Duration::from_secs(5), "{name}");
            assert_eq!(played(&set, call(), |_| Ok(Value::Null)).await, [""; 0], "{name}");
        }
        let step = waiting.resume(Ok(json!(true))).await;
        let went_on = matches!(&step, CommandStep::Effect(effect, _) if said(effect) == "reply: had true");
        // Where globals fill the VM, it is replaced, perhaps twice.
        let ended = matches!(&step, CommandStep::Failed(e) if e.kind() == FailureKind::OutOfMemory);
        assert!(went_on || (ended && name.starts_with("growing global")), "{name}: {step:?}");
    }
    for pair in seen.chunks(2) {
        assert_eq!(pair[0], pair[1], "the second time is like the first");
    }
    snapshot!("runaways_in_commands", cases(seen.into_iter().step_by(2)));
}

#[tokio::test]
async fn a_runaway_after_an_answer_ends_too() {
    let body = "ctx:status() while true do pcall(ctx.reply, ctx, {}) end";
    let lines = plain(body).await;
    assert!(lines.contains("\nTimedOut: scripts/commands/test.lua:2: ran longer than 60ms"), "{lines}");
    let waiting = "while true do pcall(ctx.status, ctx) end";
    let CommandStep::Effect(_, waiting) = commands(waiting).call(call()).await else { panic!() };
    // SuspendedCommand is not on the clock.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(matches!(waiting.resume(Ok(Value::Null)).await, CommandStep::Effect(..)));
}

#[tokio::test]
async fn a_loop_of_effects_ends_too() {
    let loops = ["while true do ctx:status() end", "while true do\npcall(function() ctx:status() end)\nend"];
    let ends = ["scripts/commands/test.lua:2:", "scripts/commands/test.lua:3:"];
    for (body, end) in loops.iter().zip(ends) {
        let mut performed = 0;
        let count = |_: &Effect| {
            performed += 1;
            assert!(performed < 10_000, "it goes on and on");
            Ok(Value::Null)
        };
        let lines = played(&commands(body), call(), count).await;
        assert_eq!(performed, crate::script::commands::MAX_EFFECTS);
        assert_eq!(
            lines.last().unwrap(),
            &format!("TimedOut: {end} called more than 500 functions of `ctx`")
        );
    }
    // As many as it may, and then it ends by itself.
    let body = "for _ = 1, 500 do ctx:status() end";
    assert_eq!(plain(body).await.lines().count(), 500);
}

#[tokio::test]
async fn a_waiting_command_goes_on_in_a_vm_that_was_replaced_once() {
    let body = "KEPT = KEPT or {} local mine = tostring(ctx:confirm 'sure?') ctx:reply(mine .. ' ' .. #KEPT)";
    // Without garbage, so that it is certain how full the VM is.
    let fill = "KEPT = KEPT or {} for i = 1, 7 do KEPT[i] = buffer.create(1e6) end";
    let set = set(&[
        ("commands/test.lua", &test_command(body)),
        ("commands/fill.lua", &test_command(fill).replace("name = 'test'", "name = 'fill'")),
    ]);
    let fill = async || played(&set, call_of("fill", &[]), |_| Ok(Value::Null)).await;
    let wait = async || match set.call(call()).await {
        CommandStep::Effect(_, waiting) => waiting,
        other => panic!("{other:?}"),
    };
    let (first, second) = (wait().await, wait().await);
    assert_eq!(fill().await, [""; 0]);
    let (third, fourth) = (wait().await, wait().await);
    let CommandStep::Effect(effect, _) = third.resume(Ok(json!(true))).await else { panic!() };
    assert_eq!(said(&effect), "reply: true 0", "it began in a fresh VM");
    let CommandStep::Effect(effect, _) = first.resume(Ok(json!(false))).await else { panic!() };
    assert_eq!(said(&effect), "reply: false 7", "it goes on in the old one");
    assert_eq!(fill().await, [""; 0]);
    let CommandStep::Failed(error) = second.resume(Ok(json!(true))).await else { panic!() };
    assert_eq!(error.kind(), FailureKind::OutOfMemory);
    assert!(error.to_string().starts_with("ended while it was waiting"), "{error}");
    let CommandStep::Effect(effect, _) = fourth.resume(Ok(json!(true))).await else { panic!() };
    assert_eq!(said(&effect), "reply: true 7");
}

#[tokio::test]
async fn only_so_many_commands_wait() {
    let set = commands("ctx:confirm 'sure?'");
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let CommandStep::Effect(_, one) = set.call(call()).await else { panic!() };
        waiting.push(one);
    }
    let CommandStep::Failed(error) = set.call(call()).await else { panic!() };
    assert_eq!(error.kind(), FailureKind::Busy);
    let message = "scripts/commands/test.lua: 100 commands are already waiting (`scripts.max_waiting`)";
    assert_eq!(error.to_string(), message);
    // Dropping one makes room.
    waiting.pop();
    assert!(matches!(set.call(call()).await, CommandStep::Effect(..)));
}

#[tokio::test]
async fn a_waiting_command_outlives_its_set() {
    let root =
        root(&[("commands/test.lua", &test_command("ctx:reply(ctx:choose { 'x', options = { 'a' } })"))]);
    let set = load(root.path()).unwrap().set;
    let CommandStep::Effect(_, waiting) = set.call(call()).await else { panic!() };
    drop((set, root));
    let CommandStep::Effect(effect, _) = waiting.resume(Ok(json!("a"))).await else { panic!() };
    assert_eq!(said(&effect), "reply: a");
}

#[tokio::test]
async fn a_huge_answer_is_refused() {
    let set = commands("ctx:sessions()");
    let lines = played(&set, call(), |_| Ok(json!("x".repeat(2 * 1024 * 1024)))).await;
    assert_eq!(
        lines[1..],
        [
            "Failed: scripts/commands/test.lua:2: the answer is longer than 1024 KiB (the answer is longer than 1024 KiB)"
        ]
    );
}

#[tokio::test]
async fn subcommands_have_their_own_run() {
    let set = set(&[(
        "commands/q.lua",
        "local function say(text) return function(ctx) ctx:reply(text .. ctx.subcommand) end end
return { name = 'q', description = 'q', subcommands = {
  { name = 'show', description = 's', run = say 'A' },
  { name = 'clear', description = 'c', run = say 'B' },
} }",
    )]);
    let sub = |name: Option<&str>| {
        let mut call = call_of("q", &[]);
        call.invocation.subcommand = name.map(str::to_owned);
        call
    };
    let played = async |name| played(&set, sub(name), |_| Ok(Value::Null)).await.join("\n");
    assert_eq!(played(Some("clear")).await, "reply: Bclear");
    assert_eq!(played(Some("show")).await, "reply: Ashow");
    assert_eq!(
        played(Some("shwo")).await,
        r#"Failed: scripts/commands/q.lua: there is no subcommand "shwo"; there is "show""#
    );
    assert_eq!(played(None).await, r#"Failed: scripts/commands/q.lua: there is no subcommand """#);
}

#[tokio::test]
async fn suggestions() {
    let suggest = async |kind: &str, body: &str, typed: OptionValue| {
        let file = format!(
            "return {{ name = 'test', description = 'x', run = print, options = {{ {{ name = 'first', description = 'x' }},
  {{ name = 'what', description = 'x', type = '{kind}', autocomplete = function(ctx, typed) local ctx = ctx {body} end }} }} }}"
        );
        let set = set(&[("commands/test.lua", &file)]);
        let call = call_of("test", &[("what", typed)]);
        match set.autocomplete(call, "what".to_owned()).await {
            Ok(choices) => choices
                .iter()
                .map(|choice| format!("{}={:?}", choice.name, choice.value))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => format!("{:?} {:?}: {error}", error.entry_point(), error.kind()),
        }
    };
    let text = || OptionValue::Text("op".to_owned());
    let lines = [
        (
            "as typed",
            suggest("string", "return { typed .. 'us', { name = 'S', value = ctx.user.id } }", text()).await,
        ),
        ("nothing", suggest("string", "", text()).await),
        ("numbers", suggest("integer", "return { tonumber(typed) + 1 }", OptionValue::Integer(4)).await),
        (
            "more than 25",
            suggest("integer", "local t = {} for i = 1, 99 do t[i] = i end return t", text()).await,
        ),
        ("no list", suggest("string", "return 'opus'", text()).await),
        ("wrong kind", suggest("string", "return { 'a', 5 }", text()).await),
        ("unknown key", suggest("string", "return { { nam = 'a', value = 'b' } }", text()).await),
        ("an effect", suggest("string", "return ctx:projects()", text()).await),
        ("raises", suggest("string", "return typed.x.y", text()).await),
        ("for ever", suggest("string", "while true do end", text()).await),
    ];
    snapshot!("suggestions", cases(lines));
    let set = commands("");
    let error = set.autocomplete(call(), "what".to_owned()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"scripts/commands/test.lua: there is no autocomplete for the option "what""#
    );
}
