//! What an operator reads when Discord would refuse a command.

use super::*;
use crate::domain::{OptionKind, OptionValue};

fn command_problems(keys: &str) -> String {
    let file = format!("return {{ name = 'test', description = 'A test', run = print, {keys} }}");
    problems(&[("commands/test.lua", &file)])
}

/// With one option that has these keys.
fn option_problems(keys: &str) -> String {
    command_problems(&format!("options = {{ {{ name = 'what', description = 'x', {keys} }} }}"))
}

#[test]
fn a_command_is_what_its_file_says() {
    let set = set(&[
        (
            "commands/b.lua",
            "return { name = 'reset', description = 'Afresh', permission = 'manage_messages', guild_only = true,
  options = {
    { name = 'where', description = 'Which channel', type = 'channel', required = true },
    { name = 'count', description = 'How many', type = 'integer', min = 1, max = 9 },
    { name = 'model', description = 'Which', choices = { 'opus', { name = 'Small', value = 'haiku' } } },
    { name = 'what', description = 'Any', autocomplete = function() end },
  }, run = function() end }",
        ),
        (
            "commands/a.lua",
            "return { name = 'queue', description = 'Who waits', subcommands = {
  { name = 'show', description = 'All', run = print },
  { name = 'leave', description = 'Go', options = { { name = 'id', description = 'x' } }, run = print } } }",
        ),
        ("commands/.#b.lua", "an editor's own file"),
        ("commands/notes.txt", "not a script"),
    ]);
    let names: Vec<&str> = set.commands().iter().map(|command| command.name.as_str()).collect();
    assert_eq!(names, ["queue", "reset"], "in the order of their files");
    let (queue, reset) = (&set.commands()[0], &set.commands()[1]);
    assert_eq!((reset.permission.unwrap().bits, reset.guild_only), (1 << 13, true));
    let kinds: Vec<OptionKind> = reset.options.iter().map(|option| option.kind).collect();
    assert_eq!(kinds, [OptionKind::Channel, OptionKind::Integer, OptionKind::String, OptionKind::String]);
    let required: Vec<bool> = reset.options.iter().map(|option| option.required).collect();
    assert_eq!(required, [true, false, false, false]);
    assert_eq!((reset.options[1].min, reset.options[1].max), (Some(1.0), Some(9.0)));
    let choices = &reset.options[2].choices;
    assert_eq!((choices[0].name.as_str(), choices[1].name.as_str()), ("opus", "Small"));
    assert_eq!(choices[1].value, OptionValue::Text("haiku".to_owned()));
    assert!(reset.options[3].autocomplete && !reset.options[2].autocomplete);
    assert_eq!((queue.subcommands.len(), queue.subcommands[1].options.len()), (2, 1));
    assert_eq!((queue.permission, queue.guild_only), (None, false));
}

#[test]
fn every_problem_of_a_command_is_told() {
    let told = command_problems(
        "desc = 'x', permission = 'manage_mesages', guild_only = 1, options = {
           { name = 'Where', description = '', type = 'chanel' },
           { name = 'a', description = 'x', min = 5, max = 1, choices = { 1 } },
           { name = 'a', description = 'x', required = true, autocomplete = 5 },
           { description = 'x' },
         }",
    );
    insta::assert_snapshot!(told, @r#"
    scripts/commands/test.lua: desc: unknown key `desc`, did you mean `description`?
    scripts/commands/test.lua: guild_only: expected a boolean, found the number 1
    scripts/commands/test.lua: options[1].type: unknown value `chanel`, did you mean `channel`?
    scripts/commands/test.lua: options[3].autocomplete: expected a function, found the number 5
    scripts/commands/test.lua: options[4]: `name` is missing
    scripts/commands/test.lua: permission: there is no permission "manage_mesages"; did you mean "manage_messages"?
    scripts/commands/test.lua: options[1].name: a name consists of 1 to 32 lower-case letters, digits, `-` or `_`: "where"
    scripts/commands/test.lua: options[1].description: must not be empty
    scripts/commands/test.lua: options[2].choices[1]: expected a string, as the option's type says, found the number 1
    scripts/commands/test.lua: options[2].min: must not be greater than `max`, which is 1
    scripts/commands/test.lua: options[3].name: "a" is already the name of number 2
    scripts/commands/test.lua: options[3].required: required options come first; move it before "Where"
    "#);
}

