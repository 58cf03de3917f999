//! What an operator reads when something is wrong with the scripts.

use super::*;

fn with_project(keys: &str) -> String {
    routing_problems(&format!("return {{ projects = {{ site = {{ dir = '.', {keys} }} }}, route = print }}"))
}

#[test]
fn no_memory_is_too_little_memory() {
    for limit in [ByteSize::b(0), ByteSize::kib(1)] {
        let root = root(&[]);
        let dir = root.path().join("scripts");
        let config = config::ScriptsConfig {
            dir,
            time_limit: Duration::from_secs(30),
            memory_limit: limit,
            max_waiting: 1,
            ..Default::default()
        };
        let problems = listing(&ScriptSet::load(&config, root.path(), &LIMITS).unwrap_err(), root.path());
        assert!(problems.contains("`scripts.memory_limit`"), "{problems}");
    }
}

#[test]
fn problems_in_code_name_file_and_line() {
    let missing = root(&[]);
    std::fs::remove_file(missing.path().join("scripts/triggers.lua")).unwrap();
    let missing = listing(&load(missing.path()).unwrap_err(), missing.path());
    let no_folder = tempfile::tempdir().unwrap();
    let no_folder = listing(&load(no_folder.path()).unwrap_err(), no_folder.path());
    let big = format!("--{}", "x".repeat(2 * 1024 * 1024));
    let both = "local names = require 'lib/names'\nreturn names";
    let snapshot = cases([
        ("no script folder", no_folder),
        ("a file is missing", missing),
        ("syntax", routing_problems("return {\n  projects = { here = { dir = '.' }\n  channels = {},\n}")),
        ("raises", routing_problems("local x\nreturn { projects = x.y }")),
        ("raises by itself", routing_problems("error('not today')")),
        ("raises a table", routing_problems("error({})")),
        ("empty", routing_problems("")),
        ("returns a string", routing_problems("return 'here'")),
        ("bytecode", routing_problems("\u{1b}Lua")),
        ("too large", routing_problems(&big)),
        ("both files are broken", problems(&[("routing.lua", "return {"), ("triggers.lua", "retrun {}")])),
        (
            "a file that both require is broken",
            problems(&[
                ("routing.lua", both),
                ("triggers.lua", both),
                ("lib/names.lua", "\n\nreturn nil + 1"),
            ]),
        ),
        ("requires what is not there", routing_problems("\nrequire 'lib/nothing'")),
        ("requires with a dot", routing_problems("require 'lib.names'")),
        ("requires with the ending", routing_problems("require 'lib/names.lua'")),
        ("requires from above", routing_problems("require '../secrets'")),
        ("requires from the root", routing_problems("require '/etc/passwd'")),
        ("requires the types", routing_problems("require 'types/moonlane'")),
        ("requires a folder", problems(&[("routing.lua", "require 'lib'"), ("lib.lua/x.lua", "")])),
        (
            "requires in a circle",
            problems(&[
                ("routing.lua", "return require 'a'"),
                ("a.lua", "return require './b'"),
                ("b.lua", "return require 'a'"),
            ]),
        ),
        ("compiles text", routing_problems("loadstring('return 1')()")),
        ("changes a library", routing_problems("string.format = nil")),
        ("makes a coroutine", routing_problems("coroutine.wrap(print)()")),
        ("reads a file", routing_problems("io.open('/etc/passwd')")),
        ("starts a program", routing_problems("os.execute('true')")),
        (
            "what is wrong in functions that nobody has called",
            problems(&[
                (
                    "routing.lua",
                    "return { projects = { site = { dir = '.' } }, route = function(message)
  if mesage.text == '' then return nil end
  local home = os.getenv('HOME')
  return pick(message)
end }",
                ),
                (
                    "commands/x.lua",
                    "local names = require 'lib/names'
return { name = 'x', description = 'x', run = function(ctx)
  ctx:reply(string.formt('%s', names.all))
  ctx:reply(io.open('/etc/hosts'):read())
end }",
                ),
                ("lib/names.lua", "return { all = function() return prnt() end }"),
            ]),
        ),
        (
            "fields that are not there, of what functions are given",
            problems(&[
                (
                    "routing.lua",
                    "local lib = require 'lib/route'\nreturn { projects = { site = { dir = '.' } }, route = lib.route }",
                ),
                (
                    "lib/route.lua",
                    "local function pick(message, prompt)
  return message.channel.name == message.txet and 'site' or nil
end
return { route = pick }",
                ),
                ("triggers.lua", "return function(m)\n  return m.raw_txt\nend"),
                (
                    "hooks.lua",
                    "return { before_prompt = function(turn) return turn.channel_id end, on_error = function(text, turn)
  return text .. turn.author.nmae
end }",
                ),
                (
                    "commands/x.lua",
                    "return { name = 'x', description = 'x', options = {
  { name = 'y', description = 'y', autocomplete = function(ctx) return { ctx:reply 'z' } end },
}, run = function(ctx)
  ctx:repyl(ctx.user.nick)
end }",
                ),
                (
                    "commands/z.lua",
                    "return { name = 'z', description = 'x', subcommands = {
  { name = 'y', description = 'y', run = function(ctx) return ctx.guild end },
} }",
                ),
            ]),
        ),
    ]);
    snapshot!("problems_in_code", snapshot);
}

