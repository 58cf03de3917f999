//! The board: one message with every turn that runs or waits, in all channels. Everybody in its channel reads it, so it
//! says where to look and nothing of what was asked there.

use std::fmt::Write;

use crate::domain::UserId;
use crate::text;

const HEAD: &str = "**Turns**";

/// A turn as the board shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardTurn {
    /// The address of its question.
    pub link: String,
    pub state: Standing,
    /// Since when, in Unix seconds.
    pub since: u64,
}

/// How a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Runs,
    /// It runs, and waits for an answer to a question; whose turn it is.
    Asks(UserId),
    Waits,
}

/// The board's text, at most 2000 characters: the turns in this order, as many as fit, of `running` and `waiting` in all.
pub fn draw_board(turns: &[BoardTurn], running: usize, waiting: usize) -> String {
    if running + waiting == 0 {
        return format!("{HEAD}: none");
    }
    let mut board = format!("{HEAD}: {running} running, {waiting} waiting");
    let more = |shown: usize| match running + waiting - shown {
        0 => String::new(),
        left => format!("\n-# and {left} more"),
    };
    let mut shown = 0;
    for turn in turns {
        let line = turn.line();
        if text::units(&board) + text::units(&line) + text::units(&more(0)) > text::LIMIT {
            break;
        }
        board.push_str(&line);
        shown += 1;
    }
    board + &more(shown)
}

impl BoardTurn {
    fn line(&self) -> String {
        let (mark, verb) = match self.state {
            Standing::Runs => ("⚙", "began"),
            Standing::Asks(_) => ("⏸", "began"),
            Standing::Waits => ("⏳", "asked"),
        };
        let mut line = String::new();
        // It counts by itself, so time alone is no reason for an edit.
        let _ = write!(line, "\n{mark} {} {verb} <t:{}:R>", self.link, self.since);
        if let Standing::Asks(person) = self.state {
            let _ = write!(line, ", waits for <@{person}>");
        }
        line
    }
}

/// Whether this text looks like a board.
pub fn is_board(text: &str) -> bool {
    text.starts_with(HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u64, state: Standing) -> BoardTurn {
        let link = format!(
            "https://discord.com/channels/1231200000000000001/1231200000000000004/{}",
            1_231_200_000_000_000_000 + number
        );
        BoardTurn { link, state, since: 1_795_000_000 }
    }

    #[test]
    fn it_says_where_what_is_at_work() {
        assert_eq!(draw_board(&[], 0, 0), "**Turns**: none");
        let asks = Standing::Asks(UserId::new(7).unwrap());
        let turns = [turn(1, Standing::Runs), turn(3, asks), turn(2, Standing::Waits)];
        insta::assert_snapshot!(draw_board(&turns, 2, 1), @"
        **Turns**: 2 running, 1 waiting
        ⚙ https://discord.com/channels/1231200000000000001/1231200000000000004/1231200000000000001 began <t:1795000000:R>
        ⏸ https://discord.com/channels/1231200000000000001/1231200000000000004/1231200000000000003 began <t:1795000000:R>, waits for <@7>
        ⏳ https://discord.com/channels/1231200000000000001/1231200000000000004/1231200000000000002 asked <t:1795000000:R>
        ");
    }

    #[test]
    fn however_many_turns_there_are_it_is_one_message() {
        let state = |number| if number < 8 { Standing::Runs } else { Standing::Waits };
        let turns: Vec<_> = (0..200).map(|number| turn(number, state(number))).collect();
        let board = draw_board(&turns, 8, 192);
        assert!(text::units(&board) <= text::LIMIT, "{}", text::units(&board));
        let shown = board.lines().count() - 2;
        assert!(shown >= 14, "{shown}");
        assert!(board.ends_with(&format!("\n-# and {} more", 200 - shown)), "{board}");
        assert!(is_board(&board));
    }
}
