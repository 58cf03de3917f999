//! hooks.lua: what it may say, and how it fails.

use super::*;
use crate::domain::NamedChannel;
use crate::script::hooks::{Hook, HookInput, changed, decided, decided_without_allowing};
use crate::script::{RequestFacts, ScriptDecision};

fn turn() -> Arc<TurnFacts> {
    Arc::new(TurnFacts {
        id: "1411922334455667789".parse().unwrap(),
        channel: NamedChannel { id: "10".parse().unwrap(), name: "general".to_owned(), parent_id: None },
        project: ProjectName("here".to_owned()),
        author: Author { id: "40".parse().unwrap(), name: "Ada".to_owned(), roles: Vec::new(), bot: false },
        prompt: "run the tests".to_owned(),
        model: None,
    })
}

/// What a hook with this body makes of `text`; the body begins on line 2. `check` follows no local variable.
async fn hooked(hook: Hook, body: &str) -> String {
    let arguments = if hook == Hook::BeforePrompt { "turn" } else { "text, turn" };
    let set = set(&[(
        "hooks.lua",
        &format!("return {{ {} = function({arguments}) local turn = turn\n{body}\nend }}", hook.name()),
    )]);
    let input = match hook {
        Hook::BeforePrompt => HookInput::Nothing,
        _ => HookInput::Text("an answer".to_owned()),
    };
    match set.try_hook(hook, input, &turn(), changed).await {
        Ok(text) => format!("{:?}", text.map(|text| data::cut(text, 80))),
        Err(failure) => format!("{:?}: {failure}", failure.kind),
    }
}

#[tokio::test]
async fn a_hook_changes_something_or_fails_with_file_and_line() {
    let all = [Hook::BeforePrompt, Hook::AfterAnswer, Hook::OnError];
    let bodies = [
        "return turn.author.name .. turn.author.id .. turn.channel.id .. turn.channel.name .. turn.id .. turn.project .. turn.prompt .. tostring(turn.model)",
        "return nil",
        "return false",
        "return ' \\n'",
        "return 3",
        "return {}",
        "return 'a\\0b'",
        "return '\\xff'",
        "return print",
        "\nerror('boom')",
        "error({})",
        "return turn.nothing.here",
        "turn.prompt = 'changed'",
        "while true do end",
        "pcall(function() while true do end end) return 'late'",
        "local t = {} while true do t[#t + 1] = string.rep('x', 1e6) .. #t end",
        "return string.rep('x', 2e6)",
    ];
    let mut shown = Vec::new();
    for hook in all {
        for body in bodies {
            shown.push((format!("{}: {body}", hook.name()), hooked(hook, body).await));
        }
    }
    snapshot!("hooks", cases(shown.iter().map(|(name, text)| (name.as_str(), text.clone()))));
}

fn request() -> RequestFacts {
    RequestFacts {
        tool: "Bash".to_owned(),
        input: serde_json::json!({ "command": "git push", "env": { "A": [1, null] } }),
        reason: Some("This command requires approval".to_owned()),
        blocked_path: None,
        subagent: None,
    }
}

/// What `on_permission` with this body decides about a command.
async fn decision(body: &str, may_allow: bool) -> String {
    let set = set(&[(
        "hooks.lua",
        &format!("return {{ on_permission = function(request, turn) local request = request\n{body}\nend }}"),
    )]);
    let (input, read) = (HookInput::Request(Box::new(request())), decided_without_allowing);
    let read = if may_allow { decided } else { read };
    match set.try_hook(Hook::OnPermission, input, &turn(), read).await {
        Ok(decision) => format!("{decision:?}"),
        Err(failure) => format!("{:?}: {failure}", failure.kind),
    }
}