#[test]
fn problems_in_values_name_file_and_path() {
    let channels = |entries: &str| {
        routing_problems(&format!(
            "return {{ projects = {{ site = {{ dir = '.' }} }}, channels = {{ {entries} }} }}"
        ))
    };
    let snapshot = cases([
        ("unknown key", routing_problems("return { project = {} }")),
        ("a field of the footer that there is not", with_project("footer = { 'time', 'modle', 'brunch' }")),
        ("a field of the footer twice", with_project("footer = { 'time', 'time' }")),
        ("a footer that is no list", with_project("footer = 'time'")),
        ("a footer with keys", with_project("footer = { time = true }")),
        ("a budget of nothing", with_project("budget = { usd_per_day = 0, per_user_usd_per_day = 1 }")),
        ("a misspelt budget", with_project("budget = { usd_per_dya = 5 }")),
        ("a budget that is a number", with_project("budget = 5")),
        ("a budget for all", routing_problems("return { projects = { site = { dir = '.' } }, route = print, budget = { per_day = 5, usd_per_day = -1 } }")),
        ("a footer that is true", with_project("footer = true")),
        ("no projects", routing_problems("return { projects = {} }")),
        ("projects as a list", routing_problems("return { projects = { { dir = '.' } } }")),
        ("project is a string", routing_problems("return { projects = { site = '.' } }")),
        ("project with an odd name", routing_problems("return { projects = { ['a b'] = { dri = '.' } } }")),
        ("no dir", routing_problems("return { projects = { site = {} } }")),
        (
            "every problem of each project",
            routing_problems(
                "return { allow = { user = {}, roles = { 5, '6', 'x' } }, projects = {
                   site = { dir = '~x', modle = 'opus', permission_mode = 'plna', tools = { 1, 'Bash', 2 }, max_turns = 0,
                     limits = { turn = 'soon', start = 0, trun = 1 }, format = { max_parts = true, max_kb = 0 },
                     models = { 'a b', 'opus', '-' }, env = { A = print, ['B=C'] = 'x', D = 5 }, add_dirs = { '', '.' } },
                   bad = { dir = 5, effort = 'hihg', setings = '' },
                 }, channels = { ['1'] = 'gone' }, route = print }",
            ),
        ),
        ("a misspelt tool", with_project("allowed_tools = { 'bash(git *)', 'Bash(git *' }, tools = { 'Raed' }")),
        (
            "a tool that may be new",
            with_project("allowed_tools = { 'mcp__github__get', 'Browser(x)' }, disallowed_tools = { 'Bash' }"),
        ),
        ("no project for a channel", routing_problems("return { projects = {}, channels = { ['1'] = 'site' } }")),
        (
            "a problem of each project, and the others' too",
            routing_problems(
                "return { allow = { user = {} }, projects = { a = { dirr = '.' }, b = { dir = 5 }, c = { dir = '.' }, \
                 d = { dir = '.', limits = { turn = 'soon' } } }, channels = { ['1'] = 'a', ['2'] = 'e' }, route = 'x' }",
            ),
        ),
        ("dir is gone", routing_problems("return { projects = { site = { dir = 'gone' } }, route = print }")),
        ("dir is a file", with_project("}, other = { dir = 'scripts/routing.lua'")),
        ("dir of somebody else", with_project("}, other = { dir = '~root/x'")),
        ("bad mode", with_project("permission_mode = 'acceptedits'")),
        ("mode is a number", with_project("permission_mode = 1")),
        ("bad model", with_project("model = '--resume'")),
        ("bad model among several", with_project("models = { 'opus', 'two words' }")),
        ("bad mode among several", with_project("permission_modes = { 'plan', 'plna' }")),
        (
            "a mode that cannot be chosen",
            with_project("restricted = true, permission_modes = { 'plan', 'bypassPermissions' }"),
        ),
        ("bad setting source", with_project("setting_sources = { 'user', 'locale' }")),
        ("tools as a string", with_project("tools = 'Bash'")),
        ("an empty tool", with_project("allowed_tools = { 'Bash(git *)', '' }")),
        ("a list with a hole", with_project("tools = { 'Bash', [3] = 'Read' }")),
        ("a list with keys", with_project("tools = { 'Bash', x = 'Read' }")),
        ("env is a number", with_project("env = { PORT = 3000 }")),
        ("env with a bad name", with_project("env = { ['A=B'] = 'c' }")),
        ("a function inside", with_project("env = { A = print }")),
        (
            "a table inside itself",
            routing_problems("local t = {} t.t = t return { projects = { site = t } }"),
        ),
        ("bad effort", with_project("effort = 'hihg'")),
        ("near key", with_project("fallback_modle = 'haiku'")),
        ("bad fallback model", with_project("fallback_model = 'haiku,'")),
        ("max_turns is 0", with_project("max_turns = 0")),
        ("max_turns is broken", with_project("max_turns = 1.5")),
        ("max_turns is a string", with_project("max_turns = '10'")),
        ("max_usd is 0", with_project("max_usd = 0")),
        ("max_usd is no number", with_project("max_usd = 0 / 0")),
        ("add_dirs is a string", with_project("add_dirs = '/srv'")),
        ("an empty directory", with_project("add_dirs = { '.', '' }")),
        ("added directory is gone", with_project("add_dirs = { '.', 'gone' }")),
        ("settings are gone", with_project("settings = 'gone.json', mcp_config = { '{}', 'gone.json' }")),
        ("settings are broken JSON", with_project("settings = [[{ permissions = {} }]]")),
        ("settings as a table", with_project("settings = { permissions = {} }")),
        ("mcp_config is empty", with_project("mcp_config = { ' ' }")),
        ("restricted is a string", with_project("restricted = 'yes'")),
        (
            "restricted and without questions",
            with_project("restricted = true, permission_mode = 'bypassPermissions'"),
        ),
        ("command is a string", with_project("command = 'podman exec box'")),
        ("command is empty", with_project("command = { '' }")),
        ("behind a prefix only dir is looked for", with_project("command = { 'x' }, add_dirs = { 'gone' }")),
        ("limit is a number", with_project("limits = { turn = 60 }")),
        ("limit is 0", with_project("limits = { turn = '0s' }")),
        ("limit is for ever", with_project("limits = { turn = '100years' }")),
        ("unknown limit", with_project("limits = { total = '1h' }")),
        ("answer", with_project("answer = 'first'")),
        ("text is a switch", with_project("text = false")),
        ("unknown key of format", with_project("format = { dialekt = false }")),
        ("dialect is a word", with_project("format = { dialect = 'off' }")),
        ("max_lines is broken", with_project("format = { max_lines = 1.5 }")),
        ("max_lines is false", with_project("format = { max_lines = false }")),
        ("max_parts is 0", with_project("format = { max_parts = 0 }")),
        ("max_parts is huge", with_project("format = { max_parts = math.huge }")),
        ("max_parts is true", with_project("format = { max_parts = true }")),
        ("max_parts is a string", with_project("format = { max_parts = '8' }")),
        ("operators in a project", with_project("allow = { operators = { '1' } }")),
        ("id is a number", with_project("allow = { users = { 123456789012345678 } }")),
        ("id is a name", with_project("allow = { users = { '1', '@ada' } }")),
        (
            "global id is a number",
            routing_problems(
                "return { projects = { s = { dir = '.' } }, route = print, allow = { roles = { 1 } } }",
            ),
        ),
        ("NUL", with_project("system_prompt = 'a\\0b'")),
        ("huge", with_project("system_prompt = ('x'):rep(2000000)")),
        ("channel is a number", channels("[123456789012345678] = 'site'")),
        ("channel is a name", channels("general = 'site'")),
        ("channel of a project that is nearly there", channels("['12'] = 'siet'")),
        ("channel of a project that is not there", channels("['12'] = 'blog'")),
        ("channel of a table", channels("['12'] = { 'site' }")),
        ("works nowhere", channels("")),
    ]);
    snapshot!("problems_in_values", snapshot);
}

#[test]
fn problems_in_triggers() {
    let triggers = |text: &str| problems(&[("triggers.lua", text)]);
    let snapshot = cases([
        ("nothing returned", triggers("")),
        ("unknown key", triggers("return { mentions = true }")),
        ("wrong type", triggers("return { mention = 'yes' }")),
        ("one prefix", triggers("return { prefixes = '!ask' }")),
        ("empty prefix", triggers("return { prefixes = { '!ask', ' ' } }")),
        ("bad patterns", triggers("return { patterns = { '^ok$', '(', 'a{2,1}', '(?=x)' } }")),
        ("long pattern", triggers("return { patterns = { ('\\\\w'):rep(1e5) } }")),
        ("large pattern", triggers("return { patterns = { '(?:a{1000}){100}' } }")),
        ("many groups", triggers("return { patterns = { ('(a?)'):rep(200) .. '$' } }")),
        ("channel is a number", triggers("return { all_messages_in = { 12 } }")),
        ("nothing triggers", triggers("return { mention = false }")),
    ]);
    snapshot!("problems_in_triggers", snapshot);
}
