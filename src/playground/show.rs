//! How the playground shows messages: what is said below what was said before, and what shows a turn at work in place.

use super::{Terminal, hands, picture, screen};
use crate::local::{Event, File, Id, LOADING, Message};

impl Terminal {
    /// Shows what a turn is at, in place of what it was at before.
    pub(super) fn show_line(&mut self, message: &Message) {
        self.lines.retain(|line| line.id != message.id);
        self.lines.push(message.clone());
        let channel = self.names.get(&message.channel).cloned().unwrap_or_default();
        let text = screen::without_escapes(&self.as_people_see(&message.content));
        let rows = text.lines().map(|line| line.strip_prefix("-# ").unwrap_or(line));
        let mut rows: Vec<String> = rows.map(|line| format!("┊ {line}")).collect();
        if let Some(first) = rows.first_mut() {
            *first += &format!(" · #{channel}");
        }
        let buttons = self.buttons(message);
        if !buttons.is_empty() {
            rows.push(format!("┊ {buttons}"));
        }
        let written = self.screen.change(message.id, rows);
        self.put(&written);
    }

    /// Whether it was a line.
    pub(super) fn forget_line(&mut self, message: Id) -> bool {
        self.lines.retain(|line| line.id != message);
        let Some(written) = self.screen.forget(message) else { return false };
        self.put(&written);
        true
    }

    pub(super) fn redraw(&mut self) {
        for line in self.lines.clone() {
            self.show_line(&line);
        }
    }

    /// What can be pressed on a message, each with its number, which it keeps.
    fn buttons(&mut self, message: &Message) -> String {
        let mut shown = Vec::new();
        let found = hands::targets(message);
        for known in
            self.targets.iter_mut().filter(|known| known.as_ref().is_some_and(|it| it.message == message.id))
        {
            known.take_if(|known| !found.contains(known));
        }
        for target in found {
            let known = self.targets.iter().position(|known| known.as_ref() == Some(&target));
            let place = known.unwrap_or_else(|| {
                self.targets.push(Some(target.clone()));
                self.targets.len() - 1
            });
            shown.push(format!("[{}] {}", place + 1, target.label));
        }
        shown.join("  ")
    }

    pub(super) fn show_message(&mut self, event: &Event, message: &Message, who: &str) {
        self.forget_targets(message.id);
        if message.flags & LOADING != 0 {
            return self.print(&format!("· moonlane is thinking in #{}", self.channel_of(event)));
        }
        let only = message.ephemeral_to.map(|person| format!(", only to @{}", self.name(person)));
        let title = format!("── {who} in #{}{} ", self.channel_of(event), only.unwrap_or_default());
        let length = format!(" {} ──", message.content.chars().count());
        let rule = "─".repeat(72_usize.saturating_sub(title.chars().count() + length.chars().count()));
        self.print(&format!("{title}{rule}{length}\n{}", self.as_people_see(&message.content)));
        for embed in &message.embeds {
            self.show_embed(embed);
        }
        for file in self.discord.uploads(message.id) {
            self.print(&format!("[file {}, {}]", file.name, size(file.bytes.len())));
            self.draw(&file);
        }
        let buttons = self.buttons(message);
        if !buttons.is_empty() {
            self.print(&buttons);
        }
    }

    /// The picture, where the file is one and the terminal draws it.
    pub(super) fn draw(&mut self, file: &File) {
        let picture = picture::drawn(&file.bytes).filter(|_| self.draws && self.screen.is_terminal());
        if let Some(picture) = picture {
            self.print(&picture);
        }
    }

    fn show_embed(&mut self, embed: &serde_json::Value) {
        for text in [&embed["title"], &embed["description"]] {
            self.show_quoted(text.as_str().unwrap_or_default());
        }
        for field in embed["fields"].as_array().into_iter().flatten() {
            let (name, value) = (field["name"].as_str(), field["value"].as_str());
            self.show_quoted(&format!("{}: {}", name.unwrap_or_default(), value.unwrap_or_default()));
        }
        self.show_quoted(embed["footer"]["text"].as_str().unwrap_or_default());
    }

    fn show_quoted(&mut self, text: &str) {
        for line in text.lines() {
            self.print(&format!("│ {line}"));
        }
    }

    pub(super) fn forget_targets(&mut self, message: Id) {
        for target in &mut self.targets {
            if target.as_ref().is_some_and(|target| target.message == message) {
                *target = None;
            }
        }
    }
}

/// A file's size for people.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        ..1000 => format!("{bytes} bytes"),
        _ => format!("{} KB", (bytes + 500) / 1000),
    }
}
