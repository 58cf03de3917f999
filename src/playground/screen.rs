//! What stands on the screen: lines that stay, and below them the messages that change. On a terminal those are redrawn in
//! place; elsewhere each of their states is a few lines more.

use crate::local::Id;

/// Pure: each method gives what is to be written.
pub(super) struct Screen {
    /// The terminal's width; `None` where the output is none.
    width: Option<usize>,
    /// The messages that change, the oldest first.
    changing: Vec<(Id, Vec<String>)>,
    /// How many rows of them stand above the cursor.
    drawn: usize,
    /// The cursor is behind a prompt.
    is_prompted: bool,
}

impl Screen {
    pub(super) fn new(width: Option<usize>) -> Self {
        Self { width, changing: Vec::new(), drawn: 0, is_prompted: false }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// Whether something on it is redrawn in place.
    pub(super) fn redraws(&self) -> bool {
        self.width.is_some() && !self.changing.is_empty()
    }

    /// A line that stays, in place of the prompt if there is one.
    pub(super) fn print(&mut self, line: &str) -> String {
        let erased = self.erase();
        format!("{erased}{line}\n{}", self.draw())
    }

    /// This is how the message looks now.
    pub(super) fn change(&mut self, message: Id, lines: Vec<String>) -> String {
        let place = self.changing.iter().position(|(known, _)| *known == message);
        let Some(width) = self.width else {
            if place.is_none() {
                self.changing.push((message, Vec::new()));
            }
            return lines.iter().map(|line| format!("{line}\n")).collect();
        };
        let lines = lines.iter().map(|line| cut(line, width)).collect();
        match place {
            Some(place) => self.changing[place].1 = lines,
            None => self.changing.push((message, lines)),
        }
        self.redraw()
    }

    /// The message is gone, or changes no more; `None` if it did not stand here.
    pub(super) fn forget(&mut self, message: Id) -> Option<String> {
        let place = self.changing.iter().position(|(known, _)| *known == message)?;
        self.changing.remove(place);
        Some(self.redraw())
    }

    /// Everything that changes, anew.
    fn redraw(&mut self) -> String {
        match self.width {
            None => String::new(),
            Some(_) if self.is_prompted || self.drawn == 0 => self.erase() + &self.draw(),
            Some(_) => self.replace(),
        }
    }

    /// The same around what the person may be typing: that row is moved, and the cursor with it.
    fn replace(&mut self) -> String {
        let rows: Vec<&String> = self.changing.iter().flat_map(|(_, lines)| lines).collect();
        let before = std::mem::replace(&mut self.drawn, rows.len());
        let (more, fewer) = (rows.len().saturating_sub(before), before.saturating_sub(rows.len()));
        let several = |count: usize, what: char| match count {
            0 => String::new(),
            count => format!("\x1b[{count}{what}"),
        };
        // There must be room below before rows are put in.
        let room = "\x1bD".repeat(more) + &several(more, 'A');
        let to_top = format!("\x1b7{}\r\x1b[{before}A{}", several(more, 'L'), several(fewer, 'M'));
        let rows: String = rows.iter().map(|row| format!("\x1b[2K\x1b[2m{row}\x1b[0m\n")).collect();
        format!("{room}{to_top}{rows}\x1b8{}{}", several(more, 'B'), several(fewer, 'A'))
    }

    /// Whether the person is prompted.
    pub(super) fn is_prompted(&self) -> bool {
        self.is_prompted
    }

    /// Prompts the person. What stands above is not redrawn any more; where it changes, it stands below once more.
    pub(super) fn prompt(&mut self, prompt: &str) -> String {
        (self.drawn, self.is_prompted) = (0, true);
        prompt.to_owned()
    }

    /// The person has ended a line, which the terminal has shown.
    pub(super) fn line_ended(&mut self) {
        self.is_prompted = false;
        self.drawn += usize::from(self.drawn > 0);
    }

    fn erase(&mut self) -> String {
        let mut erased = String::new();
        if std::mem::take(&mut self.is_prompted) {
            erased += "\r\x1b[K";
        }
        match std::mem::take(&mut self.drawn) {
            0 => erased,
            rows => format!("{erased}\r\x1b[{rows}A\x1b[J"),
        }
    }

    fn draw(&mut self) -> String {
        if self.width.is_none() {
            return String::new();
        }
        let rows: Vec<&String> = self.changing.iter().flat_map(|(_, lines)| lines).collect();
        self.drawn = rows.len();
        rows.iter().map(|row| format!("\x1b[2m{row}\x1b[0m\n")).collect()
    }
}

/// At most so many columns of a line, so that it takes one row.
fn cut(line: &str, width: usize) -> String {
    // Some characters take two.
    let columns = |c: char| if c.is_ascii() { 1 } else { 2 };
    let mut left = width.saturating_sub(2);
    let fits = |c: &char| {
        let fits = columns(*c) <= left;
        left = left.saturating_sub(columns(*c));
        fits
    };
    let cut: String = line.chars().take_while(fits).collect();
    if cut.len() < line.len() { cut + "…" } else { cut }
}

/// The text with `<t:SECONDS:R>` as people in Discord see it.
pub(super) fn with_times(text: &str, now: u64) -> String {
    let mut parts = text.split("<t:");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let time = part.split_once(":R>").and_then(|(time, rest)| Some((time.parse::<u64>().ok()?, rest)));
        match time {
            Some((time, rest)) if time > now => shown += &format!("in {}{rest}", span(time - now)),
            Some((time, rest)) => shown += &format!("{} ago{rest}", span(now - time)),
            None => shown += &format!("<t:{part}"),
        }
    }
    shown
}

