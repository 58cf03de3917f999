//! Dialogs: a question with buttons or a menu, and the wait for somebody to press.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{PostedMessage, ReplyStage, RespondError, Responder, Responders};
use crate::domain::{
    Action, Allow, Author, Button, ButtonStyle, Controls, Dialog, DialogEnd, Interaction, InteractionKind,
    Reply, Row, Select,
};
use crate::outbox::{Callback, Change, Unanswered};
use crate::words::command as words;

/// What the ids of our buttons begin with: `moonlane:KEY:N`.
const PREFIX: &str = "moonlane:";
/// The most buttons in a row, rows in a message, and entries in a menu.
const ROW: usize = 5;
const ROWS: usize = 5;
const MENU: usize = 25;

/// The most characters of a message, in UTF-16.
const LONGEST_TEXT: usize = 2000;

/// What a dialog is known by. Nobody can guess it, and none is used twice.
pub(super) type Key = uuid::Uuid;

/// A dialog that waits.
pub(super) struct OpenDialog {
    who: Allow,
    /// What those hear who may not.
    refusal: &'static str,
    /// The answers, by number.
    values: Vec<String>,
    tell: oneshot::Sender<DialogPress>,
}

/// The press that counts.
struct DialogPress {
    value: String,
    interaction: Interaction,
}

/// What became of an interaction that may be a press on a dialog.
pub(super) enum Pressed {
    /// It is none.
    NoDialog(Interaction),
    /// Its dialog has it.
    Counts,
    /// It does not count, and its person is to hear why.
    Refused(Interaction, &'static str),
}

/// Why a dialog waits no longer for a press.
enum Over {
    TimedOut,
    Closing,
}

impl Responder {
    /// Asks, and waits for somebody to press. Then, or when nobody does in time, the buttons are switched off.
    ///
    /// Dropping the future ends the dialog: a press then says that it is over.
    ///
    /// # Errors
    /// See [`RespondError`]; once the question stands there, only that the bot stops, which the question says as well.
    pub async fn ask(&self, dialog: Dialog) -> Result<DialogEnd, RespondError> {
        let Dialog { question, controls, timeout: wait, who } = dialog;
        let desk = &self.0.desk;
        if desk.is_closing() {
            return Err(RespondError::Restarting);
        }
        let key = Key::new_v4();
        let rows = rows(&question.rows, &controls, key)?;
        let (who, refusal) = match who == Allow::default() {
            true => (Allow { users: vec![self.0.asked.author.id], roles: Vec::new() }, words::NOT_YOURS),
            false => (who, words::NOT_NAMED),
        };
        let values = match &controls {
            Controls::Buttons(buttons) => buttons.iter().map(|button| button.value.clone()).collect(),
            Controls::Select { options, .. } => options.iter().map(|option| option.value.clone()).collect(),
        };
        let (tell, mut pressed) = oneshot::channel();
        // Before it is posted: somebody may be quick.
        let waiting = DialogGuard::begin(desk, key, OpenDialog { who, refusal, values, tell });
        let ephemeral = question.ephemeral;
        let question = Reply { rows, ..question };
        let said = {
            let mut line = self.0.line.lock().await;
            let said = self.0.say(&mut line, &question).await?;
            line.last = Some(said.clone());
            said
        };
        let answer = tokio::select! {
            biased;
            Ok(answer) = &mut pressed => Ok(answer),
            () = desk.closing() => Err(Over::Closing),
            () = sleep(wait) => Err(Over::TimedOut),
        };
        let answer = match answer {
            // Somebody pressed at the very last moment.
            Err(over) if !waiting.end() => pressed.await.map_err(|_| over),
            answer => answer,
        };
        let DialogPress { value, interaction } = match answer {
            Ok(answer) => answer,
            Err(Over::TimedOut) => {
                let off = switched_off(&question.rows, key, &[]);
                if let Err(error) = self.0.change(&said, Change::Rows(&off)).await {
                    debug!("cannot disable the buttons of a dialog that timed out: {error}");
                }
                return Ok(DialogEnd::TimedOut);
            }
            Err(Over::Closing) => {
                self.interrupt(&said, &question, key).await;
                return Err(RespondError::Restarting);
            }
        };
        let by = interaction.author.clone();
        let chosen = match &interaction.kind {
            InteractionKind::Press { custom_id, values, .. } => {
                [std::slice::from_ref(custom_id), values].concat()
            }
            _ => Vec::new(),
        };
        self.switch_off(said, &switched_off(&question.rows, key, &chosen), interaction, ephemeral).await;
        Ok(DialogEnd::Chosen { value, by })
    }

