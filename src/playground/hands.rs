//! What a person does besides writing: commands typed as a line, buttons and menus by number.

use serde_json::Value;

use crate::local::{Id, LocalDiscord, Message, UseCommand};
use crate::turn::ButtonId;

/// The command in a line such as `/model opus` or `/queue drop which=3 why="no time"`: options by name, and what has
/// none goes to the first option that is not named.
///
/// # Errors
/// What to tell the person, where there is no such command or option.
pub(super) fn command(
    discord: &LocalDiscord,
    channel: Id,
    person: Id,
    line: &str,
) -> Result<UseCommand, String> {
    let words = words(line);
    let mut words = words.iter().map(String::as_str);
    let name = words.next().unwrap_or_default();
    let commands = discord.commands();
    let command = commands.iter().find(|command| command.name == name);
    let command = command.ok_or_else(|| format!("there is no /{name}"))?;
    let mut used = UseCommand::new(channel, person, name);
    let options = match command.options(None) {
        Some(options) => options,
        None => {
            let subcommand = words.next().unwrap_or_default();
            let options = command.options(Some(subcommand));
            used = used.subcommand(subcommand);
            options.ok_or_else(|| format!("/{name} needs one of its subcommands"))?
        }
    };
    let mut loose: Vec<&str> = Vec::new();
    for word in words {
        let named = word.split_once('=').and_then(|(key, value)| {
            let option = options.iter().find(|option| option["name"] == key)?;
            Some((key, typed(discord, option, value)))
        });
        match named {
            Some((key, value)) => used = used.option(key, value),
            None => loose.push(word),
        }
    }
    if !loose.is_empty() {
        let given = |option: &&Value| !used.options.iter().any(|(key, _)| option["name"] == key.as_str());
        let option =
            options.iter().find(given).ok_or_else(|| format!("/{name} takes no “{}”", loose.join(" ")))?;
        let value = typed(discord, option, &loose.join(" "));
        used = used.option(option["name"].as_str().unwrap_or_default(), value);
    }
    Ok(used)
}

/// The text as the option's type; unchanged if it does not fit, so that Discord refuses it.
fn typed(discord: &LocalDiscord, option: &Value, text: &str) -> Value {
    let choices = option["choices"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(choice) = choices.iter().find(|choice| choice["name"] == text) {
        return choice["value"].clone();
    }
    let name = text.trim_start_matches(['@', '#']);
    match option["type"].as_u64() {
        Some(4) => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Some(10) => text.parse::<f64>().map_or_else(|_| text.into(), Value::from),
        Some(5) => match text {
            "yes" | "true" => true.into(),
            "no" | "false" => false.into(),
            _ => text.into(),
        },
        Some(6 | 9) => discord.user(name).into(),
        Some(7) => discord.channel(name).into(),
        Some(8) => discord.role(name).into(),
        _ => text.into(),
    }
}

/// The words of a line; quotes group several.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// Something that can be pressed: a button, or one option of a menu.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    pub(super) message: Id,
    pub(super) custom_id: String,
    /// The value of the menu's option.
    pub(super) value: Option<String>,
    /// What is written on it.
    pub(super) label: String,
}

impl Target {
    /// Whether it answers something that Claude asks.
    pub(super) fn is_of_question(&self) -> bool {
        matches!(ButtonId::parse(&self.custom_id), Some(ButtonId::Question(..)))
    }
}

/// What can be pressed on a message.
pub(super) fn targets(message: &Message) -> Vec<Target> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let inner = message.components.iter().filter_map(|row| row["components"].as_array()).flatten();
    let mut found = Vec::new();
    for component in inner.filter(|component| component["disabled"] != true) {
        let custom_id = text(&component["custom_id"]);
        let label = match &component["emoji"]["name"] {
            Value::String(emoji) => format!("{emoji} {}", text(&component["label"])).trim().to_owned(),
            _ => text(&component["label"]),
        };
        if component["type"] == 2 && !custom_id.is_empty() {
            found.push(Target { message: message.id, custom_id, value: None, label });
        } else if let Some(options) = component["options"].as_array() {
            found.extend(options.iter().map(|option| Target {
                message: message.id,
                custom_id: custom_id.clone(),
                value: Some(text(&option["value"])),
                label: text(&option["label"]),
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words("  queue drop  why=\"no time\" x "), ["queue", "drop", "why=no time", "x"]);
        assert_eq!(words("a \"\""), ["a", ""]);
        assert_eq!(words(""), [""; 0]);
    }

    #[tokio::test]
    async fn a_line_becomes_a_command_with_values_of_the_right_kind() {
        let discord = LocalDiscord::start(crate::local::Options::default()).await.unwrap();
        let (channel, person) = (discord.channel("general"), discord.owner());
        let option = |kind: u8, name: &str| json!({ "type": kind, "name": name, "description": "d" });
        let commands = json!([
            { "name": "do", "description": "d", "options": [
                option(3, "what"), option(4, "count"), option(5, "loud"), option(7, "where"),
            ] },
            { "name": "queue", "description": "d", "options": [
                { "type": 1, "name": "drop", "description": "d", "options": [option(4, "which")] },
            ] },
        ]);
        let me = format!("{}/api/v10/applications/@me", discord.url());
        let token = format!("Bot {}", discord.token());
        let web = reqwest::Client::new();
        let me: Value =
            web.get(me).header("authorization", &token).send().await.unwrap().json().await.unwrap();
        let id = me["id"].as_str().unwrap();
        let url = format!("{}/api/v10/applications/{id}/commands", discord.url());
        let answer = web.put(url).header("authorization", &token).json(&commands).send().await.unwrap();
        assert_eq!(answer.status(), 200);

        let used =
            command(&discord, channel, person, "do this thing count=3 loud=yes where=#general").unwrap();
        let expected = [
            ("count", json!(3)),
            ("loud", json!(true)),
            ("where", json!(channel)),
            ("what", json!("this thing")),
        ];
        assert_eq!(used.options, expected.map(|(key, value)| (key.to_owned(), value)));
        let used = command(&discord, channel, person, "queue drop 2").unwrap();
        assert_eq!((used.subcommand.as_deref(), &used.options[0].1), (Some("drop"), &json!(2)));
        let refused = |line: &str| command(&discord, channel, person, line).unwrap_err();
        assert_eq!(refused("nothing"), "there is no /nothing");
        assert_eq!(refused("queue"), "/queue needs one of its subcommands");
        assert_eq!(refused("queue drop which=1 two"), "/queue takes no “two”");

        let rows = json!([
            { "type": 1, "components": [
                { "type": 2, "style": 1, "label": "Yes", "custom_id": "yes", "emoji": { "name": "🌙" } },
                { "type": 2, "style": 2, "label": "No", "custom_id": "no", "disabled": true },
                { "type": 2, "style": 5, "label": "Docs", "url": "https://example.com" },
            ] },
            { "type": 1, "components": [
                { "type": 3, "custom_id": "menu", "options": [{ "label": "One", "value": "1" }] },
            ] },
        ]);
        let url = format!("{}/api/v10/channels/{channel}/messages", discord.url());
        let post = web.post(url).header("authorization", &token);
        let answer = post.json(&json!({ "content": "x", "components": rows })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let shown = targets(&discord.messages(channel)[0]);
        let shown: Vec<_> =
            shown.iter().map(|it| (&it.label[..], &it.custom_id[..], it.value.as_deref())).collect();
        assert_eq!(shown, [("🌙 Yes", "yes", None), ("One", "menu", Some("1"))]);
    }
}
