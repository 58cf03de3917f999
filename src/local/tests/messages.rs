//! The bot's messages over REST: what is refused, whom they mention, their files, and reading them.

use reqwest::multipart::{Form, Part};

use super::*;

#[tokio::test]
async fn content_is_checked_as_discord_checks_it() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let said = |body: Value| post(&local, general, body);
    assert_eq!(refusal(&said(json!({ "content": " \n" })).await), (400, 50006));
    assert_eq!(refusal(&said(json!({})).await), (400, 50006));
    let long = said(json!({ "content": "🦀".repeat(2001) })).await;
    assert_eq!(refusal(&long), (400, 50035));
    assert_eq!(long.1["errors"]["content"]["_errors"][0]["code"], "BASE_TYPE_MAX_LENGTH");
    assert_eq!(said(json!({ "content": "🦀".repeat(2000) })).await.0, 200, "code points, not bytes");
    let wrong = said(json!({ "content": 7 })).await;
    assert_eq!(refusal(&wrong), (400, 50035));
    assert!(!wrong.1["errors"]["content"].is_null(), "{}", wrong.1);
    assert_eq!(refusal(&said(json!({ "content": "x", "nonce": "1".repeat(26) })).await), (400, 50035));
    assert_eq!(refusal(&post(&local, Id::from(1), json!({ "content": "x" })).await), (404, 10003));
    assert_eq!(local.messages(general).len(), 1);

    let message = said(json!({ "content": "  x\n" })).await.1;
    assert_eq!(message["content"], "x");
    let path = format!("/channels/{general}/messages/{}", id(&message));
    let empty = call(&local, Method::PATCH, &path, json!({ "content": "" })).await;
    assert_eq!(refusal(&empty), (400, 50006));
    assert_eq!(call(&local, Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(refusal(&call(&local, Method::GET, &path, Value::Null).await), (404, 10008));
    assert_eq!(refusal(&call(&local, Method::PATCH, &path, json!({ "content": "x" })).await), (404, 10008));
    let others = local.say(Say::new(general, local.owner(), "mine"));
    let path = format!("/channels/{general}/messages/{others}");
    assert_eq!(refusal(&call(&local, Method::PATCH, &path, json!({ "content": "x" })).await), (403, 50005));
    assert_eq!(refusal(&call(&local, Method::DELETE, &path, Value::Null).await), (403, 50013));
}

#[tokio::test]
async fn a_reply_needs_its_message() {
    let local = local(|_| ()).await;
    let (general, anna) = (local.channel("general"), local.user("anna"));
    let asked = local.say(Say::to_bot(general, anna, "hello"));
    let reply = |strict: bool| {
        let reference = json!({ "message_id": asked, "fail_if_not_exists": strict });
        json!({ "content": "hi", "message_reference": reference })
    };
    let answer = post(&local, general, reply(true)).await.1;
    assert_eq!((&answer["type"], &answer["referenced_message"]["id"]), (&json!(19), &json!(asked)));
    assert_eq!(local.message(id(&answer)).unwrap().pinged, [anna]);
    local.delete(asked);
    let refused = post(&local, general, reply(true)).await;
    assert_eq!(refusal(&refused), (400, 50035));
    assert_eq!(refused.1["errors"]["message_reference"]["_errors"][0]["message"], "Unknown message");
    let plain = post(&local, general, reply(false)).await.1;
    assert_eq!((&plain["type"], plain.get("referenced_message")), (&json!(0), None));
    local.forbid(general, Right::History);
    assert_eq!(refusal(&post(&local, general, reply(false)).await), (400, 160_002));
}

#[tokio::test]
async fn allowed_mentions_decide_who_is_pinged() {
    let local = local(|_| ()).await;
    let (general, anna, staff) = (local.channel("general"), local.user("anna"), local.role("staff"));
    local.give_role(anna, staff);
    let asked = local.say(Say::to_bot(general, local.owner(), "hello"));
    let text = format!("<@{anna}> <@&{staff}> @everyone");
    let table = [
        (json!(null), (vec![local.owner(), anna], vec![staff], true)),
        (json!({ "parse": [] }), (vec![], vec![], false)),
        (json!({ "parse": [], "replied_user": true }), (vec![local.owner()], vec![], false)),
        (json!({ "users": [anna] }), (vec![anna], vec![], false)),
        (json!({ "parse": ["roles"] }), (vec![], vec![staff], false)),
    ];
    for (allowed, expected) in table {
        let reference = json!({ "message_id": asked });
        let body = json!({ "content": text, "message_reference": reference, "allowed_mentions": allowed });
        let sent = id(&post(&local, general, body).await.1);
        let seen = local.message(sent).unwrap();
        let mentions = (seen.mentions.clone(), seen.mention_roles.clone(), seen.mention_everyone);
        assert_eq!(mentions, expected, "{allowed}");
        let by_name_or_role = seen.mentions.contains(&anna) || !seen.mention_roles.is_empty();
        assert_eq!(seen.pinged.contains(&anna), by_name_or_role, "{allowed}");
    }
    let both = json!({ "content": "x", "allowed_mentions": { "parse": ["users"], "users": [anna] } });
    assert_eq!(refusal(&post(&local, general, both).await), (400, 50035));
}

#[tokio::test]
async fn an_enforced_nonce_posts_once() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let body = json!({ "content": "part", "nonce": "1411922334455667789-1", "enforce_nonce": true });
    let first = post(&local, general, body.clone()).await.1;
    let second = post(&local, general, body).await.1;
    assert_eq!(first["id"], second["id"]);
    assert_eq!(local.messages(general).len(), 1);
    assert_eq!(local.messages(general)[0].nonce.as_deref(), Some("1411922334455667789-1"));
    let careless = json!({ "content": "part", "nonce": "1411922334455667789-1" });
    post(&local, general, careless).await;
    assert_eq!(local.messages(general).len(), 2, "not without enforce_nonce");
}