#[test]
fn what_discord_would_refuse_is_refused_at_load() {
    let named = |name: &str| {
        problems(&[(
            "commands/x.lua",
            &format!("return {{ name = {name}, description = 'x', run = print }}"),
        )])
    };
    let many = |count: usize, item: &str| {
        (1..=count).map(|i| item.replace('#', &i.to_string())).collect::<Vec<_>>().join(", ")
    };
    let sub = |keys: &str| {
        let file = format!("return {{ name = 'test', description = 'x', subcommands = {{ {keys} }} }}");
        problems(&[("commands/test.lua", &file)])
    };
    let one = "return { name = 'same', description = 'x', run = print }";
    let hundred: Vec<(String, String)> =
        (0..101).map(|i| (format!("commands/c{i:03}.lua"), one.replace("same", &format!("c{i}")))).collect();
    let hundred: Vec<(&str, &str)> = hundred.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let long = "x".repeat(101);
    let choice = "{ name = '#', value = ('y'):rep(100) }";
    let wide: String = (0..4)
        .map(|i| format!("{{ name = 'o{i}', description = 'x', choices = {{ {} }} }},", many(25, choice)))
        .collect();
    let snapshot = cases([
        ("returns nothing", problems(&[("commands/x.lua", "")])),
        ("returns a list", problems(&[("commands/x.lua", "return { 'x' }")])),
        ("syntax", problems(&[("commands/x.lua", "return {\n name = = 1 }")])),
        ("commands is a file", problems(&[("commands", "x")])),
        ("no name", problems(&[("commands/x.lua", "return { description = 'x', run = print }")])),
        ("name in upper case", named("'Reset It'")),
        ("name with a sign", named("'a/b'")),
        ("empty name", named("''")),
        ("long name", named("('x'):rep(33)")),
        ("name in another script", named("'überprüfen'")),
        ("name is a number", named("5")),
        ("unknown key", command_problems("permision = 'x'")),
        ("empty description", command_problems("description = ' '").replace("A test", "")),
        (
            "long description",
            problems(&[(
                "commands/x.lua",
                &format!("return {{ name = 'x', description = '{long}', run = print }}"),
            )]),
        ),
        ("no run", problems(&[("commands/x.lua", "return { name = 'x', description = 'x' }")])),
        ("run is a string", command_problems("run = 'x'")),
        ("unknown permission", command_problems("permission = 'MANAGE_MESSAGES'")),
        ("far permission", command_problems("permission = 'root'")),
        ("guild_only is a string", command_problems("guild_only = 'yes'")),
        ("options by name", command_problems("options = { what = { description = 'x' } }")),
        (
            "26 options",
            command_problems(&format!("options = {{ {} }}", many(26, "{ name = 'o#', description = 'x' }"))),
        ),
        (
            "two options of one name",
            command_problems(&format!("options = {{ {} }}", many(2, "{ name = 'o', description = 'x' }"))),
        ),
        (
            "required after optional",
            command_problems(
                "options = { { name = 'a', description = 'x' }, { name = 'b', description = 'x', required = true } }",
            ),
        ),
        ("unknown type", option_problems("type = 'int'")),
        ("near type", option_problems("type = 'sting'")),
        ("unknown key of an option", option_problems("require = true")),
        ("26 choices", option_problems(&format!("choices = {{ {} }}", many(26, "'#'")))),
        ("number among strings", option_problems("choices = { 'a', 5 }")),
        ("string among numbers", option_problems("type = 'number', choices = { 5, 'a' }")),
        (
            "fraction among integers",
            option_problems("type = 'integer', choices = { { name = 'half', value = 0.5 } }"),
        ),
        ("two choices of one name", option_problems("choices = { 'a', { name = 'a', value = 'b' } }")),
        ("choice without a value", option_problems("choices = { { name = 'a' } }")),
        ("long choice", option_problems("choices = { ('x'):rep(101) }")),
        ("choices for a user", option_problems("type = 'user', choices = { '1' }")),
        ("choices and autocomplete", option_problems("choices = { 'a' }, autocomplete = print")),
        ("autocomplete for a role", option_problems("type = 'role', autocomplete = print")),
        ("autocomplete is true", option_problems("autocomplete = true")),
        ("min for a boolean", option_problems("type = 'boolean', min = 1")),
        ("min above max", option_problems("type = 'number', min = 2, max = 1")),
        ("broken min of an integer", option_problems("type = 'integer', min = 0.5")),
        ("length below 0", option_problems("min = -1")),
        ("length of 0", option_problems("max = 0")),
        ("length without end", option_problems("max = math.huge")),
        ("huge number", option_problems("type = 'number', max = 1e300")),
        ("no number", option_problems("type = 'number', max = 0/0")),
        (
            "subcommands and run",
            command_problems("subcommands = { { name = 'a', description = 'x', run = print } }"),
        ),
        (
            "subcommands and options",
            sub(
                "{ name = 'a', description = 'x', run = print } }, options = { { name = 'b', description = 'x' }",
            ),
        ),
        ("subcommand without run", sub("{ name = 'a', description = 'x' }")),
        ("two subcommands of one name", sub(&many(2, "{ name = 'a', description = 'x', run = print }"))),
        ("26 subcommands", sub(&many(26, "{ name = 's#', description = 'x', run = print }"))),
        (
            "in a subcommand's option",
            sub(
                "{ name = 'a', description = 'x', run = print, options = { { name = 'B', description = 'x' } } }",
            ),
        ),
        ("too much in all", command_problems(&format!("options = {{ {wide} }}"))),
        ("two files with one name", problems(&[("commands/a.lua", one), ("commands/b.lua", one)])),
        (
            "each file's first problem",
            problems(&[
                ("commands/a.lua", "x"),
                ("commands/b.lua", "return 5"),
                ("triggers.lua", "return 5"),
            ]),
        ),
        ("101 commands", problems(&hundred)),
    ]);
    snapshot!("problems_in_commands", snapshot);
}
