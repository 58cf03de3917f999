//! `moonlane try`: what the scripts and the gate decide, without a bot.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::separate::clean;
use crate::support::{MOONLANE, within};

const ROUTING: &str = r#"return {
    allow = { users = { "40" }, roles = { "50" } },
    projects = {
        site = { dir = "work", model = "sonnet" },
        secret = { dir = "work", allow = { roles = { "51" } } },
    },
    channels = { ["10"] = "site", ["11"] = "secret" },
    route = function(message, prompt)
        print("asked about " .. message.channel.name)
        if prompt == "help" then return { reply = "Ask me." } end
        if prompt == "boom" then
            error("no such luck")
        end
        if prompt == "nonsense" then return { promt = "x" } end
        if message.channel.name == "site-talk" then
            return { project = "site", prompt = prompt .. "!", model = "opus", fresh = true }
        end
    end,
}"#;
const TRIGGERS: &str = r#"return { mention = true, prefixes = { "!ask " } }"#;

/// Exit code, standard output and standard error in a folder with these scripts and nothing else.
async fn run(routing: &str, triggers: &str, arguments: &[&str]) -> (i32, String, String) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("scripts")).unwrap();
    std::fs::write(root.path().join("scripts/routing.lua"), routing).unwrap();
    std::fs::write(root.path().join("scripts/triggers.lua"), triggers).unwrap();
    let mut command = clean(MOONLANE, root.path());
    command.arg("--root").arg(root.path()).arg("try").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = within("the end of try", command.output()).await.unwrap();
    let mut left: Vec<_> =
        std::fs::read_dir(root.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["home", "scripts", "tmp"], "it leaves nothing behind");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), out, err)
}

/// What is decided, where the scripts work.
async fn decided(arguments: &[&str]) -> Value {
    let (code, out, err) = run(ROUTING, TRIGGERS, arguments).await;
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test]
async fn a_text_in_a_channel_of_a_project_is_a_turn_there() {
    assert_eq!(
        decided(&["--channel", "10", "--user", "40", "run the tests"]).await,
        json!({
            "for_me": true, "prompt": "run the tests", "route": "project", "project": "site", "reply": null,
            "model": "sonnet", "fresh": false, "admitted": true, "why": "`allow.users` names user 40",
        })
    );
    let in_a_thread = decided(&["--channel", "99", "--parent", "10", "hi"]).await;
    assert_eq!((&in_a_thread["route"], &in_a_thread["project"]), (&json!("project"), &json!("site")));
}

#[tokio::test]
async fn the_route_function_is_asked_about_other_channels() {
    let site = decided(&["--channel", "12", "--channel-name", "site-talk", "--role", "50", "hi"]).await;
    assert_eq!(
        site,
        json!({
            "for_me": true, "prompt": "hi!", "route": "project", "project": "site", "reply": null,
            "model": "opus", "fresh": true, "admitted": true, "why": "`allow.roles` names role 50",
        })
    );
    let reply = decided(&["--channel", "12", "help"]).await;
    assert_eq!((&reply["route"], &reply["reply"]), (&json!("reply"), &json!("Ask me.")));
    let silent = decided(&["--channel", "12", "--user", "40", "hi"]).await;
    assert_eq!(
        [&silent["for_me"], &silent["prompt"], &silent["route"], &silent["admitted"]],
        [&json!(true), &json!("hi"), &json!("ignored"), &Value::Null]
    );
}

#[tokio::test]
async fn what_is_not_for_the_bot_is_ignored_and_a_channel_without_a_project_is_unrouted() {
    let stranger = decided(&["--channel", "10", "--no-mention", "hi"]).await;
    assert_eq!(
        [&stranger["for_me"], &stranger["prompt"], &stranger["route"]],
        [&json!(false), &Value::Null, &json!("ignored")]
    );
    let prefixed = decided(&["--channel", "10", "--no-mention", "!ask hi"]).await;
    assert_eq!((&prefixed["prompt"], &prefixed["route"]), (&json!("hi"), &json!("project")));

    let routing = "return { projects = { site = { dir = 'work' } }, channels = { ['10'] = 'site' } }";
    let (code, out, _) = run(routing, TRIGGERS, &["--channel", "12", "hi"]).await;
    let unrouted: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &unrouted["route"], &unrouted["admitted"]), (0, &json!("unrouted"), &json!(false)));
}

