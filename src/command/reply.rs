//! What a script says → what Discord gets.

use crate::domain::{
    Action, Button, ButtonStyle, Controls, Dialog, DialogButton, Embed, EmbedField, File, Reply, Row,
    SelectOption,
};
use crate::script;

/// The most buttons in a row.
const ROW: usize = 5;

/// A message.
pub fn reply(say: script::Say) -> Reply {
    let links: Vec<Button> = say
        .links
        .into_iter()
        .map(|link| Button { label: link.label, action: Action::Open(link.url), disabled: false })
        .collect();
    Reply {
        text: say.text,
        embeds: say.embed.into_iter().map(embed).collect(),
        rows: links.chunks(ROW).map(|row| Row::Buttons(row.to_vec())).collect(),
        files: say.file.into_iter().map(|file| File { name: file.name, content: file.text }).collect(),
        ephemeral: say.ephemeral,
    }
}

fn embed(embed: script::Embed) -> Embed {
    let field =
        |field: script::Field| EmbedField { name: field.name, value: field.text, inline: field.inline };
    Embed {
        title: embed.title,
        description: embed.text,
        url: embed.url,
        color: embed.color,
        fields: embed.fields.into_iter().map(field).collect(),
        footer: embed.footer,
    }
}

/// The values of the two buttons of a confirmation.
pub const YES: &str = "yes";
const NO: &str = "no";

/// A question that is answered by yes or no.
pub fn confirm(confirm: script::Confirm) -> Dialog {
    let button = |label, value: &str, style| DialogButton { label, value: value.to_owned(), style };
    let buttons =
        vec![button(confirm.yes, YES, ButtonStyle::Primary), button(confirm.no, NO, ButtonStyle::Secondary)];
    dialog(confirm.text, Controls::Buttons(buttons), confirm.dialog)
}

/// A question that is answered by one of several options.
pub fn choose(choose: script::Choose) -> Dialog {
    let controls = if choose.fits_buttons() {
        let button = |pick: script::Pick| DialogButton {
            label: pick.label,
            value: pick.value,
            style: ButtonStyle::Secondary,
        };
        Controls::Buttons(choose.options.into_iter().map(button).collect())
    } else {
        let option = |pick: script::Pick| SelectOption {
            label: pick.label,
            value: pick.value,
            description: pick.description,
            chosen: false,
        };
        let options = choose.options.into_iter().map(option).collect();
        Controls::Select { placeholder: None, options }
    };
    dialog(choose.text, controls, choose.dialog)
}

fn dialog(text: String, controls: Controls, dialog: script::Dialog) -> Dialog {
    let question = Reply { text, ephemeral: dialog.ephemeral, ..Reply::default() };
    Dialog { question, controls, timeout: dialog.timeout, who: dialog.who.unwrap_or_default() }
}