    /// Says below the question that the bot stops, and switches its buttons off.
    async fn interrupt(&self, said: &PostedMessage, question: &Reply, key: Key) {
        self.0.is_over.store(true, Ordering::Relaxed);
        let text = with_note(&question.text, words::INTERRUPTED);
        let rows = switched_off(&question.rows, key, &[]);
        let told = self.0.change(said, Change::Whole(&Reply { text, rows, ..question.clone() })).await;
        match told {
            Ok(Some(_)) => {}
            Ok(None) => debug!("the message of a dialog is gone; cannot say there that the bot restarts"),
            Err(error) => info!("cannot say in a dialog that the bot restarts: {error}"),
        }
    }

    /// Answers the press by switching the buttons off. From then on its token is the newest, where the person of the
    /// command has pressed.
    async fn switch_off(&self, said: PostedMessage, off: &[Row], press: Interaction, ephemeral: bool) {
        let update = Callback::Update(Change::Rows(off));
        // Before the line is had: whoever holds it may take longer than Discord waits.
        let answered = self.0.desk.0.discord.answer(&press, update).await;
        let mut line = self.0.line.lock().await;
        let taken = match answered {
            Ok(_) => true,
            // An edit does no harm, and shows whether the token works.
            Err(Unanswered::Unclear(_)) => {
                let edit = self.0.desk.0.discord.edit_original(&press, Change::Rows(off)).await;
                edit.is_ok()
            }
            Err(error) => {
                warn!(id = %press.id, "cannot answer a press: {error}");
                false
            }
        };
        if !taken {
            if let Err(error) = self.0.change(&said, Change::Rows(off)).await {
                debug!("cannot disable the buttons of a dialog: {error}");
            }
            return;
        }
        // What is for the person of the command alone must not go to another one, who has only pressed.
        if press.author.id == self.0.asked.author.id && line.newest.received <= press.received {
            line.newest = press.clone();
            line.stage = ReplyStage::Answered;
        }
        // Unless something was said meanwhile, the question is what an edit changes.
        let is_last = line.last.as_ref().is_some_and(|last| last.is(&said));
        if is_last {
            let id = match press.kind {
                InteractionKind::Press { message, .. } => Some(message),
                _ => said.id,
            };
            line.last = Some(PostedMessage { id, ephemeral, through: Some((press, true)) });
        }
    }
}

impl Responders {
    /// Takes a press to its dialog; everything else comes back.
    pub(super) fn pressed(&self, interaction: Interaction) -> Pressed {
        let InteractionKind::Press { custom_id, values, .. } = &interaction.kind else {
            return Pressed::NoDialog(interaction);
        };
        let Some(rest) = custom_id.strip_prefix(PREFIX) else { return Pressed::NoDialog(interaction) };
        let refusal = 'refusal: {
            if self.is_closing() {
                break 'refusal words::RESTARTING;
            }
            let mut open = self.open();
            let found = find(rest).filter(|(key, _)| open.contains_key(key));
            let Some((key, number)) = found else { break 'refusal words::OVER };
            let dialog = &open[&key];
            if !names(&dialog.who, &interaction.author) {
                break 'refusal dialog.refusal;
            }
            let value = match number {
                Some(number) => dialog.values.get(number),
                None => values.first().and_then(|value| dialog.values.iter().find(|known| *known == value)),
            };
            let Some(value) = value.cloned() else { break 'refusal words::OVER };
            // Under the lock, so that whoever gives up sees either the dialog or the press.
            let answer = DialogPress { value, interaction: interaction.clone() };
            if open.remove(&key).is_some_and(|dialog| dialog.tell.send(answer).is_ok()) {
                return Pressed::Counts;
            }
            words::OVER
        };
        Pressed::Refused(interaction, refusal)
    }

    /// Tells the person of a press that it does not count, and why. Nothing else comes of it.
    pub async fn refuse(&self, press: &Interaction, why: &str) {
        let refusal = Reply::ephemeral(why);
        if let Err(error) = self.0.discord.answer(press, Callback::Reply(&refusal)).await {
            debug!(id = %press.id, "cannot answer a press that does not count: {error}");
        }
    }
}

/// The text with a note at its end, cut so that both fit into a message.
fn with_note(text: &str, note: &str) -> String {
    let length = |text: &str| text.encode_utf16().count();
    let mut room = LONGEST_TEXT - length(note);
    if length(text) <= room {
        return format!("{text}{note}");
    }
    room -= 1;
    let fits = |c: &char| match room.checked_sub(c.len_utf16()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let start: String = text.chars().take_while(fits).collect();
    format!("{start}…{note}")
}

/// Whether the rule names this person, by id or by role.
fn names(who: &Allow, person: &Author) -> bool {
    who.users.contains(&person.id) || who.roles.iter().any(|role| person.roles.contains(role))
}

/// A dialog's place among those that wait.
struct DialogGuard<'a> {
    desk: &'a Responders,
    key: Key,
}

impl<'a> DialogGuard<'a> {
    fn begin(desk: &'a Responders, key: Key, dialog: OpenDialog) -> Self {
        desk.open().insert(key, dialog);
        Self { desk, key }
    }