/// The text with `<@ID>` as people in Discord see it: by the name of whoever has one.
pub(super) fn with_names(text: &str, name: impl Fn(Id) -> Option<String>) -> String {
    let mut parts = text.split("<@");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let person = part.split_once('>').and_then(|(id, rest)| Some((id.parse::<u64>().ok()?, rest)));
        match person.and_then(|(id, rest)| Some((name(Id::from(id))?, rest))) {
            Some((name, rest)) => shown += &format!("@{name}{rest}"),
            None => shown += &format!("<@{part}"),
        }
    }
    shown
}

/// Markdown that is there to be shown as it is, as people in Discord see it.
pub(super) fn without_escapes(text: &str) -> String {
    let (mut shown, mut is_code) = (String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        is_code ^= c == '`';
        match characters.peek() {
            Some(next) if c == '\\' && !is_code && next.is_ascii_punctuation() => {
                shown.extend(characters.next());
            }
            _ => shown.push(c),
        }
    }
    shown
}

fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that a terminal would show of this, and where the cursor is.
    fn terminal_at(written: &str) -> (Vec<String>, (usize, usize)) {
        let (mut rows, mut row, mut column, mut saved) = (vec![Vec::new()], 0_usize, 0_usize, (0, 0));
        let mut left = written;
        while let Some(c) = left.chars().next() {
            left = &left[c.len_utf8()..];
            if c == '\x1b' {
                let end = left
                    .find(|c: char| c.is_ascii_alphabetic() || "78".contains(c) && !left.starts_with('['));
                let (sequence, rest) = left.split_at(end.unwrap() + 1);
                left = rest;
                let (count, what) = sequence.split_at(sequence.len() - 1);
                let count = count.trim_start_matches('[').parse::<usize>();
                let times = count.clone().unwrap_or(1);
                match what {
                    "A" => row -= times,
                    "B" => row += times,
                    "D" => row += 1,
                    "J" => {
                        rows.truncate(row);
                        rows.push(Vec::new());
                    }
                    "K" if count == Ok(2) => rows[row].clear(),
                    "K" => rows[row].truncate(column),
                    "L" => drop(rows.splice(row..row, vec![Vec::new(); times])),
                    "M" => drop(rows.drain(row..row + times)),
                    "m" => {}
                    "7" => saved = (row, column),
                    "8" => (row, column) = saved,
                    other => panic!("{other:?}"),
                }
            } else if c == '\n' {
                (row, column) = (row + 1, 0);
            } else if c == '\r' {
                column = 0;
            } else {
                let row = &mut rows[row];
                row.resize(row.len().max(column + 1), ' ');
                row[column] = c;
                column += 1;
            }
            rows.resize(rows.len().max(row + 1), Vec::new());
        }
        (rows.into_iter().map(String::from_iter).collect(), (row, column))
    }

    /// Its rows down to the cursor.
    fn terminal(written: &str) -> Vec<String> {
        let (mut rows, (row, _)) = terminal_at(written);
        assert!(rows.drain(row + 1..).all(|below| below.is_empty()));
        rows
    }

    fn id(number: u64) -> Id {
        Id::from(number)
    }

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_changes_stays_below_and_is_redrawn_in_place() {
        let mut screen = Screen::new(Some(40));
        let mut written = screen.prompt("> ");
        written += "work\n";
        screen.line_ended();
        written += &screen.change(id(1), lines(&["at work", "reading"]));
        written += &screen.print("· typing elsewhere");
        written += &screen.change(id(2), lines(&["another"]));
        written += &screen
            .change(id(1), lines(&["at work", "writing", "a list that is much too long for one row of it"]));
        assert_eq!(
            terminal(&written),
            [
                "> work",
                "· typing elsewhere",
                "at work",
                "writing",
                "a list that is much too long for one r…",
                "another",
                ""
            ]
        );
        written += &screen.print("the answer");
        written += &screen.forget(id(1)).unwrap();
        assert_eq!(terminal(&written), ["> work", "· typing elsewhere", "the answer", "another", ""]);
        assert!(screen.redraws());
        written += &screen.forget(id(2)).unwrap();
        written += &screen.prompt("> ");
        written += &screen.print("hello");
        assert_eq!(terminal(&written), ["> work", "· typing elsewhere", "the answer", "hello", ""]);
        assert_eq!(screen.forget(id(2)), None);
    }

    #[test]
    fn a_line_that_is_typed_meanwhile_is_erased_with_what_stands_above() {
        let mut screen = Screen::new(Some(40));
        let mut written = screen.change(id(1), lines(&["at work"]));
        written += "typed\n";
        screen.line_ended();
        written += &screen.change(id(1), lines(&["still at work"]));
        assert_eq!(terminal(&written), ["still at work", ""]);
    }

    #[test]
    fn what_is_being_typed_stays_below_what_changes() {
        let mut screen = Screen::new(Some(40));
        let mut written = screen.change(id(1), lines(&["at work"]));
        written += "half a mess";
        for states in [&["at work", "reading", "writing"][..], &["still", "at", "it"], &["done"]] {
            written += &screen.change(id(1), lines(states));
            let (rows, cursor) = terminal_at(&written);
            let rows: Vec<&str> =
                rows.iter().map(|row| row.trim_end()).filter(|row| !row.is_empty()).collect();
            assert_eq!(rows, [states, &["half a mess"]].concat());
            assert_eq!(cursor, (states.len(), "half a mess".len()));
        }
        written += "age\n";
        screen.line_ended();
        written += &screen.change(id(1), lines(&["done", "indeed"]));
        assert_eq!(terminal(&written)[..3], ["done", "indeed", ""]);
        written += &screen.forget(id(1)).unwrap();
        assert!(terminal(&written).iter().all(String::is_empty));
        assert_eq!(terminal_at(&written).1, (0, 0));
    }

    #[test]
    fn without_a_terminal_every_state_is_a_few_lines_more() {
        let mut screen = Screen::new(None);
        let mut written = screen.change(id(1), lines(&["at work"]));
        written += &screen.change(id(1), lines(&["still at work"]));
        written += &screen.print("the answer");
        written += &screen.forget(id(1)).unwrap();
        assert_eq!(written, "at work\nstill at work\nthe answer\n");
        assert!(!screen.redraws());
    }

    #[test]
    fn times_are_told_as_discord_shows_them() {
        let shown = with_times("since <t:100:R>, in <t:7300:R>, <t:x:R> <t:100:f>", 101);
        assert_eq!(shown, "since 1 second ago, in in 1 hour, <t:x:R> <t:100:f>");
        assert_eq!(with_times("<t:0:R>", 200_000), "2 days ago");
        let name = |person: Id| (person == id(7)).then(|| "ada".to_owned());
        assert_eq!(with_names("<@7> and <@8>, <@&7> <@x <@7", name), "@ada and <@8>, <@&7> <@x <@7");
        assert_eq!(without_escapes(r"\`a\_b\` \ \\ c:\d `\.`"), r"`a_b` \ \ c:\d `\.`");
    }
}
