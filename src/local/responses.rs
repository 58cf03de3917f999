//! What the bot answers to an interaction, with Discord's rules.
//!
//! The first answer, the callback, must come within three seconds and only once. From then on the token is that of a
//! webhook for fifteen minutes: it gives, edits and deletes the first answer (`@original`) and posts others.

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::commands::check_choices;
use super::form::Mistakes;
use super::interactions::{Acknowledged, Interaction, Kind};
use super::layout::numbered;
use super::modal::{self, check_modal};
use super::rules::{AllowedMentions, Draft, Refusal, checked};
use super::world::{EPHEMERAL, Id, LOADING, Message, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, World};
use super::{State, What};

/// The types of a callback.
const MESSAGE: u8 = 4;
const DEFERRED_MESSAGE: u8 = 5;
const DEFERRED_UPDATE: u8 = 6;
const UPDATE: u8 = 7;
pub(super) const SUGGESTIONS: u8 = 8;
pub(super) const FORM: u8 = 9;

/// How long an interaction waits, and how long its token lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) acknowledge: Duration,
    pub(super) token: Duration,
}

/// The body of a callback.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Callback {
    #[serde(rename = "type", default)]
    pub(super) how: u8,
    #[serde(default)]
    pub(super) data: Value,
}

/// What became of an interaction so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response {
    /// How long the bot took to acknowledge it.
    #[serde(with = "humantime_serde")]
    pub acknowledged_after: Duration,
    /// Whether the first answer was a deferral: of a message (5) or of an update (6).
    pub deferred: bool,
    /// Whether it still is: people see that the bot is thinking.
    pub loading: bool,
    /// Whether its answer is one that only the person sees.
    pub ephemeral: bool,
    /// The answer as it stands now: the message, or the updated one with the component. None while the bot is thinking,
    /// after it was deleted, and for suggestions and forms.
    pub message: Option<Message>,
    /// The messages that followed, as they stand now.
    pub follow_ups: Vec<Message>,
    /// The suggestions for an option: what is shown, and its value.
    pub suggestions: Vec<(String, Value)>,
    /// The form that has opened, until it is submitted.
    pub form: Option<Value>,
}

impl World {
    /// What became of an interaction; `None` until it is acknowledged.
    pub(super) fn response(&self, interaction: Id) -> Option<Response> {
        let interaction = self.interactions.get(&interaction)?;
        let acknowledged = interaction.acknowledged.as_ref()?;
        let there = |id: &Id| self.message(*id).filter(|message| message.flags & LOADING == 0).cloned();
        let original = interaction.original.and_then(|id| self.message(id));
        Some(Response {
            loading: original.is_some_and(|message| message.flags & LOADING != 0),
            acknowledged_after: acknowledged.after,
            deferred: matches!(acknowledged.how, DEFERRED_MESSAGE | DEFERRED_UPDATE),
            ephemeral: acknowledged.ephemeral,
            message: interaction.original.as_ref().and_then(there),
            follow_ups: interaction.follow_ups.iter().filter_map(there).collect(),
            suggestions: acknowledged.choices.clone(),
            form: interaction.form.clone(),
        })
    }

    /// The interaction whose token this is, for the application's webhook.
    fn hook(&self, application: Id, token: &str, patience: Patience) -> Result<&Interaction, Refusal> {
        let unknown = Refusal::new(StatusCode::NOT_FOUND, 10015, "Unknown Webhook");
        if application != self.application {
            return Err(unknown);
        }
        let invalid = Refusal::new(StatusCode::UNAUTHORIZED, 50027, "Invalid Webhook Token");
        let interaction =
            self.interactions.values().find(|it| it.token == token).ok_or_else(|| invalid.clone())?;
        if interaction.at.elapsed() >= patience.token {
            return Err(invalid);
        }
        match &interaction.acknowledged {
            Some(acknowledged) if acknowledged.how != SUGGESTIONS => Ok(interaction),
            _ => Err(unknown),
        }
    }

    /// The same, and one of its messages: `@original` is the first answer.
    pub(super) fn hook_message(
        &self,
        (application, token, message): (Id, &str, &str),
        patience: Patience,
    ) -> Result<&Message, Refusal> {
        let interaction = self.hook(application, token, patience)?;
        let wanted = match message {
            "@original" => interaction.original,
            id => id.parse::<u64>().ok().map(Id::from),
        };
        let own =
            wanted.filter(|id| interaction.original == Some(*id) || interaction.follow_ups.contains(id));
        own.and_then(|id| self.message(id)).ok_or_else(Refusal::unknown_message)
    }