    /// Whether it was still waiting.
    fn end(&self) -> bool {
        self.desk.open().remove(&self.key).is_some()
    }
}

impl Drop for DialogGuard<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The key, and the number of a button; a menu has none.
fn find(rest: &str) -> Option<(Key, Option<usize>)> {
    let (key, number) = rest.split_once(':')?;
    let number = match number {
        "menu" => None,
        number => Some(number.parse().ok()?),
    };
    Some((Key::try_parse(key).ok()?, number))
}

/// The rows of the question, and below them the dialog's own.
fn rows(above: &[Row], controls: &Controls, key: Key) -> Result<Vec<Row>, RespondError> {
    let id = |what: &str| format!("{PREFIX}{}:{what}", key.simple());
    let own: Vec<Row> = match controls {
        Controls::Buttons(buttons) => {
            let buttons: Vec<Button> = buttons
                .iter()
                .enumerate()
                .map(|(n, button)| Button {
                    label: button.label.clone(),
                    action: Action::Press { custom_id: id(&n.to_string()), style: button.style },
                    disabled: false,
                })
                .collect();
            buttons.chunks(ROW).map(|row| Row::Buttons(row.to_vec())).collect()
        }
        Controls::Select { placeholder, options } if (1..=MENU).contains(&options.len()) => {
            vec![Row::Select(Select {
                custom_id: id("menu"),
                placeholder: placeholder.clone(),
                options: options.clone(),
                most: 1,
                disabled: false,
            })]
        }
        Controls::Select { .. } => {
            return Err(RespondError::Unfit("a menu needs at least 1 entry and has room for 25"));
        }
    };
    let rows = [above, &own].concat();
    if own.is_empty() || rows.len() > ROWS {
        return Err(RespondError::Unfit("a dialog needs at least 1 button and has room for 5 rows of 5"));
    }
    Ok(rows)
}

/// The same rows, but that nothing of the dialog can be pressed any more; of its buttons and entries, those in `chosen`
/// stand out.
fn switched_off(rows: &[Row], key: Key, chosen: &[String]) -> Vec<Row> {
    let own = format!("{PREFIX}{}:", key.simple());
    let mut rows = rows.to_vec();
    for row in &mut rows {
        match row {
            Row::Select(select) if select.custom_id.starts_with(&own) => {
                select.disabled = true;
                if !chosen.is_empty() {
                    select
                        .options
                        .iter_mut()
                        .for_each(|option| option.chosen = chosen.contains(&option.value));
                }
            }
            Row::Select(_) => {}
            Row::Buttons(buttons) => {
                for button in buttons {
                    if let Action::Press { custom_id, style } = &mut button.action
                        && custom_id.starts_with(&own)
                    {
                        button.disabled = true;
                        if !chosen.is_empty() && !chosen.contains(custom_id) {
                            *style = ButtonStyle::Secondary;
                        }
                    }
                }
            }
        }
    }
    rows
}
