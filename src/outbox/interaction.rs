//! Answers to interactions: callbacks, edits and further messages, each authorized by the interaction's own token.
//!
//! They are not paced: Discord does not count them by channel, and allows three seconds for the first. A call that may
//! have reached Discord is sent again only if that does no harm ([`Again`]): this holds for an edit, and for a first
//! answer, which Discord takes only once, but not for a further message.
//!
//! See <https://discord.com/developers/docs/interactions/receiving-and-responding>.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::call::{Body, Call, Sent};
use super::form::modal;
use super::wire::{self, AllowedMentions};
use super::{CallKind, Outbox, Refused};
use crate::domain::{
    Action, ApplicationId, Button, ButtonStyle, ChannelId, Choice, Embed, File, Form, Interaction, MessageId,
    OptionValue, Reply, Row, Select, SelectOption,
};

/// The longest that one first answer may take. A later one cannot be in time.
const LONGEST_CALLBACK: Duration = Duration::from_secs(5);
/// With less time left than this, a first answer is sent for the last time.
const LAST_TRY: Duration = Duration::from_millis(500);
/// How long anything else is retried.
const PATIENCE: Duration = Duration::from_secs(30);
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Discord's codes: <https://discord.com/developers/docs/topics/opcodes-and-status-codes#json-json-error-codes>.
const UNKNOWN_WEBHOOK: u32 = 10015;
const UNKNOWN_INTERACTION: u32 = 10062;
const ANSWERED_ALREADY: u32 = 40060;
const INVALID_WEBHOOK_TOKEN: u32 = 50027;

const EPHEMERAL: u64 = 1 << 6;

/// The part of the outbox that belongs to the application. Clones share it.
#[derive(Debug, Clone)]
pub struct Interactions {
    pub(super) outbox: Outbox,
    pub(super) application: ApplicationId,
}