#[tokio::test]
async fn rights_can_be_taken() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let thread = local.thread(general, "idea");
    let asked = local.say(Say::to_bot(thread, local.owner(), "hello"));
    let reaction = format!("/channels/{thread}/messages/{asked}/reactions/%E2%8F%B3/@me");
    local.forbid(general, Right::Post);
    assert_eq!(refusal(&post(&local, thread, json!({ "content": "x" })).await), (403, 50013));
    local.allow(general, Right::Post);
    assert_eq!(post(&local, thread, json!({ "content": "x" })).await.0, 200);
    local.forbid(general, Right::React);
    assert_eq!(refusal(&call(&local, Method::PUT, &reaction, Value::Null).await), (403, 50013));
    local.allow(general, Right::React);
    assert_eq!(call(&local, Method::PUT, &reaction, Value::Null).await.0, 204);
    local.forbid(general, Right::View);
    assert_eq!(refusal(&post(&local, thread, json!({ "content": "x" })).await), (403, 50001));
    let path = format!("/channels/{thread}");
    assert_eq!(refusal(&call(&local, Method::GET, &path, Value::Null).await), (403, 50001));
}

#[tokio::test]
async fn pages_of_messages() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let ids: Vec<Id> = (0..10).map(|n| local.say(Say::new(general, local.owner(), n.to_string()))).collect();
    let page = async |query: String| {
        let path = format!("/channels/{general}/messages?{query}");
        let (_, page) = call(&local, Method::GET, &path, Value::Null).await;
        page.as_array()
            .unwrap()
            .iter()
            .map(|it| ids.iter().position(|known| *known == id(it)).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(page("limit=3".into()).await, [9, 8, 7]);
    assert_eq!(page(format!("limit=3&after={}", ids[2])).await, [5, 4, 3]);
    assert_eq!(page(format!("limit=3&before={}", ids[2])).await, [1, 0]);
    assert_eq!(page(format!("limit=4&around={}", ids[5])).await, [6, 5, 4, 3]);
    assert_eq!(page(String::new()).await.len(), 10);
    let path = format!("/channels/{general}/messages?limit=101");
    assert_eq!(refusal(&call(&local, Method::GET, &path, Value::Null).await), (400, 50035));
}

/// Posts a file of so many bytes.
async fn upload(local: &LocalDiscord, channel: Id, bytes: usize) -> (StatusCode, Value) {
    let part = Part::bytes(vec![7; bytes]).file_name("a.bin");
    let payload = json!({ "content": "see", "nonce": "n", "enforce_nonce": true }).to_string();
    let form = Form::new().text("payload_json", payload).part("files[0]", part);
    let url = format!("{}/api/v10/channels/{channel}/messages", local.url());
    let request = Web::new().post(url).header("authorization", format!("Bot {}", local.token()));
    let answer = request.multipart(form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_file_is_posted_once_and_refused_where_it_may_not_be_or_is_too_large() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    for bytes in [(10 << 20) + 1, 11 << 20] {
        assert_eq!(refusal(&upload(&local, general, bytes).await), (413, 40005));
    }
    local.forbid(general, Right::Attach);
    assert_eq!(refusal(&upload(&local, general, 3).await), (403, 50013));
    local.allow(general, Right::Attach);
    assert_eq!(local.messages(general), []);
    let (first, again) = (upload(&local, general, 3).await.1, upload(&local, general, 3).await.1);
    assert_eq!((&first["id"], &first["attachments"]), (&again["id"], &again["attachments"]));
    let [message] = &local.messages(general)[..] else { panic!("posted once") };
    let [file] = &message.attachments[..] else { panic!("one file") };
    assert_eq!((file.name.as_str(), file.size), ("a.bin", 3));
    assert_eq!(local.file(file.id).unwrap().bytes.as_ref(), [7, 7, 7]);
}

#[tokio::test]
async fn files_arrive_and_are_served() {
    let local = local(|_| ()).await;
    let general = local.channel("general");
    let part = Part::bytes(vec![1, 2, 3]).file_name("a.bin").mime_str("application/x-a").unwrap();
    let form =
        Form::new().text("payload_json", json!({ "content": "see" }).to_string()).part("files[0]", part);
    let url = format!("{}/api/v10/channels/{general}/messages", local.url());
    let request = Web::new().post(url).header("authorization", format!("Bot {}", local.token()));
    let message: Value = request.multipart(form).send().await.unwrap().json().await.unwrap();
    let file = &message["attachments"][0];
    assert_eq!((&file["filename"], &file["size"]), (&json!("a.bin"), &json!(3)));
    let served = reqwest::get(file["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(served.headers()["content-type"], "application/x-a");
    assert_eq!(served.bytes().await.unwrap().as_ref(), [1, 2, 3]);
}
