//! What the bot says in answer to an interaction, as plain data.

use super::{Allow, Author};

/// A message with everything that Discord can show in one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// At most 2000 characters of Discord's Markdown.
    pub text: String,
    /// At most 10, with 6000 characters in all.
    pub embeds: Vec<Embed>,
    /// At most 5.
    pub rows: Vec<Row>,
    /// At most 10.
    pub files: Vec<File>,
    /// Whether only the person who is answered sees it.
    pub ephemeral: bool,
}

impl Reply {
    /// Only text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Only text, which only the person who is answered sees.
    pub fn ephemeral(text: impl Into<String>) -> Self {
        Self { ephemeral: true, ..Self::text(text) }
    }
}

/// A text file to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, such as `answer.md`.
    pub name: String,
    /// Its content. Discord takes 10 MiB.
    pub content: String,
}

/// A framed box below the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Embed {
    /// At most 256 characters.
    pub title: Option<String>,
    /// At most 4096 characters of Markdown.
    pub description: Option<String>,
    /// Where the title leads.
    pub url: Option<String>,
    /// The colour of its edge: 0xRRGGBB.
    pub color: Option<u32>,
    /// At most 25.
    pub fields: Vec<EmbedField>,
    /// At most 2048 characters, in small print.
    pub footer: Option<String>,
}

/// A heading with a text below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedField {
    /// 1 to 256 characters.
    pub name: String,
    /// 1 to 1024 characters.
    pub value: String,
    /// Whether others may stand beside it.
    pub inline: bool,
}

/// A row of buttons, or a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// 1 to 5 buttons.
    Buttons(Vec<Button>),
    /// A menu, which takes up a whole row.
    Select(Select),
}

/// The most menus in a message that has a row of buttons, too.
pub const MOST_MENUS: usize = 4;
/// The most options of a menu.
pub const MOST_OPTIONS: usize = 25;

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// 1 to 80 characters.
    pub label: String,
    /// What happens when it is pressed.
    pub action: Action,
    /// Whether it is greyed out and cannot be pressed.
    pub disabled: bool,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The bot hears of it.
    Press {
        /// How the bot recognizes it: 1 to 100 characters, unique within the message.
        custom_id: String,
        /// How it looks.
        style: ButtonStyle,
    },
    /// This address opens.
    Open(String),
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ButtonStyle {
    /// Blue.
    Primary,
    /// Grey.
    #[default]
    Secondary,
    /// Green.
    Success,
    /// Red.
    Danger,
}

/// A menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// As for a button.
    pub custom_id: String,
    /// What it shows while nothing is chosen: at most 150 characters.
    pub placeholder: Option<String>,
    /// 1 to 25.
    pub options: Vec<SelectOption>,
    /// How many may be chosen: 1 to as many as there are.
    pub most: usize,
    /// Whether it is greyed out and cannot be opened.
    pub disabled: bool,
}

/// An entry of a menu, or an option in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectOption {
    /// 1 to 100 characters.
    pub label: String,
    /// How the bot recognizes it: 1 to 100 characters, unique within the menu or the field.
    pub value: String,
    /// At most 100 characters.
    pub description: Option<String>,
    /// Whether it is the chosen one.
    pub chosen: bool,
}

/// A question that waits for somebody to press something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// What is asked. Its own rows, if any, come before those of the dialog.
    pub question: Reply,
    /// The possible answers.
    pub controls: Controls,
    /// How long it waits.
    pub timeout: std::time::Duration,
    /// Who may answer; if nobody is named, the person who used the command.
    pub who: Allow,
}

/// How a dialog offers its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Controls {
    /// 1 to 25 buttons, five to a row.
    Buttons(Vec<DialogButton>),
    /// A menu of 1 to 25 entries; the one that is `chosen` is chosen at first.
    Select {
        /// What it shows while nothing is chosen.
        placeholder: Option<String>,
        /// Its entries.
        options: Vec<SelectOption>,
    },
}

/// A button of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogButton {
    /// 1 to 80 characters.
    pub label: String,
    /// The answer if it is pressed.
    pub value: String,
    /// How it looks.
    pub style: ButtonStyle,
}

/// How a dialog ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialogEnd {
    /// Somebody answered.
    Chosen {
        /// The value that was pressed or chosen.
        value: String,
        /// Who it was.
        by: Author,
    },
    /// Nobody answered in time.
    TimedOut,
}