    /// The answer to a callback that wants one.
    pub(super) fn callback_json(&self, interaction: Id) -> Value {
        let Some(interaction) = self.interactions.get(&interaction) else { return Value::Null };
        let how = interaction.acknowledged.as_ref().map(|acknowledged| acknowledged.how);
        let mut json = json!({ "interaction": { "id": interaction.id, "type": interaction.kind as u8 } });
        if let Some(message) = interaction.original.and_then(|id| self.message(id)) {
            let about = &mut json["interaction"];
            about["response_message_id"] = json!(message.id);
            about["response_message_loading"] = (message.flags & LOADING != 0).into();
            about["response_message_ephemeral"] = message.ephemeral_to.is_some().into();
            about["channel_id"] = json!(message.channel);
            json["resource"] = json!({ "type": how, "message": self.message_json(message, true) });
        }
        json
    }
}

impl State {
    /// The first answer to an interaction.
    pub(super) fn bot_answers(
        &mut self,
        (id, token): (Id, &str),
        callback: Callback,
        draft: Draft,
        patience: Patience,
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::new(StatusCode::NOT_FOUND, 10062, "Unknown interaction");
        let interaction =
            self.world.interactions.get(&id).filter(|it| it.token == token).ok_or_else(unknown)?;
        if interaction.acknowledged.is_some() {
            let message = "Interaction has already been acknowledged.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, 40060, message));
        }
        let after = interaction.at.elapsed();
        if after >= patience.acknowledge {
            return Err(unknown());
        }
        let mut mistakes = Mistakes::default();
        let known: &[u64] = match interaction.kind {
            Kind::Command => &[4, 5, 9],
            Kind::Component => &[4, 5, 6, 7, 9],
            Kind::Autocomplete => &[8],
            // Where a command has opened the form, there is nothing to update.
            Kind::Form if interaction.message.is_some() => &[4, 5, 6, 7],
            Kind::Form => &[4, 5],
        };
        mistakes.one_of("type", &callback.how.into(), known);
        if callback.how == FORM {
            check_modal(&callback.data, &mut mistakes);
        }
        mistakes.finish()?;

        let interaction = interaction.clone();
        let ephemeral = draft.flags.unwrap_or(0) & EPHEMERAL != 0;
        let (mut original, mut choices, mut form) = (interaction.message, Vec::new(), None);
        match callback.how {
            MESSAGE | DEFERRED_MESSAGE => {
                let answer = self.answer(&interaction, draft, callback.how == DEFERRED_MESSAGE);
                original = Some(answer.map_err(|refusal| refusal.within("data"))?);
            }
            DEFERRED_UPDATE => {}
            UPDATE => {
                let message = interaction.message.and_then(|id| self.world.message(id)).cloned();
                let message = message.ok_or_else(Refusal::unknown_message)?;
                let edited = self.edited(message, draft).map_err(|refusal| refusal.within("data"))?;
                self.replace(edited);
            }
            FORM => (original, form) = (None, Some(modal::numbered(callback.data))),
            _ => choices = suggestions(&callback.data["choices"], interaction.focused)?,
        }
        let seen_by_one = match callback.how {
            MESSAGE | DEFERRED_MESSAGE => ephemeral,
            _ => original.and_then(|id| self.world.message(id)).is_some_and(|it| it.ephemeral_to.is_some()),
        };
        if let Some(interaction) = self.world.interactions.get_mut(&id) {
            (interaction.original, interaction.form) = (original, form);
            let how = callback.how;
            interaction.acknowledged = Some(Acknowledged { after, how, ephemeral: seen_by_one, choices });
        }
        self.note(Some(interaction.channel), What::Acknowledged { interaction: id });
        Ok(())
    }

