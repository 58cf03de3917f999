//! Files of messages, with the real CLI: what the model is given of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use moonlane::local::{File, Say};
use serde_json::Value;

use crate::real_claude::Real;

/// One pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// A page with nothing on it.
const PDF: &[u8] = b"%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj
trailer<</Root 1 0 R>>
%%EOF
";

/// The blocks of this type in the conversation.
fn blocks(body: &Value, kind: &str) -> Vec<Value> {
    let messages = body["messages"].as_array().unwrap().iter();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    blocks.filter(|block| block["type"] == kind).cloned().collect()
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn an_image_and_a_pdf_reach_the_model_and_text_stays_text() {
    let real = Real::open().await;
    std::fs::write(real.stage.work().join("README.md"), "words that nobody has attached").unwrap();
    let file = |name: &str, content_type: &str, bytes: Vec<u8>| File {
        name: name.to_owned(),
        content_type: Some(content_type.to_owned()),
        bytes: bytes.into(),
    };
    let discord = &real.stage.discord;
    let files = vec![
        file("shot.png", "image/png", STANDARD.decode(PNG).unwrap()),
        file("plan.pdf", "application/pdf", PDF.to_vec()),
    ];
    // The CLI would take the one for a command, and the other for a file to attach.
    let text = "/help with @README.md and these";
    let asked = discord.say(Say { files, ..Say::to_bot(discord.channel("general"), discord.owner(), text) });
    let answer = real.answer(asked).await;
    assert!(answer.starts_with(&format!("you said: {text}")), "{answer}");
    let request = real.api.asked(text).await;
    let images = blocks(&request.body, "image");
    assert_eq!(images.len(), 1);
    assert_eq!(images[0]["source"]["media_type"], "image/png");
    let documents = blocks(&request.body, "document");
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0]["source"]["data"], STANDARD.encode(PDF));
    let said = request.conversation();
    assert!(said.contains("shot.png (PNG image,") && said.contains("plan.pdf (PDF,"), "{said}");
    assert!(!said.contains("nobody has attached"), "{said}");
    // What follows is asked in the same process, with the files in its history.
    assert_eq!(real.ask("and now?").await, "you said: and now?");
    assert_eq!(blocks(&real.api.asked("and now?").await.body, "image").len(), 1);
    assert_eq!(real.agents_started(), 1);
}

#[tokio::test]
#[ignore = "needs the real Claude Code"]
async fn claude_hands_over_a_file_in_every_mode_and_reads_what_became_of_it() {
    for mode in ["default", "plan", "dontAsk"] {
        let real = Real::with(&format!("permission_mode = {mode:?},")).await;
        std::fs::write(real.stage.work().join("report.txt"), "all is well").unwrap();
        let call = |path: &str| {
            let arguments = serde_json::json!({ "paths": [path], "caption": "The report" });
            format!("TOOL:mcp__moonlane__send_file:{arguments}")
        };
        let asked = real.stage.say("general", &call("report.txt"));
        real.stage.parts_posted(asked, 2).await;
        let answer = real.stage.answer(asked);
        assert!(answer.contains("Posted in the channel: report.txt."), "{mode}: {answer}");
        let general = real.stage.discord.channel("general");
        let messages = real.stage.discord.messages(general);
        let posted: Vec<_> = messages.iter().filter(|it| it.by_bot && !it.attachments.is_empty()).collect();
        assert_eq!((posted.len(), posted[0].content.as_str()), (1, "The report"), "{mode}");
        assert_eq!(&real.stage.discord.uploads(posted[0].id)[0].bytes[..], b"all is well");
        let refused = real.ask(&call("/etc/passwd")).await;
        assert!(refused.contains("it is outside the project"), "{mode}: {refused}");
        assert_eq!(real.agents_started(), 1);
    }
}