/// The first answer to an interaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Callback<'a> {
    /// A message.
    Reply(&'a Reply),
    /// "… is thinking"; the message follows.
    Defer {
        /// Whether only the person who asked sees it, and the message.
        ephemeral: bool,
    },
    /// To a press: nothing changes for now.
    DeferUpdate,
    /// To a press: its message changes.
    Update(Change<'a>),
    /// To somebody who types in an option: at most 25 suggestions.
    Suggest(&'a [Choice]),
    /// To a press or a command: a form opens, and nothing else can be said to that. Whoever has it may close it, and nobody is
    /// told; what is submitted is an interaction of its own. Discord takes no form as the answer to a form.
    Form(&'a Form),
}

/// How a message changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change<'a> {
    /// All of it.
    Whole(&'a Reply),
    /// What can be pressed; the rest stays.
    Rows(&'a [Row]),
}

/// An interaction could not be answered. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The three seconds or the fifteen minutes are over.
    #[error("Discord takes no answer to this interaction any more")]
    TooLate,
    /// It already has a first answer.
    #[error("the interaction is answered already")]
    Already,
    /// Discord may or may not have received it.
    #[error("it may have arrived or not: {0}")]
    Unclear(String),
    /// Anything else.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Outbox {
    /// The way to answer what people do with this application.
    pub fn interactions(&self, application: ApplicationId) -> Interactions {
        Interactions { outbox: self.clone(), application }
    }
}

impl Interactions {
    /// Gives the first answer. Of a message it returns the id, if Discord tells it.
    ///
    /// # Errors
    /// See [`Unanswered`]. It was sent again as long as three seconds had not passed since the interaction was received.
    pub async fn answer(
        &self,
        interaction: &Interaction,
        callback: Callback<'_>,
    ) -> Result<Option<MessageId>, Unanswered> {
        #[derive(Default, Deserialize)]
        struct Answer {
            resource: Option<Resource>,
        }
        #[derive(Deserialize)]
        struct Resource {
            message: Option<wire::Created>,
        }
        let (kind, data, files) = match callback {
            Callback::Reply(reply) => (4, create(reply), &*reply.files),
            Callback::Defer { ephemeral } => (5, json!({"flags": flags(ephemeral)}), &[][..]),
            Callback::DeferUpdate => (6, Value::Null, &[][..]),
            Callback::Update(change) => (7, change.json(), change.files()),
            Callback::Suggest(choices) => (8, suggestions(choices), &[][..]),
            Callback::Form(form) => (9, modal(form), &[][..]),
        };
        let mut body = json!({"type": kind});
        if !data.is_null() {
            body["data"] = data;
        }
        let query = if kind == 4 { "?with_response=true" } else { "" };
        let (id, token) = (interaction.id, &interaction.token.0);
        let path = format!("/interactions/{id}/{token}/callback{query}");
        let until = Instant::from_std(interaction.received) + self.outbox.0.sender.patience.first_answer;
        let call = TokenCall {
            method: Method::POST,
            path,
            body: Some(body),
            files,
            again: Again::RefusedOnceThere,
            until,
        };
        let answer = self.send(call, LONGEST_CALLBACK).await?;
        // No body is an answer as well.
        let answer: Answer = serde_json::from_slice(&answer).unwrap_or_default();
        Ok(answer.resource.and_then(|resource| resource.message).map(|message| message.id))
    }

    /// Changes the first answer, or gives it after a deferral. To a press, it is the message that was pressed.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn edit_original(
        &self,
        interaction: &Interaction,
        change: Change<'_>,
    ) -> Result<MessageId, Unanswered> {
        self.patch(interaction, "@original", change).await
    }

    /// Changes a further message.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn edit(
        &self,
        interaction: &Interaction,
        message: MessageId,
        change: Change<'_>,
    ) -> Result<MessageId, Unanswered> {
        self.patch(interaction, &message.to_string(), change).await
    }

    async fn patch(
        &self,
        interaction: &Interaction,
        message: &str,
        change: Change<'_>,
    ) -> Result<MessageId, Unanswered> {
        let path = format!("{}/messages/{message}", self.webhook(interaction));
        let (body, files) = (Some(change.json()), change.files());
        let until = Instant::now() + PATIENCE;
        let call = TokenCall { method: Method::PATCH, path, body, files, again: Again::Harmless, until };
        created(&self.send(call, PATIENCE).await?)
    }

    /// Posts a further message.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn follow_up(&self, interaction: &Interaction, reply: &Reply) -> Result<MessageId, Unanswered> {
        let path = format!("{}?wait=true", self.webhook(interaction));
        let (body, until) = (Some(create(reply)), Instant::now() + PATIENCE);
        let call =
            TokenCall { method: Method::POST, path, body, files: &reply.files, again: Again::Never, until };
        created(&self.send(call, PATIENCE).await?)
    }

    /// Deletes the first answer, even if it is still "thinking". It is no error if it is gone already.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn delete_original(&self, interaction: &Interaction) -> Result<(), Unanswered> {
        let path = format!("{}/messages/@original", self.webhook(interaction));
        let until = Instant::now() + PATIENCE;
        let call =
            TokenCall { method: Method::DELETE, path, body: None, files: &[], again: Again::Harmless, until };
        match self.send(call, PATIENCE).await {
            Err(Unanswered::Refused(Refused::NotFound { .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Says it as an ordinary message, which everybody in the channel sees.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn say(&self, channel: ChannelId, reply: &Reply) -> Result<MessageId, Refused> {
        let mut body = create(&Reply { ephemeral: false, ..reply.clone() });
        // 25 characters at most.
        let nonce: String = uuid::Uuid::new_v4().simple().to_string().chars().take(24).collect();
        body["nonce"] = nonce.into();
        body["enforce_nonce"] = true.into();
        let call = Call {
            method: Method::POST,
            body: Some(form(body, &reply.files)),
            give_up_after: Some(PATIENCE),
            ..Call::get(CallKind::Create, channel.get(), format!("/channels/{channel}/messages"))
        };
        let wire::Created { id } = self.outbox.0.sender.ask(call).await?;
        Ok(id)
    }

    /// Changes a message that everybody in the channel sees.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn edit_said(
        &self,
        channel: ChannelId,
        message: MessageId,
        change: Change<'_>,
    ) -> Result<(), Refused> {
        let call = Call {
            method: Method::PATCH,
            body: Some(form(change.json(), change.files())),
            give_up_after: Some(PATIENCE),
            ..Call::get(CallKind::Edit, channel.get(), format!("/channels/{channel}/messages/{message}"))
        };
        self.outbox.0.sender.send(call).await
    }

    fn webhook(&self, interaction: &Interaction) -> String {
        format!("/webhooks/{}/{}", self.application, interaction.token.0)
    }

    async fn send(&self, call: TokenCall<'_>, limit: Duration) -> Result<Vec<u8>, Unanswered> {
        let sender = &self.outbox.0.sender;
        let TokenCall { method, path, body, files, again, until } = call;
        let body = body.map(|body| form(body, files));
        let limit = limit.min(sender.patience.request);
        let mut wait = sender.patience.first_wait.min(SHORTEST_WAIT);
        // Whether a try may have reached Discord.
        let mut unclear = false;
        loop {
            // A call that hangs may hang on a dead connection: half of the time is kept for another attempt. Files may
            // need all of it.
            let left = until.saturating_duration_since(Instant::now());
            let limit = match again {
                Again::RefusedOnceThere if files.is_empty() && left > LAST_TRY => limit.min(left / 2),
                _ => limit,
            };
            let (why, pause) = match sender.send_open(method.clone(), &path, body.as_ref(), limit).await {
                Sent::Done(answer) => return Ok(answer),
                // Our own earlier attempt has answered it.
                Sent::Refused(_, problem) if unclear && problem.code == Some(ANSWERED_ALREADY) => {
                    return Ok(Vec::new());
                }
                Sent::Refused(status, problem) => {
                    return Err(match problem.code {
                        Some(UNKNOWN_INTERACTION | UNKNOWN_WEBHOOK | INVALID_WEBHOOK_TOKEN) => {
                            Unanswered::TooLate
                        }
                        Some(ANSWERED_ALREADY) => Unanswered::Already,
                        // The interaction's token is refused; no other was sent.
                        _ if status == StatusCode::UNAUTHORIZED => Unanswered::TooLate,
                        _ => Unanswered::Refused(problem.refused(status)),
                    });
                }
                Sent::Unclear(why) if again == Again::Never => return Err(Unanswered::Unclear(why)),
                Sent::Unclear(why) => {
                    unclear = true;
                    (why, wait)
                }
                Sent::Limited(pause) => ("over Discord's rate limit".to_owned(), pause.max(wait)),
                Sent::Never(why) => (why, wait),
            };
            if Instant::now() + pause > until {
                return Err(match again {
                    Again::RefusedOnceThere if unclear => Unanswered::Unclear(why),
                    _ => Refused::GaveUp { why, sent: unclear }.into(),
                });
            }
            debug!(%method, "an answer to an interaction is sent again in {pause:?}: {why}");
            sleep(pause).await;
            wait *= 2;
        }
    }
}

/// A call authorized by the token in its path.
struct TokenCall<'a> {
    method: Method,
    path: String,
    body: Option<Value>,
    files: &'a [File],
    /// Whether it may be sent again when it may have arrived.
    again: Again,
    /// When to give up.
    until: Instant,
}

/// The effect of a call that arrives twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It takes effect twice, so it must not be repeated.
    Never,
    /// The second one changes nothing.
    Harmless,
    /// Discord refuses it (40060), which shows that the first one arrived.
    RefusedOnceThere,
}

impl<'a> Change<'a> {
    fn json(self) -> Value {
        match self {
            Self::Whole(reply) => message(reply),
            Self::Rows(list) => {
                json!({"components": rows(list), "allowed_mentions": AllowedMentions::default()})
            }
        }
    }

    fn files(self) -> &'a [File] {
        match self {
            Self::Whole(reply) => &reply.files,
            Self::Rows(_) => &[],
        }
    }
}