#[tokio::test]
async fn the_gate_says_why_as_far_as_it_can_be_known() {
    let mut why = String::new();
    for who in [
        &["--user", "40"][..],
        &["--user", "41", "--role", "49", "--role", "50"],
        &["--user", "41"],
        &["--user", "41", "--role", "49"],
        &["--role", "49"],
        &[],
    ] {
        for channel in ["10", "11"] {
            let gate = decided(&[&["--channel", channel], who, &["hi"]].concat()).await;
            why.push_str(&format!(
                "{channel} {who:?}: {}, {}\n",
                gate["admitted"],
                gate["why"].as_str().unwrap()
            ));
        }
    }
    insta::assert_snapshot!(why, @r#"
    10 ["--user", "40"]: true, `allow.users` names user 40
    11 ["--user", "40"]: false, `projects.secret.allow` does not name user 40; the application's owner always may, but who that is cannot be known here
    10 ["--user", "41", "--role", "49", "--role", "50"]: true, `allow.roles` names role 50
    11 ["--user", "41", "--role", "49", "--role", "50"]: false, `projects.secret.allow` names neither user 41 nor one of these roles; the application's owner always may, but who that is cannot be known here
    10 ["--user", "41"]: false, `allow` does not name user 41; the application's owner always may, but who that is cannot be known here
    11 ["--user", "41"]: false, `projects.secret.allow` does not name user 41; the application's owner always may, but who that is cannot be known here
    10 ["--user", "41", "--role", "49"]: false, `allow` names neither user 41 nor one of these roles; the application's owner always may, but who that is cannot be known here
    11 ["--user", "41", "--role", "49"]: false, `projects.secret.allow` names neither user 41 nor one of these roles; the application's owner always may, but who that is cannot be known here
    10 ["--role", "49"]: false, `allow` names none of these roles, and `--user` is not given; the application's owner always may, but who that is cannot be known here
    11 ["--role", "49"]: false, `projects.secret.allow` names none of these roles, and `--user` is not given; the application's owner always may, but who that is cannot be known here
    10 []: false, neither `--user` nor `--role` is given; the application's owner always may, but who that is cannot be known here
    11 []: false, neither `--user` nor `--role` is given; the application's owner always may, but who that is cannot be known here
    "#);
}

#[tokio::test]
async fn a_script_error_is_json_with_file_and_line() {
    let failing = async |routing: &str, triggers: &str, text: &str| {
        let (code, out, _) = run(routing, triggers, &["--channel", "12", text]).await;
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, out.as_object().unwrap().len()), (2, 1), "{out}");
        format!("{}\n", out["errors"])
    };
    let mut errors = failing(ROUTING, TRIGGERS, "boom").await;
    errors += &failing(ROUTING, TRIGGERS, "nonsense").await;
    errors += &failing(ROUTING, "return function(message)\n  return message.text.x.y\nend", "hi").await;
    errors += &failing("return {\n  projects = {\n", "return function() while true do end end", "hi").await;
    errors += &failing("return { projects = { site = { dirr = 'x', dir = 'gone' } } }", TRIGGERS, "hi").await;
    errors += &failing(ROUTING, "return function() while true do end end", "hi").await;
    insta::assert_snapshot!(errors, @r#"
    [{"file":"scripts/routing.lua","line":12,"message":"no such luck","path":null}]
    [{"file":"scripts/routing.lua","line":null,"message":"route().promt: unknown key `promt`, did you mean `prompt`?","path":null}]
    [{"file":"scripts/triggers.lua","line":2,"message":"there is no `string.x`","path":null}]
    [{"file":"scripts/routing.lua","line":3,"message":"Expected identifier when parsing expression, got <eof>","path":null}]
    [{"file":"scripts/routing.lua","line":null,"message":"unknown key `dirr`, did you mean `dir`?","path":"projects.site.dirr"}]
    [{"file":"scripts/triggers.lua","line":1,"message":"ran longer than 100ms (`scripts.time_limit`)","path":null}]
    "#);
}

#[tokio::test]
async fn what_scripts_print_and_warnings_are_not_among_the_json() {
    let (_, out, err) = run(ROUTING, TRIGGERS, &["--channel", "12", "--channel-name", "den", "hi"]).await;
    assert!(err.contains("print: asked about den"), "{err}");
    serde_json::from_str::<Value>(&out).unwrap();
    let gone = "return { projects = { site = { dir = 'gone' } }, channels = { ['12'] = 'site' } }";
    let (code, out, err) = run(gone, TRIGGERS, &["--channel", "12", "hi"]).await;
    assert_eq!(code, 0);
    assert!(err.contains("routing.lua: warning: projects.site.dir: "), "{err}");
    serde_json::from_str::<Value>(&out).unwrap();
}

#[tokio::test]
async fn bad_usage_is_said_and_has_its_code() {
    for bad in [&["hi"][..], &["--channel", "general", "hi"], &["--channel", "10"], &["--channel", "0", "hi"]]
    {
        let (code, out, err) = run(ROUTING, TRIGGERS, bad).await;
        assert_eq!((code, out.as_str()), (2, ""), "{bad:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}