#[tokio::test]
async fn a_script_allows_denies_has_people_decide_or_fails_with_file_and_line() {
    let bodies = [
        "return nil",
        "return false",
        "return 'allow'",
        "return { deny = ' never push ' }",
        "if request.tool == 'Bash' and request.input.command:match('^git push') then return { deny = turn.author.name .. ': ' .. request.reason } end",
        "return { deny = tostring(request.input.nothing) .. tostring(request.input.env.B) .. tostring(request.blocked_path) .. tostring(request.subagent) .. request.input.env.A[1] }",
        "return request.nothing",
        "return 'deny'",
        "return 'Allow'",
        "return true",
        "return {}",
        "return { 'allow' }",
        "return { deny = ' ' }",
        "return { deny = 'x', allow = true }",
        "return { dney = 'x' }",
        "return { deny = string.rep('x', 1001) }",
        "\nerror('boom')",
        "while true do end",
    ];
    let mut shown = Vec::new();
    for body in bodies {
        shown.push((body, decision(body, true).await));
    }
    shown.push(("without scripts_may_allow: return 'allow'", decision("return 'allow'", false).await));
    shown.push(("without it: return { deny = 'x' }", decision("return { deny = 'x' }", false).await));
    snapshot!("permissions", cases(shown));
    let longest = decision("return { deny = string.rep('x', 1000) }", false).await;
    assert_eq!(longest, format!("{:?}", Some(ScriptDecision::Deny("x".repeat(1000)))));
}

#[tokio::test]
async fn what_each_hook_may_return_has_its_own_limit() {
    for (hook, most) in
        [(Hook::BeforePrompt, 100 * 1024), (Hook::AfterAnswer, 1024 * 1024), (Hook::OnError, 1000)]
    {
        let fits = hooked(hook, &format!("return string.rep('x', {most})")).await;
        assert!(fits.starts_with("Some("), "{fits}");
        let over = hooked(hook, &format!("return string.rep('x', {most} + 1)")).await;
        assert!(over.starts_with("Failed: scripts/hooks.lua: "), "{over}");
    }
}

#[tokio::test]
async fn a_former_name_of_a_turn_is_told_with_the_one_that_it_has() {
    for (old, new) in [("user_id", "author.id"), ("user_name", "author.name"), ("channel_id", "channel.id")] {
        let told = hooked(Hook::BeforePrompt, &format!("return turn.{old}")).await;
        assert!(told.ends_with(&format!("`turn.{old}` is now `turn.{new}`")), "{told}");
    }
}

#[tokio::test]
async fn after_a_hook_has_used_up_the_memory_the_next_call_works() {
    let hooks = "local kept = {}
        return { after_answer = function(text)
            if text == 'small' then return #string.rep('x', 4e6) .. ' bytes' end
            for _, size in { 1e5, 1e3, 1e2 } do
                while pcall(function() kept[#kept + 1] = string.rep('x', size) .. #kept end) do end
            end
            error('full')
        end }";
    let set = set(&[("hooks.lua", hooks)]);
    set.after_answer("large", &turn()).await.unwrap_err();
    assert_eq!(set.after_answer("small", &turn()).await.unwrap().as_deref(), Some("4000000 bytes"));
    assert!(set.after_answer("large", &turn()).await.is_err());
}

#[tokio::test]
async fn without_the_file_or_the_function_nothing_is_changed() {
    for files in
        [&[][..], &[("hooks.lua", "return {}")], &[("hooks.lua", "return { on_error = function() end }")]]
    {
        let set = set(files);
        for hook in [Hook::BeforePrompt, Hook::AfterAnswer, Hook::OnError] {
            let text = HookInput::Text("text".to_owned());
            assert_eq!(set.try_hook(hook, text, &turn(), changed).await, Ok(None));
        }
        assert!(!set.decides_permissions());
        assert_eq!(set.on_permission(request(), &turn(), true).await, Ok(None));
    }
}

#[test]
fn what_is_wrong_with_the_file_is_found_at_load() {
    let hooks = |text: &'static str| (text, problems(&[("hooks.lua", text)]));
    let snapshot = cases([
        hooks(""),
        hooks("return nil"),
        hooks("return function() end"),
        hooks("return { on_anser = function() end }"),
        hooks("return { before = 1, on_error = 'sorry', after_answer = {} }"),
        hooks("return { function() end }"),
        hooks("return {\n  on_error = \n}"),
        hooks("local x = nil\nx.y = 1"),
        hooks("while true do end"),
        hooks("return require 'lib/gone'"),
        hooks("return { after_answer = function(text, turn) return text end }"),
    ]);
    snapshot!("problems_in_hooks", snapshot);

    let root = root(&[]);
    std::os::unix::fs::symlink("gone.lua", root.path().join("scripts/hooks.lua")).unwrap();
    let problems = load(root.path()).unwrap_err();
    assert_eq!(listing(&problems, root.path()), "scripts/hooks.lua: does not exist");
}