fn created(answer: &[u8]) -> Result<MessageId, Unanswered> {
    let created: Result<wire::Created, _> = serde_json::from_slice(answer);
    created.map(|created| created.id).map_err(|e| Unanswered::Unclear(format!("answer not understood: {e}")))
}

fn form(body: Value, files: &[File]) -> Body {
    let body = body.to_string().into_bytes();
    if files.is_empty() { Body::Json(body) } else { Body::Form(body, files.to_vec()) }
}

fn flags(ephemeral: bool) -> u64 {
    if ephemeral { EPHEMERAL } else { 0 }
}

/// A message that is new.
fn create(reply: &Reply) -> Value {
    let mut body = message(reply);
    body["flags"] = flags(reply.ephemeral).into();
    body
}

/// A whole message: an edit removes whatever is missing here.
fn message(reply: &Reply) -> Value {
    let files = reply.files.iter().enumerate();
    let attachments = files.map(|(n, file)| json!({"id": n.to_string(), "filename": file.name}));
    json!({
        "content": reply.text,
        "embeds": reply.embeds.iter().map(embed).collect::<Vec<_>>(),
        "components": rows(&reply.rows),
        "attachments": attachments.collect::<Vec<_>>(),
        "allowed_mentions": AllowedMentions::default(),
    })
}