    /// Another message after the first answer, or the one that was deferred.
    pub(super) fn bot_follows_up(
        &mut self,
        (application, token): (Id, &str),
        draft: Draft,
        patience: Patience,
    ) -> Result<Id, Refusal> {
        let interaction = self.world.hook(application, token, patience)?.clone();
        let original = interaction.original.and_then(|id| self.world.message(id)).cloned();
        if let Some(loading) = original.filter(|message| message.flags & LOADING != 0) {
            let id = loading.id;
            self.fill(loading, draft)?;
            return Ok(id);
        }
        let id = self.answer(&interaction, draft, false)?;
        if let Some(interaction) = self.world.interactions.get_mut(&interaction.id) {
            interaction.follow_ups.push(id);
        }
        Ok(id)
    }

    /// The bot edits one of its answers; this is what makes a deferred one appear.
    pub(super) fn bot_edits_answer(
        &mut self,
        place: (Id, &str, &str),
        draft: Draft,
        patience: Patience,
    ) -> Result<Id, Refusal> {
        let message = self.world.hook_message(place, patience)?.clone();
        let id = message.id;
        self.fill(message, draft)?;
        Ok(id)
    }

    fn fill(&mut self, message: Message, draft: Draft) -> Result<(), Refusal> {
        let promised = message.flags & LOADING != 0;
        let mut edited = self.edited(message, draft)?;
        edited.flags &= !LOADING;
        if promised {
            edited.edited = None;
        }
        self.replace(edited);
        Ok(())
    }

    /// The bot deletes one of its answers.
    pub(super) fn bot_deletes_answer(
        &mut self,
        place: (Id, &str, &str),
        patience: Patience,
    ) -> Result<(), Refusal> {
        let id = self.world.hook_message(place, patience)?.id;
        self.delete(id);
        Ok(())
    }

    /// Posts an answer. It needs no permission in the channel; that the person could use the command is enough.
    fn answer(&mut self, interaction: &Interaction, draft: Draft, loading: bool) -> Result<Id, Refusal> {
        let draft = if loading { Draft { flags: draft.flags, ..Draft::default() } } else { draft };
        let world = &mut self.world;
        let content = checked(draft.content.as_deref().unwrap_or_default())?.to_owned();
        draft.check_layout(0)?;
        let embeds = draft.embeds.unwrap_or_default();
        let components = numbered(draft.components.unwrap_or_default());
        let nothing =
            content.is_empty() && embeds.is_empty() && components.is_empty() && draft.files.is_empty();
        if nothing && !loading {
            return Err(Refusal::empty_message());
        }
        if let Some(allowed) = &draft.allowed_mentions {
            allowed.check()?;
        }
        let allowed = draft.allowed_mentions.unwrap_or_else(AllowedMentions::everything);
        let mentions = world.mentions(&content, &allowed, None);
        let settable = SUPPRESS_EMBEDS | EPHEMERAL | SUPPRESS_NOTIFICATIONS | 1 << 13 | 1 << 15;
        let flags = draft.flags.unwrap_or(0) & settable | if loading { LOADING } else { 0 };
        let ephemeral_to = (flags & EPHEMERAL != 0).then_some(interaction.user);
        let quiet = flags & (EPHEMERAL | SUPPRESS_NOTIFICATIONS) != 0;
        let pinged = if quiet { Vec::new() } else { world.pinged(&mentions, world.bot) };
        world.check_files(interaction.channel, &draft.files)?;
        let attachments = world.attach(interaction.channel, draft.files);
        let reply_to = interaction.original.or(interaction.message);
        let id = world.new_id();
        Ok(self.post(Message {
            by_bot: true,
            content,
            kind: if reply_to.is_some() { 19 } else { 20 },
            reply_to,
            flags,
            mentions: mentions.users,
            mention_roles: mentions.roles,
            mention_everyone: mentions.everyone,
            pinged,
            attachments,
            embeds,
            components,
            webhook: Some(self.world.application),
            interaction: Some(interaction.id),
            ephemeral_to,
            ..Message::new(id, interaction.channel, self.world.bot)
        }))
    }
}

/// The suggestions for an option of this type.
fn suggestions(choices: &Value, kind: u64) -> Result<Vec<(String, Value)>, Refusal> {
    let mut mistakes = Mistakes::default();
    let choices = mistakes.list("data.choices", choices, 0..=25);
    check_choices("data.choices", choices, kind, &mut mistakes);
    mistakes.finish()?;
    let choice =
        |choice: &Value| (choice["name"].as_str().unwrap_or_default().to_owned(), choice["value"].clone());
    Ok(choices.iter().map(choice).collect())
}