/// The same with its files, as the body of a call.
pub(super) fn whole(reply: Reply) -> (Vec<u8>, Vec<File>) {
    (message(&reply).to_string().into_bytes(), reply.files)
}

fn embed(embed: &Embed) -> Value {
    let fields = embed.fields.iter();
    let fields =
        fields.map(|field| json!({"name": field.name, "value": field.value, "inline": field.inline}));
    given(json!({
        "title": embed.title,
        "description": embed.description,
        "url": embed.url,
        "color": embed.color,
        "fields": fields.collect::<Vec<_>>(),
        "footer": embed.footer.as_ref().map(|text| json!({"text": text})),
    }))
}

/// What can be pressed, as Discord's components.
pub(super) fn rows(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let components = match row {
            Row::Buttons(buttons) => buttons.iter().map(button).collect(),
            Row::Select(menu) => vec![select(menu)],
        };
        json!({"type": 1, "components": components})
    };
    rows.iter().map(row).collect()
}

fn button(button: &Button) -> Value {
    let (style, custom_id, url) = match &button.action {
        Action::Open(url) => (5, None, Some(url)),
        Action::Press { custom_id, style } => {
            let style = match style {
                ButtonStyle::Primary => 1,
                ButtonStyle::Secondary => 2,
                ButtonStyle::Success => 3,
                ButtonStyle::Danger => 4,
            };
            (style, Some(custom_id), None)
        }
    };
    given(json!({"type": 2, "style": style, "label": button.label, "custom_id": custom_id, "url": url,
        "disabled": button.disabled}))
}

fn select(select: &Select) -> Value {
    let options = select.options.iter().map(option);
    given(json!({"type": 3, "custom_id": select.custom_id, "placeholder": select.placeholder,
        "options": options.collect::<Vec<_>>(), "disabled": select.disabled,
        "max_values": (select.most > 1).then_some(select.most)}))
}

/// An entry of a menu, or an option in a form.
pub(super) fn option(option: &SelectOption) -> Value {
    given(json!({"label": option.label, "value": option.value, "description": option.description,
        "default": option.chosen}))
}

fn suggestions(choices: &[Choice]) -> Value {
    let choices = choices.iter().map(|choice| json!({"name": choice.name, "value": value(&choice.value)}));
    json!({"choices": choices.collect::<Vec<_>>()})
}

/// A choice's value as Discord takes it.
pub(super) fn value(value: &OptionValue) -> Value {
    match value {
        OptionValue::Text(text) => json!(text),
        OptionValue::Integer(number) => json!(number),
        OptionValue::Number(number) => json!(number),
        OptionValue::Boolean(boolean) => json!(boolean),
        OptionValue::User(person) => json!(person.id),
        OptionValue::Channel(channel) => json!(channel.id),
        OptionValue::Role(role) => json!(role.id),
    }
}

/// Without the keys that have no value.
pub(super) fn given(mut object: Value) -> Value {
    if let Value::Object(keys) = &mut object {
        keys.retain(|_, value| !value.is_null());
    }
    object
}

#[cfg(test)]
mod tests;
